"""API keys: shown once, kept as a hash, refused once expired or revoked."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.app import create_app
from service.auth.keys import Keys
from service.errors import CredentialRefused, RequestInvalid, StateRefused, UnknownKey
from service.people import Person
from service.settings import Settings
from service.store.repository import Repository
from tests.serving import EDIT, Api, guarded, guarding, serving_app, small_table

ADMIN = Person("root", frozenset({"admin"}), "key")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 4, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)


class Ring:
    """Keys over a real database."""

    def __init__(self, folder: Path, seconds: float = 60.0) -> None:
        self.clock = Clock()
        self.repository = Repository(folder / "keys.db", self.clock)
        self.keys = self.another(seconds)

    def another(self, seconds: float = 60.0) -> Keys:
        """As another process on the same database has them."""
        numbers = iter(range(1_000))
        return Keys(
            self.repository, new_id=lambda kind: f"{kind}-{id(numbers)}-{next(numbers)}", clock=self.clock,
            seconds=seconds,
        )  # fmt: skip


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    """Keys of a new service."""
    found = Ring(tmp_path)
    yield found
    found.repository.close()


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service that asks for keys, as its admin sees it."""
    with guarded(tmp_path_factory.mktemp("keys")) as api:
        yield api


def test_a_key_opens_what_its_roles_say(ring: Ring) -> None:
    """It names the person, and begins with its prefix."""
    record, text = ring.keys.issue("kim", ["analyst", "viewer", "viewer"], by=ADMIN)
    assert re.fullmatch(r"re_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", text)
    assert text.startswith(f"re_{record.prefix}_")
    assert ring.keys.known(text) is None
    assert ring.keys.person(text) == ring.keys.known(text) == Person("kim", frozenset({"analyst", "viewer"}), "key")


def test_the_database_holds_no_key(ring: Ring, tmp_path: Path) -> None:
    """Neither the text nor its secret, in any of its files or events."""
    _, text = ring.keys.issue("kim", ["viewer"], by=ADMIN, reason="joined")
    ring.keys.person(text)
    secret = text.rpartition("_")[2].encode()
    for path in tmp_path.iterdir():
        assert secret not in path.read_bytes()
    event = list(ring.repository.events())[-1]
    assert (event.action, event.actor, event.reason) == ("issue key", "root", "joined")


def test_no_two_keys_are_alike(ring: Ring) -> None:
    """They are random."""
    texts = [ring.keys.issue("kim", ["viewer"], by=ADMIN)[1] for _ in range(50)]
    assert len({text[:15] for text in texts}) == len({text[16:] for text in texts}) == 50


def spoilt(text: str) -> list[str]:
    """Keys that are nearly one."""
    last = "A" if text[-1] != "A" else "B"
    return [
        text[:-1], text + "A", text[:-1] + last, text.upper(), text.replace("re_", "re_x"), "re_", "re__", "",
        text[:15], text[:16], "re_" + "0" * 12 + text[15:], "re_%_" + text, text + "\N{ROCKET}", "re_" + "x" * 20_000,
    ]  # fmt: skip


def test_what_is_nearly_a_key_opens_nothing(ring: Ring) -> None:
    """One character more, less or other; whether the key was read before or not."""
    text = ring.keys.issue("kim", ["viewer"], by=ADMIN)[1]
    for _ in range(2):
        for other in spoilt(text):
            with pytest.raises(CredentialRefused):
                ring.keys.known(other) or ring.keys.person(other)
        ring.keys.person(text)


def test_a_key_ends_when_it_says(ring: Ring) -> None:
    """To the moment, also for one that was read a moment ago."""
    text = ring.keys.issue("kim", ["viewer"], by=ADMIN, expires=ring.clock.now + timedelta(hours=1))[1]
    ring.clock.pass_(minutes=59.99)
    ring.keys.person(text)
    ring.clock.pass_(minutes=0.01)
    for ask in (ring.keys.known, ring.keys.person):
        with pytest.raises(CredentialRefused, match="expired or was revoked"):
            ask(text)


