"""Heavy steps in processes of their own, with limits: whatever they do, the service lives on.

A child is forked from a server process that has imported the libraries and nothing else, so that it
starts in a moment and shares no thread or lock with the service. It ends with its step, with its time,
when it is stopped, and with the service itself. What goes between are our own values, by
`multiprocessing`.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeAlias, TypeVar

from ruleedit.errors import RuleEditError
from service.errors import StepFailed
from service.jobs import Watch

log = logging.getLogger(__name__)
Found = TypeVar("Found")
#: What a step calls with the steps done and all of them.
Progress: TypeAlias = Callable[..., None]
#: What libraries in C++ say where memory is refused; their errors are of no common kind.
_REFUSED_MEMORY = "bad_alloc"
#: Seconds between two looks at whether the work was stopped or its time is up.
_LOOK = 0.1
_CONTEXT = multiprocessing.get_context("forkserver")
#: Whatever a step imports, so that each child needn't.
_CONTEXT.set_forkserver_preload(["__main__", "service.jobs.tasks", "sklearn.tree", "ruleedit.surrogate.branching"])


@dataclass(frozen=True)
class Children:
    """How children run: with so many bytes of address space and so many seconds each."""

    memory: int
    seconds: float

    def call(self, function: Callable[..., Found], *args: Any, watch: Watch | None = None, **named: Any) -> Found:
        """What ``function(*args, **named)`` returns or raises in a child of its own.

        With a watch it is given ``progress`` too, to tell how far it is. Raises `Cancelled` where the watch was
        stopped, and `StepFailed` where the child died, took more than its time, or needed more than its memory.
        What goes wrong in it otherwise is a `RuntimeError` here, and in the log as it was there.
        """
        here, there = _CONTEXT.Pipe()
        alive, held = _CONTEXT.Pipe(duplex=False)
        told = (there, alive, self.memory, watch is not None, function, args, named)
        child = _CONTEXT.Process(target=_work, args=told, daemon=True)
        child.start()
        there.close()
        alive.close()
        try:
            found: Found = self._result(here, watch)
            return found
        except EOFError:
            child.join()
            raise StepFailed(_ended(child.exitcode)) from None
        finally:
            child.kill()
            child.join()
            child.close()
            here.close()
            held.close()

    def _result(self, here: Connection, watch: Watch | None) -> Any:
        until = time.monotonic() + self.seconds
        while True:
            if watch is not None:
                watch.check()
            if time.monotonic() > until:
                raise StepFailed(f"the step took more than {self.seconds:g} s, the most that the settings allow")
            if not here.poll(_LOOK):
                continue
            try:
                kind, value = here.recv()
            except OSError:
                # It died while it said something.
                raise EOFError from None
            if kind == "progress" and watch is not None:
                watch(*value)
            elif kind == "raised":
                raise value
            elif kind == "failed":
                log.error("a step failed in its process:\n%s", value)
                raise RuntimeError(value.rstrip().rpartition("\n")[2])
            else:
                return value


def _work(
    there: Connection,
    alive: Connection,
    memory: int,
    watched: bool,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    named: dict[str, Any],
) -> None:
    """The life of a child: its limits, its step, its answer."""
    threading.Thread(target=_end_with_service, args=(alive,), daemon=True).start()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    memory = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if watched:
        named["progress"] = lambda *said: there.send(("progress", said))
    try:
        value = function(*args, **named)
        answer = ("returned", value)
    except RuleEditError as problem:
        answer = ("raised", problem)
    except Exception as problem:  # noqa: BLE001 (it is told to the service, which logs it)
        if isinstance(problem, MemoryError) or _REFUSED_MEMORY in str(problem):
            said = f"the step needed more than {memory} bytes, the most that the settings allow"
            answer = ("raised", StepFailed(said))
        else:
            answer = ("failed", traceback.format_exc())
    there.send(answer)


def _ended(exit_code: int | None) -> str:
    """What to say of a child that ended without an answer; the code of one that was killed is negative."""
    how = ""
    if exit_code is not None and exit_code < 0:
        how = f" by signal {-exit_code} ({signal.strsignal(-exit_code)})"
    return f"the step's process was ended{how} in the middle; it may have needed too much memory"


def _end_with_service(alive: Connection) -> None:
    """Wait until the service lets go of its end, as its death does, and end."""
    alive.poll(None)
    os._exit(1)
