"""What readers find, and how it becomes a rule set: ids, alternatives, the default, every check with its place."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ruleedit.drafts import check_default
from ruleedit.errors import FileRefused, RuleEditError
from ruleedit.regions import Box, box_clauses, check_rule, set_clauses
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Schema
from ruleedit.text import parse_rule

#: One row of a table may stand for so many rules: unions of intervals are written as several.
MOST_ALTERNATIVES = 256
#: The most rules that are read.
MOST_RULES = 10_000
_ID = re.compile(r"[^\W\d][\w.~+-]*")


@dataclass(frozen=True)
class Line:
    """One rule as it was found.

    ``where`` is its place in the file. ``alternatives`` are conjunctions of which one must hold;
    one that is empty holds for every row, none at all for no row.
    """

    where: str
    alternatives: tuple[tuple[Clause, ...], ...]
    outcome: Outcome
    id: str | None = None
    enabled: bool = True


@dataclass(frozen=True)
class Found:
    """What a file says: rules in order, the default where it has one, and notes."""

    lines: tuple[Line, ...]
    default: Outcome | None = None
    notes: tuple[str, ...] = ()


@contextlib.contextmanager
def at(where: str) -> Iterator[None]:
    """Say the place in whatever is refused inside."""
    try:
        yield
    except FileRefused:
        raise
    except RuleEditError as problem:
        raise FileRefused(f"{where}: {problem}") from None


def alternatives(
    box: Box, schema: Schema, where: str, wording: Iterable[Clause] = ()
) -> tuple[tuple[Clause, ...], ...]:
    """A box as conjunctions; raises `FileRefused` where they are too many, or no row is in it."""
    if box.is_empty:
        raise FileRefused(f"{where}: no row can satisfy it")
    many = 1
    for name, values in box.sets:
        many *= max(1, len(set_clauses(values, schema.feature(name))))
        if many > MOST_ALTERNATIVES:
            raise FileRefused(f"{where}: it takes more than {MOST_ALTERNATIVES} rules to say it; split the row")
    return tuple(box_clauses(box, schema, wording))


def assembled(found: Found, schema: Schema, default: Outcome | None) -> RuleSet:
    """The rule set of what was found; raises `FileRefused` with the place of what can't be."""
    lines, closing = _default(found, default)
    if closing is None:
        raise FileRefused("the file doesn't say what holds where no rule does; give it as the default")
    rules = tuple(_named(lines, schema))
    if len(rules) > MOST_RULES:
        raise FileRefused(f"{len(rules):,} rules; at most {MOST_RULES:,} are read")
    with at("the default"):
        check_default(closing, schema)
    return RuleSet(rules, closing)


def _default(found: Found, given: Outcome | None) -> tuple[Sequence[Line], Outcome | None]:
    """The lines that are rules, and the default: as given, as the file says, or a last line that holds always."""
    last = found.lines[-1] if found.lines else None
    if last is None or () not in last.alternatives or not last.enabled:
        return found.lines, given or found.default
    return found.lines[:-1], given or last.outcome


def _said(alternatives: Iterable[tuple[Clause, ...]], schema: Schema) -> Iterator[tuple[Clause, ...]]:
    """The conjunctions, each with a clause at least: what holds for every row is said of the first feature."""
    first = schema.features[0]
    for clauses in alternatives:
        if clauses:
            yield clauses
            continue
        yield (Clause(first.name, "is not missing"),)
        if first.missing:
            yield (Clause(first.name, "is missing"),)


def _named(lines: Sequence[Line], schema: Schema) -> Iterator[Rule]:
    """The rules with ids of their own: the file's where they can be ids and differ, else R1, R2, ..."""
    given = [line.id for line in lines]
    keep = all(name is not None and _ID.fullmatch(name) for name in given) and len(set(given)) == len(given)
    taken: set[str] = set()
    for number, line in enumerate(lines, start=1):
        name = line.id if keep and line.id else f"R{number}"
        said = tuple(_said(line.alternatives, schema))
        for place, clauses in enumerate(said, start=1):
            rule_id = name if len(said) == 1 else f"{name}.{place}"
            while rule_id in taken:
                rule_id += "_"
            taken.add(rule_id)
            yield _checked(Rule(rule_id, clauses, line.outcome, enabled=line.enabled), schema, line.where)


def _checked(rule: Rule, schema: Schema, where: str) -> Rule:
    """The rule, which fits the schema and can be written as text."""
    with at(where):
        check_rule(rule, schema)
        parse_rule(str(rule), rule.id)
    return rule
