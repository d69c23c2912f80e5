"""Commands that make models and rules: train, adopt, schema, extract, demo."""

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
    json_text,
    many,
    number,
    print_json,
    say,
    share,
    table,
    target_or_none,
    watching,
    workers,
)
from ruleedit.errors import FileRefused, Refused, RuleTextError
from ruleedit.regions import box_text
from ruleedit.rules import number_text
from ruleedit.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

    from ruleedit.drafts import Draft
    from ruleedit.models import TableModel
    from ruleedit.surrogate import Extraction
    from ruleedit.surrogate.unexplained import Unexplained

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
    dask: Dask = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a LightGBM model on a table, with a quarter of the rows held out."""
    from ruleedit.models.folder import save
    from ruleedit.models.training import train as train_model
    from ruleedit.tables import infer_schema, read

    given = _read_schema(schema_file)
    if given is not None and given.target != target:
        raise FileRefused(f"the schema's target is {given.target!r}, not {target!r}")
    if dask is not None:
        _train_by_dask(
            data, dask, target, given, out, {"thresholds": read_thresholds(threshold), "seed": seed}, as_json
        )
        return
    frame = read(data)
    known = given or infer_schema(frame, target)
    with watching("training", as_json) as watch:
        model = train_model(frame, known, thresholds=read_thresholds(threshold), seed=seed, progress=watch)
    save(model, out)
    _tell_model(model, frame, out, as_json)


def _train_by_dask(
    data: Path, address: str, target: str, given: Schema | None, out: Path, options: dict[str, Any], as_json: bool
) -> None:
    """Train on a table of any size by a cluster's workers."""
    from ruleedit.models.folder import save
    from ruleedit.scale.cluster import Spread, cluster
    from ruleedit.scale.training import held_out_figures, infer_table_schema, train_table
    from ruleedit.tables.batches import pieces

    where = pieces(data)
    with cluster(address) as client, watching("training", as_json) as watch:
        known = given or infer_table_schema(where, target, Spread(client))
        model = train_table(where, known, client=client, progress=watch, **options)
        rows, figures = held_out_figures(model, where, Spread(client))
    save(model, out)
    _tell_figures(model, rows, figures, out, as_json)


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
    from ruleedit.files import read_text
    from ruleedit.models.adoption import adopt as adopt_model
    from ruleedit.models.folder import save
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
    from ruleedit.models.folder import load

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
    method: Annotated[
        str | None, typer.Option("--method", help="column-generation, aix360-brcg, tree or glocalx.")
    ] = None,
    max_clauses: Annotated[int | None, typer.Option("--max-clauses", help="The budget of clauses.")] = None,
    ground: Annotated[Path | None, typer.Option("--ground", help="Rules to carry over.")] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Outcomes are the model's mean probabilities where a rule decides.")
    ] = False,
    stability: Annotated[
        int, typer.Option("--stability", min=0, help="Extract so often again from other rows, to say how stable it is.")
    ] = 0,
    max_iterations: Annotated[
        int | None, typer.Option("--max-iterations", help="Rounds of column generation and refinement at most.")
    ] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="End the search after so long.")] = None,
    memory: Annotated[
        int | None, typer.Option("--memory", help="MiB that the search may take beside the rows.")
    ] = None,
    dask: Dask = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Summarise a model in a few rules; a folder of Parquet files of any size is gone through in pieces."""
    from ruleedit.formats import canonical
    from ruleedit.models.folder import load
    from ruleedit.surrogate import DEFAULT_METHOD
    from ruleedit.workflow import prepare

    chosen, before = method or DEFAULT_METHOD, None if ground is None else canonical.read(ground)
    prepare(chosen)
    limits: dict[str, Any] = {
        "max_clauses": max_clauses,
        "seed": seed,
        "max_iterations": max_iterations,
        "seconds": seconds,
        "memory": None if memory is None else memory * 2**20,
    }
    with watching("extracting", as_json) as watch:
        if dask is not None or data.is_dir():
            other = chosen if chosen != DEFAULT_METHOD else None
            _refuse_of_pieces(method=other, ground=ground, probabilities=probabilities, stability=stability)
            draft, found, took = _extract_pieces(load(folder), data, dask, limits | {"progress": watch})
        else:
            more = {"method": chosen, "probabilities": probabilities, "stability": stability, "progress": watch}
            draft, found, took = _extract_whole(load(folder), data, before, limits | more)
    canonical.write(draft, out)
    if as_json:
        print_json(extraction_json(found) | {"seconds": took, "ground": draft.origin.get("ground")})
        return
    from ruleedit.cli.showing import show_rules

    show_rules(draft)
    show_extraction(found, took)
    if before is not None:
        _show_ground(draft.origin["ground"])


def _extract_whole(
    model: TableModel, data: Path, before: Draft | None, options: dict[str, Any]
) -> tuple[Draft, Extraction, float]:
    """Extract from a table in memory; with the seconds that it took."""
    from ruleedit.tables import encode, read
    from ruleedit.workflow import extract_rules

    frame = read(data)
    rows = encode(frame, model.schema)
    truth = None if before is None else target_or_none(frame, model.schema, strict=False)
    began = time.perf_counter()
    draft, found = extract_rules(model, rows, ground=before, truth=truth, **options)
    return draft, found, time.perf_counter() - began


def _extract_pieces(
    model: TableModel, data: Path, dask: str | None, options: dict[str, Any]
) -> tuple[Draft, Extraction, float]:
    """Extract from a table of any size, here or by a cluster's workers; with the seconds that it took."""
    from ruleedit.scale.extraction import extract_table
    from ruleedit.tables.batches import pieces

    with workers(dask) as over:
        began = time.perf_counter()
        draft, found = extract_table(model, pieces(data), over=over, **options)
    return draft, found, time.perf_counter() - began


