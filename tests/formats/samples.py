"""What the tests of the exports share: random drafts and rows, and the answers that an export must give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ruleedit.conflicts import effective
from ruleedit.drafts import Draft
from ruleedit.errors import Refused
from ruleedit.formats import EXPORTS
from ruleedit.regions import rule_box
from ruleedit.release import RuleAnswers
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.text import parse_rule
from tests.reference import Row, encoded
from tests.strategies import Dice, make_draft, make_row, make_small_rows, make_world

#: A name or category that is a formula, a script, an entity or a quote out of place.
HOSTILE = (
    *("=1+1", "+1", "-1+1", "@SUM(A1)", "\tx", "\r=1", "=cmd|' /C calc'!A0", '=HYPERLINK("x")', "＝1+1"),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</style><script>x</script>", "javascript:x"),
    *("&lt;b&gt;", "&xxe;", "<!ENTITY x SYSTEM 'file:///x'>", "]]>", "<!--", "-->", "{{ 7*7 }}", "{% raw %}"),
    *("*/ DROP TABLE input; --", "'; DROP TABLE input; --", '"; --', "\\'; --", "${1}", "`", "'\"", '"""', "\\"),
    *("__import__('os')", "a\nb", "import", "\u202etxt", "$root", "? + 1", "not(", "[1..2]", "null", "-", "true"),
)


def answers(draft: Draft, rows: Sequence[Row]) -> tuple[list[str | None], list[str | None]]:
    """What the rule set itself answers: outcomes and rule ids, None for `model` and for the default."""
    said = RuleAnswers(draft.rules, draft.schema).answer(encoded(rows, draft.schema))
    labels = RuleAnswers(draft.rules, draft.schema).labels
    outcomes = [None if code < 0 else draft.schema.classes[code] for code in said.outcomes]
    return outcomes, [None if place < 0 else labels[place] for place in said.held]


def solid(rules: RuleSet, schema: Schema) -> RuleSet:
    """The rule set without the rules that no row satisfies and without a default that is no answer."""
    kept = tuple(rule for rule in rules if not rule_box(rule, schema).is_empty)
    default = Outcome.of(schema.classes[0]) if rules.default.is_model else rules.default
    return RuleSet(kept, default, rules.settlements)


def samples(seed: int) -> Iterator[tuple[Draft, Callable[[int], list[Row]]]]:
    """Random drafts without end, half with odd names and numbers, half edited and settled; rows for each."""
    dice = Dice(seed)
    while True:
        world = make_world(dice)
        wide = Draft.of(solid(world.rules, world.schema), world.schema)
        yield wide, lambda many, schema=wide.schema: [make_row(dice, schema) for _ in range(many)]  # type: ignore[misc]
        edited = make_draft(dice, most=10)
        yield edited, lambda many, schema=edited.schema: make_small_rows(dice, schema, many)  # type: ignore[misc]


def exported(form: str, draft: Draft) -> Any:
    """The draft in a format, or None where that is refused by name."""
    try:
        return EXPORTS[form](draft)
    except Refused as refusal:
        if not any(word in str(refusal) for word in ("rule ", "feature ", "the target ", "the default ")):
            raise
        return None


def comparable(form: str, seed: int, many: int) -> Iterator[tuple[Draft, Any, Callable[[int], list[Row]]]]:
    """The first ``many`` random drafts that the format can say, with their export."""
    found = 0
    for draft, rows in samples(seed):
        text = exported(form, draft)
        if text is not None:
            yield draft, text, rows
            found += 1
        if found == many:
            return


def draft_of(*texts: str, features: Sequence[Feature] = (), default: Outcome | None = None) -> Draft:
    """A draft of rules given as text, on age, income, job and member unless features are given."""
    schema = Schema(tuple(features) or FEATURES, "decision", ("approve", "deny", "1"))
    rules = tuple(parse_rule(text, f"R{place}") for place, text in enumerate(texts, start=1))
    return Draft.of(RuleSet(rules, default or Outcome.of("deny")), schema)


FEATURES = (
    Feature("age", "integer"),
    Feature("income", "numeric"),
    Feature("job", "categorical", categories=("car", "radio/tv", "it's", "42")),
    Feature("member", "boolean"),
)


def hostile_draft() -> Draft:
    """A rule for each hostile text: as a feature's name, as a category and as a class."""
    names = [name for name in HOSTILE if name != "-1+1"]
    features = tuple(Feature(name, "categorical", categories=HOSTILE) for name in names)
    schema = Schema(features, "decision", ("approve", *HOSTILE))
    rules = tuple(
        Rule(f"R{place}", (Clause(name, "in", (text, "a\nb")),), Outcome.of(text))
        for place, (name, text) in enumerate(zip(names, reversed(HOSTILE), strict=False), start=1)
    )
    return Draft.of(RuleSet(rules, Outcome.of("approve")), schema)


def settled() -> Draft:
    """A draft with a settlement, so that its effective rules are more than its rules; its names are plain."""
    for seed in range(1, 1000):
        draft = make_draft(Dice(seed))
        written = effective(draft.rules, draft.schema)
        plain = "and" not in draft.schema.names and not any(rule.outcome.is_model for rule in written)
        if plain and len(written) > len(draft.rules):
            return draft
    raise AssertionError("no seed gives a settlement that stands")
