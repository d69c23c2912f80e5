"""The service against its own description: schemathesis makes requests of it, good and bad ones, for every route."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.app import create_app
from tests.serving import ROW, Api, Made, local, make, serving

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: Follows a job until it has ended: a stream, which the tests of jobs read.
STREAMS = {"GET /v1/jobs/{job}/events"}
OPERATIONS = sorted(
    f"{verb.upper()} {path}"
    for path, verbs in create_app(local(Path("unused"))).openapi()["paths"].items()
    for verb in verbs
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running service."""
    with serving(tmp_path_factory.mktemp("contract"), request_log=False) as found:
        yield found


@pytest.fixture(scope="module")
def made(api: Api) -> Made:
    """One of everything, and something in service."""
    found = make(api)
    assert api.decide("small", ROW).status_code == 200
    return found


@pytest.fixture(scope="module")
def schema(api: Api, made: Made) -> Any:
    """The description as a client gets it."""
    return schemathesis.openapi.from_url(f"{api.base_url}/openapi.json")


@pytest.fixture(scope="module")
def known(api: Api, made: Made) -> dict[str, str]:
    """What is there, by the name of the path's parameter."""
    job = api.get("/v1/jobs").json()["items"][0]["id"]
    ids = {"dataset": made.dataset, "model": made.model, "ruleset": made.ruleset, "release": made.release}
    return ids | {"job": job, "name": "small", "version": made.release}


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name not in STREAMS])
def test_every_answer_is_as_described(
    schema: Any, known: dict[str, str], operation: str, count: Callable[[int, int], int]
) -> None:
    """Promise 22: no server error and no undocumented answer, whatever a client sends."""
    verb, path = operation.split(" ")
    tried: Counter[int] = Counter()

    @settings(
        max_examples=count(8, 200),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][verb].as_strategy())
    def ask(case: Any) -> None:
        chance = random.Random(repr(case.path_parameters))
        for name in case.path_parameters or {}:
            # Half of the requests are about something that is there.
            if name in known and chance.random() < 0.5:
                case.path_parameters[name] = known[name]
        response = case.call()
        tried[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    ask()
    assert sum(tried.values()) > 0
    assert max(tried) < 500 or set(tried) & {501, 503}
