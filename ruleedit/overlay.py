"""The overlay: edits applied after the model, without retraining.

*Hard*: a row for which something is asked gets that outcome, with the rule's distribution as its
probabilities. *Soft*: the model is asked again about a moved row, once; the answer is the model's
and may still disagree. Where nothing is asked the overlay changes nothing, bit for bit.

Source: Daly, Mattetti, Alkan, Nair, "User Driven Model Adjustment via Boolean Rule Explanations",
AAAI 2021; the moves are ours, as the least ones (see `Mover`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ruleedit.errors import TooComplex
from ruleedit.feedback import Feedback, FeedbackRule
from ruleedit.matching import Indices, Mask, Matrix, outcome_table, set_mask
from ruleedit.models import Background, Model, outcome_codes
from ruleedit.regions import Box, NumberSet, Part, Region, TextSet, ValueSet, rule_box
from ruleedit.schema import Feature

Reals: TypeAlias = npt.NDArray[np.float64]
Mode: TypeAlias = Literal["hard", "soft"]

#: Who gave an answer, in the order of the codes in `Answers.by`.
BY = ("model", "overlay", "moved", "graft", "retrained", "rules")
BY_MODEL, BY_OVERLAY, BY_MOVED, BY_GRAFT, BY_RETRAINED, BY_RULES = range(len(BY))
#: The most disjoint boxes that a row is moved into; the default's region is left out where it takes more.
MOST_TARGETS = 4_000
#: No distance in one feature counts as more: the widest numbers are further apart than doubles can say.
FARTHEST = 1e300
#: Rows moved at once, so that the distances to every target fit in memory.
CHUNK = 4_096


@dataclass(frozen=True)
class Answers:
    """What a release answers for n rows.

    ``probabilities`` (n, classes) and ``outcomes`` (n,), the class's place in schema order; -1
    where a rule set leaves the row to a model that isn't there. ``held`` (n,) is the place of the
    feedback rule (of the rule, for a rule set) that holds the row, -1 for none. ``by`` (n,) says
    who answered, a place in `BY`. ``model_outcomes`` is what the model answered before the edits,
    None where nobody asked it. ``moved`` holds the rows that the model was asked about instead of
    the original ones, for the row numbers in ``moved_rows``.
    """

    probabilities: Reals
    outcomes: Indices
    held: Indices
    by: npt.NDArray[np.int8]
    model_outcomes: Indices | None
    moved_rows: Indices
    moved: Matrix


def overlay(
    model: Model,
    feedback: Feedback,
    rows: Matrix,
    mode: Mode = "hard",
    *,
    background: Background | None = None,
    mover: Mover | None = None,
    model_outcome: bool = True,
) -> Answers:
    """Answer encoded rows (n, features) with the edits in force.

    ``background`` describes the training table; `soft` needs it, or the ``mover`` made of it for
    many calls. With ``model_outcome=False`` the model isn't asked where its answer isn't needed.
    """
    held = feedback.assign(rows)
    asked = feedback.asks[held]
    if mode == "hard":
        return _hard(model, feedback, rows, held, asked, model_outcome=model_outcome)
    if mover is None:
        assert background is not None, "a soft overlay moves rows by the training table's background"
        mover = Mover(feedback, background)
    return _soft(model, rows, held, mover.move(rows, held, asked), model_outcome=model_outcome)


def _hard(
    model: Model, feedback: Feedback, rows: Matrix, held: Indices, asked: Mask, *, model_outcome: bool
) -> Answers:
    classes = model.schema.classes
    if model_outcome or not asked.any():
        probabilities = model.proba(rows)
        outcomes = outcome_codes(probabilities, model.thresholds)
        own: Indices | None = outcomes.copy() if model_outcome else None
    else:
        probabilities = np.empty((len(rows), len(classes)))
        outcomes = np.empty(len(rows), dtype=np.intp)
        probabilities[~asked] = model.proba(rows[~asked])
        outcomes[~asked] = outcome_codes(probabilities[~asked], model.thresholds)
        own = None
    by = np.where(asked, BY_OVERLAY, BY_MODEL).astype(np.int8)
    if asked.any():
        places = np.flatnonzero(asked)
        tables = outcome_table([rule.outcome for rule in feedback], classes)
        probabilities[places] = tables[held[places]]
        outcomes[places] = feedback.outcome_codes()[held[places]]
    return Answers(probabilities, outcomes, held, by, own, *_nothing_moved(rows))


def _soft(model: Model, rows: Matrix, held: Indices, found: tuple[Indices, Matrix], *, model_outcome: bool) -> Answers:
    places, moved = found
    by = np.full(len(rows), BY_MODEL, dtype=np.int8)
    by[places] = BY_MOVED
    if not model_outcome and len(places):
        rows = rows.copy(order="K")
        rows[places] = moved
    probabilities = model.proba(rows)
    outcomes = outcome_codes(probabilities, model.thresholds)
    own = outcomes.copy() if model_outcome else None
    if model_outcome and len(places):
        answer = model.proba(moved)
        probabilities[places] = answer
        outcomes[places] = outcome_codes(answer, model.thresholds)
    return Answers(probabilities, outcomes, held, by, own, places, moved)


@dataclass(frozen=True)
class Moves:
    """How far a soft overlay came with one feedback rule, of the rows that it holds.

    ``moved`` rows were asked about as other ones; on ``unmoved`` rows nothing was to be done, as
    they lie in the target already, or could be, where ``has_target`` is false; ``otherwise`` counts
    the rows that are not answered as the rule asks for all that.
    """

    rule: str
    moved: int
    unmoved: int
    otherwise: int
    has_target: bool

    def __add__(self, other: Moves) -> Moves:
        """The counts of the same rule on the rows of both."""
        counts = (self.moved + other.moved, self.unmoved + other.unmoved, self.otherwise + other.otherwise)
        return Moves(self.rule, *counts, self.has_target)

    def to_json(self) -> dict[str, Any]:
        """As JSON, without the rule."""
        return {
            "moved": self.moved,
            "unmoved": self.unmoved,
            "otherwise": self.otherwise,
            "has_target": self.has_target,
        }


def moves(mover: Mover, answers: Answers) -> tuple[Moves, ...]:
    """Say for each feedback rule that asks for something how far a soft overlay came."""
    wanted = mover.feedback.outcome_codes()
    found = []
    for place, rule in enumerate(mover.feedback):
        if rule.asks:
            here = answers.held == place
            moved = int((here & (answers.by == BY_MOVED)).sum())
            otherwise = int((here & (answers.outcomes != wanted[place])).sum())
            found.append(Moves(rule.id, moved, int(here.sum()) - moved, otherwise, bool(mover.targets[place])))
    return tuple(found)


def _nothing_moved(rows: Matrix) -> tuple[Indices, Matrix]:
    return np.empty(0, dtype=np.intp), np.empty((0, rows.shape[1]))


class Mover:
    """Moves rows the least distance, for the soft overlay.

    Distance is the sum over features of |change| / standard deviation in training, plus 1 for
    each category or missing value that changes. Past an open bound the move is to the next value
    (an integer step, else the next double). Within a feature ties take the commonest training
    value, between boxes the first.
    """

    def __init__(self, feedback: Feedback, background: Background) -> None:
        self.feedback = feedback
        self.schema = feedback.schema
        self.background = background

    @cached_property
    def targets(self) -> tuple[tuple[Box, ...] | None, ...]:
        """For each feedback rule the disjoint boxes its rows move into; None where they don't move."""
        return tuple(self._target(rule) for rule in self.feedback)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What the moves can't do, for the report."""
        return tuple(
            f"{rule.id}: no extracted region says {rule.outcome}, the model's answer stands"
            for rule, boxes in zip(self.feedback, self.targets, strict=True)
            if rule.asks and boxes == ()
        )

    def move(self, rows: Matrix, held: Indices, asked: Mask) -> tuple[Indices, Matrix]:
        """The row numbers that move, ascending (m,), and the moved rows (m, features)."""
        numbers: list[Indices] = []
        moved: list[Matrix] = []
        for place, boxes in enumerate(self.targets):
            here = np.flatnonzero((held == place) & asked)
            if not boxes or not len(here):
                continue
            for start in range(0, len(here), CHUNK):
                chunk = here[start : start + CHUNK]
                nearest, distance = self.nearest(rows[chunk], boxes)
                numbers.append(chunk[distance > 0.0])
                moved.append(nearest[distance > 0.0])
        if not numbers:
            return _nothing_moved(rows)
        places = np.concatenate(numbers)
        order = np.argsort(places, kind="stable")
        return places[order], np.concatenate(moved)[order]

    def nearest(self, rows: Matrix, boxes: Sequence[Box]) -> tuple[Matrix, Reals]:
        """For each row the nearest row in one of the boxes (n, features), and how far it is (n,)."""
        moves: dict[tuple[str, ValueSet], tuple[Reals, Reals]] = {}
        best = np.full(len(rows), np.inf)
        chosen = np.zeros(len(rows), dtype=np.intp)
        for number, box in enumerate(boxes):
            distance = np.zeros(len(rows))
            for key in box.sets:
                if key not in moves:
                    moves[key] = self._nearest_values(rows, *key)
                distance += moves[key][1]
            nearer = distance < best
            best[nearer] = distance[nearer]
            chosen[nearer] = number
        moved = rows.copy()
        for number in np.unique(chosen):
            here = chosen == number
            for key in boxes[number].sets:
                moved[here, self.schema.index(key[0])] = moves[key][0][here]
        return moved, best

    def _target(self, rule: FeedbackRule) -> tuple[Box, ...] | None:
        if not rule.asks:
            return None
        if rule.kind == "uncovered":
            return tuple(piece for part in rule.base.parts for piece in Box().subtract(part.box))
        if rule.base.parts:
            return rule.base.boxes()
        return self._extracted(rule)

    def _extracted(self, rule: FeedbackRule) -> tuple[Box, ...]:
        """Where the base answers as the rule asks, by its extracted rules and then its default."""
        wanted = rule.outcome.top(self.schema.classes)
        parts: list[Part] = []
        earlier: list[Box] = []
        for other in self.feedback.base.enabled:
            box = rule_box(other, self.schema)
            if other.outcome.top(self.schema.classes) != wanted:
                earlier.append(box)
            elif not other.asserted:
                parts.append(Part.of(box, earlier))
        found = Region(tuple(parts)).boxes(MOST_TARGETS)
        if self.feedback.base.default.top(self.schema.classes) != wanted:
            return found
        try:
            return found + Region((Part.of(Box(), earlier),)).boxes(MOST_TARGETS)
        except TooComplex:
            return found

    def _nearest_values(self, rows: Matrix, name: str, values: ValueSet) -> tuple[Reals, Reals]:
        """The nearest value of a set for each row, and its distance; both (n,)."""
        place = self.schema.index(name)
        feature, column = self.schema.features[place], rows[:, place]
        inside = set_mask(values, column, feature)
        if isinstance(values, NumberSet):
            nearest, distance = self._nearest_numbers(values, column, place)
        else:
            nearest = np.full(len(column), self._commonest_text(values, feature, place))
            distance = np.ones(len(column))
        return np.where(inside, column, nearest), np.where(inside, 0.0, distance)

    def _nearest_numbers(self, values: NumberSet, column: Reals, place: int) -> tuple[Reals, Reals]:
        deviation = self.background.deviations[place]
        counts = dict(self.background.common[place])
        nearest = np.full(len(column), np.nan)
        distance = np.full(len(column), 1.0 if values.missing else np.inf)
        commonness = np.zeros(len(column))
        for low, high in values.intervals:
            bound = np.where(column < low, low, high)
            with np.errstate(over="ignore"):
                far = np.minimum(np.abs(bound - column) / deviation, FARTHEST)
            common = np.array([counts.get(low, 0), counts.get(high, 0)], dtype=float)
            count = np.where(column < low, common[0], common[1])
            # A number before a missing value, a commoner number before a rarer one.
            better = (far < distance) | ((far == distance) & (np.isnan(nearest) | (count > commonness)))
            nearest[better], distance[better], commonness[better] = bound[better], far[better], count[better]
        gone = np.isnan(column)
        if gone.any() and values.intervals:
            nearest[gone], distance[gone] = self._commonest_number(values, place), 1.0
        return nearest, distance

    def _commonest_number(self, values: NumberSet, place: int) -> float:
        """The commonest training value in the set, else a readable one."""
        for value, _ in self.background.common[place]:
            if value in values:
                return value
        example = values.example(self.schema.features[place])
        return math.nan if example is None else example

    def _commonest_text(self, values: TextSet, feature: Feature, place: int) -> float:
        """The code of the commonest training category in the set; of one never seen, or missing, where none is."""
        texts = {float(code): text for text, code in feature.code_of.items()}
        for code, _ in self.background.common[place]:
            if texts.get(code) in values:
                return code
        known = [text for text in feature.values if text in values]
        if known:
            return float(feature.code_of[known[0]])
        return 0.0 if values.inverted else math.nan


def outside(feedback: Feedback, rows: Matrix) -> Mask:
    """The rows for which nothing is asked; shape (n,)."""
    return ~feedback.asks[feedback.assign(rows)]
