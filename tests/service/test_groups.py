"""Sensitive columns over HTTP: marked with a model or later, and what is said by them from then on."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from ruleedit.bundle import check, verify
from tests.serving import TARGET, Api, Made, make, refused, serving

#: Grants to the members alone whoever is young.
UNEQUAL = "new IF age < 40 AND member = true THEN yes"
MARKED: dict[str, Any] = {
    "columns": [{"column": "member", "cuts": []}, {"column": "age", "cuts": [30.0, 50.0]}],
    "favourable": "yes",
    "least_ratio": 0.9,
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running service."""
    with serving(tmp_path_factory.mktemp("groups")) as found:
        yield found


@pytest.fixture(scope="module")
def made(api: Api) -> Made:
    """What is ready in it."""
    return make(api)


@pytest.fixture(scope="module")
def marked(api: Api, made: Made) -> dict[str, Any]:
    """A rule set of a model whose sensitive columns were marked as it was trained, with an unequal edit."""
    model = api.result("/v1/models", {"dataset": made.dataset, "target": TARGET, "groups": MARKED})["model"]
    assert api.get(f"/v1/models/{model}").json()["groups"] == MARKED
    ruleset = api.result("/v1/rulesets", {"model": model, "max_clauses": 8})["ruleset"]
    edited: dict[str, Any] = api.edit(ruleset, UNEQUAL).json()
    return edited


def test_where_nobody_said_anything_the_four_fifths_rule_holds(api: Api, made: Made) -> None:
    """And no column is sensitive."""
    found = api.get(f"/v1/models/{made.model}").json()["groups"]
    assert found == {"columns": [], "favourable": None, "least_ratio": 0.8}
    assert api.get(f"/v1/rulesets/{made.ruleset}/impact").json()["groups"] == []


def test_impact_says_how_each_group_fares(api: Api, marked: dict[str, Any]) -> None:
    """Rates and ratios of every group; the one that falls behind by name; what quality becomes."""
    found = api.get(f"/v1/rulesets/{marked['id']}/impact").json()
    groups = {(one["column"], one["value"]): one for one in found["groups"]}
    assert set(groups) == {("member", "false"), ("member", "true")} | {
        ("age", name) for name in ("under 30", "30 to under 50", "50 and over")
    }
    outsiders, members = groups["member", "false"], groups["member", "true"]
    assert outsiders["rows"] + members["rows"] == found["rows"]
    assert members["after"]["yes"] > members["before"]["yes"]
    ratio = outsiders["after"]["yes"] / members["after"]["yes"]
    assert outsiders["ratio_after"]["yes"] == pytest.approx(ratio)
    behind = found["behind"][0]
    assert (behind["column"], behind["value"], behind["outcome"]) == ("member", "false", "yes")
    assert behind["after"] == pytest.approx(ratio)
    assert behind["after"] < found["least_ratio"] == 0.9
    assert "member false falls behind" in behind["says"]
    assert found["quality"]["macro_f1"]["after"] < found["quality"]["macro_f1"]["before"]
    assert 0 <= found["quality"]["calibration_error"]["before"] < 1


def test_collateral_and_comparisons_are_by_the_same_groups(api: Api, marked: dict[str, Any]) -> None:
    """A release's report and two releases side by side."""
    one = api.released(marked["id"], "one")
    assert api.edit(marked["id"], "new IF age > 60 THEN no").status_code == 200
    other = api.released(marked["id"], "other")
    report = api.get(f"/v1/releases/{one}").json()["report"]
    named = {(part["feature"], part["value"]) for part in report["outside"]["groups"]}
    assert {feature for feature, _ in named} == {"member", "age"}
    assert ("age", "50 and over") in named
    compared = api.get(f"/v1/releases/{one}/compare", params={"with": other}).json()["groups"]
    assert {part["group"] for part in compared} == {
        "member = false", "member = true", "age under 30", "age 30 to under 50", "age 50 and over"
    }  # fmt: skip


