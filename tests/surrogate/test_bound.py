"""What is proved: never above what rules can lose, never below what they reach, and null with a reason."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

from ruleedit.datasets import tic_tac_toe
from ruleedit.schema import Feature, Schema
from ruleedit.surrogate import bound as bound_module
from ruleedit.surrogate import extract
from ruleedit.surrogate.binarise import Bins, NumberBins, TextBins, bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.bound import Pricing, conditions_of, proved
from ruleedit.surrogate.branching import branch
from ruleedit.surrogate.columns import Columns
from ruleedit.surrogate.leaves import grow_trees
from ruleedit.surrogate.lists import Draft
from ruleedit.tables import encode, infer_schema, target_codes
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


def sayable(bins: Bins) -> dict[bytes, tuple[np.ndarray, int]]:
    """Every condition that a clause can say, of all sets of bins: intervals, sets and complements, missing or not."""
    found: dict[bytes, tuple[np.ndarray, int]] = {}
    last = bins.size - 1
    for number in range(1, 2**bins.size):
        allowed = np.array([bool(number >> bit & 1) for bit in range(bins.size)])
        there = np.flatnonzero(allowed[:last])
        is_one = isinstance(bins, TextBins) or not len(there) or there[-1] - there[0] + 1 == len(there)
        if is_one and not (allowed[last] and len(there)) and (bins.has_missing or not allowed[last]):
            cost = bins.cost(allowed)
            if cost and (isinstance(bins, NumberBins) or not allowed[:-1].any() or bins.has_others or allowed[-2] == 0):
                found[allowed.tobytes()] = allowed, cost
    return found


def every_rule(data: Binned) -> list[tuple[np.ndarray, int]]:
    """The rows and clauses of every conjunction; of those with the same rows the cheapest."""
    choices = [[(None, 0), *sayable(bins).values()] for bins in data.bins]
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


@pytest.mark.parametrize("seed", range(12))
def test_every_condition_that_a_clause_can_say_is_listed(seed: int) -> None:
    """Each holds the rows of one that a clause can say, none is dearer than that, and none lacks."""
    for data in (small(seed), Binned.of(bin_features(*random_case(seed).given), *random_case(seed).given[:2])):
        part = [bins for bins in data.bins if bins.size <= 8]
        conditions = conditions_of(part)
        if conditions is None:
            assert not part
            continue
        pricing = Pricing(data, np.zeros(len(data)), conditions, 4, 0.0)
        for place, bins in enumerate(part):
            numbers = range(int(conditions.heads[place]), int(conditions.heads[place + 1]))
            listed = {pricing.allowed(place, number).tobytes(): int(conditions.costs[number]) for number in numbers}
            expected = {key: cost for key, (_, cost) in sayable(bins).items()}
            assert {key: listed.get(key) for key in expected} == expected
            for key, cost in listed.items():
                assert bins.cost(np.frombuffer(key, dtype=bool)) == cost


def dearest_of(data: Binned, worth: np.ndarray, budget: int) -> float:
    """The greatest worth per clause, by trying every conjunction."""
    return max(float(worth[mask].sum()) / cost for mask, cost in every_rule(data) if cost <= budget)


@pytest.mark.parametrize("budget", [1, 2, 3, 6])
@pytest.mark.parametrize("seed", range(10))
def test_the_dearest_rule_is_found_or_bounded(seed: int, budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With branches enough it is the greatest of all, with few it is never less than that."""
    data, draw = small(seed), np.random.default_rng(seed)
    worth = np.where(data.answers == 1, draw.uniform(0.0, 3.0, len(data)), -data.weights)
    conditions = conditions_of(data.bins)
    assert conditions is not None
    best = dearest_of(data, worth, budget)
    whole = Pricing(data, worth, conditions, budget, 0.0)
    assert whole.dearest() == pytest.approx(max(best, 0.0), abs=1e-8)
    if best > 0.0:
        rule = Draft(1, whole.found or {})
        assert worth[rule.mask(data)].sum() / rule.cost(data.bins) == pytest.approx(best)
    for most in (1, 2, 4, 8):
        monkeypatch.setattr(bound_module, "MOST_BRANCHES", most)
        cut = Pricing(data, worth, conditions, budget, 0.0)
        assert cut.dearest() >= best - 1e-9
        assert cut.branches <= most


@pytest.mark.parametrize("seed", range(10))
def test_no_child_becomes_worth_more_than_its_hope(seed: int) -> None:
    """For every first condition: the best conjunction that begins with it, against what the branching says at most."""
    data, draw = small(seed), np.random.default_rng(seed)
    worth = np.where(data.answers == 1, draw.uniform(0.0, 2.0, len(data)), -draw.uniform(0.0, 2.0, len(data)))
    conditions = conditions_of(data.bins)
    assert conditions is not None
    pricing, budget, dear = Pricing(data, worth, conditions, 4, 0.0), 4, 0.05
    ratios, hopes = np.empty(len(conditions.costs)), np.empty(len(conditions.costs))
    branch(conditions, data.table.columns, np.arange(len(data)), worth, 0, 0, budget, dear, ratios, hopes)
    for place, bins in enumerate(data.bins):
        later = [[(None, 0), *sayable(other).values()] for other in data.bins[place + 1 :]]
        for number in range(int(conditions.heads[place]), int(conditions.heads[place + 1])):
            held = pricing.allowed(place, number)[data.columns[place]]
            cost = bins.cost(pricing.allowed(place, number))
            assert ratios[number] == pytest.approx(worth[held].sum() / cost)
            for picked in itertools.product(*later):
                mask, spent = held.copy(), cost + sum(more for _, more in picked)
                for other, (allowed, _) in enumerate(picked, start=place + 1):
                    mask &= True if allowed is None else allowed[data.columns[other]]
                if cost < spent <= budget:
                    assert worth[mask].sum() / spent <= max(hopes[number], dear, ratios[number]) + 1e-9


