"""Rules as TRXF, AIX360's technical rule interchange format: DNF rule sets, the first that holds decides.

`classifier` makes AIX360's own objects, `dumps` the same as JSON under the names of their attributes. In its evaluation
a missing value is NaN, ``==`` on numbers is within 1e-5, ``!=`` holds for NaN, a text that looks like a number is one,
and a feature is an arithmetic expression. So an equality of numbers is written as two bounds, a set as one conjunction
a value, and what is left over is refused by name.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, TypeAlias

from ruleedit.drafts import Draft
from ruleedit.formats.conditions import (
    Condition,
    Missing,
    Numbers,
    Range,
    conditions,
    ordered,
    refuse,
    refuse_model,
    top_class,
)
from ruleedit.rules import Rule
from ruleedit.schema import Feature, Schema

if TYPE_CHECKING:
    from aix360.algorithms.rule_induction.trxf.classifier.ruleset_classifier import RuleSetClassifier

#: The most conjunctions that one rule's sets may be written out as.
MOST_CONJUNCTIONS = 1_000
Predicate: TypeAlias = tuple[str, str, float | str | bool]
Conjunction: TypeAlias = tuple[Predicate, ...]


def dumps(draft: Draft) -> str:
    """The rules as JSON; raises `Refused` for the first rule that TRXF can't say."""
    rules = ordered(draft)
    said = {
        "rule_selection_method": "FIRST_HIT",
        "rule_sets": [_rule_set(rule, conjunctions, draft.schema) for rule, conjunctions in _written(draft)],
        "default_label": top_class(rules.default, draft.schema),
    }
    return json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def classifier(draft: Draft) -> RuleSetClassifier:
    """The rules as AIX360's ``RuleSetClassifier``; raises `Refused` as `dumps` does."""
    from aix360.algorithms.rule_induction.trxf import core
    from aix360.algorithms.rule_induction.trxf.classifier import ruleset_classifier as made

    sets = [
        core.DnfRuleSet(
            [
                core.Conjunction(
                    [core.Predicate(core.Feature(name), core.Relation(sign), value) for name, sign, value in one]
                )
                for one in conjunctions
            ],
            top_class(rule.outcome, draft.schema),
        )
        for rule, conjunctions in _written(draft)
    ]
    default = top_class(ordered(draft).default, draft.schema)
    return made.RuleSetClassifier(sets, made.RuleSelectionMethod.FIRST_HIT, default_label=default)


def _rule_set(rule: Rule, conjunctions: list[Conjunction], schema: Schema) -> dict[str, Any]:
    return {
        "id": rule.id,
        "then_part": top_class(rule.outcome, schema),
        "conjunctions": [
            [{"feature": name, "relation": sign, "value": value} for name, sign, value in one] for one in conjunctions
        ],
    }


def _written(draft: Draft) -> list[tuple[Rule, list[Conjunction]]]:
    rules = ordered(draft)
    refuse_model(rules, "TRXF", "a rule set there has a label, and none leaves its rows to a model")
    return [(rule, _conjunctions(rule, draft.schema)) for rule in rules]


def _conjunctions(rule: Rule, schema: Schema) -> list[Conjunction]:
    """The rule in disjunctive normal form."""
    options: list[list[Conjunction]] = []
    many = 1
    for feature, what in dict.fromkeys(conditions(rule, schema)):
        options.append(_options(rule, feature, what))
        many *= len(options[-1])
        if many > MOST_CONJUNCTIONS:
            refuse(f"rule {rule.id}", "TRXF", f"its sets written out are more than {MOST_CONJUNCTIONS:,} conjunctions")
    return [tuple(itertools.chain.from_iterable(chosen)) for chosen in itertools.product(*options)]


def _options(rule: Rule, feature: Feature, what: Condition) -> list[Conjunction]:
    """A condition as conjunctions of which one must hold."""
    where, name = f"rule {rule.id}", feature.name
    if not name.isascii() or not name.isidentifier() or _looks_like_a_number(name):
        refuse(
            where, "TRXF", f"a feature there is an arithmetic expression, and {name!r} isn't a single name; rename it"
        )
    if isinstance(what, Missing):
        refuse(where, "TRXF", f"no relation there tells whether {name!r} is missing")
    if isinstance(what, Numbers):
        if not what.inverted:
            return [_range(name, span) for span in what.ranges]
        sides = [[_range(name, side) for side in span.outside] for span in what.ranges]
        return [tuple(itertools.chain.from_iterable(chosen)) for chosen in itertools.product(*sides)]
    if what.inverted and feature.missing:
        refuse(where, "TRXF", f"a missing {name!r} would satisfy '!=' there; forbid missing values in the schema")
    values = [_value(where, feature, text) for text in what.values]
    if what.inverted:
        return [tuple((name, "!=", value) for value in values)]
    return [((name, "==", value),) for value in values]


def _value(where: str, feature: Feature, text: str) -> str | bool:
    if feature.kind == "boolean":
        return text == "true"
    if _looks_like_a_number(text):
        refuse(where, "TRXF", f"the category {text!r} of {feature.name!r} would be read as a number")
    return text


def _looks_like_a_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _range(name: str, span: Range) -> Conjunction:
    """Bounds, an equality as two of them: ``==`` is within 1e-5 there."""
    found: list[Predicate] = []
    if span.low is not None:
        found.append((name, ">=" if span.low.closed else ">", span.low.value))
    if span.high is not None:
        found.append((name, "<=" if span.high.closed else "<", span.high.value))
    return tuple(found)
