"""Generated rows: always in their rule's region, whole, legal, and like the training rows elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleedit.feedback import Feedback, FeedbackRule
from ruleedit.matching import Indices, Matrix, box_mask
from ruleedit.models import Background
from ruleedit.regions import Box, NumberSet, Region, clauses_box
from ruleedit.retrain.columns import Columns, Seen, allowed
from ruleedit.retrain.generate import Generator, Place
from ruleedit.retrain.objective import asking
from ruleedit.retrain.population import MOST_BASES, around, nearby, neighbours, population
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from tests.reference import encoded
from tests.retraining import MIXED, ask, background, mixed_answers, mixed_rows
from tests.strategies import Dice, make_region, make_rows, make_schema


def make(feedback: Feedback, rows: Matrix, count: int = 100, *, seed: int = 0) -> dict[int, Matrix]:
    """Rows for each asking rule, from all the rows given."""
    rng = np.random.default_rng(seed)
    known = background(rows, np.zeros(len(rows), dtype=np.intp), feedback.schema)
    held = feedback.assign(rows)
    generator = Generator(feedback, rows, known, rng)
    made = {}
    for place in asking(feedback):
        bases = population(feedback, place, rows, held, known, 5, rng)
        made[place] = generator.make(bases, rng.integers(len(bases), size=count))
    return made


REGIONS = (
    "IF x > 1 THEN yes",
    "IF x > 4.5 AND n between 33 and 35 THEN yes",
    "IF x in (1, 2) AND c = rare THEN yes",
    "IF x != 0.5 AND n not in (7, 8, 9) THEN yes",
    "IF x is missing AND c is missing THEN yes",
    "IF c not in (a, b) AND f = true THEN yes",
    "IF c not in (a, b, c, rare) AND n < 6 THEN yes",
    "IF f != true AND whole < -2.5 THEN yes",
    "IF whole > 50 AND x is not missing THEN yes",
    "IF n > 30 AND n < 32 THEN yes 0.7, no 0.3",
)


class TestRegion:
    @pytest.mark.parametrize("text", REGIONS)
    def test_every_row_satisfies_its_rule(self, text: str) -> None:
        """Whatever the rule names, and with no training row in most of these regions, each row is in it."""
        asked = ask(MIXED, text)
        made = make(asked, mixed_rows())[0]
        assert len(made) == 100
        assert (asked.assign(made) == 0).all()

    def test_a_row_of_a_later_rule_is_in_no_earlier_one(self) -> None:
        """The holes that earlier rules make are kept free, even where they take nearly everything."""
        asked = ask(MIXED, "IF x > -3.9 THEN yes", "IF n > 10 AND whole > 0 THEN yes", "IF c = a THEN yes")
        made = make(asked, mixed_rows())
        assert all((asked.assign(rows) == place).all() and len(rows) == 100 for place, rows in made.items())

    def test_a_hole_that_no_attempt_misses_is_missed_in_an_exact_box(self) -> None:
        """A sliver of 1e-9 between an earlier rule and the schema's end gets its rows."""
        asked = ask(MIXED, "IF x <= 4.999999999 THEN yes", "IF x > -5 THEN yes")
        made = make(asked, mixed_rows())[1]
        assert len(made) == 100
        assert (made[:, 0] > 4.999999999).all()

    def test_a_rule_wholly_behind_others_gets_no_rows(self) -> None:
        """Where no row can be the rule's, none is made."""
        asked = ask(MIXED, "IF x > 0 THEN yes", "IF x > 1 THEN yes")
        assert len(make(asked, mixed_rows())[1]) == 0

    def test_what_no_attempt_gets_into_the_region_is_not_tried_again_and_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A rule wholly behind another is tried once, as that one is."""
        tried: list[int] = []
        placed = Generator._placed

        def counted(own: Generator, rows: Matrix, homes: Indices, boxes: Sequence[Place]) -> Matrix:
            tried.append(len(rows))
            return placed(own, rows, homes, boxes)

        monkeypatch.setattr(Generator, "_placed", counted)
        assert len(make(ask(MIXED, "IF x > 0 THEN yes", "IF x > 1 THEN yes"), mixed_rows())[1]) == 0
        assert tried == [100, 100]

    def test_every_part_of_a_region_gets_rows(self) -> None:
        """A part without training rows isn't passed over for one that has them."""
        boxes = [
            clauses_box(parse_rule(f"IF {text} THEN yes").clauses, MIXED) for text in ("x > 1", "c = rare AND n > 35")
        ]

        rule = FeedbackRule("R1", Region.of(*boxes), Outcome.of("yes"), "asserted", "R1")
        empty = RuleSet((), Outcome.of("no"))
        made = make(Feedback(MIXED, (rule,), empty, empty), mixed_rows())[0]
        assert all(box_mask(box, made, MIXED).sum() >= 10 for box in boxes)

    @settings(max_examples=40)
    @given(st.integers(0, 2**32 - 1))
    def test_every_row_satisfies_its_rule_in_any_world(self, seed: int) -> None:
        """Odd schemas, regions of several boxes with holes, tables of a few rows: never a row outside."""
        source = Dice(seed)
        schema = make_schema(source)
        rows = encoded(make_rows(source, schema, least=1, most=8), schema)
        outcome = Outcome.of(schema.classes[0])
        rules = tuple(
            FeedbackRule(f"R{n}", make_region(source, schema), outcome, "asserted", f"R{n}") for n in range(3)
        )
        empty = RuleSet((), outcome)
        asked = Feedback(schema, rules, empty, empty)
        for place, made in make(asked, rows, 20).items():
            assert (asked.assign(made) == place).all()
            assert not np.isinf(made).any()
            for column, feature in zip(made.T, schema.features, strict=True):
                assert feature.missing or not np.isnan(column).any()
                present = column[~np.isnan(column)]
                if feature.is_number:
                    assert feature.low is None or (present >= feature.low).all()
                    assert feature.high is None or (present <= feature.high).all()
                if feature.kind == "integer":
                    assert (present == np.floor(present)).all()


