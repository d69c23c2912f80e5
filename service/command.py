"""``ruleedit serve``, ``backup`` and ``restore``; what is heavy is imported when it runs."""

from __future__ import annotations

import enum
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from service.settings import Settings


class Part(enum.Enum):
    """What a process serves."""

    api = "api"
    workbench = "workbench"


def serve(
    demo: Annotated[
        bool, typer.Option("--demo", help="Start with a ready example, for this machine only: no keys, no approval.")
    ] = False,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; with --demo this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.", min=0, max=65535)] = 8000,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where everything is kept; ./ruleedit-data unless given.")
    ] = None,
    database: Annotated[
        str | None, typer.Option("--database", help="PostgreSQL by URL; a SQLite file in the data folder unless given.")
    ] = None,
    only: Annotated[
        Part | None, typer.Option("--only", help="Serve this part alone; other processes serve the other.")
    ] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Let other processes work on the same data, each started so.")
    ] = False,
    admin_key: Annotated[bool, typer.Option("--admin-key", help="Make another admin key and print it.")] = False,
    list_settings: Annotated[
        bool, typer.Option("--settings", help="List every setting with its reason, and end.")
    ] = False,
) -> None:
    """Serve the API. Every request needs a key: the first start prints an admin's, which makes the others.

    RULEEDIT_... variables give the other settings; --settings lists them.
    """
    if list_settings:
        from service.settings.page import settings_page

        print(settings_page(), end="")
        return
    # Read once, when LightGBM is loaded. Jobs train beside each other, and threads that spin while they wait for one
    # another then take the processors from whoever has something to do.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from service.server import run
    from service.settings import from_environment

    off = False if demo else None
    environ = {"RULEEDIT_DATA_DIR": "ruleedit-data", "RULEEDIT_WORKBENCH": "on", **os.environ}
    settings = from_environment(
        environ,
        data_dir=data_dir,
        demo=demo or None,
        database=database,
        authentication=off,
        approval=off,
        shared=shared or None,
        api=None if only is None else only is Part.api,
        workbench=None if only is None else only is Part.workbench,
    )
    run(settings, host, port, new_admin_key=admin_key)


def backup(
    out: Annotated[Path, typer.Option("--out", help="The file to write; what is there is replaced whole.")],
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="The service's data; ./ruleedit-data unless given.")
    ] = None,
    database: Annotated[str | None, typer.Option("--database", help="Its PostgreSQL by URL, where it has one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write everything that a service keeps to one file; the service may be running. The audit's key isn't in it."""
    from service import backup as backups

    _tell("backed up", backups.backup(_kept(data_dir, database), out), out, as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="What backup wrote.")],
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="A new folder; ./ruleedit-data unless given.")
    ] = None,
    database: Annotated[str | None, typer.Option("--database", help="An empty PostgreSQL database by URL.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make a service's data of a backup, checked first: every file's hash and the audit chain."""
    from service import backup as backups

    settings = _kept(data_dir, database)
    _tell("restored", backups.restore(file, settings), settings.data_dir, as_json)


def _kept(data_dir: Path | None, database: str | None) -> Settings:
    """The settings that say where a service's data is."""
    from service.settings import from_environment

    return from_environment({"RULEEDIT_DATA_DIR": "ruleedit-data", **os.environ}, data_dir=data_dir, database=database)


def _tell(done: str, told: dict[str, Any], where: Path, as_json: bool) -> None:
    events = f"{told['events']:,} audit events up to {(told['head'] or 'none')[:16]}"
    print(
        json.dumps(told) if as_json else f"{done} {told['rows']:,} rows and {told['files']:,} files, {events}: {where}"
    )
