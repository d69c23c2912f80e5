"""LightGBM's text model files: checked completely before LightGBM sees them.

LightGBM trusts its own files. A damaged one ends or hangs the process that loads it, and no
Python handler can catch that. So `read_model` checks everything that the loader relies on and
hands back the trees as arrays, `check_classifier` says whether RuleEdit can use the model, and
`probe` loads somebody else's file in a child process with limits before we load it in ours.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ruleedit.errors import ModelFileRefused

#: LightGBM and we hold the text several times over; at this size that is still about 1 GiB.
MAX_BYTES = 256 * 2**20
#: A hundred times what boosting commonly takes; each tree costs about half a millisecond to check.
MAX_TREES = 100_000
#: Past this LightGBM predicts by another code path, which nothing here has been tested against.
MAX_FEATURES = 100_000
#: LightGBM trains at most 131,072 leaves a tree; the rest is room for trees that were put together by hand.
MAX_LEAVES = 1_000_000
#: LightGBM walks trees recursively and sets aside depth x depth / 2 entries a thread for contributions.
MAX_DEPTH = 1_000

Integers: TypeAlias = NDArray[np.int64]
Reals: TypeAlias = NDArray[np.float64]
Missing: TypeAlias = Literal["none", "zero", "nan"]
PandasCategories: TypeAlias = tuple[tuple[Any, ...], ...]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MISSING: tuple[Missing, ...] = ("none", "zero", "nan")
_ONE_SCORE = _words(
    "binary regression regression_l1 huber fair poisson quantile mape gamma tweedie lambdarank rank_xendcg "
    "cross_entropy cross_entropy_lambda"
)
_SCORE_PER_CLASS = _words("multiclass multiclassova")
_ACCEPTED = ("binary", "multiclass")

_HEADER_KEYS = _words(
    "num_class num_tree_per_iteration label_index max_feature_idx objective feature_names monotone_constraints "
    "feature_infos tree_sizes version"
)
_TREE_KEYS = _words(
    "num_leaves num_cat split_feature split_gain threshold decision_type left_child right_child leaf_value "
    "leaf_weight leaf_count internal_value internal_weight internal_count cat_boundaries cat_threshold is_linear "
    "leaf_const num_features leaf_features leaf_coeff shrinkage"
)
_IMPORTANCES = ("feature_importances:", "feature importances:")

# LightGBM turns the parameters into JSON, unchecked: numbers and lists go in as they stand in the file.
_REAL_PARAMETERS = _words(
    "learning_rate histogram_pool_size min_sum_hessian_in_leaf bagging_fraction pos_bagging_fraction "
    "neg_bagging_fraction feature_fraction feature_fraction_bynode early_stopping_min_delta max_delta_step lambda_l1 "
    "lambda_l2 linear_lambda min_gain_to_split drop_rate skip_drop top_rate other_rate cat_l2 cat_smooth "
    "monotone_penalty refit_decay_rate cegb_tradeoff cegb_penalty_split path_smooth pred_early_stop_margin "
    "scale_pos_weight sigmoid alpha fair_c poisson_max_delta_step tweedie_variance_power "
    "lambdarank_position_bias_regularization"
)
_LIST_PARAMETERS = _words(
    "monotone_constraints feature_contri cegb_penalty_feature_lazy cegb_penalty_feature_coupled "
    "interaction_constraints max_bin_by_feature ignore_column categorical_feature label_gain eval_at "
    "auc_mu_weights"
)

_INTEGER = r"-?[0-9]{1,18}"
_REAL = r"-?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]{1,9})?|inf|nan)"
_PARAMETER = re.compile(r"\[([a-z0-9_]+): (.*)\]")
_FEATURE_INFO = re.compile(rf"none|\[{_REAL}:{_REAL}\]|{_INTEGER}(?::{_INTEGER})*")


def _list_of(number: str) -> re.Pattern[bytes]:
    """Only plain spaces part numbers: LightGBM reads on past any other character as zeros."""
    return re.compile(rf" *(?:{number}(?: +{number})* *)?".encode())


_INTEGERS, _REALS = _list_of(_INTEGER), _list_of(_REAL)


@dataclass(frozen=True, eq=False, repr=False)
class Tree:
    """One tree, as arrays that can't be written to.

    A split is a number from 0 (the root); a child is a split or, negative, leaf ``~child``. Arrays
    over splits have ``num_leaves - 1`` entries, arrays over leaves ``num_leaves``. A number goes
    left where it is at most the threshold, a category where `categories` has it. The threshold of
    a categorical split is the place of its bitset. Gains, counts and weights are None in files
    that leave them out. The linear arrays are empty unless ``is_linear``: leaf i then answers
    ``leaf_const[i]`` plus the products of its ``num_features[i]`` entries in ``leaf_features`` and
    ``leaf_coeff``, and ``leaf_value[i]`` where one of those features is missing.
    """

    num_leaves: int
    num_cat: int
    split_feature: Integers
    threshold: Reals
    decision_type: Integers
    left_child: Integers
    right_child: Integers
    leaf_value: Reals
    cat_boundaries: Integers
    cat_threshold: NDArray[np.uint32]
    split_gain: Reals | None
    internal_count: Integers | None
    leaf_count: Integers | None
    shrinkage: float
    is_linear: bool
    leaf_const: Reals
    num_features: Integers
    leaf_features: Integers
    leaf_coeff: Reals

    def __repr__(self) -> str:
        return f"Tree(num_leaves={self.num_leaves}, num_cat={self.num_cat}, is_linear={self.is_linear})"

    def is_categorical(self, split: int) -> bool:
        """Whether ``split`` asks for a category; if not, it compares a number with its threshold."""
        return bool(self.decision_type[split] & 1)

    def default_left(self, split: int) -> bool:
        """Whether a value that counts as missing goes left at a numeric ``split``."""
        return bool(self.decision_type[split] & 2)

    def missing_type(self, split: int) -> Missing:
        """What counts as missing at a numeric ``split``.

        ``nan``: NaN does. ``zero``: NaN and zero do. ``none``: nothing does, and NaN is read as 0.
        A categorical split sends NaN right whatever this says.
        """
        return _MISSING[int(self.decision_type[split]) >> 2]

    def categories(self, split: int) -> frozenset[int]:
        """The category codes that a categorical ``split`` sends left; all others, NaN too, go right.

        Raises
        ------
        ValueError
            The split is numeric.
        """
        if not self.is_categorical(split):
            raise ValueError(f"split {split} is numeric; only a categorical split has categories")
        place = int(self.threshold[split])
        words = self.cat_threshold[self.cat_boundaries[place] : self.cat_boundaries[place + 1]]
        bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
        return frozenset(np.flatnonzero(bits).tolist())


@dataclass(frozen=True)
class ModelFile:
    """A model file that passed every check; two are equal where their texts are.

    ``objective`` is as in the file ("binary sigmoid:1", "multiclass num_class:3"), empty for one of
    the user's own. ``average_output`` marks a random forest: its answers come from the mean over
    its iterations, though LightGBM's raw score is the sum. ``pandas_categorical`` holds the
    categories of each categorical pandas column, in the order of the codes; None where the file
    has none.
    """

    text: str = field(repr=False)
    num_class: int = field(compare=False)
    trees_per_iteration: int = field(compare=False)
    objective: str = field(compare=False)
    feature_names: tuple[str, ...] = field(compare=False)
    feature_infos: tuple[str, ...] = field(compare=False, repr=False)
    trees: tuple[Tree, ...] = field(compare=False, repr=False)
    average_output: bool = field(compare=False)
    parameters: dict[str, str] = field(compare=False, repr=False)
    pandas_categorical: PandasCategories | None = field(compare=False, repr=False)

    @cached_property
    def hash(self) -> str:
        """The SHA-256 of the text in UTF-8, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def is_linear(self) -> bool:
        """Whether any tree has linear models in its leaves."""
        return any(tree.is_linear for tree in self.trees)


