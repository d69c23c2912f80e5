"""What the service answers, as values; ``raw`` holds all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

Answer = TypeVar("Answer", bound="_Answer")
Json = Mapping[str, Any]


@dataclass(frozen=True)
class _Answer:
    """The service's answer as it came."""

    raw: Json = field(repr=False)


@dataclass(frozen=True)
class Dataset(_Answer):
    """A table that was uploaded."""

    id: str
    name: str
    rows: int
    columns: tuple[str, ...]

    @classmethod
    def of(cls, raw: Json) -> Dataset:
        """Read an answer."""
        return cls(raw, raw["id"], raw["name"], raw["rows"], tuple(raw["columns"]))


@dataclass(frozen=True)
class Model(_Answer):
    """A model; ``accuracy`` and ``auc`` are on held-out rows, None where they are undefined."""

    id: str
    name: str
    dataset: str
    target: str
    accuracy: float | None
    auc: float | None

    @classmethod
    def of(cls, raw: Json) -> Model:
        """Read an answer."""
        held = raw["holdout"]
        return cls(raw, raw["id"], raw["name"], raw["dataset"], raw["target"], held["accuracy"], held["auc"])


@dataclass(frozen=True)
class Rule(_Answer):
    """A rule; its text says all."""

    id: str
    text: str
    outcome: str
    asserted: bool
    enabled: bool

    def __str__(self) -> str:
        return f"{self.id}: {self.text}"


@dataclass(frozen=True)
class RuleSet(_Answer):
    """A rule set at one revision, which is the ETag that the next edit is made from."""

    id: str
    model: str
    revision: str
    content: str
    rules: tuple[Rule, ...]
    default: str
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, raw: Json) -> RuleSet:
        """Read an answer."""
        rules = tuple(
            Rule(rule, rule["id"], rule["text"], rule["outcome"], rule["asserted"], rule["enabled"])
            for rule in raw["rules"]
        )
        warnings = tuple(raw["warnings"])
        return cls(raw, raw["id"], raw["model"], raw["revision"], raw["content"], rules, raw["default"], warnings)

    def __getitem__(self, rule: str) -> Rule:
        for found in self.rules:
            if found.id == rule:
                return found
        raise KeyError(rule)


@dataclass(frozen=True)
class Impact(_Answer):
    """What the hard overlay would change on a data set; ``flips`` counts by "from -> to".

    ``behind`` says which groups of sensitive columns fall behind, in words.
    """

    rows: int
    covered: int
    changed: int
    flips: Mapping[str, int]
    behind: tuple[str, ...]

    @classmethod
    def of(cls, raw: Json) -> Impact:
        """Read an answer."""
        behind = tuple(one["says"] for one in raw["behind"])
        return cls(raw, raw["rows"], raw["covered"], raw["changed"], raw["flips"], behind)


@dataclass(frozen=True)
class Conflict(_Answer):
    """Rules that meet and disagree; ``witness`` is a row that is in both."""

    rules: tuple[str, ...]
    outcomes: tuple[str, ...]
    resolved: bool
    witness: Json | None

    @classmethod
    def of(cls, raw: Json) -> Conflict:
        """Read an answer."""
        return cls(raw, tuple(raw["rules"]), tuple(raw["outcomes"]), raw["resolved"], raw["witness"])


@dataclass(frozen=True)
class Change(_Answer):
    """The smallest change of a row after which ``outcome`` is answered; ``values`` are (old, new) by feature.

    ``least`` says that no smaller change is enough; where it is False the search ended at its limit.
    """

    outcome: str
    values: Mapping[str, tuple[float | str | None, float | str | None]]
    distance: float
    least: bool

    @classmethod
    def of(cls, raw: Json) -> Change:
        """Read an answer."""
        values = {name: (value["from"], value["to"]) for name, value in raw["changes"].items()}
        return cls(raw, raw["outcome"], values, raw["distance"], raw["least"])


@dataclass(frozen=True)
class Nearest(_Answer):
    """The rule of another class that is nearest to a row; ``fails`` are its clauses that are false.

    ``rule`` is None for the default; ``held`` are the rules ahead of it that hold the row.
    """

    outcome: str
    rule: str | None
    fails: tuple[str, ...]
    held: tuple[str, ...]

    @classmethod
    def of(cls, raw: Json) -> Nearest:
        """Read an answer."""
        return cls(raw, raw["outcome"], raw["rule"], tuple(raw["fails"]), tuple(raw["held"]))


@dataclass(frozen=True)
class LocalView(_Answer):
    """One row as the rules and the model see it.

    ``rule`` decides by the rules, None is the default; ``outcome`` is what it says, None where it
    leaves the row to the model. ``around`` is the rule by which the model answers near the row. A
    change is None where none was found.
    """

    rule: str | None
    outcome: str | None
    model_outcome: str
    nearest: tuple[Nearest, ...]
    rules_change: Change | None
    model_change: Change | None
    around: str | None
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, raw: Json) -> LocalView:
        """Read an answer."""
        rules, model = raw["rules"], raw["model"]
        return cls(
            raw=raw,
            rule=rules["rule"],
            outcome=rules["outcome"],
            model_outcome=model["outcome"],
            nearest=tuple(map(Nearest.of, rules["nearest"])),
            rules_change=_change(rules["change"]),
            model_change=_change(model["change"]),
            around=None if model["around"] is None else model["around"]["text"],
            warnings=tuple(raw["warnings"]),
        )


