"""The search for one ordered list under a budget of clauses, from several starts.

Starts are lists that somebody else made: from trees, from the master program, from last month. Each
is squeezed into the budget, and what is left of the budget is filled from a pool of conjunctions; the
best go on. That happens on part of the rows; only the last lists are bettered on all of them, and
give back the clauses that the rows don't bear out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ruleedit.matching import Indices
from ruleedit.surrogate.binarise import MOST_FEATURES, Bins, bin_features
from ruleedit.surrogate.binned import Binned, spread
from ruleedit.surrogate.lists import Draft, Draftlist, Members, sweep
from ruleedit.surrogate.pool import Pool
from ruleedit.surrogate.task import Found, Task
from ruleedit.surrogate.worth import borne_out

#: The budget of clauses where none is given: about what fits on a screen.
MOST_CLAUSES = 32
#: Rules are searched for on at most so many rows, drawn with the seed; their cuts and figures come from all.
SEARCH_ROWS = 40_000
#: The best starts are bettered on at most about so many rows.
TRIAL_ROWS = 8_000
#: All starts are compared, and the master program is solved, on at most about so many for each class.
FEW_ROWS = 1_250
#: So many of the starts are filled up to the budget; the best of them goes on.
FILLED = 3
#: Rounds of making room and filling it again, on part of the rows and on all.
ROUNDS = 2
#: The most steps of one filling; some 20 are usual.
MOST_STEPS = 60
#: A condition must win more rows than this, so that noise of single rows makes no clause.
LEAST_GAIN = 1.0
#: What a row takes in memory: the codes of each feature in three shapes, and places in two pools of 400 conjunctions.
CODE_BYTES, POOL_BYTES = 8 + 8 + 4, 2 * 4 * 400


@dataclass(frozen=True, eq=False)
class Field:
    """Where lists are searched for: all rows, some to try on, few to begin with; lists to start from, and the pool.

    ``losses`` are the rows that the best list lost, before clauses that the rows don't bear out were taken back, and
    those that the list lost that was found in the end.
    """

    full: Binned
    trial: Binned
    few: Binned
    budget: int
    starts: list[Draftlist] = field(default_factory=list)
    members: list[Members] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


def searched(task: Task, begin: Callable[[Field], None]) -> Found:
    """Search from what ``begin`` puts in the field; deterministic for a seed where no time limit cuts."""
    known = task.start
    full, cut = (task.binned, None) if task.binned is not None else _binned(task)
    budget = MOST_CLAUSES if task.max_clauses is None else task.max_clauses
    bins = full.bins
    if not bins:
        return Found((), majority(full).default, cut)
    trial = _part(full, TRIAL_ROWS)
    here = Field(full, trial, _part(trial, FEW_ROWS * len(np.unique(full.answers))), budget)
    begin(here)
    last = _as_list(known, bins)
    if last is not None:
        here.starts.append(last.copy())
        here.members.extend(rule.sets for rule in last.rules)
    best = best_list(here, ROUNDS if task.max_iterations is None else min(ROUNDS, task.max_iterations), task)
    here.losses.append(full.total - best.hits(full))
    best = borne_out(best, full, budget)
    if last is not None:
        best = prefer_known(last, best, full, budget)
    here.losses.append(full.total - best.hits(full))
    boxes = tuple((rule.box(bins), rule.outcome) for rule in best.rules)
    return Found(boxes, best.default, "seconds" if task.is_late else cut)


def _part(data: Binned, most: int) -> Binned:
    """Rows evenly through the table; all, where there aren't many more."""
    return data if len(data) <= 1.5 * most else data.take(spread(len(data), most))


def _as_list(start: Found | None, bins: Sequence[Bins]) -> Draftlist | None:
    """The rules to begin with, as far as the bins can say them."""
    if start is None:
        return None
    drafts = [Draft.of(box, outcome, bins) for box, outcome in start.boxes]
    return Draftlist([draft for draft in drafts if draft is not None], start.default)


def _binned(task: Task) -> tuple[Binned, str | None]:
    """The rows to search on as bins, and the limit that made them fewer; cuts come from all rows."""
    keep = [box for box, _ in task.start.boxes] if task.start else []
    bins = bin_features(task.rows, task.answers, task.schema, task.splits, keep)
    rows, cut = search_rows(task, len(task.rows))
    # Without bins the rows say nothing but how often each answer is given.
    kept = rows if bins else np.arange(len(task.rows))
    return Binned.of(bins, task.rows[kept], task.answers[kept]).merged(), cut


