"""Rules as text, one a line: ``IF age > 26 THEN approve``, with ``R1:`` before it where it has an id.

``OTHERWISE deny`` is the default and stands last. Empty lines and lines that begin with ``#`` are passed over.
"""

from __future__ import annotations

import re

from ruleedit.errors import FileRefused
from ruleedit.formats.read.assembling import Found, Line, at
from ruleedit.schema import Schema
from ruleedit.text import parse_outcome, parse_rule

_LINE = re.compile(r"(?:(?P<id>[^\s:]+)\s*:\s*)?(?P<text>if\s.*)", re.IGNORECASE | re.DOTALL)
_OTHERWISE = re.compile(r"(?:otherwise|default)[\s:]+(?P<outcome>.*)", re.IGNORECASE | re.DOTALL)


def read(content: bytes, schema: Schema) -> Found:
    """The rules of a text in UTF-8; raises `FileRefused` with the line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise FileRefused(f"byte {problem.start + 1} is no UTF-8; save the text as UTF-8") from None
    lines: list[Line] = []
    default = None
    for number, line in enumerate(text.split("\n"), start=1):
        said, where = line.strip(), f"line {number}"
        if not said or said.startswith("#"):
            continue
        if default is not None:
            raise FileRefused(f"{where}: it stands behind the default, which is the last line")
        otherwise = _OTHERWISE.fullmatch(said)
        with at(where):
            if otherwise:
                default = parse_outcome(otherwise["outcome"])
                continue
            lines.append(_line(said, where))
    return Found(tuple(lines), default)


def _line(said: str, where: str) -> Line:
    found = _LINE.fullmatch(said)
    if found is None:
        raise FileRefused(f"{where}: {said[:40]!r} is no rule; write IF age > 26 THEN approve, or OTHERWISE deny")
    rule = parse_rule(found["text"])
    return Line(where, (rule.clauses,), rule.outcome, found["id"])
