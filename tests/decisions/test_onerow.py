"""One row at a time: the same as with tables, bit for bit."""

from __future__ import annotations

import math
import threading

import lightgbm
import numpy as np
import pandas as pd
import pytest

from ruleedit.decisions import decide_encoded, row_warnings
from ruleedit.decisions.onerow import RowDecider, RowModel, box_test, first_rule, region_test
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.formats import canonical
from ruleedit.matching import Matrix, box_mask, decide, region_mask
from ruleedit.models import TableModel
from ruleedit.models.adoption import adopt
from ruleedit.models.folder import load as load_model
from ruleedit.models.training import train
from ruleedit.release import Release, load
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode, infer_schema, read
from ruleedit.text import parse_rule
from ruleedit.workflow import resolve_conflicts
from tests.commandline import Shop, three_classes
from tests.reference import encoded
from tests.strategies import Dice, World


def odd_rows(model: TableModel, rows: Matrix, seed: int = 0) -> Matrix:
    """Rows of a table with missing values, unseen categories and numbers far outside put in at random."""
    rng = np.random.default_rng(seed)
    out = rows.copy()
    for place, feature in enumerate(model.schema.features):
        out[rng.random(len(out)) < 0.1, place] = np.nan
        odd = [0.0] if not feature.is_number else [-1e9, 1e9, 0.0]
        out[rng.random(len(out)) < 0.1, place] = rng.choice(odd)
    return out


class TestMatching:
    def test_random_rule_sets_decide_as_tables_do(self, worlds: list[World]) -> None:
        """The same rule for every row of every world."""
        for world in worlds:
            rows = encoded(world.rows, world.schema)
            found = [first_rule(world.rules, world.schema)(row) for row in rows.tolist()]
            assert found == decide(world.rules, rows, world.schema).tolist()

    def test_random_boxes_and_regions_hold_the_same_rows(self, worlds: list[World]) -> None:
        """Holes, missing values, unseen categories and empty boxes included."""
        for world in worlds:
            rows = encoded(world.rows, world.schema)
            for box in world.boxes:
                test = box_test(box, world.schema)
                assert [test(row) for row in rows.tolist()] == box_mask(box, rows, world.schema).tolist()
            for region in world.regions:
                test = region_test(region, world.schema)
                assert [test(row) for row in rows.tolist()] == region_mask(region, rows, world.schema).tolist()


