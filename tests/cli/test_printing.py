"""What people see: readable at 80 columns, names printed literally, nothing that a terminal would obey."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from ruleedit.cli import common
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.formats import canonical
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from tests.commandline import Ended, Shop, answer, done, refused, run

RULEEDIT = Path(sys.executable).with_name("ruleedit")
HOSTILE = (
    "[bold]x[/]",
    "[/]",
    ":car:",
    "line\nbreak",
    "\x1b[2J\x1b]0;gone\x07",
    "\x9b31m",
    "\u202egnol",
    "tab\t",
    "\r",
)


def process(*arguments: object, **options: str) -> subprocess.CompletedProcess[bytes]:
    """The console script in a process of its own."""
    return subprocess.run([RULEEDIT, *map(str, arguments)], capture_output=True, check=False, env=options or None)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A rule file whose features, categories and classes have hostile names."""
    features = tuple(Feature(name, "categorical", categories=HOSTILE) for name in HOSTILE)
    schema = Schema(features, "y", HOSTILE)
    rules = tuple(
        Rule(f"R{place}", (Clause(name, "=", name),), Outcome.of(name)) for place, name in enumerate(HOSTILE, 1)
    )
    draft = Draft.of(RuleSet(rules, Outcome.of("[/]")), schema)
    draft = edit(draft, ["default 'line\nbreak'"], reason="[red]\x1b[2J", author="[/]")
    canonical.write(draft, tmp_path / "hostile.json")
    return tmp_path / "hostile.json"


class TestNames:
    @pytest.mark.parametrize("command", ["show", "history", "conflicts"])
    def test_hostile_ones_are_shown_and_not_obeyed(self, hostile: Path, command: str) -> None:
        """No control character reaches the terminal, and markup and emoji codes stay as they are."""
        shown = done(command, hostile).out
        assert not [sign for sign in shown if sign != "\n" and (ord(sign) < 32 or 127 <= ord(sign) < 160)]
        assert "\u202e" not in shown

    def test_are_printed_literally(self, hostile: Path) -> None:
        """What is markup for the printing library is a name here."""
        shown = done("show", hostile).out
        for name in ("'[bold]x[/]'", "'[/]'", "':car:'", r"'line\nbreak'", r"\x1b[2J\x1b]0;gone\x07", r"\u202egnol"):
            assert name in shown
        history = done("history", hostile).out
        assert "[red]\\x1b[2J" in history

    def test_as_json_they_come_back(self, hostile: Path) -> None:
        """Escaped on the way, the same after reading."""
        ended = done("show", hostile, "--json")
        assert ended.json == json.loads(hostile.read_text())
        assert "\x9b" not in ended.out
        assert "\u202e" not in ended.out

    def test_in_errors_too(self, hostile: Path, tmp_path: Path) -> None:
        """An error is one line, whatever it names."""
        edits = ["new IF `\x1b[31m\nx` = y THEN z", "\x1b[2J\n", "drop \x1b[2J x"]
        for text in edits:
            ended = run("edit", hostile, text, "--reason", "r", "--out", tmp_path / "o.json")
            assert (ended.status, ended.err.count("\n")) == (2, 1)
            assert "\x1b" not in ended.err
        refused("file-refused", "show", tmp_path / "a\nb\x1b[2J[/].json")

    def test_in_the_schema(self, tmp_path: Path) -> None:
        """A table's own names are shown by every command that shows them."""
        csv = tmp_path / "t.csv"
        csv.write_text(
            '"[/]\n\x1b[2J",y\n' + "".join(f"{place},{'[b]' if place > 20 else ':car:'}\n" for place in range(60))
        )
        for arguments in (
            ["train", csv, "--target", "y", "--out", tmp_path / "m"],
            ["schema", tmp_path / "m"],
            ["extract", tmp_path / "m", "--data", csv, "--out", tmp_path / "r.json"],
            ["predict", tmp_path / "m", csv, "--out", tmp_path / "p.csv"],
            ["explain", tmp_path / "m", csv, "--row", 0],
        ):
            shown = done(*arguments).out
            assert "\x1b" not in shown
            assert any(name in shown for name in (":car:", r"[/]\n\x1b[2J"))


