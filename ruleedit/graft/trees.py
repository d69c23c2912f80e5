"""A box as a LightGBM tree: one chain of splits, 0 in every leaf but the one that holds the box.

Each split sends the rows of one feature's set on along the chain and all others to a leaf. Missing
values go where the set has them: numeric splits have the missing type NaN and a default direction,
a categorical split sends NaN right, so its bitset lists whichever side NaN isn't on.

The thresholds are LightGBM's: ``x <= t`` goes left, and |x| <= 1e-35 is read as 0. Bounds at 0 are
written as 1e-35, so that a reader that leaves tiny numbers as they are decides the same.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ruleedit.errors import Refused
from ruleedit.models import TableModel
from ruleedit.regions import Box, NumberSet, TextSet, ValueSet, after, before
from ruleedit.rules import ZERO, number_text
from ruleedit.schema import Feature

#: A bitset has a bit for each code up to its largest one; this is 128 KiB a split.
LARGEST_CODE = 2**20
#: LightGBM writes the bound of an interval that has none so; every number is at most that.
_LARGEST = sys.float_info.max
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_NAN = 1, 2, 8


@dataclass(frozen=True)
class Split:
    """One split of a chain: the rows in the set go on, ``left`` or right.

    ``codes`` are the category codes that go left, None for a numeric split. ``missing`` says
    whether NaN goes on.
    """

    place: int
    left: bool
    missing: bool
    threshold: float = 0.0
    codes: frozenset[int] | None = None

    @property
    def decision_type(self) -> int:
        """LightGBM's bits: categorical, default direction, missing type."""
        if self.codes is not None:
            return _MISSING_NAN | _CATEGORICAL
        return _MISSING_NAN | (_DEFAULT_LEFT if self.missing == self.left else 0)


@dataclass(frozen=True)
class Numbers:
    """The numbers that a model file has for a text feature: of each known value, and of one never seen."""

    known: Mapping[str, float]
    unseen: float


class FileNumbers:
    """The numbers that a model's file expects for the values of its text features."""

    def __init__(self, model: TableModel) -> None:
        self.schema = model.schema
        self._model = model
        self._found: dict[int, Numbers] = {}

    def __getitem__(self, place: int) -> Numbers:
        if place not in self._found:
            feature = self.schema.features[place]
            rows = np.zeros((len(feature.code_of) + 1, len(self.schema.features)))
            rows[:-1, place] = list(feature.code_of.values())
            *known, unseen = self._model.encode_for_file(rows)[:, place].tolist()
            self._found[place] = Numbers(dict(zip(feature.code_of, known, strict=True)), unseen)
        return self._found[place]


def box_splits(box: Box, numbers: FileNumbers) -> tuple[Split, ...]:
    """The chain for a box whose sets have one interval at most; raises `Refused`, naming the feature.

    An adopted model's file has no number for a category that it doesn't know: it gets NaN, as for a
    missing value. A box that has the one without the other can't be told apart there.
    """
    return tuple(split for name, values in box.sets for split in _splits(numbers.schema.index(name), values, numbers))


def _splits(place: int, values: ValueSet, numbers: FileNumbers) -> Iterator[Split]:
    feature = numbers.schema.features[place]
    if isinstance(values, NumberSet):
        yield from _number_splits(place, values)
    elif feature.kind == "boolean":
        yield _boolean_split(place, values)
    else:
        yield _category_split(place, values, numbers[place], feature)


def _number_splits(place: int, values: NumberSet) -> Iterator[Split]:
    if not values.intervals:
        yield Split(place, False, True, _LARGEST)
        return
    ((low, high),) = values.intervals
    if math.isinf(low) and math.isinf(high):
        yield Split(place, True, values.missing, _LARGEST)
    if high < math.inf:
        yield Split(place, True, values.missing, threshold(high, values.whole))
    if low > -math.inf:
        yield Split(place, False, values.missing, threshold(before(low, values.whole), values.whole))


