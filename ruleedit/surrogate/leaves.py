"""Conjunctions and lists from trees: scikit-learn's CART on the bins, its nodes and leaves as rules.

Breiman, Friedman, Olshen, Stone: *Classification and Regression Trees*, 1984.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ruleedit.matching import Indices
from ruleedit.surrogate.binarise import Allowed, Bins, Floats, NumberBins
from ruleedit.surrogate.binned import Binned, spread
from ruleedit.surrogate.lists import Draft, Draftlist, Members

#: The most cells of the table on which a tree is grown.
TREE_CELLS = 1_000_000


@dataclass(frozen=True, eq=False)
class Column:
    """One column for the tree: a number for each bin of a feature."""

    place: int
    levels: Floats


@dataclass(frozen=True, eq=False)
class Grown:
    """What trees gave: ordered lists to start from, and the conjunctions of all their nodes."""

    lists: list[Draftlist] = field(default_factory=list)
    members: list[Members] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Tree:
    """A binary tree: per node the column and threshold of its split, its children (-1 at a leaf) and its class."""

    feature: Indices
    threshold: Floats
    left: Indices
    right: Indices
    tops: Indices

    def first(self, leaves: int) -> Tree:
        """The tree as it was when it had so many leaves: nodes are numbered as they came, the best split first."""
        is_later = self.left > 2 * (leaves - 1)
        left, right = (np.where(is_later, -1, children) for children in (self.left, self.right))
        return Tree(self.feature, self.threshold, left, right, self.tops)


def grow_trees(data: Binned, budget: int, seed: int) -> Grown:
    """Trees of three sizes, with and without sets of categories, and a list for each of their likely defaults."""
    grown = Grown()
    for with_ranks in (False, True):
        columns = list(_columns(data, with_ranks))
        if with_ranks and all(isinstance(bins, NumberBins) for bins in data.bins):
            break
        rows = spread(len(data), max(2_000, TREE_CELLS // max(1, len(columns))))
        table = np.stack([column.levels[data.columns[column.place][rows]] for column in columns], axis=1)
        whole = _grow(table, data.answers[rows], data.weights[rows], max(3, budget + 2), seed)
        for leaves in sorted({max(3, budget // 4 + 2), budget // 2 + 2, budget + 2}):
            grown.lists.extend(_lists(_leaf_drafts(whole.first(leaves), columns, data), data))
        grown.members.extend(_nodes(whole, columns, data))
    return grown


def _nodes(tree: Tree, columns: Sequence[Column], data: Binned) -> Iterator[Members]:
    """The conjunction of every node, without the missing values that only happen to go the same way."""
    stack: list[tuple[int, dict[int, Allowed]]] = [(0, {})]
    while stack:
        node, sets = stack.pop()
        yield {place: part for place, part in _present(sets) if data.bins[place].cost(part)}
        if tree.left[node] < 0:
            continue
        column = columns[tree.feature[node]]
        left = column.levels <= tree.threshold[node]
        for child, inside in ((tree.left[node], left), (tree.right[node], ~left)):
            before = sets.get(column.place, np.ones(len(left), dtype=bool))
            stack.append((int(child), {**sets, column.place: before & inside}))


def _present(sets: dict[int, Allowed]) -> Iterator[tuple[int, Allowed]]:
    for place, allowed in sets.items():
        part = allowed.copy()
        part[-1] &= bool(allowed.all()) or not allowed[:-1].any()
        yield place, part


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


def _grow(table: Floats, answers: Any, weights: Floats, leaves: int, seed: int) -> Tree:
    from sklearn.tree import DecisionTreeClassifier

    least = 2 if len(table) < 2_000 else 5
    model = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=least, random_state=seed)
    tree = model.fit(table.astype(np.float32), answers, sample_weight=weights).tree_
    tops = model.classes_[tree.value[:, 0, :].argmax(axis=1)]
    return Tree(tree.feature, tree.threshold, tree.children_left, tree.children_right, tops)


def _leaf_drafts(tree: Tree, columns: Sequence[Column], data: Binned) -> list[Draft]:
    """A draft for each leaf, or for each subtree whose leaves all say the same."""
    drafts: list[Draft] = []
    stack: list[tuple[int, dict[int, Allowed]]] = [(0, {})]
    while stack:
        node, sets = stack.pop()
        if _is_uniform(tree, node):
            drafts.extend(_sayable(int(tree.tops[node]), sets, data))
            continue
        column = columns[tree.feature[node]]
        left = column.levels <= tree.threshold[node]
        for child, inside in ((tree.right[node], ~left), (tree.left[node], left)):
            before = sets.get(column.place, np.ones(len(left), dtype=bool))
            stack.append((int(child), {**sets, column.place: before & inside}))
    return drafts


def _is_uniform(tree: Tree, node: int) -> bool:
    stack, seen = [node], set()
    while stack:
        here = stack.pop()
        if tree.left[here] < 0:
            seen.add(int(tree.tops[here]))
        else:
            stack += [int(tree.left[here]), int(tree.right[here])]
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
