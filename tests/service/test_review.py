"""The review of a schema over HTTP, and a model of the corrected one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ruleedit.client import Client
from tests.serving import TARGET, Api, refused, serving, small_table

#: The table with its ages as codes, and a token that nobody foresaw.
TABLE = small_table().replace(b"\n20,", b"\n?,")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running service."""
    with serving(tmp_path_factory.mktemp("review")) as found:
        yield found


@pytest.fixture(scope="module")
def dataset(api: Api) -> str:
    """The table in it."""
    made: str = api.upload(TABLE).json()["id"]
    return made


def asked(api: Api, dataset: str, **body: Any) -> dict[str, Any]:
    """A review."""
    answer = api.post(f"/v1/datasets/{dataset}/schema", json={"target": TARGET, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_table_is_corrected_and_trained_on(api: Api, dataset: str) -> None:
    """The token makes the ages numbers; job may not be missing is refused beside it; the model has what was said."""
    first = asked(api, dataset)
    kinds = {column["name"]: column["feature"]["kind"] for column in first["columns"]}
    assert kinds == {"age": "categorical", "income": "numeric", "job": "categorical", "member": "boolean"}
    features = [{"name": "age", "low": 18, "high": 90}, {"name": "job", "missing": False}, {"name": "member"}]
    wrong = asked(api, dataset, missing_tokens=["?"], features=features)
    assert wrong["schema"] is None
    assert [column["name"] for column in wrong["columns"] if column["problem"]] == ["job"]
    del features[1]["missing"]
    schema = asked(api, dataset, missing_tokens=["?"], features=features)["schema"]
    model = api.result("/v1/models", {"dataset": dataset, "target": TARGET, "schema": schema})["model"]
    known = api.get(f"/v1/models/{model}").json()["schema"]
    assert known == schema
    assert known["features"][0] == {"name": "age", "kind": "integer", "missing": True, "low": 18.0, "high": 90.0}


def test_a_review_changes_nothing(api: Api, dataset: str) -> None:
    """No event, no model."""
    before = api.get("/v1/audit").json()["items"][0]["sequence"]
    asked(api, dataset)
    assert api.get("/v1/audit").json()["items"][0]["sequence"] == before


def test_the_client_reviews_too(api: Api, dataset: str) -> None:
    """Its schema is what training takes."""
    with Client(str(api.base_url)) as client:
        schema = client.datasets.review(dataset, TARGET, missing_tokens=["?"])["schema"]
        assert client.models.train(dataset, TARGET, schema=schema).raw["schema"] == schema


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "request-invalid"),
        ({"target": TARGET, "features": []}, "request-invalid"),
        ({"target": TARGET, "features": [3]}, "request-invalid"),
        ({"target": TARGET, "tokens": []}, "request-invalid"),
    ],
)
def test_a_wrong_request_is_refused(api: Api, dataset: str, body: dict[str, Any], code: str) -> None:
    """With the place that is wrong."""
    refused(api.post(f"/v1/datasets/{dataset}/schema", json=body), 422, code)


def test_a_data_set_that_is_not_there_is_404(api: Api) -> None:
    """Whatever is asked."""
    refused(api.post("/v1/datasets/none/schema", json={"target": "x"}), 404, "unknown-dataset")
