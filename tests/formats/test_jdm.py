"""The JDM export, run in zen-engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ruleedit.errors import Refused
from ruleedit.formats import EXPORTS, jdm
from tests.formats.readers import reader
from tests.formats.samples import answers, comparable, draft_of, hostile_draft, settled
from tests.reference import Row


def in_zen(text: str, rows: Sequence[Row]) -> list[tuple[str | None, str | None]]:
    """What zen-engine answers; rows as JSON text, because a dict's floats are rounded to 16 digits on the way."""
    decision = reader("zen").ZenEngine().create_decision(text)
    found = (decision.evaluate(json.dumps(row))["result"] for row in rows)
    return [(result.get("outcome"), result.get("rule")) for result in found]


def engine_can_hold(row: Row) -> bool:
    """Whether the engine's decimals hold the row's numbers: it reads nearer ones as 0 and refuses greater ones."""
    numbers = [abs(cell) for cell in row.values() if isinstance(cell, float)]
    return all(number == 0.0 or 1e-28 <= number <= jdm.LARGEST for number in numbers)


def test_it_answers_as_the_rule_set(count: Callable[[int, int], int]) -> None:
    """zen-engine gives outcome and rule of 1,000 rows (soak: 10,000) of every random rule set as we do."""
    for draft, text, rows in comparable("jdm", 7, count(10, 200)):
        many = count(1_000, 10_000)
        table: list[Row] = []
        while len(table) < many:
            table += [row for row in rows(many) if engine_can_hold(row)]
        table = table[:many]
        assert in_zen(text, table) == list(zip(*answers(draft, table), strict=True))


def test_a_hostile_text_stays_a_text() -> None:
    """Texts with every kind of quote are found as they are."""
    draft = hostile_draft()
    rows: list[Any] = [{rule.clauses[0].feature: rule.clauses[0].values[0]} for rule in draft.rules]
    text = EXPORTS["jdm"](draft)
    assert isinstance(text, str)
    found = in_zen(text, rows)
    assert found == [(rule.outcome.classes[0], rule.id) for rule in draft.rules]


def test_an_absent_key_is_missing_and_model_has_no_outcome() -> None:
    """An absent key satisfies `is missing` alone, and a rule that says `model` answers null."""
    text = EXPORTS["jdm"](draft_of("IF job is missing THEN model", "IF job not in (car) THEN approve"))
    assert isinstance(text, str)
    assert in_zen(text, [{}, {"job": None}, {"job": "new"}, {"job": "car"}]) == [
        *((None, "R1"), (None, "R1"), ("approve", "R2"), ("deny", None))
    ]


@pytest.mark.parametrize("number", ["0.0000000000000000001", "1e29", "1e-13"])
def test_a_threshold_that_the_engine_cannot_hold_is_refused_by_name(number: str) -> None:
    """Its decimals have 28 places: a threshold that they mix up with its neighbours is refused."""
    with pytest.raises(Refused, match=r"rule R1: JDM can't say it, 'income' is compared with"):
        EXPORTS["jdm"](draft_of(f"IF income > {number} THEN approve"))


def test_it_is_a_decision_table_of_one_column_a_feature() -> None:
    """The graph has a request, a table and a response; unused features have no column."""
    graph = json.loads(EXPORTS["jdm"](draft_of("IF age > 20 AND age <= 30 AND job = car THEN approve")))
    table = graph["nodes"][1]["content"]
    assert table["hitPolicy"] == "first"
    assert [column["name"] for column in table["inputs"]] == ["age", "job"]
    assert table["rules"][0]["in0"] == "$ != null and $ > 20 and $ <= 30"
    assert json.loads(EXPORTS["jdm"](settled()))["nodes"][1]["content"]["rules"][-1]["_id"] == "default"
