"""``method="glocalx"``: local rules, merged from the most alike on until merging no longer pays.

Written from Setzu, Guidotti, Monreale, Turini, Pedreschi, Giannotti: *GLocalX - From Local to Global
Explanations of Black Box AI Models*, Artificial Intelligence 294, 2021. Each local rule is a theory.
The two theories whose rules cover the most alike rows are merged first: rules that meet and say the
same are *joined* (what both ask for, widened to hold both, the rest dropped), of two that meet and
differ the less faithful one is *cut* by the other. A merger is kept if its Bayesian information
criterion isn't worse than that of both theories side by side; where it is the next pair is tried.

Ours differs in four things. The local rules are paths of small trees on the rows nearest to a row, at
most a third of the table, as many answered as it is as otherwise (a task has answers, and no model to
ask). A cut is exact, so it may leave several rules. Theories are compared on the same rows throughout,
where the paper draws a batch for each merger. And the budget of clauses takes the place of the paper's
percentile of rules: of all rules that there were on the way, local ones, regional ones and those of
the last theories, those are chosen that win the most rows per clause, and exchanged while that wins
rows. So a wide budget can have what the last mergers lost, which the paper's filter can't.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from ruleedit.matching import Indices, Mask
from ruleedit.surrogate.binarise import Allowed, Bins, Floats, NumberBins, bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.brcg import drop_idle
from ruleedit.surrogate.candidates import Local, Theory, distinct, select, sure
from ruleedit.surrogate.lists import Draft, Draftlist
from ruleedit.surrogate.task import Found, Task

#: Local rules around so many rows, drawn with the seed, an equal share of each answer.
LOCAL_RULES = 160
#: Each is learned on so many nearest rows, but on no more than a part of the table: all of it is no neighbourhood.
NEAREST, PART, SMALLEST = 400, 3, 40
#: The tree has so many leaves at most, each of so many rows at least.
LEAVES, LEAST_LEAF = 8, 2
#: Distances, coverages and criteria are worked out on at most so many rows.
MOST_ROWS = 6_000
#: The budget of clauses where none is given.
MOST_CLAUSES = 32
#: So many pairs, the most alike, are tried in each round before merging ends.
MOST_PAIRS = 60
#: Rules joined and cut by turns could go on for ever.
MOST_STEPS = 100


def extract_glocalx(task: Task) -> Found:
    """Extract an ordered rule set from local rules; deterministic for a seed."""
    bins = bin_features(task.rows, task.answers, task.schema, task.splits)
    whole = Binned.of(bins, task.rows, task.answers)
    draw = np.random.default_rng(task.seed)
    kept = np.arange(len(whole))
    if len(whole) > MOST_ROWS:
        kept = np.sort(draw.choice(len(whole), MOST_ROWS, replace=False))
    data = whole.take(kept)
    theories: list[Theory] = []
    anchors = _anchors(data, draw) if bins else np.empty(0, dtype=np.intp)
    for number, anchor in enumerate(anchors):
        task.report(number, 2 * len(anchors))
        if task.is_late:
            break
        rule = local_rule(int(anchor), data, task.seed)
        if rule.sets:
            theories.append((Local.of(rule, data),))
    levels = merge_all(theories, data, task)
    found = select(distinct(levels, data), data, MOST_CLAUSES if task.max_clauses is None else task.max_clauses)
    drop_idle(found, whole)
    task.report(2 * len(anchors), 2 * len(anchors))
    boxes = tuple((rule.box(bins), rule.outcome) for rule in found.rules)
    notes = (f"merged on {MOST_ROWS:,} of {len(whole):,} rows",) if len(data) < len(whole) else ()
    return Found(boxes, found.default, "seconds" if task.is_late else None, notes)


# --- local rules -----------------------------------------------------------------------------


def _anchors(data: Binned, draw: np.random.Generator) -> Indices:
    """Rows of each answer in turn, so that a rare one has rules too."""
    by_answer = [draw.permutation(np.flatnonzero(data.answers == answer)) for answer in np.unique(data.answers)]
    ranks = [np.arange(len(rows)) for rows in by_answer]
    order = np.argsort(np.concatenate(ranks), kind="stable")
    chosen: Indices = np.concatenate(by_answer)[order][:LOCAL_RULES]
    return chosen


def local_rule(anchor: int, data: Binned, seed: int) -> Draft:
    """The path of one row in a small tree on the rows nearest to it, half of them answered as it is, half otherwise."""
    from sklearn.tree import DecisionTreeClassifier

    order = np.argsort(_distances(anchor, data), kind="stable")
    alike = data.answers[order] == data.answers[anchor]
    size = min(NEAREST, max(SMALLEST, len(data) // PART)) // 2
    near = np.concatenate([order[half][:size] for half in (alike, ~alike)])
    columns = list(_columns(data.bins))
    table = np.stack([levels[data.columns[place][near]] for place, levels in columns], axis=1)
    model = DecisionTreeClassifier(max_leaf_nodes=LEAVES, min_samples_leaf=LEAST_LEAF, random_state=seed)
    tree = model.fit(table, data.answers[near]).tree_
    mine = [levels[data.columns[place][anchor]] for place, levels in columns]
    sets: dict[int, Allowed] = {}
    node = 0
    while tree.children_left[node] >= 0:
        place, levels = columns[tree.feature[node]]
        left = mine[tree.feature[node]] <= tree.threshold[node]
        inside = (levels <= tree.threshold[node]) == left
        sets[place] = sets.get(place, np.ones(data.bins[place].size, dtype=bool)) & inside
        node = tree.children_left[node] if left else tree.children_right[node]
    outcome = int(model.classes_[tree.value[node, 0].argmax()])
    return _sayable(outcome, sets, data, anchor)


def _distances(anchor: int, data: Binned) -> Floats:
    """How far every row is: per feature the bins between, as a share of all, or 1 where a category differs."""
    far = np.zeros(len(data))
    for place, bins in enumerate(data.bins):
        codes, mine = data.columns[place], data.columns[place][anchor]
        if isinstance(bins, NumberBins):
            gone = (codes == bins.size - 1) != (mine == bins.size - 1)
            far += np.where(gone, 1.0, np.abs(codes - mine) / max(1, bins.size - 2))
        else:
            far += codes != mine
    return far


def _columns(bins: Sequence[Bins]) -> Iterator[tuple[int, Floats]]:
    """The columns for a tree: a number for each bin; for categories one column each."""
    for place, each in enumerate(bins):
        order = np.arange(each.size, dtype=float)
        if isinstance(each, NumberBins):
            order[-1] = -1.0
            yield place, order
        else:
            yield from ((place, (order == one).astype(float)) for one in range(each.size))


def _sayable(outcome: int, sets: dict[int, Allowed], data: Binned, anchor: int) -> Draft:
    """The rule without what no clause can say: "below 3 or missing" keeps the side that the row is on."""
    found: dict[int, Allowed] = {}
    for place, allowed in sets.items():
        kept = allowed.copy()
        if kept[-1] and kept[:-1].any() and not kept.all():
            if data.columns[place][anchor] == len(kept) - 1:
                kept[:-1] = False
            else:
                kept[-1] = False
        if data.bins[place].cost(kept):
            found[place] = kept
    return Draft(outcome, found)


# --- merging ---------------------------------------------------------------------------------


def merge_all(theories: list[Theory], data: Binned, task: Task) -> list[Theory]:
    """Merge the most alike theories until no merger pays; all theories that there ever were, the last ones first."""
    steps = len(theories)
    levels = list(theories)
    while len(theories) > 1 and not task.is_late:
        task.report(2 * steps - len(theories), 2 * steps)
        merged = _merged_once(theories, data)
        if merged is None:
            break
        theories = merged
        levels.append(theories[-1])
    return levels[::-1]


def _merged_once(theories: list[Theory], data: Binned) -> list[Theory] | None:
    covered = np.array([_covered(theory) for theory in theories])
    common = covered.astype(np.float32) @ covered.T.astype(np.float32)
    sizes = covered.sum(axis=1)
    alike = common / np.maximum(sizes[:, None] + sizes[None, :] - common, 1.0)
    pairs = np.array(list(itertools.combinations(range(len(theories)), 2)))
    order = np.argsort(-alike[pairs[:, 0], pairs[:, 1]], kind="stable")[:MOST_PAIRS]
    for one, other in pairs[order].tolist():
        both = (*theories[one], *theories[other])
        merged = merge(theories[one], theories[other], data)
        if criterion(merged, data) <= criterion(both, data):
            rest = [theory for place, theory in enumerate(theories) if place not in (one, other)]
            return [*rest, merged]
    return None


def _covered(theory: Theory) -> Mask:
    mask: Mask = np.logical_or.reduce([local.mask for local in theory])
    return mask


def merge(one: Theory, other: Theory, data: Binned) -> Theory:
    """One theory of two (the paper's section 4.2): rules that meet are joined or cut, the others stay."""
    found = one
    for local in other:
        found = _added(found, local, data)
    return found


def _added(found: Theory, local: Local, data: Binned) -> Theory:
    """A theory with one more rule; one that would take more than `MOST_STEPS` is left beside it."""
    queue, kept = [(local, 0)], list(found)
    for _ in range(MOST_STEPS):
        if not queue:
            return tuple(kept)
        rule, start = queue.pop(0)
        meets = (n for n in range(start, len(kept)) if (kept[n].mask & rule.mask).any())
        place = next(meets, None)
        if place is None:
            kept.append(rule)
            continue
        known = kept[place]
        if known.rule.outcome == rule.rule.outcome:
            joined = join(known.rule, rule.rule, data.bins)
            if joined.sets:
                del kept[place]
                queue.append((Local.of(joined, data), 0))
            else:
                # They ask for nothing in common: a rule for every row would be a default.
                queue.append((rule, place + 1))
            continue
        del kept[place]
        strong, weak = (known, rule) if known.precision >= rule.precision else (rule, known)
        pieces = [Local.of(piece, data) for piece in cut(weak.rule, strong.rule, data.bins)]
        queue += [(strong, 0), *((piece, 0) for piece in pieces if piece.mask.any())]
    return (*found, local)


def join(one: Draft, other: Draft, bins: Sequence[Bins]) -> Draft:
    """The rule that asks for what both ask for, widened to hold both; the same outcome."""
    joined: dict[int, Allowed] = {}
    for place in one.sets.keys() & other.sets.keys():
        allowed = _hull(one.sets[place] | other.sets[place], bins[place])
        if bins[place].cost(allowed) and not (allowed[-1] and allowed[:-1].any()):
            joined[place] = allowed
    return Draft(one.outcome, joined)


def _hull(allowed: Allowed, bins: Bins) -> Allowed:
    """The bins between the first and the last of a number; categories as they are."""
    there = np.flatnonzero(allowed[:-1])
    if isinstance(bins, NumberBins) and len(there):
        allowed = allowed.copy()
        allowed[there[0] : there[-1] + 1] = True
    return allowed


def cut(weak: Draft, strong: Draft, bins: Sequence[Bins]) -> list[Draft]:
    """The weak rule without the rows of the strong one, as disjoint rules."""
    pieces: list[Draft] = []
    rest = weak.copy()
    for place in sorted(strong.sets):
        inside = strong.sets[place]
        mine = rest.sets.get(place, np.ones(bins[place].size, dtype=bool))
        for part in _parts(mine & ~inside, bins[place]):
            pieces.append(Draft(rest.outcome, {**rest.sets, place: part}))
        if not (mine & inside).any():
            return pieces
        rest.sets = {**rest.sets, place: mine & inside}
    return pieces


def _parts(allowed: Allowed, bins: Bins) -> Iterator[Allowed]:
    """The bins as conditions that clauses can say: each run of a number, the categories together, missing apart."""
    if allowed[-1]:
        only = np.zeros_like(allowed)
        only[-1] = True
        yield only
    there = np.flatnonzero(allowed[:-1])
    runs = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1) if isinstance(bins, NumberBins) else [there]
    for run in runs:
        if len(run):
            part = np.zeros_like(allowed)
            part[run] = True
            yield part


def criterion(theory: Theory, data: Binned) -> float:
    """The Bayesian information criterion: twice the negative log-likelihood of the hits, and log n for each clause."""
    found = _as_list([theory], data)
    rows, hits = len(data), int(found.hits(data))
    # A half more on each side keeps a theory without an error from being infinitely likely.
    share = (hits + 0.5) / (rows + 1.0)
    likelihood = hits * math.log(share) + (rows - hits) * math.log(1.0 - share)
    return -2.0 * likelihood + math.log(rows) * found.cost(data.bins)


def _as_list(theories: Sequence[Theory], data: Binned) -> Draftlist:
    """The rules in order of how faithful they are; the default is the commonest answer where none holds."""
    locals_ = [local for theory in theories for local in theory]
    order = sorted(range(len(locals_)), key=lambda number: (-sure(locals_[number]), number))
    rules = [locals_[number].rule.copy() for number in order]
    left = np.ones(len(data), dtype=bool)
    for rule in rules:
        left &= ~rule.mask(data)
    answers = data.answers[left] if left.any() else data.answers
    return Draftlist(rules, int(np.bincount(answers).argmax()))
