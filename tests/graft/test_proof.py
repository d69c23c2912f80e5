"""The proof of a graft finds every fault that is planted in the file."""

from __future__ import annotations

import dataclasses
import re

import pytest

from ruleedit.errors import ModelFileRefused
from ruleedit.feedback import Feedback
from ruleedit.graft import Proof, graft, prove
from ruleedit.graft.text import with_trees
from ruleedit.models import TableModel
from tests.graft.test_graft import CLASSES, SCHEMA, asks, draft_of, model_of, rows_of

RULES = (
    "new IF age between 20 and 30 AND job in (clerk, driver) THEN deny before R1",
    "new IF debt < 0.7 AND owner = true AND age > 30 THEN approve before R1",
)


@pytest.fixture(scope="module")
def model() -> TableModel:
    return model_of(rows_of(300), SCHEMA, trees=3)


@pytest.fixture(scope="module")
def asked() -> Feedback:
    return asks(draft_of(*RULES))


@pytest.fixture(scope="module")
def grafted(model: TableModel, asked: Feedback) -> TableModel:
    return graft(model, asked)


def blocks_of(model: TableModel, grafted: TableModel) -> list[str]:
    """The text of each added tree."""
    added = grafted.text.partition(f"Tree={len(model.file.trees)}\n")
    return re.findall(r"Tree=.*?\n\n\n", added[1] + added[2].partition("end of trees")[0], flags=re.DOTALL)


def planted(model: TableModel, grafted: TableModel, old: str, new: str) -> TableModel:
    """The graft with something else in its first added tree that has it."""
    blocks = blocks_of(model, grafted)
    place = next(place for place, block in enumerate(blocks) if re.search(old, block))
    blocks[place] = re.sub(old, new, blocks[place], count=1)
    return dataclasses.replace(grafted, text=with_trees(model.file, blocks))


def test_a_graft_is_proved(model: TableModel, grafted: TableModel, asked: Feedback) -> None:
    """So many boxes in as many trees, and nothing to say against it."""
    assert prove(model, grafted, asked) == Proof(2, 2, True, "")


def test_taking_the_trees_out_and_in_again_is_the_same_file(model: TableModel, grafted: TableModel) -> None:
    """The planting itself plants nothing."""
    assert with_trees(model.file, blocks_of(model, grafted)) == grafted.text


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (r"threshold=30\.5", "threshold=31.5", "deny is forced and not asked for where age = 31"),
        (r"threshold=30\.5", "threshold=29.5", "deny is asked for and not forced where age = 30"),
        ("cat_threshold=6", "cat_threshold=7", "deny is forced and not asked for where .* job not in"),
        ("cat_threshold=6", "cat_threshold=2", "deny is asked for and not forced where .* job = driver"),
        ("decision_type=8 10 ", "decision_type=10 8 ", "deny is forced and not asked for where age is missing"),
        ("decision_type=8 ", "decision_type=0 ", "'age' doesn't know NaN as missing"),
        ("decision_type=8 ", "decision_type=4 ", "'age' doesn't know NaN as missing"),
        (r"0\.6999999\d+", "0.7", r"approve is forced and not asked for where .*debt = 0\.7"),
        (r"leaf_value=0 0 0 1024", "leaf_value=0 0 0 -1024", "approve is forced and not asked for"),
        (r"leaf_value=0 0 0 1024", "leaf_value=0 0 0 512", "a leaf of 512; 75.* is needed to force"),
        (r"leaf_value=0 0 0 1024", "leaf_value=0 1e-9 0 1024", "a leaf of 1e-09"),
        (r"leaf_value=0 0 0 1024", "leaf_value=0 1024 0 1024", "deny is forced and not asked for"),
        (r"leaf_value=0 0 0 1024", "leaf_value=0 0 0 1.7e308", "add up to more than a double holds"),
    ],
)
def test_a_planted_fault_is_found(
    model: TableModel, grafted: TableModel, asked: Feedback, old: str, new: str, why: str
) -> None:
    """A bound, a bit, a default direction, a sign or a size that is off by the least there is."""
    after = planted(model, grafted, old, new)
    if "1.7e308" in new:
        after = planted(model, after, r"-1024", "-1.7e308")
    proof = prove(model, after, asked)
    assert not proof.proved
    assert re.search(why, proof.why)


