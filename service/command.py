"""``ruleedit serve``; what is heavy is imported when it runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


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
    admin_key: Annotated[bool, typer.Option("--admin-key", help="Make another admin key and print it.")] = False,
) -> None:
    """Serve the API. Every request needs a key: the first start prints an admin's, which makes the others.

    RULEEDIT_... variables give the other settings.
    """
    from service.server import run
    from service.settings import from_environment

    off = False if demo else None
    environ = {"RULEEDIT_DATA_DIR": "ruleedit-data", **os.environ}
    settings = from_environment(
        environ, data_dir=data_dir, demo=demo or None, database=database, authentication=off, approval=off
    )
    run(settings, host, port, new_admin_key=admin_key)
