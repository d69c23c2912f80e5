"""The least change of a row after which a LightGBM model answers another class.

A greedy search gives a first change; then boxes of options are searched best first (Land, Doig: *An
Automatic Method of Solving Discrete Programming Problems*, Econometrica 28, 1960): a box is as far as
its nearest point, and left out where the trees can't reach another class in it. So the first nearest
point that the model itself answers otherwise is the least change. Every answer is the model's own.
"""

from __future__ import annotations

import heapq
import itertools

import numpy as np

from ruleedit.local.change import Change, changed_values
from ruleedit.local.trees import Surroundings
from ruleedit.matching import Indices, Mask, Matrix
from ruleedit.models import TableModel, outcome_codes

#: The search looks at so many leaves at most, a few seconds' worth; past that the change is the least that was found.
MOST_LEAVES = 50_000_000
#: Sums of leaves in another order differ by less: a box is left out only if it fails by more.
SLACK = 1e-9


def least_flip(model: TableModel, row: Matrix, *, most_leaves: int = MOST_LEAVES) -> Change | None:
    """The least change of an encoded row (features,) after which the model answers another class.

    Values that the row has aren't taken away, numbers stay in the schema's ranges, and a category
    is one that the schema knows. None where nothing within the limit changes the answer; whether a
    change is proved to be the least is in `Change.least`. Models with linear trees are searched
    greedily only, so theirs never is.
    """
    around = Surroundings(model, row)
    now = int(model.outcomes(row[None, :])[0])
    best = _greedy(around, now)
    if model.file.is_linear:
        return _change(around, best, False) if best is not None else None
    found, least = _Search(around, now, most_leaves).run(best)
    return None if found is None else _change(around, found, least)


def _change(around: Surroundings, chosen: tuple[int, ...], least: bool) -> Change:
    row = _row(around, chosen)
    outcome = int(around.model.outcomes(row[None, :])[0])
    schema = around.model.schema
    return Change(schema.classes[outcome], row, changed_values(around.row, row, schema), _far(around, chosen), least)


def _row(around: Surroundings, chosen: tuple[int, ...]) -> Matrix:
    row = around.row.copy()
    for options, option in zip(around.options, chosen, strict=True):
        row[options.place] = options.values[option]
    return row


def _far(around: Surroundings, chosen: tuple[int, ...]) -> float:
    return float(sum(options.cost[option] for options, option in zip(around.options, chosen, strict=True)))


class _Search:
    """Best first over boxes; a box is a mask of options for each feature."""

    def __init__(self, around: Surroundings, now: int, most_leaves: int) -> None:
        self.around = around
        self.now = now
        self.left = most_leaves // around.leaves
        self.limit = np.inf
        self.queue: list[tuple[float, int, tuple[Mask, ...], Mask]] = []
        self.numbers = itertools.count()

    def run(self, best: tuple[int, ...] | None) -> tuple[tuple[int, ...] | None, bool]:
        """The least change as an option for each feature, and whether it is proved; starts with a known one."""
        self.limit = np.inf if best is None else _far(self.around, best)
        self._push(tuple(np.ones(len(options.values), dtype=bool) for options in self.around.options), None)
        while self.queue:
            if self.left <= 0:
                return best, False
            _, _, box, reach = heapq.heappop(self.queue)
            # Costs ascend, so the first option that is left is the nearest.
            chosen = tuple(int(allowed.argmax()) for allowed in box)
            if self._flips(chosen):
                return chosen, True
            self._part(box, reach)
        return best, True

    def _flips(self, chosen: tuple[int, ...]) -> bool:
        return int(self.around.model.outcomes(_row(self.around, chosen)[None, :])[0]) != self.now

    def _push(self, box: tuple[Mask, ...], reach: Mask | None) -> None:
        """Keep a box for later, without the options that lead past the least change known, if it can hold a flip."""
        far = _far(self.around, tuple(int(allowed.argmax()) for allowed in box))
        if far >= self.limit:
            return
        reach = self.around.whole() if reach is None else reach
        tightened: list[Mask] = []
        for number, (options, allowed) in enumerate(zip(self.around.options, box, strict=True)):
            near = allowed & (options.cost < self.limit - far + options.cost[int(allowed.argmax())])
            if near.sum() < allowed.sum():
                reach = self.around.narrowed(reach, number, near)
            tightened.append(near)
        self.left -= 1
        if self.around.best_margin(reach, self.now) > -SLACK:
            heapq.heappush(self.queue, (far, next(self.numbers), tuple(tightened), reach))

    def _part(self, box: tuple[Mask, ...], reach: Mask) -> None:
        """Part a box at the feature that matters most: into the nearer half of its options, and the others."""
        free = [number for number, allowed in enumerate(box) if allowed.sum() > 1]
        if not free:
            return
        near = {number: self.around.narrowed(reach, number, _nearer(box[number])) for number in free}
        self.left -= len(free)
        number = min(free, key=lambda number: self.around.best_margin(near[number], self.now))
        half = _nearer(box[number])
        rest = box[number] & ~half
        self._push((*box[:number], half, *box[number + 1 :]), near[number])
        self._push((*box[:number], rest, *box[number + 1 :]), self.around.narrowed(reach, number, rest))


