"""Decisions: the active releases in memory, and rows of JSON as the encoded matrix.

`encode_records` does for a few rows of JSON what `ruleedit.tables.encode` does for a table, with
the same refusals, in a fraction of the time that a DataFrame costs. JSON has types of its own, so
it is stricter in one thing: a text is no number.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, TypeAlias

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from pydantic_core import to_json

from ruleedit.decisions import Decision
from ruleedit.decisions.onerow import RowDecider
from ruleedit.errors import MissingColumns, ValueRefused, did_you_mean
from ruleedit.matching import Matrix
from ruleedit.release import Release
from ruleedit.rules import ZERO, number_text
from ruleedit.schema import Feature, Schema
from service.errors import NothingActive, NotReady
from service.scoring.drift import Reference
from service.scoring.log import DecisionLog
from service.scoring.traffic import Traffic
from service.scoring.trial import Kind, Trial, split
from service.store.repository import now, text_of

Record: TypeAlias = Mapping[str, Any]
Reader: TypeAlias = Callable[[Any], float]
KINDS: tuple[Kind, Kind] = ("canary", "shadow")


class _Unfit(Exception):
    """A cell that its feature doesn't allow, and why."""


class Encoder:
    """Turns JSON rows into the encoded matrix of one schema; made once, used for every request."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        gone = frozenset(("", *schema.missing_tokens))
        self._readers = tuple((feature.name, _reader(feature, gone)) for feature in schema.features)

    def encode(self, rows: Sequence[Record]) -> Matrix:
        """Encode rows; shape (n, features).

        null is missing, and so are the empty text and the schema's missing tokens. Columns that the
        schema doesn't know are ignored. Raises `MissingColumns`, and `ValueRefused` for a text or a
        boolean where a number belongs and for whatever `ruleedit.tables.encode` refuses. A category
        never seen is no error: its code is 0.
        """
        return np.array(self.rows(rows), dtype=np.float64).reshape(len(rows), len(self._readers))

    def rows(self, rows: Sequence[Record]) -> list[list[float]]:
        """The same as lists, for one row at a time."""
        out = []
        for number, row in enumerate(rows):
            try:
                out.append([read(row[name]) for name, read in self._readers])
            except (KeyError, _Unfit, OverflowError):
                self._refuse(row, number + 1)
        return out

    def _refuse(self, row: Record, number: int) -> NoReturn:
        """Find what is wrong with a row that can't be encoded, and say it."""
        lacking = [name for name in self.schema.names if name not in row]
        if lacking:
            more = f" and {len(lacking) - 1} more columns" if len(lacking) > 1 else ""
            raise MissingColumns(
                f"row {number} has no column {lacking[0]!r}{more}{did_you_mean(lacking[0], list(row))}; "
                "null says that a value is missing"
            )
        for name, read in self._readers:
            try:
                read(row[name])
            except OverflowError:
                raise ValueRefused(f"row {number}, column {name!r}: the number is too large") from None
            except _Unfit as problem:
                raise ValueRefused(f"row {number}, column {name!r}: {_shown(row[name])} {problem}") from None
        raise AssertionError("a row that couldn't be encoded can be encoded")


def encode_records(rows: Sequence[Record], schema: Schema) -> Matrix:
    """Encode JSON rows by a schema; see `Encoder.encode`."""
    return Encoder(schema).encode(rows)


def _reader(feature: Feature, gone: frozenset[str]) -> Reader:
    present = {"numeric": _number, "integer": _whole, "boolean": _boolean}.get(feature.kind) or _category(feature)
    may_miss = feature.missing

    def read(cell: Any) -> float:
        if cell is None or (type(cell) is str and cell in gone):
            if not may_miss:
                raise _Unfit("is missing, and the schema forbids missing values there")
            return math.nan
        return present(cell)

    return read


