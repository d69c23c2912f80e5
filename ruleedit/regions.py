"""Exact regions: which rows a rule describes, as algebra.

Per feature a region is a `NumberSet` (a finite union of closed intervals of doubles) or a
`TextSet` (a set of categories or its complement), with or without missing. A `Box` is a
conjunction of such sets, a `Region` a union of boxes with holes. Nothing here looks at data.

Doubles are handled as the finite set that they are: ``x > 5`` is the closed interval that begins
at the next double after 5, and for an integer feature at 6. That makes every operation exact, and
two regions are equal if and only if they hold the same values. Numbers that LightGBM reads as 0
(`ruleedit.rules.ZERO`) are not values of their own.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from ruleedit.errors import ClauseRefused, EmptyRegion, TooComplex, UnknownCategory, ValueOutOfRange
from ruleedit.rules import ZERO, Clause, Rule, Scalar, number_text, read_number
from ruleedit.schema import LARGEST_INTEGER, Feature, Schema

_LARGEST = sys.float_info.max
Interval: TypeAlias = tuple[float, float]
#: How many values an operator takes, where it isn't one.
_TAKES: dict[str, tuple[float, float, str]] = {
    "is missing": (0, 0, "no value"),
    "is not missing": (0, 0, "no value"),
    "in": (1, math.inf, "one value or more"),
    "not in": (1, math.inf, "one value or more"),
    "between": (2, 2, "two values"),
}
#: The most boxes that one exact computation may look at before it gives up by name.
MOST_BOXES = 100_000


def after(value: float, whole: bool) -> float:
    """The next value above ``value``: the next integer, or the next double that isn't read as 0."""
    step = math.nextafter(value, math.inf)
    if whole:
        # From 2**53 up the next integer that is a double lies further than 1 away.
        return max(math.floor(value) + 1.0, step)
    if -ZERO <= step <= ZERO:
        return 0.0 if value < 0.0 else math.nextafter(ZERO, math.inf)
    return step


def before(value: float, whole: bool) -> float:
    """The next value below ``value``."""
    return -after(-value, whole) + 0.0


@dataclass(frozen=True)
class NumberSet:
    """A set of numbers: sorted, disjoint, closed intervals, with or without missing.

    ``whole`` says that only integers count (bounds are then whole and neighbours are joined);
    ``nullable`` that missing is a value of the feature at all.
    """

    intervals: tuple[Interval, ...]
    missing: bool
    whole: bool
    nullable: bool

    @classmethod
    def of(cls, intervals: Iterable[Interval], missing: bool, feature: Feature) -> NumberSet:
        """Build the set in normal form."""
        whole = feature.kind == "integer"
        return cls(_joined(intervals, whole), missing and feature.missing, whole, feature.missing)

    @property
    def is_empty(self) -> bool:
        """Whether no value is in the set."""
        return not self.intervals and not self.missing

    @property
    def is_full(self) -> bool:
        """Whether every value of the feature is in the set."""
        return self.intervals == ((-math.inf, math.inf),) and self.missing == self.nullable

    def __contains__(self, value: object) -> bool:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return self.missing
        if not isinstance(value, int | float):
            return False
        number = read_number(value)
        if math.isinf(number):
            return False
        return any(low <= number <= high for low, high in self.intervals) and not (
            self.whole and number != math.floor(number)
        )

    def complement(self) -> NumberSet:
        """Every other value of the feature."""
        gaps: list[Interval] = []
        low = -math.inf
        for start, end in self.intervals:
            if start > -math.inf:
                gaps.append((low, before(start, self.whole)))
            low = after(end, self.whole) if end < math.inf else math.nan
        if not math.isnan(low):
            gaps.append((low, math.inf))
        return NumberSet(_joined(gaps, self.whole), self.nullable and not self.missing, self.whole, self.nullable)

    def intersect(self, other: NumberSet) -> NumberSet:
        """The values in both."""
        both = [(max(a, c), min(b, d)) for a, b in self.intervals for c, d in other.intervals if max(a, c) <= min(b, d)]
        return NumberSet(_joined(both, self.whole), self.missing and other.missing, self.whole, self.nullable)

    def example(self, feature: Feature) -> float | None:
        """A readable value of the set, inside the schema's range where it can be; None is missing."""
        if not self.intervals:
            return None
        low = -math.inf if feature.low is None else feature.low
        high = math.inf if feature.high is None else feature.high
        inside = [(max(a, low), min(b, high)) for a, b in self.intervals if max(a, low) <= min(b, high)]
        return _readable(*(inside or self.intervals)[0], self.whole)


