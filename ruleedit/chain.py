"""The audit chain: events sealed one to the next, checked from the first to a published head.

Each event's hash covers the hash of the one before it, so that nothing in the middle can be changed,
left out, added or moved unseen. What could be cut off unseen is the end; a head that was published
elsewhere shows that. A payload stands outside of the hash and is covered by a salted hash of its own:
dropped together with its salt it is gone for good, and the chain still verifies (B. Schneier,
J. Kelsey, *Secure Audit Logs to Support Computer Forensics*, 1999, for hash chains with commitments).
A payload that is gone must be named by a later event of the action `ERASURE`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from json.encoder import encode_basestring
from typing import Any

from ruleedit.errors import FileRefused
from ruleedit.schema import canonical_json

#: What the first event gives as the hash of the one before it.
START = "0" * 64
#: The action of the event that names payloads that were erased: its payload's `erased` lists [first, last] sequences.
ERASURE = "erase payloads"


@dataclass(frozen=True, slots=True)
class Event:
    """One sealed event.

    ``sequence`` counts from 1, ``time`` is RFC 3339 in UTC. ``payload`` is canonical JSON text, hashed as it
    stands after ``salt``; both are None once it was erased. ``previous`` and ``hash`` are SHA-256 in hex.
    """

    sequence: int
    id: str
    time: str
    actor: str
    role: str
    action: str
    subject: str
    reason: str
    payload_hash: str
    salt: str | None
    payload: str | None
    previous: str
    hash: str

    @property
    def detail(self) -> dict[str, Any] | None:
        """The payload as an object; None once it was erased."""
        found: dict[str, Any] | None = None if self.payload is None else json.loads(self.payload)
        return found


@dataclass(frozen=True)
class Head:
    """Where a chain stood at a time: its last event's sequence and hash; sequence 0 and `START` before the first."""

    sequence: int
    hash: str
    time: str


@dataclass(frozen=True)
class SignedHead:
    """A head with an Ed25519 signature and the public key that checks it, both in hex."""

    head: Head
    key: str
    signature: str

    def to_json(self) -> dict[str, Any]:
        """As it is published: one flat object."""
        return asdict(self.head) | {"key": self.key, "signature": self.signature}

    @classmethod
    def from_json(cls, data: Any) -> SignedHead:
        """Read a published head; raises `FileRefused`."""
        names = {"sequence": int, "hash": str, "time": str, "key": str, "signature": str}
        if not isinstance(data, Mapping) or any(type(data.get(name)) is not kind for name, kind in names.items()):
            raise FileRefused(f"a published head is a JSON object with {', '.join(names)}")
        return cls(Head(data["sequence"], data["hash"], data["time"]), data["key"], data["signature"])


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    ``events`` is how many were found sound, ``erased`` how many of them have no payload any more, ``head``
    the hash of the last sound one. Where something is wrong ``bad`` is the place in the chain, counted from
    1, at which it shows first, and ``problem`` says what it is.
    """

    events: int
    erased: int
    head: str
    bad: int | None = None
    problem: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None


def seal(
    *,
    previous: Event | None,
    id: str,
    time: str,
    actor: str,
    role: str,
    action: str,
    subject: str,
    reason: str,
    payload: Mapping[str, Any],
    salt: str | None = None,
) -> Event:
    """Make the event that follows ``previous`` (None: the first one); the salt is random unless given.

    Raises `ValueError` where the payload is no JSON.
    """
    text = canonical_json(payload)
    salt = secrets.token_hex(16) if salt is None else salt
    sequence, before = (1, START) if previous is None else (previous.sequence + 1, previous.hash)
    sealed = _payload_hash(salt, text)
    found = _hash(sequence, id, time, actor, role, action, subject, reason, sealed, before)
    return Event(sequence, id, time, actor, role, action, subject, reason, sealed, salt, text, before, found)


def erase(event: Event) -> Event:
    """The event without its payload and salt; its hashes stay. Raises `ValueError` for one that names erasures."""
    if event.action == ERASURE:
        raise ValueError(f"event {event.sequence} names what was erased; its own payload stays")
    return replace(event, salt=None, payload=None)


def verify_chain(events: Iterable[Event], head: Head | None = None) -> Verdict:
    """Check a chain from its first event on; with ``head``, that it still holds what was published.

    ``events`` may be any iterable: one event is held at a time. Without a head a chain whose end was cut
    off, or an old copy of the whole, is sound: nothing in it says that more was there.
    """
    place, erased, last = 0, 0, START
    missing: set[int] = set()
    for event in events:
        place += 1
        problem = _problem(event, place, last)
        if problem is None and head is not None and place == head.sequence and event.hash != head.hash:
            problem = f"event {place} isn't the one that was published: the history was written anew"
        if problem is not None:
            return Verdict(place - 1, erased, last, place, problem)
        last = event.hash
        if event.payload is None:
            erased += 1
            missing.add(place)
        elif missing and event.action == ERASURE:
            missing -= _named(event)
    problem = _end_problem(place, last, missing, head)
    bad = None if problem is None else min(missing, default=place + 1)
    return Verdict(place, erased, last, bad, problem)


def sign_head(head: Head, private_key: str) -> SignedHead:
    """Sign a head with an Ed25519 key, 32 bytes in hex."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private_key))
    return SignedHead(head, key.public_key().public_bytes_raw().hex(), key.sign(_signed(head)).hex())


