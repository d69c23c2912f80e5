"""Retraining: edits put in force by rows, not by rules.

`retrain` modifies the training rows that contradict the feedback, adds synthetic rows inside the
rules' regions and trains again; `effect` reports what that did on held-out rows; `Frote` is the
same as a sampler for any scikit-learn classifier. A retrained model answers by itself: no rule is
looked at when it decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ruleedit.errors import NoRows, Refused, UnknownName
from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Matrix
from ruleedit.models import Background, Model, TableModel, encoded_matrix
from ruleedit.retrain.adaptive import adaptive
from ruleedit.retrain.anchored import anchored
from ruleedit.retrain.checkpoints import CheckpointFolder, Checkpoints
from ruleedit.retrain.greedy import greedy
from ruleedit.retrain.objective import asking
from ruleedit.retrain.report import Answers, Effect, RuleEffect, effect
from ruleedit.retrain.rows import RowsInMemory, Trainer, TrainingRows
from ruleedit.retrain.task import (
    MODIFICATIONS,
    SELECTIONS,
    Modify,
    Point,
    Progress,
    Retrained,
    Selection,
    Synthetic,
    Task,
)
from ruleedit.retrain.trainers import estimator_trainer, lightgbm_trainer

if TYPE_CHECKING:
    from ruleedit.retrain.frote import Frote

__all__ = [
    "STRATEGIES",
    "Answers",
    "CheckpointFolder",
    "Checkpoints",
    "Effect",
    "Frote",
    "Point",
    "Retrained",
    "RowsInMemory",
    "RuleEffect",
    "Synthetic",
    "Task",
    "Trainer",
    "TrainingRows",
    "default_strategy",
    "effect",
    "estimator_trainer",
    "lightgbm_trainer",
    "retrain",
    "retrain_rows",
]


#: The strategies by name.
STRATEGIES: Mapping[str, Callable[[Task], Retrained]] = MappingProxyType(
    {"anchored": anchored, "adaptive": adaptive, "greedy": greedy}
)


def default_strategy(model: Model | None) -> str:
    """The strategy where none is asked for: boosting goes on from a LightGBM model in force, else `adaptive`."""
    return "anchored" if isinstance(model, TableModel) and not model.file.average_output else "adaptive"


def retrain(
    rows: Matrix,
    answers: Indices,
    feedback: Feedback,
    trainer: Trainer,
    *,
    model: Model | None = None,
    background: Background | None = None,
    strategy: str | None = None,
    seed: int = 0,
    modify: Modify = "relabel",
    selection: Selection = "random",
    target: float = 0.99,
    quota: float = 0.5,
    iterations: int = 20,
    batch: int | None = None,
    neighbours: int = 5,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    checkpoints: Checkpoints | None = None,
    lessons: Matrix | None = None,
) -> Retrained:
    """Retrain a model so that it answers as the feedback asks.

    Parameters
    ----------
    rows : array of shape (n, features)
        The encoded training rows, NaN for missing; no held-out row among them.
    answers : array of shape (n,)
        Their answers, places of classes.
    feedback : Feedback
        What the edits ask for. Rules that ask for nothing (`model`, undecided) are ignored.
    trainer : callable
        Trains a model on rows, answers and a seed.
    model : Model, optional
        The model in force, for the flips; without feedback it is returned as it is.
    background : Background, optional
        What the training table looked like; worked out from ``rows`` where it isn't given.
    strategy : str, optional
        One of `STRATEGIES`; by default `default_strategy`.
    seed : int
        Of the validation part, of every draw, and of each training.
    modify : {"relabel", "drop", "none"}
        What becomes of training rows that contradict a rule.
    selection : {"random", "integer-program"}
        How the bases of synthetic rows are chosen.
    target : float
        The agreement with every rule, above 0 up to 1, at which to stop.
    quota : float
        At most so many synthetic rows, as a share of ``rows``: the model should stay one of the
        data, so at most one row in three is made up. (`anchored` takes a few more on small tables, and
        20,000, or a ``batch``, for a rule that asks for a distribution, unless the quota is 0; there
        synthetic rows don't outweigh the others. `adaptive` counts each of several rules as 400 rows
        at least, and rows outside, with the answers of ``model``, come beside those.)
    iterations : int
        At most so many batches are tried; each costs a training. (`adaptive` tries two for one rule
        and eight for several.)
    batch : int, optional
        Rows in a batch. By default an ``iterations``-th of the quota, so that both limits meet, and
        at least 20 a rule.
    neighbours : int
        From how many nearest neighbours a synthetic row's second parent is picked (SMOTE's 5).
    progress : callable, optional
        Called with the trainings done, the most there can be, and the last `Point`.
    should_stop : callable, optional
        Asked before each training; where it is true the retraining ends with `Cancelled`.
    checkpoints : Checkpoints, optional
        Where finished trainings are kept and looked for, so that a retraining that was cut off is
        taken up again with the same result; for LightGBM models in force alone.
    lessons : array of shape (m, features), optional
        Encoded rows that `anchored` teaches too, counterexamples say; other strategies refuse them.

    Returns
    -------
    Retrained
        The model, how many trainings and rows it took, the curve and why it stopped.

    Raises
    ------
    UnknownName, Refused, NoRows
        For options that don't fit, and without rows.
    ConflictsOpen
        While a conflict between rules is unresolved.
    Cancelled
        Where ``should_stop`` asked for it.

    Notes
    -----
    Source: Alkan et al., FROTE: Feedback Rule-Driven Oversampling for Editing Models, MLSys 2022;
    `ruleedit.retrain.greedy` says which rows the returned model was trained on.
    """
    rows = encoded_matrix(rows, feedback.schema)
    task = Task(
        rows=RowsInMemory(rows, trainer),
        answers=np.asarray(answers, dtype=np.intp),
        feedback=feedback,
        background=background or Background.of(rows, answers, feedback.schema),
        model=model,
        seed=seed,
        modify=modify,
        selection=selection,
        target=target,
        quota=quota,
        iterations=iterations,
        batch=batch,
        neighbours=neighbours,
        progress=progress,
        should_stop=should_stop,
        checkpoints=checkpoints,
        lessons=lessons,
    )
    return retrain_rows(task, strategy)


def retrain_rows(task: Task, strategy: str | None = None) -> Retrained:
    """`retrain` with everything that it takes in one value, wherever the rows are. Raises as that does."""
    strategy = strategy or default_strategy(task.model)
    if task.lessons is not None:
        if strategy != "anchored":
            raise Refused(f"{strategy!r} takes no lessons; 'anchored' does")
        encoded_matrix(task.lessons, task.feedback.schema)
    for what, name, known in (
        ("strategies", strategy, STRATEGIES),
        ("modifications", task.modify, MODIFICATIONS),
        ("selections", task.selection, SELECTIONS),
    ):
        if name not in known:
            raise UnknownName.among(name, known, where=f" among the {what}")
    _check_limits(task)
    if not len(task.rows):
        raise NoRows("there is no training row; retraining needs the rows that the model was trained on")
    task.feedback.settled()
    if task.model is not None and not asking(task.feedback):
        return _as_it_is(task, task.model, strategy)
    return STRATEGIES[strategy](task)


def _check_limits(task: Task) -> None:
    if not 0.0 < task.target <= 1.0:
        raise Refused(f"the target agreement is {task.target:g}; above 0 up to 1 is accepted")
    if not 0.0 <= task.quota <= 10.0:
        raise Refused(f"the quota of synthetic rows is {task.quota:g} times the training rows; 0 to 10 is accepted")
    for name, count in (
        ("iterations", task.iterations),
        ("rows in a batch", task.batch),
        ("neighbours", task.neighbours),
    ):
        if count is not None and count < 1:
            raise Refused(f"the number of {name} is {count}; 1 or more is accepted")


def _as_it_is(task: Task, model: Model, strategy: str) -> Retrained:
    """The model in force: nothing is asked of it."""
    return Retrained(
        model=model,
        strategy=strategy,
        trainings=0,
        accepted=0,
        curve=(),
        stopped="nothing-asked",
        refitted=False,
        used=np.arange(len(task.rows)),
        modified=task.answers,
        generated=Synthetic.none(len(task.feedback.schema.features)),
    )


def __getattr__(name: str) -> Any:
    """Import `Frote` when it is first asked for: it brings scikit-learn."""
    if name == "Frote":
        from ruleedit.retrain.frote import Frote

        return Frote
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
