"""kill -9 at any time: nothing acknowledged is lost, nothing half-done is seen, and jobs go on."""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.people import LOCAL
from service.settings import Settings
from service.store.records import FINISHED
from service.workspace import Page, Workspace
from tests.databases import ENGINES, database
from tests.serving import ROW, TARGET, Api, local, small_table, wait_ready

CLIENTS = 8
COMMAND = [sys.executable, "-c", "from ruleedit.cli import main; main()", "serve"]


@contextlib.contextmanager
def process(folder: Path, where: Path | str) -> Iterator[tuple[subprocess.Popen[str], Api]]:
    """A service process without keys on a free port; whatever happens it is gone at the end."""
    more = ["--database", where] if isinstance(where, str) else []
    environ = {**os.environ, "RULEEDIT_AUTHENTICATION": "off", "RULEEDIT_APPROVAL": "off"}
    running = subprocess.Popen(
        [*COMMAND, "--port", "0", "--data-dir", str(folder / "data"), *more],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert running.stdout is not None
    try:
        said = ""
        while (found := re.search(r"http://127\.0\.0\.1:\d+", said)) is None:
            said = running.stdout.readline()
            assert said, "the service ended"
        with Api(base_url=found[0], timeout=30) as api:
            wait_ready(api)
            yield running, api
    finally:
        if running.poll() is None:
            running.kill()
        running.wait(30)
        running.stdout.close()


@dataclass
class Client:
    """One of the clients: what was acknowledged to it, by reason, and the request that a kill left open."""

    ruleset: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    open: tuple[str, str, dict[str, Any]] | None = None

    def work(self, url: str, stop: threading.Event) -> None:
        """Edit until the service is gone or time is up; each request makes two steps of the history."""
        with httpx.Client(base_url=url, timeout=30) as http, contextlib.suppress(httpx.TransportError):
            while not stop.is_set():
                tag = http.get(f"/v1/rulesets/{self.ruleset}").headers["ETag"]
                reason = uuid.uuid4().hex
                body = {"edits": [f"new IF age < {random.randint(21, 60)} THEN yes", "undo"], "reason": reason}
                self.open = (reason, tag, body)
                self.take(self.send(http))

    def send(self, http: httpx.Client) -> httpx.Response:
        """Send the open request; its reason is its key."""
        assert self.open is not None
        reason, tag, body = self.open
        headers = {"If-Match": tag, "Idempotency-Key": reason}
        return http.post(f"/v1/rulesets/{self.ruleset}/edits", json=body, headers=headers)

    def take(self, response: httpx.Response) -> None:
        """Note what was answered to the open request."""
        assert self.open is not None
        assert response.status_code in (200, 412), response.text
        if response.status_code == 200:
            self.acknowledged[self.open[0]] = response.json()["revision"]
        self.open = None


def check(api: Api, clients: list[Client]) -> None:
    """What was acknowledged is there, whole and once; what wasn't is there whole or not at all."""
    for ruleset in {client.ruleset for client in clients}:
        steps: dict[str, list[dict[str, Any]]] = {}
        for step in api.get(f"/v1/rulesets/{ruleset}/history").json()["history"]:
            steps.setdefault(step["reason"], []).append(step)
        assert {len(of_one) for reason, of_one in steps.items() if reason != "test"} <= {2}
        for client in clients:
            for reason, revision in client.acknowledged.items() if client.ruleset == ruleset else ():
                assert steps[reason][1]["revision"] == revision
    assert api.get("/v1/audit/verify").json()["ok"]


def resend(api: Api, clients: list[Client]) -> None:
    """Send again what a kill left open, twice: one effect whether it had been made or not."""
    for client in clients:
        if client.open is not None:
            open_request = client.open
            first = client.send(api)
            client.take(first)
            client.open = open_request
            second = client.send(api)
            assert (second.status_code, second.content) == (first.status_code, first.content)
            client.open = None


@pytest.mark.parametrize("engine", ENGINES)
def test_kills_lose_no_acknowledged_edit(engine: str, tmp_path: Path, count: Callable[[int, int], int]) -> None:
    """At random times while 8 clients edit two rule sets: 0 acknowledged edits lost, 0 half-applied ones seen."""
    kills = count(4, 40) if engine == "sqlite" else count(1, 40)
    with database(engine, tmp_path) as where:
        rulesets = prepared(tmp_path / "data", where if isinstance(where, str) else "", rulesets=2)[0]
        clients = [Client(rulesets[number % 2]) for number in range(CLIENTS)]
        for kill in range(kills + 1):
            with process(tmp_path, where) as (running, api):
                resend(api, clients)
                check(api, clients)
                assert api.decide("small", ROW | {"job": None}).json()["decisions"][0]["by"] == "overlay"
                if kill < kills:
                    kill_at_work(running, str(api.base_url), clients)
    assert sum(len(client.acknowledged) for client in clients) >= kills


def kill_at_work(running: subprocess.Popen[str], url: str, clients: list[Client]) -> None:
    """Let the clients edit, and kill the service soon after the first edit was acknowledged."""
    stop, before = threading.Event(), sum(len(client.acknowledged) for client in clients)
    threads = [threading.Thread(target=client.work, args=(url, stop)) for client in clients]
    for thread in threads:
        thread.start()
    while sum(len(client.acknowledged) for client in clients) == before:
        time.sleep(0.01)
    time.sleep(random.uniform(0.0, 0.5))
    running.send_signal(signal.SIGKILL)
    running.wait(30)
    stop.set()
    for thread in threads:
        thread.join(60)


# --- jobs ------------------------------------------------------------------------------------


class Dead(BaseException):
    """What the storage raises once the process is taken for killed; nothing catches it."""


class Dying:
    """A storage that works for so many calls, once armed, and then never again."""

    def __init__(self, calls: int) -> None:
        self.left, self.armed = calls, False

    def __call__(self, call: str) -> None:
        """Work, or be gone."""
        if self.armed:
            self.left -= 1
            if self.left < 0:
                raise Dead


def opened(settings: Settings, **more: Any) -> Workspace:
    """A workspace at work."""
    workspace = Workspace(settings, **more)
    workspace.start()
    return workspace


def left(workspace: Workspace) -> None:
    """Let go of a workspace as the system does for a killed process: nothing more is written."""
    for schedule in workspace._schedules:
        schedule.close()
    workspace._jobs._pool.shutdown(wait=True)
    workspace._repository.close()
    workspace._claim.release()


def prepared(folder: Path, database: str = "", rulesets: int = 1) -> tuple[list[str], str]:
    """A data folder with a model, rule sets and an active release of the last; the rule sets, and the release."""
    workspace = opened(local(folder, publish_seconds=1e6, database=database))
    made: list[str] = []
    try:
        table = workspace.add_dataset(io.BytesIO(small_table()), "t", ".csv", by=LOCAL)["id"]
        model = ended(workspace, workspace.train(table, TARGET, by=LOCAL)["id"])["result"]["model"]
        for _ in range(rulesets):
            found = ended(workspace, workspace.extract(model, by=LOCAL, max_clauses=8)["id"])["result"]
            made.append(found["ruleset"])
        edited = workspace.edit(
            found["ruleset"],
            found["revision"],
            ["new IF age < 30 AND job is missing THEN yes"],
            reason="test",
            by=LOCAL,
        )
        job = workspace.make_release(edited["id"], "small", "overlay-hard", by=LOCAL)
        release = ended(workspace, job["id"])["result"]["release"]
        workspace.workflow.activate(release, "test", by=LOCAL)
        return made, release
    finally:
        workspace.close()


def ended(workspace: Workspace, job: str, seconds: float = 300) -> dict[str, Any]:
    """The job once it has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = workspace.job(job)
        if found["state"] in FINISHED:
            return found
        time.sleep(0.01)
    raise AssertionError(f"the job hasn't ended in {seconds} s: {found}")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_retraining_job_killed_at_any_step_goes_on(tmp_path: Path, count: Callable[[int, int], int]) -> None:
    """At each of its calls to the storage: the old release serves on, and the job ends with one whole model."""
    (ruleset,), release = prepared(tmp_path)
    every = count(7, 1)
    for made, calls in enumerate(range(0, 10_000, every)):
        storage = Dying(calls)
        workspace = opened(local(tmp_path, publish_seconds=1e6, progress_seconds=0.0), storage=storage)
        job = workspace.make_release(ruleset, "small", "retrain", by=LOCAL)["id"]
        storage.armed = True
        workspace._jobs._pool.shutdown(wait=True)
        survived = storage.left >= 0
        left(workspace)
        workspace = opened(local(tmp_path, publish_seconds=1e6))
        try:
            assert workspace.serving("small").id == release
            job_view = ended(workspace, job)
            assert job_view["state"] == "succeeded"
            releases = workspace.releases(Page(200))["items"]
            assert len(releases) == made + 2
            assert workspace._shelf.release(job_view["result"]["release"]).model.file.hash
            assert workspace.audit.verify()["ok"]
        finally:
            workspace.close()
        if survived:
            break
    assert survived
    assert made > 2


def test_a_killed_retraining_goes_on_where_it_was(tmp_path: Path) -> None:
    """kill -9 once a training is done: the next start finds that one, and the release is as one that nobody cut off."""
    (ruleset,), _ = prepared(tmp_path / "data")
    asked = {"ruleset": ruleset, "name": "small", "mode": "retrain", "strategy": "adaptive"}
    with process(tmp_path, tmp_path) as (running, api):
        api.result("/v1/releases", asked)
        job = api.post("/v1/releases", json=asked)
        kept = tmp_path / "data" / "jobs" / job.json()["id"]
        while not list(kept.glob("*.model.txt")):
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        running.wait(30)
    first = {file.name: file.stat().st_ino for file in kept.glob("*.model.txt")}
    seen: dict[str, int] = {}
    with process(tmp_path, tmp_path) as (_, api):
        assert api.decide("small", ROW).status_code == 200
        while api.get(job.headers["Location"]).json()["state"] not in FINISHED:
            with contextlib.suppress(FileNotFoundError):
                seen |= {file.name: file.stat().st_ino for file in kept.glob("*.model.txt")}
        assert api.ended(job)["state"] == "succeeded"
        assert {name: seen[name] for name in first} == first
        assert not kept.exists()
        cut, whole = api.get("/v1/audit", params={"action": "make release", "limit": 2}).json()["items"]
        assert cut["payload"]["hashes"] == whole["payload"]["hashes"]