@dataclass(frozen=True)
class TextSet:
    """A set of categories: ``members``, or with ``inverted`` everything else, unseen values too.

    ``closed`` marks a boolean feature, whose values are false and true and nothing else; its sets
    are never inverted.
    """

    members: frozenset[str]
    inverted: bool
    missing: bool
    nullable: bool
    closed: bool

    @classmethod
    def of(cls, members: Iterable[str], inverted: bool, missing: bool, feature: Feature) -> TextSet:
        """Build the set in normal form."""
        return cls._normal(
            frozenset(members), inverted, missing and feature.missing, feature.missing, feature.kind == "boolean"
        )

    @classmethod
    def _normal(cls, members: frozenset[str], inverted: bool, missing: bool, nullable: bool, closed: bool) -> TextSet:
        if closed and inverted:
            members, inverted = frozenset(("false", "true")) - members, False
        return cls(members, inverted, missing, nullable, closed)

    @property
    def is_empty(self) -> bool:
        """Whether no value is in the set."""
        return not self.members and not self.inverted and not self.missing

    @property
    def is_full(self) -> bool:
        """Whether every value of the feature is in the set."""
        everything = len(self.members) == 2 if self.closed else self.inverted and not self.members
        return everything and self.missing == self.nullable

    def __contains__(self, value: object) -> bool:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return self.missing
        return isinstance(value, str) and (value in self.members) != self.inverted

    def complement(self) -> TextSet:
        """Every other value of the feature."""
        return self._normal(
            self.members, not self.inverted, self.nullable and not self.missing, self.nullable, self.closed
        )

    def intersect(self, other: TextSet) -> TextSet:
        """The values in both."""
        missing = self.missing and other.missing
        if self.inverted and other.inverted:
            return self._normal(self.members | other.members, True, missing, self.nullable, self.closed)
        if self.inverted:
            return other.intersect(self)
        kept = self.members - other.members if other.inverted else self.members & other.members
        return self._normal(kept, False, missing, self.nullable, self.closed)

    def example(self, feature: Feature) -> str | None:
        """A value of the set, a known one where there is one; None is missing."""
        for value in feature.values:
            if value in self:
                return value
        if self.inverted:
            unseen = "another value"
            while unseen in self.members:
                unseen += "'"
            return unseen
        return min(self.members) if self.members else None


ValueSet: TypeAlias = NumberSet | TextSet


@dataclass(frozen=True)
class Box:
    """A conjunction: per feature a set of values; a feature that isn't named may be anything.

    ``sets`` is sorted by feature and holds no full set, so equal boxes are equal values.
    """

    sets: tuple[tuple[str, ValueSet], ...] = ()

    @classmethod
    def of(cls, sets: Mapping[str, ValueSet]) -> Box:
        """Build the box in normal form."""
        return cls(
            tuple(
                sorted(
                    ((name, values) for name, values in sets.items() if not values.is_full), key=lambda item: item[0]
                )
            )
        )

    @cached_property
    def by_feature(self) -> dict[str, ValueSet]:
        """The sets by their feature's name."""
        return dict(self.sets)

    @cached_property
    def is_empty(self) -> bool:
        """Whether no row is in the box."""
        return any(values.is_empty for _, values in self.sets)

    def __contains__(self, row: object) -> bool:
        return isinstance(row, Mapping) and all(row.get(name) in values for name, values in self.sets)

    def intersect(self, other: Box) -> Box:
        """The rows in both boxes."""
        sets = dict(self.sets)
        for name, values in other.sets:
            sets[name] = _meet(sets[name], values) if name in sets else values
        return Box.of(sets)

    def meets(self, other: Box) -> bool:
        """Whether some row is in both boxes."""
        if self.is_empty or other.is_empty:
            return False
        mine = self.by_feature
        return not any(name in mine and _meet(mine[name], values).is_empty for name, values in other.sets)

    def within(self, other: Box) -> bool:
        """Whether every row of this box is in the other."""
        if self.is_empty:
            return True
        mine = self.by_feature
        return all(name in mine and _meet(mine[name], values.complement()).is_empty for name, values in other.sets)

    def subtract(self, other: Box) -> tuple[Box, ...]:
        """The rows of this box that aren't in the other, as disjoint boxes."""
        if not self.meets(other):
            return () if self.is_empty else (self,)
        pieces: list[Box] = []
        rest = dict(self.sets)
        for name, values in other.sets:
            outside = values.complement()
            piece = _meet(rest[name], outside) if name in rest else outside
            if not piece.is_empty:
                pieces.append(Box.of({**rest, name: piece}))
            rest[name] = _meet(rest[name], values) if name in rest else values
        return tuple(pieces)

    def witness(self, schema: Schema) -> dict[str, float | str | None]:
        """A whole row that is in the box; raises `EmptyRegion`."""
        if self.is_empty:
            raise EmptyRegion("an empty region has no witness")
        mine = self.by_feature
        return {
            feature.name: (mine.get(feature.name) or full_set(feature)).example(feature) for feature in schema.features
        }


