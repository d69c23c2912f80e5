"""What putting edits in force did, on rows that nothing was trained on: inside the rules and outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Mask, Matrix, outcome_table
from ruleedit.models import Model, Reals, outcome_codes
from ruleedit.retrain.objective import f1_of
from ruleedit.schema import Schema
from ruleedit.tables.groups import Grouping
from ruleedit.tables.sums import PARTS, Counts, added, counted, in_parts

#: A text feature with more values makes groups too small to say anything about.
FEW_VALUES = 12


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers to some rows: probabilities (n, classes) and outcomes (n,), places of classes."""

    probabilities: Reals
    outcomes: Indices

    @classmethod
    def of(cls, model: Model, rows: Matrix) -> Answers:
        """A model's answers to encoded rows, asked once."""
        probabilities = model.proba(rows)
        return cls(probabilities, outcome_codes(probabilities, model.thresholds))


@dataclass(frozen=True)
class RuleEffect:
    """What happened to the rows of one feedback rule.

    ``coverage`` counts the rows that it holds. The agreements ``mra_before`` and ``mra_after`` are
    None where it holds none or asks for nothing; so are the mean total-variation distances to its
    distribution, ``distance_before`` and ``distance_after``, and for a rule that asks for a class.
    """

    rule: str
    outcome: str
    coverage: int
    mra_before: float | None
    mra_after: float | None
    distance_before: float | None = None
    distance_after: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON; the distances only for a rule with a distribution."""
        out: dict[str, Any] = {
            "rule": self.rule,
            "outcome": self.outcome,
            "coverage": self.coverage,
            "mra_before": self.mra_before,
            "mra_after": self.mra_after,
        }
        if self.distance_before is not None:
            out |= {"distance_before": self.distance_before, "distance_after": self.distance_after}
        return out


@dataclass(frozen=True)
class Part:
    """Some of the rows outside: how many, and how many of them are decided otherwise.

    ``feature`` and ``value`` say which: those whose ``feature`` has that value (None: missing), or
    without a feature those that the model decided as ``value`` before.
    """

    feature: str | None
    value: str | None
    rows: int
    flipped: int

    def to_json(self) -> dict[str, Any]:
        """As JSON, without a feature for the part of a class."""
        which = {"class": self.value} if self.feature is None else {"feature": self.feature, "value": self.value}
        return {**which, "rows": self.rows, "flipped": self.flipped, "flips": self.flipped / self.rows}


@dataclass(frozen=True)
class Effect:
    """The effect on given rows: on each feedback rule, and outside all rules that ask for something.

    ``outside`` counts the rows there. ``f1_before`` and ``f1_after`` are macro F1 over the classes
    present there, None without rows or true answers; ``flips`` is the share of the rows outside
    that are decided otherwise (None without rows), ``flipped`` their number and
    ``flips_by_class`` the same by "before -> after". ``classes`` and ``groups`` part the rows
    outside by what the model decided before, and by the value of each feature that `subgroups` gives.
    """

    feedback: tuple[RuleEffect, ...]
    outside: int
    f1_before: float | None
    f1_after: float | None
    flips: float | None
    flipped: int
    flips_by_class: dict[str, int] = field(default_factory=dict)
    classes: tuple[Part, ...] = ()
    groups: tuple[Part, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON, in the shape that ``apply --json`` prints."""
        return {
            "feedback": [rule.to_json() for rule in self.feedback],
            "outside": {
                "rows": self.outside,
                "f1_before": self.f1_before,
                "f1_after": self.f1_after,
                "flips": self.flips,
                "flipped": self.flipped,
                "flips_by_class": self.flips_by_class,
                "classes": [part.to_json() for part in self.classes],
                "groups": [part.to_json() for part in self.groups],
            },
        }


def subgroups(schema: Schema, groups: Sequence[str | Grouping] | None) -> tuple[Grouping, ...]:
    """How a report parts the rows outside.

    By the features in ``groups``, named or with the cuts of a number; by default (None) by every text feature
    with at most `FEW_VALUES` values. Raises `UnknownName`, and `Refused` for a number without cuts.
    """
    if groups is None:
        return tuple(Grouping(f.name) for f in schema.features if not f.is_number and len(f.values) <= FEW_VALUES)
    chosen = tuple(Grouping(one) if isinstance(one, str) else one for one in groups)
    for grouping in chosen:
        grouping.check(schema.feature(grouping.column))
    return chosen


def effect(
    feedback: Feedback,
    rows: Matrix,
    truth: Indices | None,
    before: Answers,
    after: Answers,
    groups: Sequence[str | Grouping] | None = None,
) -> Effect:
    """Compare the answers before and after on encoded ``rows`` (n, features); ``groups`` as for `subgroups`.

    ``truth`` (n,) are the true answers as places of classes, None where the table has no target.
    Agreement compares outcomes. A row belongs to the first rule that holds it; the rows of rules
    that ask for nothing are outside.
    """
    return effect_of(feedback, changes(feedback, rows, truth, before, after, groups), groups)


@dataclass(frozen=True)
class Changes:
    """What `effect` goes by, in counts; those of a table's parts add up to those of the table.

    ``inside`` has for each feedback rule its rows, those answered as it asks before and after, and the
    total-variation distances before and after, in `PARTS`. Outside, ``decided`` counts the rows by what is
    decided before and after, ``unlabelled`` those without a true answer, ``confusions`` the others by
    that and by what is decided, before and after; ``groups`` has for each group its rows and those flipped.
    """

    inside: Counts
    decided: Counts
    unlabelled: int
    confusions: tuple[Counts, Counts]
    groups: Counts

    def __add__(self, other: Changes) -> Changes:
        """The counts of both; raises `ValueError` for those of other rules."""
        before, after = (added(*sides) for sides in zip(self.confusions, other.confusions, strict=True))
        return Changes(
            added(self.inside, other.inside),
            added(self.decided, other.decided),
            self.unlabelled + other.unlabelled,
            (before, after),
            added(self.groups, other.groups),
        )


