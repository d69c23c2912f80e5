"""Adaptive retraining: which rules get rows, how many, and that few trainings do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from ruleedit.matching import Indices, Matrix
from ruleedit.models import Model, outcomes
from ruleedit.models.training import stratified_quarter
from ruleedit.retrain import Answers, Retrained, effect, estimator_trainer, retrain
from ruleedit.retrain.adaptive import ALWAYS, FIRST_ROWS, _Adaptive
from ruleedit.retrain.objective import Score
from ruleedit.retrain.rows import RowsInMemory
from ruleedit.retrain.task import Task
from tests.retraining import MIXED, Case, Fixed, Recorded, ask, background, case, loans_case, mixed_answers, mixed_rows

ROWS = mixed_rows(400)
ANSWERS = mixed_answers(ROWS)
TWO = ("IF x > 3 THEN no", "IF x < -3 THEN yes")


def adapt(one: Case, **options: object) -> Retrained:
    """Retrain a case by batches for the rules that lag."""
    return retrain(
        one.rows,
        one.answers,
        one.feedback,
        one.trainer,
        model=one.model,
        strategy="adaptive",
        **options,  # type: ignore[arg-type]
    )


def agreements(one: Case, result: Retrained) -> list[float | None]:
    """Each rule's agreement on the held-out rows afterwards."""
    before, after = (Answers.of(model, one.held_out) for model in (one.model, result.model))
    return [rule.mra_after for rule in effect(one.feedback, one.held_out, one.held_out_answers, before, after).feedback]


class Follows:
    """A trainer whose models follow each rule on a share of its rows: the ``shares`` of the n-th training."""

    def __init__(self, shares: list[tuple[float, float]]) -> None:
        self.asked, self.shares = ask(MIXED, *TWO), shares
        self.batches: list[Indices] = []

    def __call__(self, rows: Matrix, answers: Indices, seed: int) -> Model:
        self.batches.append(np.bincount(self.asked.assign(rows) + 1, minlength=3)[1:])
        shares = self.shares[min(len(self.batches), len(self.shares)) - 1]
        asked = self.asked

        class Some(Fixed):
            def proba(self, rows: Matrix) -> Matrix:
                held = asked.assign(rows)
                spread = np.modf(np.abs(rows[:, 4]) * 1e4)[0]
                follows = (held >= 0) & (spread < np.append(shares, 0.0)[held])
                return np.eye(3)[np.where(follows, asked.outcome_codes()[held], 1)]

        return Some(MIXED)

    def run(self, **options: object) -> Retrained:
        """Retrain with it."""
        return retrain(ROWS, ANSWERS, self.asked, self, strategy="adaptive", **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def policy() -> Case:
    """The new policy's region without a training row in it."""
    return loans_case()


@pytest.fixture(scope="module")
def changed(policy: Case) -> Retrained:
    """The policy case, retrained."""
    return adapt(policy)


class TestWhatItIsFor:
    def test_a_region_without_a_training_row_is_learned_in_few_trainings(
        self, policy: Case, changed: Retrained
    ) -> None:
        """Four at the most."""
        assert agreements(policy, changed)[0] >= 0.99  # type: ignore[operator]
        assert 1 <= changed.trainings <= 4
        assert (changed.strategy, changed.stopped) == ("adaptive", "target")

    def test_any_classifier_can_be_retrained(self) -> None:
        """By default, where the model in force is no LightGBM file."""
        one = loans_case(rows=1_500)
        codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
        columns = make_column_transformer((codes, make_column_selector(dtype_include="str")), remainder="passthrough")
        classifier = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=40))
        result = retrain(one.rows, one.answers, one.feedback, estimator_trainer(classifier, one.model.schema))
        assert result.strategy == "adaptive"
        assert agreements(one, result)[0] >= 0.97  # type: ignore[operator]

    def test_several_classes_missing_values_and_categories(self) -> None:
        """Each rule is learned, and not one of its rows was given."""
        rows = mixed_rows(1_200)
        texts = ("IF x > 0.5 AND n <= 20 THEN no", "IF x <= 0.5 AND c in (b, rare) THEN perhaps")
        one = case(MIXED, rows, mixed_answers(rows), *texts)
        assert all(found >= 0.97 for found in agreements(one, adapt(one)))  # type: ignore[operator]


