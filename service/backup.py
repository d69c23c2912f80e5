"""Backup and restore: everything that a service keeps, in one file that doesn't depend on the database.

A backup is a zip: each table as lines of JSON, all of them read in one transaction, and then the files,
which are named by their content and never change, so that the service may go on meanwhile. A backup of
SQLite may be restored into PostgreSQL and the other way round. The key that signs the audit's heads
stays out of it: whoever holds a backup must not be able to sign.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from sqlalchemy import Connection, Integer, MetaData, Table, func, insert, select, text

from ruleedit.chain import Event, Head, verify_chain
from ruleedit.errors import FileRefused
from ruleedit.schema import canonical_json
from service.settings import Settings
from service.store.change import last_event
from service.store.engine import Database
from service.store.files import Claim
from service.store.tables import metadata
from service.store.upgrade import VERSIONS, known_version, upgrade, version

FORMAT = "ruleedit-backup-1"
MANIFEST = "manifest.json"
#: What of the data folder is in a backup: the files, the decision log, the published heads.
_KEPT = re.compile(r"files/[0-9a-f]{2}/[0-9a-f]{64}[\w./-]*|decisions/(\d+/)?[\w.-]+|heads\.jsonl")
_CHUNK = 1024 * 1024
_ROWS = 1_000


def backup(settings: Settings, out: Path) -> dict[str, Any]:
    """Write everything that a service keeps to ``out``; the service may be running.

    Returns what is in it. Raises `FileRefused` where there is no service's data, of another version than
    this program's, or where ``out`` can't be written; then nothing is left of it.
    """
    if isinstance(settings.store, Path) and not settings.store.exists():
        raise FileRefused(f"{settings.data_dir.name!r} holds no service's data; give its --data-dir")
    fresh = out.with_name(out.name + ".new")
    database = Database(settings.store)
    try:
        with _private(fresh) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            with database.opening(), database.reading() as connection:
                told = _check_version(connection, database.name)
                told |= {"tables": {table.name: _dump(archive, connection, table) for table in metadata.sorted_tables}}
            told |= {"files": dict(_packed(archive, settings))}
            archive.writestr(MANIFEST, json.dumps(told, indent=1))
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(fresh, out)
    except OSError as problem:
        raise FileRefused(f"{str(out)!r} can't be written: {problem.strerror}") from None
    finally:
        fresh.unlink(missing_ok=True)
        database.close()
    return _summary(told) | {"bytes": out.stat().st_size}


def restore(file: Path, settings: Settings) -> dict[str, Any]:
    """Make a service's data folder and database of a backup; returns what was in it.

    Everything is checked before anything is in place: each hash, and the audit chain. Raises
    `FileRefused` for a damaged backup, one of a newer version, and where something is already there.
    """
    if settings.data_dir.exists() and any(settings.data_dir.iterdir()):
        raise FileRefused(f"{settings.data_dir.name!r} isn't empty; a backup is restored into a new --data-dir")
    fresh = settings.data_dir.with_name(settings.data_dir.name + ".restoring")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700, parents=True)
    try:
        with zipfile.ZipFile(file) as archive:
            told = _manifest(archive)
            for name, digest in told["files"].items():
                _unpack(archive, name, fresh / name, digest)
            inside = settings.store == settings.data_dir / "ruleedit.db"
            database = Database(fresh / "ruleedit.db" if inside else settings.store)
            try:
                with database.opening():
                    _fill(database, archive, told)
            finally:
                database.close()
        if settings.data_dir.exists():
            settings.data_dir.rmdir()
        os.replace(fresh, settings.data_dir)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError) as problem:
        raise FileRefused(f"{file.name!r} is no whole backup: {problem}") from None
    except OSError as problem:
        raise FileRefused(f"{file.name!r} can't be restored: {problem.strerror or problem}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    Claim(settings.data_dir).release()
    return _summary(told)


def _check_version(connection: Connection, name: str) -> dict[str, Any]:
    found = version(connection)
    if found != VERSIONS[-1]:
        raise FileRefused(
            f"the database {name!r} is of version {found}; {VERSIONS[-1]} is backed up, start the service once with "
            "this program before"
        )
    last = last_event(connection)
    return {
        "format": FORMAT,
        "version": found,
        "sequence": 0 if last is None else last.sequence,
        "head": None if last is None else last.hash,
    }


def _dump(archive: zipfile.ZipFile, connection: Connection, table: Table) -> dict[str, Any]:
    digest, rows = hashlib.sha256(), 0
    asked = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_ROWS)
    with archive.open(_entry(table.name), "w", force_zip64=True) as out:
        for row in connection.execute(asked):
            line = canonical_json(dict(row._mapping)).encode() + b"\n"
            digest.update(line)
            out.write(line)
            rows += 1
    return {"rows": rows, "sha256": digest.hexdigest()}


def _private(path: Path) -> BinaryIO:
    """A new file for its owner alone: tables, decisions and the hashes of keys are in it."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _packed(archive: zipfile.ZipFile, settings: Settings) -> Iterator[tuple[str, str]]:
    """Add every file that a backup holds; gives each one's name and SHA-256."""
    packed: set[str] = set()
    for name, path in _files(settings):
        if name in packed:
            continue
        try:
            digest = _pack(archive, path, name)
        except FileNotFoundError:
            # A decision log goes when its time has come, at whatever moment that is; nothing else does.
            if not name.startswith("decisions/"):
                raise
        else:
            packed.add(name)
            yield name, digest