class TestModel:
    @pytest.mark.parametrize("kind", ["two classes", "three classes"])
    def test_answers_as_the_table_s(self, shop: Shop, kind: str) -> None:
        """Every probability to the bit, missing and unseen values included."""
        folder, file = (shop.model, shop.csv) if kind == "two classes" else (shop.grader, shop.grades)
        model = load_model(folder)
        rows = odd_rows(model, encode(read(file), model.schema))
        single = RowModel(model)
        assert [single.proba(row) for row in rows.tolist()] == model.proba(rows).tolist()

    def test_thresholds_choose_the_outcome(self) -> None:
        """The class with the greatest p / threshold, ties to the first."""
        frame = three_classes()
        thresholds = {"high": 0.2, "mid": 0.5}
        model = train(frame, infer_schema(frame, "grade"), thresholds=thresholds)
        single, rows = RowModel(model), encode(frame, model.schema)
        found = [single.outcome(single.proba(row)) for row in rows.tolist()]
        assert found == model.outcomes(rows).tolist()
        assert found != model.proba(rows).argmax(axis=1).tolist()

    def test_an_adopted_model_gets_its_own_codes(self) -> None:
        """Categories that pandas counted from 0 in an order of its own."""
        frame = three_classes().dropna()
        features = frame.drop(columns="grade").astype({"hue colour": "category"})
        theirs = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(features, frame["grade"])
        model = adopt(theirs.booster_.model_to_string(), frame, "grade", classes=list(theirs.classes_))
        rows = odd_rows(model, encode(frame, model.schema))
        single = RowModel(model)
        assert [single.proba(row) for row in rows.tolist()] == model.proba(rows).tolist()

    def test_threads_take_turns(self, shop: Shop) -> None:
        """Several threads that ask at once get the answers of their own rows."""
        model = load_model(shop.model)
        rows = encode(read(shop.csv).head(200), model.schema)
        single, wrong = RowModel(model), []
        expected = model.proba(rows).tolist()

        def ask(start: int) -> None:
            for place in [*range(start, 200), *range(start)]:
                if single.proba(rows[place].tolist()) != expected[place]:
                    wrong.append(place)

        threads = [threading.Thread(target=ask, args=(start,)) for start in (0, 50, 100, 150)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_a_row_of_another_width_is_refused(self, shop: Shop) -> None:
        """LightGBM would read out of bounds."""
        with pytest.raises(ValueError, match="size"):
            RowModel(load_model(shop.model)).proba([1.0])


class TestDecider:
    @pytest.mark.parametrize("mode", ["model", "overlay-hard", "overlay-soft", "retrain", "graft"])
    def test_decides_as_tables_do(self, shop: Shop, mode: str) -> None:
        """Outcome, probabilities, rule, reasons, codes, change, warnings and moved values, in every mode."""
        release = load(shop.model if mode == "model" else shop.release(mode))
        rows = odd_rows(release.model, encode(read(shop.csv), release.schema)[:300])
        decider = RowDecider(release)
        expected = decide_encoded(release, rows, row_warnings(rows, release.schema))
        assert [decider.decide(row) for row in rows.tolist()] == expected

    def test_random_edits_decide_as_tables_do(self, shop: Shop) -> None:
        """Remainders, distributions, rules that say model, and settled conflicts."""
        model, dice = load_model(shop.model), Dice(4)
        rows = odd_rows(model, encode(read(shop.csv), model.schema)[:100])
        for number in range(10):
            edits = [
                f"new IF age < {dice.number(20, 60)} THEN deny",
                f"new IF amount > {dice.number(1, 9)}000 THEN approve 0.75, deny 0.25",
                "remove R1 otherwise model" if number % 2 else "then R1 approve",
            ]
            draft = edit(canonical.read(shop.rules), edits, reason="r")
            draft = resolve_conflicts(draft, (), "priority", reason="r", author="")
            release = Release(model, "overlay-hard", draft)
            decider = RowDecider(release, "release-1")
            found = [decider.decide(row) for row in rows.tolist()]
            assert found == decide_encoded(release, rows, row_warnings(rows, release.schema))
            assert {decision.by for decision in found} == {"model", "overlay"}


def test_every_missing_value_is_warned_of(shop: Shop) -> None:
    """A row of nothing but missing values has one warning a feature."""
    release = Release(load_model(shop.model))
    found = RowDecider(release).decide([math.nan] * len(release.schema.features))
    assert found.warnings == tuple(f"{name}: the value is missing" for name in release.schema.names)
    assert found.rule is None


class TestNearest:
    SCHEMA = Schema(
        (Feature("age", "integer"), Feature("job", "categorical", categories=("clerk", "cook"))), "y", ("no", "yes")
    )

    def decider(self, *rules: str, default: str = "no") -> RowDecider:
        """A decider whose rules say this, first match wins; the model is of no matter."""
        frame = pd.DataFrame({"age": [20, 30, 40, 50] * 20, "job": ["clerk", "cook"] * 40, "y": ["no", "yes"] * 40})
        model = train(frame, self.SCHEMA)
        parsed = tuple(parse_rule(text, f"R{place}") for place, text in enumerate(rules, 1))
        return RowDecider(Release(model, "overlay-hard", Draft.of(RuleSet(parsed, Outcome.of(default)), self.SCHEMA)))

    def test_the_rule_that_fails_the_fewest_clauses(self) -> None:
        """With the clauses that fail and the row's values; of equal ones the first."""
        decider = self.decider(
            "IF age > 60 AND age < 90 AND job = cook THEN yes",
            "IF age > 35 AND job = clerk THEN yes",
            "IF age > 33 THEN yes",
        )
        found = decider.nearest([30.0, 1.0], "no")
        assert found is not None
        assert (found["outcome"], found["rule"], found["behind"]) == ("yes", "R2", None)
        assert found["failed"] == [{"clause": "age > 35", "value": 30.0}]
        missing = decider.nearest([math.nan, 0.0], "no")
        assert missing is not None
        assert missing["failed"] == [{"clause": "age > 33", "value": None}]

    def test_a_rule_that_stands_behind_another(self) -> None:
        """It fails no clause: the rule before it is named."""
        found = self.decider("IF age > 20 THEN no", "IF job = cook THEN yes").nearest([30.0, 2.0], "no")
        assert found is not None
        assert (found["rule"], found["failed"], found["behind"]) == ("R2", [], "R1")

    def test_the_default_where_no_rule_says_anything_else(self) -> None:
        """And nothing where the default says the same, or there are no rules."""
        decider = self.decider("IF age > 20 THEN yes")
        found = decider.nearest([30.0, 2.0], "yes")
        assert found is not None
        assert (found["outcome"], found["rule"], found["behind"]) == ("no", None, "R1")
        assert self.decider("IF age > 20 THEN no").nearest([30.0, 2.0], "no") is None

    def test_of_a_model_without_rules_there_is_none(self, shop: Shop) -> None:
        """Nothing to fail."""
        release = Release(load_model(shop.model))
        assert RowDecider(release).nearest([0.0] * len(release.schema.features), "deny") is None
