"""MLflow's scoring protocol: every form of rows, the same decisions as everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ROW, Api, Made, make, refused, serving

ROWS: list[dict[str, Any]] = [ROW, ROW | {"job": None}, ROW | {"age": 41, "job": "never seen", "income": None}]
NAMES = list(ROW)
CELLS = [list(row.values()) for row in ROWS]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running service."""
    with serving(tmp_path_factory.mktemp("invocations")) as found:
        yield found


@pytest.fixture(scope="module")
def made(api: Api) -> Made:
    """What is ready in it: one release in service."""
    return make(api)


def expected(api: Api) -> list[dict[str, Any]]:
    """What the decisions route says of the rows."""
    decisions: list[dict[str, Any]] = api.decide("small", *ROWS).json()["decisions"]
    return decisions


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_records": ROWS},
        {"dataframe_split": {"columns": NAMES, "data": CELLS, "index": [0, 1, 2]}},
        {"dataframe_split": {"columns": NAMES[::-1], "data": [row[::-1] for row in CELLS]}},
        {"instances": ROWS},
        {"instances": CELLS},
        {"inputs": ROWS},
        {"inputs": {name: [row[name] for row in ROWS] for name in NAMES}},
        {"dataframe_records": ROWS, "params": {}},
    ],
)
def test_every_form_is_decided_as_rows_are(api: Api, made: Made, body: dict[str, Any]) -> None:
    """By the one release in service, or by name."""
    assert api.post("/invocations", json=body).json() == {"predictions": expected(api)}
    assert api.post("/invocations?name=small", json=body).json() == {"predictions": expected(api)}


def test_csv_is_decided_as_rows_are(api: Api, made: Made) -> None:
    """An empty cell is missing; quotes, a byte order mark and line ends of Windows are fine."""
    content = '\ufeffage,income,job,member\r\n25,1200.5,a,true\r\n25,1200.5,,True\r\n41,,"never seen",TRUE\r\n'
    headers = {"Content-Type": "text/csv; charset=utf-8"}
    assert api.post("/invocations", content=content.encode(), headers=headers).json()["predictions"] == expected(api)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no rows"),
        (b"age,income\n", "no rows"),
        (b"age,income\n1\n", "a list of 2 values"),
        (b"\xff\xfe", "no CSV"),
        (b'age\n"1\n', "no CSV"),
        (b"age,income,job,member\nold,1,a,true\n", "is text, and a number belongs there"),
    ],
)
def test_broken_csv_is_422(api: Api, made: Made, content: bytes, said: str) -> None:
    """Saying what is wrong."""
    response = api.post("/invocations", content=content, headers={"Content-Type": "text/csv"})
    assert response.status_code == 422
    assert said in response.json()["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "0 of dataframe_split"),
        ([], "0 of dataframe_split"),
        ({"instances": ROWS, "inputs": ROWS}, "2 of dataframe_split"),
        ({"instances": []}, "no rows"),
        ({"instances": {}}, "a list of rows"),
        ({"instances": [[1]]}, "body.instances[0]: a list of 4 values"),
        ({"instances": [7]}, "a list of 4 values"),
        ({"inputs": {"age": [1], "job": []}}, "differ in length"),
        ({"inputs": {"age": 1}}, "a list of values"),
        ({"dataframe_split": {"columns": NAMES}}, "columns (texts) and data"),
        ({"dataframe_split": {"columns": [1], "data": []}}, "the names are texts"),
        ({"dataframe_split": {"columns": NAMES, "data": [[1]]}}, "dataframe_split.data[0]"),
        ({"instances": ROWS, "params": {"x": 1}}, "no parameters"),
    ],
)
def test_a_wrong_body_is_422(api: Api, made: Made, body: Any, said: str) -> None:
    """Naming the place."""
    assert said in refused(api.post("/invocations", json=body), 422, "request-invalid")["detail"]


def test_other_media_types_are_415(api: Api, made: Made) -> None:
    """And JSON that is none 422, too many rows 413."""
    refused(api.post("/invocations", content=b"x", headers={"Content-Type": "text/plain"}), 415, "media-type-refused")
    refused(
        api.post("/invocations", content=b"{", headers={"Content-Type": "application/json"}), 422, "request-invalid"
    )
    refused(api.post("/invocations", json={"instances": [{}] * 10_001}), 413, "too-large")


def test_ping_and_version(api: Api, made: Made) -> None:
    """As MLflow's server answers them."""
    assert (api.get("/ping").status_code, api.get("/ping").text) == (200, "\n")
    assert api.get("/version").text == api.get("/openapi.json").json()["info"]["version"]


def test_of_several_releases_one_is_named(tmp_path: Path) -> None:
    """422 with the names, and for a name that nobody knows; in a service of its own, as the others have one release."""
    with serving(tmp_path) as api:
        assert api.activate(api.released(make(api).ruleset, "other")).status_code == 200
        problem = refused(api.post("/invocations", json={"instances": ROWS}), 422, "request-invalid")
        assert "other, small" in problem["detail"]
        assert api.post("/invocations?name=other", json={"instances": ROWS}).status_code == 200
        assert api.post("/invocations?name=none", json={"instances": ROWS}).status_code == 422
