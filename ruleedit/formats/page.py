"""What the pages for people share: a style sheet that a content security policy knows by its hash, and rules as words.

Every name, category, reason and author goes through Jinja2's autoescape; only constants of this file are markup.
"""

from __future__ import annotations

import base64
import hashlib

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from ruleedit.rules import Clause, Outcome, Scalar, number_text

_TEXT = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #bbb; }
td, dd { overflow-wrap: anywhere; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; } table + table { margin-top: 1rem; }
bdi { white-space: pre-wrap; } bdi.name { font-weight: 600; } bdi.value { color: #0b4f8a; }
.note { color: #555; font-size: .9rem; } tr.off { color: #767676; text-decoration: line-through; }
dt { font-weight: 600; } code { font-size: .85rem; overflow-wrap: anywhere; }
@page { margin: 18mm 15mm; }
@media print {
  body { margin: 0; padding: 0; max-width: none; font-size: 10pt; } h1, h2 { break-after: avoid; }
  tr, dd, li { break-inside: avoid; } thead { display: table-header-group; } bdi.value { color: inherit; }
}
"""
_FORBIDS = "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
STYLE = Markup(_TEXT)
#: The page's policy: nothing is loaded, nothing runs, and no style but this one.
POLICY = _FORBIDS.format(base64.b64encode(hashlib.sha256(_TEXT.encode()).digest()).decode())
_WORDS = {
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
    "=": "is",
    "!=": "is present and isn't",
    "in": "is one of",
    "not in": "is present and none of",
}


def template(text: str) -> Template:
    """A page's template; what is put in is escaped, and a name that isn't given is an error."""
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(text)


def clause_words(clause: Clause) -> Markup:
    """A clause as words."""
    name = Markup('<bdi class="name">{}</bdi>').format(clause.feature)
    if clause.value is None:
        return name + " " + clause.operator
    if clause.operator == "between":
        low, high = map(value_words, clause.values)
        return Markup("{} is from {} to {}").format(name, low, high)
    return Markup("{} {} {}").format(name, _WORDS[clause.operator], Markup(", ").join(map(value_words, clause.values)))


def value_words(value: Scalar) -> Markup:
    """A value as it stands in a rule, set apart from the words around it."""
    text = value if isinstance(value, str) else number_text(value)
    return Markup('<bdi class="value">{}</bdi>').format(text)


def outcome_words(outcome: Outcome) -> Markup:
    """An outcome as words."""
    if outcome.is_model:
        return Markup("the model's own answer")
    if outcome.is_class:
        return value_words(outcome.classes[0])
    shares = (Markup("{} with probability {}").format(value_words(name), number_text(p)) for name, p in outcome.weights)
    return Markup(", ").join(shares)
