"""The compiled inner loop does what plain numpy does, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleedit.surrogate import kernel
from ruleedit.surrogate.binarise import NumberBins, TextBins, bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.leaves import grow_trees
from ruleedit.surrogate.lists import Draft, Draftlist, better, folded, grown, prices, sweep, unfolded, worth_at
from ruleedit.surrogate.pool import Pool
from tests.surrogate import plain
from tests.surrogate.cases import random_case

seeds = st.integers(0, 10**6)
costs = st.sampled_from([0.0, 0.3, 1.0, 4.0])
#: Building a table in plain Python takes most of the time, so there are few examples; the soak tries many.
FEW = settings(max_examples=25, deadline=None)


def table_of(seed: int) -> Binned:
    """A random table as bins, alike rows merged, with missing values and values never seen."""
    case = random_case(seed, rows=50)
    return Binned.of(bin_features(*case.given), case.matrix, case.answers).merged()


def rule_of(data: Binned, draw: np.random.Generator) -> Draft:
    """A rule of random conditions that clauses can say; none at all is one too."""
    rule = Draft(int(draw.integers(0, 2)))
    for place, bins in enumerate(data.bins):
        options = [one.allowed for one in bins.options(draw.normal(size=bins.size), 3) if bins.cost(one.allowed)]
        if options and draw.uniform() < 0.5:
            rule.sets = {**rule.sets, place: options[int(draw.integers(len(options)))]}
    return rule


def list_of(data: Binned, draw: np.random.Generator) -> Draftlist:
    """Up to four rules and a default."""
    rules = [rule_of(data, draw) for _ in range(int(draw.integers(0, 5)))]
    return Draftlist([rule for rule in rules if rule.sets], int(draw.integers(0, 2)))


def said(rule: Draft) -> dict[int, list[bool]]:
    return {place: rule.sets[place].tolist() for place in sorted(rule.sets)}


def check_bettered(seed: int, price: float, most: int, *, whole: bool) -> None:
    data, draw = table_of(seed), np.random.default_rng(seed)
    rule = rule_of(data, draw)
    worth = draw.integers(-3, 4, len(data)).astype(float) if whole else draw.normal(size=len(data))
    rows = np.flatnonzero(worth)
    other = rule.copy()
    expected = plain.Fit(other, data, rows, worth[rows]).better(price, most)
    value = better(rule, data, rows, worth[rows], price, most)
    assert said(rule) == said(other)
    assert value == expected - price * other.cost(data.bins)
    assert rule.cost(data.bins) == sum(data.bins[place].cost(allowed) for place, allowed in rule.sets.items())


@FEW
@given(seeds, costs, st.integers(0, 6), st.booleans())
def test_a_rule_is_bettered_as_in_plain_numpy(seed: int, price: float, most: int, whole: bool) -> None:
    """The same conditions and the same value to the bit, for rows counted whole and for prices of a linear program."""
    check_bettered(seed, price, most, whole=whole)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(400))
def test_many_rules_are_bettered_as_in_plain_numpy(seed: int) -> None:
    """The same again and again."""
    for most in (1, 3, 8):
        check_bettered(seed, float(seed % 3), most, whole=bool(seed % 2))


@FEW
@given(seeds, costs, st.integers(0, 8))
def test_a_list_is_swept_as_in_plain_numpy(seed: int, price: float, most: int) -> None:
    """The same rules in the same order and the same default, and again when what is settled is remembered."""
    data, draw = table_of(seed), np.random.default_rng(seed)
    found = list_of(data, draw)
    for room in (most, most, most + 4):
        other = Draftlist([Draft(rule.outcome, dict(rule.sets)) for rule in found.rules], found.default)
        before = [(rule.outcome, said(rule)) for rule in found.rules]
        changed = sweep(found, data, price, room)
        plain.sweep(other, data, price, room)
        after = [(rule.outcome, said(rule)) for rule in found.rules]
        assert after == [(rule.outcome, said(rule)) for rule in other.rules]
        assert found.default == other.default
        assert changed or before == after
        assert found.deciding(data).tolist() == other.deciding(data).tolist()


@FEW
@given(seeds)
def test_rows_are_held_and_decided_as_in_plain_numpy(seed: int) -> None:
    """A rule holds the rows that satisfy its conditions, and the first that holds a row decides it."""
    data, draw = table_of(seed), np.random.default_rng(seed)
    found = list_of(data, draw)
    masks = [plain.mask(rule, data) for rule in found.rules]
    assert [rule.mask(data).tolist() for rule in found.rules] == [mask.tolist() for mask in masks]
    first = np.argmax([*masks, np.ones(len(data), dtype=bool)], axis=0)
    assert found.deciding(data).tolist() == first.tolist()


@FEW
@given(seeds)
def test_a_pool_is_weighed_as_place_by_place(seed: int) -> None:
    """What a conjunction gains in every place with every class is what its rows are worth there."""
    data, draw = table_of(seed), np.random.default_rng(seed)
    found = list_of(data, draw)
    pool = Pool.of([*(rule_of(data, draw).sets for _ in range(4)), *grow_trees(data, 4).members[:4]], data)
    values = pool.values(found, found.deciding(data))
    decided, above = found.decide(data), np.ones(len(data), dtype=bool)
    for position in range(len(found.rules) + 1):
        for outcome in range(values.shape[2]):
            worth = plain.worth_of(data, outcome, decided, above)
            rows, there = worth_at(data, found.deciding(data), found.outcomes, position, outcome)
            assert rows.tolist() == np.flatnonzero(worth).tolist()
            assert there.tolist() == worth[rows].tolist()
            expected = [worth[plain.mask(Draft(0, sets), data)].sum() for sets in pool.members]
            assert values[:, position, outcome].tolist() == expected
        if position < len(found.rules):
            above &= ~plain.mask(found.rules[position], data)


def test_what_decides_is_looked_up_again_once_the_list_is_another() -> None:
    """What is remembered of a list is of the very rules that it has, in their order, and of these rows."""
    data, draw = table_of(5), np.random.default_rng(5)
    found = Draftlist([rule_of(data, draw) for _ in range(3)], 0)
    known = found.deciding(data)
    assert found.deciding(data) is known is found.copy().deciding(data)
    found.rules.reverse()
    assert found.deciding(data).tolist() == Draftlist(found.rules, 0).deciding(data).tolist() != known.tolist()
    assert len(found.deciding(data.take(np.arange(3)))) == 3


@FEW
@given(seeds, costs, st.integers(0, 6))
def test_a_rule_is_grown_as_step_by_step(seed: int, price: float, most: int) -> None:
    """Of the rules that begin with right rows weighing more or not, the one that gains most."""
    data, draw = table_of(seed), np.random.default_rng(seed)
    worth = draw.integers(-3, 4, len(data)).astype(float)
    rows = np.flatnonzero(worth)
    expected, gained = Draft(1), 0.0
    for weights in ((1.0,), (3.0, 1.0), (9.0, 3.0, 1.0)):
        rule = Draft(1)
        for weight in weights:
            better(rule, data, rows, np.where(worth > 0.0, weight * worth, worth)[rows], price, most)
        value = float(worth[rule.mask(data)].sum()) - price * rule.cost(data.bins)
        if rule.sets and value > gained + kernel.LEAST_PRICE:
            expected, gained = rule, value
    found, value = grown(1, data, rows, worth[rows], price, most)
    assert said(found) == said(expected)
    assert value == pytest.approx(gained)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 200])
def test_places_that_differ_are_found_in_blocks_and_beyond(size: int) -> None:
    """The last ones, too, that fill no block."""
    draw = np.random.default_rng(size)
    some = draw.integers(-1, 2, size).astype(np.int8)
    others = np.where(draw.uniform(size=size) < 0.02, -some, some).astype(np.int8)
    others[-1:] = some[-1:] + 1
    assert kernel.differing(some, others).tolist() == np.flatnonzero(some != others).tolist()


@FEW
@given(seeds, st.integers(1, 6), st.floats(0.0, 2.0))
def test_the_best_condition_is_the_best_of_all_options(seed: int, most: int, price: float) -> None:
    """Of all features' options the one that gains most, and what is written is that condition at its own price."""
    data, draw = table_of(seed), np.random.default_rng(seed)
    table, costs = data.table, np.zeros(len(data.bins), dtype=np.int64)
    gains = draw.integers(-9, 10, int(table.starts[-1])).astype(float)
    best, score = None, kernel.LEAST_PRICE / 2
    for place, bins in enumerate(data.bins):
        for option in bins.options(gains[table.starts[place] : table.starts[place + 1]], most):
            if option.cost <= most and option.value - price * option.cost > score:
                best, score = (place, option.allowed), option.value - price * option.cost
    change = kernel.best_change(table, gains, costs, 0.0, price, most)
    if best is None:
        assert change.place == -1
        return
    place, expected = best
    allowed = np.ones(len(gains), dtype=bool)
    cost = kernel.put(table, change, gains, allowed)
    assert (change.place, change.score) == (place, score)
    assert allowed[table.starts[place] : table.starts[place + 1]].tolist() == expected.tolist()
    assert cost == data.bins[place].cost(expected)
    assert allowed[: table.starts[place]].all()
    assert allowed[table.starts[place + 1] :].all()


