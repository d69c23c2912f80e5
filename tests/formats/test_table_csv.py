"""The CSV table for people."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.formats import EXPORTS
from ruleedit.formats.cells import FORMULA_STARTS, neutral
from ruleedit.formats.table_csv import HEADER
from ruleedit.rules import Outcome, Rule
from ruleedit.text import parse_rule
from tests.formats.samples import HOSTILE, draft_of, hostile_draft, settled

FIGURES = {
    "rules": [
        {"rule": "R1", "covered": 9, "decided": 7, "precision": 0.5},
        {"rule": "R2", "covered": 3, "decided": 0, "precision": None},
    ],
    "default": {"rule": "default", "covered": 10, "decided": 3, "precision": 1.0},
}


def table(draft: Draft) -> list[dict[str, str]]:
    """The lines as a spreadsheet reads them."""
    text = EXPORTS["csv"](draft)
    assert isinstance(text, str)
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_line_a_rule_and_one_for_the_default() -> None:
    """Rules stand in their order with their text and outcome, disabled ones too; the default is last."""
    draft = edit(draft_of("IF age > 20 THEN approve", "IF age > 10 THEN '1'"), ["disable R2"], reason="x", author="ann")
    lines = table(draft)
    assert tuple(lines[0]) == HEADER
    assert [(line["place"], line["id"], line["enabled"]) for line in lines] == [
        *(("1", "R1", "true"), ("2", "R2", "false"), ("3", "default", "true"))
    ]
    assert lines[0]["text"] == "IF age > 20 THEN approve"
    assert lines[-1]["outcome"] == "deny"


def test_the_text_reads_back_as_the_rule() -> None:
    """Where it isn't neutralised the text column is the language's own."""
    draft = settled()
    rules = [parse_rule(line["text"], line["id"]) for line in table(draft)[:-1]]
    assert all(isinstance(rule, Rule) and rule.clauses for rule in rules)
    assert any("+" in rule.id for rule in rules)


def test_figures_stand_beside_the_rules_as_they_were_extracted() -> None:
    """A rule that was changed since has no figures, and neither has a default that was."""
    draft = replace(draft_of("IF age > 20 THEN approve", "IF age > 10 THEN '1'"), origin={"holdout": FIGURES})
    lines = table(draft)
    assert [line["holdout_decided"] for line in lines] == ["7", "0", "3"]
    assert [line["holdout_agreement"] for line in lines] == ["0.5", "", "1"]
    assert [line["train_decided"] for line in lines] == ["", "", ""]
    changed = table(edit(draft, ["set R1 age > 21", "default approve"], reason="x", author="ann"))
    assert [line["holdout_decided"] for line in changed] == ["", "0", ""]


def test_no_cell_is_a_formula() -> None:
    """Every cell of the hostile rules is neutral, and only an apostrophe was added."""
    draft = hostile_draft()
    lines = table(draft)
    for line in lines:
        assert not any(cell.lstrip(" ").startswith(FORMULA_STARTS) for cell in line.values())
    said = [line["outcome"].removeprefix("'") for line in lines[:-1]]
    assert said == [str(rule.outcome).removeprefix("'") for rule in draft.rules]


def test_a_rule_id_that_is_a_formula_is_neutralised() -> None:
    """Ids come from files, and files from anybody."""
    draft = draft_of("IF age > 20 THEN approve")
    named = draft.rules.rules[0].replace(id="=1+1")
    rules = replace(draft.rules, rules=(named,), default=Outcome.of("deny"))
    assert table(replace(draft, base=rules, rules=rules))[0]["id"] == "'=1+1"


def test_neutral_texts() -> None:
    """What begins a formula, behind spaces too, gets an apostrophe; other texts stay as they are."""
    assert neutral("=1") == "'=1"
    assert neutral("  @x") == "'  @x"
    assert neutral("age > 20") == "age > 20"
    assert neutral("") == ""
    assert sum(neutral(text) != text for text in HOSTILE) == 11
