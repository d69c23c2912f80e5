"""How fast edits are, each as a ratio against a named peer that is timed in turn with it in the same run.

    python benchmarks/speed.py [--rows N] [--rounds N] [--only PART] [--json OUT]

On built-in data (`loans`), by default a million rows:

- `preview`: the impact of one edited clause in a rule set of 20 rules, against evaluating 5 clauses with
  numpy on the same rows;
- `conflicts`: every conflict among 1,000 asserted rules of four clauses each, against reading the
  table (CSV, to encoded rows); which pairs conflict is found, what is told of a pair is made when it is looked at;
- `overlay`: a hard overlay's answers with the model's own answer included, and without it, against
  the model's raw ``predict``.

In each round the peer and ours are timed one after the other, in both orders by turns. The ratio is of the
least seconds of each side, as other work on the machine only ever adds; the median of the rounds' own
ratios stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ruleedit import Draft, Outcome, Preview, RuleSet, TableModel, edit, encode, infer_schema, read, train
from ruleedit.conflicts import find_conflicts
from ruleedit.datasets import loans
from ruleedit.matching import Matrix
from ruleedit.regions import rule_box
from ruleedit.release import Release
from ruleedit.rules import Rule, value_text
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule

Work: TypeAlias = Callable[[], object]
#: The model and the schema are of so many rows; the table is made of them again and again.
BASE_ROWS = 20_000
#: A preview takes milliseconds, so it is timed more often.
PREVIEW_ROUNDS = 61


@dataclass(frozen=True)
class Ratio:
    """Ours against a peer: the least seconds of both, their ratio, and the median of the rounds' ratios."""

    part: str
    peer: str
    ours_seconds: float
    peer_seconds: float
    ratio: float
    median: float
    goal: float
    note: str

    def cells(self) -> tuple[str, ...]:
        """The cells of its row."""
        seconds = (f"{self.ours_seconds * 1e3:,.1f}", f"{self.peer_seconds * 1e3:,.1f}")
        return (
            self.part,
            self.peer,
            *seconds,
            f"{self.ratio:.2f}",
            f"{self.median:.2f}",
            f"{self.goal:.2f}",
            self.note,
        )


HEADINGS = ("what", "peer", "ours, ms", "peer, ms", "ratio", "median ratio", "goal", "")


