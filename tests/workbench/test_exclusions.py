"""What a counterexample suggests: edits that leave its row out, the cheapest first."""

from __future__ import annotations

import numpy as np
import pytest

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.matching import box_mask
from ruleedit.regions import rule_box
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from service.workspace.exclusions import OFFERED, exclusions
from service.workspace.insight import Lens

SCHEMA = Schema(
    (
        Feature("age", "integer", low=0.0, high=100.0),
        Feature("income", "numeric"),
        Feature("job", "categorical", categories=("a", "b", "c")),
        Feature("member", "boolean"),
    ),
    target="ok",
    classes=("no", "yes"),
)
RULE = Rule("R1", (Clause("age", "<=", 60.0), Clause("job", "in", ("a", "b"))), Outcome.of("no"))
DRAFT = Draft.of(RuleSet((RULE,), Outcome.of("yes")), SCHEMA)


def world(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows with missing values, and a model that says yes to members whatever the rule says."""
    rng = np.random.default_rng(seed)
    size = 500
    rows = np.column_stack(
        [rng.integers(0, 100, size), rng.lognormal(3, 1, size), rng.integers(1, 4, size), rng.integers(0, 2, size)]
    ).astype(float)
    rows[rng.random(rows.shape) < 0.05] = np.nan
    return rows, (rows[:, 3] == 1).astype(np.intp)


@pytest.mark.parametrize("seed", range(8))
def test_each_leaves_the_row_out_and_says_what_else(seed: int) -> None:
    """Counted row by row, for a row that the rule holds."""
    rows, outcomes = world(seed)
    held = box_mask(rule_box(RULE, SCHEMA), rows, SCHEMA)
    row = rows[np.flatnonzero(held)[seed]]
    found = exclusions(DRAFT, RULE, row, "yes", Lens(DRAFT, rows, outcomes, None))
    assert 0 < len(found) <= OFFERED
    for one in found:
        after = edit(DRAFT, [one.edit], reason="r").rules.rule("R1")
        box = rule_box(after, SCHEMA)
        assert not box_mask(box, row[None, :], SCHEMA)[0]
        lost = held & ~box_mask(box, rows, SCHEMA)
        assert (one.lost, one.wanted, one.against) == (
            lost.sum(),
            (outcomes[lost] == 1).sum(),
            (outcomes[lost] == 0).sum(),
        )
        assert one.clause in after.clauses
    prices = [one.against - one.wanted for one in found]
    assert prices == sorted(prices)


def test_what_the_model_goes_by_is_offered_first() -> None:
    """The model says yes to members: leaving them out helps all of them, and costs only where nothing is known."""
    rows, outcomes = world(1)
    held = box_mask(rule_box(RULE, SCHEMA), rows, SCHEMA)
    row = rows[np.flatnonzero(held & (rows[:, 3] == 1))[0]]
    first = exclusions(DRAFT, RULE, row, "yes", Lens(DRAFT, rows, outcomes, None))[0]
    unknown = int((held & np.isnan(rows[:, 3])).sum())
    assert (first.edit, first.against) == ("add R1 member != true", unknown)


def test_a_missing_value_can_be_left_out_by_asking_for_one() -> None:
    """`is not missing` is the clause of a row that has no value there."""
    rows, outcomes = world(2)
    row = np.array([30.0, np.nan, 1.0, 0.0])
    lens = Lens(DRAFT, rows, outcomes, None)
    texts = [one.edit for one in exclusions(DRAFT, RULE, row, "yes", lens)]
    assert "add R1 income is not missing" in texts


def test_what_would_leave_nothing_of_the_rule_is_not_offered() -> None:
    """A rule of one value can't do without it, nor can `age <= 0` get narrower within the schema."""
    rule = Rule("R1", (Clause("job", "in", ("a",)), Clause("age", "<=", 0.0)), Outcome.of("no"))
    draft = Draft.of(RuleSet((rule,), Outcome.of("yes")), SCHEMA)
    rows, outcomes = world(3)
    found = exclusions(draft, rule, np.array([0.0, 5.0, 1.0, 0.0]), "yes", Lens(draft, rows, outcomes, None))
    assert found
    assert not any(one.edit.startswith("set R1") for one in found)
