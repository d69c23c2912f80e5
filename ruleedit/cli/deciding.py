"""Commands that put edits in force and decide: apply, predict, encode, explain."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ruleedit.cli.common import (
    Dask,
    Data,
    Json,
    Out,
    Seed,
    number,
    print_json,
    say,
    share,
    table,
    target_or_none,
    watching,
    workers,
)
from ruleedit.rules import value_text

if TYPE_CHECKING:
    from ruleedit.labelled import Labelled
    from ruleedit.local import ByRules, LocalView
    from ruleedit.scale.cluster import Over
    from ruleedit.schema import Schema

Folder = Annotated[Path, typer.Argument(metavar="DIR|RELEASE", help="A model's or release's folder.")]
Table = Annotated[Path, typer.Argument(metavar="DATA", help="A table, CSV or Parquet.")]
AnySize = Annotated[
    Path, typer.Argument(metavar="DATA", help="A table of any size: CSV, Parquet, or a folder of Parquet files.")
]


#: So many of the groups in which most has changed are shown; ``--json`` has all.
MOST_GROUPS = 8


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (apply, predict, encode, explain):
        app.command()(command)


def apply(
    folder: Folder,
    rules: Annotated[Path, typer.Argument(metavar="RULES.json", help="A rule file.")],
    data: Data,
    mode: Annotated[str, typer.Option("--mode", help="overlay-hard, overlay-soft, retrain or graft.")],
    out: Out,
    strategy: Annotated[
        str | None, typer.Option("--strategy", help="How to retrain: anchored (the default), adaptive or greedy.")
    ] = None,
    prove: Annotated[
        bool, typer.Option("--prove", help="Prove that a graft or a retrained model says what the edits ask.")
    ] = False,
    without_rows: Annotated[
        bool, typer.Option("--without-rows", help="Keep no held-out rows with the release; no bundle can recompute.")
    ] = False,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="Report what changed by this feature's values; may be repeated.")
    ] = None,
    baseline: Annotated[
        bool | None,
        typer.Option(help="Train once more, plainly, to see what that alone changes; by default when retraining."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="A folder for finished trainings: a run cut off is taken up again.")
    ] = None,
    dask: Dask = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Put edits in force as a release, with what they did on held-out rows; a folder of Parquet files has any size."""
    import dataclasses

    from ruleedit.formats import canonical
    from ruleedit.inforce import beside_plain_retraining, put_table_in_force
    from ruleedit.models.folder import load
    from ruleedit.release import save
    from ruleedit.retrain import CheckpointFolder

    model, draft = load(folder), canonical.read(rules)
    with workers(dask) as over, watching(mode, as_json) as watch:
        labelled = _labelled(model.schema, data, None if dask is None else over, strict=mode == "retrain")
        began = time.perf_counter()
        release = put_table_in_force(
            model,
            draft,
            mode,
            labelled,
            strategy=strategy,
            seed=seed,
            prove=prove,
            groups=group or None,
            progress=watch,
            checkpoints=None if resume is None else CheckpointFolder(resume),
        )
        seconds, plain = time.perf_counter() - began, None
        if labelled.truth is not None and (mode == "retrain" if baseline is None else baseline):
            began = time.perf_counter()
            release = beside_plain_retraining(release, labelled, seed=seed)
            plain = time.perf_counter() - began
    save(dataclasses.replace(release, evidence=None) if without_rows else release, out)
    if as_json:
        print_json({**release.report, "seconds": seconds, "seconds_plain_retraining": plain})
        return
    show_effect(release.report)
    beside = "" if plain is None else f"; a plain retraining, with what it changes, took {plain:.1f} s"
    say(f"{out}: {mode} in {seconds:.1f} s{beside}")


