"""The column at the side: what the draft, or the edit that is being tried, would change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from nicegui import ui

from ruleedit.drafts import Draft
from ruleedit.feedback import feedback
from ruleedit.impact import impact
from ruleedit.matching import Mask
from ruleedit.tables.groups import Behind, Fairness, Group, Grouping, behind, ratios
from service.workbench import words
from service.workbench.frame import Place
from service.workbench.tags import Tag, bar, button, choice, drawn, empty, link, outcome
from service.workspace.insight import Effect, groupable

#: More warnings are read by nobody; the furthest behind comes first.
MOST_WARNINGS = 3
#: Cells of the confusion: all of two classes.
MOST_CELLS = 8
#: So many changed rows are shown, and so many of their columns at first sight.
SHOWN_ROWS = 50


@dataclass
class Panel:
    """The impact beside the rules; ``by`` is the feature whose groups are compared, ``outcome`` the
    class's place. ``regrouped`` is called when somebody chooses another one.
    """

    place: Place
    column: Tag
    by: str | None = None
    outcome: str | None = None
    regrouped: Callable[[], None] = lambda: None
    #: How many decisions the draft changes as it is kept, without what is being tried.
    kept: int = 0

    def __post_init__(self) -> None:
        self.fairness = self.place.opened.fairness
        self.known = groupable(self.place.draft.schema, self.fairness.columns)
        self.by = self.known[0] if self.known else None

    def show(self, draft: Draft, found: Effect, seconds: float, trying: str = "") -> None:
        """Show the effect of a draft, of the one that is being tried where there is one."""
        if not trying:
            self.kept = found.glance.changed
        with self.column.again():
            with drawn("div", look="re-line", style="justify-content:space-between"):
                drawn("h2", "Impact of this edit" if trying else "Impact of this draft")
                drawn("span", f"all {words.count(found.glance.rows)} rows · {1000 * seconds:.0f} ms", "quiet small")
            if trying:
                drawn("p", trying, "formal quiet")
            _changes(self.place, draft, found, self.kept if trying and self.kept else None)
            _quality(draft, found)
            _confusion(draft, found)
            self._groups(draft, found)
            _sample(self.place, draft, found)

    def _groups(self, draft: Draft, found: Effect) -> None:
        place = self._compared(draft, found)
        self._behind(draft, found, place)
        if not self.known:
            return
        drawn("h2", "By group")
        with drawn("div", look="re-line"):
            drawn("span", "share of")
            classes = [(str(at), f"{words.shape(at)} {name}") for at, name in enumerate(draft.schema.classes)]
            self._choice("outcome", "Outcome whose share is compared", classes, str(place))
            drawn("span", "by")
            features = [(name, words.name(name)) for name in self.known]
            self._choice("by", "Feature whose groups are compared", features, str(self.by))
        _group_table(found.groups.get(str(self.by), ()), place, self.fairness.least_ratio)
        said = "Sensitive columns and the limit…" if self.fairness.columns else "No column is marked as sensitive…"
        link(said, f"/r/{self.place.record.id}/model#sensitive", "small")

    def _behind(self, draft: Draft, found: Effect, place: int) -> None:
        """Warn of the groups of sensitive columns that the edit leaves behind."""
        looked: Fairness = replace(self.fairness, favourable=draft.schema.classes[place])
        for one in behind(looked, found.groups, draft.schema)[:MOST_WARNINGS]:
            grouping = next(item for item in looked.columns if item.column == one.group.column)
            _warning(self.place, draft, found, one, grouping)

    def _compared(self, draft: Draft, found: Effect) -> int:
        """The class whose share is compared: the one chosen, the favourable, or the one that the edit gives more."""
        if self.outcome is not None:
            return int(self.outcome)
        if self.fairness.favourable is not None:
            return draft.schema.classes.index(self.fairness.favourable)
        gains = [after - before for before, after in found.shares]
        return max(range(len(draft.schema.classes)), key=lambda at: gains[at])

    def _choice(self, attribute: str, said: str, choices: Sequence[tuple[str, str]], chosen: str) -> None:
        def choose(value: str) -> None:
            setattr(self, attribute, value)
            self.regrouped()

        choice(choices, chosen, choose, aria_label=said)


def _changes(place: Place, draft: Draft, found: Effect, kept: int | None) -> None:
    """How many decisions change and which way; ``kept`` are those that change without what is being tried."""
    glance = found.glance
    with drawn("div", aria_live="polite"):
        drawn("span", words.count(glance.changed), "re-big")
        drawn("span", f" decisions change ({words.share(glance.changed / max(glance.rows, 1))})")
        if kept is not None:
            more = words.signed(glance.changed - kept)
            drawn("div", f"{words.count(kept)} without this edit, so {more} by it", "quiet small")
    most = max(glance.flips.values(), default=1)
    for (old, new), count in sorted(glance.flips.items(), key=lambda pair: -pair[1])[:6]:
        before, after = draft.schema.classes.index(old), draft.schema.classes.index(new)
        with drawn("div", look="re-flip"):
            with drawn("span"):
                outcome(draft.schema, before)
                drawn("span", " → ")
                outcome(draft.schema, after)
            bar(count / most, f"b{words.colour(after)}")
            drawn("span", words.count(count), "number")
    if glance.changed_by_assertion:
        said = (
            f"{words.count(glance.changed_by_assertion)} of them because the model did not follow its own rules there"
        )
        drawn("p", said, "quiet small")
    if glance.undecided:
        said = f"{words.count(glance.undecided)} rows lie in conflicts that nobody has settled. "
        with drawn("p", "", "re-note", role="status"):
            drawn("span", said)
            link("Settle them", f"/r/{place.record.id}/conflicts")


def _quality(draft: Draft, found: Effect) -> None:
    with drawn("table", look="re-table", style="margin-top:8px"):
        with drawn("thead"), drawn("tr"):
            for head, look in (("", ""), ("model", "number"), ("draft", "number"), ("change", "number")):
                drawn("th", head, look, scope="col")
        with drawn("tbody"):
            for place, (before, after) in enumerate(found.shares[:8]):
                with drawn("tr"):
                    with drawn("td"):
                        outcome(draft.schema, place)
                    _cells(words.share(before), words.share(after), words.signed(100 * (after - before), 1))
            if found.f1 is not None:
                with drawn("tr"):
                    drawn("td", "Macro F1, all rows")
                    _cells(*(f"{one:.3f}" for one in found.f1), words.signed(found.f1[1] - found.f1[0], 3))
            if found.calibration is not None:
                told = "How far the probabilities are from the share of right answers, over ten bins"
                with drawn("tr"):
                    drawn("td", "Calibration error", title=told)
                    change = words.signed(found.calibration[1] - found.calibration[0], 3)
                    _cells(*(f"{one:.3f}" for one in found.calibration), change)
            if found.honoured is not None:
                with drawn("tr"):
                    drawn("td", "Edits honoured")
                    _cells(words.share(found.honoured, 0), "100%", words.signed(100 * (1 - found.honoured)))
    if found.f1 is not None and found.f1[1] < found.f1[0] - 0.0005 and found.glance.changed:
        said = f"Against the recorded {words.name(draft.schema.target)} the whole gets worse: macro F1 falls from "
        drawn("p", said + f"{found.f1[0]:.3f} to {found.f1[1]:.3f} over all rows.", "re-note", role="status")


def _confusion(draft: Draft, found: Effect) -> None:
    """Rows by what is recorded and what is decided; of many classes the cells that change most."""
    before, after = found.glance.confusion_before, found.glance.confusion_after
    if before is None or after is None:
        return
    most = np.argsort(-np.abs(after - before), axis=None, kind="stable")[:MOST_CELLS]
    if before.size > MOST_CELLS:
        # Of many classes the cells that stay say nothing of the draft.
        most = most[(after != before).ravel()[most]]
    if not len(most):
        return
    with drawn("table", look="re-table", aria_label="Recorded and decided"):
        with drawn("thead"), drawn("tr"):
            for head, look in (("recorded", ""), ("decided", ""), ("model", "number"), ("draft", "number")):
                drawn("th", head, look, scope="col")
        with drawn("tbody"):
            for cell in sorted(most.tolist()):
                with drawn("tr"):
                    places = divmod(cell, len(before))
                    for place in places:
                        with drawn("td"):
                            outcome(draft.schema, place)
                    _cells(words.count(int(before[places])), words.count(int(after[places])))


def _cells(*texts: str) -> None:
    for text in texts:
        drawn("td", text, "number")


def _group_table(groups: tuple[Group, ...], place: int, least: float) -> None:
    with drawn("table", look="re-table"):
        with drawn("thead"), drawn("tr"):
            drawn("th", "", scope="col")
            for head in ("n", "model", "draft", "ratio"):
                drawn("th", head, "number", scope="col")
        with drawn("tbody"):
            for group, (_, ratio) in zip(groups, ratios(groups, place), strict=True):
                low = ratio < least and group.value is not None
                with drawn("tr"):
                    drawn(
                        "td", "missing" if group.value is None else group.value, "quiet" if group.value is None else ""
                    )
                    _cells(words.count(group.rows), words.share(group.before[place]), words.share(group.after[place]))
                    drawn("td", f"{ratio:.2f}{' (low)' if low else ''}", "number care" if low else "number")


def _warning(place: Place, draft: Draft, found: Effect, one: Behind, grouping: Grouping) -> None:
    """A group that falls behind, in words, with the rows that do it one press away."""
    rows, changed = place.opened.table.rows, found.glance.mask
    inside = next(mask for value, mask in grouping.parts(rows, draft.schema) if value == one.group.value)
    own = bool((changed & inside).any())
    concerned = changed & inside if own else changed & ~inside
    count = words.count(int(concerned.sum()))
    with drawn("div", look="re-note", role="status"):
        drawn("b", f"{words.name(one.group.column)} {one.group.value} falls behind: ")
        fell = f"{one.after:.2f} of the best group's rate of {one.outcome} (was {one.before:.2f})"
        drawn("span", f"{fell}, below the {one.least:g} set for this project. ")
        drawn("span", f"{count} of its rows change. " if own else f"None of its rows change; {count} of others do. ")
        said = f"Rows of {words.name(one.group.column)} {one.group.value}" if own else "Rows of the other groups"
        button("Show them", lambda: _rows(place, draft, concerned, said), "re-button plain", aria_haspopup="dialog")


def _sample(place: Place, draft: Draft, found: Effect) -> None:
    if not found.glance.changed:
        if not draft.history:
            empty("Nothing is changed yet.", "Press a clause to change it; its effect stands here while you do.")
        return
    button("Show changed rows…", lambda: _rows(place, draft, found.glance.mask, "Rows"), "re-button")


def _rows(place: Place, draft: Draft, mask: Mask, said: str) -> None:
    """A sample of changed rows in a dialog, evenly over the table."""
    changed = mask.nonzero()[0]
    chosen = changed[:: max(1, len(changed) // SHOWN_ROWS)][:SHOWN_ROWS]
    schema = draft.schema
    rows, own = place.opened.table.rows[chosen], place.opened.table.outcomes[chosen]
    asked = impact(feedback(draft.base, draft.rules, schema), rows, own)
    where = f"/r/{place.record.id}/what-if"
    with ui.dialog(value=True) as dialog, Tag("div", look="re re-card", style="max-width:92vw;width:1100px"):
        few = f" ({len(chosen)} of {words.count(len(changed))})" if len(chosen) < len(changed) else ""
        Tag("h1", f"{said} whose decision changes{few}")
        with Tag("div", look="re-scroll", style="max-height:64vh", tabindex="0"), Tag("table", look="re-table re-rows"):
            with Tag("thead"), Tag("tr"):
                Tag("th", "row", "number", scope="col")
                for head in ("model", "draft", "rule"):
                    Tag("th", head, scope="col")
                for one in schema.features:
                    Tag("th", words.name(one.name), "number" if one.is_number else "", scope="col")
            with Tag("tbody"):
                for at, (row, values) in enumerate(zip(chosen.tolist(), rows, strict=True)):
                    with Tag("tr"):
                        with Tag("td", look="number"):
                            told = f"What if: row {row + 1}"
                            link(words.count(row + 1), f"{where}?row={row + 1}", aria_label=told, title=told)
                        for outcomes in (asked.before, asked.after):
                            with Tag("td"):
                                outcome(schema, int(outcomes[at]))
                        Tag("td", asked.by_rule[int(asked.held[at])].rule)
                        for feature, number in zip(schema.features, values.tolist(), strict=True):
                            Tag("td", words.cell(feature, number), "number" if feature.is_number else "")
        button("Close", dialog.close, "re-button")
