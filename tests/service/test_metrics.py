"""Metrics as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from service.telemetry.metrics import Metrics


def read(metrics: Metrics) -> dict[str, dict[tuple[str, ...], float]]:
    """Every sample by its name and its labels' values, read by Prometheus' own parser."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels[label] for label in sorted(sample.labels))] = (
                sample.value
            )
    return found


def test_requests_and_their_times_are_counted() -> None:
    """By method, route and status; the times fall into buckets by route."""
    metrics = Metrics()
    metrics.count_request("GET", "/healthz", 200, 0.25)
    metrics.count_request("GET", "/healthz", 200, 0.5)
    metrics.count_request("POST", "/healthz", 405, 0.0001)
    found = read(metrics)
    assert found["ruleedit_requests_total"] == {("GET", "/healthz", "200"): 2, ("POST", "/healthz", "405"): 1}
    assert found["ruleedit_request_seconds_sum"][("/healthz",)] == 0.7501
    assert found["ruleedit_request_seconds_bucket"]["0.25", "/healthz"] == 2
    assert found["ruleedit_request_seconds_bucket"]["+Inf", "/healthz"] == 3


def test_methods_that_nobody_serves_are_one() -> None:
    """A client can't make the metrics grow."""
    metrics = Metrics()
    for number in range(50):
        metrics.count_request(f"M{number}", "unknown", 405, 0.1)
    assert read(metrics)["ruleedit_requests_total"] == {("other", "unknown", "405"): 50}


def test_a_source_is_asked_each_time() -> None:
    """Odd labels are escaped and read back."""
    metrics, asked = Metrics(), []

    def source() -> Iterator[Metric]:
        asked.append(1)
        family = GaugeMetricFamily("ruleedit_things", "Things.", labels=["name"])
        family.add_metric(['a "b"\n\\'], len(asked))
        yield family

    metrics.watch(source)
    assert asked == []
    assert read(metrics)["ruleedit_things"] == {('a "b"\n\\',): 1}
    assert read(metrics)["ruleedit_things"] == {('a "b"\n\\',): 2}
