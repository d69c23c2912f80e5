"""scikit-learn's own checks, and what our estimators make of tables, arrays and answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from ruleedit import Frote, OverlayClassifier, RuleSurrogate
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import Refused
from ruleedit.estimators import EXCEPTIONS, answers_of, class_texts, inferred_schema, table_of
from ruleedit.feedback import Feedback, feedback
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema

ESTIMATORS = [
    OverlayClassifier(DecisionTreeClassifier(random_state=0)),
    RuleSurrogate(method="tree"),
    Frote(DecisionTreeClassifier(random_state=0)),
]
SCHEMA = Schema((Feature("x", "numeric"), Feature("z", "numeric")), "t", ("1", "2", "3"))


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: EXCEPTIONS[type(estimator).__name__])
def test_scikit_learns_checks(estimator: BaseEstimator, check: Callable[[Any], None]) -> None:
    """All pass, but for the exceptions."""
    check(estimator)


def test_the_exceptions_are_in_the_readme() -> None:
    """Each by its name."""
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    for checks in EXCEPTIONS.values():
        for name in checks:
            assert f"`{name}`" in text


def asks(*edits: str) -> Feedback:
    """What edits of an empty rule set ask for."""
    draft = edit(Draft.of(RuleSet((), Outcome.of("1")), SCHEMA), edits, reason="")
    return feedback(draft.base, draft.rules, SCHEMA)


def plane(many: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Points with three classes by their first coordinate."""
    dice = np.random.default_rng(1)
    X = dice.normal(size=(many, 2))
    return X, np.where(X[:, 0] > 0.5, 3, np.where(X[:, 0] > -0.5, 2, 1))


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_an_overlay_answers_with_the_values_that_it_was_fitted_with(mode: str) -> None:
    """Numbers stay numbers; an array's columns are the schema's in order, and a table gives the same."""
    X, y = plane()
    found = OverlayClassifier(DecisionTreeClassifier(random_state=0), asks("new IF z > 1 THEN '1'"), mode=mode).fit(
        X, y
    )
    assert found.classes_.tolist() == [1, 2, 3]
    said = found.predict(X)
    assert said.dtype == y.dtype
    if mode == "hard":
        assert set(said[X[:, 1] > 1].tolist()) == {1}
        assert (said == y)[X[:, 1] <= 1].all()
    table = pd.DataFrame(X, columns=["x", "z"])
    again = OverlayClassifier(DecisionTreeClassifier(random_state=0), asks("new IF z > 1 THEN '1'"), mode=mode)
    assert again.fit(table, y).predict(table).tolist() == said.tolist()


def test_a_class_that_training_never_had_is_answered_as_text() -> None:
    """The schema knows it; the values of y don't say how it would be written."""
    X, y = plane()
    two = y < 3
    model = DecisionTreeClassifier(random_state=0)
    with pytest.raises(Refused, match="the estimator's classes are 1, 2; the schema's are 1, 2, 3"):
        OverlayClassifier(model, asks("new IF z > 1 THEN '3'")).fit(X[two], y[two])


def test_an_overlay_without_feedback_is_its_estimator() -> None:
    """In a pipeline too."""
    X, y = plane()
    plain = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    over = OverlayClassifier(make_pipeline(StandardScaler(), LogisticRegression())).fit(X, y)
    assert over.predict(X).tolist() == plain.predict(X).tolist()
    assert over.predict_proba(X) == pytest.approx(plain.predict_proba(X))
    with pytest.raises(NotFittedError):
        OverlayClassifier(plain).predict(X)
    with pytest.raises(AttributeError, match="once it is fitted"):
        _ = OverlayClassifier(plain).classes_


def test_frote_without_feedback_gives_every_row_back() -> None:
    """Nothing is asked, so nothing is added."""
    X, y = plane(20)
    rows, answers = Frote(DecisionTreeClassifier()).fit_resample(X, y)
    assert rows.to_numpy().tolist() == X.tolist()
    assert answers is y
    fitted = Frote(DecisionTreeClassifier(random_state=0), asks("new IF z > 1 THEN '1'"), iterations=1).fit(
        pd.DataFrame(X, columns=["x", "z"]), y.astype(str)
    )
    assert fitted.result_.trainings >= 1


def test_tables_are_remembered_and_other_ones_refused() -> None:
    """By the number of columns, and by their names where they have any."""
    estimator = BaseEstimator()
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None]})
    assert table_of(estimator, frame, fitting=True).columns.tolist() == ["a", "b"]
    assert estimator.feature_names_in_.tolist() == ["a", "b"]
    for other in (frame[["b", "a"]], frame[["a"]]):
        with pytest.raises(ValueError, match="feature names"):
            table_of(estimator, other, fitting=False)
    for empty, what in ((frame[:0], "sample"), (frame[[]], "feature")):
        with pytest.raises(ValueError, match=f"0 {what}"):
            table_of(BaseEstimator(), empty, fitting=True)
    mixed = np.array([[1, "x"], [None, "y"]], dtype=object)
    assert table_of(BaseEstimator(), mixed, fitting=True).columns.tolist() == ["x0", "x1"]


def test_answers_are_classes() -> None:
    """Of any kind, one a row; numbers that are none are refused."""
    X = np.zeros((3, 1))
    assert answers_of(X, ["b", "a", "b"]).tolist() == ["b", "a", "b"]
    assert class_texts(np.array([1.0, 2.5])) == ["1", "2.5"]
    assert class_texts(np.array([True, False])) == ["True", "False"]
    for wrong in (None, [1, 2], [0.5, 0.25, 0.1], [1.0, np.nan, 2.0], [[1, 2], [1, 2], [1, 2]]):
        with pytest.raises(ValueError, match=re.compile("y|classif|sample|Unknown label", re.IGNORECASE)):
            answers_of(X, wrong)


def test_a_column_of_floats_is_numeric() -> None:
    """Whole or not: the next table may hold a half."""
    table = pd.DataFrame({"f": [1.0, 2.0], "i": [1, 2], "t": ["a", "b"], "answer": [1, 1]})
    schema = inferred_schema(table, ["no", "yes"])
    assert [feature.kind for feature in schema.features] == ["numeric", "integer", "categorical", "integer"]
    assert schema.target == "answer'"
