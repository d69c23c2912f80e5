"""The audit: what happened, newest first, and whether the record of it is whole."""

from __future__ import annotations

import asyncio
from typing import Any

from ruleedit.errors import RuleEditError
from service.workbench.frame import Place, framed
from service.workbench.tags import Tag, button, empty

#: Events on the page at once.
AT_ONCE = 50
READ, VERIFY = "GET /v1/audit", "GET /v1/audit/verify"


def build(place: Place) -> None:
    """Draw the page."""
    with framed(place, "Audit"):
        Tag("h1", "Audit")
        Tag("p", "Each event holds the hash of the one before it; the head is signed and published in a file.", "quiet")
        if not place.actor.may(READ):
            empty("The audit is for auditors and approvers.", "An admin gives roles.")
            return
        Events(place).build()


class Events:
    """The events of the whole service, part by part, and the check of their chain."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.before: int | None = None

    def build(self) -> None:
        """Draw the check and the first events."""
        with Tag("div", look="re-line"):
            button("Check the chain", self._verify)
            self.verdict = Tag("span", "", "quiet", role="status")
        around = Tag("div", look="re-scroll", tabindex="0", role="group", aria_label="Events")
        with around, Tag("table", look="re-table"):
            with Tag("thead"), Tag("tr"):
                for head in ("", "when (UTC)", "who", "what", "of", "why"):
                    Tag("th", head, scope="col")
            self.lines = Tag("tbody")
        self.more = button("Show earlier ones", self._show)
        self._show()

    def _show(self) -> None:
        self.place.actor.acting(READ)
        found = self.place.workspace.audit.page(AT_ONCE, self.before)
        with self.lines:
            for event in found["items"]:
                _line(event)
        self.before = None if found["next"] is None else int(found["next"])
        if self.before is None:
            self.more.put(hidden=True)

    async def _verify(self) -> None:
        try:
            self.place.actor.acting(VERIFY)
            found = await asyncio.to_thread(self.place.workspace.audit.verify)
        except RuleEditError as refused:
            self.verdict.say(str(refused))
            return
        self.verdict.say(_verdict(found))


def _line(event: dict[str, Any]) -> None:
    with Tag("tr"):
        Tag("td", str(event["sequence"]), "number")
        Tag("td", str(event["time"])[:19].replace("T", " "))
        Tag("td", str(event["actor"]), title=str(event["role"]))
        Tag("td", str(event["action"]))
        Tag("td", str(event["subject"]))
        Tag("td", str(event["reason"] or ""))


def _verdict(found: dict[str, Any]) -> str:
    """The verdict in words."""
    if not found["ok"]:
        return f"Not whole: {found['problem'] or 'the chain is broken'} (event {found['bad']})."
    against = "and as published" if found["published"] else "nothing was published yet to compare it with"
    erased = f"; {found['erased']} payloads were erased" if found["erased"] else ""
    return f"Whole: {found['events']} events, each with the hash of the one before, {against}{erased}."
