"""The overlay: hard answers as asked, soft moves no further than it has to, and nothing else changes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from ruleedit.conflicts import open_conflicts, overlaps
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.feedback import Feedback, feedback
from ruleedit.matching import Matrix
from ruleedit.models import Background, outcome_codes
from ruleedit.overlay import BY, BY_MODEL, BY_MOVED, BY_OVERLAY, Mover, moves, outside, overlay
from ruleedit.regions import Box, clauses_box
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Kind, Schema
from ruleedit.text import parse_rule
from tests import strategies
from tests.asked import Fake, asked, grid
from tests.reference import Row, covers, decides, encoded
from tests.strategies import Dice, make_draft, make_small_rows

SCHEMA = Schema(
    (Feature("x", "integer"), Feature("y", "numeric"), Feature("c", "categorical", categories=("a", "b", "d"))),
    "t",
    ("no", "yes"),
)


def draft_of(*texts: str, default: str = "no", schema: Schema = SCHEMA) -> Draft:
    """A draft of the rules R1, R2, ..."""
    rules = tuple(parse_rule(text, f"R{number}") for number, text in enumerate(texts, start=1))
    return Draft.of(RuleSet(rules, Outcome.of(default)), schema)


def asks(draft: Draft, *edits: str) -> Feedback:
    """What the edits ask for."""
    done = edit(draft, edits, reason="") if edits else draft
    return feedback(done.base, done.rules, done.schema)


def training(*rows: tuple[float | None, float | None, str | None], schema: Schema = SCHEMA) -> Background:
    """A background of a few rows."""
    codes = encoded([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
    return Background.of(codes, np.zeros(len(codes), dtype=np.intp), schema)


#: Standard deviations 2 and 1; the commonest category is b, the commonest x is 7.
BACKGROUND = training(
    (7.0, 0.0, "b"), (7.0, 0.0, "b"), (3.0, 2.0, "a"), (3.0, 2.0, "d"), (7.0, 2.0, "b"), (3.0, 0.0, "a")
)


def moved(found: Feedback, *rows: tuple[float | None, float | None, str | None]) -> list[tuple[float, ...]]:
    """What each row looks like when the model is asked again."""
    codes = encoded([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)
    answers = overlay(Fake.of(SCHEMA), found, codes, "soft", background=BACKGROUND)
    codes = codes.copy()
    codes[answers.moved_rows] = answers.moved
    return [tuple(row) for row in codes.tolist()]


# --- hard ------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", range(5))
def test_asked_rows_get_the_outcome_and_others_the_models_bits(batch: int, count: Callable[[int, int], int]) -> None:
    """Promise 11: outside of what is asked max |delta| is 0; inside the outcome is the rule's, its weights exactly."""
    for number in range(count(40, 2_000)):
        dice = Dice(1_000_000 * batch + number)
        draft = make_draft(dice)
        found, schema, classes = asks(draft), draft.schema, draft.schema.classes
        rows = make_small_rows(dice, schema, 25)
        codes, model = encoded(rows, schema), Fake.of(schema)
        own = model.proba(codes)
        answers = overlay(model, found, codes)
        assert answers.model_outcomes is not None
        assert answers.model_outcomes.tolist() == outcome_codes(own, model.thresholds).tolist()
        for place, row in enumerate(rows):
            one = asked(draft.base, draft.rules, row, schema)
            if one is None or one.kind == "undecided" or one.outcome.is_model:
                assert answers.probabilities[place].tobytes() == own[place].tobytes()
                assert answers.outcomes[place] == answers.model_outcomes[place]
                assert answers.by[place] == BY_MODEL
            else:
                assert answers.probabilities[place].tolist() == one.outcome.vector(classes)
                assert classes[answers.outcomes[place]] == one.outcome.top(classes)
                assert answers.by[place] == BY_OVERLAY
            assert (answers.held[place] >= 0) == (one is not None)
        assert outside(found, codes).tolist() == (answers.by == BY_MODEL).tolist()
        assert np.abs(answers.probabilities - own)[outside(found, codes)].max(initial=0.0) == 0.0
        assert len(answers.moved_rows) == len(answers.moved) == 0


