"""A model's trees within a box, as trees that veritas can search.

veritas knows one kind of split, `x < number`, no categories and no missing values. So each feature
is given as the number of its cell (`ruleedit.prove.cells`). A split that sends one run of cells left
and the others right is then one split; any other set of cells, of categories or with missing values
on the further side, becomes a chain of splits whose branches are written more than once. Splits
that the box or an earlier split has decided are left out, so that within a box trees are small.
That a row has exactly one category holds by itself: a cell is one number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ruleedit.matching import Indices
from ruleedit.models.file import Tree
from ruleedit.prove.cells import CannotTranslateError, FeatureCells, goes_left

#: Past so many leaves a search says nothing in any reasonable time, and the translation itself takes long.
MOST_LEAVES = 400_000


class Translation:
    """A sum of trees within a box, each with a sign: ``signed`` are the trees with +1.0 or -1.0."""

    def __init__(self, signed: Sequence[tuple[Tree, float]], cells: Sequence[FeatureCells]) -> None:
        import veritas

        self.cells = cells
        self.leaves = 0
        self.reach = 0.0
        self._left: dict[tuple[int, int], tuple[bool, ...]] = {}
        self.sum = veritas.AddTree(1, veritas.AddTreeType.REGR)
        for number, (tree, sign) in enumerate(signed):
            self.reach += float(np.abs(tree.leaf_value).max())
            self._add(number, tree, sign)

    def values(self, places: Indices) -> Any:
        """The sums for rows given by their cells (n, features); shape (n,)."""
        return self.sum.eval(places.astype(np.float64)).ravel()

    def _add(self, number: int, tree: Tree, sign: float) -> None:
        made = self.sum.add_tree()
        spans = {place: (0, len(one.values)) for place, one in enumerate(self.cells)}
        stack = [(made.root(), 0 if tree.num_leaves > 1 else ~0, spans)]
        while stack:
            node, split, spans = stack.pop()
            if split < 0:
                made.set_leaf_value(node, 0, sign * float(tree.leaf_value[~split]))
                self.leaves += 1
                if self.leaves > MOST_LEAVES:
                    raise CannotTranslateError(f"the trees take more than {MOST_LEAVES:,} leaves")
                continue
            place = int(tree.split_feature[split])
            low, high = spans[place]
            left = self._goes_left(number, tree, split, place)
            cut = next((cell for cell in range(low + 1, high) if left[cell] != left[low]), None)
            if cut is None:
                child = tree.left_child[split] if left[low] else tree.right_child[split]
                stack.append((node, int(child), spans))
                continue
            made.split(node, place, float(cut))
            # Cells below the cut all go one way; those from it on are asked again.
            below = tree.left_child[split] if left[low] else tree.right_child[split]
            stack.append((made.left(node), int(below), {**spans, place: (low, cut)}))
            stack.append((made.right(node), split, {**spans, place: (cut, high)}))

    def _goes_left(self, number: int, tree: Tree, split: int, place: int) -> tuple[bool, ...]:
        if (number, split) not in self._left:
            self._left[number, split] = goes_left(tree, split, self.cells[place])
        return self._left[number, split]
