"""What the compiled functions do, in plain numpy and Python, as they are described: slow, and easy to check by eye."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ruleedit.matching import Indices, Mask
from ruleedit.surrogate.binarise import Allowed, Floats
from ruleedit.surrogate.binned import Answers, Binned
from ruleedit.surrogate.kernel import LEAST_PRICE, MOST_CHANGES
from ruleedit.surrogate.lists import Draft, Draftlist


def mask(rule: Draft, data: Binned) -> Mask:
    """The rows that satisfy every condition."""
    found = np.ones(len(data), dtype=bool)
    for place, allowed in rule.sets.items():
        found &= allowed[data.columns[place]]
    return found


def decided_below(found: Draftlist, data: Binned) -> list[Answers]:
    """For each rule what the rules behind it and the default answer."""
    below = [np.full(len(data), found.default, dtype=np.int16)]
    for rule in reversed(found.rules[1:]):
        below.append(np.where(mask(rule, data), np.int16(rule.outcome), below[-1]))
    return below[::-1][: len(found.rules)]


def worth_of(data: Binned, outcome: int, other: Answers, is_open: Mask) -> Floats:
    """What each row gains where the outcome takes the other's place; shape (n,)."""
    signs = (data.answers == outcome).astype(int) - (data.answers == other).astype(int)
    return np.where(is_open, signs * data.weights, 0.0)


@dataclass
class Fit:
    """A rule being fitted: which rows fail how many of its conditions."""

    rule: Draft
    data: Binned
    rows: Indices
    worth: Floats
    gains: Floats = field(init=False)

    def failing(self) -> np.ndarray:
        """Per feature and row, whether the row fails the condition there; shape (features, m)."""
        fails = np.zeros((len(self.data.bins), len(self.rows)), dtype=bool)
        for place, allowed in self.rule.sets.items():
            fails[place] = ~allowed[self.data.columns[place][self.rows]]
        return fails

    def gained(self) -> float:
        """Count what each bin would gain, row by row, and return what the rule gains now."""
        starts, fails, now = self.data.table.starts, self.failing(), 0.0
        bins: list[int] = []
        values: list[float] = []
        for number, row in enumerate(self.rows.tolist()):
            failed = np.flatnonzero(fails[:, number]).tolist()
            touched = range(len(self.data.bins)) if not failed else failed if len(failed) == 1 else []
            bins += [int(starts[place]) + int(self.data.columns[place][row]) for place in touched]
            values += [float(self.worth[number])] * len(touched)
            now += 0.0 if failed else float(self.worth[number])
        self.gains = np.bincount(np.array(bins, dtype=int), np.array(values), int(starts[-1])).astype(float)
        return now

    def best(self, price: float, most: int) -> tuple[int, Allowed | None] | None:
        """The feature and condition that gain most, the earlier of equal ones; None where nothing gains."""
        now = self.gained()
        starts, bins = self.data.table.starts, self.data.bins
        costs = {place: self.rule.price(place, bins) for place in self.rule.sets}
        found, score = None, LEAST_PRICE / 2
        for place, each in enumerate(bins):
            here, cost = self.gains[starts[place] : starts[place + 1]], costs.get(place, 0)
            room = most - sum(costs.values()) + cost
            for option in each.options(here, room):
                rival = option.value - (now - price * cost) - price * option.cost
                if option.cost <= room and rival > score:
                    found, score = (place, option.allowed if option.cost else None), rival
        return found

    def better(self, price: float, most: int) -> float:
        """Take the best change while there is one; what the rule gains then."""
        for _ in range(MOST_CHANGES):
            found = self.best(price + LEAST_PRICE, most)
            if found is None:
                break
            place, allowed = found
            others = {other: known for other, known in self.rule.sets.items() if other != place}
            self.rule.sets = others if allowed is None else {**others, place: allowed}
        return self.gained()


def sweep(found: Draftlist, data: Binned, price: float, most: int) -> None:
    """Better every rule in turn, and drop what isn't worth its clauses."""
    below, is_open = decided_below(found, data), np.ones(len(data), dtype=bool)
    spent, kept = found.cost(data.bins), []
    for rule, other in zip(found.rules, below, strict=True):
        before = rule.cost(data.bins)
        worth = worth_of(data, rule.outcome, other, is_open)
        rows = np.flatnonzero(worth)
        value = Fit(rule, data, rows, worth[rows]).better(price, most - spent + before)
        cost = rule.cost(data.bins)
        spent += cost - before
        if not rule.sets:
            found.rules, found.default = kept, rule.outcome
            return
        if value - price * cost <= 0.0:
            spent -= cost
            continue
        kept.append(rule)
        is_open &= ~mask(rule, data)
    found.rules = kept
