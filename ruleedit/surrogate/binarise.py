"""Bins: each feature as a few groups of values between which rules may tell.

A numeric feature is cut where the model cuts it. Each cut is rounded to the shortest decimal that
separates the same training values, so that what a person reads is what holds. A categorical
feature keeps its most telling values by name and pools the rest. Missing is a bin of its own,
always the last.

A condition is an `Allowed` array, true for each bin that satisfies it. What a clause can say is
one interval, one set of categories or its complement, missing, or not missing: never an
interval *or* missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ruleedit.matching import Indices, Matrix
from ruleedit.regions import Box, NumberSet, TextSet, ValueSet, after, before
from ruleedit.rules import ZERO
from ruleedit.schema import Feature, Schema
from ruleedit.surrogate.task import Splits

Allowed: TypeAlias = npt.NDArray[np.bool_]
Codes: TypeAlias = npt.NDArray[np.uint16]
Floats: TypeAlias = npt.NDArray[np.float64]

#: The most cuts of one feature, the greatest gains first: LightGBM makes no more than 254 either.
MOST_CUTS = 254
#: The most categories of one feature that rules may name; the others are one group.
MOST_NAMED = 24
#: Without a model's thresholds a feature of many values is cut at so many quantiles.
QUANTILES = 128
#: Rounding overflows beside the end of the doubles.
LARGEST_ROUNDED = 1e300
#: Wider tables keep the features that tell most about the answers.
MOST_FEATURES = 64


@dataclass(frozen=True, slots=True)
class Option:
    """A condition on one feature: what it gains, what it costs, and which bins it picks or leaves out."""

    value: float
    cost: int
    size: int
    pick: slice | Indices
    inside: bool = True
    missing: bool = False

    @property
    def allowed(self) -> Allowed:
        """The condition as bins."""
        allowed = np.full(self.size, not self.inside)
        allowed[self.pick] = self.inside
        allowed[-1] = self.missing
        return allowed


@dataclass(frozen=True, eq=False)
class NumberBins:
    """A numeric feature between its cuts: bin k holds ``cuts[k - 1] < x <= cuts[k]``.

    ``weights`` says how much the model makes of each cut; ``has_missing`` whether a training row
    lacks the value.
    """

    place: int
    feature: Feature
    cuts: Floats
    weights: Floats
    has_missing: bool

    @property
    def size(self) -> int:
        """How many bins there are, missing included."""
        return len(self.cuts) + 2

    def codes(self, column: Floats) -> Codes:
        """The bin of each value; shape (n,)."""
        from ruleedit.surrogate.kernel import between

        found: Codes = between(self.cuts, column).astype(np.uint16)
        if self.has_missing or np.isnan(column).any():
            found[np.isnan(column)] = self.size - 1
        return found

    def values(self, allowed: Allowed) -> ValueSet:
        """The condition as a set of values."""
        bins = np.flatnonzero(allowed[:-1])
        if not len(bins):
            return NumberSet.of([], True, self.feature)
        low, high = int(bins[0]), int(bins[-1])
        whole = self.feature.kind == "integer"
        start = -math.inf if low == 0 else after(float(self.cuts[low - 1]), whole)
        end = math.inf if high == len(self.cuts) else float(self.cuts[high])
        return NumberSet.of([(start, end)], False, self.feature)

    def allowed(self, values: ValueSet) -> Allowed:
        """The bins whose values are in a set."""
        inside = [float(cut) in values for cut in self.cuts]
        last = isinstance(values, NumberSet) and bool(values.intervals) and values.intervals[-1][1] == math.inf
        return np.array([*inside, last, values.missing])

    def cost(self, allowed: Allowed) -> int:
        """Clauses as `ruleedit.regions.clause_cost` counts them; 0 where every value is allowed."""
        return _remembered(self._costs, allowed, self._cost)

    @cached_property
    def _costs(self) -> dict[bytes, int]:
        return {}

    def _cost(self, allowed: Allowed) -> int:
        bins = np.flatnonzero(allowed[:-1])
        if not len(bins):
            return 1
        low, high = int(bins[0]), int(bins[-1])
        if low == 0 and high == len(self.cuts):
            return int(self.has_missing and not allowed[-1])
        return self.interval_cost(low, high)

    def interval_cost(self, low: int, high: int) -> int:
        """The clauses of the bins from ``low`` to ``high``, which aren't all."""
        if low == high and self.single[low]:
            return 1
        return int(low > 0) + int(high < len(self.cuts))

    @cached_property
    def single(self) -> Allowed:
        """The bins that hold one value of an integer feature: those read as ``x = value``."""
        single = np.zeros(len(self.cuts) + 1, dtype=bool)
        if self.feature.kind == "integer" and len(self.cuts) > 1:
            single[1:-1] = np.diff(self.cuts) == 1.0
        return single

    @cached_property
    def singles(self) -> Indices:
        """The places of those bins."""
        return np.flatnonzero(self.single)

    def options(self, gains: Floats, most: int) -> Iterator[Option]:
        """The best condition of each cost up to ``most``, given what each bin gains."""
        yield from _without_values(gains, self.has_missing, most)
        if most < 1 or not len(self.cuts):
            return
        sums = np.cumsum(gains[:-1])
        low, high = self._weightiest(sums[:-1]), self._weightiest(-sums[:-1]) + 1
        yield self._interval(sums, 0, low)
        yield self._interval(sums, high, len(self.cuts))
        if len(self.singles):
            best = int(self.singles[int(gains[self.singles].argmax())])
            yield self._interval(sums, best, best)
        if most >= 2 and len(self.cuts) >= 2:
            before = sums - gains[:-1]
            end = int((sums - np.minimum.accumulate(before)).argmax())
            start = int(before[: end + 1].argmin())
            if start > 0 and end < len(self.cuts):
                yield self._interval(sums, start, end)

    def _weightiest(self, sums: Floats) -> int:
        """The cut with the greatest sum; of equal ones, that of which the model makes most."""
        ties = np.flatnonzero(sums >= sums.max() - 1e-9)
        return int(ties[0]) if len(ties) == 1 else int(ties[int(self.weights[ties].argmax())])

    def _interval(self, sums: Floats, start: int, end: int) -> Option:
        value = float(sums[end] - (sums[start - 1] if start else 0.0))
        return Option(value, self.interval_cost(start, end), self.size, slice(start, end + 1))


