"""Decisions: the active releases in memory, and rows of JSON as the encoded matrix.

`encode_records` does for a few rows of JSON what `ruleedit.tables.encode` does for a table, with
the same refusals, in a fraction of the time that a DataFrame costs. JSON has types of its own, so
it is stricter in one thing: a text is no number.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np

from ruleedit.decisions import Decision, decide_encoded, row_warnings
from ruleedit.errors import MissingColumns, ValueRefused, did_you_mean
from ruleedit.matching import Matrix
from ruleedit.release import Release
from ruleedit.rules import ZERO, number_text
from ruleedit.schema import Feature, Schema
from service.errors import NothingActive

Record: TypeAlias = Mapping[str, Any]
Reader: TypeAlias = Callable[[Any], float]


class _Unfit(Exception):
    """A cell that its feature doesn't allow, and why."""


class Encoder:
    """Turns JSON rows into the encoded matrix of one schema; made once, used for every request."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        gone = frozenset(("", *schema.missing_tokens))
        self._readers = tuple((feature.name, _reader(feature, gone)) for feature in schema.features)

    def encode(self, rows: Sequence[Record]) -> Matrix:
        """Encode rows; shape (n, features).

        null is missing, and so are the empty text and the schema's missing tokens. Columns that the
        schema doesn't know are ignored. Raises `MissingColumns`, and `ValueRefused` for a text or a
        boolean where a number belongs and for whatever `ruleedit.tables.encode` refuses. A category
        never seen is no error: its code is 0.
        """
        out = np.empty((len(rows), len(self._readers)))
        for number, row in enumerate(rows):
            try:
                out[number] = [read(row[name]) for name, read in self._readers]
            except (KeyError, _Unfit, OverflowError):
                self._refuse(row, number + 1)
        return out

    def _refuse(self, row: Record, number: int) -> NoReturn:
        """Find what is wrong with a row that can't be encoded, and say it."""
        lacking = [name for name in self.schema.names if name not in row]
        if lacking:
            more = f" and {len(lacking) - 1} more columns" if len(lacking) > 1 else ""
            raise MissingColumns(
                f"row {number} has no column {lacking[0]!r}{more}{did_you_mean(lacking[0], list(row))}; "
                "null says that a value is missing"
            )
        for name, read in self._readers:
            try:
                read(row[name])
            except OverflowError:
                raise ValueRefused(f"row {number}, column {name!r}: the number is too large") from None
            except _Unfit as problem:
                raise ValueRefused(f"row {number}, column {name!r}: {_shown(row[name])} {problem}") from None
        raise AssertionError("a row that couldn't be encoded can be encoded")


def encode_records(rows: Sequence[Record], schema: Schema) -> Matrix:
    """Encode JSON rows by a schema; see `Encoder.encode`."""
    return Encoder(schema).encode(rows)


def _reader(feature: Feature, gone: frozenset[str]) -> Reader:
    present = {"numeric": _number, "integer": _whole, "boolean": _boolean}.get(feature.kind) or _category(feature)

    def read(cell: Any) -> float:
        if cell is None or (isinstance(cell, str) and cell in gone):
            if not feature.missing:
                raise _Unfit("is missing, and the schema forbids missing values there")
            return math.nan
        return present(cell)

    return read


def _number(cell: Any) -> float:
    if isinstance(cell, str):
        raise _Unfit("is text, and a number belongs there")
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise _Unfit("is no number")
    if not math.isfinite(cell):
        raise _Unfit("is not finite; null says that a value is missing")
    return 0.0 if abs(cell) <= ZERO else float(cell)


def _whole(cell: Any) -> float:
    number = _number(cell)
    if number != math.floor(number):
        raise _Unfit("is not whole, and the column is integer")
    return number


def _boolean(cell: Any) -> float:
    if isinstance(cell, bool):
        return float(cell)
    known = {"false": 0.0, "true": 1.0}.get(cell.strip().lower()) if isinstance(cell, str) else None
    if known is None:
        raise _Unfit("is neither true nor false")
    return known


def _category(feature: Feature) -> Reader:
    codes = {text: float(code) for text, code in feature.code_of.items()}

    def read(cell: Any) -> float:
        if isinstance(cell, str):
            return codes.get(cell, 0.0)
        if isinstance(cell, bool):
            return codes.get("true" if cell else "false", 0.0)
        if isinstance(cell, int):
            return codes.get(str(cell), 0.0)
        if isinstance(cell, float) and math.isfinite(cell):
            return codes.get(number_text(cell), 0.0)
        raise _Unfit("is no text")

    return read


def _shown(cell: Any) -> str:
    if cell is None:
        return "the value"
    text = repr(cell) if isinstance(cell, str | int | float | bool) else f"a JSON {type(cell).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True)
class Serving:
    """One release in service, ready to decide."""

    id: str
    name: str
    release: Release
    encoder: Encoder

    @classmethod
    def of(cls, id: str, name: str, release: Release) -> Serving:
        """Make a release ready: its model is loaded and asked once, so that the first client needn't wait."""
        decide_encoded(release, np.full((1, len(release.schema.features)), np.nan), [[]])
        return cls(id, name, release, Encoder(release.schema))

    def decide(self, rows: Sequence[Record]) -> list[Decision]:
        """Decide JSON rows; raises as `Encoder.encode` does."""
        encoded = self.encoder.encode(rows)
        return decide_encoded(self.release, encoded, row_warnings(encoded, self.release.schema))


class Scoring:
    """The releases in service by name; a switch is seen by the next request."""

    def __init__(self) -> None:
        self._serving: dict[str, Serving] = {}
        self._lock = threading.Lock()

    def put(self, serving: Serving) -> None:
        """Serve a release under its name from now on."""
        with self._lock:
            self._serving = {**self._serving, serving.name: serving}

    def get(self, name: str) -> Serving:
        """The release that serves under a name; raises `NothingActive`."""
        found = self._serving.get(name)
        if found is None:
            raise NothingActive(name)
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which something serves."""
        return tuple(sorted(self._serving))
