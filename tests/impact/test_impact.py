"""Impact: the counts add up, and what it shows is what the hard overlay then does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.feedback import feedback
from ruleedit.impact import impact
from ruleedit.models import outcomes
from ruleedit.overlay import overlay
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from tests.asked import Fake, asked, said
from tests.reference import encoded
from tests.strategies import Dice, make_draft, make_small_rows

SCHEMA = Schema((Feature("x", "integer"),), "y", ("a", "b"))
ROWS = [{"x": float(x)} for x in range(10)]
CODES = encoded(ROWS, SCHEMA)
#: What a model answers for x from 0 to 9: it follows the rule `x > 4 -> b` except at 6 and at 2.
ANSWERS = np.array([0, 0, 1, 0, 0, 1, 0, 1, 1, 1], dtype=np.intp)


def draft_of(*texts: str) -> Draft:
    """A draft of the rules R1, R2, ... with the default a."""
    rules = tuple(parse_rule(text, f"R{number}") for number, text in enumerate(texts, start=1))
    return Draft.of(RuleSet(rules, Outcome.of("a")), SCHEMA)


def shown(draft: Draft, *edits: str, asserts: str = "whole") -> dict[str, object]:
    """The impact of the edits as JSON."""
    done = edit(draft, edits, reason="", asserts=asserts)  # type: ignore[arg-type]
    return impact(feedback(done.base, done.rules, SCHEMA), CODES, ANSWERS).to_json()


@pytest.mark.parametrize("batch", range(10))
def test_the_impact_shown_is_the_impact_applied(batch: int, count: Callable[[int, int], int]) -> None:
    """Promise 11: 1,000 of 1,000 random drafts (200 in CI) change with the hard overlay just what was shown."""
    for number in range(count(20, 100)):
        dice = Dice(4_000_000 + 1_000 * batch + number)
        draft = make_draft(dice)
        found = feedback(draft.base, draft.rules, draft.schema)
        rows = encoded(make_small_rows(dice, draft.schema, 40), draft.schema)
        model = Fake.of(draft.schema)
        before = outcomes(model, rows)
        seen = impact(found, rows, before)
        after = overlay(model, found, rows)
        assert seen.after.tolist() == after.outcomes.tolist()
        assert seen.before.tolist() == before.tolist()
        assert seen.held.tolist() == after.held.tolist()
        assert seen.mask.tolist() == (before != after.outcomes).tolist()
        assert seen.changed == int((before != after.outcomes).sum())
        assert seen.covered == int((after.by == 1).sum())


def test_the_counts_add_up_and_are_those_of_the_rows(count: Callable[[int, int], int]) -> None:
    """Changed is by edit or by assertion, by rule, by flip; each counted row by row from the semantics."""
    for number in range(count(120, 1_000)):
        dice = Dice(6_000_000 + number)
        draft = make_draft(dice)
        schema, classes = draft.schema, draft.schema.classes
        rows = make_small_rows(dice, schema, 25)
        before = outcomes(Fake.of(schema), encoded(rows, schema))
        found = feedback(draft.base, draft.rules, schema)
        seen = impact(found, encoded(rows, schema), before)
        kinds: Counter[str] = Counter()
        flips: Counter[tuple[str, str]] = Counter()
        for row, code in zip(rows, before, strict=True):
            one = asked(draft.base, draft.rules, row, schema)
            if one is None or one.kind == "undecided":
                kinds["undecided"] += one is not None
                continue
            wanted = one.outcome.top(classes)
            kinds["covered"] += wanted is not None
            if wanted is not None and wanted != classes[code]:
                same = said(draft.base, row, schema).top(classes) == wanted
                kinds["by_assertion" if same else "by_edit"] += 1
                flips[classes[code], wanted] += 1
        assert (seen.rows, seen.covered, seen.undecided) == (25, kinds["covered"], kinds["undecided"])
        assert (seen.changed_by_edit, seen.changed_by_assertion) == (kinds["by_edit"], kinds["by_assertion"])
        assert seen.flips == dict(flips)
        assert seen.changed == sum(flips.values()) == sum(rule.changed for rule in seen.by_rule)
        assert sum(rule.covered for rule in seen.by_rule) == int((seen.held >= 0).sum())
        assert all(rule.changed <= rule.covered for rule in seen.by_rule)
        assert [rule.rule for rule in seen.by_rule] == [rule.id for rule in found]


def test_the_edit_is_told_from_the_assertion() -> None:
    """Widened from `x > 4` to `x > 2`: 3 and 4 change by the edit, 6 because the model did not follow."""
    assert shown(draft_of("IF x > 4 THEN b"), "set R1 x > 2") == {
        "rows": 10,
        "covered": 7,
        "changed": 3,
        "changed_by_edit": 2,
        "changed_by_assertion": 1,
        "undecided": 0,
        "flips": {"a -> b": 3},
        "by_rule": [{"rule": "R1", "kind": "asserted", "covered": 7, "changed": 3}],
        "by_parent": [],
    }


def test_change_changes_nothing_by_assertion() -> None:
    """Limited to the change nothing else is touched."""
    seen = shown(draft_of("IF x > 4 THEN b"), "set R1 x > 2", asserts="change")
    assert (seen["covered"], seen["changed_by_edit"], seen["changed_by_assertion"]) == (2, 2, 0)


def test_confirming_changes_by_assertion_alone() -> None:
    """Base and edited set say the same: what changes is the model."""
    seen = shown(draft_of("IF x > 4 THEN b"), "confirm R1")
    assert (seen["covered"], seen["changed_by_edit"], seen["changed_by_assertion"]) == (5, 0, 1)


def test_uncovered_rows_are_counted_under_their_rule() -> None:
    """What a narrowed rule gave up is a line of its own."""
    seen = shown(draft_of("IF x > 4 THEN b"), "set R1 x > 7")
    assert seen["by_rule"] == [
        {"rule": "R1", "kind": "asserted", "covered": 2, "changed": 0},
        {"rule": "R1-uncovered", "kind": "uncovered", "covered": 3, "changed": 2},
    ]
    assert seen["flips"] == {"b -> a": 2}


def test_undecided_rows_are_counted_and_change_nothing() -> None:
    """Rows of an open conflict are neither covered nor changed."""
    seen = shown(draft_of("IF x > 4 THEN b"), "confirm R1", "new IF x > 6 THEN a")
    assert (seen["covered"], seen["undecided"], seen["changed"]) == (2, 3, 1)


def test_a_settlement_against_first_match_changes_by_the_edit() -> None:
    """The edited rule set says what was settled, not what stands first: that is the edit's doing."""
    draft = draft_of("IF x > 4 THEN b")
    seen = shown(draft, "confirm R1", "new IF x > 6 THEN a", "resolve R1 R2 specific")
    assert (seen["changed_by_edit"], seen["changed_by_assertion"]) == (3, 1)


def test_model_and_default_change_nothing() -> None:
    """What asks for nothing has no impact."""
    assert shown(draft_of("IF x > 4 THEN b"), "then R1 model")["changed"] == 0
    assert shown(draft_of("IF x > 4 THEN b"), "default b")["covered"] == 0


def test_a_distribution_counts_by_its_greatest_class() -> None:
    """A tie goes to the first class in schema order."""
    seen = shown(draft_of("IF x > 4 THEN b"), "then R1 a 0.5, b 0.5")
    assert seen["flips"] == {"b -> a": 4}


def test_no_rows_have_no_impact() -> None:
    """An empty table is fine, and the JSON is plain."""
    done = edit(draft_of("IF x > 4 THEN b"), ["then R1 a"], reason="")
    seen = impact(feedback(done.base, done.rules, SCHEMA), CODES[:0], ANSWERS[:0])
    assert seen.changed == seen.covered == 0
    assert json.loads(json.dumps(seen.to_json()))["by_rule"][0]["covered"] == 0
