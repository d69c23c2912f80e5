"""The trees of a graft: thresholds, bitsets, forcing leaves, and what can't be grafted."""

from __future__ import annotations

import dataclasses
import itertools
import math

import lightgbm
import numpy as np
import pytest
from hypothesis import given

from ruleedit.errors import ModelFileRefused, Refused, TooComplex
from ruleedit.feedback import Feedback
from ruleedit.graft import MOST_BOXES, graft, prove
from ruleedit.graft.boxes import forced_boxes
from ruleedit.graft.force import MARGIN, forcing_value, least_force
from ruleedit.graft.trees import LARGEST_CODE, FileNumbers, box_splits, tree_text
from ruleedit.matching import box_mask
from ruleedit.models import TableModel
from ruleedit.models.file import read_model
from ruleedit.regions import Box, clauses_box
from ruleedit.rules import ZERO, Clause, Value
from ruleedit.schema import Feature, Schema
from tests.graft.test_graft import CLASSES, SCHEMA, asks, draft_of, model_of, new_rules, rows_of
from tests.strategies import Dice, doubles, make_double


@pytest.fixture(scope="module")
def model() -> TableModel:
    return model_of(rows_of(400), SCHEMA, trees=10)


@pytest.fixture(scope="module")
def edited() -> Feedback:
    return asks(draft_of("set R1 age > 26"))


def box_of(feature: str, operator: str, value: Value = None) -> Box:
    return clauses_box([Clause(feature, operator, value)], SCHEMA)  # type: ignore[arg-type]


def altered(model: TableModel, old: str, new: str) -> TableModel:
    """The model with other text in its header or tail, where no size counts."""
    assert old in model.text
    return dataclasses.replace(model, text=model.text.replace(old, new, 1))


# ------------------------------------------------------------------ thresholds


@pytest.mark.parametrize(
    ("operator", "value", "thresholds"),
    [
        ("<=", 0.5, [0.5]),
        ("<", 0.5, [math.nextafter(0.5, 0.0)]),
        (">", 0.5, [0.5]),
        (">=", 0.5, [math.nextafter(0.5, 0.0)]),
        ("<=", 0.0, [ZERO]),
        (">", 0.0, [ZERO]),
        ("<", 0.0, [math.nextafter(-ZERO, -1.0)]),
        (">=", 0.0, [math.nextafter(-ZERO, -1.0)]),
        ("=", 0.0, [ZERO, math.nextafter(-ZERO, -1.0)]),
        ("is missing", None, [1.7976931348623157e308]),
        ("is not missing", None, [1.7976931348623157e308]),
    ],
)
def test_thresholds_let_exactly_the_clause_through(
    model: TableModel, operator: str, value: Value, thresholds: list[float]
) -> None:
    """The bound itself, or the double before it; around 0 the numbers that LightGBM still tells from it."""
    splits = box_splits(box_of("debt", operator, value), FileNumbers(model))
    assert [split.threshold for split in splits] == thresholds


@pytest.mark.parametrize(
    ("operator", "value", "threshold"),
    [
        ("<=", 30.0, 30.5),
        (">", 30.0, 30.5),
        (">=", -2.0, -2.5),
        ("<=", 0.0, 0.5),
        ("<=", 2.0**53, 2.0**53),
        (">=", 2.0**53, 2.0**53 - 1.0),
        ("<=", 2.0**52 - 1.0, 2.0**52 - 0.5),
    ],
)
def test_whole_numbers_are_parted_halfway(model: TableModel, operator: str, value: float, threshold: float) -> None:
    """Halfway between two whole numbers while a double lies there, so that 32-bit readers part them too."""
    (split,) = box_splits(box_of("age", operator, value), FileNumbers(model))
    assert split.threshold == threshold


@given(doubles(), doubles())
def test_neighbours_of_a_bound_fall_on_their_sides(low: float, high: float) -> None:
    """Whatever the bounds: they, their neighbours and other numbers go where the clause says."""
    schema = Schema((Feature("x", "numeric"),), "y", ("a", "b"))
    file = model_of(np.arange(20.0)[:, None], schema, trees=1)
    box = clauses_box([Clause("x", "between", (low, high))], schema)
    if box.is_empty:
        return
    grafted = graft(file, new_rules(schema, f"IF x between {low!r} and {high!r} THEN b"))
    some = [f(bound, towards) for bound in (low, high) for f in (max, math.nextafter) for towards in (low, 1e300)]
    some += [low, high, math.nextafter(low, -1e300), math.nextafter(high, -1e300), 0.0, math.nan, make_double(Dice(3))]
    rows = np.array([0.0 if abs(x) <= ZERO else x for x in some])[:, None]
    assert (grafted.proba(rows)[:, 1] == 1.0).tolist() == box_mask(box, rows, schema).tolist()


# ------------------------------------------------------------------ categories


