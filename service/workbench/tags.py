"""HTML elements with text and attributes: text goes to the page as text, never as HTML or Markdown."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from nicegui import ui
from nicegui.element import Element

from ruleedit.schema import Schema
from service.workbench import words

Handler: TypeAlias = Callable[..., Awaitable[Any] | None]


class Tag(Element):
    """One HTML (or SVG) element; ``attributes`` are set as they are, with ``_`` read as ``-``."""

    def __init__(self, name: str, text: str = "", look: str = "", **attributes: Any) -> None:
        super().__init__(name)
        if text:
            self._text = text
        if look:
            self.classes(look)
        self._props.update(_properties(attributes))
        self._heard: dict[str, Handler] = {}
        #: While this is drawn again: how many of its children have been.
        self._place: int | None = None

    def _displayed_contents(self, *, only_visible: bool) -> list[Any]:
        """What a simulated user of NiceGUI's sees of it."""
        return [self._text, self._props.get("aria-label"), self._props.get("title"), self._props.get("placeholder")]

    def say(self, text: str) -> None:
        """Show another text."""
        self._text = text
        self.update()

    def put(self, **attributes: Any) -> None:
        """Change attributes; None takes one away."""
        for key, value in attributes.items():
            name = key.rstrip("_").replace("_", "-")
            if value is None or value is False:
                self._props.pop(name, None)
            else:
                self._props[name] = value
        self.update()

    def hear(self, event: str, handler: Handler, **how: Any) -> None:
        """Listen to an event; where somebody listens already, the new handler takes over."""
        known = event in self._heard
        self._heard[event] = handler
        if not known:
            self.on(event, lambda said: self._heard[event](said), **how)

    # --- drawn again ----------------------------------------------------------------------------

    @contextmanager
    def again(self) -> Iterator[None]:
        """Draw what stands in here anew by `drawn`: what is of the same kind at the same place stays and is changed.

        To make an element and to send it costs many times what it costs to change its text.
        """
        self._place = 0
        try:
            with self:
                yield
        finally:
            self._finish()

    def _next(self, name: str, text: str, look: str, attributes: Mapping[str, Any]) -> Tag:
        """What is drawn at the next place."""
        assert self._place is not None
        place, children = self._place, self.default_slot.children
        self._place += 1
        old = children[place] if place < len(children) else None
        if type(old) is Tag and old.tag == name:
            old._become(text, look, attributes)
            return old
        made = Tag(name, text, look, **attributes)
        if old is not None:
            self.remove(old)
            made.move(self, place)
        return made

    def _become(self, text: str, look: str, attributes: Mapping[str, Any]) -> None:
        properties = _properties(attributes)
        self._place = 0
        # Who listened to what stood here isn't told of what does now.
        self._heard.update(dict.fromkeys(self._heard, lambda said: None))
        if ((self._text or ""), list(self._classes), dict(self._props)) == (text, look.split(), properties):
            return
        self._text = text or None
        self.classes(replace=look)
        self._props.clear()
        self._props.update(properties)
        self.update()

    def _finish(self) -> None:
        """Take away what wasn't drawn again, in here and in what stayed."""
        children = self.default_slot.children
        for old in children[self._place :]:
            self.remove(old)
        self._place = None
        for kept in children:
            if isinstance(kept, Tag) and kept._place is not None:
                kept._finish()


