"""``method="aix360-brcg"``: Boolean rules by column generation, as AIX360 has them.

Dash, Günlük, Wei: *Boolean Decision Rules via Column Generation*, NeurIPS 2018. AIX360's
`BooleanRuleCG` is the heuristic version with a beam search. It learns one class against the rest
from a table of truths that we make from the bins; its answer is read from its matrices, not from its text.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ruleedit.errors import ExtractionFailed
from ruleedit.matching import Indices, Mask
from ruleedit.surrogate.binarise import Allowed, Bins, NumberBins, TextBins, bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.lists import Draft, Draftlist
from ruleedit.surrogate.task import Found, Task

#: So many cuts of a numeric feature become columns, the greatest gains first.
CUTS = 10
#: So many values of a categorical feature become columns, the commonest first.
NAMED = 20
#: The time of a linear program grows faster than its rows: past this many it gets a seeded sample.
MOST_ROWS = 10_000
#: With two classes both sides are learned where the table has at most so many cells, else the rarer answer.
BOTH_SIDES_CELLS = 200_000
#: Iterations of column generation where no limit is given: AIX360's default.
ITERATIONS = 100
#: AIX360's defaults: what a rule and what each of its clauses costs, as a share of the rows.
RULE_PRICE, CLAUSE_PRICE = 1e-3, 1e-3
#: AIX360 stops by the clock unless told otherwise, and then the same data would not give the same rules.
NO_LIMIT = 1e9


@dataclass(frozen=True, eq=False)
class Literal:
    """A column of the table of truths: AIX360's name for it, and the bins that it allows."""

    name: tuple[int, str, float]
    place: int
    allowed: Allowed


def extract_brcg(task: Task) -> Found:
    """Extract an ordered rule set, one class against the rest at a time, from the rarest answer on."""
    bins = bin_features(task.rows, task.answers, task.schema, task.splits)
    whole = Binned.of(bins, task.rows, task.answers)
    kept = np.arange(len(whole))
    if len(whole) > MOST_ROWS:
        kept = np.sort(np.random.default_rng(task.seed).choice(len(whole), MOST_ROWS, replace=False))
    data = whole.take(kept)
    literals = [literal for place, each in enumerate(bins) for literal in _literals(place, each, data)]
    counts = np.bincount(data.answers)
    order = [int(outcome) for outcome in np.argsort(counts, kind="stable") if counts[outcome]]
    orders = [order]
    if len(order) == 2 and len(data) * len(literals) <= BOTH_SIDES_CELLS:
        orders.append(order[::-1])
    cuts: list[str] = []
    candidates = [_one_against_rest(each, data, literals, task, cuts) for each in orders] if literals else []
    for candidate in candidates:
        drop_idle(candidate, data)
        narrow(candidate, data)
        if task.max_clauses is not None:
            drop_least(candidate, data, task.max_clauses)
    best = max(candidates, key=lambda one: (one.hits(data), -one.cost(bins)), default=Draftlist([], order[-1]))
    notes = (f"learned on {MOST_ROWS:,} of {len(whole):,} rows",) if len(data) < len(whole) else ()
    boxes = tuple((rule.box(bins), rule.outcome) for rule in best.rules)
    return Found(boxes, best.default, cuts[0] if cuts else None, notes)


def _literals(place: int, bins: Bins, data: Binned) -> Iterator[Literal]:
    """Each test and its negation; both are false on missing, which has a pair of its own."""
    last = bins.size - 1
    every = np.arange(bins.size)
    if isinstance(bins, NumberBins):
        chosen = np.sort(np.argsort(-bins.weights, kind="stable")[:CUTS])
        for cut in chosen.tolist():
            yield Literal((place, "<=", float(bins.cuts[cut])), place, every <= cut)
            yield Literal((place, ">", float(bins.cuts[cut])), place, (every > cut) & (every < last))
    else:
        counts = np.bincount(data.columns[place], minlength=bins.size)[: len(bins.named)]
        chosen = np.sort(np.argsort(-counts, kind="stable")[: 1 if bins.feature.kind == "boolean" else NAMED])
        for one in chosen.tolist():
            yield Literal((place, "==", float(one)), place, every == one)
            yield Literal((place, "!=", float(one)), place, (every != one) & (every < last))
    if bins.has_missing:
        # As a feature of its own: AIX360 compares the values of one feature as numbers.
        yield Literal((len(data.bins) + place, "==", 1.0), place, every == last)
        yield Literal((len(data.bins) + place, "!=", 1.0), place, every < last)


