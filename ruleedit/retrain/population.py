"""Base populations: the training rows from which a rule's synthetic rows are made, with their neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Mask, Matrix, box_mask
from ruleedit.models import Background
from ruleedit.regions import Box
from ruleedit.schema import Schema

#: At most so many rows of a region serve as bases, drawn at random. All distances between them are then one
#: matrix of 8 MB, worked out once a rule (0.1 s with 15 columns), exactly, missing values and categories
#: included: a tree index has no metric for those, and more bases make no better rows.
MOST_BASES = 1_000


@dataclass(frozen=True, eq=False)
class Population:
    """The base rows of one feedback rule.

    ``rows`` (n,) are numbers of training rows, ``neighbours`` (n, k) places in ``rows`` (a row, or one that
    is the same, is its neighbour only where there is no other). ``relaxed`` names the features whose conditions were
    dropped to find enough rows; ``exact`` says that every row is in the rule's region.
    """

    rule: int
    rows: Indices
    neighbours: Indices = field(repr=False)
    exact: bool
    relaxed: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)


def population(
    feedback: Feedback,
    place: int,
    rows: Matrix,
    held: Indices,
    background: Background,
    k: int,
    rng: np.random.Generator,
    *,
    enough: int = 0,
    most: int = MOST_BASES,
) -> Population:
    """The base population of a feedback rule among encoded training ``rows`` (n, features).

    The rows that the rule holds (``held`` (n,)); where they are fewer than k + 1, or than
    ``enough``, the rule is relaxed: first what earlier rules take from it is given back, then
    conditions on features are dropped one by one, each time the one whose removal leaves the most
    rows, until there are enough, at worst all rows. At most ``most`` are taken, drawn at random.
    Rows that are the same count as one, and have others as neighbours: nothing lies between copies.
    Source: Alkan et al., FROTE, section 4 (rule relaxation).
    """
    found = _some(np.flatnonzero(held == place), most, rng)
    exact = True
    relaxed: tuple[str, ...] = ()
    enough = min(max(enough, k + 1), len(rows))
    first, which = _sorts(rows[found])
    wanted = enough
    while len(first) < min(enough, most) and wanted <= len(rows):
        exact = False
        every, relaxed = nearby(feedback, place, rows, wanted)
        found = _some(every, most, rng)
        first, which = _sorts(rows[found])
        wanted = max(2 * wanted, len(every) + 1)
    near = neighbours(rows[found][first], feedback.schema, background.deviations, k)
    return Population(place, found, first[near][which], exact, relaxed)


def _some(numbers: Indices, most: int, rng: np.random.Generator) -> Indices:
    """At most so many of the numbers, drawn at random, ascending."""
    return np.sort(rng.choice(numbers, most, replace=False)) if len(numbers) > most else numbers


def _sorts(rows: Matrix) -> tuple[Indices, Indices]:
    """The places of the first of each sort of rows, ascending, and each row's place among them."""
    if not len(rows):
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, which = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[which]


def nearby(feedback: Feedback, place: int, rows: Matrix, enough: int) -> tuple[Indices, tuple[str, ...]]:
    """The numbers of the rows that a rule holds when it is relaxed to hold ``enough``, and the features that took."""
    schema = feedback.schema
    masks = _masks(feedback, place, rows)
    dropped: tuple[str, ...] = ()
    mask = _any_of(masks, dropped, len(rows))
    while mask.sum() < min(enough, len(rows)):
        left = [name for name in schema.names if name not in dropped and any(name in one for one in masks)]
        if not left:
            return np.arange(len(rows)), dropped
        tries = [(name, _any_of(masks, (*dropped, name), len(rows))) for name in left]
        # max takes the first of equals: ties go to the first feature in schema order.
        name, mask = max(tries, key=lambda tried: int(tried[1].sum()))
        dropped = (*dropped, name)
    return np.flatnonzero(mask), dropped


def around(feedback: Feedback, place: int, rows: Matrix, enough: int) -> Indices:
    """The numbers of the rows that a rule would hold but for one feature, whichever that is; of ``enough`` at least.

    `nearby` drops one and the same condition for all of them. Where other rules' rows are not there, what is
    beside one edge of a region alone can be of other sorts than what is in it. Where fewer miss it by one
    feature, those of `nearby` are taken too.
    """
    missed = [sum((~mask).astype(np.intp) for mask in one.values()) for one in _masks(feedback, place, rows)]
    found = np.flatnonzero(np.any([np.broadcast_to(count, len(rows)) <= 1 for count in missed], axis=0))
    return found if len(found) >= enough else np.union1d(found, nearby(feedback, place, rows, enough)[0])


def _masks(feedback: Feedback, place: int, rows: Matrix) -> list[dict[str, Mask]]:
    """Of each box of a rule's region, which rows meet its condition on each feature."""
    boxes = [part.box for part in feedback.rules[place].region.parts]
    return [
        {name: box_mask(Box(((name, values),)), rows, feedback.schema) for name, values in box.sets} for box in boxes
    ]


def _any_of(masks: Sequence[dict[str, Mask]], dropped: Sequence[str], count: int) -> Mask:
    found = np.zeros(count, dtype=bool)
    for one in masks:
        here = np.ones(count, dtype=bool)
        for name, mask in one.items():
            if name not in dropped:
                here &= mask
        found |= here
    return found


def neighbours(rows: Matrix, schema: Schema, deviations: Sequence[float], k: int) -> Indices:
    """The k nearest other rows of each encoded row, nearest first, ties to the first; shape (n, min(k, n - 1)).

    Distance: sum of |difference| / standard deviation over the numbers, plus 1 for each category
    that differs and each value that is missing in one of the two. A single row is its own.
    """
    if len(rows) < 2:
        return np.zeros((len(rows), 1), dtype=np.intp)
    distance = np.zeros((len(rows), len(rows)))
    for part in _distances(rows, schema, deviations):
        distance += part
    np.fill_diagonal(distance, np.inf)
    k = min(k, len(rows) - 1)
    return np.argsort(distance, axis=1, kind="stable")[:, :k].astype(np.intp)


def _distances(
    rows: Matrix, schema: Schema, deviations: Sequence[float]
) -> Iterator[npt.NDArray[np.float64] | npt.NDArray[np.bool_]]:
    """What each feature adds to the distances; each of shape (n, n)."""
    for place, feature in enumerate(schema.features):
        column = rows[:, place]
        missing = np.isnan(column)
        present = np.where(missing, 0.0, column / deviations[place] if feature.is_number else column)
        one_missing = missing[:, None] != missing[None, :]
        apart = (
            np.abs(present[:, None] - present[None, :]) if feature.is_number else present[:, None] != present[None, :]
        )
        # Where just one of the two is missing the difference means nothing.
        yield np.where(one_missing, 1.0, apart)
