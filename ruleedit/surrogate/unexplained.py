"""Where a surrogate is wrong, itself shown as regions, and why no rule came out where none did.

The regions come from a short search for rows on which rules and model disagree more often than
elsewhere: subgroup discovery by weighted relative accuracy (Lavrač, Kavšek, Flach, Todorovski:
*Subgroup Discovery with CN2-SD*, JMLR 5, 2004), with our conditions and prices per clause. They are
found on the rows that the rules were made from and measured on others where there are any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleedit.matching import Indices, Mask, Matrix, box_mask, decide, outcome_codes
from ruleedit.regions import Box, box_text
from ruleedit.rules import RuleSet
from ruleedit.schema import Schema
from ruleedit.surrogate import cart, kernel
from ruleedit.surrogate.binarise import Bins, Floats, bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.fidelity import Interval, wilson
from ruleedit.surrogate.lists import Draft
from ruleedit.surrogate.task import Splits, Task
from ruleedit.tables.sums import Counts, added, counted, total

#: So many regions at most, of so many clauses each: more would not be read.
MOST_REGIONS, MOST_CLAUSES = 3, 3
#: A region is this many times as often wrong as the rules are overall.
LIFT = 1.5
#: A region rests on so many wrong rows at least.
LEAST_WRONG = 5
#: Regions are searched for on at most so many rows, drawn with a seed; the figures are of all.
SEARCH_ROWS = 20_000
#: Where no rule came out larger budgets are tried on at most so many rows.
TRIAL_ROWS = 4_000
TRIED_BUDGETS = (2, 4, 8, 16, 32)


@dataclass(frozen=True)
class WrongRegion:
    """A region in which rules and model disagree often.

    Of its ``rows`` rows ``wrong`` are answered otherwise by the rules; ``interval`` is the 95%
    interval of that share, None without rows. Rows of an earlier region aren't counted again.
    """

    box: Box
    rows: int
    wrong: int
    interval: Interval | None

    def to_json(self, schema: Schema) -> dict[str, Any]:
        """As JSON, with the region as text."""
        interval = None if self.interval is None else list(self.interval)
        return {"where": box_text(self.box, schema), "rows": self.rows, "wrong": self.wrong, "interval": interval}


@dataclass(frozen=True)
class Unexplained:
    """The rows on which rules and model disagree: how many of how many, how, and mostly where.

    ``pairs`` counts them by the model's answer and what the rules say, the commonest first.
    ``measured`` says on which rows: ``holdout`` or ``train``.
    """

    schema: Schema
    measured: str
    rows: int
    wrong: int
    pairs: tuple[tuple[str, str, int], ...]
    regions: tuple[WrongRegion, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "measured": self.measured,
            "rows": self.rows,
            "wrong": self.wrong,
            "share": self.wrong / self.rows,
            "interval": list(wilson(self.wrong, self.rows)),
            "pairs": [{"model": model, "rules": said, "rows": rows} for model, said, rows in self.pairs],
            "regions": [region.to_json(self.schema) for region in self.regions],
        }


def unexplained(
    rules: RuleSet,
    rows: Matrix,
    answers: Indices,
    schema: Schema,
    *,
    splits: Splits = (),
    holdout: tuple[Matrix, Indices] | None = None,
    seed: int = 0,
) -> Unexplained:
    """Find where a rule set answers otherwise than the model.

    Parameters
    ----------
    rules : RuleSet
        The surrogate. Rows that it leaves to the model are never wrong.
    rows, answers : Matrix, Indices
        Encoded rows (n, features), NaN for missing, and the model's answers there as places in
        ``schema.classes`` (n,): the regions are found on these.
    schema : Schema
        The schema of both.
    splits : sequence of mappings
        The model's thresholds; see `ruleedit.surrogate.extract`.
    holdout : pair of Matrix and Indices, optional
        Other rows and answers, on which the regions are measured then.
    seed : int
        Draws the rows of the search where there are more than `SEARCH_ROWS`.

    Returns
    -------
    Unexplained
        At most `MOST_REGIONS` disjoint regions (an earlier one's rows aren't in a later one), each
        on `LEAST_WRONG` wrong rows or more and `LIFT` times as often wrong as all where they were found; those
        that the rows where they are measured don't bear out are left out.
    """
    kept = region_rows(len(rows), seed)
    boxes = wrong_regions(rules, rows[kept], answers[kept], schema, splits)
    measured = "train" if holdout is None or not len(holdout[0]) else "holdout"
    there, true = (rows, answers) if measured == "train" or holdout is None else holdout
    return unexplained_of(boxes, missed(rules, boxes, there, true, schema), schema, measured)


@dataclass(frozen=True)
class Missed:
    """What `unexplained` counts; the counts of a table's parts add up to those of the table.

    ``pairs`` counts the wrong rows by the model's answer and what the rules say. ``inside`` has for each set of
    regions (its place read as bits) the rows that lie in just those: the right ones, and the wrong.
    """

    pairs: Counts
    inside: Counts

    def __add__(self, other: Missed) -> Missed:
        """The counts of both; raises `ValueError` for those of other regions."""
        return Missed(added(self.pairs, other.pairs), added(self.inside, other.inside))


def missed(rules: RuleSet, boxes: Sequence[Box], rows: Matrix, answers: Indices, schema: Schema) -> Missed:
    """Count on encoded rows (n, features) with the model's answers (n,) where, and how, the rules are wrong."""
    said, wrong = _disagreement(rules, rows, answers, schema)
    places = np.zeros(len(rows), dtype=np.intp)
    for number, box in enumerate(boxes):
        places |= box_mask(box, rows, schema).astype(np.intp) << number
    size = len(schema.classes)
    return Missed(
        counted(answers[wrong], said[wrong], (size, size)), counted(places, wrong.astype(np.intp), (2 ** len(boxes), 2))
    )


