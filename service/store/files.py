"""Files named by the hash of what they hold: written whole or not at all, never changed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
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
IN_USE = "is in use by another service; stop it, start every one with --shared"


@dataclass(frozen=True)
class Incoming:
    """A file that is on the disk and not kept yet: where it is, and the name that it would be kept under."""

    path: Path
    name: str
    keep: Callable[[], None]


class Files:
    """The files of one data folder.

    What is being written stands in a folder of its own until it is whole and on the disk; what a
    killed process left there is removed when the folder is opened again. Processes that share the data
    folder write apart, each under its ``seat`` (see `Claim`).
    """

    def __init__(self, folder: Path, storage: Storage = real_storage, seat: int | None = None) -> None:
        self.folder = folder
        self._storage = storage
        self._incoming = folder / "incoming" if seat is None else folder / "incoming" / str(seat)
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
            _remove(fresh)
            return
        self._storage("publish")
        try:
            os.replace(fresh, place)
        except OSError:
            # Another process may have published the same folder meanwhile.
            if not place.exists():
                raise
            _remove(fresh)
        _flush_folder(place.parent)
        _flush_folder(self.folder)


class Claim:
    """The data folder held by this process: alone, or ``shared`` with others that share it too.

    The system lets go of it when the process ends, however it ends. ``seat`` is the process's number
    among those that share the folder, the lowest that is free: what only one process may write is under
    it, and who takes the seat of a killed one finds what that one left. A process alone has none.
    Raises `FileRefused` where another process is in the way, and for a folder that can't be made or written.
    """

    def __init__(self, folder: Path, *, shared: bool = False) -> None:
        try:
            # Tables, decisions and the hashes of keys are in it: for nobody else of this machine.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as problem:
            raise FileRefused(f"the data folder {str(folder)!r} can't be made: {problem.strerror}") from None
        self._folder = folder
        self._held = [self._take(folder / "lock", fcntl.LOCK_SH if shared else fcntl.LOCK_EX, shared)]
        self.seat: int | None = None
        if shared:
            (folder / "seats").mkdir(exist_ok=True)
            self.seat = next(number for number in itertools.count(1) if self._sits(number))

    def release(self) -> None:
        """Let go of the folder."""
        for file in self._held:
            file.close()

    def _sits(self, number: int) -> bool:
        file = _locked(self._folder / "seats" / str(number), fcntl.LOCK_EX)
        if file is not None:
            self._held.append(file)
        return file is not None

    def _take(self, path: Path, how: int, shared: bool) -> IO[bytes]:
        file = _locked(path, how)
        if file is None:
            other = "is held by a service that shares it with nobody; stop it" if shared else IN_USE
            raise FileRefused(f"the data folder {self._folder.name!r} {other}, or give another --data-dir")
        return file


def _locked(path: Path, how: int) -> IO[bytes] | None:
    """A file locked until it is closed; None where another process's lock is in the way."""
    try:
        # Open for reading and writing: over NFS one kind of lock needs the one, the other the other.
        file = path.open("a+b")
    except OSError as problem:
        raise FileRefused(f"the data folder {path.parent.name!r} can't be written: {problem.strerror}") from None
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
