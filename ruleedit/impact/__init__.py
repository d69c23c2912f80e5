"""What an edit would change, before it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from ruleedit.conflicts import effective
from ruleedit.feedback import Feedback
from ruleedit.matching import Indices, Mask, Matrix, decide, outcome_codes
from ruleedit.tables.sums import Counts, added, counted


@dataclass(frozen=True)
class RuleImpact:
    """One feedback rule's share: rows that it holds, and rows whose decision it changes."""

    rule: str
    kind: str
    covered: int
    changed: int

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"rule": self.rule, "kind": self.kind, "covered": self.covered, "changed": self.changed}

    def __add__(self, other: RuleImpact) -> RuleImpact:
        """The counts of both; raises `ValueError` for another rule's."""
        if (self.rule, self.kind) != (other.rule, other.kind):
            raise ValueError(f"the counts of {self.rule} and {other.rule} have no sum")
        return RuleImpact(self.rule, self.kind, self.covered + other.covered, self.changed + other.changed)


@dataclass(frozen=True)
class Tally:
    """The counts of what the hard overlay would change on a table of n rows.

    ``changed`` splits into ``changed_by_edit`` (base and edited rule set answer differently) and
    ``changed_by_assertion`` (they answer the same, and the model didn't follow its own surrogate
    there). ``undecided`` rows lie in conflicts that nobody has settled. ``turned`` counts the changed
    rows by the places of the class before and the class after. ``parents`` names for a piece of a carved
    rule that rule.

    The tallies of one edit on the parts of a table add up to that of the table, in any order and
    however it was parted.
    """

    rows: int
    covered: int
    changed_by_edit: int
    changed_by_assertion: int
    undecided: int
    classes: tuple[str, ...]
    turned: Counts
    by_rule: tuple[RuleImpact, ...]
    parents: Mapping[str, str]

    def __add__(self, other: Tally) -> Tally:
        """The counts of both; raises `ValueError` for those of another edit."""
        return Tally(
            rows=self.rows + other.rows,
            covered=self.covered + other.covered,
            changed_by_edit=self.changed_by_edit + other.changed_by_edit,
            changed_by_assertion=self.changed_by_assertion + other.changed_by_assertion,
            undecided=self.undecided + other.undecided,
            classes=self.classes,
            turned=added(self.turned, other.turned),
            by_rule=tuple(one + more for one, more in zip(self.by_rule, other.by_rule, strict=True)),
            parents=self.parents,
        )

    @property
    def changed(self) -> int:
        """Decisions that change."""
        return self.changed_by_edit + self.changed_by_assertion

    @property
    def flips(self) -> dict[tuple[str, str], int]:
        """The changes by (from, to), in schema order."""
        return {
            (old, new): count
            for old, row in zip(self.classes, self.turned, strict=True)
            for new, count in zip(self.classes, row, strict=True)
            if count
        }

    def to_json(self) -> dict[str, Any]:
        """As the command line and the API give it."""
        return counts_json(self)


@dataclass(frozen=True)
class Impact(Tally):
    """What the hard overlay would change on a table of n rows: the counts, and the rows.

    ``mask`` (n,) marks the changed rows, ``before`` and ``after`` (n,) are the outcomes as places in
    schema order, ``held`` (n,) the places of the feedback rules that hold the rows, -1 for none.
    """

    mask: Mask
    before: Indices
    after: Indices
    held: Indices

    @property
    def tally(self) -> Tally:
        """The counts alone."""
        return Tally(**{one.name: getattr(self, one.name) for one in fields(Tally)})


class Counted(Protocol):
    """What counts the changes of an edit: an `Impact`, or a `ruleedit.impact.preview.Glance`."""

    @property
    def rows(self) -> int: ...
    @property
    def covered(self) -> int: ...
    @property
    def changed(self) -> int: ...
    @property
    def changed_by_edit(self) -> int: ...
    @property
    def changed_by_assertion(self) -> int: ...
    @property
    def undecided(self) -> int: ...
    @property
    def flips(self) -> dict[tuple[str, str], int]: ...
    @property
    def by_rule(self) -> tuple[RuleImpact, ...]: ...
    @property
    def parents(self) -> Mapping[str, str]: ...


def counts_json(found: Counted) -> dict[str, Any]:
    """The counts as JSON."""
    return {
        "rows": found.rows,
        "covered": found.covered,
        "changed": found.changed,
        "changed_by_edit": found.changed_by_edit,
        "changed_by_assertion": found.changed_by_assertion,
        "undecided": found.undecided,
        "flips": {f"{old} -> {new}": count for (old, new), count in found.flips.items()},
        "by_rule": [rule.to_json() for rule in found.by_rule],
        "by_parent": by_parent(found.by_rule, found.parents),
    }


def by_parent(by_rule: Sequence[RuleImpact], parents: Mapping[str, str]) -> list[dict[str, Any]]:
    """The pieces of each carved rule summed up under it, as JSON; ``parents`` says which pieces are whose."""
    found: dict[str, list[RuleImpact]] = {}
    for impact in by_rule:
        if impact.rule in parents:
            found.setdefault(parents[impact.rule], []).append(impact)
    return [
        {
            "rule": parent,
            "parts": [part.rule for part in parts],
            "covered": sum(part.covered for part in parts),
            "changed": sum(part.changed for part in parts),
        }
        for parent, parts in found.items()
    ]


def impact(feedback: Feedback, rows: Matrix, outcomes: Indices) -> Impact:
    """Say what the hard overlay of ``feedback`` would change.

    ``rows`` are encoded (n, features); ``outcomes`` (n,) are the model's own answers there, as
    places in schema order.
    """
    classes = feedback.schema.classes
    held = feedback.assign(rows)
    asked = np.append(feedback.outcome_codes(), -1)[held]
    after = np.where(asked < 0, outcomes, asked)
    mask = after != outcomes
    by_edit = int((mask & (_base_answers(feedback, rows) != after)).sum())
    undecided = np.array([rule.kind == "undecided" for rule in feedback] + [False])[held]
    asks = feedback.asks[held]
    covered = np.bincount(held + 1, minlength=len(feedback) + 1)[1:]
    changed = np.bincount(held[mask] + 1, minlength=len(feedback) + 1)[1:]
    by_rule = tuple(
        RuleImpact(rule.id, rule.kind, int(here), int(otherwise))
        for rule, here, otherwise in zip(feedback, covered, changed, strict=True)
    )
    return Impact(
        rows=len(rows),
        covered=int(asks.sum()),
        changed_by_edit=by_edit,
        changed_by_assertion=int(mask.sum()) - by_edit,
        undecided=int(undecided.sum()),
        classes=classes,
        turned=counted(outcomes[mask], after[mask], (len(classes), len(classes))),
        by_rule=by_rule,
        parents={rule.id: rule.part_of for rule in feedback.edited if rule.part_of},
        mask=mask,
        before=outcomes,
        after=after.astype(np.intp),
        held=held,
    )


def _base_answers(feedback: Feedback, rows: Matrix) -> Indices:
    """What the base says for each row as a class's place, -1 for `model`; shape (n,).

    On the rows that change the edited set, its settlements included, says what is asked for.
    """
    base = effective(feedback.base, feedback.schema)
    codes = outcome_codes([*(rule.outcome for rule in base), base.default], feedback.schema.classes)
    answers: Indices = codes[decide(base, rows, feedback.schema)]
    return answers