def test_columns_are_marked_later_with_a_reason_and_an_event(api: Api, made: Made) -> None:
    """The next impact follows; the audit says what was set before and after, by whom and why."""
    body = {"columns": [{"column": "job"}], "reason": "asked by the works council"}
    answer = api.post(f"/v1/models/{made.model}/groups", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["groups"] == {"columns": [{"column": "job", "cuts": []}], "favourable": None,
                                       "least_ratio": 0.8}  # fmt: skip
    event = api.get("/v1/audit", params={"subject": made.model}).json()["items"][0]
    assert (event["action"], event["reason"]) == ("set groups", "asked by the works council")
    assert event["payload"]["before"]["columns"] == []
    groups = api.get(f"/v1/rulesets/{made.ruleset}/impact").json()["groups"]
    assert [(one["column"], one["value"]) for one in groups] == [("job", name) for name in ("a", "b", "c", None)]


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        ({"columns": [{"column": "jobb"}]}, "unknown-feature"),
        ({"columns": [{"column": TARGET}]}, "unknown-feature"),
        ({"columns": [{"column": "age"}]}, "refused"),
        ({"columns": [{"column": "job", "cuts": [1]}]}, "refused"),
        ({"columns": [{"column": "job"}, {"column": "job"}]}, "refused"),
        ({"columns": [], "least_ratio": 2}, "request-invalid"),
        ({"columns": [{"column": "age", "cuts": ["30"]}]}, "request-invalid"),
    ],
)
def test_what_makes_no_groups_is_refused_at_once(api: Api, made: Made, groups: dict[str, Any], code: str) -> None:
    """With the model as afterwards."""
    asked = {"dataset": made.dataset, "target": TARGET, "groups": groups}
    refused(api.post("/v1/models", json=asked), 422, code)
    refused(api.post(f"/v1/models/{made.model}/groups", json=groups | {"reason": "r"}), 422, code)


def test_a_class_that_nobody_knows_is_refused(api: Api, made: Made) -> None:
    """Of a model at once; of one that is still to be trained by its job, which makes nothing."""
    body = {"columns": [], "favourable": "maybe", "reason": "r"}
    refused(api.post(f"/v1/models/{made.model}/groups", json=body), 422, "unknown-class")
    asked = {"dataset": made.dataset, "target": TARGET, "groups": {"columns": [], "favourable": "maybe"}}
    job = api.ended(api.post("/v1/models", json=asked))
    assert (job["state"], job["error"]["code"]) == ("failed", "unknown-class")


def test_a_retraining_says_its_rounds_while_it_runs(api: Api, marked: dict[str, Any]) -> None:
    """Its job's course is the curve of its report: agreement, F1 outside and flips of each training."""
    asked = {"ruleset": marked["id"], "name": "learned", "mode": "retrain"}
    job = api.ended(api.post("/v1/releases", json=asked))
    assert job["state"] == "succeeded", job
    curve = api.get(f"/v1/releases/{job['result']['release']}").json()["report"]["curve"]
    assert job["course"] == curve
    assert {"training", "agreement", "f1_outside", "flips", "accepted"} <= set(curve[0])
    with api.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
        assert any('"course": [{' in line for line in events.iter_lines())


def test_a_bundle_works_out_the_figures_of_every_group(api: Api, marked: dict[str, Any]) -> None:
    """Those of a number that was cut too; one that is altered is found."""
    release = api.released(marked["id"], "handed")
    content = api.get(f"/v1/releases/{release}/bundle").content
    assert check(content).wrong == []
    with zipfile.ZipFile(io.BytesIO(content)) as files:
        report = json.loads(files.read("report.json"))
        schema = verify.Schema(json.loads(files.read("schema.json")))
    place = schema.places["age"]
    names = [part["value"] for part in report["outside"]["groups"] if part["feature"] == "age"]
    assert names == ["under 30", "30 to under 50", "50 and over"]
    for age in (18.0, 29.0, 30.0, 49.0, 50.0, 90.0):
        assert [name for name in names if schema.belongs(place, age, name)] == [
            names[0 if age < 30 else 1 if age < 50 else 2]
        ]
    assert schema.belongs(place, float("nan"), None)
    assert not schema.belongs(place, float("nan"), "under 30")
    assert not schema.belongs(place, 20.0, None)
