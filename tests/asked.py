"""What edits ask for, one row at a time: Semantics 4, 5 and 7 without regions or arrays; and a model to ask."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ruleedit.matching import Matrix
from ruleedit.models import Reals
from ruleedit.rules import MODEL, Clause, Outcome, Rule, RuleSet, Settlement
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from tests.reference import Cell, Row, as_read, covers, decides


def cells(feature: Feature, clauses: Iterable[Clause]) -> list[Cell]:
    """Values of every kind that the clauses tell apart: at and beside each number, each category, unseen, missing."""
    found: list[Cell] = [None] if feature.missing else []
    if feature.kind == "boolean":
        return [*found, "false", "true"]
    if feature.kind == "categorical":
        return [*found, *feature.categories, "never seen"]
    numbers = {as_read(float(value)) for clause in clauses if clause.feature == feature.name for value in clause.values}
    if feature.kind == "integer":
        beside = {number + step for number in numbers for step in (-1.0, 0.0, 1.0)}
    else:
        beside = {as_read(math.nextafter(number, number + step)) for number in numbers for step in (-1.0, 0.0, 1.0)}
        beside |= {1.1e-35 if number == 0.0 else number for number in numbers}
        beside |= {-1.1e-35 for number in numbers if number == 0.0} | numbers
    return [*found, *sorted(beside | {100.0, -100.0})]


def grid(rules: Iterable[Rule], schema: Schema) -> list[Row]:
    """Rows of every kind that the rules tell apart."""
    clauses = [clause for rule in rules for clause in rule.clauses]
    columns = [cells(feature, clauses) for feature in schema.features]
    return [dict(zip(schema.names, values, strict=True)) for values in itertools.product(*columns)]


def at_odds(first: Rule, second: Rule) -> bool:
    """Whether two rules, the first ahead of the second, disagree where they meet."""
    return first.outcome != second.outcome and second.remainder_of != first.id


def standing(rules: RuleSet, first: Rule, second: Rule, schema: Schema) -> Settlement | None:
    """The settlement of two rules, unless an outcome changed or a row came into their intersection."""
    for settlement in rules.settlements:
        if set(settlement.rules) == {first.id, second.id}:
            now = {first.id: first, second.id: second}
            then = [parse_rule(text, name) for name, text in zip(settlement.rules, settlement.texts, strict=True)]
            if any(rule.outcome != now[rule.id].outcome for rule in then):
                return None
            for row in grid([first, second, *then], schema):
                both = all(covers(rule, row, schema) for rule in (first, second))
                if both and not all(covers(rule, row, schema) for rule in then):
                    return None
            return settlement
    return None


def settle(rules: RuleSet, members: Sequence[Rule], schema: Schema) -> tuple[list[Rule], Outcome | None]:
    """Who holds a row that exactly these asserted rules cover, and the answer; None where it is unresolved."""
    beaten = {late.id for early, late in itertools.combinations(members, 2) if late.remainder_of == early.id}
    answers: dict[tuple[str, str], Outcome | None] = {}
    for early, late in itertools.combinations(members, 2):
        if at_odds(early, late):
            settlement = standing(rules, early, late, schema)
            answers[early.id, late.id] = settlement.outcome if settlement else None
            if settlement is not None and settlement.winner is not None:
                beaten.add(({early.id, late.id} - {settlement.winner}).pop())
    rest = [rule for rule in members if rule.id not in beaten]
    if len({rule.outcome for rule in rest}) == 1:
        return rest, rest[0].outcome
    pairs = [answers[one.id, two.id] for one, two in itertools.combinations(rest, 2) if (one.id, two.id) in answers]
    agreed = pairs[0] if pairs and all(answer == pairs[0] for answer in pairs) else None
    return rest, agreed


def covering(rules: RuleSet, row: Row, schema: Schema) -> list[Rule]:
    """The enabled asserted rules that cover the row, in order."""
    return [rule for rule in rules.rules if rule.enabled and rule.asserted and covers(rule, row, schema)]


def said(rules: RuleSet, row: Row, schema: Schema) -> Outcome:
    """What the rule set says, settlements included; where a conflict is open, first match."""
    place = decides(rules, row, schema)
    rule = rules.rules[place] if place >= 0 else None
    if rule is None:
        return rules.default
    if not rule.asserted:
        return rule.outcome
    _, outcome = settle(rules, covering(rules, row, schema), schema)
    return rule.outcome if outcome is None else outcome


@dataclass(frozen=True)
class Asked:
    """What is asked for a row: why, and the outcome."""

    kind: str
    outcome: Outcome


def asked(base: RuleSet, edited: RuleSet, row: Row, schema: Schema) -> Asked | None:
    """What the edits ask for, for one row; None for nothing."""
    place = decides(edited, row, schema)
    rule = edited.rules[place] if place >= 0 else None
    if rule is not None and rule.asserted:
        holders, outcome = settle(edited, covering(edited, row, schema), schema)
        if outcome is None:
            return Asked("undecided", MODEL)
        if holders[0].asserts == "change" and said(base, row, schema) == outcome:
            return None
        return Asked("asserted", outcome)
    was = decides(base, row, schema)
    if was < 0 or (rule is not None and rule.id == base.rules[was].id):
        return None
    return Asked("uncovered", edited.default if rule is None else rule.outcome)


@dataclass(frozen=True)
class Fake:
    """A model of plain arithmetic: the same bits for a row whatever rows come with it."""

    schema: Schema
    thresholds: tuple[float, ...]
    slope: float = 1.0

    @classmethod
    def of(cls, schema: Schema, slope: float = 1.0) -> Fake:
        """One with equal thresholds."""
        return cls(schema, (1.0 / len(schema.classes),) * len(schema.classes), slope)

    def proba(self, rows: Matrix) -> Reals:
        """A share for each class that rises and falls with every feature."""
        scores = np.ones((len(rows), len(self.schema.classes)))
        for place in range(rows.shape[1]):
            column = np.where(np.isnan(rows[:, place]), 1.5, rows[:, place])
            for code in range(scores.shape[1]):
                away = (column - 1.7 * code - place) * self.slope
                scores[:, code] = scores[:, code] / (1.0 + away * away)
        total = scores[:, 0].copy()
        for code in range(1, scores.shape[1]):
            total = total + scores[:, code]
        shares: Reals = scores / total[:, None]
        return shares
