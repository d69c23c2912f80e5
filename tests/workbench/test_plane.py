"""The plane of two features: what stands where on its axes, however many categories there are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nicegui import Client, ui

from ruleedit.regions import rule_box
from ruleedit.rules import Clause, Outcome, Rule
from ruleedit.schema import Feature, Schema
from service.workbench.plane import (
    MOST_CATEGORIES,
    WIDEST,
    Axis,
    Plane,
    canvas,
    dots,
    labels,
    outline,
    plane,
    round_values,
    surface,
    tick_text,
)
from service.workbench.tags import Tag

NAMES = tuple(f"shop {at:04d}" for at in range(2_000))
SCHEMA = Schema(
    (Feature("ratio", "numeric"), Feature("shop", "categorical", categories=NAMES), Feature("in", "boolean")),
    target="ok",
    classes=("no", "yes"),
)


def rows(shops: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Rows with these shops' codes; ratios from 0 to 1, and a boolean in turn."""
    codes = [SCHEMA.feature("shop").code_of[NAMES[at]] for at in shops]
    return np.array([[at / len(shops), code, at % 2] for at, code in enumerate(codes)], dtype=float)


#: Shop 7 is commonest, then 3; all others but two hundred have no row.
TABLE = rows([7] * 30 + [3] * 20 + list(range(100, 300)))


@pytest.fixture
def drawing() -> Iterator[Tag]:
    """A drawing on a page that nobody looks at."""
    with Client(ui.page(""), request=None) as client:
        with Tag("svg") as made:
            yield made
        client.delete()


def drawn(drawing: Tag, name: str) -> list[Tag]:
    """The elements of one kind in a drawing."""
    return [one for one in drawing.descendants() if isinstance(one, Tag) and one.tag == name]


def axes(across: str, upward: str) -> Plane:
    """The plane of two features of the table."""
    return plane((across, upward), SCHEMA, TABLE)


def test_of_two_thousand_categories_the_commonest_stand_on_the_axis() -> None:
    """So many as can be told apart; the surface is not one of millions of rows."""
    axis = axes("shop", "ratio")[0]
    code_of = SCHEMA.feature("shop").code_of
    assert len(axis.codes) == MOST_CATEGORIES
    assert {code_of[NAMES[7]], code_of[NAMES[3]]} <= set(axis.codes)
    assert list(axis.codes) == sorted(axis.codes)
    assert len(surface(axes("shop", "ratio"), TABLE[0])) == MOST_CATEGORIES * 48
    assert set(surface(axes("shop", "in"), TABLE[0])[:, 1]) == set(axis.codes)


def test_a_few_categories_all_stand_there_whether_a_row_has_them_or_not() -> None:
    """In schema order, each in the middle of its own part."""
    axis = Axis.of("in", SCHEMA, TABLE[TABLE[:, 2] == 1], 100.0)
    assert [axis.stand(code) for code in axis.codes] == [25.0, 75.0]


def test_a_column_without_any_value_still_has_an_axis() -> None:
    """Nothing is divided by nothing."""
    empty = Schema((Feature("kind", "categorical"), Feature("n", "numeric")), target="ok", classes=("no", "yes"))
    nothing = np.full((3, 2), math.nan)
    both = plane(("kind", "n"), empty, nothing)
    assert len(surface(both, nothing[0])) == 48
    assert not both[0].holds(nothing[:, 0]).any()


def test_rows_of_one_category_are_apart_and_those_that_are_not_drawn_have_no_sign(drawing: Tag) -> None:
    """Fifty rows of two shops and some of two hundred: signs aside from each other, each within its own part."""
    both = axes("shop", "in")
    with drawing:
        dots(both, TABLE, np.zeros(len(TABLE), dtype=np.intp))
    signs = [(one.props["x"], one.props["y"]) for one in drawn(drawing, "text")]
    assert len(signs) == int(both[0].holds(TABLE[:, 1]).sum()) == 50 + MOST_CATEGORIES - 2
    assert len(set(signs)) > 0.9 * len(signs)
    wide = both[0].length / MOST_CATEGORIES
    place = both[0].codes.index(SCHEMA.feature("shop").code_of[NAMES[7]])
    assert sum(place * wide < x < (place + 1) * wide for x, _ in signs) == 30


def test_a_rule_on_a_category_covers_its_part_alone() -> None:
    """Both that are drawn of the three it names; the third has no place."""
    axis = axes("shop", "ratio")[0]
    rule = Rule("R1", (Clause("shop", "in", (NAMES[3], NAMES[7], NAMES[1_999])),), Outcome.of("yes"))
    spans = axis.spans(rule_box(rule, SCHEMA))
    middles = [axis.stand(SCHEMA.feature("shop").code_of[NAMES[at]]) for at in (3, 7)]
    assert [any(low < middle < high for low, high in spans) for middle in middles] == [True, True]
    assert len(spans) == 2


