"""The health of targets that nobody checks."""

from collections.abc import Iterable

from node.proxy.balancing.address import TargetAddress


class Unchecked:
    """Satisfies Health: everything is available."""

    def is_available(self, address: TargetAddress) -> bool:
        return True

    def is_upstream_available(
        self, upstream_id: str, addresses: Iterable[tuple[TargetAddress, int]]
    ) -> bool:
        return True

    def responded(self, address: TargetAddress, status: int) -> None:
        pass

    def tcp_failed(self, address: TargetAddress) -> None:
        pass

    def timed_out(self, address: TargetAddress) -> None:
        pass
