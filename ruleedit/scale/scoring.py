"""A table of any size decided batch by batch: one line for each row, in the table's order."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ruleedit.errors import FileRefused
from ruleedit.files import replacing
from ruleedit.release import Answering, prediction_table
from ruleedit.scale.cluster import Over, here
from ruleedit.tables import PARQUET, encode
from ruleedit.tables.batches import Piece, columns_of
from ruleedit.tables.sums import added

if TYPE_CHECKING:
    import dask.dataframe

#: What the files of a folder of decisions are named.
_PART = re.compile(r"\d{5,}\.parquet")


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


def write_parts(answering: Answering, table: Sequence[Piece], folder: str | Path, over: Over = here) -> Decided:
    """Decide every row into a folder of Parquet files, one for each piece of the table, named in its order.

    The folder appears once it is complete; one that holds nothing but such files is replaced whole, raises
    `FileRefused` for another. A piece that is decided again writes the same file again, whole.
    """
    folder = Path(folder).resolve()
    if folder.exists() and not (folder.is_dir() and all(_PART.fullmatch(file.name) for file in folder.iterdir())):
        raise FileRefused(f"{str(folder)!r} holds something else; give a new folder, or one of decisions to replace")
    fresh, old = (folder.with_name(f".{uuid.uuid4().hex}.{what}") for what in ("new", "old"))
    names = [f"{number:05}.parquet" for number in range(len(table))]
    try:
        fresh.mkdir(parents=True)
        numbered = [(piece, str(fresh / name)) for piece, name in zip(table, names, strict=True)]
        decided: Decided = reduce(add, over(_write_part, numbered, answering))
        for stray in {file.name for file in fresh.iterdir()} - set(names):
            # What a worker had begun when it was killed.
            (fresh / stray).unlink()
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except OSError as problem:
        raise FileRefused(f"{str(folder)!r} can't be written: {problem.strerror}") from None
    finally:
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
    return decided


def predictions(answering: Answering, frame: dask.dataframe.DataFrame) -> dask.dataframe.DataFrame:
    """The `prediction_table` of a Dask DataFrame, partition by partition, for whoever has one; nothing is computed yet.

    Its columns are as in `ruleedit.tables.encode`, which says what is raised once it is computed.
    """
    like = prediction_table(answering, np.empty((0, len(answering.schema.features))))
    return frame.map_partitions(_predicted, answering, meta=like)


def _predicted(part: pd.DataFrame, answering: Answering) -> pd.DataFrame:
    return prediction_table(answering, encode(part, answering.schema)).set_axis(part.index)


def _write_part(part: tuple[Piece, str], answering: Answering) -> Decided:
    piece, out = part
    return write_decisions(answering, [piece], out)


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
