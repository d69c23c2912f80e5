"""Steps that the command line and the service both take, from a model to a draft."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from ruleedit.conflicts import Conflict
from ruleedit.conflicts.settling import resolve
from ruleedit.drafts import Draft
from ruleedit.edits import edit, read_weights
from ruleedit.errors import Refused, RuleTextError, SettlementRefused
from ruleedit.ground import Ground, carried_over, ground_of, standings
from ruleedit.impact.bits import Masks, count
from ruleedit.matching import Indices, Matrix
from ruleedit.models import TableModel, outcome_codes, split_points
from ruleedit.models.training import stratified_quarter
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Schema
from ruleedit.surrogate import DEFAULT_METHOD, Extraction, extract
from ruleedit.text import parse_outcome

Progress: TypeAlias = Callable[[int, int], None]


#: What every extraction imports where it is used: the library that asks the model, and our own.
_ALWAYS = ("lightgbm", *(f"ruleedit.surrogate.{name}" for name in ("names", "probabilities", "unexplained")))
#: What a method imports beside it.
_NEEDED = {
    "column-generation": ("ruleedit.surrogate.generation", "highspy"),
    "tree": ("ruleedit.surrogate.tree",),
    "aix360-brcg": ("ruleedit.surrogate.brcg", "cvxpy", "aix360.algorithms.rbm.boolean_rule_cg"),
    "glocalx": ("ruleedit.surrogate.glocalx", "sklearn.tree"),
}


def prepare(method: str) -> None:
    """Import what an extraction needs, so that its seconds don't count the imports."""
    for name in (*_ALWAYS, *_NEEDED.get(method, ())):
        importlib.import_module(name)


def extract_rules(
    model: TableModel,
    rows: Matrix,
    *,
    method: str = DEFAULT_METHOD,
    max_clauses: int | None = None,
    seed: int = 0,
    probabilities: bool = False,
    stability: int = 0,
    ground: Draft | None = None,
    truth: Indices | None = None,
    max_iterations: int | None = None,
    seconds: float | None = None,
    memory: int | None = None,
    progress: Progress | None = None,
) -> tuple[Draft, Extraction]:
    """Extract rules from a model's answers on a table, with figures on held-out rows.

    ``rows`` (n, features) are encoded. Of the table that the model was trained on its hold-out is
    held out here too; of another table a seeded quarter is, so that the figures are always of rows
    that the rules weren't made from. ``probabilities`` asks for outcomes that are the model's mean
    distribution, ``stability`` for so many extractions from other rows; ``max_iterations``, ``seconds``
    and ``memory`` (bytes) are limits: `ruleedit.surrogate.extract`.
    ``ground`` is an older draft whose asserted rules and settlements are carried over; how each
    stands to the new model and to the table's own target ``truth`` (n,), where that is given, is in
    the draft's origin under ``ground``: `ruleedit.ground`.
    """
    known = None if ground is None else ground_of(ground, model.schema)
    proba = model.proba(rows)
    answers = outcome_codes(proba, model.thresholds)
    held = model.held_out(rows)
    if len(held) == len(rows):
        held = stratified_quarter(answers, seed)
    training = np.setdiff1d(np.arange(len(rows)), held)
    found = extract(
        rows[training],
        answers[training],
        model.schema,
        splits=split_points(model),
        method=method,
        max_clauses=max_clauses,
        seed=seed,
        holdout=(rows[held], answers[held]),
        max_iterations=max_iterations,
        seconds=seconds,
        memory=memory,
        progress=progress,
        probabilities=proba[training] if probabilities else None,
        stability=stability,
        start=None if known is None else known.start,
        taken=() if known is None else known.taken,
    )
    origin: dict[str, Any] = {"model": model.file.hash, "fingerprint": model.background.fingerprint, "seed": seed}
    draft = Draft.of(found.rules, model.schema, origin | found.to_json())
    return (draft if known is None else _grounded(draft, known, rows, answers, truth)), found


def _grounded(draft: Draft, known: Ground, rows: Matrix, answers: Indices, truth: Indices | None) -> Draft:
    """The draft with what is carried over, and how that stands to the new model and data."""
    draft = carried_over(draft, known)
    found = [carried.to_json() for carried in standings(draft, known, rows, answers, truth)]
    told = {"revision": known.revision, "rules": found, "notes": list(known.notes)}
    return replace(draft, origin={**draft.origin, "ground": told})


def check_same_schema(model: TableModel, draft: Draft) -> None:
    """Raise `Refused` where rules and model don't belong together."""
    if draft.schema.hash != model.schema.hash:
        raise Refused("the rules and the model have different schemas; extract the rules from this model")


def resolve_conflicts(
    draft: Draft,
    pair: Sequence[str],
    strategy: str,
    *,
    outcome: str | None = None,
    weights: str | None = None,
    reason: str,
    author: str,
) -> Draft:
    """Settle one conflict (``pair`` of two ids) or all (empty) as a step of the history; nothing to settle is fine."""
    if len(pair) not in (0, 2):
        raise RuleTextError(f"{len(pair)} rules named; name the two of a conflict, or none for all")
    if weights is not None and strategy != "mixture":
        raise SettlementRefused("the strategy 'mixture', and no other, takes weights")
    named = (pair[0], pair[1]) if pair else None
    shares = None if weights is None else read_weights(weights)
    asked = None if outcome is None else read_outcome(outcome, draft.schema)
    if resolve(draft.rules, draft.schema, named, strategy, outcome=asked, weights=shares) == draft.rules:
        return draft
    more = [str(asked)] if asked is not None else [] if weights is None else [weights]
    text = " ".join(["resolve", *(pair or ["all"]), strategy, *more])
    return edit(draft, [text], reason=reason, author=author)


def read_outcome(text: str, schema: Schema) -> Outcome:
    """Read an outcome that a person gave: a class as it stands in the file, or a rule's THEN part."""
    return Outcome.of(text) if text in schema.classes else parse_outcome(text)


def add_rules(draft: Draft, rules: RuleSet, *, reason: str, author: str) -> Draft:
    """Add the enabled rules of another rule set as asserted ones, in their order, each as an edit of its own."""
    return edit(draft, [f"new {rule}" for rule in rules.enabled], reason=reason, author=author)


def conflict_rows(found: Sequence[Conflict], schema: Schema, rows: Matrix) -> list[int]:
    """How many encoded rows (n, features) each conflict holds."""
    masks = Masks(rows, schema)
    counts: list[int] = []
    for conflict in found:
        bits = masks.all
        for box in conflict.boxes:
            bits = bits & masks.box(box)
        for box in conflict.holes:
            bits = bits & ~masks.box(box)
        counts.append(count(bits))
    return counts


def conflict_json(
    conflict: Conflict, schema: Schema, rows: int | None, wrote: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A conflict as the command line and the API give it; ``wrote`` says who wrote each rule last."""
    return {
        "rules": list(conflict.rules),
        "outcomes": [str(outcome) for outcome in conflict.outcomes],
        "rows": rows,
        "witness": conflict.region.witness(schema),
        "resolved": conflict.resolved,
        "strategy": conflict.settlement.strategy if conflict.settlement else None,
        "authors": [(wrote or {}).get(rule) for rule in conflict.rules],
    }
