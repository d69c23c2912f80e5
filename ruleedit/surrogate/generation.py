"""``method="column-generation"``: rules that a master program asks for, selected as one ordered list.

After Dash, Günlük, Wei: *Boolean Decision Rules via Column Generation*, NeurIPS 2018. For each class
against the rest the restricted master program (`ruleedit.surrogate.master`) begins with the nodes of
small trees and asks for further rules at the prices of its dual, for several budgets of clauses;
instead of their integer program a local search looks for them with exact counts per bin. All rules
of all classes come into one pool, and `ruleedit.surrogate.search` selects from it, and
betters, an ordered list under an exact budget: an exception in front of a rule costs less than saying
it in the rule, and several classes are one list.
"""

from __future__ import annotations

from dataclasses import replace

from ruleedit.surrogate.bound import Bound, proved
from ruleedit.surrogate.columns import Columns, sides
from ruleedit.surrogate.leaves import grow_trees
from ruleedit.surrogate.pool import Pool
from ruleedit.surrogate.search import Field, searched
from ruleedit.surrogate.task import Found, Task

#: Columns are generated for so many classes, the commonest.
MOST_SIDES = 4


def extract_columns(task: Task) -> Found:
    """Extract an ordered rule set by column generation; deterministic for a seed."""
    fields: list[Field] = []
    made: dict[int, Columns] = {}

    def begin(field: Field) -> None:
        fields.append(field)
        grown = grow_trees(field.trial, field.budget)
        field.starts.extend(grown.lists)
        field.members.extend(grown.members)
        few = field.few
        known = Pool.of(grown.members, few).members
        for outcome in sides(few, MOST_SIDES):
            if task.is_late:
                break
            columns = made[outcome] = Columns.of(known, few, outcome, field.budget)
            field.starts.extend(columns.generate(field.budget, task))
            field.members.extend(draft.sets for draft in columns.drafts[columns.given :])

    found = searched(task, begin)
    return replace(found, bound=_bound(found, fields[0], made, task)) if fields else found


def _bound(found: Found, field: Field, made: dict[int, Columns], task: Task) -> Bound:
    """What is proved about the rows that were searched."""
    plain = Bound(field.full.floor(), field.losses[-1], round(field.full.total), field.budget)
    if 0.0 in field.losses:
        return replace(plain, loss=0.0, found=0.0)
    outcome = next((outcome for outcome in made if outcome != found.default), None)
    if len(made) > 2 or outcome is None:
        return replace(plain, reason="the program is about one class against the rest, and there are more than two")
    if made[outcome].data is not field.full:
        return replace(plain, reason=f"the program saw {len(field.few):,} rows, and there are more that differ")
    if task.is_late or task.max_iterations == 0:
        return replace(plain, reason="a limit ended the search for it")
    losses = proved(made[outcome], field.budget)
    if losses is None:
        return replace(plain, reason="the rules are too many to go through them all")
    return replace(plain, outcome=task.schema.classes[outcome], loss=losses[0], found=losses[1])
