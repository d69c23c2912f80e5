"""Records as the rest of the service sees them: frozen values, one class a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

JobState: TypeAlias = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ReleaseState: TypeAlias = Literal["draft", "active", "retired"]
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
    """A trained or adopted model: the stored folder and what its training measured."""

    id: str
    created: str
    name: str
    dataset: str
    target: str
    folder: str
    summary: dict[str, Any]


@dataclass(frozen=True)
class RuleSetRecord:
    """A rule set: its model and its present revision."""

    id: str
    created: str
    name: str
    model: str
    head: str


@dataclass(frozen=True)
class Revision:
    """One immutable version of a rule set; ``text`` is its canonical JSON."""

    revision: str
    content: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class ReleaseRecord:
    """A release: what it was made of, the stored folder, and its state."""

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
    """Long work: what was asked, how far it is, and how it ended."""

    id: str
    created: str
    kind: str
    request: dict[str, Any]
    state: JobState
    done: int = 0
    of: int = 0
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True)
class Event:
    """What an auditor reads of a change; written in the transaction that makes it."""

    action: str
    resource: str
    author: str = ""
    reason: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
