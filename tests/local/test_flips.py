"""The least change of a row after which the model answers otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ruleedit.local.flips import least_flip
from ruleedit.local.trees import Surroundings
from ruleedit.matching import Matrix
from ruleedit.models import TableModel, split_points
from ruleedit.models.adoption import adopt
from ruleedit.models.training import train
from ruleedit.regions import after
from ruleedit.tables import encode, infer_schema
from tests.local.reference import distance, least_in_grid, within


def table(seed: int, classes: int = 2, rows: int = 300) -> pd.DataFrame:
    """Numbers, whole numbers, categories and missing values, and a target that follows them loosely."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=rows).round(2)
    n = draw.integers(0, 12, rows)
    c = draw.choice(["a", "b", "c", "d"], rows)
    score = x + (n > 6) - (c == "b") + 0.3 * draw.normal(size=rows)
    frame = pd.DataFrame({"x": x, "n": n, "c": c}).astype({"x": float})
    frame.loc[draw.random(rows) < 0.1, "x"] = np.nan
    frame["y"] = np.array(["k0", "k1", "k2"])[np.digitize(score, [0.3] if classes == 2 else [-0.3, 0.9])]
    return frame


def trained(seed: int, classes: int = 2, **more: float) -> tuple[TableModel, Matrix]:
    frame = table(seed, classes)
    model = train(frame, infer_schema(frame, "y"), trees=6, thresholds=more)
    return model, encode(frame, model.schema)


def cells(model: TableModel, row: Matrix) -> list[list[float]]:
    """For each feature a value on either side of every threshold, and every category."""
    found = []
    for place, (feature, cuts) in enumerate(zip(model.schema.features, split_points(model), strict=True)):
        whole = feature.kind == "integer"
        if not feature.is_number:
            found.append([float(code) for code in feature.code_of.values()])
            continue
        values = [end for cut in cuts for end in (math.floor(cut) if whole else cut, after(cut, whole))]
        values += [0.0] if math.isnan(row[place]) else []
        found.append([value for value in values if within(feature, value)])
    return found


@pytest.mark.parametrize("classes", [2, 3])
def test_is_the_least_against_every_cell(classes: int, count: Callable[[int, int], int]) -> None:
    """Every cell that the model tells apart is asked; the search finds the least and proves it."""
    for seed in range(count(3, 30)):
        model, rows = trained(seed, classes)
        for row in rows[: count(8, 40)]:
            change = least_flip(model, row)
            least = least_in_grid(row, cells(model, row), model.outcomes, model.schema, model.background)
            assert (change is None) == (least is None)
            if change is None or least is None:
                continue
            assert change.least
            assert change.distance == pytest.approx(least)
            assert change.distance == pytest.approx(distance(row, change.row, model.schema, model.background))
            outcome = model.schema.classes[model.outcomes(change.row[None, :])[0]]
            assert change.outcome == outcome != model.schema.classes[model.outcomes(row[None, :])[0]]
            assert not (np.isnan(change.row) & ~np.isnan(row)).any()


def test_thresholds_count() -> None:
    """With k1 only from 0.6 on, a flip to k1 is one at 0.6."""
    model, rows = trained(1, k1=0.6)
    for row in rows[:10]:
        change = least_flip(model, row)
        assert change is not None
        least = least_in_grid(row, cells(model, row), model.outcomes, model.schema, model.background)
        assert change.distance == pytest.approx(least)
        share = model.proba(change.row[None, :])[0, 1]
        assert (share > 0.6) == (change.outcome == "k1")


def test_bounds_hold_over_every_row_of_the_options() -> None:
    """No row made of the options has a greater margin than the whole box allows; a single row has just that."""
    model, rows = trained(2, 3)
    draw = np.random.default_rng(0)
    for row in rows[:5]:
        around = Surroundings(model, row)
        now = int(model.outcomes(row[None, :])[0])
        most = around.best_margin(around.whole(), now)
        for _ in range(20):
            chosen = [int(draw.integers(len(options.values))) for options in around.options]
            other, reach = row.copy(), around.whole()
            for number, (options, option) in enumerate(zip(around.options, chosen, strict=True)):
                other[options.place] = options.values[option]
                reach = around.narrowed(reach, number, np.arange(len(options.values)) == option)
            weights = np.log(model.proba(other[None, :])[0])
            margin = np.delete(weights, now).max() - weights[now]
            assert around.best_margin(reach, now) == pytest.approx(margin, abs=1e-9)
            assert margin <= most + 1e-9


def test_past_its_limit_it_says_that_it_has_no_proof() -> None:
    """A change that flips all the same, and no smaller than the least; the first bound alone may be proof."""
    model, rows = trained(3)
    proofs = set()
    for row in rows[:20]:
        cut, whole = least_flip(model, row, most_leaves=0), least_flip(model, row)
        assert whole is not None
        if cut is not None:
            proofs.add(cut.least)
            assert cut.distance >= whole.distance - 1e-12
            assert not cut.least or cut.distance == pytest.approx(whole.distance)
            assert model.outcomes(cut.row[None, :])[0] != model.outcomes(row[None, :])[0]
    assert proofs == {False, True}


def test_a_model_that_answers_all_alike_has_no_flip() -> None:
    """There is nothing to find, and that is found."""
    model, rows = trained(4, k1=0.999999)
    assert (model.outcomes(rows) == 0).all()
    assert least_flip(model, rows[0]) is None


def test_an_adopted_model_is_asked_in_its_own_codes() -> None:
    """Categories that somebody else numbered, a random forest, and numbers whose zero is missing."""
    import lightgbm

    frame = table(5)
    data = frame.drop(columns="y").assign(c=frame["c"].astype("category"))
    for parameters in (
        {"zero_as_missing": True},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7},
        {"objective": "binary", "sigmoid": 2.5, "use_missing": False},
    ):
        settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1, **parameters}
        booster = lightgbm.train(settings, lightgbm.Dataset(data, (frame["y"] == "k1").astype(int)), num_boost_round=5)
        model = adopt(booster.model_to_string(), frame, "y", classes=["k0", "k1"])
        rows = encode(frame, model.schema)
        for row in rows[:6]:
            grid = cells(model, row)
            grid[0] += [0.0, math.nextafter(-1e-34, -1.0), 1e-34]
            least = least_in_grid(row, grid, model.outcomes, model.schema, model.background)
            change = least_flip(model, row)
            assert (change is None) == (least is None)
            if change is not None and least is not None:
                assert change.least
                assert change.distance == pytest.approx(least, abs=1e-9)