def test_without_the_models_outcome_the_answers_are_the_same(count: Callable[[int, int], int]) -> None:
    """The model isn't asked where it isn't needed, and nothing else differs."""
    for number in range(count(120, 2_000)):
        dice = Dice(number)
        draft = make_draft(dice)
        codes = encoded(make_small_rows(dice, draft.schema, 20), draft.schema)
        with_own, without = (
            overlay(Fake.of(draft.schema), asks(draft), codes, model_outcome=flag) for flag in (True, False)
        )
        assert without.model_outcomes is None
        assert without.probabilities.tobytes() == with_own.probabilities.tobytes()
        assert without.outcomes.tolist() == with_own.outcomes.tolist()
        assert without.by.tolist() == with_own.by.tolist()
        assert without.held.tolist() == with_own.held.tolist()


def test_the_model_is_not_asked_about_decided_rows() -> None:
    """With every row decided the model sees none."""
    seen: list[int] = []

    class Watched(Fake):
        def proba(self, rows: Matrix) -> Matrix:
            seen.append(len(rows))
            return super().proba(rows)

    codes = encoded([{"x": 1.0, "y": 0.0, "c": "a"}, {"x": 9.0, "y": 0.0, "c": "a"}], SCHEMA)
    overlay(Watched.of(SCHEMA), asks(draft_of("IF x > 5 THEN yes"), "set R1 x > 3"), codes, model_outcome=False)
    overlay(Watched.of(SCHEMA), asks(draft_of("IF x > 5 THEN yes"), "new IF x > 0 THEN no"), codes, model_outcome=False)
    assert seen == [1, 0]


def test_thresholds_decide_where_nothing_is_asked() -> None:
    """The model's outcome is the greatest p / threshold; an asked outcome doesn't look at thresholds."""
    model = Fake(SCHEMA, (0.999, 0.001))
    codes = encoded([{"x": 0.0, "y": 0.0, "c": "a"}, {"x": 9.0, "y": 0.0, "c": "a"}], SCHEMA)
    answers = overlay(model, asks(draft_of("IF x > 5 THEN yes"), "then R1 no"), codes)
    assert answers.outcomes.tolist() == [1, 0]
    assert answers.probabilities[1].tolist() == [1.0, 0.0]


def test_open_conflicts_change_nothing(count: Callable[[int, int], int]) -> None:
    """Undecided rows are the model's, in both modes."""
    tried = 0
    for number in range(count(200, 2_000)):
        dice = Dice(number)
        draft = make_draft(dice)
        if not open_conflicts(draft.rules, draft.schema):
            continue
        tried += 1
        found = asks(draft)
        codes = encoded(make_small_rows(dice, draft.schema, 20), draft.schema)
        model = Fake.of(draft.schema)
        background = Background.of(codes, np.zeros(len(codes), dtype=np.intp), draft.schema)
        for mode in ("hard", "soft"):
            answers = overlay(model, found, codes, mode, background=background)  # type: ignore[arg-type]
            for place in np.flatnonzero(answers.held >= 0):
                if found.rules[answers.held[place]].kind == "undecided":
                    assert answers.by[place] == BY_MODEL
                    assert answers.probabilities[place].tobytes() == model.proba(codes)[place].tobytes()
    assert tried


def test_no_rows_have_no_answers() -> None:
    """An empty table is fine in both modes."""
    found = asks(draft_of("IF x > 5 THEN yes"), "set R1 x > 3")
    for mode in ("hard", "soft"):
        answers = overlay(Fake.of(SCHEMA), found, np.empty((0, 3)), mode, background=BACKGROUND)  # type: ignore[arg-type]
        assert answers.outcomes.shape == (0,)
        assert answers.probabilities.shape == (0, 2)
    assert BY[BY_MODEL] == "model"


# --- soft ------------------------------------------------------------------------------------


def table(schema: Schema) -> tuple[list[Row], Matrix]:
    """Every row of a small grid of integers, categories, booleans and missing values."""
    columns: list[list[float | str | None]] = []
    for feature in schema.features:
        values: list[float | str | None] = [None] if feature.missing else []
        if feature.kind == "integer":
            values += [float(number) for number in range(-1, 7)]
        else:
            values += [*feature.values, *(["never seen"] if feature.kind == "categorical" else [])]
        columns.append(values)
    rows: list[Row] = [dict(zip(schema.names, cells, strict=True)) for cells in itertools.product(*columns)]
    return rows, encoded(rows, schema)


