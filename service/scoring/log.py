"""The decision log: one line of JSON for each answered request, beside the requests or before the answer.

A line holds when, the request's id, the answer as the client got it, and for each row a hash of what
the model read (or, by setting, the values themselves). *Asynchronous*: lines wait in memory, at most
so many, and a line that doesn't fit is dropped and counted. *Synchronous*: the answer waits until its
line is on the disk, and is refused where it can't be written.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from ruleedit.schema import Schema
from service.errors import DecisionLogFailed
from service.settings import Settings
from service.telemetry.lines import Rotating, Writer
from service.telemetry.logs import stamp


class DecisionLog:
    """The log of one process, in the folder ``decisions`` of its data folder; under its ``seat`` where it shares it."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime], seat: int | None = None) -> None:
        self._clock = clock
        self._values = settings.decision_log_values
        folder = settings.data_dir / "decisions"
        self._files = Rotating(
            folder if seat is None else folder / str(seat),
            "decisions",
            clock,
            most_bytes=settings.decision_log_bytes,
            most_files=settings.decision_log_files,
            days=settings.decision_log_days,
        )
        self.waits = settings.decision_log == "sync"
        self._writer = None if self.waits else Writer(self._files.write, settings.decision_log_queue)

    @property
    def dropped(self) -> int:
        """The lines that were not written."""
        return 0 if self._writer is None else self._writer.dropped

    def note(
        self,
        request: str,
        answer: bytes,
        schema: Schema,
        rows: Sequence[Sequence[float]],
        records: Sequence[Any],
    ) -> None:
        """Log an answer (a JSON object) to encoded rows that came as records; raises `DecisionLogFailed`."""
        inputs = [{name: record[name] for name in schema.names} for record in records] if self._values else None
        told: dict[str, Any] = {"at": stamp(self._clock().timestamp()), "request": request}
        told |= {"inputs": [row_hash(row) for row in rows]} if inputs is None else {"inputs": inputs}
        self._put(to_json(told)[:-1] + b"," + answer[1:])

    def note_batch(self, request: str, told: dict[str, Any]) -> None:
        """Log a batch as one line, with what it was asked of and the counts; raises `DecisionLogFailed`."""
        self._put(to_json({"at": stamp(self._clock().timestamp()), "request": request, "batch": told}))

    def _put(self, line: bytes) -> None:
        if self._writer is not None:
            self._writer.put(line)
            return
        try:
            self._files.write_through(line + b"\n")
        except OSError as problem:
            raise DecisionLogFailed(f"the decision can't be logged ({problem.strerror}), so it isn't given") from None

    def close(self) -> None:
        """Write what waits."""
        if self._writer is not None:
            self._writer.close()
        self._files.close()


def row_hash(row: Sequence[float]) -> str:
    """SHA-256 of an encoded row's doubles, little-endian, in the order of the schema's features."""
    return hashlib.sha256(array("d", row).tobytes()).hexdigest()
