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
    Trainer,
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
    "RuleEffect",
    "Synthetic",
    "Task",
    "Trainer",
    "default_strategy",
    "effect",
    "estimator_trainer",
    "lightgbm_trainer",
    "retrain",
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
        data, so at most one row in three is made up. (`anchored` takes a few more on small tables;
        there synthetic rows don't outweigh the others.)
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
    strategy = strategy or default_strategy(model)
    if lessons is not None and strategy != "anchored":
        raise Refused(f"{strategy!r} takes no lessons; 'anchored' does")
    for what, name, known in (
        ("strategies", strategy, STRATEGIES),
        ("modifications", modify, MODIFICATIONS),
        ("selections", selection, SELECTIONS),
    ):
        if name not in known:
            raise UnknownName.among(name, known, where=f" among the {what}")
    _check_limits(target, quota, iterations, batch, neighbours)
    rows = encoded_matrix(rows, feedback.schema)
    if not len(rows):
        raise NoRows("there is no training row; retraining needs the rows that the model was trained on")
    task = Task(
        rows=rows,
        answers=np.asarray(answers, dtype=np.intp),
        feedback=feedback.settled(),
        trainer=trainer,
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
        lessons=None if lessons is None else encoded_matrix(lessons, feedback.schema),
    )
    if model is not None and not asking(feedback):
        return _as_it_is(task, model, strategy)
    return STRATEGIES[strategy](task)


def _check_limits(target: float, quota: float, iterations: int, batch: int | None, neighbours: int) -> None:
    if not 0.0 < target <= 1.0:
        raise Refused(f"the target agreement is {target:g}; above 0 up to 1 is accepted")
    if not 0.0 <= quota <= 10.0:
        raise Refused(f"the quota of synthetic rows is {quota:g} times the training rows; 0 to 10 is accepted")
    for name, count in (("iterations", iterations), ("rows in a batch", batch), ("neighbours", neighbours)):
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
        generated=Synthetic.none(task.rows.shape[1]),
    )


def __getattr__(name: str) -> Any:
    """Import `Frote` when it is first asked for: it brings scikit-learn."""
    if name == "Frote":
        from ruleedit.retrain.frote import Frote

        return Frote
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
