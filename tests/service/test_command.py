"""`ruleedit serve` as a process: what it refuses, and what a kill leaves."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ruleedit.errors import Refused
from service.server import listen
from service.settings import Settings, check_host
from service.store.files import Claim
from tests.serving import Api, local, wait_ready

COMMAND = [sys.executable, "-c", "from ruleedit.cli import main; main()", "serve"]
#: How LightGBM's threads wait for one another.
WAITING = "OMP_WAIT_POLICY"
APPLICANT = {"age": 28, "income": 40_000, "debt_ratio": 0.2}


def serve(*options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command where it ends by itself."""
    return subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=60, cwd=cwd)


@contextlib.contextmanager
def running(folder: Path, **environ: str) -> Iterator[tuple[subprocess.Popen[str], Api]]:
    """A service process with the example on a free port; whatever happens it is gone at the end."""
    process = subprocess.Popen(
        [*COMMAND, "--demo", "--port", "0", "--data-dir", str(folder / "data")],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={name: value for name, value in os.environ.items() if name != WAITING} | environ,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found, said
        with Api(base_url=found[0], timeout=60) as api:
            wait_ready(api)
            yield process, api
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def test_a_killed_service_comes_back_with_everything(tmp_path: Path) -> None:
    """kill -9 after an edit: the revision and the active release are there, and SIGTERM then ends it gracefully."""
    with running(tmp_path) as (process, api):
        ruleset = api.get("/v1/rulesets").json()["items"][0]
        features = api.get("/v1/models").json()["items"][0]["schema"]["features"]
        row = dict.fromkeys(feature["name"] for feature in features)
        before = api.decide("loans", row | APPLICANT).json()
        assert before["decisions"][0]["by"] == "overlay"
        edited = api.edit(ruleset["id"], "default deny", tag=f'"{ruleset["revision"]}"').json()
        job = api.post(
            "/v1/models", json={"dataset": api.get("/v1/datasets").json()["items"][0]["id"], "target": "decision"}
        )
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    with running(tmp_path) as (process, api):
        assert api.decide("loans", row | APPLICANT).json() == before
        assert api.get(f"/v1/rulesets/{ruleset['id']}").json()["revision"] == edited["revision"]
        ended = api.ended(job)
        assert ended["state"] == "succeeded" or ended["error"]["code"] == "interrupted"
        assert len(api.get("/v1/rulesets").json()["items"]) == 1
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - began < 20


def descendants(process: int) -> list[Path]:
    """The folders in /proc of a process's children and theirs."""
    found = []
    for listed in Path(f"/proc/{process}/task").glob("*/children"):
        for child in listed.read_text().split():
            found += [Path("/proc") / child, *descendants(int(child))]
    return found


@pytest.mark.parametrize("chosen", [None, "active"])
def test_threads_of_jobs_wait_without_spinning(tmp_path: Path, chosen: str | None) -> None:
    """Unless somebody chose otherwise: two jobs that train at once would take each other's processors."""
    with running(tmp_path, **({} if chosen is None else {WAITING: chosen})) as (process, _):
        environs = [(child / "environ").read_bytes().split(b"\0") for child in descendants(process.pid)]
        assert environs
        for environ in environs:
            assert f"{WAITING}={chosen or 'passive'}".encode() in environ


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org", ""])
def test_without_authentication_an_address_that_others_reach_is_refused(tmp_path: Path, host: str) -> None:
    """The error says why, and what is accepted; with authentication it is fine."""
    with pytest.raises(Refused, match="authentication is off"):
        check_host(host, local(tmp_path))
    check_host(host, Settings(tmp_path))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_an_address_of_this_machine_is_accepted(tmp_path: Path, host: str) -> None:
    """Whichever of them."""
    check_host(host, local(tmp_path))


def test_the_command_refuses_other_hosts_with_exit_2(tmp_path: Path) -> None:
    """One line, and nothing is made."""
    done = serve("--demo", "--host", "0.0.0.0", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "authentication is off" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_refused_with_exit_2(tmp_path: Path) -> None:
    """One line that names the port and the way out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=f"port {port}.*--port"):
            listen("127.0.0.1", port)
        done = serve("--port", str(port), cwd=tmp_path)
    assert done.returncode == 2
    assert str(port) in done.stderr


def test_a_socket_on_a_free_port(tmp_path: Path) -> None:
    """Port 0 takes one; a host that is none is refused."""
    with listen("127.0.0.1", 0) as bound:
        assert bound.getsockname()[1] > 0
    with pytest.raises(Refused, match="can't be used"):
        listen("256.0.0.1", 0)


def test_answers_don_t_wait_for_the_client_s_acknowledgement() -> None:
    """The socket names its protocol: asyncio sets TCP_NODELAY on no other."""
    with listen("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP


def test_the_command_line_loads_nothing_heavy() -> None:
    """Importing the command imports neither the framework nor the model library."""
    heavy = "fastapi", "uvicorn", "sqlalchemy", "lightgbm", "pandas", "numpy"
    code = f"import sys, service.command; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_first_start_prints_an_admin_key(tmp_path: Path) -> None:
    """Without it nothing is answered; it says who asks."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--data-dir", str(tmp_path / "data")],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found
        with Api(base_url=found[0], timeout=60) as api:
            wait_ready(api)
            assert api.get("/v1/datasets").status_code == 401
            said = process.stdout.readline()
            key = re.search(r"^Admin key, shown this once: (re_\S+)$", said)
            assert key, said
            assert api.known(key[1]).get("/v1/me").json() == {"name": "admin", "roles": ["admin"], "kind": "key"}
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_a_database_of_somebody_else_is_refused_in_one_line(tmp_path: Path) -> None:
    """Nothing of it is changed, and no server begins to start."""
    (tmp_path / "data").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "ruleedit.db")) as other:
        other.execute("CREATE TABLE shopping (what TEXT)")
        other.commit()
    ended = serve("--demo", "--port", "0", "--data-dir", "data", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("ruleedit: the database 'ruleedit.db' has tables that aren't RuleEdit's")
    assert ended.stderr.count("\n") == 1


def test_what_can_t_be_used_is_refused_in_one_line(tmp_path: Path) -> None:
    """A folder that can't be made, a key that others can read, heads that can't be written: before anything listens."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----")
    (tmp_path / "key.pem").chmod(0o644)
    for data, environ, said in (
        ("file", {}, "the data folder 'file' can't be made: File exists"),
        ("file/below", {}, "the data folder 'file/below' can't be made: Not a directory"),
        ("a", {"RULEEDIT_AUDIT_KEY": "key.pem"}, "the key file 'key.pem' can be read by others; chmod 600"),
        ("b", {"RULEEDIT_HEADS": "."}, "the heads can't be published in '.': Is a directory"),
    ):
        ended = subprocess.run(
            [*COMMAND, "--port", "0", "--data-dir", data],
            capture_output=True, text=True, timeout=60, cwd=tmp_path, env=os.environ | environ,
        )  # fmt: skip
        assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
        assert ended.stderr.startswith(f"ruleedit: {said}"), ended.stderr
        assert ended.stderr.count("\n") == 1


def test_the_data_folder_is_its_owner_s_alone(tmp_path: Path) -> None:
    """Where the service makes it; the rights of a folder that is there are whoever made it's to choose."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there").chmod(0o750)
    for name, mode in (("made", 0o700), ("there", 0o750)):
        Claim(tmp_path / name).release()
        assert (tmp_path / name).stat().st_mode & 0o777 == mode
