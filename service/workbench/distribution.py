"""Parts of a whole, chosen by sliders and numbers: a distribution over the classes, the weights of a mixture."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ruleedit.rules import Outcome
from service.workbench import words
from service.workbench.tags import Field, Tag

#: Steps of a slider: whole per cents, as many as people tell apart.
WHOLE = 100


def shared(parts: Sequence[int], place: int, wanted: int) -> list[int]:
    """The per cents with one of them set, and the rest of the whole among the others as they were to each other.

    They stay whole numbers that make 100; where the others were nothing, they share equally.
    """
    wanted = min(max(wanted, 0), WHOLE)
    others = [part for at, part in enumerate(parts) if at != place]
    left, total = WHOLE - wanted, sum(others)
    exact = [left * part / total if total else left / len(others) for part in others]
    found = [int(share) for share in exact]
    # The largest remainders get what rounding down left over; of equal ones the earlier.
    order = sorted(range(len(exact)), key=lambda at: (found[at] - exact[at], at))
    for at in order[: left - sum(found)]:
        found[at] += 1
    found.insert(place, wanted)
    return found


def outcome_text(classes: Sequence[str], parts: Sequence[int]) -> str:
    """The outcome as an edit's text: a class by itself where it has everything."""
    named = [(name, part) for name, part in zip(classes, parts, strict=True) if part]
    if len(named) == 1:
        return words.class_text(named[0][0])
    return ", ".join(f"{words.class_text(name)} {part / WHOLE:g}" for name, part in named)


def beginning(outcome: Outcome, classes: Sequence[str]) -> list[float]:
    """What the form begins with: a rule's own distribution, or of a class nine parts in ten."""
    if not outcome.is_class and not outcome.is_model:
        return list(outcome.vector(tuple(classes)))
    top = outcome.top(tuple(classes))
    rest = 0.1 / max(len(classes) - 1, 1)
    return [0.9 if name == (top or classes[0]) else rest for name in classes]


class Shares:
    """The form: one slider and one number for each of ``names``; ``changed`` is told each time they change.

    ``said`` is what a share is of, for who can't see which line it stands in.
    """

    def __init__(
        self, names: Sequence[str], first: Sequence[float], said: str, changed: Callable[[], Awaitable[None]]
    ) -> None:
        self.names, self.said, self.changed = names, said, changed
        parts = [round(WHOLE * share) for share in first]
        # Rounded shares may miss the whole by one or two: the first class's place takes that up.
        self.parts = shared(parts, parts.index(max(parts)), max(parts) + WHOLE - sum(parts))
        self.fields: list[tuple[Field, Field]] = []

    def build(self) -> None:
        """Draw it where the caller stands."""
        with Tag("div", look="re-shares", role="group", aria_label=f"{self.said}, in per cent"):
            for place, name in enumerate(self.names):
                self._line(place, name)
            Tag("p", "They always make 100%: the others give way in proportion.", "quiet small")

    def name(self, place: int) -> None:
        """Draw whose share it is."""
        Tag("span", self.names[place])

    def _line(self, place: int, name: str) -> None:
        with Tag("div", look="re-share"):
            self.name(place)
            value = str(self.parts[place])
            slider = Field("range", value, self._heard(place, 0), min="0", max=str(WHOLE), step="1", look="",
                           aria_label=f"{self.said} of {name}, slider")  # fmt: skip
            number = Field("number", value, self._heard(place, 1), "change", min="0", max=str(WHOLE), step="1",
                           aria_label=f"{self.said} of {name}, per cent", style="width:9ch")  # fmt: skip
            Tag("span", "%", "quiet")
        self.fields.append((slider, number))

    def _heard(self, place: int, which: int) -> Callable[[str], Awaitable[None]]:
        async def moved(text: str) -> None:
            try:
                wanted = round(float(text))
            except ValueError:
                wanted = self.parts[place]
            self.parts = shared(self.parts, place, wanted)
            for at, (part, pair) in enumerate(zip(self.parts, self.fields, strict=True)):
                for kind, field in enumerate(pair):
                    # What is being moved isn't set back: it may be further by now. A number out of bounds is.
                    if (at, kind) != (place, which) or (kind == 1 and text != str(part)):
                        field.fill(str(part))
            await self.changed()

        return moved


class Distribution(Shares):
    """Shares of the classes; ``heard`` is told the outcome's text each time it changes."""

    def __init__(self, classes: Sequence[str], first: Sequence[float], heard: Callable[[str], Awaitable[None]]) -> None:
        super().__init__(classes, first, "Probability", lambda: heard(self.text))

    @property
    def text(self) -> str:
        """The outcome as it stands."""
        return outcome_text(self.names, self.parts)

    def name(self, place: int) -> None:
        """Draw the class with its shape and colour."""
        Tag("span", f"{words.shape(place)} {self.names[place]}", f"re-outcome c{words.colour(place)}")
