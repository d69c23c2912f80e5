"""Commands that show and hand over: show, history, export, and what later versions bring."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ruleedit.cli.common import Json, Out, number, print_json, say, share, table
from ruleedit.formats import EXPORTS

if TYPE_CHECKING:
    from ruleedit.drafts import Draft

RuleFile = Annotated[Path, typer.Argument(metavar="RULES.json", help="A rule file.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (show, history, export):
        app.command()(command)


def show(
    rules: RuleFile,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Parquet of any size, a file or a folder: how many rows does each rule decide?"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the rules in their order, with the figures that were measured when they were extracted."""
    from ruleedit.formats import canonical

    draft = canonical.read(rules)
    counts = None if data is None else _counts(draft, data)
    if as_json:
        print_json(canonical.to_json(draft) | ({} if counts is None else {"rows": counts}))
        return
    show_rules(draft)
    if counts is not None:
        rows = sum(counts.values())
        say(f"of {number(rows)} rows each decides")
        shown = [(rule, number(many), share(many / rows)) for rule, many in counts.items()]
        table(("rule", "rows", "share"), shown, right=("rows", "share"))


def _counts(draft: Draft, data: Path) -> dict[str, int]:
    from ruleedit.scale.counting import rule_counts
    from ruleedit.tables.batches import pieces

    return {one.rule: one.rows for one in rule_counts(draft, pieces(data))}


def history(rules: RuleFile, as_json: Json = False) -> None:
    """Who changed what, and why."""
    from ruleedit.formats import canonical

    draft = canonical.read(rules)
    steps = canonical.to_json(draft)["history"]
    if as_json:
        print_json({"history": steps, "revision": draft.revision, "content": draft.content})
        return
    if not steps:
        say("nothing was edited")
        return
    rows = [
        (place, step["edit"], step["author"], step["reason"], step["revision"][:12])
        for place, step in enumerate(steps, 1)
    ]
    table(("", "edit", "author", "reason", "revision"), rows)


def export(
    rules: RuleFile,
    form: Annotated[str, typer.Option("--format", help=", ".join(EXPORTS))],
    out: Out,
    dialect: Annotated[
        str | None, typer.Option("--dialect", help="For sql: postgres, duckdb, snowflake, bigquery, spark or tsql.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the rules in a format of other tools; what a format can't say is refused by name.

    Then no file is left there either, so that the rules of an earlier export aren't taken for these.
    """
    from ruleedit.files import write_bytes
    from ruleedit.formats import canonical
    from ruleedit.formats import export as write_as
    from ruleedit.formats.conditions import CannotSay

    draft = canonical.read(rules)
    try:
        content = write_as(draft, form, dialect=dialect)
    except CannotSay:
        if out.is_file() and not out.is_symlink():
            out.unlink()
        raise
    write_bytes(out, content)
    if as_json:
        print_json({"format": form, "rules": len(draft.rules), "content": draft.content})
        return
    say(f"{out}: {len(draft.rules)} rules as {form}")


def show_rules(draft: Draft) -> None:
    """The rules as a table; what is special about one stands below its text."""
    figures, stable = _figures(draft), draft.origin.get("stability") or {}
    rows: list[tuple[object, ...]] = []
    for rule in draft.rules:
        kept = not rule.asserted or rule.confirmed
        covered, precision = figures.get(rule.id, ("", "")) if kept else ("", "")
        rows.append((rule.id, rule, covered, precision, _stable(stable, rule.id) if kept else ""))
        state = [word for word, on in (("asserted", rule.asserted), ("disabled", not rule.enabled)) if on]
        if rule.remainder_of:
            state.append(f"remainder of {rule.remainder_of}")
        if state:
            rows.append(("", f"({', '.join(state)})", "", "", ""))
    covered, precision = figures.get("default", ("", ""))
    rows.append(("", f"OTHERWISE {draft.rules.default}", covered, precision, _stable(stable, "default")))
    measured = "training" if draft.origin.get("train") and not draft.origin.get("holdout") else "held-out"
    columns = ("rule", "", f"{measured}\nrows", "model\nagrees", *(("comes\nback",) if stable else ()))
    table(columns, [row[: len(columns)] for row in rows], right=columns[2:])


def _stable(stable: Any, rule: str) -> str:
    """How much of a rule came back from other rows, as a share."""
    figure = stable.get(rule) if isinstance(stable, Mapping) else None
    return share(figure, 0) if isinstance(figure, float) else ""


def _figures(draft: Draft) -> dict[str, tuple[str, str]]:
    """Per rule the rows that it decided and the model's agreement, as measured when it was extracted."""
    measured = draft.origin.get("holdout") or draft.origin.get("train") or {}
    found = {
        str(item["rule"]): (number(item["decided"]), share(item["precision"])) for item in measured.get("rules", [])
    }
    default = measured.get("default")
    if default:
        found["default"] = (number(default["decided"]), share(default["precision"]))
    return found
