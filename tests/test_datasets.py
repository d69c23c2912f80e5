"""The built-in tables: their shares and ranges, and the loans' decisions against the text of their policy."""

from __future__ import annotations

import doctest
import io
import itertools
import operator
import re
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from ruleedit import datasets
from ruleedit.datasets import DATASETS, LOANS_POLICY, NOISE, TARGETS, breast_cancer, loans, tic_tac_toe
from ruleedit.errors import UnknownName

LINES = ("012", "345", "678", "036", "147", "258", "048", "246")


@pytest.fixture(scope="module")
def old() -> pd.DataFrame:
    return loans(policy="old")


@pytest.fixture(scope="module")
def new() -> pd.DataFrame:
    return loans(policy="new")


def csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): cell for name, cell in row.items()} for row in frame.to_dict("records")]


def says(clause: str, row: dict[str, Any]) -> bool:
    """Read one clause against one row, by nothing but its text."""
    match = re.fullmatch(r"(\w+) (<=|>=|<|>|=|in) (.+)", clause)
    assert match, clause
    name, sign, value = match.groups()
    cell = row[name]
    if pd.isna(cell):
        return False
    if sign == "in":
        return cell in [item.strip().strip("'") for item in value.strip("()").split(",")]
    if sign == "=":
        return str(cell).lower() == value.strip("'")
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[sign]
    return bool(compare(cell, float(value)))


def decides(policy: tuple[str, ...], row: dict[str, Any]) -> tuple[int, str]:
    """The place of the first rule that covers the row, and its outcome."""
    *rules, default = policy
    for place, rule in enumerate(rules):
        conditions, outcome = rule.removeprefix("IF ").split(" THEN ")
        if all(says(clause, row) for clause in conditions.split(" AND ")):
            return place, outcome
    return len(rules), default


# --- loans: the policy ---------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["old", "new"])
@pytest.mark.parametrize("seed", [0, 7])
def test_without_noise_every_decision_is_what_the_policy_text_says(policy: Any, seed: int) -> None:
    """The text of the policy, read row by row, gives every decision of the noiseless table."""
    table = loans(4_000, seed=seed, policy=policy, noise=0.0)
    said = [decides(LOANS_POLICY[policy], row)[1] for row in records(table)]
    assert said == table["decision"].tolist()


@pytest.mark.parametrize("policy", ["old", "new"])
def test_every_rule_of_a_policy_decides_a_readable_share(policy: Any) -> None:
    """No rule of the policy, the default included, decides fewer than 3% of the rows."""
    table = loans(4_000, policy=policy)
    decided = [decides(LOANS_POLICY[policy], row)[0] for row in records(table)]
    assert np.bincount(decided, minlength=len(LOANS_POLICY[policy])).min() >= 0.03 * len(table)


def test_the_policies_differ_in_one_clause() -> None:
    """The new policy is the old one with age > 30 lowered to age > 26."""
    changed = [pair for pair in zip(LOANS_POLICY["old"], LOANS_POLICY["new"], strict=True) if pair[0] != pair[1]]
    assert len(changed) == 1
    before, after = changed[0]
    assert "age > 30" in before
    assert before.replace("age > 30", "age > 26") == after


def test_the_last_entry_of_a_policy_is_its_default() -> None:
    """Each policy ends with the outcome of the rows that no rule covers."""
    assert {policy[-1] for policy in LOANS_POLICY.values()} == {"deny"}
    assert all(rule.startswith("IF ") for policy in LOANS_POLICY.values() for rule in policy[:-1])


def test_the_policy_change_moves_a_meaningful_share_of_the_rows(old: pd.DataFrame, new: pd.DataFrame) -> None:
    """Between 3% and 6% of the decisions differ between the policies."""
    assert 0.03 <= (old["decision"] != new["decision"]).mean() <= 0.06


def test_the_policies_share_their_applications(old: pd.DataFrame, new: pd.DataFrame) -> None:
    """The same rows and seed give the same features whichever policy decides."""
    pd.testing.assert_frame_equal(old.drop(columns="decision"), new.drop(columns="decision"))


def test_the_policies_differ_exactly_where_the_text_does(old: pd.DataFrame, new: pd.DataFrame) -> None:
    """A decision differs in just those rows that the two policy texts decide differently, noise or not."""
    rows = records(old)
    texts = [decides(LOANS_POLICY["old"], row)[1] != decides(LOANS_POLICY["new"], row)[1] for row in rows]
    assert texts == (old["decision"] != new["decision"]).tolist()


