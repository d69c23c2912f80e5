"""Conditions as FEEL unary tests, the cells of a DMN decision table.

Comparisons in FEEL are null, which isn't true, on a null value; ``not(...)`` would be true, so it lists null.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from ruleedit.formats.conditions import Bound, Condition, Missing, Numbers, Range, Texts, conditions
from ruleedit.rules import Rule, number_text
from ruleedit.schema import Feature, Schema

#: FEEL's keywords, so that a name with one of them is read differently from one engine to another.
_RESERVED = frozenset(
    (
        *("and", "or", "not", "in", "if", "then", "else", "for", "return", "some", "every", "satisfies", "between"),
        *("instance", "of", "function", "external", "null", "true", "false"),
    )
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[ ./*'+-][A-Za-z0-9_]+)*")


def is_name(text: str) -> bool:
    """Whether every engine reads the text as a name: letters, digits, single spaces, hyphens and the like."""
    return bool(_NAME.fullmatch(text)) and not _RESERVED & set(re.split(r"[ ./*'+-]", text.lower()))


def text_literal(text: str) -> str:
    """A FEEL string."""
    marks = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(marks.get(mark, mark) for mark in text) + '"'


def number_literal(value: float) -> str:
    """A FEEL number: exact, and without an exponent, which its grammar lacks."""
    return format(Decimal(number_text(value)), "f")


def cells(rule: Rule, features: Sequence[Feature], schema: Schema, absent: Sequence[str]) -> list[str]:
    """A unary test for each feature, ``-`` where the rule asks nothing of it."""
    asked: dict[Feature, list[Condition]] = {feature: [] for feature in features}
    for feature, what in conditions(rule, schema):
        if what not in asked[feature]:
            asked[feature].append(what)
    return [_cell(feature, _merged(found), absent) for feature, found in asked.items()]


def _merged(found: list[Condition]) -> list[Condition]:
    """The conditions with all plain ranges as one interval."""
    spans = [what.ranges[0] for what in found if isinstance(what, Numbers) and not what.inverted and _single(what)]
    if len(spans) < 2:
        return found
    lows = [span.low for span in spans if span.low is not None]
    highs = [span.high for span in spans if span.high is not None]
    low = max(lows, key=lambda bound: (bound.value, not bound.closed), default=None)
    high = min(highs, key=lambda bound: (bound.value, bound.closed), default=None)
    rest = [what for what in found if not isinstance(what, Numbers) or what.inverted or not _single(what)]
    return [Numbers((Range(low, high),)), *rest]


def _single(what: Numbers) -> bool:
    return len(what.ranges) == 1


def _cell(feature: Feature, found: list[Condition], absent: Sequence[str]) -> str:
    if not found:
        return "-"
    if len(found) == 1:
        return _unary(feature, found[0], absent)
    return _joined(feature, found, absent)


def _joined(feature: Feature, found: Sequence[Condition], absent: Sequence[str]) -> str:
    """Several conditions on one feature; null is ruled out first, because a test that gives null would equal it."""
    return " and ".join(["? != null", *(_qualified(feature, what, absent) for what in found)])


def _unary(feature: Feature, what: Condition, absent: Sequence[str]) -> str:
    """One condition in the short form."""
    if isinstance(what, Numbers):
        points = [span.point for span in what.ranges]
        if what.inverted and all(point is not None for point in points):
            return _negated([number_literal(point) for point in points if point is not None])
        if what.inverted:
            return _joined(feature, [what], absent) if len(points) > 1 else _either(what.ranges[0].outside)
        return _either(what.ranges)
    missing = ["null", *(text_literal(text) for text in absent if feature.kind == "categorical")]
    if isinstance(what, Missing):
        return f"not({', '.join(missing)})" if what.inverted else ", ".join(missing)
    values = [_value(text, feature) for text in what.values if text not in absent]
    return f"not({', '.join([*missing, *values])})" if what.inverted else ", ".join(values)


def _negated(values: Sequence[str]) -> str:
    return f"not({', '.join(['null', *values])})"


def _either(spans: Sequence[Range]) -> str:
    return ", ".join(map(_span, spans))


def _span(span: Range) -> str:
    """A range as a value, a comparison or an interval."""
    if span.point is not None:
        return number_literal(span.point)
    if span.low is not None and span.high is not None:
        opening, closing = "[" if span.low.closed else "(", "]" if span.high.closed else ")"
        return f"{opening}{number_literal(span.low.value)}..{number_literal(span.high.value)}{closing}"
    return _comparison(span.low, ">") or _comparison(span.high, "<")


def _comparison(bound: Bound | None, sign: str) -> str:
    return "" if bound is None else f"{sign}{'=' if bound.closed else ''} {number_literal(bound.value)}"


def _qualified(feature: Feature, what: Condition, absent: Sequence[str]) -> str:
    """One condition on a present value, with ``?`` for it."""
    if isinstance(what, Numbers):
        groups = [span.outside for span in what.ranges] if what.inverted else [what.ranges]
        return " and ".join(_any([_spoken(span) for span in group]) for group in groups)
    missing = [text_literal(text) for text in absent if feature.kind == "categorical"]
    values = [_value(text, feature) for text in what.values if text not in absent] if isinstance(what, Texts) else []
    if what.inverted:
        return " and ".join(f"? != {item}" for item in [*missing, *values] or ["null"])
    return _any([f"? = {item}" for item in values or missing or ["null"]])


def _any(tests: Sequence[str]) -> str:
    return tests[0] if len(tests) == 1 else f"({' or '.join(tests)})"


def _spoken(span: Range) -> str:
    if span.point is not None:
        return f"? = {number_literal(span.point)}"
    tests = [f"? {test}" for test in (_comparison(span.low, ">"), _comparison(span.high, "<")) if test]
    return tests[0] if len(tests) == 1 else f"({' and '.join(tests)})"


def _value(text: str, feature: Feature) -> str:
    return text if feature.kind == "boolean" else text_literal(text)
