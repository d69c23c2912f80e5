"""Rule text: what is printed reads back, and what can't be read is refused with its place."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest
from hypothesis import given

from ruleedit.errors import OutcomeRefused, RuleTextError, TooLong, UnknownOperator
from ruleedit.rules import MODEL, Clause, Outcome, Rule
from ruleedit.text import LONGEST_TEXT, MOST_CLAUSES, Reader, parse_clause, parse_outcome, parse_rule
from tests import strategies
from tests.reference import TINIEST


@given(strategies.free_clauses())
def test_a_clause_reads_back(clause: Clause) -> None:
    """`parse_clause(str(clause))` is the clause, whatever name and values it has."""
    assert parse_clause(str(clause)) == clause


@given(strategies.outcomes(strategies.ODD_TEXTS))
def test_an_outcome_reads_back(outcome: Outcome) -> None:
    """`parse_outcome(str(outcome))` is the outcome, the class called model included."""
    assert parse_outcome(str(outcome)) == outcome


@given(strategies.free_rules())
def test_a_rule_reads_back(rule: Rule) -> None:
    """`parse_rule(str(rule), rule.id)` is the rule."""
    assert parse_rule(str(rule), rule.id) == rule


@pytest.mark.parametrize("batch", range(10))
def test_rules_by_the_ten_thousand_read_back(batch: int, count: Callable[[int, int], int]) -> None:
    """Promise 8: 100,000 random rules read back, 10,000 of them in CI."""
    dice = strategies.Dice(batch)
    for _ in range(count(1_000, 10_000)):
        rule = strategies.make_free_rule(dice)
        assert parse_rule(str(rule), rule.id) == rule


@given(strategies.texts())
def test_any_name_and_any_text_can_be_said(text: str) -> None:
    """Backquotes hold any feature's name and single quotes any value or class."""
    quoted, named = "'" + text.replace("'", "''") + "'", "`" + text.replace("`", "``") + "`"
    rule = parse_rule(f"IF {named} = {quoted} THEN {quoted}")
    assert (rule.clauses, rule.outcome) == ((Clause(text, "=", text),), Outcome.of(text))


def test_the_example_of_the_manual_is_read() -> None:
    """The rule that the documentation shows means what it says."""
    text = "IF age > 26 AND income >= 50000 AND purpose in (car, 'radio/tv') AND job is not missing THEN approve"
    rule = parse_rule(text, "R7")
    assert rule.id == "R7"
    assert str(rule) == text
    assert rule.clauses[2] == Clause("purpose", "in", ("car", "radio/tv"))
    assert rule.clauses[3] == Clause("job", "is not missing")


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title, str.swapcase])
def test_keywords_are_read_in_any_case(change: Callable[[str], str]) -> None:
    """Only names and values keep their case."""
    words = ("if", "between", "and", "and", "not in", "and", "is not missing", "then", "model")
    text = "{} x {} 1 {} 2 {} y {} (a, B) {} z {} {} {}".format(*map(change, words))
    rule = parse_rule(text)
    assert rule.outcome == MODEL
    assert rule.clauses == (
        Clause("x", "between", (1.0, 2.0)),
        Clause("y", "not in", ("a", "B")),
        Clause("z", "is not missing"),
    )


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\r\n", "  \u00a0 "])
def test_any_white_space_separates(space: str) -> None:
    """Lines and tabs are as good as spaces."""
    assert parse_clause(f"x{space}in{space}({space}a{space},{space}b{space})") == Clause("x", "in", ("a", "b"))


def test_signs_need_no_space() -> None:
    """An operator ends where its value begins."""
    assert parse_clause("x>=-5") == Clause("x", ">=", -5.0)
    assert parse_clause("x!='a'") == Clause("x", "!=", "a")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("30", 30.0),
        ("+5", 5.0),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("1E3", 1000.0),
        ("0.1", 0.1),
        ("1e-34", 1e-34),
        ("007", 7.0),
    ],
)
def test_numbers_are_read(text: str, number: float) -> None:
    """Signs, decimals and exponents are read as doubles."""
    assert parse_clause(f"x = {text}").value == number


