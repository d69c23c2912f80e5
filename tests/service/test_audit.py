"""The service's audit: what it tells, that tampering with the database is found, published heads, and erasure."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from ruleedit.chain import START, Head, SignedHead, verify_head
from ruleedit.errors import FileRefused, Refused
from service.app import create_app
from service.audit import Audit
from service.audit.heads import Heads
from service.once import Once
from service.people import Person
from service.store import tables
from service.store.records import Happened
from service.store.repository import Repository
from service.workspace.schedule import Chore, Schedule, run
from tests.serving import Api, guarded, local, make, refused, serving, serving_app
from tests.strategies import Dice

KIM = Person("kim", frozenset(["analyst"]), "key")
MOMENT = datetime(2026, 6, 1, tzinfo=UTC)


class Bench:
    """An audit over a real database, with a clock that a test sets."""

    def __init__(self, where: Path | str, folder: Path) -> None:
        self.now = MOMENT
        self.folder = folder
        self.repository = Repository(where, lambda: self.now)
        self.heads = Heads(folder / "heads.jsonl", folder / "key.pem")
        self.audit = Audit(self.repository, self.heads, Once(self.repository, lambda: self.now), lambda: self.now)

    def grow(self, events: int) -> None:
        """Let so many things happen."""
        for number in range(events):
            with self.repository.change(KIM) as change:
                change.happened(Happened("edit rules", f"s{number}", "why", {"customer": f"name {number}"}))

    def sql(self, *statements: str) -> None:
        """Tamper with the database."""
        with self.repository.quietly() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def problem(self) -> str:
        """What `verify` says is wrong."""
        verdict = self.audit.verify()
        assert not verdict["ok"]
        return str(verdict["problem"])


@pytest.fixture
def bench(where: Path | str, tmp_path: Path) -> Iterator[Bench]:
    """An audit with ten events, published."""
    found = Bench(where, tmp_path)
    found.grow(10)
    found.audit.publish()
    yield found
    found.repository.close()


# --- verification ----------------------------------------------------------------------------


def test_a_chain_that_nobody_touched_verifies(bench: Bench) -> None:
    """With how much there is and the head that it was checked against."""
    verdict = bench.audit.verify()
    assert (verdict["ok"], verdict["events"], verdict["erased"], verdict["problem"]) == (True, 10, 0, None)
    assert verdict["published"]["sequence"] == 10
    assert verdict["published"]["hash"] == verdict["head"]
    assert verdict["published"]["key"] == verdict["key"] == bench.heads.key


def test_an_empty_chain_verifies(where: Path | str, tmp_path: Path) -> None:
    """Published or not."""
    bench = Bench(where, tmp_path)
    assert bench.audit.verify()["ok"]
    bench.audit.publish()
    assert bench.audit.verify()["published"]["hash"] == START
    bench.repository.close()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE events SET reason = 'another' WHERE sequence = 4", "event 4 isn't what its hash says"),
        ("UPDATE events SET payload = '{}' WHERE sequence = 4", "payload of event 4"),
        ("UPDATE events SET payload = NULL, salt = NULL WHERE sequence = 4", "payload of event 4 is gone"),
        ("DELETE FROM events WHERE sequence = 4", "event 5 stands where event 4 belongs"),
        ("DELETE FROM events WHERE sequence > 8", "the chain ends with event 8, and event 10 was published"),
        ("DELETE FROM events", "the chain ends with event 0"),
        ("UPDATE events SET actor = 'lee' WHERE sequence = 10", "event 10 isn't what its hash says"),
    ],
)
def test_tampering_with_the_database_is_found(bench: Bench, statement: str, problem: str) -> None:
    """And said, with the place."""
    bench.sql(statement)
    assert problem in bench.problem()


def test_random_tamperings_with_the_database_are_found(bench: Bench, count: Callable[[int, int], int]) -> None:
    """Any column of any event set to another's value or to another text, on both databases."""
    columns = [column.name for column in tables.events.columns if column.name != "sequence"]
    for number in range(count(40, 1_000)):
        dice = Dice(number)
        column, row = dice.pick(columns), dice.number(1, 10)
        with bench.repository.quietly() as connection:
            old = connection.exec_driver_sql(f"SELECT {column} FROM events WHERE sequence = {row}").scalar_one()
        new = dice.pick((f"x{old}", old[:-1], old[1:], f"{old} "))
        bench.sql(f"UPDATE events SET {column} = '{new}' WHERE sequence = {row}")
        assert bench.problem()
        bench.sql(f"UPDATE events SET {column} = '{old}' WHERE sequence = {row}")
    assert bench.audit.verify()["ok"]


