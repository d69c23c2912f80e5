"""The database brought to this program's version when a service starts."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from ruleedit.errors import FileRefused


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "service.store:migrations")
    return config


#: Every version of the database, oldest first; the last is this program's.
VERSIONS: tuple[str, ...] = tuple(
    script.revision for script in reversed(list(ScriptDirectory.from_config(_config()).walk_revisions()))
)


def upgrade(connection: Connection, name: str, to: str = VERSIONS[-1]) -> None:
    """Make the tables, or change those of an older version, in the connection's transaction.

    Raises `FileRefused` for a database of a newer version, or with tables that are no service's.
    """
    found = version(connection)
    if found == to:
        return
    if found is None and inspect(connection).get_table_names():
        raise FileRefused(
            f"the database {name!r} has tables that aren't RuleEdit's; give an empty one, or another --data-dir"
        )
    if found is not None and not known_version(found):
        raise FileRefused(
            f"the database {name!r} is of version {found}, newer than this program, which knows {VERSIONS[-1]}; "
            "install the RuleEdit that wrote it, or give another --data-dir"
        )
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def version(connection: Connection) -> str | None:
    """The version of the database's tables; None where there are none."""
    return MigrationContext.configure(connection).get_current_revision()


def known_version(found: str) -> bool:
    """Whether this program knows a version."""
    return found in VERSIONS
