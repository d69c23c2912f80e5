"""The policy-change protocol of the Overlay paper on `loans`: how many labelled rows is an edit worth?

A model learned decisions that were made under the old policy. The edit moves the age limit in the
rules that were extracted from it. The labels under the new policy are known, so every way of putting
the edit in force is compared with models that are trained on relabelled data instead.
"""

from __future__ import annotations

import numpy as np

from ruleedit import edit, encode, extract_rules, infer_schema, put_in_force, train
from ruleedit.datasets import loans
from ruleedit.drafts import Draft
from ruleedit.retrain import lightgbm_trainer
from ruleedit.rules import Clause
from ruleedit.tables import target_codes
from ruleedit.workflow import resolve_conflicts

ROWS, TESTED = 12_000, 20_000
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
WAYS = {
    "overlay hard": ("overlay-hard", None),
    "overlay soft": ("overlay-soft", None),
    "graft": ("graft", None),
    "retrain, anchored": ("retrain", "anchored"),
    "retrain, adaptive": ("retrain", "adaptive"),
    "retrain, greedy": ("retrain", "greedy"),
}
BESIDE, ALONE = "the other rows keep their old labels", "trained on the relabelled rows alone"


def policy_table(seeds: int) -> str:
    """Accuracy under the new policy, as Markdown; means over seeds."""
    runs = [_run(seed) for seed in range(seeds)]
    found = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    curves = {kind: [found[_name(kind, share)] for share in SHARES] for kind in (BESIDE, ALONE)}
    labelled = [round(share * ROWS * 0.75) for share in SHARES]
    lines = ["| the decisions of | right under the new policy | worth, in labelled rows |", "| --- | ---: | ---: |"]
    for name in ("the old model", *WAYS):
        worth = "" if name == "the old model" else _worth(found[name], labelled, curves[ALONE])
        lines.append(f"| {name} | {found[name]:.2%} | {worth} |")
    for kind in (BESIDE, ALONE):
        for share, count in zip(SHARES, labelled, strict=True):
            which = f"a model with {share:.0%} of the rows relabelled; {kind}"
            lines.append(f"| {which} | {found[_name(kind, share)]:.2%} | {count:,} |")
    return "\n".join(lines)


def _run(seed: int) -> dict[str, float]:
    old, new = (loans(ROWS, seed=seed, policy=policy) for policy in ("old", "new"))
    model = train(old, infer_schema(old, "decision"), seed=seed)
    schema = model.schema
    rows, before, after = encode(old, schema), target_codes(old, schema), target_codes(new, schema)
    fresh = loans(TESTED, seed=10_000 + seed, policy="new", noise=0.0)
    tested, right = encode(fresh, schema), target_codes(fresh, schema)
    found = {"the old model": float((model.outcomes(tested) == right).mean())}
    edited = _edited(extract_rules(model, rows, max_clauses=16)[0])
    for name, (mode, strategy) in WAYS.items():
        release = put_in_force(model, edited, mode, rows, truth=before, strategy=strategy, seed=seed)
        found[name] = float((release.answer(tested).outcomes == right).mean())
    training = np.setdiff1d(np.arange(ROWS), model.holdout)
    order = np.random.default_rng(seed).permutation(training)
    for share in SHARES:
        chosen = order[: round(share * len(order))]
        labels = before.copy()
        labels[chosen] = after[chosen]
        for kind, used in ((BESIDE, training), (ALONE, chosen)):
            again = lightgbm_trainer(model)(rows[used], labels[used], seed)
            found[_name(kind, share)] = float((again.proba(tested).argmax(axis=1) == right).mean())
    return found


def _edited(draft: Draft) -> Draft:
    """The draft with 26 in the place of the age limit, wherever a rule has it within a year.

    The rule stays where it is: a changed rule would go ahead of the extracted ones, and so of the
    exceptions that some extractions state before it ("with a guarantor: approve").
    """
    edits = []
    for ahead, rule in zip([None, *draft.rules], draft.rules, strict=False):
        for clause in rule.clauses:
            if clause.feature == "age" and clause.operator in ("<=", ">", "<", ">=") and 29 <= clause.value <= 31:
                moved = Clause("age", clause.operator, 26.0 if clause.operator in ("<=", ">") else 27.0)
                edits.append(f"set {rule.id} {clause} to {moved}")
                edits.extend([] if ahead is None else [f"move {rule.id} after {ahead.id}"])
    edited = edit(draft, edits, reason="the age limit is 26", author="benchmark")
    return resolve_conflicts(edited, (), "priority", reason="the earlier rule holds", author="benchmark")


def _name(kind: str, share: float) -> str:
    return f"{kind} {share}"


def _worth(accuracy: float, labelled: list[int], curve: list[float]) -> str:
    """The rows at which the curve reaches the accuracy, between two points by a straight line."""
    for place, reached in enumerate(curve):
        if reached >= accuracy:
            if not place:
                return f"up to {labelled[0]:,}"
            low, high = curve[place - 1], reached
            part = (accuracy - low) / (high - low)
            return f"about {round(labelled[place - 1] + part * (labelled[place] - labelled[place - 1])):,}"
    return f"more than {labelled[-1]:,}"
