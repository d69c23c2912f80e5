"""A local rule: what a model looks at around one row, and what it would take to be answered otherwise.

Written from Guidotti, Monreale, Ruggieri, Pedreschi, Turini, Giannotti: *Local Rule-Based Explanations
of Black Box Decision Systems*, arXiv 1805.10820, 2018 ("LORE"). A genetic algorithm makes rows near
the given one, half of them answered as it is and half otherwise; a decision tree learns the model's
answers on them; the row's path is the rule, and the paths to other answers of which the row fails
the fewest conditions are the counterfactual rules. Ours differ in the distance (that of a `Change`,
a feature each at most 1) and in the values of a mutation (the commonest of the training table).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ruleedit.local.change import costs
from ruleedit.matching import Indices, Mask, Matrix, box_mask
from ruleedit.models import TableModel
from ruleedit.regions import Box, NumberSet, TextSet, ValueSet, after, box_clauses
from ruleedit.rules import Outcome, Rule
from ruleedit.schema import Feature, Schema
from ruleedit.surrogate.binarise import shortest

#: Rows of each half, generations, and the chances of a crossing and of a value's mutation: the paper's.
POPULATION, GENERATIONS, CROSSING, MUTATION = 500, 10, 0.5, 0.2
#: The tree has so many leaves at most, each of so many rows at least.
MOST_LEAVES, LEAST_ROWS = 24, 10
#: So many counterfactual rules are given at most.
MOST_RULES = 3

Reals = npt.NDArray[np.float64]
Fitness: TypeAlias = Callable[[Matrix], Reals]


@dataclass(frozen=True)
class LocalRule:
    """What a model says around one row.

    ``rule`` holds the row; ``precision`` is the share of the ``rows`` generated rows in it that the
    model answers as it says. ``others`` are rules with another outcome of which the row fails the
    fewest conditions.
    """

    rule: Rule
    rows: int
    precision: float
    others: tuple[Rule, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        others = [str(rule) for rule in self.others]
        return {"text": str(self.rule), "rows": self.rows, "precision": self.precision, "others": others}


def local_rule(model: TableModel, row: Matrix, *, seed: int = 0) -> LocalRule | None:
    """The rule by which a model answers around an encoded row (features,); None where it answers all alike there.

    The same seed and model give the same rule. An ordinary clause is false on a missing value.
    """
    near = _Neighbourhood(model, row, np.random.default_rng(seed)).rows()
    answers = model.outcomes(near)
    if (answers == answers[0]).all():
        return None
    leaves = list(_leaves(near, answers, model.schema, seed))
    mine = next((leaf for leaf in leaves if box_mask(leaf.box(row), row[None, :], model.schema)[0]), None)
    if mine is None or not mine.tests:
        return None
    inside = box_mask(mine.box(row), near, model.schema)
    rule = _rule("local", mine.box(row), mine.answer, model.schema)
    others = sorted((leaf for leaf in leaves if leaf.answer != mine.answer), key=lambda leaf: leaf.failing(row))
    fewest = [leaf for leaf in others if leaf.failing(row) == others[0].failing(row)][:MOST_RULES]
    found = [_rule(f"other {number}", leaf.box(row), leaf.answer, model.schema) for number, leaf in enumerate(fewest)]
    return LocalRule(rule, int(inside.sum()), float((answers[inside] == mine.answer).mean()), tuple(found))


class _Neighbourhood:
    """Rows around one row, by a genetic algorithm (Algorithm 2 of the paper)."""

    def __init__(self, model: TableModel, row: Matrix, draw: np.random.Generator) -> None:
        self.model = model
        self.row = row
        self.draw = draw
        self.now = int(model.outcomes(row[None, :])[0])

    def rows(self) -> Matrix:
        """Both halves, the row itself first."""
        same = self._evolved(lambda rows: self._fit(rows, self.model.outcomes(rows) == self.now))
        other = self._evolved(lambda rows: self._fit(rows, self.model.outcomes(rows) != self.now))
        return np.concatenate([self.row[None, :], same, other])

    def _fit(self, rows: Matrix, wanted: Mask) -> Reals:
        """The paper's fitness: the wanted answer, near the row, and not the row itself."""
        far = self._distance(rows)
        fit: Reals = wanted.astype(float) + (1.0 - far) - (far == 0.0)
        return fit

    def _distance(self, rows: Matrix) -> Reals:
        schema, background = self.model.schema, self.model.background
        far: Reals = np.zeros(len(rows))
        for place in range(rows.shape[1]):
            far += np.minimum(costs(rows[:, place], place, float(self.row[place]), schema, background), 1.0)
        far /= rows.shape[1]
        return far

    def _evolved(self, fitness: Fitness) -> Matrix:
        population = self._mutated(np.repeat(self.row[None, :], POPULATION, axis=0))
        for _ in range(GENERATIONS):
            children = self._mutated(self._crossed(population))
            both = np.concatenate([population, children])
            population = both[np.argsort(-fitness(both), kind="stable")[:POPULATION]]
        return population

    def _crossed(self, rows: Matrix) -> Matrix:
        """Two-point crossings of pairs of rows."""
        partners = rows[self.draw.permutation(len(rows))]
        ends = np.sort(self.draw.integers(0, rows.shape[1] + 1, (len(rows), 2)), axis=1)
        places = np.arange(rows.shape[1])
        swapped = (places >= ends[:, :1]) & (places < ends[:, 1:]) & (self.draw.random((len(rows), 1)) < CROSSING)
        return np.where(swapped, partners, rows)

    def _mutated(self, rows: Matrix) -> Matrix:
        """Values replaced by others of the training table, as often as they are there."""
        found = rows.copy()
        for place, common in enumerate(self.model.background.common):
            changes = self.draw.random(len(rows)) < MUTATION
            if common:
                values, counts = np.array(common).T
                drawn = self.draw.choice(values, int(changes.sum()), p=counts / counts.sum())
                found[changes, place] = drawn
        return found


