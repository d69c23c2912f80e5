"""FROTE as a sampler in the manner of scikit-learn and imbalanced-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator

from ruleedit.errors import TargetError
from ruleedit.estimators import answers_of, table_of
from ruleedit.feedback import Feedback
from ruleedit.matching import Indices
from ruleedit.retrain import retrain
from ruleedit.retrain.columns import Column
from ruleedit.retrain.task import Modify, Selection
from ruleedit.retrain.trainers import estimator_trainer
from ruleedit.rules import number_text
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode, encode_column, target_codes

#: The cell of a generated row whose category must be one that the schema doesn't know.
UNSEEN = "another value"


class Frote(BaseEstimator):  # type: ignore[misc]
    """Resample a table so that a classifier trained on it follows feedback rules.

    Parameters
    ----------
    estimator : classifier
        Any scikit-learn classifier or pipeline with ``predict_proba`` that can be fitted on a
        DataFrame with the schema's columns (numbers as float64, texts as ``str``, missing values
        where the table has them). Clones of it are fitted; it stays as it is.
    feedback : Feedback, optional
        What is asked, with the schema. None asks for nothing, and every row comes back as it is.
    modify, selection, target, quota, iterations, batch, neighbours
        See `ruleedit.retrain.retrain`.
    random_state : int
        The seed; the same one gives the same rows.

    Attributes
    ----------
    result_ : Retrained
        How it went: the model, the curve, why it stopped.
    sample_indices_ : array of shape (n,)
        The rows of X that were kept; the synthetic rows come behind them.

    Notes
    -----
    Source: Alkan et al., FROTE, MLSys 2022.
    """

    def __init__(
        self,
        estimator: Any,
        feedback: Feedback | None = None,
        *,
        modify: Modify = "relabel",
        selection: Selection = "random",
        target: float = 0.99,
        quota: float = 0.5,
        iterations: int = 20,
        batch: int | None = None,
        neighbours: int = 5,
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.feedback = feedback
        self.modify = modify
        self.selection = selection
        self.target = target
        self.quota = quota
        self.iterations = iterations
        self.batch = batch
        self.neighbours = neighbours
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Frote:
        """Resample, and keep how it went (``result_``, ``sample_indices_``) without the rows."""
        self.fit_resample(X, y)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[pd.DataFrame, Any]:
        """Return the modified rows of X and behind them the accepted synthetic ones, with their answers.

        ``X`` has the schema's columns (others are left out), ``y`` (n,) the classes. X keeps its
        column types, but for an integer or boolean column that gets a missing value, and for pandas
        categories; the answers
        come back as a Series or an array, as they were given, with the values of ``y``. Raises as
        `ruleedit.retrain.retrain` and `ruleedit.tables.encode` do.
        """
        table = table_of(self, X, fitting=True)
        if self.feedback is None:
            answers_of(X, y)
            self.sample_indices_ = np.arange(len(table))
            return table, y
        X, schema = table, self.feedback.schema
        rows = encode(X, schema)
        answers, values = _answers(y, schema, len(rows))
        options = {name: value for name, value in self.get_params(deep=False).items() if name in _OPTIONS}
        trainer = estimator_trainer(self.estimator, schema)
        self.result_ = retrain(
            rows, answers, self.feedback, trainer, strategy="greedy", seed=self.random_state, **options
        )
        self.sample_indices_ = np.flatnonzero(self.result_.modified >= 0)
        return self._resampled(X, y, values)

    def _resampled(self, X: pd.DataFrame, y: Any, values: npt.NDArray[Any]) -> tuple[pd.DataFrame, Any]:
        assert self.feedback is not None
        schema, generated = self.feedback.schema, self.result_.generated
        original = X[list(schema.names)]
        table = original.iloc[self.sample_indices_].reset_index(drop=True)
        if len(generated):
            made = {
                feature.name: _column(generated.rows[:, place], feature, original[feature.name], schema.missing_tokens)
                for place, feature in enumerate(schema.features)
            }
            table = pd.concat([table, pd.DataFrame(made)], ignore_index=True)
        labels = values[np.concatenate([self.result_.modified[self.sample_indices_], generated.answers])]
        return table, pd.Series(labels, name=y.name).astype(y.dtype) if isinstance(y, pd.Series) else labels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.target_tags.required = True
        return tags


#: What `Frote` passes on to `retrain` under the same name.
_OPTIONS = frozenset(("modify", "selection", "target", "quota", "iterations", "batch", "neighbours"))


def _answers(y: Any, schema: Schema, rows: int) -> tuple[Indices, npt.NDArray[Any]]:
    """The classes' places, and each class as it stands in ``y`` (its text where it isn't there)."""
    given = pd.Series(np.asarray(y) if not isinstance(y, pd.Series) else y).reset_index(drop=True)
    if len(given) != rows:
        raise TargetError(f"there are {rows} rows and {len(given)} answers; give one answer a row")
    codes = target_codes(pd.DataFrame({schema.target: given}), schema)
    first = {int(code): given.iloc[place] for code, place in zip(*np.unique(codes, return_index=True), strict=True)}
    cells = [first.get(code, name) for code, name in enumerate(schema.classes)]
    return codes, np.array(cells, dtype=None if len(first) == len(cells) else object)


def _column(codes: Column, feature: Feature, original: pd.Series, missing_tokens: Sequence[str]) -> pd.Series:
    """Encoded values as cells of the kind that the original column has."""
    if feature.is_number:
        if not pd.api.types.is_numeric_dtype(original.dtype):
            cells = [None if np.isnan(code) else number_text(code) for code in codes]
            return pd.Series(cells).astype(original.dtype)
        whole = pd.api.types.is_integer_dtype(original.dtype) and not np.isnan(codes).any()
        return pd.Series(codes).astype(original.dtype) if whole else pd.Series(codes)
    spelled: dict[float, Any] = {float(code): text for text, code in feature.code_of.items()} | {0.0: UNSEEN}
    if feature.kind == "boolean":
        spelled = {0.0: "false", 1.0: "true"}
    known = encode_column(original, feature, missing_tokens)
    present = np.flatnonzero(~np.isnan(known))
    for code, place in zip(*np.unique(known[present], return_index=True), strict=True):
        spelled[float(code)] = original.iloc[int(present[place])]
    cells = [None if np.isnan(code) else spelled[float(code)] for code in codes]
    if pd.api.types.is_bool_dtype(original.dtype) and None in cells:
        return pd.Series(cells, dtype=object)
    categories = isinstance(original.dtype, pd.CategoricalDtype)
    return pd.Series(cells, dtype=object if categories else original.dtype)
