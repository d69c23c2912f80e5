"""Lines written beside the requests: bounded, whole, rotated."""

from __future__ import annotations

import logging
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.lines import Rotating, Writer


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def rotating(folder: Path, clock: Clock, *, most_bytes: int = 20, most_files: int = 3, days: float = 30) -> Rotating:
    """A log of small files."""
    return Rotating(folder, "log", clock, most_bytes=most_bytes, most_files=most_files, days=days)


def test_lines_are_written_in_order_and_all_at_the_end() -> None:
    """Closing waits for what is queued."""
    found: list[bytes] = []
    writer = Writer(found.append, 1_000)
    assert all(writer.put(f"{number}".encode()) for number in range(500))
    writer.close()
    assert b"".join(found).split() == [f"{number}".encode() for number in range(500)]
    assert writer.dropped == 0


def test_what_does_not_fit_is_dropped_and_counted() -> None:
    """While the disk is slow nobody waits."""
    found: list[bytes] = []
    slow = threading.Event()

    def write(lines: bytes) -> None:
        slow.wait(10)
        found.append(lines)

    writer = Writer(write, 10)
    taken = [writer.put(b"x") for _ in range(200)]
    slow.set()
    writer.close()
    assert 10 <= sum(taken) <= 20
    assert writer.dropped == 200 - sum(taken)
    assert b"".join(found).count(b"x") == sum(taken)


def test_lines_that_the_disk_refuses_are_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A full disk stops no decision."""

    def write(lines: bytes) -> None:
        raise OSError("no space left")

    writer = Writer(write, 10)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            writer.put(b"x")
        writer.close()
    assert writer.dropped == 3
    assert len(caplog.records) == 1


def test_a_full_file_is_closed_and_named_by_the_time(tmp_path: Path) -> None:
    """No line is lost or cut."""
    clock = Clock()
    log = rotating(tmp_path, clock)
    for number in range(6):
        log.write(f"line {number}\n".encode())
    log.close()
    assert [path.read_text() for path in log.closed] == ["line 0\nline 1\n", "line 2\nline 3\n"]
    assert (tmp_path / "log.jsonl").read_text() == "line 4\nline 5\n"
    assert all(path.name.startswith("log-20260301T120000") for path in log.closed)


def test_a_new_day_begins_a_new_file(tmp_path: Path) -> None:
    """However little is in the old one."""
    clock = Clock()
    log = rotating(tmp_path, clock)
    log.write(b"a\n")
    clock.now += timedelta(days=1)
    log.write(b"b\n")
    log.close()
    assert [path.read_text() for path in log.closed] == ["a\n"]


def test_old_files_are_removed_by_number_and_by_age(tmp_path: Path) -> None:
    """The newest are kept, and none for longer than the days."""
    clock = Clock()
    log = rotating(tmp_path, clock, most_bytes=1, most_files=2)
    for number in range(6):
        log.write(f"{number}\n".encode())
        clock.now += timedelta(seconds=1)
    assert [path.read_text() for path in log.closed] == ["3\n", "4\n"]
    old = clock.now.timestamp() - 40 * 86_400
    os.utime(log.closed[0], (old, old))
    log.write(b"6\n")
    log.close()
    assert [path.read_text() for path in log.closed] == ["4\n", "5\n"]


def test_a_restart_appends(tmp_path: Path) -> None:
    """To the newest file, where it isn't of another day."""
    clock = Clock()
    clock.now = datetime.now(UTC)
    for number in range(2):
        log = rotating(tmp_path, clock)
        log.write_through(f"{number}\n".encode())
        log.close()
    assert (tmp_path / "log.jsonl").read_text() == "0\n1\n"
