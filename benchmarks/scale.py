"""How scoring, impact, conflicts, extraction, training and retraining grow with the table, one process and two workers.

    python benchmarks/scale.py --out scale.jsonl [--rows 10000 100000 1000000 10000000] [--folder DIR] [--only STEP ...]
    python benchmarks/scale.py --read scale.jsonl
    python benchmarks/scale.py --rules [--folder DIR]

Tables are made of `ruleedit.datasets.loans`, 250,000 rows a file, eleven columns; beyond a million rows the files are
those of the first million again. Every measurement is a line of OUT; what is in OUT isn't measured again, so a run that
was stopped goes on. CPU seconds are of all processes, without imports and without starting the workers; the peak is of
the fullest process, counted anew for each step.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PART = 250_000
#: A larger table is this one's files again and again: reading and deciding them costs the same.
DISTINCT = 1_000_000
ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
STEPS = (
    "impact",
    "conflicts",
    "scoring",
    "counts by DuckDB",
    "extraction",
    "training",
    "retraining",
    "retraining in pieces",
)
#: The one works in memory, in one process; the other has threads of its own.
ALONE = ("retraining", "counts by DuckDB")
EDITS = (
    "new IF age between 27 and 30 AND income >= 30000 AND debt_ratio <= 0.6 AND late_payments < 4 THEN approve",
    "new IF amount > 9000 AND age < 25 THEN deny",
    "new IF amount > 9500 AND income >= 30000 THEN approve",
)


def table(folder: Path, rows: int) -> Path:
    """The table of so many rows, made where it isn't there yet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ruleedit.datasets import loans

    where = folder / str(rows)
    if not where.exists():
        fresh = folder / f".{rows}"
        fresh.mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(
            itertools.chain(*[_distinct(folder)] * (rows // DISTINCT)) if rows > DISTINCT else ()
        ):
            os.link(file, fresh / f"{number:05}.parquet")
        for number, start in enumerate(range(0, rows if rows <= DISTINCT else 0, PART)):
            # At least four files, so that there is something to share.
            size = min(PART, rows - start)
            frame = loans(size, seed=1_000 + number)
            for quarter in range(4 if rows <= PART else 1):
                few = frame.iloc[quarter::4] if rows <= PART else frame
                pq.write_table(
                    pa.Table.from_pandas(few, preserve_index=False), fresh / f"{number:05}-{quarter}.parquet"
                )
        fresh.rename(where)
    return where


def _distinct(folder: Path) -> list[Path]:
    """The files of the largest table whose rows are all made for it."""
    return sorted(table(folder, DISTINCT).iterdir())


def model(folder: Path) -> Path:
    """The model that all tables are measured with, and the rules with three edits, settled."""
    from ruleedit.datasets import loans
    from ruleedit.edits import edit
    from ruleedit.formats import canonical
    from ruleedit.inforce import put_in_force
    from ruleedit.models.folder import save
    from ruleedit.models.training import train
    from ruleedit.release import save as save_release
    from ruleedit.tables import encode, infer_schema
    from ruleedit.workflow import extract_rules, resolve_conflicts

    where = folder / "model"
    if not where.exists():
        frame = loans(20_000, seed=1)
        made = train(frame, infer_schema(frame, "decision"))
        rows = encode(frame, made.schema)
        draft, _ = extract_rules(made, rows, max_clauses=32)
        open_ = edit(draft, EDITS, reason="benchmark", author="ana")
        settled = resolve_conflicts(open_, (), "priority", reason="benchmark", author="ana")
        canonical.write(open_, folder / "open.json")
        canonical.write(settled, folder / "settled.json")
        save_release(put_in_force(made, settled, "overlay-hard", rows), folder / "release")
        save(made, where)
    return where


@contextmanager
def spread(workers: int) -> Iterator[Any]:
    """What works on the pieces: this process, or so many workers; and what they have used."""
    from ruleedit.scale.cluster import Spread, cluster, here

    if not workers:
        yield here, None
        return
    with cluster("local", workers=workers) as client:
        client.run(_warm)
        yield Spread(client), client


def _warm() -> None:
    import lightgbm  # noqa: F401

    import ruleedit.scale.extraction
    import ruleedit.scale.labelled
    import ruleedit.scale.measuring
    import ruleedit.scale.scoring
    import ruleedit.scale.training  # noqa: F401


def used() -> tuple[float, float]:
    """The CPU seconds of this process, and its peak in MiB since `forget`."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return own.ru_utime + own.ru_stime, int(peak.split()[1]) / 1024


def forget() -> None:
    """Begin the peak anew at what is in memory now; Linux alone can."""
    Path("/proc/self/clear_refs").write_text("5")


def work(step: str, folder: Path, rows: int) -> Callable[[Any, Any], object]:
    """What is measured: a function of who works on the pieces, and of the client where there is one."""
    from ruleedit.conflicts import find_conflicts
    from ruleedit.findings import findings
    from ruleedit.formats import canonical
    from ruleedit.models.folder import load
    from ruleedit.release import load as load_release
    from ruleedit.scale.counting import rule_counts
    from ruleedit.scale.extraction import extract_table
    from ruleedit.scale.measuring import Meter, rows_in
    from ruleedit.scale.scoring import write_decisions, write_parts
    from ruleedit.tables.batches import pieces

    where = pieces(folder / str(rows))
    made, opened = load(folder / "model"), canonical.read(folder / "open.json")
    settled = canonical.read(folder / "settled.json")
    out = Path(tempfile.mkdtemp(dir=folder))

    def scoring(over: Any, client: Any) -> object:
        release = load_release(folder / "release")
        if client is None:
            return write_decisions(release, where, out / "one.parquet")
        return write_parts(release, where, out / "parts", over)

    def conflicts(over: Any, _: Any) -> object:
        return rows_in(find_conflicts(opened.rules, opened.schema), findings(opened), opened, where, over)

    def training(_: Any, client: Any) -> object:
        from ruleedit.models.training import train
        from ruleedit.scale.training import train_table

        if client is None:
            return train(_frame(folder, rows), made.schema)
        return train_table(where, made.schema, client=client)

    def retraining(*_: Any) -> object:
        from ruleedit.inforce import put_in_force
        from ruleedit.tables import encode, target_codes

        frame = _frame(folder, rows)
        truth = target_codes(frame, made.schema)
        return put_in_force(made, settled, "retrain", encode(frame, made.schema), truth=truth)

    def retraining_in_pieces(over: Any, client: Any) -> object:
        from ruleedit.inforce import put_table_in_force
        from ruleedit.scale.labelled import LabelledPieces

        return put_table_in_force(
            made, settled, "retrain", LabelledPieces(where, made.schema, over=over, client=client)
        )

    return {
        "scoring": scoring,
        "impact": lambda over, _: Meter(made, settled).measure(where, over),
        "conflicts": conflicts,
        "counts by DuckDB": lambda *_: rule_counts(settled, where),
        "extraction": lambda over, _: extract_table(made, where, max_clauses=32, over=over),
        "training": training,
        "retraining": retraining,
        "retraining in pieces": retraining_in_pieces,
    }[step]


def _frame(folder: Path, rows: int) -> Any:
    import pandas as pd

    from ruleedit.tables import read

    return pd.concat([read(file) for file in sorted((folder / str(rows)).iterdir())], ignore_index=True)


def measure(steps: list[str], folder: Path, rows: int, workers: int) -> Iterator[dict[str, Any]]:
    """Some steps one after the other, in this process or by workers that stay."""
    _warm()
    with spread(workers) as (over, client):
        for step in steps:
            do = work(step, folder, rows)
            forget()
            if client is not None:
                client.run(forget)
            before = [used(), *(client.run(used).values() if client else ())]
            began = time.perf_counter()
            do(over, client)
            wall = time.perf_counter() - began
            after = [used(), *(client.run(used).values() if client else ())]
            yield {
                "step": step,
                "rows": rows,
                "workers": workers,
                "cpu": round(sum(cpu for cpu, _ in after) - sum(cpu for cpu, _ in before), 3),
                "wall": round(wall, 3),
                "peak": round(max(peak for _, peak in after)),
                "start": round(max(peak for _, peak in before)),
                "load": round(os.getloadavg()[0], 1),
            }


def by_rules(folder: Path, rows: int = 100_000) -> str:
    """What deciding by rules and counting an impact cost for each row with more and more rules, as a table."""
    import numpy as np

    from ruleedit.edits import edit
    from ruleedit.feedback import feedback
    from ruleedit.formats import canonical
    from ruleedit.impact import impact
    from ruleedit.matching import decide
    from ruleedit.models.folder import load
    from ruleedit.tables.batches import pieces

    made, draft = load(folder / "model"), canonical.read(folder / "settled.json")
    batches = (batch for piece in pieces(table(folder, rows)) for batch in piece.batches())
    encoded = np.asfortranarray(np.concatenate([batch.encode(made.schema) for batch in batches]))
    outcomes = made.outcomes(encoded)
    out = ["| rules | decide, ns a row | impact, ns a row |", "| ---: | ---: | ---: |"]
    for many in (1, 10, 50, 100):
        texts = [
            f"new IF age between {18 + number % 40} and {20 + number % 40} AND income >= {20_000 + 500 * number} "
            f"AND debt_ratio <= 0.{3 + number % 6} THEN deny"
            for number in range(many)
        ]
        edited = edit(draft, texts, reason="benchmark", author="ana")
        asked = feedback(edited.base, edited.rules, edited.schema)
        least = [
            min(_cpu(lambda: decide(edited.rules, encoded, edited.schema)) for _ in range(3)),  # noqa: B023
            min(_cpu(lambda: impact(asked, encoded, outcomes)) for _ in range(3)),  # noqa: B023
        ]
        out.append(f"| {len(edited.rules)} | {' | '.join(f'{1e9 * cpu / len(encoded):.0f}' for cpu in least)} |")
    return "\n".join(out)


def _cpu(do: Callable[[], object]) -> float:
    began = time.process_time()
    do()
    return time.process_time() - began


def tabled(lines: list[dict[str, Any]]) -> str:
    """The measurements as a table in Markdown."""
    known = {(line["step"], line["rows"], line["workers"]): line for line in lines}
    out = [
        "| step | rows | CPU s, one process | rows a CPU second | peak MiB | CPU s, two workers | ratio | peak MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for step in STEPS:
        for rows in sorted({line["rows"] for line in lines}):
            one, two = known.get((step, rows, 0)), known.get((step, rows, 2))
            if one is None and two is None:
                continue
            cells = [step, f"{rows:,}"]
            cells += (
                ["–"] * 3 if one is None else [f"{one['cpu']:.1f}", f"{rows / one['cpu']:,.0f}", f"{one['peak']:,}"]
            )
            ratio = "–" if one is None or two is None else f"{two['cpu'] / one['cpu']:.2f}"
            cells += ["–"] * 3 if two is None else [f"{two['cpu']:.1f}", ratio, f"{two['peak']:,}"]
            out.append(f"| {' | '.join(cells)} |")
    loads = [line["load"] for line in lines]
    return "\n".join(
        [*out, "", f"Load of the machine while measuring: {min(loads)} to {max(loads)}, {os.cpu_count()} cores."]
    )


def main() -> None:
    """Measure what isn't measured yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("scale.jsonl"))
    parser.add_argument("--read", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("scale-tables"))
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--rules", action="store_true", help="what rules cost a row, instead")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        rows, workers, *steps = asked.measure
        for line in measure(steps, asked.folder, int(rows), int(workers)):
            print(json.dumps(line), flush=True)
        return
    if asked.rules:
        model(asked.folder)
        print(by_rules(asked.folder))
        return
    out = asked.read or asked.out
    if asked.read is None:
        run(asked)
    print(tabled([json.loads(line) for line in out.read_text().splitlines()]))


def run(asked: argparse.Namespace) -> None:
    """Measure what OUT lacks, the small tables first; a process for each table and number of workers."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    model(asked.folder)
    lines = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    done = {(line["step"], line["rows"], line["workers"]) for line in lines}
    for rows, workers in itertools.product(sorted(asked.rows), asked.workers):
        table(asked.folder, rows)
        steps = [one for one in asked.only if (one, rows, workers) not in done and not (workers and one in ALONE)]
        if not steps:
            continue
        command = [sys.executable, __file__, "--folder", asked.folder, "--measure", rows, workers, *steps]
        with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:
                with asked.out.open("a") as file:
                    file.write(line)
                print(line, end="", file=sys.stderr)


if __name__ == "__main__":
    main()
