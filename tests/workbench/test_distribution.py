"""A distribution by form: whatever is moved, the parts stay whole per cents that make a hundred."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.rules import Outcome
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from service.workbench.distribution import beginning, outcome_text, shared


@st.composite
def parts(draw: st.DrawFn) -> list[int]:
    """Per cents that make 100."""
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=1, max_size=7)))
    return [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]


@given(parts(), st.data(), st.integers(-50, 200))
def test_the_parts_always_make_the_whole(before: list[int], data: st.DataObject, wanted: int) -> None:
    """The one that was set is as it was set, within 0 and 100; none is below 0."""
    place = data.draw(st.integers(0, len(before) - 1))
    after = shared(before, place, wanted)
    assert sum(after) == 100
    assert min(after) >= 0
    assert after[place] == min(max(wanted, 0), 100)


@given(parts(), st.data())
def test_setting_what_is_there_changes_nothing(before: list[int], data: st.DataObject) -> None:
    """A slider that is touched and not moved."""
    place = data.draw(st.integers(0, len(before) - 1))
    assert shared(before, place, before[place]) == before


@pytest.mark.parametrize(
    ("before", "place", "wanted", "after"),
    [
        ([50, 30, 20], 0, 0, [0, 60, 40]),
        ([100, 0, 0], 0, 40, [40, 30, 30]),
        ([100, 0, 0, 0], 0, 0, [0, 34, 33, 33]),
    ],
)
def test_the_others_give_way_in_proportion(before: list[int], place: int, wanted: int, after: list[int]) -> None:
    """Where they were nothing they share equally."""
    assert shared(before, place, wanted) == after


@given(parts())
def test_its_text_reads_back(made: list[int]) -> None:
    """As an outcome of a rule with just these shares, odd names of classes included."""
    names = [f"class {at}'s <b>, {at}" for at in range(len(made))]
    schema = Schema((Feature("x", "numeric"),), "y", tuple(names))
    outcome = parse_rule(f"IF x > 1 THEN {outcome_text(names, made)}", "R1").outcome
    assert list(outcome.vector(schema.classes)) == pytest.approx([part / 100 for part in made])


def test_the_form_begins_with_what_the_rule_says() -> None:
    """Its own distribution; of a class, nine parts in ten."""
    both = parse_rule("IF x > 1 THEN a 0.7, b 0.3", "R1").outcome
    assert beginning(both, ("a", "b")) == [0.7, 0.3]
    assert beginning(Outcome.of("b"), ("a", "b")) == pytest.approx([0.1, 0.9])
