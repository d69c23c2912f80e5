"""Conflicts: found exactly, settled explicitly, the same as row by row."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from ruleedit.conflicts import (
    Conflict,
    effective,
    find_conflicts,
    open_conflicts,
    overlapping,
    overlaps,
    refuse_open,
)
from ruleedit.conflicts.settling import resolve
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import (
    ConflictsOpen,
    OutcomeRefused,
    RuleEditError,
    SettlementRefused,
    TooComplex,
    UnknownClass,
    UnknownRule,
)
from ruleedit.feedback import feedback
from ruleedit.matching import decide
from ruleedit.regions import rule_box
from ruleedit.rules import MODEL, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from tests import strategies
from tests.asked import asked, at_odds, covering, grid, said, settle, standing
from tests.reference import Row, covers, decides, encoded
from tests.strategies import Dice, make_small_rows

SCHEMA = Schema(
    (Feature("x", "integer"), Feature("y", "integer"), Feature("f", "boolean", False)), "t", ("a", "b", "c")
)
AB, BA = ("R1", "R2"), ("R2", "R1")


def asserted(*texts: str, default: str = "a") -> RuleSet:
    """A rule set whose rules, R1, R2, ..., are all asserted; a text that begins with a dash is an extracted one."""
    rules = []
    for number, text in enumerate(texts, start=1):
        rule = parse_rule(text.removeprefix("- "), f"R{number}")
        rules.append(rule.replace(asserted=not text.startswith("-")))
    return RuleSet(tuple(rules), Outcome.of(default))


def on(x: float, y: float = 0.0) -> Row:
    """A row."""
    return {"x": x, "y": y, "f": "true"}


def answer(rules: RuleSet, row: Row) -> str:
    """What the rule set asks for a row, by its feedback against a base without rules."""
    found = feedback(RuleSet((), rules.default), rules, SCHEMA)
    place = int(found.assign(encoded([row], SCHEMA))[0])
    if place < 0:
        return "nothing"
    return "undecided" if found.rules[place].kind == "undecided" else str(found.rules[place].outcome)


def brute_pairs(rules: RuleSet, schema: Schema) -> set[tuple[str, str]]:
    """The conflicting pairs by trying every kind of row: one that no extracted rule takes before both."""
    found = set()
    candidates = [rule for rule in rules.rules if rule.enabled and rule.asserted]
    for first, second in itertools.combinations(candidates, 2):
        if not at_odds(first, second):
            continue
        ahead = [rule for rule in rules.rules[: rules.position(first.id)] if rule.enabled and not rule.asserted]
        for row in grid([first, second, *ahead], schema):
            both = covers(first, row, schema) and covers(second, row, schema)
            if both and not any(covers(rule, row, schema) for rule in ahead):
                found.add((first.id, second.id))
                break
    return found


def random_rules(dice: Dice, most: int = 5) -> tuple[RuleSet, Schema]:
    """Rules of a small schema, most of them asserted."""
    schema = strategies.make_small_schema(dice, most=2)
    base = strategies.make_base(dice, schema, most=most)
    rules = tuple(rule.replace(asserted=bool(dice.number(0, 3))) for rule in base.rules)
    return RuleSet(rules, base.default), schema


def settle_some(dice: Dice, rules: RuleSet, schema: Schema, *, all_of_them: bool = False) -> RuleSet:
    """The rules with some pairs settled by random strategies."""
    for conflict in find_conflicts(rules, schema):
        if len(conflict.rules) == 2 and (all_of_them or dice.number(0, 3)):
            pair = (conflict.rules[0], conflict.rules[1])
            strategy = dice.pick(("priority", "specific", "mixture", "outcome", "model"))
            outcome = Outcome.of(dice.pick(schema.classes)) if strategy == "outcome" else None
            try:
                rules = resolve(rules, schema, pair if dice.number(0, 1) else pair[::-1], strategy, outcome=outcome)
            except SettlementRefused:
                rules = resolve(rules, schema, pair, dice.pick(("priority", "model")))
    return rules


def test_pairs_are_found_where_rows_meet_and_outcomes_differ(count: Callable[[int, int], int]) -> None:
    """A pair is a conflict if and only if some row is in both and the outcomes differ at all."""
    for number in range(count(150, 3_000)):
        rules, schema = random_rules(Dice(number))
        found = [conflict.rules for conflict in find_conflicts(rules, schema)]
        assert {pair for pair in found if len(pair) == 2} == brute_pairs(rules, schema)
        assert len(found) == len(set(found))


def test_conflicts_are_a_sequence_of_which_each_is_made_when_looked_at(count: Callable[[int, int], int]) -> None:
    """By place, by slice, from the end or one after the other: the same conflicts in the same order."""
    for number in range(count(60, 1_000)):
        dice = Dice(number)
        rules, schema = random_rules(dice, most=6)
        found = find_conflicts(settle_some(dice, rules, schema), schema)
        listed = tuple(found)
        assert len(found) == len(listed)
        assert tuple(found[place] for place in range(len(found))) == listed
        assert found[-2:] == listed[-2:]
        assert found == listed == found[:]
        assert found == find_conflicts(found._conflicts.rules, schema)  # type: ignore[attr-defined]
        assert hash(found) == hash(listed)
        assert (found[-1] == listed[-1]) if listed else found == ()
        with pytest.raises(IndexError):
            found[len(found)]


def test_conflicts_are_told_apart_and_shown() -> None:
    """What isn't the same conflicts isn't equal, and the text shows each."""
    found, none = find_conflicts(asserted(*PAIR), SCHEMA), find_conflicts(asserted(PAIR[0]), SCHEMA)
    assert found != none
    assert found != "R1"
    assert none != 0
    assert repr(none) == "Found()"
    assert repr(found).startswith("Found(Conflict(rules=('R1', 'R2')")


def test_a_witness_lies_in_every_rule_of_its_conflict(count: Callable[[int, int], int]) -> None:
    """The row shown is covered by all the rules named, by no extracted rule before them, and asks as said."""
    for number in range(count(150, 3_000)):
        dice = Dice(number)
        rules, schema = random_rules(dice)
        rules = settle_some(dice, rules, schema)
        for conflict in find_conflicts(rules, schema):
            row = conflict.region.witness(schema)
            assert all(covers(rules.rule(rule), row, schema) for rule in conflict.rules)
            assert rules.rules[decides(rules, row, schema)].asserted
            assert conflict.outcomes == tuple(rules.rule(rule).outcome for rule in conflict.rules)
            if len(conflict.rules) > 2:
                assert [rule.id for rule in covering(rules, row, schema)] == list(conflict.rules)
                assert settle(rules, covering(rules, row, schema), schema)[1] is None


def test_nothing_is_open_if_and_only_if_every_row_has_an_answer(count: Callable[[int, int], int]) -> None:
    """No silent winner: a row without a settled answer makes a conflict open, and only such a row does."""
    for number in range(count(80, 2_000)):
        dice = Dice(40_000 + number)
        rules, schema = random_rules(dice, most=4)
        rules = settle_some(dice, rules, schema, all_of_them=bool(dice.number(0, 2)))
        unanswered = False
        for row in grid(rules.rules, schema):
            members = covering(rules, row, schema)
            place = decides(rules, row, schema)
            if members and place >= 0 and rules.rules[place].asserted:
                unanswered |= settle(rules, members, schema)[1] is None
        knots_or_pairs = open_conflicts(rules, schema)
        # A pair may be open though every row of it is decided by a third rule's settlements.
        assert not unanswered or knots_or_pairs
        assert unanswered or all(len(conflict.rules) == 2 for conflict in knots_or_pairs)


def test_effective_says_what_the_settled_feedback_says(count: Callable[[int, int], int]) -> None:
    """By plain first match, without settlements, the written rule set answers as the settled one, row by row."""
    for number in range(count(200, 4_000)):
        dice = Dice(number)
        rules, schema = random_rules(dice, most=6)
        rules = settle_some(dice, rules, schema, all_of_them=True)
        if open_conflicts(rules, schema):
            continue
        rows = make_small_rows(dice, schema, 20)
        written = effective(rules, schema)
        assert not written.settlements
        says = [*(rule.outcome for rule in written), written.default]
        found = feedback(RuleSet((), rules.default), rules, schema)
        held = found.assign(encoded(rows, schema))
        for row, place, holder in zip(rows, decide(written, encoded(rows, schema), schema), held, strict=True):
            assert says[place] == said(rules, row, schema)
            if holder >= 0:
                assert found.rules[holder].outcome == says[place]


def test_effective_keeps_a_rule_set_without_settlements() -> None:
    """Nothing to write out: the same rules, in the same order."""
    rules = asserted("IF x > 1 THEN a", "- IF x > 0 THEN b", "IF y = 1 THEN a")
    assert effective(rules, SCHEMA) == rules


def test_effective_writes_an_intersection_that_is_everything() -> None:
    """Two rules that hold for every row have an intersection without a clause of its own; it is written too."""
    rules = asserted("IF f is not missing THEN a", "IF f in (true, false) THEN b")
    written = effective(resolve(rules, SCHEMA, AB, "outcome", outcome=Outcome.of("c")), SCHEMA)
    assert str(written.rules[0]) == "IF f is not missing THEN c"


def test_effective_numbers_the_rules_of_one_overlap() -> None:
    """An intersection that takes two conjunctions becomes two rules with numbers."""
    rules = asserted("IF x not in (1, 4) THEN a", "IF x in (0, 1, 2, 3, 7) THEN b")
    written = effective(resolve(rules, SCHEMA, AB, "model"), SCHEMA)
    assert {rule.id.split(".")[0] for rule in written} == {"R1+R2", "R1", "R2"}
    for row in grid(rules.rules, SCHEMA):
        place = decides(written, row, SCHEMA)
        assert (written.rules[place].outcome if place >= 0 else written.default) == said(
            resolve(rules, SCHEMA, AB, "model"), row, SCHEMA
        )


def test_extracted_rules_never_conflict() -> None:
    """What nobody asserted only overlaps."""
    assert find_conflicts(asserted("- IF x > 1 THEN a", "IF x > 0 THEN b", "- IF x > 2 THEN c"), SCHEMA) == ()


def test_disabled_rules_and_equal_outcomes_never_conflict() -> None:
    """Only rules that decide can disagree."""
    rules = asserted("IF x > 1 THEN a", "IF x > 0 THEN a", "IF x > 2 THEN b")
    off = RuleSet((*rules.rules[:2], rules.rules[2].replace(enabled=False)), rules.default)
    assert find_conflicts(off, SCHEMA) == ()


def test_a_rule_and_its_own_remainder_do_not_conflict() -> None:
    """Widened again, a rule takes back what its remainder answered for; another rule's remainder conflicts."""
    schema = SCHEMA
    draft = Draft.of(asserted("- IF x > 1 THEN a"), schema)
    draft = edit(draft, ["set R1 x > 5 otherwise b", "set R1 x > 3"], reason="")
    assert find_conflicts(draft.rules, schema) == ()
    assert [str(one.outcome) for x in (3, 4, 5) if (one := asked(draft.base, draft.rules, on(x), schema))] == list(
        "baa"
    )
    draft = edit(draft, ["new IF x = 2 THEN c"], reason="")
    assert [conflict.rules for conflict in find_conflicts(draft.rules, schema)] == [("R1~1", "R2")]


