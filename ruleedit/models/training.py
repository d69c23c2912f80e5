"""Training: a LightGBM model of a table, with a quarter of the rows held out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from ruleedit.errors import Refused, TargetError
from ruleedit.matching import Indices, Matrix
from ruleedit.models import Background, TableModel, encoded_matrix, read_thresholds
from ruleedit.models.file import MAX_TREES
from ruleedit.schema import Schema
from ruleedit.tables import encode, target_codes

#: Called with the trees done and all of them.
Progress: TypeAlias = Callable[[int, int], None]

#: LightGBM keeps a seed in 32 bits.
LARGEST_SEED = 2**31 - 1
#: Up to so many rows training takes less than a second on one thread, and waiting for others can make it slower.
SMALL_TABLE = 5_000
#: What training sets beside the objective and the seed; everything else is LightGBM's default.
#:
#: LightGBM's own limits for categories (100 rows a group, one against the rest up to 4) are made for large tables.
#: Log loss in 4-fold cross-validation, default -> this: car evaluation 0.053 -> 0.023, tic-tac-toe 0.042 -> 0.037,
#: bank marketing 0.214 -> 0.211, adult 0.290 -> 0.290, covertype 0.414 -> 0.414, contraceptive method 1.098 -> 1.102,
#: breast cancer 0.164 -> 0.185; accuracy moves by at most 0.008, car evaluation 0.988 -> 0.994. (The large tables by
#: 10,000 of their rows.) Smaller leaves, smoothing and groups of 5 to 25 rows were not better on the whole.
PARAMETERS: Mapping[str, int | float | bool] = {
    "learning_rate": 0.1,
    "min_data_in_leaf": 10,
    "min_data_per_group": 20,
    "max_cat_to_onehot": 8,
    "use_missing": True,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def train(
    frame: pd.DataFrame,
    schema: Schema,
    *,
    thresholds: Mapping[str, float] | None = None,
    seed: int = 0,
    trees: int = 100,
    progress: Progress | None = None,
) -> TableModel:
    """Train a LightGBM model on three quarters of a table and hold out the rest, stratified.

    The same table, schema, seed and versions give the same bytes, on however many processors.
    ``progress`` is called with the trees done and all of them. Codes that the schema has from an
    adopted model are dropped: a model of our own has our codes. Raises as `tables.encode` does,
    and `TargetError` where a class of the schema has no row.
    """
    schema = dataclasses.replace(schema, features=tuple(dataclasses.replace(f, codes=()) for f in schema.features))
    settled = read_thresholds(thresholds or {}, schema)
    rows, answers = encode(frame, schema), target_codes(frame, schema)
    check_classes(answers, schema)
    holdout = stratified_quarter(answers, seed)
    training = np.setdiff1d(np.arange(len(rows)), holdout)
    text = boost(rows[training], answers[training], schema, seed=seed, trees=trees, progress=progress)
    background = Background.of(rows, answers, schema, training)
    return TableModel(schema, settled, text, background, seed, False, holdout)


def check_classes(answers: Indices, schema: Schema) -> None:
    """Raise `TargetError` unless there are two classes or more, each with a row; ``answers`` (n,) are their places."""
    empty = np.flatnonzero(np.bincount(answers, minlength=len(schema.classes)) == 0)
    if len(empty) or len(schema.classes) < 2:
        what = f"no row has the {schema.target!r} {schema.classes[empty[0]]!r}" if len(empty) else "there is one class"
        raise TargetError(f"{what}; a classifier needs two classes or more, each with a row")


def parameters(schema: Schema, seed: int) -> dict[str, Any]:
    """What LightGBM is told, beside the number of threads."""
    objective: dict[str, Any] = {"objective": "binary"}
    if len(schema.classes) > 2:
        objective = {"objective": "multiclass", "num_class": len(schema.classes)}
    return {**PARAMETERS, **objective, "seed": seed}


def boost(
    rows: Matrix,
    answers: Indices,
    schema: Schema,
    *,
    seed: int = 0,
    trees: int = 100,
    weights: npt.NDArray[np.float64] | None = None,
    progress: Progress | None = None,
) -> str:
    """Train LightGBM on encoded rows (n, features), with our codes and NaN for missing; return the model's text.

    ``answers`` (n,) are the classes' places, ``weights`` (n,) the rows' weights (None: 1 each).
    """
    return boost_data(
        encoded_matrix(rows, schema), answers, schema, seed=seed, trees=trees, weights=weights, progress=progress
    )


def boost_data(
    data: Any,
    answers: Indices,
    schema: Schema,
    *,
    seed: int = 0,
    trees: int = 100,
    weights: npt.NDArray[np.float64] | None = None,
    progress: Progress | None = None,
) -> str:
    """`boost` of anything that LightGBM reads rows from, a ``lightgbm.Sequence`` say."""
    import lightgbm

    _check_within("seed", seed, 0, LARGEST_SEED)
    _check_within("number of trees", trees, 1, MAX_TREES // len(schema.classes))
    # The file records the number of threads: it depends on the table alone, so the bytes do too.
    given = {**parameters(schema, seed), "num_threads": 1 if len(answers) <= SMALL_TABLE else 0}
    dataset = lightgbm.Dataset(
        data,
        answers,
        weight=weights,
        feature_name=file_names(schema),
        categorical_feature=[place for place, f in enumerate(schema.features) if f.kind == "categorical"],
        params=given,
    )
    watch = [] if progress is None else [lambda env: progress(env.iteration + 1, trees)]
    text: str = lightgbm.train(given, dataset, num_boost_round=trees, callbacks=watch).model_to_string()
    return text


def file_names(schema: Schema) -> list[str]:
    """The features' names as the model file has them: ASCII letters, digits and underscores, each once.

    LightGBM refuses characters that JSON would escape. The schema maps columns by position.
    """
    names: dict[str, None] = {}
    for feature in schema.features:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", feature.name)
        name, number = plain, 2
        while name in names:
            name, number = f"{plain}_{number}", number + 1
        names[name] = None
    return list(names)


def stratified_quarter(answers: Indices, seed: int) -> Indices:
    """A quarter of the rows' numbers, ascending, the same share of each class to within one row.

    ``answers`` (n,) are the classes' places. A class with one row is never drawn from, so every
    class keeps a row outside the quarter.
    """
    _check_within("seed", seed, 0, LARGEST_SEED)
    order = np.random.default_rng(seed).permutation(len(answers))
    order = order[np.bincount(answers, minlength=1)[answers[order]] > 1]
    # Every fourth of the shuffled rows, class after class, is a quarter of each class.
    by_class = order[np.argsort(answers[order], kind="stable")]
    return np.sort(by_class[3::4])


def _check_within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise Refused(f"the {name} is {value}; {low} to {high} is accepted")
