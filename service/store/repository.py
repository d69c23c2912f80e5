"""The repository: the only code that knows the database.

Every change is one transaction, and the event that records it is in the same one. Writers of this
process take turns, so that none of them waits for SQLite's own lock by polling.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row, Table, create_engine, event, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from ruleedit.errors import FileRefused
from ruleedit.schema import content_hash
from service.errors import Stale, StateRefused, UnknownRelease, UnknownResource, UnknownRevision, UnknownRuleSet
from service.store import tables
from service.store.records import (
    Dataset,
    Event,
    JobRecord,
    JobState,
    KeyRecord,
    ModelRecord,
    ReleaseRecord,
    Revision,
    RuleSetRecord,
)

Record = TypeVar("Record", Dataset, ModelRecord, RuleSetRecord, ReleaseRecord, JobRecord, KeyRecord)
TABLES: dict[type, Table] = {
    Dataset: tables.datasets,
    ModelRecord: tables.models,
    RuleSetRecord: tables.rulesets,
    ReleaseRecord: tables.releases,
    JobRecord: tables.jobs,
    KeyRecord: tables.keys,
}


def now() -> datetime:
    """The time of the machine; tests give their own clock."""
    return datetime.now(UTC)


def text_of(moment: datetime) -> str:
    """A moment as RFC 3339 text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Repository:
    """Records of one SQLite database; raises `FileRefused` for a file of another version."""

    def __init__(self, path: Path, clock: Callable[[], datetime] = now) -> None:
        self._clock = clock
        self._turn = threading.Lock()
        self._engine = _engine(path)
        self._writer = self._engine.execution_options(writes=True)
        with self._writer.begin() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version not in (0, tables.VERSION):
                raise FileRefused(
                    f"{path.name!r} is of version {version}; {tables.VERSION} is accepted, give another --data-dir"
                )
            tables.metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {tables.VERSION}")

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def moment(self) -> str:
        """The time now, as it is kept."""
        return text_of(self._clock())

    @contextlib.contextmanager
    def _writing(self, happened: Event | None) -> Iterator[Connection]:
        with self._turn, self._writer.begin() as connection:
            yield connection
            if happened is not None:
                connection.execute(insert(tables.events).values(created=self.moment(), **asdict(happened)))

    # --- every kind of resource ---------------------------------------------------------------

    def add(self, record: Dataset | ModelRecord | ReleaseRecord | JobRecord | KeyRecord, happened: Event) -> None:
        """Keep a new record."""
        with self._writing(happened) as connection:
            connection.execute(insert(TABLES[type(record)]).values(**asdict(record)))

    def get(self, kind: type[Record], name: str, unknown: type[UnknownResource]) -> Record:
        """The record of an id; raises ``unknown`` where there is none."""
        table = TABLES[kind]
        with self._engine.begin() as connection:
            row = connection.execute(select(table).where(table.c.id == name)).one_or_none()
        if row is None:
            raise unknown(name)
        return _record(kind, row)

    def page(self, kind: type[Record], limit: int, before: int | None = None) -> tuple[list[Record], int | None]:
        """Up to ``limit`` records, newest first, and the number before which the next page starts."""
        table = TABLES[kind]
        asked = select(table).order_by(table.c.number.desc()).limit(limit + 1)
        if before is not None:
            asked = asked.where(table.c.number < before)
        with self._engine.begin() as connection:
            rows = connection.execute(asked).all()
        more = rows[limit - 1].number if len(rows) > limit else None
        return [_record(kind, row) for row in rows[:limit]], more

    def events(self) -> list[Event]:
        """Every event, oldest first."""
        fields = [tables.events.c[name] for name in ("action", "resource", "author", "reason", "detail")]
        with self._engine.begin() as connection:
            rows = connection.execute(select(*fields).order_by(tables.events.c.number)).all()
        return [Event(**row._mapping) for row in rows]

    # --- rule sets and their revisions --------------------------------------------------------

    def add_ruleset(self, record: RuleSetRecord, first: Revision, happened: Event) -> None:
        """Keep a new rule set with its first revision."""
        with self._writing(happened) as connection:
            connection.execute(insert(tables.rulesets).values(**asdict(record)))
            self._keep(connection, record.id, [first])

    def advance(self, ruleset: str, expected: str, made: Sequence[Revision], happened: Event) -> None:
        """Append revisions and make the last the present one, if the present one is still the expected one.

        Raises `Stale` where it isn't: of many writers from one revision exactly one succeeds.
        """
        table = tables.rulesets
        swap = update(table).where(table.c.id == ruleset, table.c.head == expected).values(head=made[-1].revision)
        with self._writing(happened) as connection:
            if connection.execute(swap).rowcount != 1:
                raise Stale(f"the rule set {ruleset!r} has been changed since that revision; read it again")
            self._keep(connection, ruleset, made)

    def revision(self, ruleset: str, revision: str | None = None) -> Revision:
        """A revision of a rule set, the present one unless another is named."""
        heads, kept, documents = tables.rulesets, tables.revisions, tables.documents
        with self._engine.begin() as connection:
            head = connection.execute(select(heads.c.head).where(heads.c.id == ruleset)).scalar_one_or_none()
            if head is None:
                raise UnknownRuleSet(ruleset)
            asked = select(kept.c.revision, kept.c.content, documents.c.text).join(documents)
            asked = asked.where(kept.c.ruleset == ruleset, kept.c.revision == (revision or head))
            row = connection.execute(asked).one_or_none()
        if row is None:
            raise UnknownRevision(str(revision))
        return Revision(*row)

    def moments(self, ruleset: str) -> dict[str, str]:
        """When each revision of a rule set was made."""
        kept = tables.revisions
        asked = select(kept.c.revision, kept.c.created).where(kept.c.ruleset == ruleset).order_by(kept.c.number)
        with self._engine.begin() as connection:
            return {row.revision: row.created for row in connection.execute(asked)}

    def _keep(self, connection: Connection, ruleset: str, made: Sequence[Revision]) -> None:
        for item in made:
            document = content_hash(item.text)
            text = insert_or(tables.documents).values(hash=document, text=item.text).on_conflict_do_nothing()
            connection.execute(text)
            connection.execute(
                insert(tables.revisions).values(
                    ruleset=ruleset,
                    revision=item.revision,
                    content=item.content,
                    document=document,
                    created=self.moment(),
                )
            )

    # --- releases in service ------------------------------------------------------------------

    def activate(self, release: str, happened: Event) -> None:
        """Put a release in service under its name; activating the active one again changes nothing."""
        with self._writing(happened) as connection:
            name = _release_name(connection, release)
            serving = _serving(connection, name)
            if not serving or serving[-1] != release:
                self._switch(connection, name, "activate", release, serving[-1:])

    def roll_back(self, release: str, happened: Event) -> str:
        """Take the active release out of service; the one that was active before serves again, and is returned.

        Raises `StateRefused` where the release isn't the active one, or none was active before it.
        """
        with self._writing(happened) as connection:
            name = _release_name(connection, release)
            serving = _serving(connection, name)
            if not serving or serving[-1] != release:
                raise StateRefused(f"the release {release!r} isn't active; roll back the active one of {name!r}")
            if len(serving) < 2:
                raise StateRefused(f"no release was active as {name!r} before {release!r}; activate another one")
            self._switch(connection, name, "roll back", serving[-2], [release])
        return serving[-2]

    def active(self) -> list[ReleaseRecord]:
        """The releases in service, one a name."""
        with self._engine.begin() as connection:
            rows = connection.execute(select(tables.releases).where(tables.releases.c.state == "active")).all()
        return [_record(ReleaseRecord, row) for row in rows]

    def _switch(self, connection: Connection, name: str, action: str, new: str, old: Sequence[str]) -> None:
        table = tables.releases
        connection.execute(update(table).where(table.c.id.in_(old)).values(state="retired"))
        connection.execute(update(table).where(table.c.id == new).values(state="active"))
        connection.execute(
            insert(tables.activations).values(name=name, release=new, action=action, created=self.moment())
        )

    # --- keys ---------------------------------------------------------------------------------

    def key_of(self, prefix: str) -> KeyRecord | None:
        """The key that begins so; None where there is none."""
        with self._engine.begin() as connection:
            row = connection.execute(select(tables.keys).where(tables.keys.c.prefix == prefix)).one_or_none()
        return None if row is None else _record(KeyRecord, row)

    def keys_of(self, role: str) -> list[KeyRecord]:
        """The keys of a role that nobody has revoked."""
        with self._engine.begin() as connection:
            rows = connection.execute(select(tables.keys).where(tables.keys.c.revoked.is_(None))).all()
        return [key for key in (_record(KeyRecord, row) for row in rows) if role in key.roles]

    def revoke_key(self, key: str, happened: Event) -> None:
        """Say that a key opens nothing any more; raises `StateRefused` where it was revoked before."""
        table = tables.keys
        change = update(table).where(table.c.id == key, table.c.revoked.is_(None)).values(revoked=self.moment())
        with self._writing(happened) as connection:
            if connection.execute(change).rowcount != 1:
                raise StateRefused(f"the key {key!r} was revoked before")

    # --- jobs ---------------------------------------------------------------------------------

    def move_job(
        self,
        job: str,
        before: Sequence[JobState],
        after: JobState,
        *,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
        happened: Event | None = None,
    ) -> bool:
        """Change a job's state if it is still one of ``before``; whether it was."""
        table = tables.jobs
        change = update(table).where(table.c.id == job, table.c.state.in_(before))
        with self._writing(None) as connection:
            moved = connection.execute(change.values(state=after, result=result, error=error)).rowcount == 1
            if moved and happened is not None:
                connection.execute(insert(tables.events).values(created=self.moment(), **asdict(happened)))
        return moved

    def progress_job(self, job: str, done: int, of: int) -> None:
        """Write how far a running job is."""
        with self._writing(None) as connection:
            connection.execute(update(tables.jobs).where(tables.jobs.c.id == job).values(done=done, of=of))

    def jobs_in(self, state: JobState) -> list[JobRecord]:
        """The jobs in a state, oldest first."""
        asked = select(tables.jobs).where(tables.jobs.c.state == state).order_by(tables.jobs.c.number)
        with self._engine.begin() as connection:
            return [_record(JobRecord, row) for row in connection.execute(asked)]

    def count_jobs(self) -> dict[str, int]:
        """How many jobs are in each state."""
        asked = select(tables.jobs.c.state, func.count()).group_by(tables.jobs.c.state)
        with self._engine.begin() as connection:
            return {row[0]: row[1] for row in connection.execute(asked)}


def _engine(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}", pool_size=48, max_overflow=16)

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: object) -> None:
        # The driver must not begin by itself: a read that becomes a write would fail instead of waiting.
        connection.isolation_level = None
        for setting in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 30000", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}").close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _record(kind: type[Record], row: Row[Any]) -> Record:
    fields = {name: value for name, value in row._mapping.items() if name != "number"}
    return kind(**fields)


def _release_name(connection: Connection, release: str) -> str:
    table = tables.releases
    name: str | None = connection.execute(select(table.c.name).where(table.c.id == release)).scalar_one_or_none()
    if name is None:
        raise UnknownRelease(release)
    return name


def _serving(connection: Connection, name: str) -> list[str]:
    """The releases that served under a name and weren't rolled back, the active one last."""
    table = tables.activations
    asked = select(table.c.action, table.c.release).where(table.c.name == name).order_by(table.c.number)
    serving: list[str] = []
    for action, release in connection.execute(asked):
        if action == "activate":
            serving.append(release)
        else:
            serving.pop()
    return serving
