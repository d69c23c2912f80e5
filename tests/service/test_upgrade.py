"""Databases of older versions: what a service of each version kept is there, and served, after an upgrade."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, insert, select

from service.store import tables
from service.store.engine import Database
from service.store.upgrade import VERSIONS, upgrade
from tests.databases import ENGINES, database
from tests.serving import ROW, Api, Made, make, serving
from tests.writes import WITHOUT_KEY, WRITES

Rows = dict[str, list[dict[str, Any]]]
#: Beside what `make` does, so that every table has something.
SENT = (
    "POST /v1/keys",
    "POST /v1/releases/{release}/shadow",
    "POST /v1/rulesets/{ruleset}/edits",
    "POST /v1/rulesets/{ruleset}/counterexamples",
)
#: What is asked of the service before and after.
LISTS = ("datasets", "models", "rulesets", "releases", "jobs")


@dataclass(frozen=True)
class Kept:
    """What a service of today's version kept: its folder, every table's rows, and what it said."""

    folder: Path
    rows: Rows
    made: Made
    said: dict[str, Any]


def said(api: Api, made: Made) -> dict[str, Any]:
    """What a service says that doesn't depend on the version: decisions, rules, history, exports, the audit."""
    path = f"/v1/rulesets/{made.ruleset}"
    history = api.get(f"{path}/history").json()
    first = api.get(path, params={"revision": history["first"]}).json()
    return {
        "decisions": api.decide("small", ROW, ROW | {"job": None}).json()["decisions"],
        "rules": api.get(path).json(),
        "first": first,
        "history": history,
        "export": api.get(f"{path}/export").text,
        "ids": {name: [item["id"] for item in api.get(f"/v1/{name}").json()["items"]] for name in LISTS},
        "events": api.get("/v1/audit", params={"limit": 200}).json()["items"],
    }


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A service that has something in every table, stopped."""
    folder = tmp_path_factory.mktemp("kept")
    with serving(folder, publish_seconds=1e6) as api:
        made = make(api)
        api.edit(made.ruleset, "undo")
        api.released(made.ruleset, "small")
        for route in SENT:
            response = WRITES[route](api, made).send(api, None if route in WITHOUT_KEY else route)
            assert response.is_success, response.text
        told = said(api, made)
    return Kept(folder, rows_of(folder / "ruleedit.db"), made, told)


def rows_of(where: Path | str) -> Rows:
    """Every row of every table, in order and without the numbers that the database gives."""
    found = Database(where)
    with found.reading() as connection:
        rows = {
            table.name: [
                {name: value for name, value in row._mapping.items() if name != "number"}
                for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for table in tables.metadata.sorted_tables
        }
    found.close()
    return rows


def of_version(where: Path | str, version: str, rows: Rows) -> Rows:
    """Make a database of a version with what it can hold of these rows; returns that."""
    held: Rows = {}
    fresh = Database(where)
    with fresh.writing() as connection:
        upgrade(connection, fresh.name, version)
        older = MetaData()
        older.reflect(connection)
        for table in tables.metadata.sorted_tables:
            if table.name in older.tables:
                columns = [column for column in older.tables[table.name].c if column.name != "number"]
                held[table.name] = [{column.name: row[column.name] for column in columns} for row in rows[table.name]]
                if held[table.name]:
                    connection.execute(insert(table), held[table.name])
    fresh.close()
    return held


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_what_an_older_version_kept_is_there_and_served(version: str, engine: str, kept: Kept, tmp_path: Path) -> None:
    """Every row of every table, to the value; decisions, rules, histories, exports and the audit as before.

    Only a rule set's head moves, with the edit that follows.
    """
    # Who is at work is nothing that is kept: the service was stopped.
    assert {name for name, rows in kept.rows.items() if not rows} == {"processes"}
    folder = tmp_path / "data"
    shutil.copytree(kept.folder, folder, ignore=shutil.ignore_patterns("ruleedit.db*", "lock"))
    with database(engine, tmp_path) as given:
        where = given if isinstance(given, str) else folder / "ruleedit.db"
        held = of_version(where, version, kept.rows)
        with serving(folder, publish_seconds=1e6, database=given if isinstance(given, str) else "") as api:
            assert said(api, kept.made) == kept.said
            assert api.get("/v1/audit/verify").json()["ok"]
            assert api.edit(kept.made.ruleset, "new IF age < 25 THEN no").status_code == 200
            assert api.get("/v1/audit/verify").json()["ok"]
        after = rows_of(where)
    for name, rows in held.items():
        if name != "rulesets":
            kept_on = [{column: row[column] for column in rows[0]} for row in after[name][: len(rows)]]
            assert kept_on == rows, name
