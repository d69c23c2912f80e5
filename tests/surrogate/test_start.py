"""Rules to begin with: the bins can say them, they win a tie and keep their words."""

from __future__ import annotations

import pytest

from ruleedit.regions import box_clauses, clauses_box, rule_box
from ruleedit.rules import MODEL, Outcome, Rule, RuleSet
from ruleedit.surrogate import extract
from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.lists import Draft
from ruleedit.text import parse_rule
from tests.strategies import Dice, make_box
from tests.surrogate.cases import PEOPLE, people, random_case

OLDER = people(lambda row: "high" if row["age"] > 40 else "low")


def rule_set(*texts: str, default: str = "low") -> RuleSet:
    rules = (parse_rule(text) for text in texts)
    named = (Rule(f"R{number}", rule.clauses, rule.outcome) for number, rule in enumerate(rules, 1))
    return RuleSet(tuple(named), Outcome.of(default))


@pytest.mark.parametrize("seed", range(40))
def test_the_bins_can_say_the_boxes_that_are_kept(seed: int) -> None:
    """A box that one rule can say comes back from its bins as it went in, whatever the column holds."""
    case = random_case(seed)
    box = make_box(Dice(seed), case.schema)
    said = [] if box.is_empty else box_clauses(box, case.schema)
    bins = bin_features(*case.given, keep=[box])
    draft = Draft.of(box, 1, bins)
    if draft is None:
        assert (
            len(said) != 1 or not box.sets or any(clause.operator in ("in", "not in", "!=", "=") for clause in said[0])
        )
    else:
        assert draft.box(bins) == box


@pytest.mark.parametrize(
    "text", ["IF age > 40 THEN high", "IF age >= 41 THEN high", "IF age between 41 and 80 THEN high"]
)
def test_a_rule_that_is_as_good_stays_as_it_was_written(text: str) -> None:
    """Nothing better is found, so nobody's rule comes back in other words."""
    found = extract(*OLDER.given, start=rule_set(text), max_clauses=4)
    assert found.train.agreement == 1.0
    assert "age" in str(found.rules.rules[0])
    if "between" not in text:
        assert [str(rule) for rule in found.rules] == [text]


def test_a_threshold_that_separates_the_same_rows_stays() -> None:
    """The model's own cut says the same of every row, so the one that people know is shown."""
    case = people(lambda row: "high" if row["hours per week"] > 37.5 else "low")
    rows = [row["hours per week"] for row in case.rows]
    below, above = max(x for x in rows if x <= 37.5), min(x for x in rows if x > 37.5)  # type: ignore[operator, type-var]
    known = below + (above - below) * 0.61803  # type: ignore[operator]
    found = extract(
        *case.given, splits=[{}, {37.5: 1.0}, {}, {}], start=rule_set(f"IF `hours per week` > {known!r} THEN high")
    )
    assert found.rules.rules[0].clauses[0].values == (known,)


def test_a_rule_that_is_wrong_goes() -> None:
    """To begin with is not to be kept."""
    found = extract(*OLDER.given, start=rule_set("IF job = cook THEN middle"), max_clauses=4)
    assert found.train.agreement == 1.0
    assert "middle" not in str(found.rules.rules)


def test_rules_that_cannot_take_part_are_passed_over() -> None:
    """Disabled ones, those that leave their rows to the model, and lists with gaps are no trouble."""
    known = rule_set("IF age in (20, 30, 60) THEN high", "IF member = true THEN high")
    off, on = known.rules
    known = RuleSet(
        (off, Rule("R2", on.clauses, MODEL), Rule("R3", on.clauses, on.outcome, enabled=False)), known.default
    )
    assert extract(*OLDER.given, start=known, max_clauses=4).train.agreement == 1.0


def test_more_clauses_than_needed_are_not_kept() -> None:
    """The budget is for rules as they are shown, so wording that costs more than it says goes."""
    found = extract(*OLDER.given, start=rule_set("IF age > 40 AND age > 30 THEN high"), max_clauses=1)
    assert (found.clauses, found.train.agreement) == (1, 1.0)
    assert rule_box(found.rules.rules[0], PEOPLE) == clauses_box(parse_rule("IF age > 40 THEN high").clauses, PEOPLE)
