"""Chores: what the service does again and again, each at its own interval, in one thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ruleedit.errors import RuleEditError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chore:
    """What is done, and how many seconds lie between one time and the next."""

    name: str
    seconds: float
    run: Callable[[], object]


class Schedule:
    """Runs chores once at the start and then at their intervals; one that fails is logged and tried again."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        self._chores = chores
        #: How often each chore has failed since the start, by its name.
        self.failures = {chore.name: 0 for chore in chores}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schedule", daemon=True)

    def start(self) -> None:
        """Begin, where there is something to do: a thread without a chore would ask for one all the time."""
        if self._chores:
            self._thread.start()

    def close(self) -> None:
        """Stop, and wait for the chore at hand."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        due = [time.monotonic()] * len(self._chores)
        while not self._closing.is_set():
            for number, chore in enumerate(self._chores):
                if time.monotonic() >= due[number] and not self._closing.is_set():
                    self.failures[chore.name] += not run(chore)
                    due[number] = time.monotonic() + chore.seconds
            self._closing.wait(max(0.0, min(due) - time.monotonic()))


def run(chore: Chore) -> bool:
    """Run one chore now and say whether it was done; a failure goes to the log."""
    try:
        chore.run()
        return True
    except RuleEditError as problem:
        log.error("%s: %s", chore.name, problem)
    except Exception:
        log.exception("%s failed", chore.name)
    return False
