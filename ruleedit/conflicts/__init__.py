"""Conflicts between asserted rules: found exactly, settled explicitly.

Two asserted rules conflict where their regions intersect and their outcomes differ at all. A
`Settlement` says what holds in the intersection. Where a row is covered by several asserted
rules, those beaten by another of them are dropped; if the rest agree, or have one settled outcome
between all of them, that is the answer, and otherwise it is an unresolved conflict of three or
more. Everything here looks at the rule set alone, never at data or at how it came about;
`ruleedit.conflicts.settling` settles.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, overload

from ruleedit.conflicts.overlapping import Entry, Exceptions, Relations, meeting_bits, places, turned
from ruleedit.errors import ConflictsOpen
from ruleedit.regions import Box, Part, Region, box_clauses, box_text, rule_box
from ruleedit.rules import Outcome, Rule, RuleSet, Settlement
from ruleedit.schema import Schema
from ruleedit.text import parse_rule

if TYPE_CHECKING:
    from ruleedit.conflicts.kept import Kept


@dataclass(frozen=True, slots=True)
class Conflict:
    """Asserted rules that meet and disagree; two, or an unresolved knot of three or more.

    ``rules`` are in the order shown. ``boxes`` are theirs and ``holes`` what is taken before them.
    ``settlement`` is the record that stands for a pair, if one does.
    """

    rules: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    boxes: tuple[Box, ...] = field(repr=False)
    holes: tuple[Box, ...] = field(repr=False, default=())
    settlement: Settlement | None = None

    @property
    def region(self) -> Region:
        """The rows in question; worked out each time, as a thousand rules may have a hundred thousand conflicts."""
        return Region((Part.of(_common(self.boxes), self.holes),))

    @property
    def resolved(self) -> bool:
        """Whether it is settled."""
        return self.settlement is not None


@dataclass(frozen=True)
class Overlap:
    """Rows covered by these asserted rules, where first match alone wouldn't say what holds.

    ``boxes`` are theirs and ``holes`` those of the extracted rules ahead. ``outcome`` is None where the
    conflict is unresolved. ``holder`` is the first rule that no other beats, None where there is
    none; it says how much is asserted.
    """

    rules: tuple[str, ...]
    boxes: tuple[Box, ...] = field(repr=False)
    holes: tuple[Box, ...] = field(repr=False)
    outcome: Outcome | None
    holder: str | None = None

    @property
    def region(self) -> Region:
        """The rows in question; some may lie in an overlap that stands before it, and are that one's."""
        return Region((Part.of(_common(self.boxes), self.holes),))

    @property
    def id(self) -> str:
        """The rules' ids joined by a plus."""
        return "+".join(self.rules)


