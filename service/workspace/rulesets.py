"""Rule sets: extracted or read, opened, edited, and what their edits would do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ruleedit.comparison import compare
from ruleedit.conflicts import find_conflicts, refuse_open
from ruleedit.decisions import row_warnings
from ruleedit.doubts import authors, doubts
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import Refused, did_you_mean
from ruleedit.feedback import Feedback, feedback
from ruleedit.findings import finding_rows, findings
from ruleedit.formats import MEDIA_TYPES, canonical, export
from ruleedit.formats.read import read_rules
from ruleedit.impact import Impact, impact
from ruleedit.local import local_view
from ruleedit.matching import outcome_table
from ruleedit.models import TableModel
from ruleedit.models.calibration import Calibration
from ruleedit.release import Release
from ruleedit.retrain.objective import macro_f1
from ruleedit.schema import canonical_json
from ruleedit.surrogate import METHODS
from ruleedit.tables.groups import Fairness, behind, groups_json, parted
from ruleedit.workflow import conflict_json, conflict_rows, read_outcome, resolve_conflicts
from service.errors import Stale, UnknownModel, UnknownRuleSet
from service.jobs.tasks import versions
from service.once import Attempt
from service.people import Person
from service.scoring import encode_records
from service.shelf import EncodedTable, truth_or_none
from service.store.records import (
    Happened,
    ModelRecord,
    Reason,
    Revision,
    RuleSetRecord,
    Why,
)
from service.views import (
    diff_view,
    history_view,
    ruleset_item,
    ruleset_view,
)
from service.workspace.desk import Page
from service.workspace.insight import Lens
from service.workspace.models import Models

#: What `If-Match: *` stands for: whatever revision is there.
ANY = "*"


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


class RuleSets(Models):
    """Rule sets, over data sets and models."""

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
        # In a process of its own: the search for the smallest change may take seconds.
        view = self._looking.call(local_view, self._shelf.model(record.model), encoded[0], draft.rules, seed=seed)
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
        return compare(
            before, after, frame, truth=truth, groups=self.fairness(record.model).parting, seed=seed
        ).to_json()

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
