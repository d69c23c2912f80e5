"""What the workbench shows of a rule set on a table: figures of rules, features and drafts.

Over encoded rows (n, features) and outcomes (n,) as places in schema order.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ruleedit.drafts import Draft
from ruleedit.impact.bits import unpacked
from ruleedit.impact.preview import Glance, Preview
from ruleedit.matching import Indices, Mask, Matrix, outcome_codes, outcome_table
from ruleedit.models.calibration import Calibration, Sure
from ruleedit.rules import Clause
from ruleedit.schema import Feature, Schema
from ruleedit.tables.groups import Group, Grouping

#: Bars of a histogram: enough to see a shape, few enough to be read one by one.
BARS = 40
#: A feature of more values than this splits a table into groups that nobody reads.
MOST_GROUPS = 12
#: Rows of a sample that is shown.
SAMPLE = 50


@dataclass(frozen=True)
class Decided:
    """One rule on a table: the rows that it decides, and how the model answers there.

    ``outcomes`` counts the model's answers by class; ``agrees`` is the share that is as the rule
    says, None where it decides no row or says `model`.
    """

    rule: str
    covered: int
    outcomes: tuple[int, ...]
    agrees: float | None


@dataclass(frozen=True)
class FeatureFigures:
    """How a feature's values lie, by the model's outcome.

    A number has ``edges`` (bars + 1) and one count a bar and class; the others have ``values``
    and one count a value and class. ``missing`` counts by class.
    """

    feature: Feature
    edges: tuple[float, ...]
    values: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    missing: tuple[int, ...]


def feature_figures(name: str, schema: Schema, rows: Matrix, outcomes: Indices) -> FeatureFigures:
    """Count a feature's values by the model's outcome; raises `UnknownFeature`."""
    feature = schema.feature(name)
    column = rows[:, schema.index(name)]
    present = ~np.isnan(column)
    classes = len(schema.classes)
    missing = tuple(np.bincount(outcomes[~present], minlength=classes).tolist())
    if feature.is_number:
        edges = _edges(column[present], feature)
        place = np.clip(np.searchsorted(edges, column[present], side="right") - 1, 0, max(len(edges) - 2, 0))
        counts = _crossed(place, outcomes[present], max(len(edges) - 1, 1), classes)
        return FeatureFigures(feature, tuple(edges.tolist()), (), counts, missing)
    codes = list(feature.code_of.values())
    place = np.searchsorted(codes, column[present]) if codes else np.zeros(int(present.sum()), dtype=np.intp)
    known = np.isin(column[present], codes)
    counts = _crossed(place[known], outcomes[present][known], len(codes), classes)
    return FeatureFigures(feature, (), tuple(feature.code_of), counts, missing)


def _edges(values: Matrix, feature: Feature) -> Matrix:
    """The edges of the bars: from the 0.5% to the 99.5% quantile, so that one far value doesn't squeeze the rest."""
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = np.quantile(values, (0.005, 0.995))
    if feature.kind == "integer":
        low, high = np.floor(low), np.ceil(high) + 1
        width = max(1.0, np.ceil((high - low) / BARS))
        edges: Matrix = np.arange(low, high + width, width)
        return edges
    return np.linspace(low, high if high > low else low + 1.0, BARS + 1)


def _crossed(place: Indices, outcomes: Indices, size: int, classes: int) -> tuple[tuple[int, ...], ...]:
    counted = np.bincount(place * classes + outcomes, minlength=size * classes).reshape(size, classes)
    return tuple(tuple(row) for row in counted.tolist())


@dataclass(frozen=True)
class Effect:
    """What a draft would change on a table.

    ``shares`` are the classes' shares before and after; ``f1`` is macro F1 against the truth before
    and after, None where there is no truth; ``calibration`` is the expected calibration error before and after, None
    where there is no truth or nobody said how sure the model is; ``honoured`` is the share of the rows asked about on
    which the model answers so by itself, None where nothing is asked. ``groups`` has the groups of
    each feature that makes some.
    """

    glance: Glance
    shares: tuple[tuple[float, float], ...]
    f1: tuple[float, float] | None
    calibration: tuple[float, float] | None
    honoured: float | None
    groups: dict[str, tuple[Group, ...]]


@dataclass(frozen=True)
class Reach:
    """How one rule's region grows and shrinks by an edit: the model's answers there by class.

    ``held`` are the rows that it holds then.
    """

    gained_outcomes: tuple[int, ...]
    lost_outcomes: tuple[int, ...]
    held: int

    @property
    def gained(self) -> int:
        """The rows that come in."""
        return sum(self.gained_outcomes)

    @property
    def lost(self) -> int:
        """The rows that go out."""
        return sum(self.lost_outcomes)


