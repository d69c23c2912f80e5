"""What a graft forces: the feedback's asking rules as disjoint boxes of single intervals.

A tree's path holds one interval of a number, so a box with a union of intervals is several.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ruleedit.errors import Refused, TooComplex
from ruleedit.feedback import Feedback, FeedbackRule
from ruleedit.regions import Box, NumberSet, ValueSet

#: The most boxes that are grafted: each is a tree more (a multi-class model: an iteration), and models have hundreds.
MOST_BOXES = 1_000
#: Steps of region algebra for each box that is allowed: most lead to a box, some to nothing.
_STEPS = 10


@dataclass(frozen=True)
class Forced:
    """Rows that are forced to one class: the box, the class's place in schema order, the feedback rule's id."""

    box: Box
    code: int
    rule: str


def forced_boxes(feedback: Feedback, limit: int = MOST_BOXES) -> tuple[Forced, ...]:
    """The rows for which a class is asked, as disjoint boxes with at most one interval a feature.

    What asks for nothing (the outcome `model`, a conflict that nobody settled) takes its rows from
    the rules behind it and gives no box.

    Raises
    ------
    TooComplex
        They are more than ``limit``, or finding them takes more than ten times as many steps.
    Refused
        A rule asks for a distribution: a finite score can't be swapped for another by adding to it.
    """
    found: list[Forced] = []
    for place, boxes in exact_boxes(feedback, limit):
        rule = feedback.rules[place]
        code = int(feedback.outcome_codes()[place])
        for piece in itertools.chain.from_iterable(map(_pieces, boxes)):
            if len(found) == limit:
                raise _too_many(rule, limit)
            found.append(Forced(piece, code, rule.id))
    return tuple(found)


def exact_boxes(feedback: Feedback, limit: int = MOST_BOXES) -> Iterator[tuple[int, tuple[Box, ...]]]:
    """Each asking rule's place with the rows that it holds as disjoint boxes; raises as `forced_boxes` does."""
    for place, rule in enumerate(feedback):
        if not rule.asks:
            continue
        try:
            boxes = feedback.exact(place).boxes(_STEPS * limit)
        except TooComplex:
            raise _too_many(rule, limit) from None
        if boxes and not rule.outcome.is_class:
            raise Refused(
                f"{rule.id} asks for {rule.outcome}; a graft forces single classes: "
                "put distributions in force with overlay-hard"
            )
        yield place, boxes


def _pieces(box: Box) -> Iterator[Box]:
    """The box as disjoint boxes with at most one interval a feature."""
    names = [name for name, _ in box.sets]
    for choice in itertools.product(*(_intervals(values) for _, values in box.sets)):
        yield Box(tuple(zip(names, choice, strict=True)))


def _intervals(values: ValueSet) -> tuple[ValueSet, ...]:
    """A set of numbers interval by interval, missing with the first; any other set as it is."""
    if not isinstance(values, NumberSet) or len(values.intervals) < 2:
        return (values,)
    return tuple(
        replace(values, intervals=(interval,), missing=values.missing and not number)
        for number, interval in enumerate(values.intervals)
    )


def _too_many(rule: FeedbackRule, limit: int) -> TooComplex:
    return TooComplex(
        f"{rule.id} takes the graft past {limit:,} boxes, each a tree; use fewer overlapping rules, or overlay-hard"
    )
