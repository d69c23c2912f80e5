"""Rules that people write: as text, as CSV, in Excel."""

from __future__ import annotations

import datetime

import pytest

from ruleedit.errors import RuleEditError
from ruleedit.formats.read.cells import clauses
from tests.formats.read.tables import SCHEMA, book, refusal, said

AGE, INCOME, JOB, MEMBER = SCHEMA.features


def test_lines_of_text() -> None:
    """Ids where they are given, notes and empty lines, the default at the end."""
    text = (
        "\ufeff# policy 7\n\nR1: IF age > 26 THEN approve\nyoung: if job in (car, '42') then deny\r\nOTHERWISE deny\n"
    )
    assert said(text, "text") == [
        "R1: IF age > 26 THEN approve",
        "young: IF job in (car, '42') THEN deny",
        "OTHERWISE deny",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "IF age > 26 THEN approve\n\nIF ages > 3 THEN deny\nOTHERWISE deny",
            "line 3: no feature 'ages'; did you mean 'age'",
        ),
        ("IF age > 26 THEN approv\nOTHERWISE deny", "line 1: no class 'approv' of 'decision'; did you mean 'approve'"),
        ("IF age > 26 THEN approve", "doesn't say what holds where no rule does"),
        ("OTHERWISE deny\nIF age > 26 THEN approve", "line 2: it stands behind the default"),
        ("hello", "line 1: 'hello' is no rule"),
        ("IF age > 300 THEN approve\nOTHERWISE deny", "line 1: age > 300: 300 is outside the range"),
        ("IF age > 3 AND age < 2 THEN approve\nOTHERWISE deny", "line 1: no row can satisfy"),
        ("OTHERWISE model", "the default"),
        ("IF age > 1 AND " + "x" * 11_000 + " = 1 THEN deny\nOTHERWISE deny", "line 1: the text is longer"),
    ],
)
def test_a_bad_line_is_named(text: str, why: str) -> None:
    """With its number and what would be accepted."""
    assert why in refusal(text, "text")


def test_text_that_is_no_utf8_is_refused() -> None:
    """With the byte."""
    assert "byte 3 is no UTF-8" in refusal(b"# \xff", "text")


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("", ""),
        ("-", ""),
        ("26", "age = 26"),
        ("> 26", "age > 26"),
        (">=18 and < 65", "age >= 18 AND age < 65"),
        ("between 1 and 2", "age between 1 and 2"),
        ("20..40", "age between 20 and 40"),
        ("[20..40)", "age >= 20 AND age < 40"),
        ("]20 .. 40]", "age > 20 AND age <= 40"),
        ("1, 2, 3", "age in (1, 2, 3)"),
        ("not in (1, 2)", "age not in (1, 2)"),
        ("missing", "age is missing"),
        ("not missing", "age is not missing"),
        ("is not missing", "age is not missing"),
        ("!= 3 and > 1", "age != 3 AND age > 1"),
    ],
)
def test_a_cell_of_numbers(cell: str, wanted: str) -> None:
    """Values, comparisons, intervals, lists and missing values."""
    assert " AND ".join(map(str, clauses(cell, AGE))) == wanted


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("car", "job = car"),
        ("42", "job = '42'"),
        ("radio/tv", "job = 'radio/tv'"),
        ("it's", "job = 'it''s'"),
        ("car, 42, 'radio/tv'", "job in (car, '42', 'radio/tv')"),
        ("not in (car)", "job not in (car)"),
        ("!= car", "job != car"),
    ],
)
def test_a_cell_of_categories(cell: str, wanted: str) -> None:
    """A category as it stands needs no quotes in a cell of its own."""
    assert " AND ".join(map(str, clauses(cell, JOB))) == wanted


def test_a_cell_of_booleans_is_read_in_any_case() -> None:
    """As spreadsheets write them."""
    assert [str(clause) for cell in ("TRUE", "false") for clause in clauses(cell, MEMBER)] == [
        "member = true",
        "member = false",
    ]


@pytest.mark.parametrize("cell", ["20 to 40", "> ", "=1+1", "[1..2", "and", "1 2", "not 3", "a;b", "'x"])
def test_a_cell_that_is_no_condition_is_refused(cell: str) -> None:
    """By the rule language's own errors, never guessed."""
    with pytest.raises(RuleEditError):
        clauses(cell, INCOME)


