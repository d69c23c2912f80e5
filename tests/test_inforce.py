"""Putting edits in force: what each mode changes, on which rows it reports, and what it refuses."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from ruleedit.datasets import loans
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import Cancelled, ConflictsOpen, Refused, TargetError
from ruleedit.formats import canonical
from ruleedit.inforce import NOTHING_ASKED, brief, put_in_force, with_plain_retraining
from ruleedit.matching import Indices, Matrix
from ruleedit.models import TableModel
from ruleedit.models.folder import load
from ruleedit.overlay import BY_GRAFT, BY_OVERLAY
from ruleedit.prove import prove
from ruleedit.release import Release
from ruleedit.release import load as load_release
from ruleedit.tables import encode, read, target_codes
from tests.commandline import Shop

MODES = ("overlay-hard", "overlay-soft")
RULE = "IF age < 30 AND amount > 9000 THEN approve"


class Parts(NamedTuple):
    """What putting in force takes."""

    model: TableModel
    draft: Draft
    rows: Matrix
    truth: Indices

    def apply(self, mode: str, **options: object) -> Release:
        """The release of this mode."""
        return put_in_force(self.model, self.draft, mode, self.rows, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def parts(shop: Shop) -> Parts:
    model, frame = load(shop.model), read(shop.csv)
    return Parts(model, canonical.read(shop.edited), encode(frame, model.schema), target_codes(frame, model.schema))


def other_rows(model: TableModel, rows: int = 200) -> Matrix:
    """A table that the model was not trained on."""
    return encode(loans(rows, seed=77), model.schema)


class TestOverlay:
    @pytest.mark.parametrize("mode", MODES)
    def test_leaves_the_model_as_it_is(self, parts: Parts, mode: str) -> None:
        """No training, no synthetic row, the same model file."""
        release = parts.apply(mode)
        assert release.model is parts.model
        assert release.before is None
        assert (release.report["trainings"], release.report["synthetic"]) == (0, 0)

    @pytest.mark.parametrize("mode", MODES)
    def test_needs_no_target(self, parts: Parts, mode: str) -> None:
        """Without it there is no F1, and everything else is the same."""
        with_truth, without = parts.apply(mode, truth=parts.truth).report, parts.apply(mode).report
        assert without["outside"]["f1_before"] is None
        assert with_truth["outside"]["f1_before"] is not None
        assert with_truth["feedback"] == without["feedback"]

    def test_reports_on_the_models_own_hold_out(self, parts: Parts) -> None:
        """Coverage counts the held-out rows of the training table, and no others."""
        report = parts.apply("overlay-hard").report
        held = parts.rows[parts.model.holdout]
        assert report["held_out"]["rows"] == len(held) == 175
        young = (held[:, 0] < 30) & (held[:, parts.model.schema.index("amount")] > 9000)
        assert report["feedback"][0]["coverage"] == int(young.sum())

    def test_of_another_table_reports_on_every_row(self, parts: Parts) -> None:
        """A table of other rows, or of the same rows in another order, is wholly held out."""
        for rows in (other_rows(parts.model), parts.rows[::-1]):
            report = put_in_force(parts.model, parts.draft, "overlay-hard", rows).report
            assert report["held_out"] == {"rows": len(rows), "of": "every row of this table"}

    def test_where_nothing_can_be_moved_to_the_report_says_so(self, parts: Parts) -> None:
        """A soft overlay that finds no region of the outcome leaves the model's answer and notes it."""
        base = parts.draft.base
        somewhere, nowhere = (
            Draft.of(dataclasses.replace(base, rules=r), parts.model.schema) for r in (base.rules, ())
        )
        reports = [
            put_in_force(
                parts.model, edit(d, ["new IF age < 30 THEN deny"], reason="r"), "overlay-soft", parts.rows
            ).report
            for d in (somewhere, nowhere)
        ]
        assert reports[0]["notes"] == []
        assert reports[1]["notes"] == ["R1: no extracted region says deny, the model's answer stands"]


