"""What is wrong with a text that is being typed, and which words of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import ClauseRefused, RuleEditError, RuleTextError, UnknownName
from ruleedit.regions import check_clause
from ruleedit.rules import KEYWORDS, Clause, name_text
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_clause

_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
#: What ends a clause; the AND of `between a and b` stands behind a number and is left to it.
_ENDS = re.compile(r"\s+(?:and(?!\s+[-+.\d]+(?:\s|$))|then|otherwise|to|before|after)\b", re.IGNORECASE)
#: A bare name with what ends it behind it.
_NAME = re.compile(r"[^\W\d]\w*(?=[\s<>=!])")
_WORD = re.compile(r"`(?:[^`]|``)*`?|'(?:[^']|'')*'?|[^\s(),]+|\S")


@dataclass(frozen=True)
class Wrong:
    """A problem in words, and the part of the text that it is about.

    ``sure`` is what stays wrong whatever is typed behind it.
    """

    said: str
    start: int
    end: int
    sure: bool = False

    def parts(self, text: str) -> tuple[str, str, str]:
        """The text before the wrong words, those, and what follows."""
        return text[: self.start], text[self.start : self.end], text[self.end :]


def wrong_edit(draft: Draft, text: str) -> Wrong | None:
    """What is wrong with an edit as text; None where nothing is.

    A name that the schema doesn't have comes first: whoever mistyped it is told before the edit is whole.
    """
    try:
        edit(draft, [text], reason="tried", author="")
    except RuleEditError as problem:
        return _unknown(draft.schema, text) or located(text, problem)
    return None


def _unknown(schema: Schema, text: str) -> Wrong | None:
    """The first feature's name in a text that the schema doesn't have, if it is whole: something stands behind it."""
    for start, end in _names(text):
        written = text[start:end]
        name = written[1:-1].replace("``", "`") if written.startswith("`") else written
        try:
            schema.feature(name)
        except UnknownName as problem:
            return Wrong(str(problem), start, end, sure=True)
    return None


def _names(text: str) -> Iterator[tuple[int, int]]:
    """Where whole names of features stand in an edit: at the beginning of each clause."""
    begun, between = False, False
    words = list(_WORD.finditer(text))
    verb = words[0].group().lower() if words else ""
    for place, word in enumerate(words):
        said = word.group().lower()
        if begun and said not in KEYWORDS:
            name = word if said.startswith("`") and word.end() < len(text) else _NAME.match(text, word.start())
            if name is not None:
                yield name.span()
        if said == "then":
            return
        # A rule is named between verb and clause; the AND of `between a and b` begins none.
        second = place == 1 and verb in ("set", "add", "drop")
        begun = second or said == "if" or (said == "and" and not between) or (said == "to" and verb == "set")
        between = said == "between" or (between and said != "and")


def read_clause(text: str, feature: Feature) -> Clause | Wrong:
    """One clause on a feature, or what is wrong with its text."""
    try:
        clause = parse_clause(text)
        if clause.feature != feature.name:
            said = f"this is a clause on {feature.name!r}; '+ clause' adds one on another feature"
            return Wrong(said, *_first_word(text))
        check_clause(clause, feature)
    except RuleEditError as problem:
        return located(text, problem)
    return clause


def located(text: str, problem: RuleEditError) -> Wrong:
    """A problem with the words of a text that it is about; with none in particular it is about all of it."""
    said = str(problem)
    found = None
    if isinstance(problem, RuleTextError):
        found = _read(text, problem)
    elif isinstance(problem, UnknownName):
        found = _named(text, said)
    elif isinstance(problem, ClauseRefused):
        found = _clause(text, said)
    return Wrong(said, *(found or (0, len(text))))


def _read(text: str, problem: RuleTextError) -> tuple[int, int] | None:
    """Where reading stopped: what was read is the end of the text, behind a verb and a rule."""
    if problem.at is None:
        return _named(text, str(problem)) or _first_word(text)
    place = text.rstrip().rfind(problem.source)
    if place < 0:
        return None
    start = min(place + problem.at, len(text))
    match = _WORD.match(text, start)
    # Where something is missing at the end, the last word is what wants to go on.
    return (start, match.end()) if match else _last_word(text[:start])


def _named(text: str, said: str) -> tuple[int, int] | None:
    """The first name that the problem quotes, where it is a word of the text."""
    for match in _QUOTED.finditer(said):
        name = match.group(1) if match.group(1) is not None else match.group(2)
        for written in (name_text(name), f"'{name}'", name):
            at = re.search(rf"(?<![\w`']){re.escape(written)}(?![\w`'])", text)
            if at is not None:
                return at.span()
    return None


def _clause(text: str, said: str) -> tuple[int, int] | None:
    """The clause on the feature that the problem names."""
    found = _named(text, said.partition(": ")[2] or said)
    if found is None:
        return None
    end = _ENDS.search(text, found[1])
    return found[0], end.start() if end else len(text.rstrip())


def _first_word(text: str) -> tuple[int, int]:
    match = re.search(r"\S+", text)
    return match.span() if match else (0, len(text))


def _last_word(text: str) -> tuple[int, int]:
    match = re.search(r"\S+\s*$", text)
    return match.span() if match else (0, len(text))
