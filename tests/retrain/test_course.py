"""Which rows a retraining makes synthetic ones from, and which it is measured on."""

from __future__ import annotations

import numpy as np
import pytest

from ruleedit.models.training import stratified_quarter
from ruleedit.retrain import RowsInMemory, Task, course
from ruleedit.retrain.course import Course
from tests.retraining import MIXED, Fixed, Recorded, ask, background, mixed_answers, mixed_rows

ROWS = mixed_rows(600)
ANSWERS = mixed_answers(ROWS)
#: Many rows, and 5 of the training ones.
ASKED = ask(MIXED, "IF x > 2 THEN no", "IF x < -3.9 THEN yes")


def begun(*, bases: int = 20, measured: int = 1_000) -> Course:
    """A retraining before its first training."""
    rows = RowsInMemory(ROWS, Recorded(lambda *_: Fixed(MIXED)))
    task = Task(rows, ANSWERS, ASKED, background(ROWS, ANSWERS, MIXED))
    return Course(task, most=1, bases=bases, measured=measured)


def test_of_a_table_that_is_not_large_all_training_rows_are_known() -> None:
    """And nothing is drawn to find them."""
    found = begun()
    np.testing.assert_array_equal(found.known, found.split.training)
    np.testing.assert_array_equal(found.generator.rows, ROWS[found.known])


def test_of_a_large_one_some_are_known_and_each_rules_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most as many of a rule's own beside those drawn as serve as bases; all of them where there are fewer."""
    monkeypatch.setattr(course, "MOST_KNOWN", 100)
    found = begun()
    assert 100 < len(found.known) <= 100 + 2 * 20
    assert (np.diff(found.known) > 0).all()
    assert np.isin(found.known, found.split.training).all()
    few = found.split.training[found.held_training == 1]
    assert 0 < len(few) < 20
    assert np.isin(few, found.known).all()
    many = found.held[found.known] == 0
    assert many.sum() >= 20
    for bases in found.populations:
        assert bases.exact or bases.rule == 1
        assert len(bases) <= 20
    np.testing.assert_array_equal(found.generator.rows, ROWS[found.known])


def test_models_are_measured_on_some_of_the_validation_rows() -> None:
    """None of which is trained on; of few rows all are."""
    validation = stratified_quarter(ANSWERS, 0)
    all_of_them, some = begun(), begun(measured=40)
    np.testing.assert_array_equal(all_of_them.split.validation, validation)
    assert len(some.split.validation) == 40
    assert np.isin(some.split.validation, validation).all()
    assert not np.isin(validation, some.split.training).any()
    np.testing.assert_array_equal(some.evidence.truth, ANSWERS[some.split.validation])
