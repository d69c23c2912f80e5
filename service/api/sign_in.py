"""Signing in to the workbench and out of it, by a form that works without scripts."""

from __future__ import annotations

from html import escape
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from service.api.pages import page
from service.auth.sessions import COOKIE, Sessions
from service.errors import AccessRefused, CredentialRefused
from service.gate import person_of

router = APIRouter(include_in_schema=False)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
FORM = """<h1>RuleEdit</h1><p>Sign in with an API key (an admin hands them out), or an access token of your
organisation. It is kept in this service's memory until you sign out, and never in the browser.</p>
<form method="post" action="/sign-in"><p><label for="credential">Key or token</label><br>
<input id="credential" name="credential" type="password" autocomplete="current-password" required autofocus
style="font:inherit;width:100%;max-width:32rem;padding:.5rem"></p>
<input type="hidden" name="to" value="{to}"><p role="alert" style="color:#a3320b">{problem}</p>
<p><button style="font:inherit;padding:.5rem 1rem">Sign in</button></p></form>"""


def _local(address: str) -> str:
    """An address of this service; anything else becomes the first page."""
    inside = address.startswith("/") and not address.startswith(("//", "/\\")) and "\\" not in address
    return address if inside and address.isprintable() else "/"


def _form(to: str, problem: str = "", status: int = 200) -> HTMLResponse:
    body = FORM.format(to=escape(_local(to)), problem=escape(problem))
    return HTMLResponse(page("Sign in", body, ""), status, headers=HEADERS)


@router.get("/sign-in", response_class=HTMLResponse)
def get_sign_in(to: str = "/") -> HTMLResponse:
    """The form."""
    return _form(to)


@router.post("/sign-in", response_class=HTMLResponse)
async def sign_in(
    request: Request,
    credential: Annotated[str, Form(max_length=16_384)],
    to: Annotated[str, Form(max_length=2_000)] = "/",
) -> Response:
    """Check the credential and begin a session; the answer never says more than that it was refused."""
    try:
        await person_of(request.scope, credential.strip())
    except (CredentialRefused, AccessRefused) as problem:
        return _form(to, str(problem), 401)
    sessions: Sessions = request.app.state.sessions
    token = await run_in_threadpool(sessions.open, credential.strip())
    answer = RedirectResponse(_local(to), 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, path="/")
    return answer


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the session."""
    sessions: Sessions = request.app.state.sessions
    sessions.close(request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE, path="/")
    return answer
