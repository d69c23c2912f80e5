"""Several processes on one data folder and one database: what one changes the others do, once and alike.

Here each process is a workspace of its own, with its own memory, threads and connections; what is
between them is what is between processes: the database and the folder. `test_service_topology` runs
real ones.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ruleedit.errors import FileRefused, Refused
from service import app as apps
from service.errors import CredentialRefused, KeyInFlight, NothingActive, NotReady, Stale, StateRefused
from service.jobs import Made, Watch
from service.once import KEY
from service.people import LOCAL
from service.settings import Settings
from service.store.change import Change
from service.store.files import Claim, Files
from service.store.peers import Peers
from service.store.records import Happened, JobRecord
from service.store.repository import Repository
from service.workspace import Page, Workspace
from service.workspace.schedule import Chore, Schedule
from tests.databases import ENGINES, database
from tests.service.test_kills import ended
from tests.serving import EDIT, ROW, TARGET, local, serving_app, small_table

WAIT = 60
#: Nobody looks by itself: a test looks when it is time to. As many jobs may wait as a test asks for.
STILL: dict[str, Any] = {
    "shared": True, "follow_seconds": 1e6, "lease_seconds": 1e6, "publish_seconds": 1e6, "most_jobs": 10_000,
}  # fmt: skip


def until(found: Callable[[], bool]) -> None:
    """Wait for something."""
    end = time.monotonic() + WAIT
    while not found():
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.01)


@contextlib.contextmanager
def opened(settings: Settings, count: Any = None, **more: Any) -> Iterator[Workspace]:
    """One of the processes, at work until the end; ``count`` is what it runs for jobs of that kind."""
    workspace = Workspace(settings, **more)
    if count is not None:
        workspace._jobs._runners = {"count": count}
    if settings.follow_seconds == STILL["follow_seconds"]:
        workspace._schedules[-1] = Schedule([])
    try:
        workspace.start()
        yield workspace
    finally:
        workspace.close()


@pytest.fixture(scope="module", params=ENGINES)
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A data folder and a database of each kind that processes share."""
    folder = tmp_path_factory.mktemp("shared")
    with database(request.param, folder) as where:
        yield local(folder, database=where if isinstance(where, str) else "", **STILL)


@pytest.fixture(scope="module")
def ruleset(settings: Settings) -> str:
    """A rule set with an edit, and its release in service as `small`."""
    with opened(settings) as one:
        table = one.add_dataset(io.BytesIO(small_table()), "t", ".csv", by=LOCAL)["id"]
        model = ended(one, one.train(table, TARGET, by=LOCAL)["id"])["result"]["model"]
        made: str = ended(one, one.extract(model, by=LOCAL, max_clauses=8)["id"])["result"]["ruleset"]
        one.edit(made, "*", [EDIT], reason="test", by=LOCAL)
        one.workflow.activate(released(one, made), "test", by=LOCAL)
        return made


@pytest.fixture
def pair(settings: Settings, ruleset: str) -> Iterator[tuple[Workspace, Workspace]]:
    """Two processes."""
    with opened(settings) as one, opened(settings) as other:
        yield one, other


def released(workspace: Workspace, ruleset: str, **more: Any) -> str:
    """Another release of a rule set."""
    job = workspace.make_release(ruleset, "small", "overlay-hard", by=LOCAL, **more)
    release: str = ended(workspace, job["id"])["result"]["release"]
    return release


# --- who holds what --------------------------------------------------------------------------


def test_a_process_alone_and_processes_that_share_don_t_meet(tmp_path: Path) -> None:
    """Whoever comes second is refused and told why, either way."""
    alone = Claim(tmp_path)
    with pytest.raises(FileRefused, match="shares it with nobody"):
        Claim(tmp_path, shared=True)
    alone.release()
    several = [Claim(tmp_path, shared=True) for _ in range(2)]
    with pytest.raises(FileRefused, match="in use by another service; stop it, start every one with --shared"):
        Claim(tmp_path)
    for claim in several:
        claim.release()
    Claim(tmp_path).release()


