"""Tables: reading CSV and Parquet, inferring a schema, and the encoded matrix.

`read` gives a DataFrame with the cells as the file has them (a CSV's are all text), `encode`
turns it into the numbers that everything else works on, refusing what the schema forbids.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from ruleedit.errors import MissingColumns, NoRows, TableError, TargetError, ValueRefused, did_you_mean
from ruleedit.matching import Indices, Matrix
from ruleedit.rules import ZERO, number_text
from ruleedit.schema import BOOLEANS, LARGEST_INTEGER, Feature, Kind, Schema

#: Wider tables are refused: the limit that the HTTP API documents too.
MOST_COLUMNS = 1_000
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
NO_ROWS = "{!r} has a header and no rows"
#: What the name of a Parquet file ends in.
PARQUET = (".parquet", ".pq")


def read(path: str | Path) -> pd.DataFrame:
    """Read a CSV (UTF-8, comma, header) or Parquet file, told apart by the name's ending.

    A CSV's cells stay text as they stand there, an empty cell is missing. Raises `TableError`
    where the file is not there, not readable, or names a column twice, and `NoRows`.
    """
    path = Path(path)
    if not path.is_file():
        raise TableError(f"no file {str(path)!r}; give a CSV or Parquet file")
    frame = _read_parquet(path) if path.suffix.lower() in PARQUET else _read_csv(path)
    if not len(frame):
        raise NoRows(NO_ROWS.format(path.name))
    return frame


def encode(frame: pd.DataFrame, schema: Schema) -> Matrix:
    """Encode the table's columns by the schema: shape (n, features), Fortran order.

    Columns that the schema doesn't know are ignored. Raises `MissingColumns`, and `ValueRefused`
    for a text where a number belongs, an infinite number, a value that isn't whole in an integer
    feature, a boolean that is neither true nor false, or a missing value where it is forbidden.
    A category that was never seen is no error: its code is 0.
    """
    _check_names(frame)
    lacking = [name for name in schema.names if name not in frame.columns]
    if lacking:
        hint = did_you_mean(lacking[0], [str(name) for name in frame.columns])
        more = f" and {len(lacking) - 1} more columns" if len(lacking) > 1 else ""
        raise MissingColumns(f"the table has no column {lacking[0]!r}{more}{hint}")
    rows = np.empty((len(frame), len(schema.features)), dtype=np.float64, order="F")
    for place, feature in enumerate(schema.features):
        rows[:, place] = encode_column(frame[feature.name], feature, schema.missing_tokens)
    return rows


def encode_column(column: pd.Series, feature: Feature, missing_tokens: Sequence[str] = ()) -> npt.NDArray[np.float64]:
    """Encode one column; shape (n,). See `encode`."""
    values = _present(column, missing_tokens)
    if feature.is_number:
        codes = _numbers(values, feature)
    elif feature.kind == "boolean":
        codes = _booleans(values, feature)
    else:
        codes = _categories(values, feature)
    if not feature.missing:
        _refuse_first(np.isnan(codes), values, feature, "is missing, and the schema forbids missing values there")
    return codes


def decode(rows: Matrix, schema: Schema) -> pd.DataFrame:
    """The encoded rows as a DataFrame: numbers as float64, texts as ``str``; an unseen category is missing there."""
    columns: dict[str, pd.Series] = {}
    for place, feature in enumerate(schema.features):
        if feature.is_number:
            columns[feature.name] = pd.Series(rows[:, place].copy())
            continue
        known = {float(code): text for text, code in feature.code_of.items()}
        columns[feature.name] = pd.Series(rows[:, place]).map(known).astype("str")
    return pd.DataFrame(columns)


def target_codes(frame: pd.DataFrame, schema: Schema) -> Indices:
    """The target's classes as places in ``schema.classes``; shape (n,). Raises `TargetError`."""
    texts = target_texts(frame, schema.target, schema.missing_tokens)
    codes = pd.Index(schema.classes).get_indexer(pd.Index(texts))
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        raise TargetError(
            f"row {row + 1}: {texts[row]!r} is no class of {schema.target!r}{did_you_mean(texts[row], schema.classes)}"
        )
    return codes.astype(np.intp)


