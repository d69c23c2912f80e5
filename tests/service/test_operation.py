"""What an operator holds in hands: the page of settings, the container's file, a graceful stop."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import socket
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

from service.settings import Settings
from service.settings.page import reasons_of, settings_page
from tests.service.test_command import COMMAND, running
from tests.serving import Api, wait_ready

ROOT = Path(__file__).parents[2]


def test_the_page_of_settings_is_made_of_the_source() -> None:
    """`python -m service.settings.page > docs/settings.md` makes it again."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page()


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings)])
def test_every_setting_has_its_reason(name: str) -> None:
    """A sentence, in the source and so on the page."""
    assert len(reasons_of(Settings)[name]) > 20
    assert f"`RULEEDIT_{name.upper()}`" in settings_page()


def test_the_command_lists_the_settings() -> None:
    """Without starting anything."""
    ended = subprocess.run([*COMMAND, "--settings"], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout == settings_page()
    said = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert {"--settings", "--data-dir", "--host", "--port", "--demo"} <= set(re.findall(r"--[a-z-]+", said))


def test_requests_in_flight_are_answered_when_the_service_is_stopped(tmp_path: Path) -> None:
    """SIGTERM while a body still arrives: its decisions are given whole and logged, and the process ends with 0."""
    process = subprocess.Popen(
        [*COMMAND, "--demo", "--port", "0", "--data-dir", str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found
        with Api(base_url=found[0], timeout=60) as api:
            wait_ready(api)
            features = api.get("/v1/models").json()["items"][0]["schema"]["features"]
            body = json.dumps({"rows": [{feature["name"]: None for feature in features}] * 1_000}).encode()
            with socket.create_connection((api.base_url.host, api.base_url.port or 80), timeout=60) as client:
                head = f"POST /v1/decisions/loans HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
                head += "Expect: 100-continue\r\n"
                client.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode())
                # The service says so once it reads the body, which it is in the middle of then.
                assert client.recv(65_536).startswith(b"HTTP/1.1 100")
                client.sendall(body[:500])
                process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
                client.sendall(body[500:])
                answer = b"".join(iter(lambda: client.recv(65_536), b""))
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()
    said, _, told = answer.partition(b"\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200")
    assert len(json.loads(told)["decisions"]) == 1_000
    lines = (tmp_path / "data" / "decisions" / "decisions.jsonl").read_text().splitlines()
    assert [len(json.loads(line)["decisions"]) for line in lines] == [1_000]


def test_who_follows_a_job_is_let_go_when_the_service_is_stopped(tmp_path: Path) -> None:
    """The stream ends whole, not in the middle of a part, and the job waits for the next start."""
    with running(tmp_path) as (process, api):
        ruleset = api.get("/v1/rulesets").json()["items"][0]["id"]
        body = {"ruleset": ruleset, "name": "loans", "mode": "retrain", "strategy": "greedy"}
        job = api.post("/v1/releases", json=body).headers["Location"]
        with api.stream("GET", f"{job}/events") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: job"
            process.send_signal(signal.SIGTERM)
            told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        assert told
        assert process.wait(60) == 0
    assert told[-1]["state"] in ("queued", "running")
    with running(tmp_path) as (_, api):
        assert api.get(job).json()["state"] in ("queued", "running", "succeeded")


def test_the_container_s_file_is_as_it_should_be() -> None:
    """No container engine is at hand, so its text is checked: no root, pinned bases, hashes, files that exist."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    told = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    steps = [(verb, rest) for verb, rest in told]
    assert {verb for verb, _ in steps} <= {
        *(
            "FROM",
            "WORKDIR",
            "COPY",
            "RUN",
            "ENV",
            "USER",
            "VOLUME",
            "EXPOSE",
            "STOPSIGNAL",
            "HEALTHCHECK",
            "ENTRYPOINT",
        )
    }
    assert all(re.search(r"python:3\.11-slim-\w+", rest) for verb, rest in steps if verb == "FROM")
    assert [rest for verb, rest in steps if verb == "USER"] == ["10001"]
    assert [verb for verb, _ in steps].index("USER") > max(n for n, (verb, _) in enumerate(steps) if verb == "RUN")
    assert any("--require-hashes --requirement requirements.lock" in rest for verb, rest in steps if verb == "RUN")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for verb, rest in steps:
        if verb == "COPY" and not rest.startswith("--from"):
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists(), name
                assert f"!{name}" in ignored
    entry = next(rest for verb, rest in steps if verb == "ENTRYPOINT")
    assert re.findall(r'"([^"]+)"', entry)[:2] == ["ruleedit", "serve"]


def test_what_is_installed_has_every_file_that_is_read() -> None:
    """Whatever in the packages is no Python is named in pyproject.toml, so that an image has it as a checkout does."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    for package in ("ruleedit", "service"):
        others = {
            path.relative_to(ROOT / package).as_posix()
            for path in (ROOT / package).rglob("*")
            if path.is_file() and path.suffix != ".py" and path.parent.name != "__pycache__"
        }
        assert others == set(told[package])
        folders = {path.parent for path in (ROOT / package).rglob("*.py")}
        assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