def test_the_change_reaches_people_from_27_to_30_alone(old: pd.DataFrame, new: pd.DataFrame) -> None:
    """Everyone whose decision differs is between the old age limit and the new one."""
    assert sorted(old.loc[old["decision"] != new["decision"], "age"].unique()) == [27, 28, 29, 30]


@pytest.mark.parametrize("policy", ["old", "new"])
def test_the_noise_turns_its_share_of_decisions_around(policy: Any) -> None:
    """The noisy and the noiseless table differ in about NOISE of the decisions."""
    flipped = loans(policy=policy)["decision"] != loans(policy=policy, noise=0.0)["decision"]
    assert flipped.mean() == pytest.approx(NOISE, abs=0.006)


def test_the_noise_is_the_same_for_both_policies(old: pd.DataFrame, new: pd.DataFrame) -> None:
    """The rows whose decision goes against the policy are the same under the old and the new one."""
    flipped_old = old["decision"] != loans(policy="old", noise=0.0)["decision"]
    flipped_new = new["decision"] != loans(policy="new", noise=0.0)["decision"]
    pd.testing.assert_series_equal(flipped_old, flipped_new)


def test_the_noise_leaves_the_applications_alone(old: pd.DataFrame) -> None:
    """Another share of noise changes decisions and nothing else."""
    pd.testing.assert_frame_equal(old.drop(columns="decision"), loans(noise=0.3).drop(columns="decision"))


def test_full_noise_turns_every_decision_around() -> None:
    """A noise of 1 gives the opposite of a noise of 0 everywhere."""
    assert (loans(500, noise=1.0)["decision"] != loans(500, noise=0.0)["decision"]).all()


def test_an_unknown_policy_is_refused_with_a_hint() -> None:
    """A policy that doesn't exist is refused, and the nearest one named."""
    with pytest.raises(UnknownName, match="did you mean 'new'"):
        loans(10, policy="news")  # type: ignore[arg-type]


# --- loans: the columns --------------------------------------------------------------------------


def test_the_columns_of_the_loans_are_in_their_order(old: pd.DataFrame) -> None:
    """The features come in a fixed order and the target last."""
    expected = (
        "age income employment purpose amount months debt_ratio late_payments residence gender guarantor decision"
    )
    assert list(old.columns) == expected.split()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("policy", ["old", "new"])
def test_neither_class_is_rare(seed: int, policy: Any) -> None:
    """Between 35% and 60% of the applications are approved, whatever the seed and the policy."""
    assert 0.35 <= (loans(4_000, seed=seed, policy=policy)["decision"] == "approve").mean() <= 0.60


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [
        ("age", 18, 75),
        ("income", 2_000, 250_000),
        ("amount", 500, 90_000),
        ("months", 6, 72),
        ("debt_ratio", 0, 1.5),
        ("late_payments", 0, 12),
    ],
)
def test_numbers_stay_in_their_documented_range(column: str, low: float, high: float) -> None:
    """No number leaves the range that the documentation gives, and it takes at least a dozen values."""
    values = loans(30_000, seed=3)[column]
    assert low <= values.min()
    assert values.max() <= high
    assert values.nunique() >= 12


@pytest.mark.parametrize(
    ("column", "step"), [("age", 1), ("income", 100), ("amount", 100), ("months", 6), ("late_payments", 1)]
)
def test_integers_are_whole(old: pd.DataFrame, column: str, step: int) -> None:
    """Integer columns hold whole multiples of their step, late payments too although some are missing."""
    assert (old[column].dropna() % step == 0).all()


def test_the_debt_ratio_has_two_decimals(old: pd.DataFrame) -> None:
    """A ratio is the double nearest to its two decimals, so that 0.6 is 0.6 exactly."""
    present = old["debt_ratio"].dropna()
    assert present.tolist() == [float(f"{value:.2f}") for value in present]
    assert (present == 0.6).any()


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("employment", datasets.EMPLOYMENTS),
        ("purpose", datasets.PURPOSES),
        ("residence", datasets.RESIDENCES),
        ("gender", datasets.GENDERS),
        ("guarantor", (False, True)),
        ("decision", ("approve", "deny")),
    ],
)
def test_categories_are_the_documented_ones_and_none_is_rare(old: pd.DataFrame, column: str, values: Any) -> None:
    """Each documented value occurs in at least 3% of the rows, and no other does."""
    shares = old[column].value_counts(normalize=True)
    assert set(shares.index) == set(values)
    assert shares.min() >= 0.03


