"""Bins of a table that is never here whole: what its parts tell about cuts and categories, put together.

A numeric feature is cut at the model's thresholds, and where exactly a cut stands depends on the two values
beside it alone; a categorical one depends on how often each value meets each answer. So a few numbers of each
part are enough for the very bins that the whole table would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ruleedit.matching import Indices, Matrix
from ruleedit.schema import Schema
from ruleedit.surrogate.binarise import (
    Bins,
    Floats,
    number_bins,
    tells,
    text_bins_of,
    text_counts,
)
from ruleedit.surrogate.binned import Answers, Binned
from ruleedit.surrogate.task import Splits


@dataclass(frozen=True, eq=False)
class Glimpse:
    """What a part of a table tells about the bins of each feature; parts add up to the table.

    ``values`` are of each numeric feature the values beside the model's thresholds, the least, the greatest, and NaN
    where one is missing; none of others. ``counts`` are of the others `text_counts`; none of numbers. ``missing``
    says where a value is missing.
    """

    values: tuple[Floats, ...]
    counts: tuple[Floats, ...]
    missing: tuple[bool, ...]
    splits: Splits

    @classmethod
    def of(cls, rows: Matrix, answers: Indices, schema: Schema, splits: Splits) -> Glimpse:
        """Of encoded rows (n, features) with the model's answers (n,); ``splits`` are the model's thresholds."""
        nothing, none = np.empty(0), np.zeros((1, 0))
        values, counts = [], []
        for place, feature in enumerate(schema.features):
            column = rows[:, place]
            values.append(_beside(column, splits[place]) if feature.is_number else nothing)
            counts.append(none if feature.is_number else text_counts(column, answers, feature))
        missing = tuple(bool(np.isnan(rows[:, place]).any()) for place in range(rows.shape[1]))
        return cls(tuple(values), tuple(counts), missing, splits)

    def __add__(self, other: Glimpse) -> Glimpse:
        """What both tell."""
        pairs = zip(self.values, other.values, self.splits, strict=True)
        return Glimpse(
            tuple(
                _beside(np.concatenate([one, more]), split) if len(one) + len(more) else one
                for one, more, split in pairs
            ),
            tuple(summed(one, more) for one, more in zip(self.counts, other.counts, strict=True)),
            tuple(one or more for one, more in zip(self.missing, other.missing, strict=True)),
            self.splits,
        )

    def bins(self, schema: Schema) -> list[Bins]:
        """The bins of every feature that has something to tell apart, as of the whole table; however many."""
        found: list[Bins] = []
        for place, feature in enumerate(schema.features):
            if feature.is_number:
                numbers = number_bins(self.values[place], place, feature, self.splits[place])
                if tells(self.values[place]) and (len(numbers.cuts) or numbers.has_missing):
                    found.append(numbers)
            elif _counts_tell(self.counts[place], self.missing[place]):
                found.append(text_bins_of(self.counts[place], self.missing[place], place, feature))
        return found


def together(bins: list[Bins], parts: Sequence[tuple[Indices, Answers, Floats]]) -> Binned:
    """The rows of parts as bins, given as codes, answers and weights of each; rows alike are one with their weight."""
    codes, answers, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Binned(bins, codes, answers, weights).merged()


def _beside(column: Floats, splits: Mapping[float, float]) -> Floats:
    """The values of a column that decide its cuts: for each threshold the next up to it and the next above it."""
    present = np.sort(column[~np.isnan(column)])
    gone = np.full(min(1, len(column) - len(present)), np.nan)
    if not len(present):
        return gone
    above = np.searchsorted(present, np.array(sorted(splits), dtype=float), side="right")
    places = np.concatenate([above - 1, above, [0, len(present) - 1]])
    places = np.unique(places[(places >= 0) & (places < len(present))]).astype(np.intp)
    return np.concatenate([np.unique(present[places]), gone])


def summed(one: Floats, other: Floats) -> Floats:
    """The sum of two counts, of which each has as many classes as its part had answers of."""
    wide = np.zeros((len(one), max(one.shape[1], other.shape[1])))
    wide[:, : one.shape[1]] += one
    wide[:, : other.shape[1]] += other
    return wide


def _counts_tell(counts: Floats, missing: bool) -> bool:
    values = int((counts.sum(axis=1) > 0).sum())
    return values > 1 or (values == 1 and missing)
