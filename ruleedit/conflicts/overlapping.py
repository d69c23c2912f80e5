"""Where first match isn't the answer: the sets of asserted rules whose meeting a settlement or a conflict decides.

Every row that asserted rules cover belongs to the earliest of them, and that rule's outcome is the
answer unless another one that covers the row beats it or contradicts it. For each rule these
exceptions are found as a decision tree over the later rules that meet it, written as a list: "and
R7 covers it too" comes before "and R7 does not". A branch ends as soon as no further rule could
change the answer, so rules settled by priority cost nothing, and forty rules of which each two
contradict each other take 780 entries where their subsets are 2**40.

Rules are places in the order shown, sets of rules are integers with a bit for each place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

from ruleedit.errors import TooComplex
from ruleedit.regions import Box
from ruleedit.rules import Outcome

#: The most sets of overlapping rules that are written out one by one; settling by priority needs none of them.
MOST_OVERLAPS = 20_000
#: So many pairs of boxes are compared one by one, which takes less time than importing numpy for them.
FEW_PAIRS = 1_000
#: The text of a number in base 2 as the numbers 0 and 1.
_DIGITS = bytes.maketrans(b"01", b"\x00\x01")


@dataclass(frozen=True)
class Relations:
    """How asserted rules stand to each other.

    Per rule, as bits: ``meets`` (the others whose region it meets), ``against`` (of these the ones
    that it contradicts), ``beaten`` (the rules that beat it) and ``open`` (contradictions without a
    settlement). ``settled`` holds what was settled as an outcome of its own, by pair of places.
    ``asserts`` says how much each asserts (`whole` or `change`).
    """

    boxes: tuple[Box, ...]
    outcomes: tuple[Outcome, ...]
    asserts: tuple[str, ...]
    meets: tuple[int, ...]
    against: tuple[int, ...]
    beaten: tuple[int, ...]
    open: tuple[int, ...]
    settled: Mapping[tuple[int, int], Outcome]

    @cached_property
    def beats(self) -> tuple[int, ...]:
        """Per rule the rules that it beats."""
        return turned(self.beaten)

    @cached_property
    def alike(self) -> dict[Outcome, int]:
        """The rules of each outcome."""
        found: dict[Outcome, int] = {}
        for place, outcome in enumerate(self.outcomes):
            found[outcome] = found.get(outcome, 0) | 1 << place
        return found

    @cached_property
    def changing(self) -> int:
        """The rules that assert only their change."""
        return sum(1 << place for place, asserts in enumerate(self.asserts) if asserts == "change")

    @cached_property
    def partners(self) -> dict[Outcome, list[int]]:
        """Per settled outcome and rule: the rules with which that was settled."""
        found: dict[Outcome, list[int]] = {}
        for (one, other), outcome in self.settled.items():
            partners = found.setdefault(outcome, [0] * len(self.outcomes))
            partners[one] |= 1 << other
            partners[other] |= 1 << one
        return found

    def odd(self, place: int) -> int:
        """The later rules for which this one isn't the answer where both meet."""
        later = self.against[place] & -(1 << place + 1)
        return (later & ~self.beats[place]) | (self.beaten[place] & -(1 << place + 1))


@dataclass(frozen=True)
class Entry:
    """One exception: rows that all ``members`` cover and none of the entries before it took.

    ``outcome`` is None where the conflict is unresolved; ``holder`` is the first member that no
    other beats, None where there is none. ``excluded`` are rules that entries before it stand for.
    """

    members: tuple[int, ...]
    outcome: Outcome | None
    holder: int | None
    excluded: int


@dataclass(frozen=True)
class _Node:
    members: tuple[int, ...]
    inside: int
    others: int
    box: Box
    excluded: int


