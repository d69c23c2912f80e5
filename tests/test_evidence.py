"""The rows that a report rests on: kept with a release, whole or as a sample, or left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ruleedit.errors import FileRefused
from ruleedit.evidence import Evidence
from ruleedit.release import EVIDENCE, load
from ruleedit.schema import Schema
from ruleedit.tables import encode, read
from tests.commandline import Shop, done, refused
from tests.reference import encoded
from tests.strategies import Dice, make_row, make_schema


def some(seed: int, many: int = 50) -> tuple[Schema, Evidence]:
    """Random rows of a random schema, odd names included, with a class for each."""
    dice = Dice(seed)
    schema = make_schema(dice)
    rows = encoded([make_row(dice, schema) for _ in range(many)], schema)
    truth = np.array([dice.number(0, len(schema.classes) - 1) for _ in range(many)])
    return schema, Evidence.among(rows, np.arange(0, many, 2), truth)


def test_rows_read_back_to_the_bit() -> None:
    """Numbers, codes of unseen categories, missing values; the true classes where there are some."""
    for seed in range(40):
        schema, evidence = some(seed)
        for given in (evidence, Evidence(evidence.rows, None, evidence.of, evidence.fingerprint)):
            back = Evidence.from_csv(given.to_csv(schema), schema, given.of, given.fingerprint)
            assert back.rows.tobytes("C") == given.rows.tobytes("C")
            assert (back.truth is None) == (given.truth is None)
            if back.truth is not None and given.truth is not None:
                assert back.truth.tolist() == given.truth.tolist()
            assert (back.is_whole, back.to_json()) == (True, given.to_json())


def test_a_sample_is_spread_over_the_rows() -> None:
    """The same every time, none twice, and it says of how many."""
    table = np.arange(100.0).reshape(100, 1)
    evidence = Evidence.among(table, np.arange(10, 100), None, most=30)
    assert (len(evidence.rows), evidence.of, evidence.is_whole) == (30, 90, False)
    assert evidence.rows[:, 0].tolist() == [10.0 + 3 * place for place in range(30)]
    assert evidence.sample(3).rows[:, 0].tolist() == [10.0, 40.0, 70.0]
    assert evidence.sample(3).of == 90
    assert evidence.sample(500).rows.tolist() == evidence.rows.tolist()


def test_damaged_rows_are_refused() -> None:
    """Another column, a text for a number, a class that there isn't, a short line."""
    schema, evidence = some(1)
    text = evidence.to_csv(schema)
    for bad in ("x" + text, text + "x\n", text.rsplit(",", 1)[0] + ",nobody\n", "\n"):
        with pytest.raises(FileRefused):
            Evidence.from_csv(bad, schema, 1, "")


def test_a_release_keeps_the_rows_of_its_report(shop: Shop) -> None:
    """Those of the model's hold-out, in order, with the true classes."""
    release = load(shop.release("overlay-hard"))
    assert release.evidence is not None
    rows = encode(read(shop.csv), release.schema)
    assert np.array_equal(release.evidence.rows, rows[release.model.holdout], equal_nan=True)
    assert release.evidence.of == release.report["held_out"]["rows"] == len(release.evidence.rows)
    assert release.evidence.truth is not None


def test_a_release_can_do_without_rows(shop: Shop, tmp_path: Path) -> None:
    """They may be personal data."""
    folder = tmp_path / "release"
    done(
        *("apply", shop.model, shop.edited, "--data", shop.csv, "--mode", "overlay-hard"),
        *("--without-rows", "--out", folder),
    )
    assert not (folder / EVIDENCE).exists()
    assert load(folder).evidence is None


def test_rows_that_were_changed_are_refused(shop: Shop, tmp_path: Path) -> None:
    """The record has their hash."""
    folder = tmp_path / "release"
    done("apply", shop.model, shop.edited, "--data", shop.csv, "--mode", "overlay-hard", "--out", folder)
    (folder / EVIDENCE).write_text((folder / EVIDENCE).read_text().replace("1", "2", 1))
    assert EVIDENCE in refused("file-refused", "predict", folder, shop.csv, "--out", tmp_path / "p.csv")
    (folder / EVIDENCE).unlink()
    assert EVIDENCE in refused("file-refused", "predict", folder, shop.csv, "--out", tmp_path / "p.csv")
