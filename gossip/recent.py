"""Sealed packets that were just sent: what a challenge or a hint may answer, and can be sent again.

Who can't read a packet, because its sender hasn't proved itself to this process of theirs, keeps
nothing of it: the sender proves itself and sends it again. So nothing recorded is ever processed,
and what is held for a stranger is our own.
"""

from gossip import limits
from gossip.address import Address
from gossip.identity import WireId


class Sent:
    """One packet."""

    __slots__ = ("address", "answered", "at", "body", "proof", "receiver")

    def __init__(
        self, receiver: WireId, address: Address, body: bytes, at: float, *, proof: bool = False
    ) -> None:
        self.receiver = receiver
        self.address = address
        self.body = body
        self.at = at
        self.proof = proof
        """What follows it can be read."""
        self.answered = proof
        """A challenge has named it, or it was sent again with one that was."""


class Recent:
    """The last packets, by their counter."""

    def __init__(self) -> None:
        self._sent: dict[int, Sent] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def add(self, counter: int, packet: Sent) -> None:
        if len(self._sent) >= limits.SENT_MAX:
            del self._sent[next(iter(self._sent))]
        self._sent[counter] = packet

    def get(self, counter: int, receiver: WireId, now: float) -> Sent | None:
        """The packet with this counter, if it went to this node, and lately."""
        packet = self._sent.get(counter)
        if packet is None or packet.receiver != receiver:
            return None
        return packet if now - packet.at <= limits.SENT_SECONDS_MAX else None

    def take_again(self, counter: int, receiver: WireId) -> list[bytes]:
        """The bodies of what went to this node from that packet to the next proof, oldest first;
        each is given once."""
        bodies: list[bytes] = []
        for number, packet in self._sent.items():
            if number < counter or packet.receiver != receiver:
                continue
            if packet.proof:
                break
            if packet.answered:
                continue
            packet.answered = True
            if len(bodies) < limits.RESENT_MAX:
                bodies.append(packet.body)
        return bodies

    def clear(self) -> None:
        """A new salt begins: its counters are other ones."""
        self._sent.clear()
