"""Data for people without data: two generated tables and one that comes with scikit-learn.

Nothing is downloaded. The demo, the tests, the notebook and the benchmarks use the same tables.
The loans are the story of the README: the policy behind the decisions is known, and then it changes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from ruleedit.errors import UnknownName
from ruleedit.rules import Clause, Outcome, Rule

Policy: TypeAlias = Literal["old", "new"]
Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Texts: TypeAlias = npt.NDArray[np.str_]

#: The share of loan decisions that go against the policy: what no model can learn.
NOISE = 0.03

EMPLOYMENTS = ("permanent", "contract", "self-employed", "student", "retired", "unemployed")
PURPOSES = ("car", "radio/tv", "furniture", "education", "business", "repairs", "holiday")
RESIDENCES = ("own", "rent", "parents")
GENDERS = ("female", "male")

# Yearly income in the middle of a career, and the usual loan, each in the order of the names above.
_INCOME = np.array([48_000, 38_000, 45_000, 11_000, 30_000, 13_000])
_AMOUNT = np.array([14_000, 1_800, 4_500, 7_000, 18_000, 8_000, 3_000])


def _loans_rules(age_above: float) -> tuple[Rule, ...]:
    """The policy's rules in order; the two policies differ in one number."""
    deny, approve = Outcome.of("deny"), Outcome.of("approve")
    solvent = Clause("debt_ratio", "<=", 0.6)
    settled = (Clause("age", ">", age_above), Clause("income", ">=", 30_000.0), solvent)
    vouched = (Clause("guarantor", "=", "true"), Clause("employment", "in", ("permanent", "contract")), solvent)
    luxury = (Clause("purpose", "in", ("radio/tv", "holiday")), Clause("amount", ">", 3_000.0))
    return (
        Rule("P1", (Clause("late_payments", ">=", 4.0),), deny),
        Rule("P2", luxury, deny),
        Rule("P3", settled, approve),
        Rule("P4", vouched, approve),
    )


_POLICIES: Mapping[Policy, tuple[Rule, ...]] = {"old": _loans_rules(30.0), "new": _loans_rules(26.0)}
_DEFAULT = "deny"

#: The policies behind `loans` as rule text, first match wins; the last entry is the default outcome.
LOANS_POLICY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: (*map(str, rules), _DEFAULT) for name, rules in _POLICIES.items()}
)


def loans(rows: int = 12_000, *, seed: int = 0, policy: Policy = "old", noise: float = NOISE) -> pd.DataFrame:
    """Loan applications, decided by a known policy that lowers an age limit from 30 to 26.

    The applications and the noise depend on ``rows`` and ``seed`` alone, so that the decisions under
    the two policies differ only in the rows that the policies treat differently.

    Parameters
    ----------
    rows : int
        How many applications.
    seed : int
        The same seed gives the same table.
    policy : {"old", "new"}
        Which policy decides; `LOANS_POLICY` has both as rule text.
    noise : float
        The share of decisions, from 0 to 1, that are turned around at random.

    Returns
    -------
    pandas.DataFrame
        One row for each application. Only the columns that say so have missing values.

        - ``age``: whole years, 18 to 75.
        - ``income``: yearly, in whole hundreds of the currency.
        - ``employment``: permanent, contract, self-employed, student, retired or unemployed; missing
          for some, more often where the income is low.
        - ``purpose``: car, radio/tv, furniture, education, business, repairs or holiday.
        - ``amount``: of the loan, in whole hundreds of the currency.
        - ``months``: to pay it back, 6 to 72 in steps of 6.
        - ``debt_ratio``: repayments a year over income, 0 to 1.5 with two decimals; missing where it
          was never worked out, more often for the self-employed.
        - ``late_payments``: how many before this application, 0 to 12; missing for people with no
          credit history, who are mostly young.
        - ``residence``: own, rent or parents.
        - ``gender``: female or male. The policy never asks; income is related to it all the same.
        - ``guarantor``: whether somebody else vouches.
        - ``decision``: the target, approve or deny.

    Raises
    ------
    UnknownName
        Where there is no such policy.

    Notes
    -----
    The source is this generator; no real person's data is in it. A clause of the policy is false on
    a missing value.

    Examples
    --------
    >>> old, new = loans(policy="old"), loans(policy="new")
    >>> moved = old[old["decision"] != new["decision"]]
    >>> int(moved["age"].min()), int(moved["age"].max())
    (27, 30)
    """
    if policy not in _POLICIES:
        raise UnknownName.among(policy, get_args(Policy), where=" among the policies")
    rng = np.random.default_rng(seed)
    frame = _applications(rng, rows)
    approved = _approved(frame, _POLICIES[policy]) ^ (rng.random(rows) < noise)
    return frame.assign(decision=_text(np.where(approved, "approve", "deny")))


