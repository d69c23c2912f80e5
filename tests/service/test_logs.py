"""Structured logs: a line of JSON for each request and each thing that the service says of itself."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.app import create_app
from service.settings import Settings
from service.telemetry.logs import JsonLines, RequestIds, request_line, stamp
from tests.serving import ROW, make, serving_app


def test_each_request_leaves_a_line_without_personal_data(tmp_path: Path) -> None:
    """Id, person, method, template, status, seconds; no address, no parameter, no body, no path that somebody typed."""
    found: list[bytes] = []
    settings = Settings(tmp_path, authentication=False, approval=False)
    with serving_app(create_app(settings, request_log=found.append)) as api:
        make(api)
        api.decide("small", ROW)
        api.get("/v1/datasets/secret-name?limit=5")
        api.get("/secret-path")
    told = [json.loads(line) for line in found]
    assert {tuple(line) for line in told} == {("at", "request", "person", "method", "route", "status", "seconds")}
    decided, dataset, unknown = told[-3:]
    assert (decided["route"], decided["status"], decided["person"]) == ("/v1/decisions/{name}", 200, "local")
    assert (dataset["route"], dataset["status"]) == ("/v1/datasets/{dataset}", 404)
    assert (unknown["route"], unknown["status"]) == ("unknown", 404)
    assert b"secret" not in b"".join(found)
    assert len({line["request"] for line in told}) == len(told)


def test_an_id_is_the_client_s_where_it_is_plain(tmp_path: Path) -> None:
    """Anything else gets one of ours, so that no line can be forged."""
    ids = RequestIds()
    assert ids.of(b"order-7:a.b_c") == "order-7:a.b_c"
    for odd in (None, b"", b"a b", b'"', b"a\nb", b"x" * 65, "é".encode()):
        assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", ids.of(odd))
    assert ids.of(None) != ids.of(None)


def test_a_person_s_name_can_t_break_a_line() -> None:
    """Quotes and line ends are escaped."""
    line = request_line("r1", 'a "b"\n', "GET", "/", 200, 0.0123456)
    assert json.loads(line)["person"] == 'a "b"\n'
    assert b"\n" not in line
    assert json.loads(request_line("r1", None, "GET", "/", 401, 0.1))["person"] is None


@pytest.mark.parametrize("seconds", [0.0, 1_700_000_000.999, 1_700_000_000.0005, 951_782_400.25])
def test_a_stamp_is_rfc_3339(seconds: float) -> None:
    """To the millisecond, in UTC."""
    moment = datetime.fromisoformat(stamp(seconds))
    assert abs(moment.timestamp() - seconds) < 0.0011
    assert moment.tzinfo == UTC


def test_what_the_service_says_of_itself_is_a_line() -> None:
    """With its level, and the trace of an exception in the same line."""
    try:
        raise ValueError("x\ny")
    except ValueError:
        record = logging.LogRecord("service.x", logging.ERROR, "f", 1, "failed %s", ("here",), sys.exc_info())
    told = json.loads(JsonLines().format(record))
    assert (told["level"], told["logger"], told["message"]) == ("error", "service.x", "failed here")
    assert "ValueError" in told["trace"]


def test_a_process_logs_to_standard_error() -> None:
    """`configure` gives the one place, for logs of libraries and for requests."""
    program = (
        "import logging; from service.telemetry.logs import configure; "
        "w = configure(); logging.warning('a\\nb'); w(b'{}\\n')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    first, second = ended.stderr.splitlines()
    assert (json.loads(first)["message"], second, ended.stdout) == ("a\nb", "{}", "")
