"""Rules as a DMN decision table in Excel, as pyDMNrules reads it: sheets Glossary, Decision and Rules.

Double borders part inputs, outputs and annotations. A cell is a whole FEEL expression with the feature's name and a
bracket around every comparison: without these the reader binds ``and`` wrongly. Every cell of text is stored as text;
none but the ``-`` of DMN ("whatever it is") could be taken for a formula.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Sequence
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Border, Font, Side
from openpyxl.worksheet.worksheet import Worksheet

from ruleedit.drafts import Draft
from ruleedit.formats.conditions import (
    Condition,
    Missing,
    Numbers,
    Range,
    conditions,
    ordered,
    refuse,
    top_class,
    used_features,
)
from ruleedit.formats.feel import is_name, number_literal
from ruleedit.formats.pmml import check_xml
from ruleedit.rules import Rule, RuleSet
from ruleedit.schema import Feature, Schema

OUTPUTS = ("outcome", "rule")
#: The longest text that a cell holds.
LONGEST_CELL = 32_767
#: What the reader or Excel takes for something else than itself, in the middle of a text too.
_NEVER = re.compile(r'["\\\n\r\t]|//|_x[0-9A-Fa-f]{4}_')
_NAME = re.compile(r"[A-Za-z_]\w*(?:[ -]\w+)*", re.ASCII)
#: A workbook holds times; this one always the same.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_THIN, _DOUBLE = Side(style="thin"), Side(style="double")
#: By whether a double line stands after and below a cell.
_BORDERS = {
    (after, below): Border(_THIN, _DOUBLE if after else _THIN, _THIN, _DOUBLE if below else _THIN)
    for after in (False, True)
    for below in (False, True)
}
_BOLD = Font(bold=True)


def dumps(draft: Draft) -> bytes:
    """The rules as a workbook; a missing value is null, a null outcome leaves the row to the model.

    Raises `Refused` for a name or text that Excel or the reader would take for something else.
    """
    rules = ordered(draft)
    check_xml(rules, draft.schema, "DMN in Excel")
    features = used_features(rules, draft.schema)
    _check(rules, features)
    rows = [_row(rule, features, draft.schema) for rule in rules]
    last = (_literal("the default", top_class(rules.default, draft.schema)), "null", f"OTHERWISE {rules.default}")
    rows.append([*["-"] * len(features), *last])
    book = Workbook()
    _glossary(book.worksheets[0], features)
    _fill(
        book.create_sheet("Decision"),
        "Decision",
        [("Decisions", "Execute Decision Tables"), ("Decide", "Rules")],
    )
    _rules_sheet(book.create_sheet("Rules"), features, rows)
    return _saved(book)


def _glossary(sheet: Worksheet, features: Sequence[Feature]) -> None:
    """What each name of the table means to the reader."""
    sheet.title = "Glossary"
    names = [*(feature.name for feature in features), *OUTPUTS]
    lines = [(name, "Rules" if place == 0 else None, f"v{place}") for place, name in enumerate(names)]
    _fill(sheet, "Glossary", [("Variable", "Business Concept", "Attribute"), *lines])


def _rules_sheet(sheet: Worksheet, features: Sequence[Feature], rows: Sequence[Sequence[str]]) -> None:
    """The decision table: hit policy, numbers of the rows, inputs, outputs and each rule's text."""
    heads = ["F", *(feature.name for feature in features), *OUTPUTS, "text"]
    _fill(sheet, "Rules", [heads, *([place, *row] for place, row in enumerate(rows, start=1))])
    inputs = len(features) + 1
    for line in sheet.iter_rows(min_row=2, max_row=len(rows) + 2, max_col=len(heads)):
        for cell in line:
            after = cell.column in (inputs, inputs + len(OUTPUTS))
            below = cell.row == 2
            cell.border = _BORDERS[after, below]