@FEW
@given(st.lists(st.integers(-9, 9), max_size=8, unique=True), st.lists(st.integers(-10, 10) | st.none(), max_size=30))
def test_values_stand_between_cuts_as_numpy_says(cuts: list[int], given_values: list[int | None]) -> None:
    """On a cut is below it, missing is past the last, and each gap has its greatest and least value; strided, too."""
    ascending = np.array(sorted(cuts), dtype=float)
    wide = np.full((len(given_values), 3), 99.0)
    wide[:, 1] = [np.nan if value is None else value for value in given_values]
    values = wide[:, 1]
    places = kernel.between(ascending, values)
    assert places.tolist() == np.searchsorted(ascending, values, side="left").tolist()
    greatest, least = np.empty(len(cuts) + 1), np.empty(len(cuts) + 1)
    kernel.ends(ascending, values, greatest, least)
    for gap in range(len(cuts) + 1):
        there = values[(places == gap) & ~np.isnan(values)].tolist()
        assert (greatest[gap], least[gap]) == (max(there, default=-np.inf), min(there, default=np.inf))


@given(st.lists(st.integers(-3, 3), max_size=12))
def test_values_are_ranked_by_gain_and_then_by_place(gains: list[int]) -> None:
    """The order is that of a stable sort."""
    assert kernel.ranked(np.array(gains, dtype=float)).tolist() == sorted(range(len(gains)), key=lambda n: -gains[n])


