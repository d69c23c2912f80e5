"""The policy-change protocol: the age limit moves where a rule has it, and an edit's worth is read off the curve."""

from __future__ import annotations

import numpy as np
import pytest
from policy import SHARES, _edited, _worth

from ruleedit.datasets import loans
from ruleedit.drafts import Draft
from ruleedit.rules import Outcome, RuleSet
from ruleedit.tables import encode, infer_schema, target_codes
from ruleedit.text import parse_rule

TABLE = loans(400)
SCHEMA = infer_schema(TABLE, "decision")


def draft(*texts: str) -> Draft:
    """Extracted rules about loans."""
    rules = tuple(parse_rule(text, f"R{place}") for place, text in enumerate(texts, start=1))
    return Draft.of(RuleSet(rules, Outcome.of("deny")), SCHEMA, {})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("IF age <= 30 THEN deny", "IF age <= 26 THEN deny"),
        ("IF age > 30 THEN approve", "IF age > 26 THEN approve"),
        ("IF age >= 31 THEN approve", "IF age >= 27 THEN approve"),
        ("IF age < 31 AND income < 20000 THEN deny", "IF age < 27 AND income < 20000 THEN deny"),
        ("IF age > 29 THEN approve", "IF age > 26 THEN approve"),
        ("IF age > 45 THEN approve", "IF age > 45 THEN approve"),
        ("IF income > 9000 THEN approve", "IF income > 9000 THEN approve"),
    ],
)
def test_the_age_limit_moves_and_nothing_else(before: str, after: str) -> None:
    """Wherever a rule has it within a year, with the whole step for an integer."""
    assert [str(rule) for rule in _edited(draft(before)).rules] == [after]


def test_the_worth_of_an_edit_is_between_two_points_of_the_curve() -> None:
    """By a straight line; at the ends it says so."""
    labelled, curve = [100, 200, 400], [0.80, 0.90, 0.95]
    assert _worth(0.85, labelled, curve) == "about 150"
    assert _worth(0.90, labelled, curve) == "about 200"
    assert _worth(0.925, labelled, curve) == "about 300"
    assert _worth(0.80, labelled, curve) == "up to 100"
    assert _worth(0.99, labelled, curve) == "more than 400"


def test_the_policies_differ_only_in_the_age_that_they_ask_for() -> None:
    """Where the labels of both differ the applicant is 27 to 30, and the new policy grants."""
    old, new = (loans(4_000, policy=policy, noise=0.0) for policy in ("old", "new"))
    schema = infer_schema(old, "decision")
    np.testing.assert_array_equal(encode(old, schema), encode(new, schema))
    changed = target_codes(old, schema) != target_codes(new, schema)
    assert changed.any()
    assert set(new["decision"][changed]) == {"approve"}
    assert old["age"][changed].between(27, 30).all()


def test_the_shares_end_with_everything() -> None:
    """So that the curve has the accuracy of a model that was taught all of it."""
    assert list(SHARES) == sorted(SHARES)
    assert SHARES[-1] == 1.0
