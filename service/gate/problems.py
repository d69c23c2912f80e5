"""Errors as ``application/problem+json`` (RFC 9457), each class with a stable code."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from ruleedit.errors import ConflictsOpen, NotThereYet, RuleEditError
from service.errors import (
    AccessRefused,
    CredentialNeeded,
    CredentialRefused,
    DecisionLogFailed,
    KeyInFlight,
    MediaRefused,
    NotReady,
    Overloaded,
    PreconditionNeeded,
    QueueFull,
    ServiceError,
    Stale,
    StateRefused,
    TooLarge,
    TooSlow,
    UnknownResource,
)

MEDIA = "application/problem+json"
#: Where the Open Inference Protocol's errors are answered.
INFERENCE = "/v2"
log = logging.getLogger(__name__)

#: The status of each class of error; every other one of ours is a 422.
STATUS: Mapping[type[RuleEditError], int] = {
    CredentialNeeded: 401,
    CredentialRefused: 401,
    AccessRefused: 403,
    ConflictsOpen: 409,
    KeyInFlight: 409,
    StateRefused: 409,
    Stale: 412,
    TooLarge: 413,
    TooSlow: 408,
    QueueFull: 429,
    Overloaded: 503,
    MediaRefused: 415,
    PreconditionNeeded: 428,
    NotThereYet: 501,
    DecisionLogFailed: 503,
    NotReady: 503,
}
#: The codes of what the framework refuses by itself.
FRAMEWORK_CODES = {
    404: "not-found",
    405: "method-not-allowed",
    408: "too-slow",
    413: "too-large",
    415: "media-type-refused",
}


class Place(BaseModel):
    """One place of a request that isn't as described."""

    model_config = ConfigDict(frozen=True)

    where: str = Field(description="The place, as in body.edits[0].")
    detail: str = Field(description="What is wrong there.")


class Problem(BaseModel):
    """What went wrong, as RFC 9457 says it."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="A URN that ends with the code.", examples=["urn:ruleedit:problem:value-refused"])
    title: str = Field(description="The status in words.", examples=["Unprocessable Entity"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(description="What is wrong, where, and what would be accepted.")
    code: str = Field(description="A stable kebab-case code for this class of error.", examples=["value-refused"])
    instance: str = Field(description="The path that was asked.", examples=["/v1/decisions/loans"])
    errors: list[Place] | None = Field(default=None, description="Every place, where the request isn't as described.")


def status_of(problem: RuleEditError, path_params: Mapping[str, Any]) -> int:
    """The status that an error answers with: an unknown resource is a 404 only where the path names it."""
    if isinstance(problem, UnknownResource):
        return 404 if problem.name in path_params.values() else 422
    return next((status for kind, status in STATUS.items() if isinstance(problem, kind)), 422)


def answer(
    status: int,
    code: str,
    detail: str,
    instance: str,
    *,
    errors: Sequence[Place] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as a response; the Open Inference routes keep that protocol's own form."""
    if instance == INFERENCE or instance.startswith(INFERENCE + "/"):
        return Response(json.dumps({"error": detail}), status, dict(headers or {}), "application/json")
    title = {413: "Content Too Large", 422: "Unprocessable Content"}.get(status) or HTTPStatus(status).phrase
    problem = Problem(
        type=f"urn:ruleedit:problem:{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        instance=instance,
        errors=list(errors) or None,
    )
    # ASCII only: a lone surrogate in a name that was asked for has no bytes in UTF-8.
    body = json.dumps(problem.model_dump(exclude_none=True))
    return Response(body, status, dict(headers or {}), MEDIA)


def answer_to(problem: RuleEditError, path: str, path_params: Mapping[str, Any]) -> Response:
    """The answer to an error of ours; ``path_params`` are what the path names."""
    status, headers = status_of(problem, path_params), {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="ruleedit"'
    if isinstance(problem, ServiceError) and problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    return answer(status, problem.code, " ".join(str(problem).split()), path, headers=headers)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    app.add_exception_handler(RuleEditError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RuleEditError)
    return answer_to(problem, request.url.path, request.path_params)


async def _invalid(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestValidationError)
    # What was sent is left out: it may be large, or nobody else's business.
    places = [Place(where=_where(error["loc"]), detail=error["msg"]) for error in problem.errors()]
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    detail = f"{places[0].where}: {places[0].detail}{more}" if places else "the request isn't as described"
    return answer(422, "request-invalid", detail, request.url.path, errors=places[:20])


async def _framework(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    code = FRAMEWORK_CODES.get(problem.status_code, "request-invalid")
    detail = {
        404: "nothing is served at this path; GET /docs lists what is",
        405: f"{request.method} isn't served at this path; GET /docs lists what is",
    }.get(problem.status_code, str(problem.detail))
    return answer(problem.status_code, code, detail, request.url.path, headers=problem.headers)


async def _unexpected(request: Request, problem: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=problem)
    detail = "something failed on the server's side; its log says what"
    # The server closes the connection after a crash; said here, no client sends its next request into it.
    return answer(500, "internal-error", detail, request.url.path, headers={"Connection": "close"})


def _where(place: Sequence[int | str]) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
