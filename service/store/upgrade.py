"""The database brought to this program's version when a service starts."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from ruleedit.errors import FileRefused


def upgrade(connection: Connection, name: str) -> None:
    """Make the tables, or change those of an older version, in the connection's transaction.

    Raises `FileRefused` for a database of a newer version, or with tables that are no service's.
    """
    config = Config()
    config.set_main_option("script_location", "service.store:migrations")
    scripts = ScriptDirectory.from_config(config)
    found = MigrationContext.configure(connection).get_current_revision()
    if found == scripts.get_current_head():
        return
    if found is None and inspect(connection).get_table_names():
        raise FileRefused(
            f"the database {name!r} has tables that aren't RuleEdit's; give an empty one, or another --data-dir"
        )
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise FileRefused(
            f"the database {name!r} is of version {found}, newer than this program, which knows "
            f"{scripts.get_current_head()}; install the RuleEdit that wrote it, or give another --data-dir"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def version(connection: Connection) -> str | None:
    """The version of the database's tables."""
    return MigrationContext.configure(connection).get_current_revision()
