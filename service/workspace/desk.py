"""What the workspace works with: its parts, how they start and stop, and what is asked of jobs and keys."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ruleedit.rules import RuleSet
from ruleedit.tables.groups import Grouping
from service.audit import Audit
from service.audit.heads import Heads
from service.auth.keys import REVOKED, Keys
from service.errors import NotReady, UnknownKey
from service.jobs import Jobs, Watch
from service.jobs.children import Children
from service.jobs.tasks import Tasks
from service.once import Attempt, Once
from service.people import Person, Role
from service.scoring import Scoring
from service.scoring.log import DecisionLog
from service.settings import Settings
from service.shelf import Kept, Shelf
from service.store.change import Record
from service.store.files import Claim, Files
from service.store.peers import Peers
from service.store.records import (
    JobRecord,
    KeyRecord,
    Why,
)
from service.store.repository import Repository, now, random_id
from service.store.seam import Storage, real_storage
from service.views import (
    job_view,
    key_view,
)
from service.workspace.counterexamples import Counterexamples
from service.workspace.following import Following
from service.workspace.insight import Lens
from service.workspace.schedule import Chore, Schedule, run
from service.workspace.trials import TRIED, Trials
from service.workspace.workflow import SWITCHES, Workflow


@dataclass(frozen=True)
class Page:
    """What part of a list is asked for: at most ``limit`` items, those before the number ``before``."""

    limit: int
    before: int | None = None


class Desk:
    """The parts that every method of the workspace works with, made for one data folder; how they start and stop."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = now,
        new_id: Callable[[str], str] = random_id,
        storage: Storage = real_storage,
    ) -> None:
        self.settings = settings
        self._new_id = new_id
        self._claim = Claim(settings.data_dir, shared=settings.shared)
        self._files = Files(settings.data_dir / "files", storage, self._claim.seat)
        self._repository = Repository(
            settings.store, clock, new_id=new_id, storage=storage, notice=settings.notice, shared=settings.shared
        )
        self._peers = Peers(self._repository.database, settings.lease_seconds if settings.shared else None)
        self._once = Once(self._repository, clock)
        self._heads = Heads(settings.heads_file, settings.key_file)
        self.audit = Audit(self._repository, self._heads, self._once, clock)
        self._shelf = Shelf(self._repository, self._files)
        self._lenses: Kept[tuple[str, RuleSet, tuple[Grouping, ...]], Lens] = Kept(2)
        children = Children(settings.job_memory, settings.job_seconds)
        self._looking = Children(settings.job_memory, settings.look_seconds)
        self.tasks = Tasks(self._repository, self._files, self._shelf, new_id, children)
        self._jobs = Jobs(
            self._repository,
            self.tasks.runners,
            self._peers,
            folder=settings.data_dir / "jobs",
            new_id=new_id,
            workers=settings.workers,
            most_waiting=settings.most_jobs,
            progress_seconds=settings.progress_seconds,
        )
        self.keys = Keys(self._repository, new_id=new_id, clock=clock, seconds=settings.key_seconds)
        self._decision_log = None if settings.decision_log == "off" else DecisionLog(settings, clock, self._claim.seat)
        self.scoring = Scoring(self._decision_log, clock)
        self.scoring.waiting = "the active releases are being loaded"
        self.workflow = Workflow(self._repository, self._shelf, self.scoring, self._once, settings, clock)
        self.counterexamples = Counterexamples(self._repository, self._shelf, self._once, new_id)
        self.trials = Trials(self._repository, self._shelf, self.scoring, self._once, self.workflow)
        readers = {self.workflow.follow: SWITCHES, self.trials.follow: TRIED, self.keys.forget: REVOKED}
        self._following = Following(self._repository, readers)
        self._schedules = [Schedule(chores) for chores in self._chores()]
        self._waiting_for: str | None = "the active releases are being loaded"

    def start(self) -> None:
        """Load the active releases and take up the queued jobs."""
        self._peers.beat()
        self._following.start()
        self.workflow.start()
        self.scoring.waiting = None
        self.trials.follow()
        self._jobs.start()
        for schedule in self._schedules:
            schedule.start()

    def say_ready(self, waiting_for: str | None = None) -> None:
        """Say what requests still have to wait for; None: nothing."""
        self._waiting_for = waiting_for

    def check_ready(self) -> None:
        """Raise `NotReady` while the service is starting, or can't follow what other processes change."""
        if self._waiting_for is not None:
            raise NotReady(self._waiting_for)
        if self._following.problem is not None:
            raise NotReady(f"what other processes changed can't be read: {self._following.problem}")

    def close(self) -> None:
        """Stop the jobs, write what waits, publish where the audit stands, and let go of the data folder."""
        for schedule in self._schedules[1:]:
            schedule.close()
        self._jobs.close()
        self.trials.close()
        if self._decision_log is not None:
            self._decision_log.close()
        run(Chore("publish the head of the audit chain", 0.0, self.audit.publish))
        self._schedules[0].close()
        run(Chore("leave", 0.0, self._peers.leave))
        self._repository.close()
        self._claim.release()

    def _chores(self) -> list[list[Chore]]:
        """What is done again and again, each list in a thread: to stay alive, what one process does, what each does."""
        chosen = self.settings
        led = [
            Chore("publish the head of the audit chain", chosen.publish_seconds, self.audit.publish),
            Chore("retire what has expired", chosen.expiry_seconds, self.workflow.retire),
            Chore("forget old replies", 600.0, lambda: self._once.forget(chosen.keep_keys_hours)),
            Chore("erase old payloads", 3600.0, lambda: self.audit.retain(chosen.keep_payloads_days)),
        ]
        every = [Chore("write what trials counted", 1.0, self.trials.write)]
        if not chosen.shared:
            return [[], led, every]
        beat = Chore("say that this process is alive", chosen.lease_seconds / 3, self._peers.beat)
        every += [
            Chore("follow what other processes changed", chosen.follow_seconds, self._following.look),
            Chore("look for jobs", chosen.follow_seconds, self._jobs.look),
        ]
        return [[beat], [replace(chore, run=functools.partial(self._led, chore)) for chore in led], every]

    def _led(self, chore: Chore) -> None:
        if self._peers.leads():
            chore.run()

    # --- keys

    def issue_key(
        self, name: str, roles: Sequence[Role], *, by: Person, expires: datetime | None = None, reason: Why = ""
    ) -> dict[str, Any]:
        """Make a key for a person or a system; the only answer that ever shows it."""
        record, text = self.keys.issue(name, roles, by=by, expires=expires, reason=reason)
        return key_view(record) | {"key": text}

    def revoke_key(self, name: str, reason: Why, *, by: Person) -> dict[str, Any]:
        """Let a key open nothing any more; raises `UnknownKey`, and `StateRefused` for the last admin's."""
        with self._once.attempt("revoke key", name, reason) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            return dict(
                self.keys.revoke(name, reason, by=by, answer=lambda change, key: attempt.answer(change, key_view(key)))
            )

    def key(self, name: str) -> dict[str, Any]:
        """A key's record; raises `UnknownKey`."""
        return key_view(self._repository.get(KeyRecord, name, UnknownKey))

    def list_keys(self, page: Page) -> dict[str, Any]:
        """The keys, newest first."""
        return self._page(KeyRecord, page, key_view)

    # --- jobs

    def job(self, name: str) -> dict[str, Any]:
        """A job as it stands; raises `UnknownJob`."""
        return job_view(self._jobs.get(name))

    def jobs(self, page: Page) -> dict[str, Any]:
        """The jobs, newest first."""
        return self._page(JobRecord, page, job_view)

    def cancel(self, name: str, *, by: Person) -> dict[str, Any]:
        """Cancel a job; raises `StateRefused` where it has ended."""
        with self._once.attempt("cancel job", name) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            return dict(self._jobs.cancel(name, by, lambda change, job: attempt.answer(change, job_view(job))))

    def run(self, kind: str, request: dict[str, Any], watch: Watch, by: Person) -> dict[str, Any]:
        """Do the work of a job here and now; returns its result."""
        made = self.tasks.runners[kind](request | {"by": by.to_json()}, watch)
        with self._repository.change(by) as change:
            return made(change)

    def _submit(self, attempt: Attempt, kind: str, request: dict[str, Any], by: Person) -> dict[str, Any]:
        if attempt.earlier is not None:
            return dict(attempt.earlier)
        return dict(self._jobs.submit(kind, request, by, lambda change, job: attempt.answer(change, job_view(job))))

    def count_jobs(self) -> dict[str, int]:
        """How many jobs are in each state."""
        return self._repository.count_jobs()

    def metrics(self) -> Iterator[Metric]:
        """What is counted here, for Prometheus."""
        yield from self.scoring.metrics()
        jobs = GaugeMetricFamily("ruleedit_jobs", "Jobs by state.", labels=["state"])
        for state, count in sorted(self.count_jobs().items()):
            jobs.add_metric([state], count)
        yield jobs
        failed = CounterMetricFamily("ruleedit_chore_failures", "Chores that failed, by name.", labels=["chore"])
        for schedule in self._schedules:
            for name, count in schedule.failures.items():
                failed.add_metric([name], count)
        yield failed

    def _page(self, kind: type[Record], page: Page, view: Callable[[Record], dict[str, Any]]) -> dict[str, Any]:
        records, more = self._repository.page(kind, page.limit, page.before)
        return {"items": [view(record) for record in records], "next": None if more is None else str(more)}
