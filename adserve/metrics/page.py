"""The sheets of all processes to one page for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from itertools import accumulate

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from adserve.metrics import table
from adserve.metrics.board import Board
from adserve.metrics.sheets import ROSTER, Samples, add, read


def page(board: Board, asked: Mapping[str, float]) -> bytes:
    """What all workers count together. `asked`: gauges that are of no worker, found for this page."""
    roster = read(board, ROSTER)
    sheets = {row: read(board, row) for row in range(ROSTER + 1, board.rows)}
    living = [sheet for row, sheet in sheets.items() if sheet.pid and roster.workers.get(row) == sheet.pid]
    now = time.monotonic()
    of_all = {
        "workers": float(len(living)),
        "worker_silent_seconds": max((now - sheet.at for sheet in living), default=0.0),
        "uptime_seconds": now - roster.at,
        **asked,
    }
    counters: dict[str, Samples] = {}
    for sheet in (roster, *sheets.values()):
        counters = add(counters, sheet.counters)
    gauges = [roster.gauges, *(sheet.gauges for sheet in living), {name: {"": v} for name, v in of_all.items()}]
    return generate_latest(_Families([_family(metric, counters, gauges) for metric in table.METRICS]))


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _family(metric: table.Metric, counters: Mapping[str, Samples], gauges: list[dict[str, Samples]]) -> Metric:
    name = f"adserve_{metric.name}"
    if metric.kind == "histogram":
        samples = counters.get(metric.name, {})
        counts = accumulate(samples.get(bucket, 0) for bucket in table.BUCKETS)
        buckets = list(zip(table.BUCKETS, counts, strict=True))
        return HistogramMetricFamily(name, metric.help, buckets=buckets, sum_value=samples.get(table.SUM, 0))
    family: Metric
    if metric.kind == "counter":
        family, samples = CounterMetricFamily(name, metric.help, labels=metric.labels), counters.get(metric.name, {})
    else:
        family, samples = GaugeMetricFamily(name, metric.help, labels=metric.labels), _merged(metric, gauges)
    for labels, value in sorted(samples.items()):
        family.add_metric(labels.split(",") if metric.labels else [], value)
    return family


def _merged(metric: table.Metric, gauges: list[dict[str, Samples]]) -> Samples:
    values: dict[str, list[float]] = {}
    for each in gauges:
        for labels, value in each.get(metric.name, {}).items():
            values.setdefault(labels, []).append(value)
    return {labels: float(metric.merge(found)) for labels, found in values.items()}
