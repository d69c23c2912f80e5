"""`verify.py`, the auditor's program: what it works out is what RuleEdit, LightGBM and cryptography say."""

from __future__ import annotations

import ast
import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ruleedit.bundle import verify
from ruleedit.bundle.contents import decided_json
from ruleedit.bundle.effect import feedback_json
from ruleedit.chain import Event, erase, seal, verify_chain
from ruleedit.conflicts import open_conflicts
from ruleedit.feedback import feedback
from ruleedit.formats import canonical
from ruleedit.models.adoption import adopt
from ruleedit.rules import Rule
from ruleedit.tables import encode
from ruleedit.text import parse_outcome
from tests.graft.test_graft import model_of
from tests.models.test_adoption import booster_of, paints
from tests.reference import encoded
from tests.strategies import Dice, make_draft, make_free_rule, make_rows, make_schema, make_small_rows

SOURCE = Path(verify.__file__)


def test_it_needs_the_standard_library_alone() -> None:
    """Python 3.9 reads it, and it imports nothing that doesn't come with Python."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= set(sys.stdlib_module_names)


def test_it_runs_nothing_that_it_reads() -> None:
    """No eval, exec, import by name, pickle or subprocess."""
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(SOURCE.read_text())) if isinstance(node, ast.Call)}
    assert not calls & {"eval", "exec", "compile", "__import__", "pickle.loads", "subprocess.run", "os.system"}


def test_rules_read_as_they_were_written(count: Callable[[int, int], int]) -> None:
    """Clauses and outcomes of random rules, odd names and texts included."""
    operators = {"=": "in", "!=": "not in", "is missing": "missing", "is not missing": "present"}
    dice = Dice(77)
    for _ in range(count(2_000, 20_000)):
        rule: Rule = make_free_rule(dice)
        clauses, outcome = verify.rule_of(str(rule))
        assert outcome == dict(parse_outcome(str(rule.outcome)).weights)
        wanted = [(c.feature, operators.get(c.operator, c.operator), tuple(c.values)) for c in rule.clauses]
        assert [tuple(clause) for clause in clauses] == wanted


@pytest.mark.parametrize("batch", range(4))
def test_what_is_asked_is_what_the_feedback_asks(batch: int, count: Callable[[int, int], int]) -> None:
    """Row by row, for random drafts with edits and settlements: the feedback rule that holds a row, and its outcome."""
    compared = 0
    for number in range(count(120, 2_500)):
        dice = Dice(30_000 * batch + number)
        draft = make_draft(dice, most=8)
        if open_conflicts(draft.rules, draft.schema):
            continue
        rows = encoded(make_small_rows(dice, draft.schema, 40), draft.schema)
        asked = feedback(draft.base, draft.rules, draft.schema)
        decided = {"before": decided_json(draft.base, draft.schema), "after": decided_json(draft.rules, draft.schema)}
        schema = verify.Schema(json.loads(json.dumps(draft.schema.to_json())))
        asking = verify.Asking(decided, json.loads(canonical.dumps(draft)), feedback_json(asked), schema)
        for row, held in zip(rows.tolist(), asked.assign(rows).tolist(), strict=True):
            place, outcome = asking(row)
            assert place == held, (draft.history, row)
            assert outcome == (dict(asked.rules[held].outcome.weights) if held >= 0 else {})
            compared += 1
    assert compared > count(1_000, 20_000)


@pytest.mark.parametrize("batch", range(3))
def test_trees_answer_as_lightgbm_does(batch: int, count: Callable[[int, int], int]) -> None:
    """Probabilities to the last bits, and outcomes; two classes and more, categories, missing values."""
    for number in range(count(8, 200)):
        dice = Dice(500 * batch + number)
        schema = make_schema(dice)
        rows = encoded(make_rows(dice, schema, least=60, most=60), schema)
        model = model_of(rows, schema, seed=number)
        record = {"thresholds": dict(zip(schema.classes, model.thresholds, strict=True)), "adopted": False}
        read = verify.Model(model.text, record, verify.Schema(schema.to_json()))
        more = encoded(make_rows(dice, schema, least=60, most=60), schema)
        worked = [read.probabilities(row) for row in more.tolist()]
        assert np.allclose(worked, model.proba(more), rtol=1e-14, atol=0.0)
        assert [read.outcome(shares) for shares in worked] == model.outcomes(more).tolist()


@pytest.mark.parametrize(
    "more",
    [{}, {"boosting": "rf", "bagging_fraction": 0.6, "bagging_freq": 1}, {"linear_tree": True}],
    ids=["boosted", "forest", "linear"],
)
def test_adopted_models_answer_with_their_own_codes(more: dict[str, Any]) -> None:
    """Somebody else's categories by their file's numbers, unseen ones as missing; forests and linear leaves too."""
    table = paints()
    booster = booster_of(table.drop(columns="sold"), table["sold"] == "yes", **more)
    model = adopt(booster.model_to_string(), table, "sold", thresholds={"yes": 0.8})
    rows = encode(table, model.schema)
    texts = [place for place, feature in enumerate(model.schema.features) if feature.kind == "categorical"]
    rows[: len(rows) // 4, texts] = 0.0
    rows[len(rows) // 4 : len(rows) // 2, :] = np.where(rows[len(rows) // 4 : len(rows) // 2, :] > 1.0, np.nan, 1.0)
    record = {"thresholds": dict(zip(model.schema.classes, model.thresholds, strict=True)), "adopted": True}
    read = verify.Model(model.text, record, verify.Schema(model.schema.to_json()))
    worked = [read.probabilities(row) for row in rows.tolist()]
    assert np.allclose(worked, model.proba(rows), rtol=1e-9, atol=1e-15)
    assert [read.outcome(shares) for shares in worked] == model.outcomes(rows).tolist()


def test_splits_send_values_as_lightgbm_documents() -> None:
    """Zero as missing, NaN without a missing type as 0, default directions, bitsets of several words, linear leaves."""

    def tree(**lines: str) -> verify.Tree:
        return verify.Tree(
            {"split_feature": "0", "left_child": "-1", "right_child": "-2", "leaf_value": "1 2", **lines}
        )

    def goes(kind: int, value: float, threshold: str = "-1", **more: str) -> float:
        return tree(threshold=threshold, decision_type=str(kind), **more).value([value])

    nan, tiny = math.nan, 1e-36
    assert [goes(0, value) for value in (-2.0, 0.0, nan)] == [1.0, 2.0, 2.0]
    assert [goes(4 | 2, value) for value in (0.0, tiny, nan, 5.0)] == [1.0, 1.0, 1.0, 2.0]
    assert [goes(8 | 2, value) for value in (nan, 0.0)] == [1.0, 2.0]
    assert [goes(8, value) for value in (nan, -1.0)] == [2.0, 1.0]
    bits = {"cat_boundaries": "0 2", "cat_threshold": f"2 {1 << 8}"}
    found = [goes(1, value, "0", **bits) for value in (1.0, 40.0, 2.0, 64.0, nan, -1.0)]
    assert found == [1.0, 1.0, 2.0, 2.0, 2.0, 2.0]
    linear = {"is_linear": "1", "leaf_const": "10 20", "num_features": "1 0", "leaf_features": "1", "leaf_coeff": "3"}
    sloped = tree(threshold="0", decision_type="8", **linear)
    assert [sloped.value(row) for row in ([-1.0, 2.0], [-1.0, nan], [1.0, 2.0])] == [16.0, 1.0, 20.0]
    assert verify.Tree({"leaf_value": "7"}).value([1.0]) == 7.0


def test_signatures_hold_as_cryptography_says() -> None:
    """Ed25519 by RFC 8032: good ones hold, with any bit changed they don't."""
    dice = Dice(5)
    for number in range(6):
        key = Ed25519PrivateKey.from_private_bytes(bytes(dice.number(0, 255) for _ in range(32)))
        message = bytes(dice.number(0, 255) for _ in range(number * 7))
        public, signature = key.public_key().public_bytes_raw(), key.sign(message)
        assert verify.signature_holds(public, message, signature)
        for _ in range(6):
            place = dice.number(0, 95)
            changed = bytearray(signature + public)
            changed[place] ^= 1 << dice.number(0, 7)
            assert not verify.signature_holds(bytes(changed[64:]), message, bytes(changed[:64]))
        assert not verify.signature_holds(public, message + b"x", signature)
    assert not verify.signature_holds(b"\xff" * 32, b"", b"\x00" * 64)
    assert not verify.signature_holds(public, b"", b"")


