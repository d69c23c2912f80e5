"""The audit bundle: one zip for each release, with everything that was decided and the means to check it.

`bundle` makes it from a release; `check` checks one, as ``verify.py``, which is in every bundle, does with nothing but
the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from ruleedit.bundle import verify
from ruleedit.bundle.card import Card, card_html
from ruleedit.bundle.contents import Choices, contents, pretty
from ruleedit.bundle.effect import measure
from ruleedit.bundle.events import History, Ledger, event_line, release_payload
from ruleedit.chain import Event, SignedHead, verify_head
from ruleedit.errors import FileRefused, Refused
from ruleedit.release import Release, release_files

__all__ = ["Bundle", "Card", "Choices", "Ledger", "bundle", "card", "check", "release_name", "release_payload"]


@dataclass(frozen=True)
class Bundle:
    """A bundle's bytes, the head to publish, and the files in it with what was refused."""

    content: bytes
    head: str
    files: tuple[str, ...]
    refused: dict[str, str]


def bundle(
    release: Release,
    choices: Choices | None = None,
    *,
    name: str | None = None,
    ledger: Ledger | None = None,
    key: str | None = None,
) -> Bundle:
    """Make a release's bundle; the same release, choices and events give the same bytes.

    ``ledger`` keeps the events; without one the chain is made of the release's own history, whose
    head ``key`` (an Ed25519 private key, 32 bytes in hex) signs. The chain's last event names the
    bundle's files. Raises `Refused` for a model without edits.
    """
    named = name or release_name(release)
    chosen = choices or Choices()
    if release.draft is None:
        raise Refused("a model without edits has no audit bundle; give a release that apply has written")
    ledger = ledger or History(release, named, key)
    files = contents(release, named, replace(chosen, more={**chosen.more, **_approvals(ledger.events)}))
    chain, head = ledger.close(named, verify.digest(files[verify.MANIFEST]))
    files[verify.EVENTS] = "".join(f"{event_line(event)}\n" for event in chain).encode("utf-8", "surrogatepass")
    stated = head.to_json() if isinstance(head, SignedHead) else asdict(head)
    files[verify.HEAD] = (json.dumps(stated, indent=2) + "\n").encode()
    refused = json.loads(files[verify.MANIFEST])["exports_refused"]
    return Bundle(verify.packed(files), chain[-1].hash, tuple(sorted(files)), refused)


def card(release: Release, choices: Choices | None = None) -> str:
    """A release's model card as an HTML page; raises `Refused` for a model without edits."""
    chosen = choices or Choices()
    if release.draft is None:
        raise Refused("a model without edits has no card; give a release that apply has written")
    evidence = None if chosen.without_rows else release.evidence
    return card_html(release, chosen.card, None if evidence is None else measure(release, evidence, chosen.groups))


def check(content: bytes, head: str | None = None, key: str | None = None) -> verify.Verdict:
    """Check a bundle against itself, and against a head or a signer's key from elsewhere.

    No code of the bundle is run. Raises `FileRefused` where it is no bundle.
    """
    try:
        verdict = verify.verify(content, head, key)
    except verify.Unreadable as problem:
        raise FileRefused(f"the bundle can't be read: {problem}") from None
    if not verdict.wrong and not _signature_stands(content, key):
        return verdict._replace(wrong=[f"the signature of {verify.HEAD} doesn't hold"], proved=False)
    return verdict


def _signature_stands(content: bytes, key: str | None) -> bool:
    """What another implementation of Ed25519 says of the signature; a head without one stands."""
    stated = verify.read_json(verify.unpacked(content)[verify.HEAD])
    return "signature" not in stated or verify_head(SignedHead.from_json(stated), key)


def release_name(release: Release) -> str:
    """What names a release that no service knows: the hash of its record."""
    return verify.digest(release_files(release)["release.json"])


def _approvals(events: Sequence[Event]) -> dict[str, bytes]:
    """Who approved what, from the events."""
    told = [
        {
            "event": event.sequence,
            "action": event.action,
            "subject": event.subject,
            "by": event.actor,
            "role": event.role,
            "time": event.time,
            "reason": event.reason,
        }
        for event in events
        if event.action.startswith(("approve", "reject"))
    ]
    return {"approvals.json": pretty(told)}
