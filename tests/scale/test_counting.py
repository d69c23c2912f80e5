"""DuckDB counts the rows that each rule decides as we do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ruleedit.conflicts import effective
from ruleedit.drafts import Draft
from ruleedit.errors import MissingColumns, Refused, TableError
from ruleedit.formats import canonical
from ruleedit.matching import decide
from ruleedit.rules import Outcome, RuleSet
from ruleedit.scale.counting import RuleCount, rule_counts
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode, read
from ruleedit.tables.batches import pieces
from ruleedit.text import parse_rule
from tests.commandline import Shop, answer, done, refused
from tests.formats.samples import comparable
from tests.scale.clusters import in_files

SCHEMA = Schema(
    (Feature("x", "numeric"), Feature("job", "categorical", categories=("car", "42"))), "y", ("no", "yes"), ("?",)
)


def draft_of(*texts: str, schema: Schema = SCHEMA) -> Draft:
    """A draft of the rules R1, R2, ... with the default no."""
    rules = tuple(parse_rule(text, f"R{number}") for number, text in enumerate(texts, start=1))
    return Draft.of(RuleSet(rules, Outcome.of("no")), schema)


def ours(draft: Draft, frame: pd.DataFrame) -> list[RuleCount]:
    """The counts by our own matching, on the whole table."""
    rules = effective(draft.rules, draft.schema)
    counts = Counter(decide(rules, encode(frame, draft.schema), draft.schema).tolist())
    decided = [RuleCount(rule.id, counts[place]) for place, rule in enumerate(rules) if rule.enabled]
    return [*decided, RuleCount("default", counts[-1])]


def counted(draft: Draft, frame: pd.DataFrame, folder: Path) -> list[RuleCount]:
    """The counts by DuckDB, on two files."""
    return list(rule_counts(draft, pieces(in_files(frame, folder, 2))))


def test_counts_are_ours_for_random_rule_sets(tmp_path: Path, count: Callable[[int, int], int]) -> None:
    """Of 20 (soak: 200) rule sets with missing values, unseen categories and names of every kind, on 400 rows each."""
    tried = 0
    for number, (draft, _, rows) in enumerate(comparable("sql", 55, count(20, 200))):
        if not _has_plain_names(draft):
            continue
        cells = rows(400)
        kinds = {feature.name: pa.float64() if feature.is_number else pa.string() for feature in draft.schema.features}
        table = pa.table({name: pa.array([row[name] for row in cells], kind) for name, kind in kinds.items()})
        frame = table.to_pandas(types_mapper=pd.ArrowDtype)
        assert counted(draft, frame, tmp_path / str(number)) == ours(draft, frame)
        tried += 1
    assert tried >= 5


def _has_plain_names(draft: Draft) -> bool:
    """A file system's tools and ours part names of Parquet columns at dots; those have tests of their own."""
    return all("." not in name and "\0" not in name for name in draft.schema.names)


def test_text_columns_are_read_as_the_table_reads_them(tmp_path: Path) -> None:
    """Numbers that stand as text, tokens for missing, tiny numbers, whole numbers for a category."""
    draft = draft_of("IF x is missing THEN yes", "IF x = 0 THEN no", "IF job = '42' THEN yes", "IF x > 1e-36 THEN yes")
    frame = pd.DataFrame({"x": ["1", " 2 ", "?", "", None, "1e-36", "-3"], "job": [42, 1, 42, 42, 1, 42, 1]})
    assert counted(draft, frame, tmp_path / "a") == ours(draft, frame)
    assert [one.rows for one in ours(draft, frame)] == [3, 1, 1, 1, 1]


def test_what_folders_are_named_counts(tmp_path: Path) -> None:
    """As text, whatever it looks like."""
    for job, rows in (("42", 3), ("car", 2)):
        (tmp_path / f"job={job}").mkdir()
        pq.write_table(pa.table({"x": [1.0] * rows}), tmp_path / f"job={job}" / "a.parquet")
    found = rule_counts(draft_of("IF job = '42' THEN yes"), pieces(tmp_path))
    assert found == (RuleCount("R1", 3), RuleCount("default", 2))


def test_the_command_counts_beside_the_rules(shop: Shop, tmp_path: Path) -> None:
    """As JSON and for people; settlements and disabled rules as they decide."""
    frame = read(shop.csv)
    folder = in_files(frame, tmp_path / "loans", 3)
    told = answer("show", shop.edited, "--data", folder)
    draft = canonical.read(shop.edited)
    assert told["rows"] == {one.rule: one.rows for one in ours(draft, frame)}
    assert sum(told["rows"].values()) == 700
    shown = done("show", shop.edited, "--data", folder).out
    assert "of 700 rows" in shown


@pytest.mark.parametrize(
    ("frame", "error", "said"),
    [
        (pd.DataFrame({"job": ["car"]}), MissingColumns, "no column 'x'"),
        (pd.DataFrame({"x": ["much"], "job": ["car"]}), TableError, "DuckDB can't read it"),
        (pd.DataFrame({"x": [1.0], "job": [42.0]}), Refused, "'job' is categorical and holds DOUBLE"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    frame: pd.DataFrame, error: type[Exception], said: str, tmp_path: Path
) -> None:
    """With what is wrong."""
    with pytest.raises(error, match=said):
        counted(draft_of("IF x > 1 AND job = car THEN yes"), frame, tmp_path / "a")


def test_without_types_or_duckdb_it_is_refused(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CSV has no types; the extra is named."""
    assert "CSV" in refused("refused", "show", shop.edited, "--data", shop.csv)
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    folder = in_files(read(shop.csv), tmp_path / "loans", 1)
    assert "ruleedit[duckdb]" in refused("refused", "show", shop.edited, "--data", folder)
