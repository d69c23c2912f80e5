"""Counterexamples beside the rules: whether a draft answers them as asked, and what would leave one out of its rule."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nicegui import ui

from ruleedit.drafts import Draft
from ruleedit.errors import RuleEditError
from ruleedit.rules import Rule
from service.scoring import encode_records
from service.store.records import Counterexample
from service.workbench import words
from service.workbench.editor import reason_field
from service.workbench.frame import Place
from service.workbench.tags import Tag, button, drawn, link, outcome
from service.workspace.counterexamples import Answers
from service.workspace.exclusions import Exclusion, exclusions

if TYPE_CHECKING:
    from service.workbench.rules import RulesPage

#: The route whose roles taking one back needs.
WITHDRAW = "POST /v1/rulesets/{ruleset}/counterexamples/{counterexample}/withdraw"


class Cases:
    """The standing counterexamples of a rule set, for one page of it."""

    def __init__(self, page: RulesPage) -> None:
        self.page = page
        place = page.place
        found = place.workspace.counterexamples.standing(place.record.id)
        self.answers = Answers(found, place.draft, place.opened.answering)
        self.kept = self.answers.by(place.draft)
        self.summary: Tag | None = None

    def beside(self, rule: Rule) -> None:
        """Draw those of a rule where the caller stands."""
        found = [one for one in self.answers.found if one.rule == rule.id]
        if found:
            with Tag("div", look="re-cases"):
                for one in found:
                    self._draw(one, rule)

    def _draw(self, one: Counterexample, rule: Rule) -> None:
        schema = self.page.place.draft.schema
        spoken = list(dict.fromkeys(clause.feature for clause in rule.clauses))
        values = ", ".join(f"{words.name(name)} {words.of_row(one.row.get(name))}" for name in spoken)
        with Tag("p"):
            link("Counterexample", f"/r/{one.ruleset}/what-if?case={one.id}")
            Tag("span", f": {values} should be ")
            outcome(schema, schema.classes.index(one.outcome))
            said = self.kept[one.id]
            if said == one.outcome:
                Tag("span", "answered as asked", "re-tag new")
            else:
                Tag("span", f"not yet: {said}", "re-tag conflict")
            Tag("span", f" {one.reason} ({one.author})", "quiet")
        with Tag("div", look="re-line") as line:
            self._choices(one, rule, line)

    def _choices(self, one: Counterexample, rule: Rule, line: Tag) -> None:
        """What can be done about a counterexample."""
        line.clear()
        with line:
            if self.kept[one.id] != one.outcome and rule.enabled:
                button("What would leave it out?", lambda: self._suggest(one, rule, line), "re-button plain")
            button("Take it back…", lambda: self._ask(one, rule, line), "re-button plain")

    async def _suggest(self, one: Counterexample, rule: Rule, line: Tag) -> None:
        """Offer the clauses that leave the row out, each with its price."""
        draft = self.page.place.draft
        row = encode_records([one.row], draft.schema)[0]
        found = await asyncio.to_thread(exclusions, draft, rule, row, one.outcome, self.page.lens)
        for old in list(line)[:1]:
            old.delete()
        with line:
            for offer in found:
                self._offer(offer, one)
            if not found:
                Tag("span", "No single clause leaves it out.", "quiet")

    def _offer(self, offer: Exclusion, one: Counterexample) -> None:
        text = f"{words.clause(offer.clause)}: gives up {words.count(offer.lost)} rows"
        price = f"{words.count(offer.wanted)} the model answers {one.outcome}, {words.count(offer.against)} as the rule"
        button(f"{text} ({price})", lambda: self._take(offer, one), "re-chip small", title=offer.edit)

    def _take(self, offer: Exclusion, one: Counterexample) -> None:
        self.page.reason = self.page.reason or f"counterexample: {one.reason}"
        self.page.compose(offer.edit)
        ui.timer(0.01, lambda: self.page.try_out(offer.edit), once=True)

    def _ask(self, one: Counterexample, rule: Rule, line: Tag) -> None:
        """Ask why it is taken back: the reason stands in the audit."""
        line.clear()
        with line:
            why = reason_field(self.page)
            button("Take it back", lambda: self._withdraw(one, problem))
            button("Cancel", lambda: self._choices(one, rule, line))
            problem = Tag("p", "", "re-problem", role="alert")
        why.on("keydown.enter", lambda: self._withdraw(one, problem), args=[])
        why.focus()

    def _withdraw(self, one: Counterexample, problem: Tag) -> None:
        place, reason = self.page.place, self.page.reason.strip()
        if not reason:
            problem.say("Say why: the reason stands in the audit.")
            return
        try:
            by = place.actor.acting(WITHDRAW)
            place.workspace.counterexamples.withdraw(one.ruleset, one.id, reason, by=by)
        except RuleEditError as refused:
            problem.say(str(refused))
            return
        ui.navigate.reload()

    # --- at the side ----------------------------------------------------------------------------

    def build(self) -> None:
        """Make room where the caller stands for what a draft does to the counterexamples."""
        self.summary = Tag("div", aria_live="polite")

    def show(self, draft: Draft) -> None:
        """Say how many a draft answers as asked, and which of them an edit loses."""
        if not self.answers.found or self.summary is None:
            return
        said = self.answers.by(draft)
        right = sum(said[one.id] == one.outcome for one in self.answers.found)
        lost = [one for one in self.answers.found if said[one.id] != one.outcome == self.kept[one.id]]
        with self.summary.again():
            every = len(self.answers.found)
            drawn(
                "p", f"Counterexamples: {right} of {every} answered as asked", "re-good" if right == every else "quiet"
            )
            for one in lost:
                text = f"A counterexample to {one.rule} is answered {said[one.id]} again: {one.reason}"
                drawn("p", text, "re-note", role="status")


def listed(place: Place) -> None:
    """All counterexamples with who asked for them, when and why, the ones taken back included."""
    found = place.workspace.counterexamples.of(place.record.id)["items"]
    if not found:
        return
    schema = place.draft.schema
    with Tag("article", look="re-card", aria_label="Counterexamples"):
        Tag("h2", f"{len(found)} counterexample{'' if len(found) == 1 else 's'}")
        for one in found:
            with Tag("p"):
                link(f"A row of {one['rule']}", f"/r/{one['ruleset']}/what-if?case={one['id']}")
                Tag("span", " should be ")
                outcome(schema, schema.classes.index(one["outcome"]))
                Tag("span", f": {one['reason']}")
                who = f" {one['author'] or 'nobody named'} · {one['created'][:16].replace('T', ' ')} UTC"
                state = "answered as asked" if one["answered"] else f"the draft says {one['decided']}"
                Tag("span", f"{who} · {'taken back' if one['withdrawn'] else state}", "quiet small")
