"""One rule as a card: a sentence of chips, what it decides, why it is there, what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui.events import GenericEventArguments

from ruleedit.rules import Clause, Rule
from service.workbench import telling, words
from service.workbench.tags import Tag, bar, button, link, outcome

if TYPE_CHECKING:
    from service.workbench.rules import RulesPage

#: What can be done with a whole rule: the verb, and what its button says.
ACTS = (("up", "Up"), ("down", "Down"), ("duplicate", "Copy"), ("remove", "Remove"))


class Card:
    """The card of one rule; ``place`` counts from 1, as the rules decide."""

    def __init__(self, page: RulesPage, place: int, rule: Rule) -> None:
        self.page, self.place, self.rule = page, place, rule

    def build(self) -> Tag:
        """Draw it where the caller stands."""
        look = "re-card" if self.rule.enabled else "re-card off"
        with Tag("article", look=look, data_rule=self.rule.id, aria_label=f"Rule {self.rule.id}") as self.card:
            with Tag("div", look="re-rule"):
                with Tag("div", str(self.place), "place"):
                    Tag("span", self.rule.id, "quiet small")
                with Tag("div", look="re-says"):
                    self._sentence()
                    for text, kind in self.page.tags.get(self.rule.id, []):
                        self._tag(text, kind)
                self._more = button(
                    "⋯", self.toggle, "re-more", aria_label=f"Actions for {self.rule.id}", aria_expanded="false"
                )
            self._figures()
            self.acts = Tag("div", look="re-acts")
            self.page.cases.beside(self.rule)
            self.room = Tag("div", look="editor-place")
        return self.card

    def _sentence(self) -> None:
        Tag("span", "IF", "word")
        for number, one in enumerate(self.rule.clauses):
            if number:
                Tag("span", "AND", "word")
            self._chip(one)
        add = f"Add a clause to {self.rule.id}"
        button("+ clause", lambda: self.page.choose_feature(self), "re-chip add", aria_label=add)
        Tag("span", "THEN", "word")
        self._outcome()

    def _chip(self, one: Clause) -> None:
        formal = self.page.formal
        text = str(one) if formal else words.clause(one)
        chip = button(text, lambda: None, "re-chip formal" if formal else "re-chip", aria_expanded="false")
        if str(one) != text:
            chip.put(title=str(one))

        def pressed(said: GenericEventArguments) -> None:
            self.page.open(self, one, chip, text)
            if not said.args["detail"] and self.page.editor is not None:
                # No button of a mouse: it was opened by keyboard, which goes on inside.
                self.page.editor.focus()

        chip.on("click", pressed, args=["detail"])

    def _outcome(self) -> None:
        schema, rule = self.page.place.draft.schema, self.rule
        top = rule.outcome.top(schema.classes)
        if top is None:
            text, look = "leave it to the model", "re-chip"
        else:
            place = schema.classes.index(top)
            said = str(rule.outcome) if self.page.formal else words.outcome(rule.outcome)
            text, look = f"{words.shape(place)} {said}", f"re-chip re-outcome c{words.colour(place)}"
        said = f"Outcome of {rule.id}: {rule.outcome}"
        button(text, lambda: self.page.act(self, "then"), look, aria_label=said)

    def _figures(self) -> None:
        with Tag("div", look="re-figures"):
            if self.rule.enabled:
                figures(self.page, self.rule.id, self.rule.outcome.top(self.page.place.draft.schema.classes))
            else:
                Tag("span", "disabled: its rows go to the rules below")
            why = telling.why(self.page.place.draft, self.rule)
            if why:
                Tag("span", f"why: {why}")

    def _tag(self, text: str, kind: str) -> None:
        if kind == "conflict":
            # What is in the way leads to where it is settled.
            link(text, f"/r/{self.page.place.record.id}/conflicts", "re-tag conflict")
        else:
            Tag("span", text, f"re-tag {kind}")

    def toggle(self) -> None:
        """Show or hide what can be done with the whole rule: six buttons on each of 500 cards are too many."""
        shown = bool(list(self.acts))
        self._more.put(aria_expanded="false" if shown else "true")
        if shown:
            self.acts.clear()
            return
        rule = self.rule
        more = [*ACTS[:3], ("disable", "Disable") if rule.enabled else ("enable", "Enable"), *ACTS[3:]]
        if not rule.asserted:
            more.append(("confirm", "Confirm"))
        with self.acts:
            for verb, text in more:
                button(text, lambda verb=verb: self.page.act(self, verb), "", aria_label=f"{text} {rule.id}")


def figures(page: RulesPage, rule: str, top: str | None) -> None:
    """How many rows a rule, or the default under ``""``, decides, and on how many the model agrees."""
    found, schema = page.figures[rule], page.place.draft.schema
    share = found.covered / max(len(page.place.opened.table.rows), 1)
    bar(share, "" if top is None else f"b{words.colour(schema.classes.index(top))}")
    Tag("span", f"decides {words.count(found.covered)} rows ({words.share(share)})")
    if found.agrees is not None:
        Tag("span", f"model agrees on {words.share(found.agrees, 0)}")


def default(page: RulesPage) -> None:
    """The card of what holds where no rule does, and of what the rules do not explain."""
    draft = page.place.draft
    top = draft.rules.default.top(draft.schema.classes)
    with Tag("article", look="re-card", aria_label="Default outcome"):
        with Tag("div", look="re-rule"):
            Tag("div", "", "place")
            with Tag("div", look="re-says"):
                Tag("span", "OTHERWISE", "word")
                if top is not None:
                    outcome(draft.schema, draft.schema.classes.index(top))
        with Tag("div", look="re-figures"):
            figures(page, "", None)
    telling.unexplained(draft)
