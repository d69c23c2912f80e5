"""A table of rules by people, from CSV or Excel: a column of rule texts, or a column for each feature.

With a column ``text`` each row is a rule as text (what the CSV export writes). Without one, columns are named like
features and hold conditions (`ruleedit.formats.read.cells`), and the column ``outcome``, ``then`` or the target's own
name says the answer. ``id`` and ``enabled`` are read where they are there; a row that asks nothing is the default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ruleedit.errors import FileRefused, did_you_mean
from ruleedit.formats.cells import FORMULA_STARTS
from ruleedit.formats.read.assembling import Found, Line, at
from ruleedit.formats.read.cells import clauses
from ruleedit.regions import check_clause
from ruleedit.rules import Clause, Outcome
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_outcome, parse_rule

#: Columns that say something about a rule and nothing of what it decides.
IGNORED = (
    *("place", "asserted", "train_decided", "train_agreement", "holdout_decided", "holdout_agreement"),
    *("note", "notes", "reason", "comment", "description", "annotation"),
)
_FLAGS = {"true": True, "yes": True, "1": True, "": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Grid:
    """Rows of cells as text, the first of them the header; ``name`` says a cell's place (row and column from 0)."""

    rows: Sequence[Sequence[str]]
    name: Callable[[int, int], str]

    def cell(self, row: int, column: int | None) -> str:
        """A cell, empty where the row ends before it."""
        if column is None or column >= len(self.rows[row]):
            return ""
        return self.rows[row][column]


def read_grid(grid: Grid, schema: Schema) -> Found:
    """The rules of a table; raises `FileRefused` with the cell."""
    if not grid.rows or not any(cell.strip() for cell in grid.rows[0]):
        raise FileRefused("the table is empty; its first row names the columns")
    header = _header(grid)
    rows = [place for place in range(1, len(grid.rows)) if any(cell.strip() for cell in grid.rows[place])]
    if "text" in header:
        return _texts(grid, header, rows)
    return _conditions(grid, header, rows, schema)


def _header(grid: Grid) -> dict[str, int]:
    """The columns by their names; raises `FileRefused` for one that is given twice."""
    found: dict[str, int] = {}
    for place, cell in enumerate(grid.rows[0]):
        name = cell.strip()
        if not name:
            if any(grid.cell(row, place).strip() for row in range(1, len(grid.rows))):
                raise FileRefused(f"{grid.name(0, place)}: the column has no name")
            continue
        if name in found:
            raise FileRefused(f"{grid.name(0, place)}: the column {name!r} is there twice")
        found[name] = place
    return found


def _texts(grid: Grid, header: dict[str, int], rows: Sequence[int]) -> Found:
    lines: list[Line] = []
    default = None
    for row in rows:
        said, where = grid.cell(row, header["text"]).strip(), grid.name(row, header["text"])
        if default is not None:
            raise FileRefused(f"{where}: it stands behind the default, which is the last row")
        with at(where):
            if said.lower().startswith("otherwise "):
                default = parse_outcome(said.split(None, 1)[1])
                continue
            rule = parse_rule(said)
        _check_outcome(grid, header, row, rule.outcome)
        lines.append(_line(grid, header, row, where, rule.clauses, rule.outcome))
    return Found(tuple(lines), default)


def _check_outcome(grid: Grid, header: dict[str, int], row: int, said: Outcome) -> None:
    """Where the table repeats the outcome in a column of its own, both must say the same."""
    cell = grid.cell(row, header.get("outcome")).strip()
    if cell:
        with at(grid.name(row, header["outcome"])):
            if parse_outcome(cell) != said:
                raise FileRefused(f"{grid.name(row, header['outcome'])}: {cell!r} is not the text's outcome, {said}")


def _conditions(grid: Grid, header: dict[str, int], rows: Sequence[int], schema: Schema) -> Found:
    answer = next(
        (name for name in ("outcome", "then", schema.target) if name in header and name not in schema.names), None
    )
    if answer is None:
        raise FileRefused(f"{grid.name(0, 0)}: no column 'outcome', 'then' or {schema.target!r} says the answer")
    columns = _features(grid, header, answer, schema)
    lines = []
    for row in rows:
        found: list[Clause] = []
        for feature, column in columns:
            with at(grid.name(row, column)):
                asked = clauses(grid.cell(row, column), feature)
                for clause in asked:
                    check_clause(clause, feature)
            found += asked
        outcome = _outcome(grid, row, header[answer], schema)
        where = grid.name(row, columns[0][1] if columns else header[answer])
        lines.append(_line(grid, header, row, where, tuple(dict.fromkeys(found)), outcome))
    return Found(tuple(lines))


def _features(grid: Grid, header: dict[str, int], answer: str, schema: Schema) -> list[tuple[Feature, int]]:
    """The columns that are features, in their order."""
    found: list[tuple[Feature, int]] = []
    for name, place in header.items():
        if name in schema.names:
            found.append((schema.feature(name), place))
        elif name != answer and name.lower() not in ("id", "rule", "enabled", *IGNORED):
            known = (*schema.names, "outcome", "id", "enabled", "note")
            raise FileRefused(f"{grid.name(0, place)}: no feature {name!r}{did_you_mean(name, known)}")
    return found


def _outcome(grid: Grid, row: int, column: int, schema: Schema) -> Outcome:
    cell = grid.cell(row, column).strip()
    with at(grid.name(row, column)):
        if not cell:
            raise FileRefused(f"{grid.name(row, column)}: the row has no outcome")
        outcome = Outcome.of(cell) if cell in schema.classes else parse_outcome(cell)
        for name in outcome.classes:
            schema.check_class(name)
    return outcome


def _line(
    grid: Grid, header: dict[str, int], row: int, where: str, found: tuple[Clause, ...], outcome: Outcome
) -> Line:
    rule_id = grid.cell(row, header.get("id", header.get("rule"))).strip()
    if rule_id.startswith("'") and rule_id[1:].lstrip(" ").startswith(FORMULA_STARTS):
        rule_id = rule_id[1:]  # As the CSV export neutralises what a spreadsheet would run.
    flag = grid.cell(row, header.get("enabled")).strip().lower()
    if flag not in _FLAGS:
        raise FileRefused(f"{grid.name(row, header['enabled'])}: {flag!r} is neither true nor false")
    return Line(where, (found,), outcome, rule_id or None, enabled=_FLAGS[flag])
