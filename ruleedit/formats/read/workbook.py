"""An Excel workbook: a table of rules by people on its first sheet, or a DMN decision table as pyDMNrules reads it.

A workbook is a zip of XML files. It is looked over before openpyxl opens it: archives that unpack too large, document
types and entities are refused. Formulas are never run; a cell that holds one is refused.
"""

from __future__ import annotations

import datetime
import io
import re
import warnings
from collections.abc import Sequence
from typing import Any

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

from ruleedit.errors import FileRefused
from ruleedit.formats.read.archives import unpacked
from ruleedit.formats.read.assembling import MOST_RULES, Found
from ruleedit.formats.read.decision_table import Cell, Table, read_table
from ruleedit.formats.read.table import Grid, read_grid
from ruleedit.rules import number_text
from ruleedit.schema import Schema

MOST_UNPACKED = 64 * 2**20
MOST_COLUMNS = 1_100
_DOCTYPE = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def read(content: bytes, schema: Schema) -> Found:
    """The rules of a workbook; raises `FileRefused` with the cell."""
    sheets = _sheets(content)
    if "Glossary" in sheets:
        return read_table(_decision_table(sheets, schema), schema)
    name, rows = next(iter(sheets.items()))
    return read_grid(Grid(rows, lambda row, column: f"{name}!{get_column_letter(column + 1)}{row + 1}"), schema)


def _sheets(content: bytes) -> dict[str, list[list[str]]]:
    """Every sheet's cells as text."""
    for name, part in unpacked(content, "the workbook", most=MOST_UNPACKED).items():
        if _DOCTYPE.search(part) or part[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise FileRefused(f"the workbook's part {name!r} has a document type or isn't UTF-8; it is not read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # What openpyxl leaves out (styles, drawings) holds no rule.
            book = load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
            return {sheet.title: _rows(sheet) for sheet in book.worksheets}
    except FileRefused:
        raise
    except Exception as problem:  # noqa: BLE001 (a damaged workbook ends openpyxl in any way)
        raise FileRefused(f"the file is no readable Excel workbook ({type(problem).__name__})") from None


def _rows(sheet: Any) -> list[list[str]]:
    rows: list[list[str]] = []
    for number, line in enumerate(sheet.iter_rows(), start=1):
        if number > MOST_RULES + 10:
            raise FileRefused(f"the sheet {sheet.title!r} has more than {MOST_RULES:,} rows")
        if len(line) > MOST_COLUMNS:
            raise FileRefused(f"the sheet {sheet.title!r} has more than {MOST_COLUMNS:,} columns")
        where = f"{sheet.title}!{{}}{number}"
        rows.append([_text(cell, where.format(get_column_letter(place))) for place, cell in enumerate(line, start=1)])
    while rows and not any(rows[-1]):
        rows.pop()
    return rows


def _text(cell: Any, where: str) -> str:
    """A cell as the text that its reader takes; raises `FileRefused` for formulas, dates and errors."""
    value = cell.value
    if value is None:
        return ""
    if cell.data_type == "f":
        raise FileRefused(f"{where}: a formula; write the value itself")
    if cell.data_type == "e":
        raise FileRefused(f"{where}: the error {value}")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, datetime.date | datetime.datetime | datetime.time | datetime.timedelta):
        raise FileRefused(f"{where}: Excel made a date of it; format the cell as text and write it again")
    return str(value)


def _decision_table(sheets: dict[str, list[list[str]]], schema: Schema) -> Table:
    """The one decision table beside Glossary and Decision: title, heads with the hit policy, rows with numbers."""
    names = [name for name in sheets if name not in ("Glossary", "Decision", "Test")]
    if len(names) != 1:
        raise FileRefused(f"the workbook has {len(names)} sheets beside Glossary and Decision; one table is read")
    rows = sheets[names[0]]
    if len(rows) < 2:
        raise FileRefused(f"{names[0]}!A1: no decision table; a title, the heads and the rows are read")

    def cell(row: int, column: int) -> Cell:
        text = rows[row][column] if column < len(rows[row]) else ""
        return Cell(text, f"{names[0]}!{get_column_letter(column + 1)}{row + 1}")

    heads = [text.strip() for text in rows[1]]
    inputs = [place for place, name in enumerate(heads) if place and name in schema.names]
    outputs = [place for place, name in enumerate(heads) if name in ("outcome", "rule", schema.target)]
    _check_heads(heads, inputs, outputs, cell)
    body = [
        (tuple(cell(row, place) for place in inputs), tuple(_null(cell(row, place)) for place in outputs))
        for row in range(2, len(rows))
        if any(rows[row])
    ]
    return Table(
        cell(1, 0),
        tuple(cell(1, place) for place in inputs),
        tuple(cell(1, place) for place in outputs),
        tuple(body),
    )


def _check_heads(heads: Sequence[str], inputs: Sequence[int], outputs: Sequence[int], cell: Any) -> None:
    """Every column up to the outputs must be a feature, so that none is passed over that asks something."""
    if not outputs:
        raise FileRefused(f"{cell(1, 0).where}: no output 'outcome' among {', '.join(map(repr, heads))}")
    for place in range(1, min(outputs)):
        if place not in inputs and heads[place]:
            raise FileRefused(f"{cell(1, place).where}: no feature {heads[place]!r}")


def _null(cell: Cell) -> Cell:
    return cell if cell.text.strip() else Cell("null", cell.where)
