"""Rules as a GoRules JDM decision table, for zen-engine: hit policy first, one column a feature.

The engine's own numbers are decimals of 28 digits and 28 places. A threshold that these can't tell from its
neighbouring doubles is refused by name. Rows come to the engine as JSON text: its Python binding rounds a float to
16 digits when a row is a dict.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ruleedit.drafts import Draft
from ruleedit.formats.conditions import (
    Condition,
    Missing,
    Numbers,
    conditions,
    ordered,
    refuse,
    top_class,
    used_features,
)
from ruleedit.rules import Rule, number_text
from ruleedit.schema import Feature, Schema

#: The most that the engine's decimals hold, and their decimal places.
LARGEST = 7.9e28
PLACES = 28
_ABOUT = (
    "Rules exported from RuleEdit: the first rule that covers a row decides it, the last row is the default. An "
    "absent or null value is missing. A null outcome leaves the row to the model. The engine reads a number nearer to "
    "0 than 1e-28 as 0 and refuses one beyond 7.9e28."
)


def dumps(draft: Draft) -> str:
    """The rules as the JSON of one decision with a decision table, answering ``outcome`` and ``rule``."""
    rules = ordered(draft)
    features = used_features(rules, draft.schema)
    absent = ("", *draft.schema.missing_tokens)
    rows = [
        _row(rule.id, top_class(rule.outcome, draft.schema), rule.id, _cells(rule, features, draft.schema, absent))
        for rule in rules
    ]
    rows.append(_row("default", top_class(rules.default, draft.schema), None, [""] * len(features)))
    table = {
        "hitPolicy": "first",
        "inputs": [
            {"id": f"in{place}", "name": feature.name, "field": f"$root[{_text(feature.name)}]"}
            for place, feature in enumerate(features)
        ],
        "outputs": [{"id": name, "name": name, "field": name} for name in ("outcome", "rule")],
        "rules": rows,
        "passThrough": False,
        "executionMode": "single",
    }
    return json.dumps(_graph(table), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _graph(table: dict[str, Any]) -> dict[str, Any]:
    """A decision of three nodes: request, table, response."""
    nodes = [
        {"id": "request", "type": "inputNode", "name": "request", "position": {"x": 0, "y": 0}},
        {
            "id": "rules",
            "type": "decisionTableNode",
            "name": "rules",
            "description": _ABOUT,
            "position": {"x": 300, "y": 0},
            "content": table,
        },
        {"id": "response", "type": "outputNode", "name": "response", "position": {"x": 600, "y": 0}},
    ]
    edges = [
        {"id": "in", "sourceId": "request", "targetId": "rules", "type": "edge"},
        {"id": "out", "sourceId": "rules", "targetId": "response", "type": "edge"},
    ]
    return {"contentType": "application/vnd.gorules.decision", "nodes": nodes, "edges": edges}


def _row(name: str, outcome: str | None, rule_id: str | None, cells: Sequence[str]) -> dict[str, Any]:
    said = {"outcome": _text(outcome), "rule": _text(rule_id)}
    return {"_id": name, **{f"in{place}": cell for place, cell in enumerate(cells)}, **said}


def _cells(rule: Rule, features: Sequence[Feature], schema: Schema, absent: Sequence[str]) -> list[str]:
    """A cell for each feature; an empty one holds for every value."""
    tests: dict[Feature, dict[str, None]] = {feature: {} for feature in features}
    for feature, what in conditions(rule, schema, zero=0.0):
        _check_numbers(rule, feature, what)
        tests[feature].update(dict.fromkeys(_tests(feature, what, absent)))
    return [" and ".join(found) for found in tests.values()]


def _tests(feature: Feature, what: Condition, absent: Sequence[str]) -> list[str]:
    """A condition as tests of ``$``, the column's value, that must all hold; none begins with a bracket."""
    listed = f"[{', '.join(_text(text) for text in absent)}]"
    value = "lower(trim(string($)))" if feature.kind == "boolean" else "string($)"
    if isinstance(what, Numbers):
        return ["$ != null", *_number_tests(what)]
    if isinstance(what, Missing):
        if feature.is_number:
            return ["$ != null" if what.inverted else "$ == null"]
        return ["$ != null", f"string($) not in {listed}"] if what.inverted else [f"$ == null or string($) in {listed}"]
    values = [text for text in what.values if what.inverted or text not in absent]
    if what.inverted:
        values += [text for text in absent if text not in values]
    return ["$ != null", f"{value} {'not in' if what.inverted else 'in'} [{', '.join(map(_text, values))}]"]


def _number_tests(what: Numbers) -> list[str]:
    points = [span.point for span in what.ranges if span.point is not None]
    if points:
        return [f"$ {'not in' if what.inverted else 'in'} [{', '.join(map(_number, points))}]"]
    (span,) = what.ranges
    tests = [] if span.low is None else [f"$ {'>=' if span.low.closed else '>'} {_number(span.low.value)}"]
    if span.high is not None:
        tests.append(f"$ {'<=' if span.high.closed else '<'} {_number(span.high.value)}")
    return tests


def _number(value: float) -> str:
    return format(Decimal(number_text(value)), "f")


def _check_numbers(rule: Rule, feature: Feature, what: Condition) -> None:
    """Raise `Refused` for a threshold that the engine's decimals can't tell from the doubles beside it."""
    for span in what.ranges if isinstance(what, Numbers) else ():
        for value in span.bounds:
            # The engine has one 0, and the numbers beside it aren't told apart: `_ABOUT` says so.
            if value == 0.0:
                continue
            beside = (math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf))
            if any(abs(number) > LARGEST or not _fits(number) for number in beside):
                why = f"{feature.name!r} is compared with {number_text(value)} and its decimals have {PLACES} places"
                refuse(f"rule {rule.id}", "JDM", f"{why}, up to {LARGEST:g}")


def _fits(number: float) -> bool:
    exponent = Decimal(number_text(number)).as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -PLACES


def _text(text: str | None) -> str:
    """A text literal; there are no escapes, so a text with both quotes is put together."""
    if text is None:
        return "null"
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    return " + ".join(f"'{piece}'" for piece in text.split("'")).replace(" + ", """ + "'" + """)
