"""The SQL export, run in DuckDB; the other dialects are read back by sqlglot."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from ruleedit.drafts import Draft
from ruleedit.errors import Refused
from ruleedit.formats import EXPORTS, sql
from ruleedit.formats.conditions import ordered, used_features
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from tests.formats.readers import absent, reader
from tests.formats.samples import answers, comparable, draft_of, hostile_draft, settled
from tests.reference import Row

TYPES = {"numeric": pa.float64(), "integer": pa.float64(), "categorical": pa.string(), "boolean": pa.bool_()}


def in_duckdb(draft: Draft, text: str, rows: Sequence[Row]) -> list[tuple[str | None, str | None]]:
    """What DuckDB answers: outcome and rule of each row."""
    duckdb = reader("duckdb")
    features = used_features(ordered(draft), draft.schema)
    columns = {"row number": pa.array(range(len(rows)))}
    for feature in features:
        cells = [row[feature.name] for row in rows]
        if feature.kind == "boolean":
            cells = [None if cell is None else cell == "true" for cell in cells]
        columns[feature.name] = pa.array(cells, TYPES[feature.kind])
    with duckdb.connect() as connection:
        connection.register("source", pa.table(columns))
        connection.execute("CREATE TABLE input AS SELECT * FROM source")
        found = connection.execute(text)
        names = [column[0] for column in found.description]
        assert names == [*columns, "rule", "outcome"]
        answered = sorted(found.fetchall())
    return [(row[-1], row[-2]) for row in answered]


def test_it_answers_as_the_rule_set(count: Callable[[int, int], int]) -> None:
    """DuckDB gives outcome and rule of 1,000 rows (soak: 10,000) of every random rule set as we do."""
    for draft, text, rows in comparable("sql", 5, count(30, 200)):
        table = rows(count(1_000, 10_000))
        assert in_duckdb(draft, text, table) == list(zip(*answers(draft, table), strict=True))


@pytest.fixture(scope="module")
def postgres() -> Iterator[Any]:
    """A connection to the PostgreSQL that RULEEDIT_TEST_POSTGRES names; nothing stays there."""
    url = os.environ.get("RULEEDIT_TEST_POSTGRES")
    if not url:
        absent("RULEEDIT_TEST_POSTGRES names no PostgreSQL")
    with reader("psycopg").connect(url.replace("+psycopg", "", 1)) as connection:
        yield connection
        connection.rollback()


def in_postgres(connection: Any, draft: Draft, text: str, rows: Sequence[Row]) -> list[tuple[str | None, str | None]]:
    """What PostgreSQL answers: outcome and rule of each row."""
    features = used_features(ordered(draft), draft.schema)
    columns = ", ".join(f"{_quoted(feature.name)} {_POSTGRES[feature.kind]}" for feature in features)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS input")
        more = f", {columns}" if columns else ""
        cursor.execute(f'CREATE TEMPORARY TABLE input ("row number" integer{more})'.encode())
        with cursor.copy("COPY input FROM STDIN") as copy:
            for place, row in enumerate(rows):
                copy.write_row([place, *(row[feature.name] for feature in features)])
        cursor.execute(text.encode())
        return [(row[-1], row[-2]) for row in sorted(cursor.fetchall(), key=lambda row: row[0])]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_POSTGRES = {"numeric": "double precision", "integer": "double precision", "categorical": "text", "boolean": "boolean"}


def postgres_can_hold(draft: Draft) -> bool:
    """Whether every name fits: PostgreSQL cuts them at 63 bytes, and holds no NUL."""
    names = [feature.name for feature in used_features(ordered(draft), draft.schema)]
    return all(len(name.encode("utf-8", "replace")) <= 63 and "\0" not in name for name in names)


def test_postgres_answers_as_the_rule_set(postgres: Any, count: Callable[[int, int], int]) -> None:
    """PostgreSQL gives outcome and rule of 1,000 rows (soak: 10,000) of every random rule set as we do."""
    for draft, text, rows in comparable("sql", 6, count(10, 100)):
        assert postgres_can_hold(draft)
        table = rows(count(1_000, 10_000))
        assert in_postgres(postgres, draft, text, table) == list(zip(*answers(draft, table), strict=True))


def test_columns_may_have_the_types_that_a_reader_guesses() -> None:
    """A boolean may be text, a category of digits a whole number, a column without values of any type."""
    duckdb = reader("duckdb")
    draft = draft_of("IF member = true AND job = '42' THEN approve", "IF job not in (car) THEN '1'")
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE input AS SELECT 42 AS job, ' TRUE ' AS member")
        assert connection.execute(EXPORTS["sql"](draft)).fetchall() == [(42, " TRUE ", "R1", "approve")]
        connection.execute("CREATE OR REPLACE TABLE input AS SELECT NULL::INTEGER AS job, NULL::INTEGER AS member")
        assert connection.execute(EXPORTS["sql"](draft)).fetchall() == [(None, None, None, "deny")]


def test_a_hostile_text_stays_a_text() -> None:
    """No name or category ends its literal: DuckDB finds each hostile rule by its own row."""
    draft = hostile_draft()
    rows: list[Row] = []
    for rule in draft.rules:
        row = dict.fromkeys(draft.schema.names, None) | {rule.clauses[0].feature: rule.clauses[0].values[0]}
        rows.append(row)  # type: ignore[arg-type]
    found = in_duckdb(draft, EXPORTS["sql"](draft), rows)  # type: ignore[arg-type]
    assert [rule for _, rule in found] == list(draft.rules.ids)


@pytest.mark.parametrize("dialect", [name for name in sql.DIALECTS if name not in ("ansi", "bigquery", "tsql")])
def test_every_dialect_holds_the_same_literals(dialect: str) -> None:
    """Read back in its dialect, the statement has the hostile texts unchanged, backslashes and quotes included."""
    draft = hostile_draft()
    (tree,) = sqlglot.parse(sql.dumps(draft, dialect=dialect), dialect=dialect)
    assert tree is not None
    texts = {literal.this for literal in tree.find_all(exp.Literal) if literal.is_string}
    assert {text for rule in draft.rules for text in rule.clauses[0].values} <= texts
    assert set(draft.schema.names) - {column.name for column in tree.find_all(exp.Column)} == set()


@pytest.mark.parametrize("dialect", sql.DIALECTS)
def test_every_dialect_reads_back(dialect: str) -> None:
    """A settled rule set and one with every kind of clause are statements of each dialect."""
    plain = draft_of(
        "IF age between 20 and 30 AND income != 0 AND job not in (car, 'it''s') THEN approve",
        "IF job is missing AND member != true AND income in (1, 2.5) THEN model",
    )
    for draft in (plain, settled()):
        read = "postgres" if dialect == "ansi" else dialect
        assert len(sqlglot.parse(sql.dumps(draft, dialect=dialect), dialect=read)) == 1


def test_tsql_compares_letter_by_letter() -> None:
    """T-SQL's comparison ignores case and trailing spaces, so a binary collation and an end mark stand there."""
    text = sql.dumps(draft_of("IF job in (car, '42') THEN approve"), dialect="tsql")
    assert "COLLATE Latin1_General_100_BIN2 IN (N'car|', N'42|')" in text
    assert "NVARCHAR(MAX)" in text


