"""Decisions with their reasons: what one row is answered, why, and what to beware of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ruleedit.drafts import Draft, Step
from ruleedit.errors import TableError, ValueRefused
from ruleedit.local import LocalView, local_view
from ruleedit.matching import Matrix
from ruleedit.overlay import BY
from ruleedit.regions import box_text
from ruleedit.release import Release
from ruleedit.rules import Outcome, number_text
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode


@dataclass(frozen=True)
class Decision:
    """One row's answer.

    ``rule`` is the feedback rule that holds the row, None where nothing is asked. ``reason_codes``
    say for programs what ``reasons`` say for people. ``change`` says why the outcome isn't the
    model's own, None where it is. ``moved`` holds the values that the model was asked about
    instead of the row's own (soft overlay).
    """

    outcome: str
    probabilities: dict[str, float]
    model_outcome: str | None
    rule: str | None
    by: str
    reasons: tuple[str, ...]
    reason_codes: tuple[str, ...]
    change: Mapping[str, Any] | None
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
            "reason_codes": list(self.reason_codes),
            "change": self.change,
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
    grounds = Grounds(release)
    described = grounds.described(rows)
    classes = release.schema.classes
    own = answers.model_outcomes
    decisions = []
    for row in range(len(rows)):
        held, outcome = int(answers.held[row]), int(answers.outcomes[row])
        ground = grounds.of(held, int(described[row]))
        changed = own is not None and outcome != int(own[row])
        decisions.append(
            Decision(
                outcome=classes[outcome],
                probabilities=dict(zip(classes, answers.probabilities[row].tolist(), strict=True)),
                model_outcome=None if own is None else classes[own[row]],
                rule=release.labels[held] if held >= 0 else None,
                by=BY[answers.by[row]],
                reasons=ground.reasons,
                reason_codes=ground.codes,
                change=ground.change if changed else None,
                warnings=tuple(warnings[row]),
                moved=changed_values(release.schema, rows[row], answers.moved[moved[row]]) if row in moved else None,
            )
        )
    return decisions


def explain_row(release: Release, frame: pd.DataFrame, row: int) -> tuple[Decision, LocalView]:
    """Decide one row of a table, counted from 0, and look at it closely.

    Raises `TableError` where there is no such row, and as `ruleedit.tables.encode` does.
    """
    if not 0 <= row < len(frame):
        raise TableError(f"no row {row}; the table has rows 0 to {len(frame) - 1}")
    try:
        encoded = encode(frame.iloc[[row]], release.schema)
    except ValueRefused as problem:
        raise problem.of_row(f"row {row} (counted from 0)") from None
    decision = decide_encoded(release, encoded, row_warnings(encoded, release.schema))[0]
    rules = None if release.draft is None else release.draft.rules
    return decision, local_view(release.model, encoded[0], rules)


def row_warnings(rows: Matrix, schema: Schema) -> list[list[str]]:
    """What to beware of in each encoded row; see `warner`."""
    warn = warner(schema)
    return [warn(row) for row in rows.tolist()]


def warner(schema: Schema) -> Callable[[Sequence[float]], list[str]]:
    """What says what to beware of in one encoded row: missing values, unseen categories, numbers out of range."""
    ranges = [_range(feature) for feature in schema.features]

    def warn(row: Sequence[float]) -> list[str]:
        odd = [place for place, (low, high) in enumerate(ranges) if not low <= row[place] <= high]
        return [_warning(schema.features[place], row[place]) for place in odd]

    return warn


def _range(feature: Feature) -> tuple[float, float]:
    """The encoded values that nothing has to be said of; a missing one is in no range."""
    if not feature.is_number:
        return 1.0 if feature.kind == "categorical" else 0.0, np.inf
    return -np.inf if feature.low is None else feature.low, np.inf if feature.high is None else feature.high


def _warning(feature: Feature, value: float) -> str:
    if value != value:
        return f"{feature.name}: the value is missing"
    if not feature.is_number:
        return f"{feature.name}: a category never seen before"
    low, high = _range(feature)
    allowed = f"{number_text(low)} to {number_text(high)}"
    return f"{feature.name}: {number_text(value)} is outside the schema's range, {allowed}"


@dataclass(frozen=True)
class Ground:
    """Why a row is decided as it is: for people, for programs, and what to blame where the outcome was changed.

    ``says`` is the outcome that the rule names, None where it names none.
    """

    reasons: tuple[str, ...]
    codes: tuple[str, ...]
    change: Mapping[str, Any]
    says: str | None = None


class Grounds:
    """The grounds of one release's decisions, each worked out once.

    A row's ground depends only on the feedback rule that holds it and on the rule that describes
    the model there, so there are few. ``name`` is what a collateral change is blamed on: the
    release's id, or its revision where it has none.
    """

    def __init__(self, release: Release, name: str | None = None) -> None:
        self.release = release
        revision = release.draft.revision if release.draft is not None else release.model.file.hash
        self._collateral = {"cause": "collateral", "release": name or revision}
        self._known: dict[tuple[int, int], Ground] = {}

    def described(self, rows: Matrix) -> npt.NDArray[np.intp]:
        """For each encoded row the place of the rule that describes the model there, -1 for none; shape (n,)."""
        if self.release.draft is None:
            return np.full(len(rows), -1, dtype=np.intp)
        return self.release.describe(rows)

    def of(self, held: int, described: int) -> Ground:
        """The ground of a row that this feedback rule holds and this rule describes, by place; -1 for none."""
        key = (held, -1 if held >= 0 else described)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._made(*key)
        return known

    def says(self, code: str) -> str | None:
        """The outcome that the rule of a reason code names; None where it names none, or the code wasn't given yet."""
        return next((ground.says for ground in self._known.values() if ground.codes == (code,)), None)

    def _made(self, held: int, described: int) -> Ground:
        draft, feedback = self.release.draft, self.release.feedback
        if draft is None or feedback is None:
            return Ground((), (), self._collateral)
        if held < 0:
            if described < 0:
                said = f"the model; no rule describes it, the default says {draft.rules.default}"
                return Ground((said,), ("described:default",), self._collateral, self._top(draft.rules.default))
            rule = draft.rules.rules[described]
            said = f"the model; described by {rule.id}: {rule}"
            return Ground((said,), (f"described:{rule.id}",), self._collateral, self._top(rule.outcome))
        reason, code = self._held(held)
        # Where a rule says `model` nothing is asked: a change there is nobody's edit.
        change = self._edited(held) if feedback.rules[held].asks else self._collateral
        return Ground((reason,), (code,), change, self._top(feedback.rules[held].outcome))

    def _top(self, outcome: Outcome) -> str | None:
        return outcome.top(self.release.schema.classes)

    def _held(self, held: int) -> tuple[str, str]:
        assert self.release.draft is not None
        assert self.release.feedback is not None
        rule = self.release.feedback.rules[held]
        if rule.kind == "uncovered":
            said = f"{rule.id}: rows that an edit took from {rule.source} THEN {rule.outcome}"
            return said, f"uncovered:{rule.source}"
        known = {other.id: other for other in self.release.draft.rules}
        if rule.source in known:
            return f"{rule.source}: {known[rule.source]}", f"asserted:{rule.source}"
        where = box_text(rule.region.parts[0].box, self.release.schema) if rule.region.parts else ""
        return f"{rule.id}: settled where {where} THEN {rule.outcome}", f"settled:{rule.id}"

    def _edited(self, held: int) -> dict[str, Any]:
        assert self.release.draft is not None
        assert self.release.feedback is not None
        rule = self.release.feedback.rules[held]
        edits = [{"edit": step.edit, "revision": step.revision} for step in edits_of(self.release.draft, rule.source)]
        return {"cause": "edit", "rule": rule.id, "edits": edits}


def edits_of(draft: Draft, source: str) -> Iterator[Step]:
    """The edits that stand and that made a rule (or, of the form R1+R2, several) what it is, oldest first."""
    rules = set(source.split("+"))
    for place in draft.standing:
        step = draft.history[place]
        touched = {rule.id for _, rule in (*step.change.out, *step.change.put)}
        settled = () if step.change.settlements is None else step.change.settlements[1]
        if touched & rules or any(rules.issuperset(settlement.rules) for settlement in settled):
            yield step


def changed_values(schema: Schema, old: Matrix, new: Matrix) -> dict[str, float | str | None]:
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
