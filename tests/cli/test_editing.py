"""The commands edit, impact, conflicts, resolve, history, show and export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ruleedit.formats import EXPORTS, canonical
from tests.commandline import Shop, answer, done, refused, run

NEW = "new IF age < 30 THEN deny"


def edited(rules: Path, out: Path, *edits: str, **options: str) -> Any:
    """Edit, and return the new file's object."""
    more = [part for name, value in options.items() for part in (f"--{name.rstrip('_')}", value)]
    done("edit", rules, *edits, "--reason", "because", *more, "--out", out)
    return json.loads(out.read_text())


def texts(file: Any) -> dict[str, str]:
    """The rules by id."""
    return {rule["id"]: rule["text"] for rule in file["rules"]}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A rule file to write."""
    return tmp_path / "out.json"


@pytest.fixture
def two(shop: Shop, tmp_path: Path) -> Path:
    """Two rules at odds: R7 denies the young, R8 approves large loans."""
    edited(shop.rules, tmp_path / "two.json", NEW, "new IF amount > 9000 THEN approve")
    return tmp_path / "two.json"


class TestEdit:
    def test_the_whole_list(self, shop: Shop, out: Path) -> None:
        """Every edit of the contract is made, in one command, and each is a step of the history."""
        edits = [
            "new IF age > 60 AND income < 20000 AND gender = male THEN deny",
            "set R7 age > 61",
            "set R7 age > 61 to age > 62 otherwise model",
            "add R7 months >= 12",
            "drop R7 gender",
            "then R7 approve 0.9, deny 0.1",
            "duplicate R7",
            "disable R1 otherwise deny",
            "enable R1",
            "remove R2 otherwise deny",
            "move R3 before R1",
            "confirm R4",
            "default deny",
            "undo",
            "redo",
        ]
        file = edited(shop.rules, out, *edits)
        assert [step["edit"] for step in file["history"]] == edits
        assert file["default"] == "deny"
        assert texts(file)["R7"] == "IF age > 62 AND income < 20000 AND months >= 12 THEN approve 0.9, deny 0.1"
        assert "R2" not in texts(file)
        assert [rule["enabled"] for rule in file["rules"] if rule["id"] == "R8"] == [False]

    def test_says_the_hashes_and_the_warnings(self, shop: Shop, out: Path) -> None:
        """The object holds content, revision, how many edits, and what they don't mend by themselves."""
        found = answer("edit", shop.rules, NEW, "new IF age < 25 THEN deny", "--reason", "r", "--out", out)
        file = json.loads(out.read_text())
        assert (found["content"], found["revision"], found["edits"]) == (file["content"], file["revision"], 2)
        assert any("R8 never decides" in warning for warning in found["warnings"])

    def test_all_or_none(self, shop: Shop, out: Path) -> None:
        """One edit that can't be made, and none is; no file is written."""
        refused("unknown-rule", "edit", shop.rules, NEW, "drop R99 age", "--reason", "r", "--out", out)
        assert not out.exists()

    def test_in_place(self, shop: Shop, out: Path) -> None:
        """A rule file can be replaced by its own edit, and a refusal leaves it as it was."""
        edited(shop.rules, out, NEW)
        edited(out, out, "then R7 approve")
        before = out.read_bytes()
        refused("edit-refused", "edit", out, "then R7 approve", "--reason", "r", "--out", out)
        assert out.read_bytes() == before

    def test_undo_and_redo(self, shop: Shop, out: Path) -> None:
        """Undoing all gives the content back under a new revision; redo makes the edit again."""
        start = json.loads(shop.rules.read_text())
        changed = edited(shop.rules, out, NEW)
        back = edited(out, out, "undo")
        assert back["content"] == start["content"]
        assert back["revision"] != start["revision"]
        again = edited(out, out, "redo")
        assert again["content"] == changed["content"]
        assert again["revision"] != changed["revision"]
        refused("edit-refused", "edit", out, "redo", "--reason", "r", "--out", out)

    def test_assert_change_asks_for_less(self, shop: Shop, out: Path) -> None:
        """Limited to the change, a rule leaves rows alone on which base and edited rules answer the same."""
        covered = []
        for asserts in ("whole", "change"):
            edited(shop.rules, out, "new IF amount <= 9000 THEN deny", **{"assert": asserts})
            covered.append(answer("impact", shop.model, out, "--data", shop.csv)["covered"])
        assert covered[0] > covered[1] > 0

    def test_another_assertion_is_refused(self, shop: Shop, out: Path) -> None:
        """Only whole and change are known."""
        refused("rule-text", "edit", shop.rules, NEW, "--assert", "some", "--reason", "r", "--out", out)

    def test_the_author_is_kept(self, shop: Shop, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The one who is named, and else who is logged in."""
        assert edited(shop.rules, out, NEW, author="ann")["history"][0]["author"] == "ann"
        monkeypatch.setenv("LOGNAME", "bob")
        assert edited(shop.rules, out, NEW)["history"][0]["author"] == "bob"

    def test_two_ways_to_the_same_rules_have_the_same_content(self, shop: Shop, tmp_path: Path) -> None:
        """Content says what the rules say; the revision remembers the way."""
        one = edited(shop.rules, tmp_path / "1.json", NEW)
        other = edited(shop.rules, tmp_path / "2.json", "new IF age < 31 THEN deny", "set R7 age < 30")
        assert one["content"] == other["content"]
        assert one["revision"] != other["revision"]


class TestHistory:
    def test_says_who_what_and_why(self, shop: Shop) -> None:
        """Each step with its edit, author, reason and revision."""
        steps = answer("history", shop.edited)["history"]
        assert [(step["author"], step["reason"]) for step in steps] == [("ann", "policy 7")] * 2
        shown = done("history", shop.edited).out
        assert "remove R2" in shown
        assert steps[1]["revision"][:12] in shown

    def test_of_nothing(self, shop: Shop) -> None:
        """Rules as extracted have none."""
        assert done("history", shop.rules).out == "nothing was edited\n"
        assert answer("history", shop.rules)["history"] == []


class TestShowAndExport:
    def test_show_is_the_file_for_machines(self, shop: Shop) -> None:
        """The object is what the file holds, with the keys of the contract."""
        shown = answer("show", shop.edited)
        assert shown == json.loads(shop.edited.read_text())
        assert set(shown) >= {"schema", "rules", "default", "settlements", "history", "content", "revision"}
        assert all({"id", "text", "outcome", "asserted", "enabled"} <= set(rule) for rule in shown["rules"])

    def test_every_format_is_written(self, shop: Shop, tmp_path: Path) -> None:
        """Byte for byte what the format makes of the rules."""
        for form, export in EXPORTS.items():
            if form == "trxf":
                continue
            done("export", shop.edited, "--format", form, "--out", tmp_path / form)
            made = export(canonical.read(shop.edited))
            same = made if isinstance(made, bytes) else made.encode()
            assert form == "dmn-xlsx" or (tmp_path / form).read_bytes() == same

    def test_a_refused_export_leaves_no_older_one(self, shop: Shop, tmp_path: Path) -> None:
        """The file of other rules is gone, so that nobody takes it for these; a slip in the command touches nothing."""
        rules, out = tmp_path / "rules.json", tmp_path / "x.pmml"
        done("export", shop.rules, "--format", "pmml", "--out", out)
        done("edit", shop.rules, "new IF age < 30 THEN model", "--reason", "r", "--out", rules)
        refused("refused", "export", rules, "--format", "pmm", "--out", out)
        refused("refused", "export", rules, "--format", "pmml", "--dialect", "tsql", "--out", out)
        assert out.exists()
        assert "PMML can't say it" in refused("refused", "export", rules, "--format", "pmml", "--out", out)
        assert not out.exists()

    def test_export_as_json_is_the_file(self, shop: Shop, tmp_path: Path) -> None:
        """The canonical format is lossless."""
        found = answer("export", shop.edited, "--format", "json", "--out", tmp_path / "x.json")
        assert found["format"] == "json"
        assert (tmp_path / "x.json").read_bytes() == shop.edited.read_bytes()
        assert "as json" in done("export", shop.edited, "--format", "json", "--out", tmp_path / "x.json").out


class TestImpact:
    def test_says_what_the_overlay_then_does(self, shop: Shop, tmp_path: Path) -> None:
        """The figures add up, and the release changes exactly the rows that impact wrote."""
        rows = tmp_path / "rows.csv"
        found = answer("impact", shop.model, shop.edited, "--data", shop.csv, "--rows", rows)
        assert found["rows"] == 700
        assert (
            found["changed"] == found["changed_by_edit"] + found["changed_by_assertion"] == sum(found["flips"].values())
        )
        assert {item["rule"] for item in found["by_rule"]} >= {"R7"}
        assert sum(item["covered"] for item in found["by_rule"]) == found["covered"]
        done("predict", shop.release("overlay-hard"), shop.csv, "--out", tmp_path / "p.csv")
        answers = pd.read_csv(tmp_path / "p.csv")
        changed = answers.index[answers["outcome"] != answers["model_outcome"]]
        assert list(pd.read_csv(rows)["row"]) == list(changed)

    def test_for_people(self, shop: Shop) -> None:
        """Decisions, flips and rules."""
        shown = done("impact", shop.model, shop.edited, "--data", shop.csv).out
        for text in ("of 700 decisions change", "approve -> deny", "by the edit: ", "R7"):
            assert text in shown

    def test_an_open_conflict_is_counted(self, shop: Shop, two: Path) -> None:
        """Rows in a conflict that nobody settled are undecided, not changed."""
        assert answer("impact", shop.model, two, "--data", shop.csv)["undecided"] > 0
        assert "undecided" in done("impact", shop.model, two, "--data", shop.csv).out

    def test_rules_of_another_schema_are_refused(self, shop: Shop) -> None:
        """Rules and model belong together."""
        refused("refused", "impact", shop.model, shop.grading, "--data", shop.csv)


class TestConflicts:
    def test_one_is_found_and_the_status_is_1(self, shop: Shop, two: Path) -> None:
        """The pair, its outcomes, the rows of the table in it and one row as a witness."""
        ended = run("conflicts", two, "--data", shop.csv, "--json")
        assert (ended.status, ended.err) == (1, "")
        (found,) = ended.json["conflicts"]
        frame = pd.read_csv(shop.csv)
        assert sorted(found["rules"]) == ["R7", "R8"]
        assert sorted(found["outcomes"]) == ["approve", "deny"]
        assert found["rows"] == int(((frame["age"] < 30) & (frame["amount"] > 9000)).sum())
        assert found["witness"]["age"] < 30
        assert found["witness"]["amount"] > 9000
        assert found["resolved"] is False

    def test_for_people(self, shop: Shop, two: Path) -> None:
        """Both rules and where they meet."""
        ended = run("conflicts", two)
        assert ended.status == 1
        assert "R7 and R8: unresolved" in ended.out
        assert "both cover age <= 29 AND amount >= 9001" in ended.out

    def test_none_is_fine(self, shop: Shop) -> None:
        """Status 0, and nothing to show."""
        assert done("conflicts", shop.rules).out == "no conflicts\n"
        assert answer("conflicts", shop.rules) == {"conflicts": [], "findings": []}

    def test_applying_an_open_one_is_refused(self, shop: Shop, two: Path, tmp_path: Path) -> None:
        """Nothing unresolved is put in force."""
        mode = ["--mode", "overlay-hard", "--out", tmp_path / "rel"]
        line = refused("conflicts-open", "apply", shop.model, two, "--data", shop.csv, *mode)
        assert "R7" in line
        assert not (tmp_path / "rel").exists()


class TestResolve:
    @pytest.mark.parametrize(
        ("more", "answers"),
        [
            (["--strategy", "priority"], {"deny"}),
            (["--strategy", "outcome", "--outcome", "approve"], {"approve"}),
            (["--strategy", "mixture", "--weights", "1,3"], {"approve"}),
            (["--strategy", "mixture", "--weights", "3,1"], {"deny"}),
            (["--strategy", "carve"], {"deny"}),
            (["--strategy", "model"], {""}),
        ],
    )
    @pytest.mark.parametrize("pair", [("R7", "R8"), ()])
    def test_settles_a_pair_or_all(
        self, shop: Shop, two: Path, out: Path, pair: tuple[str, ...], more: list[str], answers: set[str]
    ) -> None:
        """After each strategy no conflict is open, and the rule set itself answers so where the two meet."""
        assert answer("resolve", two, *pair, *more, "--out", out)["revision"]
        assert run("conflicts", out).status == 0
        done("predict", out, shop.csv, "--out", out.with_suffix(".csv"))
        frame = pd.read_csv(shop.csv)
        both = (frame["age"] < 30) & (frame["amount"] > 9000)
        assert set(pd.read_csv(out.with_suffix(".csv"), keep_default_na=False)["outcome"][both]) == answers

    def test_nothing_to_settle_is_fine(self, shop: Shop, two: Path, out: Path) -> None:
        """The file is written as it was, without a step in its history."""
        assert done("resolve", shop.rules, "--strategy", "priority", "--out", out).out == "nothing to settle\n"
        assert out.read_bytes() == shop.rules.read_bytes()
        done("resolve", two, "R1", "R7", "--strategy", "priority", "--out", out)
        assert out.read_bytes() == two.read_bytes()

    def test_is_a_step_that_can_be_undone(self, two: Path, out: Path) -> None:
        """A settlement stands in the history, with its reason, and undo opens the conflict again."""
        done("resolve", two, "--strategy", "priority", "--reason", "agreed", "--author", "eve", "--out", out)
        last = answer("history", out)["history"][-1]
        assert (last["edit"], last["author"], last["reason"]) == ("resolve all priority", "eve", "agreed")
        edited(out, out, "undo")
        assert run("conflicts", out).status == 1

    def test_what_the_history_says_can_be_said_again(self, two: Path, out: Path, tmp_path: Path) -> None:
        """The step's text is an edit that makes the same settlement."""
        for more in (["outcome", "--outcome", "approve 0.5, deny 0.5"], ["mixture", "--weights", "2,1"]):
            done("resolve", two, "R7", "R8", "--strategy", *more, "--out", out)
            said = answer("history", out)["history"][-1]["edit"]
            again = edited(two, tmp_path / "again.json", said)
            assert again["content"] == json.loads(out.read_text())["content"]

    def test_a_carved_id_is_never_used_again(self, two: Path, out: Path) -> None:
        """The parts of a carving that was undone keep their ids to themselves."""
        done("resolve", two, "--strategy", "carve", "--out", out)
        first = {rule["id"] for rule in json.loads(out.read_text())["rules"]}
        edited(out, out, "undo", "set R7 age < 29")
        done("resolve", out, "--strategy", "carve", "--out", out)
        second = {rule["id"] for rule in json.loads(out.read_text())["rules"]}
        assert {name for name in first & second if "." in name} == set()

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["R7", "--strategy", "priority"], "rule-text"),
            (["R7", "R99", "--strategy", "priority"], "unknown-rule"),
            (["--strategy", "prority"], "settlement-refused"),
            (["--strategy", "specific"], "settlement-refused"),
            (["--strategy", "outcome"], "settlement-refused"),
            (["--strategy", "outcome", "--outcome", "maybe"], "unknown-class"),
            (["--strategy", "priority", "--outcome", "deny"], "settlement-refused"),
            (["--strategy", "priority", "--weights", "1,2"], "settlement-refused"),
            (["--strategy", "mixture", "--weights", "1"], "rule-text"),
            (["--strategy", "mixture", "--weights", "0,0"], "settlement-refused"),
        ],
    )
    def test_refuses_what_does_not_fit(self, two: Path, out: Path, arguments: list[str], code: str) -> None:
        """Each with its code, and no file is written."""
        refused(code, "resolve", two, *arguments, "--out", out)
        assert not out.exists()
