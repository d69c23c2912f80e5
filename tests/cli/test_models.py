"""The commands train, adopt, schema, extract, encode and predict: options, objects, files, tables of every kind."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from ruleedit.datasets import loans
from ruleedit.formats import canonical
from ruleedit.models.folder import load, save
from tests.commandline import Shop, answer, done, refused, run, three_classes


def predictions(what: object, data: object, out: Path) -> pd.DataFrame:
    """PRED.csv as text."""
    done("predict", what, data, "--out", out)
    return pd.read_csv(out, dtype=str, keep_default_na=False)


class TestTrain:
    def test_says_what_the_contract_asks_for(self, shop: Shop, tmp_path: Path) -> None:
        """Classes, rows and the figures on the held-out quarter; the folder holds the files of a model."""
        found = answer("train", shop.csv, "--target", "decision", "--out", tmp_path / "m")
        assert found["classes"] == ["approve", "deny"]
        assert found["rows"] == 700
        assert set(found["holdout"]) >= {"rows", "accuracy", "auc"}
        assert {path.name for path in (tmp_path / "m").iterdir()} >= {"model.txt", "schema.json", "holdout.csv"}

    def test_the_reported_accuracy_is_that_of_the_predictions(self, shop: Shop, tmp_path: Path) -> None:
        """Anybody can work the hold-out's accuracy out from holdout.csv and predict."""
        found = answer("train", shop.csv, "--target", "decision", "--out", tmp_path / "m")
        held = pd.read_csv(tmp_path / "m" / "holdout.csv")["row"]
        said = predictions(tmp_path / "m", shop.csv, tmp_path / "p.csv")["outcome"]
        truth = pd.read_csv(shop.csv, dtype=str)["decision"]
        assert len(held) == found["holdout"]["rows"] == 175
        assert (said[held] == truth[held]).mean() == pytest.approx(found["holdout"]["accuracy"], abs=1e-12)

    def test_the_same_seed_gives_the_same_bytes_and_replaces_what_is_there(self, shop: Shop, tmp_path: Path) -> None:
        """Training again into the same folder leaves it byte for byte as it was, with nothing beside it."""
        for _ in range(2):
            done("train", shop.csv, "--target", "decision", "--out", tmp_path / "m", "--seed", 4)
            files = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()}
            (tmp_path / "first").mkdir(exist_ok=True)
            for name, content in files.items():
                first = tmp_path / "first" / name
                if not first.exists():
                    first.write_bytes(content)
                assert first.read_bytes() == content
        assert {path.name for path in tmp_path.iterdir()} == {"m", "first"}

    def test_parquet_trains_the_same_model_as_csv(self, shop: Shop, tmp_path: Path) -> None:
        """The kind of file is no part of the table."""
        pd.read_csv(shop.csv).to_parquet(tmp_path / "loans.parquet")
        done("train", tmp_path / "loans.parquet", "--target", "decision", "--out", tmp_path / "m")
        assert (tmp_path / "m" / "model.txt").read_bytes() == (shop.model / "model.txt").read_bytes()

    def test_thresholds_move_the_decisions(self, shop: Shop, tmp_path: Path) -> None:
        """With approve=0.9 only rows with p >= 0.9 are approved."""
        done("train", shop.csv, "--target", "decision", "--out", tmp_path / "m", "--threshold", "approve=0.9")
        found = predictions(tmp_path / "m", shop.csv, tmp_path / "p.csv")
        assert ((found["p_approve"].astype(float) >= 0.9) == (found["outcome"] == "approve")).all()

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            (["approve"], "rule-text"),
            (["=0.5"], "rule-text"),
            (["approve=x"], "rule-text"),
            (["approve=0.5", "approve=0.6"], "rule-text"),
            (["aprove=0.5"], "unknown-class"),
            (["approve=1.5"], "outcome-refused"),
            (["approve=nan"], "outcome-refused"),
        ],
    )
    def test_a_threshold_that_is_none_is_refused(self, shop: Shop, tmp_path: Path, given: list[str], code: str) -> None:
        """Each names what is wrong, and no folder is written."""
        options = [part for text in given for part in ("--threshold", text)]
        refused(code, "train", shop.csv, "--target", "decision", "--out", tmp_path / "m", *options)
        assert not (tmp_path / "m").exists()

    def test_a_corrected_schema_holds(self, shop: Shop, tmp_path: Path) -> None:
        """What `schema --json` shows can be corrected, also by an editor that leaves a mark, and given to train."""
        schema = answer("schema", shop.model)
        income = next(feature for feature in schema["features"] if feature["name"] == "income")
        income |= {"high": 500_000, "missing": False}
        corrected = tmp_path / "schema.json"
        corrected.write_text("\ufeff" + json.dumps(schema), encoding="utf-8")
        done("train", shop.csv, "--target", "decision", "--schema", corrected, "--out", tmp_path / "m")
        shown = answer("schema", tmp_path / "m")
        assert next(f for f in shown["features"] if f["name"] == "income") == income

    def test_a_schema_of_another_target_is_refused(self, shop: Shop, tmp_path: Path) -> None:
        """The schema and --target must say the same."""
        schema = shop.model / "schema.json"
        line = refused(
            "file-refused", "train", shop.csv, "--target", "age", "--schema", schema, "--out", tmp_path / "m"
        )
        assert "'decision'" in line


