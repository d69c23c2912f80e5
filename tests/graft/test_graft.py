"""Grafts: the model file by itself answers as the hard overlay does, and elsewhere as it did, bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import lightgbm
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from ruleedit.conflicts import open_conflicts
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import Refused, TooComplex
from ruleedit.feedback import Feedback, feedback
from ruleedit.graft import graft, prove
from ruleedit.graft.boxes import forced_boxes
from ruleedit.graft.text import cut
from ruleedit.matching import Matrix
from ruleedit.models import Background, TableModel
from ruleedit.models.adoption import adopt
from ruleedit.models.file import probe
from ruleedit.models.training import boost
from ruleedit.overlay import outside, overlay
from ruleedit.regions import after, before
from ruleedit.rules import ZERO, Outcome, RuleSet, read_number
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode
from ruleedit.text import parse_rule
from tests.formats.readers import reader
from tests.models.test_adoption import booster_of, paints
from tests.reference import TINIEST, encoded
from tests.strategies import (
    Dice,
    Source,
    drafts,
    make_draft,
    make_rows,
    make_schema,
    make_small_rows,
    make_solid_rule,
)

SCHEMA = Schema(
    (
        Feature("age", "integer"),
        Feature("debt", "numeric"),
        Feature("job", "categorical", categories=("clerk", "driver", "farmer")),
        Feature("owner", "boolean"),
    ),
    "outcome",
    ("approve", "deny"),
)
CLASSES = ("approve", "deny", "c", "d", "e", "f", "g")
BASE = ("IF age > 30 THEN approve", "IF debt >= 0.5 AND job in (clerk, farmer) THEN deny", "IF owner = true THEN deny")


def model_of(rows: Matrix, schema: Schema, *, seed: int = 0, trees: int = 4) -> TableModel:
    """A small model of rows with made-up answers, each class among them; thresholds by the seed."""
    rng = np.random.default_rng(seed)
    classes = len(schema.classes)
    answers = (np.nan_to_num(rows).clip(-9, 9).sum(axis=1).astype(int) + rng.integers(0, 2, len(rows))) % classes
    answers[:classes] = np.arange(classes)
    shares = np.ones(classes) if seed % 2 else np.arange(1.0, classes + 1.0)
    thresholds = tuple((shares / shares.sum()).tolist())
    text = boost(rows, answers, schema, trees=trees)
    return TableModel(schema, thresholds, text, Background.of(rows, answers, schema), 0, False, np.arange(len(rows)))


def rows_of(many: int, *, seed: int = 0) -> Matrix:
    """Encoded rows of `SCHEMA`: bounds, their neighbours, tiny numbers, unseen and missing values."""
    rng = np.random.default_rng(seed)
    bounds = [0.0, 0.5, 0.7, *(f(b, False) for b in (0.0, 0.5, 0.7) for f in (before, after)), 3.0, -2.0]
    columns = [
        rng.choice([*range(18, 60), np.nan], many),
        rng.choice([*bounds, np.nan], many),
        rng.choice([0, 1, 2, 3, np.nan], many),
        rng.choice([0, 1, np.nan], many),
    ]
    return np.column_stack(columns)


def draft_of(*edits: str, classes: tuple[str, ...] = ("approve", "deny"), base: tuple[str, ...] = BASE) -> Draft:
    """The base rules with some edits."""
    schema = dataclasses.replace(SCHEMA, classes=classes)
    rules = tuple(parse_rule(text, f"R{number}") for number, text in enumerate(base, start=1))
    draft = Draft.of(RuleSet(rules, Outcome.of(classes[0])), schema)
    return edit(draft, list(edits), reason="try", author="ann") if edits else draft


def asks(draft: Draft) -> Feedback:
    return feedback(draft.base, draft.rules, draft.schema)


def check(model: TableModel, asked: Feedback, rows: Matrix) -> TableModel:
    """Graft, and hold the file's answers against the overlay's and the model's own."""
    grafted = graft(model, asked)
    by_overlay = overlay(model, asked, rows)
    assert grafted.proba(rows).tobytes() == by_overlay.probabilities.tobytes()
    assert grafted.outcomes(rows).tolist() == by_overlay.outcomes.tolist()
    apart = outside(asked, rows)
    assert grafted.raw_score(rows)[apart].tobytes() == model.raw_score(rows)[apart].tobytes()
    proof = prove(model, grafted, asked)
    assert (proof.proved, proof.why) == (True, "")
    assert proof.boxes == len(forced_boxes(asked))
    assert proof.trees == len(grafted.file.trees) - len(model.file.trees)
    return grafted


@pytest.fixture(scope="module")
def rows() -> Matrix:
    return rows_of(1_000)


