"""Checkpoints: a retraining that was cut off is taken up again with the same result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ruleedit.errors import Cancelled
from ruleedit.models import TableModel
from ruleedit.retrain import CheckpointFolder, Retrained, retrain
from ruleedit.retrain.checkpoints import training_key
from tests.retraining import Case, Recorded, board_case, loans_case


def run(one: Case, strategy: str, **options: object) -> Retrained:
    """Retrain with little patience: a target that nothing reaches in one training."""
    given = {"target": 1.0, "iterations": 2, "trainer": one.trainer, **options}
    trainer = given.pop("trainer")
    return retrain(one.rows, one.answers, one.feedback, trainer, model=one.model, strategy=strategy, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def policy() -> Case:
    return loans_case(rows=1_500)


@pytest.fixture(scope="module")
def board() -> Case:
    """A rule against what the model is very sure of: boosting on from one row takes several trainings."""
    return board_case("IF middle = o AND first = x AND second = o THEN no")


@pytest.mark.parametrize(
    ("strategy", "name", "batch"), [("greedy", "policy", None), ("adaptive", "policy", None), ("anchored", "board", 1)]
)
def test_cut_off_and_taken_up_again_it_gives_the_same_bytes(
    strategy: str, name: str, batch: int | None, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """As a run that nobody cut off, in model, rows and curve: cut off once a training is kept."""
    one: Case = request.getfixturevalue(name)
    whole = run(one, strategy, batch=batch)
    folder = tmp_path / "kept"
    kept = CheckpointFolder(folder)
    with pytest.raises(Cancelled):
        run(one, strategy, batch=batch, should_stop=lambda: folder.exists() and any(folder.iterdir()), checkpoints=kept)
    assert 1 == len(list(folder.iterdir())) < whole.trainings
    again = run(one, strategy, batch=batch, checkpoints=kept)
    assert again.model.text == whole.model.text  # type: ignore[attr-defined]
    assert (again.trainings, again.curve, again.stopped) == (whole.trainings, whole.curve, whole.stopped)
    np.testing.assert_array_equal(again.generated.rows, whole.generated.rows)


def test_what_was_trained_is_not_trained_again(policy: Case, tmp_path: Path) -> None:
    """A second run asks for nothing, another seed for everything."""
    kept = CheckpointFolder(tmp_path)
    first, second, other = (Recorded(policy.trainer) for _ in range(3))
    run(policy, "adaptive", trainer=first, checkpoints=kept)
    run(policy, "adaptive", trainer=second, checkpoints=kept)
    run(policy, "adaptive", trainer=other, checkpoints=kept, seed=1)
    assert len(first.calls) > 0
    assert second.calls == []
    assert len(other.calls) > 0


def test_a_damaged_checkpoint_is_passed_over(policy: Case, tmp_path: Path) -> None:
    """The training is done again."""
    kept = CheckpointFolder(tmp_path)
    whole = run(policy, "anchored", checkpoints=kept)
    for path in tmp_path.iterdir():
        path.write_text(path.read_text()[:500])
    again = run(policy, "anchored", checkpoints=kept)
    assert isinstance(again.model, TableModel)
    assert again.model.text == whole.model.text  # type: ignore[attr-defined]


def test_a_key_is_about_everything_that_it_was_made_of() -> None:
    """Other values, another order, another cut between two texts: another key."""
    numbers = np.arange(4.0)
    keys = {
        training_key("ab", numbers),
        training_key("a", "b", numbers),
        training_key(numbers, "ab"),
        training_key("ab", numbers + 1.0),
    }
    assert len(keys) == 4
    assert training_key("ab", numbers) == training_key("ab", np.arange(4.0))
