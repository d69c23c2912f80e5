"""One row and a rule set: which rule decided, what the others lack, and the least change of the answer."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleedit.local.change import Change, changed_values, mover
from ruleedit.matching import Matrix, box_mask, decide
from ruleedit.models import Background
from ruleedit.regions import Box, NumberSet, TextSet, ValueSet, clauses_box, rule_box
from ruleedit.rules import Clause, Rule, RuleSet
from ruleedit.schema import Feature, Schema

#: A search looks at so many boxes at most; some tens are usual.
MOST_STEPS = 20_000


@dataclass(frozen=True)
class Nearest:
    """The rule of a class that needs the least change to cover the row; None is the default, where no rule says it.

    ``fails`` are its clauses that are false, and ``distance`` how far the row is from all of them
    being true. ``held`` are the rules ahead of it that hold the row and say something else.
    """

    outcome: str
    rule: Rule | None
    fails: tuple[Clause, ...]
    held: tuple[str, ...]
    distance: float

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "outcome": self.outcome,
            "rule": None if self.rule is None else self.rule.id,
            "text": None if self.rule is None else str(self.rule),
            "fails": [str(clause) for clause in self.fails],
            "held": list(self.held),
            "distance": self.distance,
        }


@dataclass(frozen=True)
class ByRules:
    """What a rule set says of one row.

    ``rule`` decided it, None for the default; ``outcome`` is its greatest class, None where it
    leaves the row to the model. ``nearest`` has a rule for each other class that has one it may come
    to cover, or that is the default, ``change`` the least change of the answer, None where there is none.
    """

    rule: Rule | None
    outcome: str | None
    nearest: tuple[Nearest, ...]
    change: Change | None

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rule": None if self.rule is None else self.rule.id,
            "text": None if self.rule is None else str(self.rule),
            "outcome": self.outcome,
            "nearest": [nearest.to_json() for nearest in self.nearest],
            "change": None if self.change is None else self.change.to_json(),
        }


def by_rules(rules: RuleSet, row: Matrix, schema: Schema, background: Background) -> ByRules:
    """What a rule set says of one encoded row (features,), and how near it is to saying something else."""
    place = int(decide(rules, row[None, :], schema)[0])
    decided = rules.rules[place] if place >= 0 else None
    outcome = (rules.default if decided is None else decided.outcome).top(schema.classes)
    others = [name for name in schema.classes if name != outcome]
    found = [_nearest(rules, row, name, schema, background) for name in others]
    change = None if outcome is None else least_change(rules, row, schema, background)
    return ByRules(decided, outcome, tuple(nearest for nearest in found if nearest is not None), change)


def _nearest(rules: RuleSet, row: Matrix, outcome: str, schema: Schema, background: Background) -> Nearest | None:
    """The rule of a class whose clauses need the least change; the first of equal ones."""
    moves, present = mover(rules, schema, background), presence(row, schema)
    best: Nearest | None = None
    held: list[str] = []
    for rule in rules.enabled:
        if rule.outcome.top(schema.classes) != outcome and box_mask(rule_box(rule, schema), row[None, :], schema)[0]:
            held.append(rule.id)
        box = rule_box(rule, schema).intersect(present)
        if rule.outcome.top(schema.classes) != outcome or box.is_empty:
            continue
        distance = float(moves.nearest(row[None, :], [box])[1][0])
        if best is None or distance < best.distance:
            fails = tuple(c for c in rule.clauses if not box_mask(clauses_box((c,), schema), row[None, :], schema)[0])
            best = Nearest(outcome, rule, fails, tuple(held), distance)
    if best is None and rules.default.top(schema.classes) == outcome:
        return Nearest(outcome, None, (), tuple(held), 0.0)
    return best


def presence(row: Matrix, schema: Schema) -> Box:
    """The rows that have a value wherever this one has: a change never takes a value away."""
    there = zip(schema.features, row.tolist(), strict=True)
    return Box.of({feature.name: _any_value(feature) for feature, value in there if not math.isnan(value)})


def _any_value(feature: Feature) -> ValueSet:
    if feature.is_number:
        return NumberSet.of([(-math.inf, math.inf)], False, feature)
    return TextSet.of((), True, False, feature)


def least_change(rules: RuleSet, row: Matrix, schema: Schema, background: Background) -> Change | None:
    """The least change after which a rule set answers another class; None where no change does.

    The boxes of all rules that say something else are searched best first. Where a box's nearest
    point is held by an earlier rule that says the same as now, the box without that rule's takes its
    place: the first nearest point that nothing holds is the least change, exactly.
    """
    now = _answer(rules, row, schema)
    moves = mover(rules, schema, background)
    queue: list[tuple[float, int, Box, Matrix, list[Box]]] = []
    numbers = itertools.count()

    def push(box: Box, holes: list[Box]) -> None:
        if not box.is_empty:
            moved, distance = moves.nearest(row[None, :], [box])
            heapq.heappush(queue, (float(distance[0]), next(numbers), box, moved[0], holes))

    present = presence(row, schema)
    for box, holes in _targets(rules, now, schema):
        push(box.intersect(present), holes)
    for _ in range(MOST_STEPS):
        if not queue:
            return None
        distance, _, box, moved, holes = heapq.heappop(queue)
        hole = next((hole for hole in holes if box_mask(hole, moved[None, :], schema)[0]), None)
        if hole is None:
            outcome = _answer(rules, moved, schema)
            assert outcome is not None
            return Change(outcome, moved, changed_values(row, moved, schema), distance, True)
        for piece in box.subtract(hole):
            push(piece, holes)
    return None


def _targets(rules: RuleSet, now: str | None, schema: Schema) -> Iterator[tuple[Box, list[Box]]]:
    """The boxes that say something else, each with the boxes ahead of it that don't."""
    same: list[Box] = []
    for outcome, box in (*((rule.outcome, rule_box(rule, schema)) for rule in rules.enabled), (rules.default, Box())):
        top = outcome.top(schema.classes)
        if top is None or top == now:
            same.append(box)
        else:
            yield box, list(same)


def _answer(rules: RuleSet, row: Matrix, schema: Schema) -> str | None:
    place = int(decide(rules, np.asarray(row)[None, :], schema)[0])
    return (rules.default if place < 0 else rules.rules[place].outcome).top(schema.classes)
