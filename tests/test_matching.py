"""Matching whole tables: the same answers as row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from ruleedit.matching import (
    FEW,
    box_mask,
    decide,
    first_box,
    first_region,
    outcome_codes,
    outcome_table,
    part_mask,
    region_mask,
    set_mask,
)
from ruleedit.regions import Box, Part, Region, clause_set, clauses_box
from ruleedit.rules import MODEL, Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from tests import strategies
from tests.reference import Row, all_true, covers, decides, encoded
from tests.strategies import World

JOBS = tuple(f"job {number}" for number in range(FEW + 4))
SCHEMA = Schema((Feature("age", "integer"), Feature("job", "categorical", categories=JOBS)), "y", ("a", "b"))
AGES = [age for age in range(3) for _ in range(len(JOBS) + 2)]
ROWS: list[Row] = [{"age": float(age), "job": job} for age in range(3) for job in (*JOBS, "unseen", None)]
CODES = encoded(ROWS, SCHEMA)


def test_many_rule_sets_decide_as_row_by_row(worlds: list[World]) -> None:
    """Promise 9: on random rule sets and tables every row has the rule that plain reading gives it."""
    for world in worlds:
        found = decide(world.rules, encoded(world.rows, world.schema), world.schema)
        assert found.tolist() == [decides(world.rules, row, world.schema) for row in world.rows]


@given(strategies.worlds())
def test_rule_sets_decide_as_row_by_row(world: World) -> None:
    """The first enabled rule that covers a row decides it, else the default."""
    found = decide(world.rules, encoded(world.rows, world.schema), world.schema)
    assert found.tolist() == [decides(world.rules, row, world.schema) for row in world.rows]


def test_a_rules_box_holds_the_rows_that_it_covers(worlds: list[World]) -> None:
    """A mask is true exactly where every clause is true."""
    for world in worlds:
        for rule in world.rules:
            mask = box_mask(clauses_box(rule.clauses, world.schema), encoded(world.rows, world.schema), world.schema)
            assert mask.tolist() == [covers(rule, row, world.schema) for row in world.rows]


def test_masks_hold_the_rows_of_boxes_parts_and_regions(worlds: list[World]) -> None:
    """The arrays answer as ``row in box``, ``row in part`` and ``row in region`` do."""
    for world in worlds:
        codes = encoded(world.rows, world.schema)
        box, hole = world.boxes
        part, region = Part.of(box, (hole,)), world.regions[0]
        assert box_mask(box, codes, world.schema).tolist() == [row in box for row in world.rows]
        assert part_mask(part, codes, world.schema).tolist() == [row in part for row in world.rows]
        assert region_mask(region, codes, world.schema).tolist() == [row in region for row in world.rows]


def test_the_first_match_is_found(worlds: list[World]) -> None:
    """`first_box` and `first_region` give the place of the first that holds the row, or -1."""
    for world in worlds:
        codes = encoded(world.rows, world.schema)
        boxes = [next((place for place, box in enumerate(world.boxes) if row in box), -1) for row in world.rows]
        regions = [
            next((place for place, region in enumerate(world.regions) if row in region), -1) for row in world.rows
        ]
        assert first_box(world.boxes, codes, world.schema).tolist() == boxes
        assert first_region(world.regions, codes, world.schema).tolist() == regions


@pytest.mark.parametrize("operator", ["in", "not in"])
@pytest.mark.parametrize("many", [1, FEW, FEW + 1, FEW + 3])
def test_few_and_many_categories_are_matched_alike(operator: str, many: int) -> None:
    """A set looked up by code answers as one compared value by value: unseen and missing included."""
    clause = Clause("job", operator, JOBS[-many:])  # type: ignore[arg-type]
    mask = box_mask(clauses_box([clause], SCHEMA), CODES, SCHEMA)
    assert mask.tolist() == [all_true([clause], row, SCHEMA) for row in ROWS]


@pytest.mark.parametrize("many", [1, FEW + 1])
def test_a_set_with_missing_holds_the_missing_cells(many: int) -> None:
    """The complement of a set of categories holds the missing cells, the complement of that doesn't."""
    feature = SCHEMA.feature("job")
    values = clause_set(Clause("job", "in", JOBS[:many]), feature)
    inside, outside = (set_mask(side, CODES[:, 1], feature) for side in (values, values.complement()))
    assert (inside ^ outside).all()
    assert outside[np.isnan(CODES[:, 1])].all()


def test_some_rows_are_held_as_all_are(worlds: list[World]) -> None:
    """Asked of a few rows a box says of each what it says of it among all."""
    for world in worlds:
        rows = encoded(world.rows, world.schema)
        at = np.arange(len(rows))[::-2]
        for rule in world.rules:
            box = clauses_box(rule.clauses, world.schema)
            assert box_mask(box, rows, world.schema, at).tolist() == box_mask(box, rows, world.schema)[at].tolist()
        assert not box_mask(Box.of({}), rows, world.schema, at[:0]).size


def test_a_table_without_rows_has_empty_masks() -> None:
    """No rows are no trouble."""
    rules = RuleSet((parse_rule("IF age > 1 THEN a", "R1"),), Outcome.of("b"))
    assert decide(rules, CODES[:0], SCHEMA).tolist() == []
    assert region_mask(Region.of(Box()), CODES[:0], SCHEMA).tolist() == []


def test_a_rule_set_without_rules_leaves_all_to_the_default() -> None:
    """The default has the place -1."""
    assert set(decide(RuleSet((), MODEL), CODES, SCHEMA).tolist()) == {-1}


def test_a_disabled_rule_never_decides() -> None:
    """Places count all the rules, but only enabled ones are found."""
    first = Rule("R1", (Clause("age", ">=", 0.0),), Outcome.of("a"), enabled=False)
    second = Rule("R2", (Clause("age", ">=", 1.0),), Outcome.of("b"))
    found = decide(RuleSet((first, second), MODEL), CODES, SCHEMA)
    assert found.tolist() == [1 if age >= 1 else -1 for age in AGES]


def test_the_first_match_wins() -> None:
    """Of two rules that cover a row the earlier decides."""
    rules = tuple(Rule(f"R{place}", (Clause("age", ">=", float(2 - place)),), MODEL) for place in range(3))
    assert decide(RuleSet(rules, MODEL), CODES, SCHEMA).tolist() == [2 - age for age in AGES]


def test_an_empty_box_holds_nothing_and_the_full_one_everything() -> None:
    """A box without sets is every row."""
    empty = clauses_box([Clause("age", ">", 1.0), Clause("age", "<", 1.0)], SCHEMA)
    assert not box_mask(empty, CODES, SCHEMA).any()
    assert box_mask(Box(), CODES, SCHEMA).all()
    assert not region_mask(Region(), CODES, SCHEMA).any()


def test_outcomes_come_as_tables_and_codes() -> None:
    """One line of probabilities for each outcome, and its greatest class; the model has none."""
    outcomes = [Outcome.of("b"), MODEL, Outcome.spread({"a": 0.5, "b": 0.5})]
    assert outcome_table(outcomes, ("a", "b")).tolist() == [[0.0, 1.0], [0.0, 0.0], [0.5, 0.5]]
    assert outcome_codes(outcomes, ("a", "b")).tolist() == [1, -1, 0]
    assert outcome_table([], ("a", "b")).shape == (0, 2)
