"""The main page: the rules as sentences, each clause a chip that opens in place, the impact always in view."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from ruleedit.conflicts import open_conflicts
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import RuleEditError
from ruleedit.rules import Clause, Outcome, Rule
from service.insight import Effect, Lens, Reach, RuleFigures, reach, rule_figures
from service.workbench import words
from service.workbench.completion import completed, completions
from service.workbench.editor import ClauseEditor, reason_field
from service.workbench.frame import EDIT, Place, framed
from service.workbench.impact import Panel
from service.workbench.tags import Field, Tag, bar, button, choice, empty, outcome

#: So many rules are drawn at once; the others come on request, or by the search.
AT_ONCE = 60
#: How rules can be sorted to be looked at; their own order is the one that decides.
ORDERS: Mapping[str, Callable[[RuleFigures], float]] = {
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
        self.figures: dict[str, RuleFigures] = {}
        self.tags: dict[str, list[tuple[str, str]]] = {}

    def build(self) -> None:
        """Draw the page."""
        with framed(self.place, "Rules", side=True) as aside:
            assert aside is not None
            self.head = Tag("div")
            self._tools()
            self.composer = Tag("div")
            self.cards = Tag("div")
            self.panel = Panel(self.place, aside, regrouped=self._present)
        self._read()
        self._draw()
        self._present()

    # --- reading ----------------------------------------------------------------------------------

    def _read(self) -> None:
        draft, table = self.place.draft, self.place.opened.table
        self.figures = {one.rule: one for one in rule_figures(draft, table.rows, table.outcomes)}
        self.tags = _tags(draft)
        self.lens = Lens(draft, table.rows, table.outcomes, table.truth)

    def _present(self) -> None:
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
            Tag("span", _origin(draft), "quiet")

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
            why = _why(self.place.draft, rule)
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
        _unexplained(draft)

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
            self._present()

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
            self._present()
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
            self.editor.complain("; ".join(_new_warnings(self.place.draft, found.draft)))

    def _tried(self, text: str, rule: str) -> Tried:
        began, table = time.perf_counter(), self.place.opened.table
        draft = edit(self.place.draft, [text], reason="tried", author="")
        found, _ = self._effect(draft)
        reached = reach(self.place.draft, draft, rule, table.rows, table.outcomes) if rule else None
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


#: What a change of a whole rule is, in words.
ACTS = {
    "up": "Move it before the rule above",
    "down": "Move it behind the rule below",
    "duplicate": "Make a disabled copy behind it",
    "disable": "Disable it",
    "enable": "Enable it",
    "remove": "Remove it",
    "confirm": "Confirm it: the model must answer so",
    "then": "Its outcome becomes",
}


class RuleAct:
    """Moves, copies, disables, removes or confirms a rule, or changes its outcome, with a reason."""

    def __init__(self, page: RulesPage, rule: Rule, verb: str) -> None:
        self.page, self.rule, self.verb = page, rule, verb
        self.choice = ""

    def build(self) -> None:
        """Draw it where the caller stands."""
        with Tag("div", look="re-editor") as around:
            around.on("keydown.escape", self.page.close, args=[])
            with Tag("div", look="re-line"):
                Tag("span", ACTS[self.verb])
                if self.verb in ("then", "remove", "disable"):
                    self._choices()
            self.problem = Tag("p", "", "re-problem", role="alert")
            with Tag("div", look="re-line"):
                why = reason_field(self.page)
                why.on("keydown.enter", self.apply, args=[])
                button("Apply", self.apply, "re-button first")
                button("Cancel", self.page.close)
        why.focus()
        if self.text() is not None:
            ui.timer(0.01, lambda: self.page.try_out(self.text()), once=True)

    def _choices(self) -> None:
        classes = self.page.place.draft.schema.classes
        if self.verb != "then":
            Tag("span", "and its rows go to", "quiet")
        options = [(str(place), f"{words.shape(place)} {name}") for place, name in enumerate(classes)]
        first = [] if self.verb == "then" else [("", "the rules below")]
        choice([*first, *options, ("model", "the model")], "", self._chosen, aria_label="Outcome")
        if self.verb == "then":
            self.choice = _class_text(classes[0])

    async def _chosen(self, value: str) -> None:
        classes = self.page.place.draft.schema.classes
        self.choice = _class_text(classes[int(value)]) if value.isdigit() else value
        await self.page.try_out(self.text())

    def text(self) -> str | None:
        """The edit as text; None where there is nothing to move past."""
        rules = [rule.id for rule in self.page.place.draft.rules]
        at = rules.index(self.rule.id)
        if self.verb == "up":
            return f"move {self.rule.id} before {rules[at - 1]}" if at else None
        if self.verb == "down":
            return f"move {self.rule.id} after {rules[at + 1]}" if at + 1 < len(rules) else None
        if self.verb == "then":
            return f"then {self.rule.id} {self.choice}"
        left = f" otherwise {self.choice}" if self.choice else ""
        return f"{self.verb} {self.rule.id}{left}"

    def apply(self) -> None:
        """Make the edit."""
        text = self.text()
        if text is None:
            self.problem.say("There is no rule to move it past.")
        elif not self.page.reason.strip():
            self.problem.say("Say why: the reason stands in the history beside the edit.")
        else:
            self.page.commit(text, self.page.reason)


class Composer:
    """An edit as text, with what can come next and what is wrong while it is typed."""

    def __init__(self, page: RulesPage, text: str) -> None:
        self.page, self.text = page, text

    def build(self) -> None:
        """Draw it where the caller stands."""
        with Tag("div", look="re-card chosen", role="group", aria_label="Type an edit") as around:
            around.on("keydown.escape", self._close, args=[])
            hint = "new IF age < 25 AND income < 20000 THEN deny before R2"
            self.field = Field(
                "text", self.text, self._typed, look="re-input formal", placeholder=hint, spellcheck="false"
            )
            self.field.put(aria_label="An edit as text", style="width:100%", autocomplete="off")
            self.next = Tag("div", look="re-says", style="margin:8px 0")
            self.problem = Tag("p", "", "re-problem", role="alert")
            with Tag("div", look="re-line"):
                why = reason_field(self.page)
                button("Apply", self.apply, "re-button first")
                button("Cancel", self._close)
        for one in (self.field, why):
            one.on("keydown.enter", self.apply, args=[])
        self.field.focus()
        self._suggest()

    def _close(self) -> None:
        self.page.composer.clear()
        self.page._present()

    async def _typed(self, text: str) -> None:
        self.text = text
        self._suggest()
        problem = _problem(self.page.place.draft, self.text)
        self.problem.say(problem)
        self.field.put(aria_invalid="true" if problem else "false")
        if not problem:
            await self.page.try_out(self.text)

    def _suggest(self) -> None:
        self.next.clear()
        with self.next:
            for word in completions(self.page.place.draft, self.text):
                button(word, lambda word=word: self._take(word), "re-chip small")

    async def _take(self, word: str) -> None:
        self.text = completed(self.text, word)
        self.field.fill(self.text)
        self.field.focus()
        self._suggest()
        problem = _problem(self.page.place.draft, self.text)
        self.problem.say("" if self.text.endswith(" ") else problem)
        if not problem:
            await self.page.try_out(self.text)

    def apply(self) -> None:
        """Make the edit."""
        problem = _problem(self.page.place.draft, self.text)
        if not problem and not self.page.reason.strip():
            problem = "Say why: the reason stands in the history beside the edit."
        self.problem.say(problem)
        if not problem:
            self.page.commit(self.text, self.page.reason)


def _problem(draft: Draft, text: str) -> str:
    """What is wrong with an edit; empty where nothing is."""
    try:
        edit(draft, [text], reason="tried", author="")
    except RuleEditError as problem:
        return str(problem)
    return ""


def _class_text(name: str) -> str:
    return str(Outcome.of(name))


def _new_warnings(before: Draft, after: Draft) -> list[str]:
    """What an edit brings about that it should be said for: empty, covered, overlapping, in conflict."""
    old = set(before.warnings())
    found = [warning for warning in after.warnings() if warning not in old]
    was = {frozenset(one.rules) for one in open_conflicts(before.rules, before.schema)}
    for conflict in open_conflicts(after.rules, after.schema):
        if frozenset(conflict.rules) not in was:
            found.append(f"conflict: {' and '.join(conflict.rules)} cover the same rows and say different things")
    return found[:3]


def _tags(draft: Draft) -> dict[str, list[tuple[str, str]]]:
    """What stands beside a rule: new, edited, confirmed, remainder, conflicts and overlaps."""
    base = {rule.id for rule in draft.base}
    tags: dict[str, list[tuple[str, str]]] = {}
    for rule in draft.rules:
        if rule.remainder_of:
            tags.setdefault(rule.id, []).append((f"rest of {rule.remainder_of}", ""))
        elif rule.id not in base:
            tags.setdefault(rule.id, []).append(("new", "new"))
        elif rule.asserted:
            tags.setdefault(rule.id, []).append(("confirmed" if rule.confirmed else "edited", "edited"))
        if not rule.enabled:
            tags.setdefault(rule.id, []).append(("disabled", "edited"))
    for conflict in open_conflicts(draft.rules, draft.schema):
        for rule_id in conflict.rules:
            others = ", ".join(other for other in conflict.rules if other != rule_id)
            tags.setdefault(rule_id, []).append((f"conflicts with {others}", "conflict"))
    return tags


def _why(draft: Draft, rule: Rule) -> str:
    """The reason of the last step that changed a rule and wasn't taken back."""
    standing = set(draft.standing)
    for at in range(len(draft.history) - 1, -1, -1):
        step = draft.history[at]
        if at in standing and any(put.id == rule.id for _, put in step.change.put):
            return step.reason
    return ""


