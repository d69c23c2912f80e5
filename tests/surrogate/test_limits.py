"""Limits: whatever cuts the search, what was found by then is whole, within the budget, and says so."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from ruleedit.schema import Feature, Schema
from ruleedit.surrogate import extract
from ruleedit.surrogate.search import MOST_CLAUSES, SEARCH_ROWS
from tests.surrogate.cases import people, random_case, share

METHODS = ("column-generation", "tree")
methods = pytest.mark.parametrize("method", METHODS)
NOISY = people(
    lambda row: "high" if row["age"] + row["hours per week"] > 90 else "middle" if row["job"] == "cook" else "low",
    rows=800,
)


def wide(features: int, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Schema]:
    """Many numeric features, of which two tell."""
    draw = np.random.default_rng(seed)
    schema = Schema(tuple(Feature(f"x{place}", "numeric") for place in range(features)), "y", ("no", "yes"))
    table = draw.normal(size=(rows, features)).round(3)
    return table, ((table[:, 7] > 0.5) & (table[:, 11] < 0.3)).astype(np.intp), schema


@methods
@pytest.mark.parametrize("seed", range(6))
def test_a_time_limit_cuts_and_says_so(method: str, seed: int) -> None:
    """However early it comes, the rules are within the budget and their figures are their own."""
    case = random_case(seed, rows=300)
    found = extract(*case.given, method=method, max_clauses=5, seconds=1e-6)
    assert found.cut == "seconds"
    assert found.to_json()["cut"] == "seconds"
    assert found.clauses <= 5
    assert found.train.agreement == pytest.approx(share(found.rules, case))
    assert found.train.agreement >= np.bincount(case.answers).max() / len(case.answers)


@methods
def test_a_memory_limit_cuts_and_says_so(method: str) -> None:
    """Fewer rows are searched, and the figures are still of all."""
    found = extract(*NOISY.given, method=method, max_clauses=6, memory=400_000)
    assert found.cut == "memory"
    assert found.train.rows == 800
    assert found.clauses <= 6
    assert extract(*NOISY.given, method=method, max_clauses=6, memory=2**30).cut is None


@methods
def test_without_a_limit_nothing_is_cut(method: str) -> None:
    """The default limits are the method's own and cut nothing."""
    found = extract(*NOISY.given, method=method)
    assert found.cut is None
    assert found.clauses <= MOST_CLAUSES


@methods
def test_fewer_iterations_are_still_a_result(method: str) -> None:
    """None at all is a list too, and more don't make it worse on the rows that it was made from."""
    agreements = [
        extract(*NOISY.given, method=method, max_clauses=8, max_iterations=most).train.agreement for most in (0, 1, 3)
    ]
    assert min(agreements) > 0.8
    assert agreements[-1] >= agreements[0] - 0.01


@methods
def test_long_tables_are_searched_by_a_seeded_sample(method: str) -> None:
    """Past the limit of rows the figures are of all rows, and the same seed gives the same rules."""
    rows, answers, schema = wide(12, SEARCH_ROWS + 5_000)
    first, again = (extract(rows, answers, schema, method=method, max_clauses=3, seed=5) for _ in range(2))
    assert first == again
    assert first.train.rows == len(rows)
    assert first.train.agreement > 0.99


@methods
def test_five_hundred_features_are_no_trouble(method: str) -> None:
    """The two that tell are found among them."""
    found = extract(*wide(500, 2_000), method=method, max_clauses=2)
    assert found.train.agreement > 0.99
    assert {clause.feature for rule in found.rules for clause in rule.clauses} == {"x7", "x11"}


@methods
def test_ten_thousand_categories_are_no_trouble(method: str) -> None:
    """The few that the model tells from the rest are named."""
    draw = np.random.default_rng(0)
    values = tuple(f"v{one}" for one in range(10_000))
    schema = Schema((Feature("id", "categorical", categories=values), Feature("x", "numeric")), "y", ("no", "yes"))
    rows = np.column_stack([draw.integers(1, 10_001, 20_000), draw.normal(size=20_000)])
    rows[:400, 0] = draw.choice([17, 4_000], 400)
    found = extract(rows, np.isin(rows[:, 0], [17, 4_000]).astype(np.intp), schema, method=method, max_clauses=2)
    assert found.train.agreement == 1.0
    assert [str(rule) for rule in found.rules] == ["IF id in (v16, v3999) THEN yes"]


@methods
def test_whoever_watches_can_end_it_at_every_step(method: str) -> None:
    """What the callback raises comes through, whichever step it is raised at."""
    steps: list[tuple[int, int]] = []
    extract(*NOISY.given, method=method, max_clauses=6, progress=lambda done, of: steps.append((done, of)))
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]
    for stop in range(len(steps)):
        seen: list[int] = []

        def watch(done: int, of: int, seen: list[int] = seen, stop: int = stop) -> None:
            seen.append(done)
            if len(seen) > stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            extract(*NOISY.given, method=method, max_clauses=6, progress=watch)


def wide_and_deep(rows: int) -> tuple[np.ndarray, np.ndarray, Schema]:
    """Five features of 10,000 categories and 495 numbers; one category and one number tell."""
    draw = np.random.default_rng(1)
    values = tuple(f"v{one}" for one in range(10_000))
    named = tuple(Feature(f"c{place}", "categorical", categories=values) for place in range(5))
    schema = Schema((*named, *(Feature(f"x{place}", "numeric") for place in range(495))), "y", ("no", "yes"))
    codes = draw.integers(1, 10_001, (rows, 5))
    table = np.column_stack([codes, draw.normal(size=(rows, 495)).round(3)]).astype(float)
    table[draw.random(rows) < 0.1, 0] = 17.0
    return table, ((table[:, 0] == 17.0) | (table[:, 9] > 1.0)).astype(np.intp), schema


@pytest.mark.soak
@pytest.mark.parametrize("method", [*METHODS, "glocalx"])
def test_five_hundred_features_and_ten_thousand_values_take_little_memory(method: str) -> None:
    """What tells is found; beside the table no more than a few times its size is needed, and 64 MiB."""
    rows, answers, schema = wide_and_deep(20_000)
    tracemalloc.start()
    try:
        found = extract(rows, answers, schema, method=method, max_clauses=4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.train.agreement > 0.98
    assert found.clauses <= 4
    assert {"c0", "x4"} <= {clause.feature for rule in found.rules for clause in rule.clauses}
    assert peak < 4 * rows.nbytes + 64 * 2**20
