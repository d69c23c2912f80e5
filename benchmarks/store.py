"""What the store costs: changes with their sealed events against bare commits of one row, in turn on the same disk.

    python benchmarks/store.py [--changes 2000] [--database postgresql://user@host/name]

Prints changes/s and commits/s, their ratio, and how long the chain takes to read and verify.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import create_engine, make_url

from ruleedit.chain import verify_chain
from service.people import LOCAL
from service.store.records import Dataset, Happened, ModelRecord, Revision, RuleSetRecord
from service.store.repository import Repository

ROUNDS = 10
STEP = '{"edit":"set R3 age > 26","reason":"policy"}' + " " * 600


def bare(where: Path | str) -> Callable[[int], None]:
    """Commits of one row of the same length, with the driver alone on SQLite."""
    if isinstance(where, Path):
        peer = sqlite3.connect(where.with_name("peer.db"), isolation_level=None)
        for setting in ("journal_mode = WAL", "synchronous = FULL"):
            peer.execute(f"PRAGMA {setting}").close()
        peer.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, text TEXT)")

        def write(number: int) -> None:
            peer.execute("BEGIN IMMEDIATE")
            peer.execute("INSERT INTO rows (text) VALUES (?)", (STEP,))
            peer.execute("COMMIT")

        return write
    engine = create_engine(make_url(where).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE bare_rows (number SERIAL PRIMARY KEY, text TEXT)")

    def insert(number: int) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO bare_rows (text) VALUES (%s)", (STEP,))

    return insert


def edits(repository: Repository) -> Callable[[int], None]:
    """Edits of one rule set, as the workspace makes them: swap the head, keep the step, seal the event."""
    with repository.change(LOCAL) as change:
        change.add(Dataset("d", repository.moment(), "d", 1, "f", []))
        change.add(ModelRecord("m", repository.moment(), "m", "d", "t", "f", {}))
        change.add_ruleset(RuleSetRecord("s", repository.moment(), "s", "m", "r0"), Revision("r0", "c"), "{}")
        change.happened(Happened("extract rules", "s"))

    def edit(number: int) -> None:
        with repository.change(LOCAL) as change:
            change.advance("s", f"r{number}", [Revision(f"r{number + 1}", "c", STEP)])
            change.happened(Happened("edit rules", "s", "policy", {"steps": [STEP]}))

    return edit


def seconds(write: Callable[[int], None], numbers: range) -> float:
    """The time of some writes."""
    began = time.perf_counter()
    for number in numbers:
        write(number)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--changes", type=int, default=2_000)
    parser.add_argument("--database", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where: Path | str = asked.database or Path(folder) / "store.db"
        repository = Repository(where)
        ours, peer = edits(repository), bare(where)
        share = asked.changes // ROUNDS
        spent = [0.0, 0.0]
        for turn in range(ROUNDS):
            numbers = range(turn * share, (turn + 1) * share)
            spent[0] += seconds(ours, numbers)
            spent[1] += seconds(peer, numbers)
        rates = [share * ROUNDS / time_spent for time_spent in spent]
        print(f"changes/s {rates[0]:.0f}  bare commits/s {rates[1]:.0f}  ratio {rates[0] / rates[1]:.2f}")
        began = time.perf_counter()
        found = verify_chain(repository.events())
        each = 1e6 * (time.perf_counter() - began) / found.events
        print(f"verified {found.events} events, ok {found.ok}, {each:.1f} us each, read from the database")
        repository.close()


if __name__ == "__main__":
    main()
