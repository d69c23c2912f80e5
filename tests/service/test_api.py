"""Every route: what it answers when all is well, and each of its errors."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ruleedit.bundle import check
from ruleedit.formats import EXPORTS, MEDIA_TYPES, canonical, sql
from ruleedit.models.folder import load
from tests.databases import database
from tests.serving import EDIT, ROW, TARGET, Api, Made, make, refused, serving, small_table

WITHOUT_JOB = ROW | {"job": None}
CONFLICTING = ("new IF age < 40 THEN yes", "new IF age > 30 THEN no")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)])
def engine(request: pytest.FixtureRequest) -> str:
    """Each database; PostgreSQL in the soak, as the tests of all writes run on both anyway."""
    return str(request.param)


@pytest.fixture(scope="module")
def folder(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of this module's service on a database: heads published of one are none of the other's."""
    return tmp_path_factory.mktemp(engine)


@pytest.fixture(scope="module")
def api(engine: str, folder: Path) -> Iterator[Api]:
    """A running service on it."""
    with (
        database(engine, folder) as where,
        serving(folder, database=where if isinstance(where, str) else "") as found,
    ):
        yield found


@pytest.fixture(scope="module")
def made(api: Api) -> Made:
    """What is ready in it."""
    return make(api)


@pytest.fixture
def ruleset(api: Api, made: Made) -> dict[str, Any]:
    """A rule set of the test's own, as it was extracted."""
    return api.extracted(made)


@pytest.fixture(scope="module")
def untouched(api: Api, made: Made) -> dict[str, Any]:
    """A rule set that the tests only read, or try to change in vain."""
    return api.extracted(made)


@pytest.fixture(scope="module")
def conflicting(api: Api, made: Made) -> dict[str, Any]:
    """A rule set with an open conflict that the tests leave open."""
    found: dict[str, Any] = api.edit(api.extracted(made)["id"], *CONFLICTING).json()
    return found


# --- data sets -------------------------------------------------------------------------------


def test_a_csv_is_uploaded(api: Api) -> None:
    """201 with rows, columns and what was inferred of each."""
    response = api.upload(small_table(50), name="small.csv")
    assert response.status_code == 201
    body = response.json()
    assert (body["name"], body["rows"], body["columns"]) == ("small.csv", 50, ["age", "income", "job", "member", "ok"])
    kinds = {feature["name"]: feature["kind"] for feature in body["schema"]["features"]}
    assert kinds == {
        "age": "integer", "income": "numeric", "job": "categorical", "member": "boolean", "ok": "categorical"
    }  # fmt: skip
    assert api.get(f"/v1/datasets/{body['id']}").json() == body


def test_a_parquet_file_is_uploaded(api: Api, tmp_path: Path) -> None:
    """By its name's ending."""
    pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}).to_parquet(tmp_path / "t.parquet")
    body = api.upload((tmp_path / "t.parquet").read_bytes(), name="t.parquet").json()
    assert (body["rows"], body["columns"]) == (2, ["x", "y"])


def test_the_media_type_says_what_a_file_without_ending_is(api: Api) -> None:
    """text/csv is a CSV; the form's name is kept."""
    response = api.post("/v1/datasets", files={"file": ("table", b"x,y\n1,a\n", "text/csv")}, data={"name": "my table"})
    assert (response.status_code, response.json()["name"]) == (201, "my table")


def test_a_file_of_another_kind_is_refused(api: Api) -> None:
    """415, with what is accepted."""
    problem = refused(api.upload(b"x", name="table.xlsx"), 415, "media-type-refused")
    assert ".csv or .parquet" in problem["detail"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "table-unreadable"),
        (b"x,y\n", "no-rows"),
        (b"x,x\n1,2\n", "table-unreadable"),
        (b"\xff\xfe", "table-unreadable"),
    ],
)
def test_an_unreadable_table_is_refused_and_not_kept(api: Api, folder: Path, content: bytes, code: str) -> None:
    """The error names the file as the user does, and nothing is left of it."""
    before = sorted((folder / "files").rglob("*"))
    problem = refused(api.upload(content, name="mine.csv"), 422, code)
    assert "'mine.csv'" in problem["detail"]
    assert sorted((folder / "files").rglob("*")) == before


def test_a_form_without_a_file_is_refused(api: Api) -> None:
    """422, saying which field is lacking."""
    response = api.post("/v1/datasets", files={"other": ("a.csv", b"x")})
    problem = refused(response, 422, "request-invalid")
    assert "body.file" in problem["detail"]


def test_a_body_that_is_no_form_is_refused(api: Api) -> None:
    """415 for JSON, 4xx for a form that breaks off."""
    refused(api.post("/v1/datasets", json={}), 415, "media-type-refused")
    broken = api.post("/v1/datasets", content=b"nothing", headers={"Content-Type": "multipart/form-data"})
    refused(broken, 400, "request-invalid")


def test_lists_are_paged(api: Api, made: Made) -> None:
    """Each page's cursor gives the next one, newest first, until none is left."""
    for number in range(3):
        api.upload(b"x,y\n1,a\n", name=f"{number}.csv")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        body = api.get("/v1/datasets", params={"limit": 2, **cursor}).json()
        assert len(body["items"]) <= 2
        seen += [item["id"] for item in body["items"]]
        if body["next"] is None:
            break
        cursor = {"cursor": body["next"]}
    assert len(seen) == len(set(seen)) >= 4
    assert made.dataset in seen


