"""What changed: flips counted row by row, rules measured on rows that they were not made from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from ruleedit.comparison import Comparison, compare
from ruleedit.datasets import loans
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import Refused
from ruleedit.matching import decide
from ruleedit.models.training import stratified_quarter, train
from ruleedit.release import Release, RuleAnswers, load_answering
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode, infer_schema, target_codes
from ruleedit.text import parse_rule
from tests import strategies
from tests.asked import said
from tests.commandline import Shop, answer, done, refused
from tests.strategies import Dice, make_small_rows

SCHEMA = Schema(
    (
        Feature("age", "integer", low=0.0, high=99.0),
        Feature("job", "categorical", categories=("a", "b")),
        Feature("late", "boolean"),
    ),
    "t",
    ("no", "yes"),
)


def rules(*texts: str, default: str = "no", schema: Schema = SCHEMA) -> RuleAnswers:
    """A rule set that answers by itself."""
    listed = tuple(parse_rule(text, f"R{number}") for number, text in enumerate(texts, start=1))
    return RuleAnswers(RuleSet(listed, Outcome.of(default)), schema)


def people(many: int = 3_000) -> pd.DataFrame:
    """Rows of all ages."""
    dice = np.random.default_rng(3)
    frame = pd.DataFrame({"age": dice.integers(0, 100, many), "job": dice.choice(["a", "b", "zz"], many)})
    frame["late"] = dice.choice(["true", "false"], many)
    frame.loc[dice.random(many) < 0.1, "job"] = None
    return frame


BEFORE = rules("IF age > 60 THEN yes")
AFTER = rules("IF age > 60 THEN yes", "IF age between 40 and 50 AND job = a THEN yes")


@pytest.fixture(scope="module")
def changed() -> Comparison:
    """A second rule was added."""
    return compare(BEFORE, AFTER, people())


def test_the_rules_say_where_the_two_differ(changed: Comparison) -> None:
    """One rule, with its precision and recall on the held-out quarter."""
    (rule,) = changed.rules
    assert rule.text == "IF age between 40 and 50 AND job = a THEN 'no -> yes'"
    assert (rule.change, rule.precision, rule.recall) == ("no -> yes", 1.0, 1.0)
    assert (changed.precision, changed.recall) == (1.0, 1.0)
    assert changed.held_out == pytest.approx(750, abs=2)
    low, high = rule.precision_interval or (0.0, 0.0)
    assert low < high == 1.0


def test_flips_are_counted_each_way_and_by_group(count: Callable[[int, int], int]) -> None:
    """Random rule sets before and after, row by row from the semantics; a row left to the model answers `model`."""
    for number in range(count(40, 500)):
        dice = Dice(number)
        schema = strategies.make_small_schema(dice)
        draft = strategies.make_session(dice, Draft.of(strategies.make_base(dice, schema), schema))[-1]
        rows = make_small_rows(dice, schema, 80)
        found = compare(
            RuleAnswers(draft.base, schema), RuleAnswers(draft.rules, schema), pd.DataFrame(rows), max_clauses=4
        )
        names = []
        for row in rows:
            sides = [said(side, row, schema) for side in (draft.base, draft.rules)]
            names.append(tuple("model" if one.is_model else str(one.top(schema.classes)) for one in sides))
        flips = Counter(f"{old} -> {new}" for old, new in names if old != new)
        assert found.flips == dict(flips)
        assert found.mask.tolist() == [old != new for old, new in names]
        assert sum(part.rows for part in found.classes) == 80
        assert sum(part.flipped for part in found.classes) == found.flipped == sum(flips.values())
        by_feature: Counter[str] = Counter()
        for part in found.groups:
            by_feature[part.name.split(" =")[0].split(" is ")[0]] += part.rows
            assert part.flipped == sum(part.flips.values()) <= part.rows
        assert set(by_feature.values()) <= {80}
        json.dumps(found.to_json(), allow_nan=False)


def test_precision_and_recall_are_of_rows_that_the_rules_were_not_made_from(changed: Comparison) -> None:
    """Recounted on the held-out rows by the rules' own text."""
    frame, before, after = people(), rules("IF age > 60 THEN yes"), rules("IF age > 58 AND late = true THEN yes")
    found = compare(before, after, frame, max_clauses=2)
    rows = encoded_frame(frame)
    old, new = (side.answer(rows).outcomes for side in (before, after))
    label = [f"{SCHEMA.classes[a]} -> {SCHEMA.classes[b]}" if a != b else "same" for a, b in zip(old, new, strict=True)]
    kinds = sorted(set(label) - {"same"}, key=lambda kind: -label.count(kind))
    held = stratified_quarter(np.array([["same", *kinds].index(kind) for kind in label], dtype=np.intp), 0)
    listed = tuple(parse_rule(rule.text, rule.rule) for rule in found.rules if rule.rule != "default")
    assert listed
    place = decide(RuleSet(listed, Outcome.of("no")), rows[held], SCHEMA)
    for number, rule in enumerate(found.rules):
        right = sum(place[at] == number and label[row] == rule.change for at, row in enumerate(held))
        assert (rule.rows, rule.right) == (int((place == number).sum()), right)
        assert rule.precision == pytest.approx(right / rule.rows)
        assert rule.recall == pytest.approx(right / sum(label[row] == rule.change for row in held))
    assert found.held_out == len(held)


