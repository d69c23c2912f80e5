"""What the commands share: options, tables for people, JSON for machines, progress."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from rich.console import Console

if TYPE_CHECKING:
    import pandas as pd

    from ruleedit.matching import Indices
    from ruleedit.scale.cluster import Over
    from ruleedit.schema import Schema

Json = Annotated[bool, typer.Option("--json", help="Print one machine-readable object.")]
Data = Annotated[Path, typer.Option("--data", help="A table, CSV or Parquet.")]
Out = Annotated[Path, typer.Option("--out", help="Where to write; what is there is replaced whole.")]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=2**31 - 1, help="The same seed, data and versions give the same bytes.")
]
Dask = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        envvar="RULEEDIT_DASK",
        help="Let Dask's workers do it: a scheduler's address (tcp://host:8786), or local for workers on this machine.",
    ),
]
#: Called with the steps done, all of them, and what there is to say.
Watch: TypeAlias = Callable[..., None]

#: What a terminal obeys instead of showing it, and what turns the direction of the text around it.
_UNSEEN = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_UNSEEN_TEXT = re.compile(f"[\x00-\x1f{_UNSEEN}]")
_UNSEEN_JSON = re.compile(f"[{_UNSEEN}]")


class Screen(Console):
    """A console that leaves it to `main` how a closed pipe ends: its own way is status 1, an open conflict's."""

    def on_broken_pipe(self) -> None:
        """Go on with the error."""
        raise BrokenPipeError


console = Screen(highlight=False, emoji=False)


def plain(text: str) -> str:
    """The text on one line, with control characters shown as escapes instead of obeyed."""
    return _UNSEEN_TEXT.sub(lambda found: repr(found[0])[1:-1], text)


def say(text: str = "") -> None:
    """Print a line for people; names in it are never read as markup. Line breaks may lead it."""
    line = text.lstrip("\n")
    console.print("\n" * (len(text) - len(line)) + plain(line), markup=False, soft_wrap=True)


def json_text(data: Any, *, indent: int | None = None) -> str:
    """JSON that is safe to print on any terminal; other scripts are readable where it speaks UTF-8."""
    readable = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(data, indent=indent, ensure_ascii=not readable, allow_nan=False)
    return _UNSEEN_JSON.sub(lambda found: json.dumps(found[0])[1:-1], text)


def print_json(data: Any) -> None:
    """Print one JSON object."""
    print(json_text(data))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Print a table; columns named in ``right`` are aligned right."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text("" if cell is None else plain(str(cell))) for cell in row))
    console.print(shown)


def share(value: float | None, digits: int = 1) -> str:
    """A share as a percentage; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.{digits}f}%"


def number(value: int) -> str:
    """A count with thousands separated."""
    return f"{value:,}"


def many(value: int, what: str) -> str:
    """A count of things, one of them without the s."""
    return f"{number(value)} {what}{'' if value == 1 else 's'}"


@contextlib.contextmanager
def watching(what: str, quiet: bool) -> Iterator[Watch]:
    """A progress bar on standard error, where somebody is watching."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(plain(what), total=None)

        def watch(done: int, of: int, said: object = "") -> None:
            note = f" ({said})" if isinstance(said, str) and said else ""
            bar.update(task, completed=done, total=of, description=plain(what + note))

        yield watch


@contextlib.contextmanager
def workers(address: str | None) -> Iterator[Over]:
    """What works on a table's pieces: this process, or the workers of a Dask cluster."""
    from ruleedit.scale.cluster import Spread, cluster, here

    if address is None:
        yield here
        return
    with cluster(address) as client:
        yield Spread(client)


def target_or_none(frame: pd.DataFrame, schema: Schema, *, strict: bool) -> Indices | None:
    """The table's target as places in schema order; None where it has none, or unless ``strict`` none that is whole."""
    from ruleedit.errors import TargetError
    from ruleedit.tables import target_codes

    if schema.target not in frame.columns:
        return None
    try:
        return target_codes(frame, schema)
    except TargetError:
        if strict:
            raise
        return None
