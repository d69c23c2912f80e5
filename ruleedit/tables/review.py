"""A schema looked at beside its table before anything is trained: what is left out filled in, what is wrong said.

A person corrects what was inferred column by column. Each correction is tried on the table, so that a problem stands
beside the column that has it, in words, and not at the end of a training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ruleedit.errors import MissingColumns, RuleEditError, did_you_mean
from ruleedit.schema import Feature, Kind, Schema
from ruleedit.tables import class_texts, encode_column, infer_feature, known_texts

#: Examples of a column's cells.
EXAMPLES = 4
Codes = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """One column as it would be read.

    ``feature`` is whole, None where ``problem`` says what is wrong. ``missing`` counts the rows without a value,
    ``notes`` say what a person may not have meant: values that the range or the categories leave out.
    """

    name: str
    feature: Feature | None
    problem: str | None
    missing: int
    examples: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As the API gives it."""
        feature = None if self.feature is None else self.feature.to_json()
        told = {"name": self.name, "feature": feature, "problem": self.problem, "missing": self.missing}
        return told | {"examples": list(self.examples), "notes": list(self.notes)}


@dataclass(frozen=True)
class Review:
    """A schema on its table: ``schema`` is None where a column, or the target (``problem``), is in the way."""

    schema: Schema | None
    columns: tuple[Column, ...]
    problem: str | None

    def to_json(self) -> dict[str, Any]:
        """As the API gives it."""
        return {
            "schema": None if self.schema is None else self.schema.to_json(),
            "columns": [column.to_json() for column in self.columns],
            "problem": self.problem,
        }


def review(
    frame: pd.DataFrame,
    target: str,
    features: Sequence[Mapping[str, Any]] | None = None,
    missing_tokens: Sequence[str] = (),
) -> Review:
    """Look at a schema beside its table.

    ``features`` are as in a schema's JSON; what one leaves out beside its name (the kind, the range, the categories)
    is taken from the table, and columns that aren't among them are left out of the model. None: every column but
    the target, as it is inferred. ``missing_tokens`` are cells that mean a missing value, beside the empty one.
    """
    tokens = tuple(missing_tokens)
    names = [str(name) for name in frame.columns]
    asked = [{"name": name} for name in names if name != target] if features is None else features
    columns = tuple(look(frame, item, tokens) for item in asked)
    try:
        classes = class_texts(frame, target, tokens)
        whole = tuple(column.feature for column in columns if column.feature is not None)
        schema = Schema(whole, target, classes, tokens)
    except RuleEditError as problem:
        return Review(None, columns, str(problem))
    return Review(schema if len(whole) == len(columns) else None, columns, None)


def look(frame: pd.DataFrame, asked: Mapping[str, Any], missing_tokens: Sequence[str] = ()) -> Column:
    """Look at one column; ``asked`` as in a schema's JSON, as far as somebody said."""
    name = str(asked.get("name", ""))
    if name not in frame.columns:
        problem = MissingColumns(f"the table has no column {name!r}{did_you_mean(name, map(str, frame.columns))}")
        return Column(name, None, str(problem), 0, (), ())
    cells = frame[name]
    shown = tuple(str(cell) for cell in cells.dropna().drop_duplicates()[:EXAMPLES])
    try:
        feature = _completed(cells, asked, missing_tokens)
        codes = encode_column(cells, feature, missing_tokens)
    except RuleEditError as problem:
        return Column(name, None, str(problem), 0, shown, ())
    return Column(name, feature, None, int(np.isnan(codes).sum()), shown, tuple(_notes(feature, codes)))


def _completed(cells: pd.Series, asked: Mapping[str, Any], tokens: Sequence[str]) -> Feature:
    """The feature with everything that somebody said, and the rest from the table; raises as reading does."""
    name = str(asked["name"])
    found = infer_feature(cells, name, tokens).to_json()
    kind: Kind = asked.get("kind", found["kind"])
    if kind != found["kind"]:
        found = _as_kind(cells, name, kind, tokens)
    feature = Feature.from_json(found | dict(asked))
    feature.check()
    return feature


def _as_kind(cells: pd.Series, name: str, kind: Kind, tokens: Sequence[str]) -> dict[str, Any]:
    """The column read as another kind than it looks like; raises `ValueRefused` where it can't be."""
    if kind == "categorical":
        return Feature(name, kind, categories=known_texts(cells, tokens)).to_json()
    bare = Feature(name, kind)
    bare.check()
    codes = encode_column(cells, bare, tokens)
    if bare.is_number and not np.isnan(codes).all():
        return Feature(name, kind, low=float(np.nanmin(codes)), high=float(np.nanmax(codes))).to_json()
    return bare.to_json()


def _notes(feature: Feature, codes: Codes) -> list[str]:
    """What of the table the feature leaves out."""
    if feature.kind == "categorical":
        unlisted = int((codes == 0).sum())
        return [f"{unlisted:,} rows hold a value that isn't listed; it counts as never seen"] if unlisted else []
    low = 0 if feature.low is None else int((codes < feature.low).sum())
    high = 0 if feature.high is None else int((codes > feature.high).sum())
    sides = ((low, "below", feature.low), (high, "above", feature.high))
    said = "the model reads them, and rules can't name them"
    return [f"{count:,} rows are {side} {bound:g}; {said}" for count, side, bound in sides if count]
