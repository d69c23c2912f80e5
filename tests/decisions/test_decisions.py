"""Decisions: one row's answer with its reasons and warnings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ruleedit.decisions import decide_encoded, decide_rows, edits_of, row_warnings
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import MissingColumns, ValueRefused
from ruleedit.formats import canonical
from ruleedit.models.folder import load as load_model
from ruleedit.release import Release, load, prediction_table
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode, read
from ruleedit.workflow import resolve_conflicts
from tests.commandline import Shop

MODES = ("overlay-hard", "overlay-soft", "retrain")


@pytest.fixture(scope="module")
def frame(shop: Shop) -> pd.DataFrame:
    return read(shop.csv).head(120)


class TestAgreement:
    @pytest.mark.parametrize("mode", ["model", *MODES])
    def test_with_the_batch(self, shop: Shop, frame: pd.DataFrame, mode: str) -> None:
        """A decision says what the prediction table says, bit for bit."""
        release = load(shop.model if mode == "model" else shop.release(mode))
        table = prediction_table(release, encode(frame, release.schema))
        for (_, row), decision in zip(table.iterrows(), decide_rows(release, frame), strict=True):
            assert (row["outcome"], row["model_outcome"], row["by"]) == (
                decision.outcome,
                decision.model_outcome,
                decision.by,
            )
            assert decision.rule == (None if pd.isna(row["rule"]) else row["rule"])
            assert decision.probabilities == {"approve": row["p_approve"], "deny": row["p_deny"]}

    def test_in_json(self, shop: Shop, frame: pd.DataFrame) -> None:
        """The keys of the contract; `moved` only where a row was moved."""
        for decision in decide_rows(load(shop.release("overlay-soft")), frame):
            keys = ["outcome", "probabilities", "model_outcome", "rule", "by", "reasons", "reason_codes", "change"]
            keys += ["warnings"]
            assert list(decision.to_json()) == keys + ["moved"] * (decision.by == "moved")


class TestReasons:
    def test_every_edited_row_names_its_rule(self, shop: Shop, frame: pd.DataFrame) -> None:
        """Held rows by the rule's text, the others by the rule that describes the model there."""
        texts = {f"{rule.id}: {rule}" for rule in canonical.read(shop.edited).rules}
        for decision in decide_rows(load(shop.release("overlay-hard")), frame):
            (reason,) = decision.reasons
            if decision.by == "overlay" and decision.rule == "R7":
                assert reason in texts
            elif decision.rule is None:
                described = reason.removeprefix("the model; described by ")
                assert described in texts or reason == "the model; no rule describes it, the default says approve"

    def test_a_remainder_is_a_rule(self, shop: Shop, frame: pd.DataFrame) -> None:
        """What an otherwise wrote is named by its own id and text."""
        model = load_model(shop.model)
        draft = edit(canonical.read(shop.rules), ["remove R1 otherwise approve"], reason="r")
        release = Release(model, "overlay-hard", draft)
        named = [d.reasons[0] for d in decide_rows(release, frame) if d.rule == "R1~1"]
        assert named
        assert set(named) == {f"R1~1: {draft.rules.rule('R1~1')}"}

    def test_a_rule_that_says_model_leaves_the_answer(self, shop: Shop, frame: pd.DataFrame) -> None:
        """It holds the row, and the model answers."""
        draft = edit(canonical.read(shop.rules), ["new IF age > 18 THEN model"], reason="r")
        release = Release(load_model(shop.model), "overlay-hard", draft)
        found = [decision for decision in decide_rows(release, frame) if decision.rule == "R7"]
        assert found
        assert all(decision.outcome == decision.model_outcome and decision.by == "model" for decision in found)

    def test_without_edits_there_is_none(self, shop: Shop, frame: pd.DataFrame) -> None:
        """A model alone has no rules to name, and a draft without edits describes what it does."""
        model = load_model(shop.model)
        assert {d.reasons for d in decide_rows(Release(model), frame)} == {()}
        untouched = Draft.of(canonical.read(shop.rules).base, model.schema)
        described = {d.reasons[0][:10] for d in decide_rows(Release(model, "overlay-hard", untouched), frame)}
        assert described == {"the model;"}


