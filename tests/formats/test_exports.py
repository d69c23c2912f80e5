"""The registry, and what holds for every format."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from ruleedit.drafts import Draft
from ruleedit.formats import EXPORTS, MEDIA_TYPES
from ruleedit.formats.conditions import Bound, Numbers, Range, condition
from ruleedit.rules import ZERO, Clause
from ruleedit.schema import Feature
from tests.formats.samples import draft_of, exported, samples

FORMATS = ("json", "trxf", "pmml", "dmn", "dmn-xlsx", "jdm", "sql", "python", "csv", "html")
PLAIN: Draft = draft_of("IF age > 20 AND income <= 2.5 THEN approve")


def test_every_format_of_the_contract_is_there() -> None:
    """The names are the command line's, each with a media type."""
    assert tuple(EXPORTS) == FORMATS
    assert set(MEDIA_TYPES) == set(FORMATS)
    assert len(EXPORTS) == len(FORMATS)


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_draft_gives_the_same_bytes(form: str) -> None:
    """An export is a pure function: no time, no order of chance."""
    assert EXPORTS[form](PLAIN) == EXPORTS[form](PLAIN)
    assert EXPORTS[form](PLAIN)


def test_an_unknown_format_is_no_key() -> None:
    """The registry is a mapping like others."""
    with pytest.raises(KeyError):
        EXPORTS["xml"]


def test_formats_are_imported_when_they_are_asked_for() -> None:
    """The registry alone brings none of the libraries that formats need."""
    said = "import sys, ruleedit.formats; print({'lxml', 'sqlglot', 'jinja2', 'openpyxl', 'aix360'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "json"])
def test_random_drafts_are_written_or_refused_by_name(form: str) -> None:
    """Nothing but a refusal that names what is in the way ends an export."""
    texts = [exported(form, draft) for draft, _ in itertools.islice(samples(31), 60)]
    assert any(texts)


NUMERIC, INTEGER = Feature("x", "numeric"), Feature("x", "integer")


@pytest.mark.parametrize(
    ("operator", "numeric", "integer"),
    [
        (">", Range(Bound(ZERO, False), None), Range(Bound(1.0, True), None)),
        (">=", Range(Bound(-ZERO, True), None), Range(Bound(-1.0, False), None)),
        ("<", Range(None, Bound(-ZERO, False)), Range(None, Bound(-1.0, True))),
        ("<=", Range(None, Bound(ZERO, True)), Range(None, Bound(1.0, False))),
        ("=", Range(Bound(-ZERO, True), Bound(ZERO, True)), Range(Bound(-1.0, False), Bound(1.0, False))),
    ],
)
def test_a_clause_on_zero_is_written_around_what_is_read_as_zero(operator: str, numeric: Range, integer: Range) -> None:
    """Raw numbers up to 1e-35 are 0, so the bounds stand beside them, at whole numbers where only these count."""
    clause = Clause("x", operator, 0.0)  # type: ignore[arg-type]
    assert condition(clause, NUMERIC) == Numbers((numeric,))
    assert condition(clause, INTEGER) == Numbers((integer,))


def test_a_range_knows_what_is_outside() -> None:
    """The complement of an interval is two rays, of a ray one."""
    span = Range(Bound(1.0, True), Bound(2.0, False))
    assert span.outside == (Range(None, Bound(1.0, False)), Range(Bound(2.0, True), None))
    assert Range(None, Bound(2.0, False)).outside == (Range(Bound(2.0, True), None),)
