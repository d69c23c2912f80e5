"""What anchored retraining teaches: given and generated rows in the regions, contrast rows around them, anchors.

Rows of a distribution's region are generated of all sorts (`Generator.shuffled`): what the model says
of any of them is to be taken back. Rows in a region are asked for what its rule
says; all others are held to what the model says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Mask, Matrix
from ruleedit.retrain.contrast import contrast, own_edges
from ruleedit.retrain.course import Course
from ruleedit.retrain.modify import draw_answers
from ruleedit.retrain.objective import held_by_asking
from ruleedit.retrain.population import nearby
from ruleedit.retrain.selection import select_random
from ruleedit.retrain.stages import Stage, is_class
from ruleedit.retrain.task import Synthetic, Task

#: So many training rows, drawn at random, hold the model outside: more cost time and change nothing.
MOST_ANCHORS = 1_000
#: At most so many rows of one rule's region, given and synthetic each, are taught.
MOST_INSIDE = 100
#: A distribution takes more of both: what the model makes of every feature has to be taken back. So many are generated,
#: shuffled from the rows of its region or, where they are fewer than so many, from those nearby.
ANCHORS_OF_A_DISTRIBUTION, MOST_OF_A_DISTRIBUTION = 5_000, 5_000
SHUFFLED_ROWS, FEW_ROWS = 20_000, 30
#: From at most so many rows of one rule contrast rows are made.
MOST_CONTRASTED = 10_000
#: However small the table is, each rule gets so many: here no number of rows outweighs the anchors.
LEAST_INSIDE = 100
#: Contrast rows for each row inside,
CONTRASTS = 2
#: and at least so many for each feature that a rule names.
LEAST_CONTRASTS = 100
#: So many rows are put into each box that is cut out of a region, or that a rule meets another in, up to so many.
IN_A_BOX, MOST_BOXES = 10, 40
#: The mark of rows that hold every stage back.
ANCHOR = -1


@dataclass(frozen=True, eq=False)
class Taught:
    """Encoded ``rows`` (n, features) to teach.

    ``held`` (n,) is the asking rule that holds each, -1 for none; ``near`` (n,) the rule at whose
    edges it was made, `ANCHOR` for rows that hold the model everywhere; ``asked`` (n,) the class
    taught, -1 outside; ``wanted`` (n,) that class where it is looked for, -1 where a row's own
    answer is kept; ``must`` (n,) the lessons, each of which is to be learned.
    """

    rows: Matrix
    held: Indices
    near: Indices
    asked: Indices
    wanted: Indices
    must: Mask

    def of(self, places: Indices) -> Taught:
        """Some of these rows."""
        return Taught(*(getattr(self, name)[places] for name in self.__dataclass_fields__))

    def and_more(self, *others: Taught) -> Taught:
        """These rows, then the others'."""
        every = (self, *others)
        return Taught(*(np.concatenate([getattr(one, name) for one in every]) for name in self.__dataclass_fields__))


