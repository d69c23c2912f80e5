"""Jobs: states, progress, cancelling, and what a restart makes of them."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ruleedit.errors import Cancelled, Refused
from service.errors import StateRefused, UnknownJob
from service.jobs import MOST_ATTEMPTS, MOST_ROUNDS, Jobs, Made, Runner, Watch
from service.people import LOCAL
from service.store.change import Change
from service.store.peers import Peers
from service.store.records import FINISHED, Happened, JobRecord
from service.store.repository import Repository

#: Seconds that a test waits for what happens at once, unless the machine has much else to do.
WAIT = 60


def made(**result: Any) -> Made:
    """What writes a job's outcome: the event of it."""

    def write(change: Change) -> dict[str, Any]:
        change.happened(Happened("count", "something", payload=result))
        return result

    return write


class Bench:
    """Jobs over a real database, with runners that a test gives."""

    def __init__(self, where: Path | str, folder: Path, **runners: Runner) -> None:
        self.folder = folder
        self.repository = Repository(where)
        numbers = itertools.count(1)
        self.jobs = Jobs(
            self.repository,
            runners,
            Peers(self.repository.database, None),
            folder=folder,
            new_id=lambda kind: f"{kind}-{next(numbers)}",
            workers=1,
            most_waiting=50,
            progress_seconds=0.0,
        )

    def submit(self, kind: str, request: dict[str, Any]) -> JobRecord:
        """Ask for a job."""
        job: JobRecord = self.jobs.submit(kind, request, LOCAL, lambda change, job: job)
        return job

    def cancel(self, name: str) -> JobRecord:
        """Cancel a job; as the answer to it says."""
        job: JobRecord = self.jobs.cancel(name, LOCAL, lambda change, job: job)
        return job

    def actions(self) -> list[str]:
        """What happened, oldest first."""
        return [event.action for event in self.repository.events()]

    def ended(self, name: str) -> JobRecord:
        """The job once it has ended."""
        return self.seen(name, lambda job: job.state in FINISHED)

    def seen(self, name: str, so: Callable[[JobRecord], bool]) -> JobRecord:
        """The job once it is ``so``."""
        tick = threading.Event()
        for _ in range(WAIT * 100):
            job = self.jobs.get(name)
            if so(job):
                return job
            tick.wait(0.01)
        raise AssertionError(f"{name} never was: {job}")

    def close(self) -> None:
        """Stop, as a graceful shutdown does."""
        self.jobs.close()
        self.repository.close()


@pytest.fixture
def bench(where: Path | str, tmp_path: Path) -> Iterator[Bench]:
    """Jobs that count, fail, keep something, or wait to be let go."""
    entered, released = threading.Event(), threading.Event()

    def count(request: dict[str, Any], watch: Watch) -> Made:
        for done in range(request["to"]):
            watch(done + 1, request["to"], "a note")
        return made(counted=request["to"])

    def refuse(request: dict[str, Any], watch: Watch) -> Made:
        raise Refused("no such thing")

    def crash(request: dict[str, Any], watch: Watch) -> Made:
        raise RuntimeError("a secret path")

    def hold(request: dict[str, Any], watch: Watch) -> Made:
        entered.set()
        while not released.wait(0.01):
            watch(0, 1)
        return made()

    def keep(request: dict[str, Any], watch: Watch) -> Made:
        assert watch.kept is not None
        watch.kept.mkdir(parents=True, exist_ok=True)
        done = len(list(watch.kept.iterdir()))
        (watch.kept / str(done)).touch()
        if request["holds"]:
            hold(request, watch)
        return made(done_before=done)

    found = Bench(where, tmp_path / "jobs", count=count, refuse=refuse, crash=crash, hold=hold, keep=keep)
    found.entered, found.released = entered, released  # type: ignore[attr-defined]
    yield found
    released.set()
    found.close()


def test_a_job_succeeds_with_its_result(bench: Bench) -> None:
    """Its progress is that of the last step."""
    job = bench.ended(bench.submit("count", {"to": 3}).id)
    assert (job.state, job.result, job.error) == ("succeeded", {"counted": 3}, None)
    assert (job.done, job.of) == (3, 3)