class TestPlausible:
    ROWS = mixed_rows(300)

    def test_integers_stay_whole(self) -> None:
        """Interpolated, drawn, or missing: never a fraction."""
        whole = make(ask(MIXED, "IF x > 1 AND n > 20 THEN yes"), self.ROWS)[0][:, 1]
        assert (whole == np.floor(whole)).all()

    def test_features_that_the_rule_does_not_name_stay_in_the_training_range(self) -> None:
        """Interpolation goes nowhere that no training row is near."""
        made = make(ask(MIXED, "IF c = rare THEN yes"), self.ROWS)[0]
        for place in (0, 1, 4):
            assert np.nanmin(made[:, place]) >= np.nanmin(self.ROWS[:, place])
            assert np.nanmax(made[:, place]) <= np.nanmax(self.ROWS[:, place])

    def test_a_rule_past_the_training_range_stays_in_the_schema(self) -> None:
        """The rule's own bound wins over what was seen, the schema over the rule's open end."""
        made = make(ask(MIXED, "IF x > 4.5 THEN yes"), self.ROWS)[0][:, 0]
        assert made.min() > 4.5
        assert made.max() <= 5.0

    def test_an_open_end_past_everything_reaches_one_deviation(self) -> None:
        """Without a range in the schema a rule past all training values doesn't run to infinity."""
        made = make(ask(MIXED, "IF whole > 50 THEN yes"), self.ROWS)[0][:, 4]
        assert made.min() > 50.0
        assert made.max() <= 50.0 + 1.01 * self.ROWS[:, 4].std()

    def test_a_category_that_no_row_there_has_is_made_where_the_rule_names_it(self) -> None:
        """The rule's own value, whatever the rows nearby have."""
        codes = make(ask(MIXED, "IF c = rare AND n > 33 THEN yes"), self.ROWS, 1_000)[0][:, 2]
        assert set(codes) == {4.0}

    def test_every_member_of_a_named_set_is_drawn(self) -> None:
        """By training frequency, and also one that no training row has."""
        rows = self.ROWS.copy()
        rows[:, 2] = np.where(np.arange(300) < 5, 2.0, 1.0)
        codes = make(ask(MIXED, "IF c in (b, rare) THEN yes"), rows, 1_000)[0][:, 2]
        assert set(codes) == {2.0, 4.0}
        assert 3 * (codes == 4.0).sum() < (codes == 2.0).sum() < 10 * (codes == 4.0).sum()

    def test_missing_values_come_where_the_rule_allows_them(self) -> None:
        """Missing is copied like any value, and never appears in what the rule asks to be there."""
        made = make(ask(MIXED, "IF n >= 0 THEN yes"), mixed_rows(missing=0.4), 500)[0]
        assert np.isnan(made[:, 0]).any()
        assert not np.isnan(made[:, 1]).any()

    def test_an_unseen_category_is_made_only_where_nothing_else_is_left(self) -> None:
        """The code 0 stands for values that nobody has seen; it isn't copied from a training row."""
        rows = self.ROWS.copy()
        rows[:, 2] = 0.0
        assert (make(ask(MIXED, "IF x > 1 THEN yes"), rows)[0][:, 2] != 0.0).all()
        assert (make(ask(MIXED, "IF c not in (a, b, c, rare) THEN yes"), rows)[0][:, 2] == 0.0).all()

    def test_the_same_seed_gives_the_same_rows(self) -> None:
        """All chance comes from one generator."""
        asked = ask(MIXED, *REGIONS[:3])
        one, other, third = (make(asked, self.ROWS, seed=seed) for seed in (1, 1, 2))
        assert all(np.array_equal(one[place], other[place], equal_nan=True) for place in one)
        assert not np.array_equal(one[0], third[0], equal_nan=True)

    def test_numbers_lie_between_two_rows(self) -> None:
        """SMOTE: a convex combination of a base and one of its neighbours, one gap for the whole row."""
        rows = np.array([[0.0, 10.0, 1.0, 0.0, 0.0], [1.0, 20.0, 1.0, 0.0, 2.0]])
        made = make(ask(MIXED, "IF c = a THEN yes"), rows)[0]
        assert np.allclose(made[:, 4], 2.0 * made[:, 0])
        assert len(np.unique(made[:, 0])) == 100

    def test_equal_parents_have_an_equal_child(self) -> None:
        """No rounding moves a value that base and neighbour share."""
        rows = np.full((8, 5), 0.1)
        rows[:, 1:4] = (7.0, 2.0, 1.0)
        made = make(ask(MIXED, "IF c = b THEN yes"), rows)[0]
        assert np.array_equal(made, np.repeat(rows[:1], 100, axis=0))


