"""A field for the rule language: what can come next, word by word, and what is wrong, under the word."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from service.workbench.completion import completed
from service.workbench.tags import Field, Tag
from service.workbench.wrong import Wrong

#: Arrows choose among what is offered, Tab or Enter takes it, Escape lets go of it; else Enter is given on.
KEYS = """
(e) => {
  const box = e.target, options = [...document.getElementById(box.dataset.list).querySelectorAll('[role=option]')];
  const now = options.findIndex((one) => one.getAttribute('aria-selected') === 'true');
  const choose = (at) => {
    options.forEach((one, place) => one.setAttribute('aria-selected', String(place === at)));
    if (at < 0) box.removeAttribute('aria-activedescendant');
    else { box.setAttribute('aria-activedescendant', options[at].id); options[at].scrollIntoView({block: 'nearest'}); }
  };
  const step = {ArrowDown: 1, ArrowUp: -1}[e.key];
  if (step && options.length) {
    e.preventDefault();
    choose(now < 0 ? (step > 0 ? 0 : options.length - 1) : (now + step + options.length) % options.length);
  } else if (now >= 0 && (e.key === 'Enter' || (e.key === 'Tab' && !e.shiftKey))) {
    e.preventDefault(); e.stopPropagation();
    options[now].click();
  } else if (now >= 0 && e.key === 'Escape') {
    e.stopPropagation(); choose(-1);
  } else if (e.key === 'Enter') {
    emit();
  }
}
"""
#: Puts a word in place of the unfinished one, in the browser: whoever types on meanwhile loses nothing.
TAKE = """
(e) => {
  const option = e.currentTarget, box = document.getElementById(option.parentElement.dataset.box);
  const from = Number(option.dataset.from), to = from + option.dataset.word.length;
  box.value = box.value.slice(0, from) + option.dataset.word + box.value.slice(box.selectionStart).trimStart();
  box.focus();
  box.setSelectionRange(to, to);
  box.dispatchEvent(new Event('input', {bubbles: true}));
}
"""


@dataclass
class TextBox:
    """Text that is typed: ``offer`` says what can follow what stands before the caret, ``check`` what is wrong.

    ``heard`` gets each text that nothing is wrong with, ``entered`` is called on Enter.
    """

    text: str
    label: str
    offer: Callable[[str], list[str]]
    check: Callable[[str], Wrong | None]
    heard: Callable[[str], Awaitable[None]]
    entered: Callable[[], Any]
    hint: str = ""
    caret: int = field(default=0, init=False)
    _offered: list[str] = field(default_factory=list, init=False)

    def build(self) -> None:
        """Draw it where the caller stands."""
        self.caret = len(self.text)
        self.field = Field("text", self.text, look="re-input formal", placeholder=self.hint, spellcheck="false")
        self.said = Tag("div", look="re-wrong")
        self.next = Tag("div", look="re-says re-next", role="listbox", aria_label=f"What can come next in {self.label}")
        self.field.put(
            aria_label=self.label, style="width:100%", autocomplete="off", role="combobox", aria_expanded="true",
            aria_autocomplete="list", aria_controls=f"c{self.next.id}", aria_describedby=f"c{self.said.id}",
            data_list=f"c{self.next.id}",
        )  # fmt: skip
        self.next.put(data_box=f"c{self.field.id}")
        report = "(e) => emit([e.target.value, e.target.selectionStart])"
        self.field.on("input", lambda event: self._typed(*event.args), js_handler=report, throttle=0.05)
        self.field.on("keydown", lambda: self.entered(), js_handler=KEYS, args=[])
        self._suggest()

    def focus(self) -> None:
        """Move the keyboard here, to where the caret was."""
        place = json.dumps(f"c{self.field.id}")
        self.field.client.run_javascript(
            f"{{ const box = document.getElementById({place}); box.focus();"
            f" box.setSelectionRange({self.caret}, {self.caret}); }}"
        )

    def fill(self, text: str) -> None:
        """Show a text that comes from elsewhere."""
        self.text, self.caret = text, len(text)
        self.field.fill(text)
        self.complain(None)
        self.next.clear()

    def complain(self, wrong: Wrong | None) -> None:
        """Mark the wrong words and say what is wrong beneath them."""
        self.said.clear()
        self.field.put(aria_invalid="false" if wrong is None else "true")
        if wrong is None:
            return
        before, word, after = wrong.parts(self.text)
        with self.said:
            if word.strip() and word != self.text:
                with Tag("div", look="formal echo", aria_hidden="true"):
                    for part, look in ((before, ""), (word, "word"), (after, "")):
                        Tag("span", part, look)
            Tag("p", wrong.said, "re-problem", role="alert")

    async def _typed(self, text: str, caret: int | None) -> None:
        self.text, self.caret = text, len(text) if caret is None else caret
        self._suggest()
        wrong = self.check(text)
        # Whoever is in the middle of a word that can be finished is told what could come, not that it isn't there yet.
        goes_on = wrong is not None and not wrong.sure and wrong.end >= len(text.rstrip())
        unfinished = goes_on and bool(list(self.next))
        self.complain(None if unfinished else wrong)
        if wrong is None:
            await self.heard(text)

    def _suggest(self) -> None:
        """Offer words; those that stand there already stay, with the one that was chosen."""
        before = self.text[: self.caret]
        words = self.offer(before)
        offered = [completed(before, word) for word in words]
        if offered == self._offered and len(list(self.next)) == len(words):
            return
        self._offered = offered
        self.next.clear()
        with self.next:
            for word in words:
                done = completed(before, word)
                start = len(done.rstrip(" ")) - len(word.rstrip(" "))
                option = Tag("div", word, "re-chip small", role="option", aria_selected="false")
                option.put(data_word=done[start:], data_from=start)
                # The field keeps the keyboard while a word is pressed.
                option.on("mousedown", js_handler="(e) => e.preventDefault()")
                option.on("click", js_handler=TAKE)
