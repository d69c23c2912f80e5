"""Regions: the algebra agrees with row-by-row evaluation, and clauses say exactly what boxes hold."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from ruleedit.errors import (
    ClauseRefused,
    EmptyRegion,
    TooComplex,
    UnknownCategory,
    UnknownClass,
    UnknownFeature,
    ValueOutOfRange,
)
from ruleedit.regions import (
    NOWHERE,
    Box,
    NumberSet,
    Part,
    Region,
    TextSet,
    after,
    before,
    box_clauses,
    box_text,
    check_clause,
    check_rule,
    clause_cost,
    clause_set,
    clauses_box,
    example_text,
    full_set,
    rule_box,
    simplify,
)
from ruleedit.rules import Clause, Outcome, Rule
from ruleedit.schema import LARGEST_INTEGER, Feature, Schema
from ruleedit.text import parse_clause, parse_rule
from tests.reference import TINIEST, Row, all_true, true_for
from tests.strategies import World

LARGEST = 1.7976931348623157e308
SCHEMA = Schema(
    (
        Feature("age", "integer", low=0.0, high=99.0),
        Feature("income", "numeric", missing=False),
        Feature("job", "categorical", categories=("clerk", "cook", "it's")),
        Feature("flag", "boolean"),
        Feature("owner", "boolean", missing=False),
    ),
    "decision",
    ("approve", "deny"),
)


def box(*texts: str) -> Box:
    return clauses_box([parse_clause(text) for text in texts], SCHEMA)


def within_any(boxes: Sequence[Box], row: Row) -> list[Box]:
    return [one for one in boxes if row in one]


def disjoint(boxes: Sequence[Box]) -> bool:
    return not any(one.meets(other) for place, one in enumerate(boxes) for other in boxes[:place])


def simplified(*texts: str) -> list[str]:
    return [str(clause) for clause in simplify([parse_clause(text) for text in texts], SCHEMA)]


def written(one: Box) -> list[str]:
    return [" AND ".join(map(str, clauses)) for clauses in box_clauses(one, SCHEMA)]


# Clauses and values


def test_a_clause_holds_the_values_that_it_is_true_for(worlds: list[World]) -> None:
    """`value in clause_set` is the clause's truth, at thresholds, tiny numbers, missing and unseen values."""
    for world in worlds:
        for rule in world.rules:
            for clause in rule.clauses:
                feature = world.schema.feature(clause.feature)
                values = clause_set(clause, feature)
                assert all((row[clause.feature] in values) == true_for(clause, row, feature) for row in world.rows)


def test_a_clause_and_its_complement_partition_the_rows(worlds: list[World]) -> None:
    """Promise 9: each row, missing and unseen values too, is in exactly one; twice the complement is the set."""
    for world in worlds:
        for rule in world.rules:
            for clause in rule.clauses:
                values = clause_set(clause, world.schema.feature(clause.feature))
                other = values.complement()
                assert all((row[clause.feature] in values) != (row[clause.feature] in other) for row in world.rows)
                assert other.complement() == values


def test_the_law_of_de_morgan(worlds: list[World]) -> None:
    """Promise 9: not (A and B) is (not A) or (not B), for boxes and for regions."""
    for world in worlds:
        one, other = world.boxes
        neither_both = Region.of(*Box().subtract(one.intersect(other)))
        region = Region.of(Box()).without(one.intersect(other))
        for row in world.rows:
            assert (row in neither_both) == (row in region) == (row not in one or row not in other)


def test_three_way_counts_add_up(worlds: list[World]) -> None:
    """Promise 9: only A, only B, both and neither are all rows, by algebra as by counting."""
    for world in worlds:
        one, other = world.boxes
        only, both = Region.of(one).without(other), Region.of(one.intersect(other))
        rest, neither = Region.of(other).without(one), Region.of(Box()).without(one, other)
        counts = [sum(row in region for row in world.rows) for region in (only, both, rest, neither)]
        assert sum(counts) == len(world.rows)
        assert counts[0] + counts[1] == sum(row in one for row in world.rows)


