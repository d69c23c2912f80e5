"""The pages of the sources: the table's columns, and the model with how good it is."""

from __future__ import annotations

from ruleedit.drafts import Draft
from service.workbench import words
from service.workbench.frame import Place, framed
from service.workbench.sensitive import Settings
from service.workbench.tags import Tag, table


def build_data(place: Place) -> None:
    """The columns as the rules see them."""
    opened = place.opened
    with framed(place, "Data"):
        Tag("h1", f"{words.count(len(opened.table.rows))} rows, {len(place.draft.schema.features)} features")
        Tag("p", f"The table that the model was trained on; the target is {opened.model.target}.", "quiet")
        table(("feature", "kind", "values that rules may name", "missing"), _features(place.draft), title="Features")


def _features(draft: Draft) -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, str, str, str]] = []
    for feature in draft.schema.features:
        if feature.is_number:
            low, high = feature.low, feature.high
            said = " to ".join("any" if one is None else words.number(one) for one in (low, high))
        else:
            said = ", ".join(feature.values[:20])
            said += f" and {len(feature.values) - 20} more" if len(feature.values) > 20 else ""
        rows.append((feature.name, feature.kind, said, "allowed" if feature.missing else "refused"))
    return rows


def build_model(place: Place) -> None:
    """What is known of the model."""
    model = place.opened.model
    summary = model.summary
    with framed(place, "Model"):
        Tag("h1", model.name)
        Tag("p", "Adopted: somebody else trained it." if summary.get("adopted") else "Trained here.", "quiet")
        holdout = summary.get("holdout", {})
        rows = [(key.replace("_", " "), f"{value:.4f}" if isinstance(value, float) else str(value))
                for key, value in holdout.items() if isinstance(value, int | float)]  # fmt: skip
        Tag("h2", "On held-out rows")
        table(("figure", "value"), rows, numbers=(1,), title="Figures on held-out rows")
        Tag("h2", "Classes")
        thresholds = summary.get("thresholds", {})
        table(("class", "threshold"), [(name, f"{thresholds.get(name, 0):g}") for name in place.draft.schema.classes],
              numbers=(1,), title="Classes and their thresholds")  # fmt: skip
        Settings(place).build()
        Tag("h2", "File")
        Tag("p", f"SHA-256 {summary.get('hash', '')}", "formal")
        for note in summary.get("notes", []):
            Tag("p", note, "quiet")
