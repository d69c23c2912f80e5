"""The long steps that jobs run: train, adopt, extract, put in force.

Each takes the job's request as JSON and a `Watch`, and returns what writes the outcome: the job's
end, what it made and the event of it are one transaction.
"""

from __future__ import annotations

import functools
import importlib.metadata
import io
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pandas as pd

from ruleedit.drafts import Draft
from ruleedit.files import read_text
from ruleedit.formats import canonical
from ruleedit.inforce import brief, point_json, put_in_force, with_plain_retraining
from ruleedit.matching import Indices, Matrix
from ruleedit.models import TableModel, holdout_metrics
from ruleedit.models.adoption import adopt
from ruleedit.models.folder import model_files
from ruleedit.models.training import train
from ruleedit.release import Release, release_files
from ruleedit.retrain import CheckpointFolder, Point
from ruleedit.schema import Schema
from ruleedit.surrogate import DEFAULT_METHOD
from ruleedit.tables import encode, infer_schema, target_codes
from ruleedit.tables.groups import Fairness
from ruleedit.workflow import extract_rules
from service.errors import UnknownDataset, UnknownJob, UnknownModel, UnknownRuleSet
from service.jobs import Made, Runner, Watch
from service.jobs.children import Children
from service.scoring.drift import Reference
from service.settings import MIB
from service.shelf import EncodedTable, Shelf
from service.store.change import Change
from service.store.files import Files
from service.store.records import Dataset, Happened, JobRecord, ModelRecord, ReleaseRecord, Revision, RuleSetRecord
from service.store.repository import Repository
from service.views import fidelity_view

Found = TypeVar("Found")


