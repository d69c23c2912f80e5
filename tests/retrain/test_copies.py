"""Tables whose rows are there several times, with answers that contradict one another, and rules given twice."""

from __future__ import annotations

import numpy as np
import pytest

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import ConflictsOpen
from ruleedit.feedback import Feedback, feedback
from ruleedit.retrain import STRATEGIES, Answers, Effect, effect, retrain
from ruleedit.rules import Outcome, RuleSet
from ruleedit.workflow import resolve_conflicts
from tests.retraining import MIXED, Case, case, mixed_answers, mixed_rows

TWO = ("IF x > 0.5 AND n <= 20 THEN no", "IF x <= 0.5 AND c in (b, rare) THEN perhaps")


def copied(*texts: str, contradicted: float = 0.0) -> Case:
    """Each of 240 rows five times; so many of the copies have an answer of their own."""
    rows = mixed_rows(240)
    answers = np.repeat(mixed_answers(rows), 5)
    rng = np.random.default_rng(0)
    answers = np.where(rng.random(len(answers)) < contradicted, rng.integers(0, 3, len(answers)), answers)
    return case(MIXED, np.repeat(rows, 5, axis=0), answers.astype(np.intp), *texts, share=0.5)


def felt(one: Case, asked: Feedback, strategy: str) -> Effect:
    """What retraining did on held-out rows."""
    result = retrain(one.rows, one.answers, asked, one.trainer, model=one.model, strategy=strategy)
    before, after = (Answers.of(model, one.held_out) for model in (one.model, result.model))
    return effect(asked, one.held_out, one.held_out_answers, before, after)


def draft(*texts: str) -> Draft:
    """New rules, in this order."""
    begun = Draft.of(RuleSet((), Outcome.of("no")), MIXED)
    return edit(begun, [f"new {text}" for text in texts], reason="a test", author="me")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("contradicted", [0.0, 0.3])
def test_rules_are_learned_from_copies(strategy: str, contradicted: float) -> None:
    """Whatever their answers say of one another."""
    one = copied(*TWO, contradicted=contradicted)
    assert all(rule.mra_after >= 0.99 for rule in felt(one, one.feedback, strategy).feedback)  # type: ignore[operator]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("second", ["no", "perhaps"])
def test_of_two_rules_with_one_region_the_first_has_its_rows(strategy: str, second: str) -> None:
    """The other holds none, so nothing is measured of it, once it is settled which is first."""
    settled = resolve_conflicts(
        draft("IF x > 0.5 THEN no", f"IF x > 0.5 THEN {second}"), (), "priority", reason="a test", author="me"
    )
    first, other = felt(copied(TWO[0]), feedback(settled.base, settled.rules, MIXED), strategy).feedback
    assert first.mra_after is not None
    assert first.mra_after >= 0.99
    assert (other.coverage, other.mra_after) == (0, None)


def test_two_outcomes_for_one_region_are_a_conflict_and_one_twice_is_none() -> None:
    """Nothing is retrained before it is settled."""
    apart, alike = (draft("IF x > 0.5 THEN no", f"IF x > 0.5 THEN {second}") for second in ("perhaps", "no"))
    assert len(feedback(alike.base, alike.rules, MIXED).settled()) == 2
    with pytest.raises(ConflictsOpen):
        feedback(apart.base, apart.rules, MIXED).settled()
