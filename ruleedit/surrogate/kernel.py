"""The inner loop of the search for rules, compiled.

One rule is bettered against what rows are worth, a list of rules is swept, and a pool of conjunctions is
weighed; what these mean is told where they are called, in `ruleedit.surrogate.lists` and
`ruleedit.surrogate.pool`. Numba compiles the functions when this module is imported for the first time
and keeps them beside it, or in the user's cache folder; where neither can be written they are compiled
anew in each process. Sums go through the rows in order, in one thread: the same bits everywhere.

A rule is two arrays: ``allowed`` (bins,), true for each bin that it holds, the features one after the
other, and ``costs`` (features,), the clauses of its condition on each; 0 where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
import numpy.typing as npt
from numba import types

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Compiled = TypeVar("Compiled", bound=Callable[..., Any])

#: Kinds of features.
NUMBER, CATEGORY, BOOLEAN = 0, 1, 2
#: What a change can be: no condition, only missing, an interval of bins, the best values, all but the worst.
EVERY, MISSING, INTERVAL, BEST, ALL_BUT_WORST = 0, 1, 2, 3, 4
#: So many changes of a rule are made one after the other before its neighbours get their turn.
MOST_CHANGES = 12
#: A clause that wins nothing is worth less than none; far below the weight of a row.
LEAST_PRICE = 1e-6
#: Rows are compared with what is remembered of them so many at a time.
BLOCK = 64
#: What became of a rule in a sweep.
GONE, KEPT, CHANGED = 0, 1, 2


class Table(NamedTuple):
    """Rows as bins: ``cells`` (n, features) is the bin of each cell, counted through all features.

    ``columns`` (features, n) is the same the other way round, counted within each feature: quicker to go down.
    ``starts`` (features + 1,) says where each feature's bins begin; the last of them is that of missing
    values, before it a category's others. ``kinds``, ``has_missing``, ``has_others`` are of the features,
    ``is_single`` (a bin of one whole value) and ``cuts`` (what the model makes of the cut above it) of the bins.
    """

    cells: npt.NDArray[np.int32]
    columns: npt.NDArray[np.uint16]
    starts: Places
    kinds: npt.NDArray[np.uint8]
    has_missing: Flags
    has_others: Flags
    is_single: Flags
    cuts: Floats


class Count(NamedTuple):
    """What is remembered of each rule of a list on its rows, and so needn't be counted again.

    ``signs`` (rules, n) says which rows the rule gains (1) or loses (-1), ``failing`` how many of its conditions each
    row fails, ``where`` the sum of their places, ``gains`` (rules, bins) what each bin would gain as the only condition
    on its feature, ``now`` (rules,) what the rule gains, ``known`` whether all this is of the rule as it stands.
    ``settled`` (rules, 2) is the price and the room for which it was bettered last; NaN where it never was.
    """

    signs: npt.NDArray[np.int8]
    failing: npt.NDArray[np.int16]
    where: npt.NDArray[np.int16]
    gains: Floats
    now: Floats
    known: Flags
    settled: Floats


class Change(NamedTuple):
    """A condition on one feature: what the rule would gain, its clauses, what it is, and which bins or how many."""

    score: float
    place: int
    cost: int
    what: int
    low: int
    high: int


_f8, _i8, _u1, _b1 = types.float64, types.int64, types.uint8, types.boolean
_table = types.NamedTuple(
    (
        types.int32[:, ::1],
        types.uint16[:, ::1],
        _i8[::1],
        _u1[::1],
        _b1[::1],
        _b1[::1],
        _b1[::1],
        _f8[::1],
    ),
    Table,
)
_count = types.NamedTuple(
    (
        types.int8[:, ::1],
        types.int16[:, ::1],
        types.int16[:, ::1],
        _f8[:, ::1],
        _f8[::1],
        _b1[::1],
        _f8[:, ::1],
    ),
    Count,
)
_change = types.NamedTuple((_f8, _i8, _i8, _i8, _i8, _i8), Change)
_shorts, _bytes = types.int16[::1], types.int8[::1]


def compiled(signature: Any) -> Callable[[Compiled], Compiled]:
    """Compile for one signature; keep the result where a folder can be written."""

    def compile_it(function: Compiled) -> Compiled:
        try:
            made: Compiled = numba.njit(signature, cache=True, nogil=True)(function)
        except (RuntimeError, OSError):
            made = numba.njit(signature, nogil=True)(function)
        return made

    return compile_it


@compiled(_i8[::1](_f8[::1], types.Array(_f8, 1, "A")))
def between(cuts: Floats, values: Floats) -> Places:
    """For each value the first of the ascending cuts that isn't below it; one past the last where none is, or missing.

    Shape (values,). The halving has no jump: on which side a value lies can't be guessed.
    """
    places = np.empty(len(values), np.int64)
    for number in range(len(values)):
        base, left = 0, len(cuts)
        while left > 1:
            half = left // 2
            base = base + half if cuts[base + half - 1] < values[number] else base
            left -= half
        if left and not values[number] <= cuts[base]:
            base += 1
        places[number] = len(cuts) if np.isnan(values[number]) else base
    return places


@compiled(types.void(_f8[::1], types.Array(_f8, 1, "A"), _f8[::1], _f8[::1]))
def ends(cuts: Floats, values: Floats, greatest: Floats, least: Floats) -> None:
    """Write the greatest and the least of the values between cuts, missing ones left out; shapes (cuts + 1,)."""
    greatest[:], least[:] = -np.inf, np.inf
    places = between(cuts, values)
    for number in range(len(values)):
        place, value = places[number], values[number]
        if value > greatest[place]:
            greatest[place] = value
        if value < least[place]:
            least[place] = value


@compiled(types.UniTuple(_i8[::1], 2)(_i8[:, ::1]))
def alike(codes: Places) -> tuple[Places, Places]:
    """The first row of each group of equal rows, in the order in which they come, and the group of each row.

    Looked up by a hash of the row; of rows whose hashes clash the next free place is taken.
    """
    size = 1
    while size < 2 * len(codes):
        size *= 2
    slots, which, first = np.full(size, -1), np.empty(len(codes), np.int64), np.empty(len(codes), np.int64)
    many = 0
    for row in range(len(codes)):
        key = np.uint64(0)
        for code in codes[row]:
            key = (key ^ np.uint64(code)) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
        slot = np.int64(key & np.uint64(size - 1))
        while slots[slot] >= 0 and not (codes[first[slots[slot]]] == codes[row]).all():
            slot = (slot + 1) & (size - 1)
        if slots[slot] < 0:
            slots[slot], first[many] = many, row
            many += 1
        which[row] = slots[slot]
    return first[:many].copy(), which


@compiled(types.void(_table, _i8[::1], _b1[::1], _i8, _i8, _shorts, _shorts))
def mark(
    table: Table,
    rows: Places,
    allowed: Flags,
    place: int,
    sign: int,
    failing: npt.NDArray[np.int16],
    where: npt.NDArray[np.int16],
) -> None:
    """Count (or with the sign -1 no longer) the condition on a feature, for the rows that fail it.

    ``where`` is the sum of the places of the failing conditions: of a row that fails one, its place.
    """
    here, column = allowed[table.starts[place] : table.starts[place + 1]], table.columns[place]
    for number in range(len(rows)):
        # No jump: whether a row fails can't be guessed.
        step = sign * (1 - int(here[column[rows[number]]]))
        failing[number] += step
        where[number] += step * place


@compiled(_f8(_table, _i8[::1], _f8[::1], _shorts, _shorts, _f8[::1]))
def gain(
    table: Table,
    rows: Places,
    worth: Floats,
    failing: npt.NDArray[np.int16],
    where: npt.NDArray[np.int16],
    gains: Floats,
) -> float:
    """Write what each bin would gain as the only condition on its feature; return what the rule gains now."""
    gains[:] = 0.0
    now = 0.0
    for number in range(len(rows)):
        if failing[number] == 0:
            now += worth[number]
            for cell in table.cells[rows[number]]:
                gains[cell] += worth[number]
        elif failing[number] == 1:
            gains[table.cells[rows[number], where[number]]] += worth[number]
    return now


@compiled(_f8(_table, _i8[::1], _f8[::1], _i8[::1], _shorts, _shorts, _f8, _f8[::1]))
def credit(
    table: Table,
    rows: Places,
    worth: Floats,
    numbers: Places,
    failing: npt.NDArray[np.int16],
    where: npt.NDArray[np.int16],
    sign: float,
    gains: Floats,
) -> float:
    """Add (with the sign -1 take off) what some of the rows count for in `gain`; return what the rule gains by it.

    ``numbers`` are their places in the other arrays.
    """
    more = 0.0
    for number in numbers:
        if failing[number] == 0:
            more += sign * worth[number]
            for cell in table.cells[rows[number]]:
                gains[cell] += sign * worth[number]
        elif failing[number] == 1:
            gains[table.cells[rows[number], where[number]]] += sign * worth[number]
    return more


@compiled(_f8(_table, _i8[::1], _f8[::1], _shorts, _shorts, _f8[::1]))
def credit_rows(
    table: Table,
    rows: Places,
    change: Floats,
    failing: npt.NDArray[np.int16],
    where: npt.NDArray[np.int16],
    gains: Floats,
) -> float:
    """Add to what is counted in `gain` of all rows that some are worth more by a change; return the rule's own gain."""
    more = 0.0
    for number in range(len(rows)):
        row = rows[number]
        if failing[row] == 0:
            more += change[number]
            for cell in table.cells[row]:
                gains[cell] += change[number]
        elif failing[row] == 1:
            gains[table.cells[row, where[row]]] += change[number]
    return more


