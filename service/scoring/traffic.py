"""What goes through one release in service: decisions counted by rule and outcome, inputs by bin."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ruleedit.decisions import Decision, Grounds
from service.scoring.drift import Counts, Reference, stability

#: Rows of a window; the index is of the last one to two windows.
WINDOW = 5_000
#: Fewer rows say nothing of a distribution.
FEWEST = 200
#: Cells that wait to be counted, so that counting them is one step of numpy's and takes about a millisecond.
CELLS = 10_000


@dataclass(frozen=True)
class Tally:
    """How often one rule met one outcome: ``kind`` and ``rule`` as in the reason code."""

    kind: str
    rule: str
    outcome: str
    model_outcome: str
    count: int


class Traffic:
    """The counters of one release; they begin at 0 with each start, as Prometheus expects."""

    def __init__(self, grounds: Grounds, reference: Reference | None = None) -> None:
        self.reference = reference
        self._grounds = grounds
        self._lock = threading.Lock()
        self._tally: Counter[tuple[tuple[str, ...], str, str | None]] = Counter()
        self._waiting: list[Sequence[float]] = []
        self._windows = [self._empty(), self._empty()]
        self._rows = [0, 0]

    def note(self, rows: Sequence[Sequence[float]], decisions: Sequence[Decision]) -> None:
        """Count decided encoded rows."""
        tally, waiting = self._tally, self._waiting
        with self._lock:
            for decision in decisions:
                tally[decision.reason_codes, decision.outcome, decision.model_outcome] += 1
            if self.reference is not None:
                waiting.extend(rows)
                if len(waiting) * len(waiting[0]) > CELLS:
                    self._count()

    def tallies(self) -> list[Tally]:
        """Every counter."""
        with self._lock:
            found = sorted(self._tally.items())
        tallies = []
        for (codes, outcome, own), count in found:
            kind, _, rule = codes[0].partition(":") if codes else ("model", "", "")
            tallies.append(Tally(kind, rule, outcome, own or "", count))
        return tallies

    def agreement(self) -> dict[str, tuple[int, int]]:
        """By reason code on how many rows the model's own outcome is the rule's, and of how many."""
        agreed: Counter[str] = Counter()
        every: Counter[str] = Counter()
        for tally in self.tallies():
            code = f"{tally.kind}:{tally.rule}"
            says = self._grounds.says(code)
            if says is not None:
                every[code] += tally.count
                agreed[code] += tally.count if tally.model_outcome == says else 0
        return {code: (agreed[code], every[code]) for code in every}

    def stability(self) -> Iterator[float]:
        """Each feature's population stability index against training; nothing before there are enough rows."""
        with self._lock:
            if self.reference is None:
                return
            if self._waiting:
                self._count()
            if sum(self._rows) < FEWEST:
                return
            now = [old + new for old, new in zip(*self._windows, strict=True)]
        yield from map(stability, self.reference.counts, now)

    def _empty(self) -> list[Counts]:
        return [] if self.reference is None else [np.zeros_like(counts) for counts in self.reference.counts]

    def _count(self) -> None:
        assert self.reference is not None
        table = np.array(self._waiting)
        for place, bins in enumerate(self.reference.bins):
            self._windows[1][place] += bins.count(table[:, place])
        self._rows[1] += len(table)
        self._waiting.clear()
        if self._rows[1] >= WINDOW:
            self._windows = [self._windows[1], self._empty()]
            self._rows = [self._rows[1], 0]