def test_only_the_documented_columns_have_missing_values(old: pd.DataFrame) -> None:
    """Employment, debt ratio and late payments are missing for 2% to 12% of the rows, nothing else is."""
    shares = old.isna().mean()
    missing = shares[shares > 0]
    assert set(missing.index) == {"employment", "debt_ratio", "late_payments"}
    assert missing.between(0.02, 0.12).all()


@pytest.mark.parametrize(
    ("column", "more"),
    [
        ("employment", lambda table: table["income"] < 25_000),
        ("debt_ratio", lambda table: table["employment"] == "self-employed"),
        ("late_payments", lambda table: table["age"] < 25),
    ],
)
def test_values_are_missing_more_often_where_it_is_said(old: pd.DataFrame, column: str, more: Any) -> None:
    """Missing values are at least twice as frequent in the group that the documentation names."""
    group = more(old)
    assert old.loc[group, column].isna().mean() >= 2 * old.loc[~group, column].isna().mean()


def test_the_columns_are_related_as_in_life(old: pd.DataFrame) -> None:
    """Income rises with age, the duration with the amount, and late payments with the debt ratio."""
    assert old["age"].corr(old["income"], method="spearman") > 0.15
    assert old["amount"].corr(old["months"], method="spearman") > 0.4
    assert old["debt_ratio"].corr(old["late_payments"], method="spearman") > 0.15


def test_gender_is_related_to_income_and_not_in_the_policy(old: pd.DataFrame) -> None:
    """Women earn less in this table, as often in life, but no rule names gender."""
    means = old.groupby("gender")["income"].mean()
    assert 0.85 < means["female"] / means["male"] < 0.98
    assert not any("gender" in rule for policy in LOANS_POLICY.values() for rule in policy)


# --- loans: reproducible -------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(old: pd.DataFrame) -> None:
    """Two calls write the same CSV, byte for byte."""
    assert csv(old) == csv(loans())


def test_another_seed_gives_another_table(old: pd.DataFrame) -> None:
    """Every column differs under another seed."""
    other = loans(seed=1)
    assert not any(old[column].equals(other[column]) for column in old.columns)


@pytest.mark.parametrize("rows", [0, 1, 2, 250])
def test_the_table_has_as_many_rows_as_asked_for(rows: int) -> None:
    """Any number of rows works, none included, with the same types."""
    table = loans(rows)
    assert len(table) == rows
    assert table.dtypes.equals(loans(50).dtypes)


# --- loans: the story ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned(old: pd.DataFrame) -> dict[str, Any]:
    """A default LightGBM learned on three quarters of the rows, and its answers."""
    features = pd.get_dummies(old.drop(columns="decision"), columns=["employment", "purpose", "residence", "gender"])
    matrix = features.to_numpy(dtype=np.float64)
    approved = (old["decision"] == "approve").to_numpy()
    train = np.arange(len(old)) % 4 != 0
    model = lightgbm.train(
        {"objective": "binary", "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbose": -1},
        lightgbm.Dataset(matrix[train], approved[train].astype(float), feature_name=list(features.columns)),
    )
    answers = np.asarray(model.predict(matrix)) > 0.5
    return {"matrix": matrix, "approved": approved, "train": train, "model": model, "answers": answers}


def test_a_model_learns_the_decisions_up_to_the_noise(learned: dict[str, Any]) -> None:
    """A default model comes within two points of the best accuracy that the noise allows."""
    held_out = ~learned["train"]
    assert (learned["answers"] == learned["approved"])[held_out].mean() >= 1 - NOISE - 0.02


def test_a_small_tree_summarises_the_model(learned: dict[str, Any]) -> None:
    """A tree of twelve leaves agrees with the model on more than 94% of the held-out rows."""
    train, answers = learned["train"], learned["answers"]
    tree = DecisionTreeClassifier(max_leaf_nodes=12, random_state=0).fit(learned["matrix"][train], answers[train])
    assert (tree.predict(learned["matrix"]) == answers)[~train].mean() >= 0.94


def test_the_model_finds_the_age_limit(learned: dict[str, Any]) -> None:
    """Most of what the model gains from age it gains by splitting between 30 and 31."""
    nodes = learned["model"].trees_to_dataframe()
    splits = nodes[nodes["split_feature"] == "age"]
    at_the_limit = splits["threshold"].astype(float).between(30, 31, inclusive="left")
    assert splits.loc[at_the_limit, "split_gain"].sum() >= 0.6 * splits["split_gain"].sum()