def _files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Each file of the data folder that a backup holds, under its name there; the heads from wherever they are.

    The logs that grow come first, and the folder is listed after that: one that is closed meanwhile is then
    there under its new name too, and no line of it is missing.
    """
    for path in sorted(settings.data_dir.glob("decisions/**/decisions.jsonl")):
        yield path.relative_to(settings.data_dir).as_posix(), path
    for path in sorted(settings.data_dir.rglob("*")):
        name = path.relative_to(settings.data_dir).as_posix()
        if path.is_file() and _KEPT.fullmatch(name) and name != "heads.jsonl":
            yield name, path
    if settings.heads_file.exists():
        yield "heads.jsonl", settings.heads_file


def _pack(archive: zipfile.ZipFile, path: Path, name: str) -> str:
    """Add a file as it is now, though it may be growing; returns its SHA-256."""
    digest, left = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as out:
        while left > 0 and (chunk := source.read(min(_CHUNK, left))):
            left -= len(chunk)
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(archive.read(MANIFEST))
    if told["format"] != FORMAT:
        raise FileRefused(f"the backup's format is {told['format']!r}; {FORMAT!r} is accepted")
    if not known_version(told["version"]):
        raise FileRefused(f"the backup is of version {told['version']}, newer than this program; install that one")
    for name in told["files"]:
        if not _KEPT.fullmatch(name) or ".." in name.split("/"):
            raise FileRefused(f"the backup holds {name[:100]!r}, which is no file of a service")
    return told


def _unpack(archive: zipfile.ZipFile, name: str, place: Path, wanted: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with archive.open(name) as source, place.open("wb") as out:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != wanted:
        raise FileRefused(f"the backup's {name!r} isn't what its hash says; it is damaged or was changed")


def _fill(database: Database, archive: zipfile.ZipFile, told: dict[str, Any]) -> None:
    """Make the tables of the backup's version and fill them, in one transaction."""
    with database.writing() as connection:
        if version(connection) is not None:
            raise FileRefused(f"the database {database.name!r} isn't empty; a backup is restored into an empty one")
        upgrade(connection, database.name, told["version"])
        # The tables as they are in that version, which this program may have changed since.
        there = MetaData()
        there.reflect(connection)
        for table in (table for table in there.sorted_tables if table.name in told["tables"]):
            _load(connection, archive, table, told["tables"][table.name])
        _check_chain(connection, there.tables["events"], told)


def _load(connection: Connection, archive: zipfile.ZipFile, table: Table, told: dict[str, Any]) -> None:
    digest, rows = hashlib.sha256(), 0
    with archive.open(_entry(table.name)) as lines:
        while batch := _read(lines, digest):
            connection.execute(insert(table), batch)
            rows += len(batch)
    if digest.hexdigest() != told["sha256"] or rows != told["rows"]:
        raise FileRefused(f"the backup's table {table.name!r} isn't what its hash says; it is damaged or was changed")
    if connection.dialect.name == "postgresql" and "number" in table.c and isinstance(table.c.number.type, Integer):
        highest = select(func.coalesce(func.max(table.c.number), 0) + 1).scalar_subquery()
        sequence = func.pg_get_serial_sequence(table.name, text("'number'"))
        connection.execute(select(func.setval(sequence, highest, text("false"))))


def _read(lines: IO[bytes], digest: Any) -> list[dict[str, Any]]:
    batch: list[dict[str, Any]] = []
    while len(batch) < _ROWS and (line := lines.readline()):
        digest.update(line)
        batch.append(json.loads(line))
    return batch


def _check_chain(connection: Connection, table: Table, told: dict[str, Any]) -> None:
    columns = [table.c[name] for name in Event.__slots__]
    asked = select(*columns).order_by(table.c.sequence).execution_options(yield_per=_ROWS)
    head = None if told["head"] is None else Head(told["sequence"], told["head"], "")
    verdict = verify_chain([Event(*row) for row in connection.execute(asked)], head)
    if not verdict.ok:
        raise FileRefused(f"the backup's audit chain isn't sound: {verdict.problem}")


def _entry(table: str) -> str:
    return f"tables/{table}.jsonl"


def _summary(told: dict[str, Any]) -> dict[str, Any]:
    rows = sum(table["rows"] for table in told["tables"].values())
    return {"events": told["sequence"], "head": told["head"], "rows": rows, "files": len(told["files"])}
