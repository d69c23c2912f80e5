"""Drafts: exact changes with inverses, hashes that come back and hashes that never do."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given

from ruleedit.drafts import Change, Draft, check_default, rule_json, settlement_json
from ruleedit.edits import edit
from ruleedit.errors import EditRefused, EmptyRegion, OutcomeRefused, UnknownClass, UnknownFeature
from ruleedit.matching import decide
from ruleedit.rules import MODEL, Outcome, Rule, RuleSet, Settlement
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from tests import strategies
from tests.reference import encoded
from tests.strategies import Dice, make_draft, make_small_rows

SCHEMA = Schema((Feature("x", "integer"), Feature("c", "categorical", categories=("car", "to"))), "y", ("a", "b"))


def draft_of(*texts: str) -> Draft:
    """A draft of the rules R1, R2, ..."""
    rules = tuple(parse_rule(text, f"R{number}") for number, text in enumerate(texts, start=1))
    return Draft.of(RuleSet(rules, Outcome.of("a")), SCHEMA)


def do(draft: Draft, *edits: str) -> Draft:
    """The draft with the edits."""
    return edit(draft, edits, reason="why", author="ann")


def random_sets(dice: Dice) -> tuple[RuleSet, RuleSet]:
    """Two rule sets that have rules in common: kept, changed, gone, new, in another order."""
    schema = strategies.make_small_schema(dice)
    old = strategies.make_base(dice, schema, most=8)
    listed = [strategies.make_solid_rule(dice, schema, rule.id) if not dice.number(0, 4) else rule for rule in old]
    listed = [rule for rule in listed if dice.number(0, 4)]
    listed += [strategies.make_solid_rule(dice, schema, f"N{number}") for number in range(dice.number(0, 3))]
    new = strategies.subset(dice, listed, len(listed), len(listed)) if dice.number(0, 1) else tuple(listed)
    records = (Settlement(("R1", "R2"), ("IF x > 1 THEN a", "IF x > 2 THEN b"), "model", None, MODEL),)
    default = Outcome.of(dice.pick(schema.classes))
    return old, RuleSet(new, default, records if dice.number(0, 1) else ())


def test_a_change_makes_the_new_set_and_its_inverse_the_old(count: Callable[[int, int], int]) -> None:
    """`between(old, new).make(old)` is new and the inverse takes it back, for any two rule sets."""
    for number in range(count(1_000, 20_000)):
        old, new = random_sets(Dice(number))
        change = Change.between(old, new)
        assert change.make(old) == new
        assert change.inverse().make(new) == old
        assert change.inverse().inverse() == change


def test_a_change_keeps_what_it_can(count: Callable[[int, int], int]) -> None:
    """Only as many rules go out and in as have to: a longest run in both orders stays."""
    for number in range(count(300, 3_000)):
        old, new = random_sets(Dice(number))
        same = [rule for rule in old.rules if rule in new.rules]
        longest = max(
            size
            for size in range(len(same) + 1)
            for run in itertools.combinations(same, size)
            if [new.rules.index(rule) for rule in run] == sorted(new.rules.index(rule) for rule in run)
        )
        change = Change.between(old, new)
        assert len(old) - len(change.out) == len(new) - len(change.put) == longest


def test_no_change_is_empty() -> None:
    """The same rule set on both sides puts nothing out or in."""
    rules = draft_of("IF x > 1 THEN a").rules
    assert Change.between(rules, rules) == Change((), ())


def test_a_change_refuses_another_rule_set() -> None:
    """A history that doesn't fit the rules it is made on was changed by hand."""
    one, two = draft_of("IF x > 1 THEN a", "IF x > 2 THEN b"), draft_of("IF x > 1 THEN b")
    change = Change.between(one.rules, RuleSet((), one.rules.default))
    for rules in (two.rules, RuleSet((), Outcome.of("a"))):
        with pytest.raises(EditRefused, match="isn't as the history says"):
            change.make(rules)


@pytest.mark.parametrize("batch", range(10))
def test_undoing_everything_gives_everything_back(batch: int, count: Callable[[int, int], int]) -> None:
    """Promise 7: 10,000 random sequences (1,000 in CI) undone give the same content, rules and decisions.

    The history only grows and a revision never comes back.
    """
    for number in range(count(100, 1_000)):
        dice = Dice(2_000_000 + 10_000 * batch + number)
        schema = strategies.make_small_schema(dice)
        first = Draft.of(strategies.make_base(dice, schema), schema)
        states = strategies.make_session(dice, first, most=7)
        while states[-1].undoable is not None:
            states.append(do(states[-1], "undo"))
        last = states[-1]
        assert (last.content, last.rules) == (first.content, first.rules)
        codes = encoded(make_small_rows(dice, schema, 10), schema)
        assert decide(last.rules, codes, schema).tolist() == decide(first.rules, codes, schema).tolist()
        revisions = [state.revision for state in states]
        assert len(set(revisions)) == len(states)
        for older, newer in itertools.pairwise(states):
            assert newer.history[:-1] == older.history
            assert newer.history[-1].revision == newer.revision
            assert newer.history[-1].content == newer.content


