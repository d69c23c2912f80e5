"""The examples of the OpenAPI description, recorded from a real service: ``python -m tests.examples``.

One for each kind of answer, by the name of its schema, shortened to what shows its form.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from ruleedit.datasets import loans
from service.api.examples import FILE
from service.app import create_app
from tests.serving import Api, local, serving_app

EDIT = "new IF age between 27 and 30 AND income >= 30000 THEN approve"
ROW = {
    "age": 28, "income": 42_000, "employment": "permanent", "purpose": "car", "amount": 9_000, "months": 36,
    "debt_ratio": 0.2, "late_payments": 0, "residence": "rent", "gender": "female", "guarantor": False,
}  # fmt: skip
TENSORS = {str: "BYTES", bool: "BOOL", int: "INT64", float: "FP64"}
Recorded: TypeAlias = dict[str, Any]


def shortened(value: Any, most: int = 2) -> Any:
    """A value with the first items of its lists; of what lies deeper fewer."""
    if isinstance(value, list):
        plain = all(isinstance(item, int | float) for item in value)
        return [shortened(item, 1) for item in (value if plain else value[:most])]
    if isinstance(value, dict):
        return {name: shortened(item, 1 if name == "report" else most) for name, item in value.items()}
    return value


def clock() -> Callable[[], datetime]:
    """A second for each look."""
    seconds = itertools.count()
    return lambda: datetime(2026, 4, 1, 9, tzinfo=UTC) + timedelta(seconds=next(seconds))


def names() -> Callable[[str], str]:
    """Ids that count."""
    numbers: dict[str, itertools.count[int]] = {}
    return lambda kind: f"{kind}-{next(numbers.setdefault(kind, itertools.count(1)))}"


def record(api: Api) -> Recorded:
    """The loop over HTTP; every answer by the name of its schema."""
    found: Recorded = {}
    table = api.upload(loans(1_500).to_csv(index=False).encode(), name="loans.csv").json()
    found["DatasetBody"] = table
    found["SchemaBody"] = api.post(f"/v1/datasets/{table['id']}/schema", json={"target": "decision"}).json()
    model = api.result("/v1/models", {"dataset": table["id"], "target": "decision", "name": "loans"})["model"]
    found["ModelBody"] = api.get(f"/v1/models/{model}").json()
    rules = api.result("/v1/rulesets", {"model": model, "max_clauses": 8, "name": "loans"})["ruleset"]
    found |= edited(api, rules, table["id"])
    found |= in_force(api, rules)
    found |= operated(api)
    return {name: shortened(found[name]) for name in sorted(found)}


def piloted(api: Api, path: str) -> Recorded:
    """A pilot that has ended."""
    api.result(f"{path}/pilots", {"mode": "overlay-soft", "rows": 500})
    found: Recorded = api.get(f"{path}/pilots").json()
    return found


def edited(api: Api, rules: str, table: str) -> Recorded:
    """What is asked of a rule set."""
    path = f"/v1/rulesets/{rules}"
    api.edit(rules, EDIT, "new IF age < 30 AND income < 35000 THEN deny", reason="policy 2026-14")
    row = api.get(f"{path}/conflicts", params={"dataset": table}).json()
    found = {"ConflictsBody": row, "RuleSetItem": api.get("/v1/rulesets").json()["items"][0]}
    settle = {"rules": row["conflicts"][0]["rules"], "strategy": "priority", "reason": "policy 2026-14"}
    api.post(f"{path}/resolutions", json=settle, headers={"If-Match": "*"})
    found |= {
        "RuleSetBody": api.get(path).json(),
        "HistoryBody": api.get(f"{path}/history").json(),
        "ImpactBody": api.get(f"{path}/impact").json(),
        "DiffBody": api.get(f"{path}/diff").json(),
        "PilotsBody": piloted(api, path),
        "LocalBody": api.post(f"{path}/local", json={"row": ROW}).json(),
    }
    wrong = {"row": ROW, "outcome": "deny", "rule": settle["rules"][0], "reason": "a clerk decided so"}
    found["CounterexampleBody"] = api.post(f"{path}/counterexamples", json=wrong).json()
    found["CounterexamplesBody"] = api.get(f"{path}/counterexamples").json()
    return found


def in_force(api: Api, rules: str) -> Recorded:
    """What is asked of releases and decisions."""
    first = api.get(f"/v1/rulesets/{rules}/history").json()["first"]
    before, after = api.released(rules, "loans", revision=first), api.released(rules, "loans")
    why = {"reason": "policy 2026-14", "reason_code": "policy", "ticket": "RISK-12"}
    api.post(f"/v1/releases/{before}/propose", json=why)
    found = {"ApprovalBody": api.get(f"/v1/releases/{before}/approval").json()}
    found["ReleaseBody"] = api.post(f"/v1/releases/{before}/activate", json=why).json()
    api.post(f"/v1/releases/{after}/canary", json=why | {"share": 0.05})
    found["DecisionsBody"] = api.post("/v1/decisions/loans?explain=true", json={"rows": [ROW]}).json()
    found["PredictionsBody"] = api.post("/invocations", json={"dataframe_records": [ROW]}).json()
    tensors = [
        {"name": name, "shape": [1], "datatype": TENSORS[type(value)], "data": [value]} for name, value in ROW.items()
    ]
    found["InferenceBody"] = api.post("/v2/models/loans/infer", json={"inputs": tensors}).json()
    found["InferenceModel"] = api.get("/v2/models/loans").json()
    found["TrialBody"] = api.get(f"/v1/releases/{after}/canary").json()
    found["ComparisonBody"] = api.get(f"/v1/releases/{before}/compare", params={"with": after}).json()
    found["JobBody"] = api.get("/v1/jobs").json()["items"][0]
    return found


def operated(api: Api) -> Recorded:
    """What is asked of people, the audit and the service itself."""
    found = {"KeyMade": api.post("/v1/keys", json={"name": "kim", "roles": ["analyst"], "reason": "joined"}).json()}
    found["KeyMade"]["key"] = f"re_{found['KeyMade']['prefix']}_..."
    found["KeyBody"] = api.get(f"/v1/keys/{found['KeyMade']['id']}").json()
    found["EventBody"] = api.get("/v1/audit", params={"action": "activate release"}).json()["items"][0]
    found["AuditVerdict"] = api.get("/v1/audit/verify").json()
    found["ErasureBody"] = api.post("/v1/audit/erasures", json={"events": [1], "reason": "erasure request 7"}).json()
    for name, path in (("PersonBody", "/v1/me"), ("Health", "/readyz"), ("InferenceServer", "/v2")):
        found[name] = api.get(path).json()
    found["InferenceReady"] = api.get("/v2/models/loans/ready").json()
    return found


def main() -> None:
    """Record them anew."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(local(Path(folder), publish_seconds=0.2), clock=clock(), new_id=names())
        with serving_app(app) as api:
            text = json.dumps(record(api), indent=1, ensure_ascii=False)
    FILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
