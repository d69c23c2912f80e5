"""Where a surrogate is wrong, as regions, and why no rule came out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ruleedit.matching import box_mask
from ruleedit.rules import MODEL, Clause, Outcome, Rule, RuleSet
from ruleedit.surrogate import extract
from ruleedit.surrogate.task import Task
from ruleedit.surrogate.unexplained import LEAST_WRONG, MOST_REGIONS, Unexplained, unexplained, why_no_rule
from tests.strategies import Dice, make_rule_set
from tests.surrogate.cases import Case, people, random_case, said

OLDER = Rule("R1", (Clause("age", ">", 40.0),), Outcome.of("high"))
RULES = RuleSet((OLDER,), Outcome.of("low"))


def answer(row: dict[str, Any]) -> str:
    """What the rules say, but for young cooks and long hours."""
    age = row["age"] or 30
    if age <= 25 and row["job"] == "cook":
        return "middle"
    return "high" if age > 40 else "low"


CASE = people(answer, rows=800, missing=0.05)


def wrong_rows(rules: RuleSet, case: Case) -> list[bool]:
    """Row by row whether the rules answer otherwise."""
    return [text != case.schema.classes[true] for text, true in zip(said(rules, case), case.answers, strict=True)]


def check(found: Unexplained, rules: RuleSet, case: Case) -> None:
    """Every figure is what counting row by row gives, an earlier region's rows left out of a later one."""
    wrong = np.array(wrong_rows(rules, case))
    assert (found.rows, found.wrong) == (len(case.rows), int(wrong.sum()))
    assert sum(rows for _, _, rows in found.pairs) == found.wrong
    left = np.ones(len(wrong), dtype=bool)
    for region in found.regions:
        inside = box_mask(region.box, case.matrix, case.schema) & left
        left &= ~inside
        assert (region.rows, region.wrong) == (int(inside.sum()), int(wrong[inside].sum()))


def test_the_region_is_where_the_rules_are_wrong() -> None:
    """Young cooks, and nobody else, are what these rules don't explain."""
    found = unexplained(RULES, *CASE.given)
    assert found.pairs == (("middle", "low", found.wrong),)
    (region,) = found.regions
    assert (region.rows, region.wrong) == (found.wrong, found.wrong)
    assert region.to_json(CASE.schema)["where"] == "age <= 25 AND job = cook"


@pytest.mark.parametrize("seed", range(30))
def test_regions_hold_what_they_claim(seed: int) -> None:
    """On random tables and rules; each rests on wrong rows and is more often wrong than the whole."""
    case = random_case(seed, rows=200)
    rules = make_rule_set(Dice(seed), case.schema)
    if any(rule.outcome.is_model for rule in (*rules, Rule("", (), rules.default))):
        rules = RuleSet(
            tuple(rule.replace(outcome=Outcome.of(case.schema.classes[0])) for rule in rules),
            Outcome.of(case.schema.classes[-1]),
        )
    found = unexplained(rules, *case.given)
    check(found, rules, case)
    assert len(found.regions) <= MOST_REGIONS
    for region in found.regions:
        assert region.wrong >= LEAST_WRONG
        assert region.wrong / region.rows > found.wrong / found.rows


def test_is_measured_on_the_holdout() -> None:
    """Found on some rows, counted on others."""
    other = people(answer, rows=300, seed=7)
    found = unexplained(RULES, *CASE.given, holdout=(other.matrix, other.answers))
    assert found.measured == "holdout"
    assert found.regions
    check(found, RULES, other)


def test_a_region_without_held_out_rows_has_no_interval() -> None:
    """A share of no rows is no number."""
    old = people(lambda row: "high", rows=50, seed=3)
    rows = old.matrix
    rows[:, 0] = 70.0
    (region,) = unexplained(RULES, *CASE.given, holdout=(rows, old.answers)).regions
    assert (region.rows, region.wrong, region.interval) == (0, 0, None)


def test_what_is_right_or_left_to_the_model_is_explained() -> None:
    """No disagreement, no region."""
    exact = RuleSet((*extract(*CASE.given, method="tree").rules.rules,), Outcome.of("low"))
    for rules in (exact, RuleSet((), MODEL)):
        found = unexplained(rules, *CASE.given)
        if not found.wrong:
            assert (found.pairs, found.regions) == ((), ())
    assert unexplained(RuleSet((), MODEL), *CASE.given).wrong == 0


def test_is_the_same_twice_and_goes_into_json() -> None:
    """Long tables are searched by a seeded sample."""
    case = people(answer, rows=21_000)
    first, again = (json.dumps(unexplained(RULES, *case.given, seed=4).to_json(), allow_nan=False) for _ in range(2))
    assert first == again
    assert json.loads(first)["share"] == pytest.approx(sum(wrong_rows(RULES, case)) / 21_000)


class TestNoRule:
    def test_names_the_budget_that_gives_one(self) -> None:
        """Raised to what it says there is a rule, and with one clause less there is none."""
        case = people(
            lambda row: (
                "high"
                if 30 < row["age"] < 50 and 30 < row["hours per week"] < 70 and row["member"] == "true"
                else "low"
            ),
            rows=600,
        )
        note = extract(*case.given, method="tree", max_clauses=1).notes[0]
        assert note.startswith("no rule agrees with the model better than answering low for every row")
        raised = int(note.rsplit(" ", 1)[1])
        assert "raise max_clauses to" in note
        assert len(extract(*case.given, method="tree", max_clauses=raised).rules)

    def test_says_where_more_clauses_do_not_help(self) -> None:
        """Other answers that nothing tells apart."""
        dice = np.random.default_rng(0)
        case = people(lambda row: "low", rows=300)
        case.answers[dice.choice(300, 3, replace=False)] = 1
        rows = case.matrix
        rows[:, 1:] = 1.0
        rows[:, 0] = np.repeat([18.0, 19.0], 150)
        note = why_no_rule(Task(rows, case.answers, case.schema, max_clauses=1), "low")
        assert "the 3 of 300 rows that it answers otherwise lie scattered" in note


def test_a_region_that_the_held_out_rows_do_not_bear_out_is_left_out() -> None:
    """It was wrong where it was found, and is right on every other row: no reader should look there."""
    right = people(lambda row: "high" if (row["age"] or 30) > 40 else "low", rows=300, seed=5, missing=0.0)
    found = unexplained(RULES, *CASE.given, holdout=(right.matrix, right.answers))
    assert (found.wrong, found.regions) == (0, ())
