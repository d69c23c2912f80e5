"""What every extractor gets and gives: the seam between a method and the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ruleedit.matching import Indices, Matrix
from ruleedit.regions import Box
from ruleedit.schema import Schema

if TYPE_CHECKING:
    from ruleedit.surrogate.binned import Binned
    from ruleedit.surrogate.bound import Bound

Splits: TypeAlias = Sequence[Mapping[float, float]]
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Task:
    """A model's answers on encoded rows, and the limits of the search for rules that say the same.

    ``max_clauses`` and ``max_iterations`` are None where the method's own default holds,
    ``deadline`` is a reading of the monotonic clock, or None for no limit of time. ``start`` are
    rules to begin with, such as last month's: they compete with those found and win a tie. ``memory`` is
    a limit in bytes on what the search needs beside the rows. ``binned`` are the rows to search on, as bins and merged,
    of a table that isn't here; then there is nothing in ``rows``.
    """

    rows: Matrix
    answers: Indices
    schema: Schema
    splits: Splits = ()
    max_clauses: int | None = None
    seed: int = 0
    max_iterations: int | None = None
    deadline: float | None = None
    progress: Progress | None = None
    start: Found | None = None
    memory: int | None = None
    binned: Binned | None = None

    @property
    def is_late(self) -> bool:
        """Whether the time limit has passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def seconds_left(self) -> float | None:
        """The time that is left, or None where there is no limit."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def report(self, done: int, of: int) -> None:
        """Tell whoever asked how far the work is; they may raise to cancel it."""
        if self.progress is not None:
            self.progress(done, of)


@dataclass(frozen=True)
class Found:
    """What a method found: boxes with their class, in order, and the class for every other row.

    Classes are places in the schema's. ``cut`` names the limit that ended the search early, ``bound``
    says what is proved about how much better rules could be.
    """

    boxes: tuple[tuple[Box, int], ...]
    default: int
    cut: str | None = None
    notes: tuple[str, ...] = field(default=())
    bound: Bound | None = None


Extractor: TypeAlias = Callable[[Task], Found]