@compiled(_b1(_i8[::1], _f8[::1], _b1[::1], _b1[::1], types.uint16[::1], _shorts))
def is_slight(
    rows: Places,
    worth: Floats,
    before: Flags,
    here: Flags,
    column: npt.NDArray[np.uint16],
    failing: npt.NDArray[np.int16],
) -> bool:
    """Whether fewer rows come to the rule or leave it by a changed condition than it then holds."""
    moved, held = 0, 0
    for number in range(len(rows)):
        bin = column[rows[number]]
        was, now = int(before[bin]), int(here[bin])
        counts = int(worth[number] != 0.0) * int(failing[number] == 1 - was)
        held += counts * now
        moved += counts * (was ^ now)
    return moved < held


@compiled(_f8(_table, _i8[::1], _f8[::1], _b1[::1], _i8, _b1[::1], _shorts, _shorts, _f8[::1], _f8, _b1))
def shift(
    table: Table,
    rows: Places,
    worth: Floats,
    before: Flags,
    place: int,
    allowed: Flags,
    failing: npt.NDArray[np.int16],
    where: npt.NDArray[np.int16],
    gains: Floats,
    now: float,
    whole: bool,
) -> float:
    """Count a changed condition on a feature, which held the bins ``before``; return what the rule gains then.

    Where few rows change sides only they are counted, if the worth is in ``whole`` numbers: their sums come out the
    same in any order, to the bit.
    """
    here, column = allowed[table.starts[place] : table.starts[place + 1]], table.columns[place]
    if not (whole and is_slight(rows, worth, before, here, column, failing)):
        for number in range(len(rows)):
            bin = column[rows[number]]
            step = int(before[bin]) - int(here[bin])
            failing[number] += step
            where[number] += step * place
        return gain(table, rows, worth, failing, where, gains)
    moved, many = np.empty(len(rows), np.int64), 0
    for number in range(len(rows)):
        moved[many] = number
        many += int(before[column[rows[number]]] != here[column[rows[number]]])
    moved = moved[:many]
    now += credit(table, rows, worth, moved, failing, where, -1.0, gains)
    for each in moved:
        step = int(before[column[rows[each]]]) - int(here[column[rows[each]]])
        failing[each] += step
        where[each] += step * place
    return now + credit(table, rows, worth, moved, failing, where, 1.0, gains)


