"""Rules that answer with probabilities: each outcome as the model's mean distribution where the rule decides."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ruleedit.matching import Matrix, decide
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Schema

#: Probabilities have so many decimals at least, and at most where fewer would say nothing or another class.
FEWEST_DIGITS, MOST_DIGITS = 2, 4


def with_probabilities(
    rules: RuleSet, rows: Matrix, probabilities: npt.NDArray[np.float64], schema: Schema
) -> tuple[RuleSet, tuple[str, ...]]:
    """The same rules with the model's mean distribution as the outcome of each, and of the default.

    A rule set's outcome is its distribution's greatest class, whatever the model's thresholds are.
    So that every row keeps its outcome, a rule stays a plain class where the mean's greatest class
    is another one (the model's thresholds are unequal, or a few rows are sure of another class
    while most lean to the rule's), and where the rule decides no row; a note says so.

    Parameters
    ----------
    rules : RuleSet
        Rules whose outcomes are classes.
    rows : Matrix
        Encoded rows (n, features), NaN for missing: those that the rules were made from.
    probabilities : array
        What the model answers there; shape (n, classes).
    schema : Schema
        The schema of both.

    Returns
    -------
    RuleSet and notes
        Probabilities are rounded to the fewest decimals, from `FEWEST_DIGITS` to `MOST_DIGITS`, that
        keep the class and leave more than one class; they sum to 1.
    """
    deciding = decide(rules, rows, schema)
    notes: list[str] = []

    def outcome(place: int, name: str, now: Outcome) -> Outcome:
        here = deciding == place
        if not now.is_class or not here.any():
            return now
        mean = probabilities[here].mean(axis=0)
        found = readable(mean, now, schema)
        if found is None:
            shown = ", ".join(f"{each} {p:.3f}" for each, p in zip(schema.classes, mean, strict=True))
            notes.append(f"{name} stays {now}: the model's mean there, {shown}, would answer another class")
        return found or now

    listed = tuple(rule.replace(outcome=outcome(place, rule.id, rule.outcome)) for place, rule in enumerate(rules))
    default = outcome(-1, "the default", rules.default)
    return RuleSet(listed, default, rules.settlements), tuple(notes)


def readable(mean: npt.NDArray[np.float64], now: Outcome, schema: Schema) -> Outcome | None:
    """A mean distribution (classes,) with few decimals and the greatest class of ``now``; None where it has another.

    Examples
    --------
    >>> from ruleedit.schema import Feature
    >>> schema = Schema((Feature("x", "numeric"),), "y", ("no", "yes"))
    >>> print(readable(np.array([0.0871, 0.9129]), Outcome.of("yes"), schema))
    no 0.09, yes 0.91
    """
    top = now.top(schema.classes)
    for digits in range(FEWEST_DIGITS, MOST_DIGITS + 1):
        units = _apportioned(mean, 10**digits)
        weights = {name: unit / 10**digits for name, unit in zip(schema.classes, units, strict=True)}
        found = Outcome.spread(weights)
        if found.top(schema.classes) == top and not found.is_class:
            return found
    return now if found.top(schema.classes) == top else None


def _apportioned(mean: npt.NDArray[np.float64], units: int) -> list[int]:
    """Whole units by the largest remainder, so that they sum to all of them; ties go to the first class."""
    exact = mean / mean.sum() * units
    given = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - given), kind="stable")
    given[order[: units - int(given.sum())]] += 1
    return [int(unit) for unit in given]
