"""What every request passes: the limit of its body, and the counters."""

from __future__ import annotations

import time

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import Metrics
from service.problems import answer
from service.settings import Settings

#: What a form holds beside its file.
FORM_OVERHEAD = 64 * 1024
UPLOADS = ("/v1/datasets", "/v1/models", "/v1/rulesets/import")


class Gate:
    """Refuses bodies past their limit while they arrive, and counts what was answered."""

    def __init__(self, app: ASGIApp, *, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._limited(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.count_request(scope["method"], route, status, time.perf_counter() - began)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        limit = self._limit(scope["path"], headers.get(b"content-type", b""))
        said = headers.get(b"content-length", b"")
        problem = f"the body is larger than {limit} bytes, the most that is accepted here"
        if said.isdigit() and int(said[:20]) > limit:
            await answer(413, "too-large", problem, scope["path"])(scope, receive, send)
            return
        left = limit

        async def receiving() -> Message:
            nonlocal left
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    raise HTTPException(413, problem)
            return message

        await self._app(scope, receiving, send)

    def _limit(self, path: str, media: bytes) -> int:
        if path.rstrip("/") in UPLOADS and media.lower().startswith(b"multipart/form-data"):
            return self._settings.most_upload + FORM_OVERHEAD
        return self._settings.most_json
