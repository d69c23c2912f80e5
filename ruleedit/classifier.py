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
from ruleedit.estimators import answers_of, class_texts, inferred_schema, table_of
from ruleedit.feedback import Feedback, feedback
from ruleedit.models import Background, InMemoryModel
from ruleedit.overlay import Answers, Mode, overlay
from ruleedit.rules import Outcome, RuleSet
from ruleedit.tables import decode, encode, target_codes


class OverlayClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Any classifier with ``predict_proba``, with edits in force on top.

    Parameters
    ----------
    estimator : classifier
        Takes a DataFrame with the schema's columns: numbers as float64, texts as ``str``, missing
        values in both. One that is fitted already is used as it is unless `fit` is called.
    feedback : Feedback, optional
        What the edits ask for; unresolved conflicts are refused. None asks for nothing: then the
        schema is inferred from what `fit` is given.
    mode : {"hard", "soft"}
        See `ruleedit.overlay`. `soft` needs `fit`, or ``background``.
    background : Background, optional
        The training table's background, for `soft` with an estimator that is fitted already.

    Attributes
    ----------
    classes_ : array of shape (classes,)
        The classes: those of the schema as `fit` was given them, as text where it wasn't called or
        saw none; without feedback the values of y, sorted.
    feedback_ : Feedback
        What is asked, with the schema.
    model_ : InMemoryModel
        The fitted estimator.
    """

    def __init__(
        self,
        estimator: Any,
        feedback: Feedback | None = None,
        *,
        mode: str = "hard",
        background: Background | None = None,
    ) -> None:
        self.estimator = estimator
        self.feedback = feedback
        self.mode = mode
        self.background = background

    def fit(self, X: Any, y: npt.ArrayLike) -> OverlayClassifier:
        """Fit a clone of the estimator on the table's columns; missing values are passed on.

        ``X`` is a DataFrame (n, columns), or an array (n, features) in the schema's order; ``y``
        (n,) are the true classes. Raises as `ruleedit.tables.encode` and `target_codes` do.
        """
        table, values = table_of(self, X, fitting=True), answers_of(X, y)
        seen = np.unique(values)
        self.feedback_ = _nothing(table, seen) if self.feedback is None else self.feedback
        schema = self.feedback_.schema
        rows = encode(_named(table, X, schema.names), schema)
        texts = dict(zip(seen.tolist(), class_texts(seen), strict=True))
        named = [texts[value] for value in values.tolist()]
        answers = target_codes(pd.DataFrame({schema.target: named}), schema)
        cells = {text: value for value, text in texts.items()}
        known = [cells.get(name, name) for name in schema.classes]
        self._classes = np.array(known, dtype=seen.dtype if len(seen) == len(known) else object)
        fitted = clone(self.estimator).fit(decode(rows, schema), np.asarray(schema.classes, dtype=object)[answers])
        self.model_ = InMemoryModel(fitted, schema)
        self.background_ = Background.of(rows, answers, schema)
        return self

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The classes; shape (classes,)."""
        if hasattr(self, "_classes"):
            return self._classes
        if self.feedback is None:
            raise AttributeError("an overlay without feedback has classes once it is fitted")
        return np.asarray(self.feedback.schema.classes, dtype=object)

    def answer(self, X: Any) -> Answers:
        """Everything that the overlay says of each row: see `ruleedit.overlay.Answers`."""
        if self.mode not in ("hard", "soft"):
            raise Refused(f"no mode {self.mode!r}; hard or soft is accepted")
        check_is_fitted(self)
        background = getattr(self, "background_", self.background)
        if self.mode == "soft" and background is None:
            raise NotFittedError("a soft overlay needs the training table's background: call fit, or give background")
        table = table_of(self, X, fitting=False) if hasattr(self, "model_") else X
        asked = self.feedback_ if hasattr(self, "feedback_") else self.feedback
        assert asked is not None, "a fitted overlay knows what is asked"
        rows = encode(_named(table, X, asked.schema.names), asked.schema)
        mode: Mode = "soft" if self.mode == "soft" else "hard"
        return overlay(self._model(asked), asked.settled(), rows, mode, background=background)

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """The probabilities; shape (n, classes)."""
        return self.answer(X).probabilities

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The outcomes, as values of ``classes_``; shape (n,)."""
        outcomes = self.answer(X).outcomes
        found: npt.NDArray[Any] = self.classes_[outcomes]
        return found

    def _model(self, asked: Feedback) -> InMemoryModel:
        if hasattr(self, "model_"):
            return self.model_
        check_is_fitted(self.estimator)
        return InMemoryModel(self.estimator, asked.schema)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_") or (self.feedback is not None and hasattr(self.estimator, "classes_"))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _nothing(table: pd.DataFrame, classes: npt.NDArray[Any]) -> Feedback:
    """Feedback that asks for nothing, for a table by itself."""
    texts = class_texts(classes)
    rules = RuleSet((), Outcome.of(texts[0]))
    return feedback(rules, rules, inferred_schema(table, texts))


def _named(table: pd.DataFrame, X: Any, names: tuple[str, ...]) -> pd.DataFrame:
    """An array's columns under the schema's names, in order; a DataFrame has its own."""
    if isinstance(X, pd.DataFrame) or len(table.columns) != len(names):
        return table
    return table.set_axis(list(names), axis=1)
