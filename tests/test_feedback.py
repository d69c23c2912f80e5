"""Feedback: what the edits ask for, the same as Semantics 5 row by row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.conflicts import effective, open_conflicts
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import ConflictsOpen
from ruleedit.feedback import Feedback, FeedbackRule, asked_outcomes, feedback
from ruleedit.matching import decide, first_region
from ruleedit.regions import NOWHERE, Part, Region, clauses_box
from ruleedit.rules import MODEL, Outcome, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from tests import strategies
from tests.asked import Asked, asked, grid, said
from tests.reference import Row, covers, decides, encoded
from tests.strategies import Dice, make_draft, make_small_rows

SCHEMA = Schema(
    (Feature("age", "integer"), Feature("job", "categorical", categories=("car", "tv", "to"))), "y", ("no", "yes")
)
TEXTS = ("IF age > 5 AND job = car THEN yes", "IF age > 3 THEN no", "IF job in (car, tv) THEN yes")


def draft_of(*texts: str, default: str = "no", schema: Schema = SCHEMA) -> Draft:
    """A draft of the rules R1, R2, ..."""
    rules = tuple(parse_rule(text, f"R{number}") for number, text in enumerate(texts, start=1))
    return Draft.of(RuleSet(rules, Outcome.of(default)), schema)


def edited(draft: Draft, *edits: str, asserts: str = "whole") -> Draft:
    """The draft with the edits."""
    return edit(draft, edits, reason="why", asserts=asserts)  # type: ignore[arg-type]


def asks(draft: Draft) -> Feedback:
    """What the draft's edits ask for."""
    return feedback(draft.base, draft.rules, draft.schema)


def got(found: Feedback, rows: list[Row]) -> list[Asked | None]:
    """What the feedback asks for, row by row."""
    held = found.assign(encoded(rows, found.schema))
    return [Asked(found.rules[place].kind, found.rules[place].outcome) if place >= 0 else None for place in held]


def age_rows(job: str | None = "to") -> list[Row]:
    """A row for each age from 0 to 9."""
    return [{"age": float(age), "job": job} for age in range(10)]


def outcomes_by_age(draft: Draft, job: str | None = "to") -> str:
    """For each age from 0 to 9 the first letter of what is asked; a dot for nothing, a question mark for undecided."""
    letters = []
    for one in got(asks(draft), age_rows(job)):
        letters.append("." if one is None else "?" if one.kind == "undecided" else str(one.outcome)[0])
    return "".join(letters)


def check(draft: Draft, rows: list[Row]) -> None:
    """Feedback and reference agree on the rows, in what is asked, why, and of whom."""
    found = asks(draft)
    assert got(found, rows) == [asked(draft.base, draft.rules, row, draft.schema) for row in rows]
    for row, place in zip(rows, found.assign(encoded(rows, draft.schema)), strict=True):
        if place >= 0 and found.rules[place].kind == "uncovered":
            assert found.rules[place].source == draft.base.rules[decides(draft.base, row, draft.schema)].id
        elif place >= 0 and "+" not in found.rules[place].id:
            assert found.rules[place].source == draft.rules.rules[decides(draft.rules, row, draft.schema)].id


@pytest.mark.parametrize("batch", range(10))
def test_feedback_is_what_the_semantics_say_row_by_row(batch: int, count: Callable[[int, int], int]) -> None:
    """Whatever the edits, a row is asked for what base and edited rule set alone say of it."""
    for number in range(count(60, 2_000)):
        dice = Dice(1_000_000 * batch + number)
        draft = make_draft(dice, most=8)
        check(draft, make_small_rows(dice, draft.schema, 25))


@given(strategies.drafts(), st.data())
def test_feedback_is_what_the_semantics_say_and_shrinks(draft: Draft, data: st.DataObject) -> None:
    """The same with rows and edits that shrink to the smallest that differ."""
    rows = data.draw(st.builds(lambda seed: make_small_rows(Dice(seed), draft.schema, 12), st.integers(0, 10_000)))
    check(draft, rows)


