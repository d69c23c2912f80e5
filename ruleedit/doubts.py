"""What in the data speaks against the edits: labels that contradict a rule, a cost elsewhere, experts who disagree.

Warnings, never refusals: whoever asserts a rule may know better than the labels. They need the
table's target, but for disagreements.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ruleedit.conflicts import Conflict, Conflicts
from ruleedit.drafts import Draft
from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Matrix, region_mask
from ruleedit.retrain.objective import f1_of
from ruleedit.retrain.report import subgroups
from ruleedit.rules import value_text
from ruleedit.schema import Schema
from ruleedit.surrogate.fidelity import wilson
from ruleedit.tables.sums import Counts, added, counted, total

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


@dataclass(frozen=True)
class Seen:
    """What a table says about a draft's edits, in counts; those of its parts add up to those of the table.

    ``unlabelled`` rows have no label (all, where the table has no target). ``labels`` has for each
    feedback rule its rows and those whose label is what it asks. ``outside`` counts the rows where nothing
    is asked by label and by what is decided: before, and after. ``groups`` has for each group of
    `_groups` the rows by what is decided, before and then after, and at its end the same of all rows.
    ``disputed`` are the rows of each conflict.
    """

    rows: int
    unlabelled: int
    labels: Counts
    outside: tuple[Counts, Counts]
    groups: Counts
    disputed: tuple[int, ...]

    def __add__(self, other: Seen) -> Seen:
        """The counts of both; raises `ValueError` for those of other rules."""
        before, after = (added(*sides) for sides in zip(self.outside, other.outside, strict=True))
        (disputed,) = added((self.disputed,), (other.disputed,))
        return Seen(
            self.rows + other.rows,
            self.unlabelled + other.unlabelled,
            added(self.labels, other.labels),
            (before, after),
            added(self.groups, other.groups),
            disputed,
        )


def seen(
    asked: Feedback,
    conflicts: Sequence[Conflict],
    rows: Matrix,
    truth: Indices | None,
    before: Indices,
    after: Indices,
) -> Seen:
    """Count what `doubts` goes by, on a table or a part of one; see there. ``conflicts`` are the draft's."""
    schema = asked.schema
    classes, rules = len(schema.classes), len(asked)
    labels: Counts = ((0, 0),) * rules
    none: Counts = ((0,) * classes,) * classes
    outside = none, none
    if truth is not None:
        held = asked.assign(rows)
        right = truth == np.append(asked.outcome_codes(), -1)[held]
        by_rule = counted(held + 1, right.astype(np.intp), (rules + 1, 2))[1:]
        labels = tuple((miss + hit, hit) for miss, hit in by_rule)
        free = ~asked.asks[held]
        before_there, after_there = (counted(truth[free], side[free], (classes, classes)) for side in (before, after))
        outside = before_there, after_there
    groups = [*(rows[:, place] == code for place, _, code in _groups(schema)), slice(None)]
    return Seen(
        rows=len(rows),
        unlabelled=0 if truth is not None else len(rows),
        labels=labels,
        outside=outside,
        groups=tuple(
            tuple(int(many) for side in (before, after) for many in np.bincount(side[here], minlength=classes))
            for here in groups
        ),
        disputed=tuple(int(region_mask(one.region, rows, schema).sum()) for one in conflicts),
    )


def doubts(
    draft: Draft, asked: Feedback, rows: Matrix, truth: Indices | None, before: Indices, after: Indices
) -> tuple[Doubt, ...]:
    """Say what speaks against a draft's edits on a table.

    ``rows`` are encoded (n, features), ``truth`` (n,) the labels as places in schema order, None
    where the table has none; ``before`` and ``after`` (n,) what is decided without and with the edits.
    """
    conflicts = Conflicts(draft.rules, draft.schema).all
    return doubts_of(draft, asked, conflicts, seen(asked, conflicts, rows, truth, before, after))


