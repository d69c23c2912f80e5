"""Edits put in force with a table in pieces: the release of the table in memory, also when workers are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ruleedit.datasets import loans
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import Cancelled
from ruleedit.feedback import feedback
from ruleedit.formats import canonical
from ruleedit.inforce import beside_plain_retraining, put_table_in_force
from ruleedit.labelled import LabelledInMemory
from ruleedit.models import TableModel, holdout_metrics
from ruleedit.models.folder import load
from ruleedit.models.training import train
from ruleedit.release import MODES, Release, release_files
from ruleedit.retrain import CheckpointFolder, course
from ruleedit.rules import Outcome, RuleSet
from ruleedit.scale import labelled
from ruleedit.scale.cluster import Spread, cluster
from ruleedit.scale.labelled import LabelledPieces, client_of
from ruleedit.tables import batches, encode, infer_schema, read, target_codes
from ruleedit.tables.batches import pieces
from ruleedit.tables.groups import Grouping
from ruleedit.text import parse_rule
from tests.commandline import Shop, answer, refused, three_classes
from tests.scale.clusters import Killing, in_files, spread

__all__ = ["spread"]

LOANS = loans(1_500, seed=4)
MANY = loans(4_000, seed=5)
GRADES = three_classes(700)
#: A table, its target, what its rules are, and the edits: rules of many rows, of none, and a distribution.
CASES = {
    "loans": (
        LOANS,
        "decision",
        ("IF employment = unemployed THEN deny", "IF income <= 29800 AND guarantor = false THEN deny"),
        ("new IF age < 30 AND amount > 9000 THEN deny", "new IF age > 72 AND income > 120000 THEN deny"),
    ),
    "many": (
        MANY,
        "decision",
        ("IF employment = unemployed THEN deny",),
        ("new IF age < 30 AND amount > 9000 THEN deny",),
    ),
    "spread": (
        LOANS,
        "decision",
        ("IF income <= 29800 AND guarantor = false THEN deny",),
        ("new IF age < 24 THEN approve 0.7, deny 0.3",),
    ),
    "grades": (
        GRADES,
        "grade",
        ("IF size > 62 THEN high", "IF size > 40 THEN mid"),
        ("new IF size > 100 AND `hue colour` = red THEN mid",),
    ),
}


@cache
def edited(name: str) -> tuple[TableModel, Draft]:
    """A model and its edited rules."""
    frame, target, rules, texts = CASES[name]
    model = train(frame, infer_schema(frame, target), trees=30)
    base = RuleSet(
        tuple(parse_rule(text, f"R{number}") for number, text in enumerate(rules, start=1)),
        Outcome.of(model.schema.classes[0]),
    )
    return model, edit(Draft.of(base, model.schema), texts, reason="r")


def rows_of(name: str, *, known: bool = True) -> pd.DataFrame:
    """The model's table, or its rows in another order."""
    frame = CASES[name][0]
    return frame if known else frame.iloc[::-1].reset_index(drop=True)


def in_memory(model: TableModel, frame: pd.DataFrame) -> LabelledInMemory:
    """The table as a matrix."""
    truth = target_codes(frame, model.schema) if model.schema.target in frame else None
    return LabelledInMemory(encode(frame, model.schema), truth)


def in_pieces(
    model: TableModel, frame: pd.DataFrame, folder: Path, *, group: int = 60, **options: Any
) -> LabelledPieces:
    """The table as five files."""
    return LabelledPieces(pieces(in_files(frame, folder, 5, group=group)), model.schema, **options)


