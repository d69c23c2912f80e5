"""``ruleedit serve``; what is heavy is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    demo: Annotated[bool, typer.Option("--demo", help="Start with a ready example.")] = False,
    host: Annotated[str, typer.Option("--host", help="The address to listen on; this machine only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.", min=0, max=65535)] = 8000,
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where everything is kept.")] = Path("ruleedit-data"),
) -> None:
    """Serve the API on this machine; there is no authentication yet."""
    from service.server import run
    from service.settings import Settings, check_loopback

    check_loopback(host)
    run(Settings(data_dir=data_dir, demo=demo), host, port)
