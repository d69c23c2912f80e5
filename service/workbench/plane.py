"""Two features as a plane: rules as rectangles, their meeting, rows on top; and the decision surface."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from ruleedit.conflicts import Conflict
from ruleedit.drafts import Draft
from ruleedit.matching import Indices, Mask, Matrix, region_mask
from ruleedit.regions import Box, NumberSet, TextSet, rule_box
from ruleedit.rules import Rule
from ruleedit.schema import Feature, Schema
from service.workbench import words
from service.workbench.tags import Tag

WIDTH, HEIGHT = 360.0, 220.0
#: So many rows are drawn: more hide each other.
DOTS = 150
#: Cells along a number's axis of the decision surface.
CELLS = 48
#: So many categories stand along an axis, the commonest: more would be lines, and the surface millions of rows.
MOST_CATEGORIES = 24
#: So many letters of their names stand under it: a line or two.
LETTERS = 90
#: At a tick stand so many letters, each about so wide, and their lines so far apart.
WIDEST, LETTER, LINE = 13, 6.6, 11.0


@dataclass(frozen=True)
class Axis:
    """One feature as an axis from ``low`` to ``high``; of categories those with ``codes`` stand there, one by one."""

    feature: Feature
    place: int
    low: float
    high: float
    length: float
    upward: bool = False
    codes: tuple[float, ...] = ()

    @classmethod
    def of(cls, name: str, schema: Schema, rows: Matrix, length: float, *, upward: bool = False) -> Axis:
        """An axis that shows all but the farthest hundredth of a table's values."""
        feature, place = schema.feature(name), schema.index(name)
        present = rows[:, place][~np.isnan(rows[:, place])]
        if feature.is_number and len(present):
            low, high = (float(one) for one in np.quantile(present, (0.005, 0.995)))
            return cls(feature, place, low, high if high > low else low + 1.0, length, upward)
        if feature.is_number:
            return cls(feature, place, 0.0, 1.0, length, upward)
        codes = _commonest(list(feature.code_of.values()), present)
        return cls(feature, place, -0.5, max(len(codes), 1) - 0.5, length, upward, codes)

    def stand(self, value: float, aside: float = 0.0) -> float:
        """Where a value of a row stands, within the drawing, a category so far aside from its middle."""
        return self.at(value if self.feature.is_number else self.codes.index(value) + aside)

    def holds(self, column: Matrix) -> Mask:
        """Which values of a column (n,) have a place on the axis."""
        return ~np.isnan(column) if self.feature.is_number else np.isin(column, self.codes)

    def at(self, value: float) -> float:
        """Where a number, or a category's place, is within the drawing."""
        part = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return round(self.length * (1.0 - part if self.upward else part), 2)

    def ticks(self) -> list[tuple[float, str]]:
        """Where ticks stand within the drawing and what is written there: round numbers, categories by name."""
        if self.feature.is_number:
            most = 5 if self.upward else 6
            return [(self.at(value), tick_text(value)) for value in round_values(self.low, self.high, most)]
        name_of = {float(code): name for name, code in self.feature.code_of.items()}
        step = max(1, math.ceil(LINE * len(self.codes) / self.length))
        return [(self.at(place), name_of[code]) for place, code in enumerate(self.codes) if place % step == 0]

    @property
    def aslant(self) -> bool:
        """Whether its texts have no room side by side."""
        names = [text for _, text in self.ticks()]
        room = self.length / max(len(names), 1)
        wide = max((min(len(name), WIDEST) for name in names), default=0) * LETTER
        return not (self.upward or self.feature.is_number) and wide + LETTER > room

    def shown(self, value: float) -> float:
        """A value to as many digits as can be told apart along the axis."""
        digits = 2 - math.floor(math.log10(self.high - self.low))
        return round(value, max(digits, 0))

    def spans(self, box: Box) -> list[tuple[float, float]]:
        """What a box holds of the axis, from left to right (from top to bottom where it goes upward)."""
        values = box.by_feature.get(self.feature.name)
        if values is None:
            return [(0.0, self.length)]
        if isinstance(values, NumberSet):
            pairs = [(max(low, self.low), min(high, self.high)) for low, high in values.intervals]
        elif isinstance(values, TextSet):
            held = {float(code) for name, code in self.feature.code_of.items() if name in values}
            pairs = [(at - 0.45, at + 0.45) for at, code in enumerate(self.codes) if code in held]
        ends = [sorted((self.at(low), self.at(high))) for low, high in pairs if low <= high]
        return [(low, max(high, low + 1.5)) for low, high in ends]


def round_values(low: float, high: float, most: int) -> list[float]:
    """The multiples of 1, 2 or 5 times a power of ten between two numbers, at most so many."""
    digits = math.floor(math.log10((high - low) / most))
    power = 10.0**digits
    for step in (power * part for part in (1, 2, 5, 10, 20)):
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first < most:
            break
    return [round(place * step, max(-digits, 0)) for place in range(first, last + 1)]


def tick_text(value: float) -> str:
    """A number as it stands at a tick: in full where there is room for it."""
    text = words.number(value)
    return text if len(text) <= WIDEST else f"{value:.3g}"