DECISIONS = [
    ["id", "age", "job", "member", "decision", "note", "enabled"],
    ["R7", ">= 18 and < 65", "car, 42", True, "approve", "policy 7", None],
    ["R8", 30, None, None, "1", None, "no"],
    ["R9", None, "-", None, "deny", "the rest", None],
]
READ = [
    "R7: IF age >= 18 AND age < 65 AND job in (car, '42') AND member = true THEN approve",
    "off R8: IF age = 30 THEN '1'",
    "OTHERWISE deny",
]


def as_csv(rows: list[list[object]], mark: str = ",") -> str:
    """The rows as a spreadsheet saves them."""
    cells = [["" if cell is None else f'"{cell}"' if mark in str(cell) else str(cell) for cell in row] for row in rows]
    return "\r\n".join(mark.join(row) for row in cells)


def test_a_table_of_conditions_in_csv() -> None:
    """Columns are features; a row that asks nothing is the default; semicolons are read too."""
    assert said(as_csv(DECISIONS), "csv") == READ  # type: ignore[arg-type]
    assert said(as_csv(DECISIONS, ";"), "csv") == READ  # type: ignore[arg-type]


def test_a_table_of_conditions_in_excel() -> None:
    """Numbers and booleans may be cells of their own kind."""
    assert said(book(DECISIONS), "xlsx") == READ


def test_a_table_of_texts() -> None:
    """A column of rule texts, with the outcome repeated or not."""
    rows = [["text", "outcome"], ["IF age > 26 THEN approve", "approve"], ["OTHERWISE deny", None]]
    assert said(book(rows), "xlsx") == ["R1: IF age > 26 THEN approve", "OTHERWISE deny"]
    rows[1][1] = "deny"
    assert "Rules!B2: 'deny' is not the text's outcome, approve" in refusal(book(rows), "xlsx")


def test_a_default_may_be_given() -> None:
    """It replaces what the file says."""
    assert said(as_csv(DECISIONS[:2]), "csv", "1")[-1] == "OTHERWISE '1'"  # type: ignore[arg-type]
    assert said(as_csv(DECISIONS), "csv", "1")[-1] == "OTHERWISE '1'"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "column", "cell", "csv", "excel"),
    [
        (1, 1, "> x", "row 2, column 'age'", "Rules!B2"),
        (1, 2, "cars", "row 2, column 'job'", "Rules!C2"),
        (1, 4, "aprove", "row 2, column 'decision'", "Rules!E2"),
        (1, 4, None, "row 2, column 'decision': the row has no outcome", "Rules!E2"),
        (1, 6, "maybe", "row 2, column 'enabled'", "Rules!G2"),
        (0, 1, "ages", "row 1, column 'ages': no feature 'ages'; did you mean 'age'", "Rules!B1"),
        (0, 2, "age", "row 1, column 'age': the column 'age' is there twice", "Rules!C1"),
        (0, 4, "answer", "row 1, column 'id': no column 'outcome', 'then' or 'decision'", "Rules!A1"),
        (2, 1, 30.5, "row 3, column 'age'", "Rules!B3"),
        (2, 1, 500, "row 3, column 'age'", "Rules!B3"),
    ],
)
def test_a_bad_cell_is_named(row: int, column: int, cell: object, csv: str, excel: str) -> None:
    """Row and column in CSV, sheet and cell in Excel."""
    rows = [list(line) for line in DECISIONS]
    rows[row][column] = cell  # type: ignore[call-overload]
    assert csv in refusal(as_csv(rows), "csv")  # type: ignore[arg-type]
    assert excel in refusal(book(rows), "xlsx")


def test_what_excel_makes_of_a_cell_is_refused() -> None:
    """A formula, a date that was meant as an interval, an error."""
    for cell, why in (
        ("=1+1", "a formula"),
        (datetime.datetime(2026, 2, 1), "a date"),
        ("#REF!", "the error"),
    ):
        assert f"Rules!B2: {why}" in refusal(book([DECISIONS[0], ["R1", cell, None, None, "deny"]]), "xlsx").replace(
            "Excel made a date", "a date"
        )


def test_an_empty_table_is_refused() -> None:
    """Also a table without a header."""
    for content, form in ((b"", "csv"), (b"\n\n", "csv"), (book([]), "xlsx")):
        assert "the table is empty" in refusal(content, form)
    assert "NUL" in refusal(b"age\0,outcome", "csv")
    assert "no readable CSV" in refusal(b'age,outcome\n"1,deny', "csv")