@pytest.mark.parametrize("budget", [1, 2])
@pytest.mark.parametrize("seed", range(8))
def test_no_rules_lose_less_than_the_bound(seed: int, budget: int) -> None:
    """Against every set of rules of so few clauses, one by one; what was seen is no less than the best of them."""
    data = small(seed)
    columns = Columns.of(grow_trees(data, 4).members, data, 1, budget)
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
        losses = proved(Columns.of(grow_trees(data, 4).members, data, 1, 2), 2)
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
            assert found.bound.lost == pytest.approx((1.0 - found.train.agreement) * len(case.rows))
            assert found.bound.above_floor == found.bound.lost - found.bound.floor >= 0.0


def ordered_losses(data: Binned, clauses: int) -> list[float]:
    """What every ordered list of so many clauses loses, each class in its turn: up to two rules and a default."""
    rules = [(mask, cost) for mask, cost in every_rule(data) if cost <= clauses]
    classes = range(data.classes)
    losses = [lost(data, np.full(len(data), default)) for default in classes]
    for (first, cost), (second, more) in itertools.product(rules, rules):
        if cost + more <= clauses:
            for one, two, default in itertools.product(classes, classes, classes):
                losses.append(lost(data, np.where(first, one, np.where(second, two, default))))
    return losses


def lost(data: Binned, said: np.ndarray) -> float:
    return float(data.weights[said != data.answers].sum())


@pytest.mark.parametrize("seed", range(6))
def test_no_list_of_all_loses_less_than_the_floor(seed: int) -> None:
    """Every ordered list of two rules and three classes, one after the other, loses the floor or more."""
    draw = np.random.default_rng(seed)
    data = small(seed)
    data = Binned(data.bins, data.codes[:, 1:], draw.integers(0, 3, len(data)).astype(np.int16), data.weights)
    data = Binned(data.bins[1:], data.codes, data.answers, data.weights)
    losses = ordered_losses(data, 3)
    assert len(losses) > 1_000
    assert data.floor() <= min(losses)


@pytest.mark.parametrize("seed", range(6))
def test_a_list_with_a_rule_for_every_cell_loses_the_floor(seed: int) -> None:
    """The floor is reached where the clauses are enough, so no greater number would be one."""
    data = small(seed)
    said = np.zeros(len(data), dtype=int)
    for cell in {tuple(codes) for codes in data.codes.tolist()}:
        inside = (data.codes == cell).all(axis=1)
        rivals = [float(data.weights[inside & (data.answers == outcome)].sum()) for outcome in range(data.classes)]
        said[inside] = int(np.argmax(rivals))
    assert lost(data, said) == data.floor() == data.merged().floor()


def test_several_classes_on_many_rows_have_a_floor() -> None:
    """Where no linear program bounds anything the floor and what lies above it are there all the same."""
    draw = np.random.default_rng(0)
    schema = Schema((Feature("x", "numeric"), Feature("y", "numeric")), "t", ("a", "b", "c"))
    rows = draw.integers(0, 9, size=(6_000, 2)).astype(float)
    answers = np.where(draw.uniform(size=6_000) < 0.1, 2, (rows.sum(axis=1) > 8).astype(np.intp))
    found = extract(rows, answers, schema, max_clauses=4).to_json()["bound"]
    assert found["loss"] is None
    assert 0.0 < found["floor"] < found["lost"] == found["floor"] + found["above_floor"]


def test_rules_that_lose_nothing_have_no_gap() -> None:
    """A policy that is found exactly is proved to be the best."""
    case = people(lambda row: "high" if row["job"] == "cook" and row["member"] == "true" else "low")
    bound = extract(*case.given, splits=[{}, {}, {}, {}], max_clauses=4).bound
    assert bound is not None
    assert (bound.loss, bound.found, bound.gap, bound.reason) == (0.0, 0.0, 0.0, None)
    assert bound.outcome is None


def test_a_list_of_three_classes_that_loses_nothing_has_no_gap() -> None:
    """Nothing loses less than nothing, whatever the classes and however many conditions there are."""
    case = people(lambda row: "low" if row["age"] < 30 else "high" if row["age"] < 50 else "middle")
    bound = extract(*case.given, max_clauses=6).bound
    assert bound is not None
    assert (bound.loss, bound.found, bound.gap, bound.reason) == (0.0, 0.0, 0.0, None)


def test_two_classes_and_few_clauses_have_a_bound_that_isnt_nothing() -> None:
    """Tic-tac-toe in eight clauses: what unordered rules lose at least, found by looking at thousands of branches."""
    table = tic_tac_toe()
    schema = infer_schema(table, "winner")
    rows, answers = encode(table, schema), target_codes(table, schema)
    bound = extract(rows, answers, schema, max_clauses=8).bound
    assert bound is not None
    assert bound.outcome is not None
    assert bound.loss is not None
    assert bound.found is not None
    assert 0.0 < bound.loss < bound.found
    assert bound.gap == bound.found - bound.loss


def sum_of(row: dict[str, Any]) -> float:
    """What no few clauses can say."""
    return float(row["age"] + row["hours per week"])


@pytest.mark.parametrize(
    ("answer", "options", "reason"),
    [
        (lambda row: "low" if row["age"] < 30 else "high" if sum_of(row) < 90 else "middle", {}, "more than two"),
        (lambda row: "low" if sum_of(row) < 70 else "high", {}, "too many"),
        (lambda row: "low" if sum_of(row) < 70 else "high", {"max_iterations": 0}, "limit"),
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
