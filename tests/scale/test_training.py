"""Training by two Dask workers: the folder of one machine, and trees that are as good."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ruleedit.datasets import loans
from ruleedit.errors import TargetError, TrainingFailed
from ruleedit.models import TableModel, holdout_metrics
from ruleedit.models.folder import load, save
from ruleedit.models.training import boost, train
from ruleedit.scale import training
from ruleedit.scale.cluster import Spread, here
from ruleedit.scale.extraction import answer_table
from ruleedit.scale.training import (
    Examples,
    boosted,
    boosted_by,
    boosted_here,
    held_out_figures,
    infer_table_schema,
    train_table,
)
from ruleedit.tables import batches, encode, infer_schema, target_codes
from ruleedit.tables.batches import pieces
from tests.commandline import answer, done, three_classes
from tests.scale.clusters import in_files, spread

__all__ = ["spread"]

LOANS = loans(4_000, seed=5)
GRADES = three_classes(3_000)


def auc(model: TableModel, frame: pd.DataFrame) -> float:
    """On the model's own held-out rows."""
    rows, truth = encode(frame, model.schema), target_codes(frame, model.schema)
    found = holdout_metrics(model, rows[model.holdout], truth[model.holdout])["auc"]
    assert found is not None
    return float(found)


@pytest.mark.parametrize("name", ["loans", "grades"])
def test_the_model_is_that_of_one_machine_but_for_its_trees(spread: Spread, name: str, tmp_path: Path) -> None:
    """Schema, hold-out, background and fingerprint to the bit; AUC within 0.005; two classes and three."""
    frame, target = {"loans": (LOANS, "decision"), "grades": (GRADES, "grade")}[name]
    table = pieces(in_files(frame, tmp_path / "t", 6))
    schema = infer_table_schema(table, target, spread)
    assert schema == infer_schema(frame, target) == infer_table_schema(table, target, here)
    one = train(frame, schema, thresholds={schema.classes[0]: 0.4}, seed=3)
    model = train_table(table, schema, client=spread.client, thresholds={schema.classes[0]: 0.4}, seed=3)
    assert model.background == one.background
    assert (model.thresholds, model.seed, model.adopted) == (one.thresholds, 3, False)
    np.testing.assert_array_equal(model.holdout, one.holdout)
    assert abs(auc(model, frame) - auc(one, frame)) <= 0.005
    assert len(model.file.trees) == len(one.file.trees)
    rows, figures = held_out_figures(model, table, spread)
    truth = target_codes(frame, schema)
    assert (rows, figures) == (
        len(frame),
        holdout_metrics(model, encode(frame, schema)[model.holdout], truth[model.holdout]),
    )
    save(model, tmp_path / "model")
    np.testing.assert_array_equal(answer_table(load(tmp_path / "model"), table).held, one.holdout)


def test_the_file_does_not_say_who_trained_it(spread: Spread, tmp_path: Path) -> None:
    """No address and no port of the workers stands in it."""
    table = pieces(in_files(LOANS, tmp_path / "t", 2))
    model = train_table(table, infer_schema(LOANS, "decision"), client=spread.client, trees=3)
    assert "127.0.0.1" not in model.text
    assert "machines" not in model.text
    assert "listen_port" not in model.text


def test_a_training_begins_again_where_a_worker_is_killed(spread: Spread, tmp_path: Path) -> None:
    """The other would wait for it for ever; the model comes all the same, with every tree."""
    table = pieces(in_files(pd.concat([LOANS] * 8), tmp_path / "t", 8))
    schema = infer_schema(LOANS, "decision")
    codes = [target_codes(pd.read_parquet(piece.path), schema).astype(np.int16) for piece in table]
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            training = [address for address, keys in spread.client.processing().items() if "_train_part" in str(keys)]
            if len(training) == 2:
                pids = spread.client.run(os.getpid)
                killed.append(pids[training[0]])
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    text = boosted(table, codes, np.ones(32_000, dtype=bool), schema, client=spread.client, seed=0, trees=150)
    thread.join()
    assert killed
    assert text.count("\nTree=") == 150
    assert list(spread(pow, range(4), 2)) == [0, 1, 4, 9]


def test_a_cluster_that_loses_workers_every_time_is_blamed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """After four trainings it is given up."""
    tried: list[int] = []
    monkeypatch.setattr(training, "_attempt", lambda *_: tried.append(1))
    table, schema = pieces(in_files(LOANS, tmp_path / "t", 2)), infer_schema(LOANS, "decision")
    codes = [np.zeros(2_000, dtype=np.int16)] * 2
    with pytest.raises(TrainingFailed, match="workers were lost in each of 4 trainings"):
        boosted(table, codes, np.ones(4_000, dtype=bool), schema, client=None, seed=0, trees=5)
    assert len(tried) == 4


