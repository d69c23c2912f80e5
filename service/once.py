"""Requests with an Idempotency-Key: one effect and the same reply, however often they are sent.

The reply is kept in the transaction that makes the change, so that a killed service either did both or
neither. A request that was refused leaves nothing, and its key may be used again. A key belongs to the
credential that it came with.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ruleedit.schema import content_hash
from service.errors import KeyInFlight, KeyReused
from service.store.change import Change
from service.store.records import Asked, Reason
from service.store.repository import Repository, text_of

#: Whose key the request at hand carries, and the key; it travels beside the call, as the call's transaction does.
KEY: ContextVar[tuple[str, str] | None] = ContextVar("KEY", default=None)


@dataclass(frozen=True)
class Attempt:
    """One try at a request: what was answered before, or how to answer now."""

    earlier: Any = None
    asked: Asked | None = None

    def answer(self, change: Change, reply: Any) -> Any:
        """Keep the reply with the change where the request has a key; returns it."""
        if self.asked is not None:
            change.keep_reply(self.asked, reply)
        return reply


class Once:
    """The keys of one service."""

    def __init__(self, repository: Repository, clock: Callable[[], datetime]) -> None:
        self._repository = repository
        self._clock = clock
        self._lock = threading.Lock()
        self._flying: set[tuple[str, str]] = set()

    def forget(self, hours: float) -> None:
        """Forget the keys that are older than so many hours."""
        self._repository.forget_replies(text_of(self._clock() - timedelta(hours=hours)))

    @contextlib.contextmanager
    def attempt(self, action: str, *asked: Any) -> Iterator[Attempt]:
        """Try a request that asks for ``action`` with these arguments, JSON or a `Reason` each.

        Raises `KeyReused` where the key was used for something else, and `KeyInFlight` where the same
        request is still at work.
        """
        key = KEY.get()
        if key is None:
            yield Attempt()
            return
        with self._alone(key):
            wanted = Asked(*key, content_hash([action, *map(_plain, asked)]))
            kept = self._repository.reply(*key)
            if kept is not None and kept[0] != wanted.asked:
                raise KeyReused(f"the Idempotency-Key {key[1]!r} was used for another request; take a new one")
            if kept is not None:
                yield Attempt(earlier=json.loads(kept[1]))
                return
            try:
                yield Attempt(asked=wanted)
            except Exception as problem:
                # Another process was at work on the same request and was quicker: its reply is the one to read.
                if self._repository.reply(*key) is None:
                    raise
                raise _in_flight(key) from problem

    @contextlib.contextmanager
    def _alone(self, key: tuple[str, str]) -> Iterator[None]:
        with self._lock:
            if key in self._flying:
                raise _in_flight(key)
            self._flying.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._flying.remove(key)


def _plain(argument: Any) -> Any:
    """An argument as JSON; a reason that cites nothing is its words."""
    if not isinstance(argument, Reason):
        return argument
    return [argument.text, argument.cited] if argument.cited else argument.text


def _in_flight(key: tuple[str, str]) -> KeyInFlight:
    return KeyInFlight(f"a request with the Idempotency-Key {key[1]!r} is still at work; ask again later")
