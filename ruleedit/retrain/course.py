"""What the strategies share: the rows, the validation part, the evidence, and each training on the curve.

A seeded, stratified quarter of the given rows is the validation part: acceptance and stopping look
at it alone, no synthetic row is in it, and no model of the loop is trained on it. A rule with
fewer than `FEW` validation rows is measured on `PROBES` probe rows besides, which never enter
training: validation rows that miss its region by one feature, or more where these are few, moved into it.
(Rows interpolated as the synthetic ones are lie in the middle of their parents, where a model has
it easy: on them the loop stopped at 1.0 where held-out rows agreed to 0.77.)

After a loop of trainings one last model is trained with the validation part in, on everything that
was kept and as many synthetic rows more as keep their share, because a model for use should not go
without a quarter of its rows. It is returned if, on the same evidence, it agrees with the rules as
well as the accepted one (or to the target) and its objective is no worse; else the accepted one is.
The validation rows' own part in that comparison is then in sample, so the last model's figures are
in no curve.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ruleedit.errors import Cancelled, NoRows
from ruleedit.feedback import asked_outcomes
from ruleedit.matching import Indices, Matrix
from ruleedit.models import Model, TableModel, outcomes
from ruleedit.models.training import stratified_quarter
from ruleedit.retrain.checkpoints import training_key
from ruleedit.retrain.generate import Generator
from ruleedit.retrain.modify import modified
from ruleedit.retrain.objective import Evidence, Score, asking, held_by_asking
from ruleedit.retrain.population import MOST_BASES, Population, around, population
from ruleedit.retrain.task import Point, Retrained, Stopped, Synthetic, Task

#: A rule with fewer validation rows than this is measured on probe rows too: one row more or less
#: would move its agreement by more than 5 points.
FEW = 20
#: So many probe rows a rule: enough to tell an agreement of 0.99 from one of 0.95.
PROBES = 200
#: What a lagging rule's base population is widened to.
WIDE = 200
#: Synthetic rows are made from at most so many training rows, drawn at random, and a few more of each rule's own: what
#: values there are and what lies near a region more rows don't tell better.
MOST_KNOWN = 50_000
#: On at most so many of the validation rows, drawn at random, are models measured: shares to within 0.005.
MOST_MEASURED = 50_000


@dataclass(frozen=True, eq=False)
class Split:
    """The given rows' numbers: those that the loop trains on, and the validation part."""

    training: Indices
    validation: Indices


@dataclass(frozen=True, eq=False)
class Kept:
    """The best so far: a model, the synthetic rows that it was trained with, its score, the batches accepted."""

    model: Model
    rows: Synthetic
    score: Score
    accepted: int


