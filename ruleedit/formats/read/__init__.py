"""Reading rules that people or other systems wrote, one module for each kind of file.

What a file says and a rule set can't is refused with the place: the cell, the row or the element. `READERS` has a
function for each format, from the file's bytes and a schema to `Found`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TypeAlias

from ruleedit.drafts import Draft
from ruleedit.errors import FileRefused, Refused, did_you_mean
from ruleedit.formats.read.assembling import Found, assembled
from ruleedit.rules import Outcome
from ruleedit.schema import Schema

Reader: TypeAlias = Callable[[bytes, Schema], Found]
#: Larger files are refused: the limit of an upload's rules, far above what people read.
MOST_BYTES = 16 * 2**20
#: Each format's module.
_MODULES: Mapping[str, str] = {
    "json": "rule_file",
    "text": "lines",
    "csv": "table_csv",
    "xlsx": "workbook",
    "dmn": "dmn",
    "dmn-xlsx": "workbook",
    "pmml": "pmml",
}
FORMATS = tuple(_MODULES)


def read_rules(
    content: bytes, form: str, schema: Schema, *, default: Outcome | None = None, where: str = "the file"
) -> tuple[Draft, tuple[str, ...]]:
    """A file's rules as a draft that nobody has edited, with notes on what a reader should know.

    Every rule is checked against the schema. ``default`` is for files that don't say what holds
    where no rule does; it replaces what a file says.

    Raises `Refused` for an unknown format, and `FileRefused` with the cell, row or element for what
    is damaged, isn't in the schema, or can't be a rule.
    """
    if form not in _MODULES:
        raise Refused(f"no format {form!r} to import{did_you_mean(form, FORMATS, most=len(FORMATS))}")
    if len(content) > MOST_BYTES:
        raise FileRefused(f"{where} has {len(content):,} bytes; at most {MOST_BYTES:,} are read")
    reader: Reader = import_module(f"{__name__}.{_MODULES[form]}").read
    found = reader(content, schema)
    rules = assembled(found, schema, default)
    return Draft.of(rules, schema, {"method": f"imported from {form}"}), found.notes
