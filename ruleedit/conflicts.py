"""Conflicts between asserted rules: found exactly, settled explicitly.

Two asserted rules conflict where their regions intersect and their outcomes differ at all. A
`Settlement` says what holds in the intersection. Where a row is covered by several asserted
rules, those beaten by another of them are dropped; if the rest agree, or have one settled outcome
between all of them, that is the answer, and otherwise it is an unresolved conflict of three or
more. Everything here looks at the rule set alone, never at data or at how it came about.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ruleedit.errors import ConflictsOpen, SettlementRefused, TooComplex, did_you_mean
from ruleedit.regions import Box, Part, Region, box_clauses, box_text, rule_box
from ruleedit.rules import MODEL, STRATEGIES, Outcome, Rule, RuleSet, Settlement, Strategy
from ruleedit.schema import Schema
from ruleedit.text import parse_rule

#: The most sets of overlapping rules that are looked at one by one; settling by priority needs none of them.
MOST_OVERLAPS = 20_000


@dataclass(frozen=True)
class Conflict:
    """Asserted rules that meet and disagree; two, or an unresolved knot of three or more.

    ``rules`` are in the order shown. ``region`` holds the rows in question. ``settlement`` is the
    record that stands for a pair, if one does.
    """

    rules: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    region: Region
    settlement: Settlement | None = None

    @property
    def resolved(self) -> bool:
        """Whether it is settled."""
        return self.settlement is not None


@dataclass(frozen=True)
class Overlap:
    """Rows covered by exactly these asserted rules, where first match alone wouldn't say what holds.

    ``outcome`` is None where the conflict is unresolved. ``holders`` are the rules that no other
    of them beats; the first says how much is asserted.
    """

    rules: tuple[str, ...]
    region: Region
    outcome: Outcome | None
    holders: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The rules' ids joined by a plus."""
        return "+".join(self.rules)


