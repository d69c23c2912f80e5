"""Extraction from a table that is never here whole: the rules, and every figure, that the whole table gives.

The table's pieces are gone through a few times, here or by a cluster's workers: for the model's answers, for what
the bins depend on, for the rows to search on (as bins, merged in each piece and then across), for the rows on
which regions are searched for, and for the counts. What comes back of a piece is an answer for each row (2 bytes)
and little else; the search itself is `ruleedit.surrogate`'s own, on as many rows as ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import add
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ruleedit.drafts import Draft
from ruleedit.errors import ExtractionFailed
from ruleedit.matching import Indices, Mask, Matrix
from ruleedit.models import TableModel, split_points
from ruleedit.models.training import stratified_quarter
from ruleedit.regions import Box, clause_cost
from ruleedit.rules import RuleSet
from ruleedit.scale.cluster import Over, here
from ruleedit.schema import Schema
from ruleedit.surrogate import Extraction, check_limits, rule_set
from ruleedit.surrogate.binarise import MOST_FEATURES, Bins, Floats, bin_counts, most_telling
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.fidelity import Agreement, agreement, fidelity_of
from ruleedit.surrogate.generation import extract_columns
from ruleedit.surrogate.parts import Glimpse, summed, together
from ruleedit.surrogate.search import search_rows
from ruleedit.surrogate.task import Splits, Task
from ruleedit.surrogate.unexplained import Missed, missed, region_rows, unexplained_of, wrong_regions
from ruleedit.tables import encode_column, fingerprint_of
from ruleedit.tables.batches import Piece, columns_of

#: Called with the passes over the table done, and all of them.
Progress: TypeAlias = Callable[[int, int], None]
#: A model's answers, 2 bytes a row: they are the only thing that grows with the table here.
Codes: TypeAlias = npt.NDArray[np.int16]
#: What fidelity and what is unexplained are made of.
Both: TypeAlias = tuple[Agreement, Missed]
METHOD = "column-generation"
#: Passes over the table, and the search.
PASSES = 5


@dataclass(frozen=True, eq=False)
class Part:
    """A piece with the model's answers on its rows, and which of them count."""

    piece: Piece
    answers: Codes = field(repr=False)
    chosen: Mask = field(repr=False)

    def rows(self, schema: Schema) -> Iterator[tuple[Matrix, Indices]]:
        """The chosen rows of each batch, encoded, with the answers there."""
        for start, rows in _encoded(self.piece, schema):
            here = np.flatnonzero(self.chosen[start : start + len(rows)])
            yield rows[here], self.answers[start : start + len(rows)][here].astype(np.intp)


@dataclass(frozen=True, eq=False)
class Answered:
    """A table with a model's answers on every row, and the numbers of the rows that are held out."""

    table: Sequence[Piece]
    answers: tuple[Codes, ...] = field(repr=False)
    held: Indices = field(repr=False)

    @cached_property
    def starts(self) -> Indices:
        """The number of each piece's first row, and at the end how many rows there are."""
        return np.concatenate([[0], np.cumsum([len(codes) for codes in self.answers])]).astype(np.intp)

    @cached_property
    def training(self) -> Indices:
        """The numbers of the rows that aren't held out."""
        return np.flatnonzero(~self._mask(self.held))

    def parts(self, rows: Indices) -> list[Part]:
        """The pieces that have some of the rows, given by number, with just these chosen."""
        mask = self._mask(rows)
        found = (
            Part(piece, codes, mask[start : start + len(codes)])
            for piece, codes, start in zip(self.table, self.answers, self.starts, strict=False)
        )
        return [part for part in found if part.chosen.any()]

    def _mask(self, rows: Indices) -> Mask:
        mask = np.zeros(int(self.starts[-1]), dtype=bool)
        mask[rows] = True
        return mask


def extract_table(
    model: TableModel,
    table: Sequence[Piece],
    *,
    max_clauses: int | None = None,
    seed: int = 0,
    max_iterations: int | None = None,
    seconds: float | None = None,
    memory: int | None = None,
    progress: Progress | None = None,
    over: Over = here,
) -> tuple[Draft, Extraction]:
    """`ruleedit.workflow.extract_rules` of a table in pieces, by column generation: the same draft and figures.

    ``over`` says who works on the pieces. Raises as that does, and as `Batch.encode` does.
    """
    check_limits(max_clauses, max_iterations, seconds, memory)
    deadline = None if seconds is None else time.monotonic() + seconds
    tell = _telling(progress)
    answered = answer_table(model, table, seed=seed, over=over)
    _check_answers(answered, model.schema)
    splits = split_points(model)
    tell()
    task = Task(
        np.empty((0, len(model.schema.features))),
        np.empty(0, dtype=np.intp),
        model.schema,
        splits,
        max_clauses,
        seed,
        max_iterations,
        deadline,
        memory=memory,
    )
    binned, cut = _binned(answered, task, over, tell)
    found = extract_columns(replace(task, binned=binned))
    rules = rule_set(found, model.schema)
    tell()
    extraction = _measured(rules, answered, task, over)
    notes = list(found.notes)
    if not rules.rules:
        notes.append(f"no rule agrees with the model better than answering {rules.default} for every row")
    extraction = replace(extraction, cut=found.cut or cut, notes=tuple(notes), bound=found.bound)
    tell()
    origin: dict[str, Any] = {"model": model.file.hash, "fingerprint": model.background.fingerprint, "seed": seed}
    return Draft.of(rules, model.schema, origin | extraction.to_json()), extraction


