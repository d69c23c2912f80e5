"""Edits: what each does to text, place and assertion, and what each refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ruleedit.drafts import Draft
from ruleedit.edits import Edit, edit, read_edit, read_weights
from ruleedit.errors import (
    ClauseRefused,
    EditRefused,
    EmptyRegion,
    OutcomeRefused,
    RuleEditError,
    RuleTextError,
    SettlementRefused,
    TooLong,
    UnknownCategory,
    UnknownClass,
    UnknownFeature,
    UnknownRule,
    ValueOutOfRange,
)
from ruleedit.rules import MODEL, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from tests import strategies
from tests.asked import grid
from tests.reference import covers
from tests.strategies import Dice

SCHEMA = Schema(
    (
        Feature("age", "integer", low=0.0, high=120.0),
        Feature("income", "numeric"),
        Feature("purpose", "categorical", categories=("car", "radio/tv", "to")),
        Feature("capital-gain", "numeric"),
        Feature("employed", "boolean", False),
    ),
    "credit",
    ("approve", "deny", "1"),
)
TEXTS = (
    "IF age > 30 AND income >= 50000 THEN approve",
    "IF age > 20 AND age < 60 AND purpose = car THEN deny",
    "IF `capital-gain` > 100 THEN approve",
    "IF employed = true THEN deny",
)


def fresh(*off: str) -> Draft:
    """The rules R1 to R4 as extracted, some of them disabled."""
    rules = [parse_rule(text, f"R{number}") for number, text in enumerate(TEXTS, start=1)]
    return Draft.of(
        RuleSet(tuple(rule.replace(enabled=rule.id not in off) for rule in rules), Outcome.of("deny")), SCHEMA
    )


def do(draft: Draft, *edits: str, asserts: str = "whole") -> Draft:
    """The draft with the edits."""
    return edit(draft, edits, reason="why", author="ann", asserts=asserts)  # type: ignore[arg-type]


def order(draft: Draft) -> str:
    """The ids in order; asserted ones with a star, disabled ones in brackets."""
    shown = [f"{rule.id}{'*' if rule.asserted else ''}" for rule in draft.rules]
    return " ".join(one if rule.enabled else f"({one})" for one, rule in zip(shown, draft.rules, strict=True))


def text(draft: Draft, rule: str = "R1") -> str:
    """A rule's text."""
    return str(draft.rules.rule(rule))


