"""Decisions with their reasons: what one row is answered, why, and what to beware of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ruleedit.matching import Indices, Matrix
from ruleedit.overlay import BY, Answers
from ruleedit.regions import box_text
from ruleedit.release import Release
from ruleedit.rules import number_text
from ruleedit.schema import Schema
from ruleedit.tables import encode


@dataclass(frozen=True)
class Decision:
    """One row's answer.

    ``rule`` is the feedback rule that holds the row, None where nothing is asked. ``moved`` holds
    the values that the model was asked about instead of the row's own (soft overlay).
    """

    outcome: str
    probabilities: dict[str, float]
    model_outcome: str | None
    rule: str | None
    by: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    moved: dict[str, float | str | None] | None = None

    def to_json(self) -> dict[str, Any]:
        """As the command line and the API give it."""
        out: dict[str, Any] = {
            "outcome": self.outcome,
            "probabilities": self.probabilities,
            "model_outcome": self.model_outcome,
            "rule": self.rule,
            "by": self.by,
            "reasons": list(self.reasons),
            "warnings": list(self.warnings),
        }
        if self.moved is not None:
            out["moved"] = self.moved
        return out


def decide_rows(release: Release, frame: pd.DataFrame) -> list[Decision]:
    """Decide every row of a table with reasons; raises as `ruleedit.tables.encode` does."""
    rows = encode(frame, release.schema)
    return decide_encoded(release, rows, row_warnings(rows, release.schema))


def decide_encoded(release: Release, rows: Matrix, warnings: list[list[str]]) -> list[Decision]:
    """Decide encoded rows (n, features) that come with their warnings."""
    answers = release.answer(rows)
    moved = {int(row): place for place, row in enumerate(answers.moved_rows)}
    reasons = _reasons(release, rows, answers)
    classes = release.schema.classes
    own = answers.model_outcomes
    return [
        Decision(
            outcome=classes[answers.outcomes[row]],
            probabilities=dict(zip(classes, answers.probabilities[row].tolist(), strict=True)),
            model_outcome=None if own is None else classes[own[row]],
            rule=release.labels[answers.held[row]] if answers.held[row] >= 0 else None,
            by=BY[answers.by[row]],
            reasons=reasons[row],
            warnings=tuple(warnings[row]),
            moved=_changed_values(release.schema, rows[row], answers.moved[moved[row]]) if row in moved else None,
        )
        for row in range(len(rows))
    ]


def row_warnings(rows: Matrix, schema: Schema) -> list[list[str]]:
    """What to beware of in each encoded row: categories never seen, and numbers outside the schema's range."""
    warnings: list[list[str]] = [[] for _ in range(len(rows))]
    for place, feature in enumerate(schema.features):
        column = rows[:, place]
        if feature.kind == "categorical":
            for row in np.flatnonzero(column == 0.0):
                warnings[row].append(f"{feature.name}: a category never seen before")
        elif feature.is_number:
            low = -np.inf if feature.low is None else feature.low
            high = np.inf if feature.high is None else feature.high
            for row in np.flatnonzero((column < low) | (column > high)):
                seen = f"is outside the schema's range, {number_text(low)} to {number_text(high)}"
                warnings[row].append(f"{feature.name}: {number_text(column[row])} {seen}")
    return warnings


def _reasons(release: Release, rows: Matrix, answers: Answers) -> list[tuple[str, ...]]:
    """For each row the rule that holds it, and else the rule that describes what the model does there."""
    if release.draft is None or release.feedback is None:
        return [()] * len(rows)
    described = release.describe(rows)
    return [_reason(release, int(held), described, row) for row, held in enumerate(answers.held)]


def _reason(release: Release, held: int, described: Indices, row: int) -> tuple[str, ...]:
    assert release.draft is not None
    assert release.feedback is not None
    rules = release.draft.rules
    if held >= 0:
        rule = release.feedback.rules[held]
        if rule.kind == "uncovered":
            return (f"{rule.id}: rows that an edit took from {rule.source} THEN {rule.outcome}",)
        known = {other.id: other for other in rules}
        if rule.source in known:
            return (f"{rule.source}: {known[rule.source]}",)
        where = box_text(rule.region.parts[0].box, release.schema) if rule.region.parts else ""
        return (f"{rule.id}: settled where {where} THEN {rule.outcome}",)
    if described[row] < 0:
        return (f"the model; no rule describes it, the default says {rules.default}",)
    rule_id = rules.rules[described[row]].id
    return (f"the model; described by {rule_id}: {rules.rules[described[row]]}",)


def _changed_values(schema: Schema, old: Matrix, new: Matrix) -> dict[str, float | str | None]:
    """The values that differ between a row and the row that the model was asked about."""
    changed: dict[str, float | str | None] = {}
    for place, feature in enumerate(schema.features):
        before, after = float(old[place]), float(new[place])
        if before == after or (np.isnan(before) and np.isnan(after)):
            continue
        if np.isnan(after):
            changed[feature.name] = None
        elif feature.is_number:
            changed[feature.name] = after
        else:
            texts = {float(code): text for text, code in feature.code_of.items()}
            changed[feature.name] = texts.get(after)
    return changed