def doubts_of(draft: Draft, asked: Feedback, conflicts: Sequence[Conflict], counts: Seen) -> tuple[Doubt, ...]:
    """Say what speaks against a draft's edits, of the counts on a table; ``conflicts`` are the draft's."""
    found = [*_disagreements(draft, conflicts, counts.disputed)]
    if counts.rows and not counts.unlabelled:
        found = [
            *_contradicted(draft, asked, counts.labels),
            *_outside(counts.outside),
            *_shifts(asked.schema, counts.groups),
            *found,
        ]
    return tuple(found)


def authors(draft: Draft) -> dict[str, str]:
    """Who wrote each asserted rule last, by its id; a rule that the base asserts has nobody.

    Whoever says how sure a rule is hasn't written it.
    """
    found: dict[str, str] = {}
    written = {rule.id: rule for rule in draft.base}
    for step in draft.history:
        for _, rule in step.change.put:
            known = written.get(rule.id)
            if known is None or rule.replace(confidence=known.confidence) != known:
                found[rule.id] = step.author
            written[rule.id] = rule
    return found


def _contradicted(draft: Draft, asked: Feedback, labels: Counts) -> Iterator[Doubt]:
    wanted = asked.outcome_codes()
    known = {rule.id: rule for rule in draft.rules}
    for place, (rule, (many, right)) in enumerate(zip(asked, labels, strict=True)):
        if rule.kind != "asserted" or not rule.asks or not many:
            continue
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


def _outside(outside: tuple[Counts, Counts]) -> Iterator[Doubt]:
    many = total(outside[0])
    if not many:
        return
    old, new = (f1_of(np.array(side)) for side in outside)
    if old - new > MOST_F1_LOST:
        says = f"where nothing is asked macro F1 falls from {old:.3f} to {new:.3f}"
        yield Doubt("outside", says, rows=many, share=old - new)


def _groups(schema: Schema) -> Iterator[tuple[int, str, int]]:
    """The groups whose rates are compared: a feature's place, one of its values, and that value's code."""
    for grouping in subgroups(schema, None):
        place = schema.index(grouping.column)
        yield from ((place, text, code) for text, code in schema.features[place].code_of.items())


def _shifts(schema: Schema, groups: Counts) -> Iterator[Doubt]:
    classes, everybody = len(schema.classes), groups[-1]
    for (place, text, _), here in zip(_groups(schema), groups[:-1], strict=True):
        elsewhere = [every - inside for every, inside in zip(everybody, here, strict=True)]
        many = sum(here[:classes])
        if min(many, sum(elsewhere[:classes])) < LEAST_ROWS:
            continue
        # Of two classes the other shifts by as much, the other way.
        for number, name in enumerate(schema.classes[:1] if classes == 2 else schema.classes):
            old, new = _rates(here, number, classes)
            old_there, new_there = _rates(elsewhere, number, classes)
            moved = new - old
            more = moved - (new_there - old_there)
            if abs(more) > LEAST_SHIFT and abs(moved) > LEAST_SHIFT:
                group = f"{schema.names[place]} = {value_text(text)}"
                says = f"{name!r} where {group}: from {old:.1%} to {new:.1%}, {abs(more):.1%} more than elsewhere"
                yield Doubt("subgroup", says, rows=many, share=more, group=group)


def _rates(decided: Sequence[int], code: int, classes: int) -> tuple[float, float]:
    """The share of one class before and after among rows counted by class, before and then after."""
    many = sum(decided[:classes])
    return decided[code] / many, decided[classes + code] / many


def _disagreements(draft: Draft, conflicts: Sequence[Conflict], disputed: Sequence[int]) -> Iterator[Doubt]:
    wrote = authors(draft)
    for conflict, many in zip(conflicts, disputed, strict=True):
        names: Sequence[str] = list(dict.fromkeys(wrote[rule] for rule in conflict.rules if wrote.get(rule)))
        if len(names) > 1:
            settled = "settled" if conflict.resolved else "unresolved"
            sides = ", ".join(
                f"{rule} ({wrote.get(rule) or 'nobody'}) says {outcome}"
                for rule, outcome in zip(conflict.rules, conflict.outcomes, strict=True)
            )
            yield Doubt("disagreement", f"experts disagree on {many:,} rows: {sides}; {settled}", conflict.rules, many)
