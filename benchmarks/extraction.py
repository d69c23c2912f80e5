"""Extraction against its peers: fidelity for the clauses, and what that takes.

    python benchmarks/extraction.py --data FOLDER [--only NAME] [--seeds 5] [--limit 120] [--json OUT] [--plot PNG]
    python benchmarks/extraction.py --scaling [--most-rows 5000000]

For each table and seed a LightGBM model is trained on three quarters of the rows. Each learner gets
the model's answers on these rows and is measured by its agreement with the model on the held-out
quarter, at 8, 16 and 32 clauses where it takes a budget. It runs in a process of its own, so that its
peak memory is its own (with that of all the imports, some 300 MB) and one that takes too long can be
ended: what it had given by then counts, the rest is reported as killed. The learners take turns on
each table and seed, so that other work on the machine hits all of them alike. One that isn't
installed is left out and said so (the extra `bench`).

FOLDER holds tables as NAME.csv.gz; scikit-learn's are there anyway. `--scaling` runs the default
method on generated tables of 20 columns, ten times as long each time.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import math
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))

from peers import BINARY, PEERS, Data

from ruleedit.models import split_points
from ruleedit.schema import Feature, Schema
from ruleedit.surrogate import DEFAULT_METHOD, extract
from ruleedit.tables import encode

BUDGETS = (8, 16, 32)
#: Tables of FOLDER: name, target, columns that are no features.
TABLES = (
    ("adult", "income", ("fnlwgt",)),
    ("bank_marketing", "y", ()),
    ("mushroom", "class", ()),
    ("covertype_15120", "Cover_Type", ()),
    ("contraceptive_method_choice", "contraceptive_method", ()),
    ("car_evaluation", "class", ()),
    ("breast_cancer_wisconsin_original", "class", ("id", "Sample_code_number", "sample_code_number")),
    ("tic_tac_toe", "class", ()),
)
#: scikit-learn's own, by the name of their loader.
BUILT_IN = ("breast_cancer", "wine", "digits")
SCALING = (10_000, 100_000, 1_000_000, 5_000_000)


@dataclass(frozen=True)
class Seen:
    """One learner on one table with one seed, at one budget (None: it takes none).

    ``end`` is empty, or says why there is nothing: killed, failed, or not installed.
    """

    table: str
    seed: int
    learner: str
    budget: int | None
    fidelity: float | None = None
    clauses: int | None = None
    rules: int | None = None
    seconds: float | None = None
    megabytes: float | None = None
    end: str = ""


def main() -> None:
    """Run what is asked for."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--data", type=Path, help="a folder with NAME.csv.gz")
    ask.add_argument("--only", action="append", help="a table's name; may be given again")
    ask.add_argument("--learner", action="append", help="a learner's name; may be given again")
    ask.add_argument("--seeds", type=int, default=5)
    ask.add_argument(
        "--large-seeds", type=int, help="as many for tables of more than 10,000 rows; --seeds unless given"
    )
    ask.add_argument("--limit", type=float, default=120.0, help="seconds for a learner on one table and seed")
    ask.add_argument("--json", type=Path, help="write every figure, one a line")
    ask.add_argument("--read", type=Path, help="make tables and plot of such a file; nothing is run")
    ask.add_argument("--plot", type=Path, help="draw fidelity against clauses")
    ask.add_argument("--scaling", action="store_true")
    ask.add_argument("--most-rows", type=int, default=SCALING[-1])
    asked = ask.parse_args()
    if asked.scaling:
        scaling([rows for rows in SCALING if rows <= asked.most_rows])
    else:
        seen = read_seen(asked.read) if asked.read else run_all(asked)
        print("\n".join(report(seen)))
        if asked.plot:
            draw(seen, asked.plot)


# --- running ---------------------------------------------------------------------------------


