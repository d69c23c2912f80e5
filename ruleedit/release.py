"""Releases: one object that the command line, the API and the batch scorer all call for answers.

A release is a model with the edits in force in one mode. A model without edits and a rule set by
itself answer through the same protocol, `Answering`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import pandas as pd

from ruleedit.conflicts import effective
from ruleedit.drafts import Draft
from ruleedit.errors import FileRefused
from ruleedit.evidence import Evidence
from ruleedit.feedback import Feedback, feedback
from ruleedit.files import read_bytes, read_json, read_text
from ruleedit.formats import canonical
from ruleedit.matching import Indices, Matrix, decide, decider, outcome_codes, outcome_table
from ruleedit.models import TableModel, outcomes
from ruleedit.models import outcome_codes as greatest
from ruleedit.models.folder import load as load_model
from ruleedit.models.folder import model_files, write_folder
from ruleedit.overlay import BY, BY_GRAFT, BY_MODEL, BY_RETRAINED, BY_RULES, Answers, Mover, overlay
from ruleedit.rules import RuleSet
from ruleedit.schema import Schema, content_hash

Mode: TypeAlias = Literal["model", "overlay-hard", "overlay-soft", "retrain", "graft"]
MODES: tuple[Mode, ...] = ("overlay-hard", "overlay-soft", "retrain", "graft")
MARKER = "release.json"
#: A name of its own: somebody may keep a ``rules.json`` in a model's folder.
RULES = "release-rules.json"
BEFORE = "before.txt"
EVIDENCE = "held-out.csv"
FORMAT = 1


class Answering(Protocol):
    """What answers rows: a release, a model, or a rule set by itself."""

    @property
    def schema(self) -> Schema:
        """The features in the order of the encoded columns, and the classes."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The ids that `Answers.held` counts."""

    def answer(self, rows: Matrix, *, model_outcome: bool = True) -> Answers:
        """Answer encoded rows (n, features)."""


@dataclass(frozen=True)
class RuleAnswers:
    """A rule set that answers by itself: first match, settlements written out, no model."""

    rules: RuleSet
    schema: Schema

    @cached_property
    def ordered(self) -> RuleSet:
        """The rules as an ordered list that needs no settlements."""
        return effective(self.rules, self.schema)

    @property
    def labels(self) -> tuple[str, ...]:
        """The ids of the ordered rules."""
        return self.ordered.ids

    def answer(self, rows: Matrix, *, model_outcome: bool = True) -> Answers:
        """Answer encoded rows; a rule that says `model` leaves its rows without an outcome (-1)."""
        held = decide(self.ordered, rows, self.schema)
        said = [rule.outcome for rule in self.ordered] + [self.ordered.default]
        classes = self.schema.classes
        by = np.full(len(rows), BY_RULES, dtype=np.int8)
        moved: tuple[Indices, Matrix] = (np.empty(0, dtype=np.intp), np.empty((0, rows.shape[1])))
        return Answers(outcome_table(said, classes)[held], outcome_codes(said, classes)[held], held, by, None, *moved)


@dataclass(frozen=True, eq=False)
class Release:
    """A model, the rule set with the edits, and the mode in which these are in force.

    ``before`` is the model as it was before the edits where the mode made another one. ``report``
    is what putting it in force measured, ``evidence`` the rows that it measured on. Mode ``model``
    is a model without edits (no draft).
    """

    model: TableModel
    mode: Mode = "model"
    draft: Draft | None = None
    strategy: str | None = None
    before: TableModel | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    evidence: Evidence | None = None

    @property
    def schema(self) -> Schema:
        """The model's schema."""
        return self.model.schema

    @cached_property
    def feedback(self) -> Feedback | None:
        """What the edits ask for; None without edits."""
        return None if self.draft is None else feedback(self.draft.base, self.draft.rules, self.schema)

    @cached_property
    def mover(self) -> Mover:
        """What moves the rows of a soft overlay; its targets are worked out once."""
        assert self.feedback is not None, "a model without edits moves no row"
        return Mover(self.feedback, self.model.background)

    def describe(self, rows: Matrix) -> Indices:
        """For each encoded row the place of the edited set's rule that decides it, -1 for the default; shape (n,)."""
        return self._decider(rows)

    @cached_property
    def _decider(self) -> Callable[[Matrix], Indices]:
        assert self.draft is not None, "a model without edits has no rules that describe it"
        return decider(self.draft.rules, self.schema)

    @property
    def labels(self) -> tuple[str, ...]:
        """The ids of the feedback rules."""
        return () if self.feedback is None else tuple(rule.id for rule in self.feedback)

    def answer(self, rows: Matrix, *, model_outcome: bool = True) -> Answers:
        """Answer encoded rows (n, features); ``model_outcome`` says whether the model's own answer is wanted."""
        if self.feedback is not None and self.mode == "overlay-hard":
            return overlay(self.model, self.feedback, rows, "hard", model_outcome=model_outcome)
        if self.feedback is not None and self.mode == "overlay-soft":
            return overlay(self.model, self.feedback, rows, "soft", mover=self.mover, model_outcome=model_outcome)
        return self._by_the_model(rows, model_outcome=model_outcome)

    def _by_the_model(self, rows: Matrix, *, model_outcome: bool) -> Answers:
        probabilities = self.model.proba(rows)
        codes = greatest(probabilities, self.model.thresholds)
        own: Indices | None = codes
        if self.before is not None:
            own = outcomes(self.before, rows) if model_outcome else None
        held = np.full(len(rows), -1, dtype=np.intp) if self.feedback is None else self.feedback.assign(rows)
        by = np.full(len(rows), BY_RETRAINED if self.mode == "retrain" else BY_MODEL, dtype=np.int8)
        if self.feedback is not None and self.mode == "graft":
            by[self.feedback.asks[held]] = BY_GRAFT
        moved: tuple[Indices, Matrix] = (np.empty(0, dtype=np.intp), np.empty((0, rows.shape[1])))
        return Answers(probabilities, codes, held, by, own, *moved)


