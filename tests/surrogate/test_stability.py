"""Stability: the mean best Jaccard index over extractions from other rows."""

from __future__ import annotations

import numpy as np
import pytest

from ruleedit.errors import Cancelled, Refused
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.surrogate import extract
from ruleedit.surrogate.stability import stability
from ruleedit.surrogate.task import Task
from tests.surrogate.cases import people

CASE = people(lambda row: "high" if row["age"] > 40 else "low", rows=300)
TASK = Task(*CASE.given)


def older_than(age: float, outcome: str = "high", default: str = "low") -> RuleSet:
    return RuleSet((Rule("R1", (Clause("age", ">", age),), Outcome.of(outcome)),), Outcome.of(default))


def test_what_always_comes_back_is_one() -> None:
    """An age that the model cuts at, found again from any rows."""
    found = extract(*CASE.given, method="tree", splits=[{40.5: 1.0}, {}, {}, {}], stability=4)
    assert found.stability == {"R1": 1.0, "default": 1.0}
    assert found.to_json()["stability"] == found.stability


def test_a_figure_is_the_mean_over_the_extractions() -> None:
    """Of one half of the rows and of all of them."""
    ages = CASE.matrix[:, 0]
    found = iter([40.0, 60.0])
    figures = stability(older_than(40.0), TASK, lambda _: older_than(next(found)), 2)
    assert figures["R1"] == pytest.approx((1.0 + (ages > 60).sum() / (ages > 40).sum()) / 2.0)
    assert figures["default"] == pytest.approx((1.0 + (ages <= 40).sum() / (ages <= 60).sum()) / 2.0)


def test_a_rule_comes_back_as_the_default_too() -> None:
    """What counts is who gets which answer; the same rows with another answer are nothing."""
    turned = Rule("R1", (Clause("age", "<=", 40.0),), Outcome.of("low"))
    assert stability(older_than(40.0), TASK, lambda _: RuleSet((turned,), Outcome.of("high")), 1)["R1"] == 1.0
    assert stability(older_than(40.0), TASK, lambda _: older_than(40.0, "middle", "middle"), 1)["R1"] == 0.0


def test_a_rule_that_decides_nothing_has_no_figure() -> None:
    """Nor is a disabled rule measured."""
    rules = older_than(40.0)
    hidden = rules.rules[0].replace(id="R2")
    off = rules.rules[0].replace(id="R3", enabled=False)
    figures = stability(RuleSet((*rules.rules, hidden, off), rules.default), TASK, lambda _: rules, 1)
    assert figures == {"R1": 1.0, "R2": None, "default": 1.0}


def test_rows_are_drawn_anew_by_the_seed() -> None:
    """With replacement, as many as there are; the same seed draws the same."""
    seen: list[np.ndarray] = []

    def again(task: Task) -> RuleSet:
        seen.append(task.rows)
        return older_than(40.0)

    for _ in range(2):
        stability(older_than(40.0), TASK, again, 2)
    assert [rows.shape for rows in seen] == [TASK.rows.shape] * 4
    assert np.array_equal(seen[0], seen[2], equal_nan=True)
    assert not np.array_equal(seen[0], seen[1], equal_nan=True)
    assert len(np.unique(seen[0], axis=0)) < len(seen[0])


def test_rows_that_are_all_answered_alike_give_a_default() -> None:
    """A rare answer may not be drawn at all."""
    case = people(lambda row: "low", rows=40)
    case.answers[0] = 2

    def again(task: Task) -> RuleSet:
        assert task.answers.min() != task.answers.max()
        return older_than(40.0)

    figures = stability(RuleSet((), Outcome.of("low")), Task(*case.given), again, 10)
    assert figures["default"] is not None
    assert 0.0 < figures["default"] < 1.0


def test_is_watched_and_can_be_stopped() -> None:
    """What the watcher raises ends it; more than the limit is refused."""
    steps: list[tuple[int, int]] = []
    stability(older_than(40.0), TASK, lambda _: older_than(40.0), 2, progress=lambda *step: steps.append(step))
    assert steps == [(0, 2), (1, 2), (2, 2)]

    def stop(*_: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        stability(older_than(40.0), TASK, lambda _: older_than(40.0), 2, progress=stop)
    for number in (0, 201, -1):
        with pytest.raises(Refused, match="1 to 200"):
            stability(older_than(40.0), TASK, lambda _: older_than(40.0), number)
