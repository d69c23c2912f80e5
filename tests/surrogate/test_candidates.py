"""Rules chosen under a budget: never past it, never worse for more room, and counted as the list decides."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ruleedit.schema import Feature, Schema
from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.candidates import Candidates, Local, distinct, select, sure
from ruleedit.surrogate.glocalx import local_rule
from ruleedit.surrogate.lists import Draft, Draftlist
from tests.surrogate.cases import Case, people, random_case

CASE = people(lambda row: "high" if row["age"] > 50 else "middle" if row["job"] == "cook" else "low", rows=200)


def data_of(case: Case) -> Binned:
    """The case in bins."""
    return Binned.of(bin_features(case.matrix, case.answers, case.schema), case.matrix, case.answers)


def locals_of(data: Binned, most: int = 12) -> list[Local]:
    """Different local rules around the first rows."""
    drafts = [local_rule(row, data, 0) for row in range(min(most, len(data)))] if data.bins else []
    return distinct([(Local.of(draft, data),) for draft in drafts if draft.sets], data)


def pool_of(data: Binned) -> Candidates:
    """The same, the most faithful first."""
    return Candidates.of(sorted(locals_of(data), key=lambda local: -sure(local)), data)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_chosen_is_counted_as_the_list_decides(seed: int) -> None:
    """The rows that the chosen rules get right are those of the list that is made of them."""
    data = data_of(random_case(seed, rows=80))
    pool = pool_of(data)
    chosen = pool.filled([], 0, 6)
    listed = Draftlist([pool.locals[number].rule for number in chosen], 0)
    assert pool.hits(chosen, 0) == listed.hits(data)
    np.testing.assert_array_equal(pool.decided(chosen, 0)[1], listed.decide(data))


@pytest.mark.parametrize("seed", range(6))
def test_each_rule_that_is_added_wins_rows(seed: int) -> None:
    """So the rows right go up with each, whatever is chosen already."""
    data = data_of(random_case(seed, rows=80))
    pool = pool_of(data)
    for budget in (1, 3, 8):
        chosen = pool.filled([], 0, budget)
        assert int(pool.costs[chosen].sum()) <= budget
        for size in range(len(chosen)):
            for part in itertools.islice(itertools.combinations(chosen, size), 5):
                assert pool.hits(pool.filled(list(part), 0, budget), 0) >= pool.hits(list(part), 0)


@pytest.mark.parametrize("budget", [2, 5, 9])
def test_exchanging_never_makes_it_worse(budget: int) -> None:
    """And stays within the budget."""
    data = data_of(CASE)
    pool = pool_of(data)
    filled = pool.filled([], 0, budget)
    exchanged = pool.exchanged(filled, 0, budget)
    assert pool.hits(exchanged, 0) >= pool.hits(filled, 0)
    assert int(pool.costs[exchanged].sum()) <= budget


def test_an_exchange_finds_what_adding_alone_misses() -> None:
    """Two narrow rules are better than the wide one that wins most at first."""
    rows = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])
    schema = Schema((Feature("x", "integer", low=1.0, high=6.0),), "y", ("no", "yes"))
    answers = np.array([1, 1, 0, 0, 1, 1])
    data = Binned.of(bin_features(rows, answers, schema), rows, answers)
    bins = data.bins[0]

    def rule(*values: float) -> Local:
        allowed = np.zeros(bins.size, dtype=bool)
        allowed[bins.codes(np.array(values))] = True
        return Local.of(Draft(1, {0: allowed}), data)

    wide, left, right = rule(2.0, 3.0, 4.0, 5.0, 6.0), rule(1.0, 2.0), rule(5.0, 6.0)
    pool = Candidates.of([wide, left, right], data)
    assert pool.exchanged([0], 0, 2) == [1, 2]
    assert pool.hits([1, 2], 0) == 6


def test_of_rules_that_hold_the_same_rows_the_shortest_is_kept() -> None:
    """One that asks for nothing is none."""
    data = data_of(CASE)
    place = next(place for place, bins in enumerate(data.bins) if bins.feature.name == "age")
    half = np.zeros(data.bins[place].size, dtype=bool)
    half[: len(half) // 2] = True
    short = Draft(2, {place: half})
    every = np.ones(data.bins[place].size, dtype=bool)
    other = next(place for place, bins in enumerate(data.bins) if bins.feature.name == "job")
    named = np.ones(data.bins[other].size, dtype=bool)
    named[-1] = named[-2] = False
    long = Draft(2, {place: half, other: named})
    found = distinct([(Local.of(long, data), Local.of(short, data), Local.of(Draft(2, {place: every}), data))], data)
    assert {tuple(local.rule.sets) for local in found} <= {(place,), (place, other)}
    assert all(local.rule.cost(data.bins) > 0 for local in found)
    assert len({local.mask.tobytes() for local in found}) == len(found)


def test_few_rows_are_less_sure_than_many() -> None:
    """At the same precision."""
    data = data_of(CASE)
    few, many = np.zeros(200, dtype=bool), np.ones(200, dtype=bool)
    few[:2] = True
    assert sure(Local(Draft(0), few, 1.0)) < sure(Local(Draft(0), many, 1.0)) < 1.0
    assert len(data) == 200


@pytest.mark.parametrize("budget", [1, 4])
def test_without_a_rule_there_is_a_default(budget: int) -> None:
    """The commonest answer."""
    data = data_of(CASE)
    found = select([], data, budget)
    assert (found.rules, found.default) == ([], int(np.bincount(data.answers).argmax()))
