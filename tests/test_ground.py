"""What is carried over after a retraining, and how each rule stands to the new model and data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ruleedit.conflicts import find_conflicts, open_conflicts
from ruleedit.datasets import loans
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.feedback import feedback
from ruleedit.formats import canonical
from ruleedit.ground import HONOURED, Carried, carried_over, ground_of, standings
from ruleedit.matching import Indices, Matrix, box_mask
from ruleedit.models.folder import load
from ruleedit.regions import rule_box
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.surrogate.names import named
from ruleedit.tables import encode, target_codes
from ruleedit.text import parse_rule
from ruleedit.workflow import extract_rules
from tests.commandline import Shop, answer, done

SCHEMA = Schema(
    (Feature("x", "integer", low=0.0, high=99.0), Feature("c", "categorical", categories=("a", "b"))),
    "y",
    ("no", "yes"),
)
ROWS = np.array([[float(x), float(1 + x % 2)] for x in range(100)])
EXTRACTED = ("IF x > 50 THEN yes", "IF x < 10 AND c = a THEN yes", "IF x between 20 and 29 THEN yes")


def draft_of(*texts: str, schema: Schema = SCHEMA, default: str = "no") -> Draft:
    rules = tuple(parse_rule(text, f"R{number}") for number, text in enumerate(texts, start=1))
    return Draft.of(RuleSet(rules, Outcome.of(default)), schema)


def edited(*edits: str) -> Draft:
    return edit(draft_of(*EXTRACTED), edits, reason="r")


def grounded(old: Draft, extracted: Draft) -> Draft:
    return carried_over(extracted, ground_of(old, extracted.schema))


def stand(old: Draft, answers: Indices, truth: Indices | None = None, rows: Matrix = ROWS) -> dict[str, Carried]:
    """How each rule stands, by its id; the extraction is one rule that meets none of them."""
    ground = ground_of(old, SCHEMA)
    draft = carried_over(draft_of("IF x = 99 AND c = b THEN yes"), ground)
    return {carried.rule: carried for carried in standings(draft, ground, rows, answers, truth)}


class TestCarriedOver:
    def test_asserted_rules_are_there_verbatim_and_ahead(self) -> None:
        """Id, text, outcome, in their order; the extracted rules follow; the base is the extraction's."""
        old = edited("new IF x = 7 THEN no 0.5, yes 0.5", "set R1 x > 60", "new IF c is missing THEN model before R3")
        fresh = draft_of("IF x > 77 THEN yes")
        fresh = Draft.of(named(fresh.rules, (), old.seen_ids(), SCHEMA), SCHEMA)
        new = grounded(old, fresh)
        asserted = [rule for rule in old.rules if rule.asserted]
        assert len(asserted) == 3
        assert list(new.rules)[:3] == asserted
        assert new.rules.ids[3:] == ("R6",)
        assert new.base == fresh.base
        asks = feedback(new.base, new.rules, SCHEMA)
        assert {asked.id for asked in asks if asked.kind == "asserted"} == {rule.id for rule in asserted}
        assert not [asked for asked in asks if asked.kind == "uncovered"]

    def test_settlements_stand(self) -> None:
        """The same records; no conflict opens."""
        old = edited("new IF x < 40 THEN yes", "new IF c = a THEN no", "resolve all priority")
        new = grounded(old, draft_of())
        assert new.rules.settlements == old.rules.settlements
        assert find_conflicts(new.rules, SCHEMA)
        assert not open_conflicts(new.rules, SCHEMA)

    def test_is_one_step_that_reads_back_and_can_be_undone(self) -> None:
        """The file is whole; undoing leaves the extraction."""
        fresh = draft_of("IF x > 77 THEN yes")
        new = grounded(edited("new IF x = 7 THEN no"), Draft.of(named(fresh.rules, (), ("R9",), SCHEMA), SCHEMA))
        assert canonical.loads(canonical.dumps(new)) == new
        assert edit(new, ["undo"], reason="r").rules == new.base
        assert edit(new, ["new IF x = 8 THEN no"], reason="r").rules.rules[1].id == "R11"

    def test_nothing_asserted_is_nothing_carried(self) -> None:
        """The draft is the extraction, without a step."""
        fresh = draft_of("IF x > 77 THEN yes")
        assert grounded(draft_of(*EXTRACTED), fresh) is fresh

    def test_a_confirmed_rule_found_again_stays_where_it_is(self) -> None:
        """It is the extraction's own rule, confirmed; one that was moved ahead stays ahead."""
        fresh = draft_of(*EXTRACTED)
        stays = grounded(edited("confirm R3"), fresh)
        assert stays.rules.ids == ("R1", "R2", "R3")
        assert stays.rules.rule("R3").asserted
        ahead = grounded(edited("move R3 before R1"), fresh)
        assert ahead.rules.ids == ("R3", "R1", "R2")
        assert edit(ahead, ["new IF x = 1 THEN yes"], reason="r").rules.rule("R3").asserted

    def test_an_edited_rule_whose_original_is_found_again_is_its_edit(self) -> None:
        """The base has the original, the edited set the user's text: as if it were edited today."""
        new = grounded(edited("set R1 x > 60"), draft_of(*EXTRACTED))
        assert str(new.base.rule("R1")) == EXTRACTED[0]
        assert str(new.rules.rule("R1")) == "IF x > 60 THEN yes"
        assert new.rules.ids == ("R1", "R2", "R3")


