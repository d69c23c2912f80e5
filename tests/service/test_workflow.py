"""The workflow of releases: who may approve, what serves, and what happens when a release expires."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.people import LOCAL
from service.settings import Settings
from tests.databases import database
from tests.serving import EDIT, ROW, TARGET, Api, guarding, local, make, serving_app, small_table
from tests.strategies import Dice

WITHOUT_JOB = ROW | {"job": None}
#: Every edit that the tests make; each changes the content.
EDITS = [f"new IF age < {age} AND income > {income} THEN yes" for age in range(21, 60) for income in (1_500, 2_000)]


class Clock:
    """A clock that goes on, and that a test can move on."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def text(self, **later: float) -> str:
        """A moment from now, as a body gives it."""
        return (self() + timedelta(**later)).isoformat()


@dataclass
class Bank:
    """A service that requires approval: its admin, three people who may both edit and approve, a client system."""

    admin: Api
    clock: Clock
    people: dict[str, Api]
    system: Api
    model: str
    count: int = 0

    def ruleset(self) -> str:
        """A new rule set, extracted by ana."""
        found: str = self.people["ana"].result("/v1/rulesets", {"model": self.model, "max_clauses": 6})["ruleset"]
        return found

    def edit(self, ruleset: str, who: str) -> None:
        """One edit of a person; each is another."""
        self.count += 1
        assert self.people[who].edit(ruleset, EDITS[self.count % len(EDITS)]).status_code == 200

    def released(self, ruleset: str, name: str, who: str = "ana", **more: Any) -> str:
        """A release that a person makes."""
        return self.people[who].released(ruleset, name, **more)

    def ask(self, who: str, release: str, action: str, **more: Any) -> httpx.Response:
        """Ask for a step of the workflow."""
        return self.people[who].post(f"/v1/releases/{release}/{action}", json={"reason": "test", **more})

    def approved(self, release: str, who: str) -> str:
        """Propose and approve a release."""
        assert self.ask("ana", release, "propose").status_code == 200
        response = self.ask(who, release, "approve")
        assert response.status_code == 200, response.text
        return release

    def activate(self, release: str) -> str:
        """Put it in service."""
        response = self.ask("ana", release, "activate")
        assert (response.status_code, response.json()["state"]) == (200, "active"), response.text
        return release

    def deciding(self, name: str) -> str | None:
        """The release that decides under a name now."""
        response = self.system.decide(name, WITHOUT_JOB)
        return response.json()["release"] if response.status_code == 200 else None

    def state(self, release: str) -> str:
        """A release's state."""
        found: str = self.people["ana"].get(f"/v1/releases/{release}").json()["state"]
        return found

    def events(self, subject: str) -> list[dict[str, Any]]:
        """The audit's events about something, oldest first."""
        found = self.people["ana"].get("/v1/audit", params={"subject": subject}).json()["items"]
        return list(reversed(found))


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)])
def bank(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """Such a service with a model, on either database."""
    clock, folder = Clock(), tmp_path_factory.mktemp("bank")
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(database(request.param, folder))
        url = str(where) if request.param == "postgresql" else ""
        settings = Settings(folder, progress_seconds=0.02, expiry_seconds=0.05, database=url)
        admin = stack.enter_context(guarding(create_app, settings, clock=clock))
        people = {name: admin.person(name, "analyst", "approver", "auditor") for name in ("ana", "ben", "cleo")}
        dataset = people["ana"].upload(small_table(200)).json()["id"]
        model = people["ana"].result("/v1/models", {"dataset": dataset, "target": TARGET})["model"]
        yield Bank(admin, clock, people, admin.person("system", "decision-client"), model)


def refused(response: httpx.Response, status: int, code: str) -> None:
    """Check a refusal."""
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


# --- from draft to service -------------------------------------------------------------------


def test_a_release_is_proposed_approved_and_activated(bank: Bank) -> None:
    """Each step with who did it; only then it decides."""
    ruleset = bank.ruleset()
    bank.edit(ruleset, "ana")
    release = bank.released(ruleset, "whole")
    assert bank.people["ana"].get(f"/v1/releases/{release}").json()["made_by"] == "ana"
    refused(bank.ask("ana", release, "activate"), 409, "approval-needed")
    proposed = bank.ask("ana", release, "propose").json()
    assert (proposed["state"], proposed["proposed_by"], proposed["approved_by"]) == ("proposed", "ana", None)
    refused(bank.ask("cleo", release, "activate"), 409, "approval-needed")
    assert bank.deciding("whole") is None
    approved = bank.ask("ben", release, "approve").json()
    assert (approved["state"], approved["approved_by"]) == ("approved", "ben")
    assert approved["approved"] is not None
    assert bank.deciding("whole") is None
    bank.activate(release)
    assert bank.deciding("whole") == release
    said = [(event["action"], event["actor"], event["reason"]) for event in bank.events(release)]
    assert said[1:] == [
        ("propose release", "ana", "test"),
        ("approve release", "ben", "test"),
        ("activate release", "ana", "test"),
    ]
    payload = bank.events(release)[-1]["payload"]
    assert (payload["made_by"], payload["proposed_by"], payload["approved_by"]) == ("ana", "ana", "ben")


def test_a_rejected_release_is_a_draft_again(bank: Bank) -> None:
    """It can be proposed again, and only what is proposed is rejected or approved."""
    ruleset = bank.ruleset()
    release = bank.released(ruleset, "rejected")
    for action in ("approve", "reject"):
        refused(bank.ask("ben", release, action), 409, "state-refused")
    assert bank.ask("ana", release, "propose").status_code == 200
    refused(bank.ask("ana", release, "propose"), 409, "state-refused")
    back = bank.ask("ben", release, "reject").json()
    assert (back["state"], back["proposed_by"]) == ("draft", None)
    bank.approved(release, "ben")
    refused(bank.ask("cleo", release, "approve"), 409, "state-refused")


def test_an_approval_is_taken_back_until_the_release_decides(bank: Bank) -> None:
    """Of a proposal too, by anybody who may switch releases; nothing serves then before it is approved anew."""
    ruleset = bank.ruleset()
    bank.edit(ruleset, "ben")
    release = bank.released(ruleset, "regretted")
    refused(bank.ask("ben", release, "withdraw"), 409, "state-refused")
    assert bank.ask("ana", release, "propose").status_code == 200
    assert bank.ask("ana", release, "withdraw").json()["state"] == "draft"
    bank.approved(release, "cleo")
    back = bank.ask("ben", release, "withdraw").json()
    assert [back[name] for name in ("state", "proposed_by", "approved_by", "approved")] == ["draft", None, None, None]
    refused(bank.ask("ana", release, "activate"), 409, "approval-needed")
    refused(bank.ask("ana", release, "canary", share=0.5), 409, "approval-needed")
    event = bank.events(release)[-1]
    assert (event["action"], event["actor"], event["payload"]["reverts"]) == ("take back release", "ben", "approved")
    bank.activate(bank.approved(release, "cleo"))
    refused(bank.ask("cleo", release, "withdraw"), 409, "state-refused")
    assert bank.deciding("regretted") == release


def test_an_approval_that_was_taken_back_begins_no_new_count_of_hands(bank: Bank) -> None:
    """Who edited before it counts again, as though nobody had approved."""
    ruleset = bank.ruleset()
    bank.edit(ruleset, "ben")
    first = bank.approved(bank.released(ruleset, "unapproved"), "cleo")
    second = bank.released(ruleset, "unapproved")
    assert bank.people["ana"].get(f"/v1/releases/{second}/approval").json()["hands"] == ["ana"]
    bank.ask("ana", first, "withdraw")
    assert bank.people["ana"].get(f"/v1/releases/{second}/approval").json()["hands"] == ["ana", "ben"]


def test_a_canary_is_ended_before_its_approval_is_taken_back(bank: Bank) -> None:
    """It decides in earnest."""
    ruleset = bank.ruleset()
    bank.activate(bank.approved(bank.released(ruleset, "tried"), "ben"))
    canary = bank.approved(bank.released(ruleset, "tried"), "ben")
    assert bank.ask("ana", canary, "canary", share=0.5).status_code == 200
    refused(bank.ask("ben", canary, "withdraw"), 409, "state-refused")
    assert bank.ask("ana", canary, "canary/end").status_code == 200
    assert bank.ask("ben", canary, "withdraw").json()["state"] == "draft"


def test_rolling_back_goes_to_what_was_approved(bank: Bank) -> None:
    """And the one that was taken back can be activated again: it was approved."""
    ruleset = bank.ruleset()
    first = bank.activate(bank.approved(bank.released(ruleset, "back"), "ben"))
    bank.edit(ruleset, "ana")
    second = bank.activate(bank.approved(bank.released(ruleset, "back"), "ben"))
    assert bank.ask("cleo", second, "rollback").json()["id"] == first
    assert bank.deciding("back") == first
    bank.activate(second)
    assert bank.deciding("back") == second


# --- who approves ----------------------------------------------------------------------------


def test_nobody_approves_what_they_edited(bank: Bank) -> None:
    """Nor what they put together; whoever did neither approves, and the answer says who can't."""
    ruleset = bank.ruleset()
    bank.edit(ruleset, "ben")
    release = bank.released(ruleset, "hands")
    bank.ask("ana", release, "propose")
    for who, yours in (("ana", True), ("ben", True), ("cleo", False)):
        said = bank.people[who].get(f"/v1/releases/{release}/approval").json()
        assert said == {
            "required": True, "state": "proposed", "hands": ["ana", "ben"], "since": None, "yours": yours
        }  # fmt: skip
    for who in ("ana", "ben"):
        refused(bank.ask(who, release, "approve"), 403, "own-edit")
    assert bank.ask("cleo", release, "approve").status_code == 200


def test_who_edited_before_the_last_approved_revision_may_approve(bank: Bank) -> None:
    """Their edit was approved by somebody else."""
    ruleset = bank.ruleset()
    bank.edit(ruleset, "ben")
    first = bank.approved(bank.released(ruleset, "since"), "cleo")
    bank.edit(ruleset, "cleo")
    second = bank.released(ruleset, "since")
    said = bank.people["ben"].get(f"/v1/releases/{second}/approval").json()
    assert said["hands"] == ["ana", "cleo"]
    assert said["since"] == bank.people["ben"].get(f"/v1/releases/{first}").json()["revision"]
    bank.ask("ana", second, "propose")
    refused(bank.ask("cleo", second, "approve"), 403, "own-edit")
    assert bank.ask("ben", second, "approve").status_code == 200


def test_an_undone_edit_is_an_edit(bank: Bank) -> None:
    """Whoever made or undid it had a hand in what stands there now."""
    ruleset = bank.ruleset()
    bank.edit(ruleset, "ben")
    assert bank.people["cleo"].edit(ruleset, "undo").status_code == 200
    release = bank.released(ruleset, "undone")
    bank.ask("ana", release, "propose")
    for who in ("ben", "cleo"):
        refused(bank.ask(who, release, "approve"), 403, "own-edit")


def test_a_settlement_is_an_edit(bank: Bank) -> None:
    """It says what holds where rules disagree."""
    ruleset = bank.ruleset()
    body = bank.people["ana"].edit(ruleset, "new IF age < 40 THEN yes", "new IF age > 30 THEN no").json()
    settled = bank.people["ben"].post(
        f"/v1/rulesets/{ruleset}/resolutions",
        json={"rules": body["open_conflicts"][0], "strategy": "priority"},
        headers={"If-Match": "*"},
    )
    assert settled.status_code == 200
    release = bank.released(ruleset, "settled")
    bank.ask("ana", release, "propose")
    refused(bank.ask("ben", release, "approve"), 403, "own-edit")


def test_going_back_behind_the_approved_revision_counts_everybody(bank: Bank) -> None:
    """An older revision, and another rule set's, were approved by nobody under this name."""
    ruleset = bank.ruleset()
    bank.edit(ruleset, "ben")
    old = bank.people["ben"].get(f"/v1/rulesets/{ruleset}").json()["revision"]
    bank.edit(ruleset, "ana")
    bank.approved(bank.released(ruleset, "behind"), "cleo")
    older = bank.released(ruleset, "behind", revision=old)
    other = bank.ruleset()
    bank.edit(other, "ben")
    for release in (older, bank.released(other, "behind")):
        bank.ask("ana", release, "propose")
        refused(bank.ask("ben", release, "approve"), 403, "own-edit")


def test_whoever_imports_rules_wrote_them(bank: Bank) -> None:
    """They are nobody's model's."""
    form = {"model": bank.model, "format": "csv", "default": "no"}
    files = {"file": ("rules.csv", b"age,outcome\n> 30,yes\n", "text/csv")}
    made = bank.people["ben"].post("/v1/rulesets/import", data=form, files=files)
    assert made.status_code == 201, made.text
    release = bank.released(made.json()["id"], "imported")
    bank.ask("ana", release, "propose")
    refused(bank.ask("ben", release, "approve"), 403, "own-edit")
    assert bank.ask("cleo", release, "approve").status_code == 200


def test_another_key_or_another_case_is_no_other_person(bank: Bank) -> None:
    """People are told apart by their names."""
    ruleset = bank.ruleset()
    bank.edit(ruleset, "ben")
    release = bank.released(ruleset, "keys")
    bank.ask("ana", release, "propose")
    for name in ("ben", "BEN", "Ana"):
        another = bank.admin.person(name, "approver")
        refused(another.post(f"/v1/releases/{release}/approve", json={"reason": "x"}), 403, "own-edit")
        pretended = {"reason": "x", "author": "cleo"}
        refused(another.post(f"/v1/releases/{release}/approve", json=pretended), 422, "author-refused")


def test_keys_that_one_person_made_are_that_person_s(bank: Bank) -> None:
    """Neither the maker of an editor's key approves, nor a key that an editor made for another name, nor one made
    by that; a key that nobody of them made does."""
    kim = bank.admin.person("kim", "admin", "analyst", "approver")
    puppet = kim.person("lee", "approver")
    second = kim.person("max", "admin").person("noa", "approver")
    ruleset = bank.ruleset()
    assert kim.edit(ruleset, EDITS[0]).status_code == 200
    by_kim = bank.released(ruleset, "kims")
    bank.ask("ana", by_kim, "propose")
    for asking in (puppet, second):
        assert asking.get(f"/v1/releases/{by_kim}/approval").json()["yours"]
        refused(asking.post(f"/v1/releases/{by_kim}/approve", json={"reason": "x"}), 403, "own-edit")
    assert bank.ask("ben", by_kim, "approve").status_code == 200
    other = bank.ruleset()
    assert kim.person("pat", "analyst").edit(other, EDITS[1]).status_code == 200
    by_pat = bank.released(other, "pats")
    bank.ask("ana", by_pat, "propose")
    answer = kim.post(f"/v1/releases/{by_pat}/approve", json={"reason": "x"})
    refused(answer, 403, "own-edit")
    assert "'kim' made a key of 'pat'" in answer.json()["detail"]
    assert bank.ask("cleo", by_pat, "approve").status_code == 200


def test_an_event_has_the_reason_s_code_and_ticket(bank: Bank) -> None:
    """Of an edit and of each step of a release; with a key the same ticket again is the same request."""
    said = {"reason": "policy 2026/4", "reason_code": "policy", "ticket": "RISK-12"}
    ruleset = bank.ruleset()
    body = said | {"edits": [EDITS[0]]}
    for ticket, status in (("RISK-12", 200), ("RISK-12", 200), ("RISK-13", 422)):
        headers = {"If-Match": "*", "Idempotency-Key": "cited"}
        sent = bank.people["ben"].post(f"/v1/rulesets/{ruleset}/edits", json=body | {"ticket": ticket}, headers=headers)
        assert sent.status_code == status
    release = bank.released(ruleset, "cited")
    steps = (("ana", "propose"), ("cleo", "approve"), ("ana", "withdraw"), ("ana", "propose"), ("cleo", "approve"))
    for who, step in (*steps, ("ana", "activate")):
        assert bank.ask(who, release, step, **said).status_code == 200
    told = bank.events(ruleset)[-1:] + bank.events(release)[1:]
    assert [event["reason"] for event in told] == ["policy 2026/4"] * 7
    assert [event["payload"]["cited"] for event in told] == [{"code": "policy", "ticket": "RISK-12"}] * 7
    assert "cited" not in bank.events(bank.released(ruleset, "plain"))[-1]["payload"]
    wrong = bank.ask("ana", release, "activate", reason_code="Two Words")
    refused(wrong, 422, "request-invalid")


def test_at_random_no_editor_approves_and_nothing_unapproved_serves(
    bank: Bank, count: Callable[[int, int], int]
) -> None:
    """Who may approve is worked out here from the edits alone; every decision is by a release that was approved."""
    dice = Dice(18)
    names = sorted(bank.people)
    ruleset, approved_at, edits = bank.ruleset(), 0, [""]
    approved: set[str] = set()
    waiting: list[tuple[str, int, str]] = []
    for _ in range(count(40, 400)):
        who = dice.pick(names)
        step = dice.pick(["edit", "edit", "release", "approve", "approve", "activate"])
        if step == "edit":
            bank.edit(ruleset, who)
            edits.append(who)
        elif step == "release":
            release = bank.released(ruleset, "random", who)
            assert bank.ask(who, release, "propose").status_code == 200
            waiting.append((release, len(edits), who))
        elif step == "approve" and waiting:
            release, place, maker = dice.pick(waiting)
            # An older revision than the approved one counts everybody.
            hands = set(edits[approved_at:place] if place >= approved_at else edits[:place]) | {maker}
            response = bank.ask(who, release, "approve")
            assert response.status_code == (403 if who in hands else 200), (who, hands, response.text)
            if response.status_code == 200:
                approved.add(release)
                approved_at = place
                waiting = [item for item in waiting if item[0] != release]
        elif step == "activate" and (waiting or approved):
            release = dice.pick([*sorted(approved), *(item[0] for item in waiting)])
            response = bank.ask(who, release, "activate")
            assert response.status_code == (200 if release in approved else 409)
        assert bank.deciding("random") in {None, *approved}
    assert approved


def test_two_who_decide_at_once_decide_once(bank: Bank) -> None:
    """Of approve and reject at the same time one succeeds."""
    ruleset = bank.ruleset()
    for _ in range(3):
        release = bank.released(ruleset, "race")
        bank.ask("ana", release, "propose")
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(bank.ask, "ben", release, action) for action in ("approve", "reject")]
        assert sorted(one.result().status_code for one in asked) == [200, 409]


