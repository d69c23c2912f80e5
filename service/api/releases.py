"""Releases: model, revision and mode, ready to serve."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import HTMLResponse

from ruleedit.bundle import Card, Choices
from ruleedit.formats.page import POLICY
from service.api.bodies import ApprovalBody, ComparisonBody, JobBody, PageOf, ReasonAsked, ReleaseAsked, ReleaseBody
from service.api.common import LOCATION, WRITE, Asking, By, OfDataset, Work, accepted, refuses

With: TypeAlias = Annotated[str, Query(alias="with", max_length=100, description="The other release's id.")]
Seed: TypeAlias = Annotated[int, Query(ge=0, le=2**31 - 1, description="Draws the held-out quarter.")]

Said: TypeAlias = Annotated[str, Query(max_length=2_000, description="As the card says it.")]
ByGroup: TypeAlias = Annotated[
    list[Annotated[str, Query(max_length=1_000)]] | None,
    Query(max_length=20, description="Features by whose values figures are shown."),
]


def said_card(
    purpose: Said = "",
    users: Said = "",
    out_of_scope: Said = "",
    data: Said = "",
    contact: Said = "",
    complaints: Said = "",
    limit: Annotated[list[Said] | None, Query(max_length=20, description="Known limits.")] = None,
) -> Card:
    """What only people know of a release."""
    return Card(purpose, users, out_of_scope, data, contact, complaints, tuple(limit or ()))


SaidCard: TypeAlias = Annotated[Card, Depends(said_card)]
router = APIRouter(prefix="/v1/releases", tags=["releases"])


@router.post(
    "",
    status_code=202,
    response_model=JobBody,
    dependencies=WRITE,
    responses={202: {"headers": LOCATION}, **refuses(400, 409, 413, 415, 429, 501)},
    summary="Put a revision in force",
)
def make_release(work: Work, by: By, asked: ReleaseAsked, response: Response) -> dict[str, Any]:
    """Make a release of a revision; the job's result is `{"release"}`. Nothing serves it before it is activated."""
    job = work.make_release(
        asked.ruleset,
        asked.name,
        asked.mode,
        by=by,
        revision=asked.revision,
        strategy=asked.strategy,
        dataset=asked.dataset,
        seed=asked.seed,
        prove=asked.prove,
        groups=asked.groups,
        expires=asked.expires,
        pilot=asked.pilot,
    )
    return accepted(job, response)


@router.get("", response_model=PageOf[ReleaseBody], responses=refuses(), summary="List releases")
def list_releases(work: Work, page: Asking) -> dict[str, Any]:
    """The releases, newest first."""
    return work.releases(page)


@router.get("/{release}", response_model=ReleaseBody, responses=refuses(404), summary="Show a release")
def get_release(work: Work, release: str) -> dict[str, Any]:
    """A release with the report of what putting it in force measured on held-out rows."""
    return work.release(release)


@router.get(
    "/{release}/bundle",
    response_class=Response,
    responses={
        200: {
            "description": "A zip that checks itself; the ETag is its head.",
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
            "headers": {"ETag": {"description": "The head of the chain.", "schema": {"type": "string"}}},
        },
        **refuses(404, 422),
    },
    summary="Hand out the audit bundle",
)
def get_bundle(
    work: Work,
    by: By,
    release: str,
    said: SaidCard,
    rows: Annotated[
        int | None, Query(ge=1, le=1_000_000, description="Held-out rows at most; all unless given.")
    ] = None,
    without_rows: Annotated[bool, Query(description="No rows: then no figure can be worked out again.")] = False,
    group: ByGroup = None,
) -> Response:
    """Everything that was decided, the service's signed chain of events, and `verify.py`. That it was handed out is
    an event of the audit; asking again for the same gives the same bytes and no further event."""
    made = work.bundle(release, Choices(rows, without_rows, tuple(group or ()), said), by=by)
    headers = {"Content-Disposition": 'attachment; filename="bundle.zip"', "ETag": f'"{made.head}"'}
    return Response(made.content, media_type="application/zip", headers=headers)


