"""Somebody's file, read for the first time: in a child process with limits, which may die of it.

A Parquet file of a few bytes can claim any number of rows, and readers of binary formats have crashed
before. So whatever is binary or large is read by ``python -m service.jobs.inspection`` first, which has so
much memory and time and then is gone. What it finds comes back as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from ruleedit import tables
from ruleedit.errors import ModelFileRefused, RuleEditError, TableError
from ruleedit.models.file import check_classifier, probe, read_model
from service.settings import MIB, Settings

#: A text file up to so many bytes is read here: parsing it takes a small multiple of them.
SMALL = MIB
#: What the child exits with where memory is refused.
OUT_OF_MEMORY = 3


def inspect_table(path: Path, settings: Settings) -> tuple[int, list[dict[str, Any]]]:
    """The number of rows of a table and its columns as they are inferred; raises `TableError`."""
    if path.suffix == ".csv" and path.stat().st_size <= SMALL:
        found = read_table(path, settings.most_cells)
    else:
        found = _in_child("table", path, settings, TableError)
    return found["rows"], found["features"]


def inspect_model(path: Path, settings: Settings) -> None:
    """Check a LightGBM file's structure, then load it and ask it in a child; raises `ModelFileRefused`."""
    if path.stat().st_size <= SMALL:
        read_classifier(path)
    else:
        _in_child("model", path, settings, ModelFileRefused)
    probe(path.read_bytes().decode("utf-8", "replace"), seconds=settings.child_seconds, memory=settings.child_memory)


def read_table(path: Path, most_cells: int) -> dict[str, Any]:
    """Read a table of at most so many cells and infer its columns."""
    if path.suffix != ".csv":
        tables.check_size(path, most_cells)
    frame = tables.read(path)
    if frame.size > most_cells:
        raise TableError(f"{path.name!r} has {frame.size} cells; at most {most_cells} are accepted")
    features = [tables.infer_feature(frame[column], column).to_json() for column in frame.columns]
    return {"rows": len(frame), "features": features}


def read_classifier(path: Path) -> dict[str, Any]:
    """Read a LightGBM file's structure."""
    check_classifier(read_model(path.read_bytes().decode("utf-8", "replace")))
    return {}


def _in_child(kind: str, path: Path, settings: Settings, refusal: type[RuleEditError]) -> dict[str, Any]:
    memory, seconds = settings.child_memory, settings.child_seconds
    command = [sys.executable, "-m", "service.jobs.inspection", kind, str(path), str(settings.most_cells), str(memory)]
    # One thread: each further one takes address space from the limit.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            env=os.environ | threads | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise refusal(f"{path.name!r} can't be read within {seconds:g} s") from None
    if done.returncode:
        raise refusal(f"{path.name!r} can't be read: the process that tried ended ({_how(done.returncode, memory)})")
    said = json.loads(done.stdout)
    if "code" in said:
        _raise(said, refusal)
    found: dict[str, Any] = said
    return found


def _how(exit_code: int, memory: int) -> str:
    """How a child ended that found nothing; the code of one that was killed is negative."""
    if exit_code == OUT_OF_MEMORY:
        return f"{memory // MIB} MiB were not enough"
    return f"exit code {exit_code}" if exit_code > 0 else f"signal {-exit_code}, {signal.strsignal(-exit_code)}"


def _raise(said: dict[str, str], refusal: type[RuleEditError]) -> NoReturn:
    """Raise what the child said, by its code."""
    known = {kind.code: kind for kind in _tree(RuleEditError)}
    raise known.get(said["code"], refusal)(said["message"])


def _tree(kind: type[RuleEditError]) -> Iterator[type[RuleEditError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


def main(kind: str, path: str, most_cells: str, memory: str) -> None:
    """Read a file within limits and print what was found, or why it is refused, as JSON."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = int(memory) if hard == resource.RLIM_INFINITY else min(int(memory), hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        found = read_table(Path(path), int(most_cells)) if kind == "table" else read_classifier(Path(path))
    except RuleEditError as problem:
        found = {"code": problem.code, "message": str(problem)}
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
