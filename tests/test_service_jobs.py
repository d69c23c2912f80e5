"""Jobs: states, progress, cancelling, and what a restart makes of them."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ruleedit.errors import Cancelled, Refused
from service.errors import StateRefused, UnknownJob
from service.jobs import Jobs, Watch
from service.people import LOCAL
from service.store.records import FINISHED, Event, JobRecord
from service.store.repository import Repository

WAIT = 10


class Bench:
    """Jobs over a real database, with runners that a test gives."""

    def __init__(self, path: Path, **runners: Callable[[dict[str, Any], Watch], dict[str, Any]]) -> None:
        self.repository = Repository(path)
        numbers = itertools.count(1)
        self.jobs = Jobs(
            self.repository,
            runners,
            new_id=lambda kind: f"{kind}-{next(numbers)}",
            workers=1,
            progress_seconds=0.0,
        )

    def ended(self, name: str) -> JobRecord:
        """The job once it has ended."""
        tick = threading.Event()
        for _ in range(WAIT * 100):
            job = self.jobs.get(name)
            if job.state in FINISHED:
                return job
            tick.wait(0.01)
        raise AssertionError(f"{name} has not ended")

    def close(self) -> None:
        """Stop, as a graceful shutdown does."""
        self.jobs.close()
        self.repository.close()


@pytest.fixture
def bench(tmp_path: Path):
    """Jobs that count, fail, or wait to be let go."""
    entered, released = threading.Event(), threading.Event()

    def count(request: dict[str, Any], watch: Watch) -> dict[str, Any]:
        for done in range(request["to"]):
            watch(done + 1, request["to"], "a note")
        return {"counted": request["to"]}

    def refuse(request: dict[str, Any], watch: Watch) -> dict[str, Any]:
        raise Refused("no such thing")

    def crash(request: dict[str, Any], watch: Watch) -> dict[str, Any]:
        raise RuntimeError("a secret path")

    def hold(request: dict[str, Any], watch: Watch) -> dict[str, Any]:
        entered.set()
        while not released.wait(0.01):
            watch(0, 1)
        return {}

    found = Bench(tmp_path / "jobs.db", count=count, refuse=refuse, crash=crash, hold=hold)
    found.entered, found.released = entered, released  # type: ignore[attr-defined]
    yield found
    released.set()
    found.close()


def test_a_job_succeeds_with_its_result(bench: Bench) -> None:
    """Its progress is that of the last step."""
    job = bench.ended(bench.jobs.submit("count", {"to": 3}, LOCAL).id)
    assert (job.state, job.result, job.error) == ("succeeded", {"counted": 3}, None)
    assert (job.done, job.of) == (3, 3)


def test_a_refusal_is_the_job_s_error(bench: Bench) -> None:
    """With the code that the API would give."""
    job = bench.ended(bench.jobs.submit("refuse", {}, LOCAL).id)
    assert (job.state, job.result, job.error) == ("failed", None, {"code": "refused", "detail": "no such thing"})


def test_a_crash_says_nothing_of_the_inside(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the traceback, the job an internal error; the next job runs."""
    with caplog.at_level(logging.CRITICAL, logger="service.jobs"):
        job = bench.ended(bench.jobs.submit("crash", {}, LOCAL).id)
    assert job.state == "failed"
    assert job.error is not None
    assert job.error["code"] == "internal-error"
    assert "secret" not in str(job.error)
    assert bench.ended(bench.jobs.submit("count", {"to": 1}, LOCAL).id).state == "succeeded"


def test_a_queued_job_is_cancelled_at_once(bench: Any) -> None:
    """It never runs."""
    held = bench.jobs.submit("hold", {}, LOCAL)
    bench.entered.wait(WAIT)
    queued = bench.jobs.submit("count", {"to": 1}, LOCAL)
    assert bench.jobs.cancel(queued.id, LOCAL).state == "cancelled"
    bench.released.set()
    assert bench.ended(held.id).state == "succeeded"
    assert bench.jobs.get(queued.id).result is None


def test_a_running_job_is_cancelled_at_its_next_step(bench: Any) -> None:
    """It ends as cancelled with that code."""
    held = bench.jobs.submit("hold", {}, LOCAL)
    bench.entered.wait(WAIT)
    bench.jobs.cancel(held.id, LOCAL)
    job = bench.ended(held.id)
    assert job.state == "cancelled"
    assert job.error["code"] == "cancelled"


def test_an_ended_job_can_t_be_cancelled(bench: Bench) -> None:
    """Cancelling a cancelled one again is refused too: it has ended."""
    job = bench.ended(bench.jobs.submit("count", {"to": 1}, LOCAL).id)
    with pytest.raises(StateRefused, match="has ended already"):
        bench.jobs.cancel(job.id, LOCAL)
    assert bench.jobs.get(job.id).state == "succeeded"


def test_an_unknown_job_is_refused(bench: Bench) -> None:
    """By get and by cancel."""
    with pytest.raises(UnknownJob):
        bench.jobs.get("none")
    with pytest.raises(UnknownJob):
        bench.jobs.cancel("none", LOCAL)


def test_a_restart_fails_what_was_running_and_runs_what_was_queued(bench: Bench) -> None:
    """A killed process leaves both; the next start settles them."""
    for name, state in (("old-1", "running"), ("old-2", "queued")):
        record = JobRecord(name, "2026-01-01T00:00:00.000Z", "count", {"to": 2}, state)  # type: ignore[arg-type]
        bench.repository.add(record, Event("test", name))
    bench.jobs.start()
    interrupted = bench.jobs.get("old-1")
    assert interrupted.state == "failed"
    assert interrupted.error is not None
    assert interrupted.error["code"] == "interrupted"
    assert "restart" in interrupted.error["detail"]
    assert bench.ended("old-2").result == {"counted": 2}


def test_a_graceful_stop_ends_the_running_job_and_keeps_the_queued_one(bench: Any, tmp_path: Path) -> None:
    """The running one is interrupted, the queued one waits for the next start."""
    held = bench.jobs.submit("hold", {}, LOCAL)
    bench.entered.wait(WAIT)
    queued = bench.jobs.submit("count", {"to": 1}, LOCAL)
    bench.jobs.close()
    assert bench.jobs.get(held.id).error["code"] == "interrupted"
    assert bench.jobs.get(queued.id).state == "queued"


def test_each_change_of_state_leaves_an_event(bench: Bench) -> None:
    """Submitted and ended, with the request and the result."""
    job = bench.ended(bench.jobs.submit("count", {"to": 1}, LOCAL).id)
    events = [(event.action, event.detail) for event in bench.repository.events() if event.resource == job.id]
    assert events == [
        ("submit job", {"kind": "count", "request": {"to": 1, "by": LOCAL.to_json()}}),
        ("job succeeded", {"result": {"counted": 1}}),
    ]


def test_progress_is_written_now_and_then() -> None:
    """The first step, what comes after the interval, and always the last."""
    written: list[tuple[int, int]] = []
    watch = Watch(lambda done, of: written.append((done, of)), seconds=1_000.0)
    for done in range(101):
        watch(done, 100)
    assert written[-1] == (100, 100)
    assert len(written) <= 2


def test_a_stopped_watch_ends_the_work() -> None:
    """At the next step, however it is asked."""
    watch = Watch(lambda done, of: None, seconds=0.0)
    watch(1, 2)
    assert not watch.stopped()
    watch.stop()
    assert watch.stopped()
    with pytest.raises(Cancelled):
        watch(2, 2)
    with pytest.raises(Cancelled):
        watch.check()
