"""Ordered rules under a budget of clauses: a local search on bins.

What one rule's condition on one feature is worth can be read off exactly, everything else held
still: among the rows that reach the rule and satisfy its other conditions, each bin gains the rows
that the rule answers as the model does and loses those that the rules behind it would have. So one
count over the rows that fail at most one condition says, for every feature at once, what the best
threshold, interval or set of categories would gain. A rule takes the best change, again and again,
weighing gain against a price per clause.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ruleedit.matching import Indices, Mask
from ruleedit.regions import Box
from ruleedit.surrogate.binarise import Allowed, Bins, Floats, Option
from ruleedit.surrogate.binned import Answers, Binned

#: A conjunction: by the place of the feature's bins, the allowed bins.
Members: TypeAlias = dict[int, Allowed]

#: A new rule is grown on at most so many of the rows that it could win or lose.
GROW_ROWS = 4_000
#: A new rule is tried for so many classes, those that the rules miss most often.
MOST_MISSED = 3
#: So many changes of a rule are made one after the other before its neighbours get their turn.
MOST_CHANGES = 12
#: A clause that wins nothing is worth less than none; far below the weight of a row.
LEAST_PRICE = 1e-6
#: A new rule grows with right rows weighing more at first: wide conditions come before narrow ones.
LADDERS = ((1.0,), (3.0, 1.0), (9.0, 3.0, 1.0))


@dataclass
class Draft:
    """A rule in the making: a class and, by the place of the feature's bins, the allowed bins.

    The arrays are never written to, so copies share them and their prices are looked up once.
    """

    outcome: int
    sets: dict[int, Allowed] = field(default_factory=dict)
    _priced: dict[int, tuple[Allowed, int]] = field(default_factory=dict, repr=False, compare=False)
    settled: tuple[Floats, float, int, float] | None = field(default=None, repr=False, compare=False)

    def copy(self) -> Draft:
        """The same rule, free to change."""
        return Draft(self.outcome, dict(self.sets), dict(self._priced), self.settled)

    def price(self, place: int, bins: Sequence[Bins]) -> int:
        """The clauses of the condition on one feature; 0 where there is none."""
        allowed = self.sets.get(place)
        if allowed is None:
            return 0
        known = self._priced.get(place)
        if known is None or known[0] is not allowed:
            known = self._priced[place] = allowed, bins[place].cost(allowed)
        return known[1]

    def cost(self, bins: Sequence[Bins]) -> int:
        """Its clauses as a person counts them."""
        return sum(self.price(place, bins) for place in self.sets)

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

    def hits(self, data: Binned) -> float:
        """The weight of the rows that it answers as the model does."""
        return float(data.weights[self.decide(data) == data.answers].sum())


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
        worth = _worth(data, rule.outcome, other) * open_rows
        value, has_changed = _settle(rule, data, worth, price, most - spent + before)
        changed |= has_changed
        cost = rule.cost(data.bins)
        spent += cost - before
        if not rule.sets:
            # It answers for every row that is left: that is what a default does.
            found.rules, found.default = kept, rule.outcome
            return True
        if value - price * cost <= 0.0:
            changed, spent = True, spent - cost
            continue
        kept.append(rule)
        open_rows &= ~rule.mask(data)
    found.rules = kept
    return changed


def _settle(rule: Draft, data: Binned, worth: Floats, price: float, most: int) -> tuple[float, bool]:
    """Better a rule until nothing changes; what it is worth then, and whether it changed.

    A rule that has been settled for the same worth isn't looked at again.
    """
    known = rule.settled
    if known is not None and known[1] == price and known[2] >= most and np.array_equal(known[0], worth):
        return known[3], False
    fit = Fit.of(rule, data, worth)
    changed = fit.better(price, most)
    value = fit.value
    rule.settled = worth, price, most, value
    return value, changed


def _worth(data: Binned, outcome: int, other: Answers) -> Floats:
    """What each row gains where the outcome takes the other's place: its weight, or less it, or nothing."""
    signs = (data.answers == outcome).astype(np.int8) - (data.answers == other).astype(np.int8)
    worth: Floats = signs * data.weights
    return worth


