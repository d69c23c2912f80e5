"""Model files: what LightGBM writes is read exactly, and nothing that is read can crash LightGBM."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleedit.errors import FileRefused, ModelFileRefused
from ruleedit.models import file as modelfile
from ruleedit.models.file import ModelFile, Tree, check_classifier, probe, read_model

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightgbm")

ZERO = float(np.float32(1e-35))
WIDTH = 5
COMMON = {"verbose": -1, "num_leaves": 7, "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": 3}
KINDS: dict[str, dict[str, Any]] = {
    "binary": {"objective": "binary"},
    "multiclass": {"objective": "multiclass", "num_class": 3},
    "categorical": {"objective": "binary", "max_cat_to_onehot": 1, "min_data_per_group": 1, "cat_smooth": 1.0},
    "zero as missing": {"objective": "binary", "zero_as_missing": True},
    "nothing missing": {"objective": "binary", "use_missing": False},
    "linear": {"objective": "binary", "linear_tree": True},
    "forest": {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    "forest of three": {
        "objective": "multiclass", "num_class": 3, "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5,
    },
    "dart": {"objective": "binary", "boosting": "dart"},
    "monotone": {"objective": "binary", "monotone_constraints": [1, 0, 0, 0, -1]},
    "stump": {"objective": "binary", "min_data_in_leaf": 10_000},
    "stumps among trees": {"objective": "multiclass", "num_class": 4},
    "pandas": {"objective": "binary", "max_cat_to_onehot": 1, "min_data_per_group": 1},
}  # fmt: skip


def rows(count: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Four numeric columns with zeros and missing values, and one of codes up to 99."""
    generator = np.random.default_rng(seed)
    table = generator.normal(size=(count, WIDTH))
    table[:, 4] = generator.integers(0, 100, count)
    table[generator.random(table.shape) < 0.1] = 0.0
    table[generator.random(table.shape) < 0.1] = np.nan
    return table


def frame(table: np.ndarray[Any, np.dtype[np.float64]]) -> pd.DataFrame:
    """The same rows as a data frame with spaces in its names and two categorical columns."""
    data = pd.DataFrame(table[:, :3], columns=["yearly income", "âge", "a b c"])
    codes = np.nan_to_num(table[:, 4]).astype(int)
    data["colour"] = pd.Categorical([("rød", "blå", "x y")[code % 3] for code in codes], ["blå", "rød", "x y"])
    data["shop"] = pd.Categorical(codes % 50, range(50))
    return data


def train(kind: str) -> lightgbm.Booster:
    """A small model of one kind."""
    table = rows(600, seed=1)
    known = np.nan_to_num(table)
    label = (known[:, 0] + known[:, 1] + (known[:, 4] % 3 == 0) > 0.3).astype(int)
    if KINDS[kind]["objective"] == "multiclass":
        label = label + (known[:, 2] > 0.5)
    parameters = COMMON | KINDS[kind]
    options = {"linear_tree": kind == "linear", "verbose": -1}
    data: Any = frame(table) if kind == "pandas" else table
    columns: Any = [4] if kind == "categorical" else "auto"
    return lightgbm.train(parameters, lightgbm.Dataset(data, label, params=options, categorical_feature=columns), 4)


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The text of one model of each kind."""
    return {kind: train(kind).model_to_string() for kind in KINDS}


# ------------------------------------------------------------------ a second reading of the format


def goes_left(tree: Tree, split: int, value: float) -> bool:
    if tree.is_categorical(split):
        return not math.isnan(value) and value >= 0 and int(value) in tree.categories(split)
    missing = tree.missing_type(split)
    if math.isnan(value) and missing != "nan":
        value = 0.0
    if math.isnan(value) or (missing == "zero" and abs(value) <= ZERO):
        return tree.default_left(split)
    return bool(value <= tree.threshold[split])


def answer_of(tree: Tree, row: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    node = 0 if tree.num_leaves > 1 else ~0
    while node >= 0:
        left = goes_left(tree, node, float(row[tree.split_feature[node]]))
        node = int(tree.left_child[node] if left else tree.right_child[node])
    leaf = ~node
    if not tree.is_linear:
        return float(tree.leaf_value[leaf])
    start = int(tree.num_features[:leaf].sum())
    answer = float(tree.leaf_const[leaf])
    for place in range(start, start + int(tree.num_features[leaf])):
        value = float(row[tree.leaf_features[place]])
        if math.isnan(value):
            return float(tree.leaf_value[leaf])
        answer += float(tree.leaf_coeff[place]) * value
    return answer


def scores_of(model: ModelFile, row: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    scores = [0.0] * model.trees_per_iteration
    for number, tree in enumerate(model.trees):
        scores[number % model.trees_per_iteration] += answer_of(tree, row)
    return scores


@pytest.mark.parametrize("kind", KINDS)
def test_the_trees_give_lightgbms_raw_scores_exactly(texts: dict[str, str], kind: str) -> None:
    """What was parsed is what LightGBM predicts with, to the last bit, for missing values and unseen codes too."""
    model = read_model(texts[kind])
    check_classifier(model)
    table = rows(150, seed=2)
    table[:, 4] += np.random.default_rng(4).choice([-200, 0, 0, 0, 0.5, 1000], 150)
    table[:2] = [[np.nan] * WIDTH, [1e-36, -1e-36, ZERO, -0.0, 1e300]]
    theirs = lightgbm.Booster(model_str=texts[kind]).predict(table, raw_score=True, num_threads=1)
    ours = [scores_of(model, row) for row in table]
    assert np.array_equal(np.reshape(theirs, (len(table), -1)), np.array(ours))


# ------------------------------------------------------------------ what is read


def test_a_binary_model_says_what_it_is(texts: dict[str, str]) -> None:
    """The header's facts come back as they stand in the file."""
    model = read_model(texts["binary"])
    assert (model.num_class, model.trees_per_iteration, model.objective) == (1, 1, "binary sigmoid:1")
    assert model.feature_names == tuple(f"Column_{place}" for place in range(WIDTH))
    assert all(re.fullmatch(r"\[.+:.+\]", info) for info in model.feature_infos)
    assert (len(model.trees), model.average_output, model.is_linear) == (4, False, False)
    assert model.parameters["learning_rate"] == "0.1"
    assert model.parameters["monotone_constraints"] == ""
    assert model.pandas_categorical is None


