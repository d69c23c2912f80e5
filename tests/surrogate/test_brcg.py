"""``method="aix360-brcg"``: what AIX360 finds, read from its matrices, as rules of ours."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from ruleedit.datasets import tic_tac_toe
from ruleedit.regions import check_rule
from ruleedit.surrogate import Extraction, extract
from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.brcg import CUTS, NAMED, _literals, drop_idle, drop_least, narrow
from ruleedit.surrogate.lists import Draft, Draftlist
from ruleedit.tables import encode, infer_schema, target_codes
from tests.surrogate.cases import Case, people, random_case, share

LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
COOKS = people(lambda row: "high" if row["age"] > 40 and row["job"] == "cook" else "low", rows=150)


def binned(case: Case) -> Binned:
    return Binned.of(bin_features(*case.given), case.matrix, case.answers)


def cooks(data: Binned, *values: int, outcome: int = 2) -> Draft:
    """A rule on the job, by its places among the named ones."""
    place = [bins.feature.name for bins in data.bins].index("job")
    allowed = np.zeros(data.bins[place].size, dtype=bool)
    allowed[list(values)] = True
    return Draft(outcome, {place: allowed})


@pytest.fixture(scope="module")
def boards() -> tuple[Extraction, tuple[str, ...]]:
    """The end boards of tic-tac-toe, explained."""
    table = tic_tac_toe()
    target = str(table.columns[-1])
    schema = infer_schema(table, target)
    return extract(encode(table, schema), target_codes(table, schema), schema, method="aix360-brcg"), schema.names


def test_the_eight_lines_of_three_are_found(boards: tuple[Extraction, tuple[str, ...]]) -> None:
    """X has won if and only if one of eight lines is all x, and that is what the rules say."""
    found, names = boards
    said = {tuple(sorted(names.index(clause.feature) for clause in rule.clauses)) for rule in found.rules}
    assert said == set(LINES)
    assert {(clause.operator, clause.value) for rule in found.rules for clause in rule.clauses} == {("=", "x")}


def test_the_lines_of_three_are_exact(boards: tuple[Extraction, tuple[str, ...]]) -> None:
    """Every board is decided as the game was, with 24 clauses and no limit reached."""
    found, _ = boards
    assert (found.train.agreement, found.clauses, found.cut) == (1.0, 24, None)


@pytest.mark.parametrize("seed", [4, 1])
def test_rules_are_valid_and_their_figures_true(seed: int) -> None:
    """On tables with missing values and odd names the rules fit the schema and agree as reported."""
    case = random_case(seed, rows=40)
    found = extract(*case.given, method="aix360-brcg")
    for rule in found.rules:
        check_rule(rule, case.schema)
    assert found.train.agreement == pytest.approx(share(found.rules, case))


def test_numbers_categories_and_missing_become_rules() -> None:
    """A rule on two kinds of feature is found where values are missing."""
    case = people(
        lambda row: "high" if (row["age"] or 0) > 40 and row["job"] == "cook" else "low", rows=150, missing=0.1
    )
    found = extract(*case.given, splits=[{40.5: 1.0, 60.0: 0.1}, {}, {}, {}], method="aix360-brcg")
    assert found.train.agreement == 1.0
    assert "age" in str(found.rules.rules[0])


def test_three_classes_go_from_the_rarest_to_the_commonest() -> None:
    """The rarest answer has the first rules, the commonest is the default."""
    case = people(lambda row: "high" if row["age"] > 70 else "middle" if row["age"] < 35 else "low", rows=150)
    found = extract(*case.given, splits=[{34.5: 1.0, 70.5: 1.0}, {}, {}, {}], method="aix360-brcg")
    assert found.train.agreement == 1.0
    assert [str(rule.outcome) for rule in found.rules] == ["high", "middle"]
    assert str(found.rules.default) == "low"


@pytest.mark.parametrize("most", [1, 2])
def test_a_budget_holds_where_one_is_given(most: int) -> None:
    """Rules are dropped until the rest are within it."""
    found = extract(*COOKS.given, splits=[{40.5: 1.0}, {}, {}, {}], method="aix360-brcg", max_clauses=most)
    assert found.clauses <= most


def test_iterations_are_limited_and_the_result_says_so() -> None:
    """With no iteration allowed only single clauses are in the pool."""
    found = extract(*COOKS.given, splits=[{40.5: 1.0}, {}, {}, {}], method="aix360-brcg", max_iterations=0)
    assert found.cut == "iterations"


def test_a_time_limit_says_so() -> None:
    """Time out before the first class: only the default, and the limit's name."""
    found = extract(*COOKS.given, method="aix360-brcg", seconds=1e-6)
    assert found.cut == "seconds"
    assert len(found.rules) == 0


