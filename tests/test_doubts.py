"""Doubts: what the data say against the edits, counted row by row."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ruleedit.doubts import Doubt, authors, doubts
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.feedback import feedback
from ruleedit.impact import impact
from ruleedit.matching import Indices
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.surrogate.fidelity import wilson
from ruleedit.text import parse_rule
from tests.commandline import Shop, answer, done
from tests.reference import encoded

SCHEMA = Schema((Feature("x", "integer"), Feature("c", "categorical", categories=("a", "b"))), "t", ("no", "yes"))
#: x from 0 to 99, every tenth row of group a; the truth is yes from 50 up.
ROWS = encoded([{"x": float(x), "c": "a" if x % 10 == 0 else "b"} for x in range(100)] * 4, SCHEMA)
TRUTH: Indices = (ROWS[:, 0] >= 50).astype(np.intp)


def drafted(*edits: str, author: str = "ann") -> Draft:
    """A draft of one extracted rule, edited."""
    base = RuleSet((parse_rule("IF x >= 50 THEN yes", "R1"),), Outcome.of("no"))
    return edit(Draft.of(base, SCHEMA), edits, reason="", author=author)


def found(draft: Draft, truth: Indices | None = TRUTH, after: Indices | None = None) -> list[Doubt]:
    """The doubts about the hard overlay on a model that is always right."""
    asked = feedback(draft.base, draft.rules, SCHEMA)
    done_so = impact(asked, ROWS, TRUTH).after if after is None else after
    return list(doubts(draft, asked, ROWS, truth, TRUTH, done_so))


def test_labels_that_surely_say_otherwise_contradict_a_rule() -> None:
    """With the share, its interval, and the rows; not where most labels agree, nor where few say little."""
    assert found(drafted("new IF x between 40 and 55 THEN no")) == []
    assert found(drafted("new IF x = 3 AND c = b THEN no")) == []
    (against,) = [one for one in found(drafted("new IF x < 20 THEN yes")) if one.kind == "contradicted"]
    assert (against.rules, against.rows, against.share, against.interval) == (("R2",), 80, 0.0, wilson(0, 80))
    assert against.says.startswith("the data contradict R2: of 80 rows 0.0% are labelled 'yes'")


def test_a_confidence_says_what_the_labels_are_held_to() -> None:
    """Two thirds right is no contradiction, unless its author was surer than that."""
    mostly = drafted("new IF x between 40 and 69 THEN yes")
    assert found(mostly) == []
    (doubt,) = found(edit(mostly, ["confidence R2 0.9"], reason="", author="ann"))
    assert (doubt.kind, doubt.share) == ("contradicted", pytest.approx(2 / 3))
    assert doubt.says.endswith("its author expects 90%")
    doubtful = drafted("new IF x < 20 THEN yes", "confidence R2 0.01")
    assert [one for one in found(doubtful) if one.kind == "contradicted"] == []


def test_a_cost_where_nothing_is_asked_is_said() -> None:
    """An overlay has none; a new model that flips decisions outside has."""
    draft = drafted("new IF x between 50 and 59 THEN yes")
    assert found(draft) == []
    worse = np.where(ROWS[:, 0] > 90, 0, TRUTH).astype(np.intp)
    (doubt,) = [one for one in found(draft, after=worse) if one.kind == "outside"]
    assert doubt.rows == 360
    assert doubt.share is not None
    assert doubt.share > 0.05
    assert doubt.says.startswith("where nothing is asked macro F1 falls from 1.000 to 0.")


def test_a_subgroup_whose_rate_shifts_is_named() -> None:
    """By how much more than elsewhere."""
    shifts = [one for one in found(drafted("new IF c = a AND x >= 50 THEN no")) if one.kind == "subgroup"]
    assert {one.group for one in shifts} == {"c = a"}
    (first,) = shifts
    assert (first.group, first.rows, first.share) == ("c = a", 40, pytest.approx(0.5))
    assert first.says == "'no' where c = a: from 50.0% to 100.0%, 50.0% more than elsewhere"
    assert [one for one in found(drafted("new IF x < 30 THEN yes")) if one.kind == "subgroup"] == []


def test_two_authors_who_disagree_are_named_settled_or_not() -> None:
    """One author may contradict himself: that is a conflict, no disagreement of experts."""
    alone = drafted("new IF x > 80 THEN yes", "new IF x > 90 THEN no")
    assert [one for one in found(alone) if one.kind == "disagreement"] == []
    both = edit(drafted("new IF x > 80 THEN yes"), ["new IF x > 90 THEN no"], reason="", author="bob")
    (doubt,) = [one for one in found(both) if one.kind == "disagreement"]
    assert doubt.says == "experts disagree on 36 rows: R2 (ann) says yes, R3 (bob) says no; unresolved"
    settled = edit(both, ["resolve R2 R3 priority"], reason="", author="cat")
    assert [one.says.endswith("settled") for one in found(settled, truth=None)] == [True]
    assert authors(settled) == {"R2": "ann", "R3": "bob"}


def test_who_says_how_sure_a_rule_is_has_not_written_it() -> None:
    """Nobody disagrees with himself because another weighed his rule; who changes a clause has written it."""
    alone = drafted("new IF x > 80 THEN yes", "new IF x > 90 THEN no")
    weighed = edit(alone, ["confidence R3 0.8"], reason="", author="bob")
    assert authors(weighed) == {"R2": "ann", "R3": "ann"}
    assert [one for one in found(weighed) if one.kind == "disagreement"] == []
    assert authors(edit(weighed, ["set R3 x > 95"], reason="", author="bob")) == {"R2": "ann", "R3": "bob"}


def test_without_labels_only_disagreements_are_said() -> None:
    """There is nothing to hold the rules against."""
    assert found(drafted("new IF x < 20 THEN yes"), truth=None) == []


def test_impact_and_apply_say_them(shop: Shop) -> None:
    """With the table's target; as JSON and for people."""
    rules = shop.folder / "doubted.json"
    done("edit", shop.rules, "new IF debt_ratio > 0.5 THEN approve", "--reason", "r", "--out", rules)
    told = answer("impact", shop.model, rules, "--data", shop.csv)["doubts"]
    assert "contradicted" in {doubt["kind"] for doubt in told}
    assert "doubt: the data contradict" in done("impact", shop.model, rules, "--data", shop.csv).out
    out = shop.folder / "doubted"
    applied = answer("apply", shop.model, rules, "--data", shop.csv, "--mode", "overlay-hard", "--out", out)
    assert "contradicted" in {doubt["kind"] for doubt in applied["doubts"]}
    assert json.dumps(applied)