def encoded_frame(frame: pd.DataFrame) -> np.ndarray:
    """The rows as the comparison reads them."""
    return encode(frame, SCHEMA)


def test_a_change_of_few_rows_is_found() -> None:
    """Two rows in a hundred, where answering "same" is right for nearly all."""
    found = compare(BEFORE, rules("IF age > 60 THEN yes", "IF age between 30 and 31 THEN yes"), people(6_000))
    assert [rule.text for rule in found.rules] == ["IF age between 30 and 31 THEN 'no -> yes'"]
    assert (found.precision, found.recall) == (1.0, 1.0)


def test_what_a_default_would_say_is_written_as_rules() -> None:
    """Nearly everything changes: each row that does is under a rule, or under the default by name."""
    found = compare(rules(default="no"), rules("IF age < 10 THEN no", default="yes"), people())
    assert found.recall == 1.0
    assert all(rule.change == "no -> yes" for rule in found.rules)
    everything = compare(rules(default="no"), rules(default="yes"), people(100))
    assert [(rule.rule, rule.text, rule.precision) for rule in everything.rules] == [
        ("default", "OTHERWISE 'no -> yes'", 1.0)
    ]


def test_nothing_differs() -> None:
    """No rules, no shares, and a note."""
    found = compare(BEFORE, BEFORE, people(50))
    assert (found.flipped, found.rules, found.precision, found.recall, found.flips) == (0, (), None, None, {})
    assert found.notes == ("both answer every row of this table alike",)
    assert [match.status for match in found.matches] == ["same"]


