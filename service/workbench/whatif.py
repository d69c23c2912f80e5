"""What if: one row, picked or typed; its decision, why, what fails for the other outcomes, and what each value adds."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import numpy as np
from nicegui import ui

from ruleedit.errors import RuleEditError
from ruleedit.feedback import feedback
from ruleedit.impact import impact
from ruleedit.local import ByRules, Change, Nearest, local_view
from ruleedit.local.rules import by_rules
from ruleedit.matching import Matrix, decide
from ruleedit.rules import Rule, number_text
from ruleedit.schema import Feature
from service.scoring import encode_records
from service.workbench import words
from service.workbench.editor import reason_field
from service.workbench.frame import Place, framed
from service.workbench.histogram import nice_step
from service.workbench.tags import Field, Tag, bar, button, choice, link, outcome
from service.workspace.counterexamples import as_record

#: The route whose roles marking a counterexample needs.
MARK = "POST /v1/rulesets/{ruleset}/counterexamples"


def build(place: Place) -> None:
    """Draw the page."""
    with framed(place, "What if"):
        Tag("h1", "What if")
        WhatIf(place).build()


class WhatIf:
    """One row and everything that is said of it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.reason = ""
        asked = place.asked.get("row", "1")
        most = len(place.opened.table.rows)
        self.number = min(max(int(asked), 1), most) if asked.isdigit() else 1
        self._changes = 0
        self.row: Matrix = self._case() if "case" in place.asked else place.opened.table.rows[self.number - 1].copy()

    def build(self) -> None:
        """Draw the row at the left and its decision at the right."""
        most = len(self.place.opened.table.rows)
        with Tag("div", look="re-tools"):
            Tag("label", f"Row (1 to {words.count(most)})", for_="re-row")
            Field("number", str(self.number), self._pick, "change", id="re-row", min=1, max=most)
            Tag("span", "or change its values below", "quiet")
        self.problem = Tag("p", "", "re-problem", role="alert")
        with Tag("div", look="re-grid2"):
            with Tag("div", look="re-card"):
                Tag("h2", "The row")
                self.fields = Tag("div")
            self.said = Tag("div", aria_live="polite")
        self._fill()
        ui.timer(0.01, self._decide, once=True)

    def _case(self) -> Matrix:
        """The row of the counterexample that the address asks for; the first of the table where it is gone."""
        kept = self.place.workspace.counterexamples.of(self.place.record.id)["items"]
        found = next((one["row"] for one in kept if one["id"] == self.place.asked["case"]), None)
        if found is None:
            return np.array(self.place.opened.table.rows[0])
        return np.array(encode_records([found], self.place.draft.schema)[0])

    async def _pick(self, text: str) -> None:
        most = len(self.place.opened.table.rows)
        picked = text.isdigit() and 1 <= int(text) <= most
        self.problem.say("" if picked else f"There is no row {text!r}; give one from 1 to {words.count(most)}.")
        if picked:
            self.number = int(text)
            self.row = self.place.opened.table.rows[self.number - 1].copy()
            self._fill()
            await self._decide()

    def _fill(self) -> None:
        self.fields.clear()
        with self.fields:
            for at, feature in enumerate(self.place.draft.schema.features):
                with Tag("div", look="re-field"):
                    Tag("label", words.name(feature.name), for_=f"re-f{at}")
                    self._field(at, feature)

    def _field(self, at: int, feature: Feature) -> None:
        value = float(self.row[at])
        if feature.is_number:
            shown = "" if math.isnan(value) else number_text(value)
            step = "1" if feature.kind == "integer" else "any"
            with Tag("span", look="re-slid"):
                slider = self._slider(at, feature, value)
                Field("number", shown, lambda text: self._typed(at, text, slider), id=f"re-f{at}", step=step)
                slider.mirror(f"re-f{at}")
            return
        known = [(str(code), name) for name, code in feature.code_of.items()]
        here = "" if math.isnan(value) else f"{value:g}"
        choice([("", "– missing –"), *known], here, lambda text: self._set(at, text), id=f"re-f{at}")

    async def _typed(self, at: int, text: str, slider: Field) -> None:
        slider.fill(text)
        await self._set(at, text)

    def _slider(self, at: int, feature: Feature, value: float) -> Field:
        """A slider over all but the farthest hundredth of a number's values, and the row's own."""
        low, high = self._span(at, value)
        step = nice_step(low, high, feature.kind == "integer")
        low, high = step * math.floor(low / step), step * math.ceil(high / step)
        shown = number_text(low if math.isnan(value) else value)
        said = f"Slider of {words.name(feature.name)}"
        return Field(
            "range", shown, lambda text: self._set(at, text), look="", min=low, max=high, step=step, aria_label=said
        )

    def _span(self, at: int, value: float) -> tuple[float, float]:
        edges = self.place.lens().feature(self.place.draft.schema.features[at].name).edges
        values = [*edges, *([] if math.isnan(value) else [value])] or [0.0, 1.0]
        return min(values), max(max(values), min(values) + 1e-9)

    async def _set(self, at: int, text: str) -> None:
        try:
            self.row[at] = float(text) if text.strip() else math.nan
        except ValueError:
            return
        await self._decide()

    async def _decide(self) -> None:
        """Decide the row as it stands; of several changes in a row the last is shown."""
        self._changes += 1
        mine = self._changes
        self.said.put(aria_busy="true")
        found = await asyncio.to_thread(self._answers)
        if mine != self._changes:
            return
        self.said.put(aria_busy=None)
        draft = self.place.draft
        own, final, held, place, probabilities, contributions, by = found
        self.said.clear()
        with self.said:
            with Tag("div", look="re-card"):
                Tag("h2", "The decision")
                with Tag("div", look="re-big"):
                    outcome(draft.schema, final)
                if own != final:
                    with Tag("p"):
                        Tag("span", "The model by itself says ")
                        outcome(draft.schema, own)
                        Tag("span", f"; the draft decides by {held}.")
                elif held:
                    Tag("p", f"{held} asks for it, and the model says so too.")
                Tag("p", "How probable the model holds each outcome:", "quiet small")
                _shares(draft.schema, probabilities)
                self._reason(place)
                if place >= 0:
                    Marking(self, draft.rules.rules[place]).build()
            with Tag("div", look="re-card"):
                Tag("h2", "What fails for the other outcomes")
                self._failing(by, final)
            self.near = Tag("div", look="re-card")
            with self.near:
                button("What would change the answer?", self._near)
            with Tag("div", look="re-card"):
                _contributions(draft.schema, self.row, contributions, own)

    async def _near(self) -> None:
        """The least changes of the rules' and the model's answer, and the rule by which the model answers around it."""
        self.near.clear()
        with self.near:
            Tag("p", "Looking…", "quiet")
        row = self.row.copy()
        opened = self.place.opened
        found = await asyncio.to_thread(local_view, opened.answering, row, opened.draft.rules)
        if not np.array_equal(row, self.row, equal_nan=True):
            return
        self.near.clear()
        with self.near:
            Tag("h2", "What would change the answer")
            _change("The model", found.change)
            _change("The rules", None if found.rules is None else found.rules.change)
            if found.around is not None:
                around = found.around
                said = f"Around this row the model answers: {around.rule}, right on {words.share(around.precision)}"
                Tag("p", f"{said} of {words.count(around.rows)} rows made for the purpose.", "quiet small")

    def _answers(self) -> tuple[int, int, str, int, Matrix, Matrix, ByRules]:
        opened, draft = self.place.opened, self.place.draft
        row = self.row[None, :]
        own = opened.answering.outcomes(row)
        found = impact(feedback(draft.base, draft.rules, draft.schema), row, own)
        held = int(found.held[0])
        name = found.by_rule[held].rule if held >= 0 else ""
        place = int(decide(draft.rules, row, draft.schema)[0])
        parts = opened.answering.contributions(row)[0]
        by = by_rules(draft.rules, self.row, draft.schema, opened.answering.background)
        return int(own[0]), int(found.after[0]), name, place, opened.answering.proba(row)[0], parts, by

    def _reason(self, place: int) -> None:
        draft = self.place.draft
        if place < 0:
            Tag("p", f"No rule holds this row; the default is {words.outcome(draft.rules.default)}.", "quiet")
            return
        rule = draft.rules.rules[place]
        Tag("p", f"{rule.id}: {words.sentence(rule)}")

    def _failing(self, found: ByRules, final: int) -> None:
        """For each other class the rule that is nearest, and its clauses that fail."""
        schema = self.place.draft.schema
        for nearest in found.nearest:
            if nearest.outcome == schema.classes[final]:
                continue
            with Tag("p"):
                outcome(schema, schema.classes.index(nearest.outcome))
                Tag("span", _missed(nearest))


