"""Pages for people, made on the server: the API's description, and what is there.

Every text is escaped, and nothing is loaded from anywhere.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem;border-bottom:1px solid #d0d7de}h3{font-size:1rem}
code,pre{font:.85rem/1.45 ui-monospace,monospace;background:#f3f5f7;border-radius:4px}code{padding:.1rem .3rem}
pre{padding:.7rem;overflow:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
td,th{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px solid #e5e8eb;vertical-align:top}
.notice{background:#fff3c4;color:#3b2f00;border:1px solid #d9b92f;border-radius:4px;padding:.4rem .7rem}
.verb{display:inline-block;min-width:3.4rem;font-weight:700}details{margin:.4rem 0}a{color:#0b57a4}
@media(prefers-color-scheme:dark){body{color:#e6e9ec;background:#15181c}code,pre{background:#23282e}a{color:#7db7f0}
td,th{border-color:#353b42}h2{border-color:#353b42}}
"""


def page(title: str, body: str, notice: str) -> str:
    """A whole page; ``body`` is HTML, ``notice`` what is off where something is."""
    said = f'<p class="notice" role="note">{escape(notice[:1].upper() + notice[1:])}.</p>' if notice else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body>{said}{body}</body></html>"
    )


def docs(description: Mapping[str, Any], base: str, notice: str) -> str:
    """The OpenAPI description as a page: routes by resource, then the schemas."""
    parts = [
        f"<h1>{escape(description['info']['title'])} {escape(description['info']['version'])}</h1>",
        f"<p>{escape(description['info'].get('description', ''))}</p>",
        '<p>For programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1). <a href="/">What is there</a>.</p>',
    ]
    sections: dict[str, list[str]] = {}
    for path, verbs in description["paths"].items():
        for verb, operation in verbs.items():
            tag = (operation.get("tags") or ["other"])[0]
            sections.setdefault(tag, []).append("".join(_operation(path, verb, operation, description, base)))
    for tag, operations in sections.items():
        parts += [f"<h2>{escape(tag)}</h2>", *operations]
    parts.append("<h2>schemas</h2>")
    for name, schema in description["components"]["schemas"].items():
        parts.append(f'<h3 id="{escape(name)}">{escape(name)}</h3><pre>{_json(schema)}</pre>')
    return page("RuleEdit API", "".join(parts), notice)


def _operation(
    path: str, verb: str, operation: Mapping[str, Any], description: Mapping[str, Any], base: str
) -> Iterator[str]:
    yield f'<details><summary><span class="verb">{verb.upper()}</span><code>{escape(path)}</code> '
    yield f"{escape(operation['summary'])}</summary><p>{escape(operation.get('description', ''))}</p>"
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [
            (p["name"], p["in"] + (", required" if p["required"] else ""), p.get("description", "")) for p in parameters
        ]
        yield _table(("parameter", "in", ""), rows)
    body = operation.get("requestBody", {}).get("content", {})
    for media, content in body.items():
        yield f"<p>Body, <code>{escape(media)}</code>: {_schema(content['schema'])}</p>"
    yield _table(
        ("status", "answer", ""),
        [
            (status, said.get("description", ""), ", ".join(said.get("content", {})))
            for status, said in operation["responses"].items()
        ],
    )
    yield f"<pre>{escape(_curl(path, verb, operation, description, base))}</pre></details>"


def _schema(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f'<a href="#{escape(name)}">{escape(name)}</a>'
    return f"<pre>{_json(schema)}</pre>"


def _curl(path: str, verb: str, operation: Mapping[str, Any], description: Mapping[str, Any], base: str) -> str:
    line = f"curl {'' if verb == 'get' else f'-X {verb.upper()} '}{base}{path}"
    if any(parameter["name"] == "If-Match" for parameter in operation.get("parameters", [])):
        line += " -H 'If-Match: \"REVISION\"'"
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        name = content["application/json"]["schema"].get("$ref", "").rsplit("/", 1)[-1]
        examples = description["components"]["schemas"].get(name, {}).get("examples") or [{"reason": "why"}]
        return line + f" -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(examples[0]))}"
    if "multipart/form-data" in content:
        return line + " -F file=@table.csv -F name=table"
    return line


def first(lists: Mapping[str, Sequence[Mapping[str, Any]]], base: str, notice: str) -> str:
    """The first page: what is there, with links and curl lines."""
    parts = [
        "<h1>RuleEdit</h1><p>This is the HTTP API; the workbench is not there yet. "
        '<a href="/docs">The API for people</a>, <a href="/openapi.json">for programs</a>, '
        '<a href="/metrics">metrics</a>, <a href="/v1/jobs">jobs</a>.</p>'
    ]
    for kind, title in (
        ("datasets", "Data sets"),
        ("models", "Models"),
        ("rulesets", "Rule sets"),
        ("releases", "Releases"),
    ):
        parts.append(f"<h2>{title}</h2>{_listed(kind, lists[kind])}")
    active = next((item for item in lists["releases"] if item["state"] == "active"), None)
    parts += ["<h2>Try it</h2><pre>", escape("\n".join(_tries(lists, active, base))), "</pre>"]
    return page("RuleEdit", "".join(parts), notice)


def _listed(kind: str, items: Sequence[Mapping[str, Any]]) -> str:
    if not items:
        return f"<p>None yet: <code>POST /v1/{kind}</code>.</p>"
    rows = []
    for item in items:
        more = {"datasets": "rows", "models": "target", "rulesets": "revision", "releases": "state"}[kind]
        link = f'<a href="/v1/{kind}/{escape(item["id"])}">{escape(item["id"])}</a>'
        said = f"{more} {str(item[more])[:16]}"
        rows.append(f"<tr><td>{link}</td><td>{escape(item['name'])}</td><td>{escape(said)}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _tries(
    lists: Mapping[str, Sequence[Mapping[str, Any]]], active: Mapping[str, Any] | None, base: str
) -> Iterator[str]:
    if not lists["datasets"]:
        yield f"curl -F file=@table.csv -F name=table {base}/v1/datasets"
    for ruleset in lists["rulesets"][:1]:
        yield f"curl {base}/v1/rulesets/{ruleset['id']}"
        yield f"curl {base}/v1/rulesets/{ruleset['id']}/impact"
    if active is not None:
        model = next((model for model in lists["models"] if model["id"] == active["model"]), None)
        if model is not None:
            row = {feature["name"]: _example(feature) for feature in model["schema"]["features"]}
            body = shlex.quote(json.dumps({"rows": [row]}))
            yield f"curl {base}/v1/decisions/{active['name']} -H 'Content-Type: application/json' -d {body}"


def _example(feature: Mapping[str, Any]) -> object:
    if feature["kind"] in ("numeric", "integer"):
        low, high = feature.get("low") or 0, feature.get("high") or 0
        return round((low + high) / 2)
    return False if feature["kind"] == "boolean" else next(iter(feature.get("categories", [])), None)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{escape(head)}</th>' for head in heads)}</tr>{lines}</table>"


def _json(data: Any) -> str:
    return escape(json.dumps(data, indent=2, ensure_ascii=False))
