"""`RuleSurrogate`: extraction with scikit-learn's manners."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from ruleedit.errors import ExtractionFailed, TargetError
from ruleedit.schema import Feature, Schema
from ruleedit.surrogate import DEFAULT_METHOD, RuleSurrogate, extract
from ruleedit.tables import encode

DRAW = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "age": DRAW.integers(18, 81, 300),
        "hours per week": DRAW.uniform(0, 80, 300).round(2),
        "job": DRAW.choice(["clerk", "cook", "smith"], 300),
    }
)
ANSWERS = np.where((TABLE["age"] > 40) & (TABLE["job"] != "cook"), "yes", "no")


def fitted(**options: Any) -> RuleSurrogate:
    return RuleSurrogate(**options).fit(TABLE, ANSWERS)


def test_fit_gives_itself_with_rules_and_fidelity() -> None:
    """The convention's underscore attributes are there."""
    surrogate = RuleSurrogate()
    assert surrogate.fit(TABLE, ANSWERS) is surrogate
    assert surrogate.fidelity_.agreement == 1.0
    assert surrogate.extraction_.clauses == 2
    assert surrogate.classes_.tolist() == ["no", "yes"]
    assert surrogate.n_features_in_ == 3


def test_predict_is_what_the_rules_say() -> None:
    """The score against the model's answers is the fidelity."""
    surrogate = fitted(max_clauses=1)
    assert surrogate.score(TABLE, ANSWERS) == pytest.approx(surrogate.fidelity_.agreement)
    assert surrogate.fidelity_.agreement < 1.0


def test_it_is_the_same_extraction() -> None:
    """The estimator adds nothing of its own to the rules."""
    surrogate = fitted(max_clauses=4)
    codes = np.searchsorted(surrogate.classes_, ANSWERS)
    found = extract(encode(TABLE, surrogate.schema_), codes, surrogate.schema_, max_clauses=4)
    assert found.rules == surrogate.rules_


def test_parameters_are_kept_and_cloned() -> None:
    """get_params, set_params and clone work, and a clone isn't fitted."""
    surrogate = fitted(max_clauses=5, seed=3)
    copy = clone(surrogate)
    assert (
        copy.get_params()
        == surrogate.get_params()
        == {"method": DEFAULT_METHOD, "max_clauses": 5, "seed": 3, "schema": None}
    )
    assert not hasattr(copy, "rules_")
    assert copy.set_params(max_clauses=2).max_clauses == 2


def test_it_is_a_classifier_that_takes_missing_values_and_texts() -> None:
    """Its tags say so."""
    tags = RuleSurrogate().__sklearn_tags__()
    assert is_classifier(RuleSurrogate())
    assert tags.input_tags.allow_nan
    assert tags.input_tags.string


def test_predicting_before_fitting_is_refused() -> None:
    """By scikit-learn's own error."""
    with pytest.raises(NotFittedError):
        RuleSurrogate().predict(TABLE)


def test_its_repr_reads_as_code() -> None:
    """Only what differs from the defaults is shown."""
    assert repr(RuleSurrogate(max_clauses=3)) == "RuleSurrogate(max_clauses=3)"


def test_it_works_in_a_pipeline_and_across_folds() -> None:
    """The usual tools take it."""
    assert make_pipeline(RuleSurrogate(max_clauses=3)).fit(TABLE, ANSWERS).score(TABLE, ANSWERS) == 1.0
    assert cross_val_score(RuleSurrogate(max_clauses=3), TABLE, ANSWERS, cv=2).min() > 0.9


@pytest.mark.parametrize(
    "values",
    [np.array([0, 1]), np.array([False, True]), np.array([2.0, 1.0]), np.array(["a", "b"]), np.array([10, 9])],
)
def test_answers_come_back_in_their_own_type(values: np.ndarray) -> None:
    """Numbers stay numbers, booleans booleans."""
    answers = values[(ANSWERS == "yes").astype(int)]
    said = fitted().fit(TABLE, answers).predict(TABLE)
    assert said.dtype == answers.dtype
    assert (said == answers).all()


def test_an_array_has_numbered_features() -> None:
    """Without names the features are x0, x1, ..."""
    surrogate = RuleSurrogate().fit(TABLE[["age", "hours per week"]].to_numpy(), (TABLE["age"] > 40).to_numpy())
    assert surrogate.schema_.names == ("x0", "x1")
    assert surrogate.fidelity_.agreement == 1.0


def test_missing_values_are_allowed() -> None:
    """A missing value satisfies no ordinary clause, at prediction too."""
    table = TABLE.copy()
    table["age"] = table["age"].astype(float).where(DRAW.uniform(size=300) > 0.2)
    answers = np.where(table["age"].isna(), "gone", "there")
    surrogate = RuleSurrogate(max_clauses=2).fit(table, answers)
    assert (surrogate.predict(table) == answers).all()


def test_a_column_named_like_the_target_is_no_trouble() -> None:
    """The inferred target takes a name that no feature has."""
    surrogate = RuleSurrogate().fit(TABLE.rename(columns={"age": "answer"}), ANSWERS)
    assert surrogate.schema_.target == "answer'"
    assert surrogate.fidelity_.agreement == 1.0


def test_a_given_schema_is_used() -> None:
    """Its range bounds the thresholds and its classes are those of the rules."""
    schema = Schema((Feature("age", "integer", low=18.0, high=35.0),), "y", ("yes", "perhaps", "no"))
    surrogate = RuleSurrogate(schema=schema, max_clauses=3).fit(TABLE, ANSWERS)
    assert surrogate.schema_ is schema
    assert all(value <= 35.0 for rule in surrogate.rules_ for clause in rule.clauses for value in clause.values)


def test_an_answer_that_the_schema_lacks_is_refused() -> None:
    """With the nearest class as a hint."""
    schema = Schema((Feature("age", "integer"),), "y", ("yess", "no"))
    with pytest.raises(TargetError, match="did you mean 'yess'"):
        RuleSurrogate(schema=schema).fit(TABLE, ANSWERS)


def test_tables_that_do_not_fit_are_refused() -> None:
    """Too few answers, a vector for a table, another table at prediction, one class only."""
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        RuleSurrogate().fit(TABLE, ANSWERS[:-1])
    with pytest.raises(ValueError, match="Expected 2D array"):
        RuleSurrogate().fit([1.0, 2.0], ["a", "b"])
    with pytest.raises(ValueError, match=r"(?s)feature names.*job"):
        fitted().predict(TABLE[["age", "hours per week"]])
    with pytest.raises(ExtractionFailed, match="only 'yes'"):
        RuleSurrogate().fit(TABLE, ["yes"] * len(TABLE))


def test_it_explains_any_model_with_answers() -> None:
    """What a gradient-boosted model answers, not the truth, is what it learns."""
    numbers = TABLE[["age", "hours per week"]]
    truth = (TABLE["age"] + DRAW.normal(0, 10, 300) > 50).astype(int)
    model = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(numbers, truth)
    surrogate = RuleSurrogate(max_clauses=12).fit(numbers, model.predict(numbers))
    assert surrogate.fidelity_.agreement > 0.9
