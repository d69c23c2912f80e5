"""Stability: how much of each rule comes back when the rules are extracted again from other rows.

The rows are drawn anew with replacement (Efron: *Bootstrap Methods: Another Look at the Jackknife*,
Annals of Statistics 7, 1979) and the rules extracted from them by the same method and budget. For a
rule the figure of one extraction is the greatest Jaccard index between the rows that the rule
decides and the rows that one rule of the new set with the same outcome, or its default, decides; its
stability is the mean over the extractions: 1 where it always comes back with the same rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from ruleedit.errors import Refused
from ruleedit.matching import Indices, Mask, decide
from ruleedit.rules import Outcome, RuleSet
from ruleedit.surrogate.task import Progress, Task

#: An extraction draws at most so many rows, however long the table is: the figure is of a sample then.
MOST_ROWS = 20_000
#: More extractions than this make no figure better that anybody could read.
MOST_EXTRACTIONS = 200


def stability(
    rules: RuleSet, task: Task, again: Callable[[Task], RuleSet], extractions: int, *, progress: Progress | None = None
) -> dict[str, float | None]:
    """The stability of each enabled rule by its id, and of ``default``.

    Parameters
    ----------
    rules : RuleSet
        What the method found for the task.
    task : Task
        The rows, the model's answers and the limits. Its seed draws the rows.
    again : callable
        Extracts a rule set by the same method.
    extractions : int
        How often to extract again, 1 to `MOST_EXTRACTIONS`; each takes as long as the first did, or
        as on `MOST_ROWS` rows where there are more.
    progress : callable, optional
        Called with the extractions done and all of them.

    Returns
    -------
    dict
        From 0 to 1; None for a rule that decides none of the rows.

    Raises
    ------
    Refused
        For another number of extractions.
    """
    if not 1 <= extractions <= MOST_EXTRACTIONS:
        raise Refused(f"stability from {extractions} extractions; 1 to {MOST_EXTRACTIONS} is accepted")
    draw = np.random.default_rng(task.seed)
    mine = decided(rules, task)
    totals = np.zeros(len(mine))
    size = min(len(task.rows), MOST_ROWS)
    for number in range(extractions):
        if progress is not None:
            progress(number, extractions)
        drawn = np.sort(draw.integers(0, len(task.rows), size))
        totals += _best(mine, decided(_redrawn(task, drawn, again), task))
    if progress is not None:
        progress(extractions, extractions)
    figures = totals / extractions
    return {name: float(figure) if rows.any() else None for (name, _, rows), figure in zip(mine, figures, strict=True)}


def decided(rules: RuleSet, task: Task) -> list[tuple[str, str | None, Mask]]:
    """For each enabled rule, then the default: its id, the class that it answers, and the rows (n,) that it decides."""
    deciding = decide(rules, task.rows, task.schema)
    classes = task.schema.classes
    listed = [(r.id, r.outcome.top(classes), deciding == place) for place, r in enumerate(rules) if r.enabled]
    return [*listed, ("default", rules.default.top(classes), deciding == -1)]


def _redrawn(task: Task, drawn: Indices, again: Callable[[Task], RuleSet]) -> RuleSet:
    """The rules from other rows; where these are all answered alike there is only a default."""
    answers = task.answers[drawn]
    if answers.min() == answers.max():
        return RuleSet((), Outcome.of(task.schema.classes[int(answers[0])]))
    return again(dataclasses.replace(task, rows=task.rows[drawn], answers=answers, progress=None))


def _best(
    mine: Sequence[tuple[str, str | None, Mask]], others: Sequence[tuple[str, str | None, Mask]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """For each of my rules the greatest Jaccard index with one of the others that answers the same class."""
    best = np.zeros(len(mine))
    for place, (_, outcome, rows) in enumerate(mine):
        rivals = [other for _, answer, other in others if answer == outcome]
        best[place] = max((_jaccard(rows, other) for other in rivals), default=0.0)
    return best


def _jaccard(one: Mask, other: Mask) -> float:
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 0.0
