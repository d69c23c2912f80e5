"""Proofs and counterexamples: held against brute force on models small enough to ask on every cell."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import sys
from collections.abc import Callable

import numpy as np
import pytest

import ruleedit.prove as module
from ruleedit.feedback import Feedback
from ruleedit.graft import graft
from ruleedit.graft.trees import FileNumbers
from ruleedit.matching import Matrix
from ruleedit.models import Background, TableModel, outcomes
from ruleedit.prove import prove
from ruleedit.prove.cells import CannotTranslateError, as_cut, box_cells, goes_left
from ruleedit.prove.trees import Translation
from ruleedit.regions import Box
from ruleedit.retrain import lightgbm_trainer
from ruleedit.schema import Feature, Schema
from tests.retraining import MIXED, ask, mixed_answers, mixed_rows

#: A schema whose every row that a small model can tell apart can be listed.
SMALL = Schema(
    (
        Feature("n", "integer"),
        Feature("x", "numeric"),
        Feature("c", "categorical", categories=("a", "b", "d")),
        Feature("f", "boolean", missing=False),
    ),
    "y",
    ("no", "perhaps", "yes"),
)
RULES = (
    "IF n > 2 THEN {}",
    "IF c in (a, d) AND n <= 3 THEN {}",
    "IF c not in (a) AND x > 0.5 THEN {}",
    "IF x is missing THEN {}",
    "IF f = true AND n is not missing THEN {}",
    "IF n between 1 and 4 AND f = false THEN {}",
)


def small_model(seed: int, classes: int, *, codes: tuple[int, ...] = (), missing: bool = True) -> TableModel:
    """A few small trees over `SMALL`, on answers that hardly depend on anything."""
    rng = np.random.default_rng(seed)
    features = tuple(dataclasses.replace(f, codes=codes) if f.kind == "categorical" else f for f in SMALL.features)
    schema = dataclasses.replace(SMALL, features=features, classes=SMALL.classes[:classes])
    rows = np.column_stack(
        [
            rng.integers(0, 6, 300),
            rng.choice([-1.0, 0.0, 1.0, 2.0], 300),
            rng.integers(1, 4, 300),
            rng.integers(0, 2, 300),
        ]
    ).astype(float)
    if missing:
        rows[:, :3][rng.random((300, 3)) < 0.15] = np.nan
    answers = ((np.nan_to_num(rows[:, 0]) > 2) * 1 + (rng.random(300) < 0.4)).astype(np.intp) % classes
    answers[:classes] = np.arange(classes)
    empty = TableModel(
        schema, (1 / classes,) * classes, "", Background.of(rows, answers, schema), 0, bool(codes), np.arange(0)
    )
    model = lightgbm_trainer(empty, trees=int(rng.integers(1, 6)))(rows, answers, seed)
    assert isinstance(model, TableModel)
    return model


def every_row(model: TableModel) -> Matrix:
    """A row for each way in which the values can lie between the model's and the rules' bounds."""
    numbers = [-1.0, *np.arange(7.0), np.nan]
    reals = [-2.0, -1.0, -0.5, 0.0, 0.5, math.nextafter(0.5, 1.0), 0.7, 1.0, 1.5, 2.0, 3.0, np.nan]
    return np.array(list(itertools.product(numbers, reals, [0.0, 1.0, 2.0, 3.0, np.nan], [0.0, 1.0])))


class TestAgainstBruteForce:
    @pytest.mark.parametrize("classes", [2, 3])
    def test_proved_is_what_no_row_contradicts(self, classes: int, count: Callable[[int, int], int]) -> None:
        """The search by itself, without a row tried before; a counterexample is a real one."""
        for seed in range(count(6, 60)):
            self.check(seed, classes)

    @staticmethod
    def check(seed: int, classes: int) -> None:
        model = small_model(seed, classes, codes=(7, 2, 40) if seed % 3 == 2 else (), missing=seed % 2 == 0)
        grid = every_row(model)
        for rule, name in itertools.product(RULES, model.schema.classes):
            asked = ask(model.schema, rule.format(name))
            (finding,) = prove(model, asked, grid[:0])
            inside = grid[asked.assign(grid) == 0]
            wrong = outcomes(model, inside) != asked.outcome_codes()[0]
            assert finding.status == ("counterexample" if wrong.any() else "proved"), (rule, name, finding)
            check_counterexamples(model, asked, finding.counterexamples)

    @pytest.mark.parametrize("threshold", [0.2, 0.8])
    def test_thresholds_decide_what_comes_out(self, threshold: float) -> None:
        """Proved of the model with its thresholds, not of its greatest probability."""
        model = dataclasses.replace(small_model(0, 2), thresholds=(1.0 - threshold, threshold))
        grid = every_row(model)
        for rule in RULES:
            asked = ask(model.schema, rule.format("no"))
            inside = grid[asked.assign(grid) == 0]
            wrong = (outcomes(model, inside) != 0).any()
            assert (prove(model, asked, grid)[0].status == "counterexample") == wrong

    def test_a_graft_is_proved_rule_by_rule(self) -> None:
        """Its trees are trees like others: the two proofs agree."""
        model = small_model(3, 3)
        asked = ask(model.schema, "IF n > 2 AND c = b THEN yes", "IF n <= 2 AND c not in (a) THEN no")
        grafted = graft(model, asked)
        assert [finding.status for finding in prove(grafted, asked, every_row(model))] == ["proved", "proved"]


def check_counterexamples(model: TableModel, asked: Feedback, rows: Matrix) -> None:
    """They lie in the region and the model decides them otherwise."""
    if len(rows):
        assert (asked.assign(rows) == 0).all()
        assert (outcomes(model, rows) != asked.outcome_codes()[0]).all()


class TestFindings:
    def test_rows_near_the_edges_are_tried_first(self) -> None:
        """Where one of them is decided otherwise no search is needed."""
        rows = mixed_rows(400)
        model = lightgbm_trainer(self.empty(rows), trees=10)(rows, mixed_answers(rows), 0)
        asked = ask(MIXED, "IF x > 1 THEN no")
        (finding,) = prove(model, asked, rows)  # type: ignore[arg-type]
        assert (finding.status, finding.boxes, finding.steps) == ("counterexample", 0, 0)
        check_counterexamples(model, asked, finding.counterexamples)  # type: ignore[arg-type]
        shown = finding.to_json(asked)
        json.dumps(shown, allow_nan=False)
        assert shown["counterexample"].keys() == set(MIXED.names)
        assert shown["counterexample"]["x"] > 1

    def test_what_asks_for_nothing_has_no_finding(self) -> None:
        """Rules that leave their rows to the model."""
        model = small_model(0, 2)
        asked = ask(model.schema, "IF n > 2 THEN model", "IF n <= 2 THEN no")
        assert [finding.rule for finding in prove(model, asked, every_row(model))] == ["R2"]

    def test_a_search_that_was_cut_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing found is not proved."""
        model = small_model(3, 2)
        asked = ask(model.schema, "IF n > 2 THEN perhaps")
        cells = box_cells(model.file.trees, Box(), FileNumbers(model))
        rows = np.array([[one.values[0] for one in cells]]), np.zeros((1, len(cells)), dtype=np.intp)
        search = module._Search(model, [(tree, 1.0) for tree in model.file.trees], cells, 0.0, rows)
        assert search.run(0)[0] == "no counterexample found"
        monkeypatch.setattr(module._Search, "run", lambda self, steps: ("no counterexample found", steps))
        (finding,) = prove(graft(model, asked), asked, every_row(model))
        assert finding.status == "no counterexample found"
        assert "20,000 steps" in finding.why

    def test_a_rule_has_so_many_steps_in_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A region of many boxes isn't searched for hours because none of them takes all the steps."""
        monkeypatch.setattr(module, "MOST_SEARCHES", 1)

        def run(self: module._Search, steps: int) -> tuple[str, int]:
            return ("proved", 99) if steps > 99 else ("no counterexample found", steps)

        monkeypatch.setattr(module._Search, "run", run)
        model = small_model(3, 3)
        asked = ask(model.schema, "IF n not in (1, 3) AND x not in (0, 1) THEN perhaps")
        (finding,) = prove(graft(model, asked), asked, every_row(model), steps=100)
        assert (finding.status, finding.steps) == ("no counterexample found", 100)
        assert finding.why == "the search took all its 100 steps"

    def test_it_says_which_rule_is_next(self) -> None:
        """A search takes minutes on a large model, so somebody who waits sees where it is."""
        told: list[tuple[int, int, object]] = []
        model = small_model(3, 2)
        asked = ask(model.schema, "IF n > 2 THEN perhaps", "IF n <= 2 THEN no")
        prove(graft(model, asked), asked, every_row(model), progress=lambda *said: told.append(said))
        assert told == [(0, 2, "proving R1"), (1, 2, "proving R2")]

    def test_without_veritas_the_reason_is_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is an extra; rows are tried all the same."""
        monkeypatch.setitem(sys.modules, "veritas", None)
        model = small_model(3, 2)
        asked = ask(model.schema, "IF n > 2 THEN perhaps")
        (finding,) = prove(graft(model, asked), asked, every_row(model))
        assert (finding.status, finding.rows) == ("not provable", 10_000)
        assert "extra 'prove'" in finding.why

    @pytest.mark.parametrize("limit", ["MOST_BOXES", "ROUNDING"])
    def test_what_cannot_be_asked_is_not_provable(self, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Too many boxes; a translation that differs."""
        monkeypatch.setattr(module, limit, 0 if limit == "MOST_BOXES" else -1.0)
        model = small_model(3, 2)
        asked = ask(model.schema, "IF n > 2 THEN perhaps")
        (finding,) = prove(graft(model, asked), asked, every_row(model))
        assert finding.status == "not provable"
        assert ("boxes" if limit == "MOST_BOXES" else "differ") in finding.why

    @staticmethod
    def empty(rows: Matrix) -> TableModel:
        """A model without trees yet."""
        return TableModel(
            MIXED, (1 / 3,) * 3, "", Background.of(rows, mixed_answers(rows), MIXED), 0, False, np.arange(0)
        )


