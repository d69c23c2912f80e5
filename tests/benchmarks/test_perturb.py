"""Feedback rules for the benchmarks: as many as asked for, against the model, each with something to learn."""

from __future__ import annotations

import numpy as np
import pytest
from perturb import LEAST, MOST, perturbed

from ruleedit.conflicts import open_conflicts
from ruleedit.drafts import Draft
from ruleedit.matching import Matrix, box_mask
from ruleedit.regions import rule_box
from ruleedit.rules import Outcome, RuleSet
from ruleedit.text import parse_rule
from tests.retraining import MIXED, mixed_rows

TEXTS = ("IF x <= 1 AND c = a THEN yes", "IF n > 20 AND f = true THEN perhaps", "IF whole > 0.5 AND c != b THEN no")


@pytest.fixture(scope="module")
def rows() -> Matrix:
    """Training rows with missing values."""
    return mixed_rows(2_000)


def draft(*texts: str) -> Draft:
    """Extracted rules."""
    rules = tuple(parse_rule(text, f"R{place}") for place, text in enumerate(texts, start=1))
    return Draft.of(RuleSet(rules, Outcome.of("no")), MIXED, {})


@pytest.mark.parametrize("count", [1, 4, 10])
def test_as_many_rules_as_asked_stand_in_front(rows: Matrix, count: int) -> None:
    """Asserted, different from each other, and with no conflict left open."""
    edited, made = perturbed(draft(*TEXTS), rows, count, np.random.default_rng(count))
    asserted = [rule for rule in edited.rules if rule.asserted]
    assert made == len(asserted) == count
    assert list(edited.rules)[:count] == asserted
    assert len({str(rule) for rule in asserted}) == count
    assert not list(open_conflicts(edited.rules, MIXED))


def test_each_holds_some_of_the_rows_and_not_most(rows: Matrix) -> None:
    """There is something to learn, and much outside."""
    edited, _ = perturbed(draft(*TEXTS), rows, 10, np.random.default_rng(0))
    for rule in edited.rules:
        if rule.asserted:
            assert LEAST <= box_mask(rule_box(rule, MIXED), rows, MIXED).mean() <= MOST


def test_each_asks_for_another_class_than_the_rule_that_it_comes_from(rows: Matrix) -> None:
    """With one condition changed and at most one more."""
    edited, _ = perturbed(draft(TEXTS[0]), rows, 8, np.random.default_rng(1))
    for rule in edited.rules:
        if rule.asserted:
            assert rule.outcome != Outcome.of("yes")
            assert len(rule.clauses) in (2, 3)
            assert {clause.feature for clause in rule.clauses} >= {"x", "c"}


def test_the_same_seed_makes_the_same_rules(rows: Matrix) -> None:
    """Another one makes others."""
    one, again, other = (perturbed(draft(*TEXTS), rows, 5, np.random.default_rng(seed))[0] for seed in (3, 3, 4))
    assert one.content == again.content != other.content


def test_without_a_rule_to_change_there_is_none(rows: Matrix) -> None:
    """The draft is given back as it is."""
    given = draft()
    edited, made = perturbed(given, rows, 3, np.random.default_rng(0))
    assert (edited.content, made) == (given.content, 0)
