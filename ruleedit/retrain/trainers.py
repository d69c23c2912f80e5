"""Trainers: what turns rows and answers into a model that can be asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ruleedit.matching import Indices, Matrix
from ruleedit.models import InMemoryModel, Model, TableModel
from ruleedit.models.training import boost
from ruleedit.retrain.rows import Trainer
from ruleedit.schema import Schema
from ruleedit.tables import decode


def lightgbm_trainer(model: TableModel, *, trees: int = 100) -> Trainer:
    """A trainer that makes LightGBM models in the place of ``model``.

    They keep its schema, thresholds, background, seed and held-out rows, and train as
    `ruleedit.models.training.train` does. What replaces an adopted model expects the same numbers for
    categories as its file did, so neither schema nor callers need to change.
    """

    def fit(rows: Matrix, answers: Indices, seed: int) -> Model:
        text = boost(model.encode_for_file(rows), answers, model.schema, seed=seed, trees=trees)
        return dataclasses.replace(model, text=text)

    return fit


def estimator_trainer(estimator: Any, schema: Schema, thresholds: Mapping[str, float] | None = None) -> Trainer:
    """A trainer that fits clones of a scikit-learn classifier, or pipeline, on the table's columns.

    It is given a DataFrame as `ruleedit.tables.decode` makes it (numbers as float64, texts as
    ``str``, missing values in both) and the answers as text. Every ``random_state`` in it that is
    None is set to the seed. Raises `Refused` where the fitted estimator has no ``predict_proba`` or
    lacks a class.
    """
    from sklearn.base import clone

    classes = np.array(schema.classes, dtype=object)

    def fit(rows: Matrix, answers: Indices, seed: int) -> Model:
        fresh = clone(estimator)
        unset = [key for key, value in fresh.get_params().items() if key.endswith("random_state") and value is None]
        fresh.set_params(**dict.fromkeys(unset, seed))
        return InMemoryModel(fresh.fit(decode(rows, schema), classes[answers]), schema, thresholds)

    return fit