def _one_against_rest(
    order: Sequence[int], data: Binned, literals: Sequence[Literal], task: Task, cuts: list[str]
) -> Draftlist:
    """Rules for each class in order, on the rows that no earlier rule holds; the last is the default."""
    found = Draftlist([], order[-1])
    rows = np.arange(len(data))
    for number, outcome in enumerate(order[:-1]):
        task.report(number, len(order) - 1)
        part = data.take(rows)
        positive = part.answers == outcome
        if not positive.any() or task.is_late:
            continue
        if positive.all():
            found.default = outcome
            break
        drafts = _learn(outcome, positive, part, literals, task, cuts)
        if any(not draft.sets for draft in drafts):
            # The empty conjunction holds every row that is left.
            found.default = outcome
            break
        found.rules += drafts
        held = np.zeros(len(part), dtype=bool)
        for draft in drafts:
            held |= draft.mask(part)
        rows = rows[~held]
    task.report(len(order) - 1, len(order) - 1)
    if task.is_late:
        cuts.append("seconds")
    return found


def _learn(
    outcome: int, positive: Mask, data: Binned, literals: Sequence[Literal], task: Task, cuts: list[str]
) -> list[Draft]:
    """AIX360's rules for one class, the widest first."""
    truths = {literal.name: literal.allowed.take(data.columns[literal.place]).astype(int) for literal in literals}
    iterations = ITERATIONS if task.max_iterations is None else task.max_iterations
    model = _fit(pd.DataFrame(truths), positive.astype(int), iterations, task.seconds_left)
    if model.it >= iterations:
        cuts.append("iterations")
    chosen = np.flatnonzero(np.asarray(model.w, dtype=float) > 0.5)
    matrix = np.asarray(model.z, dtype=int)[:, chosen] > 0
    drafts = [_draft(outcome, [literals[row] for row in np.flatnonzero(column).tolist()]) for column in matrix.T]
    sayable = [(int(draft.mask(data).sum()), draft) for draft in drafts]
    return [draft for size, draft in sorted(sayable, key=lambda one: -one[0]) if size]


def _draft(outcome: int, literals: Sequence[Literal]) -> Draft:
    draft = Draft(outcome)
    for literal in literals:
        before = draft.sets.get(literal.place)
        allowed = literal.allowed if before is None else before & literal.allowed
        draft.sets = {**draft.sets, literal.place: allowed}
    return draft


def _fit(truths: pd.DataFrame, positive: Indices, iterations: int, seconds: float | None) -> Any:
    # It and its solver warn about themselves; nothing of ours runs in here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from aix360.algorithms.rbm.boolean_rule_cg import BooleanRuleCG
        from cvxpy.error import SolverError

        model = BooleanRuleCG(
            lambda0=RULE_PRICE,
            lambda1=CLAUSE_PRICE,
            iterMax=iterations,
            timeMax=NO_LIMIT if seconds is None else seconds,
            solver="CLARABEL",
            silent=True,
        )
        try:
            return model.fit(truths, positive) or model
        except SolverError as problem:
            raise ExtractionFailed(f"the linear program was not solved: {problem}; use the method tree") from None


def narrow(found: Draftlist, data: Binned) -> None:
    """Say ``= x`` in place of ``!= o`` where as many rows come out right: it reads better and costs the same."""
    hits = found.hits(data)
    for rule in found.rules:
        for place in [place for place in rule.sets if isinstance(data.bins[place], TextBins)]:
            sets, before = rule.sets, rule.sets[place]
            if not before[:-1].any() or data.bins[place].cost(before) != 1 or before[:-1].sum() < 2:
                continue
            for one in np.flatnonzero(before[:-2]).tolist():
                rule.sets = {**sets, place: np.arange(len(before)) == one}
                if found.hits(data) >= hits:
                    break
                rule.sets = sets


def drop_idle(found: Draftlist, data: Binned) -> None:
    """Drop the rules that decide no row."""
    open_rows = np.ones(len(data), dtype=bool)
    kept = []
    for rule in found.rules:
        mask = rule.mask(data)
        if (mask & open_rows).any():
            kept.append(rule)
        open_rows &= ~mask
    found.rules = kept


def drop_least(found: Draftlist, data: Binned, most: int) -> None:
    """Drop the rule that wins the fewest rows per clause until the rules cost at most ``most`` clauses."""
    while found.cost(data.bins) > most:
        now = found.hits(data)
        losses = []
        for place, rule in enumerate(found.rules):
            rest = Draftlist([*found.rules[:place], *found.rules[place + 1 :]], found.default)
            losses.append(((now - rest.hits(data)) / rule.cost(data.bins), -place))
        del found.rules[-min(losses)[1]]
