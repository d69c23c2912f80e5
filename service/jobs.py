"""Jobs: long work, recorded in the database and run in a few threads of this process.

A job's request is JSON, seed included, and its kind names what runs it, so that both a queued and a
running job survive a restart: the work begins again, with the same outcome, from what it has kept in
its folder. What it made and the mark that it succeeded are one transaction, so that it is made once.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from ruleedit.errors import Cancelled, RuleEditError
from service.errors import QueueFull, StateRefused, UnknownJob
from service.people import Person
from service.store.change import Change
from service.store.records import FINISHED, Happened, JobRecord, JobState
from service.store.repository import Repository

log = logging.getLogger(__name__)
CANCELLED = {"code": "cancelled", "detail": "the job was cancelled"}
#: Times that a job begins before it is given up: one that ends the whole service must not do so for ever.
MOST_ATTEMPTS = 3
#: Rounds that a job's course has at most; no retraining has so many by far.
MOST_ROUNDS = 500
INTERRUPTED = {"code": "interrupted", "detail": f"the service ended {MOST_ATTEMPTS} times while the job ran"}
#: When to ask again where too many jobs wait: the shortest take about so long.
RETRY_SECONDS = 10
FAULT = {"code": "internal-error", "detail": "something failed on the server's side; its log says what"}


class Watch:
    """What a job's work calls with the steps done and all of them; raises `Cancelled` where somebody stopped it.

    In the folder ``kept`` the work may keep what it has done, so that it needn't do it again after a
    restart; it is there until the job has ended, and None for work that is no job. What it says of a
    round besides, as JSON objects, is the job's ``course``.
    """

    def __init__(self, write: Callable[[int, int], None], seconds: float, kept: Path | None = None) -> None:
        self.kept = kept
        self._write = write
        self._seconds = seconds
        self._written = 0.0
        self._stop = threading.Event()
        self.course: list[Mapping[str, Any]] = []

    def __call__(self, done: int, of: int, *said: object) -> None:
        """Record progress, and end the work where it was stopped."""
        self.check()
        for one in said:
            if isinstance(one, Mapping) and self.course[-1:] != [one] and len(self.course) < MOST_ROUNDS:
                self.course.append(one)
        if done == of or time.monotonic() - self._written >= self._seconds:
            self._written = time.monotonic()
            self._write(done, of)

    def check(self) -> None:
        """Raise `Cancelled` where the work was stopped."""
        if self.stopped():
            raise Cancelled(CANCELLED["detail"])

    def stopped(self) -> bool:
        """Whether somebody stopped the work."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Stop the work at its next step."""
        self._stop.set()


#: Writes what a job made and the event of it, and returns the job's result.
Made: TypeAlias = Callable[[Change], dict[str, Any]]
Runner: TypeAlias = Callable[[dict[str, Any], Watch], Made]


