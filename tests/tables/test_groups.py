"""Groups of rows: how they are parted, what their ratios are, and when one has fallen behind."""

from __future__ import annotations

import numpy as np
import pytest

from ruleedit.errors import Refused, UnknownClass, UnknownFeature
from ruleedit.schema import Feature, Schema
from ruleedit.tables.groups import FOUR_FIFTHS, Fairness, Group, Grouping, behind, groups_json, parted, ratios

SCHEMA = Schema(
    (Feature("age", "integer"), Feature("sex", "categorical", categories=("f", "m")), Feature("old", "boolean")),
    "ok",
    ("no", "yes"),
)
ROWS = np.array(
    [[20, 1, 0], [30, 1, 0], [39, 2, 0], [40, 2, 1], [60, 0, 1], [np.nan, np.nan, np.nan]], dtype=float, order="F"
)


def shares(value: str | None, before: float, after: float) -> Group:
    """A group by its rates of yes."""
    return Group("sex", value, 10, (1 - before, before), (1 - after, after))


def test_a_number_is_parted_where_it_is_cut() -> None:
    """Each cut is the least value of the next group; missing values are a group of their own."""
    found = dict(Grouping("age", (30.0, 40.0)).parts(ROWS, SCHEMA))
    assert {name: np.flatnonzero(mask).tolist() for name, mask in found.items()} == {
        "under 30": [0],
        "30 to under 40": [1, 2],
        "40 and over": [3, 4],
        None: [5],
    }


def test_a_text_is_parted_by_its_values() -> None:
    """One never seen is in no group: nobody knows which."""
    found = dict(Grouping("sex").parts(ROWS, SCHEMA))
    assert {name: np.flatnonzero(mask).tolist() for name, mask in found.items()} == {
        "f": [0, 1],
        "m": [2, 3],
        None: [5],
    }


@pytest.mark.parametrize(
    ("grouping", "message"),
    [
        (Grouping("age"), "'age' is a number and has no groups"),
        (Grouping("age", (3.0, 3.0)), "the cuts of 'age' don't rise"),
        (Grouping("age", (float("nan"),)), "1 to 11 finite numbers"),
        (Grouping("age", tuple(map(float, range(12)))), "has 12 cuts"),
        (Grouping("sex", (1.0,)), "'sex' is categorical: its values are the groups"),
    ],
)
def test_what_makes_no_groups_is_refused(grouping: Grouping, message: str) -> None:
    """With what would be accepted."""
    with pytest.raises(Refused, match=message):
        Fairness((grouping,)).check(SCHEMA)


def test_settings_are_checked_against_the_schema() -> None:
    """Columns and class exist, each column once, the ratio is one."""
    for wrong, kind in (
        (Fairness((Grouping("sexx"),)), UnknownFeature),
        (Fairness(favourable="maybe"), UnknownClass),
        (Fairness((Grouping("sex"), Grouping("sex"))), Refused),
        (Fairness(least_ratio=1.5), Refused),
    ):
        with pytest.raises(kind):
            wrong.check(SCHEMA)
    Fairness((Grouping("sex"), Grouping("age", (30.0,))), "yes").check(SCHEMA)


def test_settings_read_back() -> None:
    """As they were written; where nobody said anything the four-fifths rule holds and nothing is sensitive."""
    fairness = Fairness((Grouping("age", (30.0, 40.5)),), "yes", 0.9)
    assert Fairness.from_json(fairness.to_json()) == fairness
    assert Fairness.from_json(None) == Fairness((), None, FOUR_FIFTHS)


def test_shares_are_counted_row_by_row() -> None:
    """Of each group that has rows, before and after."""
    before, after = np.array([0, 0, 1, 1, 1, 0]), np.array([1, 0, 1, 1, 0, 0])
    found = parted([Grouping("sex"), Grouping("old")], ROWS, SCHEMA, before, after)
    assert [(group.value, group.rows, group.before[1], group.after[1]) for group in found["sex"]] == [
        ("f", 2, 0.0, 0.5),
        ("m", 2, 1.0, 1.0),
        (None, 1, 0.0, 0.0),
    ]
    assert [group.value for group in found["old"]] == ["false", "true", None]
    told = groups_json(found, SCHEMA)
    assert told[0]["ratio_after"] == {"no": 1.0, "yes": 0.5}
    assert told[0]["before"] == {"no": 1.0, "yes": 0.0}


def test_a_ratio_is_to_the_best_named_group() -> None:
    """Rows of a missing value are compared, and never what others are compared with."""
    members = [shares("f", 0.4, 0.3), shares("m", 0.5, 0.6), shares(None, 0.9, 0.9)]
    assert ratios(members, 1)[:2] == [pytest.approx((0.8, 0.5)), pytest.approx((1.0, 1.0))]
    assert ratios([shares("f", 0.0, 0.0)], 1) == [(1.0, 1.0)]


@pytest.mark.parametrize(
    ("before", "after", "least", "said"),
    [
        ((0.45, 0.5), (0.3, 0.5), 0.8, ["f"]),
        ((0.3, 0.5), (0.3, 0.5), 0.8, []),  # It was so before, and the edit isn't to blame.
        ((0.5, 0.5), (0.45, 0.5), 0.8, []),  # It falls, and stays above.
        ((0.45, 0.5), (0.3, 0.5), 0.0, []),
        ((0.5, 0.5), (0.5, 0.9), 0.8, ["f"]),  # Its own rate stays; the others' rises.
    ],
)
def test_a_group_is_behind_where_its_ratio_falls_below_the_least(
    before: tuple[float, float], after: tuple[float, float], least: float, said: list[str]
) -> None:
    """Both are needed: it falls, and it is below."""
    groups = [shares(name, *pair) for name, pair in zip("fm", zip(before, after, strict=True), strict=True)]
    found = behind(Fairness((Grouping("sex"),), "yes", least), {"sex": groups}, SCHEMA)
    assert [one.group.value for one in found] == said


def test_where_nobody_said_which_outcome_is_wanted_every_class_is_looked_at() -> None:
    """The furthest behind comes first, and says so in words."""
    groups = [shares("f", 0.9, 0.5), shares("m", 0.9, 0.95)]
    found = behind(Fairness((Grouping("sex"),)), {"sex": groups}, SCHEMA)
    assert [(one.group.value, one.outcome) for one in found] == [("m", "no"), ("f", "yes")]
    assert found[1].says == "sex f falls behind: yes at 0.53 of the best group's rate (was 1.00), below 0.8"
    assert found[1].to_json()["rows"] == 10
