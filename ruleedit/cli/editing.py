"""Commands that change rules: edit, impact, conflicts, resolve."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ruleedit.cli.common import Dask, Json, Out, number, print_json, say, share, table, workers
from ruleedit.errors import RuleTextError

if TYPE_CHECKING:
    import pandas as pd

    from ruleedit.drafts import Draft
    from ruleedit.feedback import Feedback
    from ruleedit.impact import Impact
    from ruleedit.scale.measuring import Measured, Meter
    from ruleedit.tables.batches import Batch, Piece

RuleFile = Annotated[Path, typer.Argument(metavar="RULES.json", help="A rule file.")]
AnySize = Annotated[
    Path, typer.Option("--data", help="A table of any size: CSV, Parquet, or a folder of Parquet files.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stays in the history.")]
Author = Annotated[str | None, typer.Option("--author", help="Who; the logged-in user unless given.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (edit, impact, conflicts, resolve):
        app.command()(command)


def edit(
    rules: RuleFile,
    edits: Annotated[list[str], typer.Argument(metavar="EDIT...", help="set R3 age > 26, new IF ..., undo, ...")],
    reason: Reason,
    out: Out,
    author: Author = None,
    asserts: Annotated[str, typer.Option("--assert", help="whole, or change: only where answers differ.")] = "whole",
    as_json: Json = False,
) -> None:
    """Make edits, all or none; each keeps its reason, its author and its inverse."""
    from ruleedit.edits import Asserts
    from ruleedit.edits import edit as make_edits
    from ruleedit.formats import canonical

    if asserts not in ("whole", "change"):
        raise RuleTextError(f"--assert {asserts!r}: whole or change is accepted")
    draft = canonical.read(rules)
    limited: Asserts = "change" if asserts == "change" else "whole"
    edited = make_edits(draft, edits, reason=reason, author=author_name(author), asserts=limited)
    canonical.write(edited, out)
    warnings = edited.warnings()
    if as_json:
        hashes = {"content": edited.content, "revision": edited.revision}
        print_json({**hashes, "edits": len(edits), "warnings": list(warnings)})
        return
    from ruleedit.cli.showing import show_rules

    show_rules(edited)
    for warning in warnings:
        say(f"warning: {warning}")
    _say_open(edited)


def impact(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A model's or release's folder.")],
    rules: RuleFile,
    data: AnySize,
    rows_out: Annotated[Path | None, typer.Option("--rows", help="Write the changed rows here, as CSV.")] = None,
    dask: Dask = None,
    as_json: Json = False,
) -> None:
    """What the hard overlay would change, for whom, and what the data say against it."""
    from ruleedit.formats import canonical
    from ruleedit.models.folder import load
    from ruleedit.scale.measuring import Meter
    from ruleedit.tables.batches import pieces

    meter, where = Meter(load(folder), canonical.read(rules)), pieces(data)
    if rows_out is not None:
        # The rows stand in the table's order, in one file: that is one process's work.
        counts = _write_changed(meter, where, rows_out)
    else:
        with workers(dask) as over:
            counts = meter.measure(where, over)
    found, against = counts.tally, meter.doubts(counts)
    if as_json:
        print_json(found.to_json() | {"doubts": [doubt.to_json() for doubt in against]})
        return
    say(f"{number(found.changed)} of {number(found.rows)} decisions change ({share(found.changed / found.rows)})")
    flips = [(f"{old} -> {new}", number(count)) for (old, new), count in found.flips.items()]
    table(("", "decisions"), flips, right=("decisions",))
    say(f"by the edit: {number(found.changed_by_edit)}")
    say(f"because the model didn't follow the rule: {number(found.changed_by_assertion)}")
    if found.undecided:
        say(f"undecided, in unresolved conflicts: {number(found.undecided)}")
    rows = [(rule.rule, rule.kind, number(rule.covered), number(rule.changed)) for rule in found.by_rule]
    table(("rule", "kind", "rows", "changed"), rows, right=("rows", "changed"))
    for doubt in against:
        say(f"doubt: {doubt.says}")


def _write_changed(meter: Meter, where: Sequence[Piece], out: Path) -> Measured:
    """Measure a table, and write the rows whose decision changes as CSV that appears once it is complete."""
    from ruleedit.files import replacing

    total: Measured | None = None
    with replacing(out) as file:
        for batch, found, counts in meter.impacts(where, all_columns=True):
            changed = _changed_rows(batch, found, meter.asked)
            file.write(changed.to_csv(index=False, header=total is None).encode("utf-8", "surrogatepass"))
            total = counts if total is None else total + counts
    assert total is not None, "a table has rows"
    return total


def _changed_rows(batch: Batch, found: Impact, asked: Feedback) -> pd.DataFrame:
    """The batch's rows whose decision changes, with their numbers; a column of the table's own name keeps it."""
    rows, classes = found.mask.nonzero()[0], found.classes
    changed = batch.frame[found.mask].copy()
    ours: dict[str, Sequence[object]] = {
        "row": (rows + batch.start).tolist(),
        "outcome_before": [classes[code] for code in found.before[rows]],
        "outcome_after": [classes[code] for code in found.after[rows]],
        "feedback_rule": [asked.rules[place].id for place in found.held[rows]],
    }
    for wanted, values in ours.items():
        name = wanted
        while name in changed.columns:
            name += "_"
        changed.insert(0 if wanted == "row" else len(changed.columns), name, values)
    return changed


def conflicts(
    rules: RuleFile,
    data: Annotated[
        Path | None, typer.Option("--data", help="A table of any size to count the rows in each: CSV, Parquet, folder.")
    ] = None,
    dask: Dask = None,
    as_json: Json = False,
) -> int:
    """Asserted rules that contradict each other; exit status 1 if any is unresolved."""
    from ruleedit.conflicts import find_conflicts
    from ruleedit.doubts import authors
    from ruleedit.findings import findings
    from ruleedit.formats import canonical
    from ruleedit.regions import box_text
    from ruleedit.workflow import conflict_json

    draft = canonical.read(rules)
    found, noticed, wrote = find_conflicts(draft.rules, draft.schema), findings(draft), authors(draft)
    counts: Sequence[int | None] = [None] * len(found)
    about: Sequence[int | None] = [None] * len(noticed)
    if data is not None:
        from ruleedit.scale.measuring import rows_in
        from ruleedit.tables.batches import pieces

        with workers(dask) as over:
            counts, about = rows_in(found, noticed, draft, pieces(data), over)
    unresolved = any(not conflict.resolved for conflict in found)
    if as_json:
        told = [conflict_json(c, draft.schema, n, wrote) for c, n in zip(found, counts, strict=True)]
        remarks = [one.to_json(n) for one, n in zip(noticed, about, strict=True)]
        print_json({"conflicts": told, "findings": remarks})
        return int(unresolved)
    if not found:
        say("no conflicts")
    for conflict, count in zip(found, counts, strict=True):
        settled = f"settled by {conflict.settlement.strategy}" if conflict.settlement else "unresolved"
        where = "" if count is None else f", {number(count)} rows"
        say(f"{' and '.join(conflict.rules)}: {settled}{where}")
        for rule in conflict.rules:
            say(f"    {rule}  {draft.rules.rule(rule)}")
        box = conflict.region.first_box()
        say(f"    both cover {box_text(box, draft.schema) if box else 'no row'}")
    for one in noticed:
        say(f"finding: {one.says}")
    return int(unresolved)


def resolve(
    rules: RuleFile,
    strategy: Annotated[str, typer.Option("--strategy", help="priority, specific, carve, mixture, outcome or model.")],
    out: Out,
    pair: Annotated[list[str] | None, typer.Argument(metavar="[RULE RULE]", help="The pair; all unless given.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="What holds in the intersection.")] = None,
    weights: Annotated[str | None, typer.Option("--weights", help="A,B: a mixture's weights.")] = None,
    reason: Reason = "",
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Settle conflicts; nothing to settle is fine."""
    from ruleedit.formats import canonical
    from ruleedit.workflow import resolve_conflicts

    draft = canonical.read(rules)
    settled = resolve_conflicts(
        draft, tuple(pair or ()), strategy, outcome=outcome, weights=weights, reason=reason, author=author_name(author)
    )
    canonical.write(settled, out)
    if as_json:
        hashes = {"content": settled.content, "revision": settled.revision}
        print_json({**hashes, "settlements": len(settled.rules.settlements)})
        return
    say("settled" if settled is not draft else "nothing to settle")
    _say_open(settled)


def author_name(given: str | None) -> str:
    """The author given, else the logged-in user."""
    if given is not None:
        return given
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _say_open(draft: Draft) -> None:
    from ruleedit.conflicts import open_conflicts

    for conflict in open_conflicts(draft.rules, draft.schema):
        say(f"conflict: {' and '.join(conflict.rules)} disagree; settle it with resolve")
