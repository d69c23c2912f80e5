"""FEEL unary tests, the cells of a DMN decision table, as sets of values.

Read are literals, comparisons, intervals, lists, ``not(...)``, ``-``, and expressions with ``and``, ``or``, ``not`` and
``in`` in which ``?`` or the input's own name stands for the value. Functions and other names are refused: nothing is
ever run. Source: OMG, Decision Model and Notation 1.3, sections 7.3.14 (unary tests) and 10.3.1 (FEEL's grammar).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from ruleedit.errors import RuleTextError, TooLong
from ruleedit.formats.read.truth import Test, always, comparison, equal, missing
from ruleedit.rules import Operator, number_text
from ruleedit.schema import Feature

#: Deeper brackets are refused: nobody reads them, and a parser's stack has a bound.
MOST_DEPTH = 64
_LONGEST = 64 * 1024
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | "(?P<text>(?:[^"\\]|\\.)*+)"
      | (?P<number>(?:\d++(?:\.(?!\.)\d*+)?+|\.\d++)(?:[eE][+-]?\d++)?+)
      | (?P<mark>\.\.|<=|>=|!=|[-=<>()\[\],?])
      | (?P<word>[^\W\d]\w*)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "'": "'"}
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_SWAPPED: dict[str, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Null:
    """FEEL's null."""


NULL = Null()
Literal = float | str | Null


def unary_tests(cell: str, feature: Feature, absent: Sequence[str] = ("",)) -> Test:
    """Read a cell; ``absent`` are texts that mean a missing value. Raises `RuleTextError` and the errors of values."""
    return _Cell(cell, feature, absent).whole()


def literal(text: str) -> Literal:
    """Read an output entry: a text, a number, a boolean (as its text) or null; raises `RuleTextError`."""
    return _Cell(text, Feature("the output", "categorical"), ()).literal_alone()


