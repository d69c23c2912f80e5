"""Surrogates: a short ordered rule set that answers as a model does.

`extract` finds one, by one of the `METHODS`; `fidelity` says how far it agrees with the model;
`RuleSurrogate` is the same as a scikit-learn estimator. Whatever is heavy is imported where it is used.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ruleedit.errors import ExtractionFailed, NoRows, Refused, did_you_mean
from ruleedit.matching import Indices, Matrix
from ruleedit.regions import box_clauses, check_rule, clause_cost, rule_box
from ruleedit.rules import Outcome, Rule, RuleSet
from ruleedit.schema import Schema
from ruleedit.surrogate.fidelity import Fidelity, RuleFigures, fidelity, wilson
from ruleedit.surrogate.task import Extractor, Found, Progress, Splits, Task

if TYPE_CHECKING:
    import numpy.typing as npt

    from ruleedit.surrogate.bound import Bound
    from ruleedit.surrogate.estimator import RuleSurrogate
    from ruleedit.surrogate.unexplained import Unexplained


def _tree(task: Task) -> Found:
    from ruleedit.surrogate.tree import extract_tree

    return extract_tree(task)


def _columns(task: Task) -> Found:
    from ruleedit.surrogate.generation import extract_columns

    return extract_columns(task)


def _brcg(task: Task) -> Found:
    from ruleedit.surrogate.brcg import extract_brcg

    return extract_brcg(task)


def _glocalx(task: Task) -> Found:
    from ruleedit.surrogate.glocalx import extract_glocalx

    return extract_glocalx(task)


#: The seam for a method of one's own: a function from a `Task` to what it `Found`, by its name.
EXTRACTORS: dict[str, Extractor] = {
    "column-generation": _columns,
    "aix360-brcg": _brcg,
    "tree": _tree,
    "glocalx": _glocalx,
}
METHODS = ("column-generation", "aix360-brcg", "tree", "glocalx")
DEFAULT_METHOD = "column-generation"
#: A table of so many bytes at most is copied where that makes it quicker to go through.
COPIED_BYTES = 2**28


@dataclass(frozen=True)
class Extraction:
    """A rule set and how faithful it is.

    ``clauses`` is the sum of `ruleedit.regions.clause_cost`; ``cut`` names the limit that ended the
    search early, None where none did; ``notes`` say in words what a reader should know.
    ``unexplained`` says where the rules answer otherwise than the model, ``stability`` (where it was
    asked for) how much of each rule comes back from other rows: `ruleedit.surrogate.stability`.
    ``bound`` (of ``column-generation``) says how much better rules could be, as far as that is proved:
    `ruleedit.surrogate.bound`.
    """

    rules: RuleSet
    method: str
    clauses: int
    train: Fidelity
    holdout: Fidelity | None = None
    cut: str | None = None
    notes: tuple[str, ...] = ()
    unexplained: Unexplained | None = None
    stability: Mapping[str, float | None] | None = None
    bound: Bound | None = None

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON; the rules themselves have formats of their own."""
        return {
            "method": self.method,
            "rules": len(self.rules),
            "clauses": self.clauses,
            "train": self.train.to_json(),
            "holdout": None if self.holdout is None else self.holdout.to_json(),
            "cut": self.cut,
            "notes": list(self.notes),
            "bound": None if self.bound is None else self.bound.to_json(),
            "unexplained": None if self.unexplained is None else self.unexplained.to_json(),
            "stability": None if self.stability is None else dict(self.stability),
        }