@pytest.mark.parametrize(
    ("edits", "rule", "says", "stands"),
    [
        (["set R1 age > 26"], "R1", "IF age > 26 AND income >= 50000 THEN approve", "R1* R2 R3 R4"),
        (["set R2 age > 20 to age > 18"], "R2", "IF age > 18 AND age < 60 AND purpose = car THEN deny", "R2* R1 R3 R4"),
        (["set R3 `capital-gain` > 5 to income > 1"], "R3", "", ""),
        (["set R3 `capital-gain` > 100 to income > 1"], "R3", "IF income > 1 THEN approve", "R3* R1 R2 R4"),
        (
            ["add R4 age between 18 and 65"],
            "R4",
            "IF employed = true AND age between 18 and 65 THEN deny",
            "R4* R1 R2 R3",
        ),
        (["drop R1 income"], "R1", "IF age > 30 THEN approve", "R1* R2 R3 R4"),
        (["drop R2 age < 60"], "R2", "IF age > 20 AND purpose = car THEN deny", "R2* R1 R3 R4"),
        (["then R4 approve"], "R4", "IF employed = true THEN approve", "R4* R1 R2 R3"),
        (["then R4 '1'"], "R4", "IF employed = true THEN '1'", "R4* R1 R2 R3"),
        (["then R4 approve 0.9, deny 0.1"], "R4", "IF employed = true THEN approve 0.9, deny 0.1", "R4* R1 R2 R3"),
        (["then R4 model"], "R4", "IF employed = true THEN model", "R4* R1 R2 R3"),
        (["new IF age < 25 THEN deny"], "R5", "IF age < 25 THEN deny", "R5* R1 R2 R3 R4"),
        (["new IF age < 25 THEN deny before R3"], "R5", "IF age < 25 THEN deny", "R1 R2 R5* R3 R4"),
        (["new IF age < 25 THEN deny after R4"], "R5", "IF age < 25 THEN deny", "R1 R2 R3 R4 R5*"),
        (["duplicate R2"], "R5", TEXTS[1], "R1 R2 (R5*) R3 R4"),
        (["duplicate R2", "enable R5"], "R5", TEXTS[1], "R1 R2 R5* R3 R4"),
        (["remove R3"], "R4", TEXTS[3], "R1 R2 R4"),
        (["disable R3"], "R3", TEXTS[2], "R1 R2 (R3) R4"),
        (["disable R3", "enable R3"], "R3", TEXTS[2], "R1 R2 R3 R4"),
        (["move R4 before R2"], "R4", TEXTS[3], "R1 R4* R2 R3"),
        (["move R1 after R3"], "R1", TEXTS[0], "R2 R3 R1* R4"),
        (["confirm R3"], "R3", TEXTS[2], "R1 R2 R3* R4"),
        (["default approve"], "R1", TEXTS[0], "R1 R2 R3 R4"),
        (["SET R1 age > 26", "Undo"], "R1", TEXTS[0], "R1 R2 R3 R4"),
        (["then R2 approve", "undo", "REDO"], "R2", TEXTS[1].replace("deny", "approve"), "R2* R1 R3 R4"),
        (["  set   R1   age > 26  "], "R1", "IF age > 26 AND income >= 50000 THEN approve", "R1* R2 R3 R4"),
    ],
)
def test_each_edit_does_one_thing(edits: list[str], rule: str, says: str, stands: str) -> None:
    """The text, the place and the assertion after each edit of the list."""
    if not says:
        with pytest.raises(EditRefused, match="has no clause"):
            do(fresh(), *edits)
        return
    draft = do(fresh(), *edits)
    assert (text(draft, rule), order(draft)) == (says, stands)
    others = [one for one in draft.rules if one.id != rule]
    assert [str(one) for one in others] == [TEXTS[int(one.id[1:]) - 1] for one in others]


@pytest.mark.parametrize(
    ("edits", "stands", "remainders"),
    [
        (
            ["set R1 age > 50 otherwise deny"],
            "R1* R1~1* R2 R3 R4",
            ["IF age between 31 and 50 AND income >= 50000 THEN deny"],
        ),
        (
            ["set R3 `capital-gain` > 500 otherwise model"],
            "R3* R1 R2 R3~1* R4",
            ["IF `capital-gain` > 100 AND `capital-gain` <= 500 THEN model"],
        ),
        (
            ["add R4 age > 40 otherwise approve"],
            "R4* R1 R2 R3 R4~1* R4~2*",
            ["IF age <= 40 AND employed = true THEN approve", "IF age is missing AND employed = true THEN approve"],
        ),
        (
            ["remove R3 otherwise approve 0.5, deny 0.5"],
            "R1 R2 R3~1* R4",
            ["IF `capital-gain` > 100 THEN approve 0.5, deny 0.5"],
        ),
        (["disable R3 otherwise deny"], "R1 R2 (R3) R3~1* R4", ["IF `capital-gain` > 100 THEN deny"]),
        (
            ["disable R3 otherwise deny", "undo", "disable R3 otherwise deny"],
            "R1 R2 (R3) R3~2* R4",
            ["IF `capital-gain` > 100 THEN deny"],
        ),
    ],
)
def test_otherwise_writes_the_uncovered_rows_as_rules(edits: list[str], stands: str, remainders: list[str]) -> None:
    """They stand where the rule stood, say THEN X, are asserted and know their rule."""
    draft = do(fresh(), *edits)
    found = [rule for rule in draft.rules if rule.remainder_of]
    assert order(draft) == stands
    assert [str(rule) for rule in found] == remainders
    assert {rule.remainder_of for rule in found} == {found[0].id.split("~")[0]}


