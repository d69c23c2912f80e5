"""An example for each body of the OpenAPI description; those of answers were recorded (`tests/examples.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("examples.json")
#: What requests send, where the body's own model has no example: by operation and media type.
ASKED: dict[str, dict[str, Any]] = {
    "add_dataset": {"multipart/form-data": {"file": "loans.csv", "name": "loans"}},
    "make_model": {
        "multipart/form-data": {
            "file": "model.txt", "dataset": "dataset-1", "target": "decision", "classes": '["approve", "deny"]'
        }
    },
    "decide_file": {"multipart/form-data": {"file": "applicants.csv"}},
    "import_ruleset": {"multipart/form-data": {"file": "rules.json", "model": "model-1", "format": "json"}},
    "invoke": {"text/csv": "age,income,job\n28,42000,permanent\n"},
}  # fmt: skip
#: What answers hold that aren't of our schemas, by media type; what is binary has none.
TOLD = {
    "text/csv": "outcome,p_approve,p_deny,model_outcome,rule,by\napprove,1.0,0.0,deny,R9,overlay\n",
    "text/event-stream": 'event: job\ndata: {"id": "job-3", "state": "running", "progress": {"done": 2, "of": 8}}\n\n',
    "text/html": "<!doctype html>\n<title>RuleEdit</title>\n",
    "text/x-python": "def decide(row):\n    ...\n",
    "application/sql": "SELECT *, CASE WHEN age > 26 THEN 'approve' ELSE 'deny' END AS outcome FROM input",
    "application/xml": '<?xml version="1.0" encoding="UTF-8"?>\n<PMML version="4.4">...</PMML>\n',
    "application/json": {"schema": {}, "rules": [], "default": "deny", "content": "...", "revision": "..."},
}
#: The same for single routes.
TOLD_BY = {
    "ping": "\n",
    "get_version": "2.0.0",
    "get_metrics": '# TYPE ruleedit_jobs gauge\nruleedit_jobs{state="queued"} 0.0\n',
}


def illustrate(described: dict[str, Any]) -> None:
    """Give every body of an OpenAPI description its example, in place."""
    recorded = json.loads(FILE.read_text(encoding="utf-8"))
    schemas = described["components"]["schemas"]
    for operation in (one for verbs in described["paths"].values() for one in verbs.values()):
        name = operation["operationId"]
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            asked = schemas.get(_name(media), {}).get("examples", [None])[0]
            _show(media, ASKED.get(name, {}).get(kind, asked))
        for status, answer in operation["responses"].items():
            if status.startswith("2"):
                for kind, media in answer.get("content", {}).items():
                    told = TOLD_BY.get(name, TOLD.get(kind)) if not _name(media) else _told(_name(media), recorded)
                    _show(media, told)


def _told(schema: str, recorded: dict[str, Any]) -> Any:
    """The example of a schema; a page's is one item."""
    item = schema.removeprefix("PageOf_").removesuffix("_")
    found = recorded.get(item)
    return found if item == schema or found is None else {"items": [found], "next": None}


def _name(media: dict[str, Any]) -> str:
    return str(media.get("schema", {}).get("$ref", "")).rpartition("/")[2]


def _show(media: dict[str, Any], example: Any) -> None:
    if example is not None and media.get("schema", {}).get("format") != "binary":
        media["example"] = example
