"""The folder of a model: round trips, replacing, and everything that is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ruleedit.datasets import loans
from ruleedit.errors import FileRefused, ModelFileRefused, Refused
from ruleedit.models import InMemoryModel, TableModel
from ruleedit.models import folder as modelfolder
from ruleedit.models.folder import load, model_files, save, write_folder
from ruleedit.models.training import train
from ruleedit.tables import infer_schema

FILES = ("holdout.csv", "model.json", "model.txt", "schema.json")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return loans(400)


@pytest.fixture(scope="module")
def model(table: pd.DataFrame) -> TableModel:
    return train(table, infer_schema(table, "decision"), thresholds={"approve": 0.6}, trees=5, seed=7)


@pytest.fixture
def folder(model: TableModel, tmp_path: Path) -> Path:
    save(model, tmp_path / "model")
    return tmp_path / "model"


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    """Rewrite a JSON file."""
    data = json.loads(path.read_text())
    path.write_text(json.dumps(change(data) or data))


class TestRoundTrip:
    def test_gives_back_everything(self, model: TableModel, folder: Path) -> None:
        """What was saved is what is loaded."""
        loaded = load(folder)
        for name in ("schema", "thresholds", "text", "background", "seed", "adopted", "notes"):
            assert getattr(loaded, name) == getattr(model, name)
        assert np.array_equal(loaded.holdout, model.holdout)

    def test_answers_bit_for_bit(self, model: TableModel, folder: Path, table: pd.DataFrame) -> None:
        """A loaded model gives the same doubles."""
        assert np.array_equal(load(folder).predict_proba(table), model.predict_proba(table))
        assert load(folder).predict(table) == model.predict(table)

    def test_saving_again_gives_the_same_bytes(self, model: TableModel, folder: Path, tmp_path: Path) -> None:
        """No time and no path is in the files."""
        save(load(folder), tmp_path / "elsewhere" / "deep")
        for name in FILES:
            assert (folder / name).read_bytes() == (tmp_path / "elsewhere" / "deep" / name).read_bytes()

    def test_the_folder_holds_four_readable_files(self, model: TableModel, folder: Path) -> None:
        """The model is LightGBM's own text, the held-out rows are a CSV of one column."""
        assert sorted(os.listdir(folder)) == list(FILES)
        assert (folder / "model.txt").read_text() == model.text
        assert pd.read_csv(folder / "holdout.csv")["row"].tolist() == model.holdout.tolist()
        assert json.loads((folder / "model.json").read_text())["thresholds"] == {"approve": 0.6, "deny": 0.4}

    def test_no_rows_held_out_is_fine(self, tmp_path: Path) -> None:
        """A table of three rows has no quarter to hold out."""
        frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "a"]})
        save(train(frame, infer_schema(frame, "y"), trees=1), tmp_path / "m")
        assert load(tmp_path / "m").holdout.shape == (0,)

    def test_names_in_any_script_survive(self, tmp_path: Path) -> None:
        """Names and classes that are no ASCII are written in UTF-8."""
        frame = pd.DataFrame({"größe, 名前": [1.0, 2.0] * 10, "y": ["jä", '"n\n'] * 10})
        model = train(frame, infer_schema(frame, "y"), trees=1)
        save(model, tmp_path / "m")
        assert load(tmp_path / "m").schema == model.schema