def test_what_follows_no_rule_says_so() -> None:
    """Decisions that differ at random are described by nothing, and the figures show it."""

    @dataclass(frozen=True)
    class Noisy(RuleAnswers):
        def answer(self, rows: np.ndarray, *, model_outcome: bool = True) -> object:  # type: ignore[override]
            answers = super().answer(rows)
            answers.outcomes[::37] = 1 - answers.outcomes[::37]
            return answers

    found = compare(BEFORE, Noisy(BEFORE.rules, SCHEMA), people(1_500), max_clauses=6)
    assert found.flipped == -(-1_500 // 37)
    assert min(found.precision or 0.0, found.recall or 0.0) < 0.5
    assert found.notes


def test_rules_are_matched_by_the_rows_that_they_hold() -> None:
    """The same text first, then the greatest Jaccard; what has no partner was added or removed."""
    old = rules("IF age > 60 THEN yes", "IF job = a AND age < 10 THEN yes", "IF late = true AND age < 5 THEN no")
    new = rules("IF age > 55 THEN yes", "IF late = true AND age < 5 THEN no", "IF age between 20 and 21 THEN yes")
    found = {(match.before, match.after): match for match in compare(old, new, people()).matches}
    assert {pair: match.status for pair, match in found.items()} == {
        ("R1", "R1"): "changed",
        ("R2", None): "removed",
        ("R3", "R2"): "same",
        (None, "R3"): "added",
    }
    ages = people()["age"]
    assert found["R1", "R1"].jaccard == pytest.approx((ages > 60).sum() / (ages > 55).sum())
    assert found["R3", "R2"].jaccard == 1.0
    assert found["R2", None].jaccard == 0.0


def test_classes_may_stand_in_another_order_and_be_called_anything() -> None:
    """Outcomes are compared by their names, also where a name looks like a change."""
    odd = Schema(SCHEMA.features, "t", ("a -> b", "b"))
    turned = Schema(SCHEMA.features, "t", ("b", "a -> b"))
    found = compare(
        rules("IF age > 60 THEN b", default="a -> b", schema=odd),
        rules("IF age > 50 THEN b", default="a -> b", schema=turned),
        people(),
    )
    assert list(found.flips) == ["a -> b -> b"]
    assert [rule.text for rule in found.rules] == ["IF age between 51 and 60 THEN 'a -> b -> b'"]


def test_what_cannot_be_compared_is_refused() -> None:
    """Other features, kinds or classes."""
    fewer = Schema(SCHEMA.features[:2], "t", SCHEMA.classes)
    text = Schema((Feature("age", "categorical"), *SCHEMA.features[1:]), "t", SCHEMA.classes)
    more = Schema(SCHEMA.features, "t", ("no", "yes", "maybe"))
    for schema, says in ((fewer, "only one of the two has the feature 'late'"), (text, "'age' is a number for one")):
        with pytest.raises(Refused, match=says):
            compare(BEFORE, rules(schema=schema), people(10))
    with pytest.raises(Refused, match="one has the classes no, yes and the other no, yes, maybe"):
        compare(BEFORE, rules(schema=more), people(10))
    with pytest.raises(Refused, match="'age' is a number and has no groups"):
        compare(BEFORE, AFTER, people(10), groups=["age"])


class TestOnTheCommandLine:
    def test_a_model_and_its_overlay(self, shop: Shop) -> None:
        """The edit comes back as rules about where the release differs from the model."""
        frame = pd.read_csv(shop.csv)
        said = answer("compare", shop.model, shop.release("overlay-hard"), "--data", shop.csv)
        sides = [load_answering(path) for path in (shop.model, shop.release("overlay-hard"))]
        found = compare(*sides, frame, truth=target_codes(frame, sides[0].schema))
        assert said == json.loads(json.dumps(found.to_json()))
        assert said["flipped"] > 0
        assert said["accuracy"]["before"] > 0.8
        shown = done("compare", shop.model, shop.release("overlay-hard"), "--data", shop.csv).out
        assert f"{said['flipped']} of 700 decisions differ" in shown
        assert "held-out rows" in shown

    def test_rule_files_and_groups(self, shop: Shop) -> None:
        """Rules before and after are matched; changes are parted by the features named."""
        said = answer("compare", shop.rules, shop.edited, "--data", shop.csv, "--group", "gender")
        assert {group["group"].split(" ")[0] for group in said["groups"]} == {"gender"}
        assert {"added", "removed"} <= {match["status"] for match in said["matches"]}
        assert "added" in done("compare", shop.rules, shop.edited, "--data", shop.csv).out

    def test_the_same_seed_says_the_same(self, shop: Shop) -> None:
        """Byte for byte."""
        once, again = (done("compare", shop.rules, shop.edited, "--data", shop.csv, "--json").out for _ in range(2))
        assert once == again

    def test_models_of_different_tables_are_refused(self, shop: Shop) -> None:
        """In one line."""
        assert "only one of the two has the feature" in refused(
            "refused", "compare", shop.model, shop.grader, "--data", shop.csv
        )


def test_two_trainings_on_other_samples_are_told_apart_honestly() -> None:
    """Rules about noise have a low precision on held-out rows, never the one that they were chosen for."""
    table = loans(800)
    schema = infer_schema(table, "decision")
    one, other = (train(table, schema, seed=seed) for seed in (0, 1))
    found = compare(Release(one), Release(other), table, max_clauses=6)
    draft = edit(Draft.of(RuleSet((), Outcome.of("deny")), schema), ["new IF age < 20 THEN deny"], reason="")
    assert compare(Release(one), RuleAnswers(draft.rules, schema), table, max_clauses=2).flipped > found.flipped
    assert found.flipped < 300