def test_a_multiclass_model_has_a_tree_for_each_class_and_iteration(texts: dict[str, str]) -> None:
    """Three classes and four iterations make twelve trees."""
    model = read_model(texts["multiclass"])
    assert (model.num_class, model.trees_per_iteration, model.objective) == (3, 3, "multiclass num_class:3")
    assert len(model.trees) == 12


def test_a_forest_says_that_it_averages(texts: dict[str, str]) -> None:
    """A random forest's probability comes from the mean over its trees, though its raw score is their sum."""
    model = read_model(texts["forest"])
    assert model.average_output
    assert read_model(texts["forest of three"]).average_output
    table = rows(20, seed=5)
    means = np.array([scores_of(model, row)[0] / len(model.trees) for row in table])
    assert np.allclose(lightgbm.Booster(model_str=model.text).predict(table), 1 / (1 + np.exp(-means)), rtol=1e-12)


def test_a_pandas_model_keeps_names_and_categories(texts: dict[str, str]) -> None:
    """Spaces in names are LightGBM's underscores, and the categories come in the order of their codes."""
    model = read_model(texts["pandas"])
    assert model.feature_names == ("yearly_income", "âge", "a_b_c", "colour", "shop")
    assert model.pandas_categorical == (("blå", "rød", "x y"), tuple(range(50)))


def test_a_categorical_split_knows_its_categories(texts: dict[str, str]) -> None:
    """More than 32 codes take several words of the bitset, and the codes are those that were trained on."""
    model = read_model(texts["categorical"])
    found = [tree.categories(split) for tree in model.trees for split in splits(tree) if tree.is_categorical(split)]
    assert max(len(tree.cat_threshold) for tree in model.trees) > 1
    assert found
    assert all(codes and codes <= set(range(100)) for codes in found)
    assert max(max(codes) for codes in found) > 32


def splits(tree: Tree) -> range:
    return range(tree.num_leaves - 1)


def test_a_numeric_split_has_no_categories(texts: dict[str, str]) -> None:
    """Asking a numeric split for its categories is a mistake of the caller."""
    with pytest.raises(ValueError, match="split 0 is numeric"):
        read_model(texts["binary"]).trees[0].categories(0)


@pytest.mark.parametrize(
    ("kind", "missing"), [("zero as missing", "zero"), ("nothing missing", "none"), ("linear", "nan")]
)
def test_a_split_says_what_counts_as_missing(texts: dict[str, str], kind: str, missing: str) -> None:
    """The missing type is the one that the model was trained with."""
    trees = read_model(texts[kind]).trees
    assert missing in {tree.missing_type(split) for tree in trees for split in splits(tree)}


def test_a_linear_model_has_models_in_its_leaves(texts: dict[str, str]) -> None:
    """The flat lists of features and coefficients are as long as the counts say."""
    model = read_model(texts["linear"])
    assert model.is_linear
    for tree in model.trees:
        assert tree.leaf_features.size == tree.leaf_coeff.size == tree.num_features.sum()
    assert any(tree.leaf_coeff.size for tree in model.trees)


def test_a_stump_has_one_leaf_and_no_splits(texts: dict[str, str]) -> None:
    """A tree that found no split is read as one leaf with empty arrays."""
    [tree] = read_model(texts["stump"]).trees
    assert (tree.num_leaves, tree.split_feature.size, tree.leaf_value.size) == (1, 0, 1)
    assert any(tree.num_leaves == 1 for tree in read_model(texts["stumps among trees"]).trees)


def test_gains_and_counts_come_along(texts: dict[str, str]) -> None:
    """The root of the first tree counts every training row, and so do its leaves together."""
    tree = read_model(texts["binary"]).trees[0]
    assert tree.internal_count is not None
    assert tree.leaf_count is not None
    assert tree.split_gain is not None
    assert tree.internal_count[0] == tree.leaf_count.sum() == 600
    assert tree.split_gain.shape == tree.threshold.shape


def test_gains_and_counts_may_be_left_out(texts: dict[str, str]) -> None:
    """LightGBM does without them, so their absence is None and no error."""
    text = mended(
        re.sub(r"(split_gain|internal_\w+|leaf_count|leaf_weight|shrinkage|is_linear)=.*\n", "", texts["binary"])
    )
    tree = read_model(text).trees[0]
    assert (tree.split_gain, tree.internal_count, tree.leaf_count) == (None, None, None)
    assert (tree.shrinkage, tree.is_linear) == (1.0, False)
    probe(text)


def test_the_arrays_cannot_be_written_to(texts: dict[str, str]) -> None:
    """A tree is a value: neither its fields nor its arrays change."""
    tree = read_model(texts["categorical"]).trees[0]
    arrays = [value for value in vars(tree).values() if isinstance(value, np.ndarray)]
    assert len(arrays) == 15
    assert not any(array.flags.writeable for array in arrays)
    with pytest.raises(dataclasses.FrozenInstanceError):
        tree.num_leaves = 3  # type: ignore[misc]


