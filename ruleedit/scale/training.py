"""Training by a Dask cluster: `ruleedit.models.training` of a table never here whole, through ``lightgbm.dask``.

Schema, hold-out, background and fingerprint are those that one machine makes of the table, so the model's folder is
like any other. The trees aren't: each worker's bins come from its own rows, and which rows are whose is for the
scheduler to say. On held-out rows the AUC is within 0.005 of one machine's; the bytes differ from run to run. Nothing
ends early: every tree that was asked for is made.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from ruleedit.errors import RuleEditError, TargetError, TrainingFailed
from ruleedit.matching import Indices, Mask, Matrix
from ruleedit.models import (
    Background,
    Common,
    FileCodes,
    TableModel,
    column_background,
    for_file,
    metrics_of,
    read_thresholds,
)
from ruleedit.models.training import boost_data, check_classes, file_names, parameters, stratified_quarter
from ruleedit.scale.cluster import RETRIES, Over, Spread
from ruleedit.scale.extraction import Codes, fingerprint_of_table
from ruleedit.schema import Schema
from ruleedit.tables import encode_column, infer_schema, target_codes
from ruleedit.tables.batches import Piece, columns_of

if TYPE_CHECKING:
    from distributed import Client

#: Called with the steps done, and all of them.
Progress: TypeAlias = Callable[[int, int], None]
#: A piece, the answers of those of its rows that are marked, and all of its rows, marked or not.
Part: TypeAlias = tuple[Piece, Codes, Mask]
#: Schema or truth, background, trees, figures.
STEPS = 3
#: LightGBM writes how its machines found each other into the model's parameters; another run has other ports.
_NETWORK = re.compile(
    r"^\[(machines|local_listen_port|num_machines|time_out|machine_list_filename): .*\]\n", re.MULTILINE
)
#: So often it is looked, in seconds, whether all workers of a training are still there.
WATCHED = 0.5
#: So many rows at once are put into LightGBM's bins.
PUSHED = 10_000
#: A worker is lost that is missing so often in a row: a busy one may be told late of being there.
MISSES = 3


def infer_table_schema(table: Sequence[Piece], target: str, over: Over) -> Schema:
    """`ruleedit.tables.infer_schema` of a table in pieces; each column is read whole by one worker."""
    names = [name for name in table[0].columns if name != target]
    parts: list[Schema] = list(over(_infer_column, names or [target], tuple(table), target))
    return dataclasses.replace(parts[0], features=tuple(feature for part in parts for feature in part.features))


def train_table(
    table: Sequence[Piece],
    schema: Schema,
    *,
    client: Client,
    thresholds: Mapping[str, float] | None = None,
    seed: int = 0,
    trees: int = 100,
    progress: Progress | None = None,
) -> TableModel:
    """`ruleedit.models.training.train` of a table in pieces, by a cluster's workers.

    A worker that is lost on the way begins the trees again, without it. Raises as that does.
    """
    over = Spread(client)
    schema = dataclasses.replace(schema, features=tuple(dataclasses.replace(f, codes=()) for f in schema.features))
    settled = read_thresholds(thresholds or {}, schema)
    codes: list[Codes] = list(over(_target, table, schema))
    answers = np.concatenate(codes).astype(np.intp)
    check_classes(answers, schema)
    holdout = stratified_quarter(answers, seed)
    training = np.ones(len(answers), dtype=bool)
    training[holdout] = False
    _tell(progress, 1)
    background = _background(table, answers, training, schema, over)
    _tell(progress, 2)
    text = boosted(table, codes, training, schema, client=client, seed=seed, trees=trees)
    _tell(progress, 3)
    return TableModel(schema, settled, text, background, seed, False, holdout)


def held_out_figures(model: TableModel, table: Sequence[Piece], over: Over) -> tuple[int, dict[str, Any]]:
    """The rows of the model's training table in pieces, and `ruleedit.models.holdout_metrics` of its hold-out."""
    sizes = [len(codes) for codes in over(_target, table, model.schema)]
    starts = np.cumsum([0, *sizes])
    parts = [
        (piece, model.holdout[(model.holdout >= start) & (model.holdout < end)] - start)
        for piece, start, end in zip(table, starts[:-1], starts[1:], strict=True)
    ]
    found = list(over(_probabilities, parts, model))
    probabilities, truth = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return int(starts[-1]), metrics_of(probabilities, truth, model.thresholds)


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows to train on: those of pieces, each part with the answers of the rows that it marks, and ``more`` from here.

    ``more`` (m, features) are encoded and have the ``labels`` (m,). ``codes`` say what the file calls categories.
    """

    schema: Schema
    parts: Sequence[Part] = field(repr=False)
    more: Matrix = field(repr=False)
    labels: Indices = field(repr=False)
    codes: FileCodes = ()

    def __len__(self) -> int:
        return sum(len(answers) for _, answers, _ in self.parts) + len(self.labels)

    @property
    def answers(self) -> Indices:
        """Of all rows in their order; shape (n,)."""
        return np.concatenate([*(answers for _, answers, _ in self.parts), self.labels]).astype(np.intp)

    def rows(self) -> Iterator[Matrix]:
        """The rows in their order, as the file has them, some at a time."""
        for part in self.parts:
            for rows in _part_rows(part, self.schema):
                yield for_file(rows, self.codes)
        yield for_file(self.more, self.codes)


def boosted(
    table: Sequence[Piece],
    codes: Sequence[Codes],
    training: Mask,
    schema: Schema,
    *,
    client: Client,
    seed: int,
    trees: int,
) -> str:
    """`ruleedit.models.training.boost` on the rows that ``training`` marks, by the workers: the model's text."""
    starts = np.cumsum([0, *map(len, codes)])
    parts = [
        (piece, answers[mask], mask)
        for piece, answers, start in zip(table, codes, starts, strict=False)
        if (mask := training[start : start + len(answers)]).any()
    ]
    none = np.empty((0, len(schema.features)))
    return boosted_by(client, Examples(schema, parts, none, np.zeros(0, dtype=np.intp)), seed=seed, trees=trees)


