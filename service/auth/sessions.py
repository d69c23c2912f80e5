"""Sessions of the workbench: a credential given once on a page, and a cookie that stands for it.

A browser can't send an Authorization header with a page or a socket. The cookie is random and is kept
as a hash; it opens the pages and nothing else, never the API, so that another site's page can't use
it there. Each request asks anew whether the credential still stands. Sessions end with the process.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

COOKIE = "ruleedit"
#: What the pages' own addresses begin with; `/` is one too.
PAGES = ("/r/", "/_nicegui")
#: A session that nobody used for so long has ended: a working day.
IDLE = timedelta(hours=10)
#: The oldest session ends when there are more; each is a browser that somebody signed in with.
MOST = 10_000


def is_page(path: str) -> bool:
    """Whether an address is a page of the workbench or what a page loads: where the cookie counts."""
    return path == "/" or path.startswith(PAGES)


@dataclass(frozen=True)
class _Session:
    credential: str
    used: datetime


class Sessions:
    """The open sessions of one process."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._open: OrderedDict[str, _Session] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, credential: str) -> str:
        """Begin a session for a credential that was checked; returns the cookie's value."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._open[_hash(token)] = _Session(credential, self._clock())
            while len(self._open) > MOST:
                self._open.popitem(last=False)
        return token

    def credential(self, token: str) -> str | None:
        """The credential that a cookie stands for; None where the session isn't known or has ended."""
        name, moment = _hash(token), self._clock()
        with self._lock:
            found = self._open.get(name)
            if found is None or moment - found.used > IDLE:
                self._open.pop(name, None)
                return None
            self._open[name] = _Session(found.credential, moment)
            self._open.move_to_end(name)
            return found.credential

    def close(self, token: str) -> None:
        """End a session."""
        with self._lock:
            self._open.pop(_hash(token), None)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
