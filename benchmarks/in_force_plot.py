"""The picture of `in_force.py`: agreement against what changed outside, and agreement by number of rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

#: Colours that differ for colour-blind eyes too, and marks that differ without any.
STYLE: Mapping[str, tuple[str, str]] = {
    "no edit": ("#999999", "x"),
    "plain retraining": ("#666666", "+"),
    "relabel only": ("#CC79A7", "v"),
    "greedy": ("#D55E00", "s"),
    "adaptive": ("#E69F00", "D"),
    "anchored": ("#0072B2", "o"),
    "overlay hard": ("#009E73", "^"),
    "overlay soft": ("#56B4E9", "<"),
    "graft": ("#000000", "*"),
}


def draw(cells: Sequence[Mapping[str, Any]], ways: Sequence[str], out: Path) -> None:
    """Write the picture of the cells that `in_force.Cell` names."""
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), dpi=110)
    counts = sorted({cell["rules"] for cell in cells})
    for way in ways:
        colour, mark = STYLE[way]
        here = [cell for cell in cells if cell["way"] == way and cell["agreement"] is not None]
        if not here:
            continue
        left.scatter(_mean(here, "flips"), _mean(here, "agreement"), color=colour, marker=mark, s=55, label=way)
        means = [_mean([cell for cell in here if cell["rules"] == count], "agreement") for count in counts]
        right.plot(range(len(counts)), means, color=colour, marker=mark, linewidth=1)
    left.set(xlabel="decisions outside that changed, % (mean)", ylabel="agreement with the rules, % (mean)")
    right.set(xlabel="rules at once", xticks=range(len(counts)), xticklabels=[str(count) for count in counts])
    right.set(ylabel="agreement with the rules, % (mean)")
    left.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(out)


def _mean(cells: Sequence[Mapping[str, Any]], figure: str) -> float:
    known = [cell[figure] for cell in cells if cell[figure] is not None]
    return 100.0 * float(np.mean(known)) if known else float("nan")
