"""What every retraining strategy gets and gives: the seam between a strategy and the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np

from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Matrix
from ruleedit.models import Background, Model
from ruleedit.retrain.checkpoints import Checkpoints
from ruleedit.retrain.objective import WEIGHT, Score
from ruleedit.retrain.rows import TrainingRows

Modify: TypeAlias = Literal["relabel", "drop", "none"]
MODIFICATIONS: tuple[Modify, ...] = get_args(Modify)
Selection: TypeAlias = Literal["random", "integer-program"]
SELECTIONS: tuple[Selection, ...] = get_args(Selection)
Stopped: TypeAlias = Literal["target", "quota", "iterations", "nothing-asked", "nothing-generated"]


@dataclass(frozen=True)
class Point:
    """One training on the curve: what was trained on, what it was worth, whether it was kept.

    ``synthetic`` counts the synthetic rows that the model was trained with.
    """

    training: int
    synthetic: int
    accepted: bool
    score: Score


#: Called with the trainings done, the most that there can be, and the last of them.
Progress: TypeAlias = Callable[[int, int, Point], None]


@dataclass(frozen=True, eq=False)
class Synthetic:
    """Generated rows (n, features), their answers (n,) and the places of their rules (n,), -1 for a row outside."""

    rows: Matrix
    answers: Indices
    rules: Indices

    def __len__(self) -> int:
        return len(self.answers)

    @classmethod
    def none(cls, features: int) -> Synthetic:
        """No rows."""
        return cls(np.empty((0, features)), np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp))

    def of(self, places: Indices) -> Synthetic:
        """Some of these rows."""
        return Synthetic(self.rows[places], self.answers[places], self.rules[places])

    def and_more(self, other: Synthetic) -> Synthetic:
        """These rows, then the others."""
        return Synthetic(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.answers, other.answers]),
            np.concatenate([self.rules, other.rules]),
        )


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be retrained, on what, and within which limits; see `ruleedit.retrain.retrain`."""

    rows: TrainingRows
    answers: Indices
    feedback: Feedback
    background: Background
    model: Model | None = None
    seed: int = 0
    modify: Modify = "relabel"
    selection: Selection = "random"
    target: float = 0.99
    quota: float = 0.5
    iterations: int = 20
    batch: int | None = None
    neighbours: int = 5
    weight: float = WEIGHT
    progress: Progress | None = None
    should_stop: Callable[[], bool] | None = None
    checkpoints: Checkpoints | None = None
    lessons: Matrix | None = None


@dataclass(frozen=True, eq=False)
class Retrained:
    """A retrained model and how it came about.

    ``generated`` are the accepted synthetic rows, ``used`` the numbers of the given rows that the
    model was trained on beside them, ``modified`` the answers of all given rows after the first
    step, -1 for a row that was dropped. ``accepted`` counts the
    batches, ``curve`` has every training but the last one with the validation part in, which
    ``refitted`` says was taken. ``notes`` say what a reader of the figures should know.
    """

    model: Model
    strategy: str
    trainings: int
    accepted: int
    curve: tuple[Point, ...]
    stopped: Stopped
    refitted: bool
    used: Indices = field(repr=False)
    modified: Indices = field(repr=False)
    generated: Synthetic = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def synthetic(self) -> int:
        """How many synthetic rows the model was trained with."""
        return len(self.generated)
