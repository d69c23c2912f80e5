"""Tables with known answers, and random ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleedit.matching import Indices, Matrix
from ruleedit.rules import Clause, RuleSet
from ruleedit.schema import Feature, Schema
from tests.reference import Row, all_true, decides, encoded
from tests.strategies import Dice, make_row, make_schema

PEOPLE = Schema(
    (
        Feature("age", "integer", low=18.0, high=80.0),
        Feature("hours per week", "numeric", low=0.0, high=99.5),
        Feature("job", "categorical", categories=("clerk", "cook", "it's", "none", "smith")),
        Feature("member", "boolean"),
    ),
    "income",
    ("low", "middle", "high"),
)


@dataclass(frozen=True)
class Case:
    """Rows as dicts and encoded, with a model's answers."""

    schema: Schema
    rows: list[Row]
    answers: Indices

    @property
    def matrix(self) -> Matrix:
        """The rows, encoded."""
        return encoded(self.rows, self.schema)

    @property
    def given(self) -> tuple[Matrix, Indices, Schema]:
        """What `extract` and `fidelity` take first."""
        return self.matrix, self.answers, self.schema


def people(answer: Callable[[dict[str, Any]], str], *, rows: int = 400, missing: float = 0.0, seed: int = 0) -> Case:
    """People as they come, answered by a function of the row; a share of the cells is missing."""
    draw = np.random.default_rng(seed)
    found: list[Row] = []
    for _ in range(rows):
        row: dict[str, Any] = {
            "age": float(draw.integers(18, 81)),
            "hours per week": float(np.round(draw.uniform(0.0, 99.5), 3)),
            "job": str(draw.choice(PEOPLE.feature("job").categories)),
            "member": str(draw.choice(["false", "true"])),
        }
        found.append({name: None if draw.uniform() < missing else value for name, value in row.items()})
    answers = np.array([PEOPLE.classes.index(answer(dict(row))) for row in found], dtype=np.intp)
    return Case(PEOPLE, found, answers)


def random_case(seed: int, *, rows: int = 60) -> Case:
    """A schema with odd names, a table with missing and unseen values, and answers that follow it loosely."""
    dice = Dice(seed)
    schema = make_schema(dice)
    table = [make_row(dice, schema) for _ in range(rows)]
    feature = dice.pick(schema.features)
    pivot = table[0][feature.name]
    answers = [_loosely(row[feature.name], pivot, dice, len(schema.classes)) for row in table]
    answers[0], answers[-1] = 0, 1
    return Case(schema, table, np.array(answers, dtype=np.intp))


def _loosely(cell: float | str | None, pivot: float | str | None, dice: Dice, classes: int) -> int:
    if not dice.number(0, 5):
        return dice.number(0, classes - 1)
    if isinstance(cell, float) and isinstance(pivot, float):
        return int(cell > pivot)
    return int(cell == pivot)


def holds(clauses: tuple[Clause, ...], case: Case) -> list[bool]:
    """Row by row, whether every clause is true."""
    return [all_true(clauses, row, case.schema) for row in case.rows]


def said(rules: RuleSet, case: Case) -> list[str]:
    """Row by row, what the rules answer, decided one row at a time by the plain reading of the semantics."""
    outcomes = [*(rule.outcome for rule in rules), rules.default]
    tops = [outcomes[decides(rules, row, case.schema)].top(case.schema.classes) for row in case.rows]
    return [top for top in tops if top is not None]


def share(rules: RuleSet, case: Case) -> float:
    """The agreement, counted row by row."""
    answers = [case.schema.classes[answer] for answer in case.answers]
    agreed = [one == other for one, other in zip(said(rules, case), answers, strict=True)]
    return math.fsum(agreed) / len(agreed)
