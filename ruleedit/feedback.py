"""What the edits ask of the model: the one list that overlay, retraining, graft and impact take.

Feedback depends on the base and the edited rule set alone, never on the path between them. For a
row, look at the rule of the edited set that decides it. If it is asserted, its outcome is asked
for. Otherwise, if the rule that decided the row in the base was removed, disabled, moved or
narrowed away from it, the edited set's answer there is asked for ("uncovered"). Otherwise nothing
is asked.

The list is ordered and the first rule whose region holds a row holds the row: `Feedback.assign`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from ruleedit.conflicts import Overlap, effective, overlaps, refuse_open
from ruleedit.matching import Indices, Mask, Matrix, first_region, outcome_codes, region_mask
from ruleedit.regions import NOWHERE, Box, Part, Region, rule_box
from ruleedit.rules import MODEL, Outcome, Rule, RuleSet
from ruleedit.schema import Schema

Kind: TypeAlias = Literal["asserted", "uncovered", "undecided"]


@dataclass(frozen=True)
class FeedbackRule:
    """One thing that the edits ask for.

    ``region`` holds the rows, ``outcome`` is what is asked there (`model`: nothing). ``kind``
    says why: a rule that somebody asserted, rows that an edit uncovered, or rows of a conflict
    that nobody has settled. ``base`` holds the boxes of the base rule it came from, empty for a
    new or relabelled rule. ``source`` is the rule's id (or that of the rule that was uncovered).
    """

    id: str
    region: Region
    outcome: Outcome
    kind: Kind
    source: str
    base: Region = NOWHERE

    @property
    def asks(self) -> bool:
        """Whether it asks the model for anything."""
        return self.kind != "undecided" and not self.outcome.is_model


@dataclass(frozen=True)
class Feedback:
    """The ordered list of feedback rules, with the rule sets that it was worked out from."""

    schema: Schema
    rules: tuple[FeedbackRule, ...]
    base: RuleSet
    edited: RuleSet

    def __iter__(self) -> Iterator[FeedbackRule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def assign(self, rows: Matrix) -> Indices:
        """For each encoded row the place of the feedback rule that holds it; -1 for none; shape (n,)."""
        return first_region([rule.region for rule in self.rules], rows, self.schema)

    def holds(self, place: int, rows: Matrix) -> Mask:
        """Which encoded rows the rule at ``place`` holds, as `assign` says it of all rules; shape (n,).

        The rules before it that meet it are looked at, no others.
        """
        mask = region_mask(self.rules[place].region, rows, self.schema)
        for earlier in self._before[place]:
            inside = np.flatnonzero(mask)
            mask[inside] = ~region_mask(earlier, rows[inside], self.schema)
        return mask

    @cached_property
    def _before(self) -> tuple[tuple[Region, ...], ...]:
        """For each rule the regions of those before it that meet it."""
        regions = [rule.region for rule in self.rules]
        return tuple(
            tuple(other for other in regions[:place] if other.meets(region)) for place, region in enumerate(regions)
        )

    @property
    def asks(self) -> Mask:
        """Whether each rule asks for anything, with a last False for the rows that none holds; shape (rules + 1,)."""
        return np.array([*(rule.asks for rule in self.rules), False])

    def outcome_codes(self) -> Indices:
        """Each rule's outcome as a class's place, -1 where it asks for nothing; shape (rules,)."""
        asked = [rule.outcome if rule.asks else MODEL for rule in self.rules]
        return outcome_codes(asked, self.schema.classes)

    def exact(self, place: int) -> Region:
        """The rows that this rule holds: its region without what the rules before it hold."""
        region = self.rules[place].region
        for earlier in self.rules[:place]:
            region = _without(region, earlier.region)
        return region

    def settled(self) -> Feedback:
        """Itself; raises `ConflictsOpen` while a conflict is unresolved, so that nothing open is put in force."""
        refuse_open(self.edited, self.schema)
        return self


def feedback(base: RuleSet, edited: RuleSet, schema: Schema) -> Feedback:
    """Work out what the edits between two rule sets ask for."""
    overlapping = overlaps(edited, schema)
    asserted = list(_asserted(base, edited, schema, overlapping))
    if any(rule.asserts == "change" for rule in edited.enabled):
        holders = {overlap.id: overlap.holder for overlap in overlapping}
        asserted = list(_limited(asserted, holders, base, edited, schema))
    uncovered = _numbered(_uncovered(base, edited, schema))
    return Feedback(schema, (*asserted, *uncovered), base, edited)


def _overlapping(overlap: Overlap, base: RuleSet, edited: RuleSet, schema: Schema) -> FeedbackRule:
    if overlap.outcome is None or overlap.holder is None:
        return FeedbackRule(overlap.id, overlap.region, MODEL, "undecided", overlap.id)
    holder = edited.rule(overlap.holder)
    origin = _origin(holder, base, schema) if holder.outcome == overlap.outcome else NOWHERE
    return FeedbackRule(overlap.id, overlap.region, overlap.outcome, "asserted", overlap.id, origin)


def _limited(
    found: Sequence[FeedbackRule],
    holders: Mapping[str, str | None],
    base: RuleSet,
    edited: RuleSet,
    schema: Schema,
) -> Iterator[FeedbackRule]:
    """Limit what asserts only its change to the rows that the base answers otherwise.

    Its other rows are still decided by it: nothing that comes after may ask for them.
    """
    answers = effective(base, schema)
    silent: list[Region] = []
    for rule in found:
        region = rule.region
        for earlier in silent:
            region = _without(region, earlier)
        holder = holders.get(rule.id, rule.id)
        if rule.kind == "asserted" and holder is not None and edited.rule(holder).asserts == "change":
            silent.append(region)
            region = region.intersect(_answered_otherwise(answers, rule.outcome, schema))
        yield replace(rule, region=region)


def _asserted(base: RuleSet, edited: RuleSet, schema: Schema, overlapping: Sequence[Overlap]) -> Iterator[FeedbackRule]:
    """The asserted rules in their order, each behind the overlaps in which it isn't the answer."""
    exceptions = {first: list(group) for first, group in itertools.groupby(overlapping, key=lambda one: one.rules[0])}
    extracted: list[Box] = []
    for rule in edited.enabled:
        box = rule_box(rule, schema)
        if not rule.asserted:
            extracted.append(box)
            continue
        for overlap in exceptions.get(rule.id, ()):
            yield _overlapping(overlap, base, edited, schema)
        region = Region((Part.of(box, extracted),))
        yield FeedbackRule(rule.id, region, rule.outcome, "asserted", rule.id, _origin(rule, base, schema))


