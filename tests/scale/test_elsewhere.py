"""Decisions made elsewhere, as docs/scale.md says: rules as SQL in a warehouse, a graft in any LightGBM runtime."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlglot

from tests.commandline import Shop, done
from tests.formats.readers import absent, reader
from tests.scale.clusters import in_files

EDITS = (
    "new IF age < 30 AND amount > 9000 THEN deny",
    "new IF income > 60000 AND purpose != car THEN approve",
    "remove R2 otherwise model",
)
#: What docs/scale.md tells to put around the exported SELECT.
OVERLAY = """
SELECT "row", CASE WHEN "rule" IN ({asserted}) THEN coalesce("outcome", "model_outcome") ELSE "model_outcome" END
FROM ({rules}) AS ruled ORDER BY "row"
"""


@pytest.fixture(scope="module")
def told(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Edited rules, their release as an overlay and as a graft, what they decide, and the model's own outcomes."""
    folder = tmp_path_factory.mktemp("elsewhere")
    rules = folder / "rules.json"
    done("edit", shop.rules, *EDITS, "--reason", "policy", "--out", rules)
    done("resolve", rules, "--strategy", "priority", "--out", rules)
    for mode in ("overlay-hard", "graft"):
        done("apply", shop.model, rules, "--data", shop.csv, "--mode", mode, "--out", folder / mode)
        done("predict", folder / mode, shop.csv, "--out", folder / f"{mode}.csv")
    frame = pd.read_csv(shop.csv)
    frame["model_outcome"] = pd.read_csv(folder / "overlay-hard.csv")["model_outcome"]
    frame.insert(0, "row", range(len(frame)))
    in_files(frame, folder / "table", 3)
    return folder


def overlay(folder: Path, dialect: str) -> str:
    """The query: the exported rules, with the rules that somebody asserted over the model's outcome."""
    done("export", folder / "rules.json", "--format", "sql", "--dialect", dialect, "--out", folder / "rules.sql")
    rules = json.loads((folder / "rules.json").read_text())["rules"]
    asserted = ", ".join(f"'{rule['id']}'" for rule in rules if rule["asserted"])
    exported = (folder / "rules.sql").read_text().rstrip().removesuffix(";")
    return OVERLAY.format(asserted=asserted, rules=f"{exported}\n")


def decided(folder: Path) -> list[str]:
    """What the hard overlay decides."""
    table = pd.read_csv(folder / "overlay-hard.csv")
    assert (table["outcome"] != table["model_outcome"]).any()
    return list(table["outcome"])


def in_duckdb(folder: Path, query: str) -> list[str]:
    """What DuckDB answers on the folder of Parquet files."""
    with reader("duckdb").connect() as connection:
        connection.execute(f"CREATE VIEW input AS SELECT * FROM read_parquet('{folder}/table/*.parquet')")
        return [outcome for _, outcome in connection.execute(query).fetchall()]


def test_a_warehouse_decides_as_the_overlay(told: Path) -> None:
    """DuckDB, of Parquet with the model's outcome as a column."""
    assert in_duckdb(told, overlay(told, "duckdb")) == decided(told)


def test_sparks_dialect_says_the_same(told: Path) -> None:
    """Read as Spark reads it, by sqlglot, and run in DuckDB."""
    (query,) = sqlglot.transpile(overlay(told, "spark").replace('"', "`"), read="spark", write="duckdb")
    assert in_duckdb(told, query) == decided(told)


@pytest.fixture
def postgres() -> Iterator[Any]:
    """A connection to the PostgreSQL that RULEEDIT_TEST_POSTGRES names; nothing stays there."""
    url = os.environ.get("RULEEDIT_TEST_POSTGRES")
    if not url:
        absent("RULEEDIT_TEST_POSTGRES names no PostgreSQL")
    with reader("psycopg").connect(url.replace("+psycopg", "", 1)) as connection:
        yield connection
        connection.rollback()


def test_postgres_decides_as_the_overlay(told: Path, postgres: Any) -> None:
    """Of a table with the model's outcome as a column."""
    frame = pd.concat([pd.read_parquet(file) for file in sorted((told / "table").iterdir())])
    kinds = {name: "double precision" if frame[name].dtype.kind in "if" else "text" for name in frame.columns}
    with postgres.cursor() as cursor:
        columns = ", ".join(f'"{name}" {kind}' for name, kind in kinds.items())
        cursor.execute(f"CREATE TEMPORARY TABLE input ({columns})".encode())
        with cursor.copy("COPY input FROM STDIN") as copy:
            for row in frame.itertuples(index=False):
                copy.write_row([None if pd.isna(cell) else cell for cell in row])
        cursor.execute(overlay(told, "postgres").encode())
        assert [outcome for _, outcome in cursor.fetchall()] == decided(told)


ANOTHER_RUNTIME = """
import json, sys
sys.modules["ruleedit"] = None
import lightgbm, numpy
numbers = numpy.genfromtxt(sys.argv[2], delimiter=",", skip_header=1)
print(json.dumps(lightgbm.Booster(model_file=sys.argv[1]).predict(numbers).tolist()))
"""


def test_any_lightgbm_decides_by_a_graft(shop: Shop, told: Path, tmp_path: Path) -> None:
    """Its file and the encoded numbers are enough: the probabilities are the release's to the bit."""
    done("encode", told / "graft", shop.csv, "--out", tmp_path / "X.csv")
    program = [sys.executable, "-c", ANOTHER_RUNTIME, told / "graft" / "model.txt", tmp_path / "X.csv"]
    ran = subprocess.run([str(part) for part in program], capture_output=True, text=True, check=True)
    theirs, ours = np.array(json.loads(ran.stdout)), pd.read_csv(told / "graft.csv")
    np.testing.assert_array_equal(theirs, ours["p_deny"])
    assert np.where(theirs > 0.5, "deny", "approve").tolist() == ours["outcome"].tolist() == decided(told)
