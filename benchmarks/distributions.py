"""How near to a distribution does retraining come, at what cost? `anchored`, with the model that `train` makes.

A rule asks for a distribution where the model is sure of something else. Measured on the held-out
quarter; processor time on one thread, beside one training of the model in force.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd

from ruleedit.datasets import loans
from ruleedit.feedback import Feedback, feedback
from ruleedit.models.training import train
from ruleedit.retrain import Answers, effect, lightgbm_trainer, retrain
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Schema
from ruleedit.tables import encode, infer_schema, target_codes
from ruleedit.text import parse_rule

Made = TypeVar("Made")


@dataclass(frozen=True)
class Case:
    """A table, its target, a rule that asks for a distribution; the first ``rows`` of it (None: all)."""

    target: str
    rule: str
    rows: int | None = None


LOANS = "IF age <= 40 THEN approve 0.7, deny 0.3"
CASES = {
    "loans": Case("decision", LOANS, 3_000),
    "loans, 10,000": Case("decision", LOANS, 10_000),
    "wine": Case("target", "IF alcohol <= 13 THEN '0' 0.5, '1' 0.3, '2' 0.2"),
    "contraceptive_method_choice": Case("contraceptive_method", "IF wife_age <= 35 THEN '1' 0.5, '2' 0.3, '3' 0.2"),
    "adult": Case("income", "IF age <= 40 AND sex = Male THEN '<=50K' 0.4, '>50K' 0.6", 12_000),
    "covertype_15120": Case(
        "Cover_Type",
        "IF Elevation <= 2900 THEN '1' 0.05, '2' 0.05, '3' 0.05, '4' 0.05, '5' 0.1, '6' 0.2, '7' 0.5",
    ),
}
HEADER = (
    "| table | rows in region | agreement before | after | distance before | after | flips outside | trainings |"
    " trees added | CPU s | CPU of one training |\n| --- |" + " ---: |" * 10
)


def main() -> None:
    """Print a line for each table that is there."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    ask.add_argument("--data", type=Path, help="a folder of tables as NAME.csv.gz; loans and wine need none")
    ask.add_argument("--only", action="append", choices=list(CASES))
    ask.add_argument("--seed", type=int, default=0)
    options = ask.parse_args()
    print(HEADER)
    for name in options.only or CASES:
        table = read(name, options.data)
        if table is not None:
            print(line(name, CASES[name], table, options.seed), flush=True)


def read(name: str, folder: Path | None) -> pd.DataFrame | None:
    """The table of that name, None where it isn't there."""
    if name.startswith("loans"):
        return loans(CASES[name].rows or 0, seed=0)
    if name == "wine":
        from sklearn.datasets import load_wine

        found: pd.DataFrame = load_wine(as_frame=True).frame
        return found.astype({"target": str})
    path = None if folder is None else folder / f"{name}.csv.gz"
    return None if path is None or not path.exists() else pd.read_csv(path).iloc[: CASES[name].rows]


def line(name: str, case: Case, table: pd.DataFrame, seed: int) -> str:
    """What became of one table, as a row of Markdown."""
    schema = infer_schema(table, case.target)
    rows, answers = encode(table, schema), target_codes(table, schema)
    model = train(table, schema, seed=seed)
    training, held_out = np.setdiff1d(np.arange(len(rows)), model.holdout), model.holdout
    asked, trainer = asking(case.rule, schema), lightgbm_trainer(model)
    known = rows[training], answers[training]
    _, one = timed(lambda: trainer(*known, seed))
    result, took = timed(
        lambda: retrain(
            *known, asked, trainer, model=model, background=model.background, strategy="anchored", seed=seed
        )
    )
    before, after = (Answers.of(each, rows[held_out]) for each in (model, result.model))
    found = effect(asked, rows[held_out], answers[held_out], before, after)
    rule = found.feedback[0]
    trees = len(result.model.file.trees) - len(model.file.trees)  # type: ignore[attr-defined]
    return (
        f"| {name} | {rule.coverage:,} | {rule.mra_before:.3f} | {rule.mra_after:.3f} | {rule.distance_before:.3f} |"
        f" {rule.distance_after:.3f} | {found.flips:.2%} | {result.trainings} | {trees} | {took:.1f} | {one:.2f} |"
    )


def asking(text: str, schema: Schema) -> Feedback:
    """What one asserted rule asks for."""
    base = RuleSet((), Outcome.of(schema.classes[0]))
    return feedback(base, RuleSet((parse_rule(text, "R1").replace(asserted=True),), base.default), schema)


def timed(make: Callable[[], Made]) -> tuple[Made, float]:
    """What is made, and the processor time that it took."""
    begun = time.process_time()
    return make(), time.process_time() - begun


if __name__ == "__main__":
    main()
