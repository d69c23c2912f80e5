"""Edits in force: every way beside every other, on rules that go against the model and the data.

    python benchmarks/in_force.py --data FOLDER [--tables A,B] [--rules 1,5,20] [--fractions 0,0.2] [--seeds 5]
                                  [--ways ...] [--most-rows N] [--out CELLS.jsonl] [--again] [--minutes M]
    python benchmarks/in_force.py --report [--out CELLS.jsonl] [--plot OUT.png]
    python benchmarks/in_force.py --policy [--seeds 5]

For each table and seed a LightGBM model is trained on three quarters of the rows and summarised in
rules; feedback rules are made from these (`perturb.py`). For each number of rules and each training
coverage fraction the model in force is trained without all but that fraction of the training rows
in the rules' regions, and the rules are put in force in every way. Everything is measured on the
held-out quarter, that nothing was trained on. `--policy` is another protocol: loans whose policy
changes, where the labels under the new policy are known.

Each cell is appended to CELLS.jsonl as soon as it is known, with the versions, the day, and a hash of
the code that made it. What is there is not measured again, so a run that is cut goes on where it
was; `--again` measures again what older code made. It goes seed by seed and through all tables for
each number of rules and fraction, so that what a cut run has is of all tables alike.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import functools
import hashlib
import itertools
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# One thread, so that processor time means the same on every machine.
os.environ["OMP_NUM_THREADS"] = "1"

import lightgbm
import numpy as np
import pandas as pd
from perturb import perturbed
from policy import policy_table

from ruleedit import encode, extract_rules, infer_schema, train
from ruleedit.datasets import loans
from ruleedit.drafts import Draft
from ruleedit.errors import Refused, RuleEditError, TooComplex
from ruleedit.feedback import Feedback, feedback
from ruleedit.graft import graft
from ruleedit.matching import Indices, Matrix
from ruleedit.models import Background, TableModel, outcome_codes
from ruleedit.release import Release
from ruleedit.retrain import Answers, effect, lightgbm_trainer, retrain
from ruleedit.retrain.modify import modified
from ruleedit.retrain.objective import held_by_asking, objective
from ruleedit.tables import target_codes

#: The tables by name: target, and columns that are no features.
TABLES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "loans": ("decision", ()),
    "adult": ("income", ("fnlwgt",)),
    "bank_marketing": ("y", ()),
    "breast_cancer_wisconsin_original": ("class", ("id",)),
    "car_evaluation": ("class", ()),
    "contraceptive_method_choice": ("contraceptive_method", ()),
    "covertype_15120": ("Cover_Type", ()),
    "mushroom": ("class", ()),
    "tic_tac_toe": ("class", ()),
}
#: The ways by name, in the order of the report.
WAYS = (
    "no edit", "plain retraining", "relabel only", "greedy", "adaptive", "anchored",
    "overlay hard", "overlay soft", "graft",
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """A model in force, what is asked of it, and the rows: ``kept`` to train on, ``held`` to measure on."""

    model: TableModel
    edited: Draft
    asked: Feedback
    rows: Matrix
    truth: Indices
    kept: Indices
    held: Indices
    seed: int
    iterations: int

    @property
    def training(self) -> tuple[Matrix, Indices]:
        """The rows to train on and their answers."""
        return self.rows[self.kept], self.truth[self.kept]


#: What a result depends on beside its libraries: its hash marks results of older code.
CODE = (
    "ruleedit/surrogate",
    "ruleedit/retrain",
    "ruleedit/graft",
    "ruleedit/overlay.py",
    "ruleedit/models/training.py",
    "benchmarks/perturb.py",
)
#: Where results are kept.
RESULTS = Path(__file__).parent / "results" / "in_force.jsonl"


@dataclass(frozen=True)
class Cell:
    """One way on one setting. Agreements are over the rules that hold a held-out row; None without any.

    ``cpu`` is processor time on one thread, ``cpu_training`` that of training the model in force,
    ``clock`` the seconds by the clock; ``code`` is the hash of the code, ``with_`` the versions.
    """

    table: str
    most_rows: int
    seed: int
    rules: int
    fraction: float
    iterations: int
    way: str
    agreement: float | None
    worst: float | None
    f1_before: float | None
    f1_after: float | None
    flips: float | None
    objective: float
    trainings: int
    synthetic: int
    cpu: float
    cpu_training: float
    clock: float
    code: str
    day: str
    with_: str

    @property
    def key(self) -> tuple[object, ...]:
        """What it is a result of."""
        return (self.table, self.most_rows, self.seed, self.rules, self.fraction, self.iterations, self.way)


#: The first fields of a cell: table, most rows, seed, rules, fraction, iterations.
About = tuple[str, int, int, int, float, int]
Made = tuple[Answers, int, int]


def main() -> None:
    """Measure what isn't there yet, or read what is, and print the tables."""
    options = _options()
    if options.policy:
        print(policy_table(options.seeds))
        return
    cells = {cell.key: cell for cell in _kept(options.out)}
    if not options.report:
        for cell in measured(options, cells):
            cells[cell.key] = cell
            with options.out.open("a", encoding="utf-8") as out:
                out.write(json.dumps(dataclasses.asdict(cell)) + "\n")
    found = list(cells.values())
    older = sum(cell.code != code_hash() for cell in found)
    print(f"{len(found)} cells, {older} of older code", by_rules(found), by_table(found), sep="\n\n")
    if options.plot is not None:
        from in_force_plot import draw

        draw([dataclasses.asdict(cell) for cell in found], WAYS, options.plot)


