"""Extraction against its peers: fidelity for the clauses, and what that takes.

    python benchmarks/extraction.py --data FOLDER --out FILE.jsonl [--only NAME] [--learner NAME] [--seeds 5]
    python benchmarks/extraction.py --read FILE.jsonl [--plot PNG]
    python benchmarks/extraction.py --scaling [--most-rows 5000000]

For each table and seed a LightGBM model is trained on three quarters of the rows. Each learner gets
the model's answers on these rows and is measured by its agreement with the model on the held-out
quarter, at 8, 16 and 32 clauses where it takes a budget. It runs in a process of its own, on one
thread, so that its processor time and its peak memory (with that of all the imports, some 300 MB) are
its own and one that takes too long can be ended: what it had given by then counts, the rest is
reported as killed. Processor seconds can be compared on a machine that does other work, too; seconds
by the clock stand beside them. One that isn't installed is left out and said so (the extra `bench`).

FILE.jsonl grows by the lines of one learner on one table with one seed at a time, each with the
versions and settings that it comes from; what it holds already isn't run again, so a run that was
ended goes on where it was. The learners go in `TIERS`, the quick ones of all tables and seeds first,
and in a tier seed by seed: what a cut run leaves has as many seeds of each table.

FOLDER holds tables as NAME.csv.gz; scikit-learn's are there anyway. `--scaling` runs the default
method on generated tables of 20 columns, ten times as long each time.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import io
import itertools
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))

from extraction_report import Seen, draw, read_seen, report
from peers import BINARY, BUDGETS, PEERS, TIERS, Data, reading, since

import ruleedit.surrogate
from ruleedit.models import split_points
from ruleedit.schema import Feature, Schema
from ruleedit.surrogate import DEFAULT_METHOD, EXTRACTORS, extract
from ruleedit.tables import encode

Table: TypeAlias = tuple[str, pd.DataFrame, str]
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
#: Whatever a result depends on beside our own code.
PACKAGES = ("numpy", "scikit-learn", "lightgbm", "aix360", "cvxpy", "wittgenstein", "imodels", "ruleopt")
#: How the end of a learner begins that isn't installed: it is tried again once it is.
ABSENT = "not installed"
#: The clock may run so many times as long as the processor before a learner counts as hung.
PATIENCE = 60.0
#: What a learner imports where it is used; CART and our own need scikit-learn's trees.
WARM = {
    "column-generation": ("sklearn.tree", "highspy"),
    **dict.fromkeys(
        ("aix360-brcg", "AIX360 BRCG", "AIX360 BRCG, all bins"),
        ("sklearn.tree", "cvxpy", "aix360.algorithms.rbm.boolean_rule_cg"),
    ),
    "RIPPER": ("wittgenstein",),
    "greedy list": ("imodels",),
    "FIGS": ("imodels",),
    "RUG": ("ruleopt",),
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def main() -> None:
    """Run what is asked for."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--data", type=Path, help="a folder with NAME.csv.gz")
    ask.add_argument("--only", action="append", help="a table's name; may be given again")
    ask.add_argument("--learner", action="append", help="a learner's name; may be given again")
    ask.add_argument("--seeds", type=int, default=5)
    ask.add_argument("--limit", type=float, default=150.0, help="processor seconds for a learner on one table and seed")
    ask.add_argument("--out", type=Path, help="add every figure to this file, and run nothing that it holds")
    ask.add_argument("--read", type=Path, help="make tables and plot of such a file; nothing is run")
    ask.add_argument("--plot", type=Path, help="draw fidelity against clauses")
    ask.add_argument("--scaling", action="store_true")
    ask.add_argument("--most-rows", type=int, default=SCALING[-1])
    asked = ask.parse_args()
    if asked.scaling:
        scaling([rows for rows in SCALING if rows <= asked.most_rows])
        return
    if asked.read is None:
        on_one_thread()
        out = asked.out or Path(tempfile.mkdtemp()) / "extraction.jsonl"
        learners = asked.learner or list(PEERS)
        run_all(list(tables(asked.data, asked.only)), learners, range(asked.seeds), asked.limit, out)
    seen = read_seen(asked.read or out)
    print("\n".join(report(seen)))
    if asked.plot:
        draw(seen, asked.plot)


# --- running ---------------------------------------------------------------------------------


def on_one_thread() -> None:
    """Begin again with one thread for each library, unless that is so: it can't be said once they are imported."""
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ONE_THREAD)


def run_all(given: Sequence[Table], learners: Sequence[str], seeds: Iterable[int], limit: float, out: Path) -> None:
    """Every learner on every table and seed that the file doesn't hold yet, tier by tier and seed by seed."""
    warm(learners)
    known = {
        (one.table, one.seed, one.learner, tag(one.settings, one.versions))
        for one in read_seen(out)
        if not one.end.startswith(ABSENT)
    }
    with tempfile.TemporaryDirectory() as folder:
        for tier, seed in itertools.product(TIERS, list(seeds)):
            chosen = [name for name in tier if name in learners]
            for name, frame, target in given:
                wanted = [one for one in chosen if (name, seed, one, tag(settings(limit), versions(one))) not in known]
                if not wanted:
                    continue
                binary, path = task(Path(folder), name, frame, target, seed)
                for learner in wanted:
                    if binary or learner not in BINARY:
                        found = in_child(name, seed, learner, path, limit)
                    else:
                        found = [Seen(name, seed, learner, None, end="two classes only")]
                    add(found, learner, limit, out)


