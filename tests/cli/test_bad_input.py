"""Unusable input: one line on standard error, a stable code, status 2, and nothing written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ruleedit.models import folder as modelfolder
from tests.commandline import Shop, refused, run

#: Each edit that can't be made, with its code and what its line must name.
EDITS = {
    "unknown-feature": ("new IF agee > 30 THEN deny", "did you mean 'age' or"),
    "unknown-category": ("new IF purpose = cars THEN deny", "did you mean 'car'?"),
    "unknown-operator": ("new IF age == 30 THEN deny", "did you mean '='?"),
    "unknown-class": ("new IF age > 30 THEN denied", "did you mean 'deny'?"),
    "unknown-rule": ("drop R99 age", "'R99'"),
    "value-out-of-range": ("new IF age > 200 THEN deny", "73"),
    "empty-region": ("new IF age > 30 AND age < 31 THEN deny", "age"),
    "clause-refused": ("new IF age > 30.5 THEN deny", "whole"),
    "rule-text": ("new IF age > 30", "expected THEN"),
    "rule-too-long": (f"new IF purpose = '{'x' * 20_000}' THEN deny", "longer"),
    "outcome-refused": ("new IF age > 30 THEN approve 0.9, deny 0.2", "sum"),
    "edit-refused": ("enable R1", "enabled already"),
}


def make(folder: Path, text: str, name: str = "t.csv") -> Path:
    """A file of this text."""
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A place that must stay free."""
    return tmp_path / "never"


@pytest.fixture(autouse=True)
def nothing_written(tmp_path: Path) -> object:
    """After each test nothing is at ``out``, and no unfinished file beside it."""
    yield
    assert not (tmp_path / "never").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


class TestEdits:
    @pytest.mark.parametrize("code", EDITS)
    def test_each_has_its_code_and_a_hint(self, shop: Shop, out: Path, code: str) -> None:
        """What, where, and what would be accepted."""
        text, hint = EDITS[code]
        assert hint in refused(code, "edit", shop.rules, text, "--reason", "r", "--out", out)

    def test_a_number_that_is_none(self, shop: Shop, out: Path) -> None:
        """NaN, infinities and numbers past the largest double are no values of a clause."""
        for value in ("1e999", "nan", "inf"):
            ended = run("edit", shop.rules, f"new IF debt_ratio > {value} THEN deny", "--reason", "r", "--out", out)
            assert (ended.status, ended.err.count("\n")) == (2, 1)


