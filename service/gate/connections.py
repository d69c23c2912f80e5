"""Connections: so many at once, and each says within its time and size what it asks for.

What `service.gate` limits are requests; a connection that never gets as far as a request is limited
here, under it. uvicorn waits for the rest of a request's head for ever and keeps whatever comes of it,
so that a few thousand half requests ("slow loris") would leave nobody else a place. Here the head has
a time and a size, and where every place is taken the connection that has waited longest without asking
for anything makes room; only where all of them are being answered is a new one refused.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.settings import Settings


class Bounded(HttpToolsProtocol):
    """A connection with the limits of ``settings``; ``waiting`` are those that ask for nothing yet, oldest first."""

    settings: ClassVar[Settings]
    waiting: ClassVar[dict[Bounded, None]]
    #: Bytes so far of a head that isn't whole; None between requests and while one is at work.
    _head: int | None = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, somebody's who has no use for it where there is none left, or be refused."""
        super().connection_made(transport)
        if len(self.connections) > self.settings.most_connections:
            oldest = next(iter(self.waiting), None)
            if oldest is None:
                self._end(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "every connection is being answered")
                return
            oldest.transport.close()
            oldest._forget()
        self.waiting[self] = None
        self._hurry()

    def on_message_begin(self) -> None:
        """Begin to read a head."""
        super().on_message_begin()
        self._head = 0
        self._hurry()

    def on_headers_complete(self) -> None:
        """Take the request to work, or a WebSocket."""
        self._forget()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read on; of a head no more than its size."""
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > self.settings.most_head:
                most = f"the head of a request has at most {self.settings.most_head} bytes"
                self._end(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too-large", most)

    def on_response_complete(self) -> None:
        """Wait for another request."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self.waiting[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._forget()
        super().connection_lost(exc)

    def _hurry(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.settings.head_seconds, self._slow)

    def _forget(self) -> None:
        """Neither wait for a request nor hurry it."""
        self.waiting.pop(self, None)
        self._head = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _slow(self) -> None:
        seconds = f"no whole request arrived within {self.settings.head_seconds:g} s"
        self._end(HTTPStatus.REQUEST_TIMEOUT, "too-slow", seconds)

    def _end(self, status: HTTPStatus, code: str, detail: str) -> None:
        """Say what is wrong, and close."""
        self._forget()
        told = {"type": f"urn:ruleedit:problem:{code}", "title": status.phrase, "status": status, "detail": detail}
        body = json.dumps(told | {"code": code})
        head = f"HTTP/1.1 {status:d} {status.phrase}\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode())
        self.transport.close()


def connecting(settings: Settings) -> dict[str, Any]:
    """What `uvicorn.Config` is told of connections."""
    kind = type("Connection", (Bounded,), {"settings": settings, "waiting": {}})
    return {"http": kind, "backlog": settings.backlog, "timeout_keep_alive": settings.keep_alive_seconds}
