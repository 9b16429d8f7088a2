"""Every metric of a node: name, type, help, and where its samples come from.

What is counted is declared where it is counted, with a meaning for each name; here that becomes
metrics, so that one that never happened shows zero. Labels take few values: no member, route or
address is one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

from gossip import counters as gossip
from node import channel
from node.admin.node_view import NodeView
from node.agent import counters as agent
from node.metrics.histogram import Histogram
from node.metrics.measures import STATUS_CLASSES
from node.metrics.text import Family, Samples, Value
from node.proxy import stats as proxy
from store import write_queue as writes

MEMBER_STATUSES = ("alive", "suspect", "failed", "leaving", "left")


class Reading:
    """A node at the moment of a scrape; what several metrics need is asked for once."""

    def __init__(self, node: NodeView) -> None:
        self.node = node
        self.counters = node.counters()
        self.proxy = node.worker_counters()


class Metric(NamedTuple):
    """A family and what reads its samples."""

    family: Family
    read: Callable[[Reading], Samples]


def _one(value: Value | None) -> Samples:
    """A sample without labels; none for what isn't known."""
    return {} if value is None else {(): value}


def _by(label: str, values: Mapping[str, float]) -> Samples:
    return {((label, name),): value for name, value in values.items()}


def _counted(prefix: str, meanings: Mapping[str, str]) -> Iterator[Metric]:
    """The agent's counters of one part."""
    for name, meaning in meanings.items():
        yield Metric(
            Family(f"grapevine_{prefix}{name}_total", "counter", _sentence(meaning)),
            lambda reading, name=name: _one(reading.counters.get(name, 0)),  # type: ignore[misc]
        )


def _proxied(meanings: Mapping[str, str]) -> Iterator[Metric]:
    """The workers' counters, added up."""
    for name, meaning in meanings.items():
        shown = name.removeprefix("total_")
        gauge = name in channel.GAUGES
        kind: Literal["counter", "gauge"] = "gauge" if gauge else "counter"
        yield Metric(
            Family(f"grapevine_proxy_{shown}{'' if gauge else '_total'}", kind, _sentence(meaning)),
            lambda reading, name=name: _one(reading.proxy.get(name, 0)),  # type: ignore[misc]
        )


def _sentence(meaning: str) -> str:
    return f"{meaning[0].upper()}{meaning[1:]}."


def _gauge(name: str, text: str, read: Callable[[NodeView], float | None]) -> Metric:
    return Metric(Family(name, "gauge", text), lambda reading: _one(read(reading.node)))


def _info(reading: Reading) -> Samples:
    return {(("version", reading.node.version),): 1}


def _members(reading: Reading) -> Samples:
    found = Counter(member["status"] for member in reading.node.members())
    return _by("status", {status: found[status] for status in MEMBER_STATUSES})


def _file_version(node: NodeView, part: int) -> float | None:
    version = node.replica_file_status().version
    return None if version is None else version[part]


_NODE = (
    Metric(Family("grapevine_info", "gauge", "The software of this node."), _info),
    _gauge(
        "grapevine_ready",
        "Whether this node should get traffic.",
        lambda node: node.ready()[0],
    ),
    _gauge(
        "grapevine_workers",
        "Proxy worker processes that run.",
        lambda node: len(node.worker_pids()),
    ),
    Metric(
        Family("grapevine_members", "gauge", "Members of the cluster that this node lists."),
        _members,
    ),
    Metric(
        Family(
            "grapevine_target_addresses",
            "gauge",
            "Addresses of upstreams' targets that are checked, by their health on this node.",
        ),
        lambda reading: _by("health", reading.node.health.addresses_by_state()),
    ),
    _gauge(
        "grapevine_epoch",
        "Epoch of the configuration that this node serves.",
        lambda node: node.head().version.epoch,
    ),
    _gauge(
        "grapevine_revision",
        "Revision of the configuration that this node serves.",
        lambda node: node.head().version.revision,
    ),
    _gauge(
        "grapevine_confirmation_age_seconds",
        "Seconds since any member has seen the database's head; +Inf when none has.",
        lambda node: None if node.documents else node.confirmation_age(),
    ),
    _gauge(
        "grapevine_database_reachable",
        "Whether the last thing asked of the database was answered.",
        lambda node: None if node.documents else node.authority_status().reachable,
    ),
    _gauge(
        "grapevine_replica_file_epoch",
        "Epoch of the configuration on this node's disk.",
        lambda node: _file_version(node, 0),
    ),
    _gauge(
        "grapevine_replica_file_revision",
        "Revision of the configuration on this node's disk.",
        lambda node: _file_version(node, 2),
    ),
    _gauge(
        "grapevine_replica_file_writable",
        "Whether the configuration can be kept on this node's disk.",
        lambda node: not node.replica_file_status().problem,
    ),
    _gauge(
        "grapevine_replica_damaged",
        "Whether the last audit of what this node holds in memory found it damaged.",
        lambda node: node.audits()["replica"]["damaged"],
    ),
    _gauge(
        "grapevine_database_rows_refused",
        "Rows that this node's last audit of the database found, and that don't validate.",
        lambda node: node.audits()["database"]["rows_refused"],
    ),
)

_MEASURED = (
    Metric(
        Family(
            "grapevine_propagation_seconds",
            "histogram",
            "From the push of a changeset by its origin until this node has applied it.",
        ),
        lambda reading: _one(reading.node.measures.propagation.seconds),
    ),
    Metric(
        Family(
            "grapevine_propagation_hops",
            "histogram",
            "Nodes that a changeset has passed from its origin on, this one included.",
        ),
        lambda reading: _one(reading.node.measures.propagation.hops),
    ),
    Metric(
        Family(
            "grapevine_admin_requests_total",
            "counter",
            "Requests to the Admin API by class of the answer's status.",
        ),
        lambda reading: _by("class", reading.node.measures.admin.by_class),
    ),
    Metric(
        Family(
            "grapevine_admin_request_seconds",
            "histogram",
            "From an Admin API request's head until its answer begins.",
        ),
        lambda reading: _one(reading.node.measures.admin.seconds),
    ),
    Metric(
        Family(
            "grapevine_proxy_responses_total",
            "counter",
            "Answers to clients by class of their status.",
        ),
        lambda reading: _by(
            "class", {name: reading.proxy.get(f"responses_{name}", 0) for name in STATUS_CLASSES}
        ),
    ),
    Metric(
        Family(
            "grapevine_proxy_request_seconds",
            "histogram",
            "From a request's head until its answer has been handed on or has failed.",
        ),
        lambda reading: _one(Histogram.of(proxy.LATENCY_BOUNDS, proxy.LATENCY, reading.proxy)),
    ),
)

METRICS: tuple[Metric, ...] = (
    *_NODE,
    *_MEASURED,
    *_proxied(proxy.MEANINGS),
    *_counted("", agent.MEANINGS),
    *_counted("authority_", writes.MEANINGS),
    *_counted("gossip_", gossip.MEANINGS),
    *_counted("gossip_", gossip.TRANSPORT_MEANINGS),
)
"""In the order in which they are shown."""
