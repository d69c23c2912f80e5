"""Models: thresholds, the background, answers, metrics, models in memory, and split points."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from ruleedit.datasets import loans
from ruleedit.errors import FileRefused, OutcomeRefused, Refused, TableError, UnknownClass, ValueRefused
from ruleedit.matching import Matrix
from ruleedit.models import (
    MOST_COMMON,
    SMALL_BATCH,
    Background,
    InMemoryModel,
    Model,
    TableModel,
    holdout_metrics,
    outcome_codes,
    outcomes,
    read_thresholds,
    split_points,
)
from ruleedit.models.training import train
from ruleedit.regions import after, before
from ruleedit.rules import ZERO
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode, infer_schema, target_codes

NAN = math.nan


def schema_of(*classes: str) -> Schema:
    return Schema((Feature("x", "numeric"),), "y", classes)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return loans(800)


@pytest.fixture(scope="module")
def model(table: pd.DataFrame) -> TableModel:
    return train(table, infer_schema(table, "decision"), trees=20)


@pytest.fixture(scope="module")
def rows(table: pd.DataFrame, model: TableModel) -> Matrix:
    return encode(table, model.schema)


@pytest.fixture(scope="module")
def three() -> tuple[TableModel, pd.DataFrame]:
    """A model of three classes."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=300), "c": rng.choice(["a", "b", "d"], 300)})
    frame["y"] = np.where(frame["c"] == "a", "low", np.where(frame["x"] > 0, "high", "mid"))
    return train(frame, infer_schema(frame, "y"), trees=10), frame


class TestThresholds:
    def test_are_equal_where_none_is_given(self) -> None:
        """Without thresholds every class needs the same."""
        assert read_thresholds({}, schema_of("a", "b", "c", "d")) == (0.25,) * 4

    def test_the_others_share_what_is_left(self) -> None:
        """Classes that are not named share what the named ones leave of 1."""
        assert read_thresholds({"b": 0.5}, schema_of("a", "b", "c")) == (0.25, 0.5, 0.25)

    def test_all_given_are_taken_as_they_are(self) -> None:
        """Thresholds for every class need not sum to 1."""
        assert read_thresholds({"b": 0.9, "a": 0.8}, schema_of("a", "b")) == (0.8, 0.9)

    @given(st.floats(0.01, 0.99), st.floats(0.0, 1.0))
    def test_a_binary_threshold_is_the_probability_from_which_it_is_chosen(self, threshold: float, p: float) -> None:
        """``approve=0.7`` approves from 0.7 on, up to rounding."""
        thresholds = read_thresholds({"approve": threshold}, schema_of("approve", "deny"))
        code = outcome_codes(np.array([[p, 1.0 - p]]), thresholds)[0]
        assert abs(p - threshold) < 1e-12 or (code == 0) == (p > threshold)

    def test_exactly_the_threshold_is_enough_for_the_first_class(self) -> None:
        """At the threshold itself both classes tie, and the first in schema order wins."""
        thresholds = read_thresholds({"approve": 0.7}, schema_of("approve", "deny"))
        assert outcome_codes(np.array([[0.7, 1.0 - 0.7]]), thresholds).tolist() == [0]

    @pytest.mark.parametrize("bad", [0.0, 1.0, -0.1, 1.5, NAN, math.inf])
    def test_outside_0_to_1_is_refused(self, bad: float) -> None:
        """A threshold lies between 0 and 1, both excluded."""
        with pytest.raises(OutcomeRefused, match="'a' is not between 0 and 1"):
            read_thresholds({"a": bad}, schema_of("a", "b"))

    def test_that_leave_nothing_for_the_others_are_refused(self) -> None:
        """A class that isn't named needs something to share."""
        with pytest.raises(OutcomeRefused, match=r"a 0\.6, b 0\.4 leave nothing"):
            read_thresholds({"a": 0.6, "b": 0.4}, schema_of("a", "b", "c"))

    def test_of_an_unknown_class_are_refused_with_a_hint(self) -> None:
        """A class that the target doesn't have is refused by name."""
        with pytest.raises(UnknownClass, match="did you mean 'approve'"):
            read_thresholds({"aprove": 0.5}, schema_of("approve", "deny"))