@compiled(_change(_change, _f8, _i8, _i8, _i8, _i8, _i8))
def better_of(best: Change, score: float, place: int, cost: int, what: int, low: int, high: int) -> Change:
    """The better of the best change so far and another one; of equal ones the earlier."""
    return Change(score, place, cost, what, low, high) if score > best.score else best


@compiled(_i8(_f8[::1], _f8[::1], _f8))
def weightiest(sums: Floats, weights: Floats, sign: float) -> int:
    """The cut with the greatest sum (with the sign -1 the least); of equal ones that of which the model makes most."""
    top = -np.inf
    for cut in range(len(sums)):
        top = max(top, sign * sums[cut])
    best = -1
    for cut in range(len(sums)):
        if sign * sums[cut] >= top - 1e-9 and (best < 0 or weights[cut] > weights[best]):
            best = cut
    return best


@compiled(_i8(_table, _i8, _i8, _i8))
def interval_cost(table: Table, place: int, low: int, high: int) -> int:
    """The clauses of an interval of a number's bins."""
    if low == high and table.is_single[table.starts[place] + low]:
        return 1
    return int(low > 0) + int(high < table.starts[place + 1] - table.starts[place] - 2)


@compiled(_change(_change, _table, _i8, _f8[::1], _f8, _f8, _i8))
def best_interval(
    best: Change, table: Table, place: int, gains: Floats, base: float, price: float, room: int
) -> Change:
    """The best interval of a number's bins, a bound costing one clause and two costing two."""
    last = len(gains) - 2
    if room < 1 or last == 0:
        return best
    sums = np.empty(last + 1)
    total = 0.0
    for bin in range(last + 1):
        total += gains[bin]
        sums[bin] = total
    cuts = table.cuts[table.starts[place] : table.starts[place] + last]
    low, high = weightiest(sums[:-1], cuts, 1.0), weightiest(sums[:-1], cuts, -1.0) + 1
    cost = interval_cost(table, place, 0, low)
    best = better_of(best, sums[low] - base - price * cost, place, cost, INTERVAL, 0, low)
    cost = interval_cost(table, place, high, last)
    best = better_of(best, sums[last] - sums[high - 1] - base - price * cost, place, cost, INTERVAL, high, last)
    single, start, end, least, peak = -1, 0, 0, np.inf, -np.inf
    lowest = 0
    for bin in range(last + 1):
        if table.is_single[table.starts[place] + bin] and (single < 0 or gains[bin] > gains[single]):
            single = bin
        if sums[bin] - gains[bin] < least:
            least, lowest = sums[bin] - gains[bin], bin
        if sums[bin] - least > peak:
            peak, start, end = sums[bin] - least, lowest, bin
    if single >= 0:
        value = sums[single] - (sums[single - 1] if single else 0.0)
        best = better_of(best, value - base - price, place, 1, INTERVAL, single, single)
    if room >= 2 and last >= 2 and start > 0 and end < last:
        cost = interval_cost(table, place, start, end)
        best = better_of(best, sums[end] - sums[start - 1] - base - price * cost, place, cost, INTERVAL, start, end)
    return best