def distances(row: Matrix, targets: Matrix, schema: Schema, background: Background) -> Matrix:
    """How far a row is from each target: |change| / deviation, 1 for a category or a missing value changed."""
    total = np.zeros(len(targets))
    for place, feature in enumerate(schema.features):
        here, there = row[place], targets[:, place]
        changed = np.where(np.isnan(there), not math.isnan(here), math.isnan(here) | (there != here)).astype(float)
        if feature.is_number and not math.isnan(here):
            changed = np.where(np.isnan(there), 1.0, np.abs(there - here) / background.deviations[place])
        total = total + changed
    return total


def goals(draft: Draft, found: Feedback, place: int, rows: list[Row]) -> list[bool]:
    """Which rows of the grid a row that the feedback rule holds may be moved to, from the semantics."""
    rule, schema, base = found.rules[place], draft.schema, draft.base
    was = {one.id: one for one in base.rules if one.enabled}
    if rule.kind == "uncovered":
        return [not covers(was[rule.source], row, schema) for row in rows]
    holders = {overlap.id: overlap.holder for overlap in overlaps(draft.rules, schema)}
    now = draft.rules.rule(holders.get(rule.source) or rule.source)
    origin = was.get(now.id) or was.get(now.part_of or "")
    if origin is not None and origin.outcome == rule.outcome == now.outcome:
        return [covers(origin, row, schema) for row in rows]
    wanted = rule.outcome.top(schema.classes)
    says = [*(one.outcome.top(schema.classes) for one in base.rules), base.default.top(schema.classes)]
    return [says[decides(base, row, schema)] == wanted for row in rows]


def many_classes(dice: Dice, schema: Schema) -> Schema:
    """The same features with two, three or seven classes."""
    return Schema(schema.features, schema.target, tuple("abcdefg")) if dice.number(0, 2) == 0 else schema


@pytest.mark.parametrize("numbers", ["integer", "numeric"])
@pytest.mark.parametrize("batch", range(5))
def test_every_move_is_the_least_one(batch: int, numbers: Kind, count: Callable[[int, int], int]) -> None:
    """Against every row of the grid: what moved lies in its target and nothing in the target is nearer.

    Of doubles the grid holds each that the rules name, and its neighbours.
    """
    moves = 0
    for number in range(count(90, 1_000)):
        dice = Dice(500_000 * batch + number)
        schema = strategies.make_small_schema(dice, most=2, kinds=(numbers, "categorical", "boolean"))
        schema = many_classes(dice, schema)
        base = strategies.make_base(dice, schema, asserted=False)
        draft = strategies.make_session(dice, Draft.of(base, schema), most=5)[-1]
        found, model = asks(draft), Fake.of(schema)
        whole = all(feature.kind != "numeric" for feature in schema.features)
        rows = table(schema)[0] if whole else grid([*draft.base, *draft.rules], schema)
        codes = encoded(rows, schema)
        background = Background.of(
            encoded(make_small_rows(dice, schema, 12), schema), np.zeros(12, dtype=np.intp), schema
        )
        tried = sorted({dice.number(0, len(rows) - 1) for _ in range(250)})
        answers = overlay(model, found, codes[tried], "soft", background=background)
        after = codes[tried].copy()
        after[answers.moved_rows] = answers.moved
        by_goal = {place: np.array(goals(draft, found, place, rows)) for place, rule in enumerate(found) if rule.asks}
        for at, place in enumerate(tried):
            goal = by_goal.get(int(answers.held[at]))
            if goal is None or not goal.any() or goal[place]:
                assert answers.by[at] == BY_MODEL
                continue
            moves += 1
            away = distances(codes[place], codes, schema, background)
            assert answers.by[at] == BY_MOVED
            least = distances(codes[place], after[at : at + 1], schema, background)[0]
            assert least == pytest.approx(away[goal].min(), abs=1e-12)
            if whole:
                landed = np.flatnonzero([np.array_equal(after[at], row, equal_nan=True) for row in codes])
                assert goal[landed].all()
                assert len(landed) == 1
    assert moves > 60


