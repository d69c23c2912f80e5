"""Changes of a whole rule: moved, copied, disabled, removed, confirmed, or with another outcome; each with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from ruleedit.rules import Rule
from service.workbench import words
from service.workbench.distribution import Distribution, beginning
from service.workbench.editor import reason_field
from service.workbench.tags import Field, Tag, button, choice

if TYPE_CHECKING:
    from service.workbench.rules import RulesPage

#: What a change of a whole rule is, in words.
ACTS = {
    "up": "Move it to place",
    "down": "Move it to place",
    "duplicate": "Make a disabled copy behind it",
    "disable": "Disable it",
    "enable": "Enable it",
    "remove": "Remove it",
    "confirm": "Confirm it: the model must answer so",
    "then": "Its outcome becomes",
}


class RuleAct:
    """Moves, copies, disables, removes or confirms a rule, or changes its outcome, with a reason.

    ``to`` is the place, counted from 1, that a moved rule shall have.
    """

    def __init__(self, page: RulesPage, rule: Rule, verb: str) -> None:
        self.page, self.rule, self.verb = page, rule, verb
        self.choice = ""
        step = {"up": 0, "down": 2}.get(verb, 1)
        self.to = [one.id for one in page.place.draft.rules].index(rule.id) + step

    def build(self) -> None:
        """Draw it where the caller stands."""
        with Tag("div", look="re-editor"):
            with Tag("div", look="re-line"):
                Tag("span", ACTS[self.verb])
                if self.verb in ("then", "remove", "disable"):
                    self._choices()
                if self.verb in ("up", "down"):
                    most = len(self.page.place.draft.rules.rules)
                    said = f"Place from 1 to {most}"
                    Field("number", str(self.to), self._placed, min=1, max=most, aria_label=said, style="width:10ch")
            self.shares = Tag("div")
            self.problem = Tag("p", "", "re-problem", role="alert")
            with Tag("div", look="re-line"):
                why = reason_field(self.page)
                why.on("keydown.enter", self.apply, args=[])
                button("Apply", self.apply, "re-button first")
                button("Cancel", self.page.close)
        why.focus()
        if self.text() is not None:
            ui.timer(0.01, lambda: self.page.try_out(self.text()), once=True)

    def _choices(self) -> None:
        classes = self.page.place.draft.schema.classes
        if self.verb != "then":
            Tag("span", "and its rows go to", "quiet")
        options = [(str(place), f"{words.shape(place)} {name}") for place, name in enumerate(classes)]
        first = [] if self.verb == "then" else [("", "the rules below")]
        last = [("model", "the model"), ("shares", "a distribution…")]
        chosen = ""
        if self.verb == "then":
            own = self.rule.outcome.top(classes)
            other = next(place for place, name in enumerate(classes) if name != own)
            chosen, self.choice = str(other), words.class_text(classes[other])
        choice([*first, *options, *last], chosen, self._chosen, aria_label="Outcome")

    async def _chosen(self, value: str) -> None:
        classes = self.page.place.draft.schema.classes
        self.shares.clear()
        if value == "shares":
            with self.shares:
                form = Distribution(classes, beginning(self.rule.outcome, classes), self._shared)
                form.build()
            self.choice = form.text
        else:
            self.choice = words.class_text(classes[int(value)]) if value.isdigit() else value
        await self.page.try_out(self.text())

    async def _shared(self, text: str) -> None:
        self.choice = text
        await self.page.try_out(self.text())

    async def _placed(self, text: str) -> None:
        self.to = int(text) if text.isdigit() else 0
        self.problem.say("" if self.text() else self._nowhere())
        if self.text() is not None:
            await self.page.try_out(self.text())

    def _nowhere(self) -> str:
        most = len(self.page.place.draft.rules.rules)
        return f"Give a place from 1 to {most}, another than its own: there is no rule to move it past."

    def text(self) -> str | None:
        """The edit as text; None where there is nothing to move past."""
        if self.verb in ("up", "down"):
            return self._move()
        if self.verb == "then":
            return f"then {self.rule.id} {self.choice}"
        left = f" otherwise {self.choice}" if self.choice else ""
        return f"{self.verb} {self.rule.id}{left}"

    def _move(self) -> str | None:
        rules = [rule.id for rule in self.page.place.draft.rules]
        at, to = rules.index(self.rule.id), self.to - 1
        if to == at or not 0 <= to < len(rules):
            return None
        return f"move {self.rule.id} {'before' if to < at else 'after'} {rules[to]}"

    def apply(self) -> None:
        """Make the edit."""
        text = self.text()
        if text is None:
            self.problem.say(self._nowhere())
        elif not self.page.reason.strip():
            self.problem.say("Say why: the reason stands in the history beside the edit.")
        else:
            self.page.commit(text, self.page.reason, self.problem.say)