@pytest.mark.parametrize(
    ("value", "whole", "expected"),
    [
        (5.0, True, 6.0),
        (-1.0, True, 0.0),
        (5.0, False, math.nextafter(5.0, 6.0)),
        (0.0, False, math.nextafter(TINIEST, 1.0)),
        (-math.nextafter(TINIEST, 1.0), False, 0.0),
        (LARGEST_INTEGER, True, LARGEST_INTEGER + 2.0),
        (-LARGEST_INTEGER, True, 1.0 - LARGEST_INTEGER),
    ],
)
def test_the_next_value(value: float, whole: bool, expected: float) -> None:
    """The next integer, or the next double that isn't read as 0; `before` is its mirror."""
    assert after(value, whole) == expected
    assert before(expected, whole) == value
    assert before(-value, whole) == -expected


def test_an_integer_has_a_step_of_one() -> None:
    """Nothing lies between 30 and 31, and above 30 is from 31 up."""
    assert box("age > 30", "age < 31").is_empty
    assert box("age > 30") == box("age >= 31")
    assert box("age != 30", "age >= 30") == box("age >= 31")
    assert not box("income > 30", "income < 31").is_empty


def test_a_number_has_no_step() -> None:
    """Between neighbouring doubles nothing is left, and beside 0 the next is past the tiny ones."""
    beside = math.nextafter(5.0, 6.0)
    income = Clause("income", "<", beside)
    assert clauses_box([Clause("income", ">", 5.0), income], SCHEMA).is_empty
    assert box("income > 0", "income <= 1e-35").is_empty
    assert not box("income > 0", "income < 1.1e-35").is_empty


def test_nothing_lies_past_the_largest_double() -> None:
    """Above the largest double is empty, and up to it is every number."""
    assert clauses_box([Clause("income", ">", LARGEST)], SCHEMA).is_empty
    assert clauses_box([Clause("income", "<=", LARGEST)], SCHEMA) == Box()
    assert clauses_box([Clause("income", ">=", -LARGEST)], SCHEMA) == Box()
    assert clauses_box([Clause("income", "<", -LARGEST)], SCHEMA).is_empty
    assert clauses_box([Clause("income", "=", LARGEST)], SCHEMA) == clauses_box(
        [Clause("income", ">=", LARGEST)], SCHEMA
    )


@pytest.mark.parametrize("tiny", [1e-36, -1e-36, -0.0, TINIEST])
def test_a_tiny_value_in_a_clause_is_zero(tiny: float) -> None:
    """A clause made in code means what its text means."""
    assert clause_set(Clause("age", "=", tiny), SCHEMA.feature("age")) == clause_set(
        Clause("age", "=", 0.0), SCHEMA.feature("age")
    )
    assert str(box_clauses(clauses_box([Clause("income", ">=", tiny)], SCHEMA), SCHEMA)[0][0]) == "income >= 0"


def test_not_in_is_never_the_rest() -> None:
    """A value never seen is in `not in` and not in `in`, so the two are different sets."""
    some, rest = box("job not in (clerk)"), box("job in (cook, 'it''s')")
    assert some != rest
    assert some.witness(SCHEMA)["job"] == "cook"
    left = some.subtract(rest)
    assert [one.witness(SCHEMA)["job"] for one in left] == ["another value"]
    assert written(some) == ["job != clerk"]
    assert written(box("job not in (clerk, cook)")) == ["job not in (clerk, cook)"]


def test_an_unseen_example_is_none_of_the_members() -> None:
    """Where every known value is left out the example is a new text."""
    feature = Feature("x", "categorical", categories=("another value",))
    assert clause_set(Clause("x", "!=", "another value"), feature).example(feature) == "another value'"


def test_a_boolean_has_two_values() -> None:
    """Not true is false, and neither of them is missing."""
    assert box("flag != true") == box("flag = false")
    assert box("flag in (true, false)") == box("flag is not missing")
    assert box("flag != true", "flag != false").is_empty
    assert written(box("flag in (true, false)")) == ["flag is not missing"]


@pytest.mark.parametrize("name", ["income", "owner"])
def test_where_missing_is_forbidden_it_is_empty(name: str) -> None:
    """`is missing` describes no row there and `is not missing` every row."""
    assert box(f"{name} is missing").is_empty
    assert box(f"{name} is not missing") == Box()
    assert all(values.complement().is_empty for values in [full_set(SCHEMA.feature(name))])


def test_a_complement_takes_the_missing_values() -> None:
    """The complement of ``x < 2`` is ``x >= 2`` or missing."""
    values = clause_set(parse_clause("age < 2"), SCHEMA.feature("age")).complement()
    assert None in values
    assert math.nan in values
    assert written(Box.of({"age": values})) == ["age >= 2", "age is missing"]


