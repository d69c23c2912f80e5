"""What is right, written as plainly as the semantics: one row at a time, without regions or arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ruleedit.rules import Clause, Rule, RuleSet
from ruleedit.schema import Feature, Schema

Cell: TypeAlias = float | str | None
Row: TypeAlias = Mapping[str, Cell]

#: The largest magnitude that LightGBM reads as zero: 1e-35 as a 32-bit number.
TINIEST = float(np.float32(1e-35))


def as_read(number: float) -> float:
    """A number as it is read everywhere: tiny magnitudes are 0."""
    return 0.0 if -TINIEST <= number <= TINIEST else number


def true_for(clause: Clause, row: Row, feature: Feature) -> bool:
    """Whether the clause is true for the row, by Semantics 1 to 3."""
    cell = row[clause.feature]
    if clause.operator == "is missing":
        return cell is None
    if cell is None:
        return False
    if clause.operator == "is not missing":
        return True
    if feature.is_number:
        assert not isinstance(cell, str)
        return _compare(clause.operator, as_read(cell), [as_read(float(value)) for value in clause.values])
    return _compare(clause.operator, cell, list(clause.values))


def _compare(operator: str, cell: Any, values: list[Any]) -> bool:
    if operator in ("=", "in"):
        return cell in values
    if operator in ("!=", "not in"):
        return cell not in values
    if operator == "between":
        return bool(values[0] <= cell <= values[1])
    signs = {"<": cell < values[0], "<=": cell <= values[0], ">": cell > values[0], ">=": cell >= values[0]}
    return bool(signs[operator])


def all_true(clauses: Iterable[Clause], row: Row, schema: Schema) -> bool:
    """Whether every clause is true for the row."""
    return all(true_for(clause, row, schema.feature(clause.feature)) for clause in clauses)


def covers(rule: Rule, row: Row, schema: Schema) -> bool:
    """Whether the rule describes the row, order aside."""
    return all_true(rule.clauses, row, schema)


def decides(rules: RuleSet, row: Row, schema: Schema) -> int:
    """The place of the first enabled rule that covers the row; -1 for the default."""
    for place, rule in enumerate(rules.rules):
        if rule.enabled and covers(rule, row, schema):
            return place
    return -1


def encoded(rows: Sequence[Row], schema: Schema) -> npt.NDArray[np.float64]:
    """The rows as the matrix that the encoder makes of them."""
    cells = [[_code(row[feature.name], feature) for feature in schema.features] for row in rows]
    return np.array(cells, dtype=float).reshape(len(rows), len(schema.features))


def _code(cell: Cell, feature: Feature) -> float:
    if cell is None:
        return math.nan
    if not isinstance(cell, str):
        return as_read(cell)
    if feature.kind == "boolean":
        return float(("false", "true").index(cell))
    return float(feature.categories.index(cell) + 1) if cell in feature.categories else 0.0
