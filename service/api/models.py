"""Models: trained here, or adopted."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from service.api.bodies import GroupsAsked, JobBody, ModelAsked, ModelBody, PageOf
from service.api.common import LOCATION, ONCE, WRITE, Asking, By, Work, accepted, json_only, media_type, refuses
from service.errors import RequestInvalid, TooDeep, TooLarge
from service.gate.limits import nested_deeper
from service.people import Person
from service.workspace import Workspace

Body = TypeVar("Body", bound=BaseModel)
router = APIRouter(prefix="/v1/models", tags=["models"])


class AdoptionAsked(ModelAsked):
    """A form with a LightGBM model file; `schema`, `thresholds`, `classes` and `groups` are JSON texts in it."""

    classes: list[str] | None = Field(default=None, max_length=1_000, description="In the model's order.")


def _form_schema() -> dict[str, Any]:
    texts = {name: {"type": "string"} for name in ("dataset", "target", "name")}
    jsons = {name: {"type": "string", "description": "JSON."} for name in ("schema", "thresholds", "classes", "groups")}
    file = {"type": "string", "format": "binary", "description": "A LightGBM model as text."}
    properties = {"file": file, **texts, **jsons, "seed": {"type": "integer"}}
    return {"type": "object", "properties": properties, "required": ["file", "dataset", "target"]}


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/ModelAsked"}},
            "multipart/form-data": {"schema": _form_schema()},
        },
    }
}


@router.post(
    "",
    status_code=202,
    response_model=JobBody,
    dependencies=ONCE,
    responses={202: {"headers": LOCATION}, **refuses(400, 409, 413, 415, 429)},
    openapi_extra=_BODY,
    summary="Train or adopt a model",
)
async def make_model(work: Work, by: By, request: Request, response: Response) -> dict[str, Any]:
    """Train a model on a data set, or take over a LightGBM model file; the job's result is `{"model"}`.

    A model file is checked before anything loads it: a malformed one is refused at once.
    """
    if media_type(request) == "multipart/form-data":
        async with request.form(max_files=1, max_fields=20) as form:
            job = await run_in_threadpool(_adopt, work, by, form)
    else:
        json_only(request)
        asked = _read(ModelAsked, await _json(request, work.settings.most_depth))
        job = await run_in_threadpool(_train, work, by, asked)
    return accepted(job, response)


@router.get("", response_model=PageOf[ModelBody], responses=refuses(), summary="List models")
def list_models(work: Work, page: Asking) -> dict[str, Any]:
    """The models, newest first."""
    return work.models(page)


@router.get("/{model}", response_model=ModelBody, responses=refuses(404), summary="Show a model")
def get_model(work: Work, model: str) -> dict[str, Any]:
    """A model with its schema and hold-out figures."""
    return work.model(model)


@router.post(
    "/{model}/groups",
    response_model=ModelBody,
    dependencies=WRITE,
    responses=refuses(400, 404, 409, 413, 415),
    summary="Say which columns are sensitive",
)
def set_groups(work: Work, by: By, model: str, asked: GroupsAsked) -> dict[str, Any]:
    """Impact, comparisons and reports part their rows by these columns from now on, and warn of a group left behind."""
    return work.set_groups(model, asked.model_dump(exclude={"reason"}), asked.reason, by=by)


def _train(work: Workspace, by: Person, asked: ModelAsked) -> dict[str, Any]:
    return work.train(
        asked.dataset,
        asked.target,
        by=by,
        seed=asked.seed,
        thresholds=asked.thresholds,
        schema=asked.corrected,
        groups=_groups(asked),
        name=asked.name,
    )


def _groups(asked: ModelAsked) -> dict[str, Any] | None:
    return None if asked.groups is None else asked.groups.model_dump()


def _adopt(work: Workspace, by: Person, form: FormData) -> dict[str, Any]:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise RequestInvalid("body.file: give a LightGBM model as text")
    if (file.size or 0) > work.settings.most_upload:
        raise TooLarge(f"the file has {file.size} bytes; at most {work.settings.most_upload} are accepted")
    fields: dict[str, Any] = {name: value for name, value in form.items() if name != "file"}
    for name in ("schema", "thresholds", "classes", "groups", "seed"):
        if name in fields:
            fields[name] = _loads(fields[name], f"body.{name}", work.settings.most_depth)
    asked = _read(AdoptionAsked, fields)
    return work.adopt(
        file.file,
        asked.dataset,
        asked.target,
        by=by,
        classes=asked.classes,
        seed=asked.seed,
        thresholds=asked.thresholds,
        schema=asked.corrected,
        groups=_groups(asked),
        name=asked.name,
    )


async def _json(request: Request, most_depth: int) -> Any:
    return _loads(await request.body(), "body", most_depth)


def _loads(text: Any, where: str, most_depth: int) -> Any:
    try:
        if nested_deeper(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"), most_depth):
            raise TooDeep(f"{where}: the JSON nests deeper than {most_depth}, or its brackets don't match")
        return json.loads(text)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise RequestInvalid(f"{where}: this is no JSON") from None


def _read(kind: type[Body], data: Any) -> Body:
    try:
        return kind.model_validate(data)
    except ValidationError as problem:
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in problem.errors()]) from None