def read_model(text: str) -> ModelFile:
    """Check the structure of a LightGBM text model completely and return it with its trees.

    Everything that LightGBM's loader takes on trust is checked: sizes, lengths, ranges, and that
    the children of every tree make up one tree. Nothing is repaired. The objective need not be one
    that RuleEdit can use; that is `check_classifier`.

    Raises
    ------
    ModelFileRefused
        With what is wrong, in which tree and under which key, and what would be accepted.
    """
    data = _utf8(text)
    start = data.find(b"\nTree=") + 1
    if start == 0:
        raise _refused("no tree", "a whole model with at least one iteration is accepted")
    header, average_output = _read_header(data[:start])
    names = _feature_names(header)
    num_class = header.integer("num_class", 1, MAX_TREES)
    _check_header(header, names, num_class)
    blocks, tail = _blocks(data, start, header, num_class)
    trees = tuple(_read_tree(block, number, len(names)) for number, block in enumerate(blocks))
    parameters, pandas_categorical = _read_tail(tail, frozenset(names))
    if parameters.get("linear_tree") == "0" and any(tree.is_linear for tree in trees):
        raise _refused("linear trees under linear_tree: 0", "linear_tree: 1 is accepted with them", "parameters")
    return ModelFile(
        text=text,
        num_class=num_class,
        trees_per_iteration=num_class,
        objective=header.text("objective") if header.has("objective") else "",
        feature_names=names,
        feature_infos=tuple(header.text("feature_infos").split(" ")),
        trees=trees,
        average_output=average_output,
        parameters=parameters,
        pandas_categorical=pandas_categorical,
    )