def run_all(asked: argparse.Namespace) -> list[Seen]:
    """Every learner on every table and seed, in turn."""
    warm()
    seen: list[Seen] = []
    for name, frame, target in tables(asked.data, asked.only):
        large = len(frame) > 10_000 and asked.large_seeds is not None
        for seed in range(asked.large_seeds if large else asked.seeds):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "task.npz"
                # LightGBM's threads don't live through a fork, so the model is trained elsewhere.
                with multiprocessing.get_context("spawn").Pool(1) as other:
                    binary = other.apply(prepare, (frame, target, seed, path))
                for learner in asked.learner or PEERS:
                    if learner in BINARY and not binary:
                        continue
                    found = in_child(name, seed, learner, path, asked.limit)
                    seen += found
                    for one in found:
                        print(f"{name} {seed} {learner} {one.budget}: {one.fidelity} {one.end}", file=sys.stderr)
                        if asked.json:
                            with asked.json.open("a") as file:
                                file.write(json.dumps(asdict(one)) + "\n")
    return seen


def tables(folder: Path | None, only: list[str] | None) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """The tables with their targets, those of scikit-learn last."""
    for name, target, dropped in TABLES:
        path = None if folder is None else folder / f"{name}.csv.gz"
        if path is not None and path.is_file() and name in (only or [name]):
            frame = pd.read_csv(path, dtype="str", keep_default_na=False, na_values=[""])
            yield name, frame.drop(columns=[column for column in dropped if column in frame]), target
    for name in BUILT_IN:
        if name in (only or [name]):
            import sklearn.datasets

            given = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
            yield name, given.data.assign(target=given.target_names[given.target].astype(str)), "target"


def prepare(frame: pd.DataFrame, target: str, seed: int, path: Path) -> bool:
    """Train the model and write what the learners get; whether the model answers two classes."""
    from ruleedit.tables import infer_schema
    from ruleedit.training import train

    model = train(frame, infer_schema(frame, target), seed=seed)
    rows = encode(frame, model.schema)
    answers = model.outcomes(rows)
    training = np.setdiff1d(np.arange(len(rows)), model.holdout)
    splits = [[list(point), list(point.values())] for point in split_points(model)]
    np.savez(
        path,
        rows=rows[training],
        answers=answers[training],
        held=rows[model.holdout],
        true=answers[model.holdout],
        more=json.dumps({"schema": model.schema.to_json(), "splits": splits, "seed": seed}),
    )
    return len(np.unique(answers[training])) == 2


def in_child(table: str, seed: int, learner: str, path: Path, limit: float) -> list[Seen]:
    """Run one learner in a process of its own; what it gave before it ended or was ended."""
    context = multiprocessing.get_context("fork")
    mine, its = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(learner, path, its))
    process.start()
    its.close()
    found: list[Seen] = []
    end, until = "", time.monotonic() + limit
    while True:
        if not mine.poll(max(0.0, until - time.monotonic())):
            end = f"killed after {limit:g} s"
            process.kill()
            break
        try:
            line = mine.recv()
        except EOFError:
            break
        if isinstance(line, str):
            end = line
        else:
            found.append(Seen(table, seed, learner, **line))
    process.join()
    return [*found, Seen(table, seed, learner, None, end=end)] if end else found


def child(learner: str, path: Path, to: Any) -> None:
    """Learn in this process; send the figures of each budget, or what went wrong as text."""
    given = np.load(path)
    more = json.loads(str(given["more"]))
    splits = tuple(dict(zip(*point, strict=True)) for point in more["splits"])
    data = Data(Schema.from_json(more["schema"]), given["rows"], given["answers"], splits, given["held"], more["seed"])
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            for budget, said, clauses, rules, seconds in PEERS[learner](data, BUDGETS):
                fidelity = float((said == given["true"]).mean())
                figures = {"budget": budget, "fidelity": fidelity, "clauses": clauses, "rules": rules}
                to.send(figures | {"seconds": seconds, "megabytes": peak_megabytes()})
    except Exception as problem:  # noqa: BLE001 (a peer that fails is a figure too)
        to.send(f"{type(problem).__name__}: {problem}"[:120])