@pytest.mark.parametrize("kind", ["datasets", "models", "rulesets", "releases", "jobs"])
def test_every_list_has_pages_and_refuses_nonsense(api: Api, made: Made, kind: str) -> None:
    """A limit out of bounds and a cursor that is none are 422."""
    body = api.get(f"/v1/{kind}", params={"limit": 1}).json()
    assert len(body["items"]) == 1
    for query in (
        {"limit": 0},
        {"limit": 201},
        {"limit": "x"},
        {"cursor": "x"},
        {"cursor": "9" * 19},
        {"cursor": "-1"},
    ):
        refused(api.get(f"/v1/{kind}", params=query), 422, "request-invalid")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/datasets/none", "unknown-dataset"),
        ("/v1/models/none", "unknown-model"),
        ("/v1/rulesets/none", "unknown-ruleset"),
        ("/v1/rulesets/none/impact", "unknown-ruleset"),
        ("/v1/rulesets/none/conflicts", "unknown-ruleset"),
        ("/v1/rulesets/none/history", "unknown-ruleset"),
        ("/v1/rulesets/none/diff", "unknown-ruleset"),
        ("/v1/rulesets/none/export", "unknown-ruleset"),
        ("/v1/releases/none", "unknown-release"),
        ("/v1/jobs/none", "unknown-job"),
        ("/v1/jobs/none/events", "unknown-job"),
    ],
)
def test_an_unknown_id_in_the_path_is_404(api: Api, path: str, code: str) -> None:
    """With a code of its own for each kind."""
    refused(api.get(path), 404, code)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/rulesets/none/edits", {"edits": ["undo"], "reason": "x"}, "unknown-ruleset"),
        ("/v1/rulesets/none/resolutions", {"strategy": "model"}, "unknown-ruleset"),
        ("/v1/releases/none/activate", {"reason": "x"}, "unknown-release"),
        ("/v1/releases/none/rollback", {"reason": "x"}, "unknown-release"),
        ("/v1/releases/none/propose", {"reason": "x"}, "unknown-release"),
        ("/v1/releases/none/approve", {"reason": "x"}, "unknown-release"),
        ("/v1/releases/none/reject", {"reason": "x"}, "unknown-release"),
        ("/v1/jobs/none/cancel", None, "unknown-job"),
        ("/v1/decisions/none", {"rows": [ROW]}, "no-active-release"),
    ],
)
def test_an_unknown_id_in_the_path_of_a_write_is_404(api: Api, path: str, body: Any, code: str) -> None:
    """As for reads."""
    refused(api.post(path, json=body, headers={"If-Match": "*"}), 404, code)


# --- models ----------------------------------------------------------------------------------


def test_a_model_is_trained(api: Api, made: Made) -> None:
    """Its answer has the schema, the thresholds and the figures on held-out rows."""
    body = api.get(f"/v1/models/{made.model}").json()
    assert body["schema"]["classes"] == ["no", "yes"]
    assert (body["target"], body["dataset"], body["adopted"]) == (TARGET, made.dataset, False)
    assert body["holdout"]["rows"] == 100
    assert 0.8 < body["holdout"]["accuracy"] <= 1.0
    assert body["thresholds"] == {"no": 0.5, "yes": 0.5}


def test_training_answers_with_a_job_and_its_place(api: Api, made: Made) -> None:
    """202, Location, and a result that names the model."""
    response = api.post("/v1/models", json={"dataset": made.dataset, "target": TARGET, "seed": 3, "name": "third"})
    assert response.headers["Location"] == f"/v1/jobs/{response.json()['id']}"
    job = api.ended(response)
    assert job["state"] == "succeeded"
    assert job["progress"]["done"] == job["progress"]["of"]
    assert api.get(f"/v1/models/{job['result']['model']}").json()["name"] == "third"


def test_thresholds_and_a_corrected_schema_are_used(api: Api, made: Made) -> None:
    """They come back with the model."""
    schema = api.get(f"/v1/models/{made.model}").json()["schema"]
    schema["features"][0]["missing"] = False
    body = {"dataset": made.dataset, "target": TARGET, "thresholds": {"yes": 0.7}, "schema": schema}
    model = api.get(f"/v1/models/{api.result('/v1/models', body)['model']}").json()
    assert model["schema"] == schema
    assert model["thresholds"] == {"no": pytest.approx(0.3), "yes": 0.7}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"dataset": "none"}, "unknown-dataset"),
        ({"target": "okay"}, "target-unusable"),
        ({"schema": {}}, "schema-invalid"),
        ({"seed": -1}, "request-invalid"),
        ({"seed": "1"}, "request-invalid"),
        ({"sed": 1}, "request-invalid"),
        ({"target": None}, "request-invalid"),
        ({"target": "\ud800"}, "request-invalid"),
        ({"thresholds": {"yes": "0.5"}}, "request-invalid"),
        ({"schema": {"target": "\ud800"}}, "request-invalid"),
    ],
)
def test_a_wrong_request_for_a_model_is_422(api: Api, made: Made, change: dict[str, Any], code: str) -> None:
    """At once, not as a job that fails; a data set that the body names and nobody has is no 404."""
    content = json.dumps({"dataset": made.dataset, "target": TARGET, **change})
    response = api.post("/v1/models", content=content, headers={"Content-Type": "application/json"})
    refused(response, 422, code)