@dataclass(frozen=True)
class Part:
    """The rows of a box that are in none of its holes."""

    box: Box
    holes: tuple[Box, ...] = ()

    @classmethod
    def of(cls, box: Box, holes: Iterable[Box] = ()) -> Part:
        """Build the part, without holes that don't matter to it."""
        return cls(box, tuple(dict.fromkeys(hole for hole in holes if box.meets(hole))))

    def boxes(self, limit: int = MOST_BOXES) -> Iterator[Box]:
        """The same rows as disjoint boxes, found one by one; raises `TooComplex` past ``limit`` steps."""
        stack = [(self.box, 0)]
        steps = 0
        while stack:
            box, place = stack.pop()
            steps += 1
            if steps > limit:
                raise TooComplex(
                    f"writing a region as disjoint boxes takes more than {limit:,} steps; use fewer overlapping rules"
                )
            while place < len(self.holes) and not box.meets(self.holes[place]):
                place += 1
            if place == len(self.holes):
                if not box.is_empty:
                    yield box
                continue
            stack.extend((piece, place + 1) for piece in reversed(box.subtract(self.holes[place])))

    def __contains__(self, row: object) -> bool:
        return row in self.box and not any(row in hole for hole in self.holes)


@dataclass(frozen=True)
class Region:
    """A union of boxes with holes: the exact set of rows that something is about.

    Holes keep a region small where the disjoint boxes would be many: what ten earlier rules leave
    of a rule is one part with ten holes.
    """

    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, *boxes: Box) -> Region:
        """The union of boxes."""
        return cls(tuple(Part(box) for box in boxes if not box.is_empty))

    def __contains__(self, row: object) -> bool:
        return any(row in part for part in self.parts)

    def intersect(self, other: Region) -> Region:
        """The rows in both regions."""
        parts = (
            Part.of(mine.box.intersect(theirs.box), mine.holes + theirs.holes)
            for mine in self.parts
            for theirs in other.parts
            if mine.box.meets(theirs.box)
        )
        return Region(tuple(parts))

    def meets(self, other: Region) -> bool:
        """Whether a box of this region meets one of the other; what their holes take isn't looked at."""
        return any(mine.box.meets(theirs.box) for mine in self.parts for theirs in other.parts)

    def without(self, *boxes: Box) -> Region:
        """The rows of this region that are in none of the boxes."""
        return Region(tuple(Part.of(part.box, part.holes + boxes) for part in self.parts))

    def boxes(self, limit: int = MOST_BOXES) -> tuple[Box, ...]:
        """The same rows as disjoint boxes; raises `TooComplex` past ``limit`` boxes."""
        found: list[Box] = []
        earlier: list[Part] = []
        for part in self.parts:
            for box in part.boxes(limit):
                found.extend(_outside(box, earlier, limit))
                _check_limit(len(found), limit)
            earlier.append(part)
        return tuple(found)

    def first_box(self, limit: int = MOST_BOXES) -> Box | None:
        """One box of the region, or None where it is empty."""
        for part in self.parts:
            for box in part.boxes(limit):
                return box
        return None

    @property
    def is_empty(self) -> bool:
        """Whether no row is in the region."""
        return self.first_box() is None

    def within(self, other: Box) -> bool:
        """Whether every row of the region is in the box."""
        return self.without(other).is_empty

    def witness(self, schema: Schema) -> dict[str, float | str | None]:
        """A whole row that is in the region; raises `EmptyRegion`."""
        box = self.first_box()
        if box is None:
            raise EmptyRegion("an empty region has no witness")
        return box.witness(schema)


