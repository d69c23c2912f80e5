"""The least change by looking at every row of a grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ruleedit.matching import Indices, Matrix
from ruleedit.models import Background
from ruleedit.schema import Feature, Schema


def distance(old: Sequence[float], new: Sequence[float], schema: Schema, background: Background) -> float:
    """Semantics 8, as plainly as it is written there."""
    total = 0.0
    for feature, deviation, before, after in zip(schema.features, background.deviations, old, new, strict=True):
        if before == after or (math.isnan(before) and math.isnan(after)):
            continue
        moved = feature.is_number and not math.isnan(before) and not math.isnan(after)
        total += abs(after - before) / deviation if moved else 1.0
    return total


def least_in_grid(
    row: Matrix,
    values: Sequence[Iterable[float]],
    answers: Callable[[Matrix], Indices],
    schema: Schema,
    background: Background,
) -> float | None:
    """The least distance at which another class is answered; None where no row of the grid is."""
    axes = [list(dict.fromkeys([now, *axis])) for now, axis in zip(row.tolist(), values, strict=True)]
    grid = np.array(list(itertools.product(*axes)), dtype=float)
    said, now = answers(grid), int(answers(row[None, :])[0])
    far = [distance(row.tolist(), one, schema, background) for one in grid[(said != now) & (said >= 0)].tolist()]
    return min(far, default=None)


def within(feature: Feature, value: float) -> bool:
    """Whether a number lies in the schema's range."""
    low = -math.inf if feature.low is None else feature.low
    high = math.inf if feature.high is None else feature.high
    return low <= value <= high