def test_soft_answers_are_the_models_at_the_moved_rows(count: Callable[[int, int], int]) -> None:
    """To the bit; and where nothing moved, at the row itself."""
    for number in range(count(100, 2_000)):
        dice = Dice(number)
        draft = make_draft(dice)
        schema, model = draft.schema, Fake.of(draft.schema)
        codes = encoded(make_small_rows(dice, schema, 25), schema)
        background = Background.of(codes, np.zeros(len(codes), dtype=np.intp), schema)
        answers = overlay(model, asks(draft), codes, "soft", background=background)
        after = codes.copy()
        after[answers.moved_rows] = answers.moved
        assert answers.probabilities.tobytes() == model.proba(after).tobytes()
        assert answers.outcomes.tolist() == outcome_codes(model.proba(after), model.thresholds).tolist()
        assert np.flatnonzero(answers.by == BY_MOVED).tolist() == answers.moved_rows.tolist()
        assert answers.model_outcomes is not None
        assert answers.model_outcomes.tolist() == outcome_codes(model.proba(codes), model.thresholds).tolist()


def test_moving_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are moved some at once: how many doesn't matter."""
    found = asks(draft_of("IF x > 5 THEN yes", "IF y > 1 THEN yes"), "set R1 x > 2", "set R2 y > 0.5")
    rows = [(float(x), float(y), "a") for x in range(8) for y in range(3)]
    at_once = moved(found, *rows)
    monkeypatch.setattr("ruleedit.overlay.CHUNK", 3)
    assert moved(found, *rows) == at_once


def test_a_widened_rule_moves_its_new_rows_into_the_base_boxes() -> None:
    """`x > 5` widened to `x > 2`: 3 to 5 are asked about as 6; what was in before and what is out stay."""
    found = asks(draft_of("IF x > 5 THEN yes"), "set R1 x > 2")
    assert [row[0] for row in moved(found, *((float(x), 0.0, "a") for x in range(8)))] == [0, 1, 2, 6, 6, 6, 6, 7]


def test_an_open_bound_moves_to_the_next_double() -> None:
    """Past `y > 2` is the next double, past `y < 2` the one before; past `y >= 2` is 2."""
    up = asks(draft_of("IF y > 2 THEN yes"), "set R1 y > 1")
    down = asks(draft_of("IF y < 2 THEN yes"), "set R1 y < 3")
    closed = asks(draft_of("IF y >= 2 THEN yes"), "set R1 y > 1")
    assert moved(up, (0.0, 1.5, "a"))[0][1] == math.nextafter(2.0, 3.0)
    assert moved(down, (0.0, 2.5, "a"))[0][1] == math.nextafter(2.0, 1.0)
    assert moved(closed, (0.0, 1.5, "a"))[0][1] == 2.0


def test_next_to_zero_is_what_is_not_read_as_zero() -> None:
    """Numbers that are read as 0 are no values of their own to move to."""
    found = asks(draft_of("IF y > 0 THEN yes"), "set R1 y > -1")
    assert moved(found, (0.0, -0.5, "a"))[0][1] == math.nextafter(1.0000000180025095e-35, 1.0)


def test_a_narrowed_rule_moves_what_it_gave_up_out_of_its_boxes() -> None:
    """The cheapest way out: one integer step, or another category where that costs less."""
    found = asks(draft_of("IF x > 2 AND c in (a, b) THEN yes"), "set R1 x > 6")
    assert moved(found, (3.0, 0.0, "a"), (6.0, 0.0, "a"), (7.0, 0.0, "a")) == [(2, 0, 1), (6, 0, 3), (7, 0, 1)]


def test_a_removed_rule_moves_its_rows_out() -> None:
    """As a narrowed one, wherever it decided."""
    found = asks(draft_of("IF x > 9 THEN no", "IF x > 2 THEN yes"), "remove R2")
    assert [row[0] for row in moved(found, *((float(x), 0.0, "a") for x in (1, 3, 4, 10)))] == [1, 2, 2, 10]


def test_a_new_rule_moves_its_rows_to_the_nearest_extracted_region() -> None:
    """And not to where an earlier rule says otherwise."""
    found = asks(draft_of("IF x = 6 THEN no", "IF x > 5 THEN yes"), "new IF x < 3 THEN yes")
    assert [row[0] for row in moved(found, (2.0, 0.0, "a"), (4.0, 0.0, "a"))] == [7, 4]


