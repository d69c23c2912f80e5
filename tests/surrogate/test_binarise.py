"""Bins: readable cuts that move no row, conditions that clauses can say, and their price."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.regions import NumberSet, clause_cost, set_clauses
from ruleedit.rules import Outcome, Rule, number_text
from ruleedit.schema import Feature, Schema
from ruleedit.surrogate.binarise import (
    MOST_CUTS,
    MOST_FEATURES,
    MOST_NAMED,
    Bins,
    NumberBins,
    TextBins,
    bin_features,
    number_bins,
    quantile_splits,
    readable_cuts,
    shortest,
    text_bins,
)
from tests.surrogate.cases import PEOPLE, people, random_case

AGE = Feature("age", "integer", low=18.0, high=80.0)
SIZE = Feature("size", "numeric")
JOB = Feature("job", "categorical", categories=tuple(f"job {one}" for one in range(50)))
NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 6) + 0.0)


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def bins_of(*values: float, feature: Feature = AGE) -> NumberBins:
    here = column(*values)
    return number_bins(here, 0, feature, quantile_splits(here))


def priced(bins: Bins, allowed: np.ndarray) -> int:
    """The cost of a condition as clauses, by the ground floor's own count."""
    options = set_clauses(bins.values(allowed), bins.feature)
    assert len(options) == 1
    return clause_cost(Rule("R1", options[0], Outcome.of("x")))


@pytest.mark.parametrize(
    ("start", "end", "near", "expected"),
    [
        (0.9996, 1.0002, 0.9999, 1.0),
        (-0.5, 0.7, 0.1, 0.0),
        (12.341, 12.349, 12.345, 12.345),
        (999.9, 1000.1, 1000.05, 1000.0),
        (5013.0, 5178.0, 5095.5, 5100.0),
        (-3.7, -3.2, -3.45, -3.5),
    ],
)
def test_a_threshold_is_the_shortest_decimal_of_its_gap(start: float, end: float, near: float, expected: float) -> None:
    """Between two values there is a round number, and that is the one to show."""
    found = shortest(start, end, near)
    assert start <= found < end
    assert len(number_text(found)) <= len(number_text(expected))


@given(NUMBERS, NUMBERS, st.floats(0.0, 1.0))
def test_the_shortest_decimal_lies_in_its_gap(one: float, other: float, where: float) -> None:
    """It is never below the value on its left and never as great as the one on its right."""
    start, end = min(one, other), max(one, other)
    if start < end:
        assert start <= shortest(start, end, start + where * (end - start)) < end


@given(st.integers(-10_000, 10_000), st.integers(1, 10_000), st.floats(0.0, 1.0))
def test_an_integer_threshold_is_whole(start: int, width: int, where: float) -> None:
    """A clause on an integer feature refuses what isn't whole."""
    found = shortest(float(start), float(start + width), start + where * width, whole=True)
    assert found == math.floor(found)
    assert start <= found < start + width


@pytest.mark.parametrize(
    ("start", "end"), [(-1.7e308, 1.7e308), (0.0, 5e-324), (1.0, math.nextafter(1.0, 2.0)), (1e-34, 1e-33)]
)
def test_gaps_at_the_ends_of_the_doubles_have_a_threshold(start: float, end: float) -> None:
    """The widest gap and the narrowest have a number inside too."""
    assert start <= shortest(start, end, start) < end


@given(st.lists(NUMBERS, min_size=2, max_size=40), st.lists(NUMBERS, min_size=1, max_size=20))
def test_rounding_moves_no_row(values: list[float], thresholds: list[float]) -> None:
    """Each rounded cut separates the rows exactly as one of the model's thresholds did, and none is lost."""
    here = column(*values)
    cuts = readable_cuts(here, SIZE, dict.fromkeys(thresholds, 1.0))
    sides = {tuple(here <= threshold) for threshold in thresholds}
    telling = {side for side in sides if 0 < sum(side) < len(values)}
    assert {tuple(here <= cut) for cut in cuts} == telling
    assert len(cuts) == len(telling)


def test_gains_of_thresholds_between_the_same_values_are_summed() -> None:
    """Two thresholds that no row tells apart are one cut with both gains."""
    assert readable_cuts(column(1.0, 2.0, 3.0), SIZE, {1.2: 3.0, 1.8: 4.0, 2.5: 1.0}) == {1.0: 7.0, 2.0: 1.0}


def test_a_cut_stays_in_the_range_of_the_schema() -> None:
    """A clause outside the range would be refused at reading, so no cut lies there."""
    narrow = Feature("age", "integer", low=30.0, high=40.0)
    cuts = readable_cuts(column(*range(18, 81)), narrow, {one + 0.5: 1.0 for one in range(18, 80)})
    assert sorted(cuts) == [float(one) for one in range(30, 40)]


def test_a_threshold_beyond_the_values_is_left_out() -> None:
    """What separates no two rows says nothing."""
    assert readable_cuts(column(1.0, 2.0), SIZE, {0.5: 1.0, 2.5: 1.0}) == {}


