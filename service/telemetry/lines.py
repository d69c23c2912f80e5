"""Lines that are written beside the requests: the request log and the decision log.

A `Writer` takes a line in well under a microsecond and writes many at once in a thread of its own.
It is bounded: what doesn't fit is dropped and counted, because a full disk must not stop decisions.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)
#: Seconds between two writes where few lines come.
PAUSE = 0.1


#: Seconds for the last lines: a reader that has stopped must not keep the service from ending.
PATIENCE = 5.0


class Writer:
    """Writes lines in a thread of its own; at most ``most`` of them wait."""

    def __init__(self, write: Callable[[bytes], None], most: int) -> None:
        self._write = write
        self._most = most
        self._lines: deque[bytes] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._failed = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> bool:
        """Queue a line without its end; False where it was dropped."""
        waiting = len(self._lines)
        if waiting >= self._most:
            self.dropped += 1
            return False
        self._lines.append(line)
        if waiting > self._most // 2:
            self._wake.set()
        return True

    def close(self) -> None:
        """Write what waits, and end; where nobody takes the lines, such as a full pipe, give up after `PATIENCE`."""
        self._closing = True
        self._wake.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(PAUSE)
            self._wake.clear()
            self._drain()
        self._drain()

    def _drain(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if not lines:
            return
        try:
            self._write(b"\n".join(lines) + b"\n")
            self._failed = False
        except OSError:
            self.dropped += len(lines)
            if not self._failed:
                log.exception("%d lines can't be written; further ones are counted and not said", len(lines))
            self._failed = True


class Rotating:
    """JSON Lines in a folder: the newest in ``NAME.jsonl``, older ones in files named by when they were closed.

    A file is closed when it has ``most_bytes`` or the day (UTC) changes; at most ``most_files``
    closed ones are kept, none longer than ``days``.
    """

    def __init__(
        self, folder: Path, name: str, clock: Callable[[], datetime], *, most_bytes: int, most_files: int, days: float
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name, self._clock = folder, name, clock
        self._most_bytes, self._most_files, self._days = most_bytes, most_files, days
        self._lock = threading.Lock()
        self._path = folder / f"{name}.jsonl"
        self._file: BinaryIO = self._path.open("ab")
        self._day = self._last_day()
        self._forget()

    def write(self, lines: bytes) -> None:
        """Append whole lines."""
        self._append(lines)

    def write_through(self, lines: bytes) -> None:
        """Append whole lines and wait until they are on the disk."""
        file = self._append(lines)
        try:
            # Outside of the lock: the disk takes the lines of many at once.
            os.fsync(file.fileno())
        except (OSError, ValueError):
            # A file that somebody closed meanwhile was on the disk before.
            if not file.closed:
                raise

    def _append(self, lines: bytes) -> BinaryIO:
        """Append whole lines; returns the file that they are in."""
        with self._lock:
            if self._file.tell() and (
                self._file.tell() + len(lines) > self._most_bytes or self._clock().date() != self._day
            ):
                self._rotate()
            self._file.write(lines)
            self._file.flush()
            return self._file

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def closed(self) -> list[Path]:
        """The files that are complete, oldest first."""
        return sorted(self._folder.glob(f"{self._name}-*.jsonl"))

    def _rotate(self) -> None:
        """Begin a new file; where that fails the old one stays in use, and the next line tries again."""
        os.fsync(self._file.fileno())
        stamp = self._clock().strftime("%Y%m%dT%H%M%S.%f")
        number = 0
        while (place := self._folder / f"{self._name}-{stamp}-{number}.jsonl").exists():
            number += 1
        if self._path.exists():
            self._path.rename(place)
        old, self._file = self._file, self._path.open("ab")
        old.close()
        self._day = self._clock().date()
        self._forget()

    def _forget(self) -> None:
        kept = self.closed
        oldest = (self._clock() - timedelta(days=self._days)).timestamp()
        for place, path in enumerate(kept):
            if place < len(kept) - self._most_files or path.stat().st_mtime < oldest:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()

    def _last_day(self) -> object:
        if not self._path.stat().st_size:
            return self._clock().date()
        return datetime.fromtimestamp(self._path.stat().st_mtime, self._clock().tzinfo).date()