# --- tic-tac-toe ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def boards() -> list[str]:
    return tic_tac_toe().drop(columns="winner").agg("".join, axis=1).tolist()


def has_line(board: str, player: str) -> bool:
    return any({board[int(square)] for square in line} == {player} for line in LINES)


def is_end(board: str) -> bool:
    """Whether a game can end so: the counts fit, somebody's last move won or no square is left."""
    crosses, noughts = board.count("x"), board.count("o")
    if has_line(board, "x"):
        return crosses == noughts + 1 and not has_line(board, "o")
    if has_line(board, "o"):
        return crosses == noughts
    return crosses == 5 and noughts == 4


def test_tic_tac_toe_has_its_958_ends() -> None:
    """x has won on 626 boards and has not on 332."""
    table = tic_tac_toe()
    assert table.shape == (958, 10)
    assert table["winner"].value_counts().to_dict() == {"x": 626, "other": 332}


def test_tic_tac_toe_names_its_squares() -> None:
    """The nine squares come row by row, then the target."""
    rows, columns = ("top", "middle", "bottom"), ("left", "middle", "right")
    assert list(tic_tac_toe().columns) == [f"{r}_{c}" for r in rows for c in columns] + ["winner"]


def test_no_board_comes_twice(boards: list[str]) -> None:
    """The boards are distinct and sorted."""
    assert boards == sorted(set(boards))


def test_the_boards_are_just_those_that_can_be_reached(boards: list[str]) -> None:
    """Of all 19,683 fillings of nine squares the table has the ends of games and no other."""
    assert boards == [board for board in map("".join, itertools.product("box", repeat=9)) if is_end(board)]


def test_the_winner_is_whoever_has_three_in_a_row(boards: list[str]) -> None:
    """The target is x on the boards with a line of crosses and nowhere else."""
    assert tic_tac_toe()["winner"].tolist() == ["x" if has_line(board, "x") else "other" for board in boards]


# --- breast cancer -------------------------------------------------------------------------------


def test_breast_cancer_has_its_known_counts() -> None:
    """There are 569 tumours, 212 of them malignant, with 30 measurements each."""
    table = breast_cancer()
    assert table.shape == (569, 31)
    assert table["diagnosis"].value_counts().to_dict() == {"benign": 357, "malignant": 212}


def test_malignant_tumours_are_the_larger_ones() -> None:
    """The classes are not swapped: malignant tumours have the greater mean radius."""
    means = breast_cancer().groupby("diagnosis")["mean radius"].mean()
    assert means["malignant"] > means["benign"] + 3


def test_no_measurement_is_missing() -> None:
    """Every measurement is a finite number."""
    assert np.isfinite(breast_cancer().drop(columns="diagnosis").to_numpy()).all()


# --- all of them ---------------------------------------------------------------------------------


def test_every_table_has_its_target_last() -> None:
    """The two mappings name the same tables, and each target is the last column, never missing."""
    assert set(DATASETS) == set(TARGETS)
    for name, table in DATASETS.items():
        assert table().columns[-1] == TARGETS[name]
        assert table()[TARGETS[name]].notna().all()


@pytest.mark.parametrize("name", DATASETS)
def test_every_table_reads_back_from_csv_as_it_was(name: str) -> None:
    """Written as CSV and read again, values and types are the same."""
    table = DATASETS[name]()
    read = pd.read_csv(io.StringIO(csv(table)))
    pd.testing.assert_frame_equal(table, read, check_exact=True)


@pytest.mark.parametrize("name", DATASETS)
def test_text_is_of_the_text_type(name: str) -> None:
    """Every column is a number, a boolean or pandas' own text type; none holds loose objects."""
    kinds = {str(kind) for kind in DATASETS[name]().dtypes}
    assert kinds <= {"int64", "float64", "bool", "str"}


@pytest.mark.parametrize("name", DATASETS)
def test_every_call_gives_a_table_of_its_own(name: str) -> None:
    """Spoiling one table leaves the next one whole."""
    spoilt = DATASETS[name]()
    spoilt[TARGETS[name]] = "spoilt"
    assert "spoilt" not in DATASETS[name]()[TARGETS[name]].tolist()


def test_the_examples_in_the_documentation_are_true() -> None:
    """The examples of the docstrings give what they show."""
    result = doctest.testmod(datasets)
    assert result.attempted >= 3
    assert result.failed == 0