def test_a_relabelled_rule_moves_its_rows_to_its_new_outcome() -> None:
    """The default is a region too."""
    found = asks(draft_of("IF x > 5 THEN yes"), "then R1 no")
    assert [row[0] for row in moved(found, (6.0, 0.0, "a"))] == [5]


def test_otherwise_moves_to_the_nearest_region_of_its_outcome() -> None:
    """`otherwise c` goes where the extracted rules say c, `otherwise model` nowhere."""
    texts = ("IF x > 2 AND y > 1 THEN yes", "IF x > 8 THEN no")
    there = asks(draft_of(*texts, default="yes"), "set R1 y > 3 otherwise no")
    assert moved(there, (7.0, 2.0, "a"), (7.0, 4.0, "a")) == [(9, 1, 1), (7, 4, 1)]
    stays = asks(draft_of(*texts, default="yes"), "set R1 y > 3 otherwise model")
    assert moved(stays, (7.0, 2.0, "a")) == [(7, 2, 1)]


def test_a_confirmed_rule_moves_nothing() -> None:
    """A row that edited and base rule both cover stays, and the answer is the model's."""
    assert moved(asks(draft_of("IF x > 5 THEN yes"), "confirm R1"), (9.0, 0.0, "a")) == [(9, 0, 1)]


def test_without_a_target_the_models_answer_stands_and_the_report_says_so() -> None:
    """A class that no extracted rule and no default says has no region."""
    schema = Schema(SCHEMA.features, "t", ("no", "yes", "maybe"))
    found = asks(draft_of("IF x > 5 THEN yes", schema=schema), "new IF x < 3 THEN maybe")
    mover = Mover(found, BACKGROUND)
    assert mover.notes == ("R2: no extracted region says maybe, the model's answer stands",)
    codes = encoded([{"x": 1.0, "y": 0.0, "c": "a"}], schema)
    answers = overlay(Fake.of(schema), found, codes, "soft", background=BACKGROUND)
    assert (answers.by.tolist(), answers.held.tolist(), len(answers.moved)) == ([BY_MODEL], [0], 0)
    assert Mover(asks(draft_of("IF x > 5 THEN yes"), "set R1 x > 2"), BACKGROUND).notes == ()


def test_missing_values_move_to_the_commonest() -> None:
    """A missing number costs 1 and becomes the commonest training value in the target, a readable one without any."""
    found = asks(draft_of("IF x > 5 THEN yes"), "new IF x is missing THEN yes")
    assert moved(found, (None, 0.0, "a"))[0][0] == 7.0
    far = asks(draft_of("IF x > 50 THEN yes"), "new IF x is missing THEN yes")
    assert moved(far, (None, 0.0, "a"))[0][0] == 51.0


def test_a_number_may_become_missing() -> None:
    """Into `is missing` at the cost of 1; a number before a missing value where both cost the same."""
    found = asks(draft_of("IF x is missing THEN yes"), "new IF x > 3 THEN yes")
    assert math.isnan(moved(found, (9.0, 0.0, "a"))[0][0])
    out = asks(draft_of("IF x > 2 THEN yes"), "remove R1")
    assert moved(out, (4.0, 0.0, "a"))[0][0] == 2.0
    assert math.isnan(moved(out, (5.0, 0.0, "a"))[0][0])


def test_categories_move_to_the_commonest_of_the_target() -> None:
    """Each category is as far as any other; one never seen moves like a known one."""
    found = asks(draft_of("IF c != a THEN yes"), "new IF c = a THEN yes", "new IF c is missing THEN yes")
    assert [row[2] for row in moved(found, (1.0, 0.0, "a"), (1.0, 0.0, None))] == [2, 2]
    unseen = asks(draft_of("IF c = d THEN yes"), "set R1 c not in (a)")
    assert [row[2] for row in moved(unseen, (1.0, 0.0, "zz"), (1.0, 0.0, "b"), (1.0, 0.0, "a"))] == [3, 3, 1]
    out = asks(draft_of("IF c in (a, b, d) THEN yes"), "disable R1")
    assert [row[2] for row in moved(out, (1.0, 0.0, "a"))] == [0]
    present = asks(draft_of("IF c is not missing THEN yes"), "disable R1")
    assert math.isnan(moved(present, (1.0, 0.0, "a"))[0][2])


