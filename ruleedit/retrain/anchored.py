"""Anchored retraining: boosting goes on from the model in force, which is held where nothing is asked.

The rows are FROTE's: training rows, and synthetic ones in the rules' regions. Inside, the target is
the rule's distribution. Outside it is the model's own answer, so that only what a rule asks for is
learned; contrast rows (`ruleedit.retrain.contrast`) show where a region ends. The rules are learned
in stages, each from the rows around its regions (`ruleedit.retrain.stages`). Once through all of
them is one training. It is judged on the same evidence as FROTE's batches; where a rule lags, or
the model answers otherwise outside, more rows are made of both kinds and boosting goes on.
"""

from __future__ import annotations

import math

import numpy as np

from ruleedit.errors import Refused
from ruleedit.graft.force import slope
from ruleedit.matching import Indices, outcome_table
from ruleedit.models import Reals, TableModel, outcome_codes
from ruleedit.retrain.continuation import (
    Grown,
    Pull,
    Settings,
    Steps,
    check_continuable,
    continue_boosting,
    raw_scores,
)
from ruleedit.retrain.course import PROBES, Course
from ruleedit.retrain.objective import Score
from ruleedit.retrain.population import nearby
from ruleedit.retrain.pulls import Goal, Lesson, Lift, Soft, Unwind, probabilities
from ruleedit.retrain.stages import Stage, stages
from ruleedit.retrain.task import Retrained, Stopped, Synthetic, Task
from ruleedit.retrain.taught import Taught, Teacher, own_part

#: At most so many continuations. For one rule the first nearly always does; where several meet, edges are many.
ROUNDS, ROUNDS_OF_SEVERAL = 4, 6
#: And on so many of the validation rows is it judged.
MOST_MEASURED = 2_000
#: Where several rules are asked for, so many probe rows of each: asking the model costs more than teaching it.
PROBES_OF_SEVERAL = 100
#: At most so many bases a rule: neighbours are looked for among all pairs.
MOST_BASES = 150
#: Where more of the validation rows outside are decided otherwise, boosting goes on with more rows,
MOST_FLIPS = 0.0005
#: and where more of the contrast rows made anew, of so many rows taught for a rule, are decided as they should not be.
MOST_WRONG, SEARCHED = 0.005, 100
#: So many training rows are moved into the region of a rule that lags, to find what the model still gets wrong.
MOVED = 500


def anchored(task: Task) -> Retrained:
    """Retrain by continued boosting; see `ruleedit.retrain.retrain` for what it takes and gives.

    Raises `Refused` without a LightGBM model in force whose trees are summed up.
    """
    if not isinstance(task.model, TableModel):
        raise Refused("'anchored' goes on from a LightGBM model in force; retrain another one with 'adaptive'")
    check_continuable(task.model)
    return _Anchored(task, task.model).run()


