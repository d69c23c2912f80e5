"""The process that listens: bound before anything else, stopped gracefully by SIGTERM."""

from __future__ import annotations

import signal
import socket

import uvicorn

from ruleedit.errors import Refused
from service.app import create_app
from service.settings import Settings
from service.store.files import Claim

#: Seconds that requests in flight have when the service is stopped.
GRACE = 10


def run(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; raises `Refused` or `FileRefused` where port or folder are in use."""
    listening = listen(host, port)
    with listening:
        Claim(settings.data_dir).release()
        config = uvicorn.Config(
            create_app(settings),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=GRACE,
            server_header=False,
            ws="none",
        )
        name = f"[{host}]" if ":" in host else host
        print(
            f"RuleEdit serves on http://{name}:{listening.getsockname()[1]} (data in {settings.data_dir})", flush=True
        )
        # uvicorn raises the signal again once it has stopped; that is no failure.
        signal.signal(signal.SIGTERM, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listening])


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
