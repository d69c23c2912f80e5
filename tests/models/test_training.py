"""Training: the same bytes, odd tables, names, the held-out quarter."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.datasets import loans, tic_tac_toe
from ruleedit.errors import Cancelled, Refused, TargetError, UnknownClass
from ruleedit.models import TableModel
from ruleedit.models.file import read_model
from ruleedit.models.training import SMALL_TABLE, boost, file_names, stratified_quarter, train
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode, infer_schema, target_codes

_TRAIN = """
import hashlib
from ruleedit.datasets import loans
from ruleedit.tables import infer_schema
from ruleedit.models.training import train
for table in loans(400), loans({large}):
    text = train(table, infer_schema(table, "decision"), trees=5, seed=3).text
    print(hashlib.sha256(text.encode()).hexdigest())
"""


def fit(frame: pd.DataFrame, **options: int) -> TableModel:
    return train(frame, infer_schema(frame, "y"), trees=5, **options)


class TestSameBytes:
    def test_the_same_seed_gives_the_same_model(self) -> None:
        """Same table, schema, seed and versions: same text, same rows held out."""
        table = loans(500)
        schema = infer_schema(table, "decision")
        first, second = (train(table, schema, trees=10, seed=4) for _ in range(2))
        assert first.text == second.text
        assert np.array_equal(first.holdout, second.holdout)
        assert first.background == second.background

    def test_another_seed_gives_another_model(self) -> None:
        """The seed chooses the held-out rows."""
        table = loans(500)
        schema = infer_schema(table, "decision")
        assert train(table, schema, trees=5, seed=1).text != train(table, schema, trees=5, seed=2).text

    def test_the_number_of_processors_changes_nothing(self) -> None:
        """One thread and two give the same bytes, in processes of their own, for small and large tables."""
        program = _TRAIN.format(large=SMALL_TABLE * 4 // 3 + 400)
        hashes = [
            subprocess.run(
                [sys.executable, "-c", program],
                env=os.environ | {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive"},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            for threads in "12"
        ]
        assert len(hashes[0]) == 2
        assert hashes[0] == hashes[1]

    def test_csv_text_and_typed_columns_train_the_same_model(self) -> None:
        """Cells as text and as numbers are the same table."""
        table = loans(400).drop(columns="guarantor")
        texts = table.astype(object).map(lambda cell: None if pd.isna(cell) else str(cell)).astype("str")
        assert texts["age"].dtype == "str"
        typed, read = (train(t, infer_schema(t, "decision"), trees=5) for t in (table, texts))
        assert typed.schema == read.schema
        assert typed.text == read.text


class TestOddTables:
    """Each of these must train, answer, and pass the check of model files."""

    BASE = pd.DataFrame({"x": np.arange(60.0), "y": ["a", "b"] * 30})

    def check(self, frame: pd.DataFrame) -> TableModel:
        model = fit(frame)
        answers = model.predict_proba(frame)
        assert answers.shape == (len(frame), len(model.schema.classes))
        assert np.isfinite(answers).all()
        return model

    def test_a_constant_column(self) -> None:
        """A column with one value is no use and no harm."""
        self.check(self.BASE.assign(same=1.0, word="always"))

    def test_only_constant_columns(self) -> None:
        """A table that says nothing gives the classes' shares."""
        model = self.check(self.BASE.assign(x=1.0))
        assert model.predict_proba(self.BASE.assign(x=1.0))[0, 0] == pytest.approx(0.5, abs=0.05)

    def test_a_column_that_is_all_missing(self) -> None:
        """A column without a value is a number of which nothing is known."""
        self.check(self.BASE.assign(gone=np.nan, none=pd.Series([None] * 60, dtype="str")))

    def test_categories_that_the_table_lacks(self) -> None:
        """A schema may list categories and features that no row has."""
        schema = Schema((Feature("x", "numeric"), Feature("c", "categorical", categories=("p", "q"))), "y", ("a", "b"))
        frame = self.BASE.assign(c=pd.Series([None] * 60, dtype="str"))
        assert train(frame, schema, trees=3).predict(frame)
        empty = dataclasses.replace(schema, features=(schema.features[0], Feature("c", "categorical")))
        assert train(frame, empty, trees=3).predict(frame.assign(c="new"))

    def test_more_than_a_thousand_categories(self) -> None:
        """A column of many categories trains."""
        frame = pd.DataFrame({"c": [f"c{i % 1500}" for i in range(4_500)]})
        frame["y"] = np.where(frame["c"].str.len() == 5, "a", "b")
        model = self.check(frame)
        assert len(model.schema.features[0].categories) == 1500

    def test_booleans_are_0_and_1(self) -> None:
        """A boolean column splits like a number."""
        frame = self.BASE.assign(flag=[True, False] * 30)
        model = self.check(frame)
        assert model.schema.features[1].kind == "boolean"
        assert model.predict(frame) == frame["y"].tolist()

    @pytest.mark.parametrize("rows", [2, 3, 4, 5])
    def test_a_handful_of_rows(self, rows: int) -> None:
        """Tables too small to learn from give a model all the same."""
        self.check(self.BASE.head(rows))

    def test_small_tables_of_categories_are_learned(self) -> None:
        """Tic-tac-toe has 958 rows and only categories: the defaults learn it."""
        board = tic_tac_toe()
        model = train(board, infer_schema(board, "winner"))
        right = np.array(model.predict(board)) == board["winner"].to_numpy()
        assert right[model.holdout].mean() > 0.95

    def test_missing_values_are_used(self) -> None:
        """A value's absence is something to learn from."""
        frame = pd.DataFrame({"x": [1.0, np.nan] * 40, "y": ["a", "b"] * 40})
        model = train(frame, infer_schema(frame, "y"), trees=30)
        assert model.predict(frame) == frame["y"].tolist()


