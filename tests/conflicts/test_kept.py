"""What is kept of the rules' boxes while edits are tried changes no answer, whatever was asked before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ruleedit.conflicts import Conflicts, kept, open_conflicts
from ruleedit.conflicts.kept import Kept
from ruleedit.conflicts.meeting import containing, meeting
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.regions import rule_box
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from service.workbench.telling import Warned, new_warnings
from tests import strategies
from tests.strategies import Dice

SCHEMA = Schema((Feature("x", "integer", low=0.0, high=1_000.0),), target="y", classes=("no", "yes"))


def crowd(rules: int) -> Draft:
    """Many rules side by side."""
    texts = [f"IF x between {3 * at} and {3 * at + 2} THEN yes" for at in range(rules)]
    made = tuple(parse_rule(text, f"R{at + 1}") for at, text in enumerate(texts))
    return Draft.of(RuleSet(made, Outcome.of("no")), SCHEMA)


@pytest.mark.parametrize("most_new", [0, 1, 8])
def test_conflicts_and_warnings_are_those_of_the_whole_recount(
    most_new: int, count: Callable[[int, int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over sessions of random edits, each tried against all that was known before; few new boxes or many."""
    monkeypatch.setattr(kept, "MOST_NEW", most_new)
    conflicts = warnings = 0
    for number in range(count(40, 1_000)):
        dice = Dice(9_000_000 + 10_000 * most_new + number)
        schema = strategies.make_small_schema(dice)
        start = Draft.of(strategies.make_base(dice, schema), schema)
        known = Kept(schema)
        for draft in strategies.make_session(dice, start, most=8):
            found, whole = Conflicts(draft.rules, schema, known), Conflicts(draft.rules, schema)
            assert found.all == whole.all
            assert found.overlaps == whole.overlaps
            assert found.disagreeing == whole.disagreeing
            assert draft.warnings(known) == draft.warnings()
            conflicts, warnings = conflicts + len(whole.all), warnings + len(draft.warnings())
    assert conflicts > 30
    assert warnings > 30


def told(before: Draft, after: Draft) -> list[str]:
    """What an edit brings about, each draft looked at as a whole."""
    old = set(before.warnings())
    found = [one for one in after.warnings() if one not in old]
    was = {frozenset(one.rules) for one in open_conflicts(before.rules, before.schema)}
    for one in open_conflicts(after.rules, after.schema):
        if frozenset(one.rules) not in was:
            found.append(f"conflict: {' and '.join(one.rules)} cover the same rows and say different things")
    return found[:3]


def test_what_is_said_of_a_tried_edit_is_what_the_whole_recount_says(count: Callable[[int, int], int]) -> None:
    """Edit after edit tried on the same kept draft, none of them made."""
    said = 0
    for number in range(count(30, 1_000)):
        dice = Dice(9_500_000 + number)
        schema = strategies.make_small_schema(dice)
        kept_draft = strategies.make_session(dice, Draft.of(strategies.make_base(dice, schema), schema), most=4)[-1]
        warned = Warned.of(kept_draft)
        for _ in range(4):
            tried = strategies.make_session(dice, kept_draft, most=1)[-1]
            assert new_warnings(warned, tried) == told(kept_draft, tried)
            said += len(told(kept_draft, tried))
    assert said > 20


def test_of_many_rules_only_the_changed_one_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moved clause asks for one row and one column, not for every pair again."""
    sizes: list[tuple[int, int]] = []
    monkeypatch.setattr(kept, "meeting", lambda *asked: _noted(sizes, meeting, *asked))
    monkeypatch.setattr(kept, "containing", lambda *asked: _noted(sizes, containing, *asked))
    draft = crowd(100)
    warned = Warned.of(draft)
    new_warnings(warned, edit(draft, ["set R7 x between 18 and 22"], reason="r"))
    sizes.clear()
    tried = edit(draft, ["set R7 x between 18 and 25"], reason="r")
    assert "R8 never decides: R7 stands before it and covers all its rows" in new_warnings(warned, tried)
    assert sizes == [(1, 100), (100, 1)] * 2


def _noted(sizes: list[tuple[int, int]], compare: Callable[..., Any], *asked: Any) -> Any:
    sizes.append((len(asked[0]), len(asked[1])))
    return compare(*asked)


def test_a_box_is_worked_out_once_and_forgotten_past_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same object while it is remembered, an equal one afterwards; what was compared stays right."""
    monkeypatch.setattr(kept, "MOST_BOXES", 5)
    rules = crowd(6).rules.rules
    known = Kept(SCHEMA)
    first = known.box(rules[0])
    assert known.box(rules[0]) is first
    boxes = [known.box(rule) for rule in rules]
    assert known.box(rules[0]) is not first
    assert known.box(rules[0]) == first == rule_box(rules[0], SCHEMA)
    assert np.array_equal(known.meeting(boxes), meeting(boxes))
    again = [known.box(rule) for rule in rules]
    assert np.array_equal(known.meeting(again), meeting(boxes))


def test_what_was_given_can_be_written_on() -> None:
    """The next answer is the same: nobody holds the table itself."""
    known = Kept(SCHEMA)
    boxes = [known.box(rule) for rule in crowd(4).rules]
    known.meeting(boxes)[:] = True
    known.containing(boxes)[:] = True
    assert np.array_equal(known.meeting(boxes), np.eye(4, dtype=bool))
    assert np.array_equal(known.containing(boxes), np.eye(4, dtype=bool))
