"""Kong's metrics, by its names: what the plugin prometheus counts, and what goes with it
(``kong/plugins/prometheus/exporter.lua``)."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from node.admin.node_view import NodeView
from node.metrics.histogram import Histogram
from node.metrics.kong_names import (
    BANDWIDTH,
    KONG_LATENCY,
    OWN_BOUNDS,
    REQUEST_LATENCY,
    REQUESTS,
    UPSTREAM_BOUNDS,
    UPSTREAM_LATENCY,
)
from node.metrics.text import Family, Labels, Samples, Value
from node.plugins.series import DROPPED, of_metric

_SUBSYSTEM = ("subsystem", "http")
_STATES = ("accepted", "active", "handled", "reading", "waiting", "writing")


class _Counted(NamedTuple):
    """A metric that workers count, and the names of its labels in the order of their values."""

    family: Family
    labels: tuple[str, ...]
    bounds: tuple[int, ...] = ()
    """Of a histogram."""


_OF = ("service", "route")
_COUNTED = (
    _Counted(
        Family(REQUESTS, "counter", "HTTP status codes per consumer/service/route in Kong"),
        (*_OF, "code", "source", "workspace", "consumer"),
    ),
    _Counted(
        Family(
            KONG_LATENCY,
            "histogram",
            "Latency added by Kong and enabled plugins for each service/route in Kong",
        ),
        (*_OF, "workspace"),
        OWN_BOUNDS,
    ),
    _Counted(
        Family(
            UPSTREAM_LATENCY,
            "histogram",
            "Latency added by upstream response for each service/route in Kong",
        ),
        (*_OF, "workspace"),
        UPSTREAM_BOUNDS,
    ),
    _Counted(
        Family(
            REQUEST_LATENCY,
            "histogram",
            "Total latency incurred during requests for each service/route in Kong",
        ),
        (*_OF, "workspace"),
        UPSTREAM_BOUNDS,
    ),
    _Counted(
        Family(BANDWIDTH, "counter", "Total bandwidth (ingress/egress) throughput in bytes"),
        (*_OF, "direction", "workspace", "consumer"),
    ),
)


def kong_metrics(
    node: NodeView, counters: Mapping[str, int], series: Mapping[str, int]
) -> Iterator[tuple[Family, Samples]]:
    """Every family that has something to tell, as in Kong."""
    own = (("node_id", node.node_id), _SUBSYSTEM)
    connections: dict[Labels, Value] = {
        (*own, ("state", state)): counters.get(f"connections_{state}", 0) for state in _STATES
    }
    connections[(*own, ("state", "total"))] = counters.get("total_requests", 0)
    yield (
        Family("kong_nginx_connections_total", "gauge", "Number of connections by subsystem"),
        connections,
    )
    yield (
        Family("kong_nginx_requests_total", "gauge", "Total number of requests"),
        {own: counters.get("total_requests", 0)},
    )
    yield (
        Family("kong_node_info", "gauge", "Kong Node metadata information"),
        {(("node_id", node.node_id), ("version", node.version)): 1},
    )
    if node.documents is None:
        yield (
            Family(
                "kong_datastore_reachable",
                "gauge",
                "Datastore reachable from Kong, 0 is unreachable",
            ),
            {(): int(bool(node.authority_status().reachable))},
        )
    yield (
        Family(
            "kong_nginx_metric_errors_total",
            "counter",
            "Number of nginx-lua-prometheus errors",
        ),
        {(): series.get(DROPPED, 0)},
    )
    for counted in _COUNTED:
        samples = _samples(counted, series)
        if samples:
            yield counted.family, samples


def _samples(counted: _Counted, series: Mapping[str, int]) -> Samples:
    samples: dict[Labels, Value] = {}
    for part, values, count in of_metric(series, counted.family.name):
        if len(values) != len(counted.labels):
            continue
        labels = tuple(zip(counted.labels, values, strict=True))
        if not counted.bounds:
            samples[labels] = count
            continue
        histogram = samples.setdefault(labels, Histogram(counted.bounds))
        assert isinstance(histogram, Histogram)
        if part == "sum":
            histogram.sum = float(count)
        elif part.isdigit() and int(part) < len(histogram.counts):
            histogram.counts[int(part)] = count
    return samples
