"""The error tree: what the docstring draws is what there is."""

from __future__ import annotations

import re

import pytest

from ruleedit import errors
from ruleedit.errors import RuleEditError, UnknownFeature, UnknownName, did_you_mean

DRAWN = re.compile(
    r"^ {4}(?P<indent>[│ ├└─]*)(?P<name>\w+)(?: \((?P<builtin>\w+)\))? +(?P<code>[a-z-]+)$", re.MULTILINE
)


def family(root: type[RuleEditError] = RuleEditError) -> list[type[RuleEditError]]:
    return [
        root,
        *(member for child in root.__subclasses__() if child.__module__ == errors.__name__ for member in family(child)),
    ]


def drawn() -> dict[str, dict[str, str | None]]:
    return {match["name"]: match.groupdict() for match in DRAWN.finditer(errors.__doc__ or "")}


def test_the_drawing_names_every_class() -> None:
    """Every error class stands in the drawing, and nothing else does."""
    assert sorted(drawn()) == sorted(error.__name__ for error in family())


@pytest.mark.parametrize("error", family(), ids=lambda error: error.__name__)
def test_a_class_is_as_it_is_drawn(error: type[RuleEditError]) -> None:
    """The drawing gives the class's own code and the builtin that it can be caught as."""
    entry = drawn()[error.__name__]
    assert error.__dict__["code"] == entry["code"]
    assert entry["builtin"] is None or issubclass(
        error, {"ValueError": ValueError, "LookupError": LookupError}[entry["builtin"]]
    )
    assert error.__doc__


def test_the_drawing_shows_who_descends_from_whom() -> None:
    """A class stands under its parent, four columns further in."""
    above: dict[int, str] = {}
    for name, entry in drawn().items():
        depth = len(entry["indent"] or "") // 4
        above[depth] = name
        if depth:
            assert getattr(errors, above[depth - 1]) in getattr(errors, name).__bases__


def test_codes_are_unique_and_kebab_case() -> None:
    """Each code is one class's, in lower-case words joined by hyphens."""
    codes = [error.code for error in family()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


def test_an_error_without_a_message_shows_its_code() -> None:
    """`str` of an error is never empty."""
    assert str(UnknownFeature()) == "unknown-feature"
    assert str(UnknownFeature("no such thing")) == "no such thing"


def test_an_unknown_name_says_what_where_and_the_nearest() -> None:
    """The message names the kind of thing, the place and the nearest known name."""
    error = UnknownFeature.among("agee", ["age", "income"], where=" of 'loans'")
    assert isinstance(error, UnknownFeature)
    assert str(error) == "no feature 'agee' of 'loans'; did you mean 'age'?"
    assert str(UnknownName.among("a", [])) == "no name 'a'; there are none"


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("incme", ["income", "age"], "; did you mean 'income'?"),
        ("AGE", ["income", "age"], "; did you mean 'age'?"),
        ("color", ["colour", "hue", "colors"], "; did you mean 'colour' or 'colors'?"),
        ("zzz", ["age"], "; there is 'age'"),
        ("zzz", ["age", "income"], "; there are 'age', 'income'"),
        (
            "zzz",
            [f"column {n}" for n in range(10)],
            "; there are " + ", ".join(f"'column {n}'" for n in range(8)) + " and 2 more",
        ),
        ("zzz", [], "; there are none"),
    ],
)
def test_a_hint_gives_the_nearest_names_or_the_known_ones(name: str, known: list[str], hint: str) -> None:
    """Near names are suggested, whatever their case; where none is near the known ones are listed."""
    assert did_you_mean(name, known) == hint
