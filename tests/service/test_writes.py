"""Every route that changes something: one event, one effect, the same reply, and never half of it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from ruleedit.chain import verify_chain
from service.app import create_app
from service.errors import UnknownRelease
from service.people import LOCAL
from service.store.records import Happened, ReleaseRecord
from service.store.tables import metadata
from service.workspace import Workspace
from tests.databases import ENGINES, database
from tests.service.test_access import routes_of
from tests.serving import Api, Made, local, make, serving_app
from tests.writes import READING, WITHOUT_KEY, WRITES, Write


class Storage:
    """A storage whose k-th call fails, once it is armed."""

    def __init__(self) -> None:
        self.left: int | None = None

    def __call__(self, call: str) -> None:
        """Count down; at zero the disk is full."""
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise OSError(28, "No space left on device")


@dataclass(frozen=True)
class Bench:
    """A service over a real database, whose jobs wait until they are let go."""

    api: Api
    made: Made
    workspace: Workspace
    storage: Storage

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        with self.workspace._repository.database.reading() as connection:
            tables = metadata.sorted_tables
            return {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables
            }

    def head(self) -> int:
        """How many events there are."""
        return self.workspace._repository.head().sequence

    def sound(self) -> bool:
        """Whether the audit chain is whole."""
        return verify_chain(self.workspace._repository.events()).ok


@pytest.fixture(scope="module", params=ENGINES)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A service on each database, with two releases under one name, and its jobs held up from then on."""
    folder, storage, let_go = tmp_path_factory.mktemp("writes"), Storage(), threading.Event()
    with database(request.param, folder) as where:
        url = where if isinstance(where, str) else ""
        # Every job that a test here asks for waits, so the queue has to hold them all.
        settings = local(folder, database=url, publish_seconds=1e6, workers=1, most_jobs=10_000)
        app = create_app(settings, storage=storage)
        with serving_app(app) as api:
            made = make(api)
            api.released(made.ruleset, "small")
            workspace = app.state.workspace
            workspace._jobs._pool.submit(let_go.wait)
            api.draft = lambda: draft(workspace, made.release)
            yield Bench(api, made, workspace, storage)
            let_go.set()


def draft(workspace: Workspace, release: str) -> str:
    """A draft like a release that is there; returns its id."""
    record = workspace._repository.get(ReleaseRecord, release, UnknownRelease)
    made = replace(record, id=f"release-{uuid.uuid4().hex[:16]}", name="candidate", state="draft")
    with workspace._repository.change(LOCAL) as change:
        change.add(made)
        change.happened(Happened("make release", made.id))
    return made.id


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """By how many rows each table has grown."""
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def test_every_writing_route_is_walked() -> None:
    """Each POST, PUT, PATCH and DELETE that the router serves is here, or named as one that changes nothing."""
    app = create_app(local(Path("unused")))
    writing = {f"{verb} {path}" for verb, path in routes_of(app) if verb != "GET"}
    assert writing == set(WRITES) | READING


@pytest.mark.parametrize("route", WRITES)
def test_a_write_leaves_one_event_in_its_transaction(bench: Bench, route: str) -> None:
    """By whom, why and on what; the chain stays whole, and what is read leaves none."""
    write = WRITES[route](bench.api, bench.made)
    before = bench.head()
    response = write.send(bench.api)
    assert response.is_success, response.text
    assert bench.head() == before + 1
    event = bench.api.get("/v1/audit", params={"limit": 1}).json()["items"][0]
    asked = write.sent.get("json", {})
    assert event["reason"] == asked.get("reason", "")
    assert event["actor"] == asked.get("author", "local")
    assert event["subject"] == "audit" or event["subject"] in [*response.json().values(), *write.path.split("/")]
    assert event["payload"] is not None
    assert bench.sound()
    assert bench.head() == before + 1


@pytest.mark.parametrize("route", sorted(set(WRITES) - WITHOUT_KEY))
def test_the_same_key_has_one_effect_and_one_reply(bench: Bench, route: str, count: Callable[[int, int], int]) -> None:
    """Up to 50 times: the same status, body, Location and ETag; the effect is that of one request."""
    one = WRITES[route](bench.api, bench.made)
    before = bench.rows()
    one.send(bench.api)
    effect = grown(before, bench.rows())
    write, key = WRITES[route](bench.api, bench.made), uuid.uuid4().hex
    before = bench.rows()
    replies = [write.send(bench.api, key) for _ in range(count(5, 50))]
    first = replies[0]
    assert first.is_success, first.text
    assert grown(before, bench.rows()) == effect | {"replies": 1}
    for reply in replies:
        assert (reply.status_code, reply.content) == (first.status_code, first.content)
        assert [reply.headers.get(name) for name in ("Location", "ETag")] == [
            first.headers.get(name) for name in ("Location", "ETag")
        ]