class Conflicts:
    """The conflicts of one rule set: what `find_conflicts`, `overlaps` and `resolve` share."""

    def __init__(self, rules: RuleSet, schema: Schema) -> None:
        self.rules = rules
        self.schema = schema
        self.asserted = tuple(rule for rule in rules.rules if rule.enabled and rule.asserted)
        self._boxes = {rule.id: rule_box(rule, schema) for rule in rules.enabled}
        self._settled = {settlement.rules: settlement for settlement in rules.settlements}

    @cached_property
    def pairs(self) -> dict[tuple[str, str], Settlement | None]:
        """Every conflicting pair, in the order shown, with the settlement that stands."""
        return {
            (first.id, second.id): self._standing(first, second)
            for first, second in itertools.combinations(self.asserted, 2)
            if first.outcome != second.outcome and not _own_remainder(first, second) and self._meet(first, second)
        }

    @cached_property
    def overlaps(self) -> tuple[Overlap, ...]:
        """The sets of rules for which first match isn't the answer, larger ones first."""
        kept: dict[tuple[str, ...], Outcome | None] = {}
        for clique in self._cliques():
            answer = self._answer(clique)
            if answer is None or self._first_answers(clique, kept) != {(answer, self._asserts(clique))}:
                if len(clique) > 2 and answer is None and self._region(clique, exactly=True).is_empty:
                    continue
                kept[clique] = answer
        order = sorted(kept, key=lambda clique: (-len(clique), [self.rules.position(rule) for rule in clique]))
        return tuple(Overlap(clique, self._region(clique), kept[clique], self._holders(clique)) for clique in order)

    @cached_property
    def all(self) -> tuple[Conflict, ...]:
        """Every conflict: the pairs, then what no settlement of pairs decides."""
        found = [
            Conflict(pair, tuple(self.rules.rule(rule).outcome for rule in pair), self._region(pair), settlement)
            for pair, settlement in self.pairs.items()
        ]
        for overlap in self.overlaps:
            if overlap.outcome is None and len(overlap.rules) > 2 and self._pairs_settled(overlap.rules):
                outcomes = tuple(self.rules.rule(rule).outcome for rule in overlap.rules)
                found.append(Conflict(overlap.rules, outcomes, self._region(overlap.rules, exactly=True)))
        return tuple(conflict for conflict in found if not conflict.region.is_empty)

    def _pairs_settled(self, clique: Sequence[str]) -> bool:
        return all(self.pairs.get(pair, True) is not None for pair in itertools.combinations(clique, 2))

    def _meet(self, first: Rule, second: Rule) -> bool:
        return self._boxes[first.id].meets(self._boxes[second.id])

    def _standing(self, first: Rule, second: Rule) -> Settlement | None:
        """The pair's settlement while the intersection is the same or smaller and the outcomes are the same."""
        pair = _pair(first.id, second.id)
        settlement = self._settled.get(pair)
        if settlement is None:
            return None
        now = {first.id: first, second.id: second}
        then = [parse_rule(text, rule) for rule, text in zip(pair, settlement.texts, strict=True)]
        if any(rule.outcome != now[rule.id].outcome for rule in then):
            return None
        was = rule_box(then[0], self.schema).intersect(rule_box(then[1], self.schema))
        return settlement if self._boxes[first.id].intersect(self._boxes[second.id]).within(was) else None

    def _cliques(self) -> Iterator[tuple[str, ...]]:
        """Sets of rules that all meet and hold a pair for which the earlier rule isn't the answer; small ones first."""
        odd = {pair for pair, settlement in self.pairs.items() if settlement is None or settlement.winner != pair[0]}
        if not odd:
            return
        size: list[tuple[tuple[int, ...], Box, bool]] = [
            ((place,), self._boxes[rule.id], False) for place, rule in enumerate(self.asserted)
        ]
        seen = 0
        while size:
            larger: list[tuple[tuple[int, ...], Box, bool]] = []
            for places, box, is_odd in size:
                for place in range(places[-1] + 1, len(self.asserted)):
                    rule = self.asserted[place].id
                    if not box.meets(self._boxes[rule]):
                        continue
                    seen += 1
                    if seen > MOST_OVERLAPS:
                        raise TooComplex(
                            f"more than {MOST_OVERLAPS:,} sets of asserted rules overlap; settle them by priority"
                        )
                    grown_odd = is_odd or any((self.asserted[other].id, rule) in odd for other in places)
                    larger.append(((*places, place), box.intersect(self._boxes[rule]), grown_odd))
            yield from (tuple(self.asserted[place].id for place in places) for places, _, is_odd in larger if is_odd)
            size = larger

    def _answer(self, clique: tuple[str, ...]) -> Outcome | None:
        """What holds for a row that exactly these rules cover; None where it is unresolved."""
        rest = self._holders(clique)
        outcomes = {self.rules.rule(rule).outcome for rule in rest}
        if len(outcomes) == 1:
            return outcomes.pop()
        between: set[Outcome | None] = set()
        for pair in itertools.combinations(rest, 2):
            if pair in self.pairs:
                settlement = self.pairs[pair]
                between.add(settlement.outcome if settlement is not None else None)
        return between.pop() if len(between) == 1 else None

    def _holders(self, clique: tuple[str, ...]) -> tuple[str, ...]:
        """The rules that are beaten by none of the others."""
        settled = [self.pairs.get(pair) for pair in itertools.combinations(clique, 2)]
        beaten = {settlement.loser() for settlement in settled if settlement is not None}
        members = [self.rules.rule(rule) for rule in clique]
        beaten |= {late.id for early, late in itertools.combinations(members, 2) if _own_remainder(early, late)}
        return tuple(rule for rule in clique if rule not in beaten)

    def _asserts(self, clique: tuple[str, ...]) -> str | None:
        """How much the first rule that holds the rows asserts, `whole` or `change`; None where none holds them."""
        holders = self._holders(clique)
        return self.rules.rule(holders[0]).asserts if holders else None

    def _first_answers(
        self, clique: tuple[str, ...], kept: Mapping[tuple[str, ...], Outcome | None]
    ) -> set[tuple[Outcome | None, str | None]]:
        """What the overlaps kept so far and then first match may say for a row that exactly these rules cover.

        An overlap that begins with a later rule has an extracted rule for a hole where one stands
        between, and in an ordered list it stands behind the first rule: only one that begins with
        the same rule surely holds the row.
        """
        members = set(clique)
        inside = [smaller for smaller in kept if members.issuperset(smaller)]
        answers: set[tuple[Outcome | None, str | None]] = set()
        for smaller in sorted(inside, key=lambda rules: (-len(rules), [self.rules.position(rule) for rule in rules])):
            answers.add((kept[smaller], self._asserts(smaller)))
            if smaller[0] == clique[0]:
                return answers
        first = self.rules.rule(clique[0])
        return answers | {(first.outcome, first.asserts)}

    def _region(self, clique: Sequence[str], *, exactly: bool = False) -> Region:
        """The rows that all these rules cover and that no extracted rule takes before them."""
        box = Box()
        for rule in clique:
            box = box.intersect(self._boxes[rule])
        first = self.rules.position(clique[0])
        holes = [self._boxes[rule.id] for rule in self.rules.rules[:first] if rule.enabled and not rule.asserted]
        if exactly:
            holes += [self._boxes[rule.id] for rule in self.asserted if rule.id not in clique]
        return Region((Part.of(box, holes),))


