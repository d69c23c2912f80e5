"""Ordered rules in the making: what they decide, cost, and how a sweep betters them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ruleedit.regions import box_clauses, clause_cost
from ruleedit.rules import Outcome, Rule
from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.lists import GROW_ROWS, Draft, Draftlist, grown, sweep
from tests.surrogate import plain
from tests.surrogate.cases import Case, people, random_case

SIMPLE = people(lambda row: "high" if row["age"] > 40 and row["job"] == "cook" else "low")


def binned(case: Case) -> Binned:
    return Binned.of(bin_features(*case.given), case.matrix, case.answers)


def place(data: Binned, name: str) -> int:
    return [bins.feature.name for bins in data.bins].index(name)


def some_lists(data: Binned, seed: int) -> Draftlist:
    """Three rules of random conditions that clauses can say."""
    draw = np.random.default_rng(seed)
    rules = []
    for _ in range(3):
        rule = Draft(int(draw.integers(0, 2)))
        for number, bins in enumerate(data.bins):
            gains = draw.normal(size=bins.size)
            options = [option for option in bins.options(gains, 2) if bins.cost(option.allowed)]
            if options and draw.uniform() < 0.7:
                rule.sets = {**rule.sets, number: options[int(draw.integers(len(options)))].allowed}
        rules.append(rule)
    return Draftlist([rule for rule in rules if rule.sets], int(draw.integers(0, 2)))


def test_taken_rows_keep_their_codes() -> None:
    """A part of the table is the table with fewer rows."""
    data = binned(SIMPLE)
    rows = np.array([5, 7, 11])
    part = data.take(rows)
    assert len(part) == 3
    assert (part.codes == data.codes[rows]).all()
    assert (part.answers == data.answers[rows]).all()


@pytest.mark.parametrize("seed", range(20))
def test_a_draft_holds_the_rows_of_its_box(seed: int) -> None:
    """What the search counts is what the rule will decide."""
    case = random_case(seed)
    data = binned(case)
    for rule in some_lists(data, seed).rules:
        box = rule.box(data.bins)
        assert rule.mask(data).tolist() == [row in box for row in case.rows]


@pytest.mark.parametrize("seed", range(20))
def test_a_draft_costs_at_least_what_its_text_does(seed: int) -> None:
    """The budget can't be passed by what the rule looks like in the end."""
    case = random_case(seed)
    data = binned(case)
    for rule in some_lists(data, seed).rules:
        conjunctions = box_clauses(rule.box(data.bins), case.schema)
        assert len(conjunctions) == 1
        assert clause_cost(Rule("R1", conjunctions[0], Outcome.of("x"))) <= rule.cost(data.bins)


