"""Clauses, outcomes, rules and rule sets as values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given

from ruleedit.errors import OutcomeRefused, UnknownRule
from ruleedit.rules import (
    KEYWORDS,
    MODEL,
    Clause,
    Outcome,
    Rule,
    RuleSet,
    Settlement,
    is_word,
    number_text,
    read_number,
)
from tests import strategies
from tests.reference import TINIEST

DENY = Outcome.of("deny")
R1 = Rule("R1", (Clause("age", "<", 25.0), Clause("job", "=", "cook")), DENY)
R2 = Rule("R2", (Clause("age", ">", 60.0),), MODEL, enabled=False)
RULES = RuleSet((R1, R2), Outcome.of("approve"))


@pytest.mark.parametrize(
    ("clause", "text"),
    [
        (Clause("age", ">", 26.0), "age > 26"),
        (Clause("age", ">", 26), "age > 26"),
        (Clause("capital-gain", "<=", 0.1), "`capital-gain` <= 0.1"),
        (Clause("a`b", "=", "it's"), "`a``b` = 'it''s'"),
        (Clause("and", "!=", "NOT"), "`and` != 'NOT'"),
        (Clause("purpose", "in", ("car", "radio/tv")), "purpose in (car, 'radio/tv')"),
        (Clause("code", "not in", ("42",)), "code not in ('42')"),
        (Clause("x", "between", (-1.5, 1e300)), "x between -1.5 and 1e+300"),
        (Clause("x", "is missing"), "x is missing"),
        (Clause("x", "is not missing"), "x is not missing"),
    ],
)
def test_a_clause_prints_as_text(clause: Clause, text: str) -> None:
    """Words stand bare, other names in backquotes, other texts in single quotes."""
    assert str(clause) == text


def test_a_rule_prints_as_text() -> None:
    """A rule is its clauses joined by AND, and its outcome."""
    assert str(R1) == "IF age < 25 AND job = cook THEN deny"
    assert str(R2) == "IF age > 60 THEN model"
    assert str(Outcome.spread({"deny": 0.1, "approve": 0.9})) == "approve 0.9, deny 0.1"
    assert str(Outcome.of("model")) == "'model'"


@pytest.mark.parametrize("word", ["age", "_x1", "é", "名前", "true", "nan"])
def test_a_word_stands_bare(word: str) -> None:
    """Letters, digits and underscores that don't begin with a digit are a word."""
    assert is_word(word)


@pytest.mark.parametrize(
    "text",
    ["", "1st", "a b", "a-b", "😀", "a\n", "e\u0301", *sorted(KEYWORDS), *(word.title() for word in sorted(KEYWORDS))],
)
def test_anything_else_is_quoted(text: str) -> None:
    """Keywords in any case, numbers and odd characters are no words."""
    assert not is_word(text)


@given(strategies.doubles())
def test_a_number_prints_shortest_and_reads_back_exactly(number: float) -> None:
    """The text is the shortest that reads back as the same double, without a useless ``.0``."""
    text = number_text(number)
    assert float(text) == number
    assert not text.endswith(".0")
    digits = len(text.split("e")[0].replace(".", "").lstrip("-0"))
    assert digits < 2 or number == round(number) or float(f"{number:.{digits - 2}e}") != number


@pytest.mark.parametrize("tiny", [0.0, -0.0, 1e-36, -1e-36, 5e-324, 1e-35, TINIEST, -TINIEST])
def test_tiny_numbers_are_read_as_zero(tiny: float) -> None:
    """Magnitudes up to LightGBM's zero threshold are 0, without a sign."""
    assert math.copysign(1.0, read_number(tiny)) == 1.0
    assert read_number(tiny) == 0.0


@pytest.mark.parametrize("number", [math.nextafter(TINIEST, 1.0), -math.nextafter(TINIEST, 1.0), 1.1e-35, 1.0])
def test_other_numbers_are_read_as_they_are(number: float) -> None:
    """The next double past the threshold is a number of its own."""
    assert read_number(number) == number


