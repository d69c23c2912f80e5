"""How traffic differs from the table that a model was trained on: inputs by feature, agreement by rule.

Inputs are compared by the population stability index (Siddiqi, *Credit Risk Scorecards*, 2006,
ch. 6): the sum over bins of (share now - share then) x ln(share now / share then). The bins are the
training table's deciles, or its categories; missing and never seen values are bins of their own.
Below 0.1 little has changed, above 0.25 much has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ruleedit.decisions import Grounds
from ruleedit.matching import Indices, Matrix
from ruleedit.release import Release
from ruleedit.schema import Feature

Counts = npt.NDArray[np.int64]
#: A share of 0 would make the index infinite; this is what a bin counts at least.
LEAST_SHARE = 1e-4
DECILES = np.arange(1, 10) / 10


@dataclass(frozen=True, eq=False)
class Bins:
    """One feature's bins: inner ``edges`` (values up to an edge are below it), or the codes of a text feature.

    The last bin is of missing values.
    """

    edges: npt.NDArray[np.float64] | None
    size: int

    @classmethod
    def of(cls, feature: Feature, column: npt.NDArray[np.float64]) -> Bins:
        """The bins of a column (n,) of the training table."""
        if not feature.is_number:
            return cls(None, max(feature.code_of.values(), default=0) + 2)
        present = column[~np.isnan(column)]
        edges = np.unique(np.quantile(present, DECILES, method="higher")) if len(present) else np.empty(0)
        return cls(edges, len(edges) + 2)

    def count(self, column: npt.NDArray[np.float64]) -> Counts:
        """How many values of an encoded column (n,) are in each bin."""
        missing = np.isnan(column)
        present = column[~missing]
        places = present.astype(np.int64) if self.edges is None else np.searchsorted(self.edges, present)
        counts = np.bincount(places, minlength=self.size)
        counts[-1] = missing.sum()
        return counts


@dataclass(frozen=True, eq=False)
class Reference:
    """What the training table looked like: each feature's bins with their counts, and each rule's agreement.

    ``agreement`` gives by reason code the share of the rows on which the model's own outcome is
    the rule's; None stands for a rule that no row meets.
    """

    bins: tuple[Bins, ...]
    counts: tuple[Counts, ...]
    agreement: Mapping[str, float]

    @classmethod
    def of(cls, release: Release, rows: Matrix, outcomes: Indices) -> Reference:
        """Describe encoded rows (n, features) on which the model before the edits answers ``outcomes`` (n,)."""
        features = release.schema.features
        bins = tuple(Bins.of(feature, rows[:, place]) for place, feature in enumerate(features))
        counts = tuple(kept.count(rows[:, place]) for place, kept in enumerate(bins))
        return cls(bins, counts, agreements(release, rows, outcomes))

    def to_json(self) -> dict[str, Any]:
        """As JSON; `from_json` reads it back."""
        edges = [None if bins.edges is None else bins.edges.tolist() for bins in self.bins]
        return {
            "edges": edges,
            "counts": [counts.tolist() for counts in self.counts],
            "agreement": dict(self.agreement),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reference:
        """Read what `to_json` gave."""
        counts = tuple(np.array(counts, dtype=np.int64) for counts in data["counts"])
        edges = [None if edges is None else np.array(edges, dtype=np.float64) for edges in data["edges"]]
        bins = tuple(Bins(edge, len(count)) for edge, count in zip(edges, counts, strict=True))
        return cls(bins, counts, data["agreement"])


def agreements(release: Release, rows: Matrix, outcomes: Indices) -> dict[str, float]:
    """By reason code the share of the rows on which ``outcomes`` are what the rule says."""
    if release.feedback is None:
        return {}
    grounds = Grounds(release)
    held, described = release.feedback.assign(rows), grounds.described(rows)
    described = np.where(held >= 0, -1, described)
    found = {}
    for pair in np.unique(np.stack([held, described], axis=1), axis=0):
        ground = grounds.of(int(pair[0]), int(pair[1]))
        here = (held == pair[0]) & (described == pair[1])
        if ground.says is not None:
            found[ground.codes[0]] = float((outcomes[here] == release.schema.classes.index(ground.says)).mean())
    return found


def stability(then: Sequence[int] | Counts, now: Sequence[int] | Counts) -> float:
    """The population stability index of two tables' counts by bin; 0 where either has no rows."""
    old, new = np.asarray(then, dtype=float), np.asarray(now, dtype=float)
    if not old.sum() or not new.sum():
        return 0.0
    before = np.maximum(old / old.sum(), LEAST_SHARE)
    after = np.maximum(new / new.sum(), LEAST_SHARE)
    return float(((after - before) * np.log(after / before)).sum())