def target_texts(frame: pd.DataFrame, target: str, missing_tokens: Sequence[str] = ()) -> list[str]:
    """The target column as text, as in the file; raises `TargetError` where a cell is missing."""
    if target not in frame.columns:
        raise TargetError(
            f"the table has no column {target!r}{did_you_mean(target, [str(name) for name in frame.columns])}"
        )
    values = _present(frame[target], missing_tokens)
    missing = np.asarray(pc.is_null(values, nan_is_null=True))
    if missing.any():
        rows = np.flatnonzero(missing)
        raise TargetError(f"{len(rows)} rows have no {target!r}, the first is row {rows[0] + 1}; drop or label them")
    return [str(text) for text in _texts(values).to_pylist()]


def infer_schema(frame: pd.DataFrame, target: str, *, missing_tokens: Iterable[str] = ()) -> Schema:
    """Infer a schema: every column but the target is a feature.

    Numbers that are all whole make an integer feature; texts that are all true or false a boolean
    one; other texts a categorical one. Missing values are allowed everywhere: a person can forbid
    them in the schema. Raises `TargetError` for a target of one class, or of none.
    """
    _check_names(frame)
    tokens = tuple(missing_tokens)
    classes = class_texts(frame, target, tokens)
    names = [name for name in frame.columns if name != target]
    if not names:
        raise TableError(f"the table has no column beside the target {target!r}")
    features = tuple(infer_feature(frame[name], name, tokens) for name in names)
    return Schema(features, target, classes, tokens)