def test_remainders_are_what_the_edit_uncovered(count: Callable[[int, int], int]) -> None:
    """Row by row: the remainders are disjoint and hold what the rule covered before and not after."""
    tried = 0
    for number in range(count(300, 5_000)):
        dice = Dice(number)
        draft = strategies.make_draft(dice, most=2)
        wanted = strategies.make_edit(dice, draft, ("set", "add", "remove", "disable"))
        if " otherwise " not in wanted:
            continue
        try:
            done = do(draft, wanted)
        except RuleEditError:
            continue
        tried += 1
        rule = wanted.split(" ")[1]
        pieces = [one for one in done.rules if one.id not in draft.rules.ids]
        assert all(piece.remainder_of == rule and piece.asserted for piece in pieces)
        now = [one for one in done.rules.enabled if one.id == rule]
        before = draft.rules.rule(rule)
        for row in grid([before, *now, *pieces], draft.schema)[:600]:
            gone = covers(before, row, draft.schema) and not any(covers(one, row, draft.schema) for one in now)
            assert sum(covers(piece, row, draft.schema) for piece in pieces) == int(gone)
    assert tried > 10


@pytest.mark.parametrize(
    ("wanted", "error", "says"),
    [
        ("sett R1 age > 1", RuleTextError, "no edit 'sett'; did you mean 'set'"),
        ("", RuleTextError, "no edit ''"),
        ("set", RuleTextError, "names no rule; write it as set R1"),
        ("undo R1", RuleTextError, "undo stands alone"),
        ("set R1 age", RuleTextError, "expected an operator"),
        ("set R1 age > 1 THEN deny", RuleTextError, "expected the end"),
        ("set R1 age > 1 otherwise deny deny", RuleTextError, "expected the end"),
        ("add R1 employed = true otherwise deny AND age > 1", RuleTextError, "expected the end"),
        ("drop R1 age > 30 AND age > 1", RuleTextError, "expected the end"),
        ("set R1 age ~ 1", RuleTextError, "no operator '~'"),
        ("drop R1 income otherwise deny", RuleTextError, "no operator 'otherwise'|expected an operator"),
        ("then R1 deny otherwise approve", RuleTextError, "expected the end"),
        ("move R1 otherwise deny", RuleTextError, "expected the end|says no place"),
        ("move R1", RuleTextError, "says no place; write it as move R1 before"),
        ("enable R1 otherwise deny", RuleTextError, "expected the end"),
        ("confirm R1 R2", RuleTextError, "expected the end"),
        ("resolve", RuleTextError, "names no rule"),
        ("resolve R1 R2", RuleTextError, "no strategy ''"),
        ("resolve R1 R2 prioriti", RuleTextError, "did you mean 'priority'"),
        ("resolve R1 R2 priority R1", RuleTextError, "priority takes nothing more; write it without 'R1'"),
        ("resolve all outcome", RuleTextError, "expected a number, a word|expected a class"),
        ("resolve all mixture 2", RuleTextError, "no pair of weights; write them as 2,1"),
        ("new age > 1 THEN deny", RuleTextError, "expected IF"),
        ("new IF " + "age > 1 AND " * 300 + "age > 2 THEN deny", TooLong, "256 clauses"),
        ("new IF purpose = " + "x" * 11_000 + " THEN deny", TooLong, "10 KiB"),
        ("set R9 age > 1", UnknownRule, "no rule 'R9'; there are 'R1', 'R2', 'R3', 'R4'"),
        ("move R2 before R11", UnknownRule, "no rule 'R11'; did you mean 'R1'"),
        ("new IF age > 1 THEN deny before", UnknownRule, "no rule ''"),
        ("resolve R1 R7 priority", UnknownRule, "no rule 'R7'"),
        ("set R1 agee > 1", UnknownFeature, "no feature 'agee'; did you mean 'age'"),
        ("add R1 agee > 1", UnknownFeature, "no feature 'agee'"),
        ("drop R1 agee", UnknownFeature, "no feature 'agee'"),
        ("new IF agee > 1 THEN deny", UnknownFeature, "did you mean 'age'"),
        ("set R2 purpose = cat", UnknownCategory, "no category 'cat' of 'purpose'; did you mean 'car'"),
        ("then R1 denyy", UnknownClass, "no class 'denyy' of 'credit'; did you mean 'deny'"),
        ("default approved", UnknownClass, "did you mean 'approve'"),
        ("remove R3 otherwise denied", UnknownClass, "no class 'denied'"),
        ("disable R3 otherwise denied", UnknownClass, "no class 'denied'"),
        ("set R3 `capital-gain` > 500 otherwise denied", UnknownClass, "no class 'denied'"),
        ("new IF age > 1 THEN denied", UnknownClass, "no class 'denied'"),
        ("set R1 age > 26.5", ClauseRefused, "'age' is integer, 26.5 is not whole"),
        ("set R1 age > 121", ValueOutOfRange, "121 is outside the range of 'age', 0 to 120"),
        ("add R1 purpose > car", ClauseRefused, "has no order"),
        ("add R4 employed = yes", UnknownCategory, "no category 'yes' of 'employed'"),
        ("add R1 age < 20", EmptyRegion, "age > 30 AND age < 20 leaves no value of 'age'"),
        ("set R4 employed is missing", EmptyRegion, "the schema forbids missing values"),
        ("new IF age > 3 AND age < 4 THEN deny", EmptyRegion, "an integer"),
        (
            "set R2 age > 18",
            EditRefused,
            "R2 has 2 clauses on 'age': age > 20, age < 60; write it as set R2 CLAUSE to age > 18",
        ),
        ("drop R2 age", EditRefused, "R2 has 2 clauses on 'age'.*write the one to drop"),
        ("set R1 purpose = car", EditRefused, "R1 has no clause on 'purpose'.*add R1 purpose = car adds one"),
        ("set R1 age > 31 to age > 26", EditRefused, "R1 has no clause age > 31; it says IF age > 30"),
        ("drop R1 age > 31", EditRefused, "R1 has no clause age > 31"),
        ("drop R1 purpose", EditRefused, "R1 has no clause on 'purpose'"),
        ("add R1 age > 30", EditRefused, "has the clause age > 30 already"),
        ("drop R4 employed", EditRefused, "employed = true is the last clause of R4; remove or disable the rule"),
        ("drop R4 employed = true", EditRefused, "last clause"),
        ("set R1 age > 30", EditRefused, "changes nothing"),
        ("then R1 approve", EditRefused, "changes nothing"),
        ("default deny", EditRefused, "changes nothing"),
        ("move R2 after R1", EditRefused, "changes nothing"),
        ("resolve all priority", EditRefused, "changes nothing"),
        ("move R2 before R2", EditRefused, "R2 can't stand before itself"),
        ("enable R1", EditRefused, "R1 is enabled already"),
        ("set R1 age > 20 otherwise deny", EditRefused, "uncovers no row of R1, so there is nothing for the otherwise"),
        ("undo", EditRefused, "there is nothing to undo"),
        ("redo", EditRefused, "there is nothing to redo"),
        ("default model", OutcomeRefused, "the default is a class or a distribution"),
        ("then R1 approve 0.5, deny 0.4", OutcomeRefused, "sum to 0.9, not 1"),
    ],
)
def test_each_refusal_has_its_class_and_its_hint(wanted: str, error: type[RuleEditError], says: str) -> None:
    """What can't be done is refused by name, and says what would do."""
    with pytest.raises(error, match=says):
        do(fresh(), wanted)


