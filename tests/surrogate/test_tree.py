"""The methods that search: within the budget, exact where they can be, and better than a tree of as many clauses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ruleedit.datasets import loans
from ruleedit.regions import check_rule, clause_cost, rule_box, simplify
from ruleedit.schema import Feature, Schema
from ruleedit.surrogate import extract
from ruleedit.surrogate.leaves import _parts
from ruleedit.surrogate.task import Task
from ruleedit.surrogate.tree import extract_tree
from ruleedit.tables import encode, infer_schema, target_codes
from ruleedit.text import parse_rule
from tests.surrogate.cases import Case, people, random_case, said, share

SEEDS = range(16)
BUDGETS = (1, 2, 5, 9)
SEARCHING = ("column-generation", "tree")
both = pytest.mark.parametrize("method", SEARCHING)


@pytest.fixture(scope="module")
def applications() -> tuple[np.ndarray, np.ndarray, Schema]:
    """Loan applications decided by a known policy, without noise."""
    table = loans(3_000, noise=0.0)
    schema = infer_schema(table, str(table.columns[-1]))
    return encode(table, schema), target_codes(table, schema), schema


@both
@pytest.mark.parametrize("seed", SEEDS)
def test_the_budget_is_never_exceeded(seed: int, method: str) -> None:
    """Whatever the table, the clauses as a person counts them are within the budget."""
    case, budget = random_case(seed), BUDGETS[seed % len(BUDGETS)]
    found = extract(*case.given, method=method, max_clauses=budget)
    assert found.clauses == sum(clause_cost(rule) for rule in found.rules) <= budget


@both
@pytest.mark.parametrize("seed", SEEDS)
def test_every_rule_fits_the_schema_and_is_simple(seed: int, method: str) -> None:
    """Each rule passes the check of a rule that is read, reads back from its text and can't be said shorter."""
    case = random_case(seed)
    for rule in extract(*case.given, method=method, max_clauses=8).rules:
        check_rule(rule, case.schema)
        read = parse_rule(str(rule))
        assert (read.clauses, read.outcome) == (rule.clauses, rule.outcome)
        assert set(simplify(rule.clauses, case.schema)) == set(rule.clauses)


@both
@pytest.mark.parametrize("seed", SEEDS)
def test_the_reported_fidelity_is_the_one_seen_row_by_row(seed: int, method: str) -> None:
    """What is said about the rules is what they do."""
    case = random_case(seed)
    found = extract(*case.given, method=method, max_clauses=8)
    assert found.train.agreement == pytest.approx(share(found.rules, case))


@both
@pytest.mark.parametrize("seed", SEEDS)
def test_rules_beat_the_commonest_answer(seed: int, method: str) -> None:
    """A rule that doesn't help isn't kept, and every rule decides a row."""
    case = random_case(seed)
    found = extract(*case.given, method=method, max_clauses=8)
    assert found.train.agreement >= np.bincount(case.answers).max() / len(case.answers)
    assert all(figures.decided for figures in found.train.rules)


@both
@pytest.mark.parametrize("seed", range(6))
def test_the_same_gives_the_same(seed: int, method: str) -> None:
    """Same rows, seed and budget: the same rules to the letter."""
    case = random_case(seed)
    one, other = (extract(*case.given, method=method, max_clauses=6) for _ in range(2))
    assert one == other


def test_a_threshold_on_an_integer_is_whole() -> None:
    """Age 40 is the last that is low."""
    case = people(lambda row: "high" if row["age"] > 40 else "low")
    found = extract(*case.given, max_clauses=4)
    assert found.clauses == 1
    assert str(found.rules.rules[0]) in ("IF age <= 40 THEN low", "IF age >= 41 THEN high")


def test_thresholds_are_the_models_own_rounded() -> None:
    """A cut of the model at 37.4567 is shown as the shortest number that separates the same rows."""
    case = people(lambda row: "high" if row["hours per week"] > 37.4567 else "low")
    found = extract(*case.given, splits=[{}, {37.4567: 2.0, 90.0: 0.1}, {}, {}], max_clauses=4)
    (clause,) = found.rules.rules[0].clauses
    below = max(row["hours per week"] for row in case.rows if row["hours per week"] <= 37.4567)  # type: ignore[operator, type-var]
    above = min(row["hours per week"] for row in case.rows if row["hours per week"] > 37.4567)  # type: ignore[operator, type-var]
    assert below <= clause.values[0] < above  # type: ignore[operator]
    assert len(str(clause.values[0])) <= 5
    assert found.train.agreement == 1.0


