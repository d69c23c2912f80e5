"""What is wrong with a typed text, and which words of it are marked."""

from __future__ import annotations

import pytest

from ruleedit.text import parse_clause
from service.workbench.wrong import Wrong, read_clause, wrong_edit
from tests.workbench.test_completion import DRAFT, SCHEMA


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sett R1 age > 26", "sett"),
        ("set R1 agee > 26", "agee"),
        ("set R1 age >> 26", ">>"),
        ("set R1 age == 26", "=="),
        ("set R9 age > 26", "R9"),
        ("set R1 age > old", "age > old"),
        ("set R1 age > 26.5", "age > 26.5"),
        ("set R1 age > 260 otherwise deny", "age > 260"),
        ("new IF age > 26 AND purpose = boat THEN deny", "boat"),
        ("new IF age > 26 AND `capital-gain` like 3 THEN deny", "like"),
        ("new IF age > 26 AND purpose > car THEN deny", "purpose > car"),
        ("new IF age between 1 and 2.5 AND purpose = car THEN deny", "age between 1 and 2.5"),
        ("new IF age > 26 THEN perhaps", "perhaps"),
        ("new IF age > 26 THEN deny behind R1", "behind"),
        ("move R1 before R7", "R7"),
        ("new IF age > 26 AND", "AND"),
        ("set R1 age", "age"),
        ("new IF purpose = 'car THEN deny", "'car THEN deny"),
        ("then R1 'no such'", "'no such'"),
    ],
)
def test_the_words_that_are_wrong_are_marked(text: str, words: str) -> None:
    """Not the whole text, and not a word beside it."""
    found = wrong_edit(DRAFT, text)
    assert found is not None
    assert found.parts(text)[1].strip() == words, found.said
    assert "".join(found.parts(text)) == text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("new IF agge ", "agge"),
        ("new IF agge < 30 AND ", "agge"),
        ("new IF agge<30 AND pur", "agge"),
        ("new IF age between 1 and 2 AND purpos = ", "purpos"),
        ("new IF purpose in (car, 'x AND y') AND `capital gain` ", "`capital gain`"),
        ("set R1 agee > ", "agee"),
        ("set R1 age > 30 to agee ", "agee"),
        ("add R1 purpos ", "purpos"),
    ],
)
def test_an_unknown_feature_is_marked_as_soon_as_its_word_is_whole(text: str, word: str) -> None:
    """Though the edit isn't, with the names that are near; and it is sure, whatever comes behind it."""
    found = wrong_edit(DRAFT, text)
    assert found is not None
    assert found.parts(text)[1] == word
    assert found.said.startswith("no feature")
    assert "; did you mean" in found.said
    assert found.sure


@pytest.mark.parametrize(
    "text",
    [
        "new IF agge",
        "new IF `agge",
        "new IF age between 1 and ",
        "new IF age between 1 and 2 ",
        "new IF purpose = 'x and agge y' ",
        "new IF `x and agge",
        "new IF AND ",
        "new IF age > 3 THEN deny before agge ",
        "set agge age ",
    ],
)
def test_a_word_that_can_go_on_or_names_no_feature_is_not_taken_for_one(text: str) -> None:
    """Unfinished, within quotes, or where a rule, a value or an outcome stands."""
    found = wrong_edit(DRAFT, text)
    assert found is not None
    assert not found.sure


@pytest.mark.parametrize("text", ["set R1 age > 26", "new IF age < 20 AND purpose in (car) THEN deny", "remove R1"])
def test_with_what_can_be_made_nothing_is_wrong(text: str) -> None:
    """Nothing is marked."""
    assert wrong_edit(DRAFT, text) is None


@pytest.mark.parametrize("text", ["", " ", "set", "set R1", "`", "'", "😀", "new IF", "set R1 age > 30", "((("])
def test_whatever_is_typed_the_place_lies_in_the_text(text: str) -> None:
    """A text that is no edit, or changes nothing, is marked somewhere within itself."""
    found = wrong_edit(DRAFT, text)
    assert found is not None
    assert found.said
    assert 0 <= found.start <= found.end <= len(text)


def test_a_clause_is_read_for_its_own_feature() -> None:
    """Another feature's clause, or a value that doesn't fit, is refused where it stands."""
    age = SCHEMA.feature("age")
    assert read_clause(" age >= 40", age) == parse_clause("age >= 40")
    for text, words in (("purpose = car", "purpose"), ("age >= 40.5", "age >= 40.5"), ("age >= 40 x", "x")):
        found = read_clause(text, age)
        assert isinstance(found, Wrong)
        assert found.parts(text)[1] == words
