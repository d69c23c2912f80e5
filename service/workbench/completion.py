"""What can come next in an edit that is being typed."""

from __future__ import annotations

import re

from ruleedit.drafts import Draft
from ruleedit.rules import name_text, value_text
from service.workbench.words import class_text

#: So many are offered.
MOST = 12
VERBS = (
    "set",
    "add",
    "drop",
    "then",
    "new IF",
    "duplicate",
    "remove",
    "disable",
    "enable",
    "move",
    "confirm",
    "default",
)
NUMBER_SIGNS = (">", ">=", "<", "<=", "between", "is missing", "is not missing")
TEXT_SIGNS = ("=", "!=", "in (", "not in (", "is missing", "is not missing")
_LAST = re.compile(r"(`[^`]*|'[^']*|[^\s(,]*)$")
_CLAUSE = re.compile(r"(`(?:[^`]|``)+`|[\w.]+)\s*(=|!=|in \(|not in \(|<=?|>=?)?\s*(?:[^()]*,)?\s*$")


def completions(draft: Draft, text: str) -> list[str]:
    """The words that may follow ``text``, its last unfinished word completed."""
    match = _LAST.search(text)
    part = match.group(0) if match else ""
    before = text[: len(text) - len(part)]
    return [word for word in _following(draft, before) if word.lower().startswith(part.lower()) and word != part][:MOST]


def completed(text: str, word: str) -> str:
    """``text`` with its last unfinished word replaced."""
    match = _LAST.search(text)
    part = match.group(0) if match else ""
    glue = "" if word.endswith("(") else " "
    return text[: len(text) - len(part)] + word + glue


def _following(draft: Draft, before: str) -> list[str]:
    stripped = before.strip()
    if not stripped:
        return list(VERBS)
    spoken = stripped.split()
    verb, upper = spoken[0].lower(), stripped.upper()
    rules = [rule.id for rule in draft.rules]
    if verb != "new" and len(spoken) == 1:
        return _outcomes(draft) if verb == "default" else rules
    if upper.endswith((" THEN", " OTHERWISE")) or (verb == "then" and len(spoken) == 2):
        return [*_outcomes(draft), "model"]
    if upper.endswith((" BEFORE", " AFTER")):
        return rules
    if verb == "move" and len(spoken) == 2:
        return ["before", "after"]
    if upper.endswith((" IF", " AND")) or (verb in ("set", "add", "drop") and len(spoken) == 2):
        return [name_text(feature.name) for feature in draft.schema.features]
    return _within(draft, before, verb)


def _within(draft: Draft, before: str, verb: str) -> list[str]:
    match = _CLAUSE.search(before)
    known = {name_text(feature.name): feature for feature in draft.schema.features}
    feature = known.get(match.group(1)) if match else None
    if feature is None or match is None:
        return ["AND", "THEN"] if verb == "new" else ["otherwise"]
    if match.group(2) is None:
        return list(NUMBER_SIGNS if feature.is_number else TEXT_SIGNS)
    return [] if feature.is_number else [value_text(value) for value in feature.values]


def _outcomes(draft: Draft) -> list[str]:
    return [class_text(name) for name in draft.schema.classes]
