"""How much of anything is let in: the depth of JSON, and how many requests are at work at once."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

from service.errors import Overloaded

#: Everything but brackets and what strings are made of.
_DULL = bytes(set(range(256)) - set(b'[]{}"\\'))
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def nested_deeper(text: bytes, most: int) -> bool:
    """Whether JSON nests objects and lists deeper than ``most``; in linear time, before any parser sees it.

    Brackets that don't match count as too deep: the parser would refuse them anyway.
    """
    if text.count(b"[") + text.count(b"{") <= most:
        return False
    # What strings hold is no nesting; most strings hold no bracket and are gone after the first replacement.
    marks = text.translate(None, _DULL).replace(b'""', b"")
    if b'"' in marks:
        marks = _STRING.sub(b"", text).translate(None, _DULL)
    marks = marks.translate(bytes.maketrans(b"{}", b"[]"), b'"\\')
    for _ in range(most):
        # Each time the innermost pairs go.
        marks = marks.replace(b"[]", b"")
    return b"[" in marks


class Lane:
    """Requests of a kind: so many at work at once, so many waiting, and no more.

    Whoever finds the lane full is told at once to come again, which costs next to nothing; so the
    service still answers within its time under any load, and recovers as soon as the load is gone.
    """

    def __init__(self, name: str, at_once: int, waiting: int, retry_after: int) -> None:
        self._name = name
        self._most = at_once + waiting
        self._retry_after = retry_after
        self._turn = asyncio.Semaphore(at_once)
        self.inside = 0

    @contextlib.asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Pass, perhaps after waiting; raises `Overloaded` where the lane is full."""
        if self.inside >= self._most:
            raise Overloaded(
                f"{self.inside} {self._name} are at work or waiting, which is the most; ask again in "
                f"{self._retry_after} s",
                self._retry_after,
            )
        self.inside += 1
        try:
            async with self._turn:
                yield
        finally:
            self.inside -= 1
