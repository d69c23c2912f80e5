"""The store: files by content hash, records, and one transaction for each change."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

from ruleedit.chain import ERASURE, START, Event, verify_chain
from ruleedit.errors import FileRefused, Refused
from service.errors import (
    RequestInvalid,
    Stale,
    StateRefused,
    UnknownDataset,
    UnknownRelease,
    UnknownRevision,
    UnknownRuleSet,
)
from service.people import Person
from service.store import tables
from service.store.engine import Database, shown
from service.store.files import Claim, Files
from service.store.records import (
    Asked,
    Dataset,
    Happened,
    JobRecord,
    ModelRecord,
    ReleaseRecord,
    Revision,
    RuleSetRecord,
)
from service.store.repository import Repository, text_of
from tests.databases import database

HAPPENED = Happened("test", "thing")
MOMENT = "2026-01-01T00:00:00.000Z"
KIM = Person("kim", frozenset(["analyst"]), "key")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """An empty folder of files."""
    return Files(tmp_path / "files")


@pytest.fixture
def repository(where: Path | str) -> Iterator[Repository]:
    """A database with a data set, a model and a rule set."""
    found = Repository(where, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    add(found, Dataset("d1", MOMENT, "table", 3, "f.csv", []))
    add(found, ModelRecord("m1", MOMENT, "model", "d1", "ok", "folder", {}))
    with found.change(KIM) as change:
        change.add_ruleset(RuleSetRecord("s1", MOMENT, "rules", "m1", "r0"), Revision("r0", "c0"), "text 0")
        change.happened(HAPPENED)
    yield found
    found.close()


def add(repository: Repository, record: Dataset | ModelRecord | ReleaseRecord | JobRecord) -> None:
    """Keep a record."""
    with repository.change(KIM) as change:
        change.add(record)
        change.happened(HAPPENED)


def advance(repository: Repository, expected: str, *made: Revision, happened: Happened = HAPPENED) -> None:
    """Append revisions to the fixture's rule set."""
    with repository.change(KIM) as change:
        change.advance("s1", expected, made)
        change.happened(happened)


def activate(repository: Repository, release: str) -> None:
    """Put a release in service."""
    with repository.change(KIM) as change:
        change.activate(release)
        change.happened(HAPPENED)


def roll_back(repository: Repository, release: str) -> str:
    """Take a release out of service."""
    with repository.change(KIM) as change:
        earlier = change.roll_back(release)
        change.happened(HAPPENED)
    return earlier.id


def head(repository: Repository) -> str:
    """The rule set's present revision."""
    return repository.get(RuleSetRecord, "s1", UnknownRuleSet).head


def events(repository: Repository) -> list[Event]:
    """The whole chain."""
    return list(repository.events())


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


def test_sqlite_waits_for_the_disk(tmp_path: Path) -> None:
    """It is in WAL mode with synchronous=FULL."""
    repository = Repository(tmp_path / "test.db")
    with repository.database.reading() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in asked]
    repository.close()
    assert found == ["wal", 2, 1]


def test_the_migrations_make_the_tables_that_the_program_uses(repository: Repository) -> None:
    """Alembic finds no difference between the migrated database and `service.store.tables`."""
    with repository.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_a_database_opens_again_as_it_was(where: Path | str) -> None:
    """Opening one of this version changes nothing."""
    first = Repository(where)
    add(first, Dataset("d1", MOMENT, "table", 3, "f.csv", []))
    first.close()
    second = Repository(where)
    assert second.get(Dataset, "d1", UnknownDataset).rows == 3
    second.close()


def test_a_newer_database_is_refused(where: Path | str) -> None:
    """In one line that names both versions and the way out, and nothing is touched."""
    repository = Repository(where)
    with repository.quietly() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    repository.close()
    for _ in range(2):
        with pytest.raises(FileRefused, match="of version 9999, newer than this program"):
            Repository(where)


