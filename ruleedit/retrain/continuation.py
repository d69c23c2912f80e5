"""Continued boosting: more trees behind a LightGBM model's own, learned from rows with soft targets.

The model's raw score is where boosting starts, and the targets are probabilities. Where a row's
target is the model's own probability the gradient is exactly zero at the start, so such a row
pulls only at what a tree does to it by mistake. The result is one plain LightGBM file: the
model's own bytes with the new trees behind its trees, under its own objective.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ruleedit.errors import Refused
from ruleedit.graft.force import slope
from ruleedit.graft.text import cut, with_trees
from ruleedit.graft.trees import threshold
from ruleedit.matching import Mask, Matrix
from ruleedit.modelfile import check_classifier, read_model
from ruleedit.models import Reals, TableModel
from ruleedit.retrain.contrast import Edges

#: No row asks for more than this at once, in units of raw score, before the learning rate: where a model is all but
#: certain of another class the curvature is next to nothing, and Newton's step next to infinite.
LARGEST_STEP = 6.0
#: The curvature of an anchor is at least this, so that rows of which the model is certain hold a leaf back too.
ANCHOR_CURVATURE = 0.02
#: And of any row: LightGBM guesses the rows of a leaf from its curvature, and from next to nothing it guesses wrong.
LEAST_CURVATURE = 1e-3
#: A category may stand alone, and a leaf hold one row: what an edge separates is not smoothed over. (With
#: LightGBM's defaults agreement was 0.946 for five rules on Adult that no training row was in.)
PARAMETERS = {
    "objective": "none",
    "min_data_in_bin": 1,
    "min_sum_hessian_in_leaf": LEAST_CURVATURE / 2.0,
    "min_data_per_group": 1,
    "cat_smooth": 1.0,
    "cat_l2": 0.0,
    "lambda_l2": 0.1,
    "max_cat_to_onehot": 64,
    "max_cat_threshold": 256,
    "feature_pre_filter": False,
    "enable_bundle": False,
    "use_missing": True,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
#: Up to so many rows one thread is soonest: the trees split few features at few bounds.
ONE_THREAD = 50_000
#: Up to so many bounds of one feature are forced: LightGBM's default number of bins.
MOST_BOUNDS = 250


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is taught: encoded ``rows`` (n, features) with ``targets`` (n, classes), rows of probabilities.

    ``scores`` are the raw scores that boosting starts from, as `TableModel.raw_score` gives them;
    ``anchors`` (n,) are the rows that are to stay as they are.
    """

    rows: Matrix
    targets: Reals
    scores: Reals
    anchors: Mask


@dataclass(frozen=True, eq=False)
class Settings:
    """How boosting goes on.

    Only the features of ``edges`` are split, and only at the bounds there, unless ``everywhere``:
    then every feature is, and LightGBM's own bins stand beside the bounds. ``enough`` is asked for
    the present probabilities (n, classes) before each iteration and says whether to stop;
    ``check_stop`` may end it with an error of its own.
    """

    edges: Sequence[Edges]
    everywhere: bool
    trees: int = 150
    leaves: int = 63
    least_rows: int = 1
    rate: float = 0.5
    seed: int = 0
    enough: Callable[[Reals], bool] = field(default=lambda probabilities: False)
    check_stop: Callable[[], None] = field(default=lambda: None)


def check_continuable(model: TableModel) -> None:
    """Refuse a model whose answer is not that of its summed leaves: `Refused`, or `ModelFileRefused`."""
    check_classifier(model.file)
    if model.file.average_output:
        raise Refused("a random forest averages its trees, so none can be added; retrain it with 'adaptive'")


def continue_boosting(model: TableModel, lesson: Lesson, settings: Settings) -> TableModel:
    """The model with trees added that move its answers towards the lesson's targets.

    Raises `Refused` as `check_continuable` does, and whatever ``check_stop`` raises.
    """
    check_continuable(model)
    first = len(model.file.trees)
    blocks = [_renumbered(block, first + place) for place, block in enumerate(_learn(model, lesson, settings))]
    return dataclasses.replace(model, text=with_trees(model.file, blocks)) if blocks else model


