"""The stages of anchored retraining, what their rows pull at, and the model that grows from stage to stage."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.feedback import Feedback, feedback
from ruleedit.matching import Indices, Matrix
from ruleedit.models import outcomes
from ruleedit.retrain import Answers, Retrained, effect, lightgbm_trainer, retrain
from ruleedit.retrain.continuation import Grown
from ruleedit.retrain.contrast import contrast, edges
from ruleedit.retrain.objective import held_by_asking
from ruleedit.retrain.pulls import Goal, Lesson, Lift, Soft, Unwind, probabilities
from ruleedit.retrain.stages import stages
from ruleedit.retrain.taught import ANCHOR, Taught, own_part
from ruleedit.rules import Outcome, RuleSet
from ruleedit.workflow import resolve_conflicts
from tests.retraining import MIXED, Case, background, case, loans_case, mixed_answers, mixed_rows

ROWS = mixed_rows(600)
ANSWERS = mixed_answers(ROWS)
KNOWN = background(ROWS, ANSWERS, MIXED)
#: Rules that meet, each against the ones behind it.
CROSSING = (
    "IF x > 0 AND n <= 12 THEN yes",
    "IF x > -1 AND n > 8 AND c in (a, rare) THEN no",
    "IF n between 10 and 20 AND f = true THEN perhaps",
    "IF x <= 1 AND c = b THEN yes",
    "IF c not in (a) AND n > 15 THEN no",
    "IF whole > 0 AND x is not missing THEN perhaps",
)


def settled(*texts: str) -> Feedback:
    """What rules ask that may meet: the earlier one holds."""
    draft = Draft.of(RuleSet((), Outcome.of("no")), MIXED)
    draft = edit(draft, [f"new {text}" for text in texts], reason="a test", author="me")
    draft = resolve_conflicts(draft, (), "priority", reason="a test", author="me")
    return feedback(draft.base, draft.rules, MIXED)


def crossing_case(*texts: str) -> Case:
    """A table without a training row in any of the rules' regions."""
    rows = mixed_rows(1_500)
    one = case(MIXED, rows, mixed_answers(rows), "IF n = 39 THEN no")
    asked = settled(*texts)
    outside = held_by_asking(asked, one.rows) < 0
    kept, answers = one.rows[outside], one.answers[outside]
    trainer = lightgbm_trainer(one.model, trees=30)
    return dataclasses.replace(
        one, feedback=asked, rows=kept, answers=answers, trainer=trainer, model=trainer(kept, answers, 0)
    )


def anchored(one: Case) -> Retrained:
    """Retrain a case by continued boosting."""
    return retrain(one.rows, one.answers, one.feedback, one.trainer, model=one.model, strategy="anchored")


@pytest.fixture(scope="module")
def policy() -> Case:
    """The new policy's region without a training row in it."""
    return loans_case(rows=1_500)


class TestRulesThatMeet:
    def test_six_are_learned_in_one_training(self) -> None:
        """Each to 0.99 on held-out rows, no training row in their regions, and hardly a decision outside is another."""
        one = crossing_case(*CROSSING)
        result = anchored(one)
        before, after = (Answers.of(model, one.held_out) for model in (one.model, result.model))
        found = effect(one.feedback, one.held_out, one.held_out_answers, before, after)
        assert [rule.mra_after for rule in found.feedback if (rule.mra_after or 1.0) < 0.99] == []
        assert found.outside > 50
        assert found.flips is not None
        assert found.flips <= 0.005
        assert result.trainings <= 2

    def test_a_rule_that_leaves_it_to_the_model_keeps_its_rows(self) -> None:
        """Though a later rule asks for something else there."""
        one = crossing_case("IF x > 0 AND c = a THEN model", "IF x > -2 AND n > 5 THEN perhaps")
        model = anchored(one).model
        kept = one.feedback.assign(one.held_out) == 0
        asked = held_by_asking(one.feedback, one.held_out) == 1
        assert kept.sum() > 20
        assert (outcomes(model, one.held_out)[kept] == outcomes(one.model, one.held_out)[kept]).mean() >= 0.99
        assert (outcomes(model, one.held_out)[asked] == MIXED.classes.index("perhaps")).mean() >= 0.99

    def test_a_tree_a_rule_is_enough(self) -> None:
        """Of each class, as LightGBM counts them."""
        one = crossing_case(*CROSSING)
        result = anchored(one)
        added = len(result.model.file.trees) - len(one.model.file.trees)  # type: ignore[attr-defined]
        assert added <= 2 * result.trainings * len(CROSSING) * len(MIXED.classes)