def _origin(rule: Rule, base: RuleSet, schema: Schema) -> Region:
    """Where the base says what the rule says: the box of the base rule that it, or what it was carved from, was."""
    known = {before.id: before for before in base.enabled}
    before = known.get(rule.id) or known.get(rule.part_of or "")
    return Region.of(rule_box(before, schema)) if before is not None and before.outcome == rule.outcome else NOWHERE


def _answered_otherwise(base: RuleSet, outcome: Outcome, schema: Schema) -> Region:
    """The rows for which the base answers anything but ``outcome``."""
    parts: list[Part] = []
    earlier: list[Box] = []
    for rule in base.enabled:
        box = rule_box(rule, schema)
        if rule.outcome != outcome:
            parts.append(Part.of(box, earlier))
        earlier.append(box)
    if base.default != outcome:
        parts.append(Part.of(Box(), earlier))
    return Region(tuple(parts))


def _uncovered(base: RuleSet, edited: RuleSet, schema: Schema) -> Iterator[FeedbackRule]:
    """Per base rule that lost rows and per answer there: the rows."""
    ahead: list[Box] = []
    for rule in base.enabled:
        box = rule_box(rule, schema)
        if not _stands(rule, base, edited):
            yield from _lost(rule, box, ahead, edited, schema)
        ahead.append(box)


def _stands(rule: Rule, base: RuleSet, edited: RuleSet) -> bool:
    """Whether a base rule still decides, unasserted, whatever it decided: nothing of it is uncovered."""
    now = next((other for other in edited.enabled if other.id == rule.id), None)
    return now is not None and not now.asserted


def _lost(rule: Rule, box: Box, ahead: list[Box], edited: RuleSet, schema: Schema) -> Iterator[FeedbackRule]:
    answers: dict[Outcome, list[Part]] = {}
    # Holes are the rules before whose answer differs: those that agree give the same feedback anyway.
    asserted = [rule_box(other, schema) for other in edited.enabled if other.asserted]
    passed: list[tuple[Outcome, Box]] = []
    for other in (*(rule for rule in edited.enabled if not rule.asserted), None):
        outcome = edited.default if other is None else other.outcome
        here = Box() if other is None else rule_box(other, schema)
        both = box.intersect(here)
        if not both.is_empty:
            # An asserted rule behind this one decides nothing here: it is no hole.
            before = asserted if other is None else _asserted_before(other, edited, schema)
            holes = [*ahead, *before, *(hole for answer, hole in passed if answer != outcome)]
            part = Part.of(both, holes)
            answers.setdefault(outcome, []).append(part)
        passed.append((outcome, here))
    for outcome, parts in answers.items():
        region = Region(tuple(part for part in parts if next(part.boxes(), None) is not None))
        if region.parts:
            yield FeedbackRule(rule.id, region, outcome, "uncovered", rule.id, Region.of(box))


def _asserted_before(rule: Rule, edited: RuleSet, schema: Schema) -> list[Box]:
    place = edited.position(rule.id)
    return [rule_box(other, schema) for other in edited.rules[:place] if other.enabled and other.asserted]


def _numbered(rules: Iterator[FeedbackRule]) -> Iterator[FeedbackRule]:
    """Give uncovered feedback ids of its own: R3-uncovered, and R3-uncovered.2 for a second answer."""
    for source, group in itertools.groupby(rules, key=lambda rule: rule.source):
        for number, rule in enumerate(group, start=1):
            yield replace(rule, id=f"{source}-uncovered" + (f".{number}" if number > 1 else ""))


def _without(region: Region, other: Region) -> Region:
    """The rows of a region that are not in the other: not in its boxes, or in its holes."""
    for part in other.parts:
        kept = list(region.without(part.box).parts)
        for number, hole in enumerate(part.holes):
            inner = region.intersect(Region.of(hole.intersect(part.box)))
            kept.extend(inner.without(*part.holes[:number]).parts)
        # Regions share their holes, so most pieces lie within one of them: left in, they would double each time.
        region = Region(tuple(piece for piece in dict.fromkeys(kept) if not _is_hole(piece)))
    return region


def _is_hole(part: Part) -> bool:
    return part.box.is_empty or any(part.box.within(hole) for hole in part.holes)


def asked_outcomes(feedback: Feedback, rows: Matrix) -> tuple[Indices, Indices]:
    """For each row the feedback rule that holds it (-1: none) and the class asked for (-1: none); both (n,)."""
    held = feedback.assign(rows)
    codes = np.append(feedback.outcome_codes(), -1)
    return held, codes[held].astype(np.intp)
