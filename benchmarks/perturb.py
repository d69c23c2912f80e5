"""Feedback rules for benchmarks: extracted rules with a condition changed, asking for another class.

As in FROTE's experiments (Alkan et al., MLSys 2022, section 5) a rule of an explanation is taken, one
of its conditions is changed, and another class is asked for, so that the rule goes against the model
and against the data.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import RuleEditError
from ruleedit.matching import Matrix, box_mask
from ruleedit.regions import rule_box
from ruleedit.rules import Clause, Outcome, Rule
from ruleedit.schema import Schema
from ruleedit.workflow import resolve_conflicts

#: A rule holds this share of the rows, so that there is something to learn, and much outside it.
LEAST, MOST = 0.005, 0.10
#: So often a rule is drawn for each one wanted, before fewer are taken.
TRIES = 200
REASON = "a rule of the benchmark"


def perturbed(draft: Draft, rows: Matrix, count: int, rng: np.random.Generator) -> tuple[Draft, int]:
    """The draft with ``count`` asserted rules in front, conflicts settled by priority; and how many there are.

    ``rows`` (n, features) are the training rows that coverage is counted on.
    """
    schema, extracted = draft.schema, [rule for rule in draft.rules if rule.clauses]
    found: list[Rule] = []
    for _ in range(TRIES * count if extracted else 0):
        if len(found) == count:
            break
        rule = _changed(extracted[rng.integers(len(extracted))], schema, rows, rng)
        try:
            share = box_mask(rule_box(rule, schema), rows, schema).mean()
        except RuleEditError:
            continue
        if LEAST <= share <= MOST and str(rule) not in map(str, found):
            found.append(rule)
    edited = edit(draft, [f"new {rule}" for rule in found], reason=REASON, author="benchmark") if found else draft
    return resolve_conflicts(edited, (), "priority", reason=REASON, author="benchmark"), len(found)


def _changed(rule: Rule, schema: Schema, rows: Matrix, rng: np.random.Generator) -> Rule:
    """The rule with one clause changed, sometimes one more, and another class."""
    clauses = list(rule.clauses)
    place = int(rng.integers(len(clauses)))
    clauses[place] = _clause(schema.index(clauses[place].feature), schema, rows, rng)
    if rng.random() < 0.5:
        free = [at for at, name in enumerate(schema.names) if name not in {clause.feature for clause in clauses}]
        if free:
            clauses.append(_clause(int(rng.choice(free)), schema, rows, rng))
    others = [name for name in schema.classes if Outcome.of(name) != rule.outcome]
    return dataclasses.replace(rule, clauses=tuple(clauses), outcome=Outcome.of(str(rng.choice(others))))


def _clause(place: int, schema: Schema, rows: Matrix, rng: np.random.Generator) -> Clause:
    """A clause on a feature, at a value that training rows have."""
    feature, column = schema.features[place], rows[:, place]
    present = column[~np.isnan(column)]
    if feature.is_number:
        low, high = np.quantile(present, [0.1, 0.9])
        value = float(rng.choice(present[(present >= low) & (present <= high)]))
        return Clause(feature.name, str(rng.choice(["<=", ">"])), value)
    texts = {code: text for text, code in feature.code_of.items()}
    return Clause(feature.name, "=", texts[int(rng.choice(present[present > 0] if len(present[present > 0]) else [1]))])
