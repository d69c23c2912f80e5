"""What a generated value may be: per feature the values that rule, schema and training rows leave."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ruleedit.matching import Indices, Mask, Matrix, set_mask
from ruleedit.regions import Box, Interval, NumberSet, TextSet, ValueSet, full_set
from ruleedit.rules import ZERO
from ruleedit.schema import Feature, Schema

Column = npt.NDArray[np.float64]
#: Among several intervals each is drawn by its length, but at least this often: single values have no length.
LEAST_SHARE = 0.01


@dataclass(frozen=True, eq=False)
class Seen:
    """What training rows say about one feature.

    ``low`` and ``high`` are the range of its present numbers (NaN: there are none), ``counts`` how
    often each code came, ``missing`` the share of missing values, ``deviation`` the standard
    deviation, ``values`` (m,) the present values.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    missing: float
    deviation: float
    values: Column

    @classmethod
    def of(cls, column: Column, feature: Feature, deviation: float) -> Seen:
        """Describe an encoded training column (n,)."""
        present = column[~np.isnan(column)]
        low, high = (float(present.min()), float(present.max())) if len(present) else (math.nan, math.nan)
        codes = present.astype(np.intp) if not feature.is_number else np.zeros(0, dtype=np.intp)
        counts = np.bincount(codes, minlength=max(feature.code_of.values(), default=0) + 1)
        missing = 1.0 - len(present) / len(column) if len(column) else 0.0
        return cls(low, high, tuple(counts.tolist()), missing, deviation, present)