def test_nothing_is_printed_and_no_warning_filter_stays(capfd: pytest.CaptureFixture[str]) -> None:
    """AIX360 and its solver are silent, and our own warnings are heard afterwards."""
    before = list(warnings.filters)
    extract(*COOKS.given, splits=[{40.5: 1.0}, {}, {}, {}], method="aix360-brcg", max_iterations=1)
    assert capfd.readouterr() == ("", "")
    assert list(warnings.filters) == before


def test_the_table_of_truths_stays_small() -> None:
    """At most so many cuts and named values of a feature, each with its negation."""
    case = people(lambda row: "high" if (row["age"] or 0) > 40 else "low", missing=0.1)
    data = binned(case)
    for place, bins in enumerate(data.bins):
        names = [literal.name for literal in _literals(place, bins, data)]
        assert len(set(names)) == len(names) <= 2 * max(CUTS, NAMED) + 2


def test_a_test_and_its_negation_part_the_rows_that_have_a_value() -> None:
    """Both are false on a missing value."""
    case = people(lambda row: "high" if (row["age"] or 0) > 40 else "low", missing=0.2)
    data = binned(case)
    for place, bins in enumerate(data.bins):
        pairs = list(_literals(place, bins, data))
        for one, other in zip(pairs[::2], pairs[1::2], strict=True):
            assert not (one.allowed & other.allowed).any()
            is_about_missing = one.name[0] >= len(data.bins)
            assert (one.allowed | other.allowed)[-1] == is_about_missing
            assert (one.allowed | other.allowed)[:-1].all()


def test_the_rule_that_wins_least_is_dropped_first() -> None:
    """Within the budget the rule for more rows stays."""
    case = people(lambda row: "high" if row["job"] in ("clerk", "cook", "smith") else "low")
    data = binned(case)
    found = Draftlist([cooks(data, 0), cooks(data, 1, 4)], 0)
    drop_least(found, data, 2)
    assert [rule.cost(data.bins) for rule in found.rules] in ([2], [1])
    drop_least(found, data, 1)
    assert found.cost(data.bins) <= 1


def test_a_rule_behind_a_wider_one_is_dropped() -> None:
    """A rule that decides no row says nothing."""
    data = binned(COOKS)
    found = Draftlist([cooks(data, 0, 1), cooks(data, 1, outcome=0)], 0)
    drop_idle(found, data)
    assert [rule.outcome for rule in found.rules] == [2]


def test_one_value_is_named_where_leaving_one_out_says_no_more() -> None:
    """``job != clerk`` becomes ``job = cook`` where that answers as many rows rightly."""
    case = people(lambda row: "high" if row["job"] == "cook" else "low")
    data = binned(case)
    found = Draftlist([cooks(data, 1, 2, 3, 4)], 0)
    narrow(found, data)
    assert found.hits(data) == len(data)
    assert str(found.rules[0].box(data.bins)) == str(cooks(data, 1).box(data.bins))


def test_a_value_is_not_named_where_that_would_lose_rows() -> None:
    """Leaving out stays where naming one value would answer fewer rows rightly."""
    case = people(lambda row: "low" if row["job"] == "clerk" else "high")
    data = binned(case)
    found = Draftlist([cooks(data, 1, 2, 3, 4)], 0)
    narrow(found, data)
    assert found.hits(data) == len(data)
    assert found.rules[0].cost(data.bins) == 1
