"""Groups of a table's rows: by a feature's values, or by where a number is cut; and how they fare beside each other.

A project marks columns as sensitive (`Fairness`). Its least ratio is that of the four-fifths rule unless it says
otherwise: a group's rate of an outcome should be at least so much of the best group's (Uniform Guidelines on
Employee Selection Procedures, 29 CFR 1607.4 D, 1978).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleedit.errors import Refused, UnknownFeature
from ruleedit.matching import Indices, Mask, Matrix
from ruleedit.rules import number_text
from ruleedit.schema import Feature, Schema

#: The four-fifths rule.
FOUR_FIFTHS = 0.8
#: More cuts make groups that nobody reads.
MOST_CUTS = 11
#: A ratio that falls by less than this is as it was: it would be said of every edit.
LEAST_FALL = 0.01


@dataclass(frozen=True)
class Grouping:
    """A column by whose values rows are parted; a number's by ``cuts``, each the least value of the next group."""

    column: str
    cuts: tuple[float, ...] = ()

    def check(self, feature: Feature) -> None:
        """Raise `Refused` where the column's feature can't be parted so."""
        if not feature.is_number:
            if self.cuts:
                raise Refused(f"{self.column!r} is {feature.kind}: its values are the groups, it takes no cuts")
            return
        if not self.cuts:
            raise Refused(
                f"{self.column!r} is a number and has no groups; name a text or boolean feature, or say where it is cut"
            )
        if len(self.cuts) > MOST_CUTS or not all(map(math.isfinite, self.cuts)):
            raise Refused(f"{self.column!r} has {len(self.cuts)} cuts; 1 to {MOST_CUTS} finite numbers are accepted")
        if any(low >= high for low, high in itertools.pairwise(self.cuts)):
            raise Refused(f"the cuts of {self.column!r} don't rise; each is larger than the one before")

    def parts(self, rows: Matrix, schema: Schema) -> Iterator[tuple[str | None, Mask]]:
        """The name and rows (n,) of each group in order; None for missing values. One never seen is in none.

        Raises `UnknownFeature`, and as `check`. ``rows`` are encoded (n, features).
        """
        feature, column = schema.feature(self.column), rows[:, schema.index(self.column)]
        self.check(feature)
        if feature.is_number:
            yield from self._bands(column)
        else:
            yield from ((text, column == code) for text, code in feature.code_of.items())
        yield None, np.isnan(column)

    def _bands(self, column: Matrix) -> Iterator[tuple[str, Mask]]:
        texts = list(map(number_text, self.cuts))
        with np.errstate(invalid="ignore"):
            yield f"under {texts[0]}", column < self.cuts[0]
            for place, (low, high) in enumerate(itertools.pairwise(self.cuts)):
                yield f"{texts[place]} to under {texts[place + 1]}", (column >= low) & (column < high)
            yield f"{texts[-1]} and over", column >= self.cuts[-1]

    def to_json(self) -> dict[str, Any]:
        """As JSON; `from_json` reads it back."""
        return {"column": self.column, "cuts": list(self.cuts)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Grouping:
        """Read what `to_json` gave."""
        return cls(data["column"], tuple(map(float, data.get("cuts") or ())))


@dataclass(frozen=True)
class Fairness:
    """Which columns are sensitive, and when a group has fallen behind.

    ``favourable`` is the outcome that people want, None where nobody said: then every class is looked at. A group
    whose rate of it is below ``least_ratio`` times the best group's is behind; 0 says that of none.
    """

    columns: tuple[Grouping, ...] = ()
    favourable: str | None = None
    least_ratio: float = FOUR_FIFTHS

    @property
    def parting(self) -> tuple[Grouping, ...] | None:
        """By what reports part what changed; None, so that they choose by themselves, where nobody marked a column."""
        return self.columns or None

    def check(self, schema: Schema) -> None:
        """Raise `UnknownFeature`, `UnknownClass` or `Refused` where it doesn't fit a schema."""
        self.check_columns({feature.name: feature for feature in schema.features})
        if self.favourable is not None:
            schema.check_class(self.favourable)
        if not 0.0 <= self.least_ratio <= 1.0:
            raise Refused(f"the least ratio is {self.least_ratio:g}; a number from 0 to 1 is accepted")

    def check_columns(self, features: Mapping[str, Feature]) -> None:
        """Raise `UnknownFeature` or `Refused` where the columns don't fit these features by name."""
        for grouping in self.columns:
            if grouping.column not in features:
                raise UnknownFeature.among(grouping.column, tuple(features))
            grouping.check(features[grouping.column])
        if len({grouping.column for grouping in self.columns}) < len(self.columns):
            raise Refused("a column is marked as sensitive twice; mark each once")

    def to_json(self) -> dict[str, Any]:
        """As JSON; `from_json` reads it back."""
        listed = [grouping.to_json() for grouping in self.columns]
        return {"columns": listed, "favourable": self.favourable, "least_ratio": self.least_ratio}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Fairness:
        """Read what `to_json` gave; None: nobody has said anything."""
        if data is None:
            return cls()
        columns = tuple(map(Grouping.from_json, data.get("columns", ())))
        return cls(columns, data.get("favourable"), float(data.get("least_ratio", FOUR_FIFTHS)))


@dataclass(frozen=True)
class Group:
    """One group: how many rows it has, and the share of them that gets each class, before and after.

    ``value`` is None for the rows whose value is missing.
    """

    column: str
    value: str | None
    rows: int
    before: tuple[float, ...]
    after: tuple[float, ...]

    @property
    def says(self) -> str:
        """Which rows these are, in words."""
        return f"{self.column} missing" if self.value is None else f"{self.column} {self.value}"


@dataclass(frozen=True)
class Behind:
    """A group that an edit leaves behind: its ratio of a class's rate to the best group's, before and after."""

    group: Group
    outcome: str
    before: float
    after: float
    least: float

    def to_json(self) -> dict[str, Any]:
        """As the API gives it."""
        where = {"column": self.group.column, "value": self.group.value, "rows": self.group.rows}
        return where | {"outcome": self.outcome, "before": self.before, "after": self.after, "says": self.says}

    @property
    def says(self) -> str:
        """It in words."""
        fell = f"{self.outcome} at {self.after:.2f} of the best group's rate (was {self.before:.2f})"
        return f"{self.group.says} falls behind: {fell}, below {self.least:g}"


def parted(
    groupings: Sequence[Grouping], rows: Matrix, schema: Schema, before: Indices, after: Indices
) -> dict[str, tuple[Group, ...]]:
    """The groups of each column that have rows; ``before`` and ``after`` (n,) are outcomes as places of classes."""
    found: dict[str, tuple[Group, ...]] = {}
    classes = len(schema.classes)
    for grouping in groupings:
        members = []
        for value, mask in grouping.parts(rows, schema):
            count = int(mask.sum())
            if count:
                shares = (np.bincount(side[mask], minlength=classes) / count for side in (before, after))
                members.append(Group(grouping.column, value, count, *(tuple(one.tolist()) for one in shares)))
        found[grouping.column] = tuple(members)
    return found


def ratios(members: Sequence[Group], place: int) -> list[tuple[float, float]]:
    """Each group's rate of a class as a ratio of the best group's, before and after; 1 where no group has any.

    Rows of a missing value belong to no group that anybody could be in: they are never the best.
    """
    named = [group for group in members if group.value is not None] or members
    best = [max((getattr(group, when)[place] for group in named), default=0.0) for when in ("before", "after")]
    return [
        (group.before[place] / best[0] if best[0] else 1.0, group.after[place] / best[1] if best[1] else 1.0)
        for group in members
    ]


def behind(fairness: Fairness, found: Mapping[str, Sequence[Group]], schema: Schema) -> list[Behind]:
    """The sensitive columns' groups that are below the least ratio and have fallen, the furthest first."""
    wanted = schema.classes if fairness.favourable is None else (fairness.favourable,)
    listed = []
    for grouping in fairness.columns:
        members = found.get(grouping.column, ())
        for outcome in wanted:
            for group, (old, new) in zip(members, ratios(members, schema.classes.index(outcome)), strict=True):
                if group.value is not None and new < fairness.least_ratio and new < old - LEAST_FALL:
                    listed.append(Behind(group, outcome, old, new, fairness.least_ratio))
    return sorted(listed, key=lambda one: one.after)


def groups_json(found: Mapping[str, Sequence[Group]], schema: Schema) -> list[dict[str, Any]]:
    """Groups as the API gives them, with the ratio of each class's rate to the best group's."""
    told = []
    for members in found.values():
        by_class = [ratios(members, place) for place in range(len(schema.classes))]
        for at, group in enumerate(members):
            pairs = [listed[at] for listed in by_class]
            told.append(
                {"column": group.column, "value": group.value, "rows": group.rows}
                | {side: dict(zip(schema.classes, getattr(group, side), strict=True)) for side in ("before", "after")}
                | {"ratio_before": dict(zip(schema.classes, (pair[0] for pair in pairs), strict=True))}
                | {"ratio_after": dict(zip(schema.classes, (pair[1] for pair in pairs), strict=True))}
            )
    return told
