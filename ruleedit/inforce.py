"""Putting edits in force: a model and a draft become a release, with a report on held-out rows."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ruleedit.conflicts import Conflict, Conflicts
from ruleedit.doubts import Seen, doubts_of, seen
from ruleedit.drafts import Draft
from ruleedit.errors import Refused, TargetError, did_you_mean
from ruleedit.evidence import Evidence, evenly
from ruleedit.feedback import Feedback, feedback
from ruleedit.graft import graft
from ruleedit.graft import prove as prove_graft
from ruleedit.labelled import Labelled, LabelledInMemory, held_out
from ruleedit.matching import Indices, Matrix
from ruleedit.models import Model, TableModel
from ruleedit.models.training import stratified_quarter
from ruleedit.overlay import Moves, moves
from ruleedit.prove import prove as prove_rules
from ruleedit.release import MODES, Mode, Release
from ruleedit.retrain import Checkpoints, Point, Task, retrain_rows
from ruleedit.retrain.course import MOST_KNOWN
from ruleedit.retrain.report import Answers as Compared
from ruleedit.retrain.report import Changes, changes, effect_of, subgroups
from ruleedit.rules import Outcome
from ruleedit.tables.groups import Grouping

#: Called with the steps done, all of them, and what there is to say so far.
Progress: TypeAlias = Callable[[int, int, object], None]

#: The modes in which trees answer for the rules, so that there is something to prove.
PROVABLE = ("graft", "retrain")
#: So often counterexamples are taught to a retrained model.
PROOF_ROUNDS = 8
#: Edits that ask for nothing (a default changed, a rule restored, an extracted rule confirmed by nobody) make a release
#: too: it serves, and its history says what was done.
NOTHING_ASKED = "the edits ask for nothing: every row is decided as before"
#: A model's probabilities come near to a tie and never to it.
TIE = "gives two classes alike: which decides a row is left to chance, so look at how far the probabilities are off"


def put_in_force(
    model: TableModel,
    draft: Draft,
    mode: str,
    rows: Matrix,
    *,
    truth: Indices | None = None,
    strategy: str | None = None,
    seed: int = 0,
    prove: bool = False,
    groups: Sequence[str | Grouping] | None = None,
    most_rows: int | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    checkpoints: Checkpoints | None = None,
) -> Release:
    """Make a release of a model and a draft.

    ``rows`` (n, features) are a table's encoded rows and ``truth`` (n,) its target as places in
    schema order, which retraining needs. Of the table that the model was trained on, the model's
    hold-out is reported on and the rest may be trained on; of another table every row counts as
    held out, and retraining holds out a quarter of its own. The report says which. ``prove`` adds
    to a graft's report the symbolic proof that its trees say exactly what the edits ask, and to a
    retraining's what `ruleedit.prove` finds of each rule, after counterexamples were taught. ``groups``
    names the features by whose values the report parts what changed outside (`subgroups`).
    ``checkpoints`` keeps finished trainings, so that a retraining cut off is taken up again.
    ``most_rows`` makes it a pilot: so many rows at most are drawn to train on, and to report on.

    Raises `ConflictsOpen` while a conflict is unresolved, and `Refused`.
    """
    return put_table_in_force(
        model,
        draft,
        mode,
        LabelledInMemory(rows, truth),
        strategy=strategy,
        seed=seed,
        prove=prove,
        groups=groups,
        most_rows=most_rows,
        progress=progress,
        should_stop=should_stop,
        checkpoints=checkpoints,
    )


def put_table_in_force(
    model: TableModel,
    draft: Draft,
    mode: str,
    table: Labelled,
    *,
    strategy: str | None = None,
    seed: int = 0,
    prove: bool = False,
    groups: Sequence[str | Grouping] | None = None,
    most_rows: int | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    checkpoints: Checkpoints | None = None,
) -> Release:
    """`put_in_force` with a table wherever it is; see there."""
    kind = check_mode(mode, strategy, prove)
    subgroups(model.schema, groups)
    if draft.schema.hash != model.schema.hash:
        raise Refused("the rules and the model have different schemas; extract the rules from this model")
    asked = feedback(draft.base, draft.rules, draft.schema).settled()
    held, same = _held(table, model, kind, seed)
    if kind == "retrain":
        assert table.truth is not None, "retraining has looked for the target"
        training = _drawn(_others(len(table), held), most_rows, seed)
        task = Task(
            rows=table.training(training, model),
            answers=table.truth[training],
            feedback=asked,
            background=model.background,
            model=model,
            seed=seed,
            progress=progress,
            should_stop=should_stop,
            checkpoints=checkpoints,
        )
        release, figures = _retrained(task, model, draft, strategy)
        figures["trained_on"] = len(training)
        if prove:
            sample = table.take(_drawn(training, MOST_KNOWN, seed))
            release, figures = _proved(release, figures, task, sample, progress)
    else:
        release, figures = _grafted(model, draft, asked, prove) if kind == "graft" else _overlaid(model, draft, kind)
    held = _drawn(held, most_rows, seed)
    report = _effect(release, asked, table, held, groups)
    if not asked.asks.any():
        figures["notes"] = [*figures["notes"], NOTHING_ASKED]
    if kind == "retrain":
        figures["notes"] = [*figures["notes"], *(f"{rule.id} {TIE}" for rule in asked if _tied(rule.outcome))]
    report |= {"mode": kind, "strategy": release.strategy, **figures, "held_out": _held_out(kind, held, same)}
    kept = evenly(held)
    truth = None if table.truth is None else table.truth[kept]
    evidence = Evidence(table.take(kept), truth, len(held), table.fingerprint)
    return dataclasses.replace(release, report=report, evidence=evidence)


def _tied(outcome: Outcome) -> bool:
    """Whether a distribution's greatest classes are alike."""
    given = sorted(weight for _, weight in outcome.weights)
    return len(given) > 1 and given[-1] == given[-2]


