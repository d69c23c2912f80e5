"""The master program: the optimum that another solver finds, warm or cold, and prices that fit it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.columns import Columns, sides
from ruleedit.surrogate.leaves import grow_trees
from ruleedit.surrogate.lists import Draft, masks
from ruleedit.surrogate.master import Duals, Master
from ruleedit.surrogate.task import Task
from tests.surrogate.cases import people, random_case

CASE = people(
    lambda row: "high" if (row["age"] > 40 and row["job"] in ("cook", "clerk")) or row["member"] == "true" else "low",
    rows=300,
)


def binned(seed: int) -> Binned:
    case = random_case(seed, rows=80)
    return Binned.of(bin_features(*case.given), case.matrix, case.answers).merged()


def drafts(data: Binned, outcome: int) -> list[Draft]:
    return [Draft(outcome, sets) for sets in grow_trees(data, 6).members if sets]


def primal(data: Binned, outcome: int, rules: list[Draft], budget: float) -> float:
    """The program as it is written in the paper, solved by SciPy."""
    inside = np.flatnonzero(data.answers == outcome)
    held = masks(rules, data)
    wrong = held @ np.where(data.answers == outcome, 0.0, data.weights)
    costs = [rule.cost(data.bins) for rule in rules]
    cover = np.hstack([np.eye(len(inside)), held[:, inside].T.astype(float)])
    clauses = np.concatenate([np.zeros(len(inside)), costs])
    found = linprog(
        np.concatenate([data.weights[inside], wrong]),
        A_ub=np.vstack([-cover, clauses]),
        b_ub=np.concatenate([-np.ones(len(inside)), [budget]]),
    )
    return float(found.fun)


def solved(master: Master, data: Binned, rules: list[Draft], budget: float) -> Duals:
    master.add(masks(rules, data), [rule.cost(data.bins) for rule in rules])
    return master.solve(budget)


@pytest.mark.parametrize("seed", range(12))
def test_the_dual_has_the_loss_of_the_papers_program(seed: int) -> None:
    """Our dual and the primal of another solver come to the same, for several budgets in turn."""
    data = binned(seed)
    for outcome in sides(data, 2):
        rules = drafts(data, outcome)
        master = Master(data, outcome, 1)
        solved(master, data, rules, 1)
        for budget in (1.0, 4.0, 9.0):
            assert master.solve(budget).loss == pytest.approx(primal(data, outcome, rules, budget), abs=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_columns_added_to_a_solution_are_as_good_as_from_the_start(seed: int) -> None:
    """Warm or cold, the loss is the same, and no rule in the program is worth more than its clauses."""
    data = binned(seed)
    outcome = sides(data, 1)[0]
    rules = drafts(data, outcome)
    half = len(rules) // 2
    warm = Master(data, outcome, 5)
    solved(warm, data, rules[:half], 5)
    duals = solved(warm, data, rules[half:], 5)
    assert duals.loss == pytest.approx(solved(Master(data, outcome, 5), data, rules, 5).loss, abs=1e-6)
    for rule in rules:
        assert duals.worth[rule.mask(data)].sum() <= duals.price * rule.cost(data.bins) + 1e-6


@pytest.mark.parametrize("seed", range(8))
def test_pricing_only_lowers_the_loss(seed: int) -> None:
    """Rules that the program asks for are new to it, and with them the loss is no greater."""
    data = binned(seed)
    outcome = sides(data, 1)[0]
    columns = Columns.of(grow_trees(data, 4).members, data, outcome, 4)
    if not columns.drafts:
        return
    before, given = columns.master.solve(4).loss, len(columns.drafts)
    task = Task(np.zeros((1, 1)), np.zeros(1, dtype=np.intp), CASE.schema)
    lists = list(columns.generate(4, task))
    assert columns.given == given <= len(columns.drafts)
    assert columns.master.solve(4).loss <= before + 1e-6
    assert all(rule.outcome == outcome and found.default != outcome for found in lists for rule in found.rules)


def test_the_program_asks_for_the_rule_that_it_lacks() -> None:
    """From rules of one clause it comes to the conjunction that the model answers by."""
    case = people(lambda row: "high" if row["age"] > 40 and row["member"] == "true" else "low")
    data = Binned.of(bin_features(*case.given), case.matrix, case.answers).merged()
    columns = Columns.of([sets for sets in grow_trees(data, 2).members if len(sets) == 1], data, 2, 2)
    list(columns.generate(2, Task(*case.given)))
    assert columns.master.solve(2).loss == pytest.approx(0.0, abs=1e-6)


def test_the_commonest_class_comes_first() -> None:
    """Classes that nobody answers have no side."""
    data = Binned.of(bin_features(*CASE.given), CASE.matrix, CASE.answers)
    counts = np.bincount(CASE.answers, minlength=3)
    assert sides(data, 3) == [int(place) for place in np.argsort(-counts, kind="stable") if counts[place]]
    assert sides(data, 1) == [int(counts.argmax())]
