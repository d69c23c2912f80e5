"""The audit chain: what is sound, and that nothing can be changed, left out, added, moved or cut off unseen."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleedit.chain import (
    ERASURE,
    START,
    Event,
    Head,
    SignedHead,
    Verdict,
    erase,
    new_key,
    seal,
    sign_head,
    verify_chain,
    verify_head,
)
from ruleedit.errors import FileRefused
from tests.strategies import Dice

TEXTS = ("id", "time", "actor", "role", "action", "subject", "reason", "payload_hash", "previous", "hash")


def sealed(previous: Event | None, **more: Any) -> Event:
    """An event of an edit after another one."""
    number = 1 if previous is None else previous.sequence + 1
    fields: dict[str, Any] = {
        "id": f"e{number}", "time": "2026-01-01T00:00:00.000Z", "actor": "kim", "role": "analyst",
        "action": "edit rules", "subject": "ruleset-1", "reason": f"because {number}", "payload": {"edits": [number]},
    }  # fmt: skip
    return seal(previous=previous, **fields | more)


def chain(length: int, **more: Any) -> list[Event]:
    """A chain of so many events."""
    found: list[Event] = []
    for _ in range(length):
        found.append(sealed(found[-1] if found else None, **more))
    return found


def head_of(events: list[Event]) -> Head:
    """Where a chain stands."""
    return Head(len(events), events[-1].hash if events else START, "2026-01-01T00:00:00.000Z")


# --- sound chains ----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 2, 50])
def test_a_chain_as_it_was_sealed_is_sound(length: int) -> None:
    """With and without its head; so is one that has grown since the head was published."""
    events = chain(length)
    for head in (None, head_of(events)):
        assert verify_chain(events, head) == Verdict(length, 0, head_of(events).hash)
    grown = [*events, sealed(events[-1] if events else None)]
    assert verify_chain(grown, head_of(events)).ok


def test_an_event_is_hashed_as_anybody_can() -> None:
    """SHA-256 over plain JSON, with nothing but the standard library."""
    first, second = chain(2)
    told = [2, second.id, second.time, second.actor, second.role, second.action, second.subject, second.reason]
    assert second.payload_hash == hashlib.sha256(f"{second.salt}{second.payload}".encode()).hexdigest()
    text = json.dumps([*told, second.payload_hash, first.hash], separators=(",", ":"), ensure_ascii=False)
    assert second.hash == hashlib.sha256(text.encode()).hexdigest()
    assert (first.previous, second.previous) == (START, first.hash)


@given(
    st.text(), st.text(), st.dictionaries(st.text(), st.none() | st.integers() | st.floats(allow_nan=False) | st.text())
)
def test_any_text_can_be_sealed(actor: str, reason: str, payload: dict[str, Any]) -> None:
    """Quotes, control characters, emoji, half surrogates."""
    payload = {key: value for key, value in payload.items() if value not in (float("inf"), float("-inf"))}
    event = sealed(None, actor=actor, reason=reason, payload=payload)
    assert verify_chain([event]).ok
    assert event.detail == payload


def test_what_is_no_json_can_t_be_sealed() -> None:
    """NaN is no number in JSON."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        sealed(None, payload={"x": float("nan")})


def test_the_same_payload_has_another_hash_each_time() -> None:
    """The salt is random, so that an erased payload can't be guessed from its hash."""
    assert sealed(None).payload_hash != sealed(None).payload_hash


# --- erasure ---------------------------------------------------------------------------------


def test_erased_payloads_leave_a_sound_chain() -> None:
    """Payload and salt are gone, a later event names them, and every hash still holds."""
    events = chain(6)
    events.append(sealed(events[-1], action=ERASURE, payload={"erased": [[2, 3], [5, 5]]}))
    for place in (2, 3, 5):
        events[place - 1] = erase(events[place - 1])
    assert "edits" not in str(events[1])
    assert verify_chain(events, head_of(events)) == Verdict(7, 3, events[-1].hash)


