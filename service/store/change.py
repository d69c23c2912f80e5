"""A change: one transaction, the one event that records it, and the reply that is kept with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, NoReturn, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Table, bindparam, delete, insert, select, update

from ruleedit import chain
from ruleedit.schema import content_hash
from service.errors import Stale, StateRefused, UnknownRelease
from service.people import Person
from service.store import tables
from service.store.records import (
    Asked,
    Counterexample,
    Dataset,
    Happened,
    JobRecord,
    JobState,
    KeyRecord,
    ModelRecord,
    Reason,
    ReleaseRecord,
    ReleaseState,
    Revision,
    RuleSetRecord,
    TrialRecord,
)

Record = TypeVar("Record", Dataset, ModelRecord, RuleSetRecord, ReleaseRecord, JobRecord, KeyRecord, Counterexample)
TABLES: dict[type, Table] = {
    Dataset: tables.datasets,
    ModelRecord: tables.models,
    RuleSetRecord: tables.rulesets,
    ReleaseRecord: tables.releases,
    JobRecord: tables.jobs,
    KeyRecord: tables.keys,
    Counterexample: tables.counterexamples,
}


#: The statements of every edit, written once: SQLAlchemy takes longer to write one than SQLite to run it.
_SEAL, _KEEP = insert(tables.events), insert(tables.revisions)
_LAST = select(tables.events).order_by(tables.events.c.sequence.desc()).limit(1)
_SWAP = (
    update(tables.rulesets)
    .where(tables.rulesets.c.id == bindparam("of"), tables.rulesets.c.head == bindparam("expected"))
    .values(head=bindparam("new"))
)
_PLACE = select(tables.revisions.c.place).where(
    tables.revisions.c.ruleset == bindparam("of"), tables.revisions.c.revision == bindparam("expected")
)
_SEALED = tuple(field.name for field in fields(chain.Event))


class Abandoned(Exception):
    """Leaves a transaction without any of it; `Repository.change` catches it."""


class Change:
    """What one transaction writes, and by whom; `Repository.change` makes and commits it.

    ``connection`` is for what has no method here; ``notice`` is what every event says
    beside what happened. Whoever changes anything says once what `happened`.
    """

    def __init__(self, connection: Connection, by: Person, moment: str, event_id: str, notice: str = "") -> None:
        self.connection = connection
        self.moment = moment
        self._by = by
        self._event_id = event_id
        self._notice = {"notice": notice} if notice else {}
        self.sealed: chain.Event | None = None

    def abandon(self) -> NoReturn:
        """Leave everything as it was."""
        raise Abandoned

    def happened(self, happened: Happened) -> None:
        """Seal the event of this change; there is exactly one."""
        if self.sealed is not None:
            raise AssertionError("a change has one event")
        why = Reason.of(happened.reason)
        cited = {"cited": why.cited} if why.cited else {}
        self.sealed = chain.seal(
            previous=last_event(self.connection),
            id=self._event_id,
            time=self.moment,
            actor=self._by.name,
            role=", ".join(sorted(self._by.roles)) if self._by.kind in ("key", "oidc") else self._by.kind,
            action=happened.action,
            subject=happened.subject,
            reason=why.text,
            payload={**happened.payload, **cited, **self._notice},
        )
        self.connection.execute(_SEAL, {name: getattr(self.sealed, name) for name in _SEALED})

    def keep_reply(self, asked: Asked, reply: Any) -> None:
        """Keep what is answered to a request with a key."""
        # Its keys stay in their order, so that the same reply is the same bytes.
        row = asdict(asked) | {"reply": json.dumps(reply, allow_nan=False), "created": self.moment}
        self.connection.execute(insert(tables.replies).values(**row))

    def erase(self, spans: Sequence[Sequence[int]]) -> int:
        """Drop the payloads of the events from ``first`` to ``last`` of each span, and count those that were there.

        `happened` says which.
        """
        table, erased = tables.events, 0
        for first, last in spans:
            there = update(table).where(table.c.sequence.between(first, last), table.c.payload.is_not(None))
            erased += self.connection.execute(there.values(payload=None, salt=None)).rowcount
        return erased

    # --- resources ----------------------------------------------------------------------------

    def add(self, record: Dataset | ModelRecord | ReleaseRecord | JobRecord | KeyRecord | Counterexample) -> None:
        """Keep a new record."""
        self.connection.execute(insert(TABLES[type(record)]).values(**asdict(record)))

    def add_ruleset(self, record: RuleSetRecord, first: Revision, document: str) -> None:
        """Keep a new rule set: its first revision, and the rule file of it."""
        name, table = content_hash(document), tables.documents
        if self.connection.execute(select(table.c.hash).where(table.c.hash == name)).one_or_none() is None:
            self.connection.execute(insert(table).values(hash=name, text=document))
        self.connection.execute(insert(tables.rulesets).values(**asdict(record), document=name))
        self._keep(record.id, 0, [first])

    def advance(self, ruleset: str, expected: str, made: Sequence[Revision]) -> None:
        """Append revisions and make the last the present one, if the present one is still the expected one.

        Raises `Stale` where it isn't: of many writers from one revision exactly one succeeds.
        """
        wanted = {"of": ruleset, "expected": expected}
        if self.connection.execute(_SWAP, wanted | {"new": made[-1].revision}).rowcount != 1:
            raise Stale(f"the rule set {ruleset!r} has been changed since that revision; read it again")
        place = self.connection.execute(_PLACE, wanted).scalar_one()
        self._keep(ruleset, place + 1, made)

    def _keep(self, ruleset: str, place: int, made: Sequence[Revision]) -> None:
        rows = [
            asdict(item) | {"ruleset": ruleset, "place": place + number, "created": self.moment}
            for number, item in enumerate(made)
        ]
        self.connection.execute(_KEEP, rows)

    # --- releases -----------------------------------------------------------------------------

    def move_release(self, release: str, before: ReleaseState, after: ReleaseState, **more: str | None) -> None:
        """Change a release's state, and who changed it; raises `StateRefused` where it is in another state."""
        table = tables.releases
        move = update(table).where(table.c.id == release, table.c.state == before).values(state=after, **more)
        if self.connection.execute(move).rowcount != 1:
            raise StateRefused(f"the release {release!r} is no longer {before}")

    def activate(self, release: str) -> str | None:
        """Put a release in service under its name; returns the one that it takes the place of.

        Activating the active one again changes nothing.
        """
        name = self.release(release).name
        line = served(self.connection, name)
        before = line[-1] if line else None
        if before != release:
            self._switch(name, "activate", release, before)
        return before

    def roll_back(self, release: str, servable: Callable[[ReleaseRecord], bool] = lambda _: True) -> ReleaseRecord:
        """Take the active release out of service; the last ``servable`` one before serves again, and is returned.

        Raises `StateRefused` where the release isn't the active one, or there is none before it.
        """
        name = self.release(release).name
        if not (line := served(self.connection, name)) or line[-1] != release:
            raise StateRefused(f"the release {release!r} isn't active; roll back the active one of {name!r}")
        earlier = self.step_down("roll back", release, servable)
        if earlier is None:
            raise StateRefused(f"no release was active as {name!r} before {release!r}; activate another one")
        return earlier

    def step_down(self, action: str, release: str, servable: Callable[[ReleaseRecord], bool]) -> ReleaseRecord | None:
        """Retire the active release; the last ``servable`` one before serves again, None where there is none."""
        name = self.release(release).name
        line = [self.release(earlier) for earlier in served(self.connection, name)[:-1]]
        earlier = next((record for record in reversed(line) if servable(record)), None)
        self._switch(name, action, earlier.id if earlier else None, release)
        return None if earlier is None else replace(earlier, state="active")

    def _switch(self, name: str, action: str, new: str | None, old: str | None) -> None:
        table = tables.releases
        self.connection.execute(update(table).where(table.c.id == old).values(state="retired"))
        self.connection.execute(update(table).where(table.c.id == new).values(state="active"))
        row = {"name": name, "release": new, "action": action, "created": self.moment}
        self.connection.execute(insert(tables.activations).values(**row))

    def release(self, release: str) -> ReleaseRecord:
        """A release as it stands in this transaction; raises `UnknownRelease`."""
        table = tables.releases
        row = self.connection.execute(select(table).where(table.c.id == release)).one_or_none()
        if row is None:
            raise UnknownRelease(release)
        return record_of(ReleaseRecord, row)

    def begin_trial(self, record: TrialRecord) -> TrialRecord:
        """Keep a new trial, and return it numbered; raises `StateRefused` where one of its kind runs under the name."""
        table = tables.trials
        same = (table.c.name == record.name, table.c.kind == record.kind, table.c.ended.is_(None))
        other = self.connection.execute(select(table.c.release).where(*same)).scalar_one_or_none()
        if other is not None:
            raise StateRefused(f"the release {other!r} is the {record.kind} of {record.name!r}; end that first")
        row = {name: value for name, value in asdict(record).items() if name != "number"}
        (number,) = self.connection.execute(insert(table).values(**row)).inserted_primary_key or (0,)
        return replace(record, number=number)

    def end_trial(self, release: str, kind: str) -> None:
        """End a release's trial; raises `StateRefused` where there is none."""
        table = tables.trials
        running = (table.c.release == release, table.c.kind == kind, table.c.ended.is_(None))
        if self.connection.execute(update(table).where(*running).values(ended=self.moment)).rowcount != 1:
            raise StateRefused(f"the release {release!r} is no {kind} now")

    # --- counterexamples ----------------------------------------------------------------------

    def withdraw(self, counterexample: str) -> None:
        """Take a counterexample back; raises `StateRefused` where it was before."""
        table = tables.counterexamples
        change = update(table).where(table.c.id == counterexample, table.c.withdrawn.is_(None))
        if self.connection.execute(change.values(withdrawn=self.moment)).rowcount != 1:
            raise StateRefused(f"the counterexample {counterexample!r} was taken back before")

    # --- keys ---------------------------------------------------------------------------------

    def revoke_key(self, key: str) -> None:
        """Say that a key opens nothing any more; raises `StateRefused` where it was revoked before."""
        table = tables.keys
        change = update(table).where(table.c.id == key, table.c.revoked.is_(None)).values(revoked=self.moment)
        if self.connection.execute(change).rowcount != 1:
            raise StateRefused(f"the key {key!r} was revoked before")

    def keys_of(self, role: str) -> list[KeyRecord]:
        """The keys of a role that nobody has revoked, as they stand in this transaction."""
        return keys_of(self.connection, role)

    # --- models -------------------------------------------------------------------------------

    def set_groups(self, model: str, groups: Mapping[str, Any]) -> None:
        """Say anew which columns of a model are sensitive."""
        table = tables.models
        self.connection.execute(update(table).where(table.c.id == model).values(groups=dict(groups)))

    # --- jobs ---------------------------------------------------------------------------------

    def cancel_job(self, job: str, error: dict[str, Any]) -> bool:
        """Mark a job as cancelled that waits or runs, wherever; False where it has ended."""
        table = tables.jobs
        going = update(table).where(table.c.id == job, table.c.state.in_(["queued", "running"]))
        return self.connection.execute(going.values(state="cancelled", error=error)).rowcount == 1

    def end_job(
        self,
        job: JobRecord,
        state: JobState,
        *,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> bool:
        """End a job as it was begun; False where somebody cancelled it, or has begun it again, meanwhile.

        One that succeeded has done every step of those that it spoke of.
        """
        steps = {"done": tables.jobs.c.of} if state == "succeeded" else {}
        change = update(tables.jobs).where(*begun_as(job)).values(state=state, result=result, error=error, **steps)
        return self.connection.execute(change).rowcount == 1


def served(connection: Connection, name: str) -> list[str]:
    """The releases that served under a name and weren't taken back, the active one last."""
    table = tables.activations
    asked = select(table.c.action, table.c.release).where(table.c.name == name).order_by(table.c.number)
    line: list[str] = []
    for action, release in connection.execute(asked):
        if action == "activate":
            line.append(release)
        else:
            # Something was taken back, down to the one that serves again, or to nothing.
            while line and line[-1] != release:
                line.pop()
    return line


def keys_of(connection: Connection, role: str) -> list[KeyRecord]:
    """The keys of a role that nobody has revoked."""
    rows = connection.execute(select(tables.keys).where(tables.keys.c.revoked.is_(None))).all()
    return [key for key in (record_of(KeyRecord, row) for row in rows) if role in key.roles]


def begun_as(job: JobRecord) -> tuple[ColumnElement[bool], ...]:
    """Where a job is running as it was begun: a process that was taken for dead writes nothing of it any more."""
    table = tables.jobs
    return (table.c.id == job.id, table.c.state == "running", table.c.attempts == job.attempts)


def last_event(connection: Connection) -> chain.Event | None:
    """The last event of the chain; None before the first one."""
    row = connection.execute(_LAST).one_or_none()
    return None if row is None else chain.Event(**row._mapping)


def forget_replies(connection: Connection, before: str) -> None:
    """Forget what was answered before a moment."""
    connection.execute(delete(tables.replies).where(tables.replies.c.created < before))


def record_of(kind: type[Record], row: Row[Any]) -> Record:
    """A row of a resource's table as its record."""
    fields = {name: value for name, value in row._mapping.items() if name not in ("number", "document")}
    return kind(**fields)