def _held(table: Labelled, model: TableModel, kind: Mode, seed: int) -> tuple[Indices, bool]:
    """The numbers of the rows that are reported on, and whether they are the model's own hold-out."""
    held = held_out(table, model)
    same = len(held) < len(table)
    if kind == "retrain":
        if table.truth is None:
            raise TargetError(f"retraining needs the target column {model.schema.target!r} in the table")
        held = held if same else stratified_quarter(table.truth, seed)
    return held, same


def _others(many: int, held: Indices) -> Indices:
    """The numbers below ``many`` that aren't held out, ascending."""
    mask = np.ones(many, dtype=bool)
    mask[held] = False
    return np.flatnonzero(mask)


def _drawn(numbers: Indices, most: int | None, seed: int) -> Indices:
    """At most so many of the rows' numbers, drawn at random, in order."""
    if most is None or len(numbers) <= most:
        return numbers
    return np.sort(np.random.default_rng(seed).choice(numbers, most, replace=False))


def brief(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report in a few figures: how far honoured over all rules that ask, and what changed outside.

    ``honoured`` is None where no held-out row lies in a region of theirs.
    """
    asking = [item for item in report["feedback"] if item["mra_after"] is not None]
    outside = report["outside"]
    return {
        "honoured": _over_all(asking, "mra_after"),
        "flips": outside["flips"],
        "f1_before": outside["f1_before"],
        "f1_after": outside["f1_after"],
        "trainings": report["trainings"],
        "held_out": report["held_out"]["rows"],
    }


def check_mode(mode: str, strategy: str | None, prove: bool) -> Mode:
    """The mode of a name; raises `Refused` where there is none, or it takes no such strategy or has no proof."""
    if mode not in MODES:
        raise Refused(f"no mode {mode!r}{did_you_mean(mode, MODES)}")
    if prove and mode not in PROVABLE:
        raise Refused(f"the mode {mode!r} has no proof: the rules decide, not trees; {' and '.join(PROVABLE)} have one")
    if strategy is not None and mode != "retrain":
        raise Refused(f"the mode {mode!r} has no strategy; retrain has")
    return next(known for known in MODES if known == mode)


def _overlaid(model: TableModel, draft: Draft, kind: Mode) -> tuple[Release, dict[str, Any]]:
    release = Release(model, kind, draft)
    notes = list(release.mover.notes) if kind == "overlay-soft" else []
    return release, {"trainings": 0, "synthetic": 0, "notes": notes}


def _held_out(kind: Mode, held: Indices, same: bool) -> dict[str, Any]:
    """How many rows the report is about, and which."""
    of = "a quarter of this table" if kind == "retrain" else "every row of this table"
    return {"rows": len(held), "of": "the model's own hold-out" if same else of}


def _grafted(model: TableModel, draft: Draft, asked: Feedback, prove: bool) -> tuple[Release, dict[str, Any]]:
    grafted = graft(model, asked)
    trees = len(grafted.file.trees) - len(model.file.trees)
    figures: dict[str, Any] = {"trainings": 0, "synthetic": 0, "trees_added": trees, "notes": []}
    if prove:
        figures["proof"] = dataclasses.asdict(prove_graft(model, grafted, asked))
    return Release(grafted, "graft", draft, None, model), figures


def _retrained(task: Task, model: TableModel, draft: Draft, strategy: str | None) -> tuple[Release, dict[str, Any]]:
    found = retrain_rows(task, strategy)
    assert isinstance(found.model, TableModel)
    release = Release(found.model, "retrain", draft, found.strategy, model)
    return release, {
        "trainings": found.trainings,
        "synthetic": found.synthetic,
        "accepted": found.accepted,
        "stopped": found.stopped,
        "refitted": found.refitted,
        "curve": [point_json(point) for point in found.curve],
        "notes": list(found.notes),
    }


def _proved(
    release: Release, figures: dict[str, Any], task: Task, rows: Matrix, progress: Progress | None
) -> tuple[Release, dict[str, Any]]:
    """Look for counterexamples and teach them, until every rule is proved, or for `PROOF_ROUNDS` rounds.

    ``rows`` (n, features) are what samples are made of.
    """
    taught, model, asked, seed = 0, release.model, task.feedback, task.seed
    find = functools.partial(prove_rules, progress=progress, should_stop=task.should_stop)
    findings = find(model, asked, rows, seed=seed)
    for number in range(PROOF_ROUNDS):
        lessons = [finding.counterexamples for finding in findings if len(finding.counterexamples)]
        if not lessons or model.file.average_output:
            break
        again = dataclasses.replace(
            task, model=model, seed=seed + number + 1, lessons=np.concatenate(lessons), progress=None
        )
        found = retrain_rows(again, "anchored")
        assert isinstance(found.model, TableModel)
        model, taught = found.model, taught + sum(map(len, lessons))
        figures["trainings"] += found.trainings
        figures["synthetic"] += found.synthetic
        findings = find(model, asked, rows, seed=seed + number + 1)
    proved = all(finding.status == "proved" for finding in findings)
    figures["proof"] = {
        "proved": proved,
        "taught": taught,
        "rules": [finding.to_json(asked) for finding in findings],
    }
    return dataclasses.replace(release, model=model), figures


def point_json(point: Point) -> dict[str, Any]:
    """One training on the curve as JSON."""
    return {
        "training": point.training,
        "synthetic": point.synthetic,
        "accepted": point.accepted,
        **dataclasses.asdict(point.score),
    }


@dataclass(frozen=True)
class Counted:
    """What a release did to rows, in counts; those of a table's parts add up to those of the table."""

    changes: Changes
    seen: Seen
    moves: tuple[Moves, ...]

    def __add__(self, other: Counted) -> Counted:
        """The counts of both."""
        moved = tuple(one + more for one, more in zip(self.moves, other.moves, strict=True))
        return Counted(self.changes + other.changes, self.seen + other.seen, moved)


@dataclass(frozen=True, eq=False)
class Counting:
    """Counts what a release did to rows, wherever they are."""

    release: Release
    asked: Feedback
    conflicts: tuple[Conflict, ...]
    groups: Sequence[str | Grouping] | None

    def __call__(self, rows: Matrix, truth: Indices | None) -> Counted:
        """Of encoded rows (n, features) and their true answers (n,)."""
        release = self.release
        own, answers = Compared.of(release.before or release.model, rows), release.answer(rows)
        after = Compared(answers.probabilities, answers.outcomes)
        return Counted(
            changes(self.asked, rows, truth, own, after, self.groups),
            seen(self.asked, self.conflicts, rows, truth, own.outcomes, after.outcomes),
            moves(release.mover, answers) if release.mode == "overlay-soft" else (),
        )


@dataclass(frozen=True, eq=False)
class Comparing:
    """Counts what two models decide otherwise, wherever the rows are."""

    asked: Feedback
    before: Model
    after: Model

    def __call__(self, rows: Matrix, truth: Indices | None) -> Changes:
        """Of encoded rows (n, features)."""
        return changes(self.asked, rows, truth, Compared.of(self.before, rows), Compared.of(self.after, rows), ())


def _effect(
    release: Release, asked: Feedback, table: Labelled, held: Indices, groups: Sequence[str | Grouping] | None
) -> dict[str, Any]:
    assert release.draft is not None
    conflicts = tuple(Conflicts(release.draft.rules, release.draft.schema).all)
    counts = table.summed(held, Counting(release, asked, conflicts, groups))
    report = effect_of(asked, counts.changes, groups).to_json()
    by_rule = {one.rule: one.to_json() for one in counts.moves}
    report["feedback"] = [item | by_rule.get(item["rule"], {}) for item in report["feedback"]]
    report["feedback_by_parent"] = _by_parent(release, report["feedback"])
    report["doubts"] = [doubt.to_json() for doubt in doubts_of(release.draft, asked, conflicts, counts.seen)]
    return report


def _by_parent(release: Release, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The pieces of each carved rule summed up under it: rows, and the agreement over all of them."""
    assert release.draft is not None
    parents = {rule.id: rule.part_of for rule in release.draft.rules if rule.part_of}
    found: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        if item["rule"] in parents:
            found.setdefault(parents[item["rule"]], []).append(item)
    return [
        {
            "rule": parent,
            "parts": [part["rule"] for part in parts],
            "coverage": sum(part["coverage"] for part in parts),
            **{name: _over_all(parts, name) for name in ("mra_before", "mra_after")},
        }
        for parent, parts in found.items()
    ]


def _over_all(parts: Sequence[Mapping[str, Any]], name: str) -> float | None:
    covered = sum(part["coverage"] for part in parts if part[name] is not None)
    agreed = math.fsum(part["coverage"] * part[name] for part in parts if part[name] is not None)
    return agreed / covered if covered else None


def with_plain_retraining(release: Release, rows: Matrix, truth: Indices, *, seed: int = 0) -> Release:
    """The release with, in its report, what a plain retraining changes where nothing is asked: one training more.

    The model before the edits is trained anew, as `ruleedit.models.training.train` does, on a 95% sample
    of the rows that the report isn't about, with their true answers and without the edits. The
    share of the decisions outside that this alone changes stands beside the release's own as
    ``outside.retraining_flips``; None where there is no row outside, or no rule asks anything.
    ``rows`` and ``truth`` are those that `put_in_force` was given.
    """
    return beside_plain_retraining(release, LabelledInMemory(rows, truth), seed=seed)


def beside_plain_retraining(release: Release, table: Labelled, *, seed: int = 0) -> Release:
    """`with_plain_retraining` with a table wherever it is; see there."""
    before = release.before or release.model
    held, truth = _held(table, before, "retrain", seed)[0], table.truth
    assert truth is not None, "retraining has looked for the target"
    training = _others(len(table), held)
    sample = np.sort(np.random.default_rng(seed).choice(training, math.ceil(0.95 * len(training)), replace=False))
    every, none = np.arange(len(sample)), np.empty((0, len(before.schema.features)))
    again = table.training(sample, before).fit(every, none, truth[sample], seed)
    assert release.feedback is not None, "a model without edits has no outside"
    flips = effect_of(release.feedback, table.summed(held, Comparing(release.feedback, before, again)), ()).flips
    report = {**release.report, "outside": {**release.report["outside"], "retraining_flips": flips}}
    return dataclasses.replace(release, report=report)
