"""The command import, and that what it wrote is a rule file like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ruleedit.formats import canonical
from tests.commandline import Shop, answer, done, refused

TEXT = "R1: IF age < 30 AND amount > 9000 THEN deny\nIF purpose in (car) THEN approve\nOTHERWISE approve\n"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Rules that a person wrote."""
    path = tmp_path / "rules.txt"
    path.write_text(TEXT)
    return path


def test_rules_by_a_person_become_a_rule_file(shop: Shop, written: Path, tmp_path: Path) -> None:
    """It can be shown, edited, put in force and exported."""
    out = tmp_path / "rules.json"
    found = answer("import", written, "--format", "text", "--schema", shop.model, "--out", out)
    assert (found["rules"], found["notes"]) == (2, [])
    draft = canonical.read(out)
    assert found["content"] == draft.content
    assert draft.origin == {"method": "imported from text"}
    assert not any(rule.asserted for rule in draft.rules)
    done("edit", out, "confirm R1", "--reason", "ours", "--out", out)
    done("apply", shop.model, out, "--data", shop.csv, "--mode", "overlay-hard", "--out", tmp_path / "release")
    assert (
        "2 rules from rules.txt"
        in done("import", written, "--format", "text", "--schema", shop.model, "--out", out).out
    )


def test_a_schema_may_be_a_file_and_the_default_be_given(shop: Shop, written: Path, tmp_path: Path) -> None:
    """Both as an option."""
    schema, out = tmp_path / "schema.json", tmp_path / "rules.json"
    schema.write_text(done("schema", shop.model, "--json").out)
    done("import", written, "--format", "text", "--schema", schema, "--default", "deny", "--out", out)
    assert str(canonical.read(out).rules.default) == "deny"


def test_rules_are_added_to_others_as_asserted_ones(shop: Shop, written: Path, tmp_path: Path) -> None:
    """Each as an edit with the reason, in their order, ahead of the extracted ones; the default stays."""
    out = tmp_path / "rules.json"
    done(
        *("import", written, "--format", "text", "--onto", shop.rules, "--reason", "policy 9"),
        *("--author", "bo", "--out", out),
    )
    before, after = canonical.read(shop.rules), canonical.read(out)
    assert [str(rule) for rule in after.rules][:2] == [line.split(": ")[-1] for line in TEXT.splitlines()[:2]]
    assert [rule.asserted for rule in after.rules][:3] == [True, True, False]
    assert [(step.reason, step.author) for step in after.history] == [("policy 9", "bo")] * 2
    assert after.rules.default == before.rules.default


@pytest.mark.parametrize("form", ["json", "csv", "dmn", "pmml"])
def test_what_was_exported_comes_back(shop: Shop, tmp_path: Path, form: str) -> None:
    """Export, import, and predict the same on the table."""
    exported, out = tmp_path / f"rules.{form}", tmp_path / "rules.json"
    done("export", shop.edited, "--format", form, "--out", exported)
    done("import", exported, "--format", form, "--schema", shop.model, "--out", out)
    tables = []
    for rules in (shop.edited, out):
        done("predict", rules, shop.csv, "--out", tmp_path / "p.csv")
        tables.append([line.split(",")[0] for line in (tmp_path / "p.csv").read_text().splitlines()])
    assert tables[0] == tables[1]


def test_what_cannot_be_read_is_refused(shop: Shop, written: Path, tmp_path: Path) -> None:
    """With the line, the format's nearest name, or what else is needed; nothing is written."""
    out = tmp_path / "rules.json"
    base = ["import", written, "--out", out]
    written.write_text(TEXT.replace("amount", "amonut"))
    assert "line 1: no feature 'amonut'; did you mean 'amount'" in refused(
        "file-refused", *base, "--format", "text", "--schema", shop.model
    )
    assert "did you mean 'pmml'" in refused("refused", *base, "--format", "pmm", "--schema", shop.model)
    assert "--onto" in refused("rule-text", *base, "--format", "text")
    assert "--reason" in refused("rule-text", *base, "--format", "text", "--onto", shop.rules)
    assert "can't be read" in refused(
        "file-refused", "import", tmp_path / "no", "--format", "text", "--schema", shop.model, "--out", out
    )
    assert not out.exists()


def test_a_rule_file_with_settlements_is_written_out(shop: Shop, tmp_path: Path) -> None:
    """What a settlement says is a rule of its own, and a note says so."""
    one, two, out = (tmp_path / f"{name}.json" for name in ("one", "two", "out"))
    done(
        "edit",
        shop.rules,
        "new IF age < 30 THEN deny",
        "new IF amount > 9000 THEN approve",
        "--reason",
        "r",
        "--out",
        one,
    )
    done("resolve", one, "--strategy", "mixture", "--out", two)
    found = answer("import", two, "--format", "json", "--schema", shop.model, "--out", out)
    assert found["notes"] == ["settled conflicts are rules of their own"]
    assert found["rules"] == len(json.loads(two.read_text())["rules"]) + 1