@pytest.mark.parametrize("value", ["text", "", math.inf, -math.inf, 0.5])
def test_a_number_set_holds_numbers_of_its_kind_only(value: object) -> None:
    """A text, an infinity, or a fraction in an integer feature is in no set."""
    values = full_set(SCHEMA.feature("age"))
    assert isinstance(values, NumberSet)
    assert value not in values
    assert 3 in values


def test_a_text_set_holds_texts_only() -> None:
    """A number is no category."""
    values = full_set(SCHEMA.feature("job"))
    assert isinstance(values, TextSet)
    assert 3.0 not in values
    assert "whatever" in values


# Boxes, parts and regions


def test_intersections_hold_the_rows_of_both(worlds: list[World]) -> None:
    """Promise 10: a row is in the intersection if and only if it is in both, whichever comes first."""
    for world in worlds:
        one, other = world.boxes
        both = one.intersect(other)
        assert all((row in both) == (row in one and row in other) for row in world.rows)
        assert both.is_empty == other.intersect(one).is_empty == (not one.meets(other))


def test_regions_meet_where_their_boxes_do(worlds: list[World]) -> None:
    """Promise 10: regions that don't meet have no row in common; what a hole takes isn't looked at."""
    for world in worlds:
        one, other = world.boxes
        assert Region.of(one).meets(Region.of(other)) == one.meets(other)
        assert Region.of(one).without(one).meets(Region.of(one)) == (not one.is_empty)
        assert not NOWHERE.meets(Region.of(one))


def test_differences_are_disjoint_and_exact(worlds: list[World]) -> None:
    """Promise 10: a row of one that isn't in the other is in exactly one piece, and no other row is."""
    for world in worlds:
        one, other = world.boxes
        pieces = one.subtract(other)
        assert all(len(within_any(pieces, row)) == (row in one and row not in other) for row in world.rows)
        assert disjoint(pieces)
        assert all(piece.within(one) and not piece.meets(other) and not piece.is_empty for piece in pieces)


def test_a_box_within_another_leaves_nothing_of_itself(worlds: list[World]) -> None:
    """Promise 10: `within` is an empty difference, so that no row can tell otherwise."""
    for world in worlds:
        one, other = world.boxes
        assert one.within(other) == (not one.subtract(other)) == Region.of(one).within(other)
        assert one.within(one)
        assert one.intersect(other).within(other)
        if one.within(other):
            assert all(row in other for row in world.rows if row in one)


def test_an_empty_box_has_no_rows_and_any_other_a_witness(worlds: list[World]) -> None:
    """Promise 10: a witness is a whole row that is in the box; an empty box has none."""
    for world in worlds:
        for one in world.boxes:
            if one.is_empty:
                assert not any(row in one for row in world.rows)
                with pytest.raises(EmptyRegion, match="no witness"):
                    one.witness(world.schema)
            else:
                witness = one.witness(world.schema)
                assert list(witness) == list(world.schema.names)
                assert witness in one


def test_the_witness_of_a_rule_satisfies_its_clauses(worlds: list[World]) -> None:
    """The witness is judged by the clauses alone."""
    for world in worlds:
        for rule in world.rules:
            found = rule_box(rule, world.schema)
            assert found.is_empty or all_true(rule.clauses, found.witness(world.schema), world.schema)


@pytest.mark.parametrize(
    ("texts", "witness"),
    [
        (["age > 30"], {"age": 60.0}),
        (["age > 30", "age < 33"], {"age": 32.0}),
        (["income > 2.5"], {"income": 3.0}),
        (["income <= -7"], {"income": -7.0}),
        (["income between 0.26 and 0.34"], {"income": 0.3}),
        (["age is missing", "job = cook"], {"age": None, "job": "cook"}),
    ],
)
def test_a_witness_is_readable(texts: list[str], witness: dict[str, object]) -> None:
    """Its numbers have few digits and lie in the schema's range."""
    found = box(*texts).witness(SCHEMA)
    assert {name: found[name] for name in witness} == witness


def test_equal_boxes_are_equal_values() -> None:
    """The order of clauses, and clauses that say nothing, don't matter."""
    assert box("age > 3", "job = cook") == box("job = cook", "age >= 4", "income is not missing")
    assert hash(box("age > 3")) == hash(box("age >= 4"))