@pytest.mark.parametrize(
    ("operator", "value", "codes", "left"),
    [
        ("=", "driver", {2}, True),
        ("!=", "driver", {0, 1, 3}, True),
        ("is missing", None, {0, 1, 2, 3}, False),
        ("is not missing", None, {0, 1, 2, 3}, True),
    ],
)
def test_a_bitset_tells_known_unseen_and_missing(
    model: TableModel, operator: str, value: Value, codes: set[int], left: bool
) -> None:
    """Unseen is the bit 0 of our codes; NaN goes right, so a set with missing goes on to the right."""
    (split,) = box_splits(box_of("job", operator, value), FileNumbers(model))
    assert (split.codes, split.left, split.missing) == (codes, left, not left)


def test_many_categories_take_several_words() -> None:
    """A bit for each code, 32 to a word, and each split has its own words."""
    names = tuple(f"c{number}" for number in range(100))
    schema = Schema((Feature("a", "categorical", categories=names), Feature("b", "boolean")), "y", ("no", "yes"))
    rows = np.column_stack([np.tile(np.arange(101.0), 3), np.tile([0.0, 1.0, np.nan], 101)])
    listed = ", ".join(names[10:80:7])
    asked = new_rules(schema, f"IF a in ({listed}) THEN yes", f"IF a not in ({listed}) AND b = true THEN no")
    grafted = graft(model_of(rows, schema), asked)
    assert grafted.file.trees[-1].cat_boundaries.tolist() == [0, 4]
    places = asked.assign(rows)
    assert (grafted.proba(rows)[places == 0, 1] == 1.0).all()
    assert (grafted.proba(rows)[places == 1, 0] == 1.0).all()


def test_a_code_past_the_limit_is_refused(model: TableModel) -> None:
    """A bitset grows with its largest code."""
    features = (*SCHEMA.features[:2], dataclasses.replace(SCHEMA.features[2], codes=(1, 2, LARGEST_CODE + 1)))
    schema = dataclasses.replace(SCHEMA, features=(*features, SCHEMA.features[3]))
    adopted = dataclasses.replace(model, schema=schema, adopted=True)
    assert prove(adopted, graft(adopted, asked := new_rules(schema, "IF job = clerk THEN deny")), asked).proved
    with pytest.raises(Refused, match="'job': the code 1048577 is past 1048576"):
        graft(adopted, new_rules(schema, "IF job = farmer THEN deny"))


# ------------------------------------------------------------------ the block of a tree


def test_a_chain_has_one_leaf_that_is_not_zero(model: TableModel) -> None:
    """k splits make k + 1 leaves; zeros are written without a sign."""
    box = clauses_box([Clause("debt", "between", (0.5, 0.7)), Clause("job", "=", "clerk")], SCHEMA)
    block = tree_text(7, box_splits(box, FileNumbers(model)), -1024.0)
    assert block.startswith("Tree=7\nnum_leaves=4\nnum_cat=1\n")
    assert "\nleaf_value=0 0 0 -1024\n" in block
    assert "\ncat_boundaries=0 1\ncat_threshold=2\n" in block
    assert block.endswith("shrinkage=1\n\n\n")


def test_every_row_is_a_leaf_alone() -> None:
    """A box without a bound has no split."""
    assert "\nnum_leaves=1\nnum_cat=0\n" in tree_text(0, (), 2.0)


# ------------------------------------------------------------------ forcing


def test_the_forcing_leaf_outweighs_every_sum_of_leaves(model: TableModel) -> None:
    """It is at least the sum of each tree's largest absolute leaf and the margin; a power of two."""
    reach = sum(np.abs(tree.leaf_value).max() for tree in model.file.trees)
    value = forcing_value(model.file)
    assert value >= least_force(model.file) > reach + MARGIN
    assert math.frexp(value)[0] == 0.5


@pytest.mark.parametrize("sigmoid", ["0.001", "1", "7"])
def test_the_slope_of_the_logistic_function_counts(model: TableModel, edited: Feedback, sigmoid: str) -> None:
    """A flat logistic function needs a larger leaf for exactly 1 and 0."""
    flat = altered(model, "objective=binary sigmoid:1\n", f"objective=binary sigmoid:{sigmoid}\n")
    grafted = graft(flat, edited)
    rows = rows_of(500, seed=5)
    held = edited.assign(rows) >= 0
    assert set(grafted.proba(rows)[held, 0]) <= {0.0, 1.0}
    assert prove(flat, grafted, edited).proved


def test_large_leaves_are_outweighed(model: TableModel, edited: Feedback) -> None:
    """Leaves in the millions of somebody's own tree don't come through, and outside they still answer."""
    grafted, rows = graft(scaled(model, 1e9), edited), rows_of(500, seed=6)
    held = edited.assign(rows) >= 0
    assert set(grafted.proba(rows)[held, 0]) == {1.0}
    assert grafted.raw_score(rows)[~held].tobytes() == scaled(model, 1e9).raw_score(rows)[~held].tobytes()


def test_leaves_past_every_measure_are_refused(model: TableModel, edited: Feedback) -> None:
    """The forcing leaf must stay finite."""
    with pytest.raises(Refused, match=r"leaves add up to .* up to 1e\+300 can be grafted"):
        graft(scaled(model, 1e301), edited)


