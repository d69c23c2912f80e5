"""The files of a bundle: everything that an auditor needs to see what was put in force, and to work it out again."""

from __future__ import annotations

import csv
import io
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata, resources
from typing import Any

import numpy as np

from ruleedit.bundle import verify
from ruleedit.bundle.card import Card, card_html
from ruleedit.bundle.effect import Measured, feedback_json, measure
from ruleedit.conflicts import effective, find_conflicts, overlaps
from ruleedit.drafts import Draft, settlement_json
from ruleedit.errors import Refused
from ruleedit.evidence import Evidence, table_csv
from ruleedit.formats import EXPORTS, canonical, export
from ruleedit.formats.sql import DIALECTS
from ruleedit.models.folder import model_files
from ruleedit.release import Release
from ruleedit.rules import RuleSet
from ruleedit.schema import Schema

#: The packages that could change an answer.
PACKAGES = (
    "ruleedit",
    "lightgbm",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "lxml",
    "sqlglot",
    "openpyxl",
)
_ENDINGS = {"json": "json", "trxf": "trxf.json", "dmn-xlsx": "xlsx", "jdm": "jdm.json", "python": "py"}
README = """An audit bundle of RuleEdit.

    python verify.py BUNDLE.zip --head HASH      (Python 3.9 or later, nothing else)

HASH is the head of the chain as it was published when the bundle was made; without it, or the signer's key (--key), the
bundle is checked against itself alone. Better take verify.py from a copy of RuleEdit that you trust, or use
`ruleedit verify`: the one in this bundle is as trustworthy as the bundle.

bundle.json     the hash of every file, what was left out and why
events.jsonl    the chain of events, head.json its end
rules/          before.json and after.json (with every edit), decided.json (both with settlements written out)
edits.json conflicts.json approvals.json feedback.json   who changed what and why, and what that asks of the model
model/          the LightGBM files and what is known of the model; schema.json the features
data/           held-out rows as numbers (codes of categories as in schema.json, empty where missing), and the answers
effect.json     what changed on these rows; report.json what was measured when the release was made
report.html     the model card, for people; card.json what people said for it
exports/        the rules in other tools' formats; environment.json versions
"""


@dataclass(frozen=True)
class Choices:
    """What whoever makes a bundle chooses: rows at most (None: all), features to group by, the card; more files."""

    rows: int | None = None
    without_rows: bool = False
    groups: tuple[str, ...] = ()
    card: Card = field(default_factory=Card)
    more: Mapping[str, bytes] = field(default_factory=dict)


def contents(release: Release, name: str, choices: Choices) -> dict[str, bytes]:
    """Every file but the events and the head, the list of hashes included; the same release gives the same bytes.

    Raises as `measure` does.
    """
    draft = release.draft
    assert draft is not None
    assert release.feedback is not None
    evidence = None if release.evidence is None or choices.without_rows else release.evidence
    if evidence is not None and choices.rows is not None:
        evidence = evidence.sample(choices.rows)
    files = {**_rules(draft), **_model(release), **choices.more}
    files["feedback.json"] = pretty(feedback_json(release.feedback))
    files["report.json"] = pretty(dict(release.report))
    measured = None
    if evidence is not None and len(evidence.rows):
        measured = measure(release, evidence, choices.groups)
        files |= _data(measured, evidence, release)
    files |= {"card.json": pretty(choices.card.to_json())}
    files["report.html"] = card_html(release, choices.card, measured).encode("utf-8", "surrogatepass")
    exports, refused = _exports(draft)
    files |= exports
    files["environment.json"] = pretty(environment())
    files["README.txt"] = README.encode()
    files["verify.py"] = resources.files(__package__).joinpath("verify.py").read_bytes()
    files[verify.MANIFEST] = pretty(
        {
            "format": verify.FORMAT,
            "release": name,
            "mode": release.mode,
            "strategy": release.strategy,
            "groups": list(choices.groups),
            "sample": _sample(evidence),
            "exports_refused": refused,
            "not_recomputable": [] if evidence is not None else ["report.json: no rows are in the bundle"],
            "files": {path: verify.digest(content) for path, content in sorted(files.items())},
        }
    )
    return files


def pretty(data: Any) -> bytes:
    """JSON for people and programs."""
    return (json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "surrogatepass")


