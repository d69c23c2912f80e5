"""Rules to choose from: those that win the most rows per clause, within a budget, as one list.

The most faithful rules come first, whichever are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ruleedit.matching import Indices, Mask
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.lists import Draft, Draftlist

#: So many classes, the commonest, are tried as the default.
MOST_DEFAULTS = 3
#: So often a chosen rule is taken out for others at most.
MOST_EXCHANGES = 20

Theory: TypeAlias = tuple["Local", ...]


@dataclass(frozen=True, eq=False)
class Local:
    """A rule with the rows that it covers (n,) and the share of them that the model answers as it says."""

    rule: Draft
    mask: Mask
    precision: float

    @classmethod
    def of(cls, rule: Draft, data: Binned) -> Local:
        """Measure a rule."""
        mask = rule.mask(data)
        right = int((data.answers[mask] == rule.outcome).sum())
        return cls(rule, mask, right / int(mask.sum()) if mask.any() else 0.0)


def sure(local: Local) -> float:
    """The precision, drawn towards one half where few rows say so (Laplace)."""
    rows = int(local.mask.sum())
    return (local.precision * rows + 1.0) / (rows + 2.0)


def distinct(theories: Sequence[Theory], data: Binned) -> list[Local]:
    """Their rules, of those that hold the same rows and say the same the one of fewest clauses.

    One that asks for nothing isn't among them: that is a default.
    """
    best: dict[tuple[bytes, int], tuple[int, Local]] = {}
    for local in (local for theory in theories for local in theory):
        key, cost = (np.packbits(local.mask).tobytes(), local.rule.outcome), local.rule.cost(data.bins)
        if cost and (key not in best or cost < best[key][0]):
            best[key] = cost, local
    return [local for _, local in best.values()]


def select(locals_: Sequence[Local], data: Binned, budget: int) -> Draftlist:
    """The rules that win the most rows per clause, one after another, within the budget; faithful ones come first.

    Then rules are exchanged for others as long as that wins rows.
    """
    pool = Candidates.of(sorted(locals_, key=lambda local: -sure(local)), data)
    best: tuple[int, list[int], int] = 0, [], 0
    for default in np.argsort(-np.bincount(data.answers), kind="stable")[:MOST_DEFAULTS].tolist():
        chosen = pool.exchanged(pool.filled([], default, budget), default, budget)
        hits = pool.hits(chosen, default)
        if hits > best[0]:
            best = hits, chosen, default
    return Draftlist([pool.locals[number].rule.copy() for number in best[1]], best[2])


@dataclass(frozen=True, eq=False)
class Candidates:
    """Rules to choose from, the most faithful first: they decide in that order, whichever are chosen."""

    locals: Sequence[Local]
    costs: Indices
    data: Binned

    @classmethod
    def of(cls, ordered: Sequence[Local], data: Binned) -> Candidates:
        """With their clauses counted."""
        return cls(ordered, np.array([local.rule.cost(data.bins) for local in ordered], dtype=np.intp), data)

    def decided(self, chosen: Sequence[int], default: int) -> tuple[Indices, Indices]:
        """For each row the place of the rule that decides it (that of none is past all), and the answer."""
        by = np.full(len(self.data), len(self.locals), dtype=np.intp)
        said = np.full(len(self.data), default, dtype=np.intp)
        for number in sorted(chosen, reverse=True):
            by[self.locals[number].mask] = number
            said[self.locals[number].mask] = self.locals[number].rule.outcome
        return by, said

    def hits(self, chosen: Sequence[int], default: int) -> int:
        """The rows that these rules answer as the model does."""
        return int((self.decided(chosen, default)[1] == self.data.answers).sum())

    def filled(self, chosen: Sequence[int], default: int, budget: int) -> list[int]:
        """The chosen rules and others, each time the one that wins the most rows per clause, within the budget."""
        found = list(chosen)
        while True:
            room = budget - int(self.costs[found].sum())
            by, said = self.decided(found, default)
            right = said == self.data.answers
            gains = [
                self._gain(number, by, right) / self.costs[number]
                if self.costs[number] <= room and number not in found
                else 0.0
                for number in range(len(self.locals))
            ]
            number = int(np.argmax(gains)) if gains else 0
            if not gains or gains[number] <= 0.0:
                return sorted(found)
            found.append(number)

    def _gain(self, number: int, by: Indices, right: Mask) -> int:
        """The rows that one more rule would win, less those that it would lose."""
        local = self.locals[number]
        its = local.mask & (by > number)
        return int((self.data.answers[its] == local.rule.outcome).sum()) - int(right[its].sum())

    def exchanged(self, chosen: list[int], default: int, budget: int) -> list[int]:
        """Take each rule out in turn and fill the room again, as long as that wins rows."""
        best, hits = chosen, self.hits(chosen, default)
        for _ in range(MOST_EXCHANGES):
            rivals = [self.filled([one for one in best if one != out], default, budget) for out in best]
            found = max(rivals, key=lambda rival: self.hits(rival, default), default=best)
            if self.hits(found, default) <= hits:
                break
            best, hits = found, self.hits(found, default)
        return best
