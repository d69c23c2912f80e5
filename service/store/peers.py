"""The processes that share one database: each says again and again that it is alive, the oldest does the chores.

Time is the database's own, so that machines whose clocks differ agree on who is alive.
"""

from __future__ import annotations

import uuid

from sqlalchemy import ColumnElement, Connection, Float, Select, delete, insert, literal_column, select, update

from service.store import tables
from service.store.engine import Database

#: A process that was silent for so many leases is forgotten; one that was only paused comes back as a new one.
FORGOTTEN = 100


class Peers:
    """This process among those that share a database; ``seconds`` None: it shares it with nobody.

    ``id`` is this process's, new with each start.
    """

    def __init__(self, database: Database, seconds: float | None) -> None:
        self.id = uuid.uuid4().hex
        self.seconds = seconds
        self._database = database

    @property
    def alone(self) -> bool:
        """Whether no other process can be there."""
        return self.seconds is None

    def beat(self) -> None:
        """Say that this process is alive."""
        if self.seconds is None:
            return
        table = tables.processes
        with self._database.writing() as connection:
            now = clock(connection)
            if not connection.execute(update(table).where(table.c.id == self.id).values(seen=now)).rowcount:
                connection.execute(insert(table).values(id=self.id, seen=now))
            connection.execute(delete(table).where(table.c.seen < now - FORGOTTEN * self.seconds))

    def leads(self) -> bool:
        """Whether this process is the one that does what only one should: the oldest that is alive."""
        if self.seconds is None:
            return True
        with self._database.reading() as connection:
            oldest = living(connection, self.seconds).order_by(tables.processes.c.number).limit(1)
            return connection.execute(oldest).scalar_one_or_none() == self.id

    def leave(self) -> None:
        """Say that this process ends, so that nobody waits for its silence."""
        if self.seconds is not None:
            with self._database.writing() as connection:
                connection.execute(delete(tables.processes).where(tables.processes.c.id == self.id))


def living(connection: Connection, seconds: float) -> Select[str]:
    """The ids of the processes that said within so many seconds that they are alive."""
    table = tables.processes
    return select(table.c.id).where(table.c.seen >= clock(connection) - seconds)


def clock(connection: Connection) -> ColumnElement[float]:
    """The database's time in seconds, at the moment when it is asked and not when the transaction began."""
    sqlite = "(julianday('now') - 2440587.5) * 86400.0"
    text = sqlite if connection.dialect.name == "sqlite" else "extract(epoch FROM clock_timestamp())::float"
    return literal_column(text, Float)
