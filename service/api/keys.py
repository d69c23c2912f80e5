"""Keys: who may ask, handed out and taken back by an admin."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from service.api.bodies import KeyAsked, KeyBody, KeyMade, PageOf, PersonBody, RevocationAsked
from service.api.common import JSON_BODY, WRITE, Asking, By, Work, refuses

router = APIRouter(tags=["people"])


@router.get("/v1/me", response_model=PersonBody, responses=refuses(), summary="Who am I?")
async def get_me(by: By) -> dict[str, Any]:
    """The name and the roles that the service knows by the key or token of this request."""
    return by.to_json()


@router.post(
    "/v1/keys",
    status_code=201,
    response_model=KeyMade,
    dependencies=JSON_BODY,
    responses=refuses(400, 413, 415),
    summary="Issue a key",
)
def make_key(work: Work, by: By, asked: KeyAsked, response: Response) -> dict[str, Any]:
    """Make a key for a person or a system. The answer shows it, once; only its hash is kept."""
    response.headers["Cache-Control"] = "no-store"
    return work.issue_key(asked.name, asked.roles, by=by, expires=asked.expires, reason=asked.why)


@router.get("/v1/keys", response_model=PageOf[KeyBody], responses=refuses(), summary="List keys")
def list_keys(work: Work, page: Asking) -> dict[str, Any]:
    """Every key that was ever issued, newest first: whose, for what, until when."""
    return work.list_keys(page)


@router.get("/v1/keys/{key}", response_model=KeyBody, responses=refuses(404), summary="Show a key")
def get_key(work: Work, key: str) -> dict[str, Any]:
    """A key by its id: whose it is and what it may; never the key itself."""
    return work.key(key)


@router.post(
    "/v1/keys/{key}/revoke",
    response_model=KeyBody,
    dependencies=WRITE,
    responses=refuses(400, 404, 409, 413, 415),
    summary="Revoke a key",
)
def revoke_key(work: Work, by: By, key: str, asked: RevocationAsked) -> dict[str, Any]:
    """Let a key open nothing any more, at once. The last key of an admin is kept."""
    return work.revoke_key(key, asked.why, by=by)
