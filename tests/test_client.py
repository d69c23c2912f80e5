"""The Python client against a real service: the whole loop, every kind of error, further tries."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightgbm
import pandas as pd
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ruleedit.bundle import check
from ruleedit.client import Client, Dataset, Model, RuleSet
from ruleedit.errors import (
    ApiBusy,
    ApiConflict,
    ApiDenied,
    ApiFailed,
    ApiInvalid,
    ApiStale,
    ApiUnknown,
    ApiUnreachable,
    JobFailed,
)
from service.app import create_app
from service.settings import Settings
from tests.serving import EDIT, ROW, TARGET, Api, serving, serving_app, small_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of this module's service."""
    return tmp_path_factory.mktemp("client")


@pytest.fixture(scope="module")
def api(folder: Path) -> Iterator[Api]:
    """A running service."""
    with serving(folder) as found:
        yield found


@pytest.fixture(scope="module")
def client(api: Api) -> Iterator[Client]:
    """The client, as a notebook makes it."""
    with Client(str(api.base_url)) as found:
        yield found


@pytest.fixture(scope="module")
def dataset(client: Client) -> Dataset:
    """A table."""
    return client.datasets.upload(io.BytesIO(small_table()), name="small.csv")


@pytest.fixture(scope="module")
def model(client: Client, dataset: Dataset) -> Model:
    """A model of it."""
    return client.models.train(dataset.id, TARGET)


@pytest.fixture
def rules(client: Client, model: Model) -> RuleSet:
    """Fresh rules of it."""
    return client.rulesets.extract(model.id, max_clauses=8)


def test_the_whole_loop(client: Client, dataset: Dataset, model: Model, rules: RuleSet) -> None:
    """Upload, train, extract, edit, see the impact, put in force, decide, take back."""
    assert (dataset.rows, dataset.columns[0]) == (400, "age")
    assert model.accuracy is not None
    assert model.accuracy > 0.8
    edited = client.rulesets.edit(rules, [EDIT], reason="policy")
    assert edited.revision != rules.revision
    new = next(rule for rule in edited.rules if rule.asserted)
    assert edited[new.id] == new
    assert "job is missing" in str(new)
    impact = client.rulesets.impact(edited)
    assert impact.rows == 400
    assert impact.changed == sum(impact.flips.values())
    before = client.releases.make(rules, "looped", "overlay-hard")
    assert client.releases.activate(before, reason="first").state == "active"
    release = client.releases.make(edited, "looped", "overlay-hard")
    client.releases.activate(release, reason="policy")
    held, free = client.decide("looped", [ROW | {"job": None}, ROW])
    assert (held.outcome, held.by, held.rule, held.release) == ("yes", "overlay", new.id, release.id)
    assert free.reason_codes[0].startswith("described:")
    assert client.releases.roll_back(release, reason="back").id == before.id
    assert client.decide("looped", [ROW]).release == before.id


def test_decisions_are_explained_on_request(client: Client, rules: RuleSet) -> None:
    """`nearest` is there only then; answers are a sequence."""
    client.releases.activate(client.releases.make(rules, "explained", "overlay-hard"), reason="r")
    plain = client.decide("explained", [ROW] * 3)
    assert (len(plain), plain[0].nearest, len(plain[1:])) == (3, None, 2)
    assert [decision.outcome for decision in plain] == [plain[0].outcome] * 3
    explained = client.decide("explained", [ROW], explain=True)[0].nearest
    assert explained is None or explained["outcome"] != plain[0].outcome


def test_a_stale_edit_is_refused_by_its_class(client: Client, rules: RuleSet) -> None:
    """The rule set that was read is what the edit is made from."""
    client.rulesets.edit(rules, [EDIT], reason="first")
    with pytest.raises(ApiStale) as refused:
        client.rulesets.edit(rules, [EDIT], reason="second")
    assert (refused.value.status, refused.value.problem) == (412, "revision-stale")
    again = client.rulesets.get(rules.id)
    assert client.rulesets.edit(again, ["undo"], reason="second").content == rules.content
    assert len(client.rulesets.history(rules.id)["history"]) == 2
    assert client.rulesets.get(rules.id, revision=rules.revision) == rules


