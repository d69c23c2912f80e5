"""A feature's values by the model's outcome: bars for a number with the threshold as a line, a list for categories."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ruleedit.schema import Schema
from service.workbench import words
from service.workbench.tags import Tag
from service.workspace.insight import FeatureFigures

WIDTH, HEIGHT = 400.0, 100.0
#: A threshold nearer than this to an end of the axis, as a part of it, stands where the end's label would.
NEAR = 0.2


def nice_step(low: float, high: float, whole: bool) -> float:
    """A step that people would choose: 1, 2 or 5 times a power of ten, some two hundred to the range."""
    span = max(high - low, 1e-12) / 200
    power = 10.0 ** math.floor(math.log10(span))
    step = next(power * part for part in (1, 2, 5, 10) if power * part >= span)
    return max(1.0, round(step)) if whole else step


@dataclass
class Histogram:
    """The bars of one number, with the old threshold dashed, the new one solid, and the band between."""

    figures: FeatureFigures
    schema: Schema
    low: float
    high: float
    _lines: list[Tag] = field(default_factory=list)
    _bands: list[Tag] = field(default_factory=list)
    _labels: list[Tag] = field(default_factory=list)
    _ends: list[Tag] = field(default_factory=list)
    _olds: list[Tag] = field(default_factory=list)

    def draw(self, old: tuple[float, ...], new: tuple[float, ...]) -> None:
        """Draw bars and lines; ``old`` are the thresholds as they stand, none of a clause that is new."""
        with Tag("div", look="re-histogram"):
            self._drawing(old, new)
            with Tag("div", look="re-axis"):
                self._ends = [Tag("span", words.number(_shown(end))) for end in (self.low, self.high)]
                self._olds = [Tag("s", words.number(value), "was") for value in old]
                self._labels = [Tag("b", "", "new", hidden=True) for _ in range(2)]

    def _drawing(self, old: tuple[float, ...], new: tuple[float, ...]) -> None:
        said = f"Histogram of {words.name(self.figures.feature.name)} by the model's outcome"
        with Tag("svg", viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", preserveAspectRatio="none", role="img", aria_label=said):
            self._bands = [Tag("rect", look="band", x=0, y=0, width=0, height=HEIGHT) for _ in range(2)]
            self._bars()
            for value in old:
                self._line(value, "old")
            self._lines = [self._line(value, "now") for value in (*new, *new)[:2]]

    def move(self, old: tuple[float, ...], new: tuple[float, ...]) -> None:
        """Put the new thresholds, one or two, and tint what lies between old and new."""
        for place, line in enumerate(self._lines):
            at = self._x(new[min(place, len(new) - 1)]) if new else -9.0
            line.put(x1=at, x2=at)
        self._name(old, new)
        for place, band in enumerate(self._bands):
            if place < len(new) and place < len(old):
                one, other = sorted((self._x(old[place]), self._x(new[place])))
                band.put(x=one, width=other - one)
            else:
                band.put(width=0)

    def _x(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return round(WIDTH * min(max(part, 0.0), 1.0), 2)

    def _name(self, old: tuple[float, ...], new: tuple[float, ...]) -> None:
        """Write the thresholds under their lines; what is the same stands there once."""
        for place, label in enumerate(self._labels):
            if place < len(new):
                label.say(words.number(new[place]))
                label.put(style=self._under(new[place], old[place] if place < len(old) else None))
            label.put(hidden=place >= len(new))
        for place, label in enumerate(self._olds):
            other = new[place] if place < len(new) else None
            label.put(style=self._under(old[place], other), hidden=other == old[place])
        near = [self._x(value) / WIDTH for value in (*old, *new)]
        self._ends[0].put(hidden=any(part < NEAR for part in near))
        self._ends[1].put(hidden=any(part > 1 - NEAR for part in near))

    def _under(self, value: float, other: float | None) -> str:
        """Where a label stands: in the middle under its value, or aside where another would stand in it."""
        at = f"left:{100 * self._x(value) / WIDTH:.2f}%"
        if other is None or other == value or abs(self._x(value) - self._x(other)) >= NEAR * WIDTH:
            return at
        return f"{at};transform:translateX({'-100%' if value < other else '0'})"

    def _line(self, value: float, look: str) -> Tag:
        at = self._x(value)
        return Tag("line", look=look, x1=at, x2=at, y1=0, y2=HEIGHT, vector_effect="non-scaling-stroke")

    def _bars(self) -> None:
        edges, counts = self.figures.edges, self.figures.counts
        most = max((sum(bar) for bar in counts), default=1) or 1
        for left, right, bar in zip(edges, edges[1:], counts, strict=False):
            x, wide = self._x(left), max(self._x(right) - self._x(left) - 0.8, 0.4)
            top = HEIGHT
            for place, count in enumerate(bar):
                tall = 0.96 * HEIGHT * count / most
                if tall:
                    top -= tall
                    look = f"f{words.colour(place)}"
                    Tag(
                        "rect",
                        look=look,
                        x=x,
                        y=round(top, 2),
                        width=round(wide, 2),
                        height=round(tall, 2),
                        opacity=0.75,
                    )


def _shown(value: float) -> float:
    return float(f"{value:.6g}")


def legend(schema: Schema) -> None:
    """Which colour and shape is which class."""
    with Tag("div", look="re-line small"):
        for place, name in enumerate(schema.classes):
            Tag("span", f"{words.shape(place)} {name}", f"c{words.colour(place)}")
