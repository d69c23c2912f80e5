"""compose.yaml's topology by plain processes: behind its proxy, killed and started again while it works."""

from __future__ import annotations

import functools
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from service.store.records import FINISHED
from tests.databases import database
from tests.serving import EDIT, ROW, TARGET, Api, small_table
from tests.topology import Process, Topology, certificate, proxy, topology

#: What the proxy answers where it reached no process, or the process was killed under the request.
UNREACHED = (502, 503, 504)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    """The processes over PostgreSQL."""
    folder = tmp_path_factory.mktemp("topology")
    with (
        database("postgresql", folder) as where,
        topology(folder, str(where), RULEEDIT_LEASE_SECONDS="8") as found,
    ):
        yield found


class People:
    """A client for each role, and what they made: a rule set about a model, its first release in service as `small`."""

    def __init__(self, place: Topology) -> None:
        with place.client(place.admin_key()) as admin:
            keys = {
                role: admin.post("/v1/keys", json={"name": f"the {role}", "roles": [role]}).json()["key"]
                for role in ("analyst", "approver", "auditor", "decision-client")
            }
        self.keys = keys
        self.analyst, self.approver = place.client(keys["analyst"]), place.client(keys["approver"])
        self.auditor, self.asker = place.client(keys["auditor"]), place.client(keys["decision-client"])
        dataset = self.analyst.upload(small_table()).json()["id"]
        model = self.analyst.result("/v1/models", {"dataset": dataset, "target": TARGET})["model"]
        self.ruleset: str = self.analyst.result("/v1/rulesets", {"model": model, "max_clauses": 8})["ruleset"]
        assert self.analyst.edit(self.ruleset, EDIT).status_code == 200
        self.release = self.serve()

    def serve(self) -> str:
        """Put the present revision in service, approved by somebody else."""
        release = self.analyst.released(self.ruleset, "small")
        for step, who in (("propose", self.analyst), ("approve", self.approver), ("activate", self.approver)):
            response = who.post(f"/v1/releases/{release}/{step}", json={"reason": "test"})
            assert response.status_code == 200, response.text
        return release

    def close(self) -> None:
        """Close the connections."""
        for client in (self.analyst, self.approver, self.auditor, self.asker):
            client.close()


@pytest.fixture(scope="module")
def people(place: Topology) -> Iterator[People]:
    """Who works there."""
    found = People(place)
    for number in (0, 1):
        with direct(place, number, found.keys["analyst"]) as api:
            wait_for(api, found.release)
    yield found
    found.close()


def direct(place: Topology, number: int, key: str) -> Api:
    """A client of one API process, past the proxy."""
    return Api(
        base_url=f"http://127.0.0.1:{place.api[number].port}", timeout=60, headers={"Authorization": f"Bearer {key}"}
    )


def test_a_release_serves_in_every_process(place: Topology, people: People) -> None:
    """Whoever activated it, and whoever is asked; rolled back, the earlier one does."""
    later = people.serve()
    with direct(place, 0, people.keys["analyst"]) as one, direct(place, 1, people.keys["analyst"]) as other:
        for api in (one, other):
            wait_for(api, later)
        assert people.approver.post(f"/v1/releases/{later}/rollback", json={"reason": "test"}).status_code == 200
        for api in (one, other):
            wait_for(api, people.release)


def wait_for(api: Api, release: str) -> None:
    """Ask until a release answers."""
    for _ in range(400):
        if api.decide("small", ROW).json().get("release") == release:
            return
        time.sleep(0.05)
    raise AssertionError(f"{api.base_url} doesn't serve {release}")


