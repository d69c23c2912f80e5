"""Random values of the domain, in one place.

Each ``make_...`` function is written once over a `Source` of chance: with `Drawn` it is a
Hypothesis strategy that shrinks (the functions below them), with `Dice` a fast seeded generator
for the promises that count in ten thousands. Rows are dicts of feature to number, text or None.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import RuleEditError
from ruleedit.regions import Box, Region, clauses_box
from ruleedit.rules import KEYWORDS, MODEL, Clause, Operator, Outcome, Rule, RuleSet, read_number
from ruleedit.schema import KINDS, Feature, Kind, Schema
from tests.reference import TINIEST, Cell, Row

T = TypeVar("T")

#: Names and texts that have to survive: quotes, spaces, keywords, other scripts, what looks like a number.
ODD_TEXTS = (
    *("age", "income", "x", "_", "_1", "Age", "é", "e\u0301", "名前", "x²", "😀", "👩‍👩‍👧", "ſ", "\u202e"),
    *("capital-gain", "hours per week", " lead", "trail ", "radio/tv", "1st", "x=1", "(a, b)", "a,b", "%", "\\", "\\n"),
    *(
        "it's",
        "'",
        "''",
        "'a'",
        "`",
        "``",
        "`x`",
        "a`b",
        '"',
        '"q"',
        "line\nbreak",
        "\r\n",
        "\t",
        "\0",
        "\x85",
        "\u2028",
    ),
    *(
        "true",
        "false",
        "nan",
        "inf",
        "None",
        "null",
        "NA",
        "0",
        "-0",
        "42",
        "1e5",
        "1e999",
        "+1",
        "٣",
        "=",
        "<=",
        "--",
        ";",
    ),
    *sorted(KEYWORDS),
    *(word.upper() for word in sorted(KEYWORDS)),
    *("And", "iF", "Model", "is missing", "IF x = 1 THEN y", "another value", "ıs", "İF"),
)
#: Thresholds that meet each other, with what stands beside zero and at the ends.
NUMBERS = (
    *(0.0, -0.0, 1.0, -1.0, 2.0, 3.0, 5.0, 7.0, 0.1, 0.30000000000000004, 2.5, -2.5, 100.0, 1e16, 2.0**53, -(2.0**53)),
    *(1e-35, -1e-35, 1e-36, 5e-324, -5e-324, TINIEST, -TINIEST, 1.1e-35, 1e-34, -1e-34, 1.7976931348623157e308),
    *(math.nextafter(TINIEST, 1.0), math.nextafter(TINIEST, 0.0), math.nextafter(-TINIEST, -1.0)),
)
WHOLE_NUMBERS = (*range(-3, 10), 30, 31, 2**53 - 1, 2**53, -(2**53))
CATEGORIES = ("car", "radio/tv", "it's", "and", "42", "😀", "A", "a", "true", "other", "new\nline", " ")
CLASSES = ("approve", "deny", "model", "1", "it's so", "é")
UNSEEN = ("never seen", "CAR", "")


class Source(Protocol):
    """Where chance comes from."""

    def pick(self, items: Sequence[T]) -> T: ...
    def number(self, least: int, most: int) -> int: ...
    def text(self) -> str: ...
    def double(self) -> float: ...


@dataclass(frozen=True)
class Drawn:
    """Chance from Hypothesis."""

    draw: DrawFn

    def pick(self, items: Sequence[T]) -> T:
        return self.draw(st.sampled_from(items))

    def number(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))

    def text(self) -> str:
        return self.draw(st.text(min_size=1, max_size=6))

    def double(self) -> float:
        return self.draw(st.floats(allow_nan=False, allow_infinity=False))


class Dice:
    """Chance from a seed: quick, and without shrinking."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pick(self, items: Sequence[T]) -> T:
        return self._random.choice(items)

    def number(self, least: int, most: int) -> int:
        return self._random.randint(least, most)

    def text(self) -> str:
        bits = self._random.choices(
            ("a", "Z", "_", "0", "9", " ", "'", "`", '"', "-", ".", ",", "(", "😀", "ß", "\n"), k=5
        )
        return "".join(bits[: self._random.randint(1, 5)])

    def double(self) -> float:
        while True:
            (value,) = struct.unpack("<d", self._random.randbytes(8))
            if math.isfinite(value):
                return float(value)


