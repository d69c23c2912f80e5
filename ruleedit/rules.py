"""Clauses, outcomes, rules and rule sets: the values that everything else passes around.

They are frozen and know nothing of a schema. They print themselves as text that
`ruleedit.text` reads back exactly; `ruleedit.regions` says which rows they describe.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from ruleedit.errors import OutcomeRefused, UnknownRule

Operator: TypeAlias = Literal[
    "=", "!=", "<", "<=", ">", ">=", "in", "not in", "between", "is missing", "is not missing"
]
OPERATORS: tuple[Operator, ...] = (
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "not in",
    "between",
    "is missing",
    "is not missing",
)
Scalar: TypeAlias = float | str
Value: TypeAlias = Scalar | tuple[Scalar, ...] | None

#: LightGBM reads every number up to this magnitude as zero (``kZeroThreshold``, a 32-bit 1e-35).
ZERO = 1.0000000180025095e-35


#: Words that a bare name or text value can't be, in any case.
KEYWORDS = frozenset(
    ("if", "then", "and", "in", "not", "between", "is", "missing", "model", "otherwise", "before", "after", "to")
)
_WORD = re.compile(r"[^\W\d]\w*")


def is_word(text: str) -> bool:
    """Whether ``text`` can stand bare: letters, digits and underscores, no keyword."""
    return bool(_WORD.fullmatch(text)) and text.lower() not in KEYWORDS


def number_text(value: float) -> str:
    """The shortest decimal that reads back as the same double; whole numbers without ``.0``."""
    return repr(float(value)).removesuffix(".0")


def name_text(name: str) -> str:
    """A feature's name, in backquotes (doubled inside) unless it is a word."""
    return name if is_word(name) else "`" + name.replace("`", "``") + "`"


def value_text(value: Scalar) -> str:
    """A number as it will be read, or a text in single quotes (doubled inside) unless it is a word."""
    if not isinstance(value, str):
        return number_text(read_number(value))
    return value if is_word(value) else "'" + value.replace("'", "''") + "'"


def read_number(value: float) -> float:
    """Return ``value`` as RuleEdit and LightGBM read it: a double, with tiny magnitudes as 0."""
    return 0.0 if abs(value) <= ZERO else float(value)


@dataclass(frozen=True)
class Clause:
    """One atomic condition on one feature.

    ``value`` is a double for a number, a string for a category or a boolean (``"true"``,
    ``"false"``), a tuple for ``in``, ``not in`` and ``between`` (closed), and None for the two
    clauses on missing values. Every other clause is false on a missing value.
    """

    feature: str
    operator: Operator
    value: Value = None

    def __str__(self) -> str:
        name = name_text(self.feature)
        if self.value is None:
            return f"{name} {self.operator}"
        if self.operator == "between":
            low, high = self.values
            return f"{name} between {value_text(low)} and {value_text(high)}"
        if self.operator in ("in", "not in"):
            return f"{name} {self.operator} ({', '.join(map(value_text, self.values))})"
        return f"{name} {self.operator} {value_text(self.values[0])}"

    @property
    def values(self) -> tuple[Scalar, ...]:
        """The clause's values, however many it has."""
        if self.value is None:
            return ()
        return self.value if isinstance(self.value, tuple) else (self.value,)


