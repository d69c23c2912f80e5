"""Drafts: a rule set as it was extracted or is in force, the rule set with the edits, and the history between.

Every entry of the history holds the exact change that it made, so each has an inverse. The
`content` hash says what the rules say and comes back when an edit is undone; the `revision` is
a hash of parent, edit and content, and never comes back. `ruleedit.edits` makes the edits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ruleedit.errors import EditRefused, OutcomeRefused
from ruleedit.regions import Box, check_rule, rule_box, set_clauses
from ruleedit.rules import Outcome, Rule, RuleSet, Settlement
from ruleedit.schema import Schema, content_hash

if TYPE_CHECKING:
    from ruleedit.conflicts.kept import Kept

#: Up to so many rules pairs of boxes are looked at one by one.
FEW = 64
#: How a rule set says which parts it puts out and in: places and rules.
Placed: TypeAlias = tuple[tuple[int, Rule], ...]


@dataclass(frozen=True)
class Change:
    """What one edit did to a rule set: the rules taken out and put in with their places, and the rest.

    It is exact: `inverse` swaps both sides, and ``change.inverse().make(change.make(rules))`` is
    ``rules`` again.
    """

    out: Placed
    put: Placed
    default: tuple[Outcome, Outcome] | None = None
    settlements: tuple[tuple[Settlement, ...], tuple[Settlement, ...]] | None = None

    @classmethod
    def between(cls, old: RuleSet, new: RuleSet) -> Change:
        """The change that makes ``new`` of ``old``."""
        kept = _kept(old.rules, new.rules)
        out = tuple((place, rule) for place, rule in enumerate(old.rules) if rule.id not in kept)
        put = tuple((place, rule) for place, rule in enumerate(new.rules) if rule.id not in kept)
        default = None if old.default == new.default else (old.default, new.default)
        settlements = None if old.settlements == new.settlements else (old.settlements, new.settlements)
        return cls(out, put, default, settlements)

    def inverse(self) -> Change:
        """The change that takes this one back."""
        default = None if self.default is None else (self.default[1], self.default[0])
        settlements = None if self.settlements is None else (self.settlements[1], self.settlements[0])
        return Change(self.put, self.out, default, settlements)

    def make(self, rules: RuleSet) -> RuleSet:
        """Make the change; raises `EditRefused` where the rule set isn't the one it was made for."""
        listed = list(rules.rules)
        for place, rule in reversed(self.out):
            if place >= len(listed) or listed[place] != rule:
                raise EditRefused(f"rule {rule.id} isn't as the history says; the file was changed by hand")
            del listed[place]
        for place, rule in self.put:
            listed.insert(place, rule)
        default = rules.default if self.default is None else self.default[1]
        settlements = rules.settlements if self.settlements is None else self.settlements[1]
        return RuleSet(tuple(listed), default, settlements)


@dataclass(frozen=True)
class Step:
    """One entry of the history: what was asked, by whom, why, and what it did.

    ``undoes`` and ``redoes`` name the step (its place in the history) that an undo or redo is
    about.
    """

    edit: str
    author: str
    reason: str
    change: Change
    content: str
    revision: str
    undoes: int | None = None
    redoes: int | None = None


