"""A table with its true answers that edits are put in force with, wherever its rows are.

Rows go by number, from 0. Whatever is said of many of them is a sum over parts, so a table may be in memory, as here,
or in pieces that are never here whole (`ruleedit.scale.labelled`): the figures are the same, to the last count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np

from ruleedit.matching import Indices, Matrix
from ruleedit.models import TableModel
from ruleedit.retrain import RowsInMemory, TrainingRows, lightgbm_trainer
from ruleedit.tables import fingerprint

T = TypeVar("T")


class Labelled(Protocol):
    """What putting edits in force asks of a table."""

    @property
    def truth(self) -> Indices | None:
        """The true answers as places of classes, (n,); None where the table has no target."""

    @property
    def fingerprint(self) -> str:
        """`ruleedit.tables.fingerprint` of all rows."""

    def __len__(self) -> int:
        """How many rows it has."""

    def take(self, numbers: Indices) -> Matrix:
        """The encoded rows of these numbers, in their order; shape (m, features)."""

    def training(self, numbers: Indices, model: TableModel) -> TrainingRows:
        """Rows to train on, given by number, ascending; what is trained stands in the place of ``model``."""

    def summed(self, numbers: Indices, count: Callable[[Matrix, Indices | None], T]) -> T:
        """What ``count`` says of these rows, ascending, and their true answers: the sum of what it says of parts."""


@dataclass(frozen=True, eq=False)
class LabelledInMemory:
    """Encoded rows (n, features) with their true answers (n,)."""

    rows: Matrix = field(repr=False)
    truth: Indices | None = field(repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """Of the rows."""
        return fingerprint(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, numbers: Indices) -> Matrix:
        """A copy."""
        return self.rows[numbers]

    def training(self, numbers: Indices, model: TableModel) -> TrainingRows:
        """A copy of the rows; LightGBM trains on them in this process."""
        return RowsInMemory(self.rows[numbers], lightgbm_trainer(model))

    def summed(self, numbers: Indices, count: Callable[[Matrix, Indices | None], T]) -> T:
        """All at once."""
        return count(self.rows[numbers], None if self.truth is None else self.truth[numbers])


def held_out(table: Labelled, model: TableModel) -> Indices:
    """The numbers of the rows that count as held out: all, unless it is the table that the model was trained on."""
    known = model.background
    same = len(table) == known.rows and table.fingerprint == known.fingerprint
    return model.holdout if same else np.arange(len(table))
