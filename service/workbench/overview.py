"""The rules at a glance: one bar for each outcome, as long as its rows, parted by the rules that decide them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ruleedit.drafts import Draft
from service.workbench import words
from service.workbench.tags import Tag, button, outcome
from service.workspace.insight import Decided

#: A rule of a smaller share of all rows isn't drawn by itself: nobody could press it.
LEAST_SHARE = 0.008
#: From so wide on, for each letter, a part has its rule's name in it; a name that is cut is another rule's.
LETTER_SHARE = 0.0175


@dataclass(frozen=True)
class Part:
    """A part of a bar: rules, by their ids, and the rows that they decide; the default is the id ``""``."""

    rules: tuple[str, ...]
    rows: int


def bars(draft: Draft, figures: Mapping[str, Decided]) -> dict[str | None, tuple[Part, ...]]:
    """The parts of each outcome's bar, the largest first; what says `model` is under None.

    Rules too small to be seen are one part at the end.
    """
    every = max(sum(one.covered for one in figures.values()), 1)
    said = [(rule.id, rule.outcome.top(draft.schema.classes)) for rule in draft.rules if rule.enabled]
    said.append(("", draft.rules.default.top(draft.schema.classes)))
    found: dict[str | None, tuple[Part, ...]] = {}
    for top in (*draft.schema.classes, None):
        ours = sorted((name for name, one in said if one == top), key=lambda name: -figures[name].covered)
        large = [name for name in ours if figures[name].covered >= LEAST_SHARE * every]
        small = tuple(name for name in ours if name not in large and figures[name].covered)
        parts = [Part((name,), figures[name].covered) for name in large]
        if small:
            parts.append(Part(small, sum(figures[name].covered for name in small)))
        if parts:
            found[top] = tuple(parts)
    return found


def draw(draft: Draft, figures: Mapping[str, Decided], go: Callable[[str], None]) -> None:
    """Draw the bars where the caller stands; ``go`` is called with the rule that is pressed."""
    every = max(sum(one.covered for one in figures.values()), 1)
    with Tag("section", look="re-overview", aria_label="Rows by outcome and rule"):
        said = f"All {words.count(every)} rows of the table, by what the rules say and which of them decides"
        Tag("p", said, "said quiet small")
        for top, parts in bars(draft, figures).items():
            rows = sum(part.rows for part in parts)
            with Tag("div", look="re-cover"):
                with Tag("span", look="name"):
                    if top is None:
                        Tag("span", "the model")
                    else:
                        outcome(draft.schema, draft.schema.classes.index(top)).put(title=top)
                with Tag("div", look="parts"):
                    tint = "none" if top is None else f"b{words.colour(draft.schema.classes.index(top))}"
                    for part in parts:
                        _part(part, part.rows / every, tint, go)
                Tag("span", f"{words.count(rows)} rows ({words.share(rows / every)})", "number quiet small")


def _part(part: Part, share: float, tint: str, go: Callable[[str], None]) -> None:
    name = part.rules[0]
    said = "no rule: the default" if name == "" else name
    if len(part.rules) > 1:
        said = f"{len(part.rules)} small rules, the first {name or 'the default'}"
    told = f"{said}: {words.count(part.rows)} rows ({words.share(share)})"
    written = name or "otherwise"
    shown = written if share >= LETTER_SHARE * len(written) and len(part.rules) == 1 else ""
    look = f"{tint} rest" if name == "" or len(part.rules) > 1 else tint
    button(shown, lambda: go(name), look, aria_label=told, title=told, style=f"width:{100 * share:.2f}%")