def _change(raw: Json | None) -> Change | None:
    return None if raw is None else Change.of(raw)


@dataclass(frozen=True)
class Release(_Answer):
    """A model with the edits in force in one mode; ``report`` is what putting it in force measured."""

    id: str
    name: str
    ruleset: str
    revision: str
    mode: str
    state: str
    report: Json

    @classmethod
    def of(cls, raw: Json) -> Release:
        """Read an answer."""
        fields = (raw[name] for name in ("id", "name", "ruleset", "revision", "mode", "state", "report"))
        return cls(raw, *fields)


@dataclass(frozen=True)
class Decision(_Answer):
    """One row's answer; ``change`` says why the outcome isn't the model's own, None where it is."""

    outcome: str
    probabilities: Mapping[str, float]
    model_outcome: str | None
    rule: str | None
    by: str
    reasons: tuple[str, ...]
    reason_codes: tuple[str, ...]
    change: Json | None
    warnings: tuple[str, ...]
    release: str
    nearest: Json | None

    @classmethod
    def of(cls, raw: Json) -> Decision:
        """Read an answer."""
        return cls(
            raw=raw,
            outcome=raw["outcome"],
            probabilities=raw["probabilities"],
            model_outcome=raw["model_outcome"],
            rule=raw["rule"],
            by=raw["by"],
            reasons=tuple(raw["reasons"]),
            reason_codes=tuple(raw["reason_codes"]),
            change=raw["change"],
            warnings=tuple(raw["warnings"]),
            release=raw["release"],
            nearest=raw.get("nearest"),
        )


@dataclass(frozen=True)
class Decisions(_Answer, Sequence[Decision]):
    """The answers to a request, in the order of its rows, and what decided."""

    name: str
    release: str
    revision: str | None
    decisions: tuple[Decision, ...]

    @classmethod
    def of(cls, raw: Json) -> Decisions:
        """Read an answer."""
        decisions = tuple(map(Decision.of, raw["decisions"]))
        return cls(raw, raw["name"], raw["release"], raw["revision"], decisions)

    @overload
    def __getitem__(self, place: int) -> Decision: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Decision, ...]: ...
    def __getitem__(self, place: int | slice) -> Decision | tuple[Decision, ...]:
        return self.decisions[place]

    def __len__(self) -> int:
        return len(self.decisions)

    def __iter__(self) -> Iterator[Decision]:
        return iter(self.decisions)


@dataclass(frozen=True)
class Job(_Answer):
    """Long work as it stands; ``result`` is there once it succeeded, ``course`` has a retraining's rounds so far."""

    id: str
    kind: str
    state: str
    done: int
    of_all: int
    result: Json | None
    error: Json | None
    course: tuple[Json, ...]

    @classmethod
    def of(cls, raw: Json) -> Job:
        """Read an answer."""
        progress = raw["progress"]
        return cls(
            raw=raw,
            id=raw["id"],
            kind=raw["kind"],
            state=raw["state"],
            done=progress["done"],
            of_all=progress["of"],
            result=raw["result"],
            error=raw["error"],
            course=tuple(raw["course"]),
        )

    @property
    def ended(self) -> bool:
        """Whether it won't change any more."""
        return self.state in ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Trial(_Answer):
    """A release on trial; ``pairs`` counts rows by what was answered and what it says, ``differing`` those that differ.

    A canary's pairs are of its model's own outcome and what it answered.
    """

    release: str
    kind: str
    state: str
    share: float
    rows: int
    differing: int
    pairs: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, raw: Json) -> Trial:
        """Read an answer."""
        pairs = {(pair["outcome"], pair["trial_outcome"]): pair["rows"] for pair in raw["pairs"]}
        numbers = (raw["share"], raw["rows"], raw["differing"])
        return cls(raw, raw["release"], raw["kind"], raw["state"], *numbers, pairs)


@dataclass(frozen=True)
class Event(_Answer):
    """An event of the audit; ``payload`` says what changed, None once it was erased."""

    sequence: int
    time: str
    actor: str
    action: str
    subject: str
    reason: str
    payload: Json | None
    hash: str

    @classmethod
    def of(cls, raw: Json) -> Event:
        """Read an answer."""
        fields = (raw[name] for name in ("sequence", "time", "actor", "action", "subject", "reason", "payload", "hash"))
        return cls(raw, *fields)


@dataclass(frozen=True)
class Key(_Answer):
    """A key's record; ``text`` is the key itself, which only the answer that made it has."""

    id: str
    name: str
    roles: tuple[str, ...]
    expires: str | None
    revoked: str | None
    text: str | None = field(repr=False)

    @classmethod
    def of(cls, raw: Json) -> Key:
        """Read an answer."""
        ends = (raw["expires"], raw["revoked"])
        # Neither here nor in a notebook's output: whoever has the key says so.
        told = {name: value for name, value in raw.items() if name != "key"}
        return cls(told, raw["id"], raw["name"], tuple(raw["roles"]), *ends, raw.get("key"))


def release_id(release: Release | str) -> str:
    """The id of a release, or the one that is given."""
    return release if isinstance(release, str) else release.id
