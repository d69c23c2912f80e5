"""The commands apply, predict and explain with a release in each mode."""

from __future__ import annotations

import json
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

from ruleedit.datasets import loans
from ruleedit.release import load
from tests.commandline import Shop, answer, done, refused

MODES = ("overlay-hard", "overlay-soft", "retrain")


def predictions(what: object, data: object, out: Path) -> pd.DataFrame:
    """PRED.csv, with its numbers as numbers."""
    done("predict", what, data, "--out", out)
    return pd.read_csv(out, keep_default_na=False)


@pytest.fixture
def young(shop: Shop) -> pd.Series:
    """The rows of the rule that was added."""
    frame = pd.read_csv(shop.csv)
    return (frame["age"] < 30) & (frame["amount"] > 9000)


class TestApply:
    @pytest.mark.parametrize("mode", MODES)
    def test_says_what_the_contract_asks_for(self, shop: Shop, mode: str) -> None:
        """Per feedback rule coverage and agreement before and after; outside F1 and flips; trainings, rows, seconds."""
        report = shop.report(mode)
        assert set(report) >= {"mode", "feedback", "outside", "trainings", "synthetic", "seconds"}
        assert report["mode"] == mode
        assert report["held_out"] == {"rows": 175, "of": "the model's own hold-out"}
        assert set(report["outside"]) >= {"f1_before", "f1_after", "flips"}
        for item in report["feedback"]:
            assert set(item) >= {"rule", "outcome", "coverage", "mra_before", "mra_after"}

    def test_a_retraining_says_what_it_took_beside_a_training(self, shop: Shop) -> None:
        """In the answer seconds of both; in the report, which is kept, the rows that boosting went through."""
        report = shop.report("retrain")
        assert report["seconds"] > 0.0
        assert report["seconds_plain_retraining"] > 0.0
        assert "times as many as in one training of the model in force" in report["notes"][-1]
        kept = load(shop.release("retrain")).report
        assert kept["notes"] == report["notes"]
        assert not [name for name in kept if name.startswith("seconds")]
        assert shop.report("overlay-hard")["seconds_plain_retraining"] is None

    def test_a_hard_overlay_agrees_everywhere_and_changes_nothing_else(self, shop: Shop) -> None:
        """Agreement is 1 on every rule that covers a row, and outside nothing flips."""
        report = shop.report("overlay-hard")
        assert {item["mra_after"] for item in report["feedback"] if item["coverage"]} == {1.0}
        assert report["outside"]["flips"] == 0.0

    def test_the_release_folder_holds_the_model_file(self, shop: Shop) -> None:
        """model.txt is there in every mode; an overlay's is the model's own, byte for byte."""
        for mode in MODES:
            same = (shop.release(mode) / "model.txt").read_bytes() == (shop.model / "model.txt").read_bytes()
            assert same == (mode != "retrain")

    def test_of_another_table_every_row_counts_as_held_out(self, shop: Shop, tmp_path: Path) -> None:
        """The report says which rows it is about."""
        loans(150, seed=8).to_parquet(tmp_path / "new.parquet")
        out = ["--mode", "overlay-hard", "--out", tmp_path / "rel"]
        report = answer("apply", shop.model, shop.edited, "--data", tmp_path / "new.parquet", *out)
        assert report["held_out"] == {"rows": 150, "of": "every row of this table"}

    def test_a_release_is_accepted_and_replaced_whole(self, shop: Shop, tmp_path: Path) -> None:
        """Applying to a release puts the rules on its model, and a release that is there gives way."""
        arguments = ["apply", shop.release("overlay-soft"), shop.edited, "--data", shop.csv]
        for mode in ("overlay-soft", "overlay-hard"):
            done(*arguments, "--mode", mode, "--out", tmp_path / "rel")
        want = predictions(shop.release("overlay-hard"), shop.csv, tmp_path / "p.csv")
        assert predictions(tmp_path / "rel", shop.csv, tmp_path / "q.csv").equals(want)
        assert answer("impact", tmp_path / "rel", shop.edited, "--data", shop.csv)["rows"] == 700

    def test_for_people(self, shop: Shop, tmp_path: Path) -> None:
        """What each rule asks for, before and after, what happened outside, and on which rows."""
        out = ["--mode", "overlay-soft", "--out", tmp_path / "rel"]
        shown = done("apply", shop.model, shop.edited, "--data", shop.csv, *out).out
        for text in ("asks for", "R7", "outside: macro F1", "of decisions changed (the model's own hold-out)", "rel: "):
            assert text in shown

    def test_probabilities_that_are_asked_for_are_shown_with_how_far_they_are_off(
        self, shop: Shop, tmp_path: Path
    ) -> None:
        """Before and after; of two classes alike it says that agreement is no measure, where a model is retrained."""
        text = "new IF age <= 40 AND amount > 9000 THEN approve 0.5, deny 0.5"
        done("edit", shop.rules, text, "--reason", "r", "--out", tmp_path / "even.json")
        arguments = ["apply", shop.model, tmp_path / "even.json", "--data", shop.csv, "--out", tmp_path / "rel"]
        shown = done(*arguments, "--mode", "overlay-hard").out
        assert "off before" in shown
        assert "off after" in shown
        assert "0.000\n" in shown
        assert "alike" not in shown
        shown = done(*arguments, "--mode", "retrain", "--no-baseline").out
        assert "R7 gives two classes alike" in shown
        assert "off before" not in done("apply", shop.model, shop.edited, *arguments[3:], "--mode", "overlay-hard").out


