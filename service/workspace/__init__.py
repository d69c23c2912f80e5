"""The workspace: one method for each thing that a user can do.

It is the only layer that the API, the jobs and the demo call. What it returns is JSON as the API
gives it (`service.views`). Each file builds on the one above it in this list: `desk` (the parts,
keys and jobs), `models` (data sets too), `rulesets`, `releases`.
"""

from service.workspace.desk import Page
from service.workspace.releases import PILOT_ROWS, Releases
from service.workspace.rulesets import Opened

__all__ = ["PILOT_ROWS", "Opened", "Page", "Workspace"]


class Workspace(Releases):
    """One data folder with its database, files, jobs and active releases."""