class TestNames:
    def test_are_plain_and_unique_in_the_file(self) -> None:
        """LightGBM refuses some characters; the schema maps columns by position."""
        names = ("a b", "a_b", "a,b", "größe", "", '{"x": [1]}', "a_b_2")
        features = tuple(Feature(name or "日本", "numeric") for name in names)
        written = file_names(Schema(features, "y", ("p", "q")))
        assert written == ["a_b", "a_b_2", "a_b_3", "gr__e", "__", "__x____1__", "a_b_2_2"]

    def test_of_any_kind_train(self) -> None:
        """A model whose columns have odd names answers a table with them."""
        odd = ['a "quoted" [name]', "größe: cm", "a,b", "line\nbreak", "a b", "a_b"]
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({name: rng.normal(size=100) for name in odd})
        frame["y"] = np.where(frame["a_b"] > 0, "p", "q")
        model = fit(frame)
        assert read_model(model.text).feature_names == tuple(file_names(model.schema))
        assert len(set(model.predict(frame))) == 2


class TestHoldout:
    @given(st.lists(st.integers(0, 4), min_size=0, max_size=200), st.integers(0, 2**31 - 1))
    def test_is_a_stratified_quarter(self, answers: list[int], seed: int) -> None:
        """Each class gives a quarter of its rows to within one, and keeps at least one."""
        codes = np.array(answers, dtype=np.intp)
        held = stratified_quarter(codes, seed)
        assert sorted(set(held.tolist())) == held.tolist()
        for code in set(answers):
            all_rows, out = (codes == code).sum(), (codes[held] == code).sum()
            assert abs(out - all_rows / 4) < 1
            assert out < all_rows

    def test_is_a_quarter_of_the_table(self) -> None:
        """Of 400 rows 100 are held out, in ascending order."""
        table = loans(400)
        model = train(table, infer_schema(table, "decision"), trees=2)
        assert len(model.holdout) == 100
        assert model.background.rows == 400
        assert sum(model.background.class_counts) == 300

    def test_is_not_learned_from(self) -> None:
        """Other answers in the held-out rows change nothing in the model."""
        frame = TestOddTables.BASE
        held = fit(frame).holdout
        schema = infer_schema(frame, "y")
        rows, answers = encode(frame, schema), target_codes(frame, schema)
        rest = np.setdiff1d(np.arange(len(frame)), held)
        assert boost(rows[rest], answers[rest], schema, trees=5) == fit(frame).text

    @pytest.mark.parametrize("seed", [-1, 2**31])
    def test_a_seed_that_lightgbm_can_not_keep_is_refused(self, seed: int) -> None:
        """A seed has 31 bits."""
        with pytest.raises(Refused, match=rf"the seed is {seed}; 0 to 2147483647 is accepted"):
            fit(TestOddTables.BASE, seed=seed)


