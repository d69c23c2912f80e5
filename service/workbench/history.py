"""The history: every step with who and why; any two revisions side by side; a step back to any of them."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from ruleedit.errors import ConflictsOpen, RuleEditError
from service.workbench.cases import listed
from service.workbench.frame import Place, framed
from service.workbench.inforce import difference
from service.workbench.tags import Tag, button, choice, empty, link

RESTORE = "POST /v1/rulesets/{ruleset}/restore"
COMPARE = "GET /v1/rulesets/{ruleset}/compare"
#: A sign beside each word, so that a reader of the column finds them.
SIGNS = {"removed": "−", "changed": "≠", "added": "+"}


def build(place: Place) -> None:
    """Draw the page."""
    found = place.workspace.history(place.record.id)
    steps: list[dict[str, Any]] = found["history"]
    undone = {step.undoes for step in place.draft.history if step.undoes is not None}
    undone -= {step.redoes for step in place.draft.history if step.redoes is not None}
    with framed(place, "History"):
        Tag("h1", f"{len(steps)} step{'' if len(steps) == 1 else 's'}")
        Tag("p", "Nothing is ever taken out of the history: undo and restore are steps of their own.", "quiet")
        listed(place)
        if not steps:
            empty("Nothing was edited yet.", "Each edit stands here with its reason and who made it.")
            return
        problem = Tag("p", "", "re-problem", role="alert")
        with Tag("div", look="re-grid2"):
            with Tag("ol", look="re-steps"):
                for at in range(len(steps) - 1, -1, -1):
                    _step(place, steps[at], at, at in undone, problem)
                _first(place, found["first"], problem)
            shown = Tag("div")
        with shown:
            Compare(place, [found["first"], *(step["revision"] for step in steps)]).build()


def _step(place: Place, step: dict[str, Any], at: int, undone: bool, problem: Tag) -> None:
    with Tag("li", look="undone" if undone else ""):
        Tag("s" if undone else "div", step["edit"], "formal")
        moment = str(step.get("at") or "")[:16].replace("T", " ")
        Tag("div", step["reason"] or "no reason given")
        who = f"{step['author'] or 'nobody named'} · {moment} UTC · {step['revision'][:8]}"
        Tag("div", who + (" · taken back" if undone else ""), "quiet small")
        if step["revision"] != place.draft.revision:
            label = f"Restore the rules as after step {at + 1}"
            button("Restore", lambda: restore(place, step["revision"], problem), "re-button plain", aria_label=label)


def _first(place: Place, revision: str, problem: Tag) -> None:
    with Tag("li"):
        Tag("div", "as extracted")
        Tag("div", revision[:8], "quiet small")
        button(
            "Restore",
            lambda: restore(place, revision, problem),
            "re-button plain",
            aria_label="Restore the first rules",
        )


def restore(place: Place, revision: str, problem: Tag) -> None:
    """Let the rules be as they were at a revision, as one step; where they are, say so and change nothing."""
    try:
        by = place.actor.acting(RESTORE)
        why = f"restore {revision[:8]}"
        place.workspace.restore(place.record.id, place.draft.revision, revision, reason=why, by=by)
    except RuleEditError as refused:
        problem.say(str(refused))
        return
    ui.navigate.reload()


class Compare:
    """Two revisions side by side: what one says that the other doesn't."""

    def __init__(self, place: Place, revisions: list[str]) -> None:
        self.place, self.revisions = place, revisions
        self.old, self.new = revisions[0], revisions[-1]

    def build(self) -> None:
        """Draw it where the caller stands."""
        Tag("h2", "Two revisions side by side")
        with Tag("div", look="re-line"):
            for which in ("old", "new"):
                self._choice(which)
        self.said = Tag("div")
        with Tag("div", look="re-line"):
            button("What do they decide differently?", self._decide)
        self.decided = Tag("div", aria_live="polite")
        self._show()

    async def _decide(self) -> None:
        """Where the two decide differently, with their rules matched by the rows that they hold."""
        place = self.place
        self.decided.clear()
        with self.decided:
            Tag("p", "Comparing…", "quiet")
        try:
            place.actor.acting(COMPARE)
            found = await asyncio.to_thread(place.workspace.compare_revisions, place.record.id, self.old, self.new)
        except RuleEditError as refused:
            self.decided.clear()
            with self.decided:
                Tag("p", str(refused), "re-problem", role="alert")
                if isinstance(refused, ConflictsOpen):
                    link("To the conflicts", f"/r/{place.record.id}/conflicts")
            return
        self.decided.clear()
        with self.decided:
            difference(found)

    def _choice(self, which: str) -> None:
        steps = ["as extracted", *(f"after step {number}" for number in range(1, len(self.revisions)))]
        options = [(one, f"{said} ({one[:8]})") for one, said in zip(self.revisions, steps, strict=True)]

        def chosen(revision: str) -> None:
            setattr(self, which, revision)
            self._show()

        choice(options, getattr(self, which), chosen, aria_label=f"The {which} revision")

    def _show(self) -> None:
        found = self.place.workspace.diff(self.place.record.id, self.old, self.new)
        self.said.clear()
        self.decided.clear()
        with self.said:
            if found["same"]:
                Tag("p", "Both say the same.", "quiet")
                return
            self._rules(found)
            if found["order"]:
                sides = " → ".join(", ".join(found["order"][side]) for side in ("before", "after"))
                Tag("p", f"order: {sides}", "formal")
            if found["default"]:
                Tag("p", f"default: {found['default']['before']} → {found['default']['after']}", "formal")
            if found["settlements"]:
                Tag("p", "The settlements differ.", "formal")

    def _rules(self, found: dict[str, Any]) -> None:
        """The rules that differ, each beside its other self."""
        rows = [("removed", rule, None) for rule in found["removed"]]
        rows += [("changed", one["before"], one["after"]) for one in found["changed"]]
        rows += [("added", None, rule) for rule in found["added"]]
        if not rows:
            return
        around = Tag("div", look="re-scroll", tabindex="0", role="group", aria_label="Rules that differ")
        with around, Tag("table", look="re-table"):
            with Tag("thead"), Tag("tr"):
                for head in ("", "the old revision", "the new revision"):
                    Tag("th", head, scope="col")
            with Tag("tbody"):
                for status, old, new in rows:
                    with Tag("tr"):
                        Tag("td", f"{SIGNS[status]} {(new or old)['id']} {status}")
                        for rule in (old, new):
                            Tag("td", "–" if rule is None else _whole(rule), "formal")


def _whole(rule: dict[str, Any]) -> str:
    off = "" if rule["enabled"] else " (disabled)"
    return f"{rule['text']}{off}{' (asserted)' if rule['asserted'] else ''}"