class TestRetrain:
    def test_keeps_what_was_before(self, shop: Shop, parts: Parts) -> None:
        """The release has a model of its own, the one before it, and the same hold-out and schema."""
        release = load_release(shop.release("retrain"))
        assert release.before is not None
        assert release.before.text == parts.model.text != release.model.text
        np.testing.assert_array_equal(release.model.holdout, parts.model.holdout)
        assert release.model.schema == parts.model.schema
        assert release.strategy == "anchored"

    def test_agrees_more_than_before(self, shop: Shop) -> None:
        """On every feedback rule that covers a held-out row."""
        for item in shop.report("retrain")["feedback"]:
            assert item["coverage"] == 0 or item["mra_after"] >= item["mra_before"]

    def test_of_another_table_holds_out_a_quarter(self, parts: Parts) -> None:
        """The report says so; nothing is trained where nothing is asked, so that is quick to see."""
        frame = loans(200, seed=77)
        rows, truth = encode(frame, parts.model.schema), target_codes(frame, parts.model.schema)
        untouched = Draft.of(parts.draft.base, parts.model.schema)
        report = put_in_force(parts.model, untouched, "retrain", rows, truth=truth).report
        assert report["held_out"] == {"rows": 50, "of": "a quarter of this table"}
        assert report["feedback"] == []

    def test_needs_the_target(self, parts: Parts) -> None:
        """The line names the column."""
        with pytest.raises(TargetError, match="'decision'"):
            parts.apply("retrain")

    def test_can_be_stopped(self, parts: Parts) -> None:
        """Whoever asks it to stop gets no release."""
        with pytest.raises(Cancelled):
            parts.apply("retrain", truth=parts.truth, should_stop=lambda: True)


class TestProof:
    def test_a_retrained_model_is_proved_after_counterexamples_were_taught(self, parts: Parts) -> None:
        """Each rule with its finding; the release's model is the one that was proved, and its file stands alone."""
        draft = edit(Draft.of(parts.draft.base, parts.model.schema), [f"new {RULE}"], reason="r")
        release = put_in_force(parts.model, draft, "retrain", parts.rows, truth=parts.truth, prove=True)
        proof = release.report["proof"]
        assert proof["proved"]
        assert [item["status"] for item in proof["rules"]] == ["proved"]
        assert release.feedback is not None
        assert [finding.status for finding in prove(release.model, release.feedback, parts.rows, seed=5)] == ["proved"]
        assert release.before is not None
        (before,) = prove(release.before, release.feedback, parts.rows)
        assert before.status == "counterexample"

    def test_a_proof_can_be_stopped(self, parts: Parts) -> None:
        """Whoever asks it to stop gets no release."""
        release = parts.apply("overlay-hard")
        grafted = parts.apply("graft").model
        with pytest.raises(Cancelled):
            prove(grafted, release.feedback, parts.rows, should_stop=lambda: True)


class TestCollateral:
    @pytest.mark.parametrize("mode", [*MODES, "graft"])
    def test_each_mode_says_what_changed_outside(self, parts: Parts, mode: str) -> None:
        """By class and by group; an overlay and a graft change nothing there."""
        outside = parts.apply(mode, groups=["purpose"]).report["outside"]
        assert outside["flips"] == 0.0
        assert {part["feature"] for part in outside["groups"]} == {"purpose"}
        assert sum(part["rows"] for part in outside["classes"]) == outside["rows"]

    def test_a_plain_retraining_stands_beside_it(self, parts: Parts) -> None:
        """On 95% of the training rows, and none that is held out; the release itself stays."""
        release = parts.apply("overlay-hard")
        beside = with_plain_retraining(release, parts.rows, parts.truth)
        flips = beside.report["outside"].pop("retraining_flips")
        assert 0.0 < flips < 0.5
        assert beside.report == release.report
        assert beside.model is release.model
        held = np.zeros(len(parts.rows), dtype=bool)
        held[parts.model.holdout] = True
        changed = np.where(held, 1 - parts.truth, parts.truth)
        again = with_plain_retraining(release, parts.rows, changed)
        assert again.report["outside"]["retraining_flips"] == flips

    def test_edits_that_ask_for_nothing_are_put_in_force_and_noted(self, parts: Parts) -> None:
        """They serve as the model does."""
        untouched = Draft.of(parts.draft.base, parts.model.schema)
        for mode in (*MODES, "graft", "retrain"):
            release = put_in_force(parts.model, untouched, mode, parts.rows, truth=parts.truth)
            assert release.report["notes"] == [NOTHING_ASKED]
            assert (release.model.outcomes(parts.rows) == parts.model.outcomes(parts.rows)).all()


