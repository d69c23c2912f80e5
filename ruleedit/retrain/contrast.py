"""Contrast rows: synthetic rows on both sides of a region's edges.

A tree that is to answer otherwise inside a region and as before outside must see where the region
ends. Training rows seldom lie near its edges, so rows are made there: a row of the region with one
feature that the rules name changed to a value at an edge, to a missing or an unseen one, or to one
that training rows have. Half of them fall outside, where the model's own answer is what is taught.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ruleedit.feedback import Feedback, FeedbackRule
from ruleedit.matching import Indices, Matrix
from ruleedit.models import Background
from ruleedit.regions import Box, NumberSet, TextSet, ValueSet, after, before
from ruleedit.retrain.columns import Column, as_read
from ruleedit.schema import Feature

#: How often a feature is changed to a value at an edge and not to one that training rows have.
AT_AN_EDGE = 0.5


@dataclass(frozen=True, eq=False)
class Edges:
    """The values of one feature on both sides of the rules' edges, and those that training rows have.

    ``bounds`` are the numbers up to which one set and from behind which another holds, ascending:
    ``x <= bound`` tells them apart. ``values`` are worth trying: each bound and the next value
    behind it, every category with the unseen one, missing where the schema allows it.
    """

    place: int
    bounds: tuple[float, ...]
    values: Column = field(repr=False)
    observed: Column = field(repr=False)

    def draw(self, count: int, rng: np.random.Generator) -> Column:
        """Values of both kinds, those at the edges in turn so that none is left out; shape (count,)."""
        drawn = rng.permutation(np.resize(rng.permutation(self.values), count))
        if len(self.observed):
            seen = rng.random(count) >= AT_AN_EDGE
            drawn[seen] = rng.choice(self.observed, size=int(seen.sum()))
        return drawn


def edges(
    feedback: Feedback, background: Background, rules: Sequence[int] | None = None, *, missing_often: bool = True
) -> tuple[Edges, ...]:
    """The edges of every feature that one of the feedback rules at the places ``rules`` (None: any) names.

    In schema order. With ``missing_often`` missing is tried more often than any one category where a rule
    parts it from most of them (`_parts_missing`).
    """
    named: dict[str, list[ValueSet]] = {}
    for box in _boxes(feedback.rules if rules is None else [feedback.rules[place] for place in rules]):
        for name, values in box.sets:
            named.setdefault(name, []).append(values)
    schema = feedback.schema
    return tuple(
        _edges(place, feature, named[feature.name], background, missing_often)
        for place, feature in enumerate(schema.features)
        if feature.name in named
    )


def _boxes(rules: Sequence[FeedbackRule]) -> Iterator[Box]:
    """Every box that says where a rule's rows end; the rules that ask nothing take rows from those behind them."""
    for rule in rules:
        for part in rule.region.parts:
            yield part.box
            yield from part.holes


def _edges(
    place: int, feature: Feature, sets: Sequence[ValueSet], background: Background, missing_often: bool
) -> Edges:
    bounds = sorted({bound for values in sets for bound in _bounds(values)})
    common = np.array([value for value, _ in background.common[place]])
    if feature.is_number:
        whole = feature.kind == "integer"
        values = [near for bound in bounds for near in (bound, after(bound, whole))]
        low = -np.inf if feature.low is None else feature.low
        high = np.inf if feature.high is None else feature.high
        values = [value for value in values if low <= value <= high]
    else:
        values = [*map(float, feature.code_of.values()), *([0.0] if feature.kind == "categorical" else [])]
    if feature.missing:
        often = missing_often and any(_parts_missing(one, feature) for one in sets)
        values += [np.nan] * (len(values) // 2 if often else 1)
    return Edges(place, tuple(bounds), as_read(np.array(values or common, dtype=float)), common)


def _parts_missing(values: ValueSet, feature: Feature) -> bool:
    """Whether a set parts missing from most categories: then a third of what is tried at its edge is missing.

    A split of LightGBM's sends up to half of the categories one way, and missing always the other with
    the rest. So it takes several, in the right order, to cut missing off from most of them, and a few
    rows don't show that it has to be.
    """
    if not isinstance(values, TextSet):
        return False
    most = 2 * sum(text in values for text in feature.code_of) > len(feature.code_of)
    return most != values.missing


def _bounds(values: ValueSet) -> Iterator[float]:
    if isinstance(values, TextSet):
        return
    assert isinstance(values, NumberSet)
    for low, high in values.intervals:
        if np.isfinite(low):
            yield before(low, values.whole)
        if np.isfinite(high):
            yield high


def contrast(rows: Matrix, known: Sequence[Edges], which: Indices, rng: np.random.Generator) -> Matrix:
    """The encoded rows (n, features), each with one feature changed: the ``which``-th (n,) of the ``known`` ones."""
    rows = rows.copy()
    for number, feature in enumerate(known):
        here = np.flatnonzero(which == number)
        rows[here, feature.place] = feature.draw(len(here), rng)
    return rows


def own_edges(feedback: Feedback, known: Sequence[Edges], held: Indices, rng: np.random.Generator) -> Indices:
    """For each row one of the ``known`` edges that the rule which holds it ends at, at random; shape (n,).

    ``held`` (n,) is the place of the rule, -1 for none: then any of them, as for a rule without edges.
    """
    which = rng.integers(len(known), size=len(held))
    names = feedback.schema.names
    for place in np.unique(held[held >= 0]):
        parts = feedback.rules[place].region.parts
        named = {name for part in parts for box in (part.box, *part.holes) for name, _ in box.sets}
        own = [number for number, one in enumerate(known) if names[one.place] in named]
        here = np.flatnonzero(held == place)
        if own:
            which[here] = rng.choice(own, size=len(here))
    return which
