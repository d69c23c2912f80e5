"""The OpenAPI description as a generated client and a reader need it: names, words, and an example of every body."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.api.examples import illustrate
from service.app import create_app
from tests.serving import local

DESCRIBED = create_app(local(Path("unused"))).openapi()
OPERATIONS = {
    f"{verb.upper()} {path}": operation
    for path, verbs in DESCRIBED["paths"].items()
    for verb, operation in verbs.items()
}


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a request sends and an answer that is none of a refusal gives: each with its media type."""
    yield from operation.get("requestBody", {}).get("content", {}).items()
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            yield from answer.get("content", {}).items()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_body_has_an_example_that_is_one(operation: str) -> None:
    """Of its own schema; only what is binary has none."""
    for kind, media in bodies(OPERATIONS[operation]):
        schema = media.get("schema", {})
        if schema.get("format") == "binary":
            assert "example" not in media
            continue
        assert "example" in media, f"{kind} of {operation}: record one, by python -m tests.examples"
        if kind in ("application/json", "multipart/form-data"):
            whole = {**schema, "components": DESCRIBED["components"]}
            problems = list(Draft202012Validator(whole).iter_errors(media["example"]))
            assert problems == [], (kind, problems[0].message)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_has_words_for_people_and_a_name_for_programs(operation: str) -> None:
    """A summary, a description, one tag, and who may; each answer says what it is, and each parameter of ours."""
    described = OPERATIONS[operation]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", described["operationId"])
    assert 0 < len(described["summary"]) <= 60
    assert re.search(r"\w.* For: \w", described["description"], re.DOTALL)
    assert len(described["tags"]) == 1
    assert all(answer["description"] for answer in described["responses"].values())
    # What stands in a path, and what Open Inference asks, is described by the route and by that protocol.
    ours = [] if " /v2/" in operation else described.get("parameters", ())
    assert all(parameter["in"] == "path" or parameter.get("description") for parameter in ours)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whoever_is_to_ask_again_is_told_when(operation: str) -> None:
    """A refusal that another moment may undo, 429 and 503, is described with its Retry-After."""
    for status, answer in OPERATIONS[operation]["responses"].items():
        assert ("Retry-After" in answer.get("headers", {})) == (status in ("429", "503")), status


def test_no_two_operations_have_one_name() -> None:
    """A generated client has a function for each."""
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert sorted(names) == sorted(set(names))


def test_a_body_without_an_example_is_found() -> None:
    """Nothing is made up for a schema that nobody recorded."""
    media: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/NewBody"}}
    described = {
        "components": {"schemas": {"NewBody": {"type": "object"}}},
        "paths": {"/v1/new": {"get": {"operationId": "get_new", "responses": {"200": {"content": {"a/b": media}}}}}},
    }
    illustrate(described)
    assert "example" not in media