def test_what_only_training_finds_fails_the_job(api: Api, made: Made) -> None:
    """With the library's code."""
    job = api.ended(api.post("/v1/models", json={"dataset": made.dataset, "target": TARGET, "thresholds": {"x": 0.5}}))
    assert (job["state"], job["error"]["code"], job["result"]) == ("failed", "unknown-class", None)


def model_text(api: Api, made: Made, folder: Path) -> str:
    """The ready model's LightGBM file."""
    wanted = api.get(f"/v1/models/{made.model}").json()["hash"]
    found = [path.parent for path in (folder / "files").rglob("model.txt")]
    return next(model.text for model in map(load, found) if model.file.hash == wanted)


def test_a_model_file_is_adopted(api: Api, made: Made, folder: Path) -> None:
    """With a schema that gives its categories their codes."""
    schema = api.get(f"/v1/models/{made.model}").json()["schema"]
    for feature in schema["features"]:
        if feature["kind"] == "categorical":
            feature["codes"] = [1, 2, 3]
    form = {"dataset": made.dataset, "target": TARGET, "schema": json.dumps(schema), "seed": "1", "name": "theirs"}
    response = api.post("/v1/models", files={"file": ("m.txt", model_text(api, made, folder))}, data=form)
    job = api.ended(response)
    assert job["state"] == "succeeded", job
    model = api.get(f"/v1/models/{job['result']['model']}").json()
    assert (model["adopted"], model["name"], model["seed"]) == (True, "theirs", 1)
    assert any("trained elsewhere" in note for note in model["notes"])


def test_a_malformed_model_file_is_refused_at_once(api: Api, made: Made, folder: Path) -> None:
    """Truncated, empty or no model at all: 422, and the service lives."""
    text = model_text(api, made, folder)
    for content in (
        b"",
        b"\x80\x04pickle",
        text[: len(text) // 2].encode(),
        text.replace("leaf_value", "x", 1).encode(),
    ):
        form = {"dataset": made.dataset, "target": TARGET}
        response = api.post("/v1/models", files={"file": ("m.txt", content)}, data=form)
        refused(response, 422, "model-file-refused")
    assert api.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("form", "files", "where"),
    [
        ({"dataset": "d", "target": "t"}, {"other": ("a", b"x")}, "body.file"),
        ({"dataset": "d"}, {"file": ("a", b"x")}, "body.target"),
        ({"dataset": "d", "target": "t", "schema": "{"}, {"file": ("a", b"x")}, "body.schema"),
        ({"dataset": "d", "target": "t", "classes": "{}"}, {"file": ("a", b"x")}, "body.classes"),
        ({"dataset": "d", "target": "t", "extra": "1"}, {"file": ("a", b"x")}, "body.extra"),
    ],
)
def test_a_wrong_form_for_a_model_is_422(api: Api, form: dict[str, str], files: dict[str, Any], where: str) -> None:
    """Saying which field."""
    assert where in refused(api.post("/v1/models", files=files, data=form), 422, "request-invalid")["detail"]


# --- rule sets -------------------------------------------------------------------------------


def test_rules_are_extracted(api: Api, made: Made, untouched: dict[str, Any]) -> None:
    """With ids, texts, a default, and a revision that is the ETag."""
    response = api.get(f"/v1/rulesets/{untouched['id']}")
    assert response.headers["ETag"] == f'"{untouched["revision"]}"'
    assert untouched["model"] == made.model
    assert untouched["default"] in ("yes", "no")
    assert [rule["id"] for rule in untouched["rules"]] == [f"R{n + 1}" for n in range(len(untouched["rules"]))]
    assert all(rule["text"].startswith("IF ") and not rule["asserted"] for rule in untouched["rules"])
    assert untouched["settlements"] == untouched["open_conflicts"] == []


def test_two_releases_are_compared(api: Api, made: Made, ruleset: dict[str, Any]) -> None:
    """Rules about where they differ, on the first one's own data set unless another is named."""
    api.edit(ruleset["id"], "new IF age < 30 THEN no")
    other = api.released(ruleset["id"], "compared")
    path = f"/v1/releases/{made.release}/compare"
    found = api.get(path, params={"with": other}).json()
    assert found == api.get(path, params={"with": other, "dataset": made.dataset}).json()
    assert sum(found["flips"].values()) == found["flipped"]
    assert set(found["difference"]) >= {"rules", "precision", "recall", "held_out"}
    same = api.get(path, params={"with": made.release}).json()
    assert (same["flipped"], same["difference"]["rules"]) == (0, [])
    refused(api.get(path, params={"with": "none"}), 422, "unknown-release")
    refused(api.get(path), 422, "request-invalid")
    refused(api.get(path, params={"with": made.release, "dataset": "none"}), 422, "unknown-dataset")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"model": "none"}, 422, "unknown-model"),
        ({"dataset": "none"}, 422, "unknown-dataset"),
        ({"method": "guess"}, 422, "refused"),
        ({"max_clauses": 0}, 422, "request-invalid"),
        ({"max_clauses": True}, 422, "request-invalid"),
    ],
)
def test_a_wrong_request_for_rules_is_refused(
    api: Api, made: Made, change: dict[str, Any], status: int, code: str
) -> None:
    """At once."""
    refused(api.post("/v1/rulesets", json={"model": made.model, **change}), status, code)