def subset(source: Source, items: Sequence[T], least: int, most: int) -> tuple[T, ...]:
    """Some of the items, each once, in any order."""
    rest = list(items)
    picked = []
    for _ in range(min(source.number(least, most), len(rest))):
        picked.append(source.pick(rest))
        rest.remove(picked[-1])
    return tuple(picked)


def make_text(source: Source) -> str:
    """A name, a category or a class, odd ones included."""
    return source.pick(ODD_TEXTS) if source.number(0, 3) else source.text()


def make_double(source: Source) -> float:
    """A finite number, now and then one of the edges."""
    return source.pick(NUMBERS) if source.number(0, 1) else source.double()


def make_feature(source: Source, name: str, some_kind: Kind | None = None, *, missing: bool | None = None) -> Feature:
    """A feature of any kind, missing allowed or not, a number sometimes with a range."""
    kind: Kind = source.pick(KINDS) if some_kind is None else some_kind
    missing = bool(source.number(0, 3)) if missing is None else missing
    if kind == "categorical":
        return Feature(name, kind, missing, categories=subset(source, CATEGORIES, 0, len(CATEGORIES)))
    if kind == "boolean" or source.number(0, 3):
        return Feature(name, kind, missing)
    return Feature(name, kind, missing, low=source.pick((None, -3.0, 0.0)), high=source.pick((None, 3.0, 31.0)))


def make_schema(source: Source, *, most: int = 4) -> Schema:
    """A schema of one to ``most`` features with odd names."""
    names = [
        name for name in dict.fromkeys(make_text(source) for _ in range(source.number(1, most))) if name != "outcome"
    ]
    features = tuple(make_feature(source, name) for name in names or ["x"])
    return Schema(features, "outcome", subset(source, CLASSES, 2, 4))


def make_clause(source: Source, feature: Feature) -> Clause:
    """A clause that fits the feature."""
    values = _clause_values(feature)
    kinds = (
        ["missing"]
        + (["one", "many", "one", "many"] if values else [])
        + (["order"] * 4 if feature.is_number and values else [])
    )
    kind = source.pick(kinds)
    if kind == "missing":
        return Clause(feature.name, source.pick(("is missing", "is not missing")))
    if kind == "one":
        return Clause(feature.name, source.pick(("=", "!=")), source.pick(values))
    if kind == "many":
        return Clause(
            feature.name, source.pick(("in", "not in")), tuple(source.pick(values) for _ in range(source.number(1, 6)))
        )
    operator: Operator = source.pick(("<", "<=", ">", ">=", "between"))
    if operator == "between":
        return Clause(feature.name, operator, (source.pick(values), source.pick(values)))
    return Clause(feature.name, operator, source.pick(values))


def _clause_values(feature: Feature) -> Sequence[Any]:
    if not feature.is_number:
        return feature.values
    pool = [float(number) for number in (WHOLE_NUMBERS if feature.kind == "integer" else NUMBERS)]
    low = -math.inf if feature.low is None else feature.low
    high = math.inf if feature.high is None else feature.high
    return [number for number in pool if low <= number <= high]


def make_clauses(source: Source, schema: Schema, *, least: int = 0, most: int = 4) -> tuple[Clause, ...]:
    """Some clauses that fit the schema, often several on one feature."""
    return tuple(make_clause(source, source.pick(schema.features)) for _ in range(source.number(least, most)))


def make_outcome(source: Source, classes: Sequence[str]) -> Outcome:
    """A class, a distribution or the model."""
    kind = source.pick(("class", "class", "spread", "model"))
    if kind == "model":
        return MODEL
    if kind == "class":
        return Outcome.of(source.pick(classes))
    names = subset(source, classes, 2, 4)
    parts = [source.number(1, 1000) for _ in names]
    return Outcome.spread({name: part / sum(parts) for name, part in zip(names, parts, strict=True)})


def make_rule(source: Source, schema: Schema, rule_id: str = "R1") -> Rule:
    """A rule that fits the schema; no row may satisfy it."""
    return Rule(rule_id, make_clauses(source, schema, least=1), make_outcome(source, schema.classes))