class TestTranslation:
    def test_every_cell_has_a_number_of_its_own(self) -> None:
        """Cells are told apart by some bound; integers by whole numbers alone; missing is the last."""
        model = small_model(0, 2)
        n, x, c, f = box_cells(model.file.trees, Box(), FileNumbers(model))
        assert all(value == math.floor(value) for value in n.values if not math.isnan(value))
        assert [math.isnan(one.values[-1]) for one in (n, x, c, f)] == [True, True, True, False]
        assert c.values[:-1] == (0.0, 1.0, 2.0, 3.0)
        assert list(n.of(np.array(n.values))) == list(range(len(n.values)))

    def test_a_sum_of_trees_is_the_models_raw_score(self) -> None:
        """On every row of the grid, to the last few bits."""
        model = small_model(4, 2)
        cells = box_cells(model.file.trees, Box(), FileNumbers(model))
        made = Translation([(tree, 1.0) for tree in model.file.trees], cells)
        grid = every_row(model)
        places = np.column_stack([one.of(grid[:, at]) for at, one in enumerate(cells)])
        assert (places >= 0).all()
        np.testing.assert_allclose(made.values(places), model.raw_score(grid), atol=1e-12)

    def test_a_split_that_reads_zero_as_missing_is_refused(self) -> None:
        """No set of cells says what it does."""
        model = small_model(5, 2)
        tree = next(tree for tree in model.file.trees if tree.num_leaves > 1)
        zero = dataclasses.replace(tree, decision_type=(tree.decision_type & 3) | 4)
        cells = box_cells(model.file.trees, Box(), FileNumbers(model))
        split = next(at for at in range(tree.num_leaves - 1) if not tree.is_categorical(at))
        with pytest.raises(CannotTranslateError, match="0 as missing"):
            goes_left(zero, split, cells[int(tree.split_feature[split])])

    def test_bounds_around_zero_are_lightgbms(self) -> None:
        """Tiny numbers are 0."""
        assert as_cut(1e-35) == 0.0
        assert -1.1e-35 < as_cut(-1e-35) < -1e-35
        assert as_cut(0.5) == 0.5

    def test_too_many_leaves_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The limit is on what the translation grows to."""
        monkeypatch.setattr("ruleedit.prove.trees.MOST_LEAVES", 2)
        model = small_model(0, 2)
        with pytest.raises(CannotTranslateError, match="leaves"):
            Translation(
                [(tree, 1.0) for tree in model.file.trees], box_cells(model.file.trees, Box(), FileNumbers(model))
            )
