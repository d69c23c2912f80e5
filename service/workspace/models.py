"""Data sets and models: what comes in, and what is learned from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from ruleedit.errors import TableError, TargetError, did_you_mean
from ruleedit.schema import Feature, Schema
from ruleedit.tables.groups import Fairness
from ruleedit.tables.review import review
from service.errors import UnknownDataset, UnknownModel
from service.jobs.inspection import inspect_model, inspect_table
from service.people import Person
from service.store.records import (
    Dataset,
    Happened,
    ModelRecord,
)
from service.views import (
    dataset_view,
    model_view,
)
from service.workspace.desk import Desk, Page


class Models(Desk):
    """Data sets and models."""

    def add_dataset(self, source: BinaryIO, name: str, suffix: str, *, by: Person) -> dict[str, Any]:
        """Keep a table, CSV or Parquet; raises `TableError`, and then keeps nothing."""
        with (
            self._files.incoming(source, suffix) as file,
            self._once.attempt("add data set", file.name, name) as attempt,
        ):
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            try:
                rows, features = inspect_table(file.path, self.settings)
            except TableError as problem:
                raise type(problem)(str(problem).replace(file.path.name, name)) from None
            file.keep()
            record = Dataset(self._new_id("dataset"), self._repository.moment(), name, rows, file.name, features)
            with self._repository.change(by) as change:
                change.add(record)
                payload = {"name": name, "rows": rows, "hashes": {"data": file.name}}
                change.happened(Happened("add data set", record.id, payload=payload))
                return dict(attempt.answer(change, dataset_view(record)))

    def dataset(self, name: str) -> dict[str, Any]:
        """A data set; raises `UnknownDataset`."""
        return dataset_view(self._repository.get(Dataset, name, UnknownDataset))

    def datasets(self, page: Page) -> dict[str, Any]:
        """The data sets, newest first."""
        return self._page(Dataset, page, dataset_view)

    def review(
        self,
        dataset: str,
        target: str,
        features: Sequence[Mapping[str, Any]] | None = None,
        missing_tokens: Sequence[str] = (),
    ) -> dict[str, Any]:
        """A schema of a data set before it is trained on; see `ruleedit.tables.review.review`."""
        return review(self._shelf.frame(dataset), target, features, missing_tokens).to_json()

    def train(
        self,
        dataset: str,
        target: str,
        *,
        by: Person,
        seed: int = 0,
        thresholds: dict[str, float] | None = None,
        schema: dict[str, Any] | None = None,
        groups: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Train a model on a data set, as a job; ``groups`` say which columns are sensitive."""
        request = {"dataset": dataset, "target": target, "seed": seed, "thresholds": thresholds or {}}
        request |= {"schema": schema, "name": name, "groups": groups}
        with self._once.attempt("train", request) as attempt:
            if attempt.earlier is None:
                self._check_target(dataset, target, schema, groups)
            return self._submit(attempt, "train", request, by)

    def adopt(
        self,
        model_file: BinaryIO,
        dataset: str,
        target: str,
        *,
        by: Person,
        classes: Sequence[str] | None = None,
        seed: int = 0,
        thresholds: dict[str, float] | None = None,
        schema: dict[str, Any] | None = None,
        groups: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Take over a LightGBM model file, as a job; a malformed one is refused at once with `ModelFileRefused`."""
        request = {"dataset": dataset, "target": target, "seed": seed, "thresholds": thresholds or {}}
        request |= {"schema": schema, "name": name, "groups": groups, "classes": list(classes) if classes else None}
        with self._files.incoming(model_file, ".txt") as file:
            request["file"] = file.name
            with self._once.attempt("adopt", request) as attempt:
                if attempt.earlier is None:
                    self._check_target(dataset, target, schema, groups)
                    inspect_model(file.path, self.settings)
                    file.keep()
                return self._submit(attempt, "adopt", request, by)

    def model(self, name: str) -> dict[str, Any]:
        """A model with its schema and hold-out figures; raises `UnknownModel`."""
        return model_view(self._repository.get(ModelRecord, name, UnknownModel))

    def fairness(self, model: str) -> Fairness:
        """Which columns of a model are sensitive, and the least ratio."""
        return Fairness.from_json(self._repository.get(ModelRecord, model, UnknownModel).groups)

    def models(self, page: Page) -> dict[str, Any]:
        """The models, newest first."""
        return self._page(ModelRecord, page, model_view)

    def set_groups(self, model: str, groups: dict[str, Any], reason: str, *, by: Person) -> dict[str, Any]:
        """Say which columns of a model are sensitive, and the least ratio; raises as `Fairness.check` does."""
        with self._once.attempt("set groups", model, groups, reason, by.name) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            record = self._repository.get(ModelRecord, model, UnknownModel)
            Fairness.from_json(groups).check(Schema.from_json(record.summary["schema"]))
            before = Fairness.from_json(record.groups).to_json()
            with self._repository.change(by) as change:
                change.set_groups(model, groups)
                change.happened(Happened("set groups", model, reason, {"before": before, "after": groups}))
                return dict(attempt.answer(change, model_view(replace(record, groups=groups))))

    def _check_target(
        self, dataset: str, target: str, schema: dict[str, Any] | None, groups: dict[str, Any] | None
    ) -> None:
        """Refuse at once what a job would only refuse later."""
        found = self.dataset(dataset)
        columns = found["columns"]
        if target not in columns:
            raise TargetError(f"the data set has no column {target!r}{did_you_mean(target, columns)}")
        if schema is not None and Schema.from_json(schema).target != target:
            raise TargetError(f"the schema's target is {schema['target']!r}, not {target!r}")
        features = (schema or found["schema"])["features"]
        known = {item["name"]: Feature.from_json(item) for item in features if item["name"] != target}
        Fairness.from_json(groups).check_columns(known)