def _commonest(codes: Sequence[float], present: Matrix) -> tuple[float, ...]:
    """The commonest of a category's codes in a column without missing values, in schema order."""
    known = present[np.isin(present, codes)]
    values, rows = np.unique(known, return_counts=True)
    if len(codes) <= MOST_CATEGORIES or not len(values):
        return tuple(float(code) for code in codes[:MOST_CATEGORIES])
    return tuple(sorted(values[np.argsort(-rows, kind="stable")[:MOST_CATEGORIES]].tolist()))


Plane: TypeAlias = tuple[Axis, Axis]


def plane(names: Sequence[str], schema: Schema, rows: Matrix) -> Plane:
    """The plane of two features, the first across, the second upward."""
    return Axis.of(names[0], schema, rows, WIDTH), Axis.of(names[1], schema, rows, HEIGHT, upward=True)


def canvas(axes: Plane, said: str) -> Tag:
    """The drawing with the ticks of both axes beside it, and room for the outermost lines."""
    across, upward = (max((min(len(text), WIDEST) for _, text in axis.ticks()), default=0) for axis in axes)
    left, below = 14 + LETTER * upward, 16 + 0.7 * LETTER * across if axes[0].aslant else 22
    view = f"{-left:g} -6 {left + WIDTH + 18:g} {HEIGHT + below + 6:g}"
    made = Tag("svg", viewBox=view, role="img", aria_label=said, style="width:100%;height:auto;max-height:380px")
    with made:
        for axis in axes:
            for at, text in axis.ticks():
                _tick(axis, at, text)
    return made


def _tick(axis: Axis, at: float, text: str) -> None:
    short = text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
    if axis.upward:
        line: dict[str, Any] = {"x1": -4, "x2": 0, "y1": at, "y2": at}
        place: dict[str, Any] = {"x": -8, "y": round(at + 4, 2), "text_anchor": "end"}
    else:
        line = {"x1": at, "x2": at, "y1": HEIGHT, "y2": HEIGHT + 4}
        place = {"x": at, "y": HEIGHT + 16, "text_anchor": "middle"}
        if axis.aslant:
            place |= {"text_anchor": "end", "transform": f"rotate(-40 {at:g} {HEIGHT + 12:g})", "y": HEIGHT + 12}
    Tag("line", look="tick", **line)
    with Tag("text", short, "tick", **place):
        if short != text:
            Tag("title", text)


def meeting(draft: Draft, conflict: Conflict, rows: Matrix, outcomes: Indices) -> None:
    """Draw two rules and where they meet over the two features that say most of it, with rows of the meeting."""
    schema = draft.schema
    rules = [draft.rules.rule(name) for name in conflict.rules]
    names = telling(rules, schema)
    axes = plane(names, schema, rows)
    with canvas(axes, f"{' and '.join(conflict.rules)} over {' and '.join(map(words.name, names))}"):
        Tag("rect", x=0, y=0, width=WIDTH, height=HEIGHT, fill="none", stroke="var(--line)")
        dots(
            axes, rows[region_mask(conflict.region, rows, schema)], outcomes[region_mask(conflict.region, rows, schema)]
        )
        taken: list[tuple[float, float]] = []
        for rule in rules:
            outline(axes, rule, schema, taken)
    labels(axes)


def telling(rules: Sequence[Rule], schema: Schema) -> list[str]:
    """Two features to draw rules over: those that most of them speak of, numbers first."""
    named = [clause.feature for rule in rules for clause in rule.clauses]
    seen = list(dict.fromkeys(named))
    seen.sort(key=lambda name: (-named.count(name), not schema.feature(name).is_number))
    others = [feature.name for feature in schema.features if feature.name not in seen]
    return [*seen, *others][:2]