class TestPredict:
    def test_hard(self, shop: Shop, tmp_path: Path, young: pd.Series) -> None:
        """In the region the rule's outcome with p exactly 1 and 0; where nothing is asked the model, bit for bit."""
        found = predictions(shop.release("overlay-hard"), shop.csv, tmp_path / "p.csv")
        plain = predictions(shop.model, shop.csv, tmp_path / "q.csv")
        assert set(found["outcome"][young]) == {"deny"}
        assert set(found["p_deny"][young]) == {1.0}
        assert set(found["by"][young]) == {"overlay"}
        assert set(found["rule"][young]) == {"R7"}
        free = found["rule"] == ""
        assert set(found["by"][free]) == {"model"}
        assert found[["outcome", "p_approve", "p_deny"]][free].equals(plain[["outcome", "p_approve", "p_deny"]][free])
        assert found["model_outcome"].equals(plain["outcome"])

    def test_soft(self, shop: Shop, tmp_path: Path, young: pd.Series) -> None:
        """A moved row's answer is the model's, about other values; a row that isn't moved keeps its own."""
        found = predictions(shop.release("overlay-soft"), shop.csv, tmp_path / "p.csv")
        plain = predictions(shop.model, shop.csv, tmp_path / "q.csv")
        moved = found["by"] == "moved"
        assert moved[young].any()
        assert set(found["by"]) == {"moved", "model"}
        assert found["p_deny"][~moved].equals(plain["p_deny"][~moved])
        assert (found["p_deny"][moved] != plain["p_deny"][moved]).any()

    def test_retrained(self, shop: Shop, tmp_path: Path, young: pd.Series) -> None:
        """The model file alone answers: LightGBM on encode's numbers gives the same, and the rule is only named."""
        release = shop.release("retrain")
        found = predictions(release, shop.csv, tmp_path / "p.csv")
        done("encode", release, shop.csv, "--out", tmp_path / "x.csv")
        booster = lightgbm.Booster(model_file=str(release / "model.txt"))
        answers = np.asarray(booster.predict(pd.read_csv(tmp_path / "x.csv").to_numpy()))
        np.testing.assert_array_equal(found["p_deny"], answers)
        assert set(found["by"]) == {"retrained"}
        assert set(found["rule"][young]) == {"R7"}
        plain = predictions(shop.model, shop.csv, tmp_path / "q.csv")
        assert found["model_outcome"].equals(plain["outcome"])


