"""How much better rules could be: what is proved, and what isn't.

Two things are said of the rows that were searched, never of others.

The *ceiling* holds for any rules whatever on these cuts: rows alike in every bin get one answer, so
only the commonest of the model's answers among them can be right.

The *loss* is the bound of the linear program. It is about the program's own rule sets: rules of
one class in no order, within the clause budget, the other class elsewhere; a row of the class that they
leave out counts once, another row once for each rule that holds it. Prices from a restricted
program bound nothing by themselves, as a rule outside it may be worth more. So all rules are gone
through, by branch and bound, for the greatest worth per clause ``q``: with ``q`` as the price of a
clause the dual is feasible, and ``sum m - q C`` is below the loss of every such rule set. Where the
search for ``q`` isn't finished, what its open branches could still hold takes its place, which
makes the bound weaker, never wrong.

An ordered list may pass this bound: an exception in front of a rule says what no rules without
order can in as many clauses. For lists only the ceiling holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ruleedit.matching import Indices
from ruleedit.surrogate.binarise import Allowed, Bins, Floats, NumberBins
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.columns import Columns
from ruleedit.surrogate.lists import Draft

#: The most conditions of all features, and of one; above, the branches are too many to go through.
MOST_CONDITIONS, MOST_NAMED = 1_500, 6
#: The most branches that one pricing looks at.
MOST_BRANCHES = 1_000
#: Rounds of pricing and adding what it found.
ROUNDS = 4


@dataclass(frozen=True)
class Bound:
    """What is proved about the rows that were searched.

    ``ceiling`` is the share of rows that any rules on these cuts can answer right at most. ``loss`` is
    below what any unordered rules for ``outcome`` within ``clauses`` lose on ``rows`` rows, ``found``
    the least that such rules were seen to lose; both None where no bound is proved, and ``reason``
    says why.
    """

    ceiling: float
    rows: int
    clauses: int
    outcome: str | None = None
    loss: float | None = None
    found: float | None = None
    reason: str | None = None

    @property
    def gap(self) -> float | None:
        """How many rows lie between the bound and the best that was seen."""
        return None if self.loss is None or self.found is None else self.found - self.loss

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "ceiling": self.ceiling,
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
    conditions = list(_conditions(columns.data))
    if (
        not columns.drafts
        or len(conditions) < len(columns.data.bins)
        or sum(len(each.costs) for each in conditions) > MOST_CONDITIONS
    ):
        return None
    best = 0.0
    for _ in range(ROUNDS):
        duals = columns.master.solve(budget)
        inside = float(np.maximum(duals.worth, 0.0).sum())
        pricing = Pricing(columns.data, duals.worth, conditions, budget, duals.price)
        best = max(best, inside - budget * pricing.dearest())
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


@dataclass(frozen=True, eq=False)
class Conditions:
    """Every condition on one feature that a clause can say: ``allowed`` has the shape (conditions, bins)."""

    place: int
    allowed: Floats
    costs: Floats


def _conditions(data: Binned) -> Iterator[Conditions]:
    """The conditions of each feature, as far as they can be listed."""
    for place, bins in enumerate(data.bins):
        if isinstance(bins, NumberBins) and len(bins.cuts) ** 2 > MOST_CONDITIONS:
            return
        if not isinstance(bins, NumberBins) and len(bins.named) > MOST_NAMED:
            return
        listed = [allowed for allowed in _sayable(bins) if bins.cost(allowed)]
        costs = np.array([bins.cost(allowed) for allowed in listed], dtype=float)
        yield Conditions(place, np.array(listed, dtype=float).reshape(len(listed), bins.size), costs)


def _sayable(bins: Bins) -> Iterator[Allowed]:
    number = np.arange(bins.size)
    yield number < bins.size - 1
    yield number == bins.size - 1
    if isinstance(bins, NumberBins):
        for low in range(bins.size - 1):
            for high in range(low, bins.size - 1):
                yield (number >= low) & (number <= high)
        return
    for count in range(1, len(bins.named) + 1):
        for members in combinations(range(len(bins.named)), count):
            inside = np.isin(number, members)
            yield inside
            yield ~inside & (number < bins.size - 1)


@dataclass
class Pricing:
    """Branch and bound for the conjunction that is worth most per clause, the features in order."""

    data: Binned
    worth: Floats
    conditions: list[Conditions]
    budget: int
    price: float
    found: dict[int, Allowed] | None = None
    branches: int = 0
    best: float = 0.0
    open: float = 0.0

    def dearest(self) -> float:
        """At least the greatest worth per clause; exactly that, or the price, where all branches were seen."""
        self.best = self.price * (1.0 + 1e-9) + 1e-9
        self._visit(np.arange(len(self.data)), 0, 0.0, {})
        return max(self.best, self.open)

    def _visit(self, rows: Indices, first: int, spent: float, sets: dict[int, Allowed]) -> None:
        """Go through the conditions that can be added to a conjunction, and on into those that could be worth it.

        ``rows`` are those that the conjunction holds, ``spent`` its clauses.
        """
        worth = self.worth[rows]
        gains = np.stack([worth, np.maximum(worth, 0.0)], axis=1)
        for each in self.conditions[first:]:
            codes = self.data.columns[each.place][rows]
            size = each.allowed.shape[1]
            sums = np.stack([np.bincount(codes, gains[:, side], size) for side in (0, 1)], axis=1)
            values = each.allowed @ sums
            costs = spent + each.costs
            ratios = np.where(costs <= self.budget, values[:, 0] / costs, -np.inf)
            top = int(ratios.argmax())
            if ratios[top] > self.best:
                self.best = float(ratios[top])
                self.found = {**sets, each.place: each.allowed[top].astype(bool)}
            # A further clause can at best keep all that is worth something and lose the rest.
            hopes = np.where(costs + 1 <= self.budget, values[:, 1] / (costs + 1.0), -np.inf)
            self._branch(each, hopes, rows, codes, spent, sets)

    def _branch(
        self, each: Conditions, hopes: Floats, rows: Indices, codes: Indices, spent: float, sets: dict[int, Allowed]
    ) -> None:
        if each.place == self.conditions[-1].place:
            return
        for number in np.argsort(-hopes, kind="stable").tolist():
            if hopes[number] <= self.best:
                return
            if self.branches >= MOST_BRANCHES:
                self.open = max(self.open, float(hopes[number]))
                return
            self.branches += 1
            allowed = each.allowed[number].astype(bool)
            inside = rows[allowed[codes]]
            self._visit(inside, each.place + 1, spent + each.costs[number], {**sets, each.place: allowed})
