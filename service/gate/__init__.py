"""What every request passes before anything of it is read: who asks and whether they may, the limit of the body.

It stands before the router, so that a stranger's 64 MiB are never read, and so that a route without
an entry in the table of access is refused however it came to be there.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.auth.access import Access
from service.auth.keys import MARK, Keys
from service.auth.sessions import COOKIE, Sessions, is_page
from service.auth.tokens import Tokens
from service.errors import (
    AccessUndeclared,
    CredentialNeeded,
    CredentialRefused,
    NotLocal,
    RoleMissing,
    ServiceError,
    TooDeep,
    TooLarge,
    TooSlow,
)
from service.gate.limits import Lane, nested_deeper
from service.gate.problems import answer_to
from service.people import LOCAL, Person
from service.settings import Settings, is_loopback
from service.telemetry.logs import REQUEST_ID, RequestIds, request_line
from service.telemetry.metrics import Metrics

#: A request's headers by their names in lower case; of several of one name the first.
Sent: TypeAlias = dict[bytes, bytes]
#: What a form holds beside its file.
FORM_OVERHEAD = 64 * 1024
UPLOADS = ("/v1/datasets", "/v1/models", "/v1/rulesets/import")
#: A table to decide: as large as an upload.
UPLOADED = re.compile(r"/v1/decisions/[^/]+/file")
#: What must be answered under any load.
PROBES = ("/healthz", "/readyz", "/metrics")
DECIDING = ("/v1/decisions/", "/v2", "/invocations")
#: Where files go that are given on a page.
PAGE_UPLOADS = "/_nicegui/client/"
#: What each answer says where nobody is asked who they are, or nobody has to approve.
NOTICE = "RuleEdit-Notice"


class Cut(HTTPException):
    """A body that is cut off while the application reads it: of the framework's kind, so that it passes through it."""

    def __init__(self, status: int, problem: ServiceError) -> None:
        super().__init__(status, str(problem))
        self.problem = problem