def class_texts(frame: pd.DataFrame, target: str, missing_tokens: Sequence[str] = ()) -> tuple[str, ...]:
    """The target's classes in order; raises `TargetError` where there are too few or too many to be classes."""
    classes = _sorted_texts(set(target_texts(frame, target, missing_tokens)))
    if not classes:
        raise TargetError(
            f"the table has no rows, so {target!r} has no classes; a classifier needs two classes or more"
        )
    if len(classes) < 2:
        raise TargetError(f"every row has the {target!r} {classes[0]!r}; a classifier needs two classes or more")
    if len(classes) > max(100, len(frame) // 10):
        raise TargetError(f"{target!r} has {len(classes)} different values; a classifier's target has a few classes")
    return classes


def known_texts(column: pd.Series, missing_tokens: Sequence[str] = ()) -> tuple[str, ...]:
    """The different present values of a column as texts, in order: what its categories are."""
    return _sorted_texts(set(pc.drop_null(_texts(_present(column, missing_tokens))).to_pylist()))


def infer_feature(column: pd.Series, name: str, missing_tokens: Sequence[str] = ()) -> Feature:
    """Infer one column's kind, range and categories."""
    values = _present(column, missing_tokens)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        present = pc.drop_null(values)
        distinct = pc.unique(present).to_pylist()
        numbers = _parsed(pa.array(distinct, pa.string()))
        if distinct and {text.strip().lower() for text in distinct} <= set(BOOLEANS):
            return Feature(name, "boolean")
        if numbers is None or not np.isfinite(numbers).all():
            return Feature(name, "categorical", categories=_sorted_texts(set(distinct)))
        return _number_feature(name, numbers)
    if pa.types.is_boolean(values.type):
        return Feature(name, "boolean")
    if any(is_kind(values.type) for is_kind in _NUMBERS):
        known = np.asarray(pc.drop_null(values).cast(pa.float64(), safe=False), dtype=float)
        return _number_feature(name, known[~np.isnan(known)])
    return Feature(name, "categorical", categories=known_texts(column, missing_tokens))


def fingerprint(rows: Matrix) -> str:
    """SHA-256 over the encoded columns: the same table gives the same, from CSV or Parquet."""
    return fingerprint_of(rows.T, rows.shape)


def fingerprint_of(columns: Iterable[Matrix], shape: tuple[int, ...]) -> str:
    """The `fingerprint` of a table of this shape (n, features), by its encoded columns in order, whole or in parts."""
    digest = hashlib.sha256(f"{shape[0]} x {shape[1]}".encode())
    for column in columns:
        digest.update((np.where(np.isnan(column), np.nan, column) + 0.0).astype("<f8").tobytes())
    return digest.hexdigest()


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        table = pacsv.read_csv(path, **csv_options(header(path)))
    except pa.ArrowInvalid as problem:
        if "Empty CSV" in str(problem):
            raise NoRows(NO_ROWS.format(path.name)) from None
        raise unreadable(path, "CSV", problem) from None
    frame: pd.DataFrame = table.to_pandas()
    return frame


def csv_options(names: Sequence[str]) -> dict[str, Any]:
    """How a CSV with these columns is read: cells as text, as they stand there, an empty one missing."""
    return {
        "parse_options": pacsv.ParseOptions(newlines_in_values=True, ignore_empty_lines=len(names) > 1),
        "convert_options": pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    }


def header(path: Path) -> list[str]:
    """The names of a CSV's columns; raises `TableError`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
    except (UnicodeDecodeError, csv.Error) as problem:
        raise TableError(f"{path.name!r} is no readable CSV in UTF-8: {_first_line(problem)}") from None
    if not names:
        raise TableError(f"{path.name!r} is empty; a CSV begins with a header")
    _check_width(len(names), path)
    for name in names:
        if not name:
            raise TableError(f"{path.name!r} has a column without a name in its header")
        if names.count(name) > 1:
            raise TableError(f"{path.name!r} names the column {name!r} twice")
    return names


def _check_width(columns: int, path: Path) -> None:
    if columns > MOST_COLUMNS:
        raise TableError(f"{path.name!r} has {columns} columns, at most {MOST_COLUMNS} are read")


def _check_names(frame: pd.DataFrame) -> None:
    for name, twice in zip(frame.columns, frame.columns.duplicated(), strict=True):
        if not isinstance(name, str):
            raise TableError(f"the table has a column named {name!r}; a column's name is a text")
        if twice:
            raise TableError(f"the table names the column {name!r} twice")


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        with pq.ParquetFile(path) as file:
            parquet_names(file, path)
            return parquet_frame(file.read())
    except (pa.ArrowException, OSError) as problem:
        raise unreadable(path, "Parquet file", problem) from None


def parquet_names(file: pq.ParquetFile, path: Path, more: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of a Parquet file's columns with ``more``, each once and not too many; raises `TableError`."""
    names = (*file.schema_arrow.names, *more)
    _check_width(len(names), path)
    if len(set(names)) != len(names):
        raise TableError(f"{path.name!r} names a column twice")
    return names


def parquet_frame(table: pa.Table) -> pd.DataFrame:
    """What was read of a Parquet file as a DataFrame."""
    # Nullable integers must not pass through floats that would lose digits of a category.
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    frame.columns = pd.Index([str(name) for name in frame.columns])
    return frame


def unreadable(path: Path, what: str, problem: Exception) -> TableError:
    """The error for a file that can't be read."""
    return TableError(f"{path.name!r} is no readable {what}: {_first_line(problem)}")


def check_size(path: str | Path, most_cells: int) -> None:
    """Raise `TableError` where a Parquet file says that it has more than ``most_cells`` rows x columns.

    Only its end is read. A file of a few bytes may say any number, and reading it would take as much memory.
    """
    path = Path(path)
    try:
        with pq.ParquetFile(path) as file:
            rows, columns = file.metadata.num_rows, file.metadata.num_columns
    except (pa.ArrowException, OSError) as problem:
        raise unreadable(path, "Parquet file", problem) from None
    if rows * columns > most_cells:
        raise TableError(f"{path.name!r} has {rows} rows x {columns} columns; at most {most_cells} cells are accepted")


def _first_line(problem: Exception) -> str:
    return str(problem).splitlines()[0][:200]


def _present(column: pd.Series, missing_tokens: Sequence[str]) -> pa.Array:
    """The column as an Arrow array, null where it is missing."""
    try:
        values = pa.array(column, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        # A column of mixed Python objects: each cell as its own text.
        values = pa.array([None if _is_missing(cell) else _cell_text(cell) for cell in column], pa.string())
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        gone = ["", *missing_tokens]
        values = pc.if_else(pc.is_in(values, pa.array(gone, values.type)), pa.scalar(None, values.type), values)
    return values


def _is_missing(cell: object) -> bool:
    return cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell))


def _cell_text(cell: object) -> str:
    return number_text(cell) if isinstance(cell, float) else str(cell)


