"""Models: what every part of RuleEdit asks of one, our LightGBM model, and its folder.

Everything works on the encoded matrix of `ruleedit.tables.encode`. A model's outcome is the class
with the greatest probability / threshold. Only LightGBM models can be saved; any other fitted
classifier works in memory (`InMemoryModel`). LightGBM is imported where it is used, so that
importing this module costs nothing. `ruleedit.models.training` trains a model, `ruleedit.models.adoption` takes
somebody else's, `ruleedit.models.folder` saves and loads.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from ruleedit.errors import FileRefused, OutcomeRefused, Refused, TableError
from ruleedit.matching import Indices, Matrix
from ruleedit.models.file import ModelFile, Tree, read_model
from ruleedit.regions import before
from ruleedit.rules import ZERO, number_text
from ruleedit.schema import Feature, Schema
from ruleedit.tables import decode, encode, fingerprint

Reals: TypeAlias = npt.NDArray[np.float64]

#: Up to so many rows one thread answers sooner than waking the others does (1 row: 67 us against 377 us).
SMALL_BATCH = 64
#: A feature keeps at most so many of its commonest training values.
MOST_COMMON = 1_000


class Model(Protocol):
    """What RuleEdit asks of a model."""

    @property
    def schema(self) -> Schema:
        """The features in the order of the encoded columns, and the classes."""

    @property
    def thresholds(self) -> tuple[float, ...]:
        """One positive threshold for each class, in schema order."""

    def proba(self, rows: Matrix) -> Reals:
        """The probabilities of encoded rows (n, features); shape (n, classes)."""


def outcome_codes(probabilities: Reals, thresholds: tuple[float, ...]) -> Indices:
    """The place of the class with the greatest p / threshold, ties to the first; (n, classes) gives (n,)."""
    if len(set(thresholds)) > 1:
        probabilities = probabilities / np.asarray(thresholds)
    # Equal thresholds change no order, and a division could round two different probabilities to a tie.
    codes: Indices = probabilities.argmax(axis=1)
    return codes


def outcomes(model: Model, rows: Matrix) -> Indices:
    """The model's outcome for each encoded row as its place in ``schema.classes``; shape (n,)."""
    return outcome_codes(model.proba(rows), model.thresholds)


def read_thresholds(given: Mapping[str, float], schema: Schema) -> tuple[float, ...]:
    """One threshold for each class, in schema order.

    Classes that ``given`` leaves out share equally what the given ones leave of 1, so in a binary
    model ``approve=0.7`` approves from a probability of 0.7 on. Raises `UnknownClass`, and
    `OutcomeRefused` for a threshold outside 0 to 1 or where nothing is left to share.
    """
    for name, threshold in given.items():
        schema.check_class(name)
        if not 0.0 < threshold < 1.0:
            raise OutcomeRefused(f"the threshold {threshold:g} of {name!r} is not between 0 and 1, both excluded")
    others = len(schema.classes) - len(given)
    left = 1.0 - math.fsum(given.values())
    if others and left <= 0.0:
        raise OutcomeRefused(
            f"the thresholds {', '.join(f'{name} {p:g}' for name, p in given.items())} leave nothing of 1 for the "
            "other classes; give smaller ones, or one for every class"
        )
    return tuple(float(given[name]) if name in given else left / others for name in schema.classes)


#: For each category column whose codes aren't ours its place and the file's codes: unseen, ours in order, missing.
FileCodes: TypeAlias = tuple[tuple[int, Reals], ...]
#: Encoded values with their counts, commonest first.
Common: TypeAlias = tuple[tuple[float, int], ...]


def column_background(column: Reals, feature: Feature) -> tuple[float, Common]:
    """The deviation and the commonest values of one encoded column (n,), as `Background` has them."""
    present = column[~np.isnan(column)]
    deviation = _deviation(present) if feature.is_number else 1.0
    return deviation, _commonest(present[present > 0] if feature.kind == "categorical" else present)