class Gate:
    """Knows who asks, refuses what they may not do and bodies past their limit, and counts what was answered."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: Settings,
        access: Access,
        metrics: Metrics,
        log: Callable[[bytes], object] | None = None,
    ) -> None:
        self._app = app
        self._log = log
        self._ids = RequestIds()
        self._settings = settings
        self._notice = [(NOTICE.lower().encode(), settings.notice.encode())] if settings.notice else []
        self._access = access
        self._metrics = metrics
        self._lanes = {
            "requests": Lane("requests", settings.most_at_once, settings.most_waiting, 1),
            "decisions": Lane("requests for decisions", settings.most_deciding, 0, 1),
            "uploads": Lane("uploads", settings.most_uploading, settings.most_waiting, 5),
            "looks": Lane("rows looked at closely", settings.most_looking, settings.most_waiting, 5),
            "streams": Lane("streams of events", settings.most_following, 0, 5),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        headers: Sent = dict(reversed(scope["headers"]))
        request = scope["request_id"] = self._ids.of(headers.get(REQUEST_ID))

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID, request.encode()), *self._notice]
            elif message["type"] == "websocket.accept":
                # A page that was open and is closed again is no failure.
                status = 101
            elif message["type"] == "websocket.close" and status == 500:
                status = 403
            await send(message)

        try:
            await self._admit(scope, headers, receive, sending)
        finally:
            route, method = scope.get("template", "unknown"), scope.get("method", "WEBSOCKET")
            seconds = time.perf_counter() - began
            self._metrics.count_request(method, route, status, seconds)
            if self._log is not None:
                person = scope.get("person")
                name = None if person is None else person.name
                self._log(request_line(request, name, method, route, status, seconds))

    async def _admit(self, scope: Scope, headers: Sent, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with the person and a limited body, when it is the request's turn."""
        try:
            scope["person"] = await self._person(scope, headers)
            self._check(scope, scope["person"])
            if _is_head(scope):
                scope, send = {**scope, "method": "GET"}, _without_body(send)
            if scope["type"] == "websocket":
                await self._app(scope, receive, send)
                return
            lane = self._lane(scope, headers)
            if lane is None:
                await self._app(scope, await self._body(scope, headers, receive), send)
                return
            async with lane.passing():
                await self._app(scope, await self._body(scope, headers, receive), send)
        except (ServiceError, Cut) as problem:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            elif isinstance(problem, CredentialNeeded) and self._is_page(scope, headers):
                to = quote(scope["path"], safe="/")
                await RedirectResponse(f"/sign-in?to={to}", 303)(scope, receive, send)
            else:
                found = problem.problem if isinstance(problem, Cut) else problem
                await answer_to(found, scope["path"], {})(scope, receive, send)

    async def _person(self, scope: Scope, headers: Sent) -> Person | None:
        """Who asks; None where a request says nothing. Raises `CredentialRefused`, `NotLocal`."""
        if not self._settings.authentication:
            _check_local(headers)
            return LOCAL
        said = headers.get(b"authorization", b"").decode("latin-1")
        if not said:
            return await self._signed_in(scope, headers)
        scheme, _, credential = said.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise CredentialRefused("the Authorization header is no 'Bearer KEY-OR-TOKEN'")
        return await person_of(scope, credential)

    async def _signed_in(self, scope: Scope, headers: Sent) -> Person | None:
        """Whom the cookie of the workbench stands for; on the pages alone, and only from a page of our own."""
        if not self._settings.workbench or not (is_page(scope["path"]) or scope["path"] == "/sign-out"):
            return None
        cookie = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
        sessions: Sessions = scope["app"].state.sessions
        credential = None if cookie is None else sessions.credential(cookie.value)
        if credential is None:
            return None
        host = headers.get(b"host", b"")
        if headers.get(b"origin", b"http://" + host) not in (b"http://" + host, b"https://" + host):
            raise NotLocal("a page of another origin sent the request")
        try:
            return await person_of(scope, credential)
        except CredentialRefused:
            return None

    def _check(self, scope: Scope, person: Person | None) -> None:
        """Raise where the person may not use the route; a path that leads nowhere is the router's to refuse."""
        verb = scope.get("method", "WEBSOCKET")
        entry = self._access.entry(verb, scope["path"])
        if entry is not None:
            scope["template"] = entry.path
        if entry is not None and entry.admits(person):
            return
        if person is None:
            raise CredentialNeeded("give a key or a token: 'Authorization: Bearer ...'; an admin hands out keys")
        if entry is not None:
            roles = ", ".join(sorted(entry.allowed or ()))
            raise RoleMissing(f"{verb} {entry.path} is for {roles}; {person.name!r} is {_listed(person)}")
        if _leads_somewhere(scope):
            raise AccessUndeclared(f"nobody has said who may use {verb} {scope['path']}, so nobody may")

    def _is_page(self, scope: Scope, headers: Sent) -> bool:
        """Whether somebody's browser asks for a page of the workbench."""
        path = scope["path"]
        return (
            self._settings.workbench
            and scope.get("method") == "GET"
            and (path == "/" or path.startswith("/r/"))
            and b"text/html" in headers.get(b"accept", b"")
        )

    def _lane(self, scope: Scope, headers: Sent) -> Lane | None:
        path = scope["path"]
        if path in PROBES:
            return None
        if path.startswith(DECIDING) and not _is_upload(scope, headers):
            return self._lanes["decisions"]
        if path.endswith("/events"):
            return self._lanes["streams"]
        if path.startswith("/v1/rulesets/") and path.endswith("/local"):
            return self._lanes["looks"]
        return self._lanes["uploads" if _is_upload(scope, headers) else "requests"]

    async def _body(self, scope: Scope, headers: Sent, receive: Receive) -> Receive:
        """The body as the application reads it: cut where it passes its limit or stops arriving.

        Raises `TooLarge`, `TooSlow`, and `TooDeep` for JSON, which is read here whole.
        """
        limit = self._settings.most_upload + FORM_OVERHEAD if _is_upload(scope, headers) else self._settings.most_json
        said = headers.get(b"content-length", b"")
        if said.isdigit() and int(said[:20]) > limit:
            raise _too_large(limit)
        arriving = _arriving(receive, limit, self._settings.body_seconds)
        if b"json" not in headers.get(b"content-type", b"").lower():
            return arriving
        return await _shallow(arriving, self._settings.most_depth)


