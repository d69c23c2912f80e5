"""The rule around a row."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ruleedit.local import local_view
from ruleedit.local.lore import LEAST_ROWS, MOST_RULES, local_rule
from ruleedit.matching import box_mask
from ruleedit.regions import check_rule, rule_box
from tests.local.test_flips import trained


@pytest.mark.parametrize("classes", [2, 3])
def test_holds_the_row_and_says_what_the_model_says(classes: int) -> None:
    """And the other rules say something else, and don't hold it."""
    model, rows = trained(6, classes)
    for row in rows[:8]:
        found = local_rule(model, row)
        assert found is not None
        answer = model.schema.classes[model.outcomes(row[None, :])[0]]
        for rule in (found.rule, *found.others):
            check_rule(rule, model.schema)
            assert (rule is found.rule) == bool(box_mask(rule_box(rule, model.schema), row[None, :], model.schema)[0])
        assert 1 <= len(found.others) <= MOST_RULES
        assert found.rows >= LEAST_ROWS
        if found.precision > 0.5:
            assert found.rule.outcome.top(model.schema.classes) == answer
        assert all(other.outcome != found.rule.outcome for other in found.others)


def test_says_what_the_model_looks_at() -> None:
    """Near the row the rule is right on rows that it has not seen."""
    model, rows = trained(7)
    right = total = 0
    for row in rows[:10]:
        found = local_rule(model, row)
        assert found is not None
        inside = box_mask(rule_box(found.rule, model.schema), rows, model.schema)
        answer = model.schema.classes.index(found.rule.outcome.classes[0])
        right += int((model.outcomes(rows[inside]) == answer).sum())
        total += int(inside.sum())
    assert right / total > 0.8


def test_a_row_without_a_value_has_a_rule_too() -> None:
    """No clause on it, or that it is missing."""
    model, rows = trained(8)
    row = rows[np.isnan(rows[:, 0])][0]
    found = local_rule(model, row)
    assert found is not None
    assert box_mask(rule_box(found.rule, model.schema), row[None, :], model.schema)[0]
    assert all(clause.operator == "is missing" for clause in found.rule.clauses if clause.feature == "x")


def test_the_same_seed_gives_the_same_view() -> None:
    """And all of it goes into JSON."""
    model, rows = trained(9)
    first, again = (json.dumps(local_view(model, rows[0], seed=3).to_json(), allow_nan=False) for _ in range(2))
    assert first == again
    assert json.loads(first)["rules"] is None


def test_where_the_model_answers_all_alike_there_is_none() -> None:
    """A rule would say nothing."""
    model, rows = trained(4, k1=0.999999)
    assert local_rule(model, rows[0]) is None
