"""Ordered rules under a budget of clauses: a local search on bins.

What one rule's condition on one feature is worth can be read off exactly, everything else held
still: among the rows that reach the rule and satisfy its other conditions, each bin gains the rows
that the rule answers as the model does and loses those that the rules behind it would have. So the
best threshold, interval or set of categories of each cost comes from one count per bin. The
search goes over all conditions, weighing gain against a price per clause, and raises the price until
the budget holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ruleedit.matching import Indices, Mask, Matrix
from ruleedit.regions import Box
from ruleedit.surrogate.binarise import Allowed, Bins, Floats, Option

Answers = npt.NDArray[np.int16]

#: A new rule is grown on at most so many of the rows that it could win or lose.
GROW_ROWS = 4_000
#: A new rule is tried for so many classes, those that the rules miss most often.
MOST_MISSED = 3
#: A new rule grows with right rows weighing more at first: wide conditions come before narrow ones.
LADDERS = ((1.0,), (3.0, 1.0), (9.0, 3.0, 1.0))


@dataclass(frozen=True, eq=False)
class Binned:
    """Rows as bins, with the model's answers: ``codes`` has the shape (n, features)."""

    bins: Sequence[Bins]
    codes: Indices
    answers: Answers

    @classmethod
    def of(cls, bins: Sequence[Bins], rows: Matrix, answers: Indices) -> Binned:
        """Bin encoded rows."""
        codes = np.empty((len(rows), len(bins)), dtype=np.intp)
        for place, each in enumerate(bins):
            codes[:, place] = each.codes(rows[:, each.place])
        return cls(bins, codes, answers.astype(np.int16))

    def __len__(self) -> int:
        return len(self.answers)

    def take(self, rows: Indices) -> Binned:
        """Only these rows."""
        return Binned(self.bins, self.codes[rows], self.answers[rows])

    @cached_property
    def columns(self) -> list[Indices]:
        """The codes of each feature, next to each other in memory; arrays of shape (n,)."""
        return [np.ascontiguousarray(column) for column in self.codes.T]

    @cached_property
    def starts(self) -> Indices:
        """Where each feature's bins begin when all features' bins stand in one row."""
        sizes = [each.size for each in self.bins]
        return np.concatenate(([0], np.cumsum(sizes))).astype(np.intp)

    @cached_property
    def spread(self) -> Indices:
        """The codes counted through all features; shape (n, features)."""
        return self.codes + self.starts[:-1]

    def gains(self, rows: Indices, worth: Floats) -> Floats:
        """What each bin of every feature gains, the features one after the other."""
        block = self.spread[rows]
        gains: Floats = np.bincount(block.ravel(), np.repeat(worth, block.shape[1]), int(self.starts[-1])).astype(float)
        return gains


@dataclass
class Draft:
    """A rule in the making: a class and, by the place of the feature's bins, the allowed bins."""

    outcome: int
    sets: dict[int, Allowed] = field(default_factory=dict)

    def copy(self) -> Draft:
        """The same rule, free to change."""
        return Draft(self.outcome, dict(self.sets))

    def cost(self, bins: Sequence[Bins]) -> int:
        """Its clauses as a person counts them."""
        return sum(bins[place].cost(allowed) for place, allowed in self.sets.items())

    def mask(self, data: Binned) -> Mask:
        """The rows that it holds; shape (n,)."""
        mask = np.ones(len(data), dtype=bool)
        for place, allowed in self.sets.items():
            mask &= allowed.take(data.columns[place])
        return mask

    @classmethod
    def of(cls, box: Box, outcome: int, bins: Sequence[Bins]) -> Draft | None:
        """A rule from its region; None where bins can't say it."""
        places = {each.feature.name: place for place, each in enumerate(bins)}
        if box.is_empty or not box.sets or not all(name in places for name, _ in box.sets):
            return None
        found = cls(outcome, {places[name]: bins[places[name]].allowed(values) for name, values in box.sets})
        return found if found.box(bins) == box else None

    def box(self, bins: Sequence[Bins]) -> Box:
        """The rule's region."""
        return Box.of({bins[place].feature.name: bins[place].values(allowed) for place, allowed in self.sets.items()})


@dataclass
class Draftlist:
    """Rules in order with a default class."""

    rules: list[Draft]
    default: int

    def copy(self) -> Draftlist:
        """The same rules, free to change."""
        return Draftlist([rule.copy() for rule in self.rules], self.default)

    def cost(self, bins: Sequence[Bins]) -> int:
        """All clauses as a person counts them."""
        return sum(rule.cost(bins) for rule in self.rules)

    def decide(self, data: Binned) -> Answers:
        """The class of each row; shape (n,)."""
        decided = np.full(len(data), self.default, dtype=np.int16)
        for rule in reversed(self.rules):
            decided[rule.mask(data)] = rule.outcome
        return decided

    def hits(self, data: Binned) -> int:
        """The rows that it answers as the model does."""
        return int((self.decide(data) == data.answers).sum())