# --- expiry ----------------------------------------------------------------------------------


def wait_for(found: Callable[[], bool]) -> None:
    """Wait until something holds."""
    until = time.monotonic() + 60
    while not found():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_an_emergency_release_expires_to_the_one_before(bank: Bank) -> None:
    """To the moment for decisions, with an event soon after; then it can't serve again."""
    ruleset = bank.ruleset()
    usual = bank.activate(bank.approved(bank.released(ruleset, "urgent"), "ben"))
    bank.edit(ruleset, "ana")
    urgent = bank.released(ruleset, "urgent", expires=bank.clock.text(hours=1))
    bank.activate(bank.approved(urgent, "ben"))
    bank.clock.ahead += timedelta(minutes=59)
    assert bank.deciding("urgent") == urgent
    bank.clock.ahead += timedelta(minutes=1)
    assert bank.deciding("urgent") == usual
    wait_for(lambda: bank.state(urgent) == "retired")
    assert bank.state(usual) == "active"
    last = bank.events(urgent)[-1]
    assert (last["action"], last["actor"], last["role"]) == ("expire release", "ruleedit", "service")
    assert last["payload"]["serves_again"] == usual
    assert bank.deciding("urgent") == usual
    refused(bank.ask("ana", urgent, "activate"), 409, "release-expired")