class _Anchored:
    """The state of one anchored retraining."""

    def __init__(self, task: Task, model: TableModel) -> None:
        self.task = task
        self.before = Grown(model)
        self.factor, self.thresholds = slope(model.file), model.thresholds
        several = sum(rule.asks for rule in task.feedback) > 1
        most = ROUNDS_OF_SEVERAL if several else ROUNDS
        probes = PROBES_OF_SEVERAL if several else PROBES
        self.course = Course(
            task, most=most, bases=MOST_BASES, measured=MOST_MEASURED, probes=probes, asked=self.before
        )
        self.stages = stages(task.feedback, task.background)
        self.teacher = Teacher(task, self.course, self.stages)
        #: How many rows boosting went through, tree by tree.
        self.seen = 0
        self.targets = outcome_table([rule.outcome for rule in task.feedback], task.feedback.schema.classes)

    def run(self) -> Retrained:
        """Go on boosting, each time with more of the rows that the model still gets wrong."""
        candidate = kept = self.before
        best: Score | None = None
        value, accepted = -math.inf, 0
        stopped: Stopped = "iterations"
        taught, generated = self.teacher.first()
        starts = self._starts(taught)
        while self.course.trainings < self.course.most and stopped != "target":
            candidate, begun = self._round(candidate, taught, starts), candidate
            self.seen += len(taught.rows) * (len(candidate.added) - len(begun.added))
            score = self.course.measure(candidate, len(generated), best)
            more, wrong = self._searched(candidate, taught, score)
            if score.objective - wrong - (score.flips or 0.0) > value:
                value = score.objective - wrong - (score.flips or 0.0)
                kept, best, accepted = candidate, score, accepted + 1
            if score.reaches(self.task.target) and (score.flips or 0.0) <= MOST_FLIPS and wrong <= MOST_WRONG:
                stopped = "target"
            else:
                taught = taught.and_more(more)
                starts = np.concatenate([starts, self._starts(more)])
        return self._finished(kept, taught, generated, accepted, stopped)

    def _starts(self, taught: Taught) -> Reals:
        """The raw scores that boosting starts from; 0 for rows outside where no stage needs to know what they are."""
        model = self.before.before
        if self.teacher.spread:
            return model.raw_score(taught.rows)
        inside = taught.held >= 0
        known = model.raw_score(taught.rows[inside])
        scores = np.zeros((len(inside), *known.shape[1:]))
        scores[inside] = known
        return scores

    def _round(self, model: Grown, taught: Taught, starts: Reals) -> Grown:
        """One training: every stage goes on boosting, from where those before it have come."""
        self.course.check_stop()

        def go_on() -> TableModel:
            grown, scores = model, starts + model.gain(taught.rows)
            shown = model.before.encode_for_file(taught.rows)
            for stage in self.stages:
                blocks, booster = self._boosted(stage, taught, scores, unwound=bool(model.added))
                if blocks:
                    grown, scores = grown.more(blocks), scores + raw_scores(booster, shown)
            return grown.model

        about = (str(self.task.seed), "".join(model.added), self.targets, taught.rows, taught.asked, taught.must)
        after = self.course.remembered(go_on, "continue", *about)
        assert isinstance(after, TableModel)
        return Grown.of(self.before, after)

    def _boosted(self, stage: Stage, taught: Taught, scores: Reals, *, unwound: bool) -> tuple[tuple[str, ...], object]:
        """The trees that one stage adds; ``unwound`` says that it has taken the model's own back before."""
        numbers = own_part(stage, taught, self.task.feedback)
        some, start = taught.of(numbers), scores[numbers]
        targets = probabilities(start, self.factor)
        here = stage.has(some.held)
        wanted = np.where(here, some.wanted, -1)
        if not (wanted >= 0).any():
            return (), None
        targets[here] = self._targets(some.held[here], some.asked[here], some.wanted[here])
        relative = None if self.teacher.spread else some.held < 0
        lesson = Lesson(some.rows, targets, start, ~here, wanted, some.must, relative)
        goal = Goal(lesson, self.factor, self.thresholds, self.before.before.raw_score)
        growth = stage.growth
        pull: Pull = (Soft if stage.everywhere else Lift)(lesson, self.factor, goal)
        # Rows that keep their own answer against the rule contradict the others: only shares can say both.
        if stage.everywhere and not unwound and (wanted[here] >= 0).all():
            steps = Steps(self.before.before, some.rows)
            pull, growth = Unwind(lesson, self.factor, goal, steps, len(steps)), stage.unwinding(len(steps))
        settings = Settings(
            stage.edges, stage.everywhere, **growth, seed=self.task.seed, check_stop=self.course.check_stop
        )
        return continue_boosting(self.before.before, some.rows, start, pull, settings)

    def _targets(self, held: Indices, asked: Indices, wanted: Indices) -> Reals:
        """What the rules say, or the class of a row that keeps its own answer."""
        return np.where(wanted[:, None] >= 0, self.targets[held], np.eye(self.targets.shape[1])[asked])

    def _searched(self, model: Grown, taught: Taught, score: Score) -> tuple[Taught, float]:
        """New rows that the model gets wrong: contrast rows, of which the share is given too, and of rules that lag
        rows moved into the region.

        Outside it gets right what the added trees leave as it was.
        """
        contrasts = self._contrasts(taught)
        found = self._wrong(model, contrasts)
        share = len(found.rows) / max(len(contrasts.rows), 1)
        return found.and_more(self._wrong(model, self._moved(score))), share

    def _contrasts(self, taught: Taught) -> Taught:
        """Contrast rows of every stage, once and twice from rows that were taught for its rules."""
        found = []
        for stage in self.stages:
            own = np.flatnonzero(stage.has(taught.held) | stage.has(taught.near))
            chosen = self.course.rng.choice(own, min(SEARCHED, len(own)), replace=False)
            near = np.full(len(chosen), stage.places[0])
            once = self.teacher.taught(self.teacher.contrasts(stage, taught.rows[chosen], taught.held[chosen]), near)
            twice = self.teacher.contrasts(stage, once.rows, once.held)
            found += [once, self.teacher.taught(twice, near[: len(twice)])]
        return taught.of(np.zeros(0, dtype=np.intp)).and_more(*found)

    def _moved(self, score: Score) -> Taught:
        """Training rows from near the regions of the rules that lag, moved into them.

        A tree lifts a whole region by what its most reluctant row lacks. Where the evidence shows that
        some rows lack more the generated rows, in the middle of their parents, had none of that kind.
        """
        course, generator = self.course, self.course.generator
        rows, places = [generator.rows[:0]], [np.zeros(0, dtype=np.intp)]
        for place, agreement in zip(course.rules, score.by_rule, strict=True):
            if agreement is not None and agreement < self.task.target:
                near = nearby(self.task.feedback, place, generator.rows, MOVED)[0]
                chosen = course.rng.permutation(near)[:MOVED]
                rows.append(generator.moved(place, generator.rows[chosen]))
                places.append(np.full(len(rows[-1]), place))
        return self.teacher.taught(np.concatenate(rows), np.concatenate(places))

    def _wrong(self, model: Grown, made: Taught) -> Taught:
        """Those of the rows that the model gets wrong."""
        if not len(made.rows):
            return made
        gain = model.gain(made.rows).reshape(len(made.rows), -1)
        found = made.of(np.flatnonzero((made.held >= 0) | (gain != 0.0).any(axis=1)))
        start = self.before.before.raw_score(found.rows)
        own_codes, codes = (
            outcome_codes(probabilities(scores, self.factor), self.thresholds)
            for scores in (start, start + model.gain(found.rows))
        )
        return found.of(np.flatnonzero(codes != np.where(found.wanted < 0, own_codes, found.wanted)))

    def _finished(
        self, kept: Grown, taught: Taught, generated: Synthetic, accepted: int, stopped: Stopped
    ) -> Retrained:
        self.course.report(done=True)
        contrasts = int((taught.near >= 0).sum()) - len(generated)
        note = f"{len(kept.added)} trees added; {contrasts} rows around the regions beside the synthetic ones"
        times = self.seen / max(len(self.course.kept) * len(self.before.before.file.trees), 1)
        often = f"{times:.2g}" if times < 10 else f"{times:,.0f}"
        work = (
            f"rows that boosting went through, tree by tree: {self.seen:,}, "
            f"{often} times as many as in one training of the model in force"
        )
        return Retrained(
            model=kept.model,
            strategy="anchored",
            trainings=self.course.trainings,
            accepted=accepted,
            curve=tuple(self.course.curve),
            stopped=stopped,
            refitted=False,
            used=self.course.split.training,
            modified=np.where(self.course.keep, self.course.answers, -1),
            generated=generated,
            notes=(*self.course.notes, note, work),
        )
