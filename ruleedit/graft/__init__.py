"""The graft: a hard overlay's feedback compiled into the LightGBM model file, as trees.

Each box of rows for which a class is asked becomes a tree whose one leaf that isn't 0 adds so much
that the class is certain: the probability is exactly 1 there, and 0 for the others, as in the hard
overlay. Everywhere else the added trees answer 0, and a raw score stays what it was, bit for bit.
The file is a plain LightGBM model, for LightGBM, treelite and whatever else reads one; rows need
the numbers that the file expects (`TableModel.encode_for_file`).

Two bits of arithmetic stand behind that. LightGBM sums a row's leaves from +0.0 on, tree by tree in
the order of the file, and such a sum is never -0.0, so adding 0.0 to it changes no bit. And a
power of two far above the sum of all leaves absorbs whatever the model says (`forcing_value`).
"""

from __future__ import annotations

import dataclasses
import itertools

from ruleedit.errors import Refused
from ruleedit.feedback import Feedback
from ruleedit.graft.boxes import MOST_BOXES, Forced, forced_boxes
from ruleedit.graft.force import check_graftable, forcing_value
from ruleedit.graft.proof import Proof, prove
from ruleedit.graft.text import with_trees
from ruleedit.graft.trees import FileNumbers, box_splits, tree_text
from ruleedit.models import TableModel

__all__ = ["MOST_BOXES", "Proof", "graft", "prove"]


def graft(model: TableModel, feedback: Feedback, *, limit: int = MOST_BOXES) -> TableModel:
    """Compile what the edits ask for into the model's file; the model itself where they ask for nothing.

    The new model differs in its text alone: schema, thresholds, background, hold-out and codes stay.
    A binary model gets a tree for each box. A model of several classes gets, in each added
    iteration, a tree for every class, which forces a box of that class or answers 0.

    Parameters
    ----------
    limit
        The most boxes: ordered rules are written as disjoint boxes, unions of intervals as several.

    Raises
    ------
    TooComplex
        They take more boxes than ``limit``.
    Refused
        A rule asks for a distribution; the model is a random forest or has linear trees; an adopted
        model's file can't tell apart what a rule tells apart; the schemas differ.
    ModelFileRefused
        The file is damaged, no classifier, or would grow past what `read_model` takes.
    """
    check_graftable(model.file)
    if feedback.schema.hash != model.schema.hash:
        raise Refused("the feedback and the model have different schemas; extract the rules from this model")
    forced = forced_boxes(feedback, limit)
    if not forced:
        return model
    grafted = dataclasses.replace(model, text=with_trees(model.file, _blocks(model, forced)))
    _ = grafted.file  # Read here, so that a text that grew too large is refused here.
    return grafted


def _blocks(model: TableModel, forced: tuple[Forced, ...]) -> list[str]:
    """The added trees, iteration by iteration."""
    numbers, value = FileNumbers(model), forcing_value(model.file)
    chains = [(one.code, box_splits(one.box, numbers)) for one in forced]
    if model.file.num_class == 1:
        trees = [(splits, value if code else -value) for code, splits in chains]
    else:
        of_class = [[splits for code, splits in chains if code == wanted] for wanted in range(model.file.num_class)]
        rounds = itertools.zip_longest(*of_class)
        trees = [((), 0.0) if splits is None else (splits, value) for iteration in rounds for splits in iteration]
    first = len(model.file.trees)
    return [tree_text(first + place, splits, added) for place, (splits, added) in enumerate(trees)]