def test_parts_hold_their_box_without_the_holes(worlds: list[World]) -> None:
    """Promise 10: the disjoint boxes of a part hold the same rows."""
    for world in worlds:
        one, other = world.boxes
        part = Part.of(one, (other, one.intersect(other)))
        found = tuple(part.boxes())
        assert disjoint(found)
        assert all(
            (row in part) == (row in one and row not in other) == len(within_any(found, row)) for row in world.rows
        )


def test_regions_hold_the_rows_of_their_parts(worlds: list[World]) -> None:
    """Promise 10: the disjoint boxes of a region hold the same rows, and `intersect` and `without` are exact."""
    for world in worlds:
        (one, other), hole = world.regions, world.boxes[0]
        found, both, less = one.boxes(), one.intersect(other), one.without(hole)
        assert disjoint(found)
        for row in world.rows:
            assert (row in one) == len(within_any(found, row))
            assert (row in both) == (row in one and row in other)
            assert (row in less) == (row in one and row not in hole)


def test_a_region_is_empty_or_has_a_witness(worlds: list[World]) -> None:
    """`is_empty`, `first_box`, `boxes` and `witness` agree, and `within` is an empty rest."""
    for world in worlds:
        region, other = world.regions[0], world.boxes[0]
        assert region.is_empty == (region.first_box() is None) == (not region.boxes())
        assert region.within(other) == all(one.within(other) for one in region.boxes())
        if region.is_empty:
            with pytest.raises(EmptyRegion):
                region.witness(world.schema)
        else:
            assert region.witness(world.schema) in region


def test_a_region_of_no_boxes_is_empty() -> None:
    """Empty boxes leave no parts, and holes that don't touch a part are forgotten."""
    assert Region.of(box("age > 3", "age < 3")) == Region()
    assert Region().is_empty
    assert Region.of(box("age > 3")).without(box("age < 2")) == Region.of(box("age > 3"))


def test_past_the_limit_a_region_is_too_complex() -> None:
    """The limit is stated in the message and holds for parts and for unions."""
    features = tuple(Feature(f"x{number}", "numeric") for number in range(24))
    schema = Schema(features, "y", ("a", "b"))
    holes = [
        clauses_box([Clause(f"x{number}", ">", 0.0), Clause(f"x{number + 1}", ">", 0.0)], schema)
        for number in range(0, 24, 2)
    ]
    with pytest.raises(TooComplex, match="more than 100 "):
        Region.of(Box()).without(*holes).boxes(limit=100)
    with pytest.raises(TooComplex, match="more than 100 disjoint boxes"):
        Region.of(*holes, Box()).boxes(limit=100)
    assert Region.of(Box()).without(*holes).first_box(limit=100) is not None


# Boxes as clauses


def test_the_clauses_of_a_box_say_exactly_the_box(worlds: list[World]) -> None:
    """The conjunctions are disjoint, fit the schema, read back, and together hold the box and nothing else."""
    for world in worlds:
        for one in world.boxes:
            if one.is_empty:
                continue
            conjunctions = [
                tuple(parse_clause(str(clause)) for clause in clauses) for clauses in box_clauses(one, world.schema)
            ]
            found = [clauses_box(clauses, world.schema) for clauses in conjunctions]
            assert disjoint(found)
            assert all(piece.within(one) for piece in found)
            assert Region.of(one).without(*found).is_empty
            for row in world.rows:
                assert (row in one) == any(all_true(clauses, row, world.schema) for clauses in conjunctions)


def test_fewer_clauses_say_the_same(worlds: list[World]) -> None:
    """`simplify` gives clauses for the same box, no more of them, none dearer and none redundant."""
    for world in worlds:
        for rule in world.rules:
            if rule_box(rule, world.schema).is_empty:
                with pytest.raises(EmptyRegion, match="no row can satisfy"):
                    simplify(rule.clauses, world.schema)
                continue
            fewer = simplify(rule.clauses, world.schema)
            assert clauses_box(fewer, world.schema) == rule_box(rule, world.schema)
            assert clause_cost(rule.replace(clauses=fewer)) <= clause_cost(rule)
            for place in range(len(fewer)):
                assert clauses_box(fewer[:place] + fewer[place + 1 :], world.schema) != rule_box(rule, world.schema)


