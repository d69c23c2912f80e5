"""Extraction from a table in pieces gives the rules and figures of the whole, to the last digit."""

from __future__ import annotations

import itertools
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.datasets import loans
from ruleedit.errors import ExtractionFailed
from ruleedit.formats import canonical
from ruleedit.models import TableModel
from ruleedit.models.training import train
from ruleedit.scale import extraction
from ruleedit.scale.extraction import extract_table
from ruleedit.surrogate import binarise, search, unexplained
from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.fidelity import agreement, fidelity, fidelity_of
from ruleedit.surrogate.parts import Glimpse, together
from ruleedit.tables import batches, encode, fingerprint, infer_schema
from ruleedit.tables.batches import pieces
from ruleedit.workflow import extract_rules
from tests.commandline import Shop, answer, refused, three_classes
from tests.scale.clusters import Killing, Spread, in_files, spread
from tests.strategies import Dice, make_rule_set
from tests.surrogate.cases import Case, random_case

__all__ = ["spread"]


def wide(rows: int = 400) -> pd.DataFrame:
    """A table of 70 numbers and 10 texts, more than rules are made of."""
    rng = np.random.default_rng(2)
    numbers = {f"n{place}": rng.normal(size=rows).round(2) for place in range(70)}
    texts = {f"t{place}": rng.choice(["a", "b", "c"], rows) for place in range(10)}
    frame = pd.DataFrame(numbers | texts)
    score = frame[[f"n{place}" for place in range(0, 70, 3)]].sum(axis=1) + 2.0 * (frame["t1"] == "b")
    frame["y"] = np.where(score + rng.normal(size=rows) > 0, "yes", "no")
    return frame


TABLES = {"loans": (loans(900, seed=7), "decision"), "three": (three_classes(500), "grade"), "wide": (wide(), "y")}


def modelled(name: str) -> tuple[TableModel, pd.DataFrame]:
    """A model of a table."""
    frame, target = TABLES[name]
    return train(frame, infer_schema(frame, target), trees=20), frame


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that these tables pass: batches of 37 rows, and rows to search on drawn from all."""
    monkeypatch.setattr(batches, "MOST_ROWS", 37)
    monkeypatch.setattr(search, "SEARCH_ROWS", 300)
    monkeypatch.setattr(unexplained, "SEARCH_ROWS", 250)


@pytest.mark.parametrize("name", list(TABLES))
@pytest.mark.parametrize("known", [True, False], ids=["training table", "another table"])
def test_rules_and_figures_are_those_of_the_whole_table(name: str, known: bool, tmp_path: Path) -> None:
    """The rule file letter by letter, and each figure: fidelity, bounds, what is unexplained."""
    model, frame = modelled(name)
    table = frame if known else frame.iloc[::-1].reset_index(drop=True)
    draft, found = extract_rules(model, encode(table, model.schema), max_clauses=10, seed=3)
    apart, other = extract_table(model, pieces(in_files(table, tmp_path / "t", 5, group=60)), max_clauses=10, seed=3)
    assert canonical.dumps(apart) == canonical.dumps(draft)
    assert other.to_json() == found.to_json()
    assert other.rules == found.rules
    assert len(found.rules) >= 1
    assert found.holdout is not None
    assert found.holdout.rows == (len(model.holdout) if known else found.holdout.rows)


def test_two_workers_extract_what_one_process_does_though_they_are_killed(spread: Spread, tmp_path: Path) -> None:
    """The rule file letter by letter."""
    model, frame = modelled("loans")
    table = pieces(in_files(frame, tmp_path / "t", 6))
    draft, _ = extract_table(model, table, max_clauses=8)
    killing = Killing(spread, after=(2,))
    killing_once = lambda *asked: (spread if killing.killed else killing)(*asked)  # noqa: E731
    assert canonical.dumps(extract_table(model, table, max_clauses=8, over=killing_once)[0]) == canonical.dumps(draft)
    assert len(killing.killed) == 2


def test_the_fingerprint_is_that_of_the_whole_table(tmp_path: Path) -> None:
    """Column by column: a table is known again, and every row of another counts as held out."""
    model, frame = modelled("three")
    table = pieces(in_files(frame, tmp_path / "t", 3))
    assert extraction._fingerprint_of(table, len(frame), model.schema) == fingerprint(encode(frame, model.schema))


def test_a_model_of_one_answer_needs_no_rule(tmp_path: Path) -> None:
    """As in memory."""
    model, frame = modelled("loans")
    rows = encode(frame, model.schema)
    same = frame[model.outcomes(rows) == 0]
    with pytest.raises(ExtractionFailed, match="answers only 'approve'"):
        extract_table(model, pieces(in_files(same, tmp_path / "t", 2)))


def thresholds(case: Case) -> list[dict[float, float]]:
    """What a model might split at: between the values of some rows, and beside them."""
    found: list[dict[float, float]] = []
    for place, feature in enumerate(case.schema.features):
        values = np.unique(case.matrix[:, place][~np.isnan(case.matrix[:, place])])[:20]
        middle = (values[1:] / 2 + values[:-1] / 2).tolist() + values[::3].tolist()
        found.append({float(one): 1.0 + number for number, one in enumerate(middle)} if feature.is_number else {})
    return found


def split(case: Case, cuts: list[int]) -> list[tuple[slice, ...]]:
    """Where a case's rows are parted; no part is empty."""
    ends = sorted({0, len(case.rows), *(cut % len(case.rows) for cut in cuts)})
    return [(slice(start, end),) for start, end in itertools.pairwise(ends)]


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**6), max_size=6))
def test_what_parts_tell_gives_the_bins_of_the_whole(number: int, cuts: list[int]) -> None:
    """Cuts, weights, named categories, others and missing; and the rows as bins, merged, in the same order."""
    case = random_case(number)
    parts = [(case.matrix[here], case.answers[here]) for (here,) in split(case, cuts)]
    glimpse = reduce(add, (Glimpse.of(*part, case.schema, thresholds(case)) for part in parts))
    whole, bins = bin_features(case.matrix, case.answers, case.schema, thresholds(case)), glimpse.bins(case.schema)
    assert [repr(each) for each in bins] == [repr(each) for each in whole]
    apart = [Binned.of(bins, *part).merged() for part in parts]
    merged = together(bins, [(one.codes, one.answers, one.weights) for one in apart])
    once = Binned.of(whole, case.matrix, case.answers).merged()
    for one, other in ((merged.codes, once.codes), (merged.answers, once.answers), (merged.weights, once.weights)):
        np.testing.assert_array_equal(one, other)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**6), max_size=6))