def test_a_revoked_key_is_refused_at_once(ring: Ring) -> None:
    """Twice is refused, an unknown one too, and the event says why."""
    record, text = ring.keys.issue("kim", ["viewer"], by=ADMIN)
    ring.keys.person(text)
    ring.keys.revoke(record.id, "left", by=ADMIN)
    assert ring.keys.known(text) is None
    with pytest.raises(CredentialRefused):
        ring.keys.person(text)
    with pytest.raises(StateRefused, match="revoked before"):
        ring.keys.revoke(record.id, "left", by=ADMIN)
    with pytest.raises(UnknownKey):
        ring.keys.revoke("none", "left", by=ADMIN)
    event = list(ring.repository.events())[-1]
    assert (event.action, event.reason) == ("revoke key", "left")


def test_a_key_that_another_process_revoked_is_refused_after_the_setting_s_seconds(ring: Ring) -> None:
    """The record is read again; with 0 seconds each time."""
    record, text = ring.keys.issue("kim", ["viewer"], by=ADMIN)
    patient, strict = ring.another(), ring.another(0.0)
    for keys in (patient, strict):
        keys.person(text)
    ring.keys.revoke(record.id, "left", by=ADMIN)
    assert patient.known(text) is not None
    assert strict.known(text) is None


def test_the_last_key_of_an_admin_is_kept(ring: Ring) -> None:
    """Nobody locks everybody out; an expired one doesn't count."""
    first, _ = ring.keys.issue("a", ["admin"], by=ADMIN)
    ring.keys.issue("b", ["admin"], by=ADMIN, expires=ring.clock.now + timedelta(hours=1))
    ring.clock.pass_(hours=2)
    with pytest.raises(StateRefused, match="last one of an admin"):
        ring.keys.revoke(first.id, "x", by=ADMIN)
    ring.keys.issue("c", ["admin"], by=ADMIN)
    ring.keys.revoke(first.id, "x", by=ADMIN)


def test_the_first_admin_key_is_made_once(ring: Ring) -> None:
    """Again only on request, or where none opens anything any more."""
    first = ring.keys.bootstrap()
    assert first is not None
    assert ring.keys.person(first) == Person("admin", frozenset({"admin"}), "key")
    assert ring.keys.bootstrap() is None
    again = ring.keys.bootstrap(again=True)
    assert again not in (None, first)


@pytest.mark.parametrize("name", ["local", "ruleedit"])
def test_the_service_s_own_names_are_nobody_else_s(ring: Ring, name: str) -> None:
    """Or the audit couldn't tell them apart."""
    with pytest.raises(RequestInvalid, match="the service's own"):
        ring.keys.issue(name, ["viewer"], by=ADMIN)


# --- over HTTP -------------------------------------------------------------------------------


def test_an_admin_issues_and_revokes_keys(admin: Api) -> None:
    """201 with the key, once; the list has everything but it; revoked it is 401."""
    response = admin.post("/v1/keys", json={"name": "kim", "roles": ["viewer"], "reason": "joined"})
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    made = response.json()
    kim = admin.known(made["key"])
    assert kim.get("/v1/me").json() == {"name": "kim", "roles": ["viewer"], "kind": "key"}
    listed = admin.get("/v1/keys").json()["items"][0]
    assert listed == {key: value for key, value in made.items() if key != "key"}
    assert made["key"] not in admin.get("/v1/keys").text
    assert admin.get(f"/v1/keys/{made['id']}").json() == listed
    revoked = admin.post(f"/v1/keys/{made['id']}/revoke", json={"reason": "left"}).json()
    assert revoked["revoked"] is not None
    refused = kim.get("/v1/me")
    assert (refused.status_code, refused.json()["code"]) == (401, "credential-refused")
    assert refused.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "change",
    [
        {"roles": []}, {"roles": ["king"]}, {"roles": "viewer"}, {"name": ""}, {"name": " kim"}, {"name": "k\n"},
        {"name": None}, {"expires": "2020-01-01T00:00:00Z"}, {"expires": "2099-01-01T00:00:00"}, {"expires": "soon"},
        {"more": 1}, {"name": "local"},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_request_for_a_key_is_422(admin: Api, change: dict[str, Any]) -> None:
    """And makes none."""
    before = admin.get("/v1/keys").json()
    response = admin.post("/v1/keys", json={"name": "kim", "roles": ["viewer"], **change})
    assert (response.status_code, response.json()["code"]) == (422, "request-invalid")
    assert admin.get("/v1/keys").json() == before


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", "re_x", "Bearer re_1_2", "Bearer a.b.c", "Bearer \xff", "Token x"]
)
def test_an_authorization_that_is_none_is_401(admin: Api, header: str) -> None:
    """With a challenge, and nothing of what was sent in the answer."""
    response = admin.known(None).get("/v1/datasets", headers={"Authorization": header.encode("latin-1")})
    assert (response.status_code, response.json()["code"]) == (401, "credential-refused")
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert header.split(" ")[-1] not in response.text or header == "Bearer"


