"""Resources as JSON, as the API gives them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ruleedit.conflicts import open_conflicts
from ruleedit.drafts import Draft, rule_json, settlement_json
from ruleedit.formats import canonical
from ruleedit.rules import RuleSet
from ruleedit.surrogate import Extraction
from ruleedit.tables.groups import Fairness
from service.store.records import Dataset, JobRecord, KeyRecord, ModelRecord, ReleaseRecord, RuleSetRecord


def dataset_view(record: Dataset) -> dict[str, Any]:
    """A data set: the columns as they were inferred; nobody has said yet which is the target."""
    return {
        "id": record.id,
        "created": record.created,
        "name": record.name,
        "rows": record.rows,
        "columns": [feature["name"] for feature in record.features],
        "schema": {"features": record.features},
    }


def model_view(record: ModelRecord) -> dict[str, Any]:
    """A model with its schema and hold-out figures."""
    told = {key: getattr(record, key) for key in ("id", "created", "name", "dataset", "target")} | record.summary
    return told | {"groups": Fairness.from_json(record.groups).to_json()}


def ruleset_item(record: RuleSetRecord) -> dict[str, Any]:
    """A rule set in a list."""
    return {"id": record.id, "created": record.created, "name": record.name, "model": record.model} | {
        "revision": record.head
    }


def ruleset_view(record: RuleSetRecord, draft: Draft) -> dict[str, Any]:
    """A rule set at one revision."""
    return {
        **ruleset_item(record),
        "revision": draft.revision,
        "content": draft.content,
        "rules": [rule_json(rule) for rule in draft.rules],
        "default": str(draft.rules.default),
        "settlements": [settlement_json(settlement) for settlement in draft.rules.settlements],
        "schema": draft.schema.to_json(),
        "warnings": list(draft.warnings()),
        "open_conflicts": [list(conflict.rules) for conflict in open_conflicts(draft.rules, draft.schema)],
        "origin": dict(draft.origin),
    }


def fidelity_view(found: Extraction) -> dict[str, Any]:
    """How far the rules agree with the model, on held-out rows where there are any, and where they don't."""
    measured = (found.holdout or found.train).to_json()
    missed = None if found.unexplained is None else found.unexplained.to_json()
    stable = None if found.stability is None else dict(found.stability)
    said = {"cut": found.cut, "notes": list(found.notes), "stability": stable}
    return {"fidelity": measured, "unexplained": missed, **said}


def history_view(draft: Draft, moments: dict[str, str]) -> dict[str, Any]:
    """Every step of a rule set with its exact change and when it was made, oldest first."""
    steps = canonical.to_json(draft)["history"]
    return {
        "revision": draft.revision,
        "content": draft.content,
        "first": next(iter(moments)),
        "history": [{**step, "at": moments.get(step["revision"])} for step in steps],
    }


def diff_view(old: Draft, new: Draft) -> dict[str, Any]:
    """What one revision says that another doesn't."""
    before, after = _by_id(old.rules), _by_id(new.rules)
    kept = [rule for rule in before if rule in after]
    order = [rule for rule in after if rule in before]
    changed = [rule for rule in kept if before[rule] != after[rule]]
    return {
        "from": old.revision,
        "to": new.revision,
        "same": old.content == new.content,
        "added": [after[rule] for rule in after if rule not in before],
        "removed": [before[rule] for rule in before if rule not in after],
        "changed": [{"id": rule, "before": before[rule], "after": after[rule]} for rule in changed],
        "order": None if kept == order else {"before": kept, "after": order},
        "default": _change(str(old.rules.default), str(new.rules.default)),
        "settlements": _change(*([settlement_json(s) for s in draft.rules.settlements] for draft in (old, new))),
    }


def release_view(record: ReleaseRecord) -> dict[str, Any]:
    """A release with the report of what putting it in force measured."""
    return {key: value for key, value in asdict(record).items() if key != "folder"}


def key_view(record: KeyRecord) -> dict[str, Any]:
    """A key without its hash."""
    return {key: value for key, value in asdict(record).items() if key != "digest"}


def job_view(record: JobRecord) -> dict[str, Any]:
    """A job as it stands."""
    return {
        "id": record.id,
        "created": record.created,
        "kind": record.kind,
        "state": record.state,
        "progress": {"done": record.done, "of": record.of},
        "course": record.course or [],
        "result": record.result,
        "error": record.error,
    }


def _by_id(rules: RuleSet) -> dict[str, dict[str, Any]]:
    return {rule.id: rule_json(rule) for rule in rules}


def _change(old: object, new: object) -> dict[str, Any] | None:
    return None if old == new else {"before": old, "after": new}
