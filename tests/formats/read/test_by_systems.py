"""Rules that other systems wrote: DMN decision tables and PMML rule sets."""

from __future__ import annotations

import pytest

from ruleedit.errors import RuleEditError
from ruleedit.formats.read.feel import unary_tests
from ruleedit.regions import set_clauses
from tests.formats.read.tables import SCHEMA, book, dmn, pmml, refusal, said

AGE, INCOME, JOB, MEMBER = SCHEMA.features


def told(cell: str, name: str) -> str:
    """The values that a cell of a feature holds for."""
    feature = SCHEMA.feature(name)
    found = unary_tests(cell, feature, ("", "?")).true
    if found.is_full:
        return "anything"
    options = set_clauses(found, feature)
    return " OR ".join(" AND ".join(map(str, clauses)) for clauses in options) or "nothing"


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("-", "anything"),
        ("", "anything"),
        ("2.5", "income = 2.5"),
        ("= 2.5", "income = 2.5"),
        ("-2.5", "income = -2.5"),
        ("> 2", "income > 2"),
        ("2 < ?", "income > 2"),
        ("(1..2]", "income > 1 AND income <= 2"),
        ("]1..2[", "income > 1 AND income < 2"),
        ("[1..2], 5", "income between 1 and 2 OR income = 5"),
        ("< 1, > 2", "income < 1 OR income > 2"),
        ("not(2.5)", "income != 2.5 OR income is missing"),
        ("not(null, 2.5)", "income != 2.5"),
        ("not(> 2)", "income <= 2"),
        ("null", "income is missing"),
        ("not(null)", "income is not missing"),
        ("? > 1 and ? <= 2", "income > 1 AND income <= 2"),
        ("income > 1 and income <= 2", "income > 1 AND income <= 2"),
        ("? in (1, [2..3])", "income between 2 and 3 OR income = 1"),
        ("not(? > 1 or ? = 0)", "income <= 1 AND income != 0"),
        ("? != 3", "income != 3 OR income is missing"),
        ("(? != null) and (? != 3)", "income != 3"),
        ("1e3", "income = 1000"),
    ],
)
def test_cells_of_numbers_mean_what_feel_says(cell: str, wanted: str) -> None:
    """A comparison with null is null and not true; equality and its negation are never null."""
    assert told(cell, "income") == wanted


@pytest.mark.parametrize(
    ("cell", "name", "wanted"),
    [
        ('"car"', "job", "job = car"),
        ('"car", "radio/tv"', "job", "job in (car, 'radio/tv')"),
        ('not("car")', "job", "job != car OR job is missing"),
        ('not(null, "", "car")', "job", "job != car"),
        ('null, "", "?"', "job", "job is missing"),
        ('"it\\u0027s"', "job", "job = 'it''s'"),
        ("42", "job", "job = '42'"),
        ("true", "member", "member = true"),
        ("not(null, true)", "member", "member = false"),
        ("? = false", "member", "member = false"),
    ],
)
def test_cells_of_texts(cell: str, name: str, wanted: str) -> None:
    """Texts in double quotes with their escapes; a text that means missing is a missing value."""
    assert told(cell, name) == wanted


@pytest.mark.parametrize(
    "cell",
    [
        *("> 10 and ? <= 20", "sum(1, 2) > ?", "> other", 'date("2026-01-01")', "1..2", "[1..2", "? +1 > 2", '> "a"'),
        *("not(", "((((? > 1))", "if ? > 1 then true else false", "some x in ? satisfies x", "1 2", '"open', "@", "??"),
        *("(" * 100 + "? > 1" + ")" * 100, "> 1e999", "1" * 70_000, "> null", "income.x > 1"),
    ],
)
def test_what_is_no_plain_test_is_refused(cell: str) -> None:
    """Functions, other names and half expressions, `> 10 and ? <= 20` among them, which engines read differently."""
    with pytest.raises(RuleEditError):
        unary_tests(cell, INCOME)


