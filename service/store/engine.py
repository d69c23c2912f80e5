"""Connections to the database: SQLite beside the files, or PostgreSQL by URL.

One writer at a time on both: SQLite's BEGIN IMMEDIATE, PostgreSQL's advisory lock. The audit chain
needs that order, and a writer that waits is quicker than one that starts again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ruleedit.errors import FileRefused, Refused
from service.errors import RequestInvalid
from service.store.files import IN_USE
from service.store.seam import Storage, real_storage

#: The first numbers of the advisory locks; the second is the schema's, so that two services in one database don't meet.
WRITING, HOLDING = 0x52450001, 0x52450002
_SCHEMA = "hashtext(current_schema())"
#: PostgreSQL allows 100 connections unless told otherwise; others want some too.
MOST_CONNECTIONS = 20
_SQLITE = ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 30000", "foreign_keys = ON")


class Database:
    """One database: `reading` gives a connection that sees one moment, `writing` the one writer's transaction."""

    def __init__(self, where: Path | str, storage: Storage = real_storage) -> None:
        self.name = where.name if isinstance(where, Path) else shown(where)
        self._turn = threading.Lock()
        self._engine = _sqlite(where) if isinstance(where, Path) else _postgres(where)
        self._held: Connection | None = None
        _listen(self._engine, storage)
        # SQLite's readers see one moment anyway.
        one = {} if isinstance(where, Path) else {"isolation_level": "REPEATABLE READ"}
        self._reader = self._engine.execution_options(**one)
        self._writer = self._engine.execution_options(writes=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads, all of it as of one moment."""
        with self._reader.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """The transaction of the one writer; committed at the end, or nothing of it was."""
        # Threads of this process take turns here, so that none of them polls for SQLite's lock.
        with self._turn, self._writer.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def opening(self) -> Iterator[None]:
        """Turn what the driver says while a database is opened into `FileRefused`, without what it was asked."""
        try:
            yield
        except SQLAlchemyError as problem:
            said = " ".join(str(getattr(problem, "orig", None) or problem).split())
            raise FileRefused(f"the database {self.name!r} can't be opened: {said}") from None

    def hold(self, *, shared: bool = False) -> None:
        """Hold a PostgreSQL database until `close` or the process's end, alone or with others; raises `FileRefused`.

        A SQLite file is held with its data folder.
        """
        if self._engine.dialect.name != "postgresql":
            return
        connection = self._engine.execution_options(isolation_level="AUTOCOMMIT").connect()
        lock = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
        if not connection.exec_driver_sql(f"SELECT {lock}({HOLDING}, {_SCHEMA})").scalar_one():
            connection.close()
            other = "is held by a service that shares it with nobody; stop it" if shared else IN_USE
            raise FileRefused(f"the database {self.name!r} {other}, or give another one")
        self._held = connection

    def close(self) -> None:
        """Close every connection."""
        if self._held is not None:
            self._held.close()
        self._engine.dispose()


def shown(url: str) -> str:
    """A URL as it may be shown: without its password."""
    return _read(url).render_as_string(hide_password=True)


def _read(url: str) -> URL:
    try:
        found = make_url(url)
    except ArgumentError:
        found = URL.create("none")
    if found.get_backend_name() != "postgresql" or found.get_driver_name() not in ("psycopg", "psycopg2"):
        raise Refused(
            "the database's URL can't be used; postgresql://user@host/name is accepted, "
            "and without any a SQLite file in the data folder is used"
        )
    return found.set(drivername="postgresql+psycopg")


def _postgres(url: str) -> Engine:
    most = {"pool_size": MOST_CONNECTIONS // 2, "max_overflow": MOST_CONNECTIONS // 2}
    keep = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "connect_timeout": 10}
    try:
        return create_engine(_read(url), connect_args=keep, pool_pre_ping=True, **most)
    except ModuleNotFoundError:
        raise Refused("PostgreSQL needs psycopg; install ruleedit[postgres]") from None


def _sqlite(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(URL.create("sqlite", database=str(path)), pool_size=48, max_overflow=16)

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: object) -> None:
        # The driver must not begin by itself: a read that becomes a write would fail instead of waiting.
        connection.isolation_level = None
        for setting in _SQLITE:
            connection.execute(f"PRAGMA {setting}").close()

    return engine


def _listen(engine: Engine, storage: Storage) -> None:
    """Begin as the one writer where a transaction writes, and pass the seam at each call."""

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
        elif writes:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITING}, {_SCHEMA})")

    @event.listens_for(engine, "handle_error")
    def _failed(context: ExceptionContext) -> None:
        if "NUL (0x00)" in str(context.original_exception):
            raise RequestInvalid("a text holds the character NUL, which PostgreSQL can't keep; leave it out")

    if storage is not real_storage:
        event.listen(engine, "before_cursor_execute", lambda *_: storage("statement"))
        event.listen(engine, "commit", lambda _: storage("commit"))
