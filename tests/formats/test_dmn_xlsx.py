"""The DMN table in Excel, run in pyDMNrules; only in the soak, because importing that takes half a minute."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import openpyxl
import pytest

from ruleedit.drafts import Draft
from ruleedit.errors import Refused
from ruleedit.formats import EXPORTS
from ruleedit.formats.cells import FORMULA_STARTS
from ruleedit.formats.conditions import ordered, used_features
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from tests.formats.readers import reader
from tests.formats.samples import HOSTILE, answers, comparable, draft_of, hostile_draft
from tests.reference import Row


def workbook(document: object) -> openpyxl.Workbook:
    """The document, opened."""
    assert isinstance(document, bytes)
    return openpyxl.load_workbook(io.BytesIO(document))


def in_pydmnrules(draft: Draft, document: object, rows: Sequence[Row]) -> list[tuple[str | None, str | None]]:
    """What pyDMNrules answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = reader("pyDMNrules")
        tables = package.DMN()
        assert tables.use(workbook(document)) == {}
    used = used_features(ordered(draft), draft.schema)
    found = []
    for row in rows:
        given: dict[str, Any] = {feature.name: row[feature.name] for feature in used}
        flags = {feature.name for feature in used if feature.kind == "boolean"}
        given = {name: cell == "true" if name in flags and cell is not None else cell for name, cell in given.items()}
        status, decided = tables.decide(given)
        assert status == {}
        found.append((decided["Result"]["outcome"], decided["Result"]["rule"]))
    return found


def readable(row: Row) -> bool:
    """Whether the reader can take the row: it writes values out as Python, with no exponent and no new line."""
    numbers = [cell for cell in row.values() if isinstance(cell, float)]
    texts = [cell for cell in row.values() if isinstance(cell, str)]
    return not any("e" in repr(cell) for cell in numbers) and all(cell.isprintable() for cell in texts)


@pytest.mark.soak
def test_it_answers_as_the_rule_set() -> None:
    """Outcome and rule are the same in pyDMNrules, which is slow, on 1,000 rows of every random rule set."""
    for draft, document, rows in comparable("dmn-xlsx", 17, 20):
        table = [row for row in rows(3_000) if readable(row)][:1_000]
        assert in_pydmnrules(draft, document, table) == list(zip(*answers(draft, table), strict=True))


@pytest.mark.soak
def test_every_kind_of_clause_is_read() -> None:
    """Sets, their complements, both bounds, missing values and `model` come out as they went in."""
    draft = draft_of(
        "IF age > 20 AND age <= 40 AND job in (car, 'it''s') THEN approve",
        "IF job not in (car, '42') AND member = true AND income != 0 THEN '1'",
        "IF age is missing AND income in (2.5, 3) THEN model",
        "IF income between 5 and 6 AND member != true THEN approve",
    )
    rows: list[Any] = [
        dict(zip(("age", "income", "job", "member"), cells, strict=True))
        for cells in (
            *((30.0, 5.0, "car", "true"), (20.0, 5.0, "new", "true"), (20.0, 0.0, "new", "true")),
            *(
                (None, 2.5, None, None),
                (None, 5.5, "42", "false"),
                (40.0, None, "it's", None),
                (41.0, None, None, None),
            ),
        )
    ]
    assert in_pydmnrules(draft, EXPORTS["dmn-xlsx"](draft), rows) == list(zip(*answers(draft, rows), strict=True))


def test_no_cell_is_a_formula() -> None:
    """Every text is stored as text, and only the ``-`` of DMN begins as a formula would."""
    category = [
        text for text in HOSTILE if text.startswith(("=", "+", "@", "-", "<", "{")) and not set('"/') & set(text)
    ]
    features = (Feature("job", "categorical", categories=tuple(category)),)
    rules = tuple(
        Rule(f"R{place}", (Clause("job", "=", text),), Outcome.of(text)) for place, text in enumerate(category, start=1)
    )
    draft = Draft.of(RuleSet(rules, Outcome.of(category[0])), Schema(features, "y", tuple(category)))
    for sheet in workbook(EXPORTS["dmn-xlsx"](draft)):
        for cell in (cell for line in sheet.iter_rows() for cell in line if cell.value is not None):
            assert cell.data_type in "sn"
            assert cell.value == "-" or not str(cell.value).startswith(FORMULA_STARTS)


def test_numbers_of_the_rows_stay_numbers() -> None:
    """The rows of the table are counted in numbers."""
    sheet = workbook(EXPORTS["dmn-xlsx"](draft_of("IF age > 20 THEN approve")))["Rules"]
    assert [cell.value for cell in sheet["A"]] == ["Rules", "F", 1, 2]


def refused(draft: Draft) -> str:
    """Why a draft is refused."""
    with pytest.raises(Refused) as refusal:
        EXPORTS["dmn-xlsx"](draft)
    return str(refusal.value)


def test_what_it_cannot_say_is_refused_by_name() -> None:
    """Names that are no FEEL names, names of the answers, and texts that are read as something else."""
    assert "feature '=1+1'" in refused(hostile_draft())
    for name in ("outcome", "and", "a/b"):
        schema = Schema((Feature(name, "integer"),), "y", ("a", "b"))
        rules = RuleSet((Rule("R1", (Clause(name, ">", 1.0),), Outcome.of("a")),), Outcome.of("b"))
        assert f"feature {name!r}: DMN in Excel can't say it" in refused(Draft.of(rules, schema))
    for text in ('a"b', "a\\b", "a//b", "_x0041_"):
        schema = Schema((Feature("x", "categorical", categories=(text,)),), "y", ("a", "b"))
        rules = RuleSet((Rule("R1", (Clause("x", "=", text),), Outcome.of("a")),), Outcome.of("b"))
        assert "rule R1: DMN in Excel can't say it" in refused(Draft.of(rules, schema))