def test_a_column_without_values_has_no_cuts() -> None:
    """All missing, or no thresholds: nothing to cut."""
    assert readable_cuts(column(math.nan, math.nan), SIZE, {0.5: 1.0}) == {}
    assert readable_cuts(column(1.0, 2.0), SIZE, {}) == {}
    assert quantile_splits(column(math.nan)) == {}


def test_quantiles_separate_the_few_values_there_are() -> None:
    """With few different values every gap is a cut."""
    assert sorted(quantile_splits(column(1.0, 1.0, 2.0, 4.0))) == [1.5, 3.0]


def test_the_greatest_gains_are_kept() -> None:
    """Past the limit of cuts those of which the model makes least go."""
    values = np.arange(400.0)
    bins = number_bins(values, 0, SIZE, {one + 0.5: float(one) for one in range(399)})
    assert len(bins.cuts) == MOST_CUTS
    assert bins.cuts.min() >= 399 - MOST_CUTS


def test_codes_follow_the_cuts_and_missing_is_last() -> None:
    """A value on a cut lies below it."""
    bins = NumberBins(0, SIZE, column(1.0, 2.0), column(1.0, 1.0), True)
    assert bins.codes(column(0.0, 1.0, 1.5, 2.0, 2.5, math.nan)).tolist() == [0, 0, 1, 1, 2, 3]


def test_an_interval_of_bins_is_an_interval_of_values() -> None:
    """The bins between two cuts are read as above the one and up to the other."""
    bins = NumberBins(0, SIZE, column(1.0, 2.0, 3.0), column(1.0, 1.0, 1.0), True)
    values = bins.values(np.array([False, True, True, False, False]))
    assert isinstance(values, NumberSet)
    assert (1.0 in values, 1.5 in values, 3.0 in values, 3.5 in values, None in values) == (
        False,
        True,
        True,
        False,
        False,
    )


def test_only_the_last_bin_is_missing() -> None:
    """A condition of the missing bin alone reads ``is missing``."""
    bins = NumberBins(0, SIZE, column(1.0), column(1.0), True)
    assert [str(clause) for clause in set_clauses(bins.values(np.array([False, False, True])), SIZE)[0]] == [
        "size is missing"
    ]


@pytest.mark.parametrize(
    ("allowed", "cost"),
    [([1, 0, 0, 0, 0], 1), ([0, 0, 1, 1, 0], 1), ([0, 1, 1, 0, 0], 2), ([0, 1, 0, 0, 0], 1), ([1, 1, 1, 1, 1], 0)],
)
def test_a_single_whole_value_costs_one(allowed: list[int], cost: int) -> None:
    """A bound counts one, an interval two, and an interval of one integer is an equation."""
    bins = NumberBins(0, AGE, column(20.0, 21.0, 30.0), column(1.0, 1.0, 1.0), True)
    here = np.array(allowed, dtype=bool)
    assert bins.cost(here) == cost
    assert cost == 0 or priced(bins, here) == cost


def test_a_set_is_written_by_the_fewer_values() -> None:
    """Four of five named values are said by the one that is left out."""
    bins = TextBins(2, PEOPLE.feature("job"), (1, 2, 3, 4, 5), False, False)
    most = np.array([True, True, True, True, False, False, False])
    assert [str(clause) for clause in set_clauses(bins.values(most), bins.feature)[0]] == ["job != smith"]
    assert bins.cost(most) == 1


def test_a_set_with_the_others_leaves_values_out() -> None:
    """Values that have no name of their own are in a set only as ``not in``."""
    bins = TextBins(0, JOB, (1, 2, 3), True, False)
    mostly = np.array([True, False, False, True, False])
    assert [str(clause) for clause in set_clauses(bins.values(mostly), JOB)[0]] == ["job not in ('job 1', 'job 2')"]
    assert bins.cost(mostly) == 2


def test_a_boolean_costs_one_clause() -> None:
    """There is nothing shorter than one value of two."""
    bins = TextBins(3, PEOPLE.feature("member"), (0, 1), False, True)
    for allowed in ([1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1]):
        assert bins.cost(np.array(allowed, dtype=bool)) == 1


def test_unseen_and_unnamed_values_share_a_bin() -> None:
    """A value never seen is coded as those that rules don't name."""
    bins = TextBins(0, JOB, (2, 5), True, True)
    assert bins.codes(column(0.0, 1.0, 2.0, 5.0, math.nan)).tolist() == [2, 2, 0, 1, 3]


def test_the_telling_values_are_named() -> None:
    """Of many values those with unusual answers get a name."""
    codes = np.repeat(np.arange(1.0, 51.0), 20)
    answers = np.where(np.isin(codes, [7, 33]), 1, 0).astype(np.intp)
    bins = text_bins(codes, answers, 0, JOB)
    assert len(bins.named) == MOST_NAMED
    assert {7, 33} <= set(bins.named)
    assert bins.has_others


