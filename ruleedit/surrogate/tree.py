"""``method="tree"``: the leaves of a CART as ordered rules, bettered under the budget of clauses.

scikit-learn grows trees (Breiman, Friedman, Olshen, Stone: *Classification and Regression Trees*,
1984) on the binned features. Leaves of every class but the default become rules; as the first match
wins, most of their conditions aren't needed, and `ruleedit.surrogate.lists` finds out which.
Several sizes of tree and defaults are tried on a sample, and the best go on with all rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleedit.matching import Indices
from ruleedit.surrogate.binarise import Allowed, Bins, Floats, NumberBins, bin_features
from ruleedit.surrogate.lists import Binned, Draft, Draftlist, insert, sweep
from ruleedit.surrogate.task import Found, Task

#: The budget of clauses where none is given: about what fits on a screen.
MOST_CLAUSES = 32
#: Rules are searched for on at most so many rows, drawn with the seed; their cuts and figures come from all.
SEARCH_ROWS = 40_000
#: Starts are compared on at most so many rows.
TRIAL_ROWS = 8_000
#: The most cells of the table on which a tree is grown.
TREE_CELLS = 2_000_000
#: So many of the starts go on with all rows.
FINALISTS = 2
#: Rounds of making room and filling it again; a round without a gain ends them.
ROUNDS = 4
#: The most steps of one filling; some 20 are usual.
MOST_STEPS = 60
#: A condition must win more rows than this, so that noise of single rows makes no clause.
LEAST_GAIN = 1.0


@dataclass(frozen=True, eq=False)
class Column:
    """One column for the tree: a number for each bin of a feature."""

    place: int
    levels: Floats


def extract_tree(task: Task) -> Found:
    """Extract an ordered rule set from CARTs; deterministic for a seed."""
    known = task.start
    keep = [box for box, _ in known.boxes] if known else []
    bins = bin_features(task.rows, task.answers, task.schema, task.splits, keep)
    budget = MOST_CLAUSES if task.max_clauses is None else task.max_clauses
    data = Binned.of(bins, *_sample(task, SEARCH_ROWS))
    rounds = ROUNDS if task.max_iterations is None else min(ROUNDS, task.max_iterations)
    trial = data.take(_spread(len(data), TRIAL_ROWS))
    starts = [*_known(known, bins), *_starts(data, budget, task.seed)] if bins else []
    tried: list[tuple[int, int, Draftlist]] = []
    steps = len(starts) + FINALISTS
    for number, start in enumerate(starts):
        task.report(number, steps)
        if task.is_late and tried:
            break
        squeeze(start, trial, budget)
        tried.append((-start.hits(trial), number, start))
    tried.sort(key=lambda one: one[:2])
    best = _majority(data)
    best_hits = best.hits(data)
    for number, (_, _, start) in enumerate(tried[:FINALISTS]):
        task.report(len(starts) + number, steps)
        if task.is_late and number:
            break
        squeeze(start, data, budget)
        fill(start, data, budget, task)
        if start.hits(data) > best_hits:
            best, best_hits = start, start.hits(data)
    best = improve(best, data, budget, rounds, task)
    task.report(steps, steps)
    return _found(best, bins, "seconds" if task.is_late else None)


def _known(start: Found | None, bins: Sequence[Bins]) -> Iterator[Draftlist]:
    """The rules to begin with, as far as the bins can say them."""
    if start is not None:
        drafts = [Draft.of(box, outcome, bins) for box, outcome in start.boxes]
        yield Draftlist([draft for draft in drafts if draft is not None], start.default)


def _found(best: Draftlist, bins: Sequence[Bins], cut: str | None) -> Found:
    return Found(tuple((rule.box(bins), rule.outcome) for rule in best.rules), best.default, cut)


def _sample(task: Task, most: int) -> tuple[Floats, Indices]:
    if len(task.rows) <= most:
        return task.rows, task.answers
    kept = np.sort(np.random.default_rng(task.seed).choice(len(task.rows), most, replace=False))
    return task.rows[kept], task.answers[kept]


def _spread(rows: int, most: int) -> Indices:
    """Rows evenly through the table."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.intp))


def _majority(data: Binned) -> Draftlist:
    return Draftlist([], int(np.bincount(data.answers).argmax()))


