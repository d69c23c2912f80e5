"""A mixture by form: what it begins with, and what its weights say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import SettlementRefused
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.workflow import resolve_conflicts
from service.workbench.mixture import beginning, mixture

SCHEMA = Schema((Feature("n", "integer", low=0.0, high=100.0),), target="ok", classes=("no", "yes"))


def draft(*edits: str, second: str = "no") -> Draft:
    """Two rules that somebody added and that disagree, with edits behind them."""
    rules = (Rule("R1", (Clause("n", "<", 20.0),), Outcome.of("no")),)
    start = Draft.of(RuleSet(rules, Outcome.of("no")), SCHEMA)
    added = ["new IF n > 60 THEN yes 0.8, no 0.2", f"new IF n > 50 THEN {second}"]
    return edit(start, [*added, *edits], reason="r")


@pytest.mark.parametrize(
    ("edits", "first"),
    [
        ([], [0.5, 0.5]),
        (["confidence R2 0.9"], [0.5, 0.5]),
        (["confidence R2 0.9", "confidence R3 0.6"], [0.6, 0.4]),
    ],
)
def test_the_form_begins_with_how_sure_the_rules_are(edits: list[str], first: list[float]) -> None:
    """Where somebody said so of both; else with half of each."""
    assert beginning(draft(*edits).rules, ("R2", "R3")) == pytest.approx(first)


@given(st.integers(0, 100))
def test_what_the_form_says_is_what_settling_records(part: int) -> None:
    """The same outcome in the settlement, with the weights in the order in which the rules are named."""
    before, weights = draft(), (part / 100, 1 - part / 100)
    said = mixture(before, ("R2", "R3"), weights)
    assert said.vector(SCHEMA.classes)[1] == pytest.approx(0.8 * part / 100)
    text = " ".join(map(repr, weights))
    settled = resolve_conflicts(before, ("R2", "R3"), "mixture", weights=text, reason="r", author="a")
    assert [one.outcome for one in settled.rules.settlements] == [said]


def test_the_model_is_in_no_mixture() -> None:
    """It is no distribution before a row is known, and that is said."""
    with pytest.raises(SettlementRefused, match="'model' can't be mixed"):
        mixture(draft(second="model"), ("R2", "R3"), (0.5, 0.5))
