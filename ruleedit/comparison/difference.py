"""Where two answer differently, as rules: learned on one part of the rows, measured on another."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ruleedit.errors import ExtractionFailed
from ruleedit.matching import Indices, Mask, Matrix, box_mask, decide, set_mask
from ruleedit.regions import Box, Part, box_clauses, clause_cost, rule_box
from ruleedit.rules import Outcome, Rule, RuleSet
from ruleedit.schema import Schema
from ruleedit.surrogate import DEFAULT_METHOD, extract
from ruleedit.surrogate.fidelity import wilson
from ruleedit.surrogate.task import Splits

#: What a rule says of the rows that both answer alike.
SAME = "same"
#: Rows that are answered alike are kept for each one that isn't: all, then fewer, so that rare changes are found too.
SHARES = (None, 20, 5, 1)
#: So many boxes are looked at where what a default says is written as boxes.
MOST_BOXES = 1_000
#: Rules are learned from at most so many rows; every held-out row counts.
MOST_ROWS = 100_000


@dataclass(frozen=True)
class DifferenceRule:
    """One rule about where the two differ, measured on held-out rows.

    ``change`` is what it says of its rows, as in "deny -> approve". Of the ``rows`` that it holds
    ``right`` changed in that way: that share is the ``precision``; of all rows that changed so,
    ``recall`` is the share that it holds. Each comes with its 95% interval (Wilson), None without rows.
    """

    rule: str
    text: str
    change: str
    rows: int
    right: int
    precision: float | None
    precision_interval: tuple[float, float] | None
    recall: float | None
    recall_interval: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def labelled(old: Indices, new: Indices, names: Sequence[str]) -> tuple[Indices, tuple[str, ...]]:
    """For each row the place of what happened to it, 0 for nothing, and the names of what happens, commonest first."""
    codes = np.where(old == new, -1, old % len(names) * len(names) + new % len(names))
    kinds, counts = np.unique(codes[codes >= 0], return_counts=True)
    order = kinds[np.argsort(-counts, kind="stable")]
    labels = np.zeros(len(codes), dtype=np.intp)
    for place, kind in enumerate(order, start=1):
        labels[codes == kind] = place
    texts = [f"{names[kind // len(names)]} -> {names[kind % len(names)]}" for kind in order]
    return labels, (SAME, *_unlike(texts))


def _unlike(texts: Sequence[str]) -> Iterator[str]:
    """The texts; one that is there already gets a mark: a class may be named "a -> b" too."""
    seen = {SAME}
    for text in texts:
        while text in seen:
            text += "'"
        seen.add(text)
        yield text


@dataclass(frozen=True)
class Difference:
    """The rules that describe the difference, on the held-out rows."""

    rules: RuleSet
    changes: tuple[str, ...]
    truth: Indices
    decided: Indices
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        rows: Matrix,
        labels: Indices,
        changes: tuple[str, ...],
        held: Indices,
        schema: Schema,
        max_clauses: int,
        seed: int,
        splits: Splits = (),
    ) -> Difference:
        """Learn on the rows that aren't held out; ``splits`` are thresholds where the two are likely to part."""
        kinds = replace(schema, target=_free_name(schema), classes=changes if len(changes) > 1 else (SAME, "other"))
        learning = np.setdiff1d(np.arange(len(rows)), held)
        best = RuleSet((), Outcome.of(SAME))
        notes: tuple[str, ...] = ()
        if len(changes) > 1:
            tried = list(_tries(rows[learning], labels[learning], kinds, max_clauses, seed, splits))
            best = max(tried, key=lambda rules: _f1(rules, rows[learning], labels[learning], kinds), default=best)
            if not best.rules:
                notes = (f"no rule of at most {max_clauses} clauses says where they differ better than none",)
        else:
            notes = ("both answer every row of this table alike",)
        decided = decide(best, rows[held], kinds)
        found = cls(best, changes, labels[held], decided, notes)
        shares = found.together()
        if best.rules and min(shares["precision"] or 0.0, shares["recall"] or 0.0) < 0.5:
            weak = "the rules say little of where they differ: it follows no short rule, or too few rows changed"
            return replace(found, notes=(*notes, weak))
        return found

    @property
    def says(self) -> Indices:
        """What each rule says, as a place in ``changes``, and the default's at the end."""
        said = [self.changes.index(rule.outcome.classes[0]) for rule in self.rules]
        return np.array([*said, self.changes.index(self.rules.default.classes[0])], dtype=np.intp)

    def figures(self) -> tuple[DifferenceRule, ...]:
        """Each rule that says that something changes, the default too if it says so."""
        found = []
        otherwise = ("default", f"OTHERWISE {self.rules.default}", -1)
        for name, text, place in [*((rule.id, str(rule), at) for at, rule in enumerate(self.rules)), otherwise]:
            said = int(self.says[place])
            if said == 0:
                continue
            held = self.decided == place
            right = int((held & (self.truth == said)).sum())
            there = int((self.truth == said).sum())
            precision = _share(right, int(held.sum()))
            recall = _share(right, there)
            found.append(DifferenceRule(name, text, self.changes[said], int(held.sum()), right, *precision, *recall))
        return tuple(found)

    def together(self) -> dict[str, Any]:
        """Precision and recall of all of them."""
        said = self.says[self.decided] if len(self.truth) else self.truth
        right = int(((said > 0) & (said == self.truth)).sum())
        precision, precision_interval = _share(right, int((said > 0).sum()))
        recall, recall_interval = _share(right, int((self.truth > 0).sum()))
        return {
            "precision": precision,
            "precision_interval": precision_interval,
            "recall": recall,
            "recall_interval": recall_interval,
        }