class TestTables:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("", "table-unreadable"),
            ("a,y\n", "no-rows"),
            ("a,a,y\n1,2,p\n", "table-unreadable"),
            ("a,y\n1,p\n2\n", "table-unreadable"),
            ("a,,y\n1,2,p\n", "table-unreadable"),
            ("a,y\n1,p\n2,p\n", "target-unusable"),
            ("a,z\n1,p\n2,q\n", "target-unusable"),
            ("a,y\n1,p\n2,\n", "target-unusable"),
            ("y\np\nq\n", "table-unreadable"),
        ],
    )
    def test_that_nothing_can_be_trained_on(self, tmp_path: Path, out: Path, text: str, code: str) -> None:
        """Unreadable, without rows, without a usable target or without a feature."""
        refused(code, "train", make(tmp_path, text), "--target", "y", "--out", out)

    def test_that_are_no_text(self, tmp_path: Path, out: Path) -> None:
        """Bytes that are no UTF-8, and a Parquet file that is none."""
        for name in ("t.csv", "t.parquet"):
            (tmp_path / name).write_bytes(b"a,y\n\xff\xfe,p\n1,q\n")
            refused("table-unreadable", "train", tmp_path / name, "--target", "y", "--out", out)

    def test_that_are_not_there(self, tmp_path: Path, out: Path) -> None:
        """No file, a folder, and a name that no file can have."""
        for name in ("none.csv", ".", "x" * 5_000):
            assert run("train", tmp_path / name, "--target", "y", "--out", out).status == 2

    @pytest.mark.parametrize(
        ("change", "code", "names"),
        [
            (lambda frame: frame.drop(columns="age"), "columns-missing", "'age'"),
            (lambda frame: frame.rename(columns={"age": "Age"}), "columns-missing", "did you mean 'Age'"),
            (lambda frame: frame.assign(age="old"), "value-refused", "row 1, column 'age': 'old'"),
            (lambda frame: frame.assign(age="30.5"), "value-refused", "not whole"),
            (lambda frame: frame.assign(debt_ratio="inf"), "value-refused", "infinite"),
            (lambda frame: frame.assign(guarantor="perhaps"), "value-refused", "neither true nor false"),
            (lambda frame: frame.head(0), "no-rows", "no rows"),
        ],
    )
    def test_that_do_not_fit_the_model(
        self,
        shop: Shop,
        tmp_path: Path,
        out: Path,
        change: Callable[[pd.DataFrame], pd.DataFrame],
        code: str,
        names: str,
    ) -> None:
        """Wrong columns and wrong cells are refused with the row and the column, whatever answers."""
        change(pd.read_csv(shop.csv, dtype=str)).to_csv(tmp_path / "t.csv", index=False)
        for what in (shop.model, shop.rules):
            assert names in refused(code, "predict", what, tmp_path / "t.csv", "--out", out)

    def test_with_a_missing_value_that_is_forbidden(self, shop: Shop, tmp_path: Path, out: Path) -> None:
        """A schema that forbids it refuses the table at training."""
        schema = json.loads((shop.model / "schema.json").read_text())
        next(f for f in schema["features"] if f["name"] == "debt_ratio")["missing"] = False
        make(tmp_path, json.dumps(schema), "s.json")
        more = ["--schema", tmp_path / "s.json", "--out", out]
        assert "debt_ratio" in refused("value-refused", "train", shop.csv, "--target", "decision", *more)

    def test_without_the_target_can_not_retrain(self, shop: Shop, tmp_path: Path, out: Path) -> None:
        """Only retraining needs it: the overlay is applied all the same, also where its cells are no classes."""
        frame = pd.read_csv(shop.csv)
        frame.drop(columns="decision").to_csv(tmp_path / "no.csv", index=False)
        frame.assign(decision="").to_csv(tmp_path / "empty.csv", index=False)
        for name in ("no.csv", "empty.csv"):
            arguments = ["apply", shop.model, shop.edited, "--data", tmp_path / name]
            refused("target-unusable", *arguments, "--mode", "retrain", "--out", out)
            assert run(*arguments, "--mode", "overlay-hard", "--out", tmp_path / "rel").status == 0

    def test_a_row_that_is_not_there(self, shop: Shop) -> None:
        """The line says which rows there are."""
        for row in (-1, 700, 10**30):
            line = refused("table-unreadable", "explain", shop.model, shop.csv, "--row", row)
            assert "rows 0 to 699" in line