#: The region without rows.
NOWHERE = Region()


def _outside(box: Box, parts: list[Part], limit: int) -> list[Box]:
    """The rows of a box that are in none of the parts, as disjoint boxes."""
    boxes = [box]
    for part in parts:
        kept: list[Box] = []
        for piece in boxes:
            kept.extend(piece.subtract(part.box))
            # What lies in a hole of the part isn't in the part.
            inner = piece.intersect(part.box)
            if not inner.is_empty:
                taken: list[Box] = [inner]
                for filled in part.boxes(limit):
                    taken = [rest for part_of in taken for rest in part_of.subtract(filled)]
                kept.extend(taken)
            _check_limit(len(kept), limit)
        boxes = kept
    return boxes


def _check_limit(boxes: int, limit: int) -> None:
    if boxes > limit:
        raise TooComplex(f"a region takes more than {limit:,} disjoint boxes; use fewer overlapping rules")


def full_set(feature: Feature) -> ValueSet:
    """Every value of a feature."""
    if feature.is_number:
        return NumberSet.of([(-math.inf, math.inf)], True, feature)
    return TextSet.of((), True, True, feature)


def clause_set(clause: Clause, feature: Feature) -> ValueSet:
    """The values of the feature for which the clause is true; raises `ClauseRefused` and its kin."""
    check_clause(clause, feature)
    if not clause.values:
        return _missing_set(clause, feature)
    if feature.is_number:
        return _number_set(clause, feature)
    texts = [str(value) for value in clause.values]
    return TextSet.of(texts, clause.operator in ("!=", "not in"), False, feature)


def rule_box(rule: Rule, schema: Schema) -> Box:
    """The rows that a rule describes, order aside."""
    return clauses_box(rule.clauses, schema)


def clauses_box(clauses: Iterable[Clause], schema: Schema) -> Box:
    """The rows for which every clause is true."""
    sets: dict[str, ValueSet] = {}
    for clause in clauses:
        values = clause_set(clause, schema.feature(clause.feature))
        sets[clause.feature] = _meet(sets[clause.feature], values) if clause.feature in sets else values
    return Box.of(sets)


def check_clause(clause: Clause, feature: Feature) -> None:
    """Raise where operator or value doesn't fit the feature, saying what would."""
    _check_values(clause)
    ordered = clause.operator in ("<", "<=", ">", ">=", "between")
    if ordered and not feature.is_number:
        raise ClauseRefused(f"{clause}: {feature.name!r} is {feature.kind} and has no order; use =, !=, in, not in")
    for value in clause.values:
        if feature.is_number:
            _check_number(clause, value, feature)
        else:
            _check_text(clause, value, feature)


def check_rule(rule: Rule, schema: Schema) -> None:
    """Raise where a rule doesn't fit the schema or no row can satisfy it."""
    if not rule.clauses:
        raise EmptyRegion(f"rule {rule.id} has no clause; a rule has at least one, the default answers for the rest")
    if rule_box(rule, schema).is_empty:
        raise EmptyRegion(f"no row can satisfy {rule}{_why_empty(rule, schema)}")
    for name in rule.outcome.classes:
        schema.check_class(name)


def _why_empty(rule: Rule, schema: Schema) -> str:
    for name, values in rule_box(rule, schema).sets:
        if values.is_empty:
            clauses = " AND ".join(str(clause) for clause in rule.clauses if clause.feature == name)
            feature = schema.feature(name)
            integer = ", an integer" if feature.kind == "integer" else ""
            forbidden = (
                "; the schema forbids missing values there" if "is missing" in clauses and not feature.missing else ""
            )
            return f": {clauses} leaves no value of {name!r}{integer}{forbidden}"
    return ""


