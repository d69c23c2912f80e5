"""FROTE's loop: what reaches training and acceptance, when it stops, and that it does what it is for."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleedit.errors import Cancelled, ConflictsOpen, NoRows, Refused, UnknownName
from ruleedit.feedback import Feedback, FeedbackRule
from ruleedit.matching import Indices, Matrix
from ruleedit.models import Background, TableModel
from ruleedit.models.training import stratified_quarter
from ruleedit.retrain import (
    Answers,
    Point,
    Retrained,
    default_strategy,
    effect,
    estimator_trainer,
    lightgbm_trainer,
    retrain,
)
from ruleedit.retrain.course import FEW
from ruleedit.retrain.objective import held_by_asking
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Schema
from tests.reference import encoded
from tests.retraining import MIXED, Case, Fixed, Recorded, ask, case, loans_case, mixed_answers, mixed_rows
from tests.strategies import Dice, make_outcome, make_region, make_rows, make_schema

#: FROTE, where no other strategy is named.
frote = functools.partial(retrain, strategy="greedy")
ROWS = mixed_rows(400)
ANSWERS = mixed_answers(ROWS)


def run(one: Case, **options: object) -> Retrained:
    """Retrain a case with its own trainer, as FROTE does unless told otherwise."""
    return frote(one.rows, one.answers, one.feedback, one.trainer, model=one.model, **options)  # type: ignore[arg-type]


def agreements(one: Case, result: Retrained) -> list[float | None]:
    """Each rule's agreement on the held-out rows afterwards."""
    before, after = (Answers.of(model, one.held_out) for model in (one.model, result.model))
    return [rule.mra_after for rule in effect(one.feedback, one.held_out, one.held_out_answers, before, after).feedback]


