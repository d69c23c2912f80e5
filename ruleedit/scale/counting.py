"""How many rows each rule decides, counted by DuckDB: the SQL export over Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from ruleedit.drafts import Draft
from ruleedit.errors import MissingColumns, Refused, TableError, did_you_mean
from ruleedit.formats import sql
from ruleedit.formats.conditions import ordered, used_features
from ruleedit.rules import ZERO, number_text
from ruleedit.schema import Feature
from ruleedit.tables.batches import Piece

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class RuleCount:
    """How many rows a rule decides; the default's id is ``default``."""

    rule: str
    rows: int


def rule_counts(draft: Draft, table: Sequence[Piece]) -> tuple[RuleCount, ...]:
    """How many rows of Parquet files each rule of a draft decides, in their order, and then the default.

    The rules are those that decide by themselves: enabled, with settlements written out. Raises `Refused`
    without DuckDB, for a CSV, and for what the SQL export can't say; `MissingColumns` and `TableError` for tables that
    don't fit.
    """
    try:
        import duckdb
    except ImportError:
        raise Refused("DuckDB is not installed here; install the extra: pip install 'ruleedit[duckdb]'") from None
    if table[0].groups is None:
        raise Refused(f"{table[0].path!r} is a CSV, whose columns have no types; rows are counted in Parquet files")
    rules = ordered(draft)
    asked = sql.dumps(draft, dialect="duckdb").rstrip(";\n")
    with duckdb.connect() as connection:
        _make_input(connection, used_features(rules, draft.schema), table, draft.schema.missing_tokens)
        try:
            found = dict(connection.execute(f'SELECT "rule", count(*) FROM ({asked}\n) GROUP BY 1').fetchall())
        except duckdb.Error as problem:
            said = str(problem).splitlines()[0][:200]
            raise TableError(f"{table[0].path!r}: DuckDB can't read it by the schema: {said}") from None
    counts = [RuleCount(rule.id, int(found.get(rule.id, 0))) for rule in rules]
    return (*counts, RuleCount("default", int(found.get(None, 0))))


def _make_input(
    connection: duckdb.DuckDBPyConnection, features: Sequence[Feature], table: Sequence[Piece], tokens: Sequence[str]
) -> None:
    """Make the view ``input`` of the columns that the rules name, with numbers as they are read everywhere."""
    keyed = str(any(piece.keys for piece in table)).lower()
    files = exp.Array(expressions=[exp.Literal.string(name) for name in dict.fromkeys(one.path for one in table)])
    source = f"read_parquet({files.sql('duckdb')}, hive_partitioning={keyed}, hive_types_autocast=false)"
    types = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    for feature in features:
        if feature.name not in types:
            raise MissingColumns(f"the table has no column {feature.name!r}{did_you_mean(feature.name, types)}")
        if not feature.is_number and types[feature.name] in ("DOUBLE", "FLOAT"):
            raise Refused(f"column {feature.name!r} is {feature.kind} and holds {types[feature.name]}; give it as text")
    columns = ", ".join(_column(feature, types[feature.name], tokens) for feature in features) or "1"
    connection.execute(f"CREATE VIEW input AS SELECT {columns} FROM {source}")


def _column(feature: Feature, kind: str, tokens: Sequence[str]) -> str:
    """A column as the view has it: texts as they are, a number as a double, its tiny magnitudes as 0."""
    name = exp.column(feature.name, quoted=True).sql("duckdb")
    if not feature.is_number:
        return name
    value = name
    if kind == "VARCHAR":
        absent = ", ".join(exp.Literal.string(text).sql("duckdb") for text in ("", *tokens))
        value = f"CASE WHEN {name} IN ({absent}) THEN NULL ELSE trim({name}) END"
    number = f"CAST({value} AS DOUBLE)"
    return f"CASE WHEN abs({number}) <= CAST('{number_text(ZERO)}' AS DOUBLE) THEN 0e0 ELSE {number} END AS {name}"