@dataclass(frozen=True)
class _Test:
    """One condition on a path: a number up to (or above) a threshold, or a category (or not), or missing."""

    feature: Feature
    place: int
    inside: ValueSet

    def holds(self, value: float) -> bool:
        cell = value if self.feature.is_number else _text(self.feature, value)
        return cell in self.inside


@dataclass(frozen=True)
class _Leaf:
    """A path of the tree and the answer at its end."""

    tests: tuple[_Test, ...]
    answer: int

    def box(self, row: Matrix) -> Box:
        """The path as a region; a feature that the row lacks may be missing where the path lets it."""
        sets: dict[str, ValueSet] = {}
        for test in self.tests:
            name = test.feature.name
            sets[name] = _meet(sets[name], test.inside) if name in sets else test.inside
        for test in self.tests:
            values = sets[test.feature.name]
            if values.missing and not _without_missing(values, test.feature).is_empty:
                # "Below 3 or missing" is two rules; the row's own side is the one that is told.
                gone = math.isnan(float(row[test.place]))
                sets[test.feature.name] = _missing(test.feature) if gone else _without_missing(values, test.feature)
        return Box.of(sets)

    def failing(self, row: Matrix) -> int:
        """How many conditions of the path the row fails."""
        return sum(not test.holds(float(row[test.place])) for test in self.tests)


@dataclass(frozen=True)
class _Column:
    """A column for the tree: a feature's numbers, whether it is one category, or whether it is missing."""

    place: int
    code: float | None

    def values(self, rows: Matrix) -> Matrix:
        column = rows[:, self.place]
        return column if self.code is None else (column == self.code).astype(float)


def _columns(rows: Matrix, schema: Schema) -> Iterator[_Column]:
    for place, feature in enumerate(schema.features):
        if feature.is_number:
            yield _Column(place, None)
        else:
            seen = np.unique(rows[:, place][~np.isnan(rows[:, place])])
            yield from (_Column(place, float(code)) for code in seen if code > 0 or feature.kind == "boolean")


def _leaves(rows: Matrix, answers: Indices, schema: Schema, seed: int) -> Iterator[_Leaf]:
    """The paths of a tree that learns the answers."""
    from sklearn.tree import DecisionTreeClassifier

    columns = list(_columns(rows, schema))
    table = np.stack([column.values(rows) for column in columns], axis=1)
    model = DecisionTreeClassifier(max_leaf_nodes=MOST_LEAVES, min_samples_leaf=LEAST_ROWS, random_state=seed)
    tree = model.fit(table, answers).tree_
    stack: list[tuple[int, tuple[_Test, ...]]] = [(0, ())]
    while stack:
        node, tests = stack.pop()
        if tree.children_left[node] < 0:
            yield _Leaf(tests, int(model.classes_[tree.value[node, 0].argmax()]))
            continue
        column = columns[tree.feature[node]]
        feature, threshold = schema.features[column.place], float(tree.threshold[node])
        gone_left = bool(tree.missing_go_to_left[node])
        left, right = _sides(feature, column, threshold, gone_left, rows[:, column.place])
        for child, inside in ((tree.children_left[node], left), (tree.children_right[node], right)):
            stack.append((int(child), (*tests, _Test(feature, column.place, inside))))


def _sides(
    feature: Feature, column: _Column, threshold: float, gone_left: bool, values: Matrix
) -> tuple[ValueSet, ValueSet]:
    """What goes left and right at a split, the threshold rounded without moving a row."""
    if column.code is not None:
        here = TextSet.of([_text(feature, column.code) or ""], False, False, feature)
        return here.complement(), here
    if math.isinf(threshold):
        present = NumberSet.of([(-math.inf, math.inf)], gone_left, feature)
        return present, present.complement()
    present_values = values[~np.isnan(values)]
    low = float(present_values[present_values <= threshold].max(initial=-math.inf))
    high = float(present_values[present_values > threshold].min(initial=math.inf))
    if math.isfinite(low) and math.isfinite(high):
        threshold = shortest(low, high, threshold, feature.kind == "integer")
    left = NumberSet.of([(-math.inf, threshold)], gone_left, feature)
    right = NumberSet.of([(after(threshold, feature.kind == "integer"), math.inf)], not gone_left, feature)
    return left, right


def _text(feature: Feature, code: float) -> str | None:
    """The category of a code, None for missing; one never seen is a text that no category is."""
    if math.isnan(code):
        return None
    return next((text for text, known in feature.code_of.items() if known == code), "")


def _meet(one: ValueSet, other: ValueSet) -> ValueSet:
    if isinstance(one, NumberSet):
        assert isinstance(other, NumberSet)
        return one.intersect(other)
    assert isinstance(other, TextSet)
    return one.intersect(other)


def _without_missing(values: ValueSet, feature: Feature) -> ValueSet:
    if isinstance(values, NumberSet):
        return NumberSet.of(values.intervals, False, feature)
    return TextSet.of(values.members, values.inverted, False, feature)


def _missing(feature: Feature) -> ValueSet:
    return NumberSet.of([], True, feature) if feature.is_number else TextSet.of((), False, True, feature)


def _rule(name: str, box: Box, answer: int, schema: Schema) -> Rule:
    conjunctions: Sequence[Any] = box_clauses(box, schema)
    return Rule(name, conjunctions[0], Outcome.of(schema.classes[answer]))