def _tries(
    rows: Matrix, labels: Indices, schema: Schema, max_clauses: int, seed: int, splits: Splits
) -> Iterator[RuleSet]:
    """Rule sets learned with ever fewer of the rows that are answered alike."""
    dice = np.random.default_rng(seed)
    changed, alike = np.flatnonzero(labels > 0), np.flatnonzero(labels == 0)
    for share in SHARES:
        if not len(alike) or (share is not None and share * len(changed) >= len(alike)):
            continue
        few = alike if share is None else dice.choice(alike, share * len(changed), replace=False)
        chosen = np.concatenate([changed, few])
        if len(chosen) > MOST_ROWS:
            chosen = dice.choice(chosen, MOST_ROWS, replace=False)
        chosen = np.sort(chosen)
        try:
            found = extract(
                rows[chosen],
                labels[chosen],
                schema,
                splits=splits,
                method=DEFAULT_METHOD,
                max_clauses=max_clauses,
                seed=seed,
            )
        except ExtractionFailed:
            continue
        yield _changing(found.rules, rows, labels, schema, max_clauses)
    if not len(alike):
        only = int(np.bincount(labels).argmax())
        yield RuleSet((), Outcome.of(schema.classes[only]))


def _changing(rules: RuleSet, rows: Matrix, labels: Indices, schema: Schema, max_clauses: int) -> RuleSet:
    """The rules with "same" as their default: what another one says is written as boxes, the best within the budget."""
    if rules.default == Outcome.of(SAME):
        return rules
    holes = [rule_box(rule, schema) for rule in rules]
    listed = list(rules.rules)
    # Boxes that leave out what these hold need none of them behind the last one that says a change.
    while listed and listed[-1].outcome == Outcome.of(SAME):
        listed.pop()
    truth = labels == schema.classes.index(rules.default.classes[0])
    boxes = itertools.islice(Part.of(Box(), holes).boxes(), MOST_BOXES)
    wide = [_widened(box, rows, truth, schema) for box in boxes if (box_mask(box, rows, schema) & truth).any()]
    left = max_clauses - sum(map(clause_cost, listed))
    open_rows = np.ones(len(rows), dtype=bool)
    while wide:
        gains = [_gain(box_mask(box, rows, schema) & open_rows, truth) for box in wide]
        best = int(np.argmax(gains))
        box = wide.pop(best)
        new = [Rule("", clauses, rules.default) for clauses in box_clauses(box, schema)]
        if gains[best] <= 0:
            break
        if sum(map(clause_cost, new)) <= left:
            listed += new
            left -= sum(map(clause_cost, new))
            open_rows &= ~box_mask(box, rows, schema)
    named = tuple(rule.replace(id=f"R{number}") for number, rule in enumerate(listed, start=1))
    return RuleSet(named, Outcome.of(SAME))


def _gain(mask: Mask, truth: Mask) -> int:
    """The rows that a rule gets right more than it gets wrong."""
    return 2 * int((mask & truth).sum()) - int(mask.sum())


def _widened(box: Box, rows: Matrix, truth: Mask, schema: Schema) -> Box:
    """The box without the conditions that only part what belongs together: each dropped while the gain doesn't fall."""
    masks = {name: set_mask(v, rows[:, schema.index(name)], schema.feature(name)) for name, v in box.sets}
    kept = dict(box.sets)

    def gain(names: Iterable[str]) -> int:
        return _gain(np.logical_and.reduce([np.ones(len(rows), dtype=bool), *(masks[name] for name in names)]), truth)

    best = gain(kept)
    while len(kept) > 1:
        tried = {name: gain(other for other in kept if other != name) for name in kept}
        name = max(tried, key=tried.__getitem__)
        if tried[name] < best:
            break
        best = tried[name]
        del kept[name]
    return Box.of(kept)


def _f1(rules: RuleSet, rows: Matrix, labels: Indices, schema: Schema) -> float:
    """How well rules say which rows change and how: the harmonic mean of precision and recall."""
    places = [schema.classes.index(rule.outcome.classes[0]) for rule in rules]
    said = np.array([*places, schema.classes.index(rules.default.classes[0])], dtype=np.intp)[
        decide(rules, rows, schema)
    ]
    right = int(((said > 0) & (said == labels)).sum())
    return 2.0 * right / max(1, int((said > 0).sum()) + int((labels > 0).sum()))


def _free_name(schema: Schema) -> str:
    """A target's name that no feature has."""
    name = "change"
    while name in schema.names:
        name += "'"
    return name


def _share(hits: int, rows: int) -> tuple[float | None, tuple[float, float] | None]:
    return (hits / rows, wilson(hits, rows)) if rows else (None, None)
