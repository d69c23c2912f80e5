"""Sums: however a table is parted, the counts of the parts add up to those of the whole, to the last one."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.conflicts import Conflicts
from ruleedit.doubts import Seen, doubts, doubts_of, seen
from ruleedit.drafts import Draft
from ruleedit.feedback import Feedback, feedback
from ruleedit.impact import RuleImpact, Tally, impact
from ruleedit.matching import Indices, Matrix
from ruleedit.models import outcomes
from ruleedit.overlay import Moves
from ruleedit.retrain import Answers, effect
from ruleedit.retrain.report import changes, effect_of
from ruleedit.tables.sums import PARTS, added, counted, in_parts, total
from tests.asked import Fake
from tests.reference import encoded
from tests.strategies import Dice, make_draft, make_small_rows


def parted(draft: Draft, asked: Feedback, rows: Matrix, truth: Indices, cuts: list[int]) -> list[tuple[Tally, Seen]]:
    """The counts of each part of a table; some parts are empty."""
    conflicts = Conflicts(draft.rules, draft.schema).all
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        part = rows[start:end]
        here = impact(asked, part, outcomes(Fake.of(draft.schema), part))
        found.append((here.tally, seen(asked, conflicts, part, truth[start:end], here.before, here.after)))
    return found


@given(st.integers(0, 10**6), st.lists(st.integers(0, 60), max_size=8).map(sorted), st.randoms(use_true_random=False))
def test_any_split_in_any_order_counts_the_same(number: int, cuts: list[int], random: st.DataObject) -> None:
    """Coverage, changes, flips, undecided, labels, confusions and subgroups of a random draft and table."""
    dice = Dice(8_000_000 + number)
    draft = make_draft(dice)
    asked = feedback(draft.base, draft.rules, draft.schema)
    rows = encoded(make_small_rows(dice, draft.schema, 60), draft.schema)
    truth = np.random.default_rng(number).integers(len(draft.schema.classes), size=60)
    ((tally, evidence),) = parted(draft, asked, rows, truth, [])
    parts = parted(draft, asked, rows, truth, cuts)
    random.shuffle(parts)  # type: ignore[attr-defined]
    tallies, evidences = zip(*parts, strict=True)
    assert reduce(add, tallies) == tally
    assert reduce(add, evidences) == evidence
    assert reduce(add, tallies).to_json() == impact(asked, rows, outcomes(Fake.of(draft.schema), rows)).to_json()


def test_what_is_said_of_the_sums_is_what_is_said_of_the_table() -> None:
    """The same doubts, in the same words, for 60 random drafts cut in three."""
    said = 0
    for number in range(60):
        dice = Dice(9_000_000 + number)
        draft = make_draft(dice)
        asked = feedback(draft.base, draft.rules, draft.schema)
        rows = encoded(make_small_rows(dice, draft.schema, 300), draft.schema)
        truth = np.random.default_rng(number).integers(len(draft.schema.classes), size=300)
        here = impact(asked, rows, outcomes(Fake.of(draft.schema), rows))
        whole = doubts(draft, asked, rows, truth, here.before, here.after)
        sums = reduce(add, (evidence for _, evidence in parted(draft, asked, rows, truth, [70, 200])))
        assert doubts_of(draft, asked, Conflicts(draft.rules, draft.schema).all, sums) == whole
        said += len(whole)
    assert said > 20


def test_one_row_without_a_label_leaves_the_table_without_labels() -> None:
    """As reading it whole does: half of the labels could say anything."""
    draft = make_draft(Dice(5))
    asked = feedback(draft.base, draft.rules, draft.schema)
    rows = encoded(make_small_rows(Dice(6), draft.schema, 40), draft.schema)
    codes = outcomes(Fake.of(draft.schema), rows)
    with_labels, without = seen(asked, (), rows, codes, codes, codes), seen(asked, (), rows, None, codes, codes)
    assert (with_labels + without).unlabelled == 40
    assert (
        doubts_of(draft, asked, (), with_labels + without) == doubts_of(draft, asked, (), without + with_labels) == ()
    )


def test_counts_are_whole_numbers_of_any_size() -> None:
    """Nothing overflows or is rounded; shapes that differ are refused."""
    counts = counted(np.array([0, 1, 1]), np.array([2, 0, 0]), (2, 3))
    assert counts == ((0, 0, 1), (2, 0, 0))
    huge = ((0, 0, 2**70), (1, 0, 0))
    assert added(counts, huge) == added(huge, counts) == ((0, 0, 2**70 + 1), (3, 0, 0))
    assert total(counts) == 3
    with pytest.raises(ValueError, match="zip"):
        added(counts, ((0, 0, 1),))


def test_counts_of_different_edits_have_no_sum() -> None:
    """A rule's counts are added to its own alone."""
    with pytest.raises(ValueError, match="R1 and R2"):
        RuleImpact("R1", "asserted", 1, 1) + RuleImpact("R2", "asserted", 1, 1)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 80), max_size=8).map(sorted), st.randoms(use_true_random=False))
def test_what_a_release_changed_adds_up(number: int, cuts: list[int], random: st.DataObject) -> None:
    """Agreement, distances, F1, flips by class and group: any parts in any order give the table's, to the last bit."""
    dice, rng = Dice(10_000_000 + number), np.random.default_rng(number)
    draft = make_draft(dice)
    asked, classes = feedback(draft.base, draft.rules, draft.schema), len(draft.schema.classes)
    rows = encoded(make_small_rows(dice, draft.schema, 80), draft.schema)
    truth = rng.integers(classes, size=80) if number % 3 else None
    sides = rng.dirichlet(np.ones(classes), size=(2, 80))
    parts = []
    for start, end in zip([0, *cuts], [*cuts, 80], strict=True):
        before, after = (Answers(side[start:end], side[start:end].argmax(axis=1)) for side in sides)
        parts.append(changes(asked, rows[start:end], None if truth is None else truth[start:end], before, after))
    random.shuffle(parts)  # type: ignore[attr-defined]
    whole = effect(asked, rows, truth, *(Answers(side, side.argmax(axis=1)) for side in sides))
    assert effect_of(asked, reduce(add, parts)) == whole
    held = asked.assign(rows)
    for place, (rule, told) in enumerate(zip(asked, whole.feedback, strict=True)):
        here = held == place
        if rule.asks and here.any() and not rule.outcome.is_class:
            wanted = [dict(rule.outcome.weights).get(name, 0.0) for name in draft.schema.classes]
            distances = [np.abs(side[here] - wanted).sum(axis=1).mean() / 2 for side in sides]
            np.testing.assert_allclose([told.distance_before, told.distance_after], distances, rtol=0.0, atol=1e-10)


def test_shares_add_up_in_whole_parts() -> None:
    """Which floats don't: a tenth ten times in another order, and shares too small to tell from nothing."""
    shares = np.array([0.1] * 7 + [1e-12, 1.0, 1 / 3] * 50)
    cuts = [in_parts(shares[::-1]), in_parts(shares[:31]) + in_parts(shares[31:])]
    assert cuts == [in_parts(shares)] * 2
    assert in_parts(shares) / PARTS == pytest.approx(shares.sum(), abs=1e-9)
    assert in_parts(np.zeros(0)) == 0


def test_moves_of_one_rule_add_up() -> None:
    """Whether it has a target is the rule's, not the rows'."""
    assert Moves("R1", 1, 2, 3, False) + Moves("R1", 10, 20, 30, False) == Moves("R1", 11, 22, 33, False)
