"""One step of the branch and bound that `ruleedit.surrogate.bound` proves by, compiled.

A branch is a conjunction; its children add a condition on a later feature. What a child is worth is
counted; what it could still become is bounded: each further clause keeps at best all rows that are worth
something, and parts with no more of the others than the best clause of its feature does here, among those
that leave enough behind to be worth it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from ruleedit.surrogate.kernel import Floats, Places, compiled


class Conditions(NamedTuple):
    """Every condition that a clause can say, feature by feature: ``heads`` (features + 1,) says where each begins.

    A condition holds the bins from ``lows`` to ``highs`` of its feature, or, where ``masks`` isn't 0, those whose bits
    are set; ``costs`` are its clauses. ``sizes`` (features,) are the bins of each feature.
    """

    heads: Places
    lows: Places
    highs: Places
    masks: npt.NDArray[np.uint64]
    costs: Places
    sizes: Places


_f8, _i8 = types.float64, types.int64
_conditions = types.NamedTuple((_i8[::1], _i8[::1], _i8[::1], types.uint64[::1], _i8[::1], _i8[::1]), Conditions)
_columns = types.uint16[:, ::1]


@compiled(types.void(_conditions, _columns, _i8[::1], _f8[::1], _i8, _f8[::1], _f8[::1]))
def count(
    conditions: Conditions,
    columns: npt.NDArray[np.uint16],
    rows: Places,
    worth: Floats,
    first: int,
    kept: Floats,
    lost: Floats,
) -> None:
    """Write for each condition, from a feature on, what the rows that it holds are worth, the rest taken off apart.

    ``kept`` sums what is worth something, ``lost`` what costs something, as a positive number.
    """
    widest = conditions.sizes.max()
    good, bad = np.empty(widest + 1), np.empty(widest + 1)
    for place in range(first, len(conditions.sizes)):
        good[:] = 0.0
        bad[:] = 0.0
        for row in rows:
            bin = columns[place, row] + 1
            if worth[row] > 0.0:
                good[bin] += worth[row]
            else:
                bad[bin] -= worth[row]
        for bin in range(conditions.sizes[place]):
            good[bin + 1] += good[bin]
            bad[bin + 1] += bad[bin]
        for number in range(conditions.heads[place], conditions.heads[place + 1]):
            low, high = conditions.lows[number], conditions.highs[number]
            if conditions.masks[number] == 0:
                kept[number], lost[number] = good[high + 1] - good[low], bad[high + 1] - bad[low]
                continue
            kept[number], lost[number] = 0.0, 0.0
            for bin in range(conditions.sizes[place]):
                if conditions.masks[number] >> np.uint64(bin) & np.uint64(1):
                    kept[number] += good[bin + 1] - good[bin]
                    lost[number] += bad[bin + 1] - bad[bin]


@compiled(_i8(_conditions, _i8, _f8[::1], _f8[::1], _f8, _f8, _i8, _f8[::1]))
def add_savings(
    conditions: Conditions,
    place: int,
    kept: Floats,
    lost: Floats,
    all_lost: float,
    dear: float,
    spent: int,
    most: Floats,
) -> int:
    """Add to ``most``, in descending order, at most what each further clause on a feature parts with; return how many.

    Of conditions that can still be part of a rule worth more than ``dear`` a clause. Values are 0 past the last.
    """
    one, more, dearest = 0.0, 0.0, 1
    for number in range(conditions.heads[place], conditions.heads[place + 1]):
        cost = conditions.costs[number]
        if kept[number] > dear * (spent + 1 + cost):
            saved = all_lost - lost[number]
            dearest = max(dearest, cost)
            one = max(one, saved / cost if cost > 1 else saved)
            more = max(more, saved / cost)
    for unit in range(min(dearest, len(most))):
        value, here = one if unit == 0 else more, len(most) - 1
        while here and most[here - 1] < value:
            most[here] = most[here - 1]
            here -= 1
        most[here] = max(most[here], value)
    return dearest


@compiled(_f8(_f8, _f8, _i8, _i8, _f8, _f8[::1]))
def hope(kept: float, lost: float, cost: int, budget: int, dear: float, most: Floats) -> float:
    """At most what a rule that holds so much is worth a clause with further clauses; ``dear`` where that isn't more."""
    best, left = dear, lost
    for more in range(1, min(budget - cost, len(most)) + 1):
        if kept <= best * (cost + more):
            break
        left -= most[more - 1]
        best = max(best, (kept - max(0.0, left)) / (cost + more))
    return best


@compiled(
    types.void(
        _conditions, _columns, _i8[::1], _f8[::1], _i8, _i8, _i8, _f8, _f8[::1], _f8[::1]
    )
)  # fmt: skip
def branch(
    conditions: Conditions,
    columns: npt.NDArray[np.uint16],
    rows: Places,
    worth: Floats,
    first: int,
    spent: int,
    budget: int,
    dear: float,
    ratios: Floats,
    hopes: Floats,
) -> None:
    """Write what each child of a branch is worth a clause, and at most what it could become worth; 0 for no child.

    The branch holds ``rows`` of ``worth`` (n,), has ``spent`` clauses, and its children have conditions from the
    feature ``first`` on.
    """
    ratios[:] = 0.0
    hopes[:] = 0.0
    kept, lost = np.zeros(len(hopes)), np.zeros(len(hopes))
    count(conditions, columns, rows, worth, first, kept, lost)
    all_lost = 0.0
    for row in rows:
        all_lost -= min(0.0, worth[row])
    most = np.zeros(budget)
    for place in range(len(conditions.sizes) - 1, first - 1, -1):
        for number in range(conditions.heads[place], conditions.heads[place + 1]):
            cost = spent + conditions.costs[number]
            if cost <= budget:
                ratios[number] = (kept[number] - lost[number]) / cost
                dearer = max(dear, ratios[number])
                hopes[number] = hope(kept[number], lost[number], cost, budget, dearer, most)
        add_savings(conditions, place, kept, lost, all_lost, dear, spent, most)


@compiled(_i8[::1](_conditions, _columns, _i8[::1], _i8, _i8))
def inside(conditions: Conditions, columns: npt.NDArray[np.uint16], rows: Places, place: int, number: int) -> Places:
    """The rows that a condition on a feature holds."""
    found, many = np.empty(len(rows), np.int64), 0
    for row in rows:
        bin = columns[place, row]
        mask = conditions.masks[number]
        if mask == 0:
            holds = conditions.lows[number] <= bin <= conditions.highs[number]
        else:
            holds = (mask >> np.uint64(bin) & np.uint64(1)) != 0
        if holds:
            found[many] = row
            many += 1
    return found[:many].copy()
