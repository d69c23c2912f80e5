"""Anchored retraining: what it learns, that nothing else moves, and that the model's own file only grows."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable

import lightgbm
import numpy as np
import numpy.typing as npt
import pytest

from ruleedit.errors import Cancelled, ModelFileRefused, NoRows, Refused
from ruleedit.graft.force import slope
from ruleedit.graft.text import cut
from ruleedit.matching import Matrix
from ruleedit.models import Background, TableModel, file, outcomes
from ruleedit.models.file import read_model
from ruleedit.models.training import stratified_quarter
from ruleedit.retrain import Answers, Effect, Point, Retrained, continuation, effect, lightgbm_trainer, retrain
from ruleedit.retrain.continuation import Grown, Pull, Settings, Steps, continue_boosting
from ruleedit.retrain.contrast import edges
from ruleedit.retrain.objective import held_by_asking
from ruleedit.retrain.pulls import Goal, Lesson, Lift, Soft, Unwind, probabilities
from tests.retraining import MIXED, Case, Fixed, ask, board_case, case, loans_case, mixed_answers, mixed_rows

#: By its name: the package's `anchored` is the function.
MODULE = importlib.import_module("ruleedit.retrain.anchored")
EVERYTHING = (
    "IF x > 0.5 AND n <= 20 THEN no",
    "IF x <= 0.5 AND c in (b, rare) AND f = true THEN perhaps",
    "IF x is missing AND n is missing THEN yes",
)


def anchor(one: Case, **options: object) -> Retrained:
    """Retrain a case by continued boosting."""
    return retrain(
        one.rows,
        one.answers,
        one.feedback,
        one.trainer,
        model=one.model,
        strategy="anchored",
        **options,  # type: ignore[arg-type]
    )


def felt(one: Case, result: Retrained) -> Effect:
    """What it did on held-out rows."""
    before, after = (Answers.of(model, one.held_out) for model in (one.model, result.model))
    return effect(one.feedback, one.held_out, one.held_out_answers, before, after)


def mixed_case(*texts: str, rows: int = 1_200, share: float = 0.0) -> Case:
    """A three-class table with missing values, whole numbers and categories."""
    table = mixed_rows(rows)
    return case(MIXED, table, mixed_answers(table), *texts, share=share)


def surer(one: Case, *, trees: int) -> Case:
    """The case with a model of more trees."""
    trainer = lightgbm_trainer(one.model, trees=trees)
    model = trainer(one.rows, one.answers, 0)
    assert isinstance(model, TableModel)
    return dataclasses.replace(one, trainer=trainer, model=model)


class Never(Goal):
    """A goal that is never reached."""

    def __call__(self, found: npt.NDArray[np.float64]) -> tuple[bool, npt.NDArray[np.bool_]]:
        """Go on."""
        return False, super().__call__(found)[1]


def unwinding(lesson: Lesson, factor: float, goal: Goal) -> Unwind:
    """What takes three steps back, of one unit of score each."""
    return Unwind(lesson, factor, goal, lambda _: np.ones_like(lesson.scores), 3)


@pytest.fixture(scope="module")
def policy() -> Case:
    """The new policy's region without a training row in it."""
    return loans_case()


@pytest.fixture(scope="module")
def changed(policy: Case) -> Retrained:
    """The policy case, retrained."""
    return anchor(policy)


@pytest.fixture(scope="module")
def mixed() -> Case:
    """Three rules of every kind of feature on three classes, no training row in them."""
    return mixed_case(*EVERYTHING)


@pytest.fixture(scope="module")
def mixed_changed(mixed: Case) -> Retrained:
    """The mixed case, retrained."""
    return anchor(mixed)


