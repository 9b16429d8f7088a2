"""prometheus: what Prometheus is told of requests (``kong/plugins/prometheus/exporter.lua``).

Workers count; the agent adds up and shows it (node.metrics.kong).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from node.kong_version import KONG_API_VERSION
from node.metrics.kong_names import (
    BANDWIDTH,
    KONG_LATENCY,
    OWN_BOUNDS,
    REQUEST_LATENCY,
    REQUESTS,
    TARGET_HEALTH,
    UPSTREAM_BOUNDS,
    UPSTREAM_LATENCY,
    WORKSPACE,
)
from node.plugins.context import Context
from node.plugins.interface import Bound, Plugin, Worker
from node.plugins.series import HistogramNames, series_name
from store.schema.plugins import prometheus

_NAMES_MAX = 4_096
"""Series whose names are remembered by what they are of."""


class _Latencies(NamedTuple):
    request: HistogramNames
    upstream: HistogramNames
    own: HistogramNames


class Prometheus(Plugin):
    """See the module's text."""

    schema = prometheus.PLUGIN
    version = KONG_API_VERSION

    def __init__(self, config: Mapping[str, Any], bound: Bound, worker: Worker) -> None:
        self._per_consumer = bool(config.get("per_consumer"))
        self._status = bool(config.get("status_code_metrics"))
        self._latency = bool(config.get("latency_metrics"))
        self._bandwidth = bool(config.get("bandwidth_metrics"))
        if config.get("upstream_health_metrics"):
            worker.series.add(TARGET_HEALTH)
        self._names: dict[tuple[str, ...], str] = {}
        self._latencies: dict[tuple[str, str], _Latencies] = {}

    def log(self, context: Context) -> None:
        service, route, facts = context.service, context.route, context.facts
        if service is None or route is None or facts is None:
            return  # as Kong: what led nowhere isn't counted
        of = (service.name or service.host, route.name or route.id)
        who = ""
        if self._per_consumer and context.consumer is not None:
            who = context.consumer.username
        series = context.worker.series
        if self._bandwidth:
            for direction, size in (
                ("ingress", facts.request_bytes),
                ("egress", facts.response_bytes),
            ):
                if size > 0:
                    series.add(self._name(BANDWIDTH, *of, direction, WORKSPACE, who), size)
        if self._status:
            source = "service" if context.response.source == "service" else "kong"
            name = self._name(REQUESTS, *of, str(facts.status), source, WORKSPACE, who)
            series.add(name)
        if self._latency:
            names = self._latency_names(of)
            names.request.observe(series, facts.request_ms)
            if facts.upstream_ms is not None:
                names.upstream.observe(series, facts.upstream_ms)
            names.own.observe(series, facts.own_ms)

    def _name(self, metric: str, *labels: str) -> str:
        key = (metric, *labels)
        name = self._names.get(key)
        if name is None:
            if len(self._names) >= _NAMES_MAX:
                self._names.clear()
            name = self._names[key] = series_name(metric, labels)
        return name

    def _latency_names(self, of: tuple[str, str]) -> _Latencies:
        names = self._latencies.get(of)
        if names is None:
            if len(self._latencies) >= _NAMES_MAX:
                self._latencies.clear()
            labels = (*of, WORKSPACE)
            names = self._latencies[of] = _Latencies(
                HistogramNames(REQUEST_LATENCY, labels, UPSTREAM_BOUNDS),
                HistogramNames(UPSTREAM_LATENCY, labels, UPSTREAM_BOUNDS),
                HistogramNames(KONG_LATENCY, labels, OWN_BOUNDS),
            )
        return names


PLUGIN = Prometheus
