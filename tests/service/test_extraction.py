"""Extraction over HTTP: its limits, what a cut result says, its progress, and that a cancelled one is really ended."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ruleedit.datasets import loans
from tests.serving import Api, refused, serving

#: So many extractions, one after another, take minutes: whoever wants less cancels.
LONG = {"max_clauses": 32, "stability": 200}
WAIT = 60.0


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running service with one worker."""
    with serving(tmp_path_factory.mktemp("extraction"), workers=1) as found:
        yield found


@pytest.fixture(scope="module")
def model(api: Api) -> str:
    """A model of 3,000 loans."""
    table = api.upload(loans(3_000).to_csv(index=False).encode()).json()["id"]
    found: str = api.result("/v1/models", {"dataset": table, "target": "decision"})["model"]
    return found


def grandchildren() -> set[int]:
    """The processes that the children of this process have begun: those of heavy steps."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = int(fields[1])
    return {one for one, parent in parents.items() if parents.get(parent) == os.getpid()}


def until(happens: Any) -> Any:
    """What ``happens()`` gives once it is true."""
    end = time.monotonic() + WAIT
    while not (found := happens()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
    return found


def ruleset(api: Api, found: dict[str, Any]) -> dict[str, Any]:
    """The rule set that a job made."""
    made: dict[str, Any] = api.get(f"/v1/rulesets/{found['ruleset']}").json()
    return made


def test_without_a_limit_nothing_is_cut(api: Api, model: str) -> None:
    """Job and rule set both say so."""
    found = api.result("/v1/rulesets", {"model": model, "max_clauses": 6})
    assert (found["cut"], found["stability"]) == (None, None)
    assert ruleset(api, found)["origin"]["cut"] is None


@pytest.mark.parametrize(
    ("limit", "cut"), [({"seconds": 1e-6}, "seconds"), ({"memory": 1, "max_clauses": 4}, "memory")]
)
def test_a_result_that_a_limit_cut_says_so(api: Api, model: str, limit: dict[str, Any], cut: str) -> None:
    """It is whole all the same, within its budget, and the rule set keeps what cut it."""
    found = api.result("/v1/rulesets", {"model": model, "max_clauses": 5, **limit})
    assert found["cut"] == cut
    assert found["clauses"] <= 5
    made = ruleset(api, found)
    assert made["origin"]["cut"] == cut
    assert len(made["rules"]) == found["rules"]


def test_iterations_are_limited(api: Api, model: str) -> None:
    """None at all gives rules too; the same request gives the same again."""
    first, again = (
        api.result("/v1/rulesets", {"model": model, "max_clauses": 6, "max_iterations": 0}) for _ in range(2)
    )
    assert ruleset(api, first)["content"] == ruleset(api, again)["content"]
    assert first["fidelity"]["agreement"] > 0.7


def test_stability_is_measured_on_request(api: Api, model: str) -> None:
    """For each rule and the default, from 0 to 1."""
    found = api.result("/v1/rulesets", {"model": model, "max_clauses": 4, "method": "tree", "stability": 2})
    made = ruleset(api, found)
    assert list(found["stability"]) == [*(rule["id"] for rule in made["rules"]), "default"]
    assert all(figure is None or 0.0 <= figure <= 1.0 for figure in found["stability"].values())
    assert made["origin"]["stability"] == found["stability"]


@pytest.mark.parametrize(
    "limit",
    [
        {"max_iterations": -1},
        {"seconds": 0},
        {"seconds": "10"},
        {"memory": 0},
        {"memory": 1.5},
        {"stability": 201},
        {"stability": -1},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_at_once(api: Api, model: str, limit: dict[str, Any]) -> None:
    """With its place in the body."""
    problem = refused(api.post("/v1/rulesets", json={"model": model, **limit}), 422, "request-invalid")
    assert f"body.{next(iter(limit))}" in {one["where"] for one in problem["errors"]}


def test_a_cancelled_extraction_is_ended_and_makes_nothing(api: Api, model: str) -> None:
    """Its process is gone within moments, the next job's turn comes, and there is no new rule set."""
    before = api.get("/v1/rulesets", params={"limit": 200}).json()["items"]
    asked = api.post("/v1/rulesets", json={"model": model, **LONG})
    job = asked.headers["Location"]
    until(lambda: api.get(job).json()["progress"]["done"] > 1)
    assert len(grandchildren()) >= 1
    assert api.post(f"{job}/cancel").json()["state"] == "cancelled"
    until(lambda: not grandchildren())
    ended = api.get(job).json()
    assert (ended["state"], ended["result"], ended["error"]["code"]) == ("cancelled", None, "cancelled")
    assert api.get("/v1/rulesets", params={"limit": 200}).json()["items"] == before
    assert api.result("/v1/rulesets", {"model": model, "max_clauses": 2, "method": "tree"})["clauses"] <= 2


def test_progress_goes_up_to_all_of_it(api: Api, model: str) -> None:
    """Never past it; the last step is all."""
    job = api.post("/v1/rulesets", json={"model": model, "max_clauses": 8}).headers["Location"]
    seen: list[tuple[int, int]] = []

    def ended() -> bool:
        found = api.get(job).json()
        if found["progress"]["of"]:
            seen.append((found["progress"]["done"], found["progress"]["of"]))
        return bool(found["state"] == "succeeded")

    until(ended)
    assert all(0 <= done <= of for done, of in seen)
    assert seen[-1][0] == seen[-1][1]


def test_a_step_past_its_time_fails_and_says_how_long_it_had(tmp_path: Path) -> None:
    """What the settings allow ends an extraction that set itself no limit."""
    with serving(tmp_path) as api:
        table = api.upload(loans(600).to_csv(index=False).encode()).json()["id"]
        model = api.result("/v1/models", {"dataset": table, "target": "decision"})["model"]
    with serving(tmp_path, job_seconds=0.5) as api:
        job = api.ended(api.post("/v1/rulesets", json={"model": model, **LONG}))
        assert (job["state"], job["error"]["code"]) == ("failed", "step-failed")
        assert "more than 0.5 s" in job["error"]["detail"]