def unexplained_of(boxes: Sequence[Box], counts: Missed, schema: Schema, measured: str) -> Unexplained:
    """What is said of the counts, ``measured`` on the held-out rows or those of training."""
    regions: list[WrongRegion] = []
    left = set(range(2 ** len(boxes)))
    for number, box in enumerate(boxes):
        inside = {place for place in left if place >> number & 1}
        right, wrong = (sum(counts.inside[place][side] for place in inside) for side in (0, 1))
        if right and not wrong:
            # The rows where it is measured don't bear it out: nothing that a reader should look for.
            continue
        left -= inside
        regions.append(WrongRegion(box, right + wrong, wrong, wilson(wrong, right + wrong) if right + wrong else None))
    pairs = _pairs(np.array(counts.pairs).ravel(), schema)
    return Unexplained(schema, measured, total(counts.inside), total(counts.pairs), pairs, tuple(regions))


def _disagreement(rules: RuleSet, rows: Matrix, answers: Indices, schema: Schema) -> tuple[Indices, Mask]:
    codes = outcome_codes([*(rule.outcome for rule in rules), rules.default], schema.classes)
    said: Indices = codes[decide(rules, rows, schema)]
    return said, (said != answers) & (said >= 0)


def _pairs(counts: Indices, schema: Schema) -> tuple[tuple[str, str, int], ...]:
    """How often the model answers one class and the rules another."""
    size = len(schema.classes)
    order = [int(pair) for pair in np.argsort(-counts, kind="stable") if counts[pair]]
    return tuple((schema.classes[pair // size], schema.classes[pair % size], int(counts[pair])) for pair in order)


def region_rows(rows: int, seed: int) -> Indices:
    """The numbers of the rows that regions are searched for on: at most `SEARCH_ROWS`, drawn with the seed."""
    if rows <= SEARCH_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, SEARCH_ROWS, replace=False))


def wrong_regions(rules: RuleSet, rows: Matrix, answers: Indices, schema: Schema, splits: Splits) -> tuple[Box, ...]:
    """Boxes with a high share of wrong rows, the most telling first; see `unexplained` for the parameters."""
    _, wrong = _disagreement(rules, rows, answers, schema)
    if wrong.sum() < LEAST_WRONG:
        return ()
    bins = bin_features(rows, wrong.astype(np.intp), schema, splits)
    data = Binned.of(bins, rows, wrong.astype(np.intp))
    share = float(wrong.mean())
    # Where the rules are wrong most of the time more often than that may be impossible: half of what is left will do.
    bar = min(LIFT * share, (1.0 + share) / 2.0)
    boxes: list[Box] = []
    left = np.arange(len(data))
    for _ in range(MOST_REGIONS):
        region = _worst(data, left, bar)
        if region is None:
            break
        inside = region.mask(data)[left]
        if wrong[left[inside]].sum() < LEAST_WRONG or wrong[left[inside]].mean() < bar:
            break
        boxes.append(region.box(bins))
        left = left[~inside]
    return tuple(boxes)


def _worst(data: Binned, rows: Indices, bar: float) -> Draft | None:
    """The box whose rows are worth most, a clause costing about what chance would give it."""
    best: Draft | None = None
    counts = _counts(data, rows)
    right, wrong = np.bincount(data.answers[rows], minlength=2).tolist()
    score, price = 0.0, max(1.0, math.sqrt(wrong * (1.0 - bar) ** 2 + right * bar**2) / 5.0)
    for weight in (1.0, 3.0, 9.0):
        # Wide conditions come before narrow ones where wrong rows weigh more at first.
        region, inside = _narrowed(Draft(1), data, rows, counts, np.array([-bar, weight * (1.0 - bar)]), price)
        region, inside = _narrowed(region, data, inside, counts, np.array([-bar, 1.0 - bar]), price)
        value = float((data.answers[inside] - bar).sum()) - price * region.cost(data.bins)
        if region.sets and value > score:
            best, score = region, value
    return best


def _counts(data: Binned, rows: Indices) -> Floats:
    """How many of the rows are in each bin, right and wrong ones; shape (bins, 2)."""
    counts = np.empty((int(data.table.starts[-1]), 2))
    cart.count(data.table.cells, rows, data.answers, data.weights, counts)
    return counts


def _narrowed(
    region: Draft, data: Binned, rows: Indices, counts: Floats, worth: Floats, price: float
) -> tuple[Draft, Indices]:
    """Add the conditions that are worth their price, the best first, up to `MOST_CLAUSES`; with the rows then held.

    ``worth`` is that of a right row and of a wrong one, ``counts`` are those of the rows where there is no condition.
    """
    starts = data.table.starts
    while len(rows):
        gains = (_counts(data, rows) if region.sets else counts) @ worth
        is_set = np.zeros(len(data.bins), dtype=bool)
        is_set[list(region.sets)] = True
        room, now = MOST_CLAUSES - region.cost(data.bins), float(gains[: starts[1]].sum())
        change = kernel.best_added(data.table, gains, is_set, now, price, room) if room else None
        if change is None or change.place < 0:
            break
        allowed = region.allowed(data).copy()
        kernel.put(data.table, change, gains, allowed)
        added = allowed[starts[change.place] : starts[change.place + 1]].copy()
        region = Draft(1, {**region.sets, change.place: added})
        rows = rows[added[data.columns[change.place][rows]]]
    return region, rows


def why_no_rule(task: Task, default: str) -> str:
    """Say why no rule came out, and what to raise: the least budget of clauses with which one does, where one does.

    Larger budgets are tried by trees on at most `TRIAL_ROWS` rows.
    """
    from ruleedit.surrogate.tree import extract_tree

    counts = np.bincount(task.answers, minlength=len(task.schema.classes))
    others = int(counts.sum() - counts.max())
    begins = f"no rule agrees with the model better than answering {default} for every row"
    bins: list[Bins] = bin_features(task.rows, task.answers, task.schema, task.splits)
    if not bins:
        return f"{begins}: no feature tells these rows apart; give rows that differ in what the model looks at"
    kept = np.unique(np.linspace(0, len(task.rows) - 1, min(len(task.rows), TRIAL_ROWS)).astype(np.intp))
    answers = task.answers[kept]
    least = 1 if task.max_clauses is None else task.max_clauses + 1
    for budget in [budget for budget in TRIED_BUDGETS if budget >= least]:
        if answers.min() == answers.max():
            break
        trial = Task(task.rows[kept], answers, task.schema, task.splits, budget, task.seed)
        if extract_tree(trial).boxes:
            return f"{begins} with so few clauses; raise max_clauses to {budget}"
    return (
        f"{begins}: the {others:,} of {len(task.rows):,} rows that it answers otherwise lie scattered among the rest;"
        " more clauses don't help, more rows or another decision threshold may"
    )
