"""What changed: rules that say where two models, releases or rule sets answer differently.

The rows are labelled by what the two say of them, "same" or "deny -> approve", and the surrogate's
own extractor describes the labels on one part of the table. Precision and recall are of the other
part, which the rules weren't made from. (Comparing two models by a model of their disagreement:
Nair et al., "What Changed? Interpretable Model Comparison", IJCAI 2021; the rules are ours.)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ruleedit.comparison.difference import Difference, DifferenceRule, labelled
from ruleedit.errors import Refused
from ruleedit.matching import Indices, Mask, Matrix, box_mask
from ruleedit.models import split_points
from ruleedit.models.training import stratified_quarter
from ruleedit.regions import NumberSet, rule_box
from ruleedit.regions import before as value_before
from ruleedit.release import Answering, Release, RuleAnswers
from ruleedit.retrain.objective import macro_f1
from ruleedit.retrain.report import flips_by_class, subgroups
from ruleedit.rules import Rule, RuleSet, value_text
from ruleedit.schema import Feature, Schema
from ruleedit.surrogate.fidelity import wilson
from ruleedit.tables import encode
from ruleedit.tables.groups import Grouping

#: Rules that share fewer of the rows that either holds are two rules, not one that changed.
LEAST_LIKENESS = 0.25
#: The budget of clauses for the rules that describe the difference.
MAX_CLAUSES = 16


@dataclass(frozen=True)
class Match:
    """A rule before and the rule after that holds most nearly the same rows; None where there is none.

    ``jaccard`` is the share of the rows that either holds on which both do.
    """

    before: str | None
    after: str | None
    text_before: str | None
    text_after: str | None
    jaccard: float

    @property
    def status(self) -> str:
        """`same`, `changed`, `added` or `removed`."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "same" if self.text_before == self.text_after else "changed"


@dataclass(frozen=True)
class Slice:
    """The rows of one value of a feature (or of one class before): how many, and how many are answered otherwise."""

    name: str
    rows: int
    flipped: int
    flips: dict[str, int]


@dataclass(frozen=True)
class Comparison:
    """Where two answer differently on a table of n rows.

    ``flips`` counts each way, commonest first. ``rules`` describe the difference, first match wins;
    ``precision`` and ``recall`` are of all of them together on the ``held_out`` rows: of the rows
    that they say change, how many do, in the way they say; of those that do, how many they say.
    ``matches`` pairs the rules of both sides, where both have any. ``accuracy`` and ``macro_f1``
    (before, after) are given where the table has the target. ``mask`` (n,) marks the rows.
    """

    rows: int
    flips: dict[str, int]
    classes: tuple[Slice, ...]
    groups: tuple[Slice, ...]
    rules: tuple[DifferenceRule, ...]
    held_out: int
    precision: float | None
    precision_interval: tuple[float, float] | None
    recall: float | None
    recall_interval: tuple[float, float] | None
    matches: tuple[Match, ...]
    accuracy: tuple[float, float] | None
    macro_f1: tuple[float | None, float | None] | None
    notes: tuple[str, ...]
    mask: Mask = field(repr=False)

    @property
    def flipped(self) -> int:
        """The rows that are answered otherwise."""
        return int(self.mask.sum())

    def to_json(self) -> dict[str, Any]:
        """As the command line and the API give it."""
        return {
            "rows": self.rows,
            "flipped": self.flipped,
            "share": self.flipped / self.rows,
            "share_interval": list(wilson(self.flipped, self.rows)),
            "flips": self.flips,
            "classes": [_part_json("class", part) for part in self.classes],
            "groups": [_part_json("group", part) for part in self.groups],
            "difference": {
                "held_out": self.held_out,
                "precision": self.precision,
                "precision_interval": self.precision_interval,
                "recall": self.recall,
                "recall_interval": self.recall_interval,
                "rules": [rule.to_json() for rule in self.rules],
            },
            "matches": [
                {
                    "status": match.status,
                    "before": match.before,
                    "after": match.after,
                    "text_before": match.text_before,
                    "text_after": match.text_after,
                    "jaccard": match.jaccard,
                }
                for match in self.matches
            ],
            "accuracy": None if self.accuracy is None else dict(zip(("before", "after"), self.accuracy, strict=True)),
            "macro_f1": None if self.macro_f1 is None else dict(zip(("before", "after"), self.macro_f1, strict=True)),
            "notes": list(self.notes),
        }


