"""The preview: bit by bit what the full impact says, one edit after another on the same table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import Refused, UnknownFeature
from ruleedit.feedback import Feedback, feedback
from ruleedit.impact import Impact, bits, impact, preview
from ruleedit.impact.preview import Glance, Preview, subgroup_masks
from ruleedit.models import outcomes
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from tests import strategies
from tests.asked import Fake
from tests.reference import encoded
from tests.strategies import Dice, make_small_rows

SCHEMA = Schema((Feature("x", "integer"), Feature("c", "categorical", categories=("a", "b"))), "y", ("a", "b"))
ROWS = encoded([{"x": float(x), "c": (None, "a", "b", "zz")[x % 4]} for x in range(10)], SCHEMA)
ANSWERS = np.array([0, 0, 1, 0, 0, 1, 0, 1, 1, 1], dtype=np.intp)


def by_source(seen: Impact, asked: Feedback) -> dict[tuple[str, str], tuple[int, int]]:
    """Rows held and changed by rule and kind, where there are any; what was uncovered of a rule taken together."""
    found: Counter[tuple[str, str, str]] = Counter()
    for one, rule in zip(seen.by_rule, asked, strict=True):
        name = f"{rule.source}-uncovered" if rule.kind == "uncovered" else rule.id
        found[name, rule.kind, "covered"] += one.covered
        found[name, rule.kind, "changed"] += one.changed
    keys = {(name, kind) for name, kind, _ in found if found[name, kind, "covered"]}
    return {(name, kind): (found[name, kind, "covered"], found[name, kind, "changed"]) for name, kind in keys}


def check(glance: Glance, seen: Impact, asked: Feedback) -> None:
    """Every count of the glance is the impact's."""
    for name in ("rows", "covered", "changed", "changed_by_edit", "changed_by_assertion", "undecided", "flips"):
        assert getattr(glance, name) == getattr(seen, name), name
    assert glance.mask.tolist() == seen.mask.tolist()
    assert {(one.rule, one.kind): (one.covered, one.changed) for one in glance.by_rule} == by_source(seen, asked)


@pytest.mark.parametrize("batch", range(5))
def test_a_preview_is_the_full_impact(batch: int, count: Callable[[int, int], int]) -> None:
    """One preview over a whole session of random edits, each step against feedback's exact regions."""
    previews = 0
    for number in range(count(25, 1_000)):
        dice = Dice(8_000_000 + 10_000 * batch + number)
        schema = strategies.make_small_schema(dice)
        start = Draft.of(strategies.make_base(dice, schema), schema)
        if dice.number(0, 1):
            later = strategies.make_session(dice, start, most=3)[-1]
            start = Draft.of(later.rules, schema) if later.rules.rules else start
        rows = encoded(make_small_rows(dice, schema, dice.number(0, 150)), schema)
        own = outcomes(Fake.of(schema), rows)
        seen = Preview(start.base, schema, rows, own)
        for draft in strategies.make_session(dice, start, most=6):
            asked = feedback(start.base, draft.rules, schema)
            check(seen.of(draft.rules), impact(asked, rows, own), asked)
            previews += 1
    assert previews > 60


def test_subgroups_and_confusion_are_those_of_the_rows(count: Callable[[int, int], int]) -> None:
    """Counted one by one from the decisions before and after."""
    for number in range(count(40, 500)):
        dice = Dice(number)
        draft = strategies.make_draft(dice)
        schema, many = draft.schema, len(draft.schema.classes)
        rows = encoded(make_small_rows(dice, schema, 70), schema)
        own = outcomes(Fake.of(schema), rows)
        truth = np.array([dice.number(0, many - 1) for _ in rows], dtype=np.intp)
        groups = {"odd": np.arange(70) % 2 == 1, "none": np.zeros(70, dtype=bool)}
        glance = Preview(draft.base, schema, rows, own, truth=truth, subgroups=groups).of(draft.rules)
        after = impact(feedback(draft.base, draft.rules, schema), rows, own).after
        for decided, shown in ((own, glance.confusion_before), (after, glance.confusion_after)):
            table = np.zeros((many, many), dtype=int)
            np.add.at(table, (truth, decided), 1)
            assert shown is not None
            assert shown.tolist() == table.tolist()
        for rates in glance.subgroups:
            mask = groups[rates.subgroup]
            assert rates.rows == mask.sum()
            for decided, shares in ((own, rates.before), (after, rates.after)):
                assert list(shares.values()) == np.bincount(decided[mask], minlength=many).tolist()


