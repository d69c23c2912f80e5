"""Base selection: from which rows a batch's synthetic rows are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ruleedit.errors import Refused
from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Matrix
from ruleedit.models import Model, outcomes
from ruleedit.retrain.population import Population

#: Equally useful bases are told apart at random by up to so much, so that a repeated round takes others.
JITTER = 1e-3
#: What it costs to use one training row a second time: as much as the most useful row is worth.
REPEAT = 1.0


def quotas(count: int, rules: int, first: int = 0) -> list[int]:
    """``count`` shared equally among the rules; the rest goes one each to the rules from ``first`` on."""
    each, rest = divmod(count, rules)
    return [each + ((place - first) % rules < rest) for place in range(rules)]


def limits(count: int, rules: int) -> tuple[int, int]:
    """The least and the most bases of one rule in the integer program: half and twice the equal share."""
    return count // (2 * rules), -(-2 * count // rules)


def select_random(
    populations: Sequence[Population], count: int, rng: np.random.Generator, first: int = 0
) -> list[Indices]:
    """For each rule the places of its bases in its population: equal quotas, drawn at random.

    A row comes twice only where the quota is larger than the population. Source: Alkan et al.,
    FROTE, section 4 (random selection).
    """
    shares = quotas(count, len(populations), first)
    return [
        rng.choice(len(bases), size=share, replace=share > len(bases)).astype(np.intp)
        for bases, share in zip(populations, shares, strict=True)
    ]


def usefulness(bases: Population, feedback: Feedback, rows: Matrix, model: Model) -> npt.NDArray[np.float64]:
    """How much a synthetic row made from each base would teach the model; from 0 to 1, shape (n,).

    Half of it is whether the model disagrees with the rule's outcome at the base itself, half how
    near the base lies to the model's boundary: 1 - |2 d - 1|, where d is the share of the base's
    neighbours on which the model disagrees (1 where half of them do, 0 where all or none do: the
    borderline instances of Borderline-SMOTE, to which FROTE's integer program gives its weights).
    """
    wanted = feedback.outcome_codes()[bases.rule]
    disagrees = outcomes(model, rows[bases.rows]) != wanted
    around = disagrees[bases.neighbours].mean(axis=1)
    return np.asarray(0.5 * disagrees + 0.5 * (1.0 - np.abs(2.0 * around - 1.0)))


def select_by_program(
    populations: Sequence[Population], weights: Sequence[npt.NDArray[np.float64]], count: int, rng: np.random.Generator
) -> list[Indices]:
    """For each rule the places of its bases in its population, by an integer program.

    Maximise sum w[r, i] x[r, i] - `REPEAT` x sum s[i] over whole x[r, i] >= 0 (how often rule r
    uses row i as a base) with sum x = ``count``; for each rule the sum of its x within `limits`;
    for each training row the sum of its x at most 1 + s[i], s[i] >= 0. So the most useful rows are
    taken, every rule gets its part, and a training row serves twice, for one rule or for two, only
    where the quotas leave no other way. Ties are broken by up to `JITTER` at random. The program is
    a flow from rules to rows, so its linear relaxation has whole corners and HiGHS hardly branches.

    Source: Alkan et al., FROTE, section 4 (integer programming); the weights are `usefulness`.
    """
    import highspy

    solver = highspy.Highs()
    # One thread and no time limit: the same program gives the same answer.
    for option, value in {"output_flag": False, "threads": 1, "random_seed": 0}.items():
        solver.setOptionValue(option, value)
    solver.passModel(_program(highspy, populations, weights, count, rng))
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise Refused(f"no choice of {count} bases keeps the quotas of {len(populations)} rules; select at random")
    often = np.rint(np.asarray(solver.getSolution().col_value)).astype(np.intp)
    ends = np.cumsum([len(bases) for bases in populations])
    return [np.repeat(np.arange(len(part)), part) for part in np.split(often[: ends[-1]], ends[:-1])]


def _program(
    highspy: Any,
    populations: Sequence[Population],
    weights: Sequence[npt.NDArray[np.float64]],
    count: int,
    rng: np.random.Generator,
) -> Any:
    """Write the program: columns are x rule by rule, then s; rows are the sum, the rules, the training rows."""
    sizes = [len(bases) for bases in populations]
    rows, used = np.unique(np.concatenate([bases.rows for bases in populations]), return_inverse=True)
    uses, rules = len(used), len(populations)
    least, most = limits(count, rules)
    gain = np.concatenate(weights) + JITTER * rng.random(uses)
    program = highspy.HighsLp()
    program.sense_ = highspy.ObjSense.kMaximize
    program.num_col_, program.num_row_ = uses + len(rows), 1 + rules + len(rows)
    program.col_cost_ = np.concatenate([gain, np.full(len(rows), -REPEAT)])
    program.col_lower_ = np.zeros(uses + len(rows))
    program.col_upper_ = np.full(uses + len(rows), float(count))
    program.row_lower_ = np.concatenate([[count], np.full(rules, least), np.full(len(rows), -highspy.kHighsInf)])
    program.row_upper_ = np.concatenate([[count], np.full(rules, most), np.ones(len(rows))])
    program.integrality_ = [highspy.HighsVarType.kInteger] * uses + [highspy.HighsVarType.kContinuous] * len(rows)
    # Each x stands in three rows (the sum, its rule's, its training row's), each s in one.
    in_rule = 1 + np.repeat(np.arange(rules), sizes)
    in_row = 1 + rules + used
    index = np.column_stack([np.zeros(uses, dtype=np.intp), in_rule, in_row]).ravel()
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_ = np.concatenate([np.arange(0, 3 * uses, 3), 3 * uses + np.arange(len(rows) + 1)])
    program.a_matrix_.index_ = np.concatenate([index, 1 + rules + np.arange(len(rows))])
    program.a_matrix_.value_ = np.concatenate([np.ones(3 * uses), np.full(len(rows), -1.0)])
    return program
