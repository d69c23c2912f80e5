"""The first page: what there is to work on, and how to begin with one's own table or model."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nicegui import ui
from nicegui.events import UploadEventArguments

from ruleedit.datasets import loans
from ruleedit.errors import RuleEditError
from service.errors import StateRefused
from service.store.records import FINISHED
from service.workbench import words
from service.workbench.actor import Actor
from service.workbench.course import Course
from service.workbench.frame import plain
from service.workbench.review import SchemaReview
from service.workbench.tags import Tag, button, choice, empty, link
from service.workspace import Page, Workspace

FEW, SOME = Page(100), Page(2)
#: The routes of the API whose roles these steps need.
UPLOAD, TRAIN, EXTRACT = "POST /v1/datasets", "POST /v1/models", "POST /v1/rulesets"
CANCEL = "POST /v1/jobs/{job}/cancel"
#: Rows of the example: enough for a model that is worth editing, read in a moment.
EXAMPLE_ROWS = 4_000
#: Clauses that a first rule set may have: one screen of rules.
CLAUSES = 24


def build(workspace: Workspace, actor: Actor) -> None:
    """Draw the page."""
    with plain("Start", actor), Tag("div", style="max-width:1100px;margin:0 auto"):
        Tag("h1", "Edit the rules of a model")
        Tag("p", "Upload a table, train or bring a model, read it as a few rules, and change them.", "quiet")
        if len(workspace.rulesets(SOME)["items"]) > 1:
            link("A new rule set…", "#new")
        _rule_sets(workspace)
        New(workspace, actor).build()


def _rule_sets(workspace: Workspace) -> None:
    Tag("h2", "Rule sets")
    found = workspace.rulesets(FEW)["items"]
    if not found:
        empty("There is no rule set yet.", "Begin with a table below, your own or the example.")
        return
    models = {model["id"]: model for model in workspace.models(FEW)["items"]}
    active = {one["ruleset"]: one for one in workspace.releases(FEW)["items"] if one["state"] == "active"}
    for item in found:
        model = models.get(item["model"], {})
        with Tag("div", look="re-card", style="display:flex;gap:16px;align-items:center;flex-wrap:wrap"):
            with Tag("div", style="flex:1;min-width:220px"):
                link(item["name"], f"/r/{item['id']}/rules", style="font-weight:700")
                said = f"predicts {words.name(model.get('target', ''))} · revision {item['revision'][:8]}"
                Tag("div", f"{said} · made {item['created'][:16].replace('T', ' ')} UTC", "quiet small")
            if item["id"] in active:
                Tag("span", f"in service as {active[item['id']]['name']}", "re-tag new")
            link("Open", f"/r/{item['id']}/rules", "re-button", aria_label=f"Open {item['name']}")


@dataclass
class New:
    """From a table to a rule set: upload, look at the columns, train or bring a model, extract."""

    workspace: Workspace
    actor: Actor
    dataset: dict[str, Any] | None = None
    favourable: str = ""

    def build(self) -> None:
        """Draw what comes next."""
        Tag("h2", "A new rule set", id="new")
        if not self.actor.may(UPLOAD):
            told = "An admin makes a key for one by POST /v1/keys; the button API above leads to its description."
            empty("Tables and models are brought by analysts.", told)
            return
        with Tag("div", look="re-card"):
            known = self.workspace.datasets(FEW)["items"]
            with Tag("div", look="re-line re-files"):
                _file("Choose a table, CSV or Parquet…", ".csv,.parquet", self._uploaded, "re-button first")
                if known:
                    tables = [(one["id"], f"{one['name']} ({words.count(one['rows'])} rows)") for one in known]
                    first = ("", "or one that is here already")
                    choice([first, *tables], "", self._taken, aria_label="A table that is here already")
                else:
                    button("or take the example: loan applications", self._example)
            Tag(
                "p",
                "A line for each row, a column for what the model predicts, the columns' names in the first line.",
                "quiet",
            )
            self.problem = Tag("p", "", "re-problem", role="alert")
            self.more = Tag("div")

    async def _uploaded(self, event: UploadEventArguments) -> None:
        name = event.file.name
        suffix = ".parquet" if name.lower().endswith(".parquet") else ".csv"
        await self._add(await event.file.read(), name, suffix)

    async def _example(self) -> None:
        """Take the built-in table, as if somebody had chosen it as a file."""
        table = await asyncio.to_thread(loans, EXAMPLE_ROWS)
        await self._add(table.to_csv(index=False).encode(), "loans.csv", ".csv")

    async def _add(self, content: bytes, name: str, suffix: str) -> None:
        self.problem.say("")
        self.more.clear()
        with self.more:
            Tag("p", f"Reading {name}…", "quiet", role="status")
        try:
            by = self.actor.acting(UPLOAD)
            made = await asyncio.to_thread(self.workspace.add_dataset, io.BytesIO(content), name, suffix, by=by)
        except RuleEditError as problem:
            self.more.clear()
            self.problem.say(str(problem))
            return
        await self._review(made)

    async def _taken(self, dataset: str) -> None:
        if dataset:
            await self._review(self.workspace.dataset(dataset))

    async def _review(self, dataset: dict[str, Any]) -> None:
        """Show the columns as they were read, and ask which one the model predicts."""
        self.dataset = dataset
        self.problem.say("")
        self.more.clear()
        columns = dataset["columns"]
        self.columns = SchemaReview(self.workspace, dataset, self._classes)
        with self.more:
            Tag("p", f"{dataset['name']}: {words.count(dataset['rows'])} rows, {len(columns)} columns.")
            with Tag("div", look="re-line"):
                Tag("label", "The model predicts", for_="re-target")
                choice([(name, name) for name in columns], self.columns.target, self.columns.aim, id="re-target")
                self.wanted = Tag("span", look="re-line", style="margin:0")
            self.columns.build()
            with Tag("div", look="re-line"):
                button("Train a model and extract rules", self._train, "re-button first")
                _file("or bring a LightGBM model.txt…", ".txt", self._adopted, "re-button")
            self.progress = Tag("div", aria_live="polite")
        # Behind a long list of rule sets what was just chosen would be out of sight.
        ui.run_javascript("document.getElementById('new').scrollIntoView()")
        await self.columns.load()

    def _classes(self, classes: list[str]) -> None:
        """Ask which outcome people want, which the sensitive columns' groups are compared by."""
        self.favourable = self.favourable if self.favourable in classes else ""
        self.wanted.clear()
        if classes:
            with self.wanted:
                Tag("label", "and people want", for_="re-wanted")
                named = [(name, f"{words.shape(at)} {name}") for at, name in enumerate(classes)]
                choice([("", "(nobody said)"), *named], self.favourable, self._want, id="re-wanted")

    def _want(self, name: str) -> None:
        self.favourable = name

    async def _asked(self) -> dict[str, Any] | None:
        """What was corrected and marked, for a training; None where something is in the way, which is said."""
        try:
            schema = await self.columns.whole()
            groups = self.columns.groups(self.favourable)
        except RuleEditError as problem:
            self.problem.say(str(problem))
            return None
        if schema is None:
            return None
        self.problem.say("")
        return {"schema": schema if self.columns.changed else None, "groups": groups}

    async def _train(self) -> None:
        asked = await self._asked()
        if asked is not None and self.dataset is not None:
            given = (self.dataset["id"], self.columns.target)
            await self._follow("Training a model", self.workspace.train, *given, **asked)

    async def _adopted(self, event: UploadEventArguments) -> None:
        content = io.BytesIO(await event.file.read())
        asked = await self._asked()
        if asked is not None and self.dataset is not None:
            given = (content, self.dataset["id"], self.columns.target)
            await self._follow("Checking the model", self.workspace.adopt, *given, **asked)

    async def _follow(self, said: str, submit: Callable[..., Any], *given: Any, **more: Any) -> None:
        result = await self._done(said, TRAIN, submit, *given, **more)
        if result is not None:
            found = await self._done(
                "Extracting rules", EXTRACT, self.workspace.extract, result["model"], max_clauses=CLAUSES
            )
            if found is not None:
                ui.navigate.to(f"/r/{found['ruleset']}/rules")

    async def _done(
        self, said: str, route: str, submit: Callable[..., Any], *given: Any, **more: Any
    ) -> dict[str, Any] | None:
        """Run a job and show how far it is; its result, or None where it failed or was cancelled."""
        try:
            job = await asyncio.to_thread(submit, *given, by=self.actor.acting(route), **more)
        except RuleEditError as problem:
            self.problem.say(str(problem))
            return None
        return await watched(self.workspace, self.actor, job["id"], said, self.progress, self.problem)