def compare(
    before: Answering,
    after: Answering,
    frame: pd.DataFrame,
    *,
    truth: Indices | None = None,
    groups: Sequence[str | Grouping] | None = None,
    max_clauses: int = MAX_CLAUSES,
    seed: int = 0,
) -> Comparison:
    """Say where two answer differently on a table.

    Parameters
    ----------
    before, after : Answering
        Models, releases or rule sets (`ruleedit.release`) with the same features and classes. A row
        that a rule set leaves to a model has the answer `model`.
    frame : DataFrame
        The table (n, columns); each side reads it by its own schema.
    truth : Indices, optional
        The true classes (n,) as places in the schema of ``before``.
    groups : sequence of str or Grouping, optional
        The features by whose values the changes are parted, or a number by its cuts; by default text features of
        few values.
    max_clauses : int
        The budget of clauses for the rules that describe the difference.
    seed : int
        Draws the held-out quarter and the rows to learn from.

    Raises
    ------
    Refused
        Where the two have different features or classes.
    """
    schema = before.schema
    _check_comparable(schema, after.schema)
    parts = subgroups(schema, groups)
    rows = encode(frame, schema)
    names = (*schema.classes, "model")
    old = before.answer(rows, model_outcome=False).outcomes
    new = _in_order(after.answer(encode(frame, after.schema), model_outcome=False).outcomes, after.schema, schema)
    mask = old != new
    labels, changes = labelled(old, new, names)
    held = stratified_quarter(labels, seed)
    splits = _splits((before, after), schema)
    found = Difference.of(rows, labels, changes, held, schema, max_clauses, seed, splits)
    return Comparison(
        rows=len(rows),
        flips=flips_by_class(old[mask], new[mask], names),
        classes=tuple(_part(names[code], old == code, old, new, names) for code in np.unique(old)),
        groups=tuple(_groups(rows, schema, parts, old, new, names)),
        rules=found.figures(),
        held_out=len(held),
        **found.together(),
        matches=_matches(_rules(before), _rules(after), rows, schema),
        accuracy=None if truth is None else (float((old == truth).mean()), float((new == truth).mean())),
        macro_f1=None if truth is None else (_f1_of(truth, old, names), _f1_of(truth, new, names)),
        notes=found.notes,
        mask=mask,
    )


def _f1_of(truth: Indices, side: Indices, names: Sequence[str]) -> float | None:
    """Macro F1, with rows that a rule set leaves to a model as a class of their own."""
    return macro_f1(truth, side % len(names), len(names))


def _check_comparable(one: Schema, other: Schema) -> None:
    kinds, others = ({feature.name: feature.is_number for feature in schema.features} for schema in (one, other))
    for name in sorted(kinds.keys() ^ others.keys()):
        raise Refused(f"only one of the two has the feature {name!r}; models on the same features can be compared")
    for name, is_number in kinds.items():
        if is_number != others[name]:
            raise Refused(f"{name!r} is a number for one of the two and a text for the other; they can't be compared")
    if sorted(one.classes) != sorted(other.classes):
        raise Refused(
            f"one has the classes {', '.join(one.classes)} and the other {', '.join(other.classes)}; "
            "models of the same classes can be compared"
        )


def _in_order(outcomes: Indices, theirs: Schema, ours: Schema) -> Indices:
    """Classes' places of one schema as those of another; -1 stays."""
    places: Indices = np.array([*(ours.classes.index(name) for name in theirs.classes), -1], dtype=np.intp)[outcomes]
    return places


def _part(name: str, mask: Mask, old: Indices, new: Indices, names: tuple[str, ...]) -> Slice:
    flipped = mask & (old != new)
    return Slice(name, int(mask.sum()), int(flipped.sum()), flips_by_class(old[flipped], new[flipped], names))


def _groups(
    rows: Matrix, schema: Schema, groupings: Sequence[Grouping], old: Indices, new: Indices, names: tuple[str, ...]
) -> Iterator[Slice]:
    """The values of each feature that rows have, an unseen and a missing one too."""
    for grouping in groupings:
        feature, column = schema.feature(grouping.column), rows[:, schema.index(grouping.column)]
        values = [(_group_name(feature, value), mask) for value, mask in grouping.parts(rows, schema)]
        if feature.kind == "categorical":
            values.append((f"{feature.name} is another value", column == 0.0))
        yield from (_part(name, mask, old, new, names) for name, mask in values if mask.any())