def test_pages_come_from_the_workbench_and_everything_else_from_the_api(place: Topology, people: People) -> None:
    """Signed in with a cookie for TLS alone; sockets pass; metrics and the workbench's own port have no API."""
    with place.client() as browser:
        page = {"Accept": "text/html"}
        turned = browser.get("/", headers=page)
        assert (turned.status_code, turned.headers["location"]) == (303, "/sign-in?to=/")
        signed = browser.post("/sign-in", data={"credential": people.keys["analyst"], "to": "/"})
        assert signed.status_code == 303
        assert "Secure" in signed.headers["set-cookie"]
        assert "RuleEdit" in browser.get("/", headers=page).text
        assert browser.get(f"/r/{people.ruleset}/rules", headers=page).status_code == 200
        assert browser.get("/metrics").status_code == 404
        cookie = f"ruleedit={browser.cookies['ruleedit']}"
        socket = place.url.replace("https", "wss") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
        with connect(socket, additional_headers={"Cookie": cookie}, ssl=place.trust, origin=place.url) as open_socket:  # type: ignore[arg-type]
            assert str(open_socket.recv(20)).startswith("0{")
    assert people.analyst.get("/openapi.json").json()["paths"]["/v1/rulesets"]
    key = {"Authorization": f"Bearer {people.keys['analyst']}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{place.workbench.port}", headers=key) as alone:
        assert alone.get("/metrics").status_code == 200
        assert alone.get("/v1/rulesets").status_code == 404
        assert alone.post("/v1/decisions/small", json={"rows": [ROW]}).status_code == 404


def test_what_the_proxy_refuses_is_a_problem_too(place: Topology, people: People, tmp_path: Path) -> None:
    """A body past its limit, and a service that nobody reaches: JSON with a code, as from the service itself."""
    response = people.analyst.post("/v1/datasets", content=bytes(70 * 2**20))
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
    assert response.headers["content-type"] == "application/problem+json"
    nobody = [Process(f"api-{number}", [], {}, tmp_path) for number in (1, 2)]
    trust = certificate(tmp_path)
    with proxy(tmp_path, nobody, nobody[0]) as url, httpx.Client(base_url=url, verify=trust) as alone:
        response = alone.get("/v1/rulesets")
    assert (response.status_code, response.json()["code"]) == (502, "unreached")
    assert response.headers["retry-after"] == "2"


def test_a_job_is_followed_through_the_proxy(people: People) -> None:
    """Its events come as they happen, from whichever process is asked."""
    asked = people.analyst.post("/v1/releases", json=release_of(people.ruleset))
    with people.analyst.stream("GET", f"{asked.headers['Location']}/events") as stream:
        told = [line for line in stream.iter_lines() if line.startswith("data: ")]
    assert "succeeded" in told[-1]


def release_of(ruleset: str) -> dict[str, Any]:
    """What is asked for a release."""
    return {"ruleset": ruleset, "name": "more", "mode": "overlay-hard"}


# --- kills -----------------------------------------------------------------------------------