class Adopted(NamedTuple):
    """Somebody's own model of the loans, saved as text, and what it became here."""

    folder: Path
    answers: npt.NDArray[np.float64]
    found: Any


@pytest.fixture(scope="module")
def adopted(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Adopted:
    """The table as they had it, with pandas categories; their p(deny); and what adopting it said."""
    folder = tmp_path_factory.mktemp("adopted")
    frame = pd.read_csv(shop.csv)
    features = frame.drop(columns="decision")
    for name in features.select_dtypes(["str", "object", "bool"]):
        features[name] = features[name].astype(str).where(features[name].notna()).astype("category")
    theirs = lightgbm.LGBMClassifier(n_estimators=15, verbose=-1).fit(features, frame["decision"])
    theirs.booster_.save_model(str(folder / "theirs.txt"))
    target = ["--target", "decision", "--classes", "approve,deny"]
    found = answer("adopt", folder / "theirs.txt", "--data", shop.csv, *target, "--out", folder / "m")
    return Adopted(folder / "m", np.asarray(theirs.predict_proba(features))[:, 1], found)


class TestAdopt:
    def test_answers_as_the_model_did(self, shop: Shop, adopted: Adopted, tmp_path: Path) -> None:
        """An adopted model gives the probabilities that its owner saw."""
        assert adopted.found["classes"] == ["approve", "deny"]
        said = predictions(adopted.folder, shop.csv, tmp_path / "p.csv")
        np.testing.assert_allclose(said["p_deny"].astype(float), adopted.answers, atol=1e-12)

    def test_goes_the_whole_way_to_a_release(self, shop: Shop, adopted: Adopted, tmp_path: Path) -> None:
        """Extract, edit and apply work on it as on a model of our own."""
        done("extract", adopted.folder, "--data", shop.csv, "--out", tmp_path / "r.json", "--max-clauses", 4)
        done("edit", tmp_path / "r.json", "new IF age < 22 THEN deny", "--reason", "r", "--out", tmp_path / "e.json")
        done(
            *("apply", adopted.folder, tmp_path / "e.json", "--data", shop.csv),
            *("--mode", "overlay-hard", "--out", tmp_path / "rel"),
        )
        young = pd.read_csv(shop.csv)["age"] < 22
        assert (predictions(tmp_path / "rel", shop.csv, tmp_path / "q.csv")["outcome"][young] == "deny").all()

    def test_encode_gives_the_codes_of_their_file(self, shop: Shop, adopted: Adopted, tmp_path: Path) -> None:
        """The numbers of encode, fed to the adopted file itself, give the same probabilities."""
        done("encode", adopted.folder, shop.csv, "--out", tmp_path / "x.csv")
        numbers = pd.read_csv(tmp_path / "x.csv").to_numpy()
        answers = np.asarray(lightgbm.Booster(model_file=str(adopted.folder / "model.txt")).predict(numbers))
        said = predictions(adopted.folder, shop.csv, tmp_path / "p.csv")["p_deny"].astype(float)
        np.testing.assert_array_equal(said, answers)

    def test_a_truncated_file_is_refused(self, shop: Shop, tmp_path: Path) -> None:
        """Half of a model file never reaches LightGBM."""
        text = (shop.model / "model.txt").read_text()
        (tmp_path / "half.txt").write_text(text[: len(text) // 2])
        target = ["--target", "decision", "--out", tmp_path / "m"]
        refused("model-file-refused", "adopt", tmp_path / "half.txt", "--data", shop.csv, *target)
        assert not (tmp_path / "m").exists()


class TestSchema:
    def test_is_the_file_of_the_folder(self, shop: Shop) -> None:
        """As JSON it is what schema.json holds; of a release too."""
        assert answer("schema", shop.model) == json.loads((shop.model / "schema.json").read_text())
        assert answer("schema", shop.release("overlay-hard")) == answer("schema", shop.model)

    def test_shows_every_feature_to_people(self, shop: Shop) -> None:
        """Each feature stands there with its kind and its values."""
        shown = done("schema", shop.grader).out
        assert "target grade: 1, high, mid" in shown
        assert re.search(r"hue colour +categorical +allowed +it's grey, red, sky blue", shown)


class TestExtract:
    def test_says_what_the_contract_asks_for(self, shop: Shop, tmp_path: Path) -> None:
        """Rules, clauses, fidelity on both sides, method and seconds; the budget is kept."""
        found = answer("extract", shop.model, "--data", shop.csv, "--out", tmp_path / "r.json", "--max-clauses", 5)
        assert set(found) >= {"rules", "clauses", "fidelity", "method", "seconds"}
        assert set(found["fidelity"]) == {"train", "holdout"}
        assert found["clauses"] <= 5
        assert len(json.loads((tmp_path / "r.json").read_text())["rules"]) == found["rules"]

    def test_people_read_one_rule_and_several_clauses(self, shop: Shop, tmp_path: Path) -> None:
        """A count of one has no s."""
        for budget, said in ((1, r"^1 rule, 1 clause agree"), (5, r"^\d+ rules?, [2-5] clauses agree")):
            out = tmp_path / "r.json"
            shown = done("extract", shop.model, "--data", shop.csv, "--out", out, "--max-clauses", budget).out
            assert re.search(said, shown, re.MULTILINE)

    def test_figures_of_training_rows_are_called_so(self, shop: Shop, tmp_path: Path) -> None:
        """A model that has no row held out is measured on what it was trained on, in the table and below it."""
        save(replace(load(shop.model), holdout=np.array([], dtype=np.intp)), tmp_path / "m")
        shown = done("extract", tmp_path / "m", "--data", shop.csv, "--out", tmp_path / "r.json").out
        assert re.search(r"^ +training +model", shown, re.MULTILINE)
        assert "of training rows" in shown
        assert "held-out" not in shown
        assert re.search(r"^ +held-out +model", done("show", shop.rules).out, re.MULTILINE)

    def test_twice_gives_the_same_bytes(self, shop: Shop, tmp_path: Path) -> None:
        """The same seed, data and versions: the same file."""
        done("extract", shop.model, "--data", shop.csv, "--out", tmp_path / "r.json", "--max-clauses", 10)
        assert (tmp_path / "r.json").read_bytes() == shop.rules.read_bytes()

    def test_the_file_holds_no_time_and_no_path(self, shop: Shop) -> None:
        """Nothing in it depends on when or where it was made."""
        text = shop.rules.read_text()
        assert str(shop.folder) not in text
        assert shop.csv.name not in text
        assert not re.search(r"20\d\d-\d\d|seconds|\d:\d\d:\d\d", text)

    def test_the_fidelity_is_that_of_the_predictions(self, shop: Shop, tmp_path: Path) -> None:
        """The rules' own answers agree with the model's on the held-out rows as often as extract says."""
        found = answer("extract", shop.grader, "--data", shop.grades, "--out", tmp_path / "r.json")
        held = pd.read_csv(shop.grader / "holdout.csv")["row"]
        model = predictions(shop.grader, shop.grades, tmp_path / "m.csv")["outcome"]
        rules = predictions(tmp_path / "r.json", shop.grades, tmp_path / "r.csv")["outcome"]
        assert (model == rules)[held].mean() == pytest.approx(found["fidelity"]["holdout"], abs=1e-12)

    def test_another_table_has_a_held_out_quarter_of_its_own(self, shop: Shop, tmp_path: Path) -> None:
        """A table that the model wasn't trained on, without the target, serves as well."""
        loans(120, seed=9).drop(columns="decision").to_csv(tmp_path / "new.csv", index=False)
        found = answer("extract", shop.model, "--data", tmp_path / "new.csv", "--out", tmp_path / "r.json")
        assert found["fidelity"]["holdout"] is not None
        assert json.loads((tmp_path / "r.json").read_text())["origin"]["holdout"]["rows"] == 30

    def test_a_release_is_accepted(self, shop: Shop, tmp_path: Path) -> None:
        """Rules of a release are rules of its model file."""
        done(
            "extract",
            shop.release("overlay-hard"),
            "--data",
            shop.csv,
            "--out",
            tmp_path / "r.json",
            "--max-clauses",
            10,
        )
        assert (tmp_path / "r.json").read_bytes() == shop.rules.read_bytes()

    def test_the_reference_method_is_there(self, shop: Shop, tmp_path: Path) -> None:
        """aix360-brcg extracts rules through the same command."""
        found = answer(
            *("extract", shop.grader, "--data", shop.grades, "--out", tmp_path / "r.json"),
            *("--method", "aix360-brcg", "--max-clauses", 6),
        )
        assert found["method"] == "aix360-brcg"
        assert found["fidelity"]["holdout"] > 0.6

    def test_people_read_the_rules_and_how_far_they_agree(self, shop: Shop, tmp_path: Path) -> None:
        """The rules stand there as a table, and below them what they are worth."""
        shown = done("extract", shop.grader, "--data", shop.grades, "--out", tmp_path / "r.json").out
        assert re.search(r"\nR1 +IF size .* THEN ", shown)
        assert re.search(
            r"\n\d+ rules, \d+ clauses agree with the model on \d+\.\d% of held-out rows \(column-generation, ", shown
        )
        assert re.search(r"95% interval \d+\.\d% to \d+\.\d%\)\n", shown)
        assert re.search(r"\nwhere the model says high +\d+ +\d+\.\d% +\d+\.\d% to \d+\.\d%\n", shown)

    @pytest.mark.parametrize(("limit", "size"), [("seconds", 1e-6), ("memory", 1)])
    def test_a_limit_that_cuts_is_named(self, shop: Shop, tmp_path: Path, limit: str, size: float) -> None:
        """For people and machines; the rules so far are within the budget of clauses."""
        extract = ("extract", shop.model, "--data", shop.csv, "--out", tmp_path / "r.json", "--max-clauses", 4)
        found = answer(*extract, f"--{limit}", size)
        assert found["cut"] == limit
        assert found["clauses"] <= 4
        assert (
            f"note: the limit of {limit} ended the search; this is the result so far"
            in done(*extract, f"--{limit}", size).out
        )
        assert answer(*extract)["cut"] is None

    def test_says_where_the_rules_are_wrong(self, shop: Shop, tmp_path: Path) -> None:
        """The share that they don't explain is what fidelity leaves, for people and machines."""
        extract = ("extract", shop.model, "--data", shop.csv, "--out", tmp_path / "r.json", "--max-clauses", 2)
        found = answer(*extract)
        missed = found["unexplained"]
        assert missed["share"] == pytest.approx(1.0 - found["fidelity"]["holdout"])
        assert missed["measured"] == "holdout"
        assert found["measured"]["holdout"]["by_class"].keys() == {"approve", "deny"}
        shown = done(*extract).out
        assert f"unexplained: {100 * missed['share']:.1f}% of rows, mostly " in shown
        for region in missed["regions"]:
            assert f"  {region['where']}: {region['rows']} rows, " in shown

    def test_rules_answer_with_probabilities_where_asked(self, shop: Shop, tmp_path: Path) -> None:
        """The same rules and answers; each outcome is a distribution that sums to 1."""
        out = tmp_path / "r.json"
        answer("extract", shop.model, "--data", shop.csv, "--out", out, "--max-clauses", 10, "--probabilities")
        plain, spread = (predictions(rules, shop.csv, tmp_path / "p.csv") for rules in (shop.rules, out))
        for column in ("outcome", "rule"):
            assert (plain[column] == spread[column]).all()
        shares = spread["p_approve"].astype(float)
        assert (shares + spread["p_deny"].astype(float)).tolist() == pytest.approx([1.0] * len(shares))
        assert ((shares > 0.0) & (shares < 1.0)).any()

    def test_says_how_stable_the_rules_are_where_asked(self, shop: Shop, tmp_path: Path) -> None:
        """A figure for each rule and the default, in JSON, in the rule file and as a column."""
        extract = ("extract", shop.grader, "--data", shop.grades, "--out", tmp_path / "r.json", "--stability", 2)
        found = answer(*extract)
        rules = canonical.read(tmp_path / "r.json")
        assert list(found["stability"]) == [*rules.rules.ids, "default"]
        assert rules.origin["stability"] == found["stability"]
        assert re.search(r"back\n", done("show", tmp_path / "r.json").out)
        assert "1 to 200" in refused("refused", *extract[:-1], 1_000)


class TestPredict:
    @pytest.mark.parametrize("of", ["grader", "grading", "release"])
    def test_has_the_columns_of_the_contract(self, shop: Shop, tmp_path: Path, of: str) -> None:
        """A model, a rule file and a release give the same columns, one row a row."""
        what = {"grader": shop.grader, "grading": shop.grading, "release": shop.release("overlay-hard")}[of]
        data, classes = (shop.csv, ["approve", "deny"]) if of == "release" else (shop.grades, ["1", "high", "mid"])
        found = predictions(what, data, tmp_path / "p.csv")
        assert list(found) == ["outcome", *(f"p_{name}" for name in classes), "model_outcome", "rule", "by"]
        assert len(found) == len(pd.read_csv(data))
        assert set(found["outcome"]) <= set(classes)

    def test_a_model_answers_for_itself(self, shop: Shop, tmp_path: Path) -> None:
        """Without edits every answer is the model's own, and no rule is named."""
        found = predictions(shop.model, shop.csv, tmp_path / "p.csv")
        assert (found["outcome"] == found["model_outcome"]).all()
        assert set(found["by"]) == {"model"}
        assert set(found["rule"]) == {""}

    def test_rules_answer_by_first_match(self, shop: Shop, tmp_path: Path) -> None:
        """A rule file names the rule that decides, or none for the default, and asks no model."""
        found = predictions(shop.grading, shop.grades, tmp_path / "p.csv")
        frame = pd.read_csv(shop.grades)
        first = json.loads(shop.grading.read_text())["rules"][0]
        assert first["text"].startswith("IF size > ")
        here = frame["size"] > float(first["text"].split()[3])
        assert (found["rule"][here] == first["id"]).all()
        assert (found["rule"][~here] != first["id"]).all()
        assert set(found["by"]) == {"rules"}
        assert set(found["model_outcome"]) == {""}

    def test_the_target_column_and_others_are_not_needed(self, shop: Shop, tmp_path: Path) -> None:
        """Only the features count, in whatever order they stand."""
        frame = pd.read_csv(shop.csv)
        other = frame.drop(columns="decision")[sorted(frame.columns.drop("decision"))].assign(more="x")
        other.to_parquet(tmp_path / "new.parquet")
        mine = predictions(shop.model, tmp_path / "new.parquet", tmp_path / "p.csv")
        assert mine.equals(predictions(shop.model, shop.csv, tmp_path / "q.csv"))

    def test_sums_up_for_machines_and_for_people(self, shop: Shop, tmp_path: Path) -> None:
        """How many rows have which outcome."""
        found = answer("predict", shop.grader, shop.grades, "--out", tmp_path / "p.csv")
        assert found["rows"] == 600
        assert sum(found["outcomes"].values()) == 600
        assert re.search(r"mid +\d+ +\d", done("predict", shop.grader, shop.grades, "--out", tmp_path / "p.csv").out)


class TestEncode:
    def test_gives_the_numbers_that_the_file_expects(self, shop: Shop, tmp_path: Path) -> None:
        """LightGBM alone, on encode's numbers, answers as predict does, with three classes and missing values too."""
        for model, data in ((shop.model, shop.csv), (shop.grader, shop.grades)):
            done("encode", model, data, "--out", tmp_path / "x.csv")
            numbers = pd.read_csv(tmp_path / "x.csv").to_numpy()
            answers = np.asarray(lightgbm.Booster(model_file=str(model / "model.txt")).predict(numbers))
            said = predictions(model, data, tmp_path / "p.csv").filter(like="p_").astype(float).to_numpy()
            np.testing.assert_array_equal(said[:, 1] if answers.ndim == 1 else said, answers)

    def test_says_what_it_wrote(self, shop: Shop, tmp_path: Path) -> None:
        """The object holds the rows and the columns, for a release as for a model."""
        found = answer("encode", shop.release("overlay-hard"), shop.csv, "--out", tmp_path / "x.csv")
        assert found == {"rows": 700, "columns": list(pd.read_csv(tmp_path / "x.csv"))}
        assert "700 rows of 11 numbers" in done("encode", shop.model, shop.csv, "--out", tmp_path / "x.csv").out


class TestOddTables:
    def test_classes_that_look_like_numbers_go_all_the_way(self, tmp_path: Path) -> None:
        """Classes 0 and 1 are text: quoted in an edit, plain in the predictions."""
        frame = three_classes(200).drop(columns="grade")
        frame["y"] = (frame["size"] > 50).astype(int)
        frame.to_csv(tmp_path / "t.csv", index=False)
        done("train", tmp_path / "t.csv", "--target", "y", "--out", tmp_path / "m")
        done("extract", tmp_path / "m", "--data", tmp_path / "t.csv", "--out", tmp_path / "r.json")
        rule = "new IF `hue colour` = 'it''s grey' THEN '1'"
        done("edit", tmp_path / "r.json", rule, "--reason", "r", "--out", tmp_path / "e.json")
        done(
            *("apply", tmp_path / "m", tmp_path / "e.json", "--data", tmp_path / "t.csv"),
            *("--mode", "overlay-hard", "--out", tmp_path / "rel"),
        )
        found = predictions(tmp_path / "rel", tmp_path / "t.csv", tmp_path / "p.csv")
        assert (found["outcome"][frame["hue colour"] == "it's grey"] == "1").all()

    def test_a_table_may_have_columns_named_as_ours(self, shop: Shop, tmp_path: Path) -> None:
        """Impact's rows keep the table's own `row` and `outcome_after` and write theirs beside them."""
        frame = pd.read_csv(shop.csv).assign(row="mine", outcome_after="mine")
        frame.to_csv(tmp_path / "t.csv", index=False)
        out = tmp_path / "rows.csv"
        found = answer("impact", shop.model, shop.edited, "--data", tmp_path / "t.csv", "--rows", out)
        rows = pd.read_csv(out)
        assert len(rows) == found["changed"] > 0
        assert set(rows["row"]) == set(rows["outcome_after"]) == {"mine"}
        assert set(rows["outcome_after_"]) <= {"approve", "deny"}
        assert rows["row_"].is_monotonic_increasing

    def test_a_failed_command_leaves_the_old_output(self, shop: Shop, tmp_path: Path) -> None:
        """What was there before a refusal is there after it, and nothing beside it."""
        out = tmp_path / "p.csv"
        out.write_text("mine")
        assert run("predict", shop.model, shop.grades, "--out", out).status == 2
        assert out.read_text() == "mine"
        assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]
