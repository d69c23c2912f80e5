"""A table that edits are put in force with and that is never here whole: `ruleedit.labelled.Labelled` in pieces.

What is here of a row are numbers: its true answer, the rule that holds it, whether it is held out. What is drawn is
drawn from these, as in memory; then the few rows drawn are fetched, and all others are only counted, piece by piece,
here or by a cluster's workers. So a release by `anchored`, an overlay or a graft is that of the table in memory, byte
for byte. Models that other strategies train are `ruleedit.scale.training`'s.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ruleedit.errors import TargetError
from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Mask, Matrix
from ruleedit.models import Model, TableModel
from ruleedit.retrain import TrainingRows
from ruleedit.retrain.objective import held_by_asking
from ruleedit.scale.cluster import Over, Spread, here
from ruleedit.scale.extraction import Codes, fingerprint_of_table
from ruleedit.scale.training import Examples, boosted_by, boosted_here
from ruleedit.schema import Schema
from ruleedit.tables import target_codes
from ruleedit.tables.batches import Piece, columns_of

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
#: As many trees as a model of a table in memory has.
TREES = 100


@dataclass(frozen=True, eq=False)
class Chosen:
    """A piece, which of its rows are meant, and their true answers where they are wanted and known."""

    piece: Piece
    mask: Mask = field(repr=False)
    truth: Codes | None = field(default=None, repr=False)

    def batches(self, schema: Schema) -> Iterator[tuple[Matrix, Indices | None]]:
        """Those rows, encoded, and their true answers, a batch at a time; none is empty."""
        start = done = 0
        for batch in self.piece.batches(columns_of([self.piece], schema)):
            here = self.mask[start : start + len(batch)]
            start += len(batch)
            if not here.any():
                continue
            rows = batch.encode(schema)[here]
            truth = None if self.truth is None else self.truth[done : done + len(rows)].astype(np.intp)
            done += len(rows)
            yield rows, truth


class LabelledPieces:
    """A table in pieces with its true answers.

    ``over`` says who works on the pieces, ``client`` who trains: the cluster that it belongs to, None: this process.
    Where ``strict``, a table whose target isn't whole is refused; else it counts as one without. Every cell is looked
    at: raises as `Batch.encode` does, and `TargetError`.
    """

    def __init__(
        self,
        table: Sequence[Piece],
        schema: Schema,
        *,
        over: Over = here,
        client: Client | None = None,
        strict: bool = False,
    ) -> None:
        self.table, self.schema, self.over, self.client = tuple(table), schema, over, client
        looked: list[tuple[int, Codes | None]] = list(over(_looked, self.table, schema, strict))
        self.starts = np.cumsum([0, *(rows for rows, _ in looked)])
        known = [codes for _, codes in looked if codes is not None]
        whole = len(known) == len(looked)
        self.truth: Indices | None = np.concatenate(known).astype(np.intp) if whole else None

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def fingerprint(self) -> str:
        """Worked out column by column, by one worker."""
        return fingerprint_of_table(self.table, len(self), self.schema, self.over)

    def parts(self, numbers: Indices) -> list[Chosen]:
        """The pieces that have some of the rows, given by number."""
        mask = np.zeros(len(self), dtype=bool)
        mask[numbers] = True
        found = (Chosen(piece, mask[start:end]) for piece, start, end in self._spans())
        return [part for part in found if part.mask.any()]

    def take(self, numbers: Indices) -> Matrix:
        """The rows are fetched once each, and put in the order of the numbers."""
        if not len(numbers):
            return np.empty((0, len(self.schema.features)))
        once, places = np.unique(numbers, return_inverse=True)
        rows: list[Matrix] = list(self.over(_rows, self.parts(once), self.schema))
        return np.concatenate(rows)[places]

    def training(self, numbers: Indices, model: TableModel) -> TrainingRows:
        """Rows that stay where they are; trained on by the cluster, or in this process a batch at a time."""
        return PieceRows(self, numbers, model)

    def summed(self, numbers: Indices, count: Callable[[Matrix, Indices | None], T]) -> T:
        """What each batch of each piece says, added up."""
        parts, truth = self.parts(numbers), self.truth
        if not parts:
            nothing = np.empty((0, len(self.schema.features)))
            return count(nothing, None if truth is None else truth[:0])
        if truth is not None:
            answers = iter(np.split(truth[numbers].astype(np.int16), np.cumsum([part.mask.sum() for part in parts])))
            parts = [dataclasses.replace(part, truth=next(answers)) for part in parts]
        total: T = reduce(add, self.over(_counted, parts, self.schema, count))
        return total

    def _spans(self) -> Iterator[tuple[Piece, int, int]]:
        return zip(self.table, self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True)


@dataclass(frozen=True, eq=False)
class PieceRows:
    """Training rows of a table in pieces, by their numbers (n,) in it, ascending; see `TrainingRows`."""

    table: LabelledPieces
    numbers: Indices = field(repr=False)
    model: TableModel = field(repr=False)

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, numbers: Indices) -> Matrix:
        """Fetched from their pieces."""
        return self.table.take(self.numbers[numbers])

    def held(self, feedback: Feedback) -> Indices:
        """Looked for in each piece; 2 bytes a row come back."""
        parts = self.table.parts(self.numbers)
        codes: list[Codes] = list(self.table.over(_held, parts, self.table.schema, feedback))
        return np.concatenate([np.zeros(0, dtype=np.int16), *codes]).astype(np.intp)

    def fit(self, used: Indices, more: Matrix, answers: Indices, seed: int) -> Model:
        """By LightGBM, in the place of the model: by the cluster's workers, or here."""
        parts = self.table.parts(self.numbers[used])
        labels = np.split(answers.astype(np.int16), np.cumsum([int(part.mask.sum()) for part in parts]))
        marked = [(part.piece, own, part.mask) for part, own in zip(parts, labels, strict=False)]
        examples = Examples(self.table.schema, marked, more, answers[len(used) :], self.model.file_codes)
        if self.table.client is None:
            text = boosted_here(examples, seed=seed, trees=TREES)
        else:
            text = boosted_by(self.table.client, examples, seed=seed, trees=TREES)
        return dataclasses.replace(self.model, text=text)

    def mark(self, used: Indices) -> str:
        """A hash of the table's fingerprint and the numbers."""
        found = hashlib.sha256(self.table.fingerprint.encode())
        found.update(np.ascontiguousarray(self.numbers[used]).tobytes())
        return found.hexdigest()


