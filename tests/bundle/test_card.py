"""The model card: what people said, what was measured, and nothing that nobody said."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from ruleedit.bundle import Card, Choices, bundle, card, check, verify
from ruleedit.edits import edit
from ruleedit.errors import FileRefused, Refused
from ruleedit.inforce import put_in_force
from ruleedit.release import Release, load
from tests.bundle.test_bundle import MODES
from tests.commandline import Shop, answer, done, refused
from tests.formats.samples import HOSTILE

CARD = Card(purpose="sort applications", contact="Kim", complaints="the ombudsman", limits=("made-up data",))


def words(page: str) -> str:
    """The page's text as a person reads it."""
    blocks = html.fromstring(page).xpath("//h1 | //h2 | //p | //th | //td | //li | //dt | //dd")
    return re.sub(r"\s+", " ", " ".join(str(block.text_content()) for block in blocks))


@pytest.fixture(scope="module")
def release(shop: Shop) -> Release:
    """The hard overlay of the shop."""
    return load(shop.release("overlay-hard"))


def test_it_says_what_people_said_and_what_they_did_not(release: Release) -> None:
    """Fields that nobody gave are said to be not given."""
    said = words(card(release, Choices(card=CARD)))
    assert "Purpose sort applications Meant for Not given. Not meant for Not given." in said
    assert "Who answers for it Kim Who to complain to the ombudsman" in said
    assert "Known limits made-up data" in said
    bare = words(card(release))
    assert bare.count("Not given.") == 6
    assert "Limits that people know of: not given." in bare


def test_its_figures_are_those_that_verify_works_out(release: Release) -> None:
    """Accuracy beside the baselines, fidelity, agreement by rule, groups."""
    files = verify.unpacked(bundle(release, Choices(groups=("residence",), card=CARD)).content)
    effect, said = json.loads(files["effect.json"]), words(files["report.html"].decode())
    shares = [effect["accuracy"]["after"], effect["accuracy"]["before"]]
    shares += [effect["baselines"][name]["accuracy"] for name in ("rules", "majority", "random")]
    names = (
        "The release, edits in force",
        "The model before the edits",
        "The rules alone",
        "Always one class",
        "Chance",
    )
    for name, share in zip(names, shares, strict=True):
        assert f"{name} {share:.1%}" in said
    assert f"on {effect['baselines']['rules']['fidelity']:.1%} of these rows (fidelity)" in said
    assert f"The edits change {effect['changed']} decisions (" in said
    for item in effect["feedback"]:
        assert f"{item['rule']} {item['outcome']} {item['coverage']}" in said
    for group in effect["groups"]:
        assert f"residence {group['value']} {group['rows']} {group['changed']}" in said
    assert "new IF age < 30 AND amount > 9000 THEN deny ann policy 7" in said
    assert json.loads(files["card.json"])["purpose"] == "sort applications"
    assert json.loads(files["card.json"])["users"] is None


@pytest.mark.parametrize("mode", MODES)
def test_it_says_how_the_edits_are_in_force(shop: Shop, mode: str) -> None:
    """In every mode, with model and data."""
    said = words(card(load(shop.release(mode))))
    told = {
        "overlay-hard": "A hard overlay",
        "overlay-soft": "A soft overlay",
        "retrain": "by a new model",
        "graft": "are trees",
    }
    assert told[mode] in said
    assert "trees, objective binary" in said
    assert ("Model file in force" in said) == (mode in ("retrain", "graft"))
    assert "Data fingerprint" in said


def test_without_rows_it_says_so(release: Release) -> None:
    """And gives the report's agreement."""
    said = words(card(release, Choices(without_rows=True)))
    assert "Not measured here" in said
    assert "R7 deny" in said


def test_hostile_texts_stay_text(release: Release) -> None:
    """In the card, in reasons and authors: no element comes of them, and nothing is loaded or run."""
    assert release.draft is not None
    draft = edit(release.draft, ["confirm R1"], reason="<script>alert(1)</script>", author="<img src=x onerror=y>")
    rows = release.evidence
    assert rows is not None
    edited = put_in_force(release.model, draft, "overlay-hard", rows.rows, truth=rows.truth)
    page = card(edited, Choices(card=Card(*["\n".join(HOSTILE)] * 6, limits=HOSTILE)))
    assert not re.search(r"<(script|img|link|iframe|object)\b|<[^>]* (src|href|style|on\w+)=", page)
    assert (
        html.fromstring(page)
        .xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
        .startswith("default-src 'none'; style-src 'sha256-")
    )
    said = [str(item.text_content()) for item in html.fromstring(page).xpath("//li/bdi")]
    assert {text.replace("\r", "\n") for text in HOSTILE} <= {text.replace("\r", "\n") for text in said}


@pytest.mark.parametrize(
    "data", [[], {"purpos": "x"}, {"purpose": 1}, {"limits": "x"}, {"limits": [1]}, {"purpose": "x" * 10_001}]
)
def test_a_bad_card_is_refused(data: Any) -> None:
    """With what is known."""
    with pytest.raises(FileRefused):
        Card.loads(json.dumps(data))


def test_a_card_reads_back() -> None:
    """Null stands for nothing."""
    told = {name: value for name, value in CARD.to_json().items() if value is not None}
    assert Card.loads(json.dumps(told)) == CARD


def test_the_command(shop: Shop, tmp_path: Path) -> None:
    """From a file and from options, alone and in a bundle; a model without edits has none."""
    file, out, zipped = tmp_path / "card.json", tmp_path / "card.html", tmp_path / "b.zip"
    file.write_text(json.dumps({"purpose": "sort applications"}))
    release = shop.release("overlay-hard")
    told = answer("card", release, "--card", file, "--contact", "Kim", "--group", "purpose", "--out", out)
    assert (told["card"]["purpose"], told["card"]["contact"], told["card"]["complaints"]) == (
        "sort applications",
        "Kim",
        None,
    )
    assert "Who answers for it Kim" in words(out.read_text())
    done("bundle", release, "--card", file, "--out", zipped)
    assert check(zipped.read_bytes()).status == 3
    assert b"sort applications" in verify.unpacked(zipped.read_bytes())["report.html"]
    assert "has no card" in refused("refused", "card", shop.model, "--out", out)
    with pytest.raises(Refused):
        card(load(shop.model))


def test_it_prints(release: Release, tmp_path: Path) -> None:
    """Chromium makes a PDF of it, with every section's words."""
    if not shutil.which("chromium") or not shutil.which("pdftotext"):
        pytest.skip("no chromium to print with, or no pdftotext to read it")
    page, out = tmp_path / "card.html", tmp_path / "card.pdf"
    page.write_text(card(release, Choices(card=CARD, groups=("residence",))))
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--print-to-pdf={out}")
    subprocess.run(["chromium", *options, page.as_uri()], capture_output=True, check=True, timeout=120)
    said = subprocess.run(["pdftotext", "-layout", out, "-"], capture_output=True, text=True, check=True).stdout
    for heading in (
        "Model card for",
        "How well it does",
        "Edits in force",
        "For whom",
        "Rules in force",
        "Known limits",
    ):
        assert heading in said
