"""A client of the service for notebooks and programs: ``pip install ruleedit[client]``.

    >>> from ruleedit.client import Client                                          # doctest: +SKIP
    >>> service = Client("http://127.0.0.1:8000", key="...")                        # doctest: +SKIP
    >>> table = service.datasets.upload("loans.csv")                                # doctest: +SKIP
    >>> model = service.models.train(table.id, "decision")                          # doctest: +SKIP
    >>> rules = service.rulesets.extract(model.id)                                  # doctest: +SKIP
    >>> rules = service.rulesets.edit(rules, ["set R3 age <= 26"], reason="2026")   # doctest: +SKIP
    >>> release = service.releases.make(rules, "loans", "overlay-hard")             # doctest: +SKIP
    >>> service.decide("loans", [{"age": 28}])[0].outcome                           # doctest: +SKIP

Every error of the service is an `ruleedit.errors.ApiError` with its code. Creating requests carry an
Idempotency-Key, so that a further try after a lost answer makes nothing twice.
"""

from ruleedit.client.answers import (
    Change,
    Conflict,
    Dataset,
    Decision,
    Decisions,
    Event,
    Impact,
    Job,
    Key,
    LocalView,
    Model,
    Nearest,
    Release,
    Rule,
    RuleSet,
    Trial,
)
from ruleedit.client.resources import Client

__all__ = [
    "Change",
    "Client",
    "Conflict",
    "Dataset",
    "Decision",
    "Decisions",
    "Event",
    "Impact",
    "Job",
    "Key",
    "LocalView",
    "Model",
    "Nearest",
    "Release",
    "Rule",
    "RuleSet",
    "Trial",
]
