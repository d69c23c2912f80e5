"""Tables: what is read, what is inferred, what is refused, and the matrix that comes out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ruleedit.errors import MissingColumns, NoRows, TableError, TargetError, ValueRefused
from ruleedit.schema import Feature, Schema
from ruleedit.tables import (
    MOST_COLUMNS,
    decode,
    encode,
    encode_column,
    fingerprint,
    infer_feature,
    infer_schema,
    read,
    target_codes,
    target_texts,
)
from tests.reference import TINIEST, encoded
from tests.strategies import World

Csv = Callable[[str | bytes], Path]
NUMBER = Feature("x", "numeric")
WHOLE = Feature("x", "integer")
FLAG = Feature("x", "boolean")
TEXT = Feature("x", "categorical", categories=("car", "NA", " car"))
STRICT = Feature("x", "numeric", missing=False)


@pytest.fixture
def csv(tmp_path: Path) -> Csv:
    """Write a CSV file and give its path."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def column(*cells: object, dtype: Any = None) -> pd.Series:
    return pd.Series(list(cells), name="x", dtype=dtype)


def codes(feature: Feature, *cells: object, dtype: Any = None) -> list[float | None]:
    return [None if np.isnan(code) else code for code in encode_column(column(*cells, dtype=dtype), feature).tolist()]


def inferred(*cells: object, dtype: Any = None) -> tuple[str, float | None, float | None]:
    feature = infer_feature(column(*cells, dtype=dtype), "x")
    return feature.kind, feature.low, feature.high


# Reading


