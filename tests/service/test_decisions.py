"""Decisions over HTTP: what each answer says, why, and what is counted of it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.serving import EDIT, ROW, Api, Made, guarded, make, refused, serving, small_table

WITHOUT_JOB = ROW | {"job": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder."""
    return tmp_path_factory.mktemp("decisions")


@pytest.fixture(scope="module")
def api(folder: Path) -> Iterator[Api]:
    """A running service."""
    with serving(folder) as found:
        yield found


@pytest.fixture(scope="module")
def made(api: Api) -> Made:
    """What is ready in it."""
    return make(api)


def counted(api: Api, metric: str, **labels: str) -> float:
    """The sum of a metric's values over all samples that have these labels."""
    lines = re.findall(rf"^{metric}\{{(.*)\}} (\S+)$", api.get("/metrics").text, re.MULTILINE)
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(float(value) for given, value in lines if all(pair in given.split(",") for pair in wanted))


def test_a_decision_has_its_reasons(api: Api, made: Made) -> None:
    """Outcome, probabilities, the model's own outcome, the rule, and why."""
    body = api.decide("small", WITHOUT_JOB, ROW).json()
    assert (body["name"], body["release"]) == ("small", made.release)
    assert body["revision"] == api.get(f"/v1/rulesets/{made.ruleset}").json()["revision"]
    held, free = body["decisions"]
    assert (held["outcome"], held["by"]) == ("yes", "overlay")
    assert held["probabilities"] == {"no": 0.0, "yes": 1.0}
    assert "job is missing" in held["reasons"][0]
    assert held["reason_codes"] == [f"asserted:{held['rule']}"]
    assert free["reason_codes"][0].startswith("described:")
    assert free["rule"] is None
    assert (free["by"], free["outcome"]) == ("model", free["model_outcome"])
    assert sum(free["probabilities"].values()) == pytest.approx(1.0)


def test_a_decision_warns_of_what_was_never_seen(api: Api, made: Made) -> None:
    """A new category and a number out of range are decided with warnings; extra columns are ignored."""
    decision = api.decide("small", ROW | {"job": "zzz", "age": 99, "extra": [1]}).json()["decisions"][0]
    assert len(decision["warnings"]) == 2


def test_a_large_batch_is_decided_like_single_rows(api: Api, made: Made) -> None:
    """The same answers, in order."""
    rows = [ROW | {"age": 20 + i % 50, "job": [None, "a", "b"][i % 3]} for i in range(300)]
    together = api.decide("small", *rows).json()["decisions"]
    alone = [api.decide("small", row).json()["decisions"][0] for row in rows[:40]]
    assert together[:40] == alone


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        (ROW | {"age": "old"}, "value-refused", "row 1, column 'age'"),
        (ROW | {"age": 30.5}, "value-refused", "not whole"),
        (ROW | {"member": 2}, "value-refused", "neither true nor false"),
        ({"age": 3}, "columns-missing", "'income'"),
    ],
)
def test_a_row_that_does_not_fit_is_422(api: Api, made: Made, row: dict[str, Any], code: str, said: str) -> None:
    """Naming row and column."""
    assert said in refused(api.decide("small", row), 422, code)["detail"]


@pytest.mark.parametrize("body", [{}, {"rows": []}, {"rows": [1]}, {"rows": "x"}, {"rows": [ROW], "x": 1}, []])
def test_a_wrong_body_for_decisions_is_422(api: Api, made: Made, body: Any) -> None:
    """Saying where."""
    refused(api.post("/v1/decisions/small", json=body), 422, "request-invalid")


def test_infinite_numbers_are_refused(api: Api, made: Made) -> None:
    """Python's JSON would read them."""
    content = json.dumps({"rows": [ROW | {"income": float("inf")}]})
    response = api.post("/v1/decisions/small", content=content, headers={"Content-Type": "application/json"})
    refused(response, 422, "value-refused")


def test_too_many_rows_are_413(api: Api, made: Made) -> None:
    """10,001 of them, however short."""
    refused(api.post("/v1/decisions/small", json={"rows": [{}] * 10_001}), 413, "too-large")


def test_a_changed_decision_names_its_edit(api: Api, made: Made) -> None:
    """Promise 19: the rule that holds the row and the edit that made it; what isn't changed has no cause."""
    rows = [WITHOUT_JOB | {"age": 20 + i % 30, "income": 1000.0 + 7 * i} for i in range(300)]
    decisions = api.decide("small", *rows).json()["decisions"]
    changed = [decision for decision in decisions if decision["outcome"] != decision["model_outcome"]]
    assert changed
    for decision in changed:
        assert decision["change"]["cause"] == "edit"
        assert decision["change"]["rule"] == decision["rule"]
        assert [edit["edit"] for edit in decision["change"]["edits"]] == [EDIT]
    assert all(decision["change"] is None for decision in decisions if decision not in changed)