def threshold(value: float, whole: bool) -> float:
    """A threshold that ``value`` is at most and no later value is.

    Between whole numbers it lies halfway, so that a reader with 32-bit numbers keeps them apart too.
    """
    if whole:
        halfway = value + 0.5
        return halfway if value < halfway < after(value, True) else value
    return ZERO if value == 0.0 else value


def _boolean_split(place: int, values: TextSet) -> Split:
    if len(values.members) == 1:
        return Split(place, "false" in values.members, values.missing, 0.5)
    return Split(place, bool(values.members), values.missing, _LARGEST)


def _category_split(place: int, values: TextSet, numbers: Numbers, feature: Feature) -> Split:
    nan = values.missing
    if math.isnan(numbers.unseen):
        # Where the schema forbids missing values NaN is never one.
        if feature.missing and values.inverted != values.missing:
            raise Refused(
                f"{feature.name!r}: to this adopted model's file a category never seen is a missing value, and a rule "
                "tells them apart; name the categories that it is about by 'in', or use overlay-hard"
            )
        nan = values.inverted
    every = [*numbers.known.items(), *([] if math.isnan(numbers.unseen) else [(None, numbers.unseen)])]
    inside = {number: (values.inverted if text is None else text in values) for text, number in every}
    codes = frozenset(int(number) for number, is_in in inside.items() if is_in != nan)
    if max(codes, default=0) > LARGEST_CODE:
        raise Refused(f"{feature.name!r}: the code {max(codes)} is past {LARGEST_CODE}, up to which a graft can split")
    return Split(place, not nan, nan, codes=codes)


def tree_text(number: int, splits: Sequence[Split], value: float) -> str:
    """The block of a tree in the file: ``value`` behind all the splits, 0 beside each; a leaf alone without any.

    Every leaf counts one row: LightGBM's contributions divide by the counts.
    """
    last = len(splits) - 1
    places = _category_places(splits)
    leaves = [0.0] * len(splits) + [value]
    onward = [~(place + 1) if place == last else place + 1 for place in range(len(splits))]
    lines: dict[str, Iterable[float]] = {
        "num_leaves": [len(leaves)],
        "num_cat": [len(places)],
        "split_feature": [split.place for split in splits],
        "split_gain": [0] * len(splits),
        "threshold": [places.get(place, split.threshold) for place, split in enumerate(splits)],
        "decision_type": [split.decision_type for split in splits],
        "left_child": [onward[place] if split.left else ~place for place, split in enumerate(splits)],
        "right_child": [~place if split.left else onward[place] for place, split in enumerate(splits)],
        "leaf_value": leaves,
        "leaf_weight": [1] * len(leaves) if splits else [],
        "leaf_count": [1] * len(leaves) if splits else [],
        "internal_value": [0] * len(splits),
        "internal_weight": range(len(leaves), 1, -1),
        "internal_count": range(len(leaves), 1, -1),
        **_bitsets(splits),
        "is_linear": [0],
        "shrinkage": [1],
    }
    text = "\n".join(f"{key}={' '.join(map(number_text, values))}" for key, values in lines.items())
    return f"Tree={number}\n{text}\n\n\n"


def _category_places(splits: Sequence[Split]) -> dict[int, int]:
    """For each categorical split's place in the chain the place of its bitset."""
    categorical = [place for place, split in enumerate(splits) if split.codes is not None]
    return {place: bitset for bitset, place in enumerate(categorical)}


def _bitsets(splits: Sequence[Split]) -> dict[str, list[int]]:
    bounds, words = [0], list[int]()
    for split in splits:
        if split.codes is not None:
            bits = [0] * (max(split.codes, default=0) // 32 + 1)
            for code in split.codes:
                bits[code // 32] |= 1 << code % 32
            words += bits
            bounds.append(len(words))
    return {"cat_boundaries": bounds, "cat_threshold": words} if words else {}
