"""Rules as PMML 4.4: a RuleSetModel with the rule selection method firstHit, written with lxml.

A rule fires where its predicate is TRUE; UNKNOWN, what a comparison with a missing value gives, doesn't fire it.
Category sets are ORs of comparisons, because readers don't agree on how an array's texts are quoted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lxml import etree

from ruleedit.drafts import Draft
from ruleedit.formats.conditions import Condition, Missing, Numbers, Range, conditions, ordered, refuse, refuse_model
from ruleedit.rules import Outcome, Rule, RuleSet, number_text
from ruleedit.schema import Feature, Schema

NAMESPACE = "http://www.dmg.org/PMML-4_4"
#: What XML 1.0 can't hold, or gives back as another character.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def dumps(draft: Draft) -> bytes:
    """The rules as a PMML document; a distribution's probabilities are its confidences.

    Raises `Refused` for a rule that says `model`, which PMML has no score for, and for a text that XML can't hold.
    """
    rules = ordered(draft)
    refuse_model(rules, "PMML", "a rule there has a score, and none leaves its rows to a model")
    check_xml(rules, draft.schema, "PMML")
    root = etree.fromstring(f'<PMML xmlns="{NAMESPACE}" version="4.4"/>')
    header = _add(root, "Header", description="Rules exported from RuleEdit: the first rule that covers a row decides")
    _add(header, "Application", name="RuleEdit")
    _dictionary(root, draft.schema)
    model = _add(root, "RuleSetModel", modelName="rules", functionName="classification", algorithmName="RuleEdit")
    _mining_schema(model, draft.schema)
    _output(model, draft.schema)
    _rule_set(model, rules, draft.schema)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def check_xml(rules: RuleSet, schema: Schema, form: str) -> None:
    """Raise `Refused` for names, categories and classes that an XML document can't hold."""
    for feature in schema.features:
        _check_texts(f"feature {feature.name!r}", (feature.name, *feature.categories), form)
    _check_texts(f"the target {schema.target!r}", (schema.target, *schema.classes), form)
    for rule in rules:
        _check_texts(f"rule {rule.id!r}", (rule.id,), form)


def _check_texts(where: str, texts: Sequence[str], form: str) -> None:
    for text in texts:
        found = _NOT_XML.search(text)
        if found:
            refuse(where, form, f"{text!r} holds {found.group()!r}, a character that XML can't hold")


def _add(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}", attributes)


def _dictionary(root: etree._Element, schema: Schema) -> None:
    dictionary = _add(root, "DataDictionary", numberOfFields=str(len(schema.features) + 1))
    for feature in schema.features:
        if feature.is_number:
            _add(dictionary, "DataField", name=feature.name, optype="continuous", dataType="double")
            continue
        kind = "boolean" if feature.kind == "boolean" else "string"
        # Without a list of values, because a reader takes what isn't in the list for missing.
        _add(dictionary, "DataField", name=feature.name, optype="categorical", dataType=kind)
    target = _add(dictionary, "DataField", name=schema.target, optype="categorical", dataType="string")
    for name in schema.classes:
        _add(target, "Value", value=name)


def _mining_schema(model: etree._Element, schema: Schema) -> None:
    """Every feature is read as it is: a category never seen is a value, a missing one stays missing."""
    mining = _add(model, "MiningSchema")
    for feature in schema.features:
        _add(mining, "MiningField", name=feature.name, usageType="active", invalidValueTreatment="asIs")
    _add(mining, "MiningField", name=schema.target, usageType="target")


def _output(model: etree._Element, schema: Schema) -> None:
    """The outcome, the rule that decided, and the outcome's confidence."""
    output = _add(model, "Output")
    taken = {*schema.names, schema.target}

    def field(name: str, optype: str, kind: str, **attributes: str) -> None:
        while name in taken:
            name += "_"
        taken.add(name)
        _add(output, "OutputField", name=name, optype=optype, dataType=kind, **attributes)

    field("predicted", "categorical", "string", feature="predictedValue")
    field("rule", "categorical", "string", feature="entityId")
    # Of the outcome alone: pypmml gives this for every class, whichever one is asked for.
    field("confidence", "continuous", "double", feature="confidence")


def _rule_set(model: etree._Element, rules: RuleSet, schema: Schema) -> None:
    default = rules.default.top(schema.classes)
    assert default is not None
    rule_set = _add(model, "RuleSet", defaultScore=default, defaultConfidence=_confidence(rules.default, schema))
    _add(rule_set, "RuleSelectionMethod", criterion="firstHit")
    _distribution(rule_set, rules.default, schema)
    for rule in rules:
        _rule(rule_set, rule, schema)


def _rule(rule_set: etree._Element, rule: Rule, schema: Schema) -> None:
    score = rule.outcome.top(schema.classes)
    assert score is not None
    simple = _add(rule_set, "SimpleRule", id=rule.id, score=score, confidence=_confidence(rule.outcome, schema))
    found = conditions(rule, schema)
    parent = simple if len(found) == 1 else _add(simple, "CompoundPredicate", booleanOperator="and")
    for feature, what in found:
        _predicate(parent, feature, what)
    _distribution(simple, rule.outcome, schema)


def _confidence(outcome: Outcome, schema: Schema) -> str:
    return number_text(max(outcome.vector(schema.classes)))


def _distribution(parent: etree._Element, outcome: Outcome, schema: Schema) -> None:
    """Each class's probability; the counts, which PMML wants, are the probabilities too."""
    for name, p in zip(schema.classes, outcome.vector(schema.classes), strict=True):
        text = number_text(p)
        _add(parent, "ScoreDistribution", value=name, recordCount=text, confidence=text)


def _predicate(parent: etree._Element, feature: Feature, what: Condition) -> None:
    if isinstance(what, Missing):
        _add(parent, "SimplePredicate", field=feature.name, operator="isNotMissing" if what.inverted else "isMissing")
        return
    if isinstance(what, Numbers):
        _numbers(parent, feature.name, what)
        return
    operator = "notEqual" if what.inverted else "equal"
    parent = _several(parent, len(what.values), "and" if what.inverted else "or")
    for value in what.values:
        _add(parent, "SimplePredicate", field=feature.name, operator=operator, value=value)


def _numbers(parent: etree._Element, name: str, what: Numbers) -> None:
    parent = _several(parent, len(what.ranges), "and" if what.inverted else "or")
    for span in what.ranges:
        if span.point is not None:
            operator = "notEqual" if what.inverted else "equal"
            _add(parent, "SimplePredicate", field=name, operator=operator, value=number_text(span.point))
        elif what.inverted:
            sides = _several(parent, len(span.outside), "or")
            for side in span.outside:
                _range(sides, name, side)
        else:
            _range(parent, name, span)


def _range(parent: etree._Element, name: str, span: Range) -> None:
    parent = _several(parent, len(span.bounds), "and")
    if span.low is not None:
        operator = "greaterOrEqual" if span.low.closed else "greaterThan"
        _add(parent, "SimplePredicate", field=name, operator=operator, value=number_text(span.low.value))
    if span.high is not None:
        operator = "lessOrEqual" if span.high.closed else "lessThan"
        _add(parent, "SimplePredicate", field=name, operator=operator, value=number_text(span.high.value))


def _several(parent: etree._Element, many: int, operator: str) -> etree._Element:
    return parent if many == 1 else _add(parent, "CompoundPredicate", booleanOperator=operator)
