"""Rules as SQL: a SELECT from the table ``input`` with its columns, ``rule`` and ``outcome``, built with sqlglot.

A missing value is NULL. No NOT stands before a comparison of a number, because ``NOT (x > 40)`` isn't true for NULL;
every condition is false or NULL on a missing value, and a WHEN takes neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from sqlglot import exp

from ruleedit.drafts import Draft
from ruleedit.errors import Refused, did_you_mean
from ruleedit.formats.conditions import (
    Condition,
    Missing,
    Numbers,
    Range,
    conditions,
    ordered,
    refuse,
    top_class,
    used_features,
)
from ruleedit.rules import RuleSet, number_text
from ruleedit.schema import Feature, Schema

Dialect: TypeAlias = Literal["ansi", "duckdb", "postgres", "snowflake", "bigquery", "spark", "tsql"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
ADDED = ("rule", "outcome")
#: Whole numbers up to here are the same in every type that a number's column can have, 32-bit floats included.
_SMALL = 2.0**24
#: Characters that a column's name in BigQuery can't have.
_BIGQUERY_NEVER = '!"$()*,./;?@[\\]^`{}~'
_BINARY = "Latin1_General_100_BIN2"
_HEADER = (
    "Rules exported from RuleEdit: the first rule that covers a row decides it, else the default.",
    "A missing value is NULL, numbers are in numeric columns, categories are their texts.",
    "rule is NULL for the default; outcome is NULL where a rule leaves its rows to the model,",
    "and the likeliest class where a rule has a distribution.",
)


def dumps(draft: Draft, *, dialect: str = "ansi") -> str:
    """The rules as one SELECT; ``ansi`` runs in DuckDB and PostgreSQL as it is."""
    if dialect not in DIALECTS:
        raise Refused(f"no SQL dialect {dialect!r}{did_you_mean(dialect, DIALECTS)}")
    rules = ordered(draft)
    _check(rules, draft.schema, dialect)
    writer = _Writer(draft.schema, dialect)
    chosen = exp.alias_(writer.rule_case(rules), "rule", quoted=True)
    inner = exp.select(exp.Star(), chosen).from_("input").subquery("decided")
    outer = exp.select(exp.Star(), exp.alias_(writer.outcome_case(rules), "outcome", quoted=True)).from_(inner)
    text = outer.sql(dialect="postgres" if dialect == "ansi" else dialect, pretty=True)
    return "".join(f"-- {line}\n" for line in _HEADER) + text + ";\n"


class _Writer:
    """Writes conditions as expressions of one dialect."""

    def __init__(self, schema: Schema, dialect: str) -> None:
        self.schema = schema
        self.is_tsql = dialect == "tsql"
        self.absent = ("", *schema.missing_tokens)

    def rule_case(self, rules: RuleSet) -> exp.Expression:
        """The id of the rule that decides the row, NULL for the default."""
        if not len(rules):
            return exp.cast(exp.null(), "text")
        made = exp.Case()
        for rule in rules:
            tests = [self.test(feature, what) for feature, what in conditions(rule, self.schema)]
            made = made.when(exp.and_(*tests, copy=False), self.literal(rule.id), copy=False)
        return made

    def outcome_case(self, rules: RuleSet) -> exp.Expression:
        """The outcome of the rule that was chosen."""
        default = self.outcome(top_class(rules.default, self.schema))
        if not len(rules):
            return default
        by_outcome: dict[str | None, list[str]] = {}
        for rule in rules:
            by_outcome.setdefault(top_class(rule.outcome, self.schema), []).append(rule.id)
        made = exp.Case()
        for outcome, ids in by_outcome.items():
            made = made.when(self.among(exp.column("rule", quoted=True), ids), self.outcome(outcome), copy=False)
        return made.else_(default)

    def outcome(self, name: str | None) -> exp.Expression:
        """A class, or NULL for `model`."""
        return exp.cast(exp.null(), "text") if name is None else self.literal(name)

    def literal(self, text: str) -> exp.Expression:
        """A text; with T-SQL's mark for Unicode."""
        return exp.National(this=text) if self.is_tsql else exp.Literal.string(text)

    def test(self, feature: Feature, what: Condition) -> exp.Expression:
        """A condition on a column, in brackets where it is an OR."""
        column = exp.column(feature.name, quoted=True)
        if isinstance(what, Numbers):
            return _paren(_numbers(column, what))
        if isinstance(what, Missing):
            return self.missing(column, feature, what.inverted)
        values = [value for value in what.values if value not in self.absent]
        text = self.text(column, feature)
        if what.inverted:
            return exp.not_(self.among(text, [*values, *self.absent]), copy=False)
        return self.among(text, values) if values else exp.false()

    def missing(self, column: exp.Expression, feature: Feature, inverted: bool) -> exp.Expression:
        """NULL, or where the column may hold texts one that means missing."""
        if feature.is_number:
            null = column.is_(exp.null())
            return exp.not_(null) if inverted else null
        absent = self.among(self.text(column, feature), self.absent)
        return exp.not_(absent, copy=False) if inverted else exp.paren(exp.or_(column.is_(exp.null()), absent))

    def text(self, column: exp.Expression, feature: Feature) -> exp.Expression:
        """The column as text, whatever its type is: true and false for booleans."""
        if self.is_tsql and feature.kind == "boolean":
            # A BIT's text is 1 or 0.
            flag = exp.cast(column.copy(), "bit")
            return exp.Case().when(flag.eq(1), self.literal("true")).when(flag.eq(0), self.literal("false"))
        text = exp.cast(column.copy(), "text")
        return exp.Lower(this=exp.Trim(this=text)) if feature.kind == "boolean" else text

    def among(self, text: exp.Expression, values: Sequence[str]) -> exp.Expression:
        """Whether a text is one of the values, letter by letter."""
        if self.is_tsql:
            # T-SQL's own comparison ignores case and trailing spaces.
            wide = exp.cast(text.copy(), exp.DataType.build("nvarchar(max)", dialect="tsql"))
            marked = exp.paren(exp.Add(this=wide, expression=self.literal("|")))
            text = exp.Collate(this=marked, expression=exp.Var(this=_BINARY))
            values = [f"{value}|" for value in values]
        literals = [self.literal(value) for value in values]
        return text.copy().eq(literals[0]) if len(literals) == 1 else text.copy().isin(*literals)


