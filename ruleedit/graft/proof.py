"""The proof of a graft: the added trees are read back and say exactly what the feedback asks.

It takes nothing from how the trees were made: their leaves are walked to, each path becomes a box
in the region algebra, and the boxes are held against the feedback's own regions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ruleedit.errors import Refused, TooComplex
from ruleedit.feedback import Feedback
from ruleedit.graft.boxes import MOST_BOXES, exact_boxes
from ruleedit.graft.force import check_graftable, least_force
from ruleedit.graft.text import cut
from ruleedit.graft.trees import FileNumbers
from ruleedit.models import TableModel
from ruleedit.models.file import Tree
from ruleedit.regions import Box, NumberSet, Region, TextSet, ValueSet, box_text
from ruleedit.regions import before as value_before
from ruleedit.rules import ZERO
from ruleedit.schema import Feature, Schema


@dataclass(frozen=True)
class Proof:
    """What was found: forced ``boxes`` in so many added ``trees``, and ``why`` where it isn't ``proved``."""

    boxes: int
    trees: int
    proved: bool
    why: str = ""


class _NotProved(Exception):
    """The first thing that doesn't hold."""


def prove(before: TableModel, after: TableModel, feedback: Feedback, *, limit: int = MOST_BOXES) -> Proof:
    """Show that ``after`` is ``before`` with the feedback forced and nothing else changed, for every row.

    Shown are: the file is the same but for added trees; each leaf of these adds 0 or enough to make
    a class certain; the rows that reach a forcing leaf are, class by class, exactly those for which
    the feedback asks that class. No row is looked at, so none is left out. ``limit`` is as in `graft`.
    Raises `ModelFileRefused` where a file is damaged; all else is ``proved=False`` with the reason.
    """
    added = after.file.trees[len(before.file.trees) :]
    found: list[tuple[int, Box]] = []
    try:
        _check_around(before, after, feedback)
        found += _forced(before, added)
        _check_sum(after)
        _check_rows(found, feedback, limit)
    except (_NotProved, Refused, TooComplex) as error:
        return Proof(len(found), len(added), False, str(error))
    return Proof(len(found), len(added), True)


def _check_around(before: TableModel, after: TableModel, feedback: Feedback) -> None:
    """Everything but the added trees is the same, byte for byte."""
    check_graftable(before.file)
    same = (
        before.schema.hash == after.schema.hash == feedback.schema.hash
        and before.thresholds == after.thresholds
        and before.adopted == after.adopted
    )
    if not same:
        raise _NotProved("the two models and the feedback differ in schema, thresholds or codes")
    old, new = cut(before.file), cut(after.file)
    if (old.head, old.tail) != (new.head, new.tail):
        raise _NotProved("the header or what follows the trees is not that of the file before")
    if new.sizes[: len(old.sizes)] != old.sizes or not new.trees.startswith(old.trees):
        raise _NotProved("the first trees are not those of the file before")


def _forced(before: TableModel, added: tuple[Tree, ...]) -> Iterator[tuple[int, Box]]:
    """The class and the box of each leaf that forces one; every other leaf is 0."""
    least, classes = least_force(before.file), before.file.num_class
    numbers = FileNumbers(before)
    for place, tree in enumerate(added):
        for box, value in _leaves(tree, numbers):
            if value == 0.0:
                continue
            if abs(value) < least:
                raise _NotProved(f"added tree {place} has a leaf of {value:g}; {least:g} or more is needed to force")
            if classes > 1 and value < 0.0:
                raise _NotProved(f"added tree {place} takes from a class; of several classes one is added to")
            yield (place % classes if classes > 1 else int(value > 0.0)), box


def _check_sum(after: TableModel) -> None:
    """No row's sum of leaves is infinite, whatever leaves it reaches."""
    if not math.isfinite(sum(float(np.abs(tree.leaf_value).max()) for tree in after.file.trees)):
        raise _NotProved("the leaves add up to more than a double holds")


def _check_rows(found: list[tuple[int, Box]], feedback: Feedback, limit: int) -> None:
    """The forced boxes of each class and the regions that ask for it are the same rows."""
    codes = feedback.outcome_codes()
    regions = [(int(codes[place]), boxes) for place, boxes in exact_boxes(feedback, limit)]
    for code, name in enumerate(feedback.schema.classes):
        asked = [box for of, boxes in regions if of == code for box in boxes]
        forced = [box for of, box in found if of == code]
        _check_covered(forced, asked, f"{name} is forced and not asked for", feedback.schema)
        _check_covered(asked, forced, f"{name} is asked for and not forced", feedback.schema)


def _check_covered(boxes: list[Box], by: list[Box], problem: str, schema: Schema) -> None:
    """Every row of the boxes is in one of the others."""
    same = set(by)
    for box in dict.fromkeys(boxes):
        if box not in same and (left := Region.of(box).without(*by).first_box()) is not None:
            raise _NotProved(f"{problem} where {box_text(left, schema)}")


def _leaves(tree: Tree, numbers: FileNumbers) -> Iterator[tuple[Box, float]]:
    """Each leaf's box and value."""
    stack = [(0 if tree.num_leaves > 1 else ~0, Box())]
    while stack:
        node, box = stack.pop()
        if node < 0:
            yield box, float(tree.leaf_value[~node])
            continue
        name = numbers.schema.names[tree.split_feature[node]]
        left = _left(tree, node, numbers)
        stack.append((int(tree.left_child[node]), box.intersect(Box.of({name: left}))))
        stack.append((int(tree.right_child[node]), box.intersect(Box.of({name: left.complement()}))))


def _left(tree: Tree, split: int, numbers: FileNumbers) -> ValueSet:
    """The values that a split sends left."""
    place = int(tree.split_feature[split])
    feature = numbers.schema.features[place]
    if not tree.is_categorical(split) and tree.missing_type(split) != "nan":
        raise _NotProved(f"a split on {feature.name!r} doesn't know NaN as missing")
    if feature.is_number:
        return _left_numbers(tree, split, feature)
    goes_left = _decision(tree, split)
    known = {text for text, number in numbers[place].known.items() if goes_left(number)}
    unseen = feature.kind == "categorical" and goes_left(numbers[place].unseen)
    members = set(feature.values) - known if unseen else known
    return TextSet.of(members, unseen, goes_left(math.nan), feature)


def _left_numbers(tree: Tree, split: int, feature: Feature) -> NumberSet:
    if tree.is_categorical(split):
        raise _NotProved(f"a split on {feature.name!r}, which is {feature.kind}, goes by category")
    high = float(tree.threshold[split])
    # LightGBM reads tiny numbers as 0 before it compares them.
    if abs(high) <= ZERO:
        high = 0.0 if high >= 0.0 else value_before(0.0, False)
    return NumberSet.of([(-math.inf, high)], tree.default_left(split), feature)


def _decision(tree: Tree, split: int) -> Callable[[float], bool]:
    """Which numbers of the file go left, as LightGBM decides it."""
    if tree.is_categorical(split):
        codes = tree.categories(split)
        return lambda number: not math.isnan(number) and int(number) in codes
    threshold, missing_left = float(tree.threshold[split]), tree.default_left(split)
    return lambda number: missing_left if math.isnan(number) else number <= threshold