def _kept(path: Path) -> Iterator[Cell]:
    """The cells of a file, the later of two about the same thing last."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        yield Cell(**json.loads(line))


@functools.cache
def code_hash() -> str:
    """The first digits of a hash of the sources that results depend on."""
    root, found = Path(__file__).parent.parent, hashlib.sha256()
    for name in CODE:
        for path in sorted((root / name).rglob("*.py")) if (root / name).is_dir() else [root / name]:
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


def measured(options: argparse.Namespace, known: Mapping[tuple[object, ...], Cell]) -> Iterator[Cell]:
    """Every cell that isn't known, as soon as it is."""
    ends = time.monotonic() + 60.0 * options.minutes
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for seed, fraction, count, name in itertools.product(seeds, options.fractions, options.rules, options.tables):
        about = (name, options.most_rows, seed, count, fraction, options.iterations)
        ways = [way for way in options.ways if _missing((*about, way), known, options.again)]
        if time.monotonic() > ends:
            return
        if ways and (table := _table(name, seed, options.most_rows, options.data)) is not None:
            yield from _setting(table, about, ways)


def _missing(key: tuple[object, ...], known: Mapping[tuple[object, ...], Cell], again: bool) -> bool:
    return key not in known or (again and known[key].code != code_hash())


@dataclass(frozen=True)
class Table:
    """A table with a model trained on three quarters of it, and the rules extracted from that."""

    first: TableModel
    rows: Matrix
    truth: Indices
    draft: Draft

    @functools.cached_property
    def training(self) -> Indices:
        """The numbers of the rows that aren't held out."""
        return np.setdiff1d(np.arange(len(self.rows)), self.first.holdout)


@functools.lru_cache(maxsize=len(TABLES))
def _table(name: str, seed: int, most_rows: int, folder: Path | None) -> Table | None:
    frame = _read(name, folder)
    if frame is None:
        return None
    if most_rows < len(frame):
        frame = frame.sample(most_rows, random_state=seed).reset_index(drop=True)
    try:
        first = train(frame, infer_schema(frame, TABLES[name][0]), seed=seed)
    except RuleEditError as error:
        print(f"{name}, seed {seed}: {error}", file=sys.stderr)
        return None
    rows, truth = encode(frame, first.schema), target_codes(frame, first.schema)
    return Table(first, rows, truth, extract_rules(first, rows, method="tree", max_clauses=32)[0])


def _setting(table: Table, about: About, ways: Sequence[str]) -> Iterator[Cell]:
    """The cells of one setting; none where no rule is found, or where a class has no row left."""
    rows, truth, training, first = table.rows, table.truth, table.training, table.first
    name, _, seed, count, fraction, iterations = about
    edited, made = perturbed(table.draft, rows[training], count, np.random.default_rng([seed, count]))
    if made < count:
        print(f"{name}, seed {seed}: {made} of {count} rules found", file=sys.stderr)
    asked = feedback(edited.base, edited.rules, edited.schema)
    inside = held_by_asking(asked, rows[training]) >= 0
    stays = ~inside | (np.random.default_rng([seed, count, 1]).random(len(training)) < fraction)
    kept = training[stays]
    if len(np.unique(truth[kept])) < len(first.schema.classes) or not made:
        return
    model, cpu, _ = _timed(lambda: lightgbm_trainer(first)(rows[kept], truth[kept], seed))
    model = dataclasses.replace(model, background=Background.of(rows, truth, first.schema, kept))
    setting = Setting(model, edited, asked, rows, truth, kept, first.holdout, seed, iterations)
    yield from _cells(setting, about, cpu, ways)