def test_an_old_copy_of_the_database_is_found_and_not_published(bench: Bench) -> None:
    """Though it is sound in itself; other events in the place of the lost ones don't hide it."""
    bench.sql("DELETE FROM events WHERE sequence > 5")
    assert "old copy" in bench.problem()
    with pytest.raises(FileRefused, match="event 10 of the audit chain was published"):
        bench.audit.publish()
    bench.grow(6)
    assert "written anew" in bench.problem()
    bench.sql("DELETE FROM events WHERE sequence > 10")
    with pytest.raises(FileRefused, match="GET /v1/audit/verify"):
        bench.audit.publish()


# --- heads -----------------------------------------------------------------------------------


def test_heads_are_published_where_the_chain_has_grown(bench: Bench) -> None:
    """One signed line each; nothing new, no line."""
    bench.audit.publish()
    bench.grow(2)
    bench.audit.publish()
    lines = (bench.folder / "heads.jsonl").read_text().splitlines()
    heads = [SignedHead.from_json(json.loads(line)) for line in lines]
    assert [signed.head.sequence for signed in heads] == [10, 12]
    assert all(verify_head(signed, bench.heads.key) for signed in heads)


def test_a_half_written_head_is_written_anew(bench: Bench) -> None:
    """A killed process leaves a line without its end: it doesn't count, and the next one stands in its place."""
    file = bench.folder / "heads.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"sequence": 11, "ha')
    assert bench.audit.verify()["ok"]
    bench.grow(1)
    bench.audit.publish()
    assert file.read_bytes().startswith(whole)
    assert [json.loads(line)["sequence"] for line in file.read_text().splitlines()] == [10, 11]


