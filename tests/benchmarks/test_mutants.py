"""The mutation run: what it plants is a mistake, one at a time, and it can be told again."""

from __future__ import annotations

import ast

import mutants
import pytest

SOURCE = '''
def clamp(x: int, low: int = 0, high: int = 9) -> int:
    """Within bounds."""
    note(x)
    if not (low <= x and x < high):
        return low if x < low else high - 1
    return x | 0
'''


def test_every_place_gives_another_source_that_reads_back() -> None:
    """Each differs from the others and from the original, and says what it did and where."""
    original = ast.unparse(ast.parse(SOURCE))
    made = [mutants.planted(SOURCE, number) for number in range(mutants.places(SOURCE))]
    assert len({text for text, _, _ in made} | {original}) == len(made) + 1
    assert all(ast.parse(text) and 4 <= line <= 7 for text, line, _ in made)
    assert {what for _, _, what in made} == {
        "comparison", "and for or", "no not", "operator", "constant", "branches", "no call"
    }  # fmt: skip


def test_defaults_types_and_docstrings_are_left_alone() -> None:
    """Nothing outside of bodies is changed."""
    for number in range(mutants.places(SOURCE)):
        text, _, _ = mutants.planted(SOURCE, number)
        assert "def clamp(x: int, low: int=0, high: int=9) -> int:" in text
        assert "Within bounds." in text


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("return a < b", "return a <= b"),
        ("return a in b", "return a not in b"),
        ("return a or b", "return a and b"),
        ("return not a", "return a"),
        ("return a - b", "return a + b"),
        ("return True", "return False"),
        ("return 3", "return 4"),
        ("return a if c else b", "return b if c else a"),
        ("a.append(b)", "pass"),
    ],
)
def test_what_is_planted(line: str, becomes: str) -> None:
    """Each kind of mistake, by itself."""
    text, _, _ = mutants.planted(f"def f(a, b, c):\n    {line}\n", 0)
    assert text.splitlines()[1].strip() == becomes


def test_what_is_drawn_is_of_the_module_and_the_same_again() -> None:
    """The same seed draws the same places, another seed others; no more than there are."""
    one = mutants.drawn("feedback", 10, 0)
    assert one == mutants.drawn("feedback", 10, 0) != mutants.drawn("feedback", 10, 1)
    assert len(one) == 10
    assert {file for file, _ in one} == {"ruleedit/feedback.py"}
    every = mutants.places((mutants.ROOT / "ruleedit/feedback.py").read_text())
    assert len(mutants.drawn("feedback", 10_000, 0)) == every


def test_every_module_and_test_is_there() -> None:
    """A file that was renamed would be left out unseen."""
    for files, tests in mutants.MODULES.values():
        assert all((mutants.ROOT / name).is_file() for name in (*files, *tests))
