"""Zip files from elsewhere: looked over before anything is unpacked, and unpacked into memory only."""

from __future__ import annotations

import io
import zipfile
import zlib

from ruleedit.errors import FileRefused

#: The most files of an archive: a bundle has some dozens, a workbook too.
MOST_FILES = 1_000
#: The most bytes unpacked, of all files together; a bundle of 20,000 rows and two models has some 100 MiB.
MOST_UNPACKED = 512 * 2**20
#: What packs better than this is no file that anybody wrote; zlib itself reaches 1,032.
MOST_RATIO = 500


def unpacked(content: bytes, what: str, *, most: int = MOST_UNPACKED) -> dict[str, bytes]:
    """The files of an archive by name; nothing is written to disk.

    Raises `FileRefused` for what is no whole zip, for names that lead out of a folder or come
    twice, for encrypted or linked files, and for archives that unpack to more than ``most`` bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            _look_over(infos, what, most)
            return {info.filename: archive.read(info) for info in infos if not info.is_dir()}
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
        ValueError,
    ) as problem:
        if isinstance(problem, FileRefused):
            raise
        raise FileRefused(f"{what} is no whole zip file ({problem})") from None


def _look_over(infos: list[zipfile.ZipInfo], what: str, most: int) -> None:
    if len(infos) > MOST_FILES:
        raise FileRefused(f"{what} holds {len(infos):,} files; at most {MOST_FILES:,} are read")
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        raise FileRefused(f"{what} holds a file twice")
    total = 0
    for info in infos:
        _check_name(info, what)
        total += info.file_size
        if total > most or info.file_size > MOST_RATIO * max(info.compress_size, 1_000):
            raise FileRefused(f"{what} unpacks to more than it should: {info.filename!r} is {info.file_size:,} bytes")


def _check_name(info: zipfile.ZipInfo, what: str) -> None:
    name = info.orig_filename
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0] or "\0" in name or "\\" in name:
        raise FileRefused(f"{what} holds {name!r}, a name that leads out of its folder")
    if info.flag_bits & 1:
        raise FileRefused(f"{what} holds {name!r}, which is encrypted")
    if (info.external_attr >> 16) & 0o170000 == 0o120000:
        raise FileRefused(f"{what} holds {name!r}, which is a link")
