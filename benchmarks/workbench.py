"""The workbench in a real browser: slider to impact on screen, page load, memory for each open page.

For each size a table of loans is kept with a model and its rules; then a server process serves it and
Debian's Chromium opens the rules. Times are the page's own clock (`performance.now()`): from the slider's
`input` event to the frame after the one in which the panel says what that very value would change. A load is
timed from outside, from asking for the page to the frame in which the first rule stands.

    python benchmarks/workbench.py [--rows 10000 100000 1000000] [--moves 40] [--sessions 20] [--json OUT]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Error, Page, sync_playwright

from ruleedit.datasets import loans
from service.jobs import Watch
from service.people import SERVICE
from service.settings import Settings
from service.workspace import Workspace

COMMAND = [sys.executable, "-c", "from ruleedit.cli import main; main()", "serve", "--demo", "--port", "0"]
#: How many moves a drag has, and milliseconds between two: what a hand on a mouse does.
DRAG, APART = 60, 16
#: Notes the moment of each input event and of the frame in which the panel says what its value would change.
WATCH = """
() => {
  const slider = document.querySelector('input[type=range]');
  const panel = document.querySelector('aside');
  window.took = []; window.moved = {};
  slider.addEventListener('input', () => { window.moved[slider.value] = performance.now(); }, true);
  new MutationObserver(() => {
    const said = panel.querySelector('.formal')?.textContent ?? '';
    const value = said.split(' to ').pop().split(' ').find((word) => word in window.moved);
    const began = window.moved[value];
    if (began === undefined) return;
    delete window.moved[value];
    requestAnimationFrame(() => setTimeout(() => window.took.push(performance.now() - began)));
  }).observe(panel, {childList: true, subtree: true, characterData: true});
}
"""
#: Waits for the first frame with a rule in it.
FIRST = """
() => new Promise((done) => {
  const look = () => document.querySelector('article[data-rule] .re-chip')
    ? requestAnimationFrame(() => setTimeout(done)) : setTimeout(look, 2);
  look();
})
"""


@dataclass(frozen=True)
class Measured:
    """What was measured at one size; milliseconds, and MiB for each open page."""

    rows: int
    rules: int
    move: float
    move_95: float
    server_cpu: float
    page_cpu: float
    drag: float
    shown: float
    first_load: float
    load: float
    elements: int
    bytes_a_move: int
    session: float
    server: float


def main() -> None:
    """Measure each size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument(
        "--crowd", type=int, default=500, help="rules that are added for a last round at the least size"
    )
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found = []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        crowded = [(min(asked.rows), asked.crowd)] if asked.crowd else []
        for rows, added in [*((rows, 0) for rows in asked.rows), *crowded]:
            print(f"{rows:,} rows, {added} rules added; load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory() as folder:
                found.append(measured(browser, Path(folder), rows, added, asked.moves, asked.sessions))
            print(table(found[-1:]), file=sys.stderr, flush=True)
        browser.close()
    print(table(found))
    print(f"load at the end: {os.getloadavg()[0]:.1f}", file=sys.stderr)
    if asked.json:
        asked.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n", encoding="utf-8")


def chromium() -> str:
    """Where the browser is."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        sys.exit("no chromium on the path")
    return path


def prepared(folder: Path, rows: int, added: int) -> tuple[str, int]:
    """Keep a table, a model and its rules, and add some; returns the rule set and how many rules it has."""
    workspace = Workspace(Settings(data_dir=folder, most_upload=2**31, job_memory=2**34))
    try:
        file = io.BytesIO()
        loans(rows).to_parquet(file)
        file.seek(0)
        dataset = workspace.add_dataset(file, "loans", ".parquet", by=SERVICE)["id"]
        asked = {"dataset": dataset, "target": "decision", "name": "measured", "seed": 0, "thresholds": {}}
        watch = Watch(lambda done, of: None, 60.0)
        model = workspace.run("train", asked | {"schema": None}, watch, SERVICE)["model"]
        asked = {"model": model, "dataset": None, "method": "tree", "max_clauses": 32, "seed": 0, "name": "measured"}
        found = workspace.run("extract", asked | {"probabilities": False, "ground": None}, watch, SERVICE)
        bands = [f"income between {20_000 + 100 * at} and {20_099 + 100 * at}" for at in range(added)]
        edits = [f"new IF {band} AND months >= 6 THEN deny" for band in bands]
        if edits:
            workspace.edit(found["ruleset"], found["revision"], edits, reason="a crowd", by=SERVICE)
        return found["ruleset"], found["rules"] + added
    finally:
        workspace.close()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """A server process over a folder; gives its address and its process id."""
    said = folder / "said.txt"
    environment = {**os.environ, "RULEEDIT_REQUEST_LOG": "false"}
    with said.open("wb") as out:
        command = [*COMMAND, "--data-dir", str(folder / "data")]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
    try:
        address = None
        while address is None and process.poll() is None:
            address = re.search(r"http://127\.0\.0\.1:\d+", said.read_text())
            time.sleep(0.05)
        if address is None:
            raise RuntimeError(said.read_text())
        yield address[0], process.pid
    finally:
        process.terminate()
        process.wait(60)


def measured(browser: Browser, folder: Path, rows: int, added: int, moves: int, sessions: int) -> Measured:
    """Everything at one size."""
    ruleset, rules = prepared(folder / "data", rows, added)
    with serving(folder) as (base, pid):
        settle(base)
        where = f"{base}/r/{ruleset}/rules"
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        sent: list[int] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: sent.append(len(frame))))
        first_load = loaded(page, where)
        loads = [loaded(page, where) for _ in range(5)]
        elements = page.evaluate("document.querySelectorAll('*').length")
        opened(page)
        busy = Busy.of(page, pid)
        steps, size = moved(page, moves, sent)
        server_cpu, page_cpu = (1000 * spent / moves for spent in busy.since())
        drag, shown = dragged(page)
        page.close()
        session, server = memory(browser, where, pid, sessions)
    ordered = sorted(steps)
    return Measured(
        rows, rules, statistics.median(ordered), ordered[int(0.95 * len(ordered))], server_cpu, page_cpu, drag, shown,
        first_load, statistics.median(loads), elements, size, session, server,
    )  # fmt: skip


def settle(base: str) -> None:
    """Wait until the example beside it is made: it would take the processor from what is measured."""
    import httpx

    ready = False
    while not ready:
        time.sleep(0.2)
        with contextlib.suppress(httpx.TransportError):
            ready = httpx.get(f"{base}/readyz").status_code == 200


def loaded(page: Page, where: str) -> float:
    """Milliseconds from asking for the page to the frame with the first rule.

    A table that takes long to read is waited for on a page that says so, and which then gives way.
    """
    began = time.perf_counter()
    page.goto(where, wait_until="commit", timeout=120_000)
    while True:
        with contextlib.suppress(Error):
            page.evaluate(FIRST)
            break
    took = 1000 * (time.perf_counter() - began)
    page.wait_for_function("window.socket && window.socket.connected && window.did_handshake")
    return took


@dataclass(frozen=True)
class Busy:
    """Seconds of processor time that the server and the page's main thread have used: other work disturbs them less."""

    page: CDPSession
    pid: int
    before: tuple[float, float]

    @classmethod
    def of(cls, page: Page, pid: int) -> Busy:
        """From now on."""
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        return cls(session, pid, cls._used(session, pid))

    def since(self) -> tuple[float, float]:
        """Seconds since then, of the server and of the page."""
        now = self._used(self.page, self.pid)
        return now[0] - self.before[0], now[1] - self.before[1]

    @staticmethod
    def _used(session: CDPSession, pid: int) -> tuple[float, float]:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        server = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return server, float(metrics["TaskDuration"])


def opened(page: Page) -> None:
    """Open the editor of a threshold and watch what its slider brings about."""
    page.locator(".re-chip:not(.add)", has_text="income").first.click()
    # A clause from a value to another has two; the lower one is moved.
    page.get_by_role("slider").first.focus()
    page.evaluate(WATCH)
    page.keyboard.press("ArrowRight")
    page.wait_for_function("window.took.length > 0", polling=5)


def moved(page: Page, moves: int, sent: list[int]) -> tuple[list[float], int]:
    """Milliseconds from each of several key presses on the slider to the impact on screen, and bytes for each."""
    page.evaluate("window.took.length = 0")
    sent.clear()
    for made in range(moves):
        page.keyboard.press("ArrowLeft" if made % 4 == 3 else "ArrowRight")
        page.wait_for_function(f"window.took.length > {made}", polling=5)
        page.wait_for_timeout(60)
    took: list[float] = page.evaluate("window.took")
    return took, round(sum(sent) / moves)


def dragged(page: Page) -> tuple[float, float]:
    """While a slider is dragged at 60 moves a second: milliseconds to the last value's impact, and impacts a second."""
    page.evaluate("window.took.length = 0; window.moved = {}")
    last: float = page.evaluate(
        """async ([moves, apart]) => {
          const slider = document.querySelector('input[type=range]');
          const step = Number(slider.step), from = Number(slider.value);
          for (let move = 1; move <= moves; move++) {
            slider.value = String(from + step * move);
            slider.dispatchEvent(new Event('input', {bubbles: true}));
            await new Promise((go) => setTimeout(go, apart));
          }
          const began = performance.now(), last = slider.value;
          while (last in window.moved) await new Promise((go) => setTimeout(go, 1));
          return performance.now() - began + apart;
        }""",
        [DRAG, APART],
    )
    shown: int = page.evaluate("window.took.length")
    return last, shown / (DRAG * APART / 1000)


def memory(browser: Browser, where: str, pid: int, sessions: int) -> tuple[float, float]:
    """MiB that each further open page takes in the server, and MiB of the server before."""
    pages: list[Page] = []
    before = resident(pid)
    for _ in range(sessions):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        loaded(page, where)
        pages.append(page)
    grown = resident(pid) - before
    for page in pages:
        page.close()
    return grown / sessions, before


def resident(pid: int) -> float:
    """MiB that a process holds of its own."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kept = next(line for line in lines if line.startswith("Pss_Anon:"))
    return int(kept.split()[1]) / 1024


def table(found: Sequence[Measured]) -> str:
    """The figures as a Markdown table."""
    heads = (
        "rows", "rules", "move, median ms", "move, 95% ms", "server CPU a move, ms", "page CPU a move, ms",
        "end of a drag, ms", "impacts a second", "first load, ms", "load, ms", "DOM elements", "bytes a move",
        "MiB a page", "MiB before",
    )  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", f"|{' ---: |' * len(heads)}"]
    for one in found:
        cells = (
            f"{one.rows:,}", f"{one.rules}", f"{one.move:.0f}", f"{one.move_95:.0f}", f"{one.server_cpu:.1f}",
            f"{one.page_cpu:.1f}", f"{one.drag:.0f}",
            f"{one.shown:.0f}", f"{one.first_load:.0f}", f"{one.load:.0f}", f"{one.elements:,}",
            f"{one.bytes_a_move:,}", f"{one.session:.1f}", f"{one.server:.0f}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
