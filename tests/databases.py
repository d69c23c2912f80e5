"""Real databases for tests: a SQLite file, and a schema of its own in the PostgreSQL that the environment names."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

#: The variable with PostgreSQL's URL, for a user who may make schemas.
VARIABLE = "RULEEDIT_TEST_POSTGRES"
ENGINES = ("sqlite", "postgresql")


@contextlib.contextmanager
def database(engine: str, folder: Path) -> Iterator[Path | str]:
    """An empty database, as `Repository` takes it; PostgreSQL's is dropped at the end."""
    if engine == "sqlite":
        yield folder / "test.db"
        return
    given = os.environ.get(VARIABLE)
    if given is None:
        pytest.skip(f"{VARIABLE} isn't set to the URL of a PostgreSQL database, so this isn't tried on one")
    schema = f"test_{uuid.uuid4().hex}"
    admin = create_engine(make_url(given).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
        try:
            url = make_url(given).update_query_dict({"options": f"-csearch_path={schema}"})
            yield url.render_as_string(hide_password=False)
        finally:
            connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    admin.dispose()