@pytest.fixture(scope="module")
def model(rows: Matrix) -> TableModel:
    return model_of(rows, SCHEMA, trees=20)


@pytest.fixture(scope="module")
def edited() -> Feedback:
    return asks(
        draft_of("set R1 age > 26", "new IF debt < 0.7 AND job != driver THEN deny before R1", "resolve all priority")
    )


def random_cases(first: int, least: int) -> Iterator[tuple[int, Draft, Matrix]]:
    """Seeded drafts with 200 rows each, until the rows are enough."""
    for number in range(first, first + -(-least // 200)):
        dice = Dice(number)
        draft = make_draft(dice)
        yield number, draft, encoded(make_small_rows(dice, draft.schema, 200), draft.schema)


# ------------------------------------------------------------------ promise 14


@pytest.mark.parametrize("batch", range(5))
def test_a_graft_answers_as_the_hard_overlay_does(batch: int, count: Callable[[int, int], int]) -> None:
    """Outcomes and probabilities are the same on every row; outside the regions so are raw scores, bit for bit."""
    compared = 0
    least = count(2_400, 24_000)
    for number, draft, some in random_cases(7_000_000 + 100_000 * batch, 2 * least):
        asked = asks(draft)
        if any(rule.asks and not rule.outcome.is_class for rule in asked):
            continue
        check(model_of(some, draft.schema, seed=number), asked, some)
        compared += len(some)
        if compared >= least:
            break
    assert compared >= least


@pytest.mark.parametrize("batch", range(2))
def test_odd_schemas_and_bounds_at_the_ends_are_grafted_too(batch: int, count: Callable[[int, int], int]) -> None:
    """Bounds beside zero, at 2**53 and at the largest double; a feature without categories; odd names."""
    for number in range(count(30, 1_000)):
        dice = Dice(8_000_000 + 100_000 * batch + number)
        schema = make_schema(dice)
        some = encoded(make_rows(dice, schema, least=60, most=60), schema)
        asked = solid_feedback(dice, schema)
        grafted = check(model_of(some, schema, seed=number), asked, some)
        assert grafted.schema is schema


def solid_feedback(source: Source, schema: Schema) -> Feedback:
    """Some overlapping asserted rules, in order."""
    rules = [make_solid_rule(source, schema, f"R{number}") for number in range(source.number(1, 3))]
    kept = [
        rule.replace(asserted=True, confirmed=True, outcome=Outcome.of(rule.outcome.top(schema.classes) or "model"))
        for rule in rules
        if not rule.outcome.is_model
    ]
    default = Outcome.of(schema.classes[0])
    return feedback(RuleSet((), default), RuleSet(tuple(kept), default), schema)


@settings(max_examples=25)
@given(drafts(most=4))
def test_a_graft_answers_as_the_hard_overlay_does_and_shrinks(draft: Draft) -> None:
    """The same from Hypothesis, on few rows; a distribution is refused by name."""
    dice = Dice(1)
    some = encoded(make_small_rows(dice, draft.schema, 40), draft.schema)
    asked = asks(draft)
    model = model_of(some, draft.schema)
    if any(
        rule.asks and not rule.outcome.is_class and not asked.exact(place).is_empty for place, rule in enumerate(asked)
    ):
        with pytest.raises(Refused, match="single classes"):
            graft(model, asked)
    else:
        check(model, asked, some)


@pytest.mark.parametrize("classes", [CLASSES[:2], CLASSES[:3], CLASSES], ids=len)
def test_whatever_the_number_of_classes(classes: tuple[str, ...], rows: Matrix) -> None:
    """Binary, three and seven classes: one iteration holds a box of each class."""
    new = [f"new IF age < {20 + 5 * number} THEN {name} before R1" for number, name in enumerate(classes)]
    draft = draft_of(*new, "resolve all priority", classes=classes)
    before_it = model_of(rows, draft.schema, seed=1)
    grafted = check(before_it, asks(draft), rows)
    added = len(grafted.file.trees) - len(before_it.file.trees)
    per_class = np.bincount([one.code for one in forced_boxes(asks(draft))])
    assert added == (per_class.sum() if len(classes) == 2 else per_class.max() * len(classes))


@pytest.mark.parametrize(
    "edits",
    [
        ("set R1 age > 26",),
        ("set R1 age > 40",),
        ("set R1 age > 40 otherwise deny",),
        ("set R1 age > 40 otherwise model",),
        ("remove R2",),
        ("disable R1 otherwise deny",),
        ("new IF job is missing THEN deny", "new IF debt is not missing AND age is missing THEN approve before R1"),
        ("new IF job not in (clerk) THEN deny before R1", "new IF age >= 20 THEN approve", "resolve all priority"),
        ("new IF job not in (clerk) THEN deny before R1", "new IF age >= 20 THEN approve", "resolve all carve"),
        ("new IF age in (20, 30, 40) AND debt != 0.5 THEN deny before R1", "then R2 approve", "resolve all priority"),
        ("new IF owner = false THEN deny before R1", "new IF age < 25 THEN model before R1", "resolve all model"),
        ("new IF owner is missing THEN deny before R1", "new IF owner is not missing THEN approve before R1"),
        ("new IF debt <= 0 THEN deny before R1", "new IF debt > 0 AND debt < 0.7 THEN approve before R1"),
        ("new IF debt >= 0 AND age <= 40 THEN deny before R1", "confirm R1", "resolve all priority"),
    ],
    ids=lambda edits: edits[0],
)
def test_every_kind_of_edit(edits: tuple[str, ...], model: TableModel, rows: Matrix) -> None:
    """Widened, narrowed, removed, new, relabelled; remainders, settlements and rows left to the model."""
    check(model, asks(draft_of(*edits)), rows)


def test_everything_may_be_asked_for(model: TableModel, rows: Matrix) -> None:
    """Two rules that hold every row between them force every row."""
    asked = asks(draft_of("new IF age is missing THEN deny before R1", "new IF age is not missing THEN deny before R1"))
    assert check(model, asked, rows).proba(rows)[:, 1].tolist() == [1.0] * len(rows)


def test_tiny_numbers_are_zero(model: TableModel) -> None:
    """LightGBM is given numbers up to 1e-35 as they are and decides as the rule does, which reads them as 0."""
    asked = asks(draft_of("new IF debt > 0 THEN deny before R1", "new IF debt < 0 THEN deny before R1"))
    numbers = [0.0, -0.0, 5e-324, -5e-324, 1e-36, -1e-36, ZERO, -ZERO, np.nextafter(TINIEST, 1), -1.1e-35, 1e-30]
    some = np.array([[np.nan, number, np.nan, np.nan] for number in numbers])
    forced = graft(model, asked).proba(some)[:, 1] == 1.0
    assert forced.tolist() == [read_number(number) != 0.0 for number in numbers]


def test_a_graft_can_be_grafted(model: TableModel, edited: Feedback, rows: Matrix) -> None:
    """A later graft forces its rows whatever an earlier one forced there."""
    later = asks(draft_of("new IF age < 35 THEN approve before R1"))
    once = graft(model, edited)
    check(once, later, rows)


def test_no_edit_is_no_change(model: TableModel) -> None:
    """Where nothing is asked the model itself comes back."""
    assert graft(model, asks(draft_of())) is model


# ------------------------------------------------------------------ the file


def test_the_new_file_is_the_old_one_with_more_trees(model: TableModel, edited: Feedback) -> None:
    """Header, first trees and what follows stay byte for byte; the sizes count the bytes of the new trees."""
    grafted = graft(model, edited)
    old, new = cut(model.file), cut(grafted.file)
    assert (new.head, new.tail) == (old.head, old.tail)
    assert new.sizes[: len(old.sizes)] == old.sizes
    assert new.trees.startswith(old.trees)
    assert sum(new.sizes) == len(new.trees)


def test_only_the_text_changes(model: TableModel, edited: Feedback) -> None:
    """Schema, thresholds, background, hold-out, seed and the adopted mark are the model's own."""
    grafted = graft(model, edited)
    kept = ("schema", "thresholds", "background", "seed", "adopted", "holdout", "notes")
    assert all(getattr(grafted, name) is getattr(model, name) for name in kept)


def test_the_same_feedback_gives_the_same_bytes(model: TableModel, edited: Feedback) -> None:
    """A graft depends on the model and the feedback alone."""
    assert graft(model, edited).text == graft(model, edited).text


def test_the_file_passes_the_probe(model: TableModel, edited: Feedback) -> None:
    """It loads and answers in the limited child process that tries files from elsewhere."""
    probe(graft(model, edited).text)


def test_lightgbm_writes_it_again_and_it_still_answers(model: TableModel, edited: Feedback, rows: Matrix) -> None:
    """Saved by LightGBM itself, the graft is still there."""
    grafted = graft(model, edited)
    again = dataclasses.replace(grafted, text=grafted.booster.model_to_string())
    assert again.proba(rows).tobytes() == grafted.proba(rows).tobytes()


def test_contributions_are_finite(model: TableModel, edited: Feedback, rows: Matrix) -> None:
    """LightGBM's contributions divide by the leaves' counts, which are never 0."""
    assert np.isfinite(graft(model, edited).booster.predict(rows[:50], pred_contrib=True)).all()


def test_split_points_of_a_graft_have_no_gain(model: TableModel, edited: Feedback) -> None:
    """The added splits were not learned and say so."""
    grafted = graft(model, edited)
    added = grafted.file.trees[len(model.file.trees) :]
    assert all(not tree.split_gain.any() for tree in added if tree.split_gain is not None)


@pytest.mark.parametrize("classes", [CLASSES[:2], CLASSES[:3]], ids=len)
def test_treelite_answers_the_same(classes: tuple[str, ...], rows: Matrix) -> None:
    """In double precision treelite's raw scores are LightGBM's, and forced probabilities exactly 1 and 0."""
    treelite = reader("treelite")
    asked = asks(draft_of("set R1 age > 26", "new IF debt <= 0 AND job != clerk THEN deny before R1", classes=classes))
    grafted = check(model_of(rows, asked.schema, seed=1), asked, rows)
    read = treelite.frontend.from_lightgbm(grafted.booster)
    raw = treelite.gtil.predict(read, rows, pred_margin=True).reshape(len(rows), -1)
    assert raw.tobytes() == grafted.raw_score(rows).reshape(len(rows), -1).tobytes()
    shares = treelite.gtil.predict(read, rows).reshape(len(rows), -1)
    forced, own = ~outside(asked, rows), grafted.proba(rows)[:, -shares.shape[1] :]
    assert (shares[forced] == own[forced]).all()
    # treelite's softmax is in single precision.
    np.testing.assert_allclose(shares, own, rtol=0, atol=1e-6 if len(classes) > 2 else 0)


# ------------------------------------------------------------------ models of somebody else


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return paints()


@pytest.fixture(scope="module")
def adopted(table: pd.DataFrame) -> TableModel:
    booster = booster_of(table.drop(columns="sold"), table["sold"] == "yes")
    return adopt(booster.model_to_string(), table, "sold", thresholds={"yes": 0.8})


def new_rules(schema: Schema, *texts: str) -> Feedback:
    """The feedback of new rules on an empty rule set, the first one first."""
    draft = Draft.of(RuleSet((), Outcome.of(schema.classes[0])), schema)
    draft = edit(draft, [f"new {text}" for text in texts], reason="try", author="ann")
    if open_conflicts(draft.rules, schema):
        draft = edit(draft, ["resolve all priority"], reason="try", author="ann")
    return asks(draft)


def test_an_adopted_pandas_model_answers_with_its_own_codes(adopted: TableModel, table: pd.DataFrame) -> None:
    """The file alone, asked by LightGBM with a pandas table, answers as the overlay; unseen and missing too."""
    asked = new_rules(
        adopted.schema,
        "IF colour in (green, pink) AND `drying time` > 4.5 THEN yes",
        "IF size != small AND toxic = true AND size in (medium, large) THEN no",
        "IF maker = acme AND grade = '2.5' AND matt = false THEN no",
    )
    check(adopted, asked, encode(table, adopted.schema))
    alone = lightgbm.Booster(model_str=graft(adopted, asked).text).predict(table.drop(columns="sold"))
    assert alone.tolist() == overlay(adopted, asked, encode(table, adopted.schema)).probabilities[:, 1].tolist()
    other = table.assign(colour=table["colour"].astype("str").replace("green", "mauve"))
    check(adopted, asked, encode(other, adopted.schema))


@pytest.mark.parametrize("clause", ["colour != red", "colour is missing", "colour is not missing"])
def test_an_adopted_model_cannot_tell_unseen_from_missing(adopted: TableModel, clause: str) -> None:
    """To its file both are NaN; a rule that parts them is refused, naming the feature."""
    with pytest.raises(Refused, match=r"'colour'.*a category never seen is a missing value"):
        graft(adopted, new_rules(adopted.schema, f"IF {clause} THEN yes"))


def test_where_missing_is_forbidden_unseen_is_told(adopted: TableModel, table: pd.DataFrame) -> None:
    """A schema without missing values leaves NaN to categories never seen."""
    features = [dataclasses.replace(f, missing=f.name != "colour") for f in adopted.schema.features]
    strict = dataclasses.replace(adopted, schema=dataclasses.replace(adopted.schema, features=tuple(features)))
    whole = encode(table.assign(colour=table["colour"].fillna("pink")), strict.schema)
    whole[::3, strict.schema.index("colour")] = 0.0
    check(strict, new_rules(strict.schema, "IF colour != red THEN yes"), whole)


def test_a_limit_is_stated_and_kept(model: TableModel, edited: Feedback) -> None:
    """As many boxes as the limit are grafted, one more is refused, naming the rule."""
    boxes = len(forced_boxes(edited))
    assert prove(model, graft(model, edited, limit=boxes), edited, limit=boxes).boxes == boxes
    with pytest.raises(TooComplex, match=rf"R\d.* takes the graft past {boxes - 1} boxes"):
        graft(model, edited, limit=boxes - 1)
