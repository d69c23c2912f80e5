"""Rule learners to compare with: each learns a model's answers from a table, and its clauses are counted alike.

Clauses are counted over the rules as shown, redundant ones merged: a bound counts one, an interval
two, a category one. A tree is read as rules for every class but the one that takes most clauses. A
peer that has no budget of its own is run at its defaults, and what came out is reported.
"""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ruleedit.schema import Schema
from ruleedit.surrogate import EXTRACTORS, extract
from ruleedit.surrogate.binarise import MOST_CUTS, MOST_NAMED, Bins, NumberBins, bin_features

#: How wittgenstein writes a bin of a number that has both ends.
_INTERVAL = re.compile(r"-?[\d.]+(?:e[+-]?\d+)? ?- ?-?[\d.]+(?:e[+-]?\d+)?")
BUDGETS = (8, 16, 32)
#: The columns with which AIX360's BRCG comes to its end on tables of some 10,000 rows.
FEW_CUTS, FEW_NAMED = 10, 20
Floats = npt.NDArray[np.float64]
Answers = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Result:
    """What a peer gives: the budget it was asked for (None: it has none) and its answers on the held-out rows.

    ``clock`` and ``cpu`` are the seconds of learning, by the clock and of this process's threads.
    """

    budget: int | None
    said: Answers
    clauses: int
    rules: int
    clock: float
    cpu: float


def reading() -> tuple[float, float]:
    """The clock and the processor time of this process now, in seconds."""
    return time.perf_counter(), time.process_time()


def since(began: tuple[float, float]) -> tuple[float, float]:
    """What has passed of both."""
    return time.perf_counter() - began[0], time.process_time() - began[1]


@dataclass(frozen=True)
class Data:
    """Encoded rows with a model's answers, its thresholds, and held-out rows to answer."""

    schema: Schema
    rows: Floats
    answers: Answers
    splits: tuple[dict[float, float], ...]
    held: Floats
    seed: int

    @property
    def classes(self) -> int:
        """How many classes the model answers."""
        return len(np.unique(self.answers))

    def numbers(self, rows: Floats) -> Floats:
        """The rows as numbers alone: a column for each category, missing values as the training median."""
        columns = []
        for place, feature in enumerate(self.schema.features):
            column, seen = rows[:, place], self.rows[:, place]
            if feature.is_number:
                columns.append(
                    np.where(np.isnan(column), np.nanmedian(seen) if (~np.isnan(seen)).any() else 0.0, column)
                )
            else:
                codes = np.unique(seen[~np.isnan(seen)])
                columns += [(column == code).astype(float) for code in codes]
        return np.stack(columns, axis=1)


def ours(method: str, *, has_budget: bool = True) -> Callable[[Data, tuple[int, ...]], Iterator[Result]]:
    """One of our own methods, under each budget, or at its default alone."""

    def run(data: Data, budgets: tuple[int, ...]) -> Iterator[Result]:
        from ruleedit.matching import decide, outcome_codes
        from ruleedit.workflow import prepare

        prepare(method)
        for budget in budgets if has_budget else (None,):
            began = reading()
            found = extract(
                data.rows, data.answers, data.schema, splits=data.splits, method=method, max_clauses=budget,
                seed=data.seed,
            )  # fmt: skip
            seconds = since(began)
            rules = found.rules
            codes = outcome_codes([*(rule.outcome for rule in rules), rules.default], data.schema.classes)
            said = codes[decide(rules, data.held, data.schema)]
            yield Result(budget, said.astype(np.intp), found.clauses, len(rules), *seconds)

    return run


def cart(data: Data, budgets: tuple[int, ...]) -> Iterator[Result]:
    """scikit-learn's tree: the largest whose rules fit the budget; the seconds are those of that tree alone."""
    from sklearn.tree import DecisionTreeClassifier

    table, held = data.numbers(data.rows), data.numbers(data.held)
    for budget in budgets:
        best: Result | None = None
        for leaves in range(2, 4 * budget):
            began = reading()
            model = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=data.seed).fit(table, data.answers)
            seconds = since(began)
            clauses, rules = tree_clauses(model)
            if clauses > budget and best is not None:
                break
            if clauses <= budget:
                best = Result(budget, model.predict(held), clauses, rules, *seconds)
        if best is not None:
            yield best


