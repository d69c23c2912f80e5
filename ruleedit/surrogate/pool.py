"""A pool of conjunctions from which rules are picked: one product of matrices says what each would gain where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ruleedit.surrogate.binarise import Floats
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.lists import LEAST_PRICE, Draft, Draftlist, Fit, Members, grown, worth_at

#: So many of the most promising conjunctions and places are looked at exactly.
TRIED = 3


@dataclass(frozen=True, eq=False)
class Pool:
    """Conjunctions of conditions, with the rows that each holds: ``cover`` has the shape (conjunctions, n).

    Single precision is enough to tell which are promising; what is picked is then counted exactly.
    """

    data: Binned
    members: Sequence[Members]
    costs: Floats
    cover: npt.NDArray[np.float32]

    @classmethod
    def of(cls, members: Iterable[Members], data: Binned) -> Pool:
        """The conjunctions that hold different rows, some but not all; of those that hold the same the cheapest."""
        priced = [(Draft(0, sets).cost(data.bins), number, sets) for number, sets in enumerate(members)]
        known: set[bytes] = set()
        kept: list[tuple[int, Members]] = []
        covers: list[npt.NDArray[np.float32]] = []
        for cost, _, sets in sorted(priced, key=lambda one: one[:2]):
            mask = Draft(0, sets).mask(data)
            key = np.packbits(mask).tobytes()
            if cost and key not in known and mask.any() and not mask.all():
                known.add(key)
                kept.append((cost, sets))
                covers.append(mask.astype(np.float32))
        cover = np.stack(covers) if covers else np.zeros((0, len(data)), np.float32)
        return cls(data, [sets for _, sets in kept], np.array([cost for cost, _ in kept], dtype=float), cover)

    def insert(self, found: Draftlist, price: float, most: int) -> bool:
        """Add the rule that gains most in its place in the list; whether one was worth its clauses.

        The most promising conjunctions are bettered in their places, and one rule is grown from nothing.
        """
        room = most - found.cost(self.data.bins)
        if room < 1 or not self.members:
            return False
        places = list(worth_at(found, self.data))
        if not places:
            return False
        worths = np.stack([worth for _, _, worth in places], axis=1).astype(np.float32)
        values = self.cover @ worths - price * self.costs[:, None]
        values[self.costs > room] = -np.inf
        best: tuple[float, int, Draft] | None = None
        for flat in np.argpartition(-values, min(TRIED, values.size) - 1, axis=None)[:TRIED].tolist():
            member, place = divmod(flat, len(places))
            position, outcome, worth = places[place]
            rule = Draft(outcome, dict(self.members[member]))
            fit = Fit.of(rule, self.data, worth)
            fit.better(price, room)
            value = fit.value - price * rule.cost(self.data.bins)
            if rule.sets and value > (best[0] if best else 0.0) + LEAST_PRICE:
                best = value, position, rule
        position, outcome, worth = places[int(values.max(axis=0).argmax())]
        rule, value = grown(outcome, self.data, worth, price, room)
        if value > (best[0] if best else 0.0) + LEAST_PRICE:
            best = value, position, rule
        if best is None:
            return False
        found.rules.insert(best[1], best[2])
        return True
