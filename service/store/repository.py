"""The repository: what is read of the database, and the two ways to write to it.

`Repository.change` is for whatever an auditor wants to know: it commits the change together with its
one event, or nothing. `Repository.quietly` is for what nobody asks about later: progress, expired replies.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from ruleedit.chain import START, Event, Head
from service.errors import UnknownResource, UnknownRevision, UnknownRuleSet
from service.people import Person
from service.store import tables
from service.store.change import (
    TABLES,
    Abandoned,
    Change,
    Record,
    begun_as,
    forget_replies,
    keys_of,
    last_event,
    record_of,
    served,
)
from service.store.engine import Database
from service.store.peers import living
from service.store.records import (
    Counterexample,
    JobRecord,
    JobState,
    KeyRecord,
    ReleaseRecord,
    Revision,
    TrialCounts,
    TrialRecord,
)
from service.store.seam import Storage, real_storage
from service.store.upgrade import upgrade

#: Events that are held at a time when the chain is read.
_CHUNK = 2_000


def now() -> datetime:
    """The time of the machine; tests give their own clock."""
    return datetime.now(UTC)


def random_id(kind: str) -> str:
    """A new id; tests give their own."""
    return f"{kind}-{uuid.uuid4().hex[:16]}"


def text_of(moment: datetime) -> str:
    """A moment as RFC 3339 text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Repository:
    """The records of one database: a SQLite file, or PostgreSQL by URL.

    It is brought to this program's version when it is opened; raises `FileRefused` for a newer one, one
    that isn't ours, and one that another service holds, unless both hold it ``shared``.
    """

    def __init__(
        self,
        where: Path | str,
        clock: Callable[[], datetime] = now,
        *,
        new_id: Callable[[str], str] = random_id,
        storage: Storage = real_storage,
        notice: str = "",
        shared: bool = False,
    ) -> None:
        self._clock = clock
        self._notice = notice
        self._new_id = new_id
        self.database = Database(where, storage)
        try:
            with self.database.opening():
                self.database.hold(shared=shared)
                with self.database.writing() as connection:
                    upgrade(connection, self.database.name)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    def moment(self) -> str:
        """The time now, as it is kept."""
        return text_of(self._clock())

    @contextlib.contextmanager
    def change(self, by: Person) -> Iterator[Change]:
        """One transaction of a person; whoever opens it says once what `happened`, or abandons it."""
        with contextlib.suppress(Abandoned), self.database.writing() as connection:
            change = Change(connection, by, self.moment(), self._new_id("event"), self._notice)
            yield change
            if change.sealed is None:
                raise AssertionError("a change without its event")

    @contextlib.contextmanager
    def quietly(self) -> Iterator[Connection]:
        """One transaction that leaves no event."""
        with self.database.writing() as connection:
            yield connection

    # --- every kind of resource ---------------------------------------------------------------

    def get(self, kind: type[Record], name: str, unknown: type[UnknownResource]) -> Record:
        """The record of an id; raises ``unknown`` where there is none."""
        table = TABLES[kind]
        with self.database.reading() as connection:
            row = connection.execute(select(table).where(table.c.id == name)).one_or_none()
        if row is None:
            raise unknown(name)
        return record_of(kind, row)

    def page(self, kind: type[Record], limit: int, before: int | None = None) -> tuple[list[Record], int | None]:
        """Up to ``limit`` records, newest first, and the number before which the next page starts."""
        table = TABLES[kind]
        asked = select(table).order_by(table.c.number.desc()).limit(limit + 1)
        if before is not None:
            asked = asked.where(table.c.number < before)
        with self.database.reading() as connection:
            rows = connection.execute(asked).all()
        more = rows[limit - 1].number if len(rows) > limit else None
        return [record_of(kind, row) for row in rows[:limit]], more

    # --- rule sets and their revisions --------------------------------------------------------

    def document(self, ruleset: str) -> str:
        """The rule file of a rule set's first revision; raises `UnknownRuleSet`."""
        asked = select(tables.documents.c.text).join(tables.rulesets).where(tables.rulesets.c.id == ruleset)
        with self.database.reading() as connection:
            text: str | None = connection.execute(asked).scalar_one_or_none()
        if text is None:
            raise UnknownRuleSet(ruleset)
        return text

    def revisions(self, ruleset: str, last: str | None = None) -> list[Revision]:
        """The revisions of a rule set from the first to ``last``, all unless given; raises `UnknownRevision`."""
        kept = tables.revisions
        asked = select(kept.c.revision, kept.c.content, kept.c.step).where(kept.c.ruleset == ruleset)
        if last is not None:
            place = select(kept.c.place).where(kept.c.ruleset == ruleset, kept.c.revision == last)
            asked = asked.where(kept.c.place <= place.scalar_subquery())
        with self.database.reading() as connection:
            rows = connection.execute(asked.order_by(kept.c.place)).all()
        if not rows:
            raise UnknownRuleSet(ruleset) if last is None else UnknownRevision(last)
        return [Revision(*row) for row in rows]

    def moments(self, ruleset: str) -> dict[str, str]:
        """When each revision of a rule set was made."""
        kept = tables.revisions
        asked = select(kept.c.revision, kept.c.created).where(kept.c.ruleset == ruleset).order_by(kept.c.place)
        with self.database.reading() as connection:
            return {row.revision: row.created for row in connection.execute(asked)}

    def line(self, name: str) -> list[ReleaseRecord]:
        """The releases that served under a name and weren't taken back, the active one last."""
        table = tables.releases
        with self.database.reading() as connection:
            line = served(connection, name)
            found = {row.id: row for row in connection.execute(select(table).where(table.c.id.in_(line)))}
        return [record_of(ReleaseRecord, found[release]) for release in line]

    def approved(self, name: str) -> ReleaseRecord | None:
        """The release that was approved last under a name; None where none was."""
        table = tables.releases
        asked = select(table).where(table.c.name == name, table.c.approved.is_not(None))
        with self.database.reading() as connection:
            row = connection.execute(asked.order_by(table.c.approved.desc(), table.c.number.desc()).limit(1)).first()
        return None if row is None else record_of(ReleaseRecord, row)

    def active(self) -> list[ReleaseRecord]:
        """The releases in service, one a name."""
        with self.database.reading() as connection:
            rows = connection.execute(select(tables.releases).where(tables.releases.c.state == "active")).all()
        return [record_of(ReleaseRecord, row) for row in rows]

    def trials(self, release: str | None = None) -> list[TrialRecord]:
        """The trials of a release, newest first; where none is named, those of every release that have not ended."""
        table = tables.trials
        asked = select(*(table.c[item.name] for item in fields(TrialRecord))).order_by(table.c.number.desc())
        asked = asked.where(table.c.ended.is_(None) if release is None else table.c.release == release)
        with self.database.reading() as connection:
            return [TrialRecord(*row) for row in connection.execute(asked)]

    def counterexamples(self, ruleset: str) -> list[Counterexample]:
        """The counterexamples to a rule set's rules, oldest first."""
        table = tables.counterexamples
        asked = select(table).where(table.c.ruleset == ruleset).order_by(table.c.number)
        with self.database.reading() as connection:
            return [record_of(Counterexample, row) for row in connection.execute(asked)]

    def counted(self, trial: int) -> TrialCounts:
        """What all processes together have written of a trial's counts."""
        table = tables.trial_counts
        with self.database.reading() as connection:
            rows = connection.execute(select(table).where(table.c.trial == trial)).all()
        pairs = {(row.outcome, row.trial_outcome): row.rows for row in rows if row.what == "pair"}
        more = {row.what: row.rows for row in rows if row.what != "pair"}
        return TrialCounts(dict(sorted(pairs.items())), **more)

    def count_trial(self, trial: int, counts: TrialCounts) -> None:
        """Add to what was counted of a trial."""
        table = tables.trial_counts
        found = {("pair", *pair): many for pair, many in counts.pairs.items()}
        found |= {("failed", "", ""): counts.failed, ("dropped", "", ""): counts.dropped}
        with self.quietly() as connection:
            for (what, one, other), many in found.items():
                key = {"trial": trial, "what": what, "outcome": one, "trial_outcome": other}
                same = [table.c[name] == value for name, value in key.items()]
                more = update(table).where(*same).values(rows=table.c.rows + many)
                if many and not connection.execute(more).rowcount:
                    connection.execute(insert(table).values(**key, rows=many))

    # --- the audit chain ----------------------------------------------------------------------

    def head(self) -> Head:
        """Where the chain stands."""
        with self.database.reading() as connection:
            last = last_event(connection)
        return Head(0, START, self.moment()) if last is None else Head(last.sequence, last.hash, last.time)

    def actions_after(self, sequence: int) -> list[tuple[int, str]]:
        """The number and action of each event after one, oldest first."""
        table = tables.events
        asked = select(table.c.sequence, table.c.action).where(table.c.sequence > sequence)
        with self.database.reading() as connection:
            return [(row.sequence, row.action) for row in connection.execute(asked.order_by(table.c.sequence))]

    def events(self) -> Iterator[Event]:
        """The whole chain from its first event on; a few at a time in memory, and no transaction between them."""
        table = tables.events
        asked = select(table).order_by(table.c.sequence).limit(_CHUNK)
        after = asked
        while True:
            with self.database.reading() as connection:
                found = [Event(*row) for row in connection.execute(after)]
            yield from found
            if len(found) < _CHUNK:
                return
            after = asked.where(table.c.sequence > found[-1].sequence)

    def event_page(
        self,
        limit: int,
        before: int | None = None,
        *,
        since: str | None = None,
        until: str | None = None,
        **equal: str | None,
    ) -> tuple[list[Event], int | None]:
        """Up to ``limit`` events, newest first, and the sequence before which the next page starts.

        ``since`` and ``until`` (not included) are moments; ``equal`` are columns and what they must be.
        """
        table = tables.events
        asked = select(table).order_by(table.c.sequence.desc()).limit(limit + 1)
        for column, value in equal.items():
            asked = asked if value is None else asked.where(table.c[column] == value)
        asked = asked if since is None else asked.where(table.c.time >= since)
        asked = asked if until is None else asked.where(table.c.time < until)
        asked = asked if before is None else asked.where(table.c.sequence < before)
        with self.database.reading() as connection:
            found = [Event(*row) for row in connection.execute(asked)]
        return found[:limit], found[limit - 1].sequence if len(found) > limit else None

    def with_payload(self, *, before: str | None = None, among: Sequence[int] | None = None) -> list[tuple[int, str]]:
        """The sequence and action of each event whose payload is still there, older than a moment or of these."""
        table = tables.events
        asked = select(table.c.sequence, table.c.action).where(table.c.payload.is_not(None))
        asked = asked if before is None else asked.where(table.c.time < before)
        asked = asked if among is None else asked.where(table.c.sequence.in_(among))
        with self.database.reading() as connection:
            return [(row.sequence, row.action) for row in connection.execute(asked.order_by(table.c.sequence))]

    # --- replies ------------------------------------------------------------------------------

    def reply(self, caller: str, key: str) -> tuple[str, str] | None:
        """The hash of what was asked with a key, and what was answered as JSON; None where there is nothing."""
        table = tables.replies
        asked = select(table.c.asked, table.c.reply).where(table.c.caller == caller, table.c.key == key)
        with self.database.reading() as connection:
            row = connection.execute(asked).one_or_none()
        return None if row is None else (row.asked, row.reply)

    def forget_replies(self, before: str) -> None:
        """Forget what was answered before a moment."""
        with self.quietly() as connection:
            forget_replies(connection, before)

    # --- keys ---------------------------------------------------------------------------------

    def key_of(self, prefix: str) -> KeyRecord | None:
        """The key that begins so; None where there is none."""
        with self.database.reading() as connection:
            row = connection.execute(select(tables.keys).where(tables.keys.c.prefix == prefix)).one_or_none()
        return None if row is None else record_of(KeyRecord, row)

    def keys_of(self, role: str) -> list[KeyRecord]:
        """The keys of a role that nobody has revoked."""
        with self.database.reading() as connection:
            return keys_of(connection, role)

    def key_makers(self) -> dict[str, frozenset[str]]:
        """By each name, in lower case, who ever made a key of it."""
        asked = select(tables.keys.c.name, tables.keys.c.made_by).distinct()
        found: dict[str, frozenset[str]] = {}
        with self.database.reading() as connection:
            for name, maker in connection.execute(asked):
                found[name.casefold()] = found.get(name.casefold(), frozenset()) | {maker.casefold()}
        return found

    # --- jobs ---------------------------------------------------------------------------------

    def begin_job(self, process: str) -> JobRecord | None:
        """Mark the oldest queued job as running in a process; None where none waits.

        Of several processes that ask at once each gets another one: there is one writer at a time.
        """
        table = tables.jobs
        oldest = select(table).where(table.c.state == "queued").order_by(table.c.number).limit(1)
        with self.quietly() as connection:
            row = connection.execute(oldest).one_or_none()
            if row is None:
                return None
            found = record_of(JobRecord, row)
            begun = replace(found, state="running", attempts=found.attempts + 1, process=process)
            values = {"state": begun.state, "attempts": begun.attempts, "process": process}
            connection.execute(update(table).where(table.c.id == begun.id).values(**values))
        return begun

    def requeue_job(self, job: JobRecord) -> None:
        """Mark a running job as queued, to be begun again, if nobody else has begun it since."""
        with self.quietly() as connection:
            connection.execute(
                update(tables.jobs).where(*begun_as(job)).values(state="queued", done=0, of=0, course=None)
            )

    def progress_job(self, job: JobRecord, done: int, of: int, course: Sequence[Mapping[str, Any]] = ()) -> None:
        """Write how far a running job is, and what it said of each round, if nobody else has begun it since."""
        values = {"done": done, "of": of, "course": list(course) or None}
        with self.quietly() as connection:
            connection.execute(update(tables.jobs).where(*begun_as(job)).values(**values))

    def lost_jobs(self, seconds: float) -> list[JobRecord]:
        """The running jobs of processes that haven't said for so many seconds that they are alive."""
        table = tables.jobs
        with self.database.reading() as connection:
            alive = living(connection, seconds)
            lost = (table.c.state == "running", table.c.process.is_(None) | table.c.process.not_in(alive))
            rows = connection.execute(select(table).where(*lost).order_by(table.c.number)).all()
        return [record_of(JobRecord, row) for row in rows]

    def jobs_in(self, state: JobState) -> list[JobRecord]:
        """The jobs in a state, oldest first."""
        asked = select(tables.jobs).where(tables.jobs.c.state == state).order_by(tables.jobs.c.number)
        with self.database.reading() as connection:
            return [record_of(JobRecord, row) for row in connection.execute(asked)]

    def waiting_jobs(self) -> int:
        """How many jobs are queued."""
        asked = select(func.count()).select_from(tables.jobs).where(tables.jobs.c.state == "queued")
        with self.database.reading() as connection:
            return connection.execute(asked).scalar_one()

    def jobs_of(self, kind: str, limit: int) -> list[JobRecord]:
        """The jobs of a kind, newest first."""
        asked = select(tables.jobs).where(tables.jobs.c.kind == kind).order_by(tables.jobs.c.number.desc())
        with self.database.reading() as connection:
            return [record_of(JobRecord, row) for row in connection.execute(asked.limit(limit))]

    def count_jobs(self) -> dict[str, int]:
        """How many jobs are in each state."""
        asked = select(tables.jobs.c.state, func.count()).group_by(tables.jobs.c.state)
        with self.database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(asked)}
