"""What in the data speaks against the edits: labels that contradict a rule, a cost elsewhere, experts who disagree.

Warnings, never refusals: whoever asserts a rule may know better than the labels. They need the
table's target, but for disagreements.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ruleedit.conflicts import Conflicts
from ruleedit.drafts import Draft
from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Mask, Matrix, region_mask
from ruleedit.retrain.objective import held_by_asking, macro_f1
from ruleedit.retrain.report import subgroups
from ruleedit.rules import value_text
from ruleedit.surrogate.fidelity import wilson

#: Where nobody gave a confidence, labels contradict a rule once most of them surely say something else.
CONFIDENCE = 0.5
#: How far macro F1 outside may fall before it is said: the bound that retraining is held to.
MOST_F1_LOST = 0.005
#: A subgroup's rate has shifted if it moved by so much more than the other rows' rate.
LEAST_SHIFT = 0.05
#: Subgroups of fewer rows say too little.
LEAST_ROWS = 30


@dataclass(frozen=True)
class Doubt:
    """One thing that speaks against the edits.

    ``kind`` is `contradicted` (``share`` of the ``rows`` of the rule have its outcome as their
    label, with the 95% interval), `outside` (macro F1 where nothing is asked falls by ``share``),
    `subgroup` (a rate in ``group`` moves by ``share`` more than among the other rows) or
    `disagreement` (rules of two authors meet on ``rows`` and say different things).
    """

    kind: str
    says: str
    rules: tuple[str, ...] = ()
    rows: int | None = None
    share: float | None = None
    interval: tuple[float, float] | None = None
    group: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON, without what doesn't apply."""
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}


def doubts(
    draft: Draft, asked: Feedback, rows: Matrix, truth: Indices | None, before: Indices, after: Indices
) -> tuple[Doubt, ...]:
    """Say what speaks against a draft's edits on a table.

    ``rows`` are encoded (n, features), ``truth`` (n,) the labels as places in schema order, None
    where the table has none; ``before`` and ``after`` (n,) what is decided without and with the edits.
    """
    found = [*_disagreements(draft, rows)]
    if truth is not None and len(rows):
        found = [
            *_contradicted(draft, asked, rows, truth),
            *_outside(asked, rows, truth, before, after),
            *_shifts(asked, rows, before, after),
            *found,
        ]
    return tuple(found)


def authors(draft: Draft) -> dict[str, str]:
    """Who wrote each asserted rule last, by its id; a rule that the base asserts has nobody."""
    found: dict[str, str] = {}
    for step in draft.history:
        for _, rule in step.change.put:
            found[rule.id] = step.author
    return found


def _contradicted(draft: Draft, asked: Feedback, rows: Matrix, truth: Indices) -> Iterator[Doubt]:
    held, wanted = asked.assign(rows), asked.outcome_codes()
    known = {rule.id: rule for rule in draft.rules}
    for place, rule in enumerate(asked):
        here = held == place
        if rule.kind != "asserted" or not rule.asks or not here.any():
            continue
        right, many = int((here & (truth == wanted[place])).sum()), int(here.sum())
        given = known[rule.source].confidence if rule.source in known else None
        least, interval = CONFIDENCE if given is None else given, wilson(right, many)
        if interval[1] < least:
            name = asked.schema.classes[wanted[place]]
            expected = "" if given is None else f", and its author expects {given:.0%}"
            says = (
                f"the data contradict {rule.id}: of {many:,} rows {right / many:.1%} are labelled {name!r} "
                f"({interval[0]:.1%} to {interval[1]:.1%}){expected}"
            )
            yield Doubt("contradicted", says, (rule.id,), many, right / many, interval)


def _outside(asked: Feedback, rows: Matrix, truth: Indices, before: Indices, after: Indices) -> Iterator[Doubt]:
    outside = held_by_asking(asked, rows) < 0
    classes = len(asked.schema.classes)
    old, new = (macro_f1(truth[outside], side[outside], classes) for side in (before, after))
    if old is not None and new is not None and old - new > MOST_F1_LOST:
        says = f"where nothing is asked macro F1 falls from {old:.3f} to {new:.3f}"
        yield Doubt("outside", says, rows=int(outside.sum()), share=old - new)


def _shifts(asked: Feedback, rows: Matrix, before: Indices, after: Indices) -> Iterator[Doubt]:
    schema = asked.schema
    for place in subgroups(schema, None):
        feature = schema.features[place]
        for text, code in feature.code_of.items():
            here: Mask = rows[:, place] == code
            if min(int(here.sum()), int((~here).sum())) < LEAST_ROWS:
                continue
            for number, name in enumerate(schema.classes):
                moved = _rate(after, number, here) - _rate(before, number, here)
                more = moved - (_rate(after, number, ~here) - _rate(before, number, ~here))
                if abs(more) > LEAST_SHIFT and abs(moved) > LEAST_SHIFT:
                    group = f"{feature.name} = {value_text(text)}"
                    old, new = _rate(before, number, here), _rate(after, number, here)
                    says = f"{name!r} where {group}: from {old:.1%} to {new:.1%}, {abs(more):.1%} more than elsewhere"
                    yield Doubt("subgroup", says, rows=int(here.sum()), share=more, group=group)


def _rate(outcomes: Indices, code: int, here: Mask) -> float:
    return float((outcomes[here] == code).mean())


def _disagreements(draft: Draft, rows: Matrix) -> Iterator[Doubt]:
    wrote = authors(draft)
    for conflict in Conflicts(draft.rules, draft.schema).all:
        names: Sequence[str] = list(dict.fromkeys(wrote[rule] for rule in conflict.rules if wrote.get(rule)))
        if len(names) > 1:
            many = int(region_mask(conflict.region, rows, draft.schema).sum())
            settled = "settled" if conflict.resolved else "unresolved"
            sides = ", ".join(
                f"{rule} ({wrote.get(rule) or 'nobody'}) says {outcome}"
                for rule, outcome in zip(conflict.rules, conflict.outcomes, strict=True)
            )
            yield Doubt("disagreement", f"experts disagree on {many:,} rows: {sides}; {settled}", conflict.rules, many)