def test_a_job_that_succeeded_has_done_every_step(bench: Any) -> None:
    """Also where its work said how many there are and not that the last one was done; one that was cancelled hasn't."""
    held = bench.submit("hold", {})
    assert bench.seen(held.id, lambda job: job.of == 1).done == 0
    bench.released.set()
    assert [getattr(bench.ended(held.id), name) for name in ("state", "done", "of")] == ["succeeded", 1, 1]
    bench.released.clear()
    stopped = bench.submit("hold", {})
    bench.seen(stopped.id, lambda job: job.of == 1)
    bench.cancel(stopped.id)
    assert (bench.jobs.get(stopped.id).done, bench.jobs.get(stopped.id).of) == (0, 1)


def test_a_refusal_is_the_job_s_error(bench: Bench) -> None:
    """With the code that the API would give."""
    job = bench.ended(bench.submit("refuse", {}).id)
    assert (job.state, job.result, job.error) == ("failed", None, {"code": "refused", "detail": "no such thing"})


def test_a_crash_says_nothing_of_the_inside(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the traceback, the job an internal error; the next job runs."""
    with caplog.at_level(logging.CRITICAL, logger="service.jobs"):
        job = bench.ended(bench.submit("crash", {}).id)
    assert job.state == "failed"
    assert job.error is not None
    assert job.error["code"] == "internal-error"
    assert "secret" not in str(job.error)
    assert bench.ended(bench.submit("count", {"to": 1}).id).state == "succeeded"


def test_a_queued_job_is_cancelled_at_once(bench: Any) -> None:
    """It never runs."""
    held = bench.submit("hold", {})
    bench.entered.wait(WAIT)
    queued = bench.submit("count", {"to": 1})
    assert bench.cancel(queued.id).state == "cancelled"
    bench.released.set()
    assert bench.ended(held.id).state == "succeeded"
    assert bench.jobs.get(queued.id).result is None


def test_a_running_job_is_cancelled_at_once_and_makes_nothing(bench: Any) -> None:
    """It is marked so by whoever cancelled it; its work stops at the next step, and the next job runs."""
    held = bench.submit("hold", {})
    bench.entered.wait(WAIT)
    assert bench.cancel(held.id).state == "cancelled"
    assert bench.jobs.get(held.id).error["code"] == "cancelled"
    assert bench.ended(bench.submit("count", {"to": 1}).id).state == "succeeded"
    assert bench.jobs.get(held.id).state == "cancelled"
    assert bench.actions() == ["submit job", "job cancelled", "submit job", "count"]


def test_what_a_cancelled_job_made_is_thrown_away(bench: Any) -> None:
    """Where its work had no step left to stop at."""

    def heedless(request: dict[str, Any], watch: Watch) -> Made:
        bench.entered.set()
        bench.released.wait(WAIT)
        return made(counted=1)

    bench.jobs._runners = {**bench.jobs._runners, "heedless": heedless}
    job = bench.submit("heedless", {})
    bench.entered.wait(WAIT)
    bench.cancel(job.id)
    bench.released.set()
    assert bench.ended(bench.submit("count", {"to": 1}).id).state == "succeeded"
    assert bench.actions() == ["submit job", "job cancelled", "submit job", "count"]
    assert bench.jobs.get(job.id).result is None


def test_an_ended_job_can_t_be_cancelled(bench: Bench) -> None:
    """Cancelling a cancelled one again is refused too: it has ended."""
    job = bench.ended(bench.submit("count", {"to": 1}).id)
    with pytest.raises(StateRefused, match="has ended already"):
        bench.cancel(job.id)
    assert bench.jobs.get(job.id).state == "succeeded"


def test_an_unknown_job_is_refused(bench: Bench) -> None:
    """By get and by cancel."""
    with pytest.raises(UnknownJob):
        bench.jobs.get("none")
    with pytest.raises(UnknownJob):
        bench.cancel("none")


def left_by_a_kill(bench: Bench, name: str, state: str, attempts: int = 0, kind: str = "count") -> None:
    """A job as a killed process leaves it."""
    request = {"to": 2, "holds": False, "by": LOCAL.to_json()}
    with bench.repository.change(LOCAL) as change:
        change.add(JobRecord(name, "2026-01-01T00:00:00.000Z", kind, request, state, attempts=attempts))  # type: ignore[arg-type]
        change.happened(Happened("test", name))


def test_a_restart_takes_up_what_was_queued_and_what_was_running(bench: Bench) -> None:
    """Both succeed, once each."""
    left_by_a_kill(bench, "old-1", "running", 1)
    left_by_a_kill(bench, "old-2", "queued")
    bench.jobs.start()
    assert [bench.ended(name).result for name in ("old-1", "old-2")] == [{"counted": 2}] * 2
    assert [bench.jobs.get(name).attempts for name in ("old-1", "old-2")] == [2, 1]
    assert bench.actions() == ["test", "test", "count", "count"]


def test_what_a_job_kept_is_there_when_it_is_begun_again_and_gone_when_it_has_ended(bench: Bench) -> None:
    """Of two jobs that a kill left running, each finds its own; whatever else is there is of no job that goes on."""
    for name, of_kind in (("old-1", 2), ("old-2", 5), ("ended", 1)):
        (bench.folder / name).mkdir(parents=True)
        for number in range(of_kind):
            (bench.folder / name / str(number)).touch()
    for name in ("old-1", "old-2"):
        left_by_a_kill(bench, name, "running", 1, kind="keep")
    bench.jobs.start()
    assert [bench.ended(name).result for name in ("old-1", "old-2")] == [{"done_before": 2}, {"done_before": 5}]
    bench.close()
    assert list(bench.folder.iterdir()) == []


@pytest.mark.parametrize("stop", ["cancel", "close"])
def test_what_a_stopped_job_kept_stays_for_the_next_start_alone(bench: Any, stop: str) -> None:
    """A cancelled job never goes on; one that a graceful stop interrupted does."""
    job = bench.submit("keep", {"holds": True})
    bench.entered.wait(WAIT)
    if stop == "cancel":
        bench.cancel(job.id)
    bench.jobs.close()
    assert [folder.name for folder in bench.folder.iterdir()] == ([] if stop == "cancel" else [job.id])


def test_a_job_that_ends_the_service_each_time_is_given_up(bench: Bench) -> None:
    """After so many attempts it has failed, and says why."""
    left_by_a_kill(bench, "old", "running", MOST_ATTEMPTS)
    bench.jobs.start()
    job = bench.jobs.get("old")
    assert (job.state, job.error and job.error["code"]) == ("failed", "interrupted")


def test_a_graceful_stop_leaves_both_jobs_to_the_next_start(bench: Any) -> None:
    """The running one has stopped at its next step and is queued again."""
    held = bench.submit("hold", {})
    bench.entered.wait(WAIT)
    queued = bench.submit("count", {"to": 1})
    bench.jobs.close()
    assert [bench.jobs.get(job.id).state for job in (held, queued)] == ["queued", "queued"]


def test_each_change_of_state_leaves_an_event(bench: Bench) -> None:
    """Submitted with what was asked, and ended with what it made or why it failed."""
    job = bench.ended(bench.submit("count", {"to": 1}).id)
    failed = bench.ended(bench.submit("refuse", {}).id)
    events = [(event.action, event.subject, event.detail) for event in bench.repository.events()]
    assert events == [
        ("submit job", job.id, {"kind": "count", "request": {"to": 1}}),
        ("count", "something", {"counted": 1}),
        ("submit job", failed.id, {"kind": "refuse", "request": {}}),
        ("job failed", failed.id, {"error": {"code": "refused", "detail": "no such thing"}}),
    ]


def test_a_job_that_can_t_write_what_it_made_has_failed(bench: Bench) -> None:
    """Neither the half of it nor the mark is there."""

    def torn(request: dict[str, Any], watch: Watch) -> Made:
        def write(change: Change) -> dict[str, Any]:
            change.happened(Happened("count", "something"))
            raise Refused("no room")

        return write

    bench.jobs._runners = {"torn": torn}
    job = bench.ended(bench.submit("torn", {}).id)
    assert job.state == "failed"
    assert bench.actions() == ["submit job", "job failed"]


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


def test_what_is_said_of_each_round_is_the_job_s_course(bench: Any) -> None:
    """Objects are kept in order, once each; what else is said is not; a job that begins again begins its course."""
    rounds = [{"training": 1}, {"training": 1}, {"training": 2}]

    def work(request: dict[str, Any], watch: Watch) -> Made:
        for at, one in enumerate(rounds):
            watch(at + 1, len(rounds), "a note", one)
        return made()

    bench.jobs._runners["course"] = work
    job = bench.ended(bench.submit("course", {}).id)
    assert job.course == [{"training": 1}, {"training": 2}]
    assert bench.ended(bench.submit("count", {"to": 1}).id).course is None


def test_a_course_has_an_end() -> None:
    """Whatever a job says, its record stays small."""
    watch = Watch(lambda done, of: None, seconds=1_000.0)
    for number in range(MOST_ROUNDS + 10):
        watch(0, 1, {"training": number})
    assert len(watch.course) == MOST_ROUNDS