@pytest.mark.parametrize(
    ("before", "wanted", "says"),
    [
        ("disable R1", "disable R1", "R1 is disabled already"),
        ("disable R1", "remove R1 otherwise deny", "R1 is disabled and uncovers nothing"),
        ("disable R1", "set R1 age > 50 otherwise deny", "uncovers no row of R1"),
        ("confirm R1", "confirm R1", "R1 is confirmed already"),
    ],
)
def test_refusals_that_need_an_edit_before(before: str, wanted: str, says: str) -> None:
    """Done twice, or uncovering nothing, is refused."""
    with pytest.raises(EditRefused, match=says):
        do(fresh(), before, wanted)


def test_edits_are_all_or_nothing() -> None:
    """One that is refused leaves the draft as it was, whatever came before it."""
    draft = fresh()
    with pytest.raises(UnknownRule):
        do(draft, "then R1 deny", "set R9 age > 1")
    assert (draft.rules, draft.history) == (draft.base, ())


def test_a_refused_edit_says_which(count: Callable[[int, int], int]) -> None:
    """Whatever the edit, it is made or refused by an error of ours; never another."""
    refused = 0
    for number in range(count(300, 10_000)):
        dice = Dice(number)
        draft = strategies.make_draft(dice, most=2)
        wanted = strategies.make_edit(dice, draft)
        try:
            done = do(draft, wanted)
        except RuleEditError:
            refused += 1
            continue
        assert done.history[-1].edit == wanted
        assert len(done.history) == len(draft.history) + 1
    assert refused


