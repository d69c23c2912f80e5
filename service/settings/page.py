"""The page of settings, made of `Settings` itself: `docs/settings.md`, and ``ruleedit serve --settings``."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

from service.settings import PREFIX, Settings

HEAD = """# Settings

Each setting of `ruleedit serve` is an environment variable, `RULEEDIT_` and its name in capitals; an option of the
command wins over it. A variable that names no setting, or whose value is of another kind, is refused when the service
starts. `ruleedit serve --settings` prints this page; it is made of the source, and a test holds that it is this file.

| variable | default | what it is, and why |
| --- | --- | --- |
"""
TAIL = """
## Operation

- *Logs*: a line of JSON on standard error for each request (id, person, route, status, seconds) and for what the
  service says of itself; no address, parameter or body. `X-Request-ID` is taken from the client where it is plain text,
  and answered.
- *Decision log*: `decisions/decisions.jsonl` in the data folder, and complete files `decisions-TIME-N.jsonl` beside it.
  A line has `at`, `request`, `inputs` (for each row the SHA-256 of its values as the model reads them, doubles in
  little-endian in the order of the schema; or the values, by setting) and the answer as it was given. An answer can
  hold a value too: a warning of a number out of range names it.
- *Metrics*: `GET /metrics` for Prometheus: requests and latency by route, decisions by rule and outcome, flips against
  the model, drift of inputs (population stability index by feature) and of agreement by rule against training, trials,
  jobs, lines dropped from the decision log, failures of what is done again and again (publishing the head, expiry,
  erasure, following). Counters begin at 0 with each start.
- *Health*: `GET /healthz` (alive) and `GET /readyz` (the releases in service are loaded).
- *Stopping*: SIGTERM ends the service once the requests in flight are answered, within 10 s; jobs stop at their next
  step, and go on when the service is started again.
- *Several processes* (`--shared` for each, or `RULEEDIT_SHARED=on`) work on one data folder and one database: on
  PostgreSQL from any machine that has the folder, whose file system must carry locks (flock); on SQLite on one machine.
  `--only api` and `--only workbench` part them; there is one workbench, as sessions are in its memory. What one changes
  the others learn by asking the database every `RULEEDIT_FOLLOW_SECONDS`; one that can't is not ready, and decides by
  what it has. Jobs go to whoever is free; those of a killed process begin again once `RULEEDIT_LEASE_SECONDS` have
  passed. The oldest process publishes the head, writes expiries down and erases. Each process has a decision log of its
  own, `decisions/N/decisions.jsonl`, and metrics of its own: ask each, and add counters up (`ruleedit_jobs` is of all).
  Every limit of load and of jobs at once is a process's; `RULEEDIT_MOST_JOBS`, revisions, keys and replies are of all.
  A process takes up to 21 connections to PostgreSQL. Stop all of them before a newer version is started.
- *Proxy*: `compose.yaml` and `deploy/nginx.conf` are such processes behind nginx with TLS. `FORWARDED_ALLOW_IPS` says
  whose `X-Forwarded-Proto` counts, so that a cookie is for TLS alone. A proxy that gives a request that was begun to
  another process does so for decisions only; for all else the client asks again, with the same Idempotency-Key.
- *Container*: the `Dockerfile` runs the service as a user without rights, data in the volume `/data`. It has not been
  built by CI, which has no container engine.
"""


def settings_page() -> str:
    """Every setting with its default and its reason, as Markdown."""
    reasons = reasons_of(Settings)
    lines = [f"| `{PREFIX}{name.upper()}` | {_default(field)} | {reasons[name]} |" for name, field in _fields().items()]
    return HEAD + "\n".join(lines) + "\n" + TAIL


def reasons_of(kind: type) -> dict[str, str]:
    """The parameters that a class's docstring documents, each with its text on one line."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("----------\n")[2]
    found: dict[str, str] = {}
    for name, body in re.findall(r"^(\w+)\n((?: {4}.*\n?)+)", text, re.MULTILINE):
        found[name] = " ".join(body.split())
    return found


def _fields() -> dict[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(Settings)}


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "`ruleedit-data`" if field.name == "data_dir" else ""
    value = field.default
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return "`" + ",".join(map(str, value)) + "`"
    if isinstance(value, Path | str):
        return f"`{value}`" if str(value) else ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


if __name__ == "__main__":
    print(settings_page(), end="")
