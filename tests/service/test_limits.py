"""What the service refuses before anything is asked of it: sizes, media types, paths; and how it says so."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ruleedit.tables import MOST_COLUMNS
from ruleedit.text import LONGEST_TEXT, MOST_CLAUSES
from service import demo
from service.api.access import TABLE
from service.app import _start, create_app
from service.errors import ServiceError
from service.gate.problems import STATUS, status_of
from service.jobs import Watch
from service.settings import Settings
from service.workspace import Workspace
from tests.serving import EDIT, ROW, Api, local, make, serving, serving_app, small_table

SMALL_UPLOAD, SMALL_JSON = 200_000, 20_000
PROBLEM_KEYS = {"type", "title", "status", "detail", "code", "instance"}
TRAVERSALS = [
    "../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "....//....//etc/passwd",
    "..\\..\\etc\\passwd",
    "/etc/passwd",
    "%00",
    "ruleedit.db",
    "files",
    "a" * 5_000,
    "%ed%a0%80",
    "'; DROP TABLE rulesets; --",
    "${jndi:x}",
    "\N{ROCKET}",
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service with small limits and one of everything."""
    folder = tmp_path_factory.mktemp("limits")
    with serving(folder, most_upload=SMALL_UPLOAD, most_json=SMALL_JSON) as found:
        make(found)
        yield found


def ruleset_of(api: Api) -> str:
    """The id of the one rule set."""
    found: str = api.get("/v1/rulesets").json()["items"][0]["id"]
    return found


# --- sizes -----------------------------------------------------------------------------------


def test_the_limits_are_the_promised_ones() -> None:
    """Those that nobody sets otherwise, and those that nobody can."""
    chosen = Settings(Path("unused"))
    assert (LONGEST_TEXT, MOST_CLAUSES, MOST_COLUMNS) == (10 * 1024, 256, 1_000)
    assert (chosen.most_upload, chosen.most_json, chosen.most_depth) == (64 * 2**20, 2**20, 32)


