"""What `extraction.py` measured, told: tables in Markdown with standard errors, what beats what, and the plot."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from peers import BUDGETS, PEERS

#: Agreement is compared with this learner's, seed by seed.
YARDSTICK = "CART"


@dataclass(frozen=True)
class Seen:
    """One learner on one table with one seed, at one budget (None: it takes none).

    ``clock`` and ``cpu`` are seconds by the clock and of the processor. ``end`` is empty, or says why
    there is nothing (more): ended at its limit, failed, or not for so many classes.
    """

    table: str
    seed: int
    learner: str
    budget: int | None
    fidelity: float | None = None
    clauses: int | None = None
    rules: int | None = None
    clock: float | None = None
    cpu: float | None = None
    megabytes: float | None = None
    end: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def read_seen(path: Path) -> list[Seen]:
    """The figures of a file, none where there is no file; a line that was cut off is left out."""
    found: list[Seen] = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            found.append(Seen(**json.loads(line)))
        except json.JSONDecodeError:
            continue
    return found


def latest(seen: Iterable[Seen]) -> list[Seen]:
    """Of each learner, table and seed only what was measured last: its other lines are of other versions."""
    last: dict[tuple[str, int, str], list[Seen]] = {}
    for one in seen:
        key = (one.table, one.seed, one.learner)
        mine = last.get(key, [])
        same = bool(mine) and (mine[0].settings, mine[0].versions) == (one.settings, one.versions)
        last[key] = [*mine, one] if same else [one]
    return [one for mine in last.values() for one in mine]


def report(given: Sequence[Seen]) -> list[str]:
    """The tables as Markdown, and what ran on."""
    seen = latest(given)
    lines = ["### fidelity at 8 / 16 / 32 clauses; where there is no budget, with how many clauses", "", *summary(seen)]
    lines += ["", f"### column-generation less {YARDSTICK}, seed by seed", "", *against(seen, "column-generation")]
    shown = (("fidelity", "{:.3f}"), ("clauses", "{:.1f}"), ("rules", "{:.1f}"), ("clock", "{:.1f}"), ("cpu", "{:.1f}"))
    for figure, form in (*shown, ("megabytes", "{:.0f}")):
        lines += ["", f"### {figure}", "", *grid(seen, figure, form)]
    lines += ["", "### not measured", ""]
    lines += sorted({f"- {one.table}, {one.learner}: {one.end}" for one in seen if one.end}) or ["- nothing"]
    told = sorted({json.dumps(one.versions, sort_keys=True) for one in seen})
    return [*lines, "", *told, f"{os.cpu_count()} cores"]


def names(seen: Iterable[Seen], *, measured: bool = False) -> list[str]:
    """The learners that there is something of, in the order of `PEERS`."""
    there = {one.learner for one in seen if one.fidelity is not None or not measured}
    return [name for name in PEERS if name in there]


def summary(seen: Sequence[Seen]) -> list[str]:
    """The fidelity of every learner, a row for each table."""
    learners = names(seen)
    lines = [f"| table | seeds | {' | '.join(learners)} |", f"| --- | ---: |{' ---: |' * len(learners)}"]
    for table in dict.fromkeys(one.table for one in seen):
        mine = [one for one in seen if one.table == table]
        cells = [_summed([one for one in mine if one.learner == name]) for name in learners]
        lines.append(f"| {table} | {len({one.seed for one in mine})} | {' | '.join(cells)} |")
    return lines


def _summed(seen: Sequence[Seen]) -> str:
    """One learner on one table: the mean over the seeds at each budget, or why there is nothing."""
    done = [one for one in seen if one.fidelity is not None]
    if not done:
        return seen[0].end if seen else "–"
    more = "" if len({one.seed for one in done}) == len({one.seed for one in seen}) else " (some seeds)"
    if done[0].budget is None:
        share, clauses = (float(np.mean([getattr(one, name) for one in done])) for name in ("fidelity", "clauses"))
        return f"{share:.3f} ({clauses:.0f}){more}"
    by_budget = [[one.fidelity for one in done if one.budget == budget] for budget in BUDGETS]
    return " / ".join(f"{np.mean(values):.3f}" if values else "–" for values in by_budget) + more


def standard_error(values: Sequence[float]) -> float:
    """The standard error of a mean."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def differences(seen: Sequence[Seen], learner: str, table: str, budget: int) -> list[float]:
    """What a learner is better by than the yardstick, for each seed that both were measured on."""
    mine, others = (_by_seed(seen, table, name, budget) for name in (learner, YARDSTICK))
    return [mine[seed] - others[seed] for seed in sorted(mine.keys() & others.keys())]