class TestLeftOut:
    NARROW = Schema((Feature("x", "integer", low=0.0, high=60.0),), "y", ("no", "yes"))

    def test_what_does_not_fit_is_listed_by_name(self) -> None:
        """A feature that is gone, a number outside the range; a settlement goes with its rule."""
        old = edited("new IF c = a AND x < 20 THEN yes", "new IF x = 99 THEN no", "new IF x < 30 THEN no")
        old = edit(old, ["resolve all priority"], reason="r")
        ground = ground_of(old, self.NARROW)
        assert [rule.id for rule in ground.asserted] == ["R6"]
        assert [(one.rule, one.standing) for one in ground.left_out] == [("R4", "left out"), ("R5", "left out")]
        assert "no feature 'c'" in str(ground.left_out[0].why)
        assert "outside the range of 'x', 0 to 60" in str(ground.left_out[1].why)
        assert ground.settlements == ()
        assert any("the settlement of R4 and R6" in note for note in ground.notes)
        assert ground.start is not None
        assert ground.start.ids == ("R1", "R3")

    def test_a_class_that_is_gone(self) -> None:
        """Rules that say it are left out, and with the default gone there is nothing to begin with."""
        schema = dataclasses.replace(SCHEMA, classes=("yes", "perhaps"))
        ground = ground_of(edited("new IF x = 1 THEN no", "new IF x = 2 THEN yes"), schema)
        assert [one.rule for one in ground.left_out] == ["R4"]
        assert ground.start is None

    def test_a_text_that_reads_otherwise_is_noted(self) -> None:
        """The text is never rewritten; what it holds now is said."""
        whole = dataclasses.replace(SCHEMA.features[0], kind="numeric")
        schema = dataclasses.replace(SCHEMA, features=(whole, SCHEMA.features[1]))
        ground = ground_of(edited("new IF x > 30 THEN no"), schema)
        assert [str(rule) for rule in ground.asserted] == ["IF x > 30 THEN no"]
        assert ground.notes == ("R4: the new schema reads its text as x > 30",)

    def test_what_no_rule_asserts_is_noted(self) -> None:
        """Removed and disabled rules, and another default."""
        notes = ground_of(edited("remove R1", "disable R2", "default yes"), SCHEMA).notes
        assert [note.split(";")[0] for note in notes] == [
            "R1 was removed",
            "R2 was disabled",
            "the default was changed to yes",
        ]

    def test_a_rule_that_stood_behind_an_extracted_one_is_noted(self) -> None:
        """It decides more rows now."""
        notes = ground_of(edited("new IF x > 70 THEN no after R1"), SCHEMA).notes
        assert notes == ("R4 stood behind R1; it stands ahead of all extracted rules now",)


