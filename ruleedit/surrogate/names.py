"""Ids of extracted rules: people find their rules again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ruleedit.regions import Box, rule_box
from ruleedit.rules import Rule, RuleSet
from ruleedit.schema import Schema


def named(rules: RuleSet, known: Sequence[Rule], taken: Iterable[str], schema: Schema) -> RuleSet:
    """Extracted rules with the ids of the known rules that say the same, and others beyond the ids ``taken``."""
    ids: dict[tuple[Box, str | None], list[str]] = {}
    for rule in known:
        ids.setdefault((rule_box(rule, schema), rule.outcome.top(schema.classes)), []).append(rule.id)
    numbers = [int(name[1:]) for name in taken if name[:1] == "R" and name[1:].isdecimal()]
    following = max(numbers, default=0)
    listed: list[Rule] = []
    for rule in rules:
        same = ids.get((rule_box(rule, schema), rule.outcome.top(schema.classes)))
        if not same:
            following += 1
        listed.append(replace(rule, id=same.pop(0) if same else f"R{following}"))
    return replace(rules, rules=tuple(listed))