def test_a_csvs_cells_stay_as_they_stand_there(csv: Csv) -> None:
    """Only the empty cell is missing, quoted or not: NA, nan and null are texts."""
    frame = read(csv('a,b\n1,NA\n 2 ,nan\n,null\n"",0.50\n'))
    assert [None if pd.isna(cell) else cell for cell in frame["a"]] == ["1", " 2 ", None, None]
    assert list(frame["b"]) == ["NA", "nan", "null", "0.50"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_a_csv_may_begin_with_a_mark_and_end_lines_either_way(csv: Csv, start: bytes, end: str) -> None:
    """A byte order mark is no part of the first name."""
    frame = read(csv(start + end.join(["age,job", "1,é"]).encode()))
    assert frame.to_dict("list") == {"age": ["1"], "job": ["é"]}


def test_a_quoted_cell_holds_anything(csv: Csv) -> None:
    """Commas, quotes and new lines in quotes are part of the cell, in the header too."""
    frame = read(csv('"a\nb","c,d"\n"x\ny","say ""hi"""\n'))
    assert frame.to_dict("list") == {"a\nb": ["x\ny"], "c,d": ['say "hi"']}


def test_a_blank_line_is_a_row_only_where_there_is_one_column(csv: Csv) -> None:
    """In a one-column CSV a blank line is a missing cell; in a wider one it is none."""
    frame = read(csv("a\n1\n\n2\n\n"))
    assert frame["a"].isna().tolist() == [False, True, False, True]
    assert len(read(csv("a,b\n1,2\n\n3,4\n"))) == 2


@pytest.mark.parametrize(
    ("content", "error", "problem"),
    [
        ("", TableError, "'table.csv' is empty; a CSV begins with a header"),
        ("\n\n", TableError, "is empty"),
        ("a,b", NoRows, "'table.csv' has a header and no rows"),
        ("a,b\n", NoRows, "'table.csv' has a header and no rows"),
        ("a,a\n1,2\n", TableError, "'table.csv' names the column 'a' twice"),
        ("a,\n1,2\n", TableError, "has a column without a name in its header"),
        ("a,b\n1,2,3\n", TableError, "Expected 2 columns, got 3"),
        ("a,b\n1,2\n1\n", TableError, "Expected 2 columns, got 1"),
        (b"a,b\n\xe9,2\n", TableError, "'table.csv' is no readable CSV in UTF-8"),
        (b"a,b\n" + b"1,2\n" * 9_000 + b"\xe9,2\n", TableError, "'table.csv' is no readable CSV"),
        ("a,b\n1,2\n".encode("utf-16"), TableError, "is no readable CSV in UTF-8"),
        (
            ",".join(f"x{number}" for number in range(MOST_COLUMNS + 1)) + "\n",
            TableError,
            "has 1001 columns, at most 1000",
        ),
    ],
)
def test_a_csv_that_cant_be_read_is_refused(
    csv: Csv, content: str | bytes, error: type[Exception], problem: str
) -> None:
    """The message names the file and what is wrong with it."""
    with pytest.raises(error) as refused:
        read(csv(content))
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_thousand_columns_are_read(csv: Csv) -> None:
    """The limit itself is allowed."""
    line = ",".join(map(str, range(MOST_COLUMNS)))
    assert MOST_COLUMNS == 1_000
    assert read(csv(f"{line}\n{line}\n")).shape == (1, 1_000)


def test_a_file_that_isnt_there_is_refused(tmp_path: Path) -> None:
    """A folder is no file either."""
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(TableError, match=r"no file .*; give a CSV or Parquet file"):
            read(path)


def test_a_parquet_file_that_cant_be_read_is_refused(tmp_path: Path) -> None:
    """Broken, doubled, too wide or empty: each is named."""
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(TableError, match=r"'table.parquet' is no readable Parquet file"):
        read(path)
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    with pytest.raises(TableError, match="names a column twice"):
        read(path)
    pq.write_table(pa.table({f"x{number}": [1] for number in range(MOST_COLUMNS + 1)}), path)
    with pytest.raises(TableError, match="has 1001 columns, at most 1000 are read"):
        read(path)
    pd.DataFrame({"a": pd.Series([], dtype="float64")}).to_parquet(path)
    with pytest.raises(NoRows):
        read(path)


def test_numbered_parquet_columns_have_their_numbers_as_names(tmp_path: Path) -> None:
    """A frame that was written with columns 0 and 1 comes back with texts."""
    path = tmp_path / "table.pq"
    pd.DataFrame([[1, 2]]).to_parquet(path)
    assert list(read(path).columns) == ["0", "1"]


# Kinds


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (("1", "2", None), ("integer", 1.0, 2.0)),
        (("1.0", "-2e1"), ("integer", -20.0, 1.0)),
        ((" 1", "2 "), ("integer", 1.0, 2.0)),
        (("0.5", "2"), ("numeric", 0.5, 2.0)),
        (("-0", "-0.0"), ("integer", 0.0, 0.0)),
        ((None, None), ("numeric", None, None)),
        (("True", "FALSE", None, " true "), ("boolean", None, None)),
        (("true", "1"), ("categorical", None, None)),
        (("1", "NA"), ("categorical", None, None)),
        (("1", "nan"), ("categorical", None, None)),
        (("1", "inf"), ("categorical", None, None)),
        (("1", " "), ("categorical", None, None)),
        (("9007199254740991", "1"), ("integer", 1.0, 2.0**53 - 1)),
        (("9007199254740993", "1"), ("numeric", 1.0, 2.0**53)),
        (("1180591620717411303424",), ("numeric", 2.0**70, 2.0**70)),
        ((1, 2, None), ("integer", 1.0, 2.0)),
        ((1.5, float("nan")), ("numeric", 1.5, 1.5)),
        ((2**53 + 1, 1), ("numeric", 1.0, 2.0**53)),
        ((2**70, 1), ("numeric", 1.0, 2.0**70)),
        ((True, False, None), ("boolean", None, None)),
        ((Decimal("1.5"), None), ("numeric", 1.5, 1.5)),
        ((1, "a", 2.0), ("categorical", None, None)),
        ((1j,), ("categorical", None, None)),
    ],
)
def test_kinds_are_inferred(cells: tuple[object, ...], kind: tuple[str, float | None, float | None]) -> None:
    """Whole numbers are integer, true and false boolean, other numbers numeric, other texts categorical."""
    assert inferred(*cells) == kind


@pytest.mark.parametrize(
    ("cells", "dtype", "kind"),
    [
        ((1, None), "Int64", "integer"),
        ((1.5, None), "Float64", "numeric"),
        ((True, None), "boolean", "boolean"),
        (("a", None), "category", "categorical"),
        (("a", None), "str", "categorical"),
        (("a", None), object, "categorical"),
        ((None, None), object, "numeric"),
        (("2020-01-01", None), "datetime64[ns]", "categorical"),
    ],
)
def test_kinds_are_inferred_from_any_dtype(cells: tuple[object, ...], dtype: Any, kind: str) -> None:
    """The library's many ways to hold a column make no difference."""
    assert inferred(*cells, dtype=dtype)[0] == kind


