"""The connection of an open page, as the log and the metrics tell of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.access import PAGES, TABLE
from service.auth.access import Access
from service.gate import Gate
from service.telemetry.metrics import Metrics
from tests.serving import local


class OutOfOrder(Exception):
    """What an application fails with."""


async def opened(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that lets a page open and close its connection."""
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 1000})


async def turned_away(scope: Scope, receive: Receive, send: Send) -> None:
    """One that doesn't."""
    await send({"type": "websocket.close", "code": 1008})


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    """One that fails before it says anything."""
    raise OutOfOrder


def told(app: ASGIApp, folder: Path) -> tuple[dict[str, Any], str]:
    """What the log says of one connection, and the metrics."""
    lines: list[bytes] = []
    metrics = Metrics()
    gate = Gate(
        app, settings=local(folder, workbench=True), access=Access(TABLE | PAGES), metrics=metrics, log=lines.append
    )
    scope = {
        "type": "websocket",
        "path": "/_nicegui_ws/socket.io/",
        "headers": [(b"host", b"127.0.0.1")],
        "client": None,
    }

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.disconnect"}

    async def send(message: Any) -> None:
        pass

    async def connection() -> None:
        await gate(scope, receive, send)

    with contextlib.suppress(OutOfOrder):
        asyncio.run(connection())
    (line,) = lines
    found: dict[str, Any] = json.loads(line)
    return found, metrics.text().decode()


@pytest.mark.parametrize(("app", "status"), [(opened, 101), (turned_away, 403), (failing, 500)])
def test_a_page_that_is_closed_again_is_no_failure(app: ASGIApp, status: int, tmp_path: Path) -> None:
    """An operator who counts failures counts those alone, in the log and in the metrics."""
    line, metrics = told(app, tmp_path)
    assert (line["method"], line["status"]) == ("WEBSOCKET", status)
    assert f'ruleedit_requests_total{{method="other",route="/_nicegui_ws/*",status="{status}"}} 1.0' in metrics
