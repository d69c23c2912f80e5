"""The ready example of ``--demo``: loans, decided by an old policy, with the change of policy in force."""

from __future__ import annotations

import io
import logging

from ruleedit.datasets import loans
from ruleedit.errors import Cancelled, RuleEditError
from ruleedit.tables.groups import Fairness, Grouping
from service.errors import NothingActive
from service.jobs import Watch
from service.people import SERVICE
from service.workspace import Workspace

log = logging.getLogger(__name__)
NAME = "loans"
ROWS = 4_000
#: The change of policy: these applicants were too young before.
CHANGE = "new IF age between 27 and 30 AND income >= 30000 AND debt_ratio <= 0.6 THEN approve"
#: Whom a change of policy must not leave behind.
GROUPS = Fairness((Grouping("gender"), Grouping("age", (30.0, 60.0))), "approve")
REASON = "the age limit is lowered from 30 to 26"


def make_demo(workspace: Workspace, watch: Watch) -> None:
    """Make the example where no release of its name is in service yet."""
    try:
        workspace.serving(NAME)
    except NothingActive:
        frame = io.BytesIO(loans(ROWS).to_csv(index=False).encode())
        table = workspace.add_dataset(frame, "loans", ".csv", by=SERVICE)["id"]
        asked = {"dataset": table, "target": "decision", "name": NAME, "seed": 0, "thresholds": {}, "schema": None}
        asked |= {"groups": GROUPS.to_json()}
        model = workspace.run("train", asked, watch, SERVICE)["model"]
        asked = {"model": model, "dataset": None, "method": "tree", "max_clauses": 16, "seed": 0, "name": NAME}
        asked |= {"probabilities": False, "ground": None}
        found = workspace.run("extract", asked, watch, SERVICE)
        edited = workspace.edit(found["ruleset"], found["revision"], [CHANGE], reason=REASON, by=SERVICE)
        asked = {"ruleset": found["ruleset"], "revision": edited["revision"], "name": NAME, "mode": "overlay-hard"}
        asked |= {"strategy": None, "dataset": table, "seed": 0}
        release = workspace.run("release", asked, watch, SERVICE)["release"]
        workspace.workflow.activate(release, REASON, by=SERVICE)


def prepare(workspace: Workspace, watch: Watch) -> None:
    """Make the example and say that the service is ready, or why it isn't."""
    try:
        make_demo(workspace, watch)
    except Cancelled:
        return
    except RuleEditError as problem:
        log.exception("the example can't be made")
        workspace.say_ready(f"the example can't be made: {problem}")
        return
    workspace.say_ready()
