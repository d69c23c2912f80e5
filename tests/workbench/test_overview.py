"""The bars of rows by outcome: every row once, the small together, in the order of size."""

from __future__ import annotations

import numpy as np
import pytest

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.rules import MODEL, Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from service.workbench.overview import LEAST_SHARE, bars
from service.workspace.insight import Decided, Lens

SCHEMA = Schema((Feature("n", "integer", low=0.0, high=10_000.0),), target="ok", classes=("no", "yes", "maybe"))


def draft_of(*sizes: int) -> tuple[Draft, dict[str, Decided]]:
    """Rules that hold so many of 10,000 rows each, their outcomes in turn, and what they decide."""
    ends = np.cumsum(sizes).tolist()
    rules = [
        Rule(f"R{at}", (Clause("n", "<", float(end)),), Outcome.of(SCHEMA.classes[at % 2]))
        for at, end in enumerate(ends)
    ]
    draft = Draft.of(RuleSet(tuple(rules), Outcome.of("maybe")), SCHEMA)
    rows = np.arange(10_000, dtype=float)[:, None]
    lens = Lens(draft, rows, np.zeros(len(rows), dtype=np.intp), None)
    return draft, {one.rule: one for one in lens.decided(draft)}


@pytest.mark.parametrize("sizes", [(4_000, 3_000), (100, 50, 5_000, 60, 70), (1,) * 50, ()])
def test_every_row_is_in_one_part(sizes: tuple[int, ...]) -> None:
    """However the rules share them: the bars are the whole table."""
    draft, figures = draft_of(*sizes)
    found = bars(draft, figures)
    assert sum(part.rows for parts in found.values() for part in parts) == 10_000
    named = [name for parts in found.values() for part in parts for name in part.rules]
    assert sorted(named) == sorted(["", *(f"R{at}" for at in range(len(sizes)))])


def test_the_large_come_first_and_the_small_are_one_part() -> None:
    """Fifty rules of one row are one part that says so, not fifty that nobody can press."""
    draft, figures = draft_of(3_000, 10, 4_000, 10, 10, 10, 10)
    (no, yes) = (bars(draft, figures)[name] for name in ("no", "yes"))
    assert [part.rules for part in no] == [("R2",), ("R0",), ("R4", "R6")]
    assert [part.rules for part in yes] == [("R1", "R3", "R5")]
    assert all(part.rows >= LEAST_SHARE * 10_000 for part in no[:2])


def test_what_is_left_to_the_model_has_a_bar_of_its_own_and_disabled_rules_none() -> None:
    """It has no class; a rule that is off decides nothing."""
    draft, _ = draft_of(4_000, 3_000)
    draft = edit(draft, ["then R0 model", "disable R1"], reason="r")
    rows = np.arange(10_000, dtype=float)[:, None]
    figures = {one.rule: one for one in Lens(draft, rows, np.zeros(10_000, dtype=np.intp), None).decided(draft)}
    found = bars(draft, figures)
    assert draft.rules.rule("R0").outcome == MODEL
    assert [part.rules for part in found[None]] == [("R0",)]
    assert set(found) == {None, "maybe"}