@dataclass(frozen=True, eq=False)
class TextBins:
    """A categorical or boolean feature: a bin for each named value, one for all others, one for missing.

    ``named`` holds encoded values. ``has_others`` says whether a training row has a value that
    isn't named. The bin of the others is also that of a value never seen, so a set with it is
    written ``not in``.
    """

    place: int
    feature: Feature
    named: tuple[int, ...]
    has_others: bool
    has_missing: bool

    @property
    def size(self) -> int:
        """How many bins there are, missing included."""
        return len(self.named) + 2

    def codes(self, column: Floats) -> Codes:
        """The bin of each value; shape (n,)."""
        lookup = np.full(max([*self.feature.code_of.values(), 1]) + 1, len(self.named), dtype=np.uint16)
        lookup[list(self.named)] = np.arange(len(self.named), dtype=np.uint16)
        missing = np.isnan(column)
        found = lookup[np.where(missing, 0.0, column).astype(np.intp)]
        found[missing] = self.size - 1
        return found

    def _is_inverted(self, allowed: Allowed) -> bool:
        """Whether the set is written by the values that it leaves out."""
        inside = int(allowed[:-2].sum())
        outside = len(self.named) - inside
        return bool(allowed[-2]) if self.has_others else outside < inside

    def values(self, allowed: Allowed) -> ValueSet:
        """The condition as a set of values."""
        if not allowed[:-1].any():
            return TextSet.of((), False, True, self.feature)
        inverted = self._is_inverted(allowed)
        texts = {code: text for text, code in self.feature.code_of.items()}
        members = [texts[code] for code, is_in in zip(self.named, allowed[:-2], strict=True) if is_in != inverted]
        return TextSet.of(members, inverted, False, self.feature)

    def allowed(self, values: ValueSet) -> Allowed:
        """The bins whose values are in a set."""
        texts = {code: text for text, code in self.feature.code_of.items()}
        others = isinstance(values, TextSet) and values.inverted
        return np.array([*(texts[code] in values for code in self.named), others, values.missing])

    def cost(self, allowed: Allowed) -> int:
        """Clauses as `ruleedit.regions.clause_cost` counts them; 0 where every value is allowed."""
        return _remembered(self._costs, allowed, self._cost)

    @cached_property
    def _costs(self) -> dict[bytes, int]:
        return {}

    def _cost(self, allowed: Allowed) -> int:
        if not allowed[:-1].any():
            return 1
        inside = int(allowed[:-2].sum())
        inverted = self._is_inverted(allowed)
        count = len(self.named) - inside if inverted else inside
        if inverted and count == 0:
            return int(self.has_missing and not allowed[-1])
        return 1 if self.feature.kind == "boolean" else count

    def options(self, gains: Floats, most: int) -> Iterator[Option]:
        """The best condition of each cost up to ``most``, given what each bin gains."""
        yield from _without_values(gains, self.has_missing, most)
        order = np.argsort(-gains[:-2], kind="stable")
        ranked = gains[order]
        present, top, tail = float(gains[:-1].cumsum()[-1]), 0.0, 0.0
        # Naming every value, where there are no others, would be a clumsy "is not missing".
        for count in range(1, min(most, len(order) - 1 + self.has_others) + 1):
            top, tail = top + float(ranked[count - 1]), tail + float(ranked[-count])
            if ranked[count - 1] <= 0.0 and ranked[-count] >= 0.0:
                return
            if ranked[count - 1] > 0.0:
                yield Option(top, count, self.size, order[:count])
            if ranked[-count] < 0.0:
                yield Option(present - tail, count, self.size, order[len(order) - count :], inside=False)