@pytest.mark.parametrize(
    "text", ["-0", "0.0", "1e-36", "-1e-36", "1e-35", "5e-324", "1e-999", repr(TINIEST), repr(-TINIEST)]
)
def test_tiny_numbers_are_zero(text: str) -> None:
    """What LightGBM reads as 0 is 0, without a sign."""
    assert str(parse_clause(f"x > {text}")) == "x > 0"


@pytest.mark.parametrize("text", ["1e999", "-1e999", "9" * 400])
def test_infinite_numbers_are_refused(text: str) -> None:
    """A number too large for a double is no number."""
    with pytest.raises(RuleTextError, match="too large for a number"):
        parse_clause(f"x < {text}")


@pytest.mark.parametrize("text", ["nan", "inf", "Infinity"])
def test_words_for_no_number_are_texts(text: str) -> None:
    """`nan` and `inf` are words like others; that a number was expected is said against the schema."""
    assert parse_clause(f"x = {text}").value == text


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("deny", Outcome.of("deny")),
        ("'1'", Outcome.of("1")),
        ("MODEL", MODEL),
        ("'model'", Outcome.of("model")),
        ("approve 0.9, deny 0.1", Outcome.spread({"approve": 0.9, "deny": 0.1})),
        ("deny .1, approve 9e-1", Outcome.spread({"approve": 0.9, "deny": 0.1})),
        ("deny 1", Outcome.of("deny")),
    ],
)
def test_outcomes_are_read(text: str, outcome: Outcome) -> None:
    """A class, a distribution, or the bare keyword model."""
    assert parse_outcome(text) == outcome


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a feature's name (in backquotes unless it is a word) at character 1 of '', found the end"),
        ("and = 1", "expected a feature's name ('and' is a keyword: write it in backquotes) at character 1"),
        (
            "5 = x",
            "expected a feature's name (in backquotes unless it is a word) at character 1 of '5 = x', found '5 = x'",
        ),
        ("capital-gain > 5", "can't read '-gain > 5' at character 8"),
        (
            "x",
            "expected an operator (=, !=, <, <=, >, >=, in, not in, between, is missing, is not missing) at character",
        ),
        ("x 30", "expected an operator"),
        ("x >", "expected a number, a word or a text in single quotes at character 4 of 'x >', found the end"),
        ("x > then", "expected a number, a word or a text in single quotes at character 5"),
        ("x > 1.2.3", "can't read '1.2.3' at character 5"),
        ("x > 30and", "can't read '30and' at character 5"),
        ('x = "a"', "; texts stand in single quotes"),
        ("x = 'a", 'can\'t read "\'a" at character 5 of "x = \'a"; a quote is opened and never closed'),
        ("x = 'it''s", "at character 5"),
        ("`x = 1", "a quote is opened and never closed"),
        ("x = a; y", "can't read '; y' at character 6"),
        ("x is 5", "expected MISSING at character 6"),
        ("x not 5", "expected IN at character 7"),
        ("x in a", "expected '(' at character 6"),
        ("x in ()", "expected a number, a word or a text in single quotes at character 7"),
        ("x in (a b)", "expected ')' at character 9"),
        ("x in (a", "expected ')' at character 8 of 'x in (a', found the end"),
        ("x between 1", "expected AND at character 12"),
        ("x = 1 y", "expected the end at character 7 of 'x = 1 y', found 'y'"),
    ],
)
def test_a_clause_that_cant_be_read_is_refused(text: str, message: str) -> None:
    """The message says what was expected, where, and what is there."""
    with pytest.raises(RuleTextError) as refused:
        parse_clause(text)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1 THEN a", "expected IF at character 1"),
        ("IF THEN a", "'THEN' is a keyword"),
        ("IF x = 1", "expected THEN at character 9 of 'IF x = 1', found the end"),
        ("IF x = 1 AND THEN a", "'THEN' is a keyword"),
        ("IF x = 1 OR y = 2 THEN a", "expected THEN at character 10"),
        ("IF x = 1 THEN", "expected a number, a word or a text in single quotes at character 14"),
        ("IF x = 1 THEN 1", "expected a class (in single quotes where it looks like a number) at character 15"),
        ("IF x = 1 THEN not", "expected a class ('not' is a keyword: write it in single quotes) at character 15"),
        ("IF x = 1 THEN a 0.5, b", "expected a probability at character 23"),
        ("IF x = 1 THEN a 0.5, a 0.5", "class 'a' is given twice"),
        ("IF x = 1 THEN a 1 b 0", "expected the end at character 19"),
        ("IF x = 1 THEN a, b", "expected the end at character 16"),
    ],
)
def test_a_rule_that_cant_be_read_is_refused(text: str, message: str) -> None:
    """The message says what was expected, where, and what is there."""
    with pytest.raises(RuleTextError) as refused:
        parse_rule(text)
    assert message in str(refused.value)