def _learn(model: TableModel, lesson: Lesson, settings: Settings) -> list[str]:
    """Boost and return the new trees' blocks."""
    import lightgbm

    with tempfile.TemporaryDirectory() as folder:
        parameters = _parameters(model, settings, Path(folder), len(lesson.rows))
        data = lightgbm.Dataset(
            _shown(model, lesson.rows, settings),
            np.zeros(len(lesson.rows)),
            init_score=lesson.scores,
            categorical_feature=[place for place, f in enumerate(model.schema.features) if f.kind == "categorical"],
            params=parameters,
        ).construct()
        booster = lightgbm.Booster(parameters, data)
    objective = _Objective(lesson, slope(model.file), settings)
    finished, trees = False, 0
    while not finished and trees < settings.trees:
        try:
            finished = booster.update(fobj=objective)
        except _EnoughError:
            break
        trees += 1
    if not trees:
        return []
    pieces = cut(read_model(booster.model_to_string()))
    ends = np.cumsum(pieces.sizes)
    return [pieces.trees[end - size : end].decode() for end, size in zip(ends, pieces.sizes, strict=True)]


class _EnoughError(Exception):
    """The scores so far need no more trees."""


class _Objective:
    """Cross-entropy against soft targets; LightGBM calls it with the scores before each iteration."""

    def __init__(self, lesson: Lesson, factor: float, settings: Settings) -> None:
        self.targets, self.factor, self.settings = lesson.targets, factor, settings
        self.least = np.where(lesson.anchors, ANCHOR_CURVATURE, LEAST_CURVATURE)[:, None]

    def __call__(self, scores: Reals, data: Any) -> tuple[Reals, Reals]:
        """The gradient and the curvature of each row, in the shape of the scores."""
        self.settings.check_stop()
        found = probabilities(scores, self.factor)
        if self.settings.enough(found):
            raise _EnoughError
        gradient = found - self.targets
        curvature = np.maximum(found * (1.0 - found), np.maximum(np.abs(gradient) / LARGEST_STEP, self.least))
        if scores.ndim == 1:
            gradient, curvature = gradient[:, 1], curvature[:, 1]
        return self.factor * gradient, self.factor**2 * curvature


def probabilities(scores: Reals, factor: float) -> Reals:
    """The probabilities (n, classes) of raw scores: (n,) by the logistic function of ``factor`` times the score, (n,
    classes) by softmax.
    """
    if scores.ndim == 2:
        grown = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))
    # The smaller of the two is worked out, never one less the larger: exp overflows on the other side.
    small = np.exp(-factor * np.abs(scores))
    small = small / (1.0 + small)
    second = np.where(scores < 0.0, small, 1.0 - small)
    return np.column_stack([1.0 - second, second])


def start_scores(model: TableModel, rows: Matrix) -> tuple[Reals, Reals]:
    """The model's raw scores of encoded rows, and the probabilities that these mean here."""
    scores = model.raw_score(rows)
    return scores, probabilities(scores, slope(model.file))


def _parameters(model: TableModel, settings: Settings, folder: Path, rows: int) -> dict[str, Any]:
    features = model.schema.features
    forced = []
    bins = [255 if settings.everywhere or not feature.is_number else 2 for feature in features]
    for edge in settings.edges:
        feature = features[edge.place]
        if feature.is_number and edge.bounds:
            bounds = [threshold(bound, feature.kind == "integer") for bound in edge.bounds[:MOST_BOUNDS]]
            forced.append({"feature": edge.place, "bin_upper_bound": bounds})
            # Beside the bounds: zero has two bounds of its own, what is past the last, and missing.
            bins[edge.place] = 255 if settings.everywhere else len(bounds) + 4
    path = folder / "bins.json"
    path.write_text(json.dumps(forced))
    return {
        **PARAMETERS,
        "num_class": model.file.num_class,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.least_rows,
        "learning_rate": settings.rate,
        "seed": settings.seed,
        "num_threads": 1 if rows <= ONE_THREAD else 0,
        "forcedbins_filename": str(path),
        "max_bin_by_feature": bins,
    }


def _shown(model: TableModel, rows: Matrix, settings: Settings) -> Matrix:
    """The rows with the numbers that the file expects; a feature that may not be split is 0 in all of them."""
    shown = np.array(model.encode_for_file(rows))
    if not settings.everywhere:
        named = {edge.place for edge in settings.edges}
        shown[:, [place for place in range(shown.shape[1]) if place not in named]] = 0.0
    return shown


def _renumbered(block: str, number: int) -> str:
    return f"Tree={number}\n" + block.split("\n", 1)[1]
