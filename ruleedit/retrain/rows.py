"""The rows that a retraining trains on, wherever they are: in memory, or in pieces of a table that is never here whole.

Strategies see numbers. Which rule holds each row is known of all of them; the rows themselves are taken by number, a
few thousand at a time, and trained on where they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Matrix
from ruleedit.models import Model
from ruleedit.retrain.objective import held_by_asking

#: Trains a model on encoded rows (n, features) and their answers (n,), places of classes, with a seed.
Trainer: TypeAlias = Callable[[Matrix, Indices, int], Model]


class TrainingRows(Protocol):
    """Encoded training rows, by their numbers from 0."""

    def __len__(self) -> int:
        """How many there are."""

    def take(self, numbers: Indices) -> Matrix:
        """The rows of these numbers, in their order; shape (m, features)."""

    def held(self, feedback: Feedback) -> Indices:
        """`held_by_asking` of all of them; shape (n,)."""

    def fit(self, used: Indices, more: Matrix, answers: Indices, seed: int) -> Model:
        """Train on those ``used``, ascending, and then ``more`` rows (m, features); ``answers`` are of both."""

    def mark(self, used: Indices) -> str:
        """What tells a training on these from one on others."""


@dataclass(frozen=True, eq=False)
class RowsInMemory:
    """Training rows (n, features) as a matrix, and who trains on them."""

    rows: Matrix
    trainer: Trainer

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, numbers: Indices) -> Matrix:
        """A copy."""
        return self.rows[numbers]

    def held(self, feedback: Feedback) -> Indices:
        """Worked out at once."""
        return held_by_asking(feedback, self.rows)

    def fit(self, used: Indices, more: Matrix, answers: Indices, seed: int) -> Model:
        """By the trainer."""
        return self.trainer(np.concatenate([self.rows[used], more]), answers, seed)

    def mark(self, used: Indices) -> str:
        """A hash of what is in them."""
        return hashlib.sha256(np.ascontiguousarray(self.rows[used]).tobytes()).hexdigest()