def test_two_distributions_that_differ_conflict() -> None:
    """Outcomes differ at all, though their greatest class is the same."""
    rules = asserted("IF x > 1 THEN a 0.9, b 0.1", "IF x > 2 THEN a 0.8, b 0.2", "IF x > 3 THEN a")
    assert [conflict.rules for conflict in find_conflicts(rules, SCHEMA)] == [AB, ("R1", "R3"), ("R2", "R3")]


def test_rows_that_an_extracted_rule_takes_first_are_no_conflict() -> None:
    """Where an extracted rule stands before both, neither decides."""
    assert find_conflicts(asserted("- IF x > 0 THEN c", "IF x > 1 THEN a", "IF x > 2 THEN b"), SCHEMA) == ()
    between = find_conflicts(asserted("IF x > 1 THEN a", "- IF x > 0 THEN c", "IF x > 2 THEN b"), SCHEMA)
    assert [conflict.rules for conflict in between] == [("R1", "R3")]


PAIR = ("IF x > 1 THEN a", "IF x > 3 THEN b")


@pytest.mark.parametrize(
    ("pair", "strategy", "more", "inside"),
    [
        (AB, "priority", {}, "a"),
        (BA, "priority", {}, "a"),
        (AB, "specific", {}, "b"),
        (BA, "carve", {}, "b"),
        (AB, "outcome", {"outcome": Outcome.of("c")}, "c"),
        (AB, "model", {}, "model"),
        (AB, "mixture", {}, "a 0.5, b 0.5"),
        (AB, "mixture", {"weights": (3.0, 1.0)}, "a 0.75, b 0.25"),
        (BA, "mixture", {"weights": (3.0, 1.0)}, "a 0.25, b 0.75"),
    ],
)
def test_each_strategy_settles_the_intersection_alone(
    pair: tuple[str, str], strategy: str, more: dict[str, object], inside: str
) -> None:
    """Outside of the intersection both rules say what they said."""
    rules = asserted(*PAIR, "IF x < -3 THEN c")
    assert answer(rules, on(5)) == "undecided"
    done = resolve(rules, SCHEMA, pair, strategy, **more)  # type: ignore[arg-type]
    assert answer(done, on(5)) == inside
    assert (answer(done, on(2)), answer(done, on(-5)), answer(done, on(0))) == ("a", "c", "nothing")
    assert open_conflicts(done, SCHEMA) == ()
    refuse_open(done, SCHEMA)


