"""Ground: last month's asserted rules and settlements, carried over to rules that were extracted anew.

A rule that somebody asserted is carried over verbatim (id, text, outcome, flags) and stands ahead
of the extracted rules, in its old order among the others. `standings` then says of each whether the
new model honours it already, whether it is still needed, or whether the new data contradict it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from ruleedit.drafts import Draft
from ruleedit.errors import RuleEditError
from ruleedit.feedback import Feedback, feedback
from ruleedit.matching import Indices, Mask, Matrix
from ruleedit.regions import box_text, check_rule, rule_box
from ruleedit.rules import Outcome, Rule, RuleSet, Settlement
from ruleedit.schema import Schema
from ruleedit.surrogate.fidelity import Interval, wilson
from ruleedit.text import parse_rule

Standing: TypeAlias = Literal["honoured", "needed", "contradicted", "unseen", "silent", "left out"]

#: From this agreement on the model honours a rule by itself: what retraining aims at too.
HONOURED = 0.99


@dataclass(frozen=True)
class Carried:
    """One asserted rule after a retraining.

    ``rows`` are those of the new table for which it asks, ``agreement`` the share of them on which
    the new model answers as it says, ``labels`` the share on which the table's own target does
    (None without rows, or without a target), with its 95% interval. ``standing`` is, in this order:

    - ``left out``: it doesn't fit the new schema; ``why`` says what is gone. It isn't carried over.
    - ``silent``: it asks nothing: it is disabled, or leaves its rows to the model.
    - ``unseen``: no row of the new table lies where it asks, so nothing can be said.
    - ``honoured``: the agreement is `HONOURED` or more; it could go.
    - ``contradicted``: another class is the target there more often than the rule's own, by more
      than chance: of the rows labelled with one of the two, the upper end of the 95% interval of the
      rule's share lies below one half.
    - ``needed``: neither.
    """

    rule: str
    text: str
    standing: Standing
    rows: int = 0
    agreement: float | None = None
    labels: float | None = None
    interval: Interval | None = None
    why: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rule": self.rule,
            "text": self.text,
            "standing": self.standing,
            "rows": self.rows,
            "agreement": self.agreement,
            "labels": self.labels,
            "interval": None if self.interval is None else list(self.interval),
            "why": self.why,
        }


@dataclass(frozen=True)
class Ground:
    """What of an old draft fits a new schema.

    ``asserted`` and ``settlements`` are carried over, ``left_out`` are asserted rules that don't fit.
    ``confirmed`` are ids of asserted rules that stand as they were extracted, where they were.
    ``start`` is the old extraction, so far as it fits, for a new one to begin with; ``taken`` are
    ids that a new rule mustn't take. ``notes`` say what else isn't carried over.
    """

    revision: str
    asserted: tuple[Rule, ...]
    settlements: tuple[Settlement, ...]
    confirmed: frozenset[str]
    start: RuleSet | None
    left_out: tuple[Carried, ...]
    taken: frozenset[str]
    notes: tuple[str, ...]


def ground_of(old: Draft, schema: Schema) -> Ground:
    """Part an old draft into what fits a schema and what doesn't; nothing is rewritten to fit."""
    asserted: list[Rule] = []
    left_out: list[Carried] = []
    for rule in old.rules:
        if not rule.asserted:
            continue
        why = _misfit(rule, schema)
        if why is None:
            asserted.append(rule)
        else:
            left_out.append(Carried(rule.id, str(rule), "left out", why=why))
    ids = {rule.id for rule in asserted}
    standing = [s for s in old.rules.settlements if ids.issuperset(s.rules) and _settles(s.texts, s.outcome, schema)]
    extracted = {rule.id: rule for rule in old.base}
    confirmed = {r.id for r in asserted if r.id in extracted and r.says(extracted[r.id]) and not r.placed}
    notes = [*_lost_settlements(old, standing), *_otherwise_read(asserted, old.schema, schema)]
    notes += [*_stood_behind(old, confirmed), *_not_asserted(old)]
    return Ground(
        old.revision,
        tuple(asserted),
        tuple(standing),
        frozenset(confirmed),
        _start(old.base, schema),
        tuple(left_out),
        frozenset(old.seen_ids()),
        tuple(notes),
    )


def carried_over(extracted: Draft, ground: Ground) -> Draft:
    """The extracted draft with the asserted rules ahead, as one step of its history; itself where there are none."""
    if not ground.asserted:
        return extracted
    known = {rule.id: rule for rule in extracted.base}
    ahead: list[Rule] = []
    stays: dict[str, Rule] = {}
    for rule in ground.asserted:
        if rule.id not in known or not rule.says(known[rule.id]):
            ahead.append(rule)
        elif rule.id in ground.confirmed:
            stays[rule.id] = rule
        else:
            # What was extracted again is asserted, and stands ahead, only if somebody says so.
            ahead.append(rule.replace(confirmed=True, placed=True))
    gone = {rule.id for rule in ahead}
    rest = [stays.get(rule.id, rule) for rule in extracted.base if rule.id not in gone]
    rules = RuleSet((*ahead, *rest), extracted.base.default, ground.settlements)
    short = ground.revision[:12]
    return extracted.commit(f"ground {short}", rules, reason=f"carried over from revision {short}", author="")