Bins: TypeAlias = NumberBins | TextBins


def _remembered(costs: dict[bytes, int], allowed: Allowed, work_out: Callable[[Allowed], int]) -> int:
    """The clauses of a condition: the search asks for the same ones again and again."""
    key = allowed.tobytes()
    found = costs.get(key)
    if found is None:
        found = costs[key] = work_out(allowed)
    return found


def _without_values(gains: Floats, has_missing: bool, most: int) -> Iterator[Option]:
    """No condition, and the two that only look at whether the value is there."""
    size, nothing = len(gains), slice(0, 0)
    present, missing = float(gains[:-1].cumsum()[-1]), float(gains[-1])
    yield Option(present + missing, 0, size, nothing, inside=False, missing=True)
    if has_missing and most >= 1:
        yield Option(missing, 1, size, nothing, missing=True)
        yield Option(present, 1, size, nothing, inside=False)


def bin_features(
    rows: Matrix, answers: Indices, schema: Schema, splits: Splits = (), keep: Sequence[Box] = ()
) -> list[Bins]:
    """The bins of every feature that has something to tell apart, in schema order.

    Parameters
    ----------
    rows : Matrix
        Encoded rows; shape (n, features); NaN is missing.
    answers : Indices
        The model's answers as places in the schema's classes; shape (n,).
    schema : Schema
        The features.
    splits : sequence of mappings
        Per feature the model's thresholds and their gain; empty where they aren't known, and
        then the cuts are quantiles. A numeric feature of a known model without thresholds is left out.
    keep : sequence of Box
        Rules that the bins must be able to say: their bounds are cuts, their categories have names.

    Returns
    -------
    list of Bins
        At most `MOST_FEATURES`, and those of the kept boxes.
    """
    found: list[Bins] = []
    named = {name for box in keep for name, _ in box.sets}
    for place, feature in enumerate(schema.features):
        column = rows[:, place]
        if feature.name not in named and not tells(column):
            continue
        kept = [box.by_feature[feature.name] for box in keep if feature.name in box.by_feature]
        if feature.is_number:
            known = splits[place] if splits else quantile_splits(column)
            numbers = number_bins(column, place, feature, known, kept)
            if len(numbers.cuts) or numbers.has_missing:
                found.append(numbers)
        else:
            found.append(text_bins(column, answers, place, feature, kept))
    if len(found) <= MOST_FEATURES:
        return found
    telling = most_telling(found, [bin_counts(each, rows, answers) for each in found], splits)
    return [each for each in found if each in telling or each.feature.name in named]


def tells(column: Floats) -> bool:
    """Whether a column has two different values, missing counted as one."""
    missing = np.isnan(column)
    if missing.any():
        return not missing.all()
    return bool(len(column)) and bool((column != column[0]).any())


