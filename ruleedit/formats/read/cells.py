"""A cell of a table that people write: what it asks of its column's feature.

Empty and ``-`` ask nothing; ``26`` or ``car`` is that value, ``car, 'radio/tv'`` one of several; ``> 26``,
``> 26 and <= 40``, ``between 1 and 2``, ``not in (car)``, ``is missing`` are clauses without the name, and
``[20..40)`` is an interval.
"""

from __future__ import annotations

import re

from ruleedit.errors import RuleTextError
from ruleedit.rules import Clause, Operator, Scalar, number_text
from ruleedit.schema import Feature
from ruleedit.text import Reader

_NUMBER = r"[-+]?(?:\d+\.?\d*?|\.\d+)(?:[eE][-+]?\d+)?"
_INTERVAL = re.compile(rf"(?P<open>[\[\](])?\s*(?P<low>{_NUMBER})\s*\.\.\s*(?P<high>{_NUMBER})\s*(?P<close>[\])\[])?")
_STARTS = re.compile(r"[=!<>~]|(?:in|not|between|is|missing)\b", re.IGNORECASE)


def clauses(cell: str, feature: Feature) -> tuple[Clause, ...]:
    """The clauses of a cell; none where it asks nothing. Raises `RuleTextError`."""
    said = cell.strip()
    if said in ("", "-"):
        return ()
    interval = _INTERVAL.fullmatch(said)
    if interval is not None and feature.is_number:
        return _interval(interval, feature.name)
    if not feature.is_number and said in feature.values:
        return (Clause(feature.name, "=", said),)
    if _STARTS.match(said):
        return _spoken(said, feature.name)
    return (_listed(said, feature),)


def _interval(found: re.Match[str], name: str) -> tuple[Clause, ...]:
    if (found["open"] is None) != (found["close"] is None):
        raise RuleTextError(f"{found[0]!r} has one bracket; write [20..40), with both or without")
    low: Operator = ">" if found["open"] in ("(", "]") else ">="
    high: Operator = "<" if found["close"] in (")", "[") else "<="
    numbers = float(found["low"]), float(found["high"])
    if (low, high) == (">=", "<="):
        return (Clause(name, "between", numbers),)
    return Clause(name, low, numbers[0]), Clause(name, high, numbers[1])


def _spoken(said: str, name: str) -> tuple[Clause, ...]:
    """Clauses without the name, joined by AND."""
    found: list[Clause] = []
    reader = Reader(said)
    while True:
        if reader.accept("missing"):
            found.append(Clause(name, "is missing"))
        else:
            found.append(_negated_missing(reader, name) or reader.condition(name))
        if not reader.accept("and"):
            break
    reader.expect_end()
    return tuple(found)


def _negated_missing(reader: Reader, name: str) -> Clause | None:
    """`not missing`, as people say it; None where something else comes."""
    if reader.source.strip().lower() == "not missing":
        reader.rest()
        return Clause(name, "is not missing")
    return None


def _listed(said: str, feature: Feature) -> Clause:
    """A value, or several with commas between."""
    reader = Reader(said)
    values: list[Scalar] = [_value(reader, feature)]
    while reader.accept_mark(","):
        values.append(_value(reader, feature))
    reader.expect_end()
    if len(values) == 1:
        return Clause(feature.name, "=", values[0])
    return Clause(feature.name, "in", tuple(values))


def _value(reader: Reader, feature: Feature) -> Scalar:
    value = reader.scalar()
    if feature.is_number or isinstance(value, str):
        return value.lower() if feature.kind == "boolean" and isinstance(value, str) else value
    # A category of digits needs no quotes in a cell of its own.
    return number_text(value)
