"""The schema: what it refuses, and that it reads back as it was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from ruleedit.errors import SchemaError, UnknownCategory, UnknownClass, UnknownFeature
from ruleedit.schema import Feature, Schema, content_hash
from tests import strategies

AGE = Feature("age", "integer", low=18.0, high=99.0)
JOB = Feature("job", "categorical", missing=False, categories=("clerk", "cook"))
FLAG = Feature("flag", "boolean")
LOANS = Schema((AGE, JOB, FLAG), "decision", ("approve", "deny"))


def as_json(**changes: Any) -> dict[str, Any]:
    """The schema of one integer feature as JSON, with some of the feature's fields changed."""
    feature = {"name": "age", "kind": "integer", "missing": True, "low": 18.0, "high": 99.0} | changes
    return {"target": "decision", "classes": ["approve", "deny"], "features": [feature]}


@given(strategies.schemas())
def test_a_schema_reads_back_from_its_json(schema: Schema) -> None:
    """`from_json(to_json)` is the same schema with the same hash, also through a JSON text."""
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert again == schema
    assert again.hash == schema.hash


def test_codes_and_missing_tokens_read_back() -> None:
    """The fields that only some schemas have survive too."""
    job = Feature("job", "categorical", categories=("a", "b"), codes=(7, 0))
    schema = Schema((job,), "y", ("0", "1"), ("NA", "?"))
    assert Schema.from_json(schema.to_json()) == schema


def test_json_has_only_the_fields_of_the_kind() -> None:
    """A boolean has no range and no categories, an ordinary schema no missing tokens."""
    assert FLAG.to_json() == {"name": "flag", "kind": "boolean", "missing": True}
    assert list(LOANS.to_json()) == ["target", "classes", "features"]


def test_fields_that_are_left_out_have_defaults() -> None:
    """Missing values are allowed and ranges are open unless the schema says otherwise."""
    assert Feature.from_json({"name": "x", "kind": "numeric"}) == Feature("x", "numeric")


@pytest.mark.parametrize(
    ("feature", "problem"),
    [
        (Feature("x", "text"), "kind 'text' is none of numeric, integer, categorical, boolean"),  # type: ignore[arg-type]
        (Feature("", "numeric"), "its name is empty"),
        (Feature("x", "numeric", categories=("a",)), "numeric, so it has no categories"),
        (Feature("x", "integer", codes=(1,)), "integer, so it has no categories"),
        (Feature("x", "numeric", low=float("inf")), "a range is finite"),
        (Feature("x", "numeric", high=float("nan")), "a range is finite"),
        (Feature("x", "integer", low=0.5), "0.5 is no bound"),
        (Feature("x", "numeric", low=2.0, high=1.0), "its range is empty: low 2.0, high 1.0"),
        (Feature("x", "categorical", low=1.0), "categorical, so it has no range"),
        (Feature("x", "boolean", high=1.0), "boolean, so it has no range"),
        (Feature("x", "boolean", categories=("false", "true")), "lists no categories"),
        (Feature("x", "categorical", categories=("a", "b", "a")), "the category 'a' is listed twice"),
        (Feature("x", "categorical", categories=("a", "")), "the empty text can't be a category"),
        (Feature("x", "categorical", categories=("a", "b"), codes=(1,)), "1 codes for 2 categories"),
        (Feature("x", "categorical", categories=("a", "b"), codes=(1, 1)), "one code of its own"),
        (Feature("x", "categorical", categories=("a", "b"), codes=(-1, 1)), "from 0 up"),
    ],
)
def test_a_feature_that_contradicts_itself_is_refused(feature: Feature, problem: str) -> None:
    """The message names the feature and what is wrong with it."""
    with pytest.raises(SchemaError) as refused:
        Schema((feature,), "y", ("a", "b"))
    assert str(refused.value).startswith(f"feature {feature.name!r}: ")
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (((AGE, FLAG, AGE), "y", ("a", "b")), "the feature 'age' is listed twice"),
        (((AGE,), "age", ("a", "b")), "the target 'age' is listed as a feature"),
        (((AGE,), "y", ("a", "a")), "the classes of 'y': 'a' is listed twice"),
        (((AGE,), "y", ("a", "")), "the classes of 'y': one is empty"),
        (((), "y", ("a", "b")), "there is no feature"),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(parts: tuple[Any, ...], problem: str) -> None:
    """The message names what is listed twice, empty or lacking."""
    with pytest.raises(SchemaError, match=problem):
        Schema(*parts)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ([], "a schema is a JSON object"),
        (
            as_json() | {"rows": 3},
            "the schema has an unknown key 'rows'; known are classes, features, missing_tokens, target",
        ),
        (as_json() | {"target": 3}, "the schema's 'target' must be a text"),
        (as_json() | {"classes": "ab"}, "the schema's 'classes' must be a list of texts"),
        (as_json() | {"classes": [1, 2]}, "the schema's 'classes' must be a list of texts"),
        (as_json() | {"missing_tokens": [None]}, "the schema's 'missing_tokens' must be a list of texts"),
        (as_json() | {"features": {}}, "the schema's 'features' must be a list"),
        (as_json() | {"features": ["age"]}, "a feature must be a JSON object"),
        (as_json(nane="x"), "feature 'age' has an unknown key 'nane'"),
        (as_json(name=3), "'name' must be a text"),
        (as_json(kind=None), "feature 'age': 'kind' must be a text"),
        (as_json(missing="no"), "feature 'age': 'missing' must be true or false"),
        (as_json(low="18"), "feature 'age': 'low' must be a number or null"),
        (as_json(high=True), "feature 'age': 'high' must be a number or null"),
        (as_json(high=10**400), "feature 'age': 'high' is too large"),
        (as_json(categories=None), "feature 'age': 'categories' must be a list of texts"),
        (as_json(codes=[1.5]), "feature 'age': 'codes' must be a list of whole numbers"),
        (as_json(codes=[True]), "feature 'age': 'codes' must be a list of whole numbers"),
    ],
)
def test_json_that_is_no_schema_is_refused(data: Any, problem: str) -> None:
    """The message names the place."""
    with pytest.raises(SchemaError) as refused:
        Schema.from_json(data)
    assert problem in str(refused.value)


