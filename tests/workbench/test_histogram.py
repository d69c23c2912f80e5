"""The histogram of a clause: both thresholds with their values, and the band between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from nicegui import Client, ui

from ruleedit.schema import Feature, Schema
from service.workbench.histogram import WIDTH, Histogram
from service.workbench.tags import Tag
from service.workspace.insight import feature_figures

SCHEMA = Schema((Feature("age", "integer"),), target="ok", classes=("no", "yes"))
ROWS = np.arange(100, dtype=float)[:, None]


@pytest.fixture
def around() -> Iterator[Tag]:
    """A place on a page that nobody looks at."""
    with Client(ui.page(""), request=None) as client:
        with Tag("div") as made:
            yield made
        client.delete()


def made(*old: float) -> Histogram:
    """A histogram from 0 to 100 with thresholds as they stand."""
    figures = feature_figures("age", SCHEMA, ROWS, np.zeros(100, dtype=np.intp))
    drawn = Histogram(figures, SCHEMA, 0.0, 100.0)
    drawn.draw(old, old)
    return drawn


def said(around: Tag, name: str) -> list[tuple[str, str]]:
    """The labels of one kind that can be seen: the text, and where it stands."""
    found = [one for one in around.descendants() if isinstance(one, Tag) and one.tag == name]
    return [(one._text or "", str(one.props.get("style", ""))) for one in found if not one.props.get("hidden")]


def test_the_new_value_stands_under_its_line_and_the_old_one_struck_through(around: Tag) -> None:
    """Each in the middle of where it is on the axis."""
    made(30.0).move((30.0,), (55.0,))
    assert said(around, "s") == [("30", "left:30.00%")]
    assert said(around, "b") == [("55", "left:55.00%")]


@pytest.mark.parametrize(("new", "old_goes", "new_goes"), [(31.0, "-100%", "0"), (29.0, "0", "-100%")])
def test_values_that_are_near_stand_to_either_side(around: Tag, new: float, old_goes: str, new_goes: str) -> None:
    """Neither covers the other's digits; where nothing was moved there is one."""
    drawn = made(30.0)
    drawn.move((30.0,), (new,))
    assert said(around, "s") == [("30", f"left:30.00%;transform:translateX({old_goes})")]
    assert said(around, "b") == [(f"{new:g}", f"left:{new:.2f}%;transform:translateX({new_goes})")]
    drawn.move((30.0,), (30.0,))
    assert (said(around, "s"), said(around, "b")) == ([], [("30", "left:30.00%")])


def test_an_interval_has_two_of_each(around: Tag) -> None:
    """And one threshold only one."""
    drawn = made(30.0, 60.0)
    drawn.move((30.0, 60.0), (35.0, 70.0))
    assert [text for text, _ in said(around, "b")] == ["35", "70"]
    drawn.move((30.0, 60.0), (35.0,))
    assert [text for text, _ in said(around, "b")] == ["35"]


@pytest.mark.parametrize(("new", "ends"), [(45.0, ["0", "100"]), (5.0, ["100"]), (95.0, ["0"])])
def test_the_end_of_an_axis_gives_way_to_a_value_that_stands_there(around: Tag, new: float, ends: list[str]) -> None:
    """Two numbers never stand one over the other's digits."""
    made(50.0).move((50.0,), (new,))
    assert [text for text, _ in said(around, "span")] == ends


def test_a_clause_that_is_new_has_nothing_struck_through(around: Tag) -> None:
    """No old line, no old value, no band; only where it stands now."""
    figures = feature_figures("age", SCHEMA, ROWS, np.zeros(100, dtype=np.intp))
    drawn = Histogram(figures, SCHEMA, 0.0, 100.0)
    drawn.draw((), (50.0,))
    drawn.move((), (40.0,))
    assert (said(around, "s"), said(around, "b")) == ([], [("40", "left:40.00%")])
    looks = [one.classes for one in around.descendants() if isinstance(one, Tag) and one.tag == "line"]
    assert [list(look) for look in looks] == [["now"], ["now"]]
    assert [band.props["width"] for band in drawn._bands] == [0, 0]


def test_the_band_lies_between_old_and_new_whichever_way(around: Tag) -> None:
    """From the lesser to the greater."""
    for new in (10.0, 50.0):
        drawn = made(30.0)
        drawn.move((30.0,), (new,))
        band = drawn._bands[0].props
        assert (band["x"], band["width"]) == (min(new, 30.0) / 100 * WIDTH, 20 / 100 * WIDTH)