def test_a_set_of_categories_is_one_clause_of_few_values() -> None:
    """Three of five jobs are said by the two that are left out, or the two by their names."""
    case = people(lambda row: "high" if row["job"] in ("clerk", "cook", "it's") else "low")
    found = extract(*case.given, max_clauses=2)
    assert found.train.agreement == 1.0
    assert found.clauses == 2


def test_three_classes_are_one_ordered_list() -> None:
    """Each class that needs rules has them, and one is the default."""
    case = people(lambda row: "low" if row["age"] < 30 else "high" if row["member"] == "true" else "middle")
    found = extract(*case.given, max_clauses=3)
    assert found.train.agreement == 1.0
    assert {rule.outcome.top(case.schema.classes) for rule in found.rules} < set(case.schema.classes)


def test_the_costlier_side_is_the_default() -> None:
    """Of two sides the one with the shorter description gets the rules."""
    corner = people(lambda row: "high" if row["age"] > 60 and row["job"] == "cook" else "low")
    assert str(extract(*corner.given, max_clauses=8).rules.default) == "low"
    rest = people(lambda row: "low" if row["age"] > 60 and row["job"] == "cook" else "high")
    assert str(extract(*rest.given, max_clauses=8).rules.default) == "high"


@pytest.mark.parametrize("answer", ["low", "high"])
def test_missing_is_told_from_present(answer: str) -> None:
    """Where the model answers by whether a value is there, the rules say so."""
    other = "high" if answer == "low" else "low"
    case = people(lambda row: answer if row["age"] is None else other, missing=0.3)
    found = extract(*case.given, max_clauses=4)
    assert found.train.agreement == 1.0
    assert found.clauses == 1
    assert str(found.rules.rules[0].clauses[0]) in ("age is missing", "age is not missing")


def test_an_interval_or_missing_is_described_exactly() -> None:
    """Rows below 40 or without an age are high: two clauses say it in either direction of reading."""
    case = people(lambda row: "high" if row["age"] is None or row["age"] < 40 else "low", missing=0.3)
    found = extract(*case.given, max_clauses=2)
    assert found.train.agreement == 1.0
    assert found.clauses == 1, "the other side is present and above 40, which one bound says"


def test_no_missing_row_no_clause_on_missing() -> None:
    """Without missing values in training the rules don't speak of them."""
    case = people(lambda row: "high" if row["age"] > 40 else "low")
    assert all("missing" not in str(rule) for rule in extract(*case.given).rules)


def test_odd_names_and_values_are_written_so_that_they_read_back() -> None:
    """A space in a feature's name and an apostrophe in a value are no trouble."""
    case = people(lambda row: "high" if row["hours per week"] > 40 and row["job"] == "it's" else "low")
    found = extract(*case.given, max_clauses=4)
    assert "`hours per week` >" in str(found.rules.rules[0])
    assert "'it''s'" in str(found.rules.rules[0])
    assert parse_rule(str(found.rules.rules[0])).clauses == found.rules.rules[0].clauses


def test_an_unseen_category_is_outside_what_is_named() -> None:
    """``job != cook`` holds for a job never seen, ``job = cook`` doesn't."""
    case = people(lambda row: "high" if row["job"] == "cook" else "low")
    found = extract(*case.given, max_clauses=2)
    new = Case(case.schema, [{**case.rows[0], "job": "never seen"}], np.array([0], dtype=np.intp))
    assert said(found.rules, new) == ["low"]


def test_a_known_policy_is_found(applications: tuple[np.ndarray, np.ndarray, Schema]) -> None:
    """The loans' policy of eleven clauses is matched but for a few applications."""
    rows, answers, schema = applications
    found = extract(rows[:2_000], answers[:2_000], schema, max_clauses=16, holdout=(rows[2_000:], answers[2_000:]))
    assert found.holdout is not None
    assert found.holdout.agreement > 0.97


def test_a_greater_budget_is_no_worse(applications: tuple[np.ndarray, np.ndarray, Schema]) -> None:
    """More clauses, more agreement."""
    agreements = [extract(*applications, max_clauses=most).train.agreement for most in (1, 3, 8)]
    assert agreements == sorted(agreements)


def test_rules_beat_a_plain_tree_of_as_many_clauses(applications: tuple[np.ndarray, np.ndarray, Schema]) -> None:
    """What the search is for: more agreement than the tree that spends the same clauses on its cheaper side."""
    from sklearn.tree import DecisionTreeClassifier

    rows, answers, schema = applications
    plain = DecisionTreeClassifier(max_leaf_nodes=5, random_state=0).fit(np.nan_to_num(rows, nan=-1.0), answers)
    found = extract(rows, answers, schema, max_clauses=8)
    assert found.train.agreement > plain.score(np.nan_to_num(rows, nan=-1.0), answers)


