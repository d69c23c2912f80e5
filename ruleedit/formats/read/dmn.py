"""A DMN decision table in XML, of DMN 1.1 to 1.5: one decision with one table whose inputs are features."""

from __future__ import annotations

from lxml import etree

from ruleedit.errors import FileRefused
from ruleedit.formats.read.assembling import MOST_RULES, Found
from ruleedit.formats.read.decision_table import Cell, Table, read_table
from ruleedit.formats.read.markup import elements, line_of, name_of, only, parsed, text_of
from ruleedit.schema import Schema

#: The namespaces of the versions that say the same about what is read here.
NAMESPACES = {
    "http://www.omg.org/spec/DMN/20151101/dmn.xsd": "1.1",
    "http://www.omg.org/spec/DMN/20180521/MODEL/": "1.2",
    "https://www.omg.org/spec/DMN/20191111/MODEL/": "1.3",
    "https://www.omg.org/spec/DMN/20211108/MODEL/": "1.4",
    "https://www.omg.org/spec/DMN/20230324/MODEL/": "1.5",
}


def read(content: bytes, schema: Schema) -> Found:
    """The rules of a DMN document; raises `FileRefused` with the line and the element."""
    root = parsed(content, "the DMN document")
    namespace = etree.QName(root).namespace or ""
    if name_of(root) != "definitions" or namespace not in NAMESPACES:
        raise FileRefused(
            f"{line_of(root)}: the namespace {namespace!r} is of no known DMN version; "
            f"{', '.join(sorted(set(NAMESPACES.values())))} are read"
        )
    tables = list(root.iter(f"{{{namespace}}}decisionTable"))
    if len(tables) != 1:
        raise FileRefused(f"the document has {len(tables)} decision tables; one is read")
    _check_language(root, tables[0])
    return read_table(_table(tables[0]), schema)


def _check_language(*found: etree._Element) -> None:
    for element in found:
        language = element.get("expressionLanguage", "FEEL")
        if "feel" not in language.lower():
            raise FileRefused(f"{line_of(element)}: cells in {language!r} are not read; FEEL is")


def _table(table: etree._Element) -> Table:
    policy = Cell(table.get("hitPolicy", "UNIQUE"), line_of(table))
    inputs = tuple(_input(element) for element in elements(table, "input"))
    outputs = list(elements(table, "output"))
    rows = []
    for number, row in enumerate(elements(table, "rule"), start=1):
        if number > MOST_RULES:
            raise FileRefused(f"{line_of(row)}: more than {MOST_RULES:,} rules")
        tests, said = _cells(row, "inputEntry", number), _cells(row, "outputEntry", number)
        if (len(tests), len(said)) != (len(inputs), len(outputs)):
            raise FileRefused(
                f"{line_of(row)}: rule {number} has {len(tests)} input and {len(said)} output entries; "
                f"the table has {len(inputs)} inputs and {len(outputs)} outputs"
            )
        rows.append((tests, said))
    names = tuple(Cell(element.get("name") or element.get("label") or "", line_of(element)) for element in outputs)
    return Table(policy, inputs, names, tuple(rows), tuple(map(_default, outputs)))


def _input(element: etree._Element) -> Cell:
    _check_language(element)
    expression = only(element, "inputExpression", line_of(element))
    _check_language(expression)
    return Cell(text_of(expression, "text"), line_of(expression))


def _cells(row: etree._Element, name: str, number: int) -> tuple[Cell, ...]:
    found = []
    for place, element in enumerate(elements(row, name), start=1):
        _check_language(element)
        found.append(Cell(text_of(element, "text"), f"{line_of(element)} {place} of rule {number}"))
    return tuple(found)


def _default(output: etree._Element) -> Cell | None:
    for element in elements(output, "defaultOutputEntry"):
        return Cell(text_of(element, "text"), line_of(element))
    return None
