"""The chain of a release that no service kept: its own history, step by step, sealed as events.

A rule file holds no time, so these events have none; salts come from the revisions, so that the same release gives the
same chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from ruleedit.bundle import verify
from ruleedit.chain import Event, Head, SignedHead, seal, sign_head
from ruleedit.drafts import Draft, Step
from ruleedit.formats import canonical
from ruleedit.models import TableModel
from ruleedit.release import Release

#: What such events give as the role of who did it: nobody's credential was asked for.
ROLE = "command line"


class Ledger(Protocol):
    """What keeps the events of a release: a service's database, or the release's own history."""

    @property
    def events(self) -> Sequence[Event]:
        """The chain from its first event on, as it stands."""

    def close(self, subject: str, bundle: str) -> tuple[Sequence[Event], Head | SignedHead]:
        """The chain with a last event of the action `verify.MAKING` that names a bundle's list of files by its hash."""


class History:
    """The ledger of a release that was made on the command line; ``key`` (Ed25519, hex) signs its head."""

    def __init__(self, release: Release, name: str, key: str | None = None) -> None:
        self._events: list[Event] = []
        self._key = key
        self._begin(release, name)

    @property
    def events(self) -> Sequence[Event]:
        """The chain so far."""
        return tuple(self._events)

    def close(self, subject: str, bundle: str) -> tuple[Sequence[Event], Head | SignedHead]:
        """The chain and its head; closing it again gives the same."""
        before = list(self._events)
        self._add(verify.MAKING, subject, {"bundle": bundle})
        closed, self._events = self.events, before
        head = Head(closed[-1].sequence, closed[-1].hash, "")
        return closed, head if self._key is None else sign_head(head, self._key)

    def _begin(self, release: Release, name: str) -> None:
        assert release.draft is not None
        draft, model = release.draft, release.before or release.model
        self._add("adopt model" if model.adopted else "train model", model.file.hash, _model_payload(model))
        base = Draft(draft.schema, draft.base, draft.base)
        extracted = {"revision": base.revision, "content": base.content, "method": str(draft.origin.get("method", ""))}
        self._add("extract rules", base.revision, extracted)
        for step, told in zip(draft.history, canonical.to_json(draft)["history"], strict=True):
            self._add(_action(step), step.revision, told, actor=step.author, reason=step.reason)
        self._add("make release", name, release_payload(release))

    def _add(self, action: str, subject: str, payload: Mapping[str, Any], *, actor: str = "", reason: str = "") -> None:
        """Seal an event; its id and its salt come from what it says."""
        place = verify.content_hash([len(self._events), action, subject, dict(payload)])
        sealed = seal(
            previous=self._events[-1] if self._events else None,
            id=place[:32],
            time="",
            actor=actor,
            role=ROLE,
            action=action,
            subject=subject,
            reason=reason,
            payload=payload,
            salt=hashlib.sha256(f"salt {place}".encode()).hexdigest()[:32],
        )
        self._events.append(sealed)


def _model_payload(model: TableModel) -> dict[str, Any]:
    return {
        "model_sha256": model.file.hash,
        "schema_sha256": model.schema.hash,
        "fingerprint": model.background.fingerprint,
        "rows": model.background.rows,
        "seed": model.seed,
    }


def release_payload(release: Release) -> dict[str, Any]:
    """What the event of a release says: what it was made of, as hashes, and what it did."""
    assert release.draft is not None
    told: dict[str, Any] = {
        "mode": release.mode,
        "strategy": release.strategy,
        "model_sha256": release.model.file.hash,
        "revision": release.draft.revision,
        "content": release.draft.content,
        "schema_sha256": release.schema.hash,
        "report_sha256": verify.content_hash(dict(release.report)),
    }
    if release.before is not None:
        told["before_sha256"] = release.before.file.hash
    if release.evidence is not None:
        told["evidence"] = release.evidence.to_json()
    return told


def event_line(event: Event) -> str:
    """An event as a line of the bundle."""
    return verify.spelled(asdict(event))


def _action(step: Step) -> str:
    return "settle conflicts" if step.edit.startswith("resolve ") else "edit rules"
