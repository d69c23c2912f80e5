"""Settings: what an operator can choose, and the limits with their reasons."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from ruleedit.errors import Refused

MIB = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """One service's settings.

    Parameters
    ----------
    data_dir
        The folder of the database and the files; made where it isn't there.
    demo
        Whether a ready example is made on the first start.
    workers
        Jobs at once: a long one holds up no short one, and training uses every processor already.
    most_upload
        Bytes of an upload: a table of 1 M rows x 10 columns as CSV.
    most_json
        Bytes of a JSON body: 10,000 rows of 10 short values, more belongs in a file.
    most_rows
        Rows of one request for decisions, so that one request holds up others by well under a second.
    inline_rows
        Up to so many rows are decided on the event loop: handing them to a thread costs more than deciding.
    progress_seconds
        A job's progress is written at most this often: each write is one wait for the disk.
    """

    data_dir: Path
    demo: bool = False
    workers: int = 2
    most_upload: int = 64 * MIB
    most_json: int = MIB
    most_rows: int = 10_000
    inline_rows: int = 16
    progress_seconds: float = 0.25


def check_loopback(host: str) -> None:
    """Raise `Refused` where ``host`` can be reached from elsewhere: there is no authentication yet."""
    if host == "localhost":
        return
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    raise Refused(
        f"the host {host!r} can be reached from elsewhere, and there is no authentication yet; "
        "127.0.0.1, ::1 or localhost is accepted"
    )