class Tasks:
    """The long steps over one store; `runners` gives them by the kind of job."""

    def __init__(
        self, repository: Repository, files: Files, shelf: Shelf, new_id: Callable[[str], str], children: Children
    ) -> None:
        self._children = children
        self._repository = repository
        self._files = files
        self._shelf = shelf
        self._new_id = new_id

    @property
    def runners(self) -> Mapping[str, Runner]:
        """What runs each kind of job."""
        return {
            "train": self.train,
            "adopt": self.adopt,
            "extract": self.extract,
            "pilot": self.pilot,
            "release": self.release,
        }

    def train(self, request: dict[str, Any], watch: Watch) -> Made:
        """Train a model on a data set."""
        frame = self._shelf.frame(request["dataset"])
        known = _schema(request) or infer_schema(frame, request["target"])
        Fairness.from_json(request.get("groups")).check(known)
        more = {"thresholds": request["thresholds"], "seed": request["seed"]}
        return self._keep_model(request, *self._children.call(_trained, frame, known, watch=watch, **more), watch)

    def adopt(self, request: dict[str, Any], watch: Watch) -> Made:
        """Take over a LightGBM model file with a data set that it can answer."""
        frame = self._shelf.frame(request["dataset"])
        watch(0, 1)
        made = self._children.call(
            _adopted,
            read_text(self._files.path(request["file"]), "a LightGBM model as text"),
            frame,
            request["target"],
            schema=_schema(request),
            classes=request["classes"],
            thresholds=request["thresholds"],
            seed=request["seed"],
            watch=watch,
        )
        return self._keep_model(request, *made, watch)

    def extract(self, request: dict[str, Any], watch: Watch) -> Made:
        """Extract a rule set from a model's answers on a data set."""
        record = self._repository.get(ModelRecord, request["model"], UnknownModel)
        model = self._shelf.model(record.id)
        table = self._shelf.table(request["dataset"] or record.dataset, record.id)
        draft, found = self._children.call(
            extract_rules,
            model,
            table.rows,
            method=request["method"] or DEFAULT_METHOD,
            max_clauses=request["max_clauses"],
            **_limits(request),
            seed=request["seed"],
            probabilities=request["probabilities"],
            ground=self._ground(request["ground"]),
            truth=table.truth,
            watch=watch,
        )
        watch.check()
        made = RuleSetRecord(
            self._new_id("ruleset"),
            self._repository.moment(),
            request["name"] or record.name,
            record.id,
            draft.revision,
        )
        counts = {"rules": len(draft.rules), "clauses": found.clauses}
        result = {"ruleset": made.id, "revision": draft.revision, **counts, **fidelity_view(found)}

        def write(change: Change) -> dict[str, Any]:
            change.add_ruleset(made, Revision(draft.revision, draft.content), canonical.dumps(draft))
            payload = of_request(request) | result | {"hashes": {"model": model.file.hash, "schema": draft.schema.hash}}
            change.happened(Happened("extract rules", made.id, payload=payload))
            return result

        return write

    def _ground(self, ruleset: str | None) -> Draft | None:
        """The rule set whose asserted rules are carried over, at its present revision."""
        if ruleset is None:
            return None
        return self._shelf.draft(ruleset, self._repository.get(RuleSetRecord, ruleset, UnknownRuleSet).head)

    def pilot(self, request: dict[str, Any], watch: Watch) -> Made:
        """Try a mode on some of the rows, for what it would do; the model that it makes is thrown away."""
        ruleset = self._repository.get(RuleSetRecord, request["ruleset"], UnknownRuleSet)
        draft = self._shelf.draft(ruleset.id, request["revision"])
        table = self._shelf.table(request["dataset"], ruleset.model)
        began = time.perf_counter()
        report = self._applied(_pilot, draft, ruleset.model, table, request, watch, most_rows=request["rows"])
        result = {
            **{key: request[key] for key in ("ruleset", "revision", "mode")},
            "strategy": report["strategy"],
            "asked": request["strategy"],
            "rows": report.get("trained_on", report["held_out"]["rows"]),
            "of": len(table.rows),
            **brief(report),
            "seconds": time.perf_counter() - began,
        }

        def write(change: Change) -> dict[str, Any]:
            change.happened(Happened("pilot", ruleset.id, payload=of_request(request) | result))
            return result

        return write

    def release(self, request: dict[str, Any], watch: Watch) -> Made:
        """Put a revision in force as a release; nothing serves it before it is activated."""
        ruleset = self._repository.get(RuleSetRecord, request["ruleset"], UnknownRuleSet)
        draft = self._shelf.draft(ruleset.id, request["revision"])
        table = self._shelf.table(request["dataset"], ruleset.model)
        found = self._applied(
            _put_in_force,
            draft,
            ruleset.model,
            table,
            request,
            watch,
            # What earlier versions put in the queue says nothing of these.
            prove=request.get("prove", False),
            groups=request.get("groups") or self._fairness(ruleset.model).parting,
            checkpoints=None if watch.kept is None else CheckpointFolder(watch.kept),
        )
        watch.check()
        made = ReleaseRecord(
            id=self._new_id("release"),
            created=self._repository.moment(),
            name=request["name"],
            ruleset=ruleset.id,
            revision=draft.revision,
            content=draft.content,
            model=ruleset.model,
            dataset=request["dataset"],
            mode=found.mode,
            strategy=found.strategy,
            folder=self._files.put_folder(release_files(found)),
            report={
                **found.report,
                "reference": self._keep_reference(found, ruleset.model),
                "expected": self._expected(found.mode, request.get("pilot")),
            },
            state="draft",
            made_by=request["by"]["name"],
            expires=request.get("expires"),
        )
        result = {"release": made.id}

        def write(change: Change) -> dict[str, Any]:
            change.add(made)
            hashes = {"folder": made.folder, "content": made.content, "schema": draft.schema.hash}
            payload = of_request(request) | result | {"hashes": hashes, "effect": made.report}
            change.happened(Happened("make release", made.id, payload=payload))
            return result

        return write

    def _expected(self, mode: str, pilot: str | None) -> dict[str, Any] | None:
        """What was expected of a release before it was made, and where that comes from; None: nothing was known."""
        if mode in ("overlay-hard", "graft"):
            return {"from": "exact", "honoured": 1.0, "flips": 0.0}
        if pilot is None:
            return None
        result = self._repository.get(JobRecord, pilot, UnknownJob).result or {}
        return {"from": "pilot", "job": pilot} | {key: result[key] for key in ("rows", "honoured", "flips", "f1_after")}

    def _keep_reference(self, found: Release, model: str) -> str:
        """Keep what the model's training table looked like, which traffic is compared with; the file's name."""
        table = self._shelf.table(self._repository.get(ModelRecord, model, UnknownModel).dataset, model)
        described = Reference.of(found, table.rows, table.outcomes).to_json()
        return self._files.put(io.BytesIO(json.dumps(described).encode()), ".json")

    def _fairness(self, model: str) -> Fairness:
        return Fairness.from_json(self._repository.get(ModelRecord, model, UnknownModel).groups)

    def _applied(
        self,
        work: Callable[..., Found],
        draft: Draft,
        model: str,
        table: EncodedTable,
        request: dict[str, Any],
        watch: Watch,
        **more: Any,
    ) -> Found:
        """What ``work`` makes of a draft in the mode that is asked for, in a child."""
        watch(0, 1)
        asked = {name: request[name] for name in ("strategy", "seed")}
        mode, kept = request["mode"], self._shelf.model(model)
        return self._children.call(work, kept, draft, mode, table.rows, truth=table.truth, watch=watch, **asked, **more)

    def _keep_model(self, request: dict[str, Any], model: TableModel, held_out: dict[str, Any], watch: Watch) -> Made:
        watch.check()
        dataset = self._repository.get(Dataset, request["dataset"], UnknownDataset)
        summary = {
            "schema": model.schema.to_json(),
            "thresholds": dict(zip(model.schema.classes, model.thresholds, strict=True)),
            "seed": model.seed,
            "adopted": model.adopted,
            "hash": model.file.hash,
            "rows": dataset.rows,
            "holdout": held_out,
            "notes": list(model.notes),
        }
        made = ModelRecord(
            id=self._new_id("model"),
            created=self._repository.moment(),
            name=request["name"] or request["target"],
            dataset=dataset.id,
            target=model.schema.target,
            folder=self._files.put_folder(model_files(model)),
            summary=summary,
            groups=request.get("groups"),
        )
        result = {"model": made.id, "holdout": summary["holdout"]}

        def write(change: Change) -> dict[str, Any]:
            change.add(made)
            action = "adopt model" if model.adopted else "train model"
            hashes = {"model": model.file.hash, "schema": model.schema.hash, "data": model.background.fingerprint}
            change.happened(Happened(action, made.id, payload=of_request(request) | result | {"hashes": hashes}))
            return result

        return write