def extract(
    rows: Matrix,
    answers: Indices,
    schema: Schema,
    *,
    splits: Splits = (),
    method: str = DEFAULT_METHOD,
    max_clauses: int | None = None,
    seed: int = 0,
    holdout: tuple[Matrix, Indices] | None = None,
    max_iterations: int | None = None,
    seconds: float | None = None,
    progress: Progress | None = None,
    memory: int | None = None,
    start: RuleSet | None = None,
    taken: Collection[str] = (),
    probabilities: npt.NDArray[np.float64] | None = None,
    stability: int = 0,
) -> Extraction:
    """Extract an ordered rule set that answers as a model does.

    Parameters
    ----------
    rows : Matrix
        Encoded rows; shape (n, features); NaN is missing. An ordinary clause is false on it, so the
        rules speak of missing values only by ``is missing`` and ``is not missing``.
    answers : Indices
        The model's outcomes as places in ``schema.classes``; shape (n,).
    schema : Schema
        The features, whose ranges bound the thresholds, and the classes.
    splits : sequence of mappings
        Per feature the model's own numeric thresholds and their total gain. Without them the
        thresholds are quantiles.
    method : str
        One of `METHODS`.
    max_clauses : int, optional
        The budget of clauses, at least 1: a bound counts one, an interval two, a category set one for
        each value named. Never exceeded. None is 32, and no budget for ``aix360-brcg``.
    seed : int
        The same seed, rows and versions give the same rules.
    holdout : pair of Matrix and Indices, optional
        Rows that the model hasn't seen and its answers there, for an honest figure.
    max_iterations : int, optional
        The rounds of column generation and of refinement at most; none is needed for a result.
    seconds : float, optional
        A limit of time by choice. A result that it cut says so and needn't come out the same again.
    memory : int, optional
        A limit by choice on the bytes that the search needs beside the rows: it then looks at fewer of
        them. Not for ``aix360-brcg``.
    progress : callable, optional
        Called with the steps done and all steps; what it raises ends the search.
    start : RuleSet, optional
        Rules to begin with, such as last month's extraction. They compete with those found, are
        bettered like them and win a tie; a rule that stays keeps its wording. Disabled rules, those
        that leave their rows to the model, and what no interval or set of categories can say don't
        take part, nor do any with the method ``aix360-brcg``.
    probabilities : array, optional
        What the model answers on the rows; shape (n, classes). Each outcome is then the mean
        distribution where the rule decides: `ruleedit.surrogate.probabilities`.
    stability : int
        How often to extract again from rows drawn anew, for a figure of how stable each rule is; 0 is never.

    Returns
    -------
    Extraction
        Rules R1, R2, ... in order, first match wins, and the figures.

    Raises
    ------
    Refused
        Where the method isn't known or a limit makes no sense.
    ExtractionFailed
        Where the model answers only one class on these rows.

    References
    ----------
    Dash, Günlük, Wei: *Boolean Decision Rules via Column Generation*, NeurIPS 2018
    (``column-generation`` and, as AIX360 has it, ``aix360-brcg``). Breiman, Friedman, Olshen, Stone:
    *Classification and Regression Trees*, 1984 (``tree``). Setzu et al.: *GLocalX*, Artificial Intelligence 294, 2021
    (``glocalx``).
    """
    from ruleedit.surrogate.names import named
    from ruleedit.surrogate.probabilities import with_probabilities
    from ruleedit.surrogate.unexplained import unexplained, why_no_rule

    extractor = _extractor(method)
    check_limits(max_clauses, max_iterations, seconds, memory)
    _check_rows(rows, answers, schema, splits)
    deadline = None if seconds is None else time.monotonic() + seconds
    if rows.nbytes <= COPIED_BYTES:
        # The rows are gone through column by column: it pays to lay each of them side by side.
        rows = np.asfortranarray(rows)
    task = Task(
        rows,
        answers,
        schema,
        splits,
        max_clauses,
        seed,
        max_iterations,
        deadline,
        progress,
        _as_found(start, schema),
        memory,
    )
    found = extractor(task)
    rules, notes = rule_set(found, schema, () if start is None else start.rules), list(found.notes)
    if start is not None:
        rules = named(rules, start.rules, {*taken, *start.ids}, schema)
    if not rules.rules:
        notes.append(why_no_rule(task, str(rules.default)))
    stable = _stability(rules, task, extractor, stability) if stability else None
    if probabilities is not None:
        rules, more = with_probabilities(rules, rows, probabilities, schema)
        notes.extend(more)
    return Extraction(
        rules=rules,
        method=method,
        clauses=sum(clause_cost(rule) for rule in rules),
        train=fidelity(rules, rows, answers, schema),
        holdout=None if holdout is None or not len(holdout[0]) else fidelity(rules, *holdout, schema),
        cut=found.cut,
        notes=tuple(notes),
        unexplained=unexplained(rules, rows, answers, schema, splits=splits, holdout=holdout, seed=seed),
        stability=stable,
        bound=found.bound,
    )