def _check_values(clause: Clause) -> None:
    """Raise where the operator doesn't take so many values: no text says that, but code can."""
    least, most, takes = _TAKES.get(clause.operator, (1, 1, "one value"))
    if not least <= len(clause.values) <= most:
        raise ClauseRefused(f"{clause.feature!r} {clause.operator} takes {takes}, not {len(clause.values)}")


def _check_number(clause: Clause, value: Scalar, feature: Feature) -> None:
    if isinstance(value, str):
        raise ClauseRefused(f"{clause}: {feature.name!r} is {feature.kind}, {value!r} is no number")
    value = read_number(value)
    if not math.isfinite(value):
        raise ClauseRefused(f"{clause}: {number_text(value)} is no number for a clause; leave an open bound out")
    if feature.kind == "integer" and value != math.floor(value):
        raise ClauseRefused(f"{clause}: {feature.name!r} is integer, {number_text(value)} is not whole")
    low, high = feature.low, feature.high
    if (low is not None and value < low) or (high is not None and value > high):
        span = f"{'-inf' if low is None else number_text(low)} to {'inf' if high is None else number_text(high)}"
        raise ValueOutOfRange(
            f"{clause}: {number_text(value)} is outside the range of {feature.name!r}, {span}; "
            "widen the range in the schema if it is right"
        )


def _check_text(clause: Clause, value: Scalar, feature: Feature) -> None:
    if not isinstance(value, str):
        raise ClauseRefused(
            f"{clause}: {feature.name!r} is {feature.kind}; write its values as text, '{number_text(value)}'"
        )
    if value not in feature.code_of:
        raise UnknownCategory.among(value, feature.values, where=f" of {feature.name!r}")


def _missing_set(clause: Clause, feature: Feature) -> ValueSet:
    present = clause.operator == "is not missing"
    if feature.is_number:
        return NumberSet.of([(-math.inf, math.inf)] if present else [], not present, feature)
    return TextSet.of((), present, not present, feature)


def _number_set(clause: Clause, feature: Feature) -> NumberSet:
    whole = feature.kind == "integer"
    numbers = [read_number(float(value)) for value in clause.values]
    first = numbers[0]
    if clause.operator in ("in", "=", "not in", "!="):
        points = NumberSet.of([(number, number) for number in numbers], False, feature)
        if clause.operator in ("in", "="):
            return points
        return NumberSet.of(points.complement().intervals, False, feature)
    intervals: dict[str, Interval] = {
        "<": (-math.inf, before(first, whole)),
        "<=": (-math.inf, first),
        ">": (after(first, whole), math.inf),
        ">=": (first, math.inf),
        "between": (first, numbers[-1]),
    }
    return NumberSet.of([intervals[clause.operator]], False, feature)


def _meet(one: ValueSet, other: ValueSet) -> ValueSet:
    if isinstance(one, NumberSet) and isinstance(other, NumberSet):
        return one.intersect(other)
    assert isinstance(one, TextSet)
    assert isinstance(other, TextSet)
    return one.intersect(other)


def _joined(intervals: Iterable[Interval], whole: bool) -> tuple[Interval, ...]:
    """Sort, round to integers where ``whole``, drop empty intervals and join neighbours."""
    joined: list[Interval] = []
    for low, high in sorted(_rounded(interval, whole) for interval in intervals):
        if low > high or low == math.inf or high == -math.inf:
            continue
        if joined and (low <= joined[-1][1] or low == after(joined[-1][1], whole)):
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return tuple(joined)


def _rounded(interval: Interval, whole: bool) -> Interval:
    low, high = interval
    if whole:
        low, high = (
            (low if math.isinf(low) else float(math.ceil(low))),
            (high if math.isinf(high) else float(math.floor(high))),
        )
    # Nothing lies past the largest double, so a bound there is none.
    return (-math.inf if low <= -_LARGEST else low), (math.inf if high >= _LARGEST else high)


def _readable(low: float, high: float, whole: bool) -> float:
    """The number with the fewest digits near the middle of a closed interval."""
    if math.isinf(low) and math.isinf(high):
        return 0.0
    if math.isinf(low) or math.isinf(high):
        return _readable_beside(high if math.isinf(low) else low, below=math.isinf(low))
    middle = low + (high - low) / 2.0
    for digits in range(-15, 18):
        rounded = 0.0 if abs(round(middle, digits)) <= ZERO else round(middle, digits)
        if low <= rounded <= high and not (whole and rounded != math.floor(rounded)):
            return rounded
    return low