def test_settling_is_recorded_with_both_texts() -> None:
    """The record names the pair in the order of ids, how they stood, and who won."""
    done = resolve(asserted(*PAIR), SCHEMA, BA, "specific")
    (record,) = done.settlements
    assert (record.rules, record.texts, record.strategy, record.winner) == (AB, PAIR, "specific", "R2")
    (conflict,) = find_conflicts(done, SCHEMA)
    assert conflict.settlement == record
    assert conflict.resolved


@pytest.mark.parametrize("texts", [("IF x > 1 THEN a", "IF x < 5 THEN b"), ("IF x > 1 THEN a", "IF x >= 2 THEN b")])
def test_specific_is_refused_unless_one_lies_strictly_inside(texts: tuple[str, str]) -> None:
    """Neither a crossing nor an equal region is more specific."""
    with pytest.raises(SettlementRefused, match="neither R1 nor R2 lies strictly inside the other"):
        resolve(asserted(*texts), SCHEMA, AB, "specific")


def test_carving_everything_away_is_refused() -> None:
    """A rule that lies inside the one that keeps is not carved to nothing."""
    with pytest.raises(SettlementRefused, match="R2 lies inside R1: carving would leave nothing"):
        resolve(asserted(*PAIR), SCHEMA, AB, "carve")


