"""Requests a second of the decision endpoint against a bare FastAPI + LightGBM endpoint, in turn on loopback.

Both servers run the same model on the same uvicorn with one worker each; the bare one has the same
pydantic body and nothing else: no rules, reasons, warnings, metrics, log or limits. The load is one
row a request over a few connections that stay open. Each round loads one server and then the other,
in changing order; the figures are the medians over the rounds, with quartiles. Beside the requests a
second it reports the processor time that a server spends on a request, which other work on the
machine disturbs far less.

    python benchmarks/serving.py [--rounds 12] [--seconds 2] [--connections 8] [--json OUT]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import BaseModel

ROWS = 500


class Body(BaseModel):
    """The body of both endpoints."""

    rows: list[dict[str, object]]


def bare(folder: Path) -> None:
    """Serve the model of a folder the way that one would write it down without RuleEdit."""
    import lightgbm
    import uvicorn
    from fastapi import FastAPI

    from service.server import listen

    booster = lightgbm.Booster(model_file=str(folder / "model.txt"))
    schema = json.loads((folder / "schema.json").read_text())
    features = [feature["name"] for feature in schema["features"]]
    codes = [
        {text: code for code, text in enumerate(feature.get("categories", []), 1)} for feature in schema["features"]
    ]
    classes = schema["classes"]
    app = FastAPI()

    @app.post("/decide")
    async def decide(body: Body) -> dict[str, list[dict[str, object]]]:
        rows = np.array(
            [
                [
                    known.get(row[name], 0) if known else np.nan if row[name] is None else row[name]
                    for name, known in zip(features, codes, strict=True)
                ]
                for row in body.rows
            ],
            dtype=float,
        )
        scores = booster.predict(rows, num_threads=1)
        return {
            "decisions": [
                {"outcome": classes[int(p > 0.5)], "probabilities": dict(zip(classes, (1 - p, p), strict=True))}
                for p in scores.tolist()
            ]
        }

    with listen("127.0.0.1", 0) as bound:
        print(f"http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, ws="none")
        uvicorn.Server(config).run(sockets=[bound])


@dataclass
class Server:
    """A server process under load, and what was measured of it."""

    name: str
    process: subprocess.Popen[str]
    port: int
    path: str
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def cpu(self) -> float:
        """The seconds of processor time that the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def measure(self, bodies: Sequence[bytes], seconds: float, connections: int) -> None:
        """Load the server for a while."""
        requests = [
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
            for body in bodies
        ]
        began, used = time.perf_counter(), self.cpu()
        done = asyncio.run(load(self.port, requests, seconds, connections))
        self.rates.append(done / (time.perf_counter() - began))
        self.costs.append((self.cpu() - used) / done)


class Client(asyncio.Protocol):
    """One open connection that sends the next request when the answer to the last is whole."""

    def __init__(self, requests: Sequence[bytes], first: int, until: float) -> None:
        self.requests, self.next, self.until = requests, first, until
        self.done, self.buffer = 0, b""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = transport
        self.send()

    def send(self) -> None:
        """Send the next request."""
        self.transport.write(self.requests[self.next % len(self.requests)])  # type: ignore[attr-defined]
        self.next += 1

    def data_received(self, data: bytes) -> None:
        """Count an answer that is whole; anything but a 200 ends the run."""
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = re.search(rb"content-length: (\d+)", self.buffer[:head], re.IGNORECASE)
        if length is None or len(self.buffer) < head + 4 + int(length[1]):
            return
        if not self.buffer.startswith(b"HTTP/1.1 200"):
            self.ended.set_exception(RuntimeError(self.buffer.decode(errors="replace")))
            return
        self.buffer = b""
        self.done += 1
        if time.perf_counter() < self.until:
            self.send()
        else:
            self.ended.set_result(self.done)
            self.transport.close()


async def load(port: int, requests: Sequence[bytes], seconds: float, connections: int) -> int:
    """Keep every connection busy for so many seconds; return the answers."""
    loop, until = asyncio.get_running_loop(), time.perf_counter() + seconds
    made = [
        await loop.create_connection(lambda i=i: Client(requests, i * 61, until), "127.0.0.1", port)
        for i in range(connections)
    ]
    return sum(await asyncio.gather(*(client.ended for _, client in made)))


