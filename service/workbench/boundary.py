"""The boundary: the model's and the edited system's decisions over two features, rules outlined, rows on top."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
from nicegui import ui

from ruleedit.feedback import feedback
from ruleedit.impact import impact
from ruleedit.matching import Indices, Matrix
from service.workbench import words
from service.workbench.frame import Place, framed
from service.workbench.plane import canvas, cells, dots, hatches, key, labels, outline, plane, surface, telling
from service.workbench.tags import Field, Tag, choice


async def build(place: Place) -> None:
    """Draw the page."""
    with framed(place, "Boundary"):
        Tag("h1", "Where the decision turns")
        said = (
            "The ground is the decision, all other features as in one row; each sign is a row, as the model answers it."
        )
        Tag("p", said, "quiet")
        await Boundary(place).build()


class Boundary:
    """Two drawings side by side over two features that can be chosen."""

    def __init__(self, place: Place) -> None:
        self.place = place
        rules = [rule for rule in place.draft.rules.enabled if rule.asserted] or list(place.draft.rules.enabled)
        self.names = telling(rules, place.draft.schema)
        self.row = 0

    async def build(self) -> None:
        """Draw choices and both surfaces."""
        schema = self.place.draft.schema
        with Tag("div", look="re-tools"):
            names = [(feature.name, words.name(feature.name)) for feature in schema.features]
            for at, said in enumerate(("Across", "Upward")):
                Tag("label", said, "quiet", for_=f"re-axis{at}")
                choice(names, self.names[at], lambda name, at=at: self._choose(at, name), id=f"re-axis{at}")
            most = len(self.place.opened.table.rows)
            Tag("label", f"all else as in row (1 to {words.count(most)})", "quiet", for_="re-like")
            Field("number", "1", self._other, "change", min=1, max=most, id="re-like", style="width:12ch")
        self.problem = Tag("p", "", "re-problem", role="alert")
        key(schema, "re-h")
        self.drawn = Tag("div")
        await self._draw()

    async def _choose(self, at: int, name: str) -> None:
        if name == self.names[1 - at]:
            # The same feature both ways is a line: the two change places.
            self.names[1 - at] = self.names[at]
            for other, chosen in enumerate((self.names[0], name) if at else (name, self.names[1])):
                value = json.dumps(chosen)
                ui.run_javascript(f"document.getElementById('re-axis{other}').value = {value}")
        self.names[at] = name
        await self._draw()

    async def _other(self, text: str) -> None:
        most = len(self.place.opened.table.rows)
        if text.isdigit() and 1 <= int(text) <= most:
            self.problem.say("")
            self.row = int(text) - 1
            await self._draw()
        else:
            self.problem.say(f"There is no row {text!r}; give one from 1 to {words.count(most)}.")

    def _decided(self, grid: Matrix) -> tuple[Indices, Indices]:
        opened = self.place.opened
        own = opened.answering.outcomes(grid)
        asked = feedback(opened.draft.base, opened.draft.rules, opened.draft.schema)
        return own, impact(asked, grid, own).after

    async def _draw(self) -> None:
        opened, schema = self.place.opened, self.place.draft.schema
        rows = opened.table.rows
        axes = plane(self.names, schema, rows)
        own, edited = await asyncio.to_thread(self._decided, surface(axes, rows[self.row]))
        self.drawn.clear()
        with self.drawn, Tag("div", look="re-grid2"):
            for said, outcomes in (("The model", own), ("With the draft in force", edited)):
                with Tag("div", look="re-card"):
                    Tag("h2", said)
                    with canvas(axes, f"{said}: decisions over {' and '.join(map(words.name, self.names))}"):
                        hatches(len(schema.classes), "re-h")
                        cells(axes, outcomes, "re-h")
                        dots(axes, rows, opened.table.outcomes)
                        taken: list[tuple[float, float]] = []
                        for rule in self._shown():
                            outline(axes, rule, schema, taken)
                    labels(axes)
        with self.drawn:
            changed = int((own != edited).sum())
            share = f"the decision in {words.share(changed / max(len(own), 1))}" if changed else "no decision"
            Tag("p", f"The draft changes {share} of this plane.", "quiet")
            said = ", ".join(
                f"{words.name(feature.name)} {words.cell(feature, value)}"
                for feature, value in zip(schema.features, np.asarray(rows[self.row]).tolist(), strict=True)
                if feature.name not in self.names
            )
            Tag("p", f"Row {self.row + 1}: {said}.", "quiet small")

    def _shown(self) -> list[Any]:
        """The rules that speak of one of the two features, those that somebody asserted first."""
        found = [rule for rule in self.place.draft.rules.enabled if {c.feature for c in rule.clauses} & set(self.names)]
        asserted = [rule for rule in found if rule.asserted]
        return (asserted or found)[:6]