def _unexplained(draft: Draft) -> None:
    """Where the rules, as extracted, and the model disagree: how many rows, and mostly where."""
    found = draft.origin.get("unexplained")
    if not isinstance(found, Mapping) or not found.get("wrong"):
        return
    with Tag("article", look="re-card", aria_label="What the rules do not explain"):
        rows = f"{words.count(found['wrong'])} of {words.count(found['rows'])} held-out rows"
        Tag("b", f"Unexplained: {words.share(found['share'])}")
        Tag("p", f"On {rows} the extracted rules say something else than the model.", "quiet")
        for region in found.get("regions", []):
            share = region["wrong"] / max(region["rows"], 1)
            said = f"{region['where']}: {words.count(region['wrong'])} of {words.count(region['rows'])} rows"
            Tag("p", f"{said} ({words.share(share, 0)})", "formal small")


def _origin(draft: Draft) -> str:
    """What the extraction said of itself, in words."""
    holdout = draft.origin.get("holdout")
    said = []
    if isinstance(holdout, Mapping) and "agreement" in holdout:
        low, high = holdout.get("interval", (holdout["agreement"],) * 2)
        within = f"{words.share(holdout['agreement'])} (±{50 * (high - low):.1f})"
        said.append(f"as extracted they agree with it on {within} of {words.count(holdout['rows'])} held-out rows")
    if "clauses" in draft.origin:
        said.append(f"{draft.origin['clauses']} clauses")
    return " · ".join(said)