class Load:
    """Clients at work through the proxy; each asks again, with the same key, until it is answered."""

    def __init__(self, place: Topology, people: People) -> None:
        self.place, self.people = place, people
        self.stop = threading.Event()
        self.edits: list[str] = []
        self.jobs: list[str] = []
        self.releases: set[str] = set()
        self.problems: list[BaseException] = []

    def goes_on(self, edits: int) -> bool:
        """Whether more than so many edits were acknowledged; or something went wrong."""
        return len(self.edits) > edits or bool(self.problems)

    def answered(self, http: Api, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        """The answer to a request that is sent until there is one."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                response = http.post(path, json=body, headers=headers)
            except httpx.TransportError:
                response = None
            flying = response is not None and response.status_code == 409 and "in-flight" in response.text
            if response is not None and response.status_code not in UNREACHED and not flying:
                return response
            time.sleep(0.1)
        raise AssertionError(f"no answer to {path}")

    def edit(self, http: Api) -> None:
        """Edit the rule set and take it back, as somebody who may be too late."""
        reason, tag = uuid.uuid4().hex, http.get(f"/v1/rulesets/{self.people.ruleset}")
        if tag.status_code != 200:
            return
        body = {"edits": [f"new IF age < {random.randint(21, 60)} THEN yes", "undo"], "reason": reason}
        headers = {"If-Match": tag.headers["ETag"], "Idempotency-Key": reason}
        response = self.answered(http, f"/v1/rulesets/{self.people.ruleset}/edits", body, **headers)
        assert response.status_code in (200, 412), response.text
        if response.status_code == 200:
            self.edits.append(reason)

    def submit(self, http: Api) -> None:
        """Ask for a release, as a job."""
        if len(self.jobs) < 12:
            headers = {"Idempotency-Key": uuid.uuid4().hex}
            response = self.answered(http, "/v1/releases", release_of(self.people.ruleset), **headers)
            assert response.status_code == 202, response.text
            self.jobs.append(response.json()["id"])
        time.sleep(0.5)

    def decide(self, http: Api) -> None:
        """Ask for decisions, which nobody has to wait for who asks again."""
        response = self.answered(http, "/v1/decisions/small", {"rows": [ROW | {"job": None}] * 8})
        assert response.status_code == 200, response.text
        body = response.json()
        assert {decision["release"] for decision in body["decisions"]} == {body["release"]}
        assert {decision["by"] for decision in body["decisions"]} == {"overlay"}
        self.releases.add(body["release"])

    def run(self, work: Callable[[Api], None]) -> None:
        """Work until it is time to stop; a problem ends everybody."""
        try:
            with self.place.client(self.people.keys["analyst"]) as http:
                while not self.stop.is_set():
                    with_retries(work, http)
        except BaseException as problem:  # noqa: BLE001, the test raises it
            self.problems.append(problem)
            self.stop.set()


def with_retries(work: Callable[[Api], None], http: Api) -> None:
    """Reading may be cut off too."""
    try:
        work(http)
    except httpx.TransportError:
        time.sleep(0.1)


def test_processes_killed_at_work_lose_nothing_and_do_nothing_twice(
    place: Topology, people: People, count: Callable[[int, int], int]
) -> None:
    """kill -9 of either API process or the workbench while clients edit, ask for releases and for decisions.

    Each acknowledged edit is there once and no other is; each job has ended well and made one release.
    """
    load = Load(place, people)
    before = len(releases(people))
    works = [load.edit, load.edit, load.submit, load.decide]
    threads = [threading.Thread(target=load.run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for number in range(count(3, 30)):
        wait_until(functools.partial(load.goes_on, len(load.edits)))
        time.sleep(random.uniform(0.0, 0.5))
        victim = place.processes[number % 3]
        victim.kill()
        victim.start()
        victim.ready()
    load.stop.set()
    for thread in threads:
        thread.join(180)
    if load.problems:
        raise load.problems[0]
    check(people, load, before)


def wait_until(found: Callable[[], object]) -> None:
    """Wait for something."""
    until = time.monotonic() + 120
    while not found():
        assert time.monotonic() < until
        time.sleep(0.02)


def check(people: People, load: Load, before: int) -> None:
    """What was acknowledged is there, once; nothing else is."""
    ends = [ended(people, job) for job in load.jobs]
    assert {job["state"] for job in ends} == {"succeeded"}, ends
    assert len(releases(people)) == before + len(load.jobs)
    history = people.analyst.get(f"/v1/rulesets/{people.ruleset}/history").json()["history"]
    steps = [step["reason"] for step in history if len(step["reason"]) == 32]
    assert sorted(steps) == sorted(load.edits * 2)
    assert load.edits
    assert load.releases == {people.release}
    assert people.auditor.get("/v1/audit/verify").json()["ok"]


def ended(people: People, job: str) -> dict[str, Any]:
    """A job once it has ended, perhaps in another process than it began in."""
    for _ in range(1_500):
        found: dict[str, Any] = people.analyst.get(f"/v1/jobs/{job}").json()
        if found["state"] in FINISHED:
            return found
        time.sleep(0.2)
    raise AssertionError(f"the job hasn't ended: {found}")


def releases(people: People) -> list[str]:
    """Every release that there is."""
    found: list[str] = []
    query = {"limit": "100"}
    while True:
        body = people.analyst.get("/v1/releases", params=query).json()
        found += [item["id"] for item in body["items"]]
        if body["next"] is None:
            return found
        query["cursor"] = body["next"]
