"""Rules with probabilities: the model's mean where each decides, rounded, and never another class."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.matching import decide
from ruleedit.rules import MODEL, Clause, Outcome, Rule, RuleSet
from ruleedit.surrogate import extract
from ruleedit.surrogate.probabilities import readable, with_probabilities
from tests.strategies import Dice, make_rule_set
from tests.surrogate.cases import PEOPLE, people, random_case, said

CASE = people(lambda row: "high" if (row["age"] or 0) > 40 else "low", missing=0.1)
OLDER = Rule("R1", (Clause("age", ">", 40.0),), Outcome.of("high"))
NOBODY = Rule("R2", (Clause("age", "=", 80.0), Clause("age", "!=", 80.0)), Outcome.of("low"))
RULES = RuleSet((OLDER,), Outcome.of("low"))


def certain(share: float) -> np.ndarray:
    """A model that gives its answer this share and the others the rest."""
    table = np.full((len(CASE.answers), 3), (1.0 - share) / 2.0)
    table[np.arange(len(table)), CASE.answers] = share
    return table


def test_an_outcome_is_the_mean_where_the_rule_decides() -> None:
    """Two decimals say it, and they sum to 1."""
    rules, notes = with_probabilities(RULES, CASE.matrix, certain(0.8), PEOPLE)
    assert notes == ()
    assert str(rules.rules[0]) == "IF age > 40 THEN high 0.8, low 0.1, middle 0.1"
    assert str(rules.default) == "high 0.1, low 0.8, middle 0.1"


@pytest.mark.parametrize("seed", range(40))
def test_every_row_keeps_its_outcome(seed: int) -> None:
    """Whatever the model says, the rules answer as they did; each distribution is near the mean."""
    case = random_case(seed)
    rules = make_rule_set(Dice(seed), case.schema)
    draw = np.random.default_rng(seed)
    table = draw.dirichlet(np.full(len(case.schema.classes), 0.7), len(case.rows))
    found, notes = with_probabilities(rules, case.matrix, table, case.schema)
    assert said(found, case) == said(rules, case)
    deciding = decide(rules, case.matrix, case.schema)
    for place, (old, new) in enumerate(zip(rules, found, strict=True)):
        assert (old.id, old.clauses, old.enabled) == (new.id, new.clauses, new.enabled)
        if new.outcome != old.outcome:
            mean = table[deciding == place].mean(axis=0)
            assert np.abs(np.array(new.outcome.vector(case.schema.classes)) - mean).max() <= 0.01
    kept = [rule.id for rule, new in zip(rules, found, strict=True) if rule.outcome.is_class and new.outcome.is_class]
    assert all(note.split(" stays ")[0] in (*kept, "the default") for note in notes)


def test_a_rule_stays_a_class_where_the_mean_says_another() -> None:
    """As with unequal thresholds: rows that the model denies at 0.4 would be approved by their own mean."""
    table = np.tile([0.6, 0.0, 0.4], (len(CASE.answers), 1))
    rules, notes = with_probabilities(RULES, CASE.matrix, table, PEOPLE)
    assert rules.rules[0].outcome == Outcome.of("high")
    expected = "R1 stays high: the model's mean there, low 0.600, middle 0.000, high 0.400, would answer another class"
    assert notes == (expected,)


def test_without_rows_or_with_the_model_nothing_changes() -> None:
    """There is no mean of no rows, and `model` has no probabilities of its own."""
    rules = RuleSet((NOBODY, OLDER.replace(outcome=MODEL)), Outcome.of("low"))
    found, notes = with_probabilities(rules, CASE.matrix, certain(0.9), PEOPLE)
    assert [rule.outcome for rule in found] == [Outcome.of("low"), MODEL]
    assert notes == ()


@given(st.lists(st.integers(0, 10_000), min_size=3, max_size=3).filter(any))
def test_rounding_keeps_the_class_and_sums_to_one(parts: list[int]) -> None:
    """Or the rule stays as it is; four decimals at most."""
    mean = np.array(parts, dtype=float) / sum(parts)
    top = Outcome.of(PEOPLE.classes[int(mean.argmax())])
    found = readable(mean, top, PEOPLE)
    assert found is not None
    assert found.top(PEOPLE.classes) == top.top(PEOPLE.classes)
    assert math.fsum(p for _, p in found.weights) == pytest.approx(1.0, abs=1e-12)
    assert all(p == round(p, 4) for _, p in found.weights)


def test_more_decimals_where_two_say_nothing() -> None:
    """0.997 isn't 1; what four decimals don't show is certain."""
    assert str(readable(np.array([0.003, 0.0, 0.997]), Outcome.of("high"), PEOPLE)) == "high 0.997, low 0.003"
    assert readable(np.array([1e-9, 0.0, 1.0 - 1e-9]), Outcome.of("high"), PEOPLE) == Outcome.of("high")


def test_a_tie_goes_to_the_rule_where_more_decimals_say_so() -> None:
    """0.5004 against 0.4996 is a tie in two decimals, which would be the first class's."""
    found = readable(np.array([0.4996, 0.0, 0.5004]), Outcome.of("high"), PEOPLE)
    assert str(found) == "high 0.5004, low 0.4996"


def test_an_extraction_takes_them() -> None:
    """The figures are the same with and without."""
    plain, spread = (extract(*CASE.given, method="tree", probabilities=table) for table in (None, certain(0.9)))
    assert (plain.train, plain.clauses) == (spread.train, spread.clauses)
    assert not any(rule.outcome.is_class for rule in spread.rules)
