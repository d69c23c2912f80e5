"""Counterexamples: rows that a rule decides wrongly, by somebody's word, and whether a draft answers them as asked.

They change no rule by themselves. They stand beside the rule until somebody takes them back, and every draft is
measured by them: a later edit that answers one wrongly again says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ruleedit.drafts import Draft
from ruleedit.errors import Refused
from ruleedit.impact.preview import Preview
from ruleedit.matching import Matrix, region_mask
from ruleedit.models import TableModel
from ruleedit.regions import Region, rule_box
from ruleedit.schema import Feature, Schema
from service.errors import StateRefused, UnknownCounterexample, UnknownRuleSet
from service.once import Once
from service.people import Person
from service.scoring import encode_records
from service.shelf import Shelf
from service.store.records import Counterexample, Happened, Reason, RuleSetRecord, Why
from service.store.repository import Repository

#: So many of one rule set stand at a time: past that they are a table, and a table belongs into the data.
MOST = 100


class Answers:
    """Counterexamples looked at through a rule set's base: what any draft of it would answer, at every keystroke."""

    def __init__(self, found: Sequence[Counterexample], base: Draft, model: TableModel) -> None:
        self.found = tuple(found)
        rows = encode_records([one.row for one in found], base.schema)
        own = model.outcomes(rows) if len(rows) else np.zeros(0, dtype=np.intp)
        alone = {one.id: np.arange(len(rows)) == at for at, one in enumerate(found)}
        self._preview = Preview(base.base, base.schema, rows, own, subgroups=alone)

    def by(self, draft: Draft) -> dict[str, str]:
        """The class that the hard overlay of a draft answers for each counterexample, by its id."""
        return {
            one.subgroup: next(name for name, rows in one.after.items() if rows)
            for one in self._preview.of(draft.rules).subgroups
        }


class Counterexamples:
    """The counterexamples of one service."""

    def __init__(self, repository: Repository, shelf: Shelf, once: Once, new_id: Callable[[str], str]) -> None:
        self._repository = repository
        self._shelf = shelf
        self._once = once
        self._new_id = new_id

    def mark(
        self, ruleset: str, rule: str, row: Mapping[str, Any], outcome: str, reason: Why, *, by: Person
    ) -> dict[str, Any]:
        """Say that a rule decides a row wrongly; raises `Refused` where the rule doesn't hold it or says so already.

        ``row`` is a JSON row, as decisions take it, and raises as that does.
        """
        with self._once.attempt("mark counterexample", ruleset, rule, row, outcome, reason, by.name) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            record = self._repository.get(RuleSetRecord, ruleset, UnknownRuleSet)
            draft = self._shelf.draft(ruleset, record.head)
            known = {name: row[name] for name in draft.schema.names if name in row}
            _check(draft, rule, encode_records([row], draft.schema), outcome)
            if len(self.standing(ruleset)) >= MOST:
                raise StateRefused(f"{MOST} counterexamples stand in {ruleset!r} already; take some of them back")
            made = Counterexample(
                self._new_id("counterexample"),
                self._repository.moment(),
                ruleset,
                rule,
                known,
                outcome,
                by.name,
                Reason.of(reason).text,
            )
            with self._repository.change(by) as change:
                change.add(made)
                payload = {"ruleset": ruleset, "rule": rule, "row": known, "outcome": outcome, "revision": record.head}
                change.happened(Happened("mark counterexample", made.id, reason, payload))
                return dict(attempt.answer(change, self._views(record, [made])[0]))

    def withdraw(self, ruleset: str, name: str, reason: Why, *, by: Person) -> dict[str, Any]:
        """Take a counterexample back; raises `UnknownCounterexample`, and `StateRefused` where it was before."""
        with self._once.attempt("withdraw counterexample", ruleset, name, reason, by.name) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            record = self._repository.get(RuleSetRecord, ruleset, UnknownRuleSet)
            found = self._repository.get(Counterexample, name, UnknownCounterexample)
            if found.ruleset != ruleset:
                raise UnknownCounterexample(name)
            view = self._views(record, [found])[0]
            with self._repository.change(by) as change:
                change.withdraw(name)
                change.happened(Happened("withdraw counterexample", name, reason, {"ruleset": ruleset}))
                return dict(attempt.answer(change, view | {"withdrawn": change.moment}))

    def of(self, ruleset: str) -> dict[str, Any]:
        """All counterexamples of a rule set, oldest first, with what its present revision answers."""
        record = self._repository.get(RuleSetRecord, ruleset, UnknownRuleSet)
        return {"revision": record.head, "items": self._views(record, self._repository.counterexamples(ruleset))}

    def standing(self, ruleset: str) -> list[Counterexample]:
        """Those that nobody has taken back, oldest first."""
        return [one for one in self._repository.counterexamples(ruleset) if one.withdrawn is None]

    def _views(self, record: RuleSetRecord, found: Sequence[Counterexample]) -> list[dict[str, Any]]:
        draft = self._shelf.draft(record.id, record.head)
        said = Answers(found, draft, self._shelf.model(record.model)).by(draft)
        return [
            asdict(one) | {"decided": said[one.id], "answered": said[one.id] == one.outcome, "revision": record.head}
            for one in found
        ]


def _check(draft: Draft, rule_id: str, row: Matrix, outcome: str) -> None:
    """Refuse what is no counterexample to a rule."""
    schema = draft.schema
    schema.check_class(outcome)
    rule = draft.rules.rule(rule_id)
    if rule.outcome.top(schema.classes) == outcome:
        raise Refused(f"{rule_id} says {rule.outcome} itself; a counterexample asks for another class")
    if not rule.enabled or not region_mask(Region.of(rule_box(rule, schema)), row, schema)[0]:
        why = "is disabled" if not rule.enabled else f"doesn't hold the row: {rule}"
        raise Refused(f"{rule_id} {why}; a counterexample is a row that the rule holds")


def as_record(row: Matrix, schema: Schema) -> dict[str, Any]:
    """An encoded row (features,) as decisions take it in JSON; what no category has is text that none has."""
    return {feature.name: _cell(feature, value) for feature, value in zip(schema.features, row.tolist(), strict=True)}


def _cell(feature: Feature, value: float) -> Any:
    if math.isnan(value):
        return None
    if feature.is_number:
        return int(value) if feature.kind == "integer" else value
    text = next((text for text, code in feature.code_of.items() if code == value), "(never seen)")
    return text == "true" if feature.kind == "boolean" else text