def test_an_edit_keeps_its_text() -> None:
    """What was asked stands in the history as it was written."""
    assert str(read_edit("  set R1 age  >  26 ")) == "set R1 age  >  26"
    assert isinstance(read_edit("undo"), Edit)
    draft = edit(fresh(), [read_edit("then R1 deny")], reason="x")
    assert (draft.history[0].edit, draft.history[0].author) == ("then R1 deny", "")


def test_changed_rules_stand_behind_asserted_and_ahead_of_extracted_ones() -> None:
    """In the order of the edits; what is at the front already stays there."""
    draft = do(
        fresh(), "set R3 `capital-gain` > 50", "then R1 deny", "new IF age < 20 THEN deny", "set R4 employed = false"
    )
    assert order(draft) == "R3* R1* R5* R4* R2"
    assert order(do(draft, "set R1 age > 33")) == "R3* R1* R5* R4* R2"


def test_a_moved_rule_stays_where_it_was_put() -> None:
    """Edits after a move leave it there."""
    draft = do(fresh(), "move R1 after R2", "set R1 age > 40")
    assert order(draft) == "R2 R1* R3 R4"
    draft = do(fresh(), "new IF age < 20 THEN deny before R4", "set R5 age < 21")
    assert order(draft) == "R1 R2 R3 R5* R4"


def test_a_changed_rule_moved_home_stays_there_when_it_changes_again() -> None:
    """A place that somebody chose is kept until the text is restored as well."""
    draft = do(fresh(), "set R3 `capital-gain` > 50", "move R3 before R4", "set R3 `capital-gain` > 60")
    assert order(draft) == "R1 R2 R3* R4"
    assert do(draft, "set R3 `capital-gain` > 100").rules == draft.base


def test_confirm_stays_in_place() -> None:
    """And a confirmed rule that is changed and restored goes back there, still confirmed."""
    draft = do(fresh(), "confirm R3")
    assert order(draft) == "R1 R2 R3* R4"
    assert order(do(draft, "set R3 `capital-gain` > 50")) == "R3* R1 R2 R4"
    assert do(draft, "set R3 `capital-gain` > 50", "set R3 `capital-gain` > 100").rules == draft.rules