class Jobs:
    """The jobs of one service.

    ``runners`` runs each kind: it is given the request and a `Watch`, and returns what writes the outcome.
    In ``folder`` each job has one of its own while it hasn't ended.
    """

    def __init__(
        self,
        repository: Repository,
        runners: Mapping[str, Runner],
        *,
        folder: Path,
        new_id: Callable[[str], str],
        workers: int,
        most_waiting: int,
        progress_seconds: float,
    ) -> None:
        self._repository = repository
        self._runners = runners
        self._folder = folder
        self._new_id = new_id
        self._seconds = progress_seconds
        self._most_waiting = most_waiting
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="job")
        self._running: dict[str, Watch] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def start(self) -> None:
        """Take up what was queued, and begin again what a restart interrupted."""
        for job in self._repository.jobs_in("running"):
            if job.attempts >= MOST_ATTEMPTS:
                self._end(job, "failed", INTERRUPTED)
            else:
                self._repository.requeue_job(job.id)
        kept = list(self._folder.glob("*"))
        waiting = self._repository.jobs_in("queued")
        unfinished = {job.id for job in (*waiting, *self._repository.jobs_in("running"))}
        for folder in kept:
            if folder.name not in unfinished:
                shutil.rmtree(folder, ignore_errors=True)
        for job in waiting:
            self._pool.submit(self._run, job)

    def close(self) -> None:
        """Stop: running jobs end at their next step and, as queued ones, wait for the next start."""
        with self._lock:
            self._closing.set()
            for watch in self._running.values():
                watch.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, kind: str, request: dict[str, Any], by: Person, answer: Callable[[Change, JobRecord], Any]) -> Any:
        """Record a job with who asked for it, and queue it; returns what ``answer`` says of it.

        Raises `QueueFull` where too many wait.
        """
        waiting = self._repository.count_jobs().get("queued", 0)
        if waiting >= self._most_waiting:
            raise QueueFull(f"{waiting} jobs wait already; ask again later, or cancel some", RETRY_SECONDS)
        asked = request | {"by": by.to_json()}
        job = JobRecord(self._new_id("job"), self._repository.moment(), kind, asked, "queued")
        with self._repository.change(by) as change:
            change.add(job)
            change.happened(Happened("submit job", job.id, payload={"kind": kind, "request": request}))
            reply = answer(change, job)
        self._pool.submit(self._run, job)
        return reply

    def get(self, name: str) -> JobRecord:
        """A job as it stands; raises `UnknownJob`."""
        return self._repository.get(JobRecord, name, UnknownJob)

    def cancel(self, name: str, by: Person, answer: Callable[[Change, JobRecord], Any]) -> Any:
        """Cancel a job; one that runs stops at its next step, and what it makes is thrown away.

        Raises `StateRefused` where it has ended.
        """
        job = self.get(name)
        with self._repository.change(by) as change:
            if not change.move_job(name, ["queued", "running"], "cancelled", error=CANCELLED):
                raise StateRefused(f"the job {name!r} has ended already")
            change.happened(Happened("job cancelled", name))
            reply = answer(change, replace(job, state="cancelled", error=CANCELLED))
        with self._lock:
            if name in self._running:
                self._running[name].stop()
        return reply

    def _run(self, job: JobRecord) -> None:
        def progress(done: int, of: int) -> None:
            self._repository.progress_job(job.id, done, of, watch.course)

        watch = Watch(progress, self._seconds, self._folder / job.id)
        with self._lock:
            if self._closing.is_set():
                return
            if not self._repository.begin_job(job.id):
                self._forget(job.id)
                return
            self._running[job.id] = watch
        try:
            self._finish(job, self._runners[job.kind](job.request, watch))
        except Cancelled:
            # Either somebody cancelled it, and it is marked so, or the service stops, and begins it again later.
            if self._closing.is_set():
                self._repository.requeue_job(job.id)
        except RuleEditError as problem:
            self._end(job, "failed", {"code": problem.code, "detail": str(problem)})
        except Exception:
            log.exception("job %s failed", job.id)
            self._end(job, "failed", FAULT)
        finally:
            with self._lock:
                del self._running[job.id]
            self._forget(job.id)

    def _forget(self, job: str) -> None:
        """Remove what a job kept, once it has ended."""
        if self.get(job).state in FINISHED:
            shutil.rmtree(self._folder / job, ignore_errors=True)

    def _finish(self, job: JobRecord, made: Made) -> None:
        """Write what a job made and that it succeeded, unless it was cancelled meanwhile."""
        with self._repository.change(requester(job)) as change:
            result = made(change)
            if not change.move_job(job.id, ["running"], "succeeded", result=result):
                change.abandon()

    def _end(self, job: JobRecord, state: JobState, error: dict[str, Any]) -> None:
        with self._repository.change(requester(job)) as change:
            if not change.move_job(job.id, ["running"], state, error=error):
                change.abandon()
            change.happened(Happened(f"job {state}", job.id, payload={"error": error}))


def requester(job: JobRecord) -> Person:
    """Who asked for a job."""
    return Person.from_json(job.request["by"])
