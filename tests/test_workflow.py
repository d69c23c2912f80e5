"""The steps between a model and a draft that the command line and the service share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ruleedit.conflicts import find_conflicts
from ruleedit.datasets import loans
from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import Cancelled, Refused, RuleTextError, SettlementRefused, UnknownRule
from ruleedit.formats import canonical
from ruleedit.models import TableModel
from ruleedit.models.folder import load
from ruleedit.rules import Outcome
from ruleedit.surrogate.fidelity import fidelity
from ruleedit.tables import encode, read
from ruleedit.workflow import (
    check_same_schema,
    conflict_json,
    conflict_rows,
    extract_rules,
    read_outcome,
    resolve_conflicts,
)
from tests.commandline import Shop

#: Extract once more in a process of its own, and print what that imported after it was prepared.
PREPARED = """
import sys
from ruleedit.models.folder import load
from ruleedit.tables import encode, read
from ruleedit.workflow import extract_rules, prepare
model = load(sys.argv[2])
rows = encode(read(sys.argv[3]), model.schema)
prepare(sys.argv[1])
before = set(sys.modules)
extract_rules(model, rows, method=sys.argv[1], max_clauses=8)
print(sorted(set(sys.modules) - before))
"""


@pytest.fixture(scope="module")
def model(shop: Shop) -> TableModel:
    return load(shop.model)


@pytest.fixture(scope="module")
def draft(shop: Shop) -> Draft:
    """Two rules at odds."""
    both = ["new IF age < 30 THEN deny", "new IF amount > 9000 THEN approve"]
    return edit(canonical.read(shop.rules), both, reason="r")


class TestExtract:
    def test_measures_on_rows_that_the_rules_were_not_made_from(self, shop: Shop, model: TableModel) -> None:
        """On the training table these are the model's own held-out rows."""
        rows = encode(read(shop.csv), model.schema)
        draft, found = extract_rules(model, rows, max_clauses=10)
        held = rows[model.holdout]
        assert found.holdout == fidelity(found.rules, held, model.outcomes(held), model.schema)
        assert draft.base == draft.rules == found.rules
        assert canonical.dumps(draft) == shop.rules.read_text()

    def test_another_table_is_divided_by_the_seed(self, model: TableModel) -> None:
        """A seeded quarter is held out: the same seed the same rows."""
        rows = encode(loans(200, seed=4), model.schema)
        first, again = (extract_rules(model, rows, method="tree", max_clauses=4, seed=3)[0] for _ in range(2))
        assert first == again
        assert first.origin["holdout"]["rows"] == 50

    def test_remembers_what_it_was_made_of(self, model: TableModel, shop: Shop) -> None:
        """The model's hash, the table's fingerprint and the seed, and nothing of when or where."""
        origin = canonical.read(shop.rules).origin
        assert origin["model"] == model.file.hash
        assert origin["fingerprint"] == model.background.fingerprint
        assert origin["seed"] == 0

    def test_can_be_stopped(self, shop: Shop, model: TableModel) -> None:
        """What the watcher raises ends the search."""

        def stop(*_: object) -> None:
            raise Cancelled("stopped")

        with pytest.raises(Cancelled):
            extract_rules(model, encode(read(shop.csv), model.schema), method="tree", progress=stop)

    @pytest.mark.parametrize("method", ["column-generation", "tree", "glocalx"])
    def test_nothing_is_imported_once_it_is_prepared(self, method: str, shop: Shop) -> None:
        """So that seconds don't count the imports, nor what is compiled at the first one."""
        command = [sys.executable, "-c", PREPARED, method, str(shop.model), str(shop.csv)]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ran.stdout == "[]\n"


