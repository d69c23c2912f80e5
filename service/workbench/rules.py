"""The main page: the rules as sentences, each clause a chip that opens in place, the impact always in view."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import RuleEditError
from ruleedit.rules import Clause, Rule
from service.insight import Decided, Effect, Reach
from service.workbench import telling, words
from service.workbench.acts import RuleAct
from service.workbench.composer import Composer
from service.workbench.editor import ClauseEditor
from service.workbench.frame import EDIT, Place, framed
from service.workbench.impact import Panel
from service.workbench.tags import Field, Tag, bar, button, choice, empty, outcome

#: So many rules are drawn at once; the others come on request, or by the search.
AT_ONCE = 60
#: How rules can be sorted to be looked at; their own order is the one that decides.
ORDERS: Mapping[str, Callable[[Decided], float]] = {
    "most rows first": lambda found: -found.covered,
    "least agreement first": lambda found: 1.0 if found.agrees is None else found.agrees,
}


@dataclass(frozen=True)
class Tried:
    """What an edit that isn't committed would do: the draft with it, its effect, and the rule's reach."""

    draft: Draft
    effect: Effect
    reach: Reach | None
    seconds: float


class RulesPage:
    """The rules of one rule set, for one browser window."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.reason = ""
        self.search = ""
        self.formal = False
        self.only = ""
        self.at_once = AT_ONCE
        self.order = ""
        self.editor: ClauseEditor | None = None
        self.open_card: Tag | None = None
        self.open_chip: tuple[Tag, str] | None = None
        self.chosen: tuple[str, str] | None = None
        self._wanted: list[str | None] = []
        self._trying = False
        self.figures: dict[str, Decided] = {}
        self.tags: dict[str, list[tuple[str, str]]] = {}

    def build(self) -> None:
        """Draw the page."""
        with framed(self.place, "Rules", side=True) as aside:
            assert aside is not None
            self.head = Tag("div")
            self._tools()
            self.composer = Tag("div")
            self.cards = Tag("div")
            self.panel = Panel(self.place, aside, regrouped=self.present)
        self._read()
        self._draw()
        self.present()

    # --- reading ----------------------------------------------------------------------------------

    def _read(self) -> None:
        draft = self.place.draft
        self.lens = self.place.lens()
        self.figures = {one.rule: one for one in self.lens.decided(draft)}
        self.tags = telling.tags(draft)

    def present(self) -> None:
        """Show the effect of the draft as it is kept."""
        self.panel.show(self.place.draft, *self._effect(self.place.draft))

    def _effect(self, draft: Draft) -> tuple[Effect, float]:
        began = time.perf_counter()
        found = self.lens.effect(draft)
        return found, time.perf_counter() - began

    # --- the head ---------------------------------------------------------------------------------

    def _tools(self) -> None:
        with Tag("div", look="re-tools"):
            said = "Search rules, features, values"
            Field("search", "", self._find, look="re-input grow", placeholder=said, aria_label=said)
            self._switch("Wording", (("Sentences", False), ("Formal", True)), "formal")
            kinds = [("All", ""), ("Edited", "edited")]
            if len(self.place.draft.schema.classes) <= 4:
                kinds[1:1] = [(name, f"class {name}") for name in self.place.draft.schema.classes]
            self._switch("Which rules", kinds, "only")
            orders = [("", "in their order"), *((name, name) for name in ORDERS)]
            choice(orders, self.order, self._sort, aria_label="Sort the rules")
            button("New rule", lambda: self._compose("new IF "))
            button("Type an edit", lambda: self._compose(""))

    def _switch(self, name: str, choices: Sequence[tuple[str, Any]], attribute: str) -> None:
        buttons: list[tuple[Tag, Any]] = []

        def choose(value: Any) -> None:
            setattr(self, attribute, value)
            for made, own in buttons:
                made.put(aria_pressed="true" if own == value else "false")
            self._draw()

        with Tag("div", look="re-switch", role="group", aria_label=name):
            for text, value in choices:
                pressed = "true" if getattr(self, attribute) == value else "false"
                buttons.append((button(text, lambda value=value: choose(value), "", aria_pressed=pressed), value))

    def _sort(self, order: str) -> None:
        self.order = order
        self._draw()

    def _find(self, text: str) -> None:
        self.search = text.lower()
        self.at_once = AT_ONCE
        self._draw()

    def _title(self) -> None:
        self.head.clear()
        draft = self.place.draft
        with self.head:
            Tag("h1", f"{len(draft.rules.rules)} rules describe the model", "beside")
            Tag("span", telling.origin(draft), "quiet")

    # --- the cards ----------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Draw all cards anew."""
        self.editor, self.chosen = None, None
        self._title()
        self.cards.clear()
        draft = self.place.draft
        found = [(place, rule) for place, rule in enumerate(draft.rules, start=1) if self._is_wanted(rule)]
        if self.order:
            found.sort(key=lambda pair: ORDERS[self.order](self.figures[pair[1].id]))
        with self.cards:
            for place, rule in found[: self.at_once]:
                self._card(place, rule)
            if len(found) > self.at_once:
                more = len(found) - self.at_once
                button(f"Show {min(more, AT_ONCE)} of {more} more", self._more)
            if not found and draft.rules.rules:
                empty("No rule is like this.", "Another word finds others; All shows every rule.")
            self._default()

    def _more(self) -> None:
        self.at_once += AT_ONCE
        self._draw()

    def _is_wanted(self, rule: Rule) -> bool:
        if self.only == "edited" and not rule.asserted:
            return False
        if self.only.startswith("class ") and self.only[6:] not in rule.outcome.classes:
            return False
        said = f"{rule.id} {rule} {' '.join(map(words.clause, rule.clauses))}".lower()
        return all(word in said for word in self.search.split())

    def _card(self, place: int, rule: Rule) -> None:
        look = "re-card" if rule.enabled else "re-card off"
        with Tag("article", look=look, data_rule=rule.id, aria_label=f"Rule {rule.id}") as card:
            with Tag("div", look="re-rule"):
                Tag("div", str(place), "place", title=rule.id)
                with Tag("div", look="re-says"):
                    self._sentence(rule, card)
                    for text, kind in self.tags.get(rule.id, []):
                        Tag("span", text, f"re-tag {kind}")
            self._says(rule, card)
            Tag("div", look="editor-place")

    def _sentence(self, rule: Rule, card: Tag) -> None:
        Tag("span", "IF", "word")
        for number, one in enumerate(rule.clauses):
            if number:
                Tag("span", "AND", "word")
            self._chip(rule, one, card)
        add = button("+ clause", lambda: None, "re-chip add", aria_label=f"Add a clause to {rule.id}")
        add.on("click", lambda: self._choose_feature(rule, card), args=[])
        Tag("span", "THEN", "word")
        self._outcome(rule, card)

    def _chip(self, rule: Rule, one: Clause, card: Tag) -> None:
        text = str(one) if self.formal else words.clause(one)
        chip = button(text, lambda: None, "re-chip formal" if self.formal else "re-chip", aria_expanded="false")
        if str(one) != text:
            chip.put(title=str(one))
        chip.on("click", lambda: self._open(rule, one, card, chip), args=[])

    def _outcome(self, rule: Rule, card: Tag) -> None:
        schema = self.place.draft.schema
        top = rule.outcome.top(schema.classes)
        if top is None:
            text, look = "leave it to the model", "re-chip"
        else:
            place = schema.classes.index(top)
            text, look = f"{words.shape(place)} {rule.outcome}", f"re-chip re-outcome c{words.colour(place)}"
        button(text, lambda: self._act(rule, card, "then"), look, aria_label=f"Outcome of {rule.id}: {rule.outcome}")

    def _acts(self, rule: Rule, card: Tag) -> None:
        with Tag("div", look="re-acts"):
            for text, verb in (
                ("Up", "up"),
                ("Down", "down"),
                ("Copy", "duplicate"),
                ("Disable" if rule.enabled else "Enable", "disable" if rule.enabled else "enable"),
                ("Remove", "remove"),
            ):
                button(text, lambda verb=verb: self._act(rule, card, verb), "", aria_label=f"{text} {rule.id}")
            if not rule.asserted:
                button("Confirm", lambda: self._act(rule, card, "confirm"), "", aria_label=f"Confirm {rule.id}")

    def _says(self, rule: Rule, card: Tag) -> None:
        found = self.figures[rule.id]
        rows = self.place.opened.table.rows
        with Tag("div", look="re-figures"):
            if not rule.enabled:
                Tag("span", "disabled: its rows go to the rules below")
                self._acts(rule, card)
                return
            share = found.covered / max(len(rows), 1)
            top = rule.outcome.top(self.place.draft.schema.classes)
            tint = "" if top is None else f"b{words.colour(self.place.draft.schema.classes.index(top))}"
            bar(share, tint)
            Tag("span", f"decides {words.count(found.covered)} rows ({words.share(share)})")
            if found.agrees is not None:
                Tag("span", f"model agrees on {words.share(found.agrees, 0)}")
            why = telling.why(self.place.draft, rule)
            if why:
                Tag("span", f"why: {why}")
            self._acts(rule, card)

    def _default(self) -> None:
        draft = self.place.draft
        found = self.figures[""]
        top = draft.rules.default.top(draft.schema.classes)
        with Tag("article", look="re-card", aria_label="Default outcome"):
            with Tag("div", look="re-rule"):
                Tag("div", "", "place")
                with Tag("div", look="re-says"):
                    Tag("span", "OTHERWISE", "word")
                    if top is not None:
                        outcome(draft.schema, draft.schema.classes.index(top))
            share = found.covered / max(len(self.place.opened.table.rows), 1)
            with Tag("div", look="re-figures"):
                bar(share)
                Tag("span", f"decides {words.count(found.covered)} rows ({words.share(share)})")
                if found.agrees is not None:
                    Tag("span", f"model agrees on {words.share(found.agrees, 0)}")
        telling.unexplained(draft)

    # --- editing ------------------------------------------------------------------------------------

    def _room(self, card: Tag) -> Tag:
        """The place under a rule where an editor opens; any other one is closed."""
        self.close()
        card.classes(add="chosen")
        self.open_card = card
        found = list(card)[-1]
        assert isinstance(found, Tag)
        return found

    def close(self) -> None:
        """Close what is open and show the draft's own effect again."""
        card, chip = self.open_card, self.open_chip
        if card is not None and not card.is_deleted:
            card.classes(remove="chosen")
            list(card)[-1].clear()
        if chip is not None and not chip[0].is_deleted:
            chip[0].put(aria_expanded="false")
            chip[0].clear()
            chip[0].say(chip[1])
            ui.run_javascript(f"document.getElementById('c{chip[0].id}')?.focus()")
        self.open_card = self.open_chip = None
        if self.editor is not None:
            self.editor = None
            self.present()

    def _open(self, rule: Rule, one: Clause, card: Tag, chip: Tag) -> None:
        if self.chosen == (rule.id, str(one)) and self.editor is not None:
            self.close()
            return
        room = self._room(card)
        self.chosen = (rule.id, str(one))
        chip.put(aria_expanded="true")
        text = str(one) if self.formal else words.clause(one)
        self.open_chip = (chip, text)

        def shown(new: str) -> None:
            chip.clear()
            chip.say("" if new else text)
            if new:
                with chip:
                    Tag("s", text)
                    Tag("b", new)

        with room:
            self.editor = ClauseEditor(self, rule, one, self.place.draft.schema.feature(one.feature), shown)
            self.editor.build()

    def _choose_feature(self, rule: Rule, card: Tag) -> None:
        room = self._room(card)
        with room, Tag("div", look="re-editor"):
            Tag("p", "Which feature?", "quiet")
            with Tag("div", look="re-says"):
                for feature in self.place.draft.schema.features:
                    button(words.name(feature.name), lambda name=feature.name: self._add(rule, name, room), "re-chip")
                button("Cancel", self.close, "re-button plain")

    def _add(self, rule: Rule, name: str, room: Tag) -> None:
        room.clear()
        with room:
            self.editor = ClauseEditor(self, rule, None, self.place.draft.schema.feature(name))
            self.editor.build()
        self.editor.shown = lambda text: None

    def _act(self, rule: Rule, card: Tag, verb: str) -> None:
        """Ask why, and where it matters what then, before a whole rule is changed."""
        room = self._room(card)
        with room:
            RuleAct(self, rule, verb).build()

    def _compose(self, text: str) -> None:
        self.close()
        self.composer.clear()
        with self.composer:
            Composer(self, text).build()

    async def try_out(self, text: str | None) -> None:
        """Show the effect of an edit without making it; of several in a row the last is shown."""
        self._wanted.append(text)
        if self._trying:
            return
        self._trying = True
        try:
            while self._wanted:
                text = self._wanted[-1]
                self._wanted.clear()
                await self._try(text)
        finally:
            self._trying = False

    async def _try(self, text: str | None) -> None:
        if text is None:
            self.present()
            if self.editor is not None:
                self.editor.tell(None)
            return
        editor = self.editor
        rule = editor.rule.id if editor is not None else ""
        try:
            found = await asyncio.to_thread(self._tried, text, rule)
        except RuleEditError as problem:
            if self.editor is not None:
                self.editor.complain(str(problem))
            return
        if self.editor is not editor:
            # It was closed meanwhile: the draft's own effect stands there again.
            return
        self.panel.show(found.draft, found.effect, found.seconds, text)
        if self.editor is not None:
            self.editor.tell(found.reach)
            self.editor.complain("; ".join(telling.new_warnings(self.place.draft, found.draft)))

    def _tried(self, text: str, rule: str) -> Tried:
        began = time.perf_counter()
        draft = edit(self.place.draft, [text], reason="tried", author="")
        found, _ = self._effect(draft)
        reached = self.lens.reach(self.place.draft, draft, rule) if rule else None
        return Tried(draft, found, reached, time.perf_counter() - began)

    def commit(self, text: str, reason: str) -> bool:
        """Make an edit as one step; what is wrong is said where the edit is made."""
        try:
            by = self.place.actor.acting(EDIT)
            self.place.workspace.edit(self.place.record.id, self.place.draft.revision, [text], reason=reason, by=by)
        except RuleEditError as problem:
            if self.editor is not None:
                self.editor.complain(str(problem))
            else:
                ui.notify(str(problem), type="warning", multi_line=True)
            return False
        self.editor = None
        ui.navigate.reload()
        return True