def test_the_history_names_the_key_s_person_and_nobody_else(admin: Api) -> None:
    """An author that the body names must be the credential's."""
    kim = admin.person("kim", "analyst")
    dataset = kim.upload(small_table()).json()["id"]
    model = kim.result("/v1/models", {"dataset": dataset, "target": "ok"})["model"]
    ruleset = kim.result("/v1/rulesets", {"model": model, "max_clauses": 4})["ruleset"]
    refused = kim.edit(ruleset, EDIT, author="alex")
    assert (refused.status_code, refused.json()["code"]) == (422, "author-refused")
    assert kim.edit(ruleset, EDIT, author="kim").status_code == 200
    assert kim.edit(ruleset, "undo").status_code == 200
    assert {step["author"] for step in kim.get(f"/v1/rulesets/{ruleset}/history").json()["history"]} == {"kim"}


def test_many_at_once_are_told_apart(admin: Api) -> None:
    """Eight people at the same time, each with a key of their own."""
    clients = [admin.person(f"person-{n}", "viewer") for n in range(8)]
    wrong: list[str] = []

    def ask(number: int, api: Api) -> None:
        wrong.extend(
            name for name in (api.get("/v1/me").json()["name"] for _ in range(20)) if name != f"person-{number}"
        )

    threads = [threading.Thread(target=ask, args=pair) for pair in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_first_start_announces_an_admin_key_and_the_second_doesn_t(tmp_path: Path) -> None:
    """The key outlives the restart."""
    told: list[str] = []
    for _ in range(2):
        with serving_app(create_app(Settings(tmp_path), announce=told.append)) as api:
            assert api.known(told[0]).get("/v1/me").json()["roles"] == ["admin"]
    assert len(told) == 1
    with guarding(create_app, Settings(tmp_path)) as admin:
        assert len(admin.get("/v1/keys").json()["items"]) == 2


def test_a_key_revoked_in_one_server_is_refused_by_another_in_its_time(tmp_path: Path) -> None:
    """Two servers of one folder, of which the second looks for what the first did as seldom as it may."""
    settings = Settings(tmp_path, shared=True, key_seconds=0.5, follow_seconds=1e6)
    with guarding(create_app, settings) as admin, serving_app(create_app(settings)) as other:
        issued = admin.post("/v1/keys", json={"name": "ana", "roles": ["viewer"]}).json()
        there = other.known(issued["key"])
        assert there.get("/v1/me").json()["name"] == "ana"
        assert admin.post(f"/v1/keys/{issued['id']}/revoke", json={"reason": "lost"}).status_code == 200
        assert admin.known(issued["key"]).get("/v1/me").status_code == 401
        until = time.monotonic() + 20 * settings.key_seconds
        while there.get("/v1/me").status_code == 200:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert there.get("/v1/me").json()["code"] == "credential-refused"