def test_a_collateral_change_names_the_release(api: Api, made: Made) -> None:
    """Promise 19: of a retrained release, every change outside of its regions."""
    ruleset = api.extracted(made)["id"]
    # A rule against the data over half of the rows, so that retraining disturbs its neighbours.
    assert api.edit(ruleset, "new IF income < 3000 THEN no").status_code == 200
    release = api.released(ruleset, "shaken", "retrain", strategy="greedy")
    api.activate(release)
    rows = [{"age": 20 + i % 50, "income": 3000.0 + 3 * i, "job": "abc"[i % 3], "member": True} for i in range(800)]
    decisions = api.decide("shaken", *rows).json()["decisions"]
    collateral = [decision["change"] for decision in decisions if decision["outcome"] != decision["model_outcome"]]
    assert collateral
    assert all(change == {"cause": "collateral", "release": release} for change in collateral)


def test_the_nearest_other_outcome_is_explained_on_request(api: Api, made: Made) -> None:
    """Its rule, and the clauses of it that the row fails, with the row's values."""
    row = ROW | {"age": 25, "job": None}
    (plain,) = api.decide("small", row).json()["decisions"]
    assert "nearest" not in plain
    body = api.post("/v1/decisions/small?explain=true", json={"rows": [row, ROW | {"age": 31}]}).json()
    held, free = body["decisions"]
    assert (held["nearest"]["outcome"], free["nearest"]["outcome"]) == ("no", "yes")
    assert held["nearest"]["behind"] is not None
    values = {"age": 31.0, "income": 1200.5, "job": "a", "member": "true"}
    assert free["nearest"]["failed"]
    for failed in free["nearest"]["failed"]:
        assert failed["clause"] in free["nearest"]["text"]
        assert failed["value"] == values[failed["clause"].split()[0]]


def test_decisions_are_counted_by_rule_and_outcome(api: Api, made: Made) -> None:
    """And flips against the model, and requests by the route's template."""
    labels = {"name": "small", "kind": "asserted", "outcome": "yes"}
    before, flips = (
        counted(api, "ruleedit_decisions_total", **labels),
        counted(api, "ruleedit_flips_total", name="small"),
    )
    answers = api.decide("small", *[WITHOUT_JOB] * 7, ROW).json()["decisions"]
    changed = sum(decision["change"] is not None for decision in answers)
    assert counted(api, "ruleedit_decisions_total", **labels) == before + 7
    assert counted(api, "ruleedit_flips_total", name="small") == flips + changed
    assert counted(api, "ruleedit_requests_total", route="/v1/decisions/{name}", status="200") >= 1
    assert counted(api, "ruleedit_request_seconds_count", route="/v1/decisions/{name}") >= 1


def test_what_is_not_served_is_one_route_in_the_metrics(api: Api, made: Made) -> None:
    """So that there are few, and nothing that somebody typed is kept."""
    api.get("/v1/never/heard/of")
    api.request("BREW", "/v1/datasets")
    text = api.get("/metrics").text
    assert 'route="unknown",status="404"' in text
    assert "heard" not in text
    assert "BREW" not in text
    assert counted(api, "ruleedit_jobs", state="succeeded") >= 3


def test_drift_of_inputs_is_seen(api: Api, made: Made) -> None:
    """Rows as in training have a small index, rows of one age a large one, on that feature alone."""
    assert api.activate(api.released(made.ruleset, "drifting")).status_code == 200
    usual = [
        {"age": 20 + i % 50, "income": 1000 + 37 * (i * i % 101) + 0.5, "job": "abc"[i % 3] if i % 7 else None,
         "member": bool(i % 4)} for i in range(400)
    ]  # fmt: skip
    api.decide("drifting", *usual)
    features = {"age", "income", "job", "member"}
    assert all(0 <= counted(api, "ruleedit_input_drift", name="drifting", feature=name) < 0.01 for name in features)
    api.decide("drifting", *(row | {"age": 21} for row in usual))
    assert counted(api, "ruleedit_input_drift", name="drifting", feature="age") > 0.25
    assert counted(api, "ruleedit_input_drift", name="drifting", feature="income") < 0.01