class Marking:
    """Says that the rule that decides a row is wrong there: the row stands beside it as a counterexample."""

    def __init__(self, page: WhatIf, rule: Rule) -> None:
        self.page, self.rule = page, rule
        classes = page.place.draft.schema.classes
        own = rule.outcome.top(classes)
        self.others = [(place, name) for place, name in enumerate(classes) if name != own]
        self.outcome = self.others[0][1]

    def build(self) -> None:
        """Draw it where the caller stands."""
        with Tag("details", look="re-text") as self.around:
            Tag("summary", f"{self.rule.id} is wrong here…")
            with Tag("div", look="re-line"):
                Tag("span", "This row should be")
                options = [(str(place), f"{words.shape(place)} {name}") for place, name in self.others]
                choice(options, options[0][0], self._chosen, aria_label="The class that this row should get")
                why = reason_field(self.page)
                button("Mark as a counterexample", self.mark)
            self.problem = Tag("p", "", "re-problem", role="alert")
        why.on("keydown.enter", self.mark, args=[])

    def _chosen(self, value: str) -> None:
        self.outcome = self.page.place.draft.schema.classes[int(value)]

    def mark(self) -> None:
        """Keep it, and say where it stands."""
        if not self.page.reason.strip():
            self.problem.say("Say why: the reason stands in the history beside the counterexample.")
            return
        place = self.page.place
        row = as_record(self.page.row, place.draft.schema)
        try:
            by = place.actor.acting(MARK)
            place.workspace.counterexamples.mark(
                place.record.id, self.rule.id, row, self.outcome, self.page.reason, by=by
            )
        except RuleEditError as problem:
            self.problem.say(str(problem))
            return
        self.around.clear()
        with self.around:
            Tag("summary", "Marked")
            with Tag("p", look="re-good", role="status"):
                Tag("span", f"It stands as a counterexample to {self.rule.id}: every edit is measured by it. ")
                link("To the rules", f"/r/{place.record.id}/rules")


