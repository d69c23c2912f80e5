"""The pool: the rule that gains most comes into the list, in the place where it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.leaves import grow_trees
from ruleedit.surrogate.lists import Draft, Draftlist, Members, sweep
from ruleedit.surrogate.pool import Pool
from tests.surrogate.cases import Case, people, random_case

COOKS = people(lambda row: "high" if row["age"] > 40 and row["job"] == "cook" else "low")


def binned(case: Case) -> Binned:
    return Binned.of(bin_features(*case.given), case.matrix, case.answers).merged()


def place(data: Binned, name: str) -> int:
    return [bins.feature.name for bins in data.bins].index(name)


def above(data: Binned, name: str, least: float) -> Members:
    number = place(data, name)
    bins = data.bins[number]
    inside = np.arange(bins.size) > int(np.searchsorted(bins.cuts, least))  # type: ignore[union-attr]
    inside[-1] = False
    return {number: inside}


def test_conjunctions_that_hold_the_same_rows_are_one() -> None:
    """Of two with the same rows the cheaper stays; those that hold none or all go."""
    data = binned(COOKS)
    one = above(data, "age", 40.0)
    longer = {**one, place(data, "member"): np.array([True, True, True, False])}
    nothing = {place(data, "age"): np.zeros(data.bins[place(data, "age")].size, dtype=bool)}
    pool = Pool.of([longer, one, nothing, {}], data)
    assert len(pool.members) == 1
    assert pool.costs.tolist() == [1.0]
    assert pool.heads.tolist() == [0, len(pool.rows)]
    assert pool.rows.tolist() == np.flatnonzero(Draft(0, one).mask(data)).tolist()


def test_a_new_rule_is_found_from_nothing() -> None:
    """A conjunction of two features is bettered from half of it, and nothing is left to insert."""
    data = binned(COOKS)
    pool = Pool.of([above(data, "age", 50.0)], data)
    found = Draftlist([], 0)
    assert pool.insert(found, 1.0, 2)
    assert found.hits(data) == data.total
    assert not pool.insert(found, 1.0, 8)


def test_no_rule_fits_where_there_is_no_room() -> None:
    """A spent budget ends it, and so does an empty pool."""
    data = binned(COOKS)
    assert not Pool.of([above(data, "age", 50.0)], data).insert(Draftlist([], 0), 1.0, 0)
    assert not Pool.of([], data).insert(Draftlist([], 0), 1.0, 4)


def test_an_exception_goes_first() -> None:
    """Where a rule is wrong on a corner of its rows, the rule for the corner comes before it."""
    case = people(lambda row: "low" if row["age"] <= 40 else "high" if row["job"] == "cook" else "middle")
    data = binned(case)
    found = Draftlist([Draft(1, above(data, "age", 40.0))], 0)
    pool = Pool.of([above(data, "age", 60.0)], data)
    assert pool.insert(found, 1.0, 4)
    sweep(found, data, 1.0, 4)
    assert [rule.outcome for rule in found.rules] == [2, 1]
    assert found.hits(data) == data.total


@pytest.mark.parametrize("seed", range(12))
def test_what_a_rule_is_worth_in_a_place_is_what_it_wins_there(seed: int) -> None:
    """For every place in the list and class: the rows right with the rule there, less those right without it."""
    data = binned(random_case(seed))
    pool = Pool.of(grow_trees(data, 4).members, data)
    if len(pool.members) < 3:
        return
    first, second, new = (dict(pool.members[number]) for number in (0, 1, 2))
    found = Draftlist([Draft(0, first), Draft(1, second)], int(data.answers[0]))
    before = found.hits(data)
    values = pool.values(found, found.deciding(data))
    for position, outcome in np.ndindex(values.shape[1:]):
        with_it = Draftlist([*found.rules[:position], Draft(outcome, new), *found.rules[position:]], found.default)
        assert with_it.hits(data) - before == values[2, position, outcome]


def test_part_of_the_rows_tells_which_are_promising_and_all_what_they_are_worth() -> None:
    """The rule that comes in is bettered on all rows, and its gain counted there."""
    data = binned(COOKS)
    seen = data.take(np.arange(0, len(data), 3))
    pool = replace(Pool.of([above(data, "age", 50.0)], seen), data=data)
    found = Draftlist([], 0)
    assert pool.insert(found, 1.0, 2)
    assert found.hits(data) == data.total
    assert not pool.insert(found, 1.0, 8)
