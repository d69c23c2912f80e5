"""Edits: one change to a rule set each, read from text and made on a draft.

An edit is read with `read_edit` and made with `edit`; `ruleedit.drafts` keeps the history and
takes edits back. What a rule asserts is worked out anew after each edit from base and edited rule
set, so restoring a rule ends its assertion.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from ruleedit.conflicts.settling import resolve
from ruleedit.drafts import Draft, check_default
from ruleedit.errors import EditRefused, RuleTextError, did_you_mean
from ruleedit.regions import Box, box_clauses, check_clause, check_rule, rule_box
from ruleedit.rules import STRATEGIES, Clause, Outcome, Rule, RuleSet
from ruleedit.text import Reader

Asserts: TypeAlias = Literal["whole", "change"]


def edit(
    draft: Draft,
    edits: Iterable[str | Edit],
    *,
    reason: str,
    author: str = "",
    asserts: Asserts = "whole",
) -> Draft:
    """Make the edits one after another, all or none; ``undo`` and ``redo`` are edits too.

    Raises `RuleTextError`, `EditRefused`, `EmptyRegion` and the errors of names and clauses.
    """
    for asked in edits:
        draft = _make(draft, read_edit(asked) if isinstance(asked, str) else asked, reason, author, asserts)
    return draft


@dataclass(frozen=True)
class Edit:
    """One edit as it was asked: its text, and the function that makes it on a draft's rule set."""

    text: str
    make: Callable[[Draft, Asserts], RuleSet] | None = None
    step: Literal["undo", "redo"] | None = None

    def __str__(self) -> str:
        return self.text


def read_edit(text: str) -> Edit:
    """Read an edit; raises `RuleTextError` with the verbs that there are."""
    verb, _, rest = text.strip().partition(" ")
    reader = _READERS.get(verb.lower())
    if reader is None:
        raise RuleTextError(f"no edit {verb!r}{did_you_mean(verb.lower(), _READERS, most=len(_READERS))}")
    return reader(text.strip(), rest.strip())


def _make(draft: Draft, edit: Edit, reason: str, author: str, asserts: Asserts) -> Draft:
    if edit.step == "undo":
        return draft.undo(reason=reason, author=author)
    if edit.step == "redo":
        return draft.redo(reason=reason, author=author)
    assert edit.make is not None
    rules = _reasserted(draft, edit.make(draft, asserts))
    if rules == draft.rules:
        raise EditRefused(f"{edit}: changes nothing")
    return draft.commit(str(edit), rules, reason=reason, author=author)


# --- reading ---------------------------------------------------------------------------------


def _split(rest: str, text: str) -> tuple[str, str]:
    rule, _, more = rest.partition(" ")
    if not rule:
        raise RuleTextError(f"{text!r} names no rule; write it as {text.split(' ')[0]} R1 ...")
    return rule, more.strip()


def _otherwise(reader: Reader) -> Outcome | None:
    return reader.outcome() if reader.accept("otherwise") else None


def _read_set(text: str, rest: str) -> Edit:
    rule, more = _split(rest, text)
    reader = Reader(more)
    first = reader.clause()
    second = reader.clause() if reader.accept("to") else None
    otherwise = _otherwise(reader)
    reader.expect_end()
    old, new = (None, first) if second is None else (first, second)
    return Edit(text, lambda draft, asserts: _set_clause(draft, rule, old, new, otherwise, asserts))


def _read_add(text: str, rest: str) -> Edit:
    rule, more = _split(rest, text)
    reader = Reader(more)
    clause = reader.clause()
    otherwise = _otherwise(reader)
    reader.expect_end()
    return Edit(text, lambda draft, asserts: _add_clause(draft, rule, clause, otherwise, asserts))


def _read_drop(text: str, rest: str) -> Edit:
    rule, more = _split(rest, text)
    reader = Reader(more)
    name = reader.name()
    if reader.at_end:
        return Edit(text, lambda draft, asserts: _drop_clause(draft, rule, name, None, asserts))
    reader = Reader(more)
    clause = reader.clause()
    reader.expect_end()
    return Edit(text, lambda draft, asserts: _drop_clause(draft, rule, name, clause, asserts))


def _read_then(text: str, rest: str) -> Edit:
    rule, more = _split(rest, text)
    outcome = _whole_outcome(more)
    return Edit(
        text, lambda draft, asserts: _changed(draft, draft.rules.rule(rule).replace(outcome=outcome), None, asserts)
    )