def save(release: Release, folder: str | Path) -> None:
    """Write a release's folder: the model's files, the rule file, and how they work together.

    A release or model folder that is there is replaced whole; raises `FileRefused` for another.
    """
    write_folder(folder, release_files(release), marker="model.json")


def release_files(release: Release) -> dict[str, bytes]:
    """The files of a release's folder by name."""
    files = model_files(release.model)
    record: dict[str, Any] = {"format": FORMAT, "mode": release.mode, "strategy": release.strategy}
    if release.draft is not None:
        files[RULES] = canonical.dumps(release.draft).encode()
        record |= {"content": release.draft.content, "revision": release.draft.revision}
    if release.before is not None:
        files[BEFORE] = release.before.text.encode()
        record["before"] = release.before.file.hash
    if release.evidence is not None:
        files[EVIDENCE] = release.evidence.to_csv(release.schema).encode("utf-8", "surrogatepass")
        record["evidence"] = release.evidence.to_json() | {"sha256": hashlib.sha256(files[EVIDENCE]).hexdigest()}
    record |= {"model": release.model.file.hash, "report": dict(release.report)}
    record["hash"] = content_hash(record)
    files[MARKER] = (json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    return files


def load(folder: str | Path) -> Release:
    """Read a release's folder, or a model's as a release without edits; raises `FileRefused`.

    Every file must be there, whole, and the one that the release was made of.
    """
    folder = Path(folder)
    model = load_model(folder)
    if not (folder / MARKER).is_file():
        for name in (RULES, BEFORE, EVIDENCE):
            if (folder / name).exists():
                raise FileRefused(f"the folder {folder.name!r} has {name!r} and no {MARKER!r}; it is no whole release")
        return Release(model)
    record = _record(read_json(read_text(folder / MARKER, "a release's folder"), MARKER))
    if record["model"] != model.file.hash:
        raise FileRefused(f"model.txt in {folder.name!r} isn't the one that the release was made of")
    draft = None
    if record["mode"] != "model":
        draft = canonical.read(folder / RULES)
        if draft.revision != record["revision"] or draft.schema.hash != model.schema.hash:
            raise FileRefused(f"{RULES} in {folder.name!r} isn't the one that the release was made of")
    before = None
    if "before" in record:
        before = dataclasses.replace(model, text=read_text(folder / BEFORE, "the model before the edits"))
        if before.file.hash != record["before"]:
            raise FileRefused(f"{BEFORE} in {folder.name!r} isn't the model that the release was made of")
    evidence = _evidence(folder, record["evidence"], model.schema) if "evidence" in record else None
    return Release(model, record["mode"], draft, record["strategy"], before, record["report"], evidence)


def _evidence(folder: Path, record: Mapping[str, Any], schema: Schema) -> Evidence:
    content = read_bytes(folder / EVIDENCE, "the rows that the release's report rests on")
    if hashlib.sha256(content).hexdigest() != record["sha256"]:
        raise FileRefused(f"{EVIDENCE} in {folder.name!r} isn't the one that the release was made with")
    text = content.decode("utf-8", "surrogatepass")
    return Evidence.from_csv(text, schema, record["of"], record["fingerprint"])


def _record(data: Any) -> dict[str, Any]:
    """The record of a release, whole and as it was written."""
    known = isinstance(data, dict) and data.get("format") == FORMAT and data.get("mode") in ("model", *MODES)
    if not known or data.pop("hash", None) != content_hash(data):
        raise FileRefused(f"{MARKER} is damaged or of another version; format {FORMAT} as apply wrote it is accepted")
    found: dict[str, Any] = data
    return found


def load_answering(path: str | Path) -> Answering:
    """Read what answers rows: a release's or model's folder, or a rule file; raises `FileRefused`."""
    path = Path(path)
    if path.is_dir():
        return load(path)
    draft = canonical.read(path)
    return RuleAnswers(draft.rules, draft.schema)


def prediction_table(answering: Answering, rows: Matrix) -> pd.DataFrame:
    """The answers as a table: outcome, p_<class>, model_outcome, rule, by; one row a row.

    ``outcome`` and ``model_outcome`` are missing where nothing answers or nobody asked.
    """
    answers = answering.answer(rows)
    classes = answering.schema.classes
    table = {"outcome": _named(answers.outcomes, classes)}
    for place, name in enumerate(classes):
        table[f"p_{name}"] = pd.Series(answers.probabilities[:, place])
    own = answers.model_outcomes
    table["model_outcome"] = _named(np.full(len(rows), -1) if own is None else own, classes)
    table["rule"] = _named(answers.held, answering.labels)
    table["by"] = _named(answers.by.astype(np.intp), BY)
    return pd.DataFrame(table)


def _named(codes: Indices, names: Sequence[str]) -> pd.Series:
    """Codes as names; missing for -1."""
    return pd.Series(pd.Categorical.from_codes(codes, categories=pd.Index(list(names), dtype="str")))
