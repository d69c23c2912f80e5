"""Shadow and canary: a release tried beside the one in service, counted, and harmless."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ruleedit.decisions import Decision
from ruleedit.decisions.onerow import RowDecider
from ruleedit.release import load
from ruleedit.tables import encode, read
from service.app import create_app
from service.scoring.trial import MOST_WAITING, Trial, split
from service.store.records import TrialCounts
from tests.commandline import Shop
from tests.serving import Api, Made, guarded, local, make, refused, serving, serving_app

ROWS = [
    {"age": 20 + i % 50, "income": 1000.0 + 7 * i, "job": [None, "a", "b"][i % 3], "member": bool(i % 2)}
    for i in range(200)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of this module's service."""
    return tmp_path_factory.mktemp("trials")


@pytest.fixture(scope="module")
def api(folder: Path) -> Iterator[Api]:
    """A running service."""
    with serving(folder) as found:
        yield found


@pytest.fixture(scope="module")
def made(api: Api) -> Made:
    """What is ready in it."""
    return make(api)


@pytest.fixture(scope="module")
def other(api: Api, made: Made) -> str:
    """Another release for the same name, that turns the young down."""
    ruleset = api.extracted(made)["id"]
    assert api.edit(ruleset, "new IF age < 30 THEN no").status_code == 200
    return api.released(ruleset, "small")


def begin(api: Api, release: str, kind: str, **more: Any) -> dict[str, Any]:
    """Begin a trial."""
    response = api.post(f"/v1/releases/{release}/{kind}", json={"reason": "try", **more})
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


def end(api: Api, release: str, kind: str) -> dict[str, Any]:
    """End it."""
    response = api.post(f"/v1/releases/{release}/{kind}/end", json={"reason": "enough"})
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


def shown(api: Api, release: str, rows: int) -> dict[str, Any]:
    """A shadow once it has followed so many rows."""
    until = time.monotonic() + 60
    while (told := api.get(f"/v1/releases/{release}/shadow").json())["rows"] < rows and time.monotonic() < until:
        time.sleep(0.02)
    return told


def alone(api: Api, release: str) -> list[str]:
    """What a release answers by itself, from a name of its own."""
    body = api.get(f"/v1/releases/{release}").json()
    twin = api.released(body["ruleset"], f"alone-{release[-8:]}", revision=body["revision"])
    api.activate(twin)
    return [d["outcome"] for d in api.decide(f"alone-{release[-8:]}", *ROWS).json()["decisions"]]


def test_a_shadow_counts_differences_and_changes_no_answer(api: Api, made: Made, other: str) -> None:
    """By pair of outcomes, on the route and in the metrics; the answers are those of the release in service."""
    before = api.decide("small", *ROWS).json()
    begin(api, other, "shadow")
    assert api.decide("small", *ROWS).json() == before
    answered = [decision["outcome"] for decision in before["decisions"]]
    expected = list(zip(answered, alone(api, other), strict=True))
    told = shown(api, other, len(ROWS))
    assert (told["state"], told["rows"], told["failed"], told["dropped"]) == ("running", len(ROWS), 0, 0)
    assert {(pair["outcome"], pair["trial_outcome"]): pair["rows"] for pair in told["pairs"]} == {
        pair: expected.count(pair) for pair in set(expected)
    }
    assert told["differing"] == sum(one != another for one, another in expected) > 0
    counted = re.findall(r"^ruleedit_trial_rows_total\{(.*)\} (\S+)$", api.get("/metrics").text, re.MULTILINE)
    assert sum(float(value) for _, value in counted) == len(ROWS)
    ended = end(api, other, "shadow")
    assert (ended["state"], ended["rows"]) == ("ended", len(ROWS))
    event = api.get("/v1/audit", params={"limit": 1}).json()["items"][0]
    assert (event["action"], event["payload"]["differing"]) == ("end shadow", told["differing"])