@dataclass(frozen=True)
class Background:
    """What the table that a model was trained on looked like.

    ``rows`` and ``fingerprint`` are of the whole table; the rest is of the rows that the model was
    trained on. ``deviations`` are the standard deviations of the present values, 1 where that is 0
    or unknown and for text features. ``common`` holds for each feature the commonest encoded
    present values with their counts, commonest first, then smallest; unseen categories are left
    out.
    """

    rows: int
    fingerprint: str
    class_counts: tuple[int, ...]
    deviations: tuple[float, ...]
    common: tuple[Common, ...] = field(repr=False)

    @classmethod
    def of(cls, rows: Matrix, answers: Indices, schema: Schema, training: Indices | None = None) -> Background:
        """Describe encoded ``rows`` (n, features) with their classes' places ``answers`` (n,).

        ``training`` are the numbers of the rows that the model is trained on; None: all.
        """
        seen = slice(None) if training is None else training
        columns = [column_background(rows[seen, place], feature) for place, feature in enumerate(schema.features)]
        deviations, common = zip(*columns, strict=True)
        counts = np.bincount(answers[seen], minlength=len(schema.classes))
        return cls(len(rows), fingerprint(rows), tuple(counts.tolist()), deviations, common)

    def to_json(self) -> dict[str, Any]:
        """As JSON; `from_json` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Background:
        """Read what `to_json` gave; raises `FileRefused` with what is wrong."""
        data = json_object(data, _BACKGROUND, "'background'")
        counts, deviations, common = data["class_counts"], data["deviations"], data["common"]
        if not is_count(data["rows"]) or not all(map(is_count, counts)):
            raise FileRefused("'background': 'rows' and 'class_counts' are whole numbers from 0 up")
        if not all(is_number(deviation) and deviation > 0 for deviation in deviations):
            raise FileRefused("'background': 'deviations' are positive numbers")
        if len(common) != len(deviations) or not all(map(_is_common, common)):
            raise FileRefused("'background': 'common' is not a list of values and counts for each feature")
        return cls(
            data["rows"],
            data["fingerprint"],
            tuple(counts),
            tuple(map(float, deviations)),
            tuple(tuple((float(value), count) for value, count in values) for values in common),
        )


_BACKGROUND: Mapping[str, type] = {
    "rows": int,
    "fingerprint": str,
    "class_counts": list,
    "deviations": list,
    "common": list,
}


def json_object(data: Any, known: Mapping[str, type], where: str) -> dict[str, Any]:
    """``data`` as an object with exactly the ``known`` keys, each of its type; else `FileRefused`."""
    if not isinstance(data, dict):
        raise FileRefused(f"{where} is no JSON object")
    strange = sorted(data.keys() - known.keys()) + sorted(known.keys() - data.keys())
    if strange:
        raise FileRefused(f"{where} {'has an unknown' if strange[0] in data else 'lacks the'} key {strange[0]!r}")
    for key, kind in known.items():
        if not isinstance(data[key], kind) or (kind is int and isinstance(data[key], bool)):
            raise FileRefused(f"{where}: {key!r} is no {kind.__name__}")
    return data


def is_count(value: Any) -> bool:
    """Whether a JSON value is a whole number from 0 up."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_common(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(pair, list) and len(pair) == 2 and is_number(pair[0]) and is_count(pair[1]) for pair in values
    )


def _deviation(present: Reals) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = float(present.std()) if len(present) else 0.0
    return deviation if math.isfinite(deviation) and deviation > 0.0 else 1.0