def _readable_beside(bound: float, *, below: bool) -> float:
    whole = math.floor(bound) if below else math.ceil(bound)
    return float(whole) if abs(bound) < LARGEST_INTEGER else bound


def box_clauses(box: Box, schema: Schema, wording: Iterable[Clause] = ()) -> list[tuple[Clause, ...]]:
    """The box as conjunctions of clauses that are disjoint and together say exactly the box.

    One conjunction where each set can be said by clauses of one rule; a set like "below 3 or
    missing" takes two. Where the clauses in ``wording`` say a feature's set they are taken as
    they stand, so that nobody's ``> 30`` comes back as ``>= 31``.
    """
    worded: dict[str, tuple[Clause, ...]] = {}
    for clause in wording:
        worded[clause.feature] = (*worded.get(clause.feature, ()), clause)
    conjunctions: list[tuple[Clause, ...]] = [()]
    for feature in schema.features:
        values = box.by_feature.get(feature.name)
        if values is None:
            continue
        options = set_clauses(values, feature)
        same = worded.get(feature.name, ())
        if same and clauses_box(same, schema).by_feature.get(feature.name) == values:
            options = [same]
        conjunctions = [done + option for done in conjunctions for option in options]
    return conjunctions


def simplify(clauses: Iterable[Clause], schema: Schema) -> tuple[Clause, ...]:
    """The fewest clauses that say the same: no ``a < 5 and a < 10``; raises `EmptyRegion` where no row is left.

    None are left where the clauses hold for every row.
    """
    kept = tuple(clauses)
    box = clauses_box(kept, schema)
    if box.is_empty:
        raise EmptyRegion(f"no row can satisfy {' AND '.join(map(str, kept))}")
    fewest: list[Clause] = []
    for name in dict.fromkeys(clause.feature for clause in kept):
        if name in box.by_feature:
            mine = [clause for clause in kept if clause.feature == name]
            fewest.extend(_one_conjunction(box.by_feature[name], mine, schema.feature(name)))
    return tuple(fewest)


def set_clauses(values: ValueSet, feature: Feature) -> list[tuple[Clause, ...]]:
    """A set of values as disjoint conjunctions of clauses on its feature."""
    options: list[tuple[Clause, ...]] = []
    if isinstance(values, NumberSet):
        options.extend(_number_clauses(values, feature))
    elif values.members or values.inverted:
        options.append(_text_clauses(values, feature))
    if values.missing:
        options.append((Clause(feature.name, "is missing"),))
    return options


def _number_clauses(values: NumberSet, feature: Feature) -> list[tuple[Clause, ...]]:
    """A conjunction for each interval; single values come together in one clause."""
    found = [_interval_clauses(hull, points, feature) for hull, points in _groups(values)]
    listed = tuple(value for clauses in found if clauses[0].operator in ("=", "in") for value in clauses[0].values)
    options = [clauses for clauses in found if clauses[0].operator not in ("=", "in")]
    return [*options, (_listing(listed, False, feature),)] if listed else options


def _one_conjunction(values: ValueSet, clauses: list[Clause], feature: Feature) -> tuple[Clause, ...]:
    """The set that a conjunction of ``clauses`` on one feature left, again as one conjunction."""
    options = set_clauses(values, feature)
    if len(options) == 1:
        return options[0]
    # Several intervals: lists of numbers made them, so the numbers that the clauses name say them again.
    assert isinstance(values, NumberSet)
    named = sorted({read_number(float(value)) for clause in clauses for value in clause.values})
    if any(clause.operator in ("in", "=") for clause in clauses):
        return (_listing(tuple(value for value in named if value in values), False, feature),)
    low, high = values.intervals[0][0], values.intervals[-1][1]
    return _interval_clauses(
        (low, high), [value for value in named if low < value < high and value not in values], feature
    )


def _groups(values: NumberSet) -> Iterator[tuple[Interval, list[float]]]:
    """The hull of intervals that only single points keep apart, with those points."""
    hull: Interval | None = None
    points: list[float] = []
    for low, high in values.intervals:
        if hull is not None and after(after(hull[1], values.whole), values.whole) == low:
            points.append(before(low, values.whole))
            hull = (hull[0], high)
            continue
        if hull is not None:
            yield hull, points
        hull, points = (low, high), []
    if hull is not None:
        yield hull, points