def test_a_category_that_training_never_had_is_the_last_choice() -> None:
    """Known to the schema before unseen, in the schema's order."""
    thin = training((1.0, 0.0, "a"), (2.0, 1.0, "a"))
    found = asks(draft_of("IF c != a THEN yes"), "new IF c = a THEN yes")
    codes = encoded([{"x": 1.0, "y": 0.0, "c": "a"}], SCHEMA)
    answers = overlay(Fake.of(SCHEMA), found, codes, "soft", background=thin)
    assert answers.moved[0][2] == 2.0


def test_between_two_bounds_as_near_the_commoner_training_value_is_taken() -> None:
    """5 is as far from 3 as from 7; 7 is as common as 3, so the lower; with one more 7 the higher."""
    found = asks(draft_of("IF x not in (4, 5, 6) THEN yes"), "new IF x = 5 THEN yes")
    codes = encoded([{"x": 5.0, "y": 0.0, "c": "a"}], SCHEMA)
    more = training((7.0, 0.0, "b"), (7.0, 0.0, "b"), (3.0, 2.0, "a"))
    even = training((7.0, 0.0, "b"), (3.0, 2.0, "a"))
    for background, there in ((more, 7.0), (even, 3.0)):
        answers = overlay(Fake.of(SCHEMA), found, codes, "soft", background=background)
        assert answers.moved[0][0] == there


def test_distance_counts_in_standard_deviations() -> None:
    """A step of a feature that varies much is a short one."""
    found = asks(draft_of("IF x > 5 THEN yes", "IF y > 1 THEN yes"), "new IF x < 3 THEN yes")
    assert BACKGROUND.deviations[:2] == (2.0, 1.0)
    assert moved(found, (1.0, 0.9, "a"))[0][:2] == (1.0, math.nextafter(1.0, 2.0))
    assert moved(found, (2.0, -1.5, "a"))[0][:2] == (6.0, -1.5)


def test_a_settled_winner_moves_rows_as_its_own() -> None:
    """Where a widened rule won, its new rows go into its base boxes; its old ones stay."""
    found = asks(
        draft_of("IF x > 5 THEN yes", "IF c = a THEN no"),
        "set R1 x > 2",
        "then R2 no 0.5, yes 0.5",
        "resolve R1 R2 priority",
    )
    assert moved(found, (3.0, 0.0, "a"), (8.0, 0.0, "a")) == [(6, 0, 1), (8, 0, 1)]
    late = asks(
        draft_of("IF x > 5 THEN yes"), "set R1 x > 2", "new IF c = a THEN no before R1", "resolve R1 R2 outcome yes"
    )
    assert moved(late, (8.0, 0.0, "a")) == [(8, 0, 1)]


def test_nearest_says_how_far() -> None:
    """The mover's own answer: the nearest row in any of the boxes and its distance; 0 inside."""
    mover = Mover(asks(draft_of("IF x > 5 THEN yes"), "set R1 x > 2"), BACKGROUND)
    boxes = [clauses_box(parse_rule(f"IF {text} THEN no").clauses, SCHEMA) for text in ("x > 5", "y > 3 AND c = a")]
    rows = encoded([{"x": 1.0, "y": 3.5, "c": "b"}, {"x": 6.0, "y": 0.0, "c": None}], SCHEMA)
    nearest, distance = mover.nearest(rows, boxes)
    assert nearest[0].tolist() == [1.0, 3.5, 1.0]
    assert distance.tolist() == [1.0, 0.0]
    assert mover.nearest(rows, [Box()])[1].tolist() == [0.0, 0.0]


def test_a_soft_overlay_needs_the_background() -> None:
    """Without the training table there is no distance."""
    with pytest.raises(AssertionError, match="background"):
        overlay(Fake.of(SCHEMA), asks(draft_of("IF x > 5 THEN yes")), np.empty((0, 3)), "soft")


