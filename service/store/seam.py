"""The seam at which tests let the storage fail: every call to the database or the disk passes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

#: Called with what is about to be done: "statement", "commit", "write", "publish". What it raises, the call raises.
Storage: TypeAlias = Callable[[str], None]


def real_storage(call: str) -> None:
    """The storage as it is: nothing stands between."""
