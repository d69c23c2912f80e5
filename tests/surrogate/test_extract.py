"""`extract`: what it takes, what it refuses, and what it gives."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import ruleedit.surrogate
from ruleedit.errors import ExtractionFailed, NoRows, Refused
from ruleedit.regions import Box, clauses_box
from ruleedit.rules import Clause
from ruleedit.surrogate import DEFAULT_METHOD, EXTRACTORS, METHODS, Found, Task, extract
from tests.surrogate.cases import PEOPLE, people

CASE = people(lambda row: "high" if row["age"] > 40 else "low")
ROWS, ANSWERS, SCHEMA = CASE.given


def test_importing_is_light() -> None:
    """scikit-learn, cvxpy, Numba and AIX360 are loaded where they are used, so that ``--help`` answers at once."""
    heavy = ("sklearn", "aix360", "cvxpy", "highspy", "lightgbm", "numba")
    code = f"import sys, ruleedit.surrogate; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_each_method_has_an_extractor() -> None:
    """The names that the command line offers are the registry's."""
    assert tuple(EXTRACTORS) == METHODS
    assert DEFAULT_METHOD in METHODS


def test_everything_public_is_there() -> None:
    """Each public name can be had, and no other is made up."""
    for name in ruleedit.surrogate.__all__:
        assert getattr(ruleedit.surrogate, name) is not None
    with pytest.raises(AttributeError, match="no_such"):
        ruleedit.surrogate.no_such  # noqa: B018


def test_an_unknown_method_is_refused_with_the_nearest() -> None:
    """A slip of the pen gets a hint."""
    with pytest.raises(Refused, match="did you mean 'tree'"):
        extract(*CASE.given, method="treee")


def test_a_method_of_ones_own_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function from a task to what it found is all that a method is."""
    seen: list[Task] = []

    def first_feature(task: Task) -> Found:
        seen.append(task)
        return Found(((_older(), 2),), 0, cut="mine", notes=("a note",))

    monkeypatch.setitem(EXTRACTORS, "mine", first_feature)
    found = extract(*CASE.given, method="mine", max_clauses=3, seed=7)
    assert (seen[0].max_clauses, seen[0].seed) == (3, 7)
    assert [str(rule) for rule in found.rules] == ["IF age >= 41 THEN high"]
    assert (found.method, found.cut, found.notes) == ("mine", "mine", ("a note",))


def _older() -> Box:
    return clauses_box([Clause("age", ">", 40.0)], SCHEMA)


def test_a_box_that_no_single_rule_can_say_takes_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above 40 or missing is two rules with the same outcome, numbered in order."""
    box = Box.of({"age": _older().by_feature["age"].complement()})
    monkeypatch.setitem(EXTRACTORS, "mine", lambda task: Found(((box, 0), (_older(), 2)), 1))
    rules = extract(*CASE.given, method="mine").rules
    assert [str(rule) for rule in rules] == [
        "IF age <= 40 THEN low",
        "IF age is missing THEN low",
        "IF age >= 41 THEN high",
    ]
    assert rules.ids == ("R1", "R2", "R3")


def test_one_answer_only_is_explained() -> None:
    """There is no rule to find where the model always says the same, and the message says what to do."""
    with pytest.raises(ExtractionFailed, match=r"answers only 'middle' on these 400 rows.*threshold"):
        extract(ROWS, np.ones_like(ANSWERS), SCHEMA)


def test_no_rows_are_refused() -> None:
    """An empty table has no answers."""
    with pytest.raises(NoRows, match="no row"):
        extract(ROWS[:0], ANSWERS[:0], SCHEMA)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_clauses": 0}, "max_clauses 0"),
        ({"max_iterations": -1}, "max_iterations -1"),
        ({"memory": 0}, "memory 0"),
        ({"seconds": 0.0}, "seconds 0.0"),
        ({"seconds": float("nan")}, "seconds nan"),
        ({"splits": [{}]}, "splits are for 1"),
    ],
)
def test_limits_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    """Each refusal names the limit and what would be accepted."""
    with pytest.raises(Refused, match=message):
        extract(*CASE.given, **options)  # type: ignore[arg-type]


def test_rows_of_another_shape_are_refused() -> None:
    """One answer a row, one column a feature."""
    with pytest.raises(Refused, match="shape"):
        extract(ROWS[:, :2], ANSWERS, SCHEMA)
    with pytest.raises(Refused, match="shape"):
        extract(ROWS[:-1], ANSWERS, SCHEMA)


@pytest.mark.parametrize("place", [-1, 3])
def test_an_answer_that_is_no_class_is_refused(place: int) -> None:
    """Answers are places in the schema's classes."""
    answers = ANSWERS.copy()
    answers[0] = place
    with pytest.raises(Refused, match="3 classes"):
        extract(ROWS, answers, SCHEMA)


def test_the_holdout_is_measured_apart() -> None:
    """Training and held-out figures are of their own rows."""
    found = extract(ROWS[:300], ANSWERS[:300], SCHEMA, holdout=(ROWS[300:], ANSWERS[300:]))
    assert found.holdout is not None
    assert (found.train.rows, found.holdout.rows) == (300, 100)


def test_without_a_holdout_there_is_no_such_figure() -> None:
    """None given, or an empty one: None."""
    assert extract(*CASE.given).holdout is None
    assert extract(*CASE.given, holdout=(ROWS[:0], ANSWERS[:0])).holdout is None


def test_rules_are_numbered_from_one() -> None:
    """R1, R2, ... in the order in which they decide, none asserted."""
    case = people(lambda row: "high" if row["age"] > 60 else "middle" if row["job"] == "cook" else "low")
    rules = extract(*case.given).rules
    assert rules.ids == tuple(f"R{number}" for number in range(1, len(rules) + 1))
    assert not any(rule.asserted for rule in rules)


def test_a_rule_set_without_rules_has_a_note() -> None:
    """It says that no rule helps, and why."""
    answers = np.zeros(len(ROWS), dtype=np.intp)
    answers[0] = 2
    found = extract(np.ones_like(ROWS), answers, PEOPLE, max_clauses=1)
    assert found.clauses == 0
    assert "no feature tells these rows apart" in found.notes[0]


def test_the_input_is_left_as_it_was() -> None:
    """Rows and answers aren't written to."""
    rows, answers = ROWS.copy(), ANSWERS.copy()
    extract(rows, answers, SCHEMA)
    assert np.array_equal(rows, ROWS, equal_nan=True)
    assert np.array_equal(answers, ANSWERS)


def test_the_figures_go_into_json_without_time_or_path() -> None:
    """What is stored is the same for the same data."""
    one, other = (json.dumps(extract(*CASE.given).to_json(), sort_keys=True) for _ in range(2))
    assert one == other
    assert set(json.loads(one)) == {
        "method",
        "rules",
        "clauses",
        "train",
        "holdout",
        "cut",
        "notes",
        "unexplained",
        "bound",
        "stability",
    }
