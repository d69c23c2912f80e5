"""What else is wrong with a rule set, beside conflicts: rules that never decide, that say what others say, and gaps.

None of it keeps a rule set from being put in force; each finding says what a reader may have missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleedit.conflicts import Conflicts
from ruleedit.conflicts.meeting import containing, meeting
from ruleedit.drafts import Draft
from ruleedit.errors import TooComplex
from ruleedit.matching import Matrix, region_mask
from ruleedit.regions import Box, NumberSet, Part, Region, TextSet, example_text, rule_box
from ruleedit.rules import Rule
from ruleedit.schema import Schema

#: Whether several rules together cover another one is worked out exactly for so many rules, in so many steps each.
MOST_RULES = 200
MOST_STEPS = 500


@dataclass(frozen=True)
class Finding:
    """Something that a reader of the rules may have missed.

    ``kind`` is `shadowed` (the first of ``rules`` never decides, the others stand before it and
    cover it), `duplicate` (they say the same), `outside-schema` (only values that the schema doesn't
    know are in it), `hidden-conflict` (they disagree only where extracted rules decide first) or
    `gap` (an edit took rows from the rule and only the default answers for them). ``region`` holds
    the rows in question.
    """

    kind: str
    rules: tuple[str, ...]
    says: str
    region: Region

    def to_json(self, rows: int | None = None) -> dict[str, Any]:
        """As the command line and the API give it; ``rows`` are how many of a table it is about."""
        return {"kind": self.kind, "rules": list(self.rules), "says": self.says, "rows": rows}


def finding_rows(found: Sequence[Finding], schema: Schema, rows: Matrix) -> list[int]:
    """How many encoded rows (n, features) each finding is about."""
    return [int(region_mask(one.region, rows, schema).sum()) for one in found]


def findings(draft: Draft) -> tuple[Finding, ...]:
    """Everything that is to be said of a draft's rules, by kind and then in their order."""
    rules, schema = draft.rules.enabled, draft.schema
    boxes = [rule_box(rule, schema) for rule in rules]
    return (
        *_outside(rules, boxes, schema),
        *_duplicates(rules, boxes),
        *_shadowed(rules, boxes),
        *_hidden(draft),
        *_gaps(draft, boxes),
    )


def _outside(rules: tuple[Rule, ...], boxes: list[Box], schema: Schema) -> Iterator[Finding]:
    known = _known(schema)
    for rule, box, met in zip(rules, boxes, meeting(boxes, [known])[:, 0], strict=True):
        if not met:
            strange = next(name for name, values in box.sets if not Box.of({name: values}).meets(known))
            feature = schema.feature(strange)
            what = "numbers outside the schema's range" if feature.is_number else "categories never seen"
            says = f"{rule.id} holds only rows with {what} of {strange!r}"
            yield Finding("outside-schema", (rule.id,), says, Region.of(box))


def _known(schema: Schema) -> Box:
    """The rows that the schema knows: numbers in their ranges, listed categories, missing values where allowed."""
    sets: dict[str, NumberSet | TextSet] = {}
    for feature in schema.features:
        if feature.is_number:
            low = -np.inf if feature.low is None else feature.low
            high = np.inf if feature.high is None else feature.high
            sets[feature.name] = NumberSet.of([(low, high)], True, feature)
        else:
            sets[feature.name] = TextSet.of(feature.values, False, True, feature)
    return Box.of(sets)


def _duplicates(rules: tuple[Rule, ...], boxes: list[Box]) -> Iterator[Finding]:
    seen: dict[tuple[object, ...], Rule] = {}
    for rule, box in zip(rules, boxes, strict=True):
        first = seen.setdefault((box, rule.outcome), rule)
        if first is not rule:
            says = f"{rule.id} says what {first.id} says, for the same rows"
            yield Finding("duplicate", (first.id, rule.id), says, Region.of(box))


def _shadowed(rules: tuple[Rule, ...], boxes: list[Box]) -> Iterator[Finding]:
    inside, met = containing(boxes), meeting(boxes)
    for place, rule in enumerate(rules):
        earlier = np.flatnonzero(met[place, :place])
        one = earlier[inside[place, earlier]][:1]
        covering = one if len(one) else earlier if _covered(boxes, place, earlier, len(rules)) else earlier[:0]
        if len(covering):
            before = [rules[other].id for other in covering]
            says = f"{rule.id} never decides: {' and '.join(before)} before it cover{'s' * (len(before) == 1)} its rows"
            yield Finding("shadowed", (rule.id, *before), says, Region.of(boxes[place]))


def _covered(boxes: list[Box], place: int, earlier: np.ndarray[Any, np.dtype[np.intp]], rules: int) -> bool:
    """Whether several earlier rules together hold every row of one."""
    if len(earlier) < 2 or rules > MOST_RULES:
        return False
    try:
        return next(Part.of(boxes[place], [boxes[other] for other in earlier]).boxes(MOST_STEPS), None) is None
    except TooComplex:
        return False


def _hidden(draft: Draft) -> Iterator[Finding]:
    found = Conflicts(draft.rules, draft.schema)
    shown = {conflict.rules for conflict in found.all}
    for pair in found.pairs:
        if pair not in shown:
            first, second = (rule_box(draft.rules.rule(rule), draft.schema) for rule in pair)
            says = f"{pair[0]} and {pair[1]} disagree, but only where extracted rules before them decide"
            yield Finding("hidden-conflict", pair, says, Region.of(first.intersect(second)))


def _gaps(draft: Draft, boxes: list[Box]) -> Iterator[Finding]:
    """Rows that a base rule decided and that no rule holds any more."""
    now = {rule.id: rule for rule in draft.rules.enabled}
    ahead: list[Box] = []
    for rule in draft.base.enabled:
        box = rule_box(rule, draft.schema)
        if rule.id not in now or not now[rule.id].says(rule):
            region = Region((Part.of(box, [*ahead, *boxes]),))
            try:
                left = region.first_box(MOST_STEPS)
            except TooComplex:
                left = None
            if left is not None:
                says = (
                    f"rows that {rule.id} decided are under no rule now, the default says {draft.rules.default}: "
                    f"for one, where {example_text(left, draft.schema)}"
                )
                yield Finding("gap", (rule.id,), says, region)
        ahead.append(box)
