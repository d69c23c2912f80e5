"""Putting the draft in force: the ways side by side with what each would do; then releases, in service or not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from ruleedit.conflicts import open_conflicts
from ruleedit.errors import RuleEditError
from service.insight import Effect, Lens
from service.workbench import words
from service.workbench.editor import reason_field
from service.workbench.frame import Place, framed
from service.workbench.start import watched
from service.workbench.tags import Field, Tag, button, choice, empty, link, table
from service.workspace import Page

MAKE = "POST /v1/releases"
#: Mode, its name, what it is, how soon it answers.
MODES = (
    ("overlay-hard", "Overlay", "Rules after the model; takes effect at once, and is as easily taken back."),
    ("overlay-soft", "Soft overlay", "The model is asked about a moved row; it may keep its own answer."),
    ("retrain", "Retrain", "The model learns the edits from synthetic rows; afterwards it answers by itself."),
    ("graft", "Graft", "The overlay as trees at the end of the model file; runs wherever LightGBM runs."),
)


def build(place: Place) -> None:
    """Draw the page."""
    with framed(place, "Put in force"):
        Tag("h1", "Put this draft in force")
        waiting = open_conflicts(place.draft.rules, place.draft.schema)
        if waiting:
            with Tag("p", look="re-note", role="status"):
                Tag("span", f"{len(waiting)} conflicts are not settled; nothing can be put in force before. ")
                link("Settle them", f"/r/{place.record.id}/conflicts")
        else:
            Making(place).build()
        Tag("h2", "Releases of this rule set")
        Releases(place).build()


@dataclass
class Making:
    """Chooses a mode and a name, and makes a release."""

    place: Place
    mode: str = "overlay-hard"
    name: str = ""

    def build(self) -> None:
        """Draw the choices with the expected effect of each."""
        opened = self.place.opened
        found = Lens(opened.draft, opened.table.rows, opened.table.outcomes, None).effect(opened.draft)
        self.name = opened.record.name
        self.cards: dict[str, Tag] = {}
        with Tag("div", look="re-modes", role="radiogroup", aria_label="How"):
            for mode, title, said in MODES:
                self._card(mode, title, said, found)
        with Tag("div", look="re-line"):
            Tag("label", "In service under the name", for_="re-name")
            Field("text", self.name, self._named, id="re-name", maxlength=100)
            button("Make the release", self._make, "re-button first")
        self.problem = Tag("p", "", "re-problem", role="alert")
        self.progress = Tag("div", aria_live="polite")

    def _card(self, mode: str, title: str, said: str, found: Effect) -> None:
        chosen = "true" if mode == self.mode else "false"
        with button("", lambda: self._choose(mode), "re-mode", role="radio", aria_checked=chosen) as card:
            Tag("b", title)
            Tag("div", said, "quiet small")
            for line in expected(mode, found):
                Tag("div", line, "small")
        self.cards[mode] = card

    def _choose(self, mode: str) -> None:
        self.mode = mode
        for name, card in self.cards.items():
            card.put(aria_checked="true" if name == mode else "false")

    def _named(self, text: str) -> None:
        self.name = text

    async def _make(self) -> None:
        place = self.place
        try:
            job = await asyncio.to_thread(
                place.workspace.make_release,
                place.record.id,
                self.name,
                self.mode,
                revision=place.draft.revision,
                by=place.actor.acting(MAKE),
            )
        except RuleEditError as refused:
            self.problem.say(str(refused))
            return
        result = await watched(
            place.workspace, place.actor, job["id"], "Putting the draft in force", self.progress, self.problem
        )
        if result is not None:
            ui.navigate.reload()


def expected(mode: str, found: Effect) -> list[str]:
    """What a mode would do, and where the figure comes from."""
    changed = f"{words.count(found.glance.changed)} of {words.count(found.glance.rows)} decisions change (exact)"
    if mode in ("overlay-hard", "graft"):
        return ["honoured 100% (exact)", changed, "0 flips outside (exact)"]
    if mode == "overlay-soft":
        return ["honoured: not known until run", "0 flips outside (exact)"]
    return ["honoured and flips outside: not known until run", "takes some trainings of the model"]


class Releases:
    """The releases of a rule set with what was measured, and what puts them in service or takes them out."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.reason = ""

    def build(self) -> None:
        """Draw them, newest first."""
        found = [
            one for one in self.place.workspace.releases(Page(200))["items"] if one["ruleset"] == self.place.record.id
        ]
        if not found:
            empty("There is no release yet.", "Make one above; nothing answers by it before it is activated.")
            return
        with Tag("div", look="re-line"):
            reason_field(self)
        self.problem = Tag("p", "", "re-problem", role="alert")
        self.all = found
        for one in found:
            self._release(one)
        if len(found) > 1:
            self._comparing()

    def _comparing(self) -> None:
        """Two releases side by side: where they decide differently, and how the rules match."""
        Tag("h2", "Two releases side by side")
        chosen = [self.all[1]["id"], self.all[0]["id"]]
        options = [
            (one["id"], f"{one['name']}, {one['mode']}, {one['created'][:16].replace('T', ' ')}") for one in self.all
        ]
        with Tag("div", look="re-line"):
            for at, said in enumerate(("The first release", "The second release")):
                choice(options, chosen[at], lambda value, at=at: chosen.__setitem__(at, value), aria_label=said)
            button("Compare", lambda: self._compare(*chosen))
        self.compared = Tag("div", aria_live="polite")

    async def _compare(self, first: str, second: str) -> None:
        self.compared.clear()
        with self.compared:
            Tag("p", "Comparing…", "quiet")
        try:
            self.place.actor.acting("GET /v1/releases/{release}/compare")
            found = await asyncio.to_thread(self.place.workspace.compare, first, second, None, 0)
        except RuleEditError as refused:
            self.compared.clear()
            with self.compared:
                Tag("p", str(refused), "re-problem", role="alert")
            return
        self.compared.clear()
        with self.compared:
            _difference(found)

    def _release(self, one: dict[str, Any]) -> None:
        with Tag("article", look="re-card", aria_label=f"Release {one['id']}"):
            with Tag("div", look="re-line"):
                Tag("b", one["name"])
                title = next((title for mode, title, _ in MODES if mode == one["mode"]), one["mode"])
                Tag("span", f"{title}{' · ' + one['strategy'] if one['strategy'] else ''}")
                Tag("span", one["state"], "re-tag new" if one["state"] == "active" else "re-tag")
                Tag(
                    "span",
                    f"revision {one['revision'][:8]} · {one['created'][:16].replace('T', ' ')} UTC",
                    "quiet small",
                )
            _report(one["report"])
            self._standing(one)
            with Tag("div", look="re-line"):
                for said, step, look in self._steps(one["state"]):
                    button(said, lambda step=step: self._step(step, one["id"]), look)

    def _standing(self, one: dict[str, Any]) -> None:
        """Who approved it, or whom it still waits for."""
        if one.get("approved_by"):
            Tag("p", f"Approved by {one['approved_by']}.", "quiet small")
        elif one["state"] == "proposed":
            approval = self.place.workspace.workflow.approval(one["id"], by=self.place.actor.person)
            hands = ", ".join(approval["hands"]) or "nobody"
            Tag("p", f"Proposed by {one['proposed_by']}; {hands} had a hand in it and can't approve it.", "quiet small")
        if one.get("expires"):
            Tag(
                "p",
                f"Gives way to the release before it on {one['expires'][:16].replace('T', ' ')} UTC.",
                "quiet small",
            )

    def _steps(self, state: str) -> list[tuple[str, str, str]]:
        """What can be done with a release in a state: the words, the step, and how the button looks."""
        if state == "active":
            return [("Roll back", "roll_back", "re-button")]
        if state == "proposed":
            return [("Approve", "approve", "re-button first"), ("Reject", "reject", "re-button")]
        if self.place.actor.settings.approval and state == "draft":
            return [("Propose", "propose", "re-button first")]
        return [("Activate", "activate", "re-button first")]

    async def _step(self, step: str, release: str) -> None:
        if not self.reason.strip():
            self.problem.say("Say why, above: the reason stands in the record.")
            return
        try:
            by = self.place.actor.acting(f"POST /v1/releases/{{release}}/{step.replace('_', '')}")
            await asyncio.to_thread(getattr(self.place.workspace.workflow, step), release, self.reason, by=by)
        except RuleEditError as refused:
            self.problem.say(str(refused))
            return
        ui.navigate.reload()


