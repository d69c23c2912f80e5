"""Local rules merged into few: what joins and cuts hold, and that the budget does."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from ruleedit.matching import box_mask
from ruleedit.surrogate import extract, glocalx
from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.glocalx import Local, criterion, cut, extract_glocalx, join, local_rule, merge, merge_all
from ruleedit.surrogate.lists import Draft
from ruleedit.surrogate.task import Task
from tests.surrogate.cases import Case, people, random_case, share


def answer(row: dict[str, Any]) -> str:
    """Older smiths and members earn most."""
    if row["member"] == "true" and (row["hours per week"] or 0) > 40:
        return "high"
    return "middle" if row["job"] == "smith" and (row["age"] or 0) > 50 else "low"


CASE = people(answer, rows=500, missing=0.05)
FEW = people(answer, rows=150)


def binned(case: Case) -> Binned:
    bins = bin_features(case.matrix, case.answers, case.schema)
    return Binned.of(bins, case.matrix, case.answers)


def drafts(case: Case, data: Binned, most: int = 20) -> list[Draft]:
    """Local rules around the first rows that have one."""
    found = [local_rule(row, data, 0) for row in range(min(most, len(case.rows)))] if data.bins else []
    return [draft for draft in found if draft.sets]


def test_a_local_rule_holds_its_row() -> None:
    """On random tables with odd values: its bins are what its region says, and the row is in it."""
    for seed in range(20):
        case = random_case(seed)
        data = binned(case)
        for row in range(0, len(case.rows), 13):
            if data.bins:
                draft = local_rule(row, data, 0)
                mask = draft.mask(data)
                assert mask[row]
                assert np.array_equal(mask, box_mask(draft.box(data.bins), case.matrix, case.schema))


def test_a_join_holds_the_rows_of_both() -> None:
    """And asks only for what both ask for."""
    for seed in range(30):
        case = random_case(seed)
        data = binned(case)
        for one, other in itertools.combinations(drafts(case, data, 8), 2):
            joined = join(one, other, data.bins)
            assert (one.mask(data) | other.mask(data) <= joined.mask(data)).all()
            assert joined.sets.keys() <= one.sets.keys() & other.sets.keys()
            assert joined.outcome == one.outcome


def test_a_cut_is_exact_and_disjoint() -> None:
    """The pieces are the weak rule without the strong one, each row in one of them, and clauses can say each."""
    for seed in range(30):
        case = random_case(seed)
        data = binned(case)
        for weak, strong in itertools.permutations(drafts(case, data, 8), 2):
            masks = [piece.mask(data) for piece in cut(weak, strong, data.bins)]
            total = np.sum(masks, axis=0) if masks else np.zeros(len(data))
            assert np.array_equal(total, weak.mask(data) & ~strong.mask(data))
            for piece, mask in zip(cut(weak, strong, data.bins), masks, strict=True):
                assert np.array_equal(mask, box_mask(piece.box(data.bins), case.matrix, case.schema))


def test_a_merged_theory_contradicts_itself_on_no_row() -> None:
    """Of its rules none meets another that says something else; no row of either theory is lost."""
    data = binned(CASE)
    theories = [(Local.of(draft, data),) for draft in drafts(CASE, data, 40)]
    for one, other in itertools.combinations(theories[:15], 2):
        merged = merge(one, other, data)
        for first, second in itertools.combinations(merged, 2):
            if first.rule.outcome != second.rule.outcome:
                assert not (first.mask & second.mask).any()
        held = np.logical_or.reduce([local.mask for local in merged])
        assert (one[0].mask | other[0].mask <= held).all()


def test_a_merger_is_kept_only_if_the_criterion_says_so() -> None:
    """Merging ends with fewer theories, and none of a pair is worse than both side by side."""
    data = binned(CASE)
    theories = [(Local.of(draft, data),) for draft in drafts(CASE, data, 30)]
    levels = merge_all(list(theories), data, Task(*CASE.given))
    assert len(theories) < len(levels) < 2 * len(theories)
    assert levels[::-1][: len(theories)] == theories
    one, other = theories[0], theories[0]
    assert len(merge(one, other, data)) == 1
    assert criterion(merge(one, other, data), data) < criterion((*one, *other), data)


@pytest.mark.parametrize("budget", [1, 3, 20])
def test_the_budget_holds(budget: int) -> None:
    """Never exceeded, and the rules are never worse than their default alone."""
    found = extract(*FEW.given, method="glocalx", max_clauses=budget)
    assert found.clauses <= budget
    assert found.train.agreement >= np.bincount(FEW.answers).max() / len(FEW.answers)
    assert found.train.agreement == pytest.approx(share(found.rules, FEW))


def test_learns_more_than_the_commonest_answer() -> None:
    """Far better than a default alone."""
    found = extract(*CASE.given, method="glocalx", max_clauses=12)
    assert found.train.agreement > 0.85
    assert found.method == "glocalx"


def test_the_same_seed_gives_the_same_rules() -> None:
    """Another one may not."""
    first, again = (extract_glocalx(Task(*FEW.given, seed=5)) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("seed", range(12))
def test_takes_any_table(seed: int) -> None:
    """Odd names, missing and unseen values, few rows."""
    case = random_case(seed, rows=30)
    found = extract(*case.given, method="glocalx", max_clauses=6)
    assert found.clauses <= 6
    assert found.train.agreement == pytest.approx(share(found.rules, case))


def test_a_long_table_is_merged_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so."""
    monkeypatch.setattr(glocalx, "MOST_ROWS", 120)
    found = extract(*CASE.given, method="glocalx", max_clauses=8)
    assert "merged on 120 of 500 rows" in found.notes


def test_a_local_rule_is_learned_on_a_part_of_the_table() -> None:
    """All of it is no neighbourhood: rules around different rows of one answer differ."""
    data = binned(FEW)
    high = np.flatnonzero(data.answers == 2)[:12].tolist()
    rules = {
        tuple(sorted((place, part.tobytes()) for place, part in local_rule(row, data, 0).sets.items())) for row in high
    }
    assert len(rules) > 1


def test_a_wider_budget_has_what_the_last_mergers_lost() -> None:
    """More clauses are used, and explain more of the rows that the rules were made from."""
    case = people(
        lambda row: "high" if (int(row["age"]) // 8 + (row["job"] in ("cook", "clerk"))) % 2 else "low", rows=500
    )
    few, more, most = (extract(*case.given, method="glocalx", max_clauses=budget) for budget in (4, 10, 24))
    assert few.clauses <= 4 < more.clauses <= 10 < most.clauses <= 24
    assert few.train.agreement < more.train.agreement < most.train.agreement