@pytest.mark.parametrize(
    "edits",
    [
        ["set R3 `capital-gain` > 50", "set R3 `capital-gain` > 100"],
        ["then R4 approve", "then R4 deny"],
        ["add R2 income > 5", "drop R2 income"],
        ["move R4 before R1", "move R4 after R3"],
        ["move R1 after R4", "move R1 before R2"],
        ["disable R2", "enable R2"],
        ["set R1 age > 50", "set R2 age > 20 to age > 5", "set R1 age > 30", "set R2 age > 5 to age > 20"],
        ["move R2 before R1", "move R1 before R2"],
    ],
)
def test_restoring_goes_home_and_ends_the_assertion(edits: list[str]) -> None:
    """Text and place as in the base: nobody asserts anything any more."""
    assert do(fresh(), *edits).rules == fresh().base


def test_a_restored_rule_goes_behind_what_leads_it_and_ahead_of_its_remainder() -> None:
    """Home is between the neighbours of the base, whatever stands about them."""
    draft = do(fresh(), "set R3 `capital-gain` > 500 otherwise deny", "set R3 `capital-gain` > 100")
    assert order(draft) == "R1 R2 R3 R3~1* R4"
    draft = do(fresh(), "set R3 `capital-gain` > 500 otherwise deny", "then R3~1 model", "set R3 `capital-gain` > 100")
    assert order(draft) == "R3~1* R1 R2 R3 R4"
    draft = do(fresh(), "confirm R3", "then R3 deny", "then R2 approve", "then R2 deny")
    assert order(draft) == "R3* R1 R2 R4"


def test_two_moves_that_swap_are_not_both_home() -> None:
    """Two moved rules out of the base's order: at least one of them is still moved."""
    draft = do(fresh(), "move R2 before R1", "move R1 after R2")
    assert [rule.id for rule in draft.rules] == ["R2", "R1", "R3", "R4"]
    assert sum(rule.asserted for rule in draft.rules) == 1


def test_unasserted_rules_keep_the_order_of_the_base(count: Callable[[int, int], int]) -> None:
    """Whatever the edits, a rule that nobody asserts says what the base says, in the base's order."""
    for number in range(count(600, 10_000)):
        draft = strategies.make_draft(Dice(30_000_000 + number), most=12)
        free = [rule for rule in draft.rules if not rule.asserted]
        assert [rule.id for rule in free] == sorted((rule.id for rule in free), key=draft.base.position)
        for rule in free:
            assert rule.says(draft.base.rule(rule.id))
            assert rule.asserts == "whole"
            assert not rule.placed
            assert not rule.confirmed


def test_what_is_asserted_depends_on_base_and_rules_alone(count: Callable[[int, int], int]) -> None:
    """A rule set that says what the base says, in its order, and that nobody confirmed asserts nothing."""
    home = 0
    for number in range(count(300, 5_000)):
        dice = Dice(number)
        schema = strategies.make_small_schema(dice)
        draft = Draft.of(strategies.make_base(dice, schema, asserted=False), schema)
        last = strategies.make_session(dice, draft, most=4, verbs=("then", "move", "disable", "enable"))[-1]
        same = [str(rule) for rule in last.rules] == [str(rule) for rule in draft.base] and all(
            rule.enabled <= draft.base.rule(rule.id).enabled for rule in last.rules
        )
        if same and last.rules.ids == draft.base.ids:
            home += 1
            assert not any(rule.asserted for rule in last.rules)
    assert home


def test_enabling_what_the_base_had_disabled_asserts() -> None:
    """Somebody added it to what decides; disabled again it is as extracted."""
    draft = do(fresh("R2"), "enable R2")
    assert order(draft) == "R1 R2* R3 R4"
    assert do(draft, "disable R2").rules == draft.base


def test_asserts_is_kept_by_what_the_edit_wrote() -> None:
    """`change` marks changed, new, moved and copied rules and remainders; a restored one says nothing."""
    edits = ("set R1 age > 50 otherwise deny", "new IF age < 9 THEN deny", "move R4 before R3", "duplicate R2")
    draft = do(fresh(), *edits, asserts="change")
    marked = {rule.id: rule.asserts for rule in draft.rules}
    assert {rule for rule, asserts in marked.items() if asserts == "change"} == {"R1", "R1~1", "R5", "R4", "R6"}
    assert do(draft, "set R1 age > 30", asserts="change").rules.rule("R1").asserts == "whole"
    assert do(draft, "set R1 age > 51").rules.rule("R1").asserts == "whole"
    assert do(fresh(), "remove R3 otherwise model", asserts="change").rules.rule("R3~1").asserts == "change"