class TestOptions:
    def test_progress_counts_the_trees(self) -> None:
        """The caller sees each tree done, and how many there will be."""
        seen: list[tuple[int, int]] = []
        frame = loans(200)
        train(frame, infer_schema(frame, "decision"), trees=3, progress=lambda done, of: seen.append((done, of)))
        assert seen == [(1, 3), (2, 3), (3, 3)]

    def test_progress_may_stop_the_work(self) -> None:
        """An error that the caller raises ends the training."""
        frame = loans(200)

        def stop(done: int, of: int) -> None:
            raise Cancelled("stopped")

        with pytest.raises(Cancelled):
            train(frame, infer_schema(frame, "decision"), trees=3, progress=stop)

    def test_weights_are_used(self) -> None:
        """A row of weight 5 is learned like five rows."""
        schema = infer_schema(TestOddTables.BASE, "y")
        rows, answers = encode(TestOddTables.BASE, schema), target_codes(TestOddTables.BASE, schema)
        plain = boost(rows, answers, schema, trees=3)
        assert boost(rows, answers, schema, trees=3, weights=np.where(answers == 0, 5.0, 1.0)) != plain
        assert boost(rows, answers, schema, trees=3, weights=np.ones(len(rows))) != ""

    def test_codes_of_an_adopted_schema_are_dropped(self) -> None:
        """A model of our own has our codes, whatever schema it began with."""
        frame = TestOddTables.BASE.assign(c=["u", "v"] * 30)
        schema = infer_schema(frame, "y")
        coded = dataclasses.replace(
            schema, features=(schema.features[0], dataclasses.replace(schema.features[1], codes=(7, 3)))
        )
        assert train(frame, coded, trees=3).schema == schema
        assert train(frame, coded, trees=3).text == train(frame, schema, trees=3).text

    def test_a_class_without_rows_is_refused(self) -> None:
        """Every class of the schema needs a row to learn from."""
        schema = dataclasses.replace(infer_schema(TestOddTables.BASE, "y"), classes=("a", "b", "c"))
        with pytest.raises(TargetError, match="no row has the 'y' 'c'"):
            train(TestOddTables.BASE, schema)

    def test_one_class_is_refused(self) -> None:
        """There is nothing to classify."""
        schema = dataclasses.replace(infer_schema(TestOddTables.BASE, "y"), classes=("a",))
        with pytest.raises(TargetError, match="two classes or more"):
            train(TestOddTables.BASE.assign(y="a"), schema)

    def test_no_trees_are_refused(self) -> None:
        """A model has a tree at least."""
        with pytest.raises(Refused, match="number of trees is 0"):
            train(TestOddTables.BASE, infer_schema(TestOddTables.BASE, "y"), trees=0)

    def test_a_threshold_of_an_unknown_class_is_refused_before_any_work(self) -> None:
        """Thresholds are read first."""
        with pytest.raises(UnknownClass):
            train(TestOddTables.BASE, infer_schema(TestOddTables.BASE, "y"), thresholds={"z": 0.5})