def test_a_database_of_something_else_is_refused(where: Path | str) -> None:
    """With tables that are no service's."""
    database = Database(where)
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE other (x INTEGER)")
    database.close()
    with pytest.raises(FileRefused, match="aren't RuleEdit's"):
        Repository(where)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """Without a traceback."""
    (tmp_path / "x.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(FileRefused, match=r"'x\.db' can't be opened"):
        Repository(tmp_path / "x.db")


@pytest.mark.parametrize("url", ["mysql://x@y/z", "sqlite:///x.db", "nothing", "postgresql+asyncpg://x@y/z"])
def test_another_database_is_refused(url: str) -> None:
    """With what is accepted."""
    with pytest.raises(Refused, match="postgresql://user@host/name is accepted"):
        Repository(url)


def test_a_server_that_isn_t_there_is_refused_without_its_password() -> None:
    """The error says which, and keeps the secret."""
    with pytest.raises(FileRefused, match="can't be opened") as refused:
        Repository("postgresql://kim:secret@127.0.0.1:1/none")
    assert "secret" not in str(refused.value)
    assert shown("postgresql://kim:secret@h/d") == "postgresql+psycopg://kim:***@h/d"


def test_a_postgresql_database_is_held_by_one_service(tmp_path: Path) -> None:
    """A second one is refused until the first has closed; a SQLite file is held with its folder."""
    with database("postgresql", tmp_path) as where:
        first = Repository(where)
        with pytest.raises(FileRefused, match="in use by another service"):
            Repository(where)
        first.close()
        Repository(where).close()


def test_what_postgresql_can_t_keep_is_refused(tmp_path: Path) -> None:
    """The character NUL is the client's mistake, not ours."""
    with database("postgresql", tmp_path) as where:
        repository = Repository(where)
        with pytest.raises(RequestInvalid, match="NUL"):
            repository.get(Dataset, "a\0b", UnknownDataset)
        repository.close()


def test_a_record_reads_back(repository: Repository) -> None:
    """What was added is what is read."""
    assert repository.get(Dataset, "d1", UnknownDataset) == Dataset("d1", MOMENT, "table", 3, "f.csv", [])
    with pytest.raises(UnknownDataset, match="no data set 'none'"):
        repository.get(Dataset, "none", UnknownDataset)


def test_pages_meet_without_gap(repository: Repository) -> None:
    """Newest first, each page begins where the last one ended."""
    for number in range(5):
        add(repository, JobRecord(f"j{number}", MOMENT, "train", {}, "queued"))
    first, more = repository.page(JobRecord, 2)
    second, rest = repository.page(JobRecord, 2, more)
    third, end = repository.page(JobRecord, 2, rest)
    assert [job.id for job in (*first, *second, *third)] == ["j4", "j3", "j2", "j1", "j0"]
    assert end is None


def test_a_revision_reads_back_for_ever(repository: Repository) -> None:
    """The line up to an old one is there after an advance, and the first document."""
    made = [Revision("r1", "c1", "step 1"), Revision("r2", "c0", "step 2")]
    advance(repository, "r0", *made)
    assert repository.revisions("s1") == [Revision("r0", "c0"), *made]
    assert repository.revisions("s1", "r1") == [Revision("r0", "c0"), made[0]]
    assert repository.document("s1") == "text 0"
    assert list(repository.moments("s1")) == ["r0", "r1", "r2"]


def test_an_unknown_revision_is_refused(repository: Repository) -> None:
    """So is a rule set of that name."""
    with pytest.raises(UnknownRevision):
        repository.revisions("s1", "r9")
    with pytest.raises(UnknownRuleSet):
        repository.revisions("s9")
    with pytest.raises(UnknownRuleSet):
        repository.document("s9")


def test_the_same_document_is_kept_once(repository: Repository) -> None:
    """Two rule sets that began alike share it."""
    with repository.change(KIM) as change:
        change.add_ruleset(RuleSetRecord("s2", MOMENT, "rules", "m1", "r0"), Revision("r0", "c0"), "text 0")
        change.happened(HAPPENED)
    with repository.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM documents").scalar_one() == 1


def test_a_history_takes_as_much_room_as_its_steps(repository: Repository) -> None:
    """Not more with each revision: the last of many takes as much as the first."""
    for number in range(30):
        advance(repository, f"r{number}", Revision(f"r{number + 1}", "c", "x" * 100))
    with repository.database.reading() as connection:
        lengths = connection.exec_driver_sql("SELECT length(step) FROM revisions WHERE place > 0").scalars()
        assert set(lengths) == {100}


def test_a_stale_advance_changes_nothing(repository: Repository) -> None:
    """Neither head nor revisions nor events."""
    before = events(repository)
    with pytest.raises(Stale):
        advance(repository, "r9", Revision("r1", "c1", "step"))
    assert head(repository) == "r0"
    assert events(repository) == before
    with pytest.raises(UnknownRevision):
        repository.revisions("s1", "r1")


def test_a_failing_advance_changes_nothing(repository: Repository) -> None:
    """A revision that can't be kept takes the head and the event back with it: none ever comes back."""
    before = events(repository)
    with pytest.raises(IntegrityError):
        advance(repository, "r0", Revision("r1", "c", "t"), Revision("r0", "c", "t"))
    assert head(repository) == "r0"
    assert events(repository) == before


def test_of_many_writers_one_succeeds(repository: Repository) -> None:
    """Threads that all advance from one revision: one success, the others are stale."""
    results: list[str] = []

    def write(number: int) -> None:
        try:
            advance(repository, "r0", Revision(f"new{number}", "c", "t"))
            results.append("made")
        except Stale:
            results.append("stale")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["made"] + ["stale"] * 19
    assert verify_chain(repository.events()).events == 4


# --- changes and their events ----------------------------------------------------------------


def test_every_change_leaves_one_event(repository: Repository) -> None:
    """Sealed onto the one before it: what, by whom, when, why."""
    happened = Happened("edit rules", "s1", "policy", {"edits": ["x"]})
    advance(repository, "r0", Revision("r1", "c1", "step"), happened=happened)
    found = events(repository)
    last = found[-1]
    assert (len(found), last.sequence, last.previous) == (4, 4, found[-2].hash)
    assert (last.actor, last.role, last.time) == ("kim", "analyst", MOMENT)
    assert (last.action, last.subject, last.reason, last.detail) == ("edit rules", "s1", "policy", {"edits": ["x"]})
    assert verify_chain(found, repository.head()).ok


def test_a_change_without_its_event_is_none(repository: Repository) -> None:
    """Nor is one with two: nothing of it is committed."""

    def write(events: int) -> None:
        with repository.change(KIM) as change:
            change.add(Dataset("d2", MOMENT, "table", 3, "f.csv", []))
            for _ in range(events):
                change.happened(HAPPENED)

    for times, problem in ((0, "without its event"), (2, "one event")):
        with pytest.raises(AssertionError, match=problem):
            write(times)
    with pytest.raises(UnknownDataset):
        repository.get(Dataset, "d2", UnknownDataset)


def test_an_abandoned_change_is_none(repository: Repository) -> None:
    """What it wrote is gone, without an error."""
    before = events(repository)
    with repository.change(KIM) as change:
        change.add(Dataset("d2", MOMENT, "table", 3, "f.csv", []))
        change.happened(HAPPENED)
        change.abandon()
    assert events(repository) == before
    with pytest.raises(UnknownDataset):
        repository.get(Dataset, "d2", UnknownDataset)


def test_the_head_of_an_empty_chain_is_the_start(where: Path | str) -> None:
    """Before the first event."""
    repository = Repository(where)
    assert (repository.head().sequence, repository.head().hash) == (0, START)
    repository.close()


def test_events_are_paged_and_filtered(repository: Repository) -> None:
    """Newest first, by any column and by time."""
    advance(repository, "r0", Revision("r1", "c", "t"), happened=Happened("edit rules", "s1"))
    first, more = repository.event_page(2)
    rest, end = repository.event_page(9, more)
    assert [event.sequence for event in (*first, *rest)] == [4, 3, 2, 1]
    assert end is None
    assert [event.sequence for event in repository.event_page(9, action="edit rules")[0]] == [4]
    assert len(repository.event_page(9, subject="thing", actor="kim")[0]) == 3
    assert repository.event_page(9, actor="nobody") == ([], None)
    assert len(repository.event_page(9, since="2026-01-01", until="2026-01-02")[0]) == 4
    assert repository.event_page(9, since="2026-01-02")[0] == repository.event_page(9, until="2026-01-01")[0] == []


def test_an_erased_payload_is_gone_from_the_database(repository: Repository) -> None:
    """Payload and salt; what is still there can be listed."""
    assert [sequence for sequence, _ in repository.with_payload()] == [1, 2, 3]
    with repository.change(KIM) as change:
        change.erase([[1, 2]])
        change.happened(Happened(ERASURE, "audit", "", {"erased": [[1, 2]]}))
    assert [sequence for sequence, _ in repository.with_payload(before="2027")] == [3, 4]
    assert repository.with_payload(among=[2, 3]) == [(3, "test")]
    found = events(repository)
    assert (found[0].payload, found[0].salt) == (None, None)
    assert verify_chain(found).ok


def test_a_reply_is_kept_with_its_change(repository: Repository) -> None:
    """By caller and key, until it is forgotten."""
    with repository.change(KIM) as change:
        change.happened(HAPPENED)
        change.keep_reply(Asked("key:kim", "k1", "hash"), {"id": 1})
    assert repository.reply("key:kim", "k1") == ("hash", '{"id": 1}')
    assert repository.reply("key:lee", "k1") is None
    repository.forget_replies(MOMENT)
    assert repository.reply("key:kim", "k1") is not None
    repository.forget_replies("2026-01-02")
    assert repository.reply("key:kim", "k1") is None


# --- releases and jobs -----------------------------------------------------------------------


def test_a_release_serves_until_the_next(repository: Repository) -> None:
    """Activating another release under the name retires the first one."""
    for name in ("a", "b"):
        add(repository, release("loans", name))
        activate(repository, name)
    states = {name: repository.get(ReleaseRecord, name, UnknownRelease).state for name in ("a", "b")}
    assert states == {"a": "retired", "b": "active"}
    assert [record.id for record in repository.active()] == ["b"]


def test_roll_back_goes_back_step_by_step(repository: Repository) -> None:
    """Each roll back gives the release that was active before; the first one has none before it."""
    for name in ("a", "b", "c"):
        add(repository, release("loans", name))
        activate(repository, name)
    assert roll_back(repository, "c") == "b"
    assert roll_back(repository, "b") == "a"
    with pytest.raises(StateRefused, match="no release was active"):
        roll_back(repository, "a")
    assert [record.id for record in repository.active()] == ["a"]


def test_activating_again_is_no_step(repository: Repository) -> None:
    """A release that is activated twice is rolled back once."""
    for name in ("a", "b", "b"):
        if name not in {record.id for record in repository.page(ReleaseRecord, 9)[0]}:
            add(repository, release("loans", name))
        activate(repository, name)
    assert roll_back(repository, "b") == "a"


def test_only_the_active_release_is_rolled_back(repository: Repository) -> None:
    """Another one, or none, is refused."""
    add(repository, release("loans", "a"))
    with pytest.raises(StateRefused, match="isn't active"):
        roll_back(repository, "a")
    with pytest.raises(UnknownRelease):
        activate(repository, "none")


def test_names_don_t_disturb_each_other(repository: Repository) -> None:
    """Two names have an active release each."""
    for name, id in (("loans", "a"), ("cars", "b")):
        add(repository, release(name, id))
        activate(repository, id)
    assert {record.name for record in repository.active()} == {"loans", "cars"}


def test_a_job_moves_only_from_the_state_it_is_in(repository: Repository) -> None:
    """A second beginning finds nothing; each is counted, and what an earlier one says counts for nothing."""
    add(repository, JobRecord("j", MOMENT, "train", {}, "queued"))
    first = repository.begin_job("one")
    assert first == JobRecord("j", MOMENT, "train", {}, "running", attempts=1, process="one")
    assert repository.begin_job("another") is None
    assert repository.jobs_in("running") == [first]
    assert repository.count_jobs() == {"running": 1}
    repository.requeue_job(first)
    second = repository.begin_job("another")
    assert second is not None
    assert (second.attempts, second.process) == (2, "another")
    repository.progress_job(first, 1, 2)
    repository.requeue_job(first)
    with repository.change(KIM) as change:
        assert not change.end_job(first, "succeeded", result={})
        change.abandon()
    assert repository.jobs_in("running") == [second]
    with repository.change(KIM) as change:
        assert change.end_job(second, "failed", error={})
        assert not change.cancel_job("j", {})
        change.happened(HAPPENED)


def test_a_moment_is_text_in_utc() -> None:
    """To the millisecond, with a Z."""
    assert text_of(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)) == "2026-01-02T03:04:05.678Z"


def test_a_chain_longer_than_is_read_at_once_is_whole(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its length is a multiple of a chunk or not."""
    for chunk in (1, 2, 3, 4):
        monkeypatch.setattr("service.store.repository._CHUNK", chunk)
        assert [event.sequence for event in repository.events()] == [1, 2, 3]
