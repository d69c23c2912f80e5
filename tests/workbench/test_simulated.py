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

from ruleedit.conflicts import open_conflicts
from ruleedit.matching import region_mask
from ruleedit.regions import Region, rule_box
from service.app import create_app
from service.people import Person
from service.workspace import Page, Workspace
from service.workspace.counterexamples import as_record
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


@pytest.fixture
def own(stage: Stage) -> Iterator[str]:
    """The example's rule set, as it was again when the test has ended."""
    found: str = stage.workspace.rulesets(Page(1))["items"][0]["id"]
    before = len(stage.workspace.history(found)["history"])
    yield found
    steps = len(stage.workspace.history(found)["history"]) - before
    if steps:
        edit(stage, found, *["undo"] * steps)


def edit(stage: Stage, ruleset: str, *edits: str) -> None:
    """Edit the rule set as somebody else would."""
    stage.workspace.edit(ruleset, "*", edits, reason="policy", by=ANA)


def where(user: User, text: str) -> str:
    """Where a link with this text leads."""
    (found,) = user.find(text).elements
    return str(found.props["href"])


def test_rules_in_conflict_lead_to_where_it_is_settled(stage: Stage, own: str) -> None:
    """From the tag beside the rule, from the impact, and from two revisions that can't be compared before."""
    edit(stage, own, "new IF age < 40 THEN approve", "new IF income < 50000 THEN deny")

    async def story(user: User) -> None:
        await user.open(f"/r/{own}/rules")
        await user.should_see("rows lie in conflicts that nobody has settled", retries=50)
        assert where(user, "Settle them") == f"/r/{own}/conflicts"
        tags = user.find("conflicts with").elements
        assert {str(one.props["href"]) for one in tags} == {f"/r/{own}/conflicts"}
        await user.open(f"/r/{own}/history")
        user.find("What do they decide differently?").click()
        await user.should_see("To the conflicts", retries=50)
        assert where(user, "To the conflicts") == f"/r/{own}/conflicts"

    stage.play(story)


def test_each_way_to_settle_names_the_rules_and_a_settled_conflict_says_how(stage: Stage, own: str) -> None:
    """In words, not in the strategies' names."""
    edit(stage, own, "new IF age < 40 THEN approve", "new IF income < 50000 THEN deny")
    draft = stage.workspace.open(own).draft
    pair = open_conflicts(draft.rules, draft.schema)[0].rules

    async def story(user: User) -> None:
        await user.open(f"/r/{own}/conflicts")
        await user.should_see("keeps these rows;", retries=50)
        stage.workspace.resolve(own, "*", pair, "priority", reason="age first", by=ANA)
        await user.open(f"/r/{own}/conflicts")
        await user.should_see("settled: the earlier rule wins", retries=50)
        await user.should_see("Settle it otherwise")

    stage.play(story)


def test_a_draft_without_an_edit_says_that_a_release_would_change_nothing(stage: Stage, own: str) -> None:
    """And leads to the rules; with an edit it doesn't."""

    async def story(user: User) -> None:
        await user.open(f"/r/{own}/in-force")
        await user.should_see("made in a moment, no training", retries=50)
        await user.should_not_see("Nothing is edited yet")
        history = stage.workspace.history(own)
        stage.workspace.restore(own, "*", history["first"], reason="as extracted", by=ANA)
        await user.open(f"/r/{own}/in-force")
        await user.should_see("Nothing is edited yet", retries=50)
        assert where(user, "To the rules") == f"/r/{own}/rules"

    edit(stage, own, "disable R1")
    stage.play(story)


def test_a_row_that_is_not_there_is_said_and_the_one_before_stays(stage: Stage, own: str) -> None:
    """With the rows that there are."""

    async def story(user: User) -> None:
        await user.open(f"/r/{own}/what-if?row=2")
        await user.should_see("How probable the model holds each outcome", retries=50)
        heard(user, "re-row", "change", "99999")
        await user.should_see("There is no row '99999'; give one from 1 to 4\u202f000.", retries=50)
        heard(user, "re-row", "change", "3")
        await user.should_not_see("There is no row", retries=50)

    stage.play(story)


def heard(user: User, name: str, event: str, value: str) -> None:
    """Let a field tell what was typed into it, as the browser does."""
    assert user.client is not None
    field: Any = next(one for one in user.client.elements.values() if one.props.get("id") == name)
    listener = next(one for one in field._event_listeners.values() if one.type == event)
    with user.client:
        field._handle_event({"listener_id": listener.id, "args": value, "client_id": user.client.id})


def test_a_rule_is_named_by_its_place_and_its_id(stage: Stage, own: str) -> None:
    """Bars, tags and edits speak of the id; a rule that is moved keeps it."""
    edit(stage, own, "move R3 before R1")
    names = [rule.id for rule in stage.workspace.open(own).draft.rules]

    async def story(user: User) -> None:
        await user.open(f"/r/{own}/rules")
        await user.should_see("rules describe the model", retries=50)
        await user.should_see("All 4\u202f000 rows of the table")
        assert user.client is not None
        cards = [one for one in user.client.elements.values() if one.props.get("data-rule")]
        assert [one.props["data-rule"] for one in cards] == names
        for at, card in enumerate(cards, start=1):
            said = [getattr(one, "_text", None) for one in card.descendants()]
            assert str(at) in said
            assert card.props["data-rule"] in said

    stage.play(story)


def test_the_sources_are_told_in_words_and_with_what_is_missing(stage: Stage, own: str) -> None:
    """Kinds as when the table was read, counts of missing values, figures without more digits than they deserve."""
    opened = stage.workspace.open(own)
    accuracy = opened.model.summary["holdout"]["accuracy"]

    async def story(user: User) -> None:
        await user.open(f"/r/{own}/data")
        await user.should_see("whole number", retries=50)
        await user.should_see("allowed (")
        await user.should_not_see("integer")
        await user.open(f"/r/{own}/model")
        await user.should_see(f"{100 * accuracy:.1f}%", retries=50)
        await user.should_see("area under the ROC curve")

    stage.play(story)
