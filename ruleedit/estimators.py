"""What scikit-learn asks of an estimator's input, for those of ours that follow its conventions.

A table may come as a DataFrame or as an array, whose columns are then called x0, x1, ... Missing
values are allowed everywhere; everything else that scikit-learn refuses is refused in its words.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d, validate_data

from ruleedit.rules import number_text
from ruleedit.schema import Feature, Schema
from ruleedit.tables import infer_feature

#: The checks of scikit-learn that an estimator of ours fails on purpose, with the reason. The README lists them.
EXCEPTIONS: dict[str, dict[str, str]] = {
    "OverlayClassifier": {},
    "Frote": {},
    "RuleSurrogate": {
        "check_fit_score_takes_y": "the second argument of fit is called y_model: the model's answers, not the truth",
        "check_classifiers_one_label": "a model that gives one answer needs no rules to say when; it is refused",
        "check_fit2d_1sample": "one row has one answer, which is refused in our words: it says what would be accepted",
    },
}


def table_of(estimator: Any, X: Any, *, fitting: bool) -> pd.DataFrame:
    """The rows as a DataFrame with text for names.

    While ``fitting`` the estimator remembers ``n_features_in_`` and ``feature_names_in_``, and
    afterwards raises `ValueError` where other columns come.
    """
    if not isinstance(X, pd.DataFrame):
        X = check_array(X, dtype=None, ensure_all_finite="allow-nan", estimator=estimator, input_name="X")
    elif not len(X) or not len(X.columns):
        what = "sample" if not len(X) else "feature"
        raise ValueError(f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 is required.")
    validate_data(estimator, X, reset=fitting, skip_check_array=True)
    if isinstance(X, pd.DataFrame):
        return X.set_axis([str(name) for name in X.columns], axis=1)
    if X.dtype == object:
        columns = {f"x{place}": pd.Series(list(X[:, place])) for place in range(X.shape[1])}
        return pd.DataFrame({name: column.infer_objects() for name, column in columns.items()})
    return pd.DataFrame(X, columns=[f"x{place}" for place in range(X.shape[1])])


def answers_of(X: Any, y: Any) -> npt.NDArray[Any]:
    """The answers (n,), one a row; raises `ValueError` where they are none of a classifier's."""
    values = column_or_1d(_given(y), warn=True)
    check_consistent_length(X, values)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("Input y contains NaN or infinity.")
    check_classification_targets(values)
    return np.asarray(values)


def _given(y: Any) -> Any:
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None")
    return y


def class_texts(classes: npt.NDArray[Any]) -> list[str]:
    """The classes as text, numbers as they are written."""
    return [number_text(value) if isinstance(value, float) else str(value) for value in classes.tolist()]


def inferred_schema(table: pd.DataFrame, classes: list[str]) -> Schema:
    """A schema for a table by itself; a column of floats is numeric, also where all of them are whole."""
    target = "answer"
    while target in table.columns:
        target += "'"
    return Schema(tuple(_feature(table[name], name) for name in table.columns), target, tuple(classes))


def _feature(column: pd.Series, name: str) -> Feature:
    found = infer_feature(column, name)
    if found.kind == "integer" and pd.api.types.is_float_dtype(column.dtype):
        return Feature(name, "numeric", found.missing, found.low, found.high)
    return found