def test_a_time_limit_cuts_and_says_so() -> None:
    """What was found by then is given, within the budget."""
    case = random_case(3, rows=300)
    found = extract(*case.given, max_clauses=5, seconds=1e-6)
    assert found.cut == "seconds"
    assert found.clauses <= 5


def test_fewer_rounds_are_still_a_result() -> None:
    """Rounds of refinement are the method's iterations, and none of them is needed."""
    case = people(lambda row: "high" if row["age"] > 40 and row["job"] == "cook" else "low")
    found = extract(*case.given, max_clauses=3, max_iterations=0)
    assert found.train.agreement == 1.0
    assert found.cut is None


def test_progress_goes_up_to_the_end() -> None:
    """Steps never go back, and the last report is all of them."""
    steps: list[tuple[int, int]] = []
    case = random_case(5)
    extract(*case.given, max_clauses=4, progress=lambda done, of: steps.append((done, of)))
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]


def test_whoever_reports_progress_can_stop_it() -> None:
    """What the callback raises ends the search."""

    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(*random_case(5).given, progress=stop)


def test_many_features_and_values_take_seconds() -> None:
    """500 features and a category of 10,000 values: the one that matters is found."""
    draw = np.random.default_rng(0)
    names = [Feature(f"x{place}", "numeric") for place in range(500)]
    wide = Feature("id", "categorical", categories=tuple(f"v{one}" for one in range(10_000)))
    schema = Schema((*names, wide), "y", ("no", "yes"))
    rows = np.column_stack([draw.normal(size=(3_000, 500)).round(3), draw.integers(1, 10_001, 3_000)])
    answers = (rows[:, 123] > 0.5).astype(np.intp)
    found = extract(rows, answers, schema, max_clauses=2)
    assert found.train.agreement > 0.99
    assert found.rules.rules[0].clauses[0].feature == "x123"


def test_a_table_that_tells_nothing_has_only_a_default() -> None:
    """Where all rows are alike the commonest answer is all that can be said."""
    schema = Schema((Feature("x", "numeric"),), "y", ("no", "yes"))
    answers = np.array([0, 0, 1], dtype=np.intp)
    found = extract(np.ones((3, 1)), answers, schema)
    assert (len(found.rules), str(found.rules.default)) == (0, "no")
    assert "no rule agrees" in found.notes[0]


@pytest.mark.parametrize(
    ("allowed", "there", "parts"),
    [
        ([1, 1, 1], [1, 1, 1], []),
        ([1, 0, 1], [1, 0, 1], [[1, 0, 0], [0, 0, 1]]),
        ([1, 0, 1], [1, 0, 0], [[1, 0, 0]]),
        ([1, 0, 1], [0, 0, 1], [[0, 0, 1]]),
        ([1, 0, 0], [1, 0, 0], [[1, 0, 0]]),
    ],
)
def test_below_or_missing_takes_two_rules_only_where_rows_need_both(
    allowed: list[int], there: list[int], parts: list[list[int]]
) -> None:
    """The missing part is left out where no row of the leaf is missing, the other where all are."""
    found = _parts(np.array(allowed, dtype=bool), np.array(there, dtype=bool))
    assert [part.astype(int).tolist() for part in found] == parts


def test_boxes_are_what_the_rules_say() -> None:
    """The method gives boxes, and the rule set has just these."""
    case = people(lambda row: "high" if row["age"] > 40 and row["job"] == "cook" else "low")
    raw = extract_tree(Task(*case.given, max_clauses=4))
    rules = extract(*case.given, max_clauses=4).rules
    assert [box for box, _ in raw.boxes] == [rule_box(rule, case.schema) for rule in rules]


def test_tiny_and_huge_numbers_are_no_trouble() -> None:
    """Values at the ends of the doubles have rules that hold them exactly."""
    schema = Schema((Feature("x", "numeric"),), "y", ("no", "yes"))
    values = [-1.7e308, -1e-34, 0.0, 1e-34, 1e-3, 1.7e308, math.nan, 5.0]
    rows = np.array(values * 5).reshape(-1, 1)
    answers = (np.nan_to_num(rows[:, 0], nan=-1.0) > 0.0).astype(np.intp)
    assert extract(rows, answers, schema).train.agreement == 1.0
