"""Ordered rules under a budget of clauses: a local search on bins.

What one rule's condition on one feature is worth can be read off exactly, everything else held
still: among the rows that reach the rule and satisfy its other conditions, each bin gains the rows
that the rule answers as the model does and loses those that the rules behind it would have. So one
count over the rows that fail at most one condition says, for every feature at once, what the best
threshold, interval or set of categories would gain. A rule takes the best change, again and again,
weighing gain against a price per clause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import is_
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ruleedit.matching import Indices, Mask
from ruleedit.regions import Box
from ruleedit.surrogate import kernel
from ruleedit.surrogate.binarise import Allowed, Bins, Floats
from ruleedit.surrogate.binned import Answers, Binned
from ruleedit.surrogate.kernel import Count

#: A conjunction: by the place of the feature's bins, the allowed bins. Never written to.
Members: TypeAlias = Mapping[int, Allowed]

#: A new rule is grown on at most so many of the rows that it could win or lose.
GROW_ROWS = 4_000
#: A new rule grows with right rows weighing more at first, or not: wide conditions come before narrow ones.
LADDER = np.array([9.0, 3.0, 1.0])


@dataclass
class Flat:
    """A rule as the compiled functions take it, of the conditions ``sets``: see `ruleedit.surrogate.kernel`.

    ``allowed`` is None until it is asked for.
    """

    bins: Sequence[Bins]
    sets: Members
    costs: npt.NDArray[np.int64]
    allowed: npt.NDArray[np.bool_] | None = None


class Decided(NamedTuple):
    """The place of the rule that decides each of some rows (n,), of a list of rules with these conditions."""

    data: Binned
    sets: list[Members]
    places: Answers


class Settled(NamedTuple):
    """What a sweep remembers of a rule on some rows: its conditions, and its place among the rules of that count."""

    data: Binned
    sets: Members
    counts: Count
    number: int


@dataclass
class Draft:
    """A rule in the making: a class and, by the place of the feature's bins, the allowed bins.

    The conditions are never written to, only replaced, so copies share them.
    """

    outcome: int
    sets: Members = field(default_factory=dict)
    settled: Settled | None = field(default=None, repr=False, compare=False)
    _flat: Flat | None = field(default=None, repr=False, compare=False)

    def copy(self) -> Draft:
        """The same rule, free to change."""
        return Draft(self.outcome, self.sets, self.settled, self._flat)

    def price(self, place: int, bins: Sequence[Bins]) -> int:
        """The clauses of the condition on one feature; 0 where there is none."""
        allowed = self.sets.get(place)
        return 0 if allowed is None else bins[place].cost(allowed)

    def cost(self, bins: Sequence[Bins]) -> int:
        """Its clauses as a person counts them."""
        return int(self.flat(bins).costs.sum())

    def flat(self, bins: Sequence[Bins]) -> Flat:
        """The rule as the compiled functions take it, worked out once for the same conditions."""
        known = self._flat
        if known is None or known.bins is not bins or known.sets is not self.sets:
            known = self._flat = self._flattened(bins)
        return known

    def _flattened(self, bins: Sequence[Bins]) -> Flat:
        costs = np.zeros(len(bins), dtype=np.int64)
        for place in self.sets:
            costs[place] = self.price(place, bins)
        return Flat(bins, self.sets, costs)

    def allowed(self, data: Binned) -> npt.NDArray[np.bool_]:
        """For each bin of all features, one after the other, whether the rule holds it; shape (bins,)."""
        flat = self.flat(data.bins)
        if flat.allowed is None:
            starts = data.table.starts
            flat.allowed = np.ones(int(starts[-1]), dtype=bool)
            for place, inside in flat.sets.items():
                flat.allowed[starts[place] : starts[place + 1]] = inside
        return flat.allowed

    def put(self, allowed: npt.NDArray[np.bool_], costs: npt.NDArray[np.int64], data: Binned) -> None:
        """Take the conditions that the compiled functions made of it."""
        self.sets = folded(allowed, costs, data)
        self._flat = Flat(data.bins, self.sets, costs, allowed)

    def mask(self, data: Binned) -> Mask:
        """The rows that it holds; shape (n,)."""
        is_set = np.zeros(len(data.bins), dtype=bool)
        is_set[list(self.sets)] = True
        mask: Mask = kernel.held(data.table, self.allowed(data), is_set)
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
    decided: Decided | None = field(default=None, repr=False, compare=False)

    def copy(self) -> Draftlist:
        """The same rules, free to change."""
        return Draftlist([rule.copy() for rule in self.rules], self.default, self.decided)

    def cost(self, bins: Sequence[Bins]) -> int:
        """All clauses as a person counts them."""
        return sum(rule.cost(bins) for rule in self.rules)

    def deciding(self, data: Binned) -> Answers:
        """The place of the rule that decides each row, one past the last for the default; shape (n,)."""
        known = self.decided
        if known is None or known.data is not data or not self._has(known.sets):
            places: Answers = kernel.deciding(data.table, *unfolded(self.rules, data))
            known = self.decided = Decided(data, [rule.sets for rule in self.rules], places)
        return known.places

    def _has(self, sets: Sequence[Members]) -> bool:
        """Whether these are the very conditions of the rules, which are never written to."""
        return len(sets) == len(self.rules) and all(map(is_, sets, (rule.sets for rule in self.rules)))

    @property
    def outcomes(self) -> Answers:
        """The classes of the rules and, last, of the default."""
        return np.array([*(rule.outcome for rule in self.rules), self.default], dtype=np.int16)

    def decide(self, data: Binned) -> Answers:
        """The class of each row; shape (n,)."""
        return self.outcomes[self.deciding(data)]

    def hits(self, data: Binned) -> float:
        """The weight of the rows that it answers as the model does."""
        return float(data.weights[self.decide(data) == data.answers].sum())


def unfolded(rules: Sequence[Draft], data: Binned) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """The bins that each rule holds (rules, bins), and whether it has a condition on each feature (rules, features)."""
    allowed = np.empty((len(rules), int(data.table.starts[-1])), dtype=bool)
    is_set = np.zeros((len(rules), len(data.bins)), dtype=bool)
    for number, rule in enumerate(rules):
        allowed[number] = rule.allowed(data)
        for place in rule.sets:
            is_set[number, place] = True
    return allowed, is_set


def masks(rules: Sequence[Draft], data: Binned) -> npt.NDArray[np.bool_]:
    """The rows that each rule holds; shape (rules, n)."""
    found: npt.NDArray[np.bool_] = kernel.all_held(data.table, *unfolded(rules, data))
    return found


def prices(rules: Sequence[Draft], data: Binned) -> npt.NDArray[np.int64]:
    """The clauses of each rule's condition on each feature; shape (rules, features)."""
    return np.array([rule.flat(data.bins).costs for rule in rules], dtype=np.int64).reshape(len(rules), len(data.bins))