def test_a_first_table() -> None:
    """Rows in order; a cell of two intervals is two rules; the row of dashes is the default; null is the model."""
    text = dmn(
        ("> 26", '"car"', '"approve"'), ("< 20, > 60", "-", "null"), ("-", 'not("car")', '"1"'), ("-", "-", '"deny"')
    )
    assert said(text, "dmn") == [
        "R1: IF age >= 27 AND job = car THEN approve",
        "R2.1: IF age <= 19 THEN model",
        "R2.2: IF age >= 61 THEN model",
        "R3.1: IF job != car THEN '1'",
        "R3.2: IF job is missing THEN '1'",
        "OTHERWISE deny",
    ]


@pytest.mark.parametrize(
    "version", ["http://www.omg.org/spec/DMN/20151101/dmn.xsd", "https://www.omg.org/spec/DMN/20230324/MODEL/"]
)
def test_other_versions_of_dmn_are_read(version: str) -> None:
    """From 1.1 to 1.5."""
    text = dmn(("> 26", "-", '"approve"'), ("-", "-", '"deny"')).replace(
        "https://www.omg.org/spec/DMN/20191111/MODEL/", version
    )
    assert len(said(text, "dmn")) == 2


def test_a_unique_table_is_read_where_its_rows_never_meet() -> None:
    """Else their order would decide, which the table doesn't say; under ANY rows that agree may meet."""
    apart = dmn(("> 26", "-", '"approve"'), ("<= 26", "-", '"deny"'), policy="UNIQUE")
    assert said(apart, "dmn", "1") == ["R1: IF age >= 27 THEN approve", "R2: IF age <= 26 THEN deny", "OTHERWISE '1'"]
    meeting = dmn(("> 26", "-", '"approve"'), ("> 30", "-", '"approve"'), policy="UNIQUE")
    assert "under the hit policy UNIQUE it meets the row at" in refusal(meeting, "dmn")
    assert len(said(meeting.replace("UNIQUE", "ANY"), "dmn", "1")) == 3
    assert "hit policy 'COLLECT'" in refusal(meeting.replace("UNIQUE", "COLLECT"), "dmn")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (dmn((">> 26", "-", '"approve"')), "<inputEntry> 1 of rule 1: expected a text in double quotes"),
        (
            dmn(("-", '"cars"', '"approve"')),
            "<inputEntry> 2 of rule 1: no category 'cars' of 'job'; did you mean 'car'",
        ),
        (dmn(("-", "-", '"aprove"')), "no class 'aprove' of 'decision'; did you mean 'approve'"),
        (dmn(("> 26", "-", '"approve"')), "doesn't say what holds where no rule does"),
        (dmn(("> 200", "-", '"approve"'), ("-", "-", '"deny"')), "outside the range of 'age'"),
        (dmn(("> 3", "-", '"approve"'), inputs=("ages", "job")), "no feature 'ages'; did you mean 'age'"),
        (dmn(("? > 3 and ? < 2", "-", '"approve"')), "holds for no value of 'age'"),
        (dmn().replace("MODEL/", "OTHER/"), "is of no known DMN version"),
        (dmn().replace("<decisionTable", '<decisionTable expressionLanguage="javascript"'), "cells in 'javascript'"),
        (dmn().replace("decisionTable", "table"), "0 decision tables"),
        (dmn(("1", "1", '"deny"')).replace("</rule>", "<inputEntry/></rule>"), "has 3 input and 1 output entries"),
        ("<definitions", "no readable XML"),
        ("", "no readable XML"),
    ],
)
def test_a_bad_cell_or_element_is_named(text: str, why: str) -> None:
    """With the line and the place in the row."""
    assert why in refusal(text, "dmn")


def simple(predicate: str, score: str = "approve", more: str = "") -> str:
    """A rule's element."""
    return f'<SimpleRule id="r" score="{score}">{predicate}{more}</SimpleRule>'


def test_predicates_of_pmml() -> None:
    """Comparisons, sets, compounds, rules inside rules, and `True` as the default."""
    over = '<SimplePredicate field="age" operator="greaterThan" value="26"/>'
    array = '<Array n="2" type="string">car "radio/tv"</Array>'
    among = f'<SimpleSetPredicate field="job" booleanOperator="isNotIn">{array}</SimpleSetPredicate>'
    gone = '<SimplePredicate field="member" operator="isMissing"/>'
    either = f'<CompoundPredicate booleanOperator="or">{over}{gone}</CompoundPredicate>'
    both = f'<CompoundPredicate booleanOperator="and">{over}{among}</CompoundPredicate>'
    outer = f"<CompoundRule>{over}{simple(among)}{simple('<True/>', '1')}</CompoundRule>"
    text = pmml(simple(both), simple(either, "deny"), outer, simple("<False/>"), simple("<True/>", "deny"), default="")
    assert said(text, "pmml") == [
        "R1: IF age >= 27 AND job not in (car, 'radio/tv') THEN approve",
        "R2.1: IF age >= 27 THEN deny",
        "R2.2: IF member is missing THEN deny",
        "R3: IF age >= 27 AND job not in (car, 'radio/tv') THEN approve",
        "R4: IF age >= 27 THEN '1'",
        "OTHERWISE deny",
    ]