def _number(cell: Any) -> float:
    # JSON gives exactly these types; asking for a type is quicker than for an instance.
    if type(cell) is not float and type(cell) is not int:
        raise _Unfit("is text, and a number belongs there" if isinstance(cell, str) else "is no number")
    number = float(cell)
    if not -math.inf < number < math.inf:
        raise _Unfit("is not finite; null says that a value is missing")
    return 0.0 if -ZERO <= number <= ZERO else number


def _whole(cell: Any) -> float:
    number = _number(cell)
    if number != math.floor(number):
        raise _Unfit("is not whole, and the column is integer")
    return number


def _boolean(cell: Any) -> float:
    if isinstance(cell, bool):
        return float(cell)
    known = {"false": 0.0, "true": 1.0}.get(cell.strip().lower()) if isinstance(cell, str) else None
    if known is None:
        raise _Unfit("is neither true nor false")
    return known


def _category(feature: Feature) -> Reader:
    codes = {text: float(code) for text, code in feature.code_of.items()}

    def read(cell: Any) -> float:
        if isinstance(cell, str):
            return codes.get(cell, 0.0)
        if isinstance(cell, bool):
            return codes.get("true" if cell else "false", 0.0)
        if isinstance(cell, int):
            return codes.get(str(cell), 0.0)
        if isinstance(cell, float) and math.isfinite(cell):
            return codes.get(number_text(cell), 0.0)
        raise _Unfit("is no text")

    return read


def _shown(cell: Any) -> str:
    if cell is None:
        return "the value"
    text = repr(cell) if isinstance(cell, str | int | float | bool) else f"a JSON {type(cell).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True, eq=False)
class Serving:
    """One release in service, ready to decide."""

    id: str
    name: str
    release: Release
    encoder: Encoder
    decider: RowDecider
    traffic: Traffic
    #: The revision of the rule set that is in force; None for a model without edits.
    revision: str | None
    #: When it stops serving, as RFC 3339 text, and what serves from then on: ready, so that no request waits for it.
    expires: str | None = None
    then: Serving | None = None

    @classmethod
    def of(cls, id: str, name: str, release: Release, reference: Reference | None = None) -> Serving:
        """Make a release ready: its model is loaded and asked once, so that the first client needn't wait."""
        decider = RowDecider(release, id)
        decider.decide([math.nan] * len(release.schema.features))
        revision = None if release.draft is None else release.draft.revision
        traffic = Traffic(decider.grounds, reference)
        return cls(id, name, release, Encoder(release.schema), decider, traffic, revision)

    def decide(self, rows: Sequence[Record]) -> list[Decision]:
        """Decide JSON rows and count them; raises as `Encoder.encode` does."""
        return self.decide_encoded(self.encoder.rows(rows))

    def decide_encoded(self, encoded: list[list[float]]) -> list[Decision]:
        """Decide encoded rows and count them."""
        decide = self.decider.decide
        decisions = [decide(row) for row in encoded]
        self.traffic.note(encoded, decisions)
        return decisions


@dataclass(frozen=True)
class Answered:
    """What one request was answered: who decided, the decisions, and both as JSON.

    ``told`` are the decisions as the API gives them; ``json`` is the whole answer, the same for the
    client and for the decision log.
    """

    serving: Serving
    decisions: list[Decision]
    told: list[dict[str, Any]]
    json: bytes

    @classmethod
    def of(
        cls,
        serving: Serving,
        rows: Sequence[Sequence[float]],
        decisions: list[Decision],
        by: Sequence[str],
        *,
        explain: bool,
    ) -> Answered:
        """The answer to encoded rows that the releases ``by`` decided.

        With ``explain`` it says too what the nearest other outcome lacks, by the rules of the release in service.
        """
        told = [decision.to_json() | {"release": release} for decision, release in zip(decisions, by, strict=True)]
        if explain:
            for row, decision in zip(rows, told, strict=True):
                decision["nearest"] = serving.decider.nearest(row, decision["outcome"])
        head = {"name": serving.name, "release": serving.id, "revision": serving.revision, "decisions": told}
        return cls(serving, decisions, told, to_json(head))


