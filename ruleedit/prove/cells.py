"""Cells: the values of a feature that neither a model's trees nor a box tells apart.

A model and a box split each feature at finitely many places, so a row is decided by the cells that
its values lie in. Within a box every feature has finitely many cells; every split of every tree
sends a set of them left. Cells are numbered from 0: numbers by size, categories by their code, the
unseen one first, and a missing value last. The numbers are small, so nothing is ever rounded.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ruleedit.graft.trees import FileNumbers
from ruleedit.matching import Indices, Matrix, set_mask
from ruleedit.models.file import Tree
from ruleedit.regions import Box, NumberSet, after, before
from ruleedit.rules import ZERO
from ruleedit.schema import Feature


class CannotTranslateError(Exception):
    """What a model has that no cells can say; the message says what."""


@dataclass(frozen=True, eq=False)
class FeatureCells:
    """The cells of one feature within a box.

    ``values`` holds a representative of each as RuleEdit encodes it (NaN for missing), ``file``
    the number that the model file is given for it. ``cuts`` are the bounds up to which each cell of
    a number reaches, the last but one without end; empty for a text feature.
    """

    feature: Feature
    values: tuple[float, ...]
    file: tuple[float, ...]
    cuts: tuple[float, ...] = ()
    places: tuple[int, ...] = ()

    def of(self, column: Matrix) -> Indices:
        """The cell of each encoded value (n,); -1 where none is in the box."""
        if self.feature.is_number:
            rough = np.searchsorted(np.array(self.cuts), column, side="left")
            rough[np.isnan(column)] = len(self.cuts) + 1
            number = np.full(len(self.cuts) + 2, -1, dtype=np.intp)
            number[list(self.places)] = np.arange(len(self.places))
            return number[rough]
        found = np.full(len(column), -1, dtype=np.intp)
        for cell, value in enumerate(self.values):
            found[np.isnan(column) if math.isnan(value) else column == value] = cell
        return found


def box_cells(trees: Sequence[Tree], box: Box, numbers: FileNumbers) -> tuple[FeatureCells, ...]:
    """The cells of each feature of the schema that the trees and the box leave; a box without rows leaves some none."""
    schema = numbers.schema
    cuts: dict[int, set[float]] = {place: set() for place in range(len(schema.features))}
    for tree in trees:
        for split in range(tree.num_leaves - 1):
            if not tree.is_categorical(split):
                cuts[int(tree.split_feature[split])].add(as_cut(float(tree.threshold[split])))
    sets = box.by_feature
    found = []
    for place, feature in enumerate(schema.features):
        values = sets.get(feature.name)
        if feature.is_number:
            assert values is None or isinstance(values, NumberSet)
            found.append(_number_cells(feature, values, cuts[place]))
        else:
            codes = [*([0.0] if feature.kind == "categorical" else []), *map(float, feature.code_of.values())]
            every = np.array([*codes, *([math.nan] if feature.missing else [])])
            kept = every if values is None else every[set_mask(values, every, feature)]
            found.append(FeatureCells(feature, tuple(kept.tolist()), _in_file(kept, place, numbers)))
    return tuple(found)


def as_cut(threshold: float) -> float:
    """The last number that goes left: LightGBM reads tiny ones as 0 before it compares."""
    if abs(threshold) <= ZERO:
        return 0.0 if threshold >= 0.0 else before(0.0, False)
    return threshold


def _in_file(values: Matrix, place: int, numbers: FileNumbers) -> tuple[float, ...]:
    """The numbers that the model file has for encoded values of a text feature."""
    feature = numbers.schema.features[place]
    known = {float(code): numbers[place].known[text] for text, code in feature.code_of.items()}
    if feature.kind == "categorical":
        known[0.0] = numbers[place].unseen
    return tuple(math.nan if math.isnan(value) else known[float(value)] for value in values)


def _number_cells(feature: Feature, values: NumberSet | None, cuts: set[float]) -> FeatureCells:
    whole = feature.kind == "integer"
    bounds = set(cuts)
    for low, high in () if values is None else values.intervals:
        if math.isfinite(low):
            bounds.add(before(low, whole))
        if math.isfinite(high):
            bounds.add(high)
    ordered = sorted(bounds)
    found: list[float] = []
    places: list[int] = []
    for place, value in enumerate(_representatives(ordered, whole)):
        if value is not None and (values is None or _holds(values, value)):
            found.append(value)
            places.append(place)
    missing = feature.missing if values is None else values.missing
    if missing:
        found.append(math.nan)
        places.append(len(ordered) + 1)
    return FeatureCells(feature, tuple(found), tuple(found), tuple(ordered), tuple(places))


def _representatives(cuts: Sequence[float], whole: bool) -> list[float | None]:
    """A number of each cell and of what lies past the last cut; None for a cell that no number of the feature is in."""
    found: list[float | None] = []
    low = -math.inf
    for cut in (*cuts, math.inf):
        if math.isfinite(cut):
            value = math.floor(cut) + 0.0 if whole else cut
        else:
            # A split may have no bound at all: LightGBM then only parts what is missing.
            value = 0.0 if math.isinf(low) else after(low, whole)
        found.append(value if low < value <= cut and value < math.inf else None)
        low = cut
    return found


def _holds(values: NumberSet, value: float) -> bool:
    place = bisect_left([high for _, high in values.intervals], value)
    return place < len(values.intervals) and values.intervals[place][0] <= value


def goes_left(tree: Tree, split: int, cells: FeatureCells) -> tuple[bool, ...]:
    """Whether each cell of its feature goes left at a split, as LightGBM decides it."""
    if tree.is_categorical(split):
        codes = tree.categories(split)
        return tuple(not math.isnan(number) and int(number) in codes for number in cells.file)
    kind = tree.missing_type(split)
    if kind == "zero":
        raise CannotTranslateError("a split reads 0 as missing")
    threshold = as_cut(float(tree.threshold[split]))
    # Without a missing type of its own NaN is read as 0.
    nan = tree.default_left(split) if kind == "nan" else threshold >= 0.0
    return tuple(nan if math.isnan(number) else number <= threshold for number in cells.file)


def row_of(cells: Sequence[FeatureCells], chosen: Mapping[int, int]) -> Matrix:
    """An encoded row (1, features) in the ``chosen`` cells, by feature's place; elsewhere in the first."""
    return np.array([[one.values[chosen.get(place, 0)] for place, one in enumerate(cells)]])