def folded(allowed: npt.NDArray[np.bool_], costs: npt.NDArray[np.int64], data: Binned) -> Members:
    """The conditions of one rule, from its bins (bins,) and the clauses on each feature (features,)."""
    starts = data.table.starts.tolist()
    return {place: allowed[starts[place] : starts[place + 1]].copy() for place in np.flatnonzero(costs).tolist()}


def sweep(found: Draftlist, data: Binned, price: float, most: int) -> bool:
    """Better every rule in turn at a price per clause, within ``most`` clauses in all; whether anything changed.

    A rule that isn't worth its clauses goes, one that needs none becomes the default. A change that
    only breaks even is made if it saves a clause. A rule that has been settled for the same worth isn't
    looked at again.
    """
    rules = found.rules
    if not rules:
        return False
    allowed, costs = np.array([rule.allowed(data) for rule in rules]), prices(rules, data)
    count, fates = counted(rules, data), np.zeros(len(rules), dtype=np.uint8)
    decided = np.empty(len(data), dtype=np.int16)
    changed, last = kernel.sweep(
        data.table, data.answers, data.weights, allowed, costs, found.outcomes[:-1].astype(np.int64), found.default,
        price, most, count, fates, decided,
    )  # fmt: skip
    for number, rule in enumerate(rules):
        if fates[number] == kernel.CHANGED:
            rule.put(allowed[number], costs[number], data)
        rule.settled = Settled(data, rule.sets, count, number)
    found.rules = [rule for rule, fate in zip(rules, fates, strict=True) if fate]
    if last >= 0:
        found.rules, found.default = found.rules[:-1], rules[last].outcome
    found.decided = Decided(data, [rule.sets for rule in found.rules], decided)
    return bool(changed)