@pytest.mark.parametrize(
    ("old", "new"), [('"sequence":10', '"sequence":9'), ("{", "["), ('"signature":"', '"signature":"0')]
)
def test_a_changed_head_is_found(bench: Bench, old: str, new: str) -> None:
    """By its signature, or because it is none; the verdict says which file to look at."""
    file = bench.folder / "heads.jsonl"
    file.write_text(file.read_text().replace(old, new, 1))
    assert "'heads.jsonl'" in bench.problem()


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """Mode 0600, PEM, and the same one at the next start."""
    file = tmp_path / "keys" / "key.pem"
    first = Heads(tmp_path / "h", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert Heads(tmp_path / "h", file).key == first.key
    assert [path.name for path in file.parent.iterdir()] == ["key.pem"]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """With what to do."""
    Heads(tmp_path / "h", tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(0o644)
    with pytest.raises(FileRefused, match="chmod 600"):
        Heads(tmp_path / "h", tmp_path / "key.pem")


def test_a_file_that_is_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    """Nonsense, and a key of another kind."""
    other = generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for content in (b"nonsense", other):
        (tmp_path / "key.pem").write_bytes(content)
        (tmp_path / "key.pem").chmod(0o600)
        with pytest.raises(FileRefused, match="no Ed25519 key"):
            Heads(tmp_path / "h", tmp_path / "key.pem")


def test_a_head_is_signed_with_the_key_of_the_file(tmp_path: Path) -> None:
    """So that an auditor who has the public key knows whose it is."""
    heads = Heads(tmp_path / "h", tmp_path / "key.pem")
    signed = heads.publish(lambda: Head(1, "ab" * 32, "2026"))
    assert signed is not None
    assert verify_head(signed, heads.key)
    assert heads.last() == signed


# --- erasure and retention -------------------------------------------------------------------


def test_erased_payloads_are_gone_and_the_chain_verifies(bench: Bench) -> None:
    """An event says which, by whom and why."""
    told = bench.audit.erase([2, 3, 7], "erasure request", by=KIM)
    assert told["erased"] == 3
    assert (told["event"]["actor"], told["event"]["reason"]) == ("kim", "erasure request")
    assert told["event"]["payload"] == {"erased": [[2, 3], [7, 7]]}
    verdict = bench.audit.verify()
    assert (verdict["ok"], verdict["events"], verdict["erased"]) == (True, 11, 3)
    gone = [item["sequence"] for item in bench.audit.page(20, None)["items"] if item["payload"] is None]
    assert gone == [7, 3, 2]
    assert "name 2" not in json.dumps(bench.audit.page(20, 4))


@pytest.mark.parametrize("events", [[99], [2, 2, 99], [11]])
def test_what_can_t_be_erased_is_refused(bench: Bench, events: list[int]) -> None:
    """An event that isn't there, or one that names erasures; nothing is erased then."""
    bench.audit.erase([1], "first", by=KIM)
    with pytest.raises(Refused, match="no payload that can be erased"):
        bench.audit.erase(events, "x", by=KIM)
    with pytest.raises(Refused, match="event 1 "):
        bench.audit.erase([1], "again", by=KIM)
    assert bench.audit.verify()["erased"] == 1


def test_payloads_past_their_time_are_erased(bench: Bench) -> None:
    """Those older than the days that the settings say; 0 keeps them for ever."""
    assert bench.audit.retain(0) == 0
    assert bench.audit.retain(30) == 0
    bench.now = datetime(2026, 7, 15, tzinfo=UTC)
    bench.grow(1)
    assert bench.audit.retain(0) == 0
    assert bench.audit.retain(30) == 10
    assert bench.audit.retain(30) == 0
    verdict = bench.audit.verify()
    assert (verdict["ok"], verdict["events"], verdict["erased"]) == (True, 12, 10)
    assert bench.audit.page(1, None)["items"][0]["actor"] == "ruleedit"


# --- over HTTP -------------------------------------------------------------------------------


def test_an_auditor_reads_what_happened(tmp_path: Path) -> None:
    """Filtered, paged, verified; others may not, and an admin's key erases."""
    with guarded(tmp_path) as admin:
        auditor, viewer = admin.person("ada", "auditor"), admin.person("vic", "viewer")
        items = auditor.get("/v1/audit", params={"action": "issue key"}).json()["items"]
        assert [(item["actor"], item["role"]) for item in items][:2] == [("admin", "admin")] * 2
        assert "re_" not in json.dumps(items)
        assert auditor.get("/v1/audit/verify").json()["ok"]
        assert viewer.get("/v1/audit").status_code == viewer.get("/v1/audit/verify").status_code == 403
        body = {"events": [items[0]["sequence"]], "reason": "asked for"}
        assert auditor.post("/v1/audit/erasures", json=body).status_code == 403
        beyond = admin.post("/v1/audit/erasures", json=body | {"events": [2**64]})
        assert (beyond.status_code, beyond.json()["code"]) == (422, "request-invalid")
        assert admin.post("/v1/audit/erasures", json=body).status_code == 200
        assert auditor.get("/v1/audit/verify").json()["erased"] == 1


def test_the_story_of_a_rule_set_is_in_the_audit(tmp_path: Path) -> None:
    """Who edited what into what, with the hashes of model, data and schema, seed, versions and the effect."""
    with serving(tmp_path) as api:
        made = make(api)
        events = {event["action"]: event for event in api.get("/v1/audit").json()["items"]}
        edited = events["edit rules"]
        step = edited["payload"]["steps"][0]
        assert (edited["subject"], edited["reason"], step["edit"]) == (made.ruleset, "test", step["edit"])
        assert step["change"]["put"][0]["rule"]["text"].startswith("IF age < 30")
        assert edited["payload"]["before"] != edited["payload"]["after"] == step["revision"]
        assert set(events["train model"]["payload"]["hashes"]) == {"model", "schema", "data"}
        assert {"lightgbm", "numpy", "ruleedit"} == set(events["train model"]["payload"]["versions"])
        assert events["train model"]["payload"]["asked"]["seed"] == 0
        assert events["make release"]["payload"]["effect"]["feedback"]
        assert events["activate release"]["payload"]["replaces"] is None
        first = api.get("/v1/audit", params={"limit": 3}).json()
        rest = api.get("/v1/audit", params={"limit": 200, "cursor": first["next"]}).json()
        assert [item["sequence"] for item in (*first["items"], *rest["items"])] == list(
            range(len(rest["items"]) + 3, 0, -1)
        )


def test_a_service_that_stops_publishes_its_head(tmp_path: Path) -> None:
    """What happened since the last time is in the file when it has ended."""
    with serving(tmp_path, publish_seconds=1e6) as api:
        api.upload(b"x,y\n1,a\n")
    last = json.loads((tmp_path / "heads.jsonl").read_text().splitlines()[-1])
    assert last["sequence"] == 1


def test_heads_and_key_stand_where_the_settings_say(tmp_path: Path) -> None:
    """Outside of the data folder."""
    heads, key = tmp_path / "elsewhere" / "heads", tmp_path / "elsewhere" / "key"
    with serving(tmp_path / "data", heads=str(heads), audit_key=str(key)) as api:
        api.upload(b"x,y\n1,a\n")
    assert heads.exists()
    assert key.exists()
    assert not {"heads.jsonl", "audit-key.pem"} & {path.name for path in (tmp_path / "data").iterdir()}


def test_a_moment_may_be_said_in_any_zone(tmp_path: Path) -> None:
    """Events are kept in UTC; what is asked for in another zone, to the second or by the day is the same moment."""
    times = [datetime(2026, 3, 1, 23, 30, 0, 250_000, tzinfo=UTC)]
    with serving_app(create_app(local(tmp_path), clock=lambda: times[-1])) as api:
        api.upload(b"x,y\n1,a\n")
        times.append(times[0] + timedelta(hours=1))
        api.upload(b"x,y\n2,b\n")

        def found(**asked: str) -> list[int]:
            items = api.get("/v1/audit", params=asked).json()["items"]
            return [item["sequence"] for item in items]

        assert found(since="2026-03-02") == found(since="2026-03-02T00:00:00Z") == [2]
        assert found(since="2026-03-02T02:00:00+02:00") == found(since="2026-03-01T20:00:00-04:00") == [2]
        assert found(since="2026-03-01T23:30:00Z") == [2, 1]
        assert found(since="2026-03-01T23:30:00.251Z") == [2]
        assert found(until="2026-03-02T01:30:00+01:00") == [1]
        refused(api.get("/v1/audit", params={"until": "2026-13-01"}), 422, "request-invalid")
        refused(api.get("/v1/audit", params={"until": "0001-01-01T00:00:00+23:00"}), 422, "request-invalid")


@pytest.mark.parametrize("query", [{"since": "yesterday"}, {"limit": 0}, {"cursor": "x"}, {"actor": "x" * 201}])
def test_nonsense_is_refused(api: Api, query: dict[str, Any]) -> None:
    """As everywhere."""
    assert api.get("/v1/audit", params=query).status_code == 422


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service with nothing in it."""
    with serving(tmp_path_factory.mktemp("audit")) as found:
        yield found


# --- the schedule ----------------------------------------------------------------------------


def test_chores_run_at_once_and_again_whatever_fails() -> None:
    """A failing one holds up no other, and is tried again."""
    ran: list[str] = []

    def fail() -> None:
        ran.append("bad")
        raise FileRefused("no room")

    schedule = Schedule([Chore("bad", 0.01, fail), Chore("good", 0.01, lambda: ran.append("good")),
                         Chore("rare", 1e6, lambda: ran.append("rare"))])  # fmt: skip
    schedule.start()
    for _ in range(1_000):
        if ran.count("bad") > 2 and ran.count("good") > 2:
            break
        schedule._closing.wait(0.01)
    schedule.close()
    assert ran.count("bad") > 2
    assert ran.count("good") > 2
    assert ran.count("rare") == 1
    assert schedule.failures == {"bad": ran.count("bad"), "good": 0, "rare": 0}


def test_a_chore_that_crashes_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """With its name; nobody else hears of it."""

    def crash() -> None:
        raise RuntimeError("what")

    run(Chore("sweep", 1.0, crash))
    assert "sweep failed" in caplog.text


def test_the_metrics_say_how_often_a_chore_failed(api: Api) -> None:
    """Each by its name, those that never did too: an operator can't see a head that isn't published otherwise."""
    text = api.get("/metrics").text
    assert 'ruleedit_chore_failures_total{chore="publish the head of the audit chain"} 0.0' in text


def test_a_schedule_that_never_began_can_be_closed() -> None:
    """As where a start failed."""
    Schedule([]).close()


def test_a_schedule_without_chores_takes_no_processor_time() -> None:
    """It has no thread: one that had nothing to wait for kept a processor busy for as long as the service ran."""
    schedule = Schedule([])
    schedule.start()
    assert not schedule._thread.is_alive()
    schedule.close()
