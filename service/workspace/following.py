"""What other processes on the same database changed, brought into this one's memory.

Every change leaves one event, and events are numbered without a gap: so the last number says whether
anything happened, and the actions since say what. Whoever follows then makes its memory what the
database says now, not what the events say: one that was missed, or seen twice, does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from service.store.repository import Repository

log = logging.getLogger(__name__)


class Following:
    """Follows the events of one database.

    ``readers`` bring up to date what the actions beside them change. ``problem`` says what couldn't be
    brought up to date; it is tried again each time.
    """

    def __init__(self, repository: Repository, readers: Mapping[Callable[[], None], frozenset[str]]) -> None:
        self._repository = repository
        self._readers = readers
        self._seen = 0
        self._due: set[Callable[[], None]] = set()
        self.problem: str | None = None

    def start(self) -> None:
        """Begin with what happens from now on: what was before is about to be read by everybody."""
        self._seen = self._repository.head().sequence

    def look(self) -> None:
        """Bring up to date whatever something happened to; what fails is said once, and tried again."""
        try:
            self._look()
        except Exception as problem:
            if str(problem) != self.problem:
                log.exception("what other processes changed can't be followed; this is tried again")
            self.problem = str(problem)
        else:
            self.problem = None

    def _look(self) -> None:
        found = self._repository.actions_after(self._seen)
        actions = {action for _, action in found}
        self._due |= {read for read, heeded in self._readers.items() if heeded & actions}
        self._seen = max((sequence for sequence, _ in found), default=self._seen)
        for read in list(self._due):
            read()
            self._due.discard(read)
