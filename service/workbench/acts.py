"""Changes of a whole rule: moved, copied, disabled, removed, confirmed, or with another outcome; each with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from ruleedit.rules import Rule
from service.workbench import words
from service.workbench.distribution import Distribution, beginning
from service.workbench.editor import reason_field
from service.workbench.tags import Tag, button, choice

if TYPE_CHECKING:
    from service.workbench.rules import RulesPage

#: What a change of a whole rule is, in words.
ACTS = {
    "up": "Move it before the rule above",
    "down": "Move it behind the rule below",
    "duplicate": "Make a disabled copy behind it",
    "disable": "Disable it",
    "enable": "Enable it",
    "remove": "Remove it",
    "confirm": "Confirm it: the model must answer so",
    "then": "Its outcome becomes",
}


class RuleAct:
    """Moves, copies, disables, removes or confirms a rule, or changes its outcome, with a reason."""

    def __init__(self, page: RulesPage, rule: Rule, verb: str) -> None:
        self.page, self.rule, self.verb = page, rule, verb
        self.choice = ""

    def build(self) -> None:
        """Draw it where the caller stands."""
        with Tag("div", look="re-editor") as around:
            around.on("keydown.escape", self.page.close, args=[])
            with Tag("div", look="re-line"):
                Tag("span", ACTS[self.verb])
                if self.verb in ("then", "remove", "disable"):
                    self._choices()
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
        choice([*first, *options, *last], "", self._chosen, aria_label="Outcome")
        if self.verb == "then":
            self.choice = words.class_text(classes[0])

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

    def text(self) -> str | None:
        """The edit as text; None where there is nothing to move past."""
        rules = [rule.id for rule in self.page.place.draft.rules]
        at = rules.index(self.rule.id)
        if self.verb == "up":
            return f"move {self.rule.id} before {rules[at - 1]}" if at else None
        if self.verb == "down":
            return f"move {self.rule.id} after {rules[at + 1]}" if at + 1 < len(rules) else None
        if self.verb == "then":
            return f"then {self.rule.id} {self.choice}"
        left = f" otherwise {self.choice}" if self.choice else ""
        return f"{self.verb} {self.rule.id}{left}"

    def apply(self) -> None:
        """Make the edit."""
        text = self.text()
        if text is None:
            self.problem.say("There is no rule to move it past.")
        elif not self.page.reason.strip():
            self.problem.say("Say why: the reason stands in the history beside the edit.")
        else:
            self.page.commit(text, self.page.reason)
