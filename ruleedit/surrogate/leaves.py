"""Conjunctions and lists from trees: a CART on the bins, its nodes and leaves as rules.

Breiman, Friedman, Olshen, Stone: *Classification and Regression Trees*, 1984; `ruleedit.surrogate.cart` grows it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ruleedit.matching import Indices
from ruleedit.surrogate import cart
from ruleedit.surrogate.binarise import Allowed, Bins, NumberBins
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.lists import Draft, Draftlist, Members, masks

#: A leaf holds so many rows at least, and so many where the table is not a small one.
FEWEST, SMALL_TABLE, FEW = 2.0, 2_000, 5.0


@dataclass(frozen=True, eq=False)
class Way:
    """A way to split a feature's bins: in this order, the first of them left and the others right.

    Of two bins the second is told from all others of the feature.
    """

    place: int
    order: Indices


@dataclass(frozen=True, eq=False)
class Grown:
    """What trees gave: ordered lists to start from, and the conjunctions of all their nodes."""

    lists: list[Draftlist] = field(default_factory=list)
    members: list[Members] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Tree:
    """A binary tree: of each node the feature of its split, the bins that go left, children (-1 at a leaf), class."""

    places: Sequence[int]
    insides: Sequence[Allowed]
    left: Sequence[int]
    right: Sequence[int]
    tops: Sequence[int]

    def first(self, leaves: int) -> Tree:
        """The tree as it was when it had so many leaves: nodes are numbered as they came, the best split first."""
        left, right = (
            [-1 if child > 2 * (leaves - 1) else child for child in side] for side in (self.left, self.right)
        )
        return Tree(self.places, self.insides, left, right, self.tops)


def grow_trees(data: Binned, budget: int) -> Grown:
    """Trees of three sizes, with and without sets of categories, and a list for each of their likely defaults."""
    grown = Grown()
    for with_ranks in (False, True):
        if with_ranks and all(isinstance(bins, NumberBins) for bins in data.bins):
            break
        whole = grow(data, list(_ways(data, with_ranks)), max(3, budget + 2))
        for leaves in sorted({max(3, budget // 4 + 2), budget // 2 + 2, budget + 2}):
            grown.lists.extend(_lists(_leaf_drafts(whole.first(leaves), data), data))
        grown.members.extend(_nodes(whole, data))
    return grown


def _nodes(tree: Tree, data: Binned) -> Iterator[Members]:
    """The conjunction of every node, without the missing values that only happen to go the same way."""
    stack: list[tuple[int, dict[int, Allowed]]] = [(0, {})]
    while stack:
        node, sets = stack.pop()
        yield {place: part for place, part in _present(sets) if data.bins[place].cost(part)}
        if tree.left[node] < 0:
            continue
        place, left = tree.places[node], tree.insides[node]
        for child, inside in ((tree.left[node], left), (tree.right[node], ~left)):
            before = sets.get(place)
            stack.append((child, {**sets, place: inside if before is None else before & inside}))


def _present(sets: dict[int, Allowed]) -> Iterator[tuple[int, Allowed]]:
    for place, allowed in sets.items():
        part = allowed.copy()
        part[-1] &= bool(allowed.all()) or not allowed[:-1].any()
        yield place, part


def _ways(data: Binned, with_ranks: bool) -> Iterator[Way]:
    for place, bins in enumerate(data.bins):
        every = np.arange(bins.size)
        if isinstance(bins, NumberBins):
            if bins.has_missing:
                yield Way(place, every)
            yield Way(place, np.roll(every, 1))
            continue
        seen = np.bincount(data.columns[place], minlength=bins.size)
        for one in np.flatnonzero(seen).tolist():
            yield Way(place, np.array([int(one == 0), one]))
        if with_ranks and (seen > 0).sum() > 3:
            yield from _ranks(place, bins, data, seen)


def _ranks(place: int, bins: Bins, data: Binned, seen: Indices) -> Iterator[Way]:
    """The categories by their share of each class, so that one split tells a set of them from the rest."""
    classes = np.bincount(data.answers)
    chief = np.argsort(-classes, kind="stable")[:4]
    for outcome in chief[1:] if len(classes) <= 2 else chief:
        hits = np.bincount(data.columns[place], weights=data.answers == outcome, minlength=bins.size)
        yield Way(place, np.argsort(hits / np.maximum(seen, 1), kind="stable"))


def grow(data: Binned, ways: Sequence[Way], leaves: int) -> Tree:
    """Grow a tree of so many leaves at most."""
    table = data.table
    heads = np.cumsum([0, *(len(way.order) for way in ways)])
    orders = np.concatenate([table.starts[way.place] + way.order for way in ways])
    splits = cart.Splits(np.array([way.place for way in ways]), heads, orders)
    least = FEWEST if data.total < SMALL_TABLE else FEW
    chosen, cuts, lefts, tops = cart.grow(
        table.cells, table.starts, table.cuts, data.answers, data.weights, data.classes, splits, leaves, least
    )
    insides = [_inside(ways[way], cut, data) for way, cut in zip(chosen.tolist(), cuts.tolist(), strict=True)]
    left = [child or -1 for child in lefts.tolist()]
    right = [child + 1 if child else -1 for child in lefts.tolist()]
    return Tree([ways[way].place for way in chosen.tolist()], insides, left, right, tops.tolist())


def _inside(way: Way, cut: int, data: Binned) -> Allowed:
    """The bins that go left."""
    inside = np.ones(data.bins[way.place].size, dtype=bool)
    inside[way.order[cut:]] = False
    return inside


def _leaf_drafts(tree: Tree, data: Binned) -> list[Draft]:
    """A draft for each leaf, or for each subtree whose leaves all say the same."""
    drafts: list[Draft] = []
    said = _saying(tree)
    stack: list[tuple[int, dict[int, Allowed]]] = [(0, {})]
    while stack:
        node, sets = stack.pop()
        outcome = said[node]
        if outcome is not None:
            drafts.extend(_sayable(outcome, sets, data))
            continue
        place, left = tree.places[node], tree.insides[node]
        for child, inside in ((tree.right[node], ~left), (tree.left[node], left)):
            before = sets.get(place)
            stack.append((child, {**sets, place: inside if before is None else before & inside}))
    return drafts


def _saying(tree: Tree) -> list[int | None]:
    """For each node the class that all its leaves say, None where they say several."""
    said: list[int | None] = list(tree.tops)
    # Children are numbered after their parents.
    for node in reversed(range(len(said))):
        if tree.left[node] >= 0:
            left, right = said[tree.left[node]], said[tree.right[node]]
            said[node] = left if left == right else None
    return said


def _sayable(outcome: int, sets: dict[int, Allowed], data: Binned) -> Iterator[Draft]:
    """The leaf as rules: "below 3 or missing" takes two, unless no row there is missing or present."""
    choices: list[list[tuple[int, Allowed]]] = []
    whole = Draft(outcome, sets)
    unsure = {place for place, allowed in sets.items() if data.bins[place].has_missing and allowed[-1]}
    inside = whole.mask(data) if unsure else None
    for place, allowed in sets.items():
        there = np.arange(len(allowed)) < len(allowed) - 1
        if place in unsure:
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
    for draft in drafts:
        costs[draft.outcome] = costs.get(draft.outcome, 0) + draft.cost(data.bins)
    held, outcomes = masks(drafts, data), np.array([draft.outcome for draft in drafts])
    right = (held & (data.answers == outcomes[:, None])).sum(axis=1)
    sure = (right + 1.0) / (held.sum(axis=1) + 2.0)
    ordered = [drafts[number] for number in np.argsort(-sure, kind="stable").tolist()]
    for default in sorted(costs, key=lambda outcome: (-costs[outcome], outcome))[:2]:
        yield Draftlist([draft.copy() for draft in ordered if draft.outcome != default], default)
