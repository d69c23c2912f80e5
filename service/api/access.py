"""Role by route: who may use what. A route that isn't here is refused to everybody.

The roles: a *viewer* reads; an *analyst* edits, extracts, retrains and proposes; an *approver* approves
and puts in service; an *auditor* reads the audit; a *decision-client* asks for decisions and nothing
else; an *admin* hands out keys, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from service.auth.access import ANYBODY, KNOWN
from service.people import Role

_READ: frozenset[Role] = frozenset({"viewer", "analyst", "approver", "auditor"})
_EDIT: frozenset[Role] = frozenset({"analyst"})
_APPROVE: frozenset[Role] = frozenset({"approver"})
#: A release that was approved, or served before, may be switched by either: taking one back must not wait.
_SWITCH: frozenset[Role] = frozenset({"analyst", "approver"})
_DECIDE: frozenset[Role] = frozenset({"decision-client", "analyst"})
_AUDIT: frozenset[Role] = frozenset({"auditor"})
_ADMIN: frozenset[Role] = frozenset({"admin"})

TABLE: dict[str, Iterable[Role] | None] = {
    "GET /healthz": ANYBODY,
    "GET /readyz": ANYBODY,
    "GET /": KNOWN,
    "GET /docs": KNOWN,
    "GET /openapi.json": KNOWN,
    "GET /metrics": _READ | _ADMIN,
    "GET /v1/me": KNOWN,
    "POST /v1/keys": _ADMIN,
    "GET /v1/keys": _ADMIN,
    "GET /v1/keys/{key}": _ADMIN,
    "POST /v1/keys/{key}/revoke": _ADMIN,
    "POST /v1/datasets": _EDIT,
    "GET /v1/datasets": _READ,
    "GET /v1/datasets/{dataset}": _READ,
    "POST /v1/datasets/{dataset}/schema": _READ,
    "POST /v1/models": _EDIT,
    "GET /v1/models": _READ,
    "GET /v1/models/{model}": _READ,
    "POST /v1/models/{model}/groups": _EDIT,
    "POST /v1/rulesets": _EDIT,
    "GET /v1/rulesets": _READ,
    "POST /v1/rulesets/import": _EDIT,
    "GET /v1/rulesets/{ruleset}": _READ,
    "POST /v1/rulesets/{ruleset}/edits": _EDIT,
    "POST /v1/rulesets/{ruleset}/resolutions": _EDIT,
    "POST /v1/rulesets/{ruleset}/restore": _EDIT,
    "GET /v1/rulesets/{ruleset}/compare": _READ,
    "POST /v1/rulesets/{ruleset}/local": _READ,
    "POST /v1/rulesets/{ruleset}/counterexamples": _EDIT,
    "GET /v1/rulesets/{ruleset}/counterexamples": _READ,
    "POST /v1/rulesets/{ruleset}/counterexamples/{counterexample}/withdraw": _EDIT,
    "POST /v1/rulesets/{ruleset}/pilots": _EDIT,
    "GET /v1/rulesets/{ruleset}/pilots": _READ,
    "GET /v1/rulesets/{ruleset}/impact": _READ,
    "GET /v1/rulesets/{ruleset}/conflicts": _READ,
    "GET /v1/rulesets/{ruleset}/history": _READ,
    "GET /v1/rulesets/{ruleset}/diff": _READ,
    "GET /v1/rulesets/{ruleset}/export": _READ,
    "POST /v1/releases": _EDIT,
    "GET /v1/releases": _READ,
    "GET /v1/releases/{release}": _READ,
    "GET /v1/releases/{release}/bundle": _AUDIT | _APPROVE,
    "GET /v1/releases/{release}/card": _READ,
    "GET /v1/releases/{release}/approval": _READ,
    "POST /v1/releases/{release}/propose": _EDIT,
    "GET /v1/releases/{release}/compare": _READ,
    "POST /v1/releases/{release}/approve": _APPROVE,
    "POST /v1/releases/{release}/reject": _APPROVE,
    "POST /v1/releases/{release}/withdraw": _SWITCH,
    "POST /v1/releases/{release}/activate": _SWITCH,
    "POST /v1/releases/{release}/rollback": _SWITCH,
    "POST /v1/releases/{release}/shadow": _SWITCH,
    "GET /v1/releases/{release}/shadow": _READ,
    "POST /v1/releases/{release}/shadow/end": _SWITCH,
    "POST /v1/releases/{release}/canary": _SWITCH,
    "GET /v1/releases/{release}/canary": _READ,
    "POST /v1/releases/{release}/canary/end": _SWITCH,
    "POST /v1/decisions/{name}": _DECIDE,
    # What is stored is for those who may read it; whoever asks for decisions sends the rows along.
    "POST /v1/decisions/{name}/batch": _DECIDE & _READ,
    "POST /v1/decisions/{name}/file": _DECIDE,
    "GET /v1/audit": _AUDIT,
    "GET /v1/audit/verify": _AUDIT,
    "POST /v1/audit/erasures": _ADMIN,
    "GET /v2": KNOWN,
    "GET /v2/health/live": ANYBODY,
    "GET /v2/health/ready": ANYBODY,
    "GET /v2/models/{name}": _READ | _DECIDE,
    "GET /v2/models/{name}/ready": _READ | _DECIDE,
    "GET /v2/models/{name}/versions/{version}": _READ | _DECIDE,
    "GET /v2/models/{name}/versions/{version}/ready": _READ | _DECIDE,
    "POST /v2/models/{name}/infer": _DECIDE,
    "POST /v2/models/{name}/versions/{version}/infer": _DECIDE,
    "GET /ping": ANYBODY,
    "GET /version": KNOWN,
    "POST /invocations": _DECIDE,
    "GET /v1/jobs": _READ,
    "GET /v1/jobs/{job}": _READ,
    "POST /v1/jobs/{job}/cancel": _EDIT,
    "GET /v1/jobs/{job}/events": _READ,
}

#: What is left of it where a process has the workbench alone.
OPERATION: dict[str, Iterable[Role] | None] = {
    route: TABLE[route] for route in ("GET /healthz", "GET /readyz", "GET /metrics", "GET /")
}

#: What the workbench adds: its pages, what they load, and the socket between page and service. What somebody may do
#: on a page is asked of `TABLE`, by the route that does the same.
PAGES: dict[str, Iterable[Role] | None] = {
    "GET /r/{ruleset}": _READ,
    "GET /r/{ruleset}/{room}": _READ,
    "GET /favicon.ico": ANYBODY,
    "GET /sign-in": ANYBODY,
    "POST /sign-in": ANYBODY,
    "POST /sign-out": KNOWN,
    "GET /_nicegui/*": ANYBODY,
    "POST /_nicegui/client/*": _EDIT,
    "GET /_nicegui_ws/*": KNOWN,
    "POST /_nicegui_ws/*": KNOWN,
    "WEBSOCKET /_nicegui_ws/*": KNOWN,
}