def add(found: Sequence[Seen], learner: str, limit: float, out: Path) -> None:
    """Add what one learner gave to the file, at once."""
    more = {"settings": settings(limit), "versions": versions(learner)}
    lines = [json.dumps(asdict(one) | more, sort_keys=True) for one in found]
    with out.open("a") as file:
        file.write("\n".join(lines) + "\n")
    for one in found:
        print(f"{one.table} {one.seed} {learner} {one.budget}: {one.fidelity} {one.cpu} {one.end}", file=sys.stderr)


def settings(limit: float) -> dict[str, Any]:
    """What was chosen and a result depends on."""
    return {"budgets": list(BUDGETS), "limit": limit, "threads": 1}


def versions(learner: str) -> dict[str, str]:
    """The packages that a result comes from; for our own methods their source too, by its hash."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found | ({"ruleedit.surrogate": own_source()} if learner in EXTRACTORS else {})


def own_source() -> str:
    """A hash of the source of our methods."""
    folder = Path(next(iter(ruleedit.surrogate.__path__)))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))).hexdigest()[:12]


def tag(chosen: dict[str, Any], known: dict[str, str]) -> str:
    """Settings and versions as text that can be compared."""
    return json.dumps([chosen, known], sort_keys=True)


def tables(folder: Path | None, only: Sequence[str] | None) -> Iterator[Table]:
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


def task(folder: Path, name: str, frame: pd.DataFrame, target: str, seed: int) -> tuple[bool, Path]:
    """What the learners get, made once: whether the model answers two classes, and the file."""
    path = folder / f"{name}-{seed}.npz"
    if not path.is_file():
        # LightGBM's threads don't live through a fork, so the model is trained elsewhere.
        with multiprocessing.get_context("spawn").Pool(1) as other:
            other.apply(prepare, (frame, target, seed, path))
    return len(np.unique(np.load(path)["answers"])) == 2, path


def prepare(frame: pd.DataFrame, target: str, seed: int, path: Path) -> None:
    """Train the model and write what the learners get."""
    from ruleedit.models.training import train
    from ruleedit.tables import infer_schema

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


def in_child(table: str, seed: int, learner: str, path: Path, limit: float) -> list[Seen]:
    """Run one learner in a process of its own; what it gave before it ended or was ended."""
    context = multiprocessing.get_context("fork")
    mine, its = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(learner, path, limit, its))
    process.start()
    its.close()
    found: list[Seen] = []
    end, until = "", time.monotonic() + PATIENCE * limit
    while True:
        if not mine.poll(max(0.0, until - time.monotonic())):
            end = f"hung for {PATIENCE * limit:g} s by the clock"
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
    if not end and process.exitcode:
        late = process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL)
        end = f"ended after {limit:g} s" if late else f"died with {process.exitcode}"
    return [*found, Seen(table, seed, learner, None, end=end)] if end else found


def child(learner: str, path: Path, limit: float, to: Any) -> None:
    """Learn in this process; send the figures of each budget, or what went wrong as text."""
    given = np.load(path)
    more = json.loads(str(given["more"]))
    splits = tuple(dict(zip(*point, strict=True)) for point in more["splits"])
    data = Data(Schema.from_json(more["schema"]), given["rows"], given["answers"], splits, given["held"], more["seed"])
    spent = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent + limit) + 1, int(spent + limit) + 5))
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            for one in PEERS[learner](data, BUDGETS):
                figures = {"budget": one.budget, "clauses": one.clauses, "rules": one.rules}
                figures |= {"fidelity": float((one.said == given["true"]).mean())}
                to.send(figures | {"clock": one.clock, "cpu": one.cpu, "megabytes": peak_megabytes()})
    except ImportError as problem:
        to.send(f"{ABSENT}: {problem.name}")
    except Exception as problem:  # noqa: BLE001 (a peer that fails is a figure too)
        to.send(f"{type(problem).__name__}: {problem}"[:120])


def warm(learners: Sequence[str]) -> None:
    """Import what the learners need, so that each process begins with it and its seconds don't count it."""
    for name in dict.fromkeys(module for learner in learners for module in WARM.get(learner, ("sklearn.tree",))):
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
    print(f"| rows | seconds | processor s | fidelity | rules | clauses | peak MB | table MB |\n|{' ---: |' * 8}")
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
    began = reading()
    found = extract(table, answers, schema, splits=splits, max_clauses=16)
    clock, cpu = since(began)
    seconds, share = f"{clock:.1f} | {cpu:.1f}", f"{found.train.agreement:.4f}"
    figures = (f"{rows:,}", seconds, share, len(found.rules), found.clauses)
    print(f"| {' | '.join(map(str, figures))} | {peak_megabytes():,.0f} | {table.nbytes / 2**20:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