def test_models_are_equal_where_their_texts_are(texts: dict[str, str]) -> None:
    """Identity is the text's, in comparisons and in the hash."""
    one, same, other = (read_model(texts[kind]) for kind in ("binary", "binary", "dart"))
    assert one == same
    assert one != other
    assert len({one, same, other}) == 2
    assert one.hash == hashlib.sha256(texts["binary"].encode()).hexdigest()


def test_reprs_are_short(texts: dict[str, str]) -> None:
    """A model in a log line doesn't print its file."""
    model = read_model(texts["categorical"])
    assert len(repr(model)) < 500
    assert re.fullmatch(r"Tree\(num_leaves=7, num_cat=\d, is_linear=False\)", repr(model.trees[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_lightgbm_read_and_wrote_again_is_read_the_same(texts: dict[str, str], kind: str) -> None:
    """The second writing has other blank lines and the same trees."""
    again = read_model(lightgbm.Booster(model_str=texts[kind]).model_to_string())
    first = read_model(texts[kind])
    assert again.parameters == first.parameters
    assert again.feature_names == first.feature_names
    for old, new in zip(first.trees, again.trees, strict=True):
        assert np.array_equal(old.threshold, new.threshold)
        assert np.array_equal(old.leaf_value, new.leaf_value)


@pytest.mark.parametrize(
    "cut",
    ["\npandas_categorical:", "\nparameters:", "\nfeature_importances:"],
)
def test_the_sections_behind_the_trees_may_be_absent(texts: dict[str, str], cut: str) -> None:
    """LightGBM needs none of them, and neither do we."""
    text = texts["binary"][: texts["binary"].index(cut)]
    model = read_model(text)
    assert model.pandas_categorical is None
    assert bool(model.parameters) == (cut == "\npandas_categorical:")


def test_version_three_is_read_too(texts: dict[str, str]) -> None:
    """The older version writes no is_linear and spells one heading with a space."""
    text = texts["binary"].replace("version=v4", "version=v3").replace("feature_importances:", "feature importances:")
    assert len(read_model(mended(text.replace("is_linear=0\n", ""))).trees) == 4


def test_importances_by_gain_are_read(texts: dict[str, str]) -> None:
    """The importances may count gain instead of splits."""
    text = lightgbm.Booster(model_str=texts["binary"]).model_to_string(importance_type="gain")
    assert len(read_model(text).trees) == 4


def test_names_with_equals_signs_inside_are_read(texts: dict[str, str]) -> None:
    """LightGBM keeps a '=' inside a name, so it is no reason to refuse."""
    text = texts["binary"].replace("Column_1", "a=b")
    assert read_model(text).feature_names[1] == "a=b"
    assert lightgbm.Booster(model_str=text).feature_name()[1] == "a=b"


# ------------------------------------------------------------------ which models are ours


@pytest.mark.parametrize(
    ("objective", "name"),
    [
        ("regression", "regression"),
        ("regression_l1", "regression_l1"),
        ("poisson", "poisson"),
        ("lambdarank", "lambdarank"),
        ("cross_entropy", "cross_entropy"),
        ("multiclassova num_class:1 sigmoid:1", None),
        ("custom", "custom"),
    ],
)
def test_other_objectives_are_refused_by_name(texts: dict[str, str], objective: str, name: str | None) -> None:
    """Regression, ranking and the like are whole files that RuleEdit can't use, and the message says which it can."""
    text = texts["binary"].replace("objective=binary sigmoid:1", f"objective={objective}")
    if name is None:
        with pytest.raises(ModelFileRefused, match="at least 2 classes"):
            read_model(text)
        return
    with pytest.raises(ModelFileRefused, match=f"objective {name}; accepted are binary and multiclass"):
        check_classifier(read_model(text))


def test_one_against_all_is_refused_by_name() -> None:
    """Multiclassova's scores don't sum to one, so it isn't the softmax that RuleEdit reads."""
    table, label = rows(200, seed=1), np.arange(200) % 3
    booster = lightgbm.train(COMMON | {"objective": "multiclassova", "num_class": 3}, lightgbm.Dataset(table, label), 2)
    with pytest.raises(ModelFileRefused, match="objective multiclassova; accepted are"):
        check_classifier(read_model(booster.model_to_string()))


def test_a_model_without_objective_is_refused(texts: dict[str, str]) -> None:
    """A loss of the user's own leaves no objective in the file."""
    model = read_model(texts["binary"].replace("objective=binary sigmoid:1\n", ""))
    assert model.objective == ""
    with pytest.raises(ModelFileRefused, match="no objective"):
        check_classifier(model)


# ------------------------------------------------------------------ what is refused


def mended(text: str) -> str:
    """Put the true sizes of the blocks in, so that the checks behind them are reached."""
    data = text.encode(errors="surrogateescape")
    starts = [found.start() + 1 for found in re.finditer(rb"\n(?=Tree=)", data)]
    end = data.find(b"\nend of trees") + 1
    bounds = [*starts, end if end > 0 else len(data)]
    sizes = b" ".join(b"%d" % (after - before) for before, after in itertools.pairwise(bounds))
    return re.sub(rb"\ntree_sizes=.*", b"\ntree_sizes=" + sizes, data, count=1).decode(errors="surrogateescape")


def replaced(pattern: str, by: str) -> Callable[[str], str]:
    """Change the first match, which has to be there."""

    def change(text: str) -> str:
        changed, count = re.subn(pattern, by, text, count=1, flags=re.MULTILINE)
        assert count == 1
        return changed

    return change


HEADER = [
    (replaced(r"\Atree", "trees"), "first line is 'trees'"),
    (replaced(r"\Atree\n", "\ufefftree\n"), "first line"),
    (replaced("version=v4", "version=v2"), "version: 'v2'; v3 and v4 are accepted"),
    (replaced("^version=v4\n", ""), "header, version: not there"),
    (replaced("num_class=1", "num_class=2"), "num_tree_per_iteration: '1'; num_class is 2"),
    (replaced("num_class=1", "num_class=0"), "num_class: 0 at place 0"),
    (replaced("num_class=1", "num_class=one"), "num_class: 'one'; whole numbers"),
    (replaced("num_class=1", "num_class=1=1"), "num_class: '1=1'"),
    (replaced("num_class=1\n", "num_class=1\nnum_class=1\n"), "num_class: given twice"),
    (replaced("^label_index=0", "colour=blue"), "the line 'colour=blue'"),
    (replaced("max_feature_idx=4", "max_feature_idx=5"), "max_feature_idx: '5' with 5 feature names; 4 needed"),
    (replaced("max_feature_idx=4", "max_feature_idx=99999999999"), "0 to 99999 is accepted"),
    (replaced("Column_0 ", ""), "max_feature_idx: '4' with 4 feature names"),
    (replaced("Column_0 ", "Column_1 "), "'Column_1' given twice"),
    (replaced("Column_0 ", " Column_0 "), "an empty name"),
    (replaced("feature_names=.*", "feature_names=a b c d e="), "lose a '='"),
    (replaced(r"feature_infos=\S+ ", "feature_infos="), "feature_infos: 4 entries; 5 needed"),
    (replaced(r"feature_infos=\S+ ", "feature_infos=[1:] "), r"feature_infos: '\[1:\]'"),
    (replaced("^tree_sizes=.*\n", ""), "tree_sizes: not there"),
    (replaced("^tree_sizes=.*", "tree_sizes="), "0 trees"),
    (replaced(r"^tree_sizes=\d+ ", "tree_sizes="), "not the size of tree 0"),
    (replaced(r"^tree_sizes=(\d+)", r"tree_sizes=\g<1>0"), "not the size of tree 0|place 0"),
    (replaced(r"^(tree_sizes=.*)", r"\1 100"), "tree 3"),
    (replaced("binary sigmoid:1", ""), "objective: ''"),
    (replaced("binary sigmoid:1", "binary"), "sigmoid: with a finite number above 0"),
    (replaced("binary sigmoid:1", "binary sigmoid:-1"), "sigmoid"),
    (replaced("binary sigmoid:1", "binary sigmoid:1 sigmoid:2"), "setting given twice"),
    (replaced("binary sigmoid:1", "multiclass num_class:3"), "num_class=1; at least 2 classes"),
    (replaced("binary sigmoid:1", "guess"), "objective: 'guess'"),
    (replaced("^objective", "average_output\naverage_output\nobjective"), "average_output: given twice"),
    (replaced("^feature_infos", "monotone_constraints=1 0\nfeature_infos"), "monotone_constraints: 2 values; 5 needed"),
]

TREES = [
    (replaced("^num_leaves=7", "num_leaves=8"), "tree 0, leaf_weight: 7 values; 8 needed"),
    (replaced("^num_leaves=7", "num_leaves=0"), "num_leaves: 0 at place 0"),
    (replaced("^num_leaves=7", "num_leaves=2000000000"), "num_leaves: 2000000000 at place 0; 1 to 1000000"),
    (replaced("^num_cat=0", "num_cat=1"), "cat_boundaries: not there"),
    (replaced("^num_cat=0", "num_cat=7"), "num_cat: 7"),
    (replaced(r"^split_feature=\d", "split_feature=5"), "tree 0, split_feature: 5 at place 0; 0 to 4"),
    (replaced(r"^split_feature=\d", "split_feature=-1"), "split_feature: -1 at place 0"),
    (replaced(r"^split_feature=\d", "split_feature=1.5"), "split_feature: '1.5'; whole numbers"),
    (replaced(r"^threshold=\S+", "threshold=nan"), "threshold: NaN"),
    (replaced(r"^threshold=\S+", "threshold=0x10"), "threshold: '0x10'; numbers parted by spaces"),
    (replaced(r"^threshold=\S+ ", "threshold=1\t"), "threshold: "),
    (replaced(r"^split_gain=\S+", "split_gain=nan"), "split_gain: NaN"),
    (replaced(r"^decision_type=\d+", "decision_type=12"), "decision_type: 12 at place 0; 0 to 11"),
    (replaced(r"^decision_type=\d+", "decision_type=1"), "a categorical split without a bitset"),
    (replaced(r"^left_child=\S+", "left_child=0"), "no parent or two"),
    (replaced(r"^left_child=\S+", "left_child=-8"), "left_child: -8 at place 0; -7 to 5"),
    (replaced(r"^right_child=\S+", "right_child=6"), "right_child: 6 at place 0"),
    (replaced(r"^leaf_value=\S+", "leaf_value=nan"), "leaf_value: nan at place 0; finite"),
    (replaced(r"^leaf_value=\S+", "leaf_value=1e999"), "leaf_value: inf at place 0"),
    (replaced(r"^leaf_count=\S+", "leaf_count=-1"), "leaf_count: -1"),
    (replaced(r"^shrinkage=.*", "shrinkage=fast"), "shrinkage: 'fast'"),
    (replaced(r"^shrinkage=.*", "shrinkage=1\nleaf_const=1"), "leaf_const: given without is_linear"),
    (replaced(r"^shrinkage=.*", "shrinkage=1\ncat_threshold=1"), "cat_threshold: given with num_cat=0"),
    (replaced(r"^shrinkage=.*", "shrinkage=1\nshrinkage=1"), "shrinkage: given twice"),
    (replaced(r"^shrinkage=.*", "shrinkage=1\n\nnum_leaves=3"), "the line ''"),
    (replaced(r"^shrinkage=.*", "shrinkage=1\nwhatever"), "the line 'whatever'"),
    (replaced("^Tree=1\n", "Tree=2\n"), "tree_sizes"),
    (replaced("^end of trees\n", ""), "tree_sizes: .* is the file whole"),
    (replaced("^is_linear=0", "is_linear=1"), "leaf_const: not there"),
    (replaced("^is_linear=0", "is_linear=2"), "is_linear: 2"),
]

TAIL = [
    (replaced("^end of trees\n", "end of trees\njunk\n"), "behind the trees: the line 'junk'"),
    (replaced(r"^Column_0=\d+", "Column_0=x"), "feature_importances: the line 'Column_0=x'"),
    (replaced(r"^Column_0=\d+", "Nobody=1"), "feature_importances"),
    (replaced("^end of parameters\n", ""), "parameters"),
    (replaced(r"^end of parameters\n[\s\S]*", ""), "parameters: no end"),
    (replaced("^end of parameters\n", "end of parameters\nparameters:\n"), "parameters: given twice"),
    (replaced(r"^\[seed: 3\]", "[seed]"), r"the line '\[seed\]'"),
    (replaced(r"^\[seed: 3\]", "[seed: 3]\n[seed: 3]"), "parameters, seed: given twice"),
    (replaced(r"^\[learning_rate: 0.1\]", "[learning_rate: fast]"), "parameters, learning_rate: 'fast'"),
    (replaced(r"^\[learning_rate: 0.1\]", "[learning_rate: nan]"), "learning_rate"),
    (replaced(r"^\[eval_at: \]", "[eval_at: 1,]"), "eval_at"),
    (replaced(r"^\[data: \]", '[data: a"b]'), "parameters, data"),
    (replaced(r"^\[data: \]", r"[data: C:\\path]"), None),
    (replaced("^pandas_categorical:.*", "pandas_categorical:[["), "pandas_categorical: no JSON"),
    (replaced("^pandas_categorical:.*", "pandas_categorical:" + "[" * 100_000), "pandas_categorical: no JSON"),
    (replaced("^pandas_categorical:.*", 'pandas_categorical:{"a": 1}'), "null or a list of lists"),
    (replaced("^pandas_categorical:.*", "pandas_categorical:[[[1]]]"), "no single value"),
    (replaced("^pandas_categorical:.*", "pandas_categorical:null\nmore"), "text behind it"),
]


@pytest.mark.parametrize(("change", "message"), HEADER)
def test_a_damaged_header_is_refused(texts: dict[str, str], change: Callable[[str], str], message: str) -> None:
    """Each fact of the header is held against the others, and the message says where and what is accepted."""
    with pytest.raises(ModelFileRefused, match=message):
        read_model(change(texts["binary"]))


@pytest.mark.parametrize(("change", "message"), TREES)
def test_a_damaged_tree_is_refused(texts: dict[str, str], change: Callable[[str], str], message: str) -> None:
    """A tree is refused even where its size was made to fit."""
    with pytest.raises(ModelFileRefused, match=message):
        read_model(mended(change(texts["binary"])))


@pytest.mark.parametrize(("change", "message"), TAIL)
def test_a_damaged_end_is_refused(texts: dict[str, str], change: Callable[[str], str], message: str | None) -> None:
    """What follows the trees has to be what LightGBM writes there; a path with a colon is."""
    text = change(texts["binary"])
    if message is None:
        assert read_model(text).parameters["data"] == r"C:\path"
        lightgbm.Booster(model_str=text)
        return
    with pytest.raises(ModelFileRefused, match=message):
        read_model(text)


ARRAYS = "split_feature split_gain threshold decision_type left_child right_child leaf_value leaf_weight leaf_count"
ARRAYS += " internal_value internal_weight internal_count cat_boundaries cat_threshold"
LINEAR_ARRAYS = "leaf_const num_features leaf_features leaf_coeff"


@pytest.mark.parametrize("change", ["longer", "shorter", "empty"])
@pytest.mark.parametrize("key", (ARRAYS + " " + LINEAR_ARRAYS).split())
def test_an_array_of_another_length_is_refused(texts: dict[str, str], key: str, change: str) -> None:
    """Each array has exactly the length that the counts ask for."""
    new = {"longer": r"\1 0", "shorter": rf"{key}=0", "empty": f"{key}="}[change]
    kind = "linear" if key in LINEAR_ARRAYS else "categorical"
    text = texts[kind]
    start = text.index("Tree=1\n")
    changed = text[:start] + replaced(rf"^({key}=.*)", new)(text[start:])
    with pytest.raises(ModelFileRefused, match=f"tree 1, {key}"):
        read_model(mended(changed))


@pytest.mark.parametrize(
    ("key", "value"),
    [("cat_boundaries", "1 4"), ("cat_boundaries", "0 -1"), ("cat_boundaries", "0 0"), ("cat_threshold", "-1 0 0 0")],
)
def test_a_damaged_bitset_is_refused(texts: dict[str, str], key: str, value: str) -> None:
    """The bounds increase from 0 and the words fit 32 bits."""
    with pytest.raises(ModelFileRefused, match=f"tree 0, {key}"):
        read_model(mended(replaced(f"^{key}=.*", f"{key}={value}")(texts["categorical"])))


@pytest.mark.parametrize("place", ["7", "-1", "0.5", "inf", "nan"])
def test_a_categorical_threshold_has_to_be_the_place_of_a_bitset(texts: dict[str, str], place: str) -> None:
    """LightGBM looks the bitset up unchecked."""
    text = texts["categorical"]
    tree = read_model(text).trees[0]
    split = next(split for split in splits(tree) if tree.is_categorical(split))
    pattern = rf"^(threshold=(?:\S+ ){{{split}}})\S+"
    with pytest.raises(ModelFileRefused, match="tree 0, threshold: a categorical split without a bitset"):
        read_model(mended(replaced(pattern, rf"\g<1>{place}")(text)))


def test_linear_leaves_under_a_plain_parameter_are_refused(texts: dict[str, str]) -> None:
    """LightGBM believes the parameter, so the two may not contradict each other."""
    with pytest.raises(ModelFileRefused, match="linear_tree: 1 is accepted"):
        read_model(texts["linear"].replace("[linear_tree: 1]", "[linear_tree: 0]"))


def test_a_denormal_coefficient_is_refused(texts: dict[str, str]) -> None:
    """LightGBM's reader of these numbers throws where nothing catches, and takes the process along."""
    text = mended(replaced(r"^leaf_const=\S+", "leaf_const=1e-310")(texts["linear"]))
    with pytest.raises(ModelFileRefused, match="leaf_const: a denormal number"):
        read_model(text)
    with pytest.raises(ModelFileRefused, match="crashed with SIGABRT"):
        probe(text)


def test_a_cycle_of_splits_is_refused(texts: dict[str, str]) -> None:
    """Splits 1 and 2 that are each other's child would be walked for ever if the root led there."""
    children = {"left_child": "-1 2 1 4 5 -5", "right_child": "3 -2 -3 -4 -6 -7"}
    text = texts["binary"]
    for key, value in children.items():
        text = replaced(f"^{key}=.*", f"{key}={value}")(text)
    with pytest.raises(ModelFileRefused, match="a cycle of splits"):
        read_model(mended(text))


def chain(depth: int) -> str:
    """A model of one tree in which each split is the child of the one before."""
    splits, leaves = range(depth), range(depth + 1)
    arrays = {
        "split_feature": ["0" for _ in splits],
        "threshold": [str(split) for split in splits],
        "decision_type": ["2" for _ in splits],
        "left_child": [str(~split) for split in splits],
        "right_child": [str(split + 1) for split in splits[:-1]] + [str(~depth)],
        "leaf_value": ["0.5" for _ in leaves],
    }
    lines = "".join(f"{key}={' '.join(values)}\n" for key, values in arrays.items())
    head = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=0\n"
    head += "objective=binary sigmoid:1\nfeature_names=a\nfeature_infos=none\ntree_sizes=0\n\n"
    return mended(f"{head}Tree=0\nnum_leaves={depth + 1}\nnum_cat=0\n{lines}\nend of trees\n")


def test_a_tree_as_deep_as_the_limit_is_read_and_loads() -> None:
    """The limit leaves room for LightGBM's own recursion, contributions too."""
    text = chain(modelfile.MAX_DEPTH)
    assert read_model(text).trees[0].num_leaves == modelfile.MAX_DEPTH + 1
    probe(text)


def test_a_deeper_tree_is_refused() -> None:
    """One more split on a path is one too many."""
    with pytest.raises(ModelFileRefused, match="tree 0: deeper than 1000"):
        read_model(chain(modelfile.MAX_DEPTH + 1))


@pytest.mark.parametrize("character", ["\0", "\r"])
def test_characters_that_lightgbm_takes_for_an_end_are_refused(texts: dict[str, str], character: str) -> None:
    """NUL ends a text for LightGBM and a carriage return ends a line."""
    text = texts["binary"].replace("\nlabel_index", f"{character}\nlabel_index")
    with pytest.raises(ModelFileRefused, match="line 4: a "):
        read_model(text)


def test_text_that_is_no_utf8_is_refused(texts: dict[str, str]) -> None:
    """A lone surrogate can't be handed to LightGBM, in either function."""
    with pytest.raises(ModelFileRefused, match="no UTF-8"):
        read_model(texts["binary"] + "\ud800")
    with pytest.raises(ModelFileRefused, match="no UTF-8"):
        probe(texts["binary"] + "\ud800")


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_BYTES", 2_000, "characters; at most 0 MiB"),
        ("MAX_TREES", 3, "tree_sizes: 4 trees; at most 3"),
        ("MAX_FEATURES", 4, "5 names; at most 4"),
        ("MAX_LEAVES", 6, "num_leaves: 7 at place 0; 1 to 6"),
    ],
)
def test_a_file_past_a_limit_is_refused(
    texts: dict[str, str], monkeypatch: pytest.MonkeyPatch, limit: str, value: int, message: str
) -> None:
    """Each limit is a constant of the module and the message names its value."""
    monkeypatch.setattr(modelfile, limit, value)
    with pytest.raises(ModelFileRefused, match=message):
        read_model(texts["binary"])


def test_the_bytes_count_and_not_the_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text outside ASCII is longer in a file than in memory."""
    monkeypatch.setattr(modelfile, "MAX_BYTES", 10)
    with pytest.raises(ModelFileRefused, match="12 bytes"):
        read_model("ü" * 6)


@pytest.mark.parametrize("text", ["", "tree", "tree\n", "\n", "Tree=0\n", "tree\nTree=0\n"])
def test_next_to_nothing_is_refused(text: str) -> None:
    """No text is too short for a clean refusal."""
    with pytest.raises(FileRefused, match="model file") as caught:
        read_model(text)
    assert caught.value.code == "model-file-refused"


def test_messages_quote_little(texts: dict[str, str]) -> None:
    """A megabyte of junk in the file doesn't make a megabyte of message."""
    with pytest.raises(ModelFileRefused) as caught:
        read_model(texts["binary"].replace("label_index", "x" * 1_000_000))
    assert len(str(caught.value)) < 300


# ------------------------------------------------------------------ nothing that is accepted crashes LightGBM

# Loads the files named on its input one after another, and says so after each: a crash names its file.
LOAD_ALL = """
import sys
sys.modules.update(dict.fromkeys(("pandas", "sklearn", "pyarrow", "dask", "matplotlib", "graphviz")))
import contextlib, lightgbm, numpy
for name in sys.stdin.read().split():
    with open(name, newline="", encoding="utf-8") as file:
        booster = lightgbm.Booster(model_str=file.read())
    rows = numpy.random.default_rng(0).normal(scale=30.0, size=(40, booster.num_feature()))
    rows[0], rows[1], rows[2], rows[3] = 0.0, numpy.nan, 1e15, -1e15
    shape = booster.predict(rows, num_threads=1).shape
    assert shape == ((40,) if booster.num_model_per_iteration() == 1 else (40, booster.num_model_per_iteration()))
    booster.predict(rows, pred_leaf=True, num_threads=1)
    if booster.params.get("linear_tree") is not True:
        booster.predict(rows[:4], pred_contrib=True, num_threads=1)
    booster.feature_importance("gain"), booster.model_to_string()
    with contextlib.suppress(ValueError):  # weights that aren't finite make no JSON
        booster.dump_model()
    print(name, flush=True)
"""


def flip(data: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << dice.randrange(7)]) + data[place + 1 :]