def test_a_table_up_to_the_limit_is_taken(api: Api) -> None:
    """To the byte; one more is 413."""
    content = b"x,y\n" + b"1,a\n" * ((SMALL_UPLOAD - 4) // 4)
    assert len(content) == SMALL_UPLOAD
    assert api.upload(content).status_code == 201
    response = api.upload(content + b"\n")
    assert (response.status_code, response.json()["code"]) == (413, "too-large")


def test_a_body_that_says_it_is_too_large_is_refused_unread(api: Api) -> None:
    """By its Content-Length alone."""
    response = api.upload(b"x" * (SMALL_UPLOAD + 100_000))
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert str(SMALL_UPLOAD + 64 * 1024) in response.json()["detail"]


@pytest.mark.parametrize(
    ("path", "media"),
    [
        ("/v1/datasets", "multipart/form-data; boundary=xx"),
        ("/v1/models", "multipart/form-data; boundary=xx"),
        ("/v1/models", "application/json"),
        ("/v1/decisions/small", "application/json"),
    ],
)
def test_a_body_of_unsaid_length_is_cut_where_it_passes_the_limit(api: Api, path: str, media: str) -> None:
    """Chunked: it is refused while it arrives, never held whole."""
    start = (
        b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' if "form" in media else b"["
    )
    host, port = api.base_url.host, api.base_url.port
    assert port is not None
    sent = 0
    with socket.create_connection((host, port), timeout=20) as raw:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw.sendall(head.encode() + f"{len(start):x}\r\n".encode() + start + b"\r\n")
        raw.settimeout(0.05)
        answer = b""
        for _ in range(600):
            try:
                raw.sendall(b"2000\r\n" + b"1" * 0x2000 + b"\r\n")
                sent += 0x2000
                answer = raw.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
            if answer:
                break
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert sent < 2_000_000


def test_json_past_its_limit_is_413(api: Api) -> None:
    """On every route that takes JSON, forms of other routes included."""
    content = json.dumps({"edits": [EDIT], "reason": "x" * SMALL_JSON}).encode()
    headers = {"Content-Type": "application/json", "If-Match": "*"}
    for path in (
        "/v1/models",
        "/v1/rulesets",
        "/v1/releases",
        f"/v1/rulesets/{ruleset_of(api)}/edits",
        "/v1/decisions/small",
    ):
        response = api.post(path, content=content, headers=headers)
        assert (response.status_code, response.json()["code"]) == (413, "too-large")
    form = api.post("/v1/rulesets", content=content, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert form.status_code == 413


def test_deep_json_is_refused(api: Api) -> None:
    """A parser that runs out of stack is a 4xx, not a crash."""
    content = '{"rows": ' + "[" * 9_000 + "]" * 9_000 + "}"
    response = api.post("/v1/decisions/small", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


def test_a_number_of_many_digits_is_refused(api: Api) -> None:
    """Python refuses to read it."""
    content = '{"rows": [{"age": ' + "9" * 5_000 + "}]}"
    response = api.post("/v1/decisions/small", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


def test_a_wide_table_is_refused(api: Api) -> None:
    """1,000 columns are read, 1,001 are not."""
    for columns, status in ((1_000, 201), (1_001, 422)):
        content = ",".join(f"c{n}" for n in range(columns)) + "\n" + ",".join("1" * columns) + "\n"
        assert api.upload(content.encode()).status_code == status


def test_a_long_rule_is_refused(api: Api) -> None:
    """The language's own limit answers 422."""
    text = "new IF age > 30 " + "AND income > 2000 " * 300 + "THEN yes"
    response = api.edit(ruleset_of(api), text)
    assert (response.status_code, response.json()["code"]) == (422, "rule-too-long")


# --- media types, methods, paths -------------------------------------------------------------


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
def test_a_body_of_another_media_type_is_415(api: Api, media: str) -> None:
    """On every route that takes JSON."""
    ruleset = ruleset_of(api)
    for path in ("/v1/models", "/v1/rulesets", "/v1/releases", f"/v1/rulesets/{ruleset}/edits", "/v1/decisions/small"):
        response = api.post(path, content=b"{}", headers={"Content-Type": media, "If-Match": "*"})
        assert (response.status_code, response.json()["code"]) == (415, "media-type-refused"), path


def test_json_that_is_none_is_422(api: Api) -> None:
    """Broken, empty, or not UTF-8."""
    for content in (b"{", b"", b"\xff\xfe{}", b"nul"):
        for path in ("/v1/models", "/v1/releases", "/v1/decisions/small"):
            response = api.post(path, content=content, headers={"Content-Type": "application/json"})
            assert response.status_code in (400, 422), (path, content)
            assert response.json()["code"] == "request-invalid"


def test_an_unknown_path_is_404(api: Api) -> None:
    """A problem like any other, HEAD and all."""
    response = api.get("/v1/nothing")
    assert (response.status_code, response.json()["code"]) == (404, "not-found")
    assert set(response.json()) == PROBLEM_KEYS


def test_a_method_that_is_not_there_is_405(api: Api) -> None:
    """And says which are."""
    response = api.delete("/v1/datasets")
    assert (response.status_code, response.json()["code"]) == (405, "method-not-allowed")
    assert response.headers["allow"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/datasets", "/v1/nothing", "/openapi.json"])
def test_head_is_get_without_the_body(api: Api, path: str) -> None:
    """As load balancers ask; the status and the kind of content are those of GET."""
    whole, head = api.get(path), api.request("HEAD", path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]


def test_head_of_a_stream_is_405(api: Api) -> None:
    """It would wait until the job ends and say nothing."""
    assert api.request("HEAD", "/v1/jobs/job-1/events").status_code in (404, 405)


@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_path_in_the_place_of_an_id_opens_nothing(api: Api, name: str) -> None:
    """404 or 422, and nothing of a file in the answer."""
    for kind in ("datasets", "models", "rulesets", "releases", "jobs"):
        for path in (f"/v1/{kind}/{name}", f"/v1/{kind}/{name}/history", f"/v1/{kind}/{name}/events"):
            response = api.get(path)
            assert response.status_code in (404, 405, 422), path
            assert response.headers["content-type"] == "application/problem+json"
            assert "root:" not in response.text
    assert api.decide(name, ROW).status_code in (404, 405, 422)


@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_path_in_the_place_of_an_id_in_a_body_opens_nothing(api: Api, name: str) -> None:
    """422 for each id that a body or a query can name."""
    ruleset = ruleset_of(api)
    asked = [
        api.post("/v1/models", json={"dataset": name, "target": "ok"}),
        api.post("/v1/rulesets", json={"model": name}),
        api.post("/v1/releases", json={"ruleset": name, "mode": "overlay-hard", "name": "x"}),
        api.get(f"/v1/rulesets/{ruleset}/impact", params={"dataset": name}),
        api.get(f"/v1/rulesets/{ruleset}", params={"revision": name}),
    ]
    assert {response.status_code for response in asked} == {422}


@pytest.mark.parametrize(
    "name", ["../../evil.csv", "/etc/passwd.csv", "a\\..\\b.csv", "x" * 500 + ".csv", "\N{ROCKET}.csv"]
)
def test_an_upload_s_name_is_only_a_name(api: Api, name: str) -> None:
    """No folder of it is used, and the record keeps the last part."""
    response = api.upload(b"x,y\n1,a\n", name=name)
    assert response.status_code == 201
    assert "/" not in response.json()["name"]
    assert len(response.json()["name"]) <= 200


# --- problems --------------------------------------------------------------------------------


def test_every_error_of_the_service_has_a_code_of_its_own() -> None:
    """Kebab-case, and none twice."""

    def tree(kind: type[ServiceError]) -> list[type[ServiceError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in tree(child))]

    codes = [kind.code for kind in tree(ServiceError)]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


def test_the_tree_is_drawn_as_it_is() -> None:
    """Every class and code of `service.errors` stands in its docstring."""
    from service import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ServiceError)]
    for kind in kinds:
        assert re.search(rf"{kind.__name__} +{kind.code}\n", errors.__doc__ or ""), kind


def test_every_status_is_a_client_s_or_ours() -> None:
    """4xx or 5xx, and what is not listed is 422."""
    assert all(400 <= status < 600 for status in STATUS.values())
    assert status_of(ServiceError("x"), {}) == 422


def test_an_unexpected_error_leaks_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 with a fixed text; the service goes on."""
    monkeypatch.setitem(TABLE, "GET /crash", None)
    app = create_app(local(tmp_path))

    @app.get("/crash")
    def crash() -> None:
        raise RuntimeError("the password is 1234")

    with caplog.at_level(logging.CRITICAL), serving_app(app) as api:
        response = api.get("/crash")
        assert (response.status_code, response.json()["code"]) == (500, "internal-error")
        assert "1234" not in response.text
        assert "Traceback" not in response.text
        assert api.get("/healthz").status_code == 200


def test_readiness_says_what_is_waited_for(tmp_path: Path) -> None:
    """503 until it is ready; health is 200 all the time."""
    with serving(tmp_path) as api:
        assert api.get("/readyz").json()["status"] == "ok"
    app = create_app(local(tmp_path))
    with serving_app(app) as api:
        app.state.workspace.say_ready("the example is being made")
        response = api.get("/readyz")
        assert (response.status_code, response.json()["code"]) == (503, "not-ready")
        assert response.headers["Retry-After"] == "1"
        assert "example" in response.json()["detail"]
        assert api.get("/healthz").status_code == 200


# --- the description and the pages -----------------------------------------------------------


@pytest.fixture(scope="module")
def description(api: Api) -> dict[str, Any]:
    """The OpenAPI description."""
    found: dict[str, Any] = api.get("/openapi.json").json()
    return found


def operations(description: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation as path, verb and description."""
    return [(path, verb, said) for path, verbs in description["paths"].items() for verb, said in verbs.items()]


def test_the_description_is_openapi_3_1(description: dict[str, Any]) -> None:
    """With every route of the contract."""
    assert description["openapi"].startswith("3.1")
    wanted = {
        "/v1/datasets", "/v1/datasets/{dataset}", "/v1/models", "/v1/models/{model}", "/v1/rulesets",
        "/v1/rulesets/{ruleset}", "/v1/rulesets/{ruleset}/edits", "/v1/rulesets/{ruleset}/impact",
        "/v1/rulesets/{ruleset}/conflicts", "/v1/rulesets/{ruleset}/history", "/v1/rulesets/{ruleset}/diff",
        "/v1/rulesets/{ruleset}/export", "/v1/rulesets/{ruleset}/resolutions", "/v1/rulesets/import", "/v1/releases",
        "/v1/releases/{release}/bundle",
        "/v1/releases/{release}", "/v1/releases/{release}/activate", "/v1/releases/{release}/rollback",
        "/v1/releases/{release}/approve", "/v1/releases/{release}/propose", "/v1/releases/{release}/reject",
        "/v1/releases/{release}/approval", "/v1/decisions/{name}", "/v1/jobs", "/v1/jobs/{job}",
        "/v1/jobs/{job}/cancel", "/v1/jobs/{job}/events", "/v1/me", "/v1/keys", "/v1/keys/{key}",
        "/v1/keys/{key}/revoke", "/v1/audit", "/v1/audit/verify", "/v1/audit/erasures",
        "/healthz", "/readyz", "/metrics", "/docs", "/",
    }  # fmt: skip
    wanted |= {"/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/{name}/infer", "/invocations", "/ping"}
    # What else is there is in the table of access, and no more: see test_service_access.
    assert wanted <= set(description["paths"])


def test_every_operation_is_described(description: dict[str, Any]) -> None:
    """Summary, description, an id of its own, and each answer with its media type."""
    found = operations(description)
    assert len({said["operationId"] for _, _, said in found}) == len(found)
    for path, verb, said in found:
        assert said["summary"], path
        assert said["description"], path
        success = [status for status in said["responses"] if status.startswith("2")]
        assert len(success) == 1, (path, verb)
        for status, answer in said["responses"].items():
            assert answer["description"], (path, status)
            media = set(answer["content"])
            own = "application/json" if path.startswith("/v2") else "application/problem+json"
            assert media == {own} or status.startswith("2"), (path, status, media)


def test_every_refusal_is_a_problem(description: dict[str, Any]) -> None:
    """422 and 500 everywhere; 412 and 428 on the writes of rule sets; the Open Inference routes have their own form."""
    for path, verb, said in operations(description):
        assert {"422", "500"} <= set(said["responses"]), path
        for status, answer in said["responses"].items():
            if not status.startswith("2"):
                (schema,) = (content["schema"] for content in answer["content"].values())
                kind = "InferenceError" if path.startswith("/v2") else "Problem"
                assert schema == {"$ref": f"#/components/schemas/{kind}"}
        if path.endswith(("/edits", "/resolutions")):
            assert {"412", "428"} <= set(said["responses"]), (path, verb)
        if "{" in path:
            assert "404" in said["responses"], path


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    """No schema is named that isn't there."""
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(description)))
    assert named <= set(description["components"]["schemas"])
    assert "HTTPValidationError" not in description["components"]["schemas"]


def test_the_answers_are_as_described(api: Api, description: dict[str, Any]) -> None:
    """What comes back has the keys that the description requires, decisions included."""
    schemas = description["components"]["schemas"]
    body = api.decide("small", ROW).json()
    assert set(body) == set(schemas["DecisionsBody"]["required"])
    assert (
        set(schemas["DecisionBody"]["required"])
        <= set(body["decisions"][0])
        <= set(schemas["DecisionBody"]["properties"])
    )
    ruleset = api.get(f"/v1/rulesets/{ruleset_of(api)}").json()
    assert set(ruleset) == set(schemas["RuleSetBody"]["properties"])


def loaded_from_elsewhere(page: str) -> list[str]:
    """What a page would load or run."""
    return re.findall(r"<script|<link|<img|<iframe|@import|url\(|(?:src|href)=[\"']?(?:https?:)?//", page)


@pytest.mark.parametrize("path", ["/docs", "/"])
def test_a_page_loads_nothing_from_elsewhere(api: Api, path: str) -> None:
    """No script, no style, no picture; and its policy forbids them."""
    response = api.get(path)
    assert response.headers["content-type"].startswith("text/html")
    assert loaded_from_elsewhere(response.text) == []
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_the_docs_page_shows_every_route(api: Api, description: dict[str, Any]) -> None:
    """With a curl line and every schema."""
    page = api.get("/docs").text
    for path in description["paths"]:
        assert path in page
    for name in description["components"]["schemas"]:
        assert f'id="{name}"' in page
    assert "curl -X POST" in page
    assert "If-Match" in page


def test_the_first_page_lists_what_is_there(api: Api) -> None:
    """With links that work and a line that decides."""
    page = api.get("/").text
    for link in re.findall(r'href="(/[^"]*)"', page):
        assert api.get(link).status_code == 200, link
    assert "/v1/decisions/small" in page
    assert "Authentication and approval off" in page


def test_a_name_from_a_user_is_never_markup(api: Api) -> None:
    """It is escaped on the first page."""
    file = ("a.csv", b"x,y\n1,a\n")
    api.post("/v1/datasets", files={"file": file}, data={"name": "<script>alert(1)</script>"})
    page = api.get("/").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_first_page_of_an_empty_service_says_how_to_begin(tmp_path: Path) -> None:
    """With the upload's curl line."""
    with serving(tmp_path) as api:
        page = api.get("/").text
        assert "None yet" in page
        assert "curl -F file=@table.csv" in page


# --- the workspace by itself -----------------------------------------------------------------


def test_what_is_stored_survives_a_restart(tmp_path: Path) -> None:
    """The release decides as before, the revision is there, jobs keep their results."""
    with serving(tmp_path) as api:
        made = make(api)
        decision = api.decide("small", ROW).json()
        ruleset = api.get(f"/v1/rulesets/{made.ruleset}").json()
        jobs = api.get("/v1/jobs").json()
    with serving(tmp_path) as api:
        assert api.decide("small", ROW).json() == decision
        assert api.get(f"/v1/rulesets/{made.ruleset}").json() == ruleset
        assert api.get("/v1/jobs").json() == jobs
        assert api.edit(made.ruleset, "undo").status_code == 200


def test_a_release_that_was_damaged_never_serves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The service says that it isn't ready, and why, and answers 404 under the name."""
    with serving(tmp_path) as api:
        make(api)
    for path in (tmp_path / "files").rglob("release.json"):
        (path.parent / "model.txt").write_text("tree\n")
    workspace = Workspace(local(tmp_path))
    try:
        with caplog.at_level(logging.CRITICAL):
            _start(workspace, Watch(lambda done, of: None, 1.0))
        with pytest.raises(ServiceError, match="can't be loaded"):
            workspace.check_ready()
        assert workspace.scoring.names == ()
    finally:
        workspace.close()


def test_every_change_leaves_an_event_with_its_reason(tmp_path: Path) -> None:
    """Those of a user's steps carry author and reason."""
    app = create_app(local(tmp_path))
    with serving_app(app) as api:
        made = make(api)
        api.edit(made.ruleset, "undo", author="kim")
        events = api.get("/v1/audit").json()["items"]
    actions = [event["action"] for event in events]
    for action in ("add data set", "train model", "extract rules", "edit rules", "make release", "activate release"):
        assert action in actions
    assert [events[0][name] for name in ("action", "actor", "reason")] == ["edit rules", "kim", "test"]


def test_clock_and_ids_can_be_given(tmp_path: Path) -> None:
    """So that tests and replays know them beforehand."""
    from datetime import UTC, datetime

    numbers = iter(range(100))
    app = create_app(
        local(tmp_path),
        clock=lambda: datetime(2026, 5, 4, tzinfo=UTC),
        new_id=lambda kind: f"{kind}-{next(numbers)}",
    )
    with serving_app(app) as api:
        body = api.upload(small_table(20)).json()
    assert (body["id"], body["created"]) == ("dataset-0", "2026-05-04T00:00:00.000Z")


def test_the_example_is_made_once(tmp_path: Path) -> None:
    """A second start finds it in service and makes nothing."""
    workspace = Workspace(local(tmp_path, demo=True))
    try:
        workspace.start()
        watch = Watch(lambda done, of: None, 1.0)
        demo.prepare(workspace, watch)
        workspace.check_ready()
        before = workspace.audit.verify()
        demo.prepare(workspace, watch)
        assert workspace.audit.verify() == before
        serving_now = workspace.serving("loans")
        row = dict.fromkeys(serving_now.release.schema.names)
        held = serving_now.decide([row | {"age": 28, "income": 40_000, "debt_ratio": 0.2}])[0]
        assert (held.outcome, held.by) == ("approve", "overlay")
    finally:
        workspace.close()


def test_an_example_that_was_stopped_is_left_for_the_next_start(tmp_path: Path) -> None:
    """The service isn't ready, and nothing serves."""
    workspace = Workspace(local(tmp_path, demo=True))
    try:
        watch = Watch(lambda done, of: None, 1.0)
        watch.stop()
        demo.prepare(workspace, watch)
        with pytest.raises(ServiceError):
            workspace.check_ready()
        assert workspace.scoring.names == ()
    finally:
        workspace.close()


def test_a_client_that_goes_away_harms_nobody(api: Api) -> None:
    """A request that breaks off is forgotten."""
    host, port = api.base_url.host, api.base_url.port
    assert port is not None
    with socket.create_connection((host, port)) as raw:
        raw.sendall(b"POST /v1/datasets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
    assert api.get("/healthz").status_code == 200