def test_agreement_and_what_is_missed_add_up(number: int, cuts: list[int]) -> None:
    """For any rules, on any parts."""
    case = random_case(number)
    rules = make_rule_set(Dice(number), case.schema)
    boxes = unexplained.wrong_regions(rules, case.matrix, case.answers, case.schema, thresholds(case))
    parts = [(case.matrix[here], case.answers[here]) for (here,) in split(case, cuts)]
    agreed = reduce(add, (agreement(rules, *part, case.schema) for part in parts))
    assert fidelity_of(rules, agreed, case.schema) == fidelity(rules, case.matrix, case.answers, case.schema)
    wrong = reduce(add, (unexplained.missed(rules, boxes, *part, case.schema) for part in parts))
    assert wrong == unexplained.missed(rules, boxes, case.matrix, case.answers, case.schema)


def test_wide_tables_keep_the_most_telling_features() -> None:
    """The test above is one of more features than rules are made of."""
    frame, _ = TABLES["wide"]
    assert frame.shape[1] - 1 > binarise.MOST_FEATURES


def test_the_command_takes_a_folder(shop: Shop, tmp_path: Path) -> None:
    """With the same object as for the table in memory; what looks at all rows at once is refused."""
    folder = in_files(pd.read_csv(shop.csv), tmp_path / "loans", 3)
    pd.read_csv(shop.csv).to_parquet(tmp_path / "one.parquet")
    asked = ("extract", shop.model, "--max-clauses", 6, "--out")
    one = answer(*asked, tmp_path / "one.json", "--data", tmp_path / "one.parquet")
    many = answer(*asked, tmp_path / "many.json", "--data", folder)
    assert one | {"seconds": 0, "ground": None} == many | {"seconds": 0, "ground": None}
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "many.json").read_bytes()
    for option in (("--probabilities",), ("--stability", 2), ("--method", "tree"), ("--ground", shop.rules)):
        said = refused("refused", *asked, tmp_path / "no.json", "--data", folder, *option)
        assert option[0] in said