def _interval_clauses(hull: Interval, points: list[float], feature: Feature) -> tuple[Clause, ...]:
    """The clauses for an interval without some points in it; `=` or `in` alone where the values are few."""
    low, high = hull
    few = _few_values(hull, points, feature.kind == "integer", most=2 + len(points) if points else 1)
    if few:
        return (_listing(few, False, feature),)
    bounds = [_bound(low, True, feature)] if low > -math.inf else []
    bounds += [_bound(high, False, feature)] if high < math.inf else []
    if [bound.operator for bound in bounds] == [">=", "<="]:
        bounds = [Clause(feature.name, "between", (low, high))]
    if points:
        return (*bounds, _listing(tuple(points), True, feature))
    return tuple(bounds) or (Clause(feature.name, "is not missing"),)


def _few_values(hull: Interval, points: list[float], whole: bool, most: int) -> tuple[float, ...]:
    """The values of an interval beside the points, or none where they are more than ``most``."""
    if math.isinf(hull[0]) or math.isinf(hull[1]):
        return ()
    found: list[float] = []
    value = hull[0]
    while value <= hull[1]:
        if value not in points:
            found.append(value)
        if len(found) > most:
            return ()
        value = after(value, whole)
    return tuple(found)


def _listing(values: tuple[Scalar, ...], inverted: bool, feature: Feature) -> Clause:
    if len(values) == 1:
        return Clause(feature.name, "!=" if inverted else "=", values[0])
    return Clause(feature.name, "not in" if inverted else "in", values)


def _bound(value: float, is_low: bool, feature: Feature) -> Clause:
    """A bound as ``>= value``, or as ``> the value before`` where that is shorter or alone in the range."""
    whole = feature.kind == "integer"
    opened = before(value, whole) if is_low else after(value, whole)
    shorter = not whole and len(number_text(opened)) < len(number_text(value))
    if (shorter and _in_range(opened, feature)) or not _in_range(value, feature):
        return Clause(feature.name, ">" if is_low else "<", opened)
    return Clause(feature.name, ">=" if is_low else "<=", value)


def _in_range(value: float, feature: Feature) -> bool:
    return (feature.low is None or value >= feature.low) and (feature.high is None or value <= feature.high)


def _text_clauses(values: TextSet, feature: Feature) -> tuple[Clause, ...]:
    known = {value: place for place, value in enumerate(feature.values)}
    members = tuple(sorted(values.members, key=lambda value: (known.get(value, len(known)), value)))
    if not members or (values.closed and len(members) == 2):
        return (Clause(feature.name, "is not missing"),)
    return (_listing(members, values.inverted, feature),)


def clause_cost(rule: Rule) -> int:
    """Clauses as a person counts them: a bound one, an interval two, a category set one a value."""
    return sum(
        len(clause.values) if clause.operator in ("in", "not in") else 2 if clause.operator == "between" else 1
        for clause in rule.clauses
    )


def box_text(box: Box, schema: Schema) -> str:
    """A box as text, for messages: clauses joined by AND; a set that takes several, like "below 3 or missing", by OR.

    Its length grows with the features, where that of `box_clauses` can double with each.
    """
    options = _options(box, schema)
    if len(options) == 1:
        return " OR ".join(_conjunction(clauses) for clauses in options[0])
    texts = [_conjunction(of[0]) if len(of) == 1 else f"({' OR '.join(map(_conjunction, of))})" for of in options]
    return " AND ".join(texts) or "every row"


def example_text(box: Box, schema: Schema) -> str:
    """A part of a box as one conjunction, for "one such row is where ...": values rather than missing ones."""
    return " AND ".join(_conjunction(of[0]) for of in _options(box, schema)) or "every row"


def _options(box: Box, schema: Schema) -> list[list[tuple[Clause, ...]]]:
    """For each feature that the box bounds the conjunctions that say its set, missing values last."""
    return [set_clauses(box.by_feature[one.name], one) for one in schema.features if one.name in box.by_feature]


def _conjunction(clauses: tuple[Clause, ...]) -> str:
    return " AND ".join(map(str, clauses))
