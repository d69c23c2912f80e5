"""Tables of any size, a batch of rows at a time: CSV, a Parquet file, or a folder of Parquet files.

A table is in pieces, each of which can be read by itself, on another machine too: a CSV is one piece,
a Parquet file one for each run of row groups. A piece is read in batches of at most `MOST_ROWS` rows
and about `MOST_CELLS` cells, so the memory that a table takes depends on its width and on its row groups,
not on its length.
"""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from ruleedit.errors import NoRows, TableError, TargetError, ValueRefused
from ruleedit.matching import Indices, Matrix
from ruleedit.schema import Schema
from ruleedit.tables import (
    NO_ROWS,
    PARQUET,
    csv_options,
    encode,
    header,
    parquet_frame,
    parquet_names,
    target_codes,
    unreadable,
)

#: A batch has at most so many rows: beyond, batches are no faster, and take memory.
MOST_ROWS = 100_000
#: A batch of a wide table has fewer rows: about so many cells, 32 MB as numbers and several times that as text.
MOST_CELLS = 4_000_000
#: Row groups are read together up to so many rows; a larger one is a piece by itself.
PIECE_ROWS = 250_000
#: A CSV is read in blocks of so many bytes; no line of it may be longer.
CSV_BLOCK = 4 * 2**20
#: What Hive and Spark call the folder of the rows that miss the value.
_MISSING_KEY = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, eq=False)
class Batch:
    """Some of a table's rows, as the file has them.

    ``start`` is the number of the first one in the whole table, ``first`` in its file, from 0; ``where``
    names the file where the table has several.
    """

    frame: pd.DataFrame = field(repr=False)
    start: int
    first: int
    where: str

    def __len__(self) -> int:
        return len(self.frame)

    def encode(self, schema: Schema) -> Matrix:
        """As `ruleedit.tables.encode`, with errors that count through the file."""
        try:
            return encode(self.frame, schema)
        except ValueRefused as problem:
            raise problem.of_row(f"{self.where}row {self.first + (problem.row or 0) + 1}") from None

    def target(self, schema: Schema) -> Indices | None:
        """The target's classes as places in schema order; None where a row has none of them."""
        if schema.target not in self.frame.columns:
            return None
        try:
            return target_codes(self.frame, schema)
        except TargetError:
            return None