def against(seen: Sequence[Seen], learner: str) -> list[str]:
    """How much better a learner is than the yardstick at each budget, and where it is worse."""
    lines = ["| table | seeds | 8 clauses | 16 clauses | 32 clauses |", "| --- | ---: | ---: | ---: | ---: |"]
    every: list[float] = []
    worse: list[str] = []
    for table in dict.fromkeys(one.table for one in seen):
        cells, seeds = [], 0
        for budget in BUDGETS:
            found = differences(seen, learner, table, budget)
            cells.append(f"{np.mean(found):+.4f} ± {_error(found):.4f}" if found else "–")
            every += [float(np.mean(found))] if found else []
            seeds = max(seeds, len(found))
            if found and np.mean(found) < -_error(found):
                worse.append(f"{table} at {budget}")
        lines.append(f"| {table} | {seeds} | {' | '.join(cells)} |")
    mean = f"{np.mean(every):+.4f}" if every else "–"
    return [*lines, "", f"On average {mean}; worse by more than one standard error: {', '.join(worse) or 'nowhere'}."]


def _error(values: Sequence[float]) -> float:
    return standard_error(values) if len(values) > 1 else math.nan


def _by_seed(seen: Sequence[Seen], table: str, learner: str, budget: int) -> dict[int, float]:
    mine = [one for one in seen if (one.table, one.learner) == (table, learner) and one.budget in (budget, None)]
    return {one.seed: one.fidelity for one in mine if one.fidelity is not None}


def grid(seen: Sequence[Seen], figure: str, form: str) -> list[str]:
    """One figure, a row for each table and budget, a column for each learner: the mean over the seeds.

    Fidelity has its standard error beside it.
    """
    learners = names(seen, measured=True)
    lines = [f"| table | seeds | clauses up to | {' | '.join(learners)} |", f"| --- |{' ---: |' * (len(learners) + 2)}"]
    for table in dict.fromkeys(one.table for one in seen):
        seeds = len({one.seed for one in seen if one.table == table})
        for budget in BUDGETS:
            values = [_values(seen, table, name, budget, figure) for name in learners]
            cells = [_cell(each, seeds, form, with_error=figure == "fidelity") for each in values]
            lines.append(f"| {table} | {seeds} | {budget} | {' | '.join(cells)} |")
    return lines


def _cell(values: list[float], seeds: int, form: str, *, with_error: bool) -> str:
    if not values:
        return ""
    error = f" ± {standard_error(values):.3f}" if with_error and len(values) > 1 else ""
    return (
        form.format(float(np.mean(values))) + error + ("" if len(values) == seeds else f" ({len(values)} of {seeds})")
    )


def _values(seen: Sequence[Seen], table: str, learner: str, budget: int, figure: str) -> list[float]:
    """A learner's figures over the seeds; one without a budget has the same at each."""
    mine = [one for one in seen if (one.table, one.learner) == (table, learner) and one.fidelity is not None]
    return [float(getattr(one, figure)) for one in mine if one.budget in (budget, None)]


def draw(given: Sequence[Seen], path: Path) -> None:
    """Fidelity against clauses, a panel for each table, with a standard error where there are several seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    seen = latest(given)
    tables = list(dict.fromkeys(one.table for one in seen))
    columns = min(4, len(tables))
    height = math.ceil(len(tables) / columns)
    figure, axes = pyplot.subplots(height, columns, figsize=(3.4 * columns, 2.7 * height), squeeze=False)
    for axis in axes.flat[len(tables) :]:
        axis.axis("off")
    for axis, table in zip(axes.flat, tables, strict=False):
        for number, learner in enumerate(PEERS):
            points = _points(seen, table, learner)
            if points:
                clauses, fidelity, error = zip(*points, strict=True)
                # There are ten colours, so the first learner, the default, is black, and stands out.
                shape = {"color": f"C{number - 1}" if number else "black", "linewidth": 1 if number else 2}
                shape |= {"marker": "o^sDvPX*<>hd"[number], "markersize": 4, "zorder": 2 if number else 3}
                axis.errorbar(clauses, fidelity, yerr=error, label=learner, elinewidth=0.7, **shape)
        axis.set_title(table, fontsize=9)
        axis.set_xscale("log", base=2)
        axis.set_xticks([BUDGETS[0] // 2, *BUDGETS], labels=[BUDGETS[0] // 2, *BUDGETS])
        axis.tick_params(labelsize=7)
    handles = {label: line for axis in axes.flat for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=5, fontsize=8, frameon=False)
    figure.supxlabel("clauses", fontsize=9, y=0.075)
    figure.supylabel("agreement with the model on held-out rows", fontsize=9)
    figure.tight_layout(rect=(0.01, 0.08, 1, 1))
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _points(seen: Sequence[Seen], table: str, learner: str) -> list[tuple[float, float, float]]:
    """Clauses, fidelity and its standard error at each budget."""
    points: list[tuple[float, float, float]] = []
    for budget in BUDGETS:
        clauses, fidelity = (_values(seen, table, learner, budget, figure) for figure in ("clauses", "fidelity"))
        if clauses:
            error = standard_error(fidelity) if len(fidelity) > 1 else 0.0
            points.append((max(1.0, float(np.mean(clauses))), float(np.mean(fidelity)), error))
    return sorted(set(points))
