"""The pages without a browser: NiceGUI's simulated user on the very application, in its own process and loop.

NiceGUI's ready-made fixture is made for an application that is a script: it takes the modules of the pages out of
`sys.modules` when it ends, and with them this service's. So its `User` is used here on the application as it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from nicegui import ui
from nicegui.functions.download import download
from nicegui.functions.navigate import Navigate
from nicegui.functions.notify import notify
from nicegui.testing import User

from ruleedit.matching import region_mask
from ruleedit.regions import Region, rule_box
from service.app import create_app
from service.counterexamples import as_record
from service.people import Person
from service.workspace import Page, Workspace
from tests.serving import local

ANA = Person("ana", frozenset({"analyst", "approver", "auditor"}), "local")
Story: TypeAlias = Callable[[User], Coroutine[Any, Any, None]]


class Stage:
    """The service with its example, and somebody who looks at its pages, in one event loop."""

    def __init__(self, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self._app = create_app(local(folder, workbench=True, demo=True))
        self._living = self._app.router.lifespan_context(self._app)
        self._runner.run(self._living.__aenter__())
        self._runner.run(self._ready())

    @property
    def workspace(self) -> Workspace:
        """What the pages stand on."""
        found: Workspace = self._app.state.workspace
        return found

    def play(self, story: Story) -> None:
        """Let somebody do something on the pages."""
        self._runner.run(self._played(story))

    async def _played(self, story: Story) -> None:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            await story(User(client))

    async def _ready(self) -> None:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.05)

    def close(self) -> None:
        """Stop the service, and give NiceGUI back what the simulation put in its place."""
        self._runner.run(self._living.__aexit__(None, None, None))
        self._runner.close()
        ui.navigate, ui.notify, ui.download = Navigate(), notify, download


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The service with the ready example."""
    made = Stage(tmp_path_factory.mktemp("stage"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def ruleset(stage: Stage) -> str:
    """The example's rule set."""
    found: str = stage.workspace.rulesets(Page(1))["items"][0]["id"]
    return found


@pytest.mark.parametrize(
    ("room", "seen"),
    [
        ("rules", "rules describe the model"),
        ("conflicts", "0 conflicts to settle"),
        ("boundary", "Where the decision turns"),
        ("what-if", "or change its values below"),
        ("in-force", "Put in force"),
        ("history", "1 step"),
        ("audit", "Check the chain"),
        ("export", "Download json"),
        ("data", "income"),
        ("model", "gender"),
    ],
)
def test_each_page_says_what_it_is_for(stage: Stage, ruleset: str, room: str, seen: str) -> None:
    """It is built without an error, and has what people come for."""

    async def story(user: User) -> None:
        await user.open(f"/r/{ruleset}/{room}")
        await user.should_see(seen, retries=50)

    stage.play(story)


def test_the_start_shows_the_projects(stage: Stage) -> None:
    """The example is there, and a place for a file."""

    async def story(user: User) -> None:
        await user.open("/")
        await user.should_see("Edit the rules of a model")
        await user.should_see("loans")

    stage.play(story)


@pytest.mark.parametrize("where", ["/r/nothing/rules", "/r/{ruleset}/nowhere"])
def test_what_is_not_there_says_so_and_where_to_go(stage: Stage, ruleset: str, where: str) -> None:
    """A page in words and not a bare status."""

    async def story(user: User) -> None:
        await user.open(where.format(ruleset=ruleset))
        await user.should_see("To the start")

    stage.play(story)


def test_a_table_that_takes_long_to_read_is_waited_for_with_a_word(
    stage: Stage, ruleset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits is told for what; then the page comes by itself."""
    monkeypatch.setattr("service.workbench.PATIENCE", 0.0)
    slow = Workspace.open

    def slowly(self: Workspace, name: str, revision: str | None = None) -> Any:
        time.sleep(0.3)
        return slow(self, name, revision)

    monkeypatch.setattr(Workspace, "open", slowly)

    async def story(user: User) -> None:
        await user.open(f"/r/{ruleset}/rules")
        await user.should_see("The table is being read.")
        monkeypatch.setattr("service.workbench.PATIENCE", 60.0)
        await user.should_see("rules describe the model", retries=100)

    stage.play(story)


def test_a_counterexample_stands_at_its_rule_and_in_the_history(stage: Stage, ruleset: str) -> None:
    """With who asked for what and why; taken back it stays in the history alone."""
    opened = stage.workspace.open(ruleset)
    rule = next(rule for rule in opened.draft.rules if rule.asserted)
    held = region_mask(Region.of(rule_box(rule, opened.draft.schema)), opened.table.rows, opened.draft.schema)
    row = as_record(opened.table.rows[held.argmax()], opened.draft.schema)
    kept = stage.workspace.counterexamples
    made = kept.mark(ruleset, rule.id, row, "deny", "too risky", by=ANA)

    async def story(user: User) -> None:
        await user.open(f"/r/{ruleset}/rules")
        await user.should_see("0 of 1 answered as asked")
        await user.should_see("too risky")
        await user.open(f"/r/{ruleset}/what-if?case={made['id']}")
        await user.should_see("is wrong here", retries=50)
        await user.open(f"/r/{ruleset}/history")
        await user.should_see("the draft says approve")
        kept.withdraw(ruleset, made["id"], "no longer", by=ANA)
        await user.open(f"/r/{ruleset}/history")
        await user.should_see("taken back")
        await user.open(f"/r/{ruleset}/rules")
        await user.should_not_see("too risky")

    stage.play(story)


def test_pages_of_a_rule_set_share_one_look_at_its_table(stage: Stage, ruleset: str) -> None:
    """However many are open, the table's bits are in memory once."""
    opened = stage.workspace.open(ruleset)
    first = stage.workspace.lens(opened)

    async def story(user: User) -> None:
        await user.open(f"/r/{ruleset}/rules")
        await user.should_see("rules describe the model")

    stage.play(story)
    stage.play(story)
    assert stage.workspace.lens(stage.workspace.open(ruleset)) is first


def test_of_many_rules_few_are_drawn(stage: Stage, ruleset: str) -> None:
    """The page is as large as what can be looked at, not as the rule set."""
    opened = stage.workspace.open(ruleset)
    texts = [f"new IF income between {9_000 + 20 * at} and {9_019 + 20 * at} THEN deny" for at in range(150)]
    stage.workspace.edit(ruleset, opened.draft.revision, texts, reason="many", by=ANA)
    sizes = []

    async def story(user: User) -> None:
        client = await user.open(f"/r/{ruleset}/rules")
        await user.should_see("rules describe the model")
        sizes.append(len(client.elements))

    stage.play(story)
    steps = ["undo"] * 150
    stage.workspace.edit(ruleset, "*", steps, reason="no more", by=ANA)
    stage.play(story)
    assert sizes[0] < 2_500
    assert sizes[0] < 5 * sizes[1]
