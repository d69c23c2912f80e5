"""The workbench: pages over the workspace, in the same application; they keep nothing of their own.

NiceGUI has one application a process, so one service a process has a workbench.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from nicegui import core, ui
from starlette.routing import Match, Mount
from starlette.types import Scope

from ruleedit.errors import RuleEditError
from service.auth.sessions import is_page
from service.errors import UnknownRuleSet
from service.settings import Settings
from service.workbench import audit, boundary, conflicts, export, history, inforce, sources, start, whatif
from service.workbench.actor import Actor
from service.workbench.frame import Place, plain
from service.workbench.rules import RulesPage
from service.workbench.tags import empty, link
from service.workspace import Opened, Workspace

#: Seconds after which somebody who waits for a page is told why.
PATIENCE = 1.0
#: Seconds that a page has to be drawn: a busy machine is slow, not broken.
LONGEST = 60.0
#: The pages of a rule set by the end of their address.
ROOMS: dict[str, Callable[[Place], Awaitable[None] | None]] = {
    "rules": lambda place: RulesPage(place).build(),
    "conflicts": conflicts.build,
    "boundary": boundary.build,
    "what-if": whatif.build,
    "in-force": inforce.build,
    "history": history.build,
    "audit": audit.build,
    "export": export.build,
    "data": sources.build_data,
    "model": sources.build_model,
}


def install(app: FastAPI, settings: Settings) -> None:
    """Add the pages to the application; they take the workspace that it has when they are asked for."""

    def workspace() -> Workspace:
        found: Workspace = app.state.workspace
        return found

    @ui.page("/")
    def first(request: Request) -> None:
        start.build(workspace(), Actor.of(app, settings, request))

    @ui.page("/r/{ruleset}")
    def ruleset_page(ruleset: str) -> RedirectResponse:
        return RedirectResponse(f"/r/{ruleset}/rules")

    @ui.page("/r/{ruleset}/{room}", response_timeout=LONGEST)
    async def room_page(request: Request, ruleset: str, room: str) -> None:
        actor = Actor.of(app, settings, request)
        build = ROOMS.get(room)
        if build is None:
            _missing(actor, str(UnknownRuleSet(room)))
            return
        # In a thread: the first look at a large table takes seconds, and decisions don't wait for it.
        opening = asyncio.create_task(asyncio.to_thread(_opened, workspace(), ruleset, room))
        done, _ = await asyncio.wait({opening}, timeout=PATIENCE)
        if not done:
            await _awaited(actor, opening)
            return
        try:
            place = Place(workspace(), opening.result(), actor, dict(request.query_params))
        except RuleEditError as problem:
            _missing(actor, str(problem))
            return
        drawn = build(place)
        if drawn is not None:
            await drawn

    ui.run_with(
        app,
        title="RuleEdit",
        dark=None,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=30,
    )
    # NiceGUI takes every path that is left; what isn't a page of ours stays the API's to refuse.
    app.router.routes[-1] = _Pages("/", app=core.app)


def _opened(workspace: Workspace, ruleset: str, room: str) -> Opened:
    """A rule set with what its page reads; raises `UnknownRuleSet`."""
    opened = workspace.open(ruleset)
    if room in ("rules", "what-if"):
        workspace.lens(opened).decided(opened.draft)
    return opened


def _missing(actor: Actor, problem: str) -> None:
    """Say that there is no such page, and where to go."""
    with plain("Not found", actor):
        empty(problem, "It may have been another data folder's.")
        link("To the start", "/")


async def _awaited(actor: Actor, opening: asyncio.Task[Opened]) -> None:
    """Say that a large table is being read, and show the page when it is."""
    with plain("Opening", actor):
        empty("The table is being read.", "Once after each start; a million rows take some seconds.")
    client = ui.context.client
    await client.connected(timeout=60)
    await asyncio.wait({opening})
    with client:
        ui.navigate.reload()


class _Pages(Mount):
    """NiceGUI's application, for the paths of the pages alone."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the pages and what they load."""
        path = scope.get("path", "")
        if is_page(path) or path == "/favicon.ico":
            return super().matches(scope)
        return Match.NONE, {}