@dataclass(frozen=True)
class Draft:
    """A base, the edited rule set, and how one came from the other.

    ``origin`` holds what the extraction said of itself (method, fidelity, figures of each rule);
    it is shown and never used to decide.
    """

    schema: Schema
    base: RuleSet
    rules: RuleSet
    history: tuple[Step, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: RuleSet, schema: Schema, origin: Mapping[str, Any] | None = None) -> Draft:
        """Start from a rule set that nobody has edited; every rule is checked against the schema.

        Raises `EditRefused` where two rules have the same id.
        """
        seen: set[str] = set()
        for rule in rules:
            check_rule(rule, schema)
            if rule.id in seen:
                raise EditRefused(f"two rules have the id {rule.id}; give each rule one of its own")
            seen.add(rule.id)
        check_default(rules.default, schema)
        return cls(schema, rules, rules, (), dict(origin or {}))

    @property
    def content(self) -> str:
        """The hash of what the rules say: it comes back when an edit is undone."""
        return _content(self.rules, self.schema)

    @property
    def revision(self) -> str:
        """The hash of parent, edit and content: it never comes back."""
        return self.history[-1].revision if self.history else _first_revision(self)

    @property
    def undoable(self) -> int | None:
        """The step that `undo` would take back."""
        return next(reversed(self._stacks()[0]), None)

    @property
    def redoable(self) -> int | None:
        """The step that `redo` would make again."""
        return next(reversed(self._stacks()[1]), None)

    def commit(self, edit: str, rules: RuleSet, *, reason: str, author: str) -> Draft:
        """Append a step that makes ``rules`` of the present rule set."""
        return self._append(edit, Change.between(self.rules, rules), reason, author)

    def undo(self, *, reason: str, author: str) -> Draft:
        """Take back the last step that stands; raises `EditRefused` where there is none."""
        step = self.undoable
        if step is None:
            raise EditRefused("there is nothing to undo")
        return self._append("undo", self.history[step].change.inverse(), reason, author, undoes=step)

    def redo(self, *, reason: str, author: str) -> Draft:
        """Make the last undone step again; raises `EditRefused` where there is none."""
        step = self.redoable
        if step is None:
            raise EditRefused("there is nothing to redo")
        return self._append("redo", self.history[step].change, reason, author, redoes=step)

    def restore(self, earlier: Draft, *, reason: str, author: str) -> Draft:
        """Let the rules be as they were at an earlier revision, as one step that `undo` takes back.

        Raises `EditRefused` where they are so already.
        """
        if earlier.content == self.content:
            raise EditRefused(f"the rules are as they were at {earlier.revision[:12]} already")
        return self.commit(f"restore {earlier.revision[:12]}", earlier.rules, reason=reason, author=author)

    def new_id(self) -> str:
        """The next free id of the form R1, R2, ...; an id is never used again."""
        numbers = [int(match.group(1)) for match in map(re.compile(r"R(\d+)").match, self.seen_ids()) if match]
        return f"R{max(numbers, default=0) + 1}"

    def seen_ids(self) -> set[str]:
        """Every id that a rule has or had."""
        seen = {rule.id for rule in (*self.base, *self.rules)}
        return seen | {rule.id for step in self.history for _, rule in step.change.put}

    def warnings(self, kept: Kept | None = None) -> tuple[str, ...]:
        """What an edit doesn't mend by itself: clauses that say nothing, rules that never decide.

        ``kept`` is what is known of the rules' boxes from before, where somebody tries edit after edit.
        """
        rules = self.rules.enabled
        boxes = [rule_box(rule, self.schema) if kept is None else kept.box(rule) for rule in rules]
        return (*_idle_clauses(rules, boxes, self.schema), *_shadowed(rules, boxes, kept))

    def _append(
        self, edit: str, change: Change, reason: str, author: str, undoes: int | None = None, redoes: int | None = None
    ) -> Draft:
        rules = change.make(self.rules)
        content = _content(rules, self.schema)
        revision = content_hash([self.revision, edit, author, reason, content])
        step = Step(edit, author, reason, change, content, revision, undoes, redoes)
        return replace(self, rules=rules, history=(*self.history, step))

    @property
    def standing(self) -> tuple[int, ...]:
        """The steps that made the present rule set, oldest first: those that nobody took back."""
        return tuple(self._stacks()[0])

    def _stacks(self) -> tuple[list[int], list[int]]:
        done: list[int] = []
        undone: list[int] = []
        for place, step in enumerate(self.history):
            if step.undoes is not None:
                undone.append(done.pop())
            elif step.redoes is not None:
                done.append(undone.pop())
            else:
                done.append(place)
                undone = []
        return done, undone


def check_default(outcome: Outcome, schema: Schema) -> None:
    """Raise where an outcome can't be a rule set's default."""
    if outcome.is_model:
        raise OutcomeRefused("the default is a class or a distribution; add a rule that says THEN model instead")
    for name in outcome.classes:
        schema.check_class(name)


