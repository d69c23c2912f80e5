"""The local view: why one row is answered as it is, and the smallest change after which it wouldn't be.

`local_view` looks at a model and, where there is one, at the rule set that describes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ruleedit.local.change import Change
from ruleedit.local.flips import least_flip
from ruleedit.local.lore import LocalRule, local_rule
from ruleedit.local.rules import ByRules, Nearest, by_rules, least_change
from ruleedit.matching import Matrix
from ruleedit.models import TableModel
from ruleedit.rules import RuleSet


@dataclass(frozen=True, eq=False)
class LocalView:
    """One row as a model and its rules see it.

    ``rules`` is what the rule set says, None without one. ``outcome`` is the model's answer,
    ``change`` the least change after which it answers otherwise (None where none was found), and
    ``around`` the rule by which it answers near the row (None where it answers all alike there).
    """

    rules: ByRules | None
    outcome: str
    change: Change | None
    around: LocalRule | None

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rules": None if self.rules is None else self.rules.to_json(),
            "model": {
                "outcome": self.outcome,
                "change": None if self.change is None else self.change.to_json(),
                "around": None if self.around is None else self.around.to_json(),
            },
        }


def local_view(model: TableModel, row: Matrix, rules: RuleSet | None = None, *, seed: int = 0) -> LocalView:
    """Look at one row.

    Parameters
    ----------
    model : TableModel
        The model; its record of the training table says what a small change is.
    row : Matrix
        One encoded row; shape (features,); NaN is missing.
    rules : RuleSet, optional
        Rules that describe the model, first match.
    seed : int
        Draws the rows around it.

    Returns
    -------
    LocalView
        Changes take no value away, so that nobody is told to leave a field empty.

    References
    ----------
    Guidotti et al., 2018, for the rule around the row: `ruleedit.local.lore`.
    """
    schema, background = model.schema, model.background
    outcome = schema.classes[int(model.outcomes(row[None, :])[0])]
    said = None if rules is None else by_rules(rules, row, schema, background)
    return LocalView(said, outcome, least_flip(model, row), local_rule(model, row, seed=seed))


__all__ = ["ByRules", "Change", "LocalRule", "LocalView", "Nearest", "least_change", "least_flip", "local_view"]
