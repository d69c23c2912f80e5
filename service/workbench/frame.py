"""What every page of a rule set has around it: where one is, where one can go, undo and redo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nicegui import ui
from nicegui.events import KeyEventArguments

from ruleedit.drafts import Draft
from ruleedit.errors import RuleEditError
from service.store.records import ModelRecord, RuleSetRecord
from service.workbench.actor import Actor
from service.workbench.tags import Tag, button, link
from service.workspace import Opened, Workspace
from service.workspace.insight import Lens

LOOK = (Path(__file__).parent / "look.css").read_text(encoding="utf-8")
#: The pages of a rule set: group, name, what the address ends with.
PLACES = (
    ("", "Rules", "rules"),
    ("", "Conflicts", "conflicts"),
    ("", "Boundary", "boundary"),
    ("", "What if", "what-if"),
    ("", "Put in force", "in-force"),
    ("RECORD", "History", "history"),
    ("RECORD", "Audit", "audit"),
    ("RECORD", "Export", "export"),
    ("SOURCES", "Data", "data"),
    ("SOURCES", "Model", "model"),
)
#: The routes of the API whose roles the pages' steps need.
EDIT = "POST /v1/rulesets/{ruleset}/edits"
#: Arrow keys go from rule to rule and from chip to chip, as in a list; with Alt they move the rule. Escape is handled
#: by the page. What was edited last has the keyboard again once the page is drawn anew.
ARROWS = """
window.focusRule = (name, tries = 40) => {
  const card = [...document.querySelectorAll('[data-rule]')].find((one) => one.dataset.rule === name);
  if (!card) { if (tries) setTimeout(() => window.focusRule(name, tries - 1), 25); return; }
  card.scrollIntoView({block: 'nearest'});
  card.querySelector('.re-chip')?.focus({preventScroll: true});
};
document.addEventListener('keydown', (e) => {
  const here = document.activeElement;
  const card = here?.classList.contains('re-chip') ? here.closest('[data-rule]') : null;
  if (!card || e.ctrlKey || e.metaKey) return;
  const step = {ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1]}[e.key];
  if (!step) return;
  if (e.altKey) {
    if (!step[1]) return;
    e.preventDefault();
    emitEvent('move_rule', {rule: card.dataset.rule, verb: step[1] < 0 ? 'up' : 'down'});
    return;
  }
  e.preventDefault();
  const chips = [...card.querySelectorAll('.re-says .re-chip')];
  const cards = [...document.querySelectorAll('[data-rule]')];
  const beside = step[0] ? chips[chips.indexOf(here) + step[0]] : null;
  const next = beside || (step[1] && cards[cards.indexOf(card) + step[1]]?.querySelector('.re-chip'));
  if (next) next.focus();
});
const edited = sessionStorage.getItem('rule');
sessionStorage.removeItem('rule');
if (edited) window.focusRule(edited);
"""


@dataclass
class Place:
    """Where somebody is: a rule set at its present revision, and the workspace that keeps it."""

    workspace: Workspace
    opened: Opened
    actor: Actor
    #: What the address asks for after its question mark.
    asked: dict[str, str] = field(default_factory=dict)

    @property
    def draft(self) -> Draft:
        """The present draft."""
        return self.opened.draft

    @property
    def record(self) -> RuleSetRecord:
        """The rule set's record."""
        return self.opened.record

    @property
    def model(self) -> ModelRecord:
        """The model's record."""
        return self.opened.model

    def lens(self) -> Lens:
        """The look at the rule set's table that all its pages share."""
        return self.workspace.lens(self.opened)


def focus_rule(name: str) -> None:
    """Move the keyboard to the first chip of a rule."""
    ui.run_javascript(f"window.focusRule({json.dumps(name)})")


def page(title: str) -> None:
    """What every page's head holds."""
    ui.page_title(f"{title} · RuleEdit")
    ui.add_css(LOOK)
    ui.dark_mode(None)


@contextmanager
def plain(title: str, actor: Actor) -> Iterator[None]:
    """A page that belongs to no rule set."""
    page(title)
    with Tag("div", look="re"):
        with Tag("header", look="re-top"):
            link("RuleEdit", "/", "brand")
            Tag("div", look="where")
            link("API", "/docs", "re-button")
            _signed_in(actor)
        _notice(actor)
        with Tag("div", look="re-main", id="main", tabindex="-1"):
            yield