def make_rule_set(source: Source, schema: Schema, *, most: int = 6) -> RuleSet:
    """An ordered rule set, some rules disabled."""
    rules = [make_rule(source, schema, f"R{place}") for place in range(1, source.number(0, most) + 1)]
    mixed = tuple(rule.replace(enabled=bool(source.number(0, 4))) for rule in rules)
    return RuleSet(mixed, make_outcome(source, schema.classes))


def make_free_clause(source: Source) -> Clause:
    """A clause that fits no schema in particular: any name, operator and values that text can hold."""
    name = make_text(source)
    kind = source.pick(("missing", "one", "one", "between", "many"))
    if kind == "missing":
        return Clause(name, source.pick(("is missing", "is not missing")))
    values = [_free_value(source) for _ in range(source.number(1, 5))]
    if kind == "one":
        return Clause(name, source.pick(("=", "!=", "<", "<=", ">", ">=")), values[0])
    if kind == "between":
        return Clause(name, "between", (values[0], values[-1]))
    return Clause(name, source.pick(("in", "not in")), tuple(values))


def _free_value(source: Source) -> float | str:
    return read_number(make_double(source)) if source.number(0, 1) else make_text(source)


def make_free_rule(source: Source) -> Rule:
    """A rule that fits no schema in particular."""
    clauses = tuple(make_free_clause(source) for _ in range(source.number(1, 4)))
    classes = list(dict.fromkeys(["a", "b", *(make_text(source) for _ in range(4))]))
    return Rule("R1", clauses, make_outcome(source, classes))


def make_cell(source: Source, feature: Feature) -> Cell:
    """A value of the feature: thresholds and their neighbours, tiny numbers, unseen categories, missing."""
    if feature.missing and not source.number(0, 5):
        return None
    if feature.kind == "boolean":
        return source.pick(("false", "true"))
    if feature.kind == "categorical":
        return source.pick((*feature.categories, *UNSEEN[:2]))
    if feature.kind == "integer":
        return float(source.pick(WHOLE_NUMBERS) + source.pick((-2, -1, 0, 0, 1, 2)))
    number = source.pick(NUMBERS)
    beside = source.pick((number, number, math.nextafter(number, math.inf), math.nextafter(number, -math.inf), -number))
    return beside if math.isfinite(beside) else number


def make_row(source: Source, schema: Schema) -> Row:
    """A row as a dict."""
    return {feature.name: make_cell(source, feature) for feature in schema.features}


def make_rows(source: Source, schema: Schema, *, least: int = 0, most: int = 12) -> list[Row]:
    """Some rows as dicts."""
    return [make_row(source, schema) for _ in range(source.number(least, most))]


def make_box(source: Source, schema: Schema) -> Box:
    """A box, sometimes empty or everything; the complement of a clause's set now and then."""
    box = clauses_box(make_clauses(source, schema, most=3), schema)
    if source.number(0, 2) or not box.sets:
        return box
    return Box.of({name: values.complement() for name, values in box.sets})


def make_region(source: Source, schema: Schema) -> Region:
    """A union of boxes with holes."""
    boxes = [make_box(source, schema) for _ in range(source.number(0, 3))]
    return Region.of(*boxes).without(*(make_box(source, schema) for _ in range(source.number(0, 2))))


@dataclass(frozen=True)
class World:
    """A schema with everything that lives in it."""

    schema: Schema
    rules: RuleSet
    rows: list[Row]
    boxes: tuple[Box, Box]
    regions: tuple[Region, Region]


def make_world(source: Source) -> World:
    """A schema, a rule set, a table, two boxes and two regions."""
    schema = make_schema(source)
    return World(
        schema,
        make_rule_set(source, schema),
        make_rows(source, schema),
        (make_box(source, schema), make_box(source, schema)),
        (make_region(source, schema), make_region(source, schema)),
    )


@st.composite
def _made(draw: DrawFn, make: Callable[..., T], *arguments: Any, **options: Any) -> T:
    return make(Drawn(draw), *arguments, **options)


def texts() -> SearchStrategy[str]:
    """Names, categories and classes, odd ones included."""
    return _made(make_text)


def doubles() -> SearchStrategy[float]:
    """Finite numbers with the edges."""
    return _made(make_double)