def test_conflicts_are_listed_and_settled(client: Client, rules: RuleSet) -> None:
    """With a witness; an export then says the same rules."""
    edits = ["new IF age < 40 THEN yes", "new IF age > 30 THEN no"]
    edited = client.rulesets.edit(rules, edits, reason="both")
    (conflict,) = client.rulesets.conflicts(edited)
    assert not conflict.resolved
    assert conflict.witness is not None
    with pytest.raises(ApiConflict) as refused:
        client.releases.make(edited, "open", "overlay-hard")
    assert refused.value.problem == "conflicts-open"
    settled = client.rulesets.resolve(edited, conflict.rules, strategy="priority")
    assert client.rulesets.conflicts(settled)[0].resolved
    assert b"age < 40" in client.rulesets.export(settled, "html").replace(b"&lt;", b"<")


def test_sensitive_columns_are_marked_and_warned_of(client: Client, rules: RuleSet) -> None:
    """A number by its cuts; the impact says in words which group falls behind."""
    model = client.models.mark(rules.model, {"member": [], "age": [40]}, favourable="yes", reason="test")
    assert [one["column"] for one in model.raw["groups"]["columns"]] == ["member", "age"]
    edited = client.rulesets.edit(rules, ["new IF member = true AND age < 40 THEN yes"], reason="members first")
    assert any(said.startswith("member false falls behind") for said in client.rulesets.impact(edited).behind)


def test_lists_go_through_every_page(client: Client, rules: RuleSet) -> None:
    """Newest first."""
    assert rules.id == next(client.rulesets.list())["id"]
    assert {job.state for job in client.jobs.list()} == {"succeeded"}
    assert [model.id for model in client.models.list()]
    assert [dataset.name for dataset in client.datasets.list()][-1] == "small.csv"
    assert all(release.mode == "overlay-hard" for release in client.releases.list())


def test_tables_come_from_paths_and_frames(client: Client, tmp_path: Path) -> None:
    """CSV by its name, a DataFrame as Parquet."""
    (tmp_path / "t.csv").write_bytes(small_table(20))
    by_path = client.datasets.upload(tmp_path / "t.csv")
    by_frame = client.datasets.upload(pd.read_csv(tmp_path / "t.csv"), name="frame")
    assert (by_path.name, by_path.rows, by_frame.name, by_frame.rows) == ("t.csv", 20, "frame", 20)
    assert client.datasets.get(by_frame.id) == by_frame


def test_a_whole_table_is_decided(client: Client, dataset: Dataset, rules: RuleSet, tmp_path: Path) -> None:
    """One that was uploaded, a file, a DataFrame: the same answers, a row for each row."""
    client.releases.activate(client.releases.make(rules, "tables", "overlay-hard"), reason="r")
    (tmp_path / "small.csv").write_bytes(small_table())
    frame = pd.read_csv(tmp_path / "small.csv", dtype={"job": object})
    found = [client.decide_table("tables", given) for given in (dataset, tmp_path / "small.csv", frame)]
    for table in found:
        pd.testing.assert_frame_equal(table, found[0])
    assert list(found[0].columns[:3]) == ["outcome", "p_no", "p_yes"]
    assert len(found[0]) == 400
    first = frame.drop(columns=TARGET).loc[1].to_dict()
    assert found[0].outcome[1] == client.decide("tables", [first])[0].outcome


def test_a_release_is_tried_beside_the_one_in_service(client: Client, rules: RuleSet) -> None:
    """In its shadow and as its canary; what was counted is there, and stays when the trial ends."""
    client.releases.activate(client.releases.make(rules, "tried", "overlay-hard"), reason="r")
    edited = client.rulesets.edit(rules, ["new IF age < 69 THEN yes"], reason="r")
    other = client.releases.make(edited, "tried", "overlay-hard")
    assert client.trials.shadow(other, reason="to see", ticket="RISK-12").state == "running"
    client.decide("tried", [ROW] * 5)
    # A shadow decides behind the answers, so that nobody waits for it.
    waited_until = time.monotonic() + 60
    while client.trials.get(other, "shadow").rows < 5 and time.monotonic() < waited_until:
        time.sleep(0.05)
    ended = client.trials.end(other, "shadow", reason="seen")
    assert (ended.state, ended.rows, sum(ended.pairs.values())) == ("ended", 5, 5)
    assert set(ended.pairs) <= {("no", "yes"), ("yes", "yes")}
    assert client.trials.canary(other.id, 1.0, reason="all").share == 1.0
    assert client.decide("tried", [ROW])[0].release == other.id
    assert client.trials.get(other, "canary").rows == 1
    assert client.trials.end(other, "canary", reason="done").kind == "canary"
    (event,) = client.audit.list(subject=other.id, action="begin shadow")
    assert (event.reason, event.payload and event.payload["cited"]) == ("to see", {"ticket": "RISK-12"})