def test_carving_writes_disjoint_boxes_under_the_id(count: Callable[[int, int], int]) -> None:
    """The first-named rule keeps the intersection; the other's pieces are disjoint and together the rest of it."""
    carved = 0
    for number in range(count(150, 3_000)):
        dice = Dice(number)
        rules, schema = random_rules(dice)
        pairs = [conflict.rules for conflict in find_conflicts(rules, schema)]
        if not pairs:
            continue
        keeper, other = pairs[0] if dice.number(0, 1) else pairs[0][::-1]
        try:
            done = resolve(rules, schema, (keeper, other), "carve")
        except SettlementRefused:
            continue
        carved += 1
        pieces = [rule for rule in done.rules if rule.part_of == other]
        assert [rule.id for rule in pieces] == [f"{other}.{place}" for place in range(1, len(pieces) + 1)]
        assert all(rule.asserted and rule.outcome == rules.rule(other).outcome for rule in pieces)
        assert done.rules.index(pieces[0]) == rules.position(other)
        for row in grid([rules.rule(keeper), rules.rule(other)], schema):
            wanted = covers(rules.rule(other), row, schema) and not covers(rules.rule(keeper), row, schema)
            assert sum(covers(piece, row, schema) for piece in pieces) == int(wanted)
    assert carved > 20


def test_a_carved_piece_is_carved_under_the_same_root_and_never_takes_an_old_id() -> None:
    """R1.1 carved again becomes R1.2, R1.3: an id never means another rule."""
    draft = edit(Draft.of(asserted("- IF x > 1 THEN a"), SCHEMA), ["confirm R1", "new IF x = 5 THEN b"], reason="")
    draft = edit(draft, ["resolve R2 R1 carve", "new IF y = 5 THEN c", "resolve R3 R1.1 carve"], reason="")
    assert [rule.id for rule in draft.rules if rule.part_of == "R1"] == ["R1.2", "R1.3"]
    back = edit(draft, ["undo", "resolve R3 R1.1 carve"], reason="")
    assert not {rule.id for rule in back.rules if rule.part_of} & {"R1.1", "R1.2", "R1.3"}


def test_carving_all_goes_on_until_nothing_is_open() -> None:
    """The pieces of a carving may conflict with the next rule; these are carved as well."""
    rules = asserted("IF x = 3 THEN a", "IF y = 3 THEN b", "IF x > 1 THEN c", "IF y > 1 THEN a")
    done = resolve(rules, SCHEMA, None, "carve")
    assert find_conflicts(done, SCHEMA) == ()
    for row in grid(rules.rules, SCHEMA):
        place = decides(rules, row, SCHEMA)
        assert answer(done, row) == ("nothing" if place < 0 else str(rules.rules[place].outcome))


@pytest.mark.parametrize("strategy", ["priority", "model", "outcome", "carve", "mixture"])
def test_settling_all_leaves_nothing_open(strategy: str, count: Callable[[int, int], int]) -> None:
    """`resolve` without a pair settles every open conflict; a strategy that can't says so."""
    for number in range(count(60, 1_000)):
        dice = Dice(number)
        rules, schema = random_rules(dice)
        outcome = Outcome.of(schema.classes[0]) if strategy == "outcome" else None
        try:
            done = resolve(rules, schema, None, strategy, outcome=outcome)
        except SettlementRefused:
            assert strategy in ("carve", "mixture")
            continue
        left = open_conflicts(done, schema)
        assert not left or (strategy == "mixture" and all(len(conflict.rules) > 2 for conflict in left))
        assert resolve(done, schema, None, "priority").rules == done.rules


def test_priority_follows_the_order_shown(count: Callable[[int, int], int]) -> None:
    """Settled by priority the rule set says what first match says."""
    for number in range(count(60, 1_000)):
        dice = Dice(number)
        rules, schema = random_rules(dice)
        done = resolve(rules, schema, None, "priority")
        assert effective(done, schema).rules == rules.rules
        assert all(overlap.region.is_empty for overlap in overlaps(done, schema))


def test_nothing_to_settle_is_fine() -> None:
    """A pair that doesn't conflict, or no conflict at all, leaves the rule set as it is."""
    rules = asserted("IF x > 1 THEN a", "IF x < 0 THEN b")
    assert resolve(rules, SCHEMA, AB, "priority") is rules
    assert resolve(rules, SCHEMA, None, "specific") is rules


