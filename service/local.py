"""One row looked at closely, in a process of its own: the search for the smallest change may take seconds."""

from __future__ import annotations

from ruleedit.local import LocalView, local_view
from ruleedit.matching import Matrix
from ruleedit.models import TableModel
from ruleedit.rules import RuleSet
from service.children import Children, Progress
from service.jobs import Watch


def look(children: Children, model: TableModel, row: Matrix, rules: RuleSet, *, seed: int) -> LocalView:
    """Look at one encoded row (features,); raises as `Children.call` does."""
    return children.call(_look, model, row, rules, seed=seed, watch=Watch(_unwritten, 1.0))


def _look(model: TableModel, row: Matrix, rules: RuleSet, *, seed: int, progress: Progress) -> LocalView:
    """The child's step; it is over in seconds and has no progress to tell."""
    del progress
    return local_view(model, row, rules, seed=seed)


def _unwritten(done: int, of: int) -> None:
    """Nobody follows it."""
