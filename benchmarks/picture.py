"""The picture of before and after on the README's first screen.

    python benchmarks/picture.py [--out docs/loop.png]

The loans table is learned, summarised, edited and put in force, as the demo does it; the curves are
answers of the two releases and of the model before. Every held-out applicant is given each age in
turn while everything else stays, so that a curve shows what is made of age alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib
import numpy as np
import numpy.typing as npt

from ruleedit import Clause, Draft, Release, Rule, edit, encode, extract_rules, infer_schema, put_in_force, train
from ruleedit.datasets import loans
from ruleedit.matching import Matrix
from ruleedit.surrogate import DEFAULT_METHOD
from ruleedit.tables import target_codes

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

Shares: TypeAlias = npt.NDArray[np.float64]

AGES = np.arange(20, 41)
OLD, NEW = 30.0, 26.0
#: Blue and vermilion of Okabe and Ito: told apart by colour-blind eyes, and by marker and line too.
BEFORE, AFTER = "#D55E00", "#0072B2"
INK, MUTED, BAND, RULE = "#1F2933", "#52606D", "#EEF2F6", "#D9DEE4"
LEFT = 0.035
PANELS = {"overlay-hard": "Overlay: in force at once", "retrain": "Retrained: the new model answers by itself"}


@dataclass(frozen=True)
class Story:
    """What the picture shows: a rule with the edited clause, how many others hold it, and the share approved by age."""

    rule: Rule
    edited: Rule
    others: int
    before: Shares
    after: Mapping[str, Shares]
    reports: Mapping[str, Mapping[str, Any]]


def main() -> None:
    """Make the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/loop.png"))
    out = parser.parse_args().out
    out.parent.mkdir(parents=True, exist_ok=True)
    draw(tell()).savefig(out, facecolor="white", metadata={"Software": ""}, pil_kwargs={"optimize": True})


def tell() -> Story:
    """Run the loop on the loans."""
    frame = loans(8_000)
    model = train(frame, infer_schema(frame, "decision"))
    rows, truth = encode(frame, model.schema), target_codes(frame, model.schema)
    draft, _ = extract_rules(model, rows, method=DEFAULT_METHOD, max_clauses=16)
    edited = edit(draft, edits(draft), reason="the age limit is 26", author="analyst")
    releases = {mode: put_in_force(model, edited, mode, rows, truth=truth) for mode in PANELS}
    # The rule that most applicants meet stands for all that hold the clause.
    changed = [item for item in releases["overlay-hard"].report["feedback"] if item["rule"] in edited.rules.ids]
    shown = max(changed, key=lambda item: item["coverage"])["rule"]
    sample = rows[model.holdout]
    return Story(
        draft.rules.rule(shown),
        edited.rules.rule(shown),
        len(edits(draft)) - 1,
        share_approved(Release(model), sample),
        {mode: share_approved(release, sample) for mode, release in releases.items()},
        {mode: release.report for mode, release in releases.items()},
    )


def edits(draft: Draft) -> list[str]:
    """The new limit for every clause that holds the old one."""
    old, new = Clause("age", "<=", OLD), Clause("age", "<=", NEW)
    return [f"set {rule.id} {old} to {new}" for rule in draft.rules if old in rule.clauses]


def share_approved(release: Release, sample: Matrix) -> Shares:
    """The share approved if all of the sample had the age, for each of `AGES`."""
    everybody = np.repeat(sample, len(AGES), axis=0)
    everybody[:, release.schema.index("age")] = np.tile(AGES, len(sample))
    approved = release.answer(everybody).outcomes == release.schema.classes.index("approve")
    shares: Shares = approved.reshape(len(sample), -1).mean(axis=0)
    return shares


def draw(story: Story) -> Figure:
    """Draw the edited rule and, below it, a panel for each way."""
    plt.rcParams.update({"font.size": 9.5, "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": RULE})
    figure = plt.figure(figsize=(9, 4.9), dpi=180)
    figure.text(LEFT, 0.925, "Edit a clause of a rule, and the decisions follow", size=15, weight="bold")
    end = [
        _write_rule(figure, height, word, rule, Clause("age", "<=", limit), colour)
        for height, word, rule, limit, colour in (
            (0.835, "before", story.rule, OLD, BEFORE),
            (0.765, "after", story.edited, NEW, AFTER),
        )
    ]
    if story.others:
        more = "and the same clause in " + ("one other rule" if story.others == 1 else f"{story.others} other rules")
        figure.text(end[-1] + 0.01, 0.765, more, color=MUTED, size=9)
    panels = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.08})
    figure.subplots_adjust(left=0.08, right=0.975, top=0.6, bottom=0.175)
    for axes, (mode, title) in zip(panels, PANELS.items(), strict=True):
        _draw_panel(axes, story, mode, title)
    panels[0].set_ylabel("approved")
    note = "Loan applicants whom the model has not seen, each given the age on the axis while all else stays."
    figure.text(LEFT, 0.03, note, color=MUTED, size=8.5)
    return figure


def _write_rule(figure: Figure, height: float, word: str, rule: Rule, clause: Clause, colour: str) -> float:
    """Write a rule on one line, its clause on a ground of colour; return where the line ends."""
    figure.text(LEFT, height, word, color=colour, weight="bold", size=10.5)
    head, _, tail = str(rule).partition(str(clause))
    left = LEFT + 0.08
    for text, inside in ((head, False), (str(clause), True), (tail, False)):
        ground = {"boxstyle": "round,pad=0.28", "facecolor": colour, "edgecolor": "none"} if inside else None
        look = {"color": "white", "weight": "bold", "bbox": ground} if inside else {"color": INK}
        piece = figure.text(left, height, text.strip(), family="monospace", size=10.5, **look)
        left += piece.get_window_extent().width / figure.bbox.width + 0.014
    return left


def _draw_panel(axes: Axes, story: Story, mode: str, title: str) -> None:
    after, outside = story.after[mode], story.reports[mode]["outside"]
    middle = (NEW + OLD + 1) / 2
    axes.axvspan(NEW + 0.5, OLD + 0.5, color=BAND, zorder=0)
    axes.plot(AGES, story.before, "--s", color=BEFORE, markersize=4, linewidth=1.6)
    axes.plot(AGES, after, "-o", color=AFTER, markersize=4, linewidth=1.8)
    axes.text(0, 1.13, title, transform=axes.transAxes, size=10.5, weight="bold")
    told = f"{outside['flipped']} of {outside['rows']:,} decisions outside the edit changed"
    axes.text(0, 1.04, told, transform=axes.transAxes, color=MUTED, size=9)
    axes.text(middle, 0.605, f"{NEW + 1:.0f} to {OLD:.0f}", color=MUTED, size=8.5, ha="center", va="top")
    axes.text(NEW + 0.3, after[AGES > OLD].mean() + 0.012, "after", color=AFTER, weight="bold", ha="right")
    axes.text(OLD + 0.4, story.before[AGES <= OLD].mean() + 0.012, "before", color=BEFORE, weight="bold")
    axes.set(
        xlim=(19.4, 40.6), ylim=(0, 0.62), xlabel="age", xticks=[20, 26, 30, 35, 40], yticks=np.arange(0, 0.51, 0.1)
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.tick_params(length=0, labelcolor=MUTED)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)


if __name__ == "__main__":
    main()