class TestOutcomeCodes:
    def test_take_the_greatest_quotient(self) -> None:
        """A small probability over a smaller threshold wins."""
        assert outcome_codes(np.array([[0.6, 0.4], [0.9, 0.1]]), (0.7, 0.3)).tolist() == [1, 0]

    def test_ties_go_to_the_first_class(self) -> None:
        """Equal quotients go to the first class in schema order."""
        assert outcome_codes(np.array([[0.2, 0.4, 0.4], [0.5, 0.5, 0.0]]), (1 / 3,) * 3).tolist() == [1, 0]

    def test_equal_thresholds_never_round_two_probabilities_to_a_tie(self) -> None:
        """The next double after p still beats p."""
        p = 0.45
        assert outcome_codes(np.array([[p, math.nextafter(p, 1.0), 0.1]]), (1 / 3,) * 3).tolist() == [1]

    def test_of_no_rows_are_none(self) -> None:
        """No rows give no outcomes."""
        assert outcome_codes(np.empty((0, 2)), (0.5, 0.5)).shape == (0,)


class TestBackground:
    SCHEMA = Schema(
        (
            Feature("n", "numeric"),
            Feature("c", "categorical", categories=("a", "b")),
            Feature("flag", "boolean"),
            Feature("gone", "numeric"),
            Feature("same", "integer"),
        ),
        "y",
        ("no", "yes"),
    )
    ROWS = np.array(
        [
            [1.0, 2.0, 1.0, NAN, 7.0],
            [3.0, 1.0, 0.0, NAN, 7.0],
            [3.0, 2.0, 0.0, NAN, 7.0],
            [NAN, 0.0, NAN, NAN, 7.0],
        ]
    )
    ANSWERS = np.array([0, 1, 1, 1], dtype=np.intp)

    def test_deviations_are_of_present_numbers_and_else_1(self) -> None:
        """Text features, constant ones and ones without values have 1."""
        background = Background.of(self.ROWS, self.ANSWERS, self.SCHEMA)
        assert background.deviations == (float(np.std([1.0, 3.0, 3.0])), 1.0, 1.0, 1.0, 1.0)

    def test_common_values_come_by_count_then_by_value(self) -> None:
        """Missing values and unseen categories are no training values."""
        background = Background.of(self.ROWS, self.ANSWERS, self.SCHEMA)
        assert background.common == (
            ((3.0, 2), (1.0, 1)),
            ((2.0, 2), (1.0, 1)),
            ((0.0, 2), (1.0, 1)),
            (),
            ((7.0, 4),),
        )

    def test_counts_only_training_rows_and_names_the_whole_table(self) -> None:
        """The fingerprint is of the whole table, the rest of the rows that were trained on."""
        whole = Background.of(self.ROWS, self.ANSWERS, self.SCHEMA)
        part = Background.of(self.ROWS, self.ANSWERS, self.SCHEMA, np.array([0, 1]))
        assert (part.rows, part.fingerprint) == (4, whole.fingerprint)
        assert (whole.class_counts, part.class_counts) == ((1, 3), (1, 1))
        assert part.common[0] == ((1.0, 1), (3.0, 1))

    def test_keeps_a_bounded_number_of_common_values(self) -> None:
        """A feature with many values keeps the first thousand."""
        rows = np.arange(3_000.0).reshape(-1, 1)
        background = Background.of(rows, np.zeros(3_000, dtype=np.intp), schema_of("a", "b"))
        assert len(background.common[0]) == MOST_COMMON
        assert background.common[0][-1] == (MOST_COMMON - 1.0, 1)

    def test_huge_numbers_have_the_deviation_1(self) -> None:
        """A deviation that is no double counts as unknown."""
        rows = np.array([[1e308], [-1e308]])
        assert Background.of(rows, np.array([0, 1]), schema_of("a", "b")).deviations == (1.0,)

    def test_reads_back_from_json(self) -> None:
        """JSON gives the same background."""
        background = Background.of(self.ROWS, self.ANSWERS, self.SCHEMA)
        assert Background.from_json(json.loads(json.dumps(background.to_json()))) == background

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"rows": -1}, "whole numbers from 0 up"),
            ({"rows": True}, "'rows' is no int"),
            ({"rows": "4"}, "'rows' is no int"),
            ({"class_counts": [1.5, 2]}, "whole numbers from 0 up"),
            ({"deviations": [1.0, 1.0, 0.0, 1.0, 1.0]}, "positive numbers"),
            ({"deviations": [1.0, 1.0, "1", 1.0, 1.0]}, "positive numbers"),
            ({"common": []}, "for each feature"),
            ({"common": [[], [], [], [], [[1.0]]]}, "for each feature"),
            ({"common": [[], [], [], [], [[None, 1]]]}, "for each feature"),
            ({"extra": 1}, "unknown key 'extra'"),
        ],
    )
    def test_other_json_is_refused(self, change: Mapping[str, Any], problem: str) -> None:
        """Each wrong part of the JSON is named."""
        data = json.loads(json.dumps(Background.of(self.ROWS, self.ANSWERS, self.SCHEMA).to_json()))
        with pytest.raises(FileRefused, match=problem):
            Background.from_json(data | change)

    def test_json_without_a_key_is_refused(self) -> None:
        """A key that lacks is named."""
        with pytest.raises(FileRefused, match="lacks the key 'class_counts'"):
            Background.from_json({"rows": 1})
        with pytest.raises(FileRefused, match="no JSON object"):
            Background.from_json([])


