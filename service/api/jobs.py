"""Jobs: long work, asked for by other routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from sse_starlette import EventSourceResponse

from service.api.bodies import JobBody, PageOf
from service.api.common import ONCE, Asking, By, Work, refuses
from service.store.records import FINISHED
from service.workspace import Workspace

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
#: Seconds in which a stream ends by itself, whole, when the service is stopped; then it is cut off.
STREAM_GRACE = 2.0


@router.get("", response_model=PageOf[JobBody], responses=refuses(), summary="List jobs")
def list_jobs(work: Work, page: Asking) -> dict[str, Any]:
    """The jobs, newest first."""
    return work.jobs(page)


@router.get("/{job}", response_model=JobBody, responses=refuses(404), summary="Show a job")
def get_job(work: Work, job: str) -> dict[str, Any]:
    """A job as it stands."""
    return work.job(job)


@router.post(
    "/{job}/cancel",
    response_model=JobBody,
    dependencies=ONCE,
    responses=refuses(404, 409),
    summary="Cancel a job",
)
def cancel_job(work: Work, by: By, job: str) -> dict[str, Any]:
    """Cancel a job: a queued one at once, a running one stops at its next step."""
    return work.cancel(job, by=by)


@router.get(
    "/{job}/events",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "The job each time it changes, as server-sent events named `job`, until it has ended.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **refuses(404),
    },
    summary="Follow a job",
)
async def follow_job(work: Work, job: str) -> EventSourceResponse:
    """Server-sent events: the job each time it changes, until it has ended or the service is stopped."""
    first = await run_in_threadpool(work.job, job)
    stopping = anyio.Event()
    changes = _changes(work, first, stopping)
    return EventSourceResponse(changes, shutdown_event=stopping, shutdown_grace_period=STREAM_GRACE)


async def _changes(work: Workspace, job: dict[str, Any], stopping: anyio.Event) -> AsyncIterator[dict[str, str]]:
    told: dict[str, Any] | None = None
    while True:
        if job != told:
            yield {"event": "job", "data": json.dumps(job)}
            told = job
        if job["state"] in FINISHED or stopping.is_set():
            return
        await asyncio.sleep(work.settings.progress_seconds)
        job = await run_in_threadpool(work.job, job["id"])
