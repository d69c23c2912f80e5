"""Trials, the audit and keys: what watches over a service and who may use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ruleedit.client.answers import Event, Key, Release, Trial, release_id
from ruleedit.client.transport import Transport, pages


class Trials:
    """Releases on trial: in shadow of the one in service, or as its canary."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def shadow(self, release: Release | str, *, reason: str, **more: str) -> Trial:
        """Have it decide, unseen, whatever is decided under its name; differences are counted."""
        return self._begin(release, "shadow", {"reason": reason, **more})

    def canary(self, release: Release | str, share: float, *, reason: str, **more: str) -> Trial:
        """Have it decide a share of the rows."""
        return self._begin(release, "canary", {"share": share, "reason": reason, **more})

    def get(self, release: Release | str, kind: str) -> Trial:
        """What was counted so far; ``kind`` is shadow or canary."""
        return Trial.of(self._transport.get(f"/v1/releases/{release_id(release)}/{kind}"))

    def end(self, release: Release | str, kind: str, *, reason: str, **more: str) -> Trial:
        """Leave every row to the release in service again; the answer is what was counted."""
        return self._begin(release, f"{kind}/end", {"reason": reason, **more})

    def _begin(self, release: Release | str, step: str, body: Mapping[str, Any]) -> Trial:
        return Trial.of(self._transport.post(f"/v1/releases/{release_id(release)}/{step}", body))


class AuditTrail:
    """The audit: what happened, and whether the record of it is whole."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, **of: str | None) -> Iterator[Event]:
        """The events, newest first; ``of`` as in the API: subject, actor, action, since, until."""
        return map(Event.of, pages(self._transport, "/v1/audit", **of))

    def verify(self) -> Mapping[str, Any]:
        """Check the whole chain: ``ok``, the ``head``, and where something is wrong the ``problem``."""
        found: Mapping[str, Any] = self._transport.get("/v1/audit/verify")
        return found

    def erase(self, events: Sequence[int], *, reason: str, **more: str) -> int:
        """Drop the payloads of events for good; how many were erased."""
        body = {"events": list(events), "reason": reason, **more}
        return int(self._transport.post("/v1/audit/erasures", body)["erased"])


class Keys:
    """Keys of people and systems, for admins."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def issue(self, name: str, roles: Sequence[str], **more: str) -> Key:
        """Make a key; only this answer has it, as ``text``. ``more`` as in the API: expires, reason."""
        # Without an Idempotency-Key, which this route doesn't take, a lost answer isn't asked for again.
        body = {"name": name, "roles": list(roles), **more}
        return Key.of(self._transport.send("POST", "/v1/keys", json=body, tries=1).json())

    def list(self) -> Iterator[Key]:
        """Every key that was ever issued, newest first."""
        return map(Key.of, pages(self._transport, "/v1/keys"))

    def revoke(self, key: Key | str, *, reason: str, **more: str) -> Key:
        """Let a key open nothing any more."""
        name = key if isinstance(key, str) else key.id
        return Key.of(self._transport.post(f"/v1/keys/{name}/revoke", {"reason": reason, **more}))