def _kept(old: Sequence[Rule], new: Sequence[Rule]) -> set[str]:
    """The ids of a longest run of rules that are the same and in the same order on both sides."""
    places = {rule.id: place for place, rule in enumerate(old)}
    common = [places[rule.id] for rule in new if rule.id in places and old[places[rule.id]] == rule]
    best: list[list[int]] = []
    # Patience sorting would be quicker; rule lists are short, and one edit leaves them nearly sorted.
    if common == sorted(common):
        return {old[place].id for place in common}
    for place in common:
        longest = max((run for run in best if run[-1] < place), key=len, default=[])
        best.append([*longest, place])
    return {old[place].id for place in max(best, key=len)}


def rule_json(rule: Rule) -> dict[str, Any]:
    """A rule as it stands in a rule file."""
    out: dict[str, Any] = {
        "id": rule.id,
        "text": str(rule),
        "outcome": str(rule.outcome),
        "asserted": rule.asserted,
        "enabled": rule.enabled,
    }
    if rule.asserts != "whole":
        out["asserts"] = rule.asserts
    out |= {name: True for name in ("confirmed", "placed") if getattr(rule, name)}
    out |= {name: getattr(rule, name) for name in ("remainder_of", "part_of") if getattr(rule, name)}
    if rule.confidence is not None:
        out["confidence"] = rule.confidence
    return out


def settlement_json(settlement: Settlement) -> dict[str, Any]:
    """A settlement as it stands in a rule file."""
    out: dict[str, Any] = {
        "rules": list(settlement.rules),
        "texts": list(settlement.texts),
        "strategy": settlement.strategy,
    }
    if settlement.winner is not None:
        out["winner"] = settlement.winner
    if settlement.outcome is not None:
        out["outcome"] = str(settlement.outcome)
    return out


def _content(rules: RuleSet, schema: Schema) -> str:
    return content_hash(
        {
            "schema": schema.hash,
            "rules": [rule_json(rule) for rule in rules],
            "default": str(rules.default),
            "settlements": [settlement_json(settlement) for settlement in rules.settlements],
        }
    )


def _first_revision(draft: Draft) -> str:
    return content_hash(["extracted", _content(draft.base, draft.schema)])


def _idle_clauses(rules: Sequence[Rule], boxes: Sequence[Box], schema: Schema) -> Iterable[str]:
    for rule, box in zip(rules, boxes, strict=True):
        if len(rule.clauses) == len(box.sets):
            # Each says something of a feature of its own, and nothing can be said in less than a clause.
            continue
        for name, values in box.sets:
            clauses = [clause for clause in rule.clauses if clause.feature == name]
            fewest = set_clauses(values, schema.feature(name))[0]
            if len(clauses) > len(fewest):
                yield f"{rule.id}: {' AND '.join(map(str, clauses))} says no more than {' AND '.join(map(str, fewest))}"


def _shadowed(rules: Sequence[Rule], boxes: Sequence[Box], kept: Kept | None) -> Iterable[str]:
    for place, cover in _covers(boxes, kept):
        yield f"{rules[place].id} never decides: {rules[cover].id} stands before it and covers all its rows"


def _covers(boxes: Sequence[Box], kept: Kept | None) -> Iterable[tuple[int, int]]:
    """Each box that lies in an earlier one, and the first such one, as places."""
    if kept is None and len(boxes) <= FEW:
        for place, box in enumerate(boxes):
            cover = next((earlier for earlier in range(place) if box.within(boxes[earlier])), None)
            if cover is not None:
                yield place, cover
        return
    # Here, so that reading and editing a rule file of usual size needs no numpy.
    import numpy as np

    from ruleedit.conflicts.meeting import containing

    inside = np.tril(containing(boxes) if kept is None else kept.containing(boxes), -1)
    for place in np.flatnonzero(inside.any(axis=1)).tolist():
        yield place, int(inside[place].argmax())
