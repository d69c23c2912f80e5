"""A Dask cluster of two worker processes on loopback, made once a module, and tables in many files."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ruleedit.scale.cluster import Spread, cluster


@pytest.fixture(scope="module")
def spread() -> Iterator[Spread]:
    """Two worker processes; one that is killed is started again."""
    with cluster("local", workers=2) as client:
        yield Spread(client)


def in_files(frame: pd.DataFrame, folder: Path, files: int, *, group: int = 1_000) -> Path:
    """The table as a folder of so many Parquet files, in order."""
    folder.mkdir()
    size = -(-len(frame) // files)
    for number, start in enumerate(range(0, len(frame), size)):
        part = pa.Table.from_pandas(frame.iloc[start : start + size], preserve_index=False)
        pq.write_table(part, folder / f"{number:03}.parquet", row_group_size=group)
    return folder


class Killing:
    """A `Spread` whose workers are killed with SIGKILL after some of the results: one, and later both."""

    def __init__(self, spread: Spread, *, after: Sequence[int] = (2, 8)) -> None:
        self.spread = spread
        self.after = after
        self.killed: list[int] = []

    def __call__(self, work: Callable[..., Any], things: Sequence[Any], *shared: Any) -> Iterator[Any]:
        """As `Spread` does."""
        for number, result in enumerate(self.spread(work, things, *shared), start=1):
            if number in self.after:
                pids = sorted(self.spread.client.run(os.getpid).values())
                for pid in pids if number == self.after[-1] else pids[:1]:
                    os.kill(pid, signal.SIGKILL)
                    self.killed.append(pid)
            yield result
