"""Putting the draft in force: the ways side by side with what each would do; then releases, in service or not."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from ruleedit.conflicts import open_conflicts
from ruleedit.drafts import Draft
from ruleedit.errors import RuleEditError
from ruleedit.inforce import brief
from ruleedit.retrain import STRATEGIES
from service.workbench import words
from service.workbench.course import Course
from service.workbench.editor import reason_field
from service.workbench.frame import Place, framed
from service.workbench.start import watched
from service.workbench.tags import Field, Tag, button, choice, empty, link, table
from service.workspace import PILOT_ROWS, Page
from service.workspace.insight import Effect

MAKE, PILOT = "POST /v1/releases", "POST /v1/rulesets/{ruleset}/pilots"
#: The modes whose effect nobody knows before they are tried.
PILOTED = ("overlay-soft", "retrain")
UNKNOWN = "not known until run"
#: The words, the step and the look of the button that takes back a proposal or an approval.
WITHDRAW = ("Withdraw", "withdraw", "re-button")
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
                are = "conflict is" if len(waiting) == 1 else "conflicts are"
                Tag("span", f"{len(waiting)} {are} not settled; nothing can be put in force before. ")
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
    strategy: str = ""

    def build(self) -> None:
        """Draw the choices with the expected effect of each."""
        opened = self.place.opened
        if opened.draft.content == Draft.of(opened.draft.base, opened.draft.schema).content:
            said = "Nothing is edited yet: a release of this draft would answer as the model does. "
            with Tag("p", look="re-note", role="status"):
                Tag("span", said)
                link("To the rules", f"/r/{opened.record.id}/rules")
        self.found = self.place.lens().effect(opened.draft)
        self.name = opened.record.name
        self.cards: dict[str, Tag] = {}
        self.says: dict[str, Tag] = {}
        self.pilots = self._known()
        with Tag("div", look="re-modes", role="radiogroup", aria_label="How"):
            for mode, title, said in MODES:
                self._card(mode, title, said)
        with Tag("div", look="re-line"):
            Tag("label", "A retraining learns by", for_="re-strategy")
            choice([("", "what suits the model"), *((name, name) for name in STRATEGIES)], "", self._learn,
                   id="re-strategy")  # fmt: skip
        with Tag("div", look="re-line"):
            Tag("span", "Not known yet? Try it on some rows:")
            for mode, title, _ in MODES:
                if mode in PILOTED:
                    button(f"Pilot: {title}", lambda mode=mode: self._pilot(mode))
            Tag("span", f"at most {words.count(PILOT_ROWS)} rows; nothing is put in force", "quiet small")
        with Tag("div", look="re-line"):
            Tag("label", "In service under the name", for_="re-name")
            Field("text", self.name, self._named, id="re-name", maxlength=100)
            button("Make the release", self._make, "re-button first")
        self.problem = Tag("p", "", "re-problem", role="alert")
        self.progress = Tag("div", aria_live="polite")

    def _card(self, mode: str, title: str, said: str) -> None:
        chosen = "true" if mode == self.mode else "false"
        with button("", lambda: self._choose(mode), "re-mode", role="radio", aria_checked=chosen) as card:
            Tag("b", title)
            Tag("div", said, "quiet small told")
            self.says[mode] = Tag("div", look="small expected")
        self.cards[mode] = card
        self._say(mode)

    def _say(self, mode: str) -> None:
        """Say what is expected of a mode, and where that comes from."""
        self.says[mode].clear()
        with self.says[mode]:
            found = expected(mode, self.found, (self._piloted(mode) or {}).get("result"))
            for source, lines in itertools.groupby(found, key=lambda pair: pair[0]):
                Tag("div", source, "quiet")
                for _, line in lines:
                    Tag("div", line)

    def _known(self) -> list[dict[str, Any]]:
        """The pilots of this revision that have succeeded, newest first."""
        place = self.place
        found = place.workspace.pilots(place.record.id, place.draft.revision)["pilots"]
        return [job for job in found if job["state"] == "succeeded"]

    def _strategy(self, mode: str) -> str | None:
        return (self.strategy or None) if mode == "retrain" else None

    def _piloted(self, mode: str) -> dict[str, Any] | None:
        """The last pilot of a mode, by the strategy that is chosen."""
        wanted = (mode, self._strategy(mode))
        return next((job for job in self.pilots if (job["result"]["mode"], job["result"]["asked"]) == wanted), None)

    def _learn(self, strategy: str) -> None:
        self.strategy = strategy
        self._say("retrain")

    async def _pilot(self, mode: str) -> None:
        place = self.place
        self.problem.say("")
        try:
            by = place.actor.acting(PILOT)
            job = await asyncio.to_thread(
                place.workspace.pilot,
                place.record.id,
                mode,
                revision=place.draft.revision,
                strategy=self._strategy(mode),
                by=by,
            )
        except RuleEditError as refused:
            self.problem.say(str(refused))
            return
        await watched(place.workspace, place.actor, job["id"], "Trying it on some rows", self.progress, self.problem)
        self.pilots = self._known()
        self._say(mode)

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
                strategy=self._strategy(self.mode),
                pilot=(self._piloted(self.mode) or {}).get("id"),
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


def expected(mode: str, found: Effect, pilot: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What a mode would do, each figure with where it comes from."""
    changed = f"{words.count(found.glance.changed)} of {words.count(found.glance.rows)} decisions change"
    if mode in ("overlay-hard", "graft"):
        soon = "made in a moment, no training"
        return [("exact", "honoured 100%"), ("exact", changed), ("exact", "0 flips outside"), ("exact", soon)]
    none = [("exact", "0 flips outside")] if mode == "overlay-soft" else [(UNKNOWN, "how many flips outside")]
    if pilot is None:
        long = [(UNKNOWN, "how long it takes")] if mode == "retrain" else []
        return [(UNKNOWN, "how far honoured"), *none, *long]
    told = [f"honoured {_share(pilot['honoured'])}"]
    if mode == "retrain":
        told.append(f"{_share(pilot['flips'], 2)} flips outside")
        if pilot["f1_before"] is not None and pilot["f1_after"] is not None:
            told.append(f"F1 outside {pilot['f1_before']:.3f} → {pilot['f1_after']:.3f}")
        told.append(f"{words.many(pilot['trainings'], 'training')}, {pilot['seconds']:.1f} s")
    source = f"pilot on {words.count(pilot['rows'])} rows"
    return [*((source, line) for line in told), *(none if mode == "overlay-soft" else [])]


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
            self.why = reason_field(self)
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
            difference(found)

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
            _beside(one["report"])
            self._standing(one)
            problem = Tag("p", "", "re-problem", role="alert")
            with Tag("div", look="re-line"):
                for said, step, look in self._steps(one["state"]):
                    button(said, lambda step=step: self._step(step, one["id"], problem), look)

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
            return [("Approve", "approve", "re-button first"), ("Reject", "reject", "re-button"), WITHDRAW]
        if state == "approved":
            return [("Activate", "activate", "re-button first"), WITHDRAW]
        if self.place.actor.settings.approval and state == "draft":
            return [("Propose", "propose", "re-button first")]
        return [("Activate", "activate", "re-button first")]

    async def _step(self, step: str, release: str, problem: Tag) -> None:
        if not self.reason.strip():
            problem.say("Say why, in the field above the releases: the reason stands in the record.")
            self.why.focus()
            return
        try:
            by = self.place.actor.acting(f"POST /v1/releases/{{release}}/{step.replace('_', '')}")
            await asyncio.to_thread(getattr(self.place.workspace.workflow, step), release, self.reason, by=by)
        except RuleEditError as refused:
            problem.say(str(refused))
            return
        ui.navigate.reload()


