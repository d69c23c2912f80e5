"""MLflow's scoring protocol over the same decisions."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic_core import from_json, to_json

from ruleedit.schema import Schema
from service.api.common import Work, decided, media_type, refuses
from service.errors import MediaRefused, RequestInvalid
from service.scoring import Scoring, Serving
from service.workspace import Workspace

router = APIRouter(tags=["mlflow"])
FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/InvocationAsked"}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


@router.get("/ping", response_class=PlainTextResponse, responses=refuses(503), summary="Is it ready? (MLflow)")
async def ping(work: Work) -> PlainTextResponse:
    """As MLflow's scoring server says it: 200 with an empty line."""
    work.check_ready()
    return PlainTextResponse("\n")


@router.get("/version", response_class=PlainTextResponse, responses=refuses(), summary="Show the version (MLflow)")
async def get_version(request: Request) -> PlainTextResponse:
    """RuleEdit's version."""
    return PlainTextResponse(request.app.version)


@router.post(
    "/invocations",
    response_class=Response,
    openapi_extra=BODY,
    responses={
        200: {
            "description": "One prediction for each row: the decision with its reasons.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PredictionsBody"}}},
        },
        **refuses(400, 404, 413, 415, 503),
    },
    summary="Decide rows (MLflow)",
)
async def invoke(
    request: Request,
    name: Annotated[
        str | None, Query(max_length=64, description="The release's name; needed where several are in service.")
    ] = None,
) -> Response:
    """Decide rows given as `dataframe_split`, `dataframe_records`, `inputs` or `instances`, or as CSV."""
    work: Workspace = request.app.state.workspace
    serving = work.scoring.get(name) if name is not None else _only(work.scoring)
    body, kind = await request.body(), media_type(request)
    if kind == "text/csv":
        rows = _csv(body, serving.release.schema)
    elif kind == "application/json":
        rows = _rows(body, serving.release.schema)
    else:
        raise MediaRefused(f"the body is {kind or 'of no media type'!r}; application/json or text/csv is accepted")
    answered = await decided(request, serving.name, rows)
    return Response(to_json({"predictions": answered.told}), media_type="application/json")


def _only(scoring: Scoring) -> Serving:
    names = scoring.names
    if len(names) != 1:
        said = ", ".join(names) or "none"
        raise RequestInvalid(f"query.name: {len(names)} releases are in service ({said}); name one")
    return scoring.get(names[0])


def _rows(body: bytes, schema: Schema) -> list[dict[str, Any]]:
    """The rows of a JSON body; raises `RequestInvalid`."""
    try:
        asked = from_json(body)
    except ValueError:
        raise RequestInvalid("the body is no JSON") from None
    given = [form for form in FORMS if isinstance(asked, dict) and form in asked]
    if len(given) != 1:
        raise RequestInvalid(f"the body has {len(given)} of {', '.join(FORMS)}; exactly one is accepted")
    if asked.get("params"):
        raise RequestInvalid("body.params: a release takes no parameters")
    (form,) = given
    rows = _split(asked[form]) if form == "dataframe_split" else _records(asked[form], form, schema)
    if not rows:
        raise RequestInvalid(f"body.{form}: there are no rows")
    return rows


def _split(table: Any) -> list[dict[str, Any]]:
    columns = table.get("columns") if isinstance(table, dict) else None
    data = table.get("data") if isinstance(table, dict) else None
    if not isinstance(columns, list) or not columns or not isinstance(data, list):
        raise RequestInvalid("body.dataframe_split: columns (texts) and data (rows) are accepted")
    if not all(isinstance(name, str) for name in columns):
        raise RequestInvalid("body.dataframe_split.columns: the names are texts")
    return [_row(columns, row, "dataframe_split.data", place) for place, row in enumerate(data)]


def _records(data: Any, form: str, schema: Schema) -> list[dict[str, Any]]:
    if isinstance(data, dict) and form == "inputs":
        return _columns(data)
    if not isinstance(data, list):
        raise RequestInvalid(f"body.{form}: a list of rows is accepted")
    return [row if isinstance(row, dict) else _row(schema.names, row, form, place) for place, row in enumerate(data)]


def _columns(data: dict[str, Any]) -> list[dict[str, Any]]:
    """``inputs`` by column: a list of values for each."""
    if not all(isinstance(values, list) for values in data.values()):
        raise RequestInvalid("body.inputs: a list of values for each column is accepted")
    sizes = {name: len(values) for name, values in data.items()}
    if len(set(sizes.values())) > 1:
        raise RequestInvalid(f"body.inputs: the columns differ in length: {sizes}")
    return [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]


def _row(columns: Sequence[str], row: Any, where: str, place: int) -> dict[str, Any]:
    if not isinstance(row, list) or len(row) != len(columns):
        raise RequestInvalid(f"body.{where}[{place}]: a list of {len(columns)} values is accepted")
    return dict(zip(columns, row, strict=True))


def _csv(body: bytes, schema: Schema) -> list[dict[str, Any]]:
    """The rows of a CSV body: texts, which become numbers where a feature is one."""
    try:
        rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise RequestInvalid("the body is no CSV in UTF-8") from None
    if len(rows) < 2:
        raise RequestInvalid("the body has no rows; a header and a row or more are accepted")
    numbers = {feature.name for feature in schema.features if feature.is_number}
    named = [_row(rows[0], row, "row", place) for place, row in enumerate(rows[1:]) if row]
    return [{name: _cell(text, name in numbers) for name, text in row.items()} for row in named]


def _cell(text: str, number: bool) -> str | float | None:
    if not number:
        return text
    try:
        return float(text) if text else None
    except ValueError:
        return text