def test_an_edit_needs_if_match(api: Api, untouched: dict[str, Any]) -> None:
    """428 without, 412 when stale or weak, and nothing is changed."""
    path, body = f"/v1/rulesets/{untouched['id']}/edits", {"edits": [EDIT], "reason": "x"}
    refused(api.post(path, json=body), 428, "if-match-missing")
    for tag in ('"0000"', f'W/"{untouched["revision"]}"', '""'):
        refused(api.post(path, json=body, headers={"If-Match": tag}), 412, "revision-stale")
    assert api.get(f"/v1/rulesets/{untouched['id']}").json() == untouched


def test_an_edit_makes_a_new_revision(api: Api, ruleset: dict[str, Any]) -> None:
    """200 as GET with the new ETag; the old revision can still be read."""
    response = api.edit(ruleset["id"], EDIT, tag=f'"{ruleset["revision"]}"')
    body = response.json()
    assert response.status_code == 200
    assert response.headers["ETag"] == f'"{body["revision"]}"' != f'"{ruleset["revision"]}"'
    assert body["rules"][0]["text"] == "IF age < 30 AND job is missing THEN yes"
    assert body["rules"][0]["asserted"]
    assert api.get(f"/v1/rulesets/{ruleset['id']}").json() == body
    old = api.get(f"/v1/rulesets/{ruleset['id']}", params={"revision": ruleset["revision"]})
    assert old.json() == ruleset
    assert old.headers["ETag"] == f'"{ruleset["revision"]}"'


def test_the_old_etag_is_stale_after_an_edit(api: Api, ruleset: dict[str, Any]) -> None:
    """412 for the second writer."""
    tag = f'"{ruleset["revision"]}"'
    assert api.edit(ruleset["id"], EDIT, tag=tag).status_code == 200
    refused(api.edit(ruleset["id"], EDIT, tag=tag), 412, "revision-stale")


def test_undo_brings_the_content_back_and_not_the_revision(api: Api, ruleset: dict[str, Any]) -> None:
    """An edit and its undo never give an old ETag again."""
    api.edit(ruleset["id"], EDIT)
    body = api.edit(ruleset["id"], "undo").json()
    assert body["content"] == ruleset["content"]
    assert body["revision"] != ruleset["revision"]
    assert body["rules"] == ruleset["rules"]