def find_conflicts(rules: RuleSet, schema: Schema) -> tuple[Conflict, ...]:
    """Every conflict between the rule set's asserted rules, settled or not."""
    return Conflicts(rules, schema).all


def open_conflicts(rules: RuleSet, schema: Schema) -> tuple[Conflict, ...]:
    """The conflicts that nobody has settled."""
    return tuple(conflict for conflict in find_conflicts(rules, schema) if not conflict.resolved)


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
    """The overlaps of asserted rules in which first match isn't the answer; the first that holds a row decides it."""
    return Conflicts(rules, schema).overlaps


def effective(rules: RuleSet, schema: Schema) -> RuleSet:
    """The same rule set as an ordered list that needs no settlements: each is written out as rules of its own.

    This is what exports and `predict` of a rule file use. Unresolved conflicts stay first match.
    """
    found = [overlap for overlap in overlaps(rules, schema) if overlap.outcome is not None]
    written: list[Rule] = []
    for rule in rules.rules:
        for overlap in found:
            if overlap.rules[0] == rule.id:
                written.extend(_written(overlap, rules, schema))
        written.append(rule)
    return RuleSet(tuple(written), rules.default)


def resolve(
    rules: RuleSet,
    schema: Schema,
    pair: tuple[str, str] | None,
    strategy: str,
    *,
    outcome: Outcome | None = None,
    weights: tuple[float, float] = (1.0, 1.0),
    taken: Collection[str] = (),
) -> RuleSet:
    """Settle one conflict, or with ``pair`` None every open one; nothing to settle is fine.

    ``taken`` are ids of rules that are gone: the pieces of a carving never take one of them again.
    Raises `SettlementRefused` where the strategy doesn't fit, `UnknownRule` for a rule that isn't there.
    """
    if strategy not in STRATEGIES:
        raise SettlementRefused(f"no strategy {strategy!r}{did_you_mean(strategy, STRATEGIES)}")
    if (outcome is None) == (strategy == "outcome"):
        raise SettlementRefused("the strategy 'outcome', and no other, takes an outcome")
    for name in outcome.classes if outcome is not None else ():
        schema.check_class(name)
    wanted = _wanted(rules, schema, pair)
    for first, second in wanted:
        # A carving before this one may have replaced a rule of the pair by its parts.
        if first in rules.ids and second in rules.ids:
            taken = {*taken, *rules.ids}
            rules = _settle(rules, schema, (first, second), strategy, outcome, weights, taken)
    if strategy == "carve" and pair is None and open_conflicts(rules, schema) and wanted:
        return resolve(rules, schema, None, strategy, taken=taken)
    return rules


def _wanted(rules: RuleSet, schema: Schema, pair: tuple[str, str] | None) -> list[tuple[str, str]]:
    """The pairs to settle, as (first named, second named)."""
    found = Conflicts(rules, schema)
    if pair is not None:
        for rule in pair:
            rules.rule(rule)
        return [pair] if pair in found.pairs or pair[::-1] in found.pairs else []
    wanted: dict[tuple[str, str], None] = {}
    for conflict in found.all:
        if not conflict.resolved:
            wanted.update(dict.fromkeys(p for p in itertools.combinations(conflict.rules, 2) if p in found.pairs))
    return list(wanted)


