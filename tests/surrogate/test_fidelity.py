"""Fidelity: the figures are those that counting row by row gives."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ruleedit.errors import NoRows
from ruleedit.rules import MODEL, Clause, Outcome, Rule, RuleSet
from ruleedit.surrogate.fidelity import fidelity, wilson
from tests.reference import covers, decides
from tests.strategies import Dice, make_rule_set
from tests.surrogate.cases import Case, people, random_case

CASE = people(lambda row: "high" if (row["age"] or 0) > 40 else "low", missing=0.1)
OLDER = Rule("R1", (Clause("age", ">", 40.0),), Outcome.of("high"))
COOKS = Rule("R2", (Clause("job", "=", "cook"),), Outcome.of("middle"))
RULES = RuleSet((OLDER, COOKS), Outcome.of("low"))


def random_rules(seed: int) -> tuple[Case, RuleSet]:
    case = random_case(seed)
    return case, make_rule_set(Dice(seed), case.schema)


@pytest.mark.parametrize("seed", range(60))
def test_the_agreement_is_what_counting_gives(seed: int) -> None:
    """Row by row: the first enabled rule that covers it, then the default; the model agrees with itself."""
    case, rules = random_rules(seed)
    found = fidelity(rules, *case.given)
    outcomes = [*(rule.outcome for rule in rules), rules.default]
    tops = [outcomes[decides(rules, row, case.schema)].top(case.schema.classes) for row in case.rows]
    names = [case.schema.classes[answer] for answer in case.answers]
    agreed = [top is None or top == name for top, name in zip(tops, names, strict=True)]
    assert found.agreement == pytest.approx(sum(agreed) / len(agreed))
    assert found.rows == len(agreed)


@pytest.mark.parametrize("seed", range(60))
def test_the_figures_of_rules_are_what_counting_gives(seed: int) -> None:
    """Covered, decided and precision of each enabled rule and of the default."""
    case, rules = random_rules(seed)
    found = fidelity(rules, *case.given)
    deciding = [decides(rules, row, case.schema) for row in case.rows]
    assert [figures.rule for figures in found.rules] == [rule.id for rule in rules.enabled]
    for figures in found.rules:
        rule = rules.rule(figures.rule)
        assert figures.covered == sum(covers(rule, row, case.schema) for row in case.rows)
        assert figures.decided == deciding.count(rules.position(rule.id))
    assert found.default.decided == found.default.covered == deciding.count(-1)
    assert sum(figures.decided for figures in found.rules) + found.default.decided == found.rows


@pytest.mark.parametrize("seed", range(20))
def test_the_parts_make_up_the_whole(seed: int) -> None:
    """Agreement is the mean of the precisions by rows decided, and of the classes by rows answered."""
    case, rules = random_rules(seed)
    found = fidelity(rules, *case.given)
    by_rule = math.fsum((one.precision or 0.0) * one.decided for one in (*found.rules, found.default))
    assert by_rule / found.rows == pytest.approx(found.agreement)
    counts = np.bincount(case.answers, minlength=len(case.schema.classes))
    assert [(one.name, one.rows) for one in found.by_class] == list(zip(case.schema.classes, counts, strict=True))
    by_class = math.fsum((one.agreement or 0.0) * one.rows for one in found.by_class)
    assert by_class / found.rows == pytest.approx(found.agreement)


@pytest.mark.parametrize("seed", range(20))
def test_every_share_lies_in_its_interval(seed: int) -> None:
    """Overall, by class and by rule; where there is no share there is no interval."""
    case, rules = random_rules(seed)
    found = fidelity(rules, *case.given)
    shares = [(found.agreement, found.interval)]
    shares += [(one.agreement, one.interval) for one in found.by_class]
    shares += [(one.precision, one.interval) for one in (*found.rules, found.default)]
    for share, interval in shares:
        assert (share is None) == (interval is None)
        if share is not None and interval is not None:
            assert 0.0 <= interval[0] <= share <= interval[1] <= 1.0
            assert interval[0] < interval[1]


def test_a_rule_that_decides_nothing_has_no_precision() -> None:
    """A share of no rows is no number."""
    hidden = OLDER.replace(id="R3", clauses=(Clause("age", ">", 50.0),))
    figures = fidelity(RuleSet((OLDER, hidden), RULES.default), *CASE.given).rules[1]
    assert figures.covered > 0
    assert (figures.decided, figures.precision) == (0, None)


def test_a_class_that_the_model_never_answers_has_no_figure() -> None:
    """Nor is the agreement on a class without rows a number."""
    middle = fidelity(RULES, *CASE.given).by_class[1]
    assert (middle.name, middle.rows, middle.agreement, middle.interval) == ("middle", 0, None, None)


def test_a_disabled_rule_has_no_figures() -> None:
    """What can't decide isn't measured."""
    found = fidelity(RuleSet((OLDER.replace(enabled=False), COOKS), RULES.default), *CASE.given)
    assert [figures.rule for figures in found.rules] == ["R2"]


def test_the_model_agrees_with_itself() -> None:
    """Rows that are left to the model are answered as it does."""
    found = fidelity(RuleSet((OLDER.replace(outcome=MODEL),), MODEL), *CASE.given)
    assert found.agreement == 1.0
    assert found.rules[0].precision == 1.0


def test_a_distribution_counts_as_its_greatest_class() -> None:
    """A rule of 0.9 high, 0.1 low says high."""
    spread = OLDER.replace(outcome=Outcome.spread({"high": 0.9, "low": 0.1}))
    one, other = (fidelity(RuleSet((rule,), RULES.default), *CASE.given) for rule in (OLDER, spread))
    assert one == other


def test_no_rows_are_no_figure() -> None:
    """An empty table is refused rather than divided by."""
    with pytest.raises(NoRows, match="no row"):
        fidelity(RULES, CASE.matrix[:0], CASE.answers[:0], CASE.schema)


def test_the_figures_go_into_json() -> None:
    """Everything is a plain number, text or null, and reads back."""
    found = fidelity(RULES, *CASE.given)
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["agreement"] == found.agreement
    assert {name: one["agreement"] for name, one in data["by_class"].items()} == {
        one.name: one.agreement for one in found.by_class
    }
    assert [one["rule"] for one in data["rules"]] == ["R1", "R2"]
    assert data["default"]["decided"] == found.default.decided
    assert data["interval"] == list(found.interval)
    assert tuple(data["rules"][0]["interval"]) == found.rules[0].interval


@pytest.mark.parametrize(
    ("hits", "rows", "low", "high"), [(90, 100, 0.826, 0.945), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0)]
)
def test_the_interval_is_wilsons(hits: int, rows: int, low: float, high: float) -> None:
    """Known values, and at the ends it stays inside 0 to 1."""
    assert wilson(hits, rows) == pytest.approx((low, high), abs=1e-3)


def test_the_interval_holds_its_share_and_narrows() -> None:
    """The share lies in its interval, and more rows make it narrower."""
    widths = []
    for rows in (10, 100, 1_000, 100_000):
        low, high = wilson(rows * 3 // 10, rows)
        assert low <= 0.3 <= high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
