"""The command demo: the whole loop on built-in data, with the commands that would do the same."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ruleedit.cli.common import Seed, console, number, say, share, table
from ruleedit.cli.deciding import show_effect
from ruleedit.cli.showing import show_rules
from ruleedit.rules import Clause

if TYPE_CHECKING:
    from ruleedit.drafts import Draft
    from ruleedit.matching import Matrix
    from ruleedit.models import TableModel
    from ruleedit.release import Release

Folder = Annotated[Path, typer.Option("--out", help="Where the files go.")]
POLICY = "policy 2026-14: applicants from 27 on"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(out: Folder = Path("ruleedit-demo"), seed: Seed = 0) -> None:
    """The whole loop on built-in data, in under a minute: a lending policy moves an age limit from 30 to 26."""
    from ruleedit.datasets import loans
    from ruleedit.files import write_text
    from ruleedit.models.folder import save
    from ruleedit.models.training import train
    from ruleedit.tables import encode, infer_schema, read

    csv = out / "loans.csv"
    _step("A table of loan applications, decided under the old policy", "")
    write_text(csv, loans(8_000, seed=seed).to_csv(index=False))
    frame = read(csv)
    say(f"{number(len(frame))} applications in {csv}")

    _step("A gradient-boosted model learns the decisions", f"train {csv} --target decision --out {out}/model")
    model = train(frame, infer_schema(frame, "decision"), seed=seed)
    save(model, out / "model")
    rows = encode(frame, model.schema)
    draft = _extracted(model, rows, out, seed)
    edited = _edited(model, draft, rows, out)
    for mode in ("overlay-hard", "retrain"):
        _in_force(model, edited, mode, out, seed)
    say(f"\nEverything is in {out}. Next: ruleedit --help, or ruleedit serve --demo")


def _extracted(model: TableModel, rows: Matrix, out: Path, seed: int) -> Draft:
    from ruleedit.formats import canonical
    from ruleedit.surrogate import DEFAULT_METHOD
    from ruleedit.workflow import extract_rules

    _step("A few rules describe the model", f"extract {out}/model --data {out}/loans.csv --out {out}/rules.json")
    draft, found = extract_rules(model, rows, method=DEFAULT_METHOD, max_clauses=16, seed=seed)
    canonical.write(draft, out / "rules.json")
    show_rules(draft)
    if found.holdout is not None:
        say(f"they agree with the model on {share(found.holdout.agreement)} of held-out applications")
    return draft


def _edited(model: TableModel, draft: Draft, rows: Matrix, out: Path) -> Draft:
    from ruleedit.edits import edit
    from ruleedit.feedback import feedback
    from ruleedit.formats import canonical
    from ruleedit.impact import impact

    asked = _edits(draft)
    command = shlex.join(["edit", f"{out}/rules.json", *asked, "--reason", POLICY, "--out", f"{out}/edited.json"])
    _step("The policy changes, and an expert edits the clauses", command)
    edited = edit(draft, asked, reason=POLICY, author="demo")
    canonical.write(edited, out / "edited.json")
    show_rules(edited)

    command = f"impact {out}/model {out}/edited.json --data {out}/loans.csv"
    _step("Who is affected, before anything is in force", command)
    found = impact(feedback(edited.base, edited.rules, edited.schema), rows, model.outcomes(rows))
    say(f"{number(found.changed)} of {number(found.rows)} decisions would change ({share(found.changed / found.rows)})")
    flips = [(f"{old} -> {new}", number(count)) for (old, new), count in found.flips.items()]
    table(("", "decisions"), flips, right=("decisions",))
    return edited


def _edits(draft: Draft) -> list[str]:
    """The new age limit in every clause that says the old one, whichever rules have it."""
    found: list[str] = []
    for rule in draft.rules:
        for clause in rule.clauses:
            if clause.feature == "age" and clause.value in (30.0, 31.0):
                limit = 26.0 if clause.value == 30.0 else 27.0
                found.append(f"set {rule.id} {clause} to {Clause(clause.feature, clause.operator, limit)}")
    return found or ["new IF age between 27 and 30 AND income >= 30000 AND debt_ratio <= 0.6 THEN approve"]


def _in_force(model: TableModel, edited: Draft, mode: str, out: Path, seed: int) -> Release:
    from ruleedit.inforce import put_in_force
    from ruleedit.release import save
    from ruleedit.tables import encode, read, target_codes

    folder = out / f"release-{mode}"
    command = f"apply {out}/model {out}/edited.json --data {out}/loans.csv --mode {mode} --out {folder}"
    _step("In force " + ("as an overlay, at once" if mode != "retrain" else "by retraining (FROTE)"), command)
    frame = read(out / "loans.csv")
    rows, truth = encode(frame, model.schema), target_codes(frame, model.schema)
    release = put_in_force(model, edited, mode, rows, truth=truth, seed=seed)
    save(release, folder)
    show_effect(release.report)
    return release


def _step(what: str, command: str) -> None:
    console.print(f"\n{what}", style="bold", markup=False)
    if command:
        console.print(f"  ruleedit {command}", style="dim", markup=False, soft_wrap=True)
