"""PROMISES.md: each promise has its test, and the number that it states is the one in the test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINE = re.compile(r"^\| (?P<promise>[^|]+) \| `(?P<number>[^`]+)` \| `(?P<file>[^`:]+)::(?P<test>\w+)` \|$")
LINES = (ROOT / "PROMISES.md").read_text(encoding="utf-8").splitlines()
PROMISES = [match for match in map(LINE.match, LINES) if match]


def source(file: str, name: str) -> str:
    """The source of the function of this name."""
    text = (ROOT / file).read_text(encoding="utf-8")
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef) and node.name == name]
    assert len(found) == 1, f"{file} has {len(found)} functions {name}"
    return ast.get_source_segment(text, found[0]) or ""


def test_every_line_of_the_table_is_a_promise() -> None:
    """No line is passed over because it is written in another way."""
    rows = [line for line in LINES if line.startswith("| ")]
    assert len(PROMISES) == len(rows) - 2 > 20


@pytest.mark.parametrize("promise", PROMISES, ids=lambda match: match["test"])
def test_a_promise_states_its_tests_number(promise: re.Match[str]) -> None:
    """The test is there and has the number."""
    assert promise["number"] in source(promise["file"], promise["test"])


@pytest.mark.parametrize(
    "promise", [match for match in PROMISES if "batches" in match["promise"]], ids=lambda m: m["test"]
)
def test_a_promise_states_its_batches(promise: re.Match[str]) -> None:
    """As many batches as it says."""
    batches = re.search(r"\((\d+) batches\)", promise["promise"])
    assert batches is not None
    text = (ROOT / promise["file"]).read_text(encoding="utf-8")
    above = text[: text.index(f"def {promise['test']}(")].rsplit("def ", 1)[-1]
    assert f'"batch", range({batches[1]})' in above
