"""What Prometheus asks of exports."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.store.exports import UNFINISHED, Figures

STATES = (*UNFINISHED, "complete", "failed", "cancelled", "expired")
JOBS, BYTES, OLDEST = "dermatome_export_jobs", "dermatome_export_file_bytes", "dermatome_export_oldest_seconds"


def exposition(figures: Mapping[str, Figures], now: int) -> bytes:
    """The text of the metrics. now: microseconds since 1970."""
    registry = CollectorRegistry()
    registry.register(_Collector(figures, now))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, figures: Mapping[str, Figures], now: int) -> None:
        self._figures, self._now = figures, now

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily(JOBS, "Exports by state.", labels=["state"])
        size = GaugeMetricFamily(BYTES, "Bytes of the files of exports.", labels=["state"])
        oldest = GaugeMetricFamily(OLDEST, "Since when the oldest export waits that is not finished.")
        none = Figures(0, self._now, 0)
        for state in STATES:
            found = self._figures.get(state, none)
            jobs.add_metric([state], found.jobs)
            size.add_metric([state], found.bytes)
        first = min(self._figures.get(state, none).oldest for state in UNFINISHED)
        oldest.add_metric([], max(0, self._now - first) / 1_000_000)
        yield from (jobs, size, oldest)
