"""Two Dask workers do what one process does, also when they are killed: nothing is lost, nothing counts twice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from ruleedit.conflicts import find_conflicts
from ruleedit.errors import FileRefused, Refused, ValueRefused
from ruleedit.findings import findings
from ruleedit.formats import canonical
from ruleedit.models.folder import load
from ruleedit.release import load_answering, prediction_table
from ruleedit.scale.cluster import Spread, cluster, here
from ruleedit.scale.measuring import Meter, rows_in
from ruleedit.scale.scoring import predictions, write_decisions, write_parts
from ruleedit.tables import encode, read
from ruleedit.tables.batches import pieces
from tests.commandline import Shop, answer, refused
from tests.scale.clusters import Killing, in_files, spread

__all__ = ["spread"]


@pytest.fixture(scope="module")
def many(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The loans five times, in 20 files."""
    return in_files(pd.concat([read(shop.csv)] * 5), tmp_path_factory.mktemp("many") / "loans", 20)


def test_decisions_are_those_of_one_process_though_workers_are_killed(
    spread: Spread, shop: Shop, many: Path, tmp_path: Path
) -> None:
    """One, and later all that there are: every row is there once, in its place, to the bit."""
    found = load_answering(shop.release("overlay-soft"))
    counts = write_decisions(found, pieces(many), tmp_path / "one.parquet")
    killing = Killing(spread)
    assert write_parts(found, pieces(many), tmp_path / "parts", killing) == counts
    assert len(set(killing.killed)) >= 2
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [f"{n:05}.parquet" for n in range(20)]
    parts = pd.concat([pd.read_parquet(path) for path in sorted((tmp_path / "parts").iterdir())], ignore_index=True)
    pd.testing.assert_frame_equal(parts, pd.read_parquet(tmp_path / "one.parquet"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.parquet", "parts"]


def test_impact_and_conflicts_are_those_of_one_process(spread: Spread, shop: Shop, many: Path) -> None:
    """Every count, and what is counted for doubts."""
    meter = Meter(load(shop.model), canonical.read(shop.edited))
    counts = meter.measure(pieces(many))
    assert counts.tally.rows == 3_500
    assert meter.measure(pieces(many), spread) == counts
    draft = meter.draft
    conflicts, noticed = find_conflicts(draft.rules, draft.schema), findings(draft)
    one = rows_in(conflicts, noticed, draft, pieces(many))
    assert rows_in(conflicts, noticed, draft, pieces(many), spread) == one


def test_a_dask_dataframe_is_decided_partition_by_partition(spread: Spread, shop: Shop) -> None:
    """With its own index, by whatever scheduler its owner has."""
    import dask.dataframe

    found, frame = load_answering(shop.release("overlay-hard")), read(shop.csv).set_index(pd.RangeIndex(100, 800))
    decided = predictions(found, dask.dataframe.from_pandas(frame, npartitions=4))
    assert decided.npartitions == 4
    told = spread.client.compute(decided).result()
    whole = prediction_table(found, encode(frame, found.schema)).set_axis(frame.index)
    pd.testing.assert_frame_equal(told, whole)


def test_the_commands_take_a_schedulers_address(spread: Spread, shop: Shop, many: Path, tmp_path: Path) -> None:
    """And say what they say without one."""
    address = spread.client.scheduler_info()["address"]
    told = answer("predict", shop.model, many, "--out", tmp_path / "parts", "--dask", address)
    assert told == answer("predict", shop.model, many, "--out", tmp_path / "one.csv")
    asked = ("impact", shop.model, shop.edited, "--data", many)
    assert answer(*asked, "--dask", address) == answer(*asked)
    rules = ("conflicts", shop.rules, "--data", many)
    assert answer(*rules, "--dask", address) == answer(*rules)


def test_what_a_worker_refuses_is_refused_here(spread: Spread, shop: Shop, tmp_path: Path) -> None:
    """In the same words, and nothing is left."""
    frame = read(shop.csv)
    frame.loc[650, "income"] = "much"
    bad = in_files(frame, tmp_path / "bad", 4)
    with pytest.raises(ValueRefused, match=r"003.parquet: row 126, column 'income'"):
        write_parts(load_answering(shop.model), pieces(bad), tmp_path / "out", spread)
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_only_a_folder_of_decisions_is_replaced(shop: Shop, many: Path, tmp_path: Path) -> None:
    """Somebody's other files are nobody's to delete."""
    found, table = load_answering(shop.model), pieces(many)[:2]
    write_parts(found, pieces(many)[:3], tmp_path / "out", here)
    write_parts(found, table, tmp_path / "out", here)
    assert len(list((tmp_path / "out").iterdir())) == 2
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(FileRefused, match="something else"):
        write_parts(found, table, tmp_path / "out", here)
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_half_written_file_of_a_killed_worker_is_taken_away(shop: Shop, many: Path, tmp_path: Path) -> None:
    """What it had begun under another name."""
    found = load_answering(shop.model)

    def leaving(work: object, things: list[tuple[object, str]], *shared: object) -> Iterator[object]:
        (Path(things[0][1]).parent / ".half.new").write_text("half")
        return here(work, things, *shared)  # type: ignore[arg-type]

    write_parts(found, pieces(many)[:2], tmp_path / "out", leaving)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["00000.parquet", "00001.parquet"]


def test_an_address_where_nobody_answers_is_refused(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, with what is accepted; the setting is the option's."""
    with pytest.raises(Refused, match="no Dask scheduler answers at 'nonsense://here'"), cluster("nonsense://here"):
        pass
    monkeypatch.setenv("RULEEDIT_DASK", "nonsense://here")
    said = refused("refused", "predict", shop.model, shop.csv, "--out", tmp_path / "out")
    assert "tcp://host:8786" in said


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it isn't installed."""
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(Refused, match=r"ruleedit\[dask\]"), cluster("local"):
        pass


def test_workers_are_processes_of_their_own(spread: Spread) -> None:
    """Two, and neither is this one; results come in order whoever is quicker."""
    pids = set(spread.client.run(os.getpid).values())
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert list(spread(pow, range(10), 2)) == [number**2 for number in range(10)]
