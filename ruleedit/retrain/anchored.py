"""Anchored retraining: boosting goes on from the model in force, which is held where nothing is asked.

The rows are FROTE's: training rows, and synthetic ones in the rules' regions. Inside, the target is
the rule's distribution. Outside it is the model's own answer, so that only what a rule asks for is
learned; contrast rows (`ruleedit.retrain.contrast`) show where a region ends. One such
continuation is one training. It is judged on the same evidence as FROTE's batches; where a rule
lags, or the model answers otherwise outside, more rows are made of both kinds and boosting goes on.

A rule that asks for a class is learned with the features that the rules name, at their own bounds:
what the other features say is the model's business, and a tree that can't split on them can't spoil
it. A distribution has to even out what the model makes of all features, so all are used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleedit.errors import Refused
from ruleedit.graft.force import slope
from ruleedit.matching import Indices, Mask, Matrix, outcome_table
from ruleedit.models import Reals, TableModel, outcome_codes, outcomes
from ruleedit.retrain.continuation import (
    Lesson,
    Settings,
    check_continuable,
    continue_boosting,
    probabilities,
    start_scores,
)
from ruleedit.retrain.contrast import contrast, edges, own_edges
from ruleedit.retrain.course import Course
from ruleedit.retrain.objective import Score, held_by_asking
from ruleedit.retrain.selection import select_random
from ruleedit.retrain.task import Retrained, Stopped, Synthetic, Task

#: At most so many continuations. For one rule the first nearly always does; where several meet, edges are many.
ROUNDS, ROUNDS_OF_SEVERAL = 4, 6
#: So many training rows, drawn at random, hold the model outside: more cost time and change nothing.
MOST_ANCHORS = 5_000
#: At most so many rows of one rule's region, given and synthetic each, are taught. A distribution takes more: what
#: the model makes of every feature has to be evened out.
MOST_INSIDE, MOST_OF_A_DISTRIBUTION = 300, 3_000
#: However small the table is, each rule gets so many: here no number of rows outweighs the anchors.
LEAST_INSIDE = 150
#: And on so many of the validation rows is it judged.
MOST_MEASURED = 4_000
#: At most so many bases a rule: neighbours are looked for among all pairs.
MOST_BASES = 300
#: A tree has room for every rule's edges, up to so many leaves.
MOST_LEAVES = 255
#: How trees grow where every feature is used: smaller ones by smaller steps, each leaf of some rows.
FINE: Mapping[str, Any] = {"least_rows": 5, "rate": 0.2}
#: Contrast rows for each row inside.
CONTRASTS = 3
#: Contrast rows of contrast rows, where counterexamples are taught: so often, each time a feature more.
DEEPER = 5
#: A row has learned its target when it is decided so and its distance (total variation) is at most this.
NEAR_CLASS, NEAR_DISTRIBUTION = 0.1, 0.05
#: A lesson is learned to more than that: where one counterexample lies others are near.
NEAR_LESSON = 0.01
#: Boosting stops when at least this share of the rows inside has learned its target and no more outside is changed.
LEARNED, CHANGED = 0.9995, 0.0002
#: Where more of the validation rows outside are decided otherwise, boosting goes on with more rows,
MOST_FLIPS = 0.0005
#: and where more of the contrast rows made anew, of so many rows taught, are decided as they should not be.
MOST_WRONG, SEARCHED = 0.005, 1_500


def anchored(task: Task) -> Retrained:
    """Retrain by continued boosting; see `ruleedit.retrain.retrain` for what it takes and gives.

    Raises `Refused` without a LightGBM model in force whose trees are summed up.
    """
    if not isinstance(task.model, TableModel):
        raise Refused("'anchored' goes on from a LightGBM model in force; retrain another one with 'adaptive'")
    check_continuable(task.model)
    return _Anchored(task, task.model).run()


@dataclass(frozen=True, eq=False)
class _Made:
    """Rows to teach: encoded ``rows`` (n, features) with ``targets`` (n, classes).

    ``scores`` are the raw scores of the model before; ``wanted`` (n,) is the class asked for, -1
    outside and where a row's own answer is kept; ``must`` (n,) the lessons, each of which is to be
    learned. ``synthetic`` and ``contrasts`` say what of it was generated.
    """

    rows: Matrix
    targets: Reals
    scores: Reals
    wanted: Indices
    synthetic: Synthetic
    contrasts: int
    must: Mask

    def of(self, places: Indices) -> _Made:
        """Some of these rows, all of which were generated for contrast."""
        rows, targets, scores = self.rows[places], self.targets[places], self.scores[places]
        return _Made(rows, targets, scores, self.wanted[places], self.synthetic, len(places), self.must[places])

    def and_more(self, other: _Made) -> _Made:
        """These rows, then the other's."""
        return _Made(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.targets, other.targets]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.wanted, other.wanted]),
            self.synthetic.and_more(other.synthetic),
            self.contrasts + other.contrasts,
            np.concatenate([self.must, other.must]),
        )