class Course:
    """The state of one retraining.

    ``most`` is the most trainings, ``bases`` the most base rows a rule, ``measured`` the most rows
    of the validation part that models are measured on, drawn at random, ``probes`` the probe rows of a rule that
    has few of these, ``asked`` what answers as the model in force does (None: that itself).
    """

    def __init__(
        self,
        task: Task,
        *,
        most: int,
        bases: int = MOST_BASES,
        measured: int = MOST_MEASURED,
        probes: int = PROBES,
        asked: Model | None = None,
    ) -> None:
        self.task = task
        self.asked = asked or task.model
        self.most = most
        self.bases = bases
        self.probes = probes
        self.rng = np.random.default_rng(task.seed)
        self.rules = asking(task.feedback)
        self.held = task.rows.held(task.feedback)
        self.answers, self.keep = modified(task.answers, self.held, task.feedback, task.modify, self.rng)
        validation = stratified_quarter(task.answers, task.seed)
        self.kept = np.flatnonzero(self.keep)
        trained = self.keep.copy()
        trained[validation] = False
        training = np.flatnonzero(trained)
        if len(validation) > measured:
            validation = np.sort(self.rng.choice(validation, measured, replace=False))
        self.split = Split(training, validation)
        if not len(self.split.training):
            raise NoRows("every training row contradicts the feedback and was dropped; relabel them instead")
        self.limit = math.floor(task.quota * len(task.rows))
        self.curve: list[Point] = []
        self.notes: list[str] = []
        self.trainings = 0
        self.known = self._known()
        self.generator = Generator(task.feedback, task.rows.take(self.known), task.background, self.rng)
        self.populations = self._populations()
        self.evidence = self._evidence()

    @cached_property
    def held_training(self) -> Indices:
        """The asking rule that holds each row that the loop trains on, -1 for none."""
        return self.held[self.split.training]

    def _known(self) -> Indices:
        """The rows, of those that the loop trains on, that synthetic rows are made from: their numbers, ascending."""
        training = self.split.training
        if len(training) <= MOST_KNOWN:
            return training
        chosen = [self.rng.choice(training, MOST_KNOWN, replace=False)]
        for place in self.rules:
            own = training[self.held_training == place]
            chosen.append(self.rng.choice(own, self.bases, replace=False) if len(own) > self.bases else own)
        return np.unique(np.concatenate(chosen))

    def _populations(self) -> list[Population]:
        """The base population of each asking rule among the rows that synthetic rows are made from."""
        found = []
        for place in self.rules:
            bases = self._population(place)
            if not bases.exact:
                here = int((self.held_training == place).sum())
                without = f", relaxed without {', '.join(bases.relaxed)}" if bases.relaxed else ""
                self._note(place, f"{here} training rows in its region; bases are {len(bases)} rows nearby{without}")
            found.append(bases)
        return found

    def _population(self, place: int, enough: int = 0) -> Population:
        task, rows = self.task, self.generator.rows
        return population(
            task.feedback,
            place,
            rows,
            self.held[self.known],
            task.background,
            task.neighbours,
            self.rng,
            enough=enough,
            most=self.bases,
        )

    def widen(self, score: Score) -> None:
        """Give rules that lag and have few bases more of them, from nearby."""
        for number, (bases, agreement) in enumerate(zip(self.populations, score.by_rule, strict=True)):
            if agreement is not None and agreement < self.task.target and len(bases) < WIDE:
                self.populations[number] = self._population(bases.rule, WIDE)

    def _evidence(self) -> Evidence:
        """The validation part, with probe rows for the rules that it hardly has rows of."""
        task, validation = self.task, self.split.validation
        own, held = task.rows.take(validation), self.held[validation]
        rows: list[Matrix] = [own]
        for place in self.rules:
            count = int((held == place).sum())
            if count < FEW:
                probes = self._probes(place, own, held)
                rows.append(probes)
                measured = f"agreement is measured on {len(probes)} generated rows beside {count} validation rows"
                self._note(place, measured if len(probes) else "no row that the schema allows can be generated")
        every = np.concatenate(rows)
        before = None if self.asked is None else outcomes(self.asked, every)[: len(validation)]
        return Evidence(
            rows=every,
            held=held_by_asking(task.feedback, every),
            wanted=asked_outcomes(task.feedback, every)[1],
            truth=task.answers[validation],
            rules=self.rules,
            classes=len(task.feedback.schema.classes),
            before=before,
        )

    def _probes(self, place: int, rows: Matrix, held: Indices) -> Matrix:
        """Validation rows from near a rule's region, moved into it."""
        near = around(self.task.feedback, place, rows, FEW)
        near = near[held[near] != place]
        chosen = self.rng.choice(near, self.probes, replace=len(near) < self.probes) if len(near) else near
        return self.generator.moved(place, rows[chosen])

    def check_stop(self) -> None:
        """Raise `Cancelled` where whoever asked for the retraining wants it stopped."""
        if self.task.should_stop is not None and self.task.should_stop():
            raise Cancelled(f"the retraining was stopped after {self.trainings} trainings; nothing was put in force")

    def train(self, used: Indices, synthetic: Synthetic) -> Model:
        """Train on given rows by number and synthetic ones; the only place where a model is trained on them."""
        self.check_stop()
        rows, seed = self.task.rows, self.task.seed
        answers = np.concatenate([self.answers[used], synthetic.answers])
        marked = rows.mark(used) if self.task.checkpoints is not None else ""
        return self.remembered(
            lambda: rows.fit(used, synthetic.rows, answers, seed), "train", str(seed), marked, synthetic.rows, answers
        )

    def remembered(self, make: Callable[[], Model], *about: str | npt.NDArray[Any]) -> Model:
        """One training: what ``make`` gives, or what a checkpoint has of the training that is ``about`` the same."""
        kept, like = self.task.checkpoints, self.task.model
        if kept is None or not isinstance(like, TableModel):
            made = make()
        elif (text := kept.get(key := training_key(like.text, like.schema.hash, *about))) is not None:
            made = dataclasses.replace(like, text=text)
        else:
            made = make()
            if isinstance(made, TableModel):
                kept.put(key, made.text)
        self.trainings += 1
        return made

    def measure(self, model: Model, synthetic: int, best: Score | None) -> Score:
        """Score a model on the evidence, put it on the curve and tell whoever asked."""
        score = self.evidence.score(model, self.task.weight)
        better = best is None or score.objective > best.objective
        self.curve.append(Point(self.trainings, synthetic, better, score))
        self.report()
        return score

    def report(self, done: bool = False) -> None:
        """Tell whoever asked how far it is; ``done`` says that it is over."""
        if self.task.progress is not None:
            self.task.progress(self.most if done else self.trainings, self.most, self.curve[-1])

    def begun(self, rows: Synthetic) -> Kept:
        """The first training, with these synthetic rows."""
        model = self.train(self.split.training, rows)
        return Kept(model, rows, self.measure(model, len(rows), None), int(len(rows) > 0))

    def tried(self, kept: Kept, batch: Synthetic) -> tuple[Kept, Score]:
        """Train with a batch more; what is kept then, and the candidate's score.

        The batch is kept if it improves the objective, else rules that lag get more bases.
        """
        rows = kept.rows.and_more(batch)
        model = self.train(self.split.training, rows)
        score = self.measure(model, len(rows), kept.score)
        if score.objective > kept.score.objective:
            return Kept(model, rows, score, kept.accepted + 1), score
        self.widen(kept.score)
        return kept, score

    def finished(self, kept: Kept, stopped: Stopped, *, strategy: str, make: Callable[[int], Synthetic]) -> Retrained:
        """Train a last time with the validation part in; ``make`` gives so many synthetic rows more.

        ``stopped`` is why it ended without the target, if it did.
        """
        best = kept.score
        share = len(self.kept) / max(len(self.split.training), 1)
        more = min(round(len(kept.rows) * (share - 1.0)), self.limit - len(kept.rows))
        whole = kept.rows.and_more(make(more)) if more > 0 else kept.rows
        last = self.train(self.kept, whole)
        score = self.evidence.score(last, self.task.weight)
        enough = best.agreement is None or (score.agreement or 0.0) >= min(best.agreement, self.task.target)
        refitted = enough and score.objective >= best.objective
        self.report(done=True)
        return Retrained(
            model=last if refitted else kept.model,
            strategy=strategy,
            trainings=self.trainings,
            accepted=kept.accepted,
            curve=tuple(self.curve),
            stopped="target" if best.reaches(self.task.target) else stopped,
            refitted=refitted,
            used=self.kept if refitted else self.split.training,
            modified=np.where(self.keep, self.answers, -1),
            generated=whole if refitted else kept.rows,
            notes=tuple(self.notes),
        )

    def _note(self, place: int, text: str) -> None:
        self.notes.append(f"{self.task.feedback.rules[place].id}: {text}")