def test_a_canary_decides_its_share_and_each_row_always_alike(api: Api, made: Made, other: str) -> None:
    """Each decision names the release that made it, and is what that release answers."""
    plain = [decision["outcome"] for decision in api.decide("small", *ROWS).json()["decisions"]]
    begin(api, other, "canary", share=0.3)
    body = api.decide("small", *ROWS).json()
    assert body["release"] == made.release
    by = [decision["release"] for decision in body["decisions"]]
    assert set(by) == {made.release, other}
    assert 30 <= by.count(other) <= 90
    tried = alone(api, other)
    for place, decision in enumerate(body["decisions"]):
        assert decision["outcome"] == (tried if by[place] == other else plain)[place]
    backwards = api.decide("small", *reversed(ROWS)).json()["decisions"]
    assert [decision["release"] for decision in backwards] == by[::-1]
    assert [api.decide("small", row).json()["decisions"][0]["release"] for row in ROWS[:20]] == by[:20]
    told = api.get(f"/v1/releases/{other}/canary").json()
    assert (told["share"], told["rows"]) == (0.3, 2 * by.count(other) + by[:20].count(other))
    end(api, other, "canary")
    assert {decision["release"] for decision in api.decide("small", *ROWS).json()["decisions"]} == {made.release}


def test_a_canary_of_everything_decides_everything(api: Api, made: Made, other: str) -> None:
    """A share of 1; the other protocols too."""
    begin(api, other, "canary", share=1)
    assert {decision["release"] for decision in api.decide("small", *ROWS).json()["decisions"]} == {other}
    end(api, other, "canary")


@pytest.mark.parametrize("kind", ["shadow", "canary"])
def test_what_makes_no_sense_is_refused(api: Api, made: Made, other: str, kind: str) -> None:
    """The release in service, a second trial, a share of nothing, a trial that never was."""
    body = {"reason": "x"} | ({"share": 0.5} if kind == "canary" else {})
    refused(api.post(f"/v1/releases/{made.release}/{kind}", json=body), 409, "state-refused")
    refused(api.post(f"/v1/releases/{made.release}/{kind}/end", json={"reason": "x"}), 404, "unknown-trial")
    refused(api.get(f"/v1/releases/{made.release}/{kind}"), 404, "unknown-trial")
    refused(api.post(f"/v1/releases/none/{kind}", json=body), 404, "unknown-release")
    begin(api, other, kind, **({"share": 0.5} if kind == "canary" else {}))
    third = api.released(made.ruleset, "small")
    refused(api.post(f"/v1/releases/{third}/{kind}", json=body), 409, "state-refused")
    end(api, other, kind)
    refused(api.post(f"/v1/releases/{other}/{kind}/end", json={"reason": "x"}), 409, "state-refused")
    lonely = api.released(made.ruleset, f"lonely-{kind}")
    refused(api.post(f"/v1/releases/{lonely}/{kind}", json=body), 409, "state-refused")


@pytest.mark.parametrize("share", [0, -0.1, 1.1, "x", None])
def test_a_share_is_of_the_rows(api: Api, made: Made, other: str, share: Any) -> None:
    """More than nothing, at most all."""
    body = {"reason": "x", "share": share}
    refused(api.post(f"/v1/releases/{other}/canary", json=body), 422, "request-invalid")


def test_trials_outlive_a_restart(tmp_path: Path) -> None:
    """With what was counted; ended ones stay ended."""
    with serving(tmp_path) as api:
        made = make(api)
        other = api.released(made.ruleset, "small")
        begin(api, other, "canary", share=1)
        begin(api, other, "shadow")
        api.decide("small", *ROWS)
        counted = end(api, other, "shadow")
    with serving(tmp_path) as api:
        told = api.get(f"/v1/releases/{other}/canary").json()
        assert (told["state"], told["rows"]) == ("running", len(ROWS))
        ended = api.get(f"/v1/releases/{other}/shadow").json()
        assert (ended["state"], ended["rows"]) == ("ended", len(ROWS))
        assert counted["rows"] <= len(ROWS)
        assert api.decide("small", ROWS[0]).json()["decisions"][0]["release"] == other


def test_a_chore_that_still_holds_an_ended_trial_counts_nothing_twice(tmp_path: Path) -> None:
    """It takes the trials at one moment and writes them at the next, between which one may end."""
    app = create_app(local(tmp_path))
    with serving_app(app) as api:
        made, work = make(api), app.state.workspace
        other = api.released(made.ruleset, "small")
        begin(api, other, "shadow")
        api.decide("small", *ROWS)
        (held,) = work.scoring.trials.values()
        end(api, other, "shadow")
        work.trials._write(held)
        assert shown(api, other, len(ROWS))["rows"] == len(ROWS)