def test_the_ids_of_rules_that_begin_together_stand_side_by_side(drawing: Tag) -> None:
    """Six rules over everything: six places."""
    taken: list[tuple[float, float]] = []
    with drawing:
        for at in range(6):
            rule = Rule(f"R{at}", (Clause("ratio", ">=", 0.0),), Outcome.of("yes"))
            outline(axes("ratio", "in"), rule, SCHEMA, taken)
    at = sorted(float(one.props["x"]) for one in drawn(drawing, "text"))
    assert all(after - before >= 24 for before, after in itertools.pairwise(at))


def test_an_axis_says_how_many_categories_it_leaves_out(drawing: Tag) -> None:
    """The first by name, then how many more stand there and of how many they are the commonest."""
    with drawing:
        labels(axes("shop", "in"))
    said = [one._text or "" for one in drawn(drawing, "div")]
    assert "shop 0003, shop 0007" in said[0]
    named = said[0].partition(": shop, ")[2].count("shop ")
    assert said[0].endswith(f"and {MOST_CATEGORIES - named} more; the commonest of 2\u202f000")
    assert len(said[0]) < 160
    assert said[1] == "↑ upward: in, false, true"


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_the_ends_of_an_axis_have_no_more_digits_than_can_be_seen(low: float, wide: float) -> None:
    """Rounded by less than a hundredth of the axis, or to whole numbers where that is less than one."""
    axis = Axis(Feature("ratio", "numeric"), 0, low, low + wide, 100.0)
    for end in (axis.low, axis.high):
        assert abs(axis.shown(end) - end) <= max(0.5 * 10.0 ** min(math.floor(math.log10(wide)) - 2, 0), 1e-9) * 1.01


@pytest.mark.parametrize(
    ("low", "high", "most", "values"),
    [
        (18.0, 75.0, 5, [20.0, 40.0, 60.0]),
        (5_120.0, 101_900.0, 6, [20_000.0, 40_000.0, 60_000.0, 80_000.0, 100_000.0]),
        (-0.31, 0.29, 5, [-0.2, 0.0, 0.2]),
        (0.0, 3.0, 6, [0.0, 1.0, 2.0, 3.0]),
    ],
)
def test_ticks_stand_at_numbers_that_people_would_choose(
    low: float, high: float, most: int, values: list[float]
) -> None:
    """Multiples of 1, 2 or 5 times a power of ten."""
    assert round_values(low, high, most) == values


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(5, 8))
def test_an_axis_has_two_ticks_at_least_and_no_more_than_have_room(low: float, wide: float, most: int) -> None:
    """All of them on the axis, ascending, evenly apart."""
    values = round_values(low, low + wide, most)
    assert 2 <= len(values) <= most
    assert values == sorted(set(values))
    assert all(low - 1e-9 * abs(low) <= value <= low + wide + 1e-9 * abs(low + wide) for value in values)


def test_each_category_that_stands_there_has_its_name_at_its_middle() -> None:
    """Of more than have room for a line each every other one."""
    few = Axis.of("in", SCHEMA, TABLE, 220.0, upward=True)
    assert few.ticks() == [(165.0, "false"), (55.0, "true")]
    many = axes("in", "shop")[1]
    assert [text for _, text in many.ticks()][:2] == [NAMES[3], NAMES[100]]
    assert len(many.ticks()) == MOST_CATEGORIES // 2
    assert len(axes("shop", "in")[0].ticks()) == MOST_CATEGORIES


def test_names_that_have_no_room_side_by_side_stand_aslant_and_long_ones_are_cut(drawing: Tag) -> None:
    """The whole name is still there for whoever points at it; two short ones lie as ever."""
    long = Schema(
        (Feature("kind", "categorical", categories=("short", "x" * 60)), *SCHEMA.features), "y", ("no", "yes")
    )
    table = np.array([[1, 0.5, 1, 0], [2, 0.7, 2, 1]], dtype=float)
    with drawing:
        canvas(plane(("kind", "ratio"), long, table), "a plane")
    texts = [one for one in drawn(drawing, "text") if "tick" in one.classes]
    assert [one._text for one in texts][:2] == ["short", "x" * (WIDEST - 1) + "…"]
    assert [one._text for one in drawn(drawing, "title")] == ["x" * 60]
    assert len(drawn(drawing, "line")) == len(texts)
    assert axes("shop", "in")[0].aslant
    assert not any(axis.aslant for axis in (*axes("in", "shop"), *axes("ratio", "in")))


def test_a_number_at_a_tick_is_written_in_full_where_it_has_room() -> None:
    """Thousands apart; of many digits, as a power of ten."""
    assert [tick_text(value) for value in (2_000_000_000.0, -0.25, 2e11)] == [
        "2\u202f000\u202f000\u202f000",
        "−0.25",
        "2e+11",
    ]