def tree_clauses(model: Any) -> tuple[int, int]:
    """The clauses and rules of a tree, without those of the class that takes most clauses."""
    tree = model.tree_
    sides: dict[int, int] = {}
    leaves: dict[int, int] = {}
    stack: list[tuple[int, frozenset[tuple[int, bool]]]] = [(0, frozenset())]
    while stack:
        node, bounds = stack.pop()
        if tree.children_left[node] < 0:
            answer = int(tree.value[node][0].argmax())
            sides[answer] = sides.get(answer, 0) + len(bounds)
            leaves[answer] = leaves.get(answer, 0) + 1
            continue
        for child, below in ((tree.children_left[node], True), (tree.children_right[node], False)):
            stack.append((child, bounds | {(int(tree.feature[node]), below)}))
    left_out = max(sides, key=lambda answer: sides[answer])
    return sum(sides.values()) - sides[left_out], sum(leaves.values()) - leaves[left_out]


def brcg(data: Data, budgets: tuple[int, ...]) -> Iterator[Result]:
    """AIX360's BRCG at its defaults, on all rows of our weightiest bins as truths: few, so that it comes to its end."""
    yield from _brcg(data, FEW_CUTS, FEW_NAMED)


def brcg_on_all_bins(data: Data, budgets: tuple[int, ...]) -> Iterator[Result]:
    """The same on every bin that our own method has: the same binarised table, for the time that it takes."""
    yield from _brcg(data, MOST_CUTS, MOST_NAMED)


def _brcg(data: Data, cuts: int, named: int) -> Iterator[Result]:
    """With so many cuts of a number and values of a category; CLARABEL, as its own solver isn't there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from aix360.algorithms.rbm.boolean_rule_cg import BooleanRuleCG

        bins = bin_features(data.rows, data.answers, data.schema, data.splits)
        truths, held = (truth_table(bins, rows, cuts, named) for rows in (data.rows, data.held))
        low, high = np.unique(data.answers)
        model = BooleanRuleCG(solver="CLARABEL", silent=True)
        began = reading()
        model.fit(truths, (data.answers == high).astype(int))
        seconds = since(began)
        said = np.where(np.asarray(model.predict(held)) > 0, high, low)
    chosen = np.flatnonzero(np.asarray(model.w, dtype=float) > 0.5)
    used = np.asarray(model.z, dtype=int)[:, chosen] > 0
    clauses = sum(len({column[:2] for column in truths.columns[rule]}) for rule in used.T)
    yield Result(None, said.astype(np.intp), clauses, len(chosen), *seconds)


def truth_table(bins: list[Bins], rows: Floats, cuts: int, named: int) -> pd.DataFrame:
    """Our bins as AIX360's columns: the weightiest cuts of a number, some categories, and each negation."""
    columns: dict[tuple[int, str, float], Floats] = {}
    for place, each in enumerate(bins):
        codes, last = each.codes(rows[:, each.place]), each.size - 1
        if isinstance(each, NumberBins):
            for cut in np.sort(np.argsort(-each.weights, kind="stable")[:cuts]).tolist():
                columns[place, "<=", float(each.cuts[cut])] = codes <= cut
                columns[place, ">", float(each.cuts[cut])] = (codes > cut) & (codes < last)
        else:
            for one in range(min(named, len(each.named))):
                columns[place, "==", float(one)] = codes == one
                columns[place, "!=", float(one)] = (codes != one) & (codes < last)
        if each.has_missing:
            columns[len(bins) + place, "==", 1.0] = codes == last
            columns[len(bins) + place, "!=", 1.0] = codes < last
    return pd.DataFrame({name: column.astype(int) for name, column in columns.items()})


def ripper(data: Data, budgets: tuple[int, ...]) -> Iterator[Result]:
    """wittgenstein's RIPPER at its defaults, for the rarer answer."""
    del budgets
    from wittgenstein import RIPPER

    table, held = (_frame(data, rows) for rows in (data.rows, data.held))
    values, counts = np.unique(data.answers, return_counts=True)
    rare, common = values[counts.argmin()], values[counts.argmax()]
    model = RIPPER(random_state=data.seed)
    began = reading()
    model.fit(table, y=data.answers == rare, pos_class=True)
    seconds = since(began)
    said = np.where(np.asarray(model.predict(held)), rare, common)
    clauses = sum(_ripper_clauses(rule) for rule in model.ruleset_.rules)
    yield Result(None, said.astype(np.intp), clauses, len(model.ruleset_.rules), *seconds)


def _ripper_clauses(rule: Any) -> int:
    """The clauses of a rule of wittgenstein's; a bin of a number, as in 1.5-2.0, is an interval and so two."""
    return sum(2 if _INTERVAL.fullmatch(str(condition.val)) else 1 for condition in rule.conds)