@pytest.mark.parametrize(
    ("pair", "strategy", "more", "error", "says"),
    [
        (AB, "prioritty", {}, SettlementRefused, "no strategy 'prioritty'; did you mean 'priority'?"),
        (AB, "outcome", {}, SettlementRefused, "'outcome', and no other, takes an outcome"),
        (AB, "model", {"outcome": Outcome.of("a")}, SettlementRefused, "'outcome', and no other"),
        (AB, "outcome", {"outcome": Outcome.of("aa")}, UnknownClass, "no class 'aa'"),
        (("R1", "R9"), "model", {}, UnknownRule, "no rule 'R9'"),
        (AB, "mixture", {"weights": (0.0, 0.0)}, SettlementRefused, "weights are two numbers from 0 up, not both 0"),
        (AB, "mixture", {"weights": (-1.0, 2.0)}, SettlementRefused, "weights are two numbers"),
        (AB, "mixture", {"weights": (float("nan"), 2.0)}, SettlementRefused, "weights are two numbers"),
        (AB, "mixture", {"weights": (float("inf"), 2.0)}, SettlementRefused, "weights are two numbers"),
    ],
)
def test_what_cannot_settle_is_refused(
    pair: tuple[str, str], strategy: str, more: dict[str, object], error: type[RuleEditError], says: str
) -> None:
    """Each refusal has its class and says what would do."""
    with pytest.raises(error, match=says):
        resolve(asserted(*PAIR), SCHEMA, pair, strategy, **more)  # type: ignore[arg-type]


def test_the_model_cannot_be_mixed() -> None:
    """`model` is no distribution before a row is known."""
    with pytest.raises(SettlementRefused, match="'model' can't be mixed"):
        resolve(asserted("IF x > 1 THEN model", "IF x > 2 THEN a"), SCHEMA, AB, "mixture")


def settled_draft() -> Draft:
    """R1 and R2 cross and are settled for R2."""
    draft = Draft.of(asserted("- IF x > 9 THEN c"), SCHEMA)
    return edit(draft, ["new IF x > 3 THEN a", "new IF x < 7 THEN b", "resolve R3 R2 outcome c"], reason="")


@pytest.mark.parametrize(
    ("edits", "stands"),
    [
        (["set R2 x > 4"], True),
        (["add R3 y > 1"], True),
        (["set R2 x >= 4"], True),
        (["move R3 before R2"], True),
        (["disable R3", "enable R3"], True),
        (["add R2 y > 1", "drop R2 y"], True),
        (["set R2 x > 2"], False),
        (["set R3 x < 8"], False),
        (["then R3 c"], False),
        (["then R2 a 0.9, b 0.1"], False),
        (["then R3 c", "then R3 b"], True),
        (["set R2 x > 2", "undo"], True),
    ],
)
def test_a_settlement_stands_until_the_intersection_grows(edits: list[str], stands: bool) -> None:
    """It stands while the intersection is the same or smaller, and opens when a row comes in or an outcome changes."""
    draft = edit(settled_draft(), edits, reason="")
    opened = [conflict.rules for conflict in open_conflicts(draft.rules, SCHEMA)]
    assert (opened == []) == stands
    if stands:
        assert answer(draft.rules, {"x": 5.0, "y": 2.0, "f": "true"}) == "c"


def test_standing_is_as_row_by_row(count: Callable[[int, int], int]) -> None:
    """After random edits a settlement stands if and only if no row came into the intersection."""
    for number in range(count(60, 1_500)):
        dice = Dice(60_000 + number)
        verbs = ("new", "set", "then", "add", "drop", "move")
        draft = strategies.make_draft(dice, most=4, verbs=verbs)
        try:
            draft = edit(draft, ["resolve all priority"], reason="")
        except RuleEditError:
            continue
        draft = strategies.make_session(dice, draft, most=4, verbs=verbs)[-1]
        for conflict in find_conflicts(draft.rules, draft.schema):
            if len(conflict.rules) == 2:
                first, second = (draft.rules.rule(rule) for rule in conflict.rules)
                assert conflict.settlement == standing(draft.rules, first, second, draft.schema)


KNOT = ("IF x > 1 THEN a", "IF x > 0 AND y > 1 THEN b", "IF y > 0 THEN c")


def winners(rules: RuleSet, *wins: tuple[str, str]) -> RuleSet:
    """The rules with pairs settled for the one named first."""
    for winner, loser in wins:
        done = resolve(rules, SCHEMA, (winner, loser), "priority")
        names = tuple(sorted((winner, loser)))
        records = tuple(
            record if record.rules != names else type(record)(names, record.texts, "priority", winner)  # type: ignore[arg-type]
            for record in done.settlements
        )
        rules = RuleSet(done.rules, done.default, records)
    return rules


def test_a_cycle_of_winners_is_a_knot() -> None:
    """Rock, paper, scissors: every pair is settled and yet nobody holds the row."""
    rules = winners(asserted(*KNOT), ("R1", "R2"), ("R2", "R3"), ("R3", "R1"))
    (knot,) = open_conflicts(rules, SCHEMA)
    assert knot.rules == ("R1", "R2", "R3")
    assert answer(rules, knot.region.witness(SCHEMA)) == "undecided"  # type: ignore[arg-type]
    with pytest.raises(ConflictsOpen, match=r"R1 and R2 and R3 conflict where .*: R1 says a, R2 says b, R3 says c"):
        refuse_open(rules, SCHEMA)
    assert (answer(rules, on(5, 1)), answer(rules, on(1, 5))) == ("c", "b")


