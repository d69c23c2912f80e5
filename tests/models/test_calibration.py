"""The expected calibration error, against counting bin by bin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.models.calibration import Calibration


def by_hand(sure: np.ndarray, right: np.ndarray) -> float:
    """The definition, a bin at a time."""
    total = 0.0
    for low in range(10):
        here = (np.minimum((sure * 10).astype(int), 9)) == low
        if here.any():
            total += here.mean() * abs(sure[here].mean() - right[here].mean())
    return float(total)


def test_who_is_as_sure_as_right_has_no_error() -> None:
    """Eight of ten right at 0.8; and one who is sure and wrong is as wrong as can be."""
    assert Calibration(np.full(10, 0.8), np.arange(10) < 8).error == pytest.approx(0.0)
    assert Calibration(np.ones(4), np.zeros(4, dtype=bool)).error == 1.0


def test_without_rows_there_is_no_error() -> None:
    """None, not 0: nothing was measured."""
    assert Calibration(np.empty(0), np.empty(0, dtype=bool)).error is None


@given(st.integers(0, 2**32 - 1))
def test_rows_answered_otherwise_are_counted_anew(seed: int) -> None:
    """The quick way and the definition say the same, whichever rows an edit takes."""
    rng = np.random.default_rng(seed)
    sure, right = rng.uniform(0.3, 1.0, 200), rng.random(200) < 0.7
    owner = rng.integers(0, 3, 200)
    answers = {1: 1.0, 2: 0.65}
    new, found = sure.copy(), right.copy()
    changes = []
    for place, share in answers.items():
        mask = owner == place
        now = rng.random(200) < 0.5
        new[mask], found[mask] = share, now[mask]
        changes.append((mask, share, int(now[mask].sum())))
    whole = Calibration(sure, right)
    assert whole.error == pytest.approx(by_hand(sure, right))
    assert whole.answered(changes) == pytest.approx(by_hand(new, found))
    assert whole.answered([]) == whole.error