def warm() -> None:
    """Import what the learners need, so that each process begins with it and its seconds don't count it."""
    for name in ("cvxpy", "aix360.algorithms.rbm.boolean_rule_cg", "sklearn.tree", "highspy", "imodels", "ruleopt"):
        with contextlib.suppress(ImportError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(name)


def peak_megabytes() -> float:
    """The peak resident memory of this process, imports and table included."""
    status = Path("/proc/self/status")
    if status.is_file():
        # What getrusage says begins with the parent's memory, as a process is forked from it.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


# --- scaling ---------------------------------------------------------------------------------


def scaling(sizes: Iterable[int]) -> None:
    """The default method on generated tables, each in a process of its own."""
    print(f"| rows | seconds | fidelity | rules | clauses | peak MB | table MB |\n|{' ---: |' * 7}")
    for rows in sizes:
        command = [sys.executable, "-c", f"import extraction; extraction.scaled({rows})"]
        subprocess.run(command, check=False, cwd=Path(__file__).parent)


def scaled(rows: int) -> None:
    """Extract from one generated table of 20 numbers, and say what it took."""
    draw = np.random.default_rng(0)
    table = np.empty((rows, 20), order="F")
    for place in range(20):
        table[:, place] = draw.normal(size=rows).round(2)
    score = table[:, 0] + 0.5 * (table[:, 1] > 0.5) - (table[:, 2] < -1.0) * table[:, 3] + 0.2 * draw.normal(size=rows)
    answers = (score > 0.7).astype(np.intp)
    schema = Schema(tuple(Feature(f"x{place}", "numeric") for place in range(20)), "y", ("no", "yes"))
    splits = tuple({cut / 20.0: 1.0 for cut in range(-40, 41)} for _ in range(20))
    from ruleedit.workflow import prepare as import_first

    import_first(DEFAULT_METHOD)
    began = time.perf_counter()
    found = extract(table, answers, schema, splits=splits, max_clauses=16)
    seconds = time.perf_counter() - began
    figures = (f"{rows:,}", f"{seconds:.1f}", f"{found.train.agreement:.4f}", len(found.rules), found.clauses)
    print(f"| {' | '.join(map(str, figures))} | {peak_megabytes():,.0f} | {table.nbytes / 2**20:,.0f} |", flush=True)


# --- telling ---------------------------------------------------------------------------------


def read_seen(path: Path) -> list[Seen]:
    """The figures of an earlier run."""
    return [Seen(**json.loads(line)) for line in path.read_text().splitlines()]


def report(seen: list[Seen]) -> list[str]:
    """The tables as Markdown, and what ran on."""
    shown = [("fidelity", "{:.3f}"), ("clauses", "{:.0f}"), ("rules", "{:.0f}"), ("seconds", "{:.1f}")]
    lines = ["### fidelity at 8 / 16 / 32 clauses; where there is no budget, with how many clauses", "", *summary(seen)]
    for figure, form in (*shown, ("megabytes", "{:.0f}")):
        lines += ["", f"### {figure}", "", *grid(seen, figure, form)]
    lines += ["", "### not measured", ""]
    lines += sorted({f"- {one.table}, {one.learner}: {one.end}" for one in seen if one.end}) or ["- nothing"]
    packages = ("scikit-learn", "numpy", "aix360", "lightgbm")
    return [*lines, "", ", ".join(f"{name} {version(name)}" for name in packages) + f", {os.cpu_count()} cores"]


def summary(seen: list[Seen]) -> list[str]:
    """The fidelity of every learner, a row for each table."""
    learners = [name for name in PEERS if any(one.learner == name for one in seen)]
    lines = [f"| table | seeds | {' | '.join(learners)} |", f"| --- | ---: |{' ---: |' * len(learners)}"]
    for table in dict.fromkeys(one.table for one in seen):
        mine = [one for one in seen if one.table == table]
        cells = [_summed([one for one in mine if one.learner == name]) for name in learners]
        lines.append(f"| {table} | {len({one.seed for one in mine})} | {' | '.join(cells)} |")
    return lines


def _summed(seen: list[Seen]) -> str:
    """One learner on one table: the mean over the seeds at each budget, or why there is nothing."""
    done = [one for one in seen if one.fidelity is not None]
    if not done:
        return seen[0].end if seen else "–"
    if done[0].budget is None:
        share, clauses = (float(np.mean([getattr(one, name) for one in done])) for name in ("fidelity", "clauses"))
        return f"{share:.3f} ({clauses:.0f})"
    by_budget = [[one.fidelity for one in done if one.budget == budget] for budget in BUDGETS]
    return " / ".join(f"{np.mean(values):.3f}" if values else "–" for values in by_budget)


def grid(seen: list[Seen], figure: str, form: str) -> list[str]:
    """One figure, a row for each table and budget, a column for each learner: the mean over the seeds."""
    learners = [name for name in PEERS if any(one.learner == name and one.fidelity is not None for one in seen)]
    lines = [f"| table | seeds | clauses up to | {' | '.join(learners)} |", f"| --- |{' ---: |' * (len(learners) + 2)}"]
    for table in dict.fromkeys(one.table for one in seen):
        seeds = len({one.seed for one in seen if one.table == table})
        for budget in BUDGETS:
            cells = [_cell(_values(seen, table, name, budget, figure), seeds, form) for name in learners]
            lines.append(f"| {table} | {seeds} | {budget} | {' | '.join(cells)} |")
    return lines


def _cell(values: list[float], seeds: int, form: str) -> str:
    if not values:
        return ""
    return form.format(float(np.mean(values))) + ("" if len(values) == seeds else f" ({len(values)} of {seeds})")


def _values(seen: list[Seen], table: str, learner: str, budget: int, figure: str) -> list[float]:
    """A learner's figures over the seeds; one without a budget has the same at each."""
    mine = [one for one in seen if (one.table, one.learner) == (table, learner) and one.fidelity is not None]
    return [float(getattr(one, figure)) for one in mine if one.budget in (budget, None)]


def draw(seen: list[Seen], path: Path) -> None:
    """Fidelity against clauses, a panel for each table."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(one.table for one in seen))
    columns = min(4, len(names))
    height = math.ceil(len(names) / columns)
    figure, axes = pyplot.subplots(height, columns, figsize=(3.4 * columns, 2.7 * height), squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    for axis, table in zip(axes.flat, names, strict=False):
        for number, learner in enumerate(PEERS):
            points = _points(seen, table, learner)
            if points:
                clauses, fidelity = zip(*points, strict=True)
                shape = {"color": f"C{number}", "marker": "o^sDvPX*<>"[number], "markersize": 4, "linewidth": 1}
                axis.plot(clauses, fidelity, label=learner, **shape)
        axis.set_title(table, fontsize=9)
        axis.set_xscale("log", base=2)
        axis.tick_params(labelsize=7)
    handles = {label: line for axis in axes.flat for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=5, fontsize=8, frameon=False)
    figure.supxlabel("clauses", fontsize=9, y=0.1)
    figure.supylabel("agreement with the model on held-out rows", fontsize=9)
    figure.tight_layout(rect=(0.01, 0.11, 1, 1))
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _points(seen: list[Seen], table: str, learner: str) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for budget in BUDGETS:
        values: list[Any] = [_values(seen, table, learner, budget, figure) for figure in ("clauses", "fidelity")]
        if values[0]:
            points.append((max(1.0, float(np.mean(values[0]))), float(np.mean(values[1]))))
    return sorted(set(points))


if __name__ == "__main__":
    main()