def draft_of(*texts: str) -> Draft:
    """A draft of the rules R1, R2, ... with the default a."""
    rules = tuple(parse_rule(text, f"R{number}") for number, text in enumerate(texts, start=1))
    return Draft.of(RuleSet(rules, Outcome.of("a")), SCHEMA)


def test_an_edit_reads_only_the_column_that_it_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen before is not worked out again."""
    read: list[str] = []
    real = bits.set_mask
    monkeypatch.setattr(bits, "set_mask", lambda *given: (read.append(given[2].name), real(*given))[1])
    draft = draft_of("IF x > 4 AND c = a THEN b", "IF c = b THEN b")
    seen = Preview(draft.base, SCHEMA, ROWS, ANSWERS)
    assert sorted(read) == ["c", "c", "x"]
    edited = edit(draft, ["set R1 x > 2"], reason="")
    seen.of(edited.rules)
    seen.of(edited.rules)
    assert read[3:] == ["x"]


def test_masks_are_forgotten_past_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, and forgetting changes no answer."""
    monkeypatch.setattr(bits, "MOST_MASKS", 2)
    monkeypatch.setattr(preview, "MOST_MASKS", 2)
    draft = draft_of("IF x > 4 AND c = a THEN b", "IF c = b THEN b", "IF x > 7 THEN b")
    seen = Preview(draft.base, SCHEMA, ROWS, ANSWERS)
    for bound in range(8):
        done = edit(draft, [f"set R1 x > {bound}", "then R2 a"], reason="") if bound != 4 else draft
        asked = feedback(done.base, done.rules, SCHEMA)
        check(seen.of(done.rules), impact(asked, ROWS, ANSWERS), asked)


def test_subgroups_of_a_feature() -> None:
    """A mask for each value and for missing; a category never seen is in none."""
    masks = subgroup_masks(ROWS, SCHEMA, "c")
    assert {name: np.flatnonzero(mask).tolist() for name, mask in masks.items()} == {
        "c = a": [1, 5, 9],
        "c = b": [2, 6],
        "c is missing": [0, 4, 8],
    }
    with pytest.raises(Refused, match="'x' is integer; subgroups are the values of a categorical or boolean feature"):
        subgroup_masks(ROWS, SCHEMA, "x")
    with pytest.raises(UnknownFeature):
        subgroup_masks(ROWS, SCHEMA, "cc")


def test_a_glance_is_plain_json() -> None:
    """The keys of an impact, and more; the pieces of a carved rule stand under it too."""
    draft = draft_of("IF x > 2 THEN b")
    done = edit(draft, ["confirm R1", "new IF x = 5 THEN a", "resolve R2 R1 carve"], reason="")
    groups = subgroup_masks(ROWS, SCHEMA, "c")
    glance = Preview(draft.base, SCHEMA, ROWS, ANSWERS, truth=ANSWERS, subgroups=groups).of(done.rules)
    said = json.loads(json.dumps(glance.to_json()))
    assert said["by_parent"] == [{"rule": "R1", "parts": ["R1.1"], "covered": 6, "changed": 3}]
    assert said["flips"] == {"a -> b": 3, "b -> a": 1}
    assert said["confusion"]["before"] == [[5, 0], [0, 5]]
    assert said["subgroups"][0] == {
        "subgroup": "c = a",
        "rows": 3,
        "before": {"a": 1, "b": 2},
        "after": {"a": 2, "b": 1},
    }
    full = impact(feedback(done.base, done.rules, SCHEMA), ROWS, ANSWERS).to_json()
    assert said["by_parent"] == full["by_parent"]
    assert {key: said[key] for key in full if key != "by_rule"} == {key: full[key] for key in full if key != "by_rule"}