def _frame(data: Data, rows: Floats) -> pd.DataFrame:
    """The table with categories as text, for a learner that reads them."""
    columns: dict[str, Any] = {}
    for place, feature in enumerate(data.schema.features):
        column = rows[:, place]
        if feature.is_number:
            median = np.nanmedian(data.rows[:, place]) if (~np.isnan(data.rows[:, place])).any() else 0.0
            columns[f"f{place}"] = np.where(np.isnan(column), median, column)
        else:
            columns[f"f{place}"] = [f"c{code:g}" for code in np.nan_to_num(column, nan=-1.0)]
    return pd.DataFrame(columns)


def greedy_list(data: Data, budgets: tuple[int, ...]) -> Iterator[Result]:
    """imodels' greedy rule list: one clause a rule, and a last rule for the rest that has none."""
    from imodels import GreedyRuleListClassifier

    yield from _imodels(
        data,
        budgets,
        lambda budget: GreedyRuleListClassifier(max_depth=budget),
        lambda model: sum("cutoff" in rule for rule in model.rules_),
    )


def figs(data: Data, budgets: tuple[int, ...]) -> Iterator[Result]:
    """imodels' FIGS: a sum of small trees, one clause a split; it isn't rules that somebody could edit."""
    from imodels import FIGSClassifier

    yield from _imodels(
        data, budgets, lambda budget: FIGSClassifier(max_rules=budget, random_state=data.seed), lambda m: m.complexity_
    )


def _imodels(
    data: Data, budgets: tuple[int, ...], make: Callable[[int], Any], count: Callable[[Any], int]
) -> Iterator[Result]:
    table, held = data.numbers(data.rows), data.numbers(data.held)
    for budget in budgets:
        model = make(budget)
        began = reading()
        model.fit(table, data.answers)
        seconds = since(began)
        clauses = int(count(model))
        yield Result(budget, np.asarray(model.predict(held)).astype(np.intp), clauses, clauses, *seconds)


def rug(data: Data, budgets: tuple[int, ...]) -> Iterator[Result]:
    """RuleOpt's RUG: weighted rules; of a few depths and rounds the best on the training rows within the budget."""
    from ruleopt import RUGClassifier

    table, held = data.numbers(data.rows), data.numbers(data.held)
    known, answers = np.unique(data.answers, return_inverse=True)
    tried: list[tuple[int, float, Any]] = []
    began = reading()
    for depth, rounds in ((1, 1), (1, 5), (2, 1), (2, 3), (3, 1), (3, 3)):
        model = RUGClassifier(max_depth=depth, max_rmp_calls=rounds, random_state=data.seed).fit(table, answers)
        clauses = sum(_bounds(rule) for rule in model.decision_rules_.values())
        tried.append((clauses, float((model.predict(table) == answers).mean()), model))
    seconds = since(began)
    for budget in budgets:
        fitting = [one for one in tried if one[0] <= budget]
        if fitting:
            clauses, _, model = max(fitting, key=lambda one: one[1])
            said = known[np.asarray(model.predict(held)).astype(np.intp)]
            yield Result(budget, said, clauses, len(model.decision_rules_), *seconds)


def _bounds(rule: Any) -> int:
    """The bounds of a rule of RUG, an interval as two."""
    return sum(math.isfinite(side["lb"]) + math.isfinite(side["ub"]) for side in rule.to_dict().values())


#: Our own methods.
OURS = tuple(name for name in ("column-generation", "tree", "glocalx") if name in EXTRACTORS)
#: The peers by name.
PEERS: dict[str, Callable[[Data, tuple[int, ...]], Iterator[Result]]] = {
    **{name: ours(name) for name in OURS},
    "aix360-brcg": ours("aix360-brcg", has_budget=False),
    "CART": cart,
    "AIX360 BRCG": brcg,
    "AIX360 BRCG, all bins": brcg_on_all_bins,
    "RIPPER": ripper,
    "greedy list": greedy_list,
    "FIGS": figs,
    "RUG": rug,
}
#: These learn two classes alone.
BINARY = ("AIX360 BRCG", "AIX360 BRCG, all bins", "RIPPER", "greedy list")
#: In this order they run: those that every other is measured by, then the quick ones, then those that take minutes.
TIERS = (
    ("column-generation", "CART"),
    ("tree", "glocalx"),
    ("FIGS", "greedy list", "RUG"),
    ("aix360-brcg", "AIX360 BRCG", "RIPPER"),
    ("AIX360 BRCG, all bins",),
)
