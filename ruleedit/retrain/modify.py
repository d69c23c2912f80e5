"""The first step of FROTE: what becomes of training rows that contradict the feedback."""

from __future__ import annotations

import numpy as np

from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Mask, outcome_table
from ruleedit.retrain.objective import asking
from ruleedit.retrain.task import Modify


def modified(
    answers: Indices, held: Indices, feedback: Feedback, modify: Modify, rng: np.random.Generator
) -> tuple[Indices, Mask]:
    """The answers to train on and which rows to keep; both of shape (n,).

    ``answers`` (n,) are places of classes, ``held`` (n,) the asking rule that holds each row, -1
    for none. A row disagrees where its rule gives its answer no probability. ``relabel`` draws a
    new answer for it from the rule's distribution, ``drop`` leaves the row out, ``none`` keeps
    both. Under a distribution ``relabel`` draws every answer of the region anew: relabelling only
    the impossible ones would leave the others at the shares of the old policy.

    Source: Alkan et al., FROTE, section 3 (input data set modification).
    """
    answers = answers.copy()
    keep = np.ones(len(answers), dtype=bool)
    for place in asking(feedback):
        outcome = feedback.rules[place].outcome
        here = np.flatnonzero(held == place)
        possible = outcome_table([outcome], feedback.schema.classes)[0] > 0.0
        wrong = here[~possible[answers[here]]]
        if modify == "drop":
            keep[wrong] = False
        elif modify == "relabel":
            drawn = wrong if outcome.is_class else here
            answers[drawn] = draw_answers(feedback, place, len(drawn), rng)
    return answers, keep


def draw_answers(feedback: Feedback, place: int, count: int, rng: np.random.Generator) -> Indices:
    """Answers drawn from a rule's distribution: places of classes, shape (count,)."""
    outcome = feedback.rules[place].outcome
    shares = outcome_table([outcome], feedback.schema.classes)[0]
    drawn: Indices = rng.choice(len(shares), size=count, p=shares / shares.sum()).astype(np.intp)
    return drawn
