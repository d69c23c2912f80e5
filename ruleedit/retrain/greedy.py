"""FROTE as published: batches of synthetic rows, each kept only if it improves the objective.

Source: O. Alkan, D. Wei, M. Mattetti, R. Nair, E. M. Daly, D. Saha: FROTE: Feedback Rule-Driven
Oversampling for Editing Models, MLSys 2022, algorithm 1.

`ruleedit.retrain.course` says what is measured on which rows, and what the last training is.

One thing goes beyond the paper: after a batch that did not help, rules that lag and have fewer than
`WIDE` bases get theirs from nearby too (`population`, relaxed further). A handful of rows spans
too little of a region for any number of rows between them to teach the rest of it.
"""

from __future__ import annotations

import math

from ruleedit.models import Model
from ruleedit.retrain.course import Course
from ruleedit.retrain.selection import select_by_program, select_random, usefulness
from ruleedit.retrain.task import Retrained, Stopped, Synthetic, Task

#: A batch has at least so many rows a rule: fewer teach a model with leaves of 10 rows or more nothing.
LEAST_BATCH = 20


def greedy(task: Task) -> Retrained:
    """Retrain as FROTE does; see `ruleedit.retrain.retrain` for what it takes and gives."""
    # The start, the iterations and the last training.
    course = Course(task, most=task.iterations + 2)
    kept = course.begun(Synthetic.none(len(task.feedback.schema.features)))
    stopped: Stopped = "iterations"
    for iteration in range(task.iterations):
        if kept.score.reaches(task.target):
            break
        batch = _batch(course, kept.model, iteration, len(kept.rows))
        if batch is None or not len(batch):
            stopped = "quota" if batch is None else "nothing-generated"
            break
        kept, _ = course.tried(kept, batch)
    return course.finished(kept, stopped, strategy="greedy", make=lambda count: _make(course, kept.model, 0, count))


def _batch(course: Course, model: Model, iteration: int, have: int) -> Synthetic | None:
    """The next batch, within the quota; None where that is used up."""
    task = course.task
    usual = max(math.ceil(course.limit / task.iterations), LEAST_BATCH * len(course.rules))
    count = min(task.batch or usual, course.limit - have)
    return _make(course, model, iteration, count) if count > 0 else None


def _make(course: Course, model: Model, iteration: int, count: int) -> Synthetic:
    """So many synthetic rows, from bases that the task's selection chooses."""
    task = course.task
    if task.selection == "random":
        chosen = select_random(course.populations, count, course.rng, first=iteration)
    else:
        rows = course.generator.rows
        weights = [usefulness(bases, task.feedback, rows, model) for bases in course.populations]
        chosen = select_by_program(course.populations, weights, count, course.rng)
    return course.generator.labelled(course.populations, chosen)
