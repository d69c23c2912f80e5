"""The whole loop on real tables: how well the rules fit, and what an edit does in each of three ways.

    python benchmarks/loop.py --data FOLDER [--only NAME] [--json OUT]

FOLDER holds tables as NAME.csv.gz; those that are not there are left out, `loans` is built in. For
each table a LightGBM model is trained on three quarters of the rows and summarised in rules by the
default method with its default budget of clauses. Then one rule that a policy could ask for is
added ("new IF ... THEN class"), conflicts are settled by priority (one new rule has none), and the
edit is put in force as a hard overlay, as a soft overlay, and by retraining as it
is done by default (anchored).

Every share is of the held-out quarter, which neither the model nor the rules nor the retraining has
seen: accuracy of the model, fidelity of the rules to the model, agreement of the decisions with the
new rule in its region before and after, macro F1 against the true classes outside the region, and
flips, the decisions outside that changed all the same. Overlays change nothing outside, so F1 and
flips are those of retraining. Seconds are processor time on one thread, of one run, without imports
and reading.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

# One thread, so that processor time means the same on every machine.
os.environ["OMP_NUM_THREADS"] = "1"

import pandas as pd

from ruleedit import edit, encode, extract_rules, infer_schema, put_in_force, train
from ruleedit.datasets import DATASETS
from ruleedit.models import holdout_metrics
from ruleedit.surrogate import DEFAULT_METHOD
from ruleedit.tables import target_codes
from ruleedit.workflow import prepare, resolve_conflicts

T = TypeVar("T")
Report: TypeAlias = Mapping[str, Any]
REASON = "a policy of the benchmark"


@dataclass(frozen=True)
class Case:
    """A table, and the rule that a policy asks for there; ``dropped`` columns are no features."""

    name: str
    target: str
    rule: str
    dropped: tuple[str, ...] = ()

    def read(self, folder: Path) -> pd.DataFrame | None:
        """The table with its cells as the file has them; None where the folder hasn't it."""
        if self.name in DATASETS:
            return DATASETS[self.name]()
        path = folder / f"{self.name}.csv.gz"
        if not path.is_file():
            return None
        frame = pd.read_csv(path, dtype="str", keep_default_na=False, na_values=[""])
        return frame.drop(columns=list(self.dropped))


CASES = (
    Case("loans", "decision", "IF age between 27 and 30 AND income >= 30000 AND debt_ratio <= 0.6 THEN approve"),
    Case("adult", "income", "IF age < 30 AND `education-num` >= 13 THEN '>50K'", ("fnlwgt",)),
    Case("bank_marketing", "y", "IF duration < 200 AND balance > 2000 THEN yes"),
    Case("car_evaluation", "class", "IF safety = med AND persons = '4' THEN vgood"),
    Case("mushroom", "class", "IF odor = n AND `stalk-root` is missing THEN p"),
    Case("contraceptive_method_choice", "contraceptive_method", "IF wife_age > 35 AND wife_education >= 3 THEN '1'"),
    Case("covertype_15120", "Cover_Type", "IF Elevation between 2800 and 2900 AND Slope > 20 THEN '5'"),
)


@dataclass(frozen=True)
class Seen:
    """What was seen on one table; shares are of held-out rows, None where there is no row to measure on.

    ``region`` counts the held-out rows that the new rule holds; ``before`` and the three after it are
    the agreement with the rule there. ``flips`` is the share of the decisions outside that retraining
    changed.
    """

    table: str
    rows: int
    classes: int
    accuracy: float | None
    fidelity: float | None
    rules: int
    clauses: int
    train_seconds: float
    extract_seconds: float
    region: int
    before: float | None
    hard: float | None
    soft: float | None
    retrained: float | None
    f1_before: float | None
    f1_after: float | None
    flips: float | None
    trainings: int
    retrain_seconds: float
    notes: tuple[str, ...]

    def cells(self) -> tuple[str, ...]:
        """The cells of its row, as `HEADINGS` names them."""
        return (
            self.table,
            f"{self.rows:,}",
            str(self.classes),
            _number(self.accuracy),
            _number(self.fidelity),
            str(self.rules),
            str(self.clauses),
            f"{self.train_seconds:.1f}",
            f"{self.extract_seconds:.1f}",
            f"{self.region:,}",
            *map(_number, (self.before, self.hard, self.soft, self.retrained)),
            f"{_number(self.f1_before)} → {_number(self.f1_after)}",
            "–" if self.flips is None else f"{self.flips:.2%}",
            str(self.trainings),
            f"{self.retrain_seconds:.1f}",
        )


