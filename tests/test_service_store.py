"""The store: files by content hash, records, and one transaction for each change."""

from __future__ import annotations

import io
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ruleedit.errors import FileRefused
from service.errors import Stale, StateRefused, UnknownDataset, UnknownRelease, UnknownRevision, UnknownRuleSet
from service.store.files import Claim, Files
from service.store.records import Dataset, Event, JobRecord, ModelRecord, ReleaseRecord, Revision, RuleSetRecord
from service.store.repository import Repository, text_of

HAPPENED = Event("test", "thing")
MOMENT = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """An empty folder of files."""
    return Files(tmp_path / "files")


@pytest.fixture
def repository(tmp_path: Path):
    """A database with a data set, a model and a rule set."""
    found = Repository(tmp_path / "test.db", lambda: datetime(2026, 1, 1, tzinfo=UTC))
    found.add(Dataset("d1", MOMENT, "table", 3, "f.csv", []), HAPPENED)
    found.add(ModelRecord("m1", MOMENT, "model", "d1", "ok", "folder", {}), HAPPENED)
    found.add_ruleset(RuleSetRecord("s1", MOMENT, "rules", "m1", "r0"), Revision("r0", "c0", "text 0"), HAPPENED)
    yield found
    found.close()


def release(name: str, id: str) -> ReleaseRecord:
    """A release of the fixture's rule set."""
    return ReleaseRecord(id, MOMENT, name, "s1", "r0", "c0", "m1", "d1", "overlay-hard", None, "folder", {}, "draft")


# --- files -----------------------------------------------------------------------------------


def test_a_file_is_named_by_what_it_holds(files: Files) -> None:
    """The same bytes get the same name, and read back."""
    name = files.put(io.BytesIO(b"abc"), ".csv")
    assert name.startswith("ba7816bf")
    assert name.endswith(".csv")
    assert files.put(io.BytesIO(b"abc"), ".csv") == name
    assert files.path(name).read_bytes() == b"abc"


def test_what_is_not_kept_is_gone(files: Files) -> None:
    """A file that was looked at and not kept leaves nothing."""
    with files.incoming(io.BytesIO(b"abc")) as file:
        assert file.path.read_bytes() == b"abc"
    assert not [path for path in files.folder.rglob("*") if path.is_file()]


def test_what_a_killed_process_left_is_removed(files: Files) -> None:
    """Half-written files are gone when the folder is opened again."""
    (files.folder / "incoming" / "half").write_bytes(b"ab")
    Files(files.folder)
    assert not list((files.folder / "incoming").iterdir())


def test_a_folder_is_named_by_its_files(files: Files) -> None:
    """Two folders with the same files are one; another byte makes another."""
    name = files.put_folder({"a": b"1", "b": b"2"})
    assert files.put_folder({"b": b"2", "a": b"1"}) == name
    assert files.put_folder({"a": b"1", "b": b"3"}) != name
    assert (files.path(name) / "b").read_bytes() == b"2"


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "a" * 63, "A" * 64, "a" * 64 + "/..", "a" * 64 + "\n"])
def test_a_name_that_is_no_hash_opens_nothing(files: Files, name: str) -> None:
    """Only hashes are names."""
    with pytest.raises(FileRefused, match="no name"):
        files.path(name)


def test_a_lost_file_is_said(files: Files) -> None:
    """A hash of nothing here is refused with the way out."""
    with pytest.raises(FileRefused, match="backup"):
        files.path("a" * 64)


def test_a_data_folder_is_held_by_one_service(tmp_path: Path) -> None:
    """A second claim is refused until the first is released."""
    first = Claim(tmp_path)
    with pytest.raises(FileRefused, match="in use"):
        Claim(tmp_path)
    first.release()
    Claim(tmp_path).release()


# --- the database ----------------------------------------------------------------------------


def test_the_database_waits_for_the_disk(repository: Repository, tmp_path: Path) -> None:
    """It is in WAL mode with synchronous=FULL, and knows its version."""
    with repository._engine.begin() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "user_version")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in asked]
    assert found == ["wal", 2, 1, 1]