def test_a_tree_too_few_is_found(model: TableModel, grafted: TableModel, asked: Feedback) -> None:
    """What isn't there isn't forced."""
    fewer = dataclasses.replace(grafted, text=with_trees(model.file, blocks_of(model, grafted)[:1]))
    assert "approve is asked for and not forced" in prove(model, fewer, asked).why
    assert prove(model, model, asked).boxes == 0


def test_other_feedback_is_not_proved(model: TableModel, grafted: TableModel) -> None:
    """The proof is of one feedback: an edit more isn't in the file."""
    assert not prove(model, grafted, asks(draft_of(*RULES, "new IF owner = false THEN deny"))).proved


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("shrinkage=0.1", "shrinkage=0.2", "the first trees"),
        ("objective=binary sigmoid:1\n", "objective=binary sigmoid:2\n", "the header"),
        ("[learning_rate: 0.1]", "[learning_rate: 0.2]", "what follows the trees"),
    ],
)
def test_the_rest_of_the_file_must_be_the_same(
    model: TableModel, grafted: TableModel, asked: Feedback, old: str, new: str, why: str
) -> None:
    """Byte for byte, in the trees that were there, in the header and behind the trees."""
    assert old in grafted.text
    proof = prove(model, dataclasses.replace(grafted, text=grafted.text.replace(old, new, 1)), asked)
    assert not proof.proved
    assert why in proof.why


def test_the_models_must_agree_beside_the_text(model: TableModel, grafted: TableModel, asked: Feedback) -> None:
    """Other thresholds make another outcome of the same probabilities."""
    assert "differ in" in prove(model, dataclasses.replace(grafted, thresholds=(0.2, 0.8)), asked).why


def test_a_class_is_not_taken_from() -> None:
    """With several classes a forcing leaf adds to one; taking from the others proves nothing."""
    asked = asks(draft_of(*RULES, classes=CLASSES[:3]))
    model = model_of(rows_of(300), asked.schema, trees=3)
    after = graft(model, asked)
    assert prove(model, after, asked) == Proof(2, 3, True, "")
    assert "takes from a class" in prove(model, planted(model, after, r" 1024\n", r" -1024\n"), asked).why


def test_a_number_split_by_category_is_not_proved(model: TableModel, grafted: TableModel, asked: Feedback) -> None:
    """Codes of a number say nothing about the numbers between them."""
    after = planted(model, grafted, "split_feature=0 0 2", "split_feature=2 0 0")
    assert "'age', which is integer, goes by category" in prove(model, after, asked).why


def test_a_damaged_file_is_refused(model: TableModel, grafted: TableModel, asked: Feedback) -> None:
    """A proof is about a file that can be read."""
    with pytest.raises(ModelFileRefused):
        prove(model, dataclasses.replace(grafted, text=grafted.text[:-500]), asked)


@pytest.mark.parametrize(
    ("clause", "old", "new"),
    [
        ("debt > 0", "1.0000000180025095e-35", "0"),
        ("debt > 0", "1.0000000180025095e-35", "5e-36"),
        ("debt < 0", "-1.0000000180025096e-35", "-5e-36"),
    ],
)
def test_thresholds_that_lightgbm_reads_alike_are_as_good(model: TableModel, clause: str, old: str, new: str) -> None:
    """Whatever is tiny is read as 0, so these thresholds part the same rows."""
    asked = asks(draft_of(f"new IF {clause} AND age < 20 THEN deny before R1"))
    after = planted(model, graft(model, asked), f"(?<=[= ]){old}(?=[ \n])", new)
    assert prove(model, after, asked).proved