class TestAllowed:
    NUMBER = Feature("x", "numeric")

    def seen(self, *values: float, feature: Feature = NUMBER, deviation: float = 1.0) -> Seen:
        return Seen.of(np.array(values, dtype=float), feature, deviation)

    def test_a_column_that_was_always_missing_stays_missing(self) -> None:
        """Nothing is made up for a feature that nobody names and no row has."""
        drawn = allowed(None, self.NUMBER, self.seen(math.nan)).draw(5, np.random.default_rng(0))
        assert np.isnan(drawn).all()

    def test_a_column_without_rows_that_must_be_there_is_drawn_around_zero(self) -> None:
        """Where missing is forbidden and nothing was seen, one deviation around 0 is as good as any."""
        feature = Feature("x", "numeric", missing=False)
        drawn = allowed(None, feature, self.seen(feature=feature, deviation=2.0)).draw(50, np.random.default_rng(0))
        assert (np.abs(drawn) <= 2.0).all()

    def test_an_open_start_reaches_one_deviation_down(self) -> None:
        """Below everything seen: a whole number of steps for an integer."""
        feature = Feature("n", "integer")
        values = NumberSet.of([(-math.inf, -100.0)], False, feature)
        column = allowed(values, feature, self.seen(1.0, 2.0, feature=feature, deviation=2.5))
        drawn = column.draw(200, np.random.default_rng(0))
        assert set(drawn) == {-103.0, -102.0, -101.0, -100.0}

    def test_single_values_beside_an_interval_are_drawn_too(self) -> None:
        """A value has no length, but a share."""
        values = NumberSet.of([(0.0, 1.0), (5.0, 5.0)], False, self.NUMBER)
        drawn = allowed(values, self.NUMBER, self.seen(0.0, 9.0)).draw(2_000, np.random.default_rng(0))
        assert (drawn == 5.0).any()

    def test_single_values_alone_are_drawn_alike(self) -> None:
        """Of three values each comes about a third of the time."""
        values = NumberSet.of([(place, place) for place in (1.0, 2.0, 7.0)], False, self.NUMBER)
        drawn = allowed(values, self.NUMBER, self.seen(0.0, 9.0)).draw(900, np.random.default_rng(0))
        assert all(200 < (drawn == place).sum() < 400 for place in (1.0, 2.0, 7.0))

    def test_half_of_the_drawn_numbers_were_seen(self) -> None:
        """A skewed column's rows to come lie where its rows were, and the rest of the interval is drawn from too."""
        values = NumberSet.of([(5.0, math.inf)], False, self.NUMBER)
        column = allowed(values, self.NUMBER, self.seen(1.0, 2.0, 6.0, 6.0, 1_000.0))
        drawn = column.draw(2_000, np.random.default_rng(0))
        assert 0.25 < (drawn == 6.0).mean() < 0.42
        assert 0.3 < ((drawn > 10.0) & (drawn < 990.0)).mean() < 0.55

    def test_the_widest_interval_overflows_nothing(self) -> None:
        """Doubles from end to end can be drawn from."""
        feature = Feature("x", "numeric", low=-1.7e308, high=1.7e308)
        column = allowed(None, feature, self.seen(-1.7e308, 1.7e308, feature=feature))
        assert np.isfinite(column.draw(50, np.random.default_rng(0))).all()

    def test_a_box_outside_the_schema_has_no_columns(self) -> None:
        """What the schema says can't be isn't generated."""
        box = clauses_box(parse_rule("IF x < -5 THEN yes").clauses, MIXED)
        seen = tuple(self.seen(1.0, feature=feature) for feature in MIXED.features)
        assert Columns(MIXED, seen).within(box) is None

    def test_a_set_that_boxes_share_is_worked_out_once(self) -> None:
        """And only the features that a box names are in the answer, by their place."""
        seen = tuple(self.seen(1.0, feature=feature) for feature in MIXED.features)
        columns = Columns(MIXED, seen)
        one = columns.within(clauses_box(parse_rule("IF x > 1 AND c = b THEN yes").clauses, MIXED))
        other = columns.within(clauses_box(parse_rule("IF x > 1 AND n < 9 THEN yes").clauses, MIXED))
        assert one is not None
        assert other is not None
        assert (set(one), set(other)) == ({0, 2}, {0, 1})
        assert one[0] is other[0]
        assert set(columns.anywhere) == {0, 1, 2, 3, 4}

    @pytest.mark.parametrize("text", ["c in (a, rare)", "c not in (a, b)", "c is missing", "c not in (a, b, c, rare)"])
    def test_a_text_may_stay_where_the_set_holds_it(self, text: str) -> None:
        """By its code; one never seen only where the rule leaves nothing else, missing where the rule has it."""
        feature = MIXED.features[2]
        values = clauses_box(parse_rule(f"IF {text} THEN yes").clauses, MIXED).by_feature["c"]
        column = allowed(values, feature, self.seen(1.0, 2.0, feature=feature))
        texts = [None, *feature.categories]
        stays = column.keeps(np.array([math.nan, 1.0, 2.0, 3.0, 4.0]))
        assert stays.tolist() == [one in values for one in texts]
        assert column.keeps(np.array([0.0])).tolist() == [text.count(",") == 3]

    def test_texts_are_drawn_as_often_as_they_were_seen(self) -> None:
        """The same draws as numpy's own by weight: four of seven are `a`, one each the other three."""
        feature = MIXED.features[2]
        column = allowed(None, feature, self.seen(1.0, 1.0, 1.0, feature=feature))
        drawn = column.draw(700, np.random.default_rng(3))
        dice = np.random.default_rng(3)
        dice.random(700)
        assert drawn.tolist() == dice.choice([1.0, 2.0, 3.0, 4.0], 700, p=column.shares).tolist()
        assert 350 < (drawn == 1.0).sum() < 450


