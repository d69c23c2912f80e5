"""The main page: the rules as sentences, each clause a chip that opens in place, the impact always in view."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import RuleEditError
from ruleedit.rules import Clause, Rule
from service.workbench import overview, telling, words
from service.workbench.acts import RuleAct
from service.workbench.cards import Card, default
from service.workbench.cases import Cases
from service.workbench.composer import Composer
from service.workbench.editor import ClauseEditor
from service.workbench.frame import EDIT, Place, focus_rule, framed
from service.workbench.impact import Panel
from service.workbench.tags import Field, Tag, button, choice, drawn, empty, outcome
from service.workspace.insight import Decided, Effect, Reach

#: So many rules are drawn at once; the others come on request, or by the search.
AT_ONCE = 40
#: So many features are offered for a new clause; a search finds the others.
MOST_FEATURES = 60
#: How rules can be sorted to be looked at; their own order is the one that decides.
ORDERS: Mapping[str, Callable[[Decided], float]] = {
    "most rows first": lambda found: -found.covered,
    "least agreement first": lambda found: 1.0 if found.agrees is None else found.agrees,
}


@dataclass(frozen=True)
class Tried:
    """What an edit that isn't committed would do: the draft with it, its effect, the rule's reach, what to warn of."""

    draft: Draft
    effect: Effect
    reach: Reach | None
    warnings: tuple[str, ...]
    seconds: float


class RulesPage:
    """The rules of one rule set, for one browser window."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.reason = ""
        self.search = ""
        self.formal = False
        self.only = ""
        self.order = ""
        self.grouped = False
        self.editor: ClauseEditor | None = None
        self.open_card: Card | None = None
        self.open_chip: tuple[Tag, str] | None = None
        self.chosen: tuple[str, str] | None = None
        self._wanted: list[str | None] = []
        self._trying = False
        self._warned: telling.Warned | None = None
        self.figures: dict[str, Decided] = {}
        self.tags: dict[str, list[tuple[str, str]]] = {}

    async def build(self) -> None:
        """Draw the page."""
        await asyncio.to_thread(self._read)
        with framed(self.place, "Rules", side=True) as aside:
            assert aside is not None
            self.head = Tag("div", look="re-title")
            overview.draw(self.place.draft, self.figures, self._go)
            self._tools()
            self.composer = Tag("div")
            self.cards = Tag("div")
            self.cards.on("keydown.escape", self.close, args=[])
            with aside:
                self.cases.build()
                self.panel = Panel(self.place, Tag("div"), regrouped=self.present)
        ui.on("move_rule", lambda event: self._moved(**event.args))
        self._draw()
        self.present()

    # --- reading ----------------------------------------------------------------------------------

    def _read(self) -> None:
        draft = self.place.draft
        self.lens = self.place.lens()
        self.figures = {one.rule: one for one in self.lens.decided(draft)}
        self.tags = telling.tags(draft)
        self.cases = Cases(self)

    def present(self) -> None:
        """Show the effect of the draft as it is kept."""
        self.panel.show(self.place.draft, *self._effect(self.place.draft))
        self.cases.show(self.place.draft)

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
            choice(orders, self.order, self._sort, "short", aria_label="Sort the rules")
            groups = [("", "all together"), ("outcome", "grouped by outcome")]
            choice(groups, "", self._group, "short", aria_label="Group the rules")
            button("New rule", lambda: self.compose("new IF "))
            button("Type an edit", lambda: self.compose(""))

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
                made = button(text, lambda value=value: choose(value), "", aria_pressed=pressed, title=text)
                buttons.append((made, value))

    def _sort(self, order: str) -> None:
        self.order = order
        self._draw()

    def _group(self, group: str) -> None:
        self.grouped = bool(group)
        self._draw()

    def _find(self, text: str) -> None:
        self.search = text.lower()
        self._draw()

    def _title(self) -> None:
        self.head.clear()
        draft = self.place.draft
        with self.head:
            every = len(draft.rules.rules)
            Tag("h1", f"{words.many(every, 'rule')} describe{'s' if every == 1 else ''} the model")
            Tag("span", telling.origin(draft), "quiet")

    # --- the cards ----------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Draw all cards anew."""
        self.editor, self.chosen = None, None
        self._title()
        self.cards.clear()
        self.shown: dict[str, Card] = {}
        self._headed = -1
        with self.cards:
            self.listed = Tag("div")
            self.rest = Tag("div")
            default(self)
        self._show_more(AT_ONCE)

    def _found(self) -> list[tuple[int, Rule]]:
        """The rules that are asked for, with their places, as they are to be listed."""
        found = [(place, rule) for place, rule in enumerate(self.place.draft.rules, start=1) if self._is_wanted(rule)]
        if self.order:
            found.sort(key=lambda pair: ORDERS[self.order](self.figures[pair[1].id]))
        if self.grouped:
            found.sort(key=lambda pair: self._class(pair[1]))
        return found

    def _class(self, rule: Rule) -> int:
        """The place of a rule's class; what says `model` comes last."""
        classes = self.place.draft.schema.classes
        top = rule.outcome.top(classes)
        return len(classes) if top is None else classes.index(top)

    def _show_more(self, more: int) -> None:
        """Draw so many further cards behind those that stand."""
        found, draft = self._found(), self.place.draft
        with self.listed:
            for place, rule in found[len(self.shown) : len(self.shown) + more]:
                if self.grouped:
                    self._heading(rule, found)
                self.shown[rule.id] = card = Card(self, place, rule)
                card.build()
        self.rest.clear()
        with self.rest:
            left = len(found) - len(self.shown)
            if left:
                button(f"Show {min(left, AT_ONCE)} of {left} more", lambda: self._show_more(AT_ONCE))
            if not found and draft.rules.rules:
                empty("No rule is like this.", "Another word finds others; All shows every rule.")

    def _heading(self, rule: Rule, found: Sequence[tuple[int, Rule]]) -> None:
        """Say which group begins, where one does."""
        at = self._class(rule)
        if self._headed == at:
            return
        self._headed = at
        ours = [one for _, one in found if self._class(one) == at]
        rows = sum(self.figures[one.id].covered for one in ours)
        schema = self.place.draft.schema
        with Tag("h2", look="re-group"):
            if at < len(schema.classes):
                outcome(schema, at)
            else:
                Tag("span", "left to the model")
            Tag("span", f"{len(ours)} rules, {words.count(rows)} rows", "quiet small")

    def _go(self, name: str) -> None:
        """Bring a rule's card into view and the keyboard to it, drawn as far as needed."""
        found = [rule.id for _, rule in self._found()]
        if name in found:
            self._show_more(max(0, found.index(name) + 1 - len(self.shown)))
            focus_rule(name)

    def _is_wanted(self, rule: Rule) -> bool:
        if self.only == "edited" and not rule.asserted:
            return False
        if self.only.startswith("class ") and self.only[6:] not in rule.outcome.classes:
            return False
        said = f"{rule.id} {rule} {' '.join(map(words.clause, rule.clauses))}".lower()
        return all(word in said for word in self.search.split())

    # --- editing ------------------------------------------------------------------------------------

    def _room(self, card: Card) -> Tag:
        """The place under a rule where an editor opens; any other one is closed."""
        self.close()
        card.card.classes(add="chosen")
        self.open_card = card
        return card.room

    def close(self) -> None:
        """Close what is open and show the draft's own effect again."""
        card, chip = self.open_card, self.open_chip
        self.open_card = self.open_chip = self.editor = None
        if card is None or card.card.is_deleted:
            return
        card.card.classes(remove="chosen")
        card.room.clear()
        if chip is not None:
            chip[0].put(aria_expanded="false")
            chip[0].clear()
            chip[0].say(chip[1])
            ui.run_javascript(f"document.getElementById('c{chip[0].id}')?.focus()")
        else:
            focus_rule(card.rule.id)
        self.present()

    def open(self, card: Card, one: Clause, chip: Tag, text: str) -> None:
        """Open a clause's editor under its rule; pressed again it closes."""
        if self.chosen == (card.rule.id, str(one)) and self.editor is not None:
            self.close()
            return
        room = self._room(card)
        self.chosen = (card.rule.id, str(one))
        chip.put(aria_expanded="true")
        self.open_chip = (chip, text)

        def shown(new: str) -> None:
            chip.say("" if new else text)
            with chip.again():
                if new:
                    same, old, now = words.parted(text, new)
                    drawn("span", same)
                    drawn("s", old)
                    drawn("b", now)

        with room:
            self.editor = ClauseEditor(self, card.rule, one, self.place.draft.schema.feature(one.feature), shown)
            self.editor.build()

    def choose_feature(self, card: Card) -> None:
        """Ask which feature a new clause is about; of many a search finds it."""
        room = self._room(card)

        def offer(wanted: str) -> None:
            found = [
                one.name for one in self.place.draft.schema.features if wanted.lower() in words.name(one.name).lower()
            ]
            offered.clear()
            with offered:
                for name in found[:MOST_FEATURES]:
                    button(words.name(name), lambda name=name: self._add(card, name, room), "re-chip")
                if len(found) > MOST_FEATURES:
                    Tag("span", f"{len(found) - MOST_FEATURES} more; search for them.", "quiet small")

        with room, Tag("div", look="re-editor"):
            with Tag("div", look="re-line"):
                search = Field("search", "", offer, placeholder="Which feature?", aria_label="Which feature?")
                button("Cancel", self.close, "re-button plain")
            offered = Tag("div", look="re-says")
        offer("")
        search.focus()

    def _add(self, card: Card, name: str, room: Tag) -> None:
        room.clear()
        with room:
            self.editor = ClauseEditor(self, card.rule, None, self.place.draft.schema.feature(name))
            self.editor.build()

    def act(self, card: Card, verb: str) -> None:
        """Ask why, and where it matters what then, before a whole rule is changed."""
        room = self._room(card)
        with room:
            RuleAct(self, card.rule, verb).build()

    def _moved(self, rule: str, verb: str) -> None:
        """Somebody pressed Alt and an arrow on a rule."""
        if rule in self.shown and verb in ("up", "down"):
            self.act(self.shown[rule], verb)

    def compose(self, text: str) -> None:
        """Let somebody type an edit."""
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
        self.cases.show(found.draft)
        if self.editor is not None:
            self.editor.tell(found.reach)
            self.editor.complain("; ".join(found.warnings))

    def _tried(self, text: str, rule: str) -> Tried:
        began = time.perf_counter()
        draft = edit(self.place.draft, [text], reason="tried", author="")
        found, _ = self._effect(draft)
        reached = self.lens.reach(self.place.draft, draft, rule) if rule else None
        seconds = time.perf_counter() - began
        if not rule:
            return Tried(draft, found, reached, (), seconds)
        # Of 500 rules it takes as long as the effect: in this thread it holds up nobody else's page.
        self._warned = self._warned or telling.Warned.of(self.place.draft)
        return Tried(draft, found, reached, tuple(telling.new_warnings(self._warned, draft)), seconds)

    def commit(self, text: str, reason: str, complain: Callable[[str], None]) -> bool:
        """Make an edit as one step; what is wrong is said where the edit is made, by ``complain``."""
        try:
            by = self.place.actor.acting(EDIT)
            made = self.place.workspace.edit(
                self.place.record.id, self.place.draft.revision, [text], reason=reason, by=by
            )
        except RuleEditError as problem:
            complain(str(problem))
            return False
        self.editor = None
        # The page is drawn anew with the edit in it; the keyboard goes to the rule that it was at or that is new.
        known = self.place.draft.rules.ids
        new = next((rule["id"] for rule in made["rules"] if rule["id"] not in known), "")
        at = new if self.open_card is None else self.open_card.rule.id
        ui.run_javascript(f"sessionStorage.setItem('rule', {json.dumps(at)})")
        ui.navigate.reload()
        return True