def _commonest(present: Reals) -> Common:
    values, counts = np.unique(present, return_counts=True)
    first = np.lexsort((values, -counts))[:MOST_COMMON]
    return tuple(zip((values[first] + 0.0).tolist(), counts[first].tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class TableModel:
    """A LightGBM model with its schema: one that we trained, or somebody else's that was adopted.

    ``text`` is the LightGBM file, checked before LightGBM sees it. ``holdout`` are the zero-based
    numbers of the training table's rows that were held out, in ascending order. ``notes`` say what
    a reader of the model's figures should know.
    """

    schema: Schema
    thresholds: tuple[float, ...]
    text: str = field(repr=False)
    background: Background = field(repr=False)
    seed: int
    adopted: bool
    holdout: Indices = field(repr=False)
    notes: tuple[str, ...] = ()

    @cached_property
    def file(self) -> ModelFile:
        """The model file, parsed; raises `ModelFileRefused`."""
        return read_model(self.text)

    @cached_property
    def booster(self) -> Any:
        """The ``lightgbm.Booster``, made when it is first asked."""
        import lightgbm

        return lightgbm.Booster(model_str=self.file.text)

    def proba(self, rows: Matrix) -> Reals:
        """The probabilities of encoded rows (n, features), NaN for missing; shape (n, classes)."""
        answer = self._answer(rows, raw=False)
        if answer.ndim == 2:
            return answer
        # Filled by hand: half the time of numpy.column_stack on a single row.
        both = np.empty((len(answer), 2))
        np.subtract(1.0, answer, out=both[:, 0])
        both[:, 1] = answer
        return both

    def raw_score(self, rows: Matrix) -> Reals:
        """LightGBM's raw scores: shape (n,) for a binary model, the second class's; else (n, classes)."""
        return self._answer(rows, raw=True)

    def outcomes(self, rows: Matrix) -> Indices:
        """The outcome of each encoded row as its place in ``schema.classes``; shape (n,)."""
        return outcomes(self, rows)

    def contributions(self, rows: Matrix) -> Reals:
        """What each value adds to the raw score of the model's own outcome; shape (n, features + 1).

        LightGBM's exact TreeSHAP (Lundberg et al., *From local explanations to global understanding
        with explainable AI for trees*, 2020): a row's contributions and the last column, what any
        row has, sum to its raw score. Of a binary model's first class the signs are turned.
        """
        rows = encoded_matrix(rows, self.schema)
        parts = np.asarray(self.booster.predict(self.encode_for_file(rows), pred_contrib=True, num_threads=1))
        own, wide = self.outcomes(rows), len(self.schema.features) + 1
        if self.file.num_class == 1:
            return np.where(own[:, None] == 1, parts, -parts)
        return parts.reshape(len(rows), -1, wide)[np.arange(len(rows)), own]

    def predict_proba(self, frame: pd.DataFrame) -> Reals:
        """The probabilities of a table's rows; shape (n, classes). Raises as `tables.encode` does."""
        return self.proba(encode(frame, self.schema))

    def predict(self, frame: pd.DataFrame) -> list[str]:
        """The class of each of a table's rows. Raises as `tables.encode` does."""
        return [self.schema.classes[code] for code in self.outcomes(encode(frame, self.schema))]

    def held_out(self, rows: Matrix) -> Indices:
        """The numbers of the encoded rows that count as held out: all, unless it is the training table."""
        same = len(rows) == self.background.rows and fingerprint(rows) == self.background.fingerprint
        return self.holdout if same else np.arange(len(rows))

    def encode_for_file(self, rows: Matrix) -> Matrix:
        """The numbers that the model file expects; shape (n, features), NaN for missing.

        They are our codes. In an adopted model a known category is the file's own code and one
        never seen is NaN: what LightGBM itself does with a pandas category that it doesn't know.
        """
        return for_file(rows, self.file_codes)

    @cached_property
    def file_codes(self) -> FileCodes:
        """For each category column of an adopted model its place and the file's codes: unseen, ours, missing."""
        if not self.adopted:
            return ()
        return tuple(
            (place, np.array([np.nan, *(feature.codes or feature.code_of.values()), np.nan]))
            for place, feature in enumerate(self.schema.features)
            if feature.kind == "categorical"
        )

    def _answer(self, rows: Matrix, *, raw: bool) -> Reals:
        rows = encoded_matrix(rows, self.schema)
        if not len(rows):
            return np.empty((0,) if self.file.num_class == 1 else (0, self.file.num_class))
        threads = 1 if len(rows) <= SMALL_BATCH else 0
        answer = self.booster.predict(self.encode_for_file(rows), raw_score=raw, num_threads=threads)
        return np.asarray(answer, dtype=np.float64)


def for_file(rows: Matrix, codes: FileCodes) -> Matrix:
    """Encoded rows (n, features) with the numbers that a model file expects; see `TableModel.encode_for_file`."""
    if not codes:
        return rows
    rows = rows.copy(order="K")
    for place, known in codes:
        rows[:, place] = known[np.nan_to_num(rows[:, place], nan=len(known) - 1).astype(np.intp)]
    return rows


def encoded_matrix(rows: Matrix, schema: Schema) -> Matrix:
    """The rows as doubles; a matrix of another width would be read out of its bounds by nobody's rules."""
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(schema.features):
        raise TableError(f"encoded rows of shape {rows.shape}; (n, {len(schema.features)}) is accepted")
    return rows


def holdout_metrics(model: Model, rows: Matrix, answers: Indices) -> dict[str, Any]:
    """``rows``, ``accuracy`` (with the thresholds) and ``auc`` over encoded rows (n, features).

    ``answers`` (n,) are the classes' places. With two classes the AUC is the second's, with more
    the mean of each against the rest. None where it is undefined: no rows, or a class without one.
    """
    return metrics_of(model.proba(rows), answers, model.thresholds)


def metrics_of(probabilities: Reals, answers: Indices, thresholds: tuple[float, ...]) -> dict[str, Any]:
    """`holdout_metrics` of a model's probabilities (n, classes)."""
    if not len(answers):
        return {"rows": 0, "accuracy": None, "auc": None}
    from sklearn.metrics import roc_auc_score

    accuracy = float((outcome_codes(probabilities, thresholds) == answers).mean())
    classes = probabilities.shape[1]
    auc = None
    if len(np.unique(answers)) == classes:
        places = [1] if classes == 2 else range(classes)
        auc = float(np.mean([roc_auc_score(answers == place, probabilities[:, place]) for place in places]))
    return {"rows": len(answers), "accuracy": accuracy, "auc": auc}


class InMemoryModel:
    """Any fitted classifier with ``predict_proba``, for use in Python; it can't be saved or served.

    It is asked with a DataFrame of the schema's columns: numbers as float64, texts as ``str``, an
    unseen category as missing. Its classes, as text, must be the schema's, in any order. Raises
    `Refused` for anything else.
    """

    def __init__(self, estimator: Any, schema: Schema, thresholds: Mapping[str, float] | None = None) -> None:
        for name in ("predict_proba", "classes_"):
            if not hasattr(estimator, name):
                raise Refused(f"{type(estimator).__name__} has no {name!r}; a fitted classifier is accepted")
        found = [_class_text(value) for value in estimator.classes_]
        if sorted(found) != sorted(schema.classes):
            raise Refused(
                f"the estimator's classes are {', '.join(found)}; the schema's are {', '.join(schema.classes)}"
            )
        self.estimator = estimator
        self.schema = schema
        self.thresholds = read_thresholds(thresholds or {}, schema)
        self._order = [found.index(name) for name in schema.classes]

    def proba(self, rows: Matrix) -> Reals:
        """The probabilities of encoded rows (n, features), NaN for missing; shape (n, classes)."""
        rows = encoded_matrix(rows, self.schema)
        if not len(rows):
            return np.empty((0, len(self._order)))
        answer = self.estimator.predict_proba(decode(rows, self.schema))
        return np.asarray(answer, dtype=np.float64)[:, self._order]

    def outcomes(self, rows: Matrix) -> Indices:
        """The outcome of each encoded row as its place in ``schema.classes``; shape (n,)."""
        return outcomes(self, rows)


def _class_text(value: object) -> str:
    return number_text(float(value)) if isinstance(value, float | np.floating) else str(value)


def split_points(model: TableModel) -> tuple[dict[float, float], ...]:
    """For each feature its thresholds, ascending, with the gain of all splits there; empty for text features.

    A threshold t stands for ``x <= t``. Where the file has no gains each split counts 1.
    """
    trees = [tree for tree in model.file.trees if tree.num_leaves > 1]
    if not trees:
        return tuple({} for _ in model.schema.features)
    features = np.concatenate([tree.split_feature for tree in trees])
    thresholds = _as_read(np.concatenate([tree.threshold for tree in trees]))
    gains = np.concatenate([_gains(tree) for tree in trees])
    usable = (np.concatenate([tree.decision_type for tree in trees]) & 1 == 0) & np.isfinite(thresholds)
    points = []
    for place, feature in enumerate(model.schema.features):
        here = usable & (features == place) & feature.is_number
        values, which = np.unique(thresholds[here], return_inverse=True)
        total = np.bincount(which, weights=gains[here], minlength=len(values))
        points.append(dict(zip(values.tolist(), total.tolist(), strict=True)))
    return tuple(points)


def _gains(tree: Tree) -> Reals:
    return np.ones(tree.num_leaves - 1) if tree.split_gain is None else tree.split_gain


def _as_read(thresholds: Reals) -> Reals:
    """LightGBM's thresholds around its zero as `x <= 0` and `x < 0`, the only ones there that rows can tell apart."""
    zero = (thresholds >= 0.0) & (thresholds <= ZERO)
    below = (thresholds < 0.0) & (thresholds >= -ZERO)
    return np.where(zero, 0.0, np.where(below, before(0.0, False), thresholds))
