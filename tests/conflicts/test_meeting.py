"""All pairs of boxes at once: the same as one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ruleedit.conflicts.meeting import containing, meeting
from ruleedit.regions import Box, NumberSet, TextSet, rule_box
from ruleedit.schema import Feature, Schema
from tests.strategies import Dice, World, make_box, make_schema


def test_meeting_is_as_one_by_one(count: Callable[[int, int], int]) -> None:
    """Numbers, texts, booleans, missing values, empty and full boxes."""
    met = 0
    for number in range(count(150, 3_000)):
        dice = Dice(number)
        schema = make_schema(dice)
        boxes = [make_box(dice, schema) for _ in range(12)]
        found = meeting(boxes, boxes[:7])
        assert found.tolist() == [[one.meets(other) for other in boxes[:7]] for one in boxes]
        assert meeting(boxes)[:, :7].tolist() == found.tolist()
        met += int(found.sum())
    assert met > 1_000


def test_containing_is_as_one_by_one(count: Callable[[int, int], int]) -> None:
    """A box lies within another exactly where every row of it does."""
    held = 0
    for number in range(count(150, 3_000)):
        dice = Dice(50_000 + number)
        schema = make_schema(dice)
        boxes = [make_box(dice, schema) for _ in range(10)]
        boxes += [one.intersect(other) for one, other in zip(boxes[:5], boxes[5:], strict=True)]
        found = containing(boxes, boxes[4:])
        assert found.tolist() == [[one.within(other) for other in boxes[4:]] for one in boxes]
        assert containing(boxes)[:, 4:].tolist() == found.tolist()
        held += int(found.sum())
    assert held > 1_000


def test_the_boxes_of_rules_meet_as_their_rows_say(worlds: list[World]) -> None:
    """A row in two boxes means that they meet; boxes of which one lies in the other share its rows."""
    for world in worlds[:300]:
        boxes = [rule_box(rule, world.schema) for rule in world.rules]
        met, inside = meeting(boxes), containing(boxes)
        for row in world.rows:
            here = np.array([row in box for box in boxes], dtype=bool)
            assert met[np.ix_(here, here)].all()
            assert not inside[np.ix_(here, ~here)].any()


def test_no_boxes_have_no_pairs() -> None:
    """Nothing meets nothing; and a box without clauses is everything."""
    assert meeting([]).shape == containing([]).shape == (0, 0)
    assert meeting([Box()], []).shape == (1, 0)
    assert meeting([Box()]).tolist() == containing([Box()]).tolist() == [[True]]


def test_sets_of_several_intervals_and_unnamed_categories() -> None:
    """One interval of many is enough to meet; a category that nobody names is shared by what excludes others."""
    x, c = Feature("x", "numeric"), Feature("c", "categorical", categories=("a", "b", "d"))
    assert Schema((x, c), "t", ("no", "yes"))
    apart = Box.of({"x": NumberSet.of([(0.0, 1.0), (5.0, 6.0)], False, x)})
    late = Box.of({"x": NumberSet.of([(6.0, 9.0)], True, x)})
    inner = Box.of({"x": NumberSet.of([(0.5, 1.0), (5.5, 5.5)], False, x)})
    assert meeting([apart, late, inner]).tolist() == [[True, True, True], [True, True, False], [True, False, True]]
    assert containing([inner, apart], [apart, inner]).tolist() == [[True, True], [True, False]]
    but_a = Box.of({"c": TextSet.of(("a",), True, False, c)})
    but_b = Box.of({"c": TextSet.of(("b", "d"), True, False, c)})
    only_a = Box.of({"c": TextSet.of(("a",), False, False, c)})
    assert meeting([but_a, but_b, only_a]).tolist() == [[True, True, False], [True, True, True], [False, True, True]]
    assert containing([only_a], [but_a, but_b]).tolist() == [[False, True]]
