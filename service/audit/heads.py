"""The published heads of the audit chain: signed lines in a file that only grows, outside of the database.

Whoever can write to the database can write its history anew; what was published before shows it. Put
the file where the service may append and nobody may overwrite, or copy it away.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ruleedit.chain import Head, SignedHead, new_key, sign_head, verify_head
from ruleedit.errors import FileRefused
from ruleedit.schema import canonical_json


class Heads:
    """One file of heads, and the key that signs them.

    ``key_file`` is an Ed25519 key as PEM (PKCS #8); it is made, for its owner alone, where there is none.
    Processes that share both take turns at the file.
    Raises `FileRefused` for a key that others can read, or that is none.
    """

    def __init__(self, file: Path, key_file: Path) -> None:
        self._file = file
        self._key = _read_key(key_file)
        self._lock = threading.Lock()

    @property
    def key(self) -> str:
        """The public key, in hex."""
        return sign_head(Head(0, "", ""), self._key).key

    def sign(self, head: Head) -> SignedHead:
        """A head with the service's signature, which isn't published by that."""
        return sign_head(head, self._key)

    def publish(self, read: Callable[[], Head]) -> SignedHead | None:
        """Append the head that ``read`` gives if it is past the last one; returns what was appended.

        It is read when it is this process's turn: one from before would look like an old database's.
        Raises `FileRefused` where the chain stands before the last published head, or has another event there.
        """
        with self._turn():
            head, last = read(), self.last()
            if last is not None and head.sequence <= last.head.sequence:
                if (head.sequence, head.hash) != (last.head.sequence, last.head.hash):
                    raise FileRefused(
                        f"event {last.head.sequence} of the audit chain was published and isn't in the database as it "
                        "was; the database is an old copy or was changed: GET /v1/audit/verify says more"
                    )
                return None
            signed = sign_head(head, self._key)
            _append(self._file, canonical_json(signed.to_json()))
        return signed

    def check(self) -> None:
        """Raise `FileRefused` where nothing can be appended to the published heads."""
        try:
            with self._turn():
                pass
        except OSError as problem:
            raise FileRefused(f"the heads can't be published in {str(self._file)!r}: {problem.strerror}") from None

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self._file.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def last(self) -> SignedHead | None:
        """The last published head; None where none is; raises `FileRefused` where its line is damaged."""
        lines = _whole_lines(self._file)
        if not lines:
            return None
        where = f"line {len(lines)} of {self._file.name!r}"
        try:
            found = SignedHead.from_json(json.loads(lines[-1]))
        except (ValueError, FileRefused):
            raise FileRefused(f"{where} is no published head; the file was changed") from None
        if not verify_head(found):
            raise FileRefused(f"the signature in {where} isn't that of its key; the file was changed")
        return found


def _whole_lines(file: Path) -> list[bytes]:
    """The lines of a file but one that a killed process left half-written."""
    try:
        return file.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def _append(file: Path, line: str) -> None:
    with file.open("ab") as out:
        whole = sum(len(kept) + 1 for kept in _whole_lines(file))
        if out.tell() != whole:
            out.truncate(whole)
        out.write(line.encode() + b"\n")
        out.flush()
        os.fsync(out.fileno())


def _read_key(file: Path) -> str:
    if not file.exists():
        _write_key(file)
    if file.stat().st_mode & 0o077:
        raise FileRefused(f"the key file {file.name!r} can be read by others; chmod 600 it, or give another key")
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise FileRefused(f"{file.name!r} is no Ed25519 key as PEM without a password; openssl genpkey makes one")
    return key.private_bytes_raw().hex()


def _write_key(file: Path) -> None:
    pem = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(new_key())).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(pem)
        out.flush()
        os.fsync(out.fileno())
    # Of several processes that start at once the first one's key is everybody's.
    with contextlib.suppress(FileExistsError):
        os.link(fresh, file)
    fresh.unlink()
