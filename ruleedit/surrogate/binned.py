"""Rows as bins: what the search counts on.

Rows that are alike in every bin and in the model's answer are one row with a weight. All features'
bins stand in one row of numbers, so that one count says what each bin of each feature gains, and
a few sums over it how much the best condition on each feature could gain at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ruleedit.matching import Indices, Matrix
from ruleedit.surrogate.binarise import Bins, Floats, NumberBins

Answers = npt.NDArray[np.int16]

#: Odd multipliers of a hash of codes; its clashes are found and settled.
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


@dataclass(frozen=True, eq=False)
class Binned:
    """Rows as bins, with the model's answers: ``codes`` has the shape (n, features), ``weights`` (n,)."""

    bins: Sequence[Bins]
    codes: Indices
    answers: Answers
    weights: Floats

    @classmethod
    def of(cls, bins: Sequence[Bins], rows: Matrix, answers: Indices) -> Binned:
        """Bin encoded rows, each with the weight 1."""
        codes = np.empty((len(rows), len(bins)), dtype=np.intp)
        for place, each in enumerate(bins):
            codes[:, place] = each.codes(rows[:, each.place])
        return cls(bins, codes, answers.astype(np.int16), np.ones(len(rows)))

    def __len__(self) -> int:
        return len(self.answers)

    @cached_property
    def total(self) -> float:
        """The weight of all rows."""
        return float(self.weights.sum())

    def take(self, rows: Indices) -> Binned:
        """Only these rows."""
        return Binned(self.bins, self.codes[rows], self.answers[rows], self.weights[rows])

    def merged(self) -> Binned:
        """Rows alike in every bin and in the answer as one row with their weight, in order of first appearance."""
        first, which = _alike(np.column_stack([self.codes, self.answers]))
        weights: Floats = np.bincount(which, self.weights, len(first)).astype(float)
        order = np.argsort(first, kind="stable")
        return Binned(self.bins, self.codes[first[order]], self.answers[first[order]], weights[order])

    def ceiling(self) -> float:
        """The share of the weight that any rules on these bins could get right at most."""
        first, which = _alike(self.codes)
        counts = np.zeros((len(first), int(self.answers.max(initial=0)) + 1))
        np.add.at(counts, (which, self.answers), self.weights)
        return float(counts.max(axis=1).sum()) / self.total

    @cached_property
    def columns(self) -> list[Indices]:
        """The codes of each feature, next to each other in memory; arrays of shape (n,)."""
        return [np.ascontiguousarray(column) for column in self.codes.T]

    @cached_property
    def layout(self) -> Layout:
        """Where the bins of each feature stand."""
        return Layout.of(self.bins)

    @cached_property
    def spread(self) -> Indices:
        """The codes counted through all features; shape (n, features)."""
        return self.codes + self.layout.starts[:-1]

    def gains(self, rows: Indices, worth: Floats) -> Floats:
        """What each bin of every feature gains, the features one after the other."""
        block = self.spread.take(rows, axis=0)
        gains: Floats = np.bincount(block.ravel(), np.repeat(worth, block.shape[1]), self.layout.size).astype(float)
        return gains


