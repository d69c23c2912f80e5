"""A schema looked at beside its table: filled in where nobody said, refused beside the column that is wrong."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from ruleedit.schema import Schema
from ruleedit.tables import infer_schema
from ruleedit.tables.review import look, review

FRAME = pd.DataFrame(
    {
        "age": ["30", "41", "n/a", "25"],
        "plan": ["1", "2", "2", "10"],
        "city": ["a", "b", "b", None],
        "ok": ["yes", "no", "yes", "no"],
    },
    dtype="str",
)


def test_without_corrections_it_is_what_is_inferred() -> None:
    """Every column but the target."""
    assert review(FRAME, "ok").schema == infer_schema(FRAME, "ok")


def test_a_token_of_missing_makes_a_number_of_a_text() -> None:
    """And the rows without a value are counted."""
    assert look(FRAME, {"name": "age"}).feature.kind == "categorical"  # type: ignore[union-attr]
    found = look(FRAME, {"name": "age"}, ("n/a",))
    assert found.feature is not None
    assert (found.feature.kind, found.feature.low, found.feature.high, found.missing) == ("integer", 25.0, 41.0, 1)
    whole = review(FRAME, "ok", None, ("n/a",)).schema
    assert whole is not None
    assert whole.missing_tokens == ("n/a",)
    assert Schema.from_json(whole.to_json()) == whole


def test_another_kind_takes_its_values_from_the_table() -> None:
    """Codes that look like numbers are categories, in their order; a range is that of the numbers."""
    plan = look(FRAME, {"name": "plan", "kind": "categorical"}).feature
    assert plan is not None
    assert plan.categories == ("1", "2", "10")
    number = look(FRAME, {"name": "plan", "kind": "numeric"}).feature
    assert number is not None
    assert (number.low, number.high) == (1.0, 10.0)


def test_what_somebody_said_stands() -> None:
    """A range, an open bound, categories and whether a value may be missing."""
    age = look(FRAME, {"name": "plan", "low": None, "high": 99, "missing": False}).feature
    assert age is not None
    assert (age.low, age.high, age.missing) == (None, 99.0, False)
    city = look(FRAME, {"name": "city", "categories": ["a"]})
    assert city.feature is not None
    assert city.feature.categories == ("a",)
    assert city.notes == ("2 rows hold a value that isn't listed; it counts as never seen",)


def test_rows_outside_of_a_range_are_said() -> None:
    """They are read all the same."""
    notes = look(FRAME, {"name": "plan", "low": 2, "high": 9}).notes
    assert [note.split(";")[0] for note in notes] == ["1 rows are below 2", "1 rows are above 9"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"name": "city", "kind": "integer"}, "'a' is no number"),
        ({"name": "city", "kind": "boolean"}, "row 1"),
        ({"name": "city", "missing": False}, "row 4"),
        ({"name": "plan", "low": 9, "high": 2}, "its range is empty"),
        ({"name": "plan", "kind": "integer", "low": 1.5}, "no bound"),
        ({"name": "city", "categories": ["a", "a"]}, "listed twice"),
        ({"name": "city", "low": 3}, "has no range"),
        ({"name": "plan", "kind": "ordinal"}, "is none of numeric, integer"),
        ({"name": "town"}, "no column 'town'"),
        ({"name": "plan", "lowest": 3}, "unknown key 'lowest'"),
        ({}, "no column ''"),
    ],
)
def test_a_problem_stands_beside_its_column(asked: dict[str, Any], said: str) -> None:
    """In words; the other columns are looked at all the same, and there is no schema."""
    found = review(FRAME, "ok", [asked, {"name": "age"}])
    assert said in str(found.columns[0].problem)
    assert found.columns[0].feature is None
    assert found.columns[1].problem is None
    assert found.schema is None


def test_a_column_that_is_not_named_is_left_out() -> None:
    """An id, say, that tells nothing."""
    schema = review(FRAME, "ok", [{"name": "city"}]).schema
    assert schema is not None
    assert schema.names == ("city",)


@pytest.mark.parametrize("target", ["okk", "city"])
def test_what_is_wrong_with_the_target_is_said(target: str) -> None:
    """One that isn't there, or has rows without a value."""
    found = review(FRAME, target, [{"name": "age"}])
    assert found.schema is None
    assert found.problem
    assert found.columns[0].problem is None
