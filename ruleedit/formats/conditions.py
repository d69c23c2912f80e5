"""What the exports share: the ordered rules, and each clause as a condition on the values as they stand in a table.

A table's numbers are raw: the ones that RuleEdit and LightGBM read as 0 (`ruleedit.rules.ZERO`) are still themselves
there. A clause on 0 is therefore written on the bounds of what is read as 0; every other threshold lies outside of
these and stands as it is. In a condition, as in a clause, a missing value makes everything false but `is missing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from ruleedit.conflicts import effective
from ruleedit.drafts import Draft
from ruleedit.errors import Refused
from ruleedit.rules import ZERO, Clause, Outcome, Rule, RuleSet, read_number
from ruleedit.schema import Feature, Schema


@dataclass(frozen=True)
class Bound:
    """One end of a range; ``closed`` where the value itself is inside."""

    value: float
    closed: bool


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds; None is an open end."""

    low: Bound | None = None
    high: Bound | None = None

    @property
    def point(self) -> float | None:
        """The only number inside, where the range is that: an ``=``."""
        if self.low is None or self.low != self.high or not self.low.closed:
            return None
        return self.low.value

    @property
    def outside(self) -> tuple[Range, ...]:
        """The present numbers that aren't in the range; for a range that isn't reversed."""
        below = () if self.low is None else (Range(None, Bound(self.low.value, not self.low.closed)),)
        above = () if self.high is None else (Range(Bound(self.high.value, not self.high.closed), None),)
        return (*below, *above)

    @property
    def bounds(self) -> tuple[float, ...]:
        """The numbers that the range names."""
        return tuple(bound.value for bound in (self.low, self.high) if bound is not None)


@dataclass(frozen=True)
class Numbers:
    """A number in one of the ranges, or with ``inverted`` present and in none of them."""

    ranges: tuple[Range, ...]
    inverted: bool = False


@dataclass(frozen=True)
class Texts:
    """A category or a boolean that is one of the values, or with ``inverted`` present and none of them."""

    values: tuple[str, ...]
    inverted: bool = False


@dataclass(frozen=True)
class Missing:
    """A missing value, or with ``inverted`` a present one."""

    inverted: bool = False


Condition: TypeAlias = Numbers | Texts | Missing


def ordered(draft: Draft) -> RuleSet:
    """The rules in force as a list that needs nothing else: settlements written out, first match wins."""
    written = effective(draft.rules, draft.schema)
    return RuleSet(written.enabled, written.default)


def condition(clause: Clause, feature: Feature, *, zero: float = ZERO) -> Condition:
    """What a clause asks of a value as it stands in a table; up to ``zero`` a number is read as 0."""
    if not clause.values:
        return Missing(inverted=clause.operator == "is not missing")
    inverted = clause.operator in ("!=", "not in")
    if not feature.is_number:
        return Texts(tuple(dict.fromkeys(str(value) for value in clause.values)), inverted)
    beside = 1.0 if feature.kind == "integer" and zero else zero
    numbers = [read_number(float(value)) for value in clause.values]
    if clause.operator in ("=", "in") or inverted:
        points = (Range(_low(number, True, beside), _high(number, True, beside)) for number in dict.fromkeys(numbers))
        return Numbers(tuple(points), inverted)
    closed = clause.operator not in ("<", ">")
    low = _low(numbers[0], closed, beside) if clause.operator in (">", ">=", "between") else None
    high = _high(numbers[-1], closed, beside) if clause.operator in ("<", "<=", "between") else None
    return Numbers((Range(low, high),))


def conditions(rule: Rule, schema: Schema, *, zero: float = ZERO) -> tuple[tuple[Feature, Condition], ...]:
    """The rule's clauses as conditions, in their order."""
    features = [schema.feature(clause.feature) for clause in rule.clauses]
    return tuple(
        (feature, condition(clause, feature, zero=zero)) for clause, feature in zip(rule.clauses, features, strict=True)
    )


def top_class(outcome: Outcome, schema: Schema) -> str | None:
    """The class that an outcome answers; None for `model`."""
    return outcome.top(schema.classes)


def used_features(rules: RuleSet, schema: Schema) -> tuple[Feature, ...]:
    """The features that a rule names, in the schema's order."""
    named = {clause.feature for rule in rules for clause in rule.clauses}
    return tuple(feature for feature in schema.features if feature.name in named)


class CannotSay(Refused):
    """What a format can't express, with the rule or the feature that is in the way."""


def refuse(where: str, form: str, why: str) -> NoReturn:
    """Raise `CannotSay`: what can't be said in which format, and why."""
    raise CannotSay(f"{where}: {form} can't say it, {why}")


def refuse_model(rules: RuleSet, form: str, why: str) -> None:
    """Raise `Refused` for the first rule that leaves its rows to the model."""
    for rule in rules:
        if rule.outcome.is_model:
            refuse(f"rule {rule.id}", form, why)


def _low(number: float, closed: bool, beside: float) -> Bound:
    """A lower bound; for 0 one around what is read as 0: 1e-35 or so, or the next whole number, which reads better."""
    if number != 0.0:
        return Bound(number, closed)
    if beside == 1.0:
        return Bound(-beside if closed else beside, not closed)
    return Bound((-beside if closed else beside) + 0.0, closed)


def _high(number: float, closed: bool, beside: float) -> Bound:
    """An upper bound, the mirror of a lower one."""
    mirrored = _low(-number, closed, beside)
    return Bound(-mirrored.value + 0.0, mirrored.closed)
