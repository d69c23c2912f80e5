"""What the tests of reading share: a schema, workbooks, documents, and what a refusal says."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from openpyxl import Workbook

from ruleedit.errors import FileRefused
from ruleedit.formats.read import read_rules
from ruleedit.rules import Outcome
from ruleedit.schema import Feature, Schema

SCHEMA = Schema(
    (
        Feature("age", "integer", low=0.0, high=120.0),
        Feature("income", "numeric"),
        Feature("job", "categorical", categories=("car", "radio/tv", "it's", "42")),
        Feature("member", "boolean"),
    ),
    "decision",
    ("approve", "deny", "1"),
    ("?",),
)


def book(rows: Sequence[Sequence[Any]], sheets: Mapping[str, Sequence[Sequence[Any]]] | None = None) -> bytes:
    """A workbook with a sheet of these rows, and more sheets."""
    made, out = Workbook(), io.BytesIO()
    first = made.worksheets[0]
    first.title = "Rules"
    for name, lines in {"Rules": rows, **(sheets or {})}.items():
        sheet = first if name == "Rules" else made.create_sheet(name)
        for line in lines:
            sheet.append(list(line))
    made.save(out)
    return out.getvalue()


def dmn(
    *rows: tuple[str, str, str], policy: str = "FIRST", inputs: Sequence[str] = ("age", "job"), head: str = ""
) -> str:
    """A DMN document on two inputs: rows of two tests and an outcome."""
    names = "".join(f"<input><inputExpression><text>{name}</text></inputExpression></input>" for name in inputs)
    cells = "".join(
        "<rule>"
        + "".join(f"<inputEntry><text><![CDATA[{test}]]></text></inputEntry>" for test in tests)
        + f"<outputEntry><text><![CDATA[{outcome}]]></text></outputEntry></rule>"
        for *tests, outcome in rows
    )
    return (
        f'{head}<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/"><decision>'
        f'<decisionTable hitPolicy="{policy}">{names}<output name="outcome"/>{cells}</decisionTable>'
        "</decision></definitions>"
    )


def pmml(*rules: str, default: str = ' defaultScore="deny"', method: str = "firstHit", field: str = "") -> str:
    """A PMML document with these rules' elements."""
    return (
        '<PMML xmlns="http://www.dmg.org/PMML-4_3" version="4.3"><RuleSetModel functionName="classification">'
        f'<MiningSchema><MiningField name="age"{field}/></MiningSchema>'
        f'<RuleSet{default}><RuleSelectionMethod criterion="{method}"/>{"".join(rules)}</RuleSet>'
        "</RuleSetModel></PMML>"
    )


def said(content: str | bytes, form: str, default: str | None = None) -> list[str]:
    """The rules that are read, as text, with the default last."""
    raw = content.encode() if isinstance(content, str) else content
    closing = None if default is None else Outcome.of(default)
    draft, _ = read_rules(raw, form, SCHEMA, default=closing)
    texts = [f"{'' if rule.enabled else 'off '}{rule.id}: {rule}" for rule in draft.rules]
    return [*texts, f"OTHERWISE {draft.rules.default}"]


def refusal(content: str | bytes, form: str) -> str:
    """Why a file is refused."""
    with pytest.raises(FileRefused) as problem:
        read_rules(content.encode() if isinstance(content, str) else content, form, SCHEMA)
    return str(problem.value)
