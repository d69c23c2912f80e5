"""Files named by the hash of what they hold: written whole or not at all, never changed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from ruleedit.errors import FileRefused
from ruleedit.schema import content_hash
from service.store.seam import Storage, real_storage

_NAME = re.compile(r"[0-9a-f]{64}(\.[a-z]{1,8})?")
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Incoming:
    """A file that is on the disk and not kept yet: where it is, and the name that it would be kept under."""

    path: Path
    name: str
    keep: Callable[[], None]


class Files:
    """The files of one data folder.

    What is being written stands in a folder of its own until it is whole and on the disk; what a
    killed process left there is removed when the folder is opened again.
    """

    def __init__(self, folder: Path, storage: Storage = real_storage) -> None:
        self.folder = folder
        self._storage = storage
        self._incoming = folder / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True)

    @contextlib.contextmanager
    def incoming(self, source: BinaryIO, suffix: str = "") -> Iterator[Incoming]:
        """A stream's bytes on the disk, to be looked at; they are gone afterwards unless `Incoming.keep` was called."""
        fresh = self._incoming / (uuid.uuid4().hex + suffix)
        digest = hashlib.sha256()
        self._storage("write")
        try:
            with fresh.open("wb") as file:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
                _flush(file)
            name = digest.hexdigest() + suffix
            yield Incoming(fresh, name, lambda: self._publish(fresh, name))
        finally:
            fresh.unlink(missing_ok=True)

    def put(self, source: BinaryIO, suffix: str = "") -> str:
        """Keep a stream's bytes; returns the name, its SHA-256 and the suffix."""
        with self.incoming(source, suffix) as file:
            file.keep()
        return file.name

    def put_folder(self, files: Mapping[str, bytes]) -> str:
        """Keep a folder; returns the name, the hash of its files' names and hashes."""
        name = content_hash({file: hashlib.sha256(content).hexdigest() for file, content in files.items()})
        fresh = self._incoming / uuid.uuid4().hex
        fresh.mkdir()
        for inner, content in files.items():
            self._storage("write")
            with (fresh / inner).open("wb") as file:
                file.write(content)
                _flush(file)
        _flush_folder(fresh)
        self._publish(fresh, name)
        return name

    def path(self, name: str) -> Path:
        """Where a file or folder is; raises `FileRefused` for a name that is no hash, or of nothing here."""
        if not _NAME.fullmatch(name):
            raise FileRefused(f"{name!r} is no name of a stored file")
        path = self.folder / name[:2] / name
        if not path.exists():
            raise FileRefused(f"the stored file {name} is gone; restore the data folder from a backup")
        return path

    def _publish(self, fresh: Path, name: str) -> None:
        place = self.folder / name[:2] / name
        place.parent.mkdir(exist_ok=True)
        if place.exists():
            # The same content: keep what is there.
            shutil.rmtree(fresh) if fresh.is_dir() else fresh.unlink()
            return
        self._storage("publish")
        os.replace(fresh, place)
        _flush_folder(place.parent)
        _flush_folder(self.folder)


class Claim:
    """The data folder held by one process at a time; the system lets go of it when the process ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise FileRefused(
                f"the data folder {folder.name!r} is in use by another service; stop it, or give another --data-dir"
            ) from None

    def release(self) -> None:
        """Let go of the folder."""
        self._file.close()


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
