"""The gate's limits: how deep JSON may nest, how long a body may take, how many requests are at work at once."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.access import TABLE
from service.app import create_app
from service.errors import Overloaded
from service.gate.limits import Lane, nested_deeper
from tests.serving import ROW, TARGET, Api, local, make, serving, serving_app, small_table

#: Texts with everything that could be taken for a bracket or the end of a string.
TRICKY = st.text(st.sampled_from('[]{}"\\a:, \N{ROCKET}'), max_size=8)
NESTED = st.recursive(
    st.none() | st.integers() | TRICKY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TRICKY, inner, max_size=3),
    max_leaves=20,
)


def depth(value: Any) -> int:
    """How deep a JSON value nests."""
    if isinstance(value, dict | list):
        return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


@given(NESTED, st.integers(0, 6), st.sampled_from([None, 2]), st.booleans())
def test_depth_is_found_without_parsing(value: Any, most: int, indent: int | None, ascii_only: bool) -> None:
    """Whatever stands in strings, however it is laid out."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert nested_deeper(text, most) == (depth(value) > most)


@pytest.mark.parametrize(
    "piece",
    [b"[", b"[]", b'"', b"\\", b'["', b"[[[]", b'"\\"', b"[" * 33 + b"]" * 33, b"[]{", b'"[', b'{"a":', b"]", b"\xff"],
)
def test_depth_is_found_in_linear_time(piece: bytes) -> None:
    """A mebibyte of whatever is worst takes less than three times as long as half of it, and some fixed time.

    Of the processor, so that nothing else on the machine counts.
    """
    times = []
    for size in (2**19, 2**20):
        began = time.thread_time()
        nested_deeper(piece * (size // len(piece)), 32)
        times.append(time.thread_time() - began)
    assert times[1] < 3 * times[0] + 0.2


# --- lanes -----------------------------------------------------------------------------------


def test_a_lane_takes_so_many_lets_some_wait_and_refuses_the_rest() -> None:
    """And takes the next ones as soon as there is room."""

    async def played() -> tuple[list[str], int]:
        lane, told, go = Lane("requests", 2, 1, 7), [], asyncio.Event()

        async def one() -> None:
            try:
                async with lane.passing():
                    told.append("began")
                    await go.wait()
                    told.append("ended")
            except Overloaded as problem:
                told.append(f"refused {problem.retry_after}")

        tasks = [asyncio.create_task(one()) for _ in range(5)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert told == ["began", "began", "refused 7", "refused 7"]
        go.set()
        await asyncio.gather(*tasks)
        return told, lane.inside

    told, inside = asyncio.run(played())
    assert told.count("ended") == 3
    assert inside == 0


def test_whoever_gives_up_waiting_leaves_the_lane() -> None:
    """A client that goes away holds no place."""

    async def played() -> int:
        lane = Lane("requests", 1, 5, 1)
        async with lane.passing():
            waiting = [asyncio.create_task(lane.passing().__aenter__()) for _ in range(3)]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            return lane.inside

    assert asyncio.run(played()) == 1


class Slow:
    """A route that takes as long as the test wants."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.working = threading.Semaphore(0)

    def __call__(self) -> dict[str, str]:
        self.working.release()
        assert self.go.wait(60)
        return {}


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """Such a route, declared for anybody."""
    monkeypatch.setitem(TABLE, "GET /slow", None)
    return Slow()


def test_a_service_sheds_what_it_can_t_take_and_recovers(tmp_path: Path, slow: Slow) -> None:
    """503 with Retry-After at once; health answers all the time; what was taken is answered."""
    app = create_app(local(tmp_path, most_at_once=2, most_waiting=3))
    app.add_api_route("/slow", slow)
    with serving_app(app) as api, ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(api.get, "/slow") for _ in range(20)]
        assert slow.working.acquire(timeout=60)
        assert slow.working.acquire(timeout=60)
        until = time.monotonic() + 60
        while sum(one.done() for one in asked) < 15 and time.monotonic() < until:
            time.sleep(0.01)
        assert api.get("/healthz").status_code == 200
        assert api.get("/readyz").status_code == 200
        refused = [one.result() for one in asked if one.done()]
        assert len(refused) == 15
        slow.go.set()
        answers = [one.result() for one in asked]
        assert api.get("/slow").status_code == 200
    for response in refused:
        assert (response.status_code, response.json()["code"]) == (503, "overloaded")
        assert response.headers["retry-after"] == "1"
    assert sorted(response.status_code for response in answers) == [200] * 5 + [503] * 15


def test_decisions_have_a_lane_of_their_own(tmp_path: Path, slow: Slow) -> None:
    """Other work doesn't hold them up."""
    app = create_app(local(tmp_path, most_at_once=1, most_waiting=0))
    app.add_api_route("/slow", slow)
    with serving_app(app) as api:
        make(api)
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(api.get, "/slow")
            assert slow.working.acquire(timeout=60)
            assert api.decide("small", ROW).status_code == 200
            assert api.get("/v1/datasets").status_code == 503
            slow.go.set()
            assert held.result().status_code == 200


def test_jobs_past_the_queue_are_429_and_taken_later(tmp_path: Path) -> None:
    """With Retry-After; those that were taken end as they should, and then there is room again."""
    with serving(tmp_path, workers=1, most_jobs=1) as api:
        dataset = api.upload(small_table(100)).json()["id"]
        body = {"dataset": dataset, "target": TARGET}
        asked = [api.post("/v1/models", json=body | {"seed": seed}) for seed in range(6)]
        refused = [response for response in asked if response.status_code == 429]
        assert refused
        for response in refused:
            assert response.json()["code"] == "queue-full"
            assert int(response.headers["retry-after"]) > 0
        taken = [response for response in asked if response not in refused]
        assert taken
        assert {api.ended(response)["state"] for response in taken} == {"succeeded"}
        assert api.post("/v1/models", json=body).status_code == 202


# --- bodies ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service that waits a third of a second for the next part of a body."""
    with serving(tmp_path_factory.mktemp("gate"), body_seconds=1.0, most_depth=8) as found:
        make(found)
        yield found


def said(api: Api, head: str, *parts: bytes) -> bytes:
    """What the service answers to a request that stops in the middle."""
    host, port = api.base_url.host, api.base_url.port
    assert port is not None
    with socket.create_connection((host, port), timeout=10) as raw:
        raw.sendall(f"{head}\r\nHost: localhost\r\nConnection: close\r\n".encode() + b"\r\n")
        for part in parts:
            raw.sendall(part)
        answer = b""
        while piece := raw.recv(65_536):
            answer += piece
    return answer


@pytest.mark.parametrize("media", ["application/json", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/datasets", "/v1/decisions/small", "/v1/releases"])
def test_a_body_that_stops_arriving_is_408(api: Api, path: str, media: str) -> None:
    """However it began; the connection isn't held."""
    head = f"POST {path} HTTP/1.1\r\nContent-Type: {media}\r\nContent-Length: 100"
    answer = said(api, head, b"--x\r\nContent-Disposition" if "form" in media else b'{"rows"')
    status = int(answer.split(b" ")[1])
    assert status in (408, 415), answer
    assert status == 408 or "form" in media or "dataset" in path
    assert b"problem+json" in answer


def test_a_slow_body_that_keeps_arriving_is_read(api: Api) -> None:
    """The time is between two parts, not for all of them."""
    body = json.dumps({"rows": [ROW]}).encode()
    host, port = api.base_url.host, api.base_url.port
    assert port is not None
    head = "POST /v1/decisions/small HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, port), timeout=10) as raw:
        raw.sendall(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for start in range(0, len(body), 10):
            raw.sendall(body[start : start + 10])
            time.sleep(0.1)
        assert b" 200 " in raw.recv(100)


def post(api: Api, path: str, content: bytes) -> httpx.Response:
    """Send JSON as it is."""
    return api.post(path, content=content, headers={"Content-Type": "application/json", "If-Match": "*"})


@pytest.mark.parametrize("path", ["/v1/models", "/v1/rulesets", "/v1/releases", "/v1/decisions/small", "/v1/keys"])
def test_json_of_nine_levels_is_422_where_eight_are_read(api: Api, path: str) -> None:
    """On every route that takes JSON; as a problem with a code of its own."""
    for levels, code in ((7, None), (8, "too-deep"), (500_000, "too-deep")):
        content = b'{"more": ' + b"[" * levels + b"]" * levels + b"}"
        response = post(api, path, content)
        assert response.status_code == 422
        assert (response.json()["code"] == "too-deep") == (code is not None), response.text


def test_json_in_a_form_nests_no_deeper_either(api: Api) -> None:
    """A schema is JSON in a form."""
    form = {"dataset": "x", "target": "ok", "schema": "[" * 9 + "]" * 9}
    response = api.post("/v1/models", data=form, files={"file": ("m.txt", b"tree")})
    assert (response.status_code, response.json()["code"]) == (422, "too-deep")


def test_a_large_body_in_one_part_or_many_is_the_same(api: Api) -> None:
    """It is read whole before the routes see it."""
    body = json.dumps({"rows": [ROW] * 3_000}).encode()
    whole = post(api, "/v1/decisions/small", body)

    def parts() -> Iterator[bytes]:
        for start in range(0, len(body), 1_000):
            yield body[start : start + 1_000]

    headers = {"Content-Type": "application/json"}
    split = api.post("/v1/decisions/small", content=parts(), headers=headers)
    assert whole.status_code == split.status_code == 200
    assert whole.json() == split.json()