def decided_below(found: Draftlist, data: Binned) -> list[Answers]:
    """For each rule what the rules behind it and the default answer; arrays of shape (n,)."""
    below = [np.full(len(data), found.default, dtype=np.int16)]
    for rule in reversed(found.rules[1:]):
        below.append(np.where(rule.mask(data), np.int16(rule.outcome), below[-1]))
    return below[::-1]


def sweep(found: Draftlist, data: Binned, price: float, most: int) -> bool:
    """Better every rule in turn at a price per clause, within ``most`` clauses in all; whether anything changed.

    A rule that isn't worth its clauses goes, one that needs none becomes the default. A change that
    only breaks even is made if it saves a clause.
    """
    if not found.rules:
        return False
    below = decided_below(found, data)
    open_rows = np.ones(len(data), dtype=bool)
    spent = found.cost(data.bins)
    kept: list[Draft] = []
    changed = False
    for rule, other in zip(found.rules, below, strict=True):
        before = rule.cost(data.bins)
        reached = np.flatnonzero(open_rows)
        gains = _gains(data.answers[reached], rule.outcome, other[reached])
        changed |= refit(rule, data, reached, gains, price, most - spent + before)
        spent += rule.cost(data.bins) - before
        if not rule.sets:
            # It answers for every row that is left: that is what a default does.
            found.rules, found.default = kept, rule.outcome
            return True
        mask = rule.mask(data)
        worth = float(gains[mask[reached]].sum()) - price * rule.cost(data.bins)
        if worth <= 0.0:
            changed, spent = True, spent - rule.cost(data.bins)
            continue
        kept.append(rule)
        open_rows &= ~mask
    found.rules = kept
    return changed


def _gains(answers: Answers, outcome: int, other: Answers | int) -> npt.NDArray[np.int8]:
    """Per row 1 where the rule is right and the others aren't, -1 the other way round, else 0."""
    gains: npt.NDArray[np.int8] = (answers == outcome).astype(np.int8) - (answers == other).astype(np.int8)
    return gains


def refit(rule: Draft, data: Binned, reached: Indices, gains: npt.NDArray[np.int8], price: float, most: int) -> bool:
    """Set the rule's conditions to the best at this price, then add to them; whether it changed."""
    # Rows that gain and lose nothing can't tell conditions apart.
    telling = np.flatnonzero(gains)
    rows, worth = reached[telling], gains[telling].astype(float)
    truths = {place: allowed.take(data.columns[place][rows]) for place, allowed in rule.sets.items()}
    failing = np.zeros(len(rows), dtype=np.int16)
    for truth in truths.values():
        failing += ~truth
    changed = False
    for place in list(rule.sets):
        own = ~truths[place]
        inside = np.flatnonzero(failing - own == 0)
        room = most - rule.cost(data.bins) + data.bins[place].cost(rule.sets[place])
        best = _choose(data, place, rows[inside], worth[inside], rule.sets[place], price, room)
        if best is None:
            continue
        changed = True
        failing -= own
        _put(rule, place, best, data.bins[place])
        if place in rule.sets:
            truths[place] = rule.sets[place].take(data.columns[place][rows])
            failing += ~truths[place]
    inside = np.flatnonzero(failing == 0)
    return extend(rule, data, rows[inside], worth[inside], price, most) or changed


def _put(rule: Draft, place: int, option: Option, bins: Bins) -> None:
    if bins.cost(option.allowed) == 0:
        rule.sets.pop(place, None)
    else:
        rule.sets[place] = option.allowed


def _choose(
    data: Binned, place: int, rows: Indices, worth: Floats, now: Allowed, price: float, most: int
) -> Option | None:
    """The best condition on a feature, or None where the one there is as good."""
    bins = data.bins[place]
    gains: Floats = np.bincount(data.columns[place][rows], weights=worth, minlength=bins.size).astype(float)
    cost = bins.cost(now)
    score = (float(gains[now].sum()) - price * cost, -cost)
    best: Option | None = None
    if float(np.maximum(gains, 0.0).sum()) - price < score[0] - 1e-9 and float(gains.sum()) < score[0] - 1e-9:
        return None
    for option in bins.options(gains, most):
        rival = (option.value - price * option.cost, -option.cost)
        if option.cost <= most and (rival[0] > score[0] + 1e-9 or (rival[0] > score[0] - 1e-9 and rival[1] > score[1])):
            best, score = option, rival
    return best