def test_feedback_holds_at_every_threshold(count: Callable[[int, int], int]) -> None:
    """Every kind of row that base and edited rules can tell apart is asked what the semantics say."""
    for number in range(count(40, 1_500)):
        dice = Dice(77_000_000 + number)
        schema = strategies.make_small_schema(dice, most=2)
        draft = strategies.make_session(dice, Draft.of(strategies.make_base(dice, schema, most=3), schema), most=4)[-1]
        check(draft, grid([*draft.base, *draft.rules], draft.schema)[:400])


def test_the_path_does_not_matter(count: Callable[[int, int], int]) -> None:
    """Promise 12: undone detours and one commit of the whole ask for the same as the edits one by one."""
    for number in range(count(200, 5_000)):
        dice = Dice(5_000_000 + number)
        states = strategies.make_session(dice, make_draft(dice, most=3), most=4)
        there = states[-1]
        at_once = Draft(there.schema, there.base, there.base).commit("all", there.rules, reason="", author="")
        detour = there
        back = 0
        while detour.undoable is not None and dice.number(0, 3):
            detour, back = edited(detour, "undo"), back + 1
        detour = edited(detour, *["redo"] * back)
        assert asks(at_once).rules == asks(there).rules == asks(detour).rules


def test_nothing_edited_asks_for_nothing(count: Callable[[int, int], int]) -> None:
    """A rule set as it was extracted, whatever is disabled in it, asks for nothing."""
    for number in range(count(50, 500)):
        dice = Dice(number)
        schema = strategies.make_small_schema(dice)
        base = strategies.make_base(dice, schema, asserted=False)
        assert asks(Draft.of(base, schema)).rules == ()


@pytest.mark.parametrize("batch", range(5))
def test_the_rule_set_says_what_the_release_does(batch: int, count: Callable[[int, int], int]) -> None:
    """Where something is asked the effective edited rule set by plain first match gives just that outcome."""
    for number in range(count(40, 2_000)):
        dice = Dice(9_000_000 + 100_000 * batch + number)
        draft = make_draft(dice, most=8)
        if open_conflicts(draft.rules, draft.schema):
            continue
        rows = make_small_rows(dice, draft.schema, 25)
        codes = encoded(rows, draft.schema)
        written = effective(draft.rules, draft.schema)
        says = [*(rule.outcome for rule in written), written.default]
        for one, place in zip(got(asks(draft), rows), decide(written, codes, draft.schema), strict=True):
            assert one is None or one.outcome == says[place]


@pytest.mark.parametrize("batch", range(5))
def test_exact_regions_are_disjoint_and_agree_with_assign(batch: int, count: Callable[[int, int], int]) -> None:
    """Each row that a feedback rule holds is in its exact region and in no other."""
    for number in range(count(15, 500)):
        dice = Dice(3_000_000 + 100_000 * batch + number)
        draft = make_draft(dice, most=6)
        found = asks(draft)
        rows = make_small_rows(dice, draft.schema, 30)
        exact = [found.exact(place) for place in range(len(found))]
        for row, held in zip(rows, found.assign(encoded(rows, draft.schema)), strict=True):
            assert [place for place, region in enumerate(exact) if row in region] == [held] * int(held >= 0)
        codes = encoded(rows, draft.schema)
        assert first_region(exact, codes, draft.schema).tolist() == found.assign(codes).tolist()


def test_a_region_taken_from_itself_leaves_no_part() -> None:
    """What lies in a hole isn't kept as an empty piece: with every rule before there would be twice as many."""
    schema = Schema((Feature("x", "numeric"), Feature("n", "integer")), "y", ("no", "yes"))
    box, hole = (
        clauses_box(parse_rule(f"IF {text} THEN yes").clauses, schema) for text in ("x > 1", "x > 2 AND n < 5")
    )
    region = Region((Part.of(box, [hole]),))
    nothing = RuleSet((), Outcome.of("no"))
    rules = tuple(FeedbackRule(name, region, Outcome.of("yes"), "uncovered", name) for name in ("U1", "U2"))
    found = Feedback(schema, rules, nothing, nothing)
    assert found.exact(0) == region
    assert found.exact(1) == NOWHERE