def _texts(values: pa.Array) -> pa.Array:
    """The values as text: whole floats without ``.0``, booleans as Python writes them; raises `TableError`."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return values
    if pa.types.is_floating(values.type) or pa.types.is_boolean(values.type):
        return pa.array([None if cell is None else _cell_text(cell) for cell in values.to_pylist()], pa.string())
    try:
        return values.cast(pa.string())
    except pa.ArrowException:
        raise TableError(f"a column of {values.type} can't be read as text; give texts, numbers or booleans") from None


def _numbers(values: pa.Array, feature: Feature) -> npt.NDArray[np.float64]:
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        numbers = _parsed(values)
        if numbers is None:
            row = _first_unparsed(values)
            cell = values[row].as_py()
            raise ValueRefused.at(
                row, f"column {feature.name!r}: {cell!r} is no number, and {feature.name!r} is {feature.kind}"
            )
    elif pa.types.is_null(values.type):
        numbers = np.full(len(values), np.nan)
    else:
        try:
            numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(float)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise ValueRefused(
                f"column {feature.name!r} holds {values.type}, and the schema says {feature.kind}"
            ) from None
    numbers = np.where(np.abs(numbers) <= ZERO, 0.0, numbers)
    _refuse_first(np.isinf(numbers), values, feature, "is infinite; numbers are finite or missing")
    nulls = np.asarray(values.is_null())
    _refuse_first(np.isnan(numbers) & ~nulls, values, feature, "is no number; leave the cell empty where it is missing")
    if feature.kind == "integer":
        with np.errstate(invalid="ignore"):
            _refuse_first(
                numbers != np.floor(numbers),
                values,
                feature,
                f"is not whole, and {feature.name!r} is integer",
                skip=nulls,
            )
    return numbers


def _parsed(texts: pa.Array) -> npt.NDArray[np.float64] | None:
    """The texts as doubles (NaN for null), or None where one is no number."""
    try:
        return np.asarray(
            pc.cast(pc.utf8_trim_whitespace(texts), pa.float64()).to_numpy(zero_copy_only=False), dtype=float
        )
    except pa.ArrowInvalid:
        return None


def _first_unparsed(texts: pa.Array) -> int:
    """The first text that is no number, where one is, found by halving."""
    low, high = 0, len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _parsed(texts.slice(low, middle - low)) is None else (middle, high)
    return low


def _booleans(values: pa.Array, feature: Feature) -> npt.NDArray[np.float64]:
    if pa.types.is_boolean(values.type):
        return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=float)
    texts = pc.utf8_lower(pc.utf8_trim_whitespace(_texts(values)))
    codes = pc.index_in(texts, pa.array(BOOLEANS, texts.type)).to_numpy(zero_copy_only=False).astype(float)
    bad = np.isnan(codes) & ~np.asarray(values.is_null())
    _refuse_first(bad, values, feature, "is neither true nor false")
    return np.asarray(codes)


def _categories(values: pa.Array, feature: Feature) -> npt.NDArray[np.float64]:
    texts = _texts(values)
    known = pa.array(feature.categories, texts.type)
    codes = pc.index_in(texts, known).to_numpy(zero_copy_only=False).astype(float) + 1.0
    codes[np.isnan(codes)] = 0.0
    codes[np.asarray(values.is_null())] = np.nan
    return np.asarray(codes)


def _refuse_first(
    bad: npt.NDArray[np.bool_], values: pa.Array, feature: Feature, why: str, skip: npt.NDArray[np.bool_] | None = None
) -> None:
    if skip is not None:
        bad = bad & ~skip
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        cell = values[row].as_py()
        raise ValueRefused.at(row, f"column {feature.name!r}: {'the value' if cell is None else repr(cell)} {why}")


def _number_feature(name: str, numbers: npt.NDArray[np.float64]) -> Feature:
    if not len(numbers):
        return Feature(name, "numeric")
    if not np.isfinite(numbers).all():
        raise TableError(f"column {name!r} holds an infinite number; numbers are finite or missing")
    whole = bool((numbers == np.floor(numbers)).all()) and float(np.abs(numbers).max()) < LARGEST_INTEGER
    kind: Kind = "integer" if whole else "numeric"
    return Feature(name, kind, low=float(numbers.min()) + 0.0, high=float(numbers.max()) + 0.0)


def _sorted_texts(texts: set[str]) -> tuple[str, ...]:
    """Sorted as numbers where all are (a NaN has no place among them), else as text."""
    try:
        numbers = {text: float(text) for text in texts}
    except ValueError:
        return tuple(sorted(texts))
    if any(math.isnan(number) for number in numbers.values()):
        return tuple(sorted(texts))
    return tuple(sorted(texts, key=lambda text: (numbers[text], text)))
