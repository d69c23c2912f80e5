"""Every route that changes something, and a request that does: what the tests of all writes walk."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx

from tests.serving import EDIT, ROW, TARGET, Api, Made, small_table

CONFLICTING = ("new IF age < 40 THEN yes", "new IF age > 30 THEN no")
#: POSTs that change nothing that an auditor asks about.
READING = {
    "POST /v1/datasets/{dataset}/schema",
    "POST /v1/rulesets/{ruleset}/local",
    "POST /v1/decisions/{name}",
    "POST /v1/decisions/{name}/batch",
    "POST /v1/decisions/{name}/file",
    "POST /v2/models/{name}/infer",
    "POST /v2/models/{name}/versions/{version}/infer",
    "POST /invocations",
}
#: Takes no Idempotency-Key: to give the same reply again, the key that it shows once would have to be kept.
WITHOUT_KEY = {"POST /v1/keys"}


@dataclass(frozen=True)
class Write:
    """A request that changes something: where, and what `httpx` sends."""

    path: str
    sent: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, api: Api, key: str | None = None) -> httpx.Response:
        """Send it, with an Idempotency-Key or without."""
        more = {} if key is None else {"Idempotency-Key": key}
        sent = {name: (value() if callable(value) else value) for name, value in self.sent.items()}
        return api.post(self.path, headers=self.headers | more, **sent)


Prepare: TypeAlias = Callable[[Api, Made], Write]


def fresh_ruleset(api: Api, made: Made, *edits: str) -> dict[str, Any]:
    """A rule set of its own, quickly: imported, not extracted."""
    text = api.get(f"/v1/rulesets/{made.ruleset}/export").content
    response = api.post(
        "/v1/rulesets/import",
        files={"file": ("rules.json", text)},
        data={"model": made.model, "format": "json"},
    )
    assert response.status_code == 201, response.text
    ruleset: dict[str, Any] = response.json()
    if edits:
        ruleset = api.edit(ruleset["id"], *edits).json()
    return ruleset


def dataset(api: Api, made: Made) -> Write:
    """Upload a table."""
    return Write("/v1/datasets", {"files": lambda: {"file": ("t.csv", io.BytesIO(small_table(30)))}})


def training(api: Api, made: Made) -> Write:
    """Train a model."""
    return Write("/v1/models", {"json": {"dataset": made.dataset, "target": TARGET}})


def grouping(api: Api, made: Made) -> Write:
    """Say which columns are sensitive."""
    body = {"columns": [{"column": "job"}, {"column": "age", "cuts": [30, 50]}], "favourable": "yes", "reason": "test"}
    return Write(f"/v1/models/{made.model}/groups", {"json": body})


def extraction(api: Api, made: Made) -> Write:
    """Extract rules."""
    return Write("/v1/rulesets", {"json": {"model": made.model, "max_clauses": 8}})


def importing(api: Api, made: Made) -> Write:
    """Import rules that are there already: their document is kept once, whoever imports them first."""
    fresh_ruleset(api, made)
    text = api.get(f"/v1/rulesets/{made.ruleset}/export").content
    sent = {"files": lambda: {"file": ("rules.json", text)}, "data": {"model": made.model, "format": "json"}}
    return Write("/v1/rulesets/import", sent)


def editing(api: Api, made: Made) -> Write:
    """Edit rules."""
    ruleset = fresh_ruleset(api, made)
    body = {"edits": [EDIT, "undo"], "reason": "test", "author": "kim"}
    return Write(f"/v1/rulesets/{ruleset['id']}/edits", {"json": body}, {"If-Match": f'"{ruleset["revision"]}"'})


def settling(api: Api, made: Made) -> Write:
    """Settle a conflict."""
    ruleset = fresh_ruleset(api, made, *CONFLICTING)
    body = {"strategy": "priority", "reason": "test"}
    return Write(f"/v1/rulesets/{ruleset['id']}/resolutions", {"json": body}, {"If-Match": f'"{ruleset["revision"]}"'})


def marking(api: Api, made: Made) -> Write:
    """Mark a row as a counterexample to a rule that holds it."""
    ruleset = fresh_ruleset(api, made, "new IF age < 30 THEN yes")
    rule = next(rule["id"] for rule in ruleset["rules"] if rule["asserted"])
    body = {"rule": rule, "row": ROW, "outcome": "no", "reason": "test"}
    return Write(f"/v1/rulesets/{ruleset['id']}/counterexamples", {"json": body})


def unmarking(api: Api, made: Made) -> Write:
    """Take a counterexample back."""
    marked = marking(api, made)
    found = marked.send(api).json()["id"]
    return Write(f"{marked.path}/{found}/withdraw", {"json": {"reason": "test"}})


def piloting(api: Api, made: Made) -> Write:
    """Try a mode on some of the rows."""
    return Write(f"/v1/rulesets/{made.ruleset}/pilots", {"json": {"mode": "overlay-soft", "rows": 100}})


def restoring(api: Api, made: Made) -> Write:
    """Let rules be as they were."""
    first = fresh_ruleset(api, made)
    edited = api.edit(first["id"], EDIT).json()
    body = {"revision": first["revision"], "reason": "test"}
    return Write(f"/v1/rulesets/{first['id']}/restore", {"json": body}, {"If-Match": f'"{edited["revision"]}"'})


def releasing(api: Api, made: Made) -> Write:
    """Put a revision in force."""
    return Write("/v1/releases", {"json": {"ruleset": made.ruleset, "name": "other", "mode": "overlay-hard"}})


def releases(api: Api) -> Iterator[dict[str, Any]]:
    """Every release, newest first: other tests make more of them than one page holds."""
    cursor: str | None = ""
    while cursor is not None:
        page = api.get("/v1/releases", params={"limit": 200} | ({"cursor": cursor} if cursor else {})).json()
        yield from page["items"]
        cursor = page["next"]


def activating(api: Api, made: Made) -> Write:
    """Put another release in service than the one that is."""
    idle = next(item["id"] for item in releases(api) if item["name"] == "small" and item["state"] != "active")
    return Write(f"/v1/releases/{idle}/activate", {"json": {"reason": "test"}})


#: The releases on trial, by service and kind of trial: to look for them among all would take a request for each.
BEGUN: dict[str, set[str]] = {}


def trying(kind: str, *, end: bool = False) -> Prepare:
    """Try the release that isn't in service, or end that; whatever was on trial before is not any more."""

    def prepare(api: Api, made: Made) -> Write:
        idle = activating(api, made).path.split("/")[3]
        begun = BEGUN.setdefault(f"{api.base_url} {kind}", set())
        while begun:
            api.post(f"/v1/releases/{begun.pop()}/{kind}/end", json={"reason": "test"})
        begun.add(idle)
        body = {"reason": "test"} | ({"share": 0.5} if kind == "canary" else {})
        begin = Write(f"/v1/releases/{idle}/{kind}", {"json": body})
        if not end:
            return begin
        assert begin.send(api).status_code == 200
        return Write(f"{begin.path}/end", {"json": {"reason": "test"}})

    return prepare