def test_a_postgresql_database_is_shared_by_those_that_say_so(tmp_path: Path) -> None:
    """As a folder is; the lock is the database's own."""
    with database("postgresql", tmp_path) as where:
        several = [Repository(where, shared=True) for _ in range(2)]
        with pytest.raises(FileRefused, match="in use by another service"):
            Repository(where)
        for repository in several:
            repository.close()
        alone = Repository(where)
        with pytest.raises(FileRefused, match="shares it with nobody"):
            Repository(where, shared=True)
        alone.close()


def test_each_process_has_a_seat_and_the_next_one_takes_a_killed_one_s(tmp_path: Path) -> None:
    """What that one was writing is removed, what others are writing is not."""
    first, second, third = (Claim(tmp_path, shared=True) for _ in range(3))
    assert [claim.seat for claim in (first, second, third)] == [1, 2, 3]
    for seat in (1, 2):
        Files(tmp_path / "files", seat=seat)
        (tmp_path / "files" / "incoming" / str(seat) / "half").write_bytes(b"x")
    second.release()
    again = Claim(tmp_path, shared=True)
    assert again.seat == 2
    Files(tmp_path / "files", seat=again.seat)
    assert [path.parent.name for path in (tmp_path / "files" / "incoming").rglob("half")] == ["1"]
    for claim in (first, third, again):
        claim.release()


def test_two_processes_publish_the_same_folder_at_once(tmp_path: Path) -> None:
    """Both have it: content is named by what it is."""
    one, other = (Files(tmp_path, seat=seat) for seat in (1, 2))
    wanted = {"a": b"1", "b": b"2"}
    meanwhile: list[str] = []

    def storage(call: str) -> None:
        if call == "publish":
            meanwhile.append(other.put_folder(wanted))

    one._storage = storage
    assert [one.put_folder(wanted)] == meanwhile
    assert (one.path(meanwhile[0]) / "a").read_bytes() == b"1"
    assert not [path for path in (tmp_path / "incoming").rglob("*") if path.is_file()]


def test_what_can_t_be_shared_is_refused(tmp_path: Path) -> None:
    """A demo, a process that serves nothing, and jobs that nobody would take."""
    for wrong, said in (
        ({"demo": True, "shared": True}, "demo needs shared off"),
        ({"api": False, "workbench": False}, "nothing to serve"),
        ({"workers": 0}, "nobody shares the jobs"),
    ):
        with pytest.raises(Refused, match=said):
            local(tmp_path, **wrong)
    assert local(tmp_path, workers=0, shared=True).workers == 0


# --- releases --------------------------------------------------------------------------------


def test_releases_reach_the_other_process(pair: tuple[Workspace, Workspace], ruleset: str) -> None:
    """Activated or rolled back in one, it serves in the other as soon as that looks; no sooner does it need to."""
    one, other = pair
    before = one.serving("small").id
    release = released(one, ruleset)
    one.workflow.activate(release, "test", by=LOCAL)
    assert (one.serving("small").id, other.serving("small").id) == (release, before)
    other._following.look()
    assert other.serving("small").id == release
    other.workflow.roll_back(release, "test", by=LOCAL)
    one._following.look()
    assert (one.serving("small").id, other.serving("small").id) == (before, before)


def test_a_process_follows_by_itself(settings: Settings, ruleset: str) -> None:
    """Each time the settings say, with nobody's help."""
    assert Settings(settings.data_dir) == Settings(settings.data_dir, follow_seconds=0.25)
    often = replace(settings, follow_seconds=0.02)
    with opened(often) as one, opened(often) as other:
        release = released(one, ruleset)
        one.workflow.activate(release, "test", by=LOCAL)
        until(lambda: other.serving("small").id == release)
        other.workflow.roll_back(release, "test", by=LOCAL)
        until(lambda: one.serving("small").id != release)


