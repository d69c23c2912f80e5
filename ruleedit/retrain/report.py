"""What putting edits in force did, on rows that nothing was trained on: inside the rules and outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ruleedit.feedback import Feedback
from ruleedit.groups import Grouping
from ruleedit.matching import Indices, Mask, Matrix, outcome_table
from ruleedit.models import Model, Reals, outcome_codes
from ruleedit.retrain.objective import held_by_asking, macro_f1, share
from ruleedit.schema import Schema

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
    outside = held_by_asking(feedback, rows) < 0
    held = feedback.assign(rows)
    f1_before = f1_after = None
    if truth is not None:
        classes = len(feedback.schema.classes)
        f1_before, f1_after = (macro_f1(truth[outside], one.outcomes[outside], classes) for one in (before, after))
    flipped = outside & (before.outcomes != after.outcomes)
    return Effect(
        feedback=tuple(_rule_effect(feedback, place, held == place, before, after) for place in range(len(feedback))),
        outside=int(outside.sum()),
        f1_before=f1_before,
        f1_after=f1_after,
        flips=share(flipped, outside),
        flipped=int(flipped.sum()),
        flips_by_class=flips_by_class(before.outcomes[flipped], after.outcomes[flipped], feedback.schema.classes),
        classes=tuple(_class_parts(before.outcomes[outside], flipped[outside], feedback.schema)),
        groups=tuple(_group_parts(rows[outside], flipped[outside], feedback.schema, groups)),
    )


def _class_parts(before: Indices, flipped: Mask, schema: Schema) -> Iterator[Part]:
    for code, name in enumerate(schema.classes):
        here = before == code
        if here.any():
            yield Part(None, name, int(here.sum()), int(flipped[here].sum()))


def _group_parts(
    rows: Matrix, flipped: Mask, schema: Schema, groups: Sequence[str | Grouping] | None
) -> Iterator[Part]:
    for grouping in subgroups(schema, groups):
        for value, here in grouping.parts(rows, schema):
            if here.any():
                yield Part(grouping.column, value, int(here.sum()), int(flipped[here].sum()))


def _rule_effect(feedback: Feedback, place: int, here: Mask, before: Answers, after: Answers) -> RuleEffect:
    rule = feedback.rules[place]
    coverage = int(here.sum())
    if not rule.asks:
        return RuleEffect(rule.id, str(rule.outcome), coverage, None, None)
    wanted = feedback.outcome_codes()[place]
    agreement = [share(one.outcomes == wanted, here) for one in (before, after)]
    distance: list[float | None] = [None, None]
    if coverage and not rule.outcome.is_class:
        asked = outcome_table([rule.outcome], feedback.schema.classes)[0]
        distance = [float(np.abs(one.probabilities[here] - asked).sum(axis=1).mean() / 2.0) for one in (before, after)]
    return RuleEffect(rule.id, str(rule.outcome), coverage, *agreement, *distance)


def flips_by_class(before: Indices, after: Indices, classes: tuple[str, ...]) -> dict[str, int]:
    """How many rows went from each class to each other one, commonest first; keys as "deny -> approve"."""
    pairs, counts = np.unique(np.column_stack([before, after]), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {f"{classes[pairs[i, 0]]} -> {classes[pairs[i, 1]]}": int(counts[i]) for i in order}