def test_the_values_of_a_clause_come_as_a_tuple() -> None:
    """However many values a clause has, `values` lists them."""
    assert Clause("x", "is missing").values == ()
    assert Clause("x", "=", 1.0).values == (1.0,)
    assert Clause("x", "in", (1.0, 2.0)).values == (1.0, 2.0)


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ({"a": 0.5, "b": 0.4}, "the probabilities a 0.5, b 0.4 sum to 0.9, not 1"),
        ({"a": 1.5, "b": -0.5}, "probability 1.5 of 'a' is outside 0 to 1"),
        ({"a": 1.0, "b": math.nan}, "probability nan of 'b'"),
        ({}, "sum to 0, not 1"),
    ],
)
def test_a_distribution_that_is_none_is_refused(weights: dict[str, float], problem: str) -> None:
    """Probabilities lie in 0 to 1 and sum to 1."""
    with pytest.raises(OutcomeRefused, match=problem):
        Outcome.spread(weights)


def test_a_distribution_has_one_form() -> None:
    """The order of writing doesn't matter, zeros are left out, certainty is a class."""
    assert Outcome.spread({"b": 0.25, "a": 0.75}) == Outcome.spread({"a": 0.75, "b": 0.25, "c": 0.0})
    assert Outcome.spread({"a": 1.0, "b": 1e-36}) == Outcome.of("a")
    assert Outcome.spread({"a": 1.0}).is_class


def test_an_outcome_says_what_it_is() -> None:
    """A class, a distribution and the model are told apart."""
    half = Outcome.spread({"a": 0.5, "b": 0.5})
    assert [(outcome.is_model, outcome.is_class, outcome.classes) for outcome in (MODEL, DENY, half)] == [
        (True, False, ()),
        (False, True, ("deny",)),
        (False, False, ("a", "b")),
    ]


def test_the_greatest_class_wins_and_ties_go_to_the_first() -> None:
    """Ties are broken by the order of the classes, and the model has no class of its own."""
    half = Outcome.spread({"a": 0.5, "b": 0.5})
    assert half.top(("b", "a")) == "b"
    assert Outcome.spread({"a": 0.4, "b": 0.6}).top(("a", "b")) == "b"
    assert MODEL.top(("a", "b")) is None


@given(strategies.outcomes())
def test_an_outcome_as_a_vector_sums_to_one(outcome: Outcome) -> None:
    """The vector has a place for each class and sums to 1, or to 0 for the model."""
    vector = outcome.vector(strategies.CLASSES)
    assert len(vector) == len(strategies.CLASSES)
    assert math.isclose(sum(vector), 0.0 if outcome.is_model else 1.0)


def test_two_rules_say_the_same_whatever_the_order_of_their_clauses() -> None:
    """`says` looks at clauses and outcome, not at id, order or state."""
    turned = R1.replace(id="R9", clauses=R1.clauses[::-1], enabled=False)
    assert R1.says(turned)
    assert turned != R1
    assert not R1.says(R1.replace(outcome=MODEL))
    assert not R1.says(R1.replace(clauses=R1.clauses[:1]))


def test_a_rule_set_is_an_ordered_list() -> None:
    """Rules are found by id and place; disabled ones can't decide."""
    assert list(RULES) == [R1, R2]
    assert (len(RULES), RULES.ids, RULES.enabled) == (2, ("R1", "R2"), (R1,))
    assert (RULES.position("R2"), RULES.rule("R2")) == (1, R2)


def test_an_unknown_rule_is_refused() -> None:
    """The message lists what is there."""
    with pytest.raises(UnknownRule, match="no rule 'r1'; did you mean 'R1'"):
        RULES.rule("r1")


def test_a_settlement_names_its_loser() -> None:
    """With a winner the other of the pair gives way; without one nobody does."""
    texts = (str(R1), str(R2))
    assert Settlement(("R1", "R2"), texts, "priority", winner="R1").loser() == "R2"
    assert Settlement(("R1", "R2"), texts, "priority", winner="R2").loser() == "R1"
    assert Settlement(("R1", "R2"), texts, "model", outcome=MODEL).loser() is None
