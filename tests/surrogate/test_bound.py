"""What is proved: never above what rules can lose, never below what they reach, and null with a reason."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from ruleedit.schema import Feature, Schema
from ruleedit.surrogate import extract
from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.bound import _conditions, proved
from ruleedit.surrogate.columns import Columns
from ruleedit.surrogate.leaves import grow_trees
from tests.surrogate.cases import people, random_case

SMALL = Schema(
    (Feature("a", "categorical", categories=("x", "y", "z")), Feature("b", "boolean"), Feature("c", "integer")),
    "t",
    ("no", "yes"),
)


def small(seed: int) -> Binned:
    """A table of few values, so that all rules can be listed."""
    draw = np.random.default_rng(seed)
    rows = np.column_stack([draw.integers(1, 4, 40), draw.integers(0, 2, 40), draw.integers(0, 3, 40)]).astype(float)
    answers = ((rows[:, 0] == 1) & (rows[:, 2] > 0) | (draw.uniform(size=40) < 0.2)).astype(np.intp)
    return Binned.of(bin_features(rows, answers, SMALL), rows, answers).merged()


def every_rule(data: Binned) -> list[tuple[np.ndarray, int]]:
    """The rows and clauses of every conjunction; of those with the same rows the cheapest."""
    choices = [[(None, 0.0), *zip(each.allowed.astype(bool), each.costs, strict=True)] for each in _conditions(data)]
    found: dict[bytes, tuple[np.ndarray, int]] = {}
    for picked in itertools.product(*choices):
        mask = np.ones(len(data), dtype=bool)
        for place, (allowed, _) in enumerate(picked):
            if allowed is not None:
                mask &= allowed[data.columns[place]]
        cost = int(sum(cost for _, cost in picked))
        known = found.get(mask.tobytes())
        if cost and mask.any() and (known is None or cost < known[1]):
            found[mask.tobytes()] = mask, cost
    return list(found.values())


def least_loss(data: Binned, budget: int) -> float:
    """The least loss of any set of at most two rules, by trying them all."""
    inside = np.where(data.answers == 1, data.weights, 0.0)
    outside = np.where(data.answers == 1, 0.0, data.weights)
    rules = [(mask, cost, float(outside[mask].sum())) for mask, cost in every_rule(data) if cost <= budget]
    best = float(inside.sum())
    for number, (mask, cost, wrong) in enumerate(rules):
        best = min(best, float(inside[~mask].sum()) + wrong)
        for other, more, also in rules[number + 1 :]:
            if cost + more <= budget:
                best = min(best, float(inside[~mask & ~other].sum()) + wrong + also)
    return best


@pytest.mark.parametrize("budget", [1, 2])
@pytest.mark.parametrize("seed", range(8))
def test_no_rules_lose_less_than_the_bound(seed: int, budget: int) -> None:
    """Against every set of rules of so few clauses, one by one; what was seen is no less than the best of them."""
    data = small(seed)
    columns = Columns.of(grow_trees(data, 4, 0).members, data, 1, budget)
    losses = proved(columns, budget)
    if losses is None:
        return
    best = least_loss(data, budget)
    assert losses[0] <= best + 1e-6
    assert best <= losses[1] + 1e-6


def test_some_bounds_are_proved() -> None:
    """On small tables there are bounds, and some meet what was found."""
    gaps = []
    for seed in range(8):
        data = small(seed)
        losses = proved(Columns.of(grow_trees(data, 4, 0).members, data, 1, 2), 2)
        gaps += [losses[1] - losses[0]] if losses else []
    assert len(gaps) >= 4
    assert min(gaps) < 1.0


@pytest.mark.parametrize("seed", range(16))
def test_no_rules_pass_the_ceiling(seed: int) -> None:
    """Whatever the table and the budget, the agreement on the rows searched is at most the ceiling."""
    case = random_case(seed)
    for budget in (2, 20):
        found = extract(*case.given, max_clauses=budget)
        if found.bound is not None:
            assert found.train.agreement <= found.bound.ceiling + 1e-9
            assert found.bound.rows == len(case.rows)


def test_rules_that_lose_nothing_have_no_gap() -> None:
    """A policy that is found exactly is proved to be the best."""
    case = people(lambda row: "high" if row["job"] == "cook" and row["member"] == "true" else "low")
    bound = extract(*case.given, splits=[{}, {}, {}, {}], max_clauses=4).bound
    assert bound is not None
    assert (bound.loss, bound.found, bound.gap, bound.reason) == (0.0, 0.0, 0.0, None)
    assert bound.outcome in ("low", "high")


@pytest.mark.parametrize(
    ("answer", "options", "reason"),
    [
        (lambda row: "low" if row["age"] < 30 else "high" if row["age"] < 50 else "middle", {}, "more than two"),
        (lambda row: "low" if row["age"] + row["hours per week"] < 70 else "high", {}, "too many"),
        (lambda row: "low" if row["age"] < 30 else "high", {"max_iterations": 0}, "limit"),
    ],
)
def test_no_bound_has_a_reason(answer: object, options: dict[str, int], reason: str) -> None:
    """Null is explained, and the ceiling is there all the same."""
    bound = extract(*people(answer).given, max_clauses=6, **options).bound  # type: ignore[arg-type]
    assert bound is not None
    assert (bound.loss, bound.found, bound.gap) == (None, None, None)
    assert reason in str(bound.reason)
    assert json.loads(json.dumps(bound.to_json()))["ceiling"] == bound.ceiling


def test_more_rows_than_the_program_sees_have_no_loss_bound() -> None:
    """A bound about part of the rows isn't given out as one about all."""
    draw = np.random.default_rng(0)
    schema = Schema((Feature("x", "numeric"), Feature("y", "numeric")), "t", ("no", "yes"))
    rows = draw.normal(size=(6_000, 2))
    bound = extract(rows, (rows.sum(axis=1) > 0).astype(np.intp), schema, max_clauses=4).bound
    assert bound is not None
    assert "saw 2,500 rows" in str(bound.reason)