class Scoring:
    """The releases in service by name; a switch is seen by the next request."""

    def __init__(self, log: DecisionLog | None = None, clock: Callable[[], datetime] = now) -> None:
        self._log = log
        self._clock = clock
        self._serving: dict[str, Serving] = {}
        self._trials: dict[tuple[str, Kind], Trial] = {}
        self._lock = threading.Lock()
        #: What has to be loaded before anybody can say that nothing serves; None: nothing.
        self.waiting: str | None = None

    def put(self, serving: Serving) -> None:
        """Serve a release under its name from now on."""
        with self._lock:
            self._serving = {**self._serving, serving.name: serving}

    def drop(self, name: str) -> None:
        """Serve nothing under a name from now on."""
        with self._lock:
            self._serving = {known: serving for known, serving in self._serving.items() if known != name}

    def find(self, name: str, release: str) -> Serving | None:
        """A release that is in memory, in service or waiting for another's expiry; None where it isn't."""
        found = self._serving.get(name)
        while found is not None and found.id != release:
            found = found.then
        return found

    def get(self, name: str) -> Serving:
        """The release that serves under a name; raises `NothingActive`, or `NotReady` where it may still be loaded."""
        found = self._serving.get(name)
        while found is not None and found.expires is not None and text_of(self._clock()) >= found.expires:
            found = found.then
        if found is None and self.waiting is not None:
            raise NotReady(self.waiting)
        if found is None:
            raise NothingActive(name)
        return found

    def note_batch(self, request: str, told: dict[str, Any]) -> None:
        """Log that a batch was decided."""
        if self._log is not None:
            self._log.note_batch(request, told)

    @property
    def waits(self) -> bool:
        """Whether a decision waits for the disk, and so is none for the event loop."""
        return self._log is not None and self._log.waits

    def decide(self, name: str, rows: Sequence[Record], *, request: str = "", explain: bool = False) -> Answered:
        """Decide JSON rows by the release in service under a name, and log the answer.

        Raises as `get`, `Encoder.encode` and `DecisionLog.note` do.
        """
        serving = self.get(name)
        encoded = serving.encoder.rows(rows)
        decisions, by = self._decided(serving, encoded, rows)
        answered = Answered.of(serving, encoded, decisions, by, explain=explain)
        if self._log is not None:
            self._log.note(request, answered.json, serving.release.schema, encoded, rows)
        return answered

    def _decided(
        self, serving: Serving, encoded: list[list[float]], rows: Sequence[Record]
    ) -> tuple[list[Decision], list[str]]:
        """Decide, with what is on trial beside; the decisions and the releases that made them."""
        canary, shadow = (self._trial(serving, kind) for kind in KINDS)
        if canary is None:
            decisions, by = serving.decide_encoded(encoded), [serving.id] * len(encoded)
        else:
            decisions, tried = split(
                canary, encoded, rows, lambda places: serving.decide_encoded([encoded[place] for place in places])
            )
            by = [canary.candidate.id if chosen else serving.id for chosen in tried]
        if shadow is not None:
            shadow.follow(rows, [decision.outcome for decision in decisions])
        return decisions, by

    def _trial(self, serving: Serving, kind: Kind) -> Trial | None:
        """What is on trial beside a release; nothing is on trial beside itself, or once it has expired."""
        found = self._trials.get((serving.name, kind))
        if found is None or found.candidate.id == serving.id:
            return None
        expires = found.candidate.expires
        return None if expires is not None and text_of(self._clock()) >= expires else found

    def begin(self, name: str, trial: Trial) -> None:
        """Try a release beside the one in service under a name."""
        with self._lock:
            self._trials = {**self._trials, (name, trial.kind): trial}

    def end(self, name: str, kind: Kind) -> Trial | None:
        """Try nothing more of a kind under a name; what was tried, and has counted its last row."""
        with self._lock:
            ended = self._trials.get((name, kind))
            self._trials = {key: trial for key, trial in self._trials.items() if trial is not ended}
        if ended is not None:
            ended.close()
        return ended

    def tried(self, name: str, kind: Kind) -> Trial | None:
        """What is on trial under a name."""
        return self._trials.get((name, kind))

    @property
    def trials(self) -> Mapping[tuple[str, Kind], Trial]:
        """What is on trial, by name and kind."""
        return self._trials

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which something serves."""
        return tuple(sorted(self._serving))

    def metrics(self) -> Iterator[Metric]:
        """Decisions by rule and outcome, flips, drift of inputs and of agreement, for what is in service."""
        yield from serving_metrics([(serving.name, serving) for serving in self._serving.values()])
        yield from trial_metrics(self._trials)
        dropped = CounterMetricFamily("ruleedit_decision_log_dropped", "Lines of the decision log that were dropped.")
        dropped.add_metric([], 0 if self._log is None else self._log.dropped)
        yield dropped


def serving_metrics(found: Sequence[tuple[str, Serving]]) -> Iterator[Metric]:
    """The metrics of releases in service, each with its name."""
    labels = ["name", "release"]
    decided = CounterMetricFamily(
        "ruleedit_decisions", "Decisions by rule and outcome.", labels=[*labels, "kind", "rule", "outcome"]
    )
    flips = CounterMetricFamily(
        "ruleedit_flips", "Decisions that differ from the model's own.", labels=[*labels, "model_outcome", "outcome"]
    )
    psi = GaugeMetricFamily(
        "ruleedit_input_drift", "Population stability index against training.", labels=[*labels, "feature"]
    )
    agreement = GaugeMetricFamily(
        "ruleedit_rule_agreement", "Share of a rule's rows on which the model agrees.", labels=[*labels, "rule"]
    )
    drift = GaugeMetricFamily(
        "ruleedit_rule_agreement_drift", "That share less the one in training.", labels=[*labels, "rule"]
    )
    for name, serving in found:
        own, changed = [name, serving.id], Counter[tuple[str, str]]()
        traffic = serving.traffic
        by_outcome: Counter[tuple[str, str, str]] = Counter()
        for tally in traffic.tallies():
            by_outcome[tally.kind, tally.rule, tally.outcome] += tally.count
            if tally.outcome != tally.model_outcome:
                changed[tally.model_outcome, tally.outcome] += tally.count
        for key, count in by_outcome.items():
            decided.add_metric([*own, *key], count)
        for pair, count in changed.items():
            flips.add_metric([*own, *pair], count)
        for feature, index in zip(serving.release.schema.names, traffic.stability(), strict=False):
            psi.add_metric([*own, feature], index)
        for code, (agreed, every) in traffic.agreement().items():
            agreement.add_metric([*own, code], agreed / every)
            if traffic.reference is not None and code in traffic.reference.agreement:
                drift.add_metric([*own, code], agreed / every - traffic.reference.agreement[code])
    yield from (decided, flips, psi, agreement, drift)


def trial_metrics(trials: Mapping[tuple[str, Kind], Trial]) -> Iterator[Metric]:
    """What was counted of the releases on trial."""
    labels = ["name", "trial", "release"]
    pairs = CounterMetricFamily(
        "ruleedit_trial_rows",
        "Rows by what was answered (canary: by the model's own outcome) and what the release on trial says.",
        labels=[*labels, "outcome", "trial_outcome"],
    )
    failed = CounterMetricFamily("ruleedit_trial_failed_rows", "Rows that it couldn't decide.", labels=labels)
    dropped = CounterMetricFamily("ruleedit_trial_dropped_rows", "Rows that a shadow had no time for.", labels=labels)
    for (name, kind), trial in trials.items():
        own = [name, kind, trial.candidate.id]
        found = trial.counts()
        for pair, count in found.pairs.items():
            pairs.add_metric([*own, *pair], count)
        failed.add_metric(own, found.failed)
        dropped.add_metric(own, found.dropped)
    yield from (pairs, failed, dropped)