def rolling_back(api: Api, made: Made) -> Write:
    """Take a release out of service that has one before it."""
    release = activating(api, made).send(api).json()["id"]
    return Write(f"/v1/releases/{release}/rollback", {"json": {"reason": "test"}})


def proposing(api: Api, made: Made) -> Write:
    """Propose a draft; ``api.draft`` makes one without a job."""
    return Write(f"/v1/releases/{api.draft()}/propose", {"json": {"reason": "test"}})


def rejecting(api: Api, made: Made) -> Write:
    """Give a proposed release back."""
    release = proposing(api, made).send(api).json()["id"]
    return Write(f"/v1/releases/{release}/reject", {"json": {"reason": "test"}})


def withdrawing(api: Api, made: Made) -> Write:
    """Take back an approval."""
    release = approving(api, made).send(api).json()["id"]
    return Write(f"/v1/releases/{release}/withdraw", {"json": {"reason": "test"}})


def approving(api: Api, made: Made) -> Write:
    """Approve a proposed release in which somebody else had a hand."""
    release = proposing(api, made).send(api).json()["id"]
    return Write(f"/v1/releases/{release}/approve", {"json": {"reason": "test", "author": "ada"}})


def cancelling(api: Api, made: Made) -> Write:
    """Cancel a job that has not ended."""
    job = training(api, made).send(api).json()["id"]
    return Write(f"/v1/jobs/{job}/cancel", {})


def issuing(api: Api, made: Made) -> Write:
    """Issue a key."""
    return Write("/v1/keys", {"json": {"name": "lee", "roles": ["viewer"]}})


def revoking(api: Api, made: Made) -> Write:
    """Revoke a key."""
    key = issuing(api, made).send(api).json()["id"]
    return Write(f"/v1/keys/{key}/revoke", {"json": {"reason": "test"}})


def erasing(api: Api, made: Made) -> Write:
    """Erase the payload of an event that has one."""
    issued = issuing(api, made).send(api).json()["id"]
    event = api.get("/v1/audit", params={"subject": issued}).json()["items"][0]["sequence"]
    return Write("/v1/audit/erasures", {"json": {"events": [event], "reason": "asked for"}})


#: A request for each route that changes something.
WRITES: dict[str, Prepare] = {
    "POST /v1/datasets": dataset,
    "POST /v1/models": training,
    "POST /v1/models/{model}/groups": grouping,
    "POST /v1/rulesets": extraction,
    "POST /v1/rulesets/import": importing,
    "POST /v1/rulesets/{ruleset}/edits": editing,
    "POST /v1/rulesets/{ruleset}/resolutions": settling,
    "POST /v1/rulesets/{ruleset}/restore": restoring,
    "POST /v1/rulesets/{ruleset}/counterexamples": marking,
    "POST /v1/rulesets/{ruleset}/counterexamples/{counterexample}/withdraw": unmarking,
    "POST /v1/rulesets/{ruleset}/pilots": piloting,
    "POST /v1/releases": releasing,
    "POST /v1/releases/{release}/activate": activating,
    "POST /v1/releases/{release}/rollback": rolling_back,
    "POST /v1/releases/{release}/propose": proposing,
    "POST /v1/releases/{release}/approve": approving,
    "POST /v1/releases/{release}/reject": rejecting,
    "POST /v1/releases/{release}/withdraw": withdrawing,
    **{f"POST /v1/releases/{{release}}/{kind}": trying(kind) for kind in ("shadow", "canary")},
    **{f"POST /v1/releases/{{release}}/{kind}/end": trying(kind, end=True) for kind in ("shadow", "canary")},
    "POST /v1/jobs/{job}/cancel": cancelling,
    "POST /v1/keys": issuing,
    "POST /v1/keys/{key}/revoke": revoking,
    "POST /v1/audit/erasures": erasing,
}
