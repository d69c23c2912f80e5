"""A conflict settled by a mixture: how much of each rule, what that says, and what it would change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ruleedit.conflicts.settling import resolve
from ruleedit.drafts import Draft
from ruleedit.rules import Outcome, RuleSet
from service.workbench import words
from service.workbench.distribution import WHOLE, Shares
from service.workbench.tags import Tag, button

#: How many decisions a way to settle would change in all; in words why it can't be done.
WouldChange: TypeAlias = Callable[[dict[str, Any]], int | str]


class Mixture:
    """The weights of two rules as sliders and numbers, with the outcome that they make and its impact beside it."""

    def __init__(
        self,
        draft: Draft,
        rules: Sequence[str],
        would_change: WouldChange,
        settle: Callable[[dict[str, Any]], None],
    ) -> None:
        self.draft, self.rules, self.would_change = draft, (rules[0], rules[1]), would_change
        self.settle = settle
        self.form = Shares(self.rules, beginning(draft.rules, self.rules), "Weight", self._changed)

    @property
    def way(self) -> dict[str, Any]:
        """The settlement as it stands."""
        first, second = self.form.parts
        return {"strategy": "mixture", "weights": (first / WHOLE, second / WHOLE)}

    def build(self) -> None:
        """Draw it where the caller stands."""
        with Tag("div", look="re-way"):
            self.press = button("A mixture of both", lambda: self.settle(self.way))
            self.said = Tag("span", look="quiet small", aria_live="polite")
        self.form.build()
        self._show(self.would_change(self.way))

    async def _changed(self) -> None:
        way = self.way
        found = await asyncio.to_thread(self.would_change, way)
        # Of several moves in a row the last is shown.
        if way == self.way and not self.said.is_deleted:
            self._show(found)

    def _show(self, found: int | str) -> None:
        self.press.put(disabled=isinstance(found, str))
        if isinstance(found, str):
            self.said.say(found)
            return
        mixed = mixture(self.draft, self.rules, self.way["weights"])
        self.press.say(f"A mixture: {words.outcome(mixed)}")
        self.said.say(f"then {words.count(found)} decisions change")


def beginning(rules: RuleSet, pair: tuple[str, str]) -> list[float]:
    """What the form begins with: how sure each rule is, where somebody said so of both; else half of each."""
    sure = [rules.rule(name).confidence for name in pair]
    first, second = (1.0 if one is None or None in sure else one for one in sure)
    return [first / (first + second), second / (first + second)]


def mixture(draft: Draft, pair: tuple[str, str], weights: tuple[float, float]) -> Outcome:
    """What a conflict's rows would be answered; raises `SettlementRefused`."""
    settled = resolve(draft.rules, draft.schema, pair, "mixture", weights=weights).settlements
    outcome = next(one.outcome for one in settled if set(one.rules) == set(pair))
    assert outcome is not None
    return outcome