def _read_new(text: str, rest: str) -> Edit:
    reader = Reader(rest)
    rule = reader.rule("")
    place = _read_place(reader)
    reader.expect_end()
    return Edit(text, lambda draft, asserts: _new_rule(draft, rule, place, asserts))


def _read_move(text: str, rest: str) -> Edit:
    rule, more = _split(rest, text)
    reader = Reader(more)
    place = _read_place(reader)
    reader.expect_end()
    if place is None:
        raise RuleTextError(f"{text!r} says no place; write it as move {rule} before R1 or move {rule} after R1")
    return Edit(text, lambda draft, asserts: _move(draft, rule, place, asserts))


def _read_place(reader: Reader) -> tuple[str, str] | None:
    for word in ("before", "after"):
        if reader.accept(word):
            return word, reader.rest().strip()
    return None


def _read_default(text: str, rest: str) -> Edit:
    outcome = _whole_outcome(rest)
    return Edit(text, lambda draft, asserts: _default(draft, outcome))


def _read_confidence(text: str, rest: str) -> Edit:
    """`confidence R3 0.8`; `confidence R3 none` takes it back."""
    rule, more = _split(rest, text)
    if more.lower() == "none":
        return Edit(text, lambda draft, asserts: _confidence(draft, rule, None))
    reader = Reader(more)
    share = reader.scalar()
    reader.expect_end()
    if isinstance(share, str) or not 0.0 < share <= 1.0:
        raise RuleTextError(f"{text!r}: a confidence is a number above 0 and up to 1, or none")
    return Edit(text, lambda draft, asserts: _confidence(draft, rule, share))


def _read_one(
    make: Callable[[Draft, str, Outcome | None, Asserts], RuleSet], otherwise: bool
) -> Callable[[str, str], Edit]:
    """A reader of an edit that names one rule and, for some, an `otherwise`."""

    def read(text: str, rest: str) -> Edit:
        rule, more = _split(rest, text)
        reader = Reader(more)
        outcome = _otherwise(reader) if otherwise else None
        reader.expect_end()
        return Edit(text, lambda draft, asserts: make(draft, rule, outcome, asserts))

    return read


def _read_history(step: Literal["undo", "redo"]) -> Callable[[str, str], Edit]:
    def read(text: str, rest: str) -> Edit:
        if rest:
            raise RuleTextError(f"{text!r}: {step} stands alone")
        return Edit(text, step=step)

    return read


def _read_resolve(text: str, rest: str) -> Edit:
    """`resolve R1 R4 priority`, `resolve R1 R4 outcome deny`, `resolve R1 R4 mixture 2 1`, `resolve all model`."""
    named: tuple[str, str] | None = None
    first, more = _split(rest, text)
    if first.lower() != "all":
        second, more = _split(more, text)
        named = (first, second)
    strategy, _, more = more.partition(" ")
    more = more.strip()
    if strategy not in STRATEGIES:
        raise RuleTextError(f"{text!r}: no strategy {strategy!r}{did_you_mean(strategy, STRATEGIES)}")
    if more and strategy not in ("outcome", "mixture"):
        raise RuleTextError(f"{text!r}: {strategy} takes nothing more; write it without {more!r}")
    outcome = _whole_outcome(more) if strategy == "outcome" else None
    weights = read_weights(more) if strategy == "mixture" and more else None
    return Edit(text, lambda draft, asserts: _resolve(draft, named, strategy, outcome, weights))


def read_weights(text: str) -> tuple[float, float]:
    """Read a mixture's weights, as in ``2,1``; raises `RuleTextError`."""
    try:
        first, second = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise RuleTextError(f"{text!r} is no pair of weights; write them as 2,1") from None
    return first, second


def _whole_outcome(text: str) -> Outcome:
    reader = Reader(text)
    outcome = reader.outcome()
    reader.expect_end()
    return outcome


# --- making ----------------------------------------------------------------------------------