def test_edits_are_all_made_or_none(api: Api, untouched: dict[str, Any]) -> None:
    """A refused second edit takes the first one back."""
    problem = refused(api.edit(untouched["id"], EDIT, "remove R99"), 422, "unknown-rule")
    assert "R99" in problem["detail"]
    assert api.get(f"/v1/rulesets/{untouched['id']}").json()["revision"] == untouched["revision"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("frobnicate R1", "rule-text"),
        ("new IF ages > 33 THEN yes", "unknown-feature"),
        ("new IF job = z THEN yes", "unknown-category"),
        ("new IF age > 33 THEN maybe", "unknown-class"),
        ("new IF age ~ 33 THEN yes", "unknown-operator"),
        ("new IF age > 30 AND age < 31 THEN yes", "empty-region"),
        ("new IF age > 900 THEN yes", "value-out-of-range"),
        ("new IF age > 30.5 THEN yes", "clause-refused"),
        ("undo", "edit-refused"),
        ("default model", "outcome-refused"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused(api: Api, untouched: dict[str, Any], text: str, code: str) -> None:
    """Each with the library's code."""
    refused(api.edit(untouched["id"], text), 422, code)


@pytest.mark.parametrize(
    "body",
    [
        {"edits": [], "reason": "x"},
        {"edits": [EDIT]},
        {"edits": EDIT, "reason": "x"},
        {"edits": [EDIT], "reason": "x", "assert": "some"},
        {"edits": ["x" * 11_001], "reason": "x"},
        {"edits": [EDIT], "reason": "\ud800"},
        {"edits": [1], "reason": "x"},
        [],
        None,
    ],
)
def test_a_wrong_body_of_an_edit_is_422(api: Api, made: Made, body: Any) -> None:
    """Saying where."""
    headers = {"If-Match": "*", "Content-Type": "application/json"}
    response = api.post(f"/v1/rulesets/{made.ruleset}/edits", content=json.dumps(body), headers=headers)
    problem = refused(response, 422, "request-invalid")
    assert problem["errors"][0]["where"].startswith("body")


def test_of_many_clients_one_edits(api: Api, ruleset: dict[str, Any]) -> None:
    """100 clients from one revision: 1 success, 99 times 412, and exactly one step more."""
    tag, gate = f'"{ruleset["revision"]}"', threading.Barrier(20)

    def write(number: int) -> int:
        if number < 20:
            gate.wait(30)
        return api.edit(ruleset["id"], f"new IF age < {20 + number % 40} AND job = a THEN yes", tag=tag).status_code

    with ThreadPoolExecutor(20) as pool:
        found = Counter(pool.map(write, range(100)))
    assert found == {200: 1, 412: 99}
    assert len(api.get(f"/v1/rulesets/{ruleset['id']}/history").json()["history"]) == 1


def test_the_history_says_who_what_when_and_why(api: Api, ruleset: dict[str, Any]) -> None:
    """Every step with its change, oldest first."""
    api.edit(ruleset["id"], EDIT, author="kim")
    api.edit(ruleset["id"], "undo")
    body = api.get(f"/v1/rulesets/{ruleset['id']}/history").json()
    assert [step["edit"] for step in body["history"]] == [EDIT, "undo"]
    assert (body["history"][0]["author"], body["history"][0]["reason"]) == ("kim", "test")
    assert body["history"][1]["undoes"] == 0
    assert all(step["at"].endswith("Z") for step in body["history"])
    assert body["first"] == ruleset["revision"]


def test_a_diff_names_added_removed_and_changed_rules(api: Api, ruleset: dict[str, Any]) -> None:
    """Between the first revision and the present one, or any two; backwards it is the reverse."""
    first = ruleset["rules"][0]["id"]
    other = "no" if ruleset["rules"][0]["outcome"] == "yes" else "yes"
    default = "no" if ruleset["default"] == "yes" else "yes"
    after = api.edit(ruleset["id"], EDIT, f"then {first} {other}", f"default {default}").json()
    path = f"/v1/rulesets/{ruleset['id']}/diff"
    body = api.get(path).json()
    assert [rule["text"] for rule in body["added"]] == ["IF age < 30 AND job is missing THEN yes"]
    assert [change["id"] for change in body["changed"]] == [first]
    assert body["changed"][0]["after"]["outcome"] == other
    assert (body["removed"], body["same"]) == ([], False)
    assert body["default"] == {"before": ruleset["default"], "after": default}
    back = api.get(path, params={"from": after["revision"], "to": ruleset["revision"]}).json()
    assert back["removed"] == body["added"]
    refused(api.get(path, params={"from": "none"}), 422, "unknown-revision")


def test_every_edit_of_a_batch_has_its_revision(api: Api, ruleset: dict[str, Any]) -> None:
    """So that a release or a diff can name the one between."""
    api.edit(ruleset["id"], EDIT, "new IF age > 60 THEN no")
    steps = api.get(f"/v1/rulesets/{ruleset['id']}/history").json()["history"]
    between = api.get(f"/v1/rulesets/{ruleset['id']}", params={"revision": steps[0]["revision"]}).json()
    assert len(between["rules"]) == len(ruleset["rules"]) + 1


def test_the_impact_says_what_would_change(api: Api, made: Made, ruleset: dict[str, Any]) -> None:
    """Nothing without an edit; with one, counts that add up."""
    path = f"/v1/rulesets/{ruleset['id']}/impact"
    assert api.get(path).json()["changed"] == 0
    api.edit(ruleset["id"], EDIT)
    body = api.get(path, params={"dataset": made.dataset}).json()
    assert body["rows"] == 400
    assert 0 < body["changed"] == body["changed_by_edit"] + body["changed_by_assertion"] <= body["covered"]
    assert sum(body["flips"].values()) == body["changed"]
    assert sum(rule["changed"] for rule in body["by_rule"]) == body["changed"]
    refused(api.get(path, params={"dataset": "none"}), 422, "unknown-dataset")
    refused(api.get(path, params={"revision": "none"}), 422, "unknown-revision")


def test_a_table_of_other_columns_has_no_impact(api: Api, untouched: dict[str, Any]) -> None:
    """422, naming the column that it lacks."""
    other = api.upload(b"age,x\n1,2\n").json()["id"]
    problem = refused(
        api.get(f"/v1/rulesets/{untouched['id']}/impact", params={"dataset": other}), 422, "columns-missing"
    )
    assert "'income'" in problem["detail"]


def test_conflicts_are_listed_and_settled(api: Api, made: Made, ruleset: dict[str, Any]) -> None:
    """With a witness and the rows in question; a settlement is an edit of its own."""
    body = api.edit(ruleset["id"], *CONFLICTING).json()
    pair = [rule["id"] for rule in body["rules"] if rule["asserted"]]
    assert body["open_conflicts"] == [pair]
    path = f"/v1/rulesets/{ruleset['id']}/conflicts"
    conflict = api.get(path).json()["conflicts"][0]
    assert (conflict["rules"], conflict["resolved"], conflict["rows"]) == (pair, False, None)
    assert 30 < conflict["witness"]["age"] < 40
    assert api.get(path, params={"dataset": made.dataset}).json()["conflicts"][0]["rows"] == 72
    settled = api.post(
        f"/v1/rulesets/{ruleset['id']}/resolutions",
        json={"rules": pair, "strategy": "mixture", "weights": [2, 1], "reason": "agreed"},
        headers={"If-Match": f'"{body["revision"]}"'},
    )
    assert settled.status_code == 200
    assert settled.headers["ETag"] == f'"{settled.json()["revision"]}"'
    assert settled.json()["open_conflicts"] == []
    assert settled.json()["settlements"][0]["strategy"] == "mixture"
    assert api.get(path).json()["conflicts"][0]["resolved"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"strategy": "priorities"}, 422, "settlement-refused"),
        ({"strategy": "outcome"}, 422, "settlement-refused"),
        ({"strategy": "model", "outcome": "yes"}, 422, "settlement-refused"),
        ({"strategy": "outcome", "outcome": "maybe"}, 422, "unknown-class"),
        ({"strategy": "priority", "rules": ["R98", "R99"]}, 422, "unknown-rule"),
        ({"strategy": "priority", "rules": ["R1"]}, 422, "request-invalid"),
        ({"strategy": "mixture", "weights": [1, 2, 3]}, 422, "request-invalid"),
    ],
)
def test_a_wrong_settlement_is_refused(
    api: Api, conflicting: dict[str, Any], body: dict[str, Any], status: int, code: str
) -> None:
    """With the library's code."""
    path = f"/v1/rulesets/{conflicting['id']}/resolutions"
    refused(api.post(path, json=body, headers={"If-Match": "*"}), status, code)


