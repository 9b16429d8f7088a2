"""What choosing an address and judging its health have in common."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class TargetAddress(NamedTuple):
    """One address of one target; a target given by name may have several."""

    upstream_id: str
    target_id: str
    host: str
    """An IPv4 or IPv6 address, as ``node.proxy.health.settings.short`` writes it: one text for one
    address, whoever has it from where."""
    port: int


class Health(Protocol):
    """Which addresses take requests, and what came of those that were sent there.

    It outlives the routing table: a state that is loaded anew changes nothing of it but by what the
    upstreams' health checks say. No call blocks.
    """

    def is_available(self, address: TargetAddress) -> bool:
        """Whether the address may be chosen. True where its upstream checks nothing."""

    def is_upstream_available(
        self, upstream_id: str, addresses: Iterable[tuple[TargetAddress, int]]
    ) -> bool:
        """Whether the share of weight that is available reaches the upstream's threshold."""

    def responded(self, address: TargetAddress, status: int) -> None:
        """A request there was answered with this status."""

    def tcp_failed(self, address: TargetAddress) -> None:
        """A connection there failed, or broke off before an answer."""

    def timed_out(self, address: TargetAddress) -> None:
        """A connection or an answer took longer than the service allows."""
