"""The peers of the extraction benchmark: clauses counted as ours are, budgets kept, answers of the model's classes.

The peers of the extra ``bench`` are asked where they are installed.
"""

from __future__ import annotations

import math
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from peers import (
    BINARY,
    BUDGETS,
    OURS,
    PEERS,
    TIERS,
    Data,
    Result,
    _bounds,
    _frame,
    _ripper_clauses,
    cart,
    reading,
    since,
    tree_clauses,
    truth_table,
)
from sklearn.tree import DecisionTreeClassifier

from ruleedit.regions import clause_cost
from ruleedit.surrogate import extract
from ruleedit.surrogate.binarise import MOST_CUTS, MOST_NAMED, NumberBins, bin_features
from tests.surrogate.cases import PEOPLE, Case, people

#: Where a peer comes from that `ruleedit` itself doesn't need.
NEEDS = {"RIPPER": "wittgenstein", "greedy list": "imodels", "FIGS": "imodels", "RUG": "ruleopt"}
#: Two classes that a few clauses tell, with missing values.
TWO = people(lambda row: "high" if (row["age"] or 0) > 50 else "low", rows=300, missing=0.05)
THREE = people(
    lambda row: "high" if row["age"] > 60 else "middle" if row["hours per week"] > 40 else "low", rows=400, seed=1
)
#: Where a model of them would split, and what it makes of that.
SPLITS = ({30.0: 1.0, 40.0: 1.0, 50.0: 9.0, 60.0: 9.0}, {20.0: 1.0, 40.0: 9.0, 60.0: 1.0}, {}, {})


def data_of(case: Case, held: int = 100) -> Data:
    """A case as the peers get it, the last rows held out."""
    rows = case.matrix
    return Data(case.schema, rows[:-held], case.answers[:-held], SPLITS, rows[-held:], 0)


def asked(name: str, data: Data) -> list[Result]:
    """What a peer gives; the test is skipped where it isn't installed."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{name} is of the extra 'bench', which isn't installed")
    with warnings.catch_warnings():
        # As the benchmark runs them: what they warn about themselves is no concern of ours.
        warnings.simplefilter("ignore")
        return list(PEERS[name](data, BUDGETS))


# --- counting --------------------------------------------------------------------------------


def tree_of(rows: list[list[float]], answers: list[int]) -> Any:
    """A tree that was grown to its end on a few rows."""
    return DecisionTreeClassifier(random_state=0).fit(np.array(rows), np.array(answers))


def test_a_stump_is_one_rule_of_one_clause() -> None:
    """The other leaf is the default."""
    assert tree_clauses(tree_of([[0.0], [1.0]], [0, 1])) == (1, 1)


def test_an_interval_takes_two_clauses_and_a_repeated_bound_one() -> None:
    """Of three steps of one number the middle one is an interval, or the outer two are a bound each."""
    assert tree_clauses(tree_of([[0.0], [1.0], [2.0]], [0, 1, 0])) == (2, 1)
    # 0 0 1 0 1: the rules of either class, without the other's.
    steps = tree_of([[0.0], [1.0], [2.0], [3.0]], [0, 1, 2, 3])
    # Two bounds of one clause each and two intervals of two; the class left out is one of those of two.
    assert tree_clauses(steps) == (4, 3)


def test_bounds_on_several_features_are_counted_one_by_one() -> None:
    """An exclusive or has four leaves of two clauses; one class with two of them is left out."""
    rows = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    assert tree_clauses(tree_of(rows, [0, 1, 1, 0])) == (4, 2)


def test_a_tree_that_never_splits_has_no_rule() -> None:
    """It is a default alone."""
    assert tree_clauses(tree_of([[0.0], [1.0]], [1, 1])) == (0, 0)


@pytest.mark.parametrize(
    ("values", "clauses"),
    [
        (["<3.0"], 1),
        ([">3.0"], 1),
        (["1.0 - 2.5"], 2),
        (["-3.0 - -1.0"], 2),
        (["-0.01-0.5"], 2),
        (["1e-05 - 2.5"], 2),
        (["1e-05 - 1e-04"], 2),
        (["c3"], 1),
        (["c-1"], 1),
        (["4"], 1),
        (["1.0 - 2.5", "c3", "<1.0"], 4),
        ([], 0),
    ],
)
def test_a_bin_of_a_number_is_an_interval(values: list[str], clauses: int) -> None:
    """RIPPER's conditions: two clauses where both ends are there, one for a bound or a category."""
    rule = SimpleNamespace(conds=[SimpleNamespace(val=value) for value in values])
    assert _ripper_clauses(rule) == clauses


def test_the_bounds_of_a_weighted_rule_are_its_finite_ones() -> None:
    """RUG's rules hold a lower and an upper bound for each feature that they use."""
    sides = {0: {"lb": -math.inf, "ub": 3.0}, 2: {"lb": 1.0, "ub": 2.0}, 5: {"lb": -math.inf, "ub": math.inf}}
    assert _bounds(SimpleNamespace(to_dict=lambda: sides)) == 3


