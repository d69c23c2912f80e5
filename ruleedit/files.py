"""Writing files so that others see them as they were before, or complete; reading text and JSON."""

from __future__ import annotations

import contextlib
import json
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from ruleedit.errors import FileRefused

#: Half of a surrogate pair, as JSON may spell it: no text in UTF-8 can hold it alone.
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, replacing what is there whole; raises `FileRefused`."""
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError:
        raise FileRefused(f"{str(path)!r} can't be written: the text holds what is no text in UTF-8") from None
    write_bytes(path, content)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file, replacing what is there whole; raises `FileRefused`."""
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write to that replaces what is there whole once it is complete; raises `FileRefused`.

    Where the writing fails nothing has changed. A link stays and what it points to is replaced; a device
    or a pipe is written to as it is.
    """
    path = Path(path)
    if path.is_dir():
        raise FileRefused(f"{str(path)!r} is a folder; give a file")
    try:
        with path.open("wb") if path.exists() and not path.is_file() else _replacement(path.resolve()) as file:
            yield file
    except OSError as problem:
        raise FileRefused(f"{str(path)!r} can't be written: {problem.strerror}") from None


@contextlib.contextmanager
def _replacement(path: Path) -> Iterator[BinaryIO]:
    fresh = path.with_name(f".{uuid.uuid4().hex}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with fresh.open("wb") as file:
            yield file
        if path.exists():
            fresh.chmod(path.stat().st_mode & 0o7777)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def read_bytes(path: str | Path, what: str) -> bytes:
    """Read a file; raises `FileRefused` saying ``what`` is expected there."""
    try:
        return Path(path).read_bytes()
    except OSError as problem:
        raise FileRefused(f"{str(path)!r} can't be read ({problem.strerror}); give {what}") from None


def read_text(path: str | Path, what: str) -> str:
    """Read a text file in UTF-8; raises `FileRefused` saying ``what`` is expected there."""
    try:
        return read_bytes(path, what).decode("utf-8")
    except UnicodeDecodeError:
        raise FileRefused(f"{str(path)!r} is no text in UTF-8; give {what}") from None


def read_json(text: str, where: str) -> Any:
    """Parse JSON without NaN, infinities, keys given twice and half characters.

    Raises `FileRefused` with the line. A byte order mark, which some editors write, is read over.
    """
    text = text.removeprefix("\ufeff")
    try:
        data = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
        if _HALF.search(text):
            json.dumps(data, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise FileRefused(f"{where} is no readable JSON: it holds half a character") from None
    except (ValueError, RecursionError) as problem:
        raise FileRefused(f"{where} is no readable JSON: {problem}") from None
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")
