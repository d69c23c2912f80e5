"""The rows that a release's report rests on, kept with it so that an auditor can work the figures out again.

They are encoded as everything else works on them: numbers as themselves, a category as its code (0 for one never seen),
NaN for missing. Held-out rows may be personal data; a release can be written without them.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ruleedit.errors import FileRefused
from ruleedit.matching import Indices, Matrix
from ruleedit.rules import number_text
from ruleedit.schema import Schema
from ruleedit.tables import fingerprint

#: So many rows are kept at most: a quarter of 80,000, and a pure Python check of a bundle stays within minutes.
MOST_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class Evidence:
    """Held-out rows of a report.

    ``rows`` (n, features) are encoded, ``truth`` (n,) their true classes as places in schema order,
    None where the table had no target. ``of`` says how many rows the report is about: where that
    is more than n they are a sample. ``fingerprint`` is that of the whole table they came from.
    """

    rows: Matrix = field(repr=False)
    truth: Indices | None = field(repr=False)
    of: int
    fingerprint: str

    @classmethod
    def among(cls, table: Matrix, held: Indices, truth: Indices | None, *, most: int = MOST_ROWS) -> Evidence:
        """Take the held-out rows of an encoded table (n, features); of more than ``most`` evenly spaced ones."""
        kept = evenly(held, most)
        return cls(table[kept], None if truth is None else truth[kept], len(held), fingerprint(table))

    @property
    def is_whole(self) -> bool:
        """Whether these are all the rows that the report is about."""
        return len(self.rows) == self.of

    def sample(self, most: int) -> Evidence:
        """At most so many of the rows, evenly spaced."""
        kept = _spread(len(self.rows), most)
        return Evidence(self.rows[kept], None if self.truth is None else self.truth[kept], self.of, self.fingerprint)

    def to_csv(self, schema: Schema) -> str:
        """The rows as CSV: a column for each feature in schema order, then the true class where there is one."""
        names = [*schema.names, *([schema.target] if self.truth is not None else [])]
        return table_csv(
            names, self.rows, None if self.truth is None else [schema.classes[code] for code in self.truth]
        )

    @classmethod
    def from_csv(cls, text: str, schema: Schema, of: int, fingerprint: str) -> Evidence:
        """Read what `to_csv` gave; raises `FileRefused`."""
        header, *lines = csv.reader(io.StringIO(text, newline=""))
        width = len(schema.features)
        if header[:width] != list(schema.names) or header[width:] not in ([], [schema.target]):
            raise FileRefused("the columns of the held-out rows aren't the schema's")
        try:
            rows = [[np.nan if cell == "" else float(cell) for cell in line[:width]] for line in lines]
            truth = [schema.classes.index(line[width]) for line in lines] if len(header) > width else None
        except (ValueError, IndexError):
            raise FileRefused("the held-out rows hold what is no number or no class") from None
        matrix = np.array(rows, dtype=np.float64, order="F").reshape(len(rows), width)
        return cls(matrix, None if truth is None else np.array(truth, dtype=np.intp), of, fingerprint)

    def to_json(self) -> dict[str, Any]:
        """What a record says of them."""
        return {"rows": len(self.rows), "of": self.of, "fingerprint": self.fingerprint}


def table_csv(names: list[str], rows: Matrix, last: list[str] | None = None) -> str:
    """An encoded matrix (n, features) as CSV whose numbers read back exactly; a missing value is empty."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for place, row in enumerate(rows.tolist()):
        cells = ["" if value != value else number_text(value) for value in row]
        writer.writerow(cells if last is None else [*cells, last[place]])
    return out.getvalue()


def evenly(numbers: Indices, most: int = MOST_ROWS) -> Indices:
    """At most so many of the rows' numbers (n,), evenly spaced."""
    return numbers[_spread(len(numbers), most)]


def _spread(many: int, most: int) -> Indices:
    """``most`` of ``many`` places, evenly spaced; all where they are no more."""
    if many <= most:
        return np.arange(many)
    return (np.arange(most) * many // most).astype(np.intp)
