"""A PMML RuleSetModel (PMML 4.0 to 4.4) with the rule selection method firstHit.

A rule fires where its predicate is TRUE. Read are SimplePredicate, SimpleSetPredicate, CompoundPredicate (and, or),
True, False, and CompoundRule, whose inner rules also ask what it asks. Transformations, surrogates and missing value
replacements would change what a rule is about and are refused. Source: Data Mining Group, PMML 4.4, RuleSet.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence

from lxml import etree

from ruleedit.errors import ClauseRefused, FileRefused, RuleTextError
from ruleedit.formats.read.assembling import MOST_ALTERNATIVES, MOST_RULES, Found, Line, alternatives, at
from ruleedit.formats.read.markup import elements, line_of, name_of, parsed
from ruleedit.formats.read.truth import Test, comparison, equal, known, missing
from ruleedit.regions import Box
from ruleedit.rules import Operator, Outcome
from ruleedit.schema import Feature, Schema

_NAMESPACE = re.compile(r"http://www\.dmg\.org/PMML-4_[0-4]")
_PREDICATES = ("SimplePredicate", "SimpleSetPredicate", "CompoundPredicate", "True", "False")
_COMPARISONS: dict[str, Operator] = {
    "lessThan": "<",
    "lessOrEqual": "<=",
    "greaterThan": ">",
    "greaterOrEqual": ">=",
}
#: Predicates nested deeper are refused.
MOST_DEPTH = 32


def read(content: bytes, schema: Schema) -> Found:
    """The rules of a PMML document; raises `FileRefused` with the line and the element."""
    root = parsed(content, "the PMML document")
    namespace = etree.QName(root).namespace or ""
    if name_of(root) != "PMML" or not _NAMESPACE.fullmatch(namespace):
        raise FileRefused(f"{line_of(root)}: the namespace {namespace!r} is no PMML 4.0 to 4.4")
    models = [element for element in elements(root) if name_of(element).endswith("Model")]
    if [name_of(element) for element in models] != ["RuleSetModel"]:
        told = ", ".join(name_of(element) for element in models) or "none"
        raise FileRefused(f"{line_of(root)}: the models are {told}; one RuleSetModel is read")
    _check_around(root, models[0], schema)
    return _rule_set(models[0], schema)


def _check_around(root: etree._Element, model: etree._Element, schema: Schema) -> None:
    for element in (*elements(root, "TransformationDictionary"), *elements(model, "LocalTransformations", "Targets")):
        if len(element):
            raise FileRefused(f"{line_of(element)}: it changes values or answers, which a rule set can't say")
    for mining in elements(model, "MiningSchema"):
        for field in elements(mining, "MiningField"):
            name, changed = field.get("name", ""), field.get("missingValueReplacement")
            if changed is not None:
                raise FileRefused(f"{line_of(field)}: {name!r} replaces missing values; a rule set leaves them missing")
            if field.get("invalidValueTreatment") == "asMissing" or field.get("outliers", "asIs") != "asIs":
                raise FileRefused(f"{line_of(field)}: {name!r} changes values before they are compared")
            if field.get("usageType", "active") == "active":
                with at(line_of(field)):
                    schema.feature(name)


def _rule_set(model: etree._Element, schema: Schema) -> Found:
    rule_sets = list(elements(model, "RuleSet"))
    if len(rule_sets) != 1:
        raise FileRefused(f"{line_of(model)}: {len(rule_sets)} rule sets; one is read")
    methods = [element.get("criterion") for element in elements(rule_sets[0], "RuleSelectionMethod")]
    if methods[:1] != ["firstHit"]:
        raise FileRefused(f"{line_of(rule_sets[0])}: the rule selection method is {methods[:1]}; firstHit is read")
    lines = tuple(_lines(rule_sets[0], (Box(),), schema))
    if len(lines) > MOST_RULES:
        raise FileRefused(f"{line_of(rule_sets[0])}: more than {MOST_RULES:,} rules")
    default = rule_sets[0].get("defaultScore")
    if default is None:
        return Found(lines)
    return Found(lines, _outcome(rule_sets[0], default, schema))


def _lines(parent: etree._Element, around: tuple[Box, ...], schema: Schema, depth: int = 0) -> Iterator[Line]:
    """The simple rules in order, with what the compound rules around them ask."""
    if depth > MOST_DEPTH:
        raise FileRefused(f"{line_of(parent)}: rules nested deeper than {MOST_DEPTH}")
    for rule in elements(parent, "SimpleRule", "CompoundRule"):
        here = _both(around, _boxes(_predicate(rule), schema), line_of(rule))
        if name_of(rule) == "CompoundRule":
            yield from _lines(rule, here, schema, depth + 1)
            continue
        score = rule.get("score")
        if score is None:
            raise FileRefused(f"{line_of(rule)}: no score")
        if here:
            yield from _line(rule, here, _outcome(rule, score, schema), schema)


def _line(rule: etree._Element, boxes: tuple[Box, ...], outcome: Outcome, schema: Schema) -> Iterator[Line]:
    where = f"{line_of(rule)} {rule.get('id', '')}".rstrip()
    found = [clauses for box in boxes for clauses in alternatives(box, schema, where)]
    if len(found) > MOST_ALTERNATIVES:
        raise FileRefused(f"{where}: it takes more than {MOST_ALTERNATIVES} rules to say it; split it")
    yield Line(where, tuple(dict.fromkeys(found)), outcome, rule.get("id"))


def _predicate(parent: etree._Element) -> etree._Element:
    found = [
        element
        for element in elements(parent)
        if name_of(element).endswith("Predicate") or name_of(element) in _PREDICATES
    ]
    if len(found) != 1:
        raise FileRefused(f"{line_of(parent)}: {len(found)} predicates; one is read")
    return found[0]


def _boxes(predicate: etree._Element, schema: Schema, depth: int = 0) -> tuple[Box, ...]:
    """The rows for which a predicate is TRUE, as boxes."""
    kind, where = name_of(predicate), line_of(predicate)
    if depth > MOST_DEPTH:
        raise FileRefused(f"{where}: predicates nested deeper than {MOST_DEPTH}")
    if kind in ("True", "False"):
        return (Box(),) if kind == "True" else ()
    if kind == "CompoundPredicate":
        inner = [
            _boxes(element, schema, depth + 1) for element in elements(predicate) if name_of(element) != "Extension"
        ]
        return _compound(predicate.get("booleanOperator", ""), inner, where)
    if kind not in ("SimplePredicate", "SimpleSetPredicate"):
        raise FileRefused(f"{where}: the predicate {kind} is not read")
    with at(where):
        feature = schema.feature(predicate.get("field", ""))
        found = (_simple if kind == "SimplePredicate" else _among)(predicate, feature, schema)
    return () if found.true.is_empty else (Box.of({feature.name: found.true}),)


def _compound(operator: str, inner: Sequence[tuple[Box, ...]], where: str) -> tuple[Box, ...]:
    if operator == "or":
        return tuple(dict.fromkeys(box for boxes in inner for box in boxes))
    if operator != "and":
        raise FileRefused(f"{where}: the operator {operator!r} is not read; and and or are")
    found: tuple[Box, ...] = (Box(),)
    for boxes in inner:
        found = _both(found, boxes, where)
    return found


def _both(one: tuple[Box, ...], other: tuple[Box, ...], where: str) -> tuple[Box, ...]:
    if len(one) * len(other) > MOST_ALTERNATIVES:
        raise FileRefused(f"{where}: it takes more than {MOST_ALTERNATIVES} rules to say it; split it")
    met = (first.intersect(second) for first in one for second in other)
    return tuple(dict.fromkeys(box for box in met if not box.is_empty))


def _simple(predicate: etree._Element, feature: Feature, schema: Schema) -> Test:
    operator = predicate.get("operator", "")
    if operator in ("isMissing", "isNotMissing"):
        found = missing(feature)
        return found if operator == "isMissing" else ~found
    text = predicate.get("value")
    if text is None:
        raise RuleTextError(f"{operator!r} without a value")
    value = _number(text) if feature.is_number else text
    if operator in ("equal", "notEqual"):
        found = known(equal([value], feature, absent=_absent(feature, schema)), feature)
        return found if operator == "equal" else ~found
    if operator not in _COMPARISONS:
        raise RuleTextError(f"no operator {operator!r}")
    if not isinstance(value, float):
        raise ClauseRefused(f"{feature.name!r} is {feature.kind} and has no order")
    return comparison(_COMPARISONS[operator], value, feature)


def _among(predicate: etree._Element, feature: Feature, schema: Schema) -> Test:
    operator = predicate.get("booleanOperator", "")
    arrays = list(elements(predicate, "Array"))
    if operator not in ("isIn", "isNotIn") or len(arrays) != 1:
        raise RuleTextError(f"{operator!r} with {len(arrays)} arrays; isIn and isNotIn with one are read")
    values = _array(arrays[0])
    given = [_number(text) if feature.is_number else text for text in values]
    found = known(equal(given, feature, absent=_absent(feature, schema)), feature)
    return found if operator == "isIn" else ~found


def _array(array: etree._Element) -> list[str]:
    """Values parted by spaces, texts with spaces in double quotes, a quote inside as a backslash and it."""
    text = "".join(str(part) for part in array.itertext()).strip()
    try:
        rows = list(
            csv.reader(
                [" ".join(text.split("\n"))], delimiter=" ", escapechar="\\", doublequote=False, skipinitialspace=True
            )
        )
    except csv.Error as problem:
        raise RuleTextError(f"the array {text[:40]!r} can't be read: {problem}") from None
    return [value for row in rows for value in row if value]


def _absent(feature: Feature, schema: Schema) -> Sequence[str]:
    return () if feature.is_number else ("", *schema.missing_tokens)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RuleTextError(f"{text!r} is no number") from None


def _outcome(element: etree._Element, score: str, schema: Schema) -> Outcome:
    """A class, or a distribution where the scores' confidences are one whose greatest class is the score."""
    with at(line_of(element)):
        schema.check_class(score)
        shares = {
            one.get("value", ""): one.get("probability", one.get("confidence"))
            for one in elements(element, "ScoreDistribution")
        }
        if not shares or any(share is None for share in shares.values()):
            return Outcome.of(score)
        for name in shares:
            schema.check_class(name)
        outcome = Outcome.spread({name: _number(str(share)) for name, share in shares.items()})
        if outcome.top(schema.classes) != score:
            raise RuleTextError(f"the score is {score!r}, and the distribution's greatest class another")
    return outcome
