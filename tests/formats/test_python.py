"""The Python export, run in a child process that knows nothing of this project."""

from __future__ import annotations

import ast
import json
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ruleedit.formats import EXPORTS
from ruleedit.rules import Outcome
from tests.formats.samples import answers, comparable, draft_of, hostile_draft, settled

CHILD = """
import json, sys
for source, rows in json.load(sys.stdin):
    names = {}
    exec(source, names)
    print(json.dumps([names["decide"](row) for row in rows]))
"""


def decided(tasks: list[tuple[str, list[Any]]]) -> list[list[list[str | None]]]:
    """What each source's ``decide`` answers for its rows, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", CHILD], input=json.dumps(tasks), capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def decide(*texts: str) -> Callable[[dict[str, Any]], tuple[str | None, str | None]]:
    """The function of a draft of rules given as text."""
    names: dict[str, Any] = {}
    exec(EXPORTS["python"](draft_of(*texts)), names)  # noqa: S102
    found: Callable[[dict[str, Any]], tuple[str | None, str | None]] = names["decide"]
    return found


def test_it_answers_as_the_rule_set(count: Callable[[int, int], int]) -> None:
    """Outcome and rule are the same on 1,000 rows (soak: 10,000) of every random rule set, whatever the names."""
    many = count(1_000, 10_000)
    cases = [(draft, source, rows(many)) for draft, source, rows in comparable("python", 3, count(30, 200))]
    found = decided([(source, rows) for _, source, rows in cases])
    for (draft, _, rows), got in zip(cases, found, strict=True):
        assert [tuple(pair) for pair in got] == list(zip(*answers(draft, rows), strict=True))


def test_it_is_one_function_without_imports() -> None:
    """The module holds constants and `decide`: nothing is imported, and no name from outside is called."""
    for draft in (draft_of("IF age > 20 AND job = car AND member = true THEN approve"), hostile_draft(), settled()):
        tree = ast.parse(EXPORTS["python"](draft))
        assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == ["decide"]
        assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree))
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert called <= {"number", "text", "truth", "float", "str", "repr", "isinstance"}


def test_a_hostile_text_stays_a_text() -> None:
    """No name, category or class becomes code: the hostile rules answer with the text they hold."""
    draft = hostile_draft()
    rows: list[Any] = [{clause.feature: clause.values[0]} for rule in draft.rules for clause in rule.clauses]
    (got,) = decided([(EXPORTS["python"](draft), rows)])  # type: ignore[list-item]
    assert [rule for _, rule in got] == list(draft.rules.ids)
    assert [outcome for outcome, _ in got] == [rule.outcome.classes[0] for rule in draft.rules]


@pytest.mark.parametrize("missing", [{}, {"age": None}, {"age": math.nan}, {"age": ""}])
def test_every_kind_of_missing_is_missing(missing: dict[str, Any]) -> None:
    """None, NaN, the empty text and an absent key are all missing."""
    assert decide("IF age is missing THEN approve")(missing) == ("approve", "R1")
    assert decide("IF age != 3 THEN approve")(missing) == ("deny", None)


@pytest.mark.parametrize("value", [True, "true", "TRUE", " True "])
def test_a_boolean_may_be_a_text(value: object) -> None:
    """True and the texts that tables hold for it are the same."""
    assert decide("IF member = true THEN approve")({"member": value}) == ("approve", "R1")
    assert decide("IF member != true THEN approve")({"member": value}) == ("deny", None)


@pytest.mark.parametrize("value", [42, 42.0, "42"])
def test_a_number_in_the_place_of_a_category_is_its_text(value: object) -> None:
    """A column of categories that look like numbers may come as numbers."""
    assert decide("IF job = '42' THEN approve")({"job": value}) == ("approve", "R1")


def test_model_has_no_outcome_and_a_distribution_its_likeliest_class() -> None:
    """A rule that says `model` answers None with its id; probabilities stand in a table beside the function."""
    draft = draft_of(
        "IF age > 60 THEN model",
        "IF age > 40 THEN approve 0.3, deny 0.7",
        default=Outcome.spread({"1": 0.6, "deny": 0.4}),
    )
    names: dict[str, Any] = {}
    exec(EXPORTS["python"](draft), names)  # noqa: S102
    assert [names["decide"]({"age": age}) for age in (70, 50, 30)] == [(None, "R1"), ("deny", "R2"), ("1", None)]
    assert names["PROBABILITIES"] == {"R2": {"approve": 0.3, "deny": 0.7}, None: {"1": 0.6, "deny": 0.4}}
