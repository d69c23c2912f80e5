"""Backup and restore: all of it, while the service runs, into either database, and nothing damaged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ruleedit.errors import FileRefused
from service import backup as backups
from service.backup import MANIFEST, backup, restore
from service.settings import Settings
from service.store.engine import Database
from service.store.repository import Repository
from service.store.tables import metadata
from tests.databases import ENGINES, database
from tests.serving import ROW, Api, Made, local, make, serving, small_table
from tests.writes import fresh_ruleset


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Made]:
    """A service's data with a release in service, its service stopped."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    with serving(folder) as api:
        made = make(api)
        api.upload(small_table(20))
        api.post("/v1/audit/erasures", json={"events": [1], "reason": "test"})
    return local(folder), made


@pytest.fixture(scope="module")
def saved(filled: tuple[Settings, Made], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it."""
    out = tmp_path_factory.mktemp("saved") / "b.zip"
    backup(filled[0], out)
    return out


def contents(where: Path | str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    found = Database(where)
    with found.reading() as connection:
        rows = {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in metadata.sorted_tables
        }
    found.close()
    return rows


@pytest.mark.parametrize("engine", ENGINES)
def test_a_restored_service_is_the_one_that_was_backed_up(
    engine: str, filled: tuple[Settings, Made], saved: Path, tmp_path: Path
) -> None:
    """Every row and every file, on either database; it decides as before, goes on and the audit is whole."""
    settings, made = filled
    with database(engine, tmp_path) as where:
        url = where if isinstance(where, str) else ""
        there = local(tmp_path / "restored", database=url)
        told = restore(saved, there)
        assert contents(there.store) == contents(settings.store)
        kept = {path.relative_to(settings.data_dir) for path in settings.data_dir.rglob("*") if path.is_file()}
        missing = kept - {path.relative_to(there.data_dir) for path in there.data_dir.rglob("*") if path.is_file()}
        assert {path.name.split(".")[0] for path in missing} <= {"audit-key", "ruleedit"}
        with serving(there.data_dir, database=url) as api:
            assert api.get("/v1/audit/verify").json()["ok"]
            assert api.get("/v1/audit/verify").json()["events"] == told["events"]
            assert api.decide("small", ROW).status_code == 200
            assert api.upload(small_table(20)).status_code == 201
            assert api.edit(made.ruleset, "undo").status_code == 200
            assert api.get("/v1/audit/verify").json()["ok"]


def test_the_key_is_not_in_a_backup(saved: Path, filled: tuple[Settings, Made]) -> None:
    """Neither as a file nor inside of one."""
    key = filled[0].key_file.read_bytes()
    with zipfile.ZipFile(saved) as archive:
        for name in archive.namelist():
            assert "key" not in name or name == "tables/keys.jsonl"
            assert key not in archive.read(name)


def test_a_backup_while_edits_go_on_lacks_nothing_that_was_acknowledged_before(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    """Under edits by 4 clients: what was acknowledged before it began is in it; many decisions are the same bits."""
    rows = [
        ROW | {"age": 20 + n % 60, "income": 900.5 + 7 * n, "job": (None, "a", "b", "zz")[n % 4]} for n in range(500)
    ]
    stop, acknowledged = threading.Event(), []
    with serving(tmp_path / "data") as api:
        made = make(api)
        golden = [api.decide("small", *rows).json()["decisions"] for _ in range(count(2, 20))]
        rulesets = [fresh_ruleset(api, made)["id"] for _ in range(4)]

        def edit(ruleset: str) -> None:
            with Api(base_url=api.base_url, timeout=60) as own:
                while not stop.wait(0.04):
                    done = own.edit(ruleset, "new IF age < 30 THEN yes", "undo")
                    acknowledged.append((ruleset, done.json()["revision"]))

        threads = [threading.Thread(target=edit, args=(ruleset,)) for ruleset in rulesets]
        for thread in threads:
            thread.start()
        while len(acknowledged) < count(40, 2_000):
            stop.wait(0.01)
        before = list(acknowledged)
        told = backup(local(tmp_path / "data"), tmp_path / "b.zip")
        stop.set()
        for thread in threads:
            thread.join()
    assert restore(tmp_path / "b.zip", local(tmp_path / "other"))["events"] == told["events"]
    with serving(tmp_path / "other") as api:
        known = {
            id: {step["revision"] for step in api.get(f"/v1/rulesets/{id}/history").json()["history"]}
            for id in rulesets
        }
        assert all(revision in known[ruleset] for ruleset, revision in before)
        assert [api.decide("small", *rows).json()["decisions"] for _ in golden] == golden
        assert api.get("/v1/audit/verify").json()["ok"]


def test_a_backup_is_its_owner_s_alone(saved: Path) -> None:
    """Tables and the hashes of keys are in it."""
    assert saved.stat().st_mode & 0o777 == 0o600


def test_logs_that_are_closed_or_removed_meanwhile_are_no_failure(
    filled: tuple[Settings, Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision log may begin a new file, and drop its oldest, at any moment: no line is missing."""
    copy = local(tmp_path / "data")
    shutil.copytree(filled[0].data_dir, copy.data_dir)
    logs = copy.data_dir / "decisions"
    (logs / "decisions.jsonl").write_text("now\n")
    (logs / "decisions-1-0.jsonl").write_text("long ago\n")
    real = backups._pack

    def pack(archive: zipfile.ZipFile, path: Path, name: str) -> str:
        if name == "decisions/decisions-1-0.jsonl":
            path.unlink()
        told = real(archive, path, name)
        if name == "decisions/decisions.jsonl":
            with path.open("a") as log:
                log.write("a moment later\n")
            path.rename(logs / "decisions-2-0.jsonl")
            path.write_text("last\n")
        return told

    monkeypatch.setattr(backups, "_pack", pack)
    backup(copy, tmp_path / "b.zip")
    restore(tmp_path / "b.zip", local(tmp_path / "other"))
    kept = {path.name: path.read_text() for path in (tmp_path / "other" / "decisions").iterdir()}
    assert kept == {"decisions.jsonl": "now\n", "decisions-2-0.jsonl": "now\na moment later\n"}


# --- what is refused -------------------------------------------------------------------------


def test_nothing_is_restored_over_anything(saved: Path, tmp_path: Path) -> None:
    """A folder with something in it stays as it is; an empty one is taken."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(FileRefused, match="isn't empty"):
        restore(saved, Settings(tmp_path / "full"))
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["x"]
    (tmp_path / "empty").mkdir()
    restore(saved, Settings(tmp_path / "empty"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "full"]


def test_nothing_is_restored_into_a_database_in_use(saved: Path, tmp_path: Path) -> None:
    """PostgreSQL has to be empty too."""
    with database("postgresql", tmp_path) as where:
        assert isinstance(where, str)
        Repository(where).close()
        with pytest.raises(FileRefused, match="isn't empty"):
            restore(saved, Settings(tmp_path / "new", database=where))
    assert not list(tmp_path.iterdir())


def damaged(saved: Path, out: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """A backup in which one entry is another."""
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.namelist():
            wanted = entry == name or (name == "files" and entry.startswith("files/"))
            new.writestr(entry, change(old.read(entry)) if wanted else old.read(entry))
    return out


def swapped(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """A change of the first ``old``."""
    return lambda content: content.replace(old, new, 1)


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("files", lambda old: old + b"x", "isn't what its hash says"),
        ("tables/events.jsonl", swapped(b'"test"', b'"text"'), "isn't what its hash says"),
        ("tables/rulesets.jsonl", lambda old: b"", "isn't what its hash says"),
        (MANIFEST, swapped(b"ruleedit-backup-1", b"ruleedit-backup-9"), "'ruleedit-backup-1' is accepted"),
        (MANIFEST, swapped(b'"version": "', b'"version": "9'), "newer than this program"),
        (MANIFEST, swapped(b'"files/', b'"../files/'), "no file of a service"),
        (MANIFEST, swapped(b'"heads.jsonl"', b'"files/00/' + b"0" * 64 + b'/../../../x"'), "no file of a service"),
        (MANIFEST, lambda old: old[:-9], "no whole backup"),
        (MANIFEST, lambda old: b"{}", "no whole backup"),
    ],
)
def test_a_damaged_backup_is_refused(
    saved: Path, tmp_path: Path, name: str, change: Callable[[bytes], bytes], problem: str
) -> None:
    """And nothing of it is in place afterwards."""
    bad = damaged(saved, tmp_path / "bad.zip", name, change)
    with pytest.raises(FileRefused, match=problem):
        restore(bad, Settings(tmp_path / "new"))
    assert [path.name for path in tmp_path.iterdir()] == ["bad.zip"]


def test_a_backup_whose_chain_was_changed_is_refused(saved: Path, tmp_path: Path) -> None:
    """Though somebody made every hash of the archive anew."""
    import hashlib

    def forge(old: bytes) -> bytes:
        return old.replace(b'"reason":"test"', b'"reason":"tost"', 1)

    with zipfile.ZipFile(saved) as archive:
        digest = hashlib.sha256(forge(archive.read("tables/events.jsonl"))).hexdigest()
        told = json.loads(archive.read(MANIFEST))
    told["tables"]["events"]["sha256"] = digest
    bad = damaged(saved, tmp_path / "1.zip", "tables/events.jsonl", forge)
    bad = damaged(bad, tmp_path / "2.zip", MANIFEST, lambda _: json.dumps(told).encode())
    with pytest.raises(FileRefused, match="audit chain isn't sound: event"):
        restore(bad, Settings(tmp_path / "new"))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04"])
def test_a_file_that_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    """With its name."""
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(FileRefused, match=r"'x\.zip' is no whole backup"):
        restore(tmp_path / "x.zip", Settings(tmp_path / "new"))
    with pytest.raises(FileRefused, match=r"'y\.zip' can't be restored"):
        restore(tmp_path / "y.zip", Settings(tmp_path / "new"))


def test_a_folder_without_data_can_t_be_backed_up(tmp_path: Path) -> None:
    """Nothing is written, and no database made by asking."""
    with pytest.raises(FileRefused, match="holds no service's data"):
        backup(Settings(tmp_path / "none"), tmp_path / "b.zip")
    assert not list(tmp_path.iterdir())


def test_a_place_that_can_t_be_written_is_refused(filled: tuple[Settings, Made], tmp_path: Path) -> None:
    """With why."""
    with pytest.raises(FileRefused, match="can't be written: No such file"):
        backup(filled[0], tmp_path / "none" / "b.zip")


def test_a_database_of_another_version_is_not_backed_up(tmp_path: Path) -> None:
    """It has to be upgraded by a start first."""
    settings = Settings(tmp_path / "data")
    repository = Repository(settings.store)
    with repository.quietly() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    repository.close()
    with pytest.raises(FileRefused, match="of version 0001"):
        backup(settings, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


# --- the commands ----------------------------------------------------------------------------


def command(name: str, *options: object) -> subprocess.CompletedProcess[str]:
    """Run a command of the service's, as its entry point does."""
    program = f"import typer; from service.command import {name}; typer.run({name})"
    argv = [sys.executable, "-c", program, *map(str, options)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120)


def test_the_commands_say_what_they_did(filled: tuple[Settings, Made], tmp_path: Path) -> None:
    """In a line, or as JSON."""
    folder = filled[0].data_dir
    done = command("backup", "--data-dir", folder, "--out", tmp_path / "b.zip")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("backed up ")
    told = command("restore", tmp_path / "b.zip", "--data-dir", tmp_path / "new", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["events"] > 5
    assert contents(tmp_path / "new" / "ruleedit.db") == contents(filled[0].store)


def test_the_commands_are_declared() -> None:
    """As entry points that lead to functions."""
    import tomllib

    import service.command

    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    commands = declared["project"]["entry-points"]["ruleedit.commands"]
    assert {"serve", "backup", "restore"} <= set(commands)
    for name, where in commands.items():
        assert where == f"service.command:{name}"
        assert callable(getattr(service.command, name))
