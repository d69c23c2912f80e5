"""Counters as Prometheus text: requests, latency, decisions by release and outcome."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

MEDIA = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters of one process; they begin at 0 with each start, as Prometheus expects."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: Counter[str] = Counter()
        self._decisions: Counter[tuple[str, str, str]] = Counter()

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request; ``route`` is the path's template, so that there are few."""
        with self._lock:
            self._requests[method, route, status] += 1
            self._seconds[route] += seconds  # type: ignore[assignment]

    def count_decisions(self, name: str, release: str, outcomes: Iterable[str]) -> None:
        """Count the decisions of a release."""
        with self._lock:
            for outcome in outcomes:
                self._decisions[name, release, outcome] += 1

    def text(self, jobs: Mapping[str, int]) -> str:
        """Everything as Prometheus reads it; ``jobs`` are the jobs by state."""
        with self._lock:
            lines = [*self._request_lines(), *self._decision_lines()]
        lines += _head("ruleedit_jobs", "gauge", "Jobs by state.")
        lines += [_line("ruleedit_jobs", {"state": state}, count) for state, count in sorted(jobs.items())]
        return "\n".join(lines) + "\n"

    def _request_lines(self) -> Iterator[str]:
        yield from _head("ruleedit_requests_total", "counter", "Requests by route and status.")
        answered: Counter[str] = Counter()
        for (method, route, status), count in sorted(self._requests.items()):
            yield _line("ruleedit_requests_total", {"method": method, "route": route, "status": str(status)}, count)
            answered[route] += count
        yield from _head("ruleedit_request_seconds", "summary", "Time from a request to the end of its answer.")
        for route, count in sorted(answered.items()):
            yield _line("ruleedit_request_seconds_sum", {"route": route}, self._seconds[route])
            yield _line("ruleedit_request_seconds_count", {"route": route}, count)

    def _decision_lines(self) -> Iterator[str]:
        yield from _head("ruleedit_decisions_total", "counter", "Decisions by name, release and outcome.")
        for (name, release, outcome), count in sorted(self._decisions.items()):
            labels = {"name": name, "release": release, "outcome": outcome}
            yield _line("ruleedit_decisions_total", labels, count)


def _head(name: str, kind: str, help_text: str) -> list[str]:
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    return f"{name}{{{','.join(f'{key}={_quoted(text)}' for key, text in labels.items())}}} {value}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