@given(strategies.drafts(most=8))
def test_undo_and_redo_walk_the_same_way(draft: Draft) -> None:
    """Redo gives back what undo took, step by step, and the content with it."""
    back = [draft]
    while back[-1].undoable is not None:
        back.append(do(back[-1], "undo"))
    forth = back[-1]
    for wanted in reversed(back[:-1]):
        forth = do(forth, "redo")
        assert (forth.rules, forth.content) == (wanted.rules, wanted.content)
    assert forth.redoable == draft.redoable or draft.redoable is not None


def test_replaying_the_history_gives_the_rules(count: Callable[[int, int], int]) -> None:
    """Base and changes are the whole story."""
    for number in range(count(100, 1_000)):
        draft = make_draft(Dice(number), most=8)
        rules = draft.base
        for step in draft.history:
            rules = step.change.make(rules)
        assert rules == draft.rules


def test_content_comes_back_and_revisions_do_not() -> None:
    """An edit and its undo have the content of before and a revision of their own."""
    draft = draft_of("IF x > 1 THEN a")
    there = do(draft, "then R1 b")
    back = do(there, "undo")
    assert draft.content == back.content != there.content
    assert len({draft.revision, there.revision, back.revision, do(back, "redo").revision}) == 4


def test_the_revision_depends_on_edit_reason_author_and_parent() -> None:
    """The same rules by another story are another revision."""
    draft = draft_of("IF x > 1 THEN a")
    stories = [
        edit(draft, ["then R1 b"], reason=reason, author=author) for reason in ("x", "y") for author in ("ann", "bob")
    ]
    stories.append(edit(draft, ["then  R1 b"], reason="x", author="ann"))
    assert len({one.revision for one in stories}) == 5
    assert len({one.content for one in stories}) == 1
    assert edit(draft, ["then R1 b"], reason="x", author="ann").revision == stories[0].revision


def test_content_says_what_the_rules_say() -> None:
    """Text, flags, default, settlements and schema are in it; history and origin are not."""
    draft = draft_of("IF x > 1 THEN a", "IF c = car THEN b")
    assert Draft.of(draft.rules, SCHEMA, {"method": "tree"}).content == draft.content
    others = [do(draft, text) for text in ("then R1 b", "disable R1", "confirm R1", "default b", "move R2 before R1")]
    others.append(do(draft, "confirm R1", "confirm R2"))
    others.append(do(draft, "confirm R1", "confirm R2", "resolve R1 R2 model"))
    assert len({draft.content, *(other.content for other in others)}) == 8


def test_nothing_to_undo_or_redo_is_refused() -> None:
    """Undo needs an edit that stands, redo one that was undone."""
    draft = draft_of("IF x > 1 THEN a")
    for text in ("undo", "redo"):
        with pytest.raises(EditRefused, match=f"there is nothing to {text}"):
            do(draft, text)
    gone = do(draft, "then R1 b", "undo")
    assert (gone.undoable, gone.redoable) == (None, 0)
    with pytest.raises(EditRefused, match="nothing to undo"):
        do(gone, "undo")


def test_a_new_edit_clears_what_could_be_redone() -> None:
    """After another edit the undone one is history, and undo takes the other."""
    draft = do(draft_of("IF x > 1 THEN a"), "then R1 b", "undo", "add R1 c = car")
    assert (draft.undoable, draft.redoable) == (2, None)
    with pytest.raises(EditRefused, match="nothing to redo"):
        do(draft, "redo")
    assert do(draft, "undo").rules == draft.base


def test_history_says_what_undo_is_about() -> None:
    """An undo names the step that it takes back, a redo the one that it makes again."""
    draft = do(draft_of("IF x > 1 THEN a"), "then R1 b", "set R1 x > 2", "undo", "undo", "redo")
    assert [(step.edit, step.undoes, step.redoes) for step in draft.history] == [
        ("then R1 b", None, None),
        ("set R1 x > 2", None, None),
        ("undo", 1, None),
        ("undo", 0, None),
        ("redo", None, 0),
    ]
    assert {(step.author, step.reason) for step in draft.history} == {("ann", "why")}


def test_ids_are_never_used_again(count: Callable[[int, int], int]) -> None:
    """Whatever was undone, removed or carved, an id that comes new was never another rule's."""
    for number in range(count(150, 3_000)):
        dice = Dice(8_000_000 + number)
        states = strategies.make_session(dice, make_draft(dice, most=1), most=10)
        for older, newer in itertools.pairwise(states):
            step = newer.history[-1]
            if step.undoes is None and step.redoes is None:
                new = {rule.id for rule in newer.rules} - {rule.id for rule in older.rules}
                assert not new & older.seen_ids()
        assert states[-1].new_id() not in states[-1].seen_ids()