def environment() -> dict[str, Any]:
    """The versions of Python and the packages that made the bundle."""
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {"python": platform.python_version(), "packages": versions}


def _sample(evidence: Evidence | None) -> dict[str, Any] | None:
    if evidence is None:
        return None
    return evidence.to_json() | {"whole": evidence.is_whole}


def _rules(draft: Draft) -> dict[str, bytes]:
    before = Draft(draft.schema, draft.base, draft.base, (), draft.origin)
    steps = [
        {"edit": step.edit, "author": step.author, "reason": step.reason, "revision": step.revision}
        for step in draft.history
    ]
    conflicts = {
        "settlements": [settlement_json(item) for item in draft.rules.settlements],
        "conflicts": [
            {
                "rules": list(conflict.rules),
                "outcomes": list(map(str, conflict.outcomes)),
                "resolved": conflict.resolved,
            }
            for conflict in find_conflicts(draft.rules, draft.schema)
        ],
    }
    decided = {"before": decided_json(draft.base, draft.schema), "after": decided_json(draft.rules, draft.schema)}
    return {
        "rules/before.json": canonical.dumps(before).encode(),
        "rules/after.json": canonical.dumps(draft).encode(),
        "rules/decided.json": pretty(decided),
        "edits.json": pretty(steps),
        "conflicts.json": pretty(conflicts),
        "schema.json": pretty(draft.schema.to_json()),
    }


def decided_json(rules: RuleSet, schema: Schema) -> dict[str, Any]:
    """The enabled rules with settlements written out, each with the feedback rule that it is where it is asserted."""
    settled = {overlap.id: overlap for overlap in overlaps(rules, schema)}
    told: list[dict[str, Any]] = []
    for rule in effective(rules, schema).enabled:
        item: dict[str, Any] = {"id": rule.id, "text": str(rule), "asserted": rule.asserted, "asserts": rule.asserts}
        item["feedback"] = rule.id
        if rule.id not in rules.ids:
            overlap = settled.get(rule.id) or settled[rule.id.rpartition(".")[0]]
            asserts = rules.rule(overlap.holder or overlap.rules[0]).asserts
            item |= {"asserts": asserts, "feedback": overlap.id, "settles": list(overlap.rules)}
        told.append(item)
    return {"rules": told, "default": str(rules.default)}


def _model(release: Release) -> dict[str, bytes]:
    files = model_files(release.model)
    found = {"model/model.txt": files["model.txt"], "model/model.json": files["model.json"]}
    if release.before is not None:
        found["model/before.txt"] = release.before.text.encode()
    return found


def _data(measured: Measured, evidence: Evidence, release: Release) -> dict[str, bytes]:
    classes, names = release.schema.classes, list(release.schema.names)
    ids = [*release.labels, ""]
    answers = zip(measured.before.tolist(), measured.after.tolist(), measured.held.tolist(), strict=True)
    lines = [[classes[old], classes[new], ids[held]] for old, new, held in answers]
    files = {
        "data/rows.csv": evidence.to_csv(release.schema).encode("utf-8", "surrogatepass"),
        "data/answers.csv": _table(["before", "after", "rule"], lines),
        "effect.json": pretty(measured.figures),
    }
    if len(measured.moved_rows):
        moved = np.column_stack([measured.moved_rows.astype(float), measured.moved])
        files["data/moved.csv"] = table_csv(["row", *names], moved).encode("utf-8", "surrogatepass")
    return files


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([header, *lines])
    return out.getvalue().encode("utf-8", "surrogatepass")


def _exports(draft: Draft) -> tuple[dict[str, bytes], dict[str, str]]:
    """The rules in every format and SQL dialect, and why a format refuses them."""
    files: dict[str, bytes] = {}
    refused: dict[str, str] = {}
    for form in EXPORTS:
        for dialect in (None, *DIALECTS[1:]) if form == "sql" else (None,):
            label = form if dialect is None else f"{form}, {dialect}"
            ending = _ENDINGS.get(form, form) if dialect is None else f"{dialect}.{form}"
            try:
                files[f"exports/rules.{ending}"] = export(draft, form, dialect=dialect)
            except Refused as problem:
                refused[label] = str(problem)
    return files, refused