@pytest.mark.parametrize(
    ("texts", "fewest"),
    [
        (["age < 5", "age < 10"], ["age <= 4"]),
        (["age > 30", "job != clerk", "age <= 40"], ["age between 31 and 40", "job != clerk"]),
        (["income > 30", "income <= 40"], ["income > 30", "income <= 40"]),
        (["income >= 30", "income != 30"], ["income > 30"]),
        (["age != 5", "age != 6"], ["age not in (5, 6)"]),
        (["age not in (5, 6)", "age not in (8)", "age > 1"], ["age >= 2", "age not in (5, 6, 8)"]),
        (["age in (1, 3)"], ["age in (1, 3)"]),
        (["age in (1, 2, 3, 9)"], ["age in (1, 2, 3, 9)"]),
        (["age in (1, 2, 3)"], ["age between 1 and 3"]),
        (["income in (1, 5, 9)", "income > 1"], ["income in (5, 9)"]),
        (["income in (9, 1, 5)"], ["income in (1, 5, 9)"]),
        (["age > 99"], ["age > 99"]),
        (["age > 5", "age is not missing"], ["age >= 6"]),
        (["job in (cook, clerk)", "job != clerk"], ["job = cook"]),
        (["job != clerk", "job != cook"], ["job not in (clerk, cook)"]),
        (["job is not missing"], ["job is not missing"]),
        (["flag != false"], ["flag = true"]),
        (["age is missing"], ["age is missing"]),
        (["owner is not missing"], []),
    ],
)
def test_clauses_are_simplified(texts: list[str], fewest: list[str]) -> None:
    """Bounds are merged, lists are kept as lists, and no bound leaves the schema's range."""
    assert simplified(*texts) == fewest


def test_simplifying_nothing_left_is_refused() -> None:
    """Clauses that no row can satisfy have no simpler form."""
    with pytest.raises(EmptyRegion, match="no row can satisfy age > 5 AND age < 6"):
        simplified("age > 5", "age < 6")


def test_a_box_is_written_for_messages() -> None:
    """Clauses are joined by AND, alternatives by OR; the full box is every row."""
    assert box_text(Box(), SCHEMA) == "every row"
    assert box_text(box("age > 3", "flag = true"), SCHEMA) == "age >= 4 AND flag = true"
    rest = Box.of({"age": clause_set(parse_clause("age <= 3"), SCHEMA.feature("age")).complement()})
    assert box_text(rest, SCHEMA) == "age >= 4 OR age is missing"
    both = rest.intersect(
        Box.of({"flag": clause_set(parse_clause("flag = true"), SCHEMA.feature("flag")).complement()})
    )
    assert box_text(both, SCHEMA) == "(age >= 4 OR age is missing) AND (flag = false OR flag is missing)"
    assert example_text(both, SCHEMA) == "age >= 4 AND flag = false"
    assert example_text(Box(), SCHEMA) == "every row"


def test_a_message_grows_with_the_features_alone() -> None:
    """Forty features of which each may be missing are no more than forty alternatives."""
    schema = Schema(tuple(Feature(f"x{place}", "numeric") for place in range(40)), "y", ("no", "yes"))
    sets = {one.name: clause_set(parse_clause(f"{one.name} < 0"), one).complement() for one in schema.features}
    assert box_text(Box.of(sets), schema).count(" OR ") == 40


def test_an_example_is_in_its_box(worlds: list[World]) -> None:
    """What is said of one row holds in a part of the box, and that isn't empty."""
    for world in worlds:
        for one in world.boxes:
            if not one.is_empty:
                clauses = parse_rule(f"IF {example_text(one, world.schema)} THEN x").clauses if one.sets else ()
                said = clauses_box(clauses, world.schema)
                assert not said.is_empty
                assert said.within(one)


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("IF age > 5 THEN deny", 1),
        ("IF age between 5 and 9 THEN deny", 2),
        ("IF job in (clerk, cook) AND age is missing THEN deny", 3),
        ("IF job not in (clerk, cook) AND job != clerk THEN deny", 3),
    ],
)
def test_clauses_are_counted_as_a_person_does(text: str, cost: int) -> None:
    """A bound counts one, an interval two, a list one for each value that it names."""
    assert clause_cost(parse_rule(text)) == cost


