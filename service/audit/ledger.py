"""The service's audit chain as the ledger of a bundle: handing one out is an event like any other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from ruleedit.bundle.verify import MAKING
from ruleedit.chain import Event, Head, SignedHead
from ruleedit.errors import Refused
from service.audit.heads import Heads
from service.people import Person
from service.store.records import Happened
from service.store.repository import Repository

#: A bundle holds the whole chain, because every event rests on the one before; so many are some 100 MiB.
MOST_EVENTS = 200_000


class ChainLedger:
    """The chain of a service, for one bundle that somebody asked for."""

    def __init__(self, repository: Repository, heads: Heads, by: Person) -> None:
        self._repository = repository
        self._heads = heads
        self._by = by

    @property
    def events(self) -> Sequence[Event]:
        """The chain as it stands; raises `Refused` where it is longer than a bundle holds."""
        found = tuple(islice(self._repository.events(), MOST_EVENTS + 1))
        if len(found) > MOST_EVENTS:
            raise Refused(
                f"the audit chain has more than {MOST_EVENTS:,} events, more than a bundle holds; "
                "make the bundle from the release's folder with ruleedit bundle"
            )
        return found

    def close(self, subject: str, bundle: str) -> tuple[Sequence[Event], Head | SignedHead]:
        """The chain up to the event that says this very bundle was handed out, which is made the first time."""
        made = self._made(subject, bundle) or self._make(subject, bundle)
        chain = self.events[: made.sequence]
        signed = self._heads.sign(Head(made.sequence, made.hash, made.time))
        self._heads.publish(self._repository.head)
        return chain, signed

    def _made(self, subject: str, bundle: str) -> Event | None:
        told = ((event, event.detail) for event in self.events if (event.action, event.subject) == (MAKING, subject))
        return next((event for event, detail in told if detail is not None and detail.get("bundle") == bundle), None)

    def _make(self, subject: str, bundle: str) -> Event:
        with self._repository.change(self._by) as change:
            change.happened(Happened(MAKING, subject, "", {"bundle": bundle}))
        assert change.sealed is not None
        return change.sealed