def _cells(setting: Setting, about: About, cpu_training: float, ways: Sequence[str]) -> Iterator[Cell]:
    before = Answers.of(setting.model, setting.rows[setting.held])
    for way in ways:
        try:
            (after, trainings, synthetic), cpu, clock = _timed(lambda way=way: MAKERS[way](setting))
        except (Refused, TooComplex) as error:
            print(f"{about}: {way}: {error}", file=sys.stderr)
            continue
        found = effect(setting.asked, setting.rows[setting.held], setting.truth[setting.held], before, after)
        rules = [rule.mra_after for rule in found.feedback if rule.mra_after is not None]
        mean = float(np.mean(rules)) if rules else None
        figures = {
            "agreement": mean,
            "worst": min(rules, default=None),
            "f1_before": found.f1_before,
            "f1_after": found.f1_after,
            "flips": found.flips,
            "objective": objective(mean, found.f1_after),
            "cpu": cpu,
            "cpu_training": cpu_training,
            "clock": clock,
        }
        yield Cell(
            *about,
            way=way,
            trainings=trainings,
            synthetic=synthetic,
            code=code_hash(),
            day=datetime.date.today().isoformat(),
            with_=f"python {platform.python_version()}, lightgbm {lightgbm.__version__}, numpy {np.__version__}",
            **{name: None if value is None else round(value, 5) for name, value in figures.items()},
        )


def _model_answers(setting: Setting, model: Any) -> Answers:
    return Answers.of(model, setting.rows[setting.held])


def _no_edit(setting: Setting) -> Made:
    return _model_answers(setting, setting.model), 0, 0


def _plain(setting: Setting) -> Made:
    """What a retraining on 95% of the same rows does by itself."""
    rows, truth = setting.training
    sample = np.random.default_rng(setting.seed).permutation(len(rows))[: int(0.95 * len(rows))]
    return _model_answers(setting, lightgbm_trainer(setting.model)(rows[sample], truth[sample], setting.seed)), 1, 0


def _relabelled(setting: Setting) -> Made:
    rows, truth = setting.training
    held = held_by_asking(setting.asked, rows)
    answers, _ = modified(truth, held, setting.asked, "relabel", np.random.default_rng(setting.seed))
    return _model_answers(setting, lightgbm_trainer(setting.model)(rows, answers, setting.seed)), 1, 0


def _retrained(strategy: str) -> Callable[[Setting], Made]:
    def make(setting: Setting) -> Made:
        rows, truth = setting.training
        found = retrain(
            rows, truth, setting.asked, lightgbm_trainer(setting.model), model=setting.model,
            background=setting.model.background, strategy=strategy, seed=setting.seed, iterations=setting.iterations,
        )  # fmt: skip
        return _model_answers(setting, found.model), found.trainings, found.synthetic

    return make


def _overlaid(mode: Any) -> Callable[[Setting], Made]:
    def make(setting: Setting) -> Made:
        answers = Release(setting.model, mode, setting.edited).answer(setting.rows[setting.held])
        return Answers(answers.probabilities, answers.outcomes), 0, 0

    return make


def _grafted(setting: Setting) -> Made:
    probabilities = graft(setting.model, setting.asked).proba(setting.rows[setting.held])
    return Answers(probabilities, outcome_codes(probabilities, setting.model.thresholds)), 0, 0


MAKERS: Mapping[str, Callable[[Setting], Made]] = {
    "no edit": _no_edit,
    "plain retraining": _plain,
    "relabel only": _relabelled,
    "greedy": _retrained("greedy"),
    "adaptive": _retrained("adaptive"),
    "anchored": _retrained("anchored"),
    "overlay hard": _overlaid("overlay-hard"),
    "overlay soft": _overlaid("overlay-soft"),
    "graft": _grafted,
}