def extend(rule: Draft, data: Binned, rows: Indices, worth: Floats, price: float, most: int) -> bool:
    """Add the conditions that are worth their price, the best first; whether one was added.

    ``rows`` are those that reach the rule and satisfy it, ``worth`` what each gains.
    """
    changed = False
    room = most - rule.cost(data.bins)
    while room > 0 and (worth < 0.0).any():
        found = _best_new(rule, data, rows, worth, price, room)
        if found is None:
            break
        place, option = found
        rule.sets[place] = option.allowed
        room -= option.cost
        inside = option.allowed.take(data.columns[place][rows])
        rows, worth, changed = rows[inside], worth[inside], True
    return changed


def _best_new(
    rule: Draft, data: Binned, rows: Indices, worth: Floats, price: float, room: int
) -> tuple[int, Option] | None:
    best: tuple[int, Option] | None = None
    score = float(worth.sum()) + 1e-9
    gains = data.gains(rows, worth)
    ceilings = np.add.reduceat(np.maximum(gains, 0.0), data.starts[:-1]) - price
    for place in np.argsort(-ceilings, kind="stable").tolist():
        if ceilings[place] <= score:
            break
        if place in rule.sets:
            continue
        for option in data.bins[place].options(gains[data.starts[place] : data.starts[place + 1]], room):
            rival = option.value - price * option.cost
            if 0 < option.cost <= room and rival > score:
                best, score = (place, option), rival
    return best


def insert(found: Draftlist, data: Binned, price: float, most: int) -> bool:
    """Add the one new rule that is worth most, first or last in the list; whether one was worth its clauses."""
    room = most - found.cost(data.bins)
    if room < 1:
        return False
    best: tuple[float, int, Draft] | None = None
    for position, rows, other in _places(found, data):
        for outcome in _most_missed(data.answers[rows], other):
            gains = _gains(data.answers[rows], outcome, other)
            rule, value = _grown(outcome, data, rows, gains, price, room)
            if value > (best[0] if best else 0.0) + 1e-9:
                best = value, position, rule
    if best is None:
        return False
    found.rules.insert(best[1], best[2])
    return True


def _most_missed(answers: Answers, other: Answers) -> list[int]:
    """The few classes that the rules miss most often."""
    missed = np.bincount(answers[answers != other])
    order = np.argsort(-missed, kind="stable")[:MOST_MISSED]
    return [int(outcome) for outcome in order if missed[outcome]]


def _places(found: Draftlist, data: Binned) -> Iterator[tuple[int, Indices, Answers]]:
    decided = found.decide(data)
    yield 0, np.arange(len(data)), decided
    if found.rules:
        left = np.ones(len(data), dtype=bool)
        for rule in found.rules:
            left &= ~rule.mask(data)
        rows = np.flatnonzero(left)
        yield len(found.rules), rows, decided[rows]


def _grown(
    outcome: int, data: Binned, rows: Indices, gains: npt.NDArray[np.int8], price: float, room: int
) -> tuple[Draft, float]:
    """A rule grown from nothing, and what it is worth at this price."""
    telling = np.flatnonzero(gains)
    rows, worth = rows[telling], gains[telling].astype(float)
    best, value = Draft(outcome), 0.0
    if not (worth > 0.0).any():
        return best, value
    few, their = _thinned(rows, worth)
    for ladder in LADDERS:
        rule, inside = Draft(outcome), np.arange(len(few))
        for weight in ladder:
            weighted = np.where(their > 0.0, weight * their, their)
            extend(rule, data, few[inside], weighted[inside], price, room)
            inside = np.flatnonzero(_satisfies(rule, data, few))
        rival = float(worth[_satisfies(rule, data, rows)].sum()) - price * rule.cost(data.bins)
        if rule.sets and rival > value + 1e-9:
            best, value = rule, rival
    return best, value


def _thinned(rows: Indices, worth: Floats) -> tuple[Indices, Floats]:
    """Evenly at most `GROW_ROWS` of the rows, each standing for several; a later sweep looks at all."""
    step = -(-len(rows) // GROW_ROWS)
    return (rows, worth) if step <= 1 else (rows[::step], worth[::step] * step)


def _satisfies(rule: Draft, data: Binned, rows: Indices) -> Mask:
    inside = np.ones(len(rows), dtype=bool)
    for place, allowed in rule.sets.items():
        inside &= allowed.take(data.columns[place][rows])
    return inside
