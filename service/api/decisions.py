"""Decisions: what an active release answers, with reasons."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from service.api.bodies import DecisionsAsked
from service.api.common import JSON_BODY, Work, refuses
from service.errors import TooLarge
from service.metrics import Metrics

router = APIRouter(prefix="/v1/decisions", tags=["decisions"])


@router.post(
    "/{name}",
    dependencies=JSON_BODY,
    response_class=Response,
    responses={
        200: {
            "description": "One decision for each row.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DecisionsBody"}}},
        },
        **refuses(400, 404, 413, 415),
    },
    summary="Decide rows",
)
async def decide(work: Work, name: str, asked: DecisionsAsked, request: Request) -> Response:
    """Decide rows by the active release of a name; at most 10,000 in one request, and 1 MiB of JSON.

    The answer is checked against its description by the tests, not at each request.
    """
    if len(asked.rows) > work.settings.most_rows:
        raise TooLarge(f"{len(asked.rows)} rows were given; at most {work.settings.most_rows} are accepted")
    serving = work.serving(name)
    if len(asked.rows) <= work.settings.inline_rows:
        decisions = serving.decide(asked.rows)
    else:
        decisions = await run_in_threadpool(serving.decide, asked.rows)
    metrics: Metrics = request.app.state.metrics
    metrics.count_decisions(name, serving.id, (decision.outcome for decision in decisions))
    body = {"release": serving.id, "decisions": [decision.to_json() for decision in decisions]}
    return Response(json.dumps(body, allow_nan=False), media_type="application/json")