def _set_clause(
    draft: Draft, rule_id: str, old: Clause | None, new: Clause, otherwise: Outcome | None, asserts: Asserts
) -> RuleSet:
    rule = draft.rules.rule(rule_id)
    check_clause(new, draft.schema.feature(new.feature))
    if old is None:
        old = _only_clause(
            rule, new.feature, draft, f"; write it as set {rule_id} CLAUSE to {new}", f"add {rule_id} {new}"
        )
    elif old not in rule.clauses:
        raise EditRefused(f"{rule_id} has no clause {old}; it says {rule}")
    clauses = tuple(new if clause == old else clause for clause in rule.clauses)
    return _changed(draft, rule.replace(clauses=clauses), otherwise, asserts)


def _add_clause(draft: Draft, rule_id: str, clause: Clause, otherwise: Outcome | None, asserts: Asserts) -> RuleSet:
    rule = draft.rules.rule(rule_id)
    check_clause(clause, draft.schema.feature(clause.feature))
    if clause in rule.clauses:
        raise EditRefused(f"{rule_id} has the clause {clause} already")
    return _changed(draft, rule.replace(clauses=(*rule.clauses, clause)), otherwise, asserts)


def _drop_clause(draft: Draft, rule_id: str, name: str, clause: Clause | None, asserts: Asserts) -> RuleSet:
    rule = draft.rules.rule(rule_id)
    if clause is None:
        clause = _only_clause(rule, name, draft, f"; write the one to drop, as drop {rule_id} CLAUSE", None)
    elif clause not in rule.clauses:
        raise EditRefused(f"{rule_id} has no clause {clause}; it says {rule}")
    kept = tuple(other for other in rule.clauses if other != clause)
    if not kept:
        raise EditRefused(
            f"{clause} is the last clause of {rule_id}; remove or disable the rule, or change the default"
        )
    return _changed(draft, rule.replace(clauses=kept), None, asserts)