def test_no_request_mixes_two_releases(pair: tuple[Workspace, Workspace], ruleset: str) -> None:
    """While the other process switches again and again every answer is wholly one release's."""
    one, other = pair
    one.edit(ruleset, "*", ["new IF age >= 60 THEN no"], reason="test", by=LOCAL)
    releases = [one.serving("small").id, released(one, ruleset)]
    one.edit(ruleset, "*", ["undo"], reason="test", by=LOCAL)
    rows = [ROW | {"age": age} for age in range(60, 70)] * 40
    says = {}
    for release in releases:
        one.workflow.activate(release, "test", by=LOCAL)
        says[release] = [decision.outcome for decision in one.scoring.decide("small", rows).decisions]
    assert says[releases[0]] != says[releases[1]]
    stop = threading.Event()

    def switch() -> None:
        for number in range(100_000):
            if stop.is_set():
                return
            other.workflow.activate(releases[number % 2], "test", by=LOCAL)
            one._following.look()

    thread = threading.Thread(target=switch)
    thread.start()
    seen: set[str] = set()
    try:
        for _ in range(10_000):
            answered = json.loads(one.scoring.decide("small", rows).json)
            assert {decision["release"] for decision in answered["decisions"]} == {answered["release"]}
            assert [decision["outcome"] for decision in answered["decisions"]] == says[answered["release"]]
            seen.add(answered["release"])
            if len(seen) == 2:
                break
    finally:
        stop.set()
        thread.join(WAIT)
    assert seen == set(releases)
    one.workflow.activate(releases[0], "test", by=LOCAL)


