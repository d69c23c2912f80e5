"""The editor of one clause: it opens under its rule, shows the effect while a value moves, and asks why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from nicegui import ui

from ruleedit.rules import Clause, Operator, Rule, Scalar, name_text, number_text
from ruleedit.schema import Feature
from service.workbench import words
from service.workbench.completion import completions
from service.workbench.frame import Place
from service.workbench.histogram import Histogram, legend, nice_step
from service.workbench.tags import Field, Tag, bar, button, checkbox, choice, drawn
from service.workbench.textbox import TextBox
from service.workbench.wrong import Wrong, read_clause
from service.workspace.insight import FeatureFigures, Reach

NUMBER_OPERATORS: tuple[Operator, ...] = (
    ">", ">=", "<", "<=", "between", "=", "!=", "is missing", "is not missing",
)  # fmt: skip
TEXT_OPERATORS: tuple[Operator, ...] = ("in", "not in", "is missing", "is not missing")
#: The operator that is true where another is false, of the values that are there.
OPPOSITE: dict[Operator, Operator] = {
    "=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in", "not in": "in",
    "is missing": "is not missing", "is not missing": "is missing",
}  # fmt: skip
#: The words of a choice of operators.
NAMES = {
    "in": "is one of", "not in": "is none of", "between": "from … to", "=": "is", "!=": "is not", "<=": "≤", ">=": "≥",
}  # fmt: skip
#: So many values of a category are listed; a search finds the others.
MOST_VALUES = 60


class Sitting(Protocol):
    """Somebody at work on a page, with the reason that they gave last."""

    reason: str


class Page(Sitting, Protocol):
    """What an editor needs of the page that it stands in."""

    place: Place

    async def try_out(self, text: str | None) -> None: ...
    def commit(self, text: str, reason: str, complain: Callable[[str], None]) -> bool: ...
    def close(self) -> Any: ...


@dataclass
class ClauseEditor:
    """Edits one clause of a rule, or adds one where ``clause`` is None."""

    page: Page
    rule: Rule
    clause: Clause | None
    feature: Feature
    shown: Callable[[str], None] = lambda text: None

    def __post_init__(self) -> None:
        self.figures: FeatureFigures = self.page.place.lens().feature(self.feature.name)
        self.operator: Operator = self.clause.operator if self.clause else (">" if self.feature.is_number else "in")
        if not self.feature.is_number:
            self.operator = {"=": "in", "!=": "not in"}.get(self.operator, self.operator)  # type: ignore[assignment]
        self.numbers = [float(one) for one in self._old_numbers()]
        self._limits()
        self.numbers = self.numbers or [self._middle()]
        self.texts = [str(one) for one in self.clause.values] if self.clause and not self.feature.is_number else []
        self.otherwise = ""
        self.dropping = False

    def _limits(self) -> None:
        whole = self.feature.kind == "integer"
        values = [*self.figures.edges, *self._old_numbers(), *self.numbers]
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        self.step = nice_step(low, high, whole)
        self.low = self.step * (low // self.step)
        self.high = self.step * -(-high // self.step)

    def _old_numbers(self) -> tuple[float, ...]:
        if self.clause is None or not self.feature.is_number:
            return ()
        return tuple(float(one) for one in self.clause.values)

    def _middle(self) -> float:
        return self._snapped((self.low + self.high) / 2)

    def _snapped(self, value: float) -> float:
        return float(f"{round(value / self.step) * self.step:.12g}")

    # --- what it says ---------------------------------------------------------------------------

    def written(self) -> Clause:
        """The clause as the editor stands."""
        if self.operator in ("is missing", "is not missing"):
            return Clause(self.feature.name, self.operator)
        if not self.feature.is_number:
            return self._written_text()
        if self.operator == "between":
            low, high = sorted((self.numbers + self.numbers)[:2])
            return Clause(self.feature.name, "between", (low, high))
        return Clause(self.feature.name, self.operator, self.numbers[0])

    def _written_text(self) -> Clause:
        chosen: tuple[Scalar, ...] = tuple(self.texts)
        if len(chosen) == 1:
            return Clause(self.feature.name, "=" if self.operator == "in" else "!=", chosen[0])
        return Clause(self.feature.name, self.operator, chosen)

    def text(self) -> str | None:
        """The edit as text; None where nothing is changed or nothing is chosen."""
        if not self.feature.is_number and self.operator in ("in", "not in") and not self.texts:
            return None
        if self.dropping:
            return f"drop {self.rule.id} {self.clause}"
        new = self.written()
        if self.clause is None:
            return f"add {self.rule.id} {new}{self._otherwise()}"
        return None if new == self.clause else f"set {self.rule.id} {self.clause} to {new}{self._otherwise()}"

    def _otherwise(self) -> str:
        return f" otherwise {self.otherwise}" if self.otherwise else ""

    # --- how it looks ---------------------------------------------------------------------------

    def build(self) -> None:
        """Draw the editor where the caller stands."""
        said = f"Edit {words.name(self.feature.name)}"
        with Tag("div", look="re-editor", role="group", aria_label=said) as self.around:
            with Tag("div", look="columns"):
                with Tag("div"):
                    self.head = Tag("div", look="re-line")
                    self.body = Tag("div")
                    self._operators()
                    self._fill()
                with Tag("div"):
                    self.told = Tag("div", aria_live="polite")
            self._foot()
        self.tell(None)

    def focus(self) -> None:
        """Move the keyboard to the value: the slider, or the first box to tick."""
        ui.run_javascript(
            f"{{ const here = (one) => document.querySelector('#c{self.around.id} ' + one);"
            " (here('input[type=range]') ?? here('input[type=checkbox]') ?? here('select')).focus(); }"
        )

    def _operators(self) -> None:
        known = NUMBER_OPERATORS if self.feature.is_number else TEXT_OPERATORS
        if not self.feature.missing:
            known = tuple(one for one in known if "missing" not in one)
        self.head.clear()
        with self.head:
            Tag("b", words.name(self.feature.name))
            choice([(one, NAMES.get(one, one)) for one in known], self.operator, self._operate, aria_label="Operator")
            self.inputs = Tag("span", look="re-line", style="margin:0")

    async def _operate(self, operator: Operator) -> None:
        self.operator, self.dropping = operator, False
        if self.operator == "between" and len(self.numbers) == 1:
            self.numbers = sorted([self.numbers[0], self._snapped(self.high)])
        self._fill()
        await self._changed()

    def _fill(self) -> None:
        self.body.clear()
        self.inputs.clear()
        if self.operator in ("is missing", "is not missing"):
            with self.body:
                missing = sum(self.figures.missing)
                Tag("p", f"{words.count(missing)} rows have no value here.", "quiet")
        elif self.feature.is_number:
            self._numbers()
        else:
            self._categories()

    def _numbers(self) -> None:
        shown = 2 if self.operator == "between" else 1
        with self.inputs:
            self.fields = [self._field(place) for place in range(shown)]
        with self.body:
            self.histogram = Histogram(self.figures, self.page.place.draft.schema, self.low, self.high)
            self.histogram.draw(self._old_numbers(), tuple(self.numbers))
            self.sliders = [self._slider(place) for place in range(shown)]
            legend(self.page.place.draft.schema)
        self._move()

    def _field(self, place: int) -> Field:
        name = ("Value", "Upper value")[place] if self.operator != "between" else ("From", "To")[place]
        shown = number_text(self.numbers[place])
        return Field(
            "number", shown, lambda text: self._typed(place, text), step="any", aria_label=name, style="width:14ch"
        )

    def _slider(self, place: int) -> Field:
        said = f"{words.name(self.feature.name)} {self.operator}"
        made = Field(
            "range",
            number_text(self.numbers[place]),
            lambda text: self._slid(place, text),
            min=self.low,
            max=self.high,
            step=self.step,
            aria_label=said,
            look="",
            style="width:100%;margin:0;accent-color:var(--accent)",
        )
        made.mirror(self.fields[place])
        return made

    async def _slid(self, place: int, text: str) -> None:
        self.numbers[place] = self._snapped(float(text))
        await self._changed()

    async def _typed(self, place: int, text: str) -> None:
        try:
            self.numbers[place] = float(text)
        except ValueError:
            self.complain(f"{text!r} is no number" if text else "Give a number.")
            return
        self.sliders[place].fill(number_text(self.numbers[place]))
        await self._changed()

    def _move(self) -> None:
        if self.feature.is_number and self.operator not in ("is missing", "is not missing"):
            self.histogram.move(self._old_numbers(), tuple(self.numbers[: len(self.sliders)]))

    def _categories(self) -> None:
        with self.inputs:
            Field("search", "", self._list, placeholder="Search values", aria_label="Search values")
        with self.body:
            self.values = Tag("div", look="re-values", role="group", aria_label="Values")
            legend(self.page.place.draft.schema)
        self._list("")

    def _list(self, wanted: str) -> None:
        self.values.clear()
        counted = dict(zip(self.figures.values, self.figures.counts, strict=True))
        wanted = wanted.lower()
        found = [name for name in counted if wanted in name.lower()]
        found.sort(key=lambda name: (name not in self.texts, -sum(counted[name])))
        most = max((sum(one) for one in counted.values()), default=1) or 1
        with self.values:
            for name in found[:MOST_VALUES]:
                self._value(name, counted[name], most)
            if len(found) > MOST_VALUES:
                Tag("p", f"{len(found) - MOST_VALUES} more; search for them.", "quiet small")
            if not found:
                Tag("p", "No value has this text.", "quiet")

    def _value(self, name: str, counts: tuple[int, ...], most: int) -> None:
        with Tag("div", look="re-value"):
            with Tag("label"):
                checkbox(name in self.texts, lambda on: self._checked(name, on))
                Tag("span", name, title=name)
            top = max(range(len(counts)), key=counts.__getitem__)
            bar(sum(counts) / most, f"b{words.colour(top)}")
            Tag("span", words.count(sum(counts)), "number small")

    async def _checked(self, name: str, checked: bool) -> None:
        self.texts = [one for one in self.texts if one != name] + ([name] if checked else [])
        order = {value: place for place, value in enumerate(self.figures.values)}
        self.texts.sort(key=lambda one: order.get(one, len(order)))
        await self._changed()

    def _foot(self) -> None:
        with Tag("div", look="re-line"):
            Tag("span", "Rows that this rule gives up go to", "quiet small")
            classes = [(name, name) for name in self.page.place.draft.schema.classes]
            ways = [("", "the rules below"), *classes, ("model", "the model")]
            choice(ways, "", self._left, aria_label="Where the rows go that this rule gives up")
        self._as_text()
        self.problem = Tag("p", "", "re-problem", role="alert")
        with Tag("div", look="re-line"):
            self.why = reason_field(self.page)
            button("Apply", self.apply, "re-button first")
            button("Cancel", self.page.close)
            if self.clause is not None and self.clause.operator in OPPOSITE:
                button("Negate", self._negate)
            if self.clause is not None and len(self.rule.clauses) > 1:
                button("Drop clause", self._drop)
        self.why.on("keydown.enter", self.apply, args=[])

    async def _left(self, value: str) -> None:
        classes = self.page.place.draft.schema.classes
        self.otherwise = value if value in ("", "model") else words.class_text(value) if value in classes else ""
        await self._changed()

    def _as_text(self) -> None:
        """The same clause as text, for whoever types faster than they point."""
        before = f"add {self.rule.id} "
        draft, feature = self.page.place.draft, self.feature

        def check(text: str) -> Wrong | None:
            found = read_clause(text, feature)
            return found if isinstance(found, Wrong) else None

        self.box = TextBox(
            str(self.clause or ""),
            "The clause as text",
            offer=lambda typed: completions(draft, before + typed) if typed.strip() else [name_text(feature.name)],
            check=check,
            heard=self._read,
            entered=self.apply,
            hint=f"{name_text(feature.name)} …",
        )
        with Tag("details", look="re-text"):
            Tag("summary", "As text")
            self.box.build()

    async def _read(self, text: str) -> None:
        """Take the clause over from its text."""
        found = read_clause(text, self.feature)
        if not isinstance(found, Wrong):
            await self._become(found)

    async def _become(self, clause: Clause) -> None:
        """Show another clause on the same feature, and what it would do."""
        self.operator, self.dropping = clause.operator, False
        if self.feature.is_number:
            self.numbers = [float(one) for one in clause.values] or self.numbers
            self._limits()
        else:
            self.operator = {"=": "in", "!=": "not in"}.get(clause.operator, clause.operator)  # type: ignore[assignment]
            self.texts = [str(one) for one in clause.values]
        self._operators()
        self._fill()
        await self._changed(typed=True)

    async def _negate(self) -> None:
        """Turn the clause round; a missing value makes both it and its opposite false."""
        assert self.clause is not None
        await self._become(Clause(self.clause.feature, OPPOSITE[self.clause.operator], self.clause.value))
        self.box.fill(str(self.written()))

    async def _drop(self) -> None:
        """Show the rule without the clause; nothing is dropped before it is applied."""
        self.dropping = True
        self.complain("")
        self.shown("dropped")
        await self.page.try_out(self.text())

    async def _changed(self, *, typed: bool = False) -> None:
        self.dropping = False
        self._move()
        self.complain("")
        if not typed:
            self.box.fill(str(self.written()) if self.text() or self.clause else "")
        self.shown(words.clause(self.written()) if self.text() else "")
        await self.page.try_out(self.text())

    def tell(self, found: Reach | None) -> None:
        """Say how many rows come in and go out, and what the model answers there."""
        schema = self.page.place.draft.schema
        with self.told.again():
            for said, rows, outcomes in _reached(found):
                drawn("div", words.count(rows), "re-big")
                drawn("div", said)
                parts = [
                    f"{words.share(count / rows, 0)} {words.shape(place)}\u00a0{schema.classes[place]}"
                    for place, count in sorted(enumerate(outcomes), key=lambda pair: -pair[1])[:3]
                    if count
                ]
                drawn("div", f"model now: {', '.join(parts)}", "quiet")
            if not _reached(found):
                drawn("p", "Change the value to see which rows come in or go out.", "quiet")

    def complain(self, text: str) -> None:
        """Say beside the clause what is wrong; an empty text takes it back."""
        self.problem.say(text)

    def apply(self) -> None:
        """Commit the edit as one step."""
        found = read_clause(self.box.text, self.feature) if self.box.text.strip() else None
        if isinstance(found, Wrong):
            # What was typed is what is meant, not what stood there before it.
            self.box.complain(found)
            return
        text = self.text()
        if text is None:
            self.complain("Nothing is changed yet: move the value, or cancel.")
            return
        self._commit(text)

    def _commit(self, text: str) -> None:
        if not self.page.reason.strip():
            self.complain("Say why: the reason stands in the history beside the edit.")
            self.why.focus()
            return
        self.page.commit(text, self.page.reason, self.complain)


def reason_field(sitting: Sitting) -> Field:
    """Where the reason is typed; it is kept for the next edit of the same sitting."""

    def typed(text: str) -> None:
        sitting.reason = text

    said = "Why? For the history"
    made = Field("text", sitting.reason, typed, placeholder=said, maxlength=500, aria_label="Reason for this edit")
    made.put(style="flex:1;min-width:16ch")
    return made


def _reached(found: Reach | None) -> list[tuple[str, int, tuple[int, ...]]]:
    if found is None:
        return []
    both = (
        ("rows newly covered", found.gained, found.gained_outcomes),
        ("rows given up", found.lost, found.lost_outcomes),
    )
    return [(said, rows, outcomes) for said, rows, outcomes in both if rows]
