"""An edit that is typed: what can come next, and what is wrong, while it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.workbench.completion import completions
from service.workbench.editor import reason_field
from service.workbench.tags import Tag, button
from service.workbench.textbox import TextBox
from service.workbench.wrong import Wrong, wrong_edit

if TYPE_CHECKING:
    from service.workbench.rules import RulesPage


class Composer:
    """An edit as text, with its effect while it is typed."""

    def __init__(self, page: RulesPage, text: str) -> None:
        self.page = page
        draft = page.place.draft
        self.box = TextBox(
            text,
            "An edit as text",
            offer=lambda before: completions(draft, before),
            check=lambda text: wrong_edit(draft, text),
            heard=page.try_out,
            entered=self.apply,
            hint="new IF age < 25 AND income < 20000 THEN deny before R2",
        )

    def build(self) -> None:
        """Draw it where the caller stands."""
        with Tag("div", look="re-card chosen", role="group", aria_label="Type an edit") as around:
            around.on("keydown.escape", self._close, args=[])
            self.box.build()
            self.problem = Tag("p", "", "re-problem", role="alert")
            with Tag("div", look="re-line"):
                self.why = reason_field(self.page)
                button("Apply", self.apply, "re-button first")
                button("Cancel", self._close)
        self.why.on("keydown.enter", self.apply, args=[])
        self.box.focus()

    def _close(self) -> None:
        self.page.composer.clear()
        self.page.present()

    def complain(self, said: str) -> None:
        """Say what an edit that can be made brings about; an empty text takes it back."""
        self.problem.say(said)

    def apply(self) -> None:
        """Make the edit."""
        wrong: Wrong | None = wrong_edit(self.page.place.draft, self.box.text)
        self.box.complain(wrong)
        if wrong is not None:
            self.box.focus()
        elif not self.page.reason.strip():
            self.complain("Say why: the reason stands in the history beside the edit.")
            self.why.focus()
        else:
            self.page.commit(self.box.text, self.page.reason, self.complain)
