"""predict, impact and conflicts on tables in batches say what they say of the table in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ruleedit.conflicts import find_conflicts
from ruleedit.doubts import doubts
from ruleedit.errors import Refused
from ruleedit.feedback import feedback
from ruleedit.findings import finding_rows, findings
from ruleedit.formats import canonical
from ruleedit.impact import impact
from ruleedit.models.folder import load
from ruleedit.release import load_answering, prediction_table
from ruleedit.scale.measuring import Meter, rows_in
from ruleedit.scale.scoring import Decided, write_decisions
from ruleedit.tables import batches, encode, read, target_codes
from ruleedit.tables.batches import pieces
from ruleedit.workflow import conflict_rows
from tests.commandline import Shop, answer, done, refused, run


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 64 rows."""
    monkeypatch.setattr(batches, "MOST_ROWS", 64)
    monkeypatch.setattr(batches, "PIECE_ROWS", 150)
    monkeypatch.setattr(batches, "CSV_BLOCK", 4_096)


@pytest.fixture(scope="module")
def folder(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The loans as a folder of three Parquet files, of texts as the CSV has them."""
    where, table = tmp_path_factory.mktemp("loans"), read(shop.csv)
    for number, start in enumerate((0, 300, 310)):
        part = table.iloc[start : (300, 310, 700)[number]]
        pq.write_table(pa.Table.from_pandas(part, preserve_index=False), where / f"{number}.parquet", row_group_size=90)
    return where


@pytest.mark.parametrize("what", ["model", "overlay-hard", "overlay-soft", "graft", "rules"])
def test_decisions_are_those_of_the_whole_table(shop: Shop, folder: Path, tmp_path: Path, what: str) -> None:
    """Letter by letter as CSV, from a CSV and from a folder, whatever answers."""
    asked = {"model": shop.model, "rules": shop.edited}.get(what) or shop.release(what)
    found = load_answering(asked)
    whole = prediction_table(found, encode(read(shop.csv), found.schema))
    for data in (shop.csv, folder):
        decided = write_decisions(found, pieces(data), tmp_path / "out.csv")
        assert (tmp_path / "out.csv").read_text() == whole.to_csv(index=False)
        assert decided == Decided.of(whole)
    assert answer("predict", asked, folder, "--out", tmp_path / "cli.csv") == {
        "rows": 700,
        "outcomes": whole["outcome"].value_counts().to_dict(),
    }


def test_decisions_as_parquet_are_the_same(shop: Shop, folder: Path, tmp_path: Path) -> None:
    """Bit by bit; a name that ends in .parquet asks for it."""
    release = shop.release("overlay-hard")
    done("predict", release, folder, "--out", tmp_path / "out.parquet")
    found = load_answering(release)
    whole = prediction_table(found, encode(read(shop.csv), found.schema))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), whole)


def test_counts_say_what_differs_from_the_model(shop: Shop) -> None:
    """Rules by themselves have no model to differ from, and rows that they leave to it have no outcome."""
    found = load_answering(shop.release("overlay-hard"))
    whole = prediction_table(found, encode(read(shop.csv), found.schema))
    counts = Decided.of(whole)
    assert counts.changed == (whole["outcome"].astype(str) != whole["model_outcome"].astype(str)).sum() > 0
    assert sum(counts.outcomes) == counts.rows == 700
    assert counts + Decided.none(2) == counts
    rules = load_answering(shop.edited)
    assert Decided.of(prediction_table(rules, encode(read(shop.csv), rules.schema))).changed == 0


@pytest.mark.parametrize("kind", ["csv", "folder"])
def test_impact_and_doubts_are_those_of_the_whole_table(shop: Shop, folder: Path, tmp_path: Path, kind: str) -> None:
    """Every count, what the labels say against the edits, and the changed rows themselves."""
    data = shop.csv if kind == "csv" else folder
    model, draft, frame = load(shop.model), canonical.read(shop.edited), read(shop.csv)
    rows, asked = encode(frame, model.schema), feedback(draft.base, draft.rules, draft.schema)
    whole = impact(asked, rows, model.outcomes(rows))
    against = doubts(draft, asked, rows, target_codes(frame, model.schema), whole.before, whole.after)
    told = answer("impact", shop.model, shop.edited, "--data", data, "--rows", tmp_path / "rows.csv")
    assert told == whole.to_json() | {"doubts": [doubt.to_json() for doubt in against]}
    assert told == answer("impact", shop.model, shop.edited, "--data", data)
    assert against
    changed = read(tmp_path / "rows.csv")
    assert changed["row"].astype(int).tolist() == np.flatnonzero(whole.mask).tolist()
    assert changed[list(frame.columns)].reset_index(drop=True).equals(frame[whole.mask].reset_index(drop=True))


def test_conflicts_hold_the_rows_of_the_whole_table(shop: Shop, folder: Path, tmp_path: Path) -> None:
    """And findings."""
    edits = ["new IF amount > 9000 THEN approve", "new IF age < 25 AND amount > 9500 THEN deny"]
    done("edit", shop.edited, *edits, "--reason", "r", "--out", tmp_path / "two.json")
    draft = canonical.read(tmp_path / "two.json")
    found, noticed = find_conflicts(draft.rules, draft.schema), findings(draft)
    rows = encode(read(shop.csv), draft.schema)
    counts = rows_in(found, noticed, draft, pieces(folder))
    wanted = conflict_rows(found, draft.schema, rows), finding_rows(noticed, draft.schema, rows)
    assert counts == tuple(map(tuple, wanted))
    assert sum(counts[0]) > 0
    assert noticed
    told = answer_of_conflicts(tmp_path / "two.json", folder)
    assert [one["rows"] for one in told["conflicts"]] == list(counts[0])
    assert [one["rows"] for one in told["findings"]] == list(counts[1])


def answer_of_conflicts(rules: Path, data: Path) -> dict[str, list[dict[str, object]]]:
    """What the command says; it ends with 1 while a conflict is unresolved."""
    ended = run("conflicts", rules, "--data", data, "--json")
    assert (ended.status, ended.err) == (1, "")
    found: dict[str, list[dict[str, object]]] = ended.json
    return found


def test_a_cell_that_is_refused_in_the_last_batch_leaves_nothing(shop: Shop, tmp_path: Path) -> None:
    """No output, and what was there is there."""
    frame = read(shop.csv)
    frame.loc[699, "income"] = "much"
    frame.to_csv(tmp_path / "bad.csv", index=False)
    (tmp_path / "out.csv").write_text("old")
    for more in (("predict", shop.model), ("impact", shop.model, shop.edited)):
        options = ["--data"] if more[0] == "impact" else []
        out = ["--rows" if options else "--out", tmp_path / "out.csv"]
        assert "row 700" in refused("value-refused", *more, *options, tmp_path / "bad.csv", *out)
    assert (tmp_path / "out.csv").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "out.csv"]


def test_rules_of_another_schema_are_refused(shop: Shop) -> None:
    """Before a row is read."""
    with pytest.raises(Refused, match="different schemas"):
        Meter(load(shop.grader), canonical.read(shop.edited))


PROGRAM = """
import resource, sys
from ruleedit.tables import batches
from ruleedit.tables.batches import pieces
from ruleedit.formats import canonical
from ruleedit.models.folder import load
from ruleedit.release import load_answering
from ruleedit.scale.measuring import Meter
from ruleedit.scale.scoring import write_decisions
batches.MOST_ROWS = 2_500
model, rules, data, out = sys.argv[1:]
Meter(load(model), canonical.read(rules)).measure(pieces(data))
write_decisions(load_answering(model), pieces(data), out)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_table(shop: Shop, tmp_path: Path) -> None:
    """Eight times the rows (80,000, 25 MB as a DataFrame of texts) take at most 8 MiB more at the peak."""
    frame = pd.concat([read(shop.csv)] * 15, ignore_index=True).iloc[:10_000]
    peaks = []
    for copies in (1, 8):
        where = tmp_path / str(copies)
        where.mkdir()
        for number in range(copies):
            pq.write_table(pa.Table.from_pandas(frame), where / f"{number:02}.parquet", row_group_size=5_000)
        arguments = [shop.model, shop.edited, where, tmp_path / "out.parquet"]
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=True
        )
        peaks.append(int(ran.stdout))
    assert pq.ParquetFile(tmp_path / "out.parquet").metadata.num_rows == 80_000
    assert peaks[1] - peaks[0] <= 8, peaks
