"""What edits would change on a table of any size, and the rows of its conflicts: batch by batch, as sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add

from ruleedit.conflicts import Conflict, Conflicts
from ruleedit.doubts import Doubt, Seen, doubts_of, seen
from ruleedit.drafts import Draft
from ruleedit.feedback import Feedback, feedback
from ruleedit.findings import Finding, finding_rows
from ruleedit.impact import Impact, Tally, impact
from ruleedit.models import TableModel
from ruleedit.scale.cluster import Over, here
from ruleedit.schema import Schema
from ruleedit.tables.batches import Batch, Piece, columns_of
from ruleedit.tables.sums import Counts, added
from ruleedit.workflow import check_same_schema, conflict_rows


@dataclass(frozen=True)
class Measured:
    """What a table says of a draft's edits, in counts: what would change, and what speaks against it."""

    tally: Tally
    seen: Seen

    def __add__(self, other: Measured) -> Measured:
        """The counts of both tables."""
        return Measured(self.tally + other.tally, self.seen + other.seen)


class Meter:
    """Measures a draft's edits on tables of a model's schema; raises `Refused` for rules of another one."""

    def __init__(self, model: TableModel, draft: Draft) -> None:
        check_same_schema(model, draft)
        self.model = model
        self.draft = draft

    @cached_property
    def asked(self) -> Feedback:
        """What the edits ask for."""
        return feedback(self.draft.base, self.draft.rules, self.draft.schema)

    @cached_property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Where they disagree."""
        return tuple(Conflicts(self.draft.rules, self.draft.schema).all)

    def impacts(self, table: Sequence[Piece], *, all_columns: bool = False) -> Iterator[tuple[Batch, Impact, Measured]]:
        """Each batch with what would change there; ``all_columns`` asks for those beside the schema's too."""
        schema = self.model.schema
        wanted = None if all_columns else columns_of(table, schema, target=True)
        for piece in table:
            for batch in piece.batches(wanted):
                rows = batch.encode(schema)
                found = impact(self.asked, rows, self.model.outcomes(rows))
                truth = batch.target(schema)
                evidence = seen(self.asked, self.conflicts, rows, truth, found.before, found.after)
                yield batch, found, Measured(found.tally, evidence)

    def measure(self, table: Sequence[Piece], over: Over = here) -> Measured:
        """The counts of the whole table."""
        total: Measured = reduce(add, over(_measured, table, self))
        return total

    def doubts(self, counts: Measured) -> tuple[Doubt, ...]:
        """What the counts say against the edits."""
        return doubts_of(self.draft, self.asked, self.conflicts, counts.seen)


def _measured(piece: Piece, meter: Meter) -> Measured:
    return reduce(add, (counts for _, _, counts in meter.impacts([piece])))


def rows_in(
    conflicts: Sequence[Conflict],
    findings: Sequence[Finding],
    draft: Draft,
    table: Sequence[Piece],
    over: Over = here,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How many rows of a table each conflict holds, and each finding is about."""
    met, about = reduce(added, over(_rows_in, table, draft.schema, tuple(conflicts), tuple(findings)))
    return met, about


def _rows_in(piece: Piece, schema: Schema, conflicts: Sequence[Conflict], findings: Sequence[Finding]) -> Counts:
    total: Counts = ((0,) * len(conflicts), (0,) * len(findings))
    for batch in piece.batches(columns_of([piece], schema)):
        rows = batch.encode(schema)
        found = tuple(conflict_rows(conflicts, schema, rows)), tuple(finding_rows(findings, schema, rows))
        total = added(total, found)
    return total