def test_a_payload_that_nobody_erased_is_missed() -> None:
    """Dropping one without an event that names it is a tampering, and so is naming it in advance."""
    events = chain(4)
    named_before = [sealed(None, action=ERASURE, payload={"erased": [[1, 9]]})]
    named_before += [sealed(named_before[0])]
    for damaged, place in (
        ([*events[:2], erase(events[2]), events[3]], 3),
        ([named_before[0], erase(named_before[1])], 2),
    ):
        verdict = verify_chain(damaged)
        assert (verdict.ok, verdict.bad) == (False, place)
        assert "no later event" in str(verdict.problem)


@pytest.mark.parametrize("erased", [None, 1, [1], [[1]], [["a", "b"]], [[True, True]]])
def test_an_erasure_that_names_nothing_readable_names_nothing(erased: Any) -> None:
    """What isn't a list of [first, last] erases nothing."""
    first = sealed(None)
    assert not verify_chain([erase(first), sealed(first, action=ERASURE, payload={"erased": erased})]).ok


def test_an_erasure_itself_is_never_erased() -> None:
    """Its payload says what is gone."""
    event = sealed(None, action=ERASURE, payload={"erased": []})
    with pytest.raises(ValueError, match="its own payload stays"):
        erase(event)
    later = sealed(event, action=ERASURE, payload={"erased": [[1, 1]]})
    assert not verify_chain([replace(event, payload=None, salt=None), later]).ok


# --- tampering -------------------------------------------------------------------------------


def flipped(text: str, dice: Dice) -> str:
    """A text with one character changed."""
    place = dice.number(0, len(text) - 1)
    return text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]


def flip(events: list[Event], dice: Dice) -> list[Event]:
    """One character of one field is another."""
    place = dice.number(0, len(events) - 1)
    field = dice.pick((*TEXTS, "payload", "salt", "sequence"))
    old = getattr(events[place], field)
    new = old + dice.pick((-1, 1)) if field == "sequence" else flipped(old, dice)
    return [*events[:place], replace(events[place], **{field: new}), *events[place + 1 :]]


def delete(events: list[Event], dice: Dice) -> list[Event]:
    """One event is left out."""
    place = dice.number(0, len(events) - 1)
    return events[:place] + events[place + 1 :]


def swap(events: list[Event], dice: Dice) -> list[Event]:
    """Two events change places, with or without their numbers."""
    first = dice.number(0, len(events) - 2)
    second = dice.number(first + 1, len(events) - 1)
    moved = list(events)
    moved[first], moved[second] = events[second], events[first]
    if dice.number(0, 1):
        moved[first] = replace(moved[first], sequence=first + 1)
        moved[second] = replace(moved[second], sequence=second + 1)
    return moved


def insert(events: list[Event], dice: Dice) -> list[Event]:
    """An event is put in, sealed as it should be, with the later ones as they were or numbered anew."""
    place = dice.number(0, len(events) - 1)
    forged = sealed(events[place - 1] if place else None, actor="mallory")
    later = events[place:]
    if dice.number(0, 1):
        later = [replace(event, sequence=event.sequence + 1) for event in later]
    return [*events[:place], forged, *later]


def truncate(events: list[Event], dice: Dice) -> list[Event]:
    """The end is cut off."""
    return events[: dice.number(0, len(events) - 1)]


def restore(events: list[Event], dice: Dice) -> list[Event]:
    """An old copy of the whole, to which other events were added since: as many as there were, or more."""
    old = truncate(events, dice)
    while len(old) < len(events) + dice.number(0, 2):
        old.append(sealed(old[-1] if old else None, actor="mallory"))
    return old


def rewrite(events: list[Event], dice: Dice) -> list[Event]:
    """One event is another and every later one is sealed anew, as somebody with all of the store could do."""
    place = dice.number(0, len(events) - 1)
    made = events[:place]
    for event in events[place:]:
        made.append(sealed(made[-1] if made else None, reason=event.reason + ("!" if event is events[place] else "")))
    return made


