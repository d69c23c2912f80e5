"""Rules as Python: one function ``decide(row)`` without imports, made as a syntax tree and never as glued text."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Sequence

from ruleedit.drafts import Draft
from ruleedit.formats.conditions import (
    Condition,
    Missing,
    Numbers,
    Range,
    conditions,
    ordered,
    top_class,
    used_features,
)
from ruleedit.rules import Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema

_DOC = """Rules exported from RuleEdit: the first rule that covers a row decides it, else the default.

decide(row) gives (outcome, rule): rule is None for the default, outcome is None where a rule leaves its rows to the
model, and the likeliest class where a rule has a distribution (PROBABILITIES). A value is a number, a text, or for
a boolean True, False or their text; None, NaN, an absent key and the texts that mean missing are missing values. A
number where a category belongs is read as its text, a whole one without a point.
"""
#: Reads one cell of each kind; MISSING stands for the texts that mean a missing value.
_READERS = """
def number(name):
    value = row.get(name)
    return None if value is None or value != value or value in MISSING else float(value)
def text(name):
    value = row.get(name)
    if value is None or value != value:
        return None
    value = repr(float(value)).removesuffix('.0') if isinstance(value, float) else str(value)
    return None if value in MISSING else value
def truth(name):
    value = text(name)
    return None if value is None else value.strip().lower()
"""


def dumps(draft: Draft) -> str:
    """The rules as the text of a Python module."""
    rules = ordered(draft)
    names = _variables(used_features(rules, draft.schema))
    body: list[ast.stmt] = [*_readers(names), *_reads(names)]
    for rule in rules:
        tests = [
            test for feature, what in conditions(rule, draft.schema) for test in _tests(_name(names[feature]), what)
        ]
        once = list({ast.dump(test): test for test in tests}.values())
        body.append(ast.If(_joined(ast.And(), once), [_answer(rule, draft.schema)], []))
    body.append(ast.Return(_pair(top_class(rules.default, draft.schema), None)))
    module = ast.Module(
        [ast.Expr(ast.Constant(_DOC)), *_constants(rules, draft.schema), _decide(body)],
        [],
    )
    return ast.unparse(ast.fix_missing_locations(module)) + "\n"


def _decide(body: list[ast.stmt]) -> ast.stmt:
    """The function around its body."""
    made = ast.parse("def decide(row: dict) -> tuple:\n    pass").body[0]
    assert isinstance(made, ast.FunctionDef)
    made.body = body
    return made


def _constants(rules: RuleSet, schema: Schema) -> list[ast.stmt]:
    """The texts that mean missing, and the distributions by rule (None: the default)."""
    listed: dict[str | None, dict[str, float]] = {
        rule.id: dict(rule.outcome.weights) for rule in rules if _is_spread(rule.outcome)
    }
    if _is_spread(rules.default):
        listed[None] = dict(rules.default.weights)
    return [
        ast.Assign([ast.Name("MISSING", ast.Store())], _literal(("", *schema.missing_tokens))),
        ast.Assign([ast.Name("PROBABILITIES", ast.Store())], _literal(listed)),
    ]


def _is_spread(outcome: Outcome) -> bool:
    return not outcome.is_model and not outcome.is_class


def _literal(value: object) -> ast.expr:
    """A value of plain texts, numbers, tuples and dicts as a syntax tree."""
    if isinstance(value, tuple):
        return ast.Tuple([_literal(item) for item in value], ast.Load())
    if isinstance(value, dict):
        return ast.Dict([_literal(key) for key in value], [_literal(item) for item in value.values()])
    assert value is None or isinstance(value, str | float)
    return ast.Constant(value)


def _variables(features: tuple[Feature, ...]) -> dict[Feature, str]:
    """A variable for each feature: its own name where that can be one."""
    taken = {"row", "number", "text", "truth", "decide", "MISSING", "PROBABILITIES", "repr", "float", "str"}
    names: dict[Feature, str] = {}
    for place, feature in enumerate(features, start=1):
        name = feature.name
        fits = name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
        name = name if fits else f"column_{place}"
        while name in taken:
            name += "_"
        taken.add(name)
        names[feature] = name
    return names


def _readers(names: dict[Feature, str]) -> list[ast.stmt]:
    """The functions that read the kinds of cells there are."""
    kinds = {_reader(feature) for feature in names}
    wanted = kinds | ({"text"} if "truth" in kinds else set())
    return [made for made in ast.parse(_READERS).body if isinstance(made, ast.FunctionDef) and made.name in wanted]


def _reader(feature: Feature) -> str:
    return "number" if feature.is_number else "truth" if feature.kind == "boolean" else "text"


def _reads(names: dict[Feature, str]) -> list[ast.stmt]:
    """Each feature's value, read once."""
    return [
        ast.Assign([ast.Name(name, ast.Store())], ast.Call(_name(_reader(feature)), [ast.Constant(feature.name)], []))
        for feature, name in names.items()
    ]


def _answer(rule: Rule, schema: Schema) -> ast.stmt:
    return ast.Return(_pair(top_class(rule.outcome, schema), rule.id))


def _pair(outcome: str | None, rule_id: str | None) -> ast.expr:
    return ast.Tuple([ast.Constant(outcome), ast.Constant(rule_id)], ast.Load())


def _tests(value: ast.expr, what: Condition) -> list[ast.expr]:
    """A condition on a variable as tests that must all hold; None is a missing value."""
    if isinstance(what, Missing):
        return [ast.Compare(value, [ast.IsNot() if what.inverted else ast.Is()], [ast.Constant(None)])]
    present = ast.Compare(value, [ast.IsNot()], [ast.Constant(None)])
    if isinstance(what, Numbers):
        return [present, *_number_tests(value, what)]
    if what.inverted:
        return [present, _among(value, what.values, inverted=True)]
    return [_among(value, what.values, inverted=False)]


def _number_tests(value: ast.expr, what: Numbers) -> list[ast.expr]:
    points = [span.point for span in what.ranges if span.point is not None]
    if len(points) == len(what.ranges):
        return [_among(value, points, inverted=what.inverted)]
    if what.inverted:
        return [_joined(ast.Or(), [_range_test(value, side) for side in span.outside]) for span in what.ranges]
    return [_joined(ast.Or(), [_range_test(value, span) for span in what.ranges])]


def _among(value: ast.expr, values: Sequence[str | float], *, inverted: bool) -> ast.expr:
    if len(values) == 1:
        return ast.Compare(value, [ast.NotEq() if inverted else ast.Eq()], [ast.Constant(values[0])])
    listed = ast.Tuple([ast.Constant(item) for item in values], ast.Load())
    return ast.Compare(value, [ast.NotIn() if inverted else ast.In()], [listed])


def _range_test(value: ast.expr, span: Range) -> ast.expr:
    if span.point is not None:
        return ast.Compare(value, [ast.Eq()], [ast.Constant(span.point)])
    tests: list[ast.expr] = []
    if span.low is not None:
        tests.append(ast.Compare(value, [ast.GtE() if span.low.closed else ast.Gt()], [ast.Constant(span.low.value)]))
    if span.high is not None:
        tests.append(ast.Compare(value, [ast.LtE() if span.high.closed else ast.Lt()], [ast.Constant(span.high.value)]))
    return _joined(ast.And(), tests)


def _joined(operator: ast.boolop, tests: list[ast.expr]) -> ast.expr:
    return tests[0] if len(tests) == 1 else ast.BoolOp(operator, tests)


def _name(text: str) -> ast.expr:
    return ast.Name(text, ast.Load())
