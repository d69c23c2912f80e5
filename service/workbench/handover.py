"""A release handed to an auditor: its model card, and the bundle that checks itself."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from ruleedit.bundle import Card, Choices
from ruleedit.errors import RuleEditError
from service.workbench import words
from service.workbench.frame import Place
from service.workbench.tags import Field, Tag, button, checkbox, choice, empty
from service.workspace import Page

BUNDLE, CARD = "GET /v1/releases/{release}/bundle", "GET /v1/releases/{release}/card"
#: What only people know: the card's field, and what it is asked as.
ASKED = (
    ("purpose", "Purpose"),
    ("users", "Meant for"),
    ("out_of_scope", "Not meant for"),
    ("data", "Where the data is from"),
    ("contact", "Who answers for it"),
    ("complaints", "Who to complain to"),
    ("limits", "A known limit"),
)


class Handover:
    """One release, what people say of it, and what is handed out."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.said: dict[str, str] = {}
        self.rows = True
        found = place.workspace.releases(Page(200))["items"]
        self.releases = [one for one in found if one["ruleset"] == place.record.id]
        self.release: str = self.releases[0]["id"] if self.releases else ""

    def build(self) -> None:
        """Draw it where the caller stands."""
        Tag("h2", "A release for the auditor")
        if not self.releases:
            empty("There is no release of this rule set yet.", "Make one on the page Put in force.")
            return
        said = "The bundle holds what was decided, the rows that show it, the signed chain of events, and verify.py."
        Tag("p", said, "quiet")
        with Tag("div", look="re-card"):
            with Tag("div", look="re-line"):
                Tag("label", "The release", for_="re-release")
                options = [(one["id"], _named(one)) for one in self.releases]
                choice(options, self.release, self._chosen, id="re-release")
            with Tag("details"):
                Tag("summary", "What only people know, for the card")
                with Tag("div", look="re-grid2"):
                    for name, text in ASKED:
                        with Tag("div"):
                            Tag("label", text, for_=f"re-card-{name}")
                            Field("text", "", self._typed(name), id=f"re-card-{name}", maxlength=2_000,
                                  style="width:100%")  # fmt: skip
            with Tag("label", look="re-line"):
                checkbox(True, lambda on: setattr(self, "rows", on))
                Tag("span", "with held-out rows, so that every figure can be worked out again")
            with Tag("div", look="re-line"):
                button("Download the audit bundle", self._bundle, "re-button first")
                button("Show the model card", self._card)
            self.problem = Tag("p", "", "re-problem", role="alert")
            self.shown = Tag("div", aria_live="polite")

    def _chosen(self, release: str) -> None:
        self.release = release
        self.shown.clear()

    def _typed(self, name: str) -> Any:
        return lambda text: self.said.__setitem__(name, text.strip())

    def _choices(self) -> Choices:
        """What was chosen; grouped by the sensitive columns that have values."""
        fields = {name: text for name, text in self.said.items() if name != "limits"}
        limits = tuple(filter(None, [self.said.get("limits", "")]))
        columns = [one.column for one in self.place.opened.fairness.columns if not one.cuts]
        return Choices(None, not self.rows, tuple(columns), Card(**fields, limits=limits))

    async def _bundle(self) -> None:
        place = self.place
        self.problem.say("")
        try:
            by = place.actor.acting(BUNDLE)
            made = await asyncio.to_thread(place.workspace.bundle, self.release, self._choices(), by=by)
        except RuleEditError as refused:
            self.problem.say(str(refused))
            return
        ui.download.content(made.content, f"bundle-{self.release}.zip", "application/zip")
        self.shown.clear()
        with self.shown:
            size = f"{words.many(len(made.files), 'file')}, {words.count(len(made.content))} bytes."
            Tag("p", f"{size} Its head, to be kept elsewhere:", "quiet")
            Tag("p", made.head, "formal")
            Tag("p", f"ruleedit verify bundle-{self.release}.zip --head {made.head}", "formal small")

    async def _card(self) -> None:
        place = self.place
        self.problem.say("")
        try:
            place.actor.acting(CARD)
            page = await asyncio.to_thread(place.workspace.card, self.release, self._choices())
        except RuleEditError as refused:
            self.problem.say(str(refused))
            return
        self.shown.clear()
        with self.shown:
            name = f"card-{self.release}.html"
            button("Download the card", lambda: ui.download.content(page.encode(), name, "text/html"))
            # A page of its own that may run nothing, whatever stands in it.
            Tag("iframe", look="re-paper", sandbox="", srcdoc=page, title=f"Model card of {self.release}")


def _named(one: dict[str, Any]) -> str:
    return f"{one['name']}, {one['mode']}, {one['state']}, {one['created'][:16].replace('T', ' ')}"
