"""Twenty times what the service can take: it sheds the rest at once, and is itself again as soon as that is over."""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import ROW, Api, make, wait_ready

#: A request that takes some work, so that twenty times the rated load can be sent from the same machine.
BODY = json.dumps({"rows": [ROW] * 400}).encode()
REQUEST = (
    b"POST /v1/decisions/small HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A real server process that takes eight requests for decisions at once."""
    command = [sys.executable, "-c", "from ruleedit.cli import main; main()", "serve", "--port", "0"]
    chosen = {"RULEEDIT_AUTHENTICATION": "off", "RULEEDIT_APPROVAL": "off", "RULEEDIT_MOST_DECIDING": "8"}
    process = subprocess.Popen(
        [*command, "--data-dir", str(tmp_path / "data")], stdout=subprocess.PIPE, text=True, env=os.environ | chosen
    )
    assert process.stdout is not None
    try:
        found = re.search(r"http://(\S+):(\d+)", process.stdout.readline())
        assert found is not None
        with Api(base_url=found[0], timeout=60) as api:
            wait_ready(api)
            make(api)
        yield found[1], int(found[2])
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


class Load:
    """What was answered, and how long each answer took."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.without_retry = 0

    async def client(self, until: float, pause: float) -> None:
        """One connection that sends a request each ``pause`` seconds, or as soon as it was answered."""
        reader, writer = await asyncio.open_connection(*self._address)
        due = time.monotonic()
        try:
            while time.monotonic() < until:
                writer.write(REQUEST)
                began = time.monotonic()
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                assert length is not None
                await reader.readexactly(int(length[1]))
                status = int(head.split(b" ", 2)[1])
                self.statuses[status] += 1
                self.seconds.append(time.monotonic() - began)
                self.without_retry += status != 200 and b"retry-after:" not in head.lower()
                due += pause
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        finally:
            writer.close()


def run(address: tuple[str, int], clients: int, seconds: float, rate: float | None = None) -> Load:
    """So many connections for so long, together at a rate, or each as fast as it is answered."""
    load, pause = Load(address), 0.0 if rate is None else clients / rate

    async def all_of_them() -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(load.client(until, pause) for _ in range(clients)))

    asyncio.run(all_of_them())
    return load


@pytest.mark.soak
def test_twenty_times_the_rated_load_is_shed_and_forgotten(address: tuple[str, int]) -> None:
    """For 60 s each answer is 200, 429 or 503 with Retry-After; within 10 s afterwards all is as it was."""
    times, seconds, recovery = 20, 60, 10
    calm = run(address, 1, 3)
    usual = statistics.median(calm.seconds)
    rated = sum(run(address, 4, 4).statuses.values()) / 4
    flood = run(address, 200, seconds, times * rated)
    assert set(flood.statuses) <= {200, 429, 503}
    assert flood.without_retry == 0
    assert flood.statuses[200] > 0.2 * rated * seconds
    assert flood.statuses.total() > 0.5 * times * rated * seconds
    until = time.monotonic() + recovery
    while (after := run(address, 1, 1)) and statistics.median(after.seconds) > 2 * usual:
        assert time.monotonic() < until
    assert set(after.statuses) == {200}
