"""A release on trial beside the one in service: in its *shadow*, or as a *canary* for a share of the rows.

A shadow decides the same rows after they were answered, and only the differences are counted. A canary
decides some rows in earnest: which ones depends on the row and the trial alone, so the same row gets
the same release each time. Whatever goes wrong with a release on trial is counted, and harms no answer.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from ruleedit.decisions import Decision
from service.store.records import TrialCounts

log = logging.getLogger(__name__)
Kind: TypeAlias = Literal["shadow", "canary"]
Records: TypeAlias = Sequence[Mapping[str, Any]]
#: Requests that may wait for a shadow: it must not cost memory where it is slower than what it shadows.
MOST_WAITING = 1_000


class Candidate(Protocol):
    """What is on trial: a release that decides."""

    @property
    def id(self) -> str:
        """The release."""

    @property
    def expires(self) -> str | None:
        """When it stops serving."""

    def decide(self, rows: Records) -> list[Decision]:
        """Decide JSON rows."""


class Trial:
    """One release on trial in this process, and what was counted here since the service started or the trial did."""

    def __init__(self, kind: Kind, candidate: Candidate, share: float) -> None:
        self.kind: Kind = kind
        self.candidate = candidate
        self.share = share
        #: The trial's number in the database, once it is there.
        self.number = 0
        #: What of the counts is in the database. It stands here, so that whoever still holds a trial that has
        #: ended, as a chore may, adds nothing twice.
        self.written = TrialCounts()
        self._lock = threading.Lock()
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._failed = 0
        self._dropped = 0
        self._queue: queue.Queue[tuple[Records, list[str]] | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._follow, name="shadow", daemon=True)
        if kind == "shadow":
            self._thread.start()

    def takes(self, row: Sequence[float]) -> bool:
        """Whether this encoded row is the canary's."""
        digest = hashlib.sha256(self.candidate.id.encode() + array("d", row).tobytes()).digest()
        return int.from_bytes(digest[:8], "big") < self.share * 2**64

    def decide(self, rows: Records) -> list[Decision] | None:
        """Decide the canary's rows; None where it can't, and then the release in service does."""
        try:
            decisions = self.candidate.decide(rows)
        except Exception:  # noqa: BLE001, whatever it is, the release in service still answers
            self._fail(len(rows))
            return None
        self._count((decision.model_outcome or "", decision.outcome) for decision in decisions)
        return decisions

    def follow(self, rows: Records, outcomes: list[str]) -> None:
        """Have a shadow decide rows that were answered with these outcomes, soon; dropped where too many wait."""
        try:
            self._queue.put_nowait((rows, outcomes))
        except queue.Full:
            with self._lock:
                self._dropped += len(rows)

    def close(self) -> None:
        """End; what waits is still counted."""
        if self.kind == "shadow":
            self._queue.put(None)
            self._thread.join()

    def counts(self) -> TrialCounts:
        """Rows by pair of outcomes, rows that it couldn't decide, and rows that were dropped.

        A shadow's pairs are what was answered and what it would have; a canary's the model's own outcome
        and what it answered.
        """
        with self._lock:
            return TrialCounts(dict(sorted(self._pairs.items())), self._failed, self._dropped)

    def _follow(self) -> None:
        while (item := self._queue.get()) is not None:
            rows, outcomes = item
            try:
                decisions = self.candidate.decide(rows)
            except Exception:  # noqa: BLE001, whatever it is, nobody waits for a shadow
                self._fail(len(rows))
                continue
            self._count(zip(outcomes, (decision.outcome for decision in decisions), strict=True))

    def _count(self, pairs: Iterable[tuple[str, str]]) -> None:
        with self._lock:
            self._pairs.update(pairs)

    def _fail(self, rows: int) -> None:
        with self._lock:
            first, self._failed = self._failed == 0, self._failed + rows
        if first:
            log.exception(
                "%s, on trial as %s, can't decide rows; further ones are only counted", self.candidate.id, self.kind
            )


def split(
    canary: Trial, encoded: Sequence[Sequence[float]], records: Records, decide: Callable[[list[int]], list[Decision]]
) -> tuple[list[Decision], list[bool]]:
    """Decide rows, the canary's share by the canary and the rest by ``decide`` (given places); and which were tried."""
    wanted = [canary.takes(row) for row in encoded]
    places = [place for place, chosen in enumerate(wanted) if chosen]
    found = canary.decide([records[place] for place in places]) if places else []
    if found is None:
        return decide(list(range(len(encoded)))), [False] * len(encoded)
    rest = [place for place, chosen in enumerate(wanted) if not chosen]
    others = decide(rest) if rest else []
    tried, kept = iter(found), iter(others)
    return [next(tried) if chosen else next(kept) for chosen in wanted], wanted
