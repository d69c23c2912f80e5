"""The objective of retraining: agreement with the feedback rules against macro F1 outside them.

J = w x mean agreement over the feedback rules + (1 - w) x macro F1 outside. Where one of the two
is undefined (no row to measure it on) J is the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Mask, Matrix
from ruleedit.models import Model, outcomes

#: The weight of agreement in the objective: as much as everything outside.
WEIGHT = 0.5


@dataclass(frozen=True)
class Score:
    """What a model was worth on the evidence.

    ``by_rule`` has one agreement for each asking rule, in order; None where no row is left to
    measure it on, and then it counts in no mean. ``flips`` is the share of the rows outside whose
    outcome differs from the model in force.
    """

    objective: float
    agreement: float | None
    by_rule: tuple[float | None, ...]
    f1_outside: float | None
    flips: float | None

    def reaches(self, target: float) -> bool:
        """Whether every rule that can be measured agrees to at least ``target``."""
        return all(agreement is None or agreement >= target for agreement in self.by_rule)


@dataclass(frozen=True, eq=False)
class Evidence:
    """The rows that acceptance and stopping look at.

    The first ``len(truth)`` rows are the validation part with its true answers, the others are
    generated probe rows of rules that have too few validation rows. ``held`` is the place of the
    asking rule that holds each row, -1 for none. ``before`` is the outcome of the model in force
    on the validation rows, None where there is no such model.
    """

    rows: Matrix
    held: Indices
    wanted: Indices
    truth: Indices
    rules: tuple[int, ...]
    classes: int
    before: Indices | None = None

    def score(self, model: Model, weight: float = WEIGHT) -> Score:
        """Measure a model: one pass over all rows."""
        found = outcomes(model, self.rows) if len(self.rows) else np.zeros(0, dtype=np.intp)
        agrees = found == self.wanted
        by_rule = tuple(share(agrees, self.held == rule) for rule in self.rules)
        known = [agreement for agreement in by_rule if agreement is not None]
        agreement = float(np.mean(known)) if known else None
        outside = self.held[: len(self.truth)] < 0
        here = found[: len(self.truth)]
        f1 = macro_f1(self.truth[outside], here[outside], self.classes)
        flips = None if self.before is None else share(here != self.before, outside)
        return Score(objective(agreement, f1, weight), agreement, by_rule, f1, flips)


def objective(agreement: float | None, f1_outside: float | None, weight: float = WEIGHT) -> float:
    """J; 0 where nothing at all can be measured."""
    if agreement is None or f1_outside is None:
        return (agreement if f1_outside is None else f1_outside) or 0.0
    return weight * agreement + (1.0 - weight) * f1_outside


def share(flags: Mask, among: Mask) -> float | None:
    """The share of the rows ``among`` for which ``flags`` is true; None where there are none."""
    return float(flags[among].mean()) if among.any() else None


def macro_f1(truth: Indices, found: Indices, classes: int) -> float | None:
    """The mean F1 of the classes that are present; None without rows.

    ``truth`` and ``found`` (n,) are places of classes. A class is present where it is true or
    answered at least once, as in scikit-learn.
    """
    if not len(truth):
        return None
    return f1_of(np.bincount(truth * classes + found, minlength=classes * classes).reshape(classes, classes))


def f1_of(counts: npt.NDArray[np.integer]) -> float:
    """`macro_f1` of a confusion (classes, classes) of truth and answer that counts a row or more."""
    total = counts.sum(axis=0) + counts.sum(axis=1)
    return float((2.0 * counts.diagonal()[total > 0] / total[total > 0]).mean())


def asking(feedback: Feedback) -> tuple[int, ...]:
    """The places of the feedback rules that ask for something."""
    return tuple(place for place, rule in enumerate(feedback.rules) if rule.asks)


def held_by_asking(feedback: Feedback, rows: Matrix) -> Indices:
    """For each encoded row the place of the asking rule that holds it, -1 for none; shape (n,).

    The first rule that holds a row holds it, one that asks for nothing too.
    """
    held = feedback.assign(rows)
    asks = np.append(np.array([rule.asks for rule in feedback.rules], dtype=bool), False)
    return np.where(asks[held], held, -1)
