"""A real service for tests: its own data folder, a real server on a free loopback port, a client."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.server import listen
from service.settings import Settings
from service.store.records import FINISHED

TARGET = "ok"
#: Seconds that an answer may take, on a machine that has much else to do.
PATIENCE = 180


def small_table(rows: int = 400) -> bytes:
    """A table with a number, an integer, a category with missing values, a boolean, and two classes, as CSV."""
    lines = ["age,income,job,member,ok"]
    for i in range(rows):
        age, job = 20 + i % 50, "abc"[i % 3] if i % 7 else ""
        answer = "yes" if age > 40 or i % 5 == 0 else "no"
        lines.append(f"{age},{1000 + 37 * (i * i % 101) + 0.5},{job},{'true' if i % 4 else 'false'},{answer}")
    return ("\n".join(lines) + "\n").encode()


#: A row that `small_table` knows, as JSON.
ROW: dict[str, Any] = {"age": 25, "income": 1200.5, "job": "a", "member": True}
EDIT = "new IF age < 30 AND job is missing THEN yes"


class Api(httpx.Client):
    """A client with the few steps that most tests begin with."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._others: list[Api] = []
        #: Seconds that a job may take, on a machine that has much else to do.
        self.patience = 300.0
        #: Makes a draft of a release without a job, where a test that has the service at hand says how.
        self.draft: Callable[[], str] = NotImplemented

    def upload(self, content: bytes, name: str = "small.csv", **form: str) -> httpx.Response:
        """Send a table."""
        return self.post("/v1/datasets", files={"file": (name, io.BytesIO(content))}, data=form)

    def ended(self, response: httpx.Response) -> dict[str, Any]:
        """Wait until the job that a response names has ended; return it."""
        assert response.status_code == 202, response.text
        until = time.monotonic() + self.patience
        while time.monotonic() < until:
            job: dict[str, Any] = self.get(response.headers["Location"]).json()
            if job["state"] in FINISHED:
                return job
            time.sleep(0.02)
        raise AssertionError(f"the job has not ended: {job}")

    def result(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask for long work and return its result."""
        job = self.ended(self.post(path, json=body))
        assert job["state"] == "succeeded", job
        found: dict[str, Any] = job["result"]
        return found

    def edit(self, ruleset: str, *edits: str, tag: str = "*", **more: Any) -> httpx.Response:
        """Edit a rule set."""
        body = {"edits": list(edits), "reason": "test", **more}
        return self.post(f"/v1/rulesets/{ruleset}/edits", json=body, headers={"If-Match": tag})

    def extracted(self, made: Made, **more: Any) -> dict[str, Any]:
        """A fresh rule set of the ready model, as GET gives it."""
        found = self.result("/v1/rulesets", {"model": made.model, "max_clauses": 8, **more})
        ruleset: dict[str, Any] = self.get(f"/v1/rulesets/{found['ruleset']}").json()
        return ruleset

    def released(self, ruleset: str, name: str, mode: str = "overlay-hard", **more: Any) -> str:
        """Put a rule set's present revision in force; return the release's id."""
        body = {"ruleset": ruleset, "name": name, "mode": mode, **more}
        release: str = self.result("/v1/releases", body)["release"]
        return release

    def activate(self, release: str) -> httpx.Response:
        """Put a release in service."""
        return self.post(f"/v1/releases/{release}/activate", json={"reason": "test"})

    def decide(self, name: str, *rows: dict[str, Any]) -> httpx.Response:
        """Ask for decisions."""
        return self.post(f"/v1/decisions/{name}", json={"rows": list(rows)})

    def known(self, key: str | None) -> Api:
        """Another client of the same service, with another key or none; it is closed with this one."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        other = Api(base_url=self.base_url, timeout=PATIENCE, headers=headers)
        self._others.append(other)
        return other

    def close(self) -> None:
        """Close the connections, those of the others included."""
        for other in self._others:
            other.close()
        super().close()

    def __exit__(self, *problem: Any) -> None:
        """Close everything at the end."""
        super().__exit__(*problem)
        self.close()

    def person(self, name: str, *roles: str, **more: Any) -> Api:
        """A client of a person with roles, whose key this client's admin issues."""
        response = self.post("/v1/keys", json={"name": name, "roles": list(roles), **more})
        assert response.status_code == 201, response.text
        return self.known(response.json()["key"])


@dataclass(frozen=True)
class Made:
    """What is ready in a service: a data set, a model, a rule set with one edit, a release in service as `small`."""

    dataset: str
    model: str
    ruleset: str
    release: str


def local(folder: Path, **settings: Any) -> Settings:
    """Settings of a service for this machine's own user: no keys, no approval."""
    off = {"authentication": False, "approval": False, "progress_seconds": 0.02}
    return Settings(**{"data_dir": folder, **off, **settings})


@contextlib.contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Api]:
    """A service over a data folder; it is stopped gracefully at the end."""
    with serving_app(create_app(local(folder, **settings))) as api:
        yield api


@contextlib.contextmanager
def guarded(folder: Path, **settings: Any) -> Iterator[Api]:
    """A service that asks everybody for a key, and its admin's client."""
    with guarding(create_app, Settings(**{"data_dir": folder, "progress_seconds": 0.02, **settings})) as api:
        yield api


@contextlib.contextmanager
def guarding(make_app: Callable[..., FastAPI], settings: Settings, **more: Any) -> Iterator[Api]:
    """The same with an application made by ``make_app``."""
    told: list[str] = []
    with serving_app(make_app(settings, announce=told.append, new_admin_key=True, **more)) as api:
        api.headers["Authorization"] = f"Bearer {told[0]}"
        yield api


@contextlib.contextmanager
def serving_app(app: FastAPI, **more: Any) -> Iterator[Api]:
    """A server of an application in a thread of this process, and a client; ``more`` as `uvicorn.Config` takes it."""
    with listen("127.0.0.1", 0) as bound:
        given = {"log_level": "critical", "access_log": False, "ws": "none", "timeout_graceful_shutdown": 5, **more}
        config = uvicorn.Config(app, **given)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            with Api(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}", timeout=PATIENCE) as api:
                wait_ready(api)
                yield api
        finally:
            server.should_exit = True
            thread.join(30)


def wait_ready(api: httpx.Client, seconds: float = 180) -> None:
    """Wait until the service says that it is ready."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            if api.get("/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the service isn't ready")


def make(api: Api) -> Made:
    """Upload, train, extract, edit, release and activate."""
    dataset = api.upload(small_table(), name="small.csv").json()["id"]
    model = api.result("/v1/models", {"dataset": dataset, "target": TARGET})["model"]
    ruleset = api.result("/v1/rulesets", {"model": model, "max_clauses": 8})["ruleset"]
    assert api.edit(ruleset, EDIT).status_code == 200
    release = api.released(ruleset, "small")
    assert api.activate(release).status_code == 200
    return Made(dataset, model, ruleset, release)


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that a response is a whole problem of this status and code; return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "code", "instance"} <= set(problem)
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert problem["type"] == f"urn:ruleedit:problem:{code}"
    assert problem["instance"] == response.request.url.path
    return problem