class TestReplacing:
    def test_replaces_a_model_whole(self, model: TableModel, folder: Path) -> None:
        """Nothing of the old folder stays, nothing else is left beside it."""
        (folder / "notes.txt").write_text("mine")
        save(model, folder)
        assert sorted(os.listdir(folder)) == list(FILES)
        assert os.listdir(folder.parent) == ["model"]

    def test_uses_an_empty_folder(self, model: TableModel, tmp_path: Path) -> None:
        """A folder with nothing in it is nobody's."""
        (tmp_path / "empty").mkdir()
        save(model, tmp_path / "empty")
        assert load(tmp_path / "empty").seed == 7

    def test_refuses_a_folder_of_something_else(self, model: TableModel, tmp_path: Path) -> None:
        """Other people's files are never deleted."""
        (tmp_path / "letter.txt").write_text("dear all")
        with pytest.raises(FileRefused, match=r"has other files and no 'model\.json'"):
            save(model, tmp_path)
        assert (tmp_path / "letter.txt").read_text() == "dear all"

    def test_refuses_a_file(self, model: TableModel, tmp_path: Path) -> None:
        """A file in the way stays."""
        (tmp_path / "m").write_text("x")
        with pytest.raises(FileRefused, match="is a file"):
            save(model, tmp_path / "m")

    def test_names_a_place_that_can_not_be_written(self, model: TableModel, tmp_path: Path) -> None:
        """The system's reason is in the message."""
        (tmp_path / "m").write_text("x")
        with pytest.raises(FileRefused, match="can't be written: "):
            save(model, tmp_path / "m" / "below")

    def test_a_failure_while_writing_leaves_the_old_folder(self, folder: Path) -> None:
        """A file that can't be written changes nothing."""
        before = {name: (folder / name).read_bytes() for name in FILES}
        with pytest.raises(FileRefused, match="can't be written"):
            write_folder(folder, {"model.json": b"new", "no/such/folder": b""}, marker="model.json")
        assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == before
        assert os.listdir(folder.parent) == ["model"]

    def test_a_failure_while_swapping_puts_the_old_folder_back(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the new folder can't take the place, the old one has it again."""
        rename, calls = os.rename, []

        def second_fails(source: Path, target: Path) -> None:
            calls.append(target)
            if len(calls) == 2:
                raise OSError(28, "No space left on device")
            rename(source, target)

        monkeypatch.setattr(modelfolder.os, "rename", second_fails)
        with pytest.raises(FileRefused, match="No space left"):
            write_folder(folder, {"model.json": b"new"}, marker="model.json")
        assert len(calls) == 3
        assert load(folder).seed == 7
        assert os.listdir(folder.parent) == ["model"]

    def test_a_model_in_memory_is_refused_by_name(self, model: TableModel, tmp_path: Path) -> None:
        """Saving any estimator would need a format that runs code."""

        class Anything:
            classes_ = ("approve", "deny")

            def predict_proba(self, frame: pd.DataFrame) -> Any: ...

        with pytest.raises(Refused, match="a InMemoryModel works in memory only"):
            save(InMemoryModel(Anything(), model.schema), tmp_path / "m")
        assert not (tmp_path / "m").exists()


class TestRefused:
    """`load` says in one line what is wrong with a folder."""

    def refused(self, folder: Path, problem: str) -> None:
        with pytest.raises(FileRefused, match=problem) as caught:
            load(folder)
        assert "\n" not in str(caught.value)

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        """The message says what would be accepted."""
        self.refused(tmp_path / "no", "no folder .* train or adopt")

    @pytest.mark.parametrize("name", FILES)
    def test_a_folder_without_one_of_the_files(self, folder: Path, name: str) -> None:
        """Each file is needed."""
        (folder / name).unlink()
        self.refused(folder, f"has no readable '{name}'")

    @pytest.mark.parametrize("name", FILES)
    def test_a_truncated_file(self, folder: Path, name: str) -> None:
        """A file that was cut anywhere is noticed, whichever it is."""
        whole = (folder / name).read_bytes()
        for length in (0, 1, len(whole) // 2, len(whole) - 2):
            (folder / name).write_bytes(whole[:length])
            with pytest.raises(FileRefused):
                load(folder)

    @pytest.mark.parametrize("name", FILES)
    def test_bytes_that_are_no_text(self, folder: Path, name: str) -> None:
        """Files are UTF-8."""
        (folder / name).write_bytes(b"\xff" + (folder / name).read_bytes())
        self.refused(folder, f"{name} is no text in UTF-8")

    def test_a_pickle_is_never_read(self, folder: Path) -> None:
        """A pickle in the place of a file is no text of ours, and nothing runs."""
        import pickle

        (folder / "model.txt").write_bytes(pickle.dumps({"a": 1}, protocol=0))
        self.refused(folder, "model file")

    def test_another_model_file(self, folder: Path, model: TableModel) -> None:
        """A model file with one digit changed is whole, but not the recorded one."""
        line = next(line for line in model.text.split("\n") if line.startswith("leaf_value="))
        last = line[-1]
        other = line[:-1] + ("1" if last != "1" else "2")
        (folder / "model.txt").write_text(model.text.replace(line, other))
        self.refused(folder, r"model.txt is not the file that model\.json was written for")

    def test_a_damaged_model_file(self, folder: Path, model: TableModel) -> None:
        """The structure of the model file is always checked."""
        (folder / "model.txt").write_text(model.text.replace("num_leaves=", "num_leaves=9", 1))
        with pytest.raises(ModelFileRefused):
            load(folder)

    def test_another_schema(self, folder: Path) -> None:
        """The categories' order is what the model's codes mean."""
        edit(folder / "schema.json", lambda data: data["features"][3]["categories"].reverse())
        self.refused(folder, r"schema\.json is not the schema that model\.json was written for")

    def test_a_schema_that_contradicts_itself(self, folder: Path) -> None:
        """The schema's own message names the place."""
        edit(folder / "schema.json", lambda data: data.update(target=data["features"][0]["name"]))
        self.refused(folder, r"schema\.json: the target 'age' is listed as a feature")

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (lambda d: d.update(format=2), "has the format 2; 1 is accepted"),
            (lambda d: d.update(format=True), "'format' is no int"),
            (lambda d: d.update(extra=1), "unknown key 'extra'"),
            (lambda d: d.pop("seed") and None, "lacks the key 'seed'"),
            (lambda d: d.update(seed="7"), "'seed' is no int"),
            (lambda d: d.update(adopted=1), "'adopted' is no bool"),
            (lambda d: d.update(notes=[1]), "no list of texts"),
            (lambda d: d.update(thresholds={"approve": 0.5}), "not one number for each class"),
            (lambda d: d.update(thresholds={"approve": 0.5, "no": 0.5}), "not one number for each class"),
            (lambda d: d.update(thresholds={"approve": True, "deny": 0.5}), "not one number for each class"),
            (lambda d: d.update(thresholds={"approve": 2, "deny": 0.5}), "the threshold 2 of 'approve'"),
            (lambda d: d["background"].update(rows=-1), "whole numbers from 0 up"),
            (lambda d: d["background"].update(class_counts=[1, 2, 3]), "of another schema"),
            (lambda d: d["background"].update(deviations=[1.0], common=[[]]), "of another schema"),
            (lambda d: d.update(model_sha256="0" * 64), r"model\.txt is not the file"),
            (lambda d: [d], "no JSON object"),
        ],
    )
    def test_a_record_with_something_else_in_it(self, folder: Path, change: Callable[[Any], Any], problem: str) -> None:
        """Every key of the record is checked."""
        edit(folder / "model.json", change)
        self.refused(folder, problem)

    def test_numbers_that_json_has_not(self, folder: Path) -> None:
        """NaN is no JSON."""
        text = (folder / "model.json").read_text()
        (folder / "model.json").write_text(text.replace('"seed": 7', '"seed": NaN'))
        self.refused(folder, r"model\.json is no valid JSON")

    def test_json_too_deep_to_read(self, folder: Path) -> None:
        """A file of brackets ends in a message too."""
        (folder / "model.json").write_text("[" * 100_000)
        self.refused(folder, r"model\.json is no valid JSON")

    @pytest.mark.parametrize(
        "text",
        ["", "row", "rows\n1\n", "row\n1.5\n", "row\n-1\n", "row\n2\n1\n", "row\n1\n1\n", "row\n400\n", "row\n1,2\n"],
    )
    def test_held_out_rows_that_are_none(self, folder: Path, text: str) -> None:
        """Row numbers are whole, ascending and inside the table."""
        (folder / "holdout.csv").write_text(text)
        self.refused(folder, r"holdout\.csv")

    def test_held_out_rows_that_are_others(self, folder: Path) -> None:
        """A list that was cut between two lines is noticed."""
        lines = (folder / "holdout.csv").read_text().splitlines(keepends=True)
        (folder / "holdout.csv").write_text("".join(lines[:-1]))
        self.refused(folder, r"holdout\.csv is not the file that model\.json was written for")

    def test_files_of_two_models(self, model: TableModel, folder: Path) -> None:
        """A record that fits both files does not make them one model."""
        frame = pd.DataFrame({"x": np.arange(40.0), "y": ["a", "b"] * 20})
        other = model_files(train(frame, infer_schema(frame, "y"), trees=1))
        (folder / "model.txt").write_bytes(other["model.txt"])
        recorded = json.loads(other["model.json"])["model_sha256"]
        edit(folder / "model.json", lambda data: data.update(model_sha256=recorded))
        self.refused(folder, r"model\.txt has 1 features and schema\.json 11")

    def test_a_model_that_is_no_classifier(self, folder: Path, model: TableModel) -> None:
        """Only classifiers have classes."""
        text = model.text.replace("objective=binary sigmoid:1", "objective=regression")
        (folder / "model.txt").write_text(text)
        import hashlib

        recorded = hashlib.sha256(text.encode()).hexdigest()
        edit(folder / "model.json", lambda data: data.update(model_sha256=recorded))
        self.refused(folder, "objective regression")
