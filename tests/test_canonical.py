"""The rule file: lossless, the same bytes for the same rules, and refused where anything was changed by hand."""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.errors import FileRefused
from ruleedit.formats.canonical import FORMAT, MOST_LEVELS, dumps, from_json, loads, read, to_json, write
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from tests.strategies import drafts

SCHEMA = Schema(
    (
        Feature("age", "integer", low=18.0, high=99.0),
        Feature("job", "categorical", categories=("a", "b", "it's")),
        Feature("late", "boolean", missing=False),
    ),
    "y",
    ("no", "yes"),
)
FIGURES = {"rule": "R1", "covered": 3, "decided": 3, "precision": 1.0}
MEASURED = {"rows": 9, "rules": [FIGURES], "default": {**FIGURES, "rule": "default", "precision": None}}


def full() -> Draft:
    """A draft with every kind of entry: places, undo and redo, a default, settlements, flags, remainders, parts."""
    base = RuleSet((parse_rule("IF age > 30 THEN yes", "R1"), parse_rule("IF job = a THEN no", "R2")), Outcome.of("no"))
    draft = Draft.of(base, SCHEMA, {"method": "tree", "train": MEASURED, "holdout": None})
    edits = [
        "set R1 age > 40 otherwise no",
        "new IF age > 35 AND late = true THEN no",
        "resolve R1 R3 outcome yes 0.7, no 0.3",
        "new IF job in (b, 'it''s') THEN yes before R2",
        "resolve all priority",
        "disable R2",
        "duplicate R1",
        "confidence R1 0.75",
        "default yes",
        "undo",
        "redo",
    ]
    draft = edit(draft, edits, reason="weil's so ist", author="ann")
    draft = edit(draft, ["confirm R4"], reason="r", author="bob", asserts="change")
    return edit(draft, ["new IF age < 20 THEN no", "undo"], reason="r", author="bob", asserts="change")


@pytest.fixture(scope="module")
def draft() -> Draft:
    return full()