def _labelled(schema: Schema, data: Path, over: Over | None, *, strict: bool) -> Labelled:
    """A table with its target: in memory, or a folder, or what a cluster's workers read, in pieces."""
    if over is None and not data.is_dir():
        from ruleedit.labelled import LabelledInMemory
        from ruleedit.tables import encode as encode_table
        from ruleedit.tables import read

        frame = read(data)
        return LabelledInMemory(encode_table(frame, schema), target_or_none(frame, schema, strict=strict))
    from ruleedit.scale.cluster import here
    from ruleedit.scale.labelled import LabelledPieces, client_of
    from ruleedit.tables.batches import pieces

    over = over or here
    return LabelledPieces(pieces(data), schema, over=over, client=client_of(over), strict=strict)


def predict(
    answering: Annotated[Path, typer.Argument(metavar="DIR|RELEASE|RULES.json", help="What answers.")],
    data: AnySize,
    out: Out,
    dask: Dask = None,
    as_json: Json = False,
) -> None:
    """Decide every row of a table: outcome, probabilities, the model's own outcome, the rule, and by what.

    OUT is a CSV, or Parquet where its name ends in .parquet; with --dask a folder of Parquet files.
    """
    from ruleedit.release import load_answering
    from ruleedit.scale.scoring import write_decisions, write_parts
    from ruleedit.tables.batches import pieces

    found, where = load_answering(answering), pieces(data)
    if dask is None:
        decided = write_decisions(found, where, out)
    else:
        with workers(dask) as over:
            decided = write_parts(found, where, out, over)
    named = zip(found.schema.classes, decided.outcomes, strict=True)
    counts = {name: many for name, many in sorted(named, key=lambda one: -one[1]) if many}
    if as_json:
        print_json({"rows": decided.rows, "outcomes": counts})
        return
    shares = [(name, number(count), share(count / decided.rows)) for name, count in counts.items()]
    table(("outcome", "rows", "share"), shares, right=("rows", "share"))


def encode(folder: Folder, data: Table, out: Out, as_json: Json = False) -> None:
    """Write the numbers that the model file expects, for use elsewhere."""
    import pandas as pd

    from ruleedit.files import write_text
    from ruleedit.models.folder import load
    from ruleedit.tables import encode as encode_table
    from ruleedit.tables import read

    model = load(folder)
    numbers = model.encode_for_file(encode_table(read(data), model.schema))
    write_text(out, pd.DataFrame(numbers, columns=list(model.schema.names)).to_csv(index=False))
    if as_json:
        print_json({"rows": len(numbers), "columns": list(model.schema.names)})
        return
    say(f"{out}: {number(len(numbers))} rows of {len(model.schema.names)} numbers, as {folder}/model.txt expects them")


def explain(
    folder: Folder,
    data: Table,
    row: Annotated[int, typer.Option("--row", help="The row's number, counted from 0.")],
    as_json: Json = False,
) -> None:
    """Why one row was decided as it was, and the smallest change after which it would not be."""
    from ruleedit.decisions import explain_row
    from ruleedit.release import load
    from ruleedit.tables import read

    decision, view = explain_row(load(folder), read(data), row)
    found = decision.to_json()
    if as_json:
        print_json({**found, "local": view.to_json()})
        return
    say(f"{found['outcome']} (by {found['by']}{', rule ' + found['rule'] if found['rule'] else ''})")
    say(f"the model's own outcome: {found['model_outcome']}")
    shown = [(name, f"{p:.4f}") for name, p in found["probabilities"].items()]
    table(("class", "probability"), shown, right=("probability",))
    if "moved" in found:
        values = [f"{name} {_value(to)}" for name, to in found["moved"].items()]
        say(f"the model was asked about: {', '.join(values)}")
    for heading, lines in (("because", found["reasons"]), ("warning", found["warnings"])):
        for line in lines:
            say(f"{heading}: {line}")
    if view.rules is not None:
        _show_rules_view(view.rules)
    _show_model_view(view)