class TestAnswers:
    def test_are_those_of_lightgbm(self, model: TableModel, rows: Matrix) -> None:
        """Our probabilities are LightGBM's own, bit for bit."""
        own = lightgbm.Booster(model_str=model.text).predict(rows)
        assert np.array_equal(model.proba(rows), np.column_stack([1.0 - own, own]))
        assert np.array_equal(
            model.raw_score(rows), lightgbm.Booster(model_str=model.text).predict(rows, raw_score=True)
        )

    def test_of_several_classes_are_those_of_lightgbm(self, three: tuple[TableModel, pd.DataFrame]) -> None:
        """Each class has its column, in schema order."""
        model, frame = three
        rows = encode(frame, model.schema)
        own = lightgbm.Booster(model_str=model.text).predict(rows)
        assert model.schema.classes == ("high", "low", "mid")
        assert np.array_equal(model.proba(rows), own)
        assert model.raw_score(rows).shape == (300, 3)
        assert np.mean(np.array(model.predict(frame)) == frame["y"]) > 0.9

    @pytest.mark.parametrize("size", [1, SMALL_BATCH, SMALL_BATCH + 1])
    def test_do_not_depend_on_the_batch(self, model: TableModel, rows: Matrix, size: int) -> None:
        """A row has one answer, alone or among others, with one thread or all."""
        assert np.array_equal(model.proba(rows[:size]), model.proba(rows)[:size])

    def test_of_no_rows_are_none(self, model: TableModel, three: tuple[TableModel, pd.DataFrame]) -> None:
        """An empty batch has answers of the right shape."""
        assert model.proba(np.empty((0, 11))).shape == (0, 2)
        assert model.raw_score(np.empty((0, 11))).shape == (0,)
        assert three[0].proba(np.empty((0, 2))).shape == (0, 3)
        assert model.outcomes(np.empty((0, 11))).shape == (0,)

    @pytest.mark.parametrize("shape", [(3,), (3, 10), (3, 12), (1, 3, 11)])
    def test_to_rows_of_another_shape_are_refused(self, model: TableModel, shape: tuple[int, ...]) -> None:
        """LightGBM is never given rows of another width."""
        with pytest.raises(TableError, match=r"\(n, 11\) is accepted"):
            model.proba(np.zeros(shape))

    def test_to_single_precision_are_those_to_the_same_doubles(self, model: TableModel, rows: Matrix) -> None:
        """Rows of another number type are read as doubles."""
        single = rows.astype(np.float32)
        assert np.array_equal(model.proba(single), model.proba(single.astype(np.float64)))  # type: ignore[arg-type]

    def test_to_a_table_are_classes_as_text(self, model: TableModel, table: pd.DataFrame, rows: Matrix) -> None:
        """A table is encoded by the schema first."""
        assert model.predict(table)[:50] == [model.schema.classes[code] for code in model.outcomes(rows[:50])]
        assert np.array_equal(model.predict_proba(table), model.proba(rows))

    def test_to_a_table_that_the_schema_forbids_are_refused(self, model: TableModel, table: pd.DataFrame) -> None:
        """A value that is no number is refused before the model is asked."""
        with pytest.raises(ValueRefused, match="'age'"):
            model.predict(table.head(3).assign(age="old"))

    def test_use_the_thresholds(self, table: pd.DataFrame, rows: Matrix) -> None:
        """A class with a high threshold is the outcome from that probability on."""
        strict = train(table, infer_schema(table, "decision"), trees=20, thresholds={"approve": 0.9})
        approve = strict.proba(rows)[:, 0]
        clear = np.abs(approve - 0.9) > 1e-9
        assert np.array_equal((strict.outcomes(rows) == 0)[clear], (approve > 0.9)[clear])
        assert 0 < (strict.outcomes(rows) == 0).sum() < (approve > 0.5).sum()

    def test_to_an_unseen_category_are_those_to_a_missing_one(self, model: TableModel, rows: Matrix) -> None:
        """LightGBM sends a code that training never saw the way of a missing value."""
        place = model.schema.index("employment")
        unseen, missing = rows[:50].copy(), rows[:50].copy()
        unseen[:, place], missing[:, place] = 0.0, NAN
        assert np.array_equal(model.proba(unseen), model.proba(missing))

    def test_to_our_own_model_need_no_other_codes(self, model: TableModel, rows: Matrix) -> None:
        """The file of a model that we trained has our codes: nothing is copied."""
        assert model.encode_for_file(rows) is rows

    def test_held_out_rows_are_those_of_the_training_table(self, model: TableModel, rows: Matrix) -> None:
        """Of another table every row counts as held out."""
        assert np.array_equal(model.held_out(rows), model.holdout)
        assert np.array_equal(model.held_out(rows[:10]), np.arange(10))
        changed = rows.copy()
        changed[0, 0] += 1
        assert len(model.held_out(changed)) == len(rows)

    def test_heavy_imports_wait_until_they_are_used(self) -> None:
        """Importing the modules loads neither LightGBM nor scikit-learn."""
        program = (
            "import sys, ruleedit.models, ruleedit.models.training, ruleedit.models.folder, ruleedit.models.adoption;"
            "print([name for name in ('lightgbm', 'sklearn') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


class TestMetrics:
    def test_of_two_classes_are_those_of_scikit_learn(
        self, model: TableModel, rows: Matrix, table: pd.DataFrame
    ) -> None:
        """The AUC is the second class's."""
        held, answers = model.holdout, target_codes(table, model.schema)
        found = holdout_metrics(model, rows[held], answers[held])
        assert found["rows"] == len(held)
        assert found["accuracy"] == np.mean(model.outcomes(rows[held]) == answers[held])
        assert found["auc"] == roc_auc_score(answers[held], model.proba(rows[held])[:, 1])
        assert found["auc"] > 0.85

    def test_of_more_classes_are_the_mean_of_each_against_the_rest(
        self, three: tuple[TableModel, pd.DataFrame]
    ) -> None:
        """The AUC is scikit-learn's one-vs-rest, macro."""
        model, frame = three
        rows, answers = encode(frame, model.schema), target_codes(frame, model.schema)
        wanted = roc_auc_score(answers, model.proba(rows), multi_class="ovr", average="macro")
        assert holdout_metrics(model, rows, answers)["auc"] == pytest.approx(wanted, abs=1e-12)

    def test_are_none_where_they_are_undefined(self, model: TableModel, rows: Matrix) -> None:
        """No rows have no accuracy, one class no AUC."""
        assert holdout_metrics(model, rows[:0], np.empty(0, np.intp)) == {"rows": 0, "accuracy": None, "auc": None}
        assert holdout_metrics(model, rows[:5], np.zeros(5, np.intp))["auc"] is None


class Fixed:
    """A classifier that answers the same to every row and keeps what it was asked."""

    def __init__(self, classes: list[Any], answer: list[float]) -> None:
        self.classes_, self.answer = np.array(classes), answer

    def predict_proba(self, frame: pd.DataFrame) -> list[list[float]]:
        self.asked = frame
        return [self.answer] * len(frame)


class TestInMemory:
    def test_asks_a_scikit_learn_pipeline(self, table: pd.DataFrame, model: TableModel, rows: Matrix) -> None:
        """Any fitted classifier that takes a DataFrame will do."""
        pick = FunctionTransformer(lambda frame: frame[["age", "income"]].fillna(0) / [10.0, 10_000.0])
        estimator = make_pipeline(pick, LogisticRegression()).fit(table, table["decision"])
        wrapped: Model = InMemoryModel(estimator, model.schema)
        assert np.allclose(wrapped.proba(rows), estimator.predict_proba(table))
        assert set(outcomes(wrapped, rows)) == {0, 1}

    def test_puts_the_classes_in_schema_order(self) -> None:
        """The estimator's order of classes is its own."""
        wrapped = InMemoryModel(Fixed(["b", "c", "a"], [0.5, 0.3, 0.2]), schema_of("a", "b", "c"))
        assert wrapped.proba(np.zeros((2, 1))).tolist() == [[0.2, 0.5, 0.3]] * 2
        assert wrapped.outcomes(np.zeros((2, 1))).tolist() == [1, 1]

    @pytest.mark.parametrize(
        ("classes", "texts"), [([0, 1], ("0", "1")), ([1.0, 2.5], ("1", "2.5")), ([False, True], ("False", "True"))]
    )
    def test_reads_classes_as_text(self, classes: list[Any], texts: tuple[str, ...]) -> None:
        """Numbers and booleans are the texts that a table's target has."""
        assert InMemoryModel(Fixed(classes, [0.5, 0.5]), schema_of(*texts)).schema.classes == texts

    def test_shows_texts_and_missing_values(self) -> None:
        """Categories come as text, an unseen one and a missing one as missing."""
        estimator = Fixed(["a", "b"], [0.1, 0.9])
        schema = Schema((Feature("c", "categorical", categories=("u", "v")), Feature("f", "boolean")), "y", ("a", "b"))
        InMemoryModel(estimator, schema).proba(np.array([[2.0, 1.0], [0.0, 0.0], [NAN, NAN]]))
        assert estimator.asked["c"].isna().tolist() == [False, True, True]
        assert (estimator.asked["c"][0], estimator.asked["f"][1]) == ("v", "false")

    def test_uses_thresholds_and_answers_no_rows(self) -> None:
        """Thresholds work as for a model of ours; no rows are not asked."""
        wrapped = InMemoryModel(Fixed(["a", "b"], [0.6, 0.4]), schema_of("a", "b"), {"a": 0.7})
        assert wrapped.outcomes(np.zeros((1, 1))).tolist() == [1]
        assert wrapped.proba(np.empty((0, 1))).shape == (0, 2)

    def test_refuses_other_classes(self) -> None:
        """The estimator must know exactly the schema's classes."""
        with pytest.raises(Refused, match="classes are a, c; the schema's are a, b"):
            InMemoryModel(Fixed(["a", "c"], [0.5, 0.5]), schema_of("a", "b"))

    def test_refuses_what_is_no_fitted_classifier(self) -> None:
        """An estimator before ``fit`` has no classes."""
        with pytest.raises(Refused, match="LogisticRegression has no 'classes_'"):
            InMemoryModel(LogisticRegression(), schema_of("a", "b"))
        with pytest.raises(Refused, match="object has no 'predict_proba'"):
            InMemoryModel(object(), schema_of("a", "b"))


class TestSplitPoints:
    def test_are_the_thresholds_with_their_gains(self, model: TableModel) -> None:
        """The gains of all splits at one threshold add up to LightGBM's own sums."""
        points = split_points(model)
        gains = lightgbm.Booster(model_str=model.text).feature_importance("gain")
        for place, feature in enumerate(model.schema.features):
            if feature.is_number:
                assert math.fsum(points[place].values()) == pytest.approx(gains[place], rel=1e-4, abs=1e-4)
                assert list(points[place]) == sorted(points[place])
        assert any(points)

    def test_are_empty_for_text_features(self, model: TableModel) -> None:
        """Categories and booleans have no thresholds."""
        for place, feature in enumerate(model.schema.features):
            assert feature.is_number or split_points(model)[place] == {}

    def test_around_zero_are_what_rows_can_tell_apart(self, model: TableModel) -> None:
        """LightGBM's zero reaches from -1e-35 to 1e-35: beside it only ``x <= 0`` and ``x < 0`` are left."""
        place = model.schema.index("debt_ratio")
        old = format(max(split_points(model)[place]), ".17g")
        for threshold, wanted in ((ZERO, 0.0), (-ZERO, before(0.0, False)), (after(0.0, False), after(0.0, False))):
            changed = rewritten(model, model.text.replace(old, format(threshold, ".17g")))
            assert wanted in split_points(changed)[place]

    def test_of_a_constant_model_are_none(self) -> None:
        """A model without splits has none."""
        frame = pd.DataFrame({"x": [1.0] * 20, "y": ["a", "b"] * 10})
        assert split_points(train(frame, infer_schema(frame, "y"), trees=2)) == ({},)

    def test_without_gains_count_splits(self, model: TableModel) -> None:
        """A file that leaves out the gains has 1 for each split."""
        lines = [line for line in model.text.split("\n") if not line.startswith("split_gain=")]
        bare = rewritten(model, "\n".join(lines))
        counts = lightgbm.Booster(model_str=model.text).feature_importance("split")
        for place, feature in enumerate(model.schema.features):
            if feature.is_number:
                assert sum(split_points(bare)[place].values()) == counts[place]


def rewritten(model: TableModel, text: str) -> TableModel:
    """The model with another file text, the sizes of its trees put right."""
    trees = text[text.index("Tree=0") : text.index("end of trees")].split("Tree=")[1:]
    sizes = " ".join(str(len("Tree=" + tree)) for tree in trees)
    lines = [f"tree_sizes={sizes}" if line.startswith("tree_sizes=") else line for line in text.split("\n")]
    return dataclasses.replace(model, text="\n".join(lines))