def _applications(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """The columns of `loans` that people fill in, drawn so that each depends on the ones before it."""
    age = (18 + np.floor(58 * rng.beta(1.3, 2.2, rows))).astype(np.int64)
    gender = rng.integers(len(GENDERS), size=rows)
    employment = _employment(rng, age)
    income = _income(rng, age, employment, gender)
    residence = _residence(rng, age, income)
    purpose = _purpose(rng, age, residence)
    amount = _amount(rng, purpose, income)
    months = _months(rng, amount, income)
    debt_ratio = _debt_ratio(rng, amount, months, income)
    late_payments = np.minimum(rng.poisson((0.4 + 1.6 * debt_ratio) * rng.gamma(1.0, 1.6, rows)), 12)
    guarantor = rng.random(rows) < np.where(age < 31, 0.28, 0.15)
    no_employment = rng.random(rows) < np.where(income < 25_000, 0.10, 0.03)
    no_ratio = rng.random(rows) < np.where(employment == EMPLOYMENTS.index("self-employed"), 0.10, 0.03)
    no_history = rng.random(rows) < 0.03 + 0.32 * np.exp(-(age - 18) / 6)
    return pd.DataFrame(
        {
            "age": age,
            "income": income,
            "employment": _text(np.array(EMPLOYMENTS)[employment]).mask(no_employment),
            "purpose": _text(np.array(PURPOSES)[purpose]),
            "amount": amount,
            "months": months,
            "debt_ratio": np.where(no_ratio, np.nan, debt_ratio),
            "late_payments": np.where(no_history, np.nan, late_payments),
            "residence": _text(np.array(RESIDENCES)[residence]),
            "gender": _text(np.array(GENDERS)[gender]),
            "guarantor": guarantor,
        }
    )


def _employment(rng: np.random.Generator, age: Ints) -> Ints:
    """Mostly students at the start, mostly retired at the end, a permanent post most often in between."""
    young, old = (age < 25) * 0.9, (age >= 63) * 6.0
    ones = np.ones(len(age))
    return _pick(rng, 0.58 * ones, 0.18 * ones, 0.13 * ones, 0.02 + young, old, 0.07 * ones)


def _income(rng: np.random.Generator, age: Ints, employment: Ints, gender: Ints) -> Ints:
    """Rises with age up to 50, is 8% lower for women, and spreads by about a third."""
    career = 0.70 + 0.35 * np.clip((age - 18) / 32, 0, 1)
    pay = np.where(gender == GENDERS.index("female"), 0.96, 1.04)
    return _hundreds(_INCOME[employment] * career * pay * rng.lognormal(0.0, 0.33, len(age)), 2_000, 250_000)


def _residence(rng: np.random.Generator, age: Ints, income: Ints) -> Ints:
    """People leave their parents in their twenties and buy later, the sooner the more they earn."""
    own = np.clip((age - 22) / 30, 0.03, 1.2) * np.clip(income / 40_000, 0.3, 1.8)
    return _pick(rng, own, np.full(len(age), 0.6), 2.5 * np.exp(-(age - 18) / 5))


def _purpose(rng: np.random.Generator, age: Ints, residence: Ints) -> Ints:
    """The young borrow for education, and owners for repairs."""
    education = np.where(age < 28, 0.22, 0.05)
    repairs = np.where(residence == RESIDENCES.index("own"), 0.22, 0.04)
    ones = np.ones(len(age))
    return _pick(rng, 0.28 * ones, 0.16 * ones, 0.16 * ones, education, 0.10 * ones, repairs, 0.12 * ones)


def _amount(rng: np.random.Generator, purpose: Ints, income: Ints) -> Ints:
    """What the purpose costs; who earns more buys the dearer one."""
    return _hundreds(_AMOUNT[purpose] * (income / 38_000) ** 0.5 * rng.lognormal(0.0, 0.5, len(income)), 500, 90_000)


def _months(rng: np.random.Generator, amount: Ints, income: Ints) -> Ints:
    """As long as it takes with about a seventh of the income, in steps of half a year."""
    needed = 84 * amount / income * rng.lognormal(0.0, 0.5, len(amount))
    return (6 * np.clip(np.rint(needed / 6), 1, 12)).astype(np.int64)


def _debt_ratio(rng: np.random.Generator, amount: Ints, months: Ints, income: Ints) -> Floats:
    """This loan's repayments and those of earlier debts, over the income."""
    this_loan = 12 * amount / np.maximum(months, 12) / income
    both: Floats = np.minimum(this_loan + rng.gamma(1.6, 0.13, len(amount)), 1.5)
    return both.round(2)


def _pick(rng: np.random.Generator, *weights: npt.NDArray[Any]) -> Ints:
    """One place for each row, drawn with that row's weights (they need not sum to 1)."""
    edges = np.cumsum(weights, axis=0)
    places: Ints = np.sum(rng.random(edges.shape[1]) * edges[-1] >= edges[:-1], axis=0)
    return places


def _hundreds(values: Floats, low: int, high: int) -> Ints:
    return (100 * np.rint(np.clip(values, low, high) / 100)).astype(np.int64)


def _text(values: Texts) -> pd.Series[str]:
    return pd.Series(values, dtype="str")


_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {">": operator.gt, ">=": operator.ge, "<=": operator.le}


def _approved(frame: pd.DataFrame, rules: tuple[Rule, ...]) -> Mask:
    """Whether the policy approves of each row: the first rule that covers it decides, then the default."""
    conditions = [np.logical_and.reduce([_holds(frame, clause) for clause in rule.clauses]) for rule in rules]
    return np.select(conditions, [rule.outcome == Outcome.of("approve") for rule in rules], _DEFAULT == "approve")


def _holds(frame: pd.DataFrame, clause: Clause) -> Mask:
    """Where a clause of the policy is true; false on a missing value."""
    column = frame[clause.feature]
    if clause.operator in _COMPARE:
        return np.asarray(_COMPARE[clause.operator](column.to_numpy(), clause.value), dtype=np.bool_)
    if column.dtype == np.bool_:
        return np.asarray(column == (clause.value == "true"), dtype=np.bool_)
    return column.isin(clause.values).to_numpy()


Board: TypeAlias = tuple[str, ...]
SQUARES = tuple(f"{row}_{column}" for row in ("top", "middle", "bottom") for column in ("left", "middle", "right"))
_LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))