class TestMoved:
    ROWS = mixed_rows(200)

    def moved(self, text: str) -> Matrix:
        asked = ask(MIXED, text)
        known = background(self.ROWS, mixed_answers(self.ROWS), MIXED)
        return Generator(asked, self.ROWS, known, np.random.default_rng(0)).moved(0, self.ROWS)

    def test_only_what_the_rule_names_changes(self) -> None:
        """Everything else is the row's own, missing values too."""
        moved = self.moved("IF n > 31 AND c = b THEN yes")
        assert np.array_equal(moved[:, [0, 3, 4]], self.ROWS[:, [0, 3, 4]], equal_nan=True)
        assert (moved[:, 1] > 31).all()
        assert (moved[:, 2] == 2.0).all()

    def test_a_row_that_is_there_stays_as_it_is(self) -> None:
        """No value that the rule allows is drawn anew."""
        here = self.ROWS[:, 1] > 20
        assert np.array_equal(self.moved("IF n > 20 THEN yes")[here], self.ROWS[here], equal_nan=True)


class TestShuffled:
    ROWS = mixed_rows(200)

    def shuffled(self, text: str, rows: Matrix, count: int = 500) -> Matrix:
        asked = ask(MIXED, text)
        known = background(self.ROWS, mixed_answers(self.ROWS), MIXED)
        return Generator(asked, self.ROWS, known, np.random.default_rng(0)).shuffled(0, rows, count)

    @pytest.mark.parametrize("text", REGIONS)
    def test_every_row_satisfies_its_rule(self, text: str) -> None:
        """Also where no training row does."""
        made = self.shuffled(text, self.ROWS)
        assert len(made) == 500
        assert (ask(MIXED, text).assign(made) == 0).all()

    def test_every_value_is_one_that_a_training_row_has(self) -> None:
        """Missing too: nothing lies between two of them but in what the rule names."""
        made = self.shuffled("IF n > 20 THEN yes", self.ROWS[self.ROWS[:, 1] > 20])
        for place in (0, 2, 3, 4):
            assert np.isin(made[:, place].view(np.int64), self.ROWS[:, place].copy().view(np.int64)).all()

    def test_it_is_of_more_sorts_than_the_rows_are(self) -> None:
        """A half of its values are another row's, so hardly one is as it was; most of each are of the region's rows."""
        rows = self.ROWS[self.ROWS[:, 0] > 2.0]
        made = self.shuffled("IF x > 2 THEN yes", rows)
        there = {row.tobytes() for row in rows}
        assert np.mean([row.tobytes() in there for row in made]) < 0.2
        assert 0.7 < np.isin(made[:, 4], rows[:, 4]).mean() < 0.9