def paths(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each key and each item of a JSON value stands."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from paths(inner, (*at, key))


def kinds(data: Any) -> list[tuple[Any, ...]]:
    """One path of each kind, apart from the figures: the first of a list stands for the others, but for the steps."""
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for at in paths(data):
        step = at[:2] if at[0] == "history" and len(at) <= 3 else ()
        found.setdefault((*step, *("*" if isinstance(key, int) else key for key in at[:-1]), at[-1]), at)
    return [at for at in found.values() if at[0] != "origin"]


def changed(data: Any, at: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy in which ``change`` was called with the container at a path and the last key."""
    found = copy.deepcopy(data)
    inner = found
    for key in at[:-1]:
        inner = inner[key]
    change(inner, at[-1])
    return found


def damage(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    return None


class TestRoundTrip:
    def test_everything_comes_back(self, draft: Draft) -> None:
        """Schema, base, rules, settlements, history, origin and hashes, and again the same bytes."""
        back = loads(dumps(draft))
        assert back == draft
        assert (back.content, back.revision) == (draft.content, draft.revision)
        assert (back.undoable, back.redoable) == (draft.undoable, draft.redoable)
        assert dumps(back) == dumps(draft)

    @given(drafts())
    def test_every_draft_comes_back(self, draft: Draft) -> None:
        """Whatever the names, values and edits are, with all that can be undone and redone."""
        back = loads(dumps(draft))
        assert dumps(back) == dumps(draft)
        assert (back.undoable, back.redoable) == (draft.undoable, draft.redoable)

    def test_of_a_file(self, draft: Draft, tmp_path: Path) -> None:
        """Through the disk, in a folder that wasn't there."""
        write(draft, tmp_path / "new" / "r.json")
        assert read(tmp_path / "new" / "r.json") == draft

    def test_the_keys_of_the_contract(self, draft: Draft) -> None:
        """schema, rules with id, text, outcome, asserted, enabled, default, settlements, history, content, revision."""
        data = to_json(draft)
        assert set(data) >= {"schema", "rules", "default", "settlements", "history", "content", "revision"}
        assert all({"id", "text", "outcome", "asserted", "enabled"} <= set(rule) for rule in data["rules"])
        assert data["format"] == FORMAT

    def test_an_undo_in_the_file_can_be_redone(self, draft: Draft) -> None:
        """The history that is read back takes the next undo or redo as the draft itself would."""
        for step in ("undo", "redo"):
            mine, read_back = (edit(d, [step], reason="r", author="a") for d in (draft, loads(dumps(draft))))
            assert mine == read_back


def refused_or_the_same(data: Any, draft: Draft) -> None:
    """What was left to its default may be left out; nothing else."""
    try:
        found = from_json(data)
    except FileRefused:
        return
    assert dumps(found) == dumps(draft)


class TestTampering:
    def test_each_key_and_item_that_is_gone(self, draft: Draft) -> None:
        """Nothing can be left out unnoticed, but for figures that decide nothing."""
        data = to_json(draft)
        for at in kinds(data):
            refused_or_the_same(changed(data, at, lambda inner, key: inner.__delitem__(key)), draft)

    def test_each_value_that_is_changed(self, draft: Draft) -> None:
        """Nothing can be changed unnoticed, down to the inverse of a step that was undone long ago."""
        data = to_json(draft)
        for at in kinds(data):
            with pytest.raises(FileRefused):
                from_json(changed(data, at, lambda inner, key: inner.__setitem__(key, damage(inner[key]))))

    def test_each_value_of_another_kind(self, draft: Draft) -> None:
        """A value of a kind that doesn't belong there ends in a refusal, never in another error."""
        data = to_json(draft)
        for at, other in zip(kinds(data), itertools.cycle([[], {}, 5, None, [[]], {"a": None}, True])):
            refused_or_the_same(changed(data, at, lambda i, key, other=other: i.__setitem__(key, other)), draft)

    def test_a_key_too_many(self, draft: Draft) -> None:
        """What nobody wrote there is refused, at every level."""
        data = to_json(draft)
        for at in ((), ("base",), ("rules", 0), ("settlements", 0), ("history", 0), ("history", 0, "change")):
            with pytest.raises(FileRefused, match="unknown key 'more'"):
                from_json(changed(data, (*at, "more"), lambda inner, key: inner.__setitem__(key, 1)))

    def test_a_key_given_twice(self, draft: Draft) -> None:
        """Two readers could choose differently."""
        with pytest.raises(FileRefused, match="'content' is given twice"):
            loads(dumps(draft).replace("{", '{"content": "x", ', 1))

    def test_steps_in_another_order(self, draft: Draft) -> None:
        """The history is a chain."""
        data = to_json(draft)
        data["history"][0], data["history"][1] = data["history"][1], data["history"][0]
        with pytest.raises(FileRefused):
            from_json(data)

    def test_an_undo_that_says_it_is_none(self, draft: Draft) -> None:
        """Whether a step undoes another is worked out from what it is, not believed."""
        data = to_json(draft)
        undo = next(place for place, step in enumerate(data["history"]) if step["edit"] == "undo")
        for other in (0, -1, 99, True):
            with pytest.raises(FileRefused, match=f"step {undo + 1} of the history"):
                from_json(changed(data, ("history", undo, "undoes"), lambda i, k, other=other: i.__setitem__(k, other)))

    def test_a_default_that_undo_would_bring(self, draft: Draft) -> None:
        """The far side of a change counts as much as the near one."""
        data = to_json(draft)
        step = next(place for place, step in enumerate(data["history"]) if step["edit"] == "default yes")
        at = ("history", step, "change", "default", 0)
        with pytest.raises(FileRefused, match=f"step {step + 1} "):
            from_json(changed(data, at, lambda inner, key: inner.__setitem__(key, "yes")))


class TestHostile:
    @pytest.mark.parametrize(
        "text",
        ["", "{", "null", "[]", "5", '"x"', "{}", "[" * 100_000, '{"a":' * 100_000, '{"format": NaN}', "\x00", "é"],
    )
    def test_text_that_is_no_rule_file(self, text: str) -> None:
        """Each is refused by name."""
        with pytest.raises(FileRefused, match=r"^my file"):
            loads(text, "my file")

    def test_another_version(self, draft: Draft) -> None:
        """The line names the one that is read."""
        with pytest.raises(FileRefused, match=re.escape(repr(FORMAT))):
            from_json({**to_json(draft), "format": "ruleedit-rules-0"})

    def test_figures_that_are_none(self, draft: Draft) -> None:
        """What is only shown must still be what can be shown, and written again."""
        deep: Any = 1
        for _ in range(MOST_LEVELS + 1):
            deep = [deep]
        bad: list[Any] = [5, {"deep": deep}, {"holdout": 5}, {"train": {}}, {"train": {"rules": [{}], "default": {}}}]
        bad.append({"train": {**MEASURED, "rules": [{**FIGURES, "precision": "x"}]}})
        for origin in bad:
            with pytest.raises(FileRefused):
                from_json({**to_json(draft), "origin": origin})

    def test_half_a_character(self, draft: Draft) -> None:
        """A text that could never be written again isn't read."""
        with pytest.raises(FileRefused, match="half a character"):
            loads(dumps(draft).replace('"ann"', '"\\ud800"'))

    def test_what_the_schema_does_not_allow(self, draft: Draft) -> None:
        """The line says what is wrong with the rule."""
        text = json.dumps(to_json(draft)).replace("age > 40", "age > 400")
        with pytest.raises(FileRefused, match="400"):
            loads(text)
