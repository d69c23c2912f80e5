"""Continued boosting: more trees behind a LightGBM model's own, learned from rows.

The model's raw score is where boosting starts; `ruleedit.retrain.pulls` says where it is to go.
The result is one plain LightGBM file: the model's own bytes with the new trees behind its trees,
under its own objective.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any, TypeAlias

import numpy as np

from ruleedit.errors import Refused
from ruleedit.graft.force import slope
from ruleedit.graft.text import cut_text, with_trees
from ruleedit.graft.trees import threshold
from ruleedit.matching import Matrix
from ruleedit.models import Reals, TableModel
from ruleedit.models.file import MAX_BYTES, MAX_TREES, ModelFile, check_classifier, read_model
from ruleedit.retrain.contrast import Edges
from ruleedit.retrain.pulls import LEAST_CURVATURE, probabilities
from ruleedit.rules import ZERO
from ruleedit.schema import Schema

#: A category may stand alone, and a leaf hold one row: what an edge separates is not smoothed over. (With
#: LightGBM's defaults agreement was 0.946 for five rules on Adult that no training row was in.)
PARAMETERS = {
    "objective": "none",
    "min_data_in_bin": 1,
    "min_sum_hessian_in_leaf": LEAST_CURVATURE / 2.0,
    "min_data_per_group": 1,
    "cat_smooth": 1.0,
    "cat_l2": 0.0,
    "max_cat_to_onehot": 4,
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
#: And so many of a model's own thresholds.
MOST_THRESHOLDS = 4_000
#: LightGBM writes infinity, which no file of bins may hold, as 1e300.
LARGEST_BOUND = 1e300
#: A model is unwound in at most so many steps, of several trees each where it has more.
MOST_STEPS = 150


#: Of raw scores, the gradient and the curvature of each row, in their shape; None where no more trees are needed.
Pull: TypeAlias = Callable[[Reals], tuple[Reals, Reals] | None]


@dataclass(frozen=True, eq=False)
class Settings:
    """How boosting goes on.

    Only the features of ``edges`` are split, and only at the bounds there, unless ``everywhere``:
    then every feature is, at the model's own thresholds too. ``check_stop``
    is called before each iteration and may end it with an error of its own.
    """

    edges: Sequence[Edges]
    everywhere: bool
    trees: int = 150
    leaves: int = 63
    least_rows: int = 1
    rate: float = 0.5
    shrinkage: float = 0.1
    seed: int = 0
    check_stop: Callable[[], None] = field(default=lambda: None)


class Steps:
    """What a model says of encoded ``rows`` (n, features) by some of its trees after the other.

    Called with a step's number it gives that part of the raw scores; its length is the number of
    steps, and all of them add up to the raw scores.
    """

    def __init__(self, model: TableModel, rows: Matrix) -> None:
        self.model, self.shown = model, model.encode_for_file(rows)
        iterations = len(model.file.trees) // model.file.num_class
        self.ends = np.linspace(0, iterations, min(iterations, MOST_STEPS) + 1).astype(int).tolist()

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __call__(self, number: int) -> Reals:
        first, end = self.ends[number : number + 2]
        part = self.model.booster.predict(
            self.shown, raw_score=True, start_iteration=first, num_iteration=end - first, num_threads=1
        )
        return np.asarray(part, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Grown:
    """A LightGBM model with trees added to it, as blocks of text; a `Model`.

    The added trees are asked apart, so whatever a row's raw score was ``before`` is worked out
    once: for a matrix that is asked again and again it is remembered in ``known``. The sum is that
    of the whole file's leaves, rounded in another order.
    """

    before: TableModel
    added: tuple[str, ...] = ()
    known: dict[int, tuple[Matrix, Reals]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, before: Grown, whole: TableModel) -> Grown:
        """The model whose file is ``whole``'s, which begins with ``before``'s own trees."""
        blocks = cut_text(whole.text).blocks[len(before.before.file.trees) :]
        return dataclasses.replace(before, added=tuple(block.decode() for block in blocks))

    @property
    def schema(self) -> Schema:
        """The schema of the model before."""
        return self.before.schema

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The thresholds of the model before."""
        return self.before.thresholds

    @cached_property
    def model(self) -> TableModel:
        """The two as one model: its own bytes with the added trees behind its trees."""
        if not self.added:
            return self.before
        whole = dataclasses.replace(self.before, text=with_trees(self.before.file, self.added))
        file = _longer(self.before.file, self.added, whole.text)
        if file is not None:
            # What `TableModel.file` would work out.
            vars(whole)["file"] = file
        return whole

    @cached_property
    def _alone(self) -> Any:
        """The ``lightgbm.Booster`` of the added trees."""
        import lightgbm

        own = cut_text(self.before.text)
        return lightgbm.Booster(model_str=own.of([block.encode() for block in self.added]).text)

    def more(self, blocks: Sequence[str]) -> Grown:
        """It with more trees, whose blocks may be numbered anyhow."""
        numbered = _numbered(blocks, len(self.before.file.trees) + len(self.added))
        return dataclasses.replace(self, added=(*self.added, *numbered))

    def start(self, rows: Matrix) -> Reals:
        """The raw scores of the model before; the same matrix is asked once."""
        if id(rows) not in self.known:
            self.known[id(rows)] = (rows, self.before.raw_score(rows))
        return self.known[id(rows)][1]

    def gain(self, rows: Matrix) -> Reals:
        """What the added trees add to the raw scores."""
        wide = self.before.file.num_class
        if not self.added or not len(rows):
            return np.zeros(len(rows) if wide == 1 else (len(rows), wide))
        return raw_scores(self._alone, self.before.encode_for_file(rows))

    def proba(self, rows: Matrix) -> Reals:
        """The probabilities of encoded rows (n, features); shape (n, classes)."""
        return probabilities(self.start(rows) + self.gain(rows), slope(self.before.file))


