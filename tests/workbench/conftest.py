"""A real service process and Debian's Chromium, once for each file of tests."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from ruleedit.datasets import loans
from tests.formats.readers import absent
from tests.serving import Api, wait_ready

COMMAND = [sys.executable, "-c", "from ruleedit.cli import main; main()", "serve"]
#: Debian's flags of a browser that asks nobody elsewhere for anything.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: A busy machine isn't a broken page.
expect.set_options(timeout=20_000)
#: Where screenshots go when somebody wants to look at them.
SHOTS = os.environ.get("RULEEDIT_TEST_SCREENSHOTS")


@dataclass(frozen=True)
class Bench:
    """A service with the example: where it is, and a client of its API."""

    base: str
    api: Api

    def ruleset(self, name: str = "loans") -> dict[str, Any]:
        """The newest rule set of a name."""
        items = self.api.get("/v1/rulesets").json()["items"]
        found = next(item["id"] for item in items if item["name"] == name)
        ruleset: dict[str, Any] = self.api.get(f"/v1/rulesets/{found}").json()
        return ruleset

    def fresh(self) -> str:
        """A rule set of its own for one test, of the example's model; returns its id."""
        model = self.api.get("/v1/models").json()["items"][-1]["id"]
        ruleset: str = self.api.result("/v1/rulesets", {"model": model, "max_clauses": 12, "name": "own"})["ruleset"]
        return ruleset

    def edit(self, ruleset: str, *edits: str) -> None:
        """Edit a rule set from outside."""
        answer = self.api.edit(ruleset, *edits)
        assert answer.status_code == 200, answer.text


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[str, list[str]]]:
    """A service process on a free port; gives its address and the lines that it said. It is gone at the end."""
    command = [*COMMAND, "--port", "0", "--data-dir", str(folder / "data"), *options]
    # Into a file: a pipe that nobody reads fills up, and then the service waits for its reader.
    said = folder / "said.txt"
    with said.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield _address(process, said)
    finally:
        process.terminate()
        process.wait(90)


def _address(process: subprocess.Popen[bytes], said: Path) -> tuple[str, list[str]]:
    """Wait until the service says where it is and what it has to say first."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        lines = said.read_text().splitlines()
        found = re.search(r"http://127\.0\.0\.1:\d+", "".join(lines))
        if found and any(line.startswith(("Notice", "Admin key")) for line in lines):
            return found[0], [line for line in lines if not line.startswith("{")]
        time.sleep(0.05)
    raise AssertionError(said.read_text())


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A service with the ready example, open to this machine."""
    with serving(tmp_path_factory.mktemp("bench"), "--demo") as (base, _), Api(base_url=base, timeout=60) as api:
        wait_ready(api)
        yield Bench(base, api)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser; without one these tests are skipped, in CI they fail."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        absent("no chromium on the path, which the pages are tested in")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


class Window:
    """One browser window that keeps what went wrong in it and what it asked of others."""

    def __init__(self, browser: Browser, base: str, *, width: int = 1440, dark: bool = False) -> None:
        self.base = base
        scheme = "dark" if dark else "light"
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page.set_default_timeout(20_000)
        self.wrong: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda problem: self.wrong.append(str(problem)))
        self.page.on("request", self._asked)
        self.page.on(
            "response", lambda answer: answer.status < 400 or self.wrong.append(f"{answer.status} {answer.url}")
        )

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def open(self, path: str) -> Page:
        """Go to a page and wait until it answers."""
        self.page.goto(self.base + path)
        self.page.wait_for_function("window.socket && window.socket.connected && window.did_handshake")
        return self.page

    def shoot(self, name: str) -> None:
        """Keep a picture where somebody asked for them."""
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


@pytest.fixture
def window(chromium: Browser, bench: Bench) -> Iterator[Window]:
    """A window; nothing may have gone wrong in it, and it asked nobody elsewhere."""
    made = Window(chromium, bench.base)
    yield made
    made.page.close()
    assert made.wrong == []
    assert made.elsewhere == []


@pytest.fixture(scope="session")
def loans_csv() -> bytes:
    """Loan applications as a file."""
    return loans(1_500).to_csv(index=False).encode()
