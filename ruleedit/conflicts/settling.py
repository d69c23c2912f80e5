"""Settling conflicts: each strategy, for one pair or for all that is open.

A settlement is a record in the rule set and changes no rule, but for `carve`, which writes the rule
that gives way as disjoint boxes. The result depends on the rule set alone, never on the order in
which its rules or settlements came to be.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from ruleedit.conflicts import Conflicts
from ruleedit.errors import SettlementRefused, did_you_mean
from ruleedit.regions import Box, Part, box_clauses, rule_box
from ruleedit.rules import MODEL, STRATEGIES, Outcome, Rule, RuleSet, Settlement, Strategy
from ruleedit.schema import Schema

Pair: TypeAlias = tuple[str, str]
#: Settling knots opens no new ones for long: each round joins the pairs of what is still open.
MOST_ROUNDS = 50


def resolve(
    rules: RuleSet,
    schema: Schema,
    pair: Pair | None,
    strategy: str,
    *,
    outcome: Outcome | None = None,
    weights: tuple[float, float] | None = None,
    taken: Collection[str] = (),
) -> RuleSet:
    """Settle one conflict, or with ``pair`` None every open one; nothing to settle is fine.

    `priority`: the earlier in the order shown wins. `specific`: the rule whose region lies strictly
    inside the other's. `carve`: the first-named rule keeps the intersection; of all conflicts the
    earlier one, but a rule that lies strictly inside an earlier one keeps its place. `mixture`:
    both outcomes by ``weights``, the rules' confidences unless given; where more than two rules
    meet and their pairs' mixtures differ, the pairs of that knot all get the mixture of its rules.
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
    if not wanted:
        return rules
    if strategy == "carve":
        return _carve_pair(rules, schema, wanted[0], taken) if pair else _carve_all(rules, schema, wanted, taken)
    kind: Strategy = next(known for known in STRATEGIES if known == strategy)
    by_id = {rule.id: rule for rule in rules}
    order = {rule.id: place for place, rule in enumerate(rules)}
    texts = {rule.id: str(rule) for rule in rules}
    records = []
    for first, second in wanted:
        winner = _winner(by_id[first], by_id[second], kind, order, schema)
        said = _outcome(by_id[first], by_id[second], kind, outcome, weights)
        records.append(_record(first, second, texts, kind, winner, said))
    done = _settled(rules, records)
    return _untangled(done, schema, weights) if strategy == "mixture" and pair is None else done


def _wanted(rules: RuleSet, schema: Schema, pair: Pair | None) -> list[Pair]:
    """The pairs to settle, as (first named, second named)."""
    found = Conflicts(rules, schema)
    if pair is not None:
        for rule in pair:
            rules.rule(rule)
        return [pair] if pair in found.pairs or pair[::-1] in found.pairs else []
    wanted: dict[Pair, None] = {}
    for conflict in found.all:
        if not conflict.resolved:
            wanted.update(dict.fromkeys(p for p in itertools.combinations(conflict.rules, 2) if p in found.pairs))
    return list(wanted)


def _winner(first: Rule, second: Rule, strategy: Strategy, order: Mapping[str, int], schema: Schema) -> str | None:
    if strategy == "priority":
        return min(first.id, second.id, key=order.__getitem__)
    if strategy == "specific":
        return _specific(first, second, schema)
    return None


def _outcome(
    first: Rule, second: Rule, strategy: Strategy, outcome: Outcome | None, weights: tuple[float, float] | None
) -> Outcome | None:
    if strategy == "model":
        return MODEL
    return _mixture((first, second), weights) if strategy == "mixture" else outcome


def _record(
    first: str, second: str, texts: Mapping[str, str], strategy: Strategy, winner: str | None, outcome: Outcome | None
) -> Settlement:
    one, other = _sorted_pair(first, second)
    return Settlement((one, other), (texts[one], texts[other]), strategy, winner, outcome)


def _settled(rules: RuleSet, records: Iterable[Settlement]) -> RuleSet:
    """The rules with these records in the place of those on the same pairs."""
    known = {settlement.rules: settlement for settlement in rules.settlements}
    known.update((settlement.rules, settlement) for settlement in records)
    return replace(rules, settlements=tuple(known[names] for names in sorted(known)))


def _specific(first: Rule, second: Rule, schema: Schema) -> str:
    one, other = rule_box(first, schema), rule_box(second, schema)
    if one.within(other) and not other.within(one):
        return first.id
    if other.within(one) and not one.within(other):
        return second.id
    raise SettlementRefused(f"neither {first.id} nor {second.id} lies strictly inside the other; use another strategy")


# --- mixtures --------------------------------------------------------------------------------


def _mixture(rules: Sequence[Rule], weights: Sequence[float] | None) -> Outcome:
    """The rules' outcomes by weights, by default their confidences (1 where a rule has none)."""
    given = [1.0 if rule.confidence is None else rule.confidence for rule in rules] if weights is None else weights
    if any(not (0.0 <= weight < float("inf")) for weight in given) or sum(given) <= 0.0:
        raise SettlementRefused("a mixture's weights are two numbers from 0 up, not both 0")
    if any(rule.outcome.is_model for rule in rules):
        raise SettlementRefused("'model' can't be mixed: it is no distribution before a row is known")
    total = sum(given)
    mixed: dict[str, float] = {}
    for rule, weight in zip(rules, given, strict=True):
        for name, p in rule.outcome.weights:
            mixed[name] = mixed.get(name, 0.0) + weight / total * p
    return Outcome.spread(mixed)