def answer_table(model: TableModel, table: Sequence[Piece], *, seed: int = 0, over: Over = here) -> Answered:
    """Ask a model about every row, and hold out what `ruleedit.workflow.extract_rules` holds out."""
    answers = tuple(over(_answers, table, model))
    rows = sum(map(len, answers))
    known = (
        rows == model.background.rows
        and fingerprint_of_table(table, rows, model.schema, over) == model.background.fingerprint
    )
    held = model.holdout if known else np.arange(rows)
    if len(held) == rows:
        held = stratified_quarter(np.concatenate(answers).astype(np.intp), seed)
    return Answered(table, answers, held)


def _telling(progress: Progress | None) -> Callable[[], None]:
    done = iter(range(1, PASSES + 1))
    return lambda: None if progress is None else progress(next(done), PASSES)


def _check_answers(answered: Answered, schema: Schema) -> None:
    here = {int(code) for part in answered.parts(answered.training) for code in np.unique(part.answers[part.chosen])}
    if len(here) < 2:
        raise ExtractionFailed(
            f"the model answers only {schema.classes[min(here)]!r} on these {len(answered.training):,} rows, so no "
            "rule is needed to say when; give rows with other answers, or another decision threshold"
        )


def _binned(answered: Answered, task: Task, over: Over, tell: Callable[[], None]) -> tuple[Binned, str | None]:
    """The rows to search on as bins, merged in each piece and then across; the bins are of all rows."""
    schema, training = task.schema, answered.training
    parts = answered.parts(training)
    glimpse: Glimpse = reduce(add, over(_glimpse, parts, schema, task.splits))
    bins = glimpse.bins(schema)
    tell()
    if len(bins) > MOST_FEATURES:
        bins = most_telling(bins, reduce(_add_all, over(_bin_counts, parts, schema, bins)), task.splits)
    rows, cut = search_rows(task, len(training))
    chosen = training[rows] if bins else training
    binned = together(bins, list(over(_codes, answered.parts(chosen), schema, bins)))
    tell()
    return binned, cut


def _measured(rules: RuleSet, answered: Answered, task: Task, over: Over) -> Extraction:
    schema = task.schema
    sampled = answered.parts(answered.training[region_rows(len(answered.training), task.seed)])
    rows, answers = (np.concatenate(arrays) for arrays in zip(*over(_rows, sampled, schema), strict=True))
    boxes = wrong_regions(rules, rows, answers, schema, task.splits)
    train: Both = reduce(_add_both, over(_counts, answered.parts(answered.training), schema, rules, boxes))
    held = answered.parts(answered.held)
    holdout: Both | None = reduce(_add_both, over(_counts, held, schema, rules, boxes)) if held else None
    return Extraction(
        rules=rules,
        method=METHOD,
        clauses=sum(clause_cost(rule) for rule in rules),
        train=fidelity_of(rules, train[0], schema),
        holdout=None if holdout is None else fidelity_of(rules, holdout[0], schema),
        unexplained=unexplained_of(boxes, (holdout or train)[1], schema, "train" if holdout is None else "holdout"),
    )


def _add_both(one: Both, other: Both) -> Both:
    return one[0] + other[0], one[1] + other[1]


def _add_all(one: Sequence[Floats], other: Sequence[Floats]) -> Sequence[Floats]:
    return [summed(this, that) for this, that in zip(one, other, strict=True)]


# --- what is done to a piece, here or by a worker


def _encoded(piece: Piece, schema: Schema) -> Iterator[tuple[int, Matrix]]:
    """Each batch's place in the piece, and its encoded rows."""
    start = 0
    for batch in piece.batches(columns_of([piece], schema)):
        yield start, batch.encode(schema)
        start += len(batch)


def _answers(piece: Piece, model: TableModel) -> Codes:
    return np.concatenate([model.outcomes(rows).astype(np.int16) for _, rows in _encoded(piece, model.schema)])


def _glimpse(part: Part, schema: Schema, splits: Splits) -> Glimpse:
    return reduce(add, (Glimpse.of(rows, answers, schema, splits) for rows, answers in part.rows(schema)))


def _bin_counts(part: Part, schema: Schema, bins: list[Bins]) -> Sequence[Floats]:
    return reduce(
        _add_all,
        ([bin_counts(each, rows, answers) for each in bins] for rows, answers in part.rows(schema)),
    )


def _codes(part: Part, schema: Schema, bins: list[Bins]) -> tuple[Indices, Codes, Floats]:
    found = [Binned.of(bins, rows, answers) for rows, answers in part.rows(schema)]
    merged = together(bins, [(one.codes, one.answers, one.weights) for one in found])
    return merged.codes, merged.answers, merged.weights


def _rows(part: Part, schema: Schema) -> tuple[Matrix, Indices]:
    rows, answers = zip(*part.rows(schema), strict=True)
    return np.concatenate(rows), np.concatenate(answers)


def _counts(part: Part, schema: Schema, rules: RuleSet, boxes: Sequence[Box]) -> Both:
    return reduce(
        _add_both,
        (
            (agreement(rules, rows, answers, schema), missed(rules, boxes, rows, answers, schema))
            for rows, answers in part.rows(schema)
        ),
    )


def fingerprint_of_table(table: Sequence[Piece], rows: int, schema: Schema, over: Over = here) -> str:
    """`ruleedit.tables.fingerprint` of a table of so many rows in pieces, by one worker."""
    found: str = next(over(_fingerprint_of, [tuple(table)], rows, schema))
    return found


def _fingerprint_of(table: Sequence[Piece], rows: int, schema: Schema) -> str:
    """Column after column, so each is read by itself."""
    columns = (
        encode_column(batch.frame[feature.name], feature, schema.missing_tokens)
        for feature in schema.features
        for piece in table
        for batch in piece.batches({feature.name})
    )
    return fingerprint_of(columns, (rows, len(schema.features)))
