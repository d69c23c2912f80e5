"""The PMML export, run in JPMML-Evaluator and PMML4S where there is Java."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from lxml import etree

from ruleedit.drafts import Draft
from ruleedit.errors import Refused
from ruleedit.formats import EXPORTS
from ruleedit.formats.pmml import NAMESPACE
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from tests.formats.readers import need_java, reader
from tests.formats.samples import answers, comparable, draft_of, hostile_draft, settled
from tests.reference import Row


def values(draft: Draft, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows with booleans as such."""
    flags = {feature.name for feature in draft.schema.features if feature.kind == "boolean"}
    return [
        {name: cell == "true" if name in flags and cell is not None else cell for name, cell in row.items()}
        for row in rows
    ]


@pytest.fixture(scope="module")
def jpmml(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes, list[dict[str, Any]]], pd.DataFrame]:
    """Evaluate rows with JPMML-Evaluator."""
    need_java()
    package = reader("jpmml_evaluator")
    backend = reader("jpmml_evaluator.jpype").JPypeBackend()
    folder = tmp_path_factory.mktemp("jpmml")

    def evaluate(document: bytes, rows: list[dict[str, Any]]) -> pd.DataFrame:
        path = folder / "rules.pmml"
        path.write_bytes(document)
        evaluator = package.LoadingModelEvaluatorBuilder(backend).loadFile(str(path)).build()
        found: pd.DataFrame = evaluator.evaluateAll(pd.DataFrame(rows, dtype=object))
        return found

    return evaluate


@pytest.fixture(scope="module")
def pmml4s(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes, list[dict[str, Any]]], list[Any]]]:
    """Evaluate rows with PMML4S, through pypmml; as dicts, because it rounds a table's floats."""
    need_java()
    package = reader("pypmml")
    folder: Path = tmp_path_factory.mktemp("pmml4s")

    def evaluate(document: bytes, rows: list[dict[str, Any]]) -> list[Any]:
        path = folder / "rules.pmml"
        path.write_bytes(document)
        model = package.Model.load(str(path))
        return [model.predict(row)["predicted"] for row in rows]

    yield evaluate
    package.PMMLContext.shutdown()


def test_jpmml_answers_as_the_rule_set(
    jpmml: Callable[[bytes, list[dict[str, Any]]], pd.DataFrame], count: Callable[[int, int], int]
) -> None:
    """Outcome and rule are the same in JPMML-Evaluator on 1,000 rows of every random rule set."""
    for draft, document, rows in comparable("pmml", 9, count(6, 60)):
        table = rows(1_000)
        found = jpmml(document, values(draft, table)).rename(columns={draft.schema.target: "own target"})
        outcomes, rules = answers(draft, table)
        assert found["predicted"].tolist() == outcomes
        assert found["rule"].astype(object).where(found["rule"].notna(), None).tolist() == rules


def test_pmml4s_answers_as_the_rule_set(
    pmml4s: Callable[[bytes, list[dict[str, Any]]], list[Any]], count: Callable[[int, int], int]
) -> None:
    """The outcome is the same in PMML4S, which gives no rule id, on 250 rows (soak: 1,000)."""
    for draft, document, rows in comparable("pmml", 10, count(4, 60)):
        table = rows(count(250, 1_000))
        assert pmml4s(document, values(draft, table)) == answers(draft, table)[0]


def test_jpmml_gives_a_distributions_confidence(
    jpmml: Callable[[bytes, list[dict[str, Any]]], pd.DataFrame],
) -> None:
    """A distribution's greatest probability is the confidence, a class's is 1, the default's its own."""
    draft = draft_of("IF age > 40 THEN approve 0.3, deny 0.7", "IF age > 20 THEN '1'", default=Outcome.of("deny"))
    empty = {"income": None, "job": None, "member": None}
    found = jpmml(bytes(EXPORTS["pmml"](draft)), [{"age": age, **empty} for age in (50.0, 30.0)])  # type: ignore[arg-type]
    assert found["confidence"].tolist() == [0.7, 1.0]


def test_jpmml_finds_hostile_texts(jpmml: Callable[[bytes, list[dict[str, Any]]], pd.DataFrame]) -> None:
    """Every hostile text comes through the attributes and the reader as it is."""
    draft = hostile_draft()
    empty = dict.fromkeys(draft.schema.names, None)
    rows = [{**empty, rule.clauses[0].feature: rule.clauses[0].values[0]} for rule in draft.rules]
    found = jpmml(bytes(EXPORTS["pmml"](draft)), rows)  # type: ignore[arg-type]
    assert found["rule"].tolist() == list(draft.rules.ids)


def test_a_document_holds_the_hostile_texts_and_no_entity() -> None:
    """Parsed again, attributes are the texts themselves, and there is no document type."""
    draft = hostile_draft()
    tree = etree.fromstring(bytes(EXPORTS["pmml"](draft)))  # type: ignore[arg-type]
    assert tree.getroottree().docinfo.internalDTD is None
    names = [field.get("name") for field in tree.iter(f"{{{NAMESPACE}}}DataField")]
    assert names == [*draft.schema.names, draft.schema.target]
    scores = [rule.get("score") for rule in tree.iter(f"{{{NAMESPACE}}}SimpleRule")]
    assert scores == [rule.outcome.classes[0] for rule in draft.rules]


def test_settlements_are_rules_of_their_own() -> None:
    """What a settlement says stands in the list, so that the first hit is the answer."""
    tree = etree.fromstring(bytes(EXPORTS["pmml"](settled())))  # type: ignore[arg-type]
    assert any("+" in (rule.get("id") or "") for rule in tree.iter(f"{{{NAMESPACE}}}SimpleRule"))


def test_what_it_cannot_say_is_refused_by_name() -> None:
    """`model` has no score, and a control character no place in XML."""
    with pytest.raises(Refused, match="rule R1: PMML can't say it, a rule there has a score"):
        EXPORTS["pmml"](draft_of("IF age > 40 THEN model"))
    schema = Schema((Feature("x\x00", "integer"),), "y", ("a", "b"))
    rule = Rule("R1", (Clause("x\x00", ">", 1.0),), Outcome.of("a"))
    with pytest.raises(Refused, match=r"feature 'x.x00': PMML can't say it"):
        EXPORTS["pmml"](Draft.of(RuleSet((rule,), Outcome.of("b")), schema))
