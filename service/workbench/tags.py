"""HTML elements with text and attributes: text goes to the page as text, never as HTML or Markdown."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

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
        for key, value in attributes.items():
            if value is not None and value is not False:
                self._props[key.rstrip("_").replace("_", "-")] = value

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


def button(text: str, act: Handler, look: str = "re-button", **attributes: Any) -> Tag:
    """A button that can be reached and pressed by keyboard."""
    made = Tag("button", text, look, type="button", **attributes)
    made.on("click", act, args=[])
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


def choice(options: Sequence[tuple[str, str]], chosen: str, heard: Handler, **attributes: Any) -> Tag:
    """A list to choose from; ``options`` are (value, text), ``heard`` gets the value."""
    with Tag("select", look="re-select", **attributes) as made:
        for value, text in options:
            Tag("option", text, value=value, selected=value == chosen)
    made.on("change", lambda said: heard(str(said.args)), js_handler="(e) => emit(e.target.value)")
    return made


def link(text: str, to: str, look: str = "", **attributes: Any) -> Tag:
    """A link inside the service."""
    return Tag("a", text, look, href=to, **attributes)


def outcome(schema: Schema, place: int, look: str = "") -> Tag:
    """A class with its colour and its shape."""
    text = f"{words.shape(place)} {schema.classes[place]}"
    return Tag("span", text, f"re-outcome c{words.colour(place)} {look}")


def bar(share: float, look: str = "") -> Tag:
    """A bar of a share from 0 to 1; what it says is always said in words beside it."""
    with Tag("span", look="re-bar", aria_hidden="true") as made:
        Tag("i", look=look, style=f"width:{100 * min(max(share, 0.0), 1.0):.1f}%")
    return made


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = (), title: str = "") -> Tag:
    """A table of texts; the columns in ``numbers`` are aligned as numbers."""
    around = Tag("div", look="re-scroll", tabindex="0", role="group", aria_label=title or "table")
    with around, Tag("table", look="re-table"):
        with Tag("thead"), Tag("tr"):
            for place, head in enumerate(heads):
                Tag("th", head, "number" if place in numbers else "", scope="col")
        with Tag("tbody"):
            for row in rows:
                with Tag("tr"):
                    for place, cell in enumerate(row):
                        Tag("td", cell, "number" if place in numbers else "")
    return around


def empty(text: str, then: str = "") -> None:
    """What a place says that has nothing to show, and what to do next."""
    with Tag("div", look="re-empty"):
        Tag("p", text)
        if then:
            Tag("p", then, "small")
