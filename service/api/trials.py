"""Trials of releases: in shadow of the one in service, or as its canary."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from service.api.bodies import CanaryAsked, ReasonAsked, TrialBody
from service.api.common import WRITE, By, Work, refuses

router = APIRouter(prefix="/v1/releases", tags=["releases"])
WRITING = refuses(400, 404, 409, 413, 415)


@router.post(
    "/{release}/shadow", response_model=TrialBody, dependencies=WRITE, responses=WRITING, summary="Begin a shadow"
)
def begin_shadow(work: Work, by: By, release: str, asked: ReasonAsked) -> dict[str, Any]:
    """Have a release decide, unseen, every row that is decided under its name; differences are counted."""
    return work.trials.begin(release, "shadow", 0.0, asked.why, by=by.signing(asked.author))


@router.get("/{release}/shadow", response_model=TrialBody, responses=refuses(404), summary="Show a shadow")
def get_shadow(work: Work, release: str) -> dict[str, Any]:
    """Rows by what was answered and what the release on trial would have answered."""
    return work.trials.show(release, "shadow")


@router.post(
    "/{release}/shadow/end", response_model=TrialBody, dependencies=WRITE, responses=WRITING, summary="End a shadow"
)
def end_shadow(work: Work, by: By, release: str, asked: ReasonAsked) -> dict[str, Any]:
    """Stop trying a release; the answer, and the audit, have what was counted."""
    return work.trials.end(release, "shadow", asked.why, by=by.signing(asked.author))


@router.post(
    "/{release}/canary", response_model=TrialBody, dependencies=WRITE, responses=WRITING, summary="Begin a canary"
)
def begin_canary(work: Work, by: By, release: str, asked: CanaryAsked) -> dict[str, Any]:
    """Have a release decide a share of the rows under its name; the same row always gets the same release.

    Where approval is required it has to be approved. Each decision names the release that made it.
    """
    return work.trials.begin(release, "canary", asked.share, asked.why, by=by.signing(asked.author))


@router.get("/{release}/canary", response_model=TrialBody, responses=refuses(404), summary="Show a canary")
def get_canary(work: Work, release: str) -> dict[str, Any]:
    """Rows that the release decided by its model's own outcome and its answer."""
    return work.trials.show(release, "canary")


@router.post(
    "/{release}/canary/end", response_model=TrialBody, dependencies=WRITE, responses=WRITING, summary="End a canary"
)
def end_canary(work: Work, by: By, release: str, asked: ReasonAsked) -> dict[str, Any]:
    """Leave every row to the release in service again."""
    return work.trials.end(release, "canary", asked.why, by=by.signing(asked.author))
