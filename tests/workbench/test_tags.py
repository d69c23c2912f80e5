"""What is drawn again is as if drawn for the first time, and what is the same stays where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nicegui import Client, ui

from service.workbench.tags import Tag, button, choice, drawn


@dataclass(frozen=True)
class Drawing:
    """One element with what stands in it."""

    name: str
    text: str
    look: str
    title: str | None
    inside: tuple[Drawing, ...]


def _drawings(inside: st.SearchStrategy[Drawing]) -> st.SearchStrategy[Drawing]:
    texts = st.sampled_from(["", "one", "two"])
    few = st.lists(inside, max_size=3).map(tuple)
    names, looks = st.sampled_from(["div", "span", "p"]), st.sampled_from(["", "quiet", "quiet small"])
    return st.builds(Drawing, names, texts, looks, st.sampled_from([None, "said"]), few)


LEAVES = _drawings(st.just(Drawing("i", "", "", None, ())))
DRAWINGS = st.lists(st.recursive(LEAVES, _drawings, max_leaves=8), max_size=4)


@pytest.fixture(scope="module")
def around() -> Iterator[Tag]:
    """An element of a page that nobody looks at."""
    with Client(ui.page(""), request=None) as client:
        yield Tag("div")
        client.delete()


def draw(found: list[Drawing] | tuple[Drawing, ...]) -> None:
    """Draw where the caller stands."""
    for one in found:
        with drawn(one.name, one.text, one.look, title=one.title):
            draw(one.inside)


def read(around: Tag) -> list[Drawing]:
    """What stands in an element, as the page would get it."""
    found = []
    for one in around.default_slot.children:
        assert isinstance(one, Tag)
        sent = one._to_dict()
        props = sent.get("props", {})
        assert set(props) <= {"title"}
        told = (one.tag, sent.get("text", ""), " ".join(sent.get("class", [])), props.get("title"))
        found.append(Drawing(*told, tuple(read(one))))
    return found


@given(st.lists(DRAWINGS, min_size=1, max_size=4))
def test_what_is_drawn_again_is_as_if_drawn_first(around: Tag, shown: list[list[Drawing]]) -> None:
    """Whatever stood there before; and nothing that is gone is kept by the page."""
    for found in shown:
        with around.again():
            draw(found)
        assert read(around) == found
        assert all(one in around.client.elements.values() for one in around.descendants())
    with around.again():
        pass
    assert read(around) == []


@given(DRAWINGS)
def test_what_is_the_same_stays_and_nothing_is_sent(around: Tag, found: list[Drawing]) -> None:
    """Not one element is made, and none is marked as changed."""
    with around.again():
        draw(found)
    before = [one.id for one in around.descendants()]
    around.client.outbox.updates.clear()
    with around.again():
        draw(found)
    assert [one.id for one in around.descendants()] == before
    assert list(around.client.outbox.updates) == []


def test_only_what_differs_is_sent(around: Tag) -> None:
    """Another text in one cell: that cell goes to the page, and no other element."""
    around.clear()
    for text in ("12", "13"):
        around.client.outbox.updates.clear()
        with around.again(), drawn("table"), drawn("tr"):
            drawn("td", "decisions")
            cell = drawn("td", text)
    assert list(around.client.outbox.updates) == [cell.id]


def test_a_button_that_stays_does_what_was_said_last(around: Tag) -> None:
    """Its one listener asks for the handler of the last drawing; so does a choice's."""
    around.clear()
    told: list[Any] = []
    for turn in (1, 2):
        with around.again():
            pressed = button("Press", lambda turn=turn: told.append(turn))
            chosen = choice([("a", "A")], "a", lambda value, turn=turn: told.append((turn, value)))
    for made, args in ((pressed, None), (chosen, "a")):
        (listener,) = made._event_listeners.values()
        heard: Callable[[Any], Any] = listener.handler  # type: ignore[assignment]
        heard(type("Said", (), {"args": args})())
    assert told == [2, (2, "a")]


def test_a_button_that_stays_as_another_is_not_heard_by_the_first(around: Tag) -> None:
    """What stood there listened to a press; what stands there now listens to nothing."""
    around.clear()
    told: list[str] = []
    with around.again():
        pressed = button("Press", lambda: told.append("pressed"))
    with around.again():
        assert drawn("button", "Wait", type="button") is pressed
    (listener,) = pressed._event_listeners.values()
    heard: Callable[[Any], Any] = listener.handler  # type: ignore[assignment]
    heard(None)
    assert told == []