def boosted_by(client: Client, examples: Examples, *, seed: int, trees: int) -> str:
    """`ruleedit.models.training.boost` on examples, by the workers: the model's text."""
    given = parameters(examples.schema, seed)
    # The name that LightGBM's scikit-learn interface, which Dask's is made of, gives a default of its own.
    given["min_child_samples"] = given.pop("min_data_in_leaf")
    for _ in range(RETRIES + 1):
        text = _attempt(client, examples, given | {"n_estimators": trees})
        if text is not None:
            return _NETWORK.sub("", text)
    raise TrainingFailed(f"workers were lost in each of {RETRIES + 1} trainings; see to the cluster and train again")


def boosted_here(examples: Examples, *, seed: int, trees: int) -> str:
    """`ruleedit.models.training.boost` on examples in this process, which holds them as LightGBM's bins: a byte a cell.

    Up to 200,000 rows the bytes are those of `boost`. Of more LightGBM draws those that its bins are made from, and
    draws others where it reads them one after another.
    """
    import lightgbm

    class Rows(lightgbm.Sequence):  # type: ignore[misc]
        """The rows by their numbers, which LightGBM asks for in ascending order, twice."""

        batch_size = PUSHED

        def __init__(self) -> None:
            # LightGBM asks for it with each row that it draws.
            self.many = len(examples)
            self._rewind()

        def __len__(self) -> int:
            return self.many

        def __getitem__(self, place: Any) -> Matrix:
            if isinstance(place, slice):
                return self._read(place.start, place.stop)
            row: Matrix = self._read(place, place + 1)[0]
            return row

        def _rewind(self) -> None:
            self.batches, self.start, self.batch = examples.rows(), 0, examples.more[:0]

        def _read(self, start: int, stop: int) -> Matrix:
            if start < self.start:
                self._rewind()
            found = []
            while start < stop:
                while start >= self.start + len(self.batch):
                    self.start, self.batch = self.start + len(self.batch), next(self.batches)
                found.append(self.batch[start - self.start : stop - self.start])
                start += len(found[-1])
            return np.ascontiguousarray(np.concatenate(found))

    return boost_data(Rows(), examples.answers, examples.schema, seed=seed, trees=trees)


def _attempt(client: Client, examples: Examples, given: Mapping[str, Any]) -> str | None:
    """One training; None where a worker was lost, and then those that waited for it are started anew.

    LightGBM's workers talk to each other without Dask: one that is killed leaves the others waiting for ever. So the
    training has a connection of its own, which is closed under it where a worker that it began with is gone.
    """
    from distributed import Client as Connection

    before = _workers(client)
    ended: list[str | Exception] = []
    # What LightGBM tells of its ports would stand among what a command prints.
    with Connection(client.scheduler.address, set_as_default=False) as own, contextlib.redirect_stdout(io.StringIO()):
        thread = threading.Thread(target=_fit, args=(own, examples, given, ended), daemon=True)
        thread.start()
        misses = 0
        while thread.is_alive() and misses < MISSES:
            thread.join(WATCHED)
            misses = 0 if before.items() <= _workers(client).items() else misses + 1
    made = ended[0] if ended else None
    if isinstance(made, str):
        return made
    if isinstance(made, RuleEditError):
        raise made
    if not misses:
        raise TrainingFailed(f"LightGBM couldn't train on these workers: {made}") from made
    client.restart_workers([address for address in before if address in _workers(client)], raise_for_error=False)
    client.wait_for_workers(1)
    return None


