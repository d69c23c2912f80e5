"""The command compare: where two models, releases or rule sets answer differently."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ruleedit.cli.common import Data, Json, Seed, number, print_json, say, share, table, target_or_none

if TYPE_CHECKING:
    from ruleedit.comparison import Comparison

#: So many of the groups in which most has changed are shown; ``--json`` has all.
MOST_GROUPS = 8
Side = "DIR|RELEASE|RULES.json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compare)


def compare(
    before: Annotated[Path, typer.Argument(metavar=f"A ({Side})", help="What answered before.")],
    after: Annotated[Path, typer.Argument(metavar=f"B ({Side})", help="What answers now.")],
    data: Data,
    max_clauses: Annotated[int, typer.Option("--max-clauses", min=1, max=10_000, help="The budget of clauses.")] = 16,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="A text feature to part the changes by; may be repeated.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """What changed from A to B: rules that say where they differ, measured on held-out rows, and who is affected."""
    from ruleedit.comparison import compare as find_differences
    from ruleedit.release import load_answering
    from ruleedit.tables import read

    one, other, frame = load_answering(before), load_answering(after), read(data)
    truth = target_or_none(frame, one.schema, strict=False)
    found = find_differences(one, other, frame, truth=truth, groups=group or None, max_clauses=max_clauses, seed=seed)
    if as_json:
        print_json(found.to_json())
        return
    _show(found)


def _show(found: Comparison) -> None:
    say(f"{number(found.flipped)} of {number(found.rows)} decisions differ ({share(found.flipped / found.rows, 2)})")
    table(("", "decisions"), [(way, number(count)) for way, count in found.flips.items()], right=("decisions",))
    if found.rules:
        rows = [
            (rule.rule, rule.text, number(rule.rows), share(rule.precision), share(rule.recall)) for rule in found.rules
        ]
        table(
            ("rule", "", "held-out\nrows", "precision", "recall"), rows, right=("held-out\nrows", "precision", "recall")
        )
        say(
            f"together: precision {_measured(found.precision, found.precision_interval)}, "
            f"recall {_measured(found.recall, found.recall_interval)}, on {number(found.held_out)} held-out rows"
        )
    parts = sorted((part for part in found.groups if part.flipped), key=lambda part: -part.flipped / part.rows)
    groups = [(part.name, number(part.rows), share(part.flipped / part.rows)) for part in parts[:MOST_GROUPS]]
    if groups:
        table(("group", "rows", "differ"), groups, right=("rows", "differ"))
    changed = [match for match in found.matches if match.status != "same"]
    if changed:
        lines = [
            (match.status, match.before, match.after, match.text_after or match.text_before, f"{match.jaccard:.2f}")
            for match in changed
        ]
        table(("", "before", "after", "", "same rows"), lines, right=("same rows",))
    if found.accuracy is not None:
        told = f"{share(found.accuracy[0])} -> {share(found.accuracy[1])}"
        say(f"accuracy on all rows of the table, those that a model learned from among them: {told}")
    for note in found.notes:
        say(f"note: {note}")


def _measured(value: float | None, interval: tuple[float, float] | None) -> str:
    return share(value) if interval is None else f"{share(value)} ({share(interval[0])} to {share(interval[1])})"