def mixed_case(*texts: str, **options: float) -> Case:
    """A three-class table with missing values, whole numbers and categories."""
    rows = mixed_rows(1_200)
    return case(MIXED, rows, mixed_answers(rows), *texts, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def policy() -> Case:
    """The new policy's region without a training row in it."""
    return loans_case()


@pytest.fixture(scope="module")
def changed(policy: Case) -> Retrained:
    """The policy case, retrained."""
    return run(policy)


class Slow:
    """A trainer whose models follow the rules on more rows with each training, outside as before."""

    def __init__(self, schema: Schema, feedback: object, steps: list[float]) -> None:
        self.schema, self.feedback, self.steps, self.calls = schema, feedback, steps, 0

    def __call__(self, rows: Matrix, answers: Indices, seed: int) -> Fixed:
        share = self.steps[min(self.calls, len(self.steps) - 1)]
        self.calls += 1
        return Fixed(self.schema, 0, self.feedback, share)  # type: ignore[arg-type]


def slowly(steps: list[float], **options: object) -> Retrained:
    """The loop over a fixed course of models, on one rule with many validation rows."""
    asked = ask(MIXED, "IF whole > -99 AND x > -5 THEN yes")
    return frote(ROWS, ANSWERS, asked, Slow(MIXED, asked, steps), **options)  # type: ignore[arg-type]


class TestWhatItIsFor:
    def test_a_region_without_a_training_row_is_learned(self, policy: Case, changed: Retrained) -> None:
        """At least 0.95 of the held-out rows in it, where it was a half or less."""
        assert not (policy.feedback.assign(policy.rows) >= 0).any()
        (after,) = agreements(policy, changed)
        assert after is not None
        assert after >= 0.95
        assert changed.trainings <= 6

    def test_the_rest_stays(self, policy: Case, changed: Retrained) -> None:
        """Macro F1 outside falls by no more than the noise of so few rows."""
        before, after = (Answers.of(model, policy.held_out) for model in (policy.model, changed.model))
        found = effect(policy.feedback, policy.held_out, policy.held_out_answers, before, after)
        assert found.f1_before is not None
        assert found.f1_after is not None
        assert found.f1_after > found.f1_before - 0.02

    @pytest.mark.parametrize("modify", ["relabel", "drop", "none"])
    def test_each_modification_ends_with_the_rule(self, modify: str) -> None:
        """Where contradicting rows stay in the data, synthetic ones outweigh a part of them."""
        one = mixed_case("IF n > 22 AND c in (a, b) THEN perhaps", share=0.2)
        result = run(one, modify=modify, iterations=8)
        (after,) = agreements(one, result)
        assert after is not None
        assert after >= (0.8 if modify == "none" else 0.95)
        assert modify != "none" or result.curve[-1].score.objective > result.curve[0].score.objective + 0.05

    def test_a_region_of_few_rows_is_learned_whole(self) -> None:
        """33 rows span too little of it: after a batch that doesn't help its bases come from nearby too."""
        one = mixed_case("IF n > 22 AND c in (a, b) THEN perhaps", share=0.2)
        result = run(one, iterations=4)
        assert not result.curve[1].accepted
        assert agreements(one, result) == [pytest.approx(1.0, abs=0.03)]

    def test_several_classes_missing_values_and_categories_work_together(self) -> None:
        """Three rules at once on three classes, none with a training row; each has under 30 held-out rows."""
        one = mixed_case(
            "IF c is missing AND n > 10 THEN yes",
            "IF c = a AND x > 2 THEN no",
            "IF c = b AND x is missing THEN perhaps",
        )
        result = run(one, iterations=5)
        assert all(after is not None and after >= 0.85 for after in agreements(one, result))

    def test_a_distribution_is_learned_as_one(self) -> None:
        """Answers are drawn from it, so the model's probabilities come near."""
        one = mixed_case("IF x > 1 AND n > 10 THEN no 0.7, yes 0.3")
        result = run(one, quota=1.0, iterations=4, batch=300)
        before, after = (Answers.of(model, one.held_out) for model in (one.model, result.model))
        (rule,) = effect(one.feedback, one.held_out, one.held_out_answers, before, after).feedback
        assert rule.distance_before is not None
        assert rule.distance_after is not None
        assert rule.distance_after < 0.7 * rule.distance_before
        assert set(result.generated.answers) <= {0, 2}

    def test_the_integer_program_selects_too(self, policy: Case) -> None:
        """The same end by the paper's other road."""
        (after,) = agreements(policy, run(policy, selection="integer-program"))
        assert after is not None
        assert after >= 0.95

    def test_any_classifier_can_be_retrained(self) -> None:
        """Scikit-learn's own, on the DataFrame of the schema's columns."""
        from sklearn.tree import DecisionTreeClassifier

        schema = Schema(MIXED.features[:2] + MIXED.features[4:], "y", MIXED.classes)
        rows = ROWS[:, [0, 1, 4]]
        trainer = estimator_trainer(DecisionTreeClassifier(min_samples_leaf=5), schema)
        asked = ask(schema, "IF n > 31 THEN yes")
        result = frote(rows, ANSWERS, asked, trainer, batch=60, iterations=3)
        assert result.curve[-1].score.agreement == pytest.approx(1.0, abs=0.05)


class TestPromise:
    """PROMISE 13."""

    def test_every_synthetic_row_satisfies_its_rule(self, policy: Case, changed: Retrained) -> None:
        """The exact region: the very rule that the feedback assigns it to."""
        assert changed.synthetic > 0
        assert np.array_equal(policy.feedback.assign(changed.generated.rows), changed.generated.rules)

    def test_so_it_does_where_rules_overlap(self) -> None:
        """Each row belongs to the first rule that holds it, and that is the one it was made for."""
        one = mixed_case("IF x > 1 THEN yes", "IF n > 20 THEN yes", "IF f = true THEN yes", share=0.1)
        for selection in ("random", "integer-program"):
            made = run(one, selection=selection, iterations=2, target=1.0, modify="none").generated
            assert np.array_equal(one.feedback.assign(made.rows), made.rules)

    def test_an_accepted_batch_never_worsens_the_objective(self) -> None:
        """Each accepted point lies above the accepted one before it; the others don't."""
        one = mixed_case("IF n > 22 AND c = b AND x <= 3 THEN perhaps", "IF x > 3 THEN no", share=0.1)
        best = -1.0
        for point in run(one, modify="none", iterations=6, target=1.0).curve:
            assert point.accepted == (point.score.objective > best)
            best = max(best, point.score.objective)

    def test_no_validation_row_is_trained_on_in_the_loop(self, policy: Case) -> None:
        """Every training but the last has given rows outside the validation part and synthetic ones alone."""
        trainer = Recorded(policy.trainer)
        result = frote(policy.rows, policy.answers, policy.feedback, trainer)
        validation = stratified_quarter(policy.answers, 0)
        training = np.setdiff1d(np.arange(len(policy.rows)), validation)
        assert len(trainer.calls) == result.trainings
        for rows, _, _ in trainer.calls[:-1]:
            assert np.array_equal(rows[: len(training)], policy.rows[training], equal_nan=True)
            assert (policy.feedback.assign(rows[len(training) :]) >= 0).all()

    def test_no_held_out_row_is_seen(self, policy: Case, changed: Retrained) -> None:
        """The function is never given one, and asks the model in force about given rows and probe rows alone."""
        seen: list[Matrix] = []

        class Watched(Fixed):
            def proba(self, rows: Matrix) -> Matrix:
                seen.append(rows)
                return super().proba(rows)

        schema = policy.feedback.schema
        frote(policy.rows, policy.answers, policy.feedback, policy.trainer, model=Watched(schema), iterations=1)
        validation = stratified_quarter(policy.answers, 0)
        assert len(seen) == 1
        given, probes = seen[0][: len(validation)], seen[0][len(validation) :]
        assert np.array_equal(given, policy.rows[validation], equal_nan=True)
        assert (policy.feedback.assign(probes) == 0).all()

    def test_no_synthetic_row_is_accepted_by_itself(self, policy: Case) -> None:
        """Probe rows measure a rule without validation rows; none of them is ever trained on."""
        probed: list[Matrix] = []

        def trainer(rows: Matrix, answers: Indices, seed: int) -> TableModel:
            model = policy.trainer(rows, answers, seed)
            trained.append(rows)
            assert isinstance(model, TableModel)

            class Asked(TableModel):
                def proba(self, rows: Matrix) -> Matrix:
                    probed.append(rows)
                    return super().proba(rows)

            return Asked(**{name: getattr(model, name) for name in TableModel.__dataclass_fields__})

        trained: list[Matrix] = []
        frote(policy.rows, policy.answers, policy.feedback, trainer)
        evidence = probed[0]
        probes = evidence[policy.feedback.assign(evidence) >= 0]
        assert len(probes) == 200
        everything = {row.tobytes() for rows in trained for row in rows}
        assert not any(row.tobytes() in everything for row in probes)

    def test_the_same_seed_gives_the_same_model(self) -> None:
        """5 of 5, in both selections; another seed gives another."""
        one = loans_case(rows=800)
        for selection in ("random", "integer-program"):
            texts = [run(one, selection=selection, iterations=2, seed=seed).model.text for seed in (3,) * 5 + (4,)]  # type: ignore[attr-defined]
            assert len(set(texts[:5])) == 1
            assert texts[5] != texts[0]

    def test_another_process_gives_the_same_model(self) -> None:
        """Nothing depends on the order of sets or on the process."""
        program = (
            "import hashlib\nfrom tests.retraining import loans_case\nfrom tests.retrain.test_greedy import run\n"
            "model = run(loans_case(rows=600), iterations=1).model\n"
            "print(hashlib.sha256(model.text.encode()).hexdigest())"
        )
        printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        model = run(loans_case(rows=600), iterations=1).model
        assert isinstance(model, TableModel)
        assert printed.strip() == hashlib.sha256(model.text.encode()).hexdigest()

    @settings(max_examples=25)
    @given(st.integers(0, 2**32 - 1))
    def test_in_any_world(self, seed: int) -> None:
        """Odd schemas, overlapping regions, distributions, tables of a few rows: rows, quota and acceptance hold."""
        source = Dice(seed)
        schema = make_schema(source)
        rows = encoded(make_rows(source, schema, least=1, most=30), schema)
        answers = np.random.default_rng(seed).integers(0, len(schema.classes), len(rows))
        rules = tuple(
            FeedbackRule(
                f"R{n}", make_region(source, schema), make_outcome(source, schema.classes), "asserted", f"R{n}"
            )
            for n in range(3)
        )
        empty = RuleSet((), Outcome.of(schema.classes[0]))
        asked = Feedback(schema, rules, empty, empty)
        trainer = Slow(schema, asked, [0.2, 0.6, 0.4, 0.9])
        for selection in ("random", "integer-program"):
            result = frote(rows, answers, asked, trainer, quota=2.0, iterations=3, batch=9, selection=selection)  # type: ignore[arg-type]
            assert np.array_equal(asked.assign(result.generated.rows), result.generated.rules)
            assert result.synthetic <= 2 * len(rows)
            kept = [point.score.objective for point in result.curve if point.accepted]
            assert kept == sorted(kept)
            for place, rule in enumerate(rules):
                drawn = result.generated.answers[result.generated.rules == place]
                assert {schema.classes[code] for code in drawn} <= set(rule.outcome.classes)


class TestLoop:
    def test_it_stops_at_the_target(self) -> None:
        """As soon as every rule agrees: start, two batches, and the last training."""
        result = slowly([0.1, 0.5, 1.0], modify="none")
        assert (result.stopped, result.accepted, result.trainings) == ("target", 2, 4)

    def test_it_stops_before_the_first_batch_where_relabelling_did_it(self) -> None:
        """Two trainings, no synthetic row."""
        result = slowly([1.0])
        assert (result.stopped, result.synthetic, result.trainings) == ("target", 0, 2)

    def test_a_batch_that_does_not_help_is_thrown_away(self) -> None:
        """It counts as a training and leaves no row behind."""
        result = slowly([0.5, 0.5, 0.4, 1.0], batch=30)
        assert [point.accepted for point in result.curve] == [True, False, False, True]
        assert [point.synthetic for point in result.curve] == [0, 30, 30, 30]
        # The last training has the validation quarter in, and as many more synthetic rows: a third.
        assert result.synthetic == 40

    def test_it_stops_after_so_many_iterations(self) -> None:
        """Each iteration costs one training, accepted or not."""
        result = slowly([0.5], iterations=3)
        assert (result.stopped, result.trainings, result.accepted) == ("iterations", 5, 0)

    @pytest.mark.parametrize(("batch", "rows"), [(None, 40), (7, 40), (1_000, 40)])
    def test_the_quota_is_honoured(self, batch: int | None, rows: int) -> None:
        """Never more synthetic rows than it allows; the last batch is cut to fit."""
        result = slowly([0.1 + 0.01 * step for step in range(30)], quota=0.1, batch=batch)
        assert result.stopped == "quota"
        assert result.synthetic == rows

    def test_without_a_quota_nothing_is_made(self) -> None:
        """Relabelling alone."""
        result = slowly([0.5], quota=0.0)
        assert (result.stopped, result.synthetic, result.trainings) == ("quota", 0, 2)

    def test_a_region_that_no_row_can_be_in_is_given_up(self) -> None:
        """A rule outside the schema's range asks, but nothing can be generated or measured."""
        asked = ask(MIXED, "IF x < -5 THEN yes", "IF x > 4.5 THEN yes")
        result = frote(ROWS, ANSWERS, asked, Slow(MIXED, asked, [0.0]), iterations=2)
        assert result.curve[0].score.by_rule[0] is None
        assert any("no row that the schema allows" in note for note in result.notes)
        alone = ask(MIXED, "IF x < -5 THEN yes")
        assert frote(ROWS, ANSWERS, alone, Slow(MIXED, alone, [0.0])).stopped == "target"

    def test_the_notes_say_where_figures_come_from(self, changed: Retrained) -> None:
        """No training row in the region, so bases were found nearby and agreement is on generated rows."""
        assert any("0 training rows in its region" in note for note in changed.notes)
        assert any("200 generated rows beside 0 validation rows" in note for note in changed.notes)

    def test_a_rule_with_validation_rows_needs_no_probes(self) -> None:
        """Then acceptance looks at given rows alone."""
        result = slowly([1.0])
        assert result.notes == ()
        assert held_by_asking(ask(MIXED, "IF x > -5 THEN yes"), ROWS[stratified_quarter(ANSWERS, 0)]).size >= FEW


class TestLastTraining:
    def test_it_has_the_validation_part_in(self, policy: Case) -> None:
        """The model returned was trained on every given row and the accepted synthetic ones."""
        trainer = Recorded(policy.trainer)
        result = frote(policy.rows, policy.answers, policy.feedback, trainer)
        assert result.refitted
        assert np.array_equal(result.used, np.arange(len(policy.rows)))
        assert len(trainer.calls[-1][0]) == len(policy.rows) + result.synthetic

    def test_synthetic_rows_keep_their_share(self) -> None:
        """A third more given rows come with a third more synthetic ones, within the quota."""
        assert slowly([0.1, 1.0], batch=30).synthetic == 40
        assert slowly([0.1, 1.0], batch=30, quota=0.08).synthetic == 32

    def test_where_it_agrees_less_the_accepted_model_is_returned(self) -> None:
        """Never worse than what was accepted, let alone than the relabelled start."""
        result = slowly([0.1, 1.0, 0.2])
        assert not result.refitted
        assert isinstance(result.model, Fixed)
        assert result.model.share == 1.0
        assert len(result.used) == 300

    def test_dropped_rows_stay_out(self) -> None:
        """Also in the last training; the report marks them."""
        asked = ask(MIXED, "IF x > 1 THEN yes")
        trainer = Recorded(lambda rows, answers, seed: Fixed(MIXED, 2))
        result = frote(ROWS, ANSWERS, asked, trainer, modify="drop")
        wrong = (ROWS[:, 0] > 1) & (ANSWERS != 2)
        assert np.array_equal(result.modified < 0, wrong)
        assert len(trainer.calls[-1][0]) == (~wrong).sum()

    def test_the_seed_reaches_the_trainer(self) -> None:
        """The same one in every training, so that models differ by their rows alone."""
        trainer = Recorded(lambda rows, answers, seed: Fixed(MIXED, 2))
        frote(ROWS, ANSWERS, ask(MIXED, "IF x > 1 THEN yes"), trainer, seed=9)
        assert {seed for _, _, seed in trainer.calls} == {9}


class TestProgress:
    def test_each_training_is_reported(self) -> None:
        """What was done, of how many, and the curve so far; the end is the end."""
        seen: list[tuple[int, int, Point]] = []
        result = slowly([0.1, 0.5, 1.0], iterations=6, progress=lambda *told: seen.append(told), model=Fixed(MIXED))
        assert [done for done, _, _ in seen] == [1, 2, 3, 8]
        assert {of for _, of, _ in seen} == {8}
        assert tuple(point for _, _, point in seen[:3]) == result.curve
        assert all(point.score.flips is not None for _, _, point in seen)

    def test_it_can_be_stopped_between_trainings(self) -> None:
        """After the one in hand, with an error that says so."""
        asked: list[bool] = []

        def should_stop() -> bool:
            asked.append(True)
            return len(asked) > 2

        with pytest.raises(Cancelled, match="after 2 trainings"):
            slowly([0.1], should_stop=should_stop)

    def test_an_error_in_the_callback_ends_it(self) -> None:
        """Whoever watches may stop it too."""

        def watch(*told: object) -> None:
            raise Cancelled("enough")

        with pytest.raises(Cancelled, match="enough"):
            slowly([0.1], progress=watch)


class TestAsking:
    TRAINER: Callable[..., Fixed] = staticmethod(lambda rows, answers, seed: Fixed(MIXED, 0))

    def test_where_nothing_is_asked_the_model_in_force_comes_back(self) -> None:
        """`model` asks for nothing; no training, no change."""
        model = Fixed(MIXED, 1)
        result = frote(ROWS, ANSWERS, ask(MIXED, "IF x > 1 THEN model"), self.TRAINER, model=model)
        assert result.model is model
        assert (result.stopped, result.trainings, result.synthetic) == ("nothing-asked", 0, 0)

    def test_without_a_model_in_force_it_is_trained_once_more(self) -> None:
        """There is nothing to give back, so a model of all rows is."""
        result = frote(ROWS, ANSWERS, ask(MIXED, "IF x > 1 THEN model"), self.TRAINER)
        assert result.synthetic == 0
        assert result.refitted

    def test_anchored_is_the_default_for_lightgbm(self, policy: Case) -> None:
        """Where there is no such model in force, batches are added to the rows."""
        assert default_strategy(policy.model) == "anchored"
        assert default_strategy(None) == default_strategy(Fixed(MIXED)) == "adaptive"

    @pytest.mark.parametrize(
        ("options", "hint"),
        [
            ({"strategy": "gredy"}, "did you mean 'greedy'"),
            ({"modify": "relable"}, "did you mean 'relabel'"),
            ({"selection": "ip"}, "among the selections"),
        ],
    )
    def test_an_unknown_option_is_refused_with_a_hint(self, options: dict[str, str], hint: str) -> None:
        """By name, with the nearest one."""
        with pytest.raises(UnknownName, match=hint):
            frote(ROWS, ANSWERS, ask(MIXED, "IF x > 1 THEN yes"), self.TRAINER, **options)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "options",
        [
            {"target": 0.0},
            {"target": 1.1},
            {"quota": -0.1},
            {"quota": float("nan")},
            {"iterations": 0},
            {"batch": 0},
            {"neighbours": 0},
        ],
    )
    def test_a_limit_that_makes_no_sense_is_refused(self, options: dict[str, float]) -> None:
        """Saying what is accepted."""
        with pytest.raises(Refused, match="accepted"):
            frote(ROWS, ANSWERS, ask(MIXED, "IF x > 1 THEN yes"), self.TRAINER, **options)  # type: ignore[arg-type]

    def test_an_open_conflict_is_refused(self) -> None:
        """Nothing unresolved is put in force."""
        with pytest.raises(ConflictsOpen):
            frote(ROWS, ANSWERS, ask(MIXED, "IF x > 1 THEN yes", "IF x > 2 THEN no"), self.TRAINER)

    def test_dropping_every_row_is_refused(self) -> None:
        """Nothing would be left to train on; relabelling keeps the rows."""
        asked = ask(MIXED, "IF whole > -99 THEN yes")
        with pytest.raises(NoRows, match="relabel"):
            frote(ROWS, np.zeros(400, dtype=np.intp), asked, self.TRAINER, modify="drop")
        relabelled = frote(ROWS, np.zeros(400, dtype=np.intp), asked, lambda *given: Fixed(MIXED, 2))
        assert (relabelled.modified == 2).all()
        assert relabelled.curve[-1].score.f1_outside is None

    def test_three_rows_are_enough_to_try(self) -> None:
        """No validation part, one base: it ends, and says that nothing was measured."""
        result = frote(ROWS[:3], ANSWERS[:3], ask(MIXED, "IF x > 3.5 THEN yes"), self.TRAINER, iterations=2)
        assert result.curve[0].score.agreement is None
        assert result.stopped == "target"

    def test_no_rows_are_refused(self) -> None:
        """Nothing can be retrained without the data."""
        with pytest.raises(NoRows):
            frote(ROWS[:0], ANSWERS[:0], ask(MIXED, "IF x > 1 THEN yes"), self.TRAINER)


