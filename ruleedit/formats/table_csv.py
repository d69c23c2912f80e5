"""Rules as a CSV table for people: one line a rule in the order in which they decide, the default last."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from ruleedit.conflicts import effective
from ruleedit.drafts import Draft
from ruleedit.formats.cells import Figures, figures, neutral
from ruleedit.rules import number_text

HEADER = (
    *("place", "id", "enabled", "asserted", "text", "outcome"),
    *("train_decided", "train_agreement", "holdout_decided", "holdout_agreement"),
)


def dumps(draft: Draft) -> str:
    """The rules, settlements written out and disabled ones included, as CSV (comma, CR LF).

    A cell that a spreadsheet could run as a formula begins with an apostrophe.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(HEADER)
    parts = (figures(draft, "train"), figures(draft, "holdout"))
    rules = effective(draft.rules, draft.schema)
    for place, rule in enumerate(rules, start=1):
        cells = (rule.id, _flag(rule.enabled), _flag(rule.asserted), str(rule), str(rule.outcome))
        writer.writerow([place, *map(neutral, cells), *_measured(rule.id, parts)])
    last = ("default", "true", "false", f"OTHERWISE {rules.default}", str(rules.default))
    writer.writerow([len(rules) + 1, *map(neutral, last), *_measured(None, parts)])
    return out.getvalue()


def _flag(on: bool) -> str:
    return "true" if on else "false"


def _measured(rule_id: str | None, parts: tuple[Mapping[str | None, Figures], ...]) -> list[str]:
    """Two cells for each part of the rows, empty where nothing was measured."""
    cells: list[str] = []
    for part in parts:
        found = part.get(rule_id)
        cells.append("" if found is None else str(found.decided))
        cells.append("" if found is None or found.precision is None else number_text(found.precision))
    return cells