@compiled(_i8[::1](_f8[::1]))
def ranked(gains: Floats) -> Places:
    """The values of a category, those that gain most first; of equal ones the earlier."""
    order = np.arange(len(gains))
    for number in range(1, len(order)):
        value, here = order[number], number
        while here and gains[order[here - 1]] < gains[value]:
            order[here] = order[here - 1]
            here -= 1
        order[here] = value
    return order


@compiled(_change(_change, _table, _i8, _f8[::1], _f8, _f8, _f8, _i8))
def best_values(
    best: Change, table: Table, place: int, gains: Floats, present: float, base: float, price: float, room: int
) -> Change:
    """The best set of a category's values, and the best one to leave out, each value costing one clause."""
    named = gains[:-2]
    order = ranked(named)
    top, tail = 0.0, 0.0
    # Naming every value, where there are no others, would be a clumsy "is not missing".
    for count in range(1, min(room, len(order) - 1 + int(table.has_others[place])) + 1):
        gained, lost = named[order[count - 1]], named[order[len(order) - count]]
        top, tail = top + gained, tail + lost
        if gained > 0.0:
            best = better_of(best, top - base - price * count, place, count, BEST, 0, count)
        if lost < 0.0:
            best = better_of(best, present - tail - base - price * count, place, count, ALL_BUT_WORST, 0, count)
        if gained <= 0.0 and lost >= 0.0:
            break
    return best


