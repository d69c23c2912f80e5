"""Records as the rest of the service sees them: frozen values, one class a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

JobState: TypeAlias = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ReleaseState: TypeAlias = Literal["draft", "proposed", "approved", "active", "retired"]
FINISHED: tuple[JobState, ...] = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Dataset:
    """An uploaded table: the stored file and its columns as they were inferred."""

    id: str
    created: str
    name: str
    rows: int
    file: str
    features: list[dict[str, Any]]


@dataclass(frozen=True)
class ModelRecord:
    """A trained or adopted model: the stored folder, what its training measured, and which columns are sensitive."""

    id: str
    created: str
    name: str
    dataset: str
    target: str
    folder: str
    summary: dict[str, Any]
    groups: dict[str, Any] | None = None


@dataclass(frozen=True)
class RuleSetRecord:
    """A rule set: its model, its present revision, and who wrote the first; empty where a model's answers did."""

    id: str
    created: str
    name: str
    model: str
    head: str
    author: str = ""


@dataclass(frozen=True)
class Revision:
    """One immutable version of a rule set: the step that makes it of the one before, None for the first.

    ``step`` is canonical JSON, as a rule file's history has it.
    """

    revision: str
    content: str
    step: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ReleaseRecord:
    """A release: what it was made of, the stored folder, its state, and who made, proposed and approved it.

    ``approved`` is when that was; at ``expires`` it stops serving.
    """

    id: str
    created: str
    name: str
    ruleset: str
    revision: str
    content: str
    model: str
    dataset: str
    mode: str
    strategy: str | None
    folder: str
    report: dict[str, Any]
    state: ReleaseState
    made_by: str = ""
    expires: str | None = None
    proposed_by: str | None = None
    approved_by: str | None = None
    approved: str | None = None


@dataclass(frozen=True)
class Counterexample:
    """A row that a rule decides wrongly: the class that it should get, who said so, and why.

    ``row`` is a JSON row, as decisions take it; ``withdrawn`` is when it was taken back.
    """

    id: str
    created: str
    ruleset: str
    rule: str
    row: dict[str, Any]
    outcome: str
    author: str
    reason: str
    withdrawn: str | None = None


@dataclass(frozen=True)
class KeyRecord:
    """An API key: whose it is, what it may, and the hash that it is known by; the key itself is nowhere."""

    id: str
    created: str
    name: str
    roles: list[str]
    prefix: str
    digest: str = field(repr=False)
    made_by: str
    expires: str | None = None
    revoked: str | None = None


@dataclass(frozen=True)
class JobRecord:
    """Long work: what was asked, how far it is, what it said of each round, and how it ended."""

    id: str
    created: str
    kind: str
    request: dict[str, Any]
    state: JobState
    done: int = 0
    of: int = 0
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    attempts: int = 0
    course: list[dict[str, Any]] | None = None
    process: str | None = None


@dataclass(frozen=True)
class Reason:
    """Why something was done: in words, and where there are these by a code for programs and a ticket elsewhere."""

    text: str
    code: str | None = None
    ticket: str | None = None

    @classmethod
    def of(cls, why: Why) -> Reason:
        """A reason that may be words alone."""
        return why if isinstance(why, Reason) else cls(why)

    @property
    def cited(self) -> dict[str, str]:
        """What is given beside the words."""
        return {name: value for name, value in (("code", self.code), ("ticket", self.ticket)) if value is not None}


Why: TypeAlias = str | Reason


@dataclass(frozen=True)
class Happened:
    """What an auditor reads of a change, before it is sealed into the chain: what was done to what, and why."""

    action: str
    subject: str
    reason: Why = ""
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A request with an Idempotency-Key: whose key it is, and the hash of what was asked."""

    caller: str
    key: str
    asked: str


@dataclass(frozen=True)
class TrialRecord:
    """A release on trial; ``ended`` is None while it is."""

    name: str
    release: str
    kind: Literal["shadow", "canary"]
    share: float
    created: str
    ended: str | None = None
    number: int = 0


@dataclass(frozen=True)
class TrialCounts:
    """What was counted of a trial: rows by pair of outcomes, rows that failed, rows that were dropped."""

    pairs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    failed: int = 0
    dropped: int = 0

    def __add__(self, other: TrialCounts) -> TrialCounts:
        """Both together."""
        both = {pair: self.pairs.get(pair, 0) + other.pairs.get(pair, 0) for pair in {*self.pairs, *other.pairs}}
        return TrialCounts(dict(sorted(both.items())), self.failed + other.failed, self.dropped + other.dropped)

    def __sub__(self, other: TrialCounts) -> TrialCounts:
        """What was counted since ``other`` was all."""
        left = {pair: many - other.pairs.get(pair, 0) for pair, many in self.pairs.items()}
        left = {pair: many for pair, many in left.items() if many}
        return TrialCounts(left, self.failed - other.failed, self.dropped - other.dropped)

    def __bool__(self) -> bool:
        """Whether anything was counted."""
        return bool(self.pairs or self.failed or self.dropped)