#: Each of the rows seven times.
COPIED = np.repeat(mixed_rows(300), 7, axis=0)


class TestPopulation:
    ROWS = mixed_rows(300)

    def population(self, text: str, rows: Matrix | None = None, k: int = 5):  # type: ignore[no-untyped-def]
        rows = self.ROWS if rows is None else rows
        asked = ask(MIXED, text)
        known = background(rows, mixed_answers(rows), MIXED)
        return population(asked, 0, rows, asked.assign(rows), known, k, np.random.default_rng(0))

    def test_enough_rows_of_the_region_are_the_bases(self) -> None:
        """Nothing is relaxed where there are k + 1 rows."""
        bases = self.population("IF x > 0 THEN yes")
        assert bases.exact
        assert np.array_equal(bases.rows, np.flatnonzero(self.ROWS[:, 0] > 0))

    def test_the_clause_whose_removal_gives_most_rows_goes_first(self) -> None:
        """x > 4.5 holds no row at all, n > 20 and f = true do."""
        bases = self.population("IF x > 4.5 AND n > 20 AND f = true THEN yes")
        assert bases.relaxed == ("x",)
        assert not bases.exact
        assert np.array_equal(bases.rows, np.flatnonzero((self.ROWS[:, 1] > 20) & (self.ROWS[:, 3] == 1)))

    def test_clauses_go_until_there_are_enough(self) -> None:
        """Two conditions without rows are both dropped, and no more."""
        assert set(self.population("IF x > 4.5 AND n > 35 AND f = true THEN yes").relaxed) == {"x", "n"}

    def test_at_worst_every_row_is_a_base(self) -> None:
        """A table smaller than k + 1 rows is its own population."""
        bases = self.population("IF x > 4.5 THEN yes", self.ROWS[:3])
        assert bases.rows.tolist() == [0, 1, 2]
        assert bases.neighbours.shape == (3, 2)

    @settings(max_examples=40)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 12))
    def test_a_relaxed_rule_holds_what_the_rule_holds(self, seed: int, enough: int) -> None:
        """And enough rows, or all of them; no feature is dropped twice or for nothing."""
        source = Dice(seed)
        schema = make_schema(source)
        rows = encoded(make_rows(source, schema, least=1, most=10), schema)
        region = make_region(source, schema)
        empty = RuleSet((), Outcome.of(schema.classes[0]))
        rule = FeedbackRule("R1", region, empty.default, "asserted", "R1")
        asked = Feedback(schema, (rule,), empty, empty)
        found, dropped = nearby(asked, 0, rows, enough)
        assert len(found) >= min(enough, len(rows))
        assert set(np.flatnonzero(asked.assign(rows) == 0)) <= set(found)
        assert len(set(dropped)) == len(dropped)
        assert set(dropped) <= {name for part in region.parts for name in part.box.by_feature}

    @settings(max_examples=40)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 12))
    def test_around_a_region_are_the_rows_that_miss_it_by_one_feature(self, seed: int, enough: int) -> None:
        """Whichever that is; where they are fewer than asked for those of a relaxed rule too."""
        source = Dice(seed)
        schema = make_schema(source)
        rows = encoded(make_rows(source, schema, least=1, most=10), schema)
        region = make_region(source, schema)
        empty = RuleSet((), Outcome.of(schema.classes[0]))
        asked = Feedback(schema, (FeedbackRule("R1", region, empty.default, "asserted", "R1"),), empty, empty)
        beside = {
            number
            for part in region.parts
            for number in range(len(rows))
            if sum(not box_mask(Box((one,)), rows[[number]], schema)[0] for one in part.box.sets) <= 1
        }
        found = set(around(asked, 0, rows, enough))
        assert beside <= found
        assert found == beside or (len(beside) < enough and found == beside | set(nearby(asked, 0, rows, enough)[0]))

    def test_a_copy_is_nobodys_neighbour(self) -> None:
        """With each row seven times the neighbours are those of the rows once, so what is made lies between rows."""
        once, often = self.population("IF x > 0 THEN yes"), self.population("IF x > 0 THEN yes", COPIED)
        np.testing.assert_array_equal(COPIED[often.rows], np.repeat(self.ROWS[once.rows], 7, axis=0))
        near = COPIED[often.rows][often.neighbours[::7]]
        np.testing.assert_array_equal(near, self.ROWS[once.rows][once.neighbours])

    def test_copies_of_a_few_rows_are_not_enough(self) -> None:
        """Six rows of one sort span nothing: the rule is relaxed until there are six sorts."""
        rows = np.concatenate(
            [self.ROWS[self.ROWS[:, 0] <= 4.0], np.repeat(self.ROWS[self.ROWS[:, 0] > 4.0][:1], 9, 0)]
        )
        bases = self.population("IF x > 4 AND n <= 30 THEN yes", rows)
        assert bases.relaxed == ("x",)

    def test_more_bases_can_be_asked_for(self) -> None:
        """A region of few rows is relaxed further than k + 1 where they are not enough."""
        asked = ask(MIXED, "IF n > 28 AND c = b THEN yes")
        held = asked.assign(self.ROWS)
        known = background(self.ROWS, mixed_answers(self.ROWS), MIXED)
        few, more = (
            population(asked, 0, self.ROWS, held, known, 2, np.random.default_rng(0), enough=enough)
            for enough in (0, 60)
        )
        assert few.exact
        assert len(few) < 60 <= len(more)
        assert more.relaxed == ("n",)

    def test_a_large_region_is_sampled(self) -> None:
        """At most so many rows are bases, each once."""
        bases = self.population("IF whole > -100 THEN yes", mixed_rows(1_500))
        assert len(bases) == MOST_BASES == len(set(bases.rows))