class TestTrainers:
    def test_a_retrained_model_keeps_thresholds_and_held_out_rows(self, policy: Case, changed: Retrained) -> None:
        """What belongs to the model's record isn't trained."""
        assert isinstance(changed.model, TableModel)
        assert changed.model.thresholds == policy.model.thresholds
        assert np.array_equal(changed.model.holdout, policy.model.holdout)
        assert not changed.model.adopted

    def test_what_replaces_an_adopted_model_keeps_its_codes(self) -> None:
        """A category's number in the file is that of the model before, so schema and callers stay."""
        features = tuple(dataclasses.replace(f, codes=(9, 4, 7, 2)) if f.name == "c" else f for f in MIXED.features)
        schema = dataclasses.replace(MIXED, features=features)
        known = Background.of(ROWS, ANSWERS, schema)
        adopted = TableModel(schema, (1 / 3,) * 3, "", known, 0, True, np.arange(0))
        model = lightgbm_trainer(adopted, trees=3)(ROWS, ANSWERS, 0)
        assert isinstance(model, TableModel)
        assert (model.adopted, model.schema) == (True, schema)
        place = schema.index("c")
        used = {
            code
            for tree in model.file.trees
            for split in range(tree.num_leaves - 1)
            if tree.split_feature[split] == place
            for code in tree.categories(split)
        }
        assert used
        assert used <= {9, 4, 7}

    def test_an_estimator_that_lacks_a_class_is_refused(self) -> None:
        """Where dropping rows took the last one of a class, the error names the classes."""
        from sklearn.tree import DecisionTreeClassifier

        schema = Schema(MIXED.features[4:], "y", MIXED.classes)
        trainer = estimator_trainer(DecisionTreeClassifier(), schema)
        with pytest.raises(Refused, match="the estimator's classes are no, yes"):
            trainer(ROWS[:10, 4:], np.tile([0, 2], 5), 0)

    def test_an_estimators_own_chance_is_seeded(self) -> None:
        """A random state that is None takes the seed, one that is given stays."""
        from sklearn.ensemble import RandomForestClassifier

        schema = Schema(MIXED.features[4:], "y", MIXED.classes)
        rows, answers = ROWS[:, 4:], np.arange(400) % 3

        def proba(seed: int, state: int | None = None) -> Matrix:
            return estimator_trainer(RandomForestClassifier(5, random_state=state), schema)(rows, answers, seed).proba(
                rows
            )

        assert np.array_equal(proba(1), proba(1))
        assert not np.array_equal(proba(1), proba(2))
        assert np.array_equal(proba(1, state=7), proba(2, state=7))

    def test_an_estimators_thresholds_hold(self) -> None:
        """They belong to the model's record here too."""
        from sklearn.tree import DecisionTreeClassifier

        schema = Schema(MIXED.features[4:], "y", MIXED.classes)
        trainer = estimator_trainer(DecisionTreeClassifier(), schema, {"yes": 0.8})
        assert trainer(ROWS[:, 4:], np.arange(400) % 3, 0).thresholds == pytest.approx((0.1, 0.1, 0.8))

    def test_thresholds_decide_what_agreement_means(self) -> None:
        """A model that needs 0.9 to say yes agrees only where it is that sure."""

        class Unsure(Fixed):
            @property
            def thresholds(self) -> tuple[float, ...]:
                return (0.05, 0.05, 0.9)

            def proba(self, rows: Matrix) -> Matrix:
                return np.tile([0.1, 0.1, 0.8], (len(rows), 1))

        result = frote(ROWS, ANSWERS, ask(MIXED, "IF x > 1 THEN yes"), lambda *given: Unsure(MIXED), iterations=1)
        assert result.curve[0].score.agreement == 0.0