def _difference(found: dict[str, Any]) -> None:
    """Where two releases decide differently."""
    Tag("p", f"{words.count(found['flipped'])} of {words.count(found['rows'])} decisions differ "
        f"({words.share(found['share'], 2)}).")  # fmt: skip
    if found["flips"]:
        table(("decision", "rows"), [(way, words.count(rows)) for way, rows in found["flips"].items()], numbers=(1,),
              title="Decisions that differ")  # fmt: skip
    for rule in found["difference"]["rules"]:
        Tag("p", str(rule["text"]), "formal small")
    groups = [one for one in found["groups"] if one["flipped"]]
    if groups:
        rows = [(one["group"], words.count(one["rows"]), words.count(one["flipped"])) for one in groups]
        table(("group", "rows", "differ"), rows, numbers=(1, 2), title="Groups")
    changed = [one for one in found["matches"] if one["status"] != "same"]
    if changed:
        rows = [(one["status"], one["text_before"] or "–", one["text_after"] or "–") for one in changed]
        table(("rule", "first", "second"), rows, title="Rules that differ")


def _report(report: dict[str, Any]) -> None:
    rows = [
        (
            str(one["rule"]),
            str(one["outcome"]),
            words.count(one["coverage"]),
            _share(one["mra_before"]),
            _share(one["mra_after"]),
        )
        for one in report.get("feedback", [])
    ]
    if rows:
        table(
            ("rule", "outcome", "rows", "agreement before", "after"), rows, numbers=(2, 3, 4), title="How far honoured"
        )
    outside = report.get("outside") or {}
    flips = outside.get("flips")
    if flips is not None:
        before, after = outside.get("f1_before"), outside.get("f1_after")
        quality = "" if before is None or after is None else f"; macro F1 outside {before:.3f} → {after:.3f}"
        Tag("p", f"On held-out rows: {words.share(flips, 2)} of the decisions outside changed{quality}.", "quiet small")


def _share(value: float | None) -> str:
    return "–" if value is None else words.share(value)
