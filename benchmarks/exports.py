"""What exports cost beside plain JSON, and what grafted trees cost a single prediction.

    python benchmarks/exports.py [--rules N] [--rounds N] [--json OUT]

Exports: N random rules (1,000) on the loans' features are written in every format and SQL dialect, and beside each, in
the same round, the same rules as JSON by `json.dumps` (each rule as an object of its clauses). The figure is the median
over rounds of format / JSON. A format that refuses a rule gets the rules that it can say, and the table says how many.

Graft: a model of loans with more and more boxes grafted in predicts one row after another with one thread, in turns
with the model before (the bare one before and after each turn). The figure is how much slower a prediction is for each
percent of trees added; the goal is at most 1% for 1%.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from ruleedit import encode, infer_schema, train
from ruleedit.datasets import loans
from ruleedit.drafts import Draft
from ruleedit.errors import EmptyRegion, Refused
from ruleedit.feedback import Feedback, feedback
from ruleedit.formats import EXPORTS, export
from ruleedit.formats.sql import DIALECTS
from ruleedit.graft import graft
from ruleedit.matching import Matrix
from ruleedit.models import TableModel
from ruleedit.regions import check_rule
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema


@dataclass(frozen=True)
class Cost:
    """One format: rules written, bytes, the median seconds, and the median over rounds of format / JSON."""

    form: str
    rules: int
    bytes: int
    seconds: float
    ratio: float


@dataclass(frozen=True)
class Grafted:
    """Trees before and added, the median microseconds of one row before and after, slower by % for 1% of trees."""

    trees: int
    added: int
    before: float
    after: float
    slope: float


def random_rules(schema: Schema, many: int, seed: int = 0) -> RuleSet:
    """So many rules of one to four clauses that some row satisfies."""
    dice = random.Random(seed)
    found: list[Rule] = []
    while len(found) < many:
        features = dice.sample(schema.features, dice.randint(1, 4))
        rule = Rule(f"R{len(found) + 1}", tuple(_clause(dice, feature) for feature in features), _outcome(dice, schema))
        try:
            check_rule(rule, schema)
        except EmptyRegion:
            continue
        found.append(rule)
    return RuleSet(tuple(found), Outcome.of(schema.classes[0]))


def _clause(dice: random.Random, feature: Feature) -> Clause:
    if not feature.is_number:
        listed = dice.sample(feature.values, min(len(feature.values), dice.randint(1, 3)))
        return Clause(feature.name, dice.choice(("in", "not in")) if len(listed) > 1 else "in", tuple(listed))
    low, high = feature.low or 0.0, feature.high or 1.0
    value = dice.uniform(low, high)
    value = float(round(value)) if feature.kind == "integer" else round(value, 3)
    return Clause(feature.name, dice.choice((">", "<=")), min(max(value, low), high))


def _outcome(dice: random.Random, schema: Schema) -> Outcome:
    return Outcome.of(dice.choice(schema.classes))


def plain_json(rules: RuleSet) -> bytes:
    """The peer: the rules as JSON objects of their clauses."""
    told = [
        {
            "id": rule.id,
            "clauses": [[clause.feature, clause.operator, clause.value] for clause in rule.clauses],
            "outcome": rule.outcome.weights,
        }
        for rule in rules
    ]
    return json.dumps({"rules": told, "default": rules.default.weights}, indent=2).encode()


def sayable(schema: Schema, rules: RuleSet, form: str) -> Draft:
    """The rules that a format can say: all, or those that it takes one by one."""
    whole = Draft.of(rules, schema)
    try:
        export(whole, form)
    except Refused:
        kept = tuple(rule for rule in rules if _says(form, Draft.of(RuleSet((rule,), rules.default), schema)))
        return Draft.of(RuleSet(kept, rules.default), schema)
    return whole


def _says(form: str, draft: Draft) -> bool:
    try:
        export(draft, form)
    except Refused:
        return False
    return True


def clocked(work: Callable[[], Any]) -> float:
    """Seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def export_costs(rules: int, rounds: int) -> Iterator[Cost]:
    """Every format and dialect, in turns with the peer."""
    schema = infer_schema(loans(2_000), "decision")
    drawn = random_rules(schema, rules)
    asked = [(form, None) for form in EXPORTS] + [("sql", dialect) for dialect in DIALECTS[1:]]
    for form, dialect in asked:
        draft = sayable(schema, drawn, form)
        written = export(draft, form, dialect=dialect)
        seconds, ratios = [], []
        for _ in range(rounds):
            peer = clocked(lambda draft=draft: plain_json(draft.rules))  # type: ignore[misc]
            seconds.append(clocked(lambda a=draft, b=form, c=dialect: export(a, b, dialect=c)))  # type: ignore[misc]
            peer = (peer + clocked(lambda draft=draft: plain_json(draft.rules))) / 2.0  # type: ignore[misc]
            ratios.append(seconds[-1] / peer)
        name = form if dialect is None else f"{form} ({dialect})"
        yield Cost(name, len(draft.rules), len(written), statistics.median(seconds), statistics.median(ratios))