def _missed(nearest: Nearest) -> str:
    """Why the nearest rule of a class doesn't decide a row, in words."""
    held = f"{', '.join(nearest.held)} must not hold it" if nearest.held else ""
    if nearest.rule is None:
        return f" where no rule holds the row{': ' + held if held else ''}."
    fails = " and ".join(words.clause(one) for one in nearest.fails)
    if fails:
        return f" by {nearest.rule.id}, if it were so that {fails}{'; and ' + held if held else ''}."
    return f" by {nearest.rule.id}, which holds the row too; {held or 'a rule before it decides'}."


def _change(whose: str, change: Change | None) -> None:
    """The least change of an answer, in words, and whether it is proved to be the least."""
    if change is None:
        Tag("p", f"{whose}: no change was found.", "quiet")
        return
    parts = [
        f"{words.name(name)} {words.of_row(before)} → {words.of_row(after)}" for name, before, after in change.values
    ]
    proof = "no smaller one is possible" if change.least else "there may be a smaller one"
    Tag("p", f"{whose} would answer {change.outcome}: {', '.join(parts)}.")
    Tag("p", f"{change.distance:.2f} standard deviations; {proof}.", "quiet small")


def _shares(schema: Any, probabilities: Matrix) -> None:
    for place, name in enumerate(schema.classes[:8]):
        with Tag("div", look="re-flip"):
            Tag("span", f"{words.shape(place)} {name}", f"c{words.colour(place)}")
            bar(float(probabilities[place]), f"b{words.colour(place)}")
            Tag("span", words.share(float(probabilities[place])), "number")


def _contributions(schema: Any, row: Matrix, parts: Matrix, own: int) -> None:
    """The features' exact TreeSHAP contributions to the model's score of its own answer, largest first."""
    Tag("h2", "What each value adds to the model's own answer")
    said = "log-odds (exact TreeSHAP); positive speaks for it"
    Tag("p", f"{words.shape(own)} {schema.classes[own]}: {said}", "quiet small")
    order = np.argsort(-np.abs(parts[:-1]))[:12]
    most = max(float(np.abs(parts[:-1]).max()), 1e-12)
    for at in order.tolist():
        feature, value = schema.features[at], float(parts[at])
        with Tag("div", look="re-flip"):
            Tag("span", f"{words.name(feature.name)} {words.cell(feature, float(row[at]))}")
            bar(abs(value) / most, "for" if value > 0 else "against")
            Tag("span", words.signed(value, 3), "number")
    Tag("p", f"and {words.signed(float(parts[-1]), 3)} for any row", "quiet small")
