"""A binary tree on bins, compiled: CART grown best split first, from one count of each node's rows per bin and class.

Breiman, Friedman, Olshen, Stone: *Classification and Regression Trees*, 1984. A split is by the Gini index. As rows
are bins already, what every split of every feature would do is read off the counts of the node's rows; nothing is
sorted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from ruleedit.surrogate.kernel import Floats, Places, compiled

_f8, _i8 = types.float64, types.int64
#: A split must be so much better than another to take its place: equal ones sum up to other last digits.
LEAST_GAIN = 1e-9


class Splits(NamedTuple):
    """How nodes may be split: along the bins of a feature in some order.

    ``places`` (columns,) is the feature of each way; ``orders[heads[k]:heads[k + 1]]`` are its bins in order, counted
    through all features. A way of two bins tells the second from all others of its feature.
    """

    places: Places
    heads: Places
    orders: Places


class Split(NamedTuple):
    """The best split of a node: what it gains, along which way, and how many bins of that go left.

    ``cut`` is what the model makes of it; ``way`` is -1 where the node can't be split.
    """

    gain: float
    cut: float
    way: int
    bins: int


_splits = types.NamedUniTuple(_i8[::1], 3, Splits)
_split = types.NamedTuple((_f8, _f8, _i8, _i8), Split)
_cells, _answers = types.int32[:, ::1], types.int16[::1]


@compiled(types.void(_cells, _i8[::1], _answers, _f8[::1], _f8[:, ::1]))
def count(
    cells: npt.NDArray[np.int32],
    rows: Places,
    answers: npt.NDArray[np.int16],
    weights: Floats,
    counts: npt.NDArray[np.float64],
) -> None:
    """Write the weight of some rows in each bin with each answer; shape (bins, classes)."""
    counts[:] = 0.0
    for row in rows:
        answer, weight = answers[row], weights[row]
        for cell in cells[row]:
            counts[cell, answer] += weight


@compiled(_f8(_f8[::1], _f8[::1], _f8))
def purity(left: Floats, whole: Floats, weight: float) -> float:
    """The sum of squares of the classes over the weight, of a part and of the rest of a node; ``weight`` is the part's.

    The greater it is, the less is left of the Gini index.
    """
    mine, others, rest = 0.0, 0.0, -weight
    for answer in range(len(whole)):
        mine += left[answer] * left[answer]
        others += (whole[answer] - left[answer]) * (whole[answer] - left[answer])
        rest += whole[answer]
    return mine / weight + others / rest


@compiled(_split(_split, _f8, _f8, _i8, _i8))
def better_of(best: Split, gain: float, cut: float, way: int, bins: int) -> Split:
    """The better of two splits; of equal ones that of which the model makes more, else the earlier."""
    if gain > best.gain + LEAST_GAIN or (gain >= best.gain - LEAST_GAIN and best.way >= 0 and cut > best.cut):
        return Split(gain, cut, way, bins)
    return best


@compiled(_split(_splits, _i8[::1], _f8[::1], _f8[:, ::1], _f8[::1], _f8))
def best_split(
    splits: Splits, starts: Places, cuts: Floats, counts: npt.NDArray[np.float64], whole: Floats, least: float
) -> Split:
    """The split of a node's counts that gains most, with the weight ``least`` on each side."""
    total, squares = whole.sum(), (whole * whole).sum()
    best = Split(-2.0 * LEAST_GAIN, 0.0, -1, 0)
    if total < 2.0 * least or squares >= total * total * (1.0 - 1e-12):
        return best
    before, left = squares / total, np.empty(len(whole))
    of_bins = counts.sum(axis=1)
    for way in range(len(splits.places)):
        order = splits.orders[splits.heads[way] : splits.heads[way + 1]]
        if len(order) == 2 and starts[splits.places[way] + 1] - starts[splits.places[way]] > 2:
            weight = of_bins[order[1]]
            if weight >= least and total - weight >= least:
                best = better_of(best, purity(counts[order[1]], whole, weight) - before, 0.0, way, 1)
            continue
        left[:] = 0.0
        weight, last = 0.0, 0
        for number in range(len(order)):
            here = of_bins[order[number]]
            if here == 0.0:
                continue
            if weight >= least and total - weight >= least:
                gain = purity(left, whole, weight) - before
                # Any number of bins from the last to this one is the same for the node's rows.
                cut = cuts[order[last - 1 : number]].max()
                best = better_of(best, gain, cut, way, (last + number + 1) // 2)
            left += counts[order[number]]
            weight += here
            last = number + 1
    return best


@compiled(
    types.Tuple((_i8[::1], _i8[::1], _i8[::1], _i8[::1]))(
        _cells, _i8[::1], _f8[::1], _answers, _f8[::1], _i8, _splits, _i8, _f8
    )
)  # fmt: skip
def grow(
    cells: npt.NDArray[np.int32],
    starts: Places,
    cuts: Floats,
    answers: npt.NDArray[np.int16],
    weights: Floats,
    classes: int,
    splits: Splits,
    leaves: int,
    least: float,
) -> tuple[Places, Places, Places, Places]:
    """Grow a tree of so many leaves at most, each of the weight ``least`` at least.

    Returns for each node the way of its split, how many bins of that go left, its left child (the right one is the
    next; 0 at a leaf), and its commonest class. Nodes are numbered as they came, the best split first.
    """
    size = 2 * leaves - 1
    ways, bins = np.full(size, -1, np.int64), np.zeros(size, np.int64)
    lefts, tops = np.zeros(size, np.int64), np.zeros(size, np.int64)
    begins, ends, gains = np.zeros(size, np.int64), np.zeros(size, np.int64), np.full(size, -np.inf)
    rows, room = np.arange(len(cells)), np.empty(len(cells), np.int64)
    counts, whole = np.empty((starts[-1], classes)), np.empty(classes)
    ends[0], made, node = len(rows), 1, 0
    while True:
        # The nodes that came last have not been looked at.
        for new in range(max(0, made - 2), made):
            mine = rows[begins[new] : ends[new]]
            count(cells, mine, answers, weights, counts)
            whole[:] = 0.0
            for cell in range(starts[0], starts[1]):
                whole += counts[cell]
            tops[new] = int(np.argmax(whole))
            split = best_split(splits, starts, cuts, counts, whole, least)
            if split.way >= 0:
                gains[new], ways[new], bins[new] = split.gain, split.way, split.bins
        if made == size:
            break
        node = int(np.argmax(gains[:made]))
        if gains[node] == -np.inf:
            break
        gains[node] = -np.inf
        order = splits.orders[splits.heads[ways[node]] : splits.heads[ways[node] + 1]]
        place = splits.places[ways[node]]
        is_right = np.zeros(starts[place + 1] - starts[place], np.bool_)
        for cell in order[bins[node] :]:
            is_right[cell - starts[place]] = True
        low, high = begins[node], 0
        for row in rows[begins[node] : ends[node]]:
            right = is_right[cells[row, place] - starts[place]]
            room[high] = row
            rows[low] = row
            high += int(right)
            low += int(not right)
        rows[low : low + high] = room[:high]
        lefts[node] = made
        begins[made], ends[made], begins[made + 1], ends[made + 1] = begins[node], low, low, ends[node]
        made += 2
    for left in range(size):
        if lefts[left] == 0:
            ways[left] = -1
    return ways[:made], bins[:made], lefts[:made], tops[:made]
