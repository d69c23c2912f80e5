"""Requests a second of the decision endpoint by one and by two API processes on one PostgreSQL, in turn on loopback.

Both processes serve the same release from one data folder; the load is one row a request over a few
connections that stay open, parted evenly between the processes. Beside the requests a
second, which everything on the machine disturbs (the load itself takes processor time), it reports the
processor time that a process spends on a request, what the processes spend when nobody asks anything,
and how many bytes a request and its answer are.

    python benchmarks/traffic.py --database URL [--rounds 6] [--seconds 2] [--connections 8] [--json OUT]

The URL is of a PostgreSQL database whose user may make schemas; a schema of its own is dropped at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from serving import ROWS, load, spread
from sqlalchemy import create_engine, make_url

COMMAND = [sys.executable, "-c", "from ruleedit.cli import main; main()", "serve", "--shared", "--only", "api"]
IDLE_SECONDS = 20.0


@dataclass
class Worker:
    """One API process under load."""

    process: subprocess.Popen[str]
    port: int

    def cpu(self) -> float:
        """The seconds of processor time that the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Setting:
    """So many workers under load, and what was measured of them."""

    workers: Sequence[Worker]
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def measure(self, requests: Sequence[bytes], seconds: float, connections: int) -> None:
        """Load the workers evenly for a while."""
        began, used = time.perf_counter(), sum(worker.cpu() for worker in self.workers)
        done = asyncio.run(self._load(requests, seconds, connections // len(self.workers)))
        self.rates.append(done / (time.perf_counter() - began))
        self.costs.append((sum(worker.cpu() for worker in self.workers) - used) / done * 1e6)

    async def _load(self, requests: Sequence[bytes], seconds: float, connections: int) -> int:
        return sum(await asyncio.gather(*(load(w.port, requests, seconds, connections) for w in self.workers)))


@contextlib.contextmanager
def schema(url: str) -> Iterator[str]:
    """A schema of one's own in a database; its URL."""
    name = f"traffic_{uuid.uuid4().hex}"
    admin = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        try:
            inside = make_url(url).update_query_dict({"options": f"-csearch_path={name}"})
            yield inside.render_as_string(hide_password=False)
        finally:
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    admin.dispose()


def example(folder: Path, database: str) -> None:
    """Put the demo's release in service."""
    from service.demo import make_demo
    from service.jobs import Watch
    from service.settings import Settings
    from service.workspace import Workspace

    workspace = Workspace(Settings(folder, database=database, authentication=False, approval=False))
    try:
        workspace.start()
        make_demo(workspace, Watch(lambda done, of: None, 1.0))
    finally:
        workspace.close()


@contextlib.contextmanager
def started(folder: Path, database: str) -> Iterator[Worker]:
    """An API process, until the end."""
    # Approval was off when the example was made, so it has to be off here too.
    environ = {**os.environ, "RULEEDIT_APPROVAL": "off", "RULEEDIT_AUTHENTICATION": "off"}
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--data-dir", str(folder), "--database", database],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environ,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found, "the service didn't start"
        yield Worker(process, int(found[1]))
    finally:
        process.terminate()
        process.wait(30)


def wait_ready(worker: Worker) -> None:
    """Wait until the release is loaded."""
    import httpx

    for _ in range(240):
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{worker.port}/readyz").status_code == 200:
                return
        time.sleep(0.25)
    raise RuntimeError("the service isn't ready")


def idle(workers: Sequence[Worker]) -> float:
    """What following costs where nothing happens: milliseconds of processor time of each process in a second."""
    used = sum(worker.cpu() for worker in workers)
    time.sleep(IDLE_SECONDS)
    spent = sum(worker.cpu() for worker in workers) - used
    return round(spent / (len(workers) * IDLE_SECONDS) * 1e3, 2)


def resident(worker: Worker) -> int:
    """The memory that a process holds, in MiB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{worker.process.pid}/status").read_text())
    assert found
    return int(found[1]) // 1024


def sizes(worker: Worker, request: bytes) -> dict[str, int]:
    """The bytes of a request and of its answer, as they go over the wire."""
    with socket.create_connection(("127.0.0.1", worker.port)) as wire:
        wire.sendall(request.replace(b"Host:", b"Connection: close\r\nHost:"))
        answer = b"".join(iter(lambda: wire.recv(65_536), b""))
    return {"request": len(request), "answer": len(answer)}


def measured(folder: Path, url: str, rounds: int, seconds: float, connections: int) -> dict[str, object]:
    """Start both workers, and load one and both in turn."""
    from ruleedit.datasets import loans

    rows = json.loads(loans(ROWS, seed=7).drop(columns="decision").to_json(orient="records"))
    with schema(url) as database:
        example(folder, database)
        requests = [request(json.dumps({"rows": [row]}).encode()) for row in rows]
        with started(folder, database) as one, started(folder, database) as other:
            for worker in (one, other):
                wait_ready(worker)
            settings = {"1": Setting([one]), "2": Setting([one, other])}
            for number in range(-1, rounds):
                for name in ("1", "2") if number % 2 else ("2", "1"):
                    settings[name].measure(requests, seconds, connections)
                if number < 0:  # the first round warms up
                    for setting in settings.values():
                        setting.rates.clear()
                        setting.costs.clear()
            pairs = zip(settings["1"].rates, settings["2"].rates, strict=True)
            return {
                "rounds": rounds,
                "seconds": seconds,
                "connections": connections,
                "requests_per_second": {name: spread(setting.rates) for name, setting in settings.items()},
                "ratio_2_to_1": spread([two / single for single, two in pairs]),
                "cpu_microseconds_per_request": {name: spread(setting.costs) for name, setting in settings.items()},
                "idle_cpu_ms_per_second": idle([one, other]),
                "resident_mib": resident(one),
                "bytes": sizes(one, requests[0]),
                "load_average": list(os.getloadavg()),
                "processors": os.cpu_count(),
            }


def request(body: bytes) -> bytes:
    """A request for decisions."""
    return (
        b"POST /v1/decisions/loans HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    ) + body


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--database", required=True)
    options.add_argument("--rounds", type=int, default=6)
    options.add_argument("--seconds", type=float, default=2.0, help="of each setting in each round")
    options.add_argument("--connections", type=int, default=8)
    options.add_argument("--json", type=Path, help="write the figures there too")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), asked.database, asked.rounds, asked.seconds, asked.connections)
    told = json.dumps(found, indent=2)
    print(told)
    if asked.json is not None:
        asked.json.write_text(told + "\n")


if __name__ == "__main__":
    main()
