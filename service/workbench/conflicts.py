"""The conflicts: two rules that cover the same rows and disagree, where they meet, and the ways to settle it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nicegui import ui

from ruleedit.conflicts import Conflict, find_conflicts
from ruleedit.drafts import Draft
from ruleedit.errors import RuleEditError
from ruleedit.feedback import feedback
from ruleedit.impact import impact
from ruleedit.matching import region_mask
from ruleedit.regions import box_text
from ruleedit.workflow import resolve_conflicts
from service.workbench import words
from service.workbench.editor import reason_field
from service.workbench.frame import Place, framed
from service.workbench.mixture import Mixture
from service.workbench.plane import meeting
from service.workbench.tags import Tag, button, empty, outcome

#: The route whose roles settling needs.
SETTLE = "POST /v1/rulesets/{ruleset}/resolutions"
#: The strategies with what each does, in words.
WAYS = {
    "priority": "The earlier rule wins",
    "specific": "The rule inside the other wins",
    "carve": "{} keeps these rows; {} is written around them",
    "model": "Leave these rows to the model",
}
#: How a conflict was settled, in words.
SETTLED = {
    "priority": "the earlier rule wins",
    "specific": "the rule inside the other wins",
    "carve": "one rule is written around the other",
    "model": "left to the model",
    "outcome": "an outcome of its own",
    "mixture": "a mixture of both",
}


@dataclass
class Settling:
    """What the conflicts' editors share: the place and the reason last given."""

    place: Place
    reason: str = ""

    def settle(self, rules: tuple[str, ...], way: dict[str, Any], problem: Tag) -> None:
        """Make a settlement as one step."""
        if not self.reason.strip():
            problem.say("Say why: the reason stands in the history beside the settlement.")
            return
        place = self.place
        try:
            place.workspace.resolve(
                place.record.id, place.draft.revision, rules, reason=self.reason, by=place.actor.acting(SETTLE), **way
            )  # fmt: skip
        except RuleEditError as refused:
            problem.say(str(refused))
            return
        ui.navigate.reload()


def build(place: Place) -> None:
    """Draw the page."""
    draft = place.draft
    found = list(find_conflicts(draft.rules, draft.schema))
    found.sort(key=lambda one: one.resolved)
    waiting = sum(not one.resolved for one in found)
    sitting = Settling(place)
    with framed(place, "Conflicts"):
        Tag("h1", f"{waiting} conflict{'' if waiting == 1 else 's'} to settle")
        said = "Two rules that somebody asserted, the same rows, different outcomes. Nothing unsettled goes in force."
        Tag("p", said, "quiet")
        if not found:
            empty("No asserted rules disagree.", "An extracted rule is never in conflict: yours stands before it.")
        for conflict in found:
            _conflict(sitting, conflict)


def _conflict(sitting: Settling, conflict: Conflict) -> None:
    draft, table_ = sitting.place.draft, sitting.place.opened.table
    mask = region_mask(conflict.region, table_.rows, draft.schema)
    with Tag("article", look="re-card", aria_label=f"Conflict of {' and '.join(conflict.rules)}"):
        with Tag("div", look="re-line"):
            Tag("b", " and ".join(conflict.rules))
            settled = conflict.settlement
            text = "not settled"
            if conflict.resolved and settled:
                text = f"settled: {SETTLED.get(settled.strategy, settled.strategy)}"
            Tag("span", text, "re-tag new" if conflict.resolved else "re-tag conflict")
            Tag("span", f"{words.count(int(mask.sum()))} of {words.count(len(mask))} rows", "quiet")
        for rule_id in conflict.rules:
            Tag("p", f"{rule_id}: {words.sentence(draft.rules.rule(rule_id))}")
        with Tag("div", look="re-grid2"):
            with Tag("div"):
                box = conflict.region.first_box()
                if box is not None:
                    Tag("p", f"They meet where {box_text(box, draft.schema)}", "formal")
                meeting(draft, conflict, table_.rows, table_.outcomes)
            with Tag("div"):
                Ways(sitting, conflict).build()


class Ways:
    """The ways to settle one conflict, each with what it would change."""

    def __init__(self, sitting: Settling, conflict: Conflict) -> None:
        self.sitting, self.conflict = sitting, conflict

    def build(self) -> None:
        """Draw them where the caller stands."""
        Tag("h2", "Settle it otherwise" if self.conflict.resolved else "Settle it")
        with Tag("div", look="re-line"):
            reason_field(self.sitting)
        self.problem = Tag("p", "", "re-problem", role="alert")
        draft = self.sitting.place.draft
        for strategy, said in WAYS.items():
            self._way({"strategy": strategy}, said.format(*self.conflict.rules))
        for place, name in enumerate(draft.schema.classes[:8]):
            self._way({"strategy": "outcome", "outcome": name}, "These rows are", place)
        if len(self.conflict.rules) == 2:
            Mixture(draft, self.conflict.rules, self._would_change, self._settle).build()

    def _way(self, way: dict[str, Any], said: str, place: int | None = None) -> None:
        changed = self._would_change(way)
        with Tag("div", look="re-way"):
            made = button(said, lambda: self._settle(way))
            if place is not None:
                with made:
                    outcome(self.sitting.place.draft.schema, place)
            if isinstance(changed, str):
                made.put(disabled=True)
                Tag("span", changed, "quiet small")
            else:
                Tag("span", f"then {words.count(changed)} decisions change", "quiet small")

    def _settle(self, way: dict[str, Any]) -> None:
        self.sitting.settle(self.conflict.rules, way, self.problem)

    def _would_change(self, way: dict[str, Any]) -> int | str:
        """How many decisions would change in all; why it can't be done where it can't."""
        place = self.sitting.place
        weights = way.get("weights")
        try:
            tried: Draft = resolve_conflicts(
                place.draft, self.conflict.rules, way["strategy"], outcome=way.get("outcome"),
                weights=None if weights is None else " ".join(map(repr, weights)), reason="tried", author="",
            )  # fmt: skip
            table_ = place.opened.table
            asked = feedback(tried.base, tried.rules, tried.schema)
            return impact(asked, table_.rows, table_.outcomes).changed
        except RuleEditError as refused:
            return str(refused)
