"""The stages of anchored retraining: which rules are learned at once, from which rows, until when.

A rule that asks for a class is learned by itself, with the features that it names, at its own
bounds: what the other features say is the model's business, and a tree that can't split on them
can't spoil it. What earlier rules of that kind take from its rows is left open, for they come
later and overrule it; so few rows are needed however many rules meet. Rules that ask for nothing,
or for a distribution, keep their rows: their edges count as its own.

A distribution has to take back what the model makes of all features, so all are used, at the
model's own thresholds, and all distributions are learned together, first, one step of the model a
tree (`ruleedit.retrain.pulls.Unwind`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ruleedit.feedback import Feedback, FeedbackRule
from ruleedit.matching import Indices, Mask, Matrix, region_mask
from ruleedit.models import Background
from ruleedit.regions import Box
from ruleedit.retrain.contrast import Edges, edges

#: A tree has room for every edge, up to so many leaves.
FEWEST_LEAVES, MOST_LEAVES = 63, 255
#: How trees grow towards a class, and where every feature is used: smaller ones by smaller steps, each leaf of some
#: rows.
PLAIN: Mapping[str, Any] = {"trees": 40, "rate": 1.0, "shrinkage": 0.0}
FINE: Mapping[str, Any] = {"trees": 150, "rate": 0.2, "least_rows": 5}
#: A tree that takes a step of a model back has room for the leaves of that step on either side of every edge, and
#: after all steps so many trees may follow.
UNWINDING: Mapping[str, Any] = {"rate": 1.0, "shrinkage": 0.0}
LEAVES_UNWINDING, MENDING = 255, 20


@dataclass(frozen=True, eq=False)
class Stage:
    """The rules at ``places``, learned at once, at the ``edges`` of their regions.

    ``boxes`` are cut out of these, by holes and by rules before them that keep their rows. A
    stage learns ``everywhere`` where its trees may split every feature.
    """

    places: tuple[int, ...]
    edges: tuple[Edges, ...]
    everywhere: bool
    boxes: tuple[Box, ...] = field(repr=False)

    @property
    def growth(self) -> dict[str, Any]:
        """How its trees grow."""
        leaves = min(max(FEWEST_LEAVES, 15 + 16 * len(self.boxes)), MOST_LEAVES)
        return {"leaves": leaves, **(FINE if self.everywhere else PLAIN)}

    def unwinding(self, steps: int) -> dict[str, Any]:
        """How its trees grow that take a model's steps back."""
        leaves = max(LEAVES_UNWINDING, self.growth["leaves"])
        return {"leaves": leaves, "trees": steps + MENDING, **UNWINDING}

    def has(self, places: Indices) -> Mask:
        """Which of the rules at ``places`` (n,), -1 for none, are its own."""
        # A quarter of the time of numpy.isin.
        found: Mask = places == self.places[0]
        for place in self.places[1:]:
            found |= places == place
        return found

    def covers(self, feedback: Feedback, rows: Matrix) -> Mask:
        """The rows in the region of one of its rules, whoever holds them; shape (n,)."""
        found = np.zeros(len(rows), dtype=bool)
        for place in self.places:
            found |= region_mask(feedback.rules[place].region, rows, feedback.schema)
        return found


def stages(feedback: Feedback, background: Background) -> tuple[Stage, ...]:
    """The stages in the order in which they are learned: distributions, then the classes, the first rule last."""
    asks = [place for place, rule in enumerate(feedback) if rule.asks]
    spread = tuple(place for place in asks if not is_class(feedback.rules[place]))
    single = [place for place in asks if is_class(feedback.rules[place])]
    found = [_stage(feedback, background, (place,)) for place in reversed(single)]
    if spread:
        found.insert(0, _stage(feedback, background, spread, everywhere=True))
    return tuple(found)


def is_class(rule: FeedbackRule) -> bool:
    """Whether a rule asks for a class."""
    return rule.asks and rule.outcome.is_class


def _stage(feedback: Feedback, background: Background, places: tuple[int, ...], *, everywhere: bool = False) -> Stage:
    if everywhere:
        return Stage(places, edges(feedback, background), True, tuple(_cut_out(feedback, (), places)))
    earlier, region = feedback.rules[: places[0]], feedback.rules[places[0]].region
    kept = [place for place, rule in enumerate(earlier) if not is_class(rule) and rule.region.meets(region)]
    known = edges(feedback, background, [*kept, *places])
    return Stage(places, known, False, tuple(_cut_out(feedback, kept, places)))


def _cut_out(feedback: Feedback, kept: Sequence[int], places: Sequence[int]) -> Iterator[Box]:
    """What the holes of the rules and the rules that keep their rows take from them."""
    others = [part.box for place in kept for part in feedback.rules[place].region.parts]
    for place in places:
        for part in feedback.rules[place].region.parts:
            yield from (part.box.intersect(other) for other in (*part.holes, *others) if part.box.meets(other))