def _properties(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as HTML has them; those that are None or False are not there."""
    given = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    return {name: value for name, value in given if value is not None and value is not False}


def drawn(name: str, text: str = "", look: str = "", **attributes: Any) -> Tag:
    """A `Tag` where the caller stands: the one of before where its place is drawn again. Listen to it by `hear`."""
    around = ui.context.slot.parent
    if isinstance(around, Tag) and around._place is not None:
        return around._next(name, text, look, attributes)
    return Tag(name, text, look, **attributes)


def button(text: str, act: Handler, look: str = "re-button", **attributes: Any) -> Tag:
    """A button that can be reached and pressed by keyboard."""
    made = drawn("button", text, look, type="button", **attributes)
    made.hear("click", lambda _: act(), args=[])
    return made


class Field(Tag):
    """An input that keeps what is typed: the page may be drawn anew around it, and nothing is set back.

    ``heard`` gets the text on every ``event``. ``mirror`` shows the text of this field in another one
    at once, in the browser.
    """

    def __init__(
        self, kind: str, value: str, heard: Handler | None = None, event: str = "input", **attributes: Any
    ) -> None:
        look = attributes.pop("look", "re-input")
        super().__init__("input", look=look, type=kind, **attributes)
        # As an attribute this is only what the field begins with; as a property Vue would set it again and again.
        self._props["^value"] = value
        self.mirrored: Field | None = None
        if heard is not None:
            throttle = 0.05 if event == "input" else 0
            self.on(event, lambda said: heard(str(said.args)), js_handler=self._script(), throttle=throttle)

    @staticmethod
    def _script() -> str:
        return (
            "(e) => { const to = e.target.dataset.mirror;"
            " if (to) document.getElementById(to).value = e.target.value; emit(e.target.value); }"
        )

    def mirror(self, other: Field | str) -> None:
        """Show what is chosen here in another field too, given as it is or by its id in the page."""
        self.put(data_mirror=other if isinstance(other, str) else f"c{other.id}")

    def fill(self, text: str) -> None:
        """Put a text in from here."""
        self.client.run_javascript(f"document.getElementById('c{self.id}').value = {json.dumps(text)}")

    def focus(self) -> None:
        """Move the keyboard here, behind what is there already."""
        self.client.run_javascript(
            f"{{ const field = document.getElementById('c{self.id}'); field.focus();"
            " if (field.type === 'text') field.setSelectionRange(field.value.length, field.value.length); }"
        )


def checkbox(checked: bool, heard: Callable[[bool], Awaitable[Any] | None], **attributes: Any) -> Tag:
    """A box to tick; ``heard`` gets whether it is ticked."""
    made = drawn("input", type="checkbox", checked=checked, **attributes)
    made.hear("change", lambda said: heard(bool(said.args)), js_handler="(e) => emit(e.target.checked)")
    return made


def choice(options: Sequence[tuple[str, str]], chosen: str, heard: Handler, look: str = "", **attributes: Any) -> Tag:
    """A list to choose from; ``options`` are (value, text), ``heard`` gets the value."""
    with drawn("select", look=f"re-select {look}".strip(), **attributes) as made:
        for value, text in options:
            drawn("option", text, value=value, selected=value == chosen)
    made.hear("change", lambda said: heard(str(said.args)), js_handler="(e) => emit(e.target.value)")
    return made


def link(text: str, to: str, look: str = "", **attributes: Any) -> Tag:
    """A link inside the service."""
    return drawn("a", text, look, href=to, **attributes)


def outcome(schema: Schema, place: int, look: str = "") -> Tag:
    """A class with its colour and its shape."""
    # The shape stays with its word where a line breaks.
    text = f"{words.shape(place)}\u00a0{schema.classes[place]}"
    return drawn("span", text, f"re-outcome c{words.colour(place)} {look}")


def bar(share: float, look: str = "") -> Tag:
    """A bar of a share from 0 to 1; what it says is always said in words beside it."""
    with drawn("span", look="re-bar", aria_hidden="true") as made:
        drawn("i", look=look, style=f"width:{100 * min(max(share, 0.0), 1.0):.1f}%")
    return made


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = (), title: str = "") -> Tag:
    """A table of texts; the columns in ``numbers`` are aligned as numbers."""
    around = drawn("div", look="re-scroll", tabindex="0", role="group", aria_label=title or "table")
    with around, drawn("table", look="re-table"):
        with drawn("thead"), drawn("tr"):
            for place, head in enumerate(heads):
                drawn("th", head, "number" if place in numbers else "", scope="col")
        with drawn("tbody"):
            for row in rows:
                with drawn("tr"):
                    for place, cell in enumerate(row):
                        drawn("td", cell, "number" if place in numbers else "")
    return around


def empty(text: str, then: str = "") -> None:
    """What a place says that has nothing to show, and what to do next."""
    with drawn("div", look="re-empty"):
        drawn("p", text)
        if then:
            drawn("p", then, "small")