class TestStandings:
    def test_are_what_counting_says(self) -> None:
        """Rows, agreement and labels in each rule's region."""
        old = edited("new IF x < 40 THEN yes", "new IF x between 50 and 59 THEN yes")
        answers = (ROWS[:, 0] < 40).astype(np.intp)
        answers[0] = 0
        truth = (ROWS[:, 0] < 20).astype(np.intp)
        found = stand(old, answers, truth)
        first, second = found["R4"], found["R5"]
        assert (first.rows, first.agreement, first.labels) == (40, 39 / 40, 0.5)
        assert (second.rows, second.agreement, second.labels) == (10, 0.0, 0.0)
        assert second.interval is not None
        assert second.interval[0] == 0.0

    @pytest.mark.parametrize(
        ("agrees", "labels", "standing"),
        [(100, 0, "honoured"), (99, 0, "honoured"), (98, 41, "needed"), (0, 40, "contradicted"), (0, None, "needed")],
    )
    def test_by_the_numbers(self, agrees: int, labels: int | None, standing: str) -> None:
        """From 0.99 on it is honoured; contradicted where the labels are against it beyond chance."""
        answers = (np.arange(100) < agrees).astype(np.intp)
        truth = None if labels is None else (np.arange(100) < labels).astype(np.intp)
        assert stand(edited("new IF x >= 0 THEN yes"), answers, truth)["R4"].standing == standing
        assert HONOURED == 0.99

    def test_without_rows_or_a_question(self) -> None:
        """Nothing is said of a rule without rows; one that is disabled or says model asks nothing."""
        old = edited("new IF x = 5 THEN yes", "new IF x = 6 THEN model", "new IF x = 98 THEN yes", "disable R4")
        found = stand(old, np.zeros(90, dtype=np.intp), None, ROWS[:90])
        assert {name: carried.standing for name, carried in found.items()} == {
            "R4": "silent",
            "R5": "silent",
            "R6": "unseen",
        }

    def test_a_settlement_says_whose_rows_are_whose(self) -> None:
        """Of two rules that meet, the winner has the rows of both; a third class asked for is neither's."""
        old = edited("new IF x < 40 THEN yes", "new IF x between 30 and 49 THEN no", "resolve R4 R5 priority")
        found = stand(old, np.zeros(100, dtype=np.intp))
        assert (found["R4"].rows, found["R5"].rows) == (40, 10)
        settled = edit(edit(old, ["undo"], reason="r"), ["resolve R4 R5 outcome no 0.5, yes 0.5"], reason="r")
        found = stand(settled, np.zeros(100, dtype=np.intp))
        assert (found["R4"].rows, found["R5"].rows) == (30, 10)


def test_names_are_kept_by_what_says_the_same() -> None:
    """Whatever the words; others are numbered beyond all that were ever used."""
    fresh = draft_of("IF x >= 51 THEN yes", "IF x = 3 THEN yes", "IF x > 50 THEN no").rules
    found = named(fresh, draft_of(*EXTRACTED).rules.rules, ("R4", "R12", "R3~1", "odd"), SCHEMA)
    assert found.ids == ("R1", "R13", "R14")
    assert [rule.clauses for rule in found] == [rule.clauses for rule in fresh]


def test_an_extraction_begins_with_the_ground(shop: Shop, tmp_path: Path) -> None:
    """The same model again gives the same rules under the same ids, behind those that were asserted."""
    model, old = load(shop.model), canonical.read(shop.edited)
    frame = pd.read_csv(shop.csv)
    rows, truth = encode(frame, model.schema), target_codes(frame, model.schema)
    draft, found = extract_rules(model, rows, max_clauses=10, ground=old, truth=truth)
    asserted = [rule for rule in old.rules if rule.asserted]
    assert list(draft.rules)[: len(asserted)] == asserted
    again = {rule.id: rule for rule in found.rules if rule.id in old.base.ids}
    assert again
    for name, rule in again.items():
        assert rule_box(rule, model.schema) == rule_box(old.base.rule(name), model.schema)
    assert [figures.rule for figures in found.train.rules] == list(found.rules.ids)
    (carried,) = draft.origin["ground"]["rules"]
    mask = box_mask(rule_box(asserted[0], model.schema), rows, model.schema)
    deny = model.schema.classes.index("deny")
    assert carried["rows"] == int(mask.sum())
    assert carried["agreement"] == pytest.approx((model.outcomes(rows)[mask] == deny).mean())
    assert carried["labels"] == pytest.approx((truth[mask] == deny).mean())


def test_people_and_machines_are_told(shop: Shop, tmp_path: Path) -> None:
    """By the command line: a table with one column less, without a target too."""
    new = loans(300, seed=8).drop(columns="amount")
    new.to_csv(tmp_path / "new.csv", index=False)
    new.drop(columns="decision").to_csv(tmp_path / "bare.csv", index=False)
    done("train", tmp_path / "new.csv", "--target", "decision", "--out", tmp_path / "model")
    old = tmp_path / "old.json"
    done("edit", shop.edited, "new IF age < 30 THEN deny", "--reason", "r", "--out", old)
    extract = ("extract", tmp_path / "model", "--ground", old, "--out", tmp_path / "r.json", "--max-clauses", 6)
    shown = done(*extract, "--data", tmp_path / "new.csv").out
    assert "note: R7 is left out: no feature 'amount'" in shown
    assert "\nR8    " in shown
    found = answer(*extract, "--data", tmp_path / "bare.csv")
    assert {item["rule"]: item["labels"] for item in found["ground"]["rules"]} == {"R7": None, "R8": None}
    assert canonical.read(tmp_path / "r.json").rules.ids[0] == "R8"


def test_rules_by_hand_keep_their_ids() -> None:
    """A rule that a user wrote and the extraction finds has two ids: its own, and the extraction's."""
    rules = RuleSet((Rule("R1", (Clause("x", ">", 3.0),), Outcome.of("yes")),), Outcome.of("no"))
    assert named(rules, (), ("R4",), SCHEMA).ids == ("R5",)