def _only_clause(rule: Rule, name: str, draft: Draft, several: str, none: str | None) -> Clause:
    found = [clause for clause in rule.clauses if clause.feature == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise EditRefused(f"{rule.id} has {len(found)} clauses on {name!r}: {', '.join(map(str, found))}{several}")
    draft.schema.feature(name)
    hint = f"; {none} adds one" if none else ""
    raise EditRefused(f"{rule.id} has no clause on {name!r}; it says {rule}{hint}")


def _changed(draft: Draft, rule: Rule, otherwise: Outcome | None, asserts: Asserts) -> RuleSet:
    """Put a changed rule in, where it belongs, and a remainder where it stood."""
    check_rule(rule, draft.schema)
    place = draft.rules.position(rule.id)
    old = draft.rules.rules[place]
    rule = rule.replace(asserts=asserts)
    remainder: tuple[Rule, ...] = ()
    if otherwise is not None:
        boxes = rule_box(old, draft.schema).subtract(rule_box(rule, draft.schema))
        remainder = _remainders(draft, old, boxes, otherwise, asserts)
    listed = list(draft.rules.rules)
    listed[place : place + 1] = [rule, *remainder]
    return _placed(draft.base, replace(draft.rules, rules=tuple(listed)), rule)


def _new_rule(draft: Draft, rule: Rule, place: tuple[str, str] | None, asserts: Asserts) -> RuleSet:
    rule = rule.replace(id=draft.new_id(), asserted=True, asserts=asserts, placed=place is not None)
    check_rule(rule, draft.schema)
    where = _front(draft.rules.rules) if place is None else _beside(draft.rules, place)
    return replace(draft.rules, rules=(*draft.rules.rules[:where], rule, *draft.rules.rules[where:]))


def _duplicate(draft: Draft, rule_id: str, _: Outcome | None, asserts: Asserts) -> RuleSet:
    where = draft.rules.position(rule_id) + 1
    original = draft.rules.rules[where - 1]
    copy = Rule(draft.new_id(), original.clauses, original.outcome, asserted=True, enabled=False, asserts=asserts)
    return replace(draft.rules, rules=(*draft.rules.rules[:where], copy, *draft.rules.rules[where:]))


def _remove(draft: Draft, rule_id: str, otherwise: Outcome | None, asserts: Asserts) -> RuleSet:
    where = draft.rules.position(rule_id)
    remainder = _whole_remainder(draft, draft.rules.rules[where], otherwise, asserts)
    return replace(draft.rules, rules=(*draft.rules.rules[:where], *remainder, *draft.rules.rules[where + 1 :]))


def _disable(draft: Draft, rule_id: str, otherwise: Outcome | None, asserts: Asserts) -> RuleSet:
    where = draft.rules.position(rule_id)
    rule = draft.rules.rules[where]
    if not rule.enabled:
        raise EditRefused(f"{rule_id} is disabled already")
    remainder = _whole_remainder(draft, rule, otherwise, asserts)
    return replace(
        draft.rules,
        rules=(*draft.rules.rules[:where], rule.replace(enabled=False), *remainder, *draft.rules.rules[where + 1 :]),
    )


def _enable(draft: Draft, rule_id: str, _: Outcome | None, asserts: Asserts) -> RuleSet:
    rule = draft.rules.rule(rule_id)
    if rule.enabled:
        raise EditRefused(f"{rule_id} is enabled already")
    return _swapped(draft.rules, rule.replace(enabled=True, asserts=asserts))


def _move(draft: Draft, rule_id: str, place: tuple[str, str], asserts: Asserts) -> RuleSet:
    where = draft.rules.position(rule_id)
    if place[1] == rule_id:
        raise EditRefused(f"{rule_id} can't stand {place[0]} itself; name another rule")
    rule = draft.rules.rules[where].replace(placed=True, asserts=asserts)
    others = replace(draft.rules, rules=draft.rules.rules[:where] + draft.rules.rules[where + 1 :])
    target = _beside(others, place)
    return replace(draft.rules, rules=(*others.rules[:target], rule, *others.rules[target:]))


def _confirm(draft: Draft, rule_id: str, _: Outcome | None, asserts: Asserts) -> RuleSet:
    rule = draft.rules.rule(rule_id)
    if rule.confirmed:
        raise EditRefused(f"{rule_id} is confirmed already")
    return _swapped(draft.rules, rule.replace(confirmed=True, asserts=asserts))


def _confidence(draft: Draft, rule_id: str, confidence: float | None) -> RuleSet:
    rule = draft.rules.rule(rule_id)
    if not rule.asserted:
        raise EditRefused(f"{rule_id} is extracted, nobody asserts it; confirm it first")
    return _swapped(draft.rules, rule.replace(confidence=confidence))


def _default(draft: Draft, outcome: Outcome) -> RuleSet:
    check_default(outcome, draft.schema)
    return replace(draft.rules, default=outcome)


def _resolve(
    draft: Draft,
    pair: tuple[str, str] | None,
    strategy: str,
    outcome: Outcome | None,
    weights: tuple[float, float] | None,
) -> RuleSet:
    taken = draft.seen_ids()
    return resolve(draft.rules, draft.schema, pair, strategy, outcome=outcome, weights=weights, taken=taken)


def _swapped(rules: RuleSet, rule: Rule) -> RuleSet:
    return replace(rules, rules=tuple(rule if other.id == rule.id else other for other in rules.rules))


def _whole_remainder(draft: Draft, rule: Rule, otherwise: Outcome | None, asserts: Asserts) -> tuple[Rule, ...]:
    if otherwise is None:
        return ()
    if not rule.enabled:
        raise EditRefused(f"{rule.id} is disabled and uncovers nothing; leave out the otherwise")
    for name in otherwise.classes:
        draft.schema.check_class(name)
    return _named_remainders(draft, rule, [rule.clauses], otherwise, asserts)


def _remainders(
    draft: Draft, rule: Rule, boxes: Sequence[Box], otherwise: Outcome, asserts: Asserts
) -> tuple[Rule, ...]:
    """The uncovered boxes as rules that say THEN ``otherwise``."""
    for name in otherwise.classes:
        draft.schema.check_class(name)
    conjunctions = [clauses for box in boxes for clauses in box_clauses(box, draft.schema, rule.clauses)]
    if not conjunctions or not rule.enabled:
        raise EditRefused(f"the edit uncovers no row of {rule.id}, so there is nothing for the otherwise; leave it out")
    return _named_remainders(draft, rule, conjunctions, otherwise, asserts)


def _named_remainders(
    draft: Draft, rule: Rule, conjunctions: Sequence[tuple[Clause, ...]], otherwise: Outcome, asserts: Asserts
) -> tuple[Rule, ...]:
    seen = draft.seen_ids()
    numbers = (number for number in itertools.count(1) if f"{rule.id}~{number}" not in seen)
    return tuple(
        Rule(f"{rule.id}~{next(numbers)}", clauses, otherwise, asserted=True, asserts=asserts, remainder_of=rule.id)
        for clauses in conjunctions
    )


# --- places and assertions -------------------------------------------------------------------


def _front(rules: Sequence[Rule]) -> int:
    """Behind the asserted rules that lead, ahead of the extracted ones."""
    return next((place for place, rule in enumerate(rules) if not rule.asserted), len(rules))


def _beside(rules: RuleSet, place: tuple[str, str]) -> int:
    where = rules.position(place[1])
    return where if place[0] == "before" else where + 1


def _placed(base: RuleSet, rules: RuleSet, rule: Rule) -> RuleSet:
    """Move a changed rule ahead of the extracted ones, and one that is as in the base back home."""
    if rule.placed:
        return rules
    where = rules.position(rule.id)
    others = rules.rules[:where] + rules.rules[where + 1 :]
    known = {extracted.id: extracted for extracted in base}
    if rule.id in known and rule.says(known[rule.id]):
        target = _home(base, others, rule)
    elif any(not other.asserted for other in rules.rules[:where]):
        target = _front(others)
    else:
        return rules
    return replace(rules, rules=(*others[:target], rule, *others[target:]))


def _home(base: RuleSet, others: Sequence[Rule], rule: Rule) -> int:
    """The place of a rule as in the base: behind what leads it there, ahead of its own remainders and what follows."""
    origin = base.position(rule.id)
    at_home = _at_home(base, others)
    start = max((place + 1 for place, other in at_home.items() if other < origin), default=0)
    for place in range(start, len(others)):
        if at_home.get(place, -1) > origin or others[place].remainder_of == rule.id:
            return place
    return len(others)


def _at_home(base: RuleSet, rules: Sequence[Rule]) -> dict[int, int]:
    """The places of the rules that are as in the base and that nobody moved, each with its place there.

    They stand in the base's order: every edit keeps it so.
    """
    known = {extracted.id: (origin, extracted) for origin, extracted in enumerate(base)}
    return {
        place: known[rule.id][0]
        for place, rule in enumerate(rules)
        if rule.id in known and not rule.placed and rule.says(known[rule.id][1])
    }


def _reasserted(draft: Draft, rules: RuleSet) -> RuleSet:
    """Work out which rules are asserted, from base and edited rule set alone."""
    known = {rule.id: rule for rule in draft.base}
    settled = _unplaced(draft.base, rules.rules)
    return replace(rules, rules=tuple(_with_assertion(rule, known.get(rule.id)) for rule in settled))


def _with_assertion(rule: Rule, base: Rule | None) -> Rule:
    asserted = (
        base is None
        or rule.confirmed
        or rule.placed
        or base.asserted
        or not rule.says(base)
        or (rule.enabled and not base.enabled)
    )
    if asserted:
        # The very rule where nothing changes: what is known of it stays known.
        return rule if rule.asserted else rule.replace(asserted=True)
    return rule.replace(asserted=False, asserts="whole", confidence=None)


def _unplaced(base: RuleSet, rules: Sequence[Rule]) -> list[Rule]:
    """The rules; one that is as in the base and stands where it stood among those at home is no longer moved."""
    listed = list(rules)
    known = {extracted.id: (origin, extracted) for origin, extracted in enumerate(base)}
    # One after another: two moved rules that changed places are not both at home.
    for place, rule in enumerate(listed):
        if not rule.placed or rule.id not in known or not rule.says(known[rule.id][1]):
            continue
        origin, extracted = known[rule.id]
        if all((other < origin) == (there < place) for there, other in _at_home(base, listed).items()):
            listed[place] = rule.replace(placed=extracted.placed)
    return listed


_READERS: dict[str, Callable[[str, str], Edit]] = {
    "set": _read_set,
    "add": _read_add,
    "drop": _read_drop,
    "then": _read_then,
    "new": _read_new,
    "duplicate": _read_one(_duplicate, otherwise=False),
    "remove": _read_one(_remove, otherwise=True),
    "disable": _read_one(_disable, otherwise=True),
    "enable": _read_one(_enable, otherwise=False),
    "move": _read_move,
    "confirm": _read_one(_confirm, otherwise=False),
    "confidence": _read_confidence,
    "default": _read_default,
    "resolve": _read_resolve,
    "undo": _read_history("undo"),
    "redo": _read_history("redo"),
}