def dots(axes: Plane, rows: Matrix, outcomes: Indices) -> None:
    """A sample of rows as dots, coloured by outcome; what is missing, or a category that isn't drawn, has no place."""
    here = np.flatnonzero(axes[0].holds(rows[:, axes[0].place]) & axes[1].holds(rows[:, axes[1].place]))
    for row in here[:: max(1, len(here) // DOTS)][:DOTS].tolist():
        # The two axes spread by different steps: by the same one the signs would lie on a diagonal.
        x, y = (
            axis.stand(float(rows[row, axis.place]), aside(row * by)) for axis, by in zip(axes, (1, 7), strict=True)
        )
        place = int(outcomes[row])
        Tag("text", words.shape(place), f"dot f{words.colour(place)}", x=x, y=y + 3)


def aside(row: int) -> float:
    """How far aside a row's sign stands from its category's middle: there all of one would be one sign."""
    return ((row * 0.618034) % 1.0 - 0.5) * 0.7


def outline(axes: Plane, rule: Rule, schema: Schema, taken: list[tuple[float, float]]) -> None:
    """A rule's rectangle over the plane, with its id; ``taken`` are the places of the ids so far."""
    box = rule_box(rule, schema)
    top = rule.outcome.top(schema.classes)
    colour = "var(--quiet)" if top is None else f"var(--c{words.colour(schema.classes.index(top))})"
    for left, right in axes[0].spans(box):
        for above, below in axes[1].spans(box):
            Tag("rect", x=left, y=above, width=round(right - left, 2), height=round(below - above, 2), fill=colour,
                fill_opacity=0.1, stroke=colour, stroke_width=2)  # fmt: skip
            # Rules that begin at the same corner would write one over the other.
            x = round(left + 5, 2)
            while any(abs(x - other) < 24 and abs(above - line) < 12 for other, line in taken):
                x += 24
            taken.append((x, above))
            Tag("text", rule.id, "name", x=x, y=above + 14, fill=colour, font_size=12, font_weight=700)


def labels(axes: Plane) -> None:
    """What stands along the two axes, in words."""
    for axis, said in zip(axes, ("across", "upward"), strict=True):
        if axis.feature.is_number:
            ends = f"{words.number(axis.shown(axis.low))} to {words.number(axis.shown(axis.high))}"
        else:
            ends = _named(axis)
        arrow = "→" if said == "across" else "↑"
        Tag("div", f"{arrow} {said}: {words.name(axis.feature.name)}, {ends}", "quiet small")


def _named(axis: Axis) -> str:
    """The first categories along an axis, and how many stand there or don't."""
    name_of = {float(code): name for name, code in axis.feature.code_of.items()}
    said = words.listed([name_of[code] for code in axis.codes], LETTERS)
    left = len(name_of) - len(axis.codes)
    return f"{said}; the commonest of {words.count(len(name_of))}" if left else said


def surface(axes: Plane, like: Matrix) -> Matrix:
    """The rows of a grid over the plane, all else as the row ``like`` (features,); shape (cells, features)."""
    steps = [_steps(axis) for axis in axes]
    grid = np.repeat(like[None, :], len(steps[0]) * len(steps[1]), axis=0)
    across, upward = np.meshgrid(*steps)
    grid[:, axes[0].place], grid[:, axes[1].place] = across.ravel(), upward.ravel()
    return grid


def _steps(axis: Axis) -> Matrix:
    """The middles of the cells along an axis; whole numbers where the feature is whole."""
    if not axis.feature.is_number:
        return np.array(axis.codes or (math.nan,), dtype=float)
    edges = np.linspace(axis.low, axis.high, CELLS + 1)
    middles: Matrix = (edges[1:] + edges[:-1]) / 2
    return np.unique(np.round(middles)) if axis.feature.kind == "integer" else middles


#: What is drawn into the cells of a class beside its colour: nothing for the first, then lines one way or another.
HATCHES = (
    "",
    "M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4",
    "M0,4 h8",
    "M4,0 v8",
    "M-2,6 l4,4 M0,0 l8,8 M6,-2 l4,4",
    "M0,4 h8 M4,0 v8",
)


def hatches(classes: int, name: str) -> None:
    """What `cells` fills its cells with, in the drawing that the caller stands in; ``name`` tells drawings apart."""
    with Tag("defs"):
        for place in range(1, classes):
            with Tag("pattern", id=f"{name}{place}", width=8, height=8, patternUnits="userSpaceOnUse"):
                path = HATCHES[1 + (place - 1) % (len(HATCHES) - 1)]
                Tag("path", d=path, stroke=f"var(--c{words.colour(place)})", stroke_width=1, opacity=0.55)


def key(schema: Schema, name: str) -> None:
    """Which class has which colour, shape and hatching."""
    with Tag("div", look="re-line small"):
        for place, said in enumerate(schema.classes):
            with Tag("svg", viewBox="0 0 24 14", width=24, height=14, aria_hidden="true"):
                hatches(len(schema.classes), f"{name}k")
                Tag("rect", look=f"f{words.colour(place)}", width=24, height=14, opacity=0.4)
                if place:
                    Tag("rect", width=24, height=14, fill=f"url(#{name}k{place})")
            Tag("span", f"{words.shape(place)} {said}", f"c{words.colour(place)}")


def cells(axes: Plane, outcomes: Indices, name: str) -> None:
    """The decision in each cell of `surface`, with the `hatches` of ``name``; neighbours that agree are one."""
    across, upward = (_steps(axis) for axis in axes)
    table = outcomes.reshape(len(upward), len(across))
    wide, tall = WIDTH / len(across), HEIGHT / len(upward)
    # The group is made transparent as a whole: cells that touch would show their seams.
    flat, lined = Tag("g", opacity=0.4), Tag("g")
    for line, row in enumerate(table):
        starts = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
        for start, end in pairwise(starts):
            place = int(row[start])
            span: dict[str, Any] = {
                "x": round(start * wide, 2),
                "y": round(HEIGHT - (line + 1) * tall, 2),
                "width": round((end - start) * wide + 0.5, 2),
                "height": round(tall + 0.5, 2),
            }
            with flat:
                Tag("rect", look=f"f{words.colour(place)}", **span)
            if place:
                with lined:
                    Tag("rect", fill=f"url(#{name}{place})", **span)