def test_numbers_are_doubles_and_not_decimals() -> None:
    """A fraction carries an exponent, without which it would be a decimal; a whole number stays plain."""
    text = EXPORTS["sql"](draft_of("IF income > 0.1 AND income < 2000 AND age > 0 THEN approve"))
    assert isinstance(text, str)
    assert '"income" > 0.1e0' in text
    assert '"income" < 2000' in text
    assert '"age" >= 1' in text


def refused(draft: Draft, dialect: str = "ansi") -> str:
    """The reason why a dialect refuses a draft."""
    with pytest.raises(Refused) as refusal:
        sql.dumps(draft, dialect=dialect)
    return str(refusal.value)


def odd(name: str, category: str = "a") -> Draft:
    """A draft with one odd name or category."""
    features = (Feature(name, "categorical", categories=(category,)), Feature("Age", "integer"))
    schema = Schema(features, "y", ("a", "b"))
    return Draft.of(RuleSet((Rule("R1", (Clause(name, "=", category),), Outcome.of("a")),), Outcome.of("b")), schema)


def test_what_it_cannot_say_is_refused_by_name() -> None:
    """Names that a table can't hold beside each other, and texts that a dialect can't hold, are named."""
    assert "feature 'age'" in refused(odd("age"))
    assert sql.dumps(odd("age"), dialect="postgres")
    assert "feature 'rule'" in refused(odd("rule"))
    assert "rule R1" in refused(odd("x", "a\0b"))
    assert "rule R1" in refused(odd("x", "\ud800"))
    assert "BigQuery" in refused(odd("a`b"), "bigquery")
    assert "T-SQL" in refused(odd("x", "a\\\nb"), "tsql")
    assert "did you mean 'postgres'" in refused(odd("x"), "postgre")


def test_a_draft_without_rules_is_its_default() -> None:
    """The default alone is a statement too."""
    found: list[Any] = in_duckdb(draft_of(), EXPORTS["sql"](draft_of()), [{}, {}])  # type: ignore[arg-type]
    assert found == [("deny", None), ("deny", None)]