def _show_rules_view(rules: ByRules) -> None:
    """What the rules say of a row, and what it lacks for another answer."""
    said = "the default" if rules.rule is None else f"{rules.rule.id}: {rules.rule}"
    say(f"\nthe rules: {said}{'' if rules.rule or rules.outcome is None else f', {rules.outcome}'}")
    for near in rules.nearest:
        name = "the default" if near.rule is None else near.rule.id
        lacks = [f"lacks {' AND '.join(map(str, near.fails))}"] if near.fails else []
        lacks += [f"comes after {', '.join(near.held)}"] if near.held else []
        say(f"nearest that says {near.outcome}: {name}, which {' and '.join(lacks)}")
    if rules.change is not None:
        say(f"smallest change to {rules.change.outcome}: {rules.change}")


def _show_model_view(view: LocalView) -> None:
    """What the model does around a row, and the smallest change of its answer."""
    say(f"\nthe model: {view.outcome}")
    if view.around is not None:
        how = f"{share(view.around.precision)} of {number(view.around.rows)} rows made near it"
        say(f"around the row: {view.around.rule} ({how})")
        for other in view.around.others:
            say(f"but: {other}")
    if view.change is None:
        say("no change was found after which it answers otherwise")
        return
    least = "smallest change" if view.change.least else "smallest change found (no proof that there is none smaller)"
    say(f"{least} to {view.change.outcome}: {view.change}")


def _value(value: float | str | None) -> str:
    return "missing" if value is None else value_text(value)


def show_effect(report: Any) -> None:
    """What putting edits in force did, as tables."""
    _show_honoured(report["feedback"])
    outside = report["outside"]
    f1 = "" if outside["f1_before"] is None else f"macro F1 {outside['f1_before']:.3f} -> {outside['f1_after']:.3f}, "
    plain = outside.get("retraining_flips")
    beside = "" if plain is None else f"; a plain retraining changes {share(plain, 2)}"
    say(f"outside: {f1}{share(outside['flips'], 2)} of decisions changed{beside} ({report['held_out']['of']})")
    changed = [part for part in (*outside["classes"], *outside["groups"]) if part["flipped"]]
    if changed:
        worst = sorted(changed, key=lambda part: -part["flips"])[:MOST_GROUPS]
        parts = [(_part(part), number(part["rows"]), share(part["flips"], 2)) for part in worst]
        table(("outside, where", "rows", "changed"), parts, right=("rows", "changed"))
    for doubt in report.get("doubts", []):
        say(f"doubt: {doubt['says']}")
    if "rules" in report.get("proof", {}):
        show_proof(report["proof"])
    for note in report.get("notes", []):
        say(f"note: {note}")


def _show_honoured(feedback: Any) -> None:
    """How far each rule was honoured: by outcome and, where one asks for a distribution, how far off that is."""
    told: list[tuple[str, ...]] = [
        (item["rule"], item["outcome"], number(item["coverage"]), share(item["mra_before"]), share(item["mra_after"]))
        for item in feedback
    ]
    heads: tuple[str, ...] = ("rule", "asks for", "rows", "agreed before", "after")
    if any(item.get("distance_after") is not None for item in feedback):
        heads = (*heads, "off before", "off after")
        off = [(_off(item, "distance_before"), _off(item, "distance_after")) for item in feedback]
        told = [(*row, *more) for row, more in zip(told, off, strict=True)]
    table(heads, told, right=heads[2:])


def _off(item: Any, which: str) -> str:
    """How far probabilities are from a distribution that is asked for, as a cell; empty where a class is."""
    value = item.get(which)
    return "" if value is None else f"{value:.3f}"


def show_proof(proof: Any) -> None:
    """What was found of each rule, and the row on which one isn't followed."""
    for item in proof["rules"]:
        why = f" ({item['why']})" if "why" in item else ""
        say(f"{item['rule']}: {item['status']}{why}; {number(item['rows'])} rows tried, {item['boxes']} boxes searched")
        if "counterexample" in item:
            say("  " + ", ".join(f"{name} {_value(value)}" for name, value in item["counterexample"].items()))


def _part(part: Any) -> str:
    """Which rows outside a part of the report is about."""
    if "class" in part:
        return f"decided {part['class']} before"
    return f"{part['feature']} is missing" if part["value"] is None else f"{part['feature']} = {part['value']}"