def test_a_base_rule_that_somebody_placed_keeps_its_place() -> None:
    """Edits of others leave a rule of the release in force as it is, flags and all."""
    base = do(fresh(), "move R4 before R2").rules
    draft = do(Draft.of(base, SCHEMA), "then R3 deny")
    assert draft.rules.rule("R4") == base.rule("R4")
    assert order(draft) == "R3* R1 R4* R2"


def test_resolve_is_an_edit() -> None:
    """Each strategy with its words; ids that begin with 'all' are ids."""
    draft = do(fresh(), "confirm R1", "confirm R2")
    for wanted, strategy, outcome in (
        ("resolve R1 R2 priority", "priority", None),
        ("resolve  R2  R1  outcome  '1'", "outcome", Outcome.of("1")),
        ("resolve all mixture 1, 3", "mixture", Outcome.spread({"approve": 0.25, "deny": 0.75})),
        ("resolve ALL model", "model", MODEL),
    ):
        (record,) = do(draft, wanted).rules.settlements
        assert (record.strategy, record.outcome) == (strategy, outcome)
    named = Draft.of(
        RuleSet((Rule("all1", parse_rule(TEXTS[0]).clauses, MODEL), *fresh().rules.rules), Outcome.of("deny")), SCHEMA
    )
    assert (
        do(named, "confirm all1", "confirm R2", "resolve all1 R2 outcome deny").rules.settlements[0].strategy
        == "outcome"
    )
    with pytest.raises(SettlementRefused):
        do(draft, "resolve R1 R2 specific")


def test_weights_are_two_numbers() -> None:
    """With a comma, a space or both between."""
    assert read_weights("2,1") == read_weights("2 1") == read_weights("2, 1") == (2.0, 1.0)
    for wrong in ("", "1", "1,2,3", "a,b"):
        with pytest.raises(RuleTextError, match="no pair of weights"):
            read_weights(wrong)


def test_a_confidence_is_kept_until_the_rule_is_restored() -> None:
    """It changes no text and asks for nothing; the content hash tells it, undo takes it back, restoring ends it."""
    draft = do(fresh(), "then R1 deny")
    sure = do(draft, "confidence R1 0.8")
    assert sure.rules.rule("R1").confidence == 0.8
    assert str(sure.rules.rule("R1")) == str(draft.rules.rule("R1"))
    assert sure.content != draft.content
    assert do(sure, "undo").content == do(sure, "confidence R1 none").content == draft.content
    assert do(sure, f"then R1 {fresh().rules.rule('R1').outcome}").rules == fresh().rules


@pytest.mark.parametrize("given", ["", " 0", " 1.5", " high", " 0.5 0.6"])
def test_a_confidence_is_a_share(given: str) -> None:
    """Above 0 and up to 1, or none."""
    with pytest.raises(RuleTextError):
        do(do(fresh(), "then R1 deny"), f"confidence R1{given}")


def test_only_an_asserted_rule_has_a_confidence() -> None:
    """Nobody stands for what was extracted."""
    with pytest.raises(EditRefused, match="R1 is extracted, nobody asserts it; confirm it first"):
        do(fresh(), "confidence R1 0.5")


def test_confirming_and_enabling_assert_as_they_are_told_to() -> None:
    """With `--assert change` a confirmed or enabled rule asks only where base and edited set differ."""
    assert do(fresh(), "confirm R1", asserts="change").rules.rule("R1").asserts == "change"
    assert do(fresh("R1"), "enable R1", asserts="change").rules.rule("R1").asserts == "change"
    assert do(fresh(), "confirm R1").rules.rule("R1").asserts == "whole"