class TestTheBatches:
    def test_every_synthetic_row_satisfies_its_rule(self, policy: Case, changed: Retrained) -> None:
        """Those at the edges too."""
        assert changed.synthetic > 0
        np.testing.assert_array_equal(policy.feedback.assign(changed.generated.rows), changed.generated.rules)

    def test_several_rules_are_held_to_the_model_in_force_around_them(self) -> None:
        """Two rows outside for each row inside, no rule's, answered as the model does; one rule goes without."""
        rows = mixed_rows(1_200)
        texts = ("IF x > 0.5 AND n <= 20 THEN no", "IF x <= 0.5 AND c in (b, rare) THEN perhaps")
        one, single = (case(MIXED, rows, mixed_answers(rows), *some) for some in (texts, texts[:1]))
        found = adapt(one).generated
        np.testing.assert_array_equal(one.feedback.assign(found.rows), found.rules)
        outside = found.rules < 0
        assert outside.sum() == pytest.approx(2 * (~outside).sum(), rel=0.1)
        np.testing.assert_array_equal(outcomes(one.model, found.rows[outside]), found.answers[outside])
        assert (adapt(single).generated.rules == 0).all()

    def test_some_rows_lie_at_the_edges(self, policy: Case, changed: Retrained) -> None:
        """Inside, on the bound itself."""
        place = policy.model.schema.index("age")
        assert {27.0, 30.0} <= set(changed.generated.rows[:, place])

    def test_only_rules_that_lag_get_more(self) -> None:
        """And twice as many the second time."""
        trainer = Follows([(1.0, 0.2), (1.0, 0.4), (1.0, 1.0)])
        result = trainer.run(batch=30, quota=2.0)
        added = np.diff(trainer.batches[:3], axis=0)
        np.testing.assert_array_equal(added, [[0, 30], [0, 60]])
        assert result.stopped == "target"

    @pytest.mark.parametrize(("agreement", "objective", "factor"), [(0.8, 0.7, 2.0), (0.8, 0.5, 0.5), (0.5, 0.5, 2.0)])
    def test_batches_grow_but_after_one_that_cost_more_outside(
        self, agreement: float, objective: float, factor: float
    ) -> None:
        """The rules gained and the objective fell: half as large. A batch that taught nothing was too small."""
        trainer = Follows([])
        state = _Adaptive(
            Task(RowsInMemory(ROWS, trainer), ANSWERS, trainer.asked, background(ROWS, ANSWERS, MIXED), batch=50)
        )
        before, after = (Score(j, a, (1.0, a), 0.5, None) for j, a in ((0.6, 0.6), (objective, agreement)))
        state._resize(after, before)
        assert list(state.sizes) == [50.0, 50.0 * factor]

    def test_a_rule_with_rows_of_its_own_gets_some_all_the_same(self) -> None:
        """A part of the first batch, for its edges."""
        one = loans_case(rows=2_000, share=1.0)
        recorded = Recorded(one.trainer)
        retrain(one.rows, one.answers, one.feedback, recorded, strategy="adaptive")
        loop = len(one.rows) - len(stratified_quarter(one.answers, 0))
        assert len(recorded.calls[0][0]) - loop >= ALWAYS * FIRST_ROWS

    def test_the_quota_is_honoured(self) -> None:
        """No more synthetic rows than that share of the given ones, of which there are 400 for each rule at least."""
        trainer = Follows([(0.0, 0.0)])
        result = trainer.run(quota=0.3, iterations=6)
        assert result.synthetic <= 0.3 * len(ROWS) * len(TWO)
        assert Follows([(0.0, 0.0)]).run(quota=0.0).synthetic == 0
        assert result.stopped in ("quota", "iterations")

    @pytest.mark.parametrize(("texts", "most"), [(TWO[:1], 4), (TWO, 10)])
    def test_what_can_t_be_taught_is_given_up(self, texts: tuple[str, ...], most: int) -> None:
        """After four trainings for one rule, ten for several."""
        asked = ask(MIXED, *texts)
        result = retrain(
            ROWS, ANSWERS, asked, lambda rows, answers, seed: Fixed(MIXED, 1), strategy="adaptive", quota=9.0
        )
        assert (result.trainings, result.stopped) == (most, "iterations")

    def test_rows_are_as_various_as_those_to_come(self) -> None:
        """Interpolation between rows of nearby gives the commonest text of six; rows moved from there keep theirs."""
        one = loans_case()
        place = one.model.schema.index("purpose")
        made = {}
        for strategy in ("greedy", "adaptive"):
            result = retrain(one.rows, one.answers, one.feedback, one.trainer, strategy=strategy, quota=0.2)
            made[strategy] = result.generated.rows[:, place]
        given = np.bincount(one.rows[:, place][~np.isnan(one.rows[:, place])].astype(int)) / len(one.rows)
        spread = {
            name: np.bincount(found.astype(int), minlength=len(given)) / len(found) for name, found in made.items()
        }
        assert np.abs(spread["adaptive"] - given).sum() < np.abs(spread["greedy"] - given).sum()

    def test_without_a_quota_relabelling_is_all(self) -> None:
        """Nothing is made."""
        result = Follows([(0.0, 0.0)]).run(quota=0.0)
        assert (result.synthetic, result.stopped) == (0, "quota")


class TestPromises:
    def test_the_same_seed_gives_the_same_bytes(self, policy: Case, changed: Retrained) -> None:
        """The whole file."""
        assert adapt(policy).model.text == changed.model.text  # type: ignore[attr-defined]

    def test_no_validation_row_is_trained_on_in_the_loop(self, policy: Case) -> None:
        """They come in with the last training alone."""
        recorded = Recorded(policy.trainer)
        retrain(policy.rows, policy.answers, policy.feedback, recorded, strategy="adaptive")
        validation = {row.tobytes() for row in policy.rows[stratified_quarter(policy.answers, 0)]}
        *loop, last = recorded.calls
        assert all(row.tobytes() not in validation for rows, _, _ in loop for row in rows)
        assert validation <= {row.tobytes() for row in last[0]}

    def test_each_selection_works(self, policy: Case) -> None:
        """The integer program chooses bases once there is a model to ask."""
        result = adapt(policy, selection="integer-program")
        assert agreements(policy, result)[0] >= 0.99  # type: ignore[operator]
