"""The audit: what happened, whether the record of it is whole, and erasure of personal data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Query

from service.api.bodies import AuditVerdict, ErasureAsked, ErasureBody, EventBody, PageOf
from service.api.common import WRITE, Asking, By, Work, refuses
from service.errors import RequestInvalid
from service.store.repository import text_of

router = APIRouter(prefix="/v1/audit", tags=["audit"])
Subject: TypeAlias = Annotated[str | None, Query(max_length=200, description="The id of what it happened to.")]
Actor: TypeAlias = Annotated[str | None, Query(max_length=200, description="The name of who did it.")]
Action: TypeAlias = Annotated[str | None, Query(max_length=200, description="What was done, as events have it.")]
Moment: TypeAlias = Annotated[
    str | None,
    Query(
        max_length=40, pattern=r"^\d{4}-\d\d-\d\d", description="RFC 3339, or the start of one; in UTC unless it says."
    ),
]


@router.get("", response_model=PageOf[EventBody], responses=refuses(), summary="List what happened")
def list_events(
    work: Work,
    page: Asking,
    subject: Subject = None,
    actor: Actor = None,
    action: Action = None,
    since: Moment = None,
    until: Moment = None,
) -> dict[str, Any]:
    """The events, newest first: who did what to what, when and why, with the hashes that chain them.

    Of one subject, actor or action where these are named; from the moment `since` on and before `until`.
    """
    times = {"since": _moment(since, "since"), "until": _moment(until, "until")}
    return work.audit.page(page.limit, page.before, subject=subject, actor=actor, action=action, **times)


def _moment(text: str | None, name: str) -> str | None:
    """A moment as the events have it, which are compared as texts; raises `RequestInvalid`."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return text_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise RequestInvalid(f"query.{name}: {text!r} is no moment; 2026-11-30 or 2026-11-30T10:00:00Z is") from None


@router.get("/verify", response_model=AuditVerdict, responses=refuses(), summary="Is the record whole?")
def verify_events(work: Work) -> dict[str, Any]:
    """Check every event from the first on, and that the last published head is among them.

    `ok` is false where anything was changed, left out, added, moved or cut off since; `problem` says what.
    """
    return work.audit.verify()


@router.post(
    "/erasures",
    response_model=ErasureBody,
    dependencies=WRITE,
    responses=refuses(400, 409, 413, 415),
    summary="Erase payloads",
)
def erase_payloads(work: Work, by: By, asked: ErasureAsked) -> dict[str, Any]:
    """Drop the payloads of events for good, as the law may ask; the chain still verifies, and an event names them.

    What else an event says (who, when, what, why) stays, and so do rule sets and their histories.
    """
    return work.audit.erase(asked.events, asked.why, by=by)