def test_a_settlement_needs_if_match(api: Api, untouched: dict[str, Any]) -> None:
    """428 without, 412 when stale."""
    path, body = f"/v1/rulesets/{untouched['id']}/resolutions", {"strategy": "priority"}
    refused(api.post(path, json=body), 428, "if-match-missing")
    refused(api.post(path, json=body, headers={"If-Match": '"0"'}), 412, "revision-stale")


def test_nothing_to_settle_is_fine(api: Api, untouched: dict[str, Any]) -> None:
    """200, and the revision stays."""
    path = f"/v1/rulesets/{untouched['id']}/resolutions"
    response = api.post(path, json={"strategy": "priority"}, headers={"If-Match": "*"})
    assert (response.status_code, response.json()) == (200, untouched)


def test_the_export_is_the_command_line_s_rule_file(api: Api, made: Made, tmp_path: Path) -> None:
    """It reads back with the same revision, history and hashes."""
    response = api.get(f"/v1/rulesets/{made.ruleset}/export", params={"format": "json"})
    assert response.headers["content-disposition"] == 'attachment; filename="rules.json"'
    (tmp_path / "rules.json").write_bytes(response.content)
    draft = canonical.read(tmp_path / "rules.json")
    assert draft.revision == api.get(f"/v1/rulesets/{made.ruleset}").json()["revision"]
    assert len(draft.history) == 1


@pytest.mark.parametrize("form", [form for form in EXPORTS if form not in ("json", "trxf")])
def test_an_export_is_what_the_format_makes(api: Api, made: Made, form: str) -> None:
    """Byte for byte, with the format's media type."""
    path = f"/v1/rulesets/{made.ruleset}/export"
    draft = canonical.loads(api.get(path, params={"format": "json"}).text)
    response, wanted = api.get(path, params={"format": form}), EXPORTS[form](draft)
    assert response.headers["content-type"].split(";")[0] == MEDIA_TYPES[form]
    if form != "dmn-xlsx":
        assert response.content == (wanted if isinstance(wanted, bytes) else wanted.encode())


def test_an_export_takes_a_dialect_of_sql(api: Api, made: Made) -> None:
    """As the command line does; other formats have none."""
    path = f"/v1/rulesets/{made.ruleset}/export"
    draft = canonical.loads(api.get(path, params={"format": "json"}).text)
    response = api.get(path, params={"format": "sql", "dialect": "tsql"})
    assert response.text == sql.dumps(draft, dialect="tsql")
    refused(api.get(path, params={"format": "csv", "dialect": "tsql"}), 422, "refused")


def test_a_format_that_nobody_knows_is_refused(api: Api, made: Made) -> None:
    """With the nearest one."""
    path = f"/v1/rulesets/{made.ruleset}/export"
    assert "did you mean 'pmml'" in refused(api.get(path, params={"format": "pmm"}), 422, "refused")["detail"]


def test_rules_by_people_are_imported(api: Api, made: Made) -> None:
    """As a rule set about a model, with the revision as ETag; a bad cell is named."""
    schema = api.get(f"/v1/models/{made.model}").json()["schema"]
    name, outcome = next(f["name"] for f in schema["features"] if f["kind"] == "integer"), schema["classes"][0]
    form = {"model": made.model, "format": "csv", "default": outcome}
    files = {"file": ("rules.csv", f"{name},outcome\n> 30,{outcome}\n".encode(), "text/csv")}
    response = api.post("/v1/rulesets/import", data=form, files=files)
    assert response.status_code == 201, response.text
    body = response.json()
    assert response.headers["etag"] == f'"{body["revision"]}"'
    assert [rule["text"] for rule in body["rules"]] == [f"IF {name} > 30 THEN {outcome}"]
    assert api.get(f"/v1/rulesets/{body['id']}").json()["rules"] == body["rules"]
    files = {"file": ("rules.csv", f"{name},outcome\n> x,{outcome}\n".encode(), "text/csv")}
    problem = refused(api.post("/v1/rulesets/import", data=form, files=files), 422, "file-refused")
    assert f"row 2, column '{name}'" in problem["detail"]
    refused(api.post("/v1/rulesets/import", data={**form, "format": "pmm"}, files=files), 422, "refused")
    refused(api.post("/v1/rulesets/import", data={**form, "model": "none"}, files=files), 422, "unknown-model")


