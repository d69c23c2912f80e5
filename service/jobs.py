"""Jobs: long work, recorded in the database and run in a few threads of this process.

A job's request is JSON and its kind names what runs it, so that a queued job survives a restart. A
running one doesn't yet: it is marked failed when the service starts again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from ruleedit.errors import Cancelled, RuleEditError
from service.errors import StateRefused, UnknownJob
from service.people import SERVICE, Person
from service.store.records import Event, JobRecord
from service.store.repository import Repository

log = logging.getLogger(__name__)
CANCELLED = {"code": "cancelled", "detail": "the job was cancelled"}
INTERRUPTED = {"code": "interrupted", "detail": "interrupted by a restart; ask for it again"}


class Watch:
    """What a job's work calls with the steps done and all of them; raises `Cancelled` where somebody stopped it."""

    def __init__(self, write: Callable[[int, int], None], seconds: float) -> None:
        self._write = write
        self._seconds = seconds
        self._written = 0.0
        self._stop = threading.Event()

    def __call__(self, done: int, of: int, *said: object) -> None:
        """Record progress, and end the work where it was stopped."""
        self.check()
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


Runner: TypeAlias = Callable[[dict[str, Any], Watch], dict[str, Any]]


class Jobs:
    """The jobs of one service.

    ``runners`` runs each kind: it is given the request and a `Watch`, and returns the result.
    """

    def __init__(
        self,
        repository: Repository,
        runners: Mapping[str, Runner],
        *,
        new_id: Callable[[str], str],
        workers: int,
        progress_seconds: float,
    ) -> None:
        self._repository = repository
        self._runners = runners
        self._new_id = new_id
        self._seconds = progress_seconds
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="job")
        self._running: dict[str, Watch] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def start(self) -> None:
        """Mark what a restart interrupted as failed, and take up what was queued."""
        for job in self._repository.jobs_in("running"):
            self._end(job, "failed", error=INTERRUPTED)
        for job in self._repository.jobs_in("queued"):
            self._pool.submit(self._run, job)

    def close(self) -> None:
        """Stop: running jobs end at their next step as interrupted, queued ones wait for the next start."""
        with self._lock:
            self._closing.set()
            for watch in self._running.values():
                watch.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, kind: str, request: dict[str, Any], by: Person) -> JobRecord:
        """Record a job with who asked for it, and queue it."""
        request = request | {"by": by.to_json()}
        job = JobRecord(self._new_id("job"), self._repository.moment(), kind, request, "queued")
        self._repository.add(job, Event("submit job", job.id, by.name, detail={"kind": kind, "request": request}))
        self._pool.submit(self._run, job)
        return job

    def get(self, name: str) -> JobRecord:
        """A job as it stands; raises `UnknownJob`."""
        return self._repository.get(JobRecord, name, UnknownJob)

    def cancel(self, name: str, by: Person) -> JobRecord:
        """Cancel a job: a queued one at once, a running one at its next step; raises `StateRefused` once it ended."""
        job = self.get(name)
        if not self._end(job, "cancelled", before="queued", error=CANCELLED, by=by):
            with self._lock:
                watch = self._running.get(name)
                if watch is not None:
                    watch.stop()
            if watch is None and self.get(name).state != "cancelled":
                raise StateRefused(f"the job {name!r} has ended already")
        return self.get(name)

    def _run(self, job: JobRecord) -> None:
        watch = Watch(lambda done, of: self._repository.progress_job(job.id, done, of), self._seconds)
        with self._lock:
            if self._closing.is_set() or not self._repository.move_job(job.id, ["queued"], "running"):
                return
            self._running[job.id] = watch
        try:
            watch.check()
            self._end(job, "succeeded", result=self._runners[job.kind](job.request, watch))
        except Cancelled:
            if self._closing.is_set():
                self._end(job, "failed", error=INTERRUPTED)
            else:
                self._end(job, "cancelled", error=CANCELLED)
        except RuleEditError as problem:
            self._end(job, "failed", error={"code": problem.code, "detail": str(problem)})
        except Exception:
            log.exception("job %s failed", job.id)
            detail = "something failed on the server's side; its log says what"
            self._end(job, "failed", error={"code": "internal-error", "detail": detail})
        finally:
            with self._lock:
                del self._running[job.id]

    def _end(
        self,
        job: JobRecord,
        state: Any,
        *,
        before: Any = "running",
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
        by: Person = SERVICE,
    ) -> bool:
        detail = {"result": result} if error is None else {"error": error}
        happened = Event(f"job {state}", job.id, by.name, detail=detail)
        return self._repository.move_job(job.id, [before], state, result=result, error=error, happened=happened)