class TestTheOrder:
    def test_the_first_rule_comes_last(self) -> None:
        """So that it overrules the others; distributions come before all, together."""
        asked = settled(
            "IF x > 3 THEN yes", "IF x < -3 THEN yes 0.7, no 0.3", "IF x > 0 THEN no", "IF x < 0 THEN no 0.5, yes 0.5"
        )
        first, *others = [stage.places for stage in stages(asked, KNOWN)]
        assert first == tuple(place for place, rule in enumerate(asked) if not rule.outcome.is_class)
        assert others == sorted(others, reverse=True)
        assert sorted(np.concatenate([first, *others])) == list(range(len(asked)))

    def test_a_stage_splits_at_its_own_edges(self) -> None:
        """And at those of an earlier rule that keeps its rows, where the two meet."""
        asked = settled("IF n > 30 AND f = true THEN model", "IF x > 3 THEN yes", "IF x > 0 AND n > 5 THEN no")
        named = {
            stage.places[0]: [(MIXED.names[edge.place], edge.bounds) for edge in stage.edges]
            for stage in stages(asked, KNOWN)
        }
        last = next(place for place, rule in enumerate(asked) if rule.id == "R3")
        assert [bounds for name, bounds in named[last] if name == "n"] == [(5.0, 30.0)]
        assert [bounds for name, bounds in named[last] if name == "x"] == [(0.0,)]
        assert "f" in dict(named[last])

    def test_rows_that_an_earlier_rule_overrules_are_left_open(self) -> None:
        """Its stage comes later; rows outside the region hold the model all the same."""
        asked = settled("IF x > 2 THEN yes", "IF x > 0 THEN no")
        held = held_by_asking(asked, ROWS)
        taught = Taught(ROWS, held, np.full(len(ROWS), ANCHOR), held, held, np.zeros(len(ROWS), dtype=bool))
        later, earlier = stages(asked, KNOWN)
        assert set(held[own_part(later, taught, asked)]) == {-1, later.places[0]}
        assert len(own_part(earlier, taught, asked)) == len(ROWS)
        assert later.covers(asked, ROWS).sum() > (held == later.places[0]).sum()


def lesson(scores: npt.NDArray[np.float64], wanted: Indices) -> Lesson:
    """Rows with scores that are to become a class each, -1 to stay as they are."""
    targets = probabilities(scores, 1.0)
    targets[wanted >= 0] = np.eye(targets.shape[1])[wanted[wanted >= 0]]
    return Lesson(ROWS[: len(scores)], targets, scores, wanted < 0, wanted, np.zeros(len(scores), dtype=bool))


