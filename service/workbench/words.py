"""Rules, numbers and outcomes in words for people; the formal text is `ruleedit.rules`' own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from ruleedit.rules import Clause, Outcome, Rule, Scalar, number_text
from ruleedit.schema import Feature, Schema

#: A shape for each class beside its colour, so that colour alone never says anything.
SHAPES = "▲▼●■◆★✚▬"
_SIGNS = {"=": "is", "!=": "is not", "<": "<", "<=": "≤", ">": ">", ">=": "≥", "in": "is", "not in": "is none of"}
#: A list longer than this is cut in a sentence; the editor and the formal text show all of it.
LONGEST_LIST = 6


def number(value: float) -> str:
    """A number with thousands apart (a thin space), never rounded."""
    text = number_text(value)
    if "e" in text or "inf" in text:
        return text
    whole, dot, part = text.partition(".")
    sign, digits = ("−", whole[1:]) if whole.startswith("-") else ("", whole)
    return sign + f"{int(digits):,}".replace(",", "\u202f") + dot + part


def count(value: int) -> str:
    """A count with thousands apart."""
    return number(float(value))


def many(number: int, noun: str) -> str:
    """A count with its noun, as in 1 round and 2 rounds."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def share(value: float, digits: int = 1) -> str:
    """A share as per cent; none and all are said of none and all alone, not of what is near."""
    least = 10.0**-digits / 100
    if 1e-12 < value < least / 2:
        return f"<{100 * least:.{digits}f}%"
    if least / 2 >= 1 - value > 1e-12:
        return f">{100 * (1 - least):.{digits}f}%"
    return f"{100 * value:.{digits}f}%"


def signed(value: float, digits: int = 0) -> str:
    """A change with its sign, to so many digits; no change has none."""
    text = f"{abs(value):,.{digits}f}".replace(",", "\u202f")
    if not float(text.replace("\u202f", "")):
        return text
    return f"{'+' if value > 0 else '−'}{text}"


def value(scalar: Scalar) -> str:
    """A value as people write it."""
    return scalar if isinstance(scalar, str) else number(scalar)


def class_text(name: str) -> str:
    """A class as an edit's text names it."""
    return str(Outcome.of(name))


def of_row(scalar: Scalar | bool | None) -> str:
    """A value of a row as people write it; a missing one as a dash."""
    if scalar is None:
        return "–"
    if isinstance(scalar, bool):
        return "true" if scalar else "false"
    return value(scalar)


def name(feature: str) -> str:
    """A feature's name with its underscores as spaces."""
    return feature.replace("_", " ").strip() or feature


def clause(one: Clause) -> str:
    """A clause as a sentence."""
    if one.value is None:
        return f"{name(one.feature)} {one.operator}"
    if one.operator == "between":
        low, high = one.values
        return f"{name(one.feature)} from {value(low)} to {value(high)}"
    return f"{name(one.feature)} {_SIGNS[one.operator]} {_either(one.values)}"


def outcome(said: Outcome) -> str:
    """What a rule answers: a class by its name, a distribution in per cent."""
    if said.is_model:
        return "the model's own answer"
    if said.is_class:
        return said.classes[0]
    return ", ".join(f"{name} {100 * part:.3g}%" for name, part in said.weights)


def sentence(rule: Rule) -> str:
    """A rule as a sentence."""
    return f"IF {' AND '.join(map(clause, rule.clauses))} THEN {outcome(rule.outcome)}"


def parted(old: str, new: str) -> tuple[str, str, str]:
    """What two texts begin with alike, word by word, and how each goes on; neither is left without an end."""
    before, after = old.split(" "), new.split(" ")
    most = min(len(before), len(after)) - 1
    same = next((at for at in range(most) if before[at] != after[at]), most)
    return "".join(f"{one} " for one in before[:same]), " ".join(before[same:]), " ".join(after[same:])


def listed(values: Sequence[str], letters: int) -> str:
    """The first values, about so many letters of them, and how many more there are."""
    ends = itertools.accumulate(len(one) + 2 for one in values)
    shown = max(1, sum(end <= letters for end in ends))
    more = len(values) - shown
    return ", ".join(values[:shown]) + (f" and {count(more)} more" if more > 0 else "")


def _either(values: Sequence[Scalar]) -> str:
    shown = [value(one) for one in values[:LONGEST_LIST]]
    if len(values) > LONGEST_LIST:
        return f"{', '.join(shown)} or {len(values) - LONGEST_LIST} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def shape(place: int) -> str:
    """The shape of the class at a place in schema order."""
    return SHAPES[place % len(SHAPES)]


def colour(place: int) -> str:
    """The colour's number of the class at a place in schema order; it goes with `shape`."""
    return str(place % len(SHAPES))


def flip(text: str, schema: Schema) -> tuple[int, int]:
    """The classes of an impact's ``"deny -> approve"`` as places."""
    for old, before in enumerate(schema.classes):
        for new, after in enumerate(schema.classes):
            if text == f"{before} -> {after}":
                return old, new
    raise KeyError(text)


def cell(feature: Feature, encoded: float) -> str:
    """An encoded value as it stands in the table; a missing one as a dash."""
    if math.isnan(encoded):
        return "–"
    if feature.is_number:
        return number(encoded)
    return next((text for text, code in feature.code_of.items() if code == encoded), "(never seen)")
