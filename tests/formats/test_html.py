"""The report for people: everything that a person wrote stays text."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

from lxml import html

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.formats import EXPORTS
from ruleedit.rules import Outcome
from tests.formats.samples import HOSTILE, draft_of, hostile_draft, settled
from tests.formats.test_table_csv import FIGURES


def page(draft: Draft) -> str:
    """The report."""
    text = EXPORTS["html"](draft)
    assert isinstance(text, str)
    return text


def words(draft: Draft) -> str:
    """The report's text as a person reads it."""
    blocks = html.fromstring(page(draft)).xpath("//h2 | //p | //th | //td | //li | //dt | //dd")
    return re.sub(r"\s+", " ", " ".join(str(block.text_content()) for block in blocks))


def test_rules_read_as_sentences() -> None:
    """Clauses are words, outcomes too, and the default is the last sentence."""
    draft = draft_of(
        "IF age > 26 AND job in (car, 'it''s') AND income between 1 and 2.5 THEN approve",
        "IF job not in (car) AND member is missing THEN model",
        "IF age != 3 THEN approve 0.25, deny 0.75",
    )
    said = words(draft)
    assert "If age is above 26 and job is one of car, it's and income is from 1 to 2.5, then approve." in said
    assert "If job is present and none of car and member is missing, then the model's own answer." in said
    assert "If age is present and isn't 3, then approve with probability 0.25, deny with probability 0.75." in said
    assert "Otherwise deny." in said
    assert "Nobody has edited these rules." in said


def test_it_says_who_asserted_what_and_why() -> None:
    """Edits stand beside the rules that they made, with author and reason, and in the list of steps."""
    draft = edit(
        draft_of("IF age > 20 THEN approve", "IF age > 10 THEN '1'"),
        ["set R1 age > 26"],
        reason="new policy",
        author="ann",
    )
    draft = edit(draft, ["disable R2", "default approve"], reason="too old", author="bob")
    said = words(draft)
    assert "ann: set R1 age > 26 (new policy)" in said
    assert "(disabled) bob: disable R2 (too old)" in said
    assert "Otherwise approve. bob: default approve (too old)" in said
    assert draft.revision in said
    assert draft.content in said


def test_settlements_are_told_and_open_conflicts_too() -> None:
    """A settled conflict is a sentence; an open one is a warning at the top."""
    assert " by " in words(settled()).split("Settled conflicts")[1].split("Edits")[0]
    draft = draft_of("IF age > 20 THEN approve", "IF age > 30 THEN '1'")
    draft = edit(draft, ["confirm R1", "confirm R2"], reason="x", author="ann")
    assert "1 of the conflicts between asserted rules is not settled" in words(draft)


def test_figures_of_the_extraction_stand_in_the_table() -> None:
    """Rows decided and the model's agreement, for the parts that were measured."""
    origin = {"method": "tree", "holdout": {**FIGURES, "rows": 1200, "agreement": 0.925}}
    said = words(replace(draft_of("IF age > 20 THEN approve", "IF age > 10 THEN '1'"), origin=origin))
    assert "Held-out rows decided model agrees" in said
    assert "extracted 7 50.0% " in said
    assert "92.5% of 1,200" in said


def test_hostile_texts_stay_text() -> None:
    """Names, categories, classes, authors and reasons make no element; each is found again as text."""
    draft = hostile_draft()
    for text in HOSTILE:
        draft = edit(
            draft,
            ["default approve" if draft.rules.default == Outcome.of("=1+1") else "default '=1+1'"],
            reason=text,
            author=text,
        )
    tree = html.fromstring(page(draft))
    assert {element.tag for element in tree.iter() if isinstance(element.tag, str)} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "bdi", "table", "thead", "tbody", "tr"),
        *("th", "td", "div", "span", "code", "dl", "dt", "dd", "ul", "li", "strong"),
    }
    assert {name for element in tree.iter() for name in element.attrib} <= {
        *("lang", "charset", "http-equiv", "content", "name", "class")
    }
    said = [str(element.text_content()) for element in tree.iter("bdi")]
    assert {text.replace("\r", "\n") for text in HOSTILE} <= {text.replace("\r", "\n") for text in said}


def test_nothing_is_loaded_and_nothing_runs() -> None:
    """The policy forbids all but the style sheet of this page, whose hash it names."""
    text = page(hostile_draft())
    policy = html.fromstring(text).xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    style = re.search("<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"<(script|img|link|iframe|object)\b|<[^>]* (src|href|style|on\w+)=", text)
    assert "@media print" in text
