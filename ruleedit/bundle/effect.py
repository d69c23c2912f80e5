"""What a release did to the rows of its evidence: the figures that `verify.py` works out again by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleedit.conflicts import effective
from ruleedit.errors import Refused
from ruleedit.evidence import Evidence
from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Mask, Matrix, decide, outcome_codes
from ruleedit.models import outcome_codes as greatest
from ruleedit.release import Release
from ruleedit.retrain.report import Answers as Compared
from ruleedit.retrain.report import effect, flips_by_class
from ruleedit.schema import Schema

_RULE = ("rule", "outcome", "coverage", "mra_before", "mra_after", "distance_before", "distance_after")
_OUTSIDE = ("rows", "f1_before", "f1_after", "flips", "flipped", "flips_by_class")


@dataclass(frozen=True, eq=False)
class Measured:
    """Answers to n rows before and after, (n,), the feedback rule that holds each, (n,), and the figures.

    ``moved`` are the rows (m, features) that a soft overlay asked the model about, for ``moved_rows`` (m,).
    """

    before: Indices
    after: Indices
    held: Indices
    moved_rows: Indices
    moved: Matrix
    figures: dict[str, Any]


def measure(release: Release, evidence: Evidence, groups: Sequence[str] = ()) -> Measured:
    """Answer the rows before and after, and count.

    ``groups`` name features by whose values rows, decisions and accuracy are shown. Raises
    `UnknownFeature`, and `Refused` for a feature that is a number.
    """
    assert release.feedback is not None, "a model without edits has no effect"
    rows, truth, schema = evidence.rows, evidence.truth, release.schema
    first = release.before or release.model
    probabilities = first.proba(rows)
    before = Compared(probabilities, greatest(probabilities, first.thresholds))
    answers = release.answer(rows)
    after = Compared(answers.probabilities, answers.outcomes)
    changed = before.outcomes != after.outcomes
    told = effect(release.feedback, rows, truth, before, after).to_json()
    figures = {
        "rows": len(rows),
        "of": evidence.of,
        "outcomes": {
            "before": _shares(before.outcomes, schema),
            "after": _shares(after.outcomes, schema),
        },
        "changed": int(changed.sum()),
        "flips": flips_by_class(before.outcomes[changed], after.outcomes[changed], schema.classes),
        "feedback": [{name: item[name] for name in _RULE if name in item} for item in told["feedback"]],
        "outside": {name: told["outside"][name] for name in _OUTSIDE},
        "accuracy": {
            "before": _accuracy(before.outcomes, truth),
            "after": _accuracy(after.outcomes, truth),
        },
        "baselines": _baselines(release, rows, truth, before.outcomes),
        "groups": [
            _group(name, part, before.outcomes, after.outcomes, truth, schema)
            for name in groups
            for part in _parts(schema, name, rows)
        ],
    }
    return Measured(before.outcomes, after.outcomes, answers.held, answers.moved_rows, answers.moved, figures)


def feedback_json(feedback: Feedback) -> list[dict[str, Any]]:
    """What the edits ask for, rule by rule."""
    return [
        {"id": rule.id, "kind": rule.kind, "source": rule.source, "outcome": str(rule.outcome)} for rule in feedback
    ]


def _shares(answers: Indices, schema: Schema) -> dict[str, float]:
    counts = np.bincount(answers, minlength=len(schema.classes))
    return {name: float(count / len(answers)) for name, count in zip(schema.classes, counts, strict=True)}


def _accuracy(answers: Indices, truth: Indices | None) -> float | None:
    return None if truth is None else float((answers == truth).mean())


def _baselines(release: Release, rows: Matrix, truth: Indices | None, own: Indices) -> dict[str, Any]:
    """What knows less than the model: the commonest class in training, chance by its shares, the rules alone."""
    assert release.draft is not None
    counts = np.array(release.model.background.class_counts)
    majority = int(counts.argmax())
    base = effective(release.draft.base, release.schema)
    codes = outcome_codes([*(rule.outcome for rule in base), base.default], release.schema.classes)
    told: Indices = codes[decide(base, rows, release.schema)]
    chance = None if truth is None else float((counts / counts.sum())[truth].mean())
    return {
        "majority": {
            "class": release.schema.classes[majority],
            "accuracy": _accuracy(np.full(len(rows), majority), truth),
        },
        "random": {"accuracy": chance},
        "rules": {"accuracy": _accuracy(told, truth), "fidelity": float((told == own).mean())},
    }


@dataclass(frozen=True, eq=False)
class _Part:
    """The rows (mask, (n,)) with one value of a feature; no value is one never seen, or a missing one."""

    value: str | None
    missing: bool
    rows: Mask


def _parts(schema: Schema, name: str, rows: Matrix) -> list[_Part]:
    """The rows by a feature's values: known ones in order, one never seen, a missing one."""
    feature, column = schema.feature(name), rows[:, schema.index(name)]
    if feature.is_number:
        raise Refused(f"{name!r} is {feature.kind}; groups are by the values of a categorical or boolean feature")
    texts = {code: text for text, code in feature.code_of.items()}
    present = {texts.get(int(code)): column == code for code in np.unique(column[~np.isnan(column)])}
    found = [_Part(text, False, present[text]) for text in sorted(present, key=lambda text: (text is None, text or ""))]
    gone = np.isnan(column)
    return [*found, _Part(None, True, gone)] if gone.any() else found


def _group(
    name: str, part: _Part, before: Indices, after: Indices, truth: Indices | None, schema: Schema
) -> dict[str, Any]:
    here = None if truth is None else truth[part.rows]
    old, new = before[part.rows], after[part.rows]
    return {
        "feature": name,
        "value": part.value,
        "missing": part.missing,
        "rows": len(old),
        "before": _shares(old, schema),
        "after": _shares(new, schema),
        "changed": int((old != new).sum()),
        "accuracy_before": _accuracy(old, here),
        "accuracy_after": _accuracy(new, here),
    }