class TestNeighbours:
    SCHEMA = Schema((Feature("x", "numeric"), Feature("c", "categorical", categories=("a", "b"))), "y", ("no", "yes"))

    def test_they_are_those_of_the_stated_distance(self) -> None:
        """|difference| / deviation, 1 for another category, 1 where one of the two is missing."""
        rows = np.array([[0.0, 1.0], [4.0, 1.0], [1.0, 2.0], [math.nan, 1.0], [math.nan, math.nan]])
        # From the first row: 2.0, 0.5 + 1, 1, 1 + 1.
        assert neighbours(rows, self.SCHEMA, (2.0, 1.0), 4)[0].tolist() == [3, 2, 1, 4]

    def test_two_missing_values_are_alike(self) -> None:
        """A row without a number is nearest to another without one."""
        rows = np.array([[math.nan, 1.0], [0.0, 1.0], [math.nan, 1.0]])
        assert neighbours(rows, self.SCHEMA, (1.0, 1.0), 1)[0].tolist() == [2]

    def test_a_row_alone_is_its_own_neighbour(self) -> None:
        """There is nobody else."""
        assert neighbours(np.zeros((1, 2)), self.SCHEMA, (1.0, 1.0), 5).tolist() == [[0]]

    def test_a_wide_column_does_not_drown_the_others(self) -> None:
        """Distances are in standard deviations: another category is further than a five-hundredth of the column."""
        rows = np.array([[0.0, 1.0], [100.0, 1.0], [1.0, 2.0], [50_000.0, 2.0]])
        known = Background.of(rows, np.zeros(4, dtype=np.intp), self.SCHEMA)
        assert neighbours(rows, self.SCHEMA, known.deviations, 1)[0].tolist() == [1]