@compiled(_change(_change, _table, _i8, _f8[::1], _f8, _f8, _i8))
def best_of_place(
    best: Change, table: Table, place: int, gains: Floats, base: float, price: float, room: int
) -> Change:  # fmt: skip
    """The best condition on one feature, or none, within so many clauses; ``gains`` are those of the feature's bins."""
    present, missing = 0.0, gains[-1]
    for bin in range(len(gains) - 1):
        present += gains[bin]
    if room >= 0:
        best = better_of(best, present + missing - base, place, 0, EVERY, 0, 0)
    if room >= 1 and table.has_missing[place]:
        best = better_of(best, missing - base - price, place, 1, MISSING, 0, 0)
        best = better_of(best, present - base - price, place, 1, INTERVAL, 0, len(gains) - 2)
    if table.kinds[place] == NUMBER:
        return best_interval(best, table, place, gains, base, price, room)
    return best_values(best, table, place, gains, present, base, price, room)


@compiled(_change(_table, _f8[::1], _b1[::1], _f8, _f8, _i8))
def best_added(table: Table, gains: Floats, is_set: Flags, now: float, price: float, room: int) -> Change:
    """The condition on a feature without one that gains most over ``now``; its place is -1 where none does."""
    best = Change(LEAST_PRICE / 2, -1, 0, EVERY, 0, 0)
    for place in range(len(is_set)):
        if not is_set[place]:
            here = gains[table.starts[place] : table.starts[place + 1]]
            best = best_of_place(best, table, place, here, now, price, room)
    return best


@compiled(_change(_table, _f8[::1], _i8[::1], _f8, _f8, _i8))
def best_change(table: Table, gains: Floats, costs: Places, now: float, price: float, most: int) -> Change:
    """The change of one condition that gains most, its price taken off; of equal ones that of the first feature.

    Its place is -1 where none gains anything within ``most`` clauses.
    """
    best = Change(LEAST_PRICE / 2, -1, 0, EVERY, 0, 0)
    spent = costs.sum()
    for place in range(len(costs)):
        here = gains[table.starts[place] : table.starts[place + 1]]
        room = most - spent + costs[place]
        # What is given up for the change: the rule as it is, less the clauses that it saves.
        best = best_of_place(best, table, place, here, now - price * costs[place], price, room)
    return best


@compiled(_i8(_table, _change, _f8[::1], _b1[::1]))
def put(table: Table, change: Change, gains: Floats, allowed: Flags) -> int:
    """Write a change into a rule's bins; return the clauses that it takes, said the shorter way."""
    start, end = table.starts[change.place], table.starts[change.place + 1]
    here = allowed[start:end]
    here[:] = change.what == EVERY or change.what == ALL_BUT_WORST
    here[-1] = change.what == EVERY or change.what == MISSING
    if change.what == INTERVAL:
        here[change.low : change.high + 1] = True
    if change.what < BEST:
        return change.cost
    order = ranked(gains[start : end - 2])
    for number in range(change.high):
        here[order[number if change.what == BEST else len(order) - 1 - number]] = change.what == BEST
    if table.kinds[change.place] == BOOLEAN:
        return 1
    inside = change.high if change.what == BEST else len(order) - change.high
    outside = len(order) - inside
    inverted = here[-2] if table.has_others[change.place] else outside < inside
    return outside if inverted else inside


@compiled(_b1(_f8[::1]))
def are_whole(numbers: Floats) -> bool:
    """Whether all numbers are whole: their sums are then exact."""
    return bool((numbers == np.floor(numbers)).all())


@compiled(
    types.Tuple((_f8, _i8))(
        _table, _i8[::1], _f8[::1], _b1[::1], _i8[::1], _f8, _i8, _shorts, _shorts, _f8[::1], _f8, _b1
    )
)  # fmt: skip
def refine(
    table: Table,
    rows: Places,
    worth: Floats,
    allowed: Flags,
    costs: Places,
    price: float,
    most: int,
    failing: npt.NDArray[np.int16],
    where: npt.NDArray[np.int16],
    gains: Floats,
    now: float,
    whole: bool,
) -> tuple[float, int]:
    """`better`, for a rule that is counted: ``failing``, ``where``, ``gains`` and ``now`` are kept up to date.

    Unless the worth is in ``whole`` numbers all rows are counted again after each change, in order.
    """
    changes = 0
    while changes < MOST_CHANGES:
        change = best_change(table, gains, costs, now, price + LEAST_PRICE, most)
        if change.place < 0:
            break
        before = allowed[table.starts[change.place] : table.starts[change.place + 1]].copy()
        if costs[change.place] == 0:
            before[:] = True
        costs[change.place] = put(table, change, gains, allowed)
        now = shift(table, rows, worth, before, change.place, allowed, failing, where, gains, now, whole)
        changes += 1
    return now, changes


