"""How far probabilities can be believed: the expected calibration error of the outcomes that were given.

Rows are sorted into bins by how sure the answer was; the error is the mean distance between that and the share of
right answers, weighted by rows. Source: M. P. Naeini, G. Cooper, M. Hauskrecht, *Obtaining Well Calibrated
Probabilities Using Bayesian Binning* (AAAI 2015); ten bins of one width, as there.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ruleedit.matching import Mask

BINS = 10
Sure = npt.NDArray[np.floating]
_Sums = npt.NDArray[np.float64]


class Calibration:
    """Sums by bin over a table of n rows: how sure the answers were, and how many of them were right.

    ``sure`` (n,) are the probabilities of the outcomes that were given, ``right`` (n,) whether they are the true ones.
    """

    def __init__(self, sure: Sure, right: Mask) -> None:
        self._sure, self._right = sure, right
        self._bin = _bins(sure)
        self._sums = self._of(np.ones(len(sure), dtype=bool))

    @property
    def error(self) -> float | None:
        """The error; None without rows."""
        return _error(self._sums, len(self._sure))

    def answered(self, otherwise: Iterable[tuple[Mask, float, int]]) -> float | None:
        """The error where some rows are answered otherwise.

        ``otherwise`` gives rows (n,), no row twice, how sure the answer there is now, and how many are right.
        """
        sums = self._sums.copy()
        for mask, sure, right in otherwise:
            sums -= self._of(mask)
            sums[:, int(_bins(np.array([sure]))[0])] += (sure * int(mask.sum()), right)
        return _error(sums, len(self._sure))

    def _of(self, mask: Mask) -> _Sums:
        place = self._bin[mask]
        sure = np.bincount(place, weights=self._sure[mask], minlength=BINS)
        return np.stack([sure, np.bincount(place, weights=self._right[mask], minlength=BINS)])


def _bins(sure: Sure) -> npt.NDArray[np.intp]:
    return np.minimum((sure * BINS).astype(np.intp), BINS - 1)


def _error(sums: _Sums, rows: int) -> float | None:
    return float(np.abs(sums[0] - sums[1]).sum() / rows) if rows else None