class Teacher:
    """Makes the rows of one retraining."""

    def __init__(self, task: Task, course: Course, stages: tuple[Stage, ...]) -> None:
        self.task, self.course, self.stages = task, course, stages
        self.rng = course.rng
        self.feedback: Feedback = task.feedback
        self.spread = any(rule.asks and not is_class(rule) for rule in task.feedback)
        self.most = MOST_OF_A_DISTRIBUTION if self.spread else MOST_INSIDE

    def first(self) -> tuple[Taught, Synthetic]:
        """The rows of the first round, and those of them that were generated in the regions."""
        numbers, generated = self._given(), self._generated()
        own = self.taught(self.task.rows.take(numbers), self.course.held[numbers])
        if self.task.modify == "none":
            inside = own.held >= 0
            own.asked[inside] = self.task.answers[numbers][inside]
            own.wanted[inside] = -1
        made = own.and_more(self.taught(generated.rows, generated.rules))
        lessons = self.taught(*self._lessons(generated))
        lessons.must[:] = True
        made = made.and_more(lessons)
        return made.and_more(*(self._around(stage, made) for stage in self.stages)), generated

    def taught(self, rows: Matrix, near: Indices) -> Taught:
        """Rows with what is asked of them, made for the rules ``near`` (n,)."""
        held = held_by_asking(self.feedback, rows)
        asked = np.append(self.feedback.outcome_codes(), -1)[held]
        return Taught(rows, held, near, asked, asked.copy(), np.zeros(len(rows), dtype=bool))

    def contrasts(self, stage: Stage, rows: Matrix, held: Indices) -> Matrix:
        """The rows, ``held`` by these rules, each with one feature changed that the stage's rules name, if they do."""
        if not stage.edges or not len(rows):
            return rows[:0]
        own = np.where(stage.has(held), held, -1)
        return contrast(rows, stage.edges, own_edges(self.feedback, stage.edges, own, self.rng), self.rng)

    def _around(self, stage: Stage, made: Taught) -> Taught:
        """Contrast rows of a stage, and rows where others take from its regions, or it from theirs."""
        chosen = np.flatnonzero(stage.has(made.held) & (made.wanted >= 0))
        if len(chosen) > MOST_CONTRASTED * len(stage.places):
            chosen = self.rng.choice(chosen, MOST_CONTRASTED * len(stage.places), replace=False)
        if not len(chosen):
            return made.of(chosen)
        own = made.rows[chosen]
        times = max(CONTRASTS, -(-LEAST_CONTRASTS * len(stage.edges) // len(own)))
        boxed = np.concatenate([own[:0], *self._boxed(stage, own)])
        held = np.concatenate([np.repeat(made.held[chosen], times), held_by_asking(self.feedback, boxed)])
        changed = self.contrasts(stage, np.concatenate([np.repeat(own, times, axis=0), boxed]), held)
        rows = np.concatenate([boxed, changed])
        return self.taught(rows, np.full(len(rows), stage.places[0]))

    def _boxed(self, stage: Stage, own: Matrix) -> Iterator[Matrix]:
        """Rows of the regions moved into boxes that are cut out of them, or where they overrule a later rule."""
        regions = [self.feedback.rules[place].region for place in stage.places]
        later = [rule.region for rule in self.feedback.rules[max(stage.places) + 1 :] if is_class(rule)]
        boxes = list(stage.boxes)
        for other in later:
            boxes += [
                mine.box.intersect(theirs.box)
                for region in regions
                for mine in region.parts
                for theirs in other.parts
                if mine.box.meets(theirs.box)
            ]
        chosen = self.rng.permutation(len(boxes))[:MOST_BOXES]
        for number in chosen:
            yield self.course.generator.within(boxes[number], own[self.rng.integers(len(own), size=IN_A_BOX)])

    def _given(self) -> Indices:
        """The numbers of the training rows that are taught: anchors outside, and some of each rule's."""
        course = self.course
        anchors = ANCHORS_OF_A_DISTRIBUTION if self.spread else MOST_ANCHORS
        chosen = []
        for place, most in [(-1, anchors), *((place, self.most) for place in course.rules)]:
            here = course.split.training[course.held_training == place]
            chosen.append(np.sort(self.rng.choice(here, most, replace=False)) if len(here) > most else here)
        return np.concatenate(chosen)

    def _generated(self) -> Synthetic:
        """Rows in each rule's region, within the quota, but enough to learn from where there is one."""
        course = self.course
        made = Synthetic.none(len(self.feedback.schema.features))
        if not course.limit:
            return made
        single = [bases for bases in course.populations if is_class(self.feedback.rules[bases.rule])]
        if single:
            most = max(course.limit // len(course.rules), LEAST_INSIDE)
            count = min(self.task.batch or self.most, most) * len(single)
            made = course.generator.labelled(single, select_random(single, count, self.rng))
        for place in course.rules:
            if not is_class(self.feedback.rules[place]):
                made = made.and_more(self._shuffled(place))
        return made

    def _shuffled(self, place: int) -> Synthetic:
        """Rows of all sorts in the region of a rule that asks for a distribution."""
        generator = self.course.generator
        own = generator.rows[self.course.held[self.course.known] == place]
        if len(own) < FEW_ROWS:
            own = generator.rows[nearby(self.feedback, place, generator.rows, SHUFFLED_ROWS)[0]]
        rows = generator.shuffled(place, own, self.task.batch or SHUFFLED_ROWS)
        answers = draw_answers(self.feedback, place, len(rows), self.rng)
        return Synthetic(rows, answers, np.full(len(rows), place, dtype=np.intp))

    def _lessons(self, inside: Synthetic) -> tuple[Matrix, Indices]:
        """The task's lessons, and rows all over their rules' regions with what no rule names as in a lesson.

        What makes the model sure of another class in one place of a region does so in the others.
        The second array says which rule they are for.
        """
        given = self.task.lessons
        if given is None or not len(given):
            return inside.rows[:0], inside.rules[:0]
        held = held_by_asking(self.feedback, given)
        named = sorted({edge.place for stage in self.stages for edge in stage.edges})
        rows, rules = [given], [held]
        for place in np.unique(held[held >= 0]):
            own = inside.rows[inside.rules == place]
            if len(own):
                some = given[self.rng.choice(np.flatnonzero(held == place), MOST_INSIDE)]
                some[:, named] = own[self.rng.integers(len(own), size=MOST_INSIDE)][:, named]
                some = some[held_by_asking(self.feedback, some) == place]
                rows.append(some)
                rules.append(np.full(len(some), place))
        return np.concatenate(rows), np.concatenate(rules)


def own_part(stage: Stage, taught: Taught, feedback: Feedback) -> Indices:
    """The numbers of the rows that a stage is taught: those of its rules, those at their edges, and the anchors.

    Rows of its regions that a rule before it overrules are left out: that one comes later.
    """
    own = stage.has(taught.held)
    mask = own | stage.has(taught.near) | (taught.near == ANCHOR)
    classes = np.array([*map(is_class, feedback), False])
    overruled = ~own & classes[taught.held]
    numbers = np.flatnonzero(mask & overruled)
    mask[numbers[stage.covers(feedback, taught.rows[numbers])]] = False
    return np.flatnonzero(mask)