def test_categories_are_sorted_as_numbers_where_all_are() -> None:
    """Else they are sorted as text; surrounding spaces make another category."""
    assert infer_feature(column("b", " b", "a", None, "b"), "x").categories == (" b", "a", "b")
    assert infer_feature(column("10", "9", "x"), "x").categories == ("10", "9", "x")


def test_a_nan_among_numbers_doesnt_upset_the_order() -> None:
    """The order is the same whatever the order of hashing."""
    program = (
        "import json, pandas; from ruleedit.tables import infer_feature;"
        "print(json.dumps(infer_feature(pandas.Series(['nan', '10', '9', '1', 'inf']), 'x').categories))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert [json.loads(text) for text in found] == [["1", "10", "9", "inf", "nan"]]


def test_a_column_of_lists_is_refused() -> None:
    """What is neither text nor number can't be a feature."""
    with pytest.raises(TableError, match="can't be read as text; give texts, numbers or booleans"):
        infer_feature(column([1], [2]), "x")
    with pytest.raises(TableError, match="infinite number"):
        infer_feature(column(1.0, np.inf), "x")


def test_a_schema_is_inferred_from_a_table(csv: Csv) -> None:
    """Every column but the target is a feature that may be missing; more tokens can mean missing."""
    frame = read(csv("age,job,y\n30,cook,10\n?,?,9\n40.5,clerk,10\n"))
    assert infer_schema(frame, "y", missing_tokens=["?"]) == Schema(
        (Feature("age", "numeric", low=30.0, high=40.5), Feature("job", "categorical", categories=("clerk", "cook"))),
        "y",
        ("9", "10"),
        ("?",),
    )


@pytest.mark.parametrize(
    ("frame", "target", "problem"),
    [
        ({"a": [1, 2], "y": ["p", None]}, "y", "1 rows have no 'y', the first is row 2; drop or label them"),
        ({"a": [1, 2], "y": ["p", "p"]}, "y", "every row has the 'y' 'p'; a classifier needs two classes or more"),
        ({"a": [], "y": []}, "y", "the table has no rows"),
        ({"a": [1, 2], "y": ["p", "q"]}, "Y", "the table has no column 'Y'; did you mean 'y'?"),
        ({"a": [1] * 101, "y": [f"{n}" for n in range(101)]}, "y", "'y' has 101 different values"),
    ],
)
def test_a_target_that_cant_be_learned_is_refused(frame: dict[str, Any], target: str, problem: str) -> None:
    """Missing cells, one class, and too many classes are named."""
    with pytest.raises(TargetError) as refused:
        infer_schema(pd.DataFrame(frame), target)
    assert problem in str(refused.value)


def test_a_table_needs_a_column_beside_the_target() -> None:
    """A target alone is no table."""
    with pytest.raises(TableError, match="no column beside the target 'y'"):
        infer_schema(pd.DataFrame({"y": ["a", "b"]}), "y")


@pytest.mark.parametrize(("names", "problem"), [([0, "y"], "a column named 0"), (["a", "a"], "the column 'a' twice")])
def test_column_names_are_texts_of_their_own(names: list[Any], problem: str) -> None:
    """A frame with numbered or doubled columns is refused."""
    frame = pd.DataFrame([[1, "p"], [2, "q"]], columns=names)
    with pytest.raises(TableError, match=problem):
        infer_schema(frame, names[1])
    with pytest.raises(TableError, match=problem):
        encode(frame, Schema((Feature("a", "numeric"),), "z", ("p", "q")))


# The target


def test_classes_are_coded_by_their_place() -> None:
    """The codes are places in the schema's order of classes; numbers come as their text."""
    schema = Schema((NUMBER,), "y", ("9", "10"))
    assert target_codes(pd.DataFrame({"y": ["10", "9"]}), schema).tolist() == [1, 0]
    assert target_codes(pd.DataFrame({"y": [9.0, 10.0]}), schema).tolist() == [0, 1]
    assert target_texts(pd.DataFrame({"y": [True, False]}), "y") == ["True", "False"]


def test_an_unknown_class_is_refused() -> None:
    """The message names the row and the nearest class."""
    with pytest.raises(TargetError, match="row 2: 'denied' is no class of 'y'; did you mean 'deny'"):
        target_codes(pd.DataFrame({"y": ["deny", "denied"]}), Schema((NUMBER,), "y", ("approve", "deny")))


# Encoding


@pytest.mark.parametrize(
    ("feature", "cells", "dtype", "expected"),
    [
        (NUMBER, ("1.5", " 2 ", "1e3", None, ""), None, [1.5, 2.0, 1000.0, None, None]),
        (NUMBER, ("1e-36", "-0.0", repr(TINIEST), "1.1e-35"), None, [0.0, 0.0, 0.0, 1.1e-35]),
        (NUMBER, (1, None), "Int64", [1.0, None]),
        (NUMBER, (None, None), object, [None, None]),
        (WHOLE, (1.0, float("nan")), "float64", [1.0, None]),
        (WHOLE, ("3.0", "1e-40"), None, [3.0, 0.0]),
        (FLAG, ("true", "FALSE", " True", None), None, [1.0, 0.0, 1.0, None]),
        (FLAG, (True, False, None), object, [1.0, 0.0, None]),
        (FLAG, (True, None), "boolean", [1.0, None]),
        (FLAG, (None, None), object, [None, None]),
        (TEXT, ("car", "NA", "bus", None, " car", "CAR", ""), None, [1.0, 2.0, 0.0, None, 3.0, 0.0, None]),
        (TEXT, ("car", "bus", None), "category", [1.0, 0.0, None]),
        (TEXT, (None, None), object, [None, None]),
        (Feature("x", "categorical", categories=("1", "2")), (2, 1.0, 3), None, [2.0, 1.0, 0.0]),
        (Feature("x", "categorical"), ("car", None), None, [0.0, None]),
    ],
)
def test_cells_are_encoded(
    feature: Feature, cells: tuple[object, ...], dtype: Any, expected: list[float | None]
) -> None:
    """Numbers are themselves, categories 1 to K, an unseen one 0, missing is NaN."""
    assert codes(feature, *cells, dtype=dtype) == expected


@pytest.mark.parametrize(
    ("feature", "cells", "problem"),
    [
        (NUMBER, ("1", "many"), "row 2, column 'x': 'many' is no number, and 'x' is numeric"),
        (NUMBER, ("1", "NA"), "row 2, column 'x': 'NA' is no number"),
        (NUMBER, ("1", "nan"), "row 2, column 'x': 'nan' is no number; leave the cell empty where it is missing"),
        (NUMBER, ("1e999", "1"), "row 1, column 'x': '1e999' is infinite"),
        (NUMBER, (1.0, -np.inf), "row 2, column 'x': -inf is infinite; numbers are finite or missing"),
        (WHOLE, ("1", None, "2.5"), "row 3, column 'x': '2.5' is not whole, and 'x' is integer"),
        (FLAG, ("true", "yes"), "row 2, column 'x': 'yes' is neither true nor false"),
        (STRICT, ("1", None), "row 2, column 'x': the value is missing, and the schema forbids missing values there"),
        (NUMBER, (pd.Timestamp("2020-01-01"),), "column 'x' holds timestamp"),
    ],
)
def test_a_cell_that_the_schema_forbids_is_refused(feature: Feature, cells: tuple[object, ...], problem: str) -> None:
    """The message names row, column and cell, and says what is wrong."""
    with pytest.raises(ValueRefused) as refused:
        codes(feature, *cells)
    assert problem in str(refused.value)


def test_missing_tokens_are_missing_only_where_the_schema_lists_them() -> None:
    """`NA` and `nan` are texts until the schema says otherwise."""
    frame = pd.DataFrame({"x": ["car", "NA", "nan"]})
    plain, tokens = (Schema((TEXT,), "y", ("a", "b"), missing) for missing in ((), ("NA", "nan")))
    assert encode(frame, plain)[:, 0].tolist() == [1.0, 2.0, 0.0]
    assert np.isnan(encode(frame, tokens)[:, 0]).tolist() == [False, True, True]


def test_columns_are_found_by_name() -> None:
    """Other columns and another order don't matter; the matrix stands in columns."""
    schema = Schema((Feature("a", "numeric"), Feature("b", "boolean")), "y", ("p", "q"))
    rows = encode(pd.DataFrame({"b": ["true"], "c": ["?"], "a": ["2"]}), schema)
    assert rows.tolist() == [[2.0, 1.0]]
    assert rows.flags.f_contiguous


def test_missing_columns_are_refused() -> None:
    """The message names the first with a hint and counts the others."""
    schema = Schema((Feature("age", "numeric"), Feature("job", "boolean")), "y", ("p", "q"))
    with pytest.raises(MissingColumns, match="the table has no column 'age' and 1 more columns; did you mean 'Age'"):
        encode(pd.DataFrame({"Age": [1]}), schema)


def test_rows_are_encoded_as_cell_by_cell(worlds: list[World]) -> None:
    """The encoder agrees with the plain one on tables of every kind."""
    for world in worlds[:200]:
        frame = pd.DataFrame(
            {name: pd.Series([row[name] for row in world.rows], dtype=object) for name in world.schema.names}
        )
        np.testing.assert_array_equal(encode(frame, world.schema), encoded(world.rows, world.schema))


def test_decoding_gives_back_the_table(worlds: list[World]) -> None:
    """Encoding what was decoded gives the same matrix; an unseen category became missing."""
    for world in worlds[:200]:
        rows = encoded(world.rows, world.schema)
        again = encoded([{**row} for row in world.rows], world.schema)
        for place, feature in enumerate(world.schema.features):
            if feature.kind == "categorical":
                again[again[:, place] == 0.0, place] = np.nan
        loose = Schema(
            tuple(Feature(f.name, f.kind, categories=f.categories) for f in world.schema.features),
            "outcome",
            ("a", "b"),
        )
        np.testing.assert_array_equal(encode(decode(rows, loose), loose), again)


# CSV and Parquet


def random_table(seed: int) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    size = 200
    gone = chance.random(size) < 0.1
    return pd.DataFrame(
        {
            "whole": pd.Series(chance.integers(-5, 5, size)).astype("Int64").mask(gone),
            "number": pd.Series(chance.normal(size=size)).mask(gone),
            "huge": chance.integers(2**60, 2**62, size),
            "tiny": chance.choice([1e-36, -1e-36, 0.0, -0.0, 1e-34], size),
            "flag": pd.Series(chance.random(size) < 0.5).astype(object).mask(gone, None),
            "job": pd.Series(chance.choice(["a", 'b "quoted"', "c,\nd", "é", "NA", " "], size)).mask(gone),
            "kind": pd.Categorical(chance.choice(["x", "y"], size)),
            "none": pd.Series([None] * size, dtype=object),
            "y": chance.choice(["deny", "approve"], size),
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_csv_and_parquet_of_a_table_are_the_same(tmp_path: Path, seed: int) -> None:
    """Schema, matrix, target and fingerprint don't depend on the file's format, nor on having a file."""
    table = random_table(seed)
    table.to_csv(tmp_path / "table.csv", index=False)
    table.to_parquet(tmp_path / "table.parquet", row_group_size=64)
    frames = [read(tmp_path / "table.csv"), read(tmp_path / "table.parquet"), table]
    schemas = [infer_schema(frame, "y") for frame in frames]
    assert schemas[0] == schemas[1] == schemas[2]
    assert [f.kind for f in schemas[0].features] == [
        *("integer", "numeric", "numeric", "numeric"),
        *("boolean", "categorical", "categorical", "numeric"),
    ]
    rows = [encode(frame, schemas[0]) for frame in frames]
    assert len({fingerprint(matrix) for matrix in rows}) == 1
    np.testing.assert_array_equal(rows[0], rows[1])
    assert len({target_codes(frame, schemas[0]).tobytes() for frame in frames}) == 1


def test_a_fingerprint_sees_every_cell() -> None:
    """Another value, place or shape is another table; the sign of zero and the bits of a NaN are not."""
    rows = np.array([[0.0, np.nan], [1.0, 2.0]], order="F")
    same = np.array([[-0.0, -np.nan], [1.0, 2.0]])
    others = [rows + 1.0, rows[::-1], rows[:, ::-1], rows.reshape(1, 4), rows.reshape(4, 1)]
    assert fingerprint(same) == fingerprint(rows)
    assert len({fingerprint(matrix) for matrix in [rows, *others]}) == 6