@pytest.mark.parametrize("route", sorted(set(WRITES) - WITHOUT_KEY))
def test_a_key_is_for_one_request(bench: Bench, route: str) -> None:
    """Another request with the same key is 422 and changes nothing, whichever route it is sent to."""
    key = uuid.uuid4().hex
    used = Write("/v1/models", {"json": {"dataset": bench.made.dataset, "target": "ok", "seed": 77}})
    assert used.send(bench.api, key).status_code == 202
    write = WRITES[route](bench.api, bench.made)
    before = bench.rows()
    response = write.send(bench.api, key)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency-key-reused")
    assert bench.rows() == before


@pytest.mark.parametrize("route", WRITES)
def test_a_write_is_done_or_not_wherever_the_storage_fails(bench: Bench, route: str) -> None:
    """Let the k-th storage call fail, for every k: the state is as before or as after, and a retry succeeds."""
    one = WRITES[route](bench.api, bench.made)
    before = bench.rows()
    one.send(bench.api)
    effect, failed = grown(before, bench.rows()), 0
    keyed = route not in WITHOUT_KEY
    for call in range(1, 200):
        write, key = WRITES[route](bench.api, bench.made), uuid.uuid4().hex if keyed else None
        before = bench.rows()
        bench.storage.left = call
        response = write.send(bench.api, key)
        fired, bench.storage.left = bench.storage.left <= 0, None
        done = effect | ({"replies": 1} if keyed else {})
        assert grown(before, bench.rows()) in ({}, done), (call, response.text)
        assert bench.sound()
        if not fired:
            break
        assert response.status_code in (200, 201, 202, 500)
        failed += response.status_code == 500
        if keyed:
            assert write.send(bench.api, key).is_success
            assert grown(before, bench.rows()) == done
    assert failed > 3
    assert response.is_success


def test_a_request_at_work_refuses_its_double(bench: Bench) -> None:
    """409 while the first is in flight, with the problem's own code; afterwards the reply."""
    key, entered, go_on = uuid.uuid4().hex, threading.Event(), threading.Event()
    write = WRITES["POST /v1/rulesets/{ruleset}/edits"](bench.api, bench.made)
    present = bench.workspace._present

    def slowly(name: str, expected: str) -> Any:
        entered.set()
        go_on.wait(20)
        return present(name, expected)

    bench.workspace._present = slowly  # type: ignore[method-assign]
    replies: list[Any] = []
    try:
        first = threading.Thread(target=lambda: replies.append(write.send(bench.api, key)))
        first.start()
        assert entered.wait(20)
        response = write.send(bench.api, key)
        assert (response.status_code, response.json()["code"]) == (409, "idempotency-key-in-flight")
        assert response.headers["Retry-After"] == "1"
    finally:
        go_on.set()
        first.join()
        bench.workspace._present = present  # type: ignore[method-assign]
    again = write.send(bench.api, key)
    assert (again.status_code, again.content) == (replies[0].status_code, replies[0].content) == (200, again.content)


def test_a_refused_request_leaves_its_key_free(bench: Bench) -> None:
    """412 has no effect, so the same key serves for the request made right."""
    write = WRITES["POST /v1/rulesets/{ruleset}/edits"](bench.api, bench.made)
    key = uuid.uuid4().hex
    stale = Write(write.path, write.sent, {"If-Match": '"' + "0" * 64 + '"'})
    assert stale.send(bench.api, key).status_code == 412
    assert write.send(bench.api, key).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none_is_refused(bench: Bench, key: str) -> None:
    """Empty or longer than 255 characters."""
    assert WRITES["POST /v1/datasets"](bench.api, bench.made).send(bench.api, key).status_code == 422


def test_a_key_belongs_to_its_caller(bench: Bench) -> None:
    """Two people may take the same key."""
    from service.once import KEY

    once = bench.workspace._once
    token = KEY.set(("key:kim", "mine"))
    with once.attempt("x") as first:
        KEY.set(("key:lee", "mine"))
        with once.attempt("y") as second:
            assert (first.asked and first.asked.caller, second.asked and second.asked.caller) == ("key:kim", "key:lee")
    KEY.reset(token)


def test_old_keys_are_forgotten(bench: Bench) -> None:
    """After the hours that the settings say: the request is then a new one."""
    write, key = WRITES["POST /v1/datasets"](bench.api, bench.made), uuid.uuid4().hex
    first = write.send(bench.api, key).json()["id"]
    bench.workspace._once.forget(24.0)
    assert write.send(bench.api, key).json()["id"] == first
    bench.workspace._once.forget(-1.0)
    assert write.send(bench.api, key).json()["id"] != first