@contextlib.contextmanager
def started(name: str, command: Sequence[str], path: str) -> Iterator[Server]:
    """A server in a process of its own, until the end."""
    # Both write their logs; nobody reads them here.
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found, f"{name} didn't start"
        yield Server(name, process, int(found[1]), path)
    finally:
        process.terminate()
        process.wait(30)


def ask(server: Server, body: bytes | None, path: str) -> tuple[int, bytes]:
    """One request by a plain client."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET" if body is None else "POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def wait_ready(server: Server) -> None:
    """Wait for the example of ``--demo``."""
    for _ in range(120):
        if ask(server, None, "/readyz")[0] == 200:
            return
        time.sleep(0.5)
    raise RuntimeError("the service isn't ready")


def check_alike(plain: Server, ours: Server, bodies: Sequence[bytes]) -> int:
    """Refuse to measure two different models; return how many rows the overlay changes."""
    changed = 0
    for body in bodies:
        (theirs,) = json.loads(ask(plain, body, plain.path)[1])["decisions"]
        (mine,) = json.loads(ask(ours, body, ours.path)[1])["decisions"]
        assert mine["model_outcome"] == theirs["outcome"], (body, theirs, mine)
        changed += mine["outcome"] != mine["model_outcome"]
    return changed


def main() -> None:
    """Run both in turn and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=12)
    options.add_argument("--seconds", type=float, default=2.0, help="of each server in each round")
    options.add_argument("--connections", type=int, default=8)
    options.add_argument("--json", type=Path, help="write the figures there too")
    options.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.bare is not None:
        bare(asked.bare)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), asked.rounds, asked.seconds, asked.connections)
    print(table(found))
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


def measured(folder: Path, rounds: int, seconds: float, connections: int) -> dict[str, object]:
    """Make the model, start both servers, load them in turn."""
    from ruleedit import infer_schema, train
    from ruleedit.datasets import loans
    from ruleedit.models.folder import save
    from service.demo import ROWS as TRAINED

    table = loans(TRAINED)
    save(train(table, infer_schema(table, "decision")), folder / "model")
    rows = json.loads(loans(ROWS, seed=7).drop(columns="decision").to_json(orient="records"))
    bodies = [json.dumps({"rows": [row]}).encode() for row in rows]
    serve = ["-c", "from ruleedit.cli import main; main()", "serve", "--demo", "--port", "0"]
    with (
        started("ruleedit", [*serve, "--data-dir", str(folder / "data")], "/v1/decisions/loans") as ours,
        started("bare", [__file__, "--bare", str(folder / "model")], "/decide") as plain,
    ):
        wait_ready(ours)
        changed = check_alike(plain, ours, bodies)
        for number in range(-1, rounds):
            for server in (plain, ours) if number % 2 else (ours, plain):
                server.measure(bodies, seconds, connections)
            if number < 0:  # the first round warms up
                for server in (plain, ours):
                    server.rates.clear()
                    server.costs.clear()
        return {
            "rounds": rounds,
            "seconds": seconds,
            "connections": connections,
            "rows_changed_by_the_overlay": f"{changed} of {ROWS}",
            "requests_per_second": {server.name: spread(server.rates) for server in (plain, ours)},
            "cpu_microseconds_per_request": {
                server.name: spread([cost * 1e6 for cost in server.costs]) for server in (plain, ours)
            },
            "ratio_of_requests_per_second": spread([b / a for a, b in zip(plain.rates, ours.rates, strict=True)]),
            "ratio_by_cpu": spread([a / b for a, b in zip(plain.costs, ours.costs, strict=True)]),
        }


def spread(values: Sequence[float]) -> list[float]:
    """Lower quartile, median, upper quartile."""
    return [round(value, 3) for value in statistics.quantiles(values, n=4, method="inclusive")]


def table(found: dict[str, object]) -> str:
    """The figures as Markdown."""
    lines = ["| | lower quartile | median | upper quartile |", "| --- | ---: | ---: | ---: |"]
    for name, value in found.items():
        named = value.items() if isinstance(value, dict) else [("", value)]
        for inner, values in named:
            if isinstance(values, list):
                lines.append(f"| {f'{name} {inner}'.strip()} | {' | '.join(f'{v:,}' for v in values)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