def test_ten_thousand_values_take_a_moment() -> None:
    """The table of values is counted, not searched."""
    wide = Feature("id", "categorical", categories=tuple(map(str, range(10_000))))
    codes = np.arange(20_000.0) % 10_000 + 1.0
    bins = text_bins(codes, (codes < 3).astype(np.intp), 0, wide)
    assert {1, 2} <= set(bins.named)
    assert len(bins.codes(codes)) == 20_000


@given(st.lists(st.integers(-20, 20), min_size=6, max_size=6))
def test_number_options_are_the_best_of_their_cost(gains: list[int]) -> None:
    """No interval that costs as little gains more than the one offered."""
    bins = NumberBins(0, SIZE, column(1.0, 2.0, 3.0, 4.0), np.ones(4), True)
    here = np.array(gains, dtype=float)
    offered = {cost: max(o.value for o in bins.options(here, 2) if o.cost <= cost) for cost in (0, 1, 2)}
    for low in range(5):
        for high in range(low, 5):
            allowed = np.zeros(6, dtype=bool)
            allowed[low : high + 1] = True
            assert here[allowed].sum() <= offered[bins.cost(allowed)]


@given(st.lists(st.integers(-20, 20), min_size=5, max_size=5), st.booleans())
def test_text_options_are_the_best_of_their_cost(gains: list[int], others: bool) -> None:
    """No set of as many values that gains anything gains more than the one offered."""
    bins = TextBins(0, JOB, (1, 2, 3), others, False)
    here = np.array(gains, dtype=float)
    here[-1] = 0.0
    here[-2] = here[-2] if others else 0.0
    offered = {cost: max(o.value for o in bins.options(here, 3) if o.cost <= cost) for cost in range(4)}
    for mask in range(1, 16 if others else 8):
        allowed = np.array([mask >> bit & 1 for bit in range(4)] + [0], dtype=bool)
        assert here[allowed].sum() <= max(0.0, offered[min(bins.cost(allowed), 3)]) + 1e-9


@pytest.mark.parametrize("seed", range(25))
def test_each_option_says_what_it_gains_and_costs(seed: int) -> None:
    """An option's value is the sum over its bins, and its price is at most what a person would count."""
    case = random_case(seed)
    draw = np.random.default_rng(seed)
    for bins in bin_features(*case.given):
        present = np.bincount(bins.codes(case.matrix[:, bins.place]), minlength=bins.size) > 0
        gains = np.where(present, draw.integers(-9, 10, bins.size), 0).astype(float)
        for option in bins.options(gains, 4):
            assert option.value == pytest.approx(gains[option.allowed].sum())
            assert option.cost >= bins.cost(option.allowed)
            assert bins.cost(option.allowed) == 0 or priced(bins, option.allowed) <= bins.cost(option.allowed)


@pytest.mark.parametrize("seed", range(25))
def test_bins_and_values_hold_the_same_rows(seed: int) -> None:
    """A condition as bins holds a training row if and only if it does as a set of values."""
    case = random_case(seed)
    for bins in bin_features(*case.given):
        codes = bins.codes(case.matrix[:, bins.place])
        for option in bins.options(np.random.default_rng(seed).normal(size=bins.size), 3):
            if bins.cost(option.allowed):
                values = bins.values(option.allowed)
                cells = [row[bins.feature.name] for row in case.rows]
                assert [cell in values for cell in cells] == option.allowed[codes].tolist()


def test_a_feature_of_one_value_is_left_out() -> None:
    """What never changes can't tell rows apart."""
    case = people(lambda row: "high" if row["age"] > 40 else "low")
    matrix = case.matrix
    matrix[:, 0] = 30.0
    assert "age" not in [bins.feature.name for bins in bin_features(matrix, case.answers, PEOPLE)]


def test_a_number_that_the_model_never_cuts_is_left_out() -> None:
    """Of a known model only its own thresholds count."""
    case = people(lambda row: "high" if row["age"] > 40 else "low")
    known = bin_features(*case.given, [{40.5: 1.0}, {}, {}, {}])
    assert [bins.feature.name for bins in known] == ["age", "job", "member"]


def test_a_wide_table_keeps_the_telling_features() -> None:
    """Past the limit the features that say most about the answers stay."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(300, 200))
    wide = Schema(tuple(Feature(f"x{place}", "numeric") for place in range(200)), "y", ("a", "b"))
    answers = (rows[:, 150] > 0).astype(np.intp)
    splits = [{0.0: 1.0 + place} for place in range(200)]
    for given_splits in ((), splits):
        kept = bin_features(rows, answers, wide, given_splits)
        assert len(kept) == MOST_FEATURES
        assert "x150" in [bins.feature.name for bins in kept]


def test_whole_cuts_come_from_whole_values() -> None:
    """Ages 18 to 80 are cut at ages."""
    assert all(cut == int(cut) for cut in bins_of(*range(18, 81)).cuts)