def test_different_settled_outcomes_are_a_knot() -> None:
    """Three rules of which each two settled for something else have no answer together."""
    rules = asserted(*KNOT)
    for pair, name in ((AB, "a"), (("R1", "R3"), "b"), (("R2", "R3"), "c")):
        rules = resolve(rules, SCHEMA, pair, "outcome", outcome=Outcome.of(name))
    assert [conflict.rules for conflict in open_conflicts(rules, SCHEMA)] == [("R1", "R2", "R3")]
    done = resolve(rules, SCHEMA, None, "model")
    assert open_conflicts(done, SCHEMA) == ()
    assert answer(done, on(5, 5)) == "model"


def test_one_outcome_between_all_of_them_is_the_answer() -> None:
    """Three rules whose pairs are all settled alike agree."""
    rules = resolve(asserted(*KNOT), SCHEMA, None, "outcome", outcome=Outcome.of("b"))
    assert open_conflicts(rules, SCHEMA) == ()
    assert answer(rules, on(5, 5)) == "b"


def test_a_rule_that_beats_the_others_holds_the_row() -> None:
    """Those beaten by another are dropped, whoever else they beat."""
    rules = winners(asserted(*KNOT), ("R3", "R1"), ("R3", "R2"), ("R2", "R1"))
    assert open_conflicts(rules, SCHEMA) == ()
    assert [answer(rules, on(x, y)) for x, y in ((5, 5), (5, 1), (1, 5), (5, -1))] == ["c", "c", "c", "a"]


def test_a_wider_settlement_does_not_reach_rows_of_an_earlier_rule() -> None:
    """Four rules and an extracted one between: the answer of three of them is not lost behind it."""
    texts = ("IF x > 0 THEN a", "- IF x > 5 THEN a", "IF x > 1 THEN b", "IF x > 2 THEN c", "IF x > 3 THEN b 0.5, c 0.5")
    rules = asserted(*texts)
    rules = winners(rules, ("R3", "R1"), ("R4", "R1"), ("R5", "R1"))
    for pair in (("R3", "R4"), ("R3", "R5"), ("R4", "R5")):
        rules = resolve(rules, SCHEMA, pair, "model")
    for x in range(9):
        wanted = settle(rules, covering(rules, on(x), SCHEMA), SCHEMA)[1]
        assert answer(rules, on(x)) == ("nothing" if wanted is None else str(wanted))
        assert said(effective(rules, SCHEMA), on(x), SCHEMA) == (wanted or rules.default)


