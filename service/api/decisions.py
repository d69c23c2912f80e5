"""Decisions: what an active release answers, with reasons."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from service.api.bodies import DecisionsAsked
from service.api.common import json_only, refuses
from service.errors import TooLarge
from service.workspace import Workspace

router = APIRouter(prefix="/v1/decisions", tags=["decisions"])
#: Named by reference: the body is read by hand, which halves what a decision costs.
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DecisionsAsked"}}},
    }
}


@router.post(
    "/{name}",
    response_class=Response,
    openapi_extra=BODY,
    responses={
        200: {
            "description": "One decision for each row.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DecisionsBody"}}},
        },
        **refuses(400, 404, 413, 415),
    },
    summary="Decide rows",
)
async def decide(
    name: str,
    request: Request,
    explain: Annotated[bool, Query(description="Say too which clauses failed for the nearest other outcome.")] = False,
) -> Response:
    """Decide rows by the active release of a name; at most 10,000 in one request, and 1 MiB of JSON.

    The answer is checked against its description by the tests, not at each request.
    """
    json_only(request)
    work: Workspace = request.app.state.workspace
    asked = read_rows(await request.body(), work.settings.most_rows)
    if len(asked) <= work.settings.inline_rows:
        answered = work.scoring.decide(name, asked, explain=explain)
    else:
        answered = await run_in_threadpool(work.scoring.decide, name, asked, explain=explain)
    return Response(answered.json, media_type="application/json")


def read_rows(body: bytes, most: int) -> list[dict[str, Any]]:
    """The rows of a body; raises `RequestValidationError` and `TooLarge`."""
    try:
        rows = DecisionsAsked.model_validate_json(body).rows
    except ValidationError as problem:
        places = [{**error, "loc": ("body", *error["loc"])} for error in problem.errors(include_input=False)]
        raise RequestValidationError(places) from None
    if len(rows) > most:
        raise TooLarge(f"{len(rows)} rows were given; at most {most} are accepted")
    return rows