class TestChanges:
    @pytest.mark.parametrize("mode", [*MODES, "graft"])
    def test_every_change_names_its_edit_or_is_collateral(self, shop: Shop, mode: str) -> None:
        """Promise 19: the edit whose region holds the row, else the release; what isn't changed has no cause."""
        release = load(shop.release(mode))
        rows = encode(read(shop.csv), release.schema)
        held = release.feedback.assign(rows)
        causes = set()
        for decision, rule in zip(decide_encoded(release, rows, [[]] * len(rows)), held, strict=True):
            if decision.outcome == decision.model_outcome:
                assert decision.change is None
            elif rule < 0:
                assert decision.change == {"cause": "collateral", "release": release.draft.revision}
                causes.add("collateral")
            else:
                asked = release.feedback.rules[rule]
                texts = {"R7": "new IF age < 30 AND amount > 9000 THEN deny", "R2-uncovered": "remove R2"}
                assert (decision.change["rule"], decision.rule) == (asked.id, asked.id)
                assert [edit["edit"] for edit in decision.change["edits"]] == [texts[asked.id.removesuffix(".2")]]
                causes.add("edit")
        assert "edit" in causes
        assert ("collateral" in causes) <= (mode == "retrain")

    def test_an_edit_that_was_taken_back_is_not_named(self, shop: Shop) -> None:
        """Only the steps that stand made the rule what it is."""
        draft = edit(
            canonical.read(shop.rules),
            ["new IF age < 40 THEN deny", "set R7 age < 50", "undo", "confirm R7"],
            reason="r",
        )
        assert [step.edit for step in edits_of(draft, "R7")] == ["new IF age < 40 THEN deny", "confirm R7"]

    def test_a_settlement_is_named_with_the_rules(self, shop: Shop) -> None:
        """Rows that two rules hold and somebody settled: both edits and the settlement."""
        edits = ["new IF age < 40 THEN deny", "new IF amount > 4000 THEN approve"]
        draft = edit(canonical.read(shop.rules), edits, reason="r")
        settled = resolve_conflicts(draft, ("R7", "R8"), "mixture", weights="0.5 0.5", reason="r", author="")
        assert [step.edit for step in edits_of(settled, "R7+R8")][:2] == edits
        assert len(list(edits_of(settled, "R7+R8"))) == 3


class TestMoved:
    def test_holds_the_values_that_differ(self, shop: Shop, frame: pd.DataFrame) -> None:
        """The model, asked about the row with these values, answers as the decision says."""
        release = load(shop.release("overlay-soft"))
        moved = [(place, d) for place, d in enumerate(decide_rows(release, frame)) if d.moved is not None]
        assert moved
        for place, decision in moved:
            row = frame.iloc[[place]].astype(object)
            for name, value in (decision.moved or {}).items():
                row[name] = value
            answer = release.model.predict_proba(row)[0]
            assert dict(zip(release.schema.classes, answer.tolist(), strict=True)) == decision.probabilities


class TestWarnings:
    SCHEMA = Schema(
        (Feature("x", "numeric", low=0.1, high=1e6), Feature("c", "categorical", categories=("a",))), "y", ("p", "q")
    )

    def test_of_numbers_and_categories(self) -> None:
        """Of a value at a bound there is nothing to say."""
        rows = np.array([[0.1, 1.0], [0.05, 1.0], [1234567.5, 0.0], [np.nan, np.nan]])
        assert row_warnings(rows, self.SCHEMA) == [
            [],
            ["x: 0.05 is outside the schema's range, 0.1 to 1000000"],
            ["x: 1234567.5 is outside the schema's range, 0.1 to 1000000", "c: a category never seen before"],
            ["x: the value is missing", "c: the value is missing"],
        ]

    def test_of_an_open_range_never(self) -> None:
        """A feature without bounds allows every number."""
        schema = Schema((Feature("x", "numeric"),), "y", ("p", "q"))
        assert row_warnings(np.array([[-1e300], [1e300]]), schema) == [[], []]

    def test_travel_with_their_row(self, shop: Shop, frame: pd.DataFrame) -> None:
        """Each decision has its own row's warnings."""
        release = load(shop.release("overlay-hard"))
        rows = encode(frame.head(3), release.schema)
        found = decide_encoded(release, rows, [["one"], [], ["three"]])
        assert [decision.warnings for decision in found] == [("one",), (), ("three",)]


def test_rows_that_do_not_fit_are_refused(shop: Shop, frame: pd.DataFrame, tmp_path: Path) -> None:
    """As everywhere: a column that is gone, a text where a number belongs."""
    release = load(shop.release("overlay-hard"))
    with pytest.raises(MissingColumns):
        decide_rows(release, frame.drop(columns="age"))
    with pytest.raises(ValueRefused):
        decide_rows(release, frame.assign(age="old"))
    assert decide_rows(release, frame.head(0)) == []
