"""Rule sets: extracted, read, edited, settled, compared, handed over."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, File, Form, Query, Response, UploadFile

from ruleedit.formats import MEDIA_TYPES
from ruleedit.formats.read import FORMATS as IMPORTS
from ruleedit.formats.read import MOST_BYTES
from service.api.bodies import (
    ComparisonBody,
    ConflictsBody,
    CounterexampleAsked,
    CounterexampleBody,
    CounterexamplesBody,
    DiffBody,
    EditsAsked,
    HistoryBody,
    ImpactBody,
    JobBody,
    LocalAsked,
    LocalBody,
    PageOf,
    PilotAsked,
    PilotsBody,
    ReasonAsked,
    ResolutionAsked,
    RestoreAsked,
    RuleSetAsked,
    RuleSetBody,
    RuleSetItem,
)
from service.api.common import (
    ETAG,
    JSON_BODY,
    LOCATION,
    ONCE,
    WRITE,
    Asking,
    By,
    Expected,
    OfDataset,
    Work,
    accepted,
    multipart_only,
    refuses,
    tagged,
)
from service.errors import TooLarge

router = APIRouter(prefix="/v1/rulesets", tags=["rule sets"])
AtRevision: TypeAlias = Annotated[
    str | None, Query(max_length=100, description="A revision; the present one unless given.")
]
TAGGED: dict[int | str, dict[str, Any]] = {200: {"headers": ETAG}}
#: A route that takes a rule set from one revision to another.
CHANGING: dict[str, Any] = {
    "response_model": RuleSetBody,
    "response_model_exclude_unset": True,
    "dependencies": WRITE,
    "responses": {**TAGGED, **refuses(400, 404, 409, 412, 413, 415, 428)},
}


@router.post(
    "",
    status_code=202,
    response_model=JobBody,
    dependencies=WRITE,
    responses={202: {"headers": LOCATION}, **refuses(400, 409, 413, 415, 429, 501)},
    summary="Extract rules from a model",
)
def make_ruleset(work: Work, by: By, asked: RuleSetAsked, response: Response) -> dict[str, Any]:
    """Summarise a model in a few rules; the job's result is `{"ruleset"}`."""
    job = work.extract(
        asked.model,
        by=by,
        method=asked.method,
        max_clauses=asked.max_clauses,
        max_iterations=asked.max_iterations,
        seconds=asked.seconds,
        memory=asked.memory,
        stability=asked.stability,
        probabilities=asked.probabilities,
        ground=asked.ground,
        seed=asked.seed,
        dataset=asked.dataset,
        name=asked.name,
    )
    return accepted(job, response)


@router.post(
    "/import",
    status_code=201,
    response_model=RuleSetBody,
    response_model_exclude_unset=True,
    dependencies=[Depends(multipart_only), *ONCE],
    responses={201: {"headers": ETAG}, **refuses(400, 404, 409, 413, 415)},
    summary="Import a rule set",
)
def import_ruleset(
    work: Work,
    by: By,
    file: Annotated[UploadFile, File(description="The rules, at most 16 MiB.")],
    model: Annotated[str, Form(max_length=100, description="The model that the rules are about.")],
    form: Annotated[str, Form(alias="format", max_length=40, description=", ".join(IMPORTS))],
    response: Response,
    default: Annotated[
        str | None, Form(max_length=11_000, description="What holds where no rule does; as the file says unless given.")
    ] = None,
    name: Annotated[str | None, Form(min_length=1, max_length=200, description="The model's unless given.")] = None,
) -> dict[str, Any]:
    """Rules by people or another system as a rule set; what can't be read is refused with its cell or element."""
    if (file.size or 0) > MOST_BYTES:
        raise TooLarge(f"the file has {file.size} bytes; at most {MOST_BYTES} are accepted")
    found = work.import_ruleset(file.file.read(), form, model, by=by, default=default, name=name)
    return tagged(found, response)


@router.get("", response_model=PageOf[RuleSetItem], responses=refuses(), summary="List rule sets")
def list_rulesets(work: Work, page: Asking) -> dict[str, Any]:
    """The rule sets, newest first."""
    return work.rulesets(page)


@router.get(
    "/{ruleset}",
    response_model=RuleSetBody,
    response_model_exclude_unset=True,
    responses={**TAGGED, **refuses(404)},
    summary="Show a rule set",
)
def get_ruleset(work: Work, ruleset: str, response: Response, revision: AtRevision = None) -> dict[str, Any]:
    """A rule set; the ETag is its revision, which a write gives back as If-Match."""
    return tagged(work.ruleset(ruleset, revision), response)


