"""The canonical rule file: a draft as JSON, lossless, with its history and hashes.

A rule file holds no time, path or duration, so that the same rules are the same bytes. On reading
everything is checked: each rule against the schema, the history by replaying it from the base, and
the hashes. ``rules.schema.json`` beside this module describes the form for other tools.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from ruleedit.drafts import Change, Draft, Placed, Step, check_default, rule_json, settlement_json
from ruleedit.errors import FileRefused, RuleEditError
from ruleedit.files import read_json, read_text, write_text
from ruleedit.regions import check_rule
from ruleedit.rules import STRATEGIES, Outcome, Rule, RuleSet, Settlement
from ruleedit.schema import Schema, content_hash
from ruleedit.text import parse_outcome, parse_rule

#: The version of the format; another one is refused.
FORMAT = "ruleedit-rules-1"
#: What an extraction says of itself is nested 5 deep; anything deep would end the process when it is written.
MOST_LEVELS = 16
#: The keys of each kind of object, and those of them that may be left out.
_FILE_KEYS = ("format content revision rules default settlements schema base history origin", "")
_BASE_KEYS = ("rules default settlements", "")
_RULE_KEYS = ("id text outcome asserted enabled", "asserts confirmed placed remainder_of part_of confidence")
_SETTLEMENT_KEYS = ("rules texts strategy", "winner outcome")
_STEP_KEYS = ("edit author reason content revision change", "undoes redoes")
_CHANGE_KEYS = ("out put", "default settlements")
_PLACED_KEYS = ("place rule", "")


def dumps(draft: Draft) -> str:
    """The draft as the text of a rule file."""
    return json.dumps(to_json(draft), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def loads(text: str, where: str = "the rule file") -> Draft:
    """Read the text of a rule file; raises `FileRefused` where it is damaged or was changed by hand."""
    return from_json(read_json(text, where), where)


def write(draft: Draft, path: str | Path) -> None:
    """Write a rule file; what is there is replaced whole."""
    write_text(path, dumps(draft))


def read(path: str | Path) -> Draft:
    """Read a rule file; raises `FileRefused`."""
    return loads(read_text(path, "a rule file that extract or edit has written"), repr(Path(path).name))


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that every rule file satisfies."""
    text = resources.files(__package__).joinpath("rules.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def to_json(draft: Draft) -> dict[str, Any]:
    """The draft as a JSON object."""
    return {
        "format": FORMAT,
        "content": draft.content,
        "revision": draft.revision,
        "rules": [rule_json(rule) for rule in draft.rules],
        "default": str(draft.rules.default),
        "settlements": [settlement_json(settlement) for settlement in draft.rules.settlements],
        "schema": draft.schema.to_json(),
        "base": _rules_json(draft.base),
        "history": [step_json(step) for step in draft.history],
        "origin": dict(draft.origin),
    }


def from_json(data: Any, where: str = "the rule file") -> Draft:
    """Read the JSON object of a rule file; raises `FileRefused`."""
    return _said(lambda: _from_json(data), where)


def _said(made: Callable[[], Draft], where: str) -> Draft:
    """The draft that ``made`` gives; whatever is wrong with what it reads becomes one error that says where."""
    try:
        return made()
    except FileRefused as problem:
        raise FileRefused(f"{where}: {problem}") from None
    except RuleEditError as problem:
        raise FileRefused(f"{where} holds what its schema doesn't allow: {problem}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as problem:
        raise FileRefused(f"{where} is incomplete or damaged ({type(problem).__name__}: {problem})") from None


def _from_json(data: Any) -> Draft:
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, Mapping) else type(data).__name__
        raise FileRefused(f"the format is {found!r}; {FORMAT!r} is accepted")
    _keyed(data, _FILE_KEYS, "the file")
    schema = Schema.from_json(data["schema"])
    base = _rules(_keyed(data["base"], _BASE_KEYS, "'base'"), schema)
    draft = replace(Draft.of(base, schema), origin=_origin(data["origin"]))
    rules = _rules(data, schema)
    for item in _list(data["history"], "'history'"):
        draft = _replayed(draft, item)
    if draft.rules != rules or draft.content != data["content"] or draft.revision != data["revision"]:
        raise FileRefused("its rules aren't what its history makes of its base; edit it with edit, not by hand")
    return draft


def replay(draft: Draft, steps: Iterable[Any], where: str = "the history") -> Draft:
    """Make steps again, each as `step_json` gives it; raises `FileRefused` where one isn't what it says it is."""

    def made() -> Draft:
        found = draft
        for item in steps:
            found = _replayed(found, item)
        return found

    return _said(made, where)


def _replayed(draft: Draft, data: Any) -> Draft:
    """Make one step of the history again, and check that it is what the file says."""
    number = len(draft.history) + 1
    item = _keyed(data, _STEP_KEYS, f"step {number} of the history")
    change = _change(item["change"], draft.schema)
    rules = change.make(draft.rules)
    after = replace(draft, rules=rules)
    edit, author, reason = (_text(item[key], key) for key in ("edit", "author", "reason"))
    revision = content_hash([draft.revision, edit, author, reason, after.content])
    undoes, redoes = item.get("undoes"), item.get("redoes")
    step = Step(edit, author, reason, change, after.content, revision, undoes, redoes)
    # The hashes don't cover how a step is taken back, so that is worked out again.
    made = change == _expected(draft, rules, step)
    if not made or item["content"] != after.content or item["revision"] != revision:
        raise FileRefused(f"step {number} of the history was changed by hand")
    return replace(after, history=(*draft.history, step))


def _expected(draft: Draft, rules: RuleSet, step: Step) -> Change | None:
    """The change that a step must hold, by what it says it is; None where it can't be that."""
    standing = (
        draft.undoable if step.edit == "undo" else None,
        draft.redoable if step.edit == "redo" else None,
    )
    if (step.undoes, step.redoes) != standing or isinstance(step.undoes, bool) or isinstance(step.redoes, bool):
        return None
    if step.undoes is not None:
        return draft.history[step.undoes].change.inverse()
    if step.redoes is not None:
        return draft.history[step.redoes].change
    return None if step.edit in ("undo", "redo") else Change.between(draft.rules, rules)


def _keyed(data: Any, keys: tuple[str, str], where: str) -> Mapping[str, Any]:
    """``data`` as an object with all the keys that it needs and no other than it may have."""
    if not isinstance(data, Mapping):
        raise FileRefused(f"{where} is no JSON object")
    needed, optional = (names.split() for names in keys)
    for name in needed:
        if name not in data:
            raise FileRefused(f"{where} lacks the key {name!r}")
    for name in data:
        if name not in needed and name not in optional:
            raise FileRefused(f"{where} has the unknown key {name!r}")
    return data


def _list(data: Any, where: str) -> list[Any]:
    if not isinstance(data, list):
        raise FileRefused(f"{where} is no list")
    return data


def _text(data: Any, where: str) -> str:
    if not isinstance(data, str):
        raise FileRefused(f"{where!r} is no text")
    return data


def _origin(data: Any) -> dict[str, Any]:
    """What the extraction said of itself, checked so far that it can be shown and written again."""
    if not isinstance(data, Mapping) or not _is_flat(data, MOST_LEVELS):
        raise FileRefused(f"'origin' is no JSON object of at most {MOST_LEVELS} levels")
    for side in ("train", "holdout"):
        measured = data.get(side)
        figures = [] if measured is None else [*_list(measured["rules"], f"{side!r}: 'rules'"), measured["default"]]
        for item in figures:
            decided, precision = item["decided"], item["precision"]
            if not isinstance(decided, int) or not isinstance(precision, int | float | None):
                raise FileRefused(f"'origin': {side!r} holds a figure that is no number")
    return dict(data)


def _is_flat(data: Any, levels: int) -> bool:
    """Whether the data is nested no deeper than so many levels."""
    inner = data.values() if isinstance(data, Mapping) else data if isinstance(data, list) else ()
    return levels > 0 and all(_is_flat(item, levels - 1) for item in inner)


def _rules_json(rules: RuleSet) -> dict[str, Any]:
    return {
        "rules": [rule_json(rule) for rule in rules],
        "default": str(rules.default),
        "settlements": [settlement_json(settlement) for settlement in rules.settlements],
    }


def _rules(data: Mapping[str, Any], schema: Schema) -> RuleSet:
    rules = tuple(_rule(item, schema) for item in _list(data["rules"], "'rules'"))
    if len({rule.id for rule in rules}) != len(rules):
        raise FileRefused("a rule id is given twice")
    default = parse_outcome(data["default"])
    check_default(default, schema)
    return RuleSet(rules, default, _settlements(data["settlements"], schema))


def _rule(data: Any, schema: Schema) -> Rule:
    item = _keyed(data, _RULE_KEYS, "a rule")
    rule = parse_rule(item["text"], _text(item["id"], "id"))
    if str(rule.outcome) != item["outcome"]:
        raise FileRefused(f"rule {rule.id}: its outcome {item['outcome']!r} isn't its text's")
    flags = {name: item.get(name, False) for name in ("asserted", "enabled", "confirmed", "placed")}
    kin = {name: _text(item[name], name) for name in ("remainder_of", "part_of") if name in item}
    asserts = item.get("asserts", "whole")
    if any(not isinstance(flag, bool) for flag in flags.values()) or asserts not in ("whole", "change"):
        raise FileRefused(f"rule {rule.id}: a flag is neither true nor false")
    confidence = item.get("confidence")
    if "confidence" in item and not (isinstance(confidence, int | float) and 0.0 < confidence <= 1.0):
        raise FileRefused(f"rule {rule.id}: its confidence is no number above 0 and up to 1")
    rule = rule.replace(**flags, **kin, asserts=asserts, confidence=confidence)
    check_rule(rule, schema)
    return rule


def _settlements(data: Any, schema: Schema) -> tuple[Settlement, ...]:
    return tuple(_settlement(item, schema) for item in _list(data, "'settlements'"))


def _settlement(data: Any, schema: Schema) -> Settlement:
    item = _keyed(data, _SETTLEMENT_KEYS, "a settlement")
    rules, texts = (_list(item[key], f"{key!r} of a settlement") for key in ("rules", "texts"))
    if item["strategy"] not in STRATEGIES or len(rules) != 2 or len(texts) != 2:
        raise FileRefused("a settlement is damaged")
    for text in texts:
        check_rule(parse_rule(text), schema)
    outcome = parse_outcome(item["outcome"]) if "outcome" in item else None
    for name in outcome.classes if outcome is not None else ():
        schema.check_class(name)
    winner = item.get("winner")
    if (winner is None) == (outcome is None) or (winner is not None and winner not in rules):
        raise FileRefused("a settlement has a winner of its two rules, or an outcome")
    first, second = (_text(name, "rules") for name in rules)
    return Settlement((first, second), (texts[0], texts[1]), item["strategy"], winner, outcome)


def step_json(step: Step) -> dict[str, Any]:
    """One step of a history as it stands in a rule file."""
    change: dict[str, Any] = {"out": _placed_json(step.change.out), "put": _placed_json(step.change.put)}
    if step.change.default is not None:
        change["default"] = [str(outcome) for outcome in step.change.default]
    if step.change.settlements is not None:
        change["settlements"] = [[settlement_json(item) for item in side] for side in step.change.settlements]
    out: dict[str, Any] = {"edit": step.edit, "author": step.author, "reason": step.reason}
    out |= {"content": step.content, "revision": step.revision}
    if step.undoes is not None:
        out["undoes"] = step.undoes
    if step.redoes is not None:
        out["redoes"] = step.redoes
    return out | {"change": change}


def _placed_json(placed: Placed) -> list[dict[str, Any]]:
    return [{"place": place, "rule": rule_json(rule)} for place, rule in placed]


def _placed(data: Any, schema: Schema) -> Placed:
    items = [_keyed(item, _PLACED_KEYS, "a rule's place") for item in _list(data, "'out' and 'put'")]
    if any(isinstance(item["place"], bool) or not isinstance(item["place"], int) for item in items):
        raise FileRefused("a rule's place is no whole number")
    return tuple((item["place"], _rule(item["rule"], schema)) for item in items)


def _change(data: Any, schema: Schema) -> Change:
    _keyed(data, _CHANGE_KEYS, "'change'")
    default: tuple[Outcome, Outcome] | None = None
    if "default" in data:
        before, after = (parse_outcome(text) for text in _list(data["default"], "'default' of a change"))
        check_default(after, schema)
        default = (before, after)
    settlements = None
    if "settlements" in data:
        old, new = (_settlements(side, schema) for side in _list(data["settlements"], "'settlements' of a change"))
        settlements = (old, new)
    return Change(_placed(data["out"], schema), _placed(data["put"], schema), default, settlements)
