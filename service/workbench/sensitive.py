"""Which columns are sensitive, and when a group has fallen behind: a setting of the project, with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from ruleedit.errors import Refused, RuleEditError
from ruleedit.rules import number_text
from ruleedit.schema import Feature
from ruleedit.tables.groups import Fairness, Grouping
from service.workbench import words
from service.workbench.editor import reason_field
from service.workbench.frame import Place
from service.workbench.tags import Field, Tag, button, checkbox, choice

SET = "POST /v1/models/{model}/groups"
#: Columns on the page before somebody searches.
AT_ONCE = 12


def read_cuts(text: str, column: str) -> tuple[float, ...]:
    """The cuts that somebody typed, as in ``30, 50``; raises `Refused`."""
    try:
        return tuple(float(part) for part in text.replace(";", ",").split(",") if part.strip())
    except ValueError:
        raise Refused(f"{text!r} is no list of numbers; say where {column!r} is cut, as in 30, 50") from None


class Marks:
    """The columns that are marked so far: each with its cuts as they are typed."""

    def __init__(self, marked: Mapping[str, str] | None = None) -> None:
        self.typed: dict[str, str] = dict(marked or {})

    @classmethod
    def of(cls, fairness: Fairness) -> Marks:
        """As they were set."""
        return cls({one.column: ", ".join(map(number_text, one.cuts)) for one in fairness.columns})

    def groupings(self, features: Mapping[str, Feature]) -> tuple[Grouping, ...]:
        """The groupings; raises `Refused` for cuts that are none. A column that isn't there any more is left out."""
        found = []
        for column, text in self.typed.items():
            if column in features:
                cuts = read_cuts(text, column) if features[column].is_number else ()
                found.append(Grouping(column, cuts))
        return tuple(found)

    def draw(self, feature: Feature, suggested: str = "", said: str = "") -> None:
        """A box to mark a column, and for a number where it is cut."""
        name = feature.name

        def mark(on: bool) -> None:
            if on:
                self.typed.setdefault(name, suggested)
            else:
                self.typed.pop(name, None)
            if cuts is not None:
                cuts.put(hidden=name not in self.typed)

        with Tag("span", look="re-line", style="margin:0"):
            checkbox(name in self.typed, mark, aria_label=f"{name} is sensitive")
            if said:
                Tag("span", said)
            cuts = None
            if feature.is_number:
                with Tag("span", look="re-line", style="margin:0") as cuts:
                    Tag("span", "cut at", "quiet small")
                    text = self.typed.get(name, suggested)
                    Field("text", text, lambda said: self.typed.__setitem__(name, said), placeholder="30, 50",
                          aria_label=f"Where {name} is cut", style="width:10ch")  # fmt: skip
                cuts.put(hidden=name not in self.typed)


class Settings:
    """The settings of a model's project, drawn where the caller stands."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.fairness = place.opened.fairness
        self.marks = Marks.of(self.fairness)
        self.favourable = self.fairness.favourable or ""
        self.least = number_text(100 * self.fairness.least_ratio)
        self.reason = ""
        self.search = ""

    def build(self) -> None:
        """Draw them."""
        schema = self.place.draft.schema
        with Tag("section", id="sensitive", aria_label="Sensitive columns"):
            Tag("h2", "Sensitive columns")
            said = "Impact, comparisons and reports show how their groups fare, and warn of one that falls behind."
            Tag("p", said, "quiet")
            if len(schema.features) > AT_ONCE:
                Field("search", "", self._find, placeholder="Search columns", aria_label="Search columns")
            self.listed = Tag("div", look="re-marks")
            self._draw()
            with Tag("div", look="re-line"):
                Tag("label", "The outcome that people want", for_="re-favourable")
                classes = [(name, f"{words.shape(at)} {name}") for at, name in enumerate(schema.classes)]
                choice([("", "nobody said"), *classes], self.favourable, self._wanted, id="re-favourable")
            with Tag("div", look="re-line"):
                Tag("label", "A group is behind below", for_="re-least")
                Field("number", self.least, self._limit, id="re-least", min="0", max="100", step="any",
                      style="width:10ch")  # fmt: skip
                Tag("span", "% of the best group's rate (four fifths unless set; 0 turns it off)", "quiet")
            with Tag("div", look="re-line"):
                reason_field(self)
                button("Save", self._save, "re-button first")
            self.problem = Tag("p", "", "re-problem", role="alert")

    def _draw(self) -> None:
        features = self.place.draft.schema.features
        found = [one for one in features if self.search in one.name.lower()]
        # What is marked stands first, so that it is seen without a search.
        found.sort(key=lambda one: one.name not in self.marks.typed)
        self.listed.clear()
        with self.listed:
            for feature in found[:AT_ONCE]:
                with Tag("div", look="re-mark"):
                    Tag("span", words.name(feature.name), title=feature.name)
                    self.marks.draw(feature)
            if len(found) > AT_ONCE:
                Tag("p", f"{len(found) - AT_ONCE} more; search for them.", "quiet small")

    def _find(self, text: str) -> None:
        self.search = text.lower()
        self._draw()

    def _wanted(self, name: str) -> None:
        self.favourable = name

    def _limit(self, text: str) -> None:
        self.least = text

    def _asked(self) -> dict[str, Any]:
        features = {feature.name: feature for feature in self.place.draft.schema.features}
        try:
            least = float(self.least) / 100
        except ValueError:
            raise Refused("say below what share of the best group's rate a group is behind, from 0 to 100") from None
        return Fairness(self.marks.groupings(features), self.favourable or None, least).to_json()

    def _save(self) -> None:
        if not self.reason.strip():
            self.problem.say("Say why: the reason stands in the audit.")
            return
        place = self.place
        try:
            by = place.actor.acting(SET)
            place.workspace.set_groups(place.model.id, self._asked(), self.reason, by=by)
        except RuleEditError as refused:
            self.problem.say(str(refused))
            return
        ui.navigate.reload()