def _fill(sheet: Worksheet, title: str, lines: Sequence[Sequence[Any]]) -> None:
    """Write a title and lines under it, every text as text."""
    for row, line in enumerate([(title,), *lines], start=1):
        for column, value in enumerate(line, start=1):
            cell = sheet.cell(row, column, value)
            if row <= 2:
                cell.font = _BOLD
            if isinstance(value, str):
                cell.data_type = "s"


def _saved(book: Workbook) -> bytes:
    """The workbook's bytes, the same whenever they are made."""
    book.properties.creator = "RuleEdit"
    book.properties.created = datetime.datetime(*_LONG_AGO)
    raw, out = io.BytesIO(), io.BytesIO()
    book.save(raw)
    with zipfile.ZipFile(raw) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"<dcterms:modified.*?</dcterms:modified>", b"", content)
            info = zipfile.ZipInfo(name, _LONG_AGO)
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, content)
    return out.getvalue()


def _check(rules: RuleSet, features: Sequence[Feature]) -> None:
    for feature in features:
        if not is_name(feature.name) or not _NAME.fullmatch(feature.name) or feature.name in (*OUTPUTS, "Execute"):
            why = "a name there is words of letters and digits, none of them reserved; rename it"
            refuse(f"feature {feature.name!r}", "DMN in Excel", why)
    for rule in rules:
        if len(str(rule)) > LONGEST_CELL // 4:
            refuse(
                f"rule {rule.id}", "DMN in Excel", f"a cell holds at most {LONGEST_CELL:,} characters; split the rule"
            )


def _row(rule: Rule, features: Sequence[Feature], schema: Schema) -> list[str]:
    tests: dict[Feature, dict[str, None]] = {feature: {} for feature in features}
    for feature, what in conditions(rule, schema):
        tests[feature].update(dict.fromkeys(_tests(f"rule {rule.id}", feature, what)))
    found = [_all(list(asked)) if asked else "-" for asked in tests.values()]
    said = [_literal(f"rule {rule.id}", top_class(rule.outcome, schema)), _literal(f"rule {rule.id!r}", rule.id)]
    return [*found, *said, str(rule)]


def _tests(where: str, feature: Feature, what: Condition) -> list[str]:
    """A condition as expressions that must all be true; the first rules null out."""
    name = feature.name
    if isinstance(what, Missing):
        return [f"{name} != null" if what.inverted else f"{name} = null"]
    present = f"{name} != null"
    if isinstance(what, Numbers):
        groups = [span.outside for span in what.ranges] if what.inverted else [what.ranges]
        points = [span.point for span in what.ranges if span.point is not None]
        if len(points) == len(what.ranges):
            return [present, _among(name, [number_literal(point) for point in points], what.inverted)]
        return [present, *(_any([_range(name, span) for span in group]) for group in groups)]
    boolean = feature.kind == "boolean"
    values = [text if boolean else _literal(where, text) for text in what.values]
    return [present, _among(name, values, what.inverted)]


def _among(name: str, values: Sequence[str], inverted: bool) -> str:
    if len(values) == 1:
        return f"{name} {'!=' if inverted else '='} {values[0]}"
    listed = f"{name} in ({', '.join(values)})"
    return f"not({listed})" if inverted else listed


def _range(name: str, span: Range) -> str:
    tests = []
    if span.low is not None:
        tests.append(f"{name} {'>=' if span.low.closed else '>'} {number_literal(span.low.value)}")
    if span.high is not None:
        tests.append(f"{name} {'<=' if span.high.closed else '<'} {number_literal(span.high.value)}")
    return _all(tests)


def _all(tests: Sequence[str]) -> str:
    return _joined(tests, "and")


def _any(tests: Sequence[str]) -> str:
    return _joined(tests, "or")


def _joined(tests: Sequence[str], word: str) -> str:
    """Two by two, each side in brackets."""
    made = tests[0]
    for test in tests[1:]:
        made = f"({made}) {word} ({test})"
    return made


def _literal(where: str, text: str | None) -> str:
    if text is None:
        return "null"
    found = _NEVER.search(text)
    if found:
        refuse(where, "DMN in Excel", f"{text!r} holds {found.group()!r}, which is read as something else there")
    return f'"{text}"'