@pytest.mark.parametrize("seed", range(20))
def test_the_first_rule_that_holds_a_row_decides_it(seed: int) -> None:
    """The list is read from the top, and the default is for the rest."""
    case = random_case(seed)
    data = binned(case)
    found = some_lists(data, seed)
    boxes = [(rule.box(data.bins), rule.outcome) for rule in found.rules]
    expected = [next((one for box, one in boxes if row in box), found.default) for row in case.rows]
    assert found.decide(data).tolist() == expected
    assert found.hits(data) == sum(one == other for one, other in zip(expected, data.answers.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(10))
def test_below_a_rule_is_what_the_rest_decides(seed: int) -> None:
    """What would happen without a rule is the list that begins behind it."""
    data = binned(random_case(seed))
    found = some_lists(data, seed)
    for number, below in enumerate(plain.decided_below(found, data)):
        assert below.tolist() == Draftlist(found.rules[number + 1 :], found.default).decide(data).tolist()


@pytest.mark.parametrize(("seed", "price"), list(itertools.product(range(15), (0.0, 1.0, 5.0))))
def test_a_sweep_never_worsens_the_list(seed: int, price: float) -> None:
    """Rows won less the price of the clauses never fall, and the limit of clauses holds."""
    data = binned(random_case(seed))
    found = some_lists(data, seed)
    most = found.cost(data.bins) + 2
    for _ in range(3):
        before = found.hits(data) - price * found.cost(data.bins)
        sweep(found, data, price, most)
        assert found.hits(data) - price * found.cost(data.bins) >= before - 1e-6
        assert found.cost(data.bins) <= most


def test_a_copy_is_free_to_change() -> None:
    """Bettering a copy leaves the original as it was."""
    data = binned(SIMPLE)
    found = some_lists(data, 1)
    before = found.decide(data).tolist()
    sweep(found.copy(), data, 50.0, 3)
    assert found.decide(data).tolist() == before


def test_a_sweep_finds_the_true_threshold() -> None:
    """From a wrong bound on the right feature the exact one is one sweep away."""
    case = people(lambda row: "high" if row["age"] > 40 else "low")
    data = binned(case)
    age = place(data, "age")
    wrong = np.arange(data.bins[age].size) > 50
    wrong[-1] = False
    found = Draftlist([Draft(2, {age: wrong})], 0)
    assert sweep(found, data, 1.0, 2)
    assert found.hits(data) == len(data)
    assert not sweep(found, data, 1.0, 2)


def test_a_sweep_adds_the_condition_that_lacks() -> None:
    """Half of a rule grows its other half where the budget allows."""
    data = binned(SIMPLE)
    job = place(data, "job")
    cooks = np.zeros(data.bins[job].size, dtype=bool)
    cooks[1] = True
    for most, is_exact in ((2, True), (1, False)):
        found = Draftlist([Draft(2, {job: cooks})], 0)
        sweep(found, data, 1.0, most)
        assert (found.hits(data) == len(data)) == is_exact


def test_a_settled_rule_is_looked_at_again_where_there_is_more_room() -> None:
    """What was the best within one clause isn't within two."""
    data = binned(SIMPLE)
    cooks = np.zeros(data.bins[place(data, "job")].size, dtype=bool)
    cooks[1] = True
    found = Draftlist([Draft(2, {place(data, "job"): cooks})], 0)
    sweep(found, data, 1.0, 1)
    assert found.hits(data) < len(data)
    assert sweep(found, data, 1.0, 2)
    assert found.hits(data) == len(data)


def test_a_rule_not_worth_its_clauses_goes() -> None:
    """At a price above what it wins a rule is dropped."""
    data = binned(SIMPLE)
    job = place(data, "job")
    found = Draftlist([Draft(2, {job: np.arange(data.bins[job].size) == 1})], 0)
    assert sweep(found, data, 1.0, 8)
    assert len(found.rules) == 1
    assert sweep(found, data, 1e6, 8)
    assert found.rules == []
    assert not sweep(found, data, 1.0, 8)


def test_many_rows_are_thinned_and_still_counted_whole() -> None:
    """A rule grown on a part of the rows is taken only for what it wins on all."""
    rows = 4 * GROW_ROWS
    draw = np.random.default_rng(0)
    case = people(lambda row: "low", rows=10)
    matrix = np.tile(case.matrix, (rows // 10, 1))
    matrix[:, 0] = draw.integers(18, 81, rows)
    answers = np.where(matrix[:, 0] > 40, 2, 0).astype(np.intp)
    data = Binned.of(bin_features(matrix, answers, case.schema), matrix, answers)
    worth = np.where(answers == 2, 1.0, -1.0)
    rule, value = grown(2, data, np.arange(rows), worth, 1.0, 4)
    assert value == worth[rule.mask(data)].sum() - rule.cost(data.bins)
    found = Draftlist([rule], 0)
    sweep(found, data, 1.0, 4)
    assert found.hits(data) == rows


@pytest.mark.parametrize("seed", range(12))
def test_a_rule_settled_for_the_same_worth_is_not_looked_at_again(seed: int) -> None:
    """What is remembered of a settled rule is what a rule that remembers nothing comes to."""
    data = binned(random_case(seed)).merged()
    found = some_lists(data, seed)
    for price in (2.0, 1.0, 1.0, 0.5):
        fresh = Draftlist([Draft(rule.outcome, dict(rule.sets)) for rule in found.rules], found.default)
        most = found.cost(data.bins) + 2
        assert sweep(found, data, price, most) == sweep(fresh, data, price, most)
        assert found.decide(data).tolist() == fresh.decide(data).tolist()


def test_a_clause_that_wins_nothing_goes() -> None:
    """A change that only breaks even is made where it saves a clause."""
    data = binned(SIMPLE)
    job, age = place(data, "job"), place(data, "age")
    cooks = np.arange(data.bins[job].size) == 1
    younger = np.arange(data.bins[age].size) <= 5
    found = Draftlist([Draft(0, {job: cooks, age: younger}), Draft(2, {job: cooks})], 0)
    hits, cost = found.hits(data), found.cost(data.bins)
    sweep(found, data, 0.0, 8)
    assert found.cost(data.bins) < cost
    assert found.hits(data) >= hits
