"""The impact of one edit after another on the same table, fast enough to follow every keystroke.

A `Preview` keeps, for a table and a base, the rows that each rule covers as bits, 64 rows a word, so
that an edit of one clause reads one column and the rest is arithmetic on an eighth of a byte a row.
It works from the semantics row by row (`ruleedit.feedback` says them) and not from feedback's exact
regions; that both say the same is a test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ruleedit.conflicts import Conflicts, Overlap, effective
from ruleedit.conflicts.kept import Kept
from ruleedit.errors import Refused
from ruleedit.impact import RuleImpact, counts_json
from ruleedit.impact.bits import MOST_MASKS, Bits, Masks, count, packed, unpacked
from ruleedit.matching import Indices, Mask, Matrix, decide
from ruleedit.regions import clauses_box
from ruleedit.rules import MODEL, Clause, Outcome, Rule, RuleSet, value_text
from ruleedit.schema import Schema


@dataclass(frozen=True)
class Rates:
    """How the rows of a subgroup are decided: how many they are, and how many get each class before and after."""

    subgroup: str
    rows: int
    before: dict[str, int]
    after: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"subgroup": self.subgroup, "rows": self.rows, "before": self.before, "after": self.after}


@dataclass(frozen=True)
class Glance:
    """The counts of `ruleedit.impact.Impact`, with the rates of subgroups and the confusion with the truth.

    ``by_rule`` holds the feedback rules that hold rows; what an edit uncovered of a rule is one
    line. ``confusion_before`` and ``confusion_after`` (classes, classes) count the rows by true
    class and decision, in schema order; None without the truth. ``changed_bits`` packs the rows
    whose decision changes, ``asked`` those for which each outcome is asked.
    """

    rows: int
    covered: int
    changed_by_edit: int
    changed_by_assertion: int
    undecided: int
    flips: dict[tuple[str, str], int]
    by_rule: tuple[RuleImpact, ...]
    subgroups: tuple[Rates, ...]
    confusion_before: npt.NDArray[np.int64] | None
    confusion_after: npt.NDArray[np.int64] | None
    parents: Mapping[str, str] = field(repr=False)
    changed_bits: Bits = field(repr=False)
    asked: Mapping[Outcome, Bits] = field(repr=False)

    @property
    def changed(self) -> int:
        """Decisions that change."""
        return self.changed_by_edit + self.changed_by_assertion

    @property
    def mask(self) -> Mask:
        """The rows whose decision changes; shape (n,)."""
        return unpacked(self.changed_bits, self.rows)

    def to_json(self) -> dict[str, Any]:
        """As the API gives it: the keys of an impact, and more."""
        out = counts_json(self) | {"subgroups": [rates.to_json() for rates in self.subgroups]}
        if self.confusion_before is not None and self.confusion_after is not None:
            out["confusion"] = {"before": self.confusion_before.tolist(), "after": self.confusion_after.tolist()}
        return out


@dataclass(frozen=True)
class _Held:
    """Rows that one feedback rule holds, and what it asks there: None for nothing, undecided or the model."""

    rule: str
    kind: str
    bits: Bits
    outcome: Outcome


class Preview:
    """What the hard overlay of any edited rule set would change on one table, against one base.

    Parameters
    ----------
    base : RuleSet
        The rule set as extracted or in force; every preview is against it.
    schema : Schema
        The schema of rules and rows.
    rows : Matrix
        Encoded rows (n, features), NaN for missing; kept by column.
    outcomes : Indices
        The model's own answers (n,), as places in schema order.
    truth : Indices, optional
        The true classes (n,), for the confusion.
    subgroups : mapping of str to Mask, optional
        Masks (n,) of rows whose rates are shown; `subgroup_masks` makes them of a feature's values.

    Memory is an eighth of a byte a row for each clause and rule seen, at most `ruleedit.impact.bits.MOST_MASKS` of
    them.
    """

    def __init__(
        self,
        base: RuleSet,
        schema: Schema,
        rows: Matrix,
        outcomes: Indices,
        *,
        truth: Indices | None = None,
        subgroups: Mapping[str, Mask] | None = None,
    ) -> None:
        self.base = base
        self.schema = schema
        self._masks = Masks(rows, schema)
        self._bits: dict[tuple[Clause, ...], Bits] = {}
        self._kept = Kept(schema)
        self._all, self._none = self._masks.all, self._masks.none
        self._model = self._by_class(outcomes)
        self._truth = None if truth is None else self._by_class(truth)
        self._groups = {name: packed(mask) for name, mask in (subgroups or {}).items()}
        place = decide(base, self._masks.rows, schema)
        #: Per base rule the rows that it decided.
        self._decided = {rule.id: packed(place == at) for at, rule in enumerate(base.rules) if rule.enabled}
        self._said = self._base_answers()
        self._said_class = [self._none.copy() for _ in schema.classes]
        for outcome, bits in self._said.items():
            top = outcome.top(schema.classes)
            if top is not None:
                self._said_class[schema.classes.index(top)] |= bits
        self._before = {name: self._rates(self._model, mask) for name, mask in self._groups.items()}
        self._confusion = None if self._truth is None else _crossed(self._truth, self._model)

    def of(self, edited: RuleSet) -> Glance:
        """The impact of the edits between the base and ``edited``; raises as `ruleedit.conflicts.overlapping` does."""
        classes = self.schema.classes
        asked: dict[Outcome, Bits] = {}
        undecided = self._none.copy()
        by_rule: dict[tuple[str, str], RuleImpact] = {}
        for one in self._held(edited):
            top = one.outcome.top(classes)
            changed = 0
            if one.kind == "undecided":
                undecided |= one.bits
            elif top is not None:
                code = classes.index(top)
                asked[one.outcome] = asked.get(one.outcome, self._none) | one.bits
                changed = count(one.bits & ~self._model[code])
            before = by_rule.get((one.rule, one.kind), RuleImpact(one.rule, one.kind, 0, 0))
            covered = before.covered + count(one.bits)
            by_rule[one.rule, one.kind] = RuleImpact(one.rule, one.kind, covered, before.changed + changed)
        held = tuple(impact for impact in by_rule.values() if impact.covered)
        return self._glance(asked, undecided, held, edited)

    def decided(self, rules: RuleSet) -> list[tuple[int, ...]]:
        """The model's answers by class on the rows that each rule decides, in order; the default's last."""
        free = self._all.copy()
        counted = []
        for rule in rules:
            own = free & self._covered(rule.clauses) if rule.enabled else self._none
            free ^= own
            counted.append(self._answers(own))
        return [*counted, self._answers(free)]

    def answers_between(self, held: tuple[Clause, ...] | None, other: tuple[Clause, ...] | None) -> tuple[int, ...]:
        """The model's answers by class on the rows that clauses hold and others don't; None holds no row."""
        ours, theirs = (self._none if one is None else self._covered(one) for one in (held, other))
        return self._answers(ours & ~theirs)

    def _answers(self, bits: Bits) -> tuple[int, ...]:
        return tuple(count(bits & own) for own in self._model)

    def _glance(
        self, asked: Mapping[Outcome, Bits], undecided: Bits, by_rule: tuple[RuleImpact, ...], edited: RuleSet
    ) -> Glance:
        classes = self.schema.classes
        by_class = [self._none.copy() for _ in classes]
        for outcome, bits in asked.items():
            by_class[classes.index(outcome.top(classes) or "")] |= bits
        covered = np.bitwise_or.reduce(by_class)
        changed = [bits & ~own for bits, own in zip(by_class, self._model, strict=True)]
        by_edit = sum(count(bits & ~said) for bits, said in zip(changed, self._said_class, strict=True))
        after = [(own & ~covered) | bits for own, bits in zip(self._model, by_class, strict=True)]
        flips = {
            (classes[old], classes[new]): count(own & bits)
            for old, own in enumerate(self._model)
            for new, bits in enumerate(changed)
            if old != new
        }
        everything = np.bitwise_or.reduce(changed)
        return Glance(
            rows=len(self._masks.rows),
            covered=count(covered),
            changed_by_edit=by_edit,
            changed_by_assertion=count(everything) - by_edit,
            undecided=count(undecided),
            flips={pair: count for pair, count in flips.items() if count},
            by_rule=by_rule,
            subgroups=tuple(
                Rates(name, count(mask), self._before[name], self._rates(after, mask))
                for name, mask in self._groups.items()
            ),
            confusion_before=self._confusion,
            confusion_after=None if self._truth is None else _crossed(self._truth, after),
            parents={rule.id: rule.part_of for rule in edited if rule.part_of},
            changed_bits=everything,
            asked=asked,
        )

    def _held(self, edited: RuleSet) -> Iterator[_Held]:
        """What is asked, rule by rule as the first match goes; the same row never twice."""
        free, ours = self._all.copy(), self._none.copy()
        exceptions: dict[str, list[Overlap]] = {}
        if sum(rule.asserted and rule.enabled for rule in edited) > 1:
            for overlap in Conflicts(edited, self.schema, self._kept).overlaps:
                exceptions.setdefault(overlap.rules[0], []).append(overlap)
        said: dict[Outcome, Bits] = {}
        rules = {rule.id: rule for rule in edited}
        for rule in edited.enabled:
            own = free & self._covered(rule.clauses)
            free ^= own
            if not rule.asserted:
                if rule.outcome in said:
                    said[rule.outcome] |= own
                else:
                    said[rule.outcome] = own
                continue
            ours |= own
            for overlap in exceptions.get(rule.id, ()):
                both = own.copy()
                for other in overlap.rules[1:]:
                    both &= self._covered(rules[other].clauses)
                own = own & ~both
                holder = None if overlap.holder is None else rules[overlap.holder]
                yield self._asserted(overlap.id, both, overlap.outcome, holder)
            yield self._asserted(rule.id, own, rule.outcome, rule)
        said[edited.default] = free | said.get(edited.default, self._none)
        yield from self._uncovered(said, ours, edited)

    def _asserted(self, name: str, bits: Bits, outcome: Outcome | None, holder: Rule | None) -> _Held:
        if outcome is None or holder is None:
            return _Held(name, "undecided", bits, MODEL)
        if holder.asserts == "change":
            bits = bits & ~self._said.get(outcome, self._none)
        return _Held(name, "asserted", bits, outcome)

    def _uncovered(self, answers: Mapping[Outcome, Bits], ours: Bits, edited: RuleSet) -> Iterator[_Held]:
        """Rows that a base rule decided and lost to no asserted rule: the edited set's answer is asked for."""
        standing = {rule.id for rule in edited.enabled if not rule.asserted}
        for source, decided in self._decided.items():
            if source in standing:
                continue
            lost = decided & ~ours
            if lost.any():
                for outcome, bits in answers.items():
                    yield _Held(f"{source}-uncovered", "uncovered", lost & bits, outcome)

    def _covered(self, clauses: tuple[Clause, ...]) -> Bits:
        """The rows for which every clause is true."""
        bits = self._bits.get(clauses)
        if bits is None:
            while len(self._bits) >= MOST_MASKS:
                del self._bits[next(iter(self._bits))]
            bits = self._bits[clauses] = self._masks.box(clauses_box(clauses, self.schema))
        return bits

    def _base_answers(self) -> dict[Outcome, Bits]:
        """What the base says, settlements included: the rows of each outcome."""
        written = effective(self.base, self.schema)
        free = self._all
        said: dict[Outcome, Bits] = {}
        for rule in written.enabled:
            own = free & self._covered(rule.clauses)
            free = free & ~own
            said[rule.outcome] = said.get(rule.outcome, self._none) | own
        said[written.default] = said.get(written.default, self._none) | free
        return said

    def _by_class(self, codes: Indices) -> list[Bits]:
        return [packed(codes == code) for code in range(len(self.schema.classes))]

    def _rates(self, decided: Sequence[Bits], mask: Bits) -> dict[str, int]:
        return {name: count(bits & mask) for name, bits in zip(self.schema.classes, decided, strict=True)}


def subgroup_masks(rows: Matrix, schema: Schema, name: str) -> dict[str, Mask]:
    """A mask (n,) for each value of a text feature and for missing ones; raises `UnknownFeature`, `Refused`."""
    place = schema.index(name)
    feature, column = schema.features[place], rows[:, place]
    if feature.is_number:
        raise Refused(f"{name!r} is {feature.kind}; subgroups are the values of a categorical or boolean feature")
    masks = {f"{name} = {value_text(text)}": column == code for text, code in feature.code_of.items()}
    if feature.missing:
        masks[f"{name} is missing"] = np.isnan(column)
    return masks


def _crossed(truth: Sequence[Bits], decided: Sequence[Bits]) -> npt.NDArray[np.int64]:
    return np.array([[count(true & bits) for bits in decided] for true in truth], dtype=np.int64)
