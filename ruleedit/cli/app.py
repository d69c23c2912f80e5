"""The commands put together, and how they end.

Status 0, 1 for an unresolved conflict, 2 for unusable input, 70 for a fault of our own.
"""

from __future__ import annotations

import functools
import os
import sys
import traceback
from importlib.metadata import entry_points
from io import TextIOWrapper
from typing import Any

import typer
import typer.main

from ruleedit.cli import auditing, comparing, deciding, demo, editing, importing, learning, showing
from ruleedit.cli.common import plain
from ruleedit.errors import RuleEditError

#: Installed packages add commands under this name; the service adds `serve`.
COMMANDS = "ruleedit.commands"


@functools.cache
def build() -> Any:
    """The command with every command below it."""
    app = typer.Typer(
        name="ruleedit",
        help="Edit the rules of a tabular model, see who is affected, and put the edit in force.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for room in (demo, learning, editing, importing, comparing, deciding, auditing, showing):
        room.register(app)
    for entry in sorted(entry_points(group=COMMANDS), key=lambda entry: entry.name):
        app.command(entry.name)(entry.load())
    return typer.main.get_command(app)


def main() -> None:
    """Run the command line; errors end with one line on standard error."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A name that the terminal has no letters for is shown as an escape.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = _run(sys.argv[1:] or ["--help"])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever was reading has seen enough; Python would complain when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    """Run one command and return the exit status."""
    try:
        # Its own way to run a command would end with status 1 where a pipe is closed.
        with build().make_context("ruleedit", arguments) as context:
            status = build().invoke(context)
    except RuleEditError as problem:
        return _ended(str(problem), problem.code)
    except (typer.Abort, KeyboardInterrupt):
        return _ended("stopped", "cancelled", 130)
    except typer.Exit as ended:
        return ended.exit_code
    except typer.TyperException as problem:
        return _ended(_usage(problem), "usage")
    except BrokenPipeError:
        raise
    except OSError as problem:
        where = "" if problem.filename is None else f"{str(problem.filename)!r}: "
        return _ended(f"{where}{problem.strerror or problem}", "file-refused")
    except Exception:  # noqa: BLE001 (Python's own status for it, 1, means an unresolved conflict here)
        traceback.print_exc()
        return 70
    return status if isinstance(status, int) else 0


def _usage(problem: typer.TyperException) -> str:
    """What is wrong with the arguments, and where to read on."""
    where = getattr(problem, "ctx", None)
    command = "ruleedit" if where is None else where.command_path
    return f"{problem.format_message().rstrip('.')}; see {command} --help"


def _ended(message: str, code: str, status: int = 2) -> int:
    """Say in one line what was wrong, and return the exit status."""
    print(f"ruleedit: {plain(' '.join(message.split()))} ({code})", file=sys.stderr)
    return status