@FEW
@given(seeds, st.booleans())
def test_a_changed_condition_is_counted_as_from_the_beginning(seed: int, whole: bool) -> None:
    """Whether the rows that change sides are counted alone or all again, the sums are the same to the bit."""
    data, draw = table_of(seed), np.random.default_rng(seed)
    worth = draw.integers(-3, 4, len(data)).astype(float) if whole else draw.normal(size=len(data))
    rule, other = rule_of(data, draw), rule_of(data, draw)
    for place in other.sets:
        counts = counted_conditions(rule, data)
        before = rule.sets.get(place, np.ones(data.bins[place].size, dtype=bool))
        gains, rows = np.empty(int(data.table.starts[-1])), np.arange(len(data))
        now = kernel.gain(data.table, rows, worth, *counts, gains)
        rule.sets = {**rule.sets, place: other.sets[place]}
        allowed = rule.allowed(data)
        now = kernel.shift(data.table, rows, worth, before, place, allowed, *counts, gains, now, whole)
        expected, fresh = np.empty(len(gains)), counted_conditions(rule, data)
        assert now == kernel.gain(data.table, rows, worth, *fresh, expected)
        assert [one.tolist() for one in (*counts, gains)] == [one.tolist() for one in (*fresh, expected)]


def counted_conditions(rule: Draft, data: Binned) -> tuple[Any, Any]:
    """How many conditions each row fails, and the sum of their places."""
    failing, where = np.zeros(len(data), dtype=np.int16), np.zeros(len(data), dtype=np.int16)
    for place, allowed in rule.sets.items():
        failed = ~allowed[data.columns[place]]
        failing[failed] += 1
        where[failed] += place
    return failing, where