@compiled(types.Tuple((_f8, _i8))(_table, _i8[::1], _f8[::1], _b1[::1], _i8[::1], _f8, _i8))
def better(
    table: Table, rows: Places, worth: Floats, allowed: Flags, costs: Places, price: float, most: int
) -> tuple[float, int]:
    """Take the best change of one condition of a rule while there is one, within ``most`` clauses.

    ``worth`` says what each of ``rows`` is worth to the rule. Returns what those that the rule then holds are worth
    together, and how many changes there were.
    """
    failing, where = np.zeros(len(rows), np.int16), np.zeros(len(rows), np.int16)
    gains = np.empty(len(allowed))
    for place in range(len(costs)):
        if costs[place]:
            mark(table, rows, allowed, place, 1, failing, where)
    now = gain(table, rows, worth, failing, where, gains)
    return refine(
        table, rows, worth, allowed, costs, price, most, failing, where, gains, now, are_whole(worth)
    )  # fmt: skip


@compiled(_b1[::1](_table, _b1[::1], _b1[::1]))
def held(table: Table, allowed: Flags, is_set: Flags) -> Flags:
    """The rows that a rule with conditions on some features holds; shape (n,)."""
    mask = np.ones(len(table.cells), np.bool_)
    for place in range(len(is_set)):
        if is_set[place]:
            here, column = allowed[table.starts[place] : table.starts[place + 1]], table.columns[place]
            for row in range(len(mask)):
                mask[row] &= here[column[row]]
    return mask


@compiled(_f8(_table, _i8[::1], _f8[::1], _i8[::1], _f8[::1], _f8[::1], _f8, _i8, _b1[::1], _i8[::1]))
def grown(
    table: Table,
    rows: Places,
    worth: Floats,
    few: Places,
    their: Floats,
    ladder: Floats,
    price: float,
    most: int,
    allowed: Flags,
    costs: Places,
) -> float:
    """Grow a rule from nothing to some of the rows, ``few`` and what ``their`` worth is, and write it.

    It is grown once from each step of ``ladder`` on downwards, right rows weighing so many times as much; the best of
    these on all rows is kept. Returns what that gains, 0 where no rule gains anything.
    """
    best, trial, prices = 0.0, np.empty_like(allowed), np.empty_like(costs)
    for first in range(len(ladder) - 1, -1, -1):
        trial[:], prices[:] = True, 0
        for weight in ladder[first:]:
            better(table, few, np.where(their > 0.0, weight * their, their), trial, prices, price, most)
        if prices.sum() == 0:
            continue
        mask, value = held(table, trial, prices > 0), -price * prices.sum()
        for number in range(len(rows)):
            if mask[rows[number]]:
                value += worth[number]
        if value > best + LEAST_PRICE:
            best, allowed[:], costs[:] = value, trial, prices
    return best