# --- releases and decisions ------------------------------------------------------------------


def test_a_release_is_handed_out_as_a_bundle(api: Api, made: Made) -> None:
    """With the service's chain, signed; the same again gives the same bytes, and was recorded once."""
    path = f"/v1/releases/{made.release}/bundle"
    response = api.get(path, params={"rows": 20})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/zip")
    head = response.headers["etag"].strip('"')
    verdict = check(response.content, head, api.get("/v1/audit/verify").json()["key"])
    assert (verdict.wrong, verdict.said, verdict.rows) == ([], "verified", 20)
    assert api.get(path, params={"rows": 20}).content == response.content
    told = [event for event in api.get("/v1/audit").json()["items"] if event["action"] == "make bundle"]
    assert [(event["subject"], event["hash"]) for event in told] == [(made.release, head)]
    assert api.get("/v1/audit/verify").json()["ok"]
    refused(api.get("/v1/releases/none/bundle"), 404, "unknown-release")
    refused(api.get(path, params={"group": "nothing"}), 422, "unknown-feature")


def test_a_release_has_its_report(api: Api, made: Made) -> None:
    """What it was made of, its state, and the figures on held-out rows."""
    body = api.get(f"/v1/releases/{made.release}").json()
    assert (body["name"], body["mode"], body["state"]) == ("small", "overlay-hard", "active")
    assert (body["ruleset"], body["model"], body["dataset"]) == (made.ruleset, made.model, made.dataset)
    assert body["report"]["feedback"][0]["mra_after"] == 1.0
    assert body["report"]["outside"]["flips"] == 0.0


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"ruleset": "none"}, 422, "unknown-ruleset"),
        ({"revision": "none"}, 422, "unknown-revision"),
        ({"dataset": "none"}, 422, "unknown-dataset"),
        ({"mode": "overlay"}, 422, "refused"),
        ({"strategy": "greedy"}, 422, "refused"),
        ({"prove": True}, 422, "refused"),
        ({"groups": ["age"]}, 422, "refused"),
        ({"groups": ["nothing"]}, 422, "unknown-feature"),
        ({"name": "../x"}, 422, "request-invalid"),
        ({"name": "a b"}, 422, "request-invalid"),
        ({"name": "x\n"}, 422, "request-invalid"),
    ],
)
def test_a_wrong_request_for_a_release_is_refused(
    api: Api, made: Made, change: dict[str, Any], status: int, code: str
) -> None:
    """At once."""
    body = {"ruleset": made.ruleset, "mode": "overlay-hard", "name": "x", **change}
    refused(api.post("/v1/releases", json=body), status, code)


def test_nothing_unresolved_is_put_in_force(api: Api, ruleset: dict[str, Any]) -> None:
    """409, naming the pair; the revision before the conflict can still be released."""
    after = api.edit(ruleset["id"], *CONFLICTING).json()
    pair = after["open_conflicts"][0]
    problem = refused(
        api.post("/v1/releases", json={"ruleset": ruleset["id"], "mode": "overlay-hard", "name": "x"}),
        409,
        "conflicts-open",
    )
    assert all(rule in problem["detail"] for rule in pair)
    release = api.released(ruleset["id"], "x", revision=ruleset["revision"])
    assert api.get(f"/v1/releases/{release}").json()["revision"] == ruleset["revision"]


def test_a_soft_overlay_shows_what_it_moved(api: Api, ruleset: dict[str, Any]) -> None:
    """The values that the model was asked about instead."""
    api.edit(ruleset["id"], "new IF age < 30 THEN yes")
    api.activate(api.released(ruleset["id"], "soft", "overlay-soft"))
    found = [api.decide("soft", ROW | {"age": age}).json()["decisions"][0] for age in (22, 26)]
    assert any(decision["by"] == "moved" and decision["moved"] for decision in found)


def test_a_retrained_release_answers_by_its_model(api: Api, ruleset: dict[str, Any]) -> None:
    """`by` says so, and the model's own outcome is that before the edits."""
    api.edit(ruleset["id"], EDIT)
    release = api.released(ruleset["id"], "retrained", "retrain", strategy="greedy")
    report = api.get(f"/v1/releases/{release}").json()["report"]
    assert report["trainings"] >= 1
    api.activate(release)
    assert api.decide("retrained", WITHOUT_JOB).json()["decisions"][0]["by"] == "retrained"


@pytest.mark.parametrize("mode", ["graft", "retrain"])
def test_trees_that_answer_are_proved_on_request(api: Api, ruleset: dict[str, Any], mode: str) -> None:
    """The report has the proof, and the groups that were asked for; without asking it has no proof."""
    api.edit(ruleset["id"], "new IF age < 22 AND job is missing THEN yes")
    release = api.released(ruleset["id"], "proved", mode, prove=True, groups=["member"])
    report = api.get(f"/v1/releases/{release}").json()["report"]
    assert "proof" in report
    assert {group["feature"] for group in report["outside"]["groups"]} == {"member"}
    plain = api.released(ruleset["id"], "unproved", mode)
    assert "proof" not in api.get(f"/v1/releases/{plain}").json()["report"]


