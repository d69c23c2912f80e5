"""Contrast rows: what lies on both sides of a region's edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ruleedit.retrain.contrast import Edges, contrast, edges, own_edges
from tests.retraining import MIXED, ask, background, mixed_answers, mixed_rows

ROWS = mixed_rows(400)
KNOWN = background(ROWS, mixed_answers(ROWS), MIXED)


def edge(text: str, name: str) -> Edges:
    """The edges of a feature under one rule."""
    (found,) = [one for one in edges(ask(MIXED, text), KNOWN) if one.place == MIXED.index(name)]
    return found


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("x <= 1.5", (1.5,)),
        ("x < 1.5", (math.nextafter(1.5, -math.inf),)),
        ("x > 1.5", (1.5,)),
        ("x between -1 and 1.5", (math.nextafter(-1.0, -math.inf), 1.5)),
        ("x is missing", ()),
    ],
)
def test_a_bound_is_the_last_number_of_one_side(text: str, bounds: tuple[float, ...]) -> None:
    """So that ``x <= bound`` tells the two sides apart."""
    assert edge(f"IF {text} THEN yes", "x").bounds == bounds


def test_both_sides_of_a_bound_are_tried_and_missing_too() -> None:
    """An integer's next value is 1 on; missing where the schema allows it."""
    np.testing.assert_array_equal(edge("IF n <= 20 THEN yes", "n").values, [20.0, 21.0, np.nan])
    np.testing.assert_array_equal(edge("IF whole <= 1 THEN yes", "whole").values, [1.0, math.nextafter(1.0, 2.0)])


def test_values_outside_the_schema_are_not_tried() -> None:
    """A bound at the end of its range has nothing behind it."""
    np.testing.assert_array_equal(edge("IF n <= 40 THEN yes", "n").values, [40.0, np.nan])


def test_every_category_is_tried_and_an_unseen_one() -> None:
    """Whatever the rule names; a boolean has two values."""
    np.testing.assert_array_equal(edge("IF c = b THEN yes", "c").values, [1.0, 2.0, 3.0, 4.0, 0.0, np.nan])
    np.testing.assert_array_equal(edge("IF f = true THEN yes", "f").values, [0.0, 1.0, np.nan])


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("c in (a, b)", 1),
        ("c not in (a)", 2),
        ("c != rare", 2),
        ("c is missing", 2),
        ("c is not missing", 2),
        ("f != true", 1),
    ],
)
def test_missing_is_tried_more_often_where_it_is_parted_from_most_categories(text: str, times: int) -> None:
    """One split of a tree can't do that, so a row or two don't show that it has to be done."""
    values = edge(f"IF {text} THEN yes", text[0]).values
    assert np.isnan(values).sum() == times


def test_only_features_that_rules_name_have_edges() -> None:
    """In schema order, those of rules that leave rows to the model too: they end other rules' regions."""
    asked = ask(MIXED, "IF n > 3 THEN model", "IF x > 1 THEN yes")
    assert [one.place for one in edges(asked, KNOWN)] == [0, 1]


def test_one_feature_of_each_row_changes_the_one_that_is_said() -> None:
    """To a value at an edge, or one that training rows have."""
    known = edges(ask(MIXED, "IF x > 1 AND c = b AND n <= 7 THEN yes"), KNOWN)
    changed = contrast(ROWS, known, np.arange(len(ROWS)) % len(known), np.random.default_rng(0))
    different = ~((changed == ROWS) | (np.isnan(changed) & np.isnan(ROWS)))
    for number, one in enumerate(known):
        here = different[number :: len(known)]
        assert here[:, one.place].any()
        assert not np.delete(here, one.place, axis=1).any()
        drawn = changed[different[:, one.place], one.place]
        possible = np.concatenate([one.values, one.observed])
        assert np.isin(np.nan_to_num(drawn, nan=-99.0), np.nan_to_num(possible, nan=-99.0)).all()


def test_a_row_is_contrasted_where_its_own_rule_ends() -> None:
    """At a feature that its rule names; a row of no rule at any that some rule names."""
    asked = ask(MIXED, "IF x > 1 AND n <= 7 THEN yes", "IF x <= 1 AND c = b THEN yes")
    known = edges(asked, KNOWN)
    held = np.repeat([0, 1, -1], 100)
    which = own_edges(asked, known, held, np.random.default_rng(0))
    named = [{MIXED.names[known[number].place] for number in which[held == place]} for place in (0, 1, -1)]
    assert named == [{"x", "n"}, {"x", "c"}, {"x", "n", "c"}]