def scaled(model: TableModel, factor: float) -> TableModel:
    """The model with every leaf multiplied, written by LightGBM."""
    booster = lightgbm.Booster(model_str=model.text)
    for tree, read in enumerate(model.file.trees):
        for leaf, value in enumerate(read.leaf_value):
            booster.set_leaf_output(tree, leaf, float(value) * factor)
    return dataclasses.replace(model, text=booster.model_to_string())


# ------------------------------------------------------------------ refusals


def test_a_distribution_is_refused_by_name(model: TableModel) -> None:
    """A file can force a class, not a probability between."""
    asked = asks(draft_of("new IF age < 20 THEN approve 0.9, deny 0.1 before R1"))
    with pytest.raises(Refused, match=r"R4 asks for approve 0\.9, deny 0\.1; a graft forces single classes"):
        graft(model, asked)
    assert "single classes" in prove(model, model, asked).why


def test_a_distribution_that_holds_no_row_is_no_matter(model: TableModel) -> None:
    """Only what is asked somewhere counts."""
    asked = asks(draft_of("new IF age < 20 THEN approve 0.9, deny 0.1", "new IF age < 25 THEN deny before R1"))
    hidden = dataclasses.replace(asked, rules=tuple(sorted(asked.rules, key=lambda rule: rule.outcome.is_class)[::-1]))
    assert prove(model, graft(model, hidden), hidden).proved


def trained(**options: object) -> str:
    rows = np.nan_to_num(rows_of(300))
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1} | options
    text: str = lightgbm.train(parameters, lightgbm.Dataset(rows, rows[:, 0] > 30), 3).model_to_string()
    return text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "random forest"),
        ({"linear_tree": True}, "linear trees"),
    ],
    ids=str,
)
def test_forests_and_linear_trees_are_refused_by_name(
    model: TableModel, edited: Feedback, options: dict[str, object], named: str
) -> None:
    """Neither answers with a sum of leaves that a leaf could outweigh."""
    other = dataclasses.replace(model, text=trained(**options))
    with pytest.raises(Refused, match=named):
        graft(other, edited)
    assert named in prove(other, other, edited).why


@pytest.mark.parametrize("objective", ["regression", "cross_entropy"])
def test_other_objectives_are_refused(model: TableModel, edited: Feedback, objective: str) -> None:
    """Only binary and softmax models are classifiers here."""
    with pytest.raises(ModelFileRefused, match="binary and multiclass"):
        graft(dataclasses.replace(model, text=trained(objective=objective)), edited)


def test_another_schema_is_refused(model: TableModel) -> None:
    """Feedback on other classes or features has no place in this file."""
    with pytest.raises(Refused, match="different schemas"):
        graft(model, asks(draft_of("set R1 age > 26", classes=CLASSES[:3])))


def test_too_many_boxes_are_refused_by_name(model: TableModel) -> None:
    """Each excluded number parts an interval: lists of them on two features pass the stated limit."""
    ages, debts = ", ".join(map(str, range(20, 90, 2))), ", ".join(map(str, range(40)))
    asked = new_rules(SCHEMA, f"IF age not in ({ages}) AND debt not in ({debts}) THEN deny")
    with pytest.raises(TooComplex, match=f"R1 takes the graft past {MOST_BOXES:,} boxes"):
        graft(model, asked)
    assert len(forced_boxes(asked, limit=36 * 41)) == 36 * 41


def test_boxes_are_disjoint() -> None:
    """A union of intervals becomes boxes that share no row, missing values in the first alone."""
    asked = new_rules(SCHEMA, "IF age in (20, 30, 40) THEN model", "IF debt > 0.5 THEN deny")
    boxes = [one.box for one in forced_boxes(asked)]
    assert len(boxes) == 4
    assert not any(one.meets(other) for one, other in itertools.combinations(boxes, 2))


def test_the_steps_to_the_boxes_are_limited_too(model: TableModel) -> None:
    """Ten steps a box: the rows that earlier rules leave to the model make many, long before the boxes are counted."""
    jobs = ("clerk", "driver", "farmer")
    holes = [f"IF debt < {n / 10} AND age < {90 - 5 * n} AND job = {jobs[n % 3]} THEN model" for n in range(1, 9)]
    asked = new_rules(SCHEMA, *holes, "IF owner = true THEN deny")
    with pytest.raises(TooComplex, match="R9 takes the graft past 1 boxes"):
        graft(model, asked, limit=1)
    assert prove(model, graft(model, asked), asked).proved
    assert "past 1 boxes" in prove(model, model, asked, limit=1).why


def test_a_stump_of_zeros_fills_the_iteration() -> None:
    """With several classes, a class without a box gets a tree that answers 0."""
    asked = asks(draft_of("set R1 age > 26", classes=CLASSES[:3]))
    file = read_model(graft(model_of(rows_of(200), asked.schema), asked).text)
    assert [tree.leaf_value.tolist()[:1] for tree in file.trees[-2:]] == [[0.0], [0.0]]