class TestWhatItLearns:
    def test_a_region_without_a_training_row(self, policy: Case, changed: Retrained) -> None:
        """To the target in one training, and not one held-out decision outside is another."""
        found = felt(policy, changed)
        assert found.feedback[0].mra_before < 0.9  # type: ignore[operator]
        assert found.feedback[0].mra_after >= 0.99  # type: ignore[operator]
        assert found.flips == 0.0
        assert (changed.trainings, changed.stopped) == (1, "target")

    def test_rows_of_which_the_model_is_surer_than_of_the_generated_ones(self) -> None:
        """Where the evidence shows that such rows still answer otherwise, more of their kind are taught."""
        one = board_case("IF middle = o AND first = x AND second = o THEN no")
        result = anchor(one, batch=1)
        assert [point.score.by_rule[0] for point in result.curve] == [0.815, 1.0]
        found = felt(one, result)
        assert (found.feedback[0].mra_after, found.flips) == (1.0, 0.0)

    def test_several_classes_categories_and_missing_values(self, mixed: Case, mixed_changed: Retrained) -> None:
        """Each rule to the target; at most one decision outside in a hundred."""
        found = felt(mixed, mixed_changed)
        assert all(rule.coverage and rule.mra_after >= 0.99 for rule in found.feedback)  # type: ignore[operator]
        assert found.flips is not None
        assert found.flips <= 0.01

    def test_a_distribution(self) -> None:
        """The probabilities come near it, from wherever they were; outside they stay."""
        one = loans_case("IF age <= 40 THEN approve 0.7, deny 0.3", share=1.0)
        found = felt(one, anchor(one))
        rule = found.feedback[0]
        assert rule.distance_before > 0.3  # type: ignore[operator]
        assert rule.distance_after < 0.03  # type: ignore[operator]
        assert rule.mra_after >= 0.99  # type: ignore[operator]
        assert found.flips == 0.0

    def test_a_distribution_where_the_model_is_very_sure(self) -> None:
        """With the hundred trees that `train` makes, to the target in one training."""
        one = surer(loans_case("IF age <= 40 THEN approve 0.7, deny 0.3", share=1.0), trees=100)
        result = anchor(one)
        found = felt(one, result)
        assert (result.trainings, result.stopped) == (1, "target")
        assert found.feedback[0].distance_before > 0.5  # type: ignore[operator]
        assert found.feedback[0].distance_after <= 0.05  # type: ignore[operator]
        assert found.feedback[0].mra_after >= 0.99  # type: ignore[operator]
        assert found.flips == 0.0

    def test_distributions_over_three_classes_of_which_one_gets_nothing(self) -> None:
        """Two regions learned together, with a class of its own in a third; few training rows in them."""
        one = mixed_case(
            "IF x > 0.5 AND n <= 20 THEN no 0.6, perhaps 0.4",
            "IF x <= 0.5 AND c in (b, rare) THEN no 0.2, perhaps 0.2, yes 0.6",
            "IF x is missing THEN yes",
            share=0.3,
        )
        found = felt(one, anchor(one))
        assert all(rule.coverage and rule.mra_after >= 0.99 for rule in found.feedback)  # type: ignore[operator]
        assert all(rule.distance_after <= 0.05 for rule in found.feedback[:2])  # type: ignore[operator]
        assert found.flips is not None
        assert found.flips <= 0.01

    def test_a_distribution_without_a_training_row(self) -> None:
        """Rows from nearby are moved into its region."""
        one = loans_case("IF age <= 40 AND income >= 30000 THEN approve 0.7, deny 0.3")
        result = anchor(one)
        rule = felt(one, result).feedback[0]
        np.testing.assert_array_equal(one.feedback.assign(result.generated.rows), 0)
        assert rule.mra_after >= 0.98  # type: ignore[operator]
        assert rule.distance_after <= 0.05  # type: ignore[operator]

    def test_rows_that_keep_their_answers_against_a_distribution(self) -> None:
        """With `none` they are a part of what is taught; the model comes to stand between them and the rule."""
        one = loans_case("IF age <= 40 THEN approve 0.7, deny 0.3", rows=1_200, share=1.0)
        rule = felt(one, anchor(one, modify="none")).feedback[0]
        assert rule.distance_after < rule.distance_before  # type: ignore[operator]

    def test_what_the_thresholds_decide(self) -> None:
        """A class that needs a probability of 0.99 is learned to more than that."""
        one = loans_case()
        strict = dataclasses.replace(
            one.model, thresholds=(0.99, 0.01) if one.model.schema.classes[0] == "approve" else (0.01, 0.99)
        )
        one = dataclasses.replace(one, model=strict)
        assert felt(one, anchor(one)).feedback[0].mra_after >= 0.99  # type: ignore[operator]

    @pytest.mark.parametrize("modify", ["relabel", "drop", "none"])
    def test_each_modification(self, modify: str) -> None:
        """With `none` the rows that contradict keep their own answers as targets; the others follow the rule."""
        one = loans_case(rows=1_200, share=0.2)
        result = anchor(one, modify=modify)
        assert felt(one, result).feedback[0].mra_after >= (0.8 if modify == "none" else 0.99)  # type: ignore[operator]
        contradict = (one.feedback.assign(one.rows) == 0) & (one.answers != one.feedback.outcome_codes()[0])
        assert ((result.modified == -1) == (contradict & (modify == "drop"))).all()

    def test_an_unseen_category_is_told_from_a_missing_one(self) -> None:
        """`not in` holds the one and not the other."""
        one = mixed_case("IF c not in (a) THEN yes")
        model = anchor(one).model
        rows = np.repeat(one.held_out[:100], 2, axis=0)
        rows[:, MIXED.index("c")] = np.tile([0.0, np.nan], 100)
        unseen = np.arange(200) % 2 == 0
        assert (outcomes(model, rows[unseen]) == 2).mean() >= 0.99
        assert (outcomes(model, rows[~unseen]) == outcomes(one.model, rows[~unseen])).mean() >= 0.99