class TestFolders:
    @pytest.mark.parametrize("name", ["model.txt", "schema.json", "model.json", "holdout.csv"])
    def test_a_model_with_a_file_gone_cut_or_changed(self, shop: Shop, tmp_path: Path, out: Path, name: str) -> None:
        """A folder is whole or refused, before LightGBM sees anything of it."""
        shutil.copytree(shop.model, tmp_path / "m")
        whole = (tmp_path / "m" / name).read_bytes()
        for damaged in (None, whole[: len(whole) // 2], whole.replace(b"1", b"2", 1), b"\xff", b""):
            (tmp_path / "m" / name).unlink(missing_ok=True)
            if damaged is not None:
                (tmp_path / "m" / name).write_bytes(damaged)
            ended = run("extract", tmp_path / "m", "--data", shop.csv, "--out", out)
            assert (ended.status, ended.err.count("\n")) == (2, 1), (damaged, ended)
            assert "file-refused)" in ended.err

    def test_that_is_none(self, shop: Shop, tmp_path: Path, out: Path) -> None:
        """Nothing there, or a file."""
        for folder in (tmp_path / "none", shop.csv):
            refused("file-refused", "extract", folder, "--data", shop.csv, "--out", out)

    def test_of_somebody_else_is_not_replaced(self, shop: Shop, tmp_path: Path) -> None:
        """A folder with other files is left alone, and so is a file where a folder would be."""
        (tmp_path / "mine").mkdir()
        make(tmp_path / "mine", "dear", "diary.txt")
        for there in (tmp_path / "mine", tmp_path / "mine" / "diary.txt"):
            refused("file-refused", "train", shop.csv, "--target", "decision", "--out", there)
        assert (tmp_path / "mine" / "diary.txt").read_text() == "dear"

    def test_a_disk_that_fails_leaves_the_old_folder(
        self, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A write that fails half-way ends with one line, and the folder is as it was."""
        shutil.copytree(shop.model, tmp_path / "m")
        before = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()}

        def full(path: Path, content: bytes) -> int:
            raise OSError(28, "No space left on device", str(path))

        monkeypatch.setattr(modelfolder.Path, "write_bytes", full)
        line = refused("file-refused", "train", shop.csv, "--target", "decision", "--seed", 9, "--out", tmp_path / "m")
        assert "No space left" in line
        monkeypatch.undo()
        assert {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()} == before


class TestRuleFiles:
    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "null", "{}", '{"format": "other"}', "\x00", '{"a": NaN}', "[" * 100_000]
    )
    def test_that_are_none(self, tmp_path: Path, text: str) -> None:
        """Not JSON, not an object, another version, nested without end."""
        refused("file-refused", "show", make(tmp_path, text, "r.json"))

    def test_of_another_model(self, shop: Shop, out: Path) -> None:
        """Rules and model must have the same schema."""
        mode = ["--mode", "overlay-hard", "--out", out]
        refused("refused", "apply", shop.model, shop.grading, "--data", shop.csv, *mode)

    def test_that_can_not_be_read_or_written(self, shop: Shop, tmp_path: Path) -> None:
        """No file, a folder in its place, and a folder that can't be made."""
        refused("file-refused", "show", tmp_path / "none.json")
        for out in (tmp_path, shop.csv / "x.json"):
            refused("file-refused", "edit", shop.rules, "default deny", "--reason", "r", "--out", out)

    def test_a_reason_that_is_no_text(self, shop: Shop, out: Path) -> None:
        """Bytes on the command line that are no UTF-8 have no place in a rule file."""
        refused("file-refused", "edit", shop.rules, "default deny", "--reason", os.fsdecode(b"\xff"), "--out", out)


class TestUsage:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["nosuch"],
            ["--nosuch"],
            ["show"],
            ["show", "a", "b"],
            ["show", "a", "--nosuch"],
            ["edit", "a", "--reason", "r", "--out", "b"],
            ["edit", "a", "undo", "--out", "b"],
            ["train", "a", "--out", "b"],
            ["explain", "a", "b", "--row", "x"],
            ["train", "a", "--target", "y", "--out", "b", "--seed", "-1"],
            ["train", "a", "--target", "y", "--out", "b", "--seed", str(2**31)],
        ],
    )
    def test_arguments_that_do_not_fit(self, arguments: list[str]) -> None:
        """One line with where to read on."""
        assert " --help (usage)" in refused("usage", *arguments)

    @pytest.mark.parametrize("arguments", [[], ["--help"], ["edit", "--help"], ["compare", "--help"]])
    def test_help_is_no_error(self, arguments: list[str]) -> None:
        """Help, asked for or not, is printed with status 0."""
        ended = run(*arguments)
        assert (ended.status, ended.err) == (0, "")
        assert ended.out.startswith("Usage: ruleedit ")

    @pytest.mark.parametrize(
        ("more", "code"),
        [
            (["--mode", "overlay"], "refused"),
            (["--mode", "overlay-hard", "--strategy", "greedy"], "refused"),
            (["--mode", "retrain", "--strategy", "gredy"], "unknown-name"),
        ],
    )
    def test_modes_and_strategies_that_there_are_not(self, shop: Shop, out: Path, more: list[str], code: str) -> None:
        """The line names those that there are."""
        refused(code, "apply", shop.model, shop.edited, "--data", shop.csv, *more, "--out", out)

    @pytest.mark.parametrize("more", [["--method", "forest"], ["--max-clauses", "0"]])
    def test_extractions_that_make_no_sense(self, shop: Shop, out: Path, more: list[str]) -> None:
        """An unknown method, no clauses."""
        refused("refused", "extract", shop.model, "--data", shop.csv, *more, "--out", out)

    def test_a_format_that_there_is_not(self, shop: Shop, out: Path) -> None:
        """The line lists the formats or names the near one."""
        assert "'pmml'" in refused("refused", "export", shop.rules, "--format", "pml", "--out", out)


class TestNothingToProve:
    def test_a_proof_of_an_overlay(self, shop: Shop, out: Path) -> None:
        """An overlay is exact by its making; a proof is of a retrained or grafted model."""
        asked = ["--mode", "overlay-hard", "--prove"]
        refused("refused", "apply", shop.model, shop.edited, "--data", shop.csv, *asked, "--out", out)