def _nearer(allowed: Mask) -> Mask:
    """The nearer half of the options; at least one."""
    places = np.flatnonzero(allowed)
    half = np.zeros_like(allowed)
    half[places[: len(places) // 2]] = True
    return half


def _greedy(around: Surroundings, now: int) -> tuple[int, ...] | None:
    """Change one feature after another, the most for its distance, until the model answers otherwise."""
    chosen = tuple(0 for _ in around.options)
    for _ in around.options:
        tried = [_with(chosen, number, option) for number, option in _steps(around, chosen)]
        if not tried:
            return None
        answers, margins = _asked(around, tried, now)
        far = np.array([_far(around, one) for one in tried])
        if (answers != now).any():
            flips = np.flatnonzero(answers != now)
            return _taken_back(around, tried[int(flips[int(far[flips].argmin())])], now)
        _, before = _asked(around, [chosen], now)
        worth = (margins - before[0]) / np.maximum(far - _far(around, chosen), 1e-12)
        if worth.max() <= 0.0:
            return None
        chosen = tried[int(worth.argmax())]
    return None


def _steps(around: Surroundings, chosen: tuple[int, ...]) -> list[tuple[int, int]]:
    """The options of the features that are as they were."""
    unchanged = [number for number, option in enumerate(chosen) if option == 0]
    return [(number, option) for number in unchanged for option in range(1, len(around.options[number].values))]


def _with(chosen: tuple[int, ...], number: int, option: int) -> tuple[int, ...]:
    return (*chosen[:number], option, *chosen[number + 1 :])


def _taken_back(around: Surroundings, chosen: tuple[int, ...], now: int) -> tuple[int, ...]:
    """The cheapest options of each changed feature, one after another, with which the answer is still another."""
    for number in range(len(chosen)):
        cheaper = [_with(chosen, number, option) for option in range(chosen[number])]
        if cheaper:
            answers, _ = _asked(around, cheaper, now)
            flips = np.flatnonzero(answers != now)
            chosen = cheaper[int(flips[0])] if len(flips) else chosen
    return chosen


def _asked(around: Surroundings, tried: list[tuple[int, ...]], now: int) -> tuple[Indices, Matrix]:
    """The model's answers, and how far the best other class is from beating ``now`` (log scale); both (n,)."""
    model = around.model
    probabilities = model.proba(np.array([_row(around, chosen) for chosen in tried]))
    answers = outcome_codes(probabilities, model.thresholds)
    with np.errstate(divide="ignore"):
        weights = np.maximum(np.log(probabilities / np.array(model.thresholds)), -700.0)
    return answers, np.delete(weights, now, axis=1).max(axis=1) - weights[:, now]
