"""What Prometheus asks of exports."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.store.exports import UNFINISHED, Figures

STATES = (*UNFINISHED, "complete", "failed", "cancelled", "expired")
JOBS, BYTES, OLDEST = "dermatome_export_jobs", "dermatome_export_file_bytes", "dermatome_export_oldest_seconds"
DONE, FAILING = "dermatome_export_done", "dermatome_export_failing"


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
        going_on = [self._figures.get(state, none) for state in UNFINISHED]
        done = GaugeMetricFamily(DONE, "Resources or rows that exports which are not finished have written.")
        done.add_metric([], sum(each.done for each in going_on))
        failing = GaugeMetricFamily(FAILING, "Exports that are not finished and whose last attempt failed.")
        failing.add_metric([], sum(each.failing for each in going_on))
        first = min(each.oldest for each in going_on)
        oldest.add_metric([], max(0, self._now - first) / 1_000_000)
        yield from (jobs, size, oldest, done, failing)