@pytest.mark.parametrize("method", OURS)
def test_our_own_clauses_are_counted_over_the_rules_as_shown(method: str) -> None:
    """As `clause_cost` has it, and on the rows that the rules were made from they say what the peer said."""
    data = data_of(THREE)
    found = asked(method, data)
    for one, budget in zip(found, BUDGETS, strict=True):
        rules = extract(data.rows, data.answers, data.schema, splits=data.splits, method=method, max_clauses=budget)
        assert one.clauses == sum(clause_cost(rule) for rule in rules.rules) <= budget
        assert one.rules == len(rules.rules)


# --- what they are given ---------------------------------------------------------------------


def test_a_truth_has_its_negation_and_both_are_false_on_missing() -> None:
    """AIX360's columns come in pairs; missing has a pair of its own."""
    case = people(lambda row: "high" if (row["age"] or 0) > 50 else "low", rows=200, missing=0.3)
    rows = case.matrix
    table = truth_table(bin_features(rows, case.answers, case.schema, ()), rows, 10, 20)
    opposite = {"<=": ">", "==": "!="}
    for name, value in zip(table.columns, table.to_numpy().T, strict=True):
        place, sign, cut = name
        if sign not in opposite:
            continue
        other = table[place, opposite[sign], cut].to_numpy()
        assert not (value & other).any()
        gone = np.isnan(rows[:, place]) if place < len(PEOPLE.features) else np.zeros(len(rows), dtype=bool)
        np.testing.assert_array_equal((value | other).astype(bool), ~gone)


def test_all_bins_are_every_cut_and_value_and_few_the_weightiest() -> None:
    """The same binarised table has a pair of columns for each cut and category; the shorter one is part of it."""
    case = people(lambda row: "high" if row["age"] > 50 else "low", rows=200)
    bins = bin_features(case.matrix, case.answers, case.schema, SPLITS)
    every = truth_table(bins, case.matrix, MOST_CUTS, MOST_NAMED)
    pairs = sum(len(each.cuts) if isinstance(each, NumberBins) else len(each.named) for each in bins)
    assert every.shape == (200, 2 * pairs)
    few = truth_table(bins, case.matrix, 1, 1)
    assert few.shape == (200, 2 * len(bins))
    assert {cut for place, sign, cut in few.columns if (place, sign) == (0, "<=")} <= {50.0, 60.0}
    for name in few.columns:
        np.testing.assert_array_equal(few[name], every[name])


def test_numbers_have_no_gaps_and_a_column_for_each_category() -> None:
    """A missing number is the training median, a missing category none of the columns."""
    case = people(lambda row: "high", rows=50, missing=0.3)
    data = Data(PEOPLE, case.matrix[:40], case.answers[:40], (), case.matrix[40:], 0)
    table, held = data.numbers(data.rows), data.numbers(data.held)
    # Two numbers, five jobs, true and false.
    assert table.shape[1] == held.shape[1] == 2 + 5 + 2
    assert not np.isnan(table).any()
    gone = np.isnan(data.held[:, 0])
    assert gone.any()
    np.testing.assert_array_equal(held[gone, 0], np.nanmedian(data.rows[:, 0]))
    assert set(held[np.isnan(data.held[:, 2]), 2:7].sum(axis=1)) == {0.0}


def test_a_frame_has_categories_as_text() -> None:
    """Missing is a category of its own there."""
    data = data_of(TWO)
    frame = _frame(data, data.rows)
    assert list(frame.columns) == ["f0", "f1", "f2", "f3"]
    assert not frame.isna().any().any()
    assert set(frame["f2"]) == {"c1", "c2", "c3", "c4", "c5", "c-1"}


def test_time_is_read_by_clock_and_processor() -> None:
    """Both go on, and never back."""
    began = reading()
    assert all(passed >= 0.0 for passed in since(began))


# --- what they give --------------------------------------------------------------------------


def test_cart_takes_the_largest_tree_that_fits() -> None:
    """Within each budget; a larger budget gives no smaller tree."""
    found = list(cart(data_of(THREE), (1, 2, 8, 32)))
    assert [one.budget for one in found][-2:] == [8, 32]
    assert all(one.budget is not None and one.clauses <= one.budget for one in found)
    assert [one.clauses for one in found] == sorted(one.clauses for one in found)


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_learns_two_classes(name: str) -> None:
    """Within its budget, with answers for the held-out rows that are better than the commonest one."""
    data = data_of(TWO)
    truth = TWO.answers[-100:]
    found = asked(name, data)
    budgets = [one.budget for one in found]
    assert budgets in ([None], list(BUDGETS), list(BUDGETS)[len(BUDGETS) - len(budgets) :])
    for one in found:
        assert one.said.shape == truth.shape
        assert set(np.unique(one.said)) <= set(np.unique(TWO.answers))
        assert (one.said == truth).mean() > np.bincount(truth).max() / len(truth)
        assert one.budget is None or 0 < one.clauses <= one.budget
        assert one.rules > 0
        assert one.clock >= 0.0 <= one.cpu


@pytest.mark.parametrize("name", [name for name in PEERS if name not in BINARY])
def test_the_others_learn_three_classes(name: str) -> None:
    """The answers are places in the schema's classes."""
    data = data_of(THREE)
    for one in asked(name, data):
        assert set(np.unique(one.said)) <= {0, 1, 2}
        assert (one.said == THREE.answers[-100:]).mean() > 0.6


def test_every_peer_has_one_turn() -> None:
    """No learner is left out of the tiers, none is in two."""
    assert sorted(name for tier in TIERS for name in tier) == sorted(PEERS)