def events(many: int) -> list[Event]:
    """A chain."""
    made: list[Event] = []
    for number in range(1, many + 1):
        text: dict[str, Any] = dict.fromkeys(("time", "actor", "role", "subject", "reason"), f"né {number}")
        last = made[-1] if made else None
        action = "erase payloads" if number == many else "edit"
        payload = {"erased": [[2, 3]]} if number == many else {"n": number}
        made.append(seal(previous=last, id=str(number), action=action, payload=payload, **text))
    return made


def test_a_chain_is_checked_as_ruleedit_does() -> None:
    """Sound, erased and damaged chains get the same verdict."""
    sound = events(6)
    erased = [erase(event) if event.sequence in (2, 3) else event for event in sound]
    wrong = [
        [dataclasses.replace(event, **{name: "x"}) if event.sequence == 4 else event for event in sound]
        for name in ("actor", "reason", "payload", "salt", "hash", "previous", "payload_hash", "time", "action")
    ]
    more = [sound[:2] + sound[3:], sound[1:], [*sound, sound[-1]], [*sound[:5], erase(sound[0])], [erase(sound[0])]]
    for chain in (sound, erased, [], *wrong, *more):
        told = [dataclasses.asdict(event) for event in chain]
        assert (list(verify.chain_problems(told)) == []) == verify_chain(chain).ok
    assert list(verify.chain_problems([dataclasses.asdict(event) for event in erased])) == []


def pythons() -> list[str]:
    """Other Pythons from 3.9 on that this machine has."""
    found = [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))]
    return [path for path in found if path.split("/3.")[1].split(".")[0] not in ("6", "7", "8")] or [sys.executable]


@pytest.mark.parametrize("python", pythons())
def test_it_says_what_it_takes(python: str, tmp_path: Path) -> None:
    """As a script of its own, in an isolated Python without packages; what is no bundle ends with status 2."""
    script = tmp_path / "verify.py"
    script.write_bytes(SOURCE.read_bytes())
    told = subprocess.run([python, "-I", "-S", script, "--help"], capture_output=True, text=True, check=True)
    assert "BUNDLE.zip" in told.stdout
    ended = subprocess.run([python, "-I", "-S", script, script], capture_output=True, text=True, check=False)
    assert (ended.returncode, "no readable zip" in ended.stderr) == (2, True)