@pytest.mark.parametrize("strategy", ["priority", "outcome", "knots"])
def test_the_order_of_entry_does_not_matter(strategy: str, count: Callable[[int, int], int]) -> None:
    """Promise 12: the 720 orders (72 in CI) in which 6 overlapping rules and their settlements come in say the same."""
    texts = (
        *("IF x > 1 THEN a", "IF x > 2 AND y > 0 THEN b", "IF y > 1 THEN c"),
        *("IF x < 6 THEN b", "IF x < 5 AND y < 4 THEN a", "IF y < 3 THEN c"),
    )
    base = asserted("- IF x > 9 THEN c")
    rows = [on(float(x), float(y)) for x in range(-1, 9, 2) for y in range(-1, 6, 2)]
    codes = encoded(rows, SCHEMA)
    shown = [Rule(f"N{place}", parse_rule(text).clauses, parse_rule(text).outcome) for place, text in enumerate(texts)]
    pairs = list(itertools.combinations([rule.id for rule in shown], 2))
    seen = set()
    for order in list(itertools.permutations(range(6)))[:: 720 // count(72, 720)]:
        entered: list[Rule] = []
        for place in order:
            entered.append(shown[place].replace(asserted=True, placed=True))
            entered.sort(key=lambda rule: rule.id)
        rules = RuleSet((*entered, *base.rules), base.default)
        for number in (pairs.index(pair) for place in order for pair in pairs if pair[0] == f"N{place}"):
            if strategy == "knots" and number % 3 == 0:
                rules = resolve(rules, SCHEMA, pairs[number], "model")
            elif strategy == "outcome":
                rules = resolve(rules, SCHEMA, pairs[number], "outcome", outcome=Outcome.of("abc"[number % 3]))
            else:
                rules = resolve(rules, SCHEMA, pairs[number], "priority")
        seen.add(rules)
    (only,) = seen
    found = feedback(base, only, SCHEMA)
    held = found.assign(codes)
    for row, place in zip(rows, held, strict=True):
        one = asked(base, only, row, SCHEMA)
        assert (place < 0) == (one is None)
        assert one is None or (one.outcome, one.kind) == (found.rules[place].outcome, found.rules[place].kind)


def test_six_rules_entered_as_edits_in_any_order_decide_alike(count: Callable[[int, int], int]) -> None:
    """Promise 12: 720 orders (72 in CI) of six `new` edits, moved to the same places, ask the same of every row."""
    texts = [
        f"IF x {sign} {value} THEN {name}"
        for sign, value, name in zip("><><><", (1, 8, 2, 7, 3, 6), "abcbca", strict=True)
    ]
    base = RuleSet((), Outcome.of("a"))
    codes = encoded([on(float(x)) for x in range(10)], SCHEMA)
    answers = set()
    for order in list(itertools.permutations(range(6)))[:: 720 // count(72, 720)]:
        draft = edit(Draft.of(base, SCHEMA), [f"new {texts[place]}" for place in order], reason="")
        names = {place: f"R{number}" for number, place in enumerate(order, start=1)}
        moves = [f"move {names[place]} before {names[0]}" for place in range(1, 6)]
        for move in moves:
            draft = edit(draft, [move], reason="") if _changes(draft, move) else draft
        draft = edit(draft, ["resolve all priority"], reason="")
        found = feedback(base, draft.rules, SCHEMA)
        held = found.assign(codes)
        answers.add(tuple(str(found.rules[place].outcome) if place >= 0 else "" for place in held))
        assert [str(rule) for rule in draft.rules] == [texts[place] for place in (1, 2, 3, 4, 5, 0)]
    assert len(answers) == 1


def _changes(draft: Draft, text: str) -> bool:
    try:
        edit(draft, [text], reason="")
    except RuleEditError:
        return False
    return True


def test_too_many_overlaps_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit of sets that are written out one by one it is refused; settled by priority there are none."""
    monkeypatch.setattr(overlapping, "MOST_OVERLAPS", 60)
    rules = asserted(*(f"IF x > {place} THEN a {place / 100}, b {1 - place / 100}" for place in range(1, 13)))
    with pytest.raises(TooComplex, match="more than 60 sets of asserted rules overlap; settle them by priority"):
        overlaps(rules, SCHEMA)
    assert overlaps(resolve_all_by_hand(rules), SCHEMA) == ()


def resolve_all_by_hand(rules: RuleSet) -> RuleSet:
    """Every pair settled by priority, named one by one."""
    for pair in itertools.combinations(rules.ids, 2):
        rules = resolve(rules, SCHEMA, pair, "priority")
    return rules


def test_a_mixture_that_is_none_is_refused_as_an_outcome() -> None:
    """Weights so large that their sum is no number give no distribution."""
    with pytest.raises((SettlementRefused, OutcomeRefused)):
        resolve(asserted(*PAIR), SCHEMA, AB, "mixture", weights=(1e308, 1e308))


def nested(many: int) -> RuleSet:
    """Rules of which each lies inside the one before and no two say the same."""
    return asserted(*(f"IF x > {place} THEN a {place / 100}, b {1 - place / 100}" for place in range(1, many + 1)))


def test_forty_rules_that_all_disagree_take_an_entry_for_each_pair() -> None:
    """Open, settled for the inner one or for the model, or one open among settled ones: never 2**40 subsets."""
    rules = nested(40)
    assert len(overlaps(rules, SCHEMA)) == 40 * 39 // 2
    inner = resolve(rules, SCHEMA, None, "specific")
    assert len(overlaps(inner, SCHEMA)) == 40 * 39 // 2
    assert answer(inner, on(17)) == "a 0.16, b 0.84"
    assert len(overlaps(resolve(rules, SCHEMA, None, "model"), SCHEMA)) == 40 * 39 // 2
    settled = resolve(rules, SCHEMA, None, "priority")
    one_open = RuleSet(settled.rules, settled.default, settled.settlements[1:])
    assert [conflict.rules for conflict in open_conflicts(one_open, SCHEMA)] == [("R1", "R10")]
    assert len(overlaps(one_open, SCHEMA)) < 100


def test_all_pairs_of_a_thousand_rules_are_those_found_one_by_one() -> None:
    """Against boxes that are compared one by one, for some of the rules."""
    dice = Dice(11)
    schema = strategies.make_small_schema(dice, most=3)
    listed: list[Rule] = []
    while len(listed) < 1_000:
        rule = strategies.make_solid_rule(dice, schema, f"R{len(listed) + 1}")
        if not rule_box(rule, schema).is_empty:
            listed.append(rule.replace(asserted=True))
    rules = RuleSet(tuple(listed), Outcome.of(schema.classes[0]))
    found = {conflict.rules for conflict in find_conflicts(rules, schema)}
    assert len(found) > 10_000
    boxes = [rule_box(rule, schema) for rule in listed]
    for number in range(0, 1_000, 100):
        for other in range(number + 1, 1_000):
            disagree = listed[number].outcome != listed[other].outcome and boxes[number].meets(boxes[other])
            assert ((f"R{number + 1}", f"R{other + 1}") in found) == disagree
    few = RuleSet(rules.rules[:200], rules.default)
    settled = resolve(few, schema, None, "priority")
    assert open_conflicts(settled, schema) == overlaps(settled, schema) == ()


def test_a_conflict_behind_an_extracted_rule_is_open_where_an_earlier_rule_decides() -> None:
    """R2 and R4 disagree only where the extracted R3 decides first, but R1 decides there: no silent winner."""
    rules = asserted("IF x > 5 THEN a", "- IF x > 5 THEN c", "IF x > 6 THEN b", "IF x > 7 THEN c")
    rules = winners(rules, ("R3", "R1"), ("R4", "R1"))
    assert answer(rules, on(9)) == "undecided"
    assert [conflict.rules for conflict in open_conflicts(rules, SCHEMA)] == [("R1", "R3", "R4")]
    done = resolve(rules, SCHEMA, None, "model")
    assert (open_conflicts(done, SCHEMA), answer(done, on(9))) == ((), "model")


# --- settling all ----------------------------------------------------------------------------


def test_carving_all_leaves_a_rule_inside_an_earlier_one_its_place() -> None:
    """The inner rule would be nothing without its rows, so the outer one is written around it."""
    done = resolve(asserted("IF x > 1 THEN a", "IF x between 3 and 5 THEN b", "IF x > 8 THEN c"), SCHEMA, None, "carve")
    assert [(rule.id, str(rule)) for rule in done] == [
        ("R1.1", "IF x between 6 and 8 THEN a"),
        ("R1.2", "IF x = 2 THEN a"),
        ("R2", "IF x between 3 and 5 THEN b"),
        ("R3", "IF x > 8 THEN c"),
    ]
    assert "".join(answer(done, on(x))[0] for x in range(11)) == "nnabbbaaacc"
    assert find_conflicts(done, SCHEMA) == ()
    with pytest.raises(SettlementRefused, match="R2 lies inside R1: carving would leave nothing"):
        resolve(asserted("IF x > 1 THEN a", "IF x >= 2 THEN b"), SCHEMA, None, "carve")


def test_what_was_settled_with_a_carved_rule_holds_for_its_pieces() -> None:
    """Their intersections are smaller, so the settlement stands, under the pieces' names."""
    rules = asserted("IF x > 1 THEN a", "IF y > 1 THEN b", "IF y > 3 THEN c")
    rules = resolve(resolve(rules, SCHEMA, ("R1", "R2"), "model"), SCHEMA, ("R2", "R3"), "specific")
    done = resolve(rules, SCHEMA, ("R3", "R1"), "carve")
    assert open_conflicts(done, SCHEMA) == ()
    assert {record.rules for record in done.settlements} >= {("R1.1", "R2"), ("R2", "R3")}
    assert (answer(done, on(5, 2)), answer(done, on(5, 5)), answer(done, on(0, 5))) == ("model", "c", "c")


def test_settling_all_by_mixture_leaves_no_knot() -> None:
    """Where three rules meet whose pairs' mixtures differ, their pairs get the mixture of all three."""
    done = resolve(asserted(*KNOT), SCHEMA, None, "mixture")
    assert open_conflicts(done, SCHEMA) == ()
    shares = parse_rule(f"IF x > 1 THEN {answer(done, on(5, 5))}").outcome
    assert {name: round(p, 12) for name, p in shares.weights} == dict.fromkeys("abc", round(1 / 3, 12))
    with pytest.raises(SettlementRefused, match="R1 and R2 and R3 meet, and weights for two say nothing of them"):
        resolve(asserted(*KNOT), SCHEMA, None, "mixture", weights=(2.0, 1.0))


def test_a_mixture_weighs_by_confidence_unless_weights_are_given() -> None:
    """A rule without a confidence counts as certain."""
    rules = asserted(*PAIR)
    rules = RuleSet((rules.rules[0].replace(confidence=0.5), *rules.rules[1:]), rules.default)
    assert answer(resolve(rules, SCHEMA, AB, "mixture"), on(5)) == "a 0.3333333333333333, b 0.6666666666666666"
    assert answer(resolve(rules, SCHEMA, AB, "mixture", weights=(1.0, 1.0)), on(5)) == "a 0.5, b 0.5"


def test_an_overlap_has_a_name_and_a_holder() -> None:
    """Its id joins the rules with a plus, and it knows who holds the rows."""
    (overlap,) = overlaps(resolve(asserted(*PAIR), SCHEMA, AB, "specific"), SCHEMA)
    assert (overlap.id, overlap.outcome, overlap.holder) == ("R1+R2", Outcome.of("b"), "R2")
    assert isinstance(find_conflicts(asserted(*PAIR), SCHEMA)[0], Conflict)
    (open_one,) = overlaps(asserted(*PAIR), SCHEMA)
    assert open_one.outcome is None
    assert open_one.holder is None
    assert MODEL.is_model