def _numbers(column: exp.Expression, what: Numbers) -> exp.Expression:
    points = [span.point for span in what.ranges]
    if all(point is not None for point in points):
        values = [_number(point) for point in points if point is not None]
        if what.inverted:
            return _typed(exp.and_(*(exp.NEQ(this=column.copy(), expression=value) for value in values), copy=False))
        return column.copy().eq(values[0]) if len(values) == 1 else column.isin(*values)
    if what.inverted:
        return _typed(exp.and_(*(_paren(_any(column, span.outside)) for span in what.ranges), copy=False))
    return _any(column, what.ranges)


def _any(column: exp.Expression, ranges: Sequence[Range]) -> exp.Expression:
    return _typed(exp.or_(*(_range(column, span) for span in ranges), copy=False))


def _range(column: exp.Expression, span: Range) -> exp.Expression:
    if span.point is not None:
        return column.copy().eq(_number(span.point))
    tests: list[exp.Expression] = []
    for bound, closed, opened in ((span.low, exp.GTE, exp.GT), (span.high, exp.LTE, exp.LT)):
        if bound is not None:
            kind = closed if bound.closed else opened
            tests.append(kind(this=column.copy(), expression=_number(bound.value)))
    return _typed(exp.and_(*tests, copy=False))


def _typed(made: object) -> exp.Expression:
    """What sqlglot's own builders give, which it declares as a wider type."""
    assert isinstance(made, exp.Expression)
    return made


def _paren(made: exp.Expression) -> exp.Expression:
    return exp.paren(made, copy=False) if isinstance(made, exp.Or) else made


def _number(value: float) -> exp.Expression:
    """A literal that is read as exactly this double: with an exponent, or it would be a decimal."""
    text = number_text(value)
    if value != round(value) or abs(value) > _SMALL:
        text = text if "e" in text else f"{text}e0"
    literal = exp.Literal.number(text.removeprefix("-"))
    return exp.Neg(this=literal) if text.startswith("-") else literal


def _check(rules: RuleSet, schema: Schema, dialect: str) -> None:
    """Raise `Refused` for names and texts that the dialect can't hold or can't tell apart."""
    _check_names(used_features(rules, schema), schema, dialect)
    _check_text(f"the default {rules.default}", rules.default.classes, dialect)
    for rule in rules:
        where = f"rule {rule.id}"
        _check_text(where, (rule.id, *rule.outcome.classes), dialect)
        _check_text(
            where, [text for clause in rule.clauses for text in clause.values if isinstance(text, str)], dialect
        )


def _check_names(used: Sequence[Feature], schema: Schema, dialect: str) -> None:
    folded = [feature.name.casefold() for feature in schema.features]
    for feature in used:
        where = f"feature {feature.name!r}"
        if dialect not in ("postgres", "snowflake") and folded.count(feature.name.casefold()) > 1:
            refuse(where, "SQL", "another column's name differs from it in upper and lower case alone; rename one")
        if dialect == "bigquery" and any(mark in _BIGQUERY_NEVER for mark in feature.name):
            refuse(where, "BigQuery", "a column's name there has no such characters; rename it")
        _check_text(where, [feature.name], dialect)
    for name in schema.names:
        if name.casefold() in ADDED:
            refuse(f"feature {name!r}", "SQL", "the answer has a column of that name; rename it")


def _check_text(where: str, texts: Sequence[str], dialect: str) -> None:
    for text in texts:
        if "\0" in text:
            refuse(where, "SQL", f"{text!r} holds a NUL character")
        if any("\ud800" <= mark <= "\udfff" for mark in text):
            refuse(where, "SQL", f"{text!r} isn't valid Unicode")
        if dialect == "tsql" and "\\\n" in text.replace("\r", ""):
            refuse(where, "T-SQL", f"{text!r} holds a backslash at the end of a line, which is dropped there")
