"""Commands that change rules: edit, impact, conflicts, resolve."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ruleedit.cli.common import Data, Json, Out, number, print_json, say, share, table, target_or_none
from ruleedit.errors import RuleTextError

if TYPE_CHECKING:
    import pandas as pd

    from ruleedit.drafts import Draft
    from ruleedit.feedback import Feedback
    from ruleedit.impact import Impact

RuleFile = Annotated[Path, typer.Argument(metavar="RULES.json", help="A rule file.")]
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
    data: Data,
    rows_out: Annotated[Path | None, typer.Option("--rows", help="Write the changed rows here, as CSV.")] = None,
    as_json: Json = False,
) -> None:
    """What the hard overlay would change, for whom, and what the data say against it."""
    from ruleedit.doubts import doubts
    from ruleedit.feedback import feedback
    from ruleedit.files import write_text
    from ruleedit.formats import canonical
    from ruleedit.impact import impact as measure
    from ruleedit.modelfolder import load
    from ruleedit.tables import encode, read
    from ruleedit.workflow import check_same_schema

    model, draft, frame = load(folder), canonical.read(rules), read(data)
    check_same_schema(model, draft)
    encoded = encode(frame, model.schema)
    asked = feedback(draft.base, draft.rules, draft.schema)
    found = measure(asked, encoded, model.outcomes(encoded))
    if rows_out is not None:
        changed = _changed_rows(frame, found, model.schema.classes, asked)
        write_text(rows_out, changed.to_csv(index=False))
    truth = target_or_none(frame, model.schema, strict=False)
    against = doubts(draft, asked, encoded, truth, found.before, found.after)
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


def _changed_rows(frame: pd.DataFrame, found: Impact, classes: Sequence[str], asked: Feedback) -> pd.DataFrame:
    """The table's rows whose decision changes, with their numbers; a column of the table's own name keeps it."""
    rows = found.mask.nonzero()[0]
    changed = frame[found.mask].copy()
    ours: dict[str, Sequence[object]] = {
        "row": rows.tolist(),
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
    data: Annotated[Path | None, typer.Option("--data", help="A table to count the rows in each.")] = None,
    as_json: Json = False,
) -> int:
    """Asserted rules that contradict each other; exit status 1 if any is unresolved."""
    from ruleedit.conflicts import find_conflicts
    from ruleedit.doubts import authors
    from ruleedit.findings import findings
    from ruleedit.formats import canonical
    from ruleedit.regions import box_text
    from ruleedit.tables import encode, read
    from ruleedit.workflow import conflict_json, conflict_rows

    draft = canonical.read(rules)
    found, noticed, wrote = find_conflicts(draft.rules, draft.schema), findings(draft), authors(draft)
    rows = None if data is None else encode(read(data), draft.schema)
    counts = conflict_rows(found, draft.schema, rows)
    unresolved = any(not conflict.resolved for conflict in found)
    if as_json:
        told = [conflict_json(c, draft.schema, n, wrote) for c, n in zip(found, counts, strict=True)]
        print_json({"conflicts": told, "findings": [one.to_json(draft.schema, rows) for one in noticed]})
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