class TestTables:
    def test_long_rules_are_read_at_80_columns(self, shop: Shop, tmp_path: Path) -> None:
        """No line is longer, words stay whole, and the rule has most of the width."""
        rule = "IF age between 20 and 60 AND employment in (contract, permanent, retired) AND income > 20000 THEN deny"
        done("edit", shop.rules, f"new {rule}", "--reason", "r", "--out", tmp_path / "e.json")
        lines = done("show", tmp_path / "e.json").out.splitlines()
        assert max(map(len, lines)) <= 80
        first = next(place for place, line in enumerate(lines) if line.startswith("R7"))
        said = " ".join(line[4:].strip() for line in lines[first : first + 2])
        assert said == rule

    def test_special_rules_say_so_below_their_text(self, shop: Shop, tmp_path: Path) -> None:
        """Asserted, disabled, and whose remainder."""
        edits = ["disable R1 otherwise approve", "confirm R3"]
        done("edit", shop.rules, *edits, "--reason", "r", "--out", tmp_path / "e.json")
        shown = done("show", tmp_path / "e.json").out
        for text in ("(disabled)", "(asserted, remainder of R1)", "(asserted)"):
            assert text in shown

    def test_a_wide_terminal_is_used(self, shop: Shop) -> None:
        """Where there is room a rule stands on one line."""
        longest = max((rule["text"] for rule in answer("show", shop.rules)["rules"]), key=len)
        assert longest in run("show", shop.rules, columns=200).out


class TestProgress:
    def test_only_where_somebody_watches(self) -> None:
        """A bar on a terminal, nothing into a file, nothing beside JSON; what it says is no markup."""
        for terminal, quiet, shown in ((True, False, True), (False, False, False), (True, True, False)):
            err = mock.Mock(wraps=io.StringIO(), isatty=lambda terminal=terminal: terminal, encoding="utf-8")
            with contextlib.redirect_stderr(err), common.watching("[/] work\x1b[2J", quiet) as watch:
                watch(1, 3, "[/] said")
            assert err.write.called == shown
            assert "work\x1b" not in "".join(str(call.args[0]) for call in err.write.call_args_list)


class TestProcesses:
    def test_the_console_script(self, shop: Shop) -> None:
        """Status, standard output and standard error of a real process."""
        ended = process("show", shop.rules, "--json")
        assert (ended.returncode, ended.stderr) == (0, b"")
        assert json.loads(ended.stdout)["content"]
        ended = process("show", shop.folder / "none.json")
        assert (ended.returncode, ended.stdout) == (2, b"")
        assert ended.stderr.count(b"\n") == 1

    def test_a_terminal_without_the_letters(self, hostile: Path) -> None:
        """What an ASCII terminal can't show is escaped, and JSON stays JSON."""
        ended = process("show", hostile, "--json", PYTHONIOENCODING="ascii")
        assert json.loads(ended.stdout.decode("ascii")) == json.loads(hostile.read_text())
        assert process("show", hostile, PYTHONIOENCODING="ascii").returncode == 0

    @pytest.mark.parametrize("more", [[], ["--json"]])
    def test_a_reader_that_has_seen_enough(self, shop: Shop, more: list[str]) -> None:
        """A closed pipe is no error, and no open conflict either."""
        command = [RULEEDIT, "show", shop.rules, *more]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stderr is not None
            writer.stdout.close()
            assert writer.stderr.read() == b""
        assert writer.returncode == 0


class TestEndings:
    """How `main` ends where a command goes wrong in a way of its own."""

    def fails(self, monkeypatch: pytest.MonkeyPatch, problem: BaseException) -> Ended:
        """Run a command that ends with this error."""

        def fail(*_: object) -> None:
            raise problem

        monkeypatch.setattr(canonical, "read", fail)
        return run("conflicts", "r.json")

    @pytest.mark.parametrize(
        ("problem", "status", "line"),
        [
            (KeyboardInterrupt(), 130, "ruleedit: stopped (cancelled)\n"),
            (
                PermissionError(13, "Permission denied", "/x\n"),
                2,
                "ruleedit: '/x\\n': Permission denied (file-refused)\n",
            ),
            (OSError("odd"), 2, "ruleedit: odd (file-refused)\n"),
        ],
    )
    def test_one_line(self, monkeypatch: pytest.MonkeyPatch, problem: BaseException, status: int, line: str) -> None:
        """Stopped by hand, or refused by the system."""
        ended = self.fails(monkeypatch, problem)
        assert (ended.status, ended.out, ended.err) == (status, "", line)

    def test_a_fault_of_ours_is_no_conflict(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Status 1 says that a conflict is open, so a fault has another one, with all there is to report it."""
        ended = self.fails(monkeypatch, ZeroDivisionError("ours"))
        assert ended.status == 70
        assert "Traceback" in ended.err
        assert ended.err.endswith("ZeroDivisionError: ours\n")
