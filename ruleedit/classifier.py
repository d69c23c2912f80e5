"""The overlay as a scikit-learn classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from ruleedit.errors import Refused
from ruleedit.feedback import Feedback
from ruleedit.models import Background, InMemoryModel
from ruleedit.overlay import Answers, Mode, overlay
from ruleedit.tables import decode, encode, target_codes


class OverlayClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Any classifier with ``predict_proba``, with edits in force on top.

    Parameters
    ----------
    estimator : classifier
        Takes a DataFrame with the schema's columns: numbers as float64, texts as ``str``, missing
        values in both. One that is fitted already is used as it is unless `fit` is called.
    feedback : Feedback
        What the edits ask for; unresolved conflicts are refused.
    mode : {"hard", "soft"}
        See `ruleedit.overlay`. `soft` needs `fit`, or ``background``.
    background : Background, optional
        The training table's background, for `soft` with an estimator that is fitted already.

    Attributes
    ----------
    classes_ : array of shape (classes,)
        The schema's classes, as text.
    model_ : InMemoryModel
        The fitted estimator.
    """

    def __init__(
        self, estimator: Any, feedback: Feedback, *, mode: str = "hard", background: Background | None = None
    ) -> None:
        self.estimator = estimator
        self.feedback = feedback
        self.mode = mode
        self.background = background

    def fit(self, X: pd.DataFrame, y: npt.ArrayLike) -> OverlayClassifier:
        """Fit a clone of the estimator on the table's columns; missing values are passed on."""
        schema = self.feedback.schema
        rows = encode(X, schema)
        answers = target_codes(pd.DataFrame({schema.target: np.asarray(y)}), schema)
        texts = np.asarray(schema.classes, dtype=object)[answers]
        self.model_ = InMemoryModel(clone(self.estimator).fit(decode(rows, schema), texts), schema)
        self.background_ = Background.of(rows, answers, schema)
        return self

    @property
    def classes_(self) -> npt.NDArray[np.object_]:
        """The schema's classes, as text."""
        return np.asarray(self.feedback.schema.classes, dtype=object)

    def answer(self, X: pd.DataFrame) -> Answers:
        """Everything that the overlay says of each row: see `ruleedit.overlay.Answers`."""
        if self.mode not in ("hard", "soft"):
            raise Refused(f"no mode {self.mode!r}; hard or soft is accepted")
        background = getattr(self, "background_", self.background)
        if self.mode == "soft" and background is None:
            raise NotFittedError("a soft overlay needs the training table's background: call fit, or give background")
        rows = encode(X, self.feedback.schema)
        mode: Mode = "soft" if self.mode == "soft" else "hard"
        return overlay(self._model(), self.feedback.settled(), rows, mode, background=background)

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """The probabilities; shape (n, classes)."""
        return self.answer(X).probabilities

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.object_]:
        """The outcomes, as text; shape (n,)."""
        classes: npt.NDArray[np.object_] = self.classes_[self.answer(X).outcomes]
        return classes

    def _model(self) -> InMemoryModel:
        if hasattr(self, "model_"):
            return self.model_
        check_is_fitted(self.estimator)
        return InMemoryModel(self.estimator, self.feedback.schema)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_") or hasattr(self.estimator, "classes_")
