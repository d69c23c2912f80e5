"""Rules of another rule file: checked against the schema that they are to be about."""

from __future__ import annotations

from ruleedit.conflicts import effective
from ruleedit.errors import FileRefused
from ruleedit.files import read_json
from ruleedit.formats import canonical
from ruleedit.formats.read.assembling import Found, Line
from ruleedit.schema import Schema


def read(content: bytes, schema: Schema) -> Found:
    """The rules as the file has them now, settlements written out; its history and its figures stay behind."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise FileRefused("the rule file is no text in UTF-8") from None
    draft = canonical.from_json(read_json(text, "the rule file"))
    rules = effective(draft.rules, draft.schema)
    lines = [Line(f"rule {rule.id}", (rule.clauses,), rule.outcome, rule.id, enabled=rule.enabled) for rule in rules]
    notes = ["settled conflicts are rules of their own"] if len(rules) > len(draft.rules) else []
    if draft.schema.hash != schema.hash:
        notes.append("the rule file's schema differs from the one given; every rule fits the one given")
    return Found(tuple(lines), draft.rules.default, tuple(notes))
