"""Which of many boxes meet, and which lie within which: all pairs at once.

The same answers as `Box.meets` and `Box.within`, worked out feature by feature over all boxes:
a thousand boxes are a million pairs, far too many to look at one by one. For numbers every interval
is compared with every other; for texts the boxes are sets over the categories that any of them
names, every other category and missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ruleedit.regions import Box, NumberSet, TextSet, ValueSet

Pairs: TypeAlias = npt.NDArray[np.bool_]


def meeting(boxes: Sequence[Box], others: Sequence[Box] | None = None) -> Pairs:
    """Whether each box shares a row with each of the others (None: with each other); shape (boxes, others)."""
    others = boxes if others is None else others
    found: Pairs = np.logical_and.outer(_solid(boxes), _solid(others))
    for name in _named(boxes) & _named(others):
        mine, theirs = _sets(boxes, name), _sets(others, name)
        here = np.ix_([place for place, _ in mine], [place for place, _ in theirs])
        found[here] &= _sharing([values for _, values in mine], [values for _, values in theirs])
    return found


def containing(boxes: Sequence[Box], others: Sequence[Box] | None = None) -> Pairs:
    """Whether every row of each box is in each of the others (None: in each other); shape (boxes, others)."""
    others = boxes if others is None else others
    found = np.ones((len(boxes), len(others)), dtype=bool)
    for name in _named(others):
        theirs = _sets(others, name)
        columns = np.array([place for place, _ in theirs], dtype=np.intp)
        mine = _sets(boxes, name)
        # A box that says nothing of the feature is in no box that does: sets in boxes are never full.
        free = np.ones(len(boxes), dtype=bool)
        free[[place for place, _ in mine]] = False
        found[np.ix_(free, columns)] = False
        inside = _included([values for _, values in mine], [values for _, values in theirs])
        found[np.ix_(np.array([place for place, _ in mine], dtype=np.intp), columns)] &= inside
    found[~_solid(boxes)] = True
    return found


def _solid(boxes: Sequence[Box]) -> npt.NDArray[np.bool_]:
    return np.array([not box.is_empty for box in boxes], dtype=bool)


def row_bits(pairs: Pairs) -> tuple[int, ...]:
    """Each row of a table of pairs as an integer with a bit for each column."""
    packed = np.packbits(pairs, axis=1, bitorder="little")
    return tuple(int.from_bytes(row.tobytes(), "little") for row in packed)


def _named(boxes: Sequence[Box]) -> set[str]:
    return {name for box in boxes for name in box.by_feature}


def _sets(boxes: Sequence[Box], name: str) -> list[tuple[int, ValueSet]]:
    """The boxes that say something of a feature, each with its place."""
    return [(place, box.by_feature[name]) for place, box in enumerate(boxes) if name in box.by_feature]


def _sharing(mine: list[ValueSet], theirs: list[ValueSet]) -> Pairs:
    both: Pairs = np.logical_and.outer(_missing(mine), _missing(theirs))
    if _are_texts(mine + theirs):
        return both | _texts_share(mine, theirs)
    low, high, owner = _intervals(mine)
    other_low, other_high, other_owner = _intervals(theirs)
    shared = (low[:, None] <= other_high) & (other_low <= high[:, None])
    return both | _by_owner(shared, owner, other_owner, len(mine), len(theirs))


def _included(mine: list[ValueSet], theirs: list[ValueSet]) -> Pairs:
    """Whether each set lies in each other one."""
    if not mine:
        return np.ones((0, len(theirs)), dtype=bool)
    missing = ~_missing(mine)[:, None] | _missing(theirs)
    if _are_texts(mine + theirs):
        inside, outside = _members(mine, theirs), 1.0 - _members(theirs, mine)
        held: Pairs = inside @ outside.T == 0
        return missing & held
    low, high, owner = _intervals(mine)
    other_low, other_high, other_owner = _intervals(theirs)
    # Intervals of one set are apart, so one lies in another set if it lies in one interval of it.
    within = (other_low <= low[:, None]) & (high[:, None] <= other_high)
    held = _by_owner(within, np.arange(len(low)), other_owner, len(low), len(theirs))
    return missing & ~_by_owner(~held, owner, np.arange(len(theirs)), len(mine), len(theirs))


def _are_texts(sets: list[ValueSet]) -> bool:
    return any(isinstance(values, TextSet) for values in sets)


def _missing(sets: list[ValueSet]) -> npt.NDArray[np.bool_]:
    return np.array([values.missing for values in sets], dtype=bool)


def _intervals(sets: list[ValueSet]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """The intervals of all number sets: lows, highs and whose they are, ascending."""
    found = [
        (low, high, place)
        for place, values in enumerate(sets)
        if isinstance(values, NumberSet)
        for low, high in values.intervals
    ]
    table = np.array(found, dtype=float).reshape(len(found), 3)
    return table[:, 0], table[:, 1], table[:, 2].astype(np.intp)


def _by_owner(items: Pairs, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], high: int, wide: int) -> Pairs:
    """Whether any pair of items is true for each pair of owners; owners are ascending, some own nothing."""
    found = np.zeros((high, wide), dtype=bool)
    if items.size:
        first_rows, starts = np.unique(rows, return_index=True)
        first_columns, steps = np.unique(columns, return_index=True)
        some = items if len(starts) == len(rows) else np.logical_or.reduceat(items, starts, axis=0)
        some = some if len(steps) == len(columns) else np.logical_or.reduceat(some, steps, axis=1)
        found[np.ix_(first_rows, first_columns)] = some
    return found


def _texts_share(mine: list[ValueSet], theirs: list[ValueSet]) -> Pairs:
    # A count of shared categories; in single precision, which BLAS multiplies quickest, it is exact up to 2**24.
    shared: Pairs = _members(mine, theirs) @ _members(theirs, mine).T > 0
    return shared


def _members(sets: list[ValueSet], others: list[ValueSet]) -> npt.NDArray[np.float32]:
    """Which categories each text set holds, of those that any set names; the last column is every other category."""
    named = sorted({member for values in (*sets, *others) for member in _text(values).members})
    place = {member: number for number, member in enumerate(named)}
    table = np.zeros((len(sets), len(named) + 1), dtype=np.float32)
    for number, values in enumerate(map(_text, sets)):
        table[number] = float(values.inverted)
        table[number, [place[member] for member in values.members]] = float(not values.inverted)
    return table


def _text(values: ValueSet) -> TextSet:
    assert isinstance(values, TextSet)
    return values
