"""The JSON Schema of rule files, held against what is written by jsonschema, an independent validator."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import FileRefused
from ruleedit.formats import EXPORTS, canonical, sql
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema
from tests.commandline import Shop, done, refused
from tests.formats.samples import draft_of, samples

VALIDATOR = Draft202012Validator(canonical.json_schema())


def written(draft: Draft) -> Any:
    """The canonical form as other tools read it."""
    return json.loads(EXPORTS["json"](draft))


def whole() -> Draft:
    """A draft with a step of most kinds."""
    draft = draft_of("IF age > 20 THEN approve", "IF age > 30 AND job in (car) THEN deny 0.25, '1' 0.75")
    edits = ["set R1 age > 26 otherwise deny", "confirm R2", "resolve all priority", "default approve", "undo", "redo"]
    return edit(draft, edits, reason="try", author="ann")


def test_it_is_a_json_schema() -> None:
    """Valid against the schema of schemas."""
    Draft202012Validator.check_schema(canonical.json_schema())


def test_every_rule_file_satisfies_it(count: Callable[[int, int], int]) -> None:
    """Random drafts with edits, undone ones and settlements, odd names and distributions."""
    for draft, _ in itertools.islice(samples(41), count(200, 4_000)):
        VALIDATOR.validate(written(draft))


def test_extracted_rules_and_adopted_codes_satisfy_it(shop: Shop) -> None:
    """What extract wrote, with its figures, and a schema with codes and texts that mean missing."""
    for path in (shop.rules, shop.edited, shop.grading):
        VALIDATOR.validate(json.loads(path.read_text()))
    job = Feature("job", "categorical", categories=("a", "b"), codes=(7, 0))
    schema = Schema((job, Feature("age", "integer", low=0.0)), "y", ("n", "y"), ("?",))
    VALIDATOR.validate(written(Draft.of(RuleSet((), Outcome.of("n")), schema)))


def mutants(data: Any) -> Iterator[Any]:
    """The file with one key left out, one too many, or a value of another kind, at every place."""
    if isinstance(data, dict):
        for key in data:
            yield {name: value for name, value in data.items() if name != key}
            for value in mutants(data[key]):
                yield {**data, key: value}
        yield {**data, "surprise": 1}
    elif isinstance(data, list):
        for place, item in enumerate(data):
            for value in mutants(item):
                yield [*data[:place], value, *data[place + 1 :]]
    yield 7 if isinstance(data, str) else "text"


def problem_of(data: Any) -> str | None:
    """Why the reader refuses a file; None where it doesn't."""
    try:
        canonical.from_json(data)
    except FileRefused as problem:
        return str(problem)
    return None


def test_it_refuses_the_forms_that_the_reader_refuses() -> None:
    """Whatever is left out, added or of another kind: what the reader refuses for its form the schema refuses too."""
    refusals = 0
    for mutant in mutants(written(whole())):
        problem = problem_of(mutant) or ""
        if any(word in problem for word in ("lacks the key", "unknown key", "is no list", "is no text")):
            refusals += 1
            assert not VALIDATOR.is_valid(mutant), (problem, mutant)
    assert refusals > 50


def test_the_command_prints_it(shop: Shop) -> None:
    """`ruleedit schema --rules` prints the schema; a folder with it, or neither, is refused."""
    assert json.loads(done("schema", "--rules").out) == canonical.json_schema()
    assert "either" in refused("file-refused", "schema", shop.model, "--rules")
    assert "either" in refused("file-refused", "schema")


@pytest.mark.parametrize("dialect", ["postgres", "snowflake", "bigquery", "spark", "tsql", "duckdb"])
def test_export_takes_a_dialect(shop: Shop, dialect: str) -> None:
    """`ruleedit export --format sql --dialect D` writes that dialect."""
    out = shop.folder / f"{dialect}.sql"
    done("export", shop.edited, "--format", "sql", "--dialect", dialect, "--out", out)
    assert out.read_text() == sql.dumps(canonical.read(shop.edited), dialect=dialect)


def test_a_dialect_is_for_sql(shop: Shop) -> None:
    """Another format has none, and an unknown one is named."""
    out = shop.folder / "none.sql"
    assert "sql has" in refused("refused", "export", shop.edited, "--format", "csv", "--dialect", "tsql", "--out", out)
    told = refused("refused", "export", shop.edited, "--format", "sql", "--dialect", "postgre", "--out", out)
    assert "did you mean 'postgres'" in told