def _workers(client: Client) -> dict[str, str]:
    """The workers by address, each with what tells it from one that came after it at the same address."""
    return {address: worker["id"] for address, worker in client.scheduler_info(n_workers=-1)["workers"].items()}


def _fit(own: Client, examples: Examples, given: Mapping[str, Any], ended: list[str | Exception]) -> None:
    """Train, and put the model's text or what went wrong into ``ended``."""
    import dask
    import dask.array
    import lightgbm

    class Learner(lightgbm.DaskLGBMRegressor):  # type: ignore[misc]
        """Without a number of threads: each worker has its own, and LightGBM would warn that it is ignored."""

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            found: dict[str, Any] = super().get_params(deep)
            return {name: value for name, value in found.items() if name != "n_jobs"}

    try:
        schema, wide = examples.schema, len(examples.schema.features)
        chunks = []
        for part in examples.parts:
            pair, many = dask.delayed(_training_rows)(part, schema, examples.codes), len(part[1])
            rows = dask.array.from_delayed(pair[0], (many, wide), dtype=np.float64)
            chunks.append((rows, dask.array.from_delayed(pair[1], (many,), dtype=np.float64)))
        if len(examples.more):
            more, labels = for_file(examples.more, examples.codes), examples.labels.astype(np.float64)
            chunks.append(tuple(dask.array.from_array(np.ascontiguousarray(one), chunks=-1) for one in (more, labels)))
        matrix, labels = (dask.array.concatenate(arrays) for arrays in zip(*chunks, strict=True))
        # The classifier would number the classes anew on each worker, by those that it has rows of.
        learner = Learner(client=own, **given)
        with own.as_current():
            learner.fit(
                matrix,
                labels,
                feature_name=file_names(schema),
                categorical_feature=[place for place, f in enumerate(schema.features) if f.kind == "categorical"],
            )
        ended.append(learner.booster_.model_to_string())
    except Exception as problem:  # noqa: BLE001 (it is told in the thread that waits)
        ended.append(problem)


def _background(table: Sequence[Piece], answers: Indices, training: Mask, schema: Schema, over: Over) -> Background:
    """`Background.of` the whole table; each column is read whole by one worker: 8 bytes a row."""
    places = list(range(len(schema.features)))
    found: list[tuple[float, Common]] = list(over(_column, places, tuple(table), schema, training))
    counts = np.bincount(answers[training], minlength=len(schema.classes))
    deviations, common = zip(*found, strict=True)
    mark = fingerprint_of_table(table, len(answers), schema, over)
    return Background(len(answers), mark, tuple(counts.tolist()), deviations, common)


def _tell(progress: Progress | None, done: int) -> None:
    if progress is not None:
        progress(done, STEPS)


# --- what is done to a piece, or a column, by a worker


def _infer_column(name: str, table: Sequence[Piece], target: str) -> Schema:
    wanted = {name, target}
    parts = [batch.frame for piece in table for batch in piece.batches(wanted)]
    return infer_schema(pd.concat(parts, ignore_index=True), target)


def _target(piece: Piece, schema: Schema) -> Codes:
    try:
        parts = [target_codes(batch.frame, schema) for batch in piece.batches({schema.target})]
    except TargetError as problem:
        raise TargetError(f"{piece.where}{problem}") from None
    return np.concatenate(parts).astype(np.int16)


def _column(place: int, table: Sequence[Piece], schema: Schema, training: Mask) -> tuple[float, Common]:
    feature = schema.features[place]
    column = np.concatenate(
        [
            encode_column(batch.frame[feature.name], feature, schema.missing_tokens)
            for piece in table
            for batch in piece.batches({feature.name})
        ]
    )
    return column_background(column[training], feature)


def _part_rows(part: Part, schema: Schema) -> Iterator[Matrix]:
    """The rows of a part that it marks, encoded, some at a time."""
    piece, _, mask = part
    start = 0
    for batch in piece.batches(columns_of([piece], schema)):
        here = mask[start : start + len(batch)]
        start += len(batch)
        if here.any():
            yield batch.encode(schema)[here]


def _training_rows(part: Part, schema: Schema, codes: FileCodes) -> tuple[Matrix, npt.NDArray[np.float64]]:
    return for_file(np.concatenate(list(_part_rows(part, schema))), codes), part[1].astype(np.float64)


def _probabilities(part: tuple[Piece, Indices], model: TableModel) -> tuple[npt.NDArray[np.float64], Indices]:
    piece, chosen = part
    rows, truth, start = [], [], 0
    for batch in piece.batches({*model.schema.names, model.schema.target}):
        here = chosen[(chosen >= start) & (chosen < start + len(batch))] - start
        rows.append(model.proba(batch.encode(model.schema)[here]))
        truth.append(target_codes(batch.frame, model.schema)[here])
        start += len(batch)
    return np.concatenate(rows), np.concatenate(truth)
