"""The effect on held-out rows, the objective, and what becomes of rows that contradict the feedback."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from ruleedit.errors import Refused, UnknownName
from ruleedit.feedback import Feedback, FeedbackRule
from ruleedit.matching import Indices
from ruleedit.regions import Region, rule_box
from ruleedit.retrain import Answers, effect
from ruleedit.retrain.modify import modified
from ruleedit.retrain.objective import Evidence, held_by_asking, macro_f1, objective
from ruleedit.retrain.report import FEW_VALUES, subgroups
from ruleedit.rules import MODEL, Outcome, RuleSet
from ruleedit.tables.groups import Grouping
from ruleedit.text import parse_rule
from tests.retraining import MIXED, Fixed, ask, mixed_answers, mixed_rows

ROWS = mixed_rows(200)
TRUTH = mixed_answers(ROWS)


def answers(codes: Indices) -> Answers:
    """Answers that are sure of themselves."""
    return Answers(np.eye(3)[codes], codes)


def with_undecided(*texts: str) -> Feedback:
    """Feedback whose first rule is a conflict that nobody settled, before the others."""
    asked = ask(MIXED, *texts)
    first = FeedbackRule("R8+R9", Region.of(rule_box(parse_rule("IF f = true THEN no"), MIXED)), MODEL, "undecided", "")
    return Feedback(MIXED, (first, *asked.rules), asked.base, asked.edited)


class TestEffect:
    def test_agreement_is_the_share_that_answers_as_the_rule_says(self) -> None:
        """Before: the truth; after: yes in the whole region."""
        asked = ask(MIXED, "IF x > 0 THEN yes")
        here = ROWS[:, 0] > 0
        (rule,) = effect(asked, ROWS, TRUTH, answers(TRUTH), answers(np.where(here, 2, TRUTH))).feedback
        assert rule.coverage == here.sum()
        assert rule.mra_before == pytest.approx((TRUTH[here] == 2).mean())
        assert rule.mra_after == 1.0

    def test_an_uncovered_rule_has_no_agreement(self) -> None:
        """None, not 0: nothing was measured."""
        (rule,) = effect(ask(MIXED, "IF x > 4.5 THEN yes"), ROWS, TRUTH, answers(TRUTH), answers(TRUTH)).feedback
        assert (rule.coverage, rule.mra_before, rule.mra_after) == (0, None, None)

    def test_outside_is_what_no_asking_rule_holds(self) -> None:
        """Rows of a rule that leaves them to the model, and of a conflict, count as outside."""
        asked = with_undecided("IF x > 0 THEN yes", "IF x < -2 THEN model")
        found = effect(asked, ROWS, TRUTH, answers(TRUTH), answers(TRUTH))
        assert found.outside == ((ROWS[:, 3] == 1) | ~(ROWS[:, 0] > 0)).sum()
        assert [rule.mra_before for rule in found.feedback if rule.rule != "R1"] == [None, None]

    def test_flips_count_rows_outside_that_are_decided_otherwise(self) -> None:
        """A changed row in the region is no flip; each direction is counted."""
        asked = ask(MIXED, "IF x > 0 THEN yes")
        outside = np.flatnonzero(~(ROWS[:, 0] > 0))
        after = np.where(ROWS[:, 0] > 0, 2, 0)
        after[outside[:3]] = 1
        found = effect(asked, ROWS, TRUTH, answers(np.zeros(200, dtype=np.intp)), answers(after))
        assert found.flips == pytest.approx(3 / len(outside))
        assert found.flips_by_class == {"no -> perhaps": 3}

    def test_the_rows_outside_are_parted_by_class_and_group(self) -> None:
        """By what was decided before, and by the value of each text feature, missing too; every row once."""
        asked = ask(MIXED, "IF x > 0 THEN yes")
        after = np.where(ROWS[:, 2] == 2.0, 2, TRUTH)
        found = effect(asked, ROWS, TRUTH, answers(TRUTH), answers(after))
        outside = ~(ROWS[:, 0] > 0)
        assert sum(part.rows for part in found.classes) == found.outside == outside.sum()
        assert sum(part.flipped for part in found.classes) == found.flipped
        by_value = {part.value: part for part in found.groups if part.feature == "c"}
        assert sum(part.rows for part in by_value.values()) == found.outside
        assert by_value[None].rows == (outside & np.isnan(ROWS[:, 2])).sum()
        assert {value for value, part in by_value.items() if part.flipped} == {"b"}
        assert by_value["b"].flipped == (outside & (ROWS[:, 2] == 2.0) & (TRUTH != 2)).sum()

    def test_groups_can_be_chosen(self) -> None:
        """By name, a number by its cuts; long lists of categories are left out unless asked for."""
        many = dataclasses.replace(MIXED.features[2], name="m", categories=tuple(map(str, range(FEW_VALUES + 1))))
        schema = dataclasses.replace(MIXED, features=(*MIXED.features, many))
        assert subgroups(schema, None) == (Grouping("c"), Grouping("f"))
        assert subgroups(schema, ["m", Grouping("x", (0.0,))]) == (Grouping("m"), Grouping("x", (0.0,)))
        with pytest.raises(Refused, match="'x' is a number"):
            subgroups(schema, ["x"])
        with pytest.raises(UnknownName):
            subgroups(schema, ["xx"])

    def test_flips_by_class_come_commonest_first(self) -> None:
        """The direction that most rows went is on top, and their sum is the number of flips."""
        asked = ask(MIXED, "IF x > 4.5 THEN yes")
        after = np.where(np.arange(200) < 30, 2, np.where(np.arange(200) < 40, 1, 0))
        found = effect(asked, ROWS, None, answers(np.zeros(200, dtype=np.intp)), answers(after))
        assert list(found.flips_by_class.items()) == [("no -> yes", 30), ("no -> perhaps", 10)]
        assert found.flipped == 40

    def test_without_a_target_f1_is_unknown(self) -> None:
        """Agreement and flips need no truth."""
        found = effect(ask(MIXED, "IF x > 0 THEN yes"), ROWS, None, answers(TRUTH), answers(TRUTH))
        assert found.f1_before is None
        assert found.f1_after is None
        assert found.flips == 0.0

    def test_with_every_row_inside_nothing_is_said_of_the_outside(self) -> None:
        """F1 and flips are None where there is no row."""
        found = effect(ask(MIXED, "IF whole > -99 THEN yes"), ROWS, TRUTH, answers(TRUTH), answers(TRUTH))
        assert (found.outside, found.f1_before, found.f1_after, found.flips) == (0, None, None, None)

    def test_a_distribution_gets_its_distance_too(self) -> None:
        """Agreement compares outcomes; total variation compares probabilities."""
        asked = ask(MIXED, "IF whole > -99 THEN yes 0.6, no 0.4")
        exact = Answers(np.tile([0.4, 0.0, 0.6], (200, 1)), np.full(200, 2))
        (rule,) = effect(asked, ROWS, TRUTH, answers(np.full(200, 2)), exact).feedback
        assert (rule.mra_before, rule.mra_after) == (1.0, 1.0)
        assert rule.distance_before == pytest.approx(0.4)
        assert rule.distance_after == pytest.approx(0.0)

    def test_the_json_has_the_contracts_keys(self) -> None:
        """As `apply --json` prints it."""
        asked = ask(MIXED, "IF x > 0 THEN yes", "IF x < -3 THEN yes 0.6, no 0.4")
        data = json.loads(json.dumps(effect(asked, ROWS, TRUTH, answers(TRUTH), answers(TRUTH)).to_json()))
        assert {"rule", "outcome", "coverage", "mra_before", "mra_after"} == data["feedback"][0].keys()
        assert {"distance_before", "distance_after"} <= data["feedback"][1].keys()
        assert {"f1_before", "f1_after", "flips"} <= data["outside"].keys()
        assert data["feedback"][0]["outcome"] == "yes"

    def test_answers_of_a_model_are_its_outcomes(self) -> None:
        """By p / threshold, asked once."""
        found = Answers.of(Fixed(MIXED, 1), ROWS)
        assert (found.outcomes == 1).all()
        assert found.probabilities.shape == (200, 3)


class TestObjective:
    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
    def test_macro_f1_is_scikit_learns(self, pairs: list[tuple[int, int]]) -> None:
        """Over the classes that are true or answered at least once."""
        truth, found = np.array(pairs).T
        assert macro_f1(truth, found, 4) == pytest.approx(f1_score(truth, found, average="macro", zero_division=0.0))

    def test_without_rows_there_is_no_f1(self) -> None:
        """None, not 0."""
        assert macro_f1(np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp), 2) is None

    def test_it_weighs_agreement_against_f1(self) -> None:
        """J = w x agreement + (1 - w) x F1."""
        assert objective(0.8, 0.6, 0.25) == pytest.approx(0.65)

    def test_it_is_the_other_where_one_is_undefined(self) -> None:
        """Nothing outside, nothing inside, nothing at all."""
        assert (objective(0.8, None), objective(None, 0.6), objective(None, None)) == (0.8, 0.6, 0.0)

    def test_a_rule_without_rows_counts_in_no_mean(self) -> None:
        """It neither helps nor keeps the target from being reached."""
        asked = ask(MIXED, "IF x > 0 THEN no", "IF x < -4.999 AND c = rare THEN yes")
        held = held_by_asking(asked, ROWS)
        evidence = Evidence(ROWS, held, np.zeros(200, dtype=np.intp), TRUTH, (0, 1), 3)
        score = evidence.score(Fixed(MIXED, 0))
        assert score.by_rule == (1.0, None)
        assert score.agreement == 1.0
        assert score.reaches(0.99)
        assert score.flips is None


class TestModify:
    def change(self, asked: Feedback, how: str, seed: int = 0):  # type: ignore[no-untyped-def]
        held = held_by_asking(asked, ROWS)
        return modified(TRUTH, held, asked, how, np.random.default_rng(seed))  # type: ignore[arg-type]

    def test_relabel_gives_disagreeing_rows_the_rules_class(self) -> None:
        """And touches no other row."""
        here = ROWS[:, 0] > 0
        changed, keep = self.change(ask(MIXED, "IF x > 0 THEN yes"), "relabel")
        assert (changed[here] == 2).all()
        assert (changed[~here] == TRUTH[~here]).all()
        assert keep.all()

    def test_drop_leaves_disagreeing_rows_out(self) -> None:
        """Those that agree stay."""
        _, keep = self.change(ask(MIXED, "IF x > 0 THEN yes"), "drop")
        assert np.array_equal(~keep, (ROWS[:, 0] > 0) & (TRUTH != 2))

    def test_none_changes_nothing(self) -> None:
        """The synthetic rows have to do it alone."""
        changed, keep = self.change(ask(MIXED, "IF x > 0 THEN yes"), "none")
        assert np.array_equal(changed, TRUTH)
        assert keep.all()

    def test_the_first_of_two_rules_has_the_row(self) -> None:
        """As everywhere: `Feedback.assign`."""
        changed, _ = self.change(ask(MIXED, "IF x > 0 THEN yes", "IF x > -1 THEN yes"), "relabel")
        assert (changed[ROWS[:, 0] > -1] == 2).all()

    def test_a_distribution_draws_the_answers_of_its_region(self) -> None:
        """In its shares, whatever they were before."""
        changed, _ = self.change(ask(MIXED, "IF whole > -99 THEN yes 0.75, no 0.25"), "relabel")
        assert 0.65 < (changed == 2).mean() < 0.85
        assert not (changed == 1).any()

    def test_a_distribution_drops_what_it_gives_no_probability(self) -> None:
        """A row with a possible answer stays."""
        _, keep = self.change(ask(MIXED, "IF whole > -99 THEN yes 0.75, no 0.25"), "drop")
        assert np.array_equal(keep, TRUTH != 1)

    def test_a_rule_that_asks_for_nothing_changes_nothing(self) -> None:
        """`model`, and a conflict that nobody settled, which keeps its rows from later rules."""
        asked = with_undecided("IF x > 0 THEN yes", "IF x < 0 THEN model")
        changed, _ = self.change(asked, "relabel")
        assert np.array_equal(changed != TRUTH, (ROWS[:, 0] > 0) & (ROWS[:, 3] != 1) & (TRUTH != 2))

    def test_the_answers_given_stay_as_they_are(self) -> None:
        """The step works on a copy."""
        before = TRUTH.copy()
        self.change(ask(MIXED, "IF x > 0 THEN yes"), "relabel")
        assert np.array_equal(before, TRUTH)


def test_the_feedback_of_nothing_asks_nothing() -> None:
    """No rule: everything is outside."""
    empty = RuleSet((), Outcome.of("no"))
    found = effect(Feedback(MIXED, (), empty, empty), ROWS, TRUTH, answers(TRUTH), answers(TRUTH))
    assert found.feedback == ()
    assert found.outside == 200