@dataclass(frozen=True, eq=False)
class Allowed:
    """The values that a generated row may have in one feature, and how to draw one.

    ``legal`` is the exact set; a value outside it is drawn anew: a number uniformly from
    ``intervals``, or half the time from ``observed`` (m,), the training values in the set, if there
    are any; a text from ``codes`` by ``shares``; missing with the probability ``missing``.

    FROTE draws numbers uniformly. In a skewed column nearly all rows to come lie near one end of a
    wide interval, and uniform draws nearly never do. Of 12,000 of Adult's rows, on men with a capital
    gain above 5,000 and no training row among them, held-out agreement was 0.90 with uniform draws
    and is 0.96 with half of them observed (mean of two seeds).
    """

    feature: Feature
    legal: ValueSet
    intervals: tuple[Interval, ...]
    codes: tuple[int, ...]
    shares: tuple[float, ...]
    missing: float
    observed: Column

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be drawn."""
        return not self.intervals and not self.codes and self.missing == 0.0

    def keeps(self, column: Column) -> Mask:
        """Which values may stay; shape (n,). An unseen category may only where nothing else can be drawn."""
        if not self.feature.is_number:
            # A quarter of the time of numpy.nan_to_num.
            known = np.where(np.isnan(column), len(self._kept_codes) - 1, column).astype(np.intp)
            kept: Mask = self._kept_codes[known]
            return kept
        return set_mask(self.legal, column, self.feature)

    @cached_property
    def _kept_codes(self) -> Mask:
        """Whether each code may stay, and missing, which is last: looked up for every row that is made."""
        codes = np.append(np.arange(max(self.feature.code_of.values(), default=0) + 1, dtype=float), np.nan)
        mask = set_mask(self.legal, codes, self.feature)
        if self.feature.kind == "categorical" and 0 not in self.codes:
            mask[0] = False
        return mask

    def draw(self, count: int, rng: np.random.Generator) -> Column:
        """Draw values; shape (count,), NaN for missing."""
        drawn = np.full(count, np.nan)
        present = rng.random(count) >= self.missing
        some = int(present.sum())
        if self.intervals:
            drawn[present] = self._numbers(some, rng)
        elif self.codes:
            drawn[present] = np.array(self.codes, dtype=float)[self._which(some, rng)]
        return drawn

    def _which(self, count: int, rng: np.random.Generator) -> Indices:
        """Places drawn by the shares; shape (count,). As ``rng.choice`` does, which looks the shares over each time."""
        found: Indices = self._upto.searchsorted(rng.random(count), side="right")
        return found

    @cached_property
    def _upto(self) -> Column:
        upto = np.cumsum(self.shares)
        return np.asarray(upto / upto[-1])

    def _numbers(self, count: int, rng: np.random.Generator) -> Column:
        low, high = np.array(self.intervals).T[:, self._which(count, rng)]
        place = rng.random(count)
        # Weighted so that no difference of two large doubles overflows; clipped because it rounds.
        numbers = low * (1.0 - place) + high * place
        if self.feature.kind == "integer":
            numbers = np.floor(low + place * (high - low + 1.0))
        numbers = np.clip(numbers, low, high)
        if len(self.observed):
            observed = rng.random(count) < 0.5
            numbers[observed] = rng.choice(self.observed, size=int(observed.sum()))
        return as_read(numbers)


def allowed(values: ValueSet | None, feature: Feature, seen: Seen) -> Allowed:
    """What a rule's set on a feature (None: it doesn't name the feature) leaves of schema and training range."""
    if isinstance(values, TextSet) or not feature.is_number:
        return _texts(values if isinstance(values, TextSet) else full_set(feature), feature, seen)
    everything = values if isinstance(values, NumberSet) else full_set(feature)
    assert isinstance(everything, NumberSet)
    schema_range = (
        -math.inf if feature.low is None else feature.low,
        math.inf if feature.high is None else feature.high,
    )
    legal = everything.intersect(NumberSet.of([schema_range], True, feature))
    training = NumberSet.of([] if math.isnan(seen.low) else [(seen.low, seen.high)], True, feature)
    narrowed = legal.intersect(training)
    if values is None:
        legal = narrowed if narrowed.intervals or legal.missing else legal
    # Where the rule lies past everything seen its own bounds say where to draw.
    intervals = narrowed.intervals or (legal.intervals if values is not None or not legal.missing else ())
    bounded = tuple(_bounded(interval, seen.deviation, feature) for interval in intervals)
    missing = _missing(legal.missing, bool(bounded), seen)
    observed = seen.values[set_mask(legal, seen.values, feature)]
    return Allowed(feature, legal, bounded, (), _lengths(bounded, feature), missing, observed)


def _texts(values: ValueSet, feature: Feature, seen: Seen) -> Allowed:
    assert isinstance(values, TextSet)
    codes = tuple(code for text, code in feature.code_of.items() if text in values)
    if not codes and values.inverted:
        # Every known category is excluded: only one never seen is left.
        codes = (0,)
    # One more than seen, so that a category that the rule names and no row has is learned too.
    counts = np.array([seen.counts[code] + 1.0 for code in codes])
    shares = tuple((counts / counts.sum()).tolist()) if codes else ()
    return Allowed(feature, values, (), codes, shares, _missing(values.missing, bool(codes), seen), np.zeros(0))


def _missing(is_legal: bool, has_others: bool, seen: Seen) -> float:
    """How often a drawn value is missing: as often as in training, always where there is nothing else."""
    if not is_legal:
        return 0.0
    return seen.missing if has_others else 1.0


def _bounded(interval: Interval, deviation: float, feature: Feature) -> Interval:
    """An interval with both ends: an open one reaches one standard deviation past its bound."""
    low, high = interval
    reach = math.ceil(deviation) if feature.kind == "integer" else deviation
    if math.isinf(low) and math.isinf(high):
        return -reach, float(reach)
    if math.isinf(low):
        return max(high - reach, -np.finfo(float).max), high
    return low, (min(low + reach, np.finfo(float).max) if math.isinf(high) else high)


def _lengths(intervals: Sequence[Interval], feature: Feature) -> tuple[float, ...]:
    """How often each interval is drawn from."""
    if not intervals:
        return ()
    ends = np.array(intervals)
    # Halved first: the length of everything overflows a double.
    lengths = ends[:, 1] / 2.0 - ends[:, 0] / 2.0 + (0.5 if feature.kind == "integer" else 0.0)
    shares = lengths / lengths.max() if lengths.max() > 0.0 else np.ones(len(ends))
    shares = np.maximum(shares / shares.sum(), LEAST_SHARE)
    return tuple((shares / shares.sum()).tolist())


class Columns:
    """What the features of a schema may be inside boxes; many boxes share a set, so each is worked out once."""

    def __init__(self, schema: Schema, seen: Sequence[Seen]) -> None:
        self._schema, self._seen = schema, seen
        self._known: dict[tuple[int, ValueSet], Allowed] = {}
        #: What each may be where nothing says more than the schema does.
        self.anywhere: Mapping[int, Allowed] = {
            place: allowed(None, feature, seen[place]) for place, feature in enumerate(schema.features)
        }

    def within(self, box: Box) -> Mapping[int, Allowed] | None:
        """What the features that a box names may be inside it, by place; None where the schema leaves it no row."""
        found = {place: self._allowed(place, values) for place, values in self._places(box)}
        return None if any(column.is_empty for column in {**self.anywhere, **found}.values()) else found

    def _places(self, box: Box) -> Iterator[tuple[int, ValueSet]]:
        return ((self._schema.index(name), values) for name, values in box.sets)

    def _allowed(self, place: int, values: ValueSet) -> Allowed:
        key = (place, values)
        if key not in self._known:
            self._known[key] = allowed(values, self._schema.features[place], self._seen[place])
        return self._known[key]


def constrain(rows: Matrix, columns: Mapping[int, Allowed], rng: np.random.Generator) -> Matrix:
    """The encoded rows (n, features) with every value drawn anew that its column, by place, doesn't allow."""
    rows = rows.copy()
    for place, column in columns.items():
        bad = np.flatnonzero(~column.keeps(rows[:, place]))
        if len(bad):
            rows[bad, place] = column.draw(len(bad), rng)
    return rows


def as_read(numbers: Column) -> Column:
    """Numbers as RuleEdit and LightGBM read them: tiny magnitudes are 0, and there is no -0."""
    return np.where(np.abs(numbers) <= ZERO, 0.0, numbers) + 0.0