def main() -> None:
    """Run the parts and print a Markdown table."""
    options = _options()
    bench = Bench.made(options.rows, options.rounds)
    parts = {"preview": bench.preview, "conflicts": bench.conflicts, "overlay": bench.overlay}
    print(_line(HEADINGS))
    print(_line(["---"] * len(HEADINGS)), flush=True)
    found: list[Ratio] = []
    for name, part in parts.items():
        if options.only in (None, name):
            for one in part():
                found.append(one)
                print(_line(one.cells()), flush=True)
    print(f"\n{versions()}, {options.rows:,} rows, {options.rounds} rounds")
    if options.json is not None:
        record = {"versions": versions(), "rows": options.rows, "ratios": [asdict(one) for one in found]}
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Bench:
    """A table, its model and how often to time."""

    frame: pd.DataFrame
    rows: Matrix
    model: TableModel
    rounds: int

    @classmethod
    def made(cls, rows: int, rounds: int) -> Bench:
        """Train on a small table and repeat its rows."""
        table = loans(BASE_ROWS)
        model = train(table, infer_schema(table, "decision"))
        times = -(-rows // len(table))
        frame = pd.concat([table] * times, ignore_index=True).iloc[:rows]
        encoded = np.asfortranarray(np.tile(encode(table, model.schema), (times, 1))[:rows])
        return cls(frame, encoded, model, rounds)

    def preview(self) -> Iterator[Ratio]:
        """One clause edit of a rule set of 20 rules; every round another threshold, so nothing is remembered."""
        base = RuleSet(tuple(random_rules(self.model.schema, 20, 3, asserted=False)), Outcome.of("deny"))
        draft = Draft.of(base, self.model.schema)
        preview = Preview(base, self.model.schema, self.rows, self.model.outcomes(self.rows))
        edits = list(_threshold_edits(draft, PREVIEW_ROUNDS))
        numbers = [place for place, feature in enumerate(self.model.schema.features) if feature.is_number][:5]

        def clauses() -> object:
            return [self.rows[:, place] <= 30.0 for place in numbers]

        rule_sets = iter(edits)
        note = f"20 rules; building the preview once isn't counted; {len(numbers)} numeric columns"
        yield self._timed(
            "impact preview",
            "5 clauses with numpy",
            lambda: preview.of(next(rule_sets)),
            clauses,
            1.0,
            note,
            PREVIEW_ROUNDS,
        )

    def conflicts(self) -> Iterator[Ratio]:
        """All pairs of a thousand rules against reading the table."""
        schema = self.model.schema
        rules = RuleSet(tuple(random_rules(schema, 1_000, 4, asserted=True)), Outcome.of("deny"))
        many = len(find_conflicts(rules, schema))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            self.frame.to_csv(path, index=False)
            yield self._timed(
                "conflicts of 1,000 rules",
                "reading the table",
                lambda: find_conflicts(rules, schema),
                lambda: encode(read(path), schema),
                1.0,
                f"{many:,} conflicts",
            )

    def overlay(self) -> Iterator[Ratio]:
        """A release's answers against the booster's."""
        rule = "new IF age between 27 and 30 AND income >= 30000 AND debt_ratio <= 0.6 THEN approve"
        draft = edit(Draft.of(RuleSet((), Outcome.of("deny")), self.model.schema), [rule], reason="benchmark")
        release = Release(self.model, "overlay-hard", draft)

        def raw() -> object:
            return self.model.booster.predict(self.rows)

        share = f"{float((release.answer(self.rows[:BASE_ROWS]).by == 1).mean()):.1%} of the rows overlaid"
        yield self._timed("overlay", "raw predict", lambda: release.answer(self.rows), raw, 1.05, share)
        yield self._timed(
            "overlay, model_outcome=False",
            "raw predict",
            lambda: release.answer(self.rows, model_outcome=False),
            raw,
            1.05,
            share,
        )

    def _timed(
        self, part: str, peer_name: str, ours: Work, peer: Work, goal: float, note: str, rounds: int | None = None
    ) -> Ratio:
        peer()
        mine: list[float] = []
        theirs: list[float] = []
        for number in range(rounds or self.rounds):
            turns = [(ours, mine), (peer, theirs)]
            for work, seconds in turns if number % 2 else turns[::-1]:
                began = time.perf_counter()
                work()
                seconds.append(time.perf_counter() - began)
        each = [one / other for one, other in zip(mine, theirs, strict=True)]
        least = (min(mine), min(theirs))
        return Ratio(part, peer_name, *least, least[0] / least[1], statistics.median(each), goal, note)


def random_rules(schema: Schema, many: int, clauses: int, *, asserted: bool) -> Iterator[Rule]:
    """Rules that some row satisfies, the same every time."""
    dice = random.Random(1)
    found = 0
    while found < many:
        features = dice.sample(schema.features, clauses)
        text = " AND ".join(_clause(feature, dice) for feature in features)
        rule = parse_rule(f"IF {text} THEN {dice.choice(schema.classes)}", f"R{found + 1}").replace(asserted=asserted)
        if not rule_box(rule, schema).is_empty:
            found += 1
            yield rule


def _clause(feature: Feature, dice: random.Random) -> str:
    if not feature.is_number:
        values = dice.sample(feature.values, dice.randint(1, max(1, len(feature.values) - 1)))
        return f"{feature.name} in ({', '.join(map(value_text, values))})"
    assert feature.low is not None
    assert feature.high is not None
    value = dice.uniform(feature.low, feature.high)
    value = float(round(value)) if feature.kind == "integer" else value
    return f"{feature.name} {dice.choice(('<=', '>='))} {value_text(value)}"


def _threshold_edits(draft: Draft, rounds: int) -> Iterator[RuleSet]:
    """The edited rule sets of ever other thresholds for one clause on a number."""
    rule, clause = next((rule, clause) for rule in draft.rules for clause in rule.clauses if clause.feature == "income")
    for number in range(rounds):
        text = f"set {rule.id} {clause} to income {clause.operator} {20_000 + 97 * number}"
        yield edit(draft, [text], reason="benchmark").rules


def versions() -> str:
    """What the figures depend on, as a line of text."""
    parts = [f"{name} {version(name)}" for name in ("lightgbm", "numpy", "pandas", "pyarrow")]
    return f"Python {platform.python_version()}, {', '.join(parts)}, {os.cpu_count()} cores"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table")
    parser.add_argument("--rounds", type=int, default=9, help="how often each side is timed")
    parser.add_argument("--only", choices=("preview", "conflicts", "overlay"), help="one part alone")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the figures as JSON")
    options: Any = parser.parse_args()
    return options  # type: ignore[no-any-return]


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
