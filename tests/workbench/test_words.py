"""What people read: numbers, clauses, shapes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.rules import Clause
from ruleedit.schema import Feature
from service.workbench import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1234567.0, "1\u202f234\u202f567"),
        (-1234.5, "−1\u202f234.5"),
        (0.25, "0.25"),
        (1e300, "1e+300"),
        (-2e-9, "-2e-09"),
    ],
)
def test_a_number_has_its_thousands_apart_and_all_its_digits(value: float, text: str) -> None:
    """Nothing is rounded."""
    assert words.number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_shown_number_reads_back(value: float) -> None:
    """Taking the thin spaces out again gives the same double."""
    assert float(words.number(value).replace("\u202f", "").replace("−", "-")) == value


@pytest.mark.parametrize(
    ("clause", "text"),
    [
        (Clause("age", ">", 30.0), "age > 30"),
        (Clause("debt_ratio", "<=", 0.6), "debt ratio ≤ 0.6"),
        (Clause("age", "between", (27.0, 30.0)), "age from 27 to 30"),
        (Clause("education", "in", ("Masters", "PhD")), "education is Masters or PhD"),
        (Clause("education", "not in", ("a", "b", "c")), "education is none of a, b or c"),
        (Clause("job", "!=", "student"), "job is not student"),
        (Clause("job", "is missing"), "job is missing"),
        (Clause("job", "in", tuple("abcdefgh")), "job is a, b, c, d, e, f or 2 more"),
    ],
)
def test_a_clause_is_a_sentence(clause: Clause, text: str) -> None:
    """Operators are words; a long list is cut with what is left out."""
    assert words.clause(clause) == text


def test_each_of_eight_classes_has_a_shape_of_its_own() -> None:
    """Colour never says anything alone."""
    assert len({words.shape(place) for place in range(8)}) == 8


def test_a_cell_is_shown_as_in_the_table() -> None:
    """A code is its category, a missing value a dash, an unseen one says so."""
    job = Feature("job", "categorical", categories=("a", "b"))
    assert [words.cell(job, code) for code in (1.0, 2.0, 0.0, math.nan)] == ["a", "b", "(never seen)", "–"]
    assert words.cell(Feature("member", "boolean"), 1.0) == "true"
    assert words.cell(Feature("age", "integer"), 1200.0) == "1\u202f200"
