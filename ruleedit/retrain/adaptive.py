"""Adaptive retraining: relabel, then batches that grow and shrink, each spent on the rules that lag.

FROTE (`ruleedit.retrain.greedy`) shares small batches of one size among all rules, so most of its
trainings teach rules that need nothing more. Here a rule's first rows come with the first
training where it has too few of its own, each later batch goes to the rules below the target
alone, twice as large as the one before while that helps, half as large after one that cost
more outside than it gained. Half of a batch are FROTE's rows; the other half are training rows from
nearby moved into the region, as various as the rows to come are, where FROTE's resemble one
another: a text is the commonest of six rows'. Of either some lie at the edges of the region, inside
(`ruleedit.retrain.contrast`): a model that was taught the middle alone is unsure there.

Several rules take much of a small table up, and what is taught inside of them spreads. So beside the
rows inside come rows just outside, contrast rows as `anchored` has them, with the answers of the model
in force.

What is measured, and the last training with the validation part in, are as with `greedy`. Only
``trainer`` is asked for models, so that any classifier can be retrained.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ruleedit.matching import Indices, Matrix
from ruleedit.models import Model, outcomes
from ruleedit.retrain.contrast import contrast, edges, own_edges
from ruleedit.retrain.course import PROBES, Course
from ruleedit.retrain.modify import draw_answers
from ruleedit.retrain.objective import Score
from ruleedit.retrain.population import Population, around
from ruleedit.retrain.selection import select_by_program, usefulness
from ruleedit.retrain.task import Retrained, Stopped, Synthetic, Task

#: A rule is taught by this share of the training rows from the start, within so many rows. (On covertype 4% left
#: held-out agreement at 0.98 where 8% gave 1.0; on Adult 2,000 rows do.)
FIRST_SHARE, FIRST_ROWS, MOST_FIRST = 0.08, 100, 2_000
#: A rule that has rows enough of its own still gets this part of it, for its edges.
ALWAYS = 0.25
#: Batches grow and shrink by this factor.
FACTOR = 2.0
#: At most so many batches after the first: with the first training and the last one 4 trainings for one rule, 10 for
#: several. What these don't reach more of the same doesn't either.
BATCHES, BATCHES_OF_SEVERAL = 2, 8
#: However small the table is, the quota is that of so many rows for each of several rules: within half of 723 loans 20
#: rules would get 18 each. (On seven tables of up to 2,000 rows, 20 rules at once, agreement was 0.87 then; 0.98 so.)
ROWS_OF_SEVERAL = 400
#: And so many rows outside for each one inside, with the answers of the model in force. (In those trials 9% of the
#: decisions outside changed without, 4% do.)
OUTSIDE = 2
#: No batch of a rule has fewer rows: fewer teach a model with leaves of 10 rows or more nothing.
LEAST_BATCH = 20
#: The share of a batch that lies at the edges of the region.
AT_THE_EDGES = 0.5


def adaptive(task: Task) -> Retrained:
    """Retrain with batches for the rules that lag; see `ruleedit.retrain.retrain` for what it takes and gives."""
    return _Adaptive(task).run()


class _Adaptive:
    """The state of one adaptive retraining."""

    def __init__(self, task: Task) -> None:
        self.task = task
        several = sum(rule.asks for rule in task.feedback) > 1
        self.batches = min(task.iterations, BATCHES_OF_SEVERAL if several else BATCHES)
        # The start, the batches and the last training.
        self.course = Course(task, most=self.batches + 2)
        self.outside = OUTSIDE if several and task.model is not None else 0
        if several:
            least = math.floor(task.quota * ROWS_OF_SEVERAL) * len(self.course.rules)
            self.course.limit = max(self.course.limit, least)
        # Only rows inside are taught here, so more that are missing show no split where to part them.
        self.edges = edges(task.feedback, task.background, missing_often=False)
        first = min(max(FIRST_ROWS, math.ceil(FIRST_SHARE * len(task.rows))), MOST_FIRST)
        share = self.course.limit // max(2 * len(self.course.rules), 1)
        self.first = min(task.batch or first, max(share, LEAST_BATCH))
        self.sizes = np.full(len(self.course.rules), float(self.first))
        # The quota is of rows inside.
        self.course.limit *= 1 + self.outside

    def run(self) -> Retrained:
        """Train, add rows for the rules that lag while they help, and train a last time."""
        course, task = self.course, self.task
        kept = course.begun(self._batch(None, self._lacking()))
        stopped: Stopped = "iterations"
        for _ in range(self.batches):
            if kept.score.reaches(task.target):
                break
            batch = self._batch(kept.model, self._wanted(kept.score, len(kept.rows)))
            if not len(batch):
                stopped = "quota" if course.limit - len(kept.rows) < LEAST_BATCH else "nothing-generated"
                break
            best = kept.score
            kept, score = course.tried(kept, batch)
            self._resize(score, best)
        return course.finished(
            kept,
            stopped,
            strategy="adaptive",
            make=lambda count: self._batch(kept.model, self._shared(kept.rows, count)),
        )

    def _lacking(self) -> Indices:
        """How many rows each rule lacks of its first share; one that has enough gets some for its edges."""
        held = self.course.held_training
        own = np.array([int((held == place).sum()) for place in self.course.rules], dtype=np.intp)
        return self._within(np.maximum(self.first - own, math.ceil(ALWAYS * self.first)), 0)

    def _wanted(self, score: Score, have: int) -> Indices:
        """How many rows each rule gets next: those that lag their present size."""
        lags = np.array([agreement is not None and agreement < self.task.target for agreement in score.by_rule])
        return self._within(np.where(lags, self.sizes, 0.0), have)

    def _shared(self, kept: Synthetic, count: int) -> Indices:
        """``count`` rows shared among the rules as the kept ones are."""
        have = np.array([int((kept.rules == place).sum()) for place in self.course.rules], dtype=float)
        return np.asarray(np.floor(count * have / max(len(kept), 1)), dtype=np.intp)

    def _within(self, counts: npt.NDArray[Any], have: int) -> Indices:
        """The counts, scaled down to what the quota leaves."""
        left = (self.course.limit - have) // (1 + self.outside)
        if have and left < LEAST_BATCH:
            return np.zeros(len(counts), dtype=np.intp)
        factor = min(1.0, left / max(float(counts.sum()), 1.0))
        return np.asarray(np.floor(counts * factor), dtype=np.intp)

    def _resize(self, score: Score, best: Score) -> None:
        """Grow the batches of rules that got no worse, unless the objective paid for it outside."""
        worse_outside = score.objective <= best.objective and (score.agreement or 0.0) > (best.agreement or 0.0)
        factor = 1.0 / FACTOR if worse_outside else FACTOR
        lags = np.array([agreement is not None and agreement < self.task.target for agreement in score.by_rule])
        self.sizes[lags] = np.maximum(self.sizes[lags] * factor, LEAST_BATCH)

    def _batch(self, model: Model | None, counts: Indices) -> Synthetic:
        """So many rows for each rule, with answers drawn from its distribution, and rows outside."""
        batch = Synthetic.none(len(self.task.feedback.schema.features))
        for bases, count in zip(self.course.populations, counts, strict=True):
            if count and len(bases):
                batch = batch.and_more(self._of_rule(bases, int(count), model))
        return batch.and_more(self._around(batch))

    def _around(self, batch: Synthetic) -> Synthetic:
        """Rows that no rule holds, each the batch's but for one feature, with the answers of the model in force."""
        task, rng = self.task, self.course.rng
        if task.model is None or not self.edges or not (len(batch) and self.outside):
            return batch.of(np.zeros(0, dtype=np.intp))
        # About every third falls outside.
        own = batch.of(rng.integers(len(batch), size=3 * self.outside * len(batch)))
        rows = contrast(own.rows, self.edges, own_edges(task.feedback, self.edges, own.rules, rng), rng)
        rows = rows[task.feedback.assign(rows) < 0][: self.outside * len(batch)]
        return Synthetic(rows, outcomes(task.model, rows), np.full(len(rows), -1, dtype=np.intp))

    def _of_rule(self, bases: Population, count: int, model: Model | None) -> Synthetic:
        between = self.course.generator.make(bases, self._bases(bases, count - count // 2, model))
        rows = np.concatenate([between, self._moved(bases.rule, count // 2)])
        rng, feedback = self.course.rng, self.task.feedback
        if self.edges:
            held = np.full(len(rows), bases.rule, dtype=np.intp)
            moved = contrast(rows, self.edges, own_edges(feedback, self.edges, held, rng), rng)
            # At an edge where the row stays in the region, as it was where it fell out of it.
            stays = (rng.random(len(rows)) < AT_THE_EDGES) & (feedback.assign(moved) == bases.rule)
            rows[stays] = moved[stays]
        answers = draw_answers(feedback, bases.rule, len(rows), rng)
        return Synthetic(rows, answers, np.full(len(rows), bases.rule, dtype=np.intp))

    def _moved(self, rule: int, count: int) -> Matrix:
        """Training rows from near a rule's region, moved into it: as various as the rows to come are."""
        rows = self.course.generator.rows
        # From as far as the probe rows come, of which there are as many for fewer rows.
        enough = max(count, PROBES * len(rows) // max(len(self.course.split.validation), 1))
        near = around(self.task.feedback, rule, rows, enough)
        return self.course.generator.moved(rule, rows[self.course.rng.choice(near, count, replace=count > len(near))])

    def _bases(self, bases: Population, count: int, model: Model | None) -> Indices:
        if self.task.selection == "integer-program" and model is not None:
            weights = usefulness(bases, self.task.feedback, self.course.generator.rows, model)
            return select_by_program([bases], [weights], count, self.course.rng)[0]
        return self.course.rng.choice(len(bases), size=count, replace=count > len(bases)).astype(np.intp)