def standings(
    draft: Draft, ground: Ground, rows: Matrix, answers: Indices, truth: Indices | None
) -> tuple[Carried, ...]:
    """How each asserted rule stands to a new model and new data, in their order, those left out last.

    Parameters
    ----------
    draft : Draft
        What `carried_over` gave.
    rows, answers : Matrix, Indices
        Encoded rows (n, features), NaN for missing, and the new model's outcomes there (n,).
    truth : Indices, optional
        The table's own target as places in the classes (n,).
    """
    asks = feedback(draft.base, draft.rules, draft.schema)
    held = asks.assign(rows)
    found = [_standing(rule, _asked(rule, asks, held), answers, truth, draft.schema) for rule in ground.asserted]
    return (*found, *ground.left_out)


def _asked(rule: Rule, asks: Feedback, held: Indices) -> Mask:
    """The rows for which a rule asks its outcome, alone or where a settlement with others lets it."""
    places = [
        place
        for place, asked in enumerate(asks)
        if asked.kind == "asserted" and rule.id in asked.id.split("+") and asked.outcome == rule.outcome
    ]
    return np.isin(held, places)


def _standing(rule: Rule, asked: Mask, answers: Indices, truth: Indices | None, schema: Schema) -> Carried:
    top = rule.outcome.top(schema.classes)
    if top is None or not rule.enabled:
        return Carried(rule.id, str(rule), "silent")
    rows, wanted = int(asked.sum()), schema.classes.index(top)
    if not rows:
        return Carried(rule.id, str(rule), "unseen")
    agreement = float((answers[asked] == wanted).mean())
    labels, interval, against = None, None, False
    if truth is not None:
        counts = np.bincount(truth[asked], minlength=len(schema.classes))
        own = int(counts[wanted])
        labels, interval = own / rows, wilson(own, rows)
        rival = int(np.delete(counts, wanted).max())
        against = rival > 0 and wilson(own, own + rival)[1] < 0.5
    standing: Standing = "honoured" if agreement >= HONOURED else "contradicted" if against else "needed"
    return Carried(rule.id, str(rule), standing, rows, agreement, labels, interval)


def _misfit(rule: Rule, schema: Schema) -> str | None:
    """Why a rule doesn't fit a schema, or None."""
    try:
        for clause in rule.clauses:
            check_rule(Rule(rule.id, (clause,), rule.outcome), schema)
        check_rule(rule, schema)
    except RuleEditError as problem:
        return str(problem)
    return None


def _settles(texts: Sequence[str], outcome: Outcome | None, schema: Schema) -> bool:
    classes = () if outcome is None else outcome.classes
    return all(_misfit(parse_rule(text), schema) is None for text in texts) and set(classes) <= set(schema.classes)


def _start(base: RuleSet, schema: Schema) -> RuleSet | None:
    """The old extraction so far as it fits; None where its default is no class any more."""
    if not set(base.default.classes) <= set(schema.classes):
        return None
    return RuleSet(tuple(rule for rule in base if _misfit(rule, schema) is None), base.default)


def _lost_settlements(old: Draft, kept: Sequence[Settlement]) -> Iterable[str]:
    for settlement in old.rules.settlements:
        if settlement not in kept:
            yield f"the settlement of {' and '.join(settlement.rules)} isn't carried over: not all of it fits"


def _otherwise_read(asserted: Sequence[Rule], old: Schema, new: Schema) -> Iterable[str]:
    """Rules whose text stays and whose region doesn't: integers now, or missing values forbidden."""
    for rule in asserted:
        before, now = rule_box(rule, old), rule_box(rule, new)
        if before != now:
            yield f"{rule.id}: the new schema reads its text as {box_text(now, new)}"


def _stood_behind(old: Draft, confirmed: Collection[str]) -> Iterable[str]:
    """Asserted rules that decide more than before, as the extracted rule ahead of them is gone or behind them now."""
    extracted: list[Rule] = []
    for rule in old.rules.enabled:
        if not rule.asserted:
            extracted.append(rule)
        elif rule.id not in confirmed:
            box = rule_box(rule, old.schema)
            before = [other.id for other in extracted if rule_box(other, old.schema).meets(box)]
            if before:
                yield f"{rule.id} stood behind {', '.join(before)}; it stands ahead of all extracted rules now"


def _not_asserted(old: Draft) -> Iterable[str]:
    """What edits asked for without asserting a rule: that isn't carried over."""
    now = {rule.id: rule for rule in old.rules}
    for rule in old.base.enabled:
        if rule.id not in now or (not now[rule.id].enabled and not now[rule.id].asserted):
            what = "removed" if rule.id not in now else "disabled"
            yield f"{rule.id} was {what}; that isn't carried over, edit the new rules where they say it again"
    if old.rules.default != old.base.default:
        yield f"the default was changed to {old.rules.default}; that isn't carried over, as it asserts nothing"