def test_without_the_models_outcome_a_soft_overlay_answers_the_same(count: Callable[[int, int], int]) -> None:
    """The model is asked once about each row, as moved, and not about what it was."""
    for number in range(count(60, 1_000)):
        dice = Dice(number)
        draft = make_draft(dice)
        codes = encoded(make_small_rows(dice, draft.schema, 20), draft.schema)
        background = Background.of(codes, np.zeros(len(codes), dtype=np.intp), draft.schema)
        mover = Mover(asks(draft), background)
        model = Counting.of(draft.schema)
        with_own = overlay(model, mover.feedback, codes, "soft", background=background)
        assert model.rows == len(codes) + len(with_own.moved)
        model.rows = 0
        before = codes.copy()
        without = overlay(model, mover.feedback, codes, "soft", mover=mover, model_outcome=False)
        assert (model.rows, without.model_outcomes) == (len(codes), None)
        assert codes.tobytes() == before.tobytes()
        assert without.probabilities.tobytes() == with_own.probabilities.tobytes()
        assert without.outcomes.tolist() == with_own.outcomes.tolist()
        assert without.by.tolist() == with_own.by.tolist()


class Counting(Fake):
    """A model that counts the rows that it is asked about."""

    rows = 0

    def proba(self, rows: Matrix) -> Matrix:
        object.__setattr__(self, "rows", self.rows + len(rows))
        return super().proba(rows)


def test_the_widest_numbers_move_too() -> None:
    """From one end of the doubles to the other is further than a double can say; a nearer way is still taken."""
    far = 1.7976931348623157e308
    codes = encoded([{"x": 0.0, "y": -far, "c": "a"}], SCHEMA)

    def lands(*texts: str, background: Background = BACKGROUND) -> list[float]:
        boxes = [clauses_box(parse_rule(f"IF {text} THEN no").clauses, SCHEMA) for text in texts]
        nearest, distance = Mover(asks(draft_of("IF x > 5 THEN yes")), background).nearest(codes, boxes)
        assert np.isfinite(distance).all()
        return [float(value) for value in nearest[0]]

    assert lands("y >= 1e308") == [0.0, 1e308, 1.0]
    assert lands("y >= 1e308", "x > 5") == [6.0, -far, 1.0]
    assert lands("y >= 1e308 AND x > 5", "y > 1.7e308 AND c = b")[1] in (1e308, math.nextafter(1.7e308, math.inf))
    steady = training((7.0, 5e-324, "b"), (7.0, 5e-324, "b"))
    assert lands("y >= 1e308", background=steady) == [0.0, 1e308, 1.0]


def test_a_soft_overlay_says_how_far_it_came(count: Callable[[int, int], int]) -> None:
    """Per feedback rule the rows moved, those that stay, and those that the model answers otherwise all the same."""
    seen = 0
    for number in range(count(60, 1_000)):
        dice = Dice(number)
        draft = make_draft(dice)
        schema, found = draft.schema, asks(draft)
        codes = encoded(make_small_rows(dice, schema, 40), schema)
        mover = Mover(found, Background.of(codes, np.zeros(len(codes), dtype=np.intp), schema))
        answers = overlay(Fake.of(schema), found, codes, "soft", mover=mover)
        shown = {one.rule: one for one in moves(mover, answers)}
        assert set(shown) == {rule.id for rule in found if rule.asks}
        for place, rule in enumerate(found):
            if rule.asks:
                rows = np.flatnonzero(answers.held == place)
                there = [row for row in rows if row in answers.moved_rows]
                wanted = rule.outcome.top(schema.classes)
                other = [row for row in rows if schema.classes[answers.outcomes[row]] != wanted]
                one = shown[rule.id]
                assert (one.moved, one.unmoved, one.otherwise) == (len(there), len(rows) - len(there), len(other))
                assert one.has_target or not one.moved
                seen += one.moved
    assert seen > 50


def test_what_has_no_target_is_told_apart() -> None:
    """A class that no extracted region says: its rows stay, and are answered as before."""
    schema = Schema(SCHEMA.features, "t", ("no", "yes", "maybe"))
    mover = Mover(asks(draft_of("IF x > 5 THEN yes", schema=schema), "new IF x < 3 THEN maybe"), BACKGROUND)
    codes = encoded([{"x": 1.0, "y": 0.0, "c": "a"}, {"x": 9.0, "y": 0.0, "c": "a"}], schema)
    (one,) = moves(mover, overlay(Fake.of(schema), mover.feedback, codes, "soft", mover=mover))
    assert one.to_json() == {"moved": 0, "unmoved": 1, "otherwise": 1, "has_target": False}
