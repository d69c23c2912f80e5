"""A LightGBM model around one row: the values that its splits tell apart, and bounds on its scores.

Between two neighbouring thresholds of a feature the model says the same, so of each such cell only
the value nearest to the row matters; categories that no split tells apart are one. What is left are a
few options for each feature, and a set of options for each is a box of rows: over a box no tree
gives more than its greatest reachable leaf, which bounds the score of each class from above.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ruleedit.local.change import costs
from ruleedit.matching import Mask, Matrix
from ruleedit.models import TableModel
from ruleedit.models.file import Tree
from ruleedit.regions import after, before
from ruleedit.rules import ZERO
from ruleedit.schema import Feature

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Options:
    """The values that a feature may take, the row's own first, then the cheapest; ``cost`` is how far each is."""

    place: int
    values: Reals
    cost: Reals


@dataclass(frozen=True, eq=False)
class Paths:
    """For one feature the leaves that look at it, and which options lead to each; ``allowed`` is (leaves, options)."""

    leaves: npt.NDArray[np.intp]
    allowed: Mask


class Surroundings:
    """The options of every feature that the model looks at, and the bounds over boxes of them."""

    def __init__(self, model: TableModel, row: Matrix) -> None:
        self.model = model
        self.row = row
        self.trees = model.file.trees
        self._splits = _splits_by_feature(self.trees)

    @cached_property
    def options(self) -> list[Options]:
        """One for each feature that a split looks at and that has a second option, in schema order."""
        return [options for options, _ in self._routed]

    @cached_property
    def _routed(self) -> list[tuple[Options, Mask]]:
        """The options, and for each split of the feature, in `_splits`' order, whether an option goes left."""
        found = []
        for place in sorted(self._splits):
            values = _candidates(self.model, self.row, place, self._thresholds(place))
            left = self._goes_left(place, values)
            cost = costs(values, place, float(self.row[place]), self.model.schema, self.model.background)
            order = np.argsort(cost, kind="stable")
            # The cheapest of those that no split tells apart; the row's own value costs nothing.
            _, first = np.unique(left[:, order], axis=1, return_index=True)
            kept = order[np.sort(first)]
            found.append((Options(place, values[kept], cost[kept]), left[:, kept]))
        return found

    @cached_property
    def paths(self) -> list[Paths]:
        """Which options of each feature lead to which leaf, in the order of `options`."""
        starts = self.starts
        found: list[Paths] = []
        for options, left in self._routed:
            where = {split: number for number, split in enumerate(self._splits[options.place])}
            leaves: list[int] = []
            rows: list[Mask] = []
            for number, tree in enumerate(self.trees):
                for leaf, path in _leaf_paths(tree):
                    here = [(left[where[number, split]] == goes) for split, goes in path if (number, split) in where]
                    if here:
                        leaves.append(int(starts[number]) + leaf)
                        rows.append(np.logical_and.reduce(here))
            allowed = np.array(rows, dtype=bool).reshape(len(leaves), len(options.values))
            found.append(Paths(np.array(leaves, dtype=np.intp), allowed))
        return found

    @cached_property
    def starts(self) -> npt.NDArray[np.intp]:
        """Where each tree's leaves begin when all stand in one row."""
        return np.concatenate(([0], np.cumsum([tree.num_leaves for tree in self.trees])[:-1])).astype(np.intp)

    @property
    def leaves(self) -> int:
        """How many leaves all trees have."""
        return len(self._leaf_values)

    @cached_property
    def _leaf_values(self) -> Reals:
        return np.concatenate([tree.leaf_value for tree in self.trees]) * self._scale

    @cached_property
    def _scale(self) -> float:
        """What a leaf adds to the log-odds, or to the log-probability before it is normalised."""
        file = self.model.file
        sigmoid = file.objective.partition("sigmoid:")[2].split(" ")[0]
        scale = float(sigmoid) if file.num_class == 1 and sigmoid else 1.0
        return scale * file.trees_per_iteration / len(self.trees) if file.average_output else scale

    def whole(self) -> Mask:
        """Every leaf that some row of the options can reach; shape (leaves,)."""
        reach = np.ones(len(self._leaf_values), dtype=bool)
        for number, options in enumerate(self.options):
            reach = self.narrowed(reach, number, np.ones(len(options.values), dtype=bool))
        return reach

    def narrowed(self, reach: Mask, number: int, allowed: Mask) -> Mask:
        """The reachable leaves after the options of feature ``number`` are limited to ``allowed`` (options,)."""
        paths = self.paths[number]
        reach = reach.copy()
        reach[paths.leaves] &= (paths.allowed & allowed).any(axis=1)
        return reach

    def best_margin(self, reach: Mask, now: int) -> float:
        """The most by which another class can beat class ``now`` where these leaves are reachable; below 0 none can."""
        greatest = np.maximum.reduceat(np.where(reach, self._leaf_values, -np.inf), self.starts)
        least = np.minimum.reduceat(np.where(reach, self._leaf_values, np.inf), self.starts)
        thresholds = np.log(np.array(self.model.thresholds))
        if self.model.file.num_class == 1:
            score = float(greatest.sum()) if now == 0 else -float(least.sum())
            return score - float(thresholds[1 - now] - thresholds[now])
        classes = len(thresholds)
        highest = np.array([greatest[place::classes].sum() for place in range(classes)]) - thresholds
        margins = highest - (float(least[now::classes].sum()) - thresholds[now])
        return float(np.delete(margins, now).max())

    def _thresholds(self, place: int) -> Reals:
        """The cuts between the feature's cells; around zero two, where a split reads zero as missing."""
        cuts = {0.0, before(0.0, False)} if any(self._reads_zero(*split) for split in self._splits[place]) else set()
        for number, split in self._splits[place]:
            tree = self.trees[number]
            if not tree.is_categorical(split) and math.isfinite(tree.threshold[split]):
                cuts.add(float(tree.threshold[split]))
        return np.array(sorted(cuts), dtype=float)

    def _reads_zero(self, number: int, split: int) -> bool:
        tree = self.trees[number]
        return not tree.is_categorical(split) and tree.missing_type(split) != "nan"

    def _goes_left(self, place: int, values: Reals) -> Mask:
        """Whether each value goes left at each split of a feature; shape (splits, values)."""
        rows = np.repeat(self.row[None, :], len(values), axis=0)
        rows[:, place] = values
        numbers = self.model.encode_for_file(rows)[:, place]
        return np.array([_left(self.trees[tree], split, numbers) for tree, split in self._splits[place]], dtype=bool)


