"""Peers for tests of the algorithms."""

from collections.abc import Sequence

from hypothesis import strategies as st

from node.proxy.balancing.address import TargetAddress
from node.proxy.balancing.peer import Peer, headers_for


def peer(number: int, weight: int = 100, host: str | None = None) -> Peer:
    """Target ``number`` of one upstream."""
    address = host or f"10.0.{number // 250}.{number % 250 + 1}"
    target = TargetAddress("up", f"target-{number}", address, 80)
    return Peer(address, 80, headers_for(address, 80), weight, target)


def peers(weights: Sequence[int]) -> list[Peer]:
    """One peer for each weight."""
    return [peer(number, weight) for number, weight in enumerate(weights)]


def always(one: Peer) -> bool:
    """Every peer is usable."""
    return True


WEIGHTS = st.lists(st.integers(0, 12), min_size=1, max_size=8)
SOME_WEIGHT = WEIGHTS.filter(any)