class Exceptions:
    """The entries of every rule, in the order in which they decide.

    With ``alongside`` given (per rule, as bits, the rules from it on until an extracted one stands
    between), sets that hold an open conflict are left out, if its pair is known to hold their rows:
    `ruleedit.conflicts` asks for what goes beyond the pairs.
    """

    def __init__(self, relations: Relations, alongside: Sequence[int] | None = None) -> None:
        self.relations = relations
        self.alongside = alongside
        self._entries = 0

    def of(self, first: int) -> list[Entry]:
        """The entries of the rows that this rule is the first to cover; raises `TooComplex`."""
        relations = self.relations
        if not relations.odd(first):
            return []
        others = relations.meets[first] & -(1 << first + 1) & ~self.hidden(first, first)
        node = _Node((first,), 1 << first, others, relations.boxes[first], 0)
        found = list(self._below(node, first))
        # What first match says anyway needs no entry; the last one is the rule by itself.
        plain = (relations.outcomes[first], relations.asserts[first])
        while found and (found[-1].outcome, self._asserted(found[-1])) == plain:
            found.pop()
        return found

    def hidden(self, first: int, place: int) -> int:
        """The open conflicts of a rule that are left out for the rows that ``first`` is the first to cover."""
        if self.alongside is None:
            return 0
        near = self.alongside[first]
        return self.relations.open[place] & (-1 if near >> place & 1 else near)

    def _asserted(self, entry: Entry) -> str | None:
        return None if entry.holder is None else self.relations.asserts[entry.holder]

    def _below(self, node: _Node, first: int) -> Iterator[Entry]:
        """The entries for the rows of a node: branch by branch, then what is left."""
        others, excluded = node.others, node.excluded
        while True:
            if self.alongside is not None and self._is_settled(node, others):
                return
            entry = self._constant(node, others, excluded)
            if entry is not None:
                self._entries += 1
                if self._entries > MOST_OVERLAPS:
                    raise TooComplex(
                        f"more than {MOST_OVERLAPS:,} sets of asserted rules overlap; settle them by priority"
                    )
                yield entry
                return
            chosen = self._choice(node, others)
            others &= ~(1 << chosen)
            box = node.box.intersect(self.relations.boxes[chosen])
            if not box.is_empty:
                below = others & self.relations.meets[chosen] & ~self.hidden(first, chosen)
                inside = node.inside | 1 << chosen
                yield from self._below(_Node((*node.members, chosen), inside, below, box, excluded), first)
            excluded |= 1 << chosen

    def _constant(self, node: _Node, others: int, excluded: int) -> Entry | None:
        """The answer, if it is the same whichever of the other rules cover the row too."""
        relations = self.relations
        held = [place for place in node.members if not relations.beaten[place] & node.inside]
        rest = self._unbeaten(node, others)
        members = tuple(sorted(node.members))
        if not held and not rest:
            return Entry(members, None, None, excluded)
        sure = sorted(place for place in held if not relations.beaten[place] & others)
        if not sure:
            return None
        between = self._between(sure)
        if None in between or len(between) > 1:
            return Entry(members, None, None, excluded)
        possible = rest | sum(1 << place for place in held)
        earlier = possible & ((1 << sure[0]) - 1)
        changing = earlier & relations.changing
        if changing != (earlier if relations.asserts[sure[0]] == "change" else 0):
            return None
        if between:
            (outcome,) = between
            assert outcome is not None
            partners = relations.partners[outcome]
            same = not any(relations.against[place] & possible & ~partners[place] for place in places(possible))
        else:
            outcome = relations.outcomes[sure[0]]
            same = not possible & ~relations.alike[outcome]
        return Entry(members, outcome, sure[0], excluded) if same else None

    def _is_settled(self, node: _Node, others: int) -> bool:
        """Whether, whichever of the other rules cover the row too, whoever holds it agrees or has one settled outcome.

        It may be so and not be found: then a branch finds it.
        """
        relations = self.relations
        held = [place for place in node.members if not relations.beaten[place] & node.inside]
        if not any(not relations.beaten[place] & others for place in held):
            return False
        possible = self._unbeaten(node, others) | sum(1 << place for place in held)
        quarrels = [(place, relations.against[place] & possible) for place in places(possible)]
        quarrels = [(place, others) for place, others in quarrels if others]
        return not quarrels or any(
            not any(others & ~partners[place] for place, others in quarrels) for partners in relations.partners.values()
        )

    def _unbeaten(self, node: _Node, others: int) -> int:
        """The other rules that no member beats."""
        for place in node.members:
            others &= ~self.relations.beats[place]
        return others

    def _between(self, sure: Sequence[int]) -> set[Outcome | None]:
        """What was settled between rules that surely hold the row; None for a contradiction that is open."""
        relations = self.relations
        bits = sum(1 << place for place in sure)
        if any(relations.open[place] & bits for place in sure):
            return {None}
        return {
            relations.settled.get((one, other))
            for number, one in enumerate(sure)
            for other in sure[number + 1 :]
            if relations.against[one] >> other & 1
        }

    def _choice(self, node: _Node, others: int) -> int:
        """The rule to branch on: of those that touch a member's standing the first that beats most others."""
        relations = self.relations
        held = [place for place in node.members if not relations.beaten[place] & node.inside]
        rest = self._unbeaten(node, others)
        touching = 0
        for place in held:
            touching |= relations.beaten[place] & others | relations.against[place] & rest
        there = others | node.inside
        return max(places(touching or rest), key=lambda place: ((relations.beats[place] & there).bit_count(), -place))


def meeting_bits(boxes: Sequence[Box], others: Sequence[Box]) -> tuple[int, ...]:
    """Per box those of the others that it meets, as bits."""
    if len(boxes) * len(others) <= FEW_PAIRS:
        return tuple(sum(1 << place for place, other in enumerate(others) if box.meets(other)) for box in boxes)
    from ruleedit.conflicts.meeting import meeting, row_bits

    return row_bits(meeting(boxes, others))


def turned(relation: Sequence[int]) -> tuple[int, ...]:
    """The relation the other way round."""
    found = [0] * len(relation)
    for place, bits in enumerate(relation):
        for other in places(bits):
            found[other] |= 1 << place
    return tuple(found)


def places(bits: int) -> Iterator[int]:
    """The places of the bits that are set, ascending."""
    digits = f"{bits:b}"[::-1].encode().translate(_DIGITS)
    return compress(range(len(digits)), digits)
