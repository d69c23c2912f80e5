"""The decision log: what a line holds, when it is written, and what happens where it can't be."""

from __future__ import annotations

import errno
import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from service.scoring.log import row_hash
from service.telemetry.lines import Rotating
from tests.serving import ROW, Api, make, refused, serving

ROWS = [ROW, ROW | {"job": None}]


def lines(folder: Path) -> list[dict[str, Any]]:
    """Every line of the log."""
    return [json.loads(line) for line in (folder / "decisions" / "decisions.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a service that logs before it answers."""
    return tmp_path_factory.mktemp("sync")


@pytest.fixture(scope="module")
def api(folder: Path) -> Iterator[Api]:
    """That service."""
    with serving(folder, decision_log="sync", decision_log_values=True) as found:
        make(found)
        yield found


def test_a_synchronous_line_is_there_before_the_answer(api: Api, folder: Path) -> None:
    """It holds the answer as the client got it, the request's id and, by setting, the values."""
    response = api.post("/v1/decisions/small", json={"rows": ROWS}, headers={"X-Request-ID": "order-7"})
    line = lines(folder)[-1]
    assert response.headers["x-request-id"] == line["request"] == "order-7"
    assert {name: line[name] for name in response.json()} == response.json()
    assert line["inputs"] == ROWS
    assert line["at"].endswith("Z")


def test_the_other_protocols_are_logged_alike(api: Api, folder: Path) -> None:
    """MLflow's route here; a refused request leaves no line."""
    before = len(lines(folder))
    api.post("/invocations", json={"instances": ROWS})
    api.decide("small", {"age": "old"})
    assert [len(line["decisions"]) for line in lines(folder)[before:]] == [2]


def test_a_decision_that_can_t_be_logged_is_not_given(api: Api) -> None:
    """503 by name."""
    full = OSError(errno.ENOSPC, "No space left on device")
    with mock.patch.object(Rotating, "write_through", side_effect=full):
        response = api.decide("small", ROW)
        problem = refused(response, 503, "decision-log-failed")
    assert response.headers["Retry-After"] == "1"
    assert "No space left" in problem["detail"]
    assert api.decide("small", ROW).status_code == 200


def test_an_asynchronous_log_is_whole_after_a_graceful_stop(tmp_path: Path) -> None:
    """Hashes instead of values: the row as the model reads it."""
    with serving(tmp_path) as api:
        make(api)
        answers = [api.decide("small", ROW | {"age": 20 + number}).json() for number in range(30)]
    found = lines(tmp_path)
    assert [line["decisions"] for line in found] == [answer["decisions"] for answer in answers]
    assert found[5]["inputs"] == [hashlib.sha256(struct.pack("<4d", 25.0, 1200.5, 1.0, 1.0)).hexdigest()]
    assert len({line["request"] for line in found}) == 30


def test_a_batch_is_one_line_with_its_counts(api: Api, folder: Path) -> None:
    """What it was asked of, and how many rows had each outcome."""
    dataset = api.get("/v1/datasets").json()["items"][0]["id"]
    table = api.post("/v1/decisions/small/batch", json={"dataset": dataset}).text.splitlines()
    told = lines(folder)[-1]["batch"]
    assert (told["dataset"], told["rows"], told["name"]) == (dataset, 400, "small")
    assert sum(told["outcomes"].values()) == len(table) - 1 == 400
    assert told["outcomes"]["yes"] == sum(line.startswith("yes,") for line in table)


def test_it_can_be_off(tmp_path: Path) -> None:
    """Then there is no folder."""
    with serving(tmp_path, decision_log="off") as api:
        make(api)
        assert api.decide("small", ROW).status_code == 200
        assert "ruleedit_decision_log_dropped_total 0.0" in api.get("/metrics").text
    assert not (tmp_path / "decisions").exists()


def test_dropped_lines_are_in_the_metrics(tmp_path: Path) -> None:
    """A log that may hold one line, and a disk that refuses: the answers go on."""
    with serving(tmp_path, decision_log_queue=1) as api:
        make(api)
        with mock.patch.object(Rotating, "write", side_effect=OSError(errno.EIO, "broken")):
            assert all(api.decide("small", ROW).status_code == 200 for _ in range(20))
            text = api.get("/metrics").text
    dropped = next(line for line in text.splitlines() if line.startswith("ruleedit_decision_log_dropped_total"))
    assert float(dropped.split()[1]) >= 10


def test_a_row_s_hash_is_of_its_doubles() -> None:
    """So that anybody can work it out."""
    assert row_hash([1.0, -0.5]) == hashlib.sha256(struct.pack("<2d", 1.0, -0.5)).hexdigest()
