"""The process that listens: bound before anything else, stopped gracefully by SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import socket

import uvicorn

from ruleedit.errors import Refused
from service.app import create_app
from service.audit.heads import Heads
from service.auth.tokens import check_keys
from service.gate.connections import connecting
from service.settings import Settings, check_host, is_loopback
from service.store.files import Claim
from service.store.repository import Repository
from service.telemetry import logs
from service.telemetry.lines import Writer

#: Seconds that requests in flight have when the service is stopped.
GRACE = 10
#: Lines of the request log that may wait for a slow reader of standard error; more are dropped.
REQUEST_LINES = 100_000


def run(settings: Settings, host: str, port: int, *, new_admin_key: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; raises `Refused` or `FileRefused` where port or folder are in use."""
    check_host(host, settings)
    check_keys(settings)
    listening = listen(host, port)
    requests = Writer(logs.configure(), REQUEST_LINES) if settings.request_log else None
    with listening, contextlib.ExitStack() as ending:
        Claim(settings.data_dir, shared=settings.shared).release()
        # Opened once before: what can't be used is refused in one line, not by a server that fails to start.
        Repository(settings.store, shared=settings.shared).close()
        Heads(settings.heads_file, settings.key_file).check()
        if requests is not None:
            ending.callback(requests.close)
        config = uvicorn.Config(
            create_app(
                settings,
                new_admin_key=new_admin_key,
                announce=_show,
                request_log=None if requests is None else requests.put,
            ),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE,
            server_header=False,
            **connecting(settings),
            ws="websockets-sansio" if settings.workbench else "none",
        )
        name = f"[{host}]" if ":" in host else host
        print(
            f"RuleEdit serves on http://{name}:{listening.getsockname()[1]} (data in {settings.data_dir})", flush=True
        )
        if settings.notice:
            print(f"Notice: {settings.notice}", flush=True)
        elif not is_loopback(host):
            print("Notice: keys travel as they are; put a proxy with TLS in front", flush=True)
        # uvicorn raises the signal again once it has stopped; that is no failure.
        signal.signal(signal.SIGTERM, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listening])


def _show(key: str) -> None:
    print(f"Admin key, shown this once: {key}", flush=True)


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to an address; raises `Refused` where it isn't free."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With the protocol named asyncio turns Nagle's algorithm off; without, each answer waits 40 ms for an ACK.
        bound = socket.socket(family, kind, protocol)
    except OSError as problem:
        raise Refused(f"the host {host!r} can't be used: {problem.strerror}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as problem:
        bound.close()
        raise Refused(f"port {port} of {host} can't be used ({problem.strerror}); give another --port") from None
    return bound