class TestTheFile:
    def test_the_models_own_bytes_stay(self, policy: Case, changed: Retrained) -> None:
        """Trees are added behind its own, under its own header; LightGBM reads the file."""
        assert isinstance(changed.model, TableModel)
        before, after = cut(policy.model.file), cut(changed.model.file)
        assert (after.head, after.tail) == (before.head, before.tail)
        assert after.trees.startswith(before.trees)
        assert changed.model.file.objective == policy.model.file.objective
        alone = lightgbm.Booster(model_str=changed.model.text).predict(policy.held_out)
        np.testing.assert_array_equal(alone, changed.model.proba(policy.held_out)[:, 1])

    def test_a_rule_of_classes_splits_only_what_the_rules_name(self, policy: Case, changed: Retrained) -> None:
        """At their own bounds, which lie in the file to the last bit."""
        assert isinstance(changed.model, TableModel)
        named = {policy.model.schema.index(name) for name in ("age", "income", "debt_ratio")}
        added = changed.model.file.trees[len(policy.model.file.trees) :]
        splits = {(int(f), float(t)) for tree in added for f, t in zip(tree.split_feature, tree.threshold, strict=True)}
        assert {feature for feature, _ in splits} == named
        assert {26.5, 30.5} <= {t for f, t in splits if f == policy.model.schema.index("age")}
        assert 0.6 in {t for f, t in splits if f == policy.model.schema.index("debt_ratio")}

    def test_the_same_seed_gives_the_same_bytes(self, policy: Case, changed: Retrained) -> None:
        """And another seed other synthetic rows."""
        again, other = anchor(policy), anchor(policy, seed=1)
        assert again.model.text == changed.model.text  # type: ignore[attr-defined]
        assert not np.array_equal(other.generated.rows, changed.generated.rows)

    def test_an_adopted_models_codes_stay(self) -> None:
        """Boosting goes on with the numbers that its file expects."""
        features = tuple(dataclasses.replace(f, codes=(9, 4, 7, 2)) if f.name == "c" else f for f in MIXED.features)
        schema = dataclasses.replace(MIXED, features=features)
        rows = mixed_rows(600)
        answers = mixed_answers(rows)
        known = Background.of(rows, answers, schema)
        trainer = lightgbm_trainer(TableModel(schema, (1 / 3,) * 3, "", known, 0, True, np.arange(0)), trees=10)
        model = trainer(rows, answers, 0)
        asked = ask(schema, "IF c = b THEN yes")
        result = retrain(rows, answers, asked, trainer, model=model)
        assert result.strategy == "anchored"
        inside = rows[:, 2] == 2.0
        assert (outcomes(result.model, rows)[inside] == 2).all()
        assert (outcomes(result.model, rows)[~inside] == outcomes(model, rows)[~inside]).all()

    def test_it_is_known_as_if_it_had_been_read(self, changed: Retrained) -> None:
        """Though the added trees alone were: every array of every tree is the same."""
        assert isinstance(changed.model, TableModel)
        known, read = changed.model.file, read_model(changed.model.text)
        assert len(known.trees) == len(read.trees)
        for name in (field.name for field in dataclasses.fields(read) if field.name != "trees"):
            assert getattr(known, name) == getattr(read, name)
        for one, other in zip(known.trees, read.trees, strict=True):
            for field in dataclasses.fields(one):
                np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))

    def test_one_that_grows_past_what_may_be_read_is_refused(
        self, changed: Retrained, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When it is read, as any other."""
        assert isinstance(changed.model, TableModel)
        for module in (continuation, file):
            monkeypatch.setattr(module, "MAX_TREES", len(changed.model.file.trees) - 1)
        pieces = cut(changed.model.file)
        begun = Grown(dataclasses.replace(changed.model, text=pieces.of(pieces.blocks[:1]).text))
        with pytest.raises(ModelFileRefused, match="trees"):
            _ = begun.more([block.decode() for block in pieces.blocks[1:]]).model.file


class TestContinuation:
    @pytest.mark.parametrize("kind", [Soft, Lift, unwinding])
    @pytest.mark.parametrize("make", [loans_case, lambda: mixed_case("IF x > 1 THEN yes")])
    def test_where_the_targets_are_the_models_own_nothing_is_learned(
        self, make: Callable[[], Case], kind: Callable[[Lesson, float, Goal], Pull]
    ) -> None:
        """The gradient is exactly 0 everywhere: raw scores stay what they were, to the bit."""
        one = make()
        scores = one.model.raw_score(one.rows)
        own = probabilities(scores, slope(one.model.file))
        np.testing.assert_allclose(own, one.model.proba(one.rows), atol=1e-12)
        nobody, everybody = np.full(len(own), -1), np.ones(len(own), dtype=bool)
        lesson = Lesson(one.rows, own, scores, everybody, nobody, ~everybody)
        pull = kind(lesson, slope(one.model.file), Never(lesson, slope(one.model.file), one.model.thresholds))
        known = edges(one.feedback, Background.of(one.rows, one.answers, one.model.schema))
        blocks, _ = continue_boosting(one.model, one.rows, scores, pull, Settings(known, True, trees=5))
        after = Grown(one.model).more(blocks)
        assert (after.gain(one.held_out) == 0.0).all()
        np.testing.assert_array_equal(after.model.raw_score(one.held_out), one.model.raw_score(one.held_out))

    @pytest.mark.parametrize("make", [loans_case, lambda: mixed_case("IF x > 1 THEN yes")])
    @pytest.mark.parametrize("most", [150, 7])
    def test_the_steps_of_a_model_add_up_to_its_raw_scores(
        self, make: Callable[[], Case], most: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each tree is in one of them, several in each where there are many."""
        monkeypatch.setattr(continuation, "MOST_STEPS", most)
        one = make()
        steps = Steps(one.model, one.held_out)
        assert len(steps) == min(most, 30)
        said = [steps(number) for number in range(len(steps))]
        assert all(part.any() for part in said)
        np.testing.assert_allclose(sum(said), one.model.raw_score(one.held_out), atol=1e-9)

    def test_a_stage_that_splits_every_feature_may_split_where_the_model_does(self, policy: Case) -> None:
        """What is taken back ends where the model's own leaves do; hardly another threshold is used."""
        one = dataclasses.replace(policy, feedback=ask(policy.model.schema, "IF age <= 40 THEN approve 0.7, deny 0.3"))
        after = anchor(one).model
        assert isinstance(after, TableModel)
        before = len(one.model.file.trees)
        own, added = self.splits(one.model, 0, before), self.splits(after, before, len(after.file.trees))
        known = {*own, (one.model.schema.index("age"), 40.5)}
        assert len(added) > 1_000
        assert np.mean([split in known for split in added]) > 0.95

    @staticmethod
    def splits(model: TableModel, first: int, end: int) -> list[tuple[int, float]]:
        """Every split of some of its trees that isn't at zero: feature and threshold."""
        found = []
        for tree in model.file.trees[first:end]:
            numbers = zip(
                tree.split_feature.tolist(), tree.threshold.tolist(), tree.decision_type.tolist(), strict=True
            )
            found += [(f, round(t, 6)) for f, t, kind in numbers if not int(kind) & 1 and 1e-30 < abs(t) < 1e299]
        return found

    def test_of_too_many_thresholds_some_are_taken_evenly(self, policy: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        """LightGBM's bins are numbered in sixteen bits."""
        whole = continuation._thresholds(policy.model)
        monkeypatch.setattr(continuation, "MOST_THRESHOLDS", 5)
        few = continuation._thresholds(policy.model)
        for place, bounds in whole.items():
            assert few[place] <= bounds
            assert len(few[place]) == min(len(bounds), 5)
            assert {min(bounds), max(bounds)} <= few[place]

    def test_a_random_forest_is_refused(self, policy: Case) -> None:
        """It averages its trees."""
        forest = dataclasses.replace(
            policy.model, text=policy.model.text.replace("\nfeature_names=", "\naverage_output\nfeature_names=", 1)
        )
        with pytest.raises(Refused, match="random forest"):
            retrain(policy.rows, policy.answers, policy.feedback, policy.trainer, model=forest, strategy="anchored")


class TestTheRows:
    @pytest.mark.parametrize("name", ["policy", "mixed"])
    def test_every_synthetic_row_satisfies_its_rule(self, name: str, request: pytest.FixtureRequest) -> None:
        """Contrast rows are others, and are counted beside them."""
        one, result = (
            request.getfixturevalue(name),
            request.getfixturevalue({"policy": "changed", "mixed": "mixed_changed"}[name]),
        )
        assert result.synthetic > 0
        np.testing.assert_array_equal(one.feedback.assign(result.generated.rows), result.generated.rules)

    def test_every_row_taught_is_one_that_the_schema_allows(self, mixed: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whole numbers stay whole, missing values only where they may be, numbers within the range."""
        lessons = self.taught(mixed, monkeypatch)
        for lesson in lessons:
            whole = lesson.rows[:, MIXED.index("n")]
            assert (np.isnan(whole) | (whole == np.rint(whole))).all()
            assert not np.isnan(lesson.rows[:, MIXED.index("whole")]).any()
            assert np.nanmax(np.abs(lesson.rows[:, MIXED.index("x")])) <= 5.0
            assert set(np.unique(lesson.rows[:, MIXED.index("c")][~np.isnan(lesson.rows[:, MIXED.index("c")])])) <= set(
                range(5)
            )

    def test_targets_are_the_rules_inside_and_the_models_outside(
        self, mixed: Case, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Row by row, generated or given."""
        for place, lesson in zip((2, 1, 0), self.taught(mixed, monkeypatch), strict=True):
            own = held_by_asking(mixed.feedback, lesson.rows) == place
            assert own.any()
            assert (lesson.targets[own].argmax(axis=1) == mixed.feedback.outcome_codes()[place]).all()
            np.testing.assert_array_equal(lesson.anchors, ~own)
            np.testing.assert_array_equal(lesson.targets[~own], probabilities(lesson.scores[~own], 1.0))

    def test_no_validation_row_is_taught(self, policy: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the stopping looks at is in no lesson, and held-out rows aren't given at all."""
        lesson = self.taught(policy, monkeypatch)[0]
        validation = policy.rows[stratified_quarter(policy.answers, 0)]
        taught = {row.tobytes() for row in lesson.rows}
        assert not any(row.tobytes() in taught for row in validation)

    @staticmethod
    def taught(one: Case, monkeypatch: pytest.MonkeyPatch) -> list[Lesson]:
        """The lessons of a retraining."""
        lessons: list[Lesson] = []

        class Noted(Lift):
            def __init__(self, lesson: Lesson, factor: float, goal: Goal) -> None:
                lessons.append(lesson)
                super().__init__(lesson, factor, goal)

        monkeypatch.setattr(MODULE, "Lift", Noted)
        anchor(one)
        return lessons


class TestTheCourse:
    def test_each_continuation_is_on_the_curve(self, policy: Case) -> None:
        """With agreement, macro F1 outside and flips so far."""
        told: list[tuple[int, int, Point]] = []
        result = anchor(policy, progress=lambda *step: told.append(step))
        assert [point for _, _, point in told[:-1]] == list(result.curve)
        assert told[-1][:2] == (4, 4)
        assert result.curve[-1].score.flips is not None

    def test_it_can_be_stopped_between_two_trees(self, policy: Case) -> None:
        """Nothing comes back."""
        asked: list[bool] = []

        def stop() -> bool:
            asked.append(True)
            return len(asked) > 1

        with pytest.raises(Cancelled):
            anchor(policy, should_stop=stop)

    def test_a_target_that_is_missed_is_tried_for_again(self, policy: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        """With one tree a continuation, four continuations stand one behind the other."""

        def short(
            model: TableModel, rows: Matrix, scores: Matrix, pull: Pull, settings: Settings
        ) -> tuple[tuple[str, ...], object]:
            return continue_boosting(model, rows, scores, pull, dataclasses.replace(settings, trees=1, rate=0.05))

        monkeypatch.setattr(MODULE, "continue_boosting", short)
        result = anchor(policy)
        assert (result.trainings, result.stopped) == (4, "iterations")
        assert len(result.model.file.trees) == len(policy.model.file.trees) + result.accepted  # type: ignore[attr-defined]

    def test_another_model_is_refused(self, policy: Case) -> None:
        """It has no trees to go on from."""
        with pytest.raises(Refused, match="adaptive"):
            retrain(
                policy.rows,
                policy.answers,
                policy.feedback,
                policy.trainer,
                model=Fixed(policy.model.schema),
                strategy="anchored",
            )

    def test_dropping_every_row_is_refused(self) -> None:
        """As everywhere: there must be a row left."""
        one = mixed_case("IF whole > -100 THEN yes", share=1.0)
        with pytest.raises(NoRows):
            retrain(
                one.rows,
                np.zeros(len(one.rows), dtype=np.intp),
                one.feedback,
                one.trainer,
                model=one.model,
                modify="drop",
            )

    def test_without_a_quota_training_rows_and_contrasts_do(self) -> None:
        """Nothing synthetic is in it, and the rule is learned from its rows."""
        one = loans_case(share=1.0)
        result = anchor(one, quota=0.0)
        assert result.synthetic == 0
        assert felt(one, result).feedback[0].mra_after >= 0.99  # type: ignore[operator]