async def watched(
    workspace: Workspace, actor: Actor, job: str, said: str, where: Tag, problem: Tag
) -> dict[str, Any] | None:
    """Show a job's progress and its rounds, with a way to cancel it, until it has ended; its result, or None."""

    def cancel() -> None:
        with contextlib.suppress(StateRefused):
            workspace.cancel(job, by=actor.acting(CANCEL))

    where.clear()
    with where, Tag("div", look="re-line"):
        Tag("span", said)
        line = ui.linear_progress(value=0, show_value=False).props(f'aria-label="{said}"').style("width:220px")
        count = Tag("span", "", "quiet small")
        button("Cancel", cancel)
    with where:
        course = Course()
    while True:
        found = await asyncio.to_thread(workspace.job, job)
        done, of = found["progress"]["done"], found["progress"]["of"]
        line.set_value(done / of if of else 0)
        told = "waiting for its turn" if found["state"] == "queued" else "under way"
        count.say(f"{words.count(done)} of {words.count(of)}" if of else told)
        course.show(found["course"])
        if found["state"] in FINISHED:
            break
        await asyncio.sleep(0.2)
    where.clear()
    if found["state"] == "failed":
        problem.say(found["error"].get("detail") or found["error"].get("title") or "It failed.")
    elif found["state"] == "cancelled":
        problem.say("Cancelled; nothing was made.")
    result: dict[str, Any] | None = found["result"]
    return result


def _file(text: str, accepted: str, arrived: Callable[[UploadEventArguments], Any], look: str) -> None:
    """A button that asks for a file and sends it as soon as it is chosen."""
    upload = ui.upload(on_upload=arrived, auto_upload=True).props(f'accept="{accepted}"').style("display:none")
    made = Tag("button", text, look, type="button")
    # In the browser: a file dialog opens only at somebody's own press.
    made.on("click", js_handler=f"() => document.querySelector('#c{upload.id} input[type=file]').click()")
