"""Commands for auditors: bundle, verify, card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ruleedit.cli.common import Json, Out, number, print_json, say

if TYPE_CHECKING:
    from ruleedit.bundle import Card

Group = Annotated[
    list[str] | None, typer.Option("--group", help="A feature by whose values figures are shown; may be repeated.")
]
CardFile = Annotated[
    Path | None,
    typer.Option("--card", help="JSON with purpose, users, out_of_scope, data, contact, complaints, limits."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (bundle, verify, card):
        app.command()(command)


def bundle(
    folder: Annotated[Path, typer.Argument(metavar="RELEASE", help="A release's folder.")],
    out: Out,
    rows: Annotated[
        int | None, typer.Option("--rows", min=1, help="Put in at most so many of the release's held-out rows.")
    ] = None,
    without_rows: Annotated[
        bool, typer.Option("--without-rows", help="Put in no rows; then no figure can be worked out again.")
    ] = False,
    group: Group = None,
    card_file: CardFile = None,
    sign: Annotated[
        Path | None, typer.Option("--sign", help="A file with an Ed25519 private key in hex, which signs the head.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a release's audit bundle: one zip that checks itself; publish the head that this prints."""
    from ruleedit.bundle import Choices
    from ruleedit.bundle import bundle as make
    from ruleedit.files import write_bytes
    from ruleedit.release import load

    chosen = Choices(rows, without_rows, tuple(group or ()), _card(card_file))
    made = make(load(folder), chosen, key=None if sign is None else _key(sign))
    write_bytes(out, made.content)
    if as_json:
        print_json({"head": made.head, "files": list(made.files), "refused": made.refused, "bytes": len(made.content)})
        return
    say(f"{out}: {len(made.files)} files, {number(len(made.content))} bytes")
    for form, why in made.refused.items():
        say(f"left out, {form}: {why}")
    say(f"head {made.head}")
    say("publish the head, or keep it elsewhere: `ruleedit verify --head` holds the bundle against it")


def verify(
    file: Annotated[Path, typer.Argument(metavar="BUNDLE.zip", help="An audit bundle.")],
    head: Annotated[str | None, typer.Option("--head", help="The head as it was published.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="The signer's public key (Ed25519), in hex.")] = None,
    as_json: Json = False,
) -> int:
    """Check a bundle: its chain, hashes, signature, and every figure worked out again. No code in it is run.

    Status 0: verified; 1: something is wrong; 3: internally consistent, origin unproved.
    """
    from ruleedit.bundle import check
    from ruleedit.files import read_bytes

    verdict = check(read_bytes(file, "an audit bundle"), head, key)
    if as_json:
        print_json({"verdict": verdict.said, **verdict._asdict()})
        return verdict.status
    for line in verdict.wrong:
        say(f"WRONG: {line}")
    for line in verdict.notes:
        say(f"note: {line}")
    figures, rows = number(verdict.figures), number(verdict.rows)
    say(f"{number(verdict.events)} events; {figures} figures worked out again on {rows} rows")
    say(f"head {verdict.head}")
    say(verdict.said)
    return verdict.status


def card(
    folder: Annotated[Path, typer.Argument(metavar="RELEASE", help="A release's folder.")],
    out: Out,
    group: Group = None,
    card_file: CardFile = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="What the decisions are for.")] = None,
    contact: Annotated[str | None, typer.Option("--contact", help="Who answers for it.")] = None,
    complaints: Annotated[str | None, typer.Option("--complaints", help="Who to complain to.")] = None,
    as_json: Json = False,
) -> None:
    """Write a release's model card as an HTML page that prints well; what nobody gave is said to be not given."""
    from dataclasses import replace

    from ruleedit.bundle import Choices
    from ruleedit.bundle import card as make
    from ruleedit.files import write_text
    from ruleedit.release import load

    told = _card(card_file)
    told = replace(
        told,
        purpose=purpose or told.purpose,
        contact=contact or told.contact,
        complaints=complaints or told.complaints,
    )
    write_text(out, make(load(folder), Choices(groups=tuple(group or ()), card=told)))
    if as_json:
        print_json({"card": told.to_json()})
        return
    say(f"{out}: a model card; print it to PDF from a browser")


def _card(path: Path | None) -> Card:
    """The card that a file holds; one that says nothing without a file."""
    from ruleedit.bundle import Card
    from ruleedit.files import read_text

    return Card() if path is None else Card.loads(read_text(path, "a card as JSON"), path.name)


def _key(path: Path) -> str:
    """A private key from its file; raises `FileRefused`."""
    from ruleedit.errors import FileRefused
    from ruleedit.files import read_text

    text = read_text(path, "a file with an Ed25519 private key in hex").strip()
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise FileRefused(f"{path.name!r} holds no Ed25519 private key: 64 hexadecimal digits are accepted")
    return text
