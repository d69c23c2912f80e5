"""Edits that leave one row out of a rule, and what else each would leave out: what a counterexample suggests."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import RuleEditError
from ruleedit.matching import Matrix
from ruleedit.rules import Clause, Rule
from ruleedit.schema import Feature
from service.workspace.insight import Lens

#: So many edits are tried for a row: those on the rule's own features first.
MOST_TRIED = 60
#: So many are offered.
OFFERED = 3


@dataclass(frozen=True)
class Exclusion:
    """An edit that leaves a row out of its rule.

    Of the ``lost`` rows that the rule would no longer hold the model answers ``wanted`` as the
    counterexample asks, and ``against`` as the rule says: the price of helping one case.
    """

    edit: str
    clause: Clause
    lost: int
    wanted: int
    against: int


def exclusions(draft: Draft, rule: Rule, row: Matrix, outcome: str, lens: Lens) -> list[Exclusion]:
    """The edits that leave ``row`` (features,) out of a rule at the least price, the best first.

    An edit is better the fewer rows it loses that the model answers as the rule says, over those that it
    answers as ``outcome``.
    """
    says = rule.outcome.top(draft.schema.classes)
    found = []
    for text, clause in islice(_edits(draft, rule, row), MOST_TRIED):
        try:
            tried = edit(draft, [text], reason="tried")
        except RuleEditError:
            continue  # The schema doesn't allow the value, or the region would be empty.
        reach = lens.reach(draft, tried, rule.id)
        if not reach.held:
            continue  # A rule that holds no row any more is better removed.
        lost = dict(zip(draft.schema.classes, reach.lost_outcomes, strict=True))
        against = 0 if says is None else lost[says]
        found.append(Exclusion(text, clause, sum(lost.values()), lost[outcome], against))
    return sorted(found, key=lambda one: (one.against - one.wanted, one.lost))[:OFFERED]


def _edits(draft: Draft, rule: Rule, row: Matrix) -> Iterator[tuple[str, Clause]]:
    """Every edit of one clause that makes it false on a row, with the clause as it would be."""
    for clause in rule.clauses:
        value = float(row[draft.schema.index(clause.feature)])
        new = _tightened(clause, draft.schema.feature(clause.feature), value)
        if new is not None:
            yield f"set {rule.id} {clause} to {new}", new
    spoken = {clause.feature for clause in rule.clauses}
    for place, feature in enumerate(draft.schema.features):
        if feature.name not in spoken:
            for new in _excluding(feature, float(row[place])):
                yield f"add {rule.id} {new}", new


def _tightened(clause: Clause, feature: Feature, value: float) -> Clause | None:
    """A clause that is true on a value, made just so narrow that it is false there; None where it can't be."""
    if feature.is_number and clause.operator in ("<", "<="):
        return Clause(clause.feature, "<", value)
    if feature.is_number and clause.operator in (">", ">="):
        return Clause(clause.feature, ">", value)
    if clause.operator == "in":
        text = next((text for text, code in feature.code_of.items() if code == value), None)
        left = tuple(one for one in clause.values if one != text)
        return Clause(clause.feature, "in", left) if left else None
    return None


def _excluding(feature: Feature, value: float) -> Iterator[Clause]:
    """The clauses of a feature that no clause of the rule speaks of yet."""
    if math.isnan(value):
        yield Clause(feature.name, "is not missing")
    elif feature.is_number:
        yield Clause(feature.name, "<", value)
        yield Clause(feature.name, ">", value)
    else:
        for text, code in feature.code_of.items():
            if code == value:
                yield Clause(feature.name, "!=", text)