def truncate(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def insert(data: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(data))
    return data[:place] + dice.randbytes(dice.randint(1, 4)) + data[place:]


def cut_out(data: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(data))
    return data[:place] + data[place + dice.randint(1, 30) :]


def lines_swapped(data: bytes, dice: random.Random) -> bytes:
    lines = data.split(b"\n")
    one, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def line_gone(data: bytes, dice: random.Random) -> bytes:
    lines = data.split(b"\n")
    del lines[dice.randrange(len(lines))]
    return b"\n".join(lines)


def line_doubled(data: bytes, dice: random.Random) -> bytes:
    lines = data.split(b"\n")
    place = dice.randrange(len(lines))
    return b"\n".join([*lines[:place], lines[place], *lines[place:]])


def number_changed(data: bytes, dice: random.Random) -> bytes:
    """Put another number in the place of one, anywhere ahead of the parameters."""
    found = dice.choice(list(re.finditer(rb"(?<=[= ])-?\d[\d.e+-]*", data[: data.index(b"\nfeature_importances")])))
    choices = ["0", "1", "-1", "2", "-2", "5", "9", "11", "1e300", "-1e300", "nan", "inf", "2147483648", "1e-320"]
    return data[: found.start()] + dice.choice(choices).encode() + data[found.end() :]


def values_swapped(data: bytes, dice: random.Random) -> bytes:
    """Shuffle the values of one line of a tree."""
    found = dice.choice(list(re.finditer(rb"^(?!tree_)\w+=(\S+(?: \S+)+)$", data, re.MULTILINE)))
    values = found[1].split(b" ")
    dice.shuffle(values)
    return data[: found.start(1)] + b" ".join(values) + data[found.end(1) :]


MUTATIONS = [
    flip, truncate, insert, cut_out, lines_swapped, line_gone, line_doubled,
    number_changed, number_changed, number_changed, values_swapped, values_swapped,
]  # fmt: skip


def mutants(texts: dict[str, str], count: int, seed: int) -> list[str]:
    """Damaged models; two in three have their sizes put right, or nothing else would ever be reached."""
    dice = random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        data = texts[dice.choice(list(texts))].encode()
        damaged = dice.choice(MUTATIONS)(data, dice).decode(errors="surrogateescape")
        damaged = mended(damaged) if dice.random() < 2 / 3 else damaged
        if damaged.encode(errors="surrogateescape") != data:
            found.append(damaged)
    return found


def accepted(damaged: list[str]) -> list[str]:
    """Those that `read_model` takes; every other one has to be refused with the one error of this file."""
    taken = []
    for text in damaged:
        try:
            read_model(text)
        except ModelFileRefused:
            continue
        taken.append(text)
    return taken


def test_what_is_accepted_of_damaged_models_loads_and_predicts(texts: dict[str, str], tmp_path: Path) -> None:
    """No mutation gets past the checks and then crashes LightGBM, hangs it, or fails in it."""
    damaged = mutants(texts, 300, seed=20)
    taken = accepted(damaged)
    assert 20 < len(taken) < 200
    names = [str(tmp_path / f"{place}.txt") for place in range(len(taken))]
    for name, text in zip(names, taken, strict=True):
        Path(name).write_text(text, encoding="utf-8", newline="")
    command = [sys.executable, "-I", "-c", LOAD_ALL]
    done = subprocess.run(command, input="\n".join(names), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [line for line in done.stdout.splitlines() if line in names] == names


@pytest.mark.parametrize("kind", ["binary", "pandas"])
def test_every_truncation_ahead_of_the_last_sections_is_refused(texts: dict[str, str], kind: str) -> None:
    """A file that was cut off anywhere in its header or trees is never taken for a whole one."""
    text = texts[kind]
    end = text.index("\nend of trees") + len("\nend of trees")
    for length in range(0, end + 1, 7):
        with pytest.raises(ModelFileRefused):
            read_model(text[:length])


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_any_text_is_refused_cleanly(text: str) -> None:
    """No text at all gets anything but a model or the one error out of the reader."""
    with pytest.raises(ModelFileRefused):
        read_model(text)
    with pytest.raises(ModelFileRefused):
        read_model(f"tree\n{text}\nTree=0\n{text}\n\nend of trees\n{text}")


# ------------------------------------------------------------------ the child process


@pytest.mark.parametrize("kind", ["multiclass", "linear", "stump", "pandas"])
def test_a_good_model_passes_the_probe(texts: dict[str, str], kind: str) -> None:
    """Loading and answering in the child says nothing where all is well."""
    probe(texts[kind])


def crasher(text: str) -> str:
    """A root that is its own child, without an end."""
    return mended(
        replaced("^left_child=.*", "left_child=0 0 0 0 0 0")(
            replaced("^right_child=.*", "right_child=0 0 0 0 0 0")(text)
        )
    )


def test_a_model_that_hangs_is_refused_within_the_limit(texts: dict[str, str]) -> None:
    """A tree that never comes to a leaf is ended after the time given."""
    start = time.monotonic()
    with pytest.raises(ModelFileRefused, match="took longer than 2 s"):
        probe(crasher(texts["binary"]), seconds=2)
    assert time.monotonic() - start < 8


def test_a_model_that_crashes_is_refused_with_the_signal(texts: dict[str, str]) -> None:
    """A split on a feature far outside the row reads memory that isn't there."""
    text = mended(re.sub(r"^split_feature=\d", "split_feature=1000000000", texts["binary"], flags=re.MULTILINE))
    with pytest.raises(ModelFileRefused, match="crashed with SIG"):
        probe(text)


def test_a_truncated_model_is_refused(texts: dict[str, str]) -> None:
    """Whatever LightGBM does with half a file, it ends within the limit and is refused."""
    text = texts["binary"]
    for share in (0.1, 0.5, 0.7):
        with pytest.raises(ModelFileRefused, match="LightGBM did not load it"):
            probe(text[: int(text.index("end of trees") * share)], seconds=5)


def test_an_error_of_lightgbms_own_is_passed_on_by_its_first_line(texts: dict[str, str]) -> None:
    """Where LightGBM notices something itself, its words are the best explanation."""
    with pytest.raises(ModelFileRefused, match=r"did not load it: .*[Nn]umber of classes") as caught:
        probe(texts["binary"].replace("num_class=1\n", ""))
    assert "\n" not in str(caught.value)


def test_an_answer_that_is_not_finite_is_refused(texts: dict[str, str]) -> None:
    """Leaves that sum to infinity make no probability."""
    text = re.sub(r"leaf_value=.*", "leaf_value=" + " ".join(["1e308"] * 7), texts["multiclass"])
    with pytest.raises(ModelFileRefused, match="not finite"):
        probe(mended(text))


def test_the_memory_is_limited(texts: dict[str, str]) -> None:
    """A file that would make LightGBM take more memory than given is refused, not served."""
    text = replaced("^max_feature_idx=4", "max_feature_idx=2000000000")(texts["binary"])
    names = " ".join(f"n{place}" for place in range(1_500_000))
    text = replaced("^feature_names=.*", f"feature_names={names}")(text)
    with pytest.raises(ModelFileRefused, match="LightGBM did not load it"):
        probe(text, memory=300 * 2**20)


def test_a_child_without_memory_to_start_says_nothing_about_the_file(texts: dict[str, str]) -> None:
    """A limit too low for LightGBM itself is the caller's mistake and no fault of the file."""
    with pytest.raises(ImportError, match="could not import LightGBM"):
        probe(texts["binary"], memory=30 * 2**20)


def test_the_child_imports_nothing_from_the_current_directory(
    texts: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file called lightgbm.py beside the model is never run, nor one on PYTHONPATH."""
    for name in ("lightgbm.py", "numpy.py", "sitecustomize.py"):
        (tmp_path / name).write_text("open('ran', 'w').close()\nraise SystemExit(0)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    probe(texts["binary"])
    assert not (tmp_path / "ran").exists()


def children() -> set[str]:
    """The processes that this one started and that still are there, dead ones included."""
    mine = Path("/proc/self/task").glob("*/children")
    return {child for listed in mine for child in listed.read_text().split()}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks Linux for the children of a process")
def test_nothing_is_left_behind(texts: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a good, a hanging nor a crashing file leaves a process or a file."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = children()
    probe(texts["binary"])
    for text in (crasher(texts["binary"]), texts["binary"][:700]):
        with pytest.raises(ModelFileRefused):
            probe(text, seconds=1.5)
    assert children() == before
    assert list(tmp_path.iterdir()) == []


def test_probes_run_side_by_side(texts: dict[str, str]) -> None:
    """Two threads that probe at once each get their own answer."""
    failed: list[str] = []

    def try_one(kind: str, text: str) -> None:
        try:
            probe(text, seconds=20)
        except ModelFileRefused:
            failed.append(kind)

    jobs = [("good", texts["binary"]), ("bad", texts["binary"][:300])]
    threads = [threading.Thread(target=try_one, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == ["bad"]