def asks(schema: Schema, boxes: int) -> Feedback:
    """Feedback of so many disjoint boxes: bands of income by purpose, one rule each."""
    purposes = schema.feature("purpose").values
    bands = np.linspace(0.0, 60_000.0, boxes // len(purposes) + 2)
    rules = []
    for place in range(boxes):
        band, purpose = divmod(place, len(purposes))
        low, high = float(round(bands[band])), float(round(bands[band + 1]) - 1)
        clauses = (Clause("income", "between", (low, high)), Clause("purpose", "=", purposes[purpose]))
        rules.append(Rule(f"R{place + 1}", clauses, Outcome.of(schema.classes[place % 2]), asserted=True))
    base = RuleSet((), Outcome.of(schema.classes[0]))
    return feedback(base, dataclasses.replace(base, rules=tuple(rules)), schema)


def one_by_one(booster: lightgbm.Booster, rows: Matrix) -> float:
    """Microseconds of one prediction, one row after another, one thread: the median of the rows."""
    times = []
    for row in rows:
        began = time.perf_counter()
        booster.predict(row[None], num_threads=1)
        times.append(time.perf_counter() - began)
    return 1e6 * statistics.median(times)


def graft_costs(shares: Sequence[float], rounds: int) -> Iterator[Grafted]:
    """A model with more and more trees grafted in, in turns with the bare one."""
    table = loans(12_000)
    schema = infer_schema(table, "decision")
    income = dataclasses.replace(schema.feature("income"), low=0.0, high=100_000.0)
    features = tuple(income if feature.name == "income" else feature for feature in schema.features)
    schema = dataclasses.replace(schema, features=features)
    model: TableModel = train(table, schema)
    rows = np.ascontiguousarray(encode(table, schema)[:400])
    trees = len(model.file.trees)
    for share in shares:
        grafted = graft(model, asks(schema, max(1, round(share * trees))))
        added = len(grafted.file.trees) - trees
        pairs = []
        for _ in range(rounds):
            first, after, last = (one_by_one(one.booster, rows) for one in (model, grafted, model))
            pairs.append(((first + last) / 2.0, after))
        before, after = (statistics.median(side) for side in zip(*pairs, strict=True))
        slower = statistics.median(late / early - 1.0 for early, late in pairs)
        yield Grafted(trees, added, before, after, slower / (added / trees))


def main() -> None:
    """Measure, print two tables, and write JSON where it is asked for."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--rules", type=int, default=1_000)
    reader.add_argument("--rounds", type=int, default=7)
    reader.add_argument("--json", type=Path)
    given = reader.parse_args()
    print(f"| format | rules | bytes | seconds | times the same rules as JSON |\n| --- {'| ---: ' * 4}|")
    costs: list[Cost] = []
    for cost in export_costs(given.rules, given.rounds):
        costs.append(cost)
        line = f"| {cost.form} | {cost.rules:,} | {cost.bytes:,} | {cost.seconds:.3f} | {cost.ratio:.1f} |"
        print(line, flush=True)
    grafted = list(graft_costs((0.1, 0.5, 1.0, 3.0), given.rounds))
    print(f"\n| trees | added | µs a row before | after | slower by % for 1% of trees |\n|{' ---: |' * 5}")
    for item in grafted:
        print(f"| {item.trees} | {item.added} | {item.before:.1f} | {item.after:.1f} | {item.slope:.2f} |")
    versions = ", ".join(f"{name} {version(name)}" for name in ("lightgbm", "numpy", "sqlglot", "lxml", "openpyxl"))
    print(f"\nPython {platform.python_version()}, {versions}, {os.cpu_count()} cores")
    if given.json is not None:
        told = {"exports": list(map(dataclasses.asdict, costs)), "graft": list(map(dataclasses.asdict, grafted))}
        given.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