def test_a_class_without_rows_and_rows_without_class_are_refused(spread: Spread, tmp_path: Path) -> None:
    """As on one machine; the file is named."""
    schema = infer_schema(LOANS, "decision")
    only = pieces(in_files(LOANS[LOANS["decision"] == "approve"], tmp_path / "only", 2))
    with pytest.raises(TargetError, match="no row has the 'decision' 'deny'"):
        train_table(only, schema, client=spread.client)
    frame = LOANS.astype({"decision": object})
    frame.loc[2_100, "decision"] = None
    with pytest.raises(TargetError, match=r"001.parquet: 1 rows have no 'decision'"):
        train_table(pieces(in_files(frame, tmp_path / "none", 2)), schema, client=spread.client)


def test_the_command_says_what_it_says_on_one_machine(spread: Spread, tmp_path: Path) -> None:
    """The same keys, rows and classes; the folder serves the other commands."""
    folder = in_files(LOANS, tmp_path / "loans", 4)
    LOANS.to_parquet(tmp_path / "one.parquet")
    address = spread.client.scheduler_info()["address"]
    one = answer("train", tmp_path / "one.parquet", "--target", "decision", "--out", tmp_path / "one")
    many = answer("train", folder, "--target", "decision", "--out", tmp_path / "many", "--dask", address)
    assert (many["rows"], many["classes"], many["holdout"]["rows"]) == (4_000, one["classes"], one["holdout"]["rows"])
    assert abs(many["holdout"]["auc"] - one["holdout"]["auc"]) <= 0.005
    for name in ("schema.json", "holdout.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()
    done("predict", tmp_path / "many", folder, "--out", tmp_path / "out.csv")


def examples(frame: pd.DataFrame, folder: Path, *, adopted: bool = False) -> tuple[Examples, TableModel]:
    """Every third row of a table in six files left out, and seven rows more from here."""
    schema = infer_schema(frame, "decision")
    if adopted:
        features = (
            dataclasses.replace(f, codes=tuple(float(code) for code in range(len(f.categories), 0, -1)))
            if f.kind == "categorical"
            else f
            for f in schema.features
        )
        schema = dataclasses.replace(schema, features=tuple(features))
    table, wanted = pieces(in_files(frame, folder, 6, group=150)), np.arange(len(frame)) % 3 > 0
    codes, parts, start = target_codes(frame, schema).astype(np.int16), [], 0
    for piece in table:
        here = slice(start, start := start + (piece.rows or 0))
        parts.append((piece, codes[here][wanted[here]], wanted[here]))
    model = dataclasses.replace(train(frame, infer_schema(frame, "decision"), trees=1), schema=schema, adopted=adopted)
    more = encode(frame, schema)[:7]
    return Examples(schema, parts, more, codes[:7].astype(np.intp), model.file_codes), model


@pytest.mark.parametrize("adopted", [False, True], ids=["our codes", "an adopted model's"])
@pytest.mark.parametrize("most", [64, 100_000], ids=["many batches", "one a piece"])
def test_what_is_read_a_batch_at_a_time_is_trained_on_as_a_whole(
    adopted: bool, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes as from a matrix, however the rows come: missing ones, categories and those from here too."""
    monkeypatch.setattr(batches, "MOST_ROWS", most)
    monkeypatch.setattr(training, "PUSHED", 500)
    frame = LOANS.copy()
    frame.loc[::11, "income"] = None
    given, model = examples(frame, tmp_path / "t", adopted=adopted)
    kept = np.flatnonzero(np.arange(len(frame)) % 3 > 0)
    rows = encode(frame, model.schema)[np.concatenate([kept, np.arange(7)])]
    truth = target_codes(frame, model.schema)[np.concatenate([kept, np.arange(7)])]
    assert len(given) == len(rows)
    np.testing.assert_array_equal(given.answers, truth)
    np.testing.assert_array_equal(np.concatenate(list(given.rows())), model.encode_for_file(rows))
    whole = boost(model.encode_for_file(rows), truth, model.schema, seed=2, trees=10)
    assert boosted_here(given, seed=2, trees=10) == whole
    assert (boost(rows, truth, model.schema, seed=2, trees=10) == whole) is not adopted


def test_workers_train_on_rows_from_here_too(spread: Spread, tmp_path: Path) -> None:
    """Every row counts: a tree's root has them all."""
    given, _ = examples(LOANS, tmp_path / "t", adopted=True)
    text = boosted_by(spread.client, given, seed=0, trees=2)
    counts = [int(line.split("=")[1].split()[0]) for line in text.splitlines() if line.startswith("internal_count=")]
    assert counts == [len(given), len(given)]