# What is refused


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("IF agee > 5 THEN deny", UnknownFeature, "no feature 'agee'; did you mean 'age'?"),
        ("IF age > 5 THEN denied", UnknownClass, "no class 'denied' of 'decision'; did you mean 'deny'?"),
        ("IF age > 5 THEN deny 0.5, no 0.5", UnknownClass, "no class 'no'"),
        ("IF job = Cook THEN deny", UnknownCategory, "no category 'Cook' of 'job'; did you mean 'cook'?"),
        ("IF flag = yes THEN deny", UnknownCategory, "no category 'yes' of 'flag'; there are 'false', 'true'"),
        (
            "IF job > cook THEN deny",
            ClauseRefused,
            "job > cook: 'job' is categorical and has no order; use =, !=, in, not in",
        ),
        ("IF flag between false and true THEN deny", ClauseRefused, "'flag' is boolean and has no order"),
        ("IF job = 5 THEN deny", ClauseRefused, "job = 5: 'job' is categorical; write its values as text, '5'"),
        ("IF income = many THEN deny", ClauseRefused, "income = many: 'income' is numeric, 'many' is no number"),
        ("IF income > nan THEN deny", ClauseRefused, "'nan' is no number"),
        ("IF age > 5.5 THEN deny", ClauseRefused, "age > 5.5: 'age' is integer, 5.5 is not whole"),
        (
            "IF age > 100 THEN deny",
            ValueOutOfRange,
            "age > 100: 100 is outside the range of 'age', 0 to 99; widen the range",
        ),
        ("IF age in (5, -1) THEN deny", ValueOutOfRange, "-1 is outside the range of 'age'"),
        (
            "IF age > 30 AND age < 31 THEN deny",
            EmptyRegion,
            "age > 30 AND age < 31 leaves no value of 'age', an integer",
        ),
        ("IF income < 1 AND income > 2 THEN deny", EmptyRegion, "leaves no value of 'income'"),
        ("IF income is missing THEN deny", EmptyRegion, "'income'; the schema forbids missing values there"),
        ("IF age between 9 and 5 THEN deny", EmptyRegion, "no row can satisfy IF age between 9 and 5 THEN deny"),
    ],
)
def test_a_rule_that_doesnt_fit_is_refused(text: str, error: type[Exception], message: str) -> None:
    """The message says what is wrong, where, and what would be accepted."""
    with pytest.raises(error) as refused:
        check_rule(parse_rule(text, "R1"), SCHEMA)
    assert message in str(refused.value)


def test_a_rule_without_clauses_is_refused() -> None:
    """A rule has at least one clause."""
    with pytest.raises(EmptyRegion, match="rule R1 has no clause"):
        check_rule(Rule("R1", (), Outcome.of("deny")), SCHEMA)


def test_an_open_range_is_written_as_such() -> None:
    """The message gives the bound that there is."""
    with pytest.raises(ValueOutOfRange, match="the range of 'x', 0 to inf"):
        check_clause(Clause("x", ">", -1.0), Feature("x", "numeric", low=0.0))
    with pytest.raises(ValueOutOfRange, match="the range of 'x', -inf to 9"):
        check_clause(Clause("x", ">", 10.0), Feature("x", "numeric", high=9.0))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["age", "income"])
def test_nan_and_infinities_are_refused_in_clauses(name: str, value: float) -> None:
    """A clause made in code can't hold them either."""
    with pytest.raises(ClauseRefused, match="is no number for a clause"):
        clause_set(Clause(name, "<", value), SCHEMA.feature(name))


@pytest.mark.parametrize(
    ("clause", "message"),
    [
        (Clause("age", "<"), "'age' < takes one value, not 0"),
        (Clause("age", "=", (1.0, 2.0)), "'age' = takes one value, not 2"),
        (Clause("age", "in", ()), "'age' in takes one value or more, not 0"),
        (Clause("age", "between", (1.0,)), "'age' between takes two values, not 1"),
        (Clause("age", "is missing", 1.0), "'age' is missing takes no value, not 1"),
    ],
)
def test_an_operator_takes_so_many_values(clause: Clause, message: str) -> None:
    """A clause made in code with too many or too few values is refused."""
    with pytest.raises(ClauseRefused) as refused:
        check_clause(clause, SCHEMA.feature("age"))
    assert str(refused.value) == message


def test_a_rule_that_fits_passes() -> None:
    """The limits of the range are in it."""
    check_rule(
        parse_rule("IF age between 0 and 99 AND job != clerk AND flag is missing THEN approve 0.5, deny 0.5"), SCHEMA
    )
