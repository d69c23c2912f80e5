"""The audit: the chain of events read, checked, published, and rid of personal data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from ruleedit.chain import ERASURE, Event, verify_chain
from ruleedit.errors import FileRefused, Refused
from service.audit.heads import Heads
from service.once import Once
from service.people import SERVICE, Person
from service.store.records import Happened, Why
from service.store.repository import Repository, text_of

RETENTION = "payloads are kept for the days that the settings say"


class Audit:
    """The audit chain of one service, and its published heads."""

    def __init__(self, repository: Repository, heads: Heads, once: Once, clock: Callable[[], datetime]) -> None:
        self._repository = repository
        self._heads = heads
        self._once = once
        self._clock = clock

    def page(self, limit: int, before: int | None, **filters: str | None) -> dict[str, Any]:
        """Part of the events, newest first; see `Repository.event_page` for the filters."""
        events, more = self._repository.event_page(limit, before, **filters)
        return {"items": [event_view(event) for event in events], "next": None if more is None else str(more)}

    def verify(self) -> dict[str, Any]:
        """Check the whole chain against the last published head."""
        try:
            published = self._heads.last()
        except FileRefused as problem:
            return self._verdict(None, str(problem))
        return self._verdict(published, None)

    def publish(self) -> None:
        """Sign where the chain stands and append it to the published heads; raises `FileRefused`."""
        self._heads.publish(self._repository.head)

    def erase(self, sequences: Iterable[int], reason: Why, *, by: Person) -> dict[str, Any]:
        """Drop the payloads of events for good; the chain still verifies, and an event names them.

        Raises `Refused` for events that there are not, or that name erasures themselves.
        """
        wanted = sorted(set(sequences))
        with self._once.attempt("erase payloads", wanted, reason) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            kept = dict(self._repository.with_payload(among=wanted))
            for sequence in wanted:
                if kept.get(sequence, ERASURE) == ERASURE:
                    raise Refused(f"event {sequence} has no payload that can be erased; GET /v1/audit lists the events")
            return dict(self._erase(wanted, reason, by, attempt.answer))

    def retain(self, days: int) -> int:
        """Drop the payloads that are older than so many days, none where it is 0; returns how many."""
        if days == 0:
            return 0
        limit = text_of(self._clock() - timedelta(days=days))
        old = [sequence for sequence, action in self._repository.with_payload(before=limit) if action != ERASURE]
        if old:
            self._erase(old, f"{RETENTION}: {days}", SERVICE, lambda change, reply: reply)
        return len(old)

    def _erase(self, sequences: list[int], reason: Why, by: Person, answer: Callable[[Any, Any], Any]) -> Any:
        spans = _spans(sequences)
        with self._repository.change(by) as change:
            if not change.erase(spans):
                raise Refused("these payloads were erased meanwhile; GET /v1/audit lists the events")
            change.happened(Happened(ERASURE, "audit", reason, {"erased": spans}))
            assert change.sealed is not None
            return answer(change, {"erased": len(sequences), "event": event_view(change.sealed)})

    def _verdict(self, published: Any, problem: str | None) -> dict[str, Any]:
        found = verify_chain(self._repository.events(), None if published is None else published.head)
        return {
            "ok": found.ok and problem is None,
            "events": found.events,
            "erased": found.erased,
            "head": found.head,
            "bad": found.bad,
            "problem": found.problem or problem,
            "published": None if published is None else published.to_json(),
            "key": self._heads.key,
        }


def event_view(event: Event) -> dict[str, Any]:
    """An event as the API gives it: with its payload as an object, null where it was erased."""
    return asdict(event) | {"payload": event.detail}


def _spans(sequences: list[int]) -> list[list[int]]:
    """Sorted numbers as runs of [first, last]."""
    spans: list[list[int]] = []
    for sequence in sequences:
        if spans and spans[-1][1] == sequence - 1:
            spans[-1][1] = sequence
        else:
            spans.append([sequence, sequence])
    return spans
