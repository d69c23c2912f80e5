"""A CSV table of rules: UTF-8, with commas or semicolons, as spreadsheets save it."""

from __future__ import annotations

import csv
import io

from ruleedit.errors import FileRefused
from ruleedit.formats.read.assembling import MOST_RULES, Found
from ruleedit.formats.read.table import Grid, read_grid
from ruleedit.schema import Schema


def read(content: bytes, schema: Schema) -> Found:
    """The rules of a CSV table; raises `FileRefused` with the row and the column."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise FileRefused(f"byte {problem.start + 1} is no UTF-8; save the table as CSV in UTF-8") from None
    if "\0" in text:
        raise FileRefused("the file holds a NUL character; it is no CSV")
    first = text.split("\n", 1)[0]
    mark = ";" if first.count(";") > first.count(",") else ","
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True):
            rows.append(row)
            if len(rows) > MOST_RULES + 2:
                raise FileRefused(f"more than {MOST_RULES:,} rows; a rule set has fewer")
    except csv.Error as problem:
        raise FileRefused(f"row {len(rows) + 1}: no readable CSV ({problem})") from None

    def name(row: int, column: int) -> str:
        title = rows[0][column].strip() if column < len(rows[0]) else ""
        return f"row {row + 1}, column {title or column + 1!r}"

    return read_grid(Grid(rows, name), schema)