def check_classifier(model: ModelFile) -> None:
    """Refuse a model whose scores are not those of one classifier.

    Raises
    ------
    ModelFileRefused
        The objective is another than binary or multiclass (softmax): regression, ranking,
        cross-entropy, one against all, or the user's own.
    """
    name = model.objective.split(" ")[0]
    if name not in _ACCEPTED:
        shown = f"the objective {name}" if name else "no objective (one of the user's own)"
        raise _refused(shown, "accepted are " + " and ".join(_ACCEPTED) + " (softmax)", "header, objective")


# ------------------------------------------------------------------ what every part uses


def _refused(what: str, accepted: str, where: str = "") -> ModelFileRefused:
    """Build the one kind of error of this file."""
    return ModelFileRefused(f"model file{', ' if where else ''}{where}: {what}; {accepted}")


def _shown(value: bytes) -> str:
    """Foreign text for a message: quoted and short."""
    text = value.decode(errors="replace")
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _refused(f"no UTF-8 text: {error.reason} at character {error.start}", "UTF-8 is accepted") from None


def _utf8(text: str) -> bytes:
    """The bytes that LightGBM will count in, without what it would stumble over."""
    limit = f"at most {MAX_BYTES // 2**20} MiB are accepted"
    if len(text) > MAX_BYTES:
        raise _refused(f"{len(text)} characters", limit)
    data = _encoded(text)
    if len(data) > MAX_BYTES:
        raise _refused(f"{len(data)} bytes", limit)
    for character, name in ((b"\0", "NUL character"), (b"\r", "carriage return")):
        if character in data:
            line = data.count(b"\n", 0, data.index(character)) + 1
            raise _refused(f"a {name}", "plain lines are accepted, as LightGBM writes them", f"line {line}")
    return data


