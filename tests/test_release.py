"""Releases: saved whole, refused where a file is gone or altered, one object for every kind of answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ruleedit.edits import edit
from ruleedit.errors import FileRefused, ModelFileRefused
from ruleedit.formats import canonical
from ruleedit.models.folder import load as load_model
from ruleedit.release import MARKER, RULES, Release, RuleAnswers, load, load_answering, prediction_table, save
from ruleedit.tables import encode, read
from tests.commandline import Shop

MODES = ("overlay-hard", "overlay-soft", "retrain")


@pytest.fixture(params=("overlay-hard", "retrain"))
def folder(request: pytest.FixtureRequest, shop: Shop, tmp_path: Path) -> Path:
    """A release's folder that may be damaged."""
    shutil.copytree(shop.release(request.param), tmp_path / "rel")
    return tmp_path / "rel"


class TestFolder:
    def test_round_trip(self, folder: Path, tmp_path: Path) -> None:
        """What is loaded saves to the same bytes."""
        save(load(folder), tmp_path / "again")
        files = [{path.name: path.read_bytes() for path in f.iterdir()} for f in (folder, tmp_path / "again")]
        assert files[0] == files[1]

    def test_each_file_that_is_gone(self, folder: Path) -> None:
        """A release without one of its files is never taken for another, least of all for a model without edits."""
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            path.unlink()
            with pytest.raises(FileRefused):
                load(folder)
            path.write_bytes(content)

    def test_each_file_that_is_cut_or_of_something_else(self, folder: Path) -> None:
        """Half a file, an empty one, bytes."""
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            for damaged in (content[: len(content) // 2], b"", b"\xff", b"{}"):
                path.write_bytes(damaged)
                with pytest.raises((FileRefused, ModelFileRefused)):
                    load(folder)
            path.write_bytes(content)

    def test_each_value_of_the_record(self, folder: Path) -> None:
        """Neither mode nor report nor hashes can be changed by hand."""
        record = json.loads((folder / MARKER).read_text())
        other_mode = {"mode": next(mode for mode in MODES if mode != record["mode"])}
        for change in (other_mode, *({key: 5} for key in record)):
            (folder / MARKER).write_text(json.dumps({**record, **change}))
            with pytest.raises(FileRefused):
                load(folder)

    def test_the_files_of_another_release(self, shop: Shop, folder: Path) -> None:
        """Each of them is whole, and still not the one that the release was made of."""
        for name, other in ((RULES, shop.rules), ("model.txt", shop.grader / "model.txt")):
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(other.read_bytes())
            with pytest.raises(FileRefused):
                load(folder)
            (folder / name).write_bytes(content)

    def test_a_model_is_a_release_without_edits(self, shop: Shop, tmp_path: Path) -> None:
        """Also with somebody's rule file beside it, and saved as a release."""
        shutil.copytree(shop.model, tmp_path / "m")
        shutil.copy(shop.rules, tmp_path / "m" / "rules.json")
        release = load(tmp_path / "m")
        assert (release.mode, release.feedback, release.labels) == ("model", None, ())
        save(release, tmp_path / "rel")
        assert load(tmp_path / "rel").mode == "model"

    def test_holds_no_path(self, folder: Path, shop: Shop) -> None:
        """A release can be carried elsewhere."""
        for path in folder.iterdir():
            assert str(shop.folder) not in path.read_text()


class TestAnswers:
    def test_the_models_own_answer_can_be_left_out(self, shop: Shop) -> None:
        """Whoever doesn't ask for it gets the same decisions."""
        for mode in MODES:
            release = load(shop.release(mode))
            rows = encode(read(shop.csv), release.schema)
            with_own, without = release.answer(rows), release.answer(rows, model_outcome=False)
            np.testing.assert_array_equal(with_own.outcomes, without.outcomes)
            np.testing.assert_array_equal(with_own.probabilities, without.probabilities)
            assert with_own.model_outcomes is not None

    def test_one_row_at_a_time_gives_the_same_bits(self, shop: Shop) -> None:
        """A batch answers each row as it would alone."""
        for mode in MODES:
            release = load(shop.release(mode))
            rows = encode(read(shop.csv), release.schema)[:60]
            whole = release.answer(rows)
            alone = np.concatenate([release.answer(rows[[place]]).probabilities for place in range(60)])
            np.testing.assert_array_equal(whole.probabilities, alone)

    def test_no_rows(self, shop: Shop) -> None:
        """Nothing asked, nothing answered, with all the columns."""
        for what in (shop.model, shop.rules, *(shop.release(mode) for mode in MODES)):
            answering = load_answering(what)
            table = prediction_table(answering, np.empty((0, len(answering.schema.features))))
            assert list(table) == ["outcome", "p_approve", "p_deny", "model_outcome", "rule", "by"]
            assert len(table) == 0

    def test_rules_that_say_model_leave_the_outcome_open(self, shop: Shop) -> None:
        """A rule set by itself has no model to ask."""
        draft = canonical.read(shop.rules)
        left = edit(draft, ["new IF age < 30 THEN model"], reason="r")
        frame = read(shop.csv)
        table = prediction_table(RuleAnswers(left.rules, left.schema), encode(frame, left.schema))
        young = pd.to_numeric(frame["age"]) < 30
        assert table["outcome"][young].isna().all()
        assert (table[["p_approve", "p_deny"]][young] == 0.0).all(axis=None)
        assert table["outcome"][~young].notna().all()

    def test_edits_that_are_undone_change_nothing(self, shop: Shop) -> None:
        """A release of undone edits answers as the model, bit for bit."""
        model, draft = load_model(shop.model), canonical.read(shop.edited)
        back = edit(draft, ["undo", "undo"], reason="r")
        rows = encode(read(shop.csv), model.schema)
        for mode in ("overlay-hard", "overlay-soft"):
            answers = Release(model, mode, back).answer(rows)  # type: ignore[arg-type]
            np.testing.assert_array_equal(answers.probabilities, model.proba(rows))
