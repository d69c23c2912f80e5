"""What a change of one row is, and how far: the values of a local view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ruleedit.feedback import Feedback
from ruleedit.matching import Matrix
from ruleedit.models import Background
from ruleedit.overlay import Mover
from ruleedit.rules import RuleSet, value_text
from ruleedit.schema import Feature, Schema

Cell: TypeAlias = float | str | None


@dataclass(frozen=True, eq=False)
class Change:
    """Other values for one row, and what is answered then.

    ``row`` (features,) is the changed row, encoded. ``distance`` is the sum over the features of
    |change| / standard deviation in training, plus 1 for each category that changes and each missing
    value that is filled in. ``least`` says that no smaller change is possible, among those that take
    no value away and leave the schema's ranges alone; where it is False the search ended at its limit.
    """

    outcome: str
    row: Matrix
    values: tuple[tuple[str, Cell, Cell], ...]
    distance: float
    least: bool

    def to_json(self) -> dict[str, Any]:
        """As JSON: what each changed feature was and is to be."""
        return {
            "outcome": self.outcome,
            "changes": {name: {"from": before, "to": after} for name, before, after in self.values},
            "distance": self.distance,
            "least": self.least,
        }

    def __str__(self) -> str:
        return ", ".join(f"{name} {_text(before)} -> {_text(after)}" for name, before, after in self.values)


def changed_values(old: Matrix, new: Matrix, schema: Schema) -> tuple[tuple[str, Cell, Cell], ...]:
    """The features that differ between two encoded rows (features,), with both values."""
    pairs = zip(schema.features, old.tolist(), new.tolist(), strict=True)
    return tuple(
        (feature.name, cell(feature, before), cell(feature, after))
        for feature, before, after in pairs
        if before != after and not (math.isnan(before) and math.isnan(after))
    )


def cell(feature: Feature, code: float) -> Cell:
    """An encoded value as a person reads it; None is missing, or a category never seen."""
    if math.isnan(code):
        return None
    if feature.is_number:
        return code
    return next((text for text, known in feature.code_of.items() if known == code), None)


def mover(rules: RuleSet, schema: Schema, background: Background) -> Mover:
    """What moves rows the least distance: the soft overlay's own, so that both measure alike."""
    return Mover(Feedback(schema, (), rules, rules), background)


def costs(values: Matrix, place: int, now: float, schema: Schema, background: Background) -> Matrix:
    """How far each value (n,) of a feature is from the one that the row has now; shape (n,)."""
    if not schema.features[place].is_number or math.isnan(now):
        same = np.isnan(values) if math.isnan(now) else values == now
        return np.where(same, 0.0, 1.0)
    return np.where(np.isnan(values), 1.0, np.abs(values - now) / background.deviations[place])


def _text(value: Cell) -> str:
    return "missing" if value is None else value_text(value)