def test_the_hash_is_stable() -> None:
    """The hash of this schema is the same in every version: files and bundles rest on it."""
    assert LOANS.hash == "46f33a66bec33cd7fed3aaafae78b3c8d6f1d293622a436cc68afd467821ed43"


def test_the_hash_sees_the_order() -> None:
    """Another order of features, classes or categories is another schema."""
    turned = [
        Schema((JOB, AGE, FLAG), "decision", ("approve", "deny")),
        Schema((AGE, JOB, FLAG), "decision", ("deny", "approve")),
        Schema(
            (AGE, Feature("job", "categorical", False, categories=("cook", "clerk")), FLAG),
            "decision",
            ("approve", "deny"),
        ),
    ]
    assert len({LOANS.hash, *(schema.hash for schema in turned)}) == 4


def test_equal_numbers_have_one_hash() -> None:
    """A bound written 0, 0.0 or -0.0 gives the same schema and the same hash."""
    hashes = {Schema.from_json(as_json(low=zero)).hash for zero in (0, 0.0, -0.0)}
    assert len(hashes) == 1


def test_a_content_hash_ignores_the_order_of_keys() -> None:
    """The canonical JSON sorts its keys and takes any text, a lone surrogate too."""
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert content_hash("\ud800") != content_hash("\ud801")


def test_known_names_are_found() -> None:
    """A feature is found by its name, a class and a category are known."""
    assert LOANS.index("job") == 1
    assert LOANS.feature("flag") is FLAG
    assert LOANS.names == ("age", "job", "flag")
    LOANS.check_class("deny")
    LOANS.check_category(JOB, "cook")


def test_unknown_names_come_with_the_nearest() -> None:
    """An unknown feature, class or category is refused with a hint."""
    with pytest.raises(UnknownFeature, match="no feature 'agee'; did you mean 'age'"):
        LOANS.feature("agee")
    with pytest.raises(UnknownClass, match="no class 'denied' of 'decision'; did you mean 'deny'"):
        LOANS.check_class("denied")
    with pytest.raises(UnknownCategory, match="no category 'Cook' of 'job'; did you mean 'cook'"):
        LOANS.check_category(JOB, "Cook")


def test_categories_are_coded_from_one() -> None:
    """The codes are 1 to K in the order of the categories; false is 0 and true is 1."""
    assert JOB.code_of == {"clerk": 1, "cook": 2}
    assert FLAG.code_of == {"false": 0, "true": 1}
    assert (JOB.values, FLAG.values, AGE.values) == (("clerk", "cook"), ("false", "true"), ())
