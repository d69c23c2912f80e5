"""What continued boosting pulls at: each row's gradient and curvature before each iteration, and when to stop.

Three kinds. Towards a class (`Lift`) a row asks for as much raw score as it lacks, and for nothing
once it is decided so by a margin; rows outside ask to be left where they are. So one leaf that
holds a region gives all of it what its most reluctant row needs, in few trees. Towards a
distribution no score is too much that is added everywhere: what the model says of each row has to
be taken back, and is as intricate as the model. So rows ask for it in the steps in which the model
says it (`Unwind`), each simple enough for one tree; what is left then they pull at by cross-entropy
against soft targets, from either side (`Soft`). In all the gradient of a row outside is exactly
zero at the start: it pulls only at what a tree does to it by mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ruleedit.matching import Indices, Mask, Matrix
from ruleedit.models import Reals, outcome_codes

#: A row has learned its target when it is decided so and its distance (total variation) is at most this.
NEAR_CLASS, NEAR_DISTRIBUTION = 0.1, 0.05
#: A lesson is learned to more than that: where one counterexample lies others are near.
NEAR_LESSON = 0.01
#: Boosting stops when at least this share of the rows inside has learned its target and no more outside is changed.
LEARNED, CHANGED = 0.9995, 0.0002
#: Towards a distribution no row asks for more than this at once, in units of raw score, before the learning rate:
#: where a model is all but certain of another class the curvature is next to nothing, and Newton's step next to
#: infinite.
LARGEST_STEP = 6.0
#: The curvature of an anchor is at least this, so that rows of which the model is certain hold a leaf back too.
ANCHOR_CURVATURE = 0.02
#: And of any row: LightGBM guesses the rows of a leaf from its curvature, and from next to nothing it guesses wrong.
LEAST_CURVATURE = 1e-3
#: An outcome that a distribution gives nothing gets so much all the same: the logarithm of nothing is no score.
LEAST_SHARE = 1e-3
#: A rule's rows are lifted by what the most reluctant one lacks, and by so many times more what that is beyond their
#: median: among the rows to come, which are more, some lack more. (Of Adult's 48,842 rows, with 20 rules and six seeds,
#: the worst rule agreed to 0.982 without.)
RESERVE = 1.0
#: Nothing lacks more score than this: exp(-746) is 0.
MOST_LACKING = 750.0


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is taught: encoded ``rows`` (n, features) with ``targets`` (n, classes), rows of probabilities.

    ``scores`` are the raw scores that boosting starts from, as `TableModel.raw_score` gives them;
    ``anchors`` (n,) are the rows that are to stay as they are. ``wanted`` (n,) is the class that is
    looked for, -1 where none is; ``must`` (n,) are the rows each of which is to be learned.
    ``relative`` (n,), None for no row, are anchors whose scores are counted from the model's own.
    """

    rows: Matrix
    targets: Reals
    scores: Reals
    anchors: Mask
    wanted: Indices
    must: Mask
    relative: Mask | None = None


class Goal:
    """Whether the rows of a lesson have learned their targets and nothing else has changed.

    ``factor`` is the slope of the model's logistic function, ``thresholds`` say what its
    probabilities decide. What a row's score is ``relative`` to ``ask`` is asked for when a tree first
    moves it: few ever are, and asking the model takes longer than all else.
    """

    def __init__(
        self, lesson: Lesson, factor: float, thresholds: tuple[float, ...], ask: Callable[[Matrix], Reals] | None = None
    ) -> None:
        self.lesson, self.factor, self.thresholds, self.ask = lesson, factor, thresholds, ask
        self.targets, self.inside = lesson.targets, lesson.wanted >= 0
        self.unknown = np.zeros(len(lesson.rows), dtype=bool) if lesson.relative is None else lesson.relative.copy()
        self.offset = np.zeros_like(lesson.scores)
        own = outcome_codes(probabilities(lesson.scores, factor), thresholds)
        self.codes = np.where(self.inside, lesson.wanted, own)
        self.must = lesson.must & self.inside
        certain = lesson.targets.max(axis=1, initial=0.0) == 1.0
        self.near = np.where(certain, np.where(lesson.must, NEAR_LESSON, NEAR_CLASS), NEAR_DISTRIBUTION)

    def __call__(self, scores: Reals) -> tuple[bool, Mask]:
        """Whether it is reached by raw scores, and the rows (n,) that have learned their target."""
        self._look_up(scores)
        found = probabilities(scores + self.offset, self.factor)
        right = self.unknown | (outcome_codes(found, self.thresholds) == self.codes)
        learned = right & (np.abs(found - self.targets).sum(axis=1) / 2.0 <= self.near)
        reached = (
            _mean(~right[~self.inside]) <= CHANGED
            and _mean(~learned[self.inside]) <= 1.0 - LEARNED
            and bool(learned[self.must].all())
        )
        return reached, learned

    def _look_up(self, scores: Reals) -> None:
        """Ask what the model says of the rows that have moved for the first time."""
        begun = self.lesson.scores
        moved = np.flatnonzero(self.unknown & (scores != begun).reshape(len(scores), -1).any(axis=1))
        if len(moved):
            assert self.ask is not None, "scores are relative to what somebody can say"
            self.offset[moved] = self.ask(self.lesson.rows[moved])
            self.unknown[moved] = False
            own = probabilities(begun[moved] + self.offset[moved], self.factor)
            self.codes[moved] = outcome_codes(own, self.thresholds)


