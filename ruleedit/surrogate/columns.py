"""Columns: rules of one class that the restricted master program asks for, one price of clauses after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ruleedit.surrogate.binarise import Floats
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.lists import Draft, Draftlist, Members, better, grown, masks
from ruleedit.surrogate.master import Duals, Master
from ruleedit.surrogate.task import Task

#: Budgets of clauses for the master program, as shares of the one that is asked for: small ones give wide rules.
BUDGETS = (0.5, 1.0)
#: Rounds of pricing at each of them.
ITERATIONS = 2
#: A rule must be worth this share of the rows more than its clauses cost, so that the last digits don't go on for ever.
LEAST_WORTH = 1e-4
#: New columns come from so many of those that the program uses most.
BETTERED = 6


@dataclass
class Columns:
    """The columns of one class on some rows, with the program that weighs them; the first ``given`` came from trees."""

    data: Binned
    outcome: int
    master: Master
    drafts: list[Draft] = field(default_factory=list)
    known: set[bytes] = field(default_factory=set)
    given: int = 0

    @classmethod
    def of(cls, members: Sequence[Members], data: Binned, outcome: int, budget: int) -> Columns:
        """Begin with the conjunctions that hold more of the class than of the rest."""
        columns = cls(data, outcome, Master(data, outcome, budget))
        drafts = [Draft(outcome, sets) for sets in members]
        gains = masks(drafts, data) @ np.where(data.answers == outcome, data.weights, -data.weights)
        columns.add([draft for draft, gain in zip(drafts, gains.tolist(), strict=True) if gain > 0.0])
        columns.given = len(columns.drafts)
        return columns

    def add(self, drafts: Sequence[Draft]) -> int:
        """Add rules that hold other rows than those known; how many there were."""
        inside, new = masks(drafts, self.data), []
        keys = np.packbits(inside, axis=1)
        for number, draft in enumerate(drafts):
            key = keys[number].tobytes()
            if key not in self.known and draft.sets:
                self.known.add(key)
                self.drafts.append(draft)
                new.append(number)
        self.master.add(inside[new], [drafts[number].cost(self.data.bins) for number in new])
        return len(new)

    def generate(self, budget: int, task: Task) -> Iterator[Draftlist]:
        """Price new columns in for several budgets; for each the rules that the program picks, the surest first."""
        for share in BUDGETS:
            clauses = max(1.0, share * budget)
            duals = self.master.solve(clauses)
            for _ in range(ITERATIONS if task.max_iterations is None else task.max_iterations):
                if task.is_late or not self.add(list(self._priced(duals, budget))):
                    break
                duals = self.master.solve(clauses)
            yield self._picked(duals)

    def _priced(self, duals: Duals, budget: int) -> Iterator[Draft]:
        """Rules that the program lacks: grown from nothing, and bettered from those that it uses."""
        least = LEAST_WORTH * self.data.total
        rows = np.flatnonzero(duals.worth)
        worth = duals.worth[rows]
        rule, value = grown(self.outcome, self.data, rows, worth, duals.price, budget)
        if value > least:
            yield rule
        for number in np.argsort(-duals.shares, kind="stable")[:BETTERED].tolist():
            rule = self.drafts[number].copy()
            value = better(rule, self.data, rows, worth, duals.price, max(budget, rule.cost(self.data.bins)))
            if rule.sets and value > least:
                yield rule

    def _picked(self, duals: Duals) -> Draftlist:
        others = self.data.answers != self.outcome
        default = int(np.bincount(self.data.answers[others], self.data.weights[others]).argmax())
        order = np.argsort(-duals.shares, kind="stable").tolist()
        return Draftlist([self.drafts[number].copy() for number in order if duals.shares[number] > 0.1], default)


def sides(data: Binned, most: int) -> list[int]:
    """The classes that rules are found for, the commonest first."""
    counts: Floats = np.bincount(data.answers, data.weights).astype(float)
    return [int(outcome) for outcome in np.argsort(-counts, kind="stable")[:most] if counts[outcome]]