def features(kind: Kind | None = None, *, name: str = "x", missing: bool | None = None) -> SearchStrategy[Feature]:
    """Features of one kind or of all four."""
    return _made(make_feature, name, kind, missing=missing)


def schemas(*, most: int = 4) -> SearchStrategy[Schema]:
    """Schemas of one to ``most`` features."""
    return _made(make_schema, most=most)


def clauses(feature: Feature) -> SearchStrategy[Clause]:
    """Clauses that fit the feature."""
    return _made(make_clause, feature)


def outcomes(classes: Sequence[str] = CLASSES) -> SearchStrategy[Outcome]:
    """Classes, distributions and the model."""
    return _made(make_outcome, classes)


def rules(schema: Schema) -> SearchStrategy[Rule]:
    """Rules that fit the schema."""
    return _made(make_rule, schema)


def rule_sets(schema: Schema, *, most: int = 6) -> SearchStrategy[RuleSet]:
    """Rule sets that fit the schema."""
    return _made(make_rule_set, schema, most=most)


def free_clauses() -> SearchStrategy[Clause]:
    """Clauses that fit no schema in particular."""
    return _made(make_free_clause)


def free_rules() -> SearchStrategy[Rule]:
    """Rules that fit no schema in particular."""
    return _made(make_free_rule)


def cells(feature: Feature) -> SearchStrategy[Cell]:
    """Values of the feature, None for missing."""
    return _made(make_cell, feature)


def rows(schema: Schema) -> SearchStrategy[Row]:
    """Rows as dicts."""
    return _made(make_row, schema)


def tables(schema: Schema, *, least: int = 0, most: int = 12) -> SearchStrategy[list[Row]]:
    """Tables as lists of dicts; `tests.reference.encoded` makes the matrix."""
    return _made(make_rows, schema, least=least, most=most)


def boxes(schema: Schema) -> SearchStrategy[Box]:
    """Boxes, empty and full ones included."""
    return _made(make_box, schema)


def regions(schema: Schema) -> SearchStrategy[Region]:
    """Unions of boxes with holes."""
    return _made(make_region, schema)


def worlds() -> SearchStrategy[World]:
    """A schema with a rule set, a table, boxes and regions."""
    return _made(make_world)


#: What an edit begins with, the commoner ones several times.
VERBS = (
    *("set", "set", "set", "add", "add", "drop", "then", "then", "new", "new", "new", "duplicate", "remove", "disable"),
    *("enable", "move", "move", "confirm", "confidence", "default", "resolve", "resolve", "undo", "redo"),
)


def make_small_schema(source: Source, *, most: int = 3, kinds: Sequence[Kind] = KINDS) -> Schema:
    """A schema of few values, so that random rules meet."""
    names = subset(source, ("age", "capital-gain", "and", "it's"), 1, most)
    features = []
    for name in names:
        kind, missing = source.pick(kinds), bool(source.number(0, 2))
        if kind == "categorical":
            features.append(Feature(name, kind, missing, categories=("car", "radio/tv", "to")))
        else:
            low, high = (0.0, 5.0) if kind in ("numeric", "integer") else (None, None)
            features.append(Feature(name, kind, missing, low=low, high=high))
    return Schema(tuple(features), "outcome", ("approve", "1", "model")[: source.number(2, 3)])


def make_solid_rule(source: Source, schema: Schema, rule_id: str = "R1") -> Rule:
    """A rule that some row satisfies."""
    for _ in range(5):
        clauses = make_clauses(source, schema, least=1, most=3)
        if not clauses_box(clauses, schema).is_empty:
            break
    else:
        clauses = (Clause(schema.features[0].name, "is not missing"),)
    kind = source.number(0, 9)
    outcome = make_outcome(source, schema.classes) if kind == 0 else Outcome.of(source.pick(schema.classes))
    return Rule(rule_id, clauses, outcome)


def make_base(source: Source, schema: Schema, *, most: int = 4, asserted: bool = True) -> RuleSet:
    """A rule set to edit: some rules disabled, and with ``asserted`` some confirmed before."""
    listed = []
    for number in range(1, source.number(1, most) + 1):
        rule = make_solid_rule(source, schema, f"R{number}")
        confirmed = asserted and not source.number(0, 5)
        listed.append(rule.replace(enabled=bool(source.number(0, 6)), confirmed=confirmed, asserted=confirmed))
    return RuleSet(tuple(listed), Outcome.of(source.pick(schema.classes)))


