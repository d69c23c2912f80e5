"""``method="tree"``: the leaves of CARTs as ordered rules, bettered under the budget of clauses.

Leaves of every class but the default become rules; as the first match wins, most of their
conditions aren't needed, and `ruleedit.surrogate.search` finds out which.
"""

from __future__ import annotations

from ruleedit.surrogate.leaves import grow_trees
from ruleedit.surrogate.search import Field, searched
from ruleedit.surrogate.task import Found, Task


def extract_tree(task: Task) -> Found:
    """Extract an ordered rule set from CARTs; deterministic for a seed."""

    def begin(field: Field) -> None:
        grown = grow_trees(field.trial, field.budget)
        field.starts.extend(grown.lists)
        field.members.extend(grown.members)

    return searched(task, begin)
