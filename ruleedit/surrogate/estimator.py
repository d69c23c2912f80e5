"""`RuleSurrogate`: extraction as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ruleedit.errors import TargetError, did_you_mean
from ruleedit.estimators import answers_of, class_texts, inferred_schema, table_of
from ruleedit.matching import Indices, decide, outcome_codes
from ruleedit.rules import RuleSet
from ruleedit.schema import Schema
from ruleedit.surrogate import DEFAULT_METHOD, Extraction, extract
from ruleedit.surrogate.fidelity import Fidelity
from ruleedit.surrogate.task import Splits
from ruleedit.tables import encode


class RuleSurrogate(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A short ordered rule set that answers as a model does.

    Parameters
    ----------
    method : str
        One of `ruleedit.surrogate.METHODS`.
    max_clauses : int or None
        The budget of clauses; see `ruleedit.surrogate.extract`.
    seed : int
        The same seed, table and versions give the same rules.
    schema : Schema or None
        Features and classes; None infers them from what `fit` is given.

    Attributes
    ----------
    rules_ : RuleSet
        The rules, first match wins.
    fidelity_ : Fidelity
        The agreement with ``y_model`` on the rows given to `fit`.
    extraction_ : Extraction
        Both, with the count of clauses and what cut the search short.
    schema_ : Schema
        What the rules are about. An ordinary clause is false on a missing value.
    classes_ : ndarray
        The distinct values of ``y_model``, sorted.

    Examples
    --------
    >>> import pandas as pd
    >>> from ruleedit.surrogate import RuleSurrogate
    >>> table = pd.DataFrame({"age": range(20, 60)})
    >>> surrogate = RuleSurrogate().fit(table, ["no" if age < 35 else "yes" for age in table["age"]])
    >>> print(surrogate.rules_.rules[0], "ELSE", surrogate.rules_.default)
    IF age >= 35 THEN yes ELSE no
    """

    rules_: RuleSet
    fidelity_: Fidelity
    extraction_: Extraction
    schema_: Schema
    classes_: npt.NDArray[Any]
    n_features_in_: int

    def __init__(
        self,
        method: str = DEFAULT_METHOD,
        max_clauses: int | None = None,
        seed: int = 0,
        schema: Schema | None = None,
    ) -> None:
        self.method = method
        self.max_clauses = max_clauses
        self.seed = seed
        self.schema = schema

    def fit(self, X: Any, y_model: Any, *, splits: Splits = ()) -> RuleSurrogate:
        """Extract the rules from a table and the model's answers on it.

        Parameters
        ----------
        X : DataFrame
            The rows; shape (n, features). An array gets the names x0, x1, ...
        y_model : array-like
            The model's answers, not the truth; shape (n,).
        splits : sequence of mappings
            The model's thresholds and gains; see `ruleedit.surrogate.extract`.

        Returns
        -------
        RuleSurrogate
            Itself.
        """
        table, values = table_of(self, X, fitting=True), answers_of(X, y_model)
        self.classes_ = np.unique(values)
        texts = class_texts(self.classes_)
        self.schema_ = inferred_schema(table, texts) if self.schema is None else self.schema
        self._values = dict(zip(_places(texts, self.schema_), self.classes_, strict=True))
        answers = np.array(list(self._values), dtype=np.intp)[np.searchsorted(self.classes_, values)]
        self.extraction_ = extract(
            encode(table, self.schema_),
            answers,
            self.schema_,
            splits=splits,
            method=self.method,
            max_clauses=self.max_clauses,
            seed=self.seed,
        )
        self.rules_, self.fidelity_ = self.extraction_.rules, self.extraction_.train
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """What the rules answer, as values of ``classes_``; shape (n,)."""
        check_is_fitted(self, "rules_")
        rows = encode(table_of(self, X, fitting=False), self.schema_)
        outcomes = outcome_codes([*(rule.outcome for rule in self.rules_), self.rules_.default], self.schema_.classes)
        said: Indices = outcomes[decide(self.rules_, rows, self.schema_)]
        return np.array([self._values[place] for place in said.tolist()], dtype=self.classes_.dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _places(texts: list[str], schema: Schema) -> list[int]:
    for text in texts:
        if text not in schema.classes:
            raise TargetError(f"{text!r} is no class of {schema.target!r}{did_you_mean(text, schema.classes)}")
    return [schema.classes.index(text) for text in texts]
