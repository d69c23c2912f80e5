"""Masks of a table's rows as bits, 64 rows a word: an eighth of a byte a row, and quick to combine and count."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ruleedit.matching import Mask, Matrix, set_mask
from ruleedit.regions import Box, ValueSet
from ruleedit.schema import Schema

Bits: TypeAlias = npt.NDArray[np.uint64]
#: How many masks are remembered; one of a million rows is 125 kB.
MOST_MASKS = 2_000


def packed(mask: Mask) -> Bits:
    """A mask (n,) as bits; the last word is filled up with 0."""
    bits = np.packbits(mask)
    words = np.zeros(-(-len(mask) // 64), dtype=np.uint64)
    words.view(np.uint8)[: len(bits)] = bits
    return words


def unpacked(bits: Bits, rows: int) -> Mask:
    """The mask (rows,) that the bits are."""
    return np.unpackbits(bits.view(np.uint8), count=rows).astype(bool)


def count(bits: Bits) -> int:
    """How many rows are marked."""
    return int(np.bitwise_count(bits).sum())


class Masks:
    """The rows of one encoded table (n, features) that value sets and boxes hold; each is worked out once."""

    def __init__(self, rows: Matrix, schema: Schema) -> None:
        self.schema = schema
        self.rows = np.asfortranarray(rows)
        self.all = packed(np.ones(len(rows), dtype=bool))
        self.none = np.zeros_like(self.all)
        self._sets: dict[tuple[str, ValueSet], Bits] = {}
        self._boxes: dict[Box, Bits] = {}

    def box(self, box: Box) -> Bits:
        """The rows in a box."""
        found = self._boxes.get(box)
        if found is None:
            found = self.all
            for name, values in box.sets:
                found = found & self._valued(name, values)
            while len(self._boxes) >= MOST_MASKS:
                del self._boxes[next(iter(self._boxes))]
            self._boxes[box] = found
        return found

    def _valued(self, name: str, values: ValueSet) -> Bits:
        found = self._sets.get((name, values))
        if found is None:
            place = self.schema.index(name)
            found = packed(set_mask(values, self.rows[:, place], self.schema.features[place]))
            while len(self._sets) >= MOST_MASKS:
                del self._sets[next(iter(self._sets))]
            self._sets[name, values] = found
        return found