def changes(
    feedback: Feedback,
    rows: Matrix,
    truth: Indices | None,
    before: Answers,
    after: Answers,
    groups: Sequence[str | Grouping] | None = None,
) -> Changes:
    """Count what `effect` goes by, on a table or a part of one; see there."""
    schema, classes = feedback.schema, len(feedback.schema.classes)
    held = feedback.assign(rows)
    outside = ~feedback.asks[held]
    old, new = before.outcomes[outside], after.outcomes[outside]
    none: Counts = ((0,) * classes,) * classes
    confusions = none, none
    if truth is not None:
        before_there, after_there = (counted(truth[outside], side, (classes, classes)) for side in (old, new))
        confusions = before_there, after_there
    there, flipped = rows[outside], old != new
    return Changes(
        inside=tuple(_inside(feedback, place, held == place, before, after) for place in range(len(feedback))),
        decided=counted(old, new, (classes, classes)),
        unlabelled=0 if truth is not None else int(outside.sum()),
        confusions=confusions,
        groups=tuple(
            (int(here.sum()), int(flipped[here].sum()))
            for grouping in subgroups(schema, groups)
            for _, here in grouping.parts(there, schema)
        ),
    )


def effect_of(feedback: Feedback, counts: Changes, groups: Sequence[str | Grouping] | None = None) -> Effect:
    """`effect` of the counts on a table, of which ``groups`` are those that were counted."""
    decided = np.array(counts.decided)
    outside, flipped = int(decided.sum()), int(decided.sum() - decided.trace())
    f1_before = f1_after = None
    if outside and not counts.unlabelled:
        f1_before, f1_after = (f1_of(np.array(side)) for side in counts.confusions)
    return Effect(
        feedback=tuple(_rule_effect(feedback, place, told) for place, told in enumerate(counts.inside)),
        outside=outside,
        f1_before=f1_before,
        f1_after=f1_after,
        flips=flipped / outside if outside else None,
        flipped=flipped,
        flips_by_class=_flips(decided, feedback.schema.classes),
        classes=tuple(_class_parts(decided, feedback.schema)),
        groups=tuple(_group_parts(counts.groups, feedback.schema, groups)),
    )


def _class_parts(decided: npt.NDArray[np.integer], schema: Schema) -> Iterator[Part]:
    for code, name in enumerate(schema.classes):
        rows = int(decided[code].sum())
        if rows:
            yield Part(None, name, rows, rows - int(decided[code, code]))


def _group_parts(counts: Counts, schema: Schema, groups: Sequence[str | Grouping] | None) -> Iterator[Part]:
    nothing = np.empty((0, len(schema.features)))
    named = [
        (grouping.column, value)
        for grouping in subgroups(schema, groups)
        for value, _ in grouping.parts(nothing, schema)
    ]
    for (column, value), (rows, flipped) in zip(named, counts, strict=True):
        if rows:
            yield Part(column, value, rows, flipped)


def _inside(feedback: Feedback, place: int, here: Mask, before: Answers, after: Answers) -> tuple[int, ...]:
    """The counts of one rule's rows; see `Changes`."""
    rule = feedback.rules[place]
    if not rule.asks:
        return int(here.sum()), 0, 0, 0, 0
    wanted = feedback.outcome_codes()[place]
    agreed = (int((one.outcomes[here] == wanted).sum()) for one in (before, after))
    distances = [0, 0]
    if not rule.outcome.is_class:
        asked = outcome_table([rule.outcome], feedback.schema.classes)[0]
        distances = [in_parts(np.abs(one.probabilities[here] - asked).sum(axis=1) / 2.0) for one in (before, after)]
    return int(here.sum()), *agreed, *distances


def _rule_effect(feedback: Feedback, place: int, counts: Sequence[int]) -> RuleEffect:
    rule = feedback.rules[place]
    coverage, *others = counts
    if not rule.asks or not coverage:
        return RuleEffect(rule.id, str(rule.outcome), coverage, None, None)
    agreed, distances = [one / coverage for one in others[:2]], [one / coverage / PARTS for one in others[2:]]
    return RuleEffect(rule.id, str(rule.outcome), coverage, *agreed, *(() if rule.outcome.is_class else distances))


def flips_by_class(before: Indices, after: Indices, classes: tuple[str, ...]) -> dict[str, int]:
    """How many rows went from each class to each other one, commonest first; keys as "deny -> approve".

    A place of -1 is the last of ``classes``, as where a row is left to the model and that has a name there.
    """
    many = len(classes)
    return _flips(np.array(counted(before % many, after % many, (many, many))), classes)


def _flips(decided: npt.NDArray[np.integer], classes: tuple[str, ...]) -> dict[str, int]:
    moved = decided * ~np.eye(len(classes), dtype=bool)
    pairs = np.argsort(-moved.ravel(), kind="stable")[: np.count_nonzero(moved)]
    return {
        f"{classes[old]} -> {classes[new]}": int(moved[old, new])
        for old, new in zip(*np.unravel_index(pairs, moved.shape), strict=True)
    }