def test_a_distribution_that_is_none_is_refused() -> None:
    """Probabilities that don't sum to 1 are named."""
    with pytest.raises(OutcomeRefused, match=r"the probabilities a 0\.5, b 0\.4 sum to 0\.9, not 1"):
        parse_outcome("a 0.5, b 0.4")


@pytest.mark.parametrize(
    ("operator", "hint"),
    [
        ("==", "did you mean '='?"),
        ("<>", "did you mean '!='?"),
        ("=>", "did you mean '>='?"),
        ("=<", "did you mean '<='?"),
        ("!", "did you mean '!='?"),
        ("LIKE", "did you mean 'in'?"),
        ("equals", "did you mean '='?"),
        ("betwen", "did you mean 'between'?"),
        ("~", "there are '=', '!=', '<', '<=', '>', '>=', 'in', 'not in', 'between', 'is missing', 'is not missing'"),
    ],
)
def test_an_unknown_operator_comes_with_the_nearest(operator: str, hint: str) -> None:
    """The message names the operator, its place and what was probably meant."""
    with pytest.raises(UnknownOperator) as refused:
        parse_clause(f"age {operator} 5")
    assert f"no operator {operator!r} at character 5" in str(refused.value)
    assert hint in str(refused.value)


def test_a_text_of_ten_kibibytes_is_the_longest() -> None:
    """The limit counts bytes of UTF-8: one more is refused."""
    head, tail = "x = '", "'"
    room = LONGEST_TEXT - len(head) - len(tail)
    assert LONGEST_TEXT == 10 * 1024
    assert parse_clause(head + "é" * (room // 2) + "a" * (room % 2) + tail)
    with pytest.raises(TooLong, match="longer than 10 KiB"):
        parse_clause(head + "é" * (room // 2) + "a" * (room % 2 + 1) + tail)


def test_a_rule_has_at_most_256_clauses() -> None:
    """One clause more is refused."""
    assert MOST_CLAUSES == 256
    assert len(parse_rule("IF " + " AND ".join(["x > 1"] * 256) + " THEN a").clauses) == 256
    with pytest.raises(TooLong, match="more than 256 clauses"):
        parse_rule("IF " + " AND ".join(["x > 1"] * 257) + " THEN a")


@pytest.mark.parametrize(
    "tail", ["1" * 10_000 + "a", "'" * 10_001, "`" * 10_001, "1.1" * 3_000, "(" * 10_000, "1e" * 5_000]
)
def test_a_hostile_text_is_refused_quickly(tail: str) -> None:
    """Reading takes time in proportion to the text, whatever it holds."""
    start = time.perf_counter()
    with pytest.raises(RuleTextError):
        parse_clause("x > " + tail)
    assert time.perf_counter() - start < 1.0


def test_a_long_text_is_shortened_in_messages() -> None:
    """A message shows the text's beginning, not ten kibibytes."""
    with pytest.raises(RuleTextError) as refused:
        parse_clause("x = " + "a " * 1_000)
    assert len(str(refused.value)) < 200


def test_a_reader_walks_to_the_end_and_stays() -> None:
    """Other modules read their own language with the same tokens."""
    reader = Reader("move R3 , 5")
    assert reader.accept("MOVE".lower())
    assert reader.name() == "R3"
    reader.expect_mark(",")
    assert reader.scalar() == 5.0
    assert reader.at_end
    assert reader.take().kind == reader.take().kind == "end"


def test_numbers_of_full_precision_survive() -> None:
    """Neighbouring doubles stay two numbers."""
    number = 0.1
    beside = math.nextafter(number, 1.0)
    assert parse_clause(str(Clause("x", ">", beside))).value == beside != number
