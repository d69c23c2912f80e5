"""Frote, the sampler: the contract of scikit-learn and imbalanced-learn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from ruleedit.errors import MissingColumns, TargetError
from ruleedit.retrain import Frote
from ruleedit.schema import Schema
from ruleedit.tables import decode, encode, infer_schema
from tests.retraining import MIXED, ask, mixed_answers, mixed_rows

TABLE = decode(mixed_rows(300), MIXED)
ANSWERS = pd.Series(np.array(MIXED.classes)[mixed_answers(mixed_rows(300))], name="y", dtype="str")
RULE = "IF n > 31 AND c = b THEN yes"


def classifier() -> object:
    """A pipeline that takes texts and missing values, as a user would write it."""
    columns = ColumnTransformer(
        [
            (
                "texts",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore")
                ),
                ["c", "f"],
            ),
            ("numbers", SimpleImputer(), ["x", "n", "whole"]),
        ]
    )
    return make_pipeline(columns, RandomForestClassifier(20))


def sampler(*texts: str, schema: Schema = MIXED, **options: object) -> Frote:
    return Frote(classifier(), ask(schema, *(texts or (RULE,))), **({"iterations": 3, "batch": 40} | options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted() -> tuple[Frote, pd.DataFrame, pd.Series]:
    one = sampler()
    return one, *one.fit_resample(TABLE, ANSWERS)


def test_the_rows_come_back_with_synthetic_ones_behind_them(fitted: tuple[Frote, pd.DataFrame, pd.Series]) -> None:
    """The original rows first, as they were, then rows of the region."""
    one, table, answers = fitted
    assert len(table) == len(answers) == 300 + one.result_.synthetic > 300
    assert one.result_.strategy == "greedy"
    pd.testing.assert_frame_equal(table.iloc[:300], TABLE)
    made = encode(table.iloc[300:], MIXED)
    assert (one.feedback.assign(made) == 0).all()
    assert (answers.iloc[300:] == "yes").all()


def test_types_and_names_stay(fitted: tuple[Frote, pd.DataFrame, pd.Series]) -> None:
    """Columns, their order, their types, and the answers' name and type."""
    _, table, answers = fitted
    assert (table.dtypes == TABLE.dtypes).all()
    assert (answers.name, answers.dtype) == ("y", ANSWERS.dtype)


def test_a_classifier_of_the_result_follows_the_rule(fitted: tuple[Frote, pd.DataFrame, pd.Series]) -> None:
    """That is what resampling is for: 31 to 40 was never seen in training."""
    _, table, answers = fitted
    inside = TABLE.iloc[:50].assign(n=35.0, c="b")
    assert (
        clone(classifier()).set_params(randomforestclassifier__random_state=0).fit(table, answers).predict(inside)
        == "yes"
    ).mean() >= 0.9  # type: ignore[attr-defined]


def test_dropped_rows_are_gone() -> None:
    """`sample_indices_` says which ones stayed, as in imbalanced-learn."""
    one = sampler("IF x > 1 THEN yes", modify="drop", quota=0.0)
    table, answers = one.fit_resample(TABLE, ANSWERS)
    wrong = (TABLE["x"] > 1) & (ANSWERS != "yes")
    assert len(table) == len(answers) == (~wrong).sum()
    assert np.array_equal(one.sample_indices_, np.flatnonzero(~wrong))


def test_relabelled_rows_carry_the_rules_class() -> None:
    """The first step's answers are what comes back."""
    _, answers = sampler("IF x > 1 THEN yes", quota=0.0).fit_resample(TABLE, ANSWERS)
    assert (answers[(TABLE["x"] > 1).to_numpy()] == "yes").all()


def test_parameters_are_read_set_and_cloned() -> None:
    """scikit-learn's `get_params`, `set_params` and `clone`, nested ones of the estimator included."""
    one = sampler(target=0.9)
    assert one.get_params()["target"] == 0.9
    assert one.get_params()["estimator__randomforestclassifier__n_estimators"] == 20
    copy = clone(one.set_params(quota=0.25))
    assert copy.quota == 0.25
    assert not hasattr(copy, "result_")


def test_the_same_state_gives_the_same_rows(fitted: tuple[Frote, pd.DataFrame, pd.Series]) -> None:
    """The estimator's own chance is seeded too."""
    _, table, _ = fitted
    pd.testing.assert_frame_equal(sampler().fit_resample(TABLE, ANSWERS)[0], table)


