"""Rows as bins: merging loses nothing, and the floor is what alike rows must lose."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ruleedit.surrogate import binned as module
from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.binned import Binned, spread
from tests.surrogate.cases import Case, people, random_case

MIXED = people(
    lambda row: "low" if row["member"] is None else "high" if (row["age"] or 0) > 50 else "middle", missing=0.2
)


def binned(case: Case) -> Binned:
    return Binned.of(bin_features(*case.given), case.matrix, case.answers)


def counted(data: Binned) -> Counter[tuple[int, ...]]:
    found: Counter[tuple[int, ...]] = Counter()
    for codes, answer, weight in zip(data.codes.tolist(), data.answers.tolist(), data.weights.tolist(), strict=True):
        found[(*codes, answer)] += int(weight)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_merging_keeps_every_row(seed: int) -> None:
    """Alike rows become one with their number as weight, in order of first appearance."""
    data = binned(random_case(seed))
    merged = data.merged()
    assert counted(merged) == counted(data)
    assert len(merged) == len(counted(data))
    assert list(counted(merged)) == list(counted(data))


def test_a_clash_of_hashes_merges_nothing_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where every row has the same hash the rows stay apart."""
    monkeypatch.setattr(module, "_MIX", (np.uint64(0), np.uint64(0)))
    data = binned(MIXED)
    assert counted(data.merged()) == counted(data)


@pytest.mark.parametrize("seed", range(20))
def test_the_floor_is_all_but_the_commonest_answer_of_alike_rows(seed: int) -> None:
    """Rows that no bin tells apart get one answer, whatever the rules."""
    data = binned(random_case(seed))
    best: dict[tuple[int, ...], Counter[int]] = {}
    for codes, answer in zip(data.codes.tolist(), data.answers.tolist(), strict=True):
        best.setdefault(tuple(codes), Counter())[answer] += 1
    reached = sum(max(counts.values()) for counts in best.values())
    assert data.floor() == data.merged().floor() == len(data) - reached


def test_rows_are_picked_evenly() -> None:
    """A part of the table is taken through all of it, and a small table whole."""
    assert spread(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert spread(101, 3).tolist() == [0, 50, 100]