class Lens:
    """A table looked at through one base: the effect of any draft on it, fast enough to follow a slider.

    ``rows`` (n, features) are encoded, ``outcomes`` (n,) the model's own answers, ``truth`` (n,) the
    true classes or None, ``sure`` (n,) the probabilities of the model's answers. ``sensitive`` are the columns that
    somebody marked; `groupable` ones make groups besides. Every open page of a rule set looks through the same one,
    so one asks at a time.
    """

    def __init__(
        self,
        base: Draft,
        rows: Matrix,
        outcomes: Indices,
        truth: Indices | None,
        *,
        sure: Sure | None = None,
        sensitive: Sequence[Grouping] = (),
    ) -> None:
        self._lock = threading.Lock()
        self._schema, self._rows, self._outcomes = base.schema, rows, outcomes
        self._figures: dict[str, FeatureFigures] = {}
        masks: dict[str, Mask] = {}
        self._labels: dict[str, tuple[str, str | None]] = {}
        self._names = groupable(base.schema, sensitive)
        for grouping in _groupings(self._names, sensitive):
            for value, mask in grouping.parts(rows, base.schema):
                if mask.any():
                    key = f"{len(masks)}"
                    masks[key], self._labels[key] = mask, (grouping.column, value)
        self._preview = Preview(base.base, base.schema, rows, outcomes, truth=truth, subgroups=masks)
        self._truth = truth
        self._calibration = None if truth is None or sure is None else Calibration(sure, outcomes == truth)
        self._before = np.bincount(outcomes, minlength=len(base.schema.classes))

    def effect(self, draft: Draft) -> Effect:
        """What the hard overlay of a draft of the same base would change."""
        with self._lock:
            found = self._preview.of(draft.rules)
        after = self._before.astype(np.int64)
        for (old, new), count in found.flips.items():
            after[self._schema.classes.index(old)] -= count
            after[self._schema.classes.index(new)] += count
        rows = max(found.rows, 1)
        shares = tuple((int(one) / rows, int(other) / rows) for one, other in zip(self._before, after, strict=True))
        f1 = None
        if found.confusion_before is not None and found.confusion_after is not None:
            f1 = (_macro_f1(found.confusion_before), _macro_f1(found.confusion_after))
        honoured = (found.covered - found.changed) / found.covered if found.covered else None
        return Effect(found, shares, f1, self._calibrated(found), honoured, self._groups(found))

    def _calibrated(self, found: Glance) -> tuple[float, float] | None:
        """The calibration error before and after: an overlay is as sure of an answer as its rule says."""
        if self._calibration is None or self._truth is None or self._calibration.error is None:
            return None
        classes, otherwise = self._schema.classes, []
        for outcome, bits in found.asked.items():
            mask = unpacked(bits, found.rows)
            sure = outcome_table([outcome], classes)[0]
            right = int((self._truth[mask] == int(sure.argmax())).sum())
            otherwise.append((mask, float(sure.max()), right))
        return self._calibration.error, self._calibration.answered(otherwise) or 0.0

    def decided(self, draft: Draft) -> tuple[Decided, ...]:
        """The figures of every rule in order, the default's last under the id ``""``."""
        rules = draft.rules
        with self._lock:
            counted = self._preview.decided(rules)
        wanted = outcome_codes([*(rule.outcome for rule in rules), rules.default], self._schema.classes)
        names = [*(rule.id for rule in rules), ""]
        return tuple(_figures(*one) for one in zip(names, counted, wanted.tolist(), strict=True))

    def reach(self, before: Draft, after: Draft, rule: str) -> Reach:
        """What an edit adds to a rule's region and takes from it."""
        old, new = (_clauses(draft, rule) for draft in (before, after))
        with self._lock:
            between = self._preview.answers_between
            return Reach(between(new, old), between(old, new), sum(between(new, None)))

    def feature(self, name: str) -> FeatureFigures:
        """How a feature's values lie; counted once. Raises `UnknownFeature`."""
        with self._lock:
            if name not in self._figures:
                self._figures[name] = feature_figures(name, self._schema, self._rows, self._outcomes)
            return self._figures[name]

    def _groups(self, found: Glance) -> dict[str, tuple[Group, ...]]:
        groups: dict[str, list[Group]] = {name: [] for name in self._names}
        for rates in found.subgroups:
            name, value = self._labels[rates.subgroup]
            both = [
                tuple(said[one] / rates.rows for one in self._schema.classes) for said in (rates.before, rates.after)
            ]
            groups[name].append(Group(name, value, rates.rows, *both))
        return {name: tuple(members) for name, members in groups.items()}


def _figures(name: str, outcomes: tuple[int, ...], wanted: int) -> Decided:
    covered = sum(outcomes)
    agrees = None if wanted < 0 or not covered else outcomes[wanted] / covered
    return Decided(name, covered, outcomes, agrees)


def _clauses(draft: Draft, rule: str) -> tuple[Clause, ...] | None:
    """What a rule says; None where it isn't there or is disabled."""
    return next((one.clauses for one in draft.rules if one.id == rule and one.enabled), None)


def _macro_f1(table: npt.NDArray[np.int64]) -> float:
    """Macro F1 of a confusion (classes, classes) of truth and decision, over the classes that occur."""
    hit, said, true = np.diag(table), table.sum(axis=0), table.sum(axis=1)
    present = (said + true) > 0
    return float((2 * hit[present] / (said + true)[present]).mean()) if present.any() else 0.0


def groupable(schema: Schema, sensitive: Sequence[Grouping] = ()) -> tuple[str, ...]:
    """The features by which rows are grouped: the sensitive ones, then booleans and categories of few values."""
    marked = [grouping.column for grouping in sensitive]
    few = (one.name for one in schema.features if not one.is_number and 2 <= len(one.values) <= MOST_GROUPS)
    return (*marked, *(name for name in few if name not in marked))


def _groupings(names: Sequence[str], sensitive: Sequence[Grouping]) -> Iterator[Grouping]:
    marked = {grouping.column: grouping for grouping in sensitive}
    yield from (marked.get(name) or Grouping(name) for name in names)