def test_the_estimator_given_is_not_fitted() -> None:
    """Clones are."""
    estimator = classifier()
    Frote(estimator, ask(MIXED, RULE), iterations=1, batch=20).fit_resample(TABLE, ANSWERS)
    with pytest.raises(AttributeError):
        estimator.classes_  # type: ignore[attr-defined]  # noqa: B018


def test_typed_columns_keep_their_types() -> None:
    """Whole numbers, truth values and small floats come back as what they were; answers as numbers too."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"n": rng.integers(0, 30, 200), "f": rng.random(200) < 0.5, "x": rng.random(200)})
    answers = (table["x"] > 0.5).astype(int).to_numpy()
    schema = infer_schema(table.assign(y=answers), "y")
    one = Frote(RandomForestClassifier(10), ask(schema, "IF n > 25 THEN '1'"), iterations=2, batch=30, modify="none")
    # A forest takes numbers alone, and decoded truth values are text.
    one.estimator = make_pipeline(
        ColumnTransformer([("f", OneHotEncoder(), ["f"])], remainder="passthrough"), RandomForestClassifier(10)
    )
    resampled, labels = one.fit_resample(table, answers)
    assert (resampled.dtypes == table.dtypes).all()
    assert len(resampled) > 200
    assert isinstance(labels, np.ndarray)
    assert labels.dtype.kind == "i"


def test_cells_that_are_text_stay_text() -> None:
    """A CSV's table, with truth values in their own spelling."""
    table = TABLE.astype(object).map(lambda cell: None if pd.isna(cell) else str(cell)).astype("str")
    table["f"] = table["f"].str.upper()
    resampled, _ = sampler().fit_resample(table, ANSWERS)
    made = resampled.iloc[300:]
    assert (resampled.dtypes == table.dtypes).all()
    assert set(made["f"].dropna()) <= {"TRUE", "FALSE"}
    assert made["n"].dropna().str.isdigit().all()


def test_categories_become_text() -> None:
    """A pandas category can't hold a value that it doesn't list."""
    resampled, _ = sampler().fit_resample(TABLE.assign(c=TABLE["c"].astype("category")), ANSWERS)
    assert (resampled["c"].iloc[300:] == "b").all()


def test_missing_truth_values_are_possible() -> None:
    """A boolean column that gets a missing value holds objects."""
    table = TABLE.assign(f=np.arange(300) % 2 == 0)
    resampled, _ = sampler("IF n > 31 AND f is missing THEN yes").fit_resample(table, ANSWERS)
    assert len(resampled) > 300
    assert resampled["f"].iloc[300:].isna().all()


def test_a_category_that_nobody_knows_stays_one() -> None:
    """A row for `not in` all that is known reads back as such a row."""
    one = sampler("IF c not in (a, b, c, rare) THEN yes", modify="none")
    resampled, _ = one.fit_resample(TABLE, ANSWERS)
    assert (one.feedback.assign(encode(resampled.iloc[300:], MIXED)) == 0).all()
    assert len(resampled) > 300


@pytest.mark.parametrize("answers", [ANSWERS.iloc[:10], ANSWERS.replace("no", "never")])
def test_answers_that_do_not_fit_are_refused(answers: pd.Series) -> None:
    """Too few of them, or a class that the schema doesn't have."""
    with pytest.raises(TargetError):
        sampler().fit_resample(TABLE, answers)


def test_columns_that_are_not_there_are_refused() -> None:
    """As everywhere."""
    with pytest.raises(MissingColumns):
        sampler().fit_resample(TABLE.drop(columns="n"), ANSWERS)


def test_retraining_is_imported_without_the_heavy_libraries() -> None:
    """scikit-learn, HiGHS and LightGBM come in when they are used."""
    program = "import sys, ruleedit.retrain\nprint([m for m in ('sklearn', 'highspy', 'lightgbm') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_nothing_else_is_made_up_on_the_way() -> None:
    """The package's lazy name is the only one."""
    import ruleedit.retrain as package

    assert package.Frote is Frote
    with pytest.raises(AttributeError, match="no attribute 'Frotte'"):
        package.Frotte  # noqa: B018
