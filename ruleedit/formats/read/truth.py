"""Three-valued logic over one feature: for which values a test is true, and for which it is false.

Standards differ from us on missing values: there a test on one may be neither. A test is the pair of its sets, and
what is in neither is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ruleedit.errors import ClauseRefused, UnknownCategory
from ruleedit.regions import NumberSet, TextSet, ValueSet, after, before, full_set
from ruleedit.rules import ZERO, Operator, read_number
from ruleedit.schema import Feature


def union(one: ValueSet, other: ValueSet) -> ValueSet:
    """The values in either set."""
    return meet(one.complement(), other.complement()).complement()


def meet(one: ValueSet, other: ValueSet) -> ValueSet:
    """The values in both sets."""
    if isinstance(one, NumberSet):
        assert isinstance(other, NumberSet)
        return one.intersect(other)
    assert isinstance(other, TextSet)
    return one.intersect(other)


@dataclass(frozen=True)
class Test:
    """The values for which it is true, and those for which it is false."""

    true: ValueSet
    false: ValueSet

    def __and__(self, other: Test) -> Test:
        return Test(meet(self.true, other.true), union(self.false, other.false))

    def __or__(self, other: Test) -> Test:
        return Test(union(self.true, other.true), meet(self.false, other.false))

    def __invert__(self) -> Test:
        return Test(self.false, self.true)


def always(feature: Feature) -> Test:
    """True for every value."""
    full = full_set(feature)
    return Test(full, full.complement())


def missing(feature: Feature) -> Test:
    """True for a missing value, false for any other."""
    present = _present(feature)
    return Test(present.complement(), present)


def comparison(operator: Operator, value: float, feature: Feature) -> Test:
    """A number compared with ``<``, ``<=``, ``>`` or ``>=``; unknown where it is missing."""
    true = NumberSet.of([_interval(operator, value, feature.kind == "integer")], False, feature)
    return Test(true, meet(_present(feature), true.complement()))


def equal(values: Iterable[float | str], feature: Feature, *, absent: Iterable[str] = ()) -> Test:
    """True for these values (texts in ``absent`` mean a missing one), false for every other, a missing one too."""
    given = list(values)
    gone = set(absent)
    true: ValueSet
    if feature.is_number:
        points = [read_number(_as_number(value, feature)) for value in given]
        true = NumberSet.of([(point, point) for point in points], False, feature)
    else:
        texts = [str(value) for value in given]
        for text in texts:
            if text not in feature.code_of and text not in gone:
                raise UnknownCategory.among(text, feature.values, where=f" of {feature.name!r}")
        true = TextSet.of([text for text in texts if text not in gone], False, bool(gone & set(texts)), feature)
    return Test(true, true.complement())


def known(test: Test, feature: Feature) -> Test:
    """The same test, unknown for a missing value."""
    present = _present(feature)
    return Test(meet(test.true, present), meet(test.false, present))


def _present(feature: Feature) -> ValueSet:
    if feature.is_number:
        return NumberSet.of([(-math.inf, math.inf)], False, feature)
    return TextSet.of((), True, False, feature)


def _as_number(value: float | str, feature: Feature) -> float:
    if isinstance(value, str):
        raise ClauseRefused(f"{value!r} is no number, and {feature.name!r} is {feature.kind}")
    if not math.isfinite(value):
        raise ClauseRefused(f"{value} is no number that {feature.name!r} could be compared with")
    return value


def _interval(operator: Operator, value: float, whole: bool) -> tuple[float, float]:
    """The numbers for which it is true. What we read as 0 is 0: whether it satisfies a tiny bound is asked of 0."""
    tiny = -ZERO <= value <= ZERO
    if operator in (">", ">="):
        closed = operator == ">=" or (tiny and value < 0.0)
        at = 0.0 if tiny else value
        return (at if closed and not (tiny and value > 0.0) else after(at, whole)), math.inf
    closed = operator == "<=" or (tiny and value > 0.0)
    at = 0.0 if tiny else value
    return -math.inf, (at if closed and not (tiny and value < 0.0) else before(at, whole))