@compiled(_b1[:, ::1](_table, _b1[:, ::1], _b1[:, ::1]))
def all_held(
    table: Table, allowed: npt.NDArray[np.bool_], is_set: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:  # fmt: skip
    """The rows that each rule holds; shape (rules, n)."""
    masks = np.empty((len(allowed), len(table.cells)), np.bool_)
    for number in range(len(allowed)):
        masks[number] = held(table, allowed[number], is_set[number])
    return masks


@compiled(_shorts(_table, _b1[:, ::1], _b1[:, ::1]))
def deciding(table: Table, allowed: npt.NDArray[np.bool_], is_set: npt.NDArray[np.bool_]) -> npt.NDArray[np.int16]:
    """The place of the rule that decides each row; one past the last where it is the default. Shape (n,)."""
    decided = np.full(len(table.cells), len(allowed), np.int16)
    for number in range(len(allowed) - 1, -1, -1):
        mask = held(table, allowed[number], is_set[number])
        for row in range(len(mask)):
            if mask[row]:
                decided[row] = number
    return decided


@compiled(_i8(_shorts, _f8[::1], _shorts, _shorts, _i8, _i8, _i8[::1], _f8[::1]))
def weigh(
    answers: npt.NDArray[np.int16],
    weights: Floats,
    decided: npt.NDArray[np.int16],
    outcomes: npt.NDArray[np.int16],
    position: int,
    outcome: int,
    rows: Places,
    worth: Floats,
) -> int:
    """Write the rows that gain or lose where a rule with the outcome holds them in a position of a list, and how much.

    ``decided`` (n,) is the place of the rule that decides each row, ``outcomes`` are those of the rules and, last, of
    the default. Returns how many there are.
    """
    many = 0
    for row in range(len(answers)):
        sign = int(answers[row] == outcome) - int(answers[row] == outcomes[decided[row]])
        sign *= int(decided[row] >= position)
        # Written in any case and kept where it counts: a jump for each row would cost more.
        rows[many], worth[many] = row, sign * weights[row]
        many += int(sign != 0)
    return many


@compiled(types.void(_table, _b1[::1], _i8[::1], _count, _i8))
def begin(table: Table, allowed: Flags, costs: Places, count: Count, number: int) -> None:
    """Count the conditions of a rule of which nothing is remembered; no row is worth anything yet."""
    rows = np.arange(len(table.cells))
    count.signs[number], count.failing[number], count.where[number] = 0, 0, 0
    count.gains[number], count.now[number] = 0.0, 0.0
    for place in range(len(costs)):
        if costs[place]:
            mark(table, rows, allowed, place, 1, count.failing[number], count.where[number])


@compiled(_i8[::1](_bytes, _bytes))
def differing(some: npt.NDArray[np.int8], others: npt.NDArray[np.int8]) -> Places:
    """The places where two arrays differ, most of which are the same."""
    places, many, whole = np.empty(len(some), np.int64), 0, len(some) // BLOCK
    for block in range(whole):
        one, other, apart = some[block * BLOCK : (block + 1) * BLOCK], others[block * BLOCK : (block + 1) * BLOCK], 0
        # Without a jump, and of a known length: the processor does many at a time.
        for place in range(BLOCK):
            apart |= one[place] ^ other[place]
        if apart:
            for place in range(BLOCK):
                places[many] = block * BLOCK + place
                many += int(one[place] != other[place])
    for place in range(whole * BLOCK, len(some)):
        places[many] = place
        many += int(some[place] != others[place])
    return places[:many]


@compiled(_b1(_table, _shorts, _f8[::1], types.int16, _shorts, _bytes, _count, _i8, _bytes))
def reweigh(
    table: Table,
    answers: npt.NDArray[np.int16],
    weights: Floats,
    outcome: np.int16,
    other: npt.NDArray[np.int16],
    is_open: npt.NDArray[np.int8],
    count: Count,
    number: int,
    signs: npt.NDArray[np.int8],
) -> bool:
    """Count the rows that a rule gains or loses otherwise than before; return whether there is none.

    ``other`` is what the rest of the list answers; ``is_open`` (n,) is 1 where no rule ahead holds the row; ``signs``
    (n,) is room to write in.
    """
    known = count.signs[number]
    for row in range(len(answers)):
        signs[row] = is_open[row] * (np.int8(answers[row] == outcome) - np.int8(answers[row] == other[row]))
    rows = differing(signs, known)
    many, change = len(rows), np.empty(len(rows))
    for place in range(many):
        change[place] = (signs[rows[place]] - known[rows[place]]) * weights[rows[place]]
    known[:] = signs
    count.now[number] += credit_rows(
        table, rows, change, count.failing[number], count.where[number], count.gains[number]
    )
    return many == 0


@compiled(types.void(_shorts, _i8, _shorts, _shorts))
def answered(
    failing: npt.NDArray[np.int16], outcome: int, below: npt.NDArray[np.int16], into: npt.NDArray[np.int16]
) -> None:
    """Write what a list answers that begins with a rule: its outcome where it fails nothing, else what is below."""
    for row in range(len(failing)):
        into[row] = outcome if failing[row] == 0 else below[row]


@compiled(
    types.Tuple((_b1, _i8))(
        _table, _shorts, _f8[::1], _b1[:, ::1], _i8[:, ::1], _i8[::1], _i8, _f8, _i8, _count, _u1[::1], _shorts
    )
)  # fmt: skip
def sweep(
    table: Table,
    answers: npt.NDArray[np.int16],
    weights: Floats,
    allowed: npt.NDArray[np.bool_],
    costs: npt.NDArray[np.int64],
    outcomes: Places,
    default: int,
    price: float,
    most: int,
    count: Count,
    fates: npt.NDArray[np.uint8],
    decided: npt.NDArray[np.int16],
) -> tuple[bool, int]:
    """Better every rule of a list in turn: `ruleedit.surrogate.lists.sweep`; ``weights`` are whole numbers.

    Writes to ``decided`` (n,) the place of the rule, of those that stay, that decides each row then. Returns
    whether anything changed, and the place of the rule that became the default, or -1.
    """
    rules, size = count.signs.shape
    below = np.full((rules, size), default, np.int16)
    for number in range(rules - 1, -1, -1):
        if not count.known[number]:
            begin(table, allowed[number], costs[number], count, number)
        if number:
            answered(count.failing[number], outcomes[number], below[number], below[number - 1])
    is_open, rows, kept = np.ones(size, np.int8), np.arange(size), 0
    signs, spent, changed, last = np.empty(size, np.int8), costs.sum(), False, -1
    fates[:], decided[:] = GONE, 0
    for number in range(rules):
        before, settled, failing = costs[number].sum(), count.settled[number], count.failing[number]
        room = most - spent + before
        same = reweigh(
            table, answers, weights, np.int16(outcomes[number]), below[number], is_open, count, number, signs
        )  # fmt: skip
        fates[number] = KEPT
        if not (same and settled[0] == price and settled[1] >= room):
            count.now[number], changes = refine(
                table, rows, signs * weights, allowed[number], costs[number], price, room,
                failing, count.where[number], count.gains[number], count.now[number], True,
            )  # fmt: skip
            settled[0], settled[1] = price, room
            if changes:
                changed, fates[number] = True, CHANGED
        cost = costs[number].sum()
        spent += cost - before
        if cost == 0:
            # It answers for every row that is left: that is what a default does.
            changed, last = True, number
            break
        if count.now[number] - price * cost <= 0.0:
            changed, fates[number] = True, GONE
            spent -= cost
            continue
        kept += 1
        for row in range(size):
            is_open[row] &= np.int8(failing[row] != 0)
            # Of a row that stays open the rules are counted that don't hold it.
            decided[row] += is_open[row]
    return changed, last


@compiled(_f8[:, :, ::1](_i8[::1], types.int32[::1], _shorts, _shorts, _f8[::1], _i8[::1], _i8))
def tally(
    heads: Places,
    rows: npt.NDArray[np.int32],
    decided: npt.NDArray[np.int16],
    answers: npt.NDArray[np.int16],
    weights: Floats,
    outcomes: Places,
    classes: int,
) -> npt.NDArray[np.float64]:
    """What a conjunction would gain as a rule ahead of each one of a list, with each class.

    The rows of conjunction m are ``rows[heads[m]:heads[m + 1]]``; ``decided`` (n,) is the place of the rule that
    decides each row, ``outcomes`` are those of the rules and, last, of the default. A row that no rule ahead holds is
    answered the same from there on, so one look at each row says it for all places. Shape (conjunctions, places,
    classes).
    """
    places = len(outcomes)
    values = np.zeros((len(heads) - 1, places, classes))
    right = np.empty(places)
    for member in range(len(heads) - 1):
        right[:] = 0.0
        mine = values[member]
        for row in rows[heads[member] : heads[member + 1]]:
            place = decided[row]
            if answers[row] == outcomes[place]:
                right[place] += weights[row]
            else:
                mine[place, answers[row]] += weights[row]
        for place in range(places - 1, -1, -1):
            for outcome in range(classes):
                if outcome != outcomes[place]:
                    mine[place, outcome] -= right[place]
                if place < places - 1:
                    mine[place, outcome] += mine[place + 1, outcome]
    return values
