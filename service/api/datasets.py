"""Data sets: tables that people upload."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form

from service.api.bodies import DatasetBody, PageOf, SchemaAsked, SchemaBody
from service.api.common import JSON_BODY, ONCE, Asking, By, TableFile, Work, multipart_only, refuses, table_of

router = APIRouter(prefix="/v1/datasets", tags=["data sets"])


@router.post(
    "",
    status_code=201,
    response_model=DatasetBody,
    dependencies=[Depends(multipart_only), *ONCE],
    responses=refuses(400, 409, 413, 415),
    summary="Upload a table",
)
def add_dataset(
    work: Work,
    by: By,
    file: TableFile,
    name: Annotated[str | None, Form(max_length=200, description="The file's name unless given.")] = None,
) -> dict[str, Any]:
    """Keep a table, CSV or Parquet by the file's name or media type, of at most 64 MiB and 1,000 columns."""
    given, suffix = table_of(file, work.settings.most_upload)
    return work.add_dataset(file.file, name or given[:200] or "table", suffix, by=by)


@router.post(
    "/{dataset}/schema",
    response_model=SchemaBody,
    dependencies=JSON_BODY,
    responses=refuses(400, 404, 413, 415),
    summary="Review a schema",
)
def review_schema(work: Work, dataset: str, asked: SchemaAsked) -> dict[str, Any]:
    """Look at a corrected schema beside the table before it is trained on: it changes nothing.

    What is left out of a feature is filled in from the table; what is wrong is said beside its column.
    """
    return work.review(dataset, asked.target, asked.features, asked.missing_tokens)


@router.get("", response_model=PageOf[DatasetBody], responses=refuses(), summary="List data sets")
def list_datasets(work: Work, page: Asking) -> dict[str, Any]:
    """The data sets, newest first."""
    return work.datasets(page)


@router.get("/{dataset}", response_model=DatasetBody, responses=refuses(404), summary="Show a data set")
def get_dataset(work: Work, dataset: str) -> dict[str, Any]:
    """A data set with its columns as they were inferred."""
    return work.dataset(dataset)