class _Anchored:
    """The state of one anchored retraining."""

    def __init__(self, task: Task, model: TableModel) -> None:
        self.task, self.before = task, model
        several = sum(rule.asks for rule in task.feedback) > 1
        self.course = Course(
            task, most=ROUNDS_OF_SEVERAL if several else ROUNDS, bases=MOST_BASES, measured=MOST_MEASURED
        )
        self.rng = self.course.rng
        self.edges = edges(task.feedback, task.background)
        self.asked = outcome_table([rule.outcome for rule in task.feedback], task.feedback.schema.classes)
        self.everywhere = any(rule.asks and not rule.outcome.is_class for rule in task.feedback)
        self.most = MOST_OF_A_DISTRIBUTION if self.everywhere else MOST_INSIDE

    def run(self) -> Retrained:
        """Go on boosting, each time with more of the rows that the model still gets wrong."""
        candidate = model = self.before
        best: Score | None = None
        value, accepted = -math.inf, 0
        stopped: Stopped = "iterations"
        made = self._first()
        while self.course.trainings < self.course.most and stopped != "target":
            candidate = self._continued(candidate, made)
            score = self.course.measure(candidate, len(made.synthetic), best)
            more, wrong = self._searched(candidate, made)
            if score.objective - wrong - (score.flips or 0.0) > value:
                value = score.objective - wrong - (score.flips or 0.0)
                model, best, accepted = candidate, score, accepted + 1
            if score.reaches(self.task.target) and (score.flips or 0.0) <= MOST_FLIPS and wrong <= MOST_WRONG:
                stopped = "target"
            made = made.and_more(more)
        return self._finished(model, made, accepted, stopped)

    def _first(self) -> _Made:
        """Training rows, generated ones in the regions, and contrast rows made of both."""
        numbers, inside = self._given(), self._generated()
        own = self.task.rows[numbers]
        lessons = self._lessons(inside)
        sources = np.concatenate([inside.rows, own[self.course.held[numbers] >= 0], lessons])
        changed = self._contrasts(np.repeat(sources, CONTRASTS, axis=0))
        if len(lessons):
            # Where a proof is wanted the places count in which several values are rare at once.
            changed = np.concatenate([changed, *self._deeper(changed)])
        made = self._taught(np.concatenate([own, inside.rows, lessons, changed]), inside, len(lessons) + len(changed))
        made.must[len(own) + len(inside) :][: len(lessons)] = True
        if self.task.modify == "none":
            kept = np.flatnonzero(self.course.held[numbers] >= 0)
            made.targets[kept] = np.eye(made.targets.shape[1])[self.task.answers[numbers[kept]]]
            made.wanted[kept] = -1
        return made

    def _lessons(self, inside: Synthetic) -> Matrix:
        """The task's lessons, and rows all over their rules' regions with what no rule names as in a lesson.

        What makes the model sure of another class in one place of a region does so in the others.
        """
        given = self.task.lessons
        if given is None or not len(given):
            return inside.rows[:0]
        named = [edge.place for edge in self.edges]
        held = held_by_asking(self.task.feedback, given)
        spread = [given]
        for place in np.unique(held[held >= 0]):
            own = inside.rows[inside.rules == place]
            if len(own):
                rows = given[self.rng.choice(np.flatnonzero(held == place), MOST_INSIDE)]
                rows[:, named] = own[self.rng.integers(len(own), size=MOST_INSIDE)][:, named]
                spread.append(rows[held_by_asking(self.task.feedback, rows) == place])
        return np.concatenate(spread)

    def _deeper(self, rows: Matrix) -> Iterator[Matrix]:
        for _ in range(DEEPER):
            rows = self._contrasts(rows)
            yield rows

    def _searched(self, model: TableModel, made: _Made) -> tuple[_Made, float]:
        """New contrast rows that the model gets wrong, with as many that it gets right; and the share of the wrong."""
        chosen = self.rng.choice(len(made.rows), min(SEARCHED, len(made.rows)), replace=False)
        once = self._contrasts(made.rows[chosen])
        found = self._taught(np.concatenate([once, self._contrasts(once)]), Synthetic.none(once.shape[1]), 0)
        own = outcome_codes(probabilities(found.scores, slope(self.before.file)), self.before.thresholds)
        wrong = outcomes(model, found.rows) != np.where(found.wanted < 0, own, found.wanted)
        right = np.flatnonzero(~wrong)
        few = self.rng.choice(right, min(len(right), int(wrong.sum())), replace=False)
        kept = np.sort(np.concatenate([np.flatnonzero(wrong), few]))
        return found.of(kept), float(wrong.mean()) if len(wrong) else 0.0

    def _contrasts(self, rows: Matrix) -> Matrix:
        """The rows, each with one feature changed; none where no rule names a feature."""
        if not self.edges:
            return rows[:0]
        held = held_by_asking(self.task.feedback, rows)
        return contrast(rows, self.edges, own_edges(self.task.feedback, self.edges, held, self.rng), self.rng)

    def _taught(self, rows: Matrix, synthetic: Synthetic, contrasts: int) -> _Made:
        """Rows with their targets: what the rule that holds a row says, else what the model says."""
        held = held_by_asking(self.task.feedback, rows)
        scores, targets = start_scores(self.before, rows)
        targets[held >= 0] = self.asked[held[held >= 0]]
        wanted = np.append(self.task.feedback.outcome_codes(), -1)[held]
        return _Made(rows, targets, scores, wanted, synthetic, contrasts, np.zeros(len(rows), dtype=bool))

    def _given(self) -> Indices:
        """The numbers of the training rows that are taught: anchors outside, and some of each rule's."""
        course = self.course
        places = [(-1, MOST_ANCHORS), *((place, self.most) for place in course.rules)]
        chosen = []
        for place, most in places:
            here = course.split.training[course.held_training == place]
            chosen.append(np.sort(self.rng.choice(here, most, replace=False)) if len(here) > most else here)
        return np.concatenate(chosen)

    def _generated(self) -> Synthetic:
        """Rows in each rule's region, within the quota, but enough to learn from where there is one."""
        course = self.course
        most = max(course.limit // max(len(course.rules), 1), LEAST_INSIDE if course.limit else 0)
        count = min(self.task.batch or self.most, most) * len(course.rules)
        if not count:
            return Synthetic.none(self.task.rows.shape[1])
        return course.generator.labelled(course.populations, select_random(course.populations, count, self.rng))

    def _continued(self, model: TableModel, made: _Made) -> TableModel:
        """One training."""
        self.course.check_stop()
        own = probabilities(made.scores, slope(self.before.file))
        scores = made.scores if model is self.before else model.raw_score(made.rows)
        settings = Settings(
            self.edges,
            self.everywhere,
            leaves=min(31 + 16 * len(self.course.rules), MOST_LEAVES),
            **(FINE if self.everywhere else {}),
            seed=self.task.seed,
            enough=_Enough(made, outcome_codes(own, model.thresholds), model.thresholds),
            check_stop=self.course.check_stop,
        )
        lesson = Lesson(made.rows, made.targets, scores, made.wanted < 0)
        about = ("continue", str(self.task.seed), model.text, made.rows, made.targets)
        after = self.course.remembered(lambda: continue_boosting(model, lesson, settings), *about)
        assert isinstance(after, TableModel)
        return after

    def _finished(self, model: TableModel, made: _Made, accepted: int, stopped: Stopped) -> Retrained:
        course = self.course
        course.report(done=True)
        trees = len(model.file.trees) - len(self.before.file.trees)
        note = (
            f"{trees} trees added; {made.contrasts} contrast rows beside the synthetic ones, taught the model's answer"
        )
        return Retrained(
            model=model,
            strategy="anchored",
            trainings=course.trainings,
            accepted=accepted,
            curve=tuple(course.curve),
            stopped=stopped,
            refitted=False,
            used=course.split.training,
            modified=np.where(course.keep, course.answers, -1),
            generated=made.synthetic,
            notes=(*course.notes, note),
        )


class _Enough:
    """Whether the rows have learned their targets and nothing else has changed."""

    def __init__(self, made: _Made, own: Indices, thresholds: tuple[float, ...]) -> None:
        self.made, self.own, self.thresholds = made, own, thresholds
        self.inside: Mask = made.wanted >= 0
        certain = made.targets[self.inside].max(axis=1) == 1.0
        self.near = np.where(certain, NEAR_CLASS, NEAR_DISTRIBUTION)
        self.must = made.must[self.inside]
        self.near[self.must & certain] = NEAR_LESSON

    def __call__(self, found: Reals) -> bool:
        codes = outcome_codes(found, self.thresholds)
        changed = codes[~self.inside] != self.own[~self.inside]
        if len(changed) and changed.mean() > CHANGED:
            return False
        apart = np.abs(found[self.inside] - self.made.targets[self.inside]).sum(axis=1) / 2.0
        learned = (apart <= self.near) & (codes[self.inside] == self.made.wanted[self.inside])
        return not len(learned) or bool(learned.mean() >= LEARNED and learned[self.must].all())