def _untangled(rules: RuleSet, schema: Schema, weights: tuple[float, float] | None) -> RuleSet:
    """The rules with one mixture for the pairs of each knot that the mixtures of pairs leave."""
    groups: list[set[str]] = []
    for _ in range(MOST_ROUNDS):
        found = Conflicts(rules, schema)
        knots = [conflict for conflict in found.all if not conflict.resolved]
        if not knots:
            return rules
        if weights is not None and weights[0] != weights[1]:
            raise SettlementRefused(
                f"{' and '.join(knots[0].rules)} meet, and weights for two say nothing of them; settle their pairs by "
                "name, or leave the weights out for one mixture of them all"
            )
        for conflict in knots:
            groups = _joined(groups, set(conflict.rules), found.pairs)
        texts = {rule.id: str(rule) for rule in rules}
        records: list[Settlement] = []
        for group in groups:
            members = [rule for rule in rules if rule.id in group]
            mixed = _mixture(members, None)
            pairs = itertools.combinations([rule.id for rule in members], 2)
            records += [_record(a, b, texts, "mixture", None, mixed) for a, b in pairs if (a, b) in found.pairs]
        rules = _settled(rules, records)
    raise SettlementRefused("mixtures leave knots of three or more; settle these with priority or an outcome")


def _joined(groups: list[set[str]], knot: set[str], pairs: Mapping[Pair, object]) -> list[set[str]]:
    """The groups with a knot; those that share a conflicting pair with it become one with it."""
    apart: list[set[str]] = []
    for group in groups:
        both = group & knot
        if any(one in both and other in both for one, other in pairs) and len(both) > 1:
            knot = knot | group
        else:
            apart.append(group)
    return [*apart, knot]


# --- carving ---------------------------------------------------------------------------------


def _carve_pair(rules: RuleSet, schema: Schema, pair: Pair, taken: Collection[str]) -> RuleSet:
    """The first-named rule has the intersection, the other becomes disjoint boxes in its own place."""
    keeper, other = rules.rule(pair[0]), rules.rule(pair[1])
    return _carved(rules, schema, other, {keeper.id: rule_box(keeper, schema)}, {*taken, *rules.ids})


def _carve_all(rules: RuleSet, schema: Schema, wanted: Sequence[Pair], taken: Collection[str]) -> RuleSet:
    """Each rule loses what the rules ahead of it hold against it; one inside an earlier one goes ahead of that."""
    taken = {*taken, *rules.ids}
    for _ in range(MOST_ROUNDS):
        against: dict[str, list[str]] = {}
        for first, second in wanted:
            against.setdefault(first, []).append(second)
            against.setdefault(second, []).append(first)
        boxes = {rule.id: rule_box(rule, schema) for rule in rules if rule.id in against}
        done: set[str] = set()
        for rule_id in _inner_first(rules, boxes, against):
            keepers = {other: boxes[other] for other in against[rule_id] if other in done}
            if keepers:
                rules = _carved(rules, schema, rules.rule(rule_id), keepers, taken)
                taken |= set(rules.ids)
            done.add(rule_id)
        wanted = _wanted(rules, schema, None)
        if not wanted:
            return rules
    raise SettlementRefused("carving goes on without end; settle the rest with priority")


def _inner_first(rules: RuleSet, boxes: Mapping[str, Box], against: Mapping[str, Sequence[str]]) -> list[str]:
    """The rules in the order shown, but each that lies strictly inside an earlier one ahead of that."""
    order: dict[str, None] = {}

    def place(rule: str) -> None:
        for other in against[rule]:
            if other not in order and boxes[other].within(boxes[rule]) and not boxes[rule].within(boxes[other]):
                place(other)
        order[rule] = None

    for rule in rules.ids:
        if rule in against and rule not in order:
            place(rule)
    return list(order)


def _carved(rules: RuleSet, schema: Schema, other: Rule, keepers: Mapping[str, Box], taken: Collection[str]) -> RuleSet:
    """The rules with what the keepers leave of another one, as disjoint boxes in its place."""
    boxes = Part.of(rule_box(other, schema), keepers.values()).boxes()
    clauses = [conjunction for box in boxes for conjunction in box_clauses(box, schema, other.clauses)]
    if not clauses:
        raise SettlementRefused(
            f"{other.id} lies inside {' and '.join(keepers)}: carving would leave nothing of it; "
            "remove it or name it first"
        )
    root = other.part_of or other.id
    numbers = (number for number in itertools.count(1) if f"{root}.{number}" not in taken)
    pieces = tuple(
        other.replace(id=f"{root}.{next(numbers)}", clauses=conjunction, part_of=root, asserted=True)
        for conjunction in clauses
    )
    place = rules.position(other.id)
    settlements = _handed_on(Conflicts(rules, schema), other, pieces, keepers)
    carved = RuleSet(rules.rules[:place] + pieces + rules.rules[place + 1 :], rules.default, rules.settlements)
    return _settled(carved, settlements)


def _handed_on(found: Conflicts, other: Rule, pieces: Sequence[Rule], keepers: Collection[str]) -> Iterator[Settlement]:
    """What was settled between the carved rule and others holds for its pieces, whose intersections are smaller."""
    for pair, settlement in found.pairs.items():
        if settlement is None or other.id not in pair or any(rule in keepers for rule in pair):
            continue
        text = dict(zip(settlement.rules, settlement.texts, strict=True))
        (partner,) = (rule for rule in pair if rule != other.id)
        for piece in pieces:
            names = _sorted_pair(piece.id, partner)
            texts = {piece.id: str(piece), partner: text[partner]}
            winner = piece.id if settlement.winner == other.id else settlement.winner
            yield replace(settlement, rules=names, texts=(texts[names[0]], texts[names[1]]), winner=winner)


def _sorted_pair(one: str, other: str) -> Pair:
    return (one, other) if one <= other else (other, one)
