"""The history: every step with who and why; any two revisions side by side; a step back to any of them."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from ruleedit.errors import RuleEditError
from service.workbench.frame import EDIT, Place, framed
from service.workbench.tags import Tag, button, choice, empty


def build(place: Place) -> None:
    """Draw the page."""
    found = place.workspace.history(place.record.id)
    steps: list[dict[str, Any]] = found["history"]
    undone = {step.undoes for step in place.draft.history if step.undoes is not None}
    undone -= {step.redoes for step in place.draft.history if step.redoes is not None}
    with framed(place, "History"):
        Tag("h1", f"{len(steps)} step{'' if len(steps) == 1 else 's'}")
        Tag("p", "Nothing is ever taken out of the history: undo and restore are steps of their own.", "quiet")
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
        Tag("div", step["edit"], "formal")
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
    """Undo until the rules are those of a revision; where an undo can't reach it, say so and change nothing."""
    wanted = place.workspace.ruleset(place.record.id, revision)["content"]
    draft, steps = place.draft, 0
    while draft.content != wanted and draft.undoable is not None:
        draft, steps = draft.undo(reason="restore", author=""), steps + 1
    if draft.content != wanted:
        draft, steps = place.draft, 0
        problem.say("These rules were undone; redo reaches them, as long as nothing else was edited since.")
        return
    try:
        why = f"restore {revision[:8]}"
        place.workspace.edit(
            place.record.id, place.draft.revision, ["undo"] * steps, reason=why, by=place.actor.acting(EDIT)
        )
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
        self._show()

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
        with self.said:
            if found["same"]:
                Tag("p", "Both say the same.", "quiet")
            for rule in found["removed"]:
                Tag("p", f"− {rule['id']}: {rule['text']}", "formal care")
            for rule in found["added"]:
                Tag("p", f"+ {rule['id']}: {rule['text']}", "formal")
            for change in found["changed"]:
                Tag("p", f"− {change['id']}: {_whole(change['before'])}", "formal care")
                Tag("p", f"+ {change['id']}: {_whole(change['after'])}", "formal")
            if found["order"]:
                Tag(
                    "p",
                    f"order: {', '.join(found['order']['before'])} → {', '.join(found['order']['after'])}",
                    "formal",
                )
            if found["default"]:
                Tag("p", f"default: {found['default']['before']} → {found['default']['after']}", "formal")
            if found["settlements"]:
                Tag("p", "The settlements differ.", "formal")


def _whole(rule: dict[str, Any]) -> str:
    off = "" if rule["enabled"] else " (disabled)"
    return f"{rule['text']}{off}{' (asserted)' if rule['asserted'] else ''}"