def auc(release: Release, table: LabelledInMemory) -> float:
    """The model's, on the rows that nothing was trained on."""
    held = release.model.holdout
    assert table.truth is not None
    return float(holdout_metrics(release.model, table.rows[held], table.truth[held])["auc"])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 100 rows."""
    monkeypatch.setattr(batches, "MOST_ROWS", 100)
    monkeypatch.setattr(batches, "PIECE_ROWS", 150)


@pytest.mark.parametrize(
    ("mode", "name"),
    # A graft refuses a distribution, and reports on a table of its own here.
    [(mode, name) for mode in MODES for name in ("loans", "spread", "grades") if (mode, name) != ("graft", "spread")],
)
def test_a_release_is_that_of_the_table_in_memory(mode: str, name: str, tmp_path: Path) -> None:
    """Every file of it, byte for byte: model, rules, report, evidence."""
    (model, draft), frame = edited(name), rows_of(name, known=mode != "graft")
    whole = put_table_in_force(model, draft, mode, in_memory(model, frame), seed=3)
    apart = put_table_in_force(model, draft, mode, in_pieces(model, frame, tmp_path / "t"), seed=3)
    assert release_files(apart) == release_files(whole)
    assert apart.report["held_out"]["rows"] == (len(frame) if mode == "graft" else len(model.holdout))


def test_a_table_without_target_gives_the_overlay_of_the_table_in_memory(tmp_path: Path) -> None:
    """And a target that isn't whole counts as none, as there."""
    (model, draft), frame = edited("loans"), LOANS
    whole = put_table_in_force(model, draft, "overlay-hard", in_memory(model, frame.drop(columns="decision")))
    gap = frame.astype({"decision": object})
    gap.loc[1_200, "decision"] = None
    for number, table in enumerate((frame.drop(columns="decision"), gap)):
        apart = put_table_in_force(model, draft, "overlay-hard", in_pieces(model, table, tmp_path / str(number)))
        assert release_files(apart) == release_files(whole)
    assert whole.report["outside"]["f1_before"] is None


def test_of_a_larger_table_fewer_rows_are_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Synthetic rows are made from some of the rows and each rule's own: here and there the same, and as good."""
    monkeypatch.setattr(course, "MOST_KNOWN", 200)
    (model, draft), frame = edited("loans"), LOANS
    table = in_memory(model, frame)
    whole = put_table_in_force(model, draft, "retrain", table)
    apart = put_table_in_force(model, draft, "retrain", in_pieces(model, frame, tmp_path / "t"))
    assert release_files(apart) == release_files(whole)
    assert [item["mra_after"] for item in whole.report["feedback"] if item["coverage"]] == [1.0]
    monkeypatch.setattr(course, "MOST_KNOWN", 50_000)
    assert put_table_in_force(model, draft, "retrain", table).model.text != whole.model.text


def test_two_workers_make_the_release_of_one_process_though_they_are_killed(spread: Spread, tmp_path: Path) -> None:
    """One is killed while the rows that the rules hold are looked for, then both: byte for byte the same."""
    (model, draft), frame = edited("loans"), LOANS
    whole = put_table_in_force(model, draft, "retrain", in_memory(model, frame))
    killing = Killing(spread, after=(1, 3))

    def over(work: Callable[..., Any], *asked: Any) -> Iterator[Any]:
        return (killing if work is labelled._held else spread)(work, *asked)

    apart = put_table_in_force(model, draft, "retrain", in_pieces(model, frame, tmp_path / "t", over=over))
    assert len(set(killing.killed)) >= 2
    assert release_files(apart) == release_files(whole)


@pytest.mark.parametrize("strategy", ["adaptive", "greedy"])
def test_other_strategies_train_a_batch_at_a_time(strategy: str, tmp_path: Path) -> None:
    """Up to 200,000 rows that too is the release in memory, byte for byte, and so is a plain retraining beside it."""
    (model, draft), frame = edited("loans"), LOANS
    tables = in_memory(model, frame), in_pieces(model, frame, tmp_path / "t")
    made = [put_table_in_force(model, draft, "retrain", table, strategy=strategy) for table in tables]
    assert release_files(made[0]) == release_files(made[1])
    assert made[0].report["trainings"] >= 2
    one, other = (beside_plain_retraining(*both) for both in zip(made, tables, strict=True))
    assert one.report == other.report
    assert 0.0 < one.report["outside"]["retraining_flips"] < 0.5


