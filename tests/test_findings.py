"""Findings: what a reader of the rules may have missed, exactly."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ruleedit import findings as finding
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.findings import Finding, finding_rows, findings
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from tests import strategies
from tests.asked import grid
from tests.reference import covers, decides, encoded
from tests.strategies import Dice

SCHEMA = Schema(
    (Feature("x", "integer", low=0.0, high=9.0), Feature("c", "categorical", False, categories=("a", "b"))),
    "t",
    ("no", "yes"),
)


def draft_of(*texts: str) -> Draft:
    """A draft of the rules R1, R2, ..."""
    rules = tuple(parse_rule(text, f"R{number}") for number, text in enumerate(texts, start=1))
    return Draft.of(RuleSet(rules, Outcome.of("no")), SCHEMA)


def found(draft: Draft) -> list[tuple[str, tuple[str, ...]]]:
    """Kinds and rules."""
    return [(one.kind, one.rules) for one in findings(draft)]


def test_a_rule_behind_one_that_covers_it_never_decides() -> None:
    """By one rule, or by several together."""
    assert found(draft_of("IF x > 2 THEN yes", "IF x > 4 THEN no")) == [("shadowed", ("R2", "R1"))]
    several = findings(draft_of("IF x > 5 THEN yes", "IF x <= 5 THEN no", "IF x between 4 and 7 THEN yes"))
    assert [one.says for one in several] == ["R3 never decides: R1 and R2 before it cover its rows"]


def test_rules_that_say_the_same_are_duplicates() -> None:
    """However they are written; with another outcome the later one is shadowed."""
    assert ("duplicate", ("R1", "R2")) in found(draft_of("IF x > 4 THEN yes", "IF x >= 5 THEN yes"))
    assert found(draft_of("IF x > 4 THEN yes", "IF x >= 5 THEN no")) == [("shadowed", ("R2", "R1"))]


def test_a_rule_outside_the_schema_is_found() -> None:
    """Past the range, or for categories never seen."""
    strange = findings(draft_of("IF x > 9 THEN yes", "IF c not in (a, b) THEN yes", "IF x >= 9 THEN yes"))
    assert [(one.kind, one.says) for one in strange] == [
        ("outside-schema", "R1 holds only rows with numbers outside the schema's range of 'x'"),
        ("outside-schema", "R2 holds only rows with categories never seen of 'c'"),
    ]


def test_a_disagreement_behind_extracted_rules_is_hidden() -> None:
    """It is no conflict, and would be one if the extracted rule went."""
    draft = edit(
        draft_of("IF x > 4 THEN no", "IF x > 6 THEN yes", "IF x > 5 THEN no"), ["confirm R2", "confirm R3"], reason=""
    )
    assert ("hidden-conflict", ("R2", "R3")) in found(draft)


def test_rows_that_fall_to_the_default_are_a_gap() -> None:
    """Unless an `otherwise`, or another rule, holds them."""
    draft = draft_of("IF x > 4 THEN yes")
    (gap,) = findings(edit(draft, ["set R1 x > 6"], reason=""))
    assert (gap.kind, gap.rules) == ("gap", ("R1",))
    assert (
        gap.says == "rows that R1 decided are under no rule now, the default says no: for one, where x between 5 and 6"
    )
    rows = encoded([{"x": float(x), "c": "a"} for x in range(10)], SCHEMA)
    assert finding_rows([gap], SCHEMA, rows) == [2]
    assert gap.to_json(2)["rows"] == 2
    assert gap.to_json()["rows"] is None
    assert found(edit(draft, ["set R1 x > 6 otherwise yes"], reason="")) == []
    assert found(edit(draft, ["remove R1", "new IF x > 3 THEN yes"], reason="")) == []


def test_findings_hold_row_by_row(count: Callable[[int, int], int]) -> None:
    """A shadowed rule decides no row and one that isn't does; a gap is just what nobody holds any more."""
    seen = dict.fromkeys(("shadowed", "duplicate", "gap"), 0)
    for number in range(count(80, 1_500)):
        dice = Dice(number)
        schema = strategies.make_small_schema(dice, most=2)
        draft = strategies.make_session(dice, Draft.of(strategies.make_base(dice, schema), schema), most=4)[-1]
        noticed = findings(draft)
        rows = grid([*draft.base, *draft.rules], schema)
        deciding = {decides(draft.rules, row, schema) for row in rows}
        shadowed = {one.rules[0] for one in noticed if one.kind == "shadowed"}
        for place, rule in enumerate(draft.rules):
            if rule.enabled:
                assert (rule.id in shadowed) == (place not in deciding)
        for one in noticed:
            seen[one.kind] = seen.get(one.kind, 0) + 1
            if one.kind == "duplicate":
                first, second = (draft.rules.rule(rule) for rule in one.rules)
                assert all(covers(first, row, schema) == covers(second, row, schema) for row in rows)
                assert first.outcome == second.outcome
            if one.kind == "gap":
                check_gap(one, draft, rows)
    assert min(seen.values()) > 2


def check_gap(one: Finding, draft: Draft, rows: list[strategies.Row]) -> None:
    """The region holds the rows that the base rule decided and that no rule covers now."""
    place = draft.base.position(one.rules[0])
    for row in rows:
        lost = decides(draft.base, row, draft.schema) == place and decides(draft.rules, row, draft.schema) < 0
        assert (row in one.region) == lost


def test_past_its_limit_cover_by_several_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one rule covers is always found."""
    monkeypatch.setattr(finding, "MOST_RULES", 2)
    draft = draft_of("IF x > 5 THEN yes", "IF x <= 5 THEN no", "IF x between 4 and 7 THEN yes", "IF x > 7 THEN no")
    assert found(draft) == [("shadowed", ("R4", "R1"))]