def counted(rules: Sequence[Draft], data: Binned) -> Count:
    """What is remembered of rules, free to be written to."""
    known = [_remembered(rule, data) for rule in rules]
    first = known[0]
    if first and all(one and one.counts is first.counts and one.number == n for n, one in enumerate(known)):
        count = Count._make(array[: len(rules)].copy() for array in first.counts)
        count.known[:] = True
        return count
    shape = len(rules), len(data)
    count = Count(
        signs=np.empty(shape, np.int8),
        failing=np.empty(shape, np.int16),
        where=np.empty(shape, np.int16),
        gains=np.empty((len(rules), int(data.table.starts[-1]))),
        now=np.empty(len(rules)),
        known=np.zeros(len(rules), bool),
        settled=np.full((len(rules), 2), np.nan),
    )
    for number, one in enumerate(known):
        if one is not None:
            for name, into in count._asdict().items():
                into[number] = getattr(one.counts, name)[one.number]
            count.known[number] = True
    return count


def _remembered(rule: Draft, data: Binned) -> Settled | None:
    """What is remembered of a rule as it stands, on these rows."""
    known = rule.settled
    return known if known is not None and known.data is data and known.sets is rule.sets else None


def better(rule: Draft, data: Binned, rows: Indices, worth: Floats, price: float, most: int) -> float:
    """Take the best change of one condition while there is one; what the rule is worth then, its price taken off.

    ``worth`` says what each of ``rows`` is worth to the rule; within ``most`` clauses.
    """
    allowed, costs = rule.allowed(data).copy(), rule.flat(data.bins).costs.copy()
    value, _ = kernel.better(data.table, rows, worth, allowed, costs, price, most)
    rule.put(allowed, costs, data)
    return float(value) - price * int(costs.sum())


def worth_at(
    data: Binned, decided: Answers, outcomes: Answers, position: int, outcome: int
) -> tuple[Indices, Floats]:  # fmt: skip
    """The rows that a rule with an outcome would gain or lose in a position of a list, and what they are worth.

    ``decided`` (n,) and ``outcomes`` are `Draftlist.deciding` and `Draftlist.outcomes`.
    """
    rows, worth = np.empty(len(data), np.int64), np.empty(len(data))
    many = kernel.weigh(data.answers, data.weights, decided, outcomes, position, outcome, rows, worth)
    return rows[:many], worth[:many]


def grown(outcome: int, data: Binned, rows: Indices, worth: Floats, price: float, room: int) -> tuple[Draft, float]:
    """A rule grown from nothing to rows of this worth, and what it gains at this price."""
    rule = Draft(outcome)
    if not (worth > 0.0).any():
        return rule, 0.0
    allowed, costs = rule.allowed(data).copy(), rule.flat(data.bins).costs.copy()
    value = kernel.grown(data.table, rows, worth, *_thinned(rows, worth), LADDER, price, room, allowed, costs)
    rule.put(allowed, costs, data)
    return rule, float(value)


def _thinned(rows: Indices, worth: Floats) -> tuple[Indices, Floats]:
    """Evenly at most `GROW_ROWS` of the rows, each standing for several; a later sweep looks at all."""
    step = -(-len(rows) // GROW_ROWS)
    return (rows, worth) if step <= 1 else (rows[::step].copy(), worth[::step] * step)
