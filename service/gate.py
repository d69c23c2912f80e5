"""What every request passes before anything of it is read: who asks and whether they may, the limit of the body.

It stands before the router, so that a stranger's 64 MiB are never read, and so that a route without
an entry in the table of access is refused however it came to be there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import Access
from service.errors import AccessUndeclared, CredentialNeeded, CredentialRefused, NotLocal, RoleMissing, ServiceError
from service.keys import MARK, Keys
from service.metrics import Metrics
from service.people import LOCAL, Person
from service.problems import answer, status_of
from service.settings import Settings, is_loopback
from service.tokens import Tokens

#: What a form holds beside its file.
FORM_OVERHEAD = 64 * 1024
UPLOADS = ("/v1/datasets", "/v1/models", "/v1/rulesets/import")
#: What each answer says where nobody is asked who they are, or nobody has to approve.
NOTICE = "RuleEdit-Notice"


class Gate:
    """Knows who asks, refuses what they may not do and bodies past their limit, and counts what was answered."""

    def __init__(self, app: ASGIApp, *, settings: Settings, access: Access, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._access = access
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._settings.notice:
                    MutableHeaders(scope=message)[NOTICE] = self._settings.notice
            await send(message)

        try:
            await self._admit(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.count_request(scope.get("method", "WEBSOCKET"), route, status, time.perf_counter() - began)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope["person"] = await self._person(scope)
            self._check(scope, scope["person"])
        except ServiceError as problem:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            status = status_of(problem, {})
            challenge = {"WWW-Authenticate": 'Bearer realm="ruleedit"'} if status == 401 else {}
            await answer(status, problem.code, str(problem), scope["path"], headers=challenge)(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._limited(scope, receive, send)

    async def _person(self, scope: Scope) -> Person | None:
        """Who asks; None where a request says nothing. Raises `CredentialRefused`, `NotLocal`."""
        headers = Headers(scope=scope)
        if not self._settings.authentication:
            _check_local(headers)
            return LOCAL
        said = headers.get("authorization", "")
        if not said:
            return None
        scheme, _, credential = said.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise CredentialRefused("the Authorization header is no 'Bearer KEY-OR-TOKEN'")
        if not credential.startswith(MARK):
            tokens: Tokens = scope["app"].state.tokens
            return await run_in_threadpool(tokens.person, credential)
        keys: Keys = scope["app"].state.workspace.keys
        return keys.known(credential) or await run_in_threadpool(keys.person, credential)

    def _check(self, scope: Scope, person: Person | None) -> None:
        """Raise where the person may not use the route; a path that leads nowhere is the router's to refuse."""
        verb = scope.get("method", "WEBSOCKET")
        entry = self._access.entry(verb, scope["path"])
        if entry is not None and entry.admits(person):
            return
        if person is None:
            raise CredentialNeeded("give a key or a token: 'Authorization: Bearer ...'; an admin hands out keys")
        if entry is not None:
            roles = ", ".join(sorted(entry.allowed or ()))
            raise RoleMissing(f"{verb} {entry.path} is for {roles}; {person.name!r} is {_listed(person)}")
        if _leads_somewhere(scope):
            raise AccessUndeclared(f"nobody has said who may use {verb} {scope['path']}, so nobody may")

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


def _check_local(headers: Headers) -> None:
    """Refuse what a browser sends for other people's pages, and what a proxy hands on: nobody is asked who they are."""
    host = headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if not is_loopback(name):
        raise NotLocal(f"the Host header is {host!r}, and authentication is off; ask 127.0.0.1 or localhost")
    if "forwarded" in headers or "x-forwarded-for" in headers:
        raise NotLocal("a proxy handed the request on, and authentication is off; start the service without --demo")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise NotLocal("another site's page sent the request, and authentication is off")
    if headers.get("origin", f"http://{host}") not in (f"http://{host}", f"https://{host}"):
        raise NotLocal("a page of another origin sent the request, and authentication is off")


def _leads_somewhere(scope: Scope) -> bool:
    routes: list[Any] = scope["app"].routes
    matches: list[Callable[[Scope], tuple[Match, Scope]]] = [route.matches for route in routes]
    return any(match(dict(scope))[0] is Match.FULL for match in matches)


def _listed(person: Person) -> str:
    return ", ".join(sorted(person.roles)) or "of no role"
