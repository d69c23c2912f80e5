"""The processes of compose.yaml without containers: API processes, a workbench, and the proxy before them."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.serving import Api, wait_ready

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-c", "from ruleedit.cli import main; main()", "serve"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Process:
    """One process of the service: what it is started with, and what it said each time."""

    name: str
    options: Sequence[str]
    environ: dict[str, str]
    folder: Path
    port: int = field(default_factory=free_port)
    running: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self) -> None:
        """Start it, again on its port; what it says goes to a file."""
        self.starts += 1
        with (self.folder / f"{self.name}-{self.starts}.log").open("wb") as out:
            self.running = subprocess.Popen(
                [*COMMAND, "--port", str(self.port), *self.options], env=self.environ, stdout=out, stderr=out
            )

    def kill(self) -> None:
        """kill -9, and gone."""
        assert self.running is not None
        self.running.send_signal(signal.SIGKILL)
        self.running.wait(30)

    def stop(self) -> None:
        """Stop it gracefully, whatever it is at; nothing is left of it."""
        if self.running is not None and self.running.poll() is None:
            self.running.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.running.wait(30)
            self.running.kill()
            self.running.wait(30)

    def ready(self) -> None:
        """Wait until it says itself that it is."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}") as http:
            wait_ready(http, 120)

    def said(self) -> str:
        """What it said, each time that it was started."""
        return "".join(path.read_text() for path in sorted(self.folder.glob(f"{self.name}-*.log")))


@dataclass(frozen=True)
class Topology:
    """The processes, and how to reach them through the proxy."""

    api: list[Process]
    workbench: Process
    url: str
    trust: ssl.SSLContext

    @property
    def processes(self) -> list[Process]:
        """Every process of the service."""
        return [*self.api, self.workbench]

    def client(self, key: str | None = None) -> Api:
        """A client of the proxy."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        found = Api(base_url=self.url, timeout=120, headers=headers, verify=self.trust)
        # Each process that runs its first job imports every library for it, beside the others.
        found.patience = 300.0
        return found

    def admin_key(self) -> str:
        """The key that one of the processes printed, once."""
        keys = re.findall(r"^Admin key, shown this once: (\S+)$", "".join(p.said() for p in self.processes), re.M)
        assert len(keys) == 1, keys
        return str(keys[0])


@contextlib.contextmanager
def topology(folder: Path, database: str, **environ: str) -> Iterator[Topology]:
    """Two API processes, a workbench and the proxy over an empty database, started at once."""
    shared = {"RULEEDIT_SHARED": "on", "RULEEDIT_DATABASE": database, "RULEEDIT_DATA_DIR": str(folder / "data")}
    known = {name: value for name, value in os.environ.items() if not name.startswith("RULEEDIT_")}
    both = known | shared | environ
    api = [Process(f"api-{number}", ["--only", "api"], both, folder) for number in (1, 2)]
    workbench = Process("workbench", ["--only", "workbench"], both | {"RULEEDIT_WORKERS": "0"}, folder)
    with contextlib.ExitStack() as ending:
        for process in (*api, workbench):
            ending.callback(process.stop)
            process.start()
        for process in (*api, workbench):
            process.ready()
        trust = certificate(folder)
        url = ending.enter_context(proxy(folder, api, workbench))
        yield Topology(api, workbench, url, trust)


@contextlib.contextmanager
def proxy(folder: Path, api: Sequence[Process], workbench: Process) -> Iterator[str]:
    """The proxy of compose.yaml, with its own file but for addresses and places; its URL."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx isn't installed, so the processes can't be put behind the proxy's own file")
    port, text = free_port(), (ROOT / "deploy" / "nginx.conf").read_text()
    for old, new in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/nginx/tls": str(folder),
        "/tmp/nginx": str(folder / "nginx"),
        "workbench:8000": f"127.0.0.1:{workbench.port}",
        **{f"{process.name}:8000": f"127.0.0.1:{process.port}" for process in api},
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    file = folder / "nginx.conf"
    # Whoever runs the tests can read the folder.
    file.write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
    command = [program, "-p", str(folder), "-c", str(file), "-e", str(folder / "nginx.log")]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    running = subprocess.Popen([*command, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
    try:
        _listens(port)
        yield f"https://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(30)


def _listens(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("the proxy doesn't listen")


def certificate(folder: Path) -> ssl.SSLContext:
    """A certificate for this machine in ``tls.crt`` and ``tls.key``, and what trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "tls.key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return ssl.create_default_context(cafile=folder / "tls.crt")