@pytest.mark.parametrize(("numbers", "whole"), [([1.0, -3.0, 0.0], True), ([1.0, 0.5], False), ([], True)])
def test_only_whole_numbers_are_summed_in_any_order(numbers: list[float], whole: bool) -> None:
    """A half is not whole."""
    assert kernel.are_whole(np.array(numbers, dtype=float)) == whole


def test_a_rule_is_flattened_again_when_a_condition_changes() -> None:
    """What is remembered of a rule is of the very conditions that it has, in a copy too."""
    data, draw = table_of(5), np.random.default_rng(5)
    rule, other = rule_of(data, draw), rule_of(data, draw)
    flat = rule.flat(data.bins)
    assert rule.copy().flat(data.bins) is flat
    copy = rule.copy()
    copy.sets = dict(other.sets)
    assert copy.allowed(data).tolist() == other.allowed(data).tolist() != rule.allowed(data).tolist()
    assert rule.flat(data.bins) is flat is not rule.flat(list(data.bins))


def test_rules_are_unfolded_and_folded_again() -> None:
    """What the compiled functions get says every condition with its price, and reads back as the same rule."""
    data, draw = table_of(3), np.random.default_rng(3)
    rules = [rule_of(data, draw) for _ in range(6)]
    (allowed, is_set), costs = unfolded(rules, data), prices(rules, data)
    for number, rule in enumerate(rules):
        assert said(Draft(rule.outcome, folded(allowed[number], costs[number], data))) == said(rule)
        assert np.flatnonzero(is_set[number]).tolist() == sorted(rule.sets)
        assert costs[number].sum() == rule.cost(data.bins)


def test_the_table_says_what_the_bins_are() -> None:
    """Kinds, missing values, others, single values and cuts stand where their bins do."""
    for seed in range(20):
        data = table_of(seed)
        table = data.table
        for place, bins in enumerate(data.bins):
            start, end = int(table.starts[place]), int(table.starts[place + 1])
            assert end - start == bins.size
            assert (table.cells[:, place] - start).tolist() == data.columns[place].tolist()
            assert table.has_missing[place] == bins.has_missing
            if isinstance(bins, NumberBins):
                assert table.kinds[place] == kernel.NUMBER
                assert table.cuts[start : end - 2].tolist() == bins.weights.tolist()
                assert table.is_single[start:end].tolist() == [*bins.single.tolist(), False]
            else:
                assert isinstance(bins, TextBins)
                kind = kernel.BOOLEAN if bins.feature.kind == "boolean" else kernel.CATEGORY
                assert (table.kinds[place], table.has_others[place]) == (kind, bins.has_others)
                assert not table.is_single[start:end].any()


def test_where_no_folder_can_be_written_it_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only installation and a home that isn't there cost time, not the answer."""
    compile_with = numba.njit

    def without_cache(signature: Any, *, cache: bool = False, **options: bool) -> Callable[..., Any]:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compile_with(signature, **options)  # type: ignore[no-any-return]

    monkeypatch.setattr(numba, "njit", without_cache)

    @kernel.compiled("int64(int64)")
    def twice(number: int) -> int:
        return 2 * number

    assert twice(21) == 42