def of_request(request: dict[str, Any]) -> dict[str, Any]:
    """What an event says of the request that it comes from, and of the program that carried it out."""
    return {"asked": {key: value for key, value in request.items() if key != "by"}, "versions": versions()}


@functools.cache
def versions() -> dict[str, str]:
    """The versions of what a model's bytes depend on."""
    return {name: importlib.metadata.version(name) for name in ("ruleedit", "lightgbm", "numpy")}


def _trained(frame: pd.DataFrame, schema: Schema, **more: Any) -> tuple[TableModel, dict[str, Any]]:
    """Train a model, and measure it on the rows held out."""
    return _measured(train(frame, schema, **more), frame)


def _adopted(
    text: str, frame: pd.DataFrame, target: str, *, progress: Callable[[int, int], None], **more: Any
) -> tuple[TableModel, dict[str, Any]]:
    """Take over somebody's model, and measure it: here its trees answer many rows for the first time."""
    found = _measured(adopt(text, frame, target, **more), frame)
    progress(1, 1)
    return found


def _measured(model: TableModel, frame: pd.DataFrame) -> tuple[TableModel, dict[str, Any]]:
    rows, truth = encode(frame, model.schema), target_codes(frame, model.schema)
    return model, holdout_metrics(model, rows[model.holdout], truth[model.holdout])


def _pilot(*given: Any, progress: Callable[..., object], **more: Any) -> Mapping[str, Any]:
    """Put edits in force on some of the rows, and keep the report alone."""
    return put_in_force(*given, progress=_telling(progress), **more).report


def _telling(progress: Callable[..., object]) -> Callable[[int, int, object], None]:
    """What says each round of a retraining as JSON."""

    def told(done: int, of: int, point: object) -> None:
        progress(done, of, *([point_json(point)] if isinstance(point, Point) else []))

    return told


def _put_in_force(
    model: TableModel,
    draft: Draft,
    mode: str,
    rows: Matrix,
    *,
    truth: Indices | None,
    seed: int,
    progress: Callable[..., object],
    **more: Any,
) -> Release:
    """Put edits in force, saying each round of a retraining, and compare a retraining with a plain one."""

    found = put_in_force(model, draft, mode, rows, truth=truth, seed=seed, progress=_telling(progress), **more)
    if found.mode == "retrain" and truth is not None:
        found = with_plain_retraining(found, rows, truth, seed=seed)
    return found


def _limits(request: dict[str, Any]) -> dict[str, Any]:
    """The limits of an extraction; a job that an older version queued has none."""
    memory = request.get("memory")
    limits = {name: request.get(name) for name in ("max_iterations", "seconds")}
    return limits | {"stability": request.get("stability", 0), "memory": None if memory is None else memory * MIB}


def _schema(request: dict[str, Any]) -> Schema | None:
    return None if request["schema"] is None else Schema.from_json(request["schema"])
