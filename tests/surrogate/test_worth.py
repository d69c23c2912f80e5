"""What a clause must be worth: clauses that say nothing of other rows are taken back, those that do stay."""

from __future__ import annotations

import numpy as np
import pytest

from ruleedit.schema import Feature, Schema
from ruleedit.surrogate import extract
from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.lists import Draft, Draftlist
from ruleedit.surrogate.worth import MOST_PRICE, borne_out, clause_price
from tests.surrogate.cases import people, random_case

#: Three numbers; the first tells all but a few rows, which nothing tells.
SCHEMA = Schema(tuple(Feature(f"x{place}", "numeric") for place in range(3)), "y", ("no", "yes"))
METHODS = pytest.mark.parametrize("method", ["column-generation", "tree"])


def chance(rows: int, wrong: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows that one bound tells, but for so many that were answered otherwise by chance."""
    draw = np.random.default_rng(seed)
    table = draw.normal(size=(rows, 3)).round(2)
    answers = (table[:, 0] > 0.0).astype(np.intp)
    answers[draw.choice(rows, wrong, replace=False)] ^= 1
    return table, answers


def data_of(table: np.ndarray, answers: np.ndarray) -> Binned:
    """The rows in bins."""
    return Binned.of(bin_features(table, answers, SCHEMA), table, answers).merged()


def below(data: Binned, place: int, cut: float) -> Draft:
    """A rule of one bound."""
    bins = data.bins[place]
    allowed = np.zeros(bins.size, dtype=bool)
    allowed[: int(bins.codes(np.array([cut]))[0]) + 1] = True
    return Draft(0, {place: allowed})


def test_the_surer_the_list_the_cheaper_a_clause() -> None:
    """A row saves more where few are wrong; never more than the most is asked."""
    prices = []
    for wrong in (0, 5, 60):
        data = data_of(*chance(200, wrong))
        prices.append(clause_price(Draftlist([below(data, 0, 0.0)], 1), data))
    assert prices == sorted(prices)
    assert prices[0] < prices[-1] == MOST_PRICE


def test_a_list_that_is_mostly_wrong_asks_the_most() -> None:
    """Its odds say nothing."""
    table, answers = chance(200, 0)
    data = data_of(table, answers)
    assert clause_price(Draftlist([], int(np.bincount(answers).argmin())), data) == MOST_PRICE


def test_what_came_in_stays_as_it_is() -> None:
    """A copy is bettered."""
    data = data_of(*chance(120, 6))
    given = Draftlist([below(data, 1, -1.5), below(data, 0, 0.0)], 1)
    before = given.copy()
    borne_out(given, data, 8)
    assert [rule.sets.keys() for rule in given.rules] == [rule.sets.keys() for rule in before.rules]
    assert given.default == before.default


@METHODS
@pytest.mark.parametrize("seed", range(6))
def test_rows_by_chance_make_no_rule_of_their_own(method: str, seed: int) -> None:
    """Of 200 rows four are otherwise: with budget for 32 clauses no more are spent than on what tells."""
    table, answers = chance(200, 4, seed)
    found = extract(table, answers, SCHEMA, method=method, max_clauses=32, seed=seed)
    fresh, truth = chance(4_000, 0, seed + 100)
    held = extract(table, answers, SCHEMA, method=method, max_clauses=32, seed=seed, holdout=(fresh, truth)).holdout
    assert held is not None
    assert held.agreement > 0.95
    assert found.clauses <= 9


@METHODS
def test_what_many_rows_bear_out_stays(method: str) -> None:
    """A small class that a clause tells is kept: it wins more than it costs."""
    case = people(lambda row: "high" if row["job"] == "cook" and row["age"] > 70 else "low", rows=400)
    found = extract(*case.given, method=method, max_clauses=8)
    assert found.train.agreement == 1.0
    assert found.clauses == 2


@METHODS
@pytest.mark.parametrize("seed", range(8))
def test_it_costs_no_more_clauses_and_stays_within_the_budget(method: str, seed: int) -> None:
    """On odd tables too; never worse than the default alone."""
    case = random_case(seed, rows=50)
    for budget in (1, 4, 16):
        found = extract(*case.given, method=method, max_clauses=budget)
        assert found.clauses <= budget
        assert found.train.agreement >= np.bincount(case.answers).max() / len(case.answers)


@pytest.mark.parametrize("seed", range(5))
def test_each_rule_that_is_left_is_worth_its_clauses(seed: int) -> None:
    """Without it more rows are lost than its clauses ask for."""
    table, answers = chance(150, 10, seed)
    data = data_of(table, answers)
    given = Draftlist([below(data, place, cut) for place in (1, 2) for cut in (-2.0, -1.5)] + [below(data, 0, 0.0)], 1)
    price = clause_price(given, data)
    kept = borne_out(given, data, 16)
    assert kept.cost(data.bins) <= 16
    for place, rule in enumerate(kept.rules):
        rest = Draftlist([*kept.rules[:place], *kept.rules[place + 1 :]], kept.default)
        assert kept.hits(data) - rest.hits(data) > price * rule.cost(data.bins)