def _stability(rules: RuleSet, task: Task, extractor: Extractor, extractions: int) -> dict[str, float | None]:
    from ruleedit.surrogate.stability import stability

    def again(other: Task) -> RuleSet:
        return rule_set(extractor(other), task.schema)

    return stability(rules, task, again, extractions, progress=task.progress)


def _extractor(method: str) -> Extractor:
    extractor = EXTRACTORS.get(method)
    if extractor is not None:
        return extractor
    raise Refused(f"no method {method!r}{did_you_mean(method, EXTRACTORS)}")


def check_limits(
    max_clauses: int | None, max_iterations: int | None, seconds: float | None, memory: int | None
) -> None:
    """Raise `Refused` for a limit of `extract` that makes no sense."""
    for name, value, least in (
        ("max_clauses", max_clauses, 1),
        ("max_iterations", max_iterations, 0),
        ("memory", memory, 1),
    ):
        if value is not None and value < least:
            raise Refused(f"{name} {value} is too small; it is at least {least}")
    if seconds is not None and not seconds > 0.0:
        raise Refused(f"seconds {seconds} is no limit of time; give more than 0")


def _check_rows(rows: Matrix, answers: Indices, schema: Schema, splits: Splits) -> None:
    if not len(rows):
        raise NoRows("there is no row to extract rules from")
    if rows.shape != (len(answers), len(schema.features)):
        raise Refused(
            f"rows have the shape {rows.shape}, not ({len(answers)} answers, {len(schema.features)} features)"
        )
    if len(splits) not in (0, len(schema.features)):
        raise Refused(f"splits are for {len(splits)} features, the schema has {len(schema.features)}")
    if answers.min() < 0 or answers.max() >= len(schema.classes):
        raise Refused(f"an answer is a place in the schema's {len(schema.classes)} classes, counted from 0")
    if answers.min() == answers.max():
        only = schema.classes[int(answers[0])]
        raise ExtractionFailed(
            f"the model answers only {only!r} on these {len(rows):,} rows, so no rule is needed to say when;"
            " give rows with other answers, or another decision threshold"
        )


def _as_found(start: RuleSet | None, schema: Schema) -> Found | None:
    """The rules to begin with as boxes; None where no class is their default."""
    top = None if start is None else start.default.top(schema.classes)
    if start is None or top is None:
        return None
    tops = [(rule, rule.outcome.top(schema.classes)) for rule in start if rule.enabled]
    boxes = ((rule_box(rule, schema), schema.classes.index(outcome)) for rule, outcome in tops if outcome is not None)
    return Found(tuple(boxes), schema.classes.index(top))


def _is_simple(rule: Rule, schema: Schema) -> bool:
    """Whether a rule has no more clauses than it needs."""
    box = rule_box(rule, schema)
    shortest = [] if box.is_empty else box_clauses(box, schema)
    return len(shortest) == 1 and clause_cost(rule) <= clause_cost(replace(rule, clauses=shortest[0]))


def rule_set(found: Found, schema: Schema, known: Sequence[Rule] = ()) -> RuleSet:
    """The boxes as rules, in the words of the known rules that say the same; those that say nothing are left out."""
    rules: list[Rule] = []
    words = {rule_box(rule, schema): rule.clauses for rule in known if _is_simple(rule, schema)}
    for box, outcome in found.boxes:
        for clauses in box_clauses(box, schema, words.get(box, ())):
            rule = Rule(f"R{len(rules) + 1}", clauses, Outcome.of(schema.classes[outcome]))
            check_rule(rule, schema)
            rules.append(rule)
    return RuleSet(tuple(rules), Outcome.of(schema.classes[found.default]))


def __getattr__(name: str) -> Any:
    if name == "RuleSurrogate":
        from ruleedit.surrogate.estimator import RuleSurrogate

        return RuleSurrogate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "DEFAULT_METHOD",
    "EXTRACTORS",
    "METHODS",
    "Extraction",
    "Fidelity",
    "Found",
    "RuleFigures",
    "RuleSurrogate",
    "Task",
    "extract",
    "fidelity",
    "wilson",
]
