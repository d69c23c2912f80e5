"""Files: replaced whole or not at all, JSON without surprises."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ruleedit.errors import FileRefused
from ruleedit.files import read_json, read_text, replacing, write_text


class TestReplacing:
    def test_it_appears_once_it_is_complete(self, tmp_path: Path) -> None:
        """Until then the old file is there, and nobody finds half of the new one under its name."""
        path = tmp_path / "f"
        write_text(path, "old")
        with replacing(path) as file:
            file.write(b"ne")
            assert path.read_text() == "old"
            file.write(b"w")
        assert path.read_text() == "new"
        assert list(tmp_path.iterdir()) == [path]

    def test_what_goes_wrong_on_the_way_leaves_the_old_file(self, tmp_path: Path) -> None:
        """The error comes through as it is, and nothing is left beside the file."""
        path = tmp_path / "f"
        write_text(path, "old")

        def half() -> None:
            with replacing(path) as file:
                file.write(b"half")
                raise KeyError

        with pytest.raises(KeyError):
            half()
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]


class TestWriteText:
    def test_writes_what_is_read_back(self, tmp_path: Path) -> None:
        """UTF-8, with line ends as they are, in folders that are made on the way."""
        path = tmp_path / "a" / "b" / "c.txt"
        write_text(path, "é\r\n\n😀")
        assert read_text(path, "a text") == "é\r\n\n😀"
        assert [inner.name for inner in path.parent.iterdir()] == ["c.txt"]

    def test_a_failure_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whether writing or replacing fails, what was there is there, and nothing beside it."""
        path = tmp_path / "f"
        write_text(path, "old")

        def fail(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        for owner, name in ((Path, "open"), (os, "replace")):
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, fail)
                with pytest.raises(FileRefused, match="No space left on device"):
                    write_text(path, "new")
            assert path.read_text() == "old"
            assert [inner.name for inner in tmp_path.iterdir()] == ["f"]

    def test_keeps_who_may_read_it(self, tmp_path: Path) -> None:
        """A file that was private stays private."""
        write_text(tmp_path / "f", "old")
        (tmp_path / "f").chmod(0o600)
        write_text(tmp_path / "f", "new")
        assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600

    def test_a_link_stays(self, tmp_path: Path) -> None:
        """What it points to is replaced."""
        write_text(tmp_path / "f", "old")
        (tmp_path / "link").symlink_to(tmp_path / "f")
        write_text(tmp_path / "link", "new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "f").read_text() == "new"

    def test_a_pipe_is_written_to(self, tmp_path: Path) -> None:
        """A pipe or a device is no file that could be replaced."""
        os.mkfifo(tmp_path / "pipe")
        said: list[str] = []
        reader = threading.Thread(target=lambda: said.append((tmp_path / "pipe").read_text()))
        reader.start()
        write_text(tmp_path / "pipe", "through")
        reader.join(10)
        assert said == ["through"]
        assert (tmp_path / "pipe").is_fifo()

    @pytest.mark.parametrize("where", [".", "f/x", "f/x/y"])
    def test_refuses_what_can_not_be_a_file(self, tmp_path: Path, where: str) -> None:
        """A folder in its place, or a file where a folder should be."""
        (tmp_path / "f").write_text("mine")
        with pytest.raises(FileRefused):
            write_text(tmp_path / where, "x")
        assert (tmp_path / "f").read_text() == "mine"

    def test_refuses_what_is_no_text(self, tmp_path: Path) -> None:
        """Half a character has no place in UTF-8."""
        with pytest.raises(FileRefused, match="UTF-8"):
            write_text(tmp_path / "f", "\ud800")
        assert not (tmp_path / "f").exists()


class TestReadText:
    def test_says_what_is_expected(self, tmp_path: Path) -> None:
        """No file, a folder, bytes that are no text."""
        (tmp_path / "f").write_bytes(b"\xff")
        for path in (tmp_path / "none", tmp_path, tmp_path / "f"):
            with pytest.raises(FileRefused, match="give a good file"):
                read_text(path, "a good file")


class TestReadJson:
    def test_reads_json(self) -> None:
        """Also behind a byte order mark, with characters in two escapes."""
        assert read_json('\ufeff{"a": [1, "\\ud83d\\ude00"]}', "it") == {"a": [1, "😀"]}

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[1,]", "NaN", "[-Infinity]", '{"a": 1, "a": 1}', '["\\udc00"]', "[" * 100_000, "1" * 10_000, "'x'"],
    )
    def test_refuses_the_rest(self, text: str) -> None:
        """Each with where it was, on one line."""
        with pytest.raises(FileRefused, match=r"^it is no readable JSON: .+$"):
            read_json(text, "it")
