"""What can come next in an edit that is being typed."""

from __future__ import annotations

import pytest

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from service.workbench.completion import completed, completions

SCHEMA = Schema(
    (
        Feature("age", "integer", low=0.0, high=100.0),
        Feature("purpose", "categorical", categories=("car", "radio/tv")),
        Feature("capital-gain", "numeric"),
    ),
    target="decision",
    classes=("approve", "deny"),
)
DRAFT = Draft.of(RuleSet((Rule("R1", (Clause("age", ">", 30.0),), Outcome.of("deny")),), Outcome.of("approve")), SCHEMA)


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("", "set"),
        ("se", "set"),
        ("set ", "R1"),
        ("default ", "deny"),
        ("set R1 ", "age"),
        ("new IF ", "`capital-gain`"),
        ("new IF `cap", "`capital-gain`"),
        ("new IF age ", "between"),
        ("new IF purpose ", "in ("),
        ("new IF purpose in (", "'radio/tv'"),
        ("new IF purpose in (car, ", "'radio/tv'"),
        ("new IF age > 30 ", "THEN"),
        ("new IF age > 30 THEN ", "model"),
        ("new IF age > 30 THEN deny before ", "R1"),
        ("move R1 ", "before"),
        ("then R1 ", "approve"),
        ("remove R1 otherwise ", "model"),
    ],
)
def test_what_fits_is_offered(text: str, offered: str) -> None:
    """Verbs, rules, features, operators, values and outcomes, each in its place."""
    assert offered in completions(DRAFT, text)


def test_taking_what_is_offered_leads_to_an_edit() -> None:
    """Word by word, without typing anything but a number."""
    text = "new IF "
    for word in ("purpose", "in (", "car"):
        assert word in completions(DRAFT, text)
        text = completed(text, word)
    text = text.rstrip() + ") "
    for word in ("THEN", "deny"):
        assert word in completions(DRAFT, text)
        text = completed(text, word)
    assert str(edit(DRAFT, [text], reason="r").rules.rules[0]) == "IF purpose in (car) THEN deny"


@pytest.mark.parametrize("text", ["`", "'", "new IF age >", "((((", "😀 😀", "set R1 " + "a" * 5000])
def test_nonsense_is_no_accident(text: str) -> None:
    """Whatever is typed, there is an answer, and quickly."""
    assert isinstance(completions(DRAFT, text), list)
