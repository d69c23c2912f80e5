"""Reading rules, clauses and outcomes from text.

`str()` of a clause, an outcome or a rule is the text that these functions read back to the same
value, whatever the names hold. The language has no expressions and runs nothing::

    rule     IF clause AND clause ... THEN outcome
    clause   name operator value | name [not] in (value, ...) | name between value and value
             | name is [not] missing
    outcome  class | class p, class p, ... | model
    name     a word, or anything in backquotes (doubled inside)
    value    a number, a word, or anything in single quotes (doubled inside)

Keywords are read in any case. What a clause means against a schema is checked by
`ruleedit.regions.check_rule`, not here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NoReturn

from ruleedit.errors import RuleTextError, TooLong, UnknownOperator, did_you_mean
from ruleedit.rules import KEYWORDS, MODEL, OPERATORS, Clause, Operator, Outcome, Rule, Scalar, read_number

#: The longest text of a rule in UTF-8 bytes: past that nobody reads it, and a parser's time should have a bound.
LONGEST_TEXT = 10 * 1024
#: The most clauses of a rule; a rule of more is a table in disguise.
MOST_CLAUSES = 256

# Possessive throughout: a hostile text is read in linear time.
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | `(?P<name>(?:[^`]|``)*+)`
      | '(?P<text>(?:[^']|'')*+)'
      | (?P<number>[+-]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][+-]?\d++)?+(?![\w.]))
      | (?P<operator>[=!<>~]++)
      | (?P<mark>[(),])
      | (?P<rule>[^\W\d]\w*(?:[.~+]\w+)+)
      | (?P<word>[^\W\d]\w*)""",
    re.VERBOSE,
)
_SIGNS: dict[str, Operator] = {"=": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


#: What somebody who writes another language's operator means by it.
_NEAR = {"==": "=", "<>": "!=", "=>": ">=", "=<": "<=", "!": "!=", "like": "in", "equals": "="}


@dataclass(frozen=True)
class Token:
    """One token: its kind (name, text, number, operator, mark, rule, word, end), its text and its place.

    A `rule` is the id of a rule's part, such as R4.1 or R3~1: never a name or a text.
    """

    kind: str
    text: str
    start: int


class Reader:
    """Walks over the tokens of one text; `ruleedit.edits` reads edits with it."""

    def __init__(self, text: str) -> None:
        if len(text.encode("utf-8", "surrogatepass")) > LONGEST_TEXT:
            raise TooLong(f"the text is longer than {LONGEST_TEXT // 1024} KiB; split the rule or group its values")
        self.source = text
        self._place = 0
        self._tokens = _tokens(text)

    @property
    def token(self) -> Token:
        """The token that comes next."""
        return self._tokens[self._place]

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.token.kind == "end"

    def take(self) -> Token:
        """Return the next token and step over it."""
        token = self.token
        if token.kind != "end":
            self._place += 1
        return token

    def is_keyword(self, word: str) -> bool:
        """Whether the next token is this keyword, bare and in any case."""
        return self.token.kind == "word" and self.token.text.lower() == word

    def accept(self, word: str) -> bool:
        """Step over a keyword if it comes next."""
        found = self.is_keyword(word)
        if found:
            self.take()
        return found

    def expect(self, word: str) -> None:
        """Step over a keyword or raise."""
        if not self.accept(word):
            self.fail(f"expected {word.upper()}")

    def expect_mark(self, mark: str) -> None:
        """Step over a bracket or comma or raise."""
        if not self.accept_mark(mark):
            self.fail(f"expected {mark!r}")

    def accept_mark(self, mark: str) -> bool:
        """Step over a bracket or comma if it comes next."""
        found = self.token.kind == "mark" and self.token.text == mark
        if found:
            self.take()
        return found

    def expect_end(self) -> None:
        """Raise unless the whole text was read."""
        if not self.at_end:
            self.fail("expected the end")

    def fail(self, what: str) -> NoReturn:
        """Raise `RuleTextError`: what was expected, what is there, and where."""
        there = "the end" if self.at_end else repr(self.source[self.token.start : self.token.start + 20])
        at = self.token.start
        raise RuleTextError.placed(
            f"{what} at character {at + 1} of {_short(self.source)}, found {there}", self.source, at
        )

    def rest(self) -> str:
        """Take everything that is left, as it was written."""
        text = self.source[self.token.start :]
        self._place = len(self._tokens) - 1
        return text

    def name(self) -> str:
        """Read a feature's name."""
        token = self.token
        if token.kind != "name" and not self._at_bare_word:
            why = (
                f"{token.text!r} is a keyword: write it in backquotes"
                if token.kind == "word"
                else "in backquotes unless it is a word"
            )
            self.fail(f"expected a feature's name ({why})")
        return self.take().text

    def scalar(self) -> Scalar:
        """Read a number or a text."""
        if self.token.kind == "number":
            return _number(self.take().text, self.source)
        if self.token.kind != "text" and not self._at_bare_word:
            self.fail("expected a number, a word or a text in single quotes")
        return self.take().text

    def clause(self) -> Clause:
        """Read one clause."""
        return self.condition(self.name())

    def condition(self, feature: str) -> Clause:
        """Read what a clause says of its feature: all but the name."""
        if self.accept("is"):
            negated = self.accept("not")
            self.expect("missing")
            return Clause(feature, "is not missing" if negated else "is missing")
        if self.accept("between"):
            low = self.scalar()
            self.expect("and")
            return Clause(feature, "between", (low, self.scalar()))
        if self.accept("not"):
            self.expect("in")
            return Clause(feature, "not in", self._values())
        if self.accept("in"):
            return Clause(feature, "in", self._values())
        return Clause(feature, self._sign(), self.scalar())

    def conjunction(self) -> tuple[Clause, ...]:
        """Read clauses joined by AND."""
        clauses = [self.clause()]
        while self.accept("and"):
            clauses.append(self.clause())
            if len(clauses) > MOST_CLAUSES:
                raise TooLong(f"more than {MOST_CLAUSES} clauses in one rule; split it")
        return tuple(clauses)

    def outcome(self) -> Outcome:
        """Read a class, a distribution or `model`."""
        if self.accept("model"):
            return MODEL
        name = self._class()
        if self.token.kind != "number":
            return Outcome.of(name)
        weights = {name: self._probability()}
        while self.accept_mark(","):
            name = self._class()
            if name in weights:
                self.fail(f"class {name!r} is given twice, expected another")
            weights[name] = self._probability()
        return Outcome.spread(weights)

    def rule(self, rule_id: str) -> Rule:
        """Read IF ... THEN ...; the id is given apart from the text."""
        self.expect("if")
        clauses = self.conjunction()
        self.expect("then")
        return Rule(rule_id, clauses, self.outcome())

    @property
    def _at_bare_word(self) -> bool:
        return self.token.kind == "word" and self.token.text.lower() not in KEYWORDS

    def _class(self) -> str:
        if self.token.kind == "number":
            self.fail("expected a class (in single quotes where it looks like a number)")
        if self.token.kind == "word" and self.token.text.lower() in KEYWORDS:
            self.fail(f"expected a class ({self.token.text!r} is a keyword: write it in single quotes)")
        name = self.scalar()
        assert isinstance(name, str)
        return name

    def _probability(self) -> float:
        if self.token.kind != "number":
            self.fail("expected a probability")
        return _number(self.take().text, self.source)

    def _values(self) -> tuple[Scalar, ...]:
        self.expect_mark("(")
        values = [self.scalar()]
        while self.accept_mark(","):
            values.append(self.scalar())
        self.expect_mark(")")
        return tuple(values)

    def _sign(self) -> Operator:
        token = self.token
        if token.kind not in ("operator", "word"):
            self.fail(f"expected an operator ({', '.join(OPERATORS)})")
        if token.text not in _SIGNS:
            near = _NEAR.get(token.text.lower())
            hint = (
                f"; did you mean {near!r}?"
                if near
                else did_you_mean(token.text.lower(), OPERATORS, most=len(OPERATORS))
            )
            where = f"at character {token.start + 1} of {_short(self.source)}"
            raise UnknownOperator.placed(f"no operator {token.text!r} {where}{hint}", self.source, token.start)
        return _SIGNS[self.take().text]


def parse_clause(text: str) -> Clause:
    """Read one clause; raises `RuleTextError`."""
    reader = Reader(text)
    clause = reader.clause()
    reader.expect_end()
    return clause


def parse_outcome(text: str) -> Outcome:
    """Read an outcome; raises `RuleTextError` or `OutcomeRefused`."""
    reader = Reader(text)
    outcome = reader.outcome()
    reader.expect_end()
    return outcome


def parse_rule(text: str, rule_id: str = "") -> Rule:
    """Read a rule, so that ``parse_rule(str(rule), rule.id)`` says the same as ``rule``."""
    reader = Reader(text)
    rule = reader.rule(rule_id)
    reader.expect_end()
    return rule


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            where = f"at character {place + 1} of {_short(text)}{_quote_hint(text, place)}"
            raise RuleTextError.placed(f"can't read {text[place : place + 20]!r} {where}", text, place)
        kind = match.lastgroup
        assert kind is not None
        if kind != "space":
            inner = match.group(kind)
            if kind == "name":
                inner = inner.replace("``", "`")
            elif kind == "text":
                inner = inner.replace("''", "'")
            tokens.append(Token(kind, inner, place))
        place = match.end()
    tokens.append(Token("end", "", len(text)))
    return tokens


def _quote_hint(text: str, place: int) -> str:
    if text[place] == '"':
        return "; texts stand in single quotes"
    if text[place] in "`'":
        return "; a quote is opened and never closed"
    return "; names stand in backquotes and texts in single quotes unless they are words"


def _number(text: str, source: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise RuleTextError(f"{text} in {_short(source)} is too large for a number")
    return read_number(value)


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
