"""Connections: a real server, and clients that open many, ask slowly, ask too much or nothing at all."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from websockets.sync.client import connect

from service.api.access import TABLE
from service.app import create_app
from service.gate.connections import connecting
from tests.serving import Api, local, serving_app

HALF = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextlib.contextmanager
def limited(folder: Path, app: FastAPI | None = None, **limits: float) -> Iterator[Api]:
    """A service with limits of connections."""
    settings = local(folder, **limits)
    with serving_app(app or create_app(settings), **{"ws": "websockets-sansio", **connecting(settings)}) as api:
        yield api


@contextlib.contextmanager
def sockets(api: Api, many: int = 1) -> Iterator[list[socket.socket]]:
    """Connections that say nothing by themselves."""
    assert api.base_url.port is not None
    with contextlib.ExitStack() as stack:
        address = (api.base_url.host, api.base_url.port)
        yield [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(many)]


def heard(one: socket.socket) -> bytes:
    """Everything that comes until the other side closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := one.recv(65_536):
            found += part
    return found


def told(answer: bytes) -> tuple[int, str]:
    """The status and the code of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


def test_half_requests_leave_the_others_their_places(tmp_path: Path) -> None:
    """Slow loris: of 60 connections that never ask a whole question 20 are held, and everybody else is answered."""
    with limited(tmp_path, most_connections=20, head_seconds=1_000.0) as api, sockets(api, 60) as slow:
        for one in slow:
            one.sendall(HALF)
        for _ in range(3):
            for one in slow:
                with contextlib.suppress(OSError):
                    one.sendall(b"x")
            with api.known(None) as other:
                assert other.get("/healthz").status_code == 200
        for one in slow:
            one.setblocking(False)
        held = sum(still_open(one) for one in slow)
    assert 15 <= held <= 20


def still_open(one: socket.socket) -> bool:
    """Whether the other side holds a connection still."""
    try:
        return one.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


@pytest.mark.parametrize("before", [b"", WHOLE])
@pytest.mark.parametrize("half", [b"", HALF])
def test_a_request_that_never_comes_whole_is_ended(tmp_path: Path, before: bytes, half: bytes) -> None:
    """With 408, on a new connection and after a request that was answered; an idle one ends by its own time."""
    with limited(tmp_path, head_seconds=0.3, keep_alive_seconds=1) as api, sockets(api) as (one,):
        if before:
            one.sendall(before)
            first = one.recv(65_536)
            assert first.startswith(b"HTTP/1.1 200")
        one.sendall(half)
        answer = heard(one)
    if before and not half:
        assert answer == b""
    else:
        assert told(answer) == (408, "too-slow")


def test_a_request_that_comes_in_small_parts_is_answered(tmp_path: Path) -> None:
    """As long as its time allows; and a body has a time of its own."""
    with limited(tmp_path, head_seconds=5.0) as api, sockets(api) as (one,):
        for byte in WHOLE:
            one.sendall(bytes([byte]))
        assert one.recv(65_536).startswith(b"HTTP/1.1 200")


def test_the_time_of_a_head_is_none_of_its_body_s(tmp_path: Path) -> None:
    """A body that takes longer than a head may is read; what comes after an answer given early isn't a head."""
    with limited(tmp_path, head_seconds=1.0, most_head=1_000) as api:
        with sockets(api) as (one,):
            one.sendall(b"POST /v1/rulesets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            one.sendall(b"Content-Length: 2\r\nConnection: close\r\n\r\n")
            time.sleep(1.5)
            one.sendall(b"{}")
            assert told(heard(one)) == (422, "request-invalid")
        with sockets(api) as (one,):
            one.sendall(b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\n\r\n")
            assert one.recv(65_536).startswith(b"HTTP/1.1 404")
            for _ in range(50):
                one.sendall(b"x" * 1_000)
            one.sendall(WHOLE)
            assert b"HTTP/1.1 200" in one.recv(65_536)


def test_a_head_past_its_size_is_refused(tmp_path: Path) -> None:
    """431, however it arrives; one within its size is answered."""
    with limited(tmp_path, most_head=4_096) as api:
        assert api.get("/healthz", headers={"X-Long": "x" * 3_000}).status_code == 200
        with sockets(api, 2) as (at_once, in_parts):
            at_once.sendall(HALF + b"x" * 5_000)
            assert told(heard(at_once)) == (431, "too-large")
            with contextlib.suppress(OSError):
                in_parts.sendall(HALF)
                for number in range(1_000):
                    in_parts.sendall(b"a\r\nX-%d: " % number)
            assert told(heard(in_parts)) == (431, "too-large")
        assert api.get("/healthz").status_code == 200


def test_where_every_connection_is_being_answered_a_new_one_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After, and no connection that works is closed for it; afterwards there is room again."""
    monkeypatch.setitem(TABLE, "GET /slow", None)
    go, working = threading.Event(), threading.Semaphore(0)

    def slow() -> dict[str, str]:
        working.release()
        assert go.wait(20)
        return {}

    app = create_app(local(tmp_path))
    app.add_api_route("/slow", slow)
    with limited(tmp_path, app, most_connections=3) as api, ThreadPoolExecutor(3) as pool:
        api.close()
        clients = [httpx.Client(base_url=api.base_url, timeout=30) for _ in range(3)]
        held = [pool.submit(client.get, "/slow") for client in clients]
        assert all(working.acquire(timeout=10) for _ in clients)
        with sockets(api) as (one,):
            answer = heard(one)
            assert (told(answer), b"retry-after: 1" in answer) == ((503, "overloaded"), True)
        go.set()
        assert [one.result().status_code for one in held] == [200] * 3
        assert httpx.get(f"{api.base_url}/healthz").status_code == 200
        for client in clients:
            client.close()


def test_a_websocket_is_no_slow_request(tmp_path: Path) -> None:
    """It stays open past the time of a head, and counts as a connection."""
    app = FastAPI()

    @app.websocket("/echo")
    async def echo(ws: WebSocket) -> None:
        await ws.accept()
        while True:
            await ws.send_text(await ws.receive_text())

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {}

    with limited(tmp_path, app, head_seconds=1.0, most_connections=3) as api:
        url = str(api.base_url).replace("http", "ws", 1)
        with connect(f"{url}/echo") as one, connect(f"{url}/echo") as two:
            time.sleep(1.5)
            for socketed in (one, two):
                socketed.send("still there")
                assert socketed.recv(timeout=10) == "still there"


def test_the_settings_are_those_of_the_server(tmp_path: Path) -> None:
    """As uvicorn calls them."""
    given = connecting(local(tmp_path, backlog=7, keep_alive_seconds=9))
    assert (given["backlog"], given["timeout_keep_alive"]) == (7, 9)