def test_a_distribution_of_pmml() -> None:
    """Where the score is its greatest class; else the two contradict each other."""
    share = '<ScoreDistribution value="{}" recordCount="1" confidence="{{}}"/>'
    shares = share.format("approve") + share.format("deny")
    predicate = '<SimplePredicate field="age" operator="isMissing"/>'
    assert "THEN approve 0.75, deny 0.25" in said(pmml(simple(predicate, more=shares.format(0.75, 0.25))), "pmml")[0]
    assert "another" in refusal(pmml(simple(predicate, more=shares.format(0.25, 0.75))), "pmml")
    assert "sum to" in refusal(pmml(simple(predicate, more=shares.format(0.25, 0.25))), "pmml")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (pmml(method="weightedMax"), "the rule selection method is ['weightedMax']"),
        (pmml(field=' missingValueReplacement="3"'), "replaces missing values"),
        (pmml(field=' invalidValueTreatment="asMissing"'), "changes values before"),
        (pmml(simple("<True/>", "maybe")), "no class 'maybe'"),
        (pmml(simple('<SimplePredicate field="ages" operator="isMissing"/>')), "<SimplePredicate>: no feature 'ages'"),
        (pmml(simple('<SimplePredicate field="age" operator="like" value="3"/>')), "no operator 'like'"),
        (pmml(simple('<SimplePredicate field="age" operator="equal"/>')), "'equal' without a value"),
        (pmml(simple('<SimplePredicate field="age" operator="equal" value="x"/>')), "'x' is no number"),
        (pmml(simple('<SimplePredicate field="job" operator="lessThan" value="car"/>')), "has no order"),
        (pmml(simple('<SimplePredicate field="job" operator="equal" value="cars"/>')), "no category 'cars'"),
        (
            pmml(simple('<CompoundPredicate booleanOperator="surrogate"><True/></CompoundPredicate>')),
            "'surrogate' is not read",
        ),
        (pmml(simple("")), "0 predicates"),
        (pmml(simple('<SimplePredicate field="age" operator="isMissing"/>'), default=""), "doesn't say what holds"),
        (pmml().replace("PMML-4_3", "PMML-3_2"), "is no PMML 4.0 to 4.4"),
        (pmml().replace("RuleSetModel", "TreeModel"), "the models are TreeModel"),
        (
            pmml().replace("<MiningSchema>", "<LocalTransformations><x/></LocalTransformations><MiningSchema>"),
            "changes values",
        ),
        (
            pmml(simple("<CompoundPredicate booleanOperator='and'>" * 40 + "<True/>" + "</CompoundPredicate>" * 40)),
            "nested deeper",
        ),
    ],
)
def test_a_bad_element_is_named(text: str, why: str) -> None:
    """What changes a rule's meaning, or isn't in the schema."""
    assert why in refusal(text, "pmml")


def test_a_table_in_excel_names_its_cells() -> None:
    """The workbook that pyDMNrules reads."""
    glossary = {"Glossary": [["Glossary"]], "Decision": [["Decision"]]}
    rows = [["Rules"], ["F", "age", "outcome", "rule"], [1, "age > 26", '"approve"', '"R7"'], [2, "-", '"deny"', None]]
    assert said(book(rows, glossary), "dmn-xlsx") == ["R7: IF age >= 27 THEN approve", "OTHERWISE deny"]
    rows[2][1] = "age > old"
    assert "Rules!B3: expected a text" in refusal(book(rows, glossary), "dmn-xlsx")
    rows[1][1] = "ages"
    assert "Rules!B2: no feature 'ages'" in refusal(book(rows, glossary), "dmn-xlsx")