HEADINGS = (
    "table",
    "rows",
    "classes",
    "model accuracy",
    "fidelity",
    "rules",
    "clauses",
    "train CPU s",
    "extract CPU s",
    "rows in region",
    "agreement before",
    "after, hard",
    "after, soft",
    "after, retrained",
    "macro F1 outside",
    "flips outside",
    "trainings",
    "retrain CPU s",
)


def main() -> None:
    """Run the benchmark and print what was seen as a Markdown table, a row as soon as it is known."""
    options = _options()
    # Imports are no part of the seconds.
    importlib.import_module("lightgbm")
    prepare(DEFAULT_METHOD)
    seen: list[Seen] = []
    print(_line(HEADINGS))
    print(_line(["---", *["---:"] * (len(HEADINGS) - 1)]), flush=True)
    for case in CASES:
        frame = case.read(options.data) if options.only in (None, case.name) else None
        if frame is not None:
            seen.append(run(case, frame))
            print(_line(seen[-1].cells()), flush=True)
    print()
    for note in (f"{one.table}: {note}" for one in seen for note in one.notes):
        print(f"- {note}")
    print(f"\n{versions()}")
    if options.json is not None:
        record = {"versions": versions(), "tables": [asdict(one) for one in seen]}
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def run(case: Case, frame: pd.DataFrame) -> Seen:
    """Take one table through the loop."""
    model, train_seconds = timed(lambda: train(frame, infer_schema(frame, case.target)))
    rows, truth = encode(frame, model.schema), target_codes(frame, model.schema)
    (draft, found), extract_seconds = timed(lambda: extract_rules(model, rows, method=DEFAULT_METHOD))
    edited = edit(draft, [f"new {case.rule}"], reason=REASON, author="benchmark")
    edited = resolve_conflicts(edited, (), "priority", reason=REASON, author="benchmark")
    hard = put_in_force(model, edited, "overlay-hard", rows, truth=truth).report
    soft = put_in_force(model, edited, "overlay-soft", rows, truth=truth).report
    release, retrain_seconds = timed(lambda: put_in_force(model, edited, "retrain", rows, truth=truth))
    return Seen(
        table=case.name,
        rows=len(rows),
        classes=len(model.schema.classes),
        accuracy=holdout_metrics(model, rows[model.holdout], truth[model.holdout])["accuracy"],
        fidelity=None if found.holdout is None else found.holdout.agreement,
        rules=len(found.rules),
        clauses=found.clauses,
        train_seconds=train_seconds,
        extract_seconds=extract_seconds,
        retrain_seconds=retrain_seconds,
        **_effects(hard, soft, release.report),
    )


def _effects(hard: Report, soft: Report, retrained: Report) -> dict[str, Any]:
    """The fields of `Seen` that the reports of the three ways hold."""
    # The new rule is the one thing that the edit asks for.
    [[by_hard], [by_soft], [by_retraining]] = (report["feedback"] for report in (hard, soft, retrained))
    return {
        "region": by_hard["coverage"],
        "before": by_hard["mra_before"],
        "hard": by_hard["mra_after"],
        "soft": by_soft["mra_after"],
        "retrained": by_retraining["mra_after"],
        **{name: retrained["outside"][name] for name in ("f1_before", "f1_after", "flips")},
        "trainings": retrained["trainings"],
        "notes": (*(f"soft: {note}" for note in soft["notes"]), *_retraining_notes(retrained)),
    }


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What ``work`` gives, and its seconds of processor time."""
    began = time.process_time()
    done = work()
    return done, time.process_time() - began


def versions() -> str:
    """What the figures depend on, as a line of text."""
    parts = [f"{name} {version(name)}" for name in ("lightgbm", "scikit-learn", "numpy")]
    return f"Python {platform.python_version()}, {', '.join(parts)}, {os.cpu_count()} cores"


def _retraining_notes(report: Report) -> Iterator[str]:
    yield (
        f"retraining stopped at: {report['stopped']}; {report['accepted']} batches and {report['synthetic']:,} "
        f"synthetic rows kept"
    )
    yield from (f"retraining: {note}" for note in report["notes"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds NAME.csv.gz")
    parser.add_argument("--only", choices=[case.name for case in CASES], help="one table alone")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the figures as JSON")
    return parser.parse_args()


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(share: float | None) -> str:
    return "–" if share is None else f"{share:.3f}"


if __name__ == "__main__":
    main()