def by_rules(cells: Sequence[Cell]) -> str:
    """Means over tables and seeds for each number of rules, fraction and way."""
    keys = sorted({(cell.rules, cell.fraction) for cell in cells})
    lines = []
    for rules, fraction in keys:
        for way in WAYS:
            here = [c for c in cells if (c.rules, c.fraction, c.way) == (rules, fraction, way)]
            if here:
                lines.append((str(rules), f"{fraction:g}", way, str(len(here)), *_figures(here)))
    return _markdown(("rules", "fraction", "way", "cells", *FIGURES), lines)


def by_table(cells: Sequence[Cell]) -> str:
    """Means over seeds, fractions and numbers of rules for each table and way."""
    lines = []
    for table in dict.fromkeys(cell.table for cell in cells):
        for way in WAYS:
            here = [c for c in cells if (c.table, c.way) == (table, way)]
            if here:
                lines.append((table, way, str(len(here)), *_figures(here)))
    return _markdown(("table", "way", "cells", *FIGURES), lines)


FIGURES = (
    "agreement", "worst rule", "macro F1 outside", "flips outside", "most flips", "objective",
    "trainings", "most trainings", "CPU / one training",
)  # fmt: skip


def _figures(cells: Sequence[Cell]) -> tuple[str, ...]:
    drops = [c.f1_after - c.f1_before for c in cells if c.f1_after is not None and c.f1_before is not None]
    flips = [c.flips for c in cells if c.flips is not None]
    return (
        _mean(c.agreement for c in cells),
        _mean(c.worst for c in cells),
        f"{np.mean(drops):+.4f}" if drops else "–",
        f"{np.mean(flips):.2%}" if flips else "–",
        f"{max(flips):.2%}" if flips else "–",
        _mean(c.objective for c in cells),
        f"{np.mean([c.trainings for c in cells]):.1f}",
        str(max(c.trainings for c in cells)),
        f"{np.median([c.cpu / max(c.cpu_training, 1e-3) for c in cells]):.2f}",
    )


def _mean(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.4f}" if known else "–"


def _markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _read(name: str, folder: Path | None) -> pd.DataFrame | None:
    if name == "loans":
        return loans(12_000)
    path = None if folder is None else folder / f"{name}.csv.gz"
    if path is None or not path.is_file():
        return None
    frame = pd.read_csv(path, dtype="str", keep_default_na=False, na_values=[""])
    # An id column is named differently from mirror to mirror.
    return frame.drop(columns=[name for name in frame if name in TABLES[path.name[:-7]][1] or name.lower() == "id"])


def _timed(make: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it makes, the processor time and the time by the clock, in seconds."""
    clock, cpu = time.perf_counter(), time.process_time()
    made = make()
    return made, time.process_time() - cpu, time.perf_counter() - clock


def _options() -> argparse.Namespace:
    ask = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    ask.add_argument("--data", type=Path, help="a folder of tables as NAME.csv.gz; loans needs none")
    ask.add_argument("--tables", type=_listed(str, TABLES), default=tuple(TABLES))
    ask.add_argument("--rules", type=_listed(int), default=(1, 3, 5, 10, 20))
    ask.add_argument("--fractions", type=_listed(float), default=(0.0, 0.2, 0.1, 0.5))
    ask.add_argument("--ways", type=_listed(str, WAYS), default=WAYS)
    ask.add_argument("--seeds", type=int, default=5)
    ask.add_argument("--first-seed", type=int, default=0)
    ask.add_argument("--most-rows", type=int, default=2_000, help="larger tables are sampled to so many rows")
    ask.add_argument("--iterations", type=int, default=8, help="of greedy and adaptive")
    ask.add_argument("--out", type=Path, default=RESULTS, help="where every cell is kept")
    ask.add_argument("--again", action="store_true", help="measure again what older code made")
    ask.add_argument("--minutes", type=float, default=float("inf"), help="begin no setting after so long")
    ask.add_argument("--report", action="store_true", help="measure nothing")
    ask.add_argument("--plot", type=Path, help="draw the figures there; needs matplotlib")
    ask.add_argument("--policy", action="store_true", help="the loans whose policy changes, instead")
    return ask.parse_args()


def _listed(kind: Callable[[str], Any], known: Iterable[str] | None = None) -> Callable[[str], tuple[Any, ...]]:
    def read(text: str) -> tuple[Any, ...]:
        values = tuple(kind(part) for part in text.split(","))
        if known is not None and not set(values) <= set(known):
            raise argparse.ArgumentTypeError(f"known are {', '.join(known)}")
        return values

    return read


if __name__ == "__main__":
    main()
