"""How much better rules could be: what is proved, and what isn't.

Two things are said of the rows that were searched, never of others.

The *floor* holds for any rules whatever on these cuts, in any order, of any length and of any number of
classes: rows alike in every bin get one answer, so all but the commonest of the model's answers among them
are lost. It is there for every table. The *ceiling* is the same as a share of the rows that can be right.

The *loss* is the bound of the linear program. It is about the program's own rule sets: rules of
one class in no order, within the clause budget, the other class elsewhere; a row of the class that they
leave out counts once, another row once for each rule that holds it. Prices from a restricted
program bound nothing by themselves, as a rule outside it may be worth more. So all rules are gone
through, by branch and bound, for the greatest worth per clause ``q``: with ``q`` as the price of a
clause the dual is feasible, and ``sum m - q C`` is below the loss of every such rule set. The branch
that could hold most comes first (`ruleedit.surrogate.branching` says how much that is). Where the search
for ``q`` isn't finished, what its open branches could still hold takes its place, which makes the bound
weaker, never wrong. Where a list was seen that loses no row no search is needed: nothing loses less.

An ordered list may pass this bound: an exception in front of a rule says what no rules without
order can in as many clauses. For lists only the floor holds.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from ruleedit.matching import Indices
from ruleedit.surrogate.binarise import Allowed, Bins, Floats, NumberBins
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.branching import Conditions, branch, inside
from ruleedit.surrogate.columns import Columns
from ruleedit.surrogate.lists import Draft, Members

#: The most conditions of all features, and named values of one; above, the branches are too many to go through.
MOST_CONDITIONS, MOST_NAMED = 12_000, 8
#: The most branches that one pricing looks at.
MOST_BRANCHES = 7_000
#: Rounds of pricing and adding what it found.
ROUNDS = 2


@dataclass(frozen=True)
class Bound:
    """What is proved about the rows that were searched.

    Of ``rows`` rows any rules on these cuts lose ``floor`` at least, and the list that was found loses ``lost``;
    what lies ``above_floor`` is for want of clauses or of a better search, what lies below for want of cuts.
    ``loss`` is below what any unordered rules for ``outcome`` within ``clauses`` lose, ``found`` the least that
    such rules were seen to lose; both None where no bound is proved, and ``reason`` says why. Where a list within
    the clauses was seen to lose no row both are 0, whatever the outcome.
    """

    floor: float
    lost: float
    rows: int
    clauses: int
    outcome: str | None = None
    loss: float | None = None
    found: float | None = None
    reason: str | None = None

    @property
    def ceiling(self) -> float:
        """The share of the rows that any rules on these cuts can answer right at most."""
        return (self.rows - self.floor) / self.rows

    @property
    def above_floor(self) -> float:
        """How many rows the list that was found loses more than any rules on these cuts must."""
        return self.lost - self.floor

    @property
    def gap(self) -> float | None:
        """How many rows lie between the bound and the best that was seen."""
        return None if self.loss is None or self.found is None else self.found - self.loss

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "ceiling": self.ceiling,
            "floor": self.floor,
            "lost": self.lost,
            "above_floor": self.above_floor,
            "rows": self.rows,
            "clauses": self.clauses,
            "outcome": self.outcome,
            "loss": self.loss,
            "found": self.found,
            "gap": self.gap,
            "reason": self.reason,
        }


def proved(columns: Columns, budget: int) -> tuple[float, float] | None:
    """The bound on the loss and the least loss seen, in rows; None where nothing better than 0 is proved."""
    conditions = conditions_of(columns.data.bins) if columns.drafts else None
    if conditions is None:
        return None
    best = 0.0
    for _ in range(ROUNDS):
        duals = columns.master.solve(budget)
        gained = float(np.maximum(duals.worth, 0.0).sum())
        pricing = Pricing(columns.data, duals.worth, conditions, budget, duals.price)
        best = max(best, gained - budget * pricing.dearest())
        if pricing.found is None or not columns.add([Draft(columns.outcome, pricing.found)]):
            break
    least = _least_loss(columns, budget)
    return (best, least) if best > 0.0 or least == 0.0 else None


def _least_loss(columns: Columns, budget: int) -> float:
    """The loss of rules picked one by one, each time those that save most per clause."""
    data = columns.data
    inside = data.answers == columns.outcome
    masks = np.stack([draft.mask(data) for draft in columns.drafts]).astype(float)
    costs = np.array([draft.cost(data.bins) for draft in columns.drafts], dtype=float)
    wrong = masks @ np.where(inside, 0.0, data.weights)
    left = np.where(inside, data.weights, 0.0)
    loss, room = float(left.sum()), float(budget)
    while True:
        saved = np.where(costs <= room, masks @ left - wrong, -np.inf)
        pick = int((saved / costs).argmax())
        if saved[pick] <= 0.0:
            return loss
        loss, room = loss - float(saved[pick]), room - costs[pick]
        left = left * (1.0 - masks[pick])


def conditions_of(bins: Sequence[Bins]) -> Conditions | None:
    """Every condition that a clause can say; None where they are too many."""
    if any(not isinstance(each, NumberBins) and len(each.named) > MOST_NAMED for each in bins):
        return None
    if sum(each.size**2 // 2 for each in bins if isinstance(each, NumberBins)) > MOST_CONDITIONS:
        return None
    listed = [list(_sayable(each)) for each in bins]
    flat = [one for each in listed for one in each]
    if not flat:
        return None
    lows, highs, masks, costs = (np.array(part) for part in zip(*flat, strict=True))
    return Conditions(
        heads=np.cumsum([0, *map(len, listed)]).astype(np.int64),
        lows=lows.astype(np.int64),
        highs=highs.astype(np.int64),
        masks=masks.astype(np.uint64),
        costs=costs.astype(np.int64),
        sizes=np.array([each.size for each in bins], dtype=np.int64),
    )


def _sayable(bins: Bins) -> Iterator[tuple[int, int, int, int]]:
    """The conditions on a feature: the first and last bin, or a set of bins as bits, and the clauses."""
    last = bins.size - 1
    number = np.arange(bins.size)
    if bins.has_missing:
        yield last, last, 0, 1
        yield 0, last - 1, 0, 1
    if isinstance(bins, NumberBins):
        for low in range(last):
            for high in range(low, last):
                if (low, high) != (0, last - 1):
                    yield low, high, 0, bins.interval_cost(low, high)
        return
    for count in range(1, len(bins.named) + 1):
        for members in combinations(range(len(bins.named)), count):
            picked = np.isin(number, members)
            for allowed in (picked, ~picked & (number < last)):
                cost = bins.cost(allowed)
                if cost and allowed.any():
                    yield 0, 0, int((1 << number[allowed]).sum()), cost


@dataclass(frozen=True, eq=False)
class Branch:
    """A conjunction: the rows that it holds, its conditions by feature and number, its clauses, its children in order.

    ``hopes`` say at most what each of ``children`` could become worth a clause, descending.
    """

    rows: Indices
    picked: tuple[tuple[int, int], ...]
    spent: int
    children: Indices
    hopes: Floats


@dataclass
class Pricing:
    """Branch and bound for the conjunction that is worth most per clause, the most hopeful branch first."""

    data: Binned
    worth: Floats
    conditions: Conditions
    budget: int
    price: float
    found: Members | None = None
    branches: int = 0
    best: float = 0.0
    _open: list[tuple[float, int, int, Branch]] = field(default_factory=list, repr=False)
    _ticks: int = 0

    def dearest(self) -> float:
        """At least the greatest worth per clause; exactly that, or the price, where all branches were seen."""
        self.best = self.price * (1.0 + 1e-9) + 1e-9
        self._look(np.flatnonzero(self.worth), (), 0)
        while self._open and -self._open[0][0] > self.best and self.branches < MOST_BRANCHES:
            _, _, child, parent = heapq.heappop(self._open)
            self._wait(parent, child + 1)
            number = int(parent.children[child])
            place = int(np.searchsorted(self.conditions.heads, number, side="right")) - 1
            rows = inside(self.conditions, self.data.table.columns, parent.rows, place, number)
            self._look(rows, (*parent.picked, (place, number)), parent.spent + int(self.conditions.costs[number]))
        return max(self.best, -self._open[0][0] if self._open else 0.0)

    def _look(self, rows: Indices, picked: tuple[tuple[int, int], ...], spent: int) -> None:
        """Count what the children of a conjunction are worth, and let those wait that could become worth more."""
        first = picked[-1][0] + 1 if picked else 0
        self.branches += 1
        ratios, hopes = np.empty(len(self.conditions.costs)), np.empty(len(self.conditions.costs))
        table = self.data.table
        branch(self.conditions, table.columns, rows, self.worth, first, spent, self.budget, self.best, ratios, hopes)
        top = int(ratios.argmax())
        if ratios[top] > self.best:
            self.best = float(ratios[top])
            place = int(np.searchsorted(self.conditions.heads, top, side="right")) - 1
            self.found = {place: self.allowed(place, number) for place, number in (*picked, (place, top))}
        hopeful = np.flatnonzero(hopes > self.best)
        hopeful = hopeful[np.argsort(-hopes[hopeful], kind="stable")]
        self._wait(Branch(rows, picked, spent, hopeful, hopes[hopeful]), 0)

    def _wait(self, parent: Branch, child: int) -> None:
        if child < len(parent.children):
            # Each is given a number of its own, so that equal hopes are looked at in the order in which they came.
            self._ticks += 1
            heapq.heappush(self._open, (-float(parent.hopes[child]), self._ticks, child, parent))

    def allowed(self, place: int, number: int) -> Allowed:
        """A condition as bins."""
        bins = np.arange(int(self.conditions.sizes[place]))
        mask = int(self.conditions.masks[number])
        if mask:
            return np.array([bool(mask >> one & 1) for one in bins.tolist()])
        allowed: Allowed = (bins >= self.conditions.lows[number]) & (bins <= self.conditions.highs[number])
        return allowed
