"""Heavy steps in child processes: what they return and raise, their limits, and that nothing is left of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lightgbm.basic
import pytest

from ruleedit.errors import Cancelled, Refused
from service.errors import StepFailed
from service.jobs import Watch
from service.jobs.children import Children

GIB = 1024**3
CHILDREN = Children(8 * GIB, 60.0)
Progress = Callable[[int, int], None]


def quiet() -> Watch:
    """A watch that writes nothing."""
    return Watch(lambda done, of: None, 0.0)


def double(number: int, *, progress: Progress) -> tuple[int, int]:
    """Twice the number, and the process that worked it out."""
    progress(1, 1)
    return 2 * number, os.getpid()


def refuse(*, progress: Progress) -> None:
    """Refuse."""
    raise Refused("no such thing")


def crash(*, progress: Progress) -> None:
    """Die as a segmentation fault does."""
    os.kill(os.getpid(), 11)


def refused_by_a_library(*, progress: Progress) -> None:
    """Say that memory was refused as LightGBM says it."""
    raise lightgbm.basic.LightGBMError("std::bad_alloc")


def stumble(*, progress: Progress) -> None:
    """Do what nobody meant to."""
    raise ZeroDivisionError("no rows in the part")


def devour(*, progress: Progress) -> int:
    """Take more memory than there is."""
    return len(bytearray(64 * GIB))


def hang(note: str, *, progress: Progress) -> None:
    """Say who one is, and never end."""
    Path(note).write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)


def gone(process: int) -> bool:
    """Whether a process has ended, within a few seconds."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_step_runs_in_another_process() -> None:
    """Its value comes back, and its progress on the way."""
    seen: list[tuple[int, int]] = []
    watch = Watch(lambda done, of: seen.append((done, of)), 0.0)
    value, process = CHILDREN.call(double, 21, watch=watch)
    assert value == 42
    assert process != os.getpid()
    assert seen == [(1, 1)]
    assert gone(process)


def test_a_refusal_comes_back_as_itself() -> None:
    """With its class, so with its code."""
    with pytest.raises(Refused, match="no such thing"):
        CHILDREN.call(refuse, watch=quiet())


def test_a_crash_is_the_step_s_alone() -> None:
    """It has failed by a signal that is named, and the next one runs."""
    with pytest.raises(StepFailed, match=r"ended by signal 11 \(Segmentation fault\) in the middle"):
        CHILDREN.call(crash, watch=quiet())
    assert CHILDREN.call(double, 1, watch=quiet())[0] == 2


def test_a_step_has_so_much_memory() -> None:
    """More is refused, to the step alone."""
    with pytest.raises(StepFailed, match=f"needed more than {8 * GIB} bytes"):
        CHILDREN.call(devour, watch=quiet())


def test_memory_that_a_library_is_refused_is_memory_too() -> None:
    """What C++ throws comes as an error of the library's own kind."""
    with pytest.raises(StepFailed, match=f"needed more than {8 * GIB} bytes"):
        CHILDREN.call(refused_by_a_library, watch=quiet())


def test_a_mistake_of_ours_is_no_lack_of_memory(caplog: pytest.LogCaptureFixture) -> None:
    """It is an error of the server's, whose log has the place; no one is told that memory was short."""
    with pytest.raises(RuntimeError, match="ZeroDivisionError: no rows in the part") as raised:
        CHILDREN.call(stumble, watch=quiet())
    assert not isinstance(raised.value, StepFailed)
    assert ", in stumble\n" in caplog.text


def test_a_limit_past_the_system_s_own_is_the_system_s(tmp_path: Path) -> None:
    """A service that may itself have less (`ulimit -v`) still runs its steps, within that."""
    program = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({4 * GIB}, {4 * GIB}))\n"
        "from tests.service.test_children import CHILDREN, devour, double, quiet\n"
        "print(CHILDREN.call(double, 2, watch=quiet())[0])\n"
        "try:\n    CHILDREN.call(devour, watch=quiet())\nexcept Exception as problem:\n    print(problem)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines()[0] == "4", done.stderr
    assert f"needed more than {4 * GIB} bytes" in done.stdout


def test_a_step_has_so_much_time(tmp_path: Path) -> None:
    """Then it is ended."""
    note = tmp_path / "note"
    with pytest.raises(StepFailed, match="more than 1 s"):
        Children(8 * GIB, 1.0).call(hang, str(note), watch=quiet())
    assert not note.exists() or gone(int(note.read_text()))


def test_a_stopped_step_ends_at_once(tmp_path: Path) -> None:
    """Whatever it is doing."""
    import threading

    note, watch = tmp_path / "note", quiet()
    threading.Timer(0.5, watch.stop).start()
    with pytest.raises(Cancelled):
        CHILDREN.call(hang, str(note), watch=watch)
    assert not note.exists() or gone(int(note.read_text()))


def test_a_child_ends_with_the_service(tmp_path: Path) -> None:
    """kill -9 of the service leaves none of them at work."""
    note = tmp_path / "note"
    program = (
        "from tests.service.test_children import CHILDREN, hang, quiet\n"
        f"CHILDREN.call(hang, {str(note)!r}, watch=quiet())"
    )
    service = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    while not (note.exists() and note.read_text()):
        assert service.poll() is None
        time.sleep(0.02)
    service.kill()
    service.wait()
    assert gone(int(note.read_text()))