class TestLift:
    def test_every_row_asks_for_what_the_most_reluctant_one_lacks(self) -> None:
        """At first; then those that have learned their class ask for nothing."""
        given = lesson(np.array([-9.0, 2.0, 9.0, -9.0]), np.array([1, 1, 1, -1]))
        pull = Lift(given, 1.0, Goal(given, 1.0, (0.5, 0.5)))
        first = pull(given.scores)
        assert first is not None
        gradient, _ = first
        assert gradient[0] == gradient[1] == gradient[2] < -9.0
        assert gradient[3] == 0.0
        later = pull(given.scores + np.array([9.0, 9.0, 9.0, 0.5]))
        assert later is not None
        assert later[0][0] < 0.0 == later[0][1] == later[0][2] < later[0][3]

    def test_one_step_of_that_size_is_enough(self) -> None:
        """Nothing more is asked then, for either class of two and for each of three."""
        for scores, wanted in (
            (np.array([-9.0, 2.0]), np.array([1, 1])),
            (np.array([9.0, 2.0]), np.array([0, 0])),
            (np.array([[5.0, 0.0, 1.0], [0.0, 4.0, 9.0]]), np.array([1, 1])),
        ):
            given = lesson(scores, wanted)
            thresholds = (1.0 / given.targets.shape[1],) * given.targets.shape[1]
            pull = Lift(given, 1.0, Goal(given, 1.0, thresholds))
            step = pull(scores)
            assert step is not None
            assert pull(scores - step[0] / step[1]) is None

    def test_a_class_with_a_high_threshold_takes_more(self) -> None:
        """What decides is the probability over the threshold."""
        given = lesson(np.array([0.0, 0.0]), np.array([1, 1]))
        strict, plain = (
            Lift(given, 1.0, Goal(given, 1.0, each))(given.scores) for each in ((0.001, 0.999), (0.5, 0.5))
        )
        assert strict is not None
        assert plain is not None
        assert strict[0][0] < plain[0][0] - 3.0

    def test_where_rows_differ_it_is_as_much_again_beyond_their_median(self) -> None:
        """Of the rows to come some lack more than the most reluctant one that is taught."""
        alike, apart = (lesson(np.array(scores), np.array([1, 1, 1])) for scores in ([-9.0] * 3, [-9.0, -5.0, -5.0]))
        one, other = (Lift(given, 1.0, Goal(given, 1.0, (0.5, 0.5)))(given.scores) for given in (alike, apart))
        assert one is not None
        assert other is not None
        assert other[0][0] == pytest.approx(one[0][0] - 4.0)

    def test_what_is_so_already_asks_for_nothing(self) -> None:
        """No tree is learned then."""
        given = lesson(np.array([9.0, -9.0]), np.array([1, -1]))
        goal = Goal(given, 1.0, (0.5, 0.5))
        assert Lift(given, 1.0, goal)(given.scores) is None
        assert Soft(given, 1.0, goal)(given.scores) is None


class TestGoal:
    def test_a_row_with_a_relative_score_is_looked_up_when_it_moves(self) -> None:
        """Once; and whether it is decided otherwise counts from what the model says of it."""
        given = lesson(np.array([9.0, 0.0, 0.0]), np.array([1, -1, -1]))
        given = dataclasses.replace(given, relative=np.array([False, True, True]))
        asked: list[int] = []

        def ask(rows: Matrix) -> npt.NDArray[np.float64]:
            asked.append(len(rows))
            return np.full(len(rows), -3.0)

        goal = Goal(given, 1.0, (0.5, 0.5), ask)
        assert goal(given.scores)[0]
        assert asked == []
        assert goal(given.scores + np.array([0.0, 2.0, 0.0]))[0]
        assert not goal(given.scores + np.array([0.0, 4.0, 0.0]))[0]
        assert asked == [1]