def test_what_one_rule_holds_is_what_assign_says(count: Callable[[int, int], int]) -> None:
    """Asked rule by rule, looking only at earlier rules that meet it, the same rows are held."""
    for number in range(count(60, 500)):
        dice = Dice(5_000_000 + number)
        draft = make_draft(dice, most=6)
        found = asks(draft)
        codes = encoded(make_small_rows(dice, draft.schema, 30), draft.schema)
        held = found.assign(codes)
        for place in range(len(found)):
            assert found.holds(place, codes).tolist() == (held == place).tolist()


def test_asked_outcomes_are_assign_and_codes(count: Callable[[int, int], int]) -> None:
    """`asked_outcomes` gives the holder, and the greatest class of what it asks or -1."""
    for number in range(count(60, 500)):
        dice = Dice(number)
        draft = make_draft(dice)
        rows = make_small_rows(dice, draft.schema, 20)
        held, codes = asked_outcomes(asks(draft), encoded(rows, draft.schema))
        for place, code, one in zip(held, codes, got(asks(draft), rows), strict=True):
            wanted = None if one is None or one.kind == "undecided" else one.outcome.top(draft.schema.classes)
            assert (place >= 0) == (one is not None)
            assert code == (-1 if wanted is None else draft.schema.classes.index(wanted))


def test_a_widened_rule_asserts_on_all_that_it_decides() -> None:
    """`age > 3` widened to `age > 1`: its outcome is asked wherever it decides."""
    draft = edited(draft_of("IF age > 3 THEN yes"), "set R1 age > 1")
    assert outcomes_by_age(draft) == "..yyyyyyyy"
    assert [(rule.id, rule.kind, rule.source) for rule in asks(draft)] == [("R1", "asserted", "R1")]


def test_change_limits_a_rule_to_what_is_answered_differently() -> None:
    """With `change` the same rule asks only where the base answered otherwise."""
    draft = edited(draft_of("IF age > 3 THEN yes"), "set R1 age > 1", asserts="change")
    assert outcomes_by_age(draft) == "..yy......"


def test_a_narrowed_rule_uncovers_rows() -> None:
    """Rows that a rule gave up are asked for what the edited rule set says there."""
    draft = edited(draft_of("IF age > 3 THEN yes", "IF age > 4 THEN yes"), "set R1 age > 6")
    assert outcomes_by_age(draft) == "....nyyyyy"
    assert [(rule.id, rule.kind) for rule in asks(draft)] == [
        ("R1", "asserted"),
        ("R1-uncovered", "uncovered"),
        ("R1-uncovered.2", "uncovered"),
    ]


def test_a_removed_rule_asks_for_what_the_rest_says() -> None:
    """`remove` without `otherwise` asks for the edited set's answer where the rule decided, and nowhere else."""
    draft = edited(draft_of("IF age > 7 THEN no", "IF age > 3 THEN yes"), "remove R2")
    assert outcomes_by_age(draft) == "....nnnn.."


def test_a_disabled_rule_asks_as_a_removed_one() -> None:
    """`disable` uncovers the same rows as `remove`."""
    one, two = (edited(draft_of(*TEXTS), f"{verb} R2") for verb in ("remove", "disable"))
    for job in ("car", "tv", "to", None):
        assert outcomes_by_age(one, job) == outcomes_by_age(two, job)


@pytest.mark.parametrize(("outcome", "letter"), [("yes", "y"), ("no", "n"), ("model", "m"), ("yes 0.75, no 0.25", "n")])
def test_otherwise_says_what_is_asked_of_the_uncovered_rows(outcome: str, letter: str) -> None:
    """The remainder's outcome is asked where the narrowed rule no longer decides."""
    draft = edited(draft_of("IF age > 3 THEN yes"), f"set R1 age > 6 otherwise {outcome}")
    assert outcomes_by_age(draft) == f"....{letter * 3}yyy"