def make_edit(source: Source, draft: Draft, verbs: Sequence[str] = VERBS) -> str:
    """The text of an edit that fits the draft; it may be refused all the same."""
    verb = source.pick(verbs)
    schema, ids = draft.schema, draft.rules.ids or draft.base.ids
    rule_id = source.pick(ids)
    otherwise = "" if source.number(0, 2) else f" otherwise {make_outcome(source, schema.classes)}"
    clause = make_clause(source, source.pick(schema.features))
    if verb in ("set", "drop") and rule_id in draft.rules.ids:
        old = source.pick(draft.rules.rule(rule_id).clauses)
        if verb == "drop":
            return f"drop {rule_id} {old}"
        return f"set {rule_id} {old} to {make_clause(source, schema.feature(old.feature))}{otherwise}"
    if verb == "add":
        return f"add {rule_id} {clause}{otherwise}"
    if verb == "new":
        place = source.pick(("", "", f" before {rule_id}", f" after {rule_id}"))
        return f"new {make_solid_rule(source, schema)}{place}"
    if verb == "move":
        return f"move {rule_id} {source.pick(('before', 'after'))} {source.pick(ids)}"
    if verb in ("then", "default"):
        outcome = make_outcome(source, schema.classes)
        return f"then {rule_id} {outcome}" if verb == "then" else f"default {outcome}"
    if verb == "resolve":
        pair = "all" if source.number(0, 2) else f"{rule_id} {source.pick(ids)}"
        strategy = source.pick(("priority", "specific", "carve", "mixture", "model", "outcome"))
        more = {"outcome": f" {Outcome.of(source.pick(schema.classes))}", "mixture": " 2,1"}.get(strategy, "")
        return f"resolve {pair} {strategy}{more}"
    if verb in ("undo", "redo"):
        return verb
    if verb == "confidence":
        return f"confidence {rule_id} {source.pick(('0.5', '0.9', '1', 'none'))}"
    return f"{verb} {rule_id}{otherwise if verb in ('remove', 'disable') else ''}"


def make_session(source: Source, draft: Draft, *, most: int = 6, verbs: Sequence[str] = VERBS) -> list[Draft]:
    """The draft and what up to ``most`` random edits make of it, refused ones left out."""
    drafts = [draft]
    for _ in range(source.number(1, most)):
        asserts = source.pick(("whole", "whole", "change"))
        try:
            text = make_edit(source, drafts[-1], verbs)
            drafts.append(edit(drafts[-1], [text], reason="try", author="ann", asserts=asserts))
        except RuleEditError:
            continue
    return drafts


def make_draft(source: Source, *, most: int = 6, asserted: bool = True, verbs: Sequence[str] = VERBS) -> Draft:
    """A draft after some random edits."""
    schema = make_small_schema(source)
    draft = Draft.of(make_base(source, schema, asserted=asserted), schema)
    return make_session(source, draft, most=most, verbs=verbs)[-1]


def make_small_rows(source: Source, schema: Schema, many: int) -> list[Row]:
    """Rows at, beside and between the values that the rules of a small schema name."""
    pool = [float(number) for number in (*NUMBERS, 0.5, 4.0, 4.5) if -1.0 <= number <= 6.0]
    beside = [math.nextafter(number, towards) for number in (1.0, 2.5, 5.0) for towards in (-9.0, 9.0)]

    def cell(feature: Feature) -> Cell:
        if feature.missing and not source.number(0, 5):
            return None
        if feature.is_number:
            return float(source.number(-1, 6)) if feature.kind == "integer" else source.pick((*pool, *beside))
        return source.pick(feature.values if feature.kind == "boolean" else (*feature.values, UNSEEN[0]))

    return [{feature.name: cell(feature) for feature in schema.features} for _ in range(many)]


def drafts(*, most: int = 6, asserted: bool = True) -> SearchStrategy[Draft]:
    """Drafts of a small schema after some random edits."""
    return _made(make_draft, most=most, asserted=asserted)
