"""Which rows of a table a box, a region or a rule set holds, vectorised.

Rows come as the encoded matrix of `ruleedit.tables.encode`: float64, one column a feature in
schema order; a number as itself, a category as its code (0 for one never seen, 1 to K), false
and true as 0 and 1, a missing value as NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ruleedit.regions import Box, NumberSet, Part, Region, TextSet, ValueSet, rule_box
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema

Matrix: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Indices: TypeAlias = npt.NDArray[np.intp]

#: Up to so many categories a set is compared one by one; beyond, looked up by code.
FEW = 4


def set_mask(values: ValueSet, column: npt.NDArray[np.float64], feature: Feature) -> Mask:
    """The rows whose value is in the set; shape (n,)."""
    if isinstance(values, NumberSet):
        return _number_mask(values, column)
    return _text_mask(values, column, feature)


def box_mask(box: Box, rows: Matrix, schema: Schema, at: Indices | None = None) -> Mask:
    """The rows in the box; shape (n,). Where only those ``at`` some places are asked for, of these."""
    many = len(rows) if at is None else len(at)
    if box.is_empty:
        return np.zeros(many, dtype=bool)
    mask: Mask | None = None
    for name, values in box.sets:
        place = schema.index(name)
        # Of some rows only the columns that the box asks about are copied.
        here = set_mask(values, rows[:, place] if at is None else rows[at, place], schema.features[place])
        mask = here if mask is None else mask & here
    return np.ones(many, dtype=bool) if mask is None else mask


def part_mask(part: Part, rows: Matrix, schema: Schema) -> Mask:
    """The rows in the part's box and in none of its holes; shape (n,)."""
    mask = box_mask(part.box, rows, schema)
    if part.holes and mask.any():
        inside = np.flatnonzero(mask)
        mask[inside] = ~_any_box(part.holes, rows[inside], schema)
    return mask


def region_mask(region: Region, rows: Matrix, schema: Schema) -> Mask:
    """The rows in the region; shape (n,)."""
    mask = np.zeros(len(rows), dtype=bool)
    for part in region.parts:
        mask |= part_mask(part, rows, schema)
    return mask


def first_region(regions: Sequence[Region], rows: Matrix, schema: Schema) -> Indices:
    """For each row the first region that holds it, counted from 0; -1 where none does; shape (n,)."""
    found = np.full(len(rows), -1, dtype=np.intp)
    for place, region in enumerate(regions):
        found[region_mask(region, rows, schema) & (found < 0)] = place
    return found


def first_box(boxes: Sequence[Box], rows: Matrix, schema: Schema) -> Indices:
    """For each row the first box that holds it, counted from 0; -1 where none does; shape (n,)."""
    found = np.full(len(rows), -1, dtype=np.intp)
    open_rows = np.arange(len(rows))
    for place, box in enumerate(boxes):
        if not len(open_rows):
            break
        # While all rows are still open a view of them is cheaper than a copy.
        mask = box_mask(box, rows, schema, None if len(open_rows) == len(rows) else open_rows)
        found[open_rows[mask]] = place
        open_rows = open_rows[~mask]
    return found


def decider(rules: RuleSet, schema: Schema) -> Callable[[Matrix], Indices]:
    """`decide` for one rule set and many tables: the regions are worked out once."""
    places = [place for place, rule in enumerate(rules.rules) if rule.enabled]
    boxes = [rule_box(rules.rules[place], schema) for place in places]
    lookup = np.array([*places, -1], dtype=np.intp)
    return lambda rows: lookup[first_box(boxes, rows, schema)]


def decide(rules: RuleSet, rows: Matrix, schema: Schema) -> Indices:
    """For each row the place (in `RuleSet.rules`) of the rule that decides it; -1 for the default; shape (n,).

    The first enabled rule that covers a row decides.
    """
    return decider(rules, schema)(rows)


def outcome_table(outcomes: Sequence[Outcome], classes: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """The outcomes' probabilities; shape (outcomes, classes), all 0 for `model`."""
    return np.array([outcome.vector(classes) for outcome in outcomes], dtype=float).reshape(len(outcomes), len(classes))


def outcome_codes(outcomes: Sequence[Outcome], classes: tuple[str, ...]) -> Indices:
    """Each outcome's greatest class as its place in ``classes``; -1 for `model`; shape (outcomes,)."""
    tops = [outcome.top(classes) for outcome in outcomes]
    return np.array([-1 if top is None else classes.index(top) for top in tops], dtype=np.intp)


def _any_box(boxes: Sequence[Box], rows: Matrix, schema: Schema) -> Mask:
    found: Mask = first_box(boxes, rows, schema) >= 0
    return found


def _number_mask(values: NumberSet, column: npt.NDArray[np.float64]) -> Mask:
    mask: Mask | None = None
    for low, high in values.intervals:
        here = _between(column, low, high)
        mask = here if mask is None else mask | here
    if mask is None:
        mask = np.zeros(len(column), dtype=bool)
    if values.missing:
        mask |= np.isnan(column)
    return mask


def _between(column: npt.NDArray[np.float64], low: float, high: float) -> Mask:
    if low == high:
        same: Mask = column == low
        return same
    if np.isinf(low) and np.isinf(high):
        return ~np.isnan(column)
    if np.isinf(low):
        return column <= high
    if np.isinf(high):
        return column >= low
    return (column >= low) & (column <= high)


def _text_mask(values: TextSet, column: npt.NDArray[np.float64], feature: Feature) -> Mask:
    codes = [feature.code_of[member] for member in sorted(values.members) if member in feature.code_of]
    if len(codes) <= FEW:
        mask = np.zeros(len(column), dtype=bool)
        for code in codes:
            mask |= column == code
    else:
        known = np.zeros(max(feature.code_of.values()) + 2, dtype=bool)
        known[codes] = True
        mask = known[np.nan_to_num(column, nan=len(known) - 1).astype(np.intp)]
    if values.inverted:
        mask = ~mask
        if not values.missing:
            mask &= ~np.isnan(column)
    elif values.missing:
        mask |= np.isnan(column)
    return mask
