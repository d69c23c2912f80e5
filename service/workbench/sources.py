"""The pages of the sources: the table's columns, and the model with how good it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ruleedit.drafts import Draft
from ruleedit.matching import Matrix
from service.workbench import words
from service.workbench.frame import Place, framed
from service.workbench.review import SAID
from service.workbench.sensitive import Settings
from service.workbench.tags import Tag, outcome, table

#: So much of a category's values is listed: a line or two.
MOST_LETTERS = 160
#: The held-out figures by their names for people; the others are named as they are kept.
FIGURES = {"auc": "area under the ROC curve", "rows": "rows"}


def build_data(place: Place) -> None:
    """The columns as the rules see them."""
    opened = place.opened
    with framed(place, "Data"):
        Tag("h1", f"{words.count(len(opened.table.rows))} rows, {len(place.draft.schema.features)} features")
        Tag("p", f"The table that the model was trained on; the target is {opened.model.target}.", "quiet")
        table(
            ("feature", "kind", "values that rules may name", "missing (rows)"),
            _features(place.draft, opened.table.rows),
            title="Features",
        )


def _features(draft: Draft, table_: Matrix) -> list[tuple[str, str, str, str]]:
    """A line for each feature, with the rows of the table (n, features) that have no value there."""
    rows: list[tuple[str, str, str, str]] = []
    missing = np.isnan(table_).sum(axis=0).tolist()
    for feature, gone in zip(draft.schema.features, missing, strict=True):
        if feature.is_number:
            low, high = feature.low, feature.high
            said = " to ".join("any" if one is None else words.number(one) for one in (low, high))
        else:
            said = words.listed(feature.values, MOST_LETTERS)
        allowed = f"allowed ({words.count(gone)})" if feature.missing else "refused"
        rows.append((feature.name, SAID[feature.kind], said, allowed))
    return rows


def build_model(place: Place) -> None:
    """What is known of the model."""
    model = place.opened.model
    summary = model.summary
    with framed(place, "Model"):
        Tag("h1", model.name)
        Tag("p", "Adopted: somebody else trained it." if summary.get("adopted") else "Trained here.", "quiet")
        holdout = summary.get("holdout", {})
        rows = [(FIGURES.get(key, key.replace("_", " ")), _figure(key, value))
                for key, value in holdout.items() if isinstance(value, int | float)]  # fmt: skip
        with Tag("div", look="re-narrow"):
            Tag("h2", "On held-out rows")
            table(("figure", "value"), rows, numbers=(1,), title="Figures on held-out rows")
            _classes(place, summary.get("thresholds", {}))
        Settings(place).build()
        Tag("h2", "File")
        Tag("p", f"SHA-256 {summary.get('hash', '')}", "formal")
        for note in summary.get("notes", []):
            Tag("p", note, "quiet")


def _figure(name: str, value: float) -> str:
    """A figure to as many digits as a quarter of a table can tell apart."""
    if isinstance(value, int):
        return words.count(value)
    return words.share(value) if name == "accuracy" else f"{value:.3f}"


def _classes(place: Place, thresholds: Mapping[str, float]) -> None:
    """The classes with their shapes; the one with the greatest share of its threshold is the answer."""
    schema = place.draft.schema
    Tag("h2", "Classes")
    with Tag("table", look="re-table", aria_label="Classes and their thresholds"):
        with Tag("thead"), Tag("tr"):
            Tag("th", "class", scope="col")
            Tag("th", "threshold", "number", scope="col")
        with Tag("tbody"):
            for at, name in enumerate(schema.classes):
                with Tag("tr"):
                    with Tag("td"):
                        outcome(schema, at)
                    Tag("td", f"{thresholds.get(name, 0):.3g}", "number")
