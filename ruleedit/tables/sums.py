"""Counts that add up: those of a table's parts give those of the table, to the last one.

Whole numbers of Python, so nothing overflows or is rounded: any order and any parting gives the same.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ruleedit.matching import Indices

#: A table of counts.
Counts: TypeAlias = tuple[tuple[int, ...], ...]
#: Of so many parts a 1 has when shares are added: 1.5e-11 each, and 10^8 of them fit 64 bits.
PARTS = 2**36


def counted(rows: Indices, columns: Indices, shape: tuple[int, int]) -> Counts:
    """How often each pair of places occurs; both have the shape (n,)."""
    height, width = shape
    pairs = np.bincount(rows * width + columns, minlength=height * width).reshape(height, width)
    return tuple(map(tuple, pairs.tolist()))


def in_parts(shares: npt.NDArray[np.float64]) -> int:
    """The sum of shares (n,), numbers from 0 to 1, in whole `PARTS` of 1: floats would add up by their order."""
    return int(np.rint(shares * PARTS).astype(np.int64).sum())


def added(one: Counts, other: Counts) -> Counts:
    """The sums, place by place; raises `ValueError` for another shape."""
    return tuple(
        tuple(here + there for here, there in zip(row, more, strict=True)) for row, more in zip(one, other, strict=True)
    )


def total(counts: Counts) -> int:
    """All of them together."""
    return sum(map(sum, counts))