def test_activate_and_roll_back(api: Api, ruleset: dict[str, Any]) -> None:
    """The next request is decided by the other release; rolling back twice is refused."""
    plain = api.released(ruleset["id"], "turns")
    api.edit(ruleset["id"], EDIT)
    edited = api.released(ruleset["id"], "turns")
    refused(api.decide("turns", ROW), 404, "no-active-release")
    for release in (plain, edited):
        assert api.activate(release).json()["state"] == "active"
        assert api.decide("turns", ROW).json()["release"] == release
    assert api.get(f"/v1/releases/{plain}").json()["state"] == "retired"
    refused(api.post(f"/v1/releases/{plain}/rollback", json={"reason": "x"}), 409, "state-refused")
    back = api.post(f"/v1/releases/{edited}/rollback", json={"reason": "complaints"})
    assert (back.status_code, back.json()["id"], back.json()["state"]) == (200, plain, "active")
    assert api.decide("turns", WITHOUT_JOB).json()["release"] == plain
    refused(api.post(f"/v1/releases/{plain}/rollback", json={"reason": "x"}), 409, "state-refused")


@pytest.mark.parametrize("action", ["activate", "rollback", "propose", "approve", "reject"])
def test_a_switch_needs_a_reason(api: Api, made: Made, action: str) -> None:
    """422 without one."""
    for body in ({}, {"reason": ""}):
        refused(api.post(f"/v1/releases/{made.release}/{action}", json=body), 422, "request-invalid")


def test_decisions_go_on_while_releases_are_switched(api: Api, ruleset: dict[str, Any]) -> None:
    """Every answer is whole and by one of the two."""
    releases = [api.released(ruleset["id"], "busy") for _ in range(2)]
    api.activate(releases[0])
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(api.decide, "busy", ROW) for _ in range(60)]
        for number in range(6):
            api.activate(releases[number % 2])
        found = [response.result() for response in asked]
    assert all(response.status_code == 200 and response.json()["release"] in releases for response in found)


def test_an_extraction_says_how_far_it_agrees(api: Api, made: Made) -> None:
    """Fidelity with its interval, by class and by rule, and where the rules are wrong; probabilities on request."""
    body = {"model": made.model, "max_clauses": 4, "method": "tree", "probabilities": True}
    found = api.result("/v1/rulesets", body)
    low, high = found["fidelity"]["interval"]
    assert low < found["fidelity"]["agreement"] < high
    assert found["unexplained"]["share"] == pytest.approx(1.0 - found["fidelity"]["agreement"])
    rules = api.get(f"/v1/rulesets/{found['ruleset']}").json()["rules"]
    assert [rule["id"] for rule in rules] == [one["rule"] for one in found["fidelity"]["rules"]]
    assert any(", " in rule["outcome"] for rule in rules)


def test_asserted_rules_are_carried_over(api: Api, made: Made) -> None:
    """Of another rule set, verbatim, with how each stands; the draft is edited and undone like any other."""
    old = api.extracted(made, method="tree")["id"]
    rule = "IF income > 2000 THEN no"
    before = api.edit(old, f"new {rule}")
    assert before.status_code == 200, before.text
    found = api.extracted(made, method="tree", ground=old)
    carried = [one for one in found["rules"] if one["asserted"]]
    assert [one["text"] for one in carried] == [rule]
    assert [one["rule"] for one in found["origin"]["ground"]["rules"]] == [carried[0]["id"]]
    confirmed = api.edit(found["id"], f"confirm {carried[0]['id']}").json()
    undone = api.edit(found["id"], "undo", "undo").json()
    assert confirmed["rules"][0]["asserted"]
    assert not any(one["asserted"] for one in undone["rules"])
    refused(api.post("/v1/rulesets", json={"model": made.model, "ground": "none-such"}), 422, "unknown-ruleset")


# --- jobs ------------------------------------------------------------------------------------


def test_a_job_is_followed_by_events(api: Api, made: Made) -> None:
    """Each change as an event, the last one as it ended."""
    response = api.post("/v1/rulesets", json={"model": made.model, "max_clauses": 4})
    told = []
    with api.stream("GET", f"{response.headers['Location']}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                told.append(json.loads(line.removeprefix("data: ")))
    assert told[-1]["state"] == "succeeded"
    assert told[-1] == api.get(response.headers["Location"]).json()
    assert len({json.dumps(job) for job in told}) == len(told)


def test_an_ended_job_can_t_be_cancelled(api: Api, made: Made) -> None:
    """409."""
    jobs = api.get("/v1/jobs", params={"limit": 200}).json()["items"]
    job = next(job for job in jobs if job["state"] == "succeeded")
    refused(api.post(f"/v1/jobs/{job['id']}/cancel"), 409, "state-refused")


def test_a_job_is_cancelled(api: Api, made: Made) -> None:
    """One of several queued ones ends as cancelled and has no result."""
    asked = [api.post("/v1/models", json={"dataset": made.dataset, "target": TARGET, "seed": n}) for n in range(4)]
    cancelled = api.post(f"{asked[-1].headers['Location']}/cancel")
    assert cancelled.status_code == 200
    jobs = [api.ended(response) for response in asked]
    assert (jobs[-1]["state"], jobs[-1]["result"], jobs[-1]["error"]["code"]) == ("cancelled", None, "cancelled")
    assert {job["state"] for job in jobs[:-1]} == {"succeeded"}