@pytest.mark.parametrize("strategy", ["adaptive", "greedy"])
def test_workers_train_other_strategies_models_as_well(spread: Spread, strategy: str, tmp_path: Path) -> None:
    """By LightGBM's own cluster: the AUC within 0.005 of one process's, the rules agreed to as far."""
    (model, draft), frame = edited("many"), MANY
    table = in_memory(model, frame)
    whole = put_table_in_force(model, draft, "retrain", table, strategy=strategy)
    pieced = in_pieces(model, frame, tmp_path / "t", group=1_000, over=spread, client=client_of(spread))
    apart = put_table_in_force(model, draft, "retrain", pieced, strategy=strategy)
    assert abs(auc(apart, table) - auc(whole, table)) <= 0.005
    assert "machines" not in apart.model.text
    for one, other in zip(apart.report["feedback"], whole.report["feedback"], strict=True):
        assert one["coverage"] == other["coverage"]
        assert not one["coverage"] or abs(one["mra_after"] - other["mra_after"]) <= 1 / one["coverage"]


def test_a_proof_is_that_of_the_table_in_memory(tmp_path: Path) -> None:
    """With the counterexamples that were taught."""
    (model, draft), frame = edited("loans"), LOANS
    options: dict[str, Any] = {"prove": True, "seed": 1}
    whole = put_table_in_force(model, draft, "retrain", in_memory(model, frame), **options)
    apart = put_table_in_force(model, draft, "retrain", in_pieces(model, frame, tmp_path / "t"), **options)
    assert release_files(apart) == release_files(whole)
    assert {item["status"] for item in apart.report["proof"]["rules"]} == {"proved"}


