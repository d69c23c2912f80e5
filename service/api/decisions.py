"""Decisions: what an active release answers, with reasons."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import ValidationError

from service.api.bodies import BatchAsked, DecisionsAsked
from service.api.common import JSON_BODY, TableFile, Work, decided, json_only, multipart_only, refuses, table_of
from service.errors import RequestInvalid

router = APIRouter(prefix="/v1/decisions", tags=["decisions"])
#: Described by hand, as the request is read by hand: the framework's way costs as much as all the rest of a decision.
BODY: dict[str, Any] = {
    "parameters": [
        {
            "name": "name",
            "in": "path",
            "required": True,
            "description": "The name under which a release is in service.",
            "schema": {"type": "string"},
        },
        {
            "name": "explain",
            "in": "query",
            "required": False,
            "description": "Say too which clauses failed for the nearest other outcome.",
            "schema": {"type": "boolean", "default": False},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DecisionsAsked"}}},
    },
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
        **refuses(400, 404, 413, 415, 503),
    },
    summary="Decide rows",
)
async def decide(request: Request) -> Response:
    """Decide rows by the active release of a name; at most 10,000 in one request, and 1 MiB of JSON.

    The answer is checked against its description by the tests, not at each request.
    """
    json_only(request)
    rows = read_rows(await request.body())
    answered = await decided(request, request.path_params["name"], rows, explain=_explained(request))
    return Response(answered.json, media_type="application/json")


BATCH: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "CSV, a line for each row: outcome, p_CLASS for each class, model_outcome, rule, by.",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    },
    **refuses(400, 404, 413, 415),
}


@router.post(
    "/{name}/batch",
    dependencies=JSON_BODY,
    response_class=StreamingResponse,
    responses=BATCH,
    summary="Decide a data set",
)
def decide_batch(work: Work, name: str, asked: BatchAsked, request: Request) -> StreamingResponse:
    """Decide every row of a data set by the active release of a name, in the order of the table, as it is worked out.

    The decision log has one line for it, with the counts; trials and the metrics of decisions leave it out.
    """
    parts = work.decide_batch(name, asked.dataset, request.scope["request_id"])
    return StreamingResponse(parts, media_type="text/csv")


@router.post(
    "/{name}/file",
    dependencies=[Depends(multipart_only)],
    response_class=StreamingResponse,
    responses=BATCH,
    summary="Decide a table",
)
def decide_file(work: Work, name: str, file: TableFile, request: Request) -> StreamingResponse:
    """Decide every row of a table that is sent along, CSV or Parquet of at most 64 MiB, and keep none of it.

    The decision log has one line for it, with the counts and the file's SHA-256.
    """
    _, suffix = table_of(file, work.settings.most_upload)
    parts = work.decide_file(name, file.file, suffix, request.scope["request_id"])
    return StreamingResponse(parts, media_type="text/csv")


def _explained(request: Request) -> bool:
    """Whether ``explain`` is asked for; raises `RequestInvalid`."""
    if not request.scope["query_string"]:
        return False
    said = request.query_params.get("explain", "false").lower()
    if said not in ("true", "false"):
        raise RequestInvalid("query.explain: true or false is accepted")
    return said == "true"


def read_rows(body: bytes) -> list[dict[str, Any]]:
    """The rows of a body; raises `RequestValidationError`."""
    try:
        return DecisionsAsked.model_validate_json(body).rows
    except ValidationError as problem:
        places = [{**error, "loc": ("body", *error["loc"])} for error in problem.errors(include_input=False)]
        raise RequestValidationError(places) from None