@router.get(
    "/{release}/card",
    response_class=HTMLResponse,
    responses={
        200: {"description": "A page.", "content": {"text/html": {"schema": {"type": "string"}}}},
        **refuses(404, 422),
    },
    summary="Show the model card",
)
def get_card(work: Work, release: str, said: SaidCard, group: ByGroup = None) -> HTMLResponse:
    """What a release is for, how well it does and for whom, as a page that loads and runs nothing.

    What only people know is asked for by the query, and said to be not given where it isn't.
    """
    page = work.card(release, Choices(groups=tuple(group or ()), card=said))
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"})


@router.get("/{release}/compare", response_model=ComparisonBody, responses=refuses(404), summary="Compare two releases")
def compare_releases(
    work: Work, release: str, other: With, dataset: OfDataset = None, seed: Seed = 0
) -> dict[str, Any]:
    """Where another release answers differently: rules with their precision and recall on held-out rows."""
    return work.compare(release, other, dataset, seed)


@router.post(
    "/{release}/activate",
    response_model=ReleaseBody,
    dependencies=WRITE,
    responses=refuses(400, 404, 409, 413, 415),
    summary="Put a release in service",
)
def activate_release(work: Work, by: By, release: str, asked: ReasonAsked) -> dict[str, Any]:
    """Decide by this release under its name from the next request on; where required only once it is approved."""
    return work.workflow.activate(release, asked.why, by=by.signing(asked.author))


@router.post(
    "/{release}/rollback",
    response_model=ReleaseBody,
    dependencies=WRITE,
    responses=refuses(400, 404, 409, 413, 415),
    summary="Take a release out of service",
)
def roll_back_release(work: Work, by: By, release: str, asked: ReasonAsked) -> dict[str, Any]:
    """The release that was active before under the name serves again; it is the answer."""
    return work.workflow.roll_back(release, asked.why, by=by.signing(asked.author))


@router.get(
    "/{release}/approval", response_model=ApprovalBody, responses=refuses(404), summary="Who may approve a release?"
)
def get_approval(work: Work, by: By, release: str) -> dict[str, Any]:
    """Whether approval is required, and who had a hand in the release, so that somebody else has to approve it."""
    return work.workflow.approval(release, by=by)


@router.post(
    "/{release}/propose",
    response_model=ReleaseBody,
    dependencies=WRITE,
    responses=refuses(400, 404, 409, 413, 415),
    summary="Propose a release",
)
def propose_release(work: Work, by: By, release: str, asked: ReasonAsked) -> dict[str, Any]:
    """Ask for the approval of a draft."""
    return work.workflow.propose(release, asked.why, by=by.signing(asked.author))


@router.post(
    "/{release}/approve",
    response_model=ReleaseBody,
    dependencies=WRITE,
    responses=refuses(400, 404, 409, 413, 415),
    summary="Approve a release",
)
def approve_release(work: Work, by: By, release: str, asked: ReasonAsked) -> dict[str, Any]:
    """Approve a proposed release: nobody who edited since the last approved revision can, nor who made the release."""
    return work.workflow.approve(release, asked.why, by=by.signing(asked.author))


@router.post(
    "/{release}/reject",
    response_model=ReleaseBody,
    dependencies=WRITE,
    responses=refuses(400, 404, 409, 413, 415),
    summary="Reject a release",
)
def reject_release(work: Work, by: By, release: str, asked: ReasonAsked) -> dict[str, Any]:
    """Give a proposed release back; it is a draft again."""
    return work.workflow.reject(release, asked.why, by=by.signing(asked.author))


@router.post(
    "/{release}/withdraw",
    response_model=ReleaseBody,
    dependencies=WRITE,
    responses=refuses(400, 404, 409, 413, 415),
    summary="Take back a proposal or an approval",
)
def withdraw_release(work: Work, by: By, release: str, asked: ReasonAsked) -> dict[str, Any]:
    """A proposed or approved release is a draft again, and nobody's approval counts any more; one that is in service
    is rolled back instead."""
    return work.workflow.withdraw(release, asked.why, by=by.signing(asked.author))
