"""A DMN decision table as rules, whichever file it came in: hit policy, inputs, outputs, rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ruleedit.errors import FileRefused
from ruleedit.formats.read.assembling import Found, Line, alternatives, at
from ruleedit.formats.read.feel import Null, literal, unary_tests
from ruleedit.formats.read.truth import meet
from ruleedit.regions import Box, ValueSet
from ruleedit.rules import MODEL, Outcome, number_text
from ruleedit.schema import Feature, Schema

#: What a rule set can say: first match wins, or no two rows meet, or those that meet agree.
_POLICIES = {"FIRST": "FIRST", "F": "FIRST", "UNIQUE": "UNIQUE", "U": "UNIQUE", "": "UNIQUE", "ANY": "ANY", "A": "ANY"}


@dataclass(frozen=True)
class Cell:
    """One cell's text and its place."""

    text: str
    where: str


@dataclass(frozen=True)
class Table:
    """A decision table: inputs (features) and outputs by name, rows of cells, the default outputs where it has some."""

    policy: Cell
    inputs: tuple[Cell, ...]
    outputs: tuple[Cell, ...]
    rows: tuple[tuple[tuple[Cell, ...], tuple[Cell, ...]], ...]
    defaults: tuple[Cell | None, ...] = ()


def read_table(table: Table, schema: Schema) -> Found:
    """The rules of a decision table; raises `FileRefused` with the cell."""
    policy = _POLICIES.get(table.policy.text.strip().upper())
    if policy is None:
        raise FileRefused(
            f"{table.policy.where}: the hit policy {table.policy.text!r} can't be said by an ordered list; "
            "FIRST, UNIQUE and ANY are accepted"
        )
    features = []
    for cell in table.inputs:
        with at(cell.where):
            features.append(schema.feature(cell.text.strip()))
    answer, name = _outputs(table.outputs, schema)
    rows = [_row(tests, said, features, (answer, name), schema) for tests, said in table.rows]
    if policy != "FIRST":
        _check_apart(rows, policy)
    default = None
    if table.defaults and (closing := table.defaults[answer]) is not None:
        default = _outcome(closing, schema)
    return Found(tuple(line for line, _ in rows), default)


def _outputs(outputs: Sequence[Cell], schema: Schema) -> tuple[int, int | None]:
    """The places of the output that is the answer and of the one that is the rule's id."""
    names = [cell.text.strip() for cell in outputs]
    known = [place for place, name in enumerate(names) if name in ("outcome", schema.target)]
    rule = next((place for place, name in enumerate(names) if name == "rule"), None)
    if not known and len(names) == 1:
        known = [0]
    if len(known) != 1:
        where = outputs[0].where if outputs else "the table"
        raise FileRefused(f"{where}: the outputs are {', '.join(map(repr, names))}; one named 'outcome' is the answer")
    return known[0], rule if rule != known[0] else None


def _row(
    tests: Sequence[Cell],
    said: Sequence[Cell],
    features: Sequence[Feature],
    places: tuple[int, int | None],
    schema: Schema,
) -> tuple[Line, Box]:
    sets: dict[str, ValueSet] = {}
    where = said[places[0]].where
    for cell, feature in zip(tests, features, strict=True):
        with at(cell.where):
            found = unary_tests(cell.text, feature, ("", *schema.missing_tokens)).true
        if found.is_empty:
            raise FileRefused(f"{cell.where}: {cell.text!r} holds for no value of {feature.name!r}")
        sets[feature.name] = meet(sets[feature.name], found) if feature.name in sets else found
    box = Box.of(sets)
    rule_id = None
    if places[1] is not None:
        with at(said[places[1]].where):
            given = literal(said[places[1]].text) if said[places[1]].text.strip() else None
        rule_id = given if isinstance(given, str) else None
    line = Line(where, alternatives(box, schema, where), _outcome(said[places[0]], schema), rule_id)
    return line, box


def _outcome(cell: Cell, schema: Schema) -> Outcome:
    """A class; null leaves the row to the model."""
    with at(cell.where):
        found = literal(cell.text)
        if isinstance(found, Null):
            return MODEL
        name = number_text(found) if isinstance(found, float) else found
        schema.check_class(name)
    return Outcome.of(name)


def _check_apart(rows: Sequence[tuple[Line, Box]], policy: str) -> None:
    """Under UNIQUE no two rows may meet, under ANY none that answer differently: else their order would decide."""
    for (one, first), (two, second) in itertools.combinations(rows, 2):
        if first.meets(second) and (policy == "UNIQUE" or one.outcome != two.outcome):
            raise FileRefused(
                f"{two.where}: under the hit policy {policy} it meets the row at {one.where}; "
                "make them disjoint, or use FIRST"
            )
