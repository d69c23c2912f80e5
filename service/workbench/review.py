"""The columns of a table before a model is trained: read as they should be, each problem beside its column."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ruleedit.errors import RuleEditError
from ruleedit.rules import number_text
from ruleedit.schema import KINDS, Feature
from ruleedit.tables.groups import Fairness
from service.workbench import words
from service.workbench.sensitive import Marks
from service.workbench.tags import Field, Tag, button, checkbox, choice
from service.workspace import Workspace

#: Columns on the page before somebody searches; those with a problem come first.
AT_ONCE = 30
#: What a kind is for people.
SAID = {"numeric": "number", "integer": "whole number", "categorical": "category", "boolean": "true or false"}


class SchemaReview:
    """A data set's columns as they would be read, with what somebody corrected; ``targeted`` is told the classes."""

    def __init__(self, workspace: Workspace, dataset: dict[str, Any], targeted: Callable[[list[str]], None]) -> None:
        self.workspace, self.dataset, self.targeted = workspace, dataset, targeted
        self.target: str = dataset["columns"][-1]
        #: What somebody said of each column, as in a schema.
        self.said: dict[str, dict[str, Any]] = {}
        self.found: dict[str, dict[str, Any]] = {}
        self.unused: set[str] = set()
        self.tokens: list[str] = []
        self.marks = Marks()
        self.search = ""
        self.rows: dict[str, Tag] = {}

    @property
    def changed(self) -> bool:
        """Whether anything is other than as it was inferred."""
        return bool(self.said or self.unused or self.tokens)

    def build(self) -> None:
        """Draw the columns where the caller stands."""
        with Tag("div", look="re-line"):
            Tag("label", "These cells mean a missing value too", for_="re-tokens")
            Field("text", "", self._tokenised, "change", id="re-tokens", placeholder="n/a, ?", style="width:18ch")
            if len(self.dataset["columns"]) > AT_ONCE:
                Field("search", "", self._find, placeholder="Search columns", aria_label="Search columns")
        self.problem = Tag("p", "", "re-problem", role="alert")
        self.listed = Tag("div", look="re-columns", role="group", aria_label="Columns")

    async def load(self) -> None:
        """Look at all columns anew."""
        given = [{"name": name, **self.said.get(name, {})} for name in self._names()]
        try:
            found = await asyncio.to_thread(
                self.workspace.review, self.dataset["id"], self.target, given, list(self.tokens)
            )
        except RuleEditError as problem:
            self.problem.say(str(problem))
            return
        self.found = {column["name"]: column for column in found["columns"]}
        self.problem.say(found["problem"] or "")
        self.targeted(found["schema"]["classes"] if found["schema"] else [])
        self._draw()

    async def whole(self) -> dict[str, Any] | None:
        """The schema to train with; None where something is in the way, which is then said."""
        used = [{"name": name, **self.said.get(name, {})} for name in self._names() if name not in self.unused]
        if not used:
            self.problem.say("No column is used; the model needs one at least.")
            return None
        found = await asyncio.to_thread(self.workspace.review, self.dataset["id"], self.target, used, list(self.tokens))
        schema: dict[str, Any] | None = found["schema"]
        if schema is None:
            wrong = [column["name"] for column in found["columns"] if column["problem"]]
            named = f"{', '.join(wrong[:5])}{' and more' if len(wrong) > 5 else ''}"
            self.problem.say(found["problem"] or f"Correct what is said beside {named}, or leave it out.")
        return schema

    def groups(self, favourable: str) -> dict[str, Any] | None:
        """The sensitive columns as a model's groups, None where nobody marked any; raises `Refused`."""
        features = {
            name: Feature.from_json(column["feature"])
            for name, column in self.found.items()
            if column["feature"] and name not in self.unused
        }
        fairness = Fairness(self.marks.groupings(features), favourable or None)
        fairness.check_columns(features)
        return fairness.to_json() if fairness.columns or favourable else None

    async def aim(self, target: str) -> None:
        """Predict another column."""
        self.target = target
        self.said.pop(target, None)
        self.marks.typed.pop(target, None)
        await self.load()

    def _names(self) -> list[str]:
        return [name for name in self.dataset["columns"] if name != self.target]

    async def _tokenised(self, text: str) -> None:
        self.tokens = [part.strip() for part in text.split(",") if part.strip()]
        # What was filled in from the table may be otherwise now; what somebody said stays.
        await self.load()

    def _find(self, text: str) -> None:
        self.search = text.lower()
        self._draw()

    def _draw(self) -> None:
        found = [column for column in self.found.values() if self.search in column["name"].lower()]
        found.sort(key=lambda column: column["problem"] is None)
        self.listed.clear()
        self.rows = {}
        with self.listed:
            for column in found[:AT_ONCE]:
                self.rows[column["name"]] = Tag("article", look="re-column", aria_label=f"Column {column['name']}")
            if len(found) > AT_ONCE:
                Tag("p", f"{len(found) - AT_ONCE} more columns; search for them.", "quiet small")
        for column in found[:AT_ONCE]:
            self._row(column)

    def _row(self, column: dict[str, Any]) -> None:
        name = column["name"]
        row = self.rows[name]
        row.clear()
        row.classes(**{"add" if name in self.unused else "remove": "off"})
        with row:
            self._head(column)
            feature = column["feature"] or {"name": name, "kind": self.said.get(name, {}).get("kind", "categorical")}
            kinds = [(kind, SAID[kind]) for kind in KINDS]
            choice(kinds, feature["kind"], self._change(name, "kind"), aria_label=f"{name} is a")
            with Tag("div", look="re-line", style="margin:0"):
                self._values(name, feature)
            with Tag("label", look="re-line re-flat small", style="margin:0"):
                allowed = self.said.get(name, {}).get("missing", True)
                checkbox(allowed, self._change(name, "missing"), aria_label=f"{name} may be missing")
                gone = column["missing"]
                Tag("span", f"may be missing ({words.count(gone)} are)" if gone else "may be missing")
            with Tag("div", look="re-line small", style="margin:0"):
                if column["feature"] is not None:
                    self.marks.draw(Feature.from_json(column["feature"]), _suggested(column["feature"]), "sensitive")
            Tag("p", column["problem"] or "", "re-problem", role="alert")
            for note in column["notes"]:
                Tag("p", note, "quiet small")

    def _head(self, column: dict[str, Any]) -> None:
        name = column["name"]
        with Tag("label", look="name"):
            checkbox(name not in self.unused, lambda on: self._use(name, on), aria_label=f"Use {name}")
            with Tag("span"):
                Tag("b", name)
                Tag("span", ", ".join(column["examples"]), "quiet small")

    def _values(self, name: str, feature: dict[str, Any]) -> None:
        """The range of a number, or the values of a category."""
        if feature["kind"] in ("numeric", "integer"):
            for bound, said in (("low", "from"), ("high", "to")):
                value = self.said.get(name, {}).get(bound, feature.get(bound))
                text = value if isinstance(value, str) else "" if value is None else number_text(value)
                Tag("span", said, "quiet small")
                Field("text", text, self._bound(name, bound), "change", aria_label=f"{name} {said}",
                      placeholder="any", style="width:11ch", inputmode="decimal")  # fmt: skip
        elif feature["kind"] == "categorical":
            listed = feature.get("categories", [])
            shown = ", ".join(listed[:4]) + (f" and {len(listed) - 4} more" if len(listed) > 4 else "")
            Tag("span", shown, "small values")
            button(
                "Edit…", lambda: self._list(name, listed), "re-button plain", aria_label=f"Edit the values of {name}"
            )
        else:
            Tag("span", "false, true", "small")

    def _list(self, name: str, listed: list[str]) -> None:
        """A category's values, one a line."""
        with self.rows[name]:
            area = Tag("textarea", "\n".join(listed), "re-input wide", rows="6", aria_label=f"The values of {name}")

        async def changed(said: Any) -> None:
            lines = [line.strip() for line in str(said.args).splitlines() if line.strip()]
            await self._change(name, "categories")(lines)

        area.on("change", changed, js_handler="(e) => emit(e.target.value)")
        area.client.run_javascript(f"document.getElementById('c{area.id}').focus()")

    def _bound(self, name: str, bound: str) -> Callable[[str], Awaitable[None]]:
        async def changed(text: str) -> None:
            try:
                value = float(text.replace("\u202f", "")) if text.strip() else None
            except ValueError:
                column = self.found[name]
                self.found[name] = column | {"problem": f"{text!r} is no number; leave it empty for any"}
                self.said.setdefault(name, {})[bound] = text
                self._row(self.found[name])
                return
            await self._change(name, bound)(value)

        return changed

    def _change(self, name: str, what: str) -> Callable[[Any], Awaitable[None]]:
        async def change(value: Any) -> None:
            said = self.said.setdefault(name, {})
            if what == "kind":
                # Another kind has another range and other values: the table says which.
                said = self.said[name] = {key: said[key] for key in ("missing",) if key in said}
            said[what] = value
            await self._look(name)

        return change

    async def _look(self, name: str) -> None:
        """Look at one column anew."""
        asked = [{"name": name, **self.said.get(name, {})}]
        found = await asyncio.to_thread(
            self.workspace.review, self.dataset["id"], self.target, asked, list(self.tokens)
        )
        self.found[name] = found["columns"][0]
        if name in self.rows:
            self._row(self.found[name])

    def _use(self, name: str, on: bool) -> None:
        (self.unused.discard if on else self.unused.add)(name)
        self._row(self.found[name])


def _suggested(feature: dict[str, Any]) -> str:
    """Where a number would be cut: in the middle of its range, until somebody knows better."""
    low, high = feature.get("low"), feature.get("high")
    if feature["kind"] not in ("numeric", "integer") or low is None or high is None or low >= high:
        return ""
    middle = (low + high) / 2
    return number_text(round(middle) if feature["kind"] == "integer" else float(f"{middle:.3g}"))