class Conflicts:
    """The conflicts of one rule set: what `find_conflicts`, `overlaps` and `resolve` share.

    ``kept`` is what is known of the rules' boxes from a rule set before, where somebody tries edit after edit.
    """

    def __init__(self, rules: RuleSet, schema: Schema, kept: Kept | None = None) -> None:
        self.rules = rules
        self.schema = schema
        self._kept = kept
        self._box = functools.partial(rule_box, schema=schema) if kept is None else kept.box
        self.asserted = tuple(rule for rule in rules.rules if rule.enabled and rule.asserted)
        self.boxes = tuple(map(self._box, self.asserted))
        #: Per asserted rule the boxes of the extracted ones ahead of it.
        self._ahead: list[tuple[Box, ...]] = []
        extracted: tuple[Box, ...] = ()
        for rule in rules.enabled:
            if rule.asserted:
                self._ahead.append(extracted)
            else:
                extracted = (*extracted, self._box(rule))
        self._extracted = extracted
        self._settled = {settlement.rules: settlement for settlement in rules.settlements}

    @cached_property
    def meets(self) -> tuple[int, ...]:
        """Per asserted rule the others that it meets, extracted rules aside; sets of rules are bits by place."""
        return tuple(bits & ~(1 << place) for place, bits in enumerate(self._met[0]))

    @cached_property
    def _met(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Per asserted rule the asserted and the extracted ones that it meets, as bits."""
        if self._kept is None:
            return meeting_bits(self.boxes, self.boxes), meeting_bits(self.boxes, self._extracted)
        # Here, because a kept one has numpy anyway.
        from ruleedit.conflicts.meeting import row_bits

        found, own = self._kept.meeting((*self.boxes, *self._extracted)), len(self.boxes)
        return row_bits(found[:own, :own]), row_bits(found[:own, own:])

    @cached_property
    def disagreeing(self) -> tuple[int, ...]:
        """Per asserted rule the later ones that it meets and that say something else."""
        alike: dict[Outcome, int] = {}
        for place, rule in enumerate(self.asserted):
            alike[rule.outcome] = alike.get(rule.outcome, 0) | 1 << place
        found = [
            self.meets[place] & ~alike[rule.outcome] & -(1 << place + 1) for place, rule in enumerate(self.asserted)
        ]
        for one, other in self._remainders():
            found[one] &= ~(1 << other)
        return tuple(found)

    @cached_property
    def pairs(self) -> dict[tuple[str, str], Settlement | None]:
        """Every conflicting pair, in the order shown, with the settlement that stands."""
        ids = [rule.id for rule in self.asserted]
        return {(ids[one], ids[other]): self.settled.get((one, other)) for one, other in _true(self.disagreeing)}

    @cached_property
    def settled(self) -> dict[tuple[int, int], Settlement]:
        """The settlements that stand, by the places of their rules in the order shown: few, where pairs are many."""
        place = {rule.id: number for number, rule in enumerate(self.asserted)}
        known = [
            sorted(place[rule] for rule in rules) for rules in self._settled if all(rule in place for rule in rules)
        ]
        found: dict[tuple[int, int], Settlement] = {}
        for one, other in sorted(known):
            settlement = self._standing(one, other) if self.disagreeing[one] >> other & 1 else None
            if settlement is not None:
                found[one, other] = settlement
        return found

    @cached_property
    def _then(self) -> Callable[[str], tuple[Outcome, Box]]:
        """The outcome and the box of a rule by the text that it had when somebody settled it."""
        now = {str(rule): (rule.outcome, box) for rule, box in zip(self.asserted, self.boxes, strict=True)}

        def read(text: str) -> tuple[Outcome, Box]:
            if text not in now:
                rule = parse_rule(text)
                now[text] = (rule.outcome, rule_box(rule, self.schema))
            return now[text]

        return read

    def _standing(self, one: int, other: int) -> Settlement | None:
        """The pair's settlement while the intersection is the same or smaller and the outcomes are the same."""
        first, second = self.asserted[one], self.asserted[other]
        settlement = self._settled.get((min(first.id, second.id), max(first.id, second.id)))
        if settlement is None:
            return None
        if first.id > second.id:
            one, other = other, one
        then = [self._then(text) for text in settlement.texts]
        now = [(self.asserted[place].outcome, self.boxes[place]) for place in (one, other)]
        if then == now:
            return settlement
        if any(was[0] != is_now[0] for was, is_now in zip(then, now, strict=True)):
            return None
        return settlement if now[0][1].intersect(now[1][1]).within(then[0][1].intersect(then[1][1])) else None

    @cached_property
    def overlaps(self) -> tuple[Overlap, ...]:
        """The sets of rules for which first match isn't the answer, in the order in which they decide."""
        return tuple(
            Overlap(
                tuple(self.asserted[place].id for place in entry.members),
                tuple(self.boxes[place] for place in entry.members),
                self._ahead[first],
                entry.outcome,
                None if entry.holder is None else self.asserted[entry.holder].id,
            )
            for first, entry in self._entries(Exceptions(self.relations))
        )

    @cached_property
    def all(self) -> Found:
        """Every conflict: the pairs, then what no settlement of pairs decides."""
        return Found(self)

    @cached_property
    def relations(self) -> Relations:
        """How the asserted rules stand to each other, for `ruleedit.conflicts.overlapping`."""
        beaten = [0] * len(self.asserted)
        settled: dict[tuple[int, int], Outcome] = {}
        later = list(self.disagreeing)
        for (one, other), settlement in self.settled.items():
            later[one] ^= 1 << other
            if settlement.outcome is not None:
                settled[one, other] = settlement.outcome
            else:
                lost = one if settlement.winner == self.asserted[other].id else other
                beaten[lost] |= 1 << one + other - lost
        for one, other in self._remainders():
            beaten[other] |= self.meets[other] & 1 << one
        return Relations(
            boxes=self.boxes,
            outcomes=tuple(rule.outcome for rule in self.asserted),
            asserts=tuple(rule.asserts for rule in self.asserted),
            meets=self.meets,
            against=_both_ways(self.disagreeing),
            beaten=tuple(beaten),
            open=_both_ways(later),
            settled=settled,
        )

    def _entries(self, exceptions: Exceptions) -> Iterator[tuple[int, Entry]]:
        return ((first, entry) for first in range(len(self.asserted)) for entry in exceptions.of(first))

    def _remainders(self) -> Iterator[tuple[int, int]]:
        """The rules that answer for what an edit uncovered of an earlier one: the earlier holds by definition."""
        place = {rule.id: number for number, rule in enumerate(self.asserted)}
        for number, rule in enumerate(self.asserted):
            parent = place.get(rule.remainder_of or "", number)
            if parent < number:
                yield parent, number

    @cached_property
    def shown(self) -> tuple[int, ...]:
        """Per asserted rule the later ones with which it conflicts on some row; sets of rules are bits by place."""
        met = self._met[1] if any(self._ahead) else (0,) * len(self.boxes)
        found = list(self.disagreeing)
        for one, later in enumerate(self.disagreeing):
            # Only where extracted rules ahead of both meet both might they take every row.
            takers = met[one] & ((1 << len(self._ahead[one])) - 1)
            for other in places(later) if takers else ():
                if takers & met[other] and self.between(one, other).region.is_empty:
                    found[one] &= ~(1 << other)
        return tuple(found)

    def between(self, one: int, other: int) -> Conflict:
        """The conflict of two asserted rules by their places."""
        first, second = self.asserted[one], self.asserted[other]
        boxes, settlement = (self.boxes[one], self.boxes[other]), self.settled.get((one, other))
        return Conflict((first.id, second.id), (first.outcome, second.outcome), boxes, self._ahead[one], settlement)

    def knots(self) -> Iterator[Conflict]:
        """What goes beyond the pairs that are open: settlements that contradict each other, and rows between them."""
        if not self.settled and not any(self._ahead):
            return
        exceptions = Exceptions(self.relations, self._alongside())
        for first, entry in self._entries(exceptions):
            if entry.outcome is not None:
                continue
            aside = entry.excluded
            for place in entry.members:
                aside |= exceptions.hidden(first, place)
            passed = [place for place in range(len(self.boxes)) if aside >> place & 1 or place < first]
            members = [self.asserted[place] for place in entry.members]
            found = Conflict(
                tuple(rule.id for rule in members),
                tuple(rule.outcome for rule in members),
                tuple(self.boxes[place] for place in entry.members),
                (*self._ahead[first], *(self.boxes[place] for place in passed)),
            )
            if not found.region.is_empty:
                yield found

    def _alongside(self) -> list[int]:
        """Per rule the later ones that no extracted rule parts from it, as bits with its own."""
        many: dict[int, int] = {}
        for place, ahead in enumerate(self._ahead):
            many[len(ahead)] = many.get(len(ahead), 0) | 1 << place
        return [many[len(ahead)] & -(1 << place) for place, ahead in enumerate(self._ahead)]


class Found(Sequence[Conflict]):
    """All conflicts in order, each made when somebody looks at it: a thousand rules may have a hundred thousand."""

    def __init__(self, conflicts: Conflicts) -> None:
        self._conflicts = conflicts
        #: Per rule how many conflicts there are up to it, and what comes after the pairs.
        self._ends = tuple(itertools.accumulate(later.bit_count() for later in conflicts.shown))
        self._knots = tuple(conflicts.knots())

    def __len__(self) -> int:
        return (self._ends[-1] if self._ends else 0) + len(self._knots)

    def __iter__(self) -> Iterator[Conflict]:
        yield from itertools.starmap(self._conflicts.between, _true(self._conflicts.shown))
        yield from self._knots

    @overload
    def __getitem__(self, place: int) -> Conflict: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Conflict, ...]: ...
    def __getitem__(self, place: int | slice) -> Conflict | tuple[Conflict, ...]:
        if isinstance(place, slice):
            return tuple(self[number] for number in range(*place.indices(len(self))))
        number = range(len(self))[place]
        one = bisect.bisect_right(self._ends, number)
        if one == len(self._ends):
            return self._knots[number - len(self)]
        later = self._conflicts.shown[one]
        other = next(itertools.islice(places(later), number - self._ends[one] + later.bit_count(), None))
        return self._conflicts.between(one, other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(operator.eq, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Found{tuple(self)}"


def find_conflicts(rules: RuleSet, schema: Schema) -> Sequence[Conflict]:
    """Every conflict between the rule set's asserted rules, settled or not."""
    return Conflicts(rules, schema).all


def open_conflicts(rules: RuleSet, schema: Schema, kept: Kept | None = None) -> tuple[Conflict, ...]:
    """The conflicts that nobody has settled."""
    return tuple(conflict for conflict in Conflicts(rules, schema, kept).all if not conflict.resolved)


def refuse_open(rules: RuleSet, schema: Schema) -> None:
    """Raise `ConflictsOpen` where a conflict is unresolved, naming it with a witness."""
    found = open_conflicts(rules, schema)
    if found:
        first = found[0]
        box = first.region.first_box()
        where = f" where {box_text(box, schema)}" if box is not None else ""
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        sides = ", ".join(f"{rule} says {outcome}" for rule, outcome in zip(first.rules, first.outcomes, strict=True))
        raise ConflictsOpen(f"{' and '.join(first.rules)} conflict{where}: {sides}{more}; settle it with resolve first")


def overlaps(rules: RuleSet, schema: Schema) -> tuple[Overlap, ...]:
    """The overlaps of asserted rules in which first match isn't the answer.

    Those that begin with a rule stand ahead of it and behind the rules before it; the first that
    holds a row decides it. Raises `TooComplex`.
    """
    return Conflicts(rules, schema).overlaps


def effective(rules: RuleSet, schema: Schema) -> RuleSet:
    """The same rule set as an ordered list that needs no settlements: each is written out as rules of its own.

    This is what exports and `predict` of a rule file use. Unresolved conflicts stay first match.
    """
    if not rules.settlements and not any(rule.remainder_of for rule in rules):
        return RuleSet(rules.rules, rules.default)
    found: dict[str, list[Overlap]] = {}
    for overlap in overlaps(rules, schema):
        found.setdefault(overlap.rules[0], []).append(overlap)
    written: list[Rule] = []
    for rule in rules.rules:
        ahead = found.get(rule.id, [])
        # The rule itself is what is unresolved; only what stands ahead of a settled overlap has to be said.
        while ahead and ahead[-1].outcome is None:
            ahead.pop()
        for overlap in ahead:
            written.extend(_written(overlap, rules, schema))
        written.append(rule)
    return RuleSet(tuple(written), rules.default)


def _written(overlap: Overlap, rules: RuleSet, schema: Schema) -> list[Rule]:
    """An overlap as rules: its box as conjunctions, numbered where there are several."""
    members = [rules.rule(rule) for rule in overlap.rules]
    outcome = members[0].outcome if overlap.outcome is None else overlap.outcome
    wording = [clause for rule in reversed(members) for clause in rule.clauses]
    conjunctions = box_clauses(_common([rule_box(rule, schema) for rule in members]), schema, wording)
    names = (
        [overlap.id]
        if len(conjunctions) == 1
        else [f"{overlap.id}.{number + 1}" for number in range(len(conjunctions))]
    )
    # Clauses that hold for every row say no set of their own; a rule has one all the same.
    return [
        Rule(name, clauses or members[0].clauses, outcome, asserted=True)
        for name, clauses in zip(names, conjunctions, strict=True)
    ]


def _common(boxes: Iterable[Box]) -> Box:
    return functools.reduce(Box.intersect, boxes, Box())


def _true(relation: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The pairs of places for which a relation is true, row by row."""
    return ((one, other) for one, bits in enumerate(relation) for other in places(bits))


def _both_ways(relation: Sequence[int]) -> tuple[int, ...]:
    return tuple(bits | back for bits, back in zip(relation, turned(relation), strict=True))