def verify_head(signed: SignedHead, public_key: str | None = None) -> bool:
    """Whether a head's signature is its key's, and the key is ``public_key`` (hex) where one is given.

    Without one it only says that the head is as it was signed, not by whom.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if public_key is not None and signed.key != public_key.lower():
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed.key))
        key.verify(bytes.fromhex(signed.signature), _signed(signed.head))
    except (InvalidSignature, ValueError):
        return False
    return True


def new_key() -> str:
    """A fresh Ed25519 private key: 32 bytes in hex."""
    return secrets.token_hex(32)


def _problem(event: Event, place: int, last: str) -> str | None:
    """What is wrong with one event at its place after an event of the hash ``last``."""
    e = event
    if e.sequence != place:
        return f"event {e.sequence} stands where event {place} belongs: events are missing, added or moved"
    if e.previous != last:
        return f"event {place} doesn't follow the one before it: its previous hash is another"
    if _hash(place, e.id, e.time, e.actor, e.role, e.action, e.subject, e.reason, e.payload_hash, last) != e.hash:
        return f"event {place} isn't what its hash says: it was changed"
    if e.payload is None or e.salt is None:
        whole = e.payload is None and e.salt is None and e.action != ERASURE
        return None if whole else f"event {place} has lost a part of its payload"
    if _payload_hash(e.salt, e.payload) != e.payload_hash:
        return f"the payload of event {place} isn't what its hash says: it was changed"
    return None


def _end_problem(events: int, last: str, missing: set[int], head: Head | None) -> str | None:
    if missing:
        return f"the payload of event {min(missing)} is gone, and no later event of the action {ERASURE!r} names it"
    if head is not None and head.sequence > events:
        return (
            f"the chain ends with event {events}, and event {head.sequence} was published: "
            "its end was cut off, or this is an old copy"
        )
    if head is not None and head.sequence == 0 and head.hash != START:
        return "the published head is of no event"
    return None


def _named(event: Event) -> set[int]:
    """The sequences that an erasure names; none where its payload isn't as `ERASURE` says."""
    spans = (event.detail or {}).get("erased")
    if not isinstance(spans, list):
        return set()
    return {
        sequence
        for span in spans
        if isinstance(span, list) and len(span) == 2 and all(type(end) is int for end in span)
        # No event after the erasure is named by it.
        for sequence in range(max(span[0], 1), min(span[1], event.sequence - 1) + 1)
    }


def _payload_hash(salt: str, payload: str) -> str:
    return hashlib.sha256((salt + payload).encode("utf-8", "surrogatepass")).hexdigest()


def _hash(sequence: int, *texts: str) -> str:
    # The canonical JSON of [sequence, *texts], spelled out: four times as fast, and a chain has a million.
    line = f"[{sequence},{','.join(map(encode_basestring, texts))}]"
    return hashlib.sha256(line.encode("utf-8", "surrogatepass")).hexdigest()


def _signed(head: Head) -> bytes:
    return canonical_json(["ruleedit-head-1", head.sequence, head.hash, head.time]).encode()