def test_an_expiry_is_written_down_by_one_and_known_to_both(settings: Settings, ruleset: str) -> None:
    """From the moment of expiry both decide by the earlier release, before anybody has written it down."""
    now = [datetime.now(UTC)]
    with opened(settings, clock=lambda: now[0]) as one, opened(settings, clock=lambda: now[0]) as other:
        before = one.serving("small").id
        release = released(one, ruleset, expires=now[0] + timedelta(hours=1))
        one.workflow.activate(release, "test", by=LOCAL)
        other._following.look()
        assert other.serving("small").id == release
        now[0] += timedelta(hours=2)
        assert (one.serving("small").id, other.serving("small").id) == (before, before)
        threads = [threading.Thread(target=each.workflow.retire) for each in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        written = [event for event in one.audit.page(50, None)["items"] if event["subject"] == release]
        assert [event["action"] for event in written].count("expire release") == 1


def test_a_release_that_can_t_be_loaded_makes_the_process_not_ready(
    pair: tuple[Workspace, Workspace], ruleset: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, goes on with what it has, and tries again until it can."""
    one, other = pair
    other.say_ready()
    before, release = one.serving("small").id, released(one, ruleset)
    one.workflow.activate(release, "test", by=LOCAL)
    with monkeypatch.context() as patch:
        patch.setattr(other._shelf, "release", lambda name: (_ for _ in ()).throw(FileRefused("the file is gone")))
        for _ in range(3):
            other._following.look()
        with pytest.raises(NotReady, match="the file is gone"):
            other.check_ready()
        assert other.serving("small").id == before
    assert len(caplog.records) == 1
    other._following.look()
    other.check_ready()
    assert other.serving("small").id == release
    one.workflow.roll_back(release, "test", by=LOCAL)


# --- trials and keys -------------------------------------------------------------------------


def test_a_trial_is_tried_everywhere_and_its_counts_add_up(pair: tuple[Workspace, Workspace], ruleset: str) -> None:
    """Begun in one, both try it; what both counted is one sum, ended in the other, and none is lost."""
    one, other = pair
    release = released(one, ruleset)
    other._following.look()
    one.trials.begin(release, "canary", 1.0, "try", by=LOCAL)
    other._following.look()
    rows = [ROW | {"age": age} for age in range(20, 60)]
    for workspace in (one, other, other):
        assert {by["release"] for by in workspace.scoring.decide("small", rows).told} == {release}
    other.trials.write()
    assert one.trials.show(release, "canary")["rows"] == 3 * len(rows)
    one.scoring.decide("small", rows)
    other.trials.end(release, "canary", "enough", by=LOCAL)
    one._following.look()
    for workspace in pair:
        assert {by["release"] for by in workspace.scoring.decide("small", rows).told} != {release}
        told = workspace.trials.show(release, "canary")
        assert (told["state"], told["rows"]) == ("ended", 4 * len(rows))


def test_a_revoked_key_opens_nothing_in_the_other_process(pair: tuple[Workspace, Workspace]) -> None:
    """As soon as that looks, though it had read the key a moment ago."""
    one, other = pair
    issued = one.issue_key("kim", ["viewer"], by=LOCAL)
    assert other.keys.person(issued["key"]).name == "kim"
    assert other.keys.known(issued["key"]) is not None
    one.revoke_key(issued["id"], "lost", by=LOCAL)
    other._following.look()
    with pytest.raises(CredentialRefused):
        other.keys.person(issued["key"])


def test_the_first_admin_key_is_made_once(tmp_path: Path) -> None:
    """However many processes start at once; the last two admins' keys aren't both revoked at once either."""
    settings = local(tmp_path, **STILL)
    with opened(settings) as one, opened(settings) as other:
        found = both(one.keys.bootstrap, other.keys.bootstrap)
        assert sorted(key is None for key in found) == [False, True]
        issued = one.issue_key("second", ["admin"], by=LOCAL)["id"]
        first = next(item["id"] for item in one.list_keys(Page(9))["items"] if item["id"] != issued)
        ends = both(lambda: one.revoke_key(first, "test", by=LOCAL), lambda: other.revoke_key(issued, "test", by=LOCAL))
        assert sorted(isinstance(end, StateRefused) for end in ends) == [False, True]


def both(*calls: Callable[[], Any]) -> list[Any]:
    """What several calls return or raise that begin at once."""
    found: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(place: int) -> None:
        start.wait()
        try:
            found[place] = calls[place]()
        except Exception as problem:  # noqa: BLE001, the test looks at it
            found[place] = problem

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    return found


# --- writes ----------------------------------------------------------------------------------


def test_of_two_processes_that_edit_one_revision_one_succeeds(
    pair: tuple[Workspace, Workspace], ruleset: str, count: Callable[[int, int], int]
) -> None:
    """The other is told so, each time, and the chain of events stays whole."""
    one, other = pair
    for number in range(count(5, 100)):
        tag = one.ruleset(ruleset)["revision"]
        asked = [f"new IF age < {21 + number % 40} THEN yes"]
        edit = functools.partial(
            Workspace.edit, name=ruleset, expected=tag, edits=[*asked, "undo"], reason="race", by=LOCAL
        )
        ends = both(lambda edit=edit: edit(one), lambda edit=edit: edit(other))  # type: ignore[misc]
        assert sorted(isinstance(end, Stale) for end in ends) == [False, True], ends
    assert other.audit.verify()["ok"]


def test_the_same_key_in_two_processes_at_once_has_one_effect(
    pair: tuple[Workspace, Workspace], ruleset: str, count: Callable[[int, int], int]
) -> None:
    """The quicker one answers; the other gives the same reply, or says to ask again, and then gives it."""
    for number in range(count(5, 100)):
        tag, caller = pair[0].ruleset(ruleset)["revision"], ("key:test", f"race {number}")

        def send(workspace: Workspace, tag: str = tag, caller: tuple[str, str] = caller) -> Any:
            given = KEY.set(caller)
            try:
                return workspace.edit(ruleset, tag, [EDIT, "undo"], reason="race", by=LOCAL)
            finally:
                KEY.reset(given)

        ends = both(lambda: send(pair[0]), lambda: send(pair[1]))
        replies = [end for end in ends if isinstance(end, dict)]
        assert replies
        assert all(isinstance(end, dict | KeyInFlight) for end in ends), ends
        assert send(pair[0]) == send(pair[1]) == replies[0] == replies[-1]
        steps = pair[0].history(ruleset)["history"]
        assert steps[-1]["revision"] == replies[0]["revision"]


def test_heads_are_published_in_turn(pair: tuple[Workspace, Workspace], count: Callable[[int, int], int]) -> None:
    """However many publish while events happen: each line is past the one before, and all are signed by one key."""
    one, other = pair

    def work(workspace: Workspace) -> None:
        for _ in range(count(10, 200)):
            with workspace._repository.change(LOCAL) as change:
                change.happened(Happened("test", "heads"))
            workspace.audit.publish()

    assert both(lambda: work(one), lambda: work(other)) == [None, None]
    lines = [json.loads(line) for line in one.settings.heads_file.read_text().splitlines()]
    sequences = [line["sequence"] for line in lines]
    assert sequences == sorted(set(sequences))
    assert len({line["key"] for line in lines}) == 1
    assert other.audit.verify()["ok"]


def test_decisions_are_logged_by_each_process_in_a_file_of_its_own(pair: tuple[Workspace, Workspace]) -> None:
    """Under its seat; none is in another's file."""
    one, other = pair
    for workspace, request in ((one, "first"), (other, "second")):
        workspace.scoring.decide("small", [ROW], request=request)
        assert workspace._decision_log is not None
        workspace._decision_log.close()
    folder = one.settings.data_dir / "decisions"
    kept = {path.parent.name: path.read_text() for path in folder.glob("*/decisions.jsonl")}
    assert ["first" in kept["1"], "second" in kept["2"], "first" in kept["2"]] == [True, True, False]


# --- jobs and duties -------------------------------------------------------------------------


def counting(ran: list[str], held: threading.Event | None = None) -> Callable[[dict[str, Any], Watch], Made]:
    """A kind of job that says that it ran, perhaps not before it is let go."""

    def run(request: dict[str, Any], watch: Watch) -> Made:
        ran.append(request["name"])
        while held is not None and not held.wait(0.01):
            watch.check()

        def write(change: Change) -> dict[str, Any]:
            change.happened(Happened("count", request["name"]))
            return {"counted": request["name"]}

        return write

    return run


def submit(workspace: Workspace, name: str) -> str:
    """Ask for such a job."""
    job: JobRecord = workspace._jobs.submit("count", {"name": name}, LOCAL, lambda change, job: job)
    return job.id


def test_each_job_is_taken_once(pair: tuple[Workspace, Workspace], count: Callable[[int, int], int]) -> None:
    """Whoever asks for it and whoever is free, both at once all the time."""
    ran: list[str] = []
    for workspace in pair:
        workspace._jobs._runners = {"count": counting(ran)}
    names = [f"job {number}" for number in range(count(20, 400))]
    jobs = both(*(lambda half=half, work=work: [submit(work, name) for name in half]  # type: ignore[misc]
                  for half, work in zip((names[::2], names[1::2]), pair, strict=True)))  # fmt: skip
    for job in (job for half in jobs for job in half):
        assert ended(pair[0], job)["state"] == "succeeded"
    assert sorted(ran) == sorted(names)
    assert {record.attempts for record in pair[0]._repository.page(JobRecord, len(names))[0]} == {1}


def test_a_job_waits_for_whoever_is_free(settings: Settings, ruleset: str) -> None:
    """A process that takes none leaves it to the other, which finds it when it looks; progress is seen by both."""
    with opened(replace(settings, workers=0)) as one, opened(settings) as other:
        ran: list[str] = []
        other._jobs._runners = {"count": counting(ran)}
        job = submit(one, "left")
        assert one.job(job)["state"] == "queued"
        other._jobs.look()
        assert ended(one, job)["result"] == {"counted": "left"}


def test_a_job_is_cancelled_from_the_other_process(pair: tuple[Workspace, Workspace]) -> None:
    """It is marked so at once; the process that runs it stops when it looks, and nothing is made."""
    one, other = pair
    ran: list[str] = []
    for workspace in pair:
        workspace._jobs._runners = {"count": counting(ran, threading.Event())}
    job = submit(one, "unwanted")
    until(lambda: bool(ran))
    assert other.cancel(job, by=LOCAL)["state"] == "cancelled"
    one._jobs.look()
    until(lambda: not one._jobs._running)
    assert one.job(job)["state"] == "cancelled"


def test_a_job_of_a_killed_process_begins_again_in_another(settings: Settings, ruleset: str) -> None:
    """Once its lease has run out; and should the first only have been slow, what it makes is thrown away."""
    # Long enough for the second one to say in time that it is alive, on a machine that has much else to do.
    brief = replace(settings, lease_seconds=2.0)
    ran: list[str] = []
    slow = threading.Event()
    with opened(brief, counting(ran, slow)) as one:
        job = submit(one, "taken over")
        until(lambda: bool(ran))
        one._schedules[0].close()
        with opened(brief, counting(ran)) as other:
            until(lambda: other._jobs.look() is None and other.job(job)["state"] == "succeeded")
            slow.set()
            until(lambda: not one._jobs._running)
            assert ran == ["taken over"] * 2
            made = [event for event in other.audit.page(50, None)["items"] if event["subject"] == "taken over"]
            assert len(made) == 1
            assert other._repository.page(JobRecord, 1)[0][0].attempts == 2


def test_a_process_that_lost_its_job_stops_it(settings: Settings, ruleset: str) -> None:
    """When it looks again, alive: it begins nothing a second time that another process has."""
    with opened(settings) as one, opened(settings) as other:
        ran: list[str] = []
        for workspace in (one, other):
            workspace._jobs._runners = {"count": counting(ran, threading.Event())}
        job = submit(one, "lost")
        until(lambda: bool(ran))
        # The other, alive itself, takes the first for dead, which it isn't.
        other._peers.seconds = 1.0

        def taken() -> bool:
            other._peers.beat()
            other._jobs.look()
            return len(ran) == 2

        until(taken)
        one._peers.beat()
        one._jobs.look()
        until(lambda: not one._jobs._running)
        assert other.job(job)["state"] == "running"
        other.cancel(job, by=LOCAL)


def test_a_process_that_stops_gracefully_leaves_its_jobs_at_once(settings: Settings, ruleset: str) -> None:
    """Nobody waits for a lease of a million seconds."""
    with opened(settings) as other:
        ran: list[str] = []
        with opened(settings) as one:
            one._jobs._runners = {"count": counting(ran, threading.Event())}
            job = submit(one, "handed over")
            until(lambda: bool(ran))
        other._jobs._runners = {"count": counting(ran)}
        other._jobs.look()
        assert ended(other, job)["state"] == "succeeded"


def test_duties_are_the_oldest_process_s(where: Path | str) -> None:
    """Of those that are alive; a process alone has them anyway."""
    repository = Repository(where)
    first, second, third = (Peers(repository.database, 1e6) for _ in range(3))
    for peer in (first, second, third):
        peer.beat()
    assert [peer.leads() for peer in (first, second, third)] == [True, False, False]
    first.leave()
    assert [peer.leads() for peer in (first, second, third)] == [False, True, False]
    first.beat()
    assert [peer.leads() for peer in (first, second, third)] == [False, True, False]
    second.seconds = third.seconds = 0.05
    until(lambda: not second.leads())
    third.beat()
    assert (second.leads(), Peers(repository.database, None).leads()) == (False, True)
    repository.close()


def test_what_one_process_does_it_does_while_it_leads(settings: Settings, ruleset: str) -> None:
    """The other's chores do nothing until the first has gone."""
    done: list[str] = []
    chore = Chore("a duty", 1.0, lambda: done.append("done"))
    with opened(settings) as other:
        with opened(settings) as one:
            one._led(chore)
            other._led(chore)
            # The one that began first has the duties.
            assert len(done) == 1
        other._led(chore)
    assert len(done) == 2


def test_old_payloads_are_erased_once(settings: Settings, ruleset: str) -> None:
    """By whichever process comes first, even where both think that they lead."""
    later = datetime.now(UTC) + timedelta(days=400)
    with opened(settings, clock=lambda: later) as one, opened(settings, clock=lambda: later) as other:
        both(lambda: one.audit.retain(30), lambda: other.audit.retain(30))
        erased = [event for event in one.audit.page(20, None)["items"] if event["action"] == "erase payloads"]
        assert len(erased) == 1
        assert other.audit.verify()["ok"]


# --- parts -----------------------------------------------------------------------------------


def test_an_api_s_events_are_those_of_a_job_in_another_process(tmp_path: Path) -> None:
    """Followed in one, run in the other; server-sent events come to the end."""
    often = local(tmp_path, shared=True, follow_seconds=0.02)
    with (
        serving_app(apps.create_app(replace(often, workers=0))) as one,
        serving_app(apps.create_app(often)) as other,
    ):
        dataset = one.upload(small_table()).json()["id"]
        asked = one.post("/v1/models", json={"dataset": dataset, "target": TARGET})
        with one.stream("GET", f"{asked.headers['Location']}/events") as stream:
            states = [json.loads(line[6:])["state"] for line in stream.iter_lines() if line.startswith("data: ")]
        assert (states[-1], set(states) <= {"queued", "running", "succeeded"}) == ("succeeded", True)
        assert other.get(asked.headers["Location"]).json()["result"]["model"]


def test_a_process_that_is_starting_says_so_of_decisions(settings: Settings, ruleset: str) -> None:
    """Nobody is told that nothing serves before it is known; of other names it is then."""
    one = Workspace(settings)
    try:
        with pytest.raises(NotReady, match="being loaded"):
            one.scoring.get("small")
        one.start()
        assert one.scoring.get("small").name == "small"
        with pytest.raises(NothingActive):
            one.scoring.get("other")
    finally:
        one.close()
