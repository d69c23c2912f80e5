"""What is said beside a clause: only what the edit brings about."""

from __future__ import annotations

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from service.workbench.telling import Warned, new_warnings

SCHEMA = Schema((Feature("n", "integer", low=0.0, high=100.0),), target="ok", classes=("no", "yes"))


def draft() -> Draft:
    """One extracted rule, and one that somebody added."""
    rules = (Rule("R1", (Clause("n", "<", 20.0),), Outcome.of("no")),)
    return edit(Draft.of(RuleSet(rules, Outcome.of("no")), SCHEMA), ["new IF n > 60 THEN yes"], reason="r")


def said(before: Draft, text: str) -> list[str]:
    """What trying an edit on a draft says."""
    return new_warnings(Warned.of(before), edit(before, [text], reason="tried"))


def test_a_conflict_that_an_edit_makes_is_told_with_both_rules() -> None:
    """And none where there is none."""
    told = "conflict: R2 and R3 cover the same rows and say different things"
    assert told in said(draft(), "new IF n > 90 THEN no")
    assert said(draft(), "new IF n between 30 and 40 THEN yes") == []


def test_what_was_so_before_is_not_told_again() -> None:
    """A conflict that stands already isn't the next edit's doing."""
    before = edit(draft(), ["new IF n > 90 THEN no"], reason="r")
    assert said(before, "new IF n between 30 and 40 THEN yes") == []


def test_a_rule_that_another_covers_is_told() -> None:
    """By name, and at most three things are said."""
    found = said(draft(), "new IF n > 80 THEN yes")
    assert any("R3" in one for one in found)
    assert len(found) <= 3
