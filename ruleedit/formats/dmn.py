"""Rules as a DMN 1.3 decision table with the hit policy FIRST, written with lxml; a missing value is null."""

from __future__ import annotations

from lxml import etree

from ruleedit.drafts import Draft
from ruleedit.formats.conditions import ordered, refuse, top_class, used_features
from ruleedit.formats.feel import cells, is_name, text_literal
from ruleedit.formats.pmml import check_xml
from ruleedit.rules import RuleSet
from ruleedit.schema import Feature, Schema

NAMESPACE = "https://www.omg.org/spec/DMN/20191111/MODEL/"
OUTPUTS = ("outcome", "rule")
_TYPES = {"numeric": "number", "integer": "number", "categorical": "string", "boolean": "boolean"}


def dumps(draft: Draft) -> bytes:
    """The rules as a DMN document; the last row is the default, a null outcome leaves the row to the model.

    Raises `Refused` for a feature whose name engines wouldn't read as a name, and for a text that XML can't hold.
    """
    rules = ordered(draft)
    check_xml(rules, draft.schema, "DMN")
    features = used_features(rules, draft.schema)
    check_names(features)
    root = etree.fromstring(
        f'<definitions xmlns="{NAMESPACE}" id="definitions" name="rules" namespace="urn:ruleedit"/>'
    )
    _inputs(root, features)
    decision = _add(root, "decision", id="decision", name="decision")
    _add(decision, "variable", id="decision_variable", name="decision")
    for place in range(len(features)):
        requirement = _add(decision, "informationRequirement", id=f"requirement_{place}")
        _add(requirement, "requiredInput", href=f"#input_{place}")
    _table(decision, rules, features, draft.schema)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def check_names(features: tuple[Feature, ...]) -> None:
    """Raise `Refused` for a feature whose name is no FEEL name."""
    for feature in features:
        if not is_name(feature.name):
            why = "a name there is words of letters and digits, none of them reserved; rename it"
            refuse(f"feature {feature.name!r}", "DMN", why)


def _add(parent: etree._Element, tag: str, text: str | None = None, **attributes: str) -> etree._Element:
    made = etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}", attributes)
    made.text = text
    return made


def _inputs(root: etree._Element, features: tuple[Feature, ...]) -> None:
    for place, feature in enumerate(features):
        data = _add(root, "inputData", id=f"input_{place}", name=feature.name)
        _add(data, "variable", id=f"variable_{place}", name=feature.name, typeRef=_TYPES[feature.kind])


def _table(decision: etree._Element, rules: RuleSet, features: tuple[Feature, ...], schema: Schema) -> None:
    table = _add(decision, "decisionTable", id="table", hitPolicy="FIRST")
    for place, feature in enumerate(features):
        clause = _add(table, "input", id=f"clause_{place}", label=feature.name)
        said = _add(clause, "inputExpression", id=f"expression_{place}", typeRef=_TYPES[feature.kind])
        _add(said, "text", feature.name)
    for name in OUTPUTS:
        _add(table, "output", id=f"output_{name}", name=name, typeRef="string")
    absent = ("", *schema.missing_tokens)
    for place, rule in enumerate(rules):
        found = cells(rule, features, schema, absent)
        _row(table, f"rule_{place}", found, top_class(rule.outcome, schema), rule.id, str(rule))
    last = top_class(rules.default, schema)
    _row(table, "default", ["-"] * len(features), last, None, f"OTHERWISE {rules.default}")


def _row(
    table: etree._Element, name: str, found: list[str], outcome: str | None, rule_id: str | None, said: str
) -> None:
    row = _add(table, "rule", id=name)
    _add(row, "description", said)
    for place, cell in enumerate(found):
        _add(_add(row, "inputEntry", id=f"{name}_in_{place}"), "text", cell)
    for title, value in zip(OUTPUTS, (outcome, rule_id), strict=True):
        literal = "null" if value is None else text_literal(value)
        _add(_add(row, "outputEntry", id=f"{name}_{title}"), "text", literal)