def test_what_two_releases_and_revisions_differ_in_is_told(client: Client, rules: RuleSet) -> None:
    """By comparison, difference, and a bundle that verifies."""
    before = client.releases.make(rules, "told", "overlay-hard")
    edited = client.rulesets.edit(rules, [EDIT], reason="policy")
    after = client.releases.make(edited, "told", "graft", prove=True)
    assert after.report["proof"]
    assert client.releases.compare(before, after)["rows"] == 400
    assert [rule["id"] for rule in client.rulesets.diff(edited)["added"]] == [
        rule.id for rule in edited.rules if rule.asserted
    ]
    assert client.rulesets.diff(edited, since=edited.revision)["same"]
    key = client.audit.verify()["key"]
    for rows in (30, 0):
        verdict = check(client.releases.bundle(after, rows=rows, groups=["member"]), None, key)
        assert (verdict.wrong, verdict.rows) == ([], rows)
    assert b"SELECT" in client.rulesets.export(edited, "sql", dialect="duckdb")
    again = client.rulesets.bring(client.rulesets.export(edited, "json"), "json", edited.model, name="again")
    assert ([rule.text for rule in again.rules], again.raw["name"]) == ([rule.text for rule in edited.rules], "again")


def test_the_audit_is_listed_checked_and_erased(client: Client, rules: RuleSet) -> None:
    """By subject; an erased payload is gone, and the chain still whole."""
    client.rulesets.edit(rules, [EDIT], reason="personal", reason_code="correction")
    (event,) = client.audit.list(subject=rules.id, action="edit rules")
    assert (event.actor, event.reason) == ("local", "personal")
    assert event.payload is not None
    assert client.audit.verify()["ok"]
    assert client.audit.erase([event.sequence], reason="asked for") == 1
    assert next(iter(client.audit.list(subject=rules.id, action="edit rules"))).payload is None
    assert client.audit.verify()["ok"]
    sequences = [event.sequence for event in client.audit.list()]
    assert sequences == list(range(len(sequences), 0, -1))


def test_people_get_keys_and_releases_go_through_their_hands(tmp_path: Path) -> None:
    """An admin hands keys out and takes them back; a proposal is taken back, approved by another, and activated."""
    told: list[str] = []
    with serving_app(create_app(Settings(tmp_path), announce=told.append)) as api, contextlib.ExitStack() as stack:
        url = str(api.base_url)
        admin = stack.enter_context(Client(url, key=told[0]))
        keys = {name: admin.keys.issue(name, ["analyst", "approver"], reason="joined") for name in ("ana", "ben")}
        ana, ben = (stack.enter_context(Client(url, key=key.text)) for key in keys.values())
        assert "re_" not in repr(keys["ana"])
        assert ana.me()["name"] == "ana"
        assert {key.name for key in admin.keys.list()} == {"admin", "ana", "ben"}
        model = ana.models.train(ana.datasets.upload(io.BytesIO(small_table())).id, TARGET)
        rules = ana.rulesets.extract(model.id, max_clauses=6)
        release = ana.releases.make(ana.rulesets.edit(rules, [EDIT], reason="p"), "people", "overlay-hard")
        for _ in range(2):
            assert ana.releases.propose(release, reason="p").state == "proposed"
            assert ben.releases.approval(release)["hands"] == ["ana"]
            assert ben.releases.approve(release, reason="p", ticket="RISK-12").state == "approved"
            assert ben.releases.withdraw(release, reason="a mistake").state == "draft"
        assert ana.releases.propose(release, reason="p").state == "proposed"
        assert ben.releases.reject(release, reason="p").state == "draft"
        assert admin.keys.revoke(keys["ben"], reason="left").revoked is not None
        with pytest.raises(ApiDenied):
            ben.me()


def test_a_model_file_is_adopted(client: Client, tmp_path: Path) -> None:
    """Somebody's LightGBM text; one that doesn't fit the table is a failed job with its code."""
    frame = pd.DataFrame({"x": range(100), "y": ["a", "b"] * 50})
    theirs = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(frame[["x"]], frame["y"])
    theirs.booster_.save_model(tmp_path / "model.txt")
    table = client.datasets.upload(frame)
    assert client.models.adopt(tmp_path / "model.txt", table.id, "y", classes=["a", "b"]).raw["adopted"]
    other = client.datasets.upload(frame.rename(columns={"x": "z"}))
    with pytest.raises(JobFailed) as failed:
        client.models.adopt(tmp_path / "model.txt", other.id, "y", classes=["a", "b"])
    assert failed.value.problem == "columns-missing"


