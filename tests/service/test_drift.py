"""Drift: how traffic differs from training, by feature and by rule."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.decisions import Grounds, decide_encoded
from ruleedit.decisions.onerow import RowDecider
from ruleedit.release import load
from ruleedit.schema import Feature
from ruleedit.tables import encode, read
from service.scoring.drift import Bins, Reference, agreements, stability
from service.scoring.traffic import FEWEST, WINDOW, Traffic
from tests.commandline import Shop


def test_a_number_s_bins_are_its_deciles_and_missing() -> None:
    """Values up to an edge are below it; far outside they are in the outer bins; ties make fewer bins."""
    column = np.array([*range(100), math.nan, math.nan], dtype=float)
    bins = Bins.of(Feature("x", "numeric"), column)
    assert bins.count(column).tolist() == [11, 10, 10, 10, 10, 10, 10, 10, 10, 9, 2]
    assert bins.count(np.array([-1e9, 1e9])).tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    constant = Bins.of(Feature("x", "numeric"), np.array([7.0, 7.0, math.nan]))
    assert constant.count(np.array([7.0, 8.0, math.nan])).tolist() == [1, 1, 1]


def test_a_text_s_bins_are_unseen_its_categories_and_missing() -> None:
    """In the order of the codes."""
    column = np.array([1.0, 2.0, 2.0, 0.0, math.nan])
    assert Bins.of(Feature("c", "categorical", categories=("a", "b")), column).count(column).tolist() == [1, 1, 2, 1]
    assert Bins.of(Feature("b", "boolean"), column).count(np.array([0.0, 1.0, 1.0, math.nan])).tolist() == [1, 2, 1]


def test_a_column_without_values_has_bins_too() -> None:
    """Whatever comes later is in the first one."""
    bins = Bins.of(Feature("x", "numeric"), np.full(3, math.nan))
    assert bins.count(np.array([5.0, math.nan])).tolist() == [1, 1]


def test_the_index_is_the_one_of_the_book() -> None:
    """Worked by hand: shares 50/50 and 80/20."""
    assert stability([50, 50], [80, 20]) == pytest.approx(0.3 * math.log(1.6) + -0.3 * math.log(0.4))
    assert stability([1, 1], [0, 0]) == 0.0


counts = st.lists(st.integers(0, 1_000), min_size=3, max_size=3)


@given(counts, counts)
def test_the_index_is_symmetric_and_never_negative(old: list[int], new: list[int]) -> None:
    """0 for the same table, finite for empty bins."""
    assert stability(old, new) == pytest.approx(stability(new, old))
    assert 0.0 <= stability(old, new) < math.inf
    assert stability(old, old) == 0.0


def test_a_reference_reads_back(shop: Shop) -> None:
    """From its JSON."""
    release = load(shop.release("overlay-hard"))
    rows = encode(read(shop.csv), release.schema)
    reference = Reference.of(release, rows, release.model.outcomes(rows))
    again = Reference.from_json(json.loads(json.dumps(reference.to_json())))
    assert again.to_json() == reference.to_json()
    assert all(int(counts.sum()) == len(rows) for counts in again.counts)
    assert all(0.0 <= share <= 1.0 for share in again.agreement.values())
    assert {"asserted:R7", "uncovered:R2"} <= set(again.agreement)


def test_agreement_is_counted_as_in_training(shop: Shop) -> None:
    """The same rows as traffic give the same shares."""
    release = load(shop.release("overlay-hard"))
    rows = encode(read(shop.csv), release.schema)
    decider = RowDecider(release)
    traffic = Traffic(decider.grounds)
    traffic.note(rows.tolist(), [decider.decide(row) for row in rows.tolist()])
    expected = agreements(release, rows, release.model.outcomes(rows))
    assert {code: agreed / every for code, (agreed, every) in traffic.agreement().items()} == pytest.approx(expected)
    assert sum(every for _, every in traffic.agreement().values()) == len(rows)


def test_a_model_without_edits_has_no_rules_to_agree_with(shop: Shop) -> None:
    """And its decisions are counted all the same."""
    release = load(shop.model)
    rows = encode(read(shop.csv).head(10), release.schema)
    traffic = Traffic(Grounds(release))
    traffic.note(rows.tolist(), decide_encoded(release, rows, [[]] * 10))
    assert agreements(release, rows, release.model.outcomes(rows)) == {}
    assert {tally.kind for tally in traffic.tallies()} == {"model"}
    assert traffic.agreement() == {}
    assert list(traffic.stability()) == []


def test_old_rows_leave_the_window(shop: Shop) -> None:
    """The index is of the last one to two windows; of few rows there is none."""
    release = load(shop.release("overlay-hard"))
    rows = encode(read(shop.csv), release.schema)
    traffic = Traffic(Grounds(release), Reference.of(release, rows, release.model.outcomes(rows)))
    usual = rows.tolist()
    odd = np.full_like(rows, math.nan).tolist()
    traffic.note(usual[: FEWEST - 1], [])
    assert list(traffic.stability()) == []
    for _ in range(WINDOW // len(odd) + 1):
        traffic.note(odd, [])
    assert min(traffic.stability()) > 1.0
    for _ in range(2 * (WINDOW // len(usual) + 1)):
        traffic.note(usual, [])
    assert max(traffic.stability()) < 0.01