class Soft:
    """Cross-entropy against soft targets."""

    def __init__(self, lesson: Lesson, factor: float, goal: Goal) -> None:
        self.targets, self.factor, self.goal = lesson.targets, factor, goal
        self.least = np.where(lesson.anchors, ANCHOR_CURVATURE, LEAST_CURVATURE)[:, None]

    def __call__(self, scores: Reals) -> tuple[Reals, Reals] | None:
        """The gradient and the curvature of each row, in the shape of the scores; None where the goal is reached."""
        if self.goal(scores)[0]:
            return None
        found = probabilities(scores, self.factor)
        gradient = found - self.targets
        curvature = np.maximum(found * (1.0 - found), np.maximum(np.abs(gradient) / LARGEST_STEP, self.least))
        if scores.ndim == 1:
            gradient, curvature = gradient[:, 1], curvature[:, 1]
        return self.factor * gradient, self.factor**2 * curvature


class Unwind:
    """What the model in force says taken back, step by step, and the targets put in its place.

    A row's margin is the sum of what ``steps`` steps of the model say, each given by ``step`` for all
    rows in the shape of the scores. Boosting starts at that sum, and its next tree is taught to take
    the next step back, with whatever trees before it got wrong; the first puts the target there too.
    After the last one trees go on until the goal is reached.
    """

    def __init__(self, lesson: Lesson, factor: float, goal: Goal, step: Callable[[int], Reals], steps: int) -> None:
        self.start, self.factor, self.goal, self.step, self.steps = lesson.scores, factor, goal, step, steps
        self.inside = ~lesson.anchors
        aim = np.log(np.maximum(lesson.targets, LEAST_SHARE))
        aim -= aim.mean(axis=1, keepdims=True)
        self.aim = (2.0 * aim[:, 1] / factor if lesson.scores.ndim == 1 else aim)[self.inside]
        self.left, self.taken = lesson.scores[self.inside], 0

    def __call__(self, scores: Reals) -> tuple[Reals, Reals] | None:
        """The gradient and the curvature of each row, in the shape of the scores; None where the goal is reached."""
        if self.taken < self.steps:
            self.left = self.left - self.step(self.taken)[self.inside]
            self.taken += 1
        elif self.goal(scores)[0]:
            return None
        wanted = self.start.copy()
        wanted[self.inside] = self.aim + self.left
        return scores - wanted, np.ones_like(scores)


class Lift:
    """As much score for each row towards its target's class as the most reluctant row lacks, with a margin.

    All rows inside ask for the same, so a tree has nothing to tell them apart by, and splits at
    the regions' edges alone. After the first tree those that have learned their class ask for no more.
    """

    def __init__(self, lesson: Lesson, factor: float, goal: Goal) -> None:
        self.start, self.factor, self.goal = lesson.scores, factor, goal
        self.rows = np.flatnonzero(~lesson.anchors)
        self.codes = lesson.targets.argmax(axis=1)[self.rows]
        thresholds = np.array(goal.thresholds)
        others = np.array([np.delete(thresholds, place).min() for place in range(len(thresholds))])
        needed = np.maximum(1.0 - goal.near[self.rows], (thresholds / (thresholds + others))[self.codes])
        # Half-way between what is needed and certainty.
        self.aim = np.log1p(needed) - np.log1p(-needed)
        self.begun = False

    def __call__(self, scores: Reals) -> tuple[Reals, Reals] | None:
        """The gradient and the curvature of each row, in the shape of the scores; None where the goal is reached."""
        reached, learned = self.goal(scores)
        if reached:
            return None
        asks = ~learned[self.rows] | (not self.begun)
        self.begun = True
        gradient, curvature = scores - self.start, np.ones_like(scores)
        lacking = (self.aim - self._margins(scores[self.rows]))[asks]
        most = lacking.max(initial=0.0)
        if len(lacking):
            most += RESERVE * (most - np.median(lacking))
        pull = np.where(asks, np.clip(most, 0.0, MOST_LACKING) / self.factor, 0.0)
        weight = np.where(asks, 1.0, LEAST_CURVATURE)
        if scores.ndim == 1:
            gradient[self.rows], curvature[self.rows] = np.where(self.codes == 1, -pull, pull), weight
        else:
            gradient[self.rows], curvature[self.rows] = 0.0, LEAST_CURVATURE
            gradient[self.rows, self.codes], curvature[self.rows, self.codes] = -pull, weight
        return gradient, curvature

    def _margins(self, scores: Reals) -> Reals:
        """The log odds of the class of each of its rows."""
        if scores.ndim == 1:
            return np.asarray(self.factor * scores * np.where(self.codes == 1, 1.0, -1.0))
        places = np.arange(len(scores))
        own, others = scores[places, self.codes], scores.copy()
        others[places, self.codes] = -np.inf
        return np.asarray(own - np.logaddexp.reduce(others, axis=1))


def probabilities(scores: Reals, factor: float) -> Reals:
    """The probabilities (n, classes) of raw scores: (n,) by the logistic function of ``factor`` times the score, (n,
    classes) by softmax.
    """
    if scores.ndim == 2:
        grown = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))
    # The smaller of the two is worked out, never one less the larger: exp overflows on the other side.
    small = np.exp(-factor * np.abs(scores))
    small = small / (1.0 + small)
    second = np.where(scores < 0.0, small, 1.0 - small)
    return np.column_stack([1.0 - second, second])


def _mean(flags: Mask) -> float:
    return float(flags.mean()) if len(flags) else 0.0
