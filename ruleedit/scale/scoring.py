"""A table of any size decided batch by batch: one line for each row, in the table's order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ruleedit.batches import Piece, columns_of
from ruleedit.files import replacing
from ruleedit.release import Answering, prediction_table
from ruleedit.sums import added
from ruleedit.tables import PARQUET


@dataclass(frozen=True)
class Decided:
    """How many rows had each outcome (in schema order), and how many another than the model's own."""

    rows: int
    outcomes: tuple[int, ...]
    changed: int

    @classmethod
    def none(cls, classes: int) -> Decided:
        """Nothing decided yet."""
        return cls(0, (0,) * classes, 0)

    @classmethod
    def of(cls, table: pd.DataFrame) -> Decided:
        """The counts of a `prediction_table`; where there is no model's own outcome nothing differs from it."""
        outcome, own = (table[name].cat for name in ("outcome", "model_outcome"))
        codes, before = outcome.codes.to_numpy(), own.codes.to_numpy()
        by_class = np.bincount(codes[codes >= 0], minlength=len(outcome.categories))
        return cls(len(table), tuple(by_class.tolist()), int(((codes != before) & (before >= 0)).sum()))

    def __add__(self, other: Decided) -> Decided:
        """The counts of both."""
        (outcomes,) = added((self.outcomes,), (other.outcomes,))
        return Decided(self.rows + other.rows, outcomes, self.changed + other.changed)


def decisions(answering: Answering, table: Sequence[Piece]) -> Iterator[pd.DataFrame]:
    """The `prediction_table` of each batch of a table, in order; raises as `Batch.encode` does."""
    wanted = columns_of(table, answering.schema)
    for piece in table:
        for batch in piece.batches(wanted):
            yield prediction_table(answering, batch.encode(answering.schema))


def write_decisions(answering: Answering, table: Sequence[Piece], out: str | Path) -> Decided:
    """Decide every row into a file that appears once it is complete: Parquet where its name says so, else CSV."""
    with replacing(out) as file:
        write = _parquet if Path(out).suffix.lower() in PARQUET else _csv
        return write(decisions(answering, table), file, Decided.none(len(answering.schema.classes)))


def _csv(parts: Iterable[pd.DataFrame], file: BinaryIO, decided: Decided) -> Decided:
    for part in parts:
        file.write(csv_lines(part, header=decided.rows == 0))
        decided += Decided.of(part)
    return decided


def csv_lines(part: pd.DataFrame, *, header: bool) -> bytes:
    """A part of a table of decisions as lines of CSV."""
    return part.to_csv(index=False, header=header).encode("utf-8", "surrogatepass")


def _parquet(parts: Iterable[pd.DataFrame], file: BinaryIO, decided: Decided) -> Decided:
    writer: pq.ParquetWriter | None = None
    try:
        for part in parts:
            table = pa.Table.from_pandas(part, preserve_index=False)
            writer = writer or pq.ParquetWriter(file, table.schema)
            writer.write_table(table)
            decided += Decided.of(part)
    finally:
        if writer is not None:
            writer.close()
    return decided
