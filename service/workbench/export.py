"""The exports: one rule set in the formats of other tools."""

from __future__ import annotations

import asyncio

from nicegui import ui

from ruleedit.errors import RuleEditError
from ruleedit.formats import EXPORTS
from service.workbench.frame import Place, framed
from service.workbench.handover import Handover
from service.workbench.tags import Tag, button

WHAT = {
    "json": ("Rules and history, lossless", "json"),
    "trxf": ("AIX360's technical rule exchange format", "json"),
    "pmml": ("PMML 4.4 RuleSetModel, first match wins", "pmml"),
    "dmn": ("DMN 1.3 decision table, hit policy FIRST", "dmn"),
    "dmn-xlsx": ("The decision table in Excel", "xlsx"),
    "jdm": ("GoRules JSON decision model", "json"),
    "sql": ("A SELECT with CASE", "sql"),
    "python": ("One pure function without imports", "py"),
    "csv": ("One line a rule", "csv"),
    "html": ("A report for people, to read or print", "html"),
}


def build(place: Place) -> None:
    """Draw the page."""
    with framed(place, "Export"):
        Tag("h1", "Export")
        Handover(place).build()
        Tag("h2", "This revision for other tools")
        Tag("p", "Each file says exactly what the rules say; what a format can't say is refused by name.", "quiet")
        for form in EXPORTS:
            said, suffix = WHAT.get(form, ("", form))
            with Tag("div", look="re-card", style="display:flex;gap:16px;align-items:center"):
                with Tag("div", style="flex:1"):
                    Tag("b", form)
                    Tag("div", said, "quiet")
                    problem = Tag("div", "", "re-problem", role="alert")
                button(
                    "Download",
                    lambda form=form, suffix=suffix, problem=problem: _download(place, form, suffix, problem),
                    aria_label=f"Download {form}",
                )


async def _download(place: Place, form: str, suffix: str, problem: Tag) -> None:
    problem.say("")
    try:
        content, media = await asyncio.to_thread(place.workspace.export, place.record.id, form, place.draft.revision)
    except RuleEditError as refused:
        problem.say(str(refused))
        return
    whole = content if isinstance(content, bytes) else content.encode()
    ui.download.content(whole, f"rules-{place.draft.revision[:8]}.{suffix}", media)