def _splits_by_feature(trees: Sequence[Tree]) -> dict[int, list[tuple[int, int]]]:
    """For each feature its splits as numbers of tree and split."""
    found: dict[int, list[tuple[int, int]]] = {}
    for number, tree in enumerate(trees):
        for split in range(tree.num_leaves - 1):
            found.setdefault(int(tree.split_feature[split]), []).append((number, split))
    return found


def _left(tree: Tree, split: int, numbers: Reals) -> Mask:
    """Whether the file's numbers (n,) go left at a split, as LightGBM decides."""
    missing = np.isnan(numbers)
    if tree.is_categorical(split):
        known: Mask = np.isin(np.nan_to_num(numbers, nan=-1.0), sorted(tree.categories(split))) & ~missing
        return known
    kind = tree.missing_type(split)
    filled = np.where(missing, 0.0, numbers)
    left: Mask = filled <= tree.threshold[split]
    if kind != "none":
        gone = missing if kind == "nan" else missing | (np.abs(filled) <= ZERO)
        left = np.where(gone, tree.default_left(split), left)
    return left


def _leaf_paths(tree: Tree) -> Iterator[tuple[int, list[tuple[int, bool]]]]:
    """Each leaf with the splits on its path, and whether it lies left of each."""
    stack: list[tuple[int, list[tuple[int, bool]]]] = [(0 if tree.num_leaves > 1 else ~0, [])]
    while stack:
        node, path = stack.pop()
        if node < 0:
            yield ~node, path
            continue
        stack.append((int(tree.left_child[node]), [*path, (node, True)]))
        stack.append((int(tree.right_child[node]), [*path, (node, False)]))


def _candidates(model: TableModel, row: Matrix, place: int, cuts: Reals) -> Reals:
    """The row's own value, then one of each cell or every category; commoner categories first."""
    feature, now = model.schema.features[place], float(row[place])
    common = [value for value, _ in model.background.common[place]]
    if feature.is_number:
        others = list(_cell_values(feature, now, cuts, common))
    elif feature.kind == "boolean":
        others = [0.0, 1.0]
    else:
        others = [*common, *(float(code) for code in feature.code_of.values())]
    return np.array(list(dict.fromkeys([now, *(value for value in others if value != now)])), dtype=float)


def _cell_values(feature: Feature, now: float, cuts: Reals, common: list[float]) -> Iterator[float]:
    """Of each cell between cuts the value nearest to ``now``; of a missing one the commonest value, else an end."""
    whole = feature.kind == "integer"
    least = -math.inf if feature.low is None else feature.low
    most = math.inf if feature.high is None else feature.high
    bounds = [-math.inf, *cuts.tolist(), math.inf]
    for start, end in itertools.pairwise(bounds):
        low = max(least, after(start, whole)) if math.isfinite(start) else least
        high = min(most, math.floor(end) if whole and math.isfinite(end) else end)
        if low > high or low <= now <= high:
            continue
        if math.isnan(now):
            inside = [value for value in common if low <= value <= high]
            ends = [value for value in (low, high) if math.isfinite(value)]
            yield inside[0] if inside else ends[0] if ends else 0.0
        else:
            yield low if now < low else high