def search_rows(task: Task, rows: int) -> tuple[Indices, str | None]:
    """The numbers of the rows, of so many, that are searched on, and the limit that made them fewer."""
    most, cut = min(SEARCH_ROWS, rows), None
    if task.memory is not None and task.memory // _bytes_a_row(task) < most:
        most, cut = max(1, task.memory // _bytes_a_row(task)), "memory"
    if rows <= most:
        return np.arange(rows), cut
    return np.sort(np.random.default_rng(task.seed).choice(rows, most, replace=False)), cut


def _bytes_a_row(task: Task) -> int:
    """What the search needs for a row: copies of each feature's code, and the cover of the pool's conjunctions."""
    return CODE_BYTES * min(len(task.schema.features), MOST_FEATURES) + POOL_BYTES


def best_list(field: Field, rounds: int, task: Task) -> Draftlist:
    """The best list that the search comes to; the earlier of equal ones."""
    starts = field.starts
    steps = len(starts) + FILLED + 2
    trial, pool = field.trial, Pool.of(field.members, field.trial)
    squeezed: list[Draftlist] = []
    for number, start in enumerate(starts):
        task.report(number, steps)
        squeeze(start, field.few, field.budget)
        squeezed.append(start)
        if task.is_late:
            break
    filled = [majority(trial)]
    for number, found in enumerate(ranked(squeezed, trial)[:FILLED]):
        task.report(len(starts) + number, steps)
        fill(found, pool, field.budget, squeeze(found, trial, field.budget), task)
        filled.append(found)
    task.report(steps - 2, steps)
    best = improve(ranked(filled, trial)[0], pool, field.budget, rounds, task)
    task.report(steps - 1, steps)
    if field.full is not trial:
        best = _on_all_rows(best, pool, field, rounds, task)
    task.report(steps, steps)
    return best


def _on_all_rows(best: Draftlist, pool: Pool, field: Field, rounds: int, task: Task) -> Draftlist:
    """Better the list on all rows."""
    whole = replace(pool, data=field.full)
    squeeze(best, field.full, field.budget)
    fill(best, whole, field.budget, LEAST_GAIN, task)
    best = improve(best, whole, field.budget, rounds, task)
    return ranked([majority(field.full), best], field.full)[0]


def prefer_known(known: Draftlist, best: Draftlist, data: Binned, budget: int) -> Draftlist:
    """The known list, as it is or bettered, unless the best one is told from it by more than one standard error.

    The error is that of a paired comparison: of the rows on which just one of the two is right, the
    root of how many they are.
    """
    bettered = known.copy()
    squeeze(bettered, data, budget)
    sweep(bettered, data, LEAST_GAIN, budget)
    right = best.decide(data) == data.answers
    for each in (known, bettered):
        agrees = each.decide(data) == data.answers
        apart = float(data.weights[agrees != right].sum())
        if each.cost(data.bins) <= budget and best.hits(data) - each.hits(data) <= np.sqrt(apart):
            return each
    return best


def majority(data: Binned) -> Draftlist:
    """No rule, and the commonest answer for every row."""
    return Draftlist([], int(np.bincount(data.answers, data.weights).argmax()))


def ranked(lists: Sequence[Draftlist], data: Binned) -> list[Draftlist]:
    """The lists, those with the most rows right first; of equal ones the earlier."""
    order = sorted(range(len(lists)), key=lambda number: (-lists[number].hits(data), number))
    return [lists[number] for number in order]


def squeeze(found: Draftlist, data: Binned, budget: int) -> float:
    """Raise the price per clause until the rules cost at most the budget; the price that did."""
    price = max(LEAST_GAIN / 2, data.total / 20_000)
    sweep(found, data, price, max(found.cost(data.bins), budget))
    while found.cost(data.bins) > budget:
        price *= 2.0
        sweep(found, data, price, found.cost(data.bins))
    return price


def fill(found: Draftlist, pool: Pool, budget: int, price: float, task: Task) -> None:
    """Spend what is left of the budget, the most rows per clause first, from a price on downwards."""
    for _ in range(MOST_STEPS):
        if task.is_late:
            return
        changed = sweep(found, pool.data, price, budget)
        changed |= pool.insert(found, price, budget)
        if not changed:
            if price <= LEAST_GAIN:
                return
            price = max(LEAST_GAIN, price / 3.0)


def improve(best: Draftlist, pool: Pool, budget: int, rounds: int, task: Task) -> Draftlist:
    """Make room and fill it again, more of it each time, while that helps."""
    data = pool.data
    best_hits = best.hits(data)
    seen: set[tuple[float, int, tuple[tuple[int, bytes], ...]]] = set()
    for number in range(rounds):
        if task.is_late:
            break
        trial = best.copy()
        price = squeeze(trial, data, max(1, budget - max(2, budget * (number + 1) // (2 * rounds))))
        begins = price, trial.default, tuple((rule.outcome, rule.allowed(data).tobytes()) for rule in trial.rules)
        if begins in seen:
            # Filled from here it was no better the last time.
            continue
        seen.add(begins)
        fill(trial, pool, budget, price, task)
        if trial.hits(data) > best_hits:
            best, best_hits = trial, trial.hits(data)
    return best
