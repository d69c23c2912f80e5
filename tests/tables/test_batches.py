"""Tables in batches: whatever the file's shape, the rows are those that reading it whole gives."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ruleedit.datasets import loans
from ruleedit.errors import MissingColumns, NoRows, TableError, ValueRefused
from ruleedit.schema import Feature, Schema
from ruleedit.tables import batches, encode, infer_schema, read
from ruleedit.tables.batches import columns_of, pieces

TABLE = loans(503, seed=11)
SCHEMA = infer_schema(TABLE, "decision")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 40 rows, pieces of 100, blocks of 4 kB: a table of 503 rows has many."""
    monkeypatch.setattr(batches, "MOST_ROWS", 40)
    monkeypatch.setattr(batches, "PIECE_ROWS", 100)
    monkeypatch.setattr(batches, "CSV_BLOCK", 4_096)


def parquet(path: Path, frame: pd.DataFrame = TABLE, *, group: int = 70) -> Path:
    """Write a Parquet file with small row groups."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=group)
    return path


def rows_of(path: Path, schema: Schema = SCHEMA) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The encoded rows of a table, batch by batch; each batch in its place and of a batch's size."""
    table = pieces(path)
    found, start = [], 0
    for piece in table:
        for batch in piece.batches(columns_of(table, schema)):
            assert batch.start == start or piece.groups is None
            assert 0 < len(batch) <= 40
            start += len(batch)
            found.append(batch.encode(schema))
    return np.concatenate(found)


@pytest.mark.parametrize("kind", ["csv", "parquet", "folder"])
def test_the_rows_are_those_of_the_whole_table(kind: str, tmp_path: Path) -> None:
    """To the bit and in order, from a CSV, one file of several row groups, or several files."""
    if kind == "csv":
        path = tmp_path / "table.csv"
        TABLE.to_csv(path, index=False)
        whole = encode(read(path), SCHEMA)
    else:
        whole = encode(read(parquet(tmp_path / "one.parquet")), SCHEMA)
        path = tmp_path / "one.parquet"
    if kind == "folder":
        path = tmp_path / "many"
        for number, start in enumerate(range(0, len(TABLE), 130)):
            parquet(path / f"deep{number % 2}" / f"part-{number}.pq", TABLE.iloc[start : start + 130])
        order = np.concatenate([np.arange(0, 130), np.arange(260, 390), np.arange(130, 260), np.arange(390, 503)])
        whole = whole[order]
    assert rows_of(path).tobytes() == np.ascontiguousarray(whole).tobytes()


def test_a_piece_can_be_read_by_itself(tmp_path: Path) -> None:
    """Its start and its rows are known without reading it, and pieces part the table."""
    table = pieces(parquet(tmp_path / "t.parquet", group=40))
    assert [(piece.start, piece.rows) for piece in table] == [(n * 80, 80) for n in range(6)] + [(480, 23)]
    whole = encode(read(tmp_path / "t.parquet"), SCHEMA)
    for piece in table:
        rows = np.concatenate([batch.encode(SCHEMA) for batch in piece.batches()])
        assert rows.tobytes() == np.ascontiguousarray(whole[piece.start : piece.start + (piece.rows or 0)]).tobytes()


def test_what_folders_are_named_is_a_column(tmp_path: Path) -> None:
    """As text, unquoted, missing where Hive says so; a file that begins with an underscore is no data."""
    for name in ("job=car%20repair", "job=__HIVE_DEFAULT_PARTITION__"):
        parquet(tmp_path / name / "a.parquet", pd.DataFrame({"x": [1.0, 2.0]}))
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "_delta_log.parquet").write_text("not one")
    schema = Schema((Feature("job", "categorical", categories=("car repair",)), Feature("x", "numeric")), "y", ("a",))
    np.testing.assert_array_equal(rows_of(tmp_path, schema), [[np.nan, 1.0], [np.nan, 2.0], [1.0, 1.0], [1.0, 2.0]])


def test_only_the_columns_that_are_needed_are_read(tmp_path: Path) -> None:
    """With the target where it is asked for; all of them where one lacks, so that the error knows their names."""
    table = pieces(parquet(tmp_path / "t.parquet", TABLE.assign(note="long")))
    assert set(next(table[0].batches(columns_of(table, SCHEMA))).frame) == set(SCHEMA.names)
    assert "decision" in next(table[0].batches(columns_of(table, SCHEMA, target=True))).frame
    lacking = dataclasses.replace(SCHEMA, features=(*SCHEMA.features, Feature("incom", "numeric")))
    with pytest.raises(MissingColumns, match=r"'incom'.*'income'"):
        next(table[0].batches(columns_of(table, lacking))).encode(lacking)


def test_the_target_is_read_where_every_row_has_one(tmp_path: Path) -> None:
    """None for a table without it and for rows without a class."""
    table = TABLE.astype({"decision": object})
    table.loc[50, "decision"] = None
    found = [
        batch.target(SCHEMA) for piece in pieces(parquet(tmp_path / "t.parquet", table)) for batch in piece.batches()
    ]
    assert [codes is None for codes in found].count(True) == 1
    first = next(pieces(parquet(tmp_path / "x.parquet", TABLE[list(SCHEMA.names)]))[0].batches())
    assert first.target(SCHEMA) is None


@pytest.mark.parametrize(
    ("name", "said"), [("t.csv", "row 402, column 'income'"), ("d/b.parquet", "b.parquet: row 151, column 'income'")]
)
def test_a_cell_that_is_refused_is_named_by_its_row_in_the_file(name: str, said: str, tmp_path: Path) -> None:
    """Not by its row in the batch; in a folder with the file."""
    table = TABLE.astype({"income": object})
    table.loc[401, "income"] = "much"
    table["income"] = table["income"].astype(str)
    if name == "t.csv":
        table.to_csv(tmp_path / name, index=False)
    else:
        parquet(tmp_path / "d/a.parquet", table.iloc[:251])
        parquet(tmp_path / name, table.iloc[251:])
    with pytest.raises(ValueRefused, match=said):
        rows_of((tmp_path / name) if name == "t.csv" else tmp_path / "d")


def _odd_folder(folder: Path) -> Path:
    parquet(folder / "a.parquet", TABLE)
    parquet(folder / "b.parquet", TABLE.drop(columns="income"))
    return folder


def _twice(folder: Path) -> Path:
    parquet(folder / "income=3" / "a.parquet", TABLE)
    return folder


def _text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda folder: folder / "none.parquet", TableError, "no file"),
        (lambda folder: folder, TableError, "holds no Parquet file"),
        (_odd_folder, TableError, "'income' is in 'a.parquet' and not in 'b.parquet'"),
        (_twice, TableError, "names a column twice"),
        (lambda folder: parquet(folder / "t.parquet", TABLE.iloc[:0]), NoRows, "no rows"),
        (lambda folder: _text(folder / "t.parquet", "a,b"), TableError, "no readable Parquet file"),
        (lambda folder: _text(folder / "t.csv", "a,b\n"), NoRows, "no rows"),
        (lambda folder: _text(folder / "t.csv", "a,b\n1,2\n3\n"), TableError, "no readable CSV"),
        (lambda folder: _text(folder / "t.csv", ""), TableError, "empty"),
    ],
    ids=["none", "empty folder", "odd folder", "twice", "no rows", "no parquet", "no lines", "short line", "empty"],
)
def test_what_is_no_table_is_refused(make: object, error: type[Exception], said: str, tmp_path: Path) -> None:
    """With what is wrong, and where."""
    with pytest.raises(error, match=said):
        list(rows_of(make(tmp_path)))  # type: ignore[operator]