def test_otherwise_model_asks_nothing() -> None:
    """`model` holds its rows and asks for no class."""
    draft = edited(draft_of("IF age > 3 THEN yes"), "remove R1 otherwise model")
    found = asks(draft)
    assert [rule.asks for rule in found] == [False]
    held, codes = asked_outcomes(found, encoded(age_rows(), SCHEMA))
    assert held.tolist() == [-1] * 4 + [0] * 6
    assert set(codes.tolist()) == {-1}


def test_a_moved_rule_uncovers_where_an_extracted_one_takes_its_rows() -> None:
    """A rule moved behind another asks on what it still decides; what it lost is asked for as the set now says."""
    draft = edited(draft_of("IF age > 3 THEN yes", "IF age > 5 THEN no"), "move R1 after R2")
    assert outcomes_by_age(draft) == "....yynnnn"
    assert {rule.id for rule in asks(draft)} == {"R1", "R1-uncovered"}


def test_a_confirmed_rule_asks_where_it_decides() -> None:
    """`confirm` asserts without a change: not on rows that an earlier extracted rule decides."""
    draft = edited(draft_of("IF age > 7 THEN no", "IF age > 3 THEN yes"), "confirm R2")
    assert outcomes_by_age(draft) == "....yyyy.."


def test_changing_the_default_asks_nothing() -> None:
    """The default is nobody's rule: another one asserts nothing by itself."""
    draft = edited(draft_of("IF age > 3 THEN yes"), "default yes")
    assert asks(draft).rules == ()
    assert outcomes_by_age(edited(draft, "remove R1")) == "....yyyyyy"


def test_restoring_text_and_place_ends_the_assertion() -> None:
    """A rule back home with its old text asks for nothing."""
    draft = edited(draft_of(*TEXTS), "set R2 age > 1", "then R2 yes", "then R2 no", "set R2 age > 3")
    assert asks(draft).rules == ()
    assert draft.rules == draft.base
    moved = edited(draft_of(*TEXTS), "move R3 before R1", "move R3 after R2")
    assert moved.rules == moved.base


def test_a_rule_that_asks_for_less_than_it_decides_hides_later_ones() -> None:
    """What a `change` rule decides as before stays its own: an asserted rule behind it does not ask there."""
    draft = edited(draft_of("IF age > 3 THEN yes"), "set R1 age > 1", asserts="change")
    draft = edited(draft, "new IF age > 6 THEN no after R1", "resolve all priority")
    assert [rule.asserts for rule in draft.rules] == ["change", "whole"]
    assert outcomes_by_age(draft) == "..yy......"


def test_a_settled_overlap_of_change_rules_asks_for_the_change() -> None:
    """Where the winner of a conflict asserts only its change, so does the intersection."""
    draft = draft_of("IF age > 3 THEN yes")
    draft = edited(draft, "new IF age > 6 THEN no", "new IF age > 5 THEN yes", "resolve all priority", asserts="change")
    draft = edited(draft, "move R3 before R2", "then R1 yes 0.5, no 0.5", "then R1 yes", asserts="change")
    assert [rule.id for rule in draft.rules] == ["R3", "R2", "R1"]
    assert outcomes_by_age(draft) == ".......nnn"
    assert outcomes_by_age(edited(draft, "resolve R3 R2 outcome yes")) == ".........."
    assert outcomes_by_age(edited(draft, "resolve R3 R2 model")) == ".......mmm"


def test_undecided_rows_ask_nothing() -> None:
    """Rows of an open conflict are held as undecided and ask for nothing."""
    draft = edited(draft_of("IF age > 3 THEN yes"), "confirm R1", "new IF age > 6 THEN no")
    assert outcomes_by_age(draft) == "....yyy???"
    with pytest.raises(ConflictsOpen, match=r"R1 and R2 conflict where age >= 7: R1 says yes, R2 says no"):
        asks(draft).settled()
    settled = edited(draft, "resolve all model")
    assert outcomes_by_age(settled) == "....yyymmm"
    assert asks(settled).settled() == asks(settled)


