"""An edit that is typed: what can come next, and what is wrong, while it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import RuleEditError
from service.workbench.completion import completed, completions
from service.workbench.editor import reason_field
from service.workbench.tags import Field, Tag, button

if TYPE_CHECKING:
    from service.workbench.rules import RulesPage


class Composer:
    """An edit as text, with what can come next and what is wrong while it is typed."""

    def __init__(self, page: RulesPage, text: str) -> None:
        self.page, self.text = page, text

    def build(self) -> None:
        """Draw it where the caller stands."""
        with Tag("div", look="re-card chosen", role="group", aria_label="Type an edit") as around:
            around.on("keydown.escape", self._close, args=[])
            hint = "new IF age < 25 AND income < 20000 THEN deny before R2"
            self.field = Field(
                "text", self.text, self._typed, look="re-input formal", placeholder=hint, spellcheck="false"
            )
            self.field.put(aria_label="An edit as text", style="width:100%", autocomplete="off")
            self.next = Tag("div", look="re-says", style="margin:8px 0")
            self.problem = Tag("p", "", "re-problem", role="alert")
            with Tag("div", look="re-line"):
                why = reason_field(self.page)
                button("Apply", self.apply, "re-button first")
                button("Cancel", self._close)
        for one in (self.field, why):
            one.on("keydown.enter", self.apply, args=[])
        self.field.focus()
        self._suggest()

    def _close(self) -> None:
        self.page.composer.clear()
        self.page.present()

    async def _typed(self, text: str) -> None:
        self.text = text
        self._suggest()
        problem = _problem(self.page.place.draft, self.text)
        self.problem.say(problem)
        self.field.put(aria_invalid="true" if problem else "false")
        if not problem:
            await self.page.try_out(self.text)

    def _suggest(self) -> None:
        self.next.clear()
        with self.next:
            for word in completions(self.page.place.draft, self.text):
                button(word, lambda word=word: self._take(word), "re-chip small")

    async def _take(self, word: str) -> None:
        self.text = completed(self.text, word)
        self.field.fill(self.text)
        self.field.focus()
        self._suggest()
        problem = _problem(self.page.place.draft, self.text)
        self.problem.say("" if self.text.endswith(" ") else problem)
        if not problem:
            await self.page.try_out(self.text)

    def apply(self) -> None:
        """Make the edit."""
        problem = _problem(self.page.place.draft, self.text)
        if not problem and not self.page.reason.strip():
            problem = "Say why: the reason stands in the history beside the edit."
        self.problem.say(problem)
        if not problem:
            self.page.commit(self.text, self.page.reason)


def _problem(draft: Draft, text: str) -> str:
    """What is wrong with an edit; empty where nothing is."""
    try:
        edit(draft, [text], reason="tried", author="")
    except RuleEditError as problem:
        return str(problem)
    return ""