@contextmanager
def framed(place: Place, title: str, *, side: bool = False) -> Iterator[Tag | None]:
    """A page of a rule set; gives the column at the side where one is asked for."""
    page(f"{title} · {place.record.name}")
    ui.run_javascript(f"{{{ARROWS}}}")
    with Tag("div", look="re"):
        link("To the content", "#main", "skip")
        _top(place)
        _notice(place.actor)
        with Tag("div", look="re-body three" if side else "re-body"):
            _navigation(place, title)
            main = Tag("div", look="re-main", id="main", tabindex="-1")
            aside = None
            if side:
                with Tag("aside", look="re-side", aria_label="Impact of this draft"):
                    aside = Tag("div", look="sticky")
            with main:
                yield aside


def _notice(actor: Actor) -> None:
    """Say what is off; where nothing is, say nothing."""
    notice = actor.settings.notice
    if notice:
        Tag("div", notice[0].upper() + notice[1:] + ".", "re-open", role="note")


def _signed_in(actor: Actor) -> None:
    """Who works here, and the way out."""
    if not actor.settings.authentication:
        return
    Tag("span", actor.person.name, "quiet", title=", ".join(sorted(actor.person.roles)))
    with Tag("form", method="post", action="/sign-out"):
        Tag("button", "Sign out", "re-button", type="submit")


def _top(place: Place) -> None:
    draft = place.draft
    steps = len(draft.history)
    with Tag("header", look="re-top"):
        link("RuleEdit", "/", "brand")
        with Tag("div", look="where"):
            Tag("b", place.record.name, title=place.record.name)
            Tag("span", f"/ revision {draft.revision[:8]}", "small")
            if draft.content != Draft.of(draft.base, draft.schema).content:
                Tag("span", f"Draft · {steps} step{'s' if steps != 1 else ''}", "re-tag draft")
        _stepper(place, "undo", draft.undoable, "Ctrl Z")
        _stepper(place, "redo", draft.redoable, "Ctrl Y")
        link("Put in force…", f"/r/{place.record.id}/in-force", "re-button first")
        _signed_in(place.actor)
    # In a field Ctrl Z takes back what was typed there; on a chip or a button it takes back the last edit.
    ui.keyboard(on_key=lambda key: _keys(place, key), repeating=False, ignore=["input", "select", "textarea"])


def _stepper(place: Place, step: str, at: int | None, keys: str) -> None:
    what = "" if at is None else place.draft.history[at].edit
    label = f"{step.title()}: {what}" if what else f"Nothing to {step}"
    made = button(step.title(), lambda: stepped(place, step), disabled=at is None, title=label, aria_label=label)
    made.props["aria-keyshortcuts"] = keys.replace(" ", "+").replace("Ctrl", "Control")
    with made:
        if what:
            Tag("span", what, "what small")
        Tag("kbd", keys)


def stepped(place: Place, step: str) -> None:
    """Undo or redo, and show the page anew."""
    try:
        by = place.actor.acting(EDIT)
        place.workspace.edit(place.record.id, place.draft.revision, [step], reason=step, by=by)
    except RuleEditError as problem:
        ui.notify(str(problem), type="warning")
        return
    ui.navigate.reload()


def _keys(place: Place, key: KeyEventArguments) -> None:
    if not key.action.keydown or not (key.modifiers.ctrl or key.modifiers.meta):
        return
    name = str(key.key.name).lower()
    if name == "y" or (name == "z" and key.modifiers.shift):
        if place.draft.redoable is not None:
            stepped(place, "redo")
    elif name == "z" and place.draft.undoable is not None:
        stepped(place, "undo")


def _navigation(place: Place, title: str) -> None:
    with Tag("nav", look="re-nav", aria_label="Pages of this rule set"):
        shown = ""
        for group, name, address in PLACES:
            if group and group != shown:
                shown = group
                Tag("div", group, "group")
            link(name, f"/r/{place.record.id}/{address}", aria_current="page" if name == title else None)