def unsalt(events: list[Event], dice: Dice) -> list[Event]:
    """A payload, a salt or both are gone, and nothing names them."""
    place = dice.number(0, len(events) - 1)
    gone = dice.pick((("payload",), ("salt",), ("payload", "salt")))
    return [*events[:place], replace(events[place], **dict.fromkeys(gone)), *events[place + 1 :]]


TAMPERINGS = (flip, delete, swap, insert, truncate, restore, rewrite, unsalt)


def test_every_tampering_is_found(count: Callable[[int, int], int]) -> None:
    """1,000 of 1,000, given the published head; the verdict names a place that isn't behind the damage."""
    events = chain(12)
    head = head_of(events)
    for number in range(count(1_000, 10_000)):
        tampered = TAMPERINGS[number % len(TAMPERINGS)](events, Dice(number))
        verdict = verify_chain(tampered, head)
        assert tampered != events
        assert not verdict.ok, (number, tampered)
        assert verdict.bad is not None
        assert verdict.events == 0 or verdict.head in {event.hash for event in tampered}


def test_without_a_head_a_cut_off_end_is_sound() -> None:
    """That is why the head is published elsewhere."""
    events = chain(5)
    assert verify_chain(events[:3]).ok
    assert "cut off" in str(verify_chain(events[:3], head_of(events)).problem)
    assert "written anew" in str(verify_chain(rewrite(events, Dice(1)), head_of(events)).problem)


def test_the_first_bad_event_is_named() -> None:
    """With what is wrong there."""
    events = chain(5)
    changed = [*events[:2], replace(events[2], reason="another"), *events[3:]]
    assert verify_chain(changed) == Verdict(2, 0, events[1].hash, 3, "event 3 isn't what its hash says: it was changed")
    assert verify_chain([*events[:1], *events[2:]]).bad == 2


def test_a_million_events_are_verified_in_ten_seconds(count: Callable[[int, int], int]) -> None:
    """Of a processor's time; one event at a time, so that memory doesn't grow with them."""
    made = chain(
        count(100_000, 1_000_000), payload={"edits": ["set R3 age > 26"], "before": "a" * 64, "after": "b" * 64}
    )

    def read() -> Iterator[Event]:
        yield from made

    began = time.process_time()
    assert verify_chain(read(), head_of(made)).events == len(made)
    assert time.process_time() - began <= 10


# --- heads -----------------------------------------------------------------------------------


def test_a_signed_head_is_checked_by_its_key() -> None:
    """Another key, another signature or another head isn't it."""
    head, key = head_of(chain(3)), new_key()
    signed = sign_head(head, key)
    assert verify_head(signed)
    assert verify_head(signed, signed.key.upper())
    assert not verify_head(signed, sign_head(head, new_key()).key)
    for damaged in (
        replace(signed, head=replace(head, sequence=4)),
        replace(signed, head=replace(head, time="2027")),
        replace(signed, signature="00" * 64),
        replace(signed, signature="no hex"),
        replace(signed, key="ab"),
    ):
        assert not verify_head(damaged)


def test_a_published_head_reads_back() -> None:
    """As one flat JSON object."""
    signed = sign_head(Head(0, START, "2026"), new_key())
    told = json.loads(json.dumps(signed.to_json()))
    assert sorted(told) == ["hash", "key", "sequence", "signature", "time"]
    assert SignedHead.from_json(told) == signed


@pytest.mark.parametrize("data", [None, [], {}, {"sequence": True, "hash": "", "time": "", "key": "", "signature": ""}])
def test_what_is_no_published_head_is_refused(data: Any) -> None:
    """With what one holds."""
    with pytest.raises(FileRefused, match="sequence, hash, time, key, signature"):
        SignedHead.from_json(data)


def test_the_head_of_nothing_is_of_the_start() -> None:
    """A head of sequence 0 with another hash is a forgery."""
    assert verify_chain([], Head(0, START, "")).ok
    assert not verify_chain([], Head(0, "ab", "")).ok
