"""The command import: rules that people or other systems wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ruleedit.cli.common import Json, Out, print_json, say
from ruleedit.cli.editing import Author, author_name
from ruleedit.errors import RuleTextError

if TYPE_CHECKING:
    from ruleedit.schema import Schema

FORMATS = "json, text, csv, xlsx, dmn, dmn-xlsx or pmml"


def register(app: typer.Typer) -> None:
    """Add the command; its name is a keyword of Python."""
    app.command("import")(import_rules)


def import_rules(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The rules.")],
    form: Annotated[str, typer.Option("--format", help=f"{FORMATS}.")],
    out: Out,
    schema: Annotated[
        Path | None, typer.Option("--schema", help="The model's folder, or a schema as JSON, that the rules are about.")
    ] = None,
    default: Annotated[
        str | None, typer.Option("--default", help="What holds where no rule does; as the file says unless given.")
    ] = None,
    onto: Annotated[
        Path | None, typer.Option("--onto", help="A rule file that the rules are added to, as asserted rules.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; with --onto it stays in the history.")] = "",
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Read rules from another system or by a person, as a rule file; what can't be read is refused with its place."""
    from ruleedit.files import read_bytes
    from ruleedit.formats import canonical
    from ruleedit.formats.read import read_rules
    from ruleedit.workflow import add_rules, read_outcome

    if (schema is None) == (onto is None):
        raise RuleTextError("give --schema for a new rule file, or --onto RULES.json to add the rules to one")
    if onto is not None and not reason:
        raise RuleTextError("--onto edits a rule file, and an edit has a --reason")
    base = None if onto is None else canonical.read(onto)
    known = base.schema if base is not None else _schema(schema)
    closing = None if default is None else read_outcome(default, known)
    if base is not None and closing is None:
        closing = base.rules.default
    found, notes = read_rules(read_bytes(file, "a file of rules"), form, known, default=closing, where=repr(file.name))
    draft = found if base is None else add_rules(base, found.rules, reason=reason, author=author_name(author))
    canonical.write(draft, out)
    if as_json:
        print_json({"rules": len(found.rules), "content": draft.content, "notes": list(notes)})
        return
    say(f"{out}: {len(found.rules)} rules from {file.name}")
    for note in notes:
        say(f"note: {note}")


def _schema(path: Path | None) -> Schema:
    from ruleedit.files import read_json, read_text
    from ruleedit.models.folder import load
    from ruleedit.schema import Schema

    assert path is not None
    if path.is_dir():
        return load(path).schema
    return Schema.from_json(read_json(read_text(path, "a model's folder or a schema as JSON"), path.name))
