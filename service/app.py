"""The parts put together: `create_app(settings)`."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import Route

from ruleedit.errors import RuleEditError
from service import demo
from service.api import (
    audit,
    datasets,
    decisions,
    inference,
    invocations,
    jobs,
    keys,
    models,
    operations,
    releases,
    rulesets,
    sign_in,
    trials,
)
from service.api.access import OPERATION, PAGES, TABLE
from service.api.bodies import (
    DecisionsAsked,
    DecisionsBody,
    InferenceAsked,
    InferenceBody,
    InferenceError,
    InvocationAsked,
    ModelAsked,
    PredictionsBody,
)
from service.api.examples import illustrate
from service.auth.access import Access
from service.auth.sessions import Sessions
from service.auth.tokens import Tokens
from service.gate import Gate, problems
from service.gate.problems import Problem
from service.jobs import Watch
from service.settings import Settings
from service.store.repository import now, random_id
from service.store.seam import Storage, real_storage
from service.telemetry.metrics import Metrics
from service.workspace import Workspace

log = logging.getLogger(__name__)
DESCRIPTION = (
    "Edit the rules of a tabular model, see who is affected, and put the edit in force. Errors are "
    "application/problem+json with a stable code. Long work answers 202 with the Location of a job. "
    "Writes to a rule set need If-Match with the ETag that was read. Every request but for health needs "
    "`Authorization: Bearer` with a key or a token, unless the service runs as a demo on this machine."
)
#: Those of decisions first: the router looks at one after another.
ROUTERS = (
    decisions,
    inference,
    invocations,
    datasets,
    models,
    rulesets,
    releases,
    trials,
    jobs,
    keys,
    audit,
    operations,
)
#: Bodies that routes name by reference alone.
NAMED = (
    Problem,
    ModelAsked,
    DecisionsAsked,
    DecisionsBody,
    InferenceAsked,
    InferenceBody,
    InferenceError,
    InvocationAsked,
    PredictionsBody,
)


def create_app(
    settings: Settings,
    *,
    clock: Callable[[], datetime] = now,
    new_id: Callable[[str], str] = random_id,
    new_admin_key: bool = False,
    announce: Callable[[str], None] = log.warning,
    storage: Storage = real_storage,
    request_log: Callable[[bytes], object] | None = None,
) -> FastAPI:
    """The application over one data folder, which it opens when it starts and lets go of when it stops.

    ``announce`` is told the first admin key when there is none yet, or where ``new_admin_key`` asks for one.
    ``request_log`` is given a line for each request.
    """

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        workspace = await run_in_threadpool(lambda: Workspace(settings, clock=clock, new_id=new_id, storage=storage))
        app.state.workspace = workspace
        app.state.metrics.watch(workspace.metrics)
        if settings.authentication:
            key = await run_in_threadpool(lambda: workspace.keys.bootstrap(again=new_admin_key))
            if key is not None:
                announce(key)
        watch = Watch(lambda done, of: None, settings.progress_seconds)
        starting = threading.Thread(target=_start, args=(workspace, watch), name="start")
        starting.start()
        if settings.shared:
            # Others serve meanwhile: a process that can't decide yet listens to nobody.
            await run_in_threadpool(starting.join)
        try:
            yield
        finally:
            watch.stop()
            await run_in_threadpool(starting.join)
            await run_in_threadpool(workspace.close)

    app = FastAPI(
        title="RuleEdit",
        version=version("ruleedit"),
        description=DESCRIPTION,
        lifespan=living,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.state.metrics = Metrics()
    app.state.tokens = Tokens(settings, clock)
    app.state.sessions = Sessions(clock)
    table = TABLE if settings.api else OPERATION
    access = Access(table | PAGES if settings.workbench else table)
    app.add_middleware(Gate, settings=settings, access=access, metrics=app.state.metrics, log=request_log)
    problems.install(app)
    if settings.api:
        # The same function as in the router of decisions, which describes it, without the framework's reading of it.
        app.router.routes.append(Route("/v1/decisions/{name}", decisions.decide, methods=["POST"]))
    for room in ROUTERS if settings.api else (operations,):
        app.include_router(room.router)
    if settings.workbench:
        # NiceGUI is heavy, and has one application a process.
        from service import workbench

        app.include_router(sign_in.router)
        workbench.install(app, settings)
    else:
        app.include_router(operations.landing)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def _start(workspace: Workspace, watch: Watch) -> None:
    try:
        workspace.start()
    except RuleEditError as problem:
        log.exception("the active releases can't be loaded")
        workspace.say_ready(f"the active releases can't be loaded: {problem}")
        return
    if workspace.settings.demo:
        workspace.say_ready("the example is being made")
        demo.prepare(workspace, watch)
    else:
        workspace.say_ready()


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the bodies that routes name by reference."""
    if app.openapi_schema is None:
        described = get_openapi(
            title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, openapi_version="3.1.0"
        )
        schemas = described["components"]["schemas"]
        for kind in NAMED:
            schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[kind.__name__] = schema
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        _secured(described)
        illustrate(described)
        app.openapi_schema = described
    return app.openapi_schema


def _secured(described: dict[str, Any]) -> None:
    """Say which operations need a key or a token, and for which roles."""
    described["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key, from POST /v1/keys."},
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An OIDC issuer's token."},
    }
    for path, verbs in described["paths"].items():
        for verb, operation in verbs.items():
            roles = TABLE.get(f"{verb.upper()} {path}", ())
            operation["security"] = [] if roles is None else [{"key": []}, {"token": []}]
            who = "anybody" if roles is None else ", ".join(sorted(roles)) or "nobody"
            operation["description"] = f"{operation.get('description', '')} For: {who}."


def _operation_id(route: APIRoute) -> str:
    return route.name