def difference(found: dict[str, Any]) -> None:
    """Where two releases, or two revisions, decide differently."""
    Tag("p", f"{words.count(found['flipped'])} of {words.count(found['rows'])} decisions differ "
        f"({words.share(found['share'], 2)}).")  # fmt: skip
    with Tag("div", look="re-medium"):
        _parts(found)
    changed = [one for one in found["matches"] if one["status"] != "same"]
    if changed:
        rows = [(one["status"], one["text_before"] or "–", one["text_after"] or "–") for one in changed]
        table(("rule", "first", "second"), rows, title="Rules that differ")


def _parts(found: dict[str, Any]) -> None:
    """Which way decisions differ, where, and in which groups."""
    if found["flips"]:
        table(("decision", "rows"), [(way, words.count(rows)) for way, rows in found["flips"].items()], numbers=(1,),
              title="Decisions that differ")  # fmt: skip
    for rule in found["difference"]["rules"]:
        Tag("p", str(rule["text"]), "formal small")
    groups = [one for one in found["groups"] if one["flipped"]]
    if groups:
        rows = [(one["group"], words.count(one["rows"]), words.count(one["flipped"])) for one in groups]
        table(("group", "rows", "differ"), rows, numbers=(1, 2), title="Groups")


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
        heads = ("rule", "outcome", "held-out rows", "agreement before", "after")
        with Tag("div", look="re-medium"):
            table(heads, rows, numbers=(2, 3, 4), title="How far honoured")
    outside = report.get("outside") or {}
    flips = outside.get("flips")
    if flips is not None:
        before, after = outside.get("f1_before"), outside.get("f1_after")
        quality = "" if before is None or after is None else f"; macro F1 outside {before:.3f} → {after:.3f}"
        Tag("p", f"On held-out rows: {words.share(flips, 2)} of the decisions outside changed{quality}.", "quiet small")


def _beside(report: dict[str, Any]) -> None:
    """What was expected beside what came of it on held-out rows."""
    was = report.get("expected")
    if "feedback" not in report or "held_out" not in report:
        return
    now = brief(report)
    source = "not known before"
    if was is not None:
        source = "exact" if was["from"] == "exact" else f"pilot on {words.count(was['rows'])} rows"
    was = was or {}
    rows = [
        ("edits honoured", _share(was.get("honoured")), _share(now["honoured"])),
        ("flips outside", _share(was.get("flips"), 2), _share(now["flips"], 2)),
    ]
    if was.get("f1_after") is not None and now["f1_after"] is not None:
        rows.append(("macro F1 outside", f"{was['f1_after']:.3f}", f"{now['f1_after']:.3f}"))
    actual = f"actual ({words.count(now['held_out'])} held-out rows)"
    with Tag("div", look="re-medium"):
        table(("", f"expected ({source})", actual), rows, numbers=(1, 2), title="Expected and actual")
    if report.get("curve"):
        with Tag("details"):
            Tag("summary", f"{words.many(len(report['curve']), 'round')} of the retraining")
            Course().show(report["curve"])


def _share(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else words.share(value, digits)
