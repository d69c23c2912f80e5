"""Rows as bins: what the search counts on.

Rows that are alike in every bin and in the model's answer are one row with a weight. All features'
bins stand in one row of numbers, so that one count says what each bin of each feature gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ruleedit.matching import Indices, Matrix
from ruleedit.surrogate.binarise import Allowed, Bins, Floats, NumberBins, TextBins
from ruleedit.surrogate.kernel import BOOLEAN, CATEGORY, NUMBER, Table, alike

Answers = npt.NDArray[np.int16]
#: The kinds of features as the compiled functions know them; the others are numbers.
KINDS = {"categorical": CATEGORY, "boolean": BOOLEAN}


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

    @cached_property
    def classes(self) -> int:
        """One more than the last class that the model answers."""
        return int(self.answers.max(initial=0)) + 1

    def take(self, rows: Indices) -> Binned:
        """Only these rows."""
        return Binned(self.bins, self.codes[rows], self.answers[rows], self.weights[rows])

    def merged(self) -> Binned:
        """Rows alike in every bin and in the answer as one row with their weight, in order of first appearance."""
        first, which = alike(np.column_stack([self.codes, self.answers]).astype(np.int64, copy=False))
        weights: Floats = np.bincount(which, self.weights, len(first)).astype(float)
        return Binned(self.bins, self.codes[first], self.answers[first], weights)

    def floor(self) -> float:
        """The weight that any rules on these bins get wrong at least: all but the commonest answer of alike rows."""
        first, which = alike(np.ascontiguousarray(self.codes, dtype=np.int64))
        flat = np.bincount(which * self.classes + self.answers, self.weights, len(first) * self.classes)
        return self.total - float(flat.reshape(len(first), self.classes).max(axis=1).sum())

    @cached_property
    def columns(self) -> list[Indices]:
        """The codes of each feature, next to each other in memory; arrays of shape (n,)."""
        return [np.ascontiguousarray(column) for column in self.codes.T]

    @cached_property
    def table(self) -> Table:
        """The rows as the compiled functions take them."""
        kinds = [KINDS.get(each.feature.kind, NUMBER) for each in self.bins]
        starts = np.concatenate(([0], np.cumsum([each.size for each in self.bins]))).astype(np.int64)
        return Table(
            cells=(self.codes + starts[:-1]).astype(np.int32),
            columns=np.ascontiguousarray(self.codes.T.astype(np.uint16)),
            starts=starts,
            kinds=np.array(kinds, dtype=np.uint8),
            has_missing=np.array([each.has_missing for each in self.bins], dtype=bool),
            has_others=np.array([isinstance(each, TextBins) and each.has_others for each in self.bins], dtype=bool),
            is_single=np.concatenate([np.zeros(0, bool), *map(_is_single, self.bins)]),
            cuts=np.concatenate([np.zeros(0), *map(_cuts, self.bins)]),
        )


def _is_single(bins: Bins) -> Allowed:
    """For each bin whether it holds one whole value."""
    return np.append(bins.single, False) if isinstance(bins, NumberBins) else np.zeros(bins.size, dtype=bool)


def _cuts(bins: Bins) -> Floats:
    """For each bin what the model makes of the cut above it."""
    return np.append(bins.weights, [0.0, 0.0]) if isinstance(bins, NumberBins) else np.zeros(bins.size)


def spread(rows: int, most: int) -> Indices:
    """The numbers of rows evenly through a table."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.intp))