def test_new_ids_count_on() -> None:
    """After R2 comes R3, also when the R3 of before was undone; parts and remainders count as their rule."""
    draft = do(draft_of("IF x > 1 THEN a", "IF x > 2 THEN b"), "new IF x > 5 THEN b")
    assert do(draft, "undo").new_id() == "R4"
    assert Draft.of(RuleSet((parse_rule("IF x > 1 THEN a", "R7.2"),), Outcome.of("a")), SCHEMA).new_id() == "R8"
    assert Draft.of(RuleSet((parse_rule("IF x > 1 THEN a", "mine"),), Outcome.of("a")), SCHEMA).new_id() == "R1"


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        (RuleSet((parse_rule("IF z > 1 THEN a", "R1"),), Outcome.of("a")), UnknownFeature),
        (RuleSet((parse_rule("IF x > 1 THEN z", "R1"),), Outcome.of("a")), UnknownClass),
        (RuleSet((parse_rule("IF x > 1 AND x < 2 THEN a", "R1"),), Outcome.of("a")), EmptyRegion),
        (RuleSet((Rule("R1", (), Outcome.of("a")),), Outcome.of("a")), EmptyRegion),
        (RuleSet((), Outcome.of("z")), UnknownClass),
        (RuleSet((), MODEL), OutcomeRefused),
    ],
)
def test_a_draft_starts_from_rules_that_fit_the_schema(rules: RuleSet, error: type[Exception]) -> None:
    """Rules and default are checked before anybody edits them."""
    with pytest.raises(error):
        Draft.of(rules, SCHEMA)


def test_a_default_may_be_a_distribution() -> None:
    """Only `model` can't be what is left."""
    check_default(Outcome.spread({"a": 0.5, "b": 0.5}), SCHEMA)


def test_warnings_name_idle_clauses_and_rules_that_never_decide() -> None:
    """Edits never simplify: they warn."""
    draft = draft_of("IF x > 1 AND x > 3 THEN a", "IF x > 4 AND c = car THEN b", "IF x < 0 THEN b")
    assert draft.warnings() == (
        "R1: x > 1 AND x > 3 says no more than x >= 4",
        "R2 never decides: R1 stands before it and covers all its rows",
    )
    assert do(draft, "disable R1").warnings() == ()


def test_many_rules_are_warned_of_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past some number all pairs are looked at at once, with the same answers."""
    draft = draft_of(*(f"IF x > {i % 40} AND x < {i % 40 + 9 - i // 10} THEN a" for i in range(80)))
    many = draft.warnings()
    monkeypatch.setattr("ruleedit.drafts.FEW", 1_000)
    assert draft.warnings() == many
    assert any("never decides" in warning for warning in many)


def test_rules_and_settlements_as_json() -> None:
    """Only what differs from the usual is written."""
    draft = do(
        draft_of("IF x > 1 THEN a"), "set R1 x > 3 otherwise b", "new IF x = 9 THEN b", "resolve R2 R1 mixture 3,1"
    )
    first, rest, new = (rule_json(rule) for rule in draft.rules)
    assert first == {"id": "R1", "text": "IF x > 3 THEN a", "outcome": "a", "asserted": True, "enabled": True}
    assert (rest["id"], rest["remainder_of"], new["id"]) == ("R1~1", "R1", "R2")
    assert settlement_json(draft.rules.settlements[0]) == {
        "rules": ["R1", "R2"],
        "texts": ["IF x > 3 THEN a", "IF x = 9 THEN b"],
        "strategy": "mixture",
        "outcome": "a 0.25, b 0.75",
    }
    flags = rule_json(Rule("R1", (), MODEL, confirmed=True, placed=True, asserts="change", part_of="R0"))
    assert (flags["asserts"], flags["confirmed"], flags["placed"], flags["part_of"]) == ("change", True, True, "R0")
    won = do(draft_of("IF x > 1 THEN a", "IF x > 2 THEN b"), "confirm R1", "confirm R2", "resolve all priority")
    assert settlement_json(won.rules.settlements[0])["winner"] == "R1"


def test_a_random_draft_has_a_history_that_fits(count: Callable[[int, int], int]) -> None:
    """The drafts that these tests are made of are edited, not only begun."""
    lengths = [len(make_draft(Dice(number)).history) for number in range(count(50, 50))]
    assert sum(lengths) > 100


def test_two_rules_with_one_id_are_refused() -> None:
    """An id names one rule."""
    twice = RuleSet((parse_rule("IF x > 1 THEN a", "R1"), parse_rule("IF x > 2 THEN b", "R1")), Outcome.of("a"))
    with pytest.raises(EditRefused, match="two rules have the id R1"):
        Draft.of(twice, SCHEMA)