def _numbered(blocks: Sequence[str], first: int) -> list[str]:
    """Trees as blocks of text, numbered from ``first`` on."""
    return [f"Tree={number}\n" + block.split("\n", 1)[1] for number, block in enumerate(blocks, start=first)]


def _longer(file: ModelFile, added: Sequence[str], text: str) -> ModelFile | None:
    """What `read_model` says of a file's ``text`` with ``added`` trees behind its own, of which those alone are read.

    Reading all again would take as long as half a training. None where the text is past what may be read.
    """
    if len(file.trees) + len(added) > MAX_TREES or len(text.encode()) > MAX_BYTES:
        return None
    alone = read_model(cut_text(file.text).of([block.encode() for block in _numbered(added, 0)]).text)
    return dataclasses.replace(file, text=text, trees=(*file.trees, *alone.trees))


def check_continuable(model: TableModel) -> None:
    """Refuse a model whose answer is not that of its summed leaves: `Refused`, or `ModelFileRefused`."""
    check_classifier(model.file)
    if model.file.average_output:
        raise Refused("a random forest averages its trees, so none can be added; retrain it with 'adaptive'")


def continue_boosting(
    model: TableModel, rows: Matrix, scores: Reals, pull: Pull, settings: Settings
) -> tuple[tuple[str, ...], Any]:
    """Learn trees that move a model's ``scores`` of encoded ``rows`` (n, features) the way they pull.

    Returns the trees as blocks of a model file and the ``lightgbm.Booster`` that
    has them, None where there is none. Raises whatever ``check_stop`` raises.
    """
    import lightgbm

    # A file alone: a folder of its own takes forty times as long.
    with tempfile.NamedTemporaryFile("w", suffix=".json") as bins:
        parameters = _parameters(model, settings, bins, len(rows))
        data = lightgbm.Dataset(
            _shown(model, rows, settings),
            np.zeros(len(rows)),
            init_score=scores,
            categorical_feature=[place for place, f in enumerate(model.schema.features) if f.kind == "categorical"],
            params=parameters,
        ).construct()
        booster = lightgbm.Booster(parameters, data)

    def objective(scores: Reals, data: Any) -> tuple[Reals, Reals]:
        settings.check_stop()
        pulls = pull(scores)
        if pulls is None:
            raise _EnoughError
        return pulls

    finished, trees = False, 0
    while not finished and trees < settings.trees:
        try:
            finished = booster.update(fobj=objective)
        except _EnoughError:
            break
        trees += 1
    if not trees:
        return (), None
    return tuple(block.decode() for block in cut_text(booster.model_to_string()).blocks), booster


def raw_scores(booster: Any, shown: Matrix) -> Reals:
    """A booster's raw scores of rows with the numbers that the file expects."""
    return np.asarray(booster.predict(shown, raw_score=True, num_threads=1), dtype=np.float64)


class _EnoughError(Exception):
    """The scores so far need no more trees."""


def _parameters(model: TableModel, settings: Settings, file: IO[str], rows: int) -> dict[str, Any]:
    features = model.schema.features
    bins = [255 if settings.everywhere or not feature.is_number else 2 for feature in features]
    known = _thresholds(model) if settings.everywhere else {}
    for edge in settings.edges:
        feature = features[edge.place]
        if feature.is_number and edge.bounds:
            bounds = {threshold(bound, feature.kind == "integer") for bound in edge.bounds[:MOST_BOUNDS]}
            known[edge.place] = known.get(edge.place, set()) | bounds
    forced = [{"feature": place, "bin_upper_bound": sorted(bounds)} for place, bounds in sorted(known.items())]
    for place, bounds in known.items():
        # Beside the bounds: zero has two bounds of its own, what is past the last, and missing.
        bins[place] = len(bounds) + 4
    file.write(json.dumps(forced))
    file.flush()
    return {
        **PARAMETERS,
        "num_class": model.file.num_class,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.least_rows,
        "learning_rate": settings.rate,
        "lambda_l2": settings.shrinkage,
        "seed": settings.seed,
        "num_threads": 1 if rows <= ONE_THREAD else 0,
        "forcedbins_filename": file.name,
        "max_bin_by_feature": bins,
    }


def _thresholds(model: TableModel) -> dict[int, set[float]]:
    """Where a model's own trees split each number, but at zero, which has bounds of its own."""
    found: dict[int, set[float]] = {}
    for tree in model.file.trees:
        for place, bound, kind in zip(tree.split_feature, tree.threshold, tree.decision_type, strict=True):
            if not int(kind) & 1 and ZERO < abs(bound) < LARGEST_BOUND:
                found.setdefault(int(place), set()).add(float(bound))
    return {place: _spaced(bounds) for place, bounds in found.items()}


def _spaced(bounds: set[float]) -> set[float]:
    """At most `MOST_THRESHOLDS` of them, spread evenly among all."""
    if len(bounds) <= MOST_THRESHOLDS:
        return bounds
    return set(np.array(sorted(bounds))[np.linspace(0, len(bounds) - 1, MOST_THRESHOLDS).astype(int)].tolist())


def _shown(model: TableModel, rows: Matrix, settings: Settings) -> Matrix:
    """The rows with the numbers that the file expects; a feature that may not be split is 0 in all of them."""
    shown = np.array(model.encode_for_file(rows))
    if not settings.everywhere:
        named = {edge.place for edge in settings.edges}
        shown[:, [place for place in range(shown.shape[1]) if place not in named]] = 0.0
    return shown