def number_bins(
    column: Floats, place: int, feature: Feature, splits: Mapping[float, float], keep: Sequence[ValueSet] = ()
) -> NumberBins:
    """Bins between the thresholds, rounded so that no value of the column changes sides.

    The bounds of the sets in ``keep`` are cuts as they stand, each in place of one that separates the same values.
    """
    cuts = readable_cuts(column, feature, splits)
    bounds = _bounds(keep, feature)
    if bounds:
        present = np.sort(column[~np.isnan(column)])
        sides = set(np.searchsorted(present, bounds, side="right").tolist())
        cuts = {cut: cuts[cut] for cut in cuts if int(np.searchsorted(present, cut, side="right")) not in sides}
    ranked = sorted(cuts, key=lambda cut: (-cuts[cut], cut))[:MOST_CUTS]
    kept = sorted([*ranked, *bounds])
    most = max(cuts.values(), default=1.0)
    weights = np.array([cuts.get(cut, most) for cut in kept], dtype=float)
    return NumberBins(place, feature, np.array(kept, dtype=float), weights, bool(np.isnan(column).any()))


def _bounds(keep: Sequence[ValueSet], feature: Feature) -> list[float]:
    """The cuts that the sets need: the ends of their intervals, and the values before their starts."""
    whole = feature.kind == "integer"
    intervals = [interval for values in keep if isinstance(values, NumberSet) for interval in values.intervals]
    found = {high for _, high in intervals} | {before(low, whole) for low, _ in intervals if low > -math.inf}
    return sorted(bound for bound in found if math.isfinite(bound))


def readable_cuts(column: Floats, feature: Feature, splits: Mapping[float, float]) -> dict[float, float]:
    """Round thresholds to the shortest decimals that separate the same values of the column.

    A threshold beyond the column's values or outside the feature's range is left out. Those between
    the same two values become one, and their gains are summed.
    """
    sorted_splits = sorted(splits)
    if not sorted_splits:
        return {}
    below, above = _neighbours(column, np.array(sorted_splits, dtype=float))
    low = -math.inf if feature.low is None else feature.low
    high = math.inf if feature.high is None else feature.high
    together: dict[tuple[float, float], list[float]] = {}
    for threshold, start, end in zip(sorted_splits, below, above, strict=True):
        gap = (max(float(start), low), min(float(end), high))
        if math.isfinite(start) and math.isfinite(end) and gap[0] < gap[1]:
            together.setdefault(gap, []).append(threshold)
    cuts: dict[float, float] = {}
    for (start, end), thresholds in together.items():
        chief = max(thresholds, key=lambda threshold: (splits[threshold], -threshold))
        cuts[shortest(start, end, chief, feature.kind == "integer")] = sum(splits[one] for one in thresholds)
    return cuts


def _neighbours(values: Floats, thresholds: Floats) -> tuple[Floats, Floats]:
    """For each threshold the greatest value up to it and the least value above it; infinite where there is none."""
    from ruleedit.surrogate.kernel import ends

    greatest, least = np.empty(len(thresholds) + 1), np.empty(len(thresholds) + 1)
    ends(thresholds, values, greatest, least)
    return np.maximum.accumulate(greatest)[:-1], np.minimum.accumulate(least[::-1])[::-1][1:]


def shortest(start: float, end: float, near: float, whole: bool = False) -> float:
    """The decimal with the fewest digits in the half-open interval from ``start`` to ``end``, near ``near``.

    Examples
    --------
    >>> shortest(0.9996, 1.0002, 0.9999)
    1.0
    >>> shortest(27.0, 28.0, 27.5, whole=True)
    27.0
    """
    near = min(max(near, start), end)
    if max(abs(start), abs(end)) > LARGEST_ROUNDED:
        return 0.0 if start <= 0.0 < end else start
    gap = end - start
    # With a step as wide as the gap or wider, every shorter decimal in it is a multiple of that step.
    first = math.floor(-math.log10(gap)) - 1
    for digits in range(first, 1 if whole else first + 20):
        middle = round(near, digits)
        step = 10.0**-digits
        for candidate in sorted((middle, middle - step, middle + step), key=lambda one: abs(one - near)):
            number = round(candidate, digits) + 0.0
            number = 0.0 if abs(number) <= ZERO else number
            if start <= number < end:
                return number
    return math.floor(near) if whole and start <= math.floor(near) else start


