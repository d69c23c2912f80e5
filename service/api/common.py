"""What the routers share: the workspace, pages, preconditions, media types, documented refusals."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, File, Header, Query, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool

from service.errors import MediaRefused, PreconditionNeeded, RequestInvalid, TooLarge
from service.gate.problems import MEDIA
from service.once import KEY
from service.people import Person
from service.scoring import Answered
from service.workspace import Page, Workspace

REFUSALS = {
    400: "The body can't be read.",
    401: "The request has no key or token, or one that opens nothing.",
    403: "The person may not do this.",
    404: "Nothing has this id or name.",
    408: "The body stopped arriving.",
    409: "The present state doesn't allow it.",
    412: "The rule set has been changed since that revision.",
    413: "The body is past its limit.",
    415: "The body has another media type than the route takes.",
    422: "The request isn't as described, or RuleEdit refuses what it asks.",
    428: "The write doesn't say by If-Match which revision it was made from.",
    429: "More jobs wait than the service takes; Retry-After says when to ask again.",
    500: "Something failed on the server's side.",
    501: "A later version brings it.",
    503: "The service is starting, has more to do than it takes, or can't log what it has to; Retry-After says when.",
}


SUFFIXES = {".csv": ".csv", ".parquet": ".parquet", ".pq": ".parquet"}
TABLE_TYPES = {
    "text/csv": ".csv",
    "application/csv": ".csv",
    "application/parquet": ".parquet",
    "application/x-parquet": ".parquet",
    "application/vnd.apache.parquet": ".parquet",
}


def refuses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of a route's problems; every route may also answer 401, 403, 422, 500 and 503.

    A route that reads a body (413) may also wait for it in vain (408).
    """
    content = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    every = {*statuses, *((408,) if 413 in statuses else ()), 401, 403, 422, 500, 503}
    later = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return {
        status: {"description": REFUSALS[status], "content": content}
        | ({"headers": later} if status in (429, 503) else {})
        for status in sorted(every)
    }


def inference_refuses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same for the Open Inference routes, which have that protocol's own form of errors."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/InferenceError"}}}
    return {status: {**said, "content": content} for status, said in refuses(*statuses).items()}


OfDataset: TypeAlias = Annotated[str | None, Query(max_length=100, description="A data set's id.")]


def workspace(request: Request) -> Workspace:
    """The application's workspace."""
    found: Workspace = request.app.state.workspace
    return found


def person(request: Request) -> Person:
    """Who asks, as `service.gate` has found out."""
    found: Person = request.scope["person"]
    return found


By: TypeAlias = Annotated[Person, Depends(person)]


def page(
    limit: Annotated[int, Query(ge=1, le=200, description="Items on a page.")] = 50,
    cursor: Annotated[str | None, Query(max_length=40, description="`next` of the page before.")] = None,
) -> Page:
    """The part of a list that is asked for."""
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise RequestInvalid("query.cursor: give the 'next' of the page before")
    return Page(limit, None if cursor is None else int(cursor))


def if_match(
    value: Annotated[str | None, Header(alias="If-Match", description="The ETag that was read.")] = None,
) -> str:
    """The revision that a write was made from; raises `PreconditionNeeded`."""
    if value is None:
        raise PreconditionNeeded("give the ETag that you read as If-Match, so that nobody's change is overwritten")
    # A weak tag never matches (RFC 9110, 13.1.1); of a list there is one revision at most that is the present one.
    return value.strip().strip('"')


def json_only(request: Request) -> None:
    """Refuse a body that says it is something else than JSON."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise MediaRefused(f"the body is {kind or 'of no media type'!r}; application/json is accepted")


def multipart_only(request: Request) -> None:
    """Refuse a body that is no multipart form."""
    kind = media_type(request)
    if kind != "multipart/form-data":
        raise MediaRefused(f"the body is {kind or 'of no media type'!r}; multipart/form-data is accepted")


async def decided(request: Request, name: str, rows: list[dict[str, Any]], *, explain: bool = False) -> Answered:
    """Decide rows: few at once on the event loop, many in a thread; raises `TooLarge` for too many."""
    work: Workspace = request.app.state.workspace
    if len(rows) > work.settings.most_rows:
        raise TooLarge(f"{len(rows)} rows were given; at most {work.settings.most_rows} are accepted")
    said = {"request": request.scope["request_id"], "explain": explain}
    if len(rows) <= work.settings.inline_rows and not work.scoring.waits:
        return work.scoring.decide(name, rows, **said)
    return await run_in_threadpool(work.scoring.decide, name, rows, **said)


def media_type(request: Request) -> str:
    """The media type of the body, without its parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def table_of(file: UploadFile, most: int) -> tuple[str, str]:
    """The name and the suffix of a table that was sent; raises `MediaRefused`, `TooLarge`."""
    given = PurePosixPath((file.filename or "").replace("\\", "/")).name
    suffix = SUFFIXES.get(PurePosixPath(given).suffix.lower()) or TABLE_TYPES.get(file.content_type or "")
    if suffix is None:
        raise MediaRefused(f"{given or 'the file'!r} is {file.content_type}; a .csv or .parquet file is accepted")
    if (file.size or 0) > most:
        raise TooLarge(f"the file has {file.size} bytes; at most {most} are accepted")
    return given, suffix


async def once(
    by: By,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            description="The same key and request again have no second effect and get the same reply, for 24 hours "
            "unless the service is set otherwise; another request with the key is 422, one still at work 409.",
        ),
    ] = None,
) -> None:
    """Say whose Idempotency-Key the request carries; async, so that the route's thread sees it."""
    KEY.set(None if idempotency_key is None else (f"{by.kind}:{by.name}", idempotency_key))


def accepted(job: dict[str, Any], response: Response) -> dict[str, Any]:
    """Answer with a job: 202 and where it is."""
    response.headers["Location"] = f"/v1/jobs/{job['id']}"
    return job


def tagged(found: dict[str, Any], response: Response) -> dict[str, Any]:
    """Answer with a rule set: its revision is the ETag."""
    response.headers["ETag"] = f'"{found["revision"]}"'
    return found


TableFile: TypeAlias = Annotated[UploadFile, File(description="CSV (UTF-8, comma, header) or Parquet.")]
Work: TypeAlias = Annotated[Workspace, Depends(workspace)]
Asking: TypeAlias = Annotated[Page, Depends(page)]
Expected: TypeAlias = Annotated[str, Depends(if_match)]
ONCE = [Depends(once)]
JSON_BODY = [Depends(json_only)]
WRITE = [*JSON_BODY, *ONCE]
LOCATION = {"Location": {"description": "Where the job is.", "schema": {"type": "string"}}}
ETAG = {"ETag": {"description": "The revision.", "schema": {"type": "string"}}}
