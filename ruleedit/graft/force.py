"""How much a leaf must add so that the probability is exactly 1 or 0, and which models that works for."""

from __future__ import annotations

import math

import numpy as np

from ruleedit.errors import Refused
from ruleedit.models.file import ModelFile, check_classifier

#: exp(-746) is 0 and exp(710) is infinite in doubles: so far apart, logistic function and softmax give exactly 0 and 1.
MARGIN = 750.0
#: Scores are sums of doubles, each rounded; over 100,000 trees (the most) that is less than 1e-10 of the sum.
_ROUNDING = 1.001
#: Past this the sum of a thousand forcing leaves would no longer be finite.
_LARGEST = 1e300


def check_graftable(file: ModelFile) -> None:
    """Refuse a model whose answer is not that of its summed leaves.

    Raises
    ------
    Refused
        A random forest answers by the mean over its iterations, so what a tree adds depends on
        their number; a linear leaf has no largest value.
    ModelFileRefused
        The objective is another than binary or multiclass (softmax).
    """
    check_classifier(file)
    if file.average_output:
        raise Refused("a random forest can't be grafted: it averages its trees; use overlay-hard")
    if file.is_linear:
        raise Refused("a model of linear trees can't be grafted: its leaves have no largest value; use overlay-hard")


def least_force(file: ModelFile) -> float:
    """The least that a leaf must add so that no sum of the file's own leaves comes through.

    That is the sum over the trees of each tree's largest absolute leaf, and `MARGIN` (over the
    logistic function's slope, where that is below 1). With softmax the trees of the class asked for
    take away at most their share of that sum, and those of another class add at most theirs.
    """
    reach = sum(float(np.abs(tree.leaf_value).max()) for tree in file.trees)
    return _ROUNDING * reach + max(MARGIN, MARGIN / slope(file))


def forcing_value(file: ModelFile) -> float:
    """A power of two from `least_force` on, short in the file; raises `Refused` where that is past 1e300."""
    least = least_force(file)
    if not least <= _LARGEST:
        raise Refused(f"the model's leaves add up to {least:.3g}; up to {_LARGEST:g} can be grafted")
    return 2.0 ** math.ceil(math.log2(least))


def slope(file: ModelFile) -> float:
    """The factor before the score in the logistic function; 1 for softmax."""
    settings = dict(option.split(":", 1) for option in file.objective.split(" ") if ":" in option)
    return float(settings.get("sigmoid", 1.0))
