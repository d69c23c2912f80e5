"""One row and a rule set: what it lacks, and the least change of the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from ruleedit.local.rules import by_rules, least_change
from ruleedit.matching import Indices, Matrix, decide, outcome_codes
from ruleedit.models import Background
from ruleedit.regions import NumberSet, rule_box
from ruleedit.rules import MODEL, Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from tests.local.reference import least_in_grid
from tests.reference import encoded
from tests.strategies import Dice, make_row, make_rule_set, make_schema

SCHEMA = Schema(
    (
        Feature("age", "integer", low=0.0, high=99.0),
        Feature("job", "categorical", categories=("cook", "clerk")),
        Feature("rate", "numeric"),
    ),
    "y",
    ("no", "yes"),
)
ROWS = np.array([[30.0, 1.0, 0.5], [40.0, 2.0, 1.5], [50.0, 1.0, 2.5], [60.0, 1.0, np.nan]])
BACKGROUND = Background.of(ROWS, np.array([0, 1, 0, 1]), SCHEMA)
OLD = Rule("R1", (Clause("age", ">", 45.0), Clause("job", "=", "cook")), Outcome.of("yes"))
EARLY = Rule("R2", (Clause("age", "between", (46.0, 49.0)),), Outcome.of("no"))


def answers_of(rules: RuleSet, schema: Schema) -> Callable[[Matrix], Indices]:
    codes = outcome_codes([*(rule.outcome for rule in rules), rules.default], schema.classes)
    return lambda rows: codes[decide(rules, rows, schema)]


def test_the_clauses_that_fail_are_named() -> None:
    """For the nearest rule of the other class, with how far it is."""
    view = by_rules(RuleSet((OLD,), Outcome.of("no")), ROWS[1], SCHEMA, BACKGROUND)
    assert (view.rule, view.outcome) == (None, "no")
    (near,) = view.nearest
    assert (near.rule, near.fails) == (OLD, OLD.clauses)
    assert near.distance == pytest.approx(6.0 / BACKGROUND.deviations[0] + 1.0)
    assert near.to_json()["fails"] == ["age > 45", "job = cook"]


def test_the_least_change_is_what_flips() -> None:
    """One step past the bound."""
    change = least_change(RuleSet((OLD,), Outcome.of("no")), ROWS[0], SCHEMA, BACKGROUND)
    assert change is not None
    assert (change.outcome, change.values, change.least) == ("yes", (("age", 30.0, 46.0),), True)
    assert str(change) == "age 30 -> 46"


def test_an_earlier_rule_is_walked_around() -> None:
    """Where R2 stands before R1 the nearest row of R1 isn't R1's."""
    change = least_change(RuleSet((EARLY, OLD), Outcome.of("no")), ROWS[0], SCHEMA, BACKGROUND)
    assert change is not None
    assert change.values == (("age", 30.0, 50.0),)


def test_a_row_that_a_rule_covers_and_another_decides_lacks_nothing() -> None:
    """Its nearest rule fails no clause; the change is out of the earlier rule."""
    row = np.array([47.0, 1.0, 0.5])
    view = by_rules(RuleSet((EARLY, OLD), Outcome.of("no")), row, SCHEMA, BACKGROUND)
    assert view.rule == EARLY
    assert (view.nearest[0].fails, view.nearest[0].distance) == ((), 0.0)
    assert view.nearest[0].held == ("R2",)
    assert view.change is not None
    assert view.change.values == (("age", 47.0, 50.0),)


def test_a_class_that_only_the_default_says_is_nearest_there() -> None:
    """The row would have to leave the rules that hold it."""
    view = by_rules(RuleSet((OLD,), Outcome.of("no")), ROWS[2], SCHEMA, BACKGROUND)
    (near,) = view.nearest
    assert (near.outcome, near.rule, near.fails, near.held) == ("no", None, (), ("R1",))
    assert near.to_json()["rule"] is None


def test_no_value_is_taken_away() -> None:
    """A rule on missing values is no way out for a row that has one; a missing value may be filled in."""
    rule = Rule("R1", (Clause("rate", "is missing"),), Outcome.of("yes"))
    view = by_rules(RuleSet((rule,), Outcome.of("no")), ROWS[0], SCHEMA, BACKGROUND)
    assert (view.nearest, view.change) == ((), None)
    change = least_change(RuleSet((rule,), Outcome.of("no")), ROWS[3], SCHEMA, BACKGROUND)
    assert change is not None
    assert (change.outcome, change.distance) == ("no", 1.0)
    assert change.values[0][:2] == ("rate", None)


def test_where_the_rules_leave_it_to_the_model_they_say_nothing() -> None:
    """There is no answer to flip; and no rule that says model is a flip."""
    model = Rule("R1", (Clause("age", "<", 40.0),), MODEL)
    view = by_rules(RuleSet((model,), Outcome.of("no")), ROWS[0], SCHEMA, BACKGROUND)
    assert (view.rule, view.outcome, view.change) == (model, None, None)
    assert least_change(RuleSet((model,), Outcome.of("no")), ROWS[1], SCHEMA, BACKGROUND) is None


def boundaries(rules: RuleSet, schema: Schema, row: Matrix) -> Iterator[list[float]]:
    """For each feature a value of every set that the rules can tell apart, the ends of intervals for a number."""
    for place, feature in enumerate(schema.features):
        if not feature.is_number:
            yield [0.0, 1.0] if feature.kind == "boolean" else [0.0, *map(float, feature.code_of.values())]
            continue
        ends: list[float] = [0.0] if math.isnan(row[place]) else []
        for rule in rules.enabled:
            values = rule_box(rule, schema).by_feature.get(feature.name)
            for each in () if values is None else (values, values.complement()):
                assert isinstance(each, NumberSet)
                ends += [end for interval in each.intervals for end in interval if math.isfinite(end)]
        yield ends


def test_is_the_least_against_every_row_of_a_grid(count: Callable[[int, int], int]) -> None:
    """On random rules, with missing values, ties, odd numbers and rules that hide each other."""
    dice, found = Dice(11), 0
    for _ in range(count(250, 3_000)):
        schema = make_schema(dice, most=3)
        rules = make_rule_set(dice, schema, most=4)
        rows = encoded([make_row(dice, schema) for _ in range(12)], schema)
        background = Background.of(rows, np.zeros(12, dtype=np.intp), schema)
        row, answers = rows[0], answers_of(rules, schema)
        if answers(row[None, :])[0] < 0:
            continue
        values = list(boundaries(rules, schema, row))
        if math.prod(len(axis) + 1 for axis in values) > 20_000:
            continue
        least = least_in_grid(row, values, answers, schema, background)
        change = least_change(rules, row, schema, background)
        assert (change is None) == (least is None)
        if change is not None and least is not None:
            found += 1
            assert change.distance == pytest.approx(least)
            assert schema.classes[answers(change.row[None, :])[0]] == change.outcome
            assert answers(change.row[None, :])[0] != answers(row[None, :])[0]
            assert not (np.isnan(change.row) & ~np.isnan(row)).any()
    assert found > 50
