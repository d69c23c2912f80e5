"""Batches: a stored table decided by what is in service, as CSV in parts, so that its size costs no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ruleedit.scale.scoring import Decided, csv_lines, decisions
from ruleedit.schema import Schema
from ruleedit.tables.batches import Piece, columns_of
from service.scoring import Serving


def check(table: Sequence[Piece], schema: Schema) -> None:
    """Read the table once for what the schema refuses: after the first line was sent it is too late to say so."""
    wanted = columns_of(table, schema)
    for piece in table:
        for batch in piece.batches(wanted):
            batch.encode(schema)


def decided_csv(serving: Serving, table: Sequence[Piece], ended: Callable[[dict[str, Any]], object]) -> Iterator[bytes]:
    """The answers to a table as `prediction_table` gives them; CSV, a header and a line a row.

    ``ended`` is told at the end how many rows there were, how many had each outcome, and how many
    differ from the model's own.
    """
    classes = serving.release.schema.classes
    counts = Decided.none(len(classes))
    for part in decisions(serving.release, table):
        yield csv_lines(part, header=counts.rows == 0)
        counts += Decided.of(part)
    outcomes = {name: many for name, many in zip(classes, counts.outcomes, strict=True) if many}
    ended({"rows": counts.rows, "outcomes": outcomes, "changed": counts.changed})
