"""RuleEdit: edit the rules of a tabular model, see who is affected, and put the edit in force.

The names here are the library's front door; each is imported when it is first asked for, so that
``import ruleedit`` is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruleedit.classifier import OverlayClassifier
    from ruleedit.comparison import compare
    from ruleedit.drafts import Draft
    from ruleedit.edits import edit
    from ruleedit.errors import RuleEditError
    from ruleedit.feedback import Feedback
    from ruleedit.impact.preview import Preview
    from ruleedit.inforce import put_in_force
    from ruleedit.local import local_view
    from ruleedit.models import InMemoryModel, TableModel
    from ruleedit.models.adoption import adopt
    from ruleedit.models.training import train
    from ruleedit.release import Release
    from ruleedit.retrain.frote import Frote
    from ruleedit.rules import Clause, Outcome, Rule, RuleSet
    from ruleedit.schema import Feature, Schema
    from ruleedit.surrogate.estimator import RuleSurrogate
    from ruleedit.tables import encode, infer_schema, read
    from ruleedit.text import parse_rule
    from ruleedit.workflow import extract_rules

_HOMES = {
    "Clause": "rules",
    "Draft": "drafts",
    "Feature": "schema",
    "Feedback": "feedback",
    "Frote": "retrain.frote",
    "InMemoryModel": "models",
    "Outcome": "rules",
    "OverlayClassifier": "classifier",
    "Preview": "impact.preview",
    "Release": "release",
    "Rule": "rules",
    "RuleEditError": "errors",
    "RuleSet": "rules",
    "RuleSurrogate": "surrogate.estimator",
    "Schema": "schema",
    "TableModel": "models",
    "adopt": "models.adoption",
    "compare": "comparison",
    "edit": "edits",
    "encode": "tables",
    "extract_rules": "workflow",
    "infer_schema": "tables",
    "local_view": "local",
    "parse_rule": "text",
    "put_in_force": "inforce",
    "read": "tables",
    "train": "models.training",
}

__all__ = [
    "Clause",
    "Draft",
    "Feature",
    "Feedback",
    "Frote",
    "InMemoryModel",
    "Outcome",
    "OverlayClassifier",
    "Preview",
    "Release",
    "Rule",
    "RuleEditError",
    "RuleSet",
    "RuleSurrogate",
    "Schema",
    "TableModel",
    "adopt",
    "compare",
    "edit",
    "encode",
    "extract_rules",
    "infer_schema",
    "local_view",
    "parse_rule",
    "put_in_force",
    "read",
    "train",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'ruleedit' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ruleedit.{home}"), name)
