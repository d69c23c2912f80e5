"""The Open Inference Protocol v2 over the same decisions: a name is a model, its active release the version."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from service.api import tensors
from service.api.bodies import InferenceModel, InferenceReady, InferenceServer
from service.api.common import Work, decided, inference_refuses
from service.api.tensors import LENGTH
from service.errors import MediaRefused, NothingActive
from service.scoring import Serving
from service.workspace import Workspace

router = APIRouter(prefix="/v2", tags=["open inference"])
BODY: dict[str, Any] = {
    "parameters": [
        {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "required": False,
            "description": "Where the JSON ends, if binary tensors follow it.",
            "schema": {"type": "string"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/InferenceAsked"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    },
}
ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The outputs as tensors; JSON, or JSON and then binary tensors where these were asked for.",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/InferenceBody"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.get("", response_model=InferenceServer, responses=inference_refuses(), summary="Show the server")
async def get_server(request: Request) -> InferenceServer:
    """Name, version and extensions."""
    return InferenceServer(name="ruleedit", version=request.app.version, extensions=["binary_tensor_data"])


@router.get(
    "/health/live",
    response_model=InferenceReady,
    response_model_exclude_none=True,
    responses=inference_refuses(),
    summary="Is it alive?",
)
async def get_live() -> InferenceReady:
    """The process answers."""
    return InferenceReady(live=True)


@router.get(
    "/health/ready",
    response_model=InferenceReady,
    response_model_exclude_none=True,
    responses=inference_refuses(503),
    summary="Is it ready?",
)
async def get_ready(work: Work) -> InferenceReady:
    """The active releases are loaded."""
    work.check_ready()
    return InferenceReady(ready=True)


@router.get(
    "/models/{name}",
    response_model=InferenceModel,
    response_model_exclude_none=True,
    responses=inference_refuses(404),
    summary="Show a model",
)
@router.get(
    "/models/{name}/versions/{version}",
    response_model=InferenceModel,
    response_model_exclude_none=True,
    responses=inference_refuses(404),
    summary="Show a version of a model",
    name="get_inference_model_version",
)
async def get_inference_model(work: Work, name: str, version: str = "") -> dict[str, Any]:
    """The tensors that the release in service under a name takes and gives; its id is the version."""
    serving = _serving(work, name, version)
    inputs, outputs = tensors.described(serving.release.schema)
    return {"name": name, "versions": [serving.id], "platform": "ruleedit", "inputs": inputs, "outputs": outputs}


@router.get(
    "/models/{name}/ready",
    response_model=InferenceReady,
    response_model_exclude_none=True,
    responses=inference_refuses(404),
    summary="Is a model ready?",
)
@router.get(
    "/models/{name}/versions/{version}/ready",
    response_model=InferenceReady,
    response_model_exclude_none=True,
    responses=inference_refuses(404),
    summary="Is a version of a model ready?",
    name="get_inference_model_version_ready",
)
async def get_inference_model_ready(work: Work, name: str, version: str = "") -> InferenceReady:
    """A release is in service under the name."""
    return InferenceReady(name=_serving(work, name, version).name, ready=True)


@router.post(
    "/models/{name}/infer",
    response_class=Response,
    openapi_extra=BODY,
    responses={**ANSWER, **inference_refuses(404, 413, 415, 503)},
    summary="Decide tensors",
)
@router.post(
    "/models/{name}/versions/{version}/infer",
    response_class=Response,
    openapi_extra=BODY,
    responses={**ANSWER, **inference_refuses(404, 413, 415, 503)},
    summary="Decide tensors by a version",
    name="infer_version",
)
async def infer(request: Request, name: str, version: str = "") -> Response:
    """Decide rows: one tensor for each feature, of shape [n] or [n, 1].

    Numbers are FP64 (or any numeric type), categories BYTES, booleans BOOL. Missing is NaN, an empty
    BYTES element, or null. `probabilities` are in the order of `classes` in the model's metadata.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise MediaRefused("the body is compressed; an uncompressed one is accepted")
    _serving(request.app.state.workspace, name, version)
    asked = tensors.read(await request.body(), request.headers.get(LENGTH))
    answered = await decided(request, name, asked.rows)
    serving = answered.serving
    head = {"model_name": name, "model_version": serving.id, "parameters": {"revision": serving.revision or ""}}
    body, length = tensors.answer(asked, answered.decisions, serving.release.schema, head)
    if length is None:
        return Response(body, media_type="application/json")
    return Response(body, media_type="application/octet-stream", headers={LENGTH: str(length)})


def _serving(work: Workspace, name: str, version: str) -> Serving:
    found = work.scoring.get(name)
    if version not in ("", found.id):
        raise NothingActive(version)
    return found