def test_another_version_is_refused(tmp_path: Path) -> None:
    """A database of a later version isn't touched."""
    with sqlite3.connect(tmp_path / "late.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(FileRefused, match="version 99"):
        Repository(tmp_path / "late.db")


def test_a_record_reads_back(repository: Repository) -> None:
    """What was added is what is read."""
    assert repository.get(Dataset, "d1", UnknownDataset) == Dataset("d1", MOMENT, "table", 3, "f.csv", [])
    with pytest.raises(UnknownDataset, match="no data set 'none'"):
        repository.get(Dataset, "none", UnknownDataset)


def test_pages_meet_without_gap(repository: Repository) -> None:
    """Newest first, each page begins where the last one ended."""
    for number in range(5):
        repository.add(JobRecord(f"j{number}", MOMENT, "train", {}, "queued"), HAPPENED)
    first, more = repository.page(JobRecord, 2)
    second, rest = repository.page(JobRecord, 2, more)
    third, end = repository.page(JobRecord, 2, rest)
    assert [job.id for job in (*first, *second, *third)] == ["j4", "j3", "j2", "j1", "j0"]
    assert end is None


def test_a_revision_reads_back_for_ever(repository: Repository) -> None:
    """The old text is there after an advance."""
    repository.advance("s1", "r0", [Revision("r1", "c1", "text 1")], HAPPENED)
    assert repository.revision("s1").text == "text 1"
    assert repository.revision("s1", "r0").text == "text 0"
    assert list(repository.moments("s1")) == ["r0", "r1"]


def test_an_unknown_revision_is_refused(repository: Repository) -> None:
    """So is a revision of an unknown rule set."""
    with pytest.raises(UnknownRevision):
        repository.revision("s1", "r9")
    with pytest.raises(UnknownRuleSet):
        repository.revision("s9")


def test_the_same_text_is_kept_once(repository: Repository) -> None:
    """A revision whose text was there before names the same document."""
    repository.advance("s1", "r0", [Revision("r1", "c0", "text 0")], HAPPENED)
    with repository._engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM documents").scalar_one() == 1


def test_a_stale_advance_changes_nothing(repository: Repository) -> None:
    """Neither head nor revisions nor events."""
    before = repository.events()
    with pytest.raises(Stale):
        repository.advance("s1", "r9", [Revision("r1", "c1", "text 1")], HAPPENED)
    assert repository.revision("s1").revision == "r0"
    assert repository.events() == before
    with pytest.raises(UnknownRevision):
        repository.revision("s1", "r1")


def test_a_failing_advance_changes_nothing(repository: Repository) -> None:
    """A revision that can't be kept takes the head and the event back with it."""
    before = repository.events()
    with pytest.raises(Exception, match="UNIQUE"):
        repository.advance("s1", "r0", [Revision("r1", "c", "t"), Revision("r0", "c", "t")], HAPPENED)
    assert repository.revision("s1").revision == "r0"
    assert repository.events() == before


def test_of_many_writers_one_succeeds(repository: Repository) -> None:
    """Threads that all advance from one revision: one success, the others are stale."""
    results: list[str] = []

    def write(number: int) -> None:
        try:
            repository.advance("s1", "r0", [Revision(f"new{number}", "c", f"t{number}")], HAPPENED)
            results.append("made")
        except Stale:
            results.append("stale")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["made"] + ["stale"] * 19


def test_every_change_leaves_one_event(repository: Repository) -> None:
    """The event says what, who and why."""
    happened = Event("edit rules", "s1", "kim", "policy", {"edits": ["x"]})
    repository.advance("s1", "r0", [Revision("r1", "c1", "text 1")], happened)
    assert len(repository.events()) == 4
    assert repository.events()[-1] == happened


def test_a_release_serves_until_the_next(repository: Repository) -> None:
    """Activating another release under the name retires the first one."""
    for name in ("a", "b"):
        repository.add(release("loans", name), HAPPENED)
        repository.activate(name, HAPPENED)
    states = {name: repository.get(ReleaseRecord, name, UnknownRelease).state for name in ("a", "b")}
    assert states == {"a": "retired", "b": "active"}
    assert [record.id for record in repository.active()] == ["b"]


def test_roll_back_goes_back_step_by_step(repository: Repository) -> None:
    """Each roll back gives the release that was active before; the first one has none before it."""
    for name in ("a", "b", "c"):
        repository.add(release("loans", name), HAPPENED)
        repository.activate(name, HAPPENED)
    assert repository.roll_back("c", HAPPENED) == "b"
    assert repository.roll_back("b", HAPPENED) == "a"
    with pytest.raises(StateRefused, match="no release was active"):
        repository.roll_back("a", HAPPENED)
    assert [record.id for record in repository.active()] == ["a"]


def test_activating_again_is_no_step(repository: Repository) -> None:
    """A release that is activated twice is rolled back once."""
    for name in ("a", "b", "b"):
        if name not in {record.id for record in repository.page(ReleaseRecord, 9)[0]}:
            repository.add(release("loans", name), HAPPENED)
        repository.activate(name, HAPPENED)
    assert repository.roll_back("b", HAPPENED) == "a"


def test_only_the_active_release_is_rolled_back(repository: Repository) -> None:
    """Another one, or none, is refused."""
    repository.add(release("loans", "a"), HAPPENED)
    with pytest.raises(StateRefused, match="isn't active"):
        repository.roll_back("a", HAPPENED)
    with pytest.raises(UnknownRelease):
        repository.activate("none", HAPPENED)


def test_names_don_t_disturb_each_other(repository: Repository) -> None:
    """Two names have an active release each."""
    for name, id in (("loans", "a"), ("cars", "b")):
        repository.add(release(name, id), HAPPENED)
        repository.activate(id, HAPPENED)
    assert {record.name for record in repository.active()} == {"loans", "cars"}


def test_a_job_moves_only_from_the_state_it_is_in(repository: Repository) -> None:
    """A second move from the same state fails and changes nothing."""
    repository.add(JobRecord("j", MOMENT, "train", {}, "queued"), HAPPENED)
    assert repository.move_job("j", ["queued"], "running")
    assert not repository.move_job("j", ["queued"], "cancelled", happened=HAPPENED)
    assert [job.id for job in repository.jobs_in("running")] == ["j"]
    assert repository.count_jobs() == {"running": 1}


def test_a_moment_is_text_in_utc() -> None:
    """To the millisecond, with a Z."""
    assert text_of(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)) == "2026-01-02T03:04:05.678Z"
