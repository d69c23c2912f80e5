"""The DMN export: valid against the schema, its cells run in feelin where node has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from ruleedit.drafts import Draft
from ruleedit.errors import Refused
from ruleedit.formats import EXPORTS
from ruleedit.formats.dmn import NAMESPACE
from ruleedit.formats.feel import is_name, text_literal
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from tests.formats.readers import reader
from tests.formats.samples import HOSTILE, answers, comparable, draft_of, settled
from tests.reference import Row

DRAFT = draft_of(
    "IF age > 20 AND age <= 40 AND income != 2.5 THEN approve",
    "IF job not in (car, '42') AND member = true THEN '1'",
    "IF job is missing AND income >= 1e-5 THEN model",
    "IF income > 1 AND income not in (2, 3) AND member != true THEN approve",
)


def cells(document: bytes) -> tuple[list[str], list[list[str]], list[list[Any]]]:
    """The inputs' expressions, and the entries of each row: tests and answers."""
    tree = etree.fromstring(document)
    named = f"{{{NAMESPACE}}}"
    names = [text.findtext(f"{named}text") or "" for text in tree.iter(f"{named}inputExpression")]
    rows = list(tree.iter(f"{named}rule"))
    tests = [[cell.findtext(f"{named}text") or "" for cell in row.findall(f"{named}inputEntry")] for row in rows]
    said = [
        [json.loads(cell.findtext(f"{named}text") or "") for cell in row.findall(f"{named}outputEntry")] for row in rows
    ]
    return names, tests, said


def in_feelin(tables: Sequence[dict[str, Any]]) -> list[list[int]]:
    """The first row that holds, for every row of every table; FEELIN_FROM names the folder of node_modules."""
    folder = os.environ.get("FEELIN_FROM", "")
    if shutil.which("node") is None or not folder:
        pytest.skip("no node, or FEELIN_FROM doesn't name the folder where npm put feelin")
    script = Path(__file__).with_name("feelin.mjs")
    done = subprocess.run(["node", str(script)], input=json.dumps(tables), capture_output=True, text=True, check=True)
    found: list[list[int]] = json.loads(done.stdout)
    return found


def test_feelin_answers_as_the_rule_set(count: Callable[[int, int], int]) -> None:
    """Outcome and rule are the same on 1,000 rows of every random rule set."""
    cases: list[tuple[Draft, list[Row], list[list[Any]]]] = []
    tables = []
    for draft, document, rows in comparable("dmn", 11, count(6, 100)):
        names, tests, said = cells(document)
        table = rows(1_000)
        flags = {feature.name for feature in draft.schema.features if feature.kind == "boolean"}
        given = [
            {name: row[name] == "true" if name in flags and row[name] is not None else row[name] for name in names}
            for row in table
        ]
        cases.append((draft, table, said))
        tables.append({"names": names, "rules": tests, "rows": given})
    for (draft, table, said), places in zip(cases, in_feelin(tables), strict=True):
        assert [tuple(said[place]) for place in places] == list(zip(*answers(draft, table), strict=True))


@pytest.mark.parametrize("draft", [DRAFT, draft_of(), settled()])
def test_a_document_is_valid_dmn(draft: Draft) -> None:
    """It validates against the DMN 1.3 schema that ships inside SpiffWorkflow."""
    xmlschema = reader("xmlschema")
    spiff = reader("SpiffWorkflow")
    folder = Path(spiff.__file__).parent / "dmn" / "parser" / "schema"
    xmlschema.XMLSchema(str(folder / "DMN13.xsd")).validate(EXPORTS["dmn"](draft).decode())  # type: ignore[union-attr]


def test_cells_are_intervals_and_list_null_where_they_negate() -> None:
    """Two bounds make an interval; ``not`` lists null, and what joins tests rules null out first."""
    names, tests, said = cells(bytes(EXPORTS["dmn"](DRAFT)))  # type: ignore[arg-type]
    assert names == ["age", "income", "job", "member"]
    assert tests[0] == ["(20..40]", "not(null, 2.5)", "-", "-"]
    assert tests[1] == ["-", "-", 'not(null, "", "car", "42")', "true"]
    assert tests[2] == ["-", ">= 0.00001", 'null, ""', "-"]
    assert tests[3][1] == "? != null and ? > 1 and (? < 2 or ? > 2) and (? < 3 or ? > 3)"
    assert tests[-1] == ["-"] * 4
    assert said == [["approve", "R1"], ["1", "R2"], [None, "R3"], ["approve", "R4"], ["deny", None]]


@pytest.mark.parametrize("text", [text for text in HOSTILE if text != "\u202etxt"])
def test_a_text_literal_reads_back(text: str) -> None:
    """A FEEL string has JSON's escapes for quotes, backslashes and line ends."""
    assert json.loads(text_literal(text)) == text


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("age", True),
        ("capital-gain", True),
        ("hours per week", True),
        ("and", False),
        ("sooner or later", False),
        ("a  b", False),
        (" a", False),
        ("1st", False),
        ("a(b)", False),
        ("名前", False),
    ],
)
def test_names_that_engines_read_alike(name: str, fits: bool) -> None:
    """A name is words without FEEL's own, joined by single marks."""
    assert is_name(name) is fits


def test_an_odd_name_is_refused_by_name() -> None:
    """A feature whose name FEEL can't hold is named."""
    schema = Schema((Feature("a(b)", "integer"),), "y", ("a", "b"))
    draft = Draft.of(RuleSet((Rule("R1", (Clause("a(b)", ">", 1.0),), Outcome.of("a")),), Outcome.of("b")), schema)
    with pytest.raises(Refused, match=r"feature 'a\(b\)': DMN can't say it"):
        EXPORTS["dmn"](draft)
