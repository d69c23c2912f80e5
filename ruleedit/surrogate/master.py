"""The restricted master program of column generation, in HiGHS.

Dash, Günlük, Wei: *Boolean Decision Rules via Column Generation*, NeurIPS 2018, section 3. Rules of
one class are picked against the rest: a row of the class that no picked rule holds costs its
weight, a row of another class costs it once for each picked rule that holds it, and the clauses of
all picked rules have a budget C:

    min  sum_i n_i x_i + sum_k e_k w_k    (e_k: the weight of the rows of other classes that rule k holds)
    s.t. x_i + sum_{k holds i} w_k >= 1   for each row i of the class
         sum_k c_k w_k <= C,   w, x >= 0

It is solved as its dual, which has one row for each rule and so a small basis; a new column is then
a new row, and the dual simplex goes on from where it was:

    max  sum_i m_i - C p   s.t.  sum_{k holds i} m_i - c_k p <= e_k,   0 <= m_i <= n_i,  p >= 0

A rule outside the program helps if what its rows are worth, ``m`` in the class and ``-n`` elsewhere,
is more than its clauses at the price ``p``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ruleedit.surrogate.binarise import Floats
from ruleedit.surrogate.binned import Binned


@dataclass(frozen=True, eq=False)
class Duals:
    """A solution: what each row is worth to a further rule (n,), the price of a clause, each rule's share, the loss."""

    worth: Floats
    price: float
    shares: Floats
    loss: float


class Master:
    """The program for one class, warm from one solution to the next."""

    def __init__(self, data: Binned, outcome: int, budget: float) -> None:
        import highspy

        self._data = data
        self._inside = np.flatnonzero(data.answers == outcome)
        self._others = np.where(data.answers == outcome, 0.0, data.weights)
        self._infinity = highspy.kHighsInf
        self._solver: Any = highspy.Highs()
        for name, value in (("output_flag", False), ("threads", 1), ("presolve", "off")):
            self._solver.setOptionValue(name, value)
        tops, many = data.weights[self._inside], len(self._inside) + 1
        none = np.zeros(0, dtype=np.int32)
        costs, uppers = np.append(-tops, budget), np.append(tops, self._infinity)
        costs[:-1] = -1.0
        self._solver.addCols(many, costs, np.zeros(many), uppers, 0, none, none, np.zeros(0))

    def add(self, masks: npt.NDArray[np.bool_], costs: Sequence[int]) -> None:
        """Add rules: the rows that each holds (rules, n), and its clauses."""
        if not len(masks):
            return
        # Every rule has an entry for each row of the class that it holds, and one for its clauses.
        entries = np.column_stack([masks[:, self._inside], np.ones(len(masks), dtype=bool)])
        rules, places = np.nonzero(entries)
        starts = np.searchsorted(rules, np.arange(len(masks) + 1))
        values = np.ones(len(places))
        values[starts[1:] - 1] = -np.array(costs, dtype=float)
        wrong = masks @ self._others
        low = np.full(len(masks), -self._infinity)
        self._solver.addRows(
            len(masks), low, wrong, len(places), starts[:-1].astype(np.int32), places.astype(np.int32), values
        )

    def solve(self, budget: float) -> Duals:
        """Solve it for a budget of clauses."""
        self._solver.changeColCost(len(self._inside), float(budget))
        self._solver.run()
        solution = self._solver.getSolution()
        values = np.array(solution.col_value)
        worth = -self._others
        worth[self._inside] = values[:-1]
        shares: Floats = np.abs(np.array(solution.row_dual))
        return Duals(worth, float(values[-1]), shares, -float(self._solver.getInfo().objective_function_value))