class _Keys:
    """The ``key=value`` lines of the header or of one tree, with the checks that they share."""

    def __init__(self, where: str, lines: Iterable[bytes], known: frozenset[str]) -> None:
        self.where = where
        self.values: dict[str, bytes] = {}
        for line in lines:
            name, equals, value = line.partition(b"=")
            key = name.decode()
            if not equals or key not in known:
                raise _refused(f"the line {_shown(line)}", "only LightGBM's own keys are accepted", where)
            if key in self.values:
                raise self.refused(key, "given twice", "each key is accepted once")
            self.values[key] = value

    def refused(self, key: str, what: str, accepted: str) -> ModelFileRefused:
        return _refused(what, accepted, f"{self.where}, {key}")

    def has(self, key: str) -> bool:
        return key in self.values

    def raw(self, key: str) -> bytes:
        if key not in self.values:
            raise self.refused(key, "not there", f"a line {key}=... is needed")
        return self.values[key]

    def text(self, key: str) -> str:
        return self.raw(key).decode()

    def integer(self, key: str, low: int, high: int) -> int:
        return int(self.integers(key, 1, low, high)[0])

    def integers(self, key: str, count: int | None, low: int, high: int) -> Integers:
        """The whole numbers under ``key``, ``count`` of them, each from ``low`` to ``high``."""
        array = self._numbers(key, count, _INTEGERS, np.dtype(np.int64))
        if array.size and (array.min() < low or array.max() > high):
            at = int(np.flatnonzero((array < low) | (array > high))[0])
            raise self.refused(key, f"{array[at]} at place {at}", f"{low} to {high} is accepted")
        return array

    def reals(self, key: str, count: int, *, finite: bool = False) -> Reals:
        """The doubles under ``key``, ``count`` of them."""
        array = self._numbers(key, count, _REALS, np.dtype(np.float64))
        if finite and not np.isfinite(array).all():
            at = int(np.flatnonzero(~np.isfinite(array))[0])
            raise self.refused(key, f"{array[at]} at place {at}", "finite numbers are accepted")
        return array

    def _numbers(self, key: str, count: int | None, pattern: re.Pattern[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
        value = self.raw(key)
        if not pattern.fullmatch(value):
            bad = next((word for word in value.split(b" ") if not pattern.fullmatch(word)), value)
            kind = "whole numbers" if pattern is _INTEGERS else "numbers"
            raise self.refused(key, f"{_shown(bad)}", f"{kind} parted by spaces are accepted")
        # numpy makes a zero of spaces alone.
        array = np.fromstring(value if value.strip(b" ") else b"", dtype=dtype, sep=" ")
        if count is not None and array.size != count:
            raise self.refused(key, f"{array.size} value{'s' * (array.size != 1)}", f"{count} needed")
        array.setflags(write=False)
        return array


# ------------------------------------------------------------------ the header


def _read_header(head: bytes) -> tuple[_Keys, bool]:
    first, *lines = head.split(b"\n")
    if first != b"tree":
        raise _refused(f"the first line is {_shown(first)}", "a file that starts with the line tree is accepted")
    flags = [line for line in lines if line == b"average_output"]
    if len(flags) > 1:
        raise _refused("given twice", "each key is accepted once", "header, average_output")
    header = _Keys("header", (line for line in lines if line and line not in flags), _HEADER_KEYS)
    return header, bool(flags)


def _feature_names(header: _Keys) -> tuple[str, ...]:
    line = header.text("feature_names")
    names = tuple(line.split(" "))
    if len(names) > MAX_FEATURES:
        raise header.refused("feature_names", f"{len(names)} names", f"at most {MAX_FEATURES} are accepted")
    if "" in names:
        raise header.refused("feature_names", "an empty name", "names parted by single spaces are accepted")
    if len(set(names)) < len(names):
        twice = _shown(Counter(names).most_common(1)[0][0].encode())
        raise header.refused("feature_names", f"{twice} given twice", "names that differ are accepted")
    # LightGBM cuts the line at every "=" and puts it together again only when three pieces or more come out.
    if "=" in line and len([piece for piece in line.split("=") if piece]) < 2:
        raise header.refused("feature_names", "LightGBM would lose a '='", "a '=' inside a name is accepted")
    return names


def _check_header(header: _Keys, names: tuple[str, ...], num_class: int) -> None:
    if header.text("version") not in ("v3", "v4"):
        raise header.refused("version", _shown(header.raw("version")), "v3 and v4 are accepted")
    if header.integer("num_tree_per_iteration", 1, MAX_TREES) != num_class:
        shown = _shown(header.raw("num_tree_per_iteration"))
        raise header.refused("num_tree_per_iteration", shown, f"num_class is {num_class}, so {num_class} is accepted")
    header.integer("label_index", -1, MAX_FEATURES)
    if header.integer("max_feature_idx", 0, MAX_FEATURES - 1) != len(names) - 1:
        shown = _shown(header.raw("max_feature_idx"))
        raise header.refused("max_feature_idx", f"{shown} with {len(names)} feature names", f"{len(names) - 1} needed")
    infos = header.text("feature_infos").split(" ")
    if len(infos) != len(names):
        raise header.refused("feature_infos", f"{len(infos)} entries", f"{len(names)} needed, one for each feature")
    for info in infos:
        if not _FEATURE_INFO.fullmatch(info):
            raise header.refused("feature_infos", _shown(info.encode()), "none, [low:high] or codes are accepted")
    if header.has("monotone_constraints"):
        header.integers("monotone_constraints", len(names), -1, 1)
    if header.has("objective"):
        _check_objective(header, num_class)


def _check_objective(header: _Keys, num_class: int) -> None:
    """Hold the objective against ``num_class``: LightGBM writes as many scores as the objective says."""
    name, *options = header.text("objective").split(" ")
    settings = dict(option.split(":", 1) for option in options if ":" in option)
    if name not in _ONE_SCORE | _SCORE_PER_CLASS | {"custom"}:
        raise header.refused("objective", _shown(name.encode()), "LightGBM's own names are accepted")
    if len(settings) < len([option for option in options if ":" in option]):
        raise header.refused("objective", "a setting given twice", "each setting is accepted once")
    if name in _SCORE_PER_CLASS and (settings.get("num_class") != str(num_class) or num_class < 2):
        accepted = f"num_class:{num_class}" if num_class > 1 else "at least 2 classes"
        raise header.refused("objective", f"{_shown(header.raw('objective'))} with num_class={num_class}", accepted)
    if name in _ONE_SCORE and num_class != 1:
        raise header.refused("objective", f"{name} with num_class={num_class}", "num_class=1 is accepted with it")
    if name in ("binary", "multiclassova") and not _positive(settings.get("sigmoid", "")):
        shown = _shown(header.raw("objective"))
        raise header.refused("objective", shown, "a setting sigmoid: with a finite number above 0 is needed")


def _positive(number: str) -> bool:
    return bool(re.fullmatch(_REAL, number)) and 0.0 < float(number) < math.inf


# ------------------------------------------------------------------ the trees


def _blocks(data: bytes, start: int, header: _Keys, num_class: int) -> tuple[list[bytes], bytes]:
    """Cut the trees apart by ``tree_sizes``, as LightGBM does, and return them and what follows.

    LightGBM jumps to each tree by these sizes without a look at what is there.
    """
    sizes = header.integers("tree_sizes", None, 1, len(data))
    if sizes.size > MAX_TREES:
        raise header.refused("tree_sizes", f"{sizes.size} trees", f"at most {MAX_TREES} are accepted")
    if sizes.size == 0 or sizes.size % num_class:
        accepted = f"a multiple of num_tree_per_iteration={num_class} is accepted"
        raise header.refused("tree_sizes", f"{sizes.size} trees", accepted)
    blocks = []
    for number, size in enumerate(sizes.tolist()):
        block = data[start : start + size]
        start += size
        follows = b"Tree=%d\n" % (number + 1) if number + 1 < sizes.size else b"end of trees\n"
        whole = block.startswith(b"Tree=%d\n" % number) and block.endswith(b"\n\n")
        if not whole or not data.startswith(follows, start):
            accepted = f"the bytes from Tree={number} up to {_shown(follows)} are needed; is the file whole?"
            raise header.refused("tree_sizes", f"{size} is not the size of tree {number}", accepted)
        blocks.append(block)
    return blocks, data[start + len(b"end of trees\n") :]


def _read_tree(block: bytes, number: int, features: int) -> Tree:
    where = f"tree {number}"
    lines = block.rstrip(b"\n").split(b"\n")
    # LightGBM stops reading a tree at its first empty line; what stands behind one would be lost.
    keys = _Keys(where, lines[1:], _TREE_KEYS)
    leaves = keys.integer("num_leaves", 1, MAX_LEAVES)
    splits = leaves - 1
    num_cat = keys.integer("num_cat", 0, splits)
    is_linear = bool(keys.integer("is_linear", 0, 1)) if keys.has("is_linear") else False
    boundaries, bitsets = _bitsets(keys, num_cat)
    const, counts, linear_features, coefficients = _linear(keys, leaves, features, is_linear)
    _check_unused(keys, leaves, is_linear)
    tree = Tree(
        num_leaves=leaves,
        num_cat=num_cat,
        split_feature=_of_splits(keys, "split_feature", splits, 0, features - 1),
        threshold=keys.reals("threshold", splits) if splits or keys.has("threshold") else _NO_REALS,
        decision_type=_of_splits(keys, "decision_type", splits, 0, 11),
        left_child=_of_splits(keys, "left_child", splits, -leaves, splits - 1),
        right_child=_of_splits(keys, "right_child", splits, -leaves, splits - 1),
        leaf_value=keys.reals("leaf_value", leaves, finite=True),
        cat_boundaries=boundaries,
        cat_threshold=bitsets,
        split_gain=keys.reals("split_gain", splits) if keys.has("split_gain") else None,
        internal_count=keys.integers("internal_count", splits, 0, 2**31 - 1) if keys.has("internal_count") else None,
        leaf_count=_leaf_count(keys, leaves, is_linear),
        shrinkage=float(keys.reals("shrinkage", 1, finite=True)[0]) if keys.has("shrinkage") else 1.0,
        is_linear=is_linear,
        leaf_const=const,
        num_features=counts,
        leaf_features=linear_features,
        leaf_coeff=coefficients,
    )
    _check_thresholds(keys, tree)
    _check_shape(where, tree)
    return tree


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array


_NO_INTEGERS: Integers = _frozen(np.empty(0, dtype=np.int64))
_NO_REALS: Reals = _frozen(np.empty(0, dtype=np.float64))
_NO_WORDS: NDArray[np.uint32] = _frozen(np.empty(0, dtype=np.uint32))


def _of_splits(keys: _Keys, key: str, splits: int, low: int, high: int) -> Integers:
    """A needed array over the splits; a tree of one leaf may leave it out."""
    return keys.integers(key, splits, low, high) if splits or keys.has(key) else _NO_INTEGERS


def _leaf_count(keys: _Keys, leaves: int, is_linear: bool) -> Integers | None:
    if not keys.has("leaf_count") or _blank_stump(keys, "leaf_count", leaves, is_linear):
        return None
    return keys.integers("leaf_count", leaves, 0, 2**31 - 1)


def _blank_stump(keys: _Keys, key: str, leaves: int, is_linear: bool) -> bool:
    """Whether ``key`` is empty in a tree of one leaf, where LightGBM writes nothing and reads nothing."""
    return leaves == 1 and not is_linear and not keys.raw(key)


def _check_unused(keys: _Keys, leaves: int, is_linear: bool) -> None:
    """Check what LightGBM reads and we don't keep."""
    for key, count in (("leaf_weight", leaves), ("internal_value", leaves - 1), ("internal_weight", leaves - 1)):
        if keys.has(key) and not _blank_stump(keys, key, leaves, is_linear):
            keys.reals(key, count)


def _bitsets(keys: _Keys, num_cat: int) -> tuple[Integers, NDArray[np.uint32]]:
    """The bounds of the categorical splits' bitsets, and their words."""
    if num_cat == 0:
        for key in ("cat_boundaries", "cat_threshold"):
            if keys.has(key):
                raise keys.refused(key, "given with num_cat=0", "it is accepted with categorical splits")
        return _NO_INTEGERS, _NO_WORDS
    boundaries = keys.integers("cat_boundaries", num_cat + 1, 0, 2**31 - 1)
    if boundaries[0] != 0 or (np.diff(boundaries) <= 0).any():
        raise keys.refused("cat_boundaries", "not increasing from 0", "increasing numbers from 0 on are accepted")
    words = keys.integers("cat_threshold", int(boundaries[-1]), 0, 2**32 - 1)
    return boundaries, _frozen(words.astype(np.uint32))


def _linear(keys: _Keys, leaves: int, features: int, is_linear: bool) -> tuple[Reals, Integers, Integers, Reals]:
    """The models in the leaves of a linear tree."""
    if not is_linear:
        for key in ("leaf_const", "num_features", "leaf_features", "leaf_coeff"):
            if keys.has(key):
                raise keys.refused(key, "given without is_linear=1", "it is accepted with is_linear=1")
        return _NO_REALS, _NO_INTEGERS, _NO_INTEGERS, _NO_REALS
    const = keys.reals("leaf_const", leaves, finite=True)
    counts = keys.integers("num_features", leaves, 0, features)
    used = keys.integers("leaf_features", int(counts.sum()), 0, features - 1)
    coefficients = keys.reals("leaf_coeff", int(counts.sum()), finite=True)
    # LightGBM reads these two with a function that refuses numbers below the smallest normal double.
    for key, array in (("leaf_const", const), ("leaf_coeff", coefficients)):
        if ((array != 0) & (np.abs(array) < np.finfo(np.float64).tiny)).any():
            raise keys.refused(key, "a denormal number", "0 and numbers from 2.3e-308 on are accepted")
    return const, counts, used, coefficients


def _check_thresholds(keys: _Keys, tree: Tree) -> None:
    categorical = (tree.decision_type & 1) == 1
    places = tree.threshold[categorical]
    if not ((places >= 0) & (places < tree.num_cat) & (places == np.floor(places))).all():
        accepted = f"a whole number below num_cat={tree.num_cat} is accepted"
        raise keys.refused("threshold", "a categorical split without a bitset", accepted)
    if np.isnan(tree.threshold).any():
        raise keys.refused("threshold", "NaN", "finite and infinite numbers are accepted")
    if tree.split_gain is not None and np.isnan(tree.split_gain).any():
        raise keys.refused("split_gain", "NaN", "finite and infinite numbers are accepted")


def _check_shape(where: str, tree: Tree) -> None:
    """Check that the children make up one tree: each split and leaf reached once, none too deep."""
    splits = tree.num_leaves - 1
    children = np.concatenate([tree.left_child, tree.right_child])
    inner, leaves = children[children >= 0], ~children[children < 0]
    accepted = "children are accepted that reach each split and each leaf once from the root"
    # With one parent each and none for the root, a walk from the root can't meet a split again.
    if splits and not (_each_once(inner, 1, splits) and _each_once(leaves, 0, tree.num_leaves)):
        raise _refused("a split or leaf has no parent or two", accepted, f"{where}, left_child and right_child")
    reached, level, depth = 0, np.zeros(min(splits, 1), dtype=np.int64), 0
    while level.size:
        reached, depth = reached + level.size, depth + 1
        if depth > MAX_DEPTH:
            raise _refused(f"deeper than {MAX_DEPTH}", f"at most {MAX_DEPTH} splits on a path are accepted", where)
        below = np.concatenate([tree.left_child[level], tree.right_child[level]])
        level = below[below >= 0]
    if reached < splits:
        raise _refused("a cycle of splits", accepted, f"{where}, left_child and right_child")


def _each_once(numbers: Integers, low: int, high: int) -> bool:
    """Whether ``numbers`` are those from ``low`` to below ``high``, each once, in any order."""
    return bool(numbers.size == high - low and (np.bincount(numbers, minlength=high)[low:high] == 1).all())


# ------------------------------------------------------------------ what follows the trees


def _read_tail(tail: bytes, names: frozenset[str]) -> tuple[dict[str, str], PandasCategories | None]:
    """Read the sections behind the trees, each of which may be absent."""
    lines = iter(tail.decode().split("\n"))
    parameters: dict[str, str] = {}
    seen: set[str] = set()
    for line in lines:
        section = line.partition(":")[0]
        if section in seen:
            raise _refused("given twice", "each section is accepted once", section)
        if line:
            seen.add(section)
        if line in _IMPORTANCES:
            _read_importances(lines, names)
        elif line == "parameters:":
            parameters = _read_parameters(lines)
        elif section == "pandas_categorical":
            return parameters, _pandas_categorical(line.removeprefix("pandas_categorical:"), list(lines))
        elif line:
            accepted = "feature_importances:, parameters: and pandas_categorical: are accepted"
            raise _refused(f"the line {_shown(line.encode())}", accepted, "behind the trees")
    return parameters, None


def _read_importances(lines: Iterator[str], names: frozenset[str]) -> None:
    for line in lines:
        if not line:
            return
        name, _, count = line.rpartition("=")
        if name not in names or not re.fullmatch("[0-9]+", count):
            accepted = "lines with a feature's name, = and a whole number are accepted"
            raise _refused(f"the line {_shown(line.encode())}", accepted, "feature_importances")


def _read_parameters(lines: Iterator[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for line in lines:
        if line == "end of parameters":
            return parameters
        match = _PARAMETER.fullmatch(line)
        if not line:
            continue
        if match is None:
            raise _refused(f"the line {_shown(line.encode())}", "lines [name: value] are accepted", "parameters")
        name, value = match.groups()
        if name in parameters:
            raise _refused("given twice", "each parameter is accepted once", f"parameters, {name}")
        if not _json_safe(name, value):
            accepted = "a value that LightGBM can read back is accepted"
            raise _refused(_shown(value.encode()), accepted, f"parameters, {name}")
        parameters[name] = value
    raise _refused("no end", "the line end of parameters is needed; is the file whole?", "parameters")


def _json_safe(name: str, value: str) -> bool:
    """Whether the JSON that LightGBM makes of a parameter reads as JSON; if not, loading the model fails."""
    if not value:
        return True
    # LightGBM takes what stands before the first colon, and always drops the last byte of that for the bracket.
    taken = (value.encode() + b"]").split(b":")[0][:-1]
    if name in _REAL_PARAMETERS:
        return bool(re.fullmatch(_REAL.encode(), taken)) and math.isfinite(float(taken))
    try:
        json.loads(b"[%s]" % taken if name in _LIST_PARAMETERS else b'"%s"' % taken)
    except (ValueError, RecursionError):
        return False
    return True


def _pandas_categorical(value: str, rest: list[str]) -> PandasCategories | None:
    """Read the categories of the pandas columns: always the last line, as LightGBM looks there alone."""
    where = "pandas_categorical"
    if rest not in ([], [""]):
        raise _refused("text behind it", "it is accepted as the last line", where)
    try:
        columns = json.loads(value)
    except (ValueError, RecursionError):
        raise _refused("no JSON", "null or a list of lists is accepted; is the file whole?", where) from None
    if columns is None:
        return None
    if not isinstance(columns, list) or not all(isinstance(column, list) for column in columns):
        raise _refused("another JSON value", "null or a list of lists is accepted", where)
    if not all(isinstance(category, str | int | float) for column in columns for category in column):
        raise _refused("a category that is no single value", "texts, numbers and booleans are accepted", where)
    return tuple(tuple(column) for column in columns)


# ------------------------------------------------------------------ loading in a child process

# The child is given as text because it runs isolated (-I): it must not import from the current directory, and
# ruleedit itself may be importable only from there. LightGBM takes pandas and the others along when it finds
# them; without them it starts in a quarter of the time. Its log goes nowhere: a bad file can make it endless.
_CHILD = """
import os, resource, sys
report, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
os.dup2(nowhere, 1), os.dup2(nowhere, 2)
for kind, most in ((resource.RLIMIT_CPU, sys.argv[1]), (resource.RLIMIT_AS, sys.argv[2]), (resource.RLIMIT_CORE, 0)):
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (int(most) if hard == resource.RLIM_INFINITY else min(int(most), hard), hard))
code = 3
try:
    sys.modules.update(dict.fromkeys(("pandas", "sklearn", "pyarrow", "dask", "matplotlib", "graphviz")))
    import numpy, lightgbm
    code = 2
    booster = lightgbm.Booster(model_str=sys.stdin.buffer.read().decode())
    if booster.num_trees() == 0:
        raise ValueError("a model without a tree")
    rows = numpy.zeros((6, booster.num_feature()))
    rows[1], rows[2], rows[3] = numpy.nan, 1e15, -1e15
    rows[4:] = numpy.random.default_rng(0).normal(scale=10.0, size=rows[4:].shape)
    answer = booster.predict(rows, num_threads=1)
    scores = booster.num_model_per_iteration()
    if answer.shape != ((6,) if scores == 1 else (6, scores)):
        raise ValueError(f"an answer of shape {answer.shape} to 6 rows")
    if not numpy.isfinite(answer).all():
        raise ValueError("an answer that is not finite")
    code = 0
except BaseException as error:
    said = str(error).strip() or type(error).__name__
    os.write(report, said.split("\\n")[0][:500].encode(errors="replace"))
os._exit(code)
"""


def probe(text: str, *, seconds: float = 60.0, memory: int = 4 * 2**30) -> None:
    """Load ``text`` with LightGBM in a child process and let it answer six rows.

    The rows are all zero, all missing, very large, very small and twice random. The child gets
    the text through a pipe, writes no file, and is gone when this returns.

    Parameters
    ----------
    text
        The model file. It need not have passed `read_model`.
    seconds
        The most wall-clock time and, rounded up, processor time; starting Python and LightGBM,
        about a second, counts.
    memory
        The most address space of the child, in bytes.

    Raises
    ------
    ModelFileRefused
        The child crashed, took too long, or LightGBM refused, or the answer was not finite or of
        the wrong shape.
    ImportError
        The child could not import LightGBM, which says nothing about the file.
    """
    command = [sys.executable, "-I", "-c", _CHILD, str(max(1, math.ceil(seconds))), str(memory)]
    # One thread: each further one takes address space and processor time from the limits.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    data = _encoded(text)
    try:
        done = subprocess.run(
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            env=os.environ | threads,
            check=False,
        )
    except subprocess.TimeoutExpired:
        ended, said = -signal.SIGXCPU, ""
    else:
        ended, said = done.returncode, done.stdout.decode(errors="replace")
    if ended == 3:
        raise ImportError(f"the process that tries model files could not import LightGBM: {said}; has it the memory?")
    if ended:
        accepted = "a file that LightGBM loads and answers with is accepted"
        raise _refused(f"LightGBM did not load it: {_why(ended, said, seconds)}", accepted)


def _why(ended: int, said: str, seconds: float) -> str:
    """Say how the child came to its end."""
    if ended == -signal.SIGXCPU:
        return f"it took longer than {seconds:g} s"
    if ended < 0:
        return f"it crashed with {signal.Signals(-ended).name}"
    return said or f"it ended with code {ended}"
