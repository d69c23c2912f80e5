"""Batches: a stored table decided by what is in service, as CSV in parts, so that its size costs no memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from ruleedit.matching import Matrix
from ruleedit.release import prediction_table
from service.scoring import Serving

#: Rows of one part.
PART = 10_000


def decided_csv(serving: Serving, rows: Matrix, ended: Callable[[dict[str, int], int], object]) -> Iterator[bytes]:
    """The answers to encoded rows (n, features) as `prediction_table` gives them; CSV, a header and a line a row.

    ``ended`` is told at the end how many rows had each outcome, and how many differ from the model's own.
    """
    outcomes: Counter[str] = Counter()
    changed = 0
    for start in range(0, max(len(rows), 1), PART):
        table = prediction_table(serving.release, rows[start : start + PART])
        outcomes.update(table["outcome"].astype(str))
        changed += int((table["outcome"].astype(str) != table["model_outcome"].astype(str)).sum())
        yield table.to_csv(index=False, header=start == 0).encode()
    ended(dict(outcomes), changed)