def test_agreement_is_watched_by_rule(api: Api, made: Made) -> None:
    """The share of a rule's rows on which the model agrees, and how far that is from training."""
    api.decide("small", *[ROW | {"age": 20 + i % 50, "income": 1000.0 + i} for i in range(200)])
    rules = re.findall(
        r'ruleedit_rule_agreement\{name="small",release="[^"]+",rule="([^"]+)"\} ([\d.]+)', api.get("/metrics").text
    )
    assert any(rule.startswith("described:") for rule, _ in rules)
    assert all(0 <= float(share) <= 1 for _, share in rules)
    assert "ruleedit_rule_agreement_drift{" in api.get("/metrics").text


def test_a_data_set_is_decided_as_its_rows_are(api: Api, made: Made) -> None:
    """A line of CSV for each row, in the table's order; the decision log has the counts."""
    response = api.post("/v1/decisions/small/batch", json={"dataset": made.dataset})
    assert response.headers["content-type"].startswith("text/csv")
    table = pd.read_csv(io.StringIO(response.text), keep_default_na=False)
    assert list(table.columns) == ["outcome", "p_no", "p_yes", "model_outcome", "rule", "by"]
    asked = pd.read_csv(io.BytesIO(small_table()), dtype={"job": object}).head(50).drop(columns="ok")
    rows = json.loads(asked.to_json(orient="records"))
    decisions = api.decide("small", *rows).json()["decisions"]
    for found, decision in zip(table.head(50).itertuples(), decisions, strict=True):
        assert (found.outcome, found.by, found.rule) == (decision["outcome"], decision["by"], decision["rule"] or "")
        assert [found.p_no, found.p_yes] == list(decision["probabilities"].values())
    assert len(table) == 400


def test_a_batch_of_what_does_not_fit_is_refused(api: Api, made: Made) -> None:
    """Before anything is streamed."""
    other = api.upload(b"x\n1\n").json()["id"]
    refused(api.post("/v1/decisions/small/batch", json={"dataset": other}), 422, "columns-missing")
    refused(api.post("/v1/decisions/small/batch", json={"dataset": "none"}), 422, "unknown-dataset")
    refused(api.post("/v1/decisions/none/batch", json={"dataset": made.dataset}), 404, "no-active-release")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_that_is_sent_along_is_decided_and_not_kept(
    api: Api, made: Made, folder: Path, kind: str, tmp_path: Path
) -> None:
    """As the same table is that was uploaded before; afterwards nothing of it is on the disk."""
    content = small_table()
    if kind == "parquet":
        pd.read_csv(io.BytesIO(content), dtype={"job": object}).to_parquet(tmp_path / "t.parquet", index=False)
        content = (tmp_path / "t.parquet").read_bytes()
    before = {path for path in (folder / "files").rglob("*") if path.is_file()}
    sent = api.post("/v1/decisions/small/file", files={"file": (f"t.{kind}", content)})
    kept = api.post("/v1/decisions/small/batch", json={"dataset": made.dataset})
    assert (sent.status_code, sent.content) == (200, kept.content)
    assert {path for path in (folder / "files").rglob("*") if path.is_file()} == before


def test_a_table_that_can_t_be_decided_is_refused(api: Api, made: Made, folder: Path) -> None:
    """Before anything is streamed, with nothing left of it, and no word of where it was."""
    for name, content, code in (
        ("t.csv", b"", "table-unreadable"),
        ("t.csv", b"x\n1\n", "columns-missing"),
        ("t.parquet", b"PAR1PAR1", "table-unreadable"),
    ):
        problem = refused(api.post("/v1/decisions/small/file", files={"file": (name, content)}), 422, code)
        assert str(folder) not in problem["detail"]
    refused(api.post("/v1/decisions/small/file", files={"file": ("t.txt", b"x")}), 415, "media-type-refused")
    refused(api.post("/v1/decisions/none/file", files={"file": ("t.csv", small_table())}), 404, "no-active-release")
    assert list((folder / "files" / "incoming").iterdir()) == []


def test_a_client_system_decides_what_it_sends_and_nothing_that_is_kept(tmp_path: Path) -> None:
    """Tables that others uploaded are for those who may read them."""
    with guarded(tmp_path) as admin:
        ana = admin.person("ana", "analyst")
        table = ana.upload(small_table()).json()["id"]
        system = admin.person("system", "decision-client")
        sent = system.post("/v1/decisions/none/file", files={"file": ("t.csv", small_table())})
        refused(sent, 404, "no-active-release")
        refused(system.post("/v1/decisions/none/batch", json={"dataset": table}), 403, "role-missing")
