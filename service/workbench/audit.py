"""The audit: what happened, newest first, and whether the record of it is whole."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from ruleedit.errors import RuleEditError
from service.workbench.frame import Place, framed
from service.workbench.tags import Field, Handler, Tag, button, empty, table

#: What events are looked for by: the filter, what it is called, and an example.
FILTERS = (
    ("actor", "Who", "anybody"),
    ("action", "What", "e.g. edit rules"),
    ("subject", "Of what", "e.g. ruleset-…"),
    ("since", "From the moment on", "2026-04-01"),
    ("until", "Before the moment", "2026-05-01"),
)
MOMENT = re.compile(r"\d{4}-\d\d-\d\d")
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
        self.wanted: dict[str, str] = {}

    def build(self) -> None:
        """Draw the check and the first events."""
        with Tag("div", look="re-line"):
            button("Check the chain", self._verify, "re-button first")
            self.verdict = Tag("span", "", "quiet", role="status")
        self.heads = Tag("div")
        with Tag("form", look="re-tools", aria_label="Which events") as form:
            for name, said, hint in FILTERS:
                with Tag("label", look="re-asked"):
                    Tag("span", said, "quiet small")
                    Field("text", "", self._typed(name), placeholder=hint, aria_label=said, style="width:18ch")
            Tag("button", "Show these", "re-button", type="submit", style="align-self:flex-end")
        form.on("submit", self._filter, args=[], js_handler="(e) => { e.preventDefault(); emit(); }")
        self.problem = Tag("p", "", "re-problem", role="alert")
        around = Tag("div", look="re-scroll", tabindex="0", role="group", aria_label="Events")
        with around, Tag("table", look="re-table"):
            with Tag("thead"), Tag("tr"):
                for head in ("", "when (UTC)", "who", "what", "of", "why"):
                    Tag("th", head, scope="col")
            self.lines = Tag("tbody")
        self.none = Tag("p", "No event is like this.", "quiet", hidden=True)
        self.more = button("Show earlier ones", self._show)
        self._show()

    def _typed(self, name: str) -> Handler:
        return lambda text: self.wanted.__setitem__(name, text.strip())

    def _filter(self) -> None:
        """Show the events that were asked for, from the newest on."""
        wrong = [name for name in ("since", "until") if self.wanted.get(name) and not MOMENT.match(self.wanted[name])]
        if wrong:
            self.problem.say(f"{self.wanted[wrong[0]]!r} is no moment; 2026-04-30 or 2026-04-30T18:00 is accepted")
            return
        self.problem.say("")
        self.before = None
        self.lines.clear()
        self._show()

    def _show(self) -> None:
        self.place.actor.acting(READ)
        asked = {name: text for name, text in self.wanted.items() if text}
        found = self.place.workspace.audit.page(AT_ONCE, self.before, **asked)
        self.none.put(hidden=bool(found["items"]) or self.before is not None)
        with self.lines:
            for event in found["items"]:
                _line(event)
        self.before = None if found["next"] is None else int(found["next"])
        self.more.put(hidden=self.before is None)

    async def _verify(self) -> None:
        try:
            self.place.actor.acting(VERIFY)
            found = await asyncio.to_thread(self.place.workspace.audit.verify)
        except RuleEditError as refused:
            self.verdict.say(str(refused))
            return
        self.verdict.say(_verdict(found))
        self.heads.clear()
        with self.heads:
            _heads(found)


def _line(event: dict[str, Any]) -> None:
    with Tag("tr"):
        Tag("td", str(event["sequence"]), "number")
        Tag("td", str(event["time"])[:19].replace("T", " "))
        Tag("td", str(event["actor"]), title=str(event["role"]))
        Tag("td", str(event["action"]))
        Tag("td", str(event["subject"]))
        Tag("td", str(event["reason"] or ""))


def _heads(found: dict[str, Any]) -> None:
    """Where the chain stands, and what was signed and published of it last."""
    published = found["published"] or {}
    rows = [("head of the chain", str(found["head"])), ("signed with the public key", str(found["key"]))]
    if published:
        rows.append((f"published at event {published['sequence']}, {published['time'][:19]}", published["hash"]))
    table(("", "keep these where this service can't write"), rows, title="Heads")


def _verdict(found: dict[str, Any]) -> str:
    """The verdict in words."""
    if not found["ok"]:
        return f"Not whole: {found['problem'] or 'the chain is broken'} (event {found['bad']})."
    against = "and as published" if found["published"] else "nothing was published yet to compare it with"
    erased = f"; {found['erased']} payloads were erased" if found["erased"] else ""
    return f"Whole: {found['events']} events, each with the hash of the one before, {against}{erased}."