class TestResolve:
    def resolved(self, draft: Draft, *pair: str, strategy: str = "priority", **more: str) -> Draft:
        return resolve_conflicts(draft, pair, strategy, reason="agreed", author="ann", **more)

    def test_is_the_edit_of_the_same_name(self, draft: Draft) -> None:
        """What the command does and what the edit does are one thing."""
        for more, text in (
            ({"strategy": "priority"}, "resolve R7 R8 priority"),
            ({"strategy": "carve"}, "resolve R7 R8 carve"),
            ({"strategy": "mixture", "weights": "2,1"}, "resolve R7 R8 mixture 2,1"),
            ({"strategy": "outcome", "outcome": "deny"}, "resolve R7 R8 outcome deny"),
        ):
            assert self.resolved(draft, "R7", "R8", **more) == edit(draft, [text], reason="agreed", author="ann")

    def test_nothing_to_settle_is_the_same_draft(self, draft: Draft) -> None:
        """No step is added: not without conflicts, not a second time, not for rules that never meet."""
        settled = self.resolved(draft)
        assert self.resolved(settled) is settled
        assert self.resolved(draft, "R1", "R7") is draft

    def test_which_pair_is_named_first_matters_to_carve_alone(self, draft: Draft) -> None:
        """A settlement is on the unordered pair; carving gives the first-named the intersection."""
        one, other = (self.resolved(draft, *pair).rules for pair in (("R7", "R8"), ("R8", "R7")))
        assert one == other
        carved = [self.resolved(draft, *pair, strategy="carve").rules for pair in (("R7", "R8"), ("R8", "R7"))]
        assert "R7" in carved[0].ids
        assert "R8" not in carved[0].ids
        assert "R8" in carved[1].ids
        assert "R7" not in carved[1].ids

    def test_carve_leaves_what_the_other_edits_did(self, draft: Draft) -> None:
        """Undoing it gives back the content."""
        carved = self.resolved(draft, strategy="carve")
        assert edit(carved, ["undo"], reason="r").content == draft.content

    @pytest.mark.parametrize(
        ("call", "error"),
        [
            (lambda self, draft: self.resolved(draft, "R7"), RuleTextError),
            (lambda self, draft: self.resolved(draft, "R7", "R8", "R1"), RuleTextError),
            (lambda self, draft: self.resolved(draft, "R7", "R70"), UnknownRule),
            (lambda self, draft: self.resolved(draft, strategy="best"), SettlementRefused),
            (lambda self, draft: self.resolved(draft, weights="1,2"), SettlementRefused),
            (lambda self, draft: self.resolved(draft, strategy="mixture", weights="1;2"), RuleTextError),
            (lambda self, draft: self.resolved(draft, strategy="mixture", weights="nan,1"), SettlementRefused),
        ],
    )
    def test_refuses(self, draft: Draft, call: Callable[[TestResolve, Draft], Draft], error: type[Exception]) -> None:
        """What doesn't fit, before anything is made."""
        with pytest.raises(error):
            call(self, draft)


class TestConflicts:
    def test_rows_are_counted_in_a_table(self, shop: Shop, draft: Draft) -> None:
        """As many as the two rules cover together."""
        found = find_conflicts(draft.rules, draft.schema)
        frame = pd.read_csv(shop.csv)
        both = int(((frame["age"] < 30) & (frame["amount"] > 9000)).sum())
        assert conflict_rows(found, draft.schema, encode(frame, draft.schema)) == [both]

    def test_in_json(self, draft: Draft) -> None:
        """The keys of the contract, and the strategy once it is settled."""
        settled = resolve_conflicts(draft, (), "model", reason="r", author="")
        for one, resolved, strategy in ((draft, False, None), (settled, True, "model")):
            (conflict,) = find_conflicts(one.rules, one.schema)
            said = conflict_json(conflict, one.schema, 3)
            assert set(said) == {"rules", "outcomes", "rows", "witness", "resolved", "strategy", "authors"}
            assert (said["resolved"], said["strategy"], said["rows"]) == (resolved, strategy, 3)


def test_an_outcome_may_be_a_class_as_in_the_file(shop: Shop) -> None:
    """A class that looks like a number needs no quotes of its own; a distribution is read as in a rule."""
    draft = canonical.read(shop.grading)
    assert read_outcome("1", draft.schema) == read_outcome("'1'", draft.schema) == Outcome.of("1")
    assert read_outcome("high 0.5, mid 0.5", draft.schema) == Outcome.spread({"high": 0.5, "mid": 0.5})
    with pytest.raises(RuleTextError):
        read_outcome("2", draft.schema)


def test_rules_and_model_belong_together(shop: Shop, model: TableModel, draft: Draft, tmp_path: Path) -> None:
    """The same schema, whichever file it comes from."""
    check_same_schema(model, draft)
    with pytest.raises(Refused):
        check_same_schema(model, canonical.read(shop.grading))
