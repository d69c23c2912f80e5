"""Structured logs: one JSON object a line on standard error, for requests and for what the service says of itself.

A request's line has its id, who asked (the name of a key or of a token's holder), the route's template, the
status and the seconds: no address, no parameter, no body.
"""

from __future__ import annotations

import functools
import itertools
import json
import logging
import math
import re
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

#: What a client may choose as a request's id.
_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
REQUEST_ID = b"x-request-id"


class RequestIds:
    """Ids of requests: the client's own where it is plain text, else one that no other process has."""

    def __init__(self) -> None:
        self._prefix = uuid.uuid4().hex[:12]
        self._numbers = itertools.count(1)

    def of(self, given: bytes | None) -> str:
        """The id of a request that came with this header."""
        if given is not None and _ID.fullmatch(given):
            return given.decode()
        return f"{self._prefix}-{next(self._numbers):x}"


def stamp(seconds: float) -> str:
    """A time since the epoch as RFC 3339 text in UTC, to the millisecond."""
    whole = math.floor(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


@functools.lru_cache(16)
def _second(whole: int) -> str:
    # The same for every request of a second, and dearer than the rest of a line.
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def request_line(request: str, person: str | None, method: str, route: str, status: int, seconds: float) -> bytes:
    """The line of an answered request."""
    asked = _asked(person, method, route, status)
    return f'{{"at":"{stamp(time.time())}","request":"{request}",{asked},"seconds":{seconds:.6f}}}'.encode()


@functools.lru_cache(1_024)
def _asked(person: str | None, method: str, route: str, status: int) -> str:
    return json.dumps({"person": person, "method": method, "route": route, "status": status})[1:-1]


class JsonLines(logging.Formatter):
    """What the service says of itself, as the same kind of lines."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        told = {
            "at": stamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return json.dumps(told)


def configure() -> Callable[[bytes], None]:
    """Send the logs of this process to standard error as lines of JSON; returns what writes lines there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    stream = sys.stderr.buffer

    def write(lines: bytes) -> None:
        stream.write(lines)
        stream.flush()

    return write