def quantile_splits(column: Floats) -> dict[float, float]:
    """Cuts between all values or, where these are many, at quantiles: for a model whose thresholds nobody knows."""
    present = np.sort(column[~np.isnan(column)])
    if not len(present):
        return {}
    values = np.unique(present)
    if len(values) > MOST_CUTS:
        values = np.unique(present[np.linspace(0, len(present) - 1, QUANTILES + 2).astype(np.intp)])
    splits = {}
    for value in values:
        above = int(np.searchsorted(present, value, side="right"))
        if above < len(present):
            splits[float(value / 2.0 + present[above] / 2.0)] = 1.0
    return splits


def text_bins(
    column: Floats, answers: Indices, place: int, feature: Feature, keep: Sequence[ValueSet] = ()
) -> TextBins:
    """Bins for the categories that tell most about the answers: the furthest from the usual share of classes.

    Those that the sets in ``keep`` name have bins too.
    """
    return text_bins_of(text_counts(column, answers, feature), bool(np.isnan(column).any()), place, feature, keep)


def text_counts(column: Floats, answers: Indices, feature: Feature) -> Floats:
    """How often each value meets each answer, the first row for one never seen; shape (values + 1, classes)."""
    present = ~np.isnan(column)
    # Boolean codes begin at 0, which for a category means never seen.
    return _table(column[present].astype(np.intp) + _shift(feature), answers[present], len(feature.values) + 1)


def text_bins_of(
    counts: Floats, has_missing: bool, place: int, feature: Feature, keep: Sequence[ValueSet] = ()
) -> TextBins:
    """`text_bins` of `text_counts`, and of whether a value is missing."""
    shift = _shift(feature)
    usual = counts.sum(axis=0) / max(1.0, counts.sum())
    telling = np.abs(counts - counts.sum(axis=1, keepdims=True) * usual).sum(axis=1)
    seen = [code for code in range(1, len(counts)) if counts[code].sum() > 0]
    best = sorted(seen, key=lambda code: (-telling[code], code))[:MOST_NAMED]
    members = {text for values in keep if isinstance(values, TextSet) for text in values.members}
    best += [code for code in (feature.code_of[text] + shift for text in members) if code not in best]
    others = bool(counts[0].any()) or not set(seen) <= set(best)
    return TextBins(place, feature, tuple(code - shift for code in sorted(best)), others, has_missing)


def _shift(feature: Feature) -> int:
    return 1 if feature.kind == "boolean" else 0


def _table(codes: npt.NDArray[np.integer], answers: Indices, size: int) -> Floats:
    """How often each code meets each answer; shape (size, classes)."""
    classes = int(answers.max(initial=0)) + 1
    return (
        np.bincount(codes.astype(np.intp) * classes + answers, minlength=size * classes)
        .reshape(size, classes)
        .astype(float)
    )


def bin_counts(bins: Bins, rows: Matrix, answers: Indices) -> Floats:
    """How often each bin meets each answer on encoded rows (n, features); shape (bins, classes)."""
    return _table(bins.codes(rows[:, bins.place]), answers, bins.size)


def most_telling(bins: list[Bins], counts: Sequence[Floats], splits: Splits) -> list[Bins]:
    """The features that tell most by themselves, by their `bin_counts`, and those of which the model makes most."""
    alone = [-_information(table) for table in counts]
    order = [int(place) for place in np.argsort(alone, kind="stable")]
    if splits:
        gains = [-sum(splits[each.place].values()) for each in bins]
        used = [int(place) for place in np.argsort(gains, kind="stable") if gains[int(place)] < 0.0]
        order = [*order[: MOST_FEATURES // 2], *used, *order]
    kept = set(list(dict.fromkeys(order))[:MOST_FEATURES])
    return [each for place, each in enumerate(bins) if place in kept]


def _information(counts: Floats) -> float:
    """The mutual information of a table of counts, in nats."""
    share = counts / max(1.0, counts.sum())
    expected = share.sum(axis=1, keepdims=True) * share.sum(axis=0, keepdims=True)
    there = share > 0.0
    return float((share[there] * np.log(share[there] / expected[there])).sum())