def test_releases_that_expire_one_after_another_step_down_in_turn(bank: Bank) -> None:
    """Past those that have expired meanwhile, to nothing in the end."""
    ruleset = bank.ruleset()
    line = []
    for hours in (3, 2, 1):
        release = bank.released(ruleset, "stairs", expires=bank.clock.text(hours=hours, minutes=5))
        line.append(bank.activate(bank.approved(release, "ben")))
    assert bank.deciding("stairs") == line[2]
    bank.clock.ahead += timedelta(hours=1, minutes=10)
    assert bank.deciding("stairs") == line[1]
    wait_for(lambda: bank.state(line[2]) == "retired")
    bank.clock.ahead += timedelta(hours=2)
    assert bank.deciding("stairs") is None
    wait_for(lambda: bank.state(line[1]) == "retired")
    assert bank.state(line[0]) == "retired"


def test_rolling_back_passes_what_has_expired(bank: Bank) -> None:
    """To the one before it."""
    ruleset = bank.ruleset()
    usual = bank.activate(bank.approved(bank.released(ruleset, "passed"), "ben"))
    urgent = bank.released(ruleset, "passed", expires=bank.clock.text(minutes=30))
    bank.activate(bank.approved(urgent, "ben"))
    later = bank.activate(bank.approved(bank.released(ruleset, "passed"), "ben"))
    bank.clock.ahead += timedelta(hours=1)
    assert bank.deciding("passed") == later
    assert bank.ask("ben", later, "rollback").json()["id"] == usual


