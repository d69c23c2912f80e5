"""Commands that make models and rules: train, adopt, schema, extract, demo."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ruleedit.cli.common import Data, Json, Out, Seed, json_text, number, print_json, say, share, table, watching
from ruleedit.errors import FileRefused, NotThereYet, RuleTextError
from ruleedit.rules import number_text
from ruleedit.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

    from ruleedit.models import TableModel

Target = Annotated[str, typer.Option("--target", help="The column that the model predicts.")]
Thresholds = Annotated[
    list[str], typer.Option("--threshold", help="CLASS=P: decide for the class with the greatest p / threshold.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (train, adopt, schema, extract):
        app.command()(command)


def train(
    data: Annotated[Path, typer.Argument(help="The table, CSV or Parquet.")],
    target: Target,
    out: Out,
    schema_file: Annotated[Path | None, typer.Option("--schema", help="A corrected schema as JSON.")] = None,
    threshold: Thresholds = [],  # noqa: B006 (typer's way to say a repeated option)
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a LightGBM model on a table, with a quarter of the rows held out."""
    from ruleedit.modelfolder import save
    from ruleedit.tables import infer_schema, read
    from ruleedit.training import train as train_model

    frame = read(data)
    given = _read_schema(schema_file)
    if given is not None and given.target != target:
        raise FileRefused(f"the schema's target is {given.target!r}, not {target!r}")
    known = given or infer_schema(frame, target)
    with watching("training", as_json) as watch:
        model = train_model(frame, known, thresholds=read_thresholds(threshold), seed=seed, progress=watch)
    save(model, out)
    _tell_model(model, frame, out, as_json)


def adopt(
    model_file: Annotated[Path, typer.Argument(metavar="MODEL.txt", help="A LightGBM model as text.")],
    data: Data,
    target: Target,
    out: Out,
    schema_file: Annotated[Path | None, typer.Option("--schema", help="The columns' kinds and codes, as JSON.")] = None,
    classes: Annotated[str | None, typer.Option("--classes", help="The classes in the model's order, A,B,...")] = None,
    threshold: Thresholds = [],  # noqa: B006
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Take somebody's own LightGBM model, checked before it is loaded."""
    from ruleedit.adoption import adopt as adopt_model
    from ruleedit.files import read_text
    from ruleedit.modelfolder import save
    from ruleedit.tables import read

    frame = read(data)
    model = adopt_model(
        read_text(model_file, "a LightGBM model as text"),
        frame,
        target,
        schema=_read_schema(schema_file),
        classes=None if classes is None else classes.split(","),
        thresholds=read_thresholds(threshold),
        seed=seed,
    )
    save(model, out)
    _tell_model(model, frame, out, as_json)


def schema(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="A model's or release's folder.", show_default=False)
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="Print the JSON Schema of rule files instead.")] = False,
    as_json: Json = False,
) -> None:
    """Show a model's schema; as JSON it can be corrected and given to train."""
    from ruleedit.formats import canonical
    from ruleedit.modelfolder import load

    if rules == (folder is not None):
        raise FileRefused("schema takes either a model's folder or --rules")
    if folder is None:
        print(json_text(canonical.json_schema(), indent=2))
        return
    found = load(folder).schema
    if as_json:
        print(json_text(found.to_json(), indent=2))
        return
    say(f"target {found.target}: {', '.join(found.classes)}")
    rows = []
    for feature in found.features:
        more = f" and {len(feature.values) - 6} more" if len(feature.values) > 6 else ""
        span = ", ".join(feature.values[:6]) + more
        if feature.is_number:
            low, high = ("open" if bound is None else number_text(bound) for bound in (feature.low, feature.high))
            span = f"{low} to {high}"
        rows.append((feature.name, feature.kind, "allowed" if feature.missing else "forbidden", span))
    table(("feature", "kind", "missing", "values"), rows)


def extract(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A model's or release's folder.")],
    data: Data,
    out: Out,
    method: Annotated[str | None, typer.Option("--method", help="tree or aix360-brcg.")] = None,
    max_clauses: Annotated[int | None, typer.Option("--max-clauses", help="The budget of clauses.")] = None,
    ground: Annotated[Path | None, typer.Option("--ground", help="Rules to carry over.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Summarise a model in a few rules."""
    from ruleedit.formats import canonical
    from ruleedit.modelfolder import load
    from ruleedit.surrogate import DEFAULT_METHOD
    from ruleedit.tables import encode, read
    from ruleedit.workflow import extract_rules, prepare

    if ground is not None:
        raise NotThereYet("--ground comes with a later version; extract without it")
    chosen = method or DEFAULT_METHOD
    model = load(folder)
    rows = encode(read(data), model.schema)
    prepare(chosen)
    began = time.perf_counter()
    with watching("extracting", as_json) as watch:
        draft, found = extract_rules(model, rows, method=chosen, max_clauses=max_clauses, seed=seed, progress=watch)
    seconds = time.perf_counter() - began
    canonical.write(draft, out)
    fidelity = {"train": found.train.agreement, "holdout": found.holdout.agreement if found.holdout else None}
    if as_json:
        figures: dict[str, object] = {"rules": len(found.rules), "clauses": found.clauses, "fidelity": fidelity}
        figures |= {"method": found.method, "seconds": seconds, "cut": found.cut, "notes": list(found.notes)}
        print_json(figures)
        return
    from ruleedit.cli.showing import show_rules

    show_rules(draft)
    agrees = f" agree with the model on {share(fidelity['holdout'])} of held-out rows" if found.holdout else ""
    say(f"\n{len(found.rules)} rules, {found.clauses} clauses{agrees} ({found.method}, {seconds:.1f} s)")
    for note in found.notes:
        say(f"note: {note}")


def read_thresholds(given: list[str]) -> dict[str, float]:
    """Read CLASS=P options; raises `RuleTextError`."""
    found: dict[str, float] = {}
    for text in given:
        known = len(found)
        name, sign, value = text.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            sign = ""
        if not sign or not name:
            raise RuleTextError(f"{text!r} is no threshold; write it as CLASS=0.7")
        if len(found) == known:
            raise RuleTextError(f"the threshold of {name!r} is given twice")
    return found


def _read_schema(path: Path | None) -> Schema | None:
    from ruleedit.files import read_json, read_text

    if path is None:
        return None
    return Schema.from_json(read_json(read_text(path, "a schema as JSON"), path.name))


def _tell_model(model: TableModel, frame: pd.DataFrame, out: Path, as_json: bool) -> None:
    from ruleedit.models import holdout_metrics
    from ruleedit.tables import encode, target_codes

    rows, truth = encode(frame, model.schema), target_codes(frame, model.schema)
    held, classes = model.holdout, list(model.schema.classes)
    figures = holdout_metrics(model, rows[held], truth[held])
    if as_json:
        print_json({"classes": classes, "rows": len(rows), "holdout": figures, "notes": list(model.notes)})
        return
    auc = "" if figures["auc"] is None else f", AUC {figures['auc']:.3f}"
    say(f"{out}: {len(model.schema.features)} features, {number(len(rows))} rows, classes {', '.join(classes)}")
    say(f"on {number(figures['rows'])} held-out rows: accuracy {share(figures['accuracy'])}{auc}")
    for note in model.notes:
        say(f"note: {note}")