class TestExplain:
    def row(self, what: Path, shop: Shop, tmp_path: Path, **wanted: str) -> int:
        """The first row that is answered so."""
        found = predictions(what, shop.csv, tmp_path / "p.csv")
        return int(np.flatnonzero(np.all([found[name] == value for name, value in wanted.items()], axis=0))[0])

    def test_an_overlay(self, shop: Shop, tmp_path: Path) -> None:
        """The rule that holds the row is the reason, word for word."""
        release = shop.release("overlay-hard")
        row = self.row(release, shop, tmp_path, rule="R7")
        found = answer("explain", release, shop.csv, "--row", row)
        assert (found["outcome"], found["by"], found["rule"]) == ("deny", "overlay", "R7")
        assert found["probabilities"] == {"approve": 0.0, "deny": 1.0}
        assert found["reasons"] == ["R7: IF age < 30 AND amount > 9000 THEN deny"]
        shown = done("explain", release, shop.csv, "--row", row).out
        assert shown.startswith("deny (by overlay, rule R7)\nthe model's own outcome: ")
        assert "because: R7: IF age < 30" in shown

    def test_a_moved_row(self, shop: Shop, tmp_path: Path) -> None:
        """It shows the values that the model was asked about, and only those that differ."""
        release = shop.release("overlay-soft")
        row = self.row(release, shop, tmp_path, by="moved")
        found = answer("explain", release, shop.csv, "--row", row)
        mine = json.loads(pd.read_csv(shop.csv).iloc[row].to_json())
        assert found["moved"]
        assert all(mine[name] != value for name, value in found["moved"].items())
        assert "the model was asked about: " in done("explain", release, shop.csv, "--row", row).out

    def test_an_uncovered_row(self, shop: Shop, tmp_path: Path) -> None:
        """The reason names the rule that the row was taken from."""
        release = shop.release("overlay-hard")
        row = self.row(release, shop, tmp_path, rule="R2-uncovered")
        assert answer("explain", release, shop.csv, "--row", row)["reasons"][0].startswith(
            "R2-uncovered: rows that an edit took from R2 THEN "
        )

    def test_a_settled_row(self, shop: Shop, tmp_path: Path) -> None:
        """The reason says that two rules met and what was settled."""
        edits = ["new IF age < 30 THEN deny", "new IF amount > 9000 THEN approve"]
        done("edit", shop.rules, *edits, "--reason", "r", "--out", tmp_path / "e.json")
        done("resolve", tmp_path / "e.json", "--strategy", "mixture", "--out", tmp_path / "e.json")
        out = ["--mode", "overlay-hard", "--out", tmp_path / "rel"]
        done("apply", shop.model, tmp_path / "e.json", "--data", shop.csv, *out)
        row = self.row(tmp_path / "rel", shop, tmp_path, rule="R7+R8")
        found = answer("explain", tmp_path / "rel", shop.csv, "--row", row)
        assert found["probabilities"] == {"approve": 0.5, "deny": 0.5}
        assert found["reasons"][0].startswith("R7+R8: settled where age <= 29")

    def test_a_row_that_nothing_is_asked_for(self, shop: Shop, tmp_path: Path) -> None:
        """The model decides, and the rule that describes it is named; without edits there is no reason to give."""
        row = self.row(shop.release("overlay-hard"), shop, tmp_path, by="model")
        found = answer("explain", shop.release("overlay-hard"), shop.csv, "--row", row)
        assert found["rule"] is None
        assert found["reasons"][0].startswith("the model; ")
        assert answer("explain", shop.model, shop.csv, "--row", row)["reasons"] == []

    def test_looks_at_the_row_closely(self, shop: Shop, tmp_path: Path) -> None:
        """What the rules lack, what the model looks at, and changes that really change either answer."""
        release = shop.release("overlay-hard")
        row = self.row(release, shop, tmp_path, rule="R7")
        view = answer("explain", release, shop.csv, "--row", row)["local"]
        assert view["rules"]["rule"] == "R7"
        assert [near["outcome"] for near in view["rules"]["nearest"]] == ["approve"]
        frame = pd.read_csv(shop.csv).iloc[[row]].astype(object)
        for what, column, change in (
            (shop.edited, "outcome", view["rules"]["change"]),
            (release, "model_outcome", view["model"]["change"]),
        ):
            changed = frame.assign(**{name: each["to"] for name, each in change["changes"].items()})
            changed.to_csv(tmp_path / "changed.csv", index=False)
            before, after = (
                predictions(what, table, tmp_path / "p.csv")[column] for table in (shop.csv, tmp_path / "changed.csv")
            )
            assert after[0] == change["outcome"] != before[row]
        shown = done("explain", release, shop.csv, "--row", row).out
        for line in ("the rules: R7: IF age < 30", "nearest that says approve: ", "around the row: IF ", "but: IF "):
            assert f"\n{line}" in shown
        assert shown.count("smallest change") == 2

    def test_a_model_without_rules_is_looked_at_too(self, shop: Shop) -> None:
        """There is nothing to say of rules."""
        view = answer("explain", shop.grader, shop.grades, "--row", 3)["local"]
        assert view["rules"] is None
        assert view["model"]["change"]["least"]
        assert "the rules:" not in done("explain", shop.grader, shop.grades, "--row", 3).out

    def test_a_bad_cell_is_named_by_its_own_row(self, shop: Shop, tmp_path: Path) -> None:
        """Not by its place in the one-row table that is looked at; other rows may be bad."""
        frame = pd.read_csv(shop.csv, dtype=str).head(9)
        frame.loc[[2, 7], "age"] = "old"
        frame.to_csv(tmp_path / "t.csv", index=False)
        line = refused("value-refused", "explain", shop.model, tmp_path / "t.csv", "--row", 7)
        assert "row 7 (counted from 0), column 'age': 'old' is no number" in line
        done("explain", shop.model, tmp_path / "t.csv", "--row", 3)

    def test_warns_of_what_was_never_seen(self, shop: Shop, tmp_path: Path) -> None:
        """A new category and a number out of range are answered, with a warning each."""
        frame = pd.read_csv(shop.csv).head(1).assign(purpose="yacht", income=999_999)
        frame.to_csv(tmp_path / "t.csv", index=False)
        found = answer("explain", shop.model, tmp_path / "t.csv", "--row", 0)
        assert found["warnings"] == [
            "income: 999999 is outside the schema's range, 2800 to 125000",
            "purpose: a category never seen before",
        ]
        assert "warning: purpose" in done("explain", shop.model, tmp_path / "t.csv", "--row", 0).out