class _Cell:
    """Walks over the tokens of one cell; ``?`` is the value in question."""

    def __init__(self, text: str, feature: Feature, absent: Sequence[str]) -> None:
        if len(text) > _LONGEST:
            raise TooLong(f"a cell of {len(text):,} characters; at most {_LONGEST:,} are read")
        self.text = text
        self.feature = feature
        self.absent = absent
        self.place = 0
        self.depth = 0
        self.tokens = self._tokens()

    def _tokens(self) -> list[tuple[str, str]]:
        """The tokens; the feature's own name, whatever it looks like, is ``?``."""
        found: list[tuple[str, str]] = []
        place, name = 0, self.feature.name
        while place < len(self.text):
            if self._is_name(place, name):
                found.append(("mark", "?"))
                place += len(name)
                continue
            match = _TOKEN.match(self.text, place)
            if match is None:
                raise RuleTextError(f"can't read {self.text[place : place + 20]!r} at character {place + 1}")
            kind = match.lastgroup
            assert kind is not None
            if kind != "space":
                found.append((kind, match.group(kind)))
            place = match.end()
        return [*found, ("end", "")]

    def _is_name(self, place: int, name: str) -> bool:
        if not self.text.startswith(name, place):
            return False
        beside = self.text[place - 1 : place] + self.text[place + len(name) : place + len(name) + 1]
        return not any(mark.isalnum() or mark == "_" for mark in beside) and name not in ("not", "null")

    # --- tokens

    def _next(self, *marks: str) -> bool:
        """Step over one of these marks or words if it comes next."""
        kind, text = self.tokens[self.place]
        if kind in ("mark", "word") and text in marks:
            self.place += 1
            return True
        return False

    def _peek(self, ahead: int = 0) -> tuple[str, str]:
        return self.tokens[min(self.place + ahead, len(self.tokens) - 1)]

    def _expect(self, mark: str) -> None:
        if not self._next(mark):
            self._fail(f"expected {mark!r}")

    def _fail(self, what: str) -> NoReturn:
        kind, text = self._peek()
        raise RuleTextError(f"{what}, found {'the end' if kind == 'end' else repr(text)} in {self.text[:80]!r}")

    def _end(self) -> None:
        if self._peek()[0] != "end":
            self._fail("expected the end (functions and other names are not read)")

    # --- tests

    def whole(self) -> Test:
        """The whole cell."""
        if not self.text.strip() or (self._peek() == ("mark", "-") and self._peek(1)[0] == "end"):
            return always(self.feature)
        found = self._tests(self._test)
        self._end()
        return found

    def literal_alone(self) -> Literal:
        """A cell that is one literal."""
        found = self._literal()
        self._end()
        return found

    def _tests(self, one: Callable[[], Test]) -> Test:
        found = one()
        while self._next(","):
            found = found | one()
        return found

    def _test(self) -> Test:
        """One of the tests between commas."""
        start = self.place
        if self._next("<", "<=", ">", ">=", "=", "!="):
            operator = self.tokens[start][1]
            return self._joined(self._compared(operator, self._literal()))
        if self._is_interval():
            return self._joined(self._interval())
        if self._is_literal():
            return self._joined(self._equal(self._literal()), start)
        return self._either()

    def _joined(self, found: Test, start: int | None = None) -> Test:
        """A short test; what would make an expression of it is read as one, or refused."""
        if self._peek()[1] in ("=", "!=", "<", "<=", ">", ">=", "in") and start is not None:
            self.place = start
            return self._either()
        if self._peek()[1] in ("and", "or"):
            self._fail("a short test stands alone: write both sides with ?, or an interval")
        return found

    # --- expressions

    def _either(self) -> Test:
        found = self._both()
        while self._next("or"):
            found = found | self._both()
        return found

    def _both(self) -> Test:
        found = self._unit()
        while self._next("and"):
            found = found & self._unit()
        return found

    def _unit(self) -> Test:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise TooLong(f"brackets deeper than {MOST_DEPTH} in {self.text[:80]!r}")
        try:
            if self._next("not"):
                self._expect("(")
                found = ~self._tests(self._test)
                self._expect(")")
                return found
            if self._peek() == ("mark", "(") and not self._is_interval():
                self._expect("(")
                found = self._either()
                self._expect(")")
                return found
            return self._comparison()
        finally:
            self.depth -= 1

    def _comparison(self) -> Test:
        if self._next("?"):
            if self._next("in"):
                return self._membership()
            operator = self._operator()
            return self._compared(operator, self._literal())
        value = self._literal()
        operator = self._operator()
        self._expect("?")
        return self._compared(_SWAPPED.get(operator, operator), value)

    def _membership(self) -> Test:
        if self._is_interval():
            return self._interval()
        if not self._next("("):
            return self._test()
        found = self._tests(self._test)
        self._expect(")")
        return found

    def _operator(self) -> str:
        start = self.place
        if not self._next("<", "<=", ">", ">=", "=", "!="):
            self._fail("expected a comparison")
        return self.tokens[start][1]

    def _compared(self, operator: str, value: Literal) -> Test:
        if operator in ("=", "!="):
            found = self._equal(value)
            return found if operator == "=" else ~found
        if not self.feature.is_number or not isinstance(value, float):
            raise RuleTextError(f"{self.feature.name!r} is {self.feature.kind}; {operator} compares numbers")
        known: dict[str, Operator] = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}
        return comparison(known[operator], value, self.feature)

    def _equal(self, value: Literal) -> Test:
        if isinstance(value, Null):
            return missing(self.feature)
        if isinstance(value, str) and self.feature.kind == "boolean":
            value = value.lower()
        if isinstance(value, float) and not self.feature.is_number:
            value = number_text(value)
        return equal([value], self.feature, absent=() if self.feature.is_number else self.absent)

    # --- intervals and literals

    def _is_interval(self) -> bool:
        if self._peek()[1] not in ("[", "]", "("):
            return False
        place = self.place + 1
        while self.tokens[place][0] == "number" or self.tokens[place] == ("mark", "-"):
            place += 1
        return self.tokens[place] == ("mark", "..") and place > self.place + 1

    def _interval(self) -> Test:
        opening = self._peek()[1]
        self.place += 1
        low = self._literal()
        self._expect("..")
        high = self._literal()
        closing = self._peek()[1]
        if not self._next("]", "[", ")"):
            self._fail("expected the interval's end")
        below = self._compared(">=" if opening == "[" else ">", low)
        return below & self._compared("<=" if closing == "]" else "<", high)

    def _is_literal(self) -> bool:
        kind, text = self._peek()
        return kind in ("text", "number") or text in ("-", "null", "true", "false")

    def _literal(self) -> Literal:
        kind, text = self._peek()
        self.place += 1
        if kind == "text":
            return _unescaped(text)
        if kind == "number":
            return self._number(text)
        if (kind, text) == ("mark", "-") and self._peek()[0] == "number":
            self.place += 1
            return -self._number(self.tokens[self.place - 1][1])
        if (kind, text) == ("word", "null"):
            return NULL
        if kind == "word" and text in ("true", "false"):
            return text
        self.place -= 1
        return self._fail("expected a text in double quotes, a number, true, false or null")

    def _number(self, text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise RuleTextError(f"{text} is too large for a number")
        return value


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _ESCAPES.get(found[2], found[0]), text)
