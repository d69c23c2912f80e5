"""The course of a retraining, round by round: how far honoured, macro F1 and flips outside, while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.workbench import words
from service.workbench.tags import Tag

#: The drawing's size; it is scaled to the room there is.
WIDE, HIGH, EDGE = 420, 110, 8
#: What is drawn: the name in a round, in words, and the line's look, told apart by its dashes too.
LINES = (("agreement", "edits honoured", "now"), ("f1_outside", "macro F1 outside", "old"))
HEADS = ("round", "edits honoured", "macro F1 outside", "flips outside", "")


class Course:
    """A curve and its figures, drawn where the caller stands and redrawn as rounds come."""

    def __init__(self) -> None:
        self.around = Tag("div", look="re-course")
        self.shown = 0

    def show(self, rounds: Sequence[dict[str, Any]]) -> None:
        """Draw the rounds so far; nothing where there is none, and nothing anew where none has come."""
        if len(rounds) == self.shown:
            return
        self.shown = len(rounds)
        self.around.clear()
        with self.around:
            if len(rounds) > 1:
                _drawing(rounds)
            with Tag("div", look="re-scroll", tabindex="0", role="group", aria_label="Rounds"):
                _figures(rounds)


def _drawing(rounds: Sequence[dict[str, Any]]) -> None:
    last = rounds[-1]
    said = f"{_share(last['agreement'])} honoured after {words.many(len(rounds), 'round')}"
    with Tag("figure", style="margin:0"):
        with Tag("svg", viewBox=f"0 0 {WIDE} {HIGH}", role="img", aria_label=said):
            for share in (0.0, 0.5, 1.0):
                high = _high(share)
                Tag("line", look="grid", x1=EDGE, x2=WIDE - EDGE, y1=high, y2=high)
            for name, _, look in LINES:
                points = [(place, one[name]) for place, one in enumerate(rounds) if one[name] is not None]
                Tag("polyline", look=look, fill="none", points=" ".join(_point(len(rounds), *one) for one in points))
                for place, value in points:
                    across, up = _point(len(rounds), place, value).split(",")
                    Tag("circle", look=f"dot {look}", cx=across, cy=up, r=2.5)
        with Tag("figcaption", look="quiet small"):
            for _, text, look in LINES:
                with Tag("svg", viewBox="0 0 24 8", width=24, height=8, aria_hidden="true"):
                    Tag("line", look=look, x1=0, x2=24, y1=4, y2=4)
                Tag("span", f" {text}  ")
            Tag("span", "0 to 100%")


def _point(rounds: int, place: int, value: float) -> str:
    across = EDGE + (WIDE - 2 * EDGE) * (place / (rounds - 1) if rounds > 1 else 0.5)
    return f"{across:.1f},{_high(value):.1f}"


def _high(value: float) -> float:
    return HIGH - EDGE - (HIGH - 2 * EDGE) * min(max(value, 0.0), 1.0)


def _figures(rounds: Sequence[dict[str, Any]]) -> None:
    with Tag("table", look="re-table"):
        with Tag("thead"), Tag("tr"):
            for place, head in enumerate(HEADS):
                Tag("th", head, "number" if place < 4 else "", scope="col")
        with Tag("tbody"):
            for one in rounds:
                with Tag("tr"):
                    Tag("td", str(one["training"]), "number")
                    Tag("td", _share(one["agreement"]), "number")
                    Tag("td", "–" if one["f1_outside"] is None else f"{one['f1_outside']:.3f}", "number")
                    Tag("td", _share(one["flips"], 2), "number")
                    Tag("td", "kept" if one["accepted"] else "not kept", "quiet")


def _share(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else words.share(value, digits)
