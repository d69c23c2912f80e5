"""What people read: numbers, clauses, shapes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.rules import MODEL, Clause, Outcome, Rule
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


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 1, "0.0%"),
        (0.0004, 1, "<0.1%"),
        (0.0005, 1, "0.1%"),
        (0.5, 0, "50%"),
        (0.997, 0, ">99%"),
        (0.99996, 2, ">99.99%"),
        (0.994, 0, "99%"),
        (1 - 1e-15, 1, "100.0%"),
        (1.0, 0, "100%"),
    ],
)
def test_all_and_none_are_said_of_all_and_none_alone(value: float, digits: int, text: str) -> None:
    """One row of a thousand that disagrees isn't rounded away."""
    assert words.share(value, digits) == text


@given(st.floats(0, 1), st.integers(0, 3))
def test_a_share_is_within_one_of_its_last_digit(value: float, digits: int) -> None:
    """Also where it says more or less than."""
    said = float(words.share(value, digits).strip("<>%"))
    assert abs(said - 100 * value) <= 1.0001 * 10.0**-digits


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(5.86, 1, "+5.9"), (-5.86, 1, "−5.9"), (-0.0004, 3, "0.000"), (0, 0, "0"), (-12345, 0, "−12\u202f345")],
)
def test_a_change_has_its_sign_and_none_has_none(value: float, digits: int, text: str) -> None:
    """The sign is a minus, as in every number."""
    assert words.signed(value, digits) == text


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Outcome.of("referred to a person"), "referred to a person"),
        (Outcome.of("7"), "7"),
        (Outcome.spread({"approve": 0.9, "deny": 0.1}), "approve 90%, deny 10%"),
        (Outcome.spread({"a": 1 / 3, "b": 2 / 3}), "a 33.3%, b 66.7%"),
        (MODEL, "the model's own answer"),
    ],
)
def test_an_outcome_is_read_without_quotes(outcome: Outcome, text: str) -> None:
    """Quotes belong to the formal text."""
    assert words.outcome(outcome) == text


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("age > 30", "age > 26", ("age > ", "30", "26")),
        ("age > 30", "age \u2264 30", ("age ", "> 30", "\u2264 30")),
        ("age from 27 to 30", "age from 27 to 32", ("age from 27 to ", "30", "32")),
        ("purpose is car", "purpose is car or holiday", ("purpose is ", "car", "car or holiday")),
        ("age > 30", "dropped", ("", "age > 30", "dropped")),
        ("member is true", "member is true", ("member is ", "true", "true")),
    ],
)
def test_only_what_differs_is_struck_through(old: str, new: str, parts: tuple[str, str, str]) -> None:
    """What both begin with stands once; something is always left to strike through and to put in its place."""
    assert words.parted(old, new) == parts


@given(st.text("ab ", min_size=1), st.text("ab ", min_size=1))
def test_the_parts_of_two_texts_make_them_again(old: str, new: str) -> None:
    """Whatever they are."""
    same, before, after = words.parted(old, new)
    assert (same + before, same + after) == (old, new)


@pytest.mark.parametrize(
    ("values", "letters", "text"),
    [
        (["a", "b"], 20, "a, b"),
        (["red", "green", "blue"], 12, "red, green and 1 more"),
        (["a very long name"] * 2_000, 5, "a very long name and 1\u202f999 more"),
        (["alone and long"], 5, "alone and long"),
    ],
)
def test_a_list_is_cut_with_what_is_left_out(values: list[str], letters: int, text: str) -> None:
    """At least the first is named, however long it is."""
    assert words.listed(values, letters) == text


def test_a_rule_is_a_sentence() -> None:
    """Its clauses and its outcome, all in words."""
    rule = Rule("R1", (Clause("debt_ratio", "<=", 0.6), Clause("job", "!=", "student")), Outcome.of("not yet"))
    assert words.sentence(rule) == "IF debt ratio ≤ 0.6 AND job is not student THEN not yet"


def test_each_of_eight_classes_has_a_shape_of_its_own() -> None:
    """Colour never says anything alone."""
    assert len({words.shape(place) for place in range(8)}) == 8


def test_a_cell_is_shown_as_in_the_table() -> None:
    """A code is its category, a missing value a dash, an unseen one says so."""
    job = Feature("job", "categorical", categories=("a", "b"))
    assert [words.cell(job, code) for code in (1.0, 2.0, 0.0, math.nan)] == ["a", "b", "(never seen)", "–"]
    assert words.cell(Feature("member", "boolean"), 1.0) == "true"
    assert words.cell(Feature("age", "integer"), 1200.0) == "1\u202f200"