class TestUnwind:
    @pytest.mark.parametrize("factor", [1.0, 2.0])
    def test_trees_that_do_as_they_are_taught_reach_the_target(self, factor: float) -> None:
        """One for each step of two classes, whatever the slope; what is outside stays."""
        scores = np.array([-9.0, 2.0, 6.0, -9.0])
        shares = np.where(np.array([True, True, True, False])[:, None], [0.3, 0.7], probabilities(scores, factor))
        given = dataclasses.replace(lesson(scores, np.array([1, 1, 1, -1])), targets=shares)
        goal = Goal(given, factor, (0.5, 0.5))
        after = unwound(Unwind(given, factor, goal, lambda number: scores * [0.5, 0.3, 0.2][number], 3), scores, 3)
        np.testing.assert_allclose(probabilities(after, factor), shares, atol=1e-12)
        assert after[3] == scores[3]

    def test_of_several_classes_one_that_gets_nothing(self) -> None:
        """Gets a thousandth, which takes less than that from the others."""
        scores = np.array([[5.0, 0.0, 1.0], [0.0, 4.0, 9.0]])
        given = dataclasses.replace(lesson(scores, np.array([0, 0])), targets=np.array([[0.6, 0.4, 0.0]] * 2))
        pull = Unwind(given, 1.0, Goal(given, 1.0, (1 / 3,) * 3), lambda _: scores / 2.0, 2)
        found = probabilities(unwound(pull, scores, 2), 1.0)
        np.testing.assert_allclose(found, [[0.6, 0.4, 0.0]] * 2, atol=1e-3)
        assert (found[:, 2] > 0.0).all()

    def test_each_tree_is_taught_one_step(self) -> None:
        """Beside what those before it left; the first has the target's score too."""
        scores = np.array([4.0, -4.0])
        given = dataclasses.replace(lesson(scores, np.array([0, 0])), targets=np.array([[0.5, 0.5]] * 2))
        pull = Unwind(given, 1.0, Goal(given, 1.0, (0.5, 0.5)), lambda number: scores * [0.75, 0.25][number], 2)
        first = pull(scores)
        assert first is not None
        np.testing.assert_allclose(first[0], [3.0, -3.0])
        second = pull(scores - [2.0, -3.0])
        assert second is not None
        np.testing.assert_allclose(second[0], [2.0, -1.0])

    def test_trees_after_the_last_step_go_on_until_the_goal_is_reached(self) -> None:
        """And no longer."""
        scores = np.array([4.0, -4.0])
        given = dataclasses.replace(lesson(scores, np.array([0, 0])), targets=np.array([[0.5, 0.5]] * 2))
        pull = Unwind(given, 1.0, Goal(given, 1.0, (0.5, 0.5)), lambda _: scores, 1)
        assert pull(scores) is not None
        again = pull(scores)
        assert again is not None
        np.testing.assert_allclose(scores - again[0], 0.0, atol=1e-12)
        assert pull(scores - again[0]) is None


def unwound(pull: Unwind, scores: npt.NDArray[np.float64], steps: int) -> npt.NDArray[np.float64]:
    """The scores after so many trees that do exactly as they are taught."""
    for _ in range(steps):
        taught = pull(scores)
        assert taught is not None
        scores = scores - taught[0] / taught[1]
    return scores


class TestGrown:
    def test_it_answers_as_its_whole_file(self, policy: Case) -> None:
        """To the rounding of one sum, and is the same when it is cut out of the file again."""
        whole = anchored(policy).model
        grown = Grown.of(Grown(policy.model), whole)  # type: ignore[arg-type]
        np.testing.assert_allclose(grown.proba(policy.held_out), whole.proba(policy.held_out), atol=1e-12)
        assert grown.model.text == whole.text  # type: ignore[attr-defined]
        assert (grown.schema, grown.thresholds) == (policy.model.schema, policy.model.thresholds)

    def test_without_trees_it_is_the_model_before(self, policy: Case) -> None:
        """The very object; nothing is added to any score."""
        grown = Grown(policy.model)
        assert grown.model is policy.model
        assert (grown.gain(policy.held_out) == 0.0).all()

    def test_the_same_rows_are_asked_once(self, policy: Case) -> None:
        """The model before gives the very array again, also to a model that has grown."""
        grown = Grown(policy.model)
        assert grown.start(policy.held_out) is dataclasses.replace(grown, added=()).start(policy.held_out)


def test_contrast_rows_leave_no_value_at_the_edges_out() -> None:
    """Each known category, the unseen one and the missing one comes, however few rows there are for all."""
    asked = settled("IF c in (a) THEN yes")
    (edge,) = edges(asked, KNOWN)
    many = 4 * len(edge.values)
    made = contrast(ROWS[:many], [edge], np.zeros(many, dtype=np.intp), np.random.default_rng(0))[:, edge.place]
    seen = {str(value) for value in made}
    assert seen == {str(value) for value in edge.values}