@pytest.mark.parametrize("expires", ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00", "tomorrow", 5])
def test_a_release_expires_later_or_never(bank: Bank, expires: Any) -> None:
    """A moment with a time zone, to come."""
    body = {"ruleset": "x", "mode": "overlay-hard", "name": "x", "expires": expires}
    response = bank.people["ana"].post("/v1/releases", json=body)
    assert response.status_code == (409 if str(expires).startswith("2020") else 422)


def test_a_release_that_expired_before_its_approval_is_refused(bank: Bank) -> None:
    """At each step."""
    ruleset = bank.ruleset()
    release = bank.released(ruleset, "late", expires=bank.clock.text(minutes=30))
    bank.clock.ahead += timedelta(hours=1)
    refused(bank.ask("ana", release, "propose"), 409, "release-expired")
    refused(bank.ask("ana", release, "activate"), 409, "release-expired")


def open_service(folder: Path, clock: Clock, **settings: Any) -> Any:
    """A service for this machine's own user."""
    return serving_app(create_app(local(folder, expiry_seconds=0.05, **settings), clock=clock))


def test_an_expiry_survives_a_restart(tmp_path: Path) -> None:
    """Whether the moment comes after it or while the service is down; the event is written."""
    clock = Clock()
    with open_service(tmp_path, clock) as api:
        made = make(api)
        urgent = [api.released(made.ruleset, "small", expires=clock.text(hours=hours)) for hours in (2, 1)]
        for release in urgent:
            api.activate(release)
    with open_service(tmp_path, clock) as api:
        assert api.decide("small", ROW).json()["release"] == urgent[1]
        clock.ahead += timedelta(hours=1)
        assert api.decide("small", ROW).json()["release"] == urgent[0]
        # Stopped at once: whether the expiry is written down before or after doesn't matter.
    clock.ahead += timedelta(hours=2)
    with open_service(tmp_path, clock) as api:
        assert api.decide("small", ROW).json()["release"] == made.release
        for release in urgent:
            events = api.get("/v1/audit", params={"subject": release}).json()["items"]
            assert [event["action"] for event in events].count("expire release") == 1


# --- where approval is off -------------------------------------------------------------------


def test_without_approval_each_event_and_page_says_so(tmp_path: Path) -> None:
    """And a draft may serve."""
    with open_service(tmp_path, Clock()) as api:
        made = make(api)
        assert api.get(f"/v1/releases/{made.release}/approval").json()["required"] is False
        events = api.get("/v1/audit", params={"limit": 200}).json()["items"]
        assert len(events) >= 5
        assert {event["payload"]["notice"] for event in events} == {local(tmp_path).notice}
        assert {event["role"] for event in events} == {"local"}
        for path in ("/", "/docs"):
            assert "approval off" in api.get(path).text


def test_what_served_without_approval_doesn_t_with_it(tmp_path: Path) -> None:
    """The demo's data folder opened by a service that requires approval: 0 decisions, and an event that says why."""
    clock = Clock()
    with open_service(tmp_path, clock) as api:
        made = make(api)
        assert api.decide("small", ROW).status_code == 200
    with guarding(create_app, Settings(tmp_path, expiry_seconds=0.05)) as admin:
        kim = admin.person("kim", "analyst", "approver", "auditor")
        assert kim.decide("small", ROW).status_code == 404
        assert kim.get(f"/v1/releases/{made.release}").json()["state"] == "retired"
        event = kim.get("/v1/audit", params={"subject": made.release}).json()["items"][0]
        assert event["action"] == "withdraw release"
        assert "notice" not in event["payload"]
        refused(kim.post(f"/v1/releases/{made.release}/activate", json={"reason": "x"}), 409, "approval-needed")


def test_with_authentication_off_approval_can_still_be_required(tmp_path: Path) -> None:
    """By the names that people give: for trying it out."""
    with open_service(tmp_path, Clock(), approval=True) as api:
        dataset = api.upload(small_table(100)).json()["id"]
        model = api.result("/v1/models", {"dataset": dataset, "target": TARGET})["model"]
        ruleset = api.result("/v1/rulesets", {"model": model, "max_clauses": 4})["ruleset"]
        api.edit(ruleset, EDIT, author="kim")
        release = api.released(ruleset, "small")
        for action, author, status in (
            ("activate", "alex", 409),
            ("propose", "kim", 200),
            ("approve", "kim", 403),
            ("approve", LOCAL.name, 403),
            ("approve", "alex", 200),
            ("activate", "kim", 200),
        ):
            response = api.post(f"/v1/releases/{release}/{action}", json={"reason": "x", "author": author})
            assert response.status_code == status, (action, author, response.text)