def client_of(over: Over) -> Client | None:
    """The cluster whose workers work on the pieces; None where this process does."""
    return over.client if isinstance(over, Spread) else None


# --- what is done to a piece, here or by a worker


def _looked(piece: Piece, schema: Schema, strict: bool) -> tuple[int, Codes | None]:
    """How many rows a piece has, each of which the schema allows, and their true answers."""
    rows, codes, known = 0, [], schema.target in piece.columns
    for batch in piece.batches(columns_of([piece], schema, target=True)):
        batch.encode(schema)
        rows += len(batch)
        if known:
            try:
                codes.append(target_codes(batch.frame, schema).astype(np.int16))
            except TargetError as problem:
                if strict:
                    raise TargetError(f"{piece.where}{problem}") from None
                known = False
    return rows, np.concatenate(codes) if known else None


def _rows(part: Chosen, schema: Schema) -> Matrix:
    return np.concatenate([rows for rows, _ in part.batches(schema)])


def _held(part: Chosen, schema: Schema, feedback: Feedback) -> Codes:
    return np.concatenate([held_by_asking(feedback, rows).astype(np.int16) for rows, _ in part.batches(schema)])


def _counted(part: Chosen, schema: Schema, count: Callable[[Matrix, Indices | None], Any]) -> Any:
    return reduce(add, (count(rows, truth) for rows, truth in part.batches(schema)))