@pytest.mark.parametrize(
    ("ask", "kind", "status", "problem"),
    [
        (lambda client: client.decide("none", [ROW]), ApiUnknown, 404, "no-active-release"),
        (lambda client: client.datasets.get("none"), ApiUnknown, 404, "unknown-dataset"),
        (lambda client: client.decide("none", []), ApiInvalid, 422, "request-invalid"),
        (lambda client: client.datasets.upload(io.BytesIO(b"")), ApiInvalid, 422, "table-unreadable"),
        (lambda client: client.jobs.cancel("none"), ApiUnknown, 404, "unknown-job"),
        (lambda client: client.transport.get("/nothing"), ApiUnknown, 404, "not-found"),
    ],
)
def test_each_problem_is_an_exception_with_its_code(
    client: Client, ask: Callable[[Client], Any], kind: type[Exception], status: int, problem: str
) -> None:
    """And the service's own words."""
    with pytest.raises(kind) as refused:
        ask(client)
    assert (refused.value.status, refused.value.problem) == (status, problem)
    assert str(refused.value)


def test_a_key_opens_what_is_closed(tmp_path: Path) -> None:
    """Without one the service says 401; nothing is tried again."""
    told: list[str] = []
    settings = Settings(tmp_path)
    with (
        serving_app(create_app(settings, announce=told.append)) as api,
        Client(str(api.base_url), key=told[0]) as client,
    ):
        assert client.transport.get("/v1/me")["roles"] == ["admin"]
        with Client(str(api.base_url)) as nobody, pytest.raises(ApiDenied) as refused:
            nobody.datasets.get("none")
        assert (refused.value.status, refused.value.problem) == (401, "credential-needed")
        with pytest.raises(ApiDenied):
            client.decide("none", [ROW])


def test_nobody_there_is_said(api: Api) -> None:
    """After the further tries."""
    with Client("http://127.0.0.1:9", retries=1) as client, pytest.raises(ApiUnreachable) as lost:
        client.datasets.get("x")
    assert lost.value.status == 0


class Flaky:
    """A service whose first answers to POSTs are lost or refused: it does the work and says nothing of it."""

    def __init__(self, app: ASGIApp, *, times: int, status: int) -> None:
        self.app, self.left, self.status = app, times, status
        self.keys: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and now and then lose the answer."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        self.keys.append(dict(scope["headers"])[b"idempotency-key"])
        if not self.left:
            await self.app(scope, receive, send)
            return
        self.left -= 1

        async def lost(message: Message) -> None:
            """Nothing of the answer arrives."""

        await self.app(scope, receive, lost)
        headers = [(b"retry-after", b"0"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def test_a_lost_answer_has_no_second_effect(tmp_path: Path) -> None:
    """The further tries carry the same key: the upload is there once."""
    flaky = Flaky(create_app(Settings(tmp_path, authentication=False, approval=False)), times=2, status=503)
    with serving_app(flaky) as api, Client(str(api.base_url)) as client:  # type: ignore[arg-type]
        made = client.datasets.upload(io.BytesIO(small_table(10)), name="once")
        assert [dataset.id for dataset in client.datasets.list()] == [made.id]
    assert len(flaky.keys) == 3
    assert len(set(flaky.keys)) == 1


@pytest.mark.parametrize(("status", "kind"), [(503, ApiBusy), (500, ApiFailed), (502, ApiFailed)])
def test_an_answer_that_stays_bad_is_an_exception(tmp_path: Path, status: int, kind: type[Exception]) -> None:
    """Busy after every try, anything else at once; a body that is no problem is said to be none."""
    flaky = Flaky(create_app(Settings(tmp_path, authentication=False, approval=False)), times=9, status=status)
    with (
        serving_app(flaky) as api,  # type: ignore[arg-type]
        Client(str(api.base_url), retries=2) as client,
        pytest.raises(kind, match="without a problem"),
    ):
        client.datasets.upload(io.BytesIO(small_table(10)))
    assert len(flaky.keys) == (3 if kind is ApiBusy else 1)


def test_the_client_loads_nothing_heavy() -> None:
    """No LightGBM, no pandas, nothing of the service."""
    heavy = "('lightgbm', 'pandas', 'service', 'httpx')"
    program = f"import sys, ruleedit.client; print([name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.strip() == "[]"