@router.post(
    "/{ruleset}/edits",
    **CHANGING,
    summary="Edit a rule set",
)
def edit_ruleset(
    work: Work, by: By, ruleset: str, expected: Expected, asked: EditsAsked, response: Response
) -> dict[str, Any]:
    """Make edits, all or none; of many writes from one revision exactly one succeeds."""
    author = by.signing(asked.author)
    found = work.edit(ruleset, expected, asked.edits, reason=asked.why, by=author, asserts=asked.asserts)
    return tagged(found, response)


@router.post(
    "/{ruleset}/restore",
    **CHANGING,
    summary="Restore a revision",
)
def restore_ruleset(
    work: Work, by: By, ruleset: str, expected: Expected, asked: RestoreAsked, response: Response
) -> dict[str, Any]:
    """Let the rules be as they were at a revision, as one step more: nothing is taken out of the history."""
    author = by.signing(asked.author)
    return tagged(work.restore(ruleset, expected, asked.revision, reason=asked.why, by=author), response)


@router.post(
    "/{ruleset}/resolutions",
    **CHANGING,
    summary="Settle conflicts",
)
def resolve_conflicts(
    work: Work, by: By, ruleset: str, expected: Expected, asked: ResolutionAsked, response: Response
) -> dict[str, Any]:
    """Settle one conflict or, with no rules named, all; nothing to settle is fine and changes nothing."""
    found = work.resolve(
        ruleset,
        expected,
        asked.rules or (),
        asked.strategy,
        by=by.signing(asked.author),
        outcome=asked.outcome,
        weights=asked.weights,
        reason=asked.why,
    )
    return tagged(found, response)


@router.post(
    "/{ruleset}/local",
    response_model=LocalBody,
    dependencies=JSON_BODY,
    responses=refuses(400, 404, 413, 415),
    summary="Look at one row closely",
)
def look_closely(work: Work, ruleset: str, asked: LocalAsked) -> dict[str, Any]:
    """Which rule decides a row, what it lacks for each other class, and the smallest change of each answer.

    It takes up to some seconds in a process of its own; 422 `step-failed` where that needs more than it is given.
    """
    return work.local(ruleset, asked.row, asked.revision, seed=asked.seed)


@router.post(
    "/{ruleset}/counterexamples",
    status_code=201,
    response_model=CounterexampleBody,
    dependencies=WRITE,
    responses=refuses(400, 404, 409, 413, 415),
    summary="Mark a counterexample",
)
def mark_counterexample(work: Work, by: By, ruleset: str, asked: CounterexampleAsked) -> dict[str, Any]:
    """Say that a rule decides a row wrongly; every draft is measured by it until somebody withdraws it."""
    signed = by.signing(asked.author)
    return work.counterexamples.mark(ruleset, asked.rule, asked.row, asked.outcome, asked.why, by=signed)


@router.get(
    "/{ruleset}/counterexamples",
    response_model=CounterexamplesBody,
    responses=refuses(404),
    summary="List counterexamples",
)
def list_counterexamples(work: Work, ruleset: str) -> dict[str, Any]:
    """All counterexamples, the withdrawn included, with what the present revision answers."""
    return work.counterexamples.of(ruleset)


@router.post(
    "/{ruleset}/counterexamples/{counterexample}/withdraw",
    response_model=CounterexampleBody,
    dependencies=WRITE,
    responses=refuses(400, 404, 409, 413, 415),
    summary="Withdraw a counterexample",
)
def withdraw_counterexample(
    work: Work, by: By, ruleset: str, counterexample: str, asked: ReasonAsked
) -> dict[str, Any]:
    """Take a counterexample back; it stays in the list and in the audit."""
    return work.counterexamples.withdraw(ruleset, counterexample, asked.why, by=by.signing(asked.author))


@router.post(
    "/{ruleset}/pilots",
    status_code=202,
    response_model=JobBody,
    dependencies=WRITE,
    responses={202: {"headers": LOCATION}, **refuses(400, 404, 409, 413, 415, 429)},
    summary="Try a mode on some rows",
)
def make_pilot(work: Work, by: By, ruleset: str, asked: PilotAsked, response: Response) -> dict[str, Any]:
    """What putting a revision in force would do, as a pilot on some rows: how far honoured, what else changes.

    The job says each round of a retraining while it runs; what it makes is thrown away.
    """
    job = work.pilot(
        ruleset,
        asked.mode,
        by=by,
        revision=asked.revision,
        strategy=asked.strategy,
        rows=asked.rows,
        dataset=asked.dataset,
        seed=asked.seed,
    )
    return accepted(job, response)