@dataclass
class Fit:
    """A rule being fitted to what rows are worth: which of them fail how many of its conditions, and which one.

    Rows that gain and lose nothing can't tell conditions apart and are left out. ``where`` is the
    sum of the places of the failing conditions: of a row that fails one, its place.
    """

    rule: Draft
    data: Binned
    rows: Indices
    worth: Floats
    failing: npt.NDArray[np.int16]
    where: npt.NDArray[np.int16]

    @classmethod
    def of(cls, rule: Draft, data: Binned, worth: Floats) -> Fit:
        """For what each row is worth; shape (n,)."""
        rows = worth.nonzero()[0]
        return cls.on(rule, data, rows, worth[rows])

    @classmethod
    def on(cls, rule: Draft, data: Binned, rows: Indices, worth: Floats) -> Fit:
        """For some rows; both arrays have the shape (m,)."""
        fit = cls(rule, data, rows, worth, np.zeros(len(rows), np.int16), np.zeros(len(rows), np.int16))
        for place, allowed in rule.sets.items():
            fit._count(place, allowed, 1)
        return fit

    def _count(self, place: int, allowed: Allowed, sign: int) -> None:
        fails = (~allowed).view(np.int8).take(self.data.columns[place].take(self.rows))
        self.failing += np.int16(sign) * fails
        self.where += np.int16(sign * place) * fails

    @property
    def value(self) -> float:
        """What the rule's rows are worth together."""
        return float(self.worth[self.failing == 0].sum())

    def better(self, price: float, most: int) -> bool:
        """Take the best change of one condition while there is one, within ``most`` clauses; whether there was."""
        changed = False
        for _ in range(MOST_CHANGES):
            found = self._best(price + LEAST_PRICE, most)
            if found is None:
                break
            place, option = found
            self.put(place, None if option.cost == 0 else option.allowed)
            changed = True
        return changed

    def put(self, place: int, allowed: Allowed | None) -> None:
        """Set the condition on a feature, or take it away."""
        before = self.rule.sets.pop(place, None)
        if before is not None:
            self._count(place, before, -1)
        if allowed is not None:
            self.rule.sets[place] = allowed
            self._count(place, allowed, 1)

    def _best(self, price: float, most: int) -> tuple[int, Option] | None:
        """The change that gains most, its price taken off."""
        bins, rule = self.data.bins, self.rule
        gains, now = self._gains()
        costs = {place: rule.price(place, bins) for place in rule.sets}
        room = most - sum(costs.values())
        ceilings = self.data.layout.ceilings(gains, price) - now
        for place, cost in costs.items():
            ceilings[place] += price * cost
        best: tuple[int, Option] | None = None
        score = LEAST_PRICE / 2
        starts = self.data.layout.starts
        while ceilings[place := int(ceilings.argmax())] > score:
            ceilings[place] = -np.inf
            cost = costs.get(place, 0)
            for option in bins[place].options(gains[starts[place] : starts[place + 1]], room + cost):
                rival = option.value - now - price * (option.cost - cost)
                if option.cost <= room + cost and rival > score:
                    best, score = (place, option), rival
        return best

    def _gains(self) -> tuple[Floats, float]:
        """What each bin would gain as the only condition on its feature, and what the rule gains now."""
        inside = (self.failing == 0).nonzero()[0]
        worth = self.worth.take(inside)
        gains = self.data.gains(self.rows.take(inside), worth)
        if self.rule.sets:
            near = (self.failing == 1).nonzero()[0]
            flat = self.rows.take(near) * len(self.data.bins) + self.where.take(near)
            gains += np.bincount(self.data.spread.ravel().take(flat), self.worth.take(near), len(gains))
        return gains, float(worth.sum())


def _most_missed(data: Binned, is_open: Mask, other: Answers) -> list[int]:
    """The few classes that the rules miss most often."""
    wrong = is_open & (data.answers != other)
    missed = np.bincount(data.answers[wrong], data.weights[wrong])
    order = np.argsort(-missed, kind="stable")[:MOST_MISSED]
    return [int(outcome) for outcome in order if missed[outcome]]


def worth_at(found: Draftlist, data: Binned) -> Iterator[tuple[int, int, Floats]]:
    """Each place for a new rule with each likely class, and what the rows are worth there; shape (n,)."""
    for position, is_open, other in _places(found, data):
        for outcome in _most_missed(data, is_open, other):
            yield position, outcome, np.where(is_open, _worth(data, outcome, other), 0.0)


def _places(found: Draftlist, data: Binned) -> Iterator[tuple[int, Mask, Answers]]:
    """Each position in the list, the rows that come so far, and what is answered from there on."""
    every = np.ones(len(data), dtype=bool)
    below = [found.decide(data), *decided_below(found, data)] if found.rules else [found.decide(data)]
    for position, other in enumerate(below):
        yield position, every, other
        if position < len(found.rules):
            every = every & ~found.rules[position].mask(data)


def grown(outcome: int, data: Binned, worth: Floats, price: float, room: int) -> tuple[Draft, float]:
    """A rule grown from nothing to rows of this worth (n,), and what it gains at this price."""
    best, value = Draft(outcome), 0.0
    rows = np.flatnonzero(worth)
    if not (worth[rows] > 0.0).any():
        return best, value
    few, their = _thinned(rows, worth[rows])
    for ladder in LADDERS:
        rule = Draft(outcome)
        for weight in ladder:
            Fit.on(rule, data, few, np.where(their > 0.0, weight * their, their)).better(price, room)
        rival = Fit.on(rule, data, rows, worth[rows]).value - price * rule.cost(data.bins)
        if rule.sets and rival > value + LEAST_PRICE:
            best, value = rule, rival
    return best, value


def _thinned(rows: Indices, worth: Floats) -> tuple[Indices, Floats]:
    """Evenly at most `GROW_ROWS` of the rows, each standing for several; a later sweep looks at all."""
    step = -(-len(rows) // GROW_ROWS)
    return (rows, worth) if step <= 1 else (rows[::step], worth[::step] * step)