def _settle(
    rules: RuleSet,
    schema: Schema,
    pair: tuple[str, str],
    strategy: str,
    outcome: Outcome | None,
    weights: tuple[float, float],
    taken: Collection[str],
) -> RuleSet:
    first, second = rules.rule(pair[0]), rules.rule(pair[1])
    if strategy == "carve":
        return _carve(rules, schema, first, second, taken)
    winner: str | None = None
    if strategy == "priority":
        winner = min(pair, key=rules.position)
    elif strategy == "specific":
        winner = _specific(first, second, schema)
    elif strategy == "model":
        outcome = MODEL
    elif strategy == "mixture":
        outcome = _mixture(first, second, weights)
    names = _pair(first.id, second.id)
    texts = {first.id: str(first), second.id: str(second)}
    kind: Strategy = next(known for known in STRATEGIES if known == strategy)
    record = Settlement(names, (texts[names[0]], texts[names[1]]), kind, winner, outcome)
    others = tuple(settlement for settlement in rules.settlements if settlement.rules != names)
    settlements = tuple(sorted((*others, record), key=lambda settlement: settlement.rules))
    return RuleSet(rules.rules, rules.default, settlements)


def _specific(first: Rule, second: Rule, schema: Schema) -> str:
    one, other = rule_box(first, schema), rule_box(second, schema)
    if one.within(other) and not other.within(one):
        return first.id
    if other.within(one) and not one.within(other):
        return second.id
    raise SettlementRefused(f"neither {first.id} nor {second.id} lies strictly inside the other; use another strategy")


def _mixture(first: Rule, second: Rule, weights: tuple[float, float]) -> Outcome:
    if any(not (0.0 <= weight < float("inf")) for weight in weights) or sum(weights) <= 0.0:
        raise SettlementRefused("a mixture's weights are two numbers from 0 up, not both 0")
    if first.outcome.is_model or second.outcome.is_model:
        raise SettlementRefused("'model' can't be mixed: it is no distribution before a row is known")
    total = sum(weights)
    mixed: dict[str, float] = {}
    for rule, weight in ((first, weights[0] / total), (second, weights[1] / total)):
        for name, p in rule.outcome.weights:
            mixed[name] = mixed.get(name, 0.0) + weight * p
    return Outcome.spread(mixed)


def _carve(rules: RuleSet, schema: Schema, keeper: Rule, other: Rule, taken: Collection[str]) -> RuleSet:
    """The keeper has the intersection, the other becomes disjoint boxes in its own place."""
    boxes = rule_box(other, schema).subtract(rule_box(keeper, schema))
    clauses = [conjunction for box in boxes for conjunction in box_clauses(box, schema, other.clauses)]
    if not clauses:
        raise SettlementRefused(
            f"{other.id} lies inside {keeper.id}: carving would leave nothing of it; remove it or name it first"
        )
    root = other.part_of or other.id
    numbers = (number for number in itertools.count(1) if f"{root}.{number}" not in taken)
    pieces = tuple(
        other.replace(id=f"{root}.{next(numbers)}", clauses=conjunction, part_of=root, asserted=True)
        for conjunction in clauses
    )
    place = rules.position(other.id)
    return RuleSet(rules.rules[:place] + pieces + rules.rules[place + 1 :], rules.default, rules.settlements)


def _written(overlap: Overlap, rules: RuleSet, schema: Schema) -> list[Rule]:
    """An overlap as rules: its box as conjunctions, numbered where there are several."""
    assert overlap.outcome is not None
    wording = [clause for rule in reversed(overlap.rules) for clause in rules.rule(rule).clauses]
    conjunctions = box_clauses(overlap.region.parts[0].box, schema, wording) if overlap.region.parts else []
    names = (
        [overlap.id]
        if len(conjunctions) == 1
        else [f"{overlap.id}.{number + 1}" for number in range(len(conjunctions))]
    )
    # Clauses that hold for every row say no set of their own; a rule has one all the same.
    everywhere = rules.rule(overlap.rules[0]).clauses
    return [
        Rule(name, clauses or everywhere, overlap.outcome, asserted=True)
        for name, clauses in zip(names, conjunctions, strict=True)
    ]


def _pair(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first <= second else (second, first)


def _own_remainder(first: Rule, second: Rule) -> bool:
    """Whether the later rule answers for what an edit uncovered of the earlier one: the earlier holds by definition."""
    return second.remainder_of == first.id