def _refuse_of_pieces(**options: object) -> None:
    """Refuse what needs all rows at once, for a folder or with --dask."""
    for name, value in options.items():
        if value:
            raise Refused(f"--{name} needs the whole table in memory; give one file, without --dask")


def extraction_json(found: Extraction) -> dict[str, Any]:
    """An extraction as ``extract --json`` prints it; ``measured`` has the figures of each class and rule."""
    figures = found.to_json()
    train, holdout = figures.pop("train"), figures.pop("holdout")
    fidelity = {"train": train["agreement"], "holdout": None if holdout is None else holdout["agreement"]}
    return figures | {"fidelity": fidelity, "measured": {"train": train, "holdout": holdout}}


def show_extraction(found: Extraction, seconds: float) -> None:
    """How far the rules agree with the model, by class too, and where they don't."""
    rows = "training rows" if found.holdout is None else "held-out rows"
    measured = found.holdout or found.train
    agree = f"agree with the model on {share(measured.agreement)} of {rows}"
    made = f"({found.method}, {seconds:.1f} s; 95% interval {_span(measured.interval)})"
    say(f"\n{many(len(found.rules), 'rule')}, {many(found.clauses, 'clause')} {agree} {made}")
    shares = [
        (f"where the model says {one.name}", number(one.rows), share(one.agreement), _span(one.interval))
        for one in measured.by_class
    ]
    table(("", rows, "rules agree", "95% interval"), shares, right=(rows, "rules agree", "95% interval"))
    if found.unexplained is not None and found.unexplained.wrong:
        _show_unexplained(found.unexplained)
    if found.cut is not None:
        say(f"note: the limit of {found.cut} ended the search; this is the result so far")
    for note in found.notes:
        say(f"note: {note}")


def _show_unexplained(missed: Unexplained) -> None:
    model, said, rows = missed.pairs[0]
    first = f"{said} for the model's {model} ({number(rows)} of {number(missed.wrong)})"
    say(f"unexplained: {share(missed.wrong / missed.rows)} of rows, {'mostly ' if missed.pairs[1:] else ''}{first}")
    for region in missed.regions:
        text = box_text(region.box, missed.schema)
        rate = "" if not region.rows else f", {share(region.wrong / region.rows)} of them unexplained"
        say(f"  {text}: {number(region.rows)} rows{rate}")


#: What each standing of a carried rule says to a person.
_STANDINGS = {
    "honoured": "honoured already",
    "needed": "still needed",
    "contradicted": "contradicted by the new data",
    "unseen": "no row to tell by",
    "silent": "asks nothing",
    "left out": "left out",
}


def _show_ground(ground: Any) -> None:
    """What was carried over, and how each rule stands to the new model and data."""
    rows = [
        (
            item["rule"],
            _STANDINGS[item["standing"]],
            number(item["rows"]),
            share(item["agreement"]),
            share(item["labels"]),
        )
        for item in ground["rules"]
    ]
    say(f"\ncarried over from revision {ground['revision'][:12]}")
    columns = ("rows", "model agrees", "labels agree")
    table(("rule", "", *columns), rows, right=columns)
    left = [item for item in ground["rules"] if item["why"] is not None]
    for line in [*(f"{item['rule']} is left out: {item['why']}" for item in left), *ground["notes"]]:
        say(f"note: {line}")


def _span(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{share(interval[0])} to {share(interval[1])}"


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
    held = model.holdout
    _tell_figures(model, len(rows), holdout_metrics(model, rows[held], truth[held]), out, as_json)


def _tell_figures(model: TableModel, rows: int, figures: dict[str, Any], out: Path, as_json: bool) -> None:
    classes = list(model.schema.classes)
    if as_json:
        print_json({"classes": classes, "rows": rows, "holdout": figures, "notes": list(model.notes)})
        return
    auc = "" if figures["auc"] is None else f", AUC {figures['auc']:.3f}"
    say(f"{out}: {len(model.schema.features)} features, {number(rows)} rows, classes {', '.join(classes)}")
    say(f"on {number(figures['rows'])} held-out rows: accuracy {share(figures['accuracy'])}{auc}")
    for note in model.notes:
        say(f"note: {note}")
