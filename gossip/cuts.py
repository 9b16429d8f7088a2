"""Playing a partition: what this node exchanges with some addresses is lost, as on a network.

Lost, not refused: packets, new streams and what is said on open ones go nowhere, and nobody is
told. Each side of a partition is told of the other, so it is enough that a node loses what it
sends, what comes from their sockets, and both ways on streams that it has opened.
"""

from gossip.address import Address


class Cuts:
    """Addresses that are cut off; none to begin with."""

    def __init__(self) -> None:
        self._addresses: frozenset[Address] = frozenset()

    def set(self, addresses: frozenset[Address]) -> None:
        """From now on exactly these are cut off."""
        self._addresses = addresses

    def __contains__(self, address: Address | None) -> bool:
        return address in self._addresses
