"""What Prometheus asks: the figures of app/sync/status.py, as gauges and counters by target."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

# Name, what it says, and where it stands in a record of status.overview.
GAUGES = (
    ("dermatome_sync_pending", "Resources noted for a target and not delivered.", "pending"),
    ("dermatome_sync_waiting", "Of these, how many wait for what they refer to.", "waiting"),
    ("dermatome_sync_dead_letters", "Resources a target refused for good.", "dead"),
    ("dermatome_sync_conflicts_open", "Resources of which a person decides.", "conflict"),
    ("dermatome_sync_quarantine", "Resources of a target that could not be kept here.", "quarantine"),
    ("dermatome_sync_lag_seconds", "Since when the oldest that is pending waits.", "lag_seconds"),
    ("dermatome_sync_failures", "Answers in a row that were none to rely on.", "failures"),
    ("dermatome_sync_alarm", "1 while a target has as many dead letters as its definition calls too many.", "alarm"),
)
COUNTERS = (
    ("dermatome_sync_sent", "Resources a target has taken.", "sent"),
    ("dermatome_sync_refused", "Resources a target has refused.", "refused"),
    ("dermatome_sync_retried", "Resources that were sent again.", "retried"),
    ("dermatome_sync_conflicts", "Resources that both sides had changed.", "conflicts"),
    ("dermatome_sync_pulled", "Versions taken from a target.", "pulled"),
)
BREAKER = "dermatome_sync_breaker"
READS_FAILING = "dermatome_sync_reads_failing"
SUBSCRIPTIONS, EVENTS_LEFT = "dermatome_subscriptions", "dermatome_subscription_events_undelivered"
# Status -> how many Subscriptions, and how many of their events were not answered yet.
Subscriptions = Mapping[str, tuple[int, int]]


def exposition(overview: Sequence[Mapping[str, Any]], subscriptions: Subscriptions) -> bytes:
    """The text of the metrics."""
    registry = CollectorRegistry()
    registry.register(_Collector(overview, subscriptions))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, overview: Sequence[Mapping[str, Any]], subscriptions: Subscriptions) -> None:
        self._overview, self._subscriptions = overview, subscriptions

    def collect(self) -> Iterator[Metric]:
        for name, told, key in GAUGES:
            gauge = GaugeMetricFamily(name, told, labels=["target"])
            for one in self._overview:
                gauge.add_metric([one["target"]], float(one[key]))
            yield gauge
        for name, told, key in COUNTERS:
            counter = CounterMetricFamily(name, told, labels=["target"])
            for one in self._overview:
                counter.add_metric([one["target"]], float(one["totals"][key]))
            yield counter
        state = GaugeMetricFamily(BREAKER, "1 for the state the breaker of a target is in.", labels=["target", "state"])
        for one in self._overview:
            for each in ("closed", "open", "half-open"):
                state.add_metric([one["target"], each], float(one["breaker"] == each))
        yield state
        failing = GaugeMetricFamily(READS_FAILING, "Reads of a target that cannot be done.", labels=["target"])
        for one in self._overview:
            failing.add_metric([one["target"]], float(one["pull"]["failing"] if one["pull"] else 0))
        yield failing
        yield from self._of_subscriptions()

    def _of_subscriptions(self) -> Iterator[Metric]:
        many = GaugeMetricFamily(SUBSCRIPTIONS, "Subscriptions by status.", labels=["status"])
        left = GaugeMetricFamily(EVENTS_LEFT, "Events their subscribers have not answered yet.", labels=["status"])
        for status, (count, events) in sorted(self._subscriptions.items()):
            many.add_metric([status], count)
            left.add_metric([status], events)
        yield many
        yield left
