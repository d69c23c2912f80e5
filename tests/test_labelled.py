"""A table in memory as putting edits in force sees it, and training rows by number."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ruleedit.labelled import LabelledInMemory, held_out
from ruleedit.matching import Indices, Matrix
from ruleedit.models import TableModel
from ruleedit.retrain import RowsInMemory
from ruleedit.retrain.objective import held_by_asking
from ruleedit.tables import fingerprint
from tests.retraining import MIXED, Case, Recorded, ask, loans_case, mixed_answers, mixed_rows

ROWS = mixed_rows(120)
ANSWERS = mixed_answers(ROWS)
SOME = np.array([3, 5, 99])


@pytest.fixture(scope="module")
def policy() -> Case:
    return loans_case(rows=300)


def test_rows_are_taken_in_the_order_of_their_numbers() -> None:
    """Twice where a number comes twice."""
    table = LabelledInMemory(ROWS, ANSWERS)
    np.testing.assert_array_equal(table.take(np.array([7, 2, 7])), ROWS[[7, 2, 7]])
    assert len(table) == 120
    assert table.fingerprint == fingerprint(ROWS)


@pytest.mark.parametrize("truth", [ANSWERS, None], ids=["labelled", "unlabelled"])
def test_what_is_counted_gets_the_rows_with_their_answers(truth: Indices | None) -> None:
    """No others; None for answers that nobody has."""

    def count(rows: Matrix, labels: Indices | None) -> list[object]:
        return [rows.tolist(), None if labels is None else labels.tolist()]

    rows, labels = LabelledInMemory(ROWS, truth).summed(SOME, count)
    np.testing.assert_array_equal(rows, ROWS[SOME])
    assert labels == (None if truth is None else ANSWERS[SOME].tolist())


def test_only_the_models_own_table_has_its_hold_out(policy: Case) -> None:
    """Of any other, of one with as many rows too, every row counts as held out."""
    other = policy.rows[::-1]
    known = dataclasses.replace(policy.model.background, rows=len(policy.rows), fingerprint=fingerprint(policy.rows))
    model = dataclasses.replace(policy.model, background=known)
    np.testing.assert_array_equal(held_out(LabelledInMemory(policy.rows, None), model), model.holdout)
    for rows in (other, policy.rows[:-1]):
        np.testing.assert_array_equal(held_out(LabelledInMemory(rows, None), model), np.arange(len(rows)))


def test_training_rows_are_those_of_the_numbers(policy: Case) -> None:
    """What is trained on them stands in the model's place."""
    rows = LabelledInMemory(policy.rows, policy.answers).training(SOME, policy.model)
    assert len(rows) == 3
    np.testing.assert_array_equal(rows.take(np.array([2, 0])), policy.rows[[99, 3]])
    some = np.arange(60)
    table = LabelledInMemory(policy.rows, policy.answers)
    made = table.training(some, policy.model).fit(some, policy.rows[:0], policy.answers[:60], 0)
    assert isinstance(made, TableModel)
    assert made.text != policy.model.text
    assert dataclasses.replace(made, text=policy.model.text).background is policy.model.background


def test_a_training_gets_the_rows_used_and_then_the_others(policy: Case) -> None:
    """With the answers of both, and the seed."""
    trainer = Recorded(lambda *_: policy.model)
    rows, asked = RowsInMemory(ROWS, trainer), ask(MIXED, "IF x > 0 THEN yes")
    rows.fit(SOME, ROWS[:2], np.array([0, 1, 2, 1, 0]), 9)
    ((given, answers, seed),) = trainer.calls
    np.testing.assert_array_equal(given, ROWS[[3, 5, 99, 0, 1]])
    assert (answers.tolist(), seed) == ([0, 1, 2, 1, 0], 9)
    np.testing.assert_array_equal(rows.held(asked), held_by_asking(asked, ROWS))


def test_a_mark_tells_rows_apart() -> None:
    """By what is in them, not by their numbers alone."""
    rows, others = (RowsInMemory(matrix, Recorded(lambda *_: None)) for matrix in (ROWS, ROWS + 1.0))  # type: ignore[arg-type, return-value]
    assert rows.mark(SOME) == RowsInMemory(ROWS.copy(), rows.trainer).mark(SOME)
    assert len({rows.mark(SOME), rows.mark(SOME + 1), others.mark(SOME)}) == 3