@dataclass(frozen=True)
class Outcome:
    """What a rule answers: a class, a probability distribution, or nothing of its own (`model`).

    ``weights`` pairs classes with probabilities, sorted by class; it is empty for `model`. A
    distribution that gives everything to one class is that class.
    """

    weights: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, name: str) -> Outcome:
        """The outcome that is one class."""
        return cls(((name, 1.0),))

    @classmethod
    def spread(cls, weights: Mapping[str, float]) -> Outcome:
        """The outcome that is a distribution; probabilities must be in [0, 1] and sum to 1 within 1e-9."""
        for name, p in weights.items():
            if not (0.0 <= p <= 1.0):
                raise OutcomeRefused(f"probability {p} of {name!r} is outside 0 to 1")
        total = math.fsum(weights.values())
        if abs(total - 1.0) > 1e-9:
            raise OutcomeRefused(
                f"the probabilities {', '.join(f'{n} {p:g}' for n, p in weights.items())} sum to {total:.10g}, not 1"
            )
        kept = tuple(sorted((name, float(p)) for name, p in weights.items() if read_number(p) > 0.0))
        return cls.of(kept[0][0]) if len(kept) == 1 else cls(kept)

    def __str__(self) -> str:
        if self.is_model:
            return "model"
        if self.is_class:
            return value_text(self.weights[0][0])
        return ", ".join(f"{value_text(name)} {number_text(p)}" for name, p in self.weights)

    @property
    def is_model(self) -> bool:
        """Whether the rule leaves its rows to the model."""
        return not self.weights

    @property
    def is_class(self) -> bool:
        """Whether the outcome is one class for certain."""
        return len(self.weights) == 1

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that have a probability above 0."""
        return tuple(name for name, _ in self.weights)

    def top(self, classes: tuple[str, ...]) -> str | None:
        """The greatest class, ties to the first in the order of ``classes``; None for `model`."""
        given = dict(self.weights)
        return max(classes, key=lambda name: given.get(name, 0.0)) if given else None

    def vector(self, classes: tuple[str, ...]) -> list[float]:
        """The probabilities in the order of ``classes``; all 0 for `model`."""
        given = dict(self.weights)
        return [given.get(name, 0.0) for name in classes]


MODEL = Outcome()


@dataclass(frozen=True)
class Rule:
    """A conjunction of clauses and an outcome.

    ``asserted`` is kept by `ruleedit.edits` as a function of base and edited set: a rule that a
    user added, changed or confirmed. ``asserts`` says whether an asserted rule asks for its
    outcome on all rows that it decides (``whole``) or only where base and edited set answer
    differently (``change``). ``placed`` marks a rule that a user put where it stands.
    ``remainder_of`` names the rule whose uncovered rows this one answers for (`otherwise`),
    ``part_of`` the rule that a carving wrote as this and other boxes. ``confidence`` is the share of
    its rows for which whoever wrote it expects it to be right, None where nobody said.
    """

    id: str
    clauses: tuple[Clause, ...]
    outcome: Outcome
    asserted: bool = False
    enabled: bool = True
    confirmed: bool = False
    placed: bool = False
    asserts: Literal["whole", "change"] = "whole"
    remainder_of: str | None = None
    part_of: str | None = None
    confidence: float | None = None

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        # Every revision is a hash over the texts of all rules, most of which are as they were.
        return f"IF {' AND '.join(map(str, self.clauses))} THEN {self.outcome}"

    def says(self, other: Rule) -> bool:
        """Whether both rules have the same clauses, in whatever order, and the same outcome."""
        return frozenset(self.clauses) == frozenset(other.clauses) and self.outcome == other.outcome

    def replace(self, **changes: object) -> Rule:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


Strategy: TypeAlias = Literal["priority", "specific", "carve", "mixture", "outcome", "model"]
STRATEGIES: tuple[Strategy, ...] = ("priority", "specific", "carve", "mixture", "outcome", "model")


@dataclass(frozen=True)
class Settlement:
    """The record of how a conflict between two asserted rules was settled.

    ``rules`` and ``texts`` are the pair, in the order of their ids, as they stood when somebody
    settled it: the settlement stands while their intersection is the same or smaller and both
    outcomes are the same. Exactly one of ``winner`` and ``outcome`` is given.
    """

    rules: tuple[str, str]
    texts: tuple[str, str]
    strategy: Strategy
    winner: str | None = None
    outcome: Outcome | None = None

    def loser(self) -> str | None:
        """The rule that gives way in the intersection, where one does."""
        if self.winner is None:
            return None
        first, second = self.rules
        return second if self.winner == first else first


@dataclass(frozen=True)
class RuleSet:
    """An ordered list of rules, first match wins, with a default outcome and the settlements.

    What it says, row by row, is `ruleedit.matching.decide`.
    """

    rules: tuple[Rule, ...]
    default: Outcome
    settlements: tuple[Settlement, ...] = ()

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    @property
    def enabled(self) -> tuple[Rule, ...]:
        """The rules that can decide, in order."""
        return tuple(rule for rule in self.rules if rule.enabled)

    @property
    def ids(self) -> tuple[str, ...]:
        """The rules' ids, in order."""
        return tuple(rule.id for rule in self.rules)

    def position(self, rule_id: str) -> int:
        """The place of a rule, counted from 0; raises `UnknownRule`."""
        for place, rule in enumerate(self.rules):
            if rule.id == rule_id:
                return place
        raise UnknownRule.among(rule_id, self.ids)

    def rule(self, rule_id: str) -> Rule:
        """The rule with this id; raises `UnknownRule`."""
        return self.rules[self.position(rule_id)]