def test_exact_thresholds_missing_and_unseen() -> None:
    """`>` begins at the next double, a missing value is in no clause, an unseen one in `not in`."""
    schema = Schema((Feature("x", "numeric"), Feature("c", "categorical", categories=("a",))), "y", ("no", "yes"))
    draft = edited(draft_of("IF x > 2.5 THEN yes", schema=schema), "set R1 x > 1", "new IF c != a THEN yes")
    after = float(np.nextafter(1.0, 2.0))
    rows: list[Row] = [{"x": 1.0, "c": "a"}, {"x": after, "c": "a"}, {"x": None, "c": "a"}, {"x": None, "c": "zz"}]
    assert [one is not None for one in got(asks(draft), rows)] == [False, True, False, True]
    assert got(asks(draft), [{"x": 1e-36, "c": None}, {"x": None, "c": None}]) == [None, None]


def test_base_boxes_are_those_of_the_rule_that_it_was() -> None:
    """A changed rule remembers its base box; new and relabelled rules have none; a carved one its whole rule's."""
    draft = draft_of("IF age > 3 THEN yes", "IF job = car THEN no")
    found = {rule.id: rule for rule in asks(edited(draft, "set R1 age > 1", "then R2 yes", "new IF age < 1 THEN yes"))}
    assert [row in found["R1"].base for row in age_rows()] == [row["age"] > 3 for row in age_rows()]  # type: ignore[operator]
    assert not found["R2"].base.parts
    assert not found["R3"].base.parts
    carved = edited(draft, "set R1 age > 1", "new IF age = 7 THEN no before R1", "resolve R3 R1 carve")
    bases = {rule.id: rule.base for rule in asks(carved)}
    assert bases["R1.1"] == found["R1"].base


def test_feedback_of_a_rule_set_with_base_assertions() -> None:
    """A rule that the release in force asserts is asked for again, whatever else is edited."""
    base = RuleSet((parse_rule(TEXTS[1], "R1").replace(asserted=True, confirmed=True),), Outcome.of("no"))
    assert outcomes_by_age(Draft.of(base, SCHEMA)) == "....nnnnnn"


def test_asked_is_said_where_nothing_is_open(count: Callable[[int, int], int]) -> None:
    """The reference itself: what is asked is what the edited rule set says."""
    for number in range(count(100, 1_000)):
        dice = Dice(number)
        draft = make_draft(dice)
        for row in make_small_rows(dice, draft.schema, 10):
            one = asked(draft.base, draft.rules, row, draft.schema)
            if one is not None and one.kind != "undecided":
                assert one.outcome == said(draft.rules, row, draft.schema)


def test_a_settled_overlap_comes_from_where_its_winner_was() -> None:
    """Won by a changed rule the intersection keeps that rule's base box; settled on an outcome alone it has none."""
    draft = edited(draft_of("IF age > 6 THEN yes", "IF age between 5 and 6 THEN no"), "set R1 age > 2")
    draft = edited(draft, "set R2 age between 5 and 8")

    def base_ages(settlement: str) -> list[int]:
        (shared,) = [rule for rule in asks(edited(draft, settlement)) if "+" in rule.id]
        return [age for age, row in enumerate(age_rows()) if row in shared.base]

    assert base_ages("resolve R1 R2 specific") == [5, 6]
    assert base_ages("resolve R1 R2 outcome no") == base_ages("resolve R1 R2 model") == []


def test_what_asks_ends_with_a_no_for_the_rows_of_no_rule() -> None:
    """Indexed by `assign`, whose -1 says that none holds the row, `asks` says no for it."""
    found = asks(edited(draft_of(*TEXTS), "set R1 age > 2", "then R2 model"))
    assert found.asks.tolist() == [rule.outcome != MODEL for rule in found.rules] + [False]
    assert not found.asks[-1]


def test_a_list_of_feedback_has_a_length_and_an_order() -> None:
    """Feedback is a sequence of its rules."""
    found = asks(edited(draft_of(*TEXTS), "remove R2 otherwise model", "then R1 model"))
    assert len(found) == len(list(found)) == len(found.rules)
    assert [rule.outcome == MODEL for rule in found] == [not rule.asks for rule in found]
    assert all(covers(rule, {"age": 6.0, "job": "car"}, SCHEMA) for rule in found.edited.rules[:1])
