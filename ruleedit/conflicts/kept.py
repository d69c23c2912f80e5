"""What is known of many rules' boxes, kept while one edit after another is tried: only what is new is worked out.

Of 500 rules a moved clause changes one. That one's box is compared with the others'; how these stand
to each other is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from ruleedit.conflicts.meeting import Pairs, containing, meeting
from ruleedit.regions import Box, rule_box
from ruleedit.rules import Clause, Rule
from ruleedit.schema import Schema

#: Past so many new boxes all pairs at once take less time than one row and column after another.
MOST_NEW = 8
#: How many rules' boxes are remembered; each move of a slider makes one more.
MOST_BOXES = 4_000

Compare: TypeAlias = Callable[[Sequence[Box], Sequence[Box]], Pairs]


class Kept:
    """The boxes of a schema's rules and how they stand to each other, for one asker at a time."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._boxes: dict[tuple[Clause, ...], Box] = {}
        self._meeting = _Table(meeting)
        self._containing = _Table(containing)

    def box(self, rule: Rule) -> Box:
        """The rows that a rule describes; the same object as long as it is remembered."""
        found = self._boxes.get(rule.clauses)
        if found is None:
            while len(self._boxes) >= MOST_BOXES:
                del self._boxes[next(iter(self._boxes))]
            found = self._boxes[rule.clauses] = rule_box(rule, self.schema)
        return found

    def meeting(self, boxes: Sequence[Box]) -> Pairs:
        """As `ruleedit.conflicts.meeting.meeting` says it of each with each other."""
        return self._meeting.of(boxes)

    def containing(self, boxes: Sequence[Box]) -> Pairs:
        """As `ruleedit.conflicts.meeting.containing` says it of each with each other."""
        return self._containing.of(boxes)


class _Table:
    """One relation between boxes, as of the last list that was new."""

    def __init__(self, compare: Compare) -> None:
        self._compare = compare
        self._listed: tuple[Box, ...] = ()
        self._found: Pairs = np.zeros((0, 0), dtype=bool)

    def of(self, boxes: Sequence[Box]) -> Pairs:
        """The relation of each box with each other; shape (boxes, boxes)."""
        # By identity, which costs nothing: the list holds its boxes, so no other can take one's place in memory.
        known = {id(box): place for place, box in enumerate(self._listed)}
        there = [known.get(id(box), -1) for box in boxes]
        new = [place for place, at in enumerate(there) if at < 0]
        if len(new) > MOST_NEW or not known:
            self._listed, self._found = tuple(boxes), self._compare(boxes, boxes)
            return self._found.copy()
        # What stands at a new box's place is another's, and is written over.
        found: Pairs = self._found[np.ix_(there, there)]
        for place in new:
            found[place] = self._compare([boxes[place]], boxes)[0]
            found[:, place] = self._compare(boxes, [boxes[place]])[:, 0]
        return found
