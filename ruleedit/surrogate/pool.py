"""A pool of conjunctions from which rules are picked: one count says what each would gain where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ruleedit.surrogate import kernel
from ruleedit.surrogate.binarise import Floats
from ruleedit.surrogate.binned import Answers, Binned
from ruleedit.surrogate.kernel import LEAST_PRICE
from ruleedit.surrogate.lists import Draft, Draftlist, Members, better, grown, masks, worth_at

#: So many of the most promising conjunctions and places are looked at exactly.
TRIED = 3
#: A new rule is tried for so many classes, those that the rules miss most often.
MOST_MISSED = 3


@dataclass(frozen=True, eq=False)
class Pool:
    """Conjunctions of conditions, of which the most promising are looked at exactly on ``data``.

    Which are promising part of these rows tell, ``seen``: ``rows[heads[m]:heads[m + 1]]`` are what conjunction m holds.
    """

    data: Binned
    seen: Binned
    members: Sequence[Members]
    costs: Floats
    heads: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]

    @classmethod
    def of(cls, members: Iterable[Members], data: Binned) -> Pool:
        """The conjunctions that hold different rows, some but not all; of those that hold the same the cheapest."""
        drafts = sorted((Draft(0, sets) for sets in members), key=lambda draft: draft.cost(data.bins))
        inside = masks(drafts, data)
        many, keys = inside.sum(axis=1), np.packbits(inside, axis=1)
        known: dict[bytes, int] = {}
        for number, draft in enumerate(drafts):
            if draft.cost(data.bins) and 0 < many[number] < len(data):
                known.setdefault(keys[number].tobytes(), number)
        kept = list(known.values())
        costs = np.array([drafts[number].cost(data.bins) for number in kept], dtype=float)
        heads, rows = np.append(0, np.cumsum(many[kept])), np.nonzero(inside[kept])[1].astype(np.int32)
        return cls(data, data, [drafts[number].sets for number in kept], costs, heads, rows)

    def insert(self, found: Draftlist, price: float, most: int) -> bool:
        """Add the rule that gains most in its place in the list; whether one was worth its clauses.

        The most promising conjunctions are bettered in their places, and one rule is grown from nothing.
        """
        room = most - found.cost(self.data.bins)
        if room < 1 or not self.members:
            return False
        decided, outcomes = found.deciding(self.data), found.outcomes
        shown = decided if self.seen is self.data else found.deciding(self.seen)
        values = self.values(found, shown) * (self.data.total / self.seen.total) - price * self.costs[:, None, None]
        values[self.costs > room] = -np.inf
        is_likely = self._is_likely(found, shown)
        if not is_likely.any():
            return False
        values[:, ~is_likely] = -np.inf
        best: tuple[float, int, Draft] | None = None
        for flat in np.argpartition(-values, min(TRIED, values.size) - 1, axis=None)[:TRIED].tolist():
            member, position, outcome = (int(place) for place in np.unravel_index(flat, values.shape))
            rule = Draft(outcome, self.members[member])
            value = better(rule, self.data, *worth_at(self.data, decided, outcomes, position, outcome), price, room)
            if rule.sets and value > (best[0] if best else 0.0) + LEAST_PRICE:
                best = value, position, rule
        position, outcome = (int(place) for place in np.unravel_index(values.max(axis=0).argmax(), values.shape[1:]))
        rows, worth = worth_at(self.data, decided, outcomes, position, outcome)
        rule, value = grown(outcome, self.data, rows, worth, price, room)
        if value > (best[0] if best else 0.0) + LEAST_PRICE:
            best = value, position, rule
        if best is None:
            return False
        found.rules.insert(best[1], best[2])
        return True

    def values(self, found: Draftlist, decided: Answers) -> Floats:
        """What each conjunction would gain on the rows seen, in each place of a list with each class; so the shape."""
        data, outcomes = self.seen, found.outcomes.astype(np.int64)
        gains: Floats = kernel.tally(self.heads, self.rows, decided, data.answers, data.weights, outcomes, data.classes)
        return gains

    def _is_likely(self, found: Draftlist, decided: Answers) -> npt.NDArray[np.bool_]:
        """For each place whether each class is one of the few that the rules from there on miss most often."""
        data = self.seen
        shape, wrong = (len(found.outcomes), data.classes), data.weights * (found.outcomes[decided] != data.answers)
        places = decided.astype(np.intp) * data.classes + data.answers
        missed = np.bincount(places, wrong, shape[0] * shape[1]).reshape(shape)[::-1].cumsum(axis=0)[::-1]
        ranks = np.argsort(np.argsort(-missed, axis=1, kind="stable"), axis=1, kind="stable")
        return (missed > 0.0) & (ranks < MOST_MISSED)
