"""What the tables for people share: cells that no spreadsheet takes for a formula, and the extraction's figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruleedit.drafts import Draft
from ruleedit.rules import Rule

#: What a spreadsheet may run a cell for, full-width forms and a leading line end included.
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


def neutral(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet could take it for a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


@dataclass(frozen=True)
class Figures:
    """What the extraction measured of a rule on one part of the rows: how many it decided, the model's agreement."""

    decided: int
    precision: float | None


def figures(draft: Draft, part: str) -> dict[str | None, Figures]:
    """The figures by rule id (None: the default) for ``train`` or ``holdout``; empty where nothing was measured.

    They hold for a rule as it was extracted, so a rule whose text was changed since has none.
    """
    measured = draft.origin.get(part)
    if not isinstance(measured, Mapping):
        return {}
    known = {str(item["rule"]): _figures(item) for item in measured.get("rules", ())}
    extracted = {rule.id: rule for rule in draft.base}
    found: dict[str | None, Figures] = {
        rule.id: known[rule.id] for rule in draft.rules if rule.id in known and _same(rule, extracted.get(rule.id))
    }
    default = measured.get("default")
    if default and draft.rules.default == draft.base.default:
        found[None] = _figures(default)
    return found


def _same(rule: Rule, extracted: Rule | None) -> bool:
    return extracted is not None and rule.says(extracted)


def _figures(item: Mapping[str, Any]) -> Figures:
    return Figures(int(item["decided"]), None if item["precision"] is None else float(item["precision"]))