def tic_tac_toe() -> pd.DataFrame:
    """Every board on which a game of tic-tac-toe can end when x begins, and whether x has won.

    Returns
    -------
    pandas.DataFrame
        958 rows in alphabetical order of their squares, nothing missing. The nine columns
        ``top_left`` to ``bottom_right`` hold x, o or b (blank); the target ``winner`` is x (626 rows)
        or other (332 rows: o has won, or nobody).

    Notes
    -----
    The source is the game: all of its courses are played to their end. Eight rules of three
    clauses describe ``winner`` exactly.

    Examples
    --------
    >>> tic_tac_toe()["winner"].value_counts().to_dict()
    {'x': 626, 'other': 332}
    """
    ends: set[Board] = set()
    _play(("b",) * len(SQUARES), "x", set(), ends)
    boards = sorted(ends)
    frame = pd.DataFrame(boards, columns=list(SQUARES), dtype="str")
    return frame.assign(winner=_text(np.array(["x" if _won(board, "x") else "other" for board in boards])))


def _play(board: Board, player: str, seen: set[Board], ends: set[Board]) -> None:
    """Add every board at which the game can end from here; ``seen`` saves playing on from one twice."""
    if board in seen:
        return
    seen.add(board)
    other = "o" if player == "x" else "x"
    if _won(board, other) or "b" not in board:
        ends.add(board)
        return
    for square, mark in enumerate(board):
        if mark == "b":
            _play((*board[:square], player, *board[square + 1 :]), other, seen, ends)


def _won(board: Board, player: str) -> bool:
    return any(all(board[square] == player for square in line) for line in _LINES)


def breast_cancer() -> pd.DataFrame:
    """Measurements of cell nuclei from 569 tumours, and whether the tumour was malignant.

    Returns
    -------
    pandas.DataFrame
        569 rows, nothing missing. Thirty numeric columns with the names that scikit-learn gives
        them (``mean radius`` to ``worst fractal dimension``), lengths in units of the digitised
        image; the target ``diagnosis`` is malignant (212 rows) or benign (357 rows).

    Notes
    -----
    The source is the Breast Cancer Wisconsin (Diagnostic) data of W. Wolberg, W. N. Street and
    O. Mangasarian (1995), in the copy that scikit-learn brings with it.
    """
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer(as_frame=True)
    frame: pd.DataFrame = bunch.data
    return frame.assign(diagnosis=_text(np.asarray(bunch.target_names)[bunch.target.to_numpy()]))


#: The built-in tables by name, each as a function without arguments.
DATASETS: Mapping[str, Callable[[], pd.DataFrame]] = MappingProxyType(
    {"loans": loans, "tic_tac_toe": tic_tac_toe, "breast_cancer": breast_cancer}
)

#: The target column of each built-in table.
TARGETS: Mapping[str, str] = MappingProxyType(
    {"loans": "decision", "tic_tac_toe": "winner", "breast_cancer": "diagnosis"}
)
