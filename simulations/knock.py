"""A knock: a packet and a connect from throw-away sockets, at another port than the node's own."""

from typing import TYPE_CHECKING

from gossip.address import Address
from gossip.effects import Knock
from gossip.limits import KNOCK_SECONDS_MAX
from gossip.refusal import TcpOutcome, UdpOutcome

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.world import World

_PORT_FIRST, _PORTS = 20_000, 40_000


class Visit:
    """One knock under way."""

    def __init__(self, world: "World", knocker: "Node", effect: Knock, packet: bytes) -> None:
        self._world = world
        self._knocker = knocker
        self._life = knocker.life
        self._effect = effect
        self._sent = packet
        self._udp: UdpOutcome = "silent"
        self._tcp: TcpOutcome = "silent"
        port = _PORT_FIRST + effect.knock % _PORTS
        self._source: Address = (knocker.address[0], port)
        self._done = False

    def begin(self) -> None:
        world, network = self._world, self._world.network
        world.schedule(KNOCK_SECONDS_MAX, self._end)
        target = world.at_address(self._effect.address)
        if target is None or not target.power:
            return
        world.visits[self._source] = self
        here, there = self._knocker.index, target.index
        for delay, packet, _ in network.carry(here, there, self._sent, world.now):
            if delay < KNOCK_SECONDS_MAX:
                world.schedule(delay, self._packet_arrives, target, packet)
        if network.passes(here, there, "tcp") and network.passes(there, here, "tcp"):
            delay = network.segment(here, there, 0, world.now)
            delay += network.segment(there, here, 0, world.now)
            if delay < KNOCK_SECONDS_MAX:
                world.schedule(delay, self._connects, target)

    def answered(self, other: "Node", data: bytes) -> None:
        """The other node sends something back."""
        network, now = self._world.network, self._world.now
        for delay, packet, _ in network.carry(other.index, self._knocker.index, data, now):
            self._world.schedule(delay, self._answer_arrives, packet)

    def _packet_arrives(self, target: "Node", packet: bytes) -> None:
        if target.running:
            target.datagram_received(packet, self._source)
        elif target.answers():
            here, network = self._knocker.index, self._world.network
            for delay, _, _ in network.carry(target.index, here, b"", self._world.now):
                self._world.schedule(delay, self._packet_refused)

    def _packet_refused(self) -> None:
        self._udp = "refused"
        self._end_when_known()

    def _answer_arrives(self, data: bytes) -> None:
        if not self._done and self._knocker.life == self._life:
            self._udp = "answered"
            self._knocker.datagram_received(data, self._effect.address)
            self._end_when_known()

    def _connects(self, target: "Node") -> None:
        if target.running:
            self._tcp = "open"
        elif target.answers():
            self._tcp = "refused"
        self._end_when_known()

    def _end_when_known(self) -> None:
        if "silent" not in (self._udp, self._tcp):
            self._end()

    def _end(self) -> None:
        if self._done:
            return
        self._done = True
        self._world.visits.pop(self._source, None)
        if self._knocker.life == self._life:
            self._knocker.knocked(self._effect.knock, self._udp, self._tcp)