class TestRefusals:
    def test_an_open_conflict(self, parts: Parts) -> None:
        """Nothing unresolved is put in force, in no mode."""
        draft = edit(parts.draft, ["new IF amount > 9000 THEN approve"], reason="r")
        for mode in (*MODES, "retrain"):
            with pytest.raises(ConflictsOpen):
                put_in_force(parts.model, draft, mode, parts.rows, truth=parts.truth)

    def test_rules_of_another_model(self, shop: Shop, parts: Parts) -> None:
        """Rules and model have the same schema."""
        with pytest.raises(Refused, match="different schemas"):
            put_in_force(parts.model, canonical.read(shop.grading), "overlay-hard", parts.rows)

    def test_modes(self, parts: Parts) -> None:
        """An unknown one, one of a later version, and a strategy for a mode that has none."""
        with pytest.raises(Refused, match="did you mean 'overlay-hard'"):
            parts.apply("overlay-hrad")
        with pytest.raises(Refused, match="graft and retrain have one"):
            parts.apply("overlay-soft", prove=True)
        with pytest.raises(Refused, match="no strategy"):
            parts.apply("overlay-soft", strategy="greedy")

    def test_graft(self, parts: Parts) -> None:
        """A graft answers as the hard overlay does, by its model file alone, and its trees are proved."""
        hard, grafted = parts.apply("overlay-hard"), parts.apply("graft", prove=True)
        one, other = hard.answer(parts.rows), grafted.answer(parts.rows)
        assert (one.probabilities == other.probabilities).all()
        assert (grafted.model.outcomes(parts.rows) == one.outcomes).all()
        assert (other.model_outcomes == one.model_outcomes).all()
        assert ((other.by == BY_GRAFT) == (one.by == BY_OVERLAY)).all()
        assert grafted.report["proof"]["proved"]
        assert grafted.report["trees_added"] > 0

    def test_no_rows(self, parts: Parts) -> None:
        """A table without rows has nothing to report, and the overlay stands all the same."""
        report = put_in_force(parts.model, parts.draft, "overlay-hard", parts.rows[:0]).report
        assert report["held_out"]["rows"] == 0
        assert all(item["mra_after"] is None for item in report["feedback"])


def test_the_order_of_the_edits_is_not_remembered(parts: Parts) -> None:
    """Two ways to the same rules are the same release but for their history."""
    one = edit(Draft.of(parts.draft.base, parts.model.schema), ["remove R2", "new IF age < 25 THEN deny"], reason="r")
    two = edit(Draft.of(parts.draft.base, parts.model.schema), ["new IF age < 25 THEN deny", "remove R2"], reason="r")
    releases = [put_in_force(parts.model, draft, "overlay-hard", parts.rows) for draft in (one, two)]
    tables = [pd.DataFrame(release.answer(parts.rows).probabilities) for release in releases]
    assert tables[0].equals(tables[1])
    assert releases[0].report == releases[1].report


class TestPilot:
    @pytest.mark.parametrize("mode", ["retrain", "overlay-soft"])
    def test_is_trained_and_measured_on_so_many_rows(self, parts: Parts, mode: str) -> None:
        """Drawn from the rows that the whole would take, never from those held out for the other."""
        report = parts.apply(mode, truth=parts.truth, most_rows=120).report
        assert report["held_out"]["rows"] == min(120, len(parts.model.holdout))
        assert report.get("trained_on") == (120 if mode == "retrain" else None)

    def test_of_more_rows_than_there_are_is_the_whole(self, parts: Parts) -> None:
        """To the last figure."""
        whole = parts.apply("overlay-soft", truth=parts.truth).report
        assert parts.apply("overlay-soft", truth=parts.truth, most_rows=10**6).report == whole

    def test_in_a_few_figures(self, parts: Parts) -> None:
        """An overlay is honoured everywhere and changes nothing outside; without rows in a region nothing is known."""
        report = parts.apply("overlay-hard", truth=parts.truth).report
        found = brief(report)
        assert (found["honoured"], found["flips"], found["trainings"]) == (1.0, 0.0, 0)
        assert found["f1_before"] == found["f1_after"] is not None
        empty = report | {"feedback": [item | {"mra_after": None} for item in report["feedback"]]}
        assert brief(empty)["honoured"] is None