def _group_name(feature: Feature, value: str | None) -> str:
    if value is None:
        return f"{feature.name} is missing"
    return f"{feature.name} {value}" if feature.is_number else f"{feature.name} = {value_text(value)}"


def _splits(sides: Sequence[Answering], schema: Schema) -> list[dict[float, float]]:
    """Thresholds where the two may part, with weights: the models' own, and before these what their rules name."""
    found: list[dict[float, float]] = [{} for _ in schema.features]
    for side in sides:
        if isinstance(side, Release):
            for place, points in enumerate(split_points(side.model)):
                place = schema.index(side.schema.names[place])
                for threshold, gain in points.items():
                    found[place][threshold] = found[place].get(threshold, 0.0) + gain
    heaviest = 1.0 + max((gain for points in found for gain in points.values()), default=0.0)
    for rule in itertools.chain.from_iterable(_rules(side) or () for side in sides):
        for name, values in rule_box(rule, schema).sets:
            place = schema.index(name)
            if isinstance(values, NumberSet):
                bounds = [value_before(low, values.whole) for low, _ in values.intervals if low > -math.inf]
                bounds += [high for _, high in values.intervals if high < math.inf]
                found[place].update(dict.fromkeys(bounds, heaviest))
    return found if any(found) else []


def _rules(answering: Answering) -> RuleSet | None:
    if isinstance(answering, RuleAnswers):
        return answering.rules
    if isinstance(answering, Release) and answering.draft is not None:
        return answering.draft.rules
    return None


def _matches(before: RuleSet | None, after: RuleSet | None, rows: Matrix, schema: Schema) -> tuple[Match, ...]:
    """The rules of both sides in pairs of the greatest sum of Jaccard; the same text is the same rule."""
    if before is None or after is None:
        return ()
    old, new = list(before.enabled), list(after.enabled)
    likeness = _likeness(old, new, rows, schema)
    if likeness.size:
        from scipy.optimize import linear_sum_assignment

        # The same text comes before everything else, whatever rows it holds; then rules of the same outcome.
        same = np.array([[str(one) == str(other) for other in new] for one in old], dtype=float)
        agree = np.array([[one.outcome == other.outcome for other in new] for one in old], dtype=float)
        chosen = zip(*linear_sum_assignment(likeness + 1e-6 * agree + 2.0 * same, maximize=True), strict=True)
        pairs = {
            int(one): int(other) for one, other in chosen if likeness[one, other] >= LEAST_LIKENESS or same[one, other]
        }
    else:
        pairs = {}
    found = [
        _match(rule, new[pairs[at]] if at in pairs else None, likeness, at, pairs.get(at))
        for at, rule in enumerate(old)
    ]
    taken = set(pairs.values())
    return (*found, *(_match(None, rule, likeness, None, at) for at, rule in enumerate(new) if at not in taken))


def _match(
    old: Rule | None, new: Rule | None, likeness: npt.NDArray[np.float64], one: int | None, other: int | None
) -> Match:
    jaccard = 0.0 if one is None or other is None else float(likeness[one, other])
    return Match(
        None if old is None else old.id,
        None if new is None else new.id,
        None if old is None else str(old),
        None if new is None else str(new),
        jaccard,
    )


def _likeness(old: Sequence[Rule], new: Sequence[Rule], rows: Matrix, schema: Schema) -> npt.NDArray[np.float64]:
    """The Jaccard index of the rows that each two rules cover; 1 where the texts are the same."""
    sides = [
        np.array([box_mask(rule_box(rule, schema), rows, schema) for rule in rules], dtype=np.float32).reshape(
            len(rules), len(rows)
        )
        for rules in (old, new)
    ]
    both = (sides[0] @ sides[1].T).astype(float)
    either = sides[0].sum(axis=1)[:, None] + sides[1].sum(axis=1) - both
    found: npt.NDArray[np.float64] = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    for one, other in itertools.product(range(len(old)), range(len(new))):
        if str(old[one]) == str(new[other]):
            found[one, other] = 1.0
    return found


def _part_json(key: str, part: Slice) -> dict[str, Any]:
    return {key: part.name, "rows": part.rows, "flipped": part.flipped, "flips": part.flips}