@router.get("/{ruleset}/pilots", response_model=PilotsBody, responses=refuses(404), summary="List pilots")
def list_pilots(work: Work, ruleset: str, revision: AtRevision = None) -> dict[str, Any]:
    """The pilots of a revision, newest first."""
    return work.pilots(ruleset, revision)


@router.get("/{ruleset}/impact", response_model=ImpactBody, responses=refuses(404), summary="Preview the impact")
def get_impact(work: Work, ruleset: str, dataset: OfDataset = None, revision: AtRevision = None) -> dict[str, Any]:
    """What the hard overlay would change on a data set, the model's own unless one is named."""
    return work.impact(ruleset, dataset, revision)


@router.get("/{ruleset}/conflicts", response_model=ConflictsBody, responses=refuses(404), summary="List conflicts")
def get_conflicts(work: Work, ruleset: str, dataset: OfDataset = None, revision: AtRevision = None) -> dict[str, Any]:
    """Asserted rules that contradict each other, with a witness and, for a data set, the rows in question."""
    return work.conflicts(ruleset, dataset, revision)


@router.get(
    "/{ruleset}/history",
    response_model=HistoryBody,
    response_model_exclude_unset=True,
    responses=refuses(404),
    summary="Show the history",
)
def get_history(work: Work, ruleset: str) -> dict[str, Any]:
    """Who changed what, when and why, oldest first."""
    return work.history(ruleset)


@router.get(
    "/{ruleset}/diff",
    response_model=DiffBody,
    response_model_exclude_unset=True,
    responses=refuses(404),
    summary="Compare two revisions",
)
def get_diff(
    work: Work,
    ruleset: str,
    old: Annotated[str | None, Query(alias="from", max_length=100, description="The first unless given.")] = None,
    new: Annotated[str | None, Query(alias="to", max_length=100, description="The present one unless given.")] = None,
) -> dict[str, Any]:
    """Rules added, removed and changed between two revisions."""
    return work.diff(ruleset, old, new)


def _file_schema(media: str) -> dict[str, str]:
    if media.endswith("json"):
        return {}
    return {"type": "string", "format": "binary"} if "officedocument" in media else {"type": "string"}


@router.get(
    "/{ruleset}/compare",
    response_model=ComparisonBody,
    responses=refuses(404, 409),
    summary="Compare what two revisions decide",
)
def compare_revisions(
    work: Work,
    ruleset: str,
    old: Annotated[str | None, Query(alias="from", max_length=100, description="The first unless given.")] = None,
    new: Annotated[str | None, Query(alias="to", max_length=100, description="The present one unless given.")] = None,
    dataset: OfDataset = None,
    seed: Annotated[int, Query(ge=0, le=2**31 - 1, description="Draws the held-out quarter.")] = 0,
) -> dict[str, Any]:
    """Where the overlays of two revisions decide differently, as rules, with the rules of both matched."""
    return work.compare_revisions(ruleset, old, new, dataset, seed)


@router.get(
    "/{ruleset}/export",
    response_class=Response,
    responses={
        200: {
            "description": "The file, in the format's own media type.",
            "content": {media: {"schema": _file_schema(media)} for media in sorted(set(MEDIA_TYPES.values()))},
        },
        **refuses(404, 422),
    },
    summary="Export a rule set",
)
def export_ruleset(
    work: Work,
    ruleset: str,
    form: Annotated[
        str,
        Query(alias="format", max_length=40, description=", ".join(MEDIA_TYPES)),
    ] = "json",
    revision: AtRevision = None,
    dialect: Annotated[
        str | None,
        Query(max_length=40, description="For sql: postgres, duckdb, snowflake, bigquery, spark or tsql."),
    ] = None,
) -> Response:
    """The rules as other tools read them; json is the rule file, lossless, with its history and hashes."""
    content, media = work.export(ruleset, form, revision, dialect)
    ending = {"python": "py", "dmn-xlsx": "xlsx"}.get(form, form)
    # A browser keeps the file, whatever it holds, and never shows it as a page of this service.
    headers = {"Content-Disposition": f'attachment; filename="rules.{ending}"', "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=media, headers=headers)
