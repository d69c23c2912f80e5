"""Pilots over HTTP: what a mode would do, tried on some rows, and kept beside what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ruleedit.client import Client
from tests.serving import Api, Made, make, refused, serving


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running service."""
    with serving(tmp_path_factory.mktemp("pilots")) as found:
        yield found


@pytest.fixture(scope="module")
def made(api: Api) -> Made:
    """What is ready in it."""
    return make(api)


@pytest.fixture(scope="module")
def ruleset(api: Api, made: Made) -> dict[str, Any]:
    """A rule set with an edit whose region has held-out rows."""
    found = api.extracted(made)
    edited: dict[str, Any] = api.edit(found["id"], "new IF age between 30 and 38 THEN yes").json()
    return edited


@pytest.fixture(scope="module")
def pilot(api: Api, ruleset: dict[str, Any]) -> dict[str, Any]:
    """A pilot of a retraining that has ended."""
    return api.ended(api.post(f"/v1/rulesets/{ruleset['id']}/pilots", json={"mode": "retrain", "rows": 100}))


def test_a_pilot_says_what_a_retraining_would_do(api: Api, ruleset: dict[str, Any], pilot: dict[str, Any]) -> None:
    """On how many rows, how far honoured, what else changes; round by round, and it makes no release."""
    assert pilot["state"] == "succeeded", pilot
    result = pilot["result"]
    assert (result["mode"], result["revision"]) == ("retrain", ruleset["revision"])
    assert (result["rows"], result["of"]) == (100, 400)
    assert result["held_out"] <= 100
    assert 0 <= result["honoured"] <= 1
    assert result["trainings"] >= len(pilot["course"]) >= 1
    assert all(release["mode"] != "retrain" for release in api.get("/v1/releases").json()["items"])
    event = next(one for one in api.get("/v1/audit").json()["items"] if one["action"] == "pilot")
    assert (event["subject"], event["payload"]["honoured"]) == (ruleset["id"], result["honoured"])


def test_what_was_expected_stands_beside_what_came_of_it(
    api: Api, ruleset: dict[str, Any], pilot: dict[str, Any]
) -> None:
    """Of a pilot where one is named; exactly for an overlay; else nothing was known."""
    reports = {}
    for mode, more in (("retrain", {"pilot": pilot["id"]}), ("overlay-hard", {}), ("overlay-soft", {})):
        release = api.released(ruleset["id"], mode, mode, **more)
        reports[mode] = api.get(f"/v1/releases/{release}").json()["report"]
    expected = reports["retrain"]["expected"]
    assert (expected["from"], expected["job"], expected["rows"]) == ("pilot", pilot["id"], 100)
    assert expected["honoured"] == pilot["result"]["honoured"]
    assert reports["overlay-hard"]["expected"] == {"from": "exact", "honoured": 1.0, "flips": 0.0}
    assert reports["overlay-soft"]["expected"] is None
    assert all(item["mra_after"] == 1.0 for item in reports["overlay-hard"]["feedback"] if item["coverage"])


def test_pilots_are_listed_by_revision(api: Api, ruleset: dict[str, Any], pilot: dict[str, Any]) -> None:
    """The newest first; one of another revision says nothing of this one."""
    path = f"/v1/rulesets/{ruleset['id']}/pilots"
    soft = api.ended(api.post(path, json={"mode": "overlay-soft"}))
    assert [job["id"] for job in api.get(path).json()["pilots"]] == [soft["id"], pilot["id"]]
    first = api.get(f"/v1/rulesets/{ruleset['id']}/history").json()["first"]
    assert api.get(path, params={"revision": first}).json()["pilots"] == []


def test_a_job_that_is_no_such_pilot_is_refused(api: Api, ruleset: dict[str, Any], pilot: dict[str, Any]) -> None:
    """Of another mode or rule set, no pilot at all, or not there."""
    body = {"ruleset": ruleset["id"], "name": "x", "mode": "overlay-soft", "pilot": pilot["id"]}
    refused(api.post("/v1/releases", json=body), 422, "refused")
    jobs = api.get("/v1/jobs", params={"limit": 200}).json()["items"]
    training = next(job["id"] for job in jobs if job["kind"] == "train")
    refused(api.post("/v1/releases", json=body | {"mode": "retrain", "pilot": training}), 422, "refused")
    answer = api.post("/v1/releases", json=body | {"pilot": "none"})
    assert answer.json()["code"] == "unknown-job"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"mode": "retraine"}, "refused"),
        ({"rows": 3}, "request-invalid"),
        ({"strategy": "x", "mode": "graft"}, "refused"),
    ],
)
def test_a_wrong_pilot_is_refused_at_once(api: Api, made: Made, change: dict[str, Any], code: str) -> None:
    """Before anything is trained."""
    refused(api.post(f"/v1/rulesets/{made.ruleset}/pilots", json={"mode": "retrain"} | change), 422, code)


def test_nothing_unresolved_is_tried(api: Api, made: Made) -> None:
    """As nothing unresolved is put in force."""
    ruleset = api.extracted(made)["id"]
    api.edit(ruleset, "new IF age < 40 THEN yes", "new IF age > 30 THEN no")
    answer = api.post(f"/v1/rulesets/{ruleset}/pilots", json={"mode": "retrain"})
    assert answer.json()["code"] == "conflicts-open"


def test_the_client_waits_for_a_pilot(api: Api, ruleset: dict[str, Any]) -> None:
    """And gives its result."""
    with Client(str(api.base_url)) as client:
        job = client.rulesets.pilot(client.rulesets.get(ruleset["id"]), "overlay-soft", rows=200)
        assert job.result is not None
        assert job.result["held_out"] == 100
