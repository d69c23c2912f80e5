"""Fidelity: how far a rule set answers as the model does, overall, by class and by rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ruleedit.errors import NoRows
from ruleedit.matching import Indices, Matrix, box_mask, outcome_codes
from ruleedit.regions import rule_box
from ruleedit.rules import RuleSet
from ruleedit.schema import Schema
from ruleedit.tables.sums import Counts, added, counted

#: The ends of a 95% interval.
Interval: TypeAlias = tuple[float, float]

#: The normal quantile of a two-sided 95% interval.
Z95 = 1.959963984540054


@dataclass(frozen=True)
class RuleFigures:
    """One rule on some rows.

    ``covered`` rows lie in its region; ``decided`` of them are its own, as no earlier rule holds
    them; ``precision`` is the share of these on which the model answers as the rule says, and
    ``interval`` its 95% interval (Wilson, 1927); None where there are none. The default's id is
    ``default``: what it decides are the rows of which the rules say nothing.
    """

    rule: str
    covered: int
    decided: int
    precision: float | None
    interval: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rule": self.rule,
            "covered": self.covered,
            "decided": self.decided,
            "precision": self.precision,
            "interval": None if self.interval is None else list(self.interval),
        }


@dataclass(frozen=True)
class ClassFigures:
    """One class: on ``rows`` rows the model answers it, and on the share ``agreement`` of them the rules do too.

    ``interval`` is the share's 95% interval; both are None where the model never answers it.
    """

    name: str
    rows: int
    agreement: float | None
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        interval = None if self.interval is None else list(self.interval)
        return {"rows": self.rows, "agreement": self.agreement, "interval": interval}


@dataclass(frozen=True)
class Fidelity:
    """The agreement of a rule set with a model's answers on some rows.

    ``agreement`` is the share of rows with the same outcome, ``interval`` its 95% interval (Wilson,
    1927). ``by_class`` has the classes in schema order, ``rules`` the enabled rules in theirs, and
    ``default`` is for the rows that no rule holds.
    """

    rows: int
    agreement: float
    interval: Interval
    by_class: tuple[ClassFigures, ...]
    rules: tuple[RuleFigures, ...]
    default: RuleFigures

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rows": self.rows,
            "agreement": self.agreement,
            "interval": list(self.interval),
            "by_class": {figures.name: figures.to_json() for figures in self.by_class},
            "rules": [figures.to_json() for figures in self.rules],
            "default": self.default.to_json(),
        }


def fidelity(rules: RuleSet, rows: Matrix, answers: Indices, schema: Schema) -> Fidelity:
    """Measure a rule set against a model's answers.

    Parameters
    ----------
    rules : RuleSet
        Any rule set that fits the schema. A rule that leaves its rows to the model agrees with it there.
    rows : Matrix
        Encoded rows; shape (n, features); NaN is missing, on which ordinary clauses are false.
    answers : Indices
        The model's answers as places in ``schema.classes``; shape (n,).
    schema : Schema
        The schema of both.

    Returns
    -------
    Fidelity
        A disabled rule has no figures.

    Raises
    ------
    NoRows
        Where there is no row to measure on.
    """
    return fidelity_of(rules, agreement(rules, rows, answers, schema), schema)


@dataclass(frozen=True)
class Agreement:
    """The counts that `fidelity` is made of; those of a table's parts add up to those of the table.

    ``by_class`` has for each class the rows on which the model answers it, and those of them on which the rules do
    too; ``by_rule`` for each enabled rule, and then for the default, the rows that it covers, decides, and
    decides right.
    """

    by_class: Counts
    by_rule: Counts

    def __add__(self, other: Agreement) -> Agreement:
        """The counts of both; raises `ValueError` for those of other rules."""
        return Agreement(added(self.by_class, other.by_class), added(self.by_rule, other.by_rule))


def agreement(rules: RuleSet, rows: Matrix, answers: Indices, schema: Schema) -> Agreement:
    """Count what `fidelity` is made of; see there for the parameters."""
    enabled = [place for place, rule in enumerate(rules) if rule.enabled]
    masks = [box_mask(rule_box(rules.rules[place], schema), rows, schema) for place in enabled]
    deciding = np.full(len(rows), -1, dtype=np.intp)
    for place, mask in zip(reversed(enabled), reversed(masks), strict=True):
        deciding[mask] = place
    outcomes = outcome_codes([*(rule.outcome for rule in rules), rules.default], schema.classes)
    said = outcomes[deciding]
    agrees = ((said == answers) | (said < 0)).astype(np.intp)
    default, *own = counted(deciding + 1, agrees, (len(rules) + 1, 2))
    by_rule = tuple(
        (int(mask.sum()), sum(own[place]), own[place][1]) for place, mask in zip(enabled, masks, strict=True)
    )
    by_class = tuple((miss + hit, hit) for miss, hit in counted(answers, agrees, (len(schema.classes), 2)))
    return Agreement(by_class, (*by_rule, (sum(default), sum(default), default[1])))


def fidelity_of(rules: RuleSet, counts: Agreement, schema: Schema) -> Fidelity:
    """The figures of a rule set that was counted; raises `NoRows` where no row was."""
    rows, hits = (sum(column) for column in zip(*counts.by_class, strict=True))
    if not rows:
        raise NoRows("there is no row to measure the fidelity on")
    names = [*(rule.id for rule in rules if rule.enabled), "default"]
    figures = [_figures(name, *mine) for name, mine in zip(names, counts.by_rule, strict=True)]
    return Fidelity(
        rows=rows,
        agreement=hits / rows,
        interval=wilson(hits, rows),
        by_class=tuple(_class_figures(name, *mine) for name, mine in zip(schema.classes, counts.by_class, strict=True)),
        rules=tuple(figures[:-1]),
        default=figures[-1],
    )


def _figures(rule: str, covered: int, decided: int, right: int) -> RuleFigures:
    if not decided:
        return RuleFigures(rule, covered, decided, None)
    return RuleFigures(rule, covered, decided, right / decided, wilson(right, decided))


def _class_figures(name: str, rows: int, hits: int) -> ClassFigures:
    return ClassFigures(name, rows, hits / rows, wilson(hits, rows)) if rows else ClassFigures(name, 0, None, None)


def wilson(hits: int, rows: int, z: float = Z95) -> Interval:
    """The interval of a share of rows (Wilson, 1927): it stays inside 0 to 1 and says something at 0 and 1 too.

    Examples
    --------
    >>> low, high = wilson(90, 100)
    >>> round(low, 3), round(high, 3)
    (0.826, 0.945)
    """
    share, square = hits / rows, z * z
    middle = (share + square / (2 * rows)) / (1 + square / rows)
    half = z / (1 + square / rows) * math.sqrt(share * (1 - share) / rows + square / (4 * rows * rows))
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    high = 1.0 if hits == rows else min(1.0, middle + half)
    return low, high
