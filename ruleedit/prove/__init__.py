"""Proofs and counterexamples: does a model answer as the edits ask on every row of a rule's region?

For each rule rows of its region are tried first, most of them at its edges. Where all of them agree the trees
themselves are searched: within each box of the region, is there any row on which another class
comes out? The search is exact, over every row that the region algebra puts in the box, seen or not.
So a report says *proved*, shows a *counterexample* (a row that was checked with the model itself),
or says *no counterexample found* where a limit cut the search and *not provable* where it can't be
asked, with the reason.

The search is that of veritas: Devos, Meert, Davis, *Versatile Verification of Tree Ensembles* (ICML
2021); the extra ``prove`` brings it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from ruleedit.errors import Cancelled, Refused, TooComplex
from ruleedit.feedback import Feedback
from ruleedit.graft.force import slope
from ruleedit.graft.trees import FileNumbers
from ruleedit.matching import Indices, Matrix
from ruleedit.models import TableModel, outcomes
from ruleedit.models.file import check_classifier
from ruleedit.prove.cells import CannotTranslateError, FeatureCells, box_cells, row_of
from ruleedit.prove.trees import Translation
from ruleedit.regions import Box
from ruleedit.retrain.contrast import contrast, edges, own_edges
from ruleedit.retrain.generate import Generator
from ruleedit.retrain.objective import asking

Status: TypeAlias = Literal["proved", "counterexample", "no counterexample found", "not provable"]

#: So many rows of a region are tried before the trees are searched.
SAMPLED = 10_000
#: A region of more disjoint boxes is too much to search.
MOST_BOXES = 64
#: So many steps of the search for each box and class.
STEPS = 20_000
#: So many times that for all the boxes and classes of a rule.
MOST_SEARCHES = 5
#: The translation is checked on so many rows.
CHECKED = 10_000
#: Sums of leaves in another order may differ by so much of their size; nearer than that nothing is proved.
ROUNDING = 1e-9
#: So many rows are looked for where there is one.
SOLUTIONS = 20
#: At most so many counterexamples of a rule are shown, and kept for teaching.
SHOWN = 200


@dataclass(frozen=True, eq=False)
class Finding:
    """What was found about one rule.

    ``rows`` counts the rows tried, ``boxes`` the boxes searched, ``steps`` the steps that took,
    ``why`` gives the reason where nothing is proved. ``counterexamples`` (n, features) are encoded
    rows in the rule's region that the model decides otherwise.
    """

    rule: str
    status: Status
    rows: int
    boxes: int = 0
    steps: int = 0
    why: str = ""
    counterexamples: Matrix = field(default_factory=lambda: np.empty((0, 0)), repr=False)

    def to_json(self, feedback: Feedback) -> dict[str, Any]:
        """As JSON, with the first counterexample as a row of the table."""
        out: dict[str, Any] = {
            "rule": self.rule,
            "status": self.status,
            "rows": self.rows,
            "boxes": self.boxes,
            "steps": self.steps,
        }
        if self.why:
            out["why"] = self.why
        if len(self.counterexamples):
            row, schema = self.counterexamples[0], feedback.schema
            out["counterexample"] = {
                feature.name: _cell(float(value), feature.is_number, feature.code_of)
                for feature, value in zip(schema.features, row, strict=True)
            }
        return out


def _cell(value: float, is_number: bool, codes: dict[str, int]) -> float | str | None:
    if math.isnan(value):
        return None
    if is_number:
        return value
    # A category that was never seen has no name.
    return next((text for text, code in codes.items() if code == value), "(unseen)")


def prove(
    model: TableModel,
    feedback: Feedback,
    rows: Matrix,
    *,
    seed: int = 0,
    steps: int = STEPS,
    progress: Callable[[int, int, object], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[Finding, ...]:
    """What can be shown of each rule that asks for something; ``rows`` (n, features) is what samples are made of.

    ``steps`` limits the search of each box and class, and a rule's whole search to `MOST_SEARCHES`
    times that. ``progress`` is told before each rule how many are done, of how many, and which is
    next. ``should_stop`` is asked before each box and ends it with `Cancelled`. Raises
    `ModelFileRefused` for a model that is no classifier.
    """
    check_classifier(model.file)
    rng = np.random.default_rng(seed)
    sampler = Generator(feedback, rows, model.background, rng) if len(rows) else None
    found = []
    places = asking(feedback)
    for done, place in enumerate(places):
        if progress is not None:
            progress(done, len(places), f"proving {feedback.rules[place].id}")
        sampled = np.empty((0, len(feedback.schema.features))) if sampler is None else _sampled(sampler, place)
        found.append(_rule(model, feedback, place, sampled, rng, steps, should_stop))
    return tuple(found)


def _sampled(sampler: Generator, place: int) -> Matrix:
    """Rows that a rule holds: given ones moved into its region, and those again with a value at an edge."""
    feedback, rng = sampler.feedback, sampler.rng
    inside = sampler.moved(place, sampler.rows[rng.integers(len(sampler.rows), size=SAMPLED // 4)])
    known = edges(feedback, sampler.background)
    parts = [inside]
    for _ in range(3 if known and len(inside) else 0):
        which = own_edges(feedback, known, np.full(len(parts[-1]), place, dtype=np.intp), rng)
        moved = contrast(parts[-1], known, which, rng)
        stays = feedback.assign(moved) == place
        parts.append(np.where(stays[:, None], moved, parts[-1]))
    return np.concatenate(parts)


def _rule(
    model: TableModel,
    feedback: Feedback,
    place: int,
    sampled: Matrix,
    rng: np.random.Generator,
    steps: int,
    should_stop: Callable[[], bool] | None,
) -> Finding:
    rule, wanted = feedback.rules[place], int(feedback.outcome_codes()[place])
    wrong = outcomes(model, sampled) != wanted if len(sampled) else np.zeros(0, dtype=bool)
    if wrong.any():
        return Finding(rule.id, "counterexample", len(sampled), counterexamples=sampled[wrong][:SHOWN])
    done = boxes = 0
    try:
        for box in itertools.chain.from_iterable(part.boxes() for part in feedback.exact(place).parts):
            if should_stop is not None and should_stop():
                raise Cancelled("the proof was stopped; nothing was put in force")
            boxes += 1
            if boxes > MOST_BOXES:
                raise CannotTranslateError(f"the region takes more than {MOST_BOXES} disjoint boxes")
            for search in _searches(model, box, wanted, sampled, rng):
                status, taken = search.run(min(steps, MOST_SEARCHES * steps - done))
                done += taken
                if status == "counterexample":
                    rows = search.rows
                    real = (outcomes(model, rows) != wanted) & (feedback.assign(rows) == place)
                    if not real.any():
                        raise CannotTranslateError("two classes come too near to each other to tell them apart")
                    return Finding(rule.id, status, len(sampled), boxes, done, "", rows[real][:SHOWN])
                if status != "proved":
                    why = f"the search took all its {taken if taken == steps else done:,} steps"
                    return Finding(rule.id, status, len(sampled), boxes, done, why)
    except (CannotTranslateError, TooComplex, Refused) as error:
        return Finding(rule.id, "not provable", len(sampled), boxes, done, str(error))
    except ImportError:
        return Finding(
            rule.id, "not provable", len(sampled), why="veritas is not installed; the extra 'prove' brings it"
        )
    return Finding(rule.id, "proved", len(sampled), boxes, done)


def _searches(model: TableModel, box: Box, wanted: int, sampled: Matrix, rng: np.random.Generator) -> Iterator[_Search]:
    """For each other class the search for a row of the box where it comes out."""
    file, thresholds = model.file, model.thresholds
    if file.average_output or file.is_linear:
        raise CannotTranslateError("a random forest or linear trees answer by more than a sum of leaves")
    numbers = FileNumbers(model)
    cells = box_cells(file.trees, box, numbers)
    if not all(one.values for one in cells):
        return
    rows = _to_check(cells, sampled, rng)
    if file.num_class == 1:
        # The second class comes out where the score is above this; at it the first one does.
        limit = math.log(thresholds[1] / thresholds[0]) / slope(file)
        sign = -1.0 if wanted == 1 else 1.0
        yield _Search(model, [(tree, sign) for tree in file.trees], cells, sign * limit, rows)
        return
    for other in range(file.num_class):
        if other != wanted:
            signed = [(tree, 1.0) for tree in file.trees[other :: file.num_class]]
            signed += [(tree, -1.0) for tree in file.trees[wanted :: file.num_class]]
            yield _Search(model, signed, cells, math.log(thresholds[other] / thresholds[wanted]), rows)


class _Search:
    """The search for a row of a box whose sum of signed trees comes to ``limit``."""

    def __init__(
        self,
        model: TableModel,
        signed: Any,
        cells: tuple[FeatureCells, ...],
        limit: float,
        rows: tuple[Matrix, Indices],
    ) -> None:
        self.cells = cells
        self.translation = Translation(signed, cells)
        self.rows = np.empty((0, len(cells)))
        # So near to the limit the order of summing may decide.
        self.limit = limit - ROUNDING * (1.0 + self.translation.reach)
        self._check(model, signed, *rows)

    def run(self, steps: int) -> tuple[Status, int]:
        """``proved`` where no row comes that far, or what else there is to say; and the steps that took."""
        import veritas

        config = veritas.Config(veritas.HeuristicType.MAX_OUTPUT)
        config.ignore_state_when_worse_than = self.limit
        # The first row that is found is seldom the worst one; a few more cost little and teach more.
        config.stop_when_num_solutions_exceeds = SOLUTIONS
        config.stop_when_optimal = True
        search = config.get_search(self.translation.sum)
        reason = search.steps(steps)
        taken = int(search.stats.num_steps)
        if search.num_solutions():
            self.rows = np.concatenate([self._row(search.get_solution(at)) for at in range(search.num_solutions())])
            return "counterexample", taken
        if reason == veritas.StopReason.NO_MORE_OPEN:
            return "proved", taken
        return "no counterexample found", taken

    def _row(self, solution: Any) -> Matrix:
        """A row in the solution's box of cells."""
        chosen = {}
        for place, interval in solution.box().items():
            chosen[int(place)] = max(0, math.ceil(interval.lo)) if math.isfinite(interval.lo) else 0
        return row_of(self.cells, chosen)

    def _check(self, model: TableModel, signed: Any, rows: Matrix, places: Indices) -> None:
        """Hold the translation against the model's own raw scores; raise where they differ."""
        score = model.raw_score(rows)
        if score.ndim == 2:
            signs = {id(tree): sign for tree, sign in signed}
            score = score @ np.array([signs.get(id(tree), 0.0) for tree in model.file.trees[: score.shape[1]]])
        else:
            score = score * signed[0][1]
        apart = float(np.abs(score - self.translation.values(places)).max())
        if apart > ROUNDING * (1.0 + self.translation.reach):
            raise CannotTranslateError(f"the translated trees differ from the model's by {apart:g}")


def _to_check(cells: tuple[FeatureCells, ...], sampled: Matrix, rng: np.random.Generator) -> tuple[Matrix, Indices]:
    """Rows of the box with their cells (n, features): those that were sampled, and cells drawn at random."""
    drawn = np.column_stack([rng.integers(len(one.values), size=CHECKED) for one in cells])
    rows = np.column_stack([np.array(one.values)[drawn[:, at]] for at, one in enumerate(cells)])
    places = np.column_stack([one.of(sampled[:, at]) for at, one in enumerate(cells)])
    here = (places >= 0).all(axis=1)
    return np.concatenate([sampled[here], rows]), np.concatenate([places[here], drawn])
