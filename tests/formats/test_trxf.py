"""The TRXF export, run in AIX360's own evaluation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from ruleedit.drafts import Draft
from ruleedit.errors import Refused
from ruleedit.formats import EXPORTS, trxf
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from tests.formats.samples import answers, comparable, draft_of
from tests.reference import Row


def assignment(draft: Draft, row: Row) -> dict[str, Any]:
    """A row as AIX360 takes it: NaN for missing, booleans as such."""
    flags = {feature.name for feature in draft.schema.features if feature.kind == "boolean"}
    return {name: math.nan if cell is None else cell == "true" if name in flags else cell for name, cell in row.items()}


def test_it_answers_as_the_rule_set(count: Callable[[int, int], int]) -> None:
    """AIX360's classifier gives the outcome of 1,000 rows of every random rule set that TRXF can say."""
    for draft, _, rows in comparable("trxf", 13, count(8, 80)):
        made = trxf.classifier(draft)
        table = rows(1_000)
        assert [made.predict(assignment(draft, row)) for row in table] == answers(draft, table)[0]


def test_the_json_holds_what_the_objects_hold() -> None:
    """Sets become conjunctions, an equality of numbers two bounds; a distribution its likeliest class."""
    draft = draft_of("IF age = 5 AND job in (car, 'it''s') THEN approve 0.3, deny 0.7", default=Outcome.of("1"))
    said = json.loads(EXPORTS["trxf"](draft))
    assert said["rule_selection_method"] == "FIRST_HIT"
    assert said["default_label"] == "1"
    (only,) = said["rule_sets"]
    assert (only["id"], only["then_part"]) == ("R1", "deny")
    bounds = [{"feature": "age", "relation": ">=", "value": 5.0}, {"feature": "age", "relation": "<=", "value": 5.0}]
    assert only["conjunctions"] == [
        [*bounds, {"feature": "job", "relation": "==", "value": text}] for text in ("car", "it's")
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("IF age > 3 THEN model", "none leaves its rows to a model"),
        ("IF age is missing THEN deny", "no relation there tells whether 'age' is missing"),
        ("IF job != car THEN deny", "a missing 'job' would satisfy '!='"),
        ("IF job in (car, '42') THEN deny", "the category '42' of 'job' would be read as a number"),
    ],
)
def test_what_it_cannot_say_is_refused_by_name(text: str, why: str) -> None:
    """The refusal names the rule and the reason."""
    with pytest.raises(Refused, match="rule R1: TRXF can't say it, ") as refusal:
        EXPORTS["trxf"](draft_of(text))
    assert why in str(refusal.value)


@pytest.mark.parametrize("name", ["capital-gain", "hours per week", "nan", "é", "a(b)"])
def test_a_name_that_is_an_expression_is_refused_by_name(name: str) -> None:
    """A feature is an arithmetic expression there, so a name is one word."""
    schema = Schema((Feature(name, "integer"),), "y", ("a", "b"))
    draft = Draft.of(RuleSet((Rule("R1", (Clause(name, ">", 1.0),), Outcome.of("a")),), Outcome.of("b")), schema)
    with pytest.raises(Refused, match="isn't a single name"):
        EXPORTS["trxf"](draft)


def test_sets_that_multiply_have_a_limit() -> None:
    """More conjunctions than anybody reads are refused."""
    values = tuple(f"v{place}" for place in range(40))
    features = tuple(Feature(name, "categorical", categories=values) for name in ("a", "b"))
    rule = Rule("R1", tuple(Clause(feature.name, "in", values) for feature in features), Outcome.of("x"))
    draft = Draft.of(RuleSet((rule,), Outcome.of("y")), Schema(features, "t", ("x", "y")))
    with pytest.raises(Refused, match="more than 1,000 conjunctions"):
        EXPORTS["trxf"](draft)
