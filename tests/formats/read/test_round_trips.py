"""Import and export: what comes back decides as what went out, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ruleedit.drafts import Draft
from ruleedit.formats import EXPORTS
from ruleedit.formats.read import read_rules
from ruleedit.release import RuleAnswers
from tests.formats.samples import comparable, settled
from tests.reference import Row, encoded


def content(draft: Draft, form: str) -> bytes:
    """The draft in a format; as text one rule a line."""
    if form == "text":
        rules = RuleAnswers(draft.rules, draft.schema).ordered
        lines = [f"{rule.id}: {rule}" for rule in rules.enabled]
        return "\n".join([*lines, f"OTHERWISE {rules.default}"]).encode()
    made = EXPORTS[form](draft)
    return made if isinstance(made, bytes) else made.encode()


def outcomes(draft: Draft, rows: Sequence[Row]) -> list[int]:
    """What the rules themselves answer."""
    return RuleAnswers(draft.rules, draft.schema).answer(encoded(rows, draft.schema)).outcomes.tolist()


def breaks_lines(draft: Draft) -> bool:
    """Whether a name or a text holds a line end, which a format of one rule a line can't."""
    return any("\n" in str(rule) for rule in draft.rules) or "\n" in str(draft.rules.default)


@pytest.mark.parametrize(
    ("form", "written"),
    [("json", "json"), ("text", "json"), ("csv", "csv"), ("dmn", "dmn"), ("dmn-xlsx", "dmn-xlsx"), ("pmml", "pmml")],
)
def test_what_comes_back_decides_as_what_went_out(form: str, written: str, count: Callable[[int, int], int]) -> None:
    """Random drafts, odd names, settlements and `model` included, on 200 rows each."""
    for draft, _, rows in comparable(written, 51, count(40, 1_000)):
        if form == "text" and breaks_lines(draft):
            continue
        back, _ = read_rules(content(draft, form), form, draft.schema)
        table = rows(200)
        assert outcomes(back, table) == outcomes(draft, table), draft.rules


@pytest.mark.parametrize("form", ["json", "text", "csv", "dmn", "pmml"])
def test_ids_come_back(form: str) -> None:
    """Where each rule is one row again, it keeps its id."""
    draft = settled()
    back, _ = read_rules(content(draft, form), form, draft.schema)
    known = {rule.id for rule in RuleAnswers(draft.rules, draft.schema).ordered}
    assert {rule.id.split(".")[0] for rule in back.rules} <= {name.split(".")[0] for name in known}


def test_what_comes_back_says_where_it_is_from() -> None:
    """The rules are a base that nobody edited; probabilities survive where the format has them."""
    for form in ("json", "csv", "pmml"):
        for draft, _, _ in comparable(form, 53, 20):
            back, _ = read_rules(content(draft, form), form, draft.schema)
            assert back.origin == {"method": f"imported from {form}"}
            assert back.history == ()
            assert [rule.outcome for rule in back.rules.enabled] == [
                rule.outcome for rule in RuleAnswers(draft.rules, draft.schema).ordered.enabled
            ] or form == "pmml"
