"""Rows of JSON as the encoded matrix, and the active releases in memory."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.errors import MissingColumns, ValueRefused
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode
from service.errors import NothingActive
from service.scoring import Scoring, encode_records

SCHEMA = Schema(
    (
        Feature("amount", "numeric"),
        Feature("age", "integer"),
        Feature("job", "categorical", categories=("a", "4", "4.5", "true")),
        Feature("member", "boolean"),
    ),
    "ok",
    ("no", "yes"),
    missing_tokens=("?",),
)
ROW: dict[str, Any] = {"amount": 1.5, "age": 30, "job": "a", "member": True}


def one(**cells: Any) -> list[float]:
    """The encoded row with these cells."""
    return encode_records([ROW | cells], SCHEMA)[0].tolist()


def test_a_row_is_encoded_in_the_schema_s_order() -> None:
    """Numbers as they are, categories and booleans as codes, whatever the order of the keys."""
    assert one() == [1.5, 30.0, 1.0, 1.0]
    assert encode_records([dict(reversed(ROW.items()))], SCHEMA)[0].tolist() == [1.5, 30.0, 1.0, 1.0]


@pytest.mark.parametrize("cell", [None, "", "?"])
@pytest.mark.parametrize("place", range(4))
def test_null_and_the_missing_tokens_are_missing(cell: object, place: int) -> None:
    """In every kind of column."""
    assert math.isnan(one(**{SCHEMA.names[place]: cell})[place])


@pytest.mark.parametrize(
    ("cell", "code"), [("4", 2), (4, 2), (4.0, 2), (4.5, 3), (True, 4), ("never", 0), (9, 0), (False, 0)]
)
def test_a_category_is_its_text(cell: object, code: float) -> None:
    """A JSON number or boolean is its text; a category never seen is 0."""
    assert one(job=cell)[2] == code


@pytest.mark.parametrize(("cell", "code"), [(True, 1), (False, 0), ("TRUE", 1), (" false ", 0)])
def test_a_boolean_is_itself_or_its_text(cell: object, code: float) -> None:
    """As `tables.encode` reads it."""
    assert one(member=cell)[3] == code


def test_tiny_numbers_are_zero() -> None:
    """As LightGBM reads them."""
    assert one(amount=1e-36)[0] == 0.0
    assert one(amount=-1e-36)[0] == 0.0


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"amount": "old"}, "row 1, column 'amount': 'old' is text, and a number belongs there"),
        ({"amount": "12"}, "is text"),
        ({"amount": True}, "True is no number"),
        ({"amount": [1]}, "a JSON list is no number"),
        ({"amount": {}}, "a JSON dict is no number"),
        ({"amount": math.inf}, "is not finite"),
        ({"amount": math.nan}, "is not finite"),
        ({"amount": 10**400}, "too large"),
        ({"age": 30.5}, "30.5 is not whole, and the column is integer"),
        ({"age": "x" * 100}, r"'x+\.\.\. is text"),
        ({"member": 1}, "1 is neither true nor false"),
        ({"member": "maybe"}, "'maybe' is neither true nor false"),
        ({"job": ["a"]}, "a JSON list is no text"),
        ({"job": math.nan}, "is no text"),
    ],
)
def test_a_cell_that_does_not_fit_is_refused_by_place(cells: dict[str, Any], said: str) -> None:
    """Row, column, the value and why."""
    with pytest.raises(ValueRefused, match=said):
        one(**cells)


def test_a_forbidden_missing_value_is_refused() -> None:
    """Where the schema says so."""
    strict = Schema((Feature("x", "numeric", missing=False),), "ok", ("no", "yes"))
    with pytest.raises(ValueRefused, match="row 2, column 'x': the value is missing"):
        encode_records([{"x": 1}, {"x": None}], strict)


def test_a_missing_column_is_refused_with_a_hint() -> None:
    """The nearest given name is suggested, and how to say missing."""
    with pytest.raises(MissingColumns, match=r"row 2 has no column 'age'; did you mean 'ages'.*null"):
        encode_records([ROW, {"amount": 1, "ages": 2, "job": "a", "member": True}], SCHEMA)
    with pytest.raises(MissingColumns, match="'amount' and 3 more columns"):
        encode_records([{}], SCHEMA)


def test_unknown_columns_are_ignored() -> None:
    """Whatever they hold."""
    assert one(extra={"deep": []}) == one()


cells = {
    "amount": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "age": st.none() | st.integers(-(2**53), 2**53),
    "job": st.none() | st.sampled_from(["a", "4", "4.5", "zzz", "?", ""]),
    "member": st.none() | st.booleans(),
}


@given(st.lists(st.fixed_dictionaries(cells), min_size=1, max_size=5))
def test_json_rows_and_a_table_s_are_encoded_alike(rows: list[dict[str, Any]]) -> None:
    """The same rows as JSON and as a DataFrame give the same matrix, bit for bit."""
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in SCHEMA.names})
    for name in ("amount", "age"):
        frame[name] = frame[name].astype(float)
    found = encode_records(json.loads(json.dumps(rows)), SCHEMA)
    np.testing.assert_array_equal(found, encode(frame, SCHEMA))


def test_nothing_serves_under_an_unknown_name() -> None:
    """The error names it."""
    with pytest.raises(NothingActive, match="'loans'"):
        Scoring().get("loans")