@dataclass(frozen=True)
class Piece:
    """A run of rows that can be read by itself: a CSV, or row groups of a Parquet file.

    ``start`` and ``first`` count the rows before it in the table and in its file, ``rows`` is how many it
    has (None: it must be read to know). ``keys`` are columns whose value the names of the file's
    folders give (``year=2026``), as text; None is missing. ``where`` as in `Batch`.
    """

    path: str
    columns: tuple[str, ...] = field(repr=False)
    groups: tuple[int, ...] | None = None
    start: int = 0
    first: int = 0
    rows: int | None = None
    keys: tuple[tuple[str, str | None], ...] = ()
    where: str = ""

    def batches(self, wanted: Collection[str] | None = None) -> Iterator[Batch]:
        """Its rows in order, with the ``wanted`` columns that it has, or all; raises `TableError`."""
        names = [name for name in self.columns if wanted is None or name in wanted]
        most = min(MOST_ROWS, max(1_000, MOST_CELLS // max(len(names), 1)))
        done = 0
        for whole in _csv(Path(self.path), names) if self.groups is None else self._parquet(names, most):
            for begin in range(0, len(whole), most):
                frame = whole.iloc[begin : begin + most].reset_index(drop=True)
                yield Batch(frame, self.start + done, self.first + done, self.where)
                done += len(frame)

    def _parquet(self, names: Sequence[str], most: int) -> Iterator[pd.DataFrame]:
        keys = [(name, value) for name, value in self.keys if name in names]
        stored = [name for name in names if name not in dict(self.keys)]
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(most, row_groups=list(self.groups or ()), columns=stored):
                    frame = parquet_frame(pa.Table.from_batches([batch]))
                    for name, value in keys:
                        frame[name] = pd.Series([value] * batch.num_rows, dtype=pd.ArrowDtype(pa.string()))
                    yield frame
        except (pa.ArrowException, OSError) as problem:
            raise unreadable(Path(self.path), "Parquet file", problem) from None


def pieces(path: str | Path) -> tuple[Piece, ...]:
    """The pieces of a table: a CSV, a Parquet file, or a folder of Parquet files at any depth, in the order of names.

    Names that begin with a dot or an underscore are left out, as Spark and Arrow do. Raises `TableError`
    where there is no such table, or files of a folder have different columns, and `NoRows`.
    """
    path = Path(path)
    if path.is_dir():
        found = _folder(path)
    elif not path.is_file():
        raise TableError(f"no file {str(path)!r}; give a CSV or Parquet file, or a folder of Parquet files")
    elif path.suffix.lower() in PARQUET:
        found = tuple(_file(path, 0, (), ""))
    else:
        return (Piece(str(path), tuple(header(path))),)
    if not found:
        raise NoRows(NO_ROWS.format(path.name))
    return found


def columns_of(table: Sequence[Piece], schema: Schema, *, target: bool = False) -> Collection[str] | None:
    """The columns that a schema needs of a table; None (all) where one is lacking, so that the error can say which."""
    wanted = {*schema.names, schema.target} if target else set(schema.names)
    return wanted if set(schema.names) <= set(table[0].columns) else None


def _folder(folder: Path) -> tuple[Piece, ...]:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in PARQUET and _is_data(file, folder))
    if not files:
        raise TableError(f"the folder {str(folder)!r} holds no Parquet file; give a folder of .parquet files")
    found: list[Piece] = []
    for file in files:
        keys = tuple(_key(part) for part in file.relative_to(folder).parts[:-1] if "=" in part)
        start = found[-1].start + (found[-1].rows or 0) if found else 0
        found.extend(_file(file, start, keys, f"{file.relative_to(folder)}: "))
    for piece in found:
        odd = sorted(set(piece.columns) ^ set(found[0].columns))
        if odd:
            with_it, without = (found[0], piece) if odd[0] in found[0].columns else (piece, found[0])
            raise TableError(
                f"the column {odd[0]!r} is in {Path(with_it.path).name!r} and not in {Path(without.path).name!r}; "
                "the files of a folder have the same columns"
            )
    return tuple(dataclasses.replace(piece, columns=found[0].columns) for piece in found)


def _is_data(file: Path, folder: Path) -> bool:
    return file.is_file() and not any(part[0] in "._" for part in file.relative_to(folder).parts)


def _key(part: str) -> tuple[str, str | None]:
    """The column and the value that a folder's name gives."""
    name, value = (urllib.parse.unquote(text) for text in part.split("=", 1))
    return name, None if value == _MISSING_KEY else value


def _file(path: Path, start: int, keys: tuple[tuple[str, str | None], ...], where: str) -> Iterator[Piece]:
    try:
        with pq.ParquetFile(path) as file:
            names = parquet_names(file, path, [name for name, _ in keys])
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
    except (pa.ArrowException, OSError) as problem:
        raise unreadable(path, "Parquet file", problem) from None
    first = 0
    for groups in _runs(sizes):
        rows = sum(sizes[group] for group in groups)
        yield Piece(str(path), names, groups, start + first, first, rows, keys, where)
        first += rows


def _runs(sizes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Row groups that have rows, put together up to `PIECE_ROWS`."""
    run: list[int] = []
    rows = 0
    for group, size in enumerate(sizes):
        if run and rows + size > PIECE_ROWS:
            yield tuple(run)
            run, rows = [], 0
        if size:
            run.append(group)
            rows += size
    if run:
        yield tuple(run)


def _csv(path: Path, names: Sequence[str]) -> Iterator[pd.DataFrame]:
    every = header(path)
    options = csv_options(every)
    options["convert_options"].include_columns = list(names)
    rows = 0
    try:
        with pacsv.open_csv(path, read_options=pacsv.ReadOptions(block_size=CSV_BLOCK), **options) as reader:
            for batch in reader:
                rows += batch.num_rows
                yield pa.Table.from_batches([batch]).to_pandas()
    except pa.ArrowInvalid as problem:
        if "Empty CSV" not in str(problem):
            raise unreadable(path, "CSV", problem) from None
    if not rows:
        raise NoRows(NO_ROWS.format(path.name))