@pytest.mark.parametrize("dask", [False, True], ids=["here", "workers"])
def test_the_command_takes_a_folder(dask: bool, shop: Shop, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """It says what it says of one file, and leaves the same release; by a scheduler's address too."""
    frame = read(shop.csv)
    folder = in_files(frame, tmp_path / "loans", 3)
    more = []
    if dask:
        workers: Spread = request.getfixturevalue("spread")
        more = ["--dask", workers.client.scheduler_info()["address"]]
    told = answer(
        "apply", shop.model, shop.edited, "--data", folder, "--mode", "retrain", "--out", tmp_path / "r", *more
    )
    whole, here = shop.report("retrain"), shop.release("retrain")
    flips = [report["outside"].pop("retraining_flips") for report in (told, whole)]
    timeless = {"seconds": 0, "seconds_plain_retraining": 0}
    assert told | timeless == whole | timeless
    assert abs(flips[0] - flips[1]) <= (0.05 if dask else 0.0)
    for name in ("model.txt", "before.txt", "held-out.csv", "release-rules.json"):
        assert (tmp_path / "r" / name).read_bytes() == (here / name).read_bytes()


def test_what_a_piece_lacks_is_refused_by_its_file(shop: Shop, tmp_path: Path) -> None:
    """A target that isn't whole where it is trained on, one that isn't there, and a cell in a late batch."""
    frame = read(shop.csv)
    asked = ("apply", shop.model, shop.edited, "--out", tmp_path / "out", "--mode")
    gap = frame.copy()
    gap.loc[650, "decision"] = None
    assert "003.parquet: " in refused(
        "target-unusable", *asked, "retrain", "--data", in_files(gap, tmp_path / "gap", 4)
    )
    without = in_files(frame.drop(columns="decision"), tmp_path / "without", 4)
    assert "'decision'" in refused("target-unusable", *asked, "retrain", "--data", without)
    frame.loc[650, "income"] = "much"
    bad = in_files(frame, tmp_path / "bad", 4)
    assert "003.parquet: row 126, column 'income'" in refused("value-refused", *asked, "graft", "--data", bad)
    assert not (tmp_path / "out").exists()


PROGRAM = """
import resource, sys
from ruleedit.tables import batches
from ruleedit.tables.batches import pieces
from ruleedit.formats import canonical
from ruleedit.inforce import put_table_in_force
from ruleedit.models.folder import load
from ruleedit.retrain import CheckpointFolder, course
from ruleedit.scale.labelled import LabelledPieces
batches.MOST_ROWS, course.MOST_KNOWN = 2_500, 2_000
model, rules, data = sys.argv[1:]
table = LabelledPieces(pieces(data), load(model).schema)
release = put_table_in_force(load(model), canonical.read(rules), "retrain", table)
assert release.report["trained_on"] == len(table) - len(table) // 4
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_grows_by_the_codes_alone(shop: Shop, tmp_path: Path) -> None:
    """Eight times the rows (80,000) take at most 12 MiB more, of which evidence is 2; as a matrix they take 40."""
    frame = pd.concat([read(shop.csv)] * 15, ignore_index=True).iloc[:10_000]
    peaks = []
    for copies in (1, 8):
        where = tmp_path / str(copies)
        where.mkdir()
        for number in range(copies):
            frame.to_parquet(where / f"{number:02}.parquet", row_group_size=5_000, index=False)
        arguments = map(str, (shop.model, shop.edited, where))
        ran = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
        peaks.append(int(ran.stdout))
    assert peaks[1] - peaks[0] <= 12, peaks


def test_a_retraining_in_pieces_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No finished training is done twice for the same rows; for others every one is."""
    (model, draft), frame = edited("loans"), LOANS
    kept, trained = CheckpointFolder(tmp_path / "kept"), []
    train_here = labelled.boosted_here
    monkeypatch.setattr(labelled, "boosted_here", lambda *a, **b: trained.append(1) or train_here(*a, **b))
    options: dict[str, Any] = {"strategy": "adaptive", "checkpoints": kept}
    table = in_pieces(model, frame, tmp_path / "t")
    first = put_table_in_force(model, draft, "retrain", table, **options)
    assert len(trained) == first.report["trainings"] >= 2
    again = put_table_in_force(model, draft, "retrain", table, **options)
    assert len(trained) == first.report["trainings"]
    assert release_files(again) == release_files(first)
    put_table_in_force(model, draft, "retrain", table, **options, seed=1)
    assert len(trained) > first.report["trainings"]


def test_rows_are_fetched_in_the_order_asked_for(tmp_path: Path) -> None:
    """From whichever pieces, twice where a number comes twice; none where none is asked for."""
    model, _ = edited("grades")
    whole, apart = in_memory(model, GRADES), in_pieces(model, GRADES, tmp_path / "t")
    numbers = np.array([699, 0, 350, 0, 141, 140])
    np.testing.assert_array_equal(apart.take(numbers), whole.take(numbers))
    assert apart.take(numbers[:0]).shape == (0, 2)
    assert (len(apart), apart.fingerprint) == (len(whole), whole.fingerprint)
    np.testing.assert_array_equal(apart.truth, whole.truth)
    assert apart.summed(numbers[:0], lambda rows, truth: (len(rows), len(truth))) == (0, 0)  # type: ignore[arg-type]


def test_two_clusters_of_one_machine_do_not_meet(spread: Spread) -> None:
    """Neither port of the second is the first's, and nobody beside this machine reaches any."""
    with cluster("local", workers=1) as client:
        assert client.scheduler_info()["address"] != spread.client.scheduler_info()["address"]
        ports = [one.cluster.scheduler.http_server.port for one in (client, spread.client)]
        assert len(set(ports)) == 2
        assert all(one.cluster.scheduler.http_server.address == "127.0.0.1" for one in (client, spread.client))


@pytest.mark.parametrize("kind", ["csv", "keyed"])
def test_texts_and_keys_of_folders_make_the_release_in_memory(kind: str, shop: Shop, tmp_path: Path) -> None:
    """A CSV, which is one piece, and Parquet files whose folders say a column's value."""
    model, draft, frame = load(shop.model), canonical.read(shop.edited), read(shop.csv)
    where = shop.csv
    if kind == "keyed":
        where = tmp_path / "keyed"
        for value, part in frame.groupby("guarantor"):
            folder = where / f"guarantor={value}"
            folder.mkdir(parents=True)
            part.drop(columns="guarantor").to_parquet(folder / "0.parquet", row_group_size=90, index=False)
        frame = pd.concat([part for _, part in frame.groupby("guarantor")])
    whole = put_table_in_force(model, draft, "retrain", in_memory(model, frame))
    apart = put_table_in_force(model, draft, "retrain", LabelledPieces(pieces(where), model.schema))
    assert release_files(apart) == release_files(whole)
    assert (apart.report["held_out"]["of"] == "the model's own hold-out") == (kind == "csv")


def test_a_pilot_and_chosen_groups_are_those_of_the_table_in_memory(tmp_path: Path) -> None:
    """So many rows at most, drawn by the seed; a number parted at cuts."""
    (model, draft), frame = edited("loans"), LOANS
    options: dict[str, Any] = {"most_rows": 200, "groups": [Grouping("age", (30.0, 50.0)), "purpose"], "seed": 2}
    whole = put_table_in_force(model, draft, "retrain", in_memory(model, frame), **options)
    apart = put_table_in_force(model, draft, "retrain", in_pieces(model, frame, tmp_path / "t"), **options)
    assert release_files(apart) == release_files(whole)
    assert (apart.report["trained_on"], apart.report["held_out"]["rows"]) == (200, 200)
    assert {part["feature"] for part in apart.report["outside"]["groups"]} == {"age", "purpose"}


def test_a_retraining_in_pieces_can_be_stopped(tmp_path: Path) -> None:
    """Whoever asks it to stop gets no release."""
    (model, draft), frame = edited("loans"), LOANS
    table = in_pieces(model, frame, tmp_path / "t")
    with pytest.raises(Cancelled, match="after 0 trainings"):
        put_table_in_force(model, draft, "retrain", table, strategy="greedy", should_stop=lambda: True)


def test_a_mark_tells_tables_and_their_rows_apart(tmp_path: Path) -> None:
    """The same numbers of another table are other rows."""
    model, _ = edited("loans")
    some, tables = np.arange(0, 90, 3), (LOANS, LOANS.iloc[::-1])
    first, other = (in_pieces(model, frame, tmp_path / str(n)).training(some, model) for n, frame in enumerate(tables))
    assert first.mark(some[:5] // 3) == first.mark(np.arange(5))
    assert len({first.mark(np.arange(5)), first.mark(np.arange(6)), other.mark(np.arange(5))}) == 3


def test_rules_are_looked_for_in_the_training_rows_alone(tmp_path: Path) -> None:
    """In their order, whichever pieces they lie in; no row gives no code."""
    model, draft = edited("loans")
    asked, some = feedback(draft.base, draft.rules, draft.schema), np.array([2, 299, 300, 301, 1_499])
    whole, apart = in_memory(model, LOANS), in_pieces(model, LOANS, tmp_path / "t")
    for numbers in (some, some[:0], np.arange(1_500)):
        held = [table.training(numbers, model).held(asked) for table in (whole, apart)]
        np.testing.assert_array_equal(held[0], held[1])
        assert len(held[1]) == len(numbers)
    assert set(held[1].tolist()) >= {-1, 0}


def test_a_retraining_goes_on_where_a_worker_is_killed_while_it_trains(spread: Spread, tmp_path: Path) -> None:
    """Its first model's trees are begun again; the release comes with every training and as good a model."""
    (model, draft), frame = edited("many"), MANY
    table = in_memory(model, frame)
    pieced = in_pieces(model, frame, tmp_path / "t", group=1_000, over=spread, client=spread.client)
    killed: list[int] = []

    def kill() -> None:
        while not killed and not over.is_set():
            at_work = [address for address, keys in spread.client.processing().items() if "_train_part" in str(keys)]
            if len(at_work) == 2:
                killed.append(spread.client.run(os.getpid)[at_work[0]])
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.02)

    over = threading.Event()
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        release = put_table_in_force(model, draft, "retrain", pieced, strategy="adaptive")
    finally:
        over.set()
        thread.join()
    assert killed
    whole = put_table_in_force(model, draft, "retrain", table, strategy="adaptive")
    assert abs(auc(release, table) - auc(whole, table)) <= 0.005
    (one,), (other,) = release.report["feedback"], whole.report["feedback"]
    assert abs(one["mra_after"] - other["mra_after"]) <= 1 / one["coverage"]
