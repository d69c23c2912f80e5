"""The workspace: one method for each thing that a user can do.

It is the only layer that the API, the jobs and the demo call. What it returns is JSON as the API
gives it (`service.views`).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, BinaryIO, Literal

import numpy as np
from prometheus_client.core import GaugeMetricFamily, Metric

from ruleedit.batches import Piece, pieces
from ruleedit.bundle import Bundle, Choices, bundle, card
from ruleedit.calibration import Calibration
from ruleedit.compare import compare
from ruleedit.conflicts import find_conflicts, refuse_open
from ruleedit.decisions import row_warnings
from ruleedit.doubts import authors, doubts
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import Refused, TableError, TargetError, did_you_mean
from ruleedit.feedback import Feedback, feedback
from ruleedit.findings import finding_rows, findings
from ruleedit.formats import MEDIA_TYPES, canonical, export
from ruleedit.formats.read import read_rules
from ruleedit.groups import Fairness, Grouping, behind, groups_json, parted
from ruleedit.impact import Impact, impact
from ruleedit.inforce import check_mode
from ruleedit.matching import outcome_table
from ruleedit.models import TableModel
from ruleedit.release import Release
from ruleedit.retrain.objective import macro_f1
from ruleedit.retrain.report import subgroups
from ruleedit.review import review
from ruleedit.rules import RuleSet
from ruleedit.schema import Feature, Schema, canonical_json
from ruleedit.surrogate import METHODS
from ruleedit.workflow import conflict_json, conflict_rows, read_outcome, resolve_conflicts
from service.audit import Audit
from service.batch import check, decided_csv
from service.children import Children
from service.counterexamples import Counterexamples
from service.decisionlog import DecisionLog
from service.errors import NotReady, Stale, UnknownDataset, UnknownKey, UnknownModel, UnknownRelease, UnknownRuleSet
from service.following import Following
from service.heads import Heads
from service.insight import Lens
from service.inspection import inspect_model, inspect_table
from service.jobs import Jobs, Watch
from service.keys import REVOKED, Keys
from service.ledger import ChainLedger
from service.local import look
from service.once import Attempt, Once
from service.people import Person, Role
from service.schedule import Chore, Schedule, run
from service.scoring import Scoring, Serving, encode_records
from service.settings import Settings
from service.shelf import EncodedTable, Kept, Shelf, truth_or_none
from service.store.change import Record
from service.store.files import Claim, Files
from service.store.peers import Peers
from service.store.records import (
    Dataset,
    Happened,
    JobRecord,
    KeyRecord,
    ModelRecord,
    Reason,
    ReleaseRecord,
    Revision,
    RuleSetRecord,
    Why,
)
from service.store.repository import Repository, now, random_id, text_of
from service.store.seam import Storage, real_storage
from service.tasks import Tasks, versions
from service.trials import TRIED, Trials
from service.views import (
    dataset_view,
    diff_view,
    history_view,
    job_view,
    key_view,
    model_view,
    release_view,
    ruleset_item,
    ruleset_view,
)
from service.workflow import SWITCHES, Workflow

#: Rows of a pilot unless somebody says how many: enough to tell an agreement of 0.99 from one of 0.98.
PILOT_ROWS = 2_000
#: So many of the newest pilots are looked through for those of a revision.
MOST_PILOTS = 200
#: What `If-Match: *` stands for: whatever revision is there.
ANY = "*"


@dataclass(frozen=True)
class Page:
    """What part of a list is asked for: at most ``limit`` items, those before the number ``before``."""

    limit: int
    before: int | None = None


@dataclass(frozen=True, eq=False)
class Opened:
    """A rule set at one revision as values: its draft, its model, and the table that the model was trained on.

    ``model`` is what is known of the model, ``answering`` the model itself.
    """

    record: RuleSetRecord
    draft: Draft
    model: ModelRecord
    answering: TableModel
    table: EncodedTable

    @property
    def fairness(self) -> Fairness:
        """Which columns are sensitive, and the least ratio."""
        return Fairness.from_json(self.model.groups)


class Workspace:
    """One data folder with its database, files, jobs and active releases."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = now,
        new_id: Callable[[str], str] = random_id,
        storage: Storage = real_storage,
    ) -> None:
        self.settings = settings
        self._new_id = new_id
        self._claim = Claim(settings.data_dir, shared=settings.shared)
        self._files = Files(settings.data_dir / "files", storage, self._claim.seat)
        self._repository = Repository(
            settings.store, clock, new_id=new_id, storage=storage, notice=settings.notice, shared=settings.shared
        )
        self._peers = Peers(self._repository.database, settings.lease_seconds if settings.shared else None)
        self._once = Once(self._repository, clock)
        self._heads = Heads(settings.heads_file, settings.key_file)
        self.audit = Audit(self._repository, self._heads, self._once, clock)
        self._shelf = Shelf(self._repository, self._files)
        self._lenses: Kept[tuple[str, RuleSet, tuple[Grouping, ...]], Lens] = Kept(2)
        children = Children(settings.job_memory, settings.job_seconds)
        self._looking = Children(settings.job_memory, settings.look_seconds)
        self.tasks = Tasks(self._repository, self._files, self._shelf, new_id, children)
        self._jobs = Jobs(
            self._repository,
            self.tasks.runners,
            self._peers,
            folder=settings.data_dir / "jobs",
            new_id=new_id,
            workers=settings.workers,
            most_waiting=settings.most_jobs,
            progress_seconds=settings.progress_seconds,
        )
        self.keys = Keys(self._repository, new_id=new_id, clock=clock, seconds=settings.key_seconds)
        self._decision_log = None if settings.decision_log == "off" else DecisionLog(settings, clock, self._claim.seat)
        self.scoring = Scoring(self._decision_log, clock)
        self.scoring.waiting = "the active releases are being loaded"
        self.workflow = Workflow(self._repository, self._shelf, self.scoring, self._once, settings, clock)
        self.counterexamples = Counterexamples(self._repository, self._shelf, self._once, new_id)
        self.trials = Trials(self._repository, self._shelf, self.scoring, self._once, self.workflow)
        readers = {self.workflow.follow: SWITCHES, self.trials.follow: TRIED, self.keys.forget: REVOKED}
        self._following = Following(self._repository, readers)
        self._schedules = [Schedule(chores) for chores in self._chores()]
        self._waiting_for: str | None = "the active releases are being loaded"

    def start(self) -> None:
        """Load the active releases and take up the queued jobs."""
        self._peers.beat()
        self._following.start()
        self.workflow.start()
        self.scoring.waiting = None
        self.trials.follow()
        self._jobs.start()
        for schedule in self._schedules:
            schedule.start()

    def say_ready(self, waiting_for: str | None = None) -> None:
        """Say what requests still have to wait for; None: nothing."""
        self._waiting_for = waiting_for

    def check_ready(self) -> None:
        """Raise `NotReady` while the service is starting, or can't follow what other processes change."""
        if self._waiting_for is not None:
            raise NotReady(self._waiting_for)
        if self._following.problem is not None:
            raise NotReady(f"what other processes changed can't be read: {self._following.problem}")

    def close(self) -> None:
        """Stop the jobs, write what waits, publish where the audit stands, and let go of the data folder."""
        for schedule in self._schedules[1:]:
            schedule.close()
        self._jobs.close()
        self.trials.close()
        if self._decision_log is not None:
            self._decision_log.close()
        run(Chore("publish the head of the audit chain", 0.0, self.audit.publish))
        self._schedules[0].close()
        run(Chore("leave", 0.0, self._peers.leave))
        self._repository.close()
        self._claim.release()

    def _chores(self) -> list[list[Chore]]:
        """What is done again and again, each list in a thread: to stay alive, what one process does, what each does."""
        chosen = self.settings
        led = [
            Chore("publish the head of the audit chain", chosen.publish_seconds, self.audit.publish),
            Chore("retire what has expired", chosen.expiry_seconds, self.workflow.retire),
            Chore("forget old replies", 600.0, lambda: self._once.forget(chosen.keep_keys_hours)),
            Chore("erase old payloads", 3600.0, lambda: self.audit.retain(chosen.keep_payloads_days)),
        ]
        every = [Chore("write what trials counted", 1.0, self.trials.write)]
        if not chosen.shared:
            return [[], led, every]
        beat = Chore("say that this process is alive", chosen.lease_seconds / 3, self._peers.beat)
        every += [
            Chore("follow what other processes changed", chosen.follow_seconds, self._following.look),
            Chore("look for jobs", chosen.follow_seconds, self._jobs.look),
        ]
        return [[beat], [replace(chore, run=functools.partial(self._led, chore)) for chore in led], every]

    def _led(self, chore: Chore) -> None:
        if self._peers.leads():
            chore.run()

    # --- data sets ----------------------------------------------------------------------------

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
        """A schema of a data set before it is trained on; see `ruleedit.review.review`."""
        return review(self._shelf.frame(dataset), target, features, missing_tokens).to_json()

    # --- models -------------------------------------------------------------------------------

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

    # --- rule sets ----------------------------------------------------------------------------

    def extract(
        self,
        model: str,
        *,
        by: Person,
        method: str | None = None,
        max_clauses: int | None = None,
        max_iterations: int | None = None,
        seconds: float | None = None,
        memory: int | None = None,
        stability: int = 0,
        probabilities: bool = False,
        ground: str | None = None,
        seed: int = 0,
        dataset: str | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Summarise a model in a few rules, as a job; ``memory`` is in MiB, the limits are `ruleedit.surrogate`'s."""
        request: dict[str, Any] = {"model": model, "dataset": dataset, "method": method, "max_clauses": max_clauses}
        request |= {"max_iterations": max_iterations, "seconds": seconds, "memory": memory, "stability": stability}
        request |= {"probabilities": probabilities, "ground": ground, "seed": seed, "name": name}
        with self._once.attempt("extract", request) as attempt:
            if attempt.earlier is None:
                self._check_extraction(model, dataset, method)
                if ground is not None:
                    self._ruleset(ground)
            return self._submit(attempt, "extract", request, by)

    def _check_extraction(self, model: str, dataset: str | None, method: str | None) -> None:
        self._repository.get(ModelRecord, model, UnknownModel)
        if dataset is not None:
            self.dataset(dataset)
        if method is not None and method not in METHODS:
            raise Refused(f"no method {method!r}{did_you_mean(method, METHODS)}")

    def import_ruleset(
        self, content: bytes, form: str, model: str, *, by: Person, default: str | None = None, name: str | None = None
    ) -> dict[str, Any]:
        """Read rules that people or another system wrote as a rule set about a model."""
        asked = [hashlib.sha256(content).hexdigest(), form, model, default, name]
        with self._once.attempt("import rules", *asked) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            record = self._repository.get(ModelRecord, model, UnknownModel)
            schema = self._shelf.model(model).schema
            closing = None if default is None else read_outcome(default, schema)
            draft, notes = read_rules(content, form, schema, default=closing)
            made = RuleSetRecord(
                self._new_id("ruleset"), self._repository.moment(), name or record.name, model, draft.revision, by.name
            )
            payload: dict[str, Any] = {"model": model, "revision": draft.revision, "format": form, "notes": list(notes)}
            payload |= {"hashes": {"file": asked[0], "schema": schema.hash}}
            with self._repository.change(by) as change:
                change.add_ruleset(made, Revision(draft.revision, draft.content), canonical.dumps(draft))
                change.happened(Happened("import rules", made.id, payload=payload))
                return dict(attempt.answer(change, ruleset_view(made, draft)))

    def open(self, name: str, revision: str | None = None) -> Opened:
        """A rule set as values with everything that is computed from, at its present revision unless one is named."""
        record = self._ruleset(name)
        model = self._repository.get(ModelRecord, record.model, UnknownModel)
        table = self._shelf.table(model.dataset, model.id)
        draft = self._shelf.draft(name, revision or record.head)
        return Opened(record, draft, model, self._shelf.model(model.id), table)

    def lens(self, opened: Opened) -> Lens:
        """The look at an opened rule set's table that all its pages share."""
        draft, table = opened.draft, opened.table
        marked = opened.fairness.columns
        return self._lenses.get(
            (opened.record.id, draft.base, marked),
            lambda: Lens(draft, table.rows, table.outcomes, table.truth, sure=table.sure, sensitive=marked),
        )

    def ruleset(self, name: str, revision: str | None = None) -> dict[str, Any]:
        """A rule set, at its present revision unless another is named."""
        record = self._ruleset(name)
        return ruleset_view(record, self._shelf.draft(name, revision or record.head))

    def rulesets(self, page: Page) -> dict[str, Any]:
        """The rule sets, newest first."""
        return self._page(RuleSetRecord, page, ruleset_item)

    def edit(
        self,
        name: str,
        expected: str,
        edits: Sequence[str],
        *,
        reason: Why,
        by: Person,
        asserts: Literal["whole", "change"] = "whole",
    ) -> dict[str, Any]:
        """Make edits, all or none; raises `Stale` where ``expected`` isn't the present revision."""
        with self._once.attempt("edit rules", name, expected, edits, reason, by.name, asserts) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            before = draft = self._present(name, expected)
            words = Reason.of(reason).text
            made: list[Draft] = []
            for text in edits:
                draft = edit(draft, [text], reason=words, author=by.name, asserts=asserts)
                made.append(draft)
            return self._advance(attempt, name, before, made, Happened("edit rules", name, reason), by)

    def restore(self, name: str, expected: str, revision: str, *, reason: Why, by: Person) -> dict[str, Any]:
        """Let the rules be as they were at a revision, as one step; raises `UnknownRevision`, `Stale`."""
        with self._once.attempt("restore rules", name, expected, revision, reason, by.name) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            before = self._present(name, expected)
            earlier = self._shelf.draft(name, revision)
            made = before.restore(earlier, reason=Reason.of(reason).text, author=by.name)
            return self._advance(attempt, name, before, [made], Happened("restore rules", name, reason), by)

    def resolve(
        self,
        name: str,
        expected: str,
        pair: Sequence[str],
        strategy: str,
        *,
        by: Person,
        outcome: str | None = None,
        weights: Sequence[float] | None = None,
        reason: Why = "",
    ) -> dict[str, Any]:
        """Settle one conflict or, with no pair, all; nothing to settle changes nothing."""
        shares = None if weights is None else " ".join(map(repr, weights))
        how = {"rules": list(pair), "strategy": strategy, "outcome": outcome, "weights": shares}
        with self._once.attempt("settle conflicts", name, expected, how, reason, by.name) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            draft = self._present(name, expected)
            settled = resolve_conflicts(
                draft, pair, strategy, outcome=outcome, weights=shares, reason=Reason.of(reason).text, author=by.name
            )
            if settled is draft:
                return ruleset_view(self._ruleset(name), draft)
            happened = Happened("settle conflicts", name, reason, how)
            return self._advance(attempt, name, draft, [settled], happened, by)

    def local(self, name: str, row: Mapping[str, Any], revision: str | None = None, *, seed: int = 0) -> dict[str, Any]:
        """One JSON row as a revision's rules and their model see it; raises as `service.scoring.Encoder` does."""
        record = self._ruleset(name)
        draft = self._shelf.draft(name, revision or record.head)
        encoded = encode_records([row], draft.schema)
        view = look(self._looking, self._shelf.model(record.model), encoded[0], draft.rules, seed=seed)
        warnings = row_warnings(encoded, draft.schema)[0]
        return {"revision": draft.revision, **view.to_json(), "warnings": warnings}

    def impact(self, name: str, dataset: str | None, revision: str | None = None) -> dict[str, Any]:
        """What the hard overlay of a revision would change on a data set, the model's own unless another is named."""
        record = self._ruleset(name)
        draft = self._shelf.draft(name, revision or record.head)
        table = self._shelf.table(dataset or self._training_table(record), record.model)
        asked = feedback(draft.base, draft.rules, draft.schema)
        found = impact(asked, table.rows, table.outcomes)
        against = doubts(draft, asked, table.rows, table.truth, found.before, found.after)
        told = found.to_json() | {"doubts": [doubt.to_json() for doubt in against]}
        fairness = self.fairness(record.model)
        parts = parted(fairness.columns, table.rows, draft.schema, found.before, found.after)
        told |= {"groups": groups_json(parts, draft.schema), "least_ratio": fairness.least_ratio}
        told |= {"quality": _quality(table, asked, found)}
        told |= {"behind": [one.to_json() for one in behind(fairness, parts, draft.schema)]}
        return told | {"revision": draft.revision}

    def conflicts(self, name: str, dataset: str | None, revision: str | None = None) -> dict[str, Any]:
        """The conflicts of a revision, with the rows that each holds where a data set is named."""
        record = self._ruleset(name)
        draft = self._shelf.draft(name, revision or record.head)
        rows = None if dataset is None else self._shelf.table(dataset, record.model).rows
        found, known, wrote = find_conflicts(draft.rules, draft.schema), findings(draft), authors(draft)
        met: Sequence[int | None] = [None] * len(found)
        about: Sequence[int | None] = [None] * len(known)
        if rows is not None:
            met, about = conflict_rows(found, draft.schema, rows), finding_rows(known, draft.schema, rows)
        told = [conflict_json(one, draft.schema, many, wrote) for one, many in zip(found, met, strict=True)]
        noticed = [one.to_json(many) for one, many in zip(known, about, strict=True)]
        return {"revision": draft.revision, "conflicts": told, "findings": noticed}

    def history(self, name: str) -> dict[str, Any]:
        """Who changed what, when and why."""
        record = self._ruleset(name)
        return history_view(self._shelf.draft(name, record.head), self._repository.moments(name))

    def diff(self, name: str, old: str | None, new: str | None) -> dict[str, Any]:
        """What changed between two revisions; the first and the present one unless others are named."""
        record = self._ruleset(name)
        first = old or next(iter(self._repository.moments(name)))
        return diff_view(self._shelf.draft(name, first), self._shelf.draft(name, new or record.head))

    def compare_revisions(
        self, name: str, old: str | None, new: str | None, dataset: str | None = None, seed: int = 0
    ) -> dict[str, Any]:
        """Where the hard overlays of two revisions decide differently; the first and the present one unless named.

        Raises `ConflictsOpen` where a conflict of either isn't settled.
        """
        record = self._ruleset(name)
        model = self._shelf.model(record.model)
        first = old or next(iter(self._repository.moments(name)))
        sides = [self._shelf.draft(name, revision) for revision in (first, new or record.head)]
        for draft in sides:
            refuse_open(draft.rules, draft.schema)
        before, after = (Release(model, "overlay-hard", draft) for draft in sides)
        frame = self._shelf.frame(dataset or self._training_table(record))
        truth = truth_or_none(frame, model.schema)
        return compare(before, after, frame, truth=truth, groups=self._groups(record.model), seed=seed).to_json()

    def export(
        self, name: str, form: str, revision: str | None = None, dialect: str | None = None
    ) -> tuple[bytes, str]:
        """A revision in a format of other tools, and its media type; raises `Refused` for what it can't say."""
        record = self._ruleset(name)
        content = export(self._shelf.draft(name, revision or record.head), form, dialect=dialect)
        return content, MEDIA_TYPES[form]

    def _ruleset(self, name: str) -> RuleSetRecord:
        return self._repository.get(RuleSetRecord, name, UnknownRuleSet)

    def _training_table(self, record: RuleSetRecord) -> str:
        return self._repository.get(ModelRecord, record.model, UnknownModel).dataset

    def _present(self, name: str, expected: str) -> Draft:
        record = self._ruleset(name)
        if expected not in (record.head, ANY):
            raise Stale(f"the rule set {name!r} has been changed since that revision; read it again")
        return self._shelf.draft(name, record.head)

    def _advance(
        self, attempt: Attempt, name: str, before: Draft, made: Sequence[Draft], happened: Happened, by: Person
    ) -> dict[str, Any]:
        after = made[-1]
        steps = [canonical.step_json(step) for step in after.history[len(before.history) :]]
        revisions = [Revision(step["revision"], step["content"], canonical_json(step)) for step in steps]
        record = replace(self._ruleset(name), head=after.revision)
        reply = ruleset_view(record, after)
        payload: dict[str, Any] = {
            "before": before.revision,
            "after": after.revision,
            "steps": steps,
            "model": record.model,
        }
        payload |= {"open_conflicts": reply["open_conflicts"], "hashes": {"schema": after.schema.hash}}
        with self._repository.change(by) as change:
            change.advance(name, before.revision, revisions)
            change.happened(replace(happened, payload={**happened.payload, **payload, "versions": versions()}))
            attempt.answer(change, reply)
        self._shelf.keep_draft(name, after)
        return reply

    # --- releases and decisions ---------------------------------------------------------------

    def pilot(
        self,
        ruleset: str,
        mode: str,
        *,
        by: Person,
        revision: str | None = None,
        strategy: str | None = None,
        rows: int = PILOT_ROWS,
        dataset: str | None = None,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Try a mode on at most so many rows, as a job whose result says what putting it in force would do."""
        request = {"ruleset": ruleset, "revision": revision, "mode": mode, "strategy": strategy, "rows": rows}
        request |= {"dataset": dataset, "seed": seed}
        with self._once.attempt("pilot", request) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            record = self._ruleset(ruleset)
            draft = self._shelf.draft(ruleset, revision or record.head)
            check_mode(mode, strategy, False)
            refuse_open(draft.rules, draft.schema)
            table = self.dataset(dataset or self._training_table(record))["id"]
            return self._submit(attempt, "pilot", request | {"revision": draft.revision, "dataset": table}, by)

    def pilots(self, ruleset: str, revision: str | None = None) -> dict[str, Any]:
        """The pilots of a revision, the present one unless one is named, newest first."""
        record = self._ruleset(ruleset)
        wanted = (ruleset, revision or record.head)
        found = self._repository.jobs_of("pilot", MOST_PILOTS)
        listed = [job for job in found if (job.request["ruleset"], job.request["revision"]) == wanted]
        return {"revision": wanted[1], "pilots": [job_view(job) for job in listed]}

    def _check_pilot(self, pilot: str, *wanted: str | None) -> None:
        job = self._jobs.get(pilot)
        tried = tuple(job.request.get(key) for key in ("ruleset", "revision", "mode", "strategy"))
        if job.kind != "pilot" or job.state != "succeeded" or tried != wanted:
            raise Refused(f"the job {pilot!r} is no pilot of this revision, mode and strategy that has succeeded")

    def make_release(
        self,
        ruleset: str,
        name: str,
        mode: str,
        *,
        by: Person,
        revision: str | None = None,
        strategy: str | None = None,
        dataset: str | None = None,
        seed: int = 0,
        prove: bool = False,
        groups: Sequence[str] | None = None,
        expires: datetime | None = None,
        pilot: str | None = None,
    ) -> dict[str, Any]:
        """Put a revision in force as a release, as a job; raises `ConflictsOpen` at once where conflicts are open.

        ``prove`` and ``groups`` are `put_in_force`'s. At ``expires`` the release that served before
        serves again. ``pilot`` is the job whose result is kept as what was expected.
        """
        request: dict[str, Any] = {
            "ruleset": ruleset,
            "revision": revision,
            "name": name,
            "mode": mode,
            "strategy": strategy,
        }
        request |= {"dataset": dataset, "seed": seed, "expires": None if expires is None else text_of(expires)}
        request |= {"prove": prove, "groups": None if groups is None else list(groups), "pilot": pilot}
        with self._once.attempt("release", request) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            self.workflow.check_expiry(request["expires"])
            record = self._ruleset(ruleset)
            draft = self._shelf.draft(ruleset, revision or record.head)
            check_mode(mode, strategy, prove)
            subgroups(draft.schema, groups)
            refuse_open(draft.rules, draft.schema)
            if pilot is not None:
                self._check_pilot(pilot, ruleset, draft.revision, mode, strategy)
            table = self.dataset(dataset or self._training_table(record))["id"]
            return self._submit(attempt, "release", request | {"revision": draft.revision, "dataset": table}, by)

    def release(self, name: str) -> dict[str, Any]:
        """A release with its report; raises `UnknownRelease`."""
        return release_view(self._repository.get(ReleaseRecord, name, UnknownRelease))

    def bundle(self, name: str, choices: Choices, *, by: Person) -> Bundle:
        """A release's audit bundle with the service's chain and signature; that it was handed out is an event."""
        record = self._repository.get(ReleaseRecord, name, UnknownRelease)
        ledger = ChainLedger(self._repository, self._heads, by)
        return bundle(self._shelf.release(record.id), choices, name=record.id, ledger=ledger)

    def card(self, name: str, choices: Choices) -> str:
        """A release's model card, a page that loads and runs nothing; raises as `ruleedit.bundle.card` does."""
        self._repository.get(ReleaseRecord, name, UnknownRelease)
        return card(self._shelf.release(name), choices)

    def compare(self, name: str, other: str, dataset: str | None, seed: int) -> dict[str, Any]:
        """Where two releases differ on a data set, the first one's own unless another is named."""
        record = self._repository.get(ReleaseRecord, name, UnknownRelease)
        before, after = self._shelf.release(name), self._shelf.release(other)
        frame = self._shelf.frame(dataset or record.dataset)
        truth = truth_or_none(frame, before.schema)
        return compare(before, after, frame, truth=truth, groups=self._groups(record.model), seed=seed).to_json()

    def _groups(self, model: str) -> tuple[Grouping, ...] | None:
        """By what reports part what changed: the sensitive columns, by themselves where nobody marked any."""
        return self.fairness(model).columns or None

    def releases(self, page: Page) -> dict[str, Any]:
        """The releases, newest first."""
        return self._page(ReleaseRecord, page, release_view)

    def decide_batch(self, name: str, dataset: str, request: str) -> Iterator[bytes]:
        """Decide a data set by what is in service under a name, as CSV in parts; raises as `tables.encode` does."""
        return self._decided(name, self._shelf.pieces(dataset), request, {"dataset": dataset})

    def decide_file(self, name: str, source: BinaryIO, suffix: str, request: str) -> Iterator[bytes]:
        """The same of a table that is given with the request and not kept."""
        self.serving(name)
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(self._files.incoming(source, suffix))
            try:
                inspect_table(file.path, self.settings)
            except TableError as problem:
                raise type(problem)(str(problem).replace(file.path.name, "the file")) from None
            parts = self._decided(name, pieces(file.path), request, {"file": file.name})
            kept = stack.pop_all()
        answer = _until_sent(parts, kept)
        # A client may be gone before the first part is asked for.
        weakref.finalize(answer, kept.close)
        return answer

    def _decided(self, name: str, table: Sequence[Piece], request: str, of: dict[str, str]) -> Iterator[bytes]:
        serving = self.serving(name)
        check(table, serving.release.schema)

        def ended(told: dict[str, Any]) -> None:
            asked = {"name": name, "release": serving.id, "revision": serving.revision}
            self.scoring.note_batch(request, asked | of | told)

        return decided_csv(serving, table, ended)

    def serving(self, name: str) -> Serving:
        """The release that decides under a name; raises `NothingActive`."""
        return self.scoring.get(name)

    # --- keys ---------------------------------------------------------------------------------

    def issue_key(
        self, name: str, roles: Sequence[Role], *, by: Person, expires: datetime | None = None, reason: Why = ""
    ) -> dict[str, Any]:
        """Make a key for a person or a system; the only answer that ever shows it."""
        record, text = self.keys.issue(name, roles, by=by, expires=expires, reason=reason)
        return key_view(record) | {"key": text}

    def revoke_key(self, name: str, reason: Why, *, by: Person) -> dict[str, Any]:
        """Let a key open nothing any more; raises `UnknownKey`, and `StateRefused` for the last admin's."""
        with self._once.attempt("revoke key", name, reason) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            return dict(
                self.keys.revoke(name, reason, by=by, answer=lambda change, key: attempt.answer(change, key_view(key)))
            )

    def key(self, name: str) -> dict[str, Any]:
        """A key's record; raises `UnknownKey`."""
        return key_view(self._repository.get(KeyRecord, name, UnknownKey))

    def list_keys(self, page: Page) -> dict[str, Any]:
        """The keys, newest first."""
        return self._page(KeyRecord, page, key_view)

    # --- jobs ---------------------------------------------------------------------------------

    def job(self, name: str) -> dict[str, Any]:
        """A job as it stands; raises `UnknownJob`."""
        return job_view(self._jobs.get(name))

    def jobs(self, page: Page) -> dict[str, Any]:
        """The jobs, newest first."""
        return self._page(JobRecord, page, job_view)

    def cancel(self, name: str, *, by: Person) -> dict[str, Any]:
        """Cancel a job; raises `StateRefused` where it has ended."""
        with self._once.attempt("cancel job", name) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            return dict(self._jobs.cancel(name, by, lambda change, job: attempt.answer(change, job_view(job))))

    def run(self, kind: str, request: dict[str, Any], watch: Watch, by: Person) -> dict[str, Any]:
        """Do the work of a job here and now; returns its result."""
        made = self.tasks.runners[kind](request | {"by": by.to_json()}, watch)
        with self._repository.change(by) as change:
            return made(change)

    def _submit(self, attempt: Attempt, kind: str, request: dict[str, Any], by: Person) -> dict[str, Any]:
        if attempt.earlier is not None:
            return dict(attempt.earlier)
        return dict(self._jobs.submit(kind, request, by, lambda change, job: attempt.answer(change, job_view(job))))

    def count_jobs(self) -> dict[str, int]:
        """How many jobs are in each state."""
        return self._repository.count_jobs()

    def metrics(self) -> Iterator[Metric]:
        """What is counted here, for Prometheus."""
        yield from self.scoring.metrics()
        jobs = GaugeMetricFamily("ruleedit_jobs", "Jobs by state.", labels=["state"])
        for state, count in sorted(self.count_jobs().items()):
            jobs.add_metric([state], count)
        yield jobs

    def _page(self, kind: type[Record], page: Page, view: Callable[[Record], dict[str, Any]]) -> dict[str, Any]:
        records, more = self._repository.page(kind, page.limit, page.before)
        return {"items": [view(record) for record in records], "next": None if more is None else str(more)}


def _quality(table: EncodedTable, asked: Feedback, found: Impact) -> dict[str, Any] | None:
    """Macro F1 and calibration error over a table before and after; None where it has no target."""
    if table.truth is None:
        return None
    classes = asked.schema.classes
    sure = np.append(outcome_table([rule.outcome for rule in asked], classes).max(axis=1, initial=0.0), 0.0)[found.held]
    after = np.where(np.append(asked.asks, False)[found.held], sure, table.sure)
    calibration = [
        Calibration(one, side == table.truth).error for one, side in ((table.sure, found.before), (after, found.after))
    ]
    f1 = [macro_f1(table.truth, side, len(classes)) for side in (found.before, found.after)]
    return {
        name: {"before": pair[0], "after": pair[1]}
        for name, pair in (("macro_f1", f1), ("calibration_error", calibration))
    }


def _until_sent(parts: Iterator[bytes], kept: contextlib.ExitStack) -> Iterator[bytes]:
    """The parts of an answer, and what they are read from let go of with the last."""
    with kept:
        yield from parts
