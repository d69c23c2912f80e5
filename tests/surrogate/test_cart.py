"""The tree on bins: scikit-learn's where no two splits are as good, and a choice of its own where some are."""

from __future__ import annotations

import numpy as np
import pytest

from ruleedit.matching import Indices
from ruleedit.schema import Feature, Schema
from ruleedit.surrogate.binarise import bin_features
from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.leaves import Tree, _ways, grow
from ruleedit.surrogate.task import Splits

NUMBERS = Schema(tuple(Feature(f"x{place}", "integer") for place in range(5)), "y", ("no", "yes"))


def numbers(seed: int, rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers, and answers that depend on two of them but for some noise."""
    draw = np.random.default_rng(seed)
    table = draw.integers(0, 30, size=(rows, 5)).astype(float)
    noisy = draw.uniform(size=rows) < 0.1
    return table, ((table[:, 0] > 12) ^ (table[:, 1] > 20) ^ noisy).astype(np.intp)


def grown(
    table: np.ndarray, answers: np.ndarray, leaves: int, schema: Schema, splits: Splits = ()
) -> tuple[Tree, Binned]:
    data = Binned.of(bin_features(table, answers, schema, splits), table, answers)
    return grow(data, list(_ways(data, with_ranks=True)), leaves), data


def leaf_of(tree: Tree, data: Binned) -> Indices:
    """The leaf of each row."""
    at = np.zeros(len(data), dtype=np.intp)
    for node, child in enumerate(tree.left):
        if child >= 0:
            here = np.flatnonzero(at == node)
            goes_left = tree.insides[node][data.columns[tree.places[node]][here]]
            at[here] = np.where(goes_left, child, tree.right[node])
    return at


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("leaves", [2, 5])
def test_it_is_the_tree_of_scikit_learn(seed: int, leaves: int) -> None:
    """The same rows are together in a leaf, with the same class."""
    from sklearn.tree import DecisionTreeClassifier

    table, answers = numbers(seed)
    tree, data = grown(table, answers, leaves, NUMBERS)
    other = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=2, random_state=0).fit(table, answers)
    mine, theirs = leaf_of(tree, data), other.apply(table)
    assert len(set(mine.tolist())) == len(set(zip(mine.tolist(), theirs.tolist(), strict=True))) == leaves
    assert [tree.tops[leaf] for leaf in mine] == other.predict(table).tolist()


@pytest.mark.parametrize("leaves", [3, 4, 7, 11])
def test_a_small_tree_is_the_beginning_of_a_large_one(leaves: int) -> None:
    """Grown best split first, a tree of few leaves is what one of many was at that size: one is grown for all."""
    table, answers = numbers(leaves)
    large, data = grown(table, answers, 12, NUMBERS)
    small, _ = grown(table, answers, leaves, NUMBERS)
    assert leaf_of(large.first(leaves), data).tolist() == leaf_of(small, data).tolist()


def test_alike_rows_count_as_many_as_they_are() -> None:
    """A tree on merged rows holds the rows together that one on all of them does."""
    table, answers = numbers(1)
    table[:, 2:] = 0.0
    table //= 3.0
    tree, data = grown(table, answers, 6, NUMBERS)
    merged = data.merged()
    assert len(merged) < len(data)
    other = grow(merged, list(_ways(merged, with_ranks=True)), 6)
    assert leaf_of(tree, data).tolist() == leaf_of(other, data).tolist()


def test_of_equal_splits_it_takes_the_one_of_which_the_model_makes_more() -> None:
    """Two features say the same; the model's gain tells which is asked."""
    table, answers = numbers(2)
    table[:, 4] = table[:, 0]
    answers = (table[:, 0] > 12).astype(np.intp)
    for chosen in (0, 4):
        splits = [{12.5: 2.0 if place == chosen else 1.0} for place in range(5)]
        tree, data = grown(table, answers, 2, NUMBERS, splits)
        assert data.bins[tree.places[0]].feature.name == f"x{chosen}"


def test_a_split_tells_one_category_a_set_of_them_and_missing_from_the_rest() -> None:
    """Whatever one split can say is found: the first and only one leaves no row wrong."""
    jobs = ("a", "b", "c", "d", "e")
    schema = Schema((Feature("job", "categorical", categories=jobs), Feature("age", "numeric")), "y", ("no", "yes"))
    draw = np.random.default_rng(0)
    table = np.column_stack([draw.integers(1, 6, 300).astype(float), draw.normal(size=300).round(1)])
    table[draw.uniform(size=300) < 0.2, 1] = np.nan
    for truth in (table[:, 0] == 3.0, np.isin(table[:, 0], [2.0, 5.0]), np.isnan(table[:, 1]), table[:, 1] > 0.5):
        answers = truth.astype(np.intp)
        tree, data = grown(table, answers, 2, schema)
        assert np.array(tree.tops)[leaf_of(tree, data)].tolist() == answers.tolist()


def test_a_leaf_has_rows_enough_and_a_pure_one_is_not_split() -> None:
    """Two rows at least, and no more leaves than there is something to tell."""
    table, answers = numbers(3, rows=60)
    tree, data = grown(table, answers, 40, NUMBERS)
    assert np.unique(leaf_of(tree, data), return_counts=True)[1].min() >= 2
    easy, _ = grown(table, (table[:, 0] > 12).astype(np.intp), 40, NUMBERS)
    assert len(easy.tops) == 3
