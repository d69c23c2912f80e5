"""Rows as bins: merging loses nothing, and the floor is what alike rows must lose."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.binned import Binned, spread
from ruleedit.surrogate.kernel import alike
from tests.surrogate.cases import Case, random_case


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


@pytest.mark.parametrize("values", [1, 2, 40])
def test_rows_that_differ_stay_apart_wherever_their_hashes_fall(values: int) -> None:
    """Of 2,000 rows many fall on a taken place; each still has the group of its equals, numbered as they come."""
    codes = np.random.default_rng(values).integers(0, values, (2_000, 2))
    first, which = alike(codes)
    assert (codes[first[which]] == codes).all()
    assert len(first) == len(np.unique(codes, axis=0))
    assert first.tolist() == sorted(first.tolist()) == [int(np.argmax(which == group)) for group in range(len(first))]


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
