"""Operation: health, readiness, metrics, the description and its page, the first page."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse

from service.api import pages
from service.api.bodies import Health
from service.api.common import Work, refuses
from service.telemetry import metrics
from service.workspace import Page

router = APIRouter(tags=["operation"])
#: The first page where no workbench is.
landing = APIRouter(tags=["operation"])
#: No page of ours loads or runs anything.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@router.get(
    "/healthz", response_model=Health, response_model_exclude_none=True, responses=refuses(), summary="Is it alive?"
)
async def get_health() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get(
    "/readyz", response_model=Health, response_model_exclude_none=True, responses=refuses(503), summary="Is it ready?"
)
async def get_readiness(work: Work) -> Health:
    """The active releases are loaded and, with --demo, the example is there."""
    work.check_ready()
    return Health(status="ok", notice=work.settings.notice or None)


@router.get("/metrics", response_class=PlainTextResponse, responses=refuses(), summary="Counters as Prometheus text")
def get_metrics(request: Request) -> PlainTextResponse:
    """Requests and latency by route, decisions by rule and outcome, flips, drift, jobs by state."""
    return PlainTextResponse(request.app.state.metrics.text(), media_type=metrics.MEDIA)


@router.get("/docs", response_class=HTMLResponse, responses=refuses(), summary="The API for people")
def get_docs(work: Work, request: Request) -> HTMLResponse:
    """Every route with its parameters, bodies and a curl line; loads nothing from elsewhere."""
    base = str(request.base_url).rstrip("/")
    return HTMLResponse(pages.docs(request.app.openapi(), base, work.settings.notice), headers=HEADERS)


@landing.get("/", response_class=HTMLResponse, responses=refuses(), summary="The first page")
def get_first_page(work: Work, request: Request) -> HTMLResponse:
    """What is there, with links and curl lines; where the workbench is served, it is the first page instead."""
    few = Page(20)
    lists = {
        "datasets": work.datasets(few)["items"],
        "models": work.models(few)["items"],
        "rulesets": work.rulesets(few)["items"],
        "releases": work.releases(few)["items"],
    }
    base = str(request.base_url).rstrip("/")
    return HTMLResponse(pages.first(lists, base, work.settings.notice), headers=HEADERS)