def improve(best: Draftlist, data: Binned, budget: int, rounds: int, task: Task) -> Draftlist:
    """Make room and fill it again, more of it each time, while that helps."""
    best_hits = best.hits(data)
    for number in range(rounds):
        if task.is_late:
            break
        trial = best.copy()
        squeeze(trial, data, max(1, budget - max(2, budget * (number + 1) // (2 * rounds))))
        fill(trial, data, budget, task)
        if trial.hits(data) > best_hits:
            best, best_hits = trial, trial.hits(data)
    return best


def squeeze(found: Draftlist, data: Binned, budget: int) -> None:
    """Raise the price per clause until the rules cost at most the budget."""
    price = max(LEAST_GAIN / 2, len(data) / 20_000)
    sweep(found, data, price, max(found.cost(data.bins), budget))
    while found.cost(data.bins) > budget:
        price *= 1.5
        sweep(found, data, price, found.cost(data.bins))


def fill(found: Draftlist, data: Binned, budget: int, task: Task) -> None:
    """Spend what is left of the budget, the most rows per clause first."""
    price = max(LEAST_GAIN, len(data) / 100)
    for _ in range(MOST_STEPS):
        if task.is_late:
            return
        changed = sweep(found, data, price, budget)
        changed |= insert(found, data, price, budget)
        if not changed:
            if price <= LEAST_GAIN:
                return
            price = max(LEAST_GAIN, price / 3.0)


def _starts(data: Binned, budget: int, seed: int) -> Iterator[Draftlist]:
    """Rule lists from trees of several sizes, with and without sets of categories, for the likely defaults."""
    for with_ranks in (False, True):
        columns = list(_columns(data, with_ranks))
        if with_ranks and all(isinstance(bins, NumberBins) for bins in data.bins):
            return
        rows = _spread(len(data), max(2_000, TREE_CELLS // max(1, len(columns))))
        table = np.stack([column.levels[data.columns[column.place][rows]] for column in columns], axis=1)
        for leaves in sorted({max(3, budget // 4 + 2), budget // 2 + 2, budget + 2}):
            tree = _grow(table, data.answers[rows], leaves, seed)
            drafts = _leaf_drafts(tree, columns, data)
            yield from _lists(drafts, data)


def _columns(data: Binned, with_ranks: bool) -> Iterator[Column]:
    for place, bins in enumerate(data.bins):
        order = np.arange(bins.size, dtype=float)
        if isinstance(bins, NumberBins):
            if bins.has_missing:
                yield Column(place, order)
            order[-1] = -1.0
            yield Column(place, order)
            continue
        seen = np.bincount(data.columns[place], minlength=bins.size)
        for one in np.flatnonzero(seen):
            yield Column(place, (np.arange(bins.size) == one).astype(float))
        if with_ranks and (seen > 0).sum() > 3:
            yield from _ranks(place, bins, data, seen)


def _ranks(place: int, bins: Bins, data: Binned, seen: Indices) -> Iterator[Column]:
    """The categories by their share of each class, so that one split tells a set of them from the rest."""
    classes = np.bincount(data.answers)
    chief = np.argsort(-classes, kind="stable")[:4]
    for outcome in chief[1:] if len(classes) <= 2 else chief:
        hits = np.bincount(data.columns[place], weights=data.answers == outcome, minlength=bins.size)
        share = hits / np.maximum(seen, 1)
        yield Column(place, np.argsort(np.argsort(share, kind="stable"), kind="stable").astype(float))


def _grow(table: Floats, answers: Any, leaves: int, seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    least = 2 if len(table) < 2_000 else 5
    model = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=least, random_state=seed)
    return model.fit(table, answers)


def _leaf_drafts(model: Any, columns: Sequence[Column], data: Binned) -> list[Draft]:
    """A draft for each leaf, or for each subtree whose leaves all say the same."""
    tree, classes = model.tree_, model.classes_
    tops = classes[tree.value[:, 0, :].argmax(axis=1)]
    drafts: list[Draft] = []
    stack: list[tuple[int, dict[int, Allowed]]] = [(0, {})]
    while stack:
        node, sets = stack.pop()
        if _is_uniform(tree, node, tops):
            drafts.extend(_sayable(int(tops[node]), sets, data))
            continue
        column = columns[tree.feature[node]]
        left = column.levels <= tree.threshold[node]
        for child, inside in ((tree.children_right[node], ~left), (tree.children_left[node], left)):
            before = sets.get(column.place, np.ones(len(left), dtype=bool))
            stack.append((child, {**sets, column.place: before & inside}))
    return drafts


def _is_uniform(tree: Any, node: int, tops: Any) -> bool:
    stack, seen = [node], set()
    while stack:
        here = stack.pop()
        if tree.children_left[here] < 0:
            seen.add(int(tops[here]))
        else:
            stack += [tree.children_left[here], tree.children_right[here]]
    return len(seen) == 1


def _sayable(outcome: int, sets: dict[int, Allowed], data: Binned) -> Iterator[Draft]:
    """The leaf as rules: "below 3 or missing" takes two, unless no row there is missing or present."""
    inside = np.ones(len(data), dtype=bool)
    for place, allowed in sets.items():
        inside &= allowed[data.columns[place]]
    choices: list[list[tuple[int, Allowed]]] = []
    for place, allowed in sets.items():
        there = np.bincount(data.columns[place][inside], minlength=len(allowed)) > 0
        parts = _parts(allowed, there)
        if parts:
            choices.append([(place, part) for part in parts])
    # Past two such features the rules would multiply; the rest keep their commoner part.
    for choice in [choice for choice in choices if len(choice) > 1][2:]:
        del choice[1:]
    for picked in itertools.product(*choices):
        yield Draft(outcome, {place: part for place, part in picked if data.bins[place].cost(part)})


def _parts(allowed: Allowed, there: Allowed) -> list[Allowed]:
    if allowed[:-1].all() and allowed[-1]:
        return []
    present, missing = allowed.copy(), np.zeros_like(allowed)
    present[-1], missing[-1] = False, True
    if not allowed[-1] or not there[-1]:
        return [present]
    return [present, missing] if there[:-1].any() else [missing]


def _lists(drafts: Sequence[Draft], data: Binned) -> Iterator[Draftlist]:
    """The drafts in order of how sure they are, with the costliest class to describe, then the others, as default."""
    costs: dict[int, int] = {}
    sure: list[tuple[float, int, Draft]] = []
    for number, draft in enumerate(drafts):
        mask = draft.mask(data)
        costs[draft.outcome] = costs.get(draft.outcome, 0) + draft.cost(data.bins)
        right = int((data.answers[mask] == draft.outcome).sum())
        sure.append((-(right + 1.0) / (mask.sum() + 2.0), number, draft))
    ordered = [draft for _, _, draft in sorted(sure, key=lambda one: one[:2])]
    for default in sorted(costs, key=lambda outcome: (-costs[outcome], outcome))[:2]:
        yield Draftlist([draft.copy() for draft in ordered if draft.outcome != default], default)