def spread(rows: int, most: int) -> Indices:
    """The numbers of rows evenly through a table."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.intp))


def _alike(codes: Indices) -> tuple[Indices, Indices]:
    """The first row of each group of equal rows, and the group of each row."""
    keys = np.zeros(len(codes), dtype=np.uint64)
    for column in codes.T:
        keys = (keys ^ column.astype(np.uint64)) * _MIX[0]
        keys ^= keys >> np.uint64(29)
    _, first, which = np.unique(keys * _MIX[1], return_index=True, return_inverse=True)
    if not np.array_equal(codes[first[which]], codes):
        _, first, which = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    return first.astype(np.intp), which.reshape(-1).astype(np.intp)


@dataclass(frozen=True, eq=False)
class Layout:
    """The bins of all features in one row: ``starts`` has one entry more than there are features.

    Of the numeric features ``number_bins`` are the bins that hold values, one feature after the
    other, ``number_heads`` and ``number_ends`` where each feature's begin and end among these,
    and ``number_owner`` whose each is; of the others ``named_bins`` are those of one value.
    """

    starts: Indices
    size: int
    numbers: Indices
    number_bins: Indices
    number_heads: Indices
    number_ends: Indices
    number_owner: Indices
    singles: Indices
    single_heads: Indices
    with_singles: Indices
    texts: Indices
    named_bins: Indices
    named_heads: Indices

    @classmethod
    def of(cls, bins: Sequence[Bins]) -> Layout:
        """Lay out the bins."""
        starts = np.concatenate(([0], np.cumsum([each.size for each in bins]))).astype(np.intp)
        numbers = [place for place, each in enumerate(bins) if isinstance(each, NumberBins)]
        texts = [place for place, each in enumerate(bins) if not isinstance(each, NumberBins) and each.size > 2]
        valued, heads, lengths = _runs([np.arange(bins[place].size - 1) + starts[place] for place in numbers])
        named, named_heads, _ = _runs([np.arange(bins[place].size - 2) + starts[place] for place in texts])
        whole = [(place, each.singles) for place, each in enumerate(bins) if isinstance(each, NumberBins)]
        whole = [(place, singles) for place, singles in whole if len(singles)]
        singles, single_heads, _ = _runs([singles + starts[place] for place, singles in whole])
        return cls(
            starts=starts,
            size=int(starts[-1]),
            numbers=np.array(numbers, dtype=np.intp),
            number_bins=valued,
            number_heads=heads,
            number_ends=heads + lengths - 1,
            number_owner=np.repeat(np.arange(len(numbers)), lengths),
            singles=singles,
            single_heads=single_heads,
            with_singles=np.array([place for place, _ in whole], dtype=np.intp),
            texts=np.array(texts, dtype=np.intp),
            named_bins=named,
            named_heads=named_heads,
        )

    def ceilings(self, gains: Floats, price: float) -> Floats:
        """How much the best condition on each feature could gain at most, its price taken off; shape (features,)."""
        missing = gains[self.starts[1:] - 1]
        every = np.add.reduceat(gains, self.starts[:-1])
        present = every - missing
        best: Floats = np.maximum(every, np.maximum(present, missing) - price)
        if len(self.numbers):
            best[self.numbers] = np.maximum(best[self.numbers], self._interval_ceilings(gains[self.number_bins], price))
        if len(self.singles):
            one = np.maximum.reduceat(gains[self.singles], self.single_heads) - price
            best[self.with_singles] = np.maximum(best[self.with_singles], one)
        if len(self.texts):
            named = gains[self.named_bins]
            inside = np.add.reduceat(np.maximum(named - price, 0.0), self.named_heads)
            outside = np.add.reduceat(np.maximum(-price - named, 0.0), self.named_heads) + present[self.texts]
            best[self.texts] = np.maximum(best[self.texts], np.maximum(inside, outside))
        return best

    def _interval_ceilings(self, gains: Floats, price: float) -> Floats:
        heads, owner = self.number_heads, self.number_owner
        through = gains.cumsum()
        sums = through - (through[heads] - gains[heads])[owner]
        least = np.minimum.reduceat(sums, heads)
        one = np.maximum(np.maximum.reduceat(sums, heads), sums[self.number_ends] - least)
        # Shifted down feature by feature, the least sum so far never comes from an earlier feature.
        shifted = sums - owner * (2.0 * float(np.abs(through).max()) + 1.0)
        two: Floats = np.maximum.reduceat(shifted - np.minimum.accumulate(shifted - gains), heads)
        result: Floats = np.maximum(one, two - price) - price
        return result


def _runs(parts: Sequence[Indices]) -> tuple[Indices, Indices, Indices]:
    """The parts one after the other, where each begins, and how long each is."""
    lengths = np.array([len(part) for part in parts], dtype=np.intp)
    joined = np.concatenate([np.zeros(0, dtype=np.intp), *parts]).astype(np.intp)
    return joined, (np.cumsum(lengths) - lengths).astype(np.intp), lengths