def test_a_release_that_comes_into_service_is_tried_no_more(tmp_path: Path) -> None:
    """Nothing is on trial beside itself."""
    with serving(tmp_path) as api:
        made = make(api)
        other = api.released(made.ruleset, "small")
        begin(api, other, "canary", share=0.5)
        api.activate(other)
        api.decide("small", *ROWS)
        assert api.get(f"/v1/releases/{other}/canary").json()["rows"] == 0


def test_an_unapproved_canary_decides_nothing(tmp_path: Path) -> None:
    """Promise 18: where approval is required a canary needs it as activating does; a shadow decides nothing anyway."""
    with guarded(tmp_path) as admin:
        analyst, approver = admin.person("ana", "analyst"), admin.person("ben", "approver")
        made_of = analyst.upload(b"x,y\n" + b"".join(b"%d,%s\n" % (i, b"ab"[i % 2 : i % 2 + 1]) for i in range(200)))
        model = analyst.result("/v1/models", {"dataset": made_of.json()["id"], "target": "y"})["model"]
        ruleset = analyst.result("/v1/rulesets", {"model": model, "max_clauses": 4})["ruleset"]
        first, second = (analyst.released(ruleset, "guarded") for _ in range(2))
        for step, who in (("propose", analyst), ("approve", approver), ("activate", approver)):
            assert who.post(f"/v1/releases/{first}/{step}", json={"reason": "r"}).status_code == 200
        body = {"reason": "x", "share": 0.5}
        response = approver.post(f"/v1/releases/{second}/canary", json=body)
        assert (response.status_code, response.json()["code"]) == (409, "approval-needed")
        assert approver.post(f"/v1/releases/{second}/shadow", json={"reason": "x"}).status_code == 200


# --- trials by themselves ---------------------------------------------------------------------


class Broken:
    """A release that can decide nothing."""

    id, expires = "broken", None

    def decide(self, rows: object) -> list[Decision]:
        """Fail."""
        raise RuntimeError("broken")


def decisions_of(shop: Shop, rows: int) -> tuple[list[list[float]], list[Decision], RowDecider]:
    """Encoded rows, what a release decides for them, and what decides."""
    release = load(shop.release("overlay-hard"))
    decider = RowDecider(release, "in service")
    encoded = encode(read(shop.csv).head(rows), release.schema).tolist()
    return encoded, [decider.decide(row) for row in encoded], decider


@pytest.mark.parametrize("share", [0.01, 0.25, 0.9])
def test_the_share_is_that_of_the_rows(share: float) -> None:
    """Of many different ones, within four standard errors; NaN has a place like any value."""
    trial = Trial("canary", Broken(), share)
    rows = [[float(i), float("nan")] for i in range(10_000)]
    taken = sum(map(trial.takes, rows))
    assert abs(taken - 10_000 * share) < 4 * (10_000 * share * (1 - share)) ** 0.5
    assert [trial.takes(row) for row in rows[:50]] == [trial.takes(list(row)) for row in rows[:50]]


def test_rows_that_a_canary_can_t_decide_are_decided_by_the_release_in_service(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """And counted, and said once."""
    encoded, decisions, decider = decisions_of(shop, 40)
    trial = Trial("canary", Broken(), 0.5)
    for _ in range(2):
        found, tried = split(trial, encoded, [{}] * 40, lambda places: [decider.decide(encoded[p]) for p in places])
        assert found == decisions
        assert not any(tried)
    assert trial.counts().failed == 2 * sum(map(trial.takes, encoded))
    assert len(caplog.records) == 1


def test_a_broken_shadow_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The rows that it couldn't decide."""
    trial = Trial("shadow", Broken(), 0.0)
    for _ in range(3):
        trial.follow([{}, {}], ["yes", "no"])
    trial.close()
    assert trial.counts() == TrialCounts(failed=6)
    assert len(caplog.records) == 1


def test_a_slow_shadow_drops_what_it_has_no_time_for(count: Callable[[int, int], int]) -> None:
    """At most so many requests wait; the others are counted."""

    class Slow(Broken):
        def decide(self, rows: object) -> list[Decision]:
            time.sleep(0.5)
            return []

    trial = Trial("shadow", Slow(), 0.0)
    for _ in range(MOST_WAITING + 50):
        trial.follow([], [])
    trial.follow([{}] * 7, ["yes"] * 7)
    assert trial.counts().dropped == 7
    trial.candidate = Broken()
    trial.close()
