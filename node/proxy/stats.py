"""Counters of one worker, sent to the agent each second."""

from node.metrics.histogram import Histogram

MEANINGS = {
    "access_log_dropped": "lines of the access log that the disk didn't take",
    "buffers_refused": "bodies that weren't held because those of others are, up to the bound",
    "bytes_received": "bytes of requests' bodies from clients",
    "bytes_sent": "bytes of answers' bodies to clients",
    "cache_purges": "invalidations that reached a worker",
    "cache_purges_again": "of these, those done again at the version that they were made at",
    "clients_aborted": "requests whose client has gone before its answer",
    "clients_refused": "connections closed at once because too many are open",
    "cold_cached": "look-ups of consumers and credentials answered from memory",
    "cold_file_failures": "readings of the replica file that failed",
    "cold_read": "look-ups of consumers and credentials answered from the replica file",
    "cold_unsettled": "look-ups of consumers and credentials that the replica file couldn't settle",
    "connections_accepted": "connections of clients accepted",
    "connections_active": "connections of clients that are open",
    "connections_handled": "connections of clients that were served",
    "connections_idle_upstream": "connections to upstreams that are kept for later requests",
    "connections_reading": "connections of clients on which a request is read",
    "connections_waiting": "connections of clients on which nothing is going on",
    "connections_writing": "connections of clients on which a request is answered",
    "entities_refused": "entities that a worker couldn't use",
    "rate_limits_evicted": "counters of rate limits that others took the place of too early",
    "requests_malformed": "what was no HTTP request",
    "requests_timed_out": "requests that came too slowly",
    "requests_streamed": "requests whose body was too large to be read whole first",
    "responses_held_back": "times that an upstream had to wait for a slow client",
    "responses_truncated": "answers cut off because the upstream's ended early",
    "routes_missed": "requests without a route",
    "target_results_dropped": "results of requests to targets that waited too long to be counted",
    "total_requests": "requests of clients",
    "upgrades": "connections that became pipes",
    "upstream_connect_failures": "connections to upstreams that failed",
    "upstream_connects": "connections opened to upstreams",
    "upstream_failures": "requests that failed at the upstream",
    "upstream_invalid": "answers of upstreams that were no HTTP",
    "upstream_no_peer": "requests to upstreams without a target that could take them",
    "upstream_resolutions": "look-ups of upstreams' names",
    "upstream_resolve_failures": "look-ups of upstreams' names that failed",
    "upstream_retries": "requests tried again at an upstream",
    "upstream_reuses": "requests sent over a connection that was kept",
    "upstream_timeouts": "requests that the upstream didn't answer in time",
    "upstream_tries": "tries of requests at upstreams' addresses",
}
"""What a worker counts, by name, but for what takes labels: answers by class, and latencies."""

LATENCY = "latency"
"""Begins the names of the latencies' buckets."""
LATENCY_BOUNDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Seconds."""


class Stats:
    """Plain integers, so that counting costs an addition. Cumulative but for ``connections_*``."""

    __slots__ = (
        "access_log_dropped",
        "buffers_refused",
        "bytes_received",
        "bytes_sent",
        "clients_aborted",
        "clients_refused",
        "connections_accepted",
        "connections_active",
        "connections_idle_upstream",
        "entities_refused",
        "latency",
        "requests_malformed",
        "requests_streamed",
        "requests_timed_out",
        "responses_1xx",
        "responses_2xx",
        "responses_3xx",
        "responses_4xx",
        "responses_5xx",
        "responses_held_back",
        "responses_truncated",
        "routes_missed",
        "total_requests",
        "upgrades",
        "upstream_connect_failures",
        "upstream_connects",
        "upstream_failures",
        "upstream_invalid",
        "upstream_no_peer",
        "upstream_retries",
        "upstream_reuses",
        "upstream_timeouts",
        "upstream_tries",
    )

    access_log_dropped: int
    buffers_refused: int
    bytes_received: int
    bytes_sent: int
    clients_aborted: int
    clients_refused: int
    connections_accepted: int
    connections_active: int
    connections_idle_upstream: int
    entities_refused: int
    requests_malformed: int
    requests_timed_out: int
    requests_streamed: int
    responses_1xx: int
    responses_2xx: int
    responses_3xx: int
    responses_4xx: int
    responses_5xx: int
    responses_held_back: int
    responses_truncated: int
    routes_missed: int
    total_requests: int
    upgrades: int
    upstream_connect_failures: int
    upstream_connects: int
    upstream_failures: int
    upstream_invalid: int
    upstream_no_peer: int
    upstream_retries: int
    upstream_reuses: int
    upstream_timeouts: int
    upstream_tries: int

    latency: Histogram

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)
        self.latency = Histogram(LATENCY_BOUNDS)

    def count_response(self, status: int) -> None:
        """Count a response under its class."""
        if status < 300:
            if status < 200:
                self.responses_1xx += 1
            else:
                self.responses_2xx += 1
        elif status < 400:
            self.responses_3xx += 1
        elif status < 500:
            self.responses_4xx += 1
        else:
            self.responses_5xx += 1

    def snapshot(self) -> dict[str, int]:
        """All counters by name."""
        counters = {name: getattr(self, name) for name in self.__slots__ if name != "latency"}
        return counters | self.latency.counters(LATENCY)
