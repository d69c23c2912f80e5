"""Constrained SMOTE-NC: synthetic rows in the region of a feedback rule.

Source: Alkan et al., FROTE, section 4 (rule-constrained generation), over Chawla et al., SMOTE-NC.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Matrix, first_box
from ruleedit.models import Background
from ruleedit.regions import Box
from ruleedit.retrain.columns import Allowed, Columns, Seen, as_read, constrain
from ruleedit.retrain.modify import draw_answers
from ruleedit.retrain.population import Population
from ruleedit.retrain.task import Synthetic

#: A box of a region, and what the features that it names may be in it.
Place: TypeAlias = tuple[Box, Mapping[int, Allowed]]
#: How often a row that fell into another rule's region is made anew before it is put into an exact box, while that gets
#: more than this share of what is left into the region: where all that is left lies in the others' more of it is lost.
ATTEMPTS, WORTHWHILE = 10, 0.1
#: Each value of a shuffled row is another's with this probability.
SHUFFLED = 0.5
#: Up to so many disjoint boxes of a region are used for rows that no attempt got into it.
EXACT_BOXES = 200


class Generator:
    """Makes rows in the regions of feedback rules from encoded training ``rows`` (n, features)."""

    def __init__(self, feedback: Feedback, rows: Matrix, background: Background, rng: np.random.Generator) -> None:
        self.feedback = feedback
        self.rows = rows
        self.rng = rng
        self.background = background
        self.schema = feedback.schema
        self._numbers = np.array([feature.is_number for feature in self.schema.features])
        self._whole = np.array([feature.kind == "integer" for feature in self.schema.features])
        seen = [
            Seen.of(rows[:, place], feature, background.deviations[place])
            for place, feature in enumerate(self.schema.features)
        ]
        self._columns = Columns(self.schema, seen)
        self._boxes: dict[int, list[Place]] = {}
        self._exact: dict[int, list[Place]] = {}

    def labelled(self, populations: Sequence[Population], chosen: Sequence[Indices]) -> Synthetic:
        """A row for each chosen base of each rule, with an answer drawn from the rule's distribution.

        ``chosen`` has for each population places in it. Fewer rows come back where a region has no
        row that the schema allows and no other rule holds.
        """
        batch = Synthetic.none(len(self.schema.features))
        for bases, places in zip(populations, chosen, strict=True):
            rows = self.make(bases, places)
            answers = draw_answers(self.feedback, bases.rule, len(rows), self.rng)
            batch = batch.and_more(Synthetic(rows, answers, np.full(len(rows), bases.rule, dtype=np.intp)))
        return batch

    def make(self, bases: Population, places: Indices) -> Matrix:
        """Encoded rows that the bases' rule holds, one for each of ``places`` in the population.

        Each is interpolated between a base and one of its neighbours, and every value that the
        rule doesn't allow is drawn anew. A row that another rule holds all the same is made again,
        at last inside one of the disjoint boxes that make up the rule's exact region.
        """
        homes = self.rows[bases.rows[places]]
        return self._held(bases.rule, homes, lambda left: self.interpolate(bases, places[left]))

    def moved(self, rule: int, rows: Matrix) -> Matrix:
        """Encoded ``rows`` (n, features) with as little drawn anew as it takes that the rule holds them."""
        return self._held(rule, rows, lambda left: rows[left])

    def shuffled(self, rule: int, rows: Matrix, count: int) -> Matrix:
        """So many encoded rows that the rule holds: each of ``rows`` (n, features), with some values another row's.

        Of all sorts, therefore, also of those that no training row is, and each value one that there is.
        """
        made = rows[self.rng.integers(len(rows), size=count)]
        for place in range(made.shape[1]):
            here = np.flatnonzero(self.rng.random(count) < SHUFFLED)
            # Half from among themselves, half from anywhere.
            near, far = (known[self.rng.integers(len(known), size=len(here)), place] for known in (rows, self.rows))
            made[here, place] = np.where(self.rng.random(len(here)) < 0.5, near, far)
        return self.moved(rule, made)

    def within(self, box: Box, rows: Matrix) -> Matrix:
        """Encoded ``rows`` (n, features) with as little drawn anew as it takes that the box holds them.

        None where the schema leaves the box no row.
        """
        columns = self._columns.within(box)
        if box.is_empty or columns is None:
            return rows[:0]
        return constrain(rows, {**self._columns.anywhere, **columns}, self.rng)

    def _held(self, rule: int, homes: Matrix, draw: Callable[[Indices], Matrix]) -> Matrix:
        """Rows that the rule holds, of what ``draw`` gives for their numbers; ``homes`` are where they come from."""
        made = np.empty(homes.shape)
        left = np.arange(len(homes))
        for boxes in (self._part_boxes, self._exact_boxes):
            if not len(left) or not boxes(rule):
                continue
            own = first_box([box for box, _ in boxes(rule)], homes, self.schema)
            for _ in range(ATTEMPTS):
                made[left] = self._placed(draw(left), own[left], boxes(rule))
                strays: Indices = left[~self.feedback.holds(rule, made[left])]
                gained, left = len(left) - len(strays), strays
                if not len(left):
                    return made
                if gained <= WORTHWHILE * (gained + len(left)):
                    break
        return np.delete(made, left, axis=0)

    def _placed(self, rows: Matrix, homes: Indices, boxes: Sequence[Place]) -> Matrix:
        """The rows, each constrained to one of the boxes: its home (-1 for none) or, half the time, any."""
        rows = constrain(rows, self._columns.anywhere, self.rng)
        which = self.rng.integers(len(boxes), size=len(rows))
        if len(boxes) > 1:
            at_home = (self.rng.random(len(rows)) < 0.5) & (homes >= 0)
            which[at_home] = homes[at_home]
        for number in np.unique(which):
            here = which == number
            rows[here] = constrain(rows[here], boxes[number][1], self.rng)
        return rows

    def interpolate(self, bases: Population, places: Indices) -> Matrix:
        """Rows between bases and one of each one's neighbours; shape (n, features).

        A number lies anywhere between the two, rounded where the feature is integer; where one of
        the two is missing it is the one or the other. A text is the commonest among the base and
        its neighbours, missing counting as a text, ties to the base.
        """
        base = self.rows[bases.rows[places]]
        around = bases.neighbours[places]
        picked = around[np.arange(len(places)), self.rng.integers(around.shape[1], size=len(places))]
        other = self.rows[bases.rows[picked]]
        gap = self.rng.random((len(places), 1))
        both = ~np.isnan(base) & ~np.isnan(other)
        low, high = np.fmin(base, other), np.fmax(base, other)
        rows = np.where(both, np.clip(base * (1.0 - gap) + other * gap, low, high), np.where(gap < 0.5, base, other))
        rows[:, self._whole] = np.rint(rows[:, self._whole])
        rows = as_read(rows)
        family = self.rows[bases.rows[np.column_stack([places, around])]]
        for place in np.flatnonzero(~self._numbers):
            rows[:, place] = _commonest(family[:, :, place])
        return rows

    def _part_boxes(self, place: int) -> list[Place]:
        """The boxes of a rule's region, holes ignored, that the schema leaves rows in."""
        if place not in self._boxes:
            parts = self.feedback.rules[place].region.parts
            self._boxes[place] = self._usable(part.box for part in parts if not part.box.is_empty)
        return self._boxes[place]

    def _exact_boxes(self, place: int) -> list[Place]:
        """Disjoint boxes of the rows that a rule holds, as many as `EXACT_BOXES` allows."""
        if place not in self._exact:
            parts = self.feedback.exact(place).parts
            boxes = itertools.chain.from_iterable(part.boxes() for part in parts)
            self._exact[place] = self._usable(itertools.islice(boxes, EXACT_BOXES))
        return self._exact[place]

    def _usable(self, boxes: Iterable[Box]) -> list[Place]:
        found = []
        for box in boxes:
            columns = self._columns.within(box)
            if columns is not None:
                found.append((box, columns))
        return found


def _commonest(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The commonest of each row's values (n, m), NaN counting as a value, ties to the leftmost; shape (n,)."""
    same = (values[:, :, None] == values[:, None, :]) | (np.isnan(values[:, :, None]) & np.isnan(values[:, None, :]))
    first = same.sum(axis=2).argmax(axis=1)
    return np.asarray(values[np.arange(len(values)), first])
