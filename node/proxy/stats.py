"""Counters of one worker, sent to the agent each second."""


class Stats:
    """Plain integers, so that counting costs an addition. Cumulative but for ``connections_*``."""

    __slots__ = (
        "access_log_dropped",
        "bytes_received",
        "bytes_sent",
        "clients_aborted",
        "clients_refused",
        "connections_accepted",
        "connections_active",
        "connections_idle_upstream",
        "entities_refused",
        "requests_malformed",
        "requests_timed_out",
        "responses_1xx",
        "responses_2xx",
        "responses_3xx",
        "responses_4xx",
        "responses_5xx",
        "responses_truncated",
        "routes_missed",
        "total_requests",
        "upgrades",
        "upstream_connect_failures",
        "upstream_connects",
        "upstream_failures",
        "upstream_invalid",
        "upstream_resolve_failures",
        "upstream_retries",
        "upstream_reuses",
        "upstream_timeouts",
    )

    access_log_dropped: int
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
    responses_1xx: int
    responses_2xx: int
    responses_3xx: int
    responses_4xx: int
    responses_5xx: int
    responses_truncated: int
    routes_missed: int
    total_requests: int
    upgrades: int
    upstream_connect_failures: int
    upstream_connects: int
    upstream_failures: int
    upstream_invalid: int
    upstream_resolve_failures: int
    upstream_retries: int
    upstream_reuses: int
    upstream_timeouts: int

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)

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
        return {name: getattr(self, name) for name in self.__slots__}
