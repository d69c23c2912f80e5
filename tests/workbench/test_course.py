"""Where a round stands in the drawing of a retraining."""

from __future__ import annotations

import pytest

from service.workbench.course import EDGE, HIGH, WIDE, _high, _point


def test_rounds_go_from_edge_to_edge_and_shares_from_bottom_to_top() -> None:
    """The first at the left, the last at the right; one by itself in the middle; nothing leaves the drawing."""
    assert _point(5, 0, 0.0) == f"{EDGE:.1f},{HIGH - EDGE:.1f}"
    assert _point(5, 4, 1.0) == f"{WIDE - EDGE:.1f},{EDGE:.1f}"
    assert _point(1, 0, 0.5) == f"{WIDE / 2:.1f},{HIGH / 2:.1f}"


@pytest.mark.parametrize("value", [-0.5, 1.5])
def test_a_share_out_of_bounds_stays_at_the_edge(value: float) -> None:
    """A figure that can't be is drawn where it is nearest."""
    assert _high(value) in (EDGE, HIGH - EDGE)
