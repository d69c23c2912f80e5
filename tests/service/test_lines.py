"""Lines written beside the requests: bounded, whole, rotated."""

from __future__ import annotations

import errno
import logging
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from service.telemetry.lines import Rotating, Writer


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


def test_many_at_once_write_through_while_files_are_closed(tmp_path: Path) -> None:
    """Nobody meets a file that another one closed, and every line is there once."""
    log = rotating(tmp_path, Clock(), most_bytes=64, most_files=10_000)
    failed: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            for number in range(100):
                log.write_through(f"{writer} {number}\n".encode())
        except (OSError, ValueError) as problem:
            failed.append(problem)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert failed == []
    lines = "".join(path.read_text() for path in (*log.closed, tmp_path / "log.jsonl")).splitlines()
    assert sorted(lines) == sorted(f"{writer} {number}" for writer in range(8) for number in range(100))


def test_a_file_that_can_t_be_closed_for_a_new_one_is_gone_on_with(tmp_path: Path) -> None:
    """The disk's error is told, and as soon as it is over lines are written again, none of them twice."""
    log = rotating(tmp_path, Clock())
    log.write(b"line 0, a long one\n")
    real = Path.open
    with mock.patch.object(Path, "open", side_effect=OSError(errno.EMFILE, "Too many open files")):
        for _ in range(2):
            with pytest.raises(OSError, match="Too many"):
                log.write(b"refused\n")
    assert Path.open is real
    log.write(b"line 1\n")
    log.close()
    assert [path.read_text() for path in log.closed] == ["line 0, a long one\n"]
    assert (tmp_path / "log.jsonl").read_text() == "line 1\n"
