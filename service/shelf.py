"""What the service reads again and again, kept in memory: drafts, models, encoded tables.

All of it is immutable, so an entry is never wrong; the oldest ones go when a shelf is full.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from ruleedit import release, tables
from ruleedit.drafts import Draft
from ruleedit.formats import canonical
from ruleedit.matching import Indices, Matrix
from ruleedit.models import TableModel, outcome_codes
from ruleedit.models import folder as modelfolder
from ruleedit.release import Release
from ruleedit.schema import Schema
from ruleedit.tables import encode, target_codes
from ruleedit.tables.batches import Piece, pieces
from service.errors import UnknownDataset, UnknownModel, UnknownRelease
from service.scoring.drift import Reference
from service.store.files import Files
from service.store.records import Dataset, ModelRecord, ReleaseRecord
from service.store.repository import Repository

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """The values used last, at most ``most`` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key; made where it isn't kept. Two threads may both make it: they make the same."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        self.put(key, value)
        return value

    def kept(self, key: Key) -> Value | None:
        """The value of a key, None where it isn't kept."""
        with self._lock:
            return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Keep a value."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)


@dataclass(frozen=True, eq=False)
class EncodedTable:
    """A data set as one model reads it: encoded rows (n, features), and the model's outcomes and the truth, (n,).

    ``sure`` (n,) is the probability that the model gives its outcome, to seven digits. ``truth`` is None where the
    table has no target column.
    """

    rows: Matrix = field(repr=False)
    outcomes: Indices = field(repr=False)
    sure: npt.NDArray[np.float32] = field(repr=False)
    truth: Indices | None = field(repr=False)


class Shelf:
    """Reads drafts, models and tables from the store, each of them once."""

    def __init__(self, repository: Repository, files: Files) -> None:
        self._repository = repository
        self._files = files
        self._drafts: Kept[tuple[str, str], Draft] = Kept(64)
        self._models: Kept[str, TableModel] = Kept(8)
        self._tables: Kept[tuple[str, str], EncodedTable] = Kept(2)

    def draft(self, ruleset: str, revision: str) -> Draft:
        """The draft of a rule set's revision; raises `UnknownRevision`."""
        return self._drafts.get((ruleset, revision), lambda: self._replayed(ruleset, revision))

    def _replayed(self, ruleset: str, revision: str) -> Draft:
        """The draft made step by step from the nearest one that is kept, or from the rule set's first."""
        line = self._repository.revisions(ruleset, revision)
        steps: list[Any] = []
        draft: Draft | None = None
        for item in reversed(line):
            draft = self._drafts.kept((ruleset, item.revision))
            if draft is not None or item.step is None:
                break
            steps.append(json.loads(item.step))
        if draft is None:
            draft = canonical.loads(self._repository.document(ruleset))
        return canonical.replay(draft, reversed(steps), f"the history of {ruleset!r}")

    def keep_draft(self, ruleset: str, draft: Draft) -> None:
        """Keep a draft that was just made."""
        self._drafts.put((ruleset, draft.revision), draft)

    def model(self, name: str) -> TableModel:
        """A model by its id; raises `UnknownModel`."""
        record = self._repository.get(ModelRecord, name, UnknownModel)
        return self._models.get(name, lambda: modelfolder.load(self._files.path(record.folder)))

    def frame(self, name: str) -> pd.DataFrame:
        """A data set's table as the file has it; raises `UnknownDataset`."""
        return tables.read(self._files.path(self._repository.get(Dataset, name, UnknownDataset).file))

    def pieces(self, name: str) -> tuple[Piece, ...]:
        """A data set's table to read in batches; raises `UnknownDataset`."""
        return pieces(self._files.path(self._repository.get(Dataset, name, UnknownDataset).file))

    def table(self, dataset: str, model: str) -> EncodedTable:
        """A data set as a model reads it; raises as `ruleedit.tables.encode` does."""
        self._repository.get(Dataset, dataset, UnknownDataset)
        return self._tables.get((dataset, model), lambda: self._encoded(dataset, self.model(model)))

    def release(self, name: str) -> Release:
        """A release by its id; raises `UnknownRelease`."""
        record = self._repository.get(ReleaseRecord, name, UnknownRelease)
        return release.load(self._files.path(record.folder))

    def reference(self, record: ReleaseRecord) -> Reference:
        """What the training table of a release's model looked like."""
        return Reference.from_json(json.loads(self._files.path(record.report["reference"]).read_bytes()))

    def _encoded(self, dataset: str, model: TableModel) -> EncodedTable:
        frame = self.frame(dataset)
        rows = encode(frame, model.schema)
        probabilities = model.proba(rows)
        found = outcome_codes(probabilities, model.thresholds)
        sure = probabilities[np.arange(len(rows)), found].astype(np.float32)
        return EncodedTable(rows, found, sure, truth_or_none(frame, model.schema))


def truth_or_none(frame: pd.DataFrame, schema: Schema) -> Indices | None:
    """The target's classes as places; None where the table has no such column."""
    return target_codes(frame, schema) if schema.target in frame.columns else None