def _is_head(scope: Scope) -> bool:
    """Whether a request asks for what GET would answer without the body; a stream of events has nothing else."""
    return scope.get("method") == "HEAD" and not scope["path"].endswith("/events")


def _without_body(send: Send) -> Send:
    """Send what a GET would be answered, its length among the headers, but for the body (RFC 9110, 9.3.2)."""

    async def sending(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return sending


def _is_upload(scope: Scope, headers: Sent) -> bool:
    media, path = headers.get(b"content-type", b"").lower(), scope["path"]
    wanted = path.rstrip("/") in UPLOADS or path.startswith(PAGE_UPLOADS) or UPLOADED.fullmatch(path) is not None
    return wanted and media.startswith(b"multipart/form-data")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes, the most that is accepted here")


def _arriving(receive: Receive, limit: int, seconds: float) -> Receive:
    """The parts of a body as they arrive, up to a limit, each within so many seconds of the one before."""
    left, more = limit, True

    async def receiving() -> Message:
        nonlocal left, more
        if not more:
            # What comes after the body is only that the client goes away, and nobody hurries it.
            return await receive()
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            raise Cut(408, TooSlow(f"no part of the body arrived within {seconds:g} s")) from None
        more = bool(message.get("more_body"))
        left -= len(message.get("body", b""))
        if left < 0:
            raise Cut(413, _too_large(limit))
        return message

    return receiving


async def _shallow(receive: Receive, most: int) -> Receive:
    """A JSON body, read whole and checked for its depth; it is then given on as one part."""
    first = await receive()
    parts, message = [first.get("body", b"")], first
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    whole = b"".join(parts)
    if nested_deeper(whole, most):
        raise TooDeep(f"the JSON nests deeper than {most}, or its brackets don't match")
    told = False

    async def receiving() -> Message:
        nonlocal told
        if told or message["type"] != "http.request":
            return await receive() if told else message
        told = True
        return {"type": "http.request", "body": whole, "more_body": False}

    return receiving


async def person_of(scope: Scope, credential: str) -> Person:
    """The person of an API key or a token; raises `CredentialRefused`."""
    if not credential.startswith(MARK):
        tokens: Tokens = scope["app"].state.tokens
        return await run_in_threadpool(tokens.person, credential)
    keys: Keys = scope["app"].state.workspace.keys
    known = keys.known(credential)
    return await run_in_threadpool(keys.person, credential) if known is None else known


def _check_local(headers: Sent) -> None:
    """Refuse what a browser sends for other people's pages, and what a proxy hands on: nobody is asked who they are."""
    host = headers.get(b"host", b"").decode("latin-1")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if not is_loopback(name):
        raise NotLocal(f"the Host header is {host!r}, and authentication is off; ask 127.0.0.1 or localhost")
    if b"forwarded" in headers or b"x-forwarded-for" in headers:
        raise NotLocal("a proxy handed the request on, and authentication is off; start the service without --demo")
    # A link that somebody follows is no request of the page that it stands on: that page sees nothing of the answer.
    followed = (headers.get(b"sec-fetch-mode"), headers.get(b"sec-fetch-dest")) == (b"navigate", b"document")
    if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin") and not followed:
        raise NotLocal("another site's page sent the request, and authentication is off")
    origin = headers.get(b"origin", f"http://{host}".encode("latin-1")).decode("latin-1")
    if origin not in (f"http://{host}", f"https://{host}"):
        raise NotLocal("a page of another origin sent the request, and authentication is off")


def _leads_somewhere(scope: Scope) -> bool:
    routes: list[Any] = scope["app"].routes
    matches: list[Callable[[Scope], tuple[Match, Scope]]] = [route.matches for route in routes]
    return any(match(dict(scope))[0] is Match.FULL for match in matches)


def _listed(person: Person) -> str:
    return ", ".join(sorted(person.roles)) or "of no role"
