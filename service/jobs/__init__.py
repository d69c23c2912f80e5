"""Jobs: long work, recorded in the database and run in a few threads of one of the processes that share it.

A job's request is JSON, seed included, and its kind names what runs it, so that both a queued and a
running job survive a restart: the work begins again, with the same outcome, from what it has kept in
its folder. What it made and the mark that it succeeded are one transaction, so that it is made once.

Whichever process is free takes the oldest job that waits, by one guarded write. A process that hasn't
said for a while that it is alive has lost its jobs to the others; should it only have been slow, what it
writes of them any more counts for nothing, as each beginning has a number.
"""

from __future__ import annotations

import contextlib
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
from service.store.peers import Peers
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
    ``peers`` are the processes that take jobs from the same database. In ``folder`` each job has one of its
    own while it hasn't ended.
    """

    def __init__(
        self,
        repository: Repository,
        runners: Mapping[str, Runner],
        peers: Peers,
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
        self._peers = peers
        self._workers = workers
        self._pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="job")
        #: By the job and the number of its beginning.
        self._running: dict[tuple[str, int], Watch] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def start(self) -> None:
        """Take up what was queued, and begin again what a restart interrupted."""
        self._recover()
        self._tidy()
        self._offer(self._repository.waiting_jobs())

    def look(self) -> None:
        """Look for what other processes did: jobs to take up, jobs that are no longer this one's."""
        self._recover()
        with self._lock:
            mine = dict(self._running)
        still = {(job.id, job.attempts) for job in self._repository.jobs_in("running")} if mine else set()
        for begun, watch in mine.items():
            if begun not in still:
                watch.stop()
        waiting = self._repository.waiting_jobs()
        self._offer(min(waiting, self._workers - len(mine)))

    def _recover(self) -> None:
        """Queue again the jobs of processes that have ended, of all of them where nobody else can be there."""
        seconds = self._peers.seconds
        lost = self._repository.jobs_in("running") if seconds is None else self._repository.lost_jobs(seconds)
        for job in lost:
            if job.attempts >= MOST_ATTEMPTS:
                self._end(job, "failed", INTERRUPTED)
            else:
                self._repository.requeue_job(job)

    def _tidy(self) -> None:
        """Remove what ended jobs kept: whoever ran them was killed before it could."""
        kept = list(self._folder.glob("*"))
        going = {job.id for state in ("queued", "running") for job in self._repository.jobs_in(state)}
        for folder in kept:
            if folder.name not in going:
                shutil.rmtree(folder, ignore_errors=True)

    def _offer(self, jobs: int) -> None:
        """Have so many jobs taken up, as soon as threads are free."""
        for _ in range(jobs if self._workers else 0):
            with contextlib.suppress(RuntimeError):  # it closes
                self._pool.submit(self._take)

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
        waiting = self._repository.waiting_jobs()
        if waiting >= self._most_waiting:
            raise QueueFull(f"{waiting} jobs wait already; ask again later, or cancel some", RETRY_SECONDS)
        asked = request | {"by": by.to_json()}
        job = JobRecord(self._new_id("job"), self._repository.moment(), kind, asked, "queued")
        with self._repository.change(by) as change:
            change.add(job)
            change.happened(Happened("submit job", job.id, payload={"kind": kind, "request": request}))
            reply = answer(change, job)
        self._offer(1)
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
            if not change.cancel_job(name, CANCELLED):
                raise StateRefused(f"the job {name!r} has ended already")
            change.happened(Happened("job cancelled", name))
            reply = answer(change, replace(job, state="cancelled", error=CANCELLED))
        with self._lock:
            for (job_id, _), watch in self._running.items():
                if job_id == name:
                    watch.stop()
        if job.state == "queued":
            shutil.rmtree(self._folder / name, ignore_errors=True)
        return reply

    def _take(self) -> None:
        """Begin the oldest job that waits, if one still does."""
        with self._lock:
            if self._closing.is_set() or (job := self._repository.begin_job(self._peers.id)) is None:
                return
            watch = self._watch(job)
            self._running[job.id, job.attempts] = watch
        self._run(job, watch)

    def _watch(self, job: JobRecord) -> Watch:
        def progress(done: int, of: int) -> None:
            self._repository.progress_job(job, done, of, watch.course)

        watch = Watch(progress, self._seconds, self._folder / job.id)
        return watch

    def _run(self, job: JobRecord, watch: Watch) -> None:
        try:
            self._finish(job, self._runners[job.kind](job.request, watch))
        except Cancelled:
            # It was cancelled, and is marked so, or lost; or the service stops, and it begins again later.
            if self._closing.is_set():
                self._repository.requeue_job(job)
        except RuleEditError as problem:
            self._end(job, "failed", {"code": problem.code, "detail": str(problem)})
        except Exception:
            log.exception("job %s failed", job.id)
            self._end(job, "failed", FAULT)
        finally:
            with self._lock:
                del self._running[job.id, job.attempts]
            self._forget(job.id)

    def _forget(self, job: str) -> None:
        """Remove what a job kept, once it has ended."""
        if self.get(job).state in FINISHED:
            shutil.rmtree(self._folder / job, ignore_errors=True)

    def _finish(self, job: JobRecord, made: Made) -> None:
        """Write what a job made and that it succeeded, unless it was cancelled or lost meanwhile."""
        with self._repository.change(requester(job)) as change:
            result = made(change)
            if not change.end_job(job, "succeeded", result=result):
                change.abandon()

    def _end(self, job: JobRecord, state: JobState, error: dict[str, Any]) -> None:
        with self._repository.change(requester(job)) as change:
            if not change.end_job(job, state, error=error):
                change.abandon()
            change.happened(Happened(f"job {state}", job.id, payload={"error": error}))


def requester(job: JobRecord) -> Person:
    """Who asked for a job."""
    return Person.from_json(job.request["by"])
